"""The auditor's pages: what any combination of filters finds is what a plain scan over the opened records finds, on both databases."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from service.releaselog.facts import facts
from service.sharing.ledger import OFFICERS, Draft, Ledger
from service.store import Database, log_pages, logs
from service.store import facts as facts_store
from service.store.log_pages import Page
from service.store.logs import AuditFilter, Position, StoredRow
from service.store.migrate import migrate
from tests.conftest import new_postgresql_database

LEDGER = Ledger("entente.test", bytes(32))
LOGS = ("AUS", "IND", "JPN", OFFICERS)
CLIENTS = ("c_one", "c_two", "c_three")
ITEMS = ("i1", "i2", "i3", "i4")
LEVELS = ("UNCLASSIFIED", "CONFIDENTIAL", "SECRET")
CATEGORIES = ("AIR", "CYBER", "MARITIME")
RULES = ("AGR-0001", "AGR-0002", "PRO-0001")
BUNDLES = ("aa", "bb")
OUTCOMES = ("release", "in_part", "refer", "withhold")
STATES = ("reviewed", "questioned", "escalated")
LAST = 60
"""The last time there is; several entries, in one log and in several, have each."""


@dataclass(frozen=True)
class Told:
    """What was written, newest first, and the states of review of some of it."""

    database: Database
    rows: tuple[StoredRow, ...]
    items: dict[tuple[int, int], set[str]]
    states: dict[tuple[int, int], str]


def _draft(chance: random.Random) -> Draft:
    log = chance.choices(LOGS, (6, 1, 3, 4))[0]
    act = log == OFFICERS
    type_ = chance.choice(("item.create", "look.view")) if act else chance.choice(("item", "item", "list"))
    items = chance.sample(ITEMS, 1 if type_ == "item" else chance.randint(0, 3))
    labels = {
        str(number): {"level": chance.choices(LEVELS, (9, 3, 1))[0], "categories": chance.sample(CATEGORIES, chance.randint(0, 2))}
        for number in range(chance.randint(0, 2))
    }
    record: dict[str, Any] = {"act": 1, "outcome": "done" if act else chance.choices(OUTCOMES, (8, 3, 1, 1))[0]}
    if not act:
        record |= {"labels": labels, "bundle": chance.choice(BUNDLES)}
        record["items"] = [{"id": item, "rules": chance.sample(RULES, chance.randint(0, 2))} for item in items]
    return Draft(
        log=log, type=type_, client=chance.choices(CLIENTS, (9, 3, 1))[0], route="/", body_sha256=None if act else bytes(32),
        items=json.dumps([{"id": item} for item in items], separators=(",", ":")).encode(), purpose="none",
        result="done" if act else "refused", record={name: json.dumps(value).encode() for name, value in record.items()},
        versions=tuple((item, 0) for item in items),
    )  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder: Path = tmp_path_factory.mktemp("pages")
    postgres = request.param == "postgresql"
    url = new_postgresql_database(request.getfixturevalue("postgresql_url")) if postgres else f"sqlite:///{folder / 'pages.db'}"
    database = Database.open(url)
    migrate(database)
    chance = random.Random(4)
    for at in range(1, LAST + 1):
        drafts = [_draft(chance) for _ in range(chance.randint(0, 24))]
        with database.releasing() as connection:
            LEDGER.append(connection, LEDGER.lock(connection, LOGS), drafts, at=at)
    with database.releasing() as connection:
        assert facts_store.catch_up(connection, limit=10_000)
    with database.reading() as connection:
        found = [row for head in logs.heads(connection) for row in logs.entries(connection, head.id)]
    rows = tuple(sorted(found, key=lambda row: (row.at, row.log_id, row.position), reverse=True))
    states = {(row.log_id, row.position): chance.choice(STATES) for row in chance.sample(rows, 80)}
    by_place = {(row.log_id, row.position): row for row in rows}
    with database.acting() as connection:
        for (log_id, position), state in states.items():
            values = {"log": log_id, "position": position, "at": by_place[log_id, position].at, "state": state}
            connection.execute(text("INSERT INTO review (log_id, position, at, state) VALUES (:log, :position, :at, :state)"), values)
    items = {place: {item["id"] for item in json.loads(row.leaf)["items"]} for place, row in by_place.items()}
    yield Told(database, rows, items, states)
    database.close()


def scan(told: Told, asked: AuditFilter) -> list[StoredRow]:
    """What is asked for, by reading every record."""

    def keeps(row: StoredRow) -> bool:
        place = (row.log_id, row.position)
        said = facts(json.loads(row.record))
        return all(
            (
                asked.log in (None, row.log),
                not asked.partners_only or row.log != OFFICERS,
                asked.item is None or asked.item in told.items[place],
                asked.since is None or row.at >= asked.since,
                asked.until is None or row.at < asked.until,
                asked.type in (None, row.type),
                asked.client in (None, row.client),
                asked.review is None or told.states.get(place) == asked.review,
                *(any((kind, value) in said for value in values) for kind, values in asked.facts().items()),
            )
        )

    return [row for row in told.rows if keeps(row)]


def pages(told: Told, asked: AuditFilter, *, limit: int, work: int = log_pages.WORK) -> Iterator[Page]:
    place: Position | None = None
    while True:
        with told.database.reading() as connection:
            page = log_pages.page(connection, asked, before=place, limit=limit, work=work)
        yield page
        if page.next is None:
            return
        assert place is None or (page.next.at, page.next.log_id, page.next.position) < (place.at, place.log_id, place.position)
        place = page.next


def one_of(values: tuple[str, ...]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from((*values, "absent"))


def some_of(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.just(()) | st.lists(st.sampled_from((*values, "absent")), min_size=1, max_size=3, unique=True).map(tuple)


TIMES = st.none() | st.integers(0, LAST + 1)
FILTERS = st.builds(
    AuditFilter,
    log=one_of(LOGS), partners_only=st.booleans(), item=one_of(ITEMS), since=TIMES, until=TIMES, type=one_of(("item", "list", "look.view")),
    client=one_of(CLIENTS), outcomes=some_of(OUTCOMES), levels=some_of(LEVELS), categories=some_of(CATEGORIES), rule=one_of(RULES),
    bundle=one_of(BUNDLES), review=one_of(STATES),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(asked=FILTERS, limit=st.integers(1, 40), work=st.sampled_from([1, 7, 50, log_pages.WORK]))
@example(asked=AuditFilter(), limit=100, work=log_pages.WORK)
@example(asked=AuditFilter(levels=LEVELS, categories=CATEGORIES), limit=3, work=20)
@example(asked=AuditFilter(log="IND", levels=("SECRET",)), limit=3, work=20)
@example(asked=AuditFilter(client="c_\x00"), limit=3, work=20)
@example(asked=AuditFilter(rule="AGR-\x00"), limit=3, work=20)
def test_any_filters_find_what_a_scan_over_the_records_finds(told: Told, asked: AuditFilter, limit: int, work: int) -> None:
    found: list[StoredRow] = []
    for page in pages(told, asked, limit=limit, work=work):
        assert len(page.rows) <= limit
        found += page.rows
    assert found == scan(told, asked)


@pytest.mark.parametrize(
    "asked",
    [
        AuditFilter(log="JPN"), AuditFilter(partners_only=True), AuditFilter(item="i2"), AuditFilter(since=20), AuditFilter(until=30),
        AuditFilter(type="list"), AuditFilter(client="c_one"), AuditFilter(outcomes=("withhold", "refer")), AuditFilter(levels=("SECRET",)),
        AuditFilter(categories=("AIR",)), AuditFilter(rule="PRO-0001"), AuditFilter(bundle="bb"), AuditFilter(review="questioned"),
    ],
    ids=lambda asked: ",".join(name for name in AuditFilter.__slots__ if getattr(asked, name)),
)  # fmt: skip
def test_each_filter_by_itself_finds_some_and_leaves_some_out(told: Told, asked: AuditFilter) -> None:
    """So that the law above is about something."""
    (page,) = pages(told, asked, limit=2000)
    assert list(page.rows) == scan(told, asked)
    assert 0 < len(page.rows) < len(told.rows)


def test_a_page_that_found_too_little_ends_early_and_says_where_to_go_on(told: Told) -> None:
    asked = AuditFilter(levels=("SECRET",), client="c_three", type="list")
    expected = scan(told, asked)
    walked = list(pages(told, asked, limit=50, work=5))
    assert len(walked) > 3 and any(not page.rows and page.next is not None for page in walked)
    assert [row for page in walked for row in page.rows] == expected


@pytest.mark.parametrize(
    ("asked", "walked"),
    [
        (AuditFilter(log="IND", outcomes=("release",)), "log"),
        (AuditFilter(log="AUS", levels=("SECRET",)), "level"),
        (AuditFilter(levels=("UNCLASSIFIED",), client="c_three"), "client"),
        (AuditFilter(item="i1", outcomes=("withhold",), log="AUS"), "outcome"),
        (AuditFilter(review="escalated", outcomes=("release",)), "review"),
        (AuditFilter(since=10), "all"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_rarest_of_what_is_asked_for_is_walked(told: Told, asked: AuditFilter, walked: str) -> None:
    with told.database.reading() as connection:
        plan = log_pages._Plan.of(connection, asked)
        assert plan is not None
        assert plan.sparsest(connection, log_pages._NEWEST, probe=12).name == walked


def test_in_the_order_of_a_log_the_same_is_found(told: Told) -> None:
    """Exports walk each log by itself, and ask with the same value."""
    asked = AuditFilter(levels=("SECRET",), outcomes=("release", "in_part"), partners_only=True, since=5)
    narrowed = logs._narrowed(asked)
    with told.database.reading() as connection:
        statement = f"SELECT e.log_id, e.position FROM log_entry e JOIN log g ON g.id = e.log_id{narrowed.joins}{narrowed.where()}"
        found = sorted(tuple(row) for row in connection.execute(text(statement), narrowed.parameters))
    assert found == sorted((row.log_id, row.position) for row in scan(told, asked))
    assert found
