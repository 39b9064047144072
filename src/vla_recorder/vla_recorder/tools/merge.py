"""Makes one dataset of several whose features agree."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from vla_core.dataset.info import DatasetError, DatasetInfo
from vla_core.dataset.read import Dataset, open_dataset
from vla_recorder.cli.command import DONE
from vla_recorder.tools.carried import merged_files
from vla_recorder.tools.compare import differences
from vla_recorder.tools.contract_file import HASH_KEY
from vla_recorder.tools.output import Chosen, add_output, every, make_dataset


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of this verb."""
    parser.add_argument("datasets", type=Path, nargs="+", metavar="DIR", help="at least two")
    add_output(parser)
    parser.add_argument(
        "--drop-contract", action="store_true",
        help="merge recordings of different contracts; the output has none",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """The verb."""
    datasets = [open_dataset(root) for root in options.datasets]
    info = agreed(datasets, drop_contract=options.drop_contract)
    chosen = Chosen([place for dataset in datasets for place in every(dataset.episodes)])
    files = merged_files(options.datasets, contract=not options.drop_contract)
    make_dataset(options.output, chosen, info, options.format, files)
    print(f"{options.output}: {len(chosen)} episodes of {len(datasets)} datasets")
    return DONE


def agreed(datasets: list[Dataset], *, drop_contract: bool) -> DatasetInfo:
    """The one description of all; of the other keys of ``info.json`` those that are equal.

    Raises:
        DatasetError: They do not agree; it names every difference.
    """
    first = datasets[0]
    if len(datasets) < 2:
        raise DatasetError(
            "nothing to merge", where=str(first.root), allowed="two datasets or more"
        )
    extra = dict(first.info.extra)
    for other in datasets[1:]:
        found = differences(first.info, other.info)
        ours, theirs = first.info.extra.get(HASH_KEY), other.info.extra.get(HASH_KEY)
        if ours != theirs and not drop_contract:
            found.append(f"contract: sha256 {ours} here, {theirs} there (--drop-contract)")
        if found:
            raise DatasetError(
                "the datasets do not agree",
                where=f"here {first.root}, there {other.root}",
                found="; ".join(found),
                allowed="the same rate, robot, features, names and contract",
            )
        extra = {k: v for k, v in extra.items() if other.info.extra.get(k, object()) == v}
    return replace(first.info, extra=extra)
