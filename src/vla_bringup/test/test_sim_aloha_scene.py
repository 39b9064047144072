"""The MuJoCo ALOHA follows commands in the real robot's units, and draws what it does."""

import importlib.util
from collections.abc import Iterator

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_bringup.sim.aloha_model import CAMERAS
from vla_bringup.sim.aloha_robot import (
    ARM_JOINTS,
    START_ARM_RAD,
    finger_from_gripper,
    gripper_from_finger,
)
from vla_bringup.sim.aloha_scene import AlohaScene
from vla_bringup.sim.simulated_robot import SimulationError

CUBE = slice(16, 19)  # position of the cube in a snapshot


@pytest.fixture
def scene() -> Iterator[AlohaScene]:
    scene = AlohaScene(seed=1)
    yield scene
    scene.close_renderer()


def test_both_arms_start_at_the_pose_of_aloha(scene: AlohaScene) -> None:
    positions = scene.positions()
    for side in ("left", "right"):
        found = [positions[f"{side}_{joint}"] for joint in ARM_JOINTS]
        np.testing.assert_allclose(found, START_ARM_RAD)
        assert positions[f"{side}_finger"] == pytest.approx(0.02239)
        assert positions[f"{side}_gripper"] == pytest.approx(gripper_from_finger(0.02239))


def test_seed_decides_where_the_cube_starts() -> None:
    cubes = [AlohaScene(seed=seed).snapshot()[CUBE] for seed in (3, 3, 4)]
    np.testing.assert_array_equal(cubes[0], cubes[1])
    assert not np.array_equal(cubes[0], cubes[2])
    for x, y, _ in cubes:
        assert 0.0 <= x <= 0.2
        assert 0.4 <= y <= 0.6


def test_arm_reaches_its_targets_and_the_other_stays(scene: AlohaScene) -> None:
    targets = {
        "left_waist": 0.4,
        "left_shoulder": -0.6,
        "left_elbow": 0.8,
        "left_wrist_angle": 0.5,
    }
    scene.command(targets)
    scene.step(2.0)
    positions = scene.positions()
    for name, target in targets.items():
        assert positions[name] == pytest.approx(target, abs=0.02)
    assert positions["right_shoulder"] == pytest.approx(-0.96, abs=0.02)
    assert all(abs(rate) < 0.01 for rate in scene.velocities().values())


def test_gripper_angle_opens_the_fingers_by_the_real_robots_map(scene: AlohaScene) -> None:
    scene.command({"left_gripper": 1.0})
    scene.step(2.0)
    positions = scene.positions()
    assert positions["left_gripper"] == pytest.approx(1.0, abs=0.02)
    assert positions["left_finger"] == pytest.approx(finger_from_gripper(1.0), abs=5e-4)
    assert positions["right_finger"] == pytest.approx(0.02239, abs=5e-4)


def test_closed_and_open_gripper_are_the_constants_of_the_follower() -> None:
    assert finger_from_gripper(-0.6213) == pytest.approx(0.01844)
    assert finger_from_gripper(1.4910) == pytest.approx(0.05800)


@given(st.floats(min_value=-1, max_value=2))
def test_gripper_map_is_undone_by_its_inverse(angle_rad: float) -> None:
    assert gripper_from_finger(finger_from_gripper(angle_rad)) == pytest.approx(
        angle_rad, abs=1e-9
    )


def test_command_beyond_a_joints_range_stops_at_its_end(scene: AlohaScene) -> None:
    scene.command({"right_elbow": 9.0})
    scene.step(2.0)
    assert scene.positions()["right_elbow"] < 1.6057 + 0.03


@pytest.mark.parametrize(
    "targets",
    [{"left_waist": float("nan")}, {"left_gripper": float("inf")}, {"middle_waist": 0.0},
     {"left_tail": 0.0}, {"left_mirrored": 0.03}],
)  # fmt: skip
def test_command_that_cannot_be_followed_is_refused(
    scene: AlohaScene, targets: dict[str, float]
) -> None:
    with pytest.raises(SimulationError, match=next(iter(targets))):
        scene.command(targets)
    scene.step(0.1)
    assert np.isfinite(scene.snapshot()).all()


def test_time_is_advanced_by_whole_steps_and_the_rest_is_kept(scene: AlohaScene) -> None:
    assert [scene.step(0.005), scene.step(0.005), scene.step(0.0001)] == [2, 3, 0]


def test_physics_rate_is_the_number_of_steps_per_second() -> None:
    assert AlohaScene(physics_rate_hz=1000.0).step(0.5) == 500


def test_colours_leave_the_dynamics_as_they_are() -> None:
    scenes = [AlohaScene(seed=2, dressed=dressed) for dressed in (True, False)]
    for scene in scenes:
        scene.command({"left_waist": 0.3, "right_gripper": 1.2})
        scene.step(0.5)
    np.testing.assert_allclose(scenes[0].snapshot(), scenes[1].snapshot(), atol=1e-9)


def test_diverged_physics_is_an_error_and_not_a_jump_home(scene: AlohaScene) -> None:
    scene._data.qvel[0] = 1e30
    with pytest.raises(SimulationError, match="diverged"):
        scene.step(0.01)


def test_every_camera_draws_a_picture_of_its_own(scene: AlohaScene) -> None:
    pictures = [scene.render(camera, 160, 120) for camera in CAMERAS]
    for number, picture in enumerate(pictures):
        assert picture.shape == (120, 160, 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 10
        assert all(not np.array_equal(picture, other) for other in pictures[:number])


def test_cube_is_red_in_the_high_camera(scene: AlohaScene) -> None:
    picture = scene.render("cam_high", 320, 240).astype(int)
    red = (picture[..., 0] > 2 * picture[..., 1]) & (picture[..., 0] > 100)
    assert 20 < red.sum() < 2000


def test_picture_shows_the_snapshot_and_not_the_present(scene: AlohaScene) -> None:
    snapshot = scene.snapshot()
    before = scene.render("cam_high", 160, 120, snapshot)
    scene.command({"left_waist": 0.8})
    scene.step(1.0)
    np.testing.assert_array_equal(scene.render("cam_high", 160, 120, snapshot), before)
    assert not np.array_equal(scene.render("cam_high", 160, 120), before)


def test_unknown_camera_is_refused_with_those_there_are(scene: AlohaScene) -> None:
    with pytest.raises(SimulationError, match=r"cam_sky.*cam_high, cam_low"):
        scene.render("cam_sky", 64, 48)


def test_rendering_that_cannot_start_names_the_packages(
    scene: AlohaScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no EGL display")

    monkeypatch.setattr(mujoco, "Renderer", broken)
    with pytest.raises(SimulationError, match=r"no EGL display.*libegl1 libegl-mesa0"):
        scene.render("cam_high", 64, 48)


def test_absent_scene_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SimulationError, match=r"not installed.*gym-aloha==0\.1\.5"):
        AlohaScene()
