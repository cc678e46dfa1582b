"""A midnight at which labels change: requests in the minute after it, beside those in the minute before, in one run.

A store of items of 8 portions; at midnight a quarter of the portions come out of an embargo, a quarter go down a level, a quarter are
declassified, and a quarter go down a level without anybody's seeing more. At the same midnight an agreement ends and another begins, so
that another snapshot decides. The server's clock is moved so that midnight comes soon after the load begins (`open_installation`
takes a clock).

The load is steady: so many requests a second on loopback, each sent at its time whether or not the one before was answered, over
connections of their own: first pages, pages by level, items, and searches. What is told is the time to the whole answer, from when it
was due, so that a stall is felt by all that come in it. A process beside them does nothing but sleep, and tells when it woke up late: then
it was the machine that stood still.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop
from starlette.types import ASGIApp

from service.app import from_environment
from service.identity.clients import Role
from service.labels.label import Label
from service.policy import read_directory
from service.settings import Settings
from service.sharing.acts import Actor
from service.sharing.catalogue import store_items
from service.sharing.installation import open_installation
from service.sharing.intake import ItemDraft, PortionDraft
from service.store.tables import FOREVER
from service.store.times import micros
from tests.bench.servers import REPOSITORY, server, settle, sleeper

MIDNIGHT = datetime(2027, 1, 1, tzinfo=UTC)
PORTIONS = 8
SECONDS = 60
A_SECOND = 60
_UNMEASURED_SECONDS = 10
_CONNECTIONS = 8
_BATCH = 1000
_ENDS = "p, AGR-0098, allow, release, JPN, *, CONFIDENTIAL, *, none, *, 2020-01-01, 2027-01-01, bench\n"
_BEGINS = "p, AGR-0099, allow, release, JPN, *, CONFIDENTIAL, *, none, *, 2027-01-01, , bench\n"


def app() -> ASGIApp:
    """What the server runs: the clock of `BENCH_BEFORE_MIDNIGHT`, in seconds since the epoch at which it is midnight."""
    shift = MIDNIGHT - datetime.fromtimestamp(float(os.environ["BENCH_MIDNIGHT_AT"]), UTC)
    return from_environment(clock=lambda: datetime.now(UTC) + shift)


def run(*, boundaries: int, rounds: int) -> None:
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data"
            began = time.perf_counter()
            changing = _build(data, boundaries // PORTIONS)
            print(f"  built {changing} labels that change at midnight in {time.perf_counter() - began:.0f} s", flush=True)
            # The server starts, and is asked for a while, before what is measured begins.
            midnight_at = time.time() + SECONDS + _UNMEASURED_SECONDS + 25
            quiet = {"ENTENTE_RATE_PER_SECOND": "1000000", "ENTENTE_RATE_BURST": "10000000", "BENCH_MIDNIGHT_AT": str(midnight_at)}
            with server("tests.bench.midnight:app", factory=True, ENTENTE_DATA=str(data), **quiet) as port:
                token = _token(data, MIDNIGHT - timedelta(seconds=midnight_at - time.time()))
                with sleeper() as stood_still:
                    before, after = uvloop.run(_steadily(port, token, midnight_at))
        print(f"midnight {number}: {boundaries} labels, {A_SECOND} requests a second", flush=True)
        for name, times in (("the minute before", before), ("the minute after", after)):
            print(f"  {name}: {_told(list(times))}; the slowest {1000 * max(times):.1f} ms", flush=True)
        first = after[: 3 * A_SECOND]
        print(f"  the first three seconds after: {_told(first)}; the slowest {1000 * max(first):.1f} ms", flush=True)
        for name, first_second in (("before", -SECONDS), ("after", 0)):
            own = [f"{1000 * late:.0f}" for at, late in stood_still if first_second <= at - midnight_at < first_second + SECONDS]
            print(f"  the machine stood still in the minute {name}: {', '.join(own) or 'never'} ms", flush=True)
        print(f"  p99 {1000 * (_quantile(after) - _quantile(before)):+.1f} ms", flush=True)


def _told(seconds: list[float]) -> str:
    return f"p50 {1000 * statistics.median(seconds):.1f} ms, p99 {1000 * _quantile(seconds):.1f} ms of {len(seconds)}"


def _quantile(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[-1]


async def _steadily(port: int, token: str, midnight_at: float) -> tuple[list[float], list[float]]:
    """Seconds that each request took, of the minutes before and after."""
    settle()
    first = await _get(port, token, "/v1/items?limit=100")
    ids = [item["id"] for item in json.loads(first)["items"]]
    paths: list[Callable[[int], str]] = [
        lambda number: f"/v1/items/{ids[number % len(ids)]}",
        lambda number: "/v1/items?limit=50",
        lambda number: f"/v1/items/{ids[number * 7 % len(ids)]}",
        lambda number: f"/v1/items?limit=50&q=w{number % 40}",
        lambda number: f"/v1/items?limit=20&level={('SECRET', 'CONFIDENTIAL', 'UNCLASSIFIED')[number % 3]}",
    ]
    for number in range(40):  # what is asked for the first time is not what is measured
        await _get(port, token, paths[number % len(paths)](number))
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port, limit=1 << 22))
    taken: list[tuple[float, float]] = []

    async def ask(number: int, due: float) -> None:
        connection = await free.get()
        await _exchange(*connection, token, paths[number % len(paths)](number))
        taken.append((due, time.time() - due))
        free.put_nowait(connection)

    asked = []
    # The first seconds of a load are not those of a server that is asked all day.
    for number in range((_UNMEASURED_SECONDS + 2 * SECONDS) * A_SECOND):
        due = midnight_at - SECONDS - _UNMEASURED_SECONDS + number / A_SECOND
        await asyncio.sleep(max(0.0, due - time.time()))
        asked.append(asyncio.create_task(ask(number, due)))
    await asyncio.gather(*asked)
    taken.sort()
    before = [each for due, each in taken if midnight_at - SECONDS <= due < midnight_at]
    return before, [each for due, each in taken if due >= midnight_at]


async def _get(port: int, token: str, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    try:
        return await _exchange(reader, writer, token, path)
    finally:
        writer.close()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str, path: str) -> bytes:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"expected 200 for {path}, got {head.splitlines()[0]!r}")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return await reader.readexactly(int(length.split(b":")[1]))


def _token(data: Path, at: datetime) -> str:
    with contextlib.closing(open_installation(Settings(data=data), clock=lambda: at)) as installation:
        return installation.issuer.issue(installation.registry.named("bench-jpn"), at)


def _build(data: Path, count: int) -> int:
    """A store of so many items; how many labels change at midnight."""
    start = MIDNIGHT - timedelta(hours=1)
    with contextlib.closing(open_installation(Settings(data=data, policies=REPOSITORY / "policies"), clock=lambda: start)) as installation:
        files = dict(read_directory(REPOSITORY / "policies"))
        files["agreements.csv"] += (_ENDS + _BEGINS).encode()
        files["cases.csv"] = files["cases.csv"].split(b"\n")[0] + b"\n"  # they say what the sample alone releases
        installation.publishing.publish(files, Actor("bench", "cli"))
        installation.registry.add("bench-jpn", Role.PARTNER, partner="JPN")
        chance = random.Random(20270101)
        words = [f"w{number}" for number in range(5_000)]
        changing = 0
        for first in range(0, count, _BATCH):
            drafts = [_draft(number, chance, words, micros(start)) for number in range(first, min(first + _BATCH, count))]
            changing += sum(len(portion.timeline) - 1 for draft in drafts for portion in draft.portions)
            with installation.acts.act("item.import", Actor("bench", "cli")) as act:
                store_items(act, drafts)
    return changing


def _draft(number: int, chance: random.Random, words: list[str], start: int) -> ItemDraft:
    portions = []
    for place in range(PORTIONS):
        content = " ".join(chance.choices(words, k=30 if place else 6)).encode()
        kind = "text" if place else "title"
        digest = hashlib.sha256(content).digest()
        portions.append(PortionDraft(kind, content, digest, len(content), None, None, "", _timeline((number + place) % 4, chance, start)))
    return ItemDraft(f"bench/{number}", "", False, tuple(portions), None, None, "{}")


def _timeline(kind: int, chance: random.Random, start: int) -> tuple[tuple[int, int, Label], ...]:
    category = (chance.choice(("MARITIME", "AIR", "LOGISTICS")),)
    to_jpn, to_few = ("JPN", "USA"), ("AUS", "USA")
    before, after = (
        (Label("CONFIDENTIAL", category, to_few, (), ("USA",)), Label("CONFIDENTIAL", category, to_jpn, (), ("USA",))),
        (Label("SECRET", category, to_jpn, (), ("USA",)), Label("CONFIDENTIAL", category, to_jpn, (), ("USA",))),
        (Label("CONFIDENTIAL", category, to_jpn, (), ("USA",)), Label("UNCLASSIFIED", category, to_jpn, (), ("USA",))),
        (Label("SECRET", category, to_few, (), ("USA",)), Label("CONFIDENTIAL", category, to_few, (), ("USA",))),
    )[kind]
    return ((start, micros(MIDNIGHT), before), (micros(MIDNIGHT), FOREVER, after))
