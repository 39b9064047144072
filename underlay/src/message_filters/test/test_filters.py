"""Callbacks, the subscriber and the cache."""

import pytest
import rclpy
from hypothesis import given
from hypothesis import strategies as st
from rclpy.time import Time
from std_msgs.msg import Header, String

from message_filters import Cache, SimpleFilter, Subscriber


class Stamped:
    def __init__(self, stamp_ns: int) -> None:
        self.stamp_ns = stamp_ns
        self.header = Header(stamp=Time(nanoseconds=stamp_ns).to_msg())


def at(stamp_ns: int) -> Time:
    return Time(nanoseconds=stamp_ns, clock_type=Time.from_msg(Header().stamp).clock_type)


def cache_of(stamps_ns: list[int], **options) -> Cache:
    source = SimpleFilter()
    cache = Cache(source, **options)
    for stamp_ns in stamps_ns:
        source.signalMessage(Stamped(stamp_ns))
    return cache


def test_callbacks_get_the_message_and_their_own_arguments():
    found = []
    source = SimpleFilter()
    assert source.registerCallback(lambda *args: found.append(args), "a", 1) == 0
    assert source.registerCallback(lambda *args: found.append(args)) == 1
    source.signalMessage("message")
    assert found == [("message", "a", 1), ("message",)]


@given(
    st.lists(st.integers(0, 20), unique=True),
    st.integers(1, 8),
    st.tuples(*[st.integers(0, 20)] * 2),
)
def test_cache_answers_from_its_last_messages(stamps_ns, size, limits):
    low, high = sorted(limits)
    cache, kept = cache_of(stamps_ns, cache_size=size), stamps_ns[-size:]
    inside = [m.stamp_ns for m in cache.getInterval(at(low), at(high))]
    assert inside == [s for s in kept if low <= s <= high]
    after, before = cache.getElemAfterTime(at(low)), cache.getElemBeforeTime(at(low))
    assert (after and after.stamp_ns) == next((s for s in kept if s >= low), None)
    assert (before and before.stamp_ns) == next((s for s in reversed(kept) if s <= low), None)
    assert cache.getOldestTime() == (at(kept[0]) if kept else None)
    assert cache.getLastestTime() == (at(kept[-1]) if kept else None)


def test_cache_passes_messages_on_and_drops_headerless_ones():
    source = SimpleFilter()
    found = []
    Cache(source, 2).registerCallback(found.append)
    source.signalMessage(String(data="no header"))
    source.signalMessage(Stamped(5))
    assert [message.stamp_ns for message in found] == [5]
    assert cache_of([3, 7]).getLast().stamp_ns == 7
    assert cache_of([]).getLast() is None


def test_reversed_interval_is_refused():
    with pytest.raises(ValueError, match="later than"):
        cache_of([1]).getInterval(at(2), at(1))


@pytest.fixture
def node():
    rclpy.init()
    yield rclpy.create_node("filter_test")
    rclpy.shutdown()


def test_subscriber_passes_messages_of_its_topic_on(node):
    subscriber = Subscriber(node, String, "words")
    found = []
    subscriber.registerCallback(found.append)
    publisher = node.create_publisher(String, "words", 10)
    for _ in range(100):
        publisher.publish(String(data="hello"))
        rclpy.spin_once(node, timeout_sec=0.1)
        if found:
            break
    assert found[0].data == "hello"
    assert subscriber.getTopic() == "words"
    assert subscriber.topic_name == "/words"
