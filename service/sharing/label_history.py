"""The history of an item's labels: portion by portion, each label it had, from when until when, by whom and why.

A label begins by an act, which is a leaf of `officers` at the same time, or by a date that was written beside it. Beside every portion
stands the marking it first came with, word by word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from service.labels.label import Label
from service.sharing.acts import Actor
from service.sharing.installation import Installation
from service.sharing.ledger import OFFICERS, Entry
from service.sharing.personal import Texts
from service.store import Connection, relabels
from service.store.relabels import Named, Relabelled
from service.store.tables import FOREVER
from service.store.times import text_of

BEGINNINGS: Final = ("item.create", "item.import", "item.version", "item.relabel", "item.event")
"""Acts by which labels begin. Others name an item too, and may be on record in the same microsecond."""


def label_history_of(installation: Installation, actor: Actor, item_id: str) -> tuple[list[dict[str, Any]], Entry]:
    """The history of an item's labels, on record before it is shown."""
    entry = installation.acts.look("look.labels", actor, [item_id], {"history": True})
    with installation.database.reading() as connection:
        installation.world.current(connection)
        return history_of_labels(connection, installation.world.labels, item_id), entry


def history_of_labels(connection: Connection, labels: Mapping[int, Label], item_id: str) -> list[dict[str, Any]]:
    """A line for every portion an item ever had, and for its compilation, with its labels through time, oldest first."""
    decided_then = relabels.of_item(connection, item_id)
    reasons = Texts(connection, [one.reason for one in decided_then])
    why = {(one.portion_id, one.at): replace(one, reason=reasons.of(one.reason)) for one in decided_then}
    acts = {one.at: one for one in relabels.acts_about(connection, item_id, log=OFFICERS, types=BEGINNINGS)}
    portions: dict[str, dict[str, Any]] = {}
    for began in relabels.labels_of(connection, item_id):
        line = portions.setdefault(
            began.portion_id, {"portion": began.portion_id, "kind": began.kind, "marking": began.marking, "labels": []}
        )
        until = {} if began.until == FOREVER else {"until": text_of(began.until)}
        decided = why.get((began.portion_id, began.from_at)) or why.get((item_id, began.from_at))
        line["labels"].append(
            {"from": text_of(began.from_at), **until, "label": labels[began.label_id].to_json()} | _by(acts.get(began.from_at), decided)
        )
    return list(portions.values())


def _by(act: Named | None, decided: Relabelled | None) -> dict[str, Any]:
    """Who made a label begin, by which act and why; `date` where time did."""
    if act is None:
        return {"act": "date"}
    found: dict[str, Any] = {"act": act.type, "client": act.client, "event_id": act.event_id}
    if decided is not None:
        found |= {"client": decided.client, "reason": decided.reason}
        if decided.proposal is not None:
            found |= {"proposal": decided.proposal, "approver": decided.approver}
    return found
