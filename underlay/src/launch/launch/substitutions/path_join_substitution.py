"""A path made of parts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class PathJoinSubstitution(Substitution):
    """Parts, each one substitution or string, joined as `os.path.join` does."""

    def __init__(self, substitutions: Iterable[str | Substitution]) -> None:
        self._parts = normalize_to_list_of_substitutions(substitutions)

    @property
    def substitutions(self) -> list[Substitution]:
        """The parts."""
        return self._parts

    def describe(self) -> str:
        return f"PathJoin('{' + '.join(part.describe() for part in self._parts)}')"

    def perform(self, context: LaunchContext) -> str:
        return os.path.join(*(context.perform_substitution(part) for part in self._parts))
