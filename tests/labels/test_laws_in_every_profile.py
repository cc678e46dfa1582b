"""The laws of the join in every marking profile: over labels that hold all the profile's levels, and under policies that decide on them.

The round trips, of what is written and read again, stand beside each profile: `test_markings` (`PLAIN`, `IC-2016`), `test_nato`,
`test_stanag4774` (XML), `test_tlp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.labels.label import UNRESTRICTED, Label
from service.labels.rollup import Members, copy_marks, departures, roll_up
from service.labels.scheme import Profile, Scheme
from service.policy import Bundle, Outcome, read_bundle
from tests.support.store_bundles import COMMUNITIES, SCHEME, bundle_files
from tests.support.store_world import START

LADDERS = {
    Profile.PLAIN: (("UNCLASSIFIED", "U"), ("CONFIDENTIAL", "C"), ("SECRET", "S")),
    Profile.IC_2016: (("UNCLASSIFIED", "U"), ("CONFIDENTIAL", "C"), ("SECRET", "S")),
    Profile.NATO_4774: (("UNCLASSIFIED", "NU"), ("CONFIDENTIAL", "NC"), ("SECRET", "NS")),
    Profile.TLP_2: (("GREEN", "GREEN"), ("AMBER", "AMBER"), ("RED", "RED")),
}
AGREEMENTS = (
    "p, AGR-0001, allow, release, ALL, *, {low}, *, none, *, , , Directive on open information",
    "p, AGR-0002, allow, release, JPN, *, {high}, CYBER MARITIME, RELIDO, *, 2020-01-01, , Exchange of notes 2019",
    "p, AGR-0003, allow, release, IND, *, {middle}, MARITIME, none, *, 2020-01-01, , Exchange of notes 2020",
    "p, AGR-0004, allow, release, QUAD, *, {middle}, CYBER MARITIME OPEN, ORCON RELIDO, USA, 2020-01-01, , Arrangement 2021",
    "p, AGR-0005, allow, refer, AUS, *, {high}, *, *, *, 2020-01-01, , Cases to ask about",
)
PROHIBITIONS = (
    "p, PRO-0001, deny, release, JPN, *, {middle}, CYBER, *, *, , , Order 1",
    "p, PRO-0002, deny, release, ALL, *, {low}, *, ORCON, IND, , , Order 2",
)
PARTNERS = ("AUS", "IND", "JPN")


@cache
def bundle_of(profile: Profile) -> Bundle:
    ladder = LADDERS[profile]
    low, middle, high = (name for name, _ in ladder)

    def named(rows: Sequence[str]) -> list[str]:
        return [row.format(low=low, middle=middle, high=high) for row in rows]

    lines = [
        line for line in SCHEME.splitlines() if not line.startswith(("profile", "levels", "approval", "categories_req", "audience_req"))
    ]
    lines += [
        f'profile = "{profile}"',
        "levels = [" + ", ".join(f'{{name = "{name}", mark = "{mark}"}}' for name, mark in ladder) + "]",
        f'approval_level = "{high}"',
        f'categories_required_from = "{middle}"',
        f'audience_required_from = "{middle}"',
    ]
    files = bundle_files(named(AGREEMENTS), prohibitions=named(PROHIBITIONS), communities=COMMUNITIES, scheme="\n".join(lines) + "\n")
    return read_bundle(files)


PROFILES = pytest.mark.parametrize("profile", list(Profile))


def scheme_and_members(profile: Profile) -> tuple[Scheme, Members]:
    bundle = bundle_of(profile)
    return bundle.scheme, bundle.members(START)


def labels_of(profile: Profile) -> st.SearchStrategy[Label]:
    """Labels of a profile, among them many that some partner may have."""
    codes = st.sampled_from(("AUS", "IND", "JPN", "QUAD", "USA"))
    audiences = st.just(UNRESTRICTED) | st.lists(codes, max_size=4).map(tuple) | st.just(("AUS", "IND", "JPN", "USA"))
    return st.builds(
        Label,
        level=st.sampled_from([name for name, _ in LADDERS[profile]]),
        categories=st.lists(st.sampled_from(("CYBER", "MARITIME", "OPEN")), max_size=2).map(tuple),
        releasable_to=audiences,
        caveats=st.just(()) | st.lists(st.sampled_from(("ORCON", "RELIDO")), max_size=2).map(tuple),
        originators=st.just(("USA",)) | st.lists(st.sampled_from(("IND", "JPN", "USA")), min_size=1, max_size=2).map(tuple),
        display_to=st.none() | audiences,
        consents=st.just(()) | st.lists(st.sampled_from(("IND:JPN", "JPN:IND", "JPN:AUS")), max_size=3).map(tuple),
        grants=st.just(()) | st.just(("release:AUS",)),
    )


def reach(audience: Sequence[str], members: Members) -> set[str]:
    """Whom an audience reaches, ourselves aside; `*` everybody, and one more who is no partner."""
    if tuple(audience) == UNRESTRICTED:
        return {*PARTNERS, "OTHER"}
    return {one for code in audience for one in members.get(code, {code})} - {"USA"}


def looks(label: Label, members: Members) -> set[str]:
    """Whom a label lets look: whoever may keep it, and who may look beside them."""
    return reach(label.releasable_to, members) | reach(label.shown_to, members)


@PROFILES
@given(data=st.data())
def test_the_join_is_commutative_associative_and_idempotent_to_the_byte(profile: Profile, data: st.DataObject) -> None:
    scheme, members = scheme_and_members(profile)
    a, b, c = (data.draw(labels_of(profile)) for _ in range(3))

    def join(*labels: Label) -> bytes:
        return roll_up(labels, scheme=scheme, members=members).canonical()

    def joined(*labels: Label) -> Label:
        return roll_up(labels, scheme=scheme, members=members)

    assert join(a, b) == join(b, a)
    assert join(joined(a, b), c) == join(a, joined(b, c)) == join(a, b, c)
    assert join(a, a) == join(a) == a.canonical()
    assert join(joined(a, b), a) == join(a, b)


@PROFILES
@given(data=st.data())
def test_removing_a_portion_never_narrows_the_audience(profile: Profile, data: st.DataObject) -> None:
    scheme, members = scheme_and_members(profile)
    labels = data.draw(st.lists(labels_of(profile), min_size=2, max_size=5))
    removed = data.draw(st.integers(0, len(labels) - 1))
    whole = roll_up(labels, scheme=scheme, members=members)
    less = roll_up([*labels[:removed], *labels[removed + 1 :]], scheme=scheme, members=members)
    assert reach(whole.releasable_to, members) <= reach(less.releasable_to, members)
    assert looks(whole, members) <= looks(less, members)
    assert scheme.rank(less.level) <= scheme.rank(whole.level)


RELEASED: dict[Profile, int] = dict.fromkeys(Profile, 0)


@PROFILES
@given(data=st.data())
def test_what_is_released_under_a_joined_label_is_released_under_each_part(profile: Profile, data: st.DataObject) -> None:
    """Whoever may have things together may have each of them: by the joined label nothing goes out that a part would hold back."""
    scheme, members = scheme_and_members(profile)
    snapshot = bundle_of(profile).snapshot(START, frozenset())
    labels = data.draw(st.lists(labels_of(profile), min_size=1, max_size=3))
    together = roll_up(labels, scheme=scheme, members=members)
    for partner in PARTNERS:
        if snapshot.decide(partner, "release", together, "none").outcome is Outcome.RELEASE:
            RELEASED[profile] += 1
            for label in labels:
                assert snapshot.decide(partner, "release", label, "none").outcome is Outcome.RELEASE


@PROFILES
def test_and_some_are_released(profile: Profile) -> None:
    """The law above says nothing where nothing is released: among the labels it is tried on, some are."""
    test_what_is_released_under_a_joined_label_is_released_under_each_part(profile)
    assert RELEASED[profile] > 10


@PROFILES
@given(data=st.data())
def test_a_partners_copy_is_marked_for_nobody_to_whom_its_parts_are_not_released(profile: Profile, data: st.DataObject) -> None:
    """The banner of a copy is lawful over its own marks, and names nobody but ourselves, the partner, and whom every part names."""
    scheme, members = scheme_and_members(profile)
    snapshot = bundle_of(profile).snapshot(START, frozenset())
    labels = data.draw(st.lists(labels_of(profile), min_size=1, max_size=4))
    for partner in PARTNERS:
        released = [label for label in labels if snapshot.decide(partner, "release", label, "none").outcome is Outcome.RELEASE]
        if not released:
            continue
        marks = copy_marks(released, partner=partner, scheme=scheme, members=members)
        assert departures(marks.banner, marks.portions, scheme=scheme, members=members).fault is None
        named = reach(marks.banner.releasable_to, members)
        for label in released:
            assert scheme.rank(marks.banner.level) >= scheme.rank(label.level)
            assert named <= reach(label.releasable_to, members) | {partner}
        assert UNRESTRICTED not in (marks.banner.releasable_to,) or all(label.releasable_to == UNRESTRICTED for label in released)
