"""Processes are started, shown, stopped and restarted; none outlives the launcher."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from launching import Launch

Start = Callable[..., Launch]

OBEDIENT = """
def child(name):
    return python(
        "import time\\ntry:\\n  print('ready')\\n  time.sleep(60)\\n"
        "except KeyboardInterrupt: print('got SIGINT')", name=name)
"""
IGNORE = """
def ignoring(name, *signals, **options):
    return python("import signal, time\\n" + "".join(
        f"signal.signal({int(s)}, signal.SIG_IGN)\\n" for s in signals) +
        "print('ready')\\ntime.sleep(60)", name=name, **options)
import signal
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 1)])
def test_a_signal_to_the_launcher_stops_every_child_in_order(
    launched: Start, number: signal.Signals, code: int
) -> None:
    launch = launched(OBEDIENT + "yield child('a')\nyield child('b')\n")
    launch.wait_for("ready", 2)
    launch.send(number)
    assert launch.finish() == code
    assert sum(line.endswith("] got SIGINT") for line in launch.lines) == 2
    assert launch.output.count("process has finished cleanly") == 2
    assert launch.running() == []


def test_what_ignores_sigint_gets_sigterm_then_sigkill(launched: Start) -> None:
    launch = launched(
        IGNORE + "times = dict(sigterm_timeout='0.3', sigkill_timeout='0.3')\n"
        "yield ignoring('deaf', signal.SIGINT, **times)\n"
        "yield ignoring('dead', signal.SIGINT, signal.SIGTERM, **times)\n"
    )
    launch.wait_for("ready", 2)
    launch.send(signal.SIGINT)
    assert launch.finish() == 0
    assert "process[deaf-1] failed to terminate '0.3' seconds after receiving 'SIGINT', " in (
        launch.output
    )
    assert "escalating to 'SIGKILL'" in launch.output
    assert "[ERROR] [deaf-1]: process has died [pid" in launch.output
    assert "exit code -15" in launch.output
    assert "exit code -9" in launch.output
    assert launch.running() == []


def test_children_end_when_the_launcher_is_killed(launched: Start) -> None:
    launch = launched(
        'yield python("import signal, time\\n'
        "signal.signal(signal.SIGTERM, lambda *a: (print('told'), exit()))\\n"
        "print('ready')\\ntime.sleep(60)\")\n"
    )
    launch.wait_for("ready")
    (child,) = launch.running()
    launch.send(signal.SIGKILL)
    assert launch.finish() == -signal.SIGKILL
    while child in launch.running():  # the test run's timeout is the limit
        pass


def test_a_crash_is_reported_and_the_launch_itself_succeeds(launched: Start) -> None:
    launch = launched(
        "yield python(\"import sys; print('out'); print('bad', file=sys.stderr); exit(3)\")\n"
    )
    assert launch.finish() == 0
    assert "[child-1] out" in launch.lines
    assert "[child-1] bad" in launch.lines
    (died,) = (line for line in launch.lines if "process has died" in line)
    assert died.startswith("[ERROR] [child-1]: process has died [pid ")
    assert ", exit code 3, cmd '" in died


def test_an_executable_that_does_not_exist_is_reported(launched: Start) -> None:
    launch = launched("yield ExecuteProcess(cmd=['/nowhere/exe'])\n")
    assert launch.finish() == 0
    assert "[ERROR] [exe-1]: exception occurred while executing process:" in launch.lines
    assert "No such file or directory: '/nowhere/exe'" in launch.output


def test_output_log_shows_stderr_and_files_all(launched: Start, tmp_path: Path) -> None:
    launch = launched(
        "yield python(\"import sys; print('quiet'); print('loud', file=sys.stderr)\",\n"
        "    output='log')\n"
    )
    assert launch.finish() == 0
    assert "[child-1] loud" in launch.lines
    assert "[child-1] quiet" not in launch.output
    log = (tmp_path / "log/latest/launch.log").read_text()
    assert "[child-1] loud" in log
    assert "[child-1] quiet" in log
    assert "process has finished cleanly" in log


