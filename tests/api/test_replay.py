"""Replay: every decision in the logs is taken again and comes out equal, and one that would not is found, by name.

The log replayed holds all kinds there are: lists, pages, searches, items whole and in part, files, refusals of each reason, views,
purposes, suspension, new versions, relabelling, withdrawal, another policy; on both databases.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from sqlalchemy import text

from service.policy import Bundle, Snapshot, read_bundle, read_directory
from service.policy.snapshot import Decision
from service.sharing.replay import Replay, Run, Tally, chosen_range, sampled
from service.sharing.verification import verify_all
from service.store import logs
from service.store.tables import FOREVER
from tests.conftest import new_postgresql_database
from tests.support.api import MACHINE, POLICIES, Clock, Service, service_in, set_up

ITEM: Final[dict[str, Any]] = {
    "ref": "replay/parts",
    "marking": "SECRET//NOFORN",
    "categories": ["MARITIME"],
    "releasable_in": "portions",
    "portions": [
        {"kind": "title", "marking": "(U)", "text": "A title"},
        {"kind": "text", "marking": "(S//NF)", "text": "For us", "tear_line": [{"marking": "(C//REL TO USA, JPN)", "text": "For two"}]},
        {"kind": "text", "marking": "(S//REL TO USA, JPN)", "text": "For two again", "not_before": {"*": "2026-11-23"}},
        {"kind": "json", "marking": "(U)", "value": {"a": 1, "b": [2]}, "markings": {"/b/0": "(S//NF)"}},
    ],
}
COMPILED: Final[dict[str, Any]] = {
    "ref": "replay/compiled",
    "marking": "SECRET//REL TO USA, JPN",
    "categories": ["MARITIME"],
    "compilation": "SECRET//REL TO USA, JPN",
    "portions": [{"kind": "text", "marking": "(C//REL TO USA, JPN)", "text": half} for half in ("One half", "The other")],
}


def _story(service: Service) -> None:
    """All kinds of requests, with acts between them."""
    made = {}
    for item in (ITEM, COMPILED):
        answer = service.post("officer", "/v1/officer/items", item)
        assert answer.status_code == 201, answer.text
        made[item["ref"]] = answer.json()["id"]
    parts, compiled = made.values()
    known: dict[str, list[str]] = {}
    held = [one["id"] for one in service.get("officer", "/v1/officer/quarantine").json()["quarantine"][:1]]

    def ask_all() -> None:
        for who in ("jpn", "ind", "gbr"):
            shown = service.list_all(who, limit=60)
            service.get(who, "/v1/items", params={"q": "title", "limit": 5})
            known.setdefault(who, [line["id"] for line in shown[:4]])
            for one in [*known[who], parts, compiled, *held, "nope", "not an id"]:
                copy = service.get(who, f"/v1/items/{one}")
                service.get(who, f"/v1/items/{one}/files/nope")
                for portion in copy.json().get("portions", [])[:3]:
                    service.get(who, f"/v1/items/{one}/files/{portion['id']}")
        for line in service.list_all("jpn", limit=100):
            copy = service.get("jpn", f"/v1/items/{line['id']}").json()
            files = [portion["id"] for portion in copy["portions"] if portion["kind"] == "file"]
            if files:
                service.get("jpn", f"/v1/items/{line['id']}/files/{files[0]}")
                break
        service.get("jpn", f"/v1/items/{parts}", headers={"purpose": "EXERCISE-KEEN"})
        service.get("officer", "/v1/officer/partners/JPN/view", params={"path": f"/v1/items/{parts}"})
        service.get("officer", "/v1/officer/partners/IND/view", params={"path": "/v1/items?limit=3"})
        service.clock.advance(minutes=1)

    ask_all()
    service.post("officer", "/v1/officer/partners/JPN/suspend", {"reason": "an exercise"})
    ask_all()
    service.post("officer", "/v1/officer/partners/JPN/resume", {"reason": "it is over"})
    service.clock.advance(days=1)  # an embargo ends
    ask_all()
    service.post("officer", f"/v1/officer/items/{parts}/versions", {**ITEM, "portions": ITEM["portions"][:2]})
    service.post("officer", f"/v1/officer/items/{parts}/labels", {"marking": "(S//NF)", "portion": None, "reason": "an error"})
    service.post("officer", f"/v1/officer/items/{compiled}/withdraw", {"reason": "an error"})
    ask_all()
    files = dict(read_directory(POLICIES))
    files["prohibitions.csv"] += b"p, PRO-0099, deny, *, IND, *, UNCLASSIFIED, *, *, *, , , A test\n"
    files["cases.csv"] = files["cases.csv"].split(b"\n")[0] + b"\n"
    service.installation.publishing.publish(files, MACHINE)
    ask_all()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The demo after a day in which all kinds of things were asked and done."""
    settings: dict[str, Any] = {}
    if request.param == "postgresql":
        settings["database"] = new_postgresql_database(request.getfixturevalue("postgresql_url"))
    folder = tmp_path_factory.mktemp("replay") / "data"
    set_up(folder, **settings)
    with service_in(folder, clock=Clock(), **settings) as service:
        _story(service)
        yield service


