"""The scripted expert at work: episode by episode in the ALOHA simulation, recorded on request.

Between two episodes the executor is latched, so that nothing moves while the scene is laid anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.client import Client
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from vla_bringup.sim.aloha_tasks import Setup
from vla_bringup.teleop.errors import TeleopError
from vla_bringup.teleop.expert import NAMES, plan
from vla_core.chunk import ActionChunk
from vla_core.contract import Contract
from vla_core.types import FloatArray

HORIZON = 25  # actions; an expert that dies is followed no longer than these last
PATIENCE_S = 60.0
ASK_AGAIN_NS = 500_000_000
AT_START = 0.05  # rad, m
LATCHED, MOVING = "LATCHED", ("RUNNING", "DRY_RUN")  # states of the executor

Steps = Generator[None, None, None]


class ExpertSource:
    """Does a task again and again.

    Raises:
        TeleopError: The contract is not that of the ALOHA simulation.
    """

    def __init__(self, node: Node, contract: Contract, *, episodes: int, record: bool) -> None:
        if set(contract.action_names) - set(NAMES):
            raise TeleopError(
                "the expert moves the ALOHA simulation only",
                where=contract.file,
                found=", ".join(contract.action_names),
                allowed=", ".join(NAMES),
            )
        self.is_over = False
        self.succeeded = 0
        self._node, self._contract = node, contract
        self._step_ns = round(1e9 / contract.policy_rate_hz)
        self._state, self._is_done = "", False
        self._trajectory: FloatArray | None = None
        self._now_ns = self._began_ns = self._sent_ns = 0
        self._step = 0  # of the trajectory
        self._measured: FloatArray | None = None
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(
            DiagnosticStatus, "executor_node/status", self._on_status, latched
        )
        node.create_subscription(Bool, "aloha_sim/success", self._on_success, latched)
        self._estop = node.create_client(Trigger, "executor_node/estop")
        self._resume = node.create_client(Trigger, "executor_node/resume")
        self._reset = node.create_client(Trigger, "aloha_sim/reset")
        self._recorder = _Recorder(node) if record else None
        self._sequence = self._run(episodes)

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._state = message.message

    def _on_success(self, message: Bool) -> None:
        self._is_done = message.data

    def chunk(self, now_ns: int, measured: FloatArray | None) -> ActionChunk | None:
        """Go on with the episodes; the coming actions while one is played.

        Raises:
            TeleopError: Something that is needed does not answer, or refuses.
        """
        self._now_ns, self._measured = now_ns, measured
        self.is_over = next(self._sequence, True) is True
        if self._trajectory is None:
            return None
        if self._state not in MOVING:
            self._began_ns = now_ns - self._step * self._step_ns  # wait for the robot
        self._step = (now_ns - self._began_ns) // self._step_ns
        stamp_ns = self._began_ns + self._step * self._step_ns
        if stamp_ns == self._sent_ns:
            return None  # this call came a little early
        self._sent_ns = stamp_ns
        coming = np.minimum(np.arange(self._step, self._step + HORIZON), len(self._trajectory) - 1)
        return ActionChunk(
            stamp_ns=stamp_ns, step_ns=self._step_ns, actions=self._trajectory[coming]
        )

    def close(self) -> None:
        """Nothing to give back."""

    def _run(self, episodes: int) -> Steps:
        for number in range(episodes):
            yield from self._episode(number)
        self._node.get_logger().info(f"done episodes={episodes} succeeded={self.succeeded}")

    def _episode(self, number: int) -> Steps:
        yield from self._ask(self._estop)
        yield from self._until(lambda: self._state == LATCHED, "the executor is latched")
        answer = yield from self._ask(self._reset)
        setup = Setup.parse(answer.message)
        trajectory = plan(setup, self._contract.action_names, self._contract.policy_rate_hz)
        yield from self._until(lambda: self._is_at(trajectory[0]), "the arms are at their start")
        yield from self._ask(self._resume)
        yield from self._until(lambda: self._state != LATCHED, "the executor has resumed")
        if self._recorder is not None:
            yield from self._ask(self._recorder.start)
        self._trajectory, self._step, self._began_ns = trajectory, 0, self._now_ns
        yield from self._until(
            lambda: self._step >= len(trajectory) or self._state == LATCHED,
            "the trajectory has been played",
        )
        succeeded = self._is_done and self._state != LATCHED
        if self._recorder is not None:
            yield from self._ask(self._recorder.stop)
            yield from self._label(self._recorder.label_success, succeeded)
        self._trajectory = None
        self.succeeded += succeeded
        self._node.get_logger().info(f"episode={number} {setup} success={succeeded}")

    def _label(self, client: Client, succeeded: bool) -> Steps:
        """Label the episode; a recorder refuses while it is still ending it on a slow disk."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                yield from self._ask(client, SetBool.Request(data=succeeded))
                return
            except TeleopError:
                if time.monotonic() > deadline_s:
                    raise
            again_ns = self._now_ns + ASK_AGAIN_NS
            while self._now_ns < again_ns:
                yield

    def _is_at(self, pose: FloatArray) -> bool:
        return self._measured is not None and np.allclose(self._measured, pose, atol=AT_START)

    def _until(self, happened: Callable[[], bool], what: str) -> Steps:
        deadline_s = time.monotonic() + PATIENCE_S
        while not happened():
            if time.monotonic() > deadline_s:
                raise TeleopError("it did not come", found=f"{PATIENCE_S:g} s", allowed=what)
            yield

    def _ask(self, client: Client, request: Any = None) -> Generator[None, None, Any]:
        """What a service answers."""
        name = client.service_name
        yield from self._until(client.service_is_ready, f"a service {name}")
        future = client.call_async(client.srv_type.Request() if request is None else request)
        yield from self._until(future.done, f"an answer of {name}")
        answer = future.result()
        if not answer.success:
            raise TeleopError("a request was refused", where=name, found=answer.message)
        return answer


class _Recorder:
    def __init__(self, node: Node) -> None:
        self.start = node.create_client(Trigger, "episode_recorder/start")
        self.stop = node.create_client(Trigger, "episode_recorder/stop")
        self.label_success = node.create_client(SetBool, "episode_recorder/label_success")
