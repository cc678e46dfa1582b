"""Tear-lines: who may have a portion gets it, who may not gets what its author wrote for him, and nothing tells him so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.sharing.copies import decide_item, render_copy
from service.sharing.search import grant, groups_of
from service.sharing.tear_lines import may_appear, places, shown
from service.sharing.visibility import offers, rebuild
from service.sharing.words import read_query
from service.store import catalogue, visibility
from service.store.catalogue import ItemTimeline, PortionAt, VersionAt
from service.store.tables import FOREVER
from service.store.visibility import Stretch
from tests.sharing.test_copies import AT, BUNDLE, LABELS, SNAPSHOT, portion
from tests.sharing.test_visibility_laws import LABELS as TIMED
from tests.sharing.test_visibility_laws import MOMENTS, NOW, SCHEME, at_moment, entitled_maps, items
from tests.support.store_world import World, item, text_portion, title

Entitled = dict[int, tuple[Stretch, ...]]

# --- places ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instead_of", "positions", "expected"),
    [
        pytest.param([None, None], None, [[0], [1]], id="none"),
        pytest.param([None, 0, 0, None, 3], None, [[0, 1, 2], [3, 4]], id="in the author's order"),
        pytest.param([0, 0, None], [1, 2, 3], [[0, 1], [2]], id="whose portion has no label now"),
        pytest.param([None, 4], [4, 5], [[0, 1]], id="by position"),
        pytest.param([], None, [], id="nothing"),
    ],
)
def test_a_place_is_a_portion_with_its_variants(
    instead_of: list[int | None], positions: list[int] | None, expected: list[list[int]]
) -> None:
    assert places(instead_of, positions) == expected


def test_the_first_that_is_released_is_shown() -> None:
    assert shown([3, 4, 5], {4, 5}.__contains__) == 4
    assert shown([3, 4, 5], {3, 5}.__contains__) == 3
    assert shown([3], set[int]().__contains__) is None


IDS = st.sampled_from("abcdef")


@given(st.lists(st.frozensets(IDS, min_size=1), max_size=4), st.lists(st.frozensets(IDS, min_size=1), max_size=4), st.data())
def test_what_may_appear_is_told_whoever_it_appears_to(
    before: list[frozenset[str]], after: list[frozenset[str]], data: st.DataObject
) -> None:
    """A partner has a set of ids: if it fills every place now, by portions that were there, and did not before, it may appear."""
    stood = frozenset[str]().union(*before)
    has = data.draw(st.frozensets(IDS)) & stood
    taken: set[str] = set()
    for place in before:  # an id stands at one place only
        if place & taken:
            return
        taken |= place
    if after and all(place & has for place in after) and not all(place & has for place in before):
        assert may_appear(before, after)


def test_a_correction_behind_a_tear_line_makes_nothing_appear() -> None:
    before = [frozenset("a"), frozenset("bc")]
    assert not may_appear(before, [frozenset("a"), frozenset("xc")])
    assert not may_appear(before, [frozenset("a"), frozenset("c")])
    assert may_appear(before, [frozenset("a")])


# --- decisions and copies -------------------------------------------------------------------------------------------


def standing_at(position: int, name: str, label: int, *, instead_of: int | None = None, kind: str = "text") -> PortionAt:
    return replace(portion(name, label, kind=kind), position=position, instead_of=instead_of)


def version(*portions: PortionAt, whole: bool = False, unlabelled: bool = False) -> VersionAt:
    return VersionAt("i1", "the officer's own name", 1, whole, portions, None, unlabelled)


PORTIONS = {
    "both": (standing_at(0, "a", 1), standing_at(1, "B", 2), standing_at(2, "b", 1, instead_of=1)),
    "variant": (standing_at(0, "a", 1), standing_at(1, "B", 4), standing_at(2, "b", 1, instead_of=1)),
    "second": (
        standing_at(0, "B", 4), standing_at(1, "c", 5, instead_of=0), standing_at(2, "d", 3, instead_of=0),
        standing_at(3, "e", 1, instead_of=0),
    ),
    "neither": (standing_at(0, "a", 1), standing_at(1, "B", 4), standing_at(2, "b", 5, instead_of=1)),
    "no-label": (standing_at(0, "a", 1), standing_at(2, "b", 1, instead_of=1)),
}  # fmt: skip


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("name", "in_parts", "as_whole", "released"),
    [
        pytest.param("both", "release", "release", "aB", id="the portion, and not its variant"),
        pytest.param("variant", "in_part", "in_part", "ab", id="the variant in its place"),
        pytest.param("second", "in_part", "in_part", "d", id="the first of several that is released"),
        pytest.param("neither", "in_part", "refer", "a", id="nothing at a place"),
        pytest.param("no-label", "in_part", "refer", "ab", id="a portion without a label"),
    ],
)
def test_a_place_shows_the_first_that_is_released(name: str, in_parts: str, as_whole: str, released: str, whole: bool) -> None:
    held = version(*PORTIONS[name], whole=whole, unlabelled=name == "no-label")
    decision = decide_item(held, LABELS, SNAPSHOT, partner="JPN", purpose="none")
    if whole and as_whole == "refer":
        assert decision.outcome in ("refer", "withhold")
        assert decision.released == ()
        return
    assert decision.outcome == (as_whole if whole else in_parts)
    assert "".join(one.portion.id for one in decision.released) == released


def test_a_copy_with_a_variant_is_that_of_an_item_without_the_portion() -> None:
    alone = version(standing_at(0, "a", 1), standing_at(1, "b", 1))
    for held in (version(*PORTIONS["variant"]), version(*PORTIONS["variant"], whole=True)):
        decision = decide_item(held, LABELS, SNAPSHOT, partner="JPN", purpose="none")
        copy = render_copy(held, decision.released, LABELS, BUNDLE, partner="JPN", at=AT)
        expected = render_copy(alone, alone.portions, LABELS, BUNDLE, partner="JPN", at=AT)
        assert (copy.body, copy.portion_ids, copy.listed) == (expected.body, ("a", "b"), expected.listed)
        assert json.loads(copy.body)["marking"] == "UNCLASSIFIED"


@st.composite
def versions(draw: st.DrawFn) -> VersionAt:
    """A version with tear-lines here and there, labelled at random."""
    portions: list[PortionAt] = []
    for _ in range(draw(st.integers(1, 4))):
        original = len(portions)
        for rank in range(draw(st.integers(1, 3))):
            one = standing_at(
                len(portions), f"p{len(portions)}", draw(st.sampled_from(list(LABELS))), instead_of=original if rank else None
            )
            portions.append(one)
    return version(*portions, whole=draw(st.booleans()))


PARTNERS = ("AUS", "IND", "JPN")


@given(versions(), st.sampled_from(PARTNERS), st.integers(1, 9), st.sampled_from(["release", "display"]))
def test_a_copy_is_never_released_by_a_label_that_its_parts_are_not(held: VersionAt, partner: str, number: int, action: str) -> None:
    decision = decide_item(held, LABELS, SNAPSHOT, partner=partner, purpose="none", action=action)
    for one in decision.released:
        assert SNAPSHOT.decide(partner, action, LABELS[one.label_id]).outcome == "release"
    assert bool(decision.released) is (decision.outcome in ("release", "in_part"))


def _without(held: VersionAt, place: list[int]) -> VersionAt:
    return replace(held, portions=tuple(one for number, one in enumerate(held.portions) if number not in place))


@given(versions(), st.data())
def test_removing_a_portion_never_narrows_the_audience(held: VersionAt, data: st.DataObject) -> None:
    """With all that stands at its place: whoever was shown another part of the item is still shown it."""
    standing = places([one.instead_of for one in held.portions], [one.position for one in held.portions])
    gone = data.draw(st.sampled_from(standing))
    less = _without(held, gone)
    for partner in PARTNERS:
        before = decide_item(held, LABELS, SNAPSHOT, partner=partner, purpose="none").released
        after = {one.portion.id for one in decide_item(less, LABELS, SNAPSHOT, partner=partner, purpose="none").released}
        assert {one.portion.id for number, one in enumerate(held.portions) if one in before and number not in gone} <= after


# --- offers and search, written ahead -------------------------------------------------------------------------------


@st.composite
def torn(draw: st.DrawFn) -> ItemTimeline:
    one = draw(items())
    first = 0
    instead_of: list[int | None] = []
    for number in range(len(one.portions)):
        if number and draw(st.booleans()):
            instead_of.append(first)
        else:
            first = number
            instead_of.append(None)
    return replace(one, compilation=None, instead_of=tuple(instead_of) if any(each is not None for each in instead_of) else ())


def _since(one: ItemTimeline, number: int, entitled: Entitled, at: int) -> tuple[int, int] | None:
    changed_at, timeline = one.portions[number]
    for row in timeline:
        for stretch in entitled[row.label_id]:
            if row.from_at <= at < row.until and stretch.from_at <= at < stretch.until:
                return max(changed_at, row.from_at, stretch.from_at), row.label_id
    return None


def directly(one: ItemTimeline, entitled: Entitled, at: int) -> dict[int, tuple[int, int]]:
    """(since, label) of the portions shown at a moment, by number: the definition, word for word."""
    found: dict[int, tuple[int, int]] = {}
    filled: set[int] = set()
    originals = one.instead_of or (None,) * len(one.portions)
    for number, original in enumerate(originals):
        at_place = number if original is None else original
        seen = _since(one, number, entitled, at)
        if seen is not None and at_place not in filled:
            filled.add(at_place)
            found[number] = seen
    unlabelled = any(not any(row.from_at <= at < row.until for row in timeline) for _, timeline in one.portions)
    if one.whole and (unlabelled or len(filled) < originals.count(None)):
        return {}
    return found


@settings(max_examples=200)
@given(torn(), entitled_maps())
def test_at_any_moment_offers_and_search_are_what_direct_evaluation_says(one: ItemTimeline, entitled: Entitled) -> None:
    placed = offers(one, entitled, TIMED, SCHEME, at=NOW)
    groups = groups_of(one, at=NOW)
    for at in MOMENTS:
        expected = directly(one, entitled, at)
        labels = [TIMED[label] for _, label in expected.values()]
        standing = (
            max((since for since, _ in expected.values()), default=0),
            max((SCHEME.rank(label.level) for label in labels), default=0),
            tuple(sorted({category for label in labels for category in label.categories})),
        )
        assert at_moment(placed, at) == ([standing] if expected else []), at
        found = {place for place, group in groups if any(each.from_at <= at < each.until for each in grant(group, entitled))}
        assert found == set(expected), at


# --- the whole service ----------------------------------------------------------------------------------------------


def torn_item(ref: str = "a/1", original: str = "The convoy sails from Yokosuka.", **members: Any) -> dict[str, Any]:
    variant = {"marking": "(C//REL TO USA, IND, JPN)", "text": "A convoy sails."}
    return item(
        ref,
        title("Convoys"),
        text_portion(original, "(S//REL TO USA, JPN)", tear_line=[variant]),
        text_portion("Weather is fair."),
        **members,
    )


def texts(copy: dict[str, Any] | None) -> list[str]:
    assert copy is not None
    return [one["text"] for one in copy["portions"]]


@pytest.mark.parametrize("releasable_in", ["portions", "whole"])
def test_each_gets_what_he_may_have_and_sees_no_trace_of_the_rest(world: World, releasable_in: str) -> None:
    stored = world.store(torn_item(releasable_in=releasable_in))
    assert stored.item_id is not None
    jpn, ind = world.item("JPN", stored.item_id), world.item("IND", stored.item_id)
    assert texts(jpn) == ["The convoy sails from Yokosuka.", "Weather is fair."]
    assert texts(ind) == ["A convoy sails.", "Weather is fair."]
    assert jpn is not None
    assert ind is not None
    assert (jpn["level"], ind["level"]) == ("SECRET", "CONFIDENTIAL")
    assert ind["marking"] == "CONFIDENTIAL//REL TO USA, IND"
    assert [list(one) for one in ind["portions"]] == [["id", "kind", "marking", "text"]] * 2
    assert ind["portions"][0]["id"] != jpn["portions"][0]["id"]
    listed = world.page("IND")["items"]
    assert [one["level"] for one in listed] == ["CONFIDENTIAL"]
    if releasable_in == "whole":
        assert world.item("AUS", stored.item_id) is None
    else:
        assert texts(world.item("AUS", stored.item_id)) == ["Weather is fair."]


def test_search_finds_only_what_the_copy_shows(world: World) -> None:
    world.store(torn_item())
    world.store(torn_item("a/2", releasable_in="whole"))

    def found(partner: str, words: str) -> int:
        return len(world.page(partner, q=words, sought=read_query(words), recorded=False)["items"])

    assert [found(partner, "Yokosuka") for partner in PARTNERS] == [0, 0, 2]
    assert [found(partner, '"a convoy sails"') for partner in PARTNERS] == [0, 2, 0]
    assert [found(partner, "weather") for partner in PARTNERS] == [1, 2, 2]
    world.suspend("IND")
    assert found("IND", '"a convoy sails"') == 0
    world.resume("IND")
    assert found("IND", '"a convoy sails"') == 2


@pytest.mark.parametrize("releasable_in", ["portions", "whole"])
def test_a_correction_of_what_is_withheld_moves_nothing_for_who_sees_the_tear_line(world: World, releasable_in: str) -> None:
    stored = world.store(torn_item(releasable_in=releasable_in))
    assert stored.item_id is not None
    item_id = stored.item_id

    def seen(partner: str) -> tuple[Any, Any]:
        return world.item(partner, item_id), world.page(partner)["items"]

    before, had = seen("IND"), seen("JPN")
    for original in ("The convoy sails from Sasebo.", "The convoy does not sail."):
        world.clock.advance(minutes=5)
        world.store({**torn_item(original=original, releasable_in=releasable_in)}, item_id=item_id)
        assert seen("IND") == before
        now = seen("JPN")
        assert texts(now[0])[0] == original
        assert now[1][0]["visible_since"] > had[1][0]["visible_since"]
    world.clock.advance(minutes=5)
    with world.installation.database.reading() as connection:
        version = catalogue.version_in_force(connection, item_id)
        assert version is not None
        original_id = catalogue.tear_lines_of_version(connection, version.id)[1][0]
    world.relabel(item_id, "(S//NF)", portion=original_id)
    assert seen("IND") == before
    assert texts(seen("JPN")[0])[0] == "A convoy sails."
    # Without what it stood for, it stands by itself, and nobody who saw it can tell.
    world.clock.advance(minutes=5)
    plain = torn_item(releasable_in=releasable_in)
    plain["portions"][1] = {"kind": "text", **plain["portions"][1]["tear_line"][0]}
    world.store(plain, item_id=item_id)
    assert seen("IND") == before


def test_the_record_names_what_was_shown(world: World) -> None:
    stored = world.store(torn_item())
    assert stored.item_id is not None
    released = world.ask(world.item_ask("IND", stored.item_id))
    body = json.loads(released.prepared.body)
    (named,) = json.loads(released.prepared.record["items"])
    assert json.loads(released.prepared.record["outcome"]) == "in_part"
    assert set(named["portions"]) > {one["id"] for one in body["portions"]}  # and the title
    assert len(named["portions"]) == 3


def test_a_file_has_a_variant_and_only_what_is_shown_can_be_fetched(world: World) -> None:
    chart, sketch = world.file(b"chart"), world.file(b"sketch")
    variant = {"marking": "(U)", "sha256": sketch, "name": "sketch.png"}
    held = {"kind": "file", "marking": "(S//REL TO USA, JPN)", "sha256": chart, "name": "chart.png", "tear_line": [variant]}
    stored = world.store(item("f/1", held))
    assert stored.item_id is not None
    copies = {partner: world.item(partner, stored.item_id) for partner in ("IND", "JPN")}
    ids = {partner: copy["portions"][0]["id"] for partner, copy in copies.items() if copy is not None}
    assert [copy["portions"][0]["name"] for copy in copies.values() if copy is not None] == ["sketch.png", "chart.png"]
    for partner, other in (("IND", "JPN"), ("JPN", "IND")):
        assert world.ask(world.file_ask(partner, stored.item_id, ids[partner])).prepared.status == 200
        assert world.ask(world.file_ask(partner, stored.item_id, ids[other])).prepared.status == 404


@pytest.mark.parametrize(
    ("portions", "more", "code", "message"),
    [
        pytest.param(
            [text_portion("x", tear_line=[])], {}, "tear-line",
            "`tear_line` of portion 0 is a list with at least one variant, the one that says most first", id="empty",
        ),
        pytest.param(
            [text_portion("x", tear_line=[{"kind": "text", "marking": "(U)", "text": "y"}])], {}, "unknown-member",
            "unknown member `kind` in tear-line 0 of portion 0", id="a kind of its own",
        ),
        pytest.param(
            [text_portion("x", tear_line=[{"marking": "(U)", "text": "y", "tear_line": []}])], {}, "unknown-member",
            "unknown member `tear_line` in tear-line 0 of portion 0", id="one of its own",
        ),
        pytest.param(
            [text_portion("x"), text_portion("x", tear_line=[{"marking": "(U)", "text": "y"}, {"marking": "(U)"}])], {}, "text",
            "`text` of portion 1, tear-line 1, is a string that is not empty", id="no text",
        ),
        pytest.param(
            [{"kind": "json", "marking": "", "value": {"a": 1}, "markings": {"/a": "(U)"}, "tear_line": [{"marking": "(U)", "value": 1}]}],
            {}, "tear-line", "portion 0 has both `markings` and `tear_line`, expected one", id="beside markings inside",
        ),
        pytest.param(
            [text_portion("x", tear_line=[{"marking": "(U)", "text": "y"}])], {"compilation": "SECRET//NOFORN"}, "tear-line",
            "an item with a `compilation` has no `tear_line`: it goes out as it is, or not at all", id="beside a compilation",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(
    world: World, portions: list[dict[str, Any]], more: dict[str, Any], code: str, message: str
) -> None:
    report = world.load(item("r/1", *portions, **more))
    assert (report[0]["code"], report[0]["message"]) == (code, message)
    assert report[-1] == {"imported": 0, "quarantined": 0, "refused": 1}


def test_an_unmarked_variant_holds_the_whole_item(world: World) -> None:
    report = world.load(item("q/1", title("T"), text_portion("x", tear_line=[{"text": "y"}])))
    assert (report[0]["result"], report[0]["message"]) == ("quarantined", "tear-line 0 of portion 1: it bears no marking")


def test_what_narrows_a_portion_narrows_its_variant_unless_it_says_otherwise(world: World) -> None:
    variant = {"marking": "(C//REL TO USA, IND)", "text": "y"}
    dates = {"not_before": {"*": "2027-01-01"}}
    stored = world.store(item("n/1", title("T"), text_portion("x", "(S//NF)", tear_line=[variant], **dates)))
    other = world.store(item("n/2", title("T"), text_portion("x", "(S//NF)", tear_line=[{**variant, "categories": ["CYBER"]}])))
    assert stored.item_id is not None
    assert other.item_id is not None
    assert texts(world.item("IND", stored.item_id)) == []
    assert texts(world.item("IND", other.item_id)) == []  # CYBER is not agreed with IND
    world.clock.advance(days=60)
    assert texts(world.item("IND", stored.item_id)) == ["y"]


def test_what_is_on_offer_can_be_made_again_from_acts_alone(world: World) -> None:
    world.store(torn_item(releasable_in="whole"))
    world.store(torn_item("a/2"))
    with world.installation.database.acting() as connection:
        before = visibility.all_offers(connection, at=world.clock.micros)
        history = world.installation.world.history(connection)
        rebuild(connection, history=history, labels=dict(world.installation.world.labels), at=world.clock.micros)
        assert visibility.all_offers(connection, at=world.clock.micros) == before
    assert FOREVER in {row[3] for row in before}
