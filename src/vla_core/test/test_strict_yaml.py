"""Strict YAML: what it reads, and that everything else is one error with file and line."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vla_core.errors import ContractError
from vla_core.strict_yaml import MAX_BYTES, MAX_DEPTH, load_yaml, parse_yaml

REFUSED = {
    "alias": ("a: 1\nb: *x", 2, "aliases"),
    "anchor": ("a: 1\nb: &x 1", 2, "anchors"),
    "anchored mapping": ("a: &x {b: 1}", 1, "anchors"),
    "anchored key": ("&x a: 1", 1, "anchors"),
    "alias as key": ("a: 1\n*x : 2", 2, "aliases"),
    "merge key": ("b: 1\n<<: *x", 2, "aliases"),
    "tag": ("a: !!python/object:os.system 1", 1, "tags"),
    "local tag": ("a: !x 1", 1, "tags"),
    "non-specific tag": ("a: ! 1", 1, "tags"),
    "tag by directive": ("%TAG ! !\n---\na: !x 1", 3, "tags"),
    "duplicate key": ("a: 1\nb: 2\na: 3", 3, "duplicate"),
    "duplicate nested key": ("a:\n  b: 1\n  b: 1", 3, "duplicate"),
    "quoted duplicate": ("a: 1\n'a': 1", 2, "duplicate"),
    "collection as key": ("? [a]\n: 1", 1, "key must be text"),
    "nan": ("a: .nan", 1, "finite"),
    "bare nan": ("a: nan", 1, "finite"),
    "inf": ("a: [1, -.inf]", 1, "finite"),
    "Infinity": ("a: Infinity", 1, "finite"),
    "overflow": ("a: 1\nb: 1e999", 2, "finite"),
    "two documents": ("a: 1\n---\nb: 1", 2, "more than one document"),
    "empty": ("", 1, "empty"),
    "only a comment": ("# nothing\n", 1, "empty"),
    "syntax": ("a: 1\nb: [1, 2", 2, "not valid YAML"),
    "tab": ("a:\n\tb: 1", 2, "not valid YAML"),
    "control character": ("a: 1\nb: \x07", 2, "not valid YAML"),
    "escaped NUL": ('a: "\\x00"', 1, "unprintable"),
    "escaped line break in a key": ('"a\\rb": 1', 1, "unprintable"),
    "escaped lone surrogate": ('a: "\\ud800"', 1, "unprintable"),
    "escape beyond Unicode": ('a: "\\UFFFFFFFF"', 1, "not valid YAML"),
    "text direction override": ('a: "\\u202e"', 1, "unprintable"),
    "version beyond all bounds": (f"%YAML 1.{'9' * 9000}\n---\na: 1", 1, "not valid YAML"),
    "deep": ("[" * 10_000, 1, "nested too deeply"),
    "deep mappings": ("{a: " * 1000, 1, "nested too deeply"),
    "large": ("a: 1\n" * (MAX_BYTES // 5 + 1), 1, "too large"),
}


def assert_message(error: ContractError, file: str, line: int, what: str) -> None:
    text = str(error)
    assert what in text
    assert re.search(rf"where: {re.escape(file)}:{line}(;|$)", text), text
    assert "; allowed: " in text
    assert text.isprintable()
    assert len(text) < 10_000


@pytest.mark.parametrize("name", REFUSED)
def test_p11_what_is_not_plain_yaml_is_refused_with_file_and_line(name: str) -> None:
    text, line, what = REFUSED[name]
    with pytest.raises(ContractError) as caught:
        parse_yaml(text, "robot.yaml")
    assert_message(caught.value, "robot.yaml", line, what)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1),
        ("-7", -7),
        ("+2", 2),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-2.5E-3", -0.0025),
        ("0123", 123),
        ("9" * 30, 1e30),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("yes", "yes"),
        ("null", "null"),
        ("~", "~"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2020-01-01", "2020-01-01"),
        ('"1"', "1"),
        ("'nan'", "nan"),
        ("", ""),
    ],
)
def test_scalars_are_read_as_a_person_would(written: str, value: object) -> None:
    found = parse_yaml(f"a: {written}", "f").plain()
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)


def test_values_know_their_lines() -> None:
    document = parse_yaml("a: 1\nb:\n  - x\n  - {c: y}\n", "f.yaml")
    assert document.where == "f.yaml:1"
    assert isinstance(document.value, dict)
    items = document.value["b"].value
    assert isinstance(items, list)
    assert [item.where for item in items] == ["f.yaml:3", "f.yaml:4"]
    assert document.plain() == {"a": 1, "b": ["x", {"c": "y"}]}


def test_nesting_up_to_the_limit_is_read() -> None:
    parse_yaml("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "f")
    with pytest.raises(ContractError, match="nested too deeply"):
        parse_yaml("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "f")


@pytest.mark.parametrize(
    ("content", "what", "line"),
    [
        (b"a: 1\nb: \xff\xfe", "not a text file", 2),
        (bytes(range(256)), "not a text file", 2),
        (b"\x7fELF\x02\x01\x01\x00", "not valid YAML", 1),
        (b"\x00" * 100, "not valid YAML", 1),
        (b"a: 1\n" * 400_000, "too large", 1),
        (b"\xc3\xa9" * 1_000_000, "too large", 1),  # cut in the middle of a character
        (b"", "empty", 1),
    ],
)
def test_p11_hostile_files_are_refused(
    tmp_path: Path, content: bytes, what: str, line: int
) -> None:
    path = tmp_path / "robot.yaml"
    path.write_bytes(content)
    with pytest.raises(ContractError) as caught:
        load_yaml(path)
    assert_message(caught.value, str(path), line, what)


def test_a_file_that_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.yaml", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(ContractError, match="cannot be read"):
            load_yaml(path)


YAML_PIECES = st.sampled_from(
    [
        *"{}[]:,-?#&*!|>%@`'\"\\\n\t \x00\x85\u2028\ufeff",
        "a",
        "1",
        ".nan",
        "---",
        "...",
        "<<",
        "\\U",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(YAML_PIECES | st.text(max_size=3), max_size=60).map("".join))
@example('"\\UFFFFFFFF"')
@example("%YAML 1." + "9" * 5000)
def test_p11_no_text_raises_anything_but_a_contract_error(text: str) -> None:
    with contextlib.suppress(ContractError):
        parse_yaml(text, "f")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_p11_no_file_raises_anything_but_a_contract_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(os.path.join(folder, "f.yaml"))
        path.write_bytes(content)
        with contextlib.suppress(ContractError):
            load_yaml(path)
