"""Erasing the personal texts of an entry: by two auditors, on record, with every seal and proof as before (DESIGN section 7).

A record commits to personal texts, and holds none (`releaselog.personal`). One auditor proposes which of an entry's are to go, all or those
of a kind, another approves, and then value and salt are deleted, with what was kept of them outside the logs: a saved query, and the hash
by which a retry of a search would be known. The leaf that says so, `log.erase`, names the event, the kinds and the commitments, and
never a value; why it was done is itself such a text.

A text that several entries commit to is erased with the first of them that is named: it is kept once.

What is not reached from here: copies that left (exports, backups), and the disk below the database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.errors import Conflict, NotVisible, Rejected
from service.identity.clients import Role
from service.releaselog.leaf import SENT
from service.releaselog.personal import commitments
from service.sharing import proposals
from service.sharing.acts import Actor
from service.sharing.installation import Installation
from service.sharing.ledger import OFFICERS, Entry
from service.sharing.personal import KINDS, NAME, QUERY, REASON, Reason, Texts, kept_commitment, personal
from service.sharing.proposals import Wanted
from service.store import Connection, holds, logs, policies
from service.store import personal as stored
from service.store.logs import StoredRow
from service.store.personal import PersonalRow
from service.store.policies import Proposal, ProposalState
from service.store.times import text_of

ERASE: Final = "log.erase"
_CHANGED: Final = "the texts of this entry are not those any more that were to be erased"


@dataclass(frozen=True, slots=True)
class Pending:
    """Nothing is erased: another auditor must approve. The proposal, and its leaf."""

    proposal: Proposal
    entry: Entry


@dataclass(frozen=True, slots=True)
class Waiting:
    """A proposal that waits, and why it was made: the text, as long as it is kept."""

    proposal: Proposal
    reason: str


@dataclass(frozen=True, slots=True)
class Erased:
    """It is done: the leaf, and how many texts are gone."""

    entry: Entry
    texts: int


# --- for auditors -----------------------------------------------------------------------------------------------------


def propose(installation: Installation, actor: Actor, event_id: str, *, kind: str | None = None, reason: str) -> Pending:
    """Propose to erase the personal texts of an entry, all of them or those of a kind.

    Raises:
        Rejected: there is no such kind.
        NotVisible: there is no such entry.
        Conflict: nothing of it, or of that kind, is kept; or a legal hold keeps the entry (`held`).
    """
    if kind is not None and kind not in KINDS:
        raise Rejected(f"unknown kind `{kind[:32]}`, expected one of {', '.join(f'`{one}`' for one in KINDS)}", code="kind")
    with installation.acts.registering("log.propose", actor) as act:
        row, rows = _texts(act.connection, event_id, kind)
        _check_not_held(act.connection, row, rows)
        why = personal(REASON, reason)
        wanted = Wanted(ERASE, event_id, "", proposals.body_of(_body(row, rows, kind)), why)
        proposal = proposals.propose(act, wanted, actor, kinds=[ERASE])
        about = {"kind": ERASE, "proposal": proposal.id, "timeline": proposal.timeline, "reason": why}
        act.details |= {**about, **_named(row, rows)}
    return Pending(proposal, act.committed())


def approve(installation: Installation, proposal_id: int, actor: Actor, *, timeline: str | None = None) -> Erased:
    """Approve what another auditor proposed, and erase.

    Args:
        timeline: the digest (hex) of what the approver has seen; None for what was proposed.

    Raises:
        SecondOfficer: he proposed it himself, or is no auditor.
        Conflict: it does not wait, another was seen, other texts are kept by now, or a legal hold keeps the entry (`held`).
    """
    with installation.acts.registering(ERASE, actor) as act:
        proposal = _waiting(act.connection, proposal_id)
        proposals.check_second(act.connection, proposal, actor, role=Role.AUDITOR)
        if timeline is not None and timeline != proposal.timeline:
            raise Conflict(f"what was proposed is `{proposal.timeline}`, not `{timeline[:64]}`; look at it again", code="other-timeline")
        value = proposals.value_of(proposal)
        row, rows = _texts(act.connection, value["event_id"], value["kind"])
        if proposals.body_of(_body(row, rows, value["kind"])) != proposal.body.encode("utf-8"):
            raise Conflict(f"{_CHANGED}; withdraw the proposal, and propose again", code="timeline-changed")
        _check_not_held(act.connection, row, rows)
        proposals.approve(act, proposal, actor, role=Role.AUDITOR)
        texts = stored.erase(act.connection, [one.commitment for one in rows])
        _clear_copies(act.connection, row, rows)
        act.details |= {"proposal": proposal.id, "proposed_by": proposal.client, "reason": _why(proposal), **_named(row, rows)}
    installation.database.forget_deleted()
    return Erased(act.committed(), texts)


def withdraw(installation: Installation, proposal_id: int, actor: Actor, *, reason: str) -> Entry:
    """Close a proposal without erasing: the proposer thinks better of it, or another auditor refuses.

    Raises:
        Conflict: it does not wait.
    """
    with installation.acts.registering("log.withdraw-proposal", actor) as act:
        proposal = _waiting(act.connection, proposal_id)
        proposals.end(act, proposal, ProposalState.WITHDRAWN, by=actor, reason=personal(REASON, reason))
    return act.committed()


def waiting(installation: Installation, actor: Actor, *, after: int, limit: int) -> tuple[list[Waiting], Entry]:
    """The proposals that wait, oldest first, after an id; on record before they are shown."""
    with installation.database.reading() as connection:
        found = [one for one in policies.open_proposals(connection, [ERASE]) if one.id > after][:limit]
        reasons = Texts(connection, map(proposals.because_of, found))
    told = [Waiting(one, reasons.of(proposals.because_of(one))) for one in found]
    return told, installation.acts.look("look.erasures", actor, [], {})


def pending_json(pending: Pending) -> dict[str, Any]:
    """A proposal as it was made."""
    value = proposals.value_of(pending.proposal)
    return {
        "state": "pending",
        "proposal": pending.proposal.id,
        "timeline": pending.proposal.timeline,
        "proposed_by": pending.proposal.client,
        "about": value["event_id"],
        "kinds": value["kinds"],
        "commitments": value["commitments"],
        "event_id": pending.entry.event_id,
    }


def waiting_json(one: Waiting) -> dict[str, Any]:
    """A proposal that waits; no text of the entry it is about."""
    value = proposals.value_of(one.proposal)
    return {
        "proposal": one.proposal.id,
        "timeline": one.proposal.timeline,
        "client": one.proposal.client,
        "at": text_of(one.proposal.at),
        "reason": one.reason,
        **{name: value[name] for name in ("log", "index", "kinds", "commitments")},
        "about": value["event_id"],
    }


# --- for verification -------------------------------------------------------------------------------------------------


def erased(connection: Connection) -> frozenset[str]:
    """Every commitment (hex) of which a leaf says that its value was erased."""
    found: set[str] = set()
    for _, _, record in logs.records_of(connection, OFFICERS, (ERASE,)):
        found |= _listed(json.loads(record).get("details"))
    return frozenset(found)


def _listed(details: object) -> set[str]:
    names = details.get("commitments") if isinstance(details, dict) else None
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


# --- how --------------------------------------------------------------------------------------------------------------


def _texts(connection: Connection, event_id: str, kind: str | None) -> tuple[StoredRow, list[PersonalRow]]:
    """An entry, and the texts it commits to that are kept."""
    row = logs.entry(connection, event_id)
    if row is None:
        raise NotVisible
    names = commitments(row.record)
    kept = stored.find(connection, [bytes.fromhex(name) for name in names])
    rows = [kept[name] for name in map(bytes.fromhex, names) if name in kept and kind in (None, kept[name].kind)]
    if not rows:
        told = "no personal text" if kind is None else f"no personal text of kind `{kind}`"
        raise Conflict(f"{told} is kept of event `{event_id[:64]}`: it never had any, or it was erased", code="nothing-to-erase")
    return row, sorted(rows, key=lambda one: one.commitment)


def _check_not_held(connection: Connection, row: StoredRow, rows: list[PersonalRow]) -> None:
    """Refuse to erase what a legal hold keeps; also where the hold is on another entry, beside which a text of this one stands."""
    for log_id, position in {(row.log_id, row.position), *((one.log_id, one.position) for one in rows)}:
        keeping = holds.on_entry(connection, log_id, position)
        if keeping:
            raise Conflict(f"hold `{keeping[0].id}` keeps this entry whole; it must be released first", code="held")


def _named(row: StoredRow, rows: list[PersonalRow]) -> dict[str, object]:
    return {
        "event_id": row.event_id,
        "log": row.log,
        "index": row.position,
        "kinds": sorted({one.kind for one in rows}),
        "commitments": [one.commitment.hex() for one in rows],
    }


def _body(row: StoredRow, rows: list[PersonalRow], kind: str | None) -> Mapping[str, object]:
    """What is proposed, and approved by its digest."""
    return {"v": 1, "act": ERASE, "kind": kind, **_named(row, rows)}


def _why(proposal: Proposal) -> Reason:
    reason = proposals.because_of(proposal)
    return kept_commitment(reason) or reason


def _waiting(connection: Connection, proposal_id: int) -> Proposal:
    proposal = policies.proposal_by_id(connection, proposal_id)
    if proposal is None or proposal.kind != ERASE or proposal.state is not ProposalState.OPEN:
        told = f"no erasure `{proposal_id}` waits for approval" + ("" if proposal is None else f": it is {proposal.state}")
        raise Conflict(told, code="no-proposal")
    return proposal


def _clear_copies(connection: Connection, row: StoredRow, rows: list[PersonalRow]) -> None:
    """What is kept of these texts outside the side table."""
    if not {NAME, QUERY}.isdisjoint(one.kind for one in rows):
        stored.forget_saved_query(connection, client=row.client, at=row.at)
    if json.loads(row.leaf)["result"] == SENT:
        stored.forget_retry(connection, client=row.client, log_id=row.log_id, position=row.position)
