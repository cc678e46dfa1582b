"""What an auditor asks beyond entries, and notes; and how often his reading is on record."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.sharing.verification import verify_all
from service.store import catalogue
from tests.support.api import Service, copied, item, service_in
from tests.support.personal import entry_in_words

_MARK = {"marking": "(S//REL TO USA, JPN)"}
_SECRET = {
    "ref": "answers/2", "marking": "SECRET//REL TO USA, JPN", "categories": ["MARITIME"],
    "portions": [{"kind": "title", "text": "At sea", **_MARK}, {"kind": "text", "text": "A course", **_MARK}],
}  # fmt: skip
DAY = {"since": "2026-11-22T00:00:00Z", "until": "2026-11-23T00:00:00Z"}


@pytest.fixture(scope="module")
def busy(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The demo, with an item in two versions that partners fetch, and one who tries doors."""
    with service_in(copied(demo_folder, tmp_path_factory.mktemp("answers") / "data"), rate_burst=10_000) as service:
        service.installation.registry.add("second-auditor", service.client("auditor").role)
        service.import_items([item("answers/1"), _SECRET])
        yield service


def id_of(service: Service, ref: str) -> str:
    with service.installation.database.reading() as connection:
        found = catalogue.item_by_ref(connection, ref)
        assert found is not None
        return found.id


@pytest.fixture(scope="module")
def told(busy: Service) -> dict[str, str]:
    """Events by name: what was asked for, a minute apart."""
    one, secret = id_of(busy, "answers/1"), id_of(busy, "answers/2")
    events: dict[str, str] = {"one": one, "secret": secret}

    def ask(name: str, who: str, path: str) -> None:
        events[name] = busy.get(who, path).headers["release-event"]
        busy.clock.advance(minutes=1)

    ask("jpn first", "jpn", f"/v1/items/{one}")
    ask("jpn again", "jpn", f"/v1/items/{one}")
    ask("gbr first", "gbr", f"/v1/items/{one}")
    ask("jpn secret", "jpn", f"/v1/items/{secret}")
    ask("gbr denied", "gbr", f"/v1/items/{secret}")
    changed = {name: value for name, value in item("answers/1", portions=2).items() if name != "ref"}
    assert busy.post("officer", f"/v1/officer/items/{one}/versions", changed).status_code == 201
    ask("jpn second version", "jpn", f"/v1/items/{one}")
    for number in range(6):
        ask(f"door {number}", "ind", f"/v1/items/nothing-{number}")
    return events


def read(service: Service, path: str, **params: Any) -> dict[str, Any]:
    answer = service.get("auditor", path, params=params)
    assert answer.status_code == 200, answer.text
    look = service.entry(answer)
    assert (look["log"], look["face"]["client"]) == ("officers", service.client("auditor").id)
    found: dict[str, Any] = answer.json()
    return found


def test_recipients_of_an_item_by_version_with_their_first_event(busy: Service, told: dict[str, str]) -> None:
    found = read(busy, f"/v1/audit/items/{told['one']}/recipients")
    assert found["item"] == told["one"]
    copies = [(line["partner"], line["version"], line["count"], line["event_id"]) for line in found["recipients"] if line["type"] == "item"]
    assert copies == [
        ("GBR", 1, 1, told["gbr first"]), ("JPN", 1, 2, told["jpn first"]), ("JPN", 2, 1, told["jpn second version"]),
    ]  # fmt: skip
    (twice,) = [line for line in found["recipients"] if line["count"] == 2]
    assert twice["first"] < twice["last"]
    assert read(busy, "/v1/audit/items/nobody-has-it/recipients")["recipients"] == []
    secret = read(busy, f"/v1/audit/items/{told['secret']}/recipients")["recipients"]
    assert {line["partner"] for line in secret} == {"JPN"}, "a refusal is no receipt"


def test_denials_are_found_with_what_was_withheld(busy: Service, told: dict[str, str]) -> None:
    entries = busy.entries(outcome=["withhold", "refer"], partner="GBR")
    assert [entry["face"]["event_id"] for entry in entries] == [told["gbr denied"]]
    assert [one["ref"] for one in entries[0]["record"]["items"]] == ["answers/2"]


def test_a_client_s_activity_is_counted_by_day(busy: Service, told: dict[str, str]) -> None:
    client = busy.client("jpn").id
    found = read(busy, f"/v1/audit/clients/{client}/activity", **DAY)
    assert found["client"] == client
    own = busy.entries(client=client, partner="JPN")
    assert {(line["day"], line["log"], line["type"], line["result"], line["count"]) for line in found["activity"]} == {
        ("2026-11-22", "JPN", type_, "sent", sum(entry["face"]["type"] == type_ for entry in own))
        for type_ in {entry["face"]["type"] for entry in own}
    }
    assert read(busy, f"/v1/audit/clients/{client}/activity", since="2026-11-23T00:00:00Z", until="2026-11-24T00:00:00Z")["activity"] == []
    too_long = busy.get("auditor", f"/v1/audit/clients/{client}/activity", params={"since": "2020-01-01T00:00:00Z", "until": DAY["until"]})
    assert (too_long.status_code, too_long.json()["code"]) == (422, "stretch")


