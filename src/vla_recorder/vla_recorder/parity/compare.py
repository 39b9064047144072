"""Both sides of a bag at the same ticks: what the running node's model sees, and what conversion
makes of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vla_core.contract import Contract
from vla_policy.policies.inputs_log import model_inputs, seeing
from vla_policy.policies.open import open_policy
from vla_recorder.convert.sources import sensors
from vla_recorder.parity.live import ParityError, PolicyProcess
from vla_recorder.parity.recorded import read_ticks

PERIODS_NS = (200_000_000, 1_000_000_000, 10_000_000_000)


def compare(
    bag: Path,
    contract: Contract,
    *,
    checkpoint: str,
    prompt: str,
    count: int,
    domain: int,
    folder: Path,
) -> dict[str, Any]:
    """How both sides differ, as JSON has it.

    Raises:
        ParityError, BagError, ConvertError, CheckpointError: One of them cannot run.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    policy = seeing(open_policy(checkpoint, contract, device="cpu"))
    period_ns = _period_ns(contract)
    ticks = read_ticks(bag, contract, count=count, period_ns=period_ns, prompt=prompt)
    found: list[dict[str, Any]] = []
    compared = 0
    with PolicyProcess(
        contract=contract,
        checkpoint=checkpoint,
        prompt=prompt,
        period_ns=period_ns,
        folder=folder,
        domain=domain,
    ) as node:
        for number, recorded in enumerate(ticks):
            stamp_ns = recorded.observation.stamp_ns
            if number == 0:
                node.wait_ready(stamp_ns - period_ns)
            file = node.tick(stamp_ns, recorded.heard)
            offline = model_inputs(policy, recorded.observation)
            compared += 1
            if file is None:
                found.append({"stamp_ns": stamp_ns, "live": "no observation"})
            else:
                with np.load(file) as live:
                    found += differences(stamp_ns, dict(live), offline)
                file.unlink()
    if not compared:
        raise ParityError(
            "no tick of the bag has a fresh message of every stream",
            where=str(bag),
            fix="ros2 run vla_recorder convert says which streams it lacks",
        )
    return {
        "bag": str(bag),
        "ticks": compared,
        "arrays": sorted(offline),
        "differences": found,
        "equal": not found,
    }


def differences(
    stamp_ns: int, live: Mapping[str, Any], offline: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """One entry for each array that is not the same, bit for bit."""
    found = []
    for name in sorted(live.keys() | offline.keys()):
        one, other = live.get(name), offline.get(name)
        if one is None or other is None:
            side = "offline" if one is None else "live"
            found.append({"stamp_ns": stamp_ns, "array": name, "only": side})
            continue
        same = one.dtype == other.dtype and one.shape == other.shape
        if not same or one.tobytes() != other.tobytes():
            changed = int((one != other).sum()) if same else max(one.size, other.size)
            found.append({"stamp_ns": stamp_ns, "array": name, "values": changed})
    return found


def _period_ns(contract: Contract) -> int:
    """Long enough for a message of every stream."""
    slowest_hz = min(source.rate_hz for source in sensors(contract))
    return next((p for p in PERIODS_NS if p >= 1e9 / slowest_hz), PERIODS_NS[-1])
