"""Items, versions, portions, labels through time, quarantine, copies: what is written is what is read, at the time asked."""

from __future__ import annotations

import hashlib
import json
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from service.settings import PORTIONS_MAX
from service.store import Connection, Database, catalogue, visibility
from service.store.catalogue import Evidence, ItemRecord, LabelStretch, PortionRecord, VersionRecord
from service.store.tables import FOREVER

LABELS = {hashlib.sha256(body.encode()).digest(): body for body in ('{"level":"S"}', '{"level":"U"}', '{"level":"Ü"}')}


LARGEST_SET = frozenset(range(9_000_000, 9_000_000 + PORTIONS_MAX + 1))
"""The labels of an item with all the portions it may have, and a compilation."""


def portion(name: str, item: str = "i1", *, changed_at: int = 10, content: bytes = b"text") -> PortionRecord:
    return PortionRecord(name, item, "text", content, hashlib.sha256(content).digest(), None, None, len(content), changed_at)


def version(connection: Connection, item: str, number: int, portions: tuple[str, ...], *, whole: bool = False, at: int = 10) -> int:
    """A version of an item; its row id."""
    version_id = catalogue.next_version_id(connection)
    catalogue.add_versions(connection, [VersionRecord(version_id, item, number, "SECRET", whole)], at=at)
    catalogue.add_version_portions(connection, {version_id: [(name, f"({name})") for name in portions]})
    return version_id


def stored(
    connection: Connection,
    item: str = "i1",
    *,
    portions: tuple[str, ...] = ("p1", "p2"),
    whole: bool = False,
    at: int = 10,
    timelines: dict[str, list[LabelStretch]] | None = None,
) -> int:
    """An item with one version in force; the version's row id."""
    catalogue.add_items(connection, [ItemRecord(item, f"ref-{item}", 1, None)], at=at)
    catalogue.add_portions(connection, [portion(name, item) for name in portions])
    version_id = version(connection, item, 1, portions, whole=whole, at=at)
    catalogue.add_timeline(connection, timelines or {name: [LabelStretch(at, FOREVER, 1)] for name in portions})
    return version_id


def set_id(connection: Connection, *members: int) -> int:
    """The id of a set of labels."""
    return catalogue.intern_label_sets(connection, [frozenset(members)])[frozenset(members)]


# --- labels ---------------------------------------------------------------------------------------------------------


def test_a_label_has_one_id_however_often_it_comes(database: Database) -> None:
    with database.acting() as connection:
        first = catalogue.intern_labels(connection, LABELS)
        assert len(set(first.values())) == 3
        assert catalogue.intern_labels(connection, LABELS) == first
        assert catalogue.intern_labels(connection, {}) == {}
        more = {bytes(32): "{}"}
        (new,) = set(catalogue.intern_labels(connection, {**LABELS, **more}).values()) - set(first.values())
        assert new > max(first.values())
        assert catalogue.labels_after(connection, max(first.values())) == [(new, "{}")]
        in_order = {label_id: LABELS[digest] for digest, label_id in first.items()} | {new: "{}"}
        assert catalogue.labels_after(connection, 0) == sorted(in_order.items())


def test_many_labels_at_once_each_get_their_own(database: Database) -> None:
    many = {hashlib.sha256(b"%d" % number).digest(): f'"{number}"' for number in range(1000)}
    with database.acting() as connection:
        ids = catalogue.intern_labels(connection, many)
        bodies = dict(catalogue.labels_after(connection, 0))
        assert {digest: bodies[label_id] for digest, label_id in ids.items()} == many
        assert {digest for _, digest, _ in catalogue.labels_with_digests(connection)} == set(many)


def test_a_label_of_an_act_that_failed_was_never_there(database: Database) -> None:
    with pytest.raises(RuntimeError), database.acting() as connection:
        catalogue.intern_labels(connection, LABELS)
        raise RuntimeError
    with database.acting() as connection:
        assert catalogue.labels_after(connection, 0) == []


def test_a_set_of_labels_is_one_whatever_its_order(database: Database) -> None:
    sets = [frozenset({3, 1, 2}), frozenset({1, 2}), frozenset[int](), LARGEST_SET, *(frozenset({one}) for one in range(900))]
    with database.acting() as connection:
        first = catalogue.intern_label_sets(connection, sets)
        assert len(set(first.values())) == len(sets)
        assert catalogue.intern_label_sets(connection, sets[::-1]) == first
        assert catalogue.intern_label_sets(connection, [frozenset([2, 3, 1])]) == {frozenset({1, 2, 3}): first[sets[0]]}
        assert catalogue.intern_label_sets(connection, []) == {}


