"""ALOHA in MuJoCo: commands in the units of the real robot in, joint states and pictures out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_bringup.sim.aloha_model import CAMERAS, XML_PHYSICS_RATE_HZ, build_model
from vla_bringup.sim.aloha_robot import (
    ARM_JOINTS,
    RAD_PER_M,
    SIDES,
    START_ARM_RAD,
    START_FINGER_M,
    finger_from_gripper,
    gripper_from_finger,
)
from vla_bringup.sim.aloha_tasks import MAX_REWARD, TASKS
from vla_bringup.sim.simulated_robot import SimulationError, Snapshot, rendering_error

FINGERS = {"left_finger": "finger", "right_finger": "mirrored"}  # joint of the model -> name here
COMMANDED = (*ARM_JOINTS, "gripper", "finger")
SUCCESS_HELD_S = 0.25  # a peg that touches the pin loses contact for single steps

_DIVERGED = (
    mujoco.mjtWarning.mjWARN_BADQPOS,
    mujoco.mjtWarning.mjWARN_BADQVEL,
    mujoco.mjtWarning.mjWARN_BADQACC,
)

# step() reads MuJoCo's warnings from the data; MuJoCo itself would write a file where it is run
mujoco.set_mju_user_warning(lambda text: None)


class AlohaScene:
    """Two ViperX arms and the objects of a task, at gym-aloha's dynamics.

    Quantities are named `<side>_<joint>`: the six joints of an arm and `gripper` in rad, and
    `finger` in m, which is `gripper` measured at the finger (Interbotix calls it left_finger; the
    other finger mirrors it).

    Args:
        task: One of `TASKS`.
        seed: Decides where the objects start.
        physics_rate_hz: Physics steps per second of simulated time.
        dressed: Colours of a laboratory instead of gym-aloha's grey on black.
    """

    def __init__(
        self,
        *,
        task: str = "transfer_cube",
        seed: int = 0,
        physics_rate_hz: float = XML_PHYSICS_RATE_HZ,
        dressed: bool = True,
    ) -> None:
        self.task = TASKS[task]
        self._model = build_model(
            self.task.scene_file, physics_rate_hz=physics_rate_hz, dressed=dressed
        )
        self._data = mujoco.MjData(self._model)
        self._shown = mujoco.MjData(self._model)  # the renderer's own copy
        self._renderers: dict[tuple[int, int], Any] = {}
        self._qpos: dict[str, int] = {}
        self._qvel: dict[str, int] = {}
        self._ctrl: dict[str, int] = {}
        for side in SIDES:
            for joint in (*ARM_JOINTS, *FINGERS):
                name = f"{side}_{FINGERS.get(joint, joint)}"
                index = self._model.joint(f"vx300s_{side}/{joint}").id
                (actuator,) = np.flatnonzero(self._model.actuator_trnid[:, 0] == index)
                self._qpos[name] = int(self._model.jnt_qposadr[index])
                self._qvel[name] = int(self._model.jnt_dofadr[index])
                self._ctrl[name] = int(actuator)
        self._geoms = [self._model.geom(index).name for index in range(self._model.ngeom)]
        self._owed_s = 0.0
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Put the arms at their start pose and the objects where the seed decides."""
        mujoco.mj_resetData(self._model, self._data)
        for side in SIDES:
            self.command(
                dict(zip([f"{side}_{j}" for j in ARM_JOINTS], START_ARM_RAD, strict=True))
            )
            self.command({f"{side}_finger": START_FINGER_M})
        for name, index in self._qpos.items():
            self._data.qpos[index] = self._data.ctrl[self._ctrl[name]]
        layout = self.task.layout(seed)
        for item in self.task.objects:
            at = int(self._model.joint(item.joint).qposadr[0])
            self._data.qpos[at : at + 7] = [*layout[item.name], 1, 0, 0, 0]
        self._done_s = -math.inf
        mujoco.mj_forward(self._model, self._data)

    def command(self, targets: Mapping[str, float]) -> None:
        """Set targets; MuJoCo holds them to each actuator's range.

        Args:
            targets: Any of the quantities; `gripper` and `finger` of an arm are the same one.

        Raises:
            SimulationError: A joint that there is not, or a target that is not finite.
        """
        for name, target in targets.items():
            side, _, joint = name.partition("_")
            if side not in SIDES or joint not in COMMANDED or not np.isfinite(target):
                raise SimulationError(
                    "a command that the simulated ALOHA cannot follow",
                    where=name,
                    found=target,
                    allowed=f"finite numbers for left_ and right_ {', '.join(COMMANDED)}",
                )
            if joint in ARM_JOINTS:
                self._data.ctrl[self._ctrl[name]] = target
                continue
            finger_m = finger_from_gripper(target) if joint == "gripper" else target
            self._data.ctrl[self._ctrl[f"{side}_finger"]] = finger_m
            self._data.ctrl[self._ctrl[f"{side}_mirrored"]] = -finger_m

    def step(self, dt_s: float) -> int:
        """Advance by whole physics steps; what is left over is added to the next call.

        Raises:
            SimulationError: The physics diverged.
        """
        timestep_s = self._model.opt.timestep
        self._owed_s += dt_s
        steps = int(self._owed_s / timestep_s + 1e-6)
        self._owed_s -= steps * timestep_s
        if steps > 0:
            mujoco.mj_step(self._model, self._data, nstep=steps)
        # MuJoCo silently starts again from its default pose when it diverges
        if any(self._data.warning[kind].number for kind in _DIVERGED):
            raise SimulationError(
                "the physics diverged",
                where=f"{1 / timestep_s:g} physics steps per second",
                allowed=f"{XML_PHYSICS_RATE_HZ:g} is what the scene is made for",
                fix="raise physics_rate_hz",
            )
        if self.reward() == MAX_REWARD:
            self._done_s = self._data.time
        return steps

    def reward(self) -> int:
        """How far the task is now: 0 to 4, as gym-aloha counts."""
        contacts = self._data.contact.geom
        return self.task.reward({frozenset(map(self._geoms.__getitem__, c)) for c in contacts})

    def is_done(self) -> bool:
        """Whether the task is done and not undone."""
        return bool(self._data.time - self._done_s <= SUCCESS_HELD_S)

    def positions(self) -> dict[str, float]:
        """Where the joints are: rad, fingers in m."""
        found = _measured(self._data.qpos, self._qpos)
        for side in SIDES:
            found[f"{side}_gripper"] = gripper_from_finger(found[f"{side}_finger"])
        return found

    def velocities(self) -> dict[str, float]:
        """How fast the joints move: rad/s, fingers in m/s."""
        found = _measured(self._data.qvel, self._qvel)
        for side in SIDES:
            found[f"{side}_gripper"] = found[f"{side}_finger"] * RAD_PER_M
        return found

    def snapshot(self) -> Snapshot:
        """Generalised positions of arms (16) and objects (7 each), float64."""
        return np.array(self._data.qpos)

    def render(
        self, camera: str, width: int, height: int, snapshot: Snapshot | None = None
    ) -> NDArray[np.uint8]:
        """Draw a moment, by default the present one: (height, width, 3) uint8 RGB.

        Every call must come from the same thread: an OpenGL context belongs to one.

        Raises:
            SimulationError: No such camera, or rendering cannot start.
        """
        if camera not in CAMERAS:
            raise SimulationError(
                "the simulated ALOHA has no such camera",
                found=camera,
                allowed=", ".join(CAMERAS),
                fix="name the contract's cameras so, or run with render:=false",
            )
        if (width, height) not in self._renderers:
            self._renderers[width, height] = _make_renderer(self._model, width, height)
        renderer = self._renderers[width, height]
        self._shown.qpos[:] = self._data.qpos if snapshot is None else snapshot
        mujoco.mj_kinematics(self._model, self._shown)
        mujoco.mj_camlight(self._model, self._shown)
        renderer.update_scene(self._shown, camera=CAMERAS[camera])
        image: NDArray[np.uint8] = renderer.render()
        return image

    def close_renderer(self) -> None:
        """Free the OpenGL contexts; called in the thread that rendered."""
        while self._renderers:
            self._renderers.popitem()[1].close()


def _measured(values: NDArray[np.float64], indices: Mapping[str, int]) -> dict[str, float]:
    return {
        name: float(values[index])
        for name, index in indices.items()
        if not name.endswith("_mirrored")
    }


def _make_renderer(model: Any, width: int, height: int) -> Any:
    model.vis.global_.offwidth = max(width, model.vis.global_.offwidth)
    model.vis.global_.offheight = max(height, model.vis.global_.offheight)
    try:
        renderer = mujoco.Renderer(model, height, width)
    # Without EGL mujoco has no Renderer at all; without a device it raises what PyOpenGL raises.
    except Exception as error:
        raise rendering_error(error) from error
    # shadows are most of the cost of a software-rendered view
    renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
    return renderer
