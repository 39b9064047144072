"""What a simulated robot measures of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vla_bringup.sim.pacing import NS_PER_S, Deadlines, RateMeter


class Measured:
    """Rates since the last reading, and counts since the start."""

    def __init__(self, now_ns: int, cameras: Iterable[str]) -> None:
        self.simulated_s = RateMeter(since_ns=now_ns)
        self.physics_steps = RateMeter(since_ns=now_ns)
        self.frames = {name: RateMeter(since_ns=now_ns) for name in cameras}
        self.commands = 0
        self.commands_refused = 0

    def read(
        self, now_ns: int, *, lost_ns: int, deadlines: Mapping[str, Deadlines]
    ) -> dict[str, float]:
        """All rates, which start anew, and all counts, by name.

        Args:
            now_ns: Steady clock.
            lost_ns: Real time that the simulation did not keep up with.
            deadlines: Of each stream and camera, by name.
        """
        return {
            "real_time_factor": round(self.simulated_s.read(now_ns), 3),
            "physics_rate_hz": round(self.physics_steps.read(now_ns), 1),
            "lost_time_s": round(lost_ns / NS_PER_S, 3),
            "commands": self.commands,
            "commands_refused": self.commands_refused,
            **{f"{name}_rate_hz": round(m.read(now_ns), 1) for name, m in self.frames.items()},
            **{f"{name}_skipped": item.skipped for name, item in deadlines.items()},
        }
