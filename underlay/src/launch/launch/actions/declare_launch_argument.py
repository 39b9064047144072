"""Declaring an argument of a launch file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import logging
from ..action import Action
from ..condition import Condition
from ..substitution import SomeSubstitutionsType, Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class DeclareLaunchArgument(Action):
    """An argument of the launch file: from then on a launch configuration with a valid value."""

    def __init__(
        self,
        name: str,
        *,
        default_value: SomeSubstitutionsType | None = None,
        description: str | None = None,
        choices: list[str] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        if choices is not None and not choices:
            raise self._failure("Provided choices arg is empty. Use None for no choices.")
        if choices and isinstance(default_value, str) and default_value not in choices:
            raise self._failure(
                f'Provided default_value "{default_value}" is not in provided choices "{choices}".'
            )
        self.name = name
        self.choices = choices
        self.default_value: list[Substitution] | None = (
            None if default_value is None else normalize_to_list_of_substitutions(default_value)
        )
        self.description = _describe(description, choices)
        self.conditionally_included = False  # set when a launch description lists its arguments

    def describe(self) -> str:
        return f"{super().describe()}('{self.name}')"

    @staticmethod
    def _failure(message: str) -> RuntimeError:
        logging.get_logger(__name__).error(message)
        return RuntimeError(message)

    def execute(self, context: LaunchContext) -> None:
        if self.name not in context.launch_configurations:
            if self.default_value is None:
                logging.get_logger(__name__).error(
                    f'Required launch argument "{self.name}" (description: "{self.description}") '
                    "was not provided"
                )
                raise RuntimeError(f'Required launch argument "{self.name}" was not provided.')
            context.launch_configurations[self.name] = perform_substitutions(
                context, self.default_value
            )
        value = context.launch_configurations[self.name]
        if self.choices is not None and value not in self.choices:
            raise self._failure(
                f'Argument "{self.name}" provided value "{value}" is not valid. '
                f"Valid options are: {self.choices}"
            )


def _describe(description: str | None, choices: list[str] | None) -> str:
    if choices is None:
        return "no description given" if description is None else description
    if description is None:
        return f"One of: {choices}"
    return f"{description}{'' if description.endswith('.') else '.'} Valid choices are: {choices}"
