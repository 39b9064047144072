"""What is to be done in the ALOHA scene: its objects, where a seed puts them, and when it is done.

Source of scenes, ranges and rewards: gym-aloha 0.1.5. No MuJoCo here: a task is also known to
whoever plans for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from vla_bringup.sim.simulated_robot import SimulationError

Contact = frozenset[str]  # the names of two geoms that touch
Layout = Mapping[str, tuple[float, float, float]]  # object -> position (m); all lie along x

MAX_REWARD = 4
LEFT_FINGER = "vx300s_left/10_left_gripper_finger"
RIGHT_FINGER = "vx300s_right/10_right_gripper_finger"
_SOCKET = ("socket-1", "socket-2", "socket-3", "socket-4")
_Y_M, _Z_M = (0.4, 0.6), 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """Something that lies on the table.

    Attributes:
        joint: Its free joint in the model.
        x_m: It starts anywhere from here to there, and within `_Y_M`.
    """

    name: str
    joint: str
    x_m: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A scene and its goal.

    Attributes:
        scene_file: In gym-aloha's assets.
        prompt: The task in words.
        reward: What touches -> 0 to 4, 4 when it is done.
    """

    name: str
    scene_file: str
    prompt: str
    objects: tuple[Object, ...]
    reward: Callable[[Collection[Contact]], int]

    def layout(self, seed: int) -> Layout:
        """Where the objects of a seed start."""
        rng = np.random.default_rng(seed)
        return {
            item.name: (float(rng.uniform(*item.x_m)), float(rng.uniform(*_Y_M)), _Z_M)
            for item in self.objects
        }


def _transfer_reward(contacts: Collection[Contact]) -> int:
    on_table = _touch(contacts, ("red_box",), "table")
    if _touch(contacts, ("red_box",), LEFT_FINGER):
        return 3 if on_table else 4
    if _touch(contacts, ("red_box",), RIGHT_FINGER):
        return 1 if on_table else 2
    return 0


def _insertion_reward(contacts: Collection[Contact]) -> int:
    if _touch(contacts, ("red_peg",), "pin"):  # which lies inside the socket
        return 4
    on_table = _touch(contacts, (*_SOCKET, "red_peg"), "table")
    if _touch(contacts, _SOCKET, "red_peg") and not on_table:
        return 3
    if _touch(contacts, _SOCKET, LEFT_FINGER) and _touch(contacts, ("red_peg",), RIGHT_FINGER):
        return 1 if on_table else 2
    return 0


def _touch(contacts: Collection[Contact], geoms: Collection[str], other: str) -> bool:
    return any(frozenset((geom, other)) in contacts for geom in geoms)


TASKS = {
    task.name: task
    for task in (
        Task(
            name="transfer_cube",
            scene_file="bimanual_viperx_transfer_cube.xml",
            prompt="Transfer cube",
            objects=(Object(name="cube", joint="red_box_joint", x_m=(0.0, 0.2)),),
            reward=_transfer_reward,
        ),
        Task(
            name="insertion",
            scene_file="bimanual_viperx_insertion.xml",
            prompt="Insert the peg into the socket",
            objects=(
                Object(name="peg", joint="red_peg_joint", x_m=(0.1, 0.2)),
                Object(name="socket", joint="blue_socket_joint", x_m=(-0.2, -0.1)),
            ),
            reward=_insertion_reward,
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a scene was laid out as; its text is what ``~/reset`` answers."""

    task: str
    seed: int

    def __str__(self) -> str:
        return f"task={self.task} seed={self.seed}"

    @classmethod
    def parse(cls, text: str) -> Setup:
        """Read the text of a setup.

        Raises:
            SimulationError: It is none, or of a task that is not known here.
        """
        match = re.fullmatch(r"task=(\w+) seed=(\d{1,10})", text)
        if match is None or match[1] not in TASKS:
            raise SimulationError(
                "not a layout of the ALOHA scene",
                found=text,
                allowed=f"task=<{'|'.join(TASKS)}> seed=<number>",
            )
        return cls(task=match[1], seed=int(match[2]))
