"""Process under test: a talker with topics, parameters and a service, and a lifecycle node."""

import contextlib

import rclpy
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor, SetParametersResult
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool

PARAMETERS = {
    "flag": True,
    "count": 3,
    "name": "arm",
    "ratios": [0.5, 1.0],
    "indices": [1, 2],
    "words": ["a", "b"],
    "flags": [True, False],
    "limits.joint.lower": -1.5,
}


class Talker(Node):
    def __init__(self) -> None:
        super().__init__("talker", namespace="left")
        for name, value in PARAMETERS.items():
            self.declare_parameter(name, value)
        speed = ParameterDescriptor(
            description="Top speed, rad/s",
            floating_point_range=[FloatingPointRange(from_value=0.0, to_value=2.0)],
        )
        self.declare_parameter("speed", 1.0, speed)
        self.declare_parameter("version", "1", ParameterDescriptor(read_only=True))
        self.add_on_set_parameters_callback(self._refuse_negative_count)
        self._joints = self.create_publisher(JointState, "/joint_states", 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._status = self.create_publisher(String, "/status", latched)
        self._status.publish(String(data="ready"))
        self.create_subscription(String, "/prompt", lambda _: None, 1)
        self.create_service(SetBool, "/enable", self._enable)
        self.create_timer(0.02, self._tick)

    def _tick(self) -> None:
        message = JointState(name=["waist", "elbow"], position=[0.25, -1.0])
        message.header.stamp.sec = 7
        message.header.frame_id = "base"
        self._joints.publish(message)

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = request.data
        response.message = "on" if request.data else "off"
        return response

    def _refuse_negative_count(self, parameters: list) -> SetParametersResult:
        bad = [p.name for p in parameters if p.name == "count" and p.value < 0]
        return SetParametersResult(successful=not bad, reason="negative" if bad else "")


class Driver(LifecycleNode):
    def on_activate(self, state: object) -> TransitionCallbackReturn:
        self.get_logger().info("this node refuses to activate")
        return TransitionCallbackReturn.FAILURE


def main() -> None:
    rclpy.init()
    executor = SingleThreadedExecutor()
    executor.add_node(Talker())
    executor.add_node(Driver("driver"))
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        executor.spin()


main()
