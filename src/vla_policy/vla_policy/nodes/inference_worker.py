"""Inference in a thread of its own: one at a time, and no exception gets out."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_core.types import FloatArray

LATENCIES_KEPT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One tick's messages, by contract name; images still serialised."""

    stamp_ns: int
    messages: Mapping[str, Any]
    prompt: str


class InferenceWorker:
    """Computes one request at a time; a request that comes while it is busy is not taken.

    Args:
        infer: Request -> (H, A) actions. May raise anything.
        on_actions: Called in the worker thread with the request and its actions.
        on_error: Called in the worker thread with the exception.
    """

    def __init__(
        self,
        infer: Callable[[Request], FloatArray],
        on_actions: Callable[[Request, FloatArray], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.latencies_s: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._infer, self._on_actions, self._on_error = infer, on_actions, on_error
        self._requests: queue.Queue[Request | None] = queue.Queue(maxsize=1)
        self._busy_since_ns: int | None = None
        self._stopped = False
        # A daemon: a policy that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    @property
    def busy_for_s(self) -> float:
        """How long the present inference has been running; 0 when idle."""
        since_ns = self._busy_since_ns
        return 0.0 if since_ns is None else (time.monotonic_ns() - since_ns) / 1e9

    def submit(self, request: Request) -> bool:
        """Hand over a request unless one is being computed."""
        if self._busy_since_ns is not None:
            return False
        self._busy_since_ns = time.monotonic_ns()
        self._requests.put(request)
        return True

    def stop(self, timeout_s: float = 2.0) -> None:
        """Let the present inference end, for a while; what comes later is dropped."""
        deadline = time.monotonic() + timeout_s
        while self._busy_since_ns is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        self._stopped = True
        self._requests.put(None)

    def _run(self) -> None:
        while (request := self._requests.get()) is not None:
            began_ns = time.monotonic_ns()
            try:
                actions = self._infer(request)
                self.latencies_s.append((time.monotonic_ns() - began_ns) / 1e9)
                self.counts["inferences"] += 1
                if not self._stopped:
                    self._on_actions(request, actions)
            except Exception as error:  # a policy may raise anything; the node must go on
                self.counts["errors"] += 1
                self._on_error(error)
            self._busy_since_ns = None

    def percentile_ms(self, q: float) -> float:
        """Percentile of the last latencies, milliseconds; nan before the first."""
        return (
            float(np.percentile(self.latencies_s, q)) * 1e3 if self.latencies_s else float("nan")
        )
