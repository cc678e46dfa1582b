"""The release logs in the database: heads, entries, tiles, kept checkpoints, and the auditor's queries.

What a leaf is, and how trees and checkpoints are made, is `service.releaselog`'s; who may append, and when, is the release
gate's. Here it is written so that reading stays cheap: full tiles of 256 hashes, columns that repeat the face, one row for
each item an entry names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, bindparam, text

from service.errors import Broken
from service.releaselog.facts import BUNDLE, CATEGORY, LEVEL, OUTCOME, RULE
from service.store.database import insert_many, sought
from service.store.tables import as_bytes

TILE_HASHES: Final = 256
_HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Head:
    """A log's head. `at` is the time of its last entry in microseconds, `frontier` the right edge of its tree."""

    id: int
    name: str
    origin: str
    slot: int
    size: int
    frontier: bytes
    root: bytes
    at: int
    checkpoint: str


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry to be written. `items` are (item id, version sent or 0)."""

    log_id: int
    position: int
    event_id: str
    at: int
    type: str
    client: str
    result: str
    leaf: bytes
    leaf_hash: bytes
    record: bytes
    nonce: bytes
    items: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class StoredRow:
    """An entry as it is kept."""

    log: str
    log_id: int
    position: int
    event_id: str
    at: int
    type: str
    client: str
    result: str
    leaf: bytes
    leaf_hash: bytes
    record: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """That a partner was sent a version of an item."""

    partner: str
    at: int
    version: int


_HEAD: Final = "id, name, origin, slot, size, frontier, root, at, checkpoint"


def _head(row: Row[Any]) -> Head:
    return Head(row.id, row.name, row.origin, row.slot, row.size, as_bytes(row.frontier), as_bytes(row.root), row.at, row.checkpoint)


def heads(connection: Connection) -> list[Head]:
    """All heads, by name."""
    return [_head(row) for row in connection.execute(text(f"SELECT {_HEAD} FROM log ORDER BY name"))]


def head(connection: Connection, name: str) -> Head | None:
    row = connection.execute(text(f"SELECT {_HEAD} FROM log WHERE name = :name"), {"name": sought(name)}).one_or_none()
    return None if row is None else _head(row)


def lock_heads(connection: Connection, names: Sequence[str]) -> dict[str, Head]:
    """Lock the heads of logs, always in the order of their ids, so that two writers cannot wait for each other."""
    lock = " FOR UPDATE" if connection.dialect.name == "postgresql" else ""
    statement = text(f"SELECT {_HEAD} FROM log WHERE name IN :names ORDER BY id{lock}").bindparams(bindparam("names", expanding=True))
    return {row.name: _head(row) for row in connection.execute(statement, {"names": sorted(set(names))})}


def add_log(
    connection: Connection, *, name: str, origin: str, slot: int, empty_frontier: bytes, empty_root: bytes, checkpoint: str
) -> None:
    """Open a log. The name, origin and slot are each unique."""
    connection.execute(
        text(
            f"INSERT INTO log ({_HEAD.removeprefix('id, ')}) VALUES (:name, :origin, :slot, 0, :frontier, :root, 0, :checkpoint) "
            "ON CONFLICT DO NOTHING"
        ),
        {"name": name, "origin": origin, "slot": slot, "frontier": empty_frontier, "root": empty_root, "checkpoint": checkpoint},
    )


def slots_used(connection: Connection) -> set[int]:
    return set(connection.execute(text("SELECT slot FROM log")).scalars())


_APPEND: Final = (
    "INSERT INTO log_entry (log_id, position, event_id, at, type, client, result, leaf, leaf_hash, record, nonce) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_APPEND_ITEMS: Final = "INSERT INTO log_item (item_id, at, log_id, position, version) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_ADVANCE: Final = text(
    "UPDATE log SET size = :size, frontier = :frontier, root = :root, at = :at, checkpoint = :checkpoint "
    "WHERE id = :id AND size = :old_size AND root = :old_root"
)


def append_entries(connection: Connection, entries: Sequence[EntryRow]) -> None:
    """Insert entries. Their positions were assigned under the locked heads."""
    insert_many(
        connection,
        _APPEND,
        [
            (
                entry.log_id, entry.position, entry.event_id, entry.at, entry.type, entry.client, entry.result, entry.leaf,
                entry.leaf_hash, entry.record, entry.nonce,
            )
            for entry in entries
        ],
    )  # fmt: skip
    insert_many(
        connection,
        _APPEND_ITEMS,
        [(item, entry.at, entry.log_id, entry.position, version) for entry in entries for item, version in entry.items],
    )


def advance_head(connection: Connection, old: Head, new: Head) -> None:
    """Move a head on, by compare-and-swap on its size and root.

    Raises:
        Broken: the head is not what this writer locked; nothing may be committed.
    """
    moved = connection.execute(
        _ADVANCE,
        {
            "id": old.id, "old_size": old.size, "old_root": old.root, "size": new.size, "frontier": new.frontier, "root": new.root,
            "at": new.at, "checkpoint": new.checkpoint,
        },
    )  # fmt: skip
    if moved.rowcount != 1:
        raise Broken(f"the head of log `{old.name}` moved under its lock, expected size {old.size}; run `entente log verify`")


def keep_checkpoint(connection: Connection, log_id: int, size: int, note: str) -> None:
    connection.execute(
        text("INSERT INTO log_checkpoint (log_id, size, note) VALUES (:log, :size, :note) ON CONFLICT DO NOTHING"),
        {"log": log_id, "size": size, "note": note},
    )


def kept_checkpoints(connection: Connection, log_id: int, *, size: int | None = None) -> list[tuple[int, str]]:
    """(size, signed checkpoint), smallest first; or the one of this size."""
    only = "" if size is None else " AND size = :size"
    rows = connection.execute(
        text(f"SELECT size, note FROM log_checkpoint WHERE log_id = :log{only} ORDER BY size"), {"log": log_id, "size": size or 0}
    )
    return [(row[0], row[1]) for row in rows]


# --- tiles ----------------------------------------------------------------------------------------------------------


def tile_row(connection: Connection, log_id: int, level: int, position: int) -> list[bytes]:
    """The hashes kept of a tile: all 256 at level 0 or none; at higher levels as many as there are yet."""
    blob = connection.execute(
        text("SELECT hashes FROM log_tile WHERE log_id = :log AND level = :level AND position = :position"),
        {"log": log_id, "level": level, "position": position},
    ).scalar()
    return [] if blob is None else split_hashes(as_bytes(blob))


def split_hashes(blob: bytes) -> list[bytes]:
    return [blob[start : start + _HASH_BYTES] for start in range(0, len(blob), _HASH_BYTES)]


def put_tile(connection: Connection, log_id: int, level: int, position: int, hashes: Sequence[bytes]) -> None:
    connection.execute(
        text(
            "INSERT INTO log_tile (log_id, level, position, hashes) VALUES (:log, :level, :position, :hashes) "
            "ON CONFLICT (log_id, level, position) DO UPDATE SET hashes = excluded.hashes"
        ),
        {"log": log_id, "level": level, "position": position, "hashes": b"".join(hashes)},
    )


def leaf_hashes(connection: Connection, log_id: int, start: int, stop: int) -> list[bytes]:
    """Leaf hashes of positions `start` to `stop`, exclusive."""
    rows = connection.execute(
        text("SELECT leaf_hash FROM log_entry WHERE log_id = :log AND position >= :start AND position < :stop ORDER BY position"),
        {"log": log_id, "start": start, "stop": stop},
    )
    return [as_bytes(row[0]) for row in rows]


def leaves(connection: Connection, log_id: int, start: int, stop: int) -> list[bytes]:
    """Leaf bytes of positions `start` to `stop`, exclusive."""
    rows = connection.execute(
        text("SELECT leaf FROM log_entry WHERE log_id = :log AND position >= :start AND position < :stop ORDER BY position"),
        {"log": log_id, "start": start, "stop": stop},
    )
    return [as_bytes(row[0]) for row in rows]


def read_tile(connection: Connection, log_id: int, level: int, position: int, width: int) -> list[bytes]:
    """The first `width` hashes of a tile, whether full or not."""
    kept = tile_row(connection, log_id, level, position)
    if not kept and level == 0:
        kept = leaf_hashes(connection, log_id, position * TILE_HASHES, position * TILE_HASHES + width)
    if len(kept) < width:
        raise Broken(f"tile {level}/{position} of log {log_id} holds {len(kept)} hashes, expected {width}; run `entente log verify`")
    return kept[:width]


def tile_count(connection: Connection, log_id: int) -> int:
    """How many tiles are kept of a log."""
    return int(connection.execute(text("SELECT COUNT(*) FROM log_tile WHERE log_id = :log"), {"log": log_id}).scalar_one())


# --- reading --------------------------------------------------------------------------------------------------------

_ENTRY: Final = (
    "g.name AS log, e.log_id, e.position, e.event_id, e.at, e.type, e.client, e.result, e.leaf, e.leaf_hash, e.record, e.nonce "
    "FROM log_entry e JOIN log g ON g.id = e.log_id"
)


def _stored(row: Row[Any]) -> StoredRow:
    return StoredRow(
        row.log, row.log_id, row.position, row.event_id, row.at, row.type, row.client, row.result, as_bytes(row.leaf),
        as_bytes(row.leaf_hash), as_bytes(row.record), as_bytes(row.nonce),
    )  # fmt: skip


def entry(connection: Connection, event_id: str) -> StoredRow | None:
    row = connection.execute(text(f"SELECT {_ENTRY} WHERE e.event_id = :event"), {"event": sought(event_id)}).one_or_none()
    return None if row is None else _stored(row)


def entry_of_log(connection: Connection, log_name: str, event_id: str) -> StoredRow | None:
    """An entry by its event id, if it is in this log. One statement, one row or none, for a foreign id as for an absent one."""
    row = connection.execute(
        text(f"SELECT {_ENTRY} WHERE e.event_id = :event AND g.name = :log"), {"event": sought(event_id), "log": sought(log_name)}
    ).one_or_none()
    return None if row is None else _stored(row)


def stored_at(connection: Connection, log_id: int, positions: Sequence[int]) -> list[StoredRow]:
    """The entries at these positions of a log."""
    statement = text(f"SELECT {_ENTRY} WHERE e.log_id = :log AND e.position IN :positions").bindparams(
        bindparam("positions", expanding=True)
    )
    return [_stored(row) for row in connection.execute(statement, {"log": log_id, "positions": list(positions)})]


def entries(connection: Connection, log_id: int, *, start: int = 0, stop: int | None = None) -> Iterator[StoredRow]:
    """Entries of a log in order, read in steps so that memory stays bounded."""
    step = 1000
    while stop is None or start < stop:
        upto = start + step if stop is None else min(start + step, stop)
        rows = connection.execute(
            text(f"SELECT {_ENTRY} WHERE e.log_id = :log AND e.position >= :start AND e.position < :stop ORDER BY e.position"),
            {"log": log_id, "start": start, "stop": upto},
        ).all()
        if (
            not rows
            and not connection.execute(
                text("SELECT 1 FROM log_entry WHERE log_id = :log AND position >= :stop LIMIT 1"), {"log": log_id, "stop": upto}
            ).first()
        ):
            return
        yield from (_stored(row) for row in rows)
        start = upto


def records_of(connection: Connection, log_name: str, types: Sequence[str]) -> list[tuple[str, int, bytes]]:
    """(type, at, record) of all entries of a log that are of these types, in its order."""
    statement = text(
        "SELECT e.type, e.at, e.record FROM log_entry e JOIN log g ON g.id = e.log_id WHERE g.name = :log AND e.type IN :types "
        "ORDER BY e.position"
    ).bindparams(bindparam("types", expanding=True))
    return [(row[0], row[1], as_bytes(row[2])) for row in connection.execute(statement, {"log": log_name, "types": list(types)})]


def of_type(connection: Connection, log_name: str, type_: str) -> Iterator[StoredRow]:
    """The entries of a log that are of a type, in its order, read in steps."""
    return of_types(connection, log_name, (type_,))


def of_types(connection: Connection, log_name: str, types: Sequence[str]) -> Iterator[StoredRow]:
    """The entries of a log that are of any of these types, in its order, read in steps."""
    statement = text(
        f"SELECT {_ENTRY} WHERE e.type IN :types AND g.name = :log AND (e.at, e.position) > (:at, :position) "
        "ORDER BY e.at, e.position LIMIT 1000"
    ).bindparams(bindparam("types", expanding=True))
    place = (-1, -1)
    while rows := connection.execute(statement, {"types": list(types), "log": log_name, "at": place[0], "position": place[1]}).all():
        yield from (_stored(row) for row in rows)
        place = (rows[-1].at, rows[-1].position)


def entry_items(connection: Connection, log_id: int, position: int) -> list[tuple[str, int, int]]:
    """(item id, at, version) rows of an entry."""
    rows = connection.execute(
        text("SELECT item_id, at, version FROM log_item WHERE log_id = :log AND position = :position ORDER BY item_id"),
        {"log": log_id, "position": position},
    )
    return [(row[0], row[1], row[2]) for row in rows]


def items_by_position(connection: Connection, log_id: int, start: int, stop: int) -> dict[int, list[tuple[str, int, int]]]:
    """(item id, at, version) rows of a run of entries, by position."""
    found: dict[int, list[tuple[str, int, int]]] = {}
    for row in connection.execute(
        text("SELECT position, item_id, at, version FROM log_item WHERE log_id = :log AND position >= :start AND position < :stop"),
        {"log": log_id, "start": start, "stop": stop},
    ):
        found.setdefault(row[0], []).append((row[1], row[2], row[3]))
    return found


def received(connection: Connection, item_id: str) -> list[Received]:
    """Who was sent which version of an item and when, oldest first; lists do not count, as they hold no content but titles."""
    rows = connection.execute(
        text(
            "SELECT g.name, i.at, i.version FROM log_item i JOIN log_entry e ON e.log_id = i.log_id AND e.position = i.position "
            "JOIN log g ON g.id = i.log_id WHERE i.item_id = :item AND i.version > 0 AND e.type IN ('item', 'file') AND e.result = 'sent' "
            "ORDER BY i.at, i.log_id, i.position"
        ),
        {"item": item_id},
    )
    return [Received(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the auditor's order: newest first, after this entry."""

    at: int
    log_id: int
    position: int


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What an auditor asks for: entries that match everything given here. Pages and exports ask by the same value.

    Args:
        log: name of a log; None for all.
        partners_only: leave the logs `officers` and `root` out.
        since, until: microseconds, `until` exclusive.
        outcomes, levels, categories: any of; none for no such filter. They, `rule` and `bundle` are of the record (`releaselog.facts`).
        review: the state an auditor's marks brought the entry to (`releaselog.reviews`).
    """

    log: str | None = None
    partners_only: bool = False
    item: str | None = None
    since: int | None = None
    until: int | None = None
    type: str | None = None
    client: str | None = None
    outcomes: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    rule: str | None = None
    bundle: str | None = None
    review: str | None = None

    def facts(self) -> Mapping[str, tuple[str, ...]]:
        """The facts it names, by kind; of one kind any is enough."""
        by_kind = {
            OUTCOME: self.outcomes,
            LEVEL: self.levels,
            CATEGORY: self.categories,
            RULE: () if self.rule is None else (self.rule,),
            BUNDLE: () if self.bundle is None else (self.bundle,),
        }
        return {kind: values for kind, values in by_kind.items() if values}


@dataclass(slots=True)
class _Narrowed:
    """A filter as SQL: what to join to `log_entry e` and `log g`, and what must hold."""

    joins: str = ""
    conditions: list[str] = field(default_factory=list)
    parameters: dict[str, object] = field(default_factory=dict)

    def narrow(self, condition: str, **values: object) -> None:
        self.conditions.append(condition)
        self.parameters.update(values)

    def where(self) -> str:
        return f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""


def _narrowed(asked: AuditFilter) -> _Narrowed:
    """All of a filter but which log: that is found by its id, and pages and exports each have their own way to it."""
    narrowed = _Narrowed()
    if asked.partners_only:
        narrowed.narrow("g.name NOT IN ('officers', 'root')")
    if asked.since is not None:
        narrowed.narrow("e.at >= :since", since=asked.since)
    if asked.until is not None:
        narrowed.narrow("e.at < :until", until=asked.until)
    if asked.type is not None:
        narrowed.narrow("e.type = :type", type=sought(asked.type))
    if asked.client is not None:
        narrowed.narrow("e.client = :client", client=sought(asked.client))
    if asked.item is not None:
        narrowed.joins += " JOIN log_item i ON i.log_id = e.log_id AND i.position = e.position AND i.at = e.at"
        narrowed.narrow("i.item_id = :item", item=sought(asked.item))
    for kind, values in asked.facts().items():
        named = {f"{kind}_{number}": sought(value) for number, value in enumerate(values)}
        narrowed.narrow(
            "EXISTS (SELECT 1 FROM log_fact lf JOIN fact f ON f.id = lf.fact_id WHERE lf.log_id = e.log_id AND lf.position = e.position "
            f"AND f.kind = '{kind}' AND f.value IN ({', '.join(f':{name}' for name in named)}))",
            **named,
        )
    if asked.review is not None:
        narrowed.narrow(
            "EXISTS (SELECT 1 FROM review r WHERE r.log_id = e.log_id AND r.position = e.position AND r.state = :review)",
            review=sought(asked.review),
        )
    return narrowed


class ExportRow(NamedTuple):
    """What an export reads of an entry: the bytes, and nothing that would have to be parsed out of them."""

    position: int
    leaf: bytes
    leaf_hash: bytes
    record: bytes
    nonce: bytes


def matching(connection: Connection, asked: AuditFilter, log_id: int, *, start: int, stop: int, limit: int) -> list[ExportRow]:
    """The first entries of a log that match, from position `start` on and before `stop`, in its order; whatever `asked.log` says."""
    narrowed = _narrowed(asked)
    narrowed.narrow("e.log_id = :log_id", log_id=log_id)
    narrowed.narrow("e.position >= :start", start=start)
    narrowed.narrow("e.position < :stop", stop=stop)
    rows = connection.execute(
        text(
            "SELECT e.position, e.leaf, e.leaf_hash, e.record, e.nonce FROM log_entry e JOIN log g ON g.id = e.log_id"
            f"{narrowed.joins}{narrowed.where()} ORDER BY e.position LIMIT :limit"
        ),
        {**narrowed.parameters, "limit": limit},
    )
    return [
        ExportRow(position, as_bytes(leaf), as_bytes(leaf_hash), as_bytes(record), as_bytes(nonce))
        for position, leaf, leaf_hash, record, nonce in rows
    ]


def entry_at(connection: Connection, log_name: str, position: int) -> StoredRow | None:
    """An entry by its place."""
    row = connection.execute(
        text(f"SELECT {_ENTRY} WHERE g.name = :log AND e.position = :position"), {"log": sought(log_name), "position": position}
    ).one_or_none()
    return None if row is None else _stored(row)


def checkpoint_at(connection: Connection, log_id: int, size: int) -> str | None:
    """The checkpoint kept of a size, if there is one."""
    found: str | None = connection.execute(
        text("SELECT note FROM log_checkpoint WHERE log_id = :log AND size = :size"), {"log": log_id, "size": size}
    ).scalar()
    return found


def own_entries(connection: Connection, log_name: str, *, from_position: int, limit: int) -> list[tuple[int, bytes]]:
    """(position, leaf) of a log from a position on, for a partner's own accounting."""
    rows = connection.execute(
        text(
            "SELECT e.position, e.leaf FROM log g JOIN log_entry e ON e.log_id = g.id "
            "WHERE g.name = :log AND e.position >= :start ORDER BY e.position LIMIT :limit"
        ),
        {"log": log_name, "start": from_position, "limit": limit},
    )
    return [(row[0], as_bytes(row[1])) for row in rows]


