"""Legal holds in the database: which entries must stay, whatever else is pruned. What they mean is `sharing.holds`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

_HOLD = "id, log, item, since, until, reason, client, at, released_at, released_by, released_why"


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold as it is kept. Entries that match every condition given are held; none given holds all. Times in microseconds."""

    id: int
    log: str | None
    item: str | None
    since: int | None
    until: int | None
    reason: str
    client: str
    at: int
    released_at: int | None = None
    released_by: str | None = None
    released_why: str | None = None


def _hold(row: Row[Any]) -> Hold:
    return Hold(
        row.id, row.log, row.item, row.since, row.until, row.reason, row.client, row.at, row.released_at, row.released_by,
        row.released_why,
    )  # fmt: skip


def next_id(connection: Connection) -> int:
    """The number of the hold that is added next. Only inside `Database.acting`, where nobody else adds one."""
    return int(connection.execute(text("SELECT COALESCE(MAX(id), 0) + 1 FROM hold")).scalar_one())


def add(connection: Connection, hold: Hold) -> None:
    connection.execute(
        text(
            "INSERT INTO hold (id, log, item, since, until, reason, client, at) "
            "VALUES (:id, :log, :item, :since, :until, :reason, :client, :at)"
        ),
        {
            "id": hold.id, "log": hold.log, "item": hold.item, "since": hold.since, "until": hold.until, "reason": hold.reason,
            "client": hold.client, "at": hold.at,
        },
    )  # fmt: skip


def release(connection: Connection, hold_id: int, *, at: int, by: str, why: str) -> None:
    """Write that a hold ended. One that has ended stays as it is."""
    connection.execute(
        text("UPDATE hold SET released_at = :at, released_by = :by, released_why = :why WHERE id = :id AND released_at IS NULL"),
        {"id": hold_id, "at": at, "by": by, "why": why},
    )


def by_id(connection: Connection, hold_id: int) -> Hold | None:
    row = connection.execute(text(f"SELECT {_HOLD} FROM hold WHERE id = :id"), {"id": hold_id}).one_or_none()
    return None if row is None else _hold(row)


def in_force(connection: Connection) -> list[Hold]:
    """Holds that nobody released, by number."""
    return [_hold(row) for row in connection.execute(text(f"SELECT {_HOLD} FROM hold WHERE released_at IS NULL ORDER BY id"))]


def on_entry(connection: Connection, log_id: int, position: int) -> list[Hold]:
    """Holds in force that match an entry, by number."""
    entry = connection.execute(
        text("SELECT g.name, e.at FROM log_entry e JOIN log g ON g.id = e.log_id WHERE e.log_id = :log AND e.position = :position"),
        {"log": log_id, "position": position},
    ).one_or_none()
    if entry is None:
        return []
    items = set(
        connection.execute(
            text("SELECT item_id FROM log_item WHERE log_id = :log AND position = :position"), {"log": log_id, "position": position}
        ).scalars()
    )
    return [
        hold
        for hold in in_force(connection)
        if hold.log in (None, entry.name)
        and (hold.item is None or hold.item in items)
        and (hold.since is None or entry.at >= hold.since)
        and (hold.until is None or entry.at < hold.until)
    ]


def page(connection: Connection, *, after: int, limit: int, ended: bool) -> list[Hold]:
    """Holds after a number; those that ended only where they are asked for."""
    only = "" if ended else " AND released_at IS NULL"
    rows = connection.execute(
        text(f"SELECT {_HOLD} FROM hold WHERE id > :after{only} ORDER BY id LIMIT :limit"), {"after": after, "limit": limit}
    )
    return [_hold(row) for row in rows]


def every(connection: Connection) -> list[Hold]:
    """All holds there ever were, by number."""
    return [_hold(row) for row in connection.execute(text(f"SELECT {_HOLD} FROM hold ORDER BY id"))]
