"""Roll-up: laws in value and in bytes, and what a banner and a copy say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Rejected
from service.labels.label import UNRESTRICTED, Label
from service.labels.markings import profile_of
from service.labels.precedence import required_of
from service.labels.rollup import Departures, banner_fault, copy_label, copy_portion_label, departures, roll_up
from service.labels.scheme import AudienceOnCopies, Scheme, UnknownName

SCHEME = Scheme.from_mapping(
    {
        "own": "USA",
        "profile": "IC-2016",
        "levels": [{"name": "UNCLASSIFIED", "mark": "U"}, {"name": "CONFIDENTIAL", "mark": "C"}, {"name": "SECRET", "mark": "S"}],
        "categories": ["AIR", "CYBER"],
        "caveats": ["ORCON", "RELIDO"],
        "purposes": [],
        "expandable": ["FVEY", "QUAD"],
        "public_communities": ["FVEY", "NATO"],
        "categories_required_from": "CONFIDENTIAL",
        "audience_required_from": "CONFIDENTIAL",
        "approval_level": "SECRET",
        "releasable_in": "portions",
        "audience_on_copies": "own",
    }
)
FULL = replace(SCHEME, audience_on_copies=AudienceOnCopies.FULL)
MEMBERS = {
    "FVEY": frozenset({"AUS", "GBR", "USA"}),
    "QUAD": frozenset({"AUS", "IND", "JPN", "USA"}),
    "NATO": frozenset({"GBR"}),
}
WRITE = profile_of(SCHEME).write_banner


def rolled(*labels: Label) -> Label:
    return roll_up(labels, scheme=SCHEME, members=MEMBERS)


def to(*codes: str, display: tuple[str, ...] | None = None, level: str = "SECRET", **others: tuple[str, ...]) -> Label:
    return Label(level, releasable_to=codes, display_to=display, **{"originators": ("USA",), **others})


CODES = st.sampled_from(["AUS", "FVEY", "GBR", "IND", "JPN", "NATO", "QUAD", "USA"])
AUDIENCES = st.one_of(st.just(UNRESTRICTED), st.lists(CODES, max_size=5).map(tuple))


def some(*names: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), max_size=3).map(tuple)


LABELS = st.builds(
    Label,
    level=st.sampled_from(["UNCLASSIFIED", "CONFIDENTIAL", "SECRET"]),
    categories=some("AIR", "CYBER"),
    releasable_to=AUDIENCES,
    caveats=some("ORCON", "RELIDO"),
    originators=st.lists(st.sampled_from(["GBR", "JPN", "USA"]), min_size=1, max_size=2).map(tuple),
    display_to=st.one_of(st.none(), AUDIENCES),
    consents=some("GBR:JPN", "GBR:IND", "JPN:IND"),
    grants=some("release:JPN", "display:IND"),
)


def same(one: Label, other: Label) -> None:
    assert one == other
    assert one.canonical() == other.canonical()


def reach(audience: Sequence[str]) -> set[str]:
    """Who can be addressed through an audience, ourselves aside; communities that may not be expanded stand for themselves."""
    if tuple(audience) == UNRESTRICTED:
        return {"AUS", "GBR", "IND", "JPN", "NATO", "OTHER"}
    expanded = {each for code in audience for each in (MEMBERS[code] if code in SCHEME.expandable else {code})}
    return expanded - {"USA"}


def looks(label: Label) -> set[str]:
    return reach(label.releasable_to) | reach(label.shown_to)


@given(LABELS, LABELS)
def test_roll_up_is_commutative(a: Label, b: Label) -> None:
    same(rolled(a, b), rolled(b, a))


@given(LABELS, LABELS, LABELS)
def test_roll_up_is_associative(a: Label, b: Label, c: Label) -> None:
    same(rolled(rolled(a, b), c), rolled(a, b, c))
    same(rolled(a, rolled(b, c)), rolled(a, b, c))


@given(LABELS, LABELS)
def test_roll_up_is_idempotent(a: Label, b: Label) -> None:
    same(rolled(a), a)
    same(rolled(a, a), a)
    same(rolled(rolled(a, b), b), rolled(a, b))
    same(rolled(rolled(a, b)), rolled(a, b))


@given(st.lists(LABELS, min_size=1, max_size=4))
def test_the_audience_is_exactly_what_every_part_reaches(labels: list[Label]) -> None:
    label = rolled(*labels)
    assert reach(label.releasable_to) == set.intersection(*(reach(part.releasable_to) for part in labels))
    assert looks(label) == set.intersection(*(looks(part) for part in labels))


@given(st.lists(LABELS, min_size=1, max_size=4), LABELS)
def test_a_part_more_never_loosens(labels: list[Label], more: Label) -> None:
    before, after = rolled(*labels), rolled(*labels, more)
    assert SCHEME.rank(after.level) >= SCHEME.rank(before.level)
    for name in ("categories", "caveats", "originators"):
        assert set(getattr(after, name)) >= set(getattr(before, name))
    assert reach(after.releasable_to) <= reach(before.releasable_to)
    assert looks(after) <= looks(before)
    assert set(after.grants) <= set(before.grants)


@given(st.lists(LABELS, min_size=1, max_size=4))
def test_a_consent_survives_only_where_every_part_of_its_originator_has_it(labels: list[Label]) -> None:
    for consent in rolled(*labels).consents:
        originator = consent.split(":")[0]
        assert all(consent in label.consents for label in labels if originator in label.originators)


def test_a_consent_is_not_asked_of_parts_of_other_originators() -> None:
    ours, theirs = to("JPN"), to("JPN", originators=("GBR",), consents=("GBR:JPN",))
    assert rolled(ours, theirs).consents == ("GBR:JPN",)
    assert rolled(ours, theirs, to("JPN", originators=("GBR", "USA"))).consents == ()


def test_the_own_code_stays_beside_a_community_that_holds_it() -> None:
    assert rolled(to("USA", "FVEY"), to("USA", "FVEY", "JPN")).releasable_to == ("FVEY", "USA")


@given(st.lists(LABELS, min_size=1, max_size=4))
def test_a_roll_up_is_a_lawful_banner_of_its_parts(labels: list[Label]) -> None:
    assert banner_fault(rolled(*labels), labels, scheme=SCHEME, members=MEMBERS) is None


@given(st.lists(LABELS, min_size=1, max_size=4))
def test_a_roll_up_holds_back_nothing_that_all_its_parts_allow(labels: list[Label]) -> None:
    assert departures(rolled(*labels), labels, scheme=SCHEME, members=MEMBERS) == Departures(None, ())


@given(LABELS, st.lists(LABELS, min_size=1, max_size=3))
def test_a_banner_without_excess_is_no_stricter_than_all_its_parts_together(banner: Label, labels: list[Label]) -> None:
    together = rolled(*labels)
    if not departures(banner, labels, scheme=SCHEME, members=MEMBERS).excess:
        assert SCHEME.rank(banner.level) <= SCHEME.rank(together.level)
        assert set(banner.caveats) <= set(together.caveats)
        assert reach(banner.releasable_to) >= reach(together.releasable_to)
        assert looks(banner) >= looks(together)


@given(LABELS, st.lists(LABELS, min_size=1, max_size=3))
def test_a_lawful_banner_is_no_looser_than_any_part(banner: Label, labels: list[Label]) -> None:
    if banner_fault(banner, labels, scheme=SCHEME, members=MEMBERS) is None:
        for part in labels:
            assert SCHEME.rank(banner.level) >= SCHEME.rank(part.level)
            # In the manual's profile some caveats fall away in a banner; what is left is never missing.
            assert set(banner.caveats) >= set(part.caveats) & required_of(labels, scheme=SCHEME)
            assert reach(banner.releasable_to) <= reach(part.releasable_to)
            assert looks(banner) <= looks(part)


@pytest.mark.parametrize(
    ("labels", "banner"),
    [
        pytest.param([to("USA", "JPN"), to("USA", "JPN", "IND")], "SECRET//REL TO USA, JPN", id="common-codes"),
        pytest.param([to("USA", "JPN"), to("USA", "IND")], "SECRET//NOFORN", id="nothing-in-common-but-us"),
        pytest.param([to("USA", "FVEY"), to("USA", "FVEY", "JPN")], "SECRET//REL TO USA, FVEY", id="a-community-named-by-all-stays"),
        pytest.param([to("USA", "FVEY"), to("USA", "AUS", "JPN")], "SECRET//REL TO USA, AUS", id="else-it-is-expanded"),
        pytest.param([to("USA", "FVEY"), to("USA", "QUAD")], "SECRET//REL TO USA, AUS", id="two-communities"),
        pytest.param([to("USA", "NATO"), to("USA", "GBR")], "SECRET//NOFORN", id="unless-the-scheme-forbids-it"),
        pytest.param([to("USA", "NATO"), to("USA", "NATO", "GBR")], "SECRET//REL TO USA, NATO", id="then-it-stands-for-itself"),
        pytest.param([to("*", level="UNCLASSIFIED"), to("USA", "JPN")], "SECRET//REL TO USA, JPN", id="unrestricted-does-not-narrow"),
        pytest.param([to("USA", "JPN"), to()], "SECRET//NOFORN", id="nobody"),
        pytest.param([to("USA", "JPN"), to(display=("JPN",))], "SECRET//DISPLAY ONLY JPN", id="who-may-keep-may-look"),
        pytest.param([to(display=("JPN",)), to(display=("IND",))], "SECRET//NOFORN", id="nobody-may-look-at-both"),
        pytest.param([to("JPN", caveats=("ORCON",)), to("JPN", caveats=("RELIDO",))], "SECRET//ORCON/REL TO USA, JPN/RELIDO", id="caveats"),
    ],
)
def test_portions_make_a_banner(labels: list[Label], banner: str) -> None:
    assert WRITE(rolled(*labels)) == banner


def test_nothing_has_no_label() -> None:
    for refused in (
        lambda: rolled(),
        lambda: banner_fault(to("JPN"), [], scheme=SCHEME, members=MEMBERS),
        lambda: copy_label([], partner="JPN", scheme=SCHEME, members=MEMBERS),
    ):
        with pytest.raises(Rejected, match="nothing to roll up") as caught:
            refused()
        assert caught.value.code == "empty"


def test_a_level_that_the_scheme_lacks_is_not_passed_over() -> None:
    with pytest.raises(UnknownName, match="unknown level `COSMIC`"):
        rolled(to("JPN"), to("JPN", level="COSMIC"))


@pytest.mark.parametrize(
    ("banner", "portions", "fault"),
    [
        pytest.param(to("USA", "JPN"), [to("USA", "JPN"), to("*", level="UNCLASSIFIED")], None, id="as-its-portions"),
        pytest.param(to(), [to("USA", "JPN")], None, id="stricter-is-lawful"),
        pytest.param(to("USA", "AUS"), [to("USA", "FVEY")], None, id="a-member-of-the-community"),
        pytest.param(to("USA", "FVEY"), [to("AUS", "GBR")], None, id="a-community-all-of-whose-members-are-named"),
        pytest.param(to(display=("JPN",)), [to("JPN")], None, id="to-look-at-where-it-may-be-kept"),
        pytest.param(to("JPN", level="CONFIDENTIAL"), [to("JPN")], "level `CONFIDENTIAL` is below `SECRET`", id="level"),
        pytest.param(to("JPN"), [to("JPN", caveats=("ORCON",))], "caveat `ORCON` of a portion is missing", id="caveat"),
        pytest.param(to("IND", "JPN"), [to("JPN"), to("JPN", "IND")], "`IND` is in the audience for release", id="audience"),
        pytest.param(to("USA", "QUAD"), [to("AUS", "JPN")], "`QUAD` is in the audience for release", id="a-community-with-another-member"),
        pytest.param(to("NATO"), [to("GBR")], "`NATO` is in the audience for release", id="a-community-that-is-not-expanded"),
        pytest.param(to("*"), [to("JPN")], "no audience is named for release", id="no-audience"),
        pytest.param(to(display=("IND",)), [to("JPN")], "`IND` is in the audience for display", id="display"),
    ],
)
def test_a_banner_looser_than_its_portions_is_found(banner: Label, portions: list[Label], fault: str | None) -> None:
    found = banner_fault(banner, portions, scheme=SCHEME, members=MEMBERS)
    assert found is None if fault is None else found is not None and fault in found


def test_a_community_without_members_is_no_lawful_audience() -> None:
    found = banner_fault(to("USA", "QUAD"), [to("USA", "JPN")], scheme=SCHEME, members={"QUAD": frozenset()})
    assert found == "`QUAD` is in the audience for release, and not in that of every portion"


def copied(*labels: Label, partner: str = "JPN", scheme: Scheme = SCHEME) -> Label:
    return copy_label(labels, partner=partner, scheme=scheme, members=MEMBERS)


@pytest.mark.parametrize(
    ("labels", "own", "full"),
    [
        pytest.param([to("USA", "JPN", "IND")], ("JPN", "USA"), ("IND", "JPN", "USA"), id="others-are-not-named"),
        pytest.param([to("*", level="UNCLASSIFIED")], ("*",), ("*",), id="unrestricted-stays"),
        pytest.param(
            [to("*", level="UNCLASSIFIED"), to("USA", "JPN", "GBR")], ("JPN", "USA"), ("GBR", "JPN", "USA"), id="restricted-in-part"
        ),
        pytest.param([to("USA", "QUAD")], ("JPN", "USA"), ("QUAD", "USA"), id="a-community-that-is-not-public"),
        pytest.param([to("USA", "JPN", "NATO")], ("JPN", "NATO", "USA"), ("JPN", "NATO", "USA"), id="a-public-community"),
        pytest.param([to("USA", "JPN", "NATO"), to("USA", "JPN")], ("JPN", "USA"), ("JPN", "USA"), id="named-by-one-part-alone"),
        pytest.param([to(grants=("release:JPN",))], ("JPN", "USA"), ("JPN", "USA"), id="released-by-a-grant"),
        pytest.param(
            [to("USA", "IND", grants=("release:JPN",)), to("USA", "IND", "JPN")], ("JPN", "USA"), ("JPN", "USA"), id="by-a-grant-in-part"
        ),
    ],
)
def test_a_copy_names_no_more_than_it_is_set_to(labels: list[Label], own: tuple[str, ...], full: tuple[str, ...]) -> None:
    assert copied(*labels).releasable_to == own
    label = copied(*labels, scheme=FULL)
    assert set(label.releasable_to) - {"IND"} == set(full) - {"IND"}
    assert (label.consents, label.grants) == ((), ())


def test_a_public_community_that_holds_the_partner_does_not_hide_it() -> None:
    labels = [to("USA", "FVEY"), to("USA", "FVEY", "JPN")]
    assert copied(*labels, partner="GBR").releasable_to == ("FVEY", "GBR", "USA")


@given(st.lists(LABELS, min_size=1, max_size=3), st.sampled_from(["GBR", "IND", "JPN"]))
def test_a_copy_tells_its_partner_of_no_other(labels: list[Label], partner: str) -> None:
    label = copied(*labels, partner=partner)
    for each in (label, *(copy_portion_label(part, partner=partner, scheme=SCHEME) for part in labels)):
        assert {*each.releasable_to, *each.shown_to} <= {"*", "USA", partner, *SCHEME.public_communities}
        assert (each.display_to, each.consents, each.grants) == (None, (), ())
    assert (label.releasable_to == UNRESTRICTED) is all(part.releasable_to == UNRESTRICTED for part in labels)
    assert label.releasable_to == UNRESTRICTED or partner in label.releasable_to
    assert label.level == rolled(*labels).level


@given(st.lists(LABELS, min_size=1, max_size=3), st.sampled_from([SCHEME, FULL]))
def test_a_copy_has_a_marking_and_is_a_lawful_banner_of_its_own_marks(labels: list[Label], scheme: Scheme) -> None:
    label = copied(*labels, scheme=scheme)
    portions = [copy_portion_label(part, partner="JPN", scheme=scheme) for part in labels]
    assert banner_fault(label, portions, scheme=scheme, members=MEMBERS) is None
    for each in (label, *portions):
        assert WRITE(each)