# --- items, versions --------------------------------------------------------------------------------------------------


def test_an_item_is_found_by_its_id_and_its_ref_and_by_nothing_else(database: Database) -> None:
    with database.acting() as connection:
        stored(connection)
        expected = ItemRecord("i1", "ref-i1", 1, None)
        assert catalogue.item_by_id(connection, "i1") == catalogue.item_by_ref(connection, "ref-i1") == expected
        for absent in ("ref-i1", "I1", "", "i1\x00", "i1 ", "%"):
            assert catalogue.item_by_id(connection, absent) is None
        assert catalogue.item_by_ref(connection, "i1") is None


def test_items_are_found_by_their_refs_many_at_once(database: Database) -> None:
    with database.acting() as connection:
        catalogue.add_items(connection, [ItemRecord(f"i{number}", f"r{number}", 0, None) for number in range(1000)], at=1)
        wanted = {f"r{number}" for number in range(0, 2000, 2)}
        assert {ref: one.id for ref, one in catalogue.items_by_ref(connection, wanted).items()} == {
            f"r{number}": f"i{number}" for number in range(0, 1000, 2)
        }
        assert catalogue.items_by_ref(connection, []) == {}


def test_the_longest_ref_there_may_be_fits_the_index(database: Database) -> None:
    ref = "".join(chr(0x1F300 + number * 37 % 700) for number in range(512))
    with database.acting() as connection:
        catalogue.add_items(connection, [ItemRecord("i1", ref, 0, None)], at=1)
        assert catalogue.item_by_ref(connection, ref) == ItemRecord("i1", ref, 0, None)


def test_a_ref_is_given_once(database: Database) -> None:
    with pytest.raises(IntegrityError), database.acting() as connection:
        stored(connection)
        catalogue.add_items(connection, [ItemRecord("i2", "ref-i1", 1, None)], at=11)


def test_a_version_has_its_portions_in_order_with_their_markings(database: Database) -> None:
    with database.acting() as connection:
        version_id = stored(connection, portions=("z", "a", "m"), whole=True)
        assert catalogue.version_in_force(connection, "i1") == VersionRecord(version_id, "i1", 1, "SECRET", True)
        held = catalogue.portions_of_version(connection, version_id)
        assert [(one.id, marking) for one, marking in held] == [("z", "(z)"), ("a", "(a)"), ("m", "(m)")]
        assert held[0][0] == portion("z")
        assert catalogue.version_in_force(connection, "absent") is None
        assert catalogue.latest_version_number(connection, "i1") == 1
        assert catalogue.latest_version_number(connection, "absent") == 0


def test_content_comes_back_byte_for_byte(database: Database) -> None:
    contents = [bytes(range(256)), b"", "漢字 ü \u2028".encode(), b"\x00" * 70_000]
    with database.acting() as connection:
        catalogue.add_items(connection, [ItemRecord("i1", "r", 1, None)], at=1)
        catalogue.add_portions(connection, [portion(f"p{number}", content=content) for number, content in enumerate(contents)])
        version_id = version(connection, "i1", 1, tuple(f"p{number}" for number in range(4)))
        assert [one.content for one, _ in catalogue.portions_of_version(connection, version_id)] == contents


def test_a_quarantined_version_leaves_the_one_in_force(database: Database) -> None:
    with database.acting() as connection:
        first = stored(connection)
        second = version(connection, "i1", 2, (), at=20)
        catalogue.add_quarantined(
            connection, version_id=second, item_id="i1", code="unmarked", reason="it bears no marking", at=20, intake='{"ref":"x"}'
        )
        assert catalogue.version_in_force(connection, "i1").id == first  # type: ignore[union-attr]
        assert catalogue.latest_version_number(connection, "i1") == 2
        (held,) = catalogue.quarantined(connection, after=(0, 0), limit=10)
        assert (held.item_id, held.ref, held.version, held.code, held.intake) == ("i1", "ref-i1", 2, "unmarked", '{"ref":"x"}')
        assert catalogue.quarantined_of(connection, "i1") == held
        assert catalogue.quarantined(connection, after=(held.at, held.version_id), limit=10) == []
        catalogue.set_version_in_force(connection, "i1", 2)
        assert catalogue.version_in_force(connection, "i1").id == second  # type: ignore[union-attr]
        catalogue.settle_quarantine(connection, ["i1"])
        assert catalogue.quarantined_of(connection, "i1") is None


