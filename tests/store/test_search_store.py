"""The contract of search, over SQLite and PostgreSQL: what is found, in which order, whichever way it is looked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from service.store import Connection, Database
from service.store import search as store
from service.store.database import scalar
from service.store.search import Effort, Group, Row, Sought
from service.store.tables import FOREVER
from service.store.visibility import START, Offer, Place, Stretch, replace_offers

NOW = 100
EFFORTS = {
    "as-shipped": Effort(),
    "by-the-index": Effort(walked_first=0, indexed_first=1000, walked_then=0),
    "by-the-index-which-is-found-too-much-at-first": Effort(walked_first=0, indexed_first=0, walked_then=0),
    "by-walking": Effort(walked_first=1000),
    "by-walking-in-two-stretches": Effort(walked_first=1, indexed_first=0, walked_then=1000),
    "by-all-in-turns": Effort(walked_first=2, indexed_first=1, walked_then=2),
}


@dataclass(frozen=True)
class Item:
    """An item of the model: where it stands in lane 1, and its portions as (group, words)."""

    visible_since: int
    offered: bool
    level: int
    categories: tuple[str, ...]
    portions: tuple[tuple[int, str], ...]


WORDS = ("sea", "air", "東", "ünder".replace("ü", "u"), "sea5")
GROUPS = 4
"""Groups 1 and 2 are granted to lane 1, 3 to lane 2, 4 to nobody."""


def bodies() -> st.SearchStrategy[str]:
    runs = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
    return st.lists(runs, min_size=1, max_size=2).map(lambda found: f" {' | '.join(found)} ")


def items() -> st.SearchStrategy[Item]:
    return st.builds(
        Item,
        st.integers(1, 5),
        st.sampled_from([True, True, True, False]),
        st.integers(0, 2),
        st.sampled_from([(), ("AIR",), ("AIR", "BASES")]),
        st.lists(st.tuples(st.integers(1, GROUPS), bodies()), min_size=1, max_size=3).map(tuple),
    )


def wanted() -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join), min_size=1, max_size=3).map(
        lambda phrases: tuple(sorted(set(phrases)))
    )


def sought(*phrases: str) -> Sought:
    return Sought(tuple(sorted({word for phrase in phrases for word in phrase.split()})), phrases)


def put(connection: Connection, held: Sequence[Item]) -> None:
    """Write a model's items in the place of what was there."""
    store.clear(connection)
    for table in ("offer", "offer_category"):
        connection.execute(text(f"DELETE FROM {table}"))
    groups = [Group((number,), 0, FOREVER) for number in range(1, GROUPS + 1)]
    ids, _ = store.intern_groups(connection, groups)
    stretch = (Stretch(0, FOREVER),)
    store.replace_grants(connection, {(1, ids[groups[0]]): stretch, (1, ids[groups[1]]): stretch, (2, ids[groups[2]]): stretch}, fresh=True)
    rows = [
        Row(f"item-{number}", f"item-{number}-{place}", ids[groups[group - 1]], body)
        for number, item in enumerate(held)
        for place, (group, body) in enumerate(item.portions)
    ]
    store.add_rows(connection, rows)
    replace_offers(
        connection,
        [
            (1, f"item-{number}", [Offer(0, FOREVER, item.visible_since, item.level, item.categories)])
            for number, item in enumerate(held)
            if item.offered
        ],
        fresh=True,
    )


def expected(held: Sequence[Item], phrases: Sequence[str], levels: list[int] | None, categories: list[str] | None) -> list[str]:
    """Ids of the items found, in order: looked for in every one of them."""
    found = []
    for number, item in enumerate(held):
        holds = any(group in (1, 2) and all(f" {phrase} " in body for phrase in phrases) for group, body in item.portions)
        fits = (levels is None or item.level in levels) and (categories is None or not set(categories).isdisjoint(item.categories))
        if item.offered and holds and fits:
            found.append((item.visible_since, f"item-{number}"))
    return [item_id for _, item_id in sorted(found)]


