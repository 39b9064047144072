"""The HTML page of a preview: one file, which loads nothing and runs nothing.

Texts of a dataset are never markup: each goes through ``html.escape``.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from vla_core.preflight.findings import Finding, Level
from vla_recorder.tools.report import VERDICTS

_STYLE = """
:root{--ink:#0f172a;--quiet:#64748b;--line:#e2e8f0;--paper:#fff;--ground:#f1f5f9}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,
"DejaVu Sans",sans-serif}
main{max-width:1180px;margin:0 auto;padding:32px 20px 64px}
h1{margin:0;font-size:28px;letter-spacing:-.02em;overflow-wrap:anywhere}
h2{margin:0 0 14px;font-size:17px}
header{display:flex;gap:16px;align-items:center;justify-content:space-between;flex-wrap:wrap;
margin-bottom:20px}
section,details{background:var(--paper);border:1px solid var(--line);border-radius:12px;
padding:20px 22px;margin-bottom:16px}
summary{cursor:pointer;font-weight:600;font-size:16px;overflow-wrap:anywhere}
summary span,.quiet{color:var(--quiet);font-weight:400}
.badge{display:inline-block;white-space:nowrap;border-radius:999px;padding:4px 14px;
font-weight:600;font-size:14px}
.PASS{background:#dcfce7;color:#166534}.WARN{background:#fef3c7;color:#92400e}
.FAIL{background:#fee2e2;color:#991b1b}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:10px;
margin-bottom:16px}
.fact{background:var(--paper);border:1px solid var(--line);border-radius:12px;padding:12px 16px}
.fact b{display:block;font-size:19px;letter-spacing:-.01em;overflow-wrap:anywhere}
.fact span{color:var(--quiet);font-size:13px}
table{border-collapse:collapse;width:100%;font-size:14px}
td,th{text-align:left;vertical-align:top;padding:7px 10px 7px 0;border-top:1px solid var(--line);
overflow-wrap:anywhere}
th{color:var(--quiet);font-weight:500;border-top:0;font-size:13px}
td.check{white-space:nowrap}
td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
img{max-width:100%;display:block}
figure{margin:14px 0 0}
figcaption{display:flex;justify-content:space-between;color:var(--quiet);font-size:13px;
margin-bottom:3px}
figcaption b{color:var(--ink);font-weight:600}
.strip img{border-radius:6px;width:100%}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodePart:
    """What the page shows of one episode.

    Attributes:
        heading: Its number and task.
        note: Length, label and the like.
        strips: JPEG by camera.
        span: The times of the first and last picture.
        joints: PNG, or None where it has no numbers.
    """

    heading: str
    note: str
    strips: Mapping[str, bytes]
    span: tuple[str, str]
    joints: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that the page shows; ``plots`` are PNG by heading."""

    title: str
    level: Level
    facts: Mapping[str, str]
    findings: Sequence[Finding]
    tasks: Sequence[tuple[str, int]]
    plots: Mapping[str, bytes]
    episodes: Sequence[EpisodePart]


def html(page: Page) -> str:
    """The whole page."""
    title = escape(page.title)
    facts = "".join(
        f'<div class="fact"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, value in page.facts.items()
    )
    plots = "".join(
        f"<section><h2>{escape(heading)}</h2>{_image(plot, 'png', heading)}</section>"
        for heading, plot in page.plots.items()
    )
    episodes = "".join(_episode(part) for part in page.episodes)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        # Even if a text slipped through, nothing of it could be loaded or run
        '<meta http-equiv="Content-Security-Policy"'
        " content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>"
        f'<header><h1>{title}</h1><span class="badge {page.level.value}">'
        f"{escape(VERDICTS[page.level])}</span></header>"
        f'<div class="facts">{facts}</div>{_findings(page.findings)}{_tasks(page.tasks)}'
        f"{plots}{episodes}</main></body></html>\n"
    )


def _findings(findings: Sequence[Finding]) -> str:
    faults = [finding for finding in findings if finding.level is not Level.PASS]
    passed = ", ".join(f.check for f in findings if f.level is Level.PASS)
    rows = "".join(
        f'<tr><td><span class="badge {f.level.value}">{f.level.value}</span></td>'
        f'<td class="check">{escape(f.check)}</td><td>{escape(f.where)}</td><td>{escape(f.found)}'
        + (f'<br><span class="quiet">→ {escape(f.advice)}</span>' if f.advice else "")
        + "</td></tr>"
        for f in faults
    )
    table = (
        f"<table><tr><th></th><th>check</th><th>where</th><th>found</th></tr>{rows}</table>"
        if faults
        else ""
    )
    return (
        f"<section><h2>Validation</h2>{table}"
        f'<p class="quiet" style="margin:10px 0 0">Passed: {escape(passed) or "nothing"}.</p>'
        "</section>"
    )


def _tasks(tasks: Sequence[tuple[str, int]]) -> str:
    rows = "".join(
        f'<tr><td>{escape(task)}</td><td class="number">{count}</td></tr>' for task, count in tasks
    )
    return (
        '<section><h2>Tasks</h2><table><tr><th>task</th><th style="text-align:right">episodes</th>'
        f"</tr>{rows}</table></section>"
    )


def _episode(part: EpisodePart) -> str:
    strips = "".join(
        f'<figure class="strip"><figcaption><span>{escape(part.span[0])}</span>'
        f"<b>{escape(camera)}</b><span>{escape(part.span[1])}</span></figcaption>"
        f"{_image(strip, 'jpeg', camera)}</figure>"
        for camera, strip in part.strips.items()
    )
    joints = (
        f"<figure>{_image(part.joints, 'png', 'state and action')}</figure>" if part.joints else ""
    )
    return (
        f"<details open><summary>{escape(part.heading)} <span>{escape(part.note)}</span></summary>"
        f"{strips}{joints}</details>"
    )


def _image(data: bytes, kind: str, name: str) -> str:
    text = base64.b64encode(data).decode("ascii")
    return f'<img alt="{escape(name)}" src="data:image/{kind};base64,{text}">'