def test_quarantine_is_listed_in_the_order_of_time_page_by_page(database: Database) -> None:
    with database.acting() as connection:
        for number, at in enumerate((30, 10, 10, 20)):
            catalogue.add_items(connection, [ItemRecord(f"i{number}", f"r{number}", 0, None)], at=at)
            version_id = version(connection, f"i{number}", 1, (), at=at)
            catalogue.add_quarantined(connection, version_id=version_id, item_id=f"i{number}", code="c", reason="r", at=at, intake="{}")
        seen: list[str] = []
        after = (0, 0)
        while page := catalogue.quarantined(connection, after=after, limit=1):
            seen.append(page[0].item_id)
            after = (page[0].at, page[0].version_id)
        assert seen == ["i1", "i2", "i3", "i0"]


# --- timelines --------------------------------------------------------------------------------------------------------


def test_a_portion_has_the_label_of_the_moment_asked(database: Database) -> None:
    rows = {"p1": [LabelStretch(10, 20, 1), LabelStretch(20, FOREVER, 2)], "p2": [LabelStretch(15, 30, 3)]}
    with database.acting() as connection:
        stored(connection, timelines=rows)
        for at, expected, whole_known in (
            (9, [], False),
            (10, [("p1", 1, 20)], False),
            (15, [("p1", 1, 20), ("p2", 3, 30)], True),
            (19, [("p1", 1, 20), ("p2", 3, 30)], True),
            (20, [("p1", 2, FOREVER), ("p2", 3, 30)], True),
            (30, [("p1", 2, FOREVER)], False),
        ):
            held = catalogue.versions_at(connection, ["i1", "absent"], at=at)["i1"]
            assert [(one.portion.id, one.label_id, one.label_until) for one in held.portions] == expected
            assert held.unlabelled is not whole_known


def test_the_label_of_a_compilation_is_kept_under_the_item(database: Database) -> None:
    with database.acting() as connection:
        stored(connection, timelines={"i1": [LabelStretch(10, 20, 7)], "p1": [LabelStretch(10, FOREVER, 1)], "p2": []})
        assert catalogue.versions_at(connection, ["i1"], at=10)["i1"].compilation == (7, 20)
        assert catalogue.versions_at(connection, ["i1"], at=20)["i1"].compilation is None
        (timeline,) = catalogue.item_timelines(connection, ["i1"], at=10)
        assert timeline.compilation == (LabelStretch(10, 20, 7),)
        assert timeline.portions == ((10, (LabelStretch(10, FOREVER, 1),)), (10, ()))


def test_ending_a_timeline_cuts_what_is_in_force_and_takes_back_what_was_to_come(database: Database) -> None:
    with database.acting() as connection:
        rows = [LabelStretch(10, 20, 1), LabelStretch(20, 30, 2), LabelStretch(30, FOREVER, 3)]
        stored(connection, timelines={"p1": rows, "p2": rows})
        catalogue.end_timeline(connection, "p1", at=25)
        assert catalogue.timelines_of(connection, ["p1"], at=0)["p1"] == [LabelStretch(10, 20, 1), LabelStretch(20, 25, 2)]
        catalogue.end_timeline(connection, "p2", at=20)
        assert catalogue.timelines_of(connection, ["p1", "p2"], at=20) == {"p1": [LabelStretch(20, 25, 2)]}


def test_a_withdrawn_item_has_no_label_from_then_on_and_is_in_no_list_to_be_made(database: Database) -> None:
    with database.acting() as connection:
        stored(connection)
        stored(connection, "i2", portions=("q1",))
        catalogue.add_label_sets(connection, [("i1", 10, FOREVER, set_id(connection, 1))])
        catalogue.withdraw(connection, "i1", at=50)
        assert catalogue.item_by_id(connection, "i1") == ItemRecord("i1", "ref-i1", 1, 50)
        assert catalogue.versions_at(connection, ["i1"], at=50)["i1"].portions == ()
        assert len(catalogue.versions_at(connection, ["i1"], at=49)["i1"].portions) == 2
        assert catalogue.evidence(connection, "i1", at=50) == Evidence("i1", "ref-i1", 1, (), FOREVER)
        assert [one.item_id for one in catalogue.item_timelines(connection, ["i1", "i2"], at=50)] == ["i2"]
        assert catalogue.items_after(connection, "", limit=9) == ["i2"]
        assert visibility.items_with_labels(connection, [1], at=50) == {"i2"}
        assert catalogue.labels_in_use(connection, at=50) == {1}


