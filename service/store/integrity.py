"""What no reader of the logs would come across: values of another kind than their column's, and rows that belong to no log.

A log is verified by walking its entries from the first to the last; whatever lies outside of that walk has to be looked for. SQLite keeps
any kind of value in any column, so that a number where bytes should be would stop a reader instead of being named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Integer, LargeBinary, Table, Text, text
from sqlmodel import SQLModel

from service.store.logs import TILE_HASHES

_EVIDENCE: Final = (
    *("log", "log_entry", "log_item", "personal", "log_fact", "log_tile", "log_checkpoint", "hold", "pruned"),
    *("copy", "label", "file", "bundle_file"),
)

_OF_ENTRIES: Final = (
    *(("log_entry", "an entry"), ("log_item", "a row that names an item"), ("log_fact", "a row that says a fact")),
    ("personal", "a personal value"),
)


@dataclass(frozen=True, slots=True)
class Foreign:
    """A value that is not of its column's kind. `where` names the column, and the entry where it is one's."""

    log: str
    position: int | None
    where: str
    kind: str
    expected: str


def foreign_value(connection: Connection) -> Foreign | None:
    """The first value of another kind among all that verification reads; PostgreSQL keeps none."""
    if connection.dialect.name != "sqlite":
        return None
    for name in _EVIDENCE:
        kinds = dict(_kinds(SQLModel.metadata.tables[name]))
        wrong = " OR ".join(f"typeof({column}) NOT IN ({allowed})" for column, allowed in kinds.items())
        columns = ", ".join(f"typeof({column}) AS {column}" for column in kinds)
        place = "log_id, position" if name in ("log_entry", "log_item", "personal", "log_fact") else "NULL AS log_id, NULL AS position"
        row = connection.execute(
            text(f"SELECT {columns.replace(' AS ', ' AS kind_of_')}, {place} FROM {name} WHERE {wrong} LIMIT 1")
        ).first()
        if row is None:
            continue
        column = next(column for column, allowed in kinds.items() if f"'{row._mapping[f'kind_of_{column}']}'" not in allowed)
        log = connection.execute(text("SELECT name FROM log WHERE id = :id"), {"id": row.log_id}).scalar()
        position = row.position if isinstance(row.position, int) else None
        found = row._mapping[f"kind_of_{column}"]
        return Foreign(log if isinstance(log, str) else "logs", position, f"{name.replace('_', ' ')}, {column}", found, kinds[column])
    return None


def _kinds(table: Table) -> Iterator[tuple[str, str]]:
    """(column, kinds it may hold, quoted) of a table."""
    for column in table.columns:
        kind = next(name for of, name in ((Integer, "integer"), (LargeBinary, "blob"), (Text, "text")) if isinstance(column.type, of))
        yield column.name, f"'{kind}', 'null'" if column.nullable else f"'{kind}'"


@dataclass(frozen=True, slots=True)
class Stray:
    """A row that belongs to no log, or to none of its entries. `log` is its name, where there is one."""

    log: str | None
    position: int | None
    what: str


def stray(connection: Connection) -> Stray | None:
    """The first row that no walk over a log comes to: of no log, outside of its entries, or of an entry that is not there."""
    # Without them an entry that is in no tree would be found by its event id, and shown to auditors beside those that are.
    for name, what in _OF_ENTRIES:
        row = connection.execute(
            text(
                f"SELECT g.name, r.position FROM {name} r LEFT JOIN log g ON g.id = r.log_id "
                "WHERE g.id IS NULL OR r.position < 0 OR r.position >= g.size LIMIT 1"
            )
        ).first()
        if row is not None:
            return Stray(row.name, row.position, what)
    row = connection.execute(
        text(
            "SELECT g.name, i.position FROM log_item i JOIN log g ON g.id = i.log_id WHERE NOT EXISTS "
            "(SELECT 1 FROM log_entry e WHERE e.log_id = i.log_id AND e.position = i.position) LIMIT 1"
        )
    ).first()
    if row is not None:
        return Stray(row.name, row.position, "a row that names an item")
    # Nor does a walk look for an entry where it was pruned.
    for name, what in (*_OF_ENTRIES, ("idempotency", "what a retry is answered with")):
        row = connection.execute(
            text(
                f"SELECT g.name, r.position FROM pruned p JOIN log g ON g.id = p.log_id JOIN {name} r ON r.log_id = p.log_id "
                f"AND r.position >= p.tile * {TILE_HASHES} AND r.position < (p.tile + 1) * {TILE_HASHES} LIMIT 1"
            )
        ).first()
        if row is not None:
            return Stray(row.name, row.position, f"{what}, of an entry that was pruned,")
    for name, what in (("log_tile", "a tile"), ("log_checkpoint", "a kept checkpoint"), ("pruned", "a tile of pruned entries")):
        if connection.execute(text(f"SELECT 1 FROM {name} r LEFT JOIN log g ON g.id = r.log_id WHERE g.id IS NULL LIMIT 1")).first():
            return Stray(None, None, what)
    return None
