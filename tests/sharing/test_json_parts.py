"""Values inside a JSON portion that are marked by themselves: taken apart, stored, and put together in each partner's copy."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Rejected
from service.settings import PORTIONS_MAX
from service.sharing.intake import Refusal
from service.sharing.parts import Joined, Part, join, resolve, split
from tests.support.store_world import World, item, title

VALUE = {"name": "Exercise", "force": {"ships": [{"id": 1}, {"id": 2}, {"id": 3}], "subs": 2}, "a/b": {"~c": "x"}, "": [10, 20, 30, 40]}


def steps_of(value: object, steps: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every way into a value but the one to itself."""
    if isinstance(value, dict):
        found = [((*steps, name), inner) for name, inner in value.items()]
    elif isinstance(value, list):
        found = [((*steps, index), inner) for index, inner in enumerate(value)]
    else:
        return []
    return [way for step, inner in found for way in (step, *steps_of(inner, step))]


def pointer_of(steps: tuple[str | int, ...]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


class Gone:
    """What stands in the place of what is withheld, in the model."""


def shown(value: object, steps: tuple[str | int, ...], withheld: set[tuple[str | int, ...]]) -> object:
    """The value as it is shown, worked out by leaving out: the definition."""
    if steps in withheld:
        return Gone
    if isinstance(value, dict):
        found = {name: shown(inner, (*steps, name), withheld) for name, inner in value.items()}
        return {name: inner for name, inner in found.items() if inner is not Gone}
    if isinstance(value, list):
        return [one for index, inner in enumerate(value) if (one := shown(inner, (*steps, index), withheld)) is not Gone]
    return value


def joined(parts: list[Part], released: set[int], number: int = 0) -> Joined:
    """What a released part shows with the released ones inside it."""
    inside = {
        other: (part.place or "", joined(parts, released, other))
        for other, part in enumerate(parts)
        if part.within == number and other in released
    }
    return join(copy.deepcopy(parts[number].value), inside)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(alphabet="ab~/01\u00e9", max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet="ab~/01\u00e9", max_size=3), inner, max_size=4),
    max_leaves=14,
)


@settings(max_examples=300)
@given(values, st.data())
def test_a_value_shows_what_is_released_and_nothing_in_the_place_of_the_rest(value: object, data: st.DataObject) -> None:
    ways = steps_of(value)
    marked = data.draw(st.sets(st.sampled_from(ways), max_size=6)) if ways else set()
    parts = split(value, [pointer_of(way) for way in marked])
    assert len(parts) == len(marked) + 1
    released = {0, *data.draw(st.sets(st.integers(0, len(marked))))}
    found = joined(parts, released)
    withheld = {resolve(value, part.pointer) for number, part in enumerate(parts) if number not in released}
    assert json.dumps(found.value, sort_keys=True) == json.dumps(shown(value, (), withheld), sort_keys=True)
    for number, pointer in found.pointers.items():
        at = resolve(found.value, pointer)
        here: Any = found.value
        for step in at:
            here = here[step]
        assert json.dumps(here, sort_keys=True) == json.dumps(
            shown(_at(value, parts[number].pointer), resolve(value, parts[number].pointer), withheld), sort_keys=True
        )


def _at(value: Any, pointer: str) -> Any:
    for step in resolve(value, pointer):
        value = value[step]
    return value


@given(values, st.data())
def test_what_is_left_of_a_container_and_the_place_of_a_part_do_not_tell_of_other_parts(value: object, data: st.DataObject) -> None:
    """But for the order among neighbours, which is theirs: a part more changes neither bytes nor places of what is not inside it."""
    ways = steps_of(value)
    if not ways:
        return
    some = data.draw(st.sets(st.sampled_from(ways), max_size=4))
    extra = data.draw(st.sampled_from(ways))
    less = shown(value, (), {extra})
    if extra in some or any(extra[: len(way)] == way or way[: len(extra)] == extra for way in some):
        return
    with_it = {part.pointer: part for part in split(value, [pointer_of(way) for way in {*some, extra}])}
    without_it = split(less, [pointer_of(_moved(way, extra)) for way in some if way[: len(extra)] != extra])
    assert json.dumps(with_it[""].value) == json.dumps(without_it[0].value)
    places = sorted(_steady(part) for part in with_it.values() if part.place is not None and resolve(value, part.pointer) != extra)
    assert places == sorted(_steady(part) for part in without_it if part.place is not None)


