"""Node parameters as data: declared once, for ROS, for the checks, and for the tables in docs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vla_core.errors import ParameterError

Value = str | bool | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a node. The type is that of the default.

    Attributes:
        required: The default is no value; the user must give one.
        low, high: Range of a number, both included; None: no bound.
        choices: Allowed texts, where there are few.
        dynamic: May be changed while the node runs; all others are read-only.
    """

    name: str
    default: Value
    description: str
    unit: str = ""
    required: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    dynamic: bool = False

    def check(self, value: Value) -> None:
        """Raises ParameterError when the value is not allowed."""
        if self.required and value == self.default:
            self._refuse("a required parameter is not set", value, f"{self.name}:=<{self.name}>")
        if self.choices and value not in self.choices:
            self._refuse("not one of the choices", value, ", ".join(self.choices))
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if isinstance(value, (int, float)) and not low <= value <= high:  # also refuses nan
            self._refuse("out of range", value, f"{low:g} to {high:g} {self.unit}".rstrip())

    def _refuse(self, what: str, value: Value, allowed: str) -> None:
        raise ParameterError(
            what, where=f"parameter {self.name}", found=repr(value), allowed=allowed
        )


def table(parameters: Sequence[Parameter]) -> str:
    """The parameters as a Markdown table."""
    rows = [
        "| parameter | type | default | unit | allowed | description |",
        "|---|---|---|---|---|---|",
    ]
    for p in parameters:
        allowed = ", ".join(p.choices)
        if p.low is not None and p.high is not None:
            allowed = f"{_plain(p.low)} to {_plain(p.high)}"
        default = "required" if p.required else f"`{p.default}`" if p.default != "" else ""
        dynamic = " Can be changed while the node runs." if p.dynamic else ""
        rows.append(
            f"| `{p.name}` | {type(p.default).__name__} | {default} | {p.unit} | {allowed} "
            f"| {p.description}{dynamic} |"
        )
    return "\n".join(rows)


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:g}"
