"""What the commands of this package share: their arguments, messages and exit codes."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable

from vla_core.errors import VlaError

DONE, FAILED, INTERRUPTED = 0, 1, 130


def outcome(command: str, work: Callable[[], int]) -> int:
    """Runs a command's work; what goes wrong on purpose is one line on stderr and exit code 1."""
    logging.basicConfig(level=logging.INFO, format=f"{command}: %(message)s", stream=sys.stderr)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    try:
        return work()
    except (VlaError, OSError) as error:
        print(f"{command}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Which checkpoint, and what is known about it beside its files."""
    parser.add_argument(
        "--checkpoint",
        required=True,
        metavar="X",
        help="directory, hf://owner/name@revision, gs://bucket/path, or a recipe's name",
    )
    parser.add_argument(
        "--recipe",
        default="",
        metavar="NAME",
        help="named policy that it belongs to: ros2 run vla_policy list",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Where and how the model runs."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="auto: bfloat16 on a GPU, else float32",
    )
