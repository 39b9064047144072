"""What this underlay does not cover fails by its full name and says what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any


def explain_missing(module: str, covered: Iterable[str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module that covers just the names in `covered`."""
    known = ", ".join(sorted(covered))

    def getattr_of_module(name: str) -> Any:
        # An ImportError, because `from X import Y` replaces the text of an AttributeError. Dunder
        # names and submodules are probed by Python itself, which expects an AttributeError.
        if name.startswith("__") or _is_submodule(module, name):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise ImportError(
            f"{module}.{name} is not in this underlay (it covers {known}); install a full ROS 2"
        )

    return getattr_of_module


def _is_submodule(module: str, name: str) -> bool:
    return hasattr(sys.modules[module], "__path__") and find_spec(f"{module}.{name}") is not None
