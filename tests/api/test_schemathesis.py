"""Requests made up from the OpenAPI document, for every operation and every kind of caller: no answer that the document does not name.

Schemathesis makes the requests and judges the answers, by a document whose answers are closed: a member it does not name
is a failure too. Requests go to a real installation with the demo, in this process; what it holds (ids, events, digests,
cursors) is offered to the generator, so that it comes past the first 404.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import EncodedPath
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.app import build_routes, openapi
from service.errors import Conflict
from service.identity.clients import Role
from service.sharing import erasure, holds, pruning, relabelling
from service.sharing.acts import Actor
from service.sharing.publishing import Pending
from service.store import holds as stored_holds
from service.store.times import micros, moment_of
from tests.support.api import FILES, MACHINE, Service, copied, item, routes, service_in
from tests.support.old_logs import fill
from tests.support.two_officers import FIRST, second_officer

CALLERS = ("jpn", "officer", "auditor", None)
DOCUMENT: dict[str, Any] = openapi(build_routes())
OPERATIONS = [(method.upper(), path) for path, one in DOCUMENT["paths"].items() for method in one]
NAMES = [f"{method} {path}" for method, path in OPERATIONS]
ROLES = {(method, path.replace("{path:path}", "{path}")): access.role for method, path, access in routes()}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 20
EXAMPLES_OF_ACTS = 14
EXAMPLES_OF_PUBLISHING = 6
EXAMPLES_ELSEWHERE = 3


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with every shape holding exactly the members it names."""
    result = copy.deepcopy(document)
    for shape in result["components"]["schemas"].values():
        if shape.get("type") == "object":
            shape.setdefault("additionalProperties", False)
    return result


def examples(method: str, path: str) -> int:
    """How many requests to make of an operation that is for the caller: fewer where each rewrites what is on offer, or proves something."""
    if path.endswith(("/publish", "/approve", "/difference", "/policies/calendar")):
        return EXAMPLES_OF_PUBLISHING
    return EXAMPLES if method in ("GET", "HEAD") else EXAMPLES_OF_ACTS


@schemathesis.serializer("application/x-ndjson")
def lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Any bytes are an import: the report says what is wrong with them."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


SCHEMA = schemathesis.openapi.from_dict(closed(DOCUMENT))


