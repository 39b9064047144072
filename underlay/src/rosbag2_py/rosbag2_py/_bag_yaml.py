"""YAML that bags hold; a bag may be anybody's."""

from __future__ import annotations

from typing import Any

import yaml

MAX_CHARACTERS = 4 << 20
MAX_DEPTH = 32  # rosbag2 nests 7 deep

DAMAGED = (
    yaml.YAMLError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What a text that rosbag2 has not written raises while it is read and taken apart."""


class _Loader(yaml.SafeLoader):
    """Refuses what makes a small text expensive, which rosbag2 never writes."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"aliases are not allowed\n{self.peek_event().start_mark}")
        if self._depth >= MAX_DEPTH:
            raise yaml.YAMLError(f"nested deeper than {MAX_DEPTH}\n{self.peek_event().start_mark}")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def load(text: str) -> Any:
    """Return what the text holds; raise one of DAMAGED."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{len(text)} characters; allowed: {MAX_CHARACTERS}")
    return yaml.load(text, Loader=_Loader)
