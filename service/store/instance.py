"""What first set-up fixed: the installation's name and the audience of its tokens."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Instance:
    """`name` is `iss` of tokens and the first part of logs' origins; `audience` is `aud`."""

    name: str
    audience: str


def instance_of(connection: Connection) -> Instance | None:
    row = connection.execute(text("SELECT name, audience FROM instance WHERE id = 1")).one_or_none()
    return None if row is None else Instance(row.name, row.audience)


def set_up(connection: Connection, instance: Instance, *, at: int) -> None:
    """Write the one row of the instance and of the fence."""
    connection.execute(
        text("INSERT INTO instance (id, name, audience, created_at) VALUES (1, :name, :audience, :at)"),
        {"name": instance.name, "audience": instance.audience, "at": at},
    )
    connection.execute(text("INSERT INTO fence (id, act, at, clients) VALUES (1, 0, :at, 0)"), {"at": at})
