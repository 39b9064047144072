"""Robot adapters speak openpi's dialects exactly, and the contract's units outside."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vla_core.contract import load_contract
from vla_core.errors import PolicyError
from vla_core.transforms import (
    AbsoluteActions,
    DeltaActions,
    PadStatesAndActions,
    Transform,
    apply,
)
from vla_policy import robots
from vla_policy.models.config import FAST_IMAGE_KEYS, IMAGE_KEYS
from vla_policy.robots import aloha, droid, libero, trossen, ur5

ROOT = Path(__file__).resolve().parents[3]
FILES = ("robots", "trossen")
GOLDEN = ROOT / "test/golden/transforms"
ARRAYS = {k: v for f in FILES for k, v in np.load(GOLDEN / f"{f}.npz").items()}
ALL_CASES = [c for f in FILES for c in json.loads((GOLDEN / f"{f}.json").read_text())["cases"]]


Steps: TypeAlias = Callable[[dict[str, Any]], list[Transform]]


def flips(step: dict[str, Any]) -> list[Transform]:
    """openpi's own frame wins where both are asked for."""
    only_trossen = step.get("adapt_trossen_to_pi", False) and not step["adapt_to_pi"]
    return [trossen.Flip()] if only_trossen else []


def one(
    step: Callable[[dict[str, Any]], Transform],
) -> Callable[[dict[str, Any]], list[Transform]]:
    return lambda options: [step(options)]


STEPS: dict[str, Steps] = {
    "AlohaInputs": lambda s: [aloha.Inputs(adapt_to_pi=s["adapt_to_pi"]), *flips(s)],
    "AlohaOutputs": lambda s: [*flips(s), aloha.Outputs(adapt_to_pi=s["adapt_to_pi"])],
    "DroidInputs": one(lambda s: droid.Inputs(fast=s["model_type"] == "pi0_fast")),
    "DroidOutputs": one(lambda s: droid.Outputs()),
    "LiberoInputs": one(lambda s: libero.Inputs(fast=s["model_type"] == "pi0_fast")),
    "LiberoOutputs": one(lambda s: libero.Outputs()),
    "UR5Inputs": one(lambda s: ur5.Inputs(fast=s["model_type"] == "pi0_fast")),
    "UR5Outputs": one(lambda s: ur5.Outputs()),
    "DeltaActions": one(lambda s: DeltaActions(tuple(s["mask"]))),
    "AbsoluteActions": one(lambda s: AbsoluteActions(tuple(s["mask"]))),
    "PadStatesAndActions": one(lambda s: PadStatesAndActions(s["model_action_dim"])),
    "adjust_for_sim_to_real": one(lambda s: trossen.SimToReal()),
}
# Those of data sets have no part in a robot; CenterCropImages is tested in vla_core.
ELSEWHERE = {"SubsampleActions", "RepackTransform", "CenterCropImages"}
CASES = [c for c in ALL_CASES if not ELSEWHERE & {s["name"] for s in c["steps"]}]


