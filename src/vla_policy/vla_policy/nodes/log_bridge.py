"""What the packages without ROS log, in the log of the node that they work for."""

from __future__ import annotations

import logging
from typing import Any

PACKAGES = ("vla_core", "vla_policy", "vla_recorder")


class LogBridge(logging.Handler):
    """Hands records of Python's logging to a ROS logger.

    Args:
        logger: Of a node.
    """

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    @classmethod
    def install(cls, logger: Any) -> None:
        """Take over what the packages log from now on; of several nodes the last one does."""
        for name in PACKAGES:
            package = logging.getLogger(name)
            package.handlers = [cls(logger)]
            package.setLevel(logging.INFO)
            package.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        # rclpy remembers one severity for each line that it is called from.
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)