def test_first_times_are_of_the_copy_a_partner_got(busy: Service, told: dict[str, str]) -> None:
    found = read(busy, "/v1/audit/firsts", partner="JPN")["firsts"]
    by_event: dict[str, list[tuple[str, str]]] = {}
    for line in found:
        by_event.setdefault(line["event_id"], []).append((line["kind"], line["value"]))
    assert set(by_event) == {told["jpn first"], told["jpn secret"], told["jpn second version"]}, "a repeat is no first time"
    assert by_event[told["jpn first"]] == [("item", told["one"]), ("level", "UNCLASSIFIED"), ("category", "DIPLOMATIC")]
    assert by_event[told["jpn secret"]] == [("item", told["secret"]), ("level", "SECRET"), ("category", "MARITIME")]
    assert by_event[told["jpn second version"]] == [("version", "2")]
    assert [line["kind"] for line in read(busy, "/v1/audit/firsts", partner="GBR")["firsts"]] == ["item", "level", "category"]
    assert read(busy, "/v1/audit/firsts", partner="XXX")["firsts"] == read(busy, "/v1/audit/firsts", partner="officers")["firsts"] == []
    # What was before the stretch counts, though it is not told; and pages tell all of it, once.
    assert [line["kind"] for line in read(busy, "/v1/audit/firsts", partner="JPN", since="2026-11-22T10:05:00Z")["firsts"]] == ["version"]
    paged, cursor = [], {}
    while True:
        page = read(busy, "/v1/audit/firsts", partner="JPN", limit=1, **cursor)
        paged += page["firsts"]
        if "next" not in page:
            break
        cursor = {"cursor": page["next"]}
    assert paged == found
    assert busy.get("auditor", "/v1/audit/firsts", params={"partner": "GBR", **cursor}).status_code == 422


def test_signals_name_their_rule_and_numbers_and_are_told_alike_to_everyone(busy: Service, told: dict[str, str]) -> None:
    thresholds = {"minutes": 10, "absent_ids": 5, "withheld_ids": 1, "requests": 6}
    found = read(busy, "/v1/audit/signals", **DAY, **thresholds)["signals"]
    by_rule = {signal["rule"]: signal for signal in found}
    client = busy.client("ind").id
    doors = by_rule["absent-ids"]
    assert (doors["client"], doors["log"], doors["count"], doors["threshold"], doors["minutes"]) == (client, "IND", 6, 5, 10)
    assert doors["says"] == f"client {client} asked for 6 ids that never were within 10 minutes; threshold 5"
    assert (doors["first_event_id"], doors["last_event_id"]) == (told["door 0"], told["door 5"])
    assert (by_rule["withheld-ids"]["client"], by_rule["withheld-ids"]["count"]) == (busy.client("gbr").id, 1)
    again = busy.ask(None, "GET", "/v1/audit/signals", params={**DAY, **thresholds}, token=_second(busy))
    assert again.json()["signals"] == found
    assert read(busy, "/v1/audit/signals", **DAY)["signals"] == [], "below the usual thresholds nothing stands out"


def _second(service: Service) -> str:
    return service.installation.issuer.issue(service.installation.registry.named("second-auditor"), service.clock())


# --- reviews ----------------------------------------------------------------------------------------------------------


def mark(service: Service, event: str, what: str, *, second: bool = False, note: str = "as told") -> Any:
    body = {"event_id": event, "mark": what, "note": note}
    if second:
        return service.ask(None, "POST", "/v1/audit/reviews", json=body, token=_second(service))
    return service.post("auditor", "/v1/audit/reviews", body)


