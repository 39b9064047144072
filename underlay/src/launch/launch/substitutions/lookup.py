"""Text that is looked up: launch configurations, environment variables, the launch file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..substitution import SomeSubstitutionsType, Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class SubstitutionFailure(Exception):
    """A substitution cannot be performed."""


def _joined(subs: list[Substitution]) -> str:
    return " + ".join(sub.describe() for sub in subs)


class LaunchConfiguration(Substitution):
    """The value of a launch argument or of another launch configuration."""

    def __init__(self, variable_name: SomeSubstitutionsType, *, default: Any = None) -> None:
        self._name = normalize_to_list_of_substitutions(variable_name)
        if default is not None and not isinstance(default, (str, Substitution)):
            items = default if hasattr(default, "__iter__") else [default]
            default = [i if isinstance(i, Substitution) else str(i) for i in items]
        self._default = None if default is None else normalize_to_list_of_substitutions(default)

    @property
    def variable_name(self) -> list[Substitution]:
        """Its name."""
        return self._name

    def describe(self) -> str:
        return f"LaunchConfig({_joined(self._name)})"

    def perform(self, context: LaunchContext) -> str:
        name = perform_substitutions(context, self._name)
        if name in context.launch_configurations:
            return context.launch_configurations[name]  # type: ignore[no-any-return]
        if self._default is None:
            raise SubstitutionFailure(f"launch configuration '{name}' does not exist")
        return perform_substitutions(context, self._default)


class EnvironmentVariable(Substitution):
    """The value of an environment variable."""

    def __init__(
        self, name: SomeSubstitutionsType, *, default_value: SomeSubstitutionsType | None = None
    ) -> None:
        self._name = normalize_to_list_of_substitutions(name)
        self._default = (
            None if default_value is None else normalize_to_list_of_substitutions(default_value)
        )

    @property
    def name(self) -> list[Substitution]:
        """Its name."""
        return self._name

    def describe(self) -> str:
        return f"EnvVar({_joined(self._name)})"

    def perform(self, context: LaunchContext) -> str:
        name = perform_substitutions(context, self._name)
        if name in context.environment:
            return context.environment[name]
        if self._default is None:
            raise SubstitutionFailure(f"environment variable '{name}' does not exist")
        return perform_substitutions(context, self._default)


class _OfThisLaunchFile(Substitution):
    local = ""

    def describe(self) -> str:
        return f"{type(self).__name__}()"

    def perform(self, context: LaunchContext) -> str:
        values = context.get_locals_as_dict()
        if self.local not in values:
            raise SubstitutionFailure(f"{self.describe()} used outside of a launch file")
        return values[self.local]  # type: ignore[no-any-return]


class ThisLaunchFile(_OfThisLaunchFile):
    """The path of the launch file."""

    local = "current_launch_file_path"


class ThisLaunchFileDir(_OfThisLaunchFile):
    """The folder of the launch file."""

    local = "current_launch_file_directory"
