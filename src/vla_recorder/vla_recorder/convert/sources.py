"""Which topics of a bag feed a dataset: the contract's, and where the action comes from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from vla_core.codecs import JOINT_STATE
from vla_core.contract import ActionGroup, Camera, Contract, Stream
from vla_recorder.convert.errors import ConvertError
from vla_recorder.convert.options import ActionSource

COMMANDED: Final = "/commanded"
COMMANDS: Final = "action"  # the tolerance of commands is given under this name
COMMAND: Final = f"{COMMANDS}/commanded"
_COMMAND_TOLERANCE_S: Final = 0.25
_COMMAND_PERIODS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One topic that every tick needs a message of.

    Attributes:
        name: The contract's name of the stream or camera; of commands
            ``action/commanded`` and ``action/topics/<group>``.
        topic: As the bag has it.
        tolerance_ns: Oldest age at a tick.
        rate_hz: As the contract has it; None for commands.
    """

    name: str
    topic: str
    tolerance_ns: int
    rate_hz: float | None = None

    @property
    def is_command(self) -> bool:
        return self.rate_hz is None


def sensors(contract: Contract) -> tuple[Stream | Camera, ...]:
    """Streams and cameras: what every tick needs, and what may be lost."""
    return (*contract.streams, *contract.cameras)


def is_command(name: str) -> bool:
    """Whether a source of this name carries commands."""
    return name.startswith(f"{COMMANDS}/")


def command_age_s(contract: Contract) -> float:
    """How old a command may be, as `max_age_s` says it of streams and cameras."""
    return max(_COMMAND_TOLERANCE_S, _COMMAND_PERIODS / contract.control_rate_hz)


