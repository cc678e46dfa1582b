"""What a past decision rested on, as it is stored: a version by its number, under the labels it had at a time.

Versions and portions never change, and an act cuts timelines at its own time, so that what was in force before it stays to be read.
A version is found by its number, whichever is in force now, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, text

from service.store.catalogue import PortionAt, PortionRecord, VersionAt
from service.store.database import sought
from service.store.logs import Position, StoredRow, entry
from service.store.tables import as_bytes


@dataclass(frozen=True, slots=True)
class VersionThen:
    """A version as it stood at a time, without content; `labels` are the (digest, canonical JSON) of all its label ids."""

    version: VersionAt
    labels: Mapping[int, tuple[bytes, str]]


_PORTIONS: Final = text(
    "SELECT i.ref, v.whole, p.id, p.item_id, p.kind, p.content_sha256, p.name, p.media_type, p.size, p.changed_at, "
    "l.label_id, l.until AS label_until, vp.position, vp.within, vp.place, vp.instead_of "
    "FROM item i JOIN version v ON v.item_id = i.id AND v.number = :number "
    "JOIN version_portion vp ON vp.version_id = v.id JOIN portion p ON p.id = vp.portion_id "
    "LEFT JOIN portion_label l ON l.portion_id = p.id AND l.from_at <= :at AND l.until > :at "
    "WHERE i.id = :item ORDER BY vp.position"
)
_COMPILATION: Final = text("SELECT label_id, until FROM portion_label WHERE portion_id = :item AND from_at <= :at AND until > :at")
_LABELS: Final = text("SELECT id, digest, body FROM label WHERE id IN :ids").bindparams(bindparam("ids", expanding=True))


def version_then(connection: Connection, item_id: str, number: int, *, at: int) -> VersionThen | None:
    """A version of an item with every portion and its label as of a time in microseconds; None where there is no such version."""
    rows = connection.execute(_PORTIONS, {"item": sought(item_id), "number": number, "at": at}).all()
    if not rows:
        return None
    compilation = connection.execute(_COMPILATION, {"item": item_id, "at": at}).one_or_none()
    portions = tuple(
        PortionAt(
            PortionRecord(
                row.id, row.item_id, row.kind, b"", as_bytes(row.content_sha256), row.name, row.media_type, row.size, row.changed_at
            ),
            row.label_id,
            row.label_until,
            row.position,
            row.within,
            row.place,
            row.instead_of,
        )
        for row in rows
        if row.label_id is not None
    )
    ids = {portion.label_id for portion in portions} | (set() if compilation is None else {compilation.label_id})
    labels = {row.id: (as_bytes(row.digest), str(row.body)) for row in connection.execute(_LABELS, {"ids": sorted(ids)})} if ids else {}
    version = VersionAt(
        item_id,
        rows[0].ref,
        number,
        bool(rows[0].whole),
        portions,
        None if compilation is None else (compilation.label_id, compilation.until),
        any(row.label_id is None for row in rows),
    )
    return VersionThen(version, labels)


def created_at(connection: Connection, item_id: str) -> int | None:
    """When an item came to be, in microseconds; None where there is none."""
    return connection.execute(text("SELECT created_at FROM item WHERE id = :item"), {"item": sought(item_id)}).scalar()


def newest_of_partners(connection: Connection, *, before: Position | None, limit: int) -> list[StoredRow]:
    """Entries of partners' logs, newest first, after a place in that order."""
    place = "" if before is None else "AND (e.at, e.log_id, e.position) < (:at, :log, :position) "
    given = {} if before is None else {"at": before.at, "log": before.log_id, "position": before.position}
    ids = connection.execute(
        text(
            "SELECT e.event_id FROM log_entry e JOIN log g ON g.id = e.log_id WHERE g.name NOT IN ('officers', 'root') "
            f"{place}ORDER BY e.at DESC, e.log_id DESC, e.position DESC LIMIT :limit"
        ),
        {**given, "limit": limit},
    ).scalars()
    return [row for event_id in list(ids) if (row := entry(connection, event_id)) is not None]
