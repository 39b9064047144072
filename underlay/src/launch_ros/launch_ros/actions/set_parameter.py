"""Giving a parameter to the nodes that follow."""

from __future__ import annotations

from typing import Any

from launch import Action, Condition, LaunchContext, SomeSubstitutionsType
from launch.utilities import normalize_to_list_of_substitutions

from ..parameters import evaluate_parameter_dict


class SetParameter(Action):
    """Sets a parameter of all nodes that follow in its group; their own parameters come first."""

    def __init__(
        self, name: SomeSubstitutionsType, value: Any, *, condition: Condition | None = None
    ) -> None:
        super().__init__(condition=condition)
        self._parameter = {tuple(normalize_to_list_of_substitutions(name)): value}

    def execute(self, context: LaunchContext) -> None:
        known = context.launch_configurations.get("global_params", [])
        new = evaluate_parameter_dict(context, self._parameter)
        context.launch_configurations["global_params"] = [*known, *new.items()]
