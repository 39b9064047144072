"""Launch descriptions from Python launch files, the only kind that this underlay reads."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import TYPE_CHECKING

from .launch_description_source import LaunchDescriptionSource
from .missing import explain_missing
from .substitution import SomeSubstitutionsType

if TYPE_CHECKING:
    from .launch_description import LaunchDescription

__all__ = [
    "AnyLaunchDescriptionSource",
    "InvalidLaunchFileError",
    "InvalidPythonLaunchFileError",
    "PythonLaunchDescriptionSource",
    "get_launch_description_from_any_launch_file",
    "get_launch_description_from_python_launch_file",
]
__getattr__ = explain_missing(__name__, __all__)


class InvalidPythonLaunchFileError(Exception):
    """A Python launch file lacks generate_launch_description()."""


class InvalidLaunchFileError(Exception):
    """A launch file is of a kind that is not read here."""


def get_launch_description_from_python_launch_file(path: str) -> LaunchDescription:
    """Run a launch file and return what its generate_launch_description() returns."""
    loader = SourceFileLoader("python_launch_file", path)
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    if not hasattr(module, "generate_launch_description"):
        raise InvalidPythonLaunchFileError(
            f"launch file at '{path}' does not contain the required function "
            "'generate_launch_description()'"
        )
    description: LaunchDescription = module.generate_launch_description()
    return description


def get_launch_description_from_any_launch_file(path: str) -> LaunchDescription:
    """Return the launch description of a launch file, if it is a Python one."""
    if not path.endswith(".py"):
        raise InvalidLaunchFileError(
            f"launch file at '{path}' is not a Python launch file (*.py), the only kind that this "
            "underlay reads; XML and YAML launch files need a full ROS 2"
        )
    return get_launch_description_from_python_launch_file(path)


class PythonLaunchDescriptionSource(LaunchDescriptionSource):
    """A Python launch file."""

    def __init__(self, launch_file_path: SomeSubstitutionsType) -> None:
        super().__init__(None, launch_file_path, "interpreted python launch file")

    def _get_launch_description(self, location: str) -> LaunchDescription:
        return get_launch_description_from_python_launch_file(location)


class AnyLaunchDescriptionSource(LaunchDescriptionSource):
    """A launch file whose kind is told by its name."""

    def __init__(self, launch_file_path: SomeSubstitutionsType) -> None:
        super().__init__(None, launch_file_path, "any launch file")

    def _get_launch_description(self, location: str) -> LaunchDescription:
        return get_launch_description_from_any_launch_file(location)
