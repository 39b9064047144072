"""A running system under test: its processes, and a node that watches their topics."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from ament_index_python.packages import get_package_prefix
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from vla_system_tests.processes import Process

FIRST_DOMAIN, DOMAINS = 61, 19  # never 0, where a user's robot is
PATIENCE_S = 60.0
SMALL_ROBOT = Path(__file__).with_name("small_robot.yaml")
EXECUTOR, POLICY, MANAGER = "executor_node", "policy_node", "lifecycle_manager"


def _free_domains() -> Iterator[tuple[int, int]]:
    """Domains that no other run of the tests uses, and the lock that keeps it so.

    A new one for each system: those that were killed linger in discovery for a while.
    """
    for number in itertools.count(os.getpid()):
        domain = FIRST_DOMAIN + number % DOMAINS
        path = Path(tempfile.gettempdir(), f"vla_system_tests_domain_{domain}")
        lock = os.open(path, os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            time.sleep(0.1)
            continue
        yield domain, lock


_domains = _free_domains()


class Recording:
    """All messages of a topic, with their numbers and the monotonic time of receipt (s)."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.numbers: list[int] = []
        self.times_s: list[float] = []

    def __len__(self) -> int:
        return len(self.messages)

    def clear(self) -> None:
        for values in (self.messages, self.numbers, self.times_s):
            values.clear()


