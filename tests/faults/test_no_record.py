"""No record, no release (promise 2): a log that cannot be written answers nobody, and changes nothing.

Every recorded route is found from the route table, every officer's route likewise. The faults are real ones: writes that fail,
a database that cannot grow, a lock that another process holds, a process killed before each statement of the commit.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from service.api.access import Access, rule_of
from service.app import build_routes
from service.errors import Busy
from service.identity.clients import Role
from service.settings import Settings
from service.sharing import erasure, holds, pruning, relabelling
from service.sharing.acts import Actor
from service.sharing.installation import Installation, open_installation
from service.sharing.publishing import Pending
from service.sharing.verification import verify_all
from service.store import logs
from service.store.times import micros
from tests.support.faults import (
    FAULTS,
    MACHINE_HERE,
    ROOT,
    UNAVAILABLE,
    Answer,
    Small,
    ask,
    bundle_files,
    entries,
    face,
    log_size,
    on_record,
    recorded_routes,
    small,
    state_digest,
)
from tests.support.faults_server import Server
from tests.support.old_logs import fill
from tests.support.two_officers import FIRST, second_officer

_TRIES = 40
"""Until a database that cannot grow is full to the last page."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    made = small(tmp_path_factory.mktemp("no-record"), busy_timeout_seconds=0.05)
    made.installation.gate.start()
    yield made
    made.installation.close()


def _no_body(answer: Answer) -> None:
    assert (answer.status, answer.body, answer.event) == (503, UNAVAILABLE, None)
    assert answer.headers["retry-after"] == "1"


def test_there_are_recorded_routes() -> None:
    assert {("GET", "/v1/items"), ("HEAD", "/v1/items")} < set(recorded_routes())
    assert len(recorded_routes()) >= 6


@pytest.mark.parametrize("visible", [True, False], ids=["sent", "refused"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("method", "template"), recorded_routes())
def test_a_log_that_cannot_be_written_lets_no_body_out(world: Small, method: str, template: str, fault: str, visible: bool) -> None:
    installation = world.installation
    app = world.app
    path = world.path(template, visible=visible)
    headers = world.headers("jpn")

    async def run() -> tuple[list[Answer], list[Answer], Answer]:
        # Once before, so that what is asked under the fault is in every cache: the fault alone must hold it back.
        await ask(app, method, path, headers)
        before: list[Answer] = []
        with FAULTS[fault](installation):
            while len(before) < _TRIES:
                first = await ask(app, method, path, headers)
                if first.status == 503:
                    break
                before.append(first)
            size = log_size(installation, "JPN")
            refused = [first] + [await ask(app, method, path, headers) for _ in range(3)]
            assert log_size(installation, "JPN") == size
        # Once the fault is gone: by itself, at the first request.
        return before, refused, await ask(app, method, path, headers)

    before, refused, after = asyncio.run(run())
    assert not before or fault == "disk full"
    for answer in refused:
        _no_body(answer)
    for answer in [*before, after]:
        assert answer.complete
        assert answer.status == (200 if visible or template == "/v1/items" else 404)
        on_record(installation, answer, head=method == "HEAD")


@pytest.mark.parametrize("fault", ["disk error", "locked"])
def test_many_who_wait_together_are_all_refused_and_none_is_lost(world: Small, fault: str) -> None:
    installation = world.installation
    app = world.app
    headers = world.headers("jpn")

    async def run() -> tuple[list[Answer], list[Answer]]:
        size = log_size(installation, "JPN")
        with FAULTS[fault](installation):
            refused = await asyncio.gather(*(ask(app, "GET", "/v1/items", headers) for _ in range(30)))
        assert log_size(installation, "JPN") == size
        return refused, await asyncio.gather(*(ask(app, "GET", "/v1/items", headers) for _ in range(30)))

    refused, answered = asyncio.run(run())
    for answer in refused:
        _no_body(answer)
    assert len({answer.event for answer in answered}) == 30
    for answer in answered:
        on_record(installation, answer)


def test_a_running_server_whose_disk_fails_sends_no_body_and_recovers_by_itself(tmp_path: Path) -> None:
    """Over a socket; its own error log cannot be written either."""
    (tmp_path / "data").mkdir()
    made = small(tmp_path / "data")
    asked = [(method, made.path(template, visible=visible)) for method, template in recorded_routes() for visible in (True, False)]
    try:
        with Server(tmp_path / "data") as server, httpx.Client(base_url=server.url, headers=made.headers("jpn"), timeout=30) as client:
            before = [client.request(method, path).status_code for method, path in asked]
            size = log_size(made.installation, "JPN")
            assert server.process is not None
            soft, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, hard))
            for method, path in asked:
                refused = client.request(method, path)
                assert refused.status_code == 503
                assert "release-event" not in refused.headers
                assert refused.content == (UNAVAILABLE if method == "GET" else b"")
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
            assert log_size(made.installation, "JPN") == size
            assert [client.request(method, path).status_code for method, path in asked] == before
        assert log_size(made.installation, "JPN") == size + len(asked)
        assert verify_all(made.installation).ok
    finally:
        made.installation.close()


