"""A partner's routes. Those about items are recorded: they ask the gate, and answer with what it committed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from typing import Annotated, Any, Final
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import PlainTextResponse, Response

from service.api import describe
from service.api.access import (
    Access,
    AskerDependency,
    CallerDependency,
    InstallationDependency,
    RecordedRoute,
    admit,
    no_query,
    query_as,
    recorded,
    route,
)
from service.api.cursors import place_cursor, read_place_cursor
from service.api.responses import RecordedFile, RecordedResponse
from service.api.shapes import ItemCopy, ItemList, Me, ReceiptShape, Releases, RootProofShape
from service.errors import NotVisible, Rejected
from service.releaselog.tiles import TilePath
from service.settings import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, SEARCH_QUERY_CHARACTERS_MAX
from service.sharing import audit
from service.sharing.accounting import summed_up
from service.sharing.asks import Asker, FileAsk, ItemAsk, ListAsk
from service.sharing.installation import Installation
from service.sharing.ledger import ROOT
from service.sharing.rootlog import root_checkpoint, root_proof
from service.sharing.words import read_query
from service.store import logs

router = APIRouter(prefix="/v1", dependencies=[Depends(admit)], default_response_class=Response)

_IDEMPOTENCY_KEY: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_NO_STORE: Final = {"cache-control": "no-store"}

_LISTS: Final = frozenset({"level", "category"})


class ListQuery(BaseModel):
    """Parameters of a list; any other is refused."""

    model_config = ConfigDict(extra="forbid")
    limit: int = Field(default=PAGE_LIMIT_DEFAULT, ge=1, le=PAGE_LIMIT_MAX)
    cursor: str | None = Field(default=None, max_length=200, description="`next` of the page before")
    since: str | None = Field(default=None, max_length=200, description="`bookmark` of an earlier answer: what came since")
    level: list[Annotated[str, Field(max_length=100)]] | None = Field(default=None, max_length=20, description="The copy's level, any of")
    category: list[Annotated[str, Field(max_length=100)]] | None = Field(
        default=None, max_length=20, description="Among the copy's categories, any of"
    )
    q: str | None = Field(
        default=None,
        min_length=1,
        max_length=SEARCH_QUERY_CHARACTERS_MAX,
        description='Words that all stand in one portion of the copy, and `"quoted phrases"`; case and accents do not count',
    )


def _retry_of(request: Request, asker: Asker, *parts: str) -> tuple[str, bytes] | None:
    """The `Idempotency-Key`, and a digest of what it was given for."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise Rejected("`Idempotency-Key` is 16 to 64 of `[A-Za-z0-9_-]`", code="idempotency-key")
    return key, hashlib.sha256(json.dumps([request.method, asker.purpose, *parts]).encode("utf-8")).digest()


async def list_items(request: Request, asker: Asker, installation: Installation) -> Response:
    """What may be had, in the order in which it became so."""
    query = query_as(request, ListQuery, lists=_LISTS)
    if query.cursor is not None and query.since is not None:
        raise Rejected("expected one of `cursor` and `since`", code="query")
    levels = None if query.level is None else tuple(sorted(set(query.level)))
    categories = None if query.category is None else tuple(sorted(set(query.category)))
    sought = None if query.q is None else read_query(query.q)
    ask = ListAsk(
        asker=asker,
        copies=installation.copies,
        route="/v1/items",
        retry=_retry_of(request, asker, "/v1/items", json.dumps([query.limit, query.cursor, query.since, levels, categories, query.q])),
        limit=query.limit,
        levels=levels,
        categories=categories,
        q=query.q,
        sought=sought,
        cursor=query.cursor,
        since=query.since,
        cursors=installation.cursors,
    )
    released = await installation.gate.release(ask)
    return RecordedResponse(released, ask, head=request.method == "HEAD")


async def get_item(request: Request, asker: Asker, installation: Installation) -> Response:
    """The copy of an item. The body is the copy: its SHA-256 is the `copy_sha256` of the list and of the release log."""
    await no_query(request)
    item = request.path_params["id"]
    ask = ItemAsk(
        asker=asker,
        copies=installation.copies,
        route="/v1/items/{id}",
        retry=_retry_of(request, asker, "/v1/items/{id}", item),
        item=unquote_to_bytes(item),
    )
    released = await installation.gate.release(ask)
    return RecordedResponse(released, ask, head=request.method == "HEAD")


