"""The one launch description that the launch files of all robots share."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, Shutdown
from launch.conditions import IfCondition
from launch.events.process import ProcessExited
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

PACKAGE = "vla_bringup"


def generate(
    *,
    contract: str,
    simulator: str,
    prompt: str = "",
    simulator_arguments: dict[str, str] | None = None,
) -> LaunchDescription:
    """Policy and executor for one robot, and a simulated robot on request.

    Args:
        contract: File name in config/robots.
        simulator: Executable of this package that ``sim:=true`` starts.
        prompt: Default task.
        simulator_arguments: Further launch arguments that only the simulator takes, with defaults.
    """
    share = Path(get_package_share_directory(PACKAGE))
    simulator_arguments = {"camera_rate_hz": "15.0", **(simulator_arguments or {})}
    descriptions = {
        "camera_rate_hz": "Simulated camera images per second.",
        "physics_rate_hz": "Physics steps per second of the simulation.",
        "seed": "Seed of the simulated scene.",
    }
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "checkpoint", description="Checkpoint directory, or hold: to stay in place."
            ),
            DeclareLaunchArgument(
                "contract",
                default_value=str(share / "config" / "robots" / contract),
                description="Robot contract (YAML).",
            ),
            DeclareLaunchArgument(
                "policy",
                default_value="pi0",
                description="Parameter file of the nodes, a name in config/policies.",
            ),
            DeclareLaunchArgument("prompt", default_value=prompt, description="Task in words."),
            DeclareLaunchArgument(
                "asset_id",
                default_value="",
                description="Normalisation statistics in the checkpoint; empty: the robot's own.",
            ),
            DeclareLaunchArgument(
                "device",
                default_value="auto",
                choices=["auto", "cpu", "cuda"],
                description="Where the model runs.",
            ),
            DeclareLaunchArgument(
                "dry_run",
                default_value="false",
                description="Compute commands but do not send them to the robot.",
            ),
            DeclareLaunchArgument(
                "namespace", default_value="", description="Namespace of the nodes."
            ),
            DeclareLaunchArgument(
                "sim",
                default_value="false",
                description="Start a simulated robot on the topics of the real one.",
            ),
            *(
                DeclareLaunchArgument(name, default_value=value, description=descriptions[name])
                for name, value in simulator_arguments.items()
            ),
            *_nodes(share, simulator, simulator_arguments),
        ]
    )


def _nodes(
    share: Path, simulator: str, simulator_arguments: dict[str, str]
) -> list[LaunchDescriptionEntity]:
    namespace = LaunchConfiguration("namespace")
    contract = {"contract": _text("contract")}
    policy_file = ParameterFile(
        [str(share / "config" / "policies") + "/", LaunchConfiguration("policy"), ".yaml"]
    )
    policy = Node(
        package="vla_policy",
        executable="policy_node",
        namespace=namespace,
        parameters=[
            policy_file,
            contract,
            {name: _text(name) for name in ("checkpoint", "prompt", "asset_id", "device")},
            {"autostart": True},
        ],
        output="screen",
        on_exit=_policy_ended,
    )
    executor = Node(
        package="vla_policy",
        executable="executor_node",
        namespace=namespace,
        parameters=[
            policy_file,
            contract,
            {"dry_run": ParameterValue(LaunchConfiguration("dry_run"), value_type=bool)},
            {"autostart": True},
        ],
        output="screen",
        on_exit=_required_ended,
    )
    simulated = Node(
        package=PACKAGE,
        executable=simulator,
        namespace=namespace,
        parameters=[
            contract,
            {
                name: ParameterValue(
                    LaunchConfiguration(name), value_type=int if name == "seed" else float
                )
                for name in simulator_arguments
            },
        ],
        output="screen",
        condition=IfCondition(LaunchConfiguration("sim")),
        on_exit=_required_ended,
    )
    return [simulated, executor, policy]


def _text(name: str) -> ParameterValue:
    return ParameterValue(LaunchConfiguration(name), value_type=str)


def _required_ended(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Without the robot or the executor there is nothing to launch.

    Raises:
        RuntimeError: it ended by a fault, which the launch answers by ending with exit code 1.
    """
    if context.is_shutdown:
        return []
    reason = f"{event.process_name} has ended with exit code {event.returncode}"
    if event.returncode:
        raise RuntimeError(reason)
    return [Shutdown(reason=reason)]


def _policy_ended(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """A policy that never came up ends the launch; one that died leaves the executor to hold."""
    if event.returncode in (0, 1, 2) or context.is_shutdown:
        return _required_ended(event, context)
    return [
        LogInfo(
            msg="The policy died. The executor brings the robot to rest and latches. To go on:"
            " start a policy again (ros2 run vla_policy policy_node), then call ~/resume."
        )
    ]
