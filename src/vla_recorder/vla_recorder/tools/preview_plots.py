"""The plots of a preview, as PNG bytes.

Shape letters: T rows of an episode, D dimensions.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vla_core.contract import Joint
from vla_recorder.tools.number_checks import Numbers
from vla_recorder.tools.skew import Skew

STATE_COLOUR, ACTION_COLOUR = "#2563eb", "#ea580c"
BAD_COLOUR, PLAIN_COLOUR = "#dc2626", "#64748b"
_LABEL_COLOURS = {"success": "#16a34a", "failure": "#d97706", "bad": BAD_COLOUR}
_INK, _FRAME = "#334155", "#cbd5e1"
_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.edgecolor": _FRAME,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e2e8f0",
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}
_DPI = 130
_WIDTH = 11.0  # inches
_COLUMNS = 4
_MOST = 64  # plots in one figure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """One joint of one episode: measured, commanded, or both; each (T,)."""

    name: str
    state: Numbers | None
    action: Numbers | None
    joint: Joint | None = None


def curves(
    state: Mapping[str, Numbers], action: Mapping[str, Numbers], joints: Mapping[str, Joint]
) -> list[Curve]:
    """Pairs what is measured with what is commanded, by name."""
    return [
        Curve(name=n, state=state.get(n), action=action.get(n), joint=joints.get(n))
        for n in dict.fromkeys([*state, *action])
    ]


def joint_plots(found: Sequence[Curve], fps: float) -> bytes:
    """State against action over time, one small plot for each joint."""
    shown = found[:_MOST]
    columns = min(_COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 0.35 + 1.35 * rows), dpi=_DPI, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True)
        for axis, curve in zip(axes.flat, shown, strict=False):
            _joint_plot(axis, curve, fps)
        for axis in axes.flat[len(shown) :]:
            axis.set_axis_off()
        for axis in axes[-1]:
            axis.set_xlabel("s")
        handles = {
            label: handle
            for axis in axes.flat
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            handles.values(), handles.keys(), loc="outside upper right", ncols=len(handles)
        )
        return _png(figure)


def _joint_plot(axis: Axes, curve: Curve, fps: float) -> None:
    unit = f"  [{curve.joint.unit}]" if curve.joint else ""
    axis.set_title(f"{curve.name}{unit}")
    low, high = math.inf, -math.inf
    # Drawn below, and wider: where both agree, both are seen
    for values, colour, width, label in (
        (curve.action, ACTION_COLOUR, 2.2, "action"),
        (curve.state, STATE_COLOUR, 1.0, "state"),
    ):
        if values is None or not np.isfinite(values).any():
            continue
        axis.plot(np.arange(len(values)) / fps, values, color=colour, lw=width, label=label)
        low, high = min(low, float(np.nanmin(values))), max(high, float(np.nanmax(values)))
    axis.margins(x=0)
    if curve.joint and low <= high:
        room = 0.3 * max(high - low, 0.05)
        for limit in (curve.joint.lower, curve.joint.upper):
            if low - room < limit < high + room:
                axis.axhline(limit, color=BAD_COLOUR, lw=0.8, ls=(0, (2, 2)), label="limit")


def length_plot(lengths_s: Sequence[float], labels: Sequence[str]) -> bytes:
    """How long each episode is, in the colour of its label, and how often each length is."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 2.3), dpi=_DPI, layout="constrained")
        over, often = figure.subplots(1, 2, width_ratios=[2, 1])
        index, values = np.arange(len(lengths_s)), np.asarray(lengths_s)
        for label in dict.fromkeys(labels):
            which = np.array([one == label for one in labels])
            colour = _LABEL_COLOURS.get(label, PLAIN_COLOUR)
            over.vlines(index[which], 0, values[which], color=colour, lw=_bar(len(values)))
            over.plot([], [], color=colour, lw=4, label=label)
        over.set(title="Length of every episode", xlabel="episode", ylabel="s")
        over.set_ylim(bottom=0)
        over.set_xlim(-0.7, len(values) - 0.3)
        over.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        over.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, fontsize=7, borderpad=0)
        often.hist(values, bins=min(30, max(5, len(values))), color=STATE_COLOUR, rwidth=0.92)
        often.set(title="How many are how long", xlabel="s", ylabel="episodes")
        often.yaxis.get_major_locator().set_params(integer=True)
        return _png(figure)


def _bar(count: int) -> float:
    """Width of a bar in points, so that all of them fill their plot."""
    return max(0.6, min(24.0, 0.55 * _WIDTH * 72 / max(count, 1) * 0.8))


def range_plot(found: Sequence[tuple[str, Numbers, Joint | None]]) -> bytes:
    """What each joint spans, (5,): min, q01, q50, q99, max; in parts of its allowed range."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 0.7 + 0.2 * len(found)), dpi=_DPI, layout="constrained")
        axis = figure.subplots()
        for at, (_, values, joint) in enumerate(found):
            low, high = (joint.lower, joint.upper) if joint else (values[0], values[4])
            least, q01, middle, q99, most = (values - low) / ((high - low) or 1.0)
            outside = joint is not None and (least < -1e-3 or most > 1 + 1e-3)
            colour = BAD_COLOUR if outside else STATE_COLOUR
            axis.plot([least, most], [at, at], color=colour, lw=1.2, alpha=0.6)
            axis.plot([q01, q99], [at, at], color=colour, lw=5, solid_capstyle="butt")
            axis.plot([middle], [at], "|", color="white", ms=7, mew=1.6)
        for edge in (0, 1):
            axis.axvline(edge, color=_INK, lw=0.8, ls=(0, (2, 2)))
        axis.set_yticks(range(len(found)), [name for name, *_ in found])
        axis.set(
            title="thin: all, thick: 1 % to 99 %, mark: median", ylim=(len(found) - 0.4, -0.6)
        )
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        return _png(figure)


def skew_plots(found: Mapping[str, Skew]) -> bytes:
    """How old the sample of each stream was at its tick, in the manifest's uneven bins."""
    rows = math.ceil(len(found) / _COLUMNS)
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 0.2 + 1.6 * rows), dpi=_DPI, layout="constrained")
        axes = figure.subplots(rows, _COLUMNS, squeeze=False)
        for axis, (name, skew) in zip(axes.flat, found.items(), strict=False):
            bins = np.arange(1 + np.flatnonzero(skew.counts).max(initial=0))
            share = skew.counts[bins] / max(int(skew.counts.sum()), 1)
            axis.bar(bins, share, width=0.94, align="edge", color=STATE_COLOUR)
            edges = np.append(bins, len(bins))
            axis.set_xticks(edges, [f"{skew.edges_ms[edge]:g}" for edge in edges])
            axis.set(title=name, xlabel="age, ms")
            axis.grid(axis="x", visible=False)
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        for axis in axes.flat[len(found) :]:
            axis.set_axis_off()
        return _png(figure)


def _png(figure: Figure) -> bytes:
    memory = io.BytesIO()
    figure.savefig(memory, format="png", metadata={"Software": None})
    return memory.getvalue()
