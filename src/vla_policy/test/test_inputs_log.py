"""What a model sees is kept as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vla_core.contract import load_contract
from vla_core.errors import PolicyError
from vla_core.types import Observation
from vla_policy.cli import make_random_checkpoint
from vla_policy.policies.inputs_log import InputsLog, model_inputs, seeing
from vla_policy.policies.open import HOLD, open_policy

UR5E = Path(__file__).resolve().parents[2] / "vla_bringup/config/robots/ur5e.yaml"


def observation() -> Observation:
    contract, random = load_contract(UR5E), np.random.default_rng(0)
    return Observation(
        stamp_ns=1_500_000_000,
        state=random.uniform(-1, 1, len(contract.state)),
        images={
            camera.name: random.integers(0, 255, (camera.height, camera.width, 3), np.uint8)
            for camera in contract.cameras
        },
        prompt="wave",
    )


def test_the_file_holds_what_the_model_sees(tmp_path: Path) -> None:
    output = ["--output", str(tmp_path / "ckpt"), "--robot", "ur5"]
    assert make_random_checkpoint.main(output) == 0
    policy = open_policy(str(tmp_path / "ckpt"), load_contract(UR5E), device="cpu")
    InputsLog(tmp_path / "log", policy).write(observation())
    assert [file.name for file in (tmp_path / "log").iterdir()] == ["1500000000.npz"]
    with np.load(tmp_path / "log/1500000000.npz") as kept:
        seen = model_inputs(seeing(policy), observation())
        assert sorted(kept) == sorted(seen)
        assert "image/base_0_rgb" in seen
        for name, array in seen.items():
            assert kept[name].dtype == array.dtype
            np.testing.assert_array_equal(kept[name], array)


def test_a_policy_without_a_model_has_none(tmp_path: Path) -> None:
    policy = open_policy(HOLD, load_contract(UR5E))
    with pytest.raises(PolicyError, match=r"no inputs to show.*HoldPolicy"):
        InputsLog(tmp_path, policy)
