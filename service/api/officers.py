"""An officer's routes: items in his charge, who may have them, and partners. Acts and looks are leaves of `officers`.

(`labels` has the routes about labels and what stands in the way, `policies` those about the policy.)
"""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.api import describe, shapes
from service.api.access import Access, CallerDependency, InstallationDependency, admit, body_as, json_body, no_query, route
from service.api.view import view_as
from service.errors import Conflict, NotVisible, Rejected
from service.settings import (
    CALENDAR_DAYS_DEFAULT,
    CALENDAR_DAYS_MAX,
    FILE_BYTES_MAX,
    IMPORT_BYTES_MAX,
    ITEM_BYTES_MAX,
)
from service.sharing import catalogue, importing, item_files, line_reading, looks
from service.sharing.acts import Actor
from service.sharing.asks import Asker
from service.sharing.audit import pruned_of_partners
from service.sharing.catalogue import Outcome
from service.sharing.item_calendar import calendar_of_items
from service.sharing.ledger import OFFICERS
from service.store import catalogue as stored
from service.store.files import Incoming

router = APIRouter(prefix="/v1/officer", dependencies=[Depends(admit)], default_response_class=Response)

_NO_STORE: Final = {"cache-control": "no-store"}
_ITEM_BODY_MAX: Final = 2 * ITEM_BYTES_MAX + (1 << 20)
"""JSON may escape what an item holds; what counts in the end is checked on the item."""
_PROBLEMS: Final = describe.with_token()
_PROBLEMS_OF_BODIES: Final = describe.with_token(413)


async def _actor(request: Request, caller: CallerDependency) -> Actor:
    found = request.scope["route"]
    return Actor(caller.id, found.path)


ActorDependency = Annotated[Actor, Depends(_actor)]


# --- items ----------------------------------------------------------------------------------------------------------


def _store(installation: InstallationDependency, value: object, actor: Actor, item: str | None = None) -> Outcome:
    if item is not None:
        item_must_exist(installation, item)
    return importing.store_one(installation, value, actor, files=item_files.SentFiles(installation.database), item_id=item)


def _stored(outcome: Outcome) -> Response:
    if outcome.item_id is None:
        raise Conflict(outcome.message or "refused", code=outcome.code or "refused")
    body = {"id": outcome.item_id, "ref": outcome.ref, "result": outcome.result, "version": outcome.version}
    if outcome.code is not None:
        body |= {"code": outcome.code, "message": outcome.message or ""}
    return JSONResponse(body, 201, headers=_NO_STORE)


@router.post(
    "/items",
    status_code=201,
    summary="Store an item",
    openapi_extra=describe.takes(shapes.ItemIn),
    responses=describe.answer(shapes.Stored, "Stored, or in quarantine", status=201) | describe.problems(409) | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER, body_bytes_max=_ITEM_BODY_MAX)
async def create_item(request: Request, actor: ActorDependency, installation: InstallationDependency) -> Response:
    value = await json_body(request)
    return _stored(await asyncio.to_thread(_store, installation, value, actor))


@router.post(
    "/items/import",
    summary="Store many items (NDJSON); answers with a report line for every one refused or quarantined",
    openapi_extra=describe.takes_bytes("application/x-ndjson", "One item a line, as `POST /v1/officer/items` takes it"),
    responses=describe.octets("The report, one JSON a line; the last counts", media_type="application/x-ndjson") | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER, body_bytes_max=IMPORT_BYTES_MAX)
async def import_items(request: Request, actor: ActorDependency, installation: InstallationDependency) -> Response:
    files = item_files.SentFiles(installation.database)
    importer = importing.Importer(installation, actor, line_reading.ReadHere(importing.in_force(installation), files))
    report: list[dict[str, Any]] = []
    async for block in request.stream():
        report.extend(await asyncio.to_thread(importer.feed, block))
    report.extend(await asyncio.to_thread(importer.finish))
    lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in report)
    return Response(lines, media_type="application/x-ndjson", headers=_NO_STORE)


