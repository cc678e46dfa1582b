"""Facts of entries in the database: the words an auditor's query looks for, each kept once, and where they hold.

Derived: `service.releaselog.facts` makes them again from the sealed records, and verification compares. Rows of a fact lie in the
order in which auditors read, so that a page of any filter is a walk along one of them.

They are written behind the logs, by whoever looks next (`sharing.acts`), and not with the leaf: how many there are depends on what was
withheld, and must not show in the work that is done for a partner. Up to where a log has its facts is its *mark*.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import Connection, text

from service.releaselog.facts import Fact
from service.releaselog.facts import facts as derive
from service.store.database import insert_many, sought
from service.store.tables import as_bytes

_ADD: Final = text("INSERT INTO fact (kind, value) VALUES (:kind, :value) ON CONFLICT DO NOTHING")
_ID: Final = text("SELECT id FROM fact WHERE kind = :kind AND value = :value")
_APPEND: Final = "INSERT INTO log_fact (fact_id, at, log_id, position) VALUES (?, ?, ?, ?)"
_BEHIND: Final = "FROM log g LEFT JOIN fact_mark m ON m.log_id = g.id WHERE g.size > COALESCE(m.size, 0)"


def behind(connection: Connection) -> bool:
    """Whether there are entries that have not got their facts yet."""
    return connection.execute(text(f"SELECT 1 {_BEHIND} LIMIT 1")).first() is not None


def catch_up(connection: Connection, *, limit: int) -> bool:
    """Write the facts of at most `limit` entries that have none yet; whether that was all.

    A record that cannot be read has none: verification names it.
    """
    known = {fact: number for number, fact in names(connection).items()}
    left = limit
    for log_id in list(connection.execute(text(f"SELECT g.id {_BEHIND} ORDER BY g.id")).scalars()):
        if not left:
            return False
        left -= _catch_up_log(connection, log_id, known, limit=left)
    return bool(left) or not behind(connection)


def _catch_up_log(connection: Connection, log_id: int, known: dict[Fact, int], *, limit: int) -> int:
    connection.execute(text("INSERT INTO fact_mark (log_id, size) VALUES (:log, 0) ON CONFLICT DO NOTHING"), {"log": log_id})
    # The mark is locked, so that of two who look at once the second finds what the first wrote.
    lock = " FOR UPDATE" if connection.dialect.name == "postgresql" else ""
    mark: int = connection.execute(text(f"SELECT size FROM fact_mark WHERE log_id = :log{lock}"), {"log": log_id}).scalar_one()
    entries = connection.execute(
        text(
            "SELECT e.position, e.at, e.record FROM log_entry e JOIN log g ON g.id = e.log_id "
            "WHERE e.log_id = :log AND e.position >= :mark AND e.position < g.size ORDER BY e.position LIMIT :limit"
        ),
        {"log": log_id, "mark": mark, "limit": limit},
    ).all()
    said = [(position, at, _facts(as_bytes(record))) for position, at, record in entries]
    new = sorted(frozenset().union(*(facts for _, _, facts in said)) - known.keys())
    if new:
        connection.execute(_ADD, [{"kind": kind, "value": value} for kind, value in new])
        known.update(ids(connection, new))
    rows = [(known[fact], at, log_id, position) for position, at, facts in said for fact in facts]
    insert_many(connection, _APPEND, sorted(rows))
    if entries:
        connection.execute(text("UPDATE fact_mark SET size = :size WHERE log_id = :log"), {"size": entries[-1].position + 1, "log": log_id})
    return len(entries)


def _facts(record: bytes) -> frozenset[Fact]:
    try:
        value = json.loads(record)
    except ValueError:
        return frozenset()
    found = derive(value) if isinstance(value, dict) else frozenset()
    # PostgreSQL takes no NUL, and no record of ours has one in these: one that was tampered with is named by verification.
    return frozenset(fact for fact in found if sought(fact[1]) == fact[1])


def marks(connection: Connection) -> dict[int, int]:
    """By log id, up to where a log has its facts."""
    return {row[0]: row[1] for row in connection.execute(text("SELECT log_id, size FROM fact_mark"))}


def ids(connection: Connection, facts: Iterable[Fact]) -> dict[Fact, int]:
    """Ids of those of these facts that are known."""
    found: dict[Fact, int] = {}
    for kind, value in facts:
        number = connection.execute(_ID, {"kind": kind, "value": sought(value)}).scalar()
        if number is not None:
            found[kind, value] = number
    return found


def names(connection: Connection) -> dict[int, Fact]:
    """All facts by id."""
    return {row[0]: (row[1], row[2]) for row in connection.execute(text("SELECT id, kind, value FROM fact"))}


def by_position(
    connection: Connection, log_id: int, start: int, stop: int, *, names: Mapping[int, Fact]
) -> dict[int, list[tuple[Fact, int]]]:
    """(fact, at) rows of a run of entries, by position."""
    found: dict[int, list[tuple[Fact, int]]] = {}
    for position, fact_id, at in connection.execute(
        text("SELECT position, fact_id, at FROM log_fact WHERE log_id = :log AND position >= :start AND position < :stop"),
        {"log": log_id, "start": start, "stop": stop},
    ):
        # The row of a fact that is not there is one that no record gives.
        found.setdefault(position, []).append((names.get(fact_id, ("unknown", str(fact_id))), at))
    return found
