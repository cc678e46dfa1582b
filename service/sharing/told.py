"""What came of an officer's act about policy, as JSON (DESIGN section 14): the same words by the API and on the command line."""

from __future__ import annotations

from typing import Any

from service.sharing.publishing import Pending, PolicyHistory, Published
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
