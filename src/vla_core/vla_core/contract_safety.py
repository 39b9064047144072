"""The ``safety`` block of a contract: what the executor refuses, and when it stops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vla_core.codecs import VECTOR_FIELDS, check_path
from vla_core.contract_reader import Block
from vla_core.errors import CodecError, ContractError


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where the tip of a chain of joints has to stay.

    Attributes:
        urdf: Path of the robot description, relative to the contract.
        base, tip: Links; the box is in the frame of ``base``, empty for the root.
        joints: contract name -> name in the URDF.
        lower, upper: (x, y, z) in m.
    """

    name: str
    urdf: str
    base: str
    tip: str
    joints: Mapping[str, str]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadman:
    """A topic without which nothing moves: ``field`` is not zero while a person presses it."""

    topic: str
    type: str
    field: str
    max_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """A topic that is alive while a person drives the robot."""

    topic: str
    type: str
    max_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """What the executor refuses and when it stops.

    Attributes:
        start_offset: Unit -> largest distance of a chunk's first action from the measured pose.
        gross_offset: Unit -> distance between a proposed and the last command that latches a stop.
        latch_after_s: Time at hold after which motion needs ``~/resume``.
    """

    start_offset: Mapping[str, float]
    gross_offset: Mapping[str, float]
    latch_after_s: float
    workspace: tuple[Box, ...]
    deadman: Deadman | None
    takeover: Takeover | None


def read_safety(block: Block, units: Iterable[str], actions: Iterable[str]) -> Safety:
    """Read the block of a robot with these units of arm joints and these action joints."""

    def offsets(key: str) -> dict[str, float]:
        child = block.block(key)
        values = {unit: child.number(unit, low=1e-6, high=1e3) for unit in units}
        child.finish()
        return values

    actions = list(actions)
    boxes = block.blocks("workspace") if block.has("workspace") else []
    safety = Safety(
        start_offset=offsets("start_offset"),
        gross_offset=offsets("gross_offset"),
        latch_after_s=block.number("latch_after_s", low=0.02, high=60, default=1.0),
        workspace=tuple(_box(name, child, actions) for name, child in boxes),
        deadman=_deadman(block.block("deadman")) if block.has("deadman") else None,
        takeover=_takeover(block.block("takeover")) if block.has("takeover") else None,
    )
    block.finish()
    return safety


def _box(name: str, block: Block, actions: list[str]) -> Box:
    lower, upper = zip(*(block.span(axis) for axis in "xyz"), strict=True)
    box = Box(
        name=name,
        urdf=block.text("urdf"),
        base=block.text("base", default=""),
        tip=block.text("tip"),
        joints=block.mapping("joints", allowed=actions),
        lower=lower,
        upper=upper,
    )
    block.finish()
    return box


def _deadman(block: Block) -> Deadman:
    deadman = Deadman(
        topic=block.topic("topic"),
        type=block.message_type("type"),
        field=block.text("field", default="data"),
        max_age_s=_max_age_s(block),
    )
    block.finish()
    if deadman.type in VECTOR_FIELDS:
        raise ContractError(
            "not a type of which one field says that it is pressed",
            where=block.at("type"),
            found=deadman.type,
            allowed="std_msgs/msg/Bool, sensor_msgs/msg/Joy with field: buttons[4], ...",
        )
    try:
        check_path(deadman.field, where=block.at("field"))
    except CodecError as error:
        raise ContractError(
            error.what, where=error.where, found=error.found, allowed=error.allowed
        ) from error
    return deadman


def _takeover(block: Block) -> Takeover:
    takeover = Takeover(
        topic=block.topic("topic"),
        type=block.message_type("type"),
        max_age_s=_max_age_s(block),
    )
    block.finish()
    return takeover


def _max_age_s(block: Block) -> float:
    return block.number("max_age_s", low=0.02, high=2, default=0.25)
