"""Reads robot descriptions (URDF): joints, their limits, and the chain from a base to a tip.

``python -m vla_core.urdf robot.urdf`` prints the ``joints`` block of a contract.
Source: wiki.ros.org/urdf/XML (joint, limit, safety_controller, mimic).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from vla_core.errors import ContractError

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 32
MOVABLE = ("revolute", "continuous", "prismatic")
FULL_TURN = (-2 * math.pi, 2 * math.pi)  # a continuous joint has no limit, a contract needs one


@dataclass(frozen=True, slots=True, kw_only=True)
class UrdfJoint:
    """One joint; lengths in m, angles in rad.

    Attributes:
        xyz, rpy: Pose of the joint's frame in its parent link.
        axis: In the joint's frame, of length 1.
        lower, upper: The narrower of the hard and the soft limits; None where there are none.
        velocity: Largest rate; None where the file gives none.
        is_mimic: Whether it follows another joint.
    """

    name: str
    kind: str
    parent: str
    child: str
    xyz: tuple[float, ...]
    rpy: tuple[float, ...]
    axis: tuple[float, ...]
    lower: float | None
    upper: float | None
    velocity: float | None
    is_mimic: bool


def load_urdf(path: str | Path) -> Mapping[str, UrdfJoint]:
    """The joints of a file, in its order.

    Raises:
        ContractError: not a URDF, or one with a document type, entities, or too much of anything.
    """
    try:
        size = Path(path).stat().st_size
        data = Path(path).read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        raise ContractError("cannot read the URDF", where=str(path), found=error) from error
    if size > MAX_BYTES:
        raise ContractError(
            "too large a URDF", where=str(path), found=size, allowed=f"{MAX_BYTES} bytes"
        )
    return parse_urdf(data, str(path))


def parse_urdf(data: bytes, file: str = "<text>") -> Mapping[str, UrdfJoint]:
    """The same from bytes."""
    root = _parse(data, file)
    if root.tag != "robot":
        raise ContractError("not a URDF", where=file, found=root.tag, allowed="<robot>")
    joints: dict[str, UrdfJoint] = {}
    for element in root:
        if not isinstance(element.tag, str) or "xacro" in element.tag:
            raise ContractError(
                "a xacro file, not a URDF",
                where=file,
                found=element.tag,
                fix=f"ros2 run xacro xacro {file} > robot.urdf",
            )
        if element.tag == "joint":
            joint = _joint(element, file)
            if joint.name in joints:
                raise ContractError("a joint stands twice", where=file, found=joint.name)
            joints[joint.name] = joint
    return joints


def chain_of(
    joints: Mapping[str, UrdfJoint], base: str, tip: str, where: str
) -> tuple[UrdfJoint, ...]:
    """The joints from ``base`` (empty: the root) to ``tip``, in this order.

    Raises:
        ContractError: no such link, or it does not hang on the base.
    """
    above = {joint.child: joint for joint in joints.values()}
    chain: list[UrdfJoint] = []
    link = tip
    while link in above and link != base and len(chain) <= len(joints):
        chain.insert(0, above[link])
        link = above[link].parent
    if not chain or (base and link != base) or len(chain) > len(joints):
        raise ContractError(
            "the tip does not hang on the base",
            where=where,
            found=f"{base or 'root'} ... {tip}",
            allowed=f"links of the URDF: {', '.join(above)}",
        )
    for joint in chain:
        if joint.is_mimic or joint.kind not in (*MOVABLE, "fixed"):
            raise ContractError(
                "a joint between base and tip that cannot be computed",
                where=where,
                found=f"{joint.name}: {'mimic' if joint.is_mimic else joint.kind}",
                allowed=", ".join((*MOVABLE, "fixed")),
            )
    return tuple(chain)


def joints_block(joints: Mapping[str, UrdfJoint], acceleration: float | None) -> str:
    """The movable joints as a contract's ``joints``, limits rounded inwards."""
    lines = ["joints:"]
    for joint in joints.values():
        if joint.kind not in MOVABLE:
            continue
        if joint.is_mimic:
            lines.append(f"  # {joint.name} follows another joint")
            continue
        unit = "m" if joint.kind == "prismatic" else "rad"
        lower, upper = (
            FULL_TURN if joint.lower is None or joint.upper is None else (joint.lower, joint.upper)
        )
        keys = [
            f"unit: {unit}",
            f"range: [{math.ceil(lower * 1e5) / 1e5:g}, {math.floor(upper * 1e5) / 1e5:g}]",
        ]
        keys += [] if joint.velocity is None else [f"velocity: {joint.velocity:g}"]
        keys += [] if acceleration is None else [f"acceleration: {acceleration:g}"]
        lines.append(f"  {joint.name}: {{{', '.join(keys)}}}")
    return "\n".join(lines)


