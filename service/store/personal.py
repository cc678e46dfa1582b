"""Personal values beside the logs: what commitments in records stand for, as long as it is kept (`releaselog.personal`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Row, bindparam, text

from service.store.database import insert_many
from service.store.tables import as_bytes

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class PersonalRow:
    """A value and its salt. `log_id` and `position` are of the first entry whose record holds the commitment."""

    commitment: bytes
    salt: bytes
    value: bytes
    kind: str
    log_id: int
    position: int


_ADD: Final = "INSERT INTO personal (commitment, salt, value, kind, log_id, position) VALUES (?, ?, ?, ?, ?, ?)"
_COLUMNS: Final = "commitment, salt, value, kind, log_id, position"


def add(connection: Connection, rows: Sequence[PersonalRow]) -> None:
    """Write values, in the transaction of their entries."""
    insert_many(connection, _ADD, [(row.commitment, row.salt, row.value, row.kind, row.log_id, row.position) for row in rows])


def find(connection: Connection, commitments: Collection[bytes]) -> Mapping[bytes, PersonalRow]:
    """The rows of these commitments that are there, by commitment."""
    statement = text(f"SELECT {_COLUMNS} FROM personal WHERE commitment IN :wanted").bindparams(bindparam("wanted", expanding=True))
    found = {}
    for some in _some(commitments):
        for row in connection.execute(statement, {"wanted": some}):
            found[as_bytes(row.commitment)] = _row(row)
    return found


def of_entries(connection: Connection, log_id: int, start: int, stop: int) -> dict[int, list[PersonalRow]]:
    """The rows of a log's entries from `start` to `stop`, exclusive, by position."""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM personal WHERE log_id = :log AND position >= :start AND position < :stop ORDER BY position"),
        {"log": log_id, "start": start, "stop": stop},
    )
    found: dict[int, list[PersonalRow]] = {}
    for row in rows:
        found.setdefault(row.position, []).append(_row(row))
    return found


def erase(connection: Connection, commitments: Collection[bytes]) -> int:
    """Delete values and salts; how many. Only inside `Database.acting`."""
    if connection.dialect.name == "sqlite":
        # Zeros over what is deleted: else it would lie in the file until its page is used again.
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    statement = text("DELETE FROM personal WHERE commitment IN :wanted").bindparams(bindparam("wanted", expanding=True))
    return sum(connection.execute(statement, {"wanted": some}).rowcount for some in _some(commitments))


def forget_saved_query(connection: Connection, *, client: str, at: int) -> None:
    """Delete the saved query that this client wrote at this time, if no later one took its place. Only inside `Database.acting`."""
    connection.execute(
        text("DELETE FROM saved_query WHERE client = :client AND at = :at"),
        {"client": client, "at": at},
    )


def forget_retry(connection: Connection, *, client: str, log_id: int, position: int) -> None:
    """Delete what a retry would be known by: a hash of a value that could be guessed. Only inside `Database.acting`."""
    connection.execute(
        text("DELETE FROM idempotency WHERE client = :client AND log_id = :log AND position = :position"),
        {"client": client, "log": log_id, "position": position},
    )


def _some(commitments: Collection[bytes]) -> Iterator[list[bytes]]:
    """All of them, in pieces that a statement takes."""
    every = sorted(set(commitments))
    return (every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE))


def _row(row: Row[tuple[bytes, bytes, bytes, str, int, int]]) -> PersonalRow:
    return PersonalRow(as_bytes(row.commitment), as_bytes(row.salt), as_bytes(row.value), row.kind, row.log_id, row.position)
