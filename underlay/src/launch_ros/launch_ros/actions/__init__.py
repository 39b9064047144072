"""What a launch file can do with nodes."""

from launch.missing import explain_missing

from .lifecycle_node import LifecycleNode
from .node import Node
from .push_ros_namespace import PushROSNamespace, PushRosNamespace
from .set_parameter import SetParameter

__all__ = ["LifecycleNode", "Node", "PushROSNamespace", "PushRosNamespace", "SetParameter"]
__getattr__ = explain_missing(__name__, __all__)
