"""Supervision with a fake clock, and nodes that do what they are asked."""

from __future__ import annotations

import pytest

from vla_core.supervision import (
    BRING_DOWN_NS,
    RETRY_NS,
    SILENCE_NS,
    Member,
    Order,
    Step,
    Supervision,
)

STEP_NS = 100_000_000
ARM, MIND = "executor_node", "policy_node"
AFTER = {
    Step.CONFIGURE: "inactive",
    Step.ACTIVATE: "active",
    Step.DEACTIVATE: "inactive",
    Step.CLEANUP: "unconfigured",
}


class Rig:
    """Two nodes that beat at each step, and carry out orders at once unless they are busy."""

    def __init__(self, restarts: int = 2) -> None:
        self.supervision = Supervision(
            [Member(name=ARM, is_vital=True), Member(name=MIND, restarts=restarts)]
        )
        self.now_ns = 10**12
        self.states: dict[str, str] = {}
        self.processes: dict[str, str] = {}
        self.silent: set[str] = set()
        self.busy: set[str] = set()
        self.refused: set[Step] = set()
        self.orders: list[tuple[str, Step]] = []

    def start(self, *names: str) -> None:
        for name in names:
            self.states[name] = "unconfigured"
            self.processes[name] = f"{name} since {self.now_ns}"
            self.supervision.present(name, 1, self.now_ns)

    def kill(self, name: str) -> None:
        del self.states[name]
        self.supervision.present(name, 0, self.now_ns)

    def steps(self, count: int = 8) -> None:
        for _ in range(count):
            self.now_ns += STEP_NS
            for name, state in self.states.items():
                if name not in self.silent:
                    self.supervision.beat(name, self.processes[name], state, self.now_ns)
            for order in self.supervision.step(self.now_ns):
                self._carry_out(order)

    def _carry_out(self, order: Order) -> None:
        self.orders.append((order.node, order.step))
        if order.node in self.busy:
            return
        done = order.step not in self.refused
        if done and order.step in AFTER:
            self.states[order.node] = AFTER[order.step]
        self.supervision.answered(order, done=done, now_ns=self.now_ns)

    def beat_of_another(self, name: str, state: str) -> None:
        """Of a second process of the name."""
        self.supervision.beat(name, f"another {name}", state, self.now_ns)

    def shown(self, name: str) -> str:
        return self.supervision.report(self.now_ns).nodes[name]

    @classmethod
    def running(cls, restarts: int = 2) -> Rig:
        rig = cls(restarts)
        rig.start(ARM, MIND)
        rig.steps()
        assert rig.supervision.report(rig.now_ns).is_up
        rig.orders.clear()
        return rig


def test_nodes_are_activated_in_order() -> None:
    rig = Rig()
    rig.start(MIND, ARM)
    rig.steps()
    assert sorted(rig.orders[:2], key=str) == [(ARM, Step.CONFIGURE), (MIND, Step.CONFIGURE)]
    assert rig.orders[2:] == [(ARM, Step.ACTIVATE), (MIND, Step.ACTIVATE)]
    assert rig.supervision.report(rig.now_ns).is_up


def test_a_node_loads_while_those_before_it_are_not_there_yet() -> None:
    rig = Rig()
    rig.start(MIND)
    rig.steps(50)
    assert rig.orders == [(MIND, Step.CONFIGURE)]
    assert rig.shown(ARM) == "not seen"
    rig.start(ARM)
    rig.steps()
    assert rig.orders[-1] == (MIND, Step.ACTIVATE)


def test_loading_may_take_long_without_a_beat() -> None:
    rig = Rig()
    rig.busy.add(MIND)
    rig.start(ARM, MIND)
    rig.steps(1)
    rig.states[MIND] = "configuring"
    rig.steps(1)
    rig.silent.add(MIND)
    rig.steps(3000)
    assert rig.orders.count((MIND, Step.CONFIGURE)) == 1
    assert rig.shown(MIND) == "configuring"
    assert rig.supervision.exit_code is None


