"""The release gate: the one way out. Decide, render, make the record durable, and only then answer.

1. *Ask*: what is asked, by whom, for which purpose; nothing is decided yet.
2. *Prepare*: the policy is asked, the copy rendered; all of it noted with the act number it rests on and how long it holds.
   Preparing may be done ahead, on a reader's view, or again inside the commit, under its locks: it is the same code.
3. *Commit*: one writer takes all that wait, and in one transaction reads the fence, prepares again whatever no longer holds,
   appends the leaves and makes them durable. A full disk, a locked database or a dead server is a 503 and no body.
4. *Released*: what the response is built from. It exists only for a committed entry.

Promise 8 rests on (3): an act raises the fence in its own transaction, so no commit that follows it can rest on an older state.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from service.errors import Broken, Busy, Refused, Rejected, ServiceError, Unauthenticated
from service.releaselog.leaf import canonical
from service.releaselog.personal import Personal
from service.sharing.ledger import Draft, Entry, Ledger
from service.sharing.policies import Policies, PolicyState
from service.store import Connection, Database, logs, policies
from service.store.catalogue import keep_copies
from service.store.times import micros

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
GATHER_SECONDS: Final = 0.002
"""How long the writer waits for as many requests as came last, when there were several."""
_FORGET_EVERY: Final = 3_600_000_000
"""Microseconds between two looks for retries that may be forgotten."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What would be sent, and what its record says. Holds for `[holds_from, holds_until)` under act number `act`.

    `body` is empty for a file, whose bytes are `file`'s; `body_sha256` is of the bytes a GET sends, in either case.
    `items` is the face's member, the values of `record` are the record's, all canonical JSON.
    """

    act: int
    holds_from: int
    holds_until: int
    type: str
    status: int
    result: str
    body: bytes
    body_sha256: bytes
    media_type: str
    items: bytes
    record: Mapping[str, bytes]
    versions: tuple[tuple[str, int], ...] = ()
    copies: Mapping[bytes, bytes] | None = None
    portion: str | None = None
    file: StoredFile | None = None
    personal: tuple[Personal, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file portion's bytes, by digest."""

    sha256: bytes
    size: int


class Ask(Protocol):
    """A request on a recorded route, as a value."""

    @property
    def partner(self) -> str: ...
    @property
    def purpose(self) -> str: ...
    @property
    def client(self) -> str: ...
    @property
    def route(self) -> str: ...
    @property
    def log(self) -> str:
        """The log its entry goes to: the partner's, or `officers` for a view."""
        ...

    @property
    def look(self) -> str | None:
        """For a view, the type of its entry in `officers`."""
        ...

    @property
    def retry(self) -> tuple[str, bytes] | None:
        """(`Idempotency-Key`, digest of route and parameters), where one was given."""
        ...

    def prepare(self, connection: Connection, state: PolicyState, world: Policies, *, at: int) -> Prepared:
        """Decide and render as of `at`, on this view."""
        ...

    def known(self, state: PolicyState, *, at: int) -> Prepared | None:
        """As `prepare`, where it can be had without the database."""
        ...


@dataclass(frozen=True, slots=True)
class Released:
    """A committed entry and the prepared answer it records. The only thing a recorded response is built from."""

    entry: Entry
    prepared: Prepared


@dataclass(slots=True)
class _Job:
    """A request that waits. Its answer is a future of the loop it came from, or of no loop."""

    ask: Ask
    prepared: Prepared | None
    answer: asyncio.Future[Released] | Future[Released]
    loop: asyncio.AbstractEventLoop | None


