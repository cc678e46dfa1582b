"""What an auditor reads: entries by every filter, page by page, each opened to its seal; and each log whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.releaselog.checkpoint import open_checkpoint
from service.releaselog.leaf import canonical, parse_leaf, seal
from service.releaselog.merkle import leaf_hash, root
from service.releaselog.tiles import decode_bundle, decode_tile
from service.sharing.verification import verify_all
from tests.support.api import NOT_FOUND, Service, copied, service_in
from tests.support.personal import entry_in_words

ENTRY = ["log", "index", "face", "record", "nonce", "leaf_hash"]


@pytest.fixture(scope="module")
def busy(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The demo, after an hour in which partners and an officer did all kinds of things, a minute apart."""
    with service_in(copied(demo_folder, tmp_path_factory.mktemp("busy") / "data")) as service:
        for who in ("jpn", "ind", "jpn-second"):
            for path in ("/v1/items?limit=3", "/v1/items/nope", f"/v1/items/{service.list_all(who, limit=100)[0]['id']}"):
                service.get(who, path)
                service.clock.advance(minutes=1)
        one = service.list_all("jpn")[0]["id"]
        service.get("officer", f"/v1/officer/items/{one}/audience")
        service.post("officer", "/v1/officer/partners/GBR/suspend", {"reason": "an exercise"})
        service.get("gbr", "/v1/items")
        yield service


def test_an_entry_opens_to_its_seal_and_its_leaf(busy: Service) -> None:
    for entry in busy.entries() + busy.entries(log="officers"):
        assert [name for name in entry if name != "personal"] == ENTRY
        for commitment, kept in entry.get("personal", {}).items():
            assert hashlib.sha256(bytes.fromhex(kept["salt"]) + kept["value"].encode()).hexdigest() == commitment
            assert canonical({"commitment": commitment}) in canonical(entry["record"])
        leaf = canonical(entry["face"])
        assert leaf_hash(leaf).hex() == entry["leaf_hash"]
        parse_leaf(leaf)
        assert seal(bytes.fromhex(entry["nonce"]), canonical(entry["record"])).hex() == entry["face"]["seal"]
        assert len(entry["nonce"]) == 64
        for digest, label in entry["record"].get("labels", {}).items():
            assert hashlib.sha256(canonical(label)).hexdigest() == digest


def test_entries_are_newest_first_and_of_partners_unless_a_log_is_named(busy: Service) -> None:
    entries = busy.entries()
    assert {entry["log"] for entry in entries} == {"JPN", "IND", "GBR"}
    times = [entry["face"]["at"] for entry in entries]
    assert times == sorted(times, reverse=True)
    for log in ("JPN", "IND"):
        indexes = [entry["index"] for entry in entries if entry["log"] == log]
        assert indexes == list(range(busy.size(log) - 1, -1, -1))
    assert {entry["log"] for entry in busy.entries(log="officers")} == {"officers"}


