"""A small robot and its messages, as bytes, for the tests of recording."""

from __future__ import annotations

import struct

from vla_core.contract import Contract, parse_contract
from vla_recorder.recording.monitor import Monitor, Pose
from vla_recorder.recording.topics import Raw, Recorded, recorded_topics

SECOND_NS = 1_000_000_000
BEGIN_NS = 1_700_000_000 * SECOND_NS
TEXT = """
schema: 1
robot: rig
description: one joint, one camera
policy_rate_hz: 10
control_rate_hz: 50
joints: {elbow: {unit: rad, range: [-1, 1], velocity: 1, acceleration: 5}}
streams: {arm: {topic: /joints, type: sensor_msgs/msg/JointState, joints: [elbow], rate_hz: 50}}
state: [elbow]
cameras:
  eye: {topic: /eye, type: sensor_msgs/msg/Image, encoding: rgb8, width: 64, height: 48,
    rate_hz: 10}
action: {arm: {topic: /commands, type: sensor_msgs/msg/JointState, joints: [elbow]}}
safety: {start_offset: {rad: 0.5}, gross_offset: {rad: 1.5}}
"""


def make_contract() -> Contract:
    return parse_contract(TEXT)


def stamped(stamp_ns: int, body: bytes = b"") -> bytes:
    """A serialised message with a header, as far as anything here looks into it."""
    return b"\x00\x01\x00\x00" + struct.pack("<iI", *divmod(stamp_ns, SECOND_NS)) + body


def topics() -> dict[str, tuple[int, Recorded]]:
    """Index and topic by name."""
    found = enumerate(recorded_topics(make_contract()))
    return {recorded.name: (index, recorded) for index, recorded in found}


class Rig:
    """Monitors of the robot's topics, fed by hand; joint values are what ``elbow`` says."""

    def __init__(self) -> None:
        self.elbow = 0.0
        self.pose = Pose()
        self.refusal: Exception | None = None
        self.checked: dict[str, list[int]] = {}
        self.index = {name: index for name, (index, _) in topics().items()}
        self.monitors = [
            Monitor(recorded=recorded, has_header=True, check=self._check(name), pose=self.pose)
            for name, (_, recorded) in topics().items()
        ]

    def _check(self, name: str):  # type: ignore[no-untyped-def]
        def check(data: bytes) -> dict[str, float]:
            self.checked.setdefault(name, []).append(len(data) - len(stamped(0)))
            if self.refusal is not None and name == "arm":
                raise self.refusal
            return {"elbow": self.elbow} if name == "arm" else {}

        return check

    def __getitem__(self, name: str) -> Monitor:
        return self.monitors[self.index[name]]

    def feed(
        self,
        name: str,
        at_s: float,
        body: bytes = b"",
        *,
        stamp_s: float | None = None,
        number: int = 0,
    ) -> None:
        """A message that arrives so long after the beginning."""
        stamp_ns = BEGIN_NS + round((at_s if stamp_s is None else stamp_s) * SECOND_NS)
        received_ns = BEGIN_NS + round(at_s * SECOND_NS)
        message = Raw(self.index[name], received_ns, stamped(stamp_ns, body), number)
        self[name].take(message)
