"""Bundles archived by digest, what was in force from when, who is suspended, and the fence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from service.store.database import sought
from service.store.tables import as_bytes


@dataclass(frozen=True, slots=True)
class Fence:
    """The number and time (microseconds) of the last act, and the count of changes to clients."""

    act: int
    at: int
    clients: int


@dataclass(frozen=True, slots=True)
class InForce:
    """The policy in force: the bundle's digest (hex; None before the first publication) and who is suspended."""

    digest: str | None
    suspended: frozenset[str]


@dataclass(frozen=True, slots=True)
class Publication:
    """A line of the history."""

    act: int
    at: int
    digest: str
    client: str


_FENCE: Final = text("SELECT act, at, clients FROM fence WHERE id = 1")
_RAISE: Final = text("UPDATE fence SET act = :act, at = :at WHERE id = 1")
_ARCHIVE: Final = text("INSERT INTO bundle_file (digest, name, content) VALUES (:digest, :name, :content) ON CONFLICT DO NOTHING")


def fence(connection: Connection) -> Fence:
    """The fence as this transaction sees it."""
    return Fence(*connection.execute(_FENCE).one())


def raise_fence(connection: Connection, *, act: int, at: int) -> None:
    """Number an act. Only inside `Database.acting`."""
    connection.execute(_RAISE, {"act": act, "at": at})


def note_client_change(connection: Connection) -> None:
    """Let every worker read the clients again."""
    connection.execute(text("UPDATE fence SET clients = clients + 1 WHERE id = 1"))


def latest_log_time(connection: Connection) -> int:
    """The latest `at` of any log, so that an act is later than all that was seen before it; 0 where there is none."""
    return int(connection.execute(text("SELECT COALESCE(MAX(at), 0) FROM log")).scalar_one())


def in_force(connection: Connection) -> InForce:
    digest = connection.execute(text("SELECT digest FROM publication ORDER BY act DESC LIMIT 1")).scalar()
    suspended = connection.execute(text("SELECT partner FROM suspension")).scalars()
    return InForce(digest, frozenset(suspended))


def archive_bundle(connection: Connection, digest: str, files: Mapping[str, bytes]) -> None:
    """Keep a bundle's files; one that is there already stays as it is, for its digest names its bytes."""
    connection.execute(_ARCHIVE, [{"digest": digest, "name": name, "content": content} for name, content in sorted(files.items())])


def archived_bundle(connection: Connection, digest: str) -> dict[str, bytes] | None:
    """The files of an archived bundle, or None."""
    rows = connection.execute(text("SELECT name, content FROM bundle_file WHERE digest = :digest"), {"digest": sought(digest)})
    return {name: as_bytes(content) for name, content in rows} or None


def archived_digests(connection: Connection) -> list[str]:
    """The digests of all archived bundles."""
    return list(connection.execute(text("SELECT DISTINCT digest FROM bundle_file ORDER BY digest")).scalars())


def add_publication(connection: Connection, publication: Publication) -> None:
    connection.execute(
        text("INSERT INTO publication (act, at, digest, client) VALUES (:act, :at, :digest, :client)"),
        {"act": publication.act, "at": publication.at, "digest": publication.digest, "client": publication.client},
    )


def publications(connection: Connection) -> list[Publication]:
    """The history, oldest first."""
    return [Publication(*row) for row in connection.execute(text("SELECT act, at, digest, client FROM publication ORDER BY act"))]


def suspend(connection: Connection, partner: str, *, act: int) -> None:
    connection.execute(
        text("INSERT INTO suspension (partner, act) VALUES (:partner, :act) ON CONFLICT DO NOTHING"), {"partner": partner, "act": act}
    )


def resume(connection: Connection, partner: str) -> None:
    connection.execute(text("DELETE FROM suspension WHERE partner = :partner"), {"partner": partner})
