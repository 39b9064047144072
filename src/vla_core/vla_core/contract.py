"""The robot contract: what a robot's topics hold, in which order and units, and how it may move.

One YAML file. Recording, conversion, training and live execution read it through this module;
its content hash travels with every bag, dataset and checkpoint. Keys: docs/contract.md.

Shape letters: A action dimension, S state dimension.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from vla_core.codecs import COMMAND_TYPES, VECTOR_FIELDS, check_path
from vla_core.compressed_images import MAX_PIXELS
from vla_core.contract_reader import Block, unique
from vla_core.contract_safety import Safety, read_safety
from vla_core.errors import CodecError, ContractError
from vla_core.strict_yaml import Located, load_yaml, parse_yaml

SCHEMA = 1
IMAGE_ENCODINGS = {
    "sensor_msgs/msg/Image": (
        *("rgb8", "bgr8", "rgba8", "bgra8", "mono8", "16UC1", "32FC1", "yuv422", "yuv422_yuy2"),
    ),
    "sensor_msgs/msg/CompressedImage": ("jpeg", "png"),
}
MAX_RISE_S = 0.25  # from zero to the full acceleration: a slower one delays every command
_VELOCITY_FIELDS = ("velocity", "velocities")
_DERIVED_FIELDS = ("accelerations", "effort")  # may be recorded, never commanded


class Kind(Enum):
    """How a quantity is commanded, which decides what "at rest" means and what may be averaged."""

    POSITION = "position"  # rest: stay where it is
    GRIPPER = "gripper"  # as position; never averaged between chunks
    VELOCITY = "velocity"  # rest: zero


UNITS = {
    Kind.POSITION: ("rad", "m"),
    Kind.GRIPPER: ("rad", "m", "1"),
    Kind.VELOCITY: ("rad/s", "m/s"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """One named quantity, its unit and its limits.

    Attributes:
        lower, upper: Allowed values, in ``unit``.
        max_rate: Largest absolute first derivative, ``unit``/s.
        max_acceleration: Largest absolute second derivative, ``unit``/s^2; None for velocities.
        max_jerk: Largest absolute derivative of the last of these; inf: not limited.
    """

    name: str
    unit: str
    kind: Kind
    lower: float
    upper: float
    max_rate: float
    max_acceleration: float | None
    max_jerk: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A topic that measures joints. ``joints``: contract name -> name inside the message."""

    name: str
    topic: str
    type: str
    field: str
    joints: Mapping[str, str]
    rate_hz: float
    max_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A topic that carries images of one size and encoding."""

    name: str
    topic: str
    type: str
    encoding: str
    width: int
    height: int
    rate_hz: float
    max_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionGroup:
    """A command topic. ``joints``: contract name -> name inside the message."""

    name: str
    topic: str
    type: str
    field: str
    joints: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A whole robot. ``adapter`` names the policy side's view of it (``vla_policy.robots``)."""

    robot: str
    adapter: str
    description: str
    policy_rate_hz: float
    control_rate_hz: float
    joints: Mapping[str, Joint]
    streams: tuple[Stream, ...]
    state: tuple[str, ...]
    cameras: tuple[Camera, ...]
    action: tuple[ActionGroup, ...]
    safety: Safety
    sha256: str
    file: str

    @property
    def action_names(self) -> tuple[str, ...]:
        """The A names of the action vector, in order."""
        return tuple(name for group in self.action for name in group.joints)

    @property
    def measured_names(self) -> tuple[str, ...]:
        return tuple(name for stream in self.streams for name in stream.joints)

    def action_joints(self) -> tuple[Joint, ...]:
        return tuple(self.joints[name] for name in self.action_names)


def load_contract(path: str | Path) -> Contract:
    """Read and check a contract file.

    Raises:
        ContractError: with file, line, found, allowed, for any fault.
    """
    return _contract(load_yaml(Path(path)))


def parse_contract(text: str, file: str = "<text>") -> Contract:
    """The same from text."""
    return _contract(parse_yaml(text, file))


