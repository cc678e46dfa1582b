"""What is asked of the release logs beyond entries: who received an item, what a client did, what a partner got for the first time.

All of it is counted from rows that verification derives again; nothing is kept for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from service.releaselog.facts import Fact
from service.store import facts
from service.store.database import sought
from service.store.tables import as_bytes

DAY: Final = 86_400_000_000
_STEP: Final = 2000


@dataclass(frozen=True, slots=True)
class Recipient:
    """That a partner was sent a version of an item: so often, in entries of this type, first and last at; and its first event."""

    partner: str
    version: int
    type: str
    count: int
    first: int
    last: int
    event_id: str


def recipients(connection: Connection, item_id: str) -> list[Recipient]:
    """Who was sent which version of an item. A list shows a title and a marking, and counts as a type of its own."""
    rows = connection.execute(
        text(
            "SELECT g.name, i.version, e.type, COUNT(*), MIN(i.at), MAX(i.at), i.log_id FROM log_item i "
            "JOIN log_entry e ON e.log_id = i.log_id AND e.position = i.position JOIN log g ON g.id = i.log_id "
            "WHERE i.item_id = :item AND i.version > 0 GROUP BY g.name, i.version, e.type, i.log_id ORDER BY g.name, i.version, e.type"
        ),
        {"item": sought(item_id)},
    ).all()
    first = text(
        "SELECT e.event_id FROM log_item i JOIN log_entry e ON e.log_id = i.log_id AND e.position = i.position "
        "WHERE i.item_id = :item AND i.at = :at AND i.log_id = :log AND i.version = :version AND e.type = :type ORDER BY i.position LIMIT 1"
    )
    found = []
    for partner, version, type_, count, begun, ended, log_id in rows:
        values = {"item": sought(item_id), "at": begun, "log": log_id, "version": version, "type": type_}
        found.append(Recipient(partner, version, type_, count, begun, ended, connection.execute(first, values).scalar_one()))
    return found


@dataclass(frozen=True, slots=True)
class Activity:
    """What a client did on a day (UTC; microseconds of its beginning): entries of one log, type and result."""

    day: int
    log: str
    type: str
    result: str
    count: int
    first: int
    last: int


def activity(connection: Connection, client: str, *, since: int, until: int) -> list[Activity]:
    """What a client did, day by day."""
    rows = connection.execute(
        text(
            "SELECT e.at / :day, g.name, e.type, e.result, COUNT(*), MIN(e.at), MAX(e.at) FROM log_entry e JOIN log g ON g.id = e.log_id "
            "WHERE e.client = :client AND e.at >= :since AND e.at < :until "
            "GROUP BY e.at / :day, g.name, e.type, e.result ORDER BY 1, 2, 3, 4"
        ),
        {"client": sought(client), "since": since, "until": until, "day": DAY},
    )
    return [Activity(int(row[0]) * DAY, *row[1:]) for row in rows]


@dataclass(frozen=True, slots=True)
class Request:
    """An entry of a partner's log, as signals are made of it; leaf and record only of a refusal."""

    at: int
    log: str
    event_id: str
    client: str
    refused: bool
    leaf: bytes | None
    record: bytes | None


def requests(connection: Connection, *, since: int, until: int) -> Iterator[Request]:
    """What partners asked for in a stretch of time, in its order, read in steps."""
    statement = text(
        "SELECT e.at, e.log_id, e.position, g.name, e.event_id, e.client, e.result, CASE WHEN e.result = 'refused' THEN e.leaf END, "
        "CASE WHEN e.result = 'refused' THEN e.record END FROM log_entry e JOIN log g ON g.id = e.log_id "
        "WHERE (e.at, e.log_id, e.position) > (:at, :log, :position) AND e.at < :until AND g.name NOT IN ('officers', 'root') "
        "ORDER BY e.at, e.log_id, e.position LIMIT :step"
    )
    place = (since, -1, -1)
    while True:
        parameters = {"at": place[0], "log": place[1], "position": place[2], "until": until, "step": _STEP}
        rows = connection.execute(statement, parameters).all()
        for row in rows:
            leaf, record = (None if value is None else as_bytes(value) for value in row[7:9])
            yield Request(row[0], row[3], row[4], row[5], row[6] == "refused", leaf, record)
        if len(rows) < _STEP:
            return
        place = (rows[-1][0], rows[-1][1], rows[-1][2])


@dataclass(frozen=True, slots=True)
class Sent:
    """An entry that sent a partner an item's copy or a file."""

    position: int
    at: int
    event_id: str
    type: str
    leaf: bytes


def sent(
    connection: Connection, log_id: int, *, since: int | None, until: int | None, from_position: int, limit: int
) -> tuple[list[Sent], int | None]:
    """Of the next `limit` entries of a log in a stretch of time, those that sent something; and the position to go on from, if any."""
    # Within a log times do not fall: the stretch begins at the position of the first entry not before it.
    begins = connection.execute(
        text("SELECT position FROM log_entry WHERE log_id = :log AND at >= :since ORDER BY at, position LIMIT 1"),
        {"log": log_id, "since": since or 0},
    ).scalar()
    if begins is None:
        return [], None
    rows = connection.execute(
        text(
            "SELECT position, at, event_id, type, result, leaf FROM log_entry WHERE log_id = :log AND position >= :start "
            "ORDER BY position LIMIT :limit"
        ),
        {"log": log_id, "start": max(from_position, begins), "limit": limit},
    ).all()
    full = len(rows) == limit
    if until is not None and rows and rows[-1].at >= until:
        rows, full = [row for row in rows if row.at < until], False
    found = [
        Sent(row.position, row.at, row.event_id, row.type, as_bytes(row.leaf))
        for row in rows
        if row.result == "sent" and row.type in ("item", "file")
    ]
    return found, rows[-1].position + 1 if full else None


def had_item(connection: Connection, log_id: int, item_id: str, *, before: int, version: int | None) -> bool:
    """Whether a partner was sent an item, or this version of it, in an earlier entry."""
    return bool(
        connection.execute(
            text(
                "SELECT 1 FROM log_item i JOIN log_entry e ON e.log_id = i.log_id AND e.position = i.position WHERE i.item_id = :item "
                "AND i.log_id = :log AND i.position < :before AND i.version > 0 AND (:version = 0 OR i.version = :version) "
                "AND e.type IN ('item', 'file') LIMIT 1"
            ),
            {"item": item_id, "log": log_id, "before": before, "version": version or 0},
        ).first()
    )


def sent_with(connection: Connection, log_id: int, fact: Fact, *, before: int) -> Iterator[bytes]:
    """Leaves of the earlier entries of a log that sent an item and of which this fact holds, oldest first, read in steps."""
    number = facts.ids(connection, [fact]).get(fact)
    start: int | None = 0 if number is not None else None
    while start is not None:
        rows = connection.execute(
            text(
                "SELECT e.position, e.type, e.result, e.leaf FROM log_fact f "
                "JOIN log_entry e ON e.log_id = f.log_id AND e.position = f.position "
                "WHERE f.log_id = :log AND f.position >= :start AND f.position < :before AND f.fact_id = :fact "
                "ORDER BY f.position LIMIT 200"
            ),
            {"log": log_id, "start": start, "before": before, "fact": number},
        ).all()
        yield from (as_bytes(leaf) for _, type_, result, leaf in rows if (type_, result) == ("item", "sent"))
        start = rows[-1][0] + 1 if len(rows) == 200 else None
