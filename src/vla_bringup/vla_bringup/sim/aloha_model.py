"""The MuJoCo model of ALOHA: two ViperX 300 arms, a table and objects, from gym-aloha's files."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from vla_bringup.sim.aloha_robot import SIDES
from vla_bringup.sim.simulated_robot import SimulationError

XML_PHYSICS_RATE_HZ = 500.0
NEAREST_VISIBLE_M = 0.02

# Contract camera -> camera of the model. Policies trained on gym-aloha see "top" as cam_high. The
# file's own wrist cameras turn with the horizon and see 20 degrees: replaced by fixed ones.
CAMERAS = {
    "cam_high": "top",
    "cam_low": "cam_low",
    "cam_left_wrist": "cam_left_wrist",
    "cam_right_wrist": "cam_right_wrist",
}

_GREY = (0.60, 0.62, 0.64, 1.0)
_DARK, _DARKER = (0.22, 0.23, 0.26, 1.0), (0.16, 0.17, 0.19, 1.0)
_WOOD, _ORANGE = (0.62, 0.53, 0.42, 1.0), (0.92, 0.55, 0.13, 1.0)
_RED, _BLUE = (0.8, 0.1, 0.1, 1.0), (0.1, 0.25, 0.75, 1.0)
_DARKER_PARTS = ("shoulder", "wrist", "gripper_bar", "base")


def build_model(
    scene_file: str, *, physics_rate_hz: float = XML_PHYSICS_RATE_HZ, dressed: bool = True
) -> Any:
    """Compile the scene with ALOHA's cameras.

    Args:
        scene_file: In gym-aloha's assets.
        physics_rate_hz: Physics steps per second of simulated time.
        dressed: Sky, floor and colours of a laboratory; otherwise gym-aloha's grey on black.
            The dynamics are gym-aloha's either way.

    Returns:
        The compiled `mujoco.MjModel`.

    Raises:
        SimulationError: The scene is not installed, or this MuJoCo cannot load it.
    """
    path = _scene_path(scene_file)
    try:
        spec = mujoco.MjSpec.from_file(str(path))
        _add_cameras(spec)
        if dressed:
            _dress(spec)
        model = spec.compile()
    except ValueError as error:
        raise SimulationError(
            "MuJoCo cannot load the ALOHA scene",
            where=str(path),
            found=error,
            allowed="the files of gym-aloha 0.1.5 with mujoco 3.8.1",
            fix="install the locked packages again: scripts/setup.sh --force",
        ) from error
    model.opt.timestep = 1.0 / physics_rate_hz
    model.vis.quality.offsamples = 0  # multisampling costs half of a software-rendered view
    # the wrist cameras are 5 cm above the gripper; MuJoCo measures this in extents of the model
    model.vis.map.znear = NEAREST_VISIBLE_M / model.stat.extent
    return model


def _scene_path(scene_file: str) -> Path:
    # find_spec does not import the package, whose own dependencies are not needed here
    package = importlib.util.find_spec("gym_aloha")
    for folder in (package.submodule_search_locations or ()) if package else ():
        path = Path(folder) / "assets" / scene_file
        if path.is_file():
            return path
    raise SimulationError(
        "the ALOHA scene is not installed",
        where=f"gym_aloha/assets/{scene_file}",
        found="no such file",
        allowed="the files of gym-aloha 0.1.5",
        fix="run scripts/setup.sh, or pip install --no-deps gym-aloha==0.1.5",
    )


def _add_cameras(spec: Any) -> None:
    _add_camera(spec.worldbody, "cam_low", pos=(0, -0.15, 0.32), target=(0, 0.55, 0.12), fovy=58)
    for side in SIDES:
        gripper = spec.body(f"vx300s_{side}/gripper_link")  # x points along the fingers, z up
        _add_camera(
            gripper, f"cam_{side}_wrist", pos=(-0.05, 0, 0.1), target=(0.17, 0, -0.01), fovy=62
        )


def _add_camera(
    body: Any,
    name: str,
    *,
    pos: tuple[float, float, float],
    target: tuple[float, float, float],
    fovy: float,
) -> None:
    """Add a camera fixed to a body; positions in the body's frame, m; vertical view in degrees."""
    backward = np.subtract(pos, target)  # a MuJoCo camera looks along -z with y up
    right = np.cross((0.0, 0.0, 1.0), backward)
    camera = body.add_camera(name=name, pos=list(pos), fovy=fovy)
    camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_XYAXES
    camera.alt.xyaxes = np.concatenate([right, np.cross(backward, right)])


def _dress(spec: Any) -> None:
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.80, 0.86, 0.92],
        rgb2=[0.42, 0.47, 0.53],
        width=64,
        height=384,
    )
    spec.add_material(name="floor", specular=0, rgba=_GREY)
    # a box: MuJoCo draws a plane as many triangles, a third of a software-rendered view
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[3, 3, 0.05],
        pos=[0, 0.6, -0.8],
        contype=0,
        conaffinity=0,
        material="floor",
    )
    for geom in spec.geoms:
        if (colour := _colour(geom.name)) is not None:
            geom.rgba = colour
    spec.visual.headlight.ambient = [0.3, 0.3, 0.3]
    spec.visual.headlight.diffuse = [0.3, 0.3, 0.3]


def _colour(name: str) -> tuple[float, ...] | None:
    if name == "table":
        return _WOOD
    if name.startswith("red") or name == "pin":
        return _RED
    if name.startswith("socket"):
        return _BLUE
    if "gripper_finger" in name:
        return _ORANGE
    if name.startswith("vx300s"):
        return _DARKER if any(part in name for part in _DARKER_PARTS) else _DARK
    return None
