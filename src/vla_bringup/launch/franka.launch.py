"""Franka FR3: ros2 launch vla_bringup franka.launch.py checkpoint:=<dir> prompt:=<task>."""

from launch import LaunchDescription

from vla_bringup.bringup import generate


def generate_launch_description() -> LaunchDescription:
    return generate(contract="franka.yaml")
