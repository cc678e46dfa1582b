"""At a boundary nobody waits for what ends there to be rendered anew: it was made ready before, and is what rendering then would give."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from service.sharing import asks
from service.sharing.ahead import AHEAD, ASKED_WITHIN
from service.sharing.gate import Ask, Prepared
from service.sharing.held import ASKS_NOTED_MAX, Begun, CopiesAhead, CopyCache
from service.sharing.words import read_query
from service.store.times import micros
from service.store.visibility import Place
from tests.support.store_bundles import OPEN, bundle_files
from tests.support.store_world import START, World, copied, item

MIDNIGHT = START.replace(day=23, hour=0)
LATER = MIDNIGHT + timedelta(minutes=4)
JUST_BEFORE = MIDNIGHT - timedelta(minutes=1)
OPENS = {"kind": "text", "text": "harbour plan", "marking": "(S//REL TO USA, JPN)", "not_before": {"*": "2026-11-23"}}
GOES_DOWN = {"kind": "text", "text": "harbour chart", "marking": "(S//REL TO USA, JPN)", "declassify_on": "2026-11-23"}
STAYS = {"kind": "text", "text": "harbour list", "marking": "(C//REL TO USA, IND, JPN)"}
HIDDEN = {"kind": "text", "text": "harbour hidden", "marking": "(S//NF)"}
ENDS = "p, AGR-0002, allow, release, JPN, *, SECRET, CYBER MARITIME, none, *, 2020-01-01, 2026-11-23, Ends at midnight"
BEGINS = "p, AGR-0009, allow, release, JPN, *, CONFIDENTIAL, MARITIME, none, *, 2026-11-23, , Begins at midnight"


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The ids of items rendered."""
    seen: list[str] = []
    render = asks.render_copy

    def watched(version: Any, *args: Any, **more: Any) -> Any:
        seen.append(version.item_id)
        return render(version, *args, **more)

    monkeypatch.setattr(asks, "render_copy", watched)
    yield seen


def prepared_all(world: World) -> int:
    """Prepare ahead until there is nothing more to do; how many that were."""
    done = 0
    while world.installation.ahead.prepare_next():
        done += 1
        assert done < 1000, "the same is prepared again and again"
    return done


def told(prepared: Prepared) -> tuple[Any, ...]:
    """All that an answer is, but for what is drawn anew each time."""
    record = {name: value for name, value in prepared.record.items() if name != "query"}  # words stand there under a salt
    return (prepared.status, prepared.body, prepared.items, record, prepared.versions, prepared.holds_until, prepared.act)


def uncached(world: World, ask: Ask) -> Prepared:
    assert isinstance(ask, asks.ItemAsk | asks.ListAsk)
    return world.shown(replace(ask, copies=CopyCache(0)))


def loaded(world: World) -> list[str]:
    ids = [world.store(item(f"item-{number}", OPENS, GOES_DOWN, STAYS, HIDDEN)).item_id for number in range(3)]
    world.clock.now = JUST_BEFORE
    return [one for one in ids if one is not None]


def of_each_kind(world: World, ids: list[str], partner: str = "JPN") -> list[Ask]:
    return [
        world.list_ask(partner, limit=2),
        world.list_ask(partner, levels=("CONFIDENTIAL", "SECRET")),
        world.list_ask(partner, q="harbour", sought=read_query("harbour")),
        *(world.item_ask(partner, one) for one in ids),
    ]


def test_what_was_asked_is_answered_at_the_boundary_without_rendering_anything(world: World, rendered: list[str]) -> None:
    ids = loaded(world)
    before = [told(world.shown(ask)) for ask in of_each_kind(world, ids)]
    prepared_all(world)
    # Until the boundary, what is in force is answered with, and from the cache.
    del rendered[:]
    assert [told(world.shown(ask)) for ask in of_each_kind(world, ids)] == before
    assert rendered == []
    for moment in (MIDNIGHT, LATER):
        world.clock.now = moment
        ready = [told(world.shown(ask)) for ask in of_each_kind(world, ids)]
        assert rendered == [], "what was made ready is not taken"
        assert ready == [told(uncached(world, ask)) for ask in of_each_kind(world, ids)]
        assert ready[-1] != before[-1] and b"harbour plan" in ready[-1][1] and b"harbour hidden" not in ready[-1][1]
        del rendered[:]


def test_a_poller_is_told_at_the_boundary_of_what_became_visible_and_nothing_of_it_is_rendered_then(
    world: World, rendered: list[str]
) -> None:
    ids = [world.store(item(f"new-{number}", OPENS)).item_id for number in range(3)]
    world.store(item("old", GOES_DOWN))
    world.clock.now = JUST_BEFORE
    lines, bookmark = world.listed("JPN", limit=9, recorded=False)
    assert len(lines) == 1
    assert json.loads(world.shown(world.list_ask("JPN", limit=9, since=bookmark)).body)["items"] == []
    assert prepared_all(world) == 2
    del rendered[:]
    world.clock.now = MIDNIGHT
    told_now = json.loads(world.shown(world.list_ask("JPN", limit=9, since=bookmark)).body)["items"]
    assert rendered == []
    assert {one["id"] for one in told_now} > {one for one in ids if one is not None}


