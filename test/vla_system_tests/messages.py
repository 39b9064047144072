"""What a user sees when something is refused."""

from __future__ import annotations

PARTS = ("; where: ", "; found: ", "; allowed: ")


def check_one_clear_message(output: str, code: str, *expected: str) -> None:
    """One error of this code, that says what, where, found and allowed, and no traceback."""
    assert "Traceback" not in output, output
    lines = [line for line in output.splitlines() if f"[{code}]" in line]
    assert len(lines) == 1, output
    for part in (*PARTS, *expected):
        assert part in lines[0], f"{part!r} is not in {lines[0]!r}"
