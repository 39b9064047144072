"""Runs one lifecycle node in its own process, alone on a single-threaded executor."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress

import rclpy
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from vla_core.errors import VlaError
from vla_core.parameters import Parameter
from vla_policy.nodes.heartbeat import Heartbeat
from vla_policy.nodes.log_bridge import LogBridge
from vla_policy.nodes.stop_signals import StopSignals

AUTOSTART = Parameter(
    name="autostart",
    default=False,
    description="Configure and activate at start; the process exits with 1 if that fails.",
)

POLL_S = 0.1  # how soon a signal is noticed
QUIET_NS = 500_000  # before a tick no callback begins: it could last longer than is left
SPUN_NS = 200_000  # of these are waited without sleep: waking up takes up to that long
# How long a node that ends waits for its last message to arrive: a publisher takes with it what
# is still on the way.
FAREWELL = Duration(seconds=0.5)


class Supervised(LifecycleNode):
    """A lifecycle node that outlives its own faults, with a periodic tick if it wants one.

    A subclass says what each transition does; a ``VlaError`` fails the transition with one line in
    the log.
    """

    due_ns: int | None = None
    """Monotonic time of the next tick; None: no tick."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.entities: list[Callable[[], object]] = []
        """What undoes ``configure``, called in reverse order by ``cleanup``."""
        self.heartbeat = Heartbeat(self, self.label)

    def label(self) -> str:
        """The label of its lifecycle state."""
        return str(self._state_machine.current_state[1])  # rclpy has no public name for it

    @abstractmethod
    def configure(self) -> None:
        """Read the parameters, load, connect."""

    @abstractmethod
    def activate(self) -> None:
        """Start to work."""

    @abstractmethod
    def deactivate(self) -> None:
        """Stop to work, in order; nothing to do when inactive."""

    @abstractmethod
    def on_internal_error(self, error: Exception) -> None:
        """Called after an exception got out of a callback."""

    def tick(self, now_ns: int) -> None:
        """Called when ``due_ns`` has come; sets the next one."""

    def cleanup(self) -> None:
        """Undo ``configure``."""
        while self.entities:
            self.entities.pop()()

    def _shut_down(self) -> None:
        self.deactivate()
        self.cleanup()

    def on_configure(self, _state: LifecycleState) -> TransitionCallbackReturn:
        with StopSignals.at_once():  # loading a model can take long
            result = _guarded(self, "configure", self.configure)
        if result is not TransitionCallbackReturn.SUCCESS:
            self.cleanup()
        return result

    def on_activate(self, _state: LifecycleState) -> TransitionCallbackReturn:
        return _guarded(self, "activate", self.activate)

    def on_deactivate(self, _state: LifecycleState) -> TransitionCallbackReturn:
        return _guarded(self, "deactivate", self.deactivate)

    def on_cleanup(self, _state: LifecycleState) -> TransitionCallbackReturn:
        return _guarded(self, "cleanup", self.cleanup)

    def on_shutdown(self, _state: LifecycleState) -> TransitionCallbackReturn:
        return _guarded(self, "shutdown", self._shut_down)


def _guarded(node: Supervised, step: str, work: Callable[[], None]) -> TransitionCallbackReturn:
    """Run a transition's work; an error is logged and fails the transition."""
    node.heartbeat.beat(before_long_work=True)
    try:
        work()
    except VlaError as error:
        node.get_logger().error(f"{step}: {error}")
        return TransitionCallbackReturn.FAILURE
    except Exception:  # a fault of this program, which rclpy would pass over in silence
        node.get_logger().error(f"{step}: internal error\n{traceback.format_exc()}")
        return TransitionCallbackReturn.ERROR
    node.get_logger().info(f"{step}: done")
    return TransitionCallbackReturn.SUCCESS


def run(make_node: Callable[[], Supervised], args: list[str] | None) -> int:
    """Spin until SIGINT or SIGTERM, then deactivate, which stops the robot, and leave."""
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # of rcl, for arguments that it cannot parse
        print(f"cannot start: {error}", file=sys.stderr, flush=True)
        return 2
    try:
        node = make_node()
    except VlaError as error:
        print(error, file=sys.stderr, flush=True)
        rclpy.try_shutdown()
        return 2
    LogBridge.install(node.get_logger())
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if not node.get_parameter(AUTOSTART.name).value:
            node.heartbeat.end_when_hanging()
        elif not _bring_up(node):
            return 1
        stop = StopSignals()
        while not stop.requested:
            try:
                _spin(node, executor)
            except Exception as error:  # of a callback: the node counts it and changes its state
                traceback.print_exc()
                node.on_internal_error(error)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        StopSignals.ignore()
        with suppress(RuntimeError):  # of rclpy, when the node has been shut down already
            node.trigger_shutdown()
        node.heartbeat.destroy(FAREWELL)
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _spin(node: Supervised, executor: SingleThreadedExecutor) -> None:
    """One tick if it is due, then one callback if it comes before the next.

    rclpy's timers would pass through the same wait, but skip a whole period after a late tick.
    """
    wait_s = POLL_S
    if node.due_ns is not None:
        if node.due_ns - time.monotonic_ns() <= QUIET_NS:
            node.tick(_wait_until(node.due_ns))
        wait_s = (node.due_ns - QUIET_NS - time.monotonic_ns()) / 1e9
        wait_s = min(max(0.0, wait_s), POLL_S)
    executor.spin_once(timeout_sec=wait_s)


def _wait_until(due_ns: int) -> int:
    """Sleep, then spin; returns the monotonic time, which is not before ``due_ns``."""
    left_ns = due_ns - SPUN_NS - time.monotonic_ns()
    if left_ns > 0:
        time.sleep(left_ns / 1e9)
    while (now_ns := time.monotonic_ns()) < due_ns:
        pass
    return now_ns


def _bring_up(node: LifecycleNode) -> bool:
    return (
        node.trigger_configure() is TransitionCallbackReturn.SUCCESS
        and node.trigger_activate() is TransitionCallbackReturn.SUCCESS
    )
