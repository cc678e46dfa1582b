"""What a publication would do: the same as deciding every item by hand, on every date, and bound by a digest to exactly that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.policy import read_bundle
from service.sharing.difference import LevelSum, Timeline, changed_rows, reaches, timeline_json
from service.sharing.examination import differ, difference_json
from service.sharing.publishing import Pending, Published
from service.store import catalogue
from tests.support.store_bundles import COMMUNITIES, IND_CONFIDENTIAL, IND_EXERCISE, JPN_SECRET, OPEN, SCHEME, bundle_files
from tests.support.store_world import OFFICER, START, World, copied, item, text_portion, title
from tests.support.stored_by_hand import stored_by_hand
from tests.support.two_officers import approved

ROWS = (OPEN, JPN_SECRET, IND_CONFIDENTIAL, IND_EXERCISE)
LANES = (("AUS", "none"), ("IND", "EXERCISE-KEEN"), ("IND", "none"), ("JPN", "none"))
MORE = (
    "p, AGR-0010, allow, release, AUS, *, SECRET, MARITIME, none, *, , , Letter",
    "p, AGR-0011, allow, release, QUAD, *, SECRET, CYBER MARITIME, RELIDO, *, 2027-01-01, 2027-03-01, Letter",
    "p, AGR-0012, allow, refer, AUS, *, SECRET, MARITIME, none, *, , , Letter",
    "p, AGR-0013, allow, release, ALL, *, CONFIDENTIAL, *, *, *, 2027-02-01, , Letter",
)
ORDERS = (
    "p, PRO-0001, deny, *, JPN, *, SECRET, *, *, *, , 2027-02-01, Order",
    "p, PRO-0002, deny, release, QUAD, *, UNCLASSIFIED, MARITIME, *, *, 2026-12-01, , Order",
    "p, PRO-0003, deny, *, IND, *, CONFIDENTIAL, *, RELIDO, *, , , Order",
)
JOINS = ("g, AUS, QUAD, 2027-01-15,", "g, AUS, QUAD, , 2027-01-15")
ITEMS = (
    item("open", title("open", "(U)"), text_portion("sea", "(S//REL TO USA, JPN)")),
    item("sea", title("sea", "(S//REL TO USA, AUS, IND, JPN)"), releasable_in="whole"),
    item("quad", title("quad", "(C//REL TO USA, QUAD)"), text_portion("a", "(U)"), text_portion("b", "(S//REL TO USA, QUAD/RELIDO)")),
    item("later", title("later", "(S//REL TO USA, AUS, JPN)", not_before={"*": "2027-01-10"})),
    item("lower", title("lower", "(S//REL TO USA, AUS, IND)", downgrade_on={"at": "2027-02-10", "level": "CONFIDENTIAL"})),
    item("together", title("t", "(U)"), text_portion("c", "(U)"), compilation="SECRET//REL TO USA, JPN"),
    item("cyber", title("cyber", "(S//REL TO USA, QUAD)"), categories=["CYBER"]),
)
READ_ONLY = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def stocked(data_folder: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Items of every kind, to be looked at."""
    world = World(copied(data_folder, tmp_path_factory.mktemp("stocked") / "data"))
    world.know_clients()
    world.load(*ITEMS)
    yield world
    world.close()


def files_of(agreements: Sequence[str], orders: Sequence[str], joins: Sequence[str]) -> dict[str, bytes]:
    return bundle_files([*ROWS[:1], *agreements], prohibitions=orders, communities=[*COMMUNITIES, *joins])