def test_the_last_line_without_newline_and_long_lines_are_shown(launched: Start) -> None:
    launch = launched("yield python(\"print('x' * 200000 + '!', end='')\")\n")
    assert launch.finish() == 0
    assert "[child-1] " + "x" * 200000 + "!" in launch.lines


@pytest.mark.parametrize(("emulate_tty", "seen"), [(True, "True True"), (False, "False False")])
def test_emulate_tty_gives_a_terminal(launched: Start, emulate_tty: bool, seen: str) -> None:
    code = "import sys; print(sys.stdout.isatty(), sys.stderr.isatty())"
    launch = launched(f'yield python("{code}", emulate_tty={emulate_tty})\n')
    assert launch.finish() == 0
    assert f"[child-1] {seen}" in launch.lines


def test_respawn_starts_again_until_the_limit(launched: Start) -> None:
    launch = launched("yield python('exit(1)', respawn=True, respawn_max_retries=2)\n")
    assert launch.finish() == 0
    assert launch.output.count("process started with pid") == 3


def test_shutting_down_ends_the_wait_before_a_respawn(launched: Start) -> None:
    launch = launched("yield python('exit(1)', respawn=True, respawn_delay=60.0)\n")
    launch.wait_for("process has died")
    launch.send(signal.SIGINT)
    assert launch.finish() == 0
    assert launch.output.count("process started with pid") == 1


def test_an_exception_stops_the_launch_and_its_children(launched: Start) -> None:
    launch = launched(
        "def boom(context): raise ValueError('boom')\n"
        "p = python('import time; time.sleep(60)')\n"
        "yield p\n"
        "yield RegisterEventHandler(OnProcessStart(\n"
        "    target_action=p, on_start=[OpaqueFunction(function=boom)]))\n"
    )
    assert launch.finish() == 1
    assert "Caught exception in launch (see debug for traceback): boom" in launch.output
    assert re.search(r"exit code (-2|1),", launch.output)  # 1: Python itself was still starting
    assert launch.running() == []


def test_events_stop_and_signal_one_process_and_on_exit_ends_the_launch(launched: Start) -> None:
    launch = launched(
        "import signal\n"
        "from launch.events.process import ShutdownProcess, SignalProcess\n"
        "a, b = (python(\"import time; print('ready'); time.sleep(60)\", name=n) for n in 'ab')\n"
        "yield RegisterEventHandler(OnProcessStart(target_action=a, on_start=EmitEvent(\n"
        "    event=ShutdownProcess(process_matcher=matches_action(a)))))\n"
        "yield RegisterEventHandler(OnProcessExit(target_action=a, on_exit=[EmitEvent(\n"
        "    event=SignalProcess(signal_number=signal.SIGUSR1,"
        " process_matcher=matches_action(b)))]))\n"
        "yield RegisterEventHandler(OnProcessExit(target_action=b, on_exit=lambda event, _:\n"
        "    [LogInfo(msg=f'{event.process_name} gave {event.returncode}'), Shutdown()]))\n"
        "yield RegisterEventHandler(OnShutdown(on_shutdown=[LogInfo(msg='closing')]))\n"
        "yield from (a, b)\n"
        "yield python('import time; time.sleep(60)', name='c')\n"
    )
    assert launch.finish() == 0
    assert "[INFO] [launch.user]: b-2 gave -10" in launch.lines
    assert "[INFO] [launch]: process[b-2] was required: shutting down launched system" in (
        launch.lines
    )
    assert "[INFO] [launch.user]: closing" in launch.lines
    assert launch.running() == []


def test_timers_fire_once_and_are_cancelled_by_shutting_down(launched: Start) -> None:
    launch = launched(
        "yield TimerAction(period=0.1, actions=[LogInfo(msg='fired'), Shutdown()])\n"
        "yield TimerAction(period=60.0, actions=[LogInfo(msg='never')])\n"
    )
    assert launch.finish() == 0
    assert launch.output.count("fired") == 1
    assert "never" not in launch.output