def _replay(service: Service, runs: list[Run] | None = None) -> tuple[Tally, list[dict[str, Any]]]:
    with service.installation.database.reading() as connection:
        if runs is None:
            runs = chosen_range(connection, None, None, None) + chosen_range(connection, "officers", None, None)
        replay = Replay(connection, service.installation.world)
        return replay.tally, [finding.to_json() for finding in replay.run(runs)]


def test_every_decision_of_every_log_comes_out_equal(told: Service) -> None:
    tally, findings = _replay(told)
    assert findings == []
    assert tally.replayed == tally.equal == tally.same_engine > 300
    assert tally.other == told.size("officers") - 10, "five times two views"
    kinds = {
        (entry["face"]["type"], entry["record"]["outcome"], entry["face"]["result"], bool(entry["record"]["items"]))
        for entry in [*told.entries(), *told.entries(log="officers", type="look.view")]
    }
    # Nothing was replayed without all of these in it: each is an outcome that is compared in a way of its own.
    assert kinds >= {
        ("list", "release", "sent", True), ("list", "release", "sent", False), ("item", "release", "sent", True),
        ("item", "in_part", "sent", True), ("item", "withhold", "refused", True), ("item", "withhold", "refused", False),
        ("file", "release", "sent", True), ("file", "withhold", "refused", True), ("file", "withhold", "refused", False),
        ("look.view", "in_part", "sent", True), ("look.view", "release", "sent", True),
    }  # fmt: skip


class _Changed:
    """A bundle that decides otherwise where it is told to, and is the same in all else."""

    def __init__(self, bundle: Bundle, refuse: str) -> None:
        self._bundle, self._refuse = bundle, refuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bundle, name)

    def snapshot(self, *given: Any, **more: Any) -> Any:
        return _ChangedSnapshot(self._bundle.snapshot(*given, **more), self._refuse)


class _ChangedSnapshot:
    def __init__(self, snapshot: Snapshot, refuse: str) -> None:
        self._snapshot, self._refuse = snapshot, refuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._snapshot, name)

    def decide(self, partner: str, action: str, label: Any, purpose: str = "none") -> Decision:
        found = self._snapshot.decide(partner, action, label, purpose)
        match self._refuse:
            case "drops a rule" if len(found.rules) > 1:
                return Decision(found.outcome, found.rules[1:], found.matched, found.denied)
            case "refuses a level" if label.level == "UNCLASSIFIED":
                return self._snapshot.decide("nobody", action, label, purpose)
            case "releases to all" if partner == "IND":
                return self._snapshot.decide("JPN", action, label, purpose)
        return found


