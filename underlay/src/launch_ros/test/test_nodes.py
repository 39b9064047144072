"""Nodes get the name, namespace, parameters and remappings that the launch file says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from launch import LaunchContext
from launch.substitutions import LaunchConfiguration, SubstitutionFailure
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.parameters import evaluate_parameter_dict
from launch_ros.substitutions import ExecutableInPackage, FindPackagePrefix, FindPackageShare

Run = Callable[[str], tuple[int, str]]


def shown(output: str, process: str) -> list[Any]:
    (line,) = (line for line in output.splitlines() if line.startswith(f"[{process}] ["))
    return json.loads(line.partition("] ")[2])


def test_name_namespace_parameters_and_remappings_reach_the_node(run: Run, prefix: Path) -> None:
    (prefix / "p.yaml").write_text("/**:\n  ros__parameters: {from_file: 7, gain: 0.5}\n")
    code, output = run(
        f"yield SetLaunchConfiguration('n', '3')\n"
        f"yield Node(package='sample', executable='show', name='arm', namespace='left',\n"
        f"    output='screen', remappings=[('in', 'camera')],\n"
        f"    parameters=['{prefix}/p.yaml', {{'gain': 2.0, 'text': '12',\n"
        f"        'n': LaunchConfiguration('n'), 'joints': ['a', 'b'], 'limits': [1, 2.5],\n"
        f"        's': ParameterValue(LaunchConfiguration('n'), value_type=str),\n"
        f"        'nested': {{'on': True}}}}])\n"
    )
    assert code == 0
    assert shown(output, "show-1") == [
        "/left/arm",
        "/left/camera",
        {
            "from_file": 7,
            "gain": 2.0,
            "text": "12",
            "n": 3,
            "joints": ["a", "b"],
            "limits": [1.0, 2.5],
            "s": "3",
            "nested.on": True,
        },
    ]


def test_groups_push_namespaces_and_set_parameters(run: Run) -> None:
    code, output = run(
        "def show(**options): return Node(\n"
        "    package='sample', executable='show', output='screen', **options)\n"
        "yield GroupAction([PushRosNamespace('robot'), SetParameter('rate', 50),\n"
        "    show(namespace='left', exec_name='a'), show(namespace='/top', exec_name='b'),\n"
        "    show(parameters=[{'rate': 10}], exec_name='c')])\n"
        "yield show(exec_name='d')\n"
    )
    assert code == 0
    assert shown(output, "a-1") == ["/robot/left/default", "/robot/left/in", {"rate": 50}]
    assert shown(output, "b-2")[0] == "/top/default"
    assert shown(output, "c-3") == ["/robot/default", "/robot/in", {"rate": 10}]
    assert shown(output, "d-4") == ["/default", "/in", {}]


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        ("Node(package='none', executable='show')", "package 'none' not found"),
        ("Node(package='sample', executable='x')", "executable 'x' not found on the libexec"),
        ("Node(package='sample', executable='show', name='a b')", "Invalid node name"),
        ("PushRosNamespace('a b')", "The resulting namespace is invalid"),
    ],
)
def test_what_cannot_be_started_fails_the_launch(run: Run, entity: str, message: str) -> None:
    code, output = run(f"yield {entity}\n")
    assert code == 1
    assert message in output


def test_a_missing_parameter_file_and_a_second_node_of_one_name_are_warned_of(run: Run) -> None:
    code, output = run(
        "for _ in range(2): yield Node(package='sample', executable='show', name='n',\n"
        "    namespace='', parameters=['/nowhere.yaml'])\n"
    )
    assert code == 0
    assert "Parameter file path is not a file: /nowhere.yaml" in output
    assert "there are now at least 2 nodes with the name /n created" in output


def test_a_list_of_strings_and_substitutions_is_one_value() -> None:
    context = LaunchContext()
    context.launch_configurations["x"] = "5"
    values = evaluate_parameter_dict(
        context,
        {
            "joined": ["1", LaunchConfiguration("x")],
            "listed": [[LaunchConfiguration("x")], 6],
            ("key_", LaunchConfiguration("x")): "",
        },
    )
    assert values == {"joined": 15, "listed": [5, 6], "key_5": ""}


@pytest.mark.parametrize("value", [[], [1, "a"], {"x": None}, b"x", object()])
def test_values_that_no_parameter_can_have_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        evaluate_parameter_dict(LaunchContext(), {"name": value})


def test_a_typed_value_is_checked() -> None:
    context = LaunchContext()
    context.launch_configurations["x"] = "1.5"
    assert ParameterValue(LaunchConfiguration("x"), value_type=float).evaluate(context) == 1.5
    with pytest.raises(ValueError, match=r"1\.5"):
        ParameterValue(LaunchConfiguration("x"), value_type=int).evaluate(context)
    with pytest.raises(TypeError):
        ParameterValue("text", value_type=float)


def test_packages_and_executables_are_found(prefix: Path) -> None:
    context = LaunchContext()
    assert FindPackagePrefix("sample").perform(context) == str(prefix)
    assert FindPackageShare("sample").perform(context) == f"{prefix}/share/sample"
    assert ExecutableInPackage("show", "sample").perform(context) == f"{prefix}/lib/sample/show"
    with pytest.raises(SubstitutionFailure, match="executable 'x' not found"):
        ExecutableInPackage("x", "sample").perform(context)


def test_what_is_missing_says_so_by_name() -> None:
    with pytest.raises(ImportError, match=r"launch_ros\.actions\.ComposableNodeContainer is not"):
        from launch_ros.actions import ComposableNodeContainer  # noqa: F401
    with pytest.raises(NotImplementedError, match="allow_substs"):
        ParameterFile("p.yaml", allow_substs=True)
