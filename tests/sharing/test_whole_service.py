"""The service over PostgreSQL with two workers: to every partner the same as over SQLite."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from service.app import build_routes, openapi
from service.policy import read_directory
from service.releaselog.leaf import parse_leaf
from service.releaselog.receipt import verify_receipt
from service.sharing.asks import Asker, ItemAsk
from service.sharing.verification import verify_all
from service.store import catalogue, logs
from tests.conftest import new_postgresql_database
from tests.support.api import MACHINE, POLICIES, Clock, Service, service_in, set_up
from tests.support.two_officers import roll_back_as_two

PARTNERS = ("jpn", "ind", "gbr")


@dataclass(frozen=True)
class Workers:
    """Two workers of one installation: engines, caches and queues of their own, one database, one folder."""

    one: Service
    other: Service

    def verify(self) -> None:
        report = verify_all(self.one.installation)
        assert report.problem is None, report.problem


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def workers(request: pytest.FixtureRequest, kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """The demo, set up over the database of this kind."""
    settings: dict[str, Any] = {}
    if kind == "postgresql":
        settings["database"] = new_postgresql_database(request.getfixturevalue("postgresql_url"))
    folder = tmp_path_factory.mktemp("service") / "data"
    set_up(folder, **settings)
    clock = Clock()
    with ExitStack() as stack:
        yield Workers(*(stack.enter_context(service_in(folder, clock=clock, **settings)) for _ in range(2)))


def _copies(workers: Workers) -> dict[str, dict[str, Any]]:
    """What each partner is shown, by the officer's ref, with ids left out; each list and item asked of another worker."""
    found: dict[str, dict[str, Any]] = {}
    for who in PARTNERS:
        lines = workers.one.list_all(who, limit=17)
        assert [(line["visible_since"], line["id"]) for line in lines] == sorted((line["visible_since"], line["id"]) for line in lines)
        own = found[who] = {}
        for line in lines:
            answer = workers.other.get(who, f"/v1/items/{line['id']}")
            copy = answer.json()
            with workers.one.installation.database.reading() as connection:
                item = catalogue.item_by_id(connection, line["id"])
            assert item is not None
            for portion in copy["portions"]:
                if portion["kind"] == "file":
                    sent = workers.one.get(who, f"/v1/items/{line['id']}/files/{portion['id']}")
                    assert len(sent.content) == portion["bytes"]
                del portion["id"]
            own[item.ref] = copy | {"id": None}
    return found


_SHOWN: dict[str, dict[str, dict[str, Any]]] = {}


def test_every_partner_is_shown_the_same_over_either_database(workers: Workers, kind: str) -> None:
    _SHOWN[kind] = _copies(workers)
    assert all(_SHOWN[kind].values())
    if len(_SHOWN) == 2:
        assert _SHOWN["sqlite"] == _SHOWN["postgresql"]


def test_filters_and_bookmarks_go_from_one_worker_to_the_other(workers: Workers) -> None:
    all_of_them = workers.one.list_all("jpn")
    by_level = [
        line["id"]
        for level in ("UNCLASSIFIED", "CONFIDENTIAL", "SECRET", "TOP SECRET")
        for line in workers.other.list_all("jpn", level=level)
    ]
    assert sorted(by_level) == sorted(line["id"] for line in all_of_them)
    maritime = {line["id"] for line in workers.other.list_all("jpn", category=["MARITIME", "AIR"])}
    assert maritime == {line["id"] for line in all_of_them if {"MARITIME", "AIR"} & set(line["categories"])}
    page = workers.one.get("jpn", "/v1/items", params={"limit": 5}).json()
    rest = workers.other.get("jpn", "/v1/items", params={"limit": 100, "cursor": page["next"]}).json()
    assert [line["id"] for line in page["items"] + rest["items"]] == [line["id"] for line in all_of_them[:105]]
    assert workers.one.get("jpn", "/v1/items", params={"since": rest["bookmark"]}).json()["items"] == []


def test_every_answer_has_a_receipt_from_the_other_worker_that_verifies(workers: Workers) -> None:
    line = workers.one.list_all("jpn")[0]
    for path in ("/v1/items", f"/v1/items/{line['id']}", "/v1/items/absent"):
        answer = workers.one.get("jpn", path)
        receipt = workers.other.get("jpn", f"/v1/releases/{answer.headers['release-event']}/receipt").json()
        face = parse_leaf(receipt["leaf"].encode())
        origin = workers.other.get("jpn", "/v1/me").json()["log"]["origin"]
        verify_receipt(receipt["leaf"].encode(), receipt["proof"], receipt["key"], origin=origin)
        assert face.event_id == answer.headers["release-event"]
        assert workers.other.get("ind", f"/v1/releases/{face.event_id}/receipt").status_code == 404


def test_what_one_worker_does_the_other_knows_at_its_next_answer(workers: Workers) -> None:
    line = workers.one.list_all("jpn")[0]
    path = f"/v1/items/{line['id']}"
    assert workers.other.get("jpn", path).status_code == 200
    for _ in range(2):
        assert workers.one.post("officer", "/v1/officer/partners/JPN/suspend", {"reason": "a test"}).status_code < 300
        assert workers.other.get("jpn", path).status_code == 404
        assert workers.other.get("jpn", "/v1/items").json()["items"] == []
        assert workers.other.post("officer", "/v1/officer/partners/JPN/resume", {"reason": "a test"}).status_code < 300
        assert workers.one.get("jpn", path).status_code == 200


