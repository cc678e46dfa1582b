"""A difference or a calendar for people: lines for a terminal, and a report to keep or to hand on (HTML).

Both are made of the JSON that programs get, so that nothing can be said in one that is not in the other. The report is one file: no
script, nothing loaded from anywhere, its picture drawn in it; its content-security policy allows its own style and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import jinja2
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from service.cli.session import REFUSED, say
from service.policy import PolicyRejected

WIDTH: Final = 120
"""Columns of a table. A fixed number, so that what is kept of a terminal can be compared."""
_TEMPLATE: Final = "report.html.jinja"
_DAY: Final = "T00:00:00.000000Z"
_STYLE: Final = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_CSP: Final = "STYLE-SHA256"
"""Where the digest of the style goes, once the style is known."""
_CELL, _RUNG, _MARGIN, _HEAD, _HALF = 150, 16, 130, 40, 46
"""Of the picture, in its own units: a cell's width, a level's height, room for names and dates, half the longest bar."""


@contextmanager
def findings_told(as_json: bool) -> Iterator[None]:
    """Say every finding of a bundle that is refused, and end with exit 1."""
    try:
        yield
    except PolicyRejected as rejected:
        if as_json:
            say({"digest": None, "findings": [finding.to_json() for finding in rejected.findings]})
        else:
            for finding in rejected.findings:
                say(f"{finding} ({finding.severity})" if finding.severity == "warning" else str(finding))
        raise typer.Exit(REFUSED) from None


# --- for a terminal ---------------------------------------------------------------------------------------------------


def difference_text(body: Mapping[str, Any], *, witnesses: bool, since: str | None = None) -> list[str]:
    """A difference in lines.

    Args:
        body: what programs get.
        witnesses: show of all possible labels each change with its witness; else how many there are.
        since: from when it was asked for; None for now.
    """
    lines = [f"from {body.get('in_force', 'nothing')[:16]} to {body['bundle'][:16]}"]
    if "timeline" in body:
        lines.append(f"timeline {body['timeline']}")
    lines += [f"  - {row['file']}:{row['line']}: {row['text']}" for row in body["rows"]["removed"]]
    lines += [f"  + {row['file']}:{row['line']}: {row['text']}" for row in body["rows"]["added"]]
    changing = [moment for moment in body["moments"] if moment["stored"] or moment["all_labels"]]
    for moment in body["moments"] if changing else []:
        lines.append(f"{_from(moment['from'], since)}:")
        if not moment["stored"] and not moment["all_labels"]:
            lines.append("  nobody gains or loses anything")
        lines += _effect_lines(moment, witnesses=witnesses)
    if not body["proved"]:
        lines.append(f"nothing is proved of all possible labels: {body['cannot']}")
    elif not changing:
        lines.append("nobody gains or loses anything, now or later; proved for every possible label")
    if body["needs_approval"]:
        lines.append(f"a second officer must approve (from {body['approval_level']} on):")
        lines += [f"  {reason}" for reason in body["reasons"]]
    else:
        lines.append(f"needs no approval: nothing at or above {body['approval_level']} is gained")
    return lines


def calendar_text(body: Mapping[str, Any], *, days: int) -> list[str]:
    """A calendar in lines."""
    if not body["dates"]:
        return [f"nothing begins or ends in the next {days} days"]
    lines = []
    for date in body["dates"]:
        lines.append(f"{_day(date['at'])}:")
        lines += [f"  {row['change']} {row['id']} ({row['file']}:{row['line']}): {row['text']}" for row in date["rows"]]
        if not date["stored"] and not date["all_labels"] and date["proved"]:
            lines.append("  nobody gains or loses anything")
        lines += _effect_lines(date, witnesses=True)
        if not date["proved"]:
            lines.append(f"  nothing is proved of all possible labels: {date['cannot']}")
    return lines


def _effect_lines(moment: Mapping[str, Any], *, witnesses: bool) -> list[str]:
    lines = []
    if moment["stored"]:
        table = Table(
            "partner", "purpose", "gained", "lost", "in part", box=box.SIMPLE_HEAD, padding=(0, 1), title="stored items (portions)"
        )
        table.title_justify = "left"
        for one in moment["stored"]:
            table.add_row(one["partner"], one["purpose"], _sum(one["gained"]), _sum(one["lost"]), str(one["items_changed"] or ""))
        lines += _drawn(table)
    if moment["all_labels"] and witnesses:
        lines.append("  of all possible labels:")
        lines += [f"    {sentence}" for _, sentence in sentences(moment["all_labels"])]
    elif moment["all_labels"]:
        gaining = sorted({one["partner"] for one in moment["all_labels"] if one["change"] == "gains"})
        losing = sorted({one["partner"] for one in moment["all_labels"] if one["change"] == "loses"})
        asking = len(moment["all_labels"]) - sum(one["change"] in ("gains", "loses") for one in moment["all_labels"])
        told = [f"{' '.join(gaining)} gain" if gaining else "", f"{' '.join(losing)} lose" if losing else ""]
        told.append(f"{asking} changes of what may be referred" if asking else "")
        lines.append(f"  of all possible labels: {', '.join(one for one in told if one)} (`--all-labels` shows each)")
    return lines


def sentences(changes: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(which way, in words) of changes of all possible labels; said once where being released and being shown change alike."""
    released = {_of_whom(one) for one in changes if one["action"] == "release"}
    shown = {_of_whom(one) for one in changes if one["action"] == "display"}
    found = []
    for one in changes:
        both = _of_whom(one) in released & shown
        if one["action"] == "release" or not both:
            found.append((one["change"], one["sentence"] + (" (likewise display)" if both else "")))
    return found