def test_every_filter_leaves_out_what_it_says_and_nothing_else(busy: Service) -> None:
    everything = busy.entries()
    one = next(
        entry["face"]["items"][0]["id"]
        for entry in everything
        if entry["face"]["type"] == "item" and "copy_sha256" in entry["face"]["items"][0]
    )
    moment = everything[len(everything) // 2]["face"]["at"]
    second = busy.client("jpn-second").id
    labels = [label for entry in everything for label in entry["record"]["labels"].values()]
    level, category = labels[0]["level"], next(name for label in labels for name in label["categories"])
    rule = next(rule for entry in everything for item in entry["record"]["items"] for rule in item["rules"])
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"partner": "JPN"}, lambda entry: entry["log"] == "JPN"),
        ({"log": "IND"}, lambda entry: entry["log"] == "IND"),
        ({"partner": "JPN", "log": "JPN"}, lambda entry: entry["log"] == "JPN"),
        ({"partner": "JPN", "log": "IND"}, lambda entry: False),
        ({"partner": "officers"}, lambda entry: False),
        ({"item": one}, lambda entry: one in {item["id"] for item in entry["face"]["items"]}),
        ({"item": "nope"}, lambda entry: "nope" in {item["id"] for item in entry["face"]["items"]}),
        ({"type": "list"}, lambda entry: entry["face"]["type"] == "list"),
        ({"type": "policy.publish"}, lambda entry: entry["face"]["type"] == "policy.publish"),
        ({"partner": "JPN", "type": "policy.publish"}, lambda entry: False),
        ({"client": second}, lambda entry: entry["face"]["client"] == second),
        ({"since": moment}, lambda entry: entry["face"]["at"] >= moment),
        ({"until": moment}, lambda entry: entry["face"]["at"] < moment),
        ({"since": moment, "until": moment}, lambda entry: False),
        ({"since": "2026-11-22T19:03:00+09:00"}, lambda entry: entry["face"]["at"] >= "2026-11-22T10:03:00.000000Z"),
        (
            {"partner": "JPN", "type": "item", "client": second},
            lambda entry: entry["face"]["client"] == second and entry["face"]["type"] == "item",
        ),
        ({"partner": "XXX"}, lambda entry: False),
        ({"log": "nope"}, lambda entry: False),
        ({"item": "\x00"}, lambda entry: False),
        ({"level": level}, lambda entry: level in {label["level"] for label in entry["record"]["labels"].values()}),
        (
            {"level": [level, "COSMIC"], "outcome": ["release", "in_part"]},
            lambda entry: (
                entry["record"]["outcome"] in ("release", "in_part")
                and level in {label["level"] for label in entry["record"]["labels"].values()}
            ),
        ),
        ({"category": category}, lambda entry: any(category in label["categories"] for label in entry["record"]["labels"].values())),
        ({"outcome": ["withhold", "refer"]}, lambda entry: entry["face"]["result"] == "refused"),
        ({"outcome": "release", "partner": "JPN"}, lambda entry: (entry["log"], entry["record"]["outcome"]) == ("JPN", "release")),
        ({"rule": rule}, lambda entry: any(rule in item["rules"] for item in entry["record"]["items"])),
        ({"rule": "AGR-9999"}, lambda entry: False),
        ({"bundle": everything[0]["record"]["bundle"]}, lambda entry: True),
        ({"bundle": "0" * 64}, lambda entry: False),
        ({"review": "escalated"}, lambda entry: False),
    ]
    for filters, kept in cases:
        # Acts and looks are found where their type is named, and left out elsewhere.
        pool = everything + (busy.entries(log="officers") if set(filters) == {"type"} else [])
        expected = [entry for entry in pool if kept(entry)]
        for limit in ("2", "100"):
            assert busy.entries(**filters, limit=limit) == expected, filters
    # Of those that should find something, each does; else this would test nothing.
    assert sum(1 for _, kept in cases if any(kept(entry) for entry in everything)) == 18


def test_acts_and_looks_are_found_by_type(busy: Service) -> None:
    kinds = {entry["face"]["type"] for entry in busy.entries(log="officers")}
    assert {"policy.publish", "item.import", "client.add", "look.audience", "partner.suspend", "look.releases"} <= kinds
    (suspended,) = busy.entries(log="officers", type="partner.suspend")
    assert entry_in_words(suspended)["details"] == {"partner": "GBR", "reason": "an exercise"}
    assert suspended["face"]["client"] == busy.client("officer").id


def test_looking_is_itself_on_record(busy: Service) -> None:
    answer = busy.get("auditor", "/v1/audit/releases", params={"partner": "JPN", "since": "2026-11-22T10:00:00Z", "limit": 1})
    look = busy.entry(answer)
    assert (look["log"], look["face"]["type"], look["face"]["client"]) == ("officers", "look.releases", busy.client("auditor").id)
    assert look["record"]["details"] == {"partner": "JPN", "since": "2026-11-22T10:00:00Z"}
    opened = busy.get("auditor", f"/v1/audit/releases/{answer.headers['release-event']}")
    again = busy.entry(opened)
    assert (again["face"]["type"], again["record"]["details"]) == ("look.entry", {"event_id": answer.headers["release-event"]})
    assert opened.headers["cache-control"] == "no-store"