def test_evidence_is_the_set_of_the_moment_and_how_long_it_holds(database: Database) -> None:
    with database.acting() as connection:
        stored(connection)
        catalogue.add_label_sets(connection, [("i1", 10, 20, set_id(connection, 2, 1)), ("i1", 20, FOREVER, set_id(connection, 3))])
        assert catalogue.evidence(connection, "i1", at=10) == Evidence("i1", "ref-i1", 1, (1, 2), 20)
        assert catalogue.evidence(connection, "i1", at=20) == Evidence("i1", "ref-i1", 1, (3,), FOREVER)
        assert catalogue.evidence(connection, "absent", at=20) is None
        catalogue.end_label_sets(connection, "i1", at=15)
        assert catalogue.evidence(connection, "i1", at=14) == Evidence("i1", "ref-i1", 1, (1, 2), 15)
        assert catalogue.evidence(connection, "i1", at=25) == Evidence("i1", "ref-i1", 1, (), FOREVER)


def test_items_are_found_by_a_label_they_have_now_or_later(database: Database) -> None:
    with database.acting() as connection:
        stored(connection, "i1", portions=("a",), timelines={"a": [LabelStretch(10, 20, 1), LabelStretch(20, FOREVER, 2)]})
        stored(connection, "i2", portions=("b",), timelines={"b": [LabelStretch(10, FOREVER, 3)], "i2": [LabelStretch(10, FOREVER, 2)]})
        assert visibility.items_with_labels(connection, [1], at=15) == {"i1"}
        assert visibility.items_with_labels(connection, [1], at=20) == set()
        assert visibility.items_with_labels(connection, [2], at=15) == {"i1", "i2"}
        assert visibility.items_with_labels(connection, range(1000), at=15) == {"i1", "i2"}
        assert visibility.items_with_labels(connection, [], at=15) == set()


# --- files, copies ----------------------------------------------------------------------------------------------------


def test_files_and_copies_are_kept_by_digest_and_once(database: Database) -> None:
    with database.acting() as connection:
        catalogue.add_file(connection, bytes(32), 5)
        catalogue.add_file(connection, bytes(32), 6)
        assert catalogue.file_size(connection, bytes(32)) == 5
        assert catalogue.file_size(connection, b"\x01" * 32) is None
        assert catalogue.files(connection) == [(bytes(32), 5)]
        bodies = {hashlib.sha256(b"%d" % number).digest(): b"%d" % number for number in range(450)}
        catalogue.keep_copies(connection, bodies)
        catalogue.keep_copies(connection, bodies)
        catalogue.keep_copies(connection, {})
        assert dict(catalogue.copies(connection)) == bodies
        assert catalogue.copy_digests(connection) == set(bodies)
        assert catalogue.copy_body(connection, next(iter(bodies))) == b"0"
        assert catalogue.copy_body(connection, bytes(32)) is None


# --- lanes, entitlements, offers ----------------------------------------------------------------------------------------


def test_a_lane_is_made_once_and_zero_is_none(database: Database) -> None:
    with database.acting() as connection:
        lane = visibility.add_lane(connection, "JPN", "none")
        assert lane is not None
        assert lane.id > 0
        assert visibility.add_lane(connection, "JPN", "none") is None
        other = visibility.add_lane(connection, "JPN", "EXERCISE-KEEN")
        assert visibility.lanes(connection) == [lane, other]
        assert visibility.lane_id(connection, "JPN", "none") == lane.id
        assert visibility.lane_id(connection, "IND", "none") == 0


def test_entitlements_take_the_place_of_what_was_there_and_of_nothing_else(database: Database) -> None:
    stretch = visibility.Stretch
    with database.acting() as connection:
        visibility.replace_entitlements(connection, {(1, 1): [stretch(1, 5), stretch(9, FOREVER)], (2, 1): [stretch(3, 4)]})
        visibility.replace_entitlements(connection, {(1, 1): [stretch(2, 3)], (1, 2): []})
        assert visibility.entitlements(connection, [1, 2]) == {(1, 1): [stretch(2, 3)], (2, 1): [stretch(3, 4)]}
        visibility.replace_entitlements(connection, {(1, 1): []})
        assert visibility.entitlements(connection, [1]) == {(2, 1): [stretch(3, 4)]}
        assert visibility.entitlements(connection, []) == {}


