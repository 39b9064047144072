"""Folders of packages, found through the ament index."""

from __future__ import annotations

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch import LaunchContext, SomeSubstitutionsType, Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions


class FindPackagePrefix(Substitution):
    """The folder that a package is installed in."""

    def __init__(self, package: SomeSubstitutionsType) -> None:
        self.package = normalize_to_list_of_substitutions(package)

    def describe(self) -> str:
        package = " + ".join(sub.describe() for sub in self.package)
        return f"{type(self).__name__}(pkg={package})"

    def find(self, package_name: str) -> str:
        """Return the folder; raises PackageNotFoundError."""
        return str(get_package_prefix(package_name))

    def perform(self, context: LaunchContext) -> str:
        return self.find(perform_substitutions(context, self.package))


class FindPackageShare(FindPackagePrefix):
    """The share folder of a package."""

    def find(self, package_name: str) -> str:
        return str(get_package_share_directory(package_name))
