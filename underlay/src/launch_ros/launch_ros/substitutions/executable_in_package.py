"""The path of an executable of a package."""

from __future__ import annotations

import os
import shutil

from launch import LaunchContext, SomeSubstitutionsType
from launch.substitutions import SubstitutionFailure
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

from .find_package import FindPackagePrefix


class ExecutableInPackage(FindPackagePrefix):
    """An executable in ``lib/<package>`` of the package."""

    def __init__(self, executable: SomeSubstitutionsType, package: SomeSubstitutionsType) -> None:
        super().__init__(package)
        self.executable = normalize_to_list_of_substitutions(executable)

    def describe(self) -> str:
        executable = " + ".join(sub.describe() for sub in self.executable)
        return f"{super().describe()[:-1]}, exec={executable})"

    def perform(self, context: LaunchContext) -> str:
        package = perform_substitutions(context, self.package)
        executable = perform_substitutions(context, self.executable)
        prefix = super().perform(context)
        libexec = os.path.join(prefix, "lib", package)
        if not os.path.exists(libexec):
            raise SubstitutionFailure(
                f"package '{package}' found at '{prefix}', but libexec directory '{libexec}' "
                "does not exist"
            )
        found = shutil.which(executable, path=libexec)
        if found is None:
            raise SubstitutionFailure(
                f"executable '{executable}' not found on the libexec directory '{libexec}' "
            )
        return found
