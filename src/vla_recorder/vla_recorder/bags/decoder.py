"""Serialised messages to objects, by the definitions that the bag itself carries.

The definitions are data from a file of unknown origin, and rosbags makes Python code of them:
therefore only names, sizes and types that pass the checks below ever reach it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from functools import cache
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.base import TypesysError
from rosbags.typesys.store import Typestore

from vla_recorder.bags.types import BagError, Topic

MAX_DEFINITION_BYTES = 1 << 20
_MAX_ARRAY = 1 << 24  # numbers
_MAX_UNROLLED = 1 << 12  # strings or messages in arrays of fixed size: each becomes code
_TYPE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)+")
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_BASE_TYPE = re.compile(r"[a-z]+[0-9]*")
_IDL_SECTION = re.compile(r"^=+[ \t]*\nIDL: .*$", re.MULTILINE)
_IDL_INCLUDE = re.compile(r"^[ \t]*#.*$", re.MULTILINE)  # what it names is embedded, too
_IDL_PROSE = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_PARSE_ERRORS = (TypesysError, ValueError, KeyError, AssertionError, RecursionError)
_DECODE_ERRORS = (
    SerdeError, ValueError, KeyError, IndexError, AssertionError, RecursionError, struct.error,
    MemoryError, OverflowError, TypeError,
)  # fmt: skip

Fields = list[tuple[str, Any]]


class Decoder:
    """Decodes messages of a bag's topics.

    Args:
        topics: By name, as of ``Bag.topics``.
    """

    def __init__(self, topics: Mapping[str, Topic]) -> None:
        self._topics = topics
        self._stores: dict[str, Typestore] = {}

    def decode(self, topic_name: str, data: bytes | memoryview) -> Any:
        """The message: an object with the fields of its type; number arrays are numpy arrays.

        Raises:
            BagError: The topic or its type is not known, or the bytes are no such message.
        """
        topic = self._topics.get(topic_name)
        if topic is None:
            raise BagError(
                "the bag has no such topic",
                found=topic_name,
                allowed=", ".join(sorted(self._topics)),
            )
        store = self._stores.get(topic_name)
        if store is None:
            store = self._stores[topic_name] = _store(topic)
        try:
            return store.deserialize_cdr(data, topic.type)
        except _DECODE_ERRORS as error:
            raise BagError(
                "the message cannot be decoded",
                where=topic_name,
                found=f"{len(data)} bytes: {error}",
                allowed=f"a serialised {topic.type}",
            ) from error


def _store(topic: Topic) -> Typestore:
    if topic.encoding != "cdr":
        raise BagError(
            "messages are serialised in an unknown way",
            where=topic.name,
            found=topic.encoding,
            allowed="cdr",
        )
    store = Typestore()
    try:
        store.register(_definitions(topic))
    except (TypesysError, SyntaxError, RecursionError) as error:
        raise _unusable(topic, str(error)[:200]) from error
    return store


def _definitions(topic: Topic) -> dict[str, tuple[list[Any], Fields]]:
    """The type of a topic and all that it uses: embedded ones first, else those of Jazzy."""
    embedded = _embedded(topic)
    found: dict[str, tuple[list[Any], Fields]] = {}
    wanted = [topic.type]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        fields = embedded[name] if name in embedded else _jazzy().get(name)
        if fields is None:
            raise BagError(
                "a message type has no definition",
                where=topic.name,
                found=name,
                allowed="a definition embedded in the bag, or a type of ROS 2 Jazzy",
                fix="record again where the package of that type is installed",
            )
        found[name] = ([], fields)  # constants are not needed to decode
        wanted += [used for _, kind in fields if (used := _used(kind))]
    _refuse_cycles(topic, {name: fields for name, (_, fields) in found.items()})
    return found


def _embedded(topic: Topic) -> dict[str, Fields]:
    """The fields of all types that a topic's embedded definition describes."""
    text = topic.definition.replace("\r\n", "\n")
    if not text.strip():
        return {}
    if len(text) > MAX_DEFINITION_BYTES or not _TYPE_NAME.fullmatch(topic.type):
        raise _unusable(topic, topic.type)
    try:
        if topic.definition_format == "ros2msg":
            parsed: Mapping[str, Any] = get_types_from_msg(text, topic.type)
        else:
            parsed = _parse_idl(text)
        return {
            name: [_checked(field, kind) for field, kind in fields]
            for name, (_, fields) in parsed.items()
            if _matches(_TYPE_NAME, name)
        }
    except _PARSE_ERRORS as error:
        raise _unusable(topic, str(error)[:200]) from error


def _parse_idl(text: str) -> Mapping[str, Any]:
    if "<<" in _IDL_PROSE.sub("", text):
        raise ValueError("shifts are not computed")  # they can ask for any amount of memory
    parsed: dict[str, Any] = {}
    for section in _IDL_SECTION.split(_IDL_INCLUDE.sub("", text)):
        if section.strip():
            parsed.update(get_types_from_idl(section))
    return parsed


def _checked(name: str, kind: Any) -> tuple[str, Any]:
    """A field, made anew of what is allowed in it."""
    _matches(_FIELD_NAME, name)
    return name, _checked_kind(kind)


def _checked_kind(kind: Any) -> Any:
    node, content = kind
    if node == Nodetype.BASE:
        base, limit = content
        _matches(_BASE_TYPE, base)
        return Nodetype.BASE, (str(base), int(limit))
    if node == Nodetype.NAME:
        _matches(_TYPE_NAME, content)
        return Nodetype.NAME, str(content)
    element, size = content
    of_numbers = element[0] == Nodetype.BASE and "string" not in element[1][0]
    if node == Nodetype.ARRAY and not 0 < size <= (_MAX_ARRAY if of_numbers else _MAX_UNROLLED):
        raise ValueError(f"an array of {size} elements")
    return node, (_checked_kind(element), int(size))


def _matches(pattern: re.Pattern[str], name: str) -> bool:
    if not pattern.fullmatch(name):
        raise ValueError(f"not a name: {name[:80]!r}")
    return True


def _used(kind: Any) -> str:
    """The message type that a field is made of, or ""."""
    node, content = kind
    if node == Nodetype.NAME:
        return str(content)
    return "" if node == Nodetype.BASE else _used(content[0])


def _refuse_cycles(topic: Topic, types: Mapping[str, Fields]) -> None:
    left = {name: {_used(kind) for _, kind in fields} for name, fields in types.items()}
    while left:
        leaves = [name for name, used in left.items() if not used & left.keys()]
        if not leaves:
            raise _unusable(topic, "a type that contains itself")
        for name in leaves:
            del left[name]


def _unusable(topic: Topic, found: str) -> BagError:
    return BagError(
        "a message definition cannot be used",
        where=f"{topic.name} ({topic.type})",
        found=found,
        allowed="a definition as rosbag2 embeds it",
    )


@cache
def _jazzy() -> dict[str, Fields]:
    """The fields of the message types that ROS 2 Jazzy comes with."""
    types = get_typestore(Stores.ROS2_JAZZY).fielddefs
    return {name: list(fields) for name, (_, fields) in types.items()}
