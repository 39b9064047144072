"""Typed reading of located YAML: one key a method, checked, with file, line, found, allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from vla_core.errors import ContractError
from vla_core.strict_yaml import Located, Scalar

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
# Source: design.ros2.org, topic and service names; a private name (~) would differ between nodes.
_TOPIC = re.compile(r"(?!.*__)/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
_TYPE = re.compile(r"[a-z][a-z0-9_]*/msg/[A-Z][A-Za-z0-9]*")
_S = TypeVar("_S", str, int)


class Block:
    """One mapping of the document. ``finish`` refuses the keys that nobody asked for."""

    def __init__(self, node: Located) -> None:
        if not isinstance(node.value, dict):
            raise ContractError(
                "a mapping was expected", where=node.where, found=_show(node), allowed="key: value"
            )
        self._node = node
        self._items = node.value
        self._asked: list[str] = []

    def at(self, key: str) -> str:
        """File and line of a key, or of the block when the key is absent."""
        return self._items[key].where if key in self._items else self._node.where

    def finish(self) -> None:
        unknown = [key for key in self._items if key not in self._asked]
        if unknown:
            raise ContractError(
                "unknown key",
                where=self._items[unknown[0]].where,
                found=unknown[0],
                allowed=", ".join(dict.fromkeys(self._asked)) or "no keys here",
            )

    def _take(self, key: str, allowed: str) -> Located:
        self._asked.append(key)
        if key not in self._items:
            raise ContractError(
                "missing key", where=self._node.where, found=", ".join(self._items) or "nothing",
                allowed=f"{key}: {allowed}", fix=f"add {key}",
            )  # fmt: skip
        return self._items[key]

    def _absent(self, key: str) -> bool:
        self._asked.append(key)
        return key not in self._items

    def has(self, key: str) -> bool:
        """Whether an optional key is there."""
        return not self._absent(key)

    def text(self, key: str, default: str | None = None) -> str:
        if default is not None and self._absent(key):
            return default
        node = self._take(key, "text")
        if not isinstance(node.value, str):
            raise _wrong("text was expected", node, "text")
        return node.value

    def _matching(self, key: str, pattern: re.Pattern[str], allowed: str) -> str:
        node = self._take(key, allowed)
        if not isinstance(node.value, str) or not pattern.fullmatch(node.value):
            raise _wrong(f"not a valid {key}", node, allowed)
        return node.value

    def name(self, key: str, default: str | None = None) -> str:
        if default is not None and self._absent(key):
            return default
        return self._matching(key, _NAME, "a name of letters, digits and _")

    def topic(self, key: str) -> str:
        return self._matching(key, _TOPIC, "a ROS topic such as /left/joint_states")

    def message_type(self, key: str) -> str:
        return self._matching(key, _TYPE, "package/msg/Type such as sensor_msgs/msg/JointState")

    def choice(self, key: str, allowed: Sequence[_S], default: _S | None = None) -> _S:
        if default is not None and self._absent(key):
            return default
        node = self._take(key, " or ".join(map(str, allowed)))
        for option in allowed:
            if node.value == option and type(node.value) is type(option):
                return option
            if isinstance(option, str) and str(node.value) == option:  # unit "1" may be written 1
                return option
        raise _wrong(f"not a valid {key}", node, ", ".join(map(str, allowed)))

    def number(
        self, key: str, *, low: float, high: float, unit: str = "", default: float | None = None
    ) -> float:
        if default is not None and self._absent(key):
            return default
        allowed = f"a number from {low:g} to {high:g} {unit}".rstrip()
        node = self._take(key, allowed)
        return _number(node, low, high, allowed)

    def integer(self, key: str, *, low: int, high: int) -> int:
        allowed = f"a whole number from {low} to {high}"
        node = self._take(key, allowed)
        if not isinstance(node.value, int):
            raise _wrong(f"not a valid {key}", node, allowed)
        return int(_number(node, low, high, allowed))

    def span(self, key: str) -> tuple[float, float]:
        allowed = "[lower, upper] with lower < upper"
        node = self._take(key, allowed)
        if not isinstance(node.value, list) or len(node.value) != 2:
            raise _wrong(f"not a valid {key}", node, allowed)
        lower, upper = (_number(item, -1e6, 1e6, allowed) for item in node.value)
        if lower >= upper:
            raise _wrong("lower is not below upper", node, allowed)
        return lower, upper

    def block(self, key: str) -> Block:
        return Block(self._take(key, "a mapping"))

    def blocks(self, key: str, *, empty: bool = False) -> list[tuple[str, Block]]:
        """Named sub-blocks, in order."""
        node = self._take(key, "a mapping of names")
        if not isinstance(node.value, dict) or not (node.value or empty):
            raise _wrong("a mapping of names was expected", node, "name: {...}")
        return [(_valid_name(name, child), Block(child)) for name, child in node.value.items()]

    def names(self, key: str, *, allowed: Iterable[str]) -> list[str]:
        """A list of names, each one of ``allowed`` and none twice."""
        known = list(allowed)
        node = self._take(key, "a list of names")
        if not isinstance(node.value, list) or not node.value:
            raise _wrong("a list of names was expected", node, "[name, ...]")
        names = [_one_of(item, item.value, known) for item in node.value]
        return unique(self, key, names)

    def mapping(self, key: str, *, allowed: Iterable[str]) -> Mapping[str, str]:
        """``[a, b]`` or ``{a: name in the message, ...}`` -> contract name to message name."""
        known = list(allowed)
        node = self._take(key, "a list of names, or name: name in the message")
        if isinstance(node.value, list):
            return {name: name for name in self.names(key, allowed=known)}
        if not isinstance(node.value, dict) or not node.value:
            raise _wrong("joint names were expected", node, "[name, ...] or {name: in_message}")
        for name, item in node.value.items():
            _one_of(item, name, known)
            if not isinstance(item.value, str):
                raise _wrong("not a name inside a message", item, "text")
        pairs = {name: str(item.value) for name, item in node.value.items()}
        unique(self, key, pairs.values())
        return pairs


def unique(block: Block, key: str, names: Iterable[str]) -> list[str]:
    """The names as a list; one that stands twice is an error."""
    found = list(names)
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise ContractError(
            f"a name stands twice in {key}",
            where=block.at(key),
            found=", ".join(twice),
            allowed="each name once",
        )
    return found


def _one_of(node: Located, name: object, known: Sequence[str]) -> str:
    if name not in known:
        raise ContractError(
            "unknown joint", where=node.where, found=name, allowed=", ".join(known),
            fix="declare it under joints (for state: in a stream), or correct the name",
        )  # fmt: skip
    return str(name)


def _valid_name(name: str, node: Located) -> str:
    if not _NAME.fullmatch(name):
        raise ContractError(
            "not a valid name", where=node.where, found=name, allowed="letters, digits and _"
        )
    return name


def _number(node: Located, low: float, high: float, allowed: str) -> float:
    if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
        raise _wrong("a number was expected", node, allowed)
    if not low <= node.value <= high:
        raise _wrong("a number out of range", node, allowed)
    return float(node.value)


def _wrong(what: str, node: Located, allowed: str) -> ContractError:
    return ContractError(what, where=node.where, found=_show(node), allowed=allowed)


def _show(node: Located) -> Scalar:
    text = str(node.plain())
    return text if len(text) <= 80 else text[:77] + "..."
