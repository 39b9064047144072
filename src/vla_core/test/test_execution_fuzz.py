"""P1 over many hostile chunks, through the whole executor: only what it publishes is judged."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from executor_rig import MS, SECOND, STEP, Rig
from guard_rig import assert_within_limits
from robot_contract import TEXT

from vla_core.chunk import ActionChunk
from vla_core.errors import ChunkError
from vla_core.strategies import STRATEGIES

CHUNKS = int(os.environ.get("VLA_FUZZ_CHUNKS", "2000"))  # 10000 takes about a minute
CHUNKS_PER_ROBOT = 50
SMOOTH = TEXT
for acceleration in ("10", "5"):
    SMOOTH = SMOOTH.replace(
        f"acceleration: {acceleration}}}", f"acceleration: {acceleration}, jerk: 150}}"
    )


def hostile(rng: np.random.Generator, rig: Rig) -> ActionChunk:
    """From the pose, or not; smooth, noisy, jumping, or absurd; of any length and age."""
    steps = int(rng.integers(2, 60))
    actions = rig.pose + np.cumsum(rng.normal(0, rng.choice([0, 0.01, 0.1]), (steps, 3)), axis=0)
    actions[0] = rig.pose + rng.normal(0, 0.1, 3)
    if rng.random() < 0.3:
        bad = rng.choice([1e300, -1e300, np.nan, np.inf, 3.0, -1e-300])
        actions[rng.integers(1, steps) :, rng.integers(3)] = bad
    stamp_ns = rig.now_ns - int(rng.choice([0, 20 * MS, 200 * MS, SECOND, -4 * MS, -SECOND]))
    return ActionChunk(stamp_ns=stamp_ns, step_ns=STEP, actions=actions)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the chunks are absurd
def test_p1_no_hostile_chunk_leads_to_a_command_beyond_the_limits(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    rng = np.random.default_rng(3)
    executed = 0
    for robot in range(CHUNKS // CHUNKS_PER_ROBOT):
        rig = Rig(SMOOTH if robot % 2 else TEXT, strategy=sorted(STRATEGIES)[robot % 6])
        run: list[np.ndarray] = []  # commands since the last start from the measured pose
        for _ in range(CHUNKS_PER_ROBOT):
            rig.execution.speed = rng.choice([0.0, 0.3, 1.0, 1.0, 1.0])
            if rig.execution.latched:
                rig.execution.resume()
            try:
                rig.execution.accept(hostile(rng, rig), rig.now_ns)
                executed += 1
            except ChunkError:
                pass
            for _ in range(rng.integers(1, 40)):
                start = rig.pose.copy()
                tick = rig.tick(measure=rng.random() < 0.9)
                if tick.command is not None:
                    run = run or [np.clip(start, rig.limits.lower, rig.limits.upper)]
                    run.append(tick.command)
                elif run:
                    assert_within_limits(rig.limits, np.stack(run), 0.01)
                    run = []
        if run:
            assert_within_limits(rig.limits, np.stack(run), 0.01)
    assert executed > CHUNKS / 5  # else this test cannot fail
    text = f"{CHUNKS}, {executed} of them executed, none beyond"
    record_testsuite_property("P1 fuzzed chunks through the executor's state machine", text)
