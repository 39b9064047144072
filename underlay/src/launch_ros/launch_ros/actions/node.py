"""Running a node."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescriptionEntity, SomeSubstitutionsType, Substitution
from launch import logging as launch_logging
from launch.actions import ExecuteProcess
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from rclpy.validate_namespace import validate_namespace
from rclpy.validate_node_name import validate_node_name

from ..namespaces import make_namespace_absolute, prefix_namespace
from ..parameters import SomeParameters, evaluate_parameters, write_parameter_file
from ..substitutions import ExecutableInPackage

RemapRules = Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]]


class Node(ExecuteProcess):
    """Runs the executable of a package, or the executable itself without a package, as a node.

    Args:
        executable: the executable.
        package: its package.
        name: the name of the node (default: the one in its code).
        namespace: its namespace, under the pushed one unless it begins with a slash.
        exec_name: the label of the process (default: the name of the executable).
        parameters: dictionaries, and paths of parameter files; the last definition counts.
        remappings: pairs of from and to.
        ros_arguments: arguments after ``--ros-args``.
        arguments: arguments before them.
        kwargs: those of ExecuteProcess.
    """

    UNSPECIFIED_NODE_NAME = "<node_name_unspecified>"
    UNSPECIFIED_NODE_NAMESPACE = "<node_namespace_unspecified>"

    def __init__(
        self,
        *,
        executable: SomeSubstitutionsType,
        package: SomeSubstitutionsType | None = None,
        name: SomeSubstitutionsType | None = None,
        namespace: SomeSubstitutionsType | None = None,
        exec_name: SomeSubstitutionsType | None = None,
        parameters: SomeParameters | None = None,
        remappings: RemapRules | None = None,
        ros_arguments: Iterable[SomeSubstitutionsType] | None = None,
        arguments: Iterable[SomeSubstitutionsType] | None = None,
        **kwargs: Any,
    ) -> None:
        if parameters is not None and not isinstance(parameters, (list, tuple)):
            raise TypeError(f"Expecting list of parameters, got {parameters!r}")
        cmd: list[SomeSubstitutionsType] = [executable]
        if package is not None:
            cmd = [ExecutableInPackage(package=package, executable=executable)]
        cmd += arguments or []
        cmd += ["--ros-args", *ros_arguments] if ros_arguments is not None else []
        super().__init__(cmd=cmd, name=exec_name, **kwargs)
        self.node_package = package
        self.node_executable = executable
        self._node_name = name
        self._node_namespace = namespace
        self._parameters = parameters or []
        self._remappings = list(remappings or [])
        self._full_name: str | None = None

    @property
    def node_name(self) -> str:
        """The name of the node with its namespace, once it has started."""
        if self._full_name is None:
            raise RuntimeError("cannot access 'node_name' before executing action")
        return self._full_name

    def is_node_name_fully_specified(self) -> bool:
        """Return whether the launch file says both name and namespace."""
        unknown = (self.UNSPECIFIED_NODE_NAME, self.UNSPECIFIED_NODE_NAMESPACE)
        return not any(word in self.node_name for word in unknown)

    def execute(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity] | None:
        self._ros_arguments = self._make_ros_arguments(context)
        result = super().execute(context)
        if self.is_node_name_fully_specified():
            names: dict[str, int] = context.get_locals_as_dict().get("node_names", {})
            context.extend_globals({"node_names": names})
            names[self.node_name] = names.get(self.node_name, 0) + 1
            if names[self.node_name] > 1:
                launch_logging.get_logger(self.name).warning(
                    f"there are now at least {names[self.node_name]} nodes with the name "
                    f"{self.node_name} created within this launch context"
                )
        return result

    def _make_cmd(self, context: LaunchContext) -> list[str]:
        return super()._make_cmd(context) + self._ros_arguments

    def _make_ros_arguments(self, context: LaunchContext) -> list[str]:
        name, namespace = self._resolve_name(context)
        made = ["--ros-args"]
        made += ["-r", f"__node:={name}"] if name is not None else []
        made += ["-r", f"__ns:={namespace}"] if namespace is not None else []
        for key, value in context.launch_configurations.get("global_params", []):
            made += ["-p", f"{key}:={value}"]
        for values in evaluate_parameters(context, self._parameters):
            path = values if isinstance(values, Path) else self._write_parameters(values)
            if path.is_file():
                made += ["--params-file", str(path)]
            else:
                launch_logging.get_logger(__name__).warning(
                    f"Parameter file path is not a file: {path}"
                )
        for source, target in self._remappings:
            made += ["-r", f"{_text(context, source)}:={_text(context, target)}"]
        return made

    def _resolve_name(self, context: LaunchContext) -> tuple[str | None, str | None]:
        name = None if self._node_name is None else _text(context, self._node_name)
        relative = None if self._node_namespace is None else _text(context, self._node_namespace)
        pushed = context.launch_configurations.get("ros_namespace")
        namespace = make_namespace_absolute(prefix_namespace(pushed, relative))
        if name is not None:
            validate_node_name(name)
        if namespace is not None:
            validate_namespace(namespace)
        self._full_name = prefix_namespace(
            self.UNSPECIFIED_NODE_NAMESPACE if namespace is None else namespace,
            self.UNSPECIFIED_NODE_NAME if name is None else name,
        )
        return name, namespace

    def _write_parameters(self, values: dict[str, Any]) -> Path:
        """Write the parameters beside the logs, where they tell later what a run was given."""
        with tempfile.NamedTemporaryFile(
            dir=launch_logging.launch_config.log_dir, prefix="launch_params_", delete=False
        ) as file:
            path = Path(file.name)
        node = self.node_name if self.is_node_name_fully_specified() else "/**"
        write_parameter_file(path, node, values)
        return path


def _text(context: LaunchContext, subs: SomeSubstitutionsType) -> str:
    normalized: list[Substitution] = normalize_to_list_of_substitutions(subs)
    return perform_substitutions(context, normalized)
