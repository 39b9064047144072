"""``metadata.yaml`` of a rosbag2 folder, read as text: nothing in it is expanded or guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from vla_recorder.bags.types import BagError

MAX_BYTES = 4 << 20
_MAX_DEPTH = 12
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Node = str | list["Node"] | dict[str, "Node"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What rosbag2 says of a bag.

    Attributes:
        version: Of the format of this description.
        files: As named there, in the order of recording.
        messages: How many each topic has.
        compression_mode: ``file``, ``message``, or "" (also for ``none``).
        custom: What the recording was labelled with.
    """

    version: int = 0
    files: tuple[str, ...] = ()
    messages: Mapping[str, int] = field(default_factory=dict)
    compression_mode: str = ""
    custom: Mapping[str, str] = field(default_factory=dict)


def parse_metadata(text: str, where: str) -> Metadata:
    """Reads the content of ``metadata.yaml``, or the same as embedded in a file of the bag.

    Raises:
        BagError: It is not what rosbag2 writes, or uses YAML that it never does.
    """
    top = parse_text_yaml(text, where)
    inner = top.get("rosbag2_bagfile_information", top) if isinstance(top, dict) else top
    try:
        return _read(inner)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BagError(
            "not the description of a bag",
            where=where,
            found=f"{type(error).__name__}: {error}",
            allowed="what rosbag2 writes",
        ) from error


def _read(inner: Node) -> Metadata:
    if not isinstance(inner, dict):
        raise TypeError("no mapping")
    topics = {
        str(_mapping(entry["topic_metadata"])["name"]): int(str(entry["message_count"]))
        for entry in map(_mapping, _list(inner["topics_with_message_count"]))
    }
    custom = inner.get("custom_data", {})
    mode = str(inner.get("compression_mode", "")).lower()
    return Metadata(
        version=int(str(inner["version"])),
        files=tuple(map(str, _list(inner["relative_file_paths"]))),
        messages=topics,
        compression_mode="" if mode == "none" else mode,
        custom={key: str(value) for key, value in custom.items() if isinstance(value, str)}
        if isinstance(custom, dict)
        else {},
    )


def _mapping(node: Node) -> dict[str, Node]:
    if not isinstance(node, dict):
        raise TypeError("no mapping")
    return node


def _list(node: Node) -> list[Node]:
    if not isinstance(node, list):
        raise TypeError("no list")
    return node


def parse_text_yaml(text: str, where: str) -> Node:
    """One YAML document whose scalars stay the text that they are.

    Refused: aliases, anchors, tags, keys twice, several documents, deep nesting, large texts.

    Raises:
        BagError: It is not valid, or uses what is refused.
    """
    if len(text) > MAX_BYTES:
        raise _refused("too large", where)
    try:
        events = yaml.parse(text, Loader=_LOADER)
        next(events)  # the stream's start
        if isinstance(next(events), yaml.StreamEndEvent):
            raise _refused("empty", where)
        node = _node(events, next(events), 0, where)
        next(events)
        if not isinstance(next(events), yaml.StreamEndEvent):
            raise _refused("more than one document", where)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise _refused(str(error).replace("\n", " "), where) from error
    return node


def _node(events: Iterator[yaml.Event], event: yaml.Event, depth: int, where: str) -> Node:
    if any(getattr(event, name, None) for name in ("anchor", "tag")):
        raise _refused("aliases, anchors and tags are not allowed", where)
    if depth > _MAX_DEPTH:
        raise _refused("nested too deeply", where)
    if isinstance(event, yaml.ScalarEvent):
        return str(event.value)
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_node(events, event, depth + 1, where))
        return items
    found: dict[str, Node] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _node(events, event, depth + 1, where)
        if not isinstance(key, str) or key in found:
            raise _refused(f"a key that is no text or stands twice: {str(key)[:80]}", where)
        found[key] = _node(events, next(events), depth + 1, where)
    return found


def _refused(found: str, where: str) -> BagError:
    return BagError("not YAML as rosbag2 writes it", where=where, found=found)
