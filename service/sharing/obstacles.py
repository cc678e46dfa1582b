"""What stands in the way of more: of one item for a partner, across all that is stored, and what was on offer and never fetched.

For officers alone, and on record before it is shown. Nothing here releases anything, or says what would be wise to release.

*What to hold back* of an item is the smallest set of portions without which all the rest would go, and nothing would be missing at
any place. It is exact, and there is but one: a place (a portion with its tear-lines) at which something is released stands, and one at
which nothing is must go whole. An item with a compilation goes as it is or not at all: of what its parts reveal together, no part is
released, and so nothing can be held back of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.errors import Conflict
from service.identity.clients import NO_PURPOSE
from service.labels.label import Label
from service.policy import Outcome, Snapshot
from service.policy.columns import LabelColumns
from service.policy.obstacles import Obstacle, Standing, obstacles, obstacles_in
from service.sharing.acts import Actor
from service.sharing.audit import pruned_of_partners
from service.sharing.copies import decide_item
from service.sharing.installation import Installation
from service.sharing.ledger import Entry
from service.sharing.looks import why_json
from service.sharing.tear_lines import places_at
from service.store import catalogue, holdings, visibility
from service.store.catalogue import VersionAt
from service.store.times import micros, moment_of, text_of
from service.store.visibility import Unshared

COMPILATION = "compilation"


@dataclass(frozen=True, slots=True)
class HoldBack:
    """Numbers of the portions to hold back, and of those that are left; `possible` where something is, and may go by itself."""

    held: tuple[int, ...]
    left: tuple[int, ...]
    possible: bool


def hold_back(version: VersionAt, released: Callable[[int], bool]) -> HoldBack:
    """The smallest set of portions of a version without which all the rest goes.

    Args:
        released: whether a label, by id, is.
    """
    held: list[int] = []
    left: list[int] = []
    for place in places_at(version.portions):
        stands = any(released(version.portions[number].label_id) for number in place)
        (left if stands else held).extend(place)
    if version.compilation is not None:
        goes = not held and released(version.compilation[0]) and not version.unlabelled
        return HoldBack((), tuple(range(len(version.portions))) if goes else (), goes)
    return HoldBack(tuple(sorted(held)), tuple(sorted(left)), bool(left) and not (version.whole and version.unlabelled))


# --- of one item ------------------------------------------------------------------------------------------------------


def obstacles_of_item(
    installation: Installation, actor: Actor, item_id: str, *, partner: str, purpose: str = NO_PURPOSE
) -> tuple[dict[str, Any], Entry]:
    """What stands in the way of an item for a partner; on record before it is shown.

    Raises:
        Conflict: no such item, or it has no version in force.
    """
    details = {"item": item_id, "partner": partner, "purpose": purpose}
    with installation.database.reading() as connection:
        state = installation.world.current(connection)
        at = max(micros(installation.clock()), state.at)
        version = catalogue.versions_at(connection, [item_id], at=at).get(item_id)
        if version is None or not version.portions:
            raise Conflict(f"item `{item_id[:64]}` has no version in force: it waits in quarantine, or is withdrawn", code="not-in-force")
        in_force = catalogue.version_in_force(connection, item_id)
        given = [] if in_force is None else catalogue.portions_of_version(connection, in_force.id)
    markings = {portion.id: marking for portion, marking in given}
    body = _item_json(version, installation.world.labels, state.snapshot(moment_of(at)), markings, partner=partner, purpose=purpose)
    return body, installation.acts.look("look.obstacles", actor, [item_id], details)


def _item_json(
    version: VersionAt, labels: Mapping[int, Label], snapshot: Snapshot, markings: Mapping[str, str], *, partner: str, purpose: str
) -> dict[str, Any]:
    def released(label_id: int) -> bool:
        return snapshot.decide(partner, "release", labels[label_id], purpose).outcome is Outcome.RELEASE

    found = hold_back(version, released)
    decision = decide_item(version, labels, snapshot, partner=partner, purpose=purpose)
    withheld = [
        (one.portion.id, one.portion.kind, markings.get(one.portion.id, ""), one.label_id)
        for one in version.portions
        if not released(one.label_id)
    ]
    if version.compilation is not None and not released(version.compilation[0]):
        withheld.append((version.item_id, COMPILATION, "", version.compilation[0]))
    standing: dict[tuple[Obstacle, str], list[str]] = {}
    lines = []
    for portion, kind, marking, label_id in withheld:
        explanation = snapshot.explain(partner, "release", labels[label_id], purpose)
        for obstacle in obstacles_in(explanation):
            standing.setdefault(obstacle, []).append(portion)
        lines.append(
            {
                "portion": portion,
                "kind": kind,
                "marking": marking,
                "label": labels[label_id].to_json(),
                **explanation.decision.to_json(),
                "why": why_json(explanation),
            }
        )
    return {
        "item": version.item_id,
        "ref": version.ref,
        "version": version.version,
        "partner": partner,
        "purpose": purpose,
        "outcome": decision.outcome,
        "whole": version.whole,
        "compilation": version.compilation is not None,
        "possible": found.possible,
        "hold_back": [version.portions[number].portion.id for number in found.held],
        "goes": [version.portions[number].portion.id for number in found.left],
        "withheld": lines,
        "for_all": [
            {**_obstacle_json(obstacle), "reason": reason, "portions": portions}
            for (obstacle, reason), portions in sorted(standing.items(), key=lambda one: (-len(one[1]), one[0]))
        ],
    }


# --- of all that is stored --------------------------------------------------------------------------------------------


def obstacles_of_store(installation: Installation, actor: Actor, *, top: int, partner: str | None = None) -> tuple[dict[str, Any], Entry]:
    """What stands in the way of most, for all partners or one; on record before it is shown."""
    with installation.database.reading() as connection:
        state = installation.world.current(connection)
        at = max(micros(installation.clock()), state.at)
        labels = dict(installation.world.labels)
        ids = sorted(labels)
        held = holdings.read_holdings(connection, ids, at=at).at(at)
    partners = [one.code for one in state.bundle.partners if partner is None or one.code == partner]
    found = obstacles(held, LabelColumns(labels[one] for one in ids), state.snapshot(moment_of(at)), sorted(partners))
    body = {
        "labels": found.labels,
        "left_out": found.left_out,
        "obstacles_total": len(found.standing),
        "obstacles": [_standing_json(one) for one in found.standing[:top]],
    }
    return body, installation.acts.look("look.obstacles", actor, [], {"top": top, "partner": partner})


def _standing_json(standing: Standing) -> dict[str, Any]:
    return {
        **_obstacle_json(standing.obstacle),
        "reason": standing.reason,
        "items": standing.items,
        "portions": standing.portions,
        "partners": [{"partner": one.partner, "items": one.items, "portions": one.portions} for one in standing.partners],
    }


def _obstacle_json(obstacle: Obstacle) -> dict[str, Any]:
    value = {"kind": str(obstacle.kind)}
    value |= {"rule": obstacle.rule} if obstacle.rule else {}
    return value | ({"condition": obstacle.condition} if obstacle.condition else {})


# --- on offer, and never fetched --------------------------------------------------------------------------------------


def unshared(
    installation: Installation, actor: Actor, *, partner: str | None = None, after: tuple[int, int, str] = (0, 0, ""), limit: int
) -> tuple[list[Unshared], Entry, dict[str, list[dict[str, Any]]]]:
    """What partners are offered without a purpose and were never sent, by when it became visible; on record before it is shown.

    Of what was pruned nobody can say whether it was sent: the last value says of which stretch of which partner (`pruned_of_partners`).

    Args:
        partner: one of them; None for all.
        after: the place of the last line of the page before: when visible, lane, item.
    """
    with installation.database.reading() as connection:
        state = installation.world.current(connection)
        at = max(micros(installation.clock()), state.at)
        lanes = [lane for lane in visibility.lanes(connection) if lane.purpose == NO_PURPOSE and partner in (None, lane.partner)]
        found = visibility.unshared(connection, lanes, after=after, at=at, limit=limit)
        pruned = pruned_of_partners(connection)
    items = list(dict.fromkeys(one.item_id for one in found))
    return found, installation.acts.look("look.unshared", actor, items, {"partner": partner}), pruned


def unshared_json(line: Unshared) -> dict[str, Any]:
    """A line of the list."""
    return {"partner": line.lane.partner, "item": line.item_id, "ref": line.ref, "visible_since": text_of(line.visible_since)}
