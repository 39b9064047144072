"""Past one machine: the same function on a Ray cluster.

Bags and output lie where all machines of the cluster see them under the same paths, and the suite
is installed on each.

Source: https://docs.ray.io, ray.remote and ray.wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from vla_core.errors import VlaError
from vla_recorder.convert.engine import Progress, portable, restored
from vla_recorder.convert.errors import ConvertError

Task = TypeVar("Task")
Result = TypeVar("Result")


class RayEngine:
    """Runs on the cluster at an address.

    Args:
        address: ``auto``, ``host:port`` or ``ray://host:port``.
        cpus: Of a machine that each task takes.

    Raises:
        ConvertError: Ray is not installed, or no cluster is there.
    """

    def __init__(self, address: str, *, cpus: float = 1) -> None:
        try:
            import ray
        except ImportError as error:
            raise ConvertError(
                "Ray is not installed", allowed="--engine local", fix="pip install ray"
            ) from error
        self._ray, self._cpus = ray, cpus
        if not ray.is_initialized():
            try:
                ray.init(address=address, log_to_driver=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ConvertError("no Ray cluster", where=address, found=error) from error

    def run(
        self,
        work: Callable[[Task, Progress], Result],
        tasks: Sequence[Task],
        progress: Progress,
    ) -> list[Result]:
        """See `Engine`; progress is told when a task ends."""
        remote = self._ray.remote(num_cpus=self._cpus, max_retries=3)(_apply)
        numbers = {remote.remote(work, task): number for number, task in enumerate(tasks)}
        waiting, results = list(numbers), {}
        try:
            while waiting:
                ready, waiting = self._ray.wait(waiting, num_returns=1)
                kind, value, amount = self._get(ready[0])
                if kind == "failed":
                    raise restored(value)
                progress(amount)
                results[numbers[ready[0]]] = value
        except BaseException:
            for reference in waiting:
                self._ray.cancel(reference, force=True)
            raise
        return [results[number] for number in range(len(tasks))]

    def _get(self, reference: Any) -> tuple[str, Any, int]:
        try:
            return self._ray.get(reference)  # type: ignore[no-any-return]
        except self._ray.exceptions.RayError as error:
            raise ConvertError(
                "a worker of the cluster has failed", found=error, fix="continue with --resume"
            ) from error


def _apply(work: Callable[[Any, Progress], Any], task: Any) -> tuple[str, Any, int]:
    amounts: list[int] = []
    try:
        return "done", work(task, amounts.append), sum(amounts)
    except (VlaError, OSError) as error:
        return "failed", portable(error), 0
