"""The OpenAPI document: kept beside the code, generated from it, and whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.api.access import Access
from service.app import build_routes, openapi
from tests.support.api import ROOT, routes

KEPT = ROOT / "openapi" / "openapi.json"
DOCUMENT: dict[str, Any] = openapi(build_routes())
OPERATIONS = [(method.upper(), path, operation) for path, one in DOCUMENT["paths"].items() for method, operation in one.items()]
NAMES = [f"{method} {path}" for method, path, _ in OPERATIONS]


def test_is_what_the_routes_say() -> None:
    generated = json.dumps(DOCUMENT, indent=2, sort_keys=True) + "\n"
    kept = KEPT.read_text(encoding="utf-8") if KEPT.exists() else ""
    assert kept == generated, "openapi/openapi.json differs from the code; `make openapi` rewrites it: look at the difference"


def test_holds_every_route_and_no_other() -> None:
    described = {(method, path) for method, path, _ in OPERATIONS}
    assert described == {(method, path.replace("{path:path}", "{path}")) for method, path, _ in routes()}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_every_operation_says_what_it_is_and_what_it_answers(method: str, path: str, operation: dict[str, Any]) -> None:
    access = next(access for one, route, access in routes() if (one, route.replace("{path:path}", "{path}")) == (method, path))
    assert operation["summary"]
    assert operation["operationId"]
    assert operation["tags"] == [access.role or "everyone"]
    if path == "/oauth2/token":
        assert operation["security"] == [{"client": []}, {}]
    else:
        assert operation["security"] == ([] if access is Access.EVERYONE else [{"bearer": []}])
    answers = operation["responses"]
    assert {status for status in answers if status.startswith("2")}, "no good answer"
    if access is not Access.EVERYONE:
        assert {"401", "403", "422", "429", "503"} <= set(answers)
    assert ("413" in answers) == ("requestBody" in operation)
    for status, answer in answers.items():
        assert answer["description"]
        content = answer.get("content", {})
        if method == "HEAD":
            assert content == {}
            continue
        assert len(content) == 1, f"{status}: {sorted(content)}"
        ((media_type, body),) = content.items()
        assert body["schema"], f"{status} {media_type} has no shape"
        if status >= "4" and path != "/health/ready":
            assert media_type == "application/problem+json"
    for parameter in operation.get("parameters", []):
        assert parameter["schema"].get("type") or parameter["schema"].get("anyOf"), parameter


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [one for one in OPERATIONS if ("RECORDED" in {a.name for m, p, a in routes() if (m, p) == one[:2]})],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_recorded_answer_names_its_entry(method: str, path: str, operation: dict[str, Any]) -> None:
    for status in {"200", "404"} & set(operation["responses"]):
        assert operation["responses"][status]["headers"]["Release-Event"]["required"] is True
    for status in set(operation["responses"]) - {"200", "404"}:
        assert "Release-Event" not in operation["responses"][status].get("headers", {})


def test_every_reference_leads_somewhere_and_every_shape_is_used() -> None:
    text = json.dumps(DOCUMENT)
    named = set(DOCUMENT["components"]["schemas"])
    used = {name for name in named if f'"#/components/schemas/{name}"' in text}
    assert text.count('"$ref"') == sum(text.count(f'"$ref": "#/components/schemas/{name}"') for name in named)
    assert named - used == set()


def test_requests_are_closed_and_answers_are_never_null_where_they_are_absent() -> None:
    requests = {
        "Approval",
        "AtEvent",
        "Because",
        "DecideRequest",
        "Downgrade",
        "ErasureIn",
        "EventCame",
        "Exempt",
        "FileIn",
        "FileVariantIn",
        "HoldIn",
        "ItemIn",
        "JsonIn",
        "JsonVariantIn",
        "PartIn",
        "PruneIn",
        "Relabel",
        "ReplayAsked",
        "ReviewIn",
        "SavedQueryIn",
        "TextIn",
        "TextVariantIn",
        "TitleIn",
        "Upload",
        "VersionIn",
        "WhatIfAsked",
    }
    for name, shape in DOCUMENT["components"]["schemas"].items():
        assert (shape.get("additionalProperties") is False) == (name in requests), name
        if name not in requests:
            for member, one in shape["properties"].items():
                nullable = {"type": "null"} in one.get("anyOf", [])
                assert not nullable or member in shape["required"], f"{name}.{member}"