async def get_file(request: Request, asker: Asker, installation: Installation) -> Response:
    """The bytes of a file portion."""
    await no_query(request)
    item, portion = request.path_params["id"], request.path_params["portion"]
    ask = FileAsk(
        asker=asker,
        copies=installation.copies,
        route="/v1/items/{id}/files/{portion}",
        retry=_retry_of(request, asker, "/v1/items/{id}/files/{portion}", item, portion),
        item=unquote_to_bytes(item),
        portion=unquote_to_bytes(portion),
    )
    released = await installation.gate.release(ask)
    head = request.method == "HEAD"
    if released.prepared.file is None:
        return RecordedResponse(released, ask, head=head)
    return RecordedFile(released, ask, installation.files, head=head)


_PROBLEMS: Final = describe.with_token()

_RECORDED: Final = (
    ("/items", list_items, "What may be had", describe.query(ListQuery), describe.answer(ItemList, "A page", recorded=True)),
    (
        "/items/{id}",
        get_item,
        "The copy of an item",
        describe.path("id"),
        describe.answer(ItemCopy, "The copy", recorded=True) | describe.problems(404, recorded=True),
    ),
    (
        "/items/{id}/files/{portion}",
        get_file,
        "The bytes of a file portion",
        describe.path("id", "portion"),
        describe.octets("The file", media_type="*/*", recorded=True) | describe.problems(404, recorded=True),
    ),
)

recorded_router = APIRouter(prefix="/v1", route_class=RecordedRoute, default_response_class=Response)
for _path, _endpoint, _summary, _parameters, _responses in _RECORDED:
    _admitted = recorded(_endpoint)
    for _method in ("GET", "HEAD"):  # HEAD is recorded like GET
        recorded_router.add_api_route(
            _path,
            _admitted,
            methods=[_method],
            operation_id=f"{_endpoint.__name__}_{_method.lower()}",
            summary=_summary,
            openapi_extra={"parameters": [*_parameters, *describe.RECORDED_HEADERS]},
            responses=describe.without_bodies(_responses | _PROBLEMS) if _method == "HEAD" else _responses | _PROBLEMS,
            response_model=None,
        )


# --- a partner's own affairs ----------------------------------------------------------------------------------------


@router.get(
    "/me", summary="Who we are to Entente", responses=describe.answer(Me, "Client and log") | _PROBLEMS, dependencies=[Depends(no_query)]
)
@route(Access.PARTNER)
async def me(caller: CallerDependency, asker: AskerDependency, installation: InstallationDependency) -> Response:
    def read() -> dict[str, Any]:
        with installation.database.reading() as connection:
            head = audit.head_of(connection, asker.log)
            installation.ledger.refresh(connection)
            keys = installation.ledger.vkeys(head.origin)
        return {
            "client": caller.id,
            "partner": asker.partner,
            "role": caller.role,
            "purposes": list(caller.purposes),
            "log": {"origin": head.origin, "key": keys[0], "keys": list(keys)},
        }

    return JSONResponse(await asyncio.to_thread(read), headers=_NO_STORE)


class ReleasesQuery(BaseModel):
    """Parameters of the own accounting."""

    model_config = ConfigDict(extra="forbid")
    limit: int = Field(default=PAGE_LIMIT_DEFAULT, ge=1, le=PAGE_LIMIT_MAX)
    cursor: str | None = Field(default=None, max_length=64, description="`next` of the page before")
    summary: bool = Field(default=False, description="Lines with counts, in place of faces: repeats stand once")


@router.get(
    "/releases",
    summary="Our own log, oldest first",
    responses=describe.answer(Releases, "A page of faces, or of lines that sum up a stretch of the log") | _PROBLEMS,
)
@route(Access.PARTNER)
async def releases(query: Annotated[ReleasesQuery, Query()], asker: AskerDependency, installation: InstallationDependency) -> Response:
    (start,) = read_place_cursor(query.cursor, 1) or (0,)

    def sum_up() -> bytes:
        with installation.database.reading() as connection:
            summary = summed_up(logs.own_leaves(connection, asker.log, from_position=start), limit=query.limit)
            pruned = audit.own_pruned(connection, asker.log, start=start, stop=summary.next)
        body: dict[str, Any] = {"summary": list(summary.lines), "entries": summary.entries, **pruned}
        if summary.next is not None:
            body["next"] = place_cursor(summary.next)
        return json.dumps(body, separators=(",", ":")).encode("utf-8")

    def read() -> bytes:
        with installation.database.reading() as connection:
            rows = logs.own_entries(connection, asker.log, from_position=start, limit=query.limit + 1)
            upto = rows[query.limit][0] if len(rows) > query.limit else None
            pruned = audit.own_pruned(connection, asker.log, start=start, stop=upto)
        shown = rows[: query.limit]
        # Each face is its leaf: the very bytes that were hashed.
        body = b'{"releases":[' + b",".join(leaf for _, leaf in shown) + b"]"
        if upto is not None:
            body += b',"next":"%s"' % place_cursor(upto).encode("ascii")
        if pruned:
            body += b',"pruned":' + json.dumps(pruned["pruned"], separators=(",", ":")).encode("ascii")
        return body + b"}"

    return Response(await asyncio.to_thread(sum_up if query.summary else read), media_type="application/json", headers=_NO_STORE)


