"""A strict subset of YAML whose every value knows its line, for files that move robots.

Refused: anchors, aliases, tags, duplicate keys, several documents, deep nesting, large files,
unprintable characters, non-finite numbers. Numbers are read as a person would: ``1e3``, to
YAML 1.1 a string, is 1000.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from vla_core.errors import ContractError

MAX_BYTES = 1 << 18  # fifty times a large contract; a hostile one of this size takes seconds
MAX_DEPTH = 12
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NON_FINITE = re.compile(r"[-+]?\.?(inf|nan|infinity)", re.IGNORECASE)
_LAYOUT = str.maketrans("\n\t", "  ")
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
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        raise ContractError(
            "the file cannot be read",
            where=f"{path}:1",
            found=getattr(error, "strerror", None) or error,
            allowed="a readable file",
            fix="check the path; contracts are in config/robots",
        ) from error
    if len(raw) > MAX_BYTES:
        raise _too_large(str(path))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ContractError(
            "not a text file", where=f"{path}:{line}", found=error.reason, allowed="UTF-8 YAML"
        ) from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> Located:
    """Parse strict YAML text; ``file`` is used in messages only.

    Raises:
        ContractError: as ``load_yaml``.
    """
    if len(text) > MAX_BYTES:
        raise _too_large(file)
    try:
        return _Reader(yaml.parse(text, Loader=yaml.SafeLoader), file).document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _invalid(file, line, error.problem or "syntax error") from error
    except yaml.reader.ReaderError as error:  # a character that YAML does not allow
        line = text.count("\n", 0, error.position) + 1
        raise _invalid(file, line, error.reason) from error
    except (ValueError, OverflowError) as error:  # PyYAML on numbers in escapes and directives
        raise _invalid(file, 1, str(error)) from error


def _invalid(file: str, line: int, found: str) -> ContractError:
    return ContractError(
        "not valid YAML", where=f"{file}:{line}", found=found, allowed="plain YAML 1.1"
    )


def _too_large(file: str) -> ContractError:
    return ContractError(
        "the file is too large", where=f"{file}:1", allowed=f"at most {MAX_BYTES} bytes"
    )


def _forbidden(what: str, where: str, found: str) -> ContractError:
    return ContractError(what, where=where, found=found, allowed="plain keys and values")


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
            raise ContractError(
                "the file is empty", where=f"{self._file}:1", allowed="one mapping of keys"
            )
        value = self._value(next(self._events), 0)
        next(self._events)  # document end
        if not isinstance(event := next(self._events), yaml.StreamEndEvent):
            raise ContractError(
                "more than one document", where=f"{self._file}:{_line(event)}", allowed="one"
            )
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
            raise _forbidden("aliases are not allowed", where, f"*{event.anchor}")
        if anchor := getattr(event, "anchor", None):
            raise _forbidden("anchors are not allowed", where, f"&{anchor}")
        if tag := getattr(event, "tag", None):
            raise _forbidden("tags are not allowed", where, tag)
        text = event.value if isinstance(event, yaml.ScalarEvent) else ""
        if not text.translate(_LAYOUT).isprintable():  # by escapes: control characters, surrogates
            raise _forbidden("an unprintable character", where, repr(text))
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
                raise _forbidden("a key must be text", f"{self._file}:{line}", "a collection")
            if event.value in items:
                raise ContractError(
                    "duplicate key",
                    where=f"{self._file}:{line}",
                    found=event.value,
                    allowed="each key once",
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
            raise self._not_finite(text, line)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if not math.isfinite(number):
                raise self._not_finite(text, line)
            return number
        return str(text)

    def _not_finite(self, text: str, line: int) -> ContractError:
        return ContractError(
            "not a finite number",
            where=f"{self._file}:{line}",
            found=text,
            allowed="a finite number",
        )
