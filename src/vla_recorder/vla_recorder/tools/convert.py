"""Writes a dataset in another version of the format, or under other names."""

from __future__ import annotations

import argparse
from pathlib import Path

from vla_core.dataset.read import open_dataset
from vla_recorder.cli.command import DONE
from vla_recorder.key_names import openpi_names
from vla_recorder.tools.convert_version import convert_version
from vla_recorder.tools.output import FORMATS, refuse_existing

_KEYS = ("same", "openpi")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of this verb."""
    parser.add_argument("dataset", type=Path, metavar="DIR", help="of version 2.0, 2.1 or 3.0")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="must not exist")
    parser.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0], help="of the output (v2.1)"
    )
    parser.add_argument(
        "--keys", choices=_KEYS, default="same", help="names of the features (same)"
    )


def run(options: argparse.Namespace) -> int:
    """The verb."""
    refuse_existing(options.output)
    names = {}
    if options.keys == "openpi":
        names = openpi_names(open_dataset(options.dataset).info.features)
    made = convert_version(options.dataset, options.output, version=options.format, names=names)
    print(f"{options.output}: {len(made.episodes)} episodes, {options.format}")
    return DONE
