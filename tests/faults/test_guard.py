"""The guard trusts no handler: whatever a recorded route tries to send, only what is on record leaves.

The real guard, a tiny application, and handlers that misbehave. The gate is asked only whether what is on its way may still go.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from starlette.responses import JSONResponse, Response, StreamingResponse

from service.api import problems
from service.api.access import Access, route
from service.api.guard import Guard
from service.api.responses import RELEASED, RecordedFile, RecordedResponse
from service.errors import Broken, Busy
from service.settings import BODY_BYTES_BUFFERED_MAX
from service.sharing.gate import Ask, Gate, Prepared, Released, StoredFile
from service.sharing.ledger import Entry
from service.store.files import BLOCK_BYTES, FileStore
from tests.support.faults import UNAVAILABLE, Answer, ask

ASK = cast(Ask, object())
SECRET = b'{"secret":"of another answer"}'


class Gates:
    """Answers whether what is being sent may go on, as it is told to."""

    def __init__(self, still: Callable[[], bool] = lambda: True) -> None:
        self.still = still
        self.asked = 0

    def still_released(self, _ask: Ask, _released: Released) -> bool:
        self.asked += 1
        return self.still()


def released(body: bytes, *, recorded: bytes | None = None, file: StoredFile | None = None) -> Released:
    """A release of a body, or of a file; `recorded` is what its entry says was sent, where that differs."""
    sha256 = file.sha256 if file is not None else hashlib.sha256(body if recorded is None else recorded).digest()
    prepared = Prepared(
        act=1, holds_from=0, holds_until=1, type="item", status=200, result="sent", body=body, body_sha256=sha256,
        media_type="application/json", items=b"[]", record={}, file=file,
    )  # fmt: skip
    return Released(Entry("e_1", "JPN", 0, 0, sha256), prepared)


def guarded(handler: Callable[..., Any], *, access: Access = Access.RECORDED, gate: Gates | None = None, poll: float = 0.02) -> Guard:
    app = FastAPI()
    problems.install(app)
    app.add_api_route("/v1/thing", route(access)(handler), methods=["GET", "HEAD"], response_model=None)
    return Guard(app, gate=cast(Gate, gate or Gates()), revocation_poll_seconds=poll)


def answer_of(handler: Callable[..., Any], *, method: str = "GET", **options: Any) -> Answer:
    async def run() -> Answer:
        answer = await ask(guarded(handler, **options), method, "/v1/thing", {})
        for _ in range(3):
            await asyncio.sleep(0)  # what was told to end, ends
        left = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
        assert not left, "something goes on after the answer"
        return answer

    return asyncio.run(run())


def _is_503(answer: Answer) -> None:
    assert (answer.status, answer.body, answer.complete, answer.event) == (503, UNAVAILABLE, True, None)


# --- what passes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 5000, 1 << 18, (1 << 18) + 1, 3_000_000, BODY_BYTES_BUFFERED_MAX])
def test_a_body_that_is_on_record_leaves_whole_and_names_its_event(size: int) -> None:
    body = b"x" * size

    async def handler() -> Response:
        return RecordedResponse(released(body), ASK)

    answer = answer_of(handler)
    assert (answer.status, answer.body, answer.complete, answer.event) == (200, body, True, "e_1")


def test_a_head_carries_the_event_and_no_body() -> None:
    async def handler() -> Response:
        return RecordedResponse(released(b"{}"), ASK, head=True)

    answer = answer_of(handler, method="HEAD")
    assert (answer.status, answer.body, answer.event, answer.headers["content-length"]) == (200, b"", "e_1", "2")


@pytest.mark.parametrize("status", [401, 403, 405, 413, 422, 429, 503])
def test_what_is_answered_from_the_request_alone_needs_no_entry(status: int) -> None:
    async def handler() -> Response:
        return problems.problem(status)

    assert answer_of(handler).status == status


# --- what does not -----------------------------------------------------------------------------------------------------------


async def _plain() -> Response:
    return JSONResponse({"secret": "of another answer"})


async def _not_found_unrecorded() -> Response:
    return Response(b'{"type":"about:blank","title":"Not Found","status":404}', 404)


async def _a_dict() -> Any:
    return {"secret": "of another answer"}


async def _other_body() -> Response:
    return RecordedResponse(released(SECRET, recorded=b"{}"), ASK)


async def _changed_after() -> Response:
    response = RecordedResponse(released(b"{}"), ASK)
    response.body = SECRET
    return response


async def _too_long_a_problem() -> Response:
    return Response(b"s" * 8193, 422)


async def _more_than_is_held() -> Response:
    return RecordedResponse(released(b"x" * (BODY_BYTES_BUFFERED_MAX + 1)), ASK)


async def _raises() -> Response:
    raise ValueError("secret")


async def _broken() -> Response:
    raise Broken("secret")


async def _busy() -> Response:
    raise Busy("secret")


class _Raw(Response):
    """Sends what it was given, message by message, and then raises what it was given."""

    def __init__(self, messages: list[dict[str, Any]], error: Exception | None = None) -> None:
        super().__init__()
        self.messages = messages
        self.error = error

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        for message in self.messages:
            await send(message)
        if self.error is not None:
            raise self.error


def _start(status: int = 200, entry: Released | None = None) -> dict[str, Any]:
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": []}
    return start if entry is None else {**start, RELEASED: (entry, ASK)}


def _block(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _in_two_blocks() -> Response:
    return _Raw([_start(), _block(SECRET[:4]), _block(SECRET[4:], more=False)])


async def _a_body_first() -> Response:
    return _Raw([_block(SECRET, more=False)])


async def _one_entry_another_body() -> Response:
    return _Raw([_start(entry=released(b"{}")), _block(b"{}"), _block(SECRET, more=False)])


async def _never_ends() -> Response:
    return _Raw([_start(entry=released(b"{}")), _block(b"{}")])


async def _starts_only() -> Response:
    return _Raw([_start(entry=released(b"{}"))])


async def _nothing() -> Response:
    return _Raw([])


async def _fails_half_way() -> Response:
    return _Raw([_start(entry=released(SECRET)), _block(SECRET[:9])], ValueError("secret"))


async def _fails_half_way_as_foreseen() -> Response:
    return _Raw([_start(entry=released(SECRET)), _block(SECRET[:9])], Broken("secret"))


async def _streams() -> Response:
    async def blocks() -> AsyncIterator[bytes]:
        yield SECRET

    return StreamingResponse(blocks())


async def _second_start() -> Response:
    # What is held of the first response must not ride along with the second, nor the first one's entry vouch for it.
    return _Raw([_start(entry=released(SECRET)), _block(SECRET), _start(422), _block(b"{}", more=False)])


@pytest.mark.parametrize(
    "handler",
    [
        _plain,
        _not_found_unrecorded,
        _a_dict,
        _other_body,
        _changed_after,
        _too_long_a_problem,
        _more_than_is_held,
        _raises,
        _broken,
        _busy,
        _in_two_blocks,
        _a_body_first,
        _one_entry_another_body,
        _never_ends,
        _starts_only,
        _nothing,
        _fails_half_way,
        _fails_half_way_as_foreseen,
        _streams,
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_it_sends_nothing_that_is_not_on_record(handler: Callable[..., Any], method: str) -> None:
    answer = answer_of(handler, method=method)
    if method == "HEAD" and handler in (_changed_after, _other_body):
        assert answer.status == 503
    _is_503(answer)


def test_a_body_after_an_error_never_carries_what_was_held_of_the_first() -> None:
    answer = answer_of(_second_start)
    assert (answer.status, answer.body, answer.complete, answer.event) == (422, b"{}", True, None)


def test_a_recorded_answer_on_a_route_that_is_not_recorded_is_refused() -> None:
    async def handler() -> Response:
        return RecordedResponse(released(SECRET), ASK)

    answer = answer_of(handler, access=Access.EVERYONE)
    assert answer.status == 503
    assert SECRET not in answer.body


# --- files ---------------------------------------------------------------------------------------------------------------------


def _file(folder: Path, content: bytes) -> tuple[FileStore, StoredFile]:
    store = FileStore(folder)
    sha256, size = store.put([content])
    return store, StoredFile(sha256, size)


CONTENT = bytes(range(256)) * 1024  # four blocks, exactly
assert len(CONTENT) == 4 * BLOCK_BYTES


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 4 * BLOCK_BYTES])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_that_is_what_its_entry_says_leaves_whole(tmp_path: Path, size: int, method: str) -> None:
    store, file = _file(tmp_path, CONTENT[:size])

    async def handler() -> Response:
        return RecordedFile(released(b"", file=file), ASK, store, head=method == "HEAD")

    answer = answer_of(handler, method=method)
    assert (answer.status, answer.complete, answer.event) == (200, True, "e_1")
    assert answer.headers["content-length"] == str(size)
    assert answer.body == (CONTENT[:size] if method == "GET" else b"")


ALTERATIONS = {
    "first byte": lambda content: b"!" + content[1:],
    "last byte": lambda content: content[:-1] + b"!",
    "cut by a byte": lambda content: content[:-1],
    "cut by a block": lambda content: content[:-BLOCK_BYTES],
    "emptied": lambda content: b"",
    "a byte more": lambda content: content + b"!",
    "a block more": lambda content: content + b"!" * BLOCK_BYTES,
    "twice": lambda content: content + content,
    "another, longer": lambda content: b"!" * (len(content) + 5 * BLOCK_BYTES),
}


@pytest.mark.parametrize("size", [1, BLOCK_BYTES, BLOCK_BYTES + 1, 4 * BLOCK_BYTES], ids=["a byte", "a block", "and a byte", "blocks"])
@pytest.mark.parametrize("altered", ALTERATIONS)
def test_a_file_altered_on_disk_is_cut_before_its_last_byte(tmp_path: Path, altered: str, size: int) -> None:
    store, file = _file(tmp_path, CONTENT[:size])
    store.path(file.sha256).write_bytes(ALTERATIONS[altered](CONTENT[:size]))

    async def handler() -> Response:
        return RecordedFile(released(b"", file=file), ASK, store)

    answer = answer_of(handler)
    if answer.status == 503:
        return _is_503(answer)
    assert not answer.complete
    assert len(answer.body) < size, "as many bytes as were promised: to the receiver that is the whole file"
    return None


def test_a_file_that_storage_has_lost_is_a_503(tmp_path: Path) -> None:
    store, file = _file(tmp_path, CONTENT)
    store.path(file.sha256).unlink()

    async def handler() -> Response:
        return RecordedFile(released(b"", file=file), ASK, store)

    _is_503(answer_of(handler))


def test_a_file_whose_reading_fails_half_way_is_cut_and_forgotten(tmp_path: Path) -> None:
    """Forgotten too: `answer_of` sees that nothing goes on asking about it."""
    _, file = _file(tmp_path, CONTENT)

    async def handler() -> Response:
        return _Raw([_start(entry=released(b"", file=file)), _block(CONTENT[:9]), _block(CONTENT[9:99])], OSError("gone"))

    answer = answer_of(handler)
    assert not answer.complete
    assert answer.body == CONTENT[:9]


def test_a_file_shorter_than_its_blocks_say_it_ends_is_cut(tmp_path: Path) -> None:
    _, file = _file(tmp_path, CONTENT)

    async def handler() -> Response:
        return _Raw([_start(entry=released(b"", file=file)), _block(CONTENT[:9]), _block(CONTENT[9:99])])

    answer = answer_of(handler)
    assert not answer.complete


# --- what is long on its way -----------------------------------------------------------------------------------------------------


class _SlowReceiver:
    """Takes a few messages and then no more."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.taken = 0
        self.stuck = asyncio.Event()

    async def __call__(self, _message: Any) -> None:
        if self.taken == self.takes:
            self.stuck.set()
            await asyncio.Event().wait()
        self.taken += 1


