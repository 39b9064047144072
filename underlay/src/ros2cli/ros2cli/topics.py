"""The full name and the message type of a topic given on the command line."""

from __future__ import annotations

from typing import Any

from rclpy.expand_topic_name import expand_topic_name
from rclpy.node import Node

from ros2cli.graph import find_types, spin_until
from ros2cli.interfaces import get_message


def full_topic_name(node: Node, topic: str) -> str:
    """Return the absolute name; raise RuntimeError when it is no valid one."""
    try:
        return str(expand_topic_name(topic, node.get_name(), node.get_namespace()))
    except ValueError as error:
        raise RuntimeError(str(error)) from None


def topic_message_type(node: Node, name: str, wait: bool = False) -> Any:
    """Return the message class of a topic by its full name, with `wait` however late it comes.

    Raises:
        RuntimeError: The topic is unknown, or it has several types.
    """
    topics = node.get_topic_names_and_types
    types = find_types(node, topics, name)
    if not types:
        print(f"WARNING: topic [{name}] does not appear to be published yet")
        if not wait:
            raise RuntimeError("Could not determine the type for the passed topic")
        spin_until(node, lambda: name in dict(topics()), -1.0)
        types = dict(topics())[name]
    if len(types) > 1:
        raise RuntimeError(
            f"Cannot echo topic '{name}', as it contains more than one type: [{', '.join(types)}]"
        )
    return get_message(types[0])
