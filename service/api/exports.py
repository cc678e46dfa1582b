"""An auditor's exports over HTTP: streamed, without a limit of rows, on one view of the database.

The look that records an export is committed before its first byte is read, and its event stands in `Release-Event`. The response begins
once there is a first block: what cannot be exported is answered as a problem, not as half a file. What breaks later cuts the
connection, so that nobody takes a part for the whole.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import ExitStack
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from service.api import describe
from service.api.access import Access, InstallationDependency, admit, route
from service.api.auditors import Filters
from service.api.officers import ActorDependency
from service.errors import Rejected
from service.sharing.acts import Actor
from service.sharing.exports.export import Format, exporting
from service.sharing.exports.selection import Selection
from service.sharing.installation import Installation
from service.store.logs import AuditFilter

router = APIRouter(prefix="/v1", dependencies=[Depends(admit)], default_response_class=Response)

_BLOCK_BYTES: Final = 1 << 18
_HEADERS: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    # The report is a page of ours, with styles and nothing else; what it shows is text from records.
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


_TYPES: Final = sorted({f"`{one.media_type.partition(';')[0]}`" for one in Format})


class ExportQuery(Filters):
    """Filters, and what the export is written as."""

    format: Literal["bundle", "compact", "jsonl", "csv", "ocsf", "html"] = Field(
        default="bundle",
        description="`bundle` (a zip with all that is needed to check it), `compact` (one in which what entries have in common is said "
        "once), `jsonl`, `csv`, `ocsf`, or `html` to print",
    )

    def selection(self) -> Selection:
        """What is exported: all logs whole where nothing is asked for, else as on a page.

        Raises:
            Rejected: `partner` and `log` name two logs.
        """
        asked = self.filter()
        if asked is None:
            raise Rejected("`partner` and `log` name two logs, expected one of them", code="query")
        query = self.model_dump(exclude_none=True, mode="json", exclude={"format"})
        return Selection(asked if query else AuditFilter(), query)


@router.get(
    "/audit/export",
    summary="Entries in the order of their logs, as a file",
    responses=describe.octets(f"The export, of type {', '.join(_TYPES)}", media_type="*/*", recorded=True) | describe.with_token(),
)
@route(Access.AUDITOR)
async def export(query: Annotated[ExportQuery, Query()], actor: ActorDependency, installation: InstallationDependency) -> Response:
    selection = query.selection()
    format_ = Format(query.format)
    running = await asyncio.to_thread(_Running, installation, actor, selection, format_)
    return StreamingResponse(
        running.blocks(),
        media_type=format_.media_type,
        headers={
            **_HEADERS,
            "release-event": running.event_id,
            "content-disposition": f'attachment; filename="{format_.file_name}"',
        },
    )


class _Running:
    """An export under way: its view of the database, and the block that comes next. Always ended by `close`, in whichever thread."""

    def __init__(self, installation: Installation, actor: Actor, selection: Selection, format_: Format) -> None:
        self._stack: Final = ExitStack()
        self._stepping: Final = threading.Lock()
        try:
            made = self._stack.enter_context(exporting(installation, actor, selection, format_))
            self.event_id: Final = made.entry.event_id
            self._content: Final = _gathered(made.content(format_))
            self._stack.callback(self._content.close)
            self._next: bytes | None = next(self._content, None)
        # Whatever it was goes on to whoever asked; the view of the database does not stay open for it.
        except BaseException:
            self._stack.close()
            raise

    async def blocks(self) -> AsyncIterator[bytes]:
        try:
            while self._next is not None:
                yield self._next
                await asyncio.to_thread(self._step)
        finally:
            # Not waited for: where the receiver is gone this task is cancelled at every wait, and a thread may still be at its step.
            asyncio.get_running_loop().run_in_executor(None, self.close)

    def _step(self) -> None:
        with self._stepping:
            self._next = next(self._content, None)

    def close(self) -> None:
        with self._stepping:
            self._stack.close()


def _gathered(content: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The same bytes in larger blocks: each costs a hop between threads."""
    held: list[bytes] = []
    length = 0
    for block in content:
        held.append(block)
        length += len(block)
        if length >= _BLOCK_BYTES:
            yield b"".join(held)
            held, length = [], 0
    if held:
        yield b"".join(held)