class Gate:
    """The queue and its writer. `start` it once in each worker, and `stop` it.

    Args:
        may_still_ask: whether a client, authenticated a moment ago, is still one now, as the transaction given sees it.
    """

    def __init__(
        self,
        *,
        database: Database,
        ledger: Ledger,
        world: Policies,
        clock: Clock,
        may_still_ask: Callable[[Connection, PolicyState, str], bool],
        queue_entries_max: int,
        queue_entries_per_partner_max: int,
        batch_entries_max: int,
        idempotency_hours: int,
    ) -> None:
        self._database: Final = database
        self._ledger: Final = ledger
        self._world: Final = world
        self._clock: Final = clock
        self._may_still_ask: Final = may_still_ask
        self._queue_max: Final = queue_entries_max
        self._per_partner_max: Final = queue_entries_per_partner_max
        self._batch_max: Final = batch_entries_max
        self._idempotency: Final = int(timedelta(hours=idempotency_hours).total_seconds() * 1_000_000)
        self._forgot_at = 0
        self._last_batch = 0
        self._waiting: deque[_Job] = deque()
        self._per_partner: dict[str, int] = {}
        self._wake: Final = threading.Condition()
        self._stopping = False
        self._writer: threading.Thread | None = None
        self._kept: OrderedDict[bytes, None] = OrderedDict()
        self._committed: Callable[[int, int], None] = lambda entries, waiting: None

    # --- for the doors ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to take requests. What is in force is read now, not at the cost of the first who asks."""
        with suppress(Busy), self._database.reading() as connection:
            if self._world.in_force(connection):
                self._world.current(connection)
        self._stopping = False
        self._writer = threading.Thread(target=self._write_forever, name="release-log-writer", daemon=True)
        self._writer.start()

    def observe(self, committed: Callable[[int, int], None]) -> None:
        """Tell of every commit, once it is durable: how many entries it made, and how many requests wait after it."""
        self._committed = committed

    def stop(self) -> None:
        """Commit what waits, then end."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._writer is not None:
            self._writer.join()
            self._writer = None

    async def release(self, ask: Ask) -> Released:
        """Ask for a release and wait until it is on record.

        Raises:
            Rejected: the request contradicts itself or a cursor is foreign.
            Busy: the queue is full, or the log could not be written. Nothing was released.
        """
        prepared = self.prepared_now(ask)
        if prepared is None:
            prepared = await asyncio.to_thread(self.prepare, ask)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Released] = loop.create_future()
        self._enqueue(_Job(ask, prepared, answer, loop))
        return await answer

    def release_and_wait(self, ask: Ask) -> Released:
        """As `release`, for callers without an event loop."""
        answer: Future[Released] = Future()
        self._enqueue(_Job(ask, self.prepare(ask), answer, None))
        return answer.result()

    def prepared_now(self, ask: Ask) -> Prepared | None:
        """The answer where it can be had without the database; it is checked against the fence at the commit like any other."""
        state = self._world.known()
        return None if state is None else ask.known(state, at=max(micros(self._clock()), state.at))

    def prepare(self, ask: Ask) -> Prepared:
        """Decide and render on a reader's view, ahead of the commit."""
        with self._database.reading() as connection:
            state = self._world.current(connection)
            return ask.prepare(connection, state, self._world, at=max(micros(self._clock()), state.at))

    # --- the writer -------------------------------------------------------------------------------------------------

    def _enqueue(self, job: _Job) -> None:
        with self._wake:
            waiting = self._per_partner.get(job.ask.log, 0)
            if self._stopping or len(self._waiting) >= self._queue_max or waiting >= self._per_partner_max:
                raise Busy("too many requests wait for the release log")
            self._per_partner[job.ask.log] = waiting + 1
            self._waiting.append(job)
            self._wake.notify()

    def _take(self) -> list[_Job]:
        with self._wake:
            while not self._waiting and not self._stopping:
                self._wake.wait()
            # Where several came together a moment ago, as many are on their way: a short wait makes one commit of them, and a
            # third more of them a second. Who comes alone is not kept waiting.
            if self._last_batch > 1:
                self._wake.wait_for(lambda: len(self._waiting) >= self._last_batch or self._stopping, timeout=GATHER_SECONDS)
            jobs = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch_max))]
            self._last_batch = len(jobs)
            for job in jobs:
                left = self._per_partner[job.ask.log] - 1
                if left:
                    self._per_partner[job.ask.log] = left
                else:
                    del self._per_partner[job.ask.log]
            return jobs

    def _write_forever(self) -> None:
        while jobs := self._take():
            try:
                outcomes = self.commit([(job.ask, job.prepared) for job in jobs])
            except ServiceError as error:
                outcomes = [error] * len(jobs)
            # The very edge of the writer: whatever broke, nobody is answered with a body, and the next batch is tried.
            except Exception:
                log.exception("the release log could not be written")
                outcomes = [Broken("the release log could not be written")] * len(jobs)
            _answer(jobs, outcomes)

    def commit(self, asked: Sequence[tuple[Ask, Prepared | None]]) -> list[Released | ServiceError]:
        """Record a batch in one transaction; an answer for each, in order. One that is refused does not hold up the rest."""
        outcomes: list[Released | ServiceError | None] = [None] * len(asked)
        with self._database.releasing() as connection:
            # (1): the fence, before anything that rests on it. Acts are excluded from here to the commit.
            state = self._world.current(connection)
            heads = self._ledger.lock(connection, sorted({ask.log for ask, _ in asked}))
            # (2): the time, after the locks; it never falls back within a log.
            at = max(micros(self._clock()), state.at, *(head.at for head in heads.values()))
            # (3): what no longer holds is decided again, under the locks, so that it ends.
            ready: list[tuple[int, Ask, Prepared]] = []
            for place, (ask, prepared) in enumerate(asked):
                try:
                    if not self._may_still_ask(connection, state, ask.client):
                        raise Unauthenticated("client")
                    if prepared is None or not _holds(prepared, state, at):
                        prepared = ask.prepare(connection, state, self._world, at=at)
                    ready.append((place, ask, prepared))
                except (Rejected, Refused, Broken) as error:
                    outcomes[place] = error
            # (4): a retry that would be told the same is told of the first event; else it is an event of its own.
            ready, followers = self._answer_retries(connection, ready, outcomes, at=at)
            # (5): the leaves, and the copies they name. The commit that ends this block makes them durable.
            if ready:
                common = {"act": b"%d" % state.act, "authority": b"null", "bundle": canonical(state.bundle.digest)}
                drafts = [_draft(ask, prepared, common) for _, ask, prepared in ready]
                entries = self._ledger.append(connection, heads, drafts, at=at)
                kept = self._keep_copies(connection, ready)
                for (_, ask, _), entry in zip(ready, entries, strict=True):
                    if ask.retry is not None:
                        key, request_sha256 = ask.retry
                        self._forget_retries(connection, at=at)
                        logs.keep_retry(
                            connection, client=ask.client, key=key, request_sha256=request_sha256, log_id=heads[ask.log].id,
                            position=entry.index, at=at,
                        )  # fmt: skip
            else:
                entries, kept = [], []
        # (6): only now may anyone be answered.
        self._remember_kept(kept)
        if entries:
            self._committed(len(entries), len(self._waiting))
        for (place, _, prepared), entry in zip(ready, entries, strict=True):
            outcomes[place] = Released(entry, prepared)
        for place, leader, prepared in followers:
            first = outcomes[leader]
            same = isinstance(first, Released) and first.prepared.body_sha256 == prepared.body_sha256
            outcomes[place] = Released(first.entry, prepared) if same and isinstance(first, Released) else Busy("ask again")
        return [outcome if outcome is not None else Broken("a request was left without an outcome") for outcome in outcomes]

    def _answer_retries(
        self,
        connection: Connection,
        ready: list[tuple[int, Ask, Prepared]],
        outcomes: list[Released | ServiceError | None],
        *,
        at: int,
    ) -> tuple[list[tuple[int, Ask, Prepared]], list[tuple[int, int, Prepared]]]:
        """Those left to record, and, for two at once under one key, (place, place of the first, prepared)."""
        pairs = [(ask.client, ask.retry[0]) for _, ask, _ in ready if ask.retry is not None]
        if not pairs:
            return ready, []
        first = logs.retries(connection, sorted(set(pairs)), since=at - self._idempotency)
        left: list[tuple[int, Ask, Prepared]] = []
        followers: list[tuple[int, int, Prepared]] = []
        in_batch: dict[tuple[str, str], tuple[int, bytes]] = {}
        for place, ask, prepared in ready:
            if ask.retry is None:
                left.append((place, ask, prepared))
                continue
            key, request_sha256 = ask.retry
            known = first.get((ask.client, key))
            leader = in_batch.get((ask.client, key))
            asked_before = known.request_sha256 if known is not None else leader[1] if leader is not None else request_sha256
            if asked_before != request_sha256:
                outcomes[place] = Rejected("this `Idempotency-Key` was used for another request", code="idempotency-key")
            elif known is not None and _same_answer(known.leaf, prepared):
                entry = Entry(known.event_id, ask.log, known.position, known.at, prepared.body_sha256)
                outcomes[place] = Released(entry, prepared)
            elif leader is not None:
                followers.append((place, leader[0], prepared))
            else:
                in_batch[ask.client, key] = (place, request_sha256)
                left.append((place, ask, prepared))
        return left, followers

    def _forget_retries(self, connection: Connection, *, at: int) -> None:
        """Now and then, where a retry is kept: those too old to be told of their first event go."""
        if at - self._forgot_at >= _FORGET_EVERY:
            logs.forget_retries(connection, before=at - self._idempotency)
            self._forgot_at = at

    def _keep_copies(self, connection: Connection, ready: Sequence[tuple[int, Ask, Prepared]]) -> list[bytes]:
        wanted = {sha256: body for _, _, prepared in ready for sha256, body in (prepared.copies or {}).items() if sha256 not in self._kept}
        keep_copies(connection, wanted)
        return list(wanted)

    def _remember_kept(self, digests: Sequence[bytes]) -> None:
        for digest in digests:
            self._kept[digest] = None
        while len(self._kept) > 100_000:
            self._kept.popitem(last=False)

    # --- for bodies still being sent ----------------------------------------------------------------------------------

    def still_released(self, ask: Ask, released: Released) -> bool:
        """Whether what is being sent would still be sent now (promise 8)."""
        with self._database.reading() as connection:
            if policies.fence(connection).act == released.prepared.act:
                at = micros(self._clock())
                if at < released.prepared.holds_until:
                    return True
            state = self._world.current(connection)
            again = ask.prepare(connection, state, self._world, at=max(micros(self._clock()), state.at))
        return again.result == released.prepared.result and again.body_sha256 == released.prepared.body_sha256