@pytest.mark.parametrize(
    ("broken", "whats"),
    [
        ("drops a rule", {"rules"}),
        ("refuses a level", {"outcome", "portions", "rules"}),
        ("releases to all", {"outcome", "portions", "rules"}),
    ],
)
def test_an_engine_that_decides_otherwise_is_found_out(told: Service, broken: str, whats: set[str]) -> None:
    def read(files: Mapping[str, bytes]) -> Any:
        return _Changed(read_bundle(files), broken)

    settings = {"database": told.installation.settings.database} if told.installation.settings.database else {}
    with service_in(told.installation.settings.data, clock=told.clock, read=read, **settings) as other:
        tally, findings = _replay(other)
    assert tally.equal < tally.replayed
    # Labels too, where a compilation is now asked about, or no longer; files, where some that was asked for bears that level.
    assert {finding["what"] for finding in findings} - {"labels", "file"} == whats
    entry = told.get("auditor", f"/v1/audit/releases/{findings[0]['event_id']}").json()
    assert (entry["log"], entry["index"]) == (findings[0]["log"], findings[0]["index"])
    assert findings[0]["expected"] != findings[0]["found"]


def _last(service: Service, **filters: str) -> dict[str, Any]:
    return next(entry for entry in service.entries(**filters) if entry["record"]["items"])


def _of(service: Service, event: str) -> list[tuple[str, str]]:
    with service.installation.database.reading() as connection:
        row = logs.entry(connection, event)
    assert row is not None
    _, findings = _replay(service, [Run(row.log, row.position, row.position + 1)])
    return [(finding["what"], finding["item"]) for finding in findings]


def _sql(service: Service, statement: str, **values: Any) -> None:
    with service.installation.database.acting() as connection:
        connection.execute(text(statement), values)


def test_what_is_changed_behind_a_decision_is_found_by_name(told: Service) -> None:
    """Each in the database, in place, and put back."""
    in_part = _last(told, type="item", partner="JPN", until="2026-11-22T10:01:00Z")
    event, item = in_part["face"]["event_id"], in_part["record"]["items"][0]
    portion = item["portions"][0]
    assert _of(told, event) == []
    # Another label on a portion, as of then.
    with told.installation.database.reading() as connection:
        was = connection.execute(
            text("SELECT from_at, label_id FROM portion_label WHERE portion_id = :id ORDER BY from_at"), {"id": portion}
        ).first()
    assert was is not None
    change = "UPDATE portion_label SET label_id = :label WHERE portion_id = :id AND from_at = :from_at"
    other = 1 if was.label_id != 1 else 2
    _sql(told, change, label=other, id=portion, from_at=was.from_at)
    assert _of(told, event)[0] == ("labels", item["id"])
    _sql(told, change, label=was.label_id, id=portion, from_at=was.from_at)
    # No such version.
    renumber = "UPDATE version SET number = :to WHERE item_id = :id AND number = :number"
    _sql(told, renumber, to=999, id=item["id"], number=item["version"])
    assert _of(told, event) == [("version", item["id"])]
    _sql(told, renumber, to=item["version"], id=item["id"], number=999)
    # Another history of policy: a publication that was not.
    _sql(told, "UPDATE publication SET digest = :to WHERE act = (SELECT MIN(act) FROM publication)", to="f" * 64)
    assert ("bundle", None) in _of(told, event)
    _sql(told, "UPDATE publication SET digest = :to WHERE act = (SELECT MIN(act) FROM publication)", to=in_part["record"]["bundle"])
    # A refusal that says there was nothing, though there was.
    refused = next(
        entry for entry in told.entries(type="item", partner="JPN") if entry["face"]["result"] == "refused" and not entry["record"]["items"]
    )
    asked = refused["face"]["items"][0]["id"]
    _sql(told, "INSERT INTO item (id, ref, version, created_at) VALUES (:id, 'made up', 0, 1)", id=asked)
    assert _of(told, refused["face"]["event_id"]) == [("item", asked)]
    _sql(told, "DELETE FROM item WHERE id = :id", id=asked)
    # A timeline that ended, stretched over a refusal: it could have been released.
    cut = next(
        entry
        for entry in told.entries(type="item", partner="JPN")
        if entry["face"]["result"] == "refused" and entry["record"]["items"] and entry["record"]["items"][0]["ref"] == "replay/compiled"
        and not entry["record"]["items"][0]["labels"]
    )  # fmt: skip
    with told.installation.database.reading() as connection:
        ended = connection.execute(
            text("SELECT MAX(until) FROM portion_label l JOIN portion p ON p.id = l.portion_id WHERE p.item_id = :id"),
            {"id": cut["record"]["items"][0]["id"]},
        ).scalar_one()
    stretch = "UPDATE portion_label SET until = :to WHERE until = :was AND portion_id IN (SELECT id FROM portion WHERE item_id = :id)"
    _sql(told, stretch, to=FOREVER, was=ended, id=cut["record"]["items"][0]["id"])
    assert _of(told, cut["face"]["event_id"]) == [("labels", cut["record"]["items"][0]["id"])]
    _sql(told, stretch, to=ended, was=FOREVER, id=cut["record"]["items"][0]["id"])
    assert _replay(told)[1] == []


