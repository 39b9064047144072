"""Loggers of the launch: to the screen, and to files in a folder of its own per launch."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

_LAUNCH_SCREEN = "[{levelname}] [{name}]: {message}"
_LAUNCH_FILE = "{created:.7f} [{levelname}] [{name}]: {message}"

_OUTPUTS: dict[str, dict[str, set[str]]] = {
    "screen": {"both": {"screen"}},
    "log": {"both": {"log"}, "stderr": {"screen"}},
    "both": {"both": {"log", "screen"}},
    "own_log": {"both": {"own_log"}, "stdout": {"own_log"}, "stderr": {"own_log"}},
    "full": {
        "both": {"screen", "log", "own_log"},
        "stdout": {"own_log"},
        "stderr": {"own_log"},
    },
}


class _Screen(logging.Handler):
    """Writes to whatever sys.stdout is at that time."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(f"{self.format(record)}\n")  # in one piece: threads log too
            sys.stdout.flush()
        except OSError:
            self.handleError(record)


class LaunchConfig:
    """Where the log files are and how much is logged."""

    def __init__(self) -> None:
        self._log_dir: str | None = None
        self._handlers: dict[tuple[str, str], logging.Handler] = {}

    @property
    def level(self) -> int:
        """The lowest level that is logged."""
        return logging.root.getEffectiveLevel()

    @level.setter
    def level(self, new_level: int) -> None:
        logging.root.setLevel(new_level)

    @property
    def log_dir(self) -> str:
        """The folder of this launch, made when first asked for, also linked as ``latest``."""
        if self._log_dir is None:
            home = os.environ.get("ROS_HOME") or "~/.ros"
            base = Path(os.environ.get("ROS_LOG_DIR") or f"{home}/log").expanduser()
            started = datetime.now().strftime("%Y-%m-%d-%H-%M-%S-%f")
            log_dir = base / f"{started}-{socket.gethostname()}-{os.getpid()}"
            log_dir.mkdir(parents=True)
            self._log_dir = str(log_dir)
            self._link_latest(log_dir)
        return self._log_dir

    @log_dir.setter
    def log_dir(self, new_log_dir: str) -> None:
        if not os.path.isdir(new_log_dir):
            raise ValueError(f"{new_log_dir} is not a directory")
        self._log_dir = new_log_dir

    @staticmethod
    def _link_latest(log_dir: Path) -> None:
        latest = log_dir.parent / "latest"
        beside = log_dir.parent / f".latest-{os.getpid()}"
        if latest.is_symlink() or not latest.exists():
            beside.symlink_to(log_dir, target_is_directory=True)
            beside.replace(latest)  # in one step: launches may start at the same time

    def screen_handler(self, line_format: str) -> logging.Handler:
        """Return the one handler that writes to the screen in a format."""
        return self._handler("", line_format)

    def file_handler(self, file_name: str, line_format: str) -> logging.Handler:
        """Return the one handler that writes to a file of this launch in a format."""
        return self._handler(os.path.join(self.log_dir, file_name), line_format)

    def _handler(self, path: str, line_format: str) -> logging.Handler:
        if (path, line_format) not in self._handlers:
            handler = logging.FileHandler(path, encoding="utf-8") if path else _Screen()
            handler.setFormatter(logging.Formatter(line_format, style="{"))
            self._handlers[path, line_format] = handler
        return self._handlers[path, line_format]


launch_config = LaunchConfig()


def _logger(name: str | None, handlers: list[logging.Handler]) -> logging.Logger:
    logger = logging.getLogger(name)
    logger.propagate = False
    for handler in handlers:
        if handler not in logger.handlers:
            logger.addHandler(handler)
    return logger


def get_logger(name: str | None = None) -> logging.Logger:
    """Return a logger that writes to the screen and to ``launch.log``."""
    return _logger(
        name,
        [
            launch_config.screen_handler(_LAUNCH_SCREEN),
            launch_config.file_handler("launch.log", _LAUNCH_FILE),
        ],
    )


def get_output_loggers(
    process_name: str, output_config: str | Mapping[str, str | set[str]]
) -> tuple[logging.Logger, logging.Logger]:
    """Return the loggers of a process's stdout and stderr.

    Args:
        process_name: the process.
        output_config: screen, log (stderr also on the screen), both, own_log or full; or where
            stdout, stderr or both go: sets of screen, log and own_log.
    """
    wanted = _normalize(output_config)
    loggers = []
    for source in ("stdout", "stderr"):
        targets = wanted.get(source, set()) | wanted.get("both", set())
        handlers = []
        if "screen" in targets:
            handlers.append(launch_config.screen_handler("{message}"))
        if "log" in targets:
            handlers.append(launch_config.file_handler("launch.log", "{created:.7f} {message}"))
        for key, file_name in (
            (source, f"{process_name}-{source}.log"),
            ("both", f"{process_name}.log"),
        ):
            if "own_log" in wanted.get(key, set()):
                handlers.append(launch_config.file_handler(file_name, "{message}"))
        loggers.append(_logger(f"{process_name}-{source}", handlers))
    return loggers[0], loggers[1]


def _normalize(output_config: str | Mapping[str, str | set[str]]) -> dict[str, set[str]]:
    if isinstance(output_config, str):
        if output_config not in _OUTPUTS:
            raise ValueError(
                f"{output_config} is not a valid standard output config: {', '.join(_OUTPUTS)}"
            )
        return _OUTPUTS[output_config]
    wanted = {k: {v} if isinstance(v, str) else set(v) for k, v in output_config.items()}
    if unknown := set(wanted) - {"stdout", "stderr", "both"}:
        raise ValueError(f"{unknown} is not a valid output source: stdout, stderr or both")
    if unknown := set().union(*wanted.values()) - {"screen", "log", "own_log"}:
        raise ValueError(f"{unknown} is not a valid output destination: screen, log or own_log")
    return wanted


def log_launch_config(*, logger: logging.Logger = logging.root) -> None:
    """Say where the log files are and how much is logged."""
    logger.info("All log files can be found below %s", launch_config.log_dir)
    logger.info(
        "Default logging verbosity is set to %s", logging.getLevelName(launch_config.level)
    )
