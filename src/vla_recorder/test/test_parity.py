"""What is played to the node, and that a difference of one bit is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from convert_bags import ARM, CONTRACT, SECOND, T0, TOP, recording, write_bag

from vla_core.contract import parse_contract
from vla_recorder.parity.compare import differences
from vla_recorder.parity.recorded import HEARD, read_ticks

PERIOD_NS = SECOND // 5


def test_a_tick_has_what_is_stamped_up_to_it(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", recording(2.0))
    contract = parse_contract(CONTRACT)
    ticks = list(read_ticks(bag, contract, count=5, period_ns=PERIOD_NS, prompt="lift"))
    assert len(ticks) == 5
    for tick in ticks:
        seen = tick.observation
        assert seen.stamp_ns % PERIOD_NS == 0
        passed_s = (seen.stamp_ns - T0) / SECOND
        np.testing.assert_allclose(seen.state, [passed_s, -passed_s], atol=1e-9)
        assert seen.images["top"][0, 0, 0] == 20 + (seen.stamp_ns - T0 - 10**6) * 20 // SECOND
        assert {topic for topic, _ in tick.heard} == {ARM, TOP}
        assert len(tick.heard) <= 2 * HEARD


def test_one_changed_bit_another_type_and_a_missing_array_are_differences() -> None:
    live = {"state": np.zeros(3), "image": np.zeros((2, 2), np.uint8), "mask": np.ones(1, bool)}
    assert differences(0, live, {name: array.copy() for name, array in live.items()}) == []
    changed = live | {"state": np.array([0.0, -0.0, 0.0]), "image": np.zeros((2, 2), np.int8)}
    del changed["mask"]
    found = differences(0, live, changed)
    assert [entry["array"] for entry in found] == ["image", "mask", "state"]
