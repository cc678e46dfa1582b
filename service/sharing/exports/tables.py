"""CSV (RFC 4180): a row for each entry and item it names, and one for an entry that names none. Before them one for each run of entries
that were pruned, of type `pruned`, its index `FIRST-LAST`.

Made for spreadsheets that would take a cell for a formula: a cell that begins with one of `= + - @`, a tab, a line break, a full-width form
of these, or an apostrophe gets an apostrophe before it. So `-x` is written `'-x`, and whoever reads the file by a program
takes one apostrophe away from the beginning of every cell that has one, and has the value.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from service.sharing.exports.opened import OfItems, Opened, opened
from service.sharing.exports.selection import Selection
from service.store import Connection
from service.store.logs import ExportRow
from service.store.prunes import Span
from service.store.times import text_of

COLUMNS: Final = (
    "log", "index", "event_id", "at", "type", "client", "route", "purpose", "result", "outcome",
    "item", "ref", "version", "copy_sha256", "portion", "portions", "labels", "rules", "bundle", "act", "body_sha256", "leaf_hash",
)  # fmt: skip
_QUOTED: Final = re.compile(r'["\r\n]')
_NOTHING_SAID: Final = (",", ",,")
_DANGEROUS: Final = frozenset("=+-@\t\r\n'\uff1d\uff0b\uff0d\uff20")


def harmless(cell: str) -> str:
    """The cell as no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell[:1] in _DANGEROUS and cell else cell


def csv_blocks(connection: Connection, selection: Selection) -> Iterator[bytes]:
    """The table, in blocks; the first line names the columns."""
    table = Table()
    yield _written(COLUMNS).encode("utf-8")
    yield "".join([_written(pruned_row(span)) for span in selection.pruned(connection)]).encode("utf-8")
    for head in selection.heads(connection):
        for rows in selection.rows(connection, head):
            yield "".join([table.lines(row, head.name) for row in rows]).encode("utf-8")


class Table:
    """Makes the lines of entries. Cells that come again, and what many records say of an item in the same words, are written once."""

    def __init__(self) -> None:
        self._items: Final = OfItems(lambda item: (_joined((cells := _of_item(item))[:2]), _joined(cells[2:])))

    def lines(self, row: ExportRow, log: str) -> str:
        """The lines of an entry."""
        found = self._items.cut(row)
        if found is None:
            return "".join([_written(cells) for cells in rows(opened(row, log))])
        entry, known = found
        event = f"{log},{row.position},{harmless(entry.event_id)},{entry.at}"
        kind = _together(entry.type, entry.client, entry.route, entry.purpose, entry.result, entry.outcome)
        # Digests, numbers, ids and times hold nothing that a table would quote; `cut` has seen to it.
        rest = f"{entry.bundle},{entry.act},{entry.body_sha256},{row.leaf_hash.hex()}\r\n"
        portion = harmless(entry.portion)
        if not entry.items:
            return f"{event},{kind},,,,,{portion},,,,{rest}"
        lines = []
        for copy_sha256, item_id in entry.items:
            before, after = known.get(item_id, _NOTHING_SAID)
            lines.append(f"{event},{kind},{harmless(item_id)},{before},{copy_sha256},{portion},{after},{rest}")
        return "".join(lines)


def pruned_row(span: Span) -> tuple[object, ...]:
    """The row of entries that were pruned: their places, the time of the first of them, and the event of the leaf that says so."""
    row = (span.log, f"{span.start}-{span.stop - 1}", harmless(span.event_id), text_of(span.first_at), "pruned")
    return (*row, *[""] * (len(COLUMNS) - len(row)))


def rows(entry: Opened) -> list[tuple[object, ...]]:
    """The rows of an entry. Sets are separated by spaces; labels are named by their digests."""
    face, record = entry.face, entry.record
    before = (
        entry.log, entry.place, harmless(face["event_id"]), face["at"], harmless(face["type"]), harmless(face["client"]),
        harmless(face["route"]), harmless(face["purpose"]), harmless(face["result"]), harmless(str(record.get("outcome", ""))),
    )  # fmt: skip
    after = (harmless(str(record.get("bundle") or "")), record.get("act", ""), face["body_sha256"] or "", entry.leaf_hash.hex())
    portion = harmless(face.get("portion", ""))
    if not entry.items:
        return [(*before, "", "", "", "", portion, "", "", "", *after)]
    made: list[tuple[object, ...]] = []
    for item, known in entry.items:
        ref, version, *more = _of_item(known)
        made.append((*before, harmless(item["id"]), ref, version, item.get("copy_sha256", ""), portion, *more, *after))
    return made


def _of_item(known: Mapping[str, Any]) -> tuple[object, ...]:
    """What a record says of an item: ref, version, portions, labels, rules."""
    return (
        harmless(known.get("ref", "")), known.get("version", ""), harmless(" ".join(known.get("portions", ()))),
        harmless(" ".join(known.get("labels", ()))), harmless(" ".join(known.get("rules", ()))),
    )  # fmt: skip


def _written(cells: Sequence[object]) -> str:
    """A line of these cells."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()


def _joined(cells: Sequence[object]) -> str:
    """Some cells of a line, more than one; the writer is asked where one may have to be quoted."""
    text = ",".join(map(str, cells))
    if text.count(",") == len(cells) - 1 and not _QUOTED.search(text):
        return text
    return _written(cells).removesuffix("\r\n")


@lru_cache(maxsize=4096)
def _together(*cells: str) -> str:
    """The same, of texts that are made harmless first."""
    return _joined([harmless(cell) for cell in cells])
