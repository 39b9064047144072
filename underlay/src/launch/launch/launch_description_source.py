"""Where a launch description comes from."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from . import logging
from .launch_context import LaunchContext
from .substitution import SomeSubstitutionsType
from .utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from .launch_description import LaunchDescription


class LaunchDescriptionSource:
    """A launch description that is given, or is read from a location when it is asked for."""

    def __init__(
        self,
        launch_description: LaunchDescription | None = None,
        location: SomeSubstitutionsType = "<string>",
        method: str = "unspecified mechanism from a script",
    ) -> None:
        self._launch_description = launch_description
        self._location = normalize_to_list_of_substitutions(location)
        self._expanded_location: str | None = None
        self.method = method

    @property
    def location(self) -> str:
        """Where it is."""
        if self._expanded_location is None:
            return " + ".join(sub.describe() for sub in self._location)
        return self._expanded_location

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        """Return it, read at the first call."""
        if self._expanded_location is None:
            self._expanded_location = perform_substitutions(context, self._location)
        if self._launch_description is None:
            self._launch_description = self._get_launch_description(self._expanded_location)
        return self._launch_description

    def try_get_launch_description_without_context(self) -> LaunchDescription | None:
        """Return it if that can be done before launching, to describe it; else None."""
        if self._launch_description is not None:
            return self._launch_description
        try:
            return self._get_launch_description(
                perform_substitutions(LaunchContext(), self._location)
            )
        except Exception:  # a launch file may do anything, and may need what is not known yet
            logging.get_logger(__name__).debug("not described:\n%s", traceback.format_exc())
            return None

    def _get_launch_description(self, location: str) -> LaunchDescription:
        raise RuntimeError(f"launch description source '{location}' has no launch description")
