"""How far the demo is, on one line of the terminal, or a line now and then in a log."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from vla_bringup.demo.observed import Observed
from vla_bringup.demo.recorder import COMMANDED, POLICY

PERIOD_S = {True: 0.2, False: 2.0}  # on a terminal, elsewhere


class Progress:
    """Prints at most every so often."""

    def __init__(self, total_s: float, out: TextIO = sys.stdout) -> None:
        self._total_s, self._out = total_s, out
        self._next_s = 0.0

    def show(self, observed: Observed, now_ns: int) -> None:
        if time.monotonic() < self._next_s:
            return
        terminal = self._out.isatty()
        self._next_s = time.monotonic() + PERIOD_S[terminal]
        line = describe(observed, now_ns, self._total_s)
        if terminal:  # a wrapped line could not be written over
            line = "\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1]
        self._out.write(line if terminal else f"{line}\n")
        self._out.flush()

    def close(self) -> None:
        """Leave the line."""
        if self._out.isatty():
            self._out.write("\n")


def describe(observed: Observed, now_ns: int, total_s: float) -> str:
    """State, time, and the figures of the moment."""
    elapsed_s = observed.elapsed_s(now_ns)
    if elapsed_s is None:
        return f"{observed.state:<9}{observed.cause or 'waiting for the nodes'}"
    inferences = observed.diagnostics.get(POLICY, {}).get("inferences", "0")
    delays = observed.chunk_delays_ns
    latency = f"{delays[-1] / 1e6:.0f} ms" if delays else "--"
    rate_hz = observed.flow(COMMANDED).rate_hz or 0.0
    return (
        f"{observed.state:<9}{elapsed_s:5.1f} / {total_s:g} s   inferences {inferences}"
        f"   observation to chunk {latency}   commands {rate_hz:.1f} Hz"
        + (f"   ({observed.cause})" if observed.cause else "")
    )
