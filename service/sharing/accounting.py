"""A partner's own accounting, summed up: what was asked for again and again stands once, with its first time, last time and count.

Pure, and made of the leaves of the partner's own log alone: nothing else can show in it. A page sums up a stretch of the log, at most
`ENTRIES_MAX` entries of it, so that its cost does not grow with the log; what goes on beyond a page stands in the next one again, and
whoever adds the counts has the count of all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

ENTRIES_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Summary:
    """Lines in the order of their first entries; `entries` are how many were summed up, `next` the position to go on from, if any."""

    lines: tuple[dict[str, Any], ...]
    entries: int
    next: int | None


def summed_up(leaves: Iterable[tuple[int, bytes]], *, limit: int) -> Summary:
    """Sum up entries of one log, given as (position, leaf) in order, until there are `limit` lines.

    A list counts by the hash of its body, which is the same for the same answer; an item or file by its copy; a refusal by its id.
    An entry is summed up whole, or left for the next page.
    """
    lines: dict[tuple[object, ...], dict[str, Any]] = {}
    entries = 0
    for position, leaf in leaves:
        face = json.loads(leaf)
        named = list(_lines_of(face))
        if entries == ENTRIES_MAX or (lines and len(lines.keys() | {_key(line) for line in named}) > limit):
            return Summary(tuple(lines.values()), entries, position)
        for line in named:
            known = lines.setdefault(
                _key(line), {**line, "first": face["at"], "last": face["at"], "count": 0, "event_id": face["event_id"]}
            )
            known["last"] = face["at"]
            known["count"] += 1
        entries += 1
    return Summary(tuple(lines.values()), entries, None)


def _lines_of(face: dict[str, Any]) -> Iterable[dict[str, Any]]:
    what = {"type": face["type"], "result": face["result"]}
    if face["type"] == "list" or not face["items"]:
        yield what if face["body_sha256"] is None else what | {"body_sha256": face["body_sha256"]}
        return
    portion = {"portion": face["portion"]} if "portion" in face else {}
    for item in face["items"]:
        yield what | item | portion


def _key(line: dict[str, Any]) -> tuple[object, ...]:
    return tuple(sorted(line.items()))
