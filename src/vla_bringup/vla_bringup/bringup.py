"""The one launch description that the launch files of all robots share."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, Shutdown
from launch.conditions import IfCondition
from launch.events.process import ProcessExited
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from vla_bringup.sim.parameters import ALOHA_SIM, FAKE_ROBOT
from vla_core.contract import load_contract
from vla_core.errors import ParameterError
from vla_core.parameters import Parameter
from vla_core.rtc import RtcMode
from vla_core.strategies import STRATEGIES

PACKAGE = "vla_bringup"
# What launch and launch_ros keep beside the arguments
THEIRS = (
    *("ros_namespace", "ros_remaps", "global_params"),
    *("emulate_tty", "sigterm_timeout", "sigkill_timeout"),
)
PREFLIGHT_S, FIRST_MESSAGES_S = 2, 30  # measured; longest wait for the robot to come up
RESTART_DELAY_S = 2.0  # longer than it takes to see that the one before is gone
POLICY = ("checkpoint", "recipe", "prompt", "asset_id", "device")  # parameters of policy_node
# Parameters that the file of `policy` sets too, or leaves at the node's default
POLICY_CHOICES: dict[str, type] = {"rtc": str}
EXECUTOR_CHOICES: dict[str, type] = {"strategy": str, "speed_percent": float}
SIMULATION = tuple(p for p in ALOHA_SIM if p.name != "contract")


def generate(*, contract: str, prompt: str = "") -> LaunchDescription:
    """Policy and executor for one robot, and a simulated robot on request.

    Args:
        contract: File name in config/robots, the default of the launch argument.
        prompt: Default task.
    """
    share = Path(get_package_share_directory(PACKAGE))
    arguments = _arguments(share, contract, prompt)
    known = [argument.name for argument in arguments]
    return LaunchDescription(
        [*arguments, OpaqueFunction(function=refuse_unknown, args=[known]), *_nodes(share)]
    )


def _arguments(share: Path, contract: str, prompt: str) -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            "checkpoint",
            description="Directory, hf:// or gs:// address, a recipe's name,"
            " replay:<dataset>#<episode>, or hold: to stay in place.",
        ),
        DeclareLaunchArgument(
            "recipe",
            default_value="",
            description="Named policy that the checkpoint belongs to; empty: what it says.",
        ),
        DeclareLaunchArgument(
            "contract",
            default_value=str(share / "config" / "robots" / contract),
            description="Robot contract (YAML).",
        ),
        DeclareLaunchArgument(
            "policy",
            default_value="pi0",
            choices=sorted(p.stem for p in (share / "config" / "policies").glob("*.yaml")),
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
            "strategy",
            default_value="",
            choices=["", *STRATEGIES],
            description="How chunks become commands; empty: as the file of policy says.",
        ),
        DeclareLaunchArgument(
            "speed_percent",
            default_value="",
            description="Pace of execution at the start, 0 to 100; empty: 100, or as the file"
            " of policy says.",
        ),
        DeclareLaunchArgument(
            "rtc",
            default_value="",
            choices=["", *(mode.value for mode in RtcMode)],
            description="Real-time chunking by the policy, to go with the strategy rtc or"
            " rtc_trained; empty: off, or as the file of policy says.",
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
        DeclareLaunchArgument(
            "preflight",
            default_value="true",
            description="Let nothing move before the live topics have passed a check.",
        ),
        DeclareLaunchArgument(
            "supervision",
            default_value="true",
            description="Let the lifecycle manager bring the nodes up and watch them; false:"
            " they start themselves.",
        ),
        DeclareLaunchArgument(
            "policy_restarts",
            default_value="2",
            description="How often a policy that has died is started again, with supervision.",
        ),
        *simulation_arguments(),
    ]


def _nodes(share: Path) -> list[LaunchDescriptionEntity]:
    policy_file = ParameterFile(
        [str(share / "config" / "policies") + "/", LaunchConfiguration("policy"), ".yaml"]
    )
    robot = OpaqueFunction(function=simulated, condition=IfCondition(LaunchConfiguration("sim")))
    return [
        robot,
        OpaqueFunction(function=_policy, args=[policy_file]),
        OpaqueFunction(function=_executor, args=[policy_file]),
        Node(
            package="vla_policy",
            executable="lifecycle_manager",
            namespace=LaunchConfiguration("namespace"),
            parameters=[
                {
                    "policy_restarts": ParameterValue(
                        LaunchConfiguration("policy_restarts"), value_type=int
                    )
                }
            ],
            output="screen",
            on_exit=required_ended,
            condition=IfCondition(LaunchConfiguration("supervision")),
        ),
    ]


def _policy(context: LaunchContext, policy_file: ParameterFile) -> list[LaunchDescriptionEntity]:
    """The policy, started again when it has died if somebody is there to bring it up."""
    restarts = _restarts(context)
    ended = 0

    def on_exit(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        nonlocal ended
        ended += 1
        return _policy_ended(event, context, restart=ended, restarts=restarts)

    return [
        Node(
            package="vla_policy",
            executable="policy_node",
            namespace=LaunchConfiguration("namespace"),
            parameters=[
                policy_file,
                {name: _text(name) for name in ("contract", *POLICY)}
                | _chosen(context, POLICY_CHOICES),
                {"autostart": not _is_supervised(context)},
            ],
            output="screen",
            respawn=restarts > 0,
            respawn_delay=RESTART_DELAY_S,
            respawn_max_retries=restarts,
            on_exit=on_exit,
        )
    ]


def _executor(context: LaunchContext, policy_file: ParameterFile) -> list[LaunchDescriptionEntity]:
    executor = Node(
        package="vla_policy",
        executable="executor_node",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            policy_file,
            {"contract": _text("contract")} | _chosen(context, EXECUTOR_CHOICES),
            {"dry_run": ParameterValue(LaunchConfiguration("dry_run"), value_type=bool)},
            {"autostart": not _is_supervised(context)},
        ],
        output="screen",
        on_exit=required_ended,
    )
    return _checked(context, executor)


def _chosen(context: LaunchContext, kinds: Mapping[str, type]) -> dict[str, ParameterValue]:
    """The parameters that an argument has been given for."""
    return {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in kinds.items()
        if context.launch_configurations[name]
    }


def _is_supervised(context: LaunchContext) -> bool:
    return bool(IfCondition(LaunchConfiguration("supervision")).evaluate(context))


def _restarts(context: LaunchContext) -> int:
    """How often launch starts the policy again.

    Raises:
        ParameterError: not a number, which ends the launch.
    """
    text = context.launch_configurations["policy_restarts"]
    if not text.isdecimal():
        raise ParameterError(
            "not a number", where="policy_restarts", found=text, allowed="0, 1, 2, ..."
        )
    return int(text) if _is_supervised(context) else 0


def _checked(context: LaunchContext, executor: Node) -> list[LaunchDescriptionEntity]:
    """The executor, or the check that starts it when it has passed.

    Before, nothing can move: the policy, which takes its time to load, only thinks.
    """
    given = context.launch_configurations
    if not IfCondition(given["preflight"]).evaluate(context):
        return [executor]

    def ended(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if context.is_shutdown:
            return []
        if event.returncode:
            raise RuntimeError(
                f"preflight has ended with exit code {event.returncode}, and the executor was not"
                " started; preflight:=false does without it"
            )
        return [executor]

    arguments = [
        f"--{name.replace('_', '-')}={given[name]}"
        for name in ("contract", "checkpoint", "recipe", "asset_id")
    ]
    arguments += [f"--seconds={PREFLIGHT_S}", f"--wait={FIRST_MESSAGES_S}", "--alone"]
    if IfCondition(given["sim"]).evaluate(context):
        arguments.append("--simulated")
    return [
        Node(
            package="vla_policy",
            executable="preflight",
            namespace=LaunchConfiguration("namespace"),
            arguments=arguments,
            output="screen",
            on_exit=ended,
        )
    ]


def refuse_unknown(context: LaunchContext, known: Sequence[str]) -> None:
    """launch ignores unknown arguments, but ``dryrun:=true`` must not move a robot.

    A launch file with other arguments includes ours in a ``GroupAction`` that forwards none.

    Raises:
        ParameterError: an argument is not one of ours, which ends the launch.
    """
    for name in context.launch_configurations:
        if name in known or name in THEIRS:
            continue
        meant = get_close_matches(name, known, n=1, cutoff=0.75)
        raise ParameterError(
            "unknown launch argument",
            found=name,
            allowed="what --show-args lists",
            fix=f"did you mean {meant[0]}?"
            if meant
            else "leave it out; parameters of the nodes stand in the file that policy:= names",
        )


def simulated(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """ALOHA in MuJoCo, or a fake of any other robot.

    Raises:
        ContractError: the contract is not valid, which ends the launch.
    """
    path = context.launch_configurations["contract"]
    is_aloha = load_contract(path).robot == "aloha"
    taken = {parameter.name for parameter in (ALOHA_SIM if is_aloha else FAKE_ROBOT)}
    values = {
        p.name: ParameterValue(LaunchConfiguration(p.name), value_type=type(p.default))
        for p in SIMULATION
        if p.name in taken
    }
    return [
        Node(
            package=PACKAGE,
            executable="aloha_sim" if is_aloha else "fake_robot",
            namespace=LaunchConfiguration("namespace"),
            parameters=[{"contract": path}, values],
            output="screen",
            on_exit=required_ended,
        )
    ]


def simulation_arguments() -> list[DeclareLaunchArgument]:
    """A launch argument for each parameter of the simulated robots."""
    return [
        DeclareLaunchArgument(p.name, default_value=str(p.default), description=_describe(p))
        for p in SIMULATION
    ]


def _describe(parameter: Parameter) -> str:
    only = "" if parameter in FAKE_ROBOT else " (ALOHA in MuJoCo only)"
    return f"Simulation: {parameter.description}{only}"


def _text(name: str) -> ParameterValue:
    return ParameterValue(LaunchConfiguration(name), value_type=str)


def required_ended(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
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


def _policy_ended(
    event: ProcessExited, context: LaunchContext, *, restart: int, restarts: int
) -> list[LaunchDescriptionEntity]:
    """A policy that never came up ends the launch; one that died leaves the executor to hold."""
    if event.returncode in (1, 2) or context.is_shutdown:
        return required_ended(event, context)
    if restart <= restarts:
        return [
            LogInfo(
                msg="The policy is gone. The executor brings the robot to rest and latches."
                f" Restart {restart} of {restarts} follows; then call ~/resume of the executor."
            )
        ]
    given = context.launch_configurations
    names = ("contract", *POLICY, *(name for name in POLICY_CHOICES if given[name]))
    parameters = " ".join(f"-p {name}:={shlex.quote(json.dumps(given[name]))}" for name in names)
    return [
        LogInfo(
            msg=f"The policy is gone, after {restarts} restarts. The executor brings the robot to"
            " rest and latches. To go on:"
            f" ros2 run vla_policy policy_node --ros-args -p autostart:=true {parameters}"
            " ; then call ~/resume of the executor."
        )
    ]
