"""The log alone, and what it adds to an answer.

1. Leaves appended a second by `Ledger.append` in releasing transactions, SQLite at full durability, against (a) the same rows inserted
   into the same tables in batches of the same size, made beforehand and nothing hashed, and (b) pymerkle on SQLite, likewise WAL and
   FULL, appending the same leaf bytes and asked for its root after each batch, as a log has to sign one. Sides alternate.
2. Releases at a steady 500 a second, whether the server keeps up or not, beside a bare FastAPI route: latency from the moment at which
   each was due, so that a stall counts for all it holds up. For one release in ten its receipt is fetched at once: proof and checkpoint.

pymerkle is under the GPL: it is no dependency, not in the lock, and lives in a virtual environment that this benchmark throws away.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import uvloop

from service.releaselog.leaf import leaf_bytes, record_bytes, seal
from service.sharing.ledger import Ledger
from service.store import Database, logs
from service.store.migrate import migrate
from service.store.times import text_of
from tests.bench import release
from tests.bench.servers import server, settle, sleeper
from tests.support.log_drafts import draft

PYMERKLE: Final = "pymerkle==7.0.0"
BATCHES: Final = (32, 256)
SECONDS: Final = 2.0
PER_SECOND: Final = 500
STEADY_SECONDS: Final = 12
RECEIPT_EVERY: Final = 10
CONNECTIONS: Final = 64
_AT: Final = 1_795_341_600_000_000


def run(*, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = _pymerkle(folder / "venv")
        for batch in BATCHES:
            _appended(folder, python, batch=batch, rounds=rounds)
        _steady(folder)


# --- appended leaves ------------------------------------------------------------------------------------------------------


def _appended(folder: Path, python: Path | None, *, batch: int, rounds: int) -> None:
    ours: list[float] = []
    plain: list[float] = []
    peer: list[float] = []
    for number in range(rounds):
        place = folder / f"{batch}-{number}"
        place.mkdir()
        ours.append(_ledger(place / "ours.db", batch))
        plain.append(_plain(place / "plain.db", batch))
        if python is not None:
            peer.append(_peer(python, place / "peer.db", batch))
    print(f"leaves appended to one log in batches of {batch}, {rounds} rounds of {SECONDS:.0f} s, SQLite in WAL with synchronous=FULL")
    print(f"  entente           {statistics.median(ours):8.0f} leaves a second (median)")
    _against("plain inserts", ours, plain)
    if python is None:
        print("  pymerkle          could not be installed here")
    else:
        _against("pymerkle", ours, peer)


def _against(name: str, ours: Sequence[float], peer: Sequence[float]) -> None:
    ratios = sorted(own / other for own, other in zip(ours, peer, strict=True))
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    print(f"  {name:<17} {statistics.median(peer):8.0f} leaves a second; ratio {statistics.median(ratios):.2f} ({spread})")


def _opened(path: Path) -> Database:
    database = Database.open(f"sqlite:///{path}")
    migrate(database)
    return database


def _ledger(path: Path, batch: int) -> float:
    database, ledger = _opened(path), Ledger("entente.bench", bytes(32))
    drafts = [draft("JPN", number) for number in range(batch)]
    appended, begun = 0, time.perf_counter()
    while (taken := time.perf_counter() - begun) < SECONDS:
        with database.releasing() as connection:
            ledger.append(connection, ledger.lock(connection, ["JPN"]), drafts, at=_AT + appended)
        appended += batch
    database.close()
    return appended / taken


def _plain(path: Path, batch: int) -> float:
    """Rows made beforehand; only what is unique or a place in them is new each time."""
    database, ledger = _opened(path), Ledger("entente.bench", bytes(32))
    with database.releasing() as connection:
        log_id = ledger.lock(connection, ["JPN"])["JPN"].id
    rows = _rows(log_id, batch)
    appended, begun = 0, time.perf_counter()
    while (taken := time.perf_counter() - begun) < SECONDS:
        moved = [
            logs.EntryRow(
                row.log_id, appended + place, f"{appended + place:022}", _AT + appended, row.type, row.client, row.result, row.leaf,
                row.leaf_hash, row.record, row.nonce, row.items,
            )
            for place, row in enumerate(rows)
        ]  # fmt: skip
        with database.releasing() as connection:
            logs.append_entries(connection, moved)
        appended += batch
    database.close()
    return appended / taken


def _rows(log_id: int, count: int) -> list[logs.EntryRow]:
    at = text_of(_AT)
    rows = []
    for number in range(count):
        one = draft("JPN", number)
        record = record_bytes({**one.record, "at": f'"{at}"'.encode()})
        leaf = leaf_bytes(
            type_=one.type, event_id=f"{number:022}", at=at, client=one.client, route=one.route, items=one.items,
            body_sha256=one.body_sha256, result=one.result, purpose=one.purpose, seal=seal(bytes(32), record),
        )  # fmt: skip
        rows.append(
            logs.EntryRow(
                log_id, number, f"{number:022}", _AT, one.type, one.client, one.result, leaf, bytes(32), record, bytes(32), one.versions
            )
        )
    return rows


def _pymerkle(folder: Path) -> Path | None:
    """The Python of a virtual environment with the peer in it."""
    python = folder / "bin" / "python"
    for command in ([sys.executable, "-m", "venv", str(folder)], [str(python), "-m", "pip", "install", "--quiet", PYMERKLE]):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
    return python


_PEER: Final = """
import json, sys, time
from pymerkle import SqliteTree
asked = json.loads(sys.stdin.read())
leaves = [leaf.encode() for leaf in asked["leaves"]]
tree = SqliteTree(asked["path"])
tree.con.execute("PRAGMA journal_mode=WAL")
tree.con.execute("PRAGMA synchronous=FULL")
appended, begun = 0, time.perf_counter()
while (taken := time.perf_counter() - begun) < asked["seconds"]:
    tree.append_entries(leaves)
    tree.get_state()
    appended += len(leaves)
