"""What a route's answers and bodies look like in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from service.api.shapes import PolicyProblem, Problem

_TITLES: Final = {
    401: "No valid token: one body, whatever the reason",
    403: "A valid token of a role or purpose this route is not for: one body",
    404: "Absent, or withheld: one body, byte for byte",
    409: "Not as things stand",
    413: "More bytes than this route takes",
    422: "The request is malformed",
    429: "Too many requests; `Retry-After` says when to ask again",
    503: "Not now: nothing was released or done",
}
_EVENT: Final = {
    "Release-Event": {
        "description": "Id of this answer's entry in the release log",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
    }
}
_RETRY_AFTER: Final = {
    "Retry-After": {"description": "Seconds", "required": True, "schema": {"type": "integer", "minimum": 1}},
}
_PROBLEM_HEADERS: Final = {
    401: {"WWW-Authenticate": {"description": "`Bearer`", "required": True, "schema": {"type": "string", "const": "Bearer"}}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int, recorded: bool = False) -> Responses:
    """Problem answers of these statuses; of a recorded route the 404 carries its event too."""
    described: Responses = {}
    for status in statuses:
        described[status] = {"description": _TITLES[status], "content": {"application/problem+json": {"schema": _ref(Problem)}}}
        headers = _EVENT if recorded and status == 404 else _PROBLEM_HEADERS.get(status)
        if headers is not None:
            described[status]["headers"] = headers
    return described


def with_token(*statuses: int) -> Responses:
    """Problems of every route that wants a token, and these."""
    return problems(401, 403, 422, 429, 503, *statuses)


def policy_problem() -> Responses:
    """A bundle refused, with its findings."""
    return {422: {"description": "The bundle is refused", "content": {"application/problem+json": {"schema": _ref(PolicyProblem)}}}}


def second_officer() -> Responses:
    """A 403 that says why: an officer's own act cannot be approved by himself."""
    content = {"application/problem+json": {"schema": _ref(Problem)}}
    return {403: {"description": f"{_TITLES[403]}; or this officer may not approve it, and why", "content": content}}


def answer(model: type[BaseModel], description: str, *, status: int = 200, recorded: bool = False) -> Responses:
    """A JSON answer of this shape; `recorded` where it names its entry in a log, be it the partner's or `officers`."""
    found: dict[str, Any] = {"description": description, "content": {"application/json": {"schema": _ref(model)}}}
    if recorded:
        found["headers"] = _EVENT
    return {status: found}


def octets(description: str, *, media_type: str = "application/octet-stream", recorded: bool = False) -> Responses:
    """An answer of bytes."""
    found: dict[str, Any] = {"description": description, "content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}
    if recorded:
        found["headers"] = _EVENT
    return {200: found}


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads a JSON body of this shape after its sender was admitted."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _ref(model)}}}}


def takes_bytes(media_type: str, description: str) -> dict[str, Any]:
    """`openapi_extra` of a route that reads a stream."""
    schema = {"type": "string", "format": "binary"}
    return {"requestBody": {"required": True, "description": description, "content": {media_type: {"schema": schema}}}}


def takes_form(*fields: str, required: str) -> dict[str, Any]:
    """`openapi_extra` of a route that reads a form."""
    schema = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in fields},
        "required": [required],
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def path(*names: str) -> list[dict[str, Any]]:
    """Path parameters: opaque strings, any of which gets an answer."""
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def query(model: type[BaseModel]) -> list[dict[str, Any]]:
    """The query parameters that a model reads."""
    schema = model.model_json_schema()
    parameters = []
    for name, one in schema["properties"].items():
        described = {key: value for key, value in one.items() if key not in ("title", "description", "anyOf", "default")}
        # Absent is not null: what is optional in the model is left out of a query.
        shapes = [shape for shape in one.get("anyOf", []) if shape.get("type") != "null"]
        described |= shapes[0] if shapes else {}
        if one.get("default") is not None:
            described["default"] = one["default"]
        parameter: dict[str, Any] = {"name": name, "in": "query", "required": False, "schema": described}
        if "description" in one:
            parameter["description"] = one["description"]
        parameters.append(parameter)
    return parameters


RECORDED_HEADERS: Final[list[dict[str, Any]]] = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "A retry with the same key is told of the first event, if its answer is still the same",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{16,64}$"},
    },
    {
        "name": "Purpose",
        "in": "header",
        "required": False,
        "description": "For what: one of those set for the client; `none` if left out",
        "schema": {"type": "string"},
    },
]


def without_bodies(responses: Responses) -> Responses:
    """These answers as HEAD gets them."""
    return {status: {key: value for key, value in one.items() if key != "content"} for status, one in responses.items()}
