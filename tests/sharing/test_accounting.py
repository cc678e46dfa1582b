"""The accounting summed up: of a partner's own leaves alone, every entry counted once, whatever the pages."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from service.sharing import accounting
from service.sharing.accounting import summed_up

ITEMS = st.sampled_from(["i1", "i2", "i3"])
COPIES = st.sampled_from(["aa" * 32, "bb" * 32])


@st.composite
def faces(draw: Any) -> dict[str, Any]:
    type_ = draw(st.sampled_from(["list", "item", "file", "refused"]))
    if type_ == "list":
        named = [{"copy_sha256": draw(COPIES), "id": one} for one in draw(st.lists(ITEMS, unique=True))]
        return {"type": "list", "result": "sent", "items": named, "body_sha256": draw(COPIES)}
    if type_ == "refused":
        return {"type": "item", "result": "refused", "items": [{"id": draw(ITEMS)}], "body_sha256": "cc" * 32}
    portion = {"portion": draw(st.sampled_from(["p1", "p2"]))} if type_ == "file" else {}
    return {
        "type": type_,
        "result": "sent",
        "items": [{"copy_sha256": draw(COPIES), "id": draw(ITEMS)}],
        "body_sha256": "dd" * 32,
    } | portion


def leaves_of(found: list[dict[str, Any]]) -> list[tuple[int, bytes]]:
    return [(number, json.dumps(face | {"at": f"t{number:04}", "event_id": f"e{number}"}).encode()) for number, face in enumerate(found)]


def key_of(face: dict[str, Any]) -> tuple[str, ...]:
    if face["type"] == "list":
        return ("list", face["body_sha256"])
    one = face["items"][0]
    return (face["type"], face["result"], one["id"], one.get("copy_sha256", ""), face.get("portion", ""))


def line_key(line: dict[str, Any]) -> tuple[str, ...]:
    if line["type"] == "list":
        return ("list", line["body_sha256"])
    return (line["type"], line["result"], line["id"], line.get("copy_sha256", ""), line.get("portion", ""))


@settings(deadline=None)
@given(st.lists(faces(), max_size=40), st.integers(1, 6))
def test_pages_together_count_every_entry_once_with_its_first_and_last_time(found: list[dict[str, Any]], limit: int) -> None:
    leaves = leaves_of(found)
    counts: Counter[tuple[str, ...]] = Counter()
    first: dict[tuple[str, ...], tuple[str, str]] = {}
    last: dict[tuple[str, ...], str] = {}
    start: int | None = 0
    entries = 0
    while start is not None:
        page = summed_up(leaves[start:], limit=limit)
        assert len(page.lines) <= limit
        assert page.next is None or page.next == start + page.entries > start
        for line in page.lines:
            counts[line_key(line)] += line["count"]
            first.setdefault(line_key(line), (line["first"], line["event_id"]))
            last[line_key(line)] = line["last"]
        entries += page.entries
        start = page.next
    assert entries == len(found)
    assert counts == Counter(map(key_of, found))
    for key in counts:
        numbers = [number for number, face in enumerate(found) if key_of(face) == key]
        assert first[key] == (f"t{numbers[0]:04}", f"e{numbers[0]}")
        assert last[key] == f"t{numbers[-1]:04}"


def test_a_page_sums_up_so_many_entries_and_no_more() -> None:
    face = {"type": "item", "result": "refused", "items": [{"id": "i1"}], "body_sha256": "cc" * 32}
    page = summed_up(leaves_of([face] * (accounting.ENTRIES_MAX + 5)), limit=3)
    assert (page.entries, page.next, page.lines[0]["count"]) == (accounting.ENTRIES_MAX, accounting.ENTRIES_MAX, accounting.ENTRIES_MAX)
