"""When an item is visible, and where it stands: the derivation against direct evaluation, moment by moment.

The model knows no stretches and no boundaries. It asks, for every moment of a small calendar, which portions are released
then, and since when each has been so without a break.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from service.labels.label import Label
from service.policy import Decision, Outcome, read_bundle
from service.sharing.visibility import SnapshotStretch, entitlement, offers, snapshots_ahead
from service.store.catalogue import ItemTimeline, LabelStretch
from service.store.tables import FOREVER
from service.store.times import micros, moment_of
from service.store.visibility import Lane, Offer, Stretch
from tests.support.store_bundles import OPEN, bundle, bundle_files

NOW = 5
LAST = 16
MOMENTS = range(NOW, LAST + 3)
SCHEME = bundle().scheme
LABELS = {
    1: Label("UNCLASSIFIED", ("OPEN",), ("*",), originators=("USA",)),
    2: Label("CONFIDENTIAL", ("MARITIME",), ("JPN", "USA"), originators=("USA",)),
    3: Label("SECRET", ("CYBER", "MARITIME"), ("JPN", "USA"), originators=("USA",)),
    4: Label("SECRET", ("MARITIME",), (), originators=("USA",)),
}
LANE = Lane(1, "JPN", "none")


@st.composite
def stretches(draw: st.DrawFn) -> tuple[Stretch, ...]:
    """Stretches in order that do not touch, the last one perhaps open."""
    moments = sorted(draw(st.sets(st.integers(0, LAST), max_size=6)))
    pairs = [Stretch(begin, end) for begin, end in zip(moments[::2], moments[1::2], strict=False)]
    if len(moments) % 2:
        pairs.append(Stretch(moments[-1], FOREVER))
    return tuple(pairs)


@st.composite
def timelines(draw: st.DrawFn) -> tuple[LabelStretch, ...]:
    """What the store says from `NOW` on: contiguous but for a gap now and then, perhaps ending."""
    bounds = [draw(st.integers(0, NOW)), *sorted(draw(st.sets(st.integers(NOW + 1, LAST), max_size=3)))]
    ends = [*bounds[1:], draw(st.sampled_from([FOREVER, FOREVER, LAST + 1]))]
    rows = [LabelStretch(begin, end, draw(st.sampled_from(list(LABELS)))) for begin, end in zip(bounds, ends, strict=True)]
    return tuple(row for row in rows if draw(st.integers(0, 9)))


def entitled_maps() -> st.SearchStrategy[dict[int, tuple[Stretch, ...]]]:
    return st.fixed_dictionaries({label_id: stretches() for label_id in LABELS})


def items() -> st.SearchStrategy[ItemTimeline]:
    return st.builds(
        ItemTimeline,
        st.just("i"),
        st.booleans(),
        st.lists(st.tuples(st.integers(0, NOW), timelines()), min_size=1, max_size=4).map(tuple),
        st.none() | timelines(),
    )


Standing = tuple[int, int, tuple[str, ...]]


def _released(timeline: tuple[LabelStretch, ...], entitled: dict[int, tuple[Stretch, ...]], at: int) -> tuple[int, Label] | None:
    for row in timeline:
        for grant in entitled[row.label_id]:
            if row.from_at <= at < row.until and grant.from_at <= at < grant.until:
                return max(row.from_at, grant.from_at), LABELS[row.label_id]
    return None


def standing(item: ItemTimeline, entitled: dict[int, tuple[Stretch, ...]], at: int) -> Standing | None:
    """(visible_since, level, categories) of the copy at a moment, or None: the definition, word for word."""
    parts = []
    for changed_at, timeline in item.portions:
        found = _released(timeline, entitled, at)
        if found is not None:
            parts.append((max(changed_at, found[0]), found[1]))
    if item.whole or item.compilation is not None:
        if len(parts) < len(item.portions):
            return None
        if item.compilation is not None:
            found = _released(item.compilation, entitled, at)
            if found is None:
                return None
            parts.append(found)
    if not parts:
        return None
    categories = tuple(sorted({category for _, label in parts for category in label.categories}))
    return max(since for since, _ in parts), max(SCHEME.rank(label.level) for _, label in parts), categories


def at_moment(found: tuple[Offer, ...], at: int) -> list[Standing]:
    return [(one.visible_since, one.level, one.categories) for one in found if one.from_at <= at < one.until]


@settings(max_examples=300)
@given(items(), entitled_maps())
def test_at_any_moment_the_offer_is_what_direct_evaluation_says(item: ItemTimeline, entitled: dict[int, tuple[Stretch, ...]]) -> None:
    found = offers(item, entitled, LABELS, SCHEME, at=NOW)
    for at in MOMENTS:
        expected = standing(item, entitled, at)
        assert at_moment(found, at) == ([] if expected is None else [expected]), at


@given(items(), entitled_maps())
def test_offers_are_in_order_do_not_touch_without_need_and_are_not_seen_before_they_begin(
    item: ItemTimeline, entitled: dict[int, tuple[Stretch, ...]]
) -> None:
    found = offers(item, entitled, LABELS, SCHEME, at=NOW)
    for one in found:
        assert NOW <= one.from_at < one.until
        assert one.visible_since <= one.from_at
    for one, following in pairwise(found):
        assert one.until <= following.from_at
        same_place = (one.visible_since, one.level, one.categories) == (following.visible_since, following.level, following.categories)
        assert one.until < following.from_at or not same_place


@given(items(), entitled_maps(), st.lists(st.tuples(st.integers(0, NOW), timelines()), max_size=3), st.randoms(use_true_random=False))
def test_withheld_portions_never_enter(item: ItemTimeline, entitled: dict[int, tuple[Stretch, ...]], others: list, order: object) -> None:
    item = replace(item, whole=False, compilation=None)
    withheld = [(changed, tuple(replace(row, label_id=4) for row in timeline)) for changed, timeline in others]
    entitled = {**entitled, 4: ()}
    mixed = [*item.portions, *withheld]
    order.shuffle(mixed)  # type: ignore[attr-defined]
    with_them = replace(item, portions=tuple(mixed))
    assert offers(with_them, entitled, LABELS, SCHEME, at=NOW) == offers(item, entitled, LABELS, SCHEME, at=NOW)


@given(items(), entitled_maps())
def test_an_item_released_whole_is_offered_at_no_moment_at_which_a_part_is_withheld(
    item: ItemTimeline, entitled: dict[int, tuple[Stretch, ...]]
) -> None:
    item = replace(item, whole=True)
    for at in MOMENTS:
        if any(_released(timeline, entitled, at) is None for _, timeline in item.portions):
            assert at_moment(offers(item, entitled, LABELS, SCHEME, at=NOW), at) == []


def test_the_compilation_enters_what_the_filters_go_by() -> None:
    """The copy's marking holds it, so its level and categories are the copy's."""
    always = (Stretch(0, FOREVER),)
    item = ItemTimeline("i", False, ((1, (LabelStretch(1, FOREVER, 1),)),), (LabelStretch(2, FOREVER, 3),))
    assert offers(item, {1: always, 3: always}, LABELS, SCHEME, at=NOW) == (Offer(NOW, FOREVER, 2, 2, ("CYBER", "MARITIME", "OPEN")),)


# --- entitlements ---------------------------------------------------------------------------------------------------


class _Says:
    """A snapshot that says one thing."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def decide(self, partner: str, action: str, label: Label, purpose: str) -> Decision:
        assert (partner, action, label, purpose) == (LANE.partner, "release", LABELS[2], LANE.purpose)
        return Decision(self._outcome)