def tree(entries: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for entry in entries.values():
        *parents, leaf = entry["path"]
        node = result
        for parent in parents:
            node = node.setdefault(parent, {})
        if "array" in entry:
            node[leaf] = ARRAYS[entry["array"]]
        else:
            node[leaf] = entry["text"] if "text" in entry else entry["bytes"].encode()
    return result


def steps_of(case: dict[str, Any]) -> list[Transform]:
    return [step for options in case["steps"] for step in STEPS[options["name"]](options)]


def assert_close(result: Any, expected: Any) -> None:
    assert set(result) == set(expected)
    for key, wanted in expected.items():
        if isinstance(wanted, dict):
            assert_close(result[key], wanted)
        elif isinstance(wanted, str):
            assert result[key] == wanted
        elif np.issubdtype(wanted.dtype, np.floating):
            tolerance = 1e-6 if wanted.dtype == np.float32 else 1e-9
            np.testing.assert_allclose(result[key], wanted, rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(result[key], wanted, strict=True)


def test_golden_cases_of_every_adapter_are_read() -> None:
    kinds = {"aloha", "droid", "libero", "trossen", "ur5", "generic"}
    assert {case["robot"] for case in CASES} == kinds
    assert len(CASES) == 31


@pytest.mark.parametrize(
    "case", [c for c in CASES if "error" not in c], ids=lambda case: case["name"]
)
def test_adapter_equals_openpi(case: dict[str, Any]) -> None:
    inputs = tree(case["inputs"])
    before = copy.deepcopy(inputs)
    assert_close(apply(steps_of(case), inputs), tree(case["outputs"]))
    np.testing.assert_equal(inputs, before)


@pytest.mark.parametrize("case", [c for c in CASES if "error" in c], ids=lambda case: case["name"])
def test_camera_of_another_robot_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match="cameras of another robot"):
        apply(steps_of(case), tree(case["inputs"]))


def aloha_state(finger_m: float) -> dict[str, Any]:
    example = aloha.make_example()
    example["state"][[6, 13]] = finger_m
    return example


@pytest.mark.parametrize(
    ("finger_m", "expected"),
    [(0.01844, -1.0798655), (0.03822, -0.1400559), (0.05800, 0.9456528)],
)
def test_aloha_finger_in_metres_reaches_the_model_as_pi_angle(
    finger_m: float, expected: float
) -> None:
    result = apply(robots.get("aloha").transforms().inputs, aloha_state(finger_m))
    np.testing.assert_allclose(result["state"][[6, 13]], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "share"), [(0.0, 0.5533778), (0.5, 0.7900866), (1.0, 1.0267954)]
)
def test_aloha_gripper_action_leaves_as_joint_angle(model: float, share: float) -> None:
    data = {"actions": np.full((3, 32), model), "state": np.zeros(32)}
    actions = apply(robots.get("aloha").transforms().outputs, data)["actions"]
    assert actions.shape == (3, 14)
    np.testing.assert_allclose(actions[:, [6, 13]], share * (1.4910 + 0.6213) - 0.6213, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in robots.ROBOTS if not n.endswith("sim_to_real")])
def test_training_actions_return_from_the_model_frame(name: str) -> None:
    robot = robots.get(name)
    example, rng = robot.make_example(), np.random.default_rng(0)
    example["actions"] = rng.uniform(-0.02, 0.02, (5, robot.action_dim)).cumsum(axis=0)
    example["actions"] += robot.hold(example["state"])
    if name.startswith("droid"):
        example["actions"][:, 7] = [0, 0, 1, 1, 0]
    group = robot.transforms()
    model = apply(group.inputs, example)
    padded = PadStatesAndActions(32)(model)
    actions = apply(group.outputs, {k: padded[k] for k in ("state", "actions")})["actions"]
    np.testing.assert_allclose(actions, example["actions"], atol=1e-12)


def test_still_model_output_keeps_the_aloha_arm_where_it_is() -> None:
    robot, example = robots.get("aloha"), aloha.make_example()
    group = robot.transforms()
    state = apply(group.inputs, example)["state"]
    actions = apply(group.outputs, {"actions": np.zeros((2, 32)), "state": state})["actions"]
    arm = np.delete(np.arange(14), [6, 13])
    np.testing.assert_allclose(actions[:, arm], np.tile(example["state"][arm], (2, 1)))


@pytest.mark.parametrize("name", ["aloha_agilex", "aloha_trossen"])
def test_grippers_of_other_alohas_pass_in_contract_units(name: str) -> None:
    example, group = robots.get(name).make_example(), robots.get(name).transforms()
    np.testing.assert_array_equal(apply(group.inputs, example)["state"], example["state"])
    data = {"actions": np.full((1, 32), 0.03), "state": np.zeros(32)}
    np.testing.assert_array_equal(apply(group.outputs, data)["actions"], np.full((1, 14), 0.03))


def test_aloha_hold_commands_the_gripper_angle_of_the_measured_finger() -> None:
    hold = robots.get("aloha").hold
    closed, still = hold(np.full(14, 0.01844)), hold(np.full(14, 0.058))
    np.testing.assert_array_equal(hold(np.full(14, -0.001))[[6, 13]], closed[[6, 13]])
    np.testing.assert_allclose(closed[[6, 13]], -0.6213, atol=1e-3)
    np.testing.assert_allclose(still[[6, 13]], 1.4910)
    assert still[0] == 0.058


