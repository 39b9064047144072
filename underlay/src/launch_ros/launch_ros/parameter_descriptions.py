"""Parameter values with a type, and files of parameters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from launch import LaunchContext, SomeSubstitutionsType
from launch.missing import explain_missing
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch.utilities.type_utils import normalize_typed_substitution, perform_typed_substitution

__all__ = ["ParameterFile", "ParameterValue"]
__getattr__ = explain_missing(__name__, __all__)


class ParameterValue:
    """A value read as bool, int, float, str or a List[...] of one; None: by YAML's rules."""

    def __init__(self, value: Any, *, value_type: Any = None) -> None:
        self.value = normalize_typed_substitution(value, value_type)
        self.value_type = value_type

    def evaluate(self, context: LaunchContext) -> Any:
        """Return the value."""
        return perform_typed_substitution(context, self.value, self.value_type)


class ParameterFile:
    """A YAML file of parameters, handed to the node as it is."""

    def __init__(
        self,
        param_file: SomeSubstitutionsType | os.PathLike[str],
        *,
        allow_substs: bool = False,
    ) -> None:
        if allow_substs is not False:
            raise NotImplementedError(
                "launch_ros.parameter_descriptions.ParameterFile(allow_substs=...) is not in this "
                "underlay: put what varies into a dictionary, or install a full ROS 2"
            )
        if isinstance(param_file, os.PathLike):
            param_file = os.fspath(param_file)
        self.param_file = normalize_to_list_of_substitutions(param_file)

    def evaluate(self, context: LaunchContext) -> Path:
        """Return the path of the file."""
        return Path(perform_substitutions(context, self.param_file))
