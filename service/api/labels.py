"""An officer's routes about labels: other ones, by two officers where that widens; quarantine; history; what stands in the way.

What is shown about items is a look, on record before it is shown. A label that another officer must approve answers 202: nothing is done
yet, and `timeline` is what he approves. Nothing of this is for partners.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.api import describe, shapes
from service.api.access import Access, InstallationDependency, admit, body_as, no_query, route
from service.api.cursors import named_cursor, place_cursor, read_named_cursor, read_place_cursor
from service.api.officers import ActorDependency, item_must_exist, partner_must_exist
from service.api.waiting import PageQuery, proposal_must_be
from service.errors import Conflict
from service.settings import OBSTACLES_TOP_DEFAULT, OBSTACLES_TOP_MAX, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX
from service.sharing import looks, obstacles, quarantine, relabelling
from service.sharing.acts import Actor
from service.sharing.label_history import label_history_of
from service.sharing.proposals import EVENT, RELABEL
from service.sharing.told import (
    label_decided_json,
    label_done_json,
    label_foreseen_json,
    label_pending_json,
    label_proposal_json,
    quarantined_json,
)
from service.store import catalogue as stored

router = APIRouter(prefix="/v1/officer", dependencies=[Depends(admit)], default_response_class=Response)

_NO_STORE: Final = {"cache-control": "no-store"}
_PROBLEMS: Final = describe.with_token()
_PROBLEMS_OF_BODIES: Final = describe.with_token(413)
_APPROVED: Final = (
    describe.answer(shapes.LabelDone, "In force") | describe.problems(404, 409) | _PROBLEMS_OF_BODIES | describe.second_officer()
)
_RELABELLED: Final = (
    describe.answer(shapes.LabelDone, "Done; or with `dry_run`, what it would do")
    | describe.answer(shapes.LabelPending, "Nothing is done: another officer must approve this difference", status=202)
    | describe.problems(404, 409)
    | _PROBLEMS_OF_BODIES
    | describe.second_officer()
)


def _answered(installation: InstallationDependency, asked: relabelling.Wanted, actor: Actor, *, dry_run: bool) -> Response:
    if dry_run:
        planned, entry = relabelling.foreseen(installation, asked, actor)
        return JSONResponse(label_foreseen_json(planned, entry), headers=_NO_STORE)
    done = relabelling.relabel(installation, asked, actor)
    if isinstance(done, relabelling.Pending):
        return JSONResponse(label_pending_json(done), 202, headers=_NO_STORE)
    return JSONResponse(label_done_json(done), headers=_NO_STORE)


# --- other labels -----------------------------------------------------------------------------------------------------


class DryRun(BaseModel):
    """Whether to do it at all."""

    model_config = ConfigDict(extra="forbid")
    dry_run: bool = Field(default=False, description="Show who would see it, before and after; do nothing")


@router.post(
    "/items/{id}/labels",
    summary="Give an item, or one portion of it, another label from now on; propose it where another officer must approve",
    openapi_extra=describe.takes(shapes.Relabel),
    responses=_RELABELLED,
)
@route(Access.OFFICER)
async def relabel_item(
    id: str,
    query: Annotated[DryRun, Query()],
    wanted: Annotated[shapes.Relabel, Depends(body_as(shapes.Relabel))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    def run() -> Response:
        item_must_exist(installation, id)
        if _is_held(installation, id, wanted.version):
            if query.dry_run:
                raise Conflict("a version in quarantine is shown to nobody, so that there is no difference to show", code="in-quarantine")
            decided = quarantine.decide(
                installation, id, actor, version=wanted.version, portion=wanted.portion, marking=wanted.marking, label=wanted.label,
                reason=wanted.reason,
            )  # fmt: skip
            return JSONResponse(label_decided_json(decided), headers=_NO_STORE)
        asked = relabelling.Relabel(id, wanted.reason, wanted.marking, wanted.label, wanted.portion)
        return _answered(installation, asked, actor, dry_run=query.dry_run)

    return await asyncio.to_thread(run)


def _is_held(installation: InstallationDependency, item: str, version: int | None) -> bool:
    """Whether a version in quarantine is meant: by its number, or where no other is in force."""
    with installation.database.reading() as connection:
        found = stored.item_by_id(connection, item)
    return found is not None and found.withdrawn_at is None and (version is not None or found.version == 0)


@router.get(
    "/items/proposals",
    summary="Acts on labels that wait for another officer, oldest first",
    responses=describe.answer(shapes.LabelProposals, "A page", recorded=True) | _PROBLEMS,
)
@route(Access.OFFICER)
async def label_proposals(query: Annotated[PageQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    (after,) = read_place_cursor(query.cursor, 1) or (0,)

    def run() -> tuple[dict[str, Any], str]:
        found, entry = relabelling.waiting(installation, actor, after=after, limit=query.limit + 1)
        body: dict[str, Any] = {"proposals": [label_proposal_json(one) for one in found[: query.limit]]}
        if len(found) > query.limit:
            body["next"] = place_cursor(found[query.limit - 1].proposal.id)
        return body, entry.event_id

    body, event_id = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": event_id})


@router.post(
    "/items/{id}/labels/{proposal}/approve",
    summary="Approve another label that another officer proposed, by the digest of its difference, and give it",
    openapi_extra=describe.takes(shapes.Approval),
    responses=_APPROVED,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def approve_label(
    id: str,
    proposal: str,
    approval: Annotated[shapes.Approval, Depends(body_as(shapes.Approval))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    def run() -> Response:
        number = proposal_must_be(installation, proposal, RELABEL, about=id)
        done = relabelling.approve(installation, number, actor, timeline=approval.timeline)
        return JSONResponse(label_done_json(done), headers=_NO_STORE)

    return await asyncio.to_thread(run)


@router.post(
    "/items/{id}/labels/{proposal}/withdraw",
    summary="Close a proposal of another label: the proposer thinks better of it, or another officer refuses",
    openapi_extra=describe.takes(shapes.Because),
    responses=describe.answer(shapes.Done, "Withdrawn") | describe.problems(404, 409) | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def withdraw_label(
    id: str,
    proposal: str,
    because: Annotated[shapes.Because, Depends(body_as(shapes.Because))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    def run() -> str:
        number = proposal_must_be(installation, proposal, RELABEL, about=id)
        return relabelling.withdraw_proposal(installation, number, actor, reason=because.reason).event_id

    return JSONResponse({"event_id": await asyncio.to_thread(run)}, headers=_NO_STORE)


@router.post(
    "/events",
    summary="Say that what declassifications wait for has come about; propose it, for another officer to approve",
    openapi_extra=describe.takes(shapes.EventCame),
    responses=_RELABELLED,
)
@route(Access.OFFICER)
async def event_came(
    query: Annotated[DryRun, Query()],
    came: Annotated[shapes.EventCame, Depends(body_as(shapes.EventCame))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    asked = relabelling.Event(came.event, came.reason, None if came.at is None else relabelling.read_time(came.at))
    return await asyncio.to_thread(_answered, installation, asked, actor, dry_run=query.dry_run)


@router.post(
    "/events/{proposal}/approve",
    summary="Approve what another officer proposed of an event, by the digest of its difference, and lower what waited for it",
    openapi_extra=describe.takes(shapes.Approval),
    responses=_APPROVED,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def approve_event(
    proposal: str,
    approval: Annotated[shapes.Approval, Depends(body_as(shapes.Approval))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    def run() -> Response:
        number = proposal_must_be(installation, proposal, EVENT)
        done = relabelling.approve(installation, number, actor, timeline=approval.timeline)
        return JSONResponse(label_done_json(done), headers=_NO_STORE)

    return await asyncio.to_thread(run)


@router.post(
    "/events/{proposal}/withdraw",
    summary="Close a proposal of an event",
    openapi_extra=describe.takes(shapes.Because),
    responses=describe.answer(shapes.Done, "Withdrawn") | describe.problems(404, 409) | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def withdraw_event(
    proposal: str,
    because: Annotated[shapes.Because, Depends(body_as(shapes.Because))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    def run() -> str:
        number = proposal_must_be(installation, proposal, EVENT)
        return relabelling.withdraw_proposal(installation, number, actor, reason=because.reason).event_id

    return JSONResponse({"event_id": await asyncio.to_thread(run)}, headers=_NO_STORE)


# --- labels as they are and were --------------------------------------------------------------------------------------


@router.get(
    "/items/{id}/labels",
    summary="The marking each portion of an item came with, beside the label it has now",
    responses=describe.answer(shapes.ItemLabels, "A line for every portion", recorded=True) | describe.problems(404) | _PROBLEMS,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def item_labels(id: str, actor: ActorDependency, installation: InstallationDependency) -> Response:
    def run() -> tuple[dict[str, Any], str]:
        item_must_exist(installation, id)
        entry = installation.acts.look("look.labels", actor, [id], {})
        with installation.database.reading() as connection:
            state = installation.world.current(connection)
            lines = looks.markings(connection, installation.world, state, id, at=installation.clock())
        return {"portions": lines}, entry.event_id

    body, event_id = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": event_id})


@router.get(
    "/items/{id}/labels/history",
    summary="Every label each portion of an item had: from when until when, by whom and why",
    responses=describe.answer(shapes.LabelHistory, "A line for every portion", recorded=True) | describe.problems(404) | _PROBLEMS,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def label_history(id: str, actor: ActorDependency, installation: InstallationDependency) -> Response:
    def run() -> tuple[dict[str, Any], str]:
        item_must_exist(installation, id)
        lines, entry = label_history_of(installation, actor, id)
        return {"portions": lines}, entry.event_id

    body, event_id = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": event_id})


@router.get(
    "/quarantine",
    summary="Versions that wait for an officer's decision, oldest first",
    responses=describe.answer(shapes.Quarantine, "A page", recorded=True) | _PROBLEMS,
)
@route(Access.OFFICER)
async def quarantined(query: Annotated[PageQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    after = read_place_cursor(query.cursor, 2) or (0, 0)

    def run() -> tuple[dict[str, Any], str]:
        rows, entry = quarantine.waiting(installation, actor, after=(after[0], after[1]), limit=query.limit + 1)
        body: dict[str, Any] = {"quarantine": [quarantined_json(row) for row in rows[: query.limit]]}
        if len(rows) > query.limit:
            body["next"] = place_cursor(rows[query.limit - 1].at, rows[query.limit - 1].version_id)
        return body, entry.event_id

    body, event_id = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": event_id})


# --- what stands in the way -------------------------------------------------------------------------------------------


class ObstaclesOfItemQuery(BaseModel):
    """For whom."""

    model_config = ConfigDict(extra="forbid")
    partner: str = Field(max_length=64, description="A partner's code")
    purpose: str = Field(default="none", pattern="^(none|[A-Z][A-Z0-9-]*)$", max_length=64)


@router.get(
    "/items/{id}/obstacles",
    summary="What to hold back of an item so that a partner may have the rest, and what would have to change for all of it",
    responses=describe.answer(shapes.ItemObstacles, "What stands in the way", recorded=True) | describe.problems(404, 409) | _PROBLEMS,
)
@route(Access.OFFICER)
async def item_obstacles(
    id: str, query: Annotated[ObstaclesOfItemQuery, Query()], actor: ActorDependency, installation: InstallationDependency
) -> Response:
    def run() -> tuple[dict[str, Any], str]:
        item_must_exist(installation, id)
        partner_must_exist(installation, query.partner)
        body, entry = obstacles.obstacles_of_item(installation, actor, id, partner=query.partner, purpose=query.purpose)
        return body, entry.event_id

    body, event_id = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": event_id})


class ObstaclesQuery(BaseModel):
    """How many lines, and for whom."""

    model_config = ConfigDict(extra="forbid")
    top: int = Field(default=OBSTACLES_TOP_DEFAULT, ge=1, le=OBSTACLES_TOP_MAX, description="So many lines at most")
    partner: str | None = Field(default=None, max_length=64, description="A partner's code; default all")


@router.get(
    "/obstacles",
    summary="Rules, and conditions of rules, that stand in the way of most of what is stored",
    responses=describe.answer(shapes.StoreObstacles, "What hinders most items first", recorded=True) | describe.problems(404) | _PROBLEMS,
)
@route(Access.OFFICER)
async def store_obstacles(
    query: Annotated[ObstaclesQuery, Query()], actor: ActorDependency, installation: InstallationDependency
) -> Response:
    def run() -> tuple[dict[str, Any], str]:
        if query.partner is not None:
            partner_must_exist(installation, query.partner)
        body, entry = obstacles.obstacles_of_store(installation, actor, top=query.top, partner=query.partner)
        return body, entry.event_id

    body, event_id = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": event_id})


class UnsharedQuery(BaseModel):
    """For whom, and which page."""

    model_config = ConfigDict(extra="forbid")
    partner: str | None = Field(default=None, max_length=64, description="A partner's code; default all")
    limit: int = Field(default=PAGE_LIMIT_DEFAULT, ge=1, le=PAGE_LIMIT_MAX)
    cursor: str | None = Field(default=None, max_length=200, description="`next` of the page before")


@router.get(
    "/unshared",
    summary="What partners may have and were never sent, oldest first",
    responses=describe.answer(shapes.UnsharedItems, "A page", recorded=True) | describe.problems(404) | _PROBLEMS,
)
@route(Access.OFFICER)
async def unshared(query: Annotated[UnsharedQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    after = read_named_cursor(query.cursor) or (0, 0, "")

    def run() -> tuple[dict[str, Any], str]:
        if query.partner is not None:
            partner_must_exist(installation, query.partner)
        found, entry, pruned = obstacles.unshared(installation, actor, partner=query.partner, after=after, limit=query.limit + 1)
        shown = found[: query.limit]
        body: dict[str, Any] = {"unshared": [obstacles.unshared_json(one) for one in shown], **pruned}
        if len(found) > query.limit:
            body["next"] = named_cursor(shown[-1].visible_since, shown[-1].lane.id, shown[-1].item_id)
        return body, entry.event_id

    body, event_id = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": event_id})
