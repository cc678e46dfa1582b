"""Communities change: who is meant is who belongs at the time of the decision, for decision, roll-up and marking alike.

The worked case is a community of three whose third member was another in 2013 than in 2022.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.labels.label import UNRESTRICTED, Label
from service.labels.markings import profile_of
from service.labels.rollup import banner_fault, copy_label, roll_up
from service.policy import Bundle, Outcome, read_bundle
from tests.support.api import Clock
from tests.support.profiles import serving
from tests.support.store_bundles import bundle_files

SCHEME = """own = "USA"
profile = "IC-2016"
levels = [{name = "UNCLASSIFIED", mark = "U"}, {name = "SECRET", mark = "S"}]
categories = []
caveats = []
purposes = []
expandable = ["QUAD", "TEYE"]
public_communities = []
categories_required_from = ""
audience_required_from = ""
approval_level = "SECRET"
releasable_in = "portions"
audience_on_copies = "full"
"""
PARTNERS = (
    "g2, AUS, active, , , nation, Australia",
    "g2, CAN, active, , , nation, Canada",
    "g2, GBR, active, , , nation, United Kingdom",
    "g2, JPN, active, , , nation, Japan",
)
CODES = ("AUS", "CAN", "GBR", "JPN")
ALL = tuple(f"g, {code}, ALL, ," for code in CODES)
EVERYTHING = ("p, AGR-0001, allow, release, ALL, *, SECRET, *, *, *, , , Invented for the test",)


def bundle_of(*memberships: str, scheme: str = SCHEME) -> Bundle:
    return read_bundle(bundle_files(EVERYTHING, partners=PARTNERS, communities=(*ALL, *memberships), scheme=scheme))


TEYE = (
    "g, USA, TEYE, ,",
    "g, GBR, TEYE, ,",
    "g, CAN, TEYE, , 2018-01-01",
    "g, AUS, TEYE, 2018-01-01,",
    "g, JPN, QUAD, ,",
    "g, AUS, QUAD, ,",
)
BUNDLE = bundle_of(*TEYE)
TURN = datetime(2018, 1, 1, tzinfo=UTC)
TO_TEYE = Label("SECRET", releasable_to=("TEYE", "USA"), originators=("USA",))


def released_to(bundle: Bundle, label: Label, at: datetime) -> set[str]:
    snapshot = bundle.snapshot(at)
    return {code for code in CODES if snapshot.decide(code, "release", label).outcome is Outcome.RELEASE}


@pytest.mark.parametrize(
    ("at", "members", "with_all_four"),
    [
        pytest.param(datetime(2013, 1, 1, tzinfo=UTC), {"CAN", "GBR"}, "SECRET//REL TO USA, CAN, GBR", id="in-2013"),
        pytest.param(
            TURN.replace(year=2017, month=12, day=31, hour=23), {"CAN", "GBR"}, "SECRET//REL TO USA, CAN, GBR", id="the-last-hour"
        ),
        pytest.param(TURN, {"AUS", "GBR"}, "SECRET//REL TO USA, AUS, GBR", id="the-first-moment"),
        pytest.param(datetime(2022, 1, 1, tzinfo=UTC), {"AUS", "GBR"}, "SECRET//REL TO USA, AUS, GBR", id="in-2022"),
    ],
)
def test_a_community_is_who_belongs_at_the_time(at: datetime, members: set[str], with_all_four: str) -> None:
    scheme, profile, known = BUNDLE.scheme, profile_of(BUNDLE.scheme), BUNDLE.members(at)
    assert released_to(BUNDLE, TO_TEYE, at) == members
    named = Label("SECRET", releasable_to=("AUS", "CAN", "GBR", "USA"), originators=("USA",))
    together = roll_up([TO_TEYE, named], scheme=scheme, members=known)
    assert released_to(BUNDLE, together, at) == members
    assert profile.write_banner(together) == with_all_four
    # Where every portion names it, it stays itself; a banner of the other time is looser than its portions.
    assert profile.write_banner(roll_up([TO_TEYE, TO_TEYE], scheme=scheme, members=known)) == "SECRET//REL TO USA, TEYE"
    (gone,) = {"AUS", "CAN"} - members
    fault = banner_fault(Label("SECRET", releasable_to=(gone,), originators=("USA",)), [TO_TEYE], scheme=scheme, members=known)
    assert fault == f"`{gone}` is in the audience for release, and not in that of every portion"
    for partner in sorted(members):
        copy = copy_label([TO_TEYE, named], partner=partner, scheme=scheme, members=known)
        assert profile.write_banner(copy) == with_all_four


def test_a_community_that_the_scheme_does_not_expand_reaches_no_member_at_any_time() -> None:
    bundle = bundle_of(*TEYE, scheme=SCHEME.replace('["QUAD", "TEYE"]', '["QUAD"]'))
    named = Label("SECRET", releasable_to=("CAN", "GBR", "USA"), originators=("USA",))
    for at in (datetime(2013, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC)):
        assert released_to(bundle, TO_TEYE, at) == set()
        together = roll_up([TO_TEYE, named], scheme=bundle.scheme, members=bundle.members(at))
        assert released_to(bundle, together, at) == set()
        assert set(together.releasable_to) <= {"USA"}


DATES = ("2015-01-01", "2018-01-01", "2021-01-01")
MOMENTS = [datetime(year, 1, 1, tzinfo=UTC) for year in (2014, 2015, 2018, 2020, 2021, 2022)]
AUDIENCES = st.just(UNRESTRICTED) | st.lists(st.sampled_from((*CODES, "USA", "TEYE", "QUAD", "ALL")), max_size=4).map(tuple)


@st.composite
def memberships(draw: st.DrawFn) -> tuple[str, ...]:
    rows = ["g, GBR, TEYE, ,", "g, JPN, QUAD, ,"]
    for community in ("TEYE", "QUAD"):
        for member in draw(st.lists(st.sampled_from(("AUS", "CAN", "USA")), unique=True)):
            since, until = draw(st.sampled_from([("", ""), ("", DATES[1]), (DATES[0], DATES[2]), (DATES[1], ""), (DATES[0], DATES[1])]))
            rows.append(f"g, {member}, {community}, {since}, {until}".rstrip())
    if draw(st.booleans()):
        rows.append(f"g, QUAD, TEYE, {draw(st.sampled_from(DATES))},")
    return tuple(rows)


@settings(max_examples=40, deadline=None)
@given(memberships(), st.lists(AUDIENCES, min_size=1, max_size=4), st.sampled_from(MOMENTS))
def test_what_is_rolled_up_reaches_at_every_time_those_whom_every_part_reaches(
    rows: tuple[str, ...], audiences: list[tuple[str, ...]], at: datetime
) -> None:
    bundle = bundle_of(*rows)
    parts = [Label("SECRET", releasable_to=audience, originators=("USA",)) for audience in audiences]
    together = roll_up(parts, scheme=bundle.scheme, members=bundle.members(at))
    assert released_to(bundle, together, at) == set.intersection(*(released_to(bundle, part, at) for part in parts))
    assert banner_fault(together, parts, scheme=bundle.scheme, members=bundle.members(at)) is None
    # What the banner says in words is what the label says.
    profile = profile_of(bundle.scheme)
    read = profile.parse_banner(profile.write_banner(together))
    said = UNRESTRICTED if read.releasable_to is None else read.releasable_to
    assert released_to(bundle, Label("SECRET", releasable_to=said, originators=("USA",)), at) == released_to(bundle, together, at)


def test_a_service_lists_and_marks_for_those_who_belong_now(tmp_path: Path) -> None:
    rows = ("g, USA, TEYE, ,", "g, GBR, TEYE, ,", "g, JPN, TEYE, , 2027-01-01", "g, IND, TEYE, 2027-01-01,")
    partners = ("g2, GBR, active, , , nation, United Kingdom", "g2, IND, active, , , nation, India", "g2, JPN, active, , , nation, Japan")
    everyone = ("g, GBR, ALL, ,", "g, IND, ALL, ,", "g, JPN, ALL, ,")
    files = bundle_files(EVERYTHING, partners=partners, communities=(*everyone, *rows), scheme=SCHEME.replace('"QUAD", ', ""))
    item: dict[str, Any] = {
        "ref": "a",
        "marking": "SECRET//NOFORN",
        "portions": [
            {"kind": "text", "marking": "(S//REL TO USA, TEYE)", "text": "to the community"},
            {"kind": "text", "marking": "(S//REL TO USA, GBR, IND, JPN)", "text": "to four by name"},
        ],
    }
    clock = Clock()
    with serving(tmp_path / "data", files, clock=clock) as service:
        assert service.import_items([item])[-1] == {"imported": 1, "quarantined": 0, "refused": 0}

        def shown() -> dict[str, list[str]]:
            found = {}
            for who in ("gbr", "ind", "jpn"):
                (line,) = service.list_all(who)
                copy = service.get(who, f"/v1/items/{line['id']}").json()
                assert copy["marking"] == line["marking"]
                found[who] = [copy["marking"], *(portion["text"] for portion in copy["portions"])]
            return found

        both, named = ["to the community", "to four by name"], ["to four by name"]
        four = "SECRET//REL TO USA, GBR, IND, JPN"
        assert shown() == {
            "gbr": ["SECRET//REL TO USA, GBR, JPN", *both],
            "ind": [four, *named],
            "jpn": ["SECRET//REL TO USA, GBR, JPN", *both],
        }
        clock.advance(days=60)
        assert shown() == {
            "gbr": ["SECRET//REL TO USA, GBR, IND", *both],
            "ind": ["SECRET//REL TO USA, GBR, IND", *both],
            "jpn": [four, *named],
        }
