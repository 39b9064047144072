"""A robot made of its contract alone: joints follow commands, cameras show a test pattern."""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_bringup.sim.simulated_robot import SimulationError, Snapshot
from vla_core.contract import Contract, Joint, Kind

TIME_CONSTANT_S = 0.05  # a servo of a robot arm settles in a few tenths of a second

_WHITE, _BLACK, _BAR = (255, 255, 255), (0, 0, 0), (255, 170, 40)
_PATTERN_PERIOD_S = 4.0


class FakeRobot:
    """Every joint of a contract as a first-order servo, held to the joint's range and rate."""

    def __init__(self, contract: Contract) -> None:
        self._joints = contract.joints
        self._index = {name: index for index, name in enumerate(contract.joints)}
        joints = contract.joints.values()
        self._lower = np.array([joint.lower for joint in joints])
        self._upper = np.array([joint.upper for joint in joints])
        self._max_rate = np.array([joint.max_rate for joint in joints])
        self._value = np.array([rest_value(joint) for joint in joints])
        self._target = self._value.copy()
        self._rate = np.zeros_like(self._value)
        self._time_s = 0.0
        self._drawn: dict[str, int] = {}

    def command(self, targets: Mapping[str, float]) -> None:
        """Set targets; those outside a joint's range stop at its end.

        Raises:
            SimulationError: A joint that there is not, or a target that is not finite.
        """
        for name, target in targets.items():
            if name not in self._index or not math.isfinite(target):
                raise SimulationError(
                    "a command that the robot cannot follow",
                    where=name,
                    found=target,
                    allowed=f"finite numbers for {', '.join(self._index)}",
                )
            index = self._index[name]
            self._target[index] = np.clip(target, self._lower[index], self._upper[index])

    def step(self, dt_s: float) -> int:
        """Move towards the targets: exponentially, no faster than each joint may.

        Source: the step response of a first-order lag, 1 - exp(-t / T).
        """
        if dt_s <= 0:
            return 0
        wanted = (self._target - self._value) * -math.expm1(-dt_s / TIME_CONSTANT_S)
        furthest = self._max_rate * dt_s
        moved = np.clip(wanted, -furthest, furthest)
        self._value += moved
        self._rate = moved / dt_s
        self._time_s += dt_s
        return 1

    def positions(self) -> dict[str, float]:
        """The joints' values, in the contract's units."""
        return dict(zip(self._index, self._value.tolist(), strict=True))

    def velocities(self) -> dict[str, float]:
        """The joints' rates, in the contract's units per second."""
        return dict(zip(self._index, self._rate.tolist(), strict=True))

    def snapshot(self) -> Snapshot:
        """Simulated time (s), then each joint's place in its range, 0 to 1: (1 + N,) float64."""
        filled = (self._value - self._lower) / (self._upper - self._lower)
        return np.concatenate([[self._time_s], filled])

    def render(
        self, camera: str, width: int, height: int, snapshot: Snapshot
    ) -> NDArray[np.uint8]:
        """Draw a drifting pattern, the camera's name, a frame counter and a bar per joint."""
        frame = self._drawn.get(camera, 0)
        self._drawn[camera] = frame + 1
        image = _pattern(width, height, phase=float(snapshot[0]) / _PATTERN_PERIOD_S)
        scale = height / 480
        for text, x, y in ((camera, 0.03, 0.1), (f"frame {frame}", 0.03, 0.18)):
            _write(image, text, (round(x * width), round(y * height)), scale)
        _draw_bars(image, snapshot[1:], list(self._joints), scale)
        return image

    def close_renderer(self) -> None:
        """Nothing to free."""


def rest_value(joint: Joint) -> float:
    """Where a joint starts: zero where it may be zero, else the middle of its range."""
    if joint.kind is Kind.VELOCITY or joint.lower <= 0 <= joint.upper:
        return 0.0
    return (joint.lower + joint.upper) / 2


def _pattern(width: int, height: int, *, phase: float) -> NDArray[np.uint8]:
    columns = (np.arange(width) / width + phase) % 1.0
    rows = np.arange(height) / height
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = (40 + 80 * columns).astype(np.uint8)
    image[..., 1] = (50 + 70 * rows).astype(np.uint8)[:, None]
    image[..., 2] = (120 - 80 * columns).astype(np.uint8)
    return image


def _draw_bars(image: NDArray[np.uint8], filled: Snapshot, names: list[str], scale: float) -> None:
    height, width = image.shape[:2]
    top, bottom = 0.24 * height, 0.97 * height
    pitch = (bottom - top) / len(names)
    left, right = round(0.4 * width), round(0.97 * width)
    for row, (name, fraction) in enumerate(zip(names, filled, strict=True)):
        y = round(top + row * pitch)
        end = round(y + 0.7 * pitch)
        cv2.rectangle(image, (left, y), (right, end), _BLACK, 1)
        cv2.rectangle(image, (left, y), (left + round(fraction * (right - left)), end), _BAR, -1)
        size = min(0.6 * scale, pitch / 30)
        _write(image, name, (round(0.03 * width), end), size / 0.8)


def _write(image: NDArray[np.uint8], text: str, origin: tuple[int, int], scale: float) -> None:
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.8 * scale, _WHITE, 1)
