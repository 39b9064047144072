"""The figures of the demo, from messages as a running system sends them."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from sensor_msgs.msg import Image, JointState
from sim_contract import SMALL
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_bringup.demo.observed import Observed
from vla_bringup.demo.progress import Progress, describe
from vla_bringup.demo.recorder import CHUNKS, COMMANDED
from vla_bringup.demo.summary import summarise, surroundings, table
from vla_core.chunk import ActionChunk, encode_chunk
from vla_core.contract import parse_contract

S = 1_000_000_000
MS = S // 1000
START = 1_000 * S


@pytest.fixture
def observed() -> Observed:
    return Observed(parse_contract(SMALL), "put it there")


def info(sent_ns: int, number: int = 1, received_ns: int = 0) -> dict[str, int]:
    return {
        "source_timestamp": sent_ns,
        "received_timestamp": received_ns or sent_ns,
        "publication_sequence_number": number,
    }


def status(message: str, name: str = "executor_node", **values: object) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(name=name, message=message, values=pairs)


def begin(observed: Observed, at_ns: int = START) -> None:
    observed.on_status(status("RUNNING", cause=""), info(at_ns))


def diagnose(observed: Observed, name: str, values: dict[str, object]) -> None:
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    observed.on_diagnostics(DiagnosticArray(status=[DiagnosticStatus(name=name, values=pairs)]))


def command(observed: Observed, sent_ns: int, number: int) -> None:
    message = JointState(position=[0.1, -1.5, 0.5])
    observed.flow(COMMANDED).add(info(sent_ns, number))
    observed.on_commanded(message, info(sent_ns, number))


def chunk_message(observed: Observed, stamp_ns: int) -> Any:
    chunk = ActionChunk(stamp_ns=stamp_ns, step_ns=100 * MS, actions=np.full((10, 3), 0.25))
    names = observed.contract.action_names
    return encode_chunk(chunk, names, JointTrajectory(), JointTrajectoryPoint)


def test_nothing_heard_is_unknown_and_not_zero(observed: Observed) -> None:
    summary = summarise(observed)
    assert summary["real_time_factor"] == {"mean": None, "min": None, "lost_time_s": None}
    assert summary["inference"]["count"] is None
    assert summary["commands"]["limited"] is None
    assert summary["commands"]["jitter_ms"] == {"p50": None, "p99": None}
    assert summary["commands"]["count"] == 0
    json.dumps(summary, allow_nan=False)


def test_rates_and_jitter_come_from_the_times_of_sending(observed: Observed) -> None:
    begin(observed)
    for k in range(101):  # 50 Hz, every other command 1 ms late
        command(observed, START + k * 20 * MS + (k % 2) * MS, k + 1)
    commands = summarise(observed)["commands"]
    assert commands["count"] == 101
    assert commands["rate_hz"] == pytest.approx(50.0)
    assert commands["jitter_ms"] == {"p50": 1.0, "p99": 1.0}


def test_a_message_lost_on_the_way_to_the_demo_is_counted_and_is_no_jitter(
    observed: Observed,
) -> None:
    begin(observed)
    for number in (1, 2, 3, 7, 8):
        command(observed, START + number * 20 * MS, number)
    summary = summarise(observed)
    assert summary["messages_lost"]["demo"][COMMANDED] == 3
    assert summary["commands"]["jitter_ms"]["p99"] == 0.0


def test_figures_begin_with_the_first_executed_chunk(observed: Observed) -> None:
    observed.on_status(status("HOLDING", cause="waiting"), info(START - 5 * S))
    for k in range(10):
        observed.flow("front").add(info(START - 9 * S + k * S, k))
    diagnose(observed, "aloha_sim", {"real_time_factor": 0.2})
    begin(observed)
    diagnose(observed, "aloha_sim", {"real_time_factor": 0.9})
    diagnose(observed, "aloha_sim", {"real_time_factor": 1.0})
    for k in range(31):
        observed.flow("front").add(info(START + k * S // 20, 10 + k))
    summary = summarise(observed)
    assert observed.began_ns == START
    assert summary["observation_rate_hz"]["front"] == pytest.approx(20.0)
    assert summary["real_time_factor"]["mean"] == pytest.approx(0.95)
    assert summary["real_time_factor"]["min"] == 0.9
    assert summary["holds"] == 0


def test_holds_and_latches_after_the_start_are_counted_once_each(observed: Observed) -> None:
    begin(observed)
    for state, cause in (
        ("HOLDING", "a stream is stale"),
        ("HOLDING", "another one too"),
        ("RUNNING", ""),
        ("HOLDING", "the action chunk has ended"),
        ("LATCHED", "held for more than 1 s"),
    ):
        observed.on_status(status(state, cause=cause), info(START + S))
    summary = summarise(observed)
    assert (summary["holds"], summary["latches"]) == (2, 1)
    assert "held for more than 1 s" in describe(observed, START + 2 * S, 20.0)


def test_the_delay_of_a_chunk_is_from_its_observation_to_its_arrival(observed: Observed) -> None:
    for delay_ms in (100, 200, 300):
        message = chunk_message(observed, START)
        observed.on_chunk(message, info(START, received_ns=START + delay_ms * MS))
    assert summarise(observed)["observation_to_chunk_ms"]["p50"] == 200.0
    assert observed.view(START + 500 * MS).chunk_age_ms == 500.0
    assert observed.view(START + 2 * S).chunk_age_ms is None, "the chunk has ended"


def test_a_withdrawn_chunk_is_no_longer_shown(observed: Observed) -> None:
    observed.on_chunk(chunk_message(observed, START), info(START))
    assert observed.view(START + MS).joints[0].chunk.times_s.size > 5
    observed.on_chunk(JointTrajectory(), info(START))
    assert observed.view(START + MS).joints[0].chunk.times_s.size == 0


def test_the_chunk_is_shown_from_now_on(observed: Observed) -> None:
    observed.on_chunk(chunk_message(observed, START), info(START))
    times_s = observed.view(START + 450 * MS).joints[0].chunk.times_s
    assert times_s[0] == 0.0
    assert times_s[-1] == pytest.approx(0.45)


def test_the_nodes_own_figures_are_taken_over(observed: Observed) -> None:
    diagnose(observed, "robot1/policy_node", {"inferences": 12, "latency_p50_ms": "80.5"})
    executor = {"chunks_received": 14, "chunks_refused": 1, "ticks_missed": 3, "lost/arm": 2}
    diagnose(observed, "executor_node", executor)
    summary = summarise(observed)
    assert summary["inference"] == {"count": 12, "latency_ms": {"p50": 80.5, "p99": None}}
    assert summary["chunks"]["received"] == 14
    assert summary["chunks"]["refused"] == 1
    assert summary["chunks"]["withdrawn"] == 0, "a counter is named once it has counted"
    assert summary["commands"]["ticks_missed"] == 3
    assert summary["messages_lost"]["executor_node"] == {"arm": 2}


def test_damaged_messages_are_counted_and_nothing_else(observed: Observed) -> None:
    stream = observed.contract.streams[0]
    observed.on_stream(stream, JointState(name=["j1"], position=[0.0]), info(START))
    observed.on_chunk(JointTrajectory(points=[JointTrajectoryPoint()] * 2), info(START))
    assert summarise(observed)["messages_unreadable"] == 2


def test_an_image_that_is_not_the_contracts_is_counted_once_and_not_drawn(
    observed: Observed,
) -> None:
    observed.on_image(observed.contract.cameras[0], Image(encoding="bgr8", width=2, height=2))
    assert [observed.view(START).images for _ in range(3)] == [{}] * 3
    assert observed.unreadable == 1


def test_measured_and_commanded_joints_are_shown_by_name(observed: Observed) -> None:
    message = JointState(name=["j2", "j1"], position=[-1.25, 0.5])
    observed.on_stream(observed.contract.streams[0], message, info(START))
    command(observed, START, 1)
    shown = {traces.joint.name: traces for traces in observed.view(START + S).joints}
    assert shown["elbow"].measured.values.tolist() == [-1.25]
    assert shown["elbow"].commanded.values.tolist() == [-1.5]
    assert shown["elbow"].measured.times_s.tolist() == [-1.0]
    assert shown["gripper"].measured.values.size == 0


def test_histories_do_not_grow(observed: Observed) -> None:
    for k in range(5000):
        command(observed, START + k * 20 * MS, k)
    assert observed.view(START + 100 * S).joints[0].commanded.values.size < 200


def test_the_table_has_a_line_for_each_figure(observed: Observed) -> None:
    begin(observed)
    observed.flow(CHUNKS).add(info(START))
    summary = {**summarise(observed), "start_to_first_chunk_s": 12.5, "cpu_cores": {"demo": 0.25}}
    lines = table(summary).splitlines()
    assert any("first chunk" in line and "12.5" in line for line in lines)
    assert any("CPU" in line and "demo 0.25" in line for line in lines)
    assert all(line.strip() for line in lines)


def test_the_surroundings_are_named(tmp_path: Path) -> None:
    found = surroundings(tmp_path)
    assert found["versions"]["commit"] is None
    assert found["versions"]["torch"]
    assert found["machine"]["cores"] >= 1


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_and_a_log_a_line_each_time(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr("vla_bringup.demo.progress.PERIOD_S", {True: 0.0, False: 0.0})
    screen, log = Terminal(), StringIO()
    for out in (screen, log):
        for _ in range(3):
            Progress(20.0, out).show(observed, START)
    assert "\n" not in screen.getvalue()
    assert max(len(part) for part in screen.getvalue().split("\r\x1b[K")) == 19
    assert log.getvalue() == "STARTING waiting for the nodes\n" * 3
