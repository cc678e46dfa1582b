"""Facts of entries in the database: the words an auditor's query looks for, each kept once, and where they hold.

Derived: `service.releaselog.facts` makes them again from the sealed records, and verification compares. Rows of a fact lie in the
order in which auditors read, so that a page of any filter is a walk along one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, text

from service.releaselog.facts import Fact
from service.store.database import insert_many, sought

_ADDED: Final = "entente.facts-added"


class FactIds:
    """Ids of facts. Those that an earlier transaction committed are remembered, so that the commit path does not ask for them."""

    def __init__(self) -> None:
        # By database, as the same fact has another id in each.
        self._by_engine: Final[WeakKeyDictionary[Engine, dict[Fact, int]]] = WeakKeyDictionary()

    def of(self, connection: Connection, wanted: Iterable[Fact]) -> Mapping[Fact, int]:
        """Ids of these facts, written down where they are new, in this transaction."""
        known = self._by_engine.setdefault(connection.engine, {})
        missing = sorted(set(wanted) - known.keys())
        if not missing:
            return known
        found = ids(connection, missing)
        # What this very transaction added is gone again if it fails, and its ids are another's then: it must not be remembered.
        transaction, added = connection.info.get(_ADDED, (None, frozenset()))
        if transaction is not connection.get_transaction():
            added = frozenset()
        known.update({fact: number for fact, number in found.items() if fact not in added})
        new = [fact for fact in missing if fact not in found]
        if new:
            connection.execute(_ADD, [{"kind": kind, "value": value} for kind, value in new])
            connection.info[_ADDED] = (connection.get_transaction(), added | frozenset(new))
            found |= ids(connection, new)
        return {**known, **found}


_ADD: Final = text("INSERT INTO fact (kind, value) VALUES (:kind, :value) ON CONFLICT DO NOTHING")
_ID: Final = text("SELECT id FROM fact WHERE kind = :kind AND value = :value")
_APPEND: Final = "INSERT INTO log_fact (fact_id, at, log_id, position) VALUES (?, ?, ?, ?)"


def ids(connection: Connection, facts: Iterable[Fact]) -> dict[Fact, int]:
    """Ids of those of these facts that are known."""
    found: dict[Fact, int] = {}
    for kind, value in facts:
        number = connection.execute(_ID, {"kind": kind, "value": sought(value)}).scalar()
        if number is not None:
            found[kind, value] = number
    return found


def append(connection: Connection, rows: Sequence[tuple[int, int, int, int]]) -> None:
    """Write (fact id, at, log id, position) rows."""
    insert_many(connection, _APPEND, rows)


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
