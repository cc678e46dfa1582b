"""`entente items import`, the whole process, against plain `sqlite3` inserting the very rows it wrote, in the same batches.

8 portions an item, some 35 words each; one in ten has a date of declassification. Portions bear one of fifty marks drawn at random, so that
hardly two items are alike. The sample policies: 15 lanes. Either side commits durably once for every 1,000 items, and keeps the
same indexes, the one over words included. The peer is given its rows in memory: it reads nothing, and decides nothing.

The processor's time stands beside the clock's: on a shared machine it is what an import costs.
"""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from service.identity.clients import Role
from service.policy import read_directory
from service.settings import Settings
from service.sharing.acts import Actor
from service.sharing.installation import open_installation
from tests.bench.servers import REPOSITORY

PORTIONS = 8
_BATCH = 1000
_PARTNERS = ("JPN", "GBR", "AUS", "CAN", "IND")
_TABLES = (
    *("item", "version", "portion", "version_portion", "portion_label", "item_label_set", "label", "label_set", "entitlement", "offer"),
    *("offer_category", "search_group", "search_group_label", "search_grant", "search_row"),
)


def run(*, items: int, rounds: int) -> None:
    rates, ratios, processor = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "items.jsonl"
        _write_items(file, items)
        for number in range(rounds):
            data = Path(folder) / f"data-{number}"
            token, empty = _prepare(data)
            began, used = time.perf_counter(), _used()
            command = [str(Path(sys.executable).with_name("entente")), "items", "import", str(file), "--data", str(data), "--token", token]
            told = subprocess.run(command, check=True, capture_output=True, text=True)
            taken = time.perf_counter() - began
            processor.append(_used() - used)
            totals = json.loads(told.stdout.splitlines()[-1])
            if totals != {"imported": items, "quarantined": 0, "refused": 0}:
                raise SystemExit(f"the import did something else than was measured: {totals}")
            rates.append(items / taken)
            ratios.append(_plainly(data / "entente.db", empty, Path(folder) / f"plain-{number}.db") / taken)
    print(f"import of {items} items of {PORTIONS} portions, {rounds} rounds")
    print(f"  entente       {statistics.median(rates):8.0f} items a second (median; {min(rates):.0f} to {max(rates):.0f})")
    print(f"  entente       {statistics.median(processor):8.1f} s of processor time, {items / statistics.median(rates):.1f} s by the clock")
    print(f"  ratio to plain inserts of the same rows {statistics.median(ratios):.3f} (median; {min(ratios):.3f} to {max(ratios):.3f})")


def _used() -> float:
    """Seconds of processor time of all processes waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write_items(file: Path, count: int) -> None:
    chance = random.Random(20261122)
    words = [f"w{number:x}" for number in range(20_000)]
    with file.open("w") as stream:
        for number in range(count):
            portions = [_portion(chance, words, place) for place in range(PORTIONS)]
            item = {"ref": f"bench/{number}", "marking": "SECRET//NOFORN", "categories": ["MARITIME"], "portions": portions}
            stream.write(json.dumps({**item, "releasable_in": "portions"}) + "\n")


def _portion(chance: random.Random, words: list[str], place: int) -> dict[str, str]:
    audience = ", ".join(sorted(chance.sample(_PARTNERS, chance.randint(1, 3))))
    # One portion is for nobody, so that the item's marking says no more than it must.
    mark = "(S//NF)" if place == 1 else chance.choice([f"(S//REL TO USA, {audience})", f"(C//REL TO USA, {audience})", "(S//NF)", "(U)"])
    portion = {"kind": "text" if place else "title", "marking": mark, "text": " ".join(chance.choices(words, k=35 if place else 6))}
    return portion | ({"declassify_on": "2040-01-01"} if chance.random() < 0.1 else {})


def _prepare(data: Path) -> tuple[str, bytes]:
    """A data folder with the sample policies in force; an officer's token, and the database as it is before the import."""
    installation = open_installation(Settings(data=data, policies=REPOSITORY / "policies"))
    installation.publishing.publish(read_directory(REPOSITORY / "policies"), Actor("bench", "cli"))
    client, _ = installation.registry.add("bench-officer", Role.OFFICER)
    token = installation.issuer.issue(client, installation.clock())
    installation.close()
    return token, (data / "entente.db").read_bytes()


def _plainly(written: Path, empty: bytes, database: Path) -> float:
    """Seconds to insert what an import wrote."""
    database.write_bytes(empty)
    source = sqlite3.connect(written)
    target = sqlite3.connect(database, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536", "temp_store=MEMORY"):
        target.execute(f"PRAGMA {pragma}")
    for table in _TABLES:
        target.execute(f"DELETE FROM {table}")
    batches = list(_batches(source))
    source.close()
    began = time.perf_counter()
    for batch in batches:
        target.execute("BEGIN IMMEDIATE")
        for statement, rows in batch:
            target.executemany(statement, rows)
        target.execute("COMMIT")
    taken = time.perf_counter() - began
    target.close()
    return taken


def _batches(source: sqlite3.Connection) -> Iterator[list[tuple[str, list[tuple[object, ...]]]]]:
    """The rows of each table, in the order in which they were written, in as many batches as the import had acts."""
    count = -(-source.execute("SELECT COUNT(*) FROM item").fetchone()[0] // _BATCH)
    parts: list[list[tuple[str, list[tuple[object, ...]]]]] = [[] for _ in range(count)]
    for table in _TABLES:
        rows = source.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()
        if not rows:
            continue
        each = -(-len(rows) // count)
        statement = f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})"
        for place in range(count):
            parts[place].append((statement, rows[place * each : (place + 1) * each]))
        if table == "search_row":
            index = "INSERT INTO search_index (rowid, words) VALUES (?, ?)"
            for place in range(count):
                parts[place].append((index, [(row[0], _terms(row)) for row in rows[place * each : (place + 1) * each]]))
    return iter(parts)


def _terms(row: tuple[object, ...]) -> str:
    """The words of a row as the index has them, under their group."""
    return " ".join({f"{row[2]:x}x{word}" for word in str(row[4]).split()})
