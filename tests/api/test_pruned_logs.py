"""What everybody is told of a log of which some was pruned: partners, auditors, officers, and those who copy it as tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.releaselog.leaf import parse_leaf
from service.releaselog.merkle import TILE_WIDTH, leaf_hash, root
from service.releaselog.receipt import verify_receipt
from service.releaselog.tiles import decode_bundle
from service.sharing import holds, pruning
from service.sharing.exports.tiles import static_tiles
from service.sharing.holds import Conditions
from service.store import logs
from service.store.times import micros
from tests.support.api import Service, copied, service_in
from tests.support.old_logs import auditors, fill

BEFORE = datetime(2025, 1, 1, tzinfo=UTC)
GONE = [(0, 256), (512, 768)]
"""Entries of the log of JPN: tile 1 is held."""
SPANS = [
    {"start": 0, "stop": 256, "first_at": "2024-01-01T00:00:00.000000Z", "last_at": "2024-01-01T00:00:00.000000Z"},
    {"start": 512, "stop": 768, "first_at": "2024-03-01T00:00:00.000000Z", "last_at": "2024-03-01T00:00:00.000000Z"},
]


@dataclass(frozen=True)
class Before:
    """What people outside held before anything was pruned."""

    service: Service
    events: list[str]
    receipts: dict[int, dict[str, Any]]
    event: str
    """Of the leaf that says what was pruned."""

    def pruned(self) -> list[dict[str, Any]]:
        return [{"log": "JPN", "event_id": self.event, **span} for span in SPANS]


@pytest.fixture(scope="module")
def before(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Before]:
    folder = copied(demo_folder, tmp_path_factory.mktemp("pruned") / "data")
    with service_in(folder, retention_days=300, rate_burst=10_000) as service:
        installation, (one, other) = service.installation, auditors(service.installation)
        times = [micros(datetime(2024, month, 1, tzinfo=UTC)) for month in (1, 2, 3) for _ in range(TILE_WIDTH)]
        events = fill(installation, "JPN", [*times, *[micros(service.clock())] * 3])
        receipts = {
            index: service.get("jpn", f"/v1/releases/{events[index]}/receipt").json() for index in (0, 7, 255, 256, 511, 512, 700, 770)
        }
        wanted = Conditions(since=datetime(2024, 2, 1, tzinfo=UTC), until=datetime(2024, 2, 2, tzinfo=UTC))
        holds.add(installation.acts, one, wanted, reason="an inquiry")
        pending = pruning.propose(installation, one, before=BEFORE, log=None, reason="the retention policy")
        done = pruning.approve(installation, pending.proposal.id, other)
        assert [(span.start, span.stop) for span in done.plan.ranges] == GONE
        yield Before(service, events, receipts, done.entry.event_id)


# --- a partner --------------------------------------------------------------------------------------------------------


def test_a_partner_s_accounting_goes_on_and_says_what_is_gone(before: Before) -> None:
    events, query, pages = [], {"limit": "100"}, 0
    told: list[dict[str, Any]] = []
    while True:
        page = before.service.get("jpn", "/v1/releases", params=query).json()
        events += [face["event_id"] for face in page["releases"]]
        told += [span for span in page.get("pruned", []) if span not in told]
        pages += 1
        if "next" not in page:
            break
        query["cursor"] = page["next"]
    assert events == [*before.events[256:512], *before.events[768:]]
    assert told == SPANS
    assert len(events) + sum(span["stop"] - span["start"] for span in told) == before.service.size("JPN"), "nothing is missing unsaid"
    summary = before.service.get("jpn", "/v1/releases", params={"summary": "true"}).json()
    assert summary["pruned"] == SPANS[: len(summary["pruned"])]
    assert "pruned" not in before.service.get("gbr", "/v1/releases").json()


def test_receipts_given_before_hold_and_new_ones_are_of_what_is_there(before: Before) -> None:
    service = before.service
    head = service.get("jpn", "/v1/me").json()["log"]
    for index, held in before.receipts.items():
        proven = verify_receipt(held["leaf"].encode(), held["proof"], held["key"], origin=head["origin"])
        assert (proven.index, parse_leaf(held["leaf"].encode()).event_id) == (index, before.events[index])
        again = service.get("jpn", f"/v1/releases/{before.events[index]}/receipt")
        gone = any(start <= index < stop for start, stop in GONE)
        assert again.status_code == (404 if gone else 200)
        # Whoever has the leaf finds its hash where it was.
        tile = service.get("jpn", f"/v1/log/self/tile/0/{index // TILE_WIDTH:03d}{'.p/3' if index >= 768 else ''}").content
        place = index % TILE_WIDTH
        assert tile[32 * place : 32 * place + 32] == leaf_hash(held["leaf"].encode())


def test_entries_as_tiles_are_404_where_they_were_pruned(before: Before) -> None:
    for who, path in (("jpn", "self"), ("auditor", "JPN")):
        refused = before.service.get(who, f"/v1/log/{path}/tile/entries/000")
        assert (refused.status_code, refused.json()["code"]) == (404, "pruned")
        assert "entries 0 to 255 of log `JPN` were pruned" in refused.json()["detail"]
        there = before.service.get(who, f"/v1/log/{path}/tile/entries/001")
        assert len(decode_bundle(there.content)) == TILE_WIDTH
        hashes = before.service.get(who, f"/v1/log/{path}/tile/0/000").content
        above = before.service.get(who, f"/v1/log/{path}/tile/1/000.p/3").content
        assert root([hashes[start : start + 32] for start in range(0, len(hashes), 32)]) == above[:32]


def test_a_static_export_leaves_the_entries_out_and_says_which(before: Before) -> None:
    installation = before.service.installation
    with installation.database.reading() as connection:
        head = logs.head(connection, "JPN")
        assert head is not None
        pieces: dict[str, bytes] = {}
        for piece in static_tiles(connection, head):
            pieces[piece.path] = pieces.get(piece.path, b"") + piece.content
        others = [one for one in logs.heads(connection) if one.name == "officers"]
        whole = {piece.path for piece in static_tiles(connection, others[0])}
    assert [path for path in pieces if path.startswith("tile/entries")] == ["tile/entries/001", "tile/entries/003.p/3"]
    assert [path for path in pieces if path.startswith("tile/0/")] == ["tile/0/000", "tile/0/001", "tile/0/002", "tile/0/003.p/3"]
    assert b'"start":512,"stop":768' in pieces["pruned.json"]
    assert "pruned.json" not in whole


# --- an auditor -------------------------------------------------------------------------------------------------------


def test_pages_skip_what_is_gone_and_say_so(before: Before) -> None:
    service = before.service
    found = service.entries(partner="JPN")
    assert [one["face"]["event_id"] for one in reversed(found)] == [*before.events[256:512], *before.events[768:]]

    def told(**query: str) -> list[dict[str, Any]]:
        pruned: list[dict[str, Any]] = service.get("auditor", "/v1/audit/releases", params={"limit": "1", **query}).json().get("pruned", [])
        return pruned

    assert told(partner="JPN") == told() == told(type="item") == told(outcome="withhold") == before.pruned()
    assert told(until="2024-02-01T00:00:00Z") == before.pruned()[:1]
    assert told(since="2024-02-01T00:00:00Z", until="2024-03-01T00:00:01Z") == before.pruned()[1:]
    assert told(partner="GBR") == told(log="officers") == told(since="2025-01-01T00:00:00Z") == []


def test_an_entry_that_is_gone_is_404_with_the_leaf_that_says_so(before: Before) -> None:
    for path in (f"/v1/audit/releases/{before.events[513]}", "/v1/audit/entries/JPN/513"):
        refused = before.service.get("auditor", path)
        assert (refused.status_code, refused.json()["code"]) == (404, "pruned")
        assert f"entry 513 of log `JPN` was pruned, as event `{before.event}` of `officers` says" in refused.json()["detail"]
        leaf = before.service.get("auditor", f"/v1/audit/releases/{before.event}").json()
        assert [(one["log"], one["start"], one["stop"]) for one in leaf["record"]["details"]["ranges"]] == [("JPN", *span) for span in GONE]
    assert "code" not in before.service.get("auditor", "/v1/audit/releases/no-such-event").json()
    assert "code" not in before.service.get("auditor", "/v1/audit/entries/JPN/99999").json()
    assert before.service.get("auditor", "/v1/audit/entries/JPN/300").status_code == 200


def test_a_mark_on_what_is_gone_is_refused(before: Before) -> None:
    refused = before.service.post("auditor", "/v1/audit/reviews", {"event_id": before.events[0], "mark": "questioned"})
    assert (refused.status_code, refused.json()["code"]) == (404, "pruned")


@pytest.mark.parametrize(
    ("path", "spans"),
    [
        ("/v1/audit/items/i-1/recipients", SPANS),
        ("/v1/audit/clients/c_1/activity?since=2024-01-01T00:00:00Z&until=2024-02-01T00:00:00Z", SPANS[:1]),
        ("/v1/audit/clients/c_1/activity?since=2026-01-01T00:00:00Z&until=2026-02-01T00:00:00Z", []),
        ("/v1/audit/firsts?partner=JPN&since=2026-01-01T00:00:00Z", SPANS),
        ("/v1/audit/firsts?partner=GBR", []),
        ("/v1/audit/signals?since=2024-01-01T00:00:00Z&until=2024-06-01T00:00:00Z", SPANS),
        ("/v1/audit/signals?since=2026-01-01T00:00:00Z&until=2026-06-01T00:00:00Z", []),
    ],
)
def test_answers_say_what_they_could_not_count(before: Before, path: str, spans: list[dict[str, Any]]) -> None:
    answer = before.service.get("auditor", path)
    assert answer.status_code == 200, answer.text
    assert answer.json().get("pruned", []) == [one for one in before.pruned() if any(span["start"] == one["start"] for span in spans)]


def test_what_is_gone_is_not_decided_again_and_counted(before: Before) -> None:
    one = before.service.post("auditor", "/v1/audit/replay", {"events": [before.events[3]]})
    assert (one.status_code, one.json()["code"]) == (409, "pruned")
    run = before.service.post("auditor", "/v1/audit/replay", {"log": "JPN", "from": 500, "to": 520})
    assert run.status_code == 200, run.text
    tally = run.json()
    assert (tally["pruned"], tally["replayed"]) == (8, 12)


def test_officers_are_told_of_what_nobody_can_say_any_more(before: Before) -> None:
    ids = [one["id"] for one in before.service.list_all("jpn")]
    gone = [{"partner": "JPN", "first_at": span["first_at"], "last_at": span["last_at"]} for span in SPANS]
    assert before.service.get("officer", f"/v1/officer/items/{ids[0]}/audience").json()["pruned"] == gone
    assert before.service.get("officer", "/v1/officer/unshared").json()["pruned"] == gone
