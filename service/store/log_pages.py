"""Pages of the release logs for auditors: any combination of filters, newest first, in bounded work.

Everything an auditor filters by is a *list*: entries in the order (at, log, position), kept in an index. Of the lists that a filter
names, the one that is sparsest from here on is walked backwards, and each entry on it is looked up in the others. Which one that is
is found by looking how far back its next few hundred entries reach: no counts are kept, and it is found anew at every page.

A page looks at no more than `WORK` entries. Where that was not enough to fill it, it ends early, with the place to go on from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from service.store import facts
from service.store.database import sought
from service.store.logs import AuditFilter, Position, StoredRow, stored_at

WORK: Final = 20_000
"""Entries a page looks at, at most."""
_PROBE: Final = 256
_FIRST_STEP: Final = 512
_LAST: Final = 1 << 62
_NEWEST: Final = Position(_LAST, _LAST, _LAST)
_ORDER: Final = "ORDER BY at DESC, log_id DESC, position DESC"


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, and the place to go on from; None at the end."""

    rows: tuple[StoredRow, ...]
    next: Position | None


def page(connection: Connection, asked: AuditFilter, *, before: Position | None, limit: int, work: int = WORK) -> Page:
    """Entries that match, newest first; those after the place `before` in this order."""
    plan = _Plan.of(connection, asked)
    if plan is None:
        return Page((), None)
    start = before or _NEWEST
    if asked.until is not None:
        start = min(start, Position(asked.until, -1, -1), key=_key)
    walked = plan.sparsest(connection, start)
    found: list[Position] = []
    step = min(max(_FIRST_STEP, 2 * limit), work)
    left = work
    while True:
        found += plan.matching(connection, walked, start, step=step, limit=limit + 1 - len(found))
        if len(found) > limit:
            return Page(_rows(connection, found[:limit]), found[limit - 1])
        end = plan.end_of_step(connection, walked, start, step=step)
        left -= step
        if end is None or left <= 0:
            return Page(_rows(connection, found), end)
        start, step = end, min(4 * step, left)


def _key(place: Position) -> tuple[int, int, int]:
    return place.at, place.log_id, place.position


def _rows(connection: Connection, places: Sequence[Position]) -> tuple[StoredRow, ...]:
    by_log: dict[int, list[int]] = {}
    for place in places:
        by_log.setdefault(place.log_id, []).append(place.position)
    rows = {(row.log_id, row.position): row for log_id, positions in by_log.items() for row in stored_at(connection, log_id, positions)}
    return tuple(rows[place.log_id, place.position] for place in places if (place.log_id, place.position) in rows)


# --- lists ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _List:
    """Entries in the auditor's order: those of a table where one column has one of these values.

    `index` is the index they lie in, where the table has several: without being told, SQLite looks an entry up by its place and reads
    the whole of it.
    """

    name: str
    table: str
    column: str | None
    values: tuple[object, ...] = ()
    index: str | None = None

    def parameters(self) -> dict[str, object]:
        return {f"{self.name}_{number}": value for number, value in enumerate(self.values)}

    def source(self, *, postgres: bool) -> str:
        return self.table if self.index is None or postgres else f"{self.table} INDEXED BY {self.index}"

    def branches(self) -> Iterator[str]:
        """For each value, the condition under which an entry is on the list."""
        if self.column is None:
            yield "1 = 1"
        for number in range(len(self.values)):
            yield f"{self.column} = :{self.name}_{number}"

    def holds(self, *, postgres: bool) -> str:
        """That entry `c` is on the list. A scalar query: of anything else PostgreSQL may make a join, and read the list from end to end."""
        # Of a list kept by log, the log itself says it.
        if self.table == "log_entry" and self.column == "log_id":
            return f"c.log_id = :{self.name}_0"
        one_of = ", ".join(f":{self.name}_{number}" for number in range(len(self.values)))
        return (
            f"(SELECT 1 FROM {self._aliased(postgres=postgres)} WHERE x.{self.column} IN ({one_of}) "
            "AND x.at = c.at AND x.log_id = c.log_id AND x.position = c.position LIMIT 1) = 1"
        )

    def _aliased(self, *, postgres: bool) -> str:
        return f"{self.table} x" if self.index is None or postgres else f"{self.table} x INDEXED BY {self.index}"


_ALL: Final = _List("all", "log_entry", None, (), "log_entry_by_time")


