"""Text that is made while launching."""

from ..missing import explain_missing
from ..substitution import TextSubstitution
from .logic import (
    AllSubstitution,
    AndSubstitution,
    AnySubstitution,
    EqualsSubstitution,
    IfElseSubstitution,
    NotEqualsSubstitution,
    NotSubstitution,
    OrSubstitution,
)
from .lookup import (
    EnvironmentVariable,
    LaunchConfiguration,
    SubstitutionFailure,
    ThisLaunchFile,
    ThisLaunchFileDir,
)
from .path_join_substitution import PathJoinSubstitution
from .python_expression import PythonExpression

__all__ = [
    "AllSubstitution",
    "AndSubstitution",
    "AnySubstitution",
    "EnvironmentVariable",
    "EqualsSubstitution",
    "IfElseSubstitution",
    "LaunchConfiguration",
    "NotEqualsSubstitution",
    "NotSubstitution",
    "OrSubstitution",
    "PathJoinSubstitution",
    "PythonExpression",
    "SubstitutionFailure",
    "TextSubstitution",
    "ThisLaunchFile",
    "ThisLaunchFileDir",
]
__getattr__ = explain_missing(__name__, __all__)
