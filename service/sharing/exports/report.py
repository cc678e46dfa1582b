"""The report: who got what, when, by which rules, and what was refused, for a period and a partner, as a page to print.

One HTML file without scripts and without anything loaded from elsewhere; the same entries at the same time give the same bytes. It is
for people. What proves something is the evidence bundle of the same query, and the page says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.sharing.audit import span_json
from service.sharing.exports.opened import Opened, entries
from service.sharing.exports.selection import Selection
from service.sharing.ledger import Ledger
from service.store import Connection

_BUFFERED: Final = 200


@dataclass(frozen=True, slots=True)
class Made:
    """Of which installation, when and by whom a report is made, and the look that records it."""

    instance: str
    at: str
    client: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the report: an item of an entry, or an entry that names none."""

    log: str
    index: int
    at: str
    type: str
    client: str
    purpose: str
    outcome: str
    item: str
    ref: str
    version: str
    labels: tuple[str, ...]
    rules: tuple[str, ...]
    event_id: str


@dataclass(slots=True)
class Totals:
    """How much the report tells of, by log."""

    entries: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)


def page(connection: Connection, ledger: Ledger, selection: Selection, made: Made) -> Iterator[bytes]:
    """The page, in blocks. The entries are read three times, for totals, what was sent and what was refused, and never held."""
    heads = selection.heads(connection)
    stream = _TEMPLATES.get_template("report.html.jinja").stream(
        made=made,
        query=[(name, str(value)) for name, value in sorted(selection.query.items())],
        heads=[
            {"name": head.name, "origin": head.origin, "size": head.size, "root": head.root.hex(), "key": ledger.vkey(head.origin)}
            for head in heads
        ],
        pruned=[span_json(span) | {"last": span.stop - 1} for span in selection.pruned(connection)],
        totals=_totals(connection, selection),
        sent=_lines(connection, selection, "sent"),
        refused=_lines(connection, selection, "refused"),
        done=_lines(connection, selection, "done"),
    )
    stream.enable_buffering(_BUFFERED)
    for block in stream:
        yield block.encode("utf-8")


def _totals(connection: Connection, selection: Selection) -> Totals:
    totals = Totals()
    for entry in entries(connection, selection):
        totals.entries[entry.log] += 1
        result = entry.face["result"]
        if result == "sent":
            totals.sent[entry.log] += 1
            totals.items[entry.log] += len(entry.items)
        elif result == "refused":
            totals.refused[entry.log] += 1
    return totals


def _lines(connection: Connection, selection: Selection, result: str) -> Iterator[Line]:
    for entry in entries(connection, selection):
        if entry.face["result"] == result:
            yield from _lines_of(entry)


def _lines_of(entry: Opened) -> Iterator[Line]:
    face, record = entry.face, entry.record
    labels = record.get("labels") or {}
    for item, known in entry.items or [({"id": ""}, {})]:
        yield Line(
            log=entry.log,
            index=entry.place,
            at=face["at"],
            type=face["type"],
            client=face["client"],
            purpose=face["purpose"],
            outcome=str(record.get("outcome", "")),
            item=item["id"],
            ref=known.get("ref", ""),
            version=str(known.get("version", "")),
            labels=tuple(_label_text(labels.get(digest, {})) for digest in known.get("labels", ())),
            rules=tuple(known.get("rules", ())),
            event_id=face["event_id"],
        )


def _label_text(label: Mapping[str, Any]) -> str:
    """A label in a few words. Not a marking: what those mean is the scheme's, which a record does not hold."""
    audience = label.get("releasable_to", [])
    parts = [
        str(label.get("level", "")),
        " ".join(label.get("categories", [])),
        "to all" if audience == ["*"] else f"to {' '.join(audience) or 'nobody'}",
    ]
    return ", ".join(part for part in parts if part)


_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
