"""Keeping real time: absolute deadlines that skip instead of bursting, and measured rates."""

from __future__ import annotations

from dataclasses import dataclass

NS_PER_S = 1_000_000_000


@dataclass(kw_only=True, slots=True)
class Deadlines:
    """Deadlines at first + n * period; those that pass unmet are skipped and counted."""

    period_ns: int
    next_ns: int
    skipped: int = 0

    @classmethod
    def at_rate(cls, rate_hz: float, *, first_ns: int = 0) -> Deadlines:
        """Deadlines at a rate, from the first on."""
        return cls(period_ns=round(NS_PER_S / rate_hz), next_ns=first_ns)

    def is_due(self, now_ns: int) -> bool:
        """Whether the next deadline has come."""
        return now_ns >= self.next_ns

    def meet(self, now_ns: int) -> None:
        """Mark the next deadline as met at `now_ns`; later ones that have passed too are lost."""
        missed = max(0, now_ns - self.next_ns) // self.period_ns
        self.skipped += missed
        self.next_ns += (missed + 1) * self.period_ns


@dataclass(kw_only=True, slots=True)
class RateMeter:
    """Events per second between two readings."""

    since_ns: int
    count: float = 0

    def add(self, amount: float = 1) -> None:
        """Count `amount` events."""
        self.count += amount

    def read(self, now_ns: int) -> float:
        """Events per second since the last reading; starts anew."""
        elapsed_s = (now_ns - self.since_ns) / NS_PER_S
        rate = self.count / elapsed_s if elapsed_s > 0 else 0.0
        self.since_ns, self.count = now_ns, 0
        return rate


@dataclass(kw_only=True, slots=True)
class RealTimeClock:
    """How much simulated time is owed to real time; what lags too far is given up and counted.

    A short lag (a late wake-up) is caught up, so that simulated time follows the wall clock.
    After a long one the simulation continues from where it stopped, as a paused robot would.
    """

    last_ns: int
    max_lag_ns: int = NS_PER_S // 10
    lost_ns: int = 0

    def owed_s(self, now_ns: int) -> float:
        """Simulated time to advance now, in seconds."""
        lag_ns = max(0, now_ns - self.last_ns)
        self.last_ns = max(now_ns, self.last_ns)
        owed_ns = min(lag_ns, self.max_lag_ns)
        self.lost_ns += lag_ns - owed_ns
        return owed_ns / NS_PER_S