# --- officers and auditors ------------------------------------------------------------------------------------------------


def _because() -> bytes:
    return b'{"reason":"a test of faults"}'


def _item(ref: str) -> bytes:
    return json.dumps(
        {
            "ref": ref,
            "marking": "UNCLASSIFIED",
            "categories": ["DIPLOMATIC"],
            "portions": [{"kind": "title", "marking": "(U)", "text": "A"}],
        }
    ).encode()


_STRETCH = "since=2026-11-22T00:00:00Z&until=2026-11-23T00:00:00Z"
_FILE = b"a file that comes while nothing can be written" * 3000


@dataclass(frozen=True, slots=True)
class OwnSide(Small):
    """With two publications that wait for another officer, by digest, four acts on labels, by number, and three entries with a reason to
    erase, of which two are proposed. Nothing that is stored bears on the publications."""

    waiting: tuple[str, ...] = ()
    labels: tuple[relabelling.Pending, ...] = ()
    """Of two items to be withdrawn and approved, and of two events likewise."""
    erasures: tuple[erasure.Pending, ...] = ()
    erasable: str = ""
    prunes: tuple[pruning.Pending, ...] = ()
    """To be withdrawn and approved."""


def _proposed(made: Small, category: str) -> str:
    files = bundle_files()
    files["agreements.csv"] += f"p, AGR-0099, allow, release, AUS, *, SECRET, {category}, none, *, , , A test of faults\n".encode()
    done = made.installation.publishing.publish(files, MACHINE_HERE)
    assert isinstance(done, Pending)
    return done.digest


def _labels_proposed(made: Small) -> Iterator[relabelling.Pending]:
    """Another label for two items, and two events; a third event has not been told of yet."""
    first = second_officer(made.installation, FIRST)
    events = ["the first", "the second", "the third"]
    for words in events:
        made.add(
            {
                "ref": f"waits for {words}",
                "marking": "CONFIDENTIAL//NOFORN",
                "categories": ["DIPLOMATIC"],
                "portions": [{"kind": "text", "marking": "(C//NF)", "text": "x", "declassify_on": {"event": words}}],
            }
        )
    held = []
    for number in range(2):
        portions = [{"kind": "title", "marking": "(U//NF)", "text": "A"}]
        held.append(made.add({"ref": f"held {number}", "marking": "UNCLASSIFIED//NOFORN", "categories": ["CYBER"], "portions": portions}))
    asked: list[relabelling.Wanted] = [relabelling.Relabel(item, "a test of faults", "(U)") for item in held]
    asked += [relabelling.Event(words, "a test of faults") for words in events[:2]]
    for one in asked:
        done = relabelling.relabel(made.installation, one, first)
        assert isinstance(done, relabelling.Pending)
        yield done


