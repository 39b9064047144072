"""Setting and unsetting environment variables of the processes that start later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..action import Action
from ..condition import Condition
from ..substitution import SomeSubstitutionsType
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class SetEnvironmentVariable(Action):
    """Sets an environment variable."""

    def __init__(
        self,
        name: SomeSubstitutionsType,
        value: SomeSubstitutionsType,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self.name = normalize_to_list_of_substitutions(name)
        self.value = normalize_to_list_of_substitutions(value)

    def execute(self, context: LaunchContext) -> None:
        name = perform_substitutions(context, self.name)
        context.environment[name] = perform_substitutions(context, self.value)


class UnsetEnvironmentVariable(Action):
    """Unsets an environment variable."""

    def __init__(self, name: SomeSubstitutionsType, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self.name = normalize_to_list_of_substitutions(name)

    def execute(self, context: LaunchContext) -> None:
        context.environment.pop(perform_substitutions(context, self.name), None)
