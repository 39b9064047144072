"""What ~/estop, ~/resume and ~/dry_run answer, and count, in each state of the node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from std_srvs.srv import SetBool, Trigger

from vla_core.contract import load_contract
from vla_core.execution import Execution, State
from vla_core.safety import Limits
from vla_core.strategies import make_strategy
from vla_policy.nodes.executor_services import ESTOPPED, ExecutorServices

UR5E = load_contract(Path(__file__).resolve().parents[2] / "vla_bringup/config/robots/ur5e.yaml")


class Node:
    """The services of a node in one state."""

    def __init__(self, state: State) -> None:
        self.execution = Execution(UR5E, make_strategy("receding_horizon", Limits.of(UR5E)))
        self._callbacks: dict[str, Callable[[Any, Any], Any]] = {}
        node: Any = SimpleNamespace(
            create_service=lambda _type, name, callback: self._callbacks.update({name: callback}),
            create_subscription=lambda *_: None,
        )
        self.services = ExecutorServices(node, self.execution, lambda: state)

    def trigger(self, name: str) -> str:
        answer = self._callbacks[name](Trigger.Request(), Trigger.Response())
        assert answer.success
        return str(answer.message)

    def dry_run(self, value: bool) -> None:
        request = SetBool.Request(data=value)
        assert self._callbacks["~/dry_run"](request, SetBool.Response()).success


@pytest.mark.parametrize("state", State)
def test_each_request_is_counted_by_the_state_that_it_met(state: State) -> None:
    node = Node(state)
    node.trigger("~/estop")
    node.trigger("~/estop")
    node.trigger("~/resume")
    node.dry_run(True)
    counts = {name: count for name, count in node.execution.counts.items() if "/" in name}
    assert counts == {
        f"estop/{state.value}": 2,
        f"resume/{state.value}": 1,
        f"dry_run/{state.value}": 1,
    }


def test_a_stop_of_a_node_that_was_deactivated_is_named_and_can_be_taken_back() -> None:
    node = Node(State.INACTIVE)
    node.execution.leave()
    assert node.trigger("~/estop") == f"{ESTOPPED}; ~/resume releases it"
    assert node.execution.latched == ESTOPPED
    assert node.trigger("~/resume") == "waiting for the node to be activated"
    assert node.execution.latched is None
