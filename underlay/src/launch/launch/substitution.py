"""Text that is known only while launching."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class Substitution:
    """Text that is made when a launch context is at hand."""

    def describe(self) -> str:
        """Return how the text will be made, for ``--show-args``."""
        return repr(self)

    def perform(self, context: LaunchContext) -> str:
        """Return the text."""
        raise NotImplementedError(f"{type(self).__name__}.perform")


class TextSubstitution(Substitution):
    """Text that is known already."""

    def __init__(self, *, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"TextSubstitution expected text of type str, got {type(text)}")
        self._text = text

    @property
    def text(self) -> str:
        """The text."""
        return self._text

    def describe(self) -> str:
        return f"'{self._text}'"

    def perform(self, context: LaunchContext) -> str:
        return self._text


SomeSubstitutionsType = str | Substitution | Iterable[str | Substitution]
