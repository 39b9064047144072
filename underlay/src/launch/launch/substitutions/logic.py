"""Comparisons and boolean logic; their text is ``true`` or ``false``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..substitution import SomeSubstitutionsType, Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions
from ..utilities.type_utils import is_substitution, perform_typed_substitution
from .lookup import SubstitutionFailure

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


def _truth(context: LaunchContext, subs: list[Substitution]) -> bool:
    try:
        return bool(perform_typed_substitution(context, subs, bool))
    except (TypeError, ValueError) as error:
        raise SubstitutionFailure(error) from error


def _text(value: bool) -> str:
    return str(value).lower()


class _OfOperands(Substitution):
    def __init__(self, *operands: SomeSubstitutionsType) -> None:
        self._operands = [normalize_to_list_of_substitutions(operand) for operand in operands]

    def describe(self) -> str:
        texts = [" + ".join(sub.describe() for sub in operand) for operand in self._operands]
        return f"{type(self).__name__}({', '.join(texts)})"


class NotSubstitution(_OfOperands):
    """Whether the value is false."""

    def __init__(self, value: SomeSubstitutionsType) -> None:
        super().__init__(value)

    def perform(self, context: LaunchContext) -> str:
        return _text(not _truth(context, self._operands[0]))


class AllSubstitution(_OfOperands):
    """Whether all are true."""

    def perform(self, context: LaunchContext) -> str:
        truths = [_truth(context, operand) for operand in self._operands]
        return _text(all(truths))


class AnySubstitution(_OfOperands):
    """Whether any is true."""

    def perform(self, context: LaunchContext) -> str:
        truths = [_truth(context, operand) for operand in self._operands]
        return _text(any(truths))


class AndSubstitution(AllSubstitution):
    """Whether both are true."""

    def __init__(self, left: SomeSubstitutionsType, right: SomeSubstitutionsType) -> None:
        super().__init__(left, right)


class OrSubstitution(AnySubstitution):
    """Whether one of both is true."""

    def __init__(self, left: SomeSubstitutionsType, right: SomeSubstitutionsType) -> None:
        super().__init__(left, right)


class EqualsSubstitution(_OfOperands):
    """Whether both are the same boolean, numbers that are close, or the same text."""

    def __init__(self, left: Any, right: Any) -> None:
        super().__init__(_operand(left), _operand(right))

    def perform(self, context: LaunchContext) -> str:
        left, right = (perform_substitutions(context, operand) for operand in self._operands)
        truths = {"true": True, "1": True, "false": False, "0": False}
        if left.lower() in truths and right.lower() in truths:
            return _text(truths[left.lower()] == truths[right.lower()])
        try:
            return _text(math.isclose(float(left), float(right)))
        except ValueError:
            return _text(left == right)


class NotEqualsSubstitution(EqualsSubstitution):
    """The opposite of EqualsSubstitution."""

    def perform(self, context: LaunchContext) -> str:
        return _text(super().perform(context) == "false")


def _operand(value: Any) -> SomeSubstitutionsType:
    if is_substitution(value):
        return value  # type: ignore[no-any-return]
    if isinstance(value, bool):
        return _text(value)
    return "" if value is None else str(value)


class IfElseSubstitution(_OfOperands):
    """One of two values, by a condition."""

    def __init__(
        self,
        condition: SomeSubstitutionsType,
        if_value: SomeSubstitutionsType = "",
        else_value: SomeSubstitutionsType = "",
    ) -> None:
        if if_value == else_value == "":
            raise RuntimeError("One of if_value and else_value must be specified")
        super().__init__(condition, if_value, else_value)

    def perform(self, context: LaunchContext) -> str:
        condition, if_value, else_value = self._operands
        return perform_substitutions(
            context, if_value if _truth(context, condition) else else_value
        )
