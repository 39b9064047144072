"""What policy_node does between an inference and its chunk."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time

from vla_core.continuation import WARM_UP, Continuation
from vla_core.contract import load_contract
from vla_core.errors import PolicyError
from vla_core.rtc import Committed
from vla_core.types import FloatArray, Observation
from vla_policy.nodes import policy_node
from vla_policy.nodes.inference_worker import Request
from vla_policy.nodes.policy_node import PolicyNode


def test_P2_no_chunk_follows_a_withdrawal_that_came_while_it_was_encoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published: list[Any] = []
    node = SimpleNamespace(
        _contract=SimpleNamespace(action_names=("a",)),
        _step_ns=20_000_000,
        _stale=None,
        _publishing=threading.Lock(),
        _chunks=SimpleNamespace(publish=published.append),
        _counts=Counter(),
    )

    def encode(*_: object) -> object:
        node._stale = "wrist_rgb: too old"  # as _watch does, before it withdraws
        return object()

    monkeypatch.setattr(policy_node, "encode_chunk", encode)
    request = Request(stamp_ns=0, messages={}, prompt="wave")
    with pytest.raises(PolicyError, match="went stale"):
        PolicyNode._publish(node, request, np.zeros((2, 1)))  # type: ignore[arg-type]
    assert not published


UR5E = Path(__file__).resolve().parents[2] / "vla_bringup/config/robots/ur5e.yaml"
MS = 1_000_000
HOME = np.array([0.0, -1.57, 1.57, -1.57, -1.57, 0.0, 0.0])


class ContinuingNode:
    """What `_infer` and `_publish` use of a node, on a clock that stands still."""

    def __init__(self, *, continues: bool = True) -> None:
        self.contract = self._contract = load_contract(UR5E)
        self.given: list[Committed | None] = []
        self.now_ns = 0
        self._step_ns = round(1e9 / self.contract.policy_rate_hz)
        self._stale, self._publishing, self._counts = None, threading.Lock(), Counter[str]()
        self._chunks = SimpleNamespace(publish=lambda message: None)
        self._inputs_log = None
        self._continues, self._continuation = continues, Continuation(self.contract)
        self._policy = SimpleNamespace(infer=self._remember)

    def get_clock(self) -> Any:
        now = SimpleNamespace(nanoseconds=self.now_ns, to_msg=Time)
        return SimpleNamespace(now=lambda: now)

    def _remember(self, _seen: Observation, *, previous: Committed | None) -> FloatArray:
        self.given.append(previous)
        return np.tile(HOME, (20, 1))

    def run(self, stamp_ms: int, *, takes_ms: int) -> None:
        request = Request(stamp_ns=stamp_ms * MS, messages={}, prompt="wave")
        actions = PolicyNode._infer(self, request)  # type: ignore[arg-type]
        self.now_ns = (stamp_ms + takes_ms) * MS
        PolicyNode._publish(self, request, actions)  # type: ignore[arg-type]


@pytest.fixture
def no_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_contract: object, _messages: object, *, stamp_ns: int, prompt: str) -> Observation:
        return Observation(stamp_ns=stamp_ns, state=HOME, images={}, prompt=prompt)

    monkeypatch.setattr(policy_node, "build_observation", build)


@pytest.mark.usefixtures("no_messages")
def test_an_inference_is_told_what_is_left_and_how_long_the_ones_before_it_took() -> None:
    node = ContinuingNode()
    assert node.contract.policy_rate_hz == 20
    for index in range(WARM_UP):
        node.run(300 * index, takes_ms=250)
    node.run(600, takes_ms=70)
    node.run(900, takes_ms=101)
    last = node.given[-1]
    assert node.given[0] is None
    assert last is not None
    assert last.delay_steps == 2
    assert len(last.actions) == 20 - 6
    assert node._continuation.counts == {"rtc_continued": 3, "rtc_late": 1}


@pytest.mark.usefixtures("no_messages")
def test_after_a_withdrawal_and_without_chunking_nothing_is_continued() -> None:
    node = ContinuingNode()
    node.run(0, takes_ms=50)
    PolicyNode._withdraw(node)  # type: ignore[arg-type]
    node.run(200, takes_ms=50)
    off = ContinuingNode(continues=False)
    off.run(0, takes_ms=50)
    off.run(200, takes_ms=150)
    assert node.given == off.given == [None, None]
    assert not off._continuation.counts


@pytest.mark.parametrize(("needs_prompt", "asked"), [(True, 0), (False, 1)])
def test_only_a_policy_that_reads_a_prompt_waits_for_one(needs_prompt: bool, asked: int) -> None:
    requests: list[Request] = []
    node: Any = SimpleNamespace(
        _policy=SimpleNamespace(needs_prompt=needs_prompt),
        _default_prompt="",
        _counts=Counter(),
        _worker=SimpleNamespace(submit=lambda request: not requests.append(request)),
        _select=lambda _now_ns: {},
        get_parameter=lambda _name: SimpleNamespace(value=""),
        get_logger=lambda: SimpleNamespace(warning=lambda *_, **__: None),
        get_clock=lambda: SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=1)),
    )
    PolicyNode._inference_tick(node)
    assert len(requests) == asked
    assert node._counts == ({} if asked else {"no_prompt": 1})