@router.get(
    "/releases/{event_id}/receipt",
    summary="Proof that an event is in our log",
    responses=describe.answer(ReceiptShape, "The receipt") | _PROBLEMS | describe.problems(404),
    dependencies=[Depends(no_query)],
)
@route(Access.PARTNER)
async def receipt(event_id: str, asker: AskerDependency, installation: InstallationDependency) -> Response:
    wanted = unquote_to_bytes(event_id).decode("ascii", "replace")

    def read() -> dict[str, str]:
        with installation.database.reading() as connection:
            return dict(audit.receipt(connection, installation.ledger, asker.log, wanted).to_json())

    return JSONResponse(await asyncio.to_thread(read), headers=_NO_STORE)


@router.get(
    "/log/self/checkpoint",
    summary="The signed head of our log",
    responses=describe.octets("A signed note (C2SP tlog-checkpoint)", media_type="text/plain") | _PROBLEMS,
    dependencies=[Depends(no_query)],
)
@route(Access.PARTNER)
async def own_checkpoint(asker: AskerDependency, installation: InstallationDependency) -> Response:
    return await checkpoint_answer(installation, asker.log)


@router.get(
    "/log/self/tile/{path:path}",
    summary="A tile of our log",
    responses=describe.octets("Hashes, or entries (C2SP tlog-tiles)") | _PROBLEMS | describe.problems(404),
    dependencies=[Depends(no_query)],
)
@route(Access.PARTNER)
async def own_tile(path: str, asker: AskerDependency, installation: InstallationDependency) -> Response:
    return await tile_answer(installation, asker.log, path)


@router.get(
    "/log/self/root-proof",
    summary="Proof that the head of our log stands under a root",
    responses=describe.answer(RootProofShape, "Head, slot, way and the root's entry with its proof") | _PROBLEMS | describe.problems(404),
    dependencies=[Depends(no_query)],
)
@route(Access.PARTNER)
async def own_root_proof(asker: AskerDependency, installation: InstallationDependency) -> Response:
    def read() -> dict[str, Any]:
        with installation.database.reading() as connection:
            proof, root = root_proof(connection, installation.ledger, asker.log)
            head = audit.head_of(connection, asker.log)
        keys = installation.ledger.vkeys(root.origin)
        return {
            "origin": head.origin,
            "keys": list(installation.ledger.vkeys(head.origin)),
            **proof.to_json(),
            "root": {"origin": root.origin, "key": keys[0], "keys": list(keys)},
        }

    return JSONResponse(await asyncio.to_thread(read), headers=_NO_STORE)


async def checkpoint_answer(installation: InstallationDependency, log_name: str) -> Response:
    """The checkpoint of a log, as a response."""

    def read() -> str:
        with installation.database.reading() as connection:
            head = audit.head_of(connection, log_name)
            # Under a checkpoint of the root log stands who else has seen it.
            return root_checkpoint(connection, head, head.size) if log_name == ROOT else head.checkpoint

    return PlainTextResponse(await asyncio.to_thread(read), headers=_NO_STORE)


async def tile_answer(installation: InstallationDependency, log_name: str, path: str) -> Response:
    """A tile of a log, as a response."""
    try:
        wanted = TilePath.parse(f"tile/{path}")
    except Rejected:
        raise NotVisible from None

    def read() -> bytes:
        with installation.database.reading() as connection:
            return audit.tile_bytes(connection, log_name, wanted)

    return Response(await asyncio.to_thread(read), media_type="application/octet-stream", headers=_NO_STORE)