def content_hash(document: Located) -> str:
    """SHA-256 of the content. Comments and notation do not change it; order does."""
    return hashlib.sha256(
        json.dumps(_canonical(document.plain()), separators=(",", ":")).encode()
    ).hexdigest()


def _canonical(value: object) -> object:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _contract(document: Located) -> Contract:
    root = Block(document)
    root.choice("schema", (SCHEMA,))
    joints = {name: _joint(name, block) for name, block in root.blocks("joints")}
    streams = tuple(_stream(name, block, joints) for name, block in root.blocks("streams"))
    cameras = tuple(_camera(name, block) for name, block in root.blocks("cameras", empty=True))
    action = tuple(_action(name, block, joints) for name, block in root.blocks("action"))
    sources: tuple[Stream | Camera, ...] = (*streams, *cameras)
    unique(root, "cameras", [source.name for source in sources])
    measured = unique(root, "streams", [name for stream in streams for name in stream.joints])
    actions = unique(root, "action", [name for group in action for name in group.joints])
    safety = read_safety(root.block("safety"), _arm_units(joints, actions), actions)
    commands = [group.topic for group in action]
    persons = [source.topic for source in (safety.deadman, safety.takeover) if source is not None]
    for topics in ([source.topic for source in sources] + commands, persons + commands):
        unique(root, "topics", [topic.lstrip("/") for topic in topics])
    state = root.names("state", allowed=measured)
    _feedback(root, joints, streams, actions)
    policy_rate_hz = root.number("policy_rate_hz", low=0.1, high=1000)
    robot = root.name("robot")
    contract = Contract(
        robot=robot,
        adapter=root.name("adapter", default=robot),
        description=root.text("description"),
        policy_rate_hz=policy_rate_hz,
        control_rate_hz=root.number("control_rate_hz", low=policy_rate_hz, high=1000),
        joints=joints,
        streams=streams,
        state=tuple(state),
        cameras=cameras,
        action=action,
        safety=safety,
        sha256=content_hash(document),
        file=document.file,
    )
    root.finish()
    unused = set(joints) - set(measured) - set(actions)
    if unused:
        raise ContractError(
            "a joint that no stream and no action uses",
            where=root.at("joints"),
            found=", ".join(sorted(unused)),
            allowed="joints named in a stream or an action group",
        )
    return contract


def _feedback(
    root: Block, joints: Mapping[str, Joint], streams: tuple[Stream, ...], actions: list[str]
) -> None:
    elsewhere = (*_VELOCITY_FIELDS, *_DERIVED_FIELDS)
    measured = [name for s in streams if s.field not in elsewhere for name in s.joints]
    for name in actions:
        if joints[name].kind is not Kind.VELOCITY and name not in measured:
            raise ContractError(
                "an action joint whose position no stream measures",
                where=root.at("action"),
                found=name,
                allowed=", ".join(measured),
                fix="name it in a stream: the executor starts from the measured pose",
            )


def _joint(name: str, block: Block) -> Joint:
    kind = Kind(block.choice("kind", tuple(kind.value for kind in Kind), default="position"))
    unit = str(block.choice("unit", UNITS[kind]))
    lower, upper = block.span("range")
    if kind is Kind.VELOCITY and not lower <= 0 <= upper:
        raise ContractError(
            "a velocity that cannot be zero",
            where=block.at("range"),
            found=f"[{lower:g}, {upper:g}]",
            allowed="lower <= 0 <= upper: zero is how it stops",
        )
    rate_key = "acceleration" if kind is Kind.VELOCITY else "velocity"
    rate = block.number(rate_key, low=1e-3, high=1e3, unit=f"{unit}/s")
    acceleration = (
        None
        if kind is Kind.VELOCITY
        else block.number("acceleration", low=1e-3, high=1e4, unit=f"{unit}/s^2")
    )
    least = (acceleration or rate) / MAX_RISE_S
    joint = Joint(
        name=name,
        unit=unit,
        kind=kind,
        lower=lower,
        upper=upper,
        max_rate=rate,
        max_acceleration=acceleration,
        max_jerk=block.number("jerk", low=least, high=1e6, default=math.inf),
    )
    block.finish()
    return joint


