"""Which episode is being recorded, and what may be asked for when."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from vla_core.errors import VlaError


class RecordingError(VlaError):
    """A recording that cannot be started, stopped or kept."""

    code = "RECORDING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """An episode, from its start on.

    Attributes:
        number: A UUID's 32 hexadecimal digits.
        name: Of its folder.
        success: None: not judged.
        bad: Why it should not be used; empty: it may.
    """

    number: str
    name: str
    task: str
    operator: str
    success: bool | None = None
    bad: str = ""

    def values(self) -> dict[str, str]:
        """What is known of it, as text."""
        success = "" if self.success is None else str(self.success).lower()
        known = {"task": self.task, "operator": self.operator, "success": success}
        return {"episode": self.number, **known, "bad": self.bad}


class Session:
    """At most one open episode; the last one that was stopped can still be labelled."""

    def __init__(self) -> None:
        self.open: Episode | None = None
        self.last: Episode | None = None
        self.counts = {"episodes": 0, "episodes_bad": 0, "episodes_discarded": 0}

    def start(self, *, task: str, operator: str, wall_s: float | None = None) -> Episode:
        """Begin an episode.

        Args:
            wall_s: Time for its name, seconds since the epoch; None: now.

        Raises:
            RecordingError: one is open already.
        """
        if self.open is not None:
            raise RecordingError(
                "an episode is being recorded",
                found=self.open.name,
                fix="stop or discard it first",
            )
        number = secrets.token_hex(16)
        date = time.strftime("%Y%m%d_%H%M%S", time.localtime(wall_s))
        name = f"{date}_{number[:8]}"
        self.open = Episode(number=number, name=name, task=task, operator=operator)
        return self.open

    def stopped(self, bad: str = "") -> Episode:
        """End the open episode.

        Raises:
            RecordingError: none is open.
        """
        self.last = replace(self.opened("stop"), bad=bad)
        self.open = None
        self.counts["episodes"] += 1
        self.counts["episodes_bad"] += bool(bad)
        return self.last

    def discard(self) -> Episode:
        """Forget the open episode; one that was stopped stays as it is.

        Raises:
            RecordingError: none is open.
        """
        episode = self.opened("discard")
        self.open = None
        self.counts["episodes_discarded"] += 1
        return episode

    def label(self, success: bool) -> Episode:
        """Judge the open episode, else the last one that was stopped.

        Raises:
            RecordingError: there is none.
        """
        if self.open is not None:
            self.open = replace(self.open, success=success)
            return self.open
        if self.last is None:
            raise RecordingError("no episode to label", fix="start one first")
        self.last = replace(self.last, success=success)
        return self.last

    def abandon(self) -> None:
        """Forget the open episode, of which nothing was written."""
        self.open = None

    def opened(self, wish: str) -> Episode:
        """The open episode.

        Raises:
            RecordingError: none is open.
        """
        if self.open is None:
            raise RecordingError(f"nothing to {wish}: no episode is being recorded")
        return self.open

    def shown(self) -> Mapping[str, object]:
        """For people."""
        episode = self.open or self.last
        about = {} if episode is None else {"name": episode.name, **episode.values()}
        return {**about, **self.counts}
