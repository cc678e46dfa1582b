"""The first page of every filter of an auditor, over logs of many entries: p50 and p95, and how often a page of bounded work ends early.

The entries are loaded in bulk, by a loader of which 10,000 are compared before each load, row by row, with what the ledger itself writes.
200 partners of very different size, 400 clients, 100,000 items, 4 levels, 24 categories, 400 rules, 12 bundles one after the other; a
twenty-fifth of the entries are refusals, one in a thousand is under review. Each filter is asked with values drawn anew, common and rare,
for the newest 50 that match; nothing is held in memory between two of them but what SQLite and the system hold.
"""

from __future__ import annotations

import itertools
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from service.store import Database, log_pages
from service.store.logs import AuditFilter
from tests.support.bulk_logs import BUNDLES, CATEGORIES, CLIENTS, LEVELS, OUTCOMES, RULES, START, Loader, compared, item_of, partner_of

_ROUNDS = 40


def run(*, entries: int, kept: Path | None = None) -> None:
    print(f"first pages of 50 of the auditor's filters, {entries:,} entries, SQLite")
    print(f"  the loader's rows are the ledger's: {compared(10_000):,} entries compared")
    with tempfile.TemporaryDirectory() as folder:
        path = (kept or Path(folder)) / f"log-queries-{entries}.db"
        if not path.exists():
            began = time.perf_counter()
            Loader(path).load(entries)
            print(f"  loaded in {time.perf_counter() - began:.0f} s, {os.path.getsize(path) / 1e9:.1f} GB")
        database = Database.open(f"sqlite:///{path}")
        worst = 0.0
        print(f"  {'filter':<44}{'p50 ms':>9}{'p95 ms':>9}{'rows':>7}{'early':>7}")
        for name, asked in _questions(entries):
            times, rows, early = [], 0, 0
            for filter_ in itertools.islice(asked, _ROUNDS):
                began = time.perf_counter()
                with database.reading() as connection:
                    page = log_pages.page(connection, filter_, before=None, limit=50)
                times.append((time.perf_counter() - began) * 1000)
                rows += len(page.rows)
                early += len(page.rows) < 50 and page.next is not None
            p95 = statistics.quantiles(times, n=20)[-1]
            worst = max(worst, p95)
            print(f"  {name:<44}{statistics.median(times):>9.1f}{p95:>9.1f}{rows / _ROUNDS:>7.1f}{early:>7}")
        print(f"  worst p95 {worst:.1f} ms")
        database.close()


def _questions(entries: int) -> Iterator[tuple[str, Iterator[AuditFilter]]]:
    chance = random.Random(11)
    end = START + entries * 250_000

    def each(**makers: object) -> Iterator[AuditFilter]:
        while True:
            yield AuditFilter(**{name: maker() if callable(maker) else maker for name, maker in makers.items()})  # type: ignore[arg-type]

    def partner() -> str:
        return partner_of(int(200 * chance.random() ** 2))

    def item() -> str:
        return item_of(int(100_000 * chance.random() ** 2))

    def moment() -> int:
        return START + int((end - START) * chance.random())

    one = chance.choice
    yield "none", each(partners_only=True)
    yield "partner", each(log=partner, partners_only=True)
    yield "log officers", each(log="officers")
    yield "item", each(item=item)
    yield "item that never was", each(item="absent")
    yield "level", each(levels=lambda: (one(LEVELS),), partners_only=True)
    yield "level, any of three", each(levels=lambda: tuple(chance.sample(LEVELS, 3)), partners_only=True)
    yield "category", each(categories=lambda: (one(CATEGORIES),), partners_only=True)
    yield "outcome", each(outcomes=lambda: (one(OUTCOMES),), partners_only=True)
    yield "denials", each(outcomes=("refer", "withhold"), partners_only=True)
    yield "type", each(type=lambda: one(["list", "item", "file", "look.releases", "absent"]))
    yield "rule", each(rule=lambda: one(RULES), partners_only=True)
    yield "bundle", each(bundle=lambda: one(BUNDLES), partners_only=True)
    yield "client", each(client=lambda: one(CLIENTS))
    yield "since", each(since=moment, partners_only=True)
    yield "until", each(until=moment, partners_only=True)
    yield "review", each(review=lambda: one(["reviewed", "escalated"]))
    yield "partner, level", each(log=partner, levels=lambda: (one(LEVELS),))
    yield "partner, rule", each(log=partner, rule=lambda: one(RULES))
    yield "partner, rule, until", each(log=partner, rule=lambda: one(RULES), until=moment)
    yield "item, outcome", each(item=item, outcomes=lambda: (one(OUTCOMES),))
    yield "partner, denials", each(log=partner, outcomes=("refer", "withhold"))
    yield "rule, category", each(rule=lambda: one(RULES), categories=lambda: (one(CATEGORIES),))
    yield "client of another partner's log", each(client=lambda: one(CLIENTS), log=partner)
    yield "old bundle, level, type", each(bundle=BUNDLES[0], levels=lambda: (one(LEVELS),), type="file")
    yield "old bundle, and since it went", each(bundle=BUNDLES[0], since=START + (end - START) // 2)
    yield (
        "everything at once",
        each(
            log=partner,
            levels=lambda: (one(LEVELS),),
            categories=lambda: (one(CATEGORIES),),
            type="item",
            client=lambda: one(CLIENTS),
            until=moment,
        ),
    )
