"""Pruning in the database: which whole tiles of a log could go, what keeps them, and what stays of those that went.

Where the entries of a tile are gone its hashes are still in `log_tile`, and everything that reads hashes finds them there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, text

from service.releaselog.pruning import PrunedTile, event_digest, place_in
from service.store.database import sought
from service.store.holds import Hold
from service.store.logs import TILE_HASHES, Head
from service.store.tables import as_bytes

_TILE: Final = "tile, root, events, first_at, last_at, act"


@dataclass(frozen=True, slots=True)
class Kept:
    """A tile that went, as it is kept: in which log, and the position in `officers` of the leaf that says so."""

    log_id: int
    leaf: int
    tile: PrunedTile


def _tile(row: Row[Any]) -> PrunedTile:
    return PrunedTile(row.tile, as_bytes(row.root), as_bytes(row.events), row.first_at, row.last_at, row.act)


# --- what could go --------------------------------------------------------------------------------------------------


def old_tiles(connection: Connection, head: Head, *, before: int) -> int:
    """How many of a log's first tiles are wholly older than a time, and not the newest."""
    if not head.size:
        return 0
    # Within a log times do not fall.
    young = connection.execute(
        text("SELECT position FROM log_entry WHERE log_id = :log AND at >= :before ORDER BY at, position LIMIT 1"),
        {"log": head.id, "before": before},
    ).scalar()
    newest = (head.size - 1) // TILE_HASHES
    return newest if young is None else min(newest, int(young) // TILE_HASHES)


def gone(connection: Connection, log_id: int, start: int, stop: int) -> set[int]:
    """Of tiles `start` to `stop`, exclusive, those that went already."""
    rows = connection.execute(
        text("SELECT tile FROM pruned WHERE log_id = :log AND tile >= :start AND tile < :stop"),
        {"log": log_id, "start": start, "stop": stop},
    )
    return set(rows.scalars())


def held(connection: Connection, head: Head, hold: Hold, start: int, stop: int) -> set[int]:
    """Of tiles `start` to `stop`, exclusive, those that a hold touches: one entry that matches is enough."""
    if hold.log not in (None, head.name):
        return set()
    source = "log_entry e"
    conditions = ["e.log_id = :log", "e.position >= :start", "e.position < :stop"]
    values: dict[str, object] = {"log": head.id, "start": start * TILE_HASHES, "stop": stop * TILE_HASHES}
    if hold.item is not None:
        source += " JOIN log_item i ON i.log_id = e.log_id AND i.position = e.position"
        conditions.append("i.item_id = :item")
        values["item"] = hold.item
    for name, sign, value in (("since", ">=", hold.since), ("until", "<", hold.until)):
        if value is not None:
            conditions.append(f"e.at {sign} :{name}")
            values[name] = value
    statement = f"SELECT DISTINCT e.position / {TILE_HASHES} FROM {source} WHERE {' AND '.join(conditions)}"
    return set(connection.execute(text(statement), values).scalars())


def under_review(connection: Connection, log_id: int, start: int, stop: int, *, settled: Collection[str]) -> set[int]:
    """Of tiles `start` to `stop`, exclusive, those with an entry under a review that has not come to one of these states."""
    statement = text(
        f"SELECT DISTINCT position / {TILE_HASHES} FROM review WHERE log_id = :log AND position >= :start AND position < :stop "
        "AND state NOT IN :settled"
    ).bindparams(bindparam("settled", expanding=True))
    values = {"log": log_id, "start": start * TILE_HASHES, "stop": stop * TILE_HASHES, "settled": sorted(settled)}
    return set(connection.execute(statement, values).scalars())


def of_other_types(connection: Connection, log_id: int, start: int, stop: int, *, types: Collection[str]) -> set[int]:
    """Of tiles `start` to `stop`, exclusive, those with an entry that is of none of these types."""
    statement = text(
        f"SELECT DISTINCT position / {TILE_HASHES} FROM log_entry WHERE log_id = :log AND position >= :start AND position < :stop "
        "AND type NOT IN :types"
    ).bindparams(bindparam("types", expanding=True))
    values = {"log": log_id, "start": start * TILE_HASHES, "stop": stop * TILE_HASHES, "types": sorted(types)}
    return set(connection.execute(statement, values).scalars())


# --- what goes ------------------------------------------------------------------------------------------------------


def remove(connection: Connection, log_id: int, tiles: Sequence[PrunedTile], *, leaf: int) -> None:
    """Take the entries of tiles out, with all that repeats them, and keep what stays."""
    if connection.dialect.name == "sqlite":
        # Whole pages fall free, which SQLite leaves as they are unless it is told to write zeros over them.
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
    for tile in tiles:
        values = {"log": log_id, "start": tile.start, "stop": tile.stop}
        for name in ("log_item", "log_fact", "personal", "idempotency", "log_entry"):
            connection.execute(text(f"DELETE FROM {name} WHERE log_id = :log AND position >= :start AND position < :stop"), values)
        connection.execute(
            text(
                f"INSERT INTO pruned (log_id, leaf, {_TILE}) VALUES (:log, :leaf, :tile, :root, :events, :first_at, :last_at, :act)"
            ),
            {
                "log": log_id, "leaf": leaf, "tile": tile.index, "root": tile.root, "events": tile.events, "first_at": tile.first_at,
                "last_at": tile.last_at, "act": tile.act,
            },
        )  # fmt: skip


# --- what stays -----------------------------------------------------------------------------------------------------


def every(connection: Connection) -> list[Kept]:
    """All tiles that went, log by log, in order."""
    rows = connection.execute(text(f"SELECT log_id, leaf, {_TILE} FROM pruned ORDER BY log_id, tile"))
    return [Kept(row.log_id, row.leaf, _tile(row)) for row in rows]


def tiles(connection: Connection, log_id: int) -> list[PrunedTile]:
    """The tiles of a log that went, in order."""
    rows = connection.execute(text(f"SELECT {_TILE} FROM pruned WHERE log_id = :log ORDER BY tile"), {"log": log_id})
    return [_tile(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Span:
    """Entries `start` to `stop`, exclusive, of a log that were pruned by one act: the times of the first and the last; of the leaf that
    says so, its event, who approved, and when."""

    log: str
    start: int
    stop: int
    first_at: int
    last_at: int
    event_id: str
    client: str
    at: int


def spans(
    connection: Connection,
    *,
    log: str | None = None,
    partners_only: bool = False,
    since: int | None = None,
    until: int | None = None,
    start: int = 0,
    stop: int | None = None,
) -> list[Span]:
    """What was pruned of a log, or of all, as far as it lay in a stretch of time and of positions; by log, in its order."""
    conditions = ["p.tile >= :first"]
    values: dict[str, object] = {"first": start // TILE_HASHES}
    if stop is not None:
        conditions.append("p.tile < :last")
        values["last"] = -(-stop // TILE_HASHES)
    if log is not None:
        conditions.append("g.name = :name")
        values["name"] = sought(log)
    if partners_only:
        conditions.append("g.name NOT IN ('officers', 'root')")
    rows = connection.execute(
        text(
            "SELECT g.name, p.tile, p.first_at, p.last_at, e.event_id, e.client, e.at FROM pruned p JOIN log g ON g.id = p.log_id "
            "LEFT JOIN log o ON o.name = 'officers' LEFT JOIN log_entry e ON e.log_id = o.id AND e.position = p.leaf "
            f"WHERE {' AND '.join(conditions)} ORDER BY g.name, p.tile"
        ),
        values,
    )
    found: list[Span] = []
    for name, tile, first_at, last_at, event_id, client, at in rows:
        begin, end, event = tile * TILE_HASHES, (tile + 1) * TILE_HASHES, event_id or ""
        if found and (found[-1].log, found[-1].stop, found[-1].event_id) == (name, begin, event):
            found[-1] = replace(found[-1], stop=end, last_at=last_at)
        else:
            found.append(Span(name, begin, end, first_at, last_at, event, client or "", at or 0))
    return [span for span in found if (until is None or span.first_at < until) and (since is None or span.last_at >= since)]


def span_at(connection: Connection, log_name: str, position: int) -> Span | None:
    """What was pruned around a place of a log."""
    return next((span for span in spans(connection, log=log_name) if span.start <= position < span.stop), None)


def place_of(connection: Connection, event_id: str) -> tuple[str, int] | None:
    """(log, position) of an entry that was pruned, by its event id."""
    digest = event_digest(event_id)
    holds = "position(:digest IN p.events)" if connection.dialect.name == "postgresql" else "instr(p.events, :digest)"
    rows = connection.execute(
        text(f"SELECT g.name, p.tile, p.events FROM pruned p JOIN log g ON g.id = p.log_id WHERE {holds} > 0"), {"digest": digest}
    )
    for name, tile, events in rows:
        place = place_in(as_bytes(events), digest)
        if place is not None:
            return name, tile * TILE_HASHES + place
    return None
