"""What goes wrong, as RFC 9457 problems: one body for each refusal, so that nothing can be read from its wording.

401, 403 and 404 are the same bytes whatever the reason. 422 says what is wrong with the request, and never quotes content.
503 says that we cannot answer. Reasons are for our own counters and log.
"""

from __future__ import annotations

import json
import logging
import traceback
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from service.errors import (
    BeyondRights,
    Broken,
    Conflict,
    Forbidden,
    NotVisible,
    Pruned,
    Refused,
    Rejected,
    SecondOfficer,
    TooMany,
    Unauthenticated,
)
from service.policy import PolicyRejected
from service.sharing.asks import NOT_FOUND_BODY, PROBLEM_JSON

log = logging.getLogger(__name__)

_NO_STORE: Final = {"cache-control": "no-store"}


def problem(status: int, *, headers: dict[str, str] | None = None, **members: Any) -> Response:
    """A problem of this status; `members` are said beside type, title and status."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, **members}
    return Response(json.dumps(body, separators=(",", ":"), ensure_ascii=False), status, {**_NO_STORE, **(headers or {})}, PROBLEM_JSON)


def install(app: FastAPI) -> None:
    """Answer every error of the tree, and whatever else comes out of a handler."""
    app.add_exception_handler(Unauthenticated, _unauthenticated)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(SecondOfficer, _second_officer)
    app.add_exception_handler(BeyondRights, _beyond_rights)
    app.add_exception_handler(Pruned, _pruned)
    app.add_exception_handler(NotVisible, _not_visible)
    app.add_exception_handler(TooMany, _too_many)
    app.add_exception_handler(Refused, _forbidden)
    app.add_exception_handler(PolicyRejected, _policy_rejected)
    app.add_exception_handler(Conflict, _conflict)
    app.add_exception_handler(Rejected, _rejected)
    app.add_exception_handler(Broken, _broken)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


async def _unauthenticated(_: Request, __: Exception) -> Response:
    return problem(401, headers={"www-authenticate": "Bearer"})


async def _forbidden(_: Request, __: Exception) -> Response:
    return problem(403)


async def _second_officer(_: Request, error: Exception) -> Response:
    # Comes out of routes of the own side alone, where two persons are needed: the reason is no secret to either.
    return problem(403, detail=_detail(error), code="second-officer")


async def _beyond_rights(_: Request, error: Exception) -> Response:
    # Likewise: an officer may look at the labels of every item, and is told which of them are not his to move.
    return problem(403, detail=_detail(error), code="beyond-rights")


async def _not_visible(_: Request, __: Exception) -> Response:
    return Response(NOT_FOUND_BODY, 404, _NO_STORE, PROBLEM_JSON)


async def _pruned(_: Request, error: Exception) -> Response:
    # Of logs alone, to whoever may read them: what was pruned is told to him anyway.
    return problem(404, detail=_detail(error), code="pruned")


async def _too_many(_: Request, error: Exception) -> Response:
    seconds = error.retry_after_seconds if isinstance(error, TooMany) else 1
    return problem(429, headers={"retry-after": str(seconds)})


async def _policy_rejected(_: Request, error: Exception) -> Response:
    findings = [finding.to_json() for finding in error.findings] if isinstance(error, PolicyRejected) else []
    return problem(422, detail=_detail(error), code="policy", findings=findings)


async def _conflict(_: Request, error: Exception) -> Response:
    return problem(409, detail=_detail(error), code=error.code if isinstance(error, Rejected) else "conflict")


async def _rejected(_: Request, error: Exception) -> Response:
    return problem(422, detail=_detail(error), code=error.code if isinstance(error, Rejected) else "rejected")


async def _invalid(_: Request, error: Exception) -> Response:
    # Names of parameters are the API's own; values are the caller's and are not sent back.
    place, reason = "request", "not valid"
    for first in error.errors()[:1] if isinstance(error, RequestValidationError) else ():
        place, reason = ".".join(str(part) for part in first["loc"]), str(first["msg"]).lower()
    return problem(422, detail=f"`{place[:100]}`: {reason}", code="parameter")


async def _broken(request: Request, error: Exception) -> Response:
    log.error("could not answer %s: %s", _route(request), error)
    return problem(503, headers={"retry-after": "1"})


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return Response(NOT_FOUND_BODY, 404, _NO_STORE, PROBLEM_JSON)
    if status == 405:
        return problem(status, headers={"allow": ", ".join(_allowed(request))})
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return problem(status, headers=headers)


def _allowed(request: Request) -> list[str]:
    """The methods of a path. Of a path with several routes, the framework names those of the first alone."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods
    return sorted(found)


async def _unforeseen(request: Request, error: Exception) -> Response:
    return unforeseen(error, _route(request))


def unforeseen(error: Exception, where: str) -> Response:
    """The very edge: what nobody foresaw is logged with its place in the code, never with its message, which may hold content."""
    frames = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(traceback.extract_tb(error.__traceback__)[-6:]))
    log.error("unforeseen %s at %s: %s", type(error).__name__, where, frames)
    return problem(503, headers={"retry-after": "1"})


def _route(request: Request) -> str:
    found = request.scope.get("route")
    return str(getattr(found, "path", "no route"))


def _detail(error: Exception) -> str:
    return str(error)[:1000].replace("\n", " ")
