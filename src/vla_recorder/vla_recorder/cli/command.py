"""What the commands of this package share: their exit codes and how they report errors."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from vla_core.errors import VlaError

DONE, FAILED, USAGE, LOSS, INTERRUPTED = 0, 1, 2, 3, 130


def outcome(command: str, work: Callable[[], int]) -> int:
    """Runs a command's work; what goes wrong on purpose is one line on stderr and exit code 1.

    Args:
        command: Its name, which starts every line.
        work: Returns the exit code: `DONE`, `FAILED`, or `LOSS` when something is missing in
            what was made.
    """
    logging.basicConfig(level=logging.INFO, format=f"{command}: %(message)s", stream=sys.stderr)
    try:
        return work()
    except (VlaError, OSError) as error:
        print(f"{command}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
