"""A joystick that jogs joints, while its dead-man button is pressed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_core.contract import Contract
from vla_core.errors import ParameterError
from vla_core.types import FloatArray

_ENTRY = re.compile(r"(\w+)=(-?)(axes|buttons)\[(\d{1,3})\]")
DEADZONE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """An axis or a button, and the joint that it moves."""

    joint: str
    sign: float
    is_axis: bool
    index: int


class Joystick:
    """Which joints are asked to move now.

    Args:
        contract: The robot.
        controls: Pages of `joint=axes[0]`, `joint=-axes[1]` or `joint=buttons[2]`, see
            `parse_controls`.
        deadman: Number of the button without which nothing moves.
        next_page: Number of the button that goes to the next page.
    """

    def __init__(self, contract: Contract, controls: str, deadman: int, next_page: int) -> None:
        self._names = contract.action_names
        self._pages = parse_controls(controls, self._names)
        self._deadman, self._next_page = deadman, next_page
        self._is_next_page_down = False
        self.page = 0

    def wish(self, axes: Sequence[float], buttons: Sequence[int]) -> FloatArray:
        """(A,) from -1 to 1 for each joint; 0 while the dead-man button is not pressed.

        Controls that the joystick does not have are at rest.
        """
        wish = np.zeros(len(self._names))
        is_down = _at(buttons, self._next_page) > 0
        if is_down and not self._is_next_page_down:
            self.page = (self.page + 1) % len(self._pages)
        self._is_next_page_down = is_down
        if not _at(buttons, self._deadman) > 0:
            return wish
        for control in self._pages[self.page]:
            value = _at(axes if control.is_axis else buttons, control.index)
            if abs(value) > DEADZONE:
                wish[self._names.index(control.joint)] += control.sign * value
        return np.clip(wish, -1, 1)


def parse_controls(text: str, names: Sequence[str]) -> list[list[Control]]:
    """Controls by page: separated by spaces, pages by `|`.

    Raises:
        ParameterError: An entry that is none, or a joint that the contract does not command.
    """
    pages = [[_control(entry, names) for entry in page.split()] for page in text.split("|")]
    if not all(pages):
        raise ParameterError(
            "a page without controls",
            where="parameter joystick_controls",
            found=repr(text),
            allowed="left_waist=axes[0] left_gripper=-buttons[1] | right_waist=axes[0] ...",
        )
    return pages


def _control(entry: str, names: Sequence[str]) -> Control:
    match = _ENTRY.fullmatch(entry)
    if match is None or match[1] not in names:
        raise ParameterError(
            "not a control",
            where="parameter joystick_controls",
            found=entry,
            allowed=f"<joint>=[-]axes[<n>] or buttons[<n>]; joints: {', '.join(names)}",
        )
    return Control(
        joint=match[1],
        sign=-1.0 if match[2] else 1.0,
        is_axis=match[3] == "axes",
        index=int(match[4]),
    )


def _at(values: Sequence[float], index: int) -> float:
    value = float(values[index]) if 0 <= index < len(values) else 0.0
    return value if np.isfinite(value) else 0.0
