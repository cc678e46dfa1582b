"""What is kept, and for how long: legal holds, and pruning by two auditors. Each act is a leaf of `officers`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.api import describe, shapes
from service.api.access import Access, InstallationDependency, admit, body_as, no_query, route
from service.api.cursors import place_cursor, read_place_cursor
from service.api.officers import ActorDependency
from service.api.waiting import PageQuery, number_of, proposal_must_be
from service.labels.effective import read_moment
from service.sharing import holds, pruning
from service.store import holds as stored

router = APIRouter(prefix="/v1/audit", dependencies=[Depends(admit)], default_response_class=Response)

_NO_STORE: Final = {"cache-control": "no-store"}
_PROBLEMS: Final = describe.with_token()
_PROBLEMS_OF_BODIES: Final = describe.with_token(413)


@router.post(
    "/holds",
    status_code=201,
    summary="Hold entries: what matches every condition is not pruned, whatever else is",
    openapi_extra=describe.takes(shapes.HoldIn),
    responses=describe.answer(shapes.HoldDone, "On record", status=201) | describe.problems(409) | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def hold(
    wanted: Annotated[shapes.HoldIn, Depends(body_as(shapes.HoldIn))], actor: ActorDependency, installation: InstallationDependency
) -> Response:
    asked = holds.conditions(
        log=wanted.log,
        partner=wanted.partner,
        item=wanted.item,
        since=None if wanted.since is None else read_moment(wanted.since, "since"),
        until=None if wanted.until is None else read_moment(wanted.until, "until"),
    )
    done = await asyncio.to_thread(holds.add, installation.acts, actor, asked, reason=wanted.reason)
    return JSONResponse({"hold": done.hold.id, "event_id": done.event_id}, 201, headers=_NO_STORE)


@router.post(
    "/holds/{hold}/release",
    summary="Let go what a hold held",
    openapi_extra=describe.takes(shapes.Because),
    responses=describe.answer(shapes.HoldDone, "On record") | describe.problems(404, 409) | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def release_hold(
    hold: str,
    because: Annotated[shapes.Because, Depends(body_as(shapes.Because))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    done = await asyncio.to_thread(holds.release, installation.acts, actor, number_of(hold), reason=because.reason)
    return JSONResponse({"hold": done.hold.id, "event_id": done.event_id}, headers=_NO_STORE)


class HoldsQuery(PageQuery):
    """Which holds."""

    ended: bool = Field(default=False, description="Those that were released too")


@router.get(
    "/holds",
    summary="Holds, oldest first",
    responses=describe.answer(shapes.Holds, "A page", recorded=True) | _PROBLEMS,
)
@route(Access.AUDITOR)
async def list_holds(query: Annotated[HoldsQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    (after,) = read_place_cursor(query.cursor, 1) or (0,)

    def run() -> tuple[dict[str, Any], str]:
        looked = installation.acts.reading("look.holds", actor, {"ended": query.ended})
        with installation.database.reading() as connection:
            found = stored.page(connection, after=after, limit=query.limit + 1, ended=query.ended)
            body: dict[str, Any] = {"holds": holds.holds_json(connection, found[: query.limit])}
        if len(found) > query.limit:
            body["next"] = place_cursor(found[query.limit - 1].id)
        return body, looked

    body, looked = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": looked})


# --- pruning ----------------------------------------------------------------------------------------------------------


class PruneQuery(BaseModel):
    """How a prune is proposed."""

    model_config = ConfigDict(extra="forbid")
    dry_run: bool = Field(default=False, description="Only show all that would go, and what holds keep")


@router.post(
    "/prunes",
    status_code=202,
    summary="Propose to prune whole tiles of old entries, for another auditor to approve",
    openapi_extra=describe.takes(shapes.PruneIn),
    responses=describe.answer(shapes.PruneForeseen, "A dry run: nothing is done", recorded=True)
    | describe.answer(shapes.PrunePending, "Nothing is done: another auditor must approve", status=202)
    | describe.problems(409)
    | _PROBLEMS_OF_BODIES,
)
@route(Access.AUDITOR)
async def prune(
    query: Annotated[PruneQuery, Query()],
    wanted: Annotated[shapes.PruneIn, Depends(body_as(shapes.PruneIn))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    before = read_moment(wanted.before, "before")

    def run() -> Response:
        if query.dry_run:
            plan = pruning.foreseen(installation, before=before, log=wanted.log)
            asked = {"before": before.isoformat(), **({} if wanted.log is None else {"log": wanted.log})}
            looked = installation.acts.reading("look.prunes", actor, asked)
            return JSONResponse(pruning.plan_json(plan), headers={**_NO_STORE, "release-event": looked})
        done = pruning.propose(installation, actor, before=before, log=wanted.log, reason=wanted.reason)
        pending = {"proposal": done.proposal.id, "timeline": done.proposal.timeline, "event_id": done.entry.event_id}
        return JSONResponse({**pending, **pruning.plan_json(done.plan)}, 202, headers=_NO_STORE)

    return await asyncio.to_thread(run)


@router.post(
    "/prunes/{proposal}/approve",
    summary="Approve what another auditor proposed to prune, by its digest, and prune it",
    openapi_extra=describe.takes(shapes.Approval),
    responses=describe.answer(shapes.PruneDone, "Pruned, and on record")
    | describe.problems(404, 409)
    | _PROBLEMS_OF_BODIES
    | describe.second_officer(),
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def approve_prune(
    proposal: str,
    approval: Annotated[shapes.Approval, Depends(body_as(shapes.Approval))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    def run() -> dict[str, Any]:
        done = pruning.approve(
            installation, proposal_must_be(installation, proposal, pruning.PRUNE_TYPE), actor, timeline=approval.timeline
        )
        return {"event_id": done.entry.event_id, "entries": done.plan.entries, "ranges": pruning.plan_json(done.plan)["ranges"]}

    return JSONResponse(await asyncio.to_thread(run), headers=_NO_STORE)


@router.post(
    "/prunes/{proposal}/withdraw",
    summary="Close a proposal to prune: the proposer thinks better of it, or another auditor refuses",
    openapi_extra=describe.takes(shapes.Because),
    responses=describe.answer(shapes.Done, "Withdrawn") | describe.problems(404, 409) | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def withdraw_prune(
    proposal: str,
    because: Annotated[shapes.Because, Depends(body_as(shapes.Because))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    def run() -> str:
        return pruning.withdraw(
            installation, proposal_must_be(installation, proposal, pruning.PRUNE_TYPE), actor, reason=because.reason
        ).event_id

    return JSONResponse({"event_id": await asyncio.to_thread(run)}, headers=_NO_STORE)


@router.get(
    "/prunes",
    summary="Proposals to prune, oldest first, and how they ended",
    responses=describe.answer(shapes.Prunes, "A page", recorded=True) | _PROBLEMS,
)
@route(Access.AUDITOR)
async def list_prunes(query: Annotated[PageQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    (after,) = read_place_cursor(query.cursor, 1) or (0,)

    def run() -> tuple[dict[str, Any], str]:
        looked = installation.acts.reading("look.prunes", actor, {})
        with installation.database.reading() as connection:
            found = pruning.proposed(connection, after=after, limit=query.limit + 1)
            body: dict[str, Any] = {"prunes": pruning.proposals_json(connection, found[: query.limit])}
        if len(found) > query.limit:
            body["next"] = place_cursor(found[query.limit - 1].id)
        return body, looked

    body, looked = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": looked})
