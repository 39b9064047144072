"""Which episodes a bag holds, as its marks say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from vla_recorder.marks import Event, Mark

_SUCCESS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is known of an episode besides its data."""

    task: str = ""
    operator: str = ""
    success: bool | None = None
    bad: str = ""
    contract_sha256: str = ""

    def updated(self, values: Mapping[str, str]) -> Label:
        """With what a mark, or the metadata of a bag, says."""
        return replace(
            self,
            task=values.get("task") or self.task,
            operator=values.get("operator") or self.operator,
            success=_SUCCESS.get(values.get("success", ""), self.success),
            bad=values.get("bad", self.bad),
            contract_sha256=values.get("contract_sha256") or self.contract_sha256,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """An episode of a bag.

    Attributes:
        episode: Its id; of a bag without marks, which is one episode, as the metadata have it.
        start: The mark that began it; None: it lasts from the begin of the bag.
        stop: The mark that ended it; None: it lasts to the end of the bag.
        cut: Why it has no stop mark although marks began it.
        discarded: By whoever recorded it.
    """

    episode: str
    label: Label
    start: Mark | None = None
    stop: Mark | None = None
    cut: str = ""
    discarded: bool = False


def episodes(marks: Iterable[Mark], custom: Mapping[str, str]) -> list[Marked]:
    """The episodes in the order of their begins.

    A mark that comes twice counts once. What begins before the one before has ended cuts that.
    Of episodes of one id, as the empty one, marks are of the newest.

    Args:
        marks: In the order of the bag.
        custom: What the bag's metadata say. Marks know better, but for the label of the episode
            that the metadata name: a label after the stop changes these alone.
    """
    bag = Label().updated(custom)
    found: list[Marked] = []
    newest: dict[str, int] = {}
    running: int | None = None
    for mark in _once(marks):
        at = newest.get(mark.episode)
        if mark.event == Event.START and (at is None or _is_over(found[at])):
            if running is not None:
                found[running] = replace(found[running], stop=mark, cut="another one began")
            running = newest[mark.episode] = len(found)
            label = bag.updated(mark.values)
            found.append(Marked(episode=mark.episode, label=label, start=mark))
        elif mark.event == Event.STOP and at is None:
            newest[mark.episode] = len(found)
            label = bag.updated(mark.values)
            found.append(Marked(episode=mark.episode, label=label, stop=mark))
        elif at is not None:
            found[at] = _changed(found[at], mark)
            if mark.event in (Event.STOP, Event.DISCARD) and at == running:
                running = None
    if not found:
        return [Marked(episode=custom.get("episode", ""), label=bag)]
    if running is not None:
        found[running] = replace(found[running], cut="no stop mark")
    own = newest.get(custom.get("episode") or "none is named")
    if own is not None:
        # what is empty was not known yet: a crash leaves the metadata of the start
        known = {key: value for key, value in custom.items() if value}
        found[own] = replace(found[own], label=found[own].label.updated(known))
    return found


def _once(marks: Iterable[Mark]) -> Iterator[Mark]:
    """Without those that were sent again, as to late subscribers."""
    seen = set()
    for mark in marks:
        key = (mark.event, mark.episode, mark.time_ns, *sorted(mark.values.items()))
        if key not in seen:
            seen.add(key)
            yield mark


def _is_over(marked: Marked) -> bool:
    """Whether a start is that of another episode; without ids a missing stop cannot be known."""
    return marked.episode == "" or marked.stop is not None or marked.discarded


def _changed(marked: Marked, mark: Mark) -> Marked:
    marked = replace(marked, label=marked.label.updated(mark.values))
    if mark.event == Event.DISCARD:
        return replace(marked, discarded=True)
    if mark.event == Event.STOP and marked.stop is None:
        return replace(marked, stop=mark)
    return marked
