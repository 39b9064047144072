"""The plain adapter passes a contract's own numbers and refuses what it cannot map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vla_core.contract import Contract, load_contract, parse_contract
from vla_core.errors import PolicyError
from vla_core.transforms import apply
from vla_policy import robots

FILE = Path(__file__).resolve().parents[3] / "src/vla_bringup/config/robots/franka.yaml"
SLOTS = {"wrist_image_left": "observation.images.wrist"}


def franka() -> Contract:
    return load_contract(FILE)


def test_numbers_pass_as_they_are_and_cameras_keep_their_names() -> None:
    robot = robots.get("plain", franka())
    example = robot.make_example() | {"actions": np.arange(16.0).reshape(2, 8)}
    result = apply(robot.transforms().inputs, example)
    np.testing.assert_array_equal(result["state"], example["state"])
    np.testing.assert_array_equal(result["actions"], example["actions"])
    assert tuple(result["image"]) == robot.slots() == robot.cameras
    padded = {"actions": np.arange(64.0).reshape(2, 32), "state": np.zeros(32)}
    actions = apply(robot.transforms().outputs, padded)["actions"]
    np.testing.assert_array_equal(actions, padded["actions"][:, :8])


def test_cameras_go_to_the_slots_that_are_named_and_others_are_not_needed() -> None:
    robot = robots.get("plain", franka(), slots=SLOTS)
    example = robot.make_example()
    assert robot.required_cameras == ("wrist_image_left",)
    assert robot.slots() == robot.slots(fast=True) == ("observation.images.wrist",)
    image = apply(robot.transforms().inputs, example)["image"]
    np.testing.assert_array_equal(
        image["observation.images.wrist"], example["images"]["wrist_image_left"]
    )


def test_a_camera_that_the_contract_lacks_is_refused() -> None:
    with pytest.raises(PolicyError, match="allowed: top"):
        robots.get("plain", franka(), slots={"top": "base_0_rgb"})


def test_plain_needs_a_contract() -> None:
    with pytest.raises(PolicyError, match="unknown robot adapter"):
        robots.get("plain")


def test_hold_follows_names_and_stops_velocities() -> None:
    text = FILE.read_text()
    state = "state: [fr3_joint1, fr3_joint2,"
    assert state in text
    swapped = parse_contract(text.replace(state, "state: [fr3_joint2, fr3_joint1,"))
    action = robots.get("plain", swapped).hold(np.arange(8.0))
    np.testing.assert_array_equal(action, [1, 0, 2, 3, 4, 5, 6, 7])


def test_an_action_joint_outside_the_state_cannot_be_held() -> None:
    text = FILE.read_text().replace("state: [fr3_joint1, ", "state: [")
    with pytest.raises(PolicyError, match="found: fr3_joint1"):
        robots.get("plain", parse_contract(text)).hold(np.zeros(7))