def _of_whom(one: Mapping[str, Any]) -> tuple[Any, ...]:
    return one["partner"], tuple(one["purposes"]), one["change"], one["highest"]


def _sum(one: Mapping[str, Any]) -> str:
    if not one["levels"]:
        return ""
    levels = ", ".join(f"{level['level']} {level['items']} ({level['portions']})" for level in one["levels"])
    return f"{one['items']} ({one['portions']}): {levels}"


def _drawn(table: Table) -> list[str]:
    """A table as lines of plain text."""
    out = io.StringIO()
    Console(file=out, width=WIDTH, color_system=None, force_terminal=False, legacy_windows=False).print(table)
    return [f"  {line.rstrip()}" for line in out.getvalue().splitlines() if line.strip()]


def _from(moment: str, since: str | None) -> str:
    if moment == "now":
        return "from now on" if since is None else f"from {since} on"
    return f"from {_day(moment)} on"


def _day(at: str) -> str:
    """A time without what says nothing: dated rows begin at midnight."""
    return at.removesuffix(_DAY)


# --- the report -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """A rung of a cell: how long its bars are (0 to `_HALF`), what they stand for, and the proof's mark; all for one level."""

    y: int
    lost: float
    gained: float
    lost_text: str
    gained_text: str
    mark_gain: bool
    mark_loss: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """What a partner gains and loses at a moment, by level."""

    x: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """A partner's row of the picture."""

    y: int
    partner: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """Partners by moments, a ladder in each cell. Made here, so that the template only writes."""

    width: int
    height: int
    columns: tuple[tuple[int, str], ...]
    rungs: tuple[str, ...]
    bands: tuple[Band, ...]


def difference_html(body: Mapping[str, Any], *, levels: Sequence[str], since: str | None, made: datetime) -> str:
    """The report: one file, whole in itself.

    Args:
        body: what programs get.
        levels: the ladder, lowest first.
        since: from when it was asked for; None for now.
        made: when, for its foot.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # rows of a bundle are somebody's text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    moments = [{**moment, "head": _from(moment["from"], since), "told": sentences(moment["all_labels"])} for moment in body["moments"]]
    text = environment.get_template(_TEMPLATE).render(
        body=body,
        moments=moments,
        picture=_picture(moments, levels),
        made=made.strftime("%Y-%m-%d %H:%M UTC"),
        sum_of=_sum,
        csp=_CSP,
        half=_HALF,
    )
    style = _STYLE.search(text)
    digest = "" if style is None else b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    return text.replace(_CSP, f"sha256-{digest}", 1)


def _picture(moments: Sequence[Mapping[str, Any]], levels: Sequence[str]) -> Picture:
    """Bars are of portions that are stored; a mark is the proof's word for some possible label."""
    partners = sorted({one["partner"] for moment in moments for kind in ("stored", "all_labels") for one in moment[kind]})
    rungs = list(reversed(levels))
    most = max(
        (
            level["portions"]
            for moment in moments
            for one in moment["stored"]
            for side in ("gained", "lost")
            for level in one[side]["levels"]
        ),
        default=1,
    )
    band_height = len(rungs) * _RUNG + 14
    bands = []
    for number, partner in enumerate(partners):
        cells = []
        for column, moment in enumerate(moments):
            bars = []
            for rung, level in enumerate(rungs):
                lost, gained = (_of(moment, partner, side, level) for side in ("lost", "gained"))
                bars.append(
                    Bar(
                        rung * _RUNG,
                        _length(lost, most),
                        _length(gained, most),
                        f"{lost}" if lost else "",
                        f"{gained}" if gained else "",
                        _marked(moment, partner, "gains", level),
                        _marked(moment, partner, "loses", level),
                    )
                )
            cells.append(Cell(_MARGIN + column * _CELL, tuple(bars)))
        bands.append(Band(_HEAD + number * band_height, partner, tuple(cells)))
    columns = tuple((_MARGIN + column * _CELL, moment["head"]) for column, moment in enumerate(moments))
    return Picture(_MARGIN + len(moments) * _CELL + 10, _HEAD + len(partners) * band_height + 4, columns, tuple(rungs), tuple(bands))


def _of(moment: Mapping[str, Any], partner: str, side: str, level: str) -> int:
    """Portions of a level that a partner gains or loses: for the purpose for which it is most."""
    return max(
        (
            found["portions"]
            for one in moment["stored"]
            if one["partner"] == partner
            for found in one[side]["levels"]
            if found["level"] == level
        ),
        default=0,
    )


def _marked(moment: Mapping[str, Any], partner: str, change: str, level: str) -> bool:
    return any(one["partner"] == partner and one["change"] == change and one["highest"] == level for one in moment["all_labels"])


def _length(count: int, most: int) -> float:
    # One is to be seen beside a thousand.
    return 0 if not count else round(4 + (_HALF - 4) * count / most, 1)