def _to_erase(made: Small, number: int) -> str:
    """The event of an act that has a reason."""
    act = made.installation.publishing.suspend if number % 2 else made.installation.publishing.resume
    return act("GBR", MACHINE_HERE, reason="a test of faults").event_id


def _erasures_proposed(made: Small) -> Iterator[erasure.Pending]:
    """By an auditor who is not the one that asks."""
    client, _ = made.installation.registry.add("first-auditor", Role.AUDITOR, issuer="https://idp.test", subject="first-auditor")
    for number in range(2):
        yield erasure.propose(made.installation, Actor(client.id, "cli"), _to_erase(made, number), reason="a test of faults")


def own_side_requests(world: OwnSide) -> dict[tuple[str, str], tuple[str, str, bytes]]:
    """(who, path, body) for every own-side route that acts or looks, by (method, template)."""
    items = world.items
    # Every file anew: bundles are named by digest, and one in the archive already would change nothing anyway.
    files = bundle_files()
    files["partners.csv"] += b"# " + hashlib.sha256(items["sea"].encode()).hexdigest().encode() + b"\n"
    upload = json.dumps({"files": {name: content.decode() for name, content in files.items()}}).encode()
    history = world.installation.publishing.history()
    digest = history.publications[0].digest
    timeline = next(one.timeline for one in history.proposals if one.subject == world.waiting[1])
    approval = json.dumps({"timeline": timeline}).encode()
    event = entries(world.installation, "officers")[0].event_id
    refused, agreed, no_event, an_event = world.labels
    withdrawn, erased = world.erasures

    def item_of(pending: relabelling.Pending) -> str:
        return pending.planned.moved[0].item_id

    def seen(pending: relabelling.Pending) -> bytes:
        return json.dumps({"timeline": pending.planned.digest}).encode()

    officer = {
        ("POST", "/v1/officer/items"): ("/v1/officer/items", _item("while broken")),
        ("POST", "/v1/officer/items/import"): ("/v1/officer/items/import", _item("imported 1") + b"\n" + _item("imported 2") + b"\n"),
        ("POST", "/v1/officer/items/{id}/versions"): (f"/v1/officer/items/{items['open']}/versions", _item("open")),
        ("POST", "/v1/officer/items/{id}/labels"): (
            f"/v1/officer/items/{items['open']}/labels",
            b'{"marking":"(C//REL TO USA, JPN)","reason":"a test of faults"}',
        ),
        ("POST", "/v1/officer/items/{id}/withdraw"): (f"/v1/officer/items/{items['sea']}/withdraw", _because()),
        ("GET", "/v1/officer/items/{id}/audience"): (f"/v1/officer/items/{items['open']}/audience", b""),
        ("GET", "/v1/officer/items/{id}/labels"): (f"/v1/officer/items/{items['open']}/labels", b""),
        ("GET", "/v1/officer/items/{id}/labels/history"): (f"/v1/officer/items/{items['open']}/labels/history", b""),
        ("GET", "/v1/officer/items/{id}/obstacles"): (f"/v1/officer/items/{items['sea']}/obstacles?partner=AUS", b""),
        ("GET", "/v1/officer/obstacles"): ("/v1/officer/obstacles", b""),
        ("GET", "/v1/officer/unshared"): ("/v1/officer/unshared", b""),
        ("GET", "/v1/officer/items/proposals"): ("/v1/officer/items/proposals", b""),
        ("POST", "/v1/officer/items/{id}/labels/{proposal}/withdraw"): (
            f"/v1/officer/items/{item_of(refused)}/labels/{refused.proposal.id}/withdraw",
            _because(),
        ),
        ("POST", "/v1/officer/items/{id}/labels/{proposal}/approve"): (
            f"/v1/officer/items/{item_of(agreed)}/labels/{agreed.proposal.id}/approve",
            seen(agreed),
        ),
        ("POST", "/v1/officer/events/{proposal}/withdraw"): (f"/v1/officer/events/{no_event.proposal.id}/withdraw", _because()),
        ("POST", "/v1/officer/events/{proposal}/approve"): (f"/v1/officer/events/{an_event.proposal.id}/approve", seen(an_event)),
        ("GET", "/v1/officer/items/calendar"): ("/v1/officer/items/calendar", b""),
        ("GET", "/v1/officer/quarantine"): ("/v1/officer/quarantine", b""),
        ("PUT", "/v1/officer/files/{sha256}"): (f"/v1/officer/files/{hashlib.sha256(_FILE).hexdigest()}", _FILE),
        ("GET", "/v1/officer/partners/{code}/view"): (f"/v1/officer/partners/JPN/view?path=/v1/items/{items['open']}", b""),
        ("POST", "/v1/officer/partners/{code}/suspend"): ("/v1/officer/partners/JPN/suspend", _because()),
        ("POST", "/v1/officer/partners/{code}/resume"): ("/v1/officer/partners/GBR/resume", _because()),
        ("POST", "/v1/officer/policies"): ("/v1/officer/policies", upload),
        ("POST", "/v1/officer/policies/{digest}/withdraw"): (f"/v1/officer/policies/{world.waiting[0]}/withdraw", _because()),
        ("POST", "/v1/officer/policies/{digest}/approve"): (f"/v1/officer/policies/{world.waiting[1]}/approve", approval),
        ("POST", "/v1/officer/policies/{digest}/publish"): (f"/v1/officer/policies/{digest}/publish", b""),
        ("GET", "/v1/officer/policies/{digest}/difference"): (f"/v1/officer/policies/{digest}/difference", b""),
        ("GET", "/v1/officer/policies/calendar"): ("/v1/officer/policies/calendar", b""),
        # After the publications, which make void what waits.
        ("POST", "/v1/officer/events"): ("/v1/officer/events", b'{"event":"the third","reason":"a test of faults"}'),
    }
    auditor = {
        ("GET", "/v1/audit/releases"): ("/v1/audit/releases?partner=JPN", b""),
        ("GET", "/v1/audit/releases/{event_id}"): (f"/v1/audit/releases/{event}", b""),
        ("GET", "/v1/audit/entries/{log}/{index}"): ("/v1/audit/entries/officers/0", b""),
        ("GET", "/v1/audit/export"): ("/v1/audit/export?partner=JPN", b""),
        ("GET", "/v1/audit/items/{id}/recipients"): (f"/v1/audit/items/{items['open']}/recipients", b""),
        ("GET", "/v1/audit/clients/{client}/activity"): (f"/v1/audit/clients/c/activity?{_STRETCH}", b""),
        ("GET", "/v1/audit/firsts"): ("/v1/audit/firsts?partner=JPN", b""),
        ("GET", "/v1/audit/signals"): (f"/v1/audit/signals?{_STRETCH}", b""),
        ("GET", "/v1/audit/reviews"): ("/v1/audit/reviews", b""),
        ("POST", "/v1/audit/reviews"): (
            "/v1/audit/reviews",
            json.dumps({"event_id": event, "mark": "questioned", "note": "a test of faults"}).encode(),
        ),
        ("GET", "/v1/audit/erasures"): ("/v1/audit/erasures", b""),
        ("POST", "/v1/audit/erasures"): ("/v1/audit/erasures", json.dumps({"event_id": world.erasable, "reason": "a test"}).encode()),
        ("POST", "/v1/audit/erasures/{proposal}/withdraw"): (f"/v1/audit/erasures/{withdrawn.proposal.id}/withdraw", _because()),
        ("POST", "/v1/audit/erasures/{proposal}/approve"): (
            f"/v1/audit/erasures/{erased.proposal.id}/approve",
            json.dumps({"timeline": erased.proposal.timeline}).encode(),
        ),
        ("GET", "/v1/audit/holds"): ("/v1/audit/holds?ended=true", b""),
        ("POST", "/v1/audit/holds"): ("/v1/audit/holds", b'{"partner":"JPN","reason":"a test of faults"}'),
        ("POST", "/v1/audit/holds/{hold}/release"): ("/v1/audit/holds/1/release", _because()),
        ("GET", "/v1/audit/prunes"): ("/v1/audit/prunes", b""),
        ("POST", "/v1/audit/prunes"): ("/v1/audit/prunes", b'{"before":"2021-01-01","log":"KOR","reason":"a test of faults"}'),
        ("POST", "/v1/audit/prunes/{proposal}/withdraw"): (f"/v1/audit/prunes/{world.prunes[0].proposal.id}/withdraw", _because()),
        ("POST", "/v1/audit/prunes/{proposal}/approve"): (
            f"/v1/audit/prunes/{world.prunes[1].proposal.id}/approve",
            json.dumps({"timeline": world.prunes[1].proposal.timeline}).encode(),
        ),
        ("GET", "/v1/audit/queries"): ("/v1/audit/queries", b""),
        ("POST", "/v1/audit/queries"): ("/v1/audit/queries", b'{"name":"a test of faults","query":{"partner":"JPN"}}'),
        ("GET", "/v1/log/root/heads/{index}"): ("/v1/log/root/heads/0", b""),
        ("POST", "/v1/audit/replay"): ("/v1/audit/replay", b'{"sample":2}'),
        ("POST", "/v1/audit/what-if"): ("/v1/audit/what-if", json.dumps({"bundle": digest, "last": 2}).encode()),
    }
    return {route: ("officer", *rest) for route, rest in officer.items()} | {route: ("auditor", *rest) for route, rest in auditor.items()}