def test_under_another_engine_it_says_so_and_decides_all_the_same(told: Service) -> None:
    entry = _last(told, type="item", partner="JPN")
    record = {**entry["record"], "engine": "0" * 64}
    with told.installation.database.reading() as connection:
        row = logs.entry(connection, entry["face"]["event_id"])
    assert row is not None
    change = "UPDATE log_entry SET record = :record WHERE event_id = :event"
    _sql(told, change, record=json.dumps(record).encode(), event=row.event_id)
    tally, findings = _replay(told, [Run(row.log, row.position, row.position + 1)])
    assert (tally.same_engine, tally.other_engine, tally.equal, findings) == (0, 1, 1, [])
    _sql(told, change, record=row.record, event=row.event_id)


def test_a_sample_is_drawn_by_its_seed_without_repetition() -> None:
    runs = [Run("A", 0, 700), Run("B", 10, 1310)]
    drawn = sampled(runs, 300, "a seed")
    assert drawn == sampled(runs, 300, "a seed") != sampled(runs, 300, "another")
    places = [(run.log, run.start) for run in drawn]
    assert len(set(places)) == 300 and places == sorted(places)
    assert all(run.stop == run.start + 1 for run in drawn)
    assert all((run.log == "A" and run.start < 700) or (run.log == "B" and 10 <= run.start < 1310) for run in drawn)
    assert sampled(runs, 5000, "a seed") == runs
    assert {sampled([Run("A", 0, 3)], 1, str(seed))[0].start for seed in range(40)} == {0, 1, 2}


# --- over HTTP ------------------------------------------------------------------------------------------------------


def test_an_auditor_has_decisions_taken_again_and_is_on_record_for_it(told: Service) -> None:
    entries = told.entries(partner="JPN")[:3]
    events = [entry["face"]["event_id"] for entry in entries]
    for asked, count in (({"events": events}, 3), ({"log": "JPN", "from": 2, "to": 7}, 5), ({"sample": 20, "seed": "s-1"}, 20)):
        answer = told.post("auditor", "/v1/audit/replay", asked)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["replayed"], body["equal"], body["findings"]) == (count, count, [])
        assert body["engine"] == {"same": count, "other": 0}
        look = told.entry(answer)
        assert (look["log"], look["face"]["type"], look["face"]["client"]) == ("officers", "look.replay", told.client("auditor").id)
        assert ("events" in asked) == ("events" in look["record"]["details"])
    assert body["seed"] == look["record"]["details"]["seed"] == "s-1"
    drawn = told.post("auditor", "/v1/audit/replay", {"sample": 1})
    assert len(drawn.json()["seed"]) == 32
    assert told.entry(drawn)["record"]["details"]["seed"] == drawn.json()["seed"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422), ({"events": []}, 422), ({"events": ["nope"]}, 409), ({"log": "nope"}, 409), ({"log": "JPN", "from": 5, "to": 2}, 422),
        ({"events": ["x"], "log": "JPN"}, 422), ({"seed": "x", "log": "JPN"}, 422), ({"from": 1}, 422), ({"sample": 0}, 422),
        ({"sample": 1, "seed": "a b"}, 422), ({"sample": 1001}, 422), ({"start": 1, "log": "JPN"}, 422), ({"nope": 1}, 422),
    ],
)  # fmt: skip
def test_a_question_that_is_none_is_refused_and_not_on_record(told: Service, body: dict[str, Any], status: int) -> None:
    before = told.size("officers")
    assert told.post("auditor", "/v1/audit/replay", body).status_code == status
    assert told.size("officers") == before


