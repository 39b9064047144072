"""What is seen of a running robot and its policy from outside, by their messages alone.

"info" is what rclpy gives with a message: when it was sent and received, and its number.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from vla_bringup.demo.plots import PAST_S
from vla_bringup.demo.view import JointTraces, Trace, View
from vla_core.chunk import ActionChunk, decode_chunk
from vla_core.contract import Camera, Contract, Stream
from vla_core.errors import VlaError
from vla_core.observation import read_camera, read_stream
from vla_core.types import FloatArray, ImageArray
from vla_policy.nodes.messages import LossCounter

KEPT = 60_000  # samples of each figure: ten minutes of commands
EMPTY = Trace(times_s=np.empty(0), values=np.empty(0))


class Flow:
    """One topic: how often a message is sent, and how many were lost on the way."""

    def __init__(self) -> None:
        self.losses = LossCounter()
        self.intervals_ns: deque[int] = deque(maxlen=KEPT)
        self.restart()

    def restart(self) -> None:
        """Measure the rate anew."""
        self.count, self._first_ns, self._last_ns, self._last_number = 0, 0, 0, -1
        self.intervals_ns.clear()

    def add(self, info: Mapping[str, Any]) -> None:
        self.losses.count(info)
        sent_ns, number = info["source_timestamp"], info["publication_sequence_number"] or 0
        if self.count and number == self._last_number + 1:
            self.intervals_ns.append(sent_ns - self._last_ns)
        self._first_ns = self._first_ns or sent_ns
        self._last_ns, self._last_number = sent_ns, number
        self.count += 1

    @property
    def rate_hz(self) -> float | None:
        elapsed_ns = self._last_ns - self._first_ns
        return (self.count - 1) * 1e9 / elapsed_ns if elapsed_ns > 0 else None


class History:
    """The last seconds of some joints."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.columns = {name: column for column, name in enumerate(names)}
        self._samples: deque[tuple[int, FloatArray]] = deque()

    def add(self, stamp_ns: int, values: FloatArray) -> None:
        self._samples.append((stamp_ns, values))
        while stamp_ns - self._samples[0][0] > (PAST_S + 0.5) * 1e9:
            self._samples.popleft()

    def traces(self, now_ns: int) -> dict[str, Trace]:
        """By joint name."""
        if not self._samples:
            return {}
        times_s = np.array([(stamp_ns - now_ns) / 1e9 for stamp_ns, _ in self._samples])
        values = np.array([values for _, values in self._samples])
        return {
            name: Trace(times_s=times_s, values=values[:, column])
            for name, column in self.columns.items()
        }


class Observed:
    """Takes messages in, and says what is going on.

    Figures count from the first executed chunk, at ``began_ns``; losses from the start.
    """

    def __init__(self, contract: Contract, prompt: str) -> None:
        self.contract = contract
        self.began_ns: int | None = None
        self.flows: dict[str, Flow] = {}
        self.transitions: Counter[str] = Counter()
        self.holds = 0
        self.unreadable = 0
        self.chunk_delays_ns: deque[int] = deque(maxlen=KEPT)
        self.real_time_factors: deque[float] = deque(maxlen=KEPT)
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.state, self.cause = "STARTING", ""
        self._prompt = prompt
        self._chunk: ActionChunk | None = None
        self._measured = {s.name: History(tuple(s.joints)) for s in contract.streams}
        self._commanded = History(contract.action_names)
        self._images: dict[str, tuple[Camera, Any]] = {}

    def flow(self, name: str) -> Flow:
        return self.flows.setdefault(name, Flow())

    # --- messages ---

    def on_image(self, camera: Camera, message: Any) -> None:
        """Keep the newest; it is decoded when it is drawn."""
        self._images[camera.name] = (camera, message)

    def on_stream(self, stream: Stream, message: Any, info: Mapping[str, Any]) -> None:
        try:
            values = np.array(list(read_stream(stream, message).values()))
        except VlaError:
            self.unreadable += 1
            return
        self._measured[stream.name].add(info["source_timestamp"], values)

    def on_commanded(self, message: Any, info: Mapping[str, Any]) -> None:
        self._commanded.add(info["source_timestamp"], np.array(message.position))

    def on_chunk(self, message: Any, info: Mapping[str, Any]) -> None:
        try:
            self._chunk = decode_chunk(message, self.contract.action_names)
        except VlaError:
            self.unreadable += 1
            return
        if self._chunk is not None:
            self.chunk_delays_ns.append(info["received_timestamp"] - self._chunk.stamp_ns)

    def on_status(self, message: Any, info: Mapping[str, Any]) -> None:
        """The executor's state: the first RUNNING is the first executed chunk."""
        previous, self.state = self.state, message.message
        self.cause = ", ".join(item.value for item in message.values if item.key == "cause")
        if self.began_ns is not None:
            self.transitions[self.state] += self.state != previous
            self.holds += previous == "RUNNING" and self.state in ("RAMPING", "HOLDING")
        elif self.state == "RUNNING":
            self.began_ns = info["source_timestamp"]
            for flow in self.flows.values():
                flow.restart()

    def on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            self.diagnostics[status.name.rpartition("/")[2]] = values
            if self.began_ns is not None and "real_time_factor" in values:
                self.real_time_factors.append(float(values["real_time_factor"]))

    # --- what it shows ---

    @property
    def has_images(self) -> bool:
        return bool(self._images)

    def elapsed_s(self, now_ns: int) -> float | None:
        """Since the first executed chunk; None before it."""
        return None if self.began_ns is None else (now_ns - self.began_ns) / 1e9

    def view(self, now_ns: int) -> View:
        """The picture of this moment."""
        chunk = self._chunk if self._chunk and self._chunk.covers(now_ns) else None
        delays = self.chunk_delays_ns
        return View(
            state=self.state,
            cause=self.cause,
            prompt=self._prompt,
            elapsed_s=self.elapsed_s(now_ns),
            latency_ms=delays[-1] / 1e6 if delays else None,
            chunk_age_ms=(now_ns - chunk.stamp_ns) / 1e6 if chunk else None,
            cameras=tuple(camera.name for camera in self.contract.cameras),
            images=self._decoded(),
            joints=self._traces(chunk, now_ns),
        )

    def _decoded(self) -> dict[str, ImageArray]:
        images = {}
        for name, (camera, message) in list(self._images.items()):
            try:
                images[name] = read_camera(camera, message)
            except VlaError:
                self.unreadable += 1
                del self._images[name]
        return images

    def _traces(self, chunk: ActionChunk | None, now_ns: int) -> tuple[JointTraces, ...]:
        measured: dict[str, Trace] = {}
        for history in self._measured.values():
            measured |= history.traces(now_ns)
        commanded = self._commanded.traces(now_ns)
        ahead: dict[str, Trace] = {}
        if chunk is not None:
            due_ns = chunk.stamp_ns - now_ns + np.arange(len(chunk.actions)) * chunk.step_ns
            coming = due_ns >= -chunk.step_ns
            times_s = np.maximum(due_ns[coming] / 1e9, 0.0)
            for column, name in enumerate(self.contract.action_names):
                ahead[name] = Trace(times_s=times_s, values=chunk.actions[coming, column])
        return tuple(
            JointTraces(
                joint=self.contract.joints[name],
                measured=measured.get(name, EMPTY),
                commanded=commanded.get(name, EMPTY),
                chunk=ahead.get(name, EMPTY),
            )
            for name in self.contract.action_names
        )
