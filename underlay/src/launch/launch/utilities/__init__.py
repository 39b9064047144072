"""Turning what a launch file gives into lists of substitutions, and these into text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..missing import explain_missing
from ..substitution import SomeSubstitutionsType, Substitution, TextSubstitution

if TYPE_CHECKING:
    from ..launch_context import LaunchContext

__all__ = ["normalize_to_list_of_substitutions", "perform_substitutions"]
__getattr__ = explain_missing(__name__, __all__)


def normalize_to_list_of_substitutions(subs: SomeSubstitutionsType) -> list[Substitution]:
    """Return a list of substitutions whose texts joined are the text of `subs`."""
    parts = [subs] if isinstance(subs, (str, Substitution)) else list(subs)
    for part in parts:
        if not isinstance(part, (str, Substitution)):
            raise TypeError(f"expected str or launch.Substitution, got {part!r} ({type(part)})")
    return [TextSubstitution(text=part) if isinstance(part, str) else part for part in parts]


def perform_substitutions(context: LaunchContext, subs: list[Substitution]) -> str:
    """Return the text that the substitutions make together."""
    return "".join(context.perform_substitution(sub) for sub in subs)
