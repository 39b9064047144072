"""Places of packages and of their executables."""

from launch.missing import explain_missing

from .executable_in_package import ExecutableInPackage
from .find_package import FindPackagePrefix, FindPackageShare

__all__ = ["ExecutableInPackage", "FindPackagePrefix", "FindPackageShare"]
__getattr__ = explain_missing(__name__, __all__)
