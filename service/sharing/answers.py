"""An auditor's questions beyond entries, answered in JSON: recipients of an item, activity of a client, first times. CLI and API alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from service.sharing.firsts import Firsts, firsts
from service.sharing.ledger import OFFICERS
from service.store import Connection, log_answers, logs
from service.store.times import micros, moment_of, text_of


def recipients(connection: Connection, item_id: str) -> list[Mapping[str, Any]]:
    """Who was sent which version of an item, how often and when, with the first event of each."""
    return [
        {
            "partner": one.partner, "version": one.version, "type": one.type, "count": one.count, "first": text_of(one.first),
            "last": text_of(one.last), "event_id": one.event_id,
        }
        for one in log_answers.recipients(connection, item_id)
    ]  # fmt: skip


def activity(connection: Connection, client: str, *, since: int, until: int) -> list[Mapping[str, Any]]:
    """What a client did in a stretch of time, day by day (UTC)."""
    return [
        {
            "day": moment_of(one.day).date().isoformat(), "log": one.log, "type": one.type, "result": one.result, "count": one.count,
            "first": text_of(one.first), "last": text_of(one.last),
        }
        for one in log_answers.activity(connection, client, since=since, until=until)
    ]  # fmt: skip


def first_releases(
    connection: Connection, partner: str, *, since: datetime | None, until: datetime | None, from_position: int, limit: int
) -> Firsts:
    """What a partner was sent for the first time; nothing, for a partner that has no log."""
    head = None if partner == OFFICERS else logs.head(connection, partner)
    if head is None:
        return Firsts((), None)
    ends = [None if moment is None else micros(moment) for moment in (since, until)]
    return firsts(connection, head, since=ends[0], until=ends[1], from_position=from_position, limit=limit)
