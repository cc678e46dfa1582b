"""Effective time: what a label is at a moment, and the laws that hold at every one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.labels.effective import DatedLabel, DatesError, Downgrade, Stretch, effective, timeline
from service.labels.label import UNRESTRICTED, Label
from service.labels.scheme import Scheme

SCHEME = Scheme.from_mapping(
    {
        "own": "USA",
        "profile": "PLAIN",
        "levels": [{"name": "UNCLASSIFIED", "mark": "U"}, {"name": "CONFIDENTIAL", "mark": "C"}, {"name": "SECRET", "mark": "S"}],
        "categories": ["CYBER"],
        "caveats": ["ORCON"],
        "purposes": [],
        "expandable": ["FVEY"],
        "public_communities": ["NATO"],
        "categories_required_from": "CONFIDENTIAL",
        "audience_required_from": "CONFIDENTIAL",
        "approval_level": "SECRET",
        "releasable_in": "whole",
        "audience_on_copies": "own",
    }
)
PARTNERS = frozenset({"AUS", "GBR", "IND", "JPN"})
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def to(*codes: str, display: tuple[str, ...] | None = None, **others: Any) -> Label:
    return Label("SECRET", ("CYBER",), codes, ("ORCON",), ("USA",), display, **others)


def dated(label: Label, **dates: object) -> DatedLabel:
    return DatedLabel.read(label, scheme=SCHEME, partners=PARTNERS, **dates)


def at(label: DatedLabel, text: str) -> Label:
    return effective(label, day(text), scheme=SCHEME)[0]


@pytest.mark.parametrize(
    ("label", "not_before", "audiences"),
    [
        pytest.param(
            to("JPN", "IND", "USA"), {"*": "2027-01-01"}, {"2026-12-31": (), "2027-01-01": ("IND", "JPN", "USA")}, id="a-general-date"
        ),
        pytest.param(
            to("JPN", "IND", "USA"),
            {"*": "2027-01-01", "JPN": "2026-12-01"},
            {"2026-11-30": (), "2026-12-01": ("JPN", "USA"), "2027-01-01": ("IND", "JPN", "USA")},
            id="an-earlier-date-of-one-partner",
        ),
        pytest.param(
            to("JPN", "IND"),
            {"*": "2027-01-01", "JPN": "2028-01-01"},
            {"2026-12-31": (), "2027-06-01": ("IND",), "2028-01-01": ("IND", "JPN")},
            id="a-later-date-of-one-partner",
        ),
        pytest.param(to("JPN", "IND"), {"JPN": "2028-01-01"}, {"2026-12-31": ("IND",), "2028-01-01": ("IND", "JPN")}, id="no-general-date"),
        pytest.param(to("*"), {"*": "2027-01-01"}, {"2026-12-31": (), "2027-01-01": ("*",)}, id="unrestricted"),
        pytest.param(
            to("*"),
            {"*": "2027-01-01", "JPN": "2026-12-01"},
            {"2026-11-30": (), "2026-12-01": ("JPN",), "2027-01-01": ("*",)},
            id="unrestricted-and-an-earlier-date",
        ),
        pytest.param(
            to("*"),
            {"*": "2027-01-01", "JPN": "2028-01-01", "IND": "2026-12-01"},
            {"2027-06-01": ("IND",), "2028-01-01": ("*",)},
            id="unrestricted-waits-for-the-latest",
        ),
        pytest.param(
            to("FVEY", "JPN"),
            {"*": "2027-01-01", "GBR": "2028-01-01"},
            {"2026-12-31": (), "2027-01-01": ("JPN",), "2028-01-01": ("FVEY", "JPN")},
            id="a-community-waits-for-the-latest",
        ),
        pytest.param(
            to("FVEY"), {"*": "2027-01-01", "GBR": "2026-12-01"}, {"2026-12-15": (), "2027-01-01": ("FVEY",)}, id="and-opens-for-no-member"
        ),
        pytest.param(
            to("PACIFIC"), {"GBR": "2028-01-01"}, {"2027-01-01": (), "2028-01-01": ("PACIFIC",)}, id="a-community-the-scheme-does-not-list"
        ),
        pytest.param(
            to("JPN"),
            {"*": "2027-01-01", "IND": "2026-12-01"},
            {"2026-12-15": (), "2027-01-01": ("JPN",)},
            id="nobody-the-label-does-not-name",
        ),
        pytest.param(to(), {"*": "2026-12-01"}, {"2026-11-30": (), "2027-01-01": ()}, id="nobody-stays-nobody"),
        pytest.param(to("JPN"), {"*": "2027-01-01T12:00:00Z"}, {"2027-01-01": (), "2027-01-02": ("JPN",)}, id="a-time-of-day"),
    ],
)
def test_an_embargo_is_an_audience_that_opens(label: Label, not_before: object, audiences: dict[str, tuple[str, ...]]) -> None:
    embargoed = dated(label, not_before=not_before)
    for text, audience in audiences.items():
        assert at(embargoed, text).releasable_to == audience, text


def test_an_embargo_holds_for_display_and_for_grants_too() -> None:
    label = to("JPN", display=("IND", "JPN"), grants=("release:GBR", "release:AUS"))
    embargoed = dated(label, not_before={"*": "2027-01-01", "AUS": "2026-12-01"})
    waiting = at(embargoed, "2026-12-15")
    assert (waiting.releasable_to, waiting.shown_to, waiting.grants) == ((), (), ("release:AUS",))
    assert at(embargoed, "2027-01-01") == label


def test_a_community_the_scheme_lists_waits_also_where_partners_were_not_given() -> None:
    for embargoed in (
        DatedLabel.read(to("FVEY", "NATO", "JPN"), not_before={"GBR": "2028-01-01"}, scheme=SCHEME),
        DatedLabel(to("FVEY", "NATO", "JPN"), not_before=(("GBR", day("2028-01-01")),)),
    ):
        assert at(embargoed, "2027-01-01").releasable_to == ("JPN",)


def test_levels_come_down_and_nothing_else_changes() -> None:
    label = to("JPN", "USA")
    falling = dated(label, downgrade_on={"at": "2030-01-01", "level": "CONFIDENTIAL"}, declassify_on="2040-01-01")
    assert timeline(falling, NOW, scheme=SCHEME) == (
        Stretch(NOW, day("2030-01-01"), label),
        Stretch(day("2030-01-01"), day("2040-01-01"), Label("CONFIDENTIAL", ("CYBER",), ("JPN", "USA"), ("ORCON",), ("USA",))),
        Stretch(day("2040-01-01"), None, Label("UNCLASSIFIED", ("CYBER",), ("JPN", "USA"), ("ORCON",), ("USA",))),
    )


def test_a_downgrade_after_declassification_raises_nothing() -> None:
    falling = dated(to("JPN"), downgrade_on={"at": "2040-01-01", "level": "CONFIDENTIAL"}, declassify_on="2030-01-01")
    assert [stretch.label.level for stretch in timeline(falling, NOW, scheme=SCHEME)] == ["SECRET", "UNCLASSIFIED"]


def test_a_label_without_dates_holds_for_good() -> None:
    label = to("JPN")
    assert effective(DatedLabel(label), NOW, scheme=SCHEME) == (label, None)
    assert timeline(DatedLabel(label), NOW, scheme=SCHEME) == (Stretch(NOW, None, label),)


def test_a_boundary_belongs_to_what_begins_there() -> None:
    falling = dated(to("JPN"), declassify_on="2030-01-01")
    just_before = day("2030-01-01") - timedelta(microseconds=1)
    assert effective(falling, just_before, scheme=SCHEME)[1] == day("2030-01-01")
    assert effective(falling, just_before, scheme=SCHEME)[0].level == "SECRET"
    assert effective(falling, day("2030-01-01"), scheme=SCHEME) == (at(falling, "2031-01-01"), None)


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        pytest.param({"not_before": "2027-01-01"}, "`not_before` is an object", id="embargo-not-an-object"),
        pytest.param({"not_before": {"JPM": "2027-01-01"}}, "`JPM` in `not_before` is not a partner, nearest `JPN`", id="a-slip-in-a-code"),
        pytest.param({"not_before": {"FVEY": "2027-01-01"}}, "`FVEY` in `not_before` is not a partner", id="a-community"),
        pytest.param({"not_before": {"USA": "2027-01-01"}}, "`USA` in `not_before` is not a partner", id="ourselves"),
        pytest.param({"not_before": {"jpn": "2027-01-01"}}, "`jpn` in `not_before` is not a code", id="lower-case"),
        pytest.param({"not_before": {3: "2027-01-01"}}, "a value of kind int in `not_before` is not a code", id="code-of-another-type"),
        pytest.param(
            {"not_before": {f"A{n}": "2027-01-01" for n in range(1001)}}, "1001 dates, expected at most 1000", id="too-many-dates"
        ),
        pytest.param({"not_before": {"JPN": None}}, "`not_before` is a date like", id="no-date"),
        pytest.param({"declassify_on": "2027-02-30"}, "not in the calendar", id="no-such-day"),
        pytest.param({"declassify_on": "2027-01-01T24:00:00Z"}, "not in the calendar", id="no-such-hour"),
        pytest.param({"declassify_on": "2027-1-1"}, "`declassify_on` is a date like", id="short-date"),
        pytest.param({"declassify_on": "2027-01-01T00:00:00"}, "`declassify_on` is a date like", id="a-time-without-zone"),
        pytest.param({"declassify_on": "2027-01-01T00:00:00+09:00"}, "`declassify_on` is a date like", id="a-time-of-another-zone"),
        pytest.param({"declassify_on": "２０２７-01-01"}, "`declassify_on` is a date like", id="digits-that-look-alike"),
        pytest.param({"declassify_on": 2027}, "got a value of kind int", id="a-number"),
        pytest.param({"downgrade_on": "2030-01-01"}, "`downgrade_on` is an object", id="downgrade-not-an-object"),
        pytest.param({"downgrade_on": {"at": "2030-01-01"}}, "`downgrade_on` is an object", id="downgrade-without-level"),
        pytest.param(
            {"downgrade_on": {"at": "2030-01-01", "level": "CONFIDENTIAL", "by": "us"}}, "`downgrade_on` is an object", id="unknown-member"
        ),
        pytest.param(
            {"downgrade_on": {"at": "2030-01-01", "level": "COSMIC"}}, "unknown level `COSMIC` in `downgrade_on`", id="unknown-level"
        ),
        pytest.param({"downgrade_on": {"at": "2030-01-01", "level": []}}, "unknown level a value of kind list", id="level-of-another-type"),
        pytest.param({"downgrade_on": {"at": "2030-01-01", "level": "SECRET"}}, "does not lower `SECRET`", id="downgrade-to-the-same"),
        pytest.param(
            {"downgrade_on": {"at": "soon", "level": "CONFIDENTIAL"}}, "`downgrade_on.at` is a date like", id="downgrade-at-no-time"
        ),
    ],
)
def test_dates_that_cannot_be_read_are_refused(dates: dict[str, object], message: str) -> None:
    with pytest.raises(DatesError) as caught:
        dated(to("JPN"), **dates)
    assert message in str(caught.value)
    assert caught.value.code == "dates"


TIMES = st.integers(min_value=0, max_value=8).map(lambda days: NOW + timedelta(days=days))
CODES = st.sampled_from(["AUS", "FVEY", "GBR", "IND", "JPN", "NATO", "USA"])
AUDIENCES = st.one_of(st.just(UNRESTRICTED), st.lists(CODES, max_size=4).map(tuple))
DATED = st.builds(
    DatedLabel,
    label=st.builds(
        Label,
        level=st.just("SECRET"),
        categories=st.just(("CYBER",)),
        releasable_to=AUDIENCES,
        caveats=st.just(("ORCON",)),
        originators=st.just(("GBR", "USA")),
        display_to=st.one_of(st.none(), AUDIENCES),
        consents=st.just(("GBR:JPN",)),
        grants=st.lists(st.sampled_from(["release:JPN", "display:IND"])).map(tuple),
    ),
    not_before=st.dictionaries(st.sampled_from(["*", "AUS", "GBR", "IND", "JPN"]), TIMES).map(lambda dates: tuple(sorted(dates.items()))),
    downgrade_on=st.one_of(st.none(), st.builds(Downgrade, TIMES, st.sampled_from(["UNCLASSIFIED", "CONFIDENTIAL"]))),
    declassify_on=st.one_of(st.none(), TIMES),
)
MEMBERS = {"FVEY": {"AUS", "GBR"}, "NATO": {"GBR", "IND"}}


def within(inner: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    return outer == UNRESTRICTED or set(inner) <= set(outer)


def may_have(label: Label, partner: str) -> bool:
    """Whether the partner is addressed, were every community expanded, or holds a grant."""
    named = {*label.releasable_to, *label.shown_to}
    through = {member for code in named for member in MEMBERS.get(code, {code})}
    return "*" in named or partner in through or f"release:{partner}" in label.grants or f"display:{partner}" in label.grants


@given(DATED, TIMES)
def test_a_label_is_never_wider_than_its_own(dated_label: DatedLabel, time: datetime) -> None:
    own, now = dated_label.label, effective(dated_label, time, scheme=SCHEME)[0]
    assert within(now.releasable_to, own.releasable_to)
    assert within(now.shown_to, own.shown_to)
    assert set(now.grants) <= set(own.grants)
    assert SCHEME.rank(now.level) <= SCHEME.rank(own.level)
    for name in ("categories", "caveats", "originators", "consents"):
        assert getattr(now, name) == getattr(own, name)


@given(DATED, TIMES, st.sampled_from(sorted(PARTNERS)))
def test_nobody_is_addressed_before_its_date(dated_label: DatedLabel, time: datetime, partner: str) -> None:
    dates = dict(dated_label.not_before)
    date = dates.get(partner, dates.get("*"))
    if date is not None and time < date:
        assert not may_have(effective(dated_label, time, scheme=SCHEME)[0], partner)


@given(DATED, TIMES, TIMES)
def test_as_time_goes_on_levels_never_rise_and_audiences_never_narrow(dated_label: DatedLabel, one: datetime, other: datetime) -> None:
    before = effective(dated_label, min(one, other), scheme=SCHEME)[0]
    after = effective(dated_label, max(one, other), scheme=SCHEME)[0]
    assert SCHEME.rank(after.level) <= SCHEME.rank(before.level)
    assert within(before.releasable_to, after.releasable_to)
    assert within(before.shown_to, after.shown_to)


@given(DATED)
def test_in_the_end_only_the_level_has_changed(dated_label: DatedLabel) -> None:
    last = timeline(dated_label, NOW, scheme=SCHEME)[-1].label
    own = dated_label.label
    assert (last.releasable_to, last.display_to, last.grants) == (own.releasable_to, own.display_to, own.grants)


@given(DATED, TIMES, TIMES)
def test_the_timeline_says_at_every_time_what_effective_says(dated_label: DatedLabel, since: datetime, time: datetime) -> None:
    stretches = timeline(dated_label, since, scheme=SCHEME)
    assert stretches[0].from_ == since
    assert stretches[-1].until is None
    for one, following in pairwise(stretches):
        assert one.until == following.from_
        assert one.from_ < following.from_
        assert one.label != following.label
    if time >= since:
        holding = [each for each in stretches if each.from_ <= time and (each.until is None or time < each.until)]
        assert [(each.label, each.until) for each in holding] == [effective(dated_label, time, scheme=SCHEME)]
