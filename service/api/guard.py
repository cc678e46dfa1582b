"""The outermost layer: refuses to start a response on a recorded route without a committed entry for these very bytes.

It trusts no handler. A body on a recorded route passes only if its first message carries a committed entry whose
`body_sha256` is that of the body; bodies up to 8 MiB are held and hashed before the first byte leaves; files are hashed as they
are sent, the last block held back until the digest is known, and a mismatch cuts the connection. What is long on its way is
cut within a second once it would no longer be released (promise 8).

It also keeps path segments as they were sent: an encoded slash in an id is part of the id, so that every id whatever gets the
same answer from the same route.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NoReturn

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.access import Access, Rule, rule_of
from service.api.problems import problem, unforeseen
from service.api.responses import RELEASED
from service.errors import Broken, ServiceError
from service.settings import BODY_BYTES_BUFFERED_MAX
from service.sharing.gate import Ask, Gate, Released

log = logging.getLogger(__name__)

UNRECORDED_STATUSES: Final = frozenset({401, 403, 405, 413, 422, 429, 503})
"""Answered from the request alone, before the store is touched; they are counted, not leaves."""
_PROBLEM_BYTES_MAX: Final = 8192
_BLOCK_BYTES: Final = 1 << 16
_WATCHED_FROM_BYTES: Final = 1 << 18
_REVOCATION_ANSWER_SECONDS: Final = 0.4
"""How long the question whether a body may go on waits for its answer; with the longest time between questions, below a second."""
_REVOCATION_THREADS: Final = 2


class _Cut(Exception):
    """The connection is to be closed without a proper end, so that the receiver knows it has not got all."""


class Guard:
    """Wraps the application. `answered` is told the status of every answer."""

    def __init__(
        self, app: FastAPI, *, gate: Gate, revocation_poll_seconds: float, answered: Callable[[int], None] = lambda status: None
    ) -> None:
        self.app: Final = app
        self._answered: Final = answered
        self._inner: Final[ASGIApp] = app
        self._gate: Final = gate
        self._poll: Final = revocation_poll_seconds
        # Threads of its own: in the common pool officers' acts wait for locks, and the question would wait behind them.
        self._askers: Final = ThreadPoolExecutor(_REVOCATION_THREADS, thread_name_prefix="revocation")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        scope = _with_segments_as_sent(scope)

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._answered(message["status"])
            await send(message)

        sender = _Sender(scope, counted, self._gate, self._poll, self._askers)
        try:
            await self._inner(scope, _limited(scope, receive), sender)
        except _Cut:
            log.warning("a body was cut on its way")
        except Exception as error:  # noqa: BLE001  the very edge: logged without its message, answered without a body of ours
            unforeseen(error, "the edge")
            await sender.instead(503)
        finally:
            sender.stop_watching()
        if not sender.complete and not sender.started:
            await sender.instead(503)


def _with_segments_as_sent(scope: Scope) -> Scope:
    raw: bytes | None = scope.get("raw_path")
    if raw is None or not scope["path"].startswith("/v1/"):
        return scope
    return {**scope, "path": raw.split(b"?", 1)[0].decode("latin-1")}


def _limited(scope: Scope, receive: Receive) -> Receive:
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            rule = rule_of(scope.get("endpoint"))
            if rule is not None and taken > rule.body_bytes_max:
                raise HTTPException(413)
        return message

    return limited


class _Sender:
    """Passes an application's messages on, or does not."""

    def __init__(self, scope: Scope, send: Send, gate: Gate, poll_seconds: float, askers: ThreadPoolExecutor) -> None:
        self._scope: Final = scope
        self._send: Final = send
        self._gate: Final = gate
        self._poll: Final = poll_seconds
        self._askers: Final = askers
        self._start: Message | None = None
        self._released: Released | None = None
        self._ask: Ask | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._hash: Final = hashlib.sha256()
        self._hashed_bytes = 0
        self._revoked: asyncio.Future[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self.started = False
        self.complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            released, ask = message.pop(RELEASED, (None, None))
            if not self._recorded():
                if released is not None:
                    raise Broken("a recorded answer on a route that is not")
                self.started = True
            # An error on the way begins another response: nothing held of the first may ride along with it.
            self._held, self._held_bytes = [], 0
            self._start, self._released, self._ask = message, released, ask
            if self.started:
                await self._send(message)
            return
        if not self._recorded():
            self.complete = not message.get("more_body", False)
            await self._send(message)
            return
        await self._body(message.get("body", b""), more=message.get("more_body", False))

    async def instead(self, status: int) -> None:
        """Answer with a problem, if nothing has left yet."""
        if self.started:
            return
        self.started = self.complete = True
        await problem(status, headers={"retry-after": "1"} if status == 503 else None)(self._scope, _no_receive, self._send)

    def _recorded(self) -> bool:
        rule: Rule | None = rule_of(self._scope.get("endpoint"))
        return rule is not None and rule.access is Access.RECORDED

    async def _body(self, block: bytes, *, more: bool) -> None:
        if self._start is None:
            raise Broken("a body before its response began")
        if self._released is None:
            await self._unrecorded(block, more=more)
            return
        if self._scope["method"] == "HEAD":
            if block:
                raise Broken("a body in answer to HEAD")
            if not more:
                await self._begin()
                await self._finish(b"")
            return
        if self._released.prepared.file is not None:
            await self._stream(block, more=more)
            return
        self._held.append(block)
        self._held_bytes += len(block)
        if self._held_bytes > BODY_BYTES_BUFFERED_MAX:
            raise Broken("a recorded body of more bytes than are held")
        if not more:
            body = b"".join(self._held)
            if hashlib.sha256(body).digest() != self._released.entry.body_sha256:
                raise Broken("a body other than the one on record")
            await self._begin()
            await self._send_all(body)

    async def _unrecorded(self, block: bytes, *, more: bool) -> None:
        if self._start is None or self._start["status"] not in UNRECORDED_STATUSES:
            raise Broken("a response on a recorded route without an entry")
        self._held.append(block)
        self._held_bytes += len(block)
        if self._held_bytes > _PROBLEM_BYTES_MAX:
            raise Broken("a problem of more bytes than any has")
        if not more:
            self.started = True
            await self._send(self._start)
            await self._finish(b"".join(self._held))

    async def _stream(self, block: bytes, *, more: bool) -> None:
        """Hash blocks as they go, one always held back, so that the last leaves only once the whole is known to be right."""
        if self._released is None or self._released.prepared.file is None:
            raise Broken("a file without an entry")
        if not self.started:
            await self._begin()
            self._start_watch()
        self._hash.update(block)
        self._hashed_bytes += len(block)
        if self._hashed_bytes > self._released.prepared.file.size:
            # What is held back now may be the last that the receiver waits for: with it, a wrong file would look whole.
            self._cut_file()
        held = b"".join(self._held)
        if more:
            if block:
                self._held = [block]
                if held:
                    await self._send_watched({"type": "http.response.body", "body": held, "more_body": True})
            return
        if self._hash.digest() != self._released.entry.body_sha256:
            self._cut_file()
        await self._finish(held + block)

    def _cut_file(self) -> NoReturn:
        if self._released is not None:
            log.error("file `%s` in the data folder is not what its name says", self._released.prepared.body_sha256.hex())
        raise _Cut

    async def _begin(self) -> None:
        if self._start is None or self._released is None:
            raise Broken("a response without an entry")
        headers = [*self._start["headers"], (b"release-event", self._released.entry.event_id.encode("ascii"))]
        self.started = True
        await self._send({**self._start, "headers": headers})

    async def _send_all(self, body: bytes) -> None:
        if len(body) <= _WATCHED_FROM_BYTES:
            await self._finish(body)
            return
        self._start_watch()
        view = memoryview(body)
        last = (len(body) - 1) // _BLOCK_BYTES * _BLOCK_BYTES
        for begin in range(0, last, _BLOCK_BYTES):
            block = bytes(view[begin : begin + _BLOCK_BYTES])
            await self._send_watched({"type": "http.response.body", "body": block, "more_body": True})
        await self._finish(bytes(view[last:]))

    async def _finish(self, block: bytes) -> None:
        await self._send_watched({"type": "http.response.body", "body": block})
        self.complete = True

    # --- what is long on its way --------------------------------------------------------------------------------------

    def _start_watch(self) -> None:
        self._revoked = asyncio.get_running_loop().create_future()
        self._watch = asyncio.create_task(self._watch_revocation())
        self._watch.add_done_callback(_tell_what_failed)

    def stop_watching(self) -> None:
        """Ask no more, whatever the end was."""
        if self._watch is not None:
            self._watch.cancel()

    async def _watch_revocation(self) -> None:
        if self._released is None or self._ask is None or self._revoked is None:
            return
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._poll)
            asked = loop.run_in_executor(self._askers, self._gate.still_released, self._ask, self._released)
            allowed = False
            try:
                allowed = await asyncio.wait_for(asked, _REVOCATION_ANSWER_SECONDS)
            except (ServiceError, TimeoutError):
                return
            finally:
                # Whatever came instead of an answer: not known to be allowed is not allowed.
                if not allowed and not self._revoked.done():
                    self._revoked.set_result(None)
            if not allowed:
                return

    async def _send_watched(self, message: Message) -> None:
        """Send, unless what is being sent is revoked: then cut, even while the receiver keeps us waiting."""
        if self._revoked is None:
            await self._send(message)
            return
        if self._revoked.done():
            raise _Cut
        sending = asyncio.ensure_future(self._send(message))
        await asyncio.wait({sending, self._revoked}, return_when=asyncio.FIRST_COMPLETED)
        if not sending.done():
            sending.cancel()
            raise _Cut
        await sending


def _tell_what_failed(watch: asyncio.Task[None]) -> None:
    error = None if watch.cancelled() else watch.exception()
    if isinstance(error, Exception):
        unforeseen(error, "the question whether a body may go on")


async def _no_receive() -> Message:
    return {"type": "http.disconnect"}