def _cut_after(gate: Gates, handler: Callable[..., Any], act: Callable[[], None], *, takes: int = 3) -> float:
    """Seconds from the act until a stuck response is let go."""

    async def run() -> float:
        receiver = _SlowReceiver(takes)
        loop = asyncio.get_running_loop()
        asked = asyncio.create_task(ask(guarded(handler, gate=gate, poll=0.4), "GET", "/v1/thing", {}, sent=receiver))
        await receiver.stuck.wait()
        act()
        begun = loop.time()
        await asyncio.wait_for(asked, 5)
        answer = asked.result()
        assert not answer.complete
        assert len(answer.body) < len(CONTENT)
        return loop.time() - begun

    return asyncio.run(run())


def _sent_slowly(tmp_path: Path, what: str) -> Callable[..., Any]:
    store, file = _file(tmp_path, CONTENT)

    async def handler() -> Response:
        if what == "file":
            return RecordedFile(released(b"", file=file), ASK, store)
        return RecordedResponse(released(CONTENT * 2), ASK)

    return handler


@pytest.mark.parametrize("what", ["file", "body"])
@pytest.mark.parametrize("why", ["revoked", "unknown", "unforeseen"])
def test_what_is_on_its_way_is_cut_within_a_second_while_the_receiver_takes_nothing(tmp_path: Path, what: str, why: str) -> None:
    def unknown() -> bool:
        raise Busy("the database cannot be reached")

    def unforeseen() -> bool:
        raise RuntimeError("nobody thought of this")

    gate = Gates()

    def act() -> None:
        gate.still = {"revoked": lambda: False, "unknown": unknown, "unforeseen": unforeseen}[why]

    assert _cut_after(gate, _sent_slowly(tmp_path, what), act) < 1


