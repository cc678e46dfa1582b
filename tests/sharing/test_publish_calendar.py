"""What time alone will do: every row that begins or ends in the days ahead, and what that releases or withdraws."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from service.errors import Broken
from service.policy import read_bundle
from service.sharing.calendar import Calendar, calendar, calendar_in_force
from service.sharing.difference import LevelSum
from service.store import logs
from tests.support.store_bundles import COMMUNITIES, JPN_SECRET, OPEN, PARTNERS, bundle_files
from tests.support.store_world import INDEX_OF_LOGS, OFFICER, START, World, item, title

AUS_FROM = "p, AGR-0010, allow, release, AUS, *, SECRET, MARITIME, none, *, 2026-12-01, 2027-01-01, Letter"
JPN_UNTIL = "p, PRO-0001, deny, *, JPN, *, SECRET, *, *, *, , 2026-12-24, Order"
JOINS = "g, AUS, QUAD, 2026-12-01,"
LEAVES = "g2, IND, active, , 2026-12-10, nation, India"
FILES = bundle_files(
    [OPEN, JPN_SECRET, AUS_FROM], prohibitions=[JPN_UNTIL], communities=[*COMMUNITIES, JOINS], partners=[PARTNERS[0], LEAVES, PARTNERS[2]]
)


def told(found: Calendar) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(f"{date.at:%m-%d}", [(row.change, row.id) for row in date.rows]) for date in found.dates]


@pytest.fixture
def filled(world: World) -> World:
    world.load(item("sea", title("sea", "(S//REL TO USA, AUS, JPN)")), item("open", title("open", "(U)")))
    world.publish(FILES)
    return world


def test_every_row_that_begins_or_ends_is_named_on_its_day(filled: World) -> None:
    found, _ = calendar_in_force(filled.installation, OFFICER, days=90)
    assert told(found) == [
        ("12-01", [("begins", "AGR-0010"), ("begins", "AUS")]),
        ("12-10", [("ends", "IND")]),
        ("12-24", [("ends", "PRO-0001")]),
        ("01-01", [("ends", "AGR-0010")]),
    ]
    (agreement, membership) = found.dates[0].rows
    assert (agreement.place.file, agreement.place.text, membership.place.file) == ("agreements.csv", AUS_FROM, "communities.csv")


@pytest.mark.parametrize(("days", "dates"), [(1, 0), (8, 0), (9, 1), (18, 2), (39, 3), (40, 4), (3660, 4)])
def test_it_looks_as_far_ahead_as_it_is_asked_to(filled: World, days: int, dates: int) -> None:
    assert len(calendar_in_force(filled.installation, OFFICER, days=days)[0].dates) == dates


def test_each_date_is_held_against_the_one_before(filled: World) -> None:
    found, _ = calendar_in_force(filled.installation, OFFICER, days=90)
    secret = (LevelSum("SECRET", 1, 1),)
    stored = [[(one.partner, one.gained, one.lost) for one in date.stored.changes if one.purpose == "none"] for date in found.dates]
    assert stored == [
        [("AUS", secret, ())],
        [("IND", (), (LevelSum("UNCLASSIFIED", 1, 1),))],
        [("JPN", secret, ())],
        [("AUS", (), secret)],
    ]
    sides = [sorted({(one.partner, str(one.side), one.highest) for one in date.labels}) for date in found.dates]
    assert sides == [
        [("AUS", "gains", "SECRET")],
        [("IND", "loses", "UNCLASSIFIED")],
        [("JPN", "gains", "SECRET")],
        [("AUS", "loses", "SECRET")],
    ]
    assert found.dates[2].labels[0].sentence().startswith("JPN gains release of SECRET, ")


def test_what_it_says_happens(filled: World) -> None:
    found, _ = calendar_in_force(filled.installation, OFFICER, days=90)

    def seen(partner: str) -> set[str]:
        return {line["title"] for line in filled.listed(partner, recorded=False)[0]}

    for date in found.dates:
        before = {partner: seen(partner) for partner in ("AUS", "IND", "JPN")}
        filled.clock.now = date.at
        changes = {one.partner: one for one in date.stored.changes if one.purpose == "none"}
        for partner, items in before.items():
            change = changes.get(partner)
            gained = 0 if change is None else sum(one.items for one in change.gained)
            lost = 0 if change is None else sum(one.items for one in change.lost)
            assert (len(seen(partner) - items), len(items - seen(partner))) == (gained, lost), (date.at, partner)


def test_looking_is_on_record_and_changes_nothing(filled: World) -> None:
    before = filled.everything()
    found, entry = calendar_in_force(filled.installation, OFFICER, days=30)
    after = filled.everything()
    assert {name for name in after if after[name] != before[name]} - INDEX_OF_LOGS == {"log", "log_entry"}
    with filled.installation.database.reading() as connection:
        row = logs.entry(connection, entry.event_id)
    assert row is not None and row.type == "look.calendar"
    assert f'"bundle":"{found.bundle}"'.encode() in row.record


def test_another_bundle_is_looked_at_over_the_same_store(filled: World) -> None:
    other = read_bundle(bundle_files([OPEN, JPN_SECRET.replace("2020-01-01, ,", "2020-01-01, 2026-12-05,")]))
    found, _ = calendar_in_force(filled.installation, OFFICER, days=30, bundle=other)
    assert told(found) == [("12-05", [("ends", "AGR-0002")])]
    assert [(one.partner, one.lost) for one in found.dates[0].stored.changes] == [("JPN", (LevelSum("SECRET", 1, 1),))]


def test_without_a_store_it_speaks_of_possible_labels_alone() -> None:
    found = calendar(read_bundle(FILES), at=START, days=90, effect=None)
    assert not found.stored and len(found.dates) == 4
    assert all(date.stored.changes == () and date.labels for date in found.dates)


def test_where_nothing_can_be_proved_it_says_so() -> None:
    named = b"r.partner in r.releasable_to"
    model = FILES["model.conf"].replace(b'"active") &&', b'"active") && (' + named + b" || !(" + named + b")) &&")
    found = calendar(read_bundle({**FILES, "model.conf": model}), at=START, days=90, effect=None)
    assert len(found.dates) == 4
    assert all(date.cannot and date.to_json()["proved"] is False for date in found.dates)


def test_nothing_is_in_force_before_the_first_publication(tmp_path: Any) -> None:
    world = World(tmp_path / "data")
    try:
        with pytest.raises(Broken, match="no policy is in force"):
            calendar_in_force(world.installation, OFFICER, days=30)
    finally:
        world.close()


def test_it_begins_now_and_not_at_the_moment_of_a_date_that_has_come(filled: World) -> None:
    filled.clock.now = START + timedelta(days=9)
    assert told(calendar_in_force(filled.installation, OFFICER, days=30)[0])[0][0] == "12-10"
