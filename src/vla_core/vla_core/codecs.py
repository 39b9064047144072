"""Messages to vectors and back: by joint name, by position, or by field path.

Works on any object with the fields of the message: rclpy's classes live, the dataclasses of
rosbags offline. Images are in `image_codecs`, header stamps in `stamps`.

Letters in shapes: N quantities.
"""

from __future__ import annotations

import array
import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vla_core.errors import CodecError
from vla_core.message_fields import check_choice, read_field
from vla_core.stamps import split_ns

JOINT_STATE: Final = "sensor_msgs/msg/JointState"
JOINT_TRAJECTORY: Final = "trajectory_msgs/msg/JointTrajectory"
FLOAT64_ARRAY: Final = "std_msgs/msg/Float64MultiArray"
FLOAT32_ARRAY: Final = "std_msgs/msg/Float32MultiArray"
COMMAND_TYPES: Final = (JOINT_STATE, JOINT_TRAJECTORY, FLOAT64_ARRAY)

# The numeric fields that each type offers; a type that is not here is read by field path.
VECTOR_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    JOINT_STATE: ("position", "velocity", "effort"),
    JOINT_TRAJECTORY: ("positions", "velocities", "accelerations", "effort"),
    FLOAT64_ARRAY: ("data",),
    FLOAT32_ARRAY: ("data",),
}

Vector = npt.NDArray[np.float64]

# ROS field names start with a letter and never double an underscore: no dunder can match.
_NAME = r"[A-Za-z](?:_?[A-Za-z0-9])*"
_PATH = re.compile(rf"{_NAME}(?:\[[0-9]{{1,6}}\])?(?:\.{_NAME}(?:\[[0-9]{{1,6}}\])?)*")
_STEP = re.compile(rf"({_NAME})|\[([0-9]+)\]")


def decode_vector(
    message: Any, *, type_name: str, field: str, message_names: Sequence[str], where: str
) -> Vector:
    """Read the named quantities of one message, in the order of `message_names`.

    JointState and JointTrajectory (one point) are read by name, never by position; a multi-array
    by position, with exactly as many elements as names; any other type by field path.

    Args:
        message: The message.
        type_name: Its ROS type, e.g. `sensor_msgs/msg/JointState`.
        field: The numeric field, see `VECTOR_FIELDS`; for other types the path that all names
            share, e.g. `pose.position`, or empty.
        message_names: N joint names as the message spells them; for other types N paths below
            `field`: `x`, `orientation.w`, `[3]`, or empty where `field` is the number itself.
        where: The topic, for the error.

    Returns:
        (N,) float64 in the message's units, never a view of the message.

    Raises:
        CodecError: A name is missing or doubled, a field is empty or short, a value is not a
            finite number, or the message has not the shape of its type.
    """
    fields = VECTOR_FIELDS.get(type_name)
    if fields is None:
        vector = _read_paths(message, field, message_names, where)
    else:
        check_choice("field cannot be read as a vector", field, fields, where)
        if type_name == JOINT_STATE:
            vector = _by_name(
                read_field(message, "name", where), message, field, message_names, where
            )
        elif type_name == JOINT_TRAJECTORY:
            point = _only_point(message, where)
            names = read_field(message, "joint_names", where)
            vector = _by_name(names, point, field, message_names, where)
        else:
            vector = _numbers(read_field(message, field, where), len(message_names), field, where)
    return _checked_finite(vector, message_names, where)


def encode_vector(
    message_class: Callable[[], Any],
    *,
    type_name: str,
    field: str,
    message_names: Sequence[str],
    values: npt.ArrayLike,
    stamp_ns: int = 0,
    time_from_start_ns: int = 0,
    point_class: Callable[[], Any] | None = None,
    where: str = "",
) -> Any:
    """Make the command message that `decode_vector` reads back.

    Args:
        message_class: The class of `type_name`, loaded by the caller.
        type_name: One of `COMMAND_TYPES`.
        field: The numeric field to fill, see `VECTOR_FIELDS`.
        message_names: N joint names as the message spells them.
        values: (N,) numbers in the message's units.
        stamp_ns: Header stamp. A trajectory controller takes it as the start time, and 0 as "now".
        time_from_start_ns: When the one point of a JointTrajectory is due, after its start time.
        point_class: The class of trajectory_msgs/msg/JointTrajectoryPoint, for a JointTrajectory.
        where: The topic, for the error.

    Raises:
        CodecError: Another type or field, a wrong count, a value that is not finite, a bad time.
    """
    check_choice("type cannot carry a command", type_name, COMMAND_TYPES, where)
    check_choice("field cannot carry a command", field, VECTOR_FIELDS[type_name], where)
    vector = _numbers(values, len(message_names), field, where)
    numbers = array.array("d", _checked_finite(vector, message_names, where).tobytes())
    message = message_class()
    if type_name == FLOAT64_ARRAY:
        message.data = numbers
        return message
    stamp = message.header.stamp
    stamp.sec, stamp.nanosec = split_ns(stamp_ns, where=where)
    if type_name == JOINT_STATE:
        message.name = list(message_names)
        setattr(message, field, numbers)
    else:
        point = _new_point(point_class, time_from_start_ns, where)
        setattr(point, field, numbers)
        message.joint_names = list(message_names)
        message.points = [point]
    return message


def check_path(path: str, *, where: str = "") -> None:
    """Refuse a field path outside the grammar `name[3].name...`, before any message is there.

    Raises:
        CodecError: The path is not of the grammar.
    """
    if not _PATH.fullmatch(path):
        raise CodecError(
            "field path is not valid",
            where=where,
            found=repr(path[:80]),
            allowed="field names joined by dots, each with one [index] at most",
            fix="name the field as `ros2 topic echo` shows it, e.g. pose.position.x or data[3]",
        )