def _parse(data: bytes, file: str) -> Element:
    """XML without a document type, so without entities of its own."""

    def refuse(*_: object) -> NoReturn:
        raise ContractError(
            "a URDF with a document type", where=file, found="<!DOCTYPE", allowed="elements only"
        )

    builder, parser, depth = TreeBuilder(), expat.ParserCreate(), 0

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise ContractError("too deep a URDF", where=file, allowed=f"depth {MAX_DEPTH}")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # also of an unknown encoding
        raise ContractError("not XML", where=file, found=error) from error
    return builder.close()


def _joint(element: Element, file: str) -> UrdfJoint:
    name, kind = element.get("name", ""), element.get("type", "")
    where = f"{file}: joint {name}"
    parent, child = (_attributes(element, tag).get("link", "") for tag in ("parent", "child"))
    if not (name and kind and parent and child):
        raise ContractError("a joint without name, type, parent or child", where=where)
    origin, limit = _attributes(element, "origin"), _attributes(element, "limit")
    soft = _attributes(element, "safety_controller")
    lower = [_number(a, k, where) for a, k in ((limit, "lower"), (soft, "soft_lower_limit"))]
    upper = [_number(a, k, where) for a, k in ((limit, "upper"), (soft, "soft_upper_limit"))]
    axis = _vector(_attributes(element, "axis").get("xyz", "1 0 0"), where)
    length = math.hypot(*axis)
    if kind in MOVABLE and not length > 1e-6:
        raise ContractError("an axis without direction", where=where, found=axis)
    is_limited = kind in ("revolute", "prismatic")
    return UrdfJoint(
        name=name,
        kind=kind,
        parent=parent,
        child=child,
        xyz=_vector(origin.get("xyz", "0 0 0"), where),
        rpy=_vector(origin.get("rpy", "0 0 0"), where),
        axis=tuple(x / max(length, 1e-6) for x in axis),
        lower=max((x for x in lower if x is not None), default=0.0) if is_limited else None,
        upper=min((x for x in upper if x is not None), default=0.0) if is_limited else None,
        velocity=_number(limit, "velocity", where),
        is_mimic=element.find("mimic") is not None,
    )


def _attributes(element: Element, tag: str) -> Mapping[str, str]:
    child = element.find(tag)
    return {} if child is None else child.attrib


def _number(attributes: Mapping[str, str], key: str, where: str) -> float | None:
    text = attributes.get(key)
    return None if text is None else _vector(text, where, 1)[0]


def _vector(text: str, where: str, size: int = 3) -> tuple[float, ...]:
    try:
        values = tuple(float(word) for word in text.split())
    except ValueError:
        values = ()
    if len(values) != size or not all(math.isfinite(value) for value in values):
        raise ContractError("not numbers", where=where, found=text, allowed=f"{size} numbers")
    return values


def main(argv: list[str] | None = None) -> int:
    """``python -m vla_core.urdf robot.urdf``: print the joints block of a contract."""
    parser = argparse.ArgumentParser(
        prog="python -m vla_core.urdf", description="Print a URDF's limits as a contract's joints."
    )
    parser.add_argument("urdf", help="the robot description, with xacro already expanded")
    parser.add_argument(
        "--acceleration",
        type=float,
        help="for every joint; a URDF holds none, and without it a contract is refused",
    )
    given: Any = parser.parse_args(argv)
    try:
        print(joints_block(load_urdf(given.urdf), given.acceleration))
    except ContractError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
