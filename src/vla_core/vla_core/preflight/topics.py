"""Who is on the topics: types, quality of service, contents, and company on the commands."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from vla_core.contract import ActionGroup, Camera, Stream
from vla_core.preflight.findings import Finding, Level
from vla_core.preflight.measured import CommandMeasured, Endpoint, SourceMeasured

EXECUTOR = "executor_node"


def judge_topic(source: Stream | Camera, measured: SourceMeasured) -> Iterator[Finding]:
    """Whether messages that can be read arrive."""
    where, publishers = source.topic, measured.publishers
    if not publishers and not measured.arrivals:
        yield _absent(source, measured.elsewhere)
        return
    fitting = [one for one in publishers if one.type == source.type]
    if publishers and not fitting:
        found = f"{_types(publishers)} of {_names(publishers)}; the contract says {source.type}"
        advice = f"correct the type of {source.name} in the contract, or name another topic"
        yield _finding(Level.FAIL, where, found, advice)
        return
    for one in publishers:
        if one.refusal:
            advice = f"change the quality of service of {one.node}: sensor data profile"
            yield _finding(Level.FAIL, where, f"{one.node}: {one.refusal}", advice)
    if measured.refusal is not None and not measured.arrivals:
        yield from _judge_contents(source, measured)
        return
    if not measured.arrivals:
        found = f"no message of {_names(publishers)} has arrived"
        advice = (
            "see whether `ros2 topic hz` receives it; if so, restart the driver, or look at the"
            " DDS profile"
        )
        yield _finding(Level.FAIL, where, found, advice)
        return
    yield from _judge_contents(source, measured)
    yield _present(source, publishers)


def _present(source: Stream | Camera, publishers: tuple[Endpoint, ...]) -> Finding:
    found = f"{source.type} of {_names(publishers) or 'a node that has left'}"
    if len(publishers) < 2:
        return _finding(Level.PASS, source.topic, found)
    advice = "two drivers on one topic are told apart by nothing but luck: give each its own topic"
    return _finding(Level.WARN, source.topic, f"{len(publishers)} publishers: {found}", advice)


def _absent(source: Stream | Camera, elsewhere: tuple[str, ...]) -> Finding:
    near = get_close_matches(source.topic, elsewhere, n=2, cutoff=0.3) or elsewhere[:2]
    advice = "start its driver, and check ROS_DOMAIN_ID"
    if near:
        advice += f"; or name another topic of this type in the contract: {', '.join(near)}"
    return _finding(Level.FAIL, source.topic, "nobody publishes here", advice)


def _judge_contents(source: Stream | Camera, measured: SourceMeasured) -> Iterator[Finding]:
    error = measured.refusal
    if error is None:
        return
    is_all = measured.refused == len(measured.arrivals)
    parts = [f"{'all' if is_all else measured.refused} messages refused: {error.what}"]
    parts += [f"found {error.found}"] if str(error.found) else []
    parts += [f"expected {error.allowed}"] if str(error.allowed) else []
    advice = error.fix or "correct this topic in the contract, or its driver"
    level = Level.FAIL if is_all else Level.WARN
    yield Finding(
        level=level, check="contents", where=source.topic, found="; ".join(parts), advice=advice
    )


def judge_command(
    group: ActionGroup, measured: CommandMeasured, *, alone: bool
) -> Iterator[Finding]:
    """Whether somebody listens, and nobody else commands."""
    where, listening = group.topic, measured.subscribers
    wrong = [one for one in listening if one.type != group.type]
    if not listening:
        advice = "start the controller that takes these commands, or correct the topic"
        yield _command(Level.FAIL, where, "nobody listens here", advice)
    elif len(wrong) == len(listening):
        found = f"{_names(listening)} takes {_types(listening)}; the contract says {group.type}"
        yield _command(Level.FAIL, where, found, "correct the type of this action group")
    elif refusals := [f"{one.node}: {one.refusal}" for one in listening if one.refusal]:
        advice = "let the controller accept a reliable, volatile publisher"
        yield _command(Level.FAIL, where, "; ".join(refusals), advice)
    else:
        yield _command(Level.PASS, where, f"{_names(listening)} listens")
    if measured.publishers:
        yield _company(where, measured.publishers, alone=alone)


def _company(where: str, publishers: tuple[Endpoint, ...], *, alone: bool) -> Finding:
    """One executor may be ours, for preflight can be run beside it, unless ours comes later."""
    found = f"commanded already by {_names(publishers)}"
    is_executor = publishers[0].node.rpartition("/")[2] == EXECUTOR
    if len(publishers) == 1 and is_executor and not alone:
        return _command(Level.WARN, where, found, "stop it before another executor is started")
    return _command(Level.FAIL, where, found, "stop it: two streams of commands tear a robot")


def _names(endpoints: tuple[Endpoint, ...]) -> str:
    return ", ".join(sorted({endpoint.node for endpoint in endpoints}))


def _types(endpoints: tuple[Endpoint, ...]) -> str:
    return ", ".join(sorted({endpoint.type for endpoint in endpoints}))


def _finding(level: Level, where: str, found: str, advice: str = "") -> Finding:
    return Finding(level=level, check="topic", where=where, found=found, advice=advice)


def _command(level: Level, where: str, found: str, advice: str = "") -> Finding:
    return Finding(level=level, check="command", where=where, found=found, advice=advice)
