"""The one launch description that the launch files of all robots share."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
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

PACKAGE = "vla_bringup"
ARGUMENTS = (
    *("checkpoint", "recipe", "contract", "policy", "prompt", "asset_id"),
    *("device", "dry_run", "namespace", "sim", "preflight", "supervision", "policy_restarts"),
)
PREFLIGHT_S, FIRST_MESSAGES_S = 2, 30  # measured; longest wait for the robot to come up
RESTART_DELAY_S = 2.0  # longer than it takes to see that the one before is gone
POLICY = ("checkpoint", "recipe", "prompt", "asset_id", "device")  # parameters of policy_node
SIMULATION = tuple(p for p in ALOHA_SIM if p.name != "contract")


def generate(*, contract: str, prompt: str = "") -> LaunchDescription:
    """Policy and executor for one robot, and a simulated robot on request.

    Args:
        contract: File name in config/robots, the default of the launch argument.
        prompt: Default task.
    """
    share = Path(get_package_share_directory(PACKAGE))
    return LaunchDescription(
        [
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
            OpaqueFunction(
                function=refuse_misspelt, args=[[*ARGUMENTS, *(p.name for p in SIMULATION)]]
            ),
            *_nodes(share),
        ]
    )


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
                {name: _text(name) for name in ("contract", *POLICY)},
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
            {"contract": _text("contract")},
            {"dry_run": ParameterValue(LaunchConfiguration("dry_run"), value_type=bool)},
            {"autostart": not _is_supervised(context)},
        ],
        output="screen",
        on_exit=required_ended,
    )
    return _checked(context, executor)


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


def refuse_misspelt(context: LaunchContext, known: Sequence[str]) -> None:
    """launch ignores unknown arguments, but ``dryrun:=true`` must not move a robot.

    Raises:
        ParameterError: an argument is nearly one of ours, which ends the launch.
    """
    for name in context.launch_configurations:
        meant = get_close_matches(name, known, n=1, cutoff=0.75)
        if meant and name not in known:
            raise ParameterError(
                "unknown launch argument",
                found=name,
                allowed="what --show-args lists",
                fix=f"did you mean {meant[0]}?",
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


def simulation_arguments() -> list[LaunchDescriptionEntity]:
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
    names = ("contract", *POLICY)
    parameters = " ".join(f"-p {name}:={shlex.quote(json.dumps(given[name]))}" for name in names)
    return [
        LogInfo(
            msg=f"The policy is gone, after {restarts} restarts. The executor brings the robot to"
            " rest and latches. To go on:"
            f" ros2 run vla_policy policy_node --ros-args -p autostart:=true {parameters}"
            " ; then call ~/resume of the executor."
        )
    ]
