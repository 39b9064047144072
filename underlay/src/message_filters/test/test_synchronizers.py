"""The synchronizers against their definition, computed by brute force."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.time import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from message_filters import ApproximateTimeSynchronizer, SimpleFilter, TimeSynchronizer

ARRIVALS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=40)


def stamped(stamp_ns: int) -> JointState:
    message = JointState()
    message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
    return message


def stamps(messages: tuple[JointState, ...]) -> tuple[int, ...]:
    return tuple(Time.from_msg(message.header.stamp).nanoseconds for message in messages)


def feed(synchronizer_type, arrivals, *args) -> list[tuple[int, ...]]:
    inputs = [SimpleFilter() for _ in range(3)]
    synchronizer = synchronizer_type(inputs, *args)
    found = []
    synchronizer.registerCallback(lambda *messages: found.append(stamps(messages)))
    for stream, stamp_ns in arrivals:
        inputs[stream].signalMessage(stamped(stamp_ns))
    return found


def closest_sets(arrivals, queue_size: int, slop_ns: int) -> list[tuple[int, ...]]:
    """Each arrival takes, of all sets that contain it and span less than the slop, the closest."""
    queues: list[list[int]] = [[], [], []]
    found = []
    for stream, now in arrivals:
        if now not in queues[stream]:
            queues[stream].append(now)
        if len(queues[stream]) > queue_size:
            queues[stream].remove(min(queues[stream]))
        sets = [
            indices
            for indices in itertools.product(*(range(len(queue)) for queue in queues))
            for chosen in [[queue[i] for queue, i in zip(queues, indices, strict=True)]]
            if chosen[stream] == now and max(chosen) - min(chosen) < slop_ns
        ]
        if sets:
            best = min(
                sets,
                key=lambda s: [(abs(q[i] - now), i) for q, i in zip(queues, s, strict=True)],
            )
            found.append(tuple(q[i] for q, i in zip(queues, best, strict=True)))
            for queue, index in zip(queues, best, strict=True):
                del queue[index]
    return found


@given(ARRIVALS, st.integers(1, 6), st.integers(1, 12))
def test_approximate_sets_are_the_closest_within_the_slop(arrivals, queue_size, slop_ns):
    # Half a nanosecond keeps the conversion of the slop to seconds and back exact.
    slop_s = (slop_ns + 0.5) * 1e-9
    found = feed(ApproximateTimeSynchronizer, arrivals, queue_size, slop_s)
    assert found == closest_sets(arrivals, queue_size, slop_ns)


@given(ARRIVALS)
def test_exact_sets_are_the_stamps_that_every_stream_has(arrivals):
    arrivals = list(dict.fromkeys(arrivals))
    streams = [{stamp for stream, stamp in arrivals if stream == index} for index in range(3)]
    found = feed(TimeSynchronizer, arrivals, len(arrivals) + 1)
    assert sorted(found) == [(stamp,) * 3 for stamp in sorted(set.intersection(*streams))]


def test_exact_queue_drops_its_oldest_stamp():
    arrivals = [(0, 1), (0, 2), (1, 1), (2, 1), (1, 2), (2, 2)]
    assert feed(TimeSynchronizer, arrivals, 1) == [(2, 2, 2)]


def test_headerless_message_is_dropped_unless_allowed():
    for allowed, expected in ((False, 0), (True, 1)):
        inputs = [SimpleFilter(), SimpleFilter()]
        synchronizer = ApproximateTimeSynchronizer(inputs, 5, 10.0, allow_headerless=allowed)
        found: list[tuple[String, ...]] = []
        synchronizer.registerCallback(lambda *messages, into=found: into.append(messages))
        for each in inputs:
            each.signalMessage(String(data="no header"))
        assert len(found) == expected


def test_failing_callback_does_not_block_the_next_message():
    inputs = [SimpleFilter()]
    synchronizer = TimeSynchronizer(inputs, 5)

    def fail(message: JointState) -> None:
        raise KeyError(message.header.stamp.nanosec)

    synchronizer.registerCallback(fail)
    for stamp_ns in (1, 2):
        with pytest.raises(KeyError):
            inputs[0].signalMessage(stamped(stamp_ns))
