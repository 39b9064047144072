"""The launch description of teleoperation: robot or simulation, executor, driver and recorder."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from vla_bringup.bringup import (
    PACKAGE,
    refuse_unknown,
    required_ended,
    simulated,
    simulation_arguments,
)
from vla_bringup.sim.aloha_tasks import TASKS
from vla_bringup.teleop.parameters import TELEOP

DRIVER = tuple(p for p in TELEOP if p.name != "contract")
STILL_S = 3600.0  # simulated pictures do not change while nothing moves in them


def generate(*, contract: str) -> LaunchDescription:
    """Somebody drives one robot, simulated by default.

    Args:
        contract: File name in config/robots, the default of the launch argument.
    """
    share = Path(get_package_share_directory(PACKAGE))
    own = [
        DeclareLaunchArgument(
            "contract",
            default_value=str(share / "config" / "robots" / contract),
            description="Robot contract (YAML).",
        ),
        DeclareLaunchArgument(
            "sim",
            default_value="true",
            description="Start a simulated robot on the topics of the real one.",
        ),
        DeclareLaunchArgument(
            "output_dir",
            default_value="bags",
            description="Folder of the recorded episodes, with record:=true.",
        ),
        DeclareLaunchArgument("operator", default_value="", description="Who drives."),
        DeclareLaunchArgument(
            "prompt", default_value="", description="Task in words; empty: that of the task."
        ),
        DeclareLaunchArgument(
            "namespace", default_value="", description="Namespace of the nodes."
        ),
        *(
            DeclareLaunchArgument(
                p.name, default_value=str(p.default), description=f"Teleop: {p.description}"
            )
            for p in DRIVER
        ),
        *simulation_arguments(),
    ]
    known = [item.name for item in own]
    return LaunchDescription(
        [
            *own,
            OpaqueFunction(function=refuse_unknown, args=[known]),
            OpaqueFunction(function=simulated, condition=IfCondition(LaunchConfiguration("sim"))),
            _node("vla_policy", "executor_node", {"autostart": True}),
            OpaqueFunction(
                function=_recorder, condition=IfCondition(LaunchConfiguration("record"))
            ),
            _node(PACKAGE, "teleop", {p.name: _given(p.name, type(p.default)) for p in DRIVER}),
        ]
    )


def _recorder(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The recorder; before an episode of the expert the scene is laid anew: no pre-roll."""
    given = context.launch_configurations
    values: dict[str, object] = {
        "output_dir": _given("output_dir", str),
        "task": given["prompt"] or TASKS[given["task"]].prompt,
        "operator": _given("operator", str),
        "autostart": True,
    }
    if given["source"] == "expert":
        values["pre_roll_s"] = 0.0
    if IfCondition(given["sim"]).evaluate(context):
        values["frozen_s"] = STILL_S
    return [_node("vla_recorder", "episode_recorder", values)]


def _node(package: str, executable: str, values: dict[str, object]) -> Node:
    """A node without which the rest is of no use: the launch ends with it."""
    return Node(
        package=package,
        executable=executable,
        namespace=LaunchConfiguration("namespace"),
        parameters=[{"contract": _given("contract", str), **values}],
        output="screen",
        on_exit=required_ended,
    )


def _given(name: str, kind: type) -> ParameterValue:
    return ParameterValue(LaunchConfiguration(name), value_type=kind)