NOT_ON_RECORD = {
    ("POST", "/v1/officer/decide"),  # decides what the asker himself wrote
    ("GET", "/v1/officer/policies"),
    ("GET", "/v1/log/{log}/checkpoint"),
    ("GET", "/v1/log/{log}/tile/{path}"),
}
"""Own-side routes that neither act nor look at an item or an entry."""


@pytest.fixture(scope="module")
def own_side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnSide]:
    made = small(tmp_path_factory.mktemp("own-side"), busy_timeout_seconds=0.05, retention_days=1000)
    made.installation.gate.start()
    made.installation.rootlog.append()
    suspended = made.installation.publishing.suspend("GBR", MACHINE_HERE, reason="so that it can be resumed").event_id
    waiting = tuple(_proposed(made, category) for category in ("PEACEKEEPING", "DIPLOMATIC"))
    labels = tuple(_labels_proposed(made))
    erasures = tuple(_erasures_proposed(made))
    held = holds.Conditions(log="GBR")
    assert holds.add(made.installation.acts, MACHINE_HERE, held, reason="so that it can be released").hold.id == 1
    prunes = tuple(_prunes_proposed(made))
    yield OwnSide(
        made.installation, made.clients, made.items, made.file, made.chart, waiting=waiting, labels=labels, erasures=erasures,
        erasable=suspended, prunes=prunes,
    )  # fmt: skip

    made.installation.close()