def test_an_escalation_is_closed_by_two_and_every_mark_is_a_leaf(busy: Service, told: dict[str, str]) -> None:
    event = told["gbr denied"]
    before = busy.size("officers")
    states = [mark(busy, event, what).json()["state"] for what in ("questioned", "escalated", "closed")]
    assert states == ["questioned", "escalated", "closing"]
    refused = mark(busy, event, "closed")
    assert (refused.status_code, refused.json()["code"]) == (409, "second-person")
    assert busy.size("officers") == before + 3, "a refusal leaves nothing"
    (waiting,) = read(busy, "/v1/audit/reviews", state="closing")["reviews"]
    assert (waiting["event_id"], waiting["closer"]) == (event, busy.client("auditor").id)
    assert [one["mark"] for one in waiting["marks"]] == ["questioned", "escalated", "closed"]
    assert [entry["face"]["event_id"] for entry in busy.entries(review="closing")] == [event]
    done = mark(busy, event, "closed", second=True, note="agreed")
    assert (done.status_code, done.json()["state"]) == (201, "closed")
    (closed,) = read(busy, "/v1/audit/reviews", state="closed")["reviews"]
    assert "closer" not in closed
    assert [(one["client"], one["note"]) for one in closed["marks"]][-1] == (
        busy.installation.registry.named("second-auditor").id, "agreed",
    )  # fmt: skip
    leaf = busy.get("auditor", f"/v1/audit/releases/{done.json()['event_id']}").json()
    assert (leaf["log"], leaf["face"]["type"]) == ("officers", "review.mark")
    assert entry_in_words(leaf)["details"] == {
        "log": "GBR", "index": closed["index"], "event_id": event, "mark": "closed", "note": "agreed", "state": "closed",
    }  # fmt: skip
    assert verify_all(busy.installation).ok


def test_reviews_are_listed_page_by_page_newest_entry_first(busy: Service, told: dict[str, str]) -> None:
    for name in ("jpn first", "gbr first", "jpn secret"):
        assert mark(busy, told[name], "reviewed").status_code == 201
    listed, cursor = [], {}
    while True:
        page = read(busy, "/v1/audit/reviews", limit=2, **cursor)
        listed += [one["event_id"] for one in page["reviews"]]
        if "next" not in page:
            break
        cursor = {"cursor": page["next"]}
    assert listed == [told[name] for name in ("gbr denied", "jpn secret", "gbr first", "jpn first")]
    assert busy.get("auditor", "/v1/audit/reviews", params={"state": "reviewed", **cursor}).status_code == 422
    assert [entry["face"]["event_id"] for entry in busy.entries(review="reviewed", partner="JPN")] == [
        told["jpn secret"],
        told["jpn first"],
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"event_id": "no-such-event", "mark": "reviewed"}, 404),
        ({"event_id": "\x00", "mark": "reviewed"}, 404),
        ({"event_id": "x", "mark": "closing"}, 422),
        ({"event_id": "x", "mark": "reviewed", "note": "n" * 4001}, 422),
        ({"mark": "reviewed"}, 422),
    ],
)
def test_a_mark_that_makes_no_sense_changes_nothing(busy: Service, body: dict[str, str], status: int) -> None:
    before = busy.size("officers")
    assert busy.post("auditor", "/v1/audit/reviews", body).status_code == status
    assert busy.size("officers") == before


def test_a_mark_is_not_marked(busy: Service, told: dict[str, str]) -> None:
    event = mark(busy, told["door 0"], "reviewed").json()["event_id"]
    refused = mark(busy, event, "reviewed")
    assert (refused.status_code, refused.json()["code"]) == (409, "review")


@pytest.mark.parametrize(
    ("statement", "log", "message"),
    [
        ("UPDATE review SET state = 'reviewed' WHERE state = 'closed'", "GBR", "expected `closed` from its marks, found another state"),
        ("DELETE FROM review WHERE state = 'closed'", "GBR", "expected `closed` from its marks"),
        ("UPDATE review SET at = at + 1 WHERE state = 'closed'", "GBR", "or time"),
        ("INSERT INTO review (log_id, position, at, state) SELECT log_id, position, at, 'reviewed' FROM log_entry "
         "WHERE type = 'partner.suspend' OR type = 'item.import'", "officers", "expected none"),
        ("DELETE FROM review_mark WHERE log_id = (SELECT id FROM log WHERE name = 'GBR')", "GBR", "on record, but not counted"),
        ("INSERT INTO review_mark (log_id, position, mark_position) VALUES ((SELECT id FROM log WHERE name = 'GBR'), 0, 0)", "GBR",
         "counted, but not on record"),
    ],
)  # fmt: skip
def test_a_forged_review_is_found(busy: Service, told: dict[str, str], tmp_path: Path, statement: str, log: str, message: str) -> None:
    folder = copied(busy.installation.settings.data, tmp_path / "data")
    forged = sqlite3.connect(folder / "entente.db")
    forged.execute(statement)
    forged.commit()
    forged.close()
    with service_in(folder) as service:
        problem = verify_all(service.installation).problem
    assert problem is not None
    assert (problem.log, problem.code) == (log, "review")
    assert message in problem.message


