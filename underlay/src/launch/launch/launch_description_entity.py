"""Base of what a launch description is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class LaunchDescriptionEntity:
    """Something that can be visited, and described without visiting it."""

    def visit(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity] | None:
        """Do what it is for; return what to visit next."""
        return None

    def describe(self) -> str:
        """Return a description."""
        return repr(self)

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return what it contains for certain."""
        return []

    def describe_conditional_sub_entities(
        self,
    ) -> list[tuple[str, Iterable[LaunchDescriptionEntity]]]:
        """Return what it contains under conditions, each with its description."""
        return []

    def get_asyncio_future(self) -> asyncio.Future[None] | None:
        """Return the future of what goes on after the visit; the launch waits for it."""
        return None
