"""Runs a function on many tasks: here, in processes of this machine, or on a Ray cluster.

Results do not depend on where or in which order tasks run, and come in the order of the tasks.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, TypeVar, cast

from vla_core.errors import VlaError
from vla_recorder.convert.errors import ConvertError

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[[int], None]


class Engine(Protocol):
    """Where the work is done."""

    def run(
        self,
        work: Callable[[Task, Progress], Result],
        tasks: Sequence[Task],
        progress: Progress,
    ) -> list[Result]:
        """Apply a function of a module to every task.

        Args:
            work: Gets a task, and what to tell of its progress.
            tasks: Arguments that can be pickled.
            progress: Told of the progress of all.

        Raises:
            Whatever the work raises first; what runs beside it is ended.
        """
        ...


class Local:
    """In this process, one after the other."""

    def run(
        self,
        work: Callable[[Task, Progress], Result],
        tasks: Sequence[Task],
        progress: Progress,
    ) -> list[Result]:
        """See `Engine`."""
        return [work(task, progress) for task in tasks]


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """In processes that are spawned anew, so that no state of this one is in them.

    A worker ends with this process, however that ends: two of them never write one episode.
    """

    workers: int

    def run(
        self,
        work: Callable[[Task, Progress], Result],
        tasks: Sequence[Task],
        progress: Progress,
    ) -> list[Result]:
        """See `Engine`."""
        results: dict[int, Result] = {}
        waiting = list(enumerate(tasks))[::-1]
        with _spawned(min(self.workers, len(tasks)), work) as workers:
            idle = list(workers)
            running: dict[Connection, int] = {}
            while waiting or running:
                while waiting and idle:
                    connection = idle.pop()
                    number, task = waiting.pop()
                    running[connection] = number
                    _send(connection, workers[connection], task)
                for ready in cast("list[Connection]", wait(list(running))):
                    kind, value = _receive(ready, workers[ready])
                    if kind == "progress":
                        progress(value)
                    elif kind == "failed":
                        raise value
                    else:
                        results[running.pop(ready)] = value
                        idle.append(ready)
        return [results[number] for number in range(len(tasks))]


@contextmanager
def _spawned(
    count: int, work: Callable[[Any, Progress], Any]
) -> Iterator[dict[Connection, BaseProcess]]:
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, BaseProcess] = {}
    try:
        for _ in range(count):
            here, there = context.Pipe()
            process: BaseProcess = context.Process(target=_serve, args=(there, work), daemon=True)
            process.start()
            there.close()
            workers[here] = process
        yield workers
    finally:
        for connection, process in workers.items():
            connection.close()
            process.terminate()
        for process in workers.values():
            process.join()


def _send(connection: Connection, process: BaseProcess, task: Any) -> None:
    try:
        connection.send(task)
    except OSError:
        raise _death(process) from None


def _receive(connection: Connection, process: BaseProcess) -> tuple[str, Any]:
    try:
        kind, value = connection.recv()
    except (EOFError, OSError):
        raise _death(process) from None
    return kind, restored(value) if kind == "failed" else value


def _death(process: BaseProcess) -> ConvertError:
    process.join()
    return ConvertError(
        "a worker has died",
        found=f"exit code {process.exitcode}",
        fix="-9 is what a machine without free memory does: use fewer --workers;"
        " then continue with --resume",
    )


def _serve(connection: Connection, work: Callable[[Any, Progress], Any]) -> None:
    """A worker's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def progress(amount: int) -> None:
        connection.send(("progress", amount))

    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            connection.send(("done", work(task, progress)))
        except Exception as error:  # raised again where the work was asked for
            connection.send(("failed", portable(error)))


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
    os._exit(1)


def portable(error: Exception) -> Any:
    """An error that arrives as it was: those of this suite are not pickled with their parts."""
    if isinstance(error, VlaError):
        parts = ("what", "where", "found", "allowed", "fix")
        return type(error), {name: str(getattr(error, name)) for name in parts}
    return error


def restored(value: Any) -> Exception:
    if isinstance(value, Exception):
        return value
    kind, parts = value
    error: Exception = kind(parts.pop("what"), **parts)
    return error
