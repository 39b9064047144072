"""UR5e: ros2 launch vla_bringup ur5.launch.py checkpoint:=<dir> prompt:=<task> [sim:=true].

For a UR3, or another UR5, give its contract: contract:=config/robots/ur3.yaml
"""

from launch import LaunchDescription

from vla_bringup.bringup import generate


def generate_launch_description() -> LaunchDescription:
    return generate(contract="ur5e.yaml")