def test_facts_said_of_entries_that_are_yet_to_come_are_found(busy: Service, told: dict[str, str], tmp_path: Path) -> None:
    """A mark too far would leave entries without facts for good, and a filter without them."""
    busy.installation.acts.index()
    folder = copied(busy.installation.settings.data, tmp_path / "data")
    forged = sqlite3.connect(folder / "entente.db")
    forged.execute("UPDATE fact_mark SET size = size + 1000")
    forged.commit()
    forged.close()
    with service_in(folder) as service:
        problem = verify_all(service.installation).problem
    assert problem is not None
    assert (problem.index, problem.code) == (None, "facts")
    assert "found a mark at" in problem.message


def test_what_was_just_released_is_found_by_what_it_says(busy: Service, told: dict[str, str]) -> None:
    """Facts are written behind the logs, but before anyone is answered."""
    event = busy.get("gbr", f"/v1/items/{told['secret']}").headers["release-event"]
    assert busy.entries(partner="GBR", outcome=["withhold", "refer"], level="SECRET")[0]["face"]["event_id"] == event


# --- saved queries ----------------------------------------------------------------------------------------------------


def test_a_query_is_kept_under_its_name_and_each_save_is_a_leaf(busy: Service) -> None:
    query = {"partner": "JPN", "outcome": ["withhold", "refer"], "since": "2026-11-22T00:00:00Z"}
    first = busy.post("auditor", "/v1/audit/queries", {"name": "denials of JPN", "query": {"partner": "JPN"}})
    second = busy.post("auditor", "/v1/audit/queries", {"name": "denials of JPN", "query": query})
    other = busy.post("auditor", "/v1/audit/queries", {"name": "a first one", "query": {}})
    assert [answer.status_code for answer in (first, second, other)] == [201, 201, 201]
    page = read(busy, "/v1/audit/queries", limit=1)
    assert [one["name"] for one in page["queries"]] == ["a first one"]
    (kept,) = read(busy, "/v1/audit/queries", after=page["next"])["queries"]
    assert (kept["name"], kept["query"], kept["client"]) == ("denials of JPN", query, busy.client("auditor").id)
    assert busy.get("auditor", "/v1/audit/releases", params=kept["query"]).status_code == 200
    saves = busy.entries(log="officers", type="query.save")
    assert [json.loads(entry_in_words(entry)["details"]["query"]) for entry in saves] == [{}, query, {"partner": "JPN"}]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "x", "query": {"who": "me"}}, "`query.who`"),
        ({"name": "x", "query": {"since": "yesterday"}}, "`query.since`"),
        ({"name": "x", "query": {"limit": 5}}, "of a page"),
        ({"name": "x", "query": {"cursor": "c"}}, "of a page"),
        ({"name": " x", "query": {}}, "`name`"),
        ({"name": "x\x00", "query": {}}, "`name`"),
    ],
)
def test_a_query_that_could_not_be_asked_is_not_kept(busy: Service, body: dict[str, Any], said: str) -> None:
    before = busy.size("officers")
    answer = busy.post("auditor", "/v1/audit/queries", body)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert busy.size("officers") == before


# --- looks ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("told")
def test_the_same_reading_is_one_leaf_in_ten_minutes_and_the_next_counts_it(busy: Service) -> None:
    busy.clock.advance(hours=1)
    path, query = "/v1/audit/releases", {"partner": "JPN", "limit": 1}
    before = busy.size("officers")
    first = busy.get("auditor", path, params=query)
    again = busy.get("auditor", path, params={**query, "cursor": first.json()["next"]})
    busy.clock.advance(minutes=9, seconds=59)
    third = busy.get("auditor", path, params=query)
    assert busy.size("officers") == before + 1
    assert len({answer.headers["release-event"] for answer in (first, again, third)}) == 1
    # Another auditor, and another query, are on record by themselves.
    assert busy.ask(None, "GET", path, params=query, token=_second(busy)).status_code == 200
    other = busy.get("auditor", path, params={"partner": "IND"})
    assert busy.size("officers") == before + 3
    busy.clock.advance(minutes=10)
    later = busy.get("auditor", path, params=query)
    assert busy.size("officers") == before + 4
    details = busy.entry(later)["record"]["details"]
    assert details["partner"] == "JPN"
    assert {"event_id": first.headers["release-event"], "repeats": 2} in details["repeated"]
    assert other.headers["release-event"] not in json.dumps(details), "what was not repeated is told by its own leaf"
    once_more = busy.get("auditor", "/v1/audit/releases", params={"partner": "GBR"})
    assert "repeated" not in busy.entry(once_more)["record"]["details"], "what was told is not told again"


def test_nothing_is_read_without_a_leaf_before_it(busy: Service) -> None:
    """Also of what was just read: every answer names a leaf that is on record, and says what was asked."""
    for _ in range(2):
        answer = busy.get("auditor", "/v1/audit/releases", params={"level": "SECRET"})
        details = busy.entry(answer)["record"]["details"]
        assert details["level"] == ["SECRET"]
