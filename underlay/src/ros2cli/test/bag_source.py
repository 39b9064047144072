"""Process under test: numbered messages of every quality of service, until it is interrupted.

The number is the header's frame_id. Arguments: a prefix of the topics.
"""

import sys
import time

import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header

QOS = {
    "reliable": QoSProfile(depth=10),
    "best_effort": QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT),
    "latched": QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
}

rclpy.init()
node = rclpy.create_node("bag_source")
publishers = {
    name: node.create_publisher(Header, f"{sys.argv[1]}/{name}", qos) for name, qos in QOS.items()
}
publishers.pop("latched").publish(Header(frame_id="0"))
print("ready", flush=True)
number = 0
while True:
    stamp = node.get_clock().now().to_msg()
    for publisher in publishers.values():
        publisher.publish(Header(frame_id=str(number), stamp=stamp))
    number += 1
    time.sleep(0.01)
