"""First-time releases: what a partner was sent that it had never been sent before: an item, a version, a level, a category.

Level and category are those of the copy, which is what the partner got; what was decided on and withheld beside it does not count. A
file has no marking of its own in the log: it counts as its item, and not for level and category. Lists show titles, and do not count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from service.releaselog.facts import CATEGORY, LEVEL, Fact
from service.store import Connection, catalogue, log_answers, logs
from service.store.log_answers import Sent
from service.store.logs import Head
from service.store.times import text_of

ITEM: Final = "item"
VERSION: Final = "version"
WORK: Final = 5000
"""Entries looked at for a page, at most: it may end early."""


@dataclass(frozen=True, slots=True)
class Firsts:
    """What was first, oldest first, and the position in the partner's log to go on from, if any."""

    lines: tuple[dict[str, Any], ...]
    next: int | None


def firsts(connection: Connection, head: Head, *, since: int | None, until: int | None, from_position: int, limit: int) -> Firsts:
    """What was first in a stretch of time, from a position of the log on."""
    found, onward = log_answers.sent(connection, head.id, since=since, until=until, from_position=from_position, limit=WORK)
    known: set[tuple[str, str]] = set()
    lines: list[dict[str, Any]] = []
    for entry in found:
        if len(lines) >= limit:
            return Firsts(tuple(lines), entry.position)
        versions = {item: version for item, _, version in logs.entry_items(connection, head.id, entry.position)}
        for item in json.loads(entry.leaf)["items"]:
            for kind, value in _first_of(connection, head, entry, item, versions.get(item["id"], 0), known):
                line = {"at": text_of(entry.at), "event_id": entry.event_id, "index": entry.position, "item": item["id"]}
                lines.append(line | {"kind": kind, "value": value})
    return Firsts(tuple(lines), onward)


def _first_of(
    connection: Connection, head: Head, entry: Sent, item: dict[str, str], version: int, known: set[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    had = (ITEM, item["id"]) in known or log_answers.had_item(connection, head.id, item["id"], before=entry.position, version=None)
    if not had:
        yield ITEM, item["id"]
    elif (VERSION, f"{item['id']} {version}") not in known and not log_answers.had_item(
        connection, head.id, item["id"], before=entry.position, version=version
    ):
        yield VERSION, str(version)
    known |= {(ITEM, item["id"]), (VERSION, f"{item['id']} {version}")}
    if entry.type != "item":
        return
    for fact in _marking(connection, item["copy_sha256"]):
        if fact in known:
            continue
        known.add(fact)
        if not _had(connection, head, fact, before=entry.position):
            yield fact


def _had(connection: Connection, head: Head, fact: Fact, *, before: int) -> bool:
    """Whether some earlier copy had it: the labels of an entry say where to look, the copy what was got."""
    looked: set[str] = set()
    for leaf in log_answers.sent_with(connection, head.id, fact, before=before):
        for item in json.loads(leaf)["items"]:
            if item["copy_sha256"] not in looked:
                looked.add(item["copy_sha256"])
                if fact in _marking(connection, item["copy_sha256"]):
                    return True
    return False


def _marking(connection: Connection, copy_sha256: str) -> list[Fact]:
    """The level and categories of a copy; none where it is not kept any more."""
    body = catalogue.copy_body(connection, bytes.fromhex(copy_sha256))
    if body is None:
        return []
    copy = json.loads(body)
    return [(LEVEL, copy["level"]), *((CATEGORY, category) for category in copy["categories"])]
