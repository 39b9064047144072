"""Actions that share a scope of launch configurations and environment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..action import Action
from ..condition import Condition
from ..launch_description_entity import LaunchDescriptionEntity
from ..substitution import SomeSubstitutionsType
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions
from .opaque_function import OpaqueFunction
from .set_launch_configuration import SetLaunchConfiguration

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class GroupAction(Action):
    """Runs actions; what they change ends with the group if `scoped`.

    Without `forwarding` the group starts with the given launch configurations only.
    """

    def __init__(
        self,
        actions: Iterable[LaunchDescriptionEntity],
        *,
        scoped: bool = True,
        forwarding: bool = True,
        launch_configurations: dict[SomeSubstitutionsType, SomeSubstitutionsType] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self._actions = list(actions)
        self._scoped = scoped
        self._forwarding = forwarding
        self._configurations = launch_configurations or {}

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        # The arguments declared where nothing is forwarded cannot be given from outside.
        return [] if self._scoped and not self._forwarding else self._actions

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if not self._scoped:
            return [*self._sets(), *self._actions]
        context._push_scope()
        pop = OpaqueFunction(function=lambda context: context._pop_scope())
        if self._forwarding:
            return [*self._sets(), *self._actions, pop]

        def text(subs: SomeSubstitutionsType) -> str:
            return perform_substitutions(context, normalize_to_list_of_substitutions(subs))

        context._reset_scope({text(k): text(v) for k, v in self._configurations.items()})
        return [*self._actions, pop]

    def _sets(self) -> list[SetLaunchConfiguration]:
        return [SetLaunchConfiguration(k, v) for k, v in self._configurations.items()]
