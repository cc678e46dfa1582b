"""Whose a route is, and the way in: token, role, rate, purpose, in this order, before anything of the request is read.

Every route states its access; `require_access` refuses to start an application in which one does not. What these checks answer
(401, 403, 422, 429) comes from the request and the client table alone, never from the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from service.errors import Broken, Rejected, Unauthenticated
from service.identity.authentication import authorize, bearer_token, purpose_of
from service.identity.clients import Caller, Role
from service.settings import REQUEST_BODY_BYTES_MAX
from service.sharing.asks import Asker
from service.sharing.installation import Installation
from service.sharing.intake import parse_json

_ATTRIBUTE: Final = "__entente_access__"
_Model = TypeVar("_Model", bound=BaseModel)


class Access(Enum):
    """Whose a route is, and whether what it answers is on record."""

    EVERYONE = "everyone"
    RECORDED = "recorded"
    """A partner's, and no byte leaves before its entry is durable."""
    PARTNER = "partner"
    """A partner's own affairs: nothing about items, so not recorded."""
    OFFICER = "officer"
    AUDITOR = "auditor"
    OPERATOR = "operator"

    @property
    def role(self) -> Role | None:
        """The one role it is for; roles do not include one another."""
        return _ROLES[self]


_ROLES: Final = {
    Access.EVERYONE: None,
    Access.RECORDED: Role.PARTNER,
    Access.PARTNER: Role.PARTNER,
    Access.OFFICER: Role.OFFICER,
    Access.AUDITOR: Role.AUDITOR,
    Access.OPERATOR: Role.OPERATOR,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A route's access, and the most bytes its request may have."""

    access: Access
    body_bytes_max: int
    admits: bool = False
    """The endpoint lets its callers in itself; else its router does."""


Endpoint = Callable[..., Any]


def route(access: Access, *, body_bytes_max: int = REQUEST_BODY_BYTES_MAX) -> Callable[[Endpoint], Endpoint]:
    """Say whose an endpoint is."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ATTRIBUTE, Rule(access, body_bytes_max))
        return endpoint

    return mark


def recorded(endpoint: Callable[[Request, Asker, Installation], Awaitable[Response]]) -> Endpoint:
    """A recorded endpoint: lets its caller in, and hands on who asks.

    It takes the request as it is. Resolving parameters by signature costs more than all the rest of a release.
    """

    async def admitted(request: Request) -> Response:
        await admit(request)
        return await endpoint(request, request.state.asker, request.app.state.installation)

    admitted.__doc__, admitted.__name__ = endpoint.__doc__, endpoint.__name__
    setattr(admitted, _ATTRIBUTE, Rule(Access.RECORDED, REQUEST_BODY_BYTES_MAX, admits=True))
    return admitted


class RecordedRoute(APIRoute):
    """A route whose endpoint takes the request as it is, without a detour over the resolution of parameters."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


def rule_of(endpoint: object) -> Rule | None:
    """What an endpoint said; None where it said nothing."""
    return getattr(endpoint, _ATTRIBUTE, None)


def require_access(app: FastAPI) -> None:
    """Refuse an application with a route that does not say whose it is.

    Raises:
        Broken: naming the route.
    """
    for found in app.routes:
        path = getattr(found, "path", str(found))
        rule = rule_of(getattr(found, "endpoint", None))
        if rule is None or not isinstance(found, APIRoute):
            raise Broken(f"route `{path}` does not state whose it is, expected `@route(Access...)` on its endpoint")
        role = rule.access.role
        guarded = rule.admits or any(dependency.call is admit for dependency in found.dependant.dependencies)
        if role is not None and not guarded:
            raise Broken(f"route `{path}` is for `{role}` but does not admit its callers, expected it on a router of `api`")


# --- the way in -----------------------------------------------------------------------------------------------------


# These are coroutines though they wait for nothing: FastAPI runs plain functions in threads, three hops for every request.
async def installation_of(request: Request) -> Installation:
    """The installation that serves this request."""
    installation: Installation = request.app.state.installation
    return installation


async def admit(request: Request) -> None:
    """Find out who asks, and whether this route is for them."""
    rule = rule_of(request.scope.get("endpoint"))
    if rule is None:
        raise Broken("a route that does not state whose it is was asked for")
    role = rule.access.role
    if role is None:
        return
    view: Asker | None = request.scope.get("entente.view")
    if view is not None:
        # Set by a view-as alone, which is in this process: no request from outside carries anything but headers.
        if rule.access is not Access.RECORDED:
            raise Rejected("a view is of what a partner is shown: items, lists and files", code="view")
        request.state.asker = view
        return
    installation: Installation = request.app.state.installation
    # (1): who? 401.
    caller = await _caller(request, installation, fresh=rule.access is not Access.RECORDED)
    # (2): is the route for this role? 403.
    authorize(caller, {role})
    # (3): not too often? 429.
    installation.rates.take(caller.id, now=installation.clock())
    request.state.caller = caller
    if role is Role.PARTNER:
        # (4): for which purpose? 403.
        purpose = purpose_of(caller, request.headers.get("purpose"))
        partner = caller.partner
        if partner is None:
            raise Unauthenticated("client")
        request.state.asker = Asker(partner=partner, purpose=purpose, client=caller.id, log=partner)


async def _caller(request: Request, installation: Installation, *, fresh: bool) -> Caller:
    token = bearer_token(request.headers.get("authorization"))
    now = installation.clock()
    if fresh:
        await asyncio.to_thread(installation.directory.refresh)
    try:
        return await _verified(installation, token, now)
    except Unauthenticated:
        if fresh:
            raise
    # A client registered a moment ago by another process: look once more. What is found stale the other way, a client that is
    # one no longer, the commit finds (`Gate.commit`).
    await asyncio.to_thread(installation.directory.refresh)
    return await _verified(installation, token, now)


async def _verified(installation: Installation, token: str, now: Any) -> Caller:
    caller = installation.verifier.verify_at_once(token, now)
    if caller is not None:
        return caller
    return await asyncio.to_thread(installation.verifier.verify, token, now)


async def asker_of(request: Request) -> Asker:
    """Who asks, on a partner's route."""
    asker: Asker = request.state.asker
    return asker


async def caller_of(request: Request) -> Caller:
    """Who asks, on an own-side route."""
    caller: Caller = request.state.caller
    return caller


def query_as(request: Request, model: type[_Model], *, lists: frozenset[str]) -> _Model:
    """The request's query as this model.

    Args:
        lists: parameters that may stand more than once; any other stands once.

    Raises:
        Rejected: naming the parameter, never its value.
    """
    given: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in lists:
            given.setdefault(name, []).append(value)
        elif name in given:
            raise Rejected(f"`{name[:100]}` stands twice", code="parameter")
        else:
            given[name] = value
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _first_fault(error, code="parameter") from None


def _first_fault(error: ValidationError, *, code: str) -> Rejected:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "body"
    return Rejected(f"`{place[:100]}`: {first['msg'].lower()}", code=code)


async def no_query(request: Request) -> None:
    """Unknown parameters are refused; here all are."""
    if request.scope.get("query_string"):
        raise Rejected("this route takes no query parameters", code="query")


async def json_body(request: Request) -> object:
    """The request's JSON, read strictly, after its sender was admitted."""
    return await asyncio.to_thread(parse_json, await request.body())


def body_as(model: type[BaseModel]) -> Callable[[Request], Awaitable[Any]]:
    """A dependency that reads the request's JSON as this model, after its sender was admitted."""

    async def read(request: Request) -> Any:
        value = await json_body(request)
        try:
            return model.model_validate(value, strict=True)
        except ValidationError as error:
            raise _first_fault(error, code="body") from None

    return read


CallerDependency = Annotated[Caller, Depends(caller_of)]
AskerDependency = Annotated[Asker, Depends(asker_of)]
InstallationDependency = Annotated[Installation, Depends(installation_of)]