def own_leaves(connection: Connection, log_name: str, *, from_position: int) -> Iterator[tuple[int, bytes]]:
    """(position, leaf) of a log from a position on to its end, read in steps."""
    step = 500
    while rows := own_entries(connection, log_name, from_position=from_position, limit=step):
        yield from rows
        from_position = rows[-1][0] + 1


# --- retries --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Retry:
    """What an `Idempotency-Key` was last answered with."""

    request_sha256: bytes
    event_id: str
    leaf: bytes
    at: int
    log_id: int
    position: int


def retries(connection: Connection, pairs: Sequence[tuple[str, str]], *, since: int) -> Mapping[tuple[str, str], Retry]:
    """The events that keys (client, key) were answered with, not before `since`."""
    statement = text(
        "SELECT e.event_id, e.leaf, r.request_sha256, r.at, r.log_id, r.position FROM idempotency r "
        "JOIN log_entry e ON e.log_id = r.log_id AND e.position = r.position "
        "WHERE r.client = :client AND r.key = :key AND r.at >= :since"
    )
    found: dict[tuple[str, str], Retry] = {}
    for client, key in pairs:
        row = connection.execute(statement, {"client": client, "key": key, "since": since}).one_or_none()
        if row is not None:
            found[client, key] = Retry(as_bytes(row.request_sha256), row.event_id, as_bytes(row.leaf), row.at, row.log_id, row.position)
    return found


def keep_retry(connection: Connection, *, client: str, key: str, request_sha256: bytes, log_id: int, position: int, at: int) -> None:
    connection.execute(
        text(
            "INSERT INTO idempotency (client, key, request_sha256, log_id, position, at) "
            "VALUES (:client, :key, :sha256, :log, :position, :at) "
            "ON CONFLICT (client, key) DO UPDATE SET request_sha256 = excluded.request_sha256, log_id = excluded.log_id, "
            "position = excluded.position, at = excluded.at"
        ),
        {"client": client, "key": key, "sha256": request_sha256, "log": log_id, "position": position, "at": at},
    )


def forget_retries(connection: Connection, *, before: int) -> None:
    connection.execute(text("DELETE FROM idempotency WHERE at < :before"), {"before": before})
