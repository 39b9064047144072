"""Conditions under which an action runs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from .condition import Condition
from .missing import explain_missing
from .substitution import SomeSubstitutionsType, Substitution
from .utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from .launch_context import LaunchContext

__all__ = [
    "IfCondition",
    "InvalidConditionExpressionError",
    "LaunchConfigurationEquals",
    "LaunchConfigurationNotEquals",
    "UnlessCondition",
    "evaluate_condition_expression",
]
__getattr__ = explain_missing(__name__, __all__)


class InvalidConditionExpressionError(ValueError):
    """The text of a condition is not one of true, false, 1, 0."""


def evaluate_condition_expression(context: LaunchContext, expression: list[Substitution]) -> bool:
    """Read the text of `expression` as a boolean; case and surrounding space do not matter."""
    text = perform_substitutions(context, expression).strip().lower()
    if text not in ("true", "1", "false", "0"):
        raise InvalidConditionExpressionError(
            "invalid condition expression, expected one of [true, 1, false, 0] but got "
            f"'{text}', expanded from '{' + '.join(sub.describe() for sub in expression)}'"
        )
    return text in ("true", "1")


class IfCondition(Condition):
    """True when the expression is true."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        self._expression = normalize_to_list_of_substitutions(predicate_expression)
        super().__init__(predicate=lambda c: evaluate_condition_expression(c, self._expression))


class UnlessCondition(Condition):
    """True when the expression is false."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        self._expression = normalize_to_list_of_substitutions(predicate_expression)
        super().__init__(
            predicate=lambda c: not evaluate_condition_expression(c, self._expression)
        )


class LaunchConfigurationEquals(Condition):
    """True when a launch configuration has a value; None expects that it is not set."""

    def __init__(
        self, launch_configuration_name: str, expected_value: SomeSubstitutionsType | None
    ) -> None:
        warnings.warn(
            f"{type(self).__name__} is deprecated: use IfCondition(EqualsSubstitution(...)) or "
            "IfCondition(NotEqualsSubstitution(...))",
            UserWarning,
            stacklevel=2,
        )
        self._name = launch_configuration_name
        self._expected = expected_value
        super().__init__(predicate=self._matches)

    def _matches(self, context: LaunchContext) -> bool:
        expected = self._expected
        if expected is not None:
            expected = perform_substitutions(context, normalize_to_list_of_substitutions(expected))
        return context.launch_configurations.get(self._name) == expected


class LaunchConfigurationNotEquals(LaunchConfigurationEquals):
    """True when a launch configuration does not have a value."""

    def _matches(self, context: LaunchContext) -> bool:
        return not super()._matches(context)
