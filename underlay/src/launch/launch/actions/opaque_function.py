"""Calling a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..action import Action
from ..condition import Condition
from ..launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class OpaqueFunction(Action):
    """Calls ``function(context, *args, **kwargs)``, which may return entities to visit."""

    def __init__(
        self,
        *,
        function: Callable[..., Iterable[LaunchDescriptionEntity] | None],
        args: Iterable[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        if not callable(function):
            raise TypeError(f"OpaqueFunction expected a callable function, got {function!r}")
        self._function = function
        self._args = tuple(args or ())
        self._kwargs = kwargs or {}

    def execute(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity] | None:
        return self._function(context, *self._args, **self._kwargs)