@pytest.mark.parametrize("act", ["version", "relabel", "withdraw", "suspend", "publish"])
def test_what_was_made_ready_is_worth_nothing_after_an_act(world: World, act: str) -> None:
    ids = loaded(world)
    for ask in of_each_kind(world, ids):
        world.shown(ask)
    prepared_all(world)
    match act:
        case "version":
            world.store(item("item-0", OPENS, {**STAYS, "text": "harbour corrected"}), item_id=ids[0])
        case "relabel":
            world.relabel(ids[0], "(S//NF)")
        case "withdraw":
            world.withdraw(ids[0])
        case "suspend":
            world.suspend("JPN")
        case "publish":
            world.publish(bundle_files([OPEN, ENDS]))
    world.clock.now = MIDNIGHT
    for ask in of_each_kind(world, ids):
        assert told(world.shown(ask)) == told(uncached(world, ask))
    gone = world.shown(world.item_ask("JPN", ids[0]))
    assert (gone.status == 404) == (act != "version") or act == "publish"


def test_boundary_after_boundary_the_copy_in_force_is_kept_beside_the_one_made_ready(world: World, rendered: list[str]) -> None:
    moments = [MIDNIGHT + timedelta(days=days) for days in range(3)]
    portions = [{**OPENS, "text": f"harbour {one.day}", "not_before": {"*": f"2026-11-{one.day}"}} for one in moments]
    world.store(item("steps", STAYS, *portions))
    for moment in moments:
        world.clock.now = moment - timedelta(minutes=5)
        world.shown(world.list_ask("JPN"))
        assert prepared_all(world) == 1
        del rendered[:]
        world.shown(world.list_ask("JPN"))  # still the one before, which was itself made ready before its own boundary
        assert rendered == []
        world.clock.now = moment
        assert told(world.shown(world.list_ask("JPN"))) == told(uncached(world, world.list_ask("JPN")))
        assert len(rendered) == 1, "the uncached one alone"


def test_what_is_not_expected_back_or_far_ahead_is_not_prepared(world: World) -> None:
    world.store(item("far", STAYS, OPENS))
    world.clock.now = MIDNIGHT - AHEAD - ASKED_WITHIN - timedelta(microseconds=1)
    world.shown(world.list_ask("JPN", q="harbour", sought=read_query("harbour")))
    world.clock.now = MIDNIGHT - AHEAD - timedelta(microseconds=1)
    world.shown(world.list_ask("JPN"))
    assert prepared_all(world) == 0
    assert len(world.installation.copies._noted["JPN", "none"]) == 2
    world.clock.now = MIDNIGHT - AHEAD
    assert prepared_all(world) == 1
    assert len(world.installation.copies._noted["JPN", "none"]) == 1, "words asked for an hour ago are still held"
    # Another act, and it would be worth preparing again; but nobody asked since.
    world.store(item("other", STAYS))
    assert prepared_all(world) == 0


def test_no_answer_is_noted_for_an_officer_or_a_refusal_and_a_partner_puts_out_its_own_alone(world: World) -> None:
    ids = loaded(world)
    copies = world.installation.copies
    world.shown(world.item_ask("JPN", "absent"))
    ask = world.list_ask("JPN")
    world.shown(replace(ask, asker=replace(ask.asker, log="officers", look="look.view")))
    assert copies.noted(since=0) == {}
    world.shown(world.item_ask("IND", ids[0]))
    for number in range(1, 101):
        world.shown(world.list_ask("JPN", limit=number))
        world.shown(world.list_ask("JPN", limit=number, levels=("SECRET",)))
        world.shown(world.list_ask("JPN", limit=number, levels=("CONFIDENTIAL",)))
    noted = copies.noted(since=0)
    assert (len(noted["JPN", "none"]), len(noted["IND", "none"])) == (ASKS_NOTED_MAX, 1)


def test_a_service_that_runs_prepares_by_itself_until_it_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = loaded(world)
    installation = world.installation
    prepared = threading.Event()
    put_ahead = installation.copies.put_ahead

    def watched(*args: Any) -> None:
        put_ahead(*args)
        prepared.set()

    monkeypatch.setattr(installation.copies, "put_ahead", watched)
    monkeypatch.setattr(installation.ahead, "_first", 0.01)
    world.shown(world.item_ask("JPN", ids[0]))
    installation.start()
    running = {thread for thread in threading.enumerate() if thread.name == "copies-ahead"}
    assert len(running) == 1 and prepared.wait(60)
    installation.close()
    assert not any(thread.is_alive() for thread in running)


def test_a_cursor_that_is_good_no_more_is_let_go_of(world: World) -> None:
    loaded(world)
    world.shown(world.list_ask("JPN", limit=1))
    ((what, noted),) = world.installation.copies.noted(since=0)["JPN", "none"].items()
    assert isinstance(noted.ask, asks.ListAsk)
    world.installation.copies._noted["JPN", "none"][what] = replace(noted, ask=replace(noted.ask, cursor="x" * 40))
    assert world.installation.ahead.prepare_next()
    assert world.installation.copies.noted(since=0) == {}


