"""The order in which the expert works: latch, lay anew, resume, record, play, stop, label."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sim_contract
from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Bool

from vla_bringup.sim.aloha_robot import START_ARM_RAD, gripper_from_finger
from vla_bringup.teleop import episodes
from vla_bringup.teleop.episodes import ExpertSource
from vla_bringup.teleop.errors import TeleopError
from vla_core.chunk import ActionChunk
from vla_core.contract import load_contract, parse_contract

ALOHA = load_contract(next(path for path in sim_contract.FILES if path.stem == "aloha"))
START = np.array([*START_ARM_RAD, gripper_from_finger(0.02239)] * 2)
TICK_NS = 20_000_000


class System:
    """Stands in for executor, simulation and recorder; keeps what was asked for, in order."""

    def __init__(self, *, refuses: str = "", times: int = 10**9) -> None:
        self.asked: list[str] = []
        self._hear: dict[str, Any] = {}
        self._refuses, self._times = refuses, times
        self.measured = START + 1.0
        self.now_ns = 10**12

    def create_subscription(self, _kind: Any, topic: str, heard: Any, _qos: Any) -> None:
        self._hear[topic] = heard

    def create_client(self, _kind: Any, name: str) -> Any:
        return Service(self, name)

    def get_logger(self) -> Any:
        return Service(self, "log")

    def tell(self, state: str) -> None:
        self._hear["executor_node/status"](DiagnosticStatus(message=state))

    def succeed(self) -> None:
        self._hear["aloha_sim/success"](Bool(data=True))

    def answer(self, name: str, request: Any) -> Any:
        self.asked.append(f"{name} {request.data}" if hasattr(request, "data") else name)
        if name == "executor_node/estop":
            self.tell("LATCHED")
        if name == "executor_node/resume":
            self.tell("HOLDING")
        if name == "aloha_sim/reset":
            self.measured = START
        response = Service(self, name)
        response.success = name != self._refuses or self._times <= 0
        self._times -= name == self._refuses
        response.message = "task=transfer_cube seed=3"
        return response

    def tick(self, source: ExpertSource) -> ActionChunk | None:
        self.now_ns += TICK_NS
        return source.chunk(self.now_ns, self.measured)


class Service:
    """A client, its future and a logger."""

    def __init__(self, system: System, name: str) -> None:
        self._system, self.service_name = system, name
        self.srv_type = type("Kind", (), {"Request": type("Request", (), {})})
        self.success, self.message = True, ""

    def service_is_ready(self) -> bool:
        return True

    def call_async(self, request: Any) -> Any:
        answer = self._system.answer(self.service_name, request)
        return type("Future", (), {"done": lambda _: True, "result": lambda _: answer})()

    def info(self, text: str) -> None:
        pass


def play_until_over(system: System, source: ExpertSource) -> list[ActionChunk]:
    chunks = []
    for _ in range(5000):
        chunk = system.tick(source)
        if chunk is not None:
            chunks.append(chunk)
            system.tell("RUNNING")
        if source.is_over:
            return chunks
    raise AssertionError("the episode did not end")


def test_an_episode_is_recorded_from_its_start_to_its_label() -> None:
    system = System()
    source = ExpertSource(system, ALOHA, episodes=1, record=True)
    chunks = play_until_over(system, source)
    assert system.asked == [
        *("executor_node/estop", "aloha_sim/reset", "executor_node/resume"),
        *("episode_recorder/start", "episode_recorder/stop"),
        "episode_recorder/label_success False",
    ]
    np.testing.assert_allclose(chunks[0].actions[0], START, atol=1e-9)
    stamps_ns = [chunk.stamp_ns for chunk in chunks]
    assert stamps_ns == sorted(set(stamps_ns))
    following = [chunk.actions[1] for chunk in chunks[1:-1]]
    np.testing.assert_array_equal(following, [chunk.actions[0] for chunk in chunks[2:]])


def test_what_succeeded_is_labelled_so() -> None:
    system = System()
    source = ExpertSource(system, ALOHA, episodes=2, record=True)
    system.succeed()
    play_until_over(system, source)
    assert system.asked.count("episode_recorder/label_success True") == 2
    assert source.succeeded == 2


def test_the_expert_waits_while_the_executor_holds() -> None:
    system = System()
    source = ExpertSource(system, ALOHA, episodes=1, record=False)
    system.tick(source)
    waiting = [system.tick(source) for _ in range(5)]
    for chunk in waiting[1:]:
        assert chunk is not None
        np.testing.assert_allclose(chunk.actions[0], START, atol=1e-9)
    system.tell("RUNNING")
    for _ in range(50):
        before = system.tick(source)
    system.tell("HOLDING")
    held = [system.tick(source) for _ in range(20)]
    assert before is not None
    for chunk in held:
        assert chunk is not None
        np.testing.assert_array_equal(chunk.actions, before.actions)


def test_an_executor_that_latches_ends_the_episode_as_a_failure() -> None:
    system = System()
    source = ExpertSource(system, ALOHA, episodes=1, record=True)
    system.succeed()
    for _ in range(5):
        system.tick(source)
    system.tell("LATCHED")
    play_until_over(system, source)
    assert system.asked[-1] == "episode_recorder/label_success False"


def test_a_recorder_that_refuses_ends_the_work_with_its_name() -> None:
    system = System(refuses="episode_recorder/start")
    source = ExpertSource(system, ALOHA, episodes=1, record=True)
    with pytest.raises(TeleopError, match="episode_recorder/start"):
        play_until_over(system, source)


def test_a_label_that_comes_too_early_is_asked_again() -> None:
    system = System(refuses="episode_recorder/label_success", times=3)
    source = ExpertSource(system, ALOHA, episodes=2, record=True)
    system.succeed()
    play_until_over(system, source)
    assert system.asked.count("episode_recorder/label_success True") == 3 + 2
    assert source.succeeded == 2


def test_a_label_that_is_always_refused_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(refuses="episode_recorder/label_success")
    clock = SimpleNamespace(monotonic=lambda: system.now_ns / 1e9)
    monkeypatch.setattr(episodes, "time", clock)
    source = ExpertSource(system, ALOHA, episodes=1, record=True)
    with pytest.raises(TeleopError, match="episode_recorder/label_success"):
        play_until_over(system, source)


def test_another_robot_is_refused() -> None:
    with pytest.raises(TeleopError, match="ALOHA simulation only"):
        ExpertSource(System(), parse_contract(sim_contract.SMALL), episodes=1, record=False)
