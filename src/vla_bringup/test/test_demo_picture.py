"""The picture of the demo: everything in its place, nothing anywhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vla_bringup.demo.picture import CAMERAS, HEIGHT, PLOTS, STATES, WIDTH, draw
from vla_bringup.demo.plots import CHUNK, COMMANDED, FUTURE_S, MEASURED, PAST_S, grid, value_range
from vla_bringup.demo.text import draw_text
from vla_bringup.demo.view import JointTraces, Trace, View
from vla_core.contract import Joint, Kind

NONE = Trace(times_s=np.empty(0), values=np.empty(0))
NAMES = ("cam_high", "cam_left_wrist", "cam_right_wrist")
COLOURS = {"measured": MEASURED, "commanded": COMMANDED, "chunk": CHUNK}


def joint(name: str = "elbow") -> Joint:
    return Joint(
        name=name,
        unit="rad",
        kind=Kind.POSITION,
        lower=-2.0,
        upper=2.0,
        max_rate=3.0,
        max_acceleration=20.0,
    )


def traces(**given: Trace) -> JointTraces:
    return JointTraces(
        **{"joint": joint(), "measured": NONE, "commanded": NONE, "chunk": NONE, **given}
    )


def view(count: int = 14) -> View:
    return View(
        state="RUNNING",
        cause="",
        prompt="Transfer cube",
        elapsed_s=3.21,
        latency_ms=120.0,
        chunk_age_ms=300.0,
        cameras=NAMES,
        images={},
        joints=tuple(traces(joint=joint(f"j{i}")) for i in range(count)),
    )


def curve(begin_s: float, end_s: float, size: float = 1.0) -> Trace:
    times_s = np.linspace(begin_s, end_s, 100)
    return Trace(times_s=times_s, values=size * np.sin(times_s))


def changed(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[slice, slice]:
    rows, columns = np.nonzero((one != other).any(axis=-1))
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


def test_the_frame_has_even_sides_as_the_video_needs() -> None:
    frame = draw(view())
    assert frame.shape == (HEIGHT, WIDTH, 3)
    assert frame.dtype == np.uint8
    assert HEIGHT % 2 == WIDTH % 2 == 0


@pytest.mark.parametrize("state", STATES)
def test_the_state_has_its_colour(state: str) -> None:
    assert tuple(draw(replace(view(), state=state))[12, 15]) == STATES[state]


def test_each_camera_fills_its_own_box() -> None:
    solid = {name: np.full((480, 640, 3), 60 * (i + 1), np.uint8) for i, name in enumerate(NAMES)}
    frame, empty = draw(replace(view(), images=solid)), draw(view())
    for i, box in enumerate(CAMERAS):
        middle = frame[box.y + 40 : box.y + box.height - 40, box.x : box.x + box.width]
        assert (middle == 60 * (i + 1)).all()
    rows, columns = changed(frame, empty)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (48, HEIGHT, 0, 640)


def test_the_cause_of_a_hold_is_shown_over_the_first_camera() -> None:
    rows, columns = changed(draw(view()), draw(replace(view(), cause="a stream is stale")))
    assert CAMERAS[0].y + 400 < rows.start < rows.stop <= CAMERAS[0].y + CAMERAS[0].height
    assert columns.stop <= CAMERAS[0].width


@pytest.mark.parametrize("kind", COLOURS)
@pytest.mark.parametrize("index", [0, 6, 7, 13])
def test_a_trace_is_drawn_in_the_cell_of_its_joint_and_nowhere_else(kind: str, index: int) -> None:
    joints = list(view().joints)
    joints[index] = replace(joints[index], **{kind: curve(-10.0, 10.0, size=50.0)})
    frame = draw(replace(view(), joints=tuple(joints)))
    rows, columns = changed(frame, draw(view()))
    cell = grid(PLOTS, 14)[index]
    assert cell.y <= rows.start < rows.stop <= cell.y + cell.height
    assert cell.x <= columns.start < columns.stop <= cell.x + cell.width
    off = np.abs(frame[rows, columns].astype(int) - COLOURS[kind]).max(axis=-1)
    assert (off < 60).sum() > 100  # a thin line is smoothed at its edges


def test_the_past_is_left_of_now_and_the_chunk_right_of_it() -> None:
    cell = grid(PLOTS, 1)[0]
    past = traces(measured=curve(-PAST_S, 0.0))
    ahead = traces(chunk=curve(0.0, FUTURE_S))
    frames = [draw(replace(view(1), joints=(one,))) for one in (past, ahead)]
    columns = [
        np.nonzero((np.abs(frame.astype(int) - colour).max(axis=-1) < 30)[cell.y + 20 :, 700:])[1]
        for frame, colour in zip(frames, (MEASURED, CHUNK), strict=True)
    ]
    assert columns[0].max() <= columns[1].min() + 2


@pytest.mark.parametrize("count", range(1, 20))
def test_cells_of_any_number_of_joints_are_apart_and_inside(count: int) -> None:
    covered = np.zeros((HEIGHT, WIDTH), np.int64)
    for cell in grid(PLOTS, count):
        covered[cell.y : cell.y + cell.height, cell.x : cell.x + cell.width] += 1
        assert cell.height > 60
    assert covered.max() == 1
    assert covered[: PLOTS.y].sum() == covered[:, : PLOTS.x].sum() == 0


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20))
def test_the_range_holds_all_values_in_sight(values: list[float]) -> None:
    seen = Trace(times_s=np.linspace(-1, 0, len(values)), values=np.array(values))
    low, high = value_range(traces(measured=seen))
    rounding = 1e-9
    assert low - rounding <= min(values) <= max(values) <= high + rounding
    assert high - low >= 0.05 * 4.0 - rounding


def test_values_out_of_sight_do_not_widen_the_range() -> None:
    old = Trace(times_s=np.array([-100.0, -1.0]), values=np.array([1000.0, 0.0]))
    assert value_range(traces(measured=old))[1] < 1.0


@pytest.mark.parametrize(("x", "y"), [(-30, 5), (95, 5), (5, -8), (5, 35), (500, 500)])
def test_text_is_cut_at_the_edges(x: int, y: int) -> None:
    canvas = np.zeros((40, 100, 3), np.uint8)
    assert draw_text(canvas, "a long line", x, y, size=14, colour=(255, 255, 255)) > 0


def test_a_long_text_keeps_to_its_width() -> None:
    canvas = np.zeros((40, 1000, 3), np.uint8)
    width = draw_text(canvas, "word " * 50, 0, 0, size=14, colour=(255, 255, 255), max_width=200)
    assert 100 < width <= 200
    assert not canvas[:, width:].any()
