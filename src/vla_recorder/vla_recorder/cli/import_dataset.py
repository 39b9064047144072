"""Makes a LeRobot dataset of recordings in other formats: ALOHA's HDF5, LIBERO's HDF5 and RLDS.

The format is found by looking into the files. What is damaged is left out, counted and listed in
meta/import.json; the command then ends with 3.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from vla_core.contract import load_contract
from vla_core.dataset.encoding import ENCODERS, Encoding
from vla_core.dataset.files import check_output
from vla_recorder.cli.command import DONE, LOSS, outcome
from vla_recorder.importers.dataset import MANIFEST, ImportOptions, import_dataset
from vla_recorder.importers.recording import ReadOptions, Recording
from vla_recorder.importers.sources import recordings

COMMAND = "import_dataset"
_SHOWN = 20  # losses


def main(argv: list[str] | None = None) -> int:
    """Entry point; 0 done, 1 failed, 2 wrong usage, 3 done without what is damaged."""
    options = _parser().parse_args(argv)
    return outcome(COMMAND, lambda: _import(options))


def _import(options: argparse.Namespace) -> int:
    check_output(options.output, overwrite=options.overwrite, sources=options.sources)
    read = ReadOptions(
        task=options.task, swap_red_blue=options.swap_red_blue, base=not options.no_base
    )
    contract = load_contract(options.contract) if options.contract else None
    made = import_dataset(
        recordings(options.sources, read),
        options.output,
        ImportOptions(
            version=options.format,
            fps=options.fps,
            contract=contract,
            encoding=Encoding(codec=options.codec, crf=options.crf, preset=options.preset),
            lossless=options.lossless,
            openpi=options.keys == "openpi",
            overwrite=options.overwrite,
        ),
        _progress,
    )
    print(f"wrote {options.output}: {made.episodes} episodes, {made.frames} frames")
    for loss in made.losses[:_SHOWN]:
        count = "episodes" if loss.episodes is None else f"{loss.episodes} episodes"
        print(f"lost {count}: {loss.where}: {loss.what}", file=sys.stderr)
    if made.losses:
        more = f"{len(made.losses)} losses, all in {options.output / MANIFEST}"
        print(f"{COMMAND}: {more}", file=sys.stderr)
    return LOSS if made.losses else DONE


def _progress(episodes: Sequence[Recording]) -> Iterable[Recording]:
    bar: Iterable[Recording] = tqdm(episodes, unit="episode", disable=None)
    return bar


def _fps(text: str) -> float:
    fps = float(text)
    if not 0 < fps <= 1000:
        raise ValueError
    return fps


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument(
        "sources", metavar="SOURCE", nargs="+", type=Path, help="files, or folders of them"
    )
    parser.add_argument("--output", required=True, metavar="DIR", type=Path)
    parser.add_argument("--overwrite", action="store_true", help="replace DIR when all is done")
    parser.add_argument("--format", choices=("v2.1", "v3.0"), default="v2.1")
    parser.add_argument(
        "--fps", type=_fps, metavar="HZ", help="the contract's, else 50 (ALOHA), 10 (LIBERO)"
    )
    parser.add_argument("--task", metavar="TEXT", help="of every episode; needed for ALOHA")
    parser.add_argument(
        "--contract", metavar="YAML", help="gives the names; only its cameras are taken"
    )
    parser.add_argument(
        "--keys",
        choices=("lerobot", "openpi"),
        default="lerobot",
        help="openpi: state, actions, image, wrist_image; ALOHA's stay as they are",
    )
    parser.add_argument(
        "--no-base",
        action="store_true",
        help="leave a base's velocities out of the action",
    )
    parser.add_argument(
        "--swap-red-blue",
        action="store_true",
        help="exchange them: JPEGs of Mobile ALOHA's own recorder need it",
    )
    parser.add_argument("--codec", choices=sorted(ENCODERS), default="h264")
    parser.add_argument("--crf", type=int, metavar="N", help="lower is better (the codec's own)")
    parser.add_argument("--preset", metavar="NAME", help="of the encoder")
    parser.add_argument(
        "--lossless", action="store_true", help="PNG in the tables instead of videos"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
