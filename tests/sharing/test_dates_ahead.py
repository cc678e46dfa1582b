"""Embargo, downgrade, declassification and dated policy: written ahead, and so in time without a job at midnight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from service.errors import ServiceError
from tests.support.store_bundles import OPEN, bundle_files
from tests.support.store_world import World, item, text_portion, title

MOMENT = timedelta(microseconds=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def seen(world: World, item_id: str, partners: str = "AUS IND JPN") -> str:
    """Which partners get the item now; the list and the item itself agree."""
    found = []
    for partner in partners.split():
        listed = [line["id"] for line in world.listed(partner, recorded=False)[0]]
        copy = world.item(partner, item_id)
        assert (copy is not None) is (item_id in listed)
        if copy is not None:
            found.append(partner)
    return " ".join(found)


@pytest.mark.parametrize(
    ("portion", "through_time"),
    [
        pytest.param(
            text_portion("x", "(U)", not_before={"*": "2026-12-01"}), [("2026-12-01", "", "AUS IND JPN")], id="a general embargo"
        ),
        pytest.param(
            text_portion("x", "(U)", not_before={"*": "2027-01-01", "JPN": "2026-12-01"}),
            [("2026-12-01", "", "JPN"), ("2027-01-01", "JPN", "AUS IND JPN")],
            id="one partner earlier",
        ),
        pytest.param(
            text_portion("x", "(S//REL TO USA, IND, JPN)", downgrade_on={"at": "2027-06-01", "level": "CONFIDENTIAL"}),
            [("2027-06-01", "JPN", "IND JPN")],
            id="a downgrade",
        ),
        pytest.param(
            text_portion("x", "(S//REL TO USA, AUS, IND)", declassify_on="2028-01-01"),
            [("2028-01-01", "", "AUS IND")],
            id="a declassification widens no audience",
        ),
        pytest.param(
            text_portion(
                "x", "(S//REL TO USA, AUS, IND, JPN)", not_before={"*": "2026-12-01"},
                downgrade_on={"at": "2027-01-01", "level": "CONFIDENTIAL"}, declassify_on="2028-01-01",
            ),
            [("2026-12-01", "", "JPN"), ("2027-01-01", "JPN", "IND JPN"), ("2028-01-01", "IND JPN", "AUS IND JPN")],
            id="all of them",
        ),
    ],
)  # fmt: skip
def test_a_date_beside_a_label_has_its_effect_at_its_moment(
    world: World, portion: dict[str, object], through_time: list[tuple[str, str, str]]
) -> None:
    item_id = world.store(item("dated", portion)).item_id or ""
    rows = world.everything()
    for date, before, after in through_time:
        world.clock.now = at(date) - MOMENT
        assert seen(world, item_id) == before
        world.clock.now = at(date)
        assert seen(world, item_id) == after
        for partner in set(after.split()) - set(before.split()):
            (line,) = world.listed(partner, recorded=False)[0]
            assert line["visible_since"] == f"{date}T00:00:00.000000Z"
    # Nothing ran, and nothing was rewritten: only the log went on.
    after_all = world.everything()
    for name in ("portion_label", "item_label_set", "entitlement", "offer", "offer_category", "label", "fence"):
        assert after_all[name] == rows[name]


def test_a_poller_is_told_when_its_day_has_come(world: World) -> None:
    world.store(item("now", title("now")))
    world.store(item("later", title("later", "(U)", not_before={"*": "2026-12-01"})))
    lines, bookmark = world.listed("AUS")
    assert [line["title"] for line in lines] == ["now"]
    world.clock.now = at("2026-12-01") - MOMENT
    lines, bookmark = world.listed("AUS", since=bookmark)
    assert lines == []
    world.clock.now = at("2026-12-01")
    lines, bookmark = world.listed("AUS", since=bookmark)
    assert [line["title"] for line in lines] == ["later"]
    assert world.listed("AUS", since=bookmark)[0] == []


def test_a_portion_joins_its_item_in_time_and_the_item_is_told_of_again(world: World) -> None:
    stored = world.store(item("mixed", title("T"), text_portion("later", "(U)", not_before={"*": "2026-12-01"}))).item_id or ""
    _, bookmark = world.listed("AUS")
    assert world.item("AUS", stored)["portions"] == []  # type: ignore[index]
    world.clock.now = at("2026-12-01")
    assert [line["id"] for line in world.listed("AUS", since=bookmark)[0]] == [stored]
    assert len(world.item("AUS", stored)["portions"]) == 1  # type: ignore[index]


def test_dated_rows_of_the_policy_begin_and_end_by_themselves(world: World) -> None:
    world.publish(
        bundle_files(
            [
                OPEN,
                "p, AGR-0002, allow, release, AUS, *, SECRET, MARITIME, none, *, 2026-12-01, 2027-01-01, For a month",
                "p, AGR-0003, allow, release, QUAD, *, SECRET, MARITIME, none, *, , , For those who belong to it",
            ],
            communities=["g, AUS, ALL, ,", "g, IND, ALL, ,", "g, JPN, ALL, ,", "g, JPN, QUAD, , 2026-12-15", "g, IND, QUAD, 2026-12-10,"],
            prohibitions=["p, PRO-0001, deny, *, AUS, *, SECRET, *, *, *, 2026-12-20, , Order"],
        )
    )
    stored = world.store(item("r", text_portion("x", "(S//REL TO USA, AUS, IND, JPN)"))).item_id or ""
    for date, before, after in (
        ("2026-12-01", "JPN", "AUS JPN"),
        ("2026-12-10", "AUS JPN", "AUS IND JPN"),
        ("2026-12-15", "AUS IND JPN", "AUS IND"),
        ("2026-12-20", "AUS IND", "IND"),
        ("2027-01-01", "IND", "IND"),
    ):
        world.clock.now = at(date) - MOMENT
        assert seen(world, stored) == before
        world.clock.now = at(date)
        assert seen(world, stored) == after


def test_a_copy_in_memory_does_not_outlive_its_day(world: World) -> None:
    """The one that ends: an agreement. The cache is warm on the last moment before."""
    world.publish(bundle_files([OPEN, "p, AGR-0002, allow, release, JPN, *, SECRET, MARITIME, none, *, , 2026-12-01, Ends"]))
    stored = world.store(item("r", text_portion("x", "(S//REL TO USA, JPN)"))).item_id or ""
    world.clock.now = at("2026-12-01") - MOMENT
    ask = world.item_ask("JPN", stored)
    released = world.ask(ask)
    assert world.installation.gate.still_released(ask, released)
    world.clock.now = at("2026-12-01")
    assert world.installation.gate.prepared_now(ask) is None
    assert not world.installation.gate.still_released(ask, released)
    (outcome,) = world.installation.gate.commit([(ask, released.prepared)])
    assert not isinstance(outcome, ServiceError)
    assert outcome.prepared.status == 404


def test_a_date_that_has_passed_when_the_item_comes_has_had_its_effect(world: World) -> None:
    portion = text_portion("x", "(S//REL TO USA, IND, JPN)", downgrade_on={"at": "2026-01-01", "level": "CONFIDENTIAL"})
    stored = world.store(item("old", portion)).item_id or ""
    assert seen(world, stored) == "IND JPN"
    assert world.item("IND", stored)["marking"] == "CONFIDENTIAL//REL TO USA, IND"  # type: ignore[index]
