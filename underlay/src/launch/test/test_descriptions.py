"""Arguments, scopes, includes, conditions and substitutions."""

from collections.abc import Callable
from pathlib import Path

import pytest
from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, ExecuteProcess, GroupAction, TimerAction
from launch.conditions import IfCondition, InvalidConditionExpressionError, UnlessCondition
from launch.launch_description import LaunchDescription
from launch.launch_description_sources import (
    InvalidLaunchFileError,
    get_launch_description_from_any_launch_file,
)
from launch.substitutions import (
    AndSubstitution,
    EnvironmentVariable,
    EqualsSubstitution,
    IfElseSubstitution,
    LaunchConfiguration,
    NotEqualsSubstitution,
    NotSubstitution,
    OrSubstitution,
    PathJoinSubstitution,
    PythonExpression,
    SubstitutionFailure,
)
from launching import Launch

Start = Callable[..., Launch]


def test_a_required_argument_that_is_missing_ends_the_launch(launched: Start) -> None:
    launch = launched("yield DeclareLaunchArgument('robot', description='which robot')\n")
    assert launch.finish() == 1
    assert (
        "missing required argument 'robot' (description: 'which robot'), given: []"
        in launch.output
    )


def test_arguments_have_defaults_choices_and_unknown_ones_are_accepted(launched: Start) -> None:
    body = (
        "yield DeclareLaunchArgument('robot', default_value='ur5', choices=['ur5', 'ur3'])\n"
        "yield LogInfo(msg=['robot ', LaunchConfiguration('robot')])\n"
    )
    default = launched(body, "unknown:=1")
    assert default.finish() == 0
    assert "[INFO] [launch.user]: robot ur5" in default.lines
    wrong = launched(body, "robot:=ur9")
    assert wrong.finish() == 1
    assert 'Argument "robot" provided value "ur9" is not valid.' in wrong.output


def test_an_include_leaks_its_arguments_unless_it_stands_in_a_group(
    launched: Start, tmp_path: Path
) -> None:
    (tmp_path / "inner.launch.py").write_text(
        "from launch import LaunchDescription\n"
        "from launch.actions import DeclareLaunchArgument, LogInfo\n"
        "from launch.substitutions import LaunchConfiguration, ThisLaunchFileDir\n"
        "def generate_launch_description():\n"
        "    return LaunchDescription([DeclareLaunchArgument('x'),\n"
        "        LogInfo(msg=['inner ', LaunchConfiguration('x'), ' ', ThisLaunchFileDir()])])\n"
    )
    launch = launched(
        "def include(x): return IncludeLaunchDescription(\n"
        "    [ThisLaunchFileDir(), '/inner.launch.py'], launch_arguments={'x': x}.items())\n"
        "def log(text): return LogInfo(msg=[text, LaunchConfiguration('x', default='unset')])\n"
        "yield GroupAction([include('1'), log('in group ')])\n"
        "yield log('after group ')\n"
        "yield include('2')\n"
        "yield log('after include ')\n"
        "yield GroupAction([log('not forwarded ')], forwarding=False)\n"
    )
    assert launch.finish() == 0
    assert [line.partition("user]: ")[2] for line in launch.lines if "launch.user" in line] == [
        f"inner 1 {tmp_path}",
        "in group 1",
        "after group unset",
        f"inner 2 {tmp_path}",
        "after include 2",
        "not forwarded unset",
    ]


def test_environment_is_scoped_by_groups_and_reaches_processes(launched: Start) -> None:
    launch = launched(
        "def show(name, **options): return ExecuteProcess(\n"
        "    cmd=['echo $A,$B'], shell=True, name=name, output='screen', **options)\n"
        "yield GroupAction([SetEnvironmentVariable('A', '1'),\n"
        "    show('in', additional_env={'B': '2'})])\n"
        "yield show('out')\n"
    )
    assert launch.finish() == 0
    assert "[in-1] 1,2" in launch.lines
    assert "[out-2] ," in launch.lines


def test_a_description_lists_each_argument_once_with_what_is_conditional() -> None:
    description = LaunchDescription(
        [
            DeclareLaunchArgument("a", description="first", choices=["x", "y"]),
            GroupAction([DeclareLaunchArgument("b", default_value="1")]),
            TimerAction(period=1.0, actions=[DeclareLaunchArgument("c")]),
            DeclareLaunchArgument("a", description="again"),
            GroupAction([DeclareLaunchArgument("hidden")], forwarding=False),
        ]
    )
    arguments = description.get_launch_arguments()
    assert [(a.name, a.conditionally_included) for a in arguments] == [
        ("a", False),
        ("b", False),
        ("c", True),
    ]
    assert arguments[0].description == "first. Valid choices are: ['x', 'y']"


@pytest.mark.parametrize(
    ("substitution", "text"),
    [
        (LaunchConfiguration("x"), "1.0"),
        (LaunchConfiguration("none", default=["a", LaunchConfiguration("x")]), "a1.0"),
        (EnvironmentVariable("VLA_NONE", default_value="fallback"), "fallback"),
        (PathJoinSubstitution(["a", LaunchConfiguration("x"), "b"]), "a/1.0/b"),
        (PythonExpression(["2 * ", LaunchConfiguration("x"), " + sqrt(4)"]), "4.0"),
        (PythonExpression("os.sep", ["os"]), "/"),
        (EqualsSubstitution(LaunchConfiguration("x"), 1), "true"),
        (EqualsSubstitution("True", "1"), "true"),
        (EqualsSubstitution("a", "A"), "false"),
        (NotEqualsSubstitution("a", "b"), "true"),
        (AndSubstitution("true", "0"), "false"),
        (OrSubstitution("true", "0"), "true"),
        (NotSubstitution("False"), "true"),
        (IfElseSubstitution("1", "yes", "no"), "yes"),
    ],
)
def test_substitutions_make_upstreams_text(substitution: LaunchConfiguration, text: str) -> None:
    context = LaunchContext()
    context.launch_configurations["x"] = "1.0"
    assert substitution.perform(context) == text


def test_what_cannot_be_substituted_fails_by_name() -> None:
    with pytest.raises(SubstitutionFailure, match="launch configuration 'x' does not exist"):
        LaunchConfiguration("x").perform(LaunchContext())
    with pytest.raises(SubstitutionFailure, match="environment variable 'VLA_NONE' does not"):
        EnvironmentVariable("VLA_NONE").perform(LaunchContext())


@pytest.mark.parametrize(("text", "value"), [(" TRUE ", True), ("1", True), ("0", False)])
def test_conditions_read_booleans(text: str, value: bool) -> None:
    assert IfCondition(text).evaluate(LaunchContext()) is value
    assert UnlessCondition(text).evaluate(LaunchContext()) is not value


def test_a_condition_that_is_no_boolean_fails() -> None:
    with pytest.raises(InvalidConditionExpressionError, match="got 'maybe'"):
        IfCondition("maybe").evaluate(LaunchContext())


def test_what_is_missing_says_so_by_name() -> None:
    with pytest.raises(
        ImportError, match=r"launch\.actions\.ExecuteLocal is not in this underlay"
    ):
        from launch.actions import ExecuteLocal  # noqa: F401
    with pytest.raises(TypeError, match="cached_output"):
        ExecuteProcess(cmd=["true"], cached_output=True)
    with pytest.raises(InvalidLaunchFileError, match="not a Python launch file"):
        get_launch_description_from_any_launch_file("some.launch.xml")
