"""A strict subset of YAML whose every value knows its line, for files that move robots.

Refused: anchors, aliases, tags, duplicate keys, several documents, deep nesting, large files,
non-finite numbers. Numbers are read as a person would: ``1e3``, to YAML 1.1 a string, is 1000.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from vla_core.errors import ContractError

MAX_BYTES = 1 << 20
MAX_DEPTH = 12
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NON_FINITE = re.compile(r"[-+]?\.?(inf|nan|infinity)", re.IGNORECASE)
_BOOL = {"true": True, "false": False}

Scalar = str | int | float | bool
Value = Scalar | list["Located"] | dict[str, "Located"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A value and where it stands."""

    value: Value
    file: str
    line: int

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"

    def plain(self) -> object:
        """The same without lines: dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


def load_yaml(path: Path) -> Located:
    """Read one strict YAML document.

    Raises:
        ContractError: the file is missing, too large, or uses anything refused above.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        text = raw.decode("utf-8")
    except OSError as error:
        raise ContractError(
            "the file cannot be read",
            where=str(path),
            found=error.strerror,
            fix="check the path; contracts are in config/robots",
        ) from error
    except UnicodeDecodeError as error:
        raise ContractError("not a text file", where=str(path), allowed="UTF-8 YAML") from error
    if len(raw) > MAX_BYTES:
        raise ContractError("the file is too large", where=str(path), allowed=f"{MAX_BYTES} bytes")
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> Located:
    """Parse strict YAML text; ``file`` is used in messages only."""
    try:
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        reader = _Reader(events, file)
        return reader.document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ContractError(
            "not valid YAML", where=f"{file}:{line}", found=error.problem or "syntax error"
        ) from error
    except yaml.YAMLError as error:  # characters that YAML does not allow carry no mark
        raise ContractError(
            "not valid YAML", where=file, found=str(error).split("\n")[0]
        ) from error


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


class _Reader:
    """Builds located values from parser events: nothing is expanded before it is judged."""

    def __init__(self, events: Iterator[yaml.Event], file: str) -> None:
        self._events = events
        self._file = file

    def document(self) -> Located:
        next(self._events)  # stream start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise ContractError("the file is empty", where=self._file)
        value = self._value(next(self._events), 0)
        next(self._events)  # document end
        if not isinstance(next(self._events), yaml.StreamEndEvent):
            raise ContractError("more than one document", where=self._file, allowed="one")
        return value

    def _value(self, event: yaml.Event, depth: int) -> Located:
        line = _line(event)
        self._refuse(event, line, depth)
        if isinstance(event, yaml.ScalarEvent):
            value: Value = self._scalar(event, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(depth)
        else:
            value = self._mapping(depth)
        return Located(value=value, file=self._file, line=line)

    def _refuse(self, event: yaml.Event, line: int, depth: int) -> None:
        where = f"{self._file}:{line}"
        if isinstance(event, yaml.AliasEvent):
            raise ContractError("aliases are not allowed", where=where, found=f"*{event.anchor}")
        if anchor := getattr(event, "anchor", None):
            raise ContractError("anchors are not allowed", where=where, found=f"&{anchor}")
        if tag := getattr(event, "tag", None):
            raise ContractError("tags are not allowed", where=where, found=tag)
        if depth > MAX_DEPTH:
            raise ContractError("nested too deeply", where=where, allowed=f"{MAX_DEPTH} levels")

    def _sequence(self, depth: int) -> list[Located]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, depth + 1))
        return items

    def _mapping(self, depth: int) -> dict[str, Located]:
        items: dict[str, Located] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            self._refuse(event, line, depth)
            if not isinstance(event, yaml.ScalarEvent):
                raise ContractError("a key must be plain text", where=f"{self._file}:{line}")
            if event.value in items:
                raise ContractError(
                    "duplicate key",
                    where=f"{self._file}:{line}",
                    found=event.value,
                    fix=f"it already stands in line {items[event.value].line}; keep one",
                )
            items[event.value] = self._value(next(self._events), depth + 1)
        return items

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Scalar:
        text = event.value
        if event.style is not None and event.style in "'\"|>":
            return str(text)
        if text in _BOOL:
            return _BOOL[text]
        if _INT.fullmatch(text) and len(text) <= 18:
            return int(text)
        if _NON_FINITE.fullmatch(text):
            raise ContractError("not a finite number", where=f"{self._file}:{line}", found=text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if not math.isfinite(number):
                raise ContractError(
                    "not a finite number", where=f"{self._file}:{line}", found=text
                )
            return number
        return str(text)