@dataclass(frozen=True, slots=True)
class _Plan:
    """The lists a filter names, all of which must hold an entry; none for all entries."""

    lists: tuple[_List, ...]
    not_in: tuple[int, ...]
    since: int | None
    postgres: bool

    @classmethod
    def of(cls, connection: Connection, asked: AuditFilter) -> _Plan | None:
        """The plan of a filter; None where nothing can match, as a log or fact it names does not exist."""
        lists: list[_List] = []
        if asked.log is not None:
            log = connection.execute(text("SELECT id FROM log WHERE name = :name"), {"name": sought(asked.log)}).scalar()
            if log is None:
                return None
            lists.append(_List("log", "log_entry", "log_id", (log,), "log_entry_by_log_time"))
        for kind, values in asked.facts().items():
            ids = facts.ids(connection, [(kind, value) for value in values])
            if not ids:
                return None
            lists.append(_List(kind, "log_fact", "fact_id", tuple(sorted(ids.values()))))
        if asked.item is not None:
            lists.append(_List("item", "log_item", "item_id", (sought(asked.item),)))
        if asked.type is not None:
            lists.append(_List("type", "log_entry", "type", (sought(asked.type),), "log_entry_by_type"))
        if asked.client is not None:
            lists.append(_List("client", "log_entry", "client", (sought(asked.client),), "log_entry_by_client"))
        if asked.review is not None:
            lists.append(_List("review", "review", "state", (sought(asked.review),), "review_by_state"))
        own = connection.execute(text("SELECT id FROM log WHERE name IN ('officers', 'root')")).scalars() if asked.partners_only else ()
        return cls(tuple(lists), tuple(own), asked.since, connection.dialect.name == "postgresql")

    def sparsest(self, connection: Connection, start: Position, *, probe: int = _PROBE) -> _List:
        """The list to walk: the one that ends first, or of which the next few entries reach furthest back."""
        if len(self.lists) < 2:
            return self.lists[0] if self.lists else _ALL
        reach: list[tuple[int, int]] = []
        for number, one in enumerate(self.lists):
            end = self.end_of_step(connection, one, start, step=probe)
            if end is None:
                return one
            reach.append((end.at, number))
        return self.lists[min(reach)[1]]

    def matching(self, connection: Connection, walked: _List, start: Position, *, step: int, limit: int) -> list[Position]:
        """Of the next `step` entries of a list, the first `limit` that all others hold too."""
        walk, parameters = self._walk(walked, start, step)
        conditions = [one.holds(postgres=self.postgres) for one in self.lists if one is not walked]
        for number, log in enumerate(self.not_in):
            conditions.append(f"c.log_id <> :own_{number}")
            parameters[f"own_{number}"] = log
        for one in self.lists:
            parameters |= one.parameters()
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        statement = f"SELECT c.at, c.log_id, c.position FROM ({walk}) c {where} {_ORDER} LIMIT :limit"
        return [Position(*row) for row in connection.execute(text(statement), {**parameters, "limit": limit})]

    def end_of_step(self, connection: Connection, walked: _List, start: Position, *, step: int) -> Position | None:
        """The last of the next `step` entries of a list; None where there are fewer."""
        walk, parameters = self._walk(walked, start, step)
        statement = f"SELECT c.at, c.log_id, c.position FROM ({walk}) c {_ORDER} LIMIT 1 OFFSET :offset"
        row = connection.execute(text(statement), {**parameters, **walked.parameters(), "offset": step - 1}).one_or_none()
        return None if row is None else Position(*row)

    def _walk(self, walked: _List, start: Position, step: int) -> tuple[str, dict[str, object]]:
        parameters: dict[str, object] = {"step": step, "b_at": start.at, "b_log": start.log_id, "b_position": start.position}
        bounds = "(at, log_id, position) < (:b_at, :b_log, :b_position)"
        if walked.column == "log_id":
            # One log's entries lie in the order of (at, position): what the place says of other logs is said of it here.
            log = walked.values[0]
            bounds = "(at, position) < (:b_at, :b_position)"
            if log != start.log_id:
                parameters["b_position"] = _LAST if isinstance(log, int) and log < start.log_id else -1
        if self.since is not None:
            bounds += " AND at >= :since"
            parameters["since"] = self.since
        source = walked.source(postgres=self.postgres)
        branches = [
            f"SELECT at, log_id, position FROM {source} WHERE {condition} AND {bounds} {_ORDER} LIMIT :step"
            for condition in walked.branches()
        ]
        if len(branches) == 1:
            return branches[0], parameters
        # An entry may be on the list by several values, and is one entry.
        return " UNION ".join(f"SELECT * FROM ({branch}) b{n}" for n, branch in enumerate(branches)) + f" {_ORDER} LIMIT :step", parameters
