"""The part of ROS 2's launch_ros that this suite uses: nodes, their parameters and lifecycles.

Names, signatures and behaviour are those of launch_ros in ROS 2 Jazzy.
"""

from . import actions, event_handlers, events, parameter_descriptions, substitutions

__all__ = ["actions", "event_handlers", "events", "parameter_descriptions", "substitutions"]
