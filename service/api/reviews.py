"""An auditor's own notes: marks on entries, and queries kept under a name. Each is a leaf of `officers`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from service.api import describe, shapes
from service.api.access import Access, InstallationDependency, admit, body_as, no_query, route
from service.api.auditors import ReleasesQuery
from service.api.cursors import bound_cursor, read_bound_cursor
from service.api.officers import ActorDependency
from service.errors import Rejected
from service.releaselog.reviews import Mark
from service.settings import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX
from service.sharing import reviews
from service.store import reviews as stored
from service.store.logs import Position

router = APIRouter(prefix="/v1/audit", dependencies=[Depends(admit)], default_response_class=Response)

_NO_STORE: Final = {"cache-control": "no-store"}
_PROBLEMS: Final = describe.with_token()


@router.post(
    "/reviews",
    status_code=201,
    summary="Mark an entry: reviewed, questioned, escalated, closed",
    openapi_extra=describe.takes(shapes.ReviewIn),
    responses=describe.answer(shapes.ReviewDone, "On record, and where it brought the entry", status=201)
    | describe.problems(404, 409)
    | describe.with_token(413),
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def mark(
    wanted: Annotated[shapes.ReviewIn, Depends(body_as(shapes.ReviewIn))], actor: ActorDependency, installation: InstallationDependency
) -> Response:
    done = await asyncio.to_thread(reviews.mark, installation.acts, actor, wanted.event_id, Mark(wanted.mark), note=wanted.note)
    return JSONResponse({"event_id": done.event_id, "state": str(done.state)}, 201, headers=_NO_STORE)


class ReviewsQuery(BaseModel):
    """Which reviews."""

    model_config = ConfigDict(extra="forbid")
    state: Literal["reviewed", "questioned", "escalated", "closing", "closed"] | None = None
    limit: int = Field(default=PAGE_LIMIT_DEFAULT, ge=1, le=PAGE_LIMIT_MAX)
    cursor: str | None = Field(default=None, max_length=100, description="`next` of the page before")


@router.get(
    "/reviews",
    summary="Entries under review, newest entry first, with their marks",
    responses=describe.answer(shapes.Reviews, "A page", recorded=True) | _PROBLEMS,
)
@route(Access.AUDITOR)
async def list_reviews(query: Annotated[ReviewsQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    asked = query.model_dump(exclude_none=True, mode="json", exclude={"limit", "cursor"})
    cursor = read_bound_cursor(query.cursor, 3, asked)

    def run() -> tuple[dict[str, Any], str]:
        looked = installation.acts.reading("look.reviews", actor, asked)
        before = None if cursor is None else Position(*cursor)
        with installation.database.reading() as connection:
            found = stored.reviews(connection, state=query.state, before=before, limit=query.limit + 1)
            body: dict[str, Any] = {"reviews": [reviews.review_json(connection, one) for one in found[: query.limit]]}
        if len(found) > query.limit:
            last = found[query.limit - 1]
            body["next"] = bound_cursor(asked, last.at, last.log_id, last.position)
        return body, looked

    body, looked = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": looked})


@router.post(
    "/queries",
    status_code=201,
    summary="Keep a query under a name, in place of what it named before",
    openapi_extra=describe.takes(shapes.SavedQueryIn),
    responses=describe.answer(shapes.Done, "On record", status=201) | describe.with_token(413),
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def save_query(
    wanted: Annotated[shapes.SavedQueryIn, Depends(body_as(shapes.SavedQueryIn))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    query = checked_query(wanted.query)
    return JSONResponse(
        {"event_id": await asyncio.to_thread(reviews.save, installation.acts, actor, wanted.name, query)}, 201, headers=_NO_STORE
    )


def checked_query(query: dict[str, Any]) -> dict[str, Any]:
    """The filters of a query, as they are kept.

    Raises:
        Rejected: `GET /v1/audit/releases` would refuse them.
    """
    try:
        read = ReleasesQuery.model_validate(query)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Rejected(f"`query.{place[:100]}`: {first['msg'].lower()}", code="body") from None
    if read.cursor is not None or "limit" in query:
        raise Rejected("`limit` and `cursor` are of a page, expected filters alone", code="body")
    return read.model_dump(exclude_none=True, mode="json", exclude={"limit", "cursor"})


class QueriesQuery(BaseModel):
    """A page of names."""

    model_config = ConfigDict(extra="forbid")
    limit: int = Field(default=PAGE_LIMIT_DEFAULT, ge=1, le=PAGE_LIMIT_MAX)
    after: str = Field(default="", max_length=100, description="Names after this one: `next` of the page before")


@router.get(
    "/queries",
    summary="Queries that are kept, by name",
    responses=describe.answer(shapes.SavedQueries, "A page", recorded=True) | _PROBLEMS,
)
@route(Access.AUDITOR)
async def list_queries(query: Annotated[QueriesQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    def run() -> tuple[dict[str, Any], str]:
        looked = installation.acts.reading("look.queries", actor, {})
        with installation.database.reading() as connection:
            found = stored.saved_queries(connection, after=query.after, limit=query.limit + 1)
        body: dict[str, Any] = {"queries": [reviews.saved_json(one) for one in found[: query.limit]]}
        if len(found) > query.limit:
            body["next"] = found[query.limit - 1].name
        return body, looked

    body, looked = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": looked})