def _prunes_proposed(made: Small) -> Iterator[pruning.Pending]:
    """Two proposals to prune, and a log of which something can be proposed."""
    for log in ("SGP", "PHL", "KOR"):
        fill(made.installation, log, [micros(datetime(2020, 1, 1, tzinfo=UTC))] * 257)
        if log != "KOR":
            yield pruning.propose(made.installation, MACHINE_HERE, before=datetime(2021, 1, 1, tzinfo=UTC), log=log, reason="a test")


def _own_side_routes() -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for route in build_routes().routes:
        rule = rule_of(getattr(route, "endpoint", None))
        if isinstance(route, APIRoute) and rule is not None and rule.access in (Access.OFFICER, Access.AUDITOR):
            found |= {(method, route.path.replace(":path}", "}")) for method in route.methods}
    return found


def test_every_own_side_route_is_tried_under_faults_or_named_as_one_that_neither_acts_nor_looks(own_side: OwnSide) -> None:
    assert _own_side_routes() == set(own_side_requests(own_side)) | NOT_ON_RECORD


@pytest.mark.parametrize("size", [1, 5_000, 70_000, 200_000])
def test_a_file_that_the_disk_will_not_take_leaves_nothing_behind(own_side: OwnSide, size: int) -> None:
    """Small ones are only written when they are finished, large ones as they come."""
    content = b"x" * size
    path = f"/v1/officer/files/{hashlib.sha256(content).hexdigest()}"
    headers, app = own_side.headers("officer"), own_side.app
    files = own_side.installation.settings.data / "files"
    before = sorted(files.rglob("*"))

    async def run() -> Answer:
        with FAULTS["disk error"](own_side.installation):
            return await ask(app, "PUT", path, headers, content)

    _no_body(asyncio.run(run()))
    assert sorted(path for path in files.rglob("*") if path.is_file()) == [path for path in before if path.is_file()]
    assert asyncio.run(ask(app, "PUT", path, headers, content)).status == 201


