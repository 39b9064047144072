"""policy_node: observations in, stamped action chunks out. It may stall or die."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_core.chunk import ActionChunk, encode_chunk
from vla_core.continuation import Continuation
from vla_core.contract import Camera, Contract, Stream, load_contract
from vla_core.errors import CodecError, PolicyError, SampleError
from vla_core.observation import build_observation, read_stream
from vla_core.parameters import Value
from vla_core.rtc import Rtc, RtcMode, Schedule
from vla_core.sampling import Sample, StreamBuffer, select
from vla_core.types import FloatArray
from vla_policy import recipes
from vla_policy.nodes.diagnostics import Diagnostics, Level, status
from vla_policy.nodes.inference_worker import InferenceWorker, Request
from vla_policy.nodes.lifecycle import FAREWELL, Supervised, run
from vla_policy.nodes.messages import Input, reception
from vla_policy.nodes.node_parameters import POLICY_NODE
from vla_policy.nodes.ros_parameters import declare, read
from vla_policy.policies.inputs_log import InputsLog
from vla_policy.policies.open import open_policy

IMAGES_KEPT = 8  # a tick wants the newest; those up to 5 ms ahead of it come on top


class PolicyNode(Supervised):
    """Samples the contract's streams at each inference tick and publishes the policy's chunk.

    While a stream is missing or stale it withdraws its chunks, by publishing one without points,
    so that the executor holds.
    """

    def __init__(self) -> None:
        super().__init__("policy_node")
        declare(self, POLICY_NODE)
        self._counts: Counter[str] = Counter()
        self._worker: InferenceWorker | None = None
        self._stale: str | None = None
        self._publishing = threading.Lock()  # no chunk of the worker after a withdrawal
        self._last_error = ""

    def configure(self) -> None:
        values = read(self, POLICY_NODE)
        self._contract: Contract = load_contract(str(values["contract"]))
        self._step_ns = round(1e9 / self._contract.policy_rate_hz)
        self._period_s = 1.0 / float(values["inference_rate_hz"])
        self.get_logger().info(f"loading checkpoint={values['checkpoint']}")
        rtc = _rtc(values)
        self._policy = open_policy(
            str(values["checkpoint"]),
            self._contract,
            recipe=str(values["recipe"]),
            device=str(values["device"]),
            precision=str(values["precision"]),
            num_steps=int(values["num_steps"]),
            asset_id=str(values["asset_id"]),
            rtc=rtc,
        )
        folder = str(values["inputs_dir"])
        self._inputs_log = InputsLog(Path(folder), self._policy) if folder else None
        self._continues = rtc.mode is not RtcMode.OFF
        self._continuation = Continuation(self._contract)
        named = recipes.named(str(values["checkpoint"]), str(values["recipe"]))
        self._default_prompt = named.default_prompt if named else ""
        self.entities.append(partial(delattr, self, "_policy"))  # its memory, before another one
        self._buffers: dict[str, StreamBuffer[Any]] = {}
        self._inputs: dict[str, Input] = {}
        sources: list[Stream | Camera] = [*self._contract.streams, *self._contract.cameras]
        for source in sources:
            kept = IMAGES_KEPT if isinstance(source, Camera) else 64
            buffer: StreamBuffer[Any] = StreamBuffer(
                name=source.name, max_age_s=source.max_age_s, length=kept
            )
            self._buffers[source.name] = buffer
            read_joints = partial(_checked, source) if isinstance(source, Stream) else None
            self._inputs[source.name] = Input(self, source, buffer.add, read_joints)
            self.entities.append(self._inputs[source.name].destroy)
        self._chunks = self.create_publisher(JointTrajectory, "action_chunk", QoSProfile(depth=1))
        prompts = self.create_subscription(String, "~/prompt", self._on_prompt, 1)
        self.entities += [
            partial(self.destroy_publisher, self._chunks),
            partial(self.destroy_subscription, prompts),
            Diagnostics(self, self._diagnose).destroy,
        ]

    def activate(self) -> None:
        self._policy.reset()  # a new episode
        self._worker = InferenceWorker(self._infer, self._publish, self._on_error)
        self._timers_running = [
            self.create_timer(self._period_s, self._inference_tick),
            self.create_timer(1.0 / self._contract.control_rate_hz, self._watch),
        ]

    def deactivate(self) -> None:
        if self._worker is None:
            return
        for timer in self._timers_running:
            self.destroy_timer(timer)
        self._worker.stop()
        self._worker = None
        self._withdraw()
        self._chunks.wait_for_all_acked(FAREWELL)

    def _on_prompt(self, message: String) -> None:
        self.set_parameters([RosParameter("prompt", value=message.data)])

    def _select(self, now_ns: int) -> dict[str, Sample[Any]]:
        return select(self._buffers, now_ns, time.monotonic_ns())

    def _watch(self) -> None:
        """Notice at the control rate that a stream is stale: the robot must not move on blind."""
        try:
            self._select(self.get_clock().now().nanoseconds)
        except SampleError as error:
            self.get_logger().warning(f"holding: {error}", throttle_duration_sec=2.0)
            went_stale = self._stale is None
            with self._publishing:
                self._stale = str(error.found)
            if went_stale:
                self._counts["went_stale"] += 1
                self._withdraw()
            return
        if self._stale is not None:
            self._stale = None
            self._inference_tick()  # the robot is holding: do not wait for the next tick

    def _withdraw(self) -> None:
        message = JointTrajectory(joint_names=list(self._contract.action_names))
        message.header.stamp = self.get_clock().now().to_msg()
        self._chunks.publish(message)
        self._continuation.forget()

    def _inference_tick(self) -> None:
        prompt = str(self.get_parameter("prompt").value) or self._default_prompt
        if not prompt and self._policy.needs_prompt:
            self._counts["no_prompt"] += 1
            self.get_logger().warning(
                "no prompt: set the parameter prompt, or publish a std_msgs/String on ~/prompt",
                throttle_duration_sec=5.0,
            )
            return
        now_ns = self.get_clock().now().nanoseconds
        try:
            chosen = self._select(now_ns)
        except SampleError:
            self._counts["no_observation"] += 1
            return
        messages = {name: sample.payload for name, sample in chosen.items()}
        assert self._worker is not None
        if not self._worker.submit(Request(stamp_ns=now_ns, messages=messages, prompt=prompt)):
            self._counts["busy"] += 1

    def _infer(self, request: Request) -> FloatArray:
        messages = {
            name: deserialize_message(payload, self._inputs[name].message_class)
            if isinstance(payload, bytes)
            else payload
            for name, payload in request.messages.items()
        }
        observation = build_observation(
            self._contract, messages, stamp_ns=request.stamp_ns, prompt=request.prompt
        )
        previous = self._continuation.committed(observation) if self._continues else None
        actions = self._policy.infer(observation, previous=previous)
        if self._inputs_log is not None:
            self._inputs_log.write(observation)
        return actions

    def _publish(self, request: Request, actions: FloatArray) -> None:
        chunk = ActionChunk(stamp_ns=request.stamp_ns, step_ns=self._step_ns, actions=actions)
        message = encode_chunk(
            chunk, self._contract.action_names, JointTrajectory(), JointTrajectoryPoint
        )
        with self._publishing:
            if self._stale is not None:
                raise PolicyError(
                    "chunk dropped: a stream went stale meanwhile", found=self._stale
                )
            self._chunks.publish(message)
            self._continuation.published(chunk, self.get_clock().now().nanoseconds)
        self._counts["chunks"] += 1
        self._last_error = ""

    def _on_error(self, error: Exception) -> None:
        if isinstance(error, CodecError):  # a camera that no longer sends what the contract says
            self._counts["unreadable"] += 1
            self._withdraw()
        self._last_error = f"{type(error).__name__}: {error}"
        self.get_logger().error(f"inference failed: {self._last_error}", throttle_duration_sec=1.0)

    def on_internal_error(self, error: Exception) -> None:
        """A fault of this program, or a message that is not what it says."""
        self._counts["internal_errors"] += 1
        self._on_error(error)

    def _diagnose(self) -> Any:
        worker = self._worker
        values = {**self._counts, **reception(self._inputs)}
        level, message = Level.OK, "inactive"
        if worker is not None:
            message = "running"
            values |= {**worker.counts, **self._continuation.counts}
            values["latency_p50_ms"] = f"{worker.percentile_ms(50):.1f}"
            values["latency_p99_ms"] = f"{worker.percentile_ms(99):.1f}"
            values["busy_for_s"] = f"{worker.busy_for_s:.2f}"
            if self._last_error:
                level, values["last_error"] = Level.WARN, self._last_error
            if self._stale is not None:
                level, message = Level.WARN, f"no observation: {self._stale}"
        return status(self, level, message, values)


def _checked(stream: Stream, message: Any) -> Any:
    """The message, if it holds the stream's joints; raises CodecError otherwise."""
    read_stream(stream, message)
    return message


def _rtc(values: Mapping[str, Value]) -> Rtc:
    return Rtc(
        mode=RtcMode(values["rtc"]),
        schedule=Schedule(values["rtc_schedule"]),
        max_guidance=float(values["rtc_max_guidance"]),
        vjp=bool(values["rtc_vjp"]),
        execution_horizon=int(values["rtc_execution_horizon"]),
    )


def main(args: list[str] | None = None) -> int:
    """Entry point of ``ros2 run vla_policy policy_node``."""
    return run(PolicyNode, args)
