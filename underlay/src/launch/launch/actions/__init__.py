"""What a launch file can do."""

from ..missing import explain_missing
from .declare_launch_argument import DeclareLaunchArgument
from .emit_event import EmitEvent, Shutdown
from .execute_process import ExecuteProcess
from .group_action import GroupAction
from .include_launch_description import IncludeLaunchDescription
from .log_info import LogInfo
from .opaque_function import OpaqueFunction
from .register_event_handler import RegisterEventHandler, UnregisterEventHandler
from .set_environment_variable import SetEnvironmentVariable, UnsetEnvironmentVariable
from .set_launch_configuration import SetLaunchConfiguration, UnsetLaunchConfiguration
from .timer_action import TimerAction

__all__ = [
    "DeclareLaunchArgument",
    "EmitEvent",
    "ExecuteProcess",
    "GroupAction",
    "IncludeLaunchDescription",
    "LogInfo",
    "OpaqueFunction",
    "RegisterEventHandler",
    "SetEnvironmentVariable",
    "SetLaunchConfiguration",
    "Shutdown",
    "TimerAction",
    "UnregisterEventHandler",
    "UnsetEnvironmentVariable",
    "UnsetLaunchConfiguration",
]
__getattr__ = explain_missing(__name__, __all__)
