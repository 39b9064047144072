"""Keys that jog joints: a key held down, which a terminal repeats, keeps its joint moving."""

from __future__ import annotations

from enum import Enum

import numpy as np

from vla_core.contract import Contract
from vla_core.types import FloatArray

UP, DOWN = "qwertyuiop", "asdfghjkl;"
PRESS_NS = 120_000_000  # longer than a terminal takes to repeat a key, about 30 ms


class Request(Enum):
    """What a key asks for besides motion."""

    STOP = "stop"
    RESUME = "resume"


class Keyboard:
    """Which joints are asked to move now.

    Joints are shown by pages of at most ten, the groups of the contract kept together where they
    fit: for ALOHA one page for each arm and its gripper.

    Attributes:
        speed: Part of each joint's largest rate.
    """

    def __init__(self, contract: Contract, speed: float) -> None:
        self._names = contract.action_names
        self.pages = _pages([list(group.joints) for group in contract.action])
        self.page = 0
        self.speed = speed
        self._moving: dict[str, tuple[float, int]] = {}  # joint -> direction, until when

    def press(self, key: str, mono_ns: int) -> Request | None:
        """Take a key; other keys than the known ones mean nothing."""
        if key == " ":
            self._moving.clear()
            return Request.STOP
        if key in "\r\n":
            return Request.RESUME
        if key == "\t":
            self._moving.clear()
            self.page = (self.page + 1) % len(self.pages)
        if key in "123456789":
            self.speed = int(key) / 10
        for keys, direction in ((UP, 1.0), (DOWN, -1.0)):
            at = keys.find(key)
            if 0 <= at < len(self.pages[self.page]):
                self._moving[self.pages[self.page][at]] = direction, mono_ns + PRESS_NS
        return None

    def wish(self, mono_ns: int) -> FloatArray:
        """(A,) -1, 0 or 1 for each joint of the contract."""
        self._moving = {
            name: (direction, until_ns)
            for name, (direction, until_ns) in self._moving.items()
            if until_ns > mono_ns
        }
        return np.array([self._moving.get(name, (0.0, 0))[0] for name in self._names])

    def help(self) -> str:
        """One line: the joints of the page with their keys, and all other keys."""
        page = self.pages[self.page]
        joints = " ".join(
            f"{up}/{down} {name}" for up, down, name in zip(UP, DOWN, page, strict=False)
        )
        return f"{joints} | tab: next joints | 1-9: speed | space: stop | enter: resume"


def _pages(groups: list[list[str]]) -> list[list[str]]:
    pages: list[list[str]] = []
    for group in groups:
        if pages and len(pages[-1]) + len(group) <= len(UP):
            pages[-1] += group
        else:
            pages += [group[at : at + len(UP)] for at in range(0, len(group), len(UP))]
    return pages
