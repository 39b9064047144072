"""A small robot for tests, as text: two arm joints, a gripper, and as many extras as asked for."""

from __future__ import annotations

from vla_core.contract import Contract, parse_contract

TEXT = """\
schema: 1
robot: tester
adapter: plain
description: two joints and a gripper
policy_rate_hz: 20
control_rate_hz: 100
joints:
  a: {kind: position, unit: rad, range: [-2, 2], velocity: 2, acceleration: 10}
  b: {kind: position, unit: rad, range: [-1, 1], velocity: 1, acceleration: 5}
  g: {kind: gripper, unit: rad, range: [0, 0.08], velocity: 0.5, acceleration: 5}
streams:
  arm: {topic: /joint_states, type: sensor_msgs/msg/JointState, field: position, joints: [b, a], rate_hz: 100, max_age_s: 0.1}
  hand: {topic: /hand, type: std_msgs/msg/Float64MultiArray, joints: {g: finger}, rate_hz: 50, max_age_s: 0.2}
state: [a, b, g]
cameras:
  top: {topic: /top, type: sensor_msgs/msg/Image, encoding: rgb8, width: 64, height: 48, rate_hz: 30, max_age_s: 0.25}
action:
  arm: {topic: /arm, type: trajectory_msgs/msg/JointTrajectory, field: positions, joints: [a, b]}
  hand: {topic: /grip, type: std_msgs/msg/Float64MultiArray, field: data, joints: {g: finger}}
safety:
  start_offset: {rad: 0.3}
  gross_offset: {rad: 1.0}
  latch_after_s: 0.5
"""  # noqa: E501

PEOPLE = """\
  deadman: {topic: /joy, type: sensor_msgs/msg/Joy, field: "buttons[4]", max_age_s: 0.2}
  takeover: {topic: /teleop, type: std_msgs/msg/Empty, max_age_s: 0.3}
"""  # more of safety

VELOCITIES_ONLY = """\
schema: 1
robot: base
description: a wheeled base without feedback
policy_rate_hz: 10
control_rate_hz: 50
joints:
  vx: {kind: velocity, unit: m/s, range: [-0.5, 1], acceleration: 2}
  wz: {kind: velocity, unit: rad/s, range: [-2, 2], acceleration: 4}
  height: {unit: m, range: [0, 1], velocity: 1, acceleration: 1}
streams:
  lift: {topic: /lift, type: sensor_msgs/msg/JointState, joints: [height], rate_hz: 50}
state: [height]
cameras: {}
action:
  base: {topic: /cmd, type: std_msgs/msg/Float64MultiArray, joints: [vx, wz]}
safety:
  start_offset: {}
  gross_offset: {}
  latch_after_s: 0.5
"""

GRIPPER_ONLY = """\
schema: 1
robot: gripper
description: one gripper
policy_rate_hz: 10
control_rate_hz: 50
joints:
  g: {kind: gripper, unit: "1", range: [0, 1], velocity: 2, acceleration: 20}
streams:
  hand: {topic: /hand, type: sensor_msgs/msg/JointState, joints: [g], rate_hz: 50}
state: [g]
cameras: {}
action:
  hand: {topic: /grip, type: std_msgs/msg/Float64MultiArray, joints: [g]}
safety:
  start_offset: {}
  gross_offset: {}
"""


def robot(text: str = TEXT) -> Contract:
    return parse_contract(text, "robot.yaml")