def subsets(of: Sequence[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(of), unique=True).map(sorted)


edits = st.builds(files_of, subsets((*ROWS[1:], *MORE)), subsets(ORDERS), st.sampled_from([(), *((one,) for one in JOINS)]))


@READ_ONLY
@given(edits, edits)
def test_it_says_of_what_is_stored_what_deciding_it_all_by_hand_says(stocked: World, old: dict[str, bytes], new: dict[str, bytes]) -> None:
    before, after = read_bundle(old), read_bundle(new)
    found, _ = stocked.installation.publishing.between(before, after, OFFICER, at=START)
    for start in sorted({START, *(moment for moment in (*before.boundaries, *after.boundaries) if moment > START)}):
        moment = next(one for one in reversed(found.moments) if (one.at or START) <= start)
        by_hand = stored_by_hand(stocked.installation, before.snapshot(start), after.snapshot(start), at=start, whom=LANES)
        assert {(one.partner, one.purpose) for one in moment.stored.changes} == set(by_hand)
        for one in moment.stored.changes:
            right = by_hand[one.partner, one.purpose]
            assert counted(one.gained) == (right.items_gained, right.portions_gained), (start, one)
            assert counted(one.lost) == (right.items_lost, right.portions_lost), (start, one)
            assert one.changed == right.items_changed


def counted(sums: Sequence[LevelSum]) -> tuple[dict[str, int], dict[str, int]]:
    return {one.level: one.items for one in sums if one.items}, {one.level: one.portions for one in sums if one.portions}


@READ_ONLY
@given(edits, edits)
def test_what_of_the_stored_is_gained_some_possible_label_gains(stocked: World, old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """The two halves are worked out apart: a stored label is a possible one."""
    found, _ = stocked.installation.publishing.between(read_bundle(old), read_bundle(new), OFFICER, at=START)
    levels = ["UNCLASSIFIED", "CONFIDENTIAL", "SECRET"]
    assert found.cannot is None
    for moment in found.moments:
        for one in moment.stored.changes:
            for side, change in ((one.gained, "gains"), (one.lost, "loses")):
                for level in side:
                    if level.portions:
                        assert any(
                            proved.partner == one.partner
                            and str(proved.side) == change
                            and one.purpose in proved.purposes
                            and levels.index(proved.highest) >= levels.index(level.level)
                            for proved in moment.labels
                        ), (moment.since, one, level)


@READ_ONLY
@given(edits)
def test_a_bundle_differs_from_itself_in_nothing_and_needs_nobody(stocked: World, files: dict[str, bytes]) -> None:
    one = read_bundle(files)
    found, reasons = stocked.installation.publishing.between(one, one, OFFICER, at=START)
    assert (found.nothing, found.gains, reasons) == (True, False, ())
    assert [moment.at for moment in found.moments] == [None]


@READ_ONLY
@given(edits, edits)
def test_what_one_way_gains_the_other_way_loses(stocked: World, old: dict[str, bytes], new: dict[str, bytes]) -> None:
    between = stocked.installation.publishing.between
    one, other = read_bundle(old), read_bundle(new)
    there, back = between(one, other, OFFICER, at=START)[0], between(other, one, OFFICER, at=START)[0]

    def told(found: Timeline, *, gained: bool) -> list[Any]:
        return [
            (moment.since, change.partner, change.purpose, change.gained if gained else change.lost)
            for moment in found.moments
            for change in moment.stored.changes
        ]

    assert told(there, gained=True) == told(back, gained=False)
    assert told(there, gained=False) == told(back, gained=True)


# --- what approval is bound to -------------------------------------------------------------------------------------------------


def test_the_digest_is_of_canonical_json_that_is_kept_with_the_proposal(world: World) -> None:
    world.load(*ITEMS)
    done = world.installation.publishing.publish(bundle_files([*ROWS, MORE[0]]), OFFICER)
    assert isinstance(done, Pending)
    body = done.proposal.body
    assert hashlib.sha256(body.encode()).hexdigest() == done.proposal.timeline
    told = json.loads(body)
    assert body == json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert (told["bundle"], told["in_force"], told["v"], told["proved"]) == (done.digest, done.proposal.base, 1, True)
    assert [moment["from"] for moment in told["moments"]] == ["now"]
    assert "witness" not in body
    (aus,) = told["moments"][0]["stored"]
    assert aus["gained"]["levels"] == [{"level": "SECRET", "items": 2, "portions": 2}]


def bound(world: World) -> str:
    done = world.installation.publishing.examine(bundle_files([*ROWS, MORE[0]]), OFFICER)
    assert done.weighed.timeline is not None
    return done.weighed.timeline.digest


def _kept(world: World) -> str:
    with world.installation.database.reading() as connection:
        record = catalogue.item_by_ref(connection, "sea")
    assert record is not None
    return record.id


def _replaced(world: World) -> None:
    world.withdraw(_kept(world))
    world.store(item("again", title("sea", "(S//REL TO USA, AUS, IND, JPN)"), releasable_in="whole"))


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        pytest.param(lambda world: world.store(item("new", title("new", "(S//REL TO USA, AUS)"))), True, id="one more is gained"),
        pytest.param(lambda world: world.store(item("new", title("new", "(S//REL TO USA, JPN)"))), False, id="one more that is not"),
        pytest.param(lambda world: world.withdraw(_kept(world)), True, id="one less is gained"),
        pytest.param(_replaced, True, id="another of the same kind in its place"),
        pytest.param(lambda world: world.suspend("JPN"), False, id="a suspension"),
        pytest.param(lambda world: world.clock.advance(days=3), False, id="days in which nothing begins or ends"),
        pytest.param(lambda world: world.clock.advance(days=60), True, id="an embargo that ends"),
        pytest.param(lambda world: world.page("JPN"), False, id="a release"),
    ],
)  # fmt: skip
def test_it_is_another_one_where_the_store_changes_what_it_does_and_nowhere_else(world: World, what: Any, changes: bool) -> None:
    world.load(*ITEMS)
    before = bound(world)
    assert bound(world) == before
    what(world)
    assert (bound(world) != before) is changes


