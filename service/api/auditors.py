"""An auditor's routes: who got what, when, under which rule. Reading is itself on record, in `officers`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
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
from service.errors import NotVisible, Rejected
from service.releaselog.leaf import path_id
from service.releaselog.merkle import TREE_SIZE_MAX
from service.settings import AUDIT_DAYS_MAX, LOG_SLOTS, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX
from service.sharing import answers, audit
from service.sharing.acts import Actor
from service.sharing.installation import Installation
from service.sharing.rootlog import opening
from service.sharing.signals import Thresholds, signals
from service.store import Connection, log_answers, log_pages
from service.store.logs import AuditFilter, Position
from service.store.times import micros

router = APIRouter(prefix="/v1", dependencies=[Depends(admit)], default_response_class=Response)

_NO_STORE: Final = {"cache-control": "no-store"}
_PROBLEMS: Final = describe.with_token()
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,15}")


_Word = Annotated[str, Field(max_length=100)]


class Filters(BaseModel):
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

    def filter(self) -> AuditFilter | None:
        """What is asked for, pages and formats aside; None where it contradicts itself."""
        return audit.filter_of(**self.model_dump(include=set(Filters.model_fields)))


class ReleasesQuery(Filters):
    """Filters, and a page."""

    limit: int = Field(default=PAGE_LIMIT_DEFAULT, ge=1, le=PAGE_LIMIT_MAX)
    cursor: str | None = Field(default=None, max_length=100, description="`next` of the page before")


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
        looked = installation.acts.reading("look.releases", actor, asked)
        wanted = query.filter()
        if wanted is None:
            return {"releases": []}, looked
        with installation.database.reading() as connection:
            before = None if cursor is None else Position(*cursor)
            page = log_pages.page(connection, wanted, before=before, limit=query.limit)
            body: dict[str, Any] = {"releases": audit.audit_entries(connection, page.rows)}
            body |= audit.pruned_of(connection, wanted)
        if page.next is not None:
            body["next"] = bound_cursor(asked, page.next.at, page.next.log_id, page.next.position)
        return body, looked

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
            entry = audit.audit_entry(connection, audit.opened_entry(connection, event_id))
        return entry, installation.acts.reading("look.entry", actor, {"event_id": event_id})

    body, looked = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": looked})


# --- answers ----------------------------------------------------------------------------------------------------------


@router.get(
    "/audit/items/{id}/recipients",
    summary="Who was sent which version of an item, and how often",
    responses=describe.answer(shapes.Recipients, "A line for every partner, version and type of entry", recorded=True)
    | _PROBLEMS
    | describe.problems(404),
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def recipients(id: str, actor: ActorDependency, installation: InstallationDependency) -> Response:
    _must_be_an_id(id)

    def read(connection: Connection) -> dict[str, Any]:
        pruned = audit.pruned_of(connection, AuditFilter(partners_only=True))
        return {"item": id, "recipients": answers.recipients(connection, id), **pruned}

    return await _read(installation, actor, "look.recipients", {"item": id}, read)


class Stretch(BaseModel):
    """A stretch of time."""

    model_config = ConfigDict(extra="forbid")
    since: AwareDatetime = Field(description="From this time on")
    until: AwareDatetime = Field(description="Before this time")

    def micros(self) -> tuple[int, int]:
        """Both ends.

        Raises:
            Rejected: it is longer than the service reads at once.
        """
        if self.until - self.since > timedelta(days=AUDIT_DAYS_MAX):
            raise Rejected(f"`since` and `until` are more than {AUDIT_DAYS_MAX} days apart", code="stretch")
        return micros(self.since), micros(self.until)


@router.get(
    "/audit/clients/{client}/activity",
    summary="What a client did, day by day",
    responses=describe.answer(shapes.ClientActivity, "A line for every day, log, type and result", recorded=True)
    | _PROBLEMS
    | describe.problems(404),
)
@route(Access.AUDITOR)
async def activity(
    client: str, query: Annotated[Stretch, Query()], actor: ActorDependency, installation: InstallationDependency
) -> Response:
    _must_be_an_id(client)
    since, until = query.micros()

    def read(connection: Connection) -> dict[str, Any]:
        pruned = audit.pruned_of(connection, AuditFilter(since=since, until=until))
        return {"client": client, "activity": answers.activity(connection, client, since=since, until=until), **pruned}

    return await _read(installation, actor, "look.activity", {"client": client, **query.model_dump(mode="json")}, read)


class FirstsQuery(BaseModel):
    """Whose first times, and when."""

    model_config = ConfigDict(extra="forbid")
    partner: str = Field(max_length=64)
    since: AwareDatetime | None = Field(default=None, description="From this time on")
    until: AwareDatetime | None = Field(default=None, description="Before this time")
    limit: int = Field(default=PAGE_LIMIT_DEFAULT, ge=1, le=PAGE_LIMIT_MAX)
    cursor: str | None = Field(default=None, max_length=100, description="`next` of the page before")


@router.get(
    "/audit/firsts",
    summary="What a partner was sent for the first time: items, versions, levels, categories; oldest first",
    responses=describe.answer(shapes.FirstReleases, "A page; it may be short and have a `next`", recorded=True) | _PROBLEMS,
)
@route(Access.AUDITOR)
async def first_releases(query: Annotated[FirstsQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    asked = query.model_dump(exclude_none=True, mode="json", exclude={"limit", "cursor"})
    (start,) = read_bound_cursor(query.cursor, 1, asked) or (0,)

    def read(connection: Connection) -> dict[str, Any]:
        found = answers.first_releases(
            connection, query.partner, since=query.since, until=query.until, from_position=start, limit=query.limit
        )
        # What was pruned before the stretch bears on it too: a first time may have been there.
        until = None if query.until is None else micros(query.until)
        pruned = audit.pruned_of(connection, AuditFilter(log=query.partner, partners_only=True, until=until))
        body: dict[str, Any] = {"partner": query.partner, "firsts": list(found.lines), **pruned}
        if found.next is not None:
            body["next"] = bound_cursor(asked, found.next)
        return body

    return await _read(installation, actor, "look.firsts", asked, read)


class SignalsQuery(Stretch):
    """When, and from how many on something stands out."""

    minutes: int = Field(default=Thresholds().minutes, ge=1, le=1440, description="The window")
    absent_ids: int = Field(default=Thresholds().absent_ids, ge=1, le=1_000_000, description="Distinct ids that never were")
    withheld_ids: int = Field(default=Thresholds().withheld_ids, ge=1, le=1_000_000, description="Distinct ids that were withheld")
    requests: int = Field(default=Thresholds().requests, ge=1, le=1_000_000, description="Requests of any kind")


@router.get(
    "/audit/signals",
    summary="Bursts and attempts at enumeration, each with its rule and numbers",
    responses=describe.answer(shapes.Signals, "By where they begin", recorded=True) | _PROBLEMS,
)
@route(Access.AUDITOR)
async def find_signals(query: Annotated[SignalsQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    since, until = query.micros()
    thresholds = Thresholds(query.minutes, query.absent_ids, query.withheld_ids, query.requests)

    def read(connection: Connection) -> dict[str, Any]:
        found = signals(log_answers.requests(connection, since=since, until=until), thresholds)
        pruned = audit.pruned_of(connection, AuditFilter(partners_only=True, since=since, until=until))
        return {"signals": [signal.to_json() for signal in found], **pruned}

    return await _read(installation, actor, "look.signals", query.model_dump(mode="json"), read)


def _must_be_an_id(segment: str) -> None:
    """What is no id names nothing, and is not written into a leaf as if it did."""
    if path_id(segment.encode("utf-8", "surrogateescape")) != segment:
        raise NotVisible


async def _read(
    installation: Installation, actor: Actor, type_: str, asked: dict[str, Any], read: Callable[[Connection], dict[str, Any]]
) -> Response:
    """What an auditor reads, once it is on record that he does."""

    def run() -> tuple[dict[str, Any], str]:
        looked = installation.acts.reading(type_, actor, asked)
        with installation.database.reading() as connection:
            return read(connection), looked

    body, looked = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": looked})


# --- logs -------------------------------------------------------------------------------------------------------------


@router.get(
    "/log/root/heads/{index}",
    summary="A root with all its slots, opened",
    responses=describe.answer(shapes.RootOpened, "The secret, and the head in every used slot", recorded=True)
    | _PROBLEMS
    | describe.problems(404),
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def root_heads(index: str, actor: ActorDependency, installation: InstallationDependency) -> Response:
    if not _INDEX.fullmatch(index):
        raise NotVisible

    def run() -> tuple[dict[str, Any], str]:
        with installation.database.reading() as connection:
            opened = opening(connection, int(index))
        entry = installation.acts.look("look.heads", actor, [], {"index": opened.index})
        body = {
            "index": opened.index,
            "slots": LOG_SLOTS,
            "leaf": opened.leaf.decode("utf-8"),
            "heads_root": opened.heads_root.hex(),
            "secret": opened.secret.hex(),
            "heads": [{"slot": slot, "head": note} for slot, note in sorted(opened.heads.items())],
        }
        return body, entry.event_id

    body, looked = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": looked})


class SizeQuery(BaseModel):
    """Which tree."""

    model_config = ConfigDict(extra="forbid")
    size: int | None = Field(default=None, ge=1, le=TREE_SIZE_MAX, description="Of the tree; that of the latest checkpoint if left out")


@router.get(
    "/audit/entries/{log}/{index}",
    summary="One entry by its place, with the proof that it is in its log",
    responses=describe.answer(shapes.ProvenEntry, "The entry and its inclusion proof", recorded=True) | _PROBLEMS | describe.problems(404),
)
@route(Access.AUDITOR)
async def entry_at(
    log: str, index: str, query: Annotated[SizeQuery, Query()], actor: ActorDependency, installation: InstallationDependency
) -> Response:
    place = int(index) if _INDEX.fullmatch(index) else None

    def run() -> tuple[dict[str, Any], str]:
        if place is None:
            raise NotVisible
        with installation.database.reading() as connection:
            body = audit.proven_entry(connection, log, place, query.size)
        details = {"event_id": body["entry"]["face"]["event_id"], "size": body["size"]}
        return body, installation.acts.reading("look.entry", actor, details)

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
