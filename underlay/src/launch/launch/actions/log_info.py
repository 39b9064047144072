"""Logging a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import logging
from ..action import Action
from ..condition import Condition
from ..substitution import SomeSubstitutionsType
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class LogInfo(Action):
    """Logs a message at level INFO."""

    def __init__(self, *, msg: SomeSubstitutionsType, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self.msg = normalize_to_list_of_substitutions(msg)

    def describe(self) -> str:
        return f"{super().describe()}({' + '.join(sub.describe() for sub in self.msg)})"

    def execute(self, context: LaunchContext) -> None:
        logging.get_logger("launch.user").info(perform_substitutions(context, self.msg))
