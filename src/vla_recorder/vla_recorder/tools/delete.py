"""Makes a dataset without some episodes."""

from __future__ import annotations

import argparse
from pathlib import Path

from vla_core.dataset.read import open_dataset
from vla_recorder.cli.command import DONE
from vla_recorder.tools.carried import carried_files
from vla_recorder.tools.choice import parse_episodes, spans
from vla_recorder.tools.output import Chosen, add_output, make_dataset


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of this verb."""
    parser.add_argument("dataset", type=Path, metavar="DIR")
    add_output(parser)
    parser.add_argument("--episodes", required=True, help="to leave out: 0,3,10-19")


def run(options: argparse.Namespace) -> int:
    """The verb."""
    dataset = open_dataset(options.dataset)
    total = len(dataset.episodes)
    gone = set(parse_episodes(options.episodes, total))
    chosen = Chosen([(dataset.episodes, at) for at in range(total) if at not in gone])
    files = carried_files(dataset.root)
    make_dataset(options.output, chosen, dataset.info, options.format, files)
    print(f"{options.output}: {len(chosen)} episodes, without {spans(gone)}")
    return DONE