def _by_name(names: Any, holder: Any, field: str, wanted: Sequence[str], where: str) -> Vector:
    """Pick the values of `wanted` from the field of `holder` that runs parallel to `names`."""
    try:
        found = tuple(names)
        order = _order(found, tuple(wanted), where)
    except TypeError as error:
        raise CodecError(
            "joint names are not a list of strings", where=where, found=type(names).__name__
        ) from error
    return _numbers(read_field(holder, field, where), len(found), field, where)[order]


@lru_cache(maxsize=256)
def _order(found: tuple[str, ...], wanted: tuple[str, ...], where: str) -> npt.NDArray[np.intp]:
    """Index of each wanted name among the found; a driver keeps its order, so it is found once."""
    index = {name: position for position, name in enumerate(found)}
    if len(index) != len(found):
        doubled = [str(name) for name, count in Counter(found).items() if count > 1]
        raise CodecError(
            "message names a joint twice",
            where=where,
            found=_listed(doubled),
            allowed="each name once",
            fix="check that two drivers do not publish one topic",
        )
    missing = [name for name in wanted if name not in index]
    if missing:
        raise CodecError(
            "message lacks joints of the contract",
            where=where,
            found=_listed(map(str, found)) or "no names",
            allowed=f"{_listed(wanted)}; missing: {_listed(missing)}",
            fix="set the joint names of this stream in the contract as the driver publishes them",
        )
    return np.array([index[name] for name in wanted], dtype=np.intp)


def _new_point(point_class: Callable[[], Any] | None, due_ns: int, where: str) -> Any:
    if point_class is None:
        raise CodecError(
            "a JointTrajectory needs the class of its points",
            where=where,
            allowed="point_class=trajectory_msgs.msg.JointTrajectoryPoint",
        )
    point = point_class()
    due = point.time_from_start
    due.sec, due.nanosec = split_ns(due_ns, where=where)
    return point


def _only_point(message: Any, where: str) -> Any:
    points = read_field(message, "points", where)
    if not isinstance(points, list) or len(points) != 1:
        raise CodecError(
            "trajectory is not a single point",
            where=where,
            found=f"{len(points)} points" if isinstance(points, list) else type(points).__name__,
            allowed="1 point",
            fix="name a topic that carries one target at a time",
        )
    return points[0]


def _read_paths(message: Any, field: str, names: Sequence[str], where: str) -> Vector:
    values = []
    for name in names:
        dot = "." if field and name and not name.startswith("[") else ""
        path = f"{field}{dot}{name}"
        value = message
        for step in _parse_path(path, where):
            value = _walk(value, step, path, where)
        values.append(_numbers(value, 1, path, where)[0])
    return np.array(values, dtype=np.float64)


@lru_cache(maxsize=1024)
def _parse_path(path: str, where: str) -> tuple[str | int, ...]:
    check_path(path, where=where)
    return tuple(name or int(index) for name, index in _STEP.findall(path))


def _walk(value: Any, step: str | int, path: str, where: str) -> Any:
    """One step down: a declared field of a message, or an element of a sequence."""
    if isinstance(step, str):
        cls: type = type(value)
        fields = _declared_fields(cls)
        if step in fields:
            return getattr(value, step)
        found, allowed = step, _listed(sorted(fields)) or "no field: this is not a message"
    else:
        count = len(value) if isinstance(value, (list, tuple, array.array, np.ndarray)) else 0
        if step < count:
            return value[step]
        found, allowed = f"[{step}]", f"an index below {count}" if count else "a sequence"
    raise CodecError(
        f"message has no such field as {path}",
        where=where,
        found=found,
        allowed=allowed,
        fix="name the field as `ros2 topic echo` shows it",
    )


@lru_cache(maxsize=256)
def _declared_fields(cls: type) -> frozenset[str]:
    """Fields that a message class declares: rclpy's own list, or those of rosbags' dataclass."""
    rclpy_fields = getattr(cls, "get_fields_and_field_types", None)
    if rclpy_fields is not None:
        return frozenset(rclpy_fields())
    if dataclasses.is_dataclass(cls):
        return frozenset(declared.name for declared in dataclasses.fields(cls))
    return frozenset()


def _numbers(value: Any, count: int, field: str, where: str) -> Vector:
    """Return `value` as a fresh (count,) float64; text is never read as a number."""
    try:
        numbers = np.atleast_1d(np.asarray(value))
    except ValueError:  # nested lists of unequal length
        numbers = np.empty(0, dtype=object)
    if numbers.dtype.kind not in "bfiu" or numbers.shape != (count,):
        raise CodecError(
            f"field {field} does not hold the expected numbers",
            where=where,
            found=f"{type(value).__name__} of shape {numbers.shape} and type {numbers.dtype}",
            allowed=f"{count} numbers",
            fix="check that the driver fills this field and that the contract names all of it",
        )
    return numbers.astype(np.float64)


def _checked_finite(vector: Vector, names: Sequence[str], where: str) -> Vector:
    finite = np.isfinite(vector)
    if not finite.all():
        bad = [f"{n}={v}" for n, v in zip(names, vector, strict=True) if not np.isfinite(v)]
        raise CodecError(
            "value is not finite",
            where=where,
            found=", ".join(bad),
            allowed="finite numbers",
            fix="check the sensor or the policy that wrote it",
        )
    return vector


def _listed(names: Iterable[str]) -> str:
    """Names for an error message, cut where a broken message would flood the log."""
    text = ", ".join(names)
    return text if len(text) <= 1000 else f"{text[:1000]}..."
