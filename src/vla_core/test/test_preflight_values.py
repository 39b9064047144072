"""Preflight: joints against limits and units, pictures, the state against its statistics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from preflight_robot import CONTRACT, bad, judge, only, pictures, sound, source
from robot_contract import TEXT

from vla_core.contract import parse_contract
from vla_core.preflight.findings import Level
from vla_core.preflight.measured import Measured, Pixels
from vla_core.preflight.pictures import judge_pictures
from vla_core.preflight.statistics import Trained, judge_statistics
from vla_core.scaling import Formula, Scaling
from vla_core.stats import NormStats


def joint(name: str, value: float) -> Measured:
    stream = next(stream for stream in CONTRACT.streams if name in stream.joints)
    joints = {**sound().sources[stream.name].joints, name: np.full(9, value)}
    return source(stream.name, joints=joints)


@pytest.mark.parametrize(
    ("name", "value", "unit"),
    [("a", 57.3, "degrees"), ("b", -45.0, "degrees"), ("g", 0.9, "a share from 0 to 1")],
)
def test_another_unit_is_recognised(name: str, value: float, unit: str) -> None:
    found = only(joint(name, value))
    assert (found.level, found.check) == (Level.FAIL, "units")
    assert unit in found.found
    assert name in found.found


def test_metres_in_millimetres_and_shares_in_percent_are_recognised() -> None:
    for kind, span, value, unit in (
        ("m", "[0, 0.08]", 40.0, "millimetres"),
        ('"1"', "[0, 1]", 80.0, "percent"),
        ('"1"', "[0, 1]", 200.0, "0 to 255"),
    ):
        text = TEXT.replace("unit: rad, range: [0, 0.08]", f"unit: {kind}, range: {span}")
        contract = parse_contract(text)
        found = [f for f in judge(contract, joint("g", value)) if f.check == "units"]
        assert [unit in f.found for f in found] == [True], (unit, found)


@pytest.mark.parametrize(
    ("value", "levels"),
    [(2.0, []), (2.03, []), (2.2, [Level.WARN]), (-2.2, [Level.WARN]), (500.0, [Level.FAIL])],
)
def test_joints_beyond_their_limits_are_found(value: float, levels: list[Level]) -> None:
    assert bad(joint("a", value)) == [(level, "joints", "/joint_states") for level in levels]


def two_cameras(
    top: tuple[Pixels, ...], side: tuple[Pixels, ...], simulated: bool = False
) -> list:
    camera = CONTRACT.cameras[0]
    cameras = (camera, replace(camera, name="side", topic="/side"))
    given = sound().sources["top"]
    sources = {"top": replace(given, pictures=top), "side": replace(given, pictures=side)}
    found = judge_pictures(cameras, sources, simulated=simulated)
    return [(f.level, f.where) for f in found if f.level is not Level.PASS]


def test_a_frozen_camera_beside_a_live_one_fails() -> None:
    frozen = pictures(1)[:1] * 3
    assert two_cameras(pictures(0), pictures(1)) == []
    assert two_cameras(frozen, pictures(0)) == [(Level.FAIL, "/top")]
    assert two_cameras(pictures(0), frozen) == [(Level.FAIL, "/side")]


def test_pictures_that_all_stand_still_warn_unless_simulated() -> None:
    """A simulation at rest has no noise; to tell it from frozen cameras, something must move."""
    still = pictures(0)[:1] * 3, pictures(1)[:1] * 3
    assert two_cameras(*still) == [(Level.WARN, "/top"), (Level.WARN, "/side")]
    assert two_cameras(*still, simulated=True) == []


def test_a_black_camera_fails() -> None:
    black = (np.zeros((48, 64, 3), np.uint8),) * 3
    assert two_cameras(pictures(0), black) == [(Level.FAIL, "/side")]
    assert two_cameras(black, black) == [(Level.FAIL, "/top"), (Level.FAIL, "/side")]


def test_two_topics_of_one_camera_fail() -> None:
    one, two, three = pictures(0)
    later = (three, one, two)
    assert two_cameras((one, two, three), later) == [(Level.FAIL, "/top")]


def test_a_depth_camera_is_not_called_black() -> None:
    depth = tuple(np.full((4, 4), k, np.uint16) for k in range(3))
    assert two_cameras(depth, pictures(0)) == []


def trained(scaling: Scaling = Scaling.Z_SCORE, **changes: object) -> Trained:
    mean, std = np.array([0.5, -0.2, 0.04]), np.array([0.3, 0.2, 0.02])
    stats = NormStats(mean=mean, std=std, q01=mean - 2 * std, q99=mean + 2 * std)
    made = Trained(
        stats=stats,
        scaling=scaling,
        formula=Formula.OPENPI,
        labels=("a", "b", "g"),
        reach=np.array([[-2.0, -1.0, 0.0], [2.0, 1.0, 0.08]]),
        grippers=(False, False, True),
        where="tester",
    )
    return replace(made, **changes)


def judged(state: list[float], given: Trained) -> list[tuple[Level, str]]:
    found = list(judge_statistics(given, np.array(state)))
    assert all(f.where == "tester" for f in found)
    assert all(bool(f.advice) is (f.level is not Level.PASS) for f in found)
    return [(f.level, f.found.split(":")[0].split(" ")[0]) for f in found if f.advice]


@pytest.mark.parametrize("scaling", [Scaling.Z_SCORE, Scaling.QUANTILES, Scaling.IDENTITY])
def test_a_state_near_the_training_data_passes(scaling: Scaling) -> None:
    assert judged([0.6, -0.1, 0.05], trained(scaling)) == []


@pytest.mark.parametrize(
    ("scaling", "far", "very_far"),
    [(Scaling.Z_SCORE, 1.7, 4.0), (Scaling.QUANTILES, 1.7, 4.0), (Scaling.IDENTITY, 1.7, 4.0)],
)
def test_a_state_far_from_the_training_data_is_found_by_name(
    scaling: Scaling, far: float, very_far: float
) -> None:
    assert judged([far, -0.2, 0.04], trained(scaling)) == [(Level.WARN, "a")]
    assert judged([very_far, -0.2, 0.04], trained(scaling)) == [(Level.FAIL, "a")]


def test_a_joint_that_stood_still_in_training_may_jitter() -> None:
    stats = replace(trained().stats, std=np.array([0.0, 0.2, 0.02]), q01=None, q99=None)
    assert judged([0.51, -0.2, 0.04], trained(stats=stats)) == [(Level.WARN, "a")]
    assert judged([0.9, -0.2, 0.04], trained(stats=stats)) == [(Level.FAIL, "a")]


def test_statistics_that_the_robot_cannot_reach_fail_wherever_it_is() -> None:
    """Trained with grippers from 0 to 1, while this contract has them in metres."""
    stats = replace(trained().stats, mean=np.array([0.5, -0.2, 0.5]))
    assert judged([0.5, -0.2, 0.04], trained(stats=stats)) == [(Level.FAIL, "g")]


def test_a_gripper_that_training_hardly_moved_on_this_scale_warns() -> None:
    """Trained in metres, while this contract has the gripper from 0 to 1."""
    reach = np.array([[-2.0, -1.0, 0.0], [2.0, 1.0, 1.0]])
    assert judged([0.5, -0.2, 0.05], trained(reach=reach)) == [(Level.WARN, "g")]


def test_dimensions_that_no_joint_moves_are_padding() -> None:
    reach = np.array([[-2.0, -1.0, 0.0], [2.0, 1.0, 0.0]])
    assert judged([0.5, -0.2, 9.0], trained(reach=reach)) == []
