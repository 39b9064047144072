"""Brings nodes up in order, notices those that die or hang, and brings all down in reverse order.

No ROS here; ``vla_policy.nodes.lifecycle_manager`` carries out the orders. A node's state goes by
its lifecycle label; times are monotonic, in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

# Measured, and why: docs/supervision.md. A beat comes every 0.2 s.
SILENCE_NS = 800_000_000  # without a beat for so long, a node hangs
LATE_NS = 300_000_000  # a supervisor that was itself away for so long has missed beats
SETTLE_NS = 500_000_000  # two that run at once are both heard within so long
CONFIRM_NS = 50_000_000  # a node that leaves in order says so just before it is gone
RETRY_NS = 2_000_000_000  # an order that nothing has come of is given again
BRING_DOWN_NS = 4_000_000_000  # below the 5 s after which launch sends SIGTERM

_AT_WORK = ("inactive", "active")
_STEADY = ("unconfigured", *_AT_WORK)  # in between, a node may be busy for long and does not beat
_BUSY = ("activating", "deactivating", "cleaningup", "shuttingdown")  # not long, unlike loading
_LEAVING = ("shuttingdown", "finalized")
NOT_SEEN, LOST, LEFT = "not seen", "lost", "left"  # why a node is not there


class Step(Enum):
    """What can be asked for; the value of a transition is its name."""

    CONFIGURE = "configure"
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    CLEANUP = "cleanup"
    HALT = "halt"  # make sure that only a person lets the robot move again


_LEADS_TO = {
    Step.CONFIGURE: "inactive",
    Step.ACTIVATE: "active",
    Step.DEACTIVATE: "inactive",
    Step.CLEANUP: "unconfigured",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A node to look after.

    Attributes:
        is_vital: Its loss ends everything; that of another is answered by a restart.
        restarts: How often a process that has replaced a lost one is brought up.
    """

    name: str
    is_vital: bool = False
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Order:
    """Something to be asked of the node, or, for HALT, on behalf of it."""

    node: str
    step: Step
    given_ns: int


@dataclass(slots=True, kw_only=True)
class _Life:
    """What is known of a member's process."""

    member: Member
    process: str = ""  # which process of the node
    state: str = ""  # empty: not there
    absent: str = NOT_SEEN  # why
    running: int = 0  # processes of this name
    successor: str = ""  # a process that has been heard since ``process`` was
    succeeds_ns: int = 0  # since when
    beat_ns: int = 0
    gone_ns: int | None = None
    was_ordered: bool = False
    order: Order | None = None
    was_active: bool = False  # from then on its owner may deactivate it
    is_halted: bool = False
    restarts: int = 0
    gave_up: str = ""

    @property
    def runs_twice(self) -> bool:
        """An order would reach both processes, and nobody knows whose the other one is."""
        return self.running > 1

    def is_succeeded_by(self, process: str, now_ns: int) -> bool:
        """Whether this other process is alone by now."""
        if self.successor != process or self.runs_twice:
            self.successor, self.succeeds_ns = process, now_ns
        return now_ns - self.succeeds_ns >= SETTLE_NS

    def hangs(self, now_ns: int) -> bool:
        return self.state in _STEADY and now_ns - self.beat_ns > SILENCE_NS

    def shown(self, now_ns: int) -> str:
        """For people."""
        if self.runs_twice:
            return "runs twice"
        if self.gave_up and self.state != "active":
            return self.gave_up
        if self.hangs(now_ns):
            return "not responding"
        return self.state or self.absent


