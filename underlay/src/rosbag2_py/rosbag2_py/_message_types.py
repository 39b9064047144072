"""Message classes by the name that a topic's type has."""

from __future__ import annotations

import importlib
from typing import Any


def message_type(name: str) -> Any:
    """Return the class of ``package/msg/Name``; raise LookupError where it is not installed."""
    package, _, rest = name.partition("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), rest.removeprefix("msg/"))
    except (AttributeError, ModuleNotFoundError, ValueError) as error:
        raise LookupError(f"type {name!r} is not installed: {error}") from error
