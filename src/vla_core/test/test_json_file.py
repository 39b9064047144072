"""JSON of others is read with a limit and without doubt about what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from vla_core.json_file import parse_object, read_object


def test_an_object_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": {"b": [1, {"b": 2}]}, "b": 3}')
    assert read_object(tmp_path / "a.json", 100) == {"a": {"b": [1, {"b": 2}]}, "b": 3}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' twice"),
        ('[{"x": {"a": 1, "a": 1}}]', "the key 'a' twice"),
        ("[]", "^list$"),
        ("[" * 10**5, "nested too deeply"),
        ('{"a": 1', "delimiter"),
        (b"\xff\xfe\xfd", "decode"),
    ],
)
def test_what_is_not_one_clear_object_is_refused(text: str | bytes, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        parse_object(text)


def test_what_is_no_file_of_that_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    with pytest.raises(ValueError, match="8 bytes"):
        read_object(tmp_path / "a.json", 7)
    with pytest.raises(ValueError, match="not a regular file"):
        read_object(tmp_path, 100)
    with pytest.raises(ValueError, match="No such file"):
        read_object(tmp_path / "none.json", 100)
