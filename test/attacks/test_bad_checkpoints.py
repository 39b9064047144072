"""A checkpoint that is absent, damaged, hostile or for another robot is refused."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from vla_system_tests.messages import check_one_clear_message
from vla_system_tests.processes import Process
from vla_system_tests.system import SMALL_ROBOT, System


class Payload:
    """Unpickled, it writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def _truncated(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def _huge_header(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes((1 << 62).to_bytes(8, "little") + weights.read_bytes()[8:])


def _other_width(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["action_dim"] = 5
    (folder / "config.json").write_text(json.dumps(config))


def _without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _pickled(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    with (folder / "pytorch_model.bin").open("wb") as file:
        pickle.dump(Payload(folder / "it ran"), file)


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


# Name: (what is done to a sound checkpoint, words of the message)
DAMAGED: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (shutil.rmtree, "found: nothing"),
    "empty": (_emptied, "found: an empty directory"),
    "truncated": (_truncated, "model.safetensors"),
    "huge header": (_huge_header, "model.safetensors"),
    "other width": (_other_width, "5"),
    "no config": (_without_config, "config.json"),
    "pickled": (_pickled, "pickled weights are refused"),
}


def _policy(system: System, checkpoint: Path | str, **parameters: object) -> Process:
    return system.start_node(
        "vla_policy",
        "policy_node",
        contract=SMALL_ROBOT,
        checkpoint=checkpoint,
        prompt="wave",
        **parameters,
    )


@pytest.mark.parametrize("name", DAMAGED)
def test_P11_a_damaged_checkpoint_is_one_clear_message_and_exit_1(
    system: System, checkpoint: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    damage, words = DAMAGED[name]
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint("ur5"), folder)
    damage(folder)
    policy = _policy(system, folder, autostart=True)
    assert policy.wait(120) == 1, policy
    check_one_clear_message(policy.output, "CHECKPOINT", str(folder), words)
    assert not (folder / "it ran").exists()


@pytest.mark.parametrize("stated", [True, False])
def test_a_checkpoint_for_another_robot_is_refused(
    system: System, checkpoint: Callable[[str], Path], tmp_path: Path, stated: bool
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint("aloha"), folder)
    if not stated:  # as openpi writes it: only the statistics tell
        config = json.loads((folder / "config.json").read_text())
        del config["robot"]
        (folder / "config.json").write_text(json.dumps(config))
    policy = _policy(system, folder, autostart=True)
    assert policy.wait(120) == 1, policy
    code, words = ("POLICY", "fit robot aloha") if stated else ("CHECKPOINT", "fit robot ur5")
    check_one_clear_message(policy.output, code, words, "; do: ")


def test_a_launch_with_a_missing_checkpoint_exits_with_1_and_moves_nothing(
    system: System, tmp_path: Path
) -> None:
    launch = system.launch(
        "ur5.launch.py", checkpoint=tmp_path / "nothing", contract=SMALL_ROBOT, sim="true"
    )
    assert launch.wait(120) == 1, launch
    check_one_clear_message(launch.output, "CHECKPOINT", "; do: ")
    assert len(system.commanded) == 0


def test_without_autostart_the_lifecycle_transition_fails_and_may_be_tried_again(
    system: System, tmp_path: Path
) -> None:
    policy = _policy(system, tmp_path / "nothing")
    for _ in range(2):
        asked = system.start("ros2", "lifecycle", "set", "/policy_node", "configure")
        asked.wait(120)
        assert "Transitioning failed" in asked.output
    asked = system.start("ros2", "lifecycle", "get", "/policy_node")
    assert asked.wait(60) == 0
    assert "unconfigured [1]" in asked.output
    assert policy.is_running()
    assert policy.output.count("[CHECKPOINT]") == 2
    assert "Traceback" not in policy.output
