"""What came of an officer's act about policy or labels, as JSON (DESIGN section 14): the same words by the API and on the command line."""

from __future__ import annotations

from typing import Any

from service.sharing import proposals, quarantine, relabelling
from service.sharing.ledger import Entry
from service.sharing.publishing import Pending, PolicyHistory, Published
from service.store.catalogue import Quarantined
from service.store.policies import Proposal, Publication
from service.store.times import text_of


def published_json(published: Published) -> dict[str, Any]:
    """A bundle in force."""
    body: dict[str, Any] = {"digest": published.digest, "act": published.act, "event_id": published.entry.event_id}
    if published.weighed.timeline is not None:
        body["timeline"] = published.weighed.timeline.digest
    return body | {"findings": [finding.to_json() for finding in published.findings]}


def pending_json(pending: Pending) -> dict[str, Any]:
    """A bundle that waits for a second officer."""
    return {
        "digest": pending.digest,
        "state": "pending",
        "timeline": pending.proposal.timeline,
        "proposed_by": pending.proposal.client,
        "event_id": pending.entry.event_id,
        "findings": [finding.to_json() for finding in pending.findings],
    }


def history_json(history: PolicyHistory) -> dict[str, Any]:
    """What was in force, and what was proposed."""
    return {
        "publications": [_publication_json(one) for one in history.publications],
        "proposals": [_proposal_json(one) for one in history.proposals],
    }


def _publication_json(one: Publication) -> dict[str, Any]:
    optional = {"approver": one.approver, "timeline": one.timeline}
    return {"digest": one.digest, "act": one.act, "at": text_of(one.at), "client": one.client} | _given(optional)


def _proposal_json(one: Proposal) -> dict[str, Any]:
    closed = None if one.closed_at is None else text_of(one.closed_at)
    optional = {"closed_at": closed, "closed_by": one.closed_by, "reason": one.reason}
    return {
        "digest": one.subject,
        "kind": one.kind,
        "before": one.base,
        "timeline": one.timeline,
        "client": one.client,
        "at": text_of(one.at),
        "state": str(one.state),
    } | _given(optional)


def _given(members: dict[str, str | None]) -> dict[str, str]:
    """Those that are there: what is optional is absent where there is nothing to say."""
    return {name: value for name, value in members.items() if value is not None}


def label_done_json(done: relabelling.Done) -> dict[str, Any]:
    """Other labels, in force."""
    return {"event_id": done.entry.event_id}


def label_pending_json(pending: relabelling.Pending) -> dict[str, Any]:
    """Other labels that wait for a second officer, with what he is asked to approve."""
    proposal = pending.proposal
    head = {"state": "pending", "proposal": proposal.id, "proposed_by": proposal.client, "event_id": pending.entry.event_id}
    return {**head, **pending.planned.to_json()}


def label_foreseen_json(planned: relabelling.Planned, entry: Entry) -> dict[str, Any]:
    """What another label would do; nothing was done."""
    return {"state": "foreseen", "event_id": entry.event_id, **planned.to_json()}


def label_decided_json(decided: quarantine.Decided) -> dict[str, Any]:
    """A decision about a version in quarantine: the version that is in force by it, or what still holds it."""
    if decided.version is None:
        return {"event_id": decided.entry.event_id, "state": "held", "holds": list(decided.holds)}
    return {"event_id": decided.entry.event_id, "version": decided.version}


def label_proposal_json(waiting: relabelling.Waiting) -> dict[str, Any]:
    """An act on labels that waits, with the difference that was proposed."""
    proposal = waiting.proposal
    value = proposals.value_of(proposal)
    asked = value["asked"]
    about = {"event": asked["event"]} if proposal.kind == proposals.EVENT else {"item": asked["item"]}
    return {
        "proposal": proposal.id,
        "kind": proposal.kind,
        **about,
        "reason": waiting.reason,
        "timeline": proposal.timeline,
        "client": proposal.client,
        "at": text_of(proposal.at),
        "portions": value["portions"],
        "difference": value["difference"],
    }


def quarantined_json(held: Quarantined) -> dict[str, Any]:
    """A version that waits for an officer: why, since when, and every marking it came with."""
    return {
        "id": held.item_id,
        "ref": held.ref,
        "version": held.version,
        "code": held.code,
        "reason": held.reason,
        "at": text_of(held.at),
        "markings": quarantine.markings_of(held),
    }