@pytest.fixture(scope="module")
def fuzzed(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = copied(demo_folder, tmp_path_factory.mktemp("fuzzed") / "data")
    with service_in(folder, rate_burst=10_000_000, retention_days=1000) as opened:
        fill(opened.installation, "SGP", [OLD] * 257)
        assert opened.installation.rootlog.append() is not None
        yield opened


@pytest.fixture(scope="module")
def known(fuzzed: Service) -> dict[str, list[Any]]:
    """Values that mean something to this installation, by the parameter they are for."""
    first = fuzzed.get("jpn", "/v1/items", params={"limit": 2})
    page, event = first.json(), first.headers["release-event"]
    ids = [one["id"] for one in fuzzed.list_all("jpn")]
    held = [one["id"] for one in fuzzed.get("officer", "/v1/officer/quarantine").json()["quarantine"][:2]]
    copies = [fuzzed.get("jpn", f"/v1/items/{one}").json() for one in ids]
    files = [{"id": one["id"], "portion": part["id"]} for one in copies for part in one["portions"] if part["kind"] == "file"]
    uploaded = fuzzed.post("officer", "/v1/officer/policies", {"files": {name: text.decode() for name, text in FILES.items()}})
    own = fuzzed.get("jpn", "/v1/releases", params={"limit": 1}).json()
    audit = fuzzed.get("auditor", "/v1/audit/releases", params={"limit": 1}).json()
    client, secret = fuzzed.installation.registry.add("with-a-secret", Role.PARTNER, partner="AUS")
    BODIES["/oauth2/token"] = [{"grant_type": "client_credentials", "client_id": client.id, "client_secret": secret}]
    BODIES["/v1/audit/what-if"] = [{"bundle": uploaded.json()["digest"], "last": 3}]
    return {
        "id": ids[:3] + held,
        "portion": [one["portion"] for one in files],
        "file": files,
        "sha256": [hashlib.sha256(b"").hexdigest()],
        "event_id": [event],
        "cursor": [page["next"], own["next"], audit["next"]],
        "since": [page["bookmark"], "2026-11-22T09:00:00Z"],
        "until": ["2026-11-22T11:00:00Z"],
        "outcome": ["release", "withhold"],
        "rule": ["AGR-0001"],
        "review": ["reviewed"],
        "level": ["SECRET", "UNCLASSIFIED"],
        "category": ["MARITIME", "DIPLOMATIC"],
        "code": ["IND", "SGP"],
        "partner": ["JPN"],
        "log": ["JPN", "officers"],
        "index": ["0"],
        "size": [1, 2],
        "format": ["bundle", "compact", "csv", "html"],
        "proposal": ["1"],
        "hold": ["1"],
        "digest": [uploaded.json()["digest"]],
        "type": ["list", "item.import"],
        "item": ids[:1],
        "client": [fuzzed.client("jpn").id],
        "Purpose": ["none", "EXERCISE-KEEN"],
        "path": ["0/000.p/1", "entries/000.p/1", "0/000"],
        "view": ["/v1/items", f"/v1/items/{ids[0]}", "/v1/me", "/v1/items?nope=1"],
    }


OLD = micros(datetime(2020, 1, 1, tzinfo=UTC))
LABEL = {"level": "SECRET", "categories": ["MARITIME"], "releasable_to": ["JPN"], "caveats": [], "originators": ["USA"]}
BODIES: dict[str, list[Any]] = {
    "/v1/officer/items": [item("made/one"), item("made/two", "SECRET//REL TO USA, JPN"), {"ref": "made/three", "portions": []}],
    "/v1/officer/items/{id}/versions": [{name: value for name, value in item("x").items() if name != "ref"}],
    "/v1/officer/items/{id}/labels": [{"marking": "(S//NOFORN)", "portion": None, "reason": "an error"}],
    "/v1/officer/events": [{"event": "the end of the exercise", "reason": "an order"}],
    "/v1/officer/items/{id}/withdraw": [{"reason": "an error"}],
    "/v1/officer/partners/{code}/suspend": [{"reason": "an incident"}],
    "/v1/audit/queries": [{"name": "denials", "query": {"outcome": ["withhold"], "partner": "JPN"}}, {"name": "x", "query": {"limit": 3}}],
    "/v1/audit/prunes": [{"before": "2021-01-01", "log": "SGP", "reason": "the retention policy"}],
    "/v1/audit/holds": [{"partner": "JPN", "item": "i", "since": "2026-11-22", "reason": "an inquiry"}],
    "/v1/officer/partners/{code}/resume": [{"reason": "it is over"}],
    "/v1/officer/decide": [
        {
            "requests": [
                {
                    "partner": "JPN",
                    "action": "release",
                    "purpose": "none",
                    "label": {
                        "level": "SECRET",
                        "categories": ["MARITIME"],
                        "releasable_to": ["JPN"],
                        "caveats": [],
                        "originators": ["USA"],
                    },
                },
                {"partner": "XXX"},
            ]
        }
    ],
    "/v1/audit/replay": [{"sample": 3, "seed": "a-seed"}, {"log": "JPN", "from": 0, "to": 1}, {"events": ["nope"]}],
    "/v1/officer/policies": [
        {"files": {name: text.decode() for name, text in FILES.items()}},
        {"files": {"agreements.csv": "p, broken\n"}},
    ],
}


_NUMBERS = itertools.count(9000)


def _waiting(service: Service) -> Pending:
    """A publication that waits for an officer; nothing that is stored bears on it."""
    number = next(_NUMBERS)
    partner = ("AUS", "CAN", "NZL", "KOR", "PHL", "SGP")[number % 6]  # one who has not just been given it
    row = f"p, AGR-{number}, allow, release, {partner}, *, TOP SECRET, PEACEKEEPING, none, *, , , Made up\n"
    header = FILES["cases.csv"].split(b"\n")[0] + b"\n"
    files = {**FILES, "agreements.csv": FILES["agreements.csv"] + row.encode(), "cases.csv": header}
    done = service.installation.publishing.publish(files, MACHINE)
    assert isinstance(done, Pending)
    return done


def _stored_to_wait(service: Service, words: str) -> str:
    """An item of which a portion waits for an event; its id."""
    value = item(f"waits/{next(_NUMBERS)}")
    value["portions"][1] |= {"marking": "(S//REL TO USA, JPN)", "declassify_on": {"event": words}}
    value["marking"] = "SECRET//REL TO USA, JPN"
    answer = service.post("officer", "/v1/officer/items", value)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _label_waiting(service: Service, path: str) -> relabelling.Pending:
    """An act on labels that waits for an officer: an event, or another label, as the path wants."""
    words = f"event {next(_NUMBERS)}"
    held = _stored_to_wait(service, words)
    asked = relabelling.Event(words, "r") if "/events/" in path else relabelling.Relabel(held, "r", "(U)")
    done = relabelling.relabel(service.installation, asked, second_officer(service.installation, FIRST))
    assert isinstance(done, relabelling.Pending)
    return done


def _with_a_reason(service: Service) -> str:
    """The event of an entry that commits to a text."""
    officer = second_officer(service.installation, FIRST)
    service.installation.publishing.suspend("SGP", officer, reason="an incident")
    return service.installation.publishing.resume("SGP", officer, reason="it is over").event_id


def _erasure_waiting(service: Service) -> erasure.Pending:
    """An erasure that waits for another auditor than its proposer."""
    try:
        client = service.installation.registry.named("another-auditor")
    except Conflict:
        client, _ = service.installation.registry.add("another-auditor", Role.AUDITOR, issuer="https://idp.test", subject="another")
    return erasure.propose(service.installation, Actor(client.id, "cli"), _with_a_reason(service), reason="r")


def _prune_waiting(service: Service) -> pruning.Pending:
    """A prune that waits for another auditor: of a log that is filled anew, and never opened by anybody."""
    with service.installation.database.reading() as connection:
        on = stored_holds.in_force(connection)
    for hold in on:  # one made up without conditions would keep everything
        holds.release(service.installation.acts, MACHINE, hold.id, reason="r")
    log = f"X{next(_NUMBERS)}"
    fill(service.installation, log, [OLD] * 257)
    return pruning.propose(service.installation, MACHINE, before=moment_of(OLD + 1), log=log, reason="r")


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=NAMES)
def test_answers_as_the_document_says_to_those_who_mean_it(fuzzed: Service, known: dict[str, list[Any]], method: str, path: str) -> None:
    """Requests that somebody would send: all that is in them is known, and nothing that may be left out is there."""
    who = {Role.PARTNER: "jpn", Role.OFFICER: "officer", Role.AUDITOR: "auditor", Role.OPERATOR: "operator", None: None}[
        ROLES[method, path]
    ]
    operation = SCHEMA[path][method]
    chosen = random.Random(path)
    seen = set()
    for _ in range(4):
        # A tile's path keeps its slashes.
        parameters: dict[str, Any] = {name: chosen.choice(known[name]) for name in re.findall(r"{(\w+)}", path)}
        if "path" in parameters:
            parameters["path"] = EncodedPath(parameters["path"])
        if path.endswith("/files/{portion}"):
            parameters |= chosen.choice(known["file"])
        more: dict[str, Any] = {}
        if path == "/v1/officer/files/{sha256}":
            more = {"body": chosen.randbytes(100), "media_type": "application/octet-stream"}
            parameters["sha256"] = hashlib.sha256(more["body"]).hexdigest()
        elif method == "POST" and path in BODIES:
            media_type = next(iter(operation.definition.raw["requestBody"]["content"]))
            more = {"body": chosen.choice(BODIES[path]), "media_type": media_type}
        if "{digest}" in path and path.endswith(("/approve", "/withdraw")):
            waiting = _waiting(fuzzed)
            body = {"timeline": waiting.proposal.timeline} if path.endswith("/approve") else {"reason": "not now"}
            parameters["digest"], more = waiting.digest, {"body": body, "media_type": "application/json"}
        if "/erasures/{proposal}" in path:
            erased = _erasure_waiting(fuzzed)
            body = {"timeline": erased.proposal.timeline} if path.endswith("/approve") else {"reason": "not now"}
            parameters["proposal"], more = str(erased.proposal.id), {"body": body, "media_type": "application/json"}
        elif path.startswith("/v1/audit/prunes/"):
            to_prune = _prune_waiting(fuzzed)
            body = {"timeline": to_prune.proposal.timeline} if path.endswith("/approve") else {"reason": "not now"}
            parameters, more = {"proposal": str(to_prune.proposal.id)}, {"body": body, "media_type": "application/json"}
        elif "{proposal}" in path:
            pending = _label_waiting(fuzzed, path)
            body = {"timeline": pending.planned.digest} if path.endswith("/approve") else {"reason": "not now"}
            parameters |= {"id": pending.planned.moved[0].item_id, "proposal": str(pending.proposal.id)}
            parameters = {name: value for name, value in parameters.items() if f"{{{name}}}" in path}
            more = {"body": body, "media_type": "application/json"}
        if path == "/v1/officer/events":
            _stored_to_wait(fuzzed, "the end of the exercise")
        if path.endswith("/{id}/obstacles"):
            parameters["id"] = _stored_to_wait(fuzzed, "an event for obstacles")
        if path == "/v1/audit/erasures" and method == "POST":
            more = {"body": {"event_id": _with_a_reason(fuzzed), "reason": "a person asked"}, "media_type": "application/json"}
        if path == "/v1/audit/holds/{hold}/release":
            held = fuzzed.post("auditor", "/v1/audit/holds", {"partner": "JPN", "reason": "an inquiry"}).json()["hold"]
            parameters, more = {"hold": str(held)}, {"body": {"reason": "it is over"}, "media_type": "application/json"}
        if path == "/v1/audit/reviews" and method == "POST":
            more = {"body": {"event_id": known["event_id"][0], "mark": "escalated"}, "media_type": "application/json"}
        wanted = [one["name"] for one in operation.definition.raw.get("parameters", []) if one["in"] == "query" and one.get("required")]
        if wanted:
            more["query"] = {name: known[name][-1] for name in wanted if name in known}
        if path.endswith("/view"):
            more["query"] = {"path": chosen.choice(known["view"])}
        case = operation.Case(path_parameters=parameters, **more)
        seen.add(_asked(fuzzed, case, who))
    assert seen & {200, 201, 202}, f"never got past a refusal: {sorted(seen)}"