print(appended / taken)
"""


def _peer(python: Path, path: Path, batch: int) -> float:
    asked = {"path": str(path), "seconds": SECONDS, "leaves": [row.leaf.decode() for row in _rows(1, batch)]}
    done = subprocess.run([str(python), "-c", _PEER], input=json.dumps(asked), capture_output=True, text=True, check=True)
    return float(done.stdout)


# --- at a steady rate -----------------------------------------------------------------------------------------------------


def _steady(folder: Path) -> None:
    item_id, token, body = release.prepare(folder / "data")
    body_file = folder / "body.json"
    body_file.write_bytes(body)
    path = f"/v1/items/{item_id}"
    quiet = {"ENTENTE_RATE_PER_SECOND": "1000000", "ENTENTE_RATE_BURST": "10000000", "ENTENTE_DATA": str(folder / "data")}
    with (
        server("tests.bench.bare:app", BENCH_BODY=str(body_file)) as bare,
        server("service.app:from_environment", factory=True, **quiet) as ours,
    ):
        uvloop.run(_at_rate(bare, path, token, seconds=2, receipts=False))
        uvloop.run(_at_rate(ours, path, token, seconds=5, receipts=True))
        settle()
        with sleeper() as stood_still:
            peer, _ = uvloop.run(_at_rate(bare, path, token, seconds=STEADY_SECONDS, receipts=False))
            alone, _ = uvloop.run(_at_rate(ours, path, token, seconds=STEADY_SECONDS, receipts=False))
            beside, receipts = uvloop.run(_at_rate(ours, path, token, seconds=STEADY_SECONDS, receipts=True))
    print(f"an item of {len(body)} bytes, {PER_SECOND} a second for {STEADY_SECONDS} s, milliseconds from when each was due")
    for name, taken in (
        ("bare FastAPI", peer),
        ("release, on record", alone),
        ("release, with receipts fetched beside", beside),
        (f"receipt, of one in {RECEIPT_EVERY}", receipts),
    ):
        slowest = 1000 * max(taken)
        print(f"  {name:<38} p50 {_percentile(taken, 50):7.2f}   p99 {_percentile(taken, 99):7.2f}   slowest {slowest:7.2f}")
    print(f"  the machine stood still: {', '.join(f'{1000 * late:.0f}' for _, late in stood_still) or 'never'} ms")


def _percentile(seconds: Sequence[float], percent: int) -> float:
    return 1000 * statistics.quantiles(seconds, n=100)[percent - 1]


async def _at_rate(port: int, path: str, token: str, *, seconds: float, receipts: bool) -> tuple[list[float], list[float]]:
    """Seconds that releases took, and receipts."""
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    taken: list[float] = []
    fetched: list[float] = []

    async def get(target: str) -> bytes:
        connection = await free.get()
        reader, writer = connection
        writer.write(f"GET {target} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"expected 200, got {head.splitlines()[0]!r}")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        free.put_nowait(connection)
        return head

    async def one(number: int, due: float) -> None:
        head = await get(path)
        done = time.perf_counter()
        taken.append(done - due)
        if receipts and number % RECEIPT_EVERY == 0:
            event = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"release-event:")).split(b":")[1].strip().decode()
            await get(f"/v1/releases/{event}/receipt")
            fetched.append(time.perf_counter() - done)

    begun = time.perf_counter()
    running = []
    for number in range(int(PER_SECOND * seconds)):
        due = begun + number / PER_SECOND
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        running.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*running)
    while not free.empty():
        free.get_nowait()[1].close()
    return taken, fetched
