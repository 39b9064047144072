"""Running a process: start it, show its output, stop it, start it again when it died."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import shlex
import signal
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .. import logging
from ..action import Action
from ..child_process import ChildProcess
from ..condition import Condition
from ..conditions import evaluate_condition_expression
from ..event_handler import EventHandler
from ..event_handlers import OnProcessExit, Reaction
from ..events import Shutdown
from ..events.process import ProcessExited, ProcessStarted, ShutdownProcess, SignalProcess
from ..launch_description_entity import LaunchDescriptionEntity
from ..substitution import SomeSubstitutionsType, Substitution
from ..substitutions import LaunchConfiguration
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions
from ..utilities.type_utils import normalize_typed_substitution, perform_typed_substitution
from .opaque_function import OpaqueFunction

if TYPE_CHECKING:
    from ..launch_context import LaunchContext

Environment = dict[SomeSubstitutionsType, SomeSubstitutionsType]
Output = SomeSubstitutionsType | dict[str, Any]
_REQUESTS = (Shutdown, ShutdownProcess, SignalProcess)
_SIGTERM_TIMEOUT = LaunchConfiguration("sigterm_timeout", default=5)
_SIGKILL_TIMEOUT = LaunchConfiguration("sigkill_timeout", default=5)
_process_numbers = itertools.count(1)


class ExecuteProcess(Action):
    """Runs a process until it ends or the launch shuts down.

    Args:
        cmd: the executable and its arguments.
        prefix: a command to put before `cmd` (default: launch configuration launch-prefix).
        name: the label of the process (default: the name of the executable); a number is added.
        cwd: the folder to run in.
        env: the whole environment (default: the launch's).
        additional_env: what to add to the environment.
        shell: whether a shell runs `cmd`.
        sigterm_timeout: seconds from SIGINT to SIGTERM when it is stopped.
        sigkill_timeout: seconds from SIGTERM to SIGKILL.
        emulate_tty: whether the process is to believe that it writes to a terminal.
        output: screen, log, both, own_log, full or a dictionary: see `launch.logging`.
        log_cmd: whether to log the command before it starts.
        on_exit: entities, or a function of event and context, for when it has exited.
        respawn: whether to start it again whenever it has ended.
        respawn_delay: seconds to wait before it is started again.
        respawn_max_retries: how often it is started again; negative: without limit.
        condition: the condition under which it runs.
    """

    def __init__(
        self,
        *,
        cmd: Iterable[SomeSubstitutionsType],
        prefix: SomeSubstitutionsType | None = None,
        name: SomeSubstitutionsType | None = None,
        cwd: SomeSubstitutionsType | None = None,
        env: Environment | None = None,
        additional_env: Environment | None = None,
        shell: bool = False,
        sigterm_timeout: SomeSubstitutionsType = _SIGTERM_TIMEOUT,
        sigkill_timeout: SomeSubstitutionsType = _SIGKILL_TIMEOUT,
        emulate_tty: bool = False,
        output: Output = "log",
        log_cmd: bool = False,
        on_exit: Reaction | None = None,
        respawn: bool | SomeSubstitutionsType = False,
        respawn_delay: float | None = None,
        respawn_max_retries: int = -1,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self._cmd = [normalize_to_list_of_substitutions(part) for part in cmd]
        self._prefix = prefix
        self._name = name
        self._cwd = cwd
        self._env = env
        self._additional_env = additional_env or {}
        self._shell = shell
        self._timeouts = (
            (signal.SIGTERM, normalize_to_list_of_substitutions(sigterm_timeout)),
            (signal.SIGKILL, normalize_to_list_of_substitutions(sigkill_timeout)),
        )
        self._emulate_tty = emulate_tty
        self._output = os.environ.get("OVERRIDE_LAUNCH_PROCESS_OUTPUT", output)
        self._log_cmd = log_cmd
        self._on_exit = on_exit
        self._respawn = normalize_typed_substitution(respawn, bool)
        self._respawn_delay = respawn_delay or 0.0
        self._respawn_max_retries = respawn_max_retries
        self._stop_asked = asyncio.Event()
        self._stop_with_sigint = True
        self._details: dict[str, Any] | None = None
        self._child: ChildProcess | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def cmd(self) -> list[list[Substitution]] | list[str]:
        """The command: as given, or, once it has started, as it is."""
        return self._details["cmd"] if self._details else self._cmd

    @property
    def name(self) -> str | None:
        """The label of the process with its number, once it has started."""
        return self._details["name"] if self._details else None

    @property
    def process_details(self) -> dict[str, Any] | None:
        """Name, cmd, cwd, env and pid, once it has started."""
        return self._details

    @property
    def return_code(self) -> int | None:
        """The return code of the process that has ended last, -N for signal N."""
        exited = self._child is not None and self._child.exited.done()
        return self._child.exited.result() if exited and self._child else None

    def describe(self) -> str:
        parts = (" + ".join(sub.describe() for sub in part) for part in self._cmd)
        return f"{super().describe()}(cmd=[{', '.join(parts)}])"

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return list(self._on_exit) if isinstance(self._on_exit, (list, tuple)) else []

    def get_asyncio_future(self) -> asyncio.Future[None] | None:
        return self._task

    def execute(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity] | None:
        if self._details is not None:
            raise RuntimeError(f"ExecuteProcess action '{self.name}': executed more than once")
        self._details = self._prepare(context)
        if context.is_shutdown:
            return None
        output = self._output
        if not isinstance(output, dict):
            output = perform_substitutions(context, normalize_to_list_of_substitutions(output))
        self._logger = logging.get_logger(self._details["name"])
        self._output_loggers = logging.get_output_loggers(self._details["name"], output)
        self._seconds = [
            (number, perform_typed_substitution(context, seconds, float))
            for number, seconds in self._timeouts
        ]
        context.register_event_handler(
            EventHandler(
                matcher=lambda event: isinstance(event, _REQUESTS),
                entities=OpaqueFunction(function=self._on_request),
            )
        )
        context.register_event_handler(OnProcessExit(target_action=self, on_exit=self._on_exit))
        assert context.asyncio_loop is not None
        self._task = context.asyncio_loop.create_task(self._run(context))
        return None

    def _prepare(self, context: LaunchContext) -> dict[str, Any]:
        def text(subs: SomeSubstitutionsType) -> str:
            return perform_substitutions(context, normalize_to_list_of_substitutions(subs))

        def texts(env: Environment) -> dict[str, str]:
            return {text(key): text(value) for key, value in env.items()}

        cmd = self._make_cmd(context)
        configured = context.launch_configurations
        if self._prefix is not None:
            cmd = shlex.split(text(self._prefix)) + cmd
        elif re.match(configured.get("launch-prefix-filter", ""), os.path.basename(cmd[0])):
            cmd = shlex.split(configured.get("launch-prefix", "")) + cmd
        name = os.path.basename(cmd[0]) if self._name is None else text(self._name)
        env = dict(context.environment) if self._env is None else texts(self._env)
        return {
            "action": self,
            "name": f"{name}-{next(_process_numbers)}",
            "cmd": cmd,
            "cwd": None if self._cwd is None else text(self._cwd),
            "env": env | texts(self._additional_env),
        }

    def _make_cmd(self, context: LaunchContext) -> list[str]:
        """Return the command as it is to run."""
        return [perform_substitutions(context, part) for part in self._cmd]

    async def _run(self, context: LaunchContext) -> None:
        respawn = perform_typed_substitution(context, self._respawn, bool)
        for retry in itertools.count():
            if self._stop_asked.is_set() or not await self._run_once(context):
                return
            if not respawn or 0 <= self._respawn_max_retries <= retry:
                return
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop_asked.wait(), self._respawn_delay)

    async def _run_once(self, context: LaunchContext) -> bool:
        """Run the process to its end; return False if it could not be started."""
        assert self._details is not None
        details, cmd = self._details, " ".join(p for p in self._details["cmd"] if p.strip())
        if self._log_cmd:
            self._logger.info("process details: cmd='%s', cwd='%s'", cmd, details["cwd"])
        try:
            self._child = child = await self._start(context)
        except OSError as error:
            self._logger.error(f"exception occurred while executing process:\n{error}")
            return False
        stopper = asyncio.create_task(self._stop_when_asked(child))
        returncode = await child.wait()
        stopper.cancel()
        if returncode == 0:
            self._logger.info(f"process has finished cleanly [pid {details['pid']}]")
        else:
            self._logger.error(
                f"process has died [pid {details['pid']}, exit code {returncode}, cmd '{cmd}']."
            )
        context.emit_event_sync(ProcessExited(returncode=returncode, **details))
        return True

    async def _start(self, context: LaunchContext) -> ChildProcess:
        assert self._details is not None
        emulate_tty = self._emulate_tty
        if "emulate_tty" in context.launch_configurations:
            emulate_tty = evaluate_condition_expression(
                context, [LaunchConfiguration("emulate_tty")]
            )
        details, name = self._details, self._details["name"]
        stdout, stderr = self._output_loggers

        def on_start(pid: int) -> None:
            details["pid"] = pid
            self._logger.info(f"process started with pid [{pid}]")
            context.emit_event_sync(ProcessStarted(**details))

        return await ChildProcess.start(
            details["cmd"],
            cwd=details["cwd"],
            env=details["env"],
            shell=self._shell,
            emulate_tty=emulate_tty,
            on_start=on_start,
            on_stdout=lambda line: stdout.info("[%s] %s", name, line),
            on_stderr=lambda line: stderr.info("[%s] %s", name, line),
        )

    def _on_request(self, context: LaunchContext) -> None:
        event = context.locals.event
        if isinstance(event, Shutdown):
            # Ctrl-C in a terminal has reached the child as well: a second SIGINT would cut its
            # shutting down short.
            self._stop(not event.due_to_sigint or context.noninteractive)
        elif event.process_matcher(self):
            if isinstance(event, ShutdownProcess):
                self._stop(True)
            elif self._child is not None:
                self._signal(self._child, event.signal)

    def _stop(self, with_sigint: bool) -> None:
        if not self._stop_asked.is_set():
            self._stop_with_sigint = with_sigint
            self._stop_asked.set()

    async def _stop_when_asked(self, child: ChildProcess) -> None:
        await self._stop_asked.wait()
        if self._stop_with_sigint:
            self._signal(child, signal.SIGINT)
        sent = signal.SIGINT
        for number, seconds in self._seconds:
            await asyncio.sleep(seconds)
            self._logger.error(
                f"process[{self.name}] failed to terminate '{seconds:g}' seconds after receiving "
                f"'{sent.name}', escalating to '{number.name}'"
            )
            self._signal(child, number)
            sent = number

    def _signal(self, child: ChildProcess, number: signal.Signals) -> None:
        if not child.exited.done():
            self._logger.info(f"sending signal '{number.name}' to process[{self.name}]")
            child.send_signal(number)
