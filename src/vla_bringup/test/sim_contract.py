"""A small robot for the tests of the simulation, and where the real contracts are."""

from pathlib import Path

FILES = sorted((Path(__file__).parents[1] / "config" / "robots").glob("*.yaml"))

SMALL = """
schema: 1
robot: small
description: two joints and a gripper
policy_rate_hz: 10
control_rate_hz: 50
joints:
  shoulder: {unit: rad, range: [-1, 1], velocity: 2, acceleration: 20}
  elbow: {unit: rad, range: [-2, -1], velocity: 1, acceleration: 20}
  gripper: {kind: gripper, unit: "1", range: [0, 1], velocity: 4, acceleration: 40}
streams:
  arm: {topic: /arm/state, type: sensor_msgs/msg/JointState, joints: {shoulder: j1, elbow: j2}, rate_hz: 50}
  gripper: {topic: /gripper/state, type: std_msgs/msg/Float64MultiArray, joints: [gripper], rate_hz: 20}
state: [shoulder, elbow, gripper]
cameras:
  front: {topic: /front, type: sensor_msgs/msg/Image, encoding: bgr8, width: 64, height: 48, rate_hz: 20}
  wrist: {topic: /wrist, type: sensor_msgs/msg/CompressedImage, encoding: jpeg, width: 32, height: 24, rate_hz: 10}
action:
  shoulder: {topic: /shoulder/command, type: sensor_msgs/msg/JointState, joints: {shoulder: j1}}
  elbow: {topic: /elbow/command, type: trajectory_msgs/msg/JointTrajectory, joints: {elbow: j2}}
  gripper: {topic: /gripper/command, type: std_msgs/msg/Float64MultiArray, joints: [gripper]}
safety:
  start_offset: {rad: 0.5}
  gross_offset: {rad: 1.5}
"""  # noqa: E501