@pytest.mark.parametrize("effort", EFFORTS.values(), ids=EFFORTS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(items(), max_size=12), wanted(), st.none() | st.lists(st.integers(0, 3), max_size=2),
    st.none() | st.lists(st.sampled_from(["AIR", "BASES", "NONE"]), max_size=2), st.integers(1, 4),
)  # fmt: skip
def test_it_finds_what_looking_into_everything_finds(
    database: Database,
    effort: Effort,
    held: list[Item],
    phrases: tuple[str, ...],
    levels: list[int] | None,
    categories: list[str] | None,
    limit: int,
) -> None:
    with database.acting() as connection:
        put(connection, held)
    with database.reading() as connection:
        found: list[str] = []
        after = START
        for _ in range(len(held) + 2):
            lines = store.found_page(
                connection, sought(*phrases), lane=1, at=NOW, after=after, limit=limit, levels=levels, categories=categories, effort=effort
            )
            for line, portions in lines:
                item = held[int(line.item_id.removeprefix("item-"))]
                for portion in portions:
                    group, body = item.portions[int(portion.rpartition("-")[2])]
                    assert group in (1, 2)
                    assert all(f" {phrase} " in body for phrase in phrases)
                assert portions
            found += [line.item_id for line, _ in lines]
            if len(lines) < limit:
                break
            after = Place(lines[-1][0].visible_since, lines[-1][0].item_id)
    assert found == expected(held, phrases, levels, categories)


def find(connection: Connection, *phrases: str, lane: int = 1, at: int = NOW, effort: str = "by-the-index") -> list[str]:
    lines = store.found_page(connection, sought(*phrases), lane=lane, at=at, after=START, limit=100, effort=EFFORTS[effort])
    return [line.item_id for line, _ in lines]


def one(body: str, *, group: int = 1) -> Item:
    return Item(1, True, 0, (), ((group, body),))


@pytest.mark.parametrize("effort", ["by-the-index", "by-walking"])
def test_a_row_that_is_removed_is_found_no_more_and_the_others_are(database: Database, effort: str) -> None:
    with database.acting() as connection:
        put(connection, [one(" sea air "), one(" sea "), one(" sea | 東 ")])
        assert find(connection, "sea", effort=effort) == ["item-0", "item-1", "item-2"]
        store.drop_rows(connection, "item-1")
        assert find(connection, "sea", effort=effort) == ["item-0", "item-2"]
        (row,) = store.rows_of(connection, ["item-2"])["item-2"]
        store.remove_rows(connection, [row.id])
        assert find(connection, "sea", effort=effort) == ["item-0"]
        assert find(connection, "東", effort=effort) == []
        # An id that was free is used again: nothing of what had it is left.
        store.add_rows(connection, [Row("item-2", "item-2-0", row.group_id, " air ")])
        assert find(connection, "air", effort=effort) == ["item-0", "item-2"]
        assert find(connection, "sea", effort=effort) == ["item-0"]
        assert find(connection, "東", effort=effort) == []


@pytest.mark.parametrize("effort", ["by-the-index", "by-walking"])
def test_a_grant_is_what_decides_and_holds_for_its_stretch(database: Database, effort: str) -> None:
    with database.acting() as connection:
        put(connection, [one(" sea ", group=4)])
        (group,) = [row.group_id for row in store.rows_of(connection, ["item-0"])["item-0"]]
        assert find(connection, "sea", effort=effort) == []
        store.replace_grants(connection, {(1, group): [Stretch(NOW, NOW + 2)]})
        assert [find(connection, "sea", at=at, effort=effort) for at in (NOW - 1, NOW, NOW + 1, NOW + 2)] == [
            [],
            ["item-0"],
            ["item-0"],
            [],
        ]
        assert find(connection, "sea", lane=2, effort=effort) == []
        store.drop_ended_grants(connection, at=NOW + 1)
        assert find(connection, "sea", at=NOW + 1, effort=effort) == ["item-0"]
        store.drop_ended_grants(connection, at=NOW + 2)
        assert scalar(connection, "SELECT COUNT(*) FROM search_grant WHERE group_id = :group", group=group) == 0
        store.replace_grants(connection, {(1, group): [Stretch(0, FOREVER)]})
        store.replace_grants(connection, {(1, group): []})
        assert find(connection, "sea", effort=effort) == []


def test_groups_are_interned_once_and_known_by_their_labels(database: Database) -> None:
    open_, dated, pair = Group((7,), 0, FOREVER), Group((7,), 5, 9), Group((7, 8), 0, FOREVER)
    with database.acting() as connection:
        ids, fresh = store.intern_groups(connection, [open_, pair])
        assert fresh == {ids[open_]: open_, ids[pair]: pair}
        again, fresh = store.intern_groups(connection, [dated, open_])
        assert again[open_] == ids[open_]
        assert fresh == {again[dated]: dated}
        assert store.groups_with(connection, [8]) == {ids[pair]: pair}
        assert store.groups_with(connection, [7, 8, 9]) == {ids[open_]: open_, again[dated]: dated, ids[pair]: pair}
        assert store.intern_groups(connection, []) == ({}, {})


