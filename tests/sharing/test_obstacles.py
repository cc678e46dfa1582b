"""What stands in the way of more: the smallest set to hold back beside brute force, the counts beside every item decided one by one."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Conflict
from service.labels.label import Label
from service.policy import Outcome, Snapshot
from service.policy.obstacles import Obstacle, obstacles_in
from service.sharing import obstacles
from service.sharing.acts import Actor
from service.sharing.copies import decide_item
from service.sharing.obstacles import hold_back
from service.sharing.tear_lines import places_at
from service.store import catalogue, logs
from service.store.catalogue import PortionAt, PortionRecord, VersionAt
from service.store.tables import FOREVER
from tests.support.columns_store import load, random_draft, random_label
from tests.support.store_bundles import bundle, bundle_files
from tests.support.store_world import OFFICER, World, item, text_portion, title
from tests.support.two_officers import relabel_within

# --- the smallest set -----------------------------------------------------------------------------------------------------

LABELS = {1: Label("UNCLASSIFIED", ("OPEN",), ("*",), originators=("USA",)), 2: Label("SECRET", ("OPEN",), (), originators=("USA",))}
SNAPSHOT = bundle().snapshot(datetime(2026, 11, 22, tzinfo=UTC))


def version(labels: list[int], instead_of: list[int | None], *, whole: bool, compilation: int | None) -> VersionAt:
    record = PortionRecord("p", "i", "text", b"", b"", None, None, 0, 0)
    portions = tuple(
        PortionAt(replace(record, id=f"p{number}"), label, FOREVER, position=number, instead_of=original)
        for number, (label, original) in enumerate(zip(labels, instead_of, strict=True))
    )
    return VersionAt("i", "r", 1, whole, portions, None if compilation is None else (compilation, FOREVER), False)


@st.composite
def versions(draw: st.DrawFn) -> VersionAt:
    """Up to five portions, some of them tear-lines of the original before them; mostly not with a compilation, which excludes those."""
    compilation = draw(st.sampled_from([None, None, 1, 2]))
    instead_of: list[int | None] = []
    for number in range(draw(st.integers(1, 5))):
        originals = [place for place, original in enumerate(instead_of) if original is None][-1:]
        instead_of.append(draw(st.sampled_from([None, *originals])) if number and compilation is None else None)
    labels = draw(st.lists(st.sampled_from([1, 2]), min_size=len(instead_of), max_size=len(instead_of)))
    return version(labels, instead_of, whole=draw(st.booleans()), compilation=compilation)


def released(label_id: int) -> bool:
    return SNAPSHOT.decide("AUS", "release", LABELS[label_id]).outcome is Outcome.RELEASE


def smallest(one: VersionAt) -> list[tuple[int, ...]]:
    """Every smallest set of portions without which all the rest goes and no place is empty, by trying all."""
    every = range(len(one.portions))
    for size in every:
        found = []
        for taken in itertools.combinations(every, size):
            left = replace(one, portions=tuple(portion for number, portion in enumerate(one.portions) if number not in taken))
            if one.compilation is not None and taken:
                continue  # of what its parts reveal together, no part is released
            decision = decide_item(left, LABELS, SNAPSHOT, partner="AUS", purpose="none")
            if len(decision.released) == len(places_at(left.portions)):
                found.append(taken)
        if found:
            return found
    return []


@settings(max_examples=300, deadline=None)
@given(versions())
def test_what_to_hold_back_is_the_one_smallest_set(one: VersionAt) -> None:
    found, expected = hold_back(one, released), smallest(one)
    assert found.possible == bool(expected)
    if expected:
        assert expected == [found.held]
        assert sorted((*found.held, *found.left)) == list(range(len(one.portions)))


# --- of one item ------------------------------------------------------------------------------------------------------------


def of_item(world: World, item_id: str, partner: str) -> dict[str, Any]:
    body, _ = obstacles.obstacles_of_item(world.installation, OFFICER, item_id, partner=partner)
    return body


def test_it_names_what_to_hold_back_and_what_would_have_to_change(world: World) -> None:
    stored = world.store(
        item("o/1", title("T"), text_portion("a", "(S//REL TO USA, JPN)"), text_portion("b", "(S//NF)"), releasable_in="whole")
    )
    item_id = stored.item_id or ""
    assert world.item("JPN", item_id) is None
    body = of_item(world, item_id, "JPN")
    assert (body["outcome"], body["possible"], body["whole"], len(body["goes"])) == ("withhold", True, True, 2)
    (line,) = body["withheld"]
    assert [line["portion"]] == body["hold_back"]
    assert (line["marking"], line["outcome"]) == ("(S//NF)", "withhold")
    assert {(one["kind"], one["rule"]) for one in body["for_all"]} == {("condition", "AGR-0002")}
    assert "released if" in body["for_all"][0]["reason"]
    # What it says is so: the version without it goes.
    world.store(item("o/1", title("T"), text_portion("a", "(S//REL TO USA, JPN)"), releasable_in="whole"), item_id=item_id)
    assert world.item("JPN", item_id) is not None
    assert of_item(world, item_id, "JPN")["withheld"] == []


def test_where_a_tear_line_stands_nothing_is_held_back_but_it_is_told(world: World) -> None:
    torn = text_portion("x", "(S//REL TO USA, JPN)", tear_line=[{"marking": "(U)", "text": "y"}])
    stored = world.store(item("o/1", torn, releasable_in="whole"))
    body = of_item(world, stored.item_id or "", "IND")
    assert (body["possible"], body["hold_back"], len(body["withheld"])) == (True, [], 1)


def test_of_what_reveals_more_together_nothing_can_be_held_back(world: World) -> None:
    parts = (text_portion("a", "(C//REL TO USA, IND)"), text_portion("b", "(S//NF)"))
    stored = world.store(item("o/1", *parts, marking="SECRET//NOFORN", compilation="SECRET//NOFORN"))
    body = of_item(world, stored.item_id or "", "IND")
    assert (body["compilation"], body["possible"], body["hold_back"]) == (True, False, [])
    assert {one["kind"] for one in body["withheld"]} == {"text", "compilation"}


def test_a_prohibition_is_named_before_any_agreement(world: World) -> None:
    world.publish(bundle_files(prohibitions=["p, PRO-0001, deny, *, JPN, *, CONFIDENTIAL, MARITIME, *, *, , , Order"]))
    stored = world.store(item("o/1", text_portion("a", "(S//REL TO USA, JPN)")))
    body = of_item(world, stored.item_id or "", "JPN")
    assert [(one["kind"], one["rule"]) for one in body["for_all"]] == [("prohibition", "PRO-0001")]


def test_what_waits_or_is_withdrawn_has_nothing_in_force(world: World) -> None:
    held = world.store(item("o/1", text_portion("a", "")))
    with pytest.raises(Conflict, match="no version in force"):
        of_item(world, held.item_id or "", "JPN")


# --- of all that is stored --------------------------------------------------------------------------------------------------


def one_by_one(world: World, snapshot: Snapshot, item_ids: list[str]) -> dict[Obstacle, dict[str, tuple[int, int]]]:
    """(items, portions) by obstacle and partner, every item looked at by itself."""
    installation = world.installation
    with installation.database.reading() as connection:
        at = installation.world.current(connection).at
        held = catalogue.versions_at(connection, item_ids, at=at)
    counts: dict[Obstacle, dict[str, tuple[int, int]]] = {}
    for one in held.values():
        for partner in ("AUS", "IND", "JPN"):
            own: dict[Obstacle, int] = {}
            labels = [(portion.label_id, 1) for portion in one.portions]
            labels += [] if one.compilation is None else [(one.compilation[0], 0)]
            for label_id, weight in labels:
                explanation = snapshot.explain(partner, "release", installation.world.labels[label_id])
                if explanation.decision.outcome is not Outcome.RELEASE:
                    for obstacle, _ in obstacles_in(explanation):
                        own[obstacle] = own.get(obstacle, 0) + weight
            for obstacle, portions in own.items():
                items, before = counts.setdefault(obstacle, {}).get(partner, (0, 0))
                counts[obstacle][partner] = (items + 1, before + portions)
    return counts


@pytest.mark.parametrize("seed", range(3))
def test_what_hinders_most_is_as_if_every_item_were_looked_at(world: World, seed: int) -> None:
    chance = random.Random(seed)
    prohibitions = ["p, PRO-0001, deny, release, QUAD, *, CONFIDENTIAL, CYBER, *, *, , , Order"]
    world.publish(bundle_files(prohibitions=prohibitions))
    labels = [random_label(chance) for _ in range(12)]
    dates = [datetime(2027, month, 1, tzinfo=UTC) for month in (1, 2)]
    item_ids = load(world, [random_draft(chance, f"r/{number}", labels, dates) for number in range(40)])
    body, _ = obstacles.obstacles_of_store(world.installation, OFFICER, top=1000)
    with world.installation.database.reading() as connection:
        state = world.installation.world.current(connection)
    expected = one_by_one(world, state.snapshot(world.clock.now), item_ids)
    found = {
        (one["kind"], one.get("rule", ""), one.get("condition", "")): {
            each["partner"]: (each["items"], each["portions"]) for each in one["partners"]
        }
        for one in body["obstacles"]
    }
    assert found == {(str(obstacle.kind), obstacle.rule, obstacle.condition): counts for obstacle, counts in expected.items()}
    assert len(found) >= 4
    order = [(-one["items"], -one["portions"]) for one in body["obstacles"]]
    assert order == sorted(order)
    # Items that several partners lack are one item.
    assert all(max(each["items"] for each in one["partners"]) <= one["items"] <= len(item_ids) for one in body["obstacles"])
    first, _ = obstacles.obstacles_of_store(world.installation, OFFICER, top=1, partner="JPN")
    assert len(first["obstacles"]) == 1
    assert [each["partner"] for each in first["obstacles"][0]["partners"]] == ["JPN"]


# --- on offer, and never fetched ----------------------------------------------------------------------------------------------


@pytest.fixture
def either(database_url: str, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "either", url=database_url)
    made.publish(bundle_files())
    yield made
    made.close()


def lacking(world: World, partner: str | None = None, *, limit: int = 3) -> list[tuple[str, str]]:
    """(ref, partner) of every line, page by page."""
    found: list[tuple[str, str]] = []
    after = (0, 0, "")
    while page := obstacles.unshared(world.installation, OFFICER, partner=partner, after=after, limit=limit)[0]:
        found += [(one.ref, one.lane.partner) for one in page]
        after = (page[-1].visible_since, page[-1].lane.id, page[-1].item_id)
    return found


def test_what_is_on_offer_and_was_never_sent_is_told_oldest_first(either: World) -> None:
    ids: dict[str, str] = {}
    for number in range(4):
        either.clock.advance(minutes=1)
        ids[f"u/{number}"] = either.store(item(f"u/{number}", title("T"), text_portion("a"))).item_id or ""
    either.store(item("hidden", text_portion("a", "(S//NF)")))
    partners = ["AUS", "IND", "JPN"]
    assert sorted(lacking(either)) == sorted((ref, partner) for ref in ids for partner in partners)
    assert [ref for ref, _ in lacking(either, "JPN")] == list(ids)
    either.page("JPN")  # a list hands over titles, no item
    assert either.item("JPN", ids["u/1"]) is not None
    assert either.item("JPN", "absent") is None
    assert [ref for ref, _ in lacking(either, "JPN")] == ["u/0", "u/2", "u/3"]
    assert [ref for ref, _ in lacking(either, "IND")] == list(ids)
    with either.installation.acts.act("item.relabel", Actor("c_x", "cli")) as act:
        relabel_within(act, ids["u/2"], "(S//NF)")
    assert [ref for ref, _ in lacking(either, "JPN")] == ["u/0", "u/3"]


def test_every_look_is_on_record(world: World) -> None:
    item_id = world.store(item("o/1", text_portion("a"))).item_id or ""
    looks = [
        obstacles.unshared(world.installation, OFFICER, limit=1)[1],
        obstacles.obstacles_of_store(world.installation, OFFICER, top=1)[1],
        obstacles.obstacles_of_item(world.installation, OFFICER, item_id, partner="JPN")[1],
    ]
    with world.installation.database.reading() as connection:
        rows = [logs.entry(connection, look.event_id) for look in looks]
    types = [json.loads(row.leaf)["type"] for row in rows if row is not None]
    assert types == ["look.unshared", "look.obstacles", "look.obstacles"]