Plan = tuple[tuple[int, Outcome], ...]
"""What a policy says from each moment on; the first is the beginning of time."""


def plans() -> st.SearchStrategy[Plan]:
    outcomes = st.sampled_from([Outcome.RELEASE, Outcome.RELEASE, Outcome.WITHHOLD, Outcome.REFER])
    later = st.dictionaries(st.integers(1, LAST), outcomes, max_size=4)
    return st.builds(lambda first, then: ((0, first), *sorted(then.items())), outcomes, later)


def _ahead(plan: Plan, at: int) -> list[SnapshotStretch]:
    ends = [moment for moment, _ in plan[1:]] + [FOREVER]
    rows = [(begin, end, outcome) for (begin, outcome), end in zip(plan, ends, strict=True) if end > at]
    return [SnapshotStretch(max(begin, at), end, _Says(outcome)) for begin, end, outcome in rows]  # type: ignore[arg-type]


@settings(max_examples=300)
@given(st.dictionaries(st.integers(1, LAST), plans(), min_size=1, max_size=4))
def test_through_any_acts_a_release_keeps_its_beginning_for_as_long_as_it_goes_on(history: dict[int, Plan]) -> None:
    """Against a model that says, moment by moment, what the policy in force then said."""
    acts = sorted(history)

    def released(moment: int, latest: int) -> bool:
        in_force = [act for act in acts if act <= min(moment, latest)]
        return bool(in_force) and [outcome for begin, outcome in history[in_force[-1]] if begin <= moment][-1] is Outcome.RELEASE

    written: tuple[Stretch, ...] = ()
    for act in acts:
        written = entitlement(LABELS[2], LANE, _ahead(history[act], act), at=act, before=written)
        for moment in range(act, LAST + 3):
            holding = [stretch for stretch in written if stretch.from_at <= moment < stretch.until]
            assert bool(holding) is released(moment, act)
            if holding:
                since = moment
                while since > 0 and released(since - 1, act):
                    since -= 1
                assert [stretch.from_at for stretch in holding] == [since]
    assert all(one.until < following.from_at for one, following in pairwise(written))


def test_snapshots_ahead_are_all_there_are_without_a_gap() -> None:
    dated = read_bundle(
        bundle_files(
            [
                OPEN,
                "p, AGR-0002, allow, release, JPN, *, SECRET, MARITIME, none, *, 2027-01-01, 2028-01-01, A",
                "p, AGR-0003, allow, release, IND, *, SECRET, MARITIME, none, *, 2027-06-01, , B",
            ]
        )
    )
    at = micros(datetime(2026, 11, 22, tzinfo=UTC))
    ahead = snapshots_ahead(dated, frozenset(), at=at)
    assert ahead[0].from_at == at
    assert ahead[-1].until == FOREVER
    assert [one.until for one in ahead[:-1]] == [one.from_at for one in ahead[1:]]
    assert [moment_of(one.from_at).date().isoformat() for one in ahead[1:]] == ["2027-01-01", "2027-06-01", "2028-01-01"]
    for one in ahead:
        assert one.snapshot is dated.snapshot(moment_of(one.from_at))