def test_a_page_does_not_walk_over_what_has_ended(world: World) -> None:
    ids = [world.store(item(f"ended-{number}", GOES_DOWN)).item_id for number in range(40)]
    walked: list[Place] = []
    world.clock.now = JUST_BEFORE

    def watched(_connection: object, _cursor: object, sql: str, values: Any, *_: object) -> None:
        if "FROM offer WHERE lane_id" in sql and "LIMIT" in sql and "from_at" in sql:
            walked.append(Place(values[1], values[2]))

    event.listen(world.installation.database.engine, "before_cursor_execute", watched)
    asked = world.list_ask("JPN", limit=2)
    first, second = ({one["id"] for one in json.loads(world.shown(asked).body)["items"]} for _ in range(2))
    assert first == second
    # What goes down stands at its time of change from then on, and all before has ended: nobody walks there again.
    world.clock.now = MIDNIGHT
    world.shown(asked)
    assert len(walked) == 3 and walked[0] == walked[1] and walked[2].visible_since == micros(MIDNIGHT)
    # A page that goes on behind the beginning goes on where it left off.
    body = json.loads(world.shown(asked).body)
    seen = {one["id"] for one in body["items"]}
    for _ in range(19):
        body = json.loads(world.shown(replace(asked, cursor=body["next"])).body)
        seen |= {one["id"] for one in body["items"]}
    assert seen == set(ids) and "next" not in body


def test_where_a_list_begins_is_known_for_its_time_and_act_alone() -> None:
    copies = CopyCache(1)
    ahead = Begun(act=1, from_at=10, until=20, place=Place(9, "j"))
    CopiesAhead(copies).put_begun(7, ahead)
    known = {at: copies.begun(7, act=1, at=at) for at in (9, 10, 19, 20)}
    assert known == {9: None, 10: ahead.place, 19: ahead.place, 20: None}
    assert (copies.begun(7, act=2, at=10), copies.begun(8, act=1, at=10)) == (None, None)
    now = Begun(act=1, from_at=5, until=10, place=Place(1, "i"))
    copies.put_begun(7, now)
    assert (copies.begun(7, act=1, at=9), copies.begun(7, act=1, at=10)) == (now.place, ahead.place)


LABELLINGS = (
    {"marking": "(U)"},
    {"marking": "(S//NF)"},
    {"marking": "(S//REL TO USA, JPN)", "declassify_on": "2026-11-23"},
    {"marking": "(S//REL TO USA, IND, JPN)", "downgrade_on": {"at": "2026-11-24", "level": "CONFIDENTIAL"}},
    {"marking": "(C//REL TO USA, IND, JPN)", "not_before": {"*": "2026-11-24", "JPN": "2026-11-23"}},
    {"marking": "(U)", "not_before": {"*": "2026-11-23"}},
)
LOADS = st.lists(st.lists(st.sampled_from(LABELLINGS), min_size=1, max_size=4), min_size=1, max_size=4)
ACTS = st.lists(st.sampled_from(["none", "load", "relabel", "publish"]), min_size=3, max_size=3)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(LOADS, ACTS, st.booleans())
def test_whatever_is_stored_and_done_what_is_held_is_what_preparing_at_that_time_gives(
    data_folder: Path, loads: list[list[dict[str, Any]]], acts: list[str], whole: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(copied(data_folder, Path(folder) / "data"))
        world.know_clients()
        ids: list[str] = []

        def load(labellings: list[dict[str, Any]]) -> None:
            parts = [{"kind": "text", "text": f"harbour {place}", **one} for place, one in enumerate(labellings)]
            stored = world.store(item(f"item-{len(ids)}", *parts, releasable_in="whole" if whole else "portions"))
            ids.extend([] if stored.item_id is None else [stored.item_id])

        for labellings in loads:
            load(labellings)
        for day, act in zip((23, 24, 25), acts, strict=True):
            boundary = MIDNIGHT.replace(day=day)
            world.clock.now = boundary - timedelta(minutes=2)
            everything = [ask for partner in ("IND", "JPN", "AUS") for ask in of_each_kind(world, ids, partner)]
            for ask in everything:
                world.shown(ask)
            prepared_all(world)
            if act == "load":
                load(loads[0])
            elif act == "relabel" and ids:
                world.relabel(ids[0], "(S//REL TO USA, IND)")
            elif act == "publish":
                world.publish(bundle_files([OPEN, BEGINS] if day == 23 else [OPEN, ENDS]))
            for moment in (boundary - timedelta(microseconds=1), boundary, boundary + timedelta(hours=1)):
                world.clock.now = moment
                for ask in everything:
                    answer = world.shown(ask)
                    assert told(answer) == told(uncached(world, ask))
                    assert answer.holds_from <= micros(moment) < answer.holds_until
        world.close()