@pytest.mark.parametrize("name", robots.ROBOTS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_adapters_do_not_change_their_inputs(name: str, data: st.DataObject) -> None:
    robot = robots.get(name)
    example, angles = robot.make_example(), st.floats(-4, 4, width=32)
    example["state"] = data.draw(hnp.arrays(np.float64, robot.state_dim, elements=angles))
    example["actions"] = data.draw(hnp.arrays(np.float64, (2, robot.action_dim), elements=angles))
    group = robot.transforms()
    steps = [*group.inputs, *group.outputs]
    for step in steps:
        before = copy.deepcopy(example)
        result = step(example)
        np.testing.assert_equal(example, before)
        example = example | result


@pytest.mark.parametrize(
    ("contract", "name"),
    [
        ("aloha", "aloha"),
        ("aloha_agilex", "aloha_agilex"),
        ("aloha_trossen", "aloha_trossen"),
        ("ur5e", "ur5"),
        ("ur3", "ur3"),
        ("franka", "droid"),
        ("franka", "droid_velocity"),
        ("franka", "plain"),
        *((file, "plain") for file in ("aloha", "ur5e")),
    ],
)
def test_shipped_contract_fits_its_adapter(contract: str, name: str) -> None:
    loaded = load_contract(ROOT / f"src/vla_bringup/config/robots/{contract}.yaml")
    robots.get(name, loaded).check(
        state_names=loaded.state,
        action_names=loaded.action_names,
        cameras=[camera.name for camera in loaded.cameras],
        units={joint.name: joint.unit for joint in loaded.joints.values()},
        policy_rate_hz=loaded.policy_rate_hz,
    )


UNITS = {quantity.name: quantity.unit for quantity in ur5.UR5.state}


@pytest.mark.parametrize(
    "change",
    [
        {"state_names": ("gripper", *ur5.UR5.state_names[:-1])},
        {"action_names": ur5.UR5.action_names[:-1]},
        {"cameras": ("base_rgb",)},
        {"cameras": (*ur5.CAMERAS, "cam_high")},
        {"units": {**UNITS, "elbow_joint": "m"}},
    ],
)
def test_contract_that_does_not_fit_is_refused_with_found_and_expected(change: dict) -> None:
    fit = {
        "state_names": ur5.UR5.state_names,
        "action_names": ur5.UR5.action_names,
        "cameras": ur5.CAMERAS,
        "units": UNITS,
    }
    ur5.UR5.check(**fit)
    with pytest.raises(PolicyError, match=r"do(es)? not fit") as caught:
        ur5.UR5.check(**(fit | change))
    assert caught.value.found
    assert caught.value.allowed


def test_unknown_robot_is_refused_with_the_list_of_those_known() -> None:
    with pytest.raises(PolicyError, match=r"aloha, .*aloha_trossen, .*ur5, .*droid, .*plain"):
        robots.get("atlas")


def test_every_quantity_has_a_name_of_its_own_a_unit_and_a_meaning() -> None:
    for robot in robots.ROBOTS.values():
        for quantities in (robot.state, robot.action):
            assert len({quantity.name for quantity in quantities}) == len(quantities)
            assert {quantity.unit for quantity in quantities} <= {"rad", "m", "1"}
            assert all(quantity.meaning for quantity in quantities)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", robots.ROBOTS)
def test_the_example_fills_the_declared_slots_and_sizes(name: str, fast: bool) -> None:
    robot = robots.get(name)
    result = apply(robot.transforms(fast=fast).inputs, robot.make_example())
    assert tuple(result["image"]) == tuple(result["image_mask"]) == robot.slots(fast=fast)
    assert result["state"].shape == (robot.model_state_dim,)
    actions = apply(
        robot.transforms(fast=fast).outputs,
        {"state": result["state"], "actions": np.zeros((3, max(robot.model_action_dim, 8)))},
    )["actions"]
    assert actions.shape == (3, robot.action_dim)
    assert robot.hold(robot.make_example()["state"]).shape == (robot.action_dim,)
    assert robot.make_observation("go").prompt == "go"
    assert robot.make_observation().prompt


def test_fast_slots_of_droid_have_names_of_their_own_and_stay_visible() -> None:
    robot = robots.get("droid")
    assert (robot.slots(), robot.slots(fast=True)) == (IMAGE_KEYS, FAST_IMAGE_KEYS)
    masks = apply(robot.transforms(fast=True).inputs, robot.make_example())["image_mask"]
    assert all(masks.values())


def test_droid_velocities_become_positions_step_by_step_from_the_measured_pose() -> None:
    velocity, state = np.zeros((3, 32)), np.zeros(32)
    velocity[:, 0], velocity[:, 1], velocity[:, 7] = [1.0, -0.5, 2.0], 0.1, [0.4, 0.51, 0.5]
    state[:2] = 0.3, -1.0
    outputs = robots.get("droid_velocity").transforms().outputs
    actions = apply(outputs, {"actions": velocity, "state": state})["actions"]
    np.testing.assert_allclose(actions[:, 0], [0.5, 0.4, 0.6])  # 2 is clipped to 1
    np.testing.assert_allclose(actions[:, 1], [-0.98, -0.96, -0.94])
    np.testing.assert_array_equal(actions[:, 7], [0, 1, 0])


def test_droid_velocities_are_refused_at_another_rate() -> None:
    robot = robots.get("droid_velocity")
    fit: dict[str, Any] = {
        "state_names": robot.state_names,
        "action_names": robot.action_names,
        "cameras": robot.cameras,
    }
    robot.check(**fit, policy_rate_hz=15.0)
    with pytest.raises(PolicyError, match="allowed: 15"):
        robot.check(**fit, policy_rate_hz=30.0)


def test_libero_pictures_are_turned_by_180_degrees() -> None:
    example = robots.get("libero").make_example()
    example["images"] = {camera: np.zeros((4, 6, 3), np.uint8) for camera in libero.CAMERAS}
    example["images"]["image"][0, 0] = 255
    image = apply(robots.get("libero").transforms().inputs, example)["image"]["base_0_rgb"]
    assert image.sum() == image[-1, -1].sum() == 3 * 255


def test_old_libero_models_add_the_state_to_their_actions() -> None:
    data = {"actions": np.full((2, 32), 0.5), "state": np.arange(32.0)}
    plain, delta = (
        apply(robots.get(name).transforms().outputs, data)["actions"]
        for name in ("libero", "libero_delta")
    )
    np.testing.assert_array_equal(delta - plain, [[0, 1, 2, 3, 4, 5, 0]] * 2)


def test_flipped_trossen_turns_the_second_joints_and_nothing_else() -> None:
    example = robots.get("aloha_trossen").make_example()
    plain, flipped = (
        apply(robots.get(name).transforms().inputs, example)["state"]
        for name in ("aloha_trossen", "aloha_trossen_flipped")
    )
    np.testing.assert_array_equal(np.flatnonzero(plain != flipped), [1, 8])
    np.testing.assert_array_equal(plain[[1, 8]], -flipped[[1, 8]])


def test_cropped_trossen_shows_the_model_the_middle_of_each_picture() -> None:
    example = robots.get("aloha_trossen").make_example()
    example["images"] = {c: np.zeros((480, 640, 3), np.uint8) for c in example["images"]}
    inputs = robots.get("aloha_trossen_flipped_cropped").transforms().inputs
    images = apply(inputs, example)["image"]
    assert {image.shape for image in images.values()} == {(480, 480, 3)}


def test_mixed_ur3_repeats_its_seven_numbers_to_those_of_two_arms() -> None:
    robot = robots.get("ur3_mixed")
    example = robot.make_example()
    example["actions"] = np.arange(14.0).reshape(2, 7)
    result = apply(robot.transforms().inputs, example)
    np.testing.assert_array_equal(result["state"], np.tile(example["state"], 2))
    np.testing.assert_array_equal(result["actions"], np.tile(example["actions"], (1, 2)))


def test_aloha_absolute_predicts_angles_and_not_differences() -> None:
    outputs = robots.get("aloha_absolute").transforms().outputs
    data = {"actions": np.full((1, 32), 0.25), "state": np.ones(32)}
    arm = np.delete(np.arange(14), [6, 13])
    actions = apply(outputs, data)["actions"]
    np.testing.assert_array_equal(actions[0, arm], 0.25 * aloha.FLIP[arm])
