"""Legal holds: entries that stay, whatever else is pruned, until an auditor lets them go.

A hold names conditions, and what matches every one of them is held, also what is written later. Each is a leaf of `officers` when it is
put on and when it is released; the table that pruning asks is derived from these leaves, and `entente log verify` derives it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from service.errors import Conflict, NotVisible, Rejected
from service.sharing.acts import Actor, Acts
from service.sharing.ledger import OFFICERS
from service.sharing.personal import REASON, Texts, kept, kept_of, personal
from service.store import Connection, holds, logs
from service.store.holds import Hold
from service.store.times import micros, text_of

HOLD_TYPE: Final = "log.hold"
RELEASE_TYPE: Final = "log.hold-release"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is to be held: the entries that match every one of these. None of them holds every log."""

    log: str | None = None
    item: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A hold on record."""

    event_id: str
    hold: Hold


def conditions(*, log: str | None, partner: str | None, item: str | None, since: datetime | None, until: datetime | None) -> Conditions:
    """Conditions by the names that API and command line have for them.

    Raises:
        Rejected: they contradict one another, so that nothing could match.
    """
    if partner is not None and log not in (None, partner):
        raise Rejected(f"`log` and `partner` name two logs, expected `{partner[:64]}` or nothing for `log`", code="hold")
    if since is not None and until is not None and until <= since:
        raise Rejected("`until` is not after `since`, so that nothing would be held", code="hold")
    return Conditions(partner or log, item, since, until)


def add(acts: Acts, actor: Actor, wanted: Conditions, *, reason: str) -> Held:
    """Hold entries.

    Raises:
        Rejected: no reason.
        Conflict: no log of that name: what is misspelled would hold nothing.
    """
    why = personal(REASON, given(reason))
    with acts.registering(HOLD_TYPE, actor) as act:
        if wanted.log is not None and logs.head(act.connection, wanted.log) is None:
            raise Conflict(f"no log `{wanted.log[:64]}`; every partner of the policy in force has one", code="no-log")
        hold = Hold(
            holds.next_id(act.connection),
            wanted.log,
            wanted.item,
            None if wanted.since is None else micros(wanted.since),
            None if wanted.until is None else micros(wanted.until),
            kept(why),
            actor.client,
            act.at,
        )
        holds.add(act.connection, hold)
        act.details.update({"hold": hold.id, **conditions_json(hold), "reason": why})
    return Held(act.event_id(), hold)


def release(acts: Acts, actor: Actor, hold_id: int, *, reason: str) -> Held:
    """Let go what a hold held.

    Raises:
        Rejected: no reason.
        NotVisible: there is no such hold.
        Conflict: it was released before.
    """
    why = personal(REASON, given(reason))
    with acts.registering(RELEASE_TYPE, actor) as act:
        hold = holds.by_id(act.connection, hold_id)
        if hold is None:
            raise NotVisible
        if hold.released_at is not None:
            raise Conflict(f"hold `{hold_id}` was released at {text_of(hold.released_at)}", code="hold-released")
        holds.release(act.connection, hold_id, at=act.at, by=actor.client, why=kept(why))
        act.details.update({"hold": hold_id, "reason": why})
        ended = replace(hold, released_at=act.at, released_by=actor.client, released_why=kept(why))
    return Held(act.event_id(), ended)


def holds_json(connection: Connection, found: Sequence[Hold]) -> list[dict[str, Any]]:
    """Holds as auditors read them, with the reasons, as long as they are kept."""
    texts = Texts(connection, [why for hold in found for why in (hold.reason, hold.released_why) if why is not None])
    return [_hold_json(hold, texts) for hold in found]


def _hold_json(hold: Hold, texts: Texts) -> dict[str, Any]:
    told: dict[str, Any] = {
        "hold": hold.id, **conditions_json(hold), "reason": texts.of(hold.reason), "client": hold.client, "at": text_of(hold.at)
    }  # fmt: skip
    if hold.released_at is not None:
        told["released"] = {"at": text_of(hold.released_at), "client": hold.released_by, "reason": texts.of(hold.released_why)}
    return told


def derived(connection: Connection) -> tuple[dict[int, Hold], int | None]:
    """Holds by number, as their leaves say, and the position in `officers` of the first leaf that may not be."""
    found: dict[int, Hold] = {}
    for row in logs.of_types(connection, OFFICERS, (HOLD_TYPE, RELEASE_TYPE)):
        details = json.loads(row.record).get("details", {})
        number = details.get("hold")
        if row.type == HOLD_TYPE:
            if number in found or not isinstance(number, int):
                return found, row.position
            since, until = _told_time(details, "since"), _told_time(details, "until")
            found[number] = Hold(
                number, details.get("log"), details.get("item"), since, until, kept_of(details.get("reason")), row.client, row.at
            )
            continue
        hold = found.get(number)
        if hold is None or hold.released_at is not None:
            return found, row.position
        found[number] = replace(hold, released_at=row.at, released_by=row.client, released_why=kept_of(details.get("reason")))
    return found, None


def given(reason: str) -> str:
    """A reason, if there is one.

    Raises:
        Rejected: there is none.
    """
    if not reason.strip():
        raise Rejected("`reason` is empty, expected why", code="reason")
    return reason.strip()


def conditions_json(hold: Hold) -> dict[str, Any]:
    """The conditions of a hold that are set."""
    conditions = {
        "log": hold.log,
        "item": hold.item,
        "since": None if hold.since is None else text_of(hold.since),
        "until": None if hold.until is None else text_of(hold.until),
    }
    return {name: value for name, value in conditions.items() if value is not None}


def _told_time(details: Mapping[str, Any], name: str) -> int | None:
    value = details.get(name)
    return None if value is None else micros(datetime.fromisoformat(value))
