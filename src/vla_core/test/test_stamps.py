"""Header stamps, of messages and of their serialised bytes."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from vla_core.errors import CodecError
from vla_core.stamps import peek_stamp_ns, split_ns, stamp_ns

SECONDS = st.integers(-(2**31), 2**31 - 1)
NANOSECONDS = st.integers(0, 10**9 - 1)


def stamped(message: Any, sec: int, nanosec: int) -> Any:
    message.header.stamp.sec, message.header.stamp.nanosec = sec, nanosec
    return message


@given(SECONDS, NANOSECONDS, st.text(max_size=9).filter(lambda text: "\0" not in text))
def test_peeked_stamp_is_the_one_that_was_serialised(
    sec: int, nanosec: int, frame_id: str
) -> None:
    message = stamped(Image(data=b"abc"), sec, nanosec)
    message.header.frame_id = frame_id
    data = serialize_message(message)
    assert peek_stamp_ns(data) == sec * 10**9 + nanosec == stamp_ns(message)
    assert peek_stamp_ns(memoryview(data)) == sec * 10**9 + nanosec


@pytest.mark.parametrize(
    ("identifier", "order"), [(0, "big"), (1, "little"), (6, "big"), (7, "little")]
)
def test_both_byte_orders_of_plain_cdr_are_read(
    identifier: int, order: Literal["big", "little"]
) -> None:
    body = (5).to_bytes(4, order, signed=True) + (7).to_bytes(4, order)
    assert peek_stamp_ns(bytes([0, identifier, 0, 0]) + body) == 5_000_000_007


@pytest.mark.parametrize(
    "identifier", [b"\x00\x02", b"\x00\x03", b"\x00\x09", b"\x01\x00", b"\xff\xff"]
)
def test_other_encapsulation_is_refused(identifier: bytes) -> None:
    with pytest.raises(CodecError, match="encapsulation"):
        peek_stamp_ns(identifier + bytes(20), where="/camera")


@pytest.mark.parametrize("size", [0, 4, 11])
def test_short_buffer_is_refused(size: int) -> None:
    with pytest.raises(CodecError, match=rf"too short.*/camera.*{size} bytes"):
        peek_stamp_ns(serialize_message(Image())[:size], where="/camera")
    assert peek_stamp_ns(serialize_message(Image())[:12]) == 0


@given(st.binary(max_size=40))
def test_random_bytes_never_raise_anything_but_a_codec_error(data: bytes) -> None:
    with contextlib.suppress(CodecError):
        assert -(2**31) * 10**9 <= peek_stamp_ns(data) < 2**31 * 10**9


def test_nanoseconds_of_a_second_or_more_are_refused() -> None:
    message = SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=10**9)))
    with pytest.raises(CodecError, match="nanosec=1000000000"):
        stamp_ns(message)
    with pytest.raises(CodecError, match="not a time"):
        peek_stamp_ns(b"\0\1\0\0" + bytes(4) + (10**9).to_bytes(4, "little"))


def test_message_without_header_is_refused() -> None:
    with pytest.raises(CodecError, match=r"no header stamp.*/prompt.*String"):
        stamp_ns(String(), where="/prompt")


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_split_time_is_put_together_again(time_ns: int) -> None:
    sec, nanosec = split_ns(time_ns)
    assert stamp_ns(stamped(JointState(), sec, nanosec)) == time_ns


@pytest.mark.parametrize("time_ns", [-1, 2**31 * 10**9])
def test_time_that_no_message_can_hold_is_refused(time_ns: int) -> None:
    with pytest.raises(CodecError, match=f"{time_ns} ns"):
        split_ns(time_ns)