class System:
    """Processes in one ROS domain, and a watcher in it.

    Args:
        log_dir: Where the processes write their log files.
    """

    def __init__(self, log_dir: Path) -> None:
        domain, self._domain_lock = next(_domains)
        self._environment = {"ROS_DOMAIN_ID": str(domain), "ROS_LOG_DIR": str(log_dir)}
        self._news = threading.Condition()
        self.processes: list[Process] = []
        self.restarts: list[int] = []  # numbers of commands before each ~/resume
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = rclpy.create_node("watcher", context=self._context)
        self._clients: dict[str, Client] = {}
        self._counted: dict[str, str] = {}  # by the executor, before its last restart
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.status = self.watch("/executor_node/status", DiagnosticStatus, latched)
        self.commanded = self.watch("/executor_node/commanded", JointState)
        self.chunks = self.watch("/action_chunk", JointTrajectory)
        self.diagnostics = self.watch("/diagnostics", DiagnosticArray)
        self._spinning = threading.Thread(target=self._spin, daemon=True)
        self._spinning.start()

    def __enter__(self) -> System:
        return self

    def __exit__(self, *_error: object) -> None:
        for process in self.processes:
            process.end()
        self._executor.shutdown()
        self._spinning.join(5)
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)
        os.close(self._domain_lock)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    # --- processes ---

    def start(self, *command: str) -> Process:
        process = Process(command, self._environment, self._news, self._domain_lock)
        self.processes.append(process)
        return process

    def launch(self, file: str, **arguments: object) -> Process:
        """``ros2 launch vla_bringup FILE name:=value ...``"""
        given = [f"{name}:={value}" for name, value in arguments.items()]
        return self.start("ros2", "launch", "vla_bringup", file, *given)

    def start_node(self, package: str, executable: str, **parameters: object) -> Process:
        """A node by itself, not under ``ros2 run``, so that signals reach it and nothing else."""
        path = Path(get_package_prefix(package), "lib", package, executable)
        values = {k: str(v) if isinstance(v, Path) else v for k, v in parameters.items()}
        given = [f"{name}:={json.dumps(value)}" for name, value in values.items()]
        return self.start(
            str(path), "--ros-args", *(word for one in given for word in ("-p", one))
        )

    def start_executor(self, **parameters: object) -> Process:
        return self.start_node(
            "vla_policy", EXECUTOR, contract=SMALL_ROBOT, autostart=True, **parameters
        )

    def start_faulty_policy(self, prompt: str) -> Process:
        return self.start_node(
            "vla_system_tests",
            "faulty_policy_node",
            contract=SMALL_ROBOT,
            checkpoint="faulty",
            inference_rate_hz=5.0,
            prompt=prompt,
            autostart=True,
        )

    def start_swaying_robot(self) -> tuple[Process, Process, Process]:
        """A simulated robot, the executor and a policy that moves it, once commands flow."""
        nodes = self.start_fake_robot(), self.start_executor(), self.start_faulty_policy("sway")
        self.wait_commands(20)
        return nodes

    def start_fake_robot(self, **parameters: object) -> Process:
        return self.start_node("vla_bringup", "fake_robot", contract=SMALL_ROBOT, **parameters)

    # --- topics ---

    def watch(self, topic: str, message_class: Any, qos: QoSProfile | int = 1000) -> Recording:
        """Record a topic from now on."""
        recording = Recording()

        def receive(message: Any, info: Mapping[str, Any]) -> None:
            with self._news:
                recording.messages.append(message)
                recording.numbers.append(int(info["publication_sequence_number"] or 0))
                recording.times_s.append(time.monotonic())
                self._news.notify_all()

        self.node.create_subscription(message_class, topic, receive, qos)
        return recording

    def prompt(self, text: str) -> None:
        """Publish a task, once the policy listens."""
        publisher = self.node.create_publisher(String, "/policy_node/prompt", 1)
        self.wait(lambda: publisher.get_subscription_count() > 0, "the policy hears prompts")
        publisher.publish(String(data=text))

    def call(self, service: str, service_class: Any, request: Any = None) -> Any:
        """What a service answers."""
        client = self._clients.get(service)
        if client is None:
            client = self._clients[service] = self.node.create_client(service_class, service)
        self.wait(client.service_is_ready, f"{service} is there")
        answer = client.call_async(service_class.Request() if request is None else request)
        self.wait(answer.done, f"{service} has answered")
        return answer.result()

    def resume(self) -> None:
        """Call the executor's ~/resume."""
        self.restarts.append(len(self.commanded))
        assert self.call(f"/{EXECUTOR}/resume", Trigger).success

    def rest(self) -> None:
        """Forget what runs, come to rest and wait for the next chunk."""
        self.resume()

        def is_waiting() -> bool:
            last = self.status.messages[-1]
            return bool(last.message == "HOLDING" and "waiting for" in last.values[0].value)

        self.wait(is_waiting, "the executor waits for an action chunk")

    def change_executor(self, label: str) -> bool:
        """Ask the executor's lifecycle for a transition; whether it was made."""
        request = ChangeState.Request()
        request.transition.label = label
        return bool(self.call(f"/{EXECUTOR}/change_state", ChangeState, request).success)

    @contextmanager
    def executor_restarted(self) -> Iterator[None]:
        """Deactivate the executor, and activate it after, released: both begin anew.

        It counts on; ``counter`` says what came since.
        """
        since = len(self.status)
        assert self.change_executor("deactivate")
        self.wait_state("INACTIVE", since=since, cause="deactivated")
        with self._news:
            for recording in (self.status, self.commanded):
                recording.clear()
            self.restarts.clear()
            self.diagnostics.clear()
            self._counted.clear()
        self.wait(lambda: self.facts(EXECUTOR), "the executor's counts")
        self._counted = self.facts(EXECUTOR)
        self.resume()
        self.restarts.clear()
        yield
        assert self.change_executor("activate")
        with self._news:
            self.diagnostics.clear()

    # --- waiting ---

    def wait(self, happened: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
        """Wait for an event; what ``happened`` returns when it is true.

        Raises:
            AssertionError: it did not come; with what all processes have written.
        """
        deadline = time.monotonic() + timeout_s
        with self._news:
            while not (result := happened()):
                if time.monotonic() > deadline:
                    raise AssertionError(f"not seen in {timeout_s} s: {what}\n{self}")
                self._news.wait(0.1)
        return result

    def wait_state(self, state: str, *, since: int = 0, cause: str = "") -> int:
        """Index of the executor's first status, from ``since`` on, that tells of a state."""

        def index() -> int | None:
            for at, status in enumerate(self.status.messages[since:], since):
                if status.message == state and cause in status.values[0].value:
                    return at + 1
            return None

        return int(self.wait(index, f"executor {state} {cause}")) - 1

    def wait_output(self, process: Process, text: str) -> None:
        self.wait(lambda: text in process.output, f"output: {text}")

    def wait_counter(self, node: str, key: str, least: int = 1) -> int:
        """Wait until a counter on /diagnostics has reached a value."""
        self.wait(
            lambda: self.counter(node, key) >= least, f"/diagnostics {node} {key} >= {least}"
        )
        return self.counter(node, key)

    def counter(self, node: str, key: str) -> int:
        before = self._counted.get(key, "0") if node == EXECUTOR else "0"
        return int(self.facts(node).get(key, "0")) - int(before)

    def facts(self, node: str) -> dict[str, str]:
        """What a node has said of itself last on /diagnostics."""
        for array in reversed(self.diagnostics.messages):
            for status in array.status:
                if status.name == node:
                    return {item.key: item.value for item in status.values}
        return {}

    def wait_commands(self, count: int) -> None:
        """Wait for so many more commands."""
        until = len(self.commanded) + count
        self.wait(lambda: len(self.commanded) >= until, f"{until} commands")

    def wait_ticks(self, count: int) -> None:
        """Let the executor go on for so many ticks, by its own count."""
        ticks = self.wait_counter(EXECUTOR, "ticks")
        self.wait_counter(EXECUTOR, "ticks", ticks + count)

    def state(self) -> str:
        """What the executor says that it is doing."""
        return str(self.status.messages[-1].message)

    def __str__(self) -> str:
        seen = [f"{s.message}: {s.values[0].value}" for s in self.status.messages]
        return "\n".join(
            [
                f"states: {seen}",
                f"commands: {len(self.commanded)}, chunks: {len(self.chunks)}",
                f"executor: {self.facts(EXECUTOR)}",
                f"policy: {self.facts(POLICY)}",
                *(str(process) for process in self.processes),
            ]
        )
