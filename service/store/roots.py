"""What the root log and signing rest on: keys, the one row every commit reads, heads by root, witnesses and their signatures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from service.store.tables import as_bytes

FAR: Final = (1 << 63) - 1
"""Beyond every position."""


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key of the logs: its public half, and the stretch through which it signs, in microseconds, `until` exclusive."""

    public: bytes
    from_at: int
    until: int


@dataclass(frozen=True, slots=True)
class Signing:
    """The newest key's first 56 bits, 0 before any rotation; the time of the newest root a witness has signed, 0 for none; why nothing
    is signed, if nothing is."""

    newest_key: int
    witnessed_at: int
    halted_why: str | None


@dataclass(frozen=True, slots=True)
class Witness:
    """Whom roots are sent to. `vkey` is a cosigner's, of type 0x04."""

    name: str
    url: str
    vkey: str
    added_at: int


# --- signing ----------------------------------------------------------------------------------------------------------

_SIGNING: Final = text("SELECT newest_key, witnessed_at, halted_why FROM signing WHERE id = 1")


def signing(connection: Connection) -> Signing:
    """As this transaction sees it."""
    return Signing(*connection.execute(_SIGNING).one())


def log_keys(connection: Connection) -> list[LogKey]:
    """All keys that ever signed, the newest first; empty where the first key was never written down."""
    rows = connection.execute(text("SELECT public, from_at, until FROM log_key ORDER BY from_at DESC"))
    return [LogKey(as_bytes(row[0]), row[1], row[2]) for row in rows]


def add_log_key(connection: Connection, key: LogKey) -> None:
    connection.execute(
        text("INSERT INTO log_key (public, from_at, until) VALUES (:public, :from_at, :until)"),
        {"public": key.public, "from_at": key.from_at, "until": key.until},
    )


def retire_log_keys(connection: Connection, *, until: int) -> None:
    """Let every key that signs further than this end here."""
    connection.execute(text("UPDATE log_key SET until = :until WHERE until > :until"), {"until": until})


def note_rotation(connection: Connection, *, newest: int) -> None:
    """Let every worker read the keys again at its next commit."""
    connection.execute(text("UPDATE signing SET newest_key = :newest WHERE id = 1"), {"newest": newest})


def resign(connection: Connection, log_id: int, checkpoint: str) -> None:
    """Give a head another signature. Only inside `Database.acting`."""
    connection.execute(text("UPDATE log SET checkpoint = :note WHERE id = :id"), {"note": checkpoint, "id": log_id})


def halt(connection: Connection, *, at: int, why: str) -> None:
    """Sign nothing from here on. The first reason stays."""
    connection.execute(
        text("UPDATE signing SET halted_at = :at, halted_why = :why WHERE id = 1 AND halted_why IS NULL"), {"at": at, "why": why}
    )


def resume(connection: Connection) -> None:
    """Sign again."""
    connection.execute(text("UPDATE signing SET halted_at = NULL, halted_why = NULL WHERE id = 1"))


def first_root_at(connection: Connection) -> int | None:
    """The time of the first root, None where there is none."""
    found: int | None = connection.execute(
        text("SELECT e.at FROM log_entry e JOIN log g ON g.id = e.log_id WHERE g.name = 'root' AND e.position = 0")
    ).scalar()
    return found


# --- roots ------------------------------------------------------------------------------------------------------------


def keep_root_heads(connection: Connection, position: int, notes: Mapping[int, str]) -> None:
    """Keep heads, by log, that this root is the first to hold."""
    if notes:
        connection.execute(
            text("INSERT INTO root_head (log_id, position, note) VALUES (:log, :position, :note)"),
            [{"log": log_id, "position": position, "note": note} for log_id, note in sorted(notes.items())],
        )


def heads_at_root(connection: Connection, position: int) -> dict[int, str]:
    """The signed head of every log that the root at this position holds, by log."""
    rows = connection.execute(
        text(
            "SELECT h.log_id, h.note FROM root_head h JOIN (SELECT log_id, MAX(position) AS position FROM root_head "
            "WHERE position <= :position GROUP BY log_id) latest ON latest.log_id = h.log_id AND latest.position = h.position"
        ),
        {"position": position},
    )
    return {row[0]: row[1] for row in rows}


def root_heads(connection: Connection) -> Iterator[tuple[int, int, str]]:
    """(position of the root, log, signed head) of all that is kept, in the order of roots."""
    rows = connection.execute(text("SELECT position, log_id, note FROM root_head ORDER BY position, log_id"))
    return ((row[0], row[1], row[2]) for row in rows)


def latest_root_heads(connection: Connection) -> dict[int, str]:
    """The signed head of every log that the newest root holds, by log."""
    return heads_at_root(connection, FAR)


def root_heads_of(connection: Connection, log_id: int) -> list[str]:
    """The signed heads of a log that some root holds, in the order of roots."""
    rows = connection.execute(text("SELECT note FROM root_head WHERE log_id = :log ORDER BY position"), {"log": log_id})
    return list(rows.scalars())


# --- witnesses --------------------------------------------------------------------------------------------------------


def witnesses(connection: Connection) -> list[Witness]:
    """By name."""
    return [Witness(*row) for row in connection.execute(text("SELECT name, url, vkey, added_at FROM witness ORDER BY name"))]


def add_witness(connection: Connection, witness: Witness) -> bool:
    """Whether it is new: a name that is taken stays as it is."""
    added = connection.execute(
        text("INSERT INTO witness (name, url, vkey, added_at) VALUES (:name, :url, :vkey, :at) ON CONFLICT DO NOTHING"),
        {"name": witness.name, "url": witness.url, "vkey": witness.vkey, "at": witness.added_at},
    )
    return added.rowcount == 1


def remove_witness(connection: Connection, name: str) -> bool:
    """Whether it was there."""
    return connection.execute(text("DELETE FROM witness WHERE name = :name"), {"name": name}).rowcount == 1


def keep_cosignature(connection: Connection, *, size: int, vkey: str, line: str, at: int) -> None:
    """Keep a witness's signature under the root log's checkpoint of this size, which is of this time."""
    connection.execute(
        text("INSERT INTO cosignature (size, vkey, line, at) VALUES (:size, :vkey, :line, :at) ON CONFLICT DO NOTHING"),
        {"size": size, "vkey": vkey, "line": line, "at": at},
    )
    connection.execute(text("UPDATE signing SET witnessed_at = :at WHERE id = 1 AND witnessed_at < :at"), {"at": at})


def cosignatures(connection: Connection, size: int) -> Sequence[tuple[str, str]]:
    """(verifier's key, signature line) under the root log's checkpoint of this size."""
    rows = connection.execute(text("SELECT vkey, line FROM cosignature WHERE size = :size ORDER BY vkey"), {"size": size})
    return [(row[0], row[1]) for row in rows]


def cosigned_size(connection: Connection, vkey: str | None = None) -> int:
    """The greatest size of the root log that this witness, or any, has signed; 0 for none."""
    if vkey is None:
        return int(connection.execute(text("SELECT COALESCE(MAX(size), 0) FROM cosignature")).scalar_one())
    found = connection.execute(text("SELECT COALESCE(MAX(size), 0) FROM cosignature WHERE vkey = :vkey"), {"vkey": vkey})
    return int(found.scalar_one())


def all_cosignatures(connection: Connection) -> list[tuple[int, str, str]]:
    """(size, verifier's key, signature line), in the order of sizes."""
    rows = connection.execute(text("SELECT size, vkey, line FROM cosignature ORDER BY size, vkey"))
    return [(row[0], row[1], row[2]) for row in rows]
