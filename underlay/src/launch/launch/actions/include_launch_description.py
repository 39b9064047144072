"""Including a launch description, mostly that of another file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..action import Action
from ..condition import Condition
from ..launch_context import LaunchContext
from ..launch_description_entity import LaunchDescriptionEntity
from ..launch_description_source import LaunchDescriptionSource
from ..launch_description_sources import AnyLaunchDescriptionSource
from ..substitution import SomeSubstitutionsType
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions
from .set_launch_configuration import SetLaunchConfiguration

if TYPE_CHECKING:
    from ..launch_description import LaunchDescription


class IncludeLaunchDescription(Action):
    """Sets launch arguments and visits a launch description; no scope is made: see GroupAction."""

    def __init__(
        self,
        launch_description_source: LaunchDescriptionSource | SomeSubstitutionsType,
        *,
        launch_arguments: Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]]
        | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        if not isinstance(launch_description_source, LaunchDescriptionSource):
            launch_description_source = AnyLaunchDescriptionSource(launch_description_source)
        self.launch_description_source = launch_description_source
        self.launch_arguments = tuple(launch_arguments or ())

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        found = self.launch_description_source.try_get_launch_description_without_context()
        return [] if found is None else [found]

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        description = self.launch_description_source.get_launch_description(context)
        location = self.launch_description_source.location
        path = os.path.abspath(location)
        context.extend_locals(
            {
                "current_launch_file_path": path,
                "current_launch_file_directory": (
                    os.path.dirname(path) if os.path.exists(path) else location
                ),
            }
        )
        self._require_arguments(description, context)
        return [*(SetLaunchConfiguration(k, v) for k, v in self.launch_arguments), description]

    def _require_arguments(self, description: LaunchDescription, context: LaunchContext) -> None:
        """Fail early, before any process is started, where an argument will surely be missing."""
        for argument, includes in description.arguments_with_includes():
            if argument.conditionally_included or argument.default_value is not None:
                continue
            given = [*self.argument_names(context)]
            for include in includes:
                given += include.argument_names(LaunchContext())
            if argument.name not in given:
                raise RuntimeError(
                    f"Included launch description missing required argument '{argument.name}' "
                    f"(description: '{argument.description}'), given: [{', '.join(given)}]"
                )

    def argument_names(self, context: LaunchContext) -> list[str]:
        """Return the names of the given arguments."""
        return [
            perform_substitutions(context, normalize_to_list_of_substitutions(name))
            for name, _ in self.launch_arguments
        ]
