"""Writes a checkpoint in another format, or another precision, and reads it back to compare."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from vla_policy.checkpoints.save import WRITERS, convert
from vla_policy.checkpoints.stored import CheckpointFormat
from vla_policy.cli.command import DONE, outcome
from vla_policy.policies.source import read_source

FORMATS = {known.short: known for known in WRITERS}


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns 0 when done, 1 when it failed. Wrong usage exits with 2."""
    options = _parser().parse_args(argv)
    return outcome("convert_checkpoint", lambda: _convert(options))


def _convert(options: argparse.Namespace) -> int:
    source = read_source(options.source, options.recipe, keep_lora=options.keep_lora).stored
    dtype = None if options.precision == "as-stored" else getattr(torch, options.precision)
    written = convert(source, options.destination, FORMATS[options.format], dtype)
    print(
        f"wrote {options.destination}: {written.format.short}, {written.config.model_type},"
        f" {written.num_parameters:,} parameters, {written.num_bytes / 1e9:.2f} GB, compared with"
        f" {source.path} ({source.format.short}) weight by weight"
    )
    for note in written.notes:
        print(f"note: {note}")
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="convert_checkpoint", description=__doc__)
    parser.add_argument("source", metavar="SRC", help="as --checkpoint of the other commands")
    parser.add_argument("destination", metavar="DST", type=Path, help="new directory")
    parser.add_argument(
        "--format",
        choices=sorted(FORMATS),
        default=CheckpointFormat.OPENPI_PYTORCH.short,
        help="layout of DST (openpi-pytorch)",
    )
    parser.add_argument(
        "--precision",
        choices=("as-stored", "float32", "bfloat16"),
        default="as-stored",
        help="of the weights; bfloat16 keeps the norms in float32 as the model does",
    )
    parser.add_argument(
        "--keep-lora",
        action="store_true",
        help="leave LoRA factors beside the weights (openpi-jax) instead of merging them",
    )
    parser.add_argument("--recipe", default="", metavar="NAME", help="named policy of SRC")
    return parser


if __name__ == "__main__":
    sys.exit(main())
