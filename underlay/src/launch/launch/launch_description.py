"""What a launch file returns: the entities to visit, and the arguments that they declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .actions.declare_launch_argument import DeclareLaunchArgument
from .actions.include_launch_description import IncludeLaunchDescription
from .launch_context import LaunchContext
from .launch_description_entity import LaunchDescriptionEntity

_Includes = tuple[IncludeLaunchDescription, ...]


class LaunchDescription(LaunchDescriptionEntity):
    """A list of entities."""

    def __init__(self, initial_entities: Iterable[LaunchDescriptionEntity] | None = None) -> None:
        self._entities = list(initial_entities or [])

    @property
    def entities(self) -> list[LaunchDescriptionEntity]:
        """The entities."""
        return self._entities

    def add_entity(self, entity: LaunchDescriptionEntity) -> None:
        """Add an entity at the end."""
        self._entities.append(entity)

    add_action = add_entity

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        return self._entities

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return self._entities

    def get_launch_arguments(self) -> list[DeclareLaunchArgument]:
        """Return the arguments declared here and in what is included, the first of each name."""
        return [argument for argument, _ in self.arguments_with_includes()]

    def arguments_with_includes(self) -> list[tuple[DeclareLaunchArgument, _Includes]]:
        """Return each declared argument with the includes that lead to it."""
        found: dict[str, tuple[DeclareLaunchArgument, _Includes]] = {}
        for argument, includes in _declared(self._entities, False, ()):
            found.setdefault(argument.name, (argument, includes))
        return list(found.values())


def _declared(
    entities: Iterable[LaunchDescriptionEntity], conditional: bool, includes: _Includes
) -> Iterator[tuple[DeclareLaunchArgument, _Includes]]:
    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.conditionally_included = conditional or entity.condition is not None
            yield entity, includes
            continue
        inner = (*includes, entity) if isinstance(entity, IncludeLaunchDescription) else includes
        yield from _declared(entity.describe_sub_entities(), conditional, inner)
        for _, some in entity.describe_conditional_sub_entities():
            yield from _declared(some, True, inner)
