"""Base of the conditions under which an action runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class Condition:
    """Decides, each time it is asked, from a predicate of the context."""

    def __init__(self, *, predicate: Callable[[LaunchContext], bool]) -> None:
        self._predicate = predicate

    def describe(self) -> str:
        """Return a description."""
        return repr(self)

    def evaluate(self, context: LaunchContext) -> bool:
        """Return whether the action runs."""
        return self._predicate(context)
