"""Under which groups portions can be found, and when: against direct evaluation, moment by moment."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from service.sharing.search import grant, groups_of
from service.store.catalogue import ItemTimeline, LabelStretch
from service.store.search import Group
from service.store.tables import FOREVER
from service.store.visibility import Stretch
from tests.sharing.test_visibility_laws import MOMENTS, NOW, entitled_maps, items, standing, stretches

Entitled = dict[int, tuple[Stretch, ...]]


def found_at(item: ItemTimeline, entitled: Entitled, at: int) -> set[int]:
    """Places of the portions that can be found at a moment."""
    return {place for place, group in groups_of(item, at=NOW) if any(one.from_at <= at < one.until for one in grant(group, entitled))}


def released_at(item: ItemTimeline, entitled: Entitled, at: int) -> set[int]:
    """Places of the portions whose label is released at a moment."""
    return {
        place
        for place, (_, timeline) in enumerate(item.portions)
        for row in timeline
        for one in entitled[row.label_id]
        if row.from_at <= at < row.until and one.from_at <= at < one.until
    }


@settings(max_examples=300)
@given(items(), entitled_maps())
def test_at_any_moment_what_can_be_found_is_what_is_released_in_what_is_visible(item: ItemTimeline, entitled: Entitled) -> None:
    for at in MOMENTS:
        visible = standing(item, entitled, at) is not None
        assert found_at(item, entitled, at) == (released_at(item, entitled, at) if visible else set()), at


@given(items(), entitled_maps())
def test_a_part_that_is_withheld_moves_no_group_of_the_others(item: ItemTimeline, entitled: Entitled) -> None:
    item = replace(item, whole=False, compilation=None)
    more = replace(item, portions=(*item.portions, (NOW, (LabelStretch(0, FOREVER, 4),))))
    assert set(groups_of(item, at=NOW)) <= set(groups_of(more, at=NOW))
    entitled = {**entitled, 4: ()}
    for at in MOMENTS:
        assert found_at(more, entitled, at) == found_at(item, entitled, at)


@given(items())
def test_groups_of_what_has_begun_do_not_tell_when(item: ItemTimeline) -> None:
    for _, group in groups_of(item, at=NOW):
        assert group.from_at == 0 or group.from_at > NOW
        assert group.until > NOW
        assert list(group.labels) == sorted(set(group.labels))


@given(stretches(), stretches(), st.integers(0, 20), st.integers(0, 20))
def test_a_group_is_granted_while_each_of_its_labels_is_released(
    one: tuple[Stretch, ...], other: tuple[Stretch, ...], a: int, b: int
) -> None:
    group = Group((1, 2), min(a, b), max(a, b))
    granted = grant(group, {1: one, 2: other})
    for at in range(25):
        both = all(any(held.from_at <= at < held.until for held in each) for each in (one, other))
        assert any(held.from_at <= at < held.until for held in granted) is (both and group.from_at <= at < group.until)
    assert all(before.until <= after.from_at for before, after in pairwise(granted))


def test_a_label_that_is_released_at_no_time_grants_nothing() -> None:
    assert grant(Group((1, 2), 0, FOREVER), {1: (Stretch(0, FOREVER),)}) == ()