def test_dates_with_the_same_effect_are_told_once(world: World) -> None:
    ending = ["p, PRO-0009, deny, *, AUS, *, SECRET, CYBER, *, *, , 2029-01-01, Order"]
    files = bundle_files([*ROWS, MORE[0], "p, AGR-0020, allow, release, JPN, *, CONFIDENTIAL, MARITIME, none, *, 2028-01-01, , x"])
    done = world.installation.publishing.publish(
        {**files, "prohibitions.csv": bundle_files(prohibitions=ending)["prohibitions.csv"]}, OFFICER
    )
    assert isinstance(done, Pending)
    assert [moment["from"] for moment in json.loads(done.proposal.body)["moments"]] == ["now"]
    approved(world.installation, done)


# --- levels, rows, JSON ----------------------------------------------------------------------------------------------------------

TOP = SCHEME.replace('{name = "SECRET", mark = "S"}', '{name = "SECRET", mark = "S"}, {name = "TOP SECRET", mark = "TS"}')


@pytest.mark.parametrize(
    ("level", "old", "new", "reached"),
    [
        pytest.param("SECRET", SCHEME, SCHEME, True, id="at it"),
        pytest.param("CONFIDENTIAL", SCHEME, SCHEME, False, id="below it"),
        pytest.param("TOP SECRET", TOP, TOP, True, id="above it"),
        pytest.param("TOP SECRET", SCHEME, TOP, True, id="one that the old ladder lacks"),
        pytest.param("SECRET", TOP.replace('_level = "SECRET"', '_level = "TOP SECRET"'), SCHEME, True, id="at the new one alone"),
        pytest.param("SECRET", SCHEME, TOP.replace('_level = "SECRET"', '_level = "TOP SECRET"'), True, id="at the old one alone"),
    ],
)  # fmt: skip
def test_the_lower_of_two_approval_levels_counts(level: str, old: str, new: str, reached: bool) -> None:
    bundles = [read_bundle(bundle_files(scheme=scheme)) for scheme in (old, new)]
    assert reaches(level, old=bundles[0], new=bundles[1]) is reached


