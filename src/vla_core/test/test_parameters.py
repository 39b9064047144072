"""Parameters as data: checked, and shown as a table."""

from __future__ import annotations

import pytest

from vla_core.errors import ParameterError
from vla_core.parameters import Parameter, Value, table

RATE = Parameter(name="rate_hz", default=2.0, low=0.5, high=10, unit="Hz", description="A rate.")
MODE = Parameter(name="mode", default="auto", choices=("auto", "cpu"), description="A mode.")
PATH = Parameter(name="path", default="", required=True, description="A path.")
FREE = Parameter(name="prompt", default="", dynamic=True, description="A text.")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [(RATE, 0.5), (RATE, 10), (MODE, "cpu"), (PATH, "/a"), (FREE, ""), (FREE, "anything")],
)
def test_allowed_values_pass(parameter: Parameter, value: Value) -> None:
    parameter.check(value)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (RATE, 0.49),
        (RATE, 11),
        (RATE, float("nan")),
        (RATE, float("inf")),
        (MODE, "cuda"),
        (MODE, ""),
        (PATH, ""),
    ],
)
def test_other_values_are_refused_with_what_is_allowed(parameter: Parameter, value: Value) -> None:
    with pytest.raises(ParameterError) as caught:
        parameter.check(value)
    message = str(caught.value)
    assert f"where: parameter {parameter.name}" in message
    assert "allowed: " in message


def test_a_range_of_one_side_is_checked_too() -> None:
    least = Parameter(name="n", default=1, low=0, description="")
    most = Parameter(name="n", default=1, high=5, description="")
    least.check(10**9)
    most.check(-(10**9))
    for parameter, value in ((least, -1), (most, 6)):
        with pytest.raises(ParameterError, match="out of range"):
            parameter.check(value)


def test_the_table_has_a_row_for_each_parameter() -> None:
    rows = table((RATE, MODE, PATH, FREE)).split("\n")
    assert rows[2] == "| `rate_hz` | float | `2.0` | Hz | 0.5 to 10 | A rate. |"
    assert rows[3] == "| `mode` | str | `auto` |  | auto, cpu | A mode. |"
    assert rows[4] == "| `path` | str | required |  |  | A path. |"
    assert rows[5].endswith("A text. Can be changed while the node runs. |")
    assert all(row.count("|") == 7 for row in rows)
