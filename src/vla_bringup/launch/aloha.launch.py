"""ALOHA: ros2 launch vla_bringup aloha.launch.py checkpoint:=<dir> [sim:=true]."""

from launch import LaunchDescription

from vla_bringup.bringup import generate


def generate_launch_description() -> LaunchDescription:
    return generate(contract="aloha.yaml", prompt="Transfer cube")
