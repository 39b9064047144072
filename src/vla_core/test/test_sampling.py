"""As-of sampling: never a sample from after the tick, never an old one, whatever the clocks do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_core.errors import SampleError
from vla_core.sampling import FUTURE_TOLERANCE_NS, REWIND_NS, Sample, StreamBuffer, pick, select

MS, SECOND, HOUR = 10**6, 10**9, 3600 * 10**9
T = 1_700_000_000 * SECOND
AGE = 100 * MS


def sample(stamp_ns: int, received_ns: int = 0) -> Sample[int]:
    return Sample(stamp_ns=stamp_ns, received_ns=received_ns, payload=stamp_ns)


def buffer(*stamps_ns: int, length: int = 64) -> StreamBuffer[int]:
    made: StreamBuffer[int] = StreamBuffer(name="arm", max_age_s=0.1, length=length)
    for stamp_ns in stamps_ns:
        made.add(sample(stamp_ns))
    return made


@settings(deadline=None)
@given(
    offsets_ns=st.lists(st.integers(-300, 20), max_size=12).map(sorted),
    max_age_ns=st.integers(0, 200),
)
def test_pick_agrees_with_a_search_of_all_samples(offsets_ns: list[int], max_age_ns: int) -> None:
    stamps_ns = [T + offset * MS for offset in offsets_ns]
    usable = [s for s in stamps_ns if 0 <= T - s <= max_age_ns * MS]
    from_future = any(s - T > FUTURE_TOLERANCE_NS for s in stamps_ns)
    if usable and not from_future:
        assert stamps_ns[pick(stamps_ns, T, max_age_ns * MS)] == max(usable)
    else:
        with pytest.raises(SampleError):
            pick(stamps_ns, T, max_age_ns * MS)


@settings(deadline=None)
@given(st.lists(st.integers(-900, 900), min_size=1, max_size=100), st.integers(-900, 900))
def test_a_buffer_in_any_order_gives_the_newest_sample_not_after_the_tick(
    offsets: list[int], tick: int
) -> None:
    filled = buffer(*(T + offset * MS // 2 for offset in offsets), length=100)
    kept = [T + offset * MS // 2 for offset in offsets]
    t_ns = T + tick * MS // 2
    usable = [s for s in kept if 0 <= t_ns - s <= AGE]
    try:
        found = filled.at(t_ns).stamp_ns
    except SampleError:
        assert not usable or max(kept) - t_ns > FUTURE_TOLERANCE_NS
    else:
        assert found == max(usable)


def test_nothing_yet_is_an_error_that_names_the_stream() -> None:
    with pytest.raises(SampleError, match=r"no message has arrived; where: arm"):
        buffer().at(T)


def test_a_sample_after_the_tick_is_never_chosen() -> None:
    assert buffer(T - 20 * MS, T + 1).at(T).stamp_ns == T - 20 * MS
    assert buffer(T - 20 * MS, T).at(T).stamp_ns == T
    with pytest.raises(SampleError, match="before the tick"):
        buffer(T + 1).at(T)


def test_p2_age_is_two_sided() -> None:
    assert buffer(T - AGE).at(T).stamp_ns == T - AGE
    with pytest.raises(SampleError, match="too old"):
        buffer(T - AGE - 1).at(T)
    tolerated = buffer(T - MS, T + FUTURE_TOLERANCE_NS)
    assert tolerated.at(T).stamp_ns == T - MS
    with pytest.raises(SampleError, match="from the future"):
        buffer(T - MS, T + FUTURE_TOLERANCE_NS + 1).at(T)


def test_p2_age_is_judged_on_receive_time_too() -> None:
    filled: StreamBuffer[int] = StreamBuffer(name="arm", max_age_s=0.1)
    filled.add(sample(T, received_ns=5 * SECOND))
    assert filled.at(T, 5 * SECOND + AGE).stamp_ns == T
    with pytest.raises(SampleError, match=r"received too long ago; where: arm; found: 0\.100 s"):
        filled.at(T, 5 * SECOND + AGE + 1)
    filled.at(T)  # offline there is no receive time


def test_a_frozen_stamp_grows_old_however_often_it_is_sent() -> None:
    filled = buffer(*[T] * 200)
    assert len(filled) == 64
    with pytest.raises(SampleError, match="too old"):
        filled.at(T + AGE + 1)


def test_of_equal_stamps_the_last_one_received_is_chosen() -> None:
    filled: StreamBuffer[int] = StreamBuffer(name="arm", max_age_s=0.1)
    for received_ns in (1, 2, 3):
        filled.add(sample(T, received_ns))
    assert filled.at(T).received_ns == 3


@pytest.mark.parametrize("jump_ns", [HOUR, -HOUR])
def test_p2_after_a_clock_jump_only_samples_of_the_new_time_count(jump_ns: int) -> None:
    filled = buffer(*(T + k * 10 * MS for k in range(10)))
    after_ns = T + 100 * MS + jump_ns
    with pytest.raises(SampleError):
        filled.at(after_ns)
    filled.add(sample(after_ns))
    assert filled.at(after_ns).stamp_ns == after_ns
    assert filled.rewinds == (jump_ns < 0)
    assert len(filled) == (1 if jump_ns < 0 else 11)


def test_a_single_stamp_from_far_ahead_blocks_only_until_the_next() -> None:
    filled = buffer(T, T + HOUR)
    with pytest.raises(SampleError, match="from the future"):
        filled.at(T)
    filled.add(sample(T + 10 * MS))
    assert filled.at(T + 10 * MS).stamp_ns == T + 10 * MS


def test_a_late_message_is_not_a_rewind() -> None:
    filled = buffer(T, T - REWIND_NS)
    assert (len(filled), filled.rewinds) == (2, 0)
    filled.add(sample(T - REWIND_NS - 1))
    assert (len(filled), filled.rewinds) == (1, 1)


def test_a_full_buffer_drops_the_oldest_stamp() -> None:
    filled = buffer(T + 3, T + 1, T + 2, T, length=3)
    assert len(filled) == 3
    with pytest.raises(SampleError):
        filled.at(T)


def test_as_of_ignores_age_and_falls_back_to_the_oldest() -> None:
    assert buffer().as_of(T) is None
    filled = buffer(T, T + MS)
    for t_ns, expected in ((T - HOUR, T), (T, T), (T + MS - 1, T), (T + HOUR, T + MS)):
        found = filled.as_of(t_ns)
        assert found is not None
        assert found.stamp_ns == expected


def test_select_takes_one_sample_of_every_stream_or_names_all_that_lack_one() -> None:
    fresh, old = buffer(T - MS), buffer(T - SECOND)
    old.name = "camera"
    assert select({"arm": fresh}, T)["arm"].stamp_ns == T - MS
    assert select({}, T) == {}
    empty: StreamBuffer[int] = StreamBuffer(name="hand", max_age_s=0.1)
    with pytest.raises(SampleError) as caught:
        select({"arm": fresh, "camera": old, "hand": empty}, T)
    assert caught.value.where == "camera, hand"
    assert "camera: too old 1.000 s; hand: no message has arrived" in str(caught.value)