@pytest.mark.parametrize("fault", ["disk error", "locked"])
@pytest.mark.parametrize("route", sorted(_own_side_routes() - NOT_ON_RECORD), ids=" ".join)
def test_an_act_or_look_whose_leaf_cannot_be_written_changes_and_shows_nothing(
    own_side: OwnSide, route: tuple[str, str], fault: str
) -> None:
    installation = own_side.installation
    app = own_side.app
    database = installation.settings.data / "entente.db"
    who, path, body = own_side_requests(own_side)[route]
    headers = own_side.headers(who)

    async def run() -> list[Answer]:
        before, labels = state_digest(database), dict(installation.world.labels)
        with FAULTS[fault](installation):
            answers = [await ask(app, route[0], path, headers, body) for _ in range(2)]
        assert state_digest(database) == before
        assert dict(installation.world.labels) == labels
        return answers

    refused = asyncio.run(run())
    if route[1].endswith("/view"):
        # A view says how a partner's request would have been answered: with nothing.
        for answer in refused:
            assert answer.status == 503 or json.loads(answer.body)["status"] == 503
            assert b"Joint" not in answer.body
    elif route[1].endswith("/import"):
        for answer in refused:
            assert answer.status == 503 or json.loads(answer.body.splitlines()[-1])["imported"] == 0
    else:
        for answer in refused:
            _no_body(answer)
    assert not list((installation.settings.data / "files").glob(".incoming-*")), "half a file was left behind"


def test_what_was_refused_can_be_done_once_the_fault_is_gone(own_side: OwnSide) -> None:
    installation = own_side.installation
    app = own_side.app
    asked = own_side_requests(own_side)
    last = ("POST", "/v1/officer/items/{id}/withdraw"), ("POST", "/v1/officer/partners/{code}/suspend")
    for route in [*(route for route in asked if route not in last), *last]:
        who, path, body = asked[route]
        size = log_size(installation, "officers")
        answer = asyncio.run(ask(app, route[0], path, own_side.headers(who), body))
        assert answer.status in (200, 201, 202), (route, answer)
        # An approval is a leaf, and the publication it allows another.
        assert log_size(installation, "officers") == size + (2 if route[1].endswith("/approve") else 1), route
    assert verify_all(installation).ok


def test_a_client_whose_leaf_cannot_be_written_is_not_registered(own_side: OwnSide) -> None:
    installation = own_side.installation
    before = state_digest(installation.settings.data / "entente.db")
    with FAULTS["locked"](installation), pytest.raises(Busy):
        installation.registry.add("late", Role.PARTNER, partner="AUS", purposes=["EXERCISE-KEEN"])
    assert state_digest(installation.settings.data / "entente.db") == before