def _stream(name: str, block: Block, joints: Mapping[str, Joint]) -> Stream:
    type_name = block.message_type("type")
    fields = VECTOR_FIELDS.get(type_name)
    stream = Stream(
        name=name,
        topic=block.topic("topic"),
        type=type_name,
        field=block.choice("field", fields, default=fields[0])
        if fields is not None
        else block.text("field", default=""),
        joints=block.mapping("joints", allowed=joints),
        rate_hz=block.number("rate_hz", low=0.1, high=10_000),
        max_age_s=block.number("max_age_s", low=1e-3, high=10, default=0.1),
    )
    block.finish()
    if fields is None:
        _check_paths(stream, block)
    return stream


def _check_paths(stream: Stream, block: Block) -> None:
    """A type without fields of its own is read by field path, see codecs."""
    for name in stream.joints.values():
        dot = "." if stream.field and name and not name.startswith("[") else ""
        try:
            check_path(f"{stream.field}{dot}{name}", where=block.at("joints"))
        except CodecError as error:
            raise ContractError(
                error.what, where=error.where, found=error.found, allowed=error.allowed
            ) from error


def _camera(name: str, block: Block) -> Camera:
    type_name = str(block.choice("type", tuple(IMAGE_ENCODINGS)))
    rate_hz = block.number("rate_hz", low=0.1, high=1000)
    camera = Camera(
        name=name,
        topic=block.topic("topic"),
        type=type_name,
        encoding=str(block.choice("encoding", IMAGE_ENCODINGS[type_name])),
        width=block.integer("width", low=16, high=8192),
        height=block.integer("height", low=16, high=8192),
        rate_hz=rate_hz,
        max_age_s=block.number("max_age_s", low=1e-3, high=10, default=max(0.25, 3 / rate_hz)),
    )
    block.finish()
    odd = camera.encoding.startswith("yuv422") and camera.width % 2
    if odd or camera.width * camera.height > MAX_PIXELS:
        raise ContractError(
            "not a size that can be decoded",
            where=block.at("width"),
            found=f"{camera.width} x {camera.height}",
            allowed=f"at most {MAX_PIXELS} pixels, an even width for yuv422",
        )
    return camera


def _action(name: str, block: Block, joints: Mapping[str, Joint]) -> ActionGroup:
    type_name = str(block.choice("type", COMMAND_TYPES))
    fields = tuple(f for f in VECTOR_FIELDS[type_name] if f not in _DERIVED_FIELDS)
    group = ActionGroup(
        name=name,
        topic=block.topic("topic"),
        type=type_name,
        field=str(block.choice("field", fields, default=fields[0])),
        joints=block.mapping("joints", allowed=joints),
    )
    block.finish()
    kinds = {joints[joint].kind is Kind.VELOCITY for joint in group.joints}
    if group.field != "data" and kinds != {group.field in _VELOCITY_FIELDS}:
        raise ContractError(
            "the field and the kind of its joints do not fit",
            where=block.at("field"),
            found=f"{group.field} of "
            + ", ".join(f"{joint} ({joints[joint].kind.value})" for joint in group.joints),
            allowed="position(s) for position and gripper, velocity (velocities) for velocity",
        )
    return group


def _arm_units(joints: Mapping[str, Joint], actions: Iterable[str]) -> list[str]:
    """Units that need offsets: grippers and velocities may jump."""
    return sorted({joints[name].unit for name in actions if joints[name].kind is Kind.POSITION})


def main(argv: list[str] | None = None) -> int:
    """``python -m vla_core.contract FILE...``: check contracts; exit 0 when all are valid."""
    files = sys.argv[1:] if argv is None else argv
    if not files or files[0].startswith("-"):
        print("usage: python -m vla_core.contract FILE...", file=sys.stderr)
        return 2
    for file in files:
        try:
            contract = load_contract(file)
        except ContractError as error:
            print(error, file=sys.stderr)
            return 1
        print(
            f"{file}: {contract.robot}, state {len(contract.state)},"
            f" action {len(contract.action_names)}, {len(contract.cameras)} cameras,"
            f" sha256 {contract.sha256}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
