"""A place before all ordinary processes, so that computing elsewhere does not delay commands."""

from __future__ import annotations

import os

from vla_core.errors import ParameterError

PRIORITY = 20  # of 1..99: above ordinary processes, below interrupts and motor drivers (50)


def pin_to(cpus: str) -> None:
    """Let this process run on some cores alone: a list such as ``2,3``; empty: on all.

    Raises:
        ParameterError: There is no such core.
    """
    if not cpus:
        return
    try:
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    except (ValueError, OverflowError, OSError) as error:
        raise ParameterError(
            "no such cores",
            where="cpus",
            found=cpus,
            allowed=f"a list of {','.join(map(str, sorted(os.sched_getaffinity(0))))}",
        ) from error


def prefer_this_process() -> str | None:
    """Put all threads of this process, and those they start later, under SCHED_FIFO.

    Returns:
        None when done, else why not and what allows it.
    """
    try:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError as error:  # not permitted, or not Linux
        return (
            f"no real-time priority: {error}; on a busy machine commands will be late;"
            f" allow it with `- rtprio {PRIORITY}` for your user in /etc/security/limits.conf,"
            f" or for a container with --ulimit rtprio={PRIORITY}"
        )
    return None
