"""What is kept, and for how long: legal holds. Each act is a leaf of `officers`."""

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
from service.errors import NotVisible
from service.labels.effective import read_moment
from service.settings import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX
from service.sharing import holds
from service.store import holds as stored

router = APIRouter(prefix="/v1/audit", dependencies=[Depends(admit)], default_response_class=Response)

_NO_STORE: Final = {"cache-control": "no-store"}
_PROBLEMS: Final = describe.with_token()
_PROBLEMS_OF_BODIES: Final = describe.with_token(413)
_NUMBER_DIGITS: Final = 16


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


class HoldsQuery(BaseModel):
    """Which holds."""

    model_config = ConfigDict(extra="forbid")
    ended: bool = Field(default=False, description="Those that were released too")
    limit: int = Field(default=PAGE_LIMIT_DEFAULT, ge=1, le=PAGE_LIMIT_MAX)
    cursor: str | None = Field(default=None, max_length=100, description="`next` of the page before")


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
        body: dict[str, Any] = {"holds": [holds.hold_json(one) for one in found[: query.limit]]}
        if len(found) > query.limit:
            body["next"] = place_cursor(found[query.limit - 1].id)
        return body, looked

    body, looked = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": looked})


def number_of(segment: str) -> int:
    """The number in a path.

    Raises:
        NotVisible: it is none, and so names nothing.
    """
    if not (segment.isascii() and segment.isdigit() and len(segment) < _NUMBER_DIGITS):
        raise NotVisible
    return int(segment)