@dataclass(slots=True, kw_only=True)
class _End:
    reason: str
    code: int
    began_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How the nodes are.

    Attributes:
        message: The whole in a few words.
        is_up: Whether all nodes are active.
        is_failing: Whether one is lost, hangs, or could not be brought up.
        nodes: State of each, by name.
    """

    message: str
    is_up: bool
    is_failing: bool
    nodes: dict[str, str]


class Supervision:
    """Decides what to ask of which node. Not thread-safe.

    Each process of a member is configured as soon as it is there, and activated when all members
    before it are active. What its owner does with it later is respected.

    Args:
        members: In the order of bringing up.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._lives = {member.name: _Life(member=member) for member in members}
        self._end: _End | None = None
        self._is_refused = False
        self._stepped_ns: int | None = None
        self.exit_code: int | None = None
        """Set when all has been brought down."""

    @property
    def restarts(self) -> int:
        """How many processes have replaced lost ones."""
        return sum(life.restarts for life in self._lives.values())

    def beat(self, name: str, process: str, state: str, now_ns: int) -> None:
        """A process of a node has told its state."""
        life = self._lives[name]
        if life.gone_ns is not None:
            return  # on its way when the node died
        if not life.was_ordered and state not in ("unconfigured", *_LEAVING):
            self.refuse(f"{name} is {state} already, by somebody else", now_ns)
        if life.process not in ("", process):
            if life.state and not life.is_succeeded_by(process, now_ns):
                return
            self._replace(life, now_ns)
        life.successor = ""
        life.process, life.state, life.beat_ns = process, state, now_ns
        life.was_active = life.was_active or state == "active"
        if life.order is not None and _LEADS_TO.get(life.order.step) == state:
            life.order = None

    def present(self, name: str, running: int, now_ns: int) -> None:
        """How many processes of the node are there, as the middleware sees it."""
        life = self._lives[name]
        life.running = running
        if running:
            life.gone_ns = None
        elif life.gone_ns is None:
            life.gone_ns = now_ns

    def answered(self, order: Order, *, done: bool, now_ns: int) -> None:
        """The outcome of an order."""
        life = self._lives[order.node]
        if life.order is not order:
            return  # of a process that has been lost since
        life.order = None
        if order.step is Step.HALT:
            life.is_halted = done
        elif done:
            life.state = _LEADS_TO[order.step]
            life.was_active = life.was_active or life.state == "active"
        elif self._end is None:
            self._fail(life, f"could not {order.step.value}", now_ns)

    def postpone(self, order: Order) -> None:
        """The order could not be given yet."""
        self._lives[order.node].order = None

    def bring_down(self, reason: str, code: int, now_ns: int) -> None:
        """Bring all nodes down, the last one first; the first reason counts."""
        self._end = self._end or _End(reason=reason, code=code, began_ns=now_ns)

    def refuse(self, reason: str, now_ns: int) -> None:
        """End at once with 1, and ask nothing more: these nodes are somebody else's."""
        if self._end is None:
            self._end = _End(reason=reason, code=1, began_ns=now_ns)
            self._is_refused, self.exit_code = True, 1

    def step(self, now_ns: int) -> list[Order]:
        """What to ask now. To be called several times a second."""
        if self.exit_code is not None:
            return []
        was_away = self._stepped_ns is not None and now_ns - self._stepped_ns > LATE_NS
        self._stepped_ns = now_ns
        for life in self._lives.values():
            if was_away:
                life.beat_ns = max(life.beat_ns, now_ns)
            self._judge(life, now_ns)
        if self._end is not None:
            orders = [self._down(now_ns)]
        else:
            orders = [self._up(life, now_ns) for life in self._lives.values()]
        return [order for order in orders if order is not None]

    def report(self, now_ns: int) -> Report:
        """How all is now."""
        nodes = {name: life.shown(now_ns) for name, life in self._lives.items()}
        is_up = all(state == "active" for state in nodes.values())
        message = "all nodes are active" if is_up else "not all nodes are active"
        if self._end is not None:
            doing = "refused to start" if self._is_refused else "bringing down"
            message = f"{doing}: {self._end.reason}"
        failing = [
            life.shown(now_ns) == LOST or life.gave_up or life.hangs(now_ns) or life.runs_twice
            for life in self._lives.values()
        ]
        return Report(
            message=message,
            is_up=is_up and self._end is None,
            is_failing=self._is_refused or (any(failing) and not is_up),
            nodes=nodes,
        )

    def _replace(self, life: _Life, now_ns: int) -> None:
        if life.member.is_vital:
            self.bring_down(f"{life.member.name} is lost", 1, now_ns)
        life.restarts += 1
        life.was_active = life.is_halted = False
        life.order = None
        if life.restarts > life.member.restarts:
            life.gave_up = f"given up after {life.member.restarts} restarts"

    def _judge(self, life: _Life, now_ns: int) -> None:
        """Take note of a node that has gone, and end everything if it was a vital one."""
        name, is_vital = life.member.name, life.member.is_vital
        overdue = life.order is not None and now_ns - life.order.given_ns > RETRY_NS
        if overdue and life.state in _STEADY:
            life.order = None
        if life.gone_ns is not None and life.state and now_ns - life.gone_ns >= CONFIRM_NS:
            life.absent = LEFT if life.state in _LEAVING else LOST
            life.state, life.order = "", None
            if is_vital:
                what = "has left" if life.absent is LEFT else "is lost"
                self.bring_down(f"{name} {what}", int(life.absent is LOST), now_ns)
        elif is_vital and life.hangs(now_ns):
            self.bring_down(f"{name} is not responding", 1, now_ns)

    def _fail(self, life: _Life, what: str, now_ns: int) -> None:
        if life.restarts:  # the others have worked without it
            life.gave_up = f"{what}: given up"
        else:
            self.bring_down(f"{life.member.name} {what}", 1, now_ns)

    def _up(self, life: _Life, now_ns: int) -> Order | None:
        if life.order or life.was_active or life.gave_up or not self._is_heard(life, now_ns):
            return None
        if life.state == "unconfigured":
            return self._order(life, Step.CONFIGURE, now_ns)
        if life.state == "inactive" and self._all_before_are_active(life, now_ns):
            waits = life.restarts > 0 and not life.is_halted
            return self._order(life, Step.HALT if waits else Step.ACTIVATE, now_ns)
        return None

    def _all_before_are_active(self, life: _Life, now_ns: int) -> bool:
        for other in self._lives.values():
            if other is life:
                break
            if other.state != "active" or not self._is_heard(other, now_ns):
                return False
        return True

    @staticmethod
    def _is_heard(life: _Life, now_ns: int) -> bool:
        """Whether its state is known to be that of the one process that an order would reach."""
        return not (life.hangs(now_ns) or life.runs_twice or life.successor)

    def _down(self, now_ns: int) -> Order | None:
        assert self._end is not None
        in_time = now_ns - self._end.began_ns < BRING_DOWN_NS
        for life in reversed(self._lives.values()) if in_time else ():
            if not self._is_heard(life, now_ns) or life.state not in (*_AT_WORK, *_BUSY):
                continue
            if life.order is not None or life.state in _BUSY:
                return None
            step = Step.DEACTIVATE if life.state == "active" else Step.CLEANUP
            return self._order(life, step, now_ns)
        self.exit_code = self._end.code
        return None

    def _order(self, life: _Life, step: Step, now_ns: int) -> Order:
        life.was_ordered = True
        life.order = Order(node=life.member.name, step=step, given_ns=now_ns)
        return life.order