def test_publishing_and_rolling_back_reach_the_other_worker(workers: Workers) -> None:
    files = dict(read_directory(POLICIES))
    before = [line["id"] for line in workers.other.list_all("ind")]
    first = workers.one.installation.publishing.history().publications[-1].digest
    files["prohibitions.csv"] += b"p, PRO-0099, deny, *, IND, *, UNCLASSIFIED, *, *, *, , , A test\n"
    files["cases.csv"] = files["cases.csv"].split(b"\n")[0] + b"\n"
    workers.one.installation.publishing.publish(files, MACHINE)
    assert workers.other.list_all("ind") == []
    roll_back_as_two(workers.other.installation, first, MACHINE)
    assert sorted(line["id"] for line in workers.one.list_all("ind")) == sorted(before)


def test_two_workers_that_write_at_once_leave_one_log_without_gaps_in_the_order_of_time(workers: Workers) -> None:
    def ask(worker: Service) -> None:
        for _ in range(15):
            for who in ("gbr", "jpn"):
                gate, client = worker.installation.gate, worker.client(who)
                gate.release_and_wait(_absent(worker, who, client.id))

    threads = [threading.Thread(target=ask, args=(worker,)) for worker in (workers.one, workers.other) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with workers.one.installation.database.reading() as connection:
        for log in ("GBR", "JPN"):
            head = logs.head(connection, log)
            assert head is not None
            rows = list(logs.entries(connection, head.id))
            assert [row.position for row in rows] == list(range(head.size))
            assert [row.at for row in rows] == sorted(row.at for row in rows)
    workers.verify()


def _absent(worker: Service, who: str, client: str) -> Any:
    partner = who.upper()
    return ItemAsk(Asker(partner, "none", client, partner), worker.installation.copies, "/v1/items/{id}", None, item=b"absent")


def test_a_whole_log_is_read_by_its_partner_and_by_the_auditor(workers: Workers) -> None:
    faces: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 100}
    while True:
        page = workers.other.get("jpn", "/v1/releases", params=query).json()
        faces += page["releases"]
        if "next" not in page:
            break
        query["cursor"] = page["next"]
    assert len(faces) == workers.one.size("JPN")
    opened = workers.one.entries(partner="JPN")
    assert [entry["face"] for entry in reversed(opened)] == faces
    tile = workers.one.get("jpn", "/v1/log/self/tile/0/000" + ("" if len(faces) >= 256 else f".p/{len(faces)}"))
    assert len(tile.content) == 32 * min(len(faces), 256)


def test_an_import_a_version_a_relabelling_and_a_withdrawal_over_http(workers: Workers) -> None:
    item = {
        "ref": f"both/{workers.one.size('officers')}", "marking": "SECRET//REL TO USA, JPN", "categories": ["MARITIME"],
        "portions": [{"kind": "text", "marking": "(S//REL TO USA, JPN)", "text": "漢字 \u2028 𝄞"}],
    }  # fmt: skip
    created = workers.one.post("officer", "/v1/officer/items", item)
    assert created.status_code == 201, created.text
    path = f"/v1/items/{created.json()['id']}"
    assert workers.other.get("jpn", path).json()["portions"][0]["text"] == "漢字 \u2028 𝄞"
    officer = f"/v1/officer{path[3:]}"
    item["portions"].append({"kind": "json", "marking": "(S//REL TO USA, JPN)", "value": {"a": [1.5, None]}})  # type: ignore[attr-defined]
    assert workers.other.post("officer", f"{officer}/versions", item).status_code == 201
    assert len(workers.one.get("jpn", path).json()["portions"]) == 2
    assert workers.one.post("officer", f"{officer}/labels", {"marking": "(S//NF)", "portion": None, "reason": "r"}).status_code < 300
    assert workers.other.get("jpn", path).status_code == 404
    audience = workers.other.get("officer", f"{officer}/audience").json()["partners"]
    (jpn,) = (line for line in audience if line["partner"] == "JPN")
    assert jpn["outcome"] in ("withhold", "refer")
    assert [one["version"] for one in jpn["received"]] == [1, 2]
    assert workers.other.post("officer", f"{officer}/withdraw", {"reason": "r"}).status_code < 300
    workers.verify()


def _probes() -> list[Any]:
    """Every path with a NUL for each parameter of its path, and every parameter of its query with one."""
    document = openapi(build_routes())
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method not in ("get", "post", "put"):
                continue
            parameters = operation.get("parameters", [])
            filled = path
            for one in (one for one in parameters if one["in"] == "path"):
                filled = filled.replace(f"{{{one['name']}}}", quote("a\x00", safe=""))
            found.append(pytest.param(method, filled, {}, id=f"{method} {path}"))
            for one in (one for one in parameters if one["in"] == "query"):
                found.append(pytest.param(method, filled, {one["name"]: "A\x00"}, id=f"{method} {path} {one['name']}"))
    return found


@pytest.mark.parametrize(("method", "path", "query"), _probes())
def test_a_nul_that_postgresql_cannot_hold_is_found_nowhere_and_breaks_nothing(
    workers: Workers, kind: str, method: str, path: str, query: dict[str, str]
) -> None:
    body = {"reason": "a\x00", "marking": "(U)", "portion": "\x00", "requests": [], "ref": "a\x00", "portions": [], "files": {"\x00": ""}}
    for who in ("jpn", "officer", "auditor"):
        content = None if method == "get" else json.dumps(body).encode()
        answer = workers.one.ask(who, method.upper(), path, params=query, content=content)
        assert answer.status_code < 500, answer.text
