"""An entry as tables and events show it: face and record read, each item once, with what both say of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from service.sharing.exports.selection import Selection
from service.store import Connection
from service.store.logs import ExportRow

_read: Final = json.JSONDecoder().decode
_NOTHING: Final[Mapping[str, Any]] = {}


class Opened(NamedTuple):
    """An entry, read. `items` are (of the face, of the record), in the order of the face; the record may have nothing of one."""

    log: str
    place: int
    leaf_hash: bytes
    face: Mapping[str, Any]
    record: Mapping[str, Any]
    items: list[tuple[Mapping[str, Any], Mapping[str, Any]]]


def opened(row: ExportRow, log: str) -> Opened:
    """Read an entry's leaf and record."""
    face, record = _read(row.leaf.decode("utf-8")), _read(row.record.decode("utf-8"))
    recorded = {item["id"]: item for item in record.get("items") or ()}
    return Opened(log, row.position, row.leaf_hash, face, record, [(item, recorded.get(item["id"], _NOTHING)) for item in face["items"]])


def entries(connection: Connection, selection: Selection) -> Iterator[Opened]:
    """The entries that match, read, log by log.

    One by one, and let go again: thousands of parsed entries held at a time cost five times as much in garbage collection as in
    parsing.
    """
    for head in selection.heads(connection):
        for rows in selection.rows(connection, head):
            for row in rows:
                yield opened(row, head.name)