# --- killed between the steps of a commit ----------------------------------------------------------------------------------

KILLED = ["GET list", "GET item", "HEAD item", "GET file", "GET absent", "relabel"]


@dataclass(frozen=True, slots=True)
class Killed:
    """For each request, what was seen of each try; and the installation as the next start finds it."""

    tries: Mapping[str, list[dict[str, Any]]]
    installation: Installation


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    folder = tmp_path_factory.mktemp("killed")
    made = small(folder)
    item, sea, hidden, chart = (f"/v1/items/{made.items[ref]}" for ref in ("open", "sea", "hidden", "chart"))
    requests = {
        "GET list": ("GET", "/v1/items", "jpn", ""),
        "GET item": ("GET", sea, "jpn", ""),
        "HEAD item": ("HEAD", item, "jpn", ""),
        "GET file": ("GET", f"{chart}/files/{made.file}", "jpn", ""),
        "GET absent": ("GET", hidden, "jpn", ""),
        "relabel": ("POST", f"/v1/officer{sea[3:]}/labels", "officer", '{"marking":"(S//NF)","reason":"a test of faults"}'),
    }
    commands = [
        json.dumps({"method": method, "path": path, "headers": made.headers(who), "body": body})
        for method, path, who, body in (requests[which] for which in KILLED)
    ]
    made.installation.close()  # nothing of it may be open while others are killed over the same database
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.faults_dying", str(folder)],
        input="\n".join(commands), capture_output=True, text=True, cwd=ROOT, timeout=300, check=True,
    )  # fmt: skip
    tries: dict[str, list[dict[str, Any]]] = {}
    which = iter(KILLED)
    for line in run.stdout.splitlines():
        tried = json.loads(line)
        if tried["step"] == 0:
            tries[next(which)] = []
        tries[list(tries)[-1]].append(tried)
    installation = open_installation(Settings(data=folder))
    yield Killed(tries, installation)
    installation.close()


@pytest.mark.parametrize("which", KILLED)
def test_a_process_killed_before_any_statement_of_a_commit_lets_nothing_out(killed: Killed, which: str) -> None:
    """It is killed before its first, second, third ... statement in the transaction, before the commit, and after it."""
    *died, lived = killed.tries[which]
    assert lived["died"] is False
    assert len(died) >= 6, "the fence, the head, the entry, the head again, the commit, the answer"
    *before_commit, after_commit = died
    for tried in before_commit:
        assert tried["at"] in ("statement", "commit")
        assert (tried["messages"], tried["sent"]) == (0, ""), "something left before the commit"
        assert tried["after"] == died[0]["before"], "a transaction that did not end left something behind"
    assert before_commit[-1]["at"] == "commit"
    # After the commit, before the first byte: on record, but nothing left. That is the side to err on.
    assert (after_commit["at"], after_commit["messages"]) == ("answer", 0)
    assert after_commit["after"] != died[0]["before"]
    if which != "relabel":
        with killed.installation.database.reading() as connection:
            row = logs.entry(connection, lived["event"])
        assert row is not None
        if which != "HEAD item":
            assert face(row)["body_sha256"] == hashlib.sha256(base64.b64decode(lived["sent"])).hexdigest()


def test_after_all_these_deaths_the_logs_hold_what_was_committed_and_nothing_else(killed: Killed) -> None:
    report = verify_all(killed.installation)
    assert report.ok, report
    # Of each request two tries were committed: the one killed after the commit, and the one that lived.
    assert log_size(killed.installation, "JPN") == 2 * (len(KILLED) - 1)
    assert [face(row)["type"] for row in entries(killed.installation, "officers")][-2:] == ["item.relabel", "item.relabel"]