def test_next_stands_only_where_there_is_more(busy: Service) -> None:
    count = len(busy.entries(partner="IND"))
    assert "next" not in busy.get("auditor", "/v1/audit/releases", params={"partner": "IND", "limit": count}).json()
    page = busy.get("auditor", "/v1/audit/releases", params={"partner": "IND", "limit": count - 1}).json()
    assert list(page) == ["releases", "next"]
    rest = busy.get("auditor", "/v1/audit/releases", params={"partner": "IND", "cursor": page["next"]}).json()
    assert [entry["index"] for entry in rest["releases"]] == [0]


def test_a_cursor_goes_on_with_its_own_query_alone(busy: Service) -> None:
    page = busy.get("auditor", "/v1/audit/releases", params={"partner": "JPN", "level": "SECRET", "limit": 1}).json()
    more = {"partner": "JPN", "level": "SECRET", "cursor": page["next"]}
    assert busy.get("auditor", "/v1/audit/releases", params=more).status_code == 200
    before = busy.size("officers")
    for other in ({"partner": "IND"}, {"level": ["SECRET", "CONFIDENTIAL"]}, {"until": "2026-11-22T10:00:00Z"}, {"rule": "AGR-0001"}):
        answer = busy.get("auditor", "/v1/audit/releases", params={**more, **other})
        assert (answer.status_code, answer.json()["code"]) == (422, "foreign-cursor"), other
    assert busy.size("officers") == before


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "since=yesterday",
        "since=2026-11-22T10:00:00",
        "who=me",
        "cursor=x",
        "levels=SECRET",
        "level=" + "x" * 101,
        "item=" + "x" * 65,
    ],
)
def test_parameters_are_read_strictly(busy: Service, query: str) -> None:
    before = busy.size("officers")
    assert busy.get("auditor", f"/v1/audit/releases?{query}").status_code == 422
    assert busy.size("officers") == before


def test_an_entry_is_had_by_its_event(busy: Service) -> None:
    for entry in busy.entries()[:5] + busy.entries(log="officers")[:5]:
        answer = busy.get("auditor", f"/v1/audit/releases/{entry['face']['event_id']}")
        assert answer.json() == entry
    for event in ("nope", "%00", "a%2Fb", "%C3%A9"):
        assert busy.get("auditor", f"/v1/audit/releases/{event}").content == NOT_FOUND


@pytest.mark.parametrize("log", ["JPN", "IND", "officers"])
def test_a_log_is_had_whole_and_verifies(busy: Service, log: str) -> None:
    head = busy.get("auditor", f"/v1/log/{log}/checkpoint")
    origin, size = head.text.split("\n")[:2]
    checkpoint = open_checkpoint(head.text, busy.installation.ledger.vkey(origin), origin)
    entries = decode_bundle(busy.get("auditor", f"/v1/log/{log}/tile/entries/000.p/{size}").content)
    hashes = decode_tile(busy.get("auditor", f"/v1/log/{log}/tile/0/000.p/{size}").content)
    assert [leaf_hash(entry) for entry in entries] == list(hashes)
    assert (len(hashes), root(hashes)) == (checkpoint.size, checkpoint.root)
    audited = {entry["index"]: entry for entry in busy.entries(log=log)}
    for index, leaf in enumerate(entries):
        assert json.loads(leaf) == audited[index]["face"]
    own = {"JPN": "jpn", "IND": "ind"}.get(log)
    if own is not None:
        assert busy.get(own, "/v1/log/self/checkpoint").text == head.text


def test_a_log_that_is_not_there_is_not_there(busy: Service) -> None:
    for path in ("XXX/checkpoint", "%00/checkpoint", "XXX/tile/0/000.p/1", "self/tile/0/000.p/1", "JPN/tile/0/000", "root/checkpoint"):
        answer = busy.get("auditor", f"/v1/log/{path}")
        assert answer.status_code in (403, 404), path
        if not path.startswith("self"):
            assert answer.content == NOT_FOUND, path


def test_all_that_was_done_here_verifies(busy: Service) -> None:
    report = verify_all(busy.installation)
    assert report.problem is None
    assert {log.name: log.size for log in report.logs if log.size} == {log: busy.size(log) for log in ("JPN", "IND", "GBR", "officers")}
