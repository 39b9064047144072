"""Bags to a LeRobot dataset.

Every tick t0 + n/fps takes from each stream of the contract the newest message not after it, as
the policy node does live; a tick that lacks a fresh one is counted as lost, never filled. The
dataset appears under its name when it is whole. Exit code 3 says that something was lost: what,
stands in meta/conversion.json.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from vla_core.dataset.encoding import ENCODERS, Encoding
from vla_recorder.cli.command import DONE, LOSS, outcome
from vla_recorder.convert.conversion import Request, convert
from vla_recorder.convert.engine import Engine, Local, Processes
from vla_recorder.convert.errors import ConvertError
from vla_recorder.convert.options import (
    ActionSource,
    Keys,
    Options,
    check_encoding,
    parse_crop,
    parse_size,
    parse_tolerance,
)
from vla_recorder.convert.work import Existing

VERSIONS = ("v2.1", "v3.0")
_SHOWN = 20  # losses that are printed
T = TypeVar("T")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns 0 when done, 1 when it failed, 3 when something was lost."""
    options = _parser().parse_args(argv)
    return outcome("convert", lambda: _convert(options))


def _convert(given: argparse.Namespace) -> int:
    request = Request(
        bags=tuple(given.bags),
        contract=given.contract,
        output=given.output,
        version=given.format,
        options=_options(given),
        existing=Existing(resume=given.resume, overwrite=given.overwrite, append=given.append),
    )
    try:
        lost = convert(request, _engine(given), _bar)
    except KeyboardInterrupt:
        print("convert: interrupted; go on with the same command and --resume", file=sys.stderr)
        raise
    for line in lost[:_SHOWN]:
        print(f"lost: {line}", file=sys.stderr)
    if len(lost) > _SHOWN:
        print(f"lost: and {len(lost) - _SHOWN} more", file=sys.stderr)
    print(f"wrote {given.output}; what it was made of: meta/conversion.json")
    if given.push_to_hub:
        _push(given)
    return LOSS if lost else DONE


def _push(given: argparse.Namespace) -> None:
    from vla_core.dataset.read import open_dataset
    from vla_recorder.convert.hub import push

    version = open_dataset(given.output).info.version
    print(f"published {push(given.output, given.push_to_hub, version, private=given.private)}")


def _engine(given: argparse.Namespace) -> Engine:
    if given.engine == "ray":
        from vla_recorder.convert.ray_engine import RayEngine

        return RayEngine(given.address)
    return Local() if given.workers == 1 else Processes(workers=given.workers)


def _options(given: argparse.Namespace) -> Options:
    encoding = Encoding(codec=given.codec, crf=given.crf, preset=given.preset, gop=given.gop)
    check_encoding(encoding)
    return Options(
        fps=given.fps,
        encoding=encoding,
        crop=dict(given.crop),
        resize=given.resize,
        trim_start_s=given.trim_start,
        trim_end_s=given.trim_end,
        drop_idle=given.drop_idle,
        receive_time=given.receive_time,
        tolerance_s=dict(given.tolerance),
        allow_rate=given.allow_rate,
        allow_gaps=given.allow_gaps,
        allow_contract=given.allow_contract,
        action=None if given.action is None else ActionSource(given.action),
        task=given.task,
        include_bad=given.include_bad,
        keys=Keys(given.keys),
    )


@contextmanager
def _bar(title: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    with tqdm(
        total=total, desc=title, unit=unit, unit_scale=unit == "B", disable=None, leave=False
    ) as bar:
        yield lambda amount: (bar.update(amount), None)[1]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="convert", description=__doc__)
    parser.add_argument("bags", nargs="+", type=Path, metavar="BAG", help="folder, .mcap or .db3")
    parser.add_argument("--contract", type=Path, metavar="C", help="YAML (that of the first bag)")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--format", choices=VERSIONS, help="v2.1, which openpi reads, by default")
    parser.add_argument("--keys", choices=[k.value for k in Keys], default="lerobot")
    _add_episodes(parser)
    _add_sampling(parser)
    _add_pictures(parser)
    _add_running(parser)
    return parser


def _add_episodes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("episodes")
    group.add_argument("--task", default="", help="in words, instead of what the bags say")
    group.add_argument("--include-bad", action="store_true", help="also those marked bad")
    group.add_argument("--trim-start", type=_seconds, default=0.0, metavar="S")
    group.add_argument("--trim-end", type=_seconds, default=0.0, metavar="S")
    group.add_argument(
        "--drop-idle", action="store_true", help="leave out rests beyond their first second"
    )


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sampling")
    group.add_argument("--fps", type=_rate, help="rows per second (the contract's policy rate)")
    group.add_argument(
        "--action",
        choices=[source.value for source in ActionSource],
        help="what was commanded, the command topics, or the next state (the first there is;"
        " the last only if named)",
    )
    group.add_argument("--receive-time", action="store_true", help="instead of header stamps")
    group.add_argument(
        "--tolerance",
        type=_of(parse_tolerance),
        action="append",
        default=[],
        metavar="STREAM=S",
        help="oldest age at a tick, instead of max_age_s; the stream `action`: commands",
    )
    group.add_argument("--allow-rate", action="store_true", help="rates beside the contract's")
    group.add_argument(
        "--allow-gaps", action="store_true", help="close up lost ticks (longest piece only)"
    )
    group.add_argument(
        "--allow-contract", action="store_true", help="bags of another version of the contract"
    )


def _add_pictures(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("pictures")
    group.add_argument("--codec", choices=sorted(ENCODERS), default="h264")
    group.add_argument("--crf", type=int, help="quality, lower is better (the codec's)")
    group.add_argument("--preset", help="speed, in the encoder's own words (the codec's)")
    group.add_argument("--gop", type=int, default=2, help="frames from keyframe to keyframe (2)")
    group.add_argument(
        "--crop",
        type=_of(parse_crop),
        action="append",
        default=[],
        metavar="[CAMERA=]WxH+X+Y",
    )
    group.add_argument(
        "--resize", type=_of(parse_size), metavar="WxH", help="undistorted, black around"
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    cores = len(os.sched_getaffinity(0))
    group.add_argument("--workers", type=_count, default=max(1, cores // 2), metavar="N")
    group.add_argument("--engine", choices=("local", "ray"), default="local")
    group.add_argument("--address", default="auto", metavar="A", help="of the Ray cluster")
    group.add_argument("--resume", action="store_true", help="after an interruption")
    existing = group.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace the output")
    existing.add_argument("--append", action="store_true", help="add episodes that are not in it")
    group.add_argument("--push-to-hub", default="", metavar="OWNER/NAME")
    group.add_argument("--private", action="store_true", help="on the hub")


def _of(parse: Callable[[str], T]) -> Callable[[str], T]:
    """A parser of this package for argparse."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except ConvertError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least one")
    return count


def _seconds(text: str) -> float:
    if not 0 <= (seconds := float(text)) < 1e6:
        raise argparse.ArgumentTypeError("seconds, at least 0")
    return seconds


def _rate(text: str) -> float:
    if not 0 < (rate := float(text)) <= 1000:
        raise argparse.ArgumentTypeError("above 0, at most 1000")
    return rate


if __name__ == "__main__":
    sys.exit(main())
