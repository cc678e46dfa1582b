"""Bundles archived by digest, what was in force from when, what waits for a second officer, who is suspended, and the fence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, text

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
    """A line of the history. `client` wanted it; `approver` and `timeline` (hex) where a second officer agreed, and to what effect."""

    act: int
    at: int
    digest: str
    client: str
    approver: str | None = None
    timeline: str | None = None


class ProposalState(StrEnum):
    """Where a proposal stands. All but `OPEN` are ends."""

    OPEN = "open"
    APPROVED = "approved"
    VOID = "void"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Proposal:
    """An act that waits for a second officer, or waited. See `ProposalRow`; times in microseconds.

    `id` is 0 before it is kept.
    """

    kind: str
    subject: str
    base: str
    timeline: str
    body: str
    client: str
    at: int
    state: ProposalState = ProposalState.OPEN
    closed_at: int | None = None
    closed_by: str | None = None
    reason: str | None = None
    id: int = 0
    because: str | None = None


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
        text(
            "INSERT INTO publication (act, at, digest, client, approver, timeline) "
            "VALUES (:act, :at, :digest, :client, :approver, :timeline)"
        ),
        {
            "act": publication.act, "at": publication.at, "digest": publication.digest, "client": publication.client,
            "approver": publication.approver, "timeline": publication.timeline,
        },
    )  # fmt: skip


def publications(connection: Connection) -> list[Publication]:
    """The history, oldest first."""
    rows = connection.execute(text("SELECT act, at, digest, client, approver, timeline FROM publication ORDER BY act"))
    return [Publication(*row) for row in rows]


def was_published(connection: Connection, digest: str) -> bool:
    """Whether a bundle was ever in force."""
    return connection.execute(text("SELECT 1 FROM publication WHERE digest = :digest LIMIT 1"), {"digest": sought(digest)}).scalar() == 1


# --- proposals --------------------------------------------------------------------------------------------------------

_PROPOSAL: Final = "id, kind, subject, base, timeline, body, client, at, state, closed_at, closed_by, reason, because"


def add_proposal(connection: Connection, proposal: Proposal) -> Proposal:
    """Keep a proposal; it comes back with its id. Only inside `Database.acting`, where nobody else adds one."""
    found = connection.execute(
        text(
            "INSERT INTO proposal (kind, subject, base, timeline, body, client, at, state, because) "
            "VALUES (:kind, :subject, :base, :timeline, :body, :client, :at, :state, :because) RETURNING id"
        ),
        {
            "kind": proposal.kind, "subject": proposal.subject, "base": proposal.base, "timeline": proposal.timeline,
            "body": proposal.body, "client": proposal.client, "at": proposal.at, "state": str(proposal.state), "because": proposal.because,
        },
    ).scalar_one()  # fmt: skip
    return replace(proposal, id=int(found))


def close_proposal(connection: Connection, proposal_id: int, state: ProposalState, *, at: int, by: str, reason: str) -> None:
    """Write how a proposal ended. One that has ended stays as it is."""
    connection.execute(
        text("UPDATE proposal SET state = :state, closed_at = :at, closed_by = :by, reason = :reason WHERE id = :id AND state = 'open'"),
        {"state": str(state), "at": at, "by": by, "reason": reason, "id": proposal_id},
    )


def open_proposals(connection: Connection, kinds: Collection[str]) -> list[Proposal]:
    """The proposals of these kinds that wait, oldest first."""
    statement = text(f"SELECT {_PROPOSAL} FROM proposal WHERE state = 'open' AND kind IN :kinds ORDER BY id")
    return [
        _proposal(row) for row in connection.execute(statement.bindparams(bindparam("kinds", expanding=True)), {"kinds": sorted(kinds)})
    ]


def proposal_by_id(connection: Connection, proposal_id: int) -> Proposal | None:
    """A proposal, however it ended."""
    row = connection.execute(text(f"SELECT {_PROPOSAL} FROM proposal WHERE id = :id"), {"id": proposal_id}).one_or_none()
    return None if row is None else _proposal(row)


def proposals(connection: Connection, kinds: Collection[str]) -> list[Proposal]:
    """Every proposal of these kinds, oldest first, however it ended."""
    statement = text(f"SELECT {_PROPOSAL} FROM proposal WHERE kind IN :kinds ORDER BY id")
    return [
        _proposal(row) for row in connection.execute(statement.bindparams(bindparam("kinds", expanding=True)), {"kinds": sorted(kinds)})
    ]


def _proposal(row: Row[Any]) -> Proposal:
    return Proposal(
        id=row.id, kind=row.kind, subject=row.subject, base=row.base, timeline=row.timeline, body=row.body, client=row.client, at=row.at,
        state=ProposalState(row.state), closed_at=row.closed_at, closed_by=row.closed_by, reason=row.reason, because=row.because,
    )  # fmt: skip


# --- suspensions ------------------------------------------------------------------------------------------------------


def suspend(connection: Connection, partner: str, *, act: int) -> None:
    connection.execute(
        text("INSERT INTO suspension (partner, act) VALUES (:partner, :act) ON CONFLICT DO NOTHING"), {"partner": partner, "act": act}
    )


def resume(connection: Connection, partner: str) -> None:
    connection.execute(text("DELETE FROM suspension WHERE partner = :partner"), {"partner": partner})