def _answer(jobs: Sequence[_Job], outcomes: Sequence[Released | ServiceError]) -> None:
    """Give each job its outcome; a loop is woken once for all of its jobs."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Job, Released | ServiceError]]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        if job.loop is None:
            _settle([(job, outcome)])
        else:
            by_loop.setdefault(job.loop, []).append((job, outcome))
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, settled)
        except RuntimeError:
            log.warning("%d requests ended with their event loop; their entries stay", len(settled))


def _settle(settled: Sequence[tuple[_Job, Released | ServiceError]]) -> None:
    for job, outcome in settled:
        if job.answer.done():
            continue  # the client went away; its entry stays, for it was decided and recorded
        if isinstance(outcome, ServiceError):
            job.answer.set_exception(outcome)
        else:
            job.answer.set_result(outcome)


def _holds(prepared: Prepared, state: PolicyState, at: int) -> bool:
    return prepared.act == state.act and prepared.holds_from <= at < prepared.holds_until


def _same_answer(leaf: bytes, prepared: Prepared) -> bool:
    face = json.loads(leaf)
    return bool(face["body_sha256"] == prepared.body_sha256.hex() and face["result"] == prepared.result)


def _draft(ask: Ask, prepared: Prepared, common: Mapping[str, bytes]) -> Draft:
    record = {**prepared.record, **common, "partner": canonical(ask.partner)}
    return Draft(
        log=ask.log,
        type=ask.look or prepared.type,
        client=ask.client,
        route=ask.route,
        items=prepared.items,
        body_sha256=prepared.body_sha256,
        result=prepared.result,
        purpose=ask.purpose,
        record=record,
        versions=prepared.versions if ask.look is None else tuple((item, 0) for item, _ in prepared.versions),
        portion=prepared.portion,
        personal=prepared.personal,
    )


def digest_of(body: bytes) -> bytes:
    """SHA-256 of a body."""
    return hashlib.sha256(body).digest()
