"""Message filters under their upstream names: subscriber, cache, and two synchronizers.

Upstream's method names and signatures are kept, so that a node runs unchanged on a full ROS 2.
Source: the Python module of ros2/message_filters, branch jazzy.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.clock import ROSClock
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.time import Time

__all__ = [
    "ApproximateTimeSynchronizer",
    "Cache",
    "SimpleFilter",
    "Subscriber",
    "TimeSynchronizer",
]


class SimpleFilter:
    """Calls each registered callback with the filter's output."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., None], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., None], *args: Any) -> int:
        """Call `cb` with each output, followed by `args`; returns the connection's number."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:
        """Pass one output on."""
        for callback, args in self.callbacks.values():
            callback(*msg, *args)


class Subscriber(SimpleFilter):
    """The start of a chain: takes (node, message type, topic, ...) as `create_subscription` does,
    without the callback; the queue depth defaults to 10."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.node = args[0]
        self.topic = args[2]
        kwargs.setdefault("qos_profile", 10)
        self.sub = self.node.create_subscription(*args[1:], self.callback, **kwargs)

    def callback(self, msg: Any) -> None:
        self.signalMessage(msg)

    def getTopic(self) -> str:
        return str(self.topic)

    def __getattr__(self, key: str) -> Any:
        """Offer the attributes of the subscription itself."""
        if key == "sub":  # not yet created: the lookup below would never end
            raise AttributeError(key)
        return getattr(self.sub, key)


class Cache(SimpleFilter):
    """Keeps the last `cache_size` messages with their stamps, in the order of arrival."""

    def __init__(
        self, f: SimpleFilter, cache_size: int = 1, allow_headerless: bool = False
    ) -> None:
        super().__init__()
        self.cache_size = cache_size
        self.cache_msgs: list[Any] = []
        self.cache_times: list[Time] = []
        self.allow_headerless = allow_headerless
        self.connectInput(f)

    def connectInput(self, f: SimpleFilter) -> None:
        self.incoming_connection = f.registerCallback(self.add)

    def add(self, msg: Any) -> None:
        stamp = _stamp(msg, self.allow_headerless, "message_filters_cache")
        if stamp is None:
            return
        self.cache_msgs.append(msg)
        self.cache_times.append(stamp)
        if len(self.cache_msgs) > self.cache_size:
            del self.cache_msgs[0], self.cache_times[0]
        self.signalMessage(msg)

    def getInterval(self, from_stamp: Time, to_stamp: Time) -> list[Any]:
        """Return the messages with from_stamp <= stamp <= to_stamp."""
        if from_stamp > to_stamp:
            raise ValueError(f"from_stamp {from_stamp} is later than to_stamp {to_stamp}")
        return self._messages(lambda time: from_stamp <= time <= to_stamp)

    def getElemAfterTime(self, stamp: Time) -> Any:
        """Return the first message that is not older than `stamp`, or None."""
        return next(iter(self._messages(lambda time: time >= stamp)), None)

    def getElemBeforeTime(self, stamp: Time) -> Any:
        """Return the last message that is not newer than `stamp`, or None."""
        return next(reversed(self._messages(lambda time: time <= stamp)), None)

    def getLastestTime(self) -> Time | None:  # upstream's spelling
        return self.cache_times[-1] if self.cache_times else None

    def getOldestTime(self) -> Time | None:
        return self.cache_times[0] if self.cache_times else None

    def getLast(self) -> Any:
        latest = self.getLastestTime()
        return None if latest is None else self.getElemAfterTime(latest)

    def _messages(self, wanted: Callable[[Time], bool]) -> list[Any]:
        pairs = zip(self.cache_msgs, self.cache_times, strict=True)
        return [msg for msg, time in pairs if wanted(time)]


class TimeSynchronizer(SimpleFilter):
    """Calls back with one message of each input when all have the same stamp."""

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self.connectInput(fs)

    def connectInput(self, fs: Sequence[SimpleFilter]) -> None:
        self.queues: list[dict[int, Any]] = [{} for _ in fs]
        self.input_connections = [
            f.registerCallback(self.add, queue, index)
            for index, (f, queue) in enumerate(zip(fs, self.queues, strict=True))
        ]

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        with self.lock:
            self._store(my_queue, Time.from_msg(msg.header.stamp).nanoseconds, msg)
            for stamp in sorted(set.intersection(*(set(queue) for queue in self.queues))):
                self._emit([stamp] * len(self.queues))

    def _store(self, queue: dict[int, Any], stamp_ns: int, msg: Any) -> None:
        queue[stamp_ns] = msg
        while len(queue) > self.queue_size:
            del queue[min(queue)]

    def _emit(self, stamps_ns: Sequence[int]) -> None:
        pairs = list(zip(self.queues, stamps_ns, strict=True))
        self.signalMessage(*(queue[stamp] for queue, stamp in pairs))
        for queue, stamp in pairs:
            del queue[stamp]


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Calls back with one message of each input when their stamps lie within `slop` seconds.

    The new message is matched with the closest stamps of the other inputs first; the whole set
    must span less than `slop`.
    """

    def __init__(
        self,
        fs: Sequence[SimpleFilter],
        queue_size: int,
        slop: float,
        allow_headerless: bool = False,
    ) -> None:
        self.slop = Duration(seconds=slop)
        self.allow_headerless = allow_headerless
        super().__init__(fs, queue_size)

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        stamp = _stamp(msg, self.allow_headerless, "message_filters_approx")
        if stamp is None:
            return
        now_ns, slop_ns = stamp.nanoseconds, self.slop.nanoseconds
        with self.lock:
            self._store(my_queue, now_ns, msg)
            candidates = [
                [now_ns] if index == my_queue_index else _nearest(queue, now_ns, slop_ns)
                for index, queue in enumerate(self.queues)
            ]
            for stamps in itertools.product(*candidates):
                present = all(t in q for q, t in zip(self.queues, stamps, strict=True))
                if present and max(stamps) - min(stamps) < slop_ns:
                    self._emit(stamps)
                    break


def _nearest(queue: dict[int, Any], now_ns: int, slop_ns: int) -> list[int]:
    """Return the stamps within the slop, closest first and the earlier arrival first of equals."""
    return sorted(
        (stamp for stamp in queue if abs(stamp - now_ns) <= slop_ns),
        key=lambda stamp: abs(stamp - now_ns),
    )


def _stamp(msg: Any, allow_headerless: bool, logger: str) -> Time | None:
    """Return the header's stamp, or the time of arrival where that is allowed."""
    stamp = getattr(getattr(msg, "header", None), "stamp", None)
    if stamp is not None:
        return stamp if hasattr(stamp, "nanoseconds") else Time.from_msg(stamp)
    if allow_headerless:
        return ROSClock().now()
    get_logger(logger).warning(
        "dropped a message without a time stamp: allow_headerless=True takes its time of arrival",
        throttle_duration_sec=5.0,
    )
    return None
