"""Routes for everyone: a token for a secret, our public keys, our health."""

from __future__ import annotations

import asyncio
import base64
import binascii
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from service.api import describe
from service.api.access import Access, InstallationDependency, no_query, route
from service.api.shapes import Health, Jwks, TokenAnswer
from service.errors import Rejected, Unauthenticated
from service.identity.clients import Client
from service.sharing.standing import standing

router = APIRouter(default_response_class=Response)

_NO_STORE = {"cache-control": "no-store"}
_FIELDS = frozenset({"grant_type", "client_id", "client_secret", "scope"})
_FIELD_CHARACTERS_MAX = 256


def _secret_given(request: Request, client_id: str | None, client_secret: str | None) -> tuple[str, str]:
    """The client's id and secret, by Basic or by form, not both. RFC 6749 section 2.3.1."""
    header = request.headers.get("authorization")
    if header is None:
        if client_id is None or client_secret is None:
            raise Unauthenticated("secret")
        return client_id, client_secret
    scheme, _, encoded = header.partition(" ")
    if client_secret is not None or scheme.lower() != "basic":
        raise Unauthenticated("secret")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise Unauthenticated("secret") from None
    name, found, secret = decoded.partition(":")
    if not found or (client_id is not None and client_id != unquote_plus(name)):
        raise Unauthenticated("secret")
    return unquote_plus(name), unquote_plus(secret)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, each once. RFC 6749 section 4.4.2."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise Rejected("the body is a form, `application/x-www-form-urlencoded`", code="form")
    try:
        pairs = parse_qsl(
            (await request.body()).decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=8
        )
    except (ValueError, UnicodeDecodeError):
        raise Rejected("the body is not a form", code="form") from None
    form = dict(pairs)
    if len(form) != len(pairs) or any(len(value) > _FIELD_CHARACTERS_MAX for value in form.values()):
        raise Rejected("a field stands twice, or is too long", code="form")
    for name in form:
        if name not in _FIELDS:
            raise Rejected("unknown field in the form, expected `grant_type`, `client_id`, `client_secret` or `scope`", code="form")
    return form


@router.post(
    "/oauth2/token",
    summary="A token for a client's secret",
    openapi_extra=describe.takes_form("grant_type", "client_id", "client_secret", required="grant_type"),
    responses=describe.answer(TokenAnswer, "A token of at most ten minutes") | describe.problems(401, 413, 422, 429, 503),
    dependencies=[Depends(no_query)],
)
@route(Access.EVERYONE, body_bytes_max=16_384)
async def token(request: Request, installation: InstallationDependency) -> Response:
    form = await _form(request)
    if form.get("grant_type") != "client_credentials":
        raise Rejected("`grant_type` is `client_credentials`", code="unsupported_grant_type")
    name, secret = _secret_given(request, form.get("client_id"), form.get("client_secret"))

    def authenticated() -> Client:
        installation.directory.refresh()
        return installation.secrets.authenticate(name, secret, now=installation.clock())

    client = await asyncio.to_thread(authenticated)
    issued = installation.issuer.issue(client, installation.clock())
    answer = {"access_token": issued, "token_type": "Bearer", "expires_in": installation.issuer.lifetime_seconds}
    return JSONResponse(answer, headers=_NO_STORE)


@router.get(
    "/.well-known/jwks.json",
    summary="The keys that our tokens are signed with",
    responses=describe.answer(Jwks, "Public keys (RFC 7517)") | describe.problems(422),
    dependencies=[Depends(no_query)],
)
@route(Access.EVERYONE)
async def jwks(installation: InstallationDependency) -> Response:
    return JSONResponse(installation.keys.jwks(), headers={"cache-control": "max-age=300"})


@router.get(
    "/health/live",
    summary="Whether the process answers",
    responses=describe.answer(Health, "It does") | describe.problems(422),
    dependencies=[Depends(no_query)],
)
@route(Access.EVERYONE)
async def live() -> Response:
    return JSONResponse({"status": "live"}, headers=_NO_STORE)


@router.get(
    "/health/ready",
    summary="Whether it can release",
    responses=describe.answer(Health, "It can")
    | describe.answer(Health, "It cannot now; why, is the operator's affair", status=503)
    | describe.problems(422),
    dependencies=[Depends(no_query)],
)
@route(Access.EVERYONE)
async def ready(installation: InstallationDependency) -> Response:
    reasons = (await asyncio.to_thread(standing, installation)).reasons
    return JSONResponse({"status": "unavailable" if reasons else "ready"}, 503 if reasons else 200, headers=_NO_STORE)
