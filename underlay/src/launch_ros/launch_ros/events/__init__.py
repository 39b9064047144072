"""Events of nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from launch.missing import explain_missing

from . import lifecycle

if TYPE_CHECKING:
    from ..actions import Node

__all__ = ["lifecycle", "matches_node_name"]
__getattr__ = explain_missing(__name__, __all__)


def matches_node_name(node_name: str) -> Callable[[Node], bool]:
    """Return a matcher of the nodes with a full name."""
    full_name = node_name if node_name.startswith("/") else f"/{node_name}"
    return lambda action: action.node_name == full_name