def offer(since: int, *, level: int = 0, categories: tuple[str, ...] = (), from_at: int = 0, until: int = FOREVER) -> visibility.Offer:
    return visibility.Offer(from_at, until, since, level, categories)


def test_an_offer_holds_from_its_first_moment_to_its_last(database: Database) -> None:
    with database.acting() as connection:
        visibility.replace_offers(connection, [(1, "i", [offer(5, from_at=5, until=9), offer(9, from_at=9, until=12)])])
        held = {at: visibility.offer_of(connection, lane=1, item_id="i", at=at) for at in (4, 5, 8, 9, 11, 12)}
        assert held == {4: None, 5: (5, 9, 5), 8: (5, 9, 5), 9: (9, 12, 9), 11: (9, 12, 9), 12: None}
        assert visibility.offer_of(connection, lane=2, item_id="i", at=5) is None
        assert [one.item_id for one in visibility.page(connection, lane=1, at=9, after=visibility.START, limit=9)] == ["i"]
        visibility.drop_ended_offers(connection, at=9)
        assert [row[2:4] for row in visibility.all_offers(connection, at=0)] == [(9, 12)]
        visibility.drop_offers(connection, "i")
        assert visibility.all_offers(connection, at=0) == []


def test_offers_take_the_place_of_what_was_there_categories_too(database: Database) -> None:
    with database.acting() as connection:
        visibility.replace_offers(
            connection, [(1, "i", [offer(5, categories=("A", "B"))]), (2, "i", [offer(6, categories=("A",))])], fresh=True
        )
        visibility.replace_offers(connection, [(1, "i", [offer(7, categories=("C",))]), (1, "j", [])])
        find = visibility.page
        assert find(connection, lane=1, at=9, after=visibility.START, limit=9, categories=["A", "B"]) == []
        assert [one.visible_since for one in find(connection, lane=1, at=9, after=visibility.START, limit=9, categories=["C"])] == [7]
        assert [one.visible_since for one in find(connection, lane=2, at=9, after=visibility.START, limit=9, categories=["A"])] == [6]
        visibility.clear(connection)
        assert find(connection, lane=2, at=9, after=visibility.START, limit=9) == []


CATEGORIES = ("A", "B", "C")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.integers(1, 4),
            st.integers(0, 2),
            st.sets(st.sampled_from(CATEGORIES)),
            st.sampled_from([(0, FOREVER), (0, 5), (6, FOREVER)]),
        ),
        max_size=14,
    ),
    st.none() | st.lists(st.integers(-1, 3), min_size=1, max_size=3),
    st.none() | st.lists(st.sampled_from([*CATEGORIES, "ABSENT", "\x00", "ü"]), min_size=1, max_size=3),
    st.integers(1, 5),
)
def test_pages_with_any_filters_are_the_lines_that_match_in_order_without_gap_or_repeat(
    database: Database,
    lines: list[tuple[int, int, set[str], tuple[int, int]]],
    levels: list[int] | None,
    categories: list[str] | None,
    limit: int,
) -> None:
    """Many share a `visible_since`, ids differ in case and in characters that languages order in another way than bytes."""
    names = [f"{'aZ_-B0zAé'[number % 9]}{number}" for number in range(len(lines))]
    with database.acting() as connection:
        visibility.clear(connection)
        rows = [
            (1, name, [offer(since, level=level, categories=tuple(sorted(named)), from_at=from_at, until=until)])
            for name, (since, level, named, (from_at, until)) in zip(names, lines, strict=True)
        ]
        visibility.replace_offers(connection, [*rows, (2, "other", [offer(1, categories=CATEGORIES)])])
        expected = sorted(
            (since, name)
            for name, (since, level, named, (from_at, until)) in zip(names, lines, strict=True)
            if from_at <= 5 < until and (levels is None or level in levels) and (categories is None or named & set(categories))
        )
        seen: list[tuple[int, str]] = []
        after = visibility.START
        while page := visibility.page(connection, lane=1, at=5, after=after, limit=limit, levels=levels, categories=categories):
            assert len(page) <= limit
            seen += [(one.visible_since, one.item_id) for one in page]
            after = visibility.Place(page[-1].visible_since, page[-1].item_id)
        assert seen == expected


