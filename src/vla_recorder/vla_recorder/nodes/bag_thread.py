"""The thread that watches what was received and writes it, so that callbacks need not wait."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar

from vla_recorder.nodes.episode_bag import BagTopic, EpisodeBag
from vla_recorder.recording.folders import finish, relabel, sync_data
from vla_recorder.recording.monitor import Monitor, faults, figures
from vla_recorder.recording.pre_roll import Kept, PreRoll
from vla_recorder.recording.session import RecordingError
from vla_recorder.recording.topics import Raw

_T = TypeVar("_T")
SYNC_S = 1.0  # what is older lies on the disk, so that the end of an episode need not wait for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How bags are written, and judged.

    Attributes:
        topics: Of the bag; those that are monitored first, in the same order, then the marks'.
        queue_bytes: What may wait for the disk; more is dropped.
    """

    topics: Sequence[BagTopic]
    chunk_bytes: int
    queue_bytes: int
    frozen_ns: int
    action_required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What has become of an episode's folder: where it lies, and what went wrong.

    Attributes:
        folder: None of a fault between two episodes.
    """

    folder: Path | None
    fault: str = ""


class BagThread:
    """Writes one bag at a time; everything that is asked for happens in the order of asking.

    Methods are for one thread, the node's.

    Args:
        kept, pre_roll: What episodes hold of the time before them.
    """

    def __init__(
        self, settings: Settings, monitors: Sequence[Monitor], kept: Kept, pre_roll: PreRoll
    ) -> None:
        self._settings, self._monitors = settings, monitors
        self._kept, self._pre_roll = kept, pre_roll
        self._queue: SimpleQueue[Raw | Callable[[], None]] = SimpleQueue()
        self._bag: EpisodeBag | None = None
        self._folder: Path | None = None  # of the episode that is open, or cannot be opened
        self._fault = ""  # of the last episode that could not be written
        self._began_ns = 0
        self._lock = threading.Lock()  # of the monitors
        self._put_bytes = self._taken_bytes = 0  # each counted by one thread only
        self._outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self._finisher = ThreadPoolExecutor(1, thread_name_prefix="finish")
        self._syncing: Future[None] | None = None
        self._synced_s = 0.0
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="write", daemon=True)
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        return self._put_bytes - self._taken_bytes

    def put(self, message: Raw) -> None:
        """Hand over a message; it is dropped and counted when too much waits."""
        if self.queued_bytes > self._settings.queue_bytes:
            self._monitors[message.topic].counts.dropped += 1
            return
        self._put_bytes += len(message.data)
        self._queue.put(message)

    def begin(
        self, partial: Path, custom: Mapping[str, str], now_ns: int, mark: Callable[[int], bytes]
    ) -> Future[None]:
        """Open a bag for an episode.

        Args:
            mark: Tells the first mark, and makes it, serialised, from when the episode begins
                (ns), which is before now where there is pre-roll.
        """
        return self._ask(lambda: self._begin(partial, custom, now_ns, mark))

    def write_mark(self, mark: bytes, now_ns: int) -> None:
        """Write a mark into the open bag."""
        self._ask(lambda: self._write_mark(mark, now_ns))

    def end(
        self, fault: str, now_ns: int, outcome: Callable[[str], tuple[bytes, Mapping[str, str]]]
    ) -> Future[str]:
        """Judge the episode, close its bag, and give it its name in the background.

        Args:
            fault: Why it ended, when not because it was asked to.
            outcome: Tells the last mark, and makes it, serialised, and the custom data, from why
                the episode is bad.

        Returns:
            Why it is bad; empty when it is not.
        """
        return self._ask(lambda: self._end(fault, now_ns, outcome))

    def discard(self) -> Future[None]:
        """Close the open bag and remove it."""
        return self._ask(self._discard)

    def relabel(self, folder: Path, custom: Mapping[str, str]) -> None:
        """Replace the custom data of a bag, once it is finished."""

        def work() -> None:
            try:
                relabel(folder, custom)
            except Exception as error:  # also of metadata that somebody has changed meanwhile
                self._outcomes.put(Outcome(folder=folder, fault=f"not labelled: {error!r}"))

        self._ask(lambda: self._finisher.submit(work))

    def outcomes(self) -> list[Outcome]:
        """What has become of episodes since the last call."""
        outcomes = []
        with suppress(Empty):
            while True:
                outcomes.append(self._outcomes.get_nowait())
        return outcomes

    def figures(self, span_s: float) -> tuple[dict[str, str], list[str]]:
        """For /diagnostics, and what is wrong."""
        with self._lock:
            return figures(self._monitors, span_s)

    def leave(self) -> None:
        """End the thread when all that was asked for is done, and all bags have their names."""
        self._ask(self._leave)
        self._thread.join()
        self._finisher.shutdown()

    # --- in the thread ---

    def _ask(self, work: Callable[[], _T]) -> Future[_T]:
        future: Future[_T] = Future()

        def answer() -> None:
            try:
                future.set_result(work())
            except RecordingError as error:
                future.set_exception(error)
            except Exception as error:  # whatever rosbag2 raises: the episode ends, not the thread
                self._fail(error)
                future.set_exception(error)

        self._queue.put(answer)
        return future

    def _run(self) -> None:
        while not self._ends:
            item = self._queue.get()
            if not isinstance(item, Raw):
                item()
                continue
            self._taken_bytes += len(item.data)
            try:
                self._take(item)
            except Exception as error:  # as above
                self._fail(error)

    def _take(self, message: Raw) -> None:
        if self._bag is None:
            self._pre_roll.add(message)
        else:
            self._bag.write(message.topic, message.data, message.received_ns)
            self._sync_sometimes(self._bag.folder)
        self._kept.add(message)
        with self._lock:
            self._monitors[message.topic].take(message)

    def _begin(
        self, partial: Path, custom: Mapping[str, str], now_ns: int, mark: Callable[[int], bytes]
    ) -> None:
        messages = self._pre_roll.take(now_ns)
        self._began_ns = messages[0].received_ns if messages else now_ns
        self._recount(messages)
        self._folder, self._syncing = partial, None
        self._bag = EpisodeBag(
            partial,
            self._settings.topics,
            custom=custom,
            chunk_bytes=self._settings.chunk_bytes,
        )
        self._write_mark(mark(self._began_ns), self._began_ns)
        for message in self._kept.before(self._began_ns):
            self._bag.write(message.topic, message.data, self._began_ns)
        for message in messages:
            self._bag.write(message.topic, message.data, message.received_ns)

    def _recount(self, messages: Sequence[Raw]) -> None:
        """Count from the episode's beginning; what is shown live has been counted before."""
        with self._lock:
            windows = [monitor.window for monitor in self._monitors]
            for monitor in self._monitors:
                monitor.restart()
            for message in messages:
                self._monitors[message.topic].take(message)
            for monitor, window in zip(self._monitors, windows, strict=True):
                monitor.window = window

    def _write_mark(self, mark: bytes, time_ns: int) -> None:
        if self._bag is not None:
            self._bag.write(len(self._settings.topics) - 1, mark, time_ns)

    def _end(
        self, fault: str, now_ns: int, outcome: Callable[[str], tuple[bytes, Mapping[str, str]]]
    ) -> str:
        if self._bag is None:
            raise RecordingError(self._fault)
        with self._lock:
            found = faults(
                self._monitors,
                began_ns=self._began_ns,
                ended_ns=now_ns,
                frozen_ns=self._settings.frozen_ns,
                action_required=self._settings.action_required,
            )
        bad = "; ".join(reason for reason in (fault, found) if reason)
        mark, custom = outcome(bad)
        self._write_mark(mark, now_ns)
        self._bag.close()
        self._finisher.submit(self._finish, self._bag.folder, custom, self._syncing)
        self._bag = self._folder = None
        return bad

    def _finish(
        self, partial: Path, custom: Mapping[str, str], syncing: Future[None] | None
    ) -> None:
        try:
            if syncing is not None:
                syncing.result()  # done: the finisher is one thread
            self._outcomes.put(Outcome(folder=finish(partial, custom)))
        except Exception as error:  # the folder stays partial, and the log says why
            self._outcomes.put(Outcome(folder=partial, fault=f"not finished: {error}"))

    def _discard(self) -> None:
        bag, self._bag = self._bag, None
        if bag is not None:
            with suppress(Exception):  # what is thrown away may be damaged
                bag.close()
            shutil.rmtree(bag.folder)
            self._folder = None

    def _fail(self, error: Exception) -> None:
        """The open episode, if there is one, cannot go on."""
        bag, self._bag = self._bag, None
        folder, self._folder = self._folder, None
        if bag is not None:
            with suppress(Exception):  # the first error tells more
                bag.close()
        self._fault = f"cannot be written: {error}"
        self._outcomes.put(Outcome(folder=folder, fault=self._fault))

    def _sync_sometimes(self, folder: Path) -> None:
        now_s = time.monotonic()
        if now_s - self._synced_s <= SYNC_S:
            return
        if self._syncing is not None:
            if not self._syncing.done():
                return
            self._syncing.result()  # Linux tells once that data is lost; the next sync succeeds
        self._synced_s = now_s
        self._syncing = self._finisher.submit(sync_data, folder)

    def _leave(self) -> None:
        self._ends = True
