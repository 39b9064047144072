"""The value of a Python expression."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..substitution import SomeSubstitutionsType, Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class PythonExpression(Substitution):
    """Evaluates an expression, with modules by name and the names of `math` at hand.

    A launch file is code, and so is this expression. What the user gives for a launch argument is
    code too once it is put in here: quote it, or compare with EqualsSubstitution instead.
    """

    def __init__(
        self, expression: SomeSubstitutionsType, python_modules: SomeSubstitutionsType = ("math",)
    ) -> None:
        self._expression = normalize_to_list_of_substitutions(expression)
        self._modules = normalize_to_list_of_substitutions(python_modules)

    @property
    def expression(self) -> list[Substitution]:
        """The expression."""
        return self._expression

    @property
    def python_modules(self) -> list[Substitution]:
        """The names of the modules."""
        return self._modules

    def describe(self) -> str:
        expression = " + ".join(sub.describe() for sub in self._expression)
        modules = ", ".join(sub.describe() for sub in self._modules)
        return f"PythonExpr({expression}, [{modules}])"

    def perform(self, context: LaunchContext) -> str:
        names: dict[str, Any] = {}
        for module in [import_module(sub.perform(context)) for sub in self._modules]:
            if module.__name__ == "math":
                names.update(vars(module))
            names[module.__name__] = module
        return str(eval(perform_substitutions(context, self._expression), {}, names))
