"""The responses of recorded routes. They can only be built from a committed entry, so "no record, no release" cannot be forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import anyio.to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.sharing.gate import Ask, Released
from service.store.files import BLOCK_BYTES, FileStore

RELEASED: Final = "entente.released"
"""Key under which a response's first message carries its entry to the guard, which takes it out again."""


class RecordedResponse(Response):
    """A JSON or problem body whose record is durable.

    The guard sets `Release-Event` and sends nothing whose SHA-256 is not that of the entry.
    """

    def __init__(self, released: Released, ask: Ask, *, head: bool = False) -> None:
        prepared = released.prepared
        super().__init__(b"" if head else prepared.body, prepared.status)
        self.released: Final = released
        self.ask: Final = ask
        # Of HEAD too, the length is that of the body that GET would have.
        self.raw_headers = [
            (b"content-type", prepared.media_type.encode("latin-1")),
            (b"content-length", b"%d" % len(prepared.body)),
            (b"cache-control", b"no-store"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers, RELEASED: (self.released, self.ask)}
        )
        await send({"type": "http.response.body", "body": self.body})


class RecordedFile(Response):
    """A file whose record is durable, sent in blocks from storage by digest; the guard hashes them as they go."""

    def __init__(self, released: Released, ask: Ask, files: FileStore, *, head: bool = False) -> None:
        prepared = released.prepared
        if prepared.file is None:
            raise ValueError("a file response is built from a prepared file")
        super().__init__(b"", prepared.status, media_type=None)
        self.released: Final = released
        self.ask: Final = ask
        self._files: Final = files
        self._file: Final = prepared.file
        self._head: Final = head
        # Sent as an attachment and never sniffed: what a partner uploaded to us is not to run in another's browser.
        self.headers["content-type"] = prepared.media_type
        self.headers["content-disposition"] = "attachment"
        self.headers["x-content-type-options"] = "nosniff"
        self.headers["cache-control"] = "no-store"
        self.headers["content-length"] = str(self._file.size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Opened before anything is sent: a file that storage has lost is a 503, not a broken 200.
        blocks = self._blocks()
        first = b"" if self._head else await anext(blocks, b"")
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers, RELEASED: (self.released, self.ask)}
        )
        if not self._head:
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for block in blocks:
                await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _blocks(self) -> AsyncIterator[bytes]:
        stream = await anyio.to_thread.run_sync(self._files.open, self._file.sha256)
        try:
            while block := await anyio.to_thread.run_sync(stream.read, BLOCK_BYTES):
                yield block
        finally:
            stream.close()
