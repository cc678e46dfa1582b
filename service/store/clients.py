"""The client table: by `(issuer, subject)`. Roles and partners come from here alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from service.errors import Conflict
from service.store import policies


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """A row of the client table. `purposes` are those beyond `none`; `created_at` in microseconds.

    `level`, `categories` and `originators` limit the labels that an officer may give and take; None where they do not.
    """

    id: str
    issuer: str
    subject: str
    name: str
    role: str
    partner: str | None
    purposes: tuple[str, ...]
    enabled: bool
    secret_hash: str | None
    created_at: int
    level: str | None = None
    categories: tuple[str, ...] | None = None
    originators: tuple[str, ...] | None = None


_COLUMNS: Final = "id, issuer, subject, name, role, partner, purposes, enabled, secret_hash, created_at, level, categories, originators"


def _record(row: Row[Any] | None) -> ClientRecord | None:
    if row is None:
        return None
    return ClientRecord(
        row.id, row.issuer, row.subject, row.name, row.role, row.partner, tuple(row.purposes.split()), bool(row.enabled), row.secret_hash,
        row.created_at, row.level, _names(row.categories), _names(row.originators),
    )  # fmt: skip


def _names(cell: str | None) -> tuple[str, ...] | None:
    return None if cell is None else tuple(cell.split())


def add_client(connection: Connection, client: ClientRecord) -> None:
    """Register a client.

    Raises:
        Conflict: the name, or the pair of issuer and subject, is taken.
    """
    values = {
        "id": client.id, "issuer": client.issuer, "subject": client.subject, "name": client.name, "role": client.role,
        "partner": client.partner, "purposes": " ".join(client.purposes), "enabled": int(client.enabled),
        "secret_hash": client.secret_hash, "created_at": client.created_at, "level": client.level,
        "categories": None if client.categories is None else " ".join(client.categories),
        "originators": None if client.originators is None else " ".join(client.originators),
    }  # fmt: skip
    added = connection.execute(
        text(
            f"INSERT INTO client ({_COLUMNS}) VALUES (:id, :issuer, :subject, :name, :role, :partner, :purposes, :enabled, "
            ":secret_hash, :created_at, :level, :categories, :originators) ON CONFLICT DO NOTHING"
        ),
        values,
    )
    if added.rowcount != 1:
        raise Conflict(f"a client named `{client.name}` or of the same issuer and subject is registered already", code="client-exists")
    policies.note_client_change(connection)


def disable_client(connection: Connection, client_id: str) -> None:
    """Let a client ask no more; every worker finds out at its next request."""
    connection.execute(text("UPDATE client SET enabled = 0 WHERE id = :id"), {"id": client_id})
    policies.note_client_change(connection)


def client_by_subject(connection: Connection, issuer: str, subject: str) -> ClientRecord | None:
    statement = text(f"SELECT {_COLUMNS} FROM client WHERE issuer = :issuer AND subject = :subject")
    return _record(connection.execute(statement, {"issuer": issuer, "subject": subject}).one_or_none())


def client_by_id(connection: Connection, client_id: str) -> ClientRecord | None:
    return _record(connection.execute(text(f"SELECT {_COLUMNS} FROM client WHERE id = :id"), {"id": client_id}).one_or_none())


def client_by_name(connection: Connection, name: str) -> ClientRecord | None:
    return _record(connection.execute(text(f"SELECT {_COLUMNS} FROM client WHERE name = :name"), {"name": name}).one_or_none())


def clients(connection: Connection) -> list[ClientRecord]:
    rows = connection.execute(text(f"SELECT {_COLUMNS} FROM client ORDER BY created_at, id"))
    return [record for row in rows if (record := _record(row)) is not None]
