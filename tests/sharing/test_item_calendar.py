"""What items' own dates will do, and for whom; what waits for no date; and what may be shown but never goes out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.cli.items import calendar_lines
from service.labels.effective import Awaits, DatedLabel, DatesError, Undated, timeline
from service.labels.label import Label
from service.sharing import looks
from service.sharing.item_calendar import calendar_of_items
from service.sharing.words import read_query
from service.store import catalogue, logs
from tests.support.store_bundles import IND_CONFIDENTIAL, JPN_SECRET, OPEN, bundle, bundle_files
from tests.support.store_world import OFFICER, World, item, text_portion, title


def calendar(world: World, days: int = 400) -> dict[str, Any]:
    found, _ = calendar_of_items(world.installation, OFFICER, days=days)
    return found


def told(found: dict[str, Any]) -> list[tuple[str, int, int, list[tuple[str, int, int]]]]:
    """(day, items, portions, (partner, gains, loses)) of each date."""
    return [
        (one["at"][:10], one["items"], one["portions"], [(each["partner"], each["gains"], each["loses"]) for each in one["partners"]])
        for one in found["dates"]
    ]


DATED = {
    "embargo": text_portion("x", "(S//REL TO USA, JPN)", not_before={"*": "2027-02-01", "JPN": "2027-01-01"}),
    "downgrade": text_portion("x", "(S//REL TO USA, IND, JPN)", downgrade_on={"at": "2027-03-01", "level": "CONFIDENTIAL"}),
    "declassified": text_portion("x", "(S//REL TO USA, AUS, JPN)", declassify_on="2027-04-01"),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # For JPN from January; for all in February, which is nobody more, as nobody else is named.
        pytest.param("embargo", [("2027-01-01", 1, 1, [("JPN", 1, 0)])], id="an embargo of one partner ends"),
        pytest.param("downgrade", [("2027-03-01", 1, 1, [("IND", 1, 0)])], id="a level is lowered"),
        pytest.param("declassified", [("2027-04-01", 1, 1, [("AUS", 1, 0)])], id="an item is declassified"),
    ],
)
def test_each_date_says_what_begins_and_for_whom(world: World, name: str, expected: list[Any]) -> None:
    stored = world.store(item("c/1", DATED[name]))
    found = calendar(world)
    assert told(found) == expected
    (change,) = found["dates"][0]["changes"]
    assert (change["id"], change["ref"], change["lose"]) == (stored.item_id, "c/1", [])
    (portion,) = change["portions"]
    assert portion["before"] != portion["after"]
    # What it foretold is what happens.
    partner = change["gain"][0]
    assert stored.item_id is not None
    assert world.item(partner, stored.item_id) is None
    world.clock.now = datetime.fromisoformat(found["dates"][0]["at"])
    assert world.item(partner, stored.item_id) is not None


def test_dates_beyond_the_days_and_those_that_have_passed_are_not_told(world: World) -> None:
    world.store(item("c/1", DATED["downgrade"], DATED["declassified"]))
    assert [day for day, *_ in told(calendar(world, days=110))] == ["2027-03-01"]
    assert told(calendar(world, days=30)) == []
    world.clock.now = datetime(2027, 3, 1, tzinfo=UTC)
    assert [day for day, *_ in told(calendar(world))] == ["2027-04-01"]


def test_an_item_that_goes_out_whole_changes_for_nobody_before_its_last_part(world: World) -> None:
    late = text_portion("y", "(U)", not_before={"*": "2027-05-01"})
    world.store(item("c/1", DATED["embargo"], late, releasable_in="whole"))
    assert [(day, who) for day, _, _, who in told(calendar(world))] == [("2027-01-01", []), ("2027-05-01", [("JPN", 1, 0)])]


def test_a_portion_that_takes_the_place_of_its_tear_line_is_a_gain(world: World) -> None:
    world.store(item("c/1", text_portion("x", "(S//REL TO USA, JPN)", not_before={"*": "2027-01-01"}, tear_line=[
        {"marking": "(U)", "text": "y", "not_before": {"*": "2026-12-01"}}
    ])))  # fmt: skip
    found = told(calendar(world))
    assert found == [
        ("2026-12-01", 1, 1, [("AUS", 1, 0), ("IND", 1, 0), ("JPN", 1, 0)]),
        ("2027-01-01", 1, 1, [("JPN", 1, 0)]),
    ]


def test_it_is_decided_by_the_snapshot_that_holds_then(world: World) -> None:
    ends = IND_CONFIDENTIAL.replace("2020-01-01, ,", "2020-01-01, 2027-02-01,")
    world.publish(bundle_files([OPEN, JPN_SECRET, ends]))
    world.store(item("c/1", DATED["downgrade"]))
    assert told(calendar(world)) == [("2027-03-01", 1, 1, [])]


def test_withdrawn_items_and_versions_gone_are_not_told(world: World) -> None:
    first, second = world.store(item("c/1", DATED["downgrade"])), world.store(item("c/2", DATED["downgrade"]))
    assert first.item_id is not None
    assert second.item_id is not None
    world.withdraw(first.item_id)
    world.clock.advance(minutes=1)
    world.store(item("c/2", text_portion("plain")), item_id=second.item_id)
    assert told(calendar(world)) == []


def test_what_waits_for_no_date_is_told_with_what_it_waits_for(world: World) -> None:
    at_event = text_portion("x", "(S//REL TO USA, JPN)", declassify_on={"event": "end of Exercise Keen"})
    exempt = text_portion("y", "(S//REL TO USA, JPN)", declassify_on={"exemption": "25X1"})
    stored = world.store(item("c/1", title("T"), at_event, exempt))
    assert stored.item_id is not None
    found = calendar(world, days=3660)
    assert found["dates"] == []
    assert [one["declassify_on"] for one in found["undated"]] == [{"event": "end of Exercise Keen"}, {"exemption": "25X1"}]
    assert found["undated_total"] == 2
    assert calendar_lines(found, days=3660)[:2] == [
        "no label changes by itself in the next 3660 days",
        "without a date: 2 portions",
    ]
    world.clock.advance(minutes=1)
    world.store(item("c/1", text_portion("plain")), item_id=stored.item_id)
    assert calendar(world)["undated"] == []


def test_it_is_on_record_before_it_is_shown(world: World) -> None:
    stored = world.store(item("c/1", DATED["downgrade"]))
    found, entry = calendar_of_items(world.installation, OFFICER, days=400)
    with world.installation.database.reading() as connection:
        on_record = logs.entry(connection, entry.event_id)
    assert on_record is not None
    face = json.loads(on_record.leaf)
    assert (face["type"], face["items"]) == ("look.calendar", [{"id": stored.item_id}])
    lines = calendar_lines(found, days=400)
    assert lines[0] == "2027-03-01: 1 items, 1 portions"
    assert lines[1] == "  IND gains in 1 items, loses in 0"
    assert lines[2] == "  c/1: gain IND"
    assert lines[3].endswith("level SECRET -> CONFIDENTIAL")


# --- declassification without a date --------------------------------------------------------------------------------

SCHEME = bundle().scheme
LABEL = Label("SECRET", ("MARITIME",), ("JPN", "USA"), originators=("USA",))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"event": "end of the mission"}, Undated(Awaits.EVENT, "end of the mission"), id="event"),
        pytest.param({"exemption": "25X1"}, Undated(Awaits.EXEMPTION, "25X1"), id="exemption"),
        pytest.param("2040-01-01", None, id="date"),
    ],
)
def test_a_declassification_is_a_date_an_event_or_an_exemption(given: object, expected: Undated | None) -> None:
    dated = DatedLabel.read(LABEL, declassify_on=given, scheme=SCHEME)
    assert dated.undated == expected
    stretches = timeline(dated, datetime(2026, 1, 1, tzinfo=UTC), scheme=SCHEME)
    # Without a date nothing is ever lowered by time.
    assert [one.label.level for one in stretches] == (["SECRET"] if expected else ["SECRET", "UNCLASSIFIED"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, '`declassify_on` is a date, or one of `{"event":"..."}` and `{"exemption":"25X1"}`, got an object of nothing'),
        (
            {"event": "x", "exemption": "y"},
            '`declassify_on` is a date, or one of `{"event":"..."}` and `{"exemption":"25X1"}`, got an object of `event`, `exemption`',
        ),
        ({"evnt": "x"}, '`declassify_on` is a date, or one of `{"event":"..."}` and `{"exemption":"25X1"}`, got an object of `evnt`'),
        ({"event": " "}, "`event` of `declassify_on` is a string of 1 to 500 printable characters, got ` `"),
        ({"event": 7}, "`event` of `declassify_on` is a string of 1 to 500 printable characters, got a value of kind int"),
        (["x"], "`declassify_on` is a date like `2027-01-01` or a time like `2027-01-01T12:00:00Z`, got a value of kind list"),
    ],
)
def test_anything_else_is_refused(given: object, message: str) -> None:
    with pytest.raises(DatesError) as refused:
        DatedLabel.read(LABEL, declassify_on=given, scheme=SCHEME)
    assert str(refused.value) == message


# --- what may be shown and never goes out ---------------------------------------------------------------------------

SHOWN = "p, AGR-0009, allow, display, IND, *, SECRET, MARITIME, none, *, 2020-01-01, , Exchange of notes 2021"


@pytest.fixture
def display_only(world: World) -> tuple[World, str]:
    """An item of which IND may be shown a part that he may not have: by his agreement, and by its marking."""
    world.publish(bundle_files([OPEN, JPN_SECRET, IND_CONFIDENTIAL, SHOWN]))
    chart = world.file(b"chart")
    stored = world.store(
        item(
            "d/1",
            title("Display"),
            text_portion("only by agreement", "(S//REL TO USA, IND, JPN)"),
            text_portion("only by marking", "(C//REL TO USA, JPN/DISPLAY ONLY IND)"),
            {"kind": "file", "marking": "(C//DISPLAY ONLY IND)", "sha256": chart, "name": "chart.png"},
        )
    )
    assert stored.item_id is not None
    return world, stored.item_id


def test_what_may_only_be_shown_leaves_by_no_route(display_only: tuple[World, str]) -> None:
    world, item_id = display_only
    copy = world.item("IND", item_id)
    assert copy is not None
    assert copy["portions"] == []
    assert copy["level"] == "UNCLASSIFIED"
    with world.installation.database.reading() as connection:
        version = catalogue.version_in_force(connection, item_id)
        assert version is not None
        held = catalogue.portions_of_version(connection, version.id)
    for portion, _ in held:
        assert world.ask(world.file_ask("IND", item_id, portion.id)).prepared.status == 404
    for words in ("agreement", "marking", "chart"):
        assert world.page("IND", q=words, sought=read_query(words))["items"] == []
    assert world.page("IND", levels=("SECRET", "CONFIDENTIAL"))["items"] == []


def test_the_officer_is_told_of_display_apart_from_release(display_only: tuple[World, str]) -> None:
    world, item_id = display_only
    installation = world.installation
    with installation.database.reading() as connection:
        state = installation.world.current(connection)
        lines = {one["partner"]: one for one in looks.audience(connection, installation.world, state, item_id, at=installation.clock())}
    assert (lines["IND"]["outcome"], lines["IND"]["display"]) == ("in_part", "release")
    assert (lines["JPN"]["outcome"], lines["JPN"]["display"]) == ("in_part", "in_part")
    assert (lines["AUS"]["outcome"], lines["AUS"]["display"]) == ("in_part", "in_part")
    label = {"level": "SECRET", "categories": ["MARITIME"], "releasable_to": ["USA", "IND"], "caveats": [], "originators": ["USA"]}
    asked = {"partner": "IND", "action": "release", "purpose": "none", "label": label}
    answers = looks.decisions(state.snapshot(installation.clock()), [asked, {**asked, "action": "display"}, "nonsense"])
    assert (answers[0]["outcome"], answers[0]["why"]["display"]) == ("withhold", "release")
    assert answers[1]["outcome"] == "release"
    assert "display" not in answers[1]["why"]
    assert "display" not in answers[2]["why"]


def test_explain_says_what_may_be_shown_apart(tmp_path: Path) -> None:
    for name, content in bundle_files([OPEN, JPN_SECRET, SHOWN]).items():
        (tmp_path / name).write_bytes(content)
    asked = ["policy", "explain", "--policies", str(tmp_path), "--marking", "(S//REL TO USA, IND, JPN)", "--category", "MARITIME"]
    shown = CliRunner().invoke(app, [*asked, "--partner", "IND"])
    assert shown.stdout.splitlines()[0] == "release to IND: withhold"
    assert shown.stdout.splitlines()[-1] == "display to IND: release by AGR-0009"
    # What is released may be shown: that is not said again.
    assert "display" not in CliRunner().invoke(app, [*asked, "--partner", "JPN"]).stdout
    told = [json.loads(CliRunner().invoke(app, [*asked, "--partner", one, "--json"]).stdout)["display"] for one in ("AUS", "IND", "JPN")]
    assert told == ["withhold", "release", "release"]


# --- a compilation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compilation", "jpn", "ind"),
    [
        pytest.param("CONFIDENTIAL//REL TO USA, IND, JPN", True, True, id="released to both"),
        pytest.param("SECRET//REL TO USA, IND, JPN", True, False, id="more together than one may have"),
        pytest.param("SECRET//NOFORN", False, False, id="for nobody"),
    ],
)
def test_a_compilation_goes_whole_or_not_at_all(world: World, compilation: str, jpn: bool, ind: bool) -> None:
    halves = [text_portion(f"half {number}", "(C//REL TO USA, IND, JPN)") for number in range(2)]
    stored = world.store(item("k/1", *halves, compilation=compilation, releasable_in="portions"))
    assert stored.item_id is not None
    for partner, has in (("JPN", jpn), ("IND", ind)):
        copy = world.item(partner, stored.item_id)
        assert (copy is not None) is has
        assert bool(world.page(partner)["items"]) is has
        if copy is not None:
            assert len(copy["portions"]) == 2
            assert copy["marking"] == f"{compilation.partition('//')[0]}//REL TO USA, {partner}"
    assert world.item("AUS", stored.item_id) is None


def test_a_compilation_loosened_is_visible_since_then(world: World) -> None:
    half = text_portion("half", "(C//REL TO USA, IND, JPN)")
    stored = world.store(item("k/1", half, compilation="SECRET//REL TO USA, IND, JPN"))
    assert stored.item_id is not None
    assert world.item("IND", stored.item_id) is None
    bookmark = world.page("IND")["bookmark"]
    world.clock.advance(minutes=5)
    world.store(item("k/1", half, compilation="CONFIDENTIAL//REL TO USA, IND, JPN"), item_id=stored.item_id)
    assert [one["id"] for one in world.page("IND", since=bookmark)["items"]] == [stored.item_id]
    bookmark = world.page("IND")["bookmark"]
    world.clock.advance(minutes=5)
    world.store(item("k/1", half), item_id=stored.item_id)
    assert [one["id"] for one in world.page("IND", since=bookmark)["items"]] == [stored.item_id]
