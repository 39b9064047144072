"""What preflight measures of the topics."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from vla_policy.nodes.topic_survey import _Listener


def test_only_topics_that_somebody_publishes_are_suggested() -> None:
    """Not those that are known for their subscribers alone, as the missing one itself."""
    image = "sensor_msgs/msg/Image"
    topics = {"/cam_high/image_raw": image, "/top/image_raw": image, "/joint_states": "other"}
    node = SimpleNamespace(
        get_topic_names_and_types=lambda: [(name, [kind]) for name, kind in topics.items()],
        count_publishers=lambda name: int(name != "/cam_high/image_raw"),
    )
    listener: Any = SimpleNamespace(_node=node, _source=SimpleNamespace(type=image))
    assert list(_Listener._elsewhere(listener)) == ["/top/image_raw"]
