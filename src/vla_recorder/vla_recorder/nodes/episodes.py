"""What is done with episodes when an operator asks for it, or the disk fills up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vla_core.contract import Contract
from vla_recorder.marks import Event, mark_values
from vla_recorder.nodes.bag_thread import BagThread
from vla_recorder.recording.commands import Command
from vla_recorder.recording.folders import PARTIAL, check_space
from vla_recorder.recording.session import Episode, RecordingError, Session

ANSWER_S = 1.0  # how long an answer waits for the disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is recorded, and where to."""

    contract: Contract
    contract_text: str
    output: Path
    min_free_bytes: int


class Episodes:
    """Carries commands out.

    Args:
        session: Which episode is open.
        writer: Owned, and ended by ``leave``.
        tell: Publishes a mark, and returns it serialised; also called by the writer's thread.
        now_ns: ROS time.
    """

    def __init__(
        self,
        place: Place,
        session: Session,
        writer: BagThread,
        *,
        tell: Callable[[Event, Mapping[str, str]], bytes],
        now_ns: Callable[[], int],
    ) -> None:
        self._place, self._session, self.writer = place, session, writer
        self._tell, self._now_ns = tell, now_ns
        self._ending: Future[str] | None = None
        self.failed = ""
        """What went wrong since an episode was started last."""

    def obey(self, command: Command, *, task: str, operator: str) -> str:
        """Carry a command out; says what was done.

        Raises:
            RecordingError: it cannot be done.
        """
        if command is Command.TOGGLE:
            command = Command.START if self._session.open is None else Command.STOP
        if command is Command.STOP:
            return self._stop("", ANSWER_S)
        if self._ending is not None:
            raise RecordingError("the last episode is being ended", fix="try again")
        if command is Command.START:
            return self._start(task, operator)
        if command is Command.DISCARD:
            return self._discard()
        return self._label(command is Command.SUCCESS)

    def watch(self) -> tuple[list[Path], list[str]]:
        """Look after the open episode; to be called several times a second.

        Returns:
            Folders of episodes that are finished, and what went wrong.
        """
        wrong: list[str] = []
        try:
            self._settle()
            if self._session.open is not None and self._ending is None:
                self._stop_when_full()
        except RecordingError as error:
            wrong.append(str(error))
        finished = []
        for outcome in self.writer.outcomes():
            if outcome.fault:
                self._note_failure(outcome.folder, outcome.fault)
                wrong.append(self.failed)
            elif outcome.folder is not None:
                finished.append(outcome.folder)
        return finished, wrong

    def leave(self) -> tuple[list[Path], list[str]]:
        """End the open episode in order, and the writer; returns what ``watch`` does."""
        if self._session.open is not None:
            with suppress(RecordingError):  # the writer's outcome tells more
                self._stop("", None)
        self.writer.leave()
        return self.watch()

    def _start(self, task: str, operator: str) -> str:
        check_space(self._place.output, self._place.min_free_bytes)
        episode = self._session.start(task=task, operator=operator)
        self.failed = ""
        begun = self.writer.begin(
            self._partial(episode),
            self._custom(episode),
            self._now_ns(),
            partial(self._mark, Event.START, episode),
        )
        with suppress(TimeoutError):
            if (error := begun.exception(ANSWER_S)) is not None:
                self._session.abandon()
                raise RecordingError("the bag cannot be opened", found=str(error))
        return f"recording {episode.name}"

    def _stop(self, fault: str, wait_s: float | None) -> str:
        """End the open episode, and wait for a while until it has been judged."""
        episode = self._session.opened("stop")
        if self._ending is None:
            now_ns = self._now_ns()

            def outcome(bad: str) -> tuple[bytes, Mapping[str, str]]:
                stopped = replace(episode, bad=bad)
                return self._mark(Event.STOP, stopped, now_ns), self._custom(stopped)

            self._ending = self.writer.end(fault, now_ns, outcome)
        with suppress(TimeoutError):
            self._ending.exception(wait_s)
        return self._settle() or f"stopping {episode.name}"

    def _settle(self) -> str:
        """What became of the episode that is being ended; empty when there is nothing to tell."""
        ending = self._ending
        if ending is None or not ending.done():
            return ""
        self._ending = None
        if (error := ending.exception()) is not None:
            reason = error.what if isinstance(error, RecordingError) else str(error)
            self._mark(Event.STOP, self._session.stopped(f"partial: {reason}"), self._now_ns())
            raise RecordingError("the episode is not whole", found=reason, fix="recover it")
        episode = self._session.stopped(ending.result())
        return f"stopped {episode.name}" + (f", bad: {episode.bad}" if episode.bad else "")

    def _stop_when_full(self) -> None:
        try:
            check_space(self._place.output, self._place.min_free_bytes)
        except RecordingError as error:
            self.failed = str(error)
            self._stop(f"partial: {error.what}, {error.found}", 0.0)
            raise

    def _note_failure(self, folder: Path | None, fault: str) -> None:
        self.failed = fault if folder is None else f"{folder.name}: {fault}"
        episode = self._session.open
        if episode is not None and self._ending is None and folder == self._partial(episode):
            stopped = self._session.stopped(f"partial: {fault}")
            self._mark(Event.STOP, stopped, self._now_ns())

    def _discard(self) -> str:
        episode = self._session.discard()
        self._mark(Event.DISCARD, episode, self._now_ns())
        self.writer.discard()
        return f"discarded {episode.name}"

    def _label(self, success: bool) -> str:
        episode = self._session.label(success)
        now_ns = self._now_ns()
        mark = self._mark(Event.LABEL, episode, now_ns)
        if self._session.open is not None:
            self.writer.write_mark(mark, now_ns)
        else:
            self.writer.relabel(self._place.output / episode.name, self._custom(episode))
        return f"{episode.name}: {'success' if success else 'failure'}"

    def _partial(self, episode: Episode) -> Path:
        return self._place.output / f"{episode.name}{PARTIAL}"

    def _custom(self, episode: Episode) -> dict[str, str]:
        """The custom data of its bag."""
        contract = self._place.contract
        about = {"robot": contract.robot, "contract_sha256": contract.sha256}
        return {**episode.values(), **about, "contract": self._place.contract_text}

    def _mark(self, event: Event, episode: Episode, time_ns: int) -> bytes:
        sha256 = self._place.contract.sha256
        values = mark_values(episode.values(), time_ns=time_ns, contract_sha256=sha256)
        return self._tell(event, values)