STRETCHES = st.lists(st.sets(st.integers(0, 8), min_size=2, max_size=4).map(sorted), max_size=8)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(STRETCHES, st.integers(0, 9), st.randoms(use_true_random=False))
def test_before_the_first_to_come_everything_has_ended_and_what_stands_there_is_offered_longest_unseen(
    database: Database, bounds: list[list[int]], at: int, chance: Random
) -> None:
    lane = 7
    offers = [
        (lane, f"{number}-of-the-test", [
            offer(chance.randint(0, begin), from_at=begin, until=end) for begin, end in zip(moments[::2], moments[1::2], strict=False)
        ])
        for number, moments in enumerate(bounds)
    ]  # fmt: skip
    with database.acting() as connection:
        visibility.clear(connection)
        visibility.replace_offers(connection, [*offers, (8, "other", [offer(0)])])
        found = visibility.first_to_come(connection, lane=lane, at=at)
        to_come = [(one.visible_since, item, one.until) for _, item, own in offers for one in own if one.until > at]
        if found is None:
            assert to_come == []
            return
        place, until = found
        first = min(to_come)
        assert until == first[2] and place < visibility.Place(*first[:2])
        for later in range(at, 10):
            own = visibility.page(connection, lane=lane, at=later, after=visibility.START, limit=99)
            assert visibility.page(connection, lane=lane, at=later, after=place, limit=99) == own
        ended = sum(visibility.Place(one.visible_since, item) > place for _, item, own in offers for one in own if one.until <= at)
        later_ones = sum((one.visible_since, item) > first[:2] for _, item, own in offers for one in own if one.until <= at)
        assert ended <= later_ones + 1, "the place is far before what stands first"


def test_the_evidence_of_an_item_is_one_row_however_many_labels_it_has(database: Database) -> None:
    with database.acting() as connection:
        stored(connection)
        members = list(range(1, 300))
        catalogue.add_label_sets(connection, [("i1", 10, FOREVER, set_id(connection, *members))])
        found = catalogue.evidence(connection, "i1", at=11)
        assert found is not None
        assert json.dumps(list(found.label_ids)) == json.dumps(members)


def test_a_tear_line_is_read_with_what_it_stands_for_and_what_waits_for_no_date_is_found(database: Database) -> None:
    with database.acting() as connection:
        names = ("p1", "p2", "p3")
        catalogue.add_items(connection, [ItemRecord("i1", "ref-i1", 1, None)], at=10)
        catalogue.add_portions(connection, [portion(name) for name in names])
        version_id = catalogue.next_version_id(connection)
        catalogue.add_versions(connection, [VersionRecord(version_id, "i1", 1, "SECRET", True, True)], at=10)
        catalogue.add_version_portions(
            connection,
            {version_id: [(name, "") for name in names]},
            instead_of={(version_id, 2): 1},
            declassify_on={(version_id, 1): '{"event":"x"}'},
        )
        catalogue.add_timeline(connection, {name: [LabelStretch(10, 20, 1), LabelStretch(20, FOREVER, 2)] for name in names})
    with database.reading() as connection:
        in_force = catalogue.version_in_force(connection, "i1")
        assert in_force is not None
        assert in_force.whole
        held = catalogue.versions_at(connection, ["i1"], at=15)["i1"]
        assert held.whole
        assert [(one.position, one.instead_of) for one in held.portions] == [(0, None), (1, None), (2, 1)]
        assert catalogue.item_timelines(connection, ["i1"], at=15)[0].instead_of == (None, None, 1)
        assert catalogue.tear_lines_of_version(connection, version_id) == [("p1", None), ("p2", None), ("p3", 1)]
        assert catalogue.undated(connection, limit=5) == ([catalogue.Undated("i1", "ref-i1", "p2", "text", '{"event":"x"}')], 1)
        assert catalogue.undated(connection, limit=0) == ([], 1)
        assert catalogue.items_with_dates(connection, after=15, before=21) == ["i1"]
        assert catalogue.items_with_dates(connection, after=15, before=20) == []
        assert catalogue.items_with_dates(connection, after=20, before=30) == []
        assert catalogue.refs_and_kinds(connection, ["i1"]) == ({"i1": "ref-i1"}, dict.fromkeys(names, "text"))
