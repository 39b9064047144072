"""Makes several datasets of one: by parts of it, or by lists of episodes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vla_core.dataset.info import DatasetError
from vla_core.dataset.read import open_dataset
from vla_recorder.cli.command import DONE
from vla_recorder.tools.carried import carried_files
from vla_recorder.tools.choice import parse_episodes, spans
from vla_recorder.tools.output import (
    FORMATS,
    Chosen,
    make_dataset,
    new_folder,
)

REST = "rest"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_FRACTION = re.compile(r"0?\.\d+|0\.|1\.0*")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of this verb."""
    parser.add_argument("dataset", type=Path, metavar="DIR")
    parser.add_argument(
        "output", type=Path, metavar="OUTPUT", help="a folder with one dataset per part"
    )
    parser.add_argument(
        "--part", action="append", required=True, metavar="NAME=WHAT", dest="parts",
        help="0.9 (of the episodes, drawn), 0,3,10-19, or rest; several times",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the drawing (0)")
    parser.add_argument("--format", choices=FORMATS, help="of the output (that of the input)")


def run(options: argparse.Namespace) -> int:
    """The verb."""
    dataset = open_dataset(options.dataset)
    parts = divide(options.parts, len(dataset.episodes), options.seed)
    files = carried_files(dataset.root)
    with new_folder(options.output) as folder:
        for name, numbers in parts.items():
            chosen = Chosen([(dataset.episodes, at) for at in numbers])
            make_dataset(folder / name, chosen, dataset.info, options.format, files)
    for name, numbers in parts.items():
        print(f"{options.output / name}: {len(numbers)} episodes, {spans(numbers)}")
    return DONE


def divide(parts: Sequence[str], total: int, seed: int) -> dict[str, list[int]]:
    """Episodes by part; every episode is in exactly one.

    Fractions are of all episodes that no list names; rounding favours the first parts.

    Raises:
        DatasetError: Names or contents are none, a part would be empty, or an episode would be
            in two or in none.
    """
    whats = _whats(parts)
    found = {
        name: list(parse_episodes(what, total))
        for name, what in whats.items()
        if what != REST and not _FRACTION.fullmatch(what)
    }
    listed = [number for numbers in found.values() for number in numbers]
    fractions = {name: float(what) for name, what in whats.items() if _FRACTION.fullmatch(what)}
    free = np.random.default_rng(seed).permutation(sorted(set(range(total)) - set(listed)))
    whole = sum(fractions.values())
    if whole > 1 + 1e-9 or len(set(listed)) < len(listed):
        raise _wrong(parts, "episodes that are in two parts", "fractions of at most 1 together")
    ends = [round(len(free) * end) for end in np.cumsum(list(fractions.values()))]
    for name, first, end in zip(fractions, [0, *ends], ends, strict=False):
        found[name] = sorted(int(number) for number in free[first:end])
    left = sorted(int(number) for number in free[ends[-1] if ends else 0 :])
    rest = [name for name, what in whats.items() if what == REST]
    if len(rest) == 1:
        found[rest[0]] = left
    elif left or rest:
        raise _wrong(parts, f"{len(left)} episodes in no part", f"one part NAME={REST} for them")
    if empty := [name for name in whats if not found[name]]:
        raise _wrong(parts, f"no episode for {', '.join(empty)}", f"parts of {total} episodes")
    return {name: found[name] for name in whats}


def _whats(parts: Sequence[str]) -> dict[str, str]:
    pairs = [part.partition("=")[::2] for part in parts]
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names) or not all(_NAME.fullmatch(name) for name in names):
        raise _wrong(parts, ", ".join(names), "different names of letters, digits and . _ -")
    return dict(pairs)


def _wrong(parts: Sequence[str], found: str, allowed: str) -> DatasetError:
    return DatasetError(
        "not a division of this dataset",
        where=f"--part {' --part '.join(parts)}",
        found=found,
        allowed=allowed,
        fix="for example --part train=0.9 --part test=rest",
    )
