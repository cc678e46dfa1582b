"""What officers look at: who may have an item and who has had it, what the policy would say, what waits in quarantine.

A look changes nothing. Looks at items are recorded before they are shown, by whoever calls these.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from service.errors import Conflict, Rejected
from service.policy import Explanation, Snapshot
from service.policy.asked import Asked, answer
from service.sharing.copies import decide_item
from service.sharing.policies import Policies, PolicyState
from service.store import Connection, catalogue, logs
from service.store.times import micros, moment_of, text_of

DISPLAY: Final = "display"
"""The action that decides what may be shown elsewhere; nothing goes out by it."""


def audience(connection: Connection, world: Policies, state: PolicyState, item_id: str, *, at: datetime) -> list[dict[str, Any]]:
    """For every partner: what the policy says of an item for release without a purpose, by which rules, and for display; what it was sent.

    What may be displayed is never sent: it says what an officer may show elsewhere, and record as disclosed.

    Raises:
        Conflict: no such item.
    """
    if catalogue.item_by_id(connection, item_id) is None:
        raise Conflict("no such item", code="no-item")
    # Not before the last act: its time may be a little ahead of a clock, and what it did is done.
    moment = max(micros(at), state.at)
    version = catalogue.versions_at(connection, [item_id], at=moment).get(item_id)
    snapshot = state.snapshot(moment_of(moment))
    received: dict[str, list[dict[str, Any]]] = {}
    for one in logs.received(connection, item_id):
        received.setdefault(one.partner, []).append({"at": text_of(one.at), "version": one.version})
    lines = []
    for partner in state.bundle.partners:
        outcome: str = "withhold"
        display: str = "withhold"
        rules: tuple[str, ...] = ()
        if version is not None and version.portions:
            decision = decide_item(version, world.labels, snapshot, partner=partner.code, purpose="none")
            outcome, rules = decision.outcome, decision.rules
            display = decide_item(version, world.labels, snapshot, partner=partner.code, purpose="none", action=DISPLAY).outcome
        lines.append(
            {
                "partner": partner.code,
                "outcome": outcome,
                "rules": list(rules),
                "received": received.get(partner.code, []),
                "display": display,
            }
        )
    return lines


def markings(connection: Connection, world: Policies, state: PolicyState, item_id: str, *, at: datetime) -> list[dict[str, Any]]:
    """The marking each portion of the version in force came with, word by word, beside the label it has now.

    The two differ where another's level was put on our ladder, where a date has had its effect, and after an act. What
    waits in quarantine has no labels.
    """
    version = catalogue.version_in_force(connection, item_id)
    given = [] if version is None else catalogue.portions_of_version(connection, version.id)
    moment = max(micros(at), state.at)
    labels = {
        portion: world.labels[stretch.label_id].to_json()
        for portion, stretches in catalogue.timelines_of(connection, [portion.id for portion, _ in given], at=moment).items()
        for stretch in stretches
        if stretch.from_at <= moment
    }
    return [{"portion": one.id, "kind": one.kind, "marking": marking, "label": labels.get(one.id)} for one, marking in given]


def decide_line(snapshot: Snapshot, line: object) -> dict[str, Any]:
    """The answer to one decide line (DESIGN section 14), with `why`. A line that is not understood is `withhold` with an error."""
    try:
        asked = Asked.from_json(line)
    except Rejected:
        return {**answer(snapshot, line).to_json(), "why": {"referable": [], "near_misses": []}}
    explanation = snapshot.explain(asked.partner, asked.action, asked.label, asked.purpose)
    why = why_json(explanation)
    if asked.action != DISPLAY:
        # Apart from the answer, which is about release: what may be shown beside it.
        why["display"] = str(snapshot.decide(asked.partner, DISPLAY, asked.label, asked.purpose).outcome)
    return {**explanation.decision.to_json(), "why": why}


def why_json(explanation: Explanation) -> dict[str, Any]:
    """Why a label is not decided otherwise: who might be asked, and which agreements came near."""
    return {
        "referable": list(explanation.referable),
        "near_misses": [
            {"rule": miss.rule, "condition": miss.condition, "reason": miss.reason}
            for miss in (*explanation.near_misses, *explanation.refer_misses)
        ],
    }


def decisions(snapshot: Snapshot, lines: Sequence[object]) -> list[dict[str, Any]]:
    """The answers to decide lines, in order."""
    return [decide_line(snapshot, line) for line in lines]
