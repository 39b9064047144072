"""What this underlay does not cover fails by its full name and says what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def explain_missing(module: str, covered: Iterable[str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module that covers just the names in `covered`."""
    known = ", ".join(sorted(covered))

    def getattr_of_module(name: str) -> Any:
        # Classes fail with an ImportError, because `from X import Y` replaces the text of an
        # AttributeError. Other names are only probed: dunders, submodules, load_tests.
        if not name[0].isupper():
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise ImportError(
            f"{module}.{name} is not in this underlay (it covers {known}); install a full ROS 2"
        )

    return getattr_of_module
