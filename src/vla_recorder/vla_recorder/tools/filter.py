"""Makes a dataset of the episodes that have some label, task or length."""

from __future__ import annotations

import argparse
from collections import defaultdict
from fnmatch import fnmatchcase
from pathlib import Path

from vla_core.dataset.episode import Episode
from vla_core.dataset.read import open_dataset
from vla_recorder.cli.command import DONE
from vla_recorder.tools.carried import carried_files
from vla_recorder.tools.choice import spans
from vla_recorder.tools.info import LABELS, label
from vla_recorder.tools.output import Chosen, add_output, make_dataset


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of this verb."""
    parser.add_argument("dataset", type=Path, metavar="DIR")
    add_output(parser)
    parser.add_argument(
        "--label", action="append", choices=LABELS, help="keep these; may be given several times"
    )
    parser.add_argument(
        "--task", action="append", metavar="PATTERN",
        help="keep episodes with such a task, as 'pick *'; may be given several times",
    )  # fmt: skip
    parser.add_argument("--min-s", type=float, default=0.0, help="keep episodes at least as long")
    parser.add_argument("--max-s", type=float, default=float("inf"), help="... at most as long")


def run(options: argparse.Namespace) -> int:
    """The verb; says which episodes are left out, and why."""
    dataset = open_dataset(options.dataset)
    kept: list[int] = []
    gone: dict[str, list[int]] = defaultdict(list)
    for number, episode in enumerate(dataset.episodes):
        if reason := refusal(episode, dataset.info.fps, options):
            gone[reason].append(number)
        else:
            kept.append(number)
    chosen = Chosen([(dataset.episodes, at) for at in kept])
    for reason, numbers in gone.items():
        print(f"left out, {reason}: {spans(numbers)}")
    files = carried_files(dataset.root)
    make_dataset(options.output, chosen, dataset.info, options.format, files)
    print(f"{options.output}: {len(kept)} of {len(dataset.episodes)} episodes")
    return DONE


def refusal(episode: Episode, fps: float, options: argparse.Namespace) -> str:
    """Why an episode is not kept; empty when it is."""
    if options.label and (found := label(episode)) not in options.label:
        return f"label {found}"
    patterns = [pattern.casefold() for pattern in options.task or ()]
    texts = [task.casefold() for task in episode.tasks]
    if patterns and not any(fnmatchcase(text, pattern) for text in texts for pattern in patterns):
        return "another task"
    if not options.min_s <= episode.length / fps <= options.max_s:
        return "shorter or longer"
    return ""
