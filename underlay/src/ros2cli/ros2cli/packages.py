"""Packages and their executables, found through the ament index."""

from __future__ import annotations

import os
from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_packages_with_prefixes,
)


def package_names() -> list[str]:
    """Return the names of all packages, sorted."""
    return sorted(get_packages_with_prefixes())


def executables(package: str) -> list[Path]:
    """Return the executables of a package, sorted.

    Raises:
        RuntimeError: there is no such package.
    """
    try:
        folder = Path(get_package_prefix(package)) / "lib" / package
    except (PackageNotFoundError, ValueError) as error:
        raise RuntimeError(f"Package '{package}' not found") from error
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and os.access(path, os.X_OK)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts[:-1])
    )
