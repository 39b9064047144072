"""The message type of a topic that is already there."""

from __future__ import annotations

from typing import Any

from rclpy.exceptions import InvalidTopicNameException
from rclpy.expand_topic_name import expand_topic_name
from rclpy.node import Node
from rclpy.validate_full_topic_name import validate_full_topic_name

from ros2cli.graph import spin_until
from ros2cli.interfaces import get_message


def topic_message_type(node: Node, topic: str, wait: bool = False) -> Any:
    """Return the message class of a topic; `wait` until someone publishes or subscribes to it.

    Raises:
        RuntimeError: The name is invalid, the topic is unknown, or it has several types.
    """
    try:
        name = expand_topic_name(topic, node.get_name(), node.get_namespace())
        validate_full_topic_name(name)
    except (ValueError, InvalidTopicNameException) as error:
        raise RuntimeError(str(error)) from None

    def types() -> list[str]:
        return dict(node.get_topic_names_and_types()).get(name, [])

    if not types():
        print(f"WARNING: topic [{topic}] does not appear to be published yet")
        if not (wait and spin_until(node, lambda: bool(types()), -1.0)):
            raise RuntimeError("Could not determine the type for the passed topic")
    if len(types()) > 1:
        raise RuntimeError(
            f"Cannot echo topic '{topic}', as it contains more than one type: "
            f"[{', '.join(types())}]"
        )
    return get_message(types()[0])
