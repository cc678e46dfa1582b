"""Logs of millions of entries, loaded in bulk: the rows that the ledger writes, without its transactions, trees and signatures.

What an entry says is drawn from its number alone, so that the ledger can be given the same. Ids and nonces are drawn from it too: they
stand in order, so that loading is quick, and nothing that is measured looks for them.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

from sqlalchemy import text

from service.releaselog.facts import Fact, facts
from service.releaselog.leaf import canonical, canonical_string, leaf_bytes, record_bytes, seal
from service.releaselog.merkle import leaf_hash
from service.sharing.ledger import OFFICERS, Draft, Ledger
from service.store import Database, logs
from service.store.facts import catch_up
from service.store.migrate import migrate
from service.store.times import text_of

START: Final = 1_700_000_000_000_000
LEVELS: Final = ("UNCLASSIFIED", "CONFIDENTIAL", "SECRET", "TOP SECRET")
CATEGORIES: Final = tuple(f"CATEGORY-{number}" for number in range(24))
RULES: Final = tuple(f"AGR-{number:04}" for number in range(400))
BUNDLES: Final = tuple(hashlib.sha256(b"bundle %d" % number).hexdigest() for number in range(12))
OUTCOMES: Final = ("release", "in_part", "withhold", "refer")
PARTNERS: Final = 200
CLIENTS: Final = tuple(f"c_{partner:03}_{number}" for partner in range(PARTNERS) for number in range(2))
_STEP: Final = 250_000
"""Microseconds between two entries, on the whole; they come in batches of four."""
_REVIEWED_EVERY: Final = 1000


def partner_of(number: int) -> str:
    return f"P{number:03}"


def item_of(number: int) -> str:
    return f"item-{number:06}"


def _cumulated(size: int, power: float) -> list[float]:
    return list(accumulate(1 / (rank + 1) ** power for rank in range(size)))


_PARTNER_WEIGHTS: Final = _cumulated(PARTNERS, 0.8)
_RULE_WEIGHTS: Final = _cumulated(len(RULES), 1.0)
_CATEGORY_WEIGHTS: Final = _cumulated(len(CATEGORIES), 1.0)
_LEVEL_WEIGHTS: Final = [0.7, 0.9, 0.999, 1.0]
_OUTCOME_WEIGHTS: Final = [0.8, 0.96, 0.99, 1.0]
_OFFICERS_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Drawn:
    """An entry as drawn: what the ledger takes, and when."""

    draft: Draft
    at: int
    facts: frozenset[Fact]


def drawn(number: int, total: int) -> Drawn:
    """The entry of this number; `total` is how many there are to be, over which the bundles follow one another."""
    chance = random.Random(number)
    at = START + number // 4 * 4 * _STEP
    if chance.random() < _OFFICERS_SHARE:
        record = {"act": b"1", "authority": b"null", "details": b'{"partner":"P001"}', "outcome": b'"done"'}
        draft = Draft(OFFICERS, "look.releases", "c_auditor", "/v1/audit/releases", b"[]", None, "done", "none", record)
        return Drawn(draft, at, frozenset({("outcome", "done")}))
    (partner,) = chance.choices(range(PARTNERS), cum_weights=_PARTNER_WEIGHTS)
    (outcome,) = chance.choices(OUTCOMES, cum_weights=_OUTCOME_WEIGHTS)
    refused = outcome in ("withhold", "refer")
    type_ = "item" if refused else chance.choices(("item", "list", "file"), cum_weights=(0.7, 0.9, 1.0))[0]
    labels = {}
    for _ in range(1 + (chance.random() < 0.3)):
        level, category = (
            chance.choices(LEVELS, cum_weights=_LEVEL_WEIGHTS)[0],
            chance.choices(CATEGORIES, cum_weights=_CATEGORY_WEIGHTS)[0],
        )
        label = {"level": level, "categories": [category], "releasable_to": ["JPN", "USA"], "caveats": [], "originators": ["USA"]}
        labels[hashlib.sha256(json.dumps(label).encode()).hexdigest()] = label
    (rule,) = chance.choices(RULES, cum_weights=_RULE_WEIGHTS)
    bundle = BUNDLES[number * len(BUNDLES) // total]
    named = [int(100_000 * chance.random() ** 2) for _ in range(3 if type_ == "list" else 1)]
    ids = [item_of(one) for one in dict.fromkeys(named)]
    items = [
        {"id": one, "ref": f"bench/{one}", "version": 1, "portions": [f"p-{one}"], "labels": sorted(labels), "rules": [rule]} for one in ids
    ]
    copy = hashlib.sha256(b"copy %d" % (number % 100_000)).digest()
    record = {
        "act": b"7", "authority": b"null", "bundle": canonical(bundle), "engine": canonical("ab" * 32), "items": canonical(items),
        "labels": canonical(labels), "outcome": canonical(outcome), "partner": canonical(partner_of(partner)), "query": b"null",
    }  # fmt: skip
    face = [{"id": one} if refused else {"copy_sha256": copy.hex(), "id": one} for one in ids]
    draft = Draft(
        log=partner_of(partner), type=type_, client=CLIENTS[2 * partner + (chance.random() < 0.1)], route="/v1/items/{id}",
        items=canonical(face), body_sha256=copy, result="refused" if refused else "sent", purpose="none", record=record,
        versions=tuple((one, 0 if refused else 1) for one in ids), portion="p-1" if type_ == "file" else None,
    )  # fmt: skip
    said = {("outcome", outcome), ("bundle", bundle), ("rule", rule)}
    said |= {fact for label in labels.values() for fact in (("level", label["level"]), ("category", label["categories"][0]))}  # type: ignore[arg-type]
    return Drawn(draft, at, frozenset(said))


Row = tuple[object, ...]


class Loader:
    """Fills an SQLite file. Heads, tiles and checkpoints are left out: no query reads them."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._logs: Final[dict[str, int]] = {}
        self._sizes: Final[dict[str, int]] = {}
        self._facts: Final[dict[Fact, int]] = {}

    def load(self, entries: int) -> None:
        database = Database.open(f"sqlite:///{self._path}")
        migrate(database)
        with database.acting() as connection:
            for name in (OFFICERS, *map(partner_of, range(PARTNERS))):
                Ledger("bench", bytes(32)).open_log(connection, name)
            self._logs.update({head.name: head.id for head in logs.heads(connection)})
        database.close()
        plain = sqlite3.connect(self._path, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-800000", "locking_mode=EXCLUSIVE"):
            plain.execute(f"PRAGMA {pragma}")
        # Indexes beside the key are made at the end, each by one sort.
        later = plain.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name LIKE 'log_%'"
        ).fetchall()
        for name, _ in later:
            plain.execute(f"DROP INDEX {name}")
        plain.execute("BEGIN")
        for start in range(0, entries, 20_000):
            rows: list[Row] = []
            items: list[Row] = []
            said: list[Row] = []
            reviews: list[Row] = []
            for number in range(start, min(start + 20_000, entries)):
                row, its_items, its_facts = self.rows(drawn(number, entries), f"e-{number:019}", b"%032d" % number)
                rows.append(row)
                items += its_items
                said += its_facts
                if number % _REVIEWED_EVERY == 0:
                    reviews.append((row[0], row[1], row[3], "escalated" if number % 7 == 0 else "reviewed"))
            plain.executemany("INSERT INTO log_entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            plain.executemany("INSERT INTO log_item VALUES (?, ?, ?, ?, ?)", items)
            plain.executemany("INSERT INTO log_fact VALUES (?, ?, ?, ?)", sorted(said))
            plain.executemany("INSERT INTO review (log_id, position, at, state) VALUES (?, ?, ?, ?)", reviews)
        plain.executemany("INSERT INTO fact (id, kind, value) VALUES (?, ?, ?)", [(number, *fact) for fact, number in self._facts.items()])
        plain.executemany(
            "INSERT INTO fact_mark (log_id, size) VALUES (?, ?)", [(self._logs[name], size) for name, size in self._sizes.items()]
        )
        plain.execute("COMMIT")
        for _, sql in later:
            plain.execute(sql)
        plain.execute("PRAGMA journal_mode=WAL")
        plain.close()

    def rows(self, one: Drawn, event_id: str, nonce: bytes) -> tuple[Row, list[Row], list[Row]]:
        """The rows of an entry in `log_entry`, `log_item` and `log_fact`."""
        draft, at = one.draft, one.at
        log_id, position = self._logs.setdefault(draft.log, len(self._logs) + 1), self._sizes.get(draft.log, 0)
        self._sizes[draft.log] = position + 1
        moment = text_of(at)
        record = record_bytes({**draft.record, "at": canonical_string(moment)})
        leaf = leaf_bytes(
            type_=draft.type, event_id=event_id, at=moment, client=draft.client, route=draft.route, items=draft.items,
            body_sha256=draft.body_sha256, result=draft.result, purpose=draft.purpose, seal=seal(nonce, record), portion=draft.portion,
        )  # fmt: skip
        row = (log_id, position, event_id, at, draft.type, draft.client, draft.result, leaf, leaf_hash(leaf), record, nonce)
        items: list[Row] = [(item, at, log_id, position, version) for item, version in draft.versions]
        ids = [self._facts.setdefault(fact, len(self._facts) + 1) for fact in one.facts]
        return row, items, [(number, at, log_id, position) for number in ids]

    def fact_of(self, number: object) -> Fact:
        return next(fact for fact, its_number in self._facts.items() if its_number == number)


def compared(entries: int) -> int:
    """Write entries through the ledger, and compare every row with the loader's, its ids and nonces taken from the ledger's.

    Raises:
        AssertionError: one differs.
    """
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(f"sqlite:///{Path(folder) / 'compared.db'}")
        migrate(database)
        ledger = Ledger("bench", bytes(32))
        all_of_them = [drawn(number, entries) for number in range(entries)]
        for start in range(0, entries, 4):
            batch = all_of_them[start : start + 4]
            with database.releasing() as connection:
                ledger.append(
                    connection, ledger.lock(connection, [one.draft.log for one in batch]), [one.draft for one in batch], at=batch[0].at
                )
        with database.releasing() as connection:
            catch_up(connection, limit=entries)
        with database.reading() as connection:
            loader = Loader(Path(folder) / "none.db")
            loader._logs.update({head.name: head.id for head in logs.heads(connection)})
            names = {row[0]: (row[1], row[2]) for row in connection.execute(text("SELECT id, kind, value FROM fact"))}
            written = {(row[0], row[1]): tuple(row) for row in connection.execute(text("SELECT * FROM log_entry"))}
            its_items = _by_entry(connection.execute(text("SELECT * FROM log_item")), 2)
            its_facts = _by_entry(connection.execute(text("SELECT * FROM log_fact")), 2)
            for one in all_of_them:
                place = (loader._logs[one.draft.log], loader._sizes.get(one.draft.log, 0))
                real = written[place]
                row, items, said = loader.rows(one, str(real[2]), bytes(real[10]))  # type: ignore[arg-type]
                assert row == real, place
                assert sorted(items) == sorted(its_items.get(place, [])), place  # type: ignore[type-var]
                assert {(loader.fact_of(fact[0]), fact[1:]) for fact in said} == {(names[fact[0]], fact[1:]) for fact in its_facts[place]}
                assert facts(json.loads(bytes(real[9]))) == one.facts, place  # type: ignore[arg-type]
            assert sum(loader._sizes.values()) == len(written)
        database.close()
    return entries


def _by_entry(rows: Iterator[Row], start: int) -> dict[tuple[object, object], list[Row]]:
    found: dict[tuple[object, object], list[Row]] = {}
    for row in rows:
        found.setdefault((row[start], row[start + 1]), []).append(tuple(row))
    return found