def test_an_order_that_was_not_heard_is_given_again() -> None:
    rig = Rig()
    rig.busy.add(ARM)
    rig.start(ARM)
    rig.steps(RETRY_NS // STEP_NS + 3)
    assert rig.orders == [(ARM, Step.CONFIGURE)] * 2


def test_a_lost_answer_is_replaced_by_the_beat() -> None:
    rig = Rig()
    rig.busy.add(ARM)
    rig.start(ARM)
    rig.steps(1)
    rig.states[ARM] = "inactive"
    rig.steps(1)
    assert rig.orders == [(ARM, Step.CONFIGURE), (ARM, Step.ACTIVATE)]


def test_a_node_that_cannot_be_configured_ends_the_bring_up_with_1() -> None:
    rig = Rig()
    rig.refused.add(Step.CONFIGURE)
    rig.start(MIND)
    rig.steps()
    assert rig.supervision.exit_code == 1
    assert "policy_node could not configure" in rig.supervision.report(rig.now_ns).message


def test_a_lost_policy_is_told_and_its_successor_waits_for_a_person() -> None:
    rig = Rig.running()
    rig.kill(MIND)
    rig.steps(2)
    assert rig.shown(MIND) == "lost"
    assert rig.supervision.report(rig.now_ns).is_failing
    rig.start(MIND)
    rig.steps()
    assert rig.orders == [(MIND, Step.CONFIGURE), (MIND, Step.HALT), (MIND, Step.ACTIVATE)]
    assert rig.supervision.restarts == 1
    assert rig.supervision.exit_code is None


def test_without_a_halt_a_successor_is_not_activated() -> None:
    rig = Rig.running()
    rig.kill(MIND)
    rig.steps(2)
    rig.refused.add(Step.HALT)
    rig.start(MIND)
    rig.steps(50)
    assert (MIND, Step.ACTIVATE) not in rig.orders
    assert rig.shown(MIND) == "inactive"


def test_after_the_last_restart_it_is_given_up() -> None:
    rig = Rig.running(restarts=2)
    for _ in range(3):
        rig.kill(MIND)
        rig.steps(2)
        rig.start(MIND)
        rig.steps()
    assert rig.orders.count((MIND, Step.ACTIVATE)) == 2
    assert rig.shown(MIND) == "given up after 2 restarts"
    assert rig.supervision.exit_code is None
    rig.states[MIND] = "active"  # brought up by hand
    rig.steps(1)
    assert rig.supervision.report(rig.now_ns).is_up


def test_a_successor_that_cannot_be_configured_leaves_the_executor_alone() -> None:
    rig = Rig.running()
    rig.kill(MIND)
    rig.steps(2)
    rig.refused.add(Step.CONFIGURE)
    rig.start(MIND)
    rig.steps(50)
    assert rig.orders == [(MIND, Step.CONFIGURE)]
    assert rig.shown(MIND) == "could not configure: given up"
    assert rig.states[ARM] == "active"


def test_a_stopped_process_that_goes_on_is_the_same_one() -> None:
    rig = Rig.running()
    rig.silent.add(MIND)
    rig.supervision.present(MIND, 0, rig.now_ns)
    rig.steps(20)
    assert rig.shown(MIND) == "lost"
    rig.silent.clear()
    rig.supervision.present(MIND, 1, rig.now_ns)
    rig.steps()
    assert rig.shown(MIND) == "active"
    assert rig.orders == []
    assert rig.supervision.restarts == 0


def test_a_successor_that_is_not_heard_for_a_while_as_it_starts_counts_once() -> None:
    rig = Rig.running(restarts=1)
    rig.kill(MIND)
    rig.steps(2)
    rig.busy.add(MIND)
    rig.start(MIND)
    rig.steps(1)
    rig.supervision.present(MIND, 0, rig.now_ns)
    rig.steps(2)
    rig.supervision.present(MIND, 1, rig.now_ns)
    rig.busy.clear()
    rig.steps(30)
    assert rig.supervision.restarts == 1
    assert rig.shown(MIND) == "active"


def test_a_hanging_policy_is_told() -> None:
    rig = Rig.running()
    rig.silent.add(MIND)
    rig.steps(SILENCE_NS // STEP_NS)
    assert rig.shown(MIND) == "active"
    rig.steps(1)
    assert rig.shown(MIND) == "not responding"
    assert rig.supervision.exit_code is None


def test_the_loss_of_a_vital_node_brings_the_others_down_with_1() -> None:
    rig = Rig.running()
    rig.kill(ARM)
    rig.steps()
    assert rig.orders == [(MIND, Step.DEACTIVATE), (MIND, Step.CLEANUP)]
    assert rig.supervision.exit_code == 1


def test_a_hanging_vital_node_is_not_waited_for() -> None:
    rig = Rig.running()
    rig.silent.add(ARM)
    rig.steps(SILENCE_NS // STEP_NS + 5)
    assert rig.orders == [(MIND, Step.DEACTIVATE), (MIND, Step.CLEANUP)]
    assert rig.supervision.exit_code == 1


def test_a_vital_node_that_leaves_in_order_is_no_failure() -> None:
    rig = Rig.running()
    rig.states[ARM] = "finalized"
    rig.steps(1)
    rig.kill(ARM)
    rig.steps()
    assert rig.supervision.exit_code == 0
    assert rig.supervision.report(rig.now_ns).message == "bringing down: executor_node has left"


def test_nodes_are_brought_down_in_reverse_order() -> None:
    rig = Rig.running()
    rig.supervision.bring_down("asked to", 0, rig.now_ns)
    rig.steps()
    assert rig.orders == [
        (MIND, Step.DEACTIVATE),
        (MIND, Step.CLEANUP),
        (ARM, Step.DEACTIVATE),
        (ARM, Step.CLEANUP),
    ]
    assert rig.supervision.exit_code == 0


def test_nodes_that_leave_by_themselves_are_waited_for() -> None:
    rig = Rig.running()
    rig.states[ARM] = "shuttingdown"
    rig.supervision.bring_down("asked to", 0, rig.now_ns)
    rig.steps(10)
    assert rig.supervision.exit_code is None
    rig.states[ARM] = "finalized"
    rig.steps(1)
    assert rig.supervision.exit_code == 0


def test_bringing_down_has_an_end() -> None:
    rig = Rig.running()
    rig.busy.add(MIND)
    rig.supervision.bring_down("asked to", 0, rig.now_ns)
    rig.steps(BRING_DOWN_NS // STEP_NS)
    assert rig.supervision.exit_code == 0


def test_a_node_that_its_owner_has_deactivated_stays_so() -> None:
    rig = Rig.running()
    for state in ("inactive", "unconfigured"):
        rig.states[MIND] = state
        rig.steps(30)
    assert rig.orders == []
    assert rig.shown(MIND) == "unconfigured"


def test_a_supervisor_that_was_away_does_not_blame_the_others() -> None:
    rig = Rig.running()
    rig.silent.add(ARM)
    rig.now_ns += 10 * SILENCE_NS
    rig.steps(1)
    assert rig.shown(ARM) == "active"
    rig.steps(SILENCE_NS // STEP_NS + 1)
    assert rig.shown(ARM) == "not responding"


def test_a_beat_of_the_dead_is_not_a_sign_of_life() -> None:
    rig = Rig.running()
    rig.supervision.present(MIND, 0, rig.now_ns)
    rig.steps(5)
    assert rig.shown(MIND) == "lost"


def test_a_process_that_was_replaced_unseen_is_brought_up_after_a_halt() -> None:
    """The supervisor itself was stopped while the old one died and the new one started."""
    rig = Rig.running()
    rig.now_ns += 40 * STEP_NS
    rig.start(MIND)
    rig.steps(20)
    assert rig.orders == [(MIND, Step.CONFIGURE), (MIND, Step.HALT), (MIND, Step.ACTIVATE)]
    assert rig.supervision.restarts == 1
    assert rig.supervision.report(rig.now_ns).is_up


def test_a_vital_process_that_was_replaced_unseen_is_a_lost_one() -> None:
    rig = Rig.running()
    rig.start(ARM)
    rig.steps(20)
    assert rig.supervision.exit_code == 1
    assert "executor_node is lost" in rig.supervision.report(rig.now_ns).message
    assert not {order for order in rig.orders if order[0] == ARM}


@pytest.mark.parametrize("seen", [1, 2])
def test_two_processes_of_one_name_are_told_and_neither_is_asked_for_anything(seen: int) -> None:
    """Also when the middleware has not yet told of the second one."""
    rig = Rig.running()
    for _ in range(50):
        rig.supervision.present(MIND, seen, rig.now_ns)
        rig.beat_of_another(MIND, "unconfigured")
        rig.steps(1)
        assert seen == 1 or rig.shown(MIND) == "runs twice"
    assert rig.supervision.report(rig.now_ns).is_failing == (seen == 2)
    assert rig.orders == []
    rig.supervision.present(MIND, 1, rig.now_ns)
    rig.steps()
    assert rig.supervision.report(rig.now_ns).is_up
    assert rig.supervision.restarts == 0
    assert rig.orders == []


def test_two_new_processes_of_one_name_are_not_brought_up() -> None:
    rig = Rig()
    rig.start(ARM)
    rig.supervision.present(ARM, 2, rig.now_ns)
    for _ in range(30):
        rig.beat_of_another(ARM, "unconfigured")
        rig.steps(1)
    assert rig.orders == []
    assert rig.supervision.report(rig.now_ns).is_failing


@pytest.mark.parametrize("state", ["inactive", "active", "configuring"])
def test_a_node_that_somebody_else_has_configured_is_left_alone(state: str) -> None:
    rig = Rig()
    rig.start(ARM, MIND)
    rig.states[ARM] = state
    rig.steps(30)
    assert rig.orders == []
    assert rig.supervision.exit_code == 1
    report = rig.supervision.report(rig.now_ns)
    assert report.is_failing
    assert f"executor_node is {state} already" in report.message


def test_a_supervisor_that_is_refused_brings_nothing_down() -> None:
    rig = Rig.running()
    rig.supervision.refuse("another is there", rig.now_ns)
    rig.steps()
    assert rig.orders == []
    assert rig.supervision.exit_code == 1