def group_source(group: ActionGroup) -> str:
    """Name of the source that a command topic is."""
    return f"{COMMANDS}/topics/{group.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the robot is among the topics of a bag.

    Attributes:
        namespace: In front of all topics of the contract; empty where they are as it says.
        others: Namespaces in which another robot has topics of the contract.
    """

    namespace: str
    others: frozenset[str]

    def holds(self, topic: str) -> bool:
        """Whether a topic of a node, ``<namespace>/<node>/<name>``, is of this robot."""
        where = _node_namespace(topic)
        if where == self.namespace:
            return True
        return _inside(where, self.namespace) and not any(_inside(where, o) for o in self.others)


def _node_namespace(topic: str) -> str:
    return _absolute(topic).rsplit("/", 2)[0]


def _inside(where: str, namespace: str) -> bool:
    return f"{where}/".startswith(f"{namespace}/")


def _absolute(topic: str) -> str:
    return "/" + topic.lstrip("/")


def find_robot(contract: Contract, topics: Collection[str], bag: str) -> Place:
    """The one namespace that has all streams and cameras.

    Raises:
        ConvertError: None has all of them, or several have.
    """
    found = {
        source.topic: frozenset(
            name.removesuffix(_absolute(source.topic))
            for name in map(_absolute, topics)
            if name.endswith(_absolute(source.topic))
        )
        for source in sensors(contract)
    }
    if missing := [topic for topic, namespaces in found.items() if not namespaces]:
        raise ConvertError(
            "the bag lacks topics of the contract",
            where=bag,
            found=f"no {', '.join(missing)}, but {', '.join(sorted(topics)) or 'no topic at all'}",
            allowed="all streams and cameras of the contract",
            fix="record them, or give the contract that the bag was recorded with",
        )
    whole = frozenset.intersection(*found.values())
    if len(whole) != 1 and "" not in whole:
        raise ConvertError(
            "several robots in the bag have the topics of the contract"
            if whole
            else "the topics of the contract are not in one namespace of the bag",
            where=bag,
            found="; ".join(
                f"{topic} in {', '.join(n or '/' for n in sorted(namespaces))}"
                for topic, namespaces in found.items()
            ),
            allowed="all of them as in the contract, or all in one namespace",
            fix="name the topics of one robot, whole, in the contract",
        )
    namespace = "" if "" in whole else next(iter(whole))
    return Place(namespace=namespace, others=frozenset().union(*found.values()) - {namespace})


def wanted_topics(
    contract: Contract, types: Mapping[str, str], place: Place, bag: str
) -> dict[str, str]:
    """Every topic that may feed the dataset: name of its source -> topic in the bag.

    Args:
        contract: Of the robot.
        types: Of the bag's topics.
        place: Of the robot.
        bag: For messages.

    Raises:
        ConvertError: A topic of another type than the contract's, or several of what was
            commanded.
    """
    entries: list[tuple[str, Stream | Camera | ActionGroup]] = [
        *((source.name, source) for source in sensors(contract)),
        *((group_source(group), group) for group in contract.action),
    ]
    names = {_absolute(topic): topic for topic in types}
    found: dict[str, str] = {}
    for name, entry in entries:
        topic = names.get(place.namespace + _absolute(entry.topic))
        if topic is None:
            continue
        if types[topic] != entry.type:
            raise ConvertError(
                "a topic is of another type than the contract's",
                where=f"{bag}, {topic}",
                found=types[topic],
                allowed=entry.type,
                fix="correct the type in the contract",
            )
        found[name] = topic
    commanded = [
        topic
        for topic, kind in types.items()
        if topic.endswith(COMMANDED) and kind == JOINT_STATE and place.holds(topic)
    ]
    commanded = [t for t in commanded if _node_namespace(t) == place.namespace] or commanded
    if len(commanded) > 1:
        raise ConvertError(
            "several topics say what was commanded", where=bag, found=", ".join(sorted(commanded))
        )
    return found | ({COMMAND: commanded[0]} if commanded else {})


def choose_action(
    contract: Contract, present: Iterable[str], asked: ActionSource | None, where: str
) -> ActionSource:
    """Where the action comes from.

    Args:
        contract: Of the robot.
        present: Names of the sources that have messages.
        asked: What the user wants; None: the best there is.
        where: The bag.

    Raises:
        ConvertError: The bag does not hold it.
    """
    present = set(present)
    groups = {group_source(group) for group in contract.action}
    possible = [ActionSource.COMMANDED] if COMMAND in present else []
    possible += [ActionSource.TOPICS] if groups <= present else []
    measured = set(contract.action_names) <= set(contract.measured_names)
    possible += [ActionSource.STATE] if measured else []
    best = [source for source in possible if source is not ActionSource.STATE]
    if asked in possible:
        return asked
    if asked is None and best:
        return best[0]
    raise ConvertError(
        "the bag does not say what was commanded",
        where=where,
        found=f"no messages of {', '.join(sorted((groups | {COMMAND}) - present))}",
        allowed=", ".join(source.value for source in possible) or "none of the sources",
        fix="record executor_node/commanded; or take the next measured state: --action state",
    )


def choose_sources(
    contract: Contract,
    topics: Mapping[str, str],
    action: ActionSource,
    tolerance_s: Mapping[str, float],
) -> tuple[Source, ...]:
    """The topics that every tick needs.

    Args:
        contract: Of the robot.
        topics: Name of source -> topic in the bag, as `wanted_topics` gives.
        action: Where the action comes from.
        tolerance_s: By source, instead of the contract's.

    Raises:
        ConvertError: A tolerance of a source that there is not.
    """
    streams = sensors(contract)
    allowed = [*(stream.name for stream in streams), COMMANDS]
    if unknown := sorted(set(tolerance_s) - set(allowed)):
        raise ConvertError(
            "a tolerance of no stream", found=", ".join(unknown), allowed=", ".join(allowed)
        )
    patience_s = tolerance_s.get(COMMANDS, command_age_s(contract))
    commands = {
        ActionSource.COMMANDED: [COMMAND],
        ActionSource.TOPICS: [group_source(group) for group in contract.action],
        ActionSource.STATE: [],
    }[action]
    return (
        *(
            Source(
                name=stream.name,
                topic=topics[stream.name],
                tolerance_ns=round(1e9 * tolerance_s.get(stream.name, stream.max_age_s)),
                rate_hz=stream.rate_hz,
            )
            for stream in streams
        ),
        *(
            Source(name=name, topic=topics[name], tolerance_ns=round(1e9 * patience_s))
            for name in commands
        ),
    )
