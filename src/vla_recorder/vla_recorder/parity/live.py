"""Plays a bag to a policy node of its own, tick by tick, on simulated time.

At each tick the node has received all that is stamped up to then, as on a robot whose messages
take no time; what it then sees is in its ``inputs_dir``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock

from vla_core.contract import Contract
from vla_core.errors import VlaError
from vla_policy.nodes.messages import message_class
from vla_recorder.convert.sources import sensors

SETTLE_S = 0.05  # after an answer, until the node can be asked again
ANSWER_S = 3.0  # a tick that the node has not answered by then has no observation
START_S = 120.0  # a large checkpoint takes its time
POLICY = "policy_node"


class ParityError(VlaError):
    """The two sides cannot be compared."""

    code = "PARITY"


class PolicyProcess:
    """A policy node on a domain of its own, which writes what its model sees.

    Args:
        contract: Path of the contract.
        checkpoint: As of the launch files.
        prompt: The task.
        period_ns: From inference to inference.
        folder: For the inputs and the log.
        domain: ROS domain; nobody else may be there.
    """

    def __init__(
        self,
        *,
        contract: Contract,
        checkpoint: str,
        prompt: str,
        period_ns: int,
        folder: Path,
        domain: int,
    ) -> None:
        self.inputs, self._log = folder / "inputs", folder / "policy_node.log"
        self._node = _own_node(domain)
        self._clock = self._node.create_publisher(Clock, "/clock", QoSProfile(depth=1))
        self._sources = sorted(sensors(contract), key=lambda source: -source.max_age_s)
        self._publishers = {
            source.topic: self._node.create_publisher(
                message_class(source.type), source.topic, QoSProfile(depth=100)
            )
            for source in self._sources
        }
        given = {
            "use_sim_time": "true",
            "autostart": "true",
            "contract": contract.file,
            "checkpoint": checkpoint,
            "prompt": json.dumps(prompt),
            "inference_rate_hz": repr(1e9 / period_ns),
            "inputs_dir": str(self.inputs),
        }
        options = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["ros2", "run", "vla_policy", POLICY, "--ros-args", *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
                start_new_session=True,
            )

    def __enter__(self) -> PolicyProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number in (signal.SIGINT, signal.SIGKILL):
            if self._process.poll() is None:
                os.killpg(self._process.pid, number)
                with_time = 10.0 if number is signal.SIGINT else None
                try:
                    self._process.wait(with_time)
                except subprocess.TimeoutExpired:
                    continue
        self._node.destroy_node()
        rclpy.try_shutdown()

    def wait_ready(self, time_ns: int) -> None:
        """Until it listens to all topics, and its clock shows this time.

        Raises:
            ParityError: It ended, or took too long.
        """
        deadline_s = time.monotonic() + START_S
        while not all(p.get_subscription_count() for p in self._publishers.values()):
            self._check(deadline_s)
            self._set_clock(time_ns)
            time.sleep(0.2)
        self._set_clock(time_ns)
        time.sleep(1.0)  # autostart activates right after it has subscribed

    def tick(self, time_ns: int, messages: Iterable[tuple[str, bytes]]) -> Path | None:
        """Hand over what is stamped up to a time, then let it be that time.

        Args:
            time_ns: A multiple of the period.
            messages: Topic and serialised message.

        Returns:
            The file of what the model saw; None when it had no observation.
        """
        time.sleep(SETTLE_S)
        heard = list(messages)
        # Time to arrive: half of what a message may be old by its receipt.
        for source, after in zip(self._sources, [*self._sources[1:], None], strict=True):
            for topic, data in heard:
                if topic == source.topic:
                    self._publishers[topic].publish(data)
            time.sleep((source.max_age_s - (after.max_age_s if after else 0)) / 2)
        self._set_clock(time_ns)
        file = self.inputs / f"{time_ns}.npz"
        deadline_s = time.monotonic() + ANSWER_S
        while not file.exists():
            if time.monotonic() > deadline_s:
                self._check(float("inf"))
                return None
            time.sleep(0.005)
        return file

    def _set_clock(self, time_ns: int) -> None:
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(time_ns, 10**9)
        self._clock.publish(message)

    def _check(self, deadline_s: float) -> None:
        ended = self._process.poll() is not None
        if ended or time.monotonic() > deadline_s:
            raise ParityError(
                "the policy node has ended" if ended else "the policy node does not listen",
                where=str(self._log),
                found="; ".join(self._log.read_text(errors="replace").splitlines()[-3:]),
                fix="try it by hand: ros2 run vla_policy policy_node",
            )


def _own_node(domain: int) -> Node:
    """On a domain that nobody else uses: what is played must reach no robot."""
    rclpy.init(args=[], domain_id=domain)
    node = Node("parity", enable_rosout=False, start_parameter_services=False)
    time.sleep(1.0)
    others = [name for name in node.get_node_names() if name != "parity"]
    if others:
        rclpy.shutdown()
        raise ParityError(
            "somebody else is on this ROS domain",
            where=f"domain {domain}",
            found=", ".join(others),
            allowed="a domain of its own: what is played there looks like a robot",
            fix="--domain with another number",
        )
    return node
