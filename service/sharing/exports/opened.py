"""An entry as tables and events show it: face and record read, each item once, with what both say of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from service.sharing.exports.selection import Selection
from service.store import Connection
from service.store.logs import ExportRow, Head

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
    face, record = json.loads(row.leaf), json.loads(row.record)
    recorded = {item["id"]: item for item in record.get("items") or ()}
    return Opened(log, row.position, row.leaf_hash, face, record, [(item, recorded.get(item["id"], _NOTHING)) for item in face["items"]])


def steps(connection: Connection, selection: Selection) -> Iterator[tuple[Head, list[Opened]]]:
    """The entries that match, read, log by log and step by step."""
    for head in selection.heads(connection):
        for rows in selection.rows(connection, head):
            yield head, [opened(row, head.name) for row in rows]