@pytest.mark.parametrize("who", CALLERS, ids=lambda who: who or "nobody")
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=NAMES)
def test_answers_only_what_the_document_names(
    fuzzed: Service, known: dict[str, list[Any]], method: str, path: str, who: str | None
) -> None:
    role = ROLES[method, path]
    at_home = role is None or role == (None if who is None else fuzzed.client(who).role)

    @hypothesis.seed(20261122)
    @hypothesis.settings(
        max_examples=examples(method, path) if at_home else EXAMPLES_ELSEWHERE,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=SCHEMA[path][method].as_strategy(), data=st.data())
    def run(case: schemathesis.Case[Any], data: st.DataObject) -> None:
        for container in (case.path_parameters, case.query, case.headers):
            for name in list(container or ()):
                if name in known and data.draw(st.booleans()):
                    container[name] = data.draw(st.sampled_from(known[name]))
        if method == "POST" and path in BODIES and data.draw(st.integers(0, 3)) == 0:
            case.body = data.draw(st.sampled_from(BODIES[path]))
        status = _asked(fuzzed, case, who)
        if not at_home:
            assert status == (401 if who is None else 403)

    run()


def _asked(fuzzed: Service, case: schemathesis.Case[Any], who: str | None) -> int:
    """Ask, and judge the answer; its status."""
    sent = case.as_transport_kwargs(base_url="http://entente.test")
    headers = {name: value for name, value in sent.pop("headers").items() if name.lower() != "authorization"}
    if who is not None:
        headers["Authorization"] = f"Bearer {fuzzed.token(who)}"
    request = _request(sent, headers)
    answer = fuzzed.run(lambda http: http.send(http.build_request(**request)))
    case.validate_response(answer, checks=CHECKS)
    assert answer.status_code != 503, answer.text
    return answer.status_code


def _request(sent: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """What schemathesis would give to `requests`, as httpx takes it: prepared, so that the bytes are those it meant."""
    allowed = {key: sent[key] for key in ("method", "url", "params", "data", "json", "files", "cookies") if sent.get(key) is not None}
    prepared = requests.Request(**allowed, headers=headers).prepare()
    return {
        "method": prepared.method,
        "url": prepared.url,
        "headers": dict(prepared.headers),
        "content": prepared.body,
    }
