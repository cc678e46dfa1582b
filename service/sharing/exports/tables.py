"""CSV (RFC 4180): a row for each entry and item it names, and one for an entry that names none. Before them one for each run of entries
that were pruned, of type `pruned`, its index `FIRST-LAST`.

Made for spreadsheets that would take a cell for a formula: a cell that begins with one of `= + - @`, a tab, a line break, a full-width form
of these, or an apostrophe gets an apostrophe before it. So `-x` is written `'-x`, and whoever reads the file by a program
takes one apostrophe away from the beginning of every cell that has one, and has the value.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

from service.sharing.exports.opened import Opened, entries
from service.sharing.exports.selection import Selection
from service.store import Connection
from service.store.prunes import Span
from service.store.times import text_of

COLUMNS: Final = (
    "log", "index", "event_id", "at", "type", "client", "route", "purpose", "result", "outcome",
    "item", "ref", "version", "copy_sha256", "portion", "portions", "labels", "rules", "bundle", "act", "body_sha256", "leaf_hash",
)  # fmt: skip
_BLOCK_CHARACTERS: Final = 1 << 18
_DANGEROUS: Final = frozenset("=+-@\t\r\n'\uff1d\uff0b\uff0d\uff20")


def harmless(cell: str) -> str:
    """The cell as no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell[:1] in _DANGEROUS and cell else cell


def csv_blocks(connection: Connection, selection: Selection) -> Iterator[bytes]:
    """The table, in blocks; the first line names the columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(pruned_row(span) for span in selection.pruned(connection))
    for entry in entries(connection, selection):
        writer.writerows(rows(entry))
        if text.tell() >= _BLOCK_CHARACTERS:
            yield text.getvalue().encode("utf-8")
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode("utf-8")


def pruned_row(span: Span) -> tuple[object, ...]:
    """The row of entries that were pruned: their places, the time of the first of them, and the event of the leaf that says so."""
    row = (span.log, f"{span.start}-{span.stop - 1}", harmless(span.event_id), text_of(span.first_at), "pruned")
    return (*row, *[""] * (len(COLUMNS) - len(row)))


def rows(entry: Opened) -> list[tuple[object, ...]]:
    """The rows of an entry. Sets are separated by spaces; labels are named by their digests."""
    face, record = entry.face, entry.record
    before = (
        entry.log, entry.place, harmless(face["event_id"]), face["at"], harmless(face["type"]), harmless(face["client"]),
        harmless(face["route"]), harmless(face["purpose"]), face["result"], harmless(str(record.get("outcome", ""))),
    )  # fmt: skip
    after = (harmless(str(record.get("bundle") or "")), record.get("act", ""), face["body_sha256"] or "", entry.leaf_hash.hex())
    portion = harmless(face.get("portion", ""))
    if not entry.items:
        return [(*before, "", "", "", "", portion, "", "", "", *after)]
    return [
        (
            *before, harmless(item["id"]), harmless(known.get("ref", "")), known.get("version", ""), item.get("copy_sha256", ""), portion,
            harmless(" ".join(known.get("portions", ()))), " ".join(known.get("labels", ())), harmless(" ".join(known.get("rules", ()))),
            *after,
        )
        for item, known in entry.items
    ]  # fmt: skip
