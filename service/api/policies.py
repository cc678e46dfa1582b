"""An officer's routes about policy: upload, see the difference, publish, approve, withdraw, what was and what comes.

A publication that must be approved answers 202: nothing is in force yet, and `timeline` is what the second officer approves. What is
shown about stored items is a look, on record before it is shown.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.api import describe, shapes
from service.api.access import Access, InstallationDependency, admit, body_as, no_query, route
from service.api.officers import ActorDependency
from service.errors import Rejected
from service.settings import CALENDAR_DAYS_DEFAULT, CALENDAR_DAYS_MAX
from service.sharing.calendar import calendar_in_force
from service.sharing.examination import difference_json
from service.sharing.publishing import Pending, Published
from service.sharing.told import history_json, pending_json, published_json

router = APIRouter(prefix="/v1/officer", dependencies=[Depends(admit)], default_response_class=Response)

_NO_STORE: Final = {"cache-control": "no-store"}
_PROBLEMS: Final = describe.with_token()
_PROBLEMS_OF_BODIES: Final = describe.with_token(413)
_PUBLISHED: Final = (
    describe.answer(shapes.Published, "In force")
    | describe.answer(shapes.Pending, "Not in force: another officer must approve this timeline", status=202)
    | describe.problems(409)
    | _PROBLEMS
    | describe.policy_problem()
)


def _done(done: Published | Pending) -> Response:
    if isinstance(done, Pending):
        return JSONResponse(pending_json(done), 202, headers=_NO_STORE)
    return JSONResponse(published_json(done), headers=_NO_STORE)


@router.get(
    "/policies",
    summary="Every publication and every proposal, oldest first",
    responses=describe.answer(shapes.History, "The history") | _PROBLEMS,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def history(installation: InstallationDependency) -> Response:
    return JSONResponse(history_json(await asyncio.to_thread(installation.publishing.history)), headers=_NO_STORE)


@router.post(
    "/policies",
    status_code=201,
    summary="Upload a bundle into the archive, without putting it in force",
    openapi_extra=describe.takes(shapes.Upload),
    responses=describe.answer(shapes.Uploaded, "In the archive", status=201) | _PROBLEMS_OF_BODIES | describe.policy_problem(),
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def upload_policy(
    upload: Annotated[shapes.Upload, Depends(body_as(shapes.Upload))], actor: ActorDependency, installation: InstallationDependency
) -> Response:
    try:
        files = {name: text.encode("utf-8") for name, text in upload.files.items()}
    except UnicodeEncodeError:
        raise Rejected("a file holds half a surrogate pair, expected Unicode", code="body") from None
    uploaded = await asyncio.to_thread(installation.publishing.upload, files, actor)
    body = {"digest": uploaded.digest, "findings": [finding.to_json() for finding in uploaded.findings]}
    return JSONResponse(body, 201, headers=_NO_STORE)


class CalendarQuery(BaseModel):
    """How far to look ahead."""

    model_config = ConfigDict(extra="forbid")
    days: int = Field(default=CALENDAR_DAYS_DEFAULT, ge=1, le=CALENDAR_DAYS_MAX)


@router.get(
    "/policies/calendar",
    summary="What begins and ends in the next days in the policy in force, and what that releases or withdraws",
    responses=describe.answer(shapes.Calendar, "The dates ahead", recorded=True) | _PROBLEMS,
)
@route(Access.OFFICER)
async def calendar(query: Annotated[CalendarQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    found, entry = await asyncio.to_thread(calendar_in_force, installation, actor, days=query.days)
    return JSONResponse(found.to_json(), headers={**_NO_STORE, "release-event": entry.event_id})


@router.get(
    "/policies/{digest}/difference",
    summary="What putting an archived bundle in force would do, from now on and at every later date it holds",
    responses=describe.answer(shapes.Difference, "The timeline", recorded=True) | describe.problems(409) | _PROBLEMS,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def difference(digest: str, actor: ActorDependency, installation: InstallationDependency) -> Response:
    bundle, weighed, entry = await asyncio.to_thread(installation.publishing.difference, digest, actor)
    return JSONResponse(difference_json(bundle, weighed), headers={**_NO_STORE, "release-event": entry.event_id})


@router.post(
    "/policies/{digest}/publish",
    summary="Put an archived bundle in force, or propose it where another officer must approve; an older one is a rollback",
    responses=_PUBLISHED,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def publish_policy(digest: str, actor: ActorDependency, installation: InstallationDependency) -> Response:
    return _done(await asyncio.to_thread(installation.publishing.publish_archived, digest, actor))


@router.post(
    "/policies/{digest}/approve",
    summary="Approve what another officer proposed, by the digest of its timeline, and put it in force",
    openapi_extra=describe.takes(shapes.Approval),
    responses=describe.answer(shapes.Published, "In force")
    | describe.problems(409)
    | _PROBLEMS_OF_BODIES
    | describe.policy_problem()
    | describe.second_officer(),
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def approve_policy(
    digest: str,
    approval: Annotated[shapes.Approval, Depends(body_as(shapes.Approval))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    return _done(await asyncio.to_thread(installation.publishing.approve, digest, actor, timeline=approval.timeline))


@router.post(
    "/policies/{digest}/withdraw",
    summary="Close a proposal without publishing: the proposer thinks better of it, or another officer refuses",
    openapi_extra=describe.takes(shapes.Because),
    responses=describe.answer(shapes.Done, "Withdrawn") | describe.problems(409) | _PROBLEMS_OF_BODIES,
    dependencies=[Depends(no_query)],
)
@route(Access.OFFICER)
async def withdraw_policy(
    digest: str,
    because: Annotated[shapes.Because, Depends(body_as(shapes.Because))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    entry = await asyncio.to_thread(installation.publishing.withdraw, digest, actor, reason=because.reason)
    return JSONResponse({"event_id": entry.event_id}, headers=_NO_STORE)
