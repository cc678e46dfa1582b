"""What is answered when the service cannot answer, and by both databases alike when what is asked could not be stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from service.api.access import Access
from service.identity.clients import Role
from tests.support.api import NOT_FOUND, Service, copied, item, routes, service_in, set_up

HOSTILE = ["%00", "a%00b", "%ED%A0%80", "%C3%28", "%F0%9F%92%A9", "'%3B--", "%25", "%5C", "%22", "%0A", "%7F", "%E2%80%AE"]
UNAVAILABLE = b'{"type":"about:blank","title":"Service Unavailable","status":503}'


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Policy, clients and one item, in either database."""
    folder = tmp_path_factory.mktemp(request.param)
    settings: dict[str, Any] = {}
    if request.param == "postgresql":
        server_url = request.getfixturevalue("postgresql_url")
        engine = create_engine(server_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE DATABASE entente_hostile TEMPLATE template0")
        engine.dispose()
        settings["database"] = server_url.replace("/postgres?", "/entente_hostile?")
    set_up(folder / "data", demo=False, **settings)
    with service_in(folder / "data", **settings) as service:
        service.import_items([item("one")])
        yield service


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_stands_in_a_path_or_a_query_is_answered_and_never_a_503(either: Service, hostile: str) -> None:
    for method, path, access in routes():
        who = {"partner": "jpn", "officer": "officer", "auditor": "auditor"}.get(str(access.role))
        if "{" in path:
            filled = path
            for name in ("id", "portion", "event_id", "sha256", "code", "digest", "log", "path:path"):
                filled = filled.replace(f"{{{name}}}", hostile)
            more: dict[str, Any] = {"json": {"reason": "x"}} if path.endswith(("withdraw", "suspend", "resume")) else {}
            if path.endswith("/labels"):
                more = {"json": {"marking": "(U)", "reason": "x"}}
            if path.endswith("/versions"):
                more = {"json": item("one")}
            if path.endswith("/view"):
                more = {"params": {"path": "/v1/items"}}
            answer = either.ask(who, method, filled, **more)
            assert answer.status_code in (404, 409, 422), (method, filled, answer.text)
            if access is Access.RECORDED:
                assert answer.status_code == 404
                assert method == "HEAD" or answer.content == NOT_FOUND
    for name in ("level", "category"):
        page = either.get("jpn", f"/v1/items?{name}={hostile}")
        assert (page.status_code, page.json()["items"]) == (200, []), name
    for name in ("cursor", "since"):
        assert either.get("jpn", f"/v1/items?{name}={hostile}").status_code == 422
    for name in ("partner", "item", "type", "client", "log"):
        found = either.get("auditor", f"/v1/audit/releases?{name}={hostile}")
        assert (found.status_code, found.json()) == (200, {"releases": []}), name
    view = either.get("officer", f"/v1/officer/partners/JPN/view?path=/v1/items%3Flevel={hostile.replace('%', '%25')}")
    assert view.status_code in (200, 422)


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "\u202e", "\U0001f4a9", "x" * 2000])
def test_whatever_stands_in_a_reason_or_a_portion_s_id_is_answered_and_never_a_503(either: Service, text: str) -> None:
    (known,) = [one["id"] for one in either.list_all("jpn")]
    asked: list[tuple[str, dict[str, Any]]] = [
        (f"/v1/officer/items/{known}/labels", {"marking": "(U)", "portion": text[:64], "reason": "x"}),
        (f"/v1/officer/items/{known}/labels", {"marking": "(U)", "portion": None, "reason": text}),
        ("/v1/officer/partners/IND/suspend", {"reason": text}),
        ("/v1/officer/partners/IND/resume", {"reason": text}),
    ]
    for path, body in asked:
        answer = either.ask("officer", "POST", path, content=json.dumps(body).encode())
        assert answer.status_code in (200, 409, 422), (path, answer.text)


def test_a_stored_text_is_given_back_as_it_came(either: Service) -> None:
    text = "tab\t line\nnul\x00 right\u202e left \U0001f4a9 \u2028 é é"
    made = item("strange")
    made["portions"][1]["text"] = text
    made["portions"].append({"kind": "json", "marking": "(U)", "value": {text: text}})
    stored = either.post("officer", "/v1/officer/items", made).json()
    first, second = either.get("jpn", f"/v1/items/{stored['id']}").json()["portions"]
    assert (first["text"], second["value"]) == (text, {text: text})
    either.post("officer", f"/v1/officer/items/{stored['id']}/withdraw", {"reason": "done"})


def test_where_nothing_was_published_nothing_is_ready(tmp_path: Path) -> None:
    with service_in(tmp_path / "data") as service:
        service.installation.registry.add("demo-officer", Role.OFFICER)
        service.installation.registry.add("demo-auditor", Role.AUDITOR)
        ready = service.get(None, "/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "unavailable"})
        assert service.get(None, "/health/live").status_code == 200
        view = service.get("officer", "/v1/officer/partners/JPN/view?path=/v1/items")
        assert (view.status_code, view.content) == (503, UNAVAILABLE)
        answer = service.post("officer", "/v1/officer/items", item("early"))
        assert (answer.status_code, answer.content) == (503, UNAVAILABLE)
        assert answer.headers["retry-after"] == "1"
        assert service.get("officer", "/v1/officer/policies").json() == {"publications": [], "proposals": []}


def test_when_the_log_does_not_take_it_there_is_no_body(demo_folder: Path, tmp_path: Path) -> None:
    """With the queue stopped, each recorded route is the one 503, without an entry."""
    with service_in(copied(demo_folder, tmp_path / "data")) as service:
        one = service.list_all("jpn")[0]["id"]
        size = service.size("JPN")
        service.installation.gate.stop()
        for method, path, access in routes():
            if access is Access.RECORDED:
                answer = service.ask("jpn", method, path.replace("{id}", one).replace("{portion}", "x"))
                assert answer.status_code == 503
                assert "release-event" not in answer.headers
                assert answer.headers["retry-after"] == "1"
                assert answer.content == (b"" if method == "HEAD" else UNAVAILABLE)
        service.installation.gate.start()
        assert service.size("JPN") == size
        assert service.get("jpn", f"/v1/items/{one}").status_code == 200
