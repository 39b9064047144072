"""Robot adapters speak openpi's dialects exactly, and the contract's units outside."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

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
from vla_policy.robots import aloha, droid, ur5

ROOT = Path(__file__).resolve().parents[3]
ARRAYS = np.load(ROOT / "test/golden/transforms/robots.npz")
ALL_CASES = json.loads((ROOT / "test/golden/transforms/robots.json").read_text())["cases"]
STEPS = {
    "AlohaInputs": lambda s: aloha.Inputs(adapt_to_pi=s["adapt_to_pi"]),
    "AlohaOutputs": lambda s: aloha.Outputs(adapt_to_pi=s["adapt_to_pi"]),
    "DroidInputs": lambda s: droid.Inputs(fast=s["model_type"] == "pi0_fast"),
    "DroidOutputs": lambda s: droid.Outputs(),
    "UR5Inputs": lambda s: ur5.Inputs(fast=s["model_type"] == "pi0_fast"),
    "UR5Outputs": lambda s: ur5.Outputs(),
    "DeltaActions": lambda s: DeltaActions(tuple(s["mask"])),
    "AbsoluteActions": lambda s: AbsoluteActions(tuple(s["mask"])),
    "PadStatesAndActions": lambda s: PadStatesAndActions(s["model_action_dim"]),
}
CASES = [case for case in ALL_CASES if {s["name"] for s in case["steps"]} <= set(STEPS)]
EXAMPLES = {
    "aloha": aloha.make_example,
    "ur5": ur5.make_example,
    "droid": droid.make_example,
    "aloha_agilex": aloha.make_example,
    "aloha_trossen": aloha.make_example,
}


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
    return [STEPS[step["name"]](step) for step in case["steps"]]


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
    assert {case["robot"] for case in CASES} == {"aloha", "droid", "ur5", "generic"}
    assert len(CASES) == 20


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


@pytest.mark.parametrize("name", robots.ROBOTS)
def test_training_actions_return_from_the_model_frame(name: str) -> None:
    robot, example = robots.get(name), EXAMPLES[name]()
    rng = np.random.default_rng(0)
    example["actions"] = example["state"] + rng.uniform(-0.1, 0.1, (5, robot.action_dim))
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
    example = aloha.make_example()
    group = robots.get(name).transforms()
    np.testing.assert_array_equal(apply(group.inputs, example)["state"], example["state"])
    data = {"actions": np.full((1, 32), 0.03), "state": np.zeros(32)}
    np.testing.assert_array_equal(apply(group.outputs, data)["actions"], np.full((1, 14), 0.03))


def test_aloha_hold_commands_the_gripper_angle_of_the_measured_finger() -> None:
    hold = robots.get("aloha").hold
    closed, still = hold(np.full(14, 0.01844)), hold(np.full(14, 0.058))
    np.testing.assert_allclose(closed[[6, 13]], -0.6213, atol=1e-3)
    np.testing.assert_allclose(still[[6, 13]], 1.4910)
    assert still[0] == 0.058


@pytest.mark.parametrize("name", robots.ROBOTS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_adapters_do_not_change_their_inputs(name: str, data: st.DataObject) -> None:
    robot, example = robots.get(name), EXAMPLES[name]()
    angles = st.floats(-4, 4, width=32)
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
        ("ur3", "ur5"),
        ("franka", "droid"),
    ],
)
def test_shipped_contract_fits_its_adapter(contract: str, name: str) -> None:
    loaded = load_contract(ROOT / f"src/vla_bringup/config/robots/{contract}.yaml")
    robots.get(name).check(
        state_names=loaded.state,
        action_names=loaded.action_names,
        cameras=[camera.name for camera in loaded.cameras],
    )


@pytest.mark.parametrize(
    "change",
    [
        {"state_names": ("gripper", *ur5.UR5.state_names[:-1])},
        {"action_names": ur5.UR5.action_names[:-1]},
        {"cameras": ("base_rgb",)},
        {"cameras": (*ur5.CAMERAS, "cam_high")},
    ],
)
def test_contract_that_does_not_fit_is_refused_with_found_and_expected(change: dict) -> None:
    fit = {
        "state_names": ur5.UR5.state_names,
        "action_names": ur5.UR5.action_names,
        "cameras": ur5.CAMERAS,
    }
    ur5.UR5.check(**fit)
    with pytest.raises(PolicyError, match=r"do(es)? not fit") as caught:
        ur5.UR5.check(**(fit | change))
    assert caught.value.found
    assert caught.value.allowed


def test_unknown_robot_is_refused_with_the_list_of_those_known() -> None:
    with pytest.raises(PolicyError, match="aloha, aloha_agilex, aloha_trossen, ur5, droid"):
        robots.get("atlas")
