"""One export, from the look that records it to its last byte.

The look, with the query and the format, is a leaf of `officers` before the first byte is read. Then one view of the database is
opened, and everything comes from it: a service at work beside it changes nothing in the export, and entries that
come meanwhile are beyond the checkpoints in it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from service.errors import Busy
from service.sharing.acts import Actor
from service.sharing.exports import ocsf, report, tables
from service.sharing.exports.bundle import EvidenceBundle
from service.sharing.exports.entries import lines
from service.sharing.exports.selection import Selection
from service.sharing.exports.writing import Piece, to_zip
from service.sharing.installation import Installation
from service.sharing.ledger import Entry
from service.store import Connection
from service.store.times import moment_of, text_of

AT_ONCE_MAX: Final = 4
"""Exports that go on at the same time in one process: each keeps a connection for as long as its receiver takes to read."""


class Format(StrEnum):
    """What an export is written as."""

    BUNDLE = "bundle"
    COMPACT = "compact"
    """A bundle in which what entries have in common is said once."""
    JSONL = "jsonl"
    CSV = "csv"
    OCSF = "ocsf"
    HTML = "html"

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self]

    @property
    def file_name(self) -> str:
        """What a file of it is called."""
        return _FILE_NAMES[self]


_MEDIA_TYPES: Final = {
    Format.BUNDLE: "application/zip",
    Format.COMPACT: "application/zip",
    Format.JSONL: "application/x-ndjson",
    Format.CSV: "text/csv; charset=utf-8; header=present",
    Format.OCSF: "application/x-ndjson",
    Format.HTML: "text/html; charset=utf-8",
}
_FILE_NAMES: Final = {
    Format.BUNDLE: "evidence.zip",
    Format.COMPACT: "evidence-compact.zip",
    Format.JSONL: "entries.jsonl",
    Format.CSV: "entries.csv",
    Format.OCSF: "events.ocsf.jsonl",
    Format.HTML: "report.html",
}
_SLOTS: Final = threading.BoundedSemaphore(AT_ONCE_MAX)


@dataclass(frozen=True, slots=True)
class Export:
    """An export that is on record, over the view of the database it is made from."""

    installation: Installation
    connection: Connection
    selection: Selection
    actor: Actor
    entry: Entry

    def pieces(self, *, compact: bool = False) -> Iterator[Piece]:
        """The evidence bundle, file by file."""
        look = {"event_id": self.entry.event_id, "at": text_of(self.entry.at), "client": self.actor.client, "route": self.actor.route}
        return EvidenceBundle(self.connection, self.installation.ledger, self.selection, look, compact=compact).pieces()

    def content(self, format_: Format) -> Iterator[bytes]:
        """The export as one file."""
        match format_:
            case Format.BUNDLE | Format.COMPACT:
                return to_zip(self.pieces(compact=format_ is Format.COMPACT), moment_of(self.entry.at))
            case Format.JSONL:
                return lines(self.connection, self.selection)
            case Format.CSV:
                return tables.csv_blocks(self.connection, self.selection)
            case Format.OCSF:
                return ocsf.events(self.connection, self.selection)
            case Format.HTML:
                made = report.Made(self.installation.instance.name, text_of(self.entry.at), self.actor.client, self.entry.event_id)
                return report.page(self.connection, self.installation.ledger, self.selection, made)


@contextmanager
def exporting(installation: Installation, actor: Actor, selection: Selection, format_: str) -> Iterator[Export]:
    """Record an export, and open the view it is made from.

    Raises:
        Rejected: a log that does not exist; nothing is recorded.
        Busy: as many exports as there may be go on already, or the look could not be recorded.
    """
    if not _SLOTS.acquire(blocking=False):
        raise Busy(f"{AT_ONCE_MAX} exports go on already")
    try:
        with installation.database.reading() as connection:
            selection.check(connection)
        entry = installation.acts.look("look.export", actor, [], {**selection.query, "format": format_})
        with installation.database.reading() as connection:
            yield Export(installation, connection, selection, actor, entry)
    finally:
        _SLOTS.release()
