"""The part of ROS 2's launch that this suite uses, run processes, react to them, stop them.

Names, signatures and behaviour are those of launch in ROS 2 Jazzy, with two differences: SIGTERM
stops the children in order as SIGINT does, and children do not outlive a launcher that is killed.
"""

from . import (
    actions,
    conditions,
    event_handlers,
    events,
    launch_description_sources,
    logging,
    substitutions,
)
from .action import Action
from .condition import Condition
from .event import Event
from .event_handler import EventHandler, SomeEntitiesType
from .launch_context import LaunchContext
from .launch_description import LaunchDescription
from .launch_description_entity import LaunchDescriptionEntity
from .launch_description_source import LaunchDescriptionSource
from .launch_service import LaunchService
from .missing import explain_missing
from .substitution import SomeSubstitutionsType, Substitution

__all__ = [
    "Action",
    "Condition",
    "Event",
    "EventHandler",
    "LaunchContext",
    "LaunchDescription",
    "LaunchDescriptionEntity",
    "LaunchDescriptionSource",
    "LaunchService",
    "SomeEntitiesType",
    "SomeSubstitutionsType",
    "Substitution",
    "actions",
    "conditions",
    "event_handlers",
    "events",
    "launch_description_sources",
    "logging",
    "substitutions",
]
__getattr__ = explain_missing(__name__, __all__)
