"""Base of everything that happens while launching."""

from __future__ import annotations


class Event:
    """Something that happened, or a request; event handlers decide by its type and fields."""

    name = "launch.Event"