def test_changed_rows_are_those_that_the_other_lacks_whatever_their_order() -> None:
    old, new = bundle_files([*ROWS]), bundle_files([*reversed(ROWS[1:]), MORE[0]])
    gone, added = changed_rows(old, new)
    assert [(row.file, row.line, row.text) for row in gone] == [("agreements.csv", 2, OPEN)]
    assert [(row.file, row.line, row.text) for row in added] == [("agreements.csv", 5, MORE[0])]
    twice = {**old, "agreements.csv": old["agreements.csv"] + f"{OPEN}\n".encode()}
    assert [row.line for row in changed_rows(old, twice)[1]] == [6]
    assert changed_rows(old, {**old, "agreements.csv": old["agreements.csv"] + b"# a comment\n\n"}) == ((), ())


def test_programs_get_the_timeline_the_rows_and_the_reasons(stocked: World) -> None:
    done = stocked.installation.publishing.examine(bundle_files([*ROWS, MORE[0]], prohibitions=[ORDERS[0]]), OFFICER)
    told = difference_json(done.bundle, done.weighed)
    assert list(told) == [
        "bundle", "in_force", "timeline", "needs_approval", "approval_level", "reasons", "proved", "moments", "rows",
    ]  # fmt: skip
    assert (told["needs_approval"], told["approval_level"], told["proved"]) == (True, "SECRET", True)
    assert [(row["file"], row["line"]) for row in told["rows"]["added"]] == [("agreements.csv", 6), ("prohibitions.csv", 2)]
    now = told["moments"][0]
    assert now["from"] == "now" and len(now["stored_sha256"]) == 64
    gains = [one for one in now["all_labels"] if one["change"] == "gains" and one["action"] == "release"]
    assert [(one["partner"], one["highest"], one["before"], one["after"], one["rules"]) for one in gains] == [
        ("AUS", "SECRET", "withhold", "release", ["AGR-0010"])
    ]
    assert gains[0]["sentence"].startswith("AUS gains release of SECRET, MARITIME, from USA, to AUS USA; by AGR-0010")
    last = told["moments"][-1]
    assert last["from"] == "2027-02-01T00:00:00.000000Z"
    assert {one["partner"] for one in last["stored"]} == {"AUS"}, "the prohibition has ended by then"


def test_without_a_store_it_speaks_of_possible_labels_alone() -> None:
    old, new = read_bundle(bundle_files()), read_bundle(bundle_files([*ROWS, MORE[0]]))
    found, reasons = differ(old, new, effect=None, at=datetime(2026, 11, 22, tzinfo=UTC))
    assert not found.stored and reasons == ("AUS gains release and display up to SECRET",)
    assert all(moment["stored"] == [] for moment in timeline_json(found, old=old, new=new)["moments"])


def test_a_publication_makes_what_its_timeline_says(world: World) -> None:
    """Beside the derivation that writes what is on offer: it is another one."""
    world.load(*ITEMS)
    seen = {lane: {line["id"] for line in world.listed(lane[0], purpose=lane[1], recorded=False)[0]} for lane in LANES}
    done = approved(world.installation, world.installation.publishing.publish(bundle_files(ROWS[:1] + MORE[:1] + ROWS[2:]), OFFICER))
    assert isinstance(done, Published) and done.weighed.timeline is not None
    told = {(one.partner, one.purpose): one for one in done.weighed.timeline.moments[0].stored.changes}
    for lane in LANES:
        now = {line["id"] for line in world.listed(lane[0], purpose=lane[1], recorded=False)[0]}
        change = told.get(lane)
        gained = 0 if change is None else sum(one.items for one in change.gained)
        lost = 0 if change is None else sum(one.items for one in change.lost)
        assert (len(now - seen[lane]), len(seen[lane] - now)) == (gained, lost), lane
