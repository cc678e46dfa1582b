"""An auditor's routes: who got what, when, under which rule. Reading is itself on record, in `officers`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.api import describe, shapes
from service.api.access import Access, InstallationDependency, admit, no_query, route
from service.api.cursors import bound_cursor, read_bound_cursor
from service.api.officers import ActorDependency
from service.api.partners import checkpoint_answer, tile_answer
from service.errors import NotVisible
from service.settings import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX
from service.sharing import audit
from service.store import log_pages, logs
from service.store.logs import AuditFilter, Position

router = APIRouter(prefix="/v1", dependencies=[Depends(admit)], default_response_class=Response)

_NO_STORE: Final = {"cache-control": "no-store"}
_PROBLEMS: Final = describe.with_token()


_Word = Annotated[str, Field(max_length=100)]


class ReleasesQuery(BaseModel):
    """Filters, all of which must match."""

    model_config = ConfigDict(extra="forbid")
    partner: str | None = Field(default=None, max_length=64, description="The log of this partner")
    item: str | None = Field(default=None, max_length=64)
    since: AwareDatetime | None = Field(default=None, description="From this time on")
    until: AwareDatetime | None = Field(default=None, description="Before this time")
    type: str | None = Field(
        default=None, max_length=64, description="`list`, `item`, `file`, or an act's or look's, which are left out otherwise"
    )
    client: str | None = Field(default=None, max_length=64)
    level: list[_Word] | None = Field(default=None, max_length=20, description="Among the labels decided on, any of")
    category: list[_Word] | None = Field(default=None, max_length=20, description="Among their categories, any of")
    outcome: list[_Word] | None = Field(
        default=None, max_length=20, description="Any of; `withhold` and `refer` together are all that was refused"
    )
    rule: str | None = Field(default=None, max_length=100, description="Made the outcome of an item")
    bundle: str | None = Field(default=None, max_length=64, description="The digest of the policy decided by")
    review: str | None = Field(default=None, max_length=64, description="Where auditors' marks brought it")
    log: str | None = Field(default=None, max_length=64, description="A log by name, `officers` among them")
    limit: int = Field(default=PAGE_LIMIT_DEFAULT, ge=1, le=PAGE_LIMIT_MAX)
    cursor: str | None = Field(default=None, max_length=100, description="`next` of the page before")

    def filter(self) -> AuditFilter | None:
        """What is asked for, pages aside; None where it contradicts itself."""
        return audit.filter_of(**self.model_dump(exclude={"limit", "cursor"}))


@router.get(
    "/audit/releases",
    summary="Entries of the release logs, newest first",
    responses=describe.answer(shapes.AuditReleases, "A page", recorded=True) | _PROBLEMS,
)
@route(Access.AUDITOR)
async def releases(query: Annotated[ReleasesQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    asked = query.model_dump(exclude_none=True, mode="json", exclude={"limit", "cursor"})
    cursor = read_bound_cursor(query.cursor, 3, asked)

    def run() -> tuple[dict[str, Any], str]:
        entry = installation.acts.look("look.releases", actor, [], asked)
        wanted = query.filter()
        if wanted is None:
            return {"releases": []}, entry.event_id
        with installation.database.reading() as connection:
            before = None if cursor is None else Position(*cursor)
            page = log_pages.page(connection, wanted, before=before, limit=query.limit)
        body: dict[str, Any] = {"releases": [audit.audit_entry(row) for row in page.rows]}
        if page.next is not None:
            body["next"] = bound_cursor(asked, page.next.at, page.next.log_id, page.next.position)
        return body, entry.event_id

    body, event_id = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": event_id})


@router.get(
    "/audit/releases/{event_id}",
    summary="One entry, opened",
    responses=describe.answer(shapes.AuditEntry, "Face, record and nonce", recorded=True) | _PROBLEMS | describe.problems(404),
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def release(event_id: str, actor: ActorDependency, installation: InstallationDependency) -> Response:
    def run() -> tuple[dict[str, Any], str]:
        with installation.database.reading() as connection:
            row = logs.entry(connection, event_id)
        if row is None:
            raise NotVisible
        entry = installation.acts.look("look.entry", actor, [], {"event_id": event_id})
        return audit.audit_entry(row), entry.event_id

    body, looked = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": looked})


@router.get(
    "/log/{log}/checkpoint",
    summary="The signed head of a log",
    responses=describe.octets("A signed note (C2SP tlog-checkpoint)", media_type="text/plain") | _PROBLEMS | describe.problems(404),
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def checkpoint(log: str, installation: InstallationDependency) -> Response:
    return await checkpoint_answer(installation, log)


@router.get(
    "/log/{log}/tile/{path:path}",
    summary="A tile of a log",
    responses=describe.octets("Hashes, or entries (C2SP tlog-tiles)") | _PROBLEMS | describe.problems(404),
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def tile(log: str, path: str, installation: InstallationDependency) -> Response:
    return await tile_answer(installation, log, path)
