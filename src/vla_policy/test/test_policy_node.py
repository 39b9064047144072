"""What policy_node does between an inference and its chunk."""

from __future__ import annotations

import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vla_core.errors import PolicyError
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