def test_an_act_is_no_decision(told: Service) -> None:
    (act,) = told.entries(log="officers", type="partner.suspend")
    answer = told.post("auditor", "/v1/audit/replay", {"events": [act["face"]["event_id"]]})
    assert (answer.status_code, answer.json()["code"]) == (409, "no-decision")


def test_what_if_says_what_another_policy_would_have_decided_and_does_nothing(told: Service) -> None:
    publications = told.installation.publishing.history().publications
    first, second = publications[0].digest, publications[-1].digest
    sizes = {log: told.size(log) for log in ("JPN", "IND", "GBR")}
    answer = told.post("auditor", "/v1/audit/what-if", {"bundle": second, "last": 1000})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    by_partner = {line["partner"]: line for line in body["partners"]}
    assert set(by_partner) == {"JPN", "IND", "GBR"}
    # The second prohibits everything to IND by one rule, and changes nothing for others.
    for partner in ("JPN", "GBR"):
        assert [by_partner[partner][change] for change in ("no_longer", "less", "more", "newly")] == [0, 0, 0, 0]
    lost = by_partner["IND"]
    assert lost["rules"] == {"no_longer": {"PRO-0099": lost["no_longer"]}}
    assert lost["no_longer"] == len(body["differences"]) > 20
    for one in body["differences"]:
        assert (one["change"], one["rules_after"], one["log"]) == ("no_longer", ["PRO-0099"], "IND")
        assert one["rules_before"]
    # What was refused to IND under the second would be released under the first; what was released would not change.
    back = told.post("auditor", "/v1/audit/what-if", {"bundle": first[:12], "last": 1000}).json()
    assert {one["change"] for one in back["differences"]} == {"newly"}
    assert {one["rules_before"][0] for one in back["differences"]} == {"PRO-0099"}
    assert all(one["rules_after"] for one in back["differences"])
    assert {log: told.size(log) for log in sizes} == sizes
    look = told.entry(answer)
    assert (look["face"]["type"], look["record"]["details"]) == ("look.what-if", {"bundle": second, "last": 1000, "at": None})
    assert told.installation.publishing.history().publications == publications


def test_what_if_takes_rows_as_at_another_time(told: Service) -> None:
    files = dict(read_directory(POLICIES))
    files["prohibitions.csv"] += b"p, PRO-0098, deny, *, GBR, *, UNCLASSIFIED, *, *, *, 2027-06-01, , A test\n"
    uploaded = told.post("officer", "/v1/officer/policies", {"files": {name: body.decode() for name, body in files.items()}}).json()
    asked = {"bundle": uploaded["digest"], "last": 300}
    assert not [one for one in told.post("auditor", "/v1/audit/what-if", asked).json()["differences"] if one["log"] == "GBR"]
    later = told.post("auditor", "/v1/audit/what-if", {**asked, "at": "2027-06-02"}).json()
    lost = [one for one in later["differences"] if one["log"] == "GBR"]
    assert lost and all("PRO-0098" in one["rules_after"] for one in lost)
    assert told.post("auditor", "/v1/audit/what-if", {**asked, "at": "soon"}).status_code == 422
    assert told.post("auditor", "/v1/audit/what-if", {"bundle": "f" * 64, "last": 1}).status_code == 409


def test_all_of_this_left_the_logs_whole(told: Service) -> None:
    assert verify_all(told.installation).problem is None
