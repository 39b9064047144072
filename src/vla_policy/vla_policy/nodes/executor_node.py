"""executor_node: action chunks in, limited commands out, by time, at a fixed rate."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSProfile
from trajectory_msgs.msg import JointTrajectory

from vla_core.chunk import MAX_STEPS, decode_chunk
from vla_core.contract import Contract, load_contract
from vla_core.errors import ChunkError, CodecError
from vla_core.execution import Execution, State
from vla_core.observation import read_stream
from vla_core.pacing import Pacing
from vla_core.safety import Limits
from vla_core.sampling import Sample
from vla_core.strategies import StrategySettings, make_strategy
from vla_policy.nodes.command_output import CommandOutput
from vla_policy.nodes.diagnostics import Diagnostics, Level, status
from vla_policy.nodes.executor_services import ExecutorServices
from vla_policy.nodes.lifecycle import FAREWELL, Supervised, run
from vla_policy.nodes.messages import Input, deserialized, reception
from vla_policy.nodes.node_parameters import EXECUTOR_NODE
from vla_policy.nodes.people_inputs import PeopleInputs
from vla_policy.nodes.realtime import pin_to, prefer_this_process
from vla_policy.nodes.ros_parameters import declare, read

MAX_CHUNK_BYTES = 256 * 1024  # judged before a message is read, which a large one delays
_LEVELS = {
    State.INACTIVE: Level.WARN,
    State.HOLDING: Level.WARN,
    State.RUNNING: Level.OK,
    State.DRY_RUN: Level.OK,
    State.RAMPING: Level.WARN,
    State.LATCHED: Level.ERROR,
}


class ExecutorNode(Supervised):
    """The only node that commands the robot. Imports no torch; runs in its own process."""

    def __init__(self) -> None:
        super().__init__("executor_node")
        declare(self, EXECUTOR_NODE)
        self._state = State.INACTIVE
        self._before: Execution | None = None
        self._shown: tuple[object, ...] = ()

    def configure(self) -> None:
        values = read(self, EXECUTOR_NODE)
        self._contract: Contract = load_contract(str(values["contract"]))
        self._period_ns = round(1e9 / self._contract.control_rate_hz)
        self._strategy_name = str(values["strategy"])
        self._strategy_settings = StrategySettings(
            blend_s=float(values["blend_s"]), execute_steps=int(values["execute_steps"])
        )
        self._execution = self._new_execution()
        self._shown = ()
        pin_to(str(values["cpus"]))
        refusal = prefer_this_process()
        self._is_realtime = refusal is None
        if refusal is not None:
            self.get_logger().warning(refusal)
        self._connect()
        self._show(State.INACTIVE, "configured")

    def _new_execution(self) -> Execution:
        """What people have asked for stays as long as the process lives, and so do the counts."""
        strategy = make_strategy(
            self._strategy_name, Limits.of(self._contract), self._strategy_settings
        )
        execution = Execution(self._contract, strategy)
        if self._before is None:
            execution.dry_run = bool(self.get_parameter("dry_run").value)
        else:
            execution.succeed(self._before)
        execution.speed = self._speed()
        self._before = execution
        return execution

    def _begin_anew(self) -> None:
        self._execution = self._new_execution()
        self._people.interlocks = self._execution.interlocks
        self._requests.execution = self._execution

    def _speed(self) -> float:
        return float(self.get_parameter("speed_percent").value) / 100

    def _connect(self) -> None:
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._status = self.create_publisher(DiagnosticStatus, "~/status", latched)
        self.entities.append(partial(self.destroy_publisher, self._status))
        self._output = CommandOutput(self, self._contract)
        self.entities.append(self._output.destroy)
        self._inputs: dict[str, Input] = {}
        for stream in self._contract.streams:
            if stream.name in self._execution.streams:
                self._inputs[stream.name] = Input(
                    self, stream, partial(self._measure, stream.name), partial(read_stream, stream)
                )
                self.entities.append(self._inputs[stream.name].destroy)
        self._people = PeopleInputs(self, self._contract.safety, self._execution.interlocks)
        self.entities.append(self._people.destroy)
        chunks = self.create_subscription(
            JointTrajectory, "action_chunk", self._on_chunk, QoSProfile(depth=1), raw=True
        )
        self._requests = ExecutorServices(self, self._execution, lambda: self._state)
        company = self.create_timer(1.0, self._refuse_company)
        self.entities += [
            partial(self.destroy_subscription, chunks),
            self._requests.destroy,
            partial(self.destroy_timer, company),
            Diagnostics(self, self._diagnose).destroy,
        ]

    def _measure(self, name: str, sample: Sample[Mapping[str, float]]) -> None:
        self._execution.measure(name, sample)

    def activate(self) -> None:
        self._begin_anew()
        gc.unfreeze()
        gc.collect()
        gc.freeze()  # what lives now lives on: later collections, and so pauses, stay short
        self._pacing = Pacing(period_ns=self._period_ns, start_ns=time.monotonic_ns())
        self.due_ns = self._pacing.due_ns

    def deactivate(self) -> None:
        if self.due_ns is None:
            return
        self.due_ns = None
        self._brake()
        self._show(State.INACTIVE, "deactivated")
        self._status.wait_for_all_acked(FAREWELL)

    def _brake(self) -> None:
        """Bring the robot to rest within the limits before leaving."""
        self._execution.leave()
        while True:  # at the acceleration limit, which no contract sets to zero
            tick = self._execution.tick(self._now_ns(), time.monotonic_ns())
            if tick.command is None:
                return
            if not self._execution.dry_run:
                self._output.publish(tick.command)
            time.sleep(self._period_ns / 1e9)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def tick(self, now_ns: int) -> None:
        """One control tick."""
        self._pacing.tick(now_ns)
        self.due_ns = self._pacing.due_ns
        self._execution.speed = self._speed()
        tick = self._execution.tick(self._now_ns(), now_ns)
        if tick.command is not None and not self._execution.dry_run:
            self._output.publish(tick.command)
            # where the machine held this process up in the middle of a tick
            self.due_ns = max(self.due_ns, time.monotonic_ns() + self._period_ns // 2)
        if tick.chunk_age_ns is not None:
            self._pacing.note_age(tick.chunk_age_ns)
        self._show(tick.state, tick.cause)

    def _show(self, state: State, cause: str) -> None:
        """Publish ~/status when something changes (figures in a cause do not count)."""
        execution = self._execution
        facts = {
            "dry_run": execution.dry_run,
            "takeover": execution.is_taken_over,
            "speed_percent": round(execution.speed * 100, 3),
        }
        key = (state, "".join(c for c in cause if not c.isdigit()), *facts.values())
        if key == self._shown:
            return
        self._shown, self._state = key, state
        if _LEVELS[state] is Level.OK:
            self.get_logger().info(f"state={state.value}")
        else:
            self.get_logger().warning(f"state={state.value} cause={cause}")
        values = {"cause": cause, **facts}
        self._status.publish(status(self, _LEVELS[state], state.value, values))

    def _refuse_company(self) -> None:
        company = self._output.company(self._people.drivers)
        if company is not None and self.due_ns is not None:
            self._execution.latch(company)

    def _on_chunk(self, serialized: bytes) -> None:
        self._refuse_company()
        try:
            if len(serialized) > MAX_CHUNK_BYTES:
                raise ChunkError(
                    "the message is too large",
                    found=f"{len(serialized)} bytes",
                    allowed=f"{MAX_CHUNK_BYTES} bytes, {MAX_STEPS} actions",
                )
            message = deserialized(serialized, JointTrajectory, where="action_chunk")
            chunk = decode_chunk(message, self._contract.action_names)
        except (ChunkError, CodecError) as error:
            self._execution.counts.update(("chunks_received", "chunks_refused"))
            self._report(error)
            return
        try:
            self._execution.accept(chunk, self._now_ns())
        except ChunkError as error:
            self._report(error)

    def _report(self, error: ChunkError | CodecError) -> None:
        self._execution.counts[f"refused: {error.what}"] += 1
        self.get_logger().warning(f"chunk refused: {error}", throttle_duration_sec=1.0)

    def on_internal_error(self, error: Exception) -> None:
        """A fault of this program: stop, and stay stopped."""
        self._execution.counts["internal_errors"] += 1
        self._execution.latch(f"internal error: {type(error).__name__}: {error}")

    def _diagnose(self) -> Any:
        values: dict[str, object] = {**self._execution.counts, **self._people.counts}
        values |= reception(self._inputs)
        if self.due_ns is not None:
            values |= self._pacing.figures()
        values["realtime"] = self._is_realtime
        values["dry_run"] = self._execution.dry_run
        return status(self, _LEVELS[self._state], self._state.value, values)


def main(args: list[str] | None = None) -> int:
    """Entry point of ``ros2 run vla_policy executor_node``."""
    return run(ExecutorNode, args)