@router.post(
    "/items/{id}/versions",
    status_code=201,
    summary="Store a new version of an item",
    openapi_extra=describe.takes(shapes.VersionIn),
    responses=describe.answer(shapes.Stored, "Stored, or in quarantine", status=201) | describe.problems(404, 409) | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER, body_bytes_max=_ITEM_BODY_MAX)
async def create_version(id: str, request: Request, actor: ActorDependency, installation: InstallationDependency) -> Response:
    value = await json_body(request)
    return _stored(await asyncio.to_thread(_store, installation, value, actor, id))


def item_must_exist(installation: InstallationDependency, item: str) -> None:
    """Refuse an id that is no item's.

    Raises:
        NotVisible: there is none.
    """
    with installation.database.reading() as connection:
        if stored.item_by_id(connection, item) is None:
            raise NotVisible


@router.post(
    "/items/{id}/withdraw",
    summary="Take an item out of every list, for good",
    openapi_extra=describe.takes(shapes.Because),
    responses=describe.answer(shapes.Done, "Done") | describe.problems(404, 409) | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def withdraw_item(
    id: str,
    because: Annotated[shapes.Because, Depends(body_as(shapes.Because))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    def run() -> str:
        item_must_exist(installation, id)
        with installation.acts.act("item.withdraw", actor) as act:
            catalogue.withdraw(act, id, reason=because.reason)
        return act.event_id()

    return JSONResponse({"event_id": await asyncio.to_thread(run)}, headers=_NO_STORE)


@router.get(
    "/items/{id}/audience",
    summary="Who may have an item and why, and who has had it",
    responses=describe.answer(shapes.Audience, "A line for every partner", recorded=True) | describe.problems(404) | _PROBLEMS,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def item_audience(id: str, actor: ActorDependency, installation: InstallationDependency) -> Response:
    def run() -> tuple[dict[str, Any], str]:
        item_must_exist(installation, id)
        entry = installation.acts.look("look.audience", actor, [id], {})
        with installation.database.reading() as connection:
            state = installation.world.current(connection)
            lines = looks.audience(connection, installation.world, state, id, at=installation.clock())
            return {"partners": lines, **pruned_of_partners(connection)}, entry.event_id

    body, event_id = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": event_id})


class ItemsCalendarQuery(BaseModel):
    """How far to look ahead."""

    model_config = ConfigDict(extra="forbid")
    days: int = Field(default=CALENDAR_DAYS_DEFAULT, ge=1, le=CALENDAR_DAYS_MAX)


@router.get(
    "/items/calendar",
    summary="What begins and ends in the next days by items' own dates, and who gains or loses by it",
    responses=describe.answer(shapes.ItemsCalendar, "The dates ahead", recorded=True) | _PROBLEMS,
)
@route(Access.OFFICER)
async def items_calendar(
    query: Annotated[ItemsCalendarQuery, Query()], actor: ActorDependency, installation: InstallationDependency
) -> Response:
    found, entry = await asyncio.to_thread(calendar_of_items, installation, actor, days=query.days)
    return JSONResponse(found, headers={**_NO_STORE, "release-event": entry.event_id})


@router.put(
    "/files/{sha256}",
    status_code=201,
    summary="Send the bytes of a file portion, before the item that names it",
    openapi_extra=describe.takes_bytes("application/octet-stream", "The bytes whose SHA-256 is in the path"),
    responses=describe.answer(shapes.StoredFileShape, "Stored", status=201) | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER, body_bytes_max=FILE_BYTES_MAX)
async def put_file(sha256: str, request: Request, actor: ActorDependency, installation: InstallationDependency) -> Response:
    incoming = await asyncio.to_thread(Incoming, installation.files)
    try:
        async for block in request.stream():
            await asyncio.to_thread(incoming.write, block)
        if incoming.digest.hex() != sha256:
            raise Rejected("the bytes have another SHA-256 than the path says", code="digest")
        digest, size = await asyncio.to_thread(incoming.finish)
    except BaseException:
        await asyncio.to_thread(incoming.discard)
        raise

    def register() -> str:
        with installation.acts.registering("file.store", actor) as act:
            stored.add_file(act.connection, digest, size)
            act.details |= {"sha256": digest.hex(), "bytes": size}
        return act.event_id()

    await asyncio.to_thread(register)
    return JSONResponse({"sha256": digest.hex(), "bytes": size}, 201, headers=_NO_STORE)


# --- partners -------------------------------------------------------------------------------------------------------


class ViewQuery(BaseModel):
    """What to look at as a partner."""

    model_config = ConfigDict(extra="forbid")
    path: str = Field(max_length=2000, description="A path of the partner's, like `/v1/items?limit=10`")
    purpose: str = Field(default="none", pattern="^(none|[A-Z][A-Z0-9-]*)$", max_length=64)


def partner_must_exist(installation: InstallationDependency, code: str) -> None:
    """Refuse a code that is no partner's in the policy in force.

    Raises:
        NotVisible: there is none.
    """
    with installation.database.reading() as connection:
        state = installation.world.current(connection)
    if code not in {partner.code for partner in state.bundle.partners}:
        raise NotVisible


@router.get(
    "/partners/{code}/view",
    summary="What a partner would be shown, by the partner's own code path",
    responses=describe.answer(shapes.View, "Status, headers and body as the partner would get them") | describe.problems(404) | _PROBLEMS,
)
@route(Access.OFFICER)
async def view(
    code: str,
    query: Annotated[ViewQuery, Query()],
    request: Request,
    caller: CallerDependency,
    installation: InstallationDependency,
) -> Response:
    await asyncio.to_thread(partner_must_exist, installation, code)
    asker = Asker(partner=code, purpose=query.purpose, client=caller.id, log=OFFICERS, look="look.view")
    return JSONResponse(await view_as(request.app.state.guard, request.scope, query.path, asker), headers=_NO_STORE)


async def _suspension(
    code: str, because: shapes.Because, actor: Actor, installation: InstallationDependency, *, suspended: bool
) -> Response:
    def run() -> str:
        partner_must_exist(installation, code)
        change = installation.publishing.suspend if suspended else installation.publishing.resume
        return change(code, actor, reason=because.reason).event_id

    return JSONResponse({"event_id": await asyncio.to_thread(run)}, headers=_NO_STORE)


@router.post(
    "/partners/{code}/suspend",
    summary="Release nothing to a partner until `resume`",
    openapi_extra=describe.takes(shapes.Because),
    responses=describe.answer(shapes.Done, "Done") | describe.problems(404, 409) | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def suspend(
    code: str,
    because: Annotated[shapes.Because, Depends(body_as(shapes.Because))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    return await _suspension(code, because, actor, installation, suspended=True)


@router.post(
    "/partners/{code}/resume",
    summary="Undo `suspend`",
    openapi_extra=describe.takes(shapes.Because),
    responses=describe.answer(shapes.Done, "Done") | describe.problems(404, 409) | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def resume(
    code: str,
    because: Annotated[shapes.Because, Depends(body_as(shapes.Because))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    return await _suspension(code, because, actor, installation, suspended=False)


# --- policy ---------------------------------------------------------------------------------------------------------


@router.post(
    "/decide",
    summary="What the policy in force says, with why",
    openapi_extra=describe.takes(shapes.DecideRequest),
    responses=describe.answer(shapes.Answers, "An answer for each request, in order") | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def decide(
    asked: Annotated[shapes.DecideRequest, Depends(body_as(shapes.DecideRequest))], installation: InstallationDependency
) -> Response:
    def run() -> list[dict[str, Any]]:
        with installation.database.reading() as connection:
            state = installation.world.current(connection)
        return looks.decisions(state.snapshot(installation.clock()), asked.requests)

    return JSONResponse({"answers": await asyncio.to_thread(run)}, headers=_NO_STORE)
