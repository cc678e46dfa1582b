"""Erasing personal texts of an entry: proposed by one auditor, approved by another. No text is in any of these answers but the reason."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from starlette.responses import Response

from service.api import describe, shapes
from service.api.access import Access, InstallationDependency, admit, body_as, no_query, route
from service.api.cursors import place_cursor, read_place_cursor
from service.api.officers import ActorDependency
from service.api.waiting import PageQuery, proposal_must_be
from service.sharing import erasure

router = APIRouter(prefix="/v1/audit", dependencies=[Depends(admit)], default_response_class=Response)

_NO_STORE: Final = {"cache-control": "no-store"}


@router.post(
    "/erasures",
    status_code=202,
    summary="Propose to erase the personal texts of an entry; another auditor must approve",
    openapi_extra=describe.takes(shapes.ErasureIn),
    responses=describe.answer(shapes.ErasurePending, "Nothing is erased yet: another auditor must approve this", status=202)
    | describe.problems(404, 409)
    | describe.with_token(413),
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def propose_erasure(
    wanted: Annotated[shapes.ErasureIn, Depends(body_as(shapes.ErasureIn))], actor: ActorDependency, installation: InstallationDependency
) -> Response:
    def run() -> Response:
        pending = erasure.propose(installation, actor, wanted.event_id, kind=wanted.kind, reason=wanted.reason)
        return JSONResponse(erasure.pending_json(pending), 202, headers=_NO_STORE)

    return await asyncio.to_thread(run)


@router.get(
    "/erasures",
    summary="Erasures that wait for another auditor, oldest first",
    responses=describe.answer(shapes.Erasures, "A page", recorded=True) | describe.with_token(),
)
@route(Access.AUDITOR)
async def list_erasures(query: Annotated[PageQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    (after,) = read_place_cursor(query.cursor, 1) or (0,)

    def run() -> tuple[dict[str, Any], str]:
        found, entry = erasure.waiting(installation, actor, after=after, limit=query.limit + 1)
        body: dict[str, Any] = {"erasures": [erasure.waiting_json(one) for one in found[: query.limit]]}
        if len(found) > query.limit:
            body["next"] = place_cursor(found[query.limit - 1].proposal.id)
        return body, entry.event_id

    body, event_id = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": event_id})


@router.post(
    "/erasures/{proposal}/approve",
    summary="Approve an erasure that another auditor proposed, by its digest, and erase",
    openapi_extra=describe.takes(shapes.Approval),
    responses=describe.answer(shapes.ErasureDone, "Erased")
    | describe.problems(404, 409)
    | describe.with_token(413)
    | describe.second_officer(),
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def approve_erasure(
    proposal: str,
    approval: Annotated[shapes.Approval, Depends(body_as(shapes.Approval))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    def run() -> Response:
        number = proposal_must_be(installation, proposal, erasure.ERASE)
        done = erasure.approve(installation, number, actor, timeline=approval.timeline)
        return JSONResponse({"event_id": done.entry.event_id, "texts": done.texts}, headers=_NO_STORE)

    return await asyncio.to_thread(run)


@router.post(
    "/erasures/{proposal}/withdraw",
    summary="Close the proposal of an erasure: the proposer thinks better of it, or another auditor refuses",
    openapi_extra=describe.takes(shapes.Because),
    responses=describe.answer(shapes.Done, "Withdrawn") | describe.problems(404, 409) | describe.with_token(413),
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def withdraw_erasure(
    proposal: str,
    because: Annotated[shapes.Because, Depends(body_as(shapes.Because))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    def run() -> str:
        return erasure.withdraw(
            installation, proposal_must_be(installation, proposal, erasure.ERASE), actor, reason=because.reason
        ).event_id

    return JSONResponse({"event_id": await asyncio.to_thread(run)}, headers=_NO_STORE)
