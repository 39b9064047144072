"""policy_node with a policy that does what its prompt says: move, or one of the planted faults."""

from __future__ import annotations

import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from vla_core.contract import Contract
from vla_core.types import FloatArray, Observation
from vla_policy.nodes import policy_node
from vla_policy.nodes.lifecycle import run

SPEED = 0.3  # rad/s of the first joint
FAR = 0.5  # rad, where it turns
SLOW_S = 1.5  # longer than a chunk
EATEN_BYTES, MOUTHFUL_BYTES = 1 << 29, 1 << 16
LOADS_S = 300.0  # the checkpoint "slow", as a large one may


class FaultyPolicy:
    """Sways the first joint; other prompts are faults: see ``infer``."""

    needs_prompt = True

    def __init__(self, contract: Contract) -> None:
        self.action_names = contract.action_names
        self.horizon = round(contract.policy_rate_hz)  # a second
        self._column = contract.state.index(contract.action_names[0])
        self._step = SPEED / contract.policy_rate_hz
        self._goal = FAR
        self._eaten: list[bytes] = []

    def reset(self) -> None:
        """Nothing to forget."""

    def infer(
        self, observation: Observation, *, noise: Any = None, previous: Any = None
    ) -> FloatArray:
        """One chunk, (H, A), or a fault."""
        actions = self._sway(observation.state)
        match observation.prompt:
            case "raise":
                raise RuntimeError("planted fault")
            case "memory":
                np.empty(1 << 60)
            case "eat":
                self._eat()
            case "hang":
                threading.Event().wait()
            case "freeze":
                sum(range(1 << 60))  # in C, with Python's lock
            case "slow":
                time.sleep(SLOW_S)
            case "nan":
                actions[3, 0] = np.nan
            case "short":
                return actions[:, :-1]
        return actions

    def _eat(self) -> None:
        """All the memory that a limit of the system leaves; it stays eaten."""
        if not self._eaten:
            in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            limits = (in_use + EATEN_BYTES, resource.RLIM_INFINITY)
            resource.setrlimit(resource.RLIMIT_AS, limits)
        while True:
            self._eaten.append(b"\x01" * MOUTHFUL_BYTES)

    def _sway(self, state: FloatArray) -> FloatArray:
        start = state[self._column]
        if abs(start - self._goal) < self._step:
            self._goal = -self._goal
        actions = np.tile(state, (self.horizon, 1))
        moved = np.arange(self.horizon) * self._step * np.sign(self._goal - start)
        actions[:, 0] = np.clip(start + moved, -FAR, FAR)
        return actions


def _open(checkpoint: str, contract: Contract, **_options: object) -> FaultyPolicy:
    if checkpoint == "slow":
        time.sleep(LOADS_S)
    return FaultyPolicy(contract)


def main(args: list[str] | None = None) -> int:
    """Run the real policy_node with the faulty policy in the place of a checkpoint."""
    policy_node.open_policy = _open  # type: ignore[assignment]
    return run(policy_node.PolicyNode, args)


if __name__ == "__main__":
    sys.exit(main())
