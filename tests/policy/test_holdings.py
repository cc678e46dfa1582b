"""An edit's effect on what is stored is what deciding every item for every partner, before and after, says."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Broken
from service.labels.label import Label
from service.policy import Bundle, read_bundle
from service.policy.columns import Bits, ForWhom, LabelColumns
from service.policy.holdings import Effect, Group, GroupRow, Holdings, PortionsRow, Released, effect, items_digest
from tests.support.big_bundle import NOW, big_bundle, big_labels, partners_of

LADDER = ("LOW", "MIDDLE", "HIGH")
ALWAYS = 10**9


@dataclass(frozen=True)
class Item:
    """An item: the labels of its portions, by place, and of its compilation."""

    id: str
    whole: bool
    portions: tuple[int, ...]
    compilation: int | None = None

    @property
    def strict(self) -> bool:
        return self.whole or self.compilation is not None


def holdings_of(items: Iterable[Item], label_ids: Sequence[int], *, numbers: random.Random | None = None) -> Holdings:
    """As the store would read them; label sets numbered in one order or another."""
    sets: dict[tuple[object, ...], list[Item]] = {}
    for item in items:
        members = frozenset({*item.portions, *(() if item.compilation is None else (item.compilation,))})
        sets.setdefault((tuple(sorted(members)), item.strict), []).append(item)
    order = list(range(1, len(sets) + 1))
    if numbers is not None:
        numbers.shuffle(order)
    groups, portions = [], []
    for number, ((_, strict), own) in zip(order, sets.items(), strict=True):
        group = Group(number, bool(strict), 0, ALWAYS)
        groups.append(GroupRow(group, len(own), items_digest(sorted(item.id for item in own))))
        counted: dict[int, int] = {}
        for item in own:
            for label in item.portions:
                counted[label] = counted.get(label, 0) + 1
            if item.compilation is not None:
                counted.setdefault(item.compilation, 0)
        portions += [PortionsRow(*group, label_ids[label], 0, ALWAYS, count) for label, count in counted.items()]
    return Holdings(groups, portions, label_ids)


def released_of(whom: Sequence[ForWhom], released: Sequence[frozenset[int]], size: int) -> Released:
    """Who is released what, as given."""
    width = max(1, -(-len(whom) // 64))
    words = np.zeros((size, width), np.uint64)
    for number, labels in enumerate(released):
        for label in labels:
            words[label, number // 64] |= np.uint64(1 << number % 64)
    return Released(tuple(whom), words, Bits(whom, size, np.zeros((len(whom), -(-size // 64)), np.uint64)))


def shown(item: Item, released: frozenset[int]) -> tuple[int, ...]:
    """The portions of an item that somebody gets, by their labels: the definition."""
    if item.strict:
        every = {*item.portions, *(() if item.compilation is None else (item.compilation,))}
        return item.portions if every <= released else ()
    return tuple(label for label in item.portions if label in released)


def expected(items: Iterable[Item], levels: Sequence[int], old: frozenset[int], new: frozenset[int]) -> dict[str, list[int]]:
    """What one partner gains and loses, item by item."""
    found = {name: [0, 0, 0] for name in ("items_gained", "items_lost", "items_changed", "portions_gained", "portions_lost")}

    def level(item: Item, portions: tuple[int, ...]) -> int:
        return max(levels[label] for label in (*portions, *(() if item.compilation is None else (item.compilation,))))

    for item in items:
        before, after = shown(item, old), shown(item, new)
        if after and not before:
            found["items_gained"][level(item, after)] += 1
        elif before and not after:
            found["items_lost"][level(item, before)] += 1
        elif before != after:
            found["items_changed"][level(item, after)] += 1
        for label in item.portions:
            found["portions_gained"][levels[label]] += after.count(label) > before.count(label)
            found["portions_lost"][levels[label]] += before.count(label) > after.count(label)
    return found


def labels_at(levels: Sequence[int]) -> LabelColumns:
    return LabelColumns(Label(LADDER[level], (f"C{number}",), originators=("USA",)) for number, level in enumerate(levels))


@st.composite
def stored(draw: st.DrawFn) -> tuple[list[int], list[Item]]:
    """Levels of some labels, and items that bear them."""
    levels = draw(st.lists(st.integers(0, 2), min_size=1, max_size=8))
    some = st.integers(0, len(levels) - 1)
    one = st.tuples(st.booleans(), st.lists(some, min_size=1, max_size=4).map(tuple), st.none() | some)
    items = [Item(f"i{number:03}", *drawn) for number, drawn in enumerate(draw(st.lists(one, max_size=25)))]
    return levels, items


@settings(max_examples=60, deadline=None)
@given(stored(), st.integers(1, 130), st.randoms(use_true_random=False))
def test_the_effect_is_what_deciding_item_by_item_says(of: tuple[list[int], list[Item]], many: int, chance: random.Random) -> None:
    levels, items = of
    whom = [ForWhom(f"P{number:03}", chance.choice(("none", "OTHER"))) for number in range(many)]
    places = range(len(levels))
    old = [frozenset(place for place in places if chance.random() < 0.5) for _ in whom]
    new = [before if chance.random() < 0.4 else frozenset(place for place in places if chance.random() < 0.5) for before in old]
    label_ids = [chance.randint(1, 9) * 1000 + place for place in places]
    held = holdings_of(items, label_ids).at(5)
    found = effect(held, released_of(whom, old, len(levels)), released_of(whom, new, len(levels)), columns=labels_at(levels), ladder=LADDER)
    wanted = {}
    for one, before, after in zip(whom, old, new, strict=True):
        counted = expected(items, levels, before, after)
        if any(map(any, counted.values())):
            wanted[one] = counted
    assert found.levels == LADDER
    assert {
        ForWhom(change.partner, change.purpose): {
            name: list(getattr(change, name)) for name in expected([], levels, frozenset(), frozenset())
        }
        for change in found.changes
    } == wanted
    assert list(found.changes) == sorted(found.changes, key=lambda change: (change.partner, change.purpose))
    assert found.empty is (not wanted)
    for change in found.changes:
        number = whom.index(ForWhom(change.partner, change.purpose))
        own = [bool(shown(item, old[number])) for item in items], [bool(shown(item, new[number])) for item in items]
        gained, lost, _ = found.groups(change)
        assert sum(change.items_gained) == sum(after and not before for before, after in zip(*own, strict=True))
        assert bool(gained) is any(change.items_gained)
        assert bool(lost) is any(change.items_lost)


def both(
    items: Sequence[Item],
    levels: Sequence[int],
    whom: Sequence[ForWhom],
    old: Sequence[frozenset[int]],
    new: Sequence[frozenset[int]],
    *,
    label_ids: Sequence[int] | None = None,
    numbers: random.Random | None = None,
) -> Effect:
    held = holdings_of(items, label_ids or range(len(levels)), numbers=numbers).at(5)
    size = len(levels)
    return effect(held, released_of(whom, old, size), released_of(whom, new, size), columns=labels_at(levels), ladder=LADDER)


ITEMS = (Item("a", False, (0, 1)), Item("b", True, (0, 1)), Item("c", False, (1,)), Item("d", False, (2,)), Item("e", False, (0,), 2))
WHOM = (ForWhom("IND"), ForWhom("JPN"))
NOTHING = frozenset[int]()
PLAIN = both(ITEMS, [0, 1, 2], WHOM, [NOTHING, frozenset({0})], [NOTHING, frozenset({0, 1})])


def test_an_effect_reads_as_it_is() -> None:
    assert PLAIN.to_json()["changes"] == [
        {
            "partner": "JPN",
            "purpose": "none",
            "items_gained": {"MIDDLE": 2},
            "items_lost": {},
            "items_changed": {"MIDDLE": 1},
            "portions_gained": {"LOW": 1, "MIDDLE": 3},
            "portions_lost": {},
        }
    ]
    gained, lost, changed = PLAIN.groups(PLAIN.changes[0])
    assert [(len(own), lost) for own in (gained, changed)] == [(2, ()), (1, ())]


def test_the_digest_is_of_what_happens_to_whom_and_not_of_how_it_is_numbered() -> None:
    other = both(ITEMS[::-1], [0, 1, 2], [ForWhom("JPN"), ForWhom("AUS"), ForWhom("IND")], [frozenset({0}), NOTHING, NOTHING],
                 [frozenset({0, 1}), NOTHING, NOTHING], label_ids=(70, 8, 900), numbers=random.Random(4))  # fmt: skip
    assert other.digest() == PLAIN.digest()
    with_more = both((*ITEMS, Item("z", False, (2,)), Item("y", True, (2, 1))), [0, 1, 2], WHOM, [NOTHING, frozenset({0})],
                     [NOTHING, frozenset({0, 1})])  # fmt: skip
    assert with_more.digest() == PLAIN.digest()


@pytest.mark.parametrize(
    ("items", "new"),
    [
        pytest.param((*ITEMS, Item("f", False, (1,))), [NOTHING, frozenset({0, 1})], id="one-more-item-is-gained"),
        pytest.param(ITEMS[:2] + ITEMS[3:], [NOTHING, frozenset({0, 1})], id="one-item-fewer-is-gained"),
        pytest.param((*ITEMS[:2], Item("C", False, (1,)), *ITEMS[3:]), [NOTHING, frozenset({0, 1})], id="another-item-is-gained"),
        pytest.param((Item("c", False, (0, 1)), ITEMS[1], Item("a", False, (1,)), *ITEMS[3:]), [NOTHING, frozenset({0, 1})],
                     id="they-changed-places"),
        pytest.param(ITEMS, [frozenset({0}), frozenset({0, 1})], id="somebody-else-gains-too"),
        pytest.param(ITEMS, [NOTHING, frozenset({0, 1, 2})], id="he-gains-more"),
        pytest.param(ITEMS, [NOTHING, frozenset({1})], id="he-loses-something-beside"),
    ],
)  # fmt: skip
def test_another_effect_has_another_digest(items: Sequence[Item], new: Sequence[frozenset[int]]) -> None:
    assert both(items, [0, 1, 2], WHOM, [NOTHING, frozenset({0})], new).digest() != PLAIN.digest()


def test_whatever_item_stands_in_the_place_of_another_has_another_digest() -> None:
    names = [f"other-{number}" for number in range(12)]
    found = {
        both(
            (*ITEMS[:2], Item(name, False, (1,)), *ITEMS[3:]), [0, 1, 2], WHOM, [NOTHING, frozenset({0})], [NOTHING, frozenset({0, 1})]
        ).digest()
        for name in names
    }
    assert len(found | {PLAIN.digest()}) == len(names) + 1


def test_no_effect_is_empty_and_has_a_digest() -> None:
    none = both(ITEMS, [0, 1, 2], WHOM, [NOTHING, NOTHING], [NOTHING, NOTHING])
    assert none.empty
    assert none.digest() == both((), [0], WHOM, [NOTHING, NOTHING], [frozenset({0}), NOTHING]).digest()


def test_a_level_that_the_ladder_lacks_comes_last() -> None:
    columns = LabelColumns([Label("COSMIC", originators=("USA",)), Label("LOW", originators=("USA",))])
    held = holdings_of([Item("a", False, (0, 1))], [1, 2]).at(0)
    found = effect(held, released_of(WHOM, [NOTHING] * 2, 2), released_of(WHOM, [frozenset({0, 1})] * 2, 2), columns=columns, ladder=LADDER)
    assert found.levels == (*LADDER, "COSMIC")
    assert found.changes[0].items_gained == (0, 0, 0, 1)


def test_what_is_held_is_what_is_in_force_at_the_moment() -> None:
    first, later = Group(1, False, 10, 20), Group(2, True, 20, 30)
    holdings = Holdings(
        [GroupRow(later, 2, b"2" * 32), GroupRow(first, 3, b"1" * 32)],
        [PortionsRow(*first, 7, 10, 15, 3), PortionsRow(*first, 8, 15, 20, 3), PortionsRow(*later, 8, 20, 30, 2)],
        [7, 8],
    )
    assert holdings.moments == (10, 15, 20, 30)
    held = {at: holdings.at(at) for at in (9, 10, 14, 15, 19, 20, 29, 30)}
    assert {at: (tuple(one.groups), one.members.tolist(), one.loose_portions.tolist()) for at, one in held.items()} == {
        9: ((), [], [0, 0]),
        10: ((first,), [0], [3, 0]),
        14: ((first,), [0], [3, 0]),
        15: ((first,), [1], [0, 3]),
        19: ((first,), [1], [0, 3]),
        20: ((later,), [1], [0, 0]),
        29: ((later,), [1], [0, 0]),
        30: ((), [], [0, 0]),
    }


def test_a_label_that_nobody_knows_is_said_and_nothing_is_counted_without_it() -> None:
    group = Group(1, False, 0, 9)
    row = GroupRow(group, 1, b"1" * 32)
    for label_ids in ([7], [7, 100], [], [98, 100, 3]):
        with pytest.raises(Broken, match="label that is not known: `99`"):
            Holdings([row], [PortionsRow(*group, 99, 0, 9, 1)], label_ids)
    with pytest.raises(Broken, match="items that are not known"):
        Holdings([row], [PortionsRow(2, False, 0, 9, 7, 0, 9, 1)], [7])


def test_an_effect_is_of_one_list_of_partners() -> None:
    held = holdings_of(ITEMS, [0, 1, 2]).at(1)
    with pytest.raises(Broken, match="one list of partners"):
        effect(held, released_of(WHOM, [NOTHING] * 2, 3), released_of(WHOM[:1], [NOTHING], 3), columns=labels_at([0, 1, 2]), ladder=LADDER)


# --- of policies ----------------------------------------------------------------------------------------------------

FILES = big_bundle(60, 12, categories=8, seed=3)
LABELS = LabelColumns(big_labels(600, 12, categories=8, seed=3))
ASKERS = tuple(map(ForWhom, partners_of(12)))


def with_row(file: str, row: str) -> Bundle:
    return read_bundle({**FILES, file: FILES[file] + f"{row}\n".encode()})


def stored_items(chance: random.Random) -> list[Item]:
    return [
        Item(f"i{number:04}", chance.random() < 0.3, tuple(chance.choices(range(LABELS.size), k=chance.randint(1, 4))),
             chance.randrange(LABELS.size) if chance.random() < 0.1 else None)
        for number in range(400)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def before() -> tuple[Bundle, Released]:
    bundle = read_bundle(FILES)
    return bundle, Released.of(bundle.snapshot(NOW), LABELS, ASKERS)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(["agreements.csv", "prohibitions.csv"]),
    st.sampled_from([*partners_of(12), "REGION-1", "ALL-PARTNERS"]),
    st.integers(0, 99),
)
def test_an_agreement_more_only_gives_and_a_prohibition_more_only_takes(
    before: tuple[Bundle, Released], file: str, grantee: str, seed: int
) -> None:
    chance = random.Random(seed)
    level = chance.choice(("CONFIDENTIAL", "SECRET", "TOP SECRET"))
    allows = file == "agreements.csv"
    cells = (f"{level}, *, *" if allows else "UNCLASSIFIED, *, *") + ", *, , , Added"
    row = f"p, {'AGR' if allows else 'PRO'}-9999, {'allow' if allows else 'deny'}, release, {grantee}, *, {cells}"
    bundle, old = before
    after = with_row(file, row).snapshot(NOW)
    new = old.after(bundle.snapshot(NOW), after, LABELS)
    assert new.words.tolist() == Released.of(after, LABELS, ASKERS).words.tolist()
    held = holdings_of(stored_items(chance), range(LABELS.size)).at(1)
    ladder = [level.name for level in bundle.scheme.levels]
    found = effect(held, old, new, columns=LABELS, ladder=ladder)
    assert not found.empty
    for change in found.changes:
        taken, given_ = (change.items_lost, change.portions_lost), (change.items_gained, change.portions_gained)
        assert not any(map(any, taken if allows else given_))
        assert any(map(any, given_ if allows else taken))
    back = effect(held, new, old, columns=LABELS, ladder=ladder)
    assert [(one.partner, sum(one.items_gained), sum(one.items_lost)) for one in back.changes] == [
        (one.partner, sum(one.items_lost), sum(one.items_gained)) for one in found.changes
    ]