@pytest.mark.parametrize("effort", ["by-the-index", "by-walking", "by-all-in-turns"])
def test_a_portion_with_more_words_than_the_index_takes_is_found_by_each_of_them(database: Database, effort: str) -> None:
    many = [f"word{number:05x}{'x' * 20}" for number in range(40_000)]
    with database.acting() as connection:
        put(connection, [one(f" {' '.join(many)} "), one(" sea air "), one(f" {' '.join(many[:9])} sea ")])
        assert find(connection, many[-1], effort=effort) == ["item-0"]
        assert find(connection, f"{many[700]} {many[701]}", many[5], effort=effort) == ["item-0"]
        assert find(connection, many[3], effort=effort) == ["item-0", "item-2"]
        assert find(connection, f"{many[701]} {many[700]}", effort=effort) == []
        assert find(connection, "sea", effort=effort) == ["item-1", "item-2"]
        store.drop_rows(connection, "item-0")
        assert find(connection, many[3], effort=effort) == ["item-2"]
        # It was found again, and its group is still looked into.
        assert find(connection, "air", "sea", effort=effort) == ["item-1"]


def test_words_as_long_and_strange_as_they_come_are_kept_and_found(database: Database) -> None:
    strange = ["\U0002a6d6", "𓀀" * 64, "x" * 64, "हिन्दी", "البحرية", "ꙮ", "0", "1x2", "ffx"]
    with database.acting() as connection:
        put(connection, [one(f" {word} ") for word in strange])
        for number, word in enumerate(strange):
            for effort in ("by-the-index", "by-walking"):
                assert find(connection, word, effort=effort) == [f"item-{number}"]


def test_runs_are_merged_in_steps_at_each_of_which_the_same_is_found(database: Database) -> None:
    """Other rows that come in between are found too, and what was removed is not found again."""
    with database.acting() as connection:
        put(connection, [one(" first ")])
        group = store.rows_of(connection, ["item-0"])["item-0"][0].group_id
    for number in range(40):
        with database.acting() as connection:
            body = " ".join(f"word{number}x{place}" for place in range(300))
            store.add_rows(connection, [Row(f"item {number}", f"portion {number}", group, f" {body} common ")])
            replace_offers(connection, [(1, f"item {number}", [Offer(0, FOREVER, number + 1, 0, ())])])
    with database.acting() as connection:
        store.drop_rows(connection, "item 7")
    there = [f"item {number}" for number in range(40) if number != 7]
    with database.reading() as connection:
        before = store.runs(connection)
    assert (before > 4) == (connection.dialect.name == "sqlite")
    steps = 0
    while True:
        with database.releasing() as connection:
            more = store.merge_runs(connection, pages=1)
        with database.reading() as connection:
            assert find(connection, "common") == there
            assert find(connection, "word9x17") == ["item 9"]
            assert find(connection, "word7x17") == []
        if not more:
            break
        steps += 1
        assert steps < 1000
    assert steps > 1 or before == 1
    with database.reading() as connection:
        assert store.runs(connection) == 1


def test_a_word_of_another_group_is_no_word_of_this_one(database: Database) -> None:
    """The word stands in the index under the number of its group: no word can be taken for a number and a word."""
    with database.acting() as connection:
        put(connection, [one(" sea ", group=2), one(" 2xsea ", group=1), one(" xsea ", group=1), one(" 12xsea ", group=3)])
        assert find(connection, "sea") == ["item-0"]
        assert find(connection, "2xsea") == ["item-1"]
        assert find(connection, "xsea") == ["item-2"]


def test_what_is_withheld_is_not_so_much_as_proposed(database: Database) -> None:
    """However many withheld portions hold a word: the index gives none of them to the search, and the answer does not end early."""
    with database.acting() as connection:
        put(connection, [one(" sea ", group=4) for _ in range(30)] + [one(" sea "), one(" sea ", group=3)])
        search = store._Search(connection, sought("sea"), 1, NOW, None, None)
        proposed = search.proposed(most=1)
        assert proposed is not None
        assert [row.portion_id for rows in store.rows_of(connection, ["item-30"]).values() for row in rows if row.id in proposed] == [
            "item-30-0"
        ]
        assert len(proposed) == 1
        assert find(connection, "sea", effort="by-all-in-turns") == ["item-30"]


