"""episode_recorder: one bag per episode, with what it is and whether it may be trained on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message

from vla_core.contract import load_contract
from vla_core.errors import CodecError
from vla_policy.nodes.diagnostics import Diagnostics, Level, status
from vla_policy.nodes.lifecycle import Supervised, run
from vla_policy.nodes.ros_parameters import declare, read
from vla_recorder import marks
from vla_recorder.marks import Event
from vla_recorder.nodes.bag_thread import BagThread, Settings
from vla_recorder.nodes.episode_bag import LATCHED_DEPTH, BagTopic
from vla_recorder.nodes.episodes import Episodes, Place
from vla_recorder.nodes.operator_inputs import Keyboard, OperatorInputs
from vla_recorder.nodes.recorder_parameters import BUTTONS, EPISODE_RECORDER
from vla_recorder.nodes.topic_inputs import TopicInput
from vla_recorder.recording.commands import KEYS_SHOWN, Buttons, Command
from vla_recorder.recording.folders import MEGABYTE, prepare
from vla_recorder.recording.monitor import Pose
from vla_recorder.recording.pre_roll import Kept, PreRoll
from vla_recorder.recording.session import RecordingError, Session
from vla_recorder.recording.topics import Role, chunk_bytes, recorded_topics

WATCH_S = 0.25  # how often it looks for new publishers, for space, and for what was finished


class EpisodeRecorder(Supervised):
    """Records what a contract names while an episode is open."""

    def __init__(self) -> None:
        super().__init__("episode_recorder")
        declare(self, EPISODE_RECORDER)
        self._session = Session()
        self._episodes: Episodes | None = None
        self._inputs: list[TopicInput] = []
        self._internal_errors = 0
        self._shown: Mapping[str, object] = {}

    def configure(self) -> None:
        self._values = read(self, EPISODE_RECORDER)
        contract = load_contract(str(self._values["contract"]))
        output = Path(str(self._values["output_dir"])).expanduser()
        self._place = Place(
            contract=contract,
            contract_text=Path(contract.file).read_text(encoding="utf-8"),
            output=output,
            min_free_bytes=self._bytes("min_free_mb"),
        )
        for name in prepare(output):
            self.get_logger().warning(f"unfinished={name} do=`ros2 run vla_recorder recover`")
        self._connect()
        self._show()

    def _connect(self) -> None:
        buttons = Buttons({command: int(self._values[p.name]) for command, p in BUTTONS.items()})
        keyboard = Keyboard() if self._values["keyboard"] else None
        if keyboard is not None:
            self.get_logger().info(f"keys: {KEYS_SHOWN}")
        self._operator = OperatorInputs(self, buttons, keyboard, self._obey)
        self.entities.append(self._operator.destroy)
        latched = partial(QoSProfile, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._status = self.create_publisher(DiagnosticStatus, "~/status", latched(depth=1))
        self._marks = self.create_publisher(
            DiagnosticStatus, f"~{marks.SUFFIX}", latched(depth=LATCHED_DEPTH)
        )
        self._looked_s = time.monotonic()
        self.entities += [
            partial(self.destroy_publisher, self._status),
            partial(self.destroy_publisher, self._marks),
            Diagnostics(self, self._diagnose).destroy,
        ]

    def activate(self) -> None:
        self._subscribe()
        monitors = [entry.monitor for entry in self._inputs]
        topic = self.resolve_topic_name(f"~{marks.SUFFIX}")
        marked = BagTopic(name=topic, type=marks.TYPE, is_latched=True)
        settings = Settings(
            topics=[*(entry.bag_topic for entry in self._inputs), marked],
            chunk_bytes=chunk_bytes(self._place.contract),
            queue_bytes=self._bytes("queue_mb"),
            frozen_ns=self._nanoseconds("frozen_s"),
            action_required=bool(self._values["action_required"]),
        )
        kept = Kept([monitor.recorded for monitor in monitors])
        pre_roll = PreRoll(self._nanoseconds("pre_roll_s"), self._bytes("pre_roll_mb"))
        writer = BagThread(settings, monitors, kept, pre_roll)
        self._episodes = Episodes(
            self._place, self._session, writer, tell=self._tell, now_ns=self._now_ns
        )
        for entry in self._inputs:
            entry.put = writer.put
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._watching = self.create_timer(WATCH_S, self._watch, clock=steady)
        self._show()

    def _subscribe(self) -> None:
        pose = Pose()
        for recorded in recorded_topics(self._place.contract):
            try:
                self._inputs.append(TopicInput(self, len(self._inputs), recorded, pose))
            except CodecError:
                if recorded.role is not Role.CONTEXT:
                    self._inputs.clear()
                    raise
                self.get_logger().info(f"not recorded, unknown type: {recorded.topic}")

    def deactivate(self) -> None:
        if self._episodes is None:
            return
        self.destroy_timer(self._watching)
        for entry in self._inputs:
            entry.destroy()
        self._inputs.clear()
        self._report(*self._episodes.leave())
        self._episodes = None
        self._show()

    def on_internal_error(self, error: Exception) -> None:
        """A fault of this program, which is counted; what is open goes on."""
        self._internal_errors += 1
        self.get_logger().error(f"internal error: {type(error).__name__}: {error}")

    def _obey(self, command: Command, task: str) -> str:
        if self._episodes is None:
            raise RecordingError("the recorder is not active", fix="activate it first")
        try:
            return self._episodes.obey(
                command,
                task=task or str(self.get_parameter("task").value),
                operator=str(self.get_parameter("operator").value),
            )
        finally:
            self._show()

    def _watch(self) -> None:
        for entry in self._inputs:
            entry.follow()
        if self._episodes is not None:
            self._report(*self._episodes.watch())
            self._show()

    def _report(self, finished: list[Path], wrong: list[str]) -> None:
        for folder in finished:
            self.get_logger().info(f"finished={folder}")
        for fault in wrong:
            self.get_logger().error(fault)

    def _tell(self, event: Event, values: Mapping[str, str]) -> bytes:
        """Publish a mark; also called by the writer's thread."""
        mark = DiagnosticStatus(
            level=bytes([Level.OK]),
            name=marks.NAME,
            message=event.value,
            hardware_id=self._place.contract.robot,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )
        self._marks.publish(mark)
        return bytes(serialize_message(mark))

    def _state(self) -> tuple[Level, str]:
        if self._session.open is not None:
            return Level.OK, "RECORDING"
        if self._episodes is None:
            return Level.OK, "INACTIVE"
        if self._episodes.failed:
            return Level.ERROR, "IDLE"
        last = self._session.last
        return Level.WARN if last is not None and last.bad else Level.OK, "IDLE"

    def _facts(self) -> dict[str, object]:
        failed = self._episodes.failed if self._episodes is not None else ""
        return {**self._session.shown(), "failed": failed}

    def _show(self) -> None:
        """Publish ~/status when something has changed."""
        level, state = self._state()
        facts = self._facts()
        if (shown := {"state": state, **facts}) == self._shown:
            return
        self._shown = shown
        line = f"state={state}"
        for key in ("name", "success", "bad"):
            line += f" {key}={facts[key]}" if facts.get(key) else ""
        if level is Level.OK:
            self.get_logger().info(line)
        else:
            self.get_logger().warning(line)
        self._status.publish(status(self, level, state, facts))

    def _diagnose(self) -> DiagnosticStatus:
        now_s = time.monotonic()
        span_s, self._looked_s = now_s - self._looked_s, now_s
        level, message = self._state()
        values = {**self._facts(), **self._operator.counts}
        if self._episodes is not None:
            writer = self._episodes.writer
            figures, wrong = writer.figures(span_s)
            values |= figures | {"queued_mb": round(writer.queued_bytes / MEGABYTE, 1)}
            if wrong:
                level, message = max(level, Level.WARN), f"{message}: {'; '.join(wrong)}"
        values["internal_errors"] = self._internal_errors
        return status(self, level, message, values)

    def _bytes(self, name: str) -> int:
        return int(self._values[name]) * MEGABYTE

    def _nanoseconds(self, name: str) -> int:
        return round(float(self._values[name]) * 1e9)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def main(args: list[str] | None = None) -> int:
    """Entry point of ``ros2 run vla_recorder episode_recorder``."""
    return run(EpisodeRecorder, args)
