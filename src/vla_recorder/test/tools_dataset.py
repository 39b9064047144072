"""Small datasets for the tests of the tools: a robot that swings, seen by two cameras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vla_core.contract import parse_contract
from vla_core.dataset.encoding import Encoding
from vla_core.dataset.episode import Episode, Feature
from vla_core.dataset.staging import EpisodeWriter
from vla_core.dataset.write import write_dataset

FPS = 20.0
HEIGHT, WIDTH = 96, 128
NAMES = ("a", "b", "g")
TOP, WRIST, DEPTH = "observation.images.top", "observation.images.wrist", "observation.depth.top"
VIDEO = Feature(dtype="video", shape=(HEIGHT, WIDTH, 3), names=("height", "width", "channels"))
FEATURES = {
    "observation.state": Feature(dtype="float32", shape=(3,), names=NAMES),
    "action": Feature(dtype="float32", shape=(3,), names=NAMES),
    TOP: VIDEO,
    WRIST: VIDEO,
}
CONTRACT = """\
schema: 1
robot: tester
description: two joints and a gripper
policy_rate_hz: 20
control_rate_hz: 100
joints:
  a: {unit: rad, range: [-2, 2], velocity: 2, acceleration: 10}
  b: {unit: rad, range: [-1.2, 1.2], velocity: 2, acceleration: 5}
  g: {kind: gripper, unit: rad, range: [-0.1, 1], velocity: 2, acceleration: 5}
streams:
  arm: {topic: /arm_state, type: sensor_msgs/msg/JointState, joints: [a, b], rate_hz: 100}
  hand: {topic: /hand_state, type: sensor_msgs/msg/JointState, joints: [g], rate_hz: 50}
state: [a, b, g]
cameras:
  top: {topic: /top, type: sensor_msgs/msg/Image, encoding: rgb8, width: 128, height: 96, rate_hz: 20}
  wrist: {topic: /wrist, type: sensor_msgs/msg/Image, encoding: rgb8, width: 128, height: 96, rate_hz: 20}
action:
  arm: {topic: /arm, type: trajectory_msgs/msg/JointTrajectory, joints: [a, b]}
  hand: {topic: /grip, type: trajectory_msgs/msg/JointTrajectory, joints: [g]}
safety:
  start_offset: {rad: 0.3}
  gross_offset: {rad: 1.0}
  latch_after_s: 0.5
"""  # noqa: E501

Damage = Callable[[int, int, np.ndarray, np.ndarray, dict[str, np.ndarray]], None]
"""Of (episode, row, state, action, pictures), which it changes."""


def numbers(episode: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """State and action (rows, 3): the state follows its command."""
    time = np.arange(rows) / FPS + 0.7 * episode
    action = np.stack([np.sin(time), 0.8 * np.cos(1.3 * time), 0.4 + 0.3 * np.sin(2 * time)], 1)
    late = time - 0.1
    state = np.stack([np.sin(late), 0.8 * np.cos(1.3 * late), 0.4 + 0.3 * np.sin(2 * late)], 1)
    return state.astype(np.float32), action.astype(np.float32)


def picture(state: np.ndarray, tint: int) -> np.ndarray:
    """(HEIGHT, WIDTH, 3): a square that goes where the joints are."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    shown = np.stack([rows, columns, np.full_like(rows, tint)], axis=2).astype(np.uint8)
    top, left = int(40 + 30 * state[0]), int(50 + 35 * state[1])
    shown[top : top + 16, left : left + 16] = (240, 220, tint)
    return shown


def make_episode(
    folder: Path,
    number: int,
    *,
    rows: int = 40,
    features: dict[str, Feature] = FEATURES,
    task: str = "swing the arm",
    extra: dict[str, object] | None = None,
    damage: Damage | None = None,
) -> Episode:
    """A staged episode; ``damage`` sees every row before it is written."""
    states, actions = numbers(number, rows)
    encoding = Encoding(codec="h264", preset="ultrafast")
    with EpisodeWriter(folder, features=features, fps=FPS, encoding=encoding) as writer:
        for row in range(rows):
            state, action = states[row], actions[row]
            shown = {TOP: picture(state, 60), WRIST: picture(action, 160)}
            if DEPTH in features:
                shown[DEPTH] = (1000 + 10 * shown[TOP][..., 0].astype(np.uint16)).astype(np.uint16)
            if damage:
                damage(number, row, state, action, shown)
            values = {"observation.state": state, "action": action}
            pictures = {k: v for k, v in shown.items() if k in features}
            writer.add({k: v for k, v in values.items() if k in features}, pictures, task)
        return writer.commit(extra or {})


def make_dataset(
    folder: Path,
    *,
    version: str = "v2.1",
    lengths: Sequence[int] = (40, 50, 30),
    features: dict[str, Feature] = FEATURES,
    tasks: Sequence[str] = ("swing the arm",),
    extras: Sequence[dict[str, object]] = ({},),
    contract: str = "",
    damage: Damage | None = None,
    fps: float = FPS,
) -> Path:
    """A dataset of some episodes at ``folder``."""
    staged = folder.with_name(folder.name + "_staged")
    episodes = [
        make_episode(
            staged / f"{number}", number, rows=rows, features=features,
            task=tasks[number % len(tasks)], extra=extras[number % len(extras)], damage=damage,
        )
        for number, rows in enumerate(lengths)
    ]  # fmt: skip
    extra = {"vla_contract_sha256": parse_contract(contract).sha256} if contract else {}
    write_dataset(
        folder, episodes, version=version, fps=fps, robot_type="tester", features=features,
        extra=extra,
    )  # fmt: skip
    if contract:
        (folder / "meta" / "contract.yaml").write_text(contract, encoding="utf-8")
    return folder