PROPOSED = 40


@pytest.mark.parametrize("narrowed", [False, True], ids=["all", "by-level-and-category"])
@pytest.mark.parametrize("analysed", [False, True], ids=["as-written", "analysed"])
def test_what_the_index_proposes_is_placed_by_its_key_however_long_the_list_is(database: Database, analysed: bool, narrowed: bool) -> None:
    """Each row proposed costs one look at one item's offer. In the order of the list it would cost the whole list (promise 9)."""
    with database.acting() as connection:
        put(connection, [Item(1 + number, True, 0, ("AIR",), ((1, " sea "),)) for number in range(3000)])
        if analysed:
            connection.execute(text("ANALYZE"))
    with database.reading() as connection:
        search = store._Search(connection, sought("sea"), 1, 10_000, [0] if narrowed else None, ["AIR"] if narrowed else None)
        proposed = search.proposed(most=None)
        assert proposed is not None
        ran: list[tuple[str, Any]] = []
        event.listen(connection, "before_cursor_execute", lambda _1, _2, sql, values, _3, _4: ran.append((sql, values)))
        assert len(search.placed(proposed[:PROPOSED], after=START, limit=PROPOSED + 1)) == PROPOSED
        ((sql, values),) = ran
        looks = explained(connection, sql, values)
    assert looks["search_row"] == (PRIMARY_KEY[database.postgres]["search_row"], {"id"})
    assert looks["offer"] == (PRIMARY_KEY[database.postgres]["offer"], {"item_id", "lane_id"})
    assert looks.keys() - {"search_row", "offer"} == ({"offer_category"} if narrowed else set())
    if narrowed:
        assert {"item_id", "lane_id"} <= looks["offer_category"][1]


PRIMARY_KEY = {
    False: {"search_row": "INTEGER PRIMARY KEY", "offer": "sqlite_autoindex_offer_1"},
    True: {"search_row": "search_row_pkey", "offer": "offer_pkey"},
}


def explained(connection: Connection, sql: str, values: Any) -> dict[str, tuple[str, set[str]]]:
    """Of each table that a statement reads: the index it is looked up in, and the columns that are known by then.

    A table that is not looked up, but read from end to end, has no index and no columns.
    """
    looks: dict[str, tuple[str, set[str]]] = {}
    if connection.dialect.name == "sqlite":
        names = {"r": "search_row", "o": "offer", "c": "offer_category"}
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values):
            if found := re.fullmatch(r"(?:SEARCH|SCAN) ([roc])(?: USING (?:COVERING )?(?:INDEX )?(.+?) \((.*)\))?.*", row[3]):
                looks[names[found[1]]] = (
                    found[2] or "",
                    {"id" if one == "rowid" else one for one in re.findall(r"(\w+)=\?", found[3] or "")},
                )
        return looks
    (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sql}", values).one()
    nodes = [plan[0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if "Relation Name" in node or node["Node Type"].startswith("Bitmap"):
            known = set(re.findall(r"\(?(?:\w+\.)?(\w+) = ", node.get("Index Cond", "")))
            looks[node.get("Relation Name", "?")] = (node.get("Index Name", ""), known)
    return looks


def test_a_lane_that_does_not_exist_finds_nothing(database: Database) -> None:
    with database.acting() as connection:
        put(connection, [one(" sea ")])
        for effort in EFFORTS:
            assert find(connection, "sea", lane=0, effort=effort) == []


def test_clearing_leaves_nothing_behind(database: Database) -> None:
    with database.acting() as connection:
        put(connection, [one(" sea ")])
        store.clear(connection)
        for table in ("search_row", "search_group", "search_group_label", "search_grant"):
            assert scalar(connection, f"SELECT COUNT(*) FROM {table}") == 0
        put(connection, [one(" air ")])
        assert find(connection, "sea") == []
        assert find(connection, "air") == ["item-0"]


def test_a_page_that_was_rolled_back_was_never_there(database: Database) -> None:
    class Undo(Exception):
        pass

    with database.acting() as connection:
        put(connection, [one(" air ")])
    with pytest.raises(Undo), database.acting() as connection:
        store.add_rows(connection, [Row("item-0", "item-0-9", 1, " sea ")])
        raise Undo
    with database.reading() as connection:
        assert find(connection, "sea") == []
        assert find(connection, "air") == ["item-0"]