def _moved(way: tuple[str | int, ...], gone: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """A way, once what stood at another is gone."""
    depth = len(gone) - 1
    if len(way) > depth and way[:depth] == gone[:depth] and isinstance(gone[-1], int):
        step = way[depth]
        if isinstance(step, int) and step > gone[-1]:
            return (*way[:depth], step - 1, *way[depth + 1 :])
    return way


def _steady(part: Part) -> str:
    way, last = json.loads(part.place or "")
    return json.dumps([way, last if isinstance(last, str) else last[0], part.value], sort_keys=True)


@pytest.mark.parametrize(
    ("pointer", "says"),
    [
        pytest.param("", "marks no part", id="the-whole"),
        pytest.param("name", "marks no part", id="no-slash"),
        pytest.param("/nothing", "leads nowhere", id="no-such-member"),
        pytest.param("/force/ships/3", "leads nowhere", id="beyond-the-end"),
        pytest.param("/force/ships/-", "leads nowhere", id="the-one-after-the-last"),
        pytest.param("/force/ships/01", "leads nowhere", id="a-leading-zero"),
        pytest.param("/force/ships/-1", "leads nowhere", id="from-the-end"),
        pytest.param("/force/ships/1e0", "leads nowhere", id="no-index"),
        pytest.param("/force/ships/\u0661", "leads nowhere", id="a-digit-of-another-script"),
        pytest.param("/force/ships/" + "9" * 5000, "leads nowhere", id="a-very-long-index"),
        pytest.param("/name/0", "leads nowhere", id="into-a-string"),
        pytest.param("/a~2b", "leads nowhere", id="an-escape-there-is-not"),
        pytest.param("/a/b", "leads nowhere", id="a-slash-that-is-not-escaped"),
        pytest.param("/a~1b/~~10c", "leads nowhere", id="two-tildes"),
        pytest.param("/a" * 65, "65 deep", id="deeper-than-any-value"),
    ],
)
def test_a_pointer_that_leads_nowhere_is_refused(pointer: str, says: str) -> None:
    with pytest.raises(Rejected, match=says) as refused:
        split(VALUE, [pointer])
    assert refused.value.code == "pointer"
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("pointer", ["/name", "/a~1b/~0c", "/", "//0", "/force/ships/2/id"])
def test_a_pointer_is_read_by_its_rules(pointer: str) -> None:
    parts = split(VALUE, [pointer])
    assert pointer_of(resolve(VALUE, pointer)) == pointer
    assert joined(parts, {0, 1}).value == VALUE


# --- from intake to the copy ----------------------------------------------------------------------------------------

JPN, NF, OPEN = "(S//REL TO USA, JPN)", "(S//NF)", "(U)"


def json_item(ref: str, value: object, markings: Mapping[str, Any], *, marking: str = OPEN, **members: Any) -> dict[str, Any]:
    portion = {"kind": "json", "marking": marking, "value": value, "markings": dict(markings), **members}
    return item(ref, title("A title"), portion, releasable_in="portions")


def portions(world: World, partner: str, item_id: str) -> list[dict[str, Any]]:
    """The portions of a copy, without ids."""
    found = world.item(partner, item_id)
    return [] if found is None else [{name: value for name, value in one.items() if name != "id"} for one in found["portions"]]


def stored(world: World, value: dict[str, Any], *, item_id: str | None = None) -> str:
    outcome = world.store(value, item_id=item_id)
    assert outcome.result == "stored"
    assert outcome.item_id is not None
    return outcome.item_id


def test_each_partner_gets_the_values_released_to_it(world: World) -> None:
    item_id = stored(world, json_item("r", {"a": 1, "b": {"c": 2, "d": 3}, "l": [1, 2, 3]}, {"/b/c": JPN, "/l/1": NF, "/a": NF}))
    assert portions(world, "JPN", item_id) == [
        {
            "kind": "json",
            "marking": "(S//REL TO USA, JPN)",
            "value": {"b": {"c": 2, "d": 3}, "l": [1, 3]},
            "markings": {"": "(U)", "/b/c": "(S//REL TO USA, JPN)"},
        }
    ]
    assert portions(world, "AUS", item_id) == [{"kind": "json", "marking": "(U)", "value": {"b": {"d": 3}, "l": [1, 3]}}]
    found = world.item("JPN", item_id)
    assert found is not None
    assert found["marking"] == "SECRET//REL TO USA, JPN"


def test_a_value_that_is_withheld_leaves_no_trace_in_the_copy(world: World) -> None:
    """The very bytes are those of an item that never had it, but for ids."""
    with_it = stored(world, json_item("with", {"a": [1, {"x": 2}, 3], "s": "t"}, {"/a/1": NF, "/s": NF}))
    plain = item("plain", title("A title"), {"kind": "json", "marking": OPEN, "value": {"a": [1, 3]}}, releasable_in="portions")
    assert portions(world, "AUS", with_it) == portions(world, "AUS", stored(world, plain))


def test_a_value_in_a_withheld_container_stands_by_itself_without_the_way_to_it(world: World) -> None:
    value = {"operation": {"codename": "UMBRA", "region": "north", "days": [1, 2, 3]}}
    item_id = stored(world, json_item("r", value, {"/operation": NF, "/operation/region": OPEN, "/operation/days/2": OPEN}))
    assert portions(world, "AUS", item_id) == [
        {"kind": "json", "marking": "(U)", "value": {}},
        {"kind": "json", "marking": "(U)", "value": 3},
        {"kind": "json", "marking": "(U)", "value": {"region": "north"}},
    ]


def test_a_part_in_a_withheld_part_of_a_released_container_does_not_move_up(world: World) -> None:
    item_id = stored(world, json_item("r", {"a": {"b": {"c": 1, "d": 2}}}, {"/a/b": NF, "/a/b/c": OPEN}))
    assert portions(world, "AUS", item_id) == [
        {"kind": "json", "marking": "(U)", "value": {"a": {}}},
        {"kind": "json", "marking": "(U)", "value": {"c": 1}},
    ]


def test_a_part_alone_holds_the_parts_released_with_it(world: World) -> None:
    item_id = stored(world, json_item("r", {"a": {"b": {"c": 1, "d": 2}}}, {"/a": JPN, "/a/b": OPEN}, marking=NF))
    assert portions(world, "AUS", item_id) == [{"kind": "json", "marking": "(U)", "value": {"b": {"c": 1, "d": 2}}}]
    assert portions(world, "JPN", item_id) == [
        {
            "kind": "json",
            "marking": "(S//REL TO USA, JPN)",
            "value": {"a": {"b": {"c": 1, "d": 2}}},
            "markings": {"": "(S//REL TO USA, JPN)", "/a/b": "(U)"},
        }
    ]


def test_a_correction_of_a_withheld_value_changes_nothing_for_who_sees_the_rest(world: World) -> None:
    def version(secret: object, *more: object) -> dict[str, Any]:
        return json_item(
            "r", {"a": [secret, "x", *more], "k": secret}, {"/a/0": NF, "/k": NF, "/a/1": OPEN, **({"/a/2": NF} if more else {})}
        )

    item_id = stored(world, version(1))
    before, (line,) = world.item("AUS", item_id), world.listed("AUS")[0]
    for secret, more in (({"other": [1, 2]}, ()), (2, ("y",)), (3, ())):
        world.clock.advance(minutes=5)
        stored(world, version(secret, *more), item_id=item_id)
        assert world.item("AUS", item_id) == before
        assert world.listed("AUS")[0] == [line]


def test_a_correction_of_a_released_value_is_told_to_pollers(world: World) -> None:
    item_id = stored(world, json_item("r", {"a": 1, "b": 2}, {"/b": JPN}))
    _, bookmark = world.listed("JPN")
    _, of_others = world.listed("AUS")
    world.clock.advance(minutes=5)
    stored(world, json_item("r", {"a": 1, "b": 3}, {"/b": JPN}), item_id=item_id)
    assert [line["id"] for line in world.listed("JPN", since=bookmark)[0]] == [item_id]
    assert world.listed("AUS", since=of_others)[0] == []


def test_parts_have_dates_and_categories_of_their_own_and_the_embargo_of_their_portion(world: World) -> None:
    markings = {
        "/plain": OPEN,
        "/early": {"marking": OPEN, "not_before": {"*": "2026-11-24"}},
        "/other": {
            "label": {"level": "UNCLASSIFIED", "categories": ["CYBER"], "releasable_to": ["*"], "caveats": [], "originators": ["USA"]}
        },
    }
    value = {"rest": 0, "plain": 1, "early": 2, "other": 3}
    item_id = stored(world, json_item("r", value, markings, not_before={"*": "2026-11-25"}))
    assert portions(world, "AUS", item_id) == []
    world.clock.advance(days=1, hours=14)
    assert portions(world, "AUS", item_id) == [{"kind": "json", "marking": "(U)", "value": {"early": 2}}]
    world.clock.advance(days=1)
    (shown_,) = portions(world, "AUS", item_id)
    assert shown_["value"] == value
    found = world.item("AUS", item_id)
    assert found is not None
    assert found["categories"] == ["CYBER", "MARITIME"]


def test_a_declassification_of_the_container_is_none_of_its_parts(world: World) -> None:
    item_id = stored(
        world, json_item("r", {"a": 1, "b": 2}, {"/b": "(S//REL TO USA, AUS)"}, marking="(S//REL TO USA, AUS)", declassify_on="2026-11-23")
    )
    world.clock.advance(days=2)
    assert portions(world, "AUS", item_id) == [{"kind": "json", "marking": "(U//REL TO USA, AUS)", "value": {"a": 1}}]


def test_each_part_can_be_found_by_whom_it_is_released_to(world: World) -> None:
    from service.sharing.words import read_query

    item_id = stored(
        world,
        json_item("r", {"region": "north", "codename": {"word": "umbra"}, "l": ["keel", "hull"]}, {"/codename/word": JPN, "/l/0": NF}),
    )

    def found(partner: str, q: str) -> list[str]:
        return [line["id"] for line in world.listed(partner, q=q, sought=read_query(q))[0]]

    assert found("AUS", "region north") == found("AUS", "hull") == found("AUS", "codename") == [item_id]
    assert found("JPN", '"word" umbra') == [item_id]
    for q in ("umbra", "word", "keel", "hull umbra"):
        assert found("AUS", q) == []
    assert found("JPN", "region umbra") == []  # two portions
    assert found("JPN", "keel") == []


def test_the_record_names_the_parts_that_went_out(world: World) -> None:
    item_id = stored(world, json_item("r", {"a": 1, "b": 2, "c": 3}, {"/b": JPN, "/c": NF}))
    record = json.loads(world.shown(world.item_ask("JPN", item_id)).record["items"])
    assert len(record[0]["portions"]) == 3  # the title, the value, and the part in it
    assert json.loads(world.shown(world.item_ask("JPN", item_id)).record["outcome"]) == "in_part"


def test_a_relabelled_part_is_shown_or_not_by_its_new_label(world: World) -> None:
    item_id = stored(world, json_item("r", {"a": 1, "b": 2}, {"/b": OPEN}))
    with world.installation.database.reading() as connection:
        from service.store import catalogue

        version = catalogue.version_in_force(connection, item_id)
        assert version is not None
        part = next(one.id for one, _ in catalogue.portions_of_version(connection, version.id) if one.name == "b")
    world.relabel(item_id, NF, portion=part)
    assert portions(world, "AUS", item_id) == [{"kind": "json", "marking": "(U)", "value": {"a": 1}}]


def test_whole_items_go_out_only_with_all_their_parts(world: World) -> None:
    value = json_item("r", {"a": 1, "b": 2}, {"/b": JPN}) | {"releasable_in": "whole"}
    item_id = stored(world, value)
    assert world.item("AUS", item_id) is None
    (found,) = portions(world, "JPN", item_id)
    assert found["value"] == {"a": 1, "b": 2}


@pytest.mark.parametrize("count", range(3))
def test_any_of_three_parts_may_be_withheld(world: World, count: int) -> None:
    value = {"a": [1, 2, 3], "b": "x"}
    for number, withheld in enumerate(combinations(["/a/0", "/a/2", "/b"], count)):
        markings = {pointer: NF if pointer in withheld else OPEN for pointer in ("/a/0", "/a/2", "/b")}
        item_id = stored(world, json_item(f"r{number}", value, markings))
        (found,) = portions(world, "AUS", item_id)
        assert found["value"] == shown(value, (), {resolve(value, pointer) for pointer in withheld})
        assert list(found.get("markings", {})) == (["", *sorted(_renumbered(set(markings) - set(withheld), withheld))])


def _renumbered(pointers: set[str], withheld: tuple[str, ...]) -> set[str]:
    return {"/a/1" if pointer == "/a/2" and "/a/0" in withheld else pointer for pointer in pointers}


REFUSED = [
    pytest.param({"/x": OPEN}, {}, "pointer", id="leads-nowhere"),
    pytest.param({"": OPEN}, {}, "pointer", id="the-whole"),
    pytest.param(["/a"], {}, "markings", id="a-list"),
    pytest.param("(U)", {}, "markings", id="a-string"),
    pytest.param({"/a": 7}, {}, "shape", id="a-number-for-a-marking"),
    pytest.param({"/a": None}, {}, "shape", id="null-for-a-marking"),
    pytest.param({"/a": {"marking": OPEN, "text": "x"}}, {}, "unknown-member", id="an-unknown-member"),
    pytest.param({"/a": {"marking": OPEN, "kind": "json"}}, {}, "unknown-member", id="a-kind-of-its-own"),
    pytest.param({"/a": {"marking": OPEN, "label": {}}}, {}, "marking", id="marking-and-label"),
    pytest.param({"/a": "(U//REL TO )"}, {}, "malformed-marking", id="a-marking-that-cannot-be-read"),
    pytest.param({"/a": JPN}, {"marking": "UNCLASSIFIED"}, "marking-too-loose", id="a-banner-looser-than-a-part"),
]


@pytest.mark.parametrize(("markings", "members", "code"), REFUSED)
def test_it_refuses_what_is_malformed(world: World, markings: Any, members: dict[str, Any], code: str) -> None:
    value = item("r", {"kind": "json", "marking": OPEN, "value": {"a": 1}, "markings": markings}, **members)
    before = world.everything()
    with pytest.raises(Refusal) as refused:
        world.store(value)
    assert refused.value.code == code
    assert world.everything() == before


def test_a_part_without_a_marking_or_with_an_unknown_one_holds_up_the_whole_item(world: World) -> None:
    for number, marking in enumerate(["", "(S//REL TO USA, XXX)", {"not_before": {"*": "2027-01-01"}}]):
        outcome = world.store(json_item(f"r{number}", {"a": 1}, {"/a": marking}))
        assert outcome.result == "quarantined"
        assert outcome.message is not None
        assert "portion 1 at `/a`" in outcome.message
    assert world.listed("AUS")[0] == []


def test_parts_count_as_portions(world: World) -> None:
    value = {"l": list(range(PORTIONS_MAX))}
    with pytest.raises(Refusal, match="portions with the values marked by themselves") as refused:
        world.store(json_item("r", value, {f"/l/{number}": OPEN for number in range(PORTIONS_MAX)}))
    assert refused.value.code == "portions"
    stored(world, json_item("r", value, {f"/l/{number}": OPEN for number in range(PORTIONS_MAX - 2)}))


def test_no_marks_are_no_marks(world: World) -> None:
    plain = item("plain", {"kind": "json", "marking": OPEN, "value": {"a": 1}}, releasable_in="portions")
    empty = item("empty", {"kind": "json", "marking": OPEN, "value": {"a": 1}, "markings": {}}, releasable_in="portions")
    assert portions(world, "AUS", stored(world, plain)) == portions(world, "AUS", stored(world, empty))
