"""What happened just before an episode was started."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from vla_recorder.recording.topics import Raw, Recorded

DURING_PRE_ROLL = 10  # states that may be told after the time which is asked for


class PreRoll:
    """The newest messages, by age and by size.

    Args:
        duration_ns: How far back it reaches.
        limit_bytes: How much it may hold; what is too old or too much goes first.
    """

    def __init__(self, duration_ns: int, limit_bytes: int) -> None:
        self._duration_ns, self._limit_bytes = duration_ns, limit_bytes
        self._messages: deque[Raw] = deque()
        self.held_bytes = 0

    def add(self, message: Raw) -> None:
        """Take a message; times may jump, and then all before the jump is dropped."""
        if self._messages and message.received_ns < self._messages[-1].received_ns:
            self.clear()
        self._messages.append(message)
        self.held_bytes += len(message.data)
        self._drop(message.received_ns)

    def take(self, now_ns: int) -> list[Raw]:
        """What belongs to an episode that starts now; nothing is held after."""
        self._drop(now_ns)
        messages = list(self._messages)
        self.clear()
        return messages

    def clear(self) -> None:
        self._messages.clear()
        self.held_bytes = 0

    def _drop(self, now_ns: int) -> None:
        oldest_ns = now_ns - self._duration_ns
        while self._messages and (
            self._messages[0].received_ns < oldest_ns or self.held_bytes > self._limit_bytes
        ):
            self.held_bytes -= len(self._messages.popleft().data)


class Kept:
    """The last different messages of topics that tell a state."""

    def __init__(self, topics: Sequence[Recorded]) -> None:
        self._limits = {index: topic.kept for index, topic in enumerate(topics) if topic.kept}
        self._messages: dict[int, deque[Raw]] = {
            index: deque(maxlen=kept + DURING_PRE_ROLL) for index, kept in self._limits.items()
        }

    def add(self, message: Raw) -> None:
        """Take a message of any topic."""
        held = self._messages.get(message.topic)
        if held is None:
            return
        for other in held:
            if other.data == message.data:
                held.remove(other)
                break
        held.append(message)

    def before(self, time_ns: int) -> list[Raw]:
        """What was in force at a time that is not long ago."""
        return [
            message
            for index, held in self._messages.items()
            for message in [m for m in held if m.received_ns < time_ns][-self._limits[index] :]
        ]