def test_it_is_cut_within_a_second_though_every_thread_is_busy(tmp_path: Path) -> None:
    """Other work, however long, does not keep the question waiting: acts wait for a lock in the same pool of threads."""
    end = threading.Event()
    gate = Gates()

    async def handler() -> Response:
        loop = asyncio.get_running_loop()
        for _ in range(64):
            loop.run_in_executor(None, end.wait, 3)
        return RecordedResponse(released(CONTENT * 2), ASK)

    def act() -> None:
        gate.still = lambda: False

    try:
        # The pool is of this loop and is joined at its end, so it is let go as soon as the answer is cut.
        assert _cut_after(gate, _and_then(handler, end), act) < 1
    finally:
        end.set()


def _and_then(handler: Callable[..., Any], end: threading.Event) -> Callable[..., Any]:
    async def both() -> Response:
        response = await handler()
        asyncio.get_running_loop().call_later(2.5, end.set)
        return cast(Response, response)

    return both


def test_it_is_cut_within_a_second_though_the_question_gets_no_answer(tmp_path: Path) -> None:
    """What is not known to be allowed is not allowed."""
    end = threading.Event()
    gate = Gates()

    def hangs() -> bool:
        end.wait(3)
        return True

    def act() -> None:
        gate.still = hangs

    try:
        assert _cut_after(gate, _sent_slowly(tmp_path, "file"), act) < 1
    finally:
        end.set()


def test_what_may_go_on_goes_on(tmp_path: Path) -> None:
    gate = Gates()
    store, file = _file(tmp_path, CONTENT)

    async def handler() -> Response:
        return RecordedFile(released(b"", file=file), ASK, store)

    async def slowly(message: Any) -> None:
        while message["type"] == "http.response.body" and gate.asked < 3:
            await asyncio.sleep(0.005)

    async def run() -> Answer:
        return await ask(guarded(handler, gate=gate, poll=0.01), "GET", "/v1/thing", {}, sent=slowly)

    answer = asyncio.run(run())
    assert (answer.complete, answer.body) == (True, CONTENT)
    assert gate.asked >= 3
