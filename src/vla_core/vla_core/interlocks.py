"""People who allow motion or take it over: the deadman and the takeover topic of a contract.

Times are of the monotonic clock, at receipt.
"""

from __future__ import annotations

from vla_core.contract_safety import Safety


class Interlocks:
    """Remembers the last word of each topic; without them nothing is asked for."""

    def __init__(self, safety: Safety) -> None:
        self._deadman, self._takeover = safety.deadman, safety.takeover
        self._is_pressed = False
        self._heard_ns: int | None = None
        self._driven_ns: int | None = None

    def press(self, is_pressed: bool, mono_ns: int) -> None:
        """A message of the deadman."""
        self._is_pressed, self._heard_ns = is_pressed, mono_ns

    def drive(self, mono_ns: int) -> None:
        """A message of the takeover topic."""
        self._driven_ns = mono_ns

    def is_taken_over(self, mono_ns: int) -> bool:
        return self._takeover is not None and _is_alive(
            self._driven_ns, mono_ns, self._takeover.max_age_s
        )

    def is_released(self, mono_ns: int) -> bool:
        """Whether a person lets go of the deadman, on purpose."""
        return self._deadman is not None and not self._is_pressed and self._is_heard(mono_ns)

    def refusal(self, mono_ns: int) -> str | None:
        """Why nothing may move now, or None."""
        if self.is_taken_over(mono_ns):
            return "a person has taken over"
        if self.is_released(mono_ns):
            return "the deadman is not pressed"
        if self._deadman is not None and not self._is_heard(mono_ns):
            return "the deadman is silent"
        return None

    def _is_heard(self, mono_ns: int) -> bool:
        return self._deadman is not None and _is_alive(
            self._heard_ns, mono_ns, self._deadman.max_age_s
        )


def _is_alive(last_ns: int | None, mono_ns: int, max_age_s: float) -> bool:
    return last_ns is not None and mono_ns - last_ns <= max_age_s * 1e9
