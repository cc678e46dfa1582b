"""An auditor's routes: who got what, when, under which rule. Reading is itself on record, in `officers`."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.api import describe, shapes
from service.api.access import Access, InstallationDependency, admit, no_query, route
from service.api.cursors import place_cursor, read_place_cursor
from service.api.officers import ActorDependency
from service.api.partners import checkpoint_answer, tile_answer
from service.errors import NotVisible
from service.settings import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX
from service.sharing import audit
from service.store import logs
from service.store.logs import AuditFilter, Position
from service.store.times import micros

router = APIRouter(prefix="/v1", dependencies=[Depends(admit)], default_response_class=Response)

_NO_STORE: Final = {"cache-control": "no-store"}
_PROBLEMS: Final = describe.with_token()


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
    log: str | None = Field(default=None, max_length=64, description="A log by name, `officers` among them")
    limit: int = Field(default=PAGE_LIMIT_DEFAULT, ge=1, le=PAGE_LIMIT_MAX)
    cursor: str | None = Field(default=None, max_length=100, description="`next` of the page before")

    def filter(self) -> AuditFilter:
        """What is asked for; pages aside."""
        return AuditFilter(
            log=self.partner or self.log,
            # Releases are what is asked for, unless a type is named: acts and looks are found by theirs.
            partners_only=self.partner is not None or (self.log is None and self.type is None),
            item=self.item,
            since=_micros(self.since),
            until=_micros(self.until),
            type=self.type,
            client=self.client,
        )


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)


@router.get(
    "/audit/releases",
    summary="Entries of the release logs, newest first",
    responses=describe.answer(shapes.AuditReleases, "A page", recorded=True) | _PROBLEMS,
)
@route(Access.AUDITOR)
async def releases(query: Annotated[ReleasesQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    cursor = read_place_cursor(query.cursor, 3)

    def run() -> tuple[dict[str, Any], str]:
        asked = query.model_dump(exclude_none=True, mode="json", exclude={"limit", "cursor"})
        entry = installation.acts.look("look.releases", actor, [], asked)
        if query.partner is not None and query.log not in (None, query.partner):
            return {"releases": []}, entry.event_id
        with installation.database.reading() as connection:
            rows = logs.query(connection, query.filter(), before=None if cursor is None else Position(*cursor), limit=query.limit + 1)
        shown = rows[: query.limit]
        body: dict[str, Any] = {"releases": [audit.audit_entry(row) for row in shown]}
        if len(rows) > query.limit:
            body["next"] = place_cursor(shown[-1].at, shown[-1].log_id, shown[-1].position)
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
