"""Teleoperation: ros2 launch vla_bringup teleop.launch.py [task:=insertion] [record:=true]."""

from launch import LaunchDescription

from vla_bringup.teleop.launching import generate


def generate_launch_description() -> LaunchDescription:
    return generate(contract="aloha.yaml")
