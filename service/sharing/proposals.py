"""What one person proposes and another of the same role approves: kept, decided by somebody else, or void (DESIGN section 4, "Publishing").

A proposal is bound to three things by their digests: what it is about (`subject`), what was in force when it was proposed (`base`), and
exactly what it would do (`timeline`, the SHA-256 of `body`). Approval is of these, so a proposal is void as soon as one of them is not
what it was; it is never mended. Nothing here says what needs approval, or does what was approved: publishing does, for policies, and
relabelling, for labels. Who approves is said by them too: an officer, unless it is an auditors' matter.

Every step is a leaf of `officers`: the proposal, the approval (beside the act it allows), the end of one that came to nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final

from service.errors import Conflict, SecondOfficer
from service.identity.clients import Role
from service.releaselog.leaf import canonical
from service.sharing.acts import Act, Actor, Beside
from service.store import Connection, clients, policies
from service.store.policies import Proposal, ProposalState

RELABEL: Final = "item.relabel"
EVENT: Final = "item.event"
ABOUT_ITEMS: Final = (RELABEL, EVENT)
"""Acts on labels that are proposed. `subject` is the item's id, or `event:` and what came about."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An act before it is proposed: its type, what it is about, on what ground, and the canonical JSON of what it would do."""

    kind: str
    subject: str
    base: str
    body: bytes

    @property
    def timeline(self) -> str:
        """What an approver binds himself to: SHA-256 (hex) of `body`."""
        return hashlib.sha256(self.body).hexdigest()


def body_of(value: object) -> bytes:
    """What an act would do, as bytes: RFC 8785."""
    return canonical(value)


def value_of(proposal: Proposal) -> dict[str, Any]:
    """What a proposal would do, as it was written down."""
    value: dict[str, Any] = json.loads(proposal.body)
    return value


def propose(act: Act, wanted: Wanted, actor: Actor, *, kinds: Collection[str]) -> Proposal:
    """Keep a proposal; one about the same that waits is void by it. Inside `Acts.registering`."""
    for earlier in policies.open_proposals(act.connection, kinds):
        if earlier.subject == wanted.subject:
            end(act, earlier, ProposalState.VOID, by=actor, reason="proposed again", leaf=f"{_family(earlier)}.void")
    return policies.add_proposal(
        act.connection,
        Proposal(wanted.kind, wanted.subject, wanted.base, wanted.timeline, wanted.body.decode("utf-8"), actor.client, act.at),
    )


def waiting(connection: Connection, subject: str, *, kinds: Collection[str]) -> Proposal:
    """The proposal about this that waits.

    Raises:
        Conflict: there is none.
    """
    for proposal in policies.open_proposals(connection, kinds):
        if proposal.subject == subject:
            return proposal
    told = f"no proposal of `{subject[:64]}` waits for approval; propose it first, or see in the history what became of it"
    raise Conflict(told, code="no-proposal")


def check_second(connection: Connection, proposal: Proposal, actor: Actor, *, role: Role = Role.OFFICER) -> None:
    """Refuse whoever may not approve.

    Args:
        role: who approves proposals of this kind.

    Raises:
        SecondOfficer: he proposed it himself, or is not of that role and enabled.
    """
    if actor.client == proposal.client:
        raise SecondOfficer(f"`{actor.client}` proposed this and cannot approve it, expected another {role}")
    client = clients.client_by_id(connection, actor.client)
    if client is None or not client.enabled or client.role != role:
        # The machine's own authority proposes at most; it is no person.
        raise SecondOfficer(f"`{actor.client}` is no client of role `{role}` that is enabled, expected one")


def approve(act: Act, proposal: Proposal, actor: Actor, *, role: Role = Role.OFFICER) -> None:
    """Close a proposal by the act it allows, with a leaf of its own before that of the act. Inside `Acts.act` or `Acts.registering`.

    Raises:
        Conflict: it does not wait any more.
        SecondOfficer: see `check_second`.
    """
    now = waiting(act.connection, proposal.subject, kinds=[proposal.kind])
    if replace(now, body="") != replace(proposal, body=""):
        raise Conflict(f"the proposal of `{proposal.subject}` is another by now; look at the difference again", code="no-proposal")
    check_second(act.connection, proposal, actor, role=role)
    policies.close_proposal(act.connection, proposal.id, ProposalState.APPROVED, at=act.at, by=actor.client, reason="approved")
    act.before.append(Beside(f"{_family(proposal)}.approve", {**_named(proposal), "proposed_by": proposal.client}))


def end_all(act: Act, actor: Actor, *, kinds: Collection[str], reason: str) -> None:
    """Make everything of these kinds that waits void, each with a leaf after that of the act. Inside `Acts.act`."""
    for proposal in policies.open_proposals(act.connection, kinds):
        end(act, proposal, ProposalState.VOID, by=actor, reason=reason, leaf=f"{_family(proposal)}.void")


def void_about(act: Act, item_ids: Collection[str], *, reason: str) -> None:
    """Make void what is proposed about the labels of items that this act changes. Inside `Acts.act`."""
    for proposal in policies.open_proposals(act.connection, [RELABEL]):
        if proposal.subject in item_ids:
            end(act, proposal, ProposalState.VOID, by=act.actor, reason=reason, leaf=f"{_family(proposal)}.void")


def end(act: Act, proposal: Proposal, state: ProposalState, *, by: Actor, reason: str, leaf: str | None = None) -> None:
    """Write how a proposal ended; with a leaf of its own where `leaf` names its type, else in the leaf of the act."""
    policies.close_proposal(act.connection, proposal.id, state, at=act.at, by=by.client, reason=reason)
    details = {**_named(proposal), "proposed_by": proposal.client, "reason": reason}
    if leaf is None:
        act.details |= details
    else:
        act.after.append(Beside(leaf, details))


def _family(proposal: Proposal) -> str:
    """`policy` of `policy.publish`."""
    return proposal.kind.partition(".")[0]


def _named(proposal: Proposal) -> dict[str, object]:
    return {"kind": proposal.kind, "subject": proposal.subject, "before": proposal.base, "timeline": proposal.timeline}
