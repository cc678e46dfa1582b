"""The one way out: decided under the fence, recorded before it is answered, each request by itself."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from service.errors import Broken, Busy, Rejected, Unauthenticated
from service.releaselog.leaf import parse_leaf
from service.sharing.asks import Asker, ItemAsk
from service.sharing.gate import Prepared, Released
from service.sharing.policies import Policies, PolicyState
from service.store import Connection, logs
from service.store.times import text_of
from tests.support.store_bundles import bundle_files
from tests.support.store_world import World, copied, item, text_portion, title

ORDER = "p, PRO-0001, deny, *, JPN, *, SECRET, *, *, *, , , Order"


@pytest.fixture
def item_id(world: World) -> str:
    """An item of which JPN gets all and AUS the title."""
    outcome = world.store(item("plan", title("Plan"), text_portion("text", "(S//REL TO USA, JPN)")))
    assert outcome.item_id is not None
    return outcome.item_id


def entries(world: World, log: str) -> list[logs.StoredRow]:
    with world.installation.database.reading() as connection:
        head = logs.head(connection, log)
        return [] if head is None else list(logs.entries(connection, head.id))


def text_of_portion(released: Released) -> list[str]:
    return [one["text"] for one in json.loads(released.prepared.body).get("portions", [])]


# --- decided again under the lock -----------------------------------------------------------------------------------------


def _forbid(world: World, item_id: str) -> None:
    world.publish(bundle_files(prohibitions=[ORDER]))


def _relabel(world: World, item_id: str) -> None:
    world.relabel(item_id, "(S//NF)")


def _withdraw(world: World, item_id: str) -> None:
    world.withdraw(item_id)


def _suspend(world: World, item_id: str) -> None:
    world.suspend("JPN")


@pytest.mark.parametrize(
    ("act", "left"),
    [
        pytest.param(_forbid, {"title": "Plan", "portions": []}, id="publish"),
        pytest.param(_relabel, None, id="relabel"),
        pytest.param(_withdraw, None, id="withdraw"),
        pytest.param(_suspend, None, id="suspend"),
    ],
)
def test_what_was_prepared_before_an_act_is_decided_again_at_the_commit(world: World, item_id: str, act: object, left: object) -> None:
    gate, ask = world.installation.gate, world.item_ask("JPN", item_id)
    prepared = gate.prepare(ask)
    assert prepared.status == 200
    act(world, item_id)  # type: ignore[operator]
    (released,) = gate.commit([(ask, prepared)])
    assert isinstance(released, Released)
    if left is None:
        assert (released.prepared.status, released.prepared.result) == (404, "refused")
    else:
        body = json.loads(released.prepared.body)
        assert {name: body[name] for name in left} == left  # type: ignore[attr-defined]
    row = entries(world, "JPN")[-1]
    record = json.loads(row.record)
    assert record["act"] == world.installation.world.known().act  # type: ignore[union-attr]
    assert row.at >= world.installation.world.known().at  # type: ignore[union-attr]
    assert parse_leaf(row.leaf).body_sha256 == released.prepared.body_sha256
    assert not gate.still_released(ask, Released(released.entry, prepared))


def test_what_was_prepared_before_a_date_is_decided_again_after_it(world: World) -> None:
    outcome = world.store(item("dated", text_portion("later", "(U)", not_before={"*": "2026-11-23"}), text_portion("now", "(U)")))
    ask = world.item_ask("JPN", outcome.item_id or "")
    gate = world.installation.gate
    prepared = gate.prepare(ask)
    world.clock.advance(days=1)
    (released,) = gate.commit([(ask, prepared)])
    assert isinstance(released, Released)
    assert text_of_portion(released) == ["later", "now"]


def test_a_refusal_prepared_before_a_date_is_decided_again_after_it(world: World) -> None:
    """What the log says of a moment is what the policy says of it."""
    outcome = world.store(item("embargoed", text_portion("later", "(U)", not_before={"*": "2026-11-22T15:00:00Z"})))
    ask = world.item_ask("JPN", outcome.item_id or "")
    gate = world.installation.gate
    prepared = gate.prepare(ask)
    assert prepared.status == 404
    world.clock.advance(hours=6)
    (released,) = gate.commit([(ask, prepared)])
    assert isinstance(released, Released)
    assert released.prepared.status == 200


def test_what_still_holds_is_not_prepared_again(world: World, item_id: str) -> None:
    gate, ask = world.installation.gate, world.item_ask("JPN", item_id)
    prepared = gate.prepare(ask)
    world.clock.advance(minutes=5)
    (released,) = gate.commit([(ask, prepared)])
    assert isinstance(released, Released)
    assert released.prepared is prepared
    assert gate.still_released(ask, released)


def test_a_copy_held_in_memory_is_of_no_use_after_an_act_or_a_date(world: World, item_id: str) -> None:
    gate, ask = world.installation.gate, world.item_ask("JPN", item_id)
    assert gate.prepared_now(ask) is None
    world.ask(ask)
    assert gate.prepared_now(ask) is not None
    assert gate.prepared_now(world.item_ask("AUS", item_id)) is None
    world.relabel(item_id, "(S//NF)")
    gate.prepare(world.list_ask("AUS"))
    assert gate.prepared_now(ask) is None


# --- one batch --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RefusingAsk(ItemAsk):
    """An ask that cannot be prepared."""

    error: Exception = field(default_factory=Exception)

    def prepare(self, connection: Connection, state: PolicyState, world: Policies, *, at: int) -> Prepared:
        raise self.error


@pytest.mark.parametrize("error", [Rejected("no", code="test"), Broken("no"), Busy("no")])
def test_one_refused_job_does_not_hold_up_its_batch(world: World, item_id: str, error: Exception) -> None:
    good = world.item_ask("JPN", item_id)
    bad = RefusingAsk(good.asker, good.copies, good.route, None, item=b"x", error=error)
    first, second, third = world.installation.gate.commit([(good, None), (bad, None), (good, None)])
    assert isinstance(first, Released)
    assert second is error
    assert isinstance(third, Released)
    assert [row.event_id for row in entries(world, "JPN")] == [first.entry.event_id, third.entry.event_id]


def test_what_nobody_expected_answers_nobody_and_leaves_no_entry(world: World, item_id: str) -> None:
    good = world.item_ask("JPN", item_id)
    bad = RefusingAsk(good.asker, good.copies, good.route, None, item=b"x", error=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        world.installation.gate.commit([(good, None), (bad, None)])
    assert entries(world, "JPN") == []


@dataclass(frozen=True, slots=True)
class FailingLaterAsk(ItemAsk):
    """An ask that is prepared once, too early, and cannot be prepared again."""

    prepared: list[Prepared] = field(default_factory=list)

    def prepare(self, connection: Connection, state: PolicyState, world: Policies, *, at: int) -> Prepared:
        return self.prepared.pop()


def test_the_writer_survives_what_nobody_expected(world: World, item_id: str) -> None:
    gate, good = world.installation.gate, world.item_ask("JPN", item_id)
    stale = replace(gate.prepare(good), act=-1)
    gate.start()
    with pytest.raises(Broken):
        gate.release_and_wait(FailingLaterAsk(good.asker, good.copies, good.route, None, item=b"x", prepared=[stale]))
    assert gate.release_and_wait(good).prepared.status == 200
    gate.stop()
    assert len(entries(world, "JPN")) == 1


def test_each_partner_is_recorded_in_its_own_log_with_positions_of_its_own(world: World, item_id: str) -> None:
    asks = [world.item_ask(partner, item_id) for partner in ("JPN", "AUS", "JPN", "IND", "AUS", "JPN")]
    outcomes = world.installation.gate.commit([(ask, None) for ask in asks])
    assert [(one.entry.log, one.entry.index) for one in outcomes if isinstance(one, Released)] == [
        ("JPN", 0), ("AUS", 0), ("JPN", 1), ("IND", 0), ("AUS", 1), ("JPN", 2),
    ]  # fmt: skip
    assert [len(entries(world, log)) for log in ("JPN", "AUS", "IND")] == [3, 2, 1]


def test_a_client_that_was_disabled_meanwhile_is_recorded_nothing_for(world: World, item_id: str) -> None:
    stranger = Asker("JPN", "none", "c_nobody_we_know_of", "JPN")
    ask = ItemAsk(stranger, world.installation.copies, "/v1/items/{id}", None, item=item_id.encode())
    (outcome,) = world.installation.gate.commit([(ask, world.installation.gate.prepare(ask))])
    assert isinstance(outcome, Unauthenticated)
    assert entries(world, "JPN") == []


def test_a_log_that_cannot_be_had_answers_nobody(world: World, item_id: str) -> None:
    gate, ask = world.installation.gate, world.item_ask("JPN", item_id)
    prepared = gate.prepare(ask)
    with world.installation.database.acting(), pytest.raises(Busy):
        gate.commit([(ask, prepared)])
    (released,) = gate.commit([(ask, prepared)])
    assert isinstance(released, Released)
    assert released.entry.index == 0


# --- time -------------------------------------------------------------------------------------------------------------------


def test_time_never_falls_back_within_a_log_when_the_clock_does(world: World, item_id: str) -> None:
    times = []
    for step in (0, 3600, -7200, 1, -86400 * 30, 60):
        world.clock.now += timedelta(seconds=step)
        times.append(world.ask(world.item_ask("JPN", item_id)).entry.at)
    assert times == sorted(times)
    assert [row.at for row in entries(world, "JPN")] == times
    assert [parse_leaf(row.leaf).at_micros for row in entries(world, "JPN")] == times


# --- what is recorded -------------------------------------------------------------------------------------------------------


def test_an_entry_says_what_was_sent_and_its_record_why(world: World, item_id: str) -> None:
    released = world.ask(world.item_ask("JPN", item_id))
    row = entries(world, "JPN")[-1]
    face, record = json.loads(row.leaf), json.loads(row.record)
    assert (face["type"], face["result"], face["purpose"], face["client"]) == ("item", "sent", "none", world.client("JPN").id)
    assert face["items"] == [{"id": item_id, "copy_sha256": released.prepared.body_sha256.hex()}]
    assert face["at"] == text_of(row.at) == record["at"]
    assert (record["partner"], record["outcome"], record["query"], record["authority"]) == ("JPN", "release", None, None)
    (recorded,) = record["items"]
    assert (recorded["id"], recorded["ref"], recorded["version"], recorded["rules"]) == (item_id, "plan", 1, ["AGR-0001", "AGR-0002"])
    assert set(record["labels"]) == set(recorded["labels"])
    assert len(recorded["portions"]) == 2
    assert record["bundle"] == world.installation.world.known().bundle.digest  # type: ignore[union-attr]


def test_a_refusal_has_the_same_face_for_an_absent_and_a_withheld_item_and_its_record_tells_them_apart(world: World) -> None:
    hidden = world.store(item("hidden", text_portion("x", "(S//NF)"))).item_id or ""
    absent = "A" * len(hidden)
    for one in (hidden, absent):
        assert world.item("JPN", one) is None
    faces = [json.loads(row.leaf) for row in entries(world, "JPN")]
    assert [face["items"] for face in faces] == [[{"id": hidden}], [{"id": absent}]]
    for face in faces:
        for name in ("event_id", "seal", "items", "at"):
            del face[name]
    assert faces[0] == faces[1]
    records = [json.loads(row.record)["items"] for row in entries(world, "JPN")]
    assert [one["ref"] for one in records[0]] == ["hidden"]
    assert records[1] == []


@pytest.mark.parametrize("segment", [b"a/b", b"\x00", b"..", "ü".encode(), b"x" * 65, b"", b"\xff\xfe"])
def test_what_is_no_id_stands_in_the_leaf_as_its_digest(world: World, segment: bytes) -> None:
    ask = replace(world.item_ask("JPN", "x"), item=segment)
    assert world.ask(ask).prepared.status == 404
    (named,) = json.loads(entries(world, "JPN")[-1].leaf)["items"]
    assert named["id"].startswith("?") or segment == b".."


# --- waiting ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["queue_entries_max", "queue_entries_per_partner_max"])
def test_a_full_queue_is_busy_and_what_waits_in_it_is_committed_when_the_service_stops(
    data_folder: Path, tmp_path: Path, limit: str
) -> None:
    world = World(copied(data_folder, tmp_path / "data"), **{limit: 4})
    world.know_clients()
    gate, ask = world.installation.gate, world.item_ask("JPN", "x")

    async def ask_too_often() -> list[object]:
        waiting = [asyncio.ensure_future(gate.release(ask)) for _ in range(6)]
        while sum(one.done() for one in waiting) < 2:
            await asyncio.sleep(0)
        gate.start()
        await asyncio.to_thread(gate.stop)
        with pytest.raises(Busy):
            await gate.release(ask)
        return await asyncio.gather(*waiting, return_exceptions=True)

    answers = asyncio.run(ask_too_often())
    assert sorted(type(one).__name__ for one in answers) == ["Busy", "Busy", "Released", "Released", "Released", "Released"]
    assert len({one.entry.event_id for one in answers if isinstance(one, Released)}) == len(entries(world, "JPN")) == 4
    world.close()


def test_a_partner_that_asks_too_much_does_not_keep_another_out(data_folder: Path, tmp_path: Path) -> None:
    world = World(copied(data_folder, tmp_path / "data"), queue_entries_per_partner_max=2)
    world.know_clients()
    gate = world.installation.gate

    async def ask_too_often() -> list[object]:
        waiting = [asyncio.ensure_future(gate.release(world.item_ask("JPN", "x"))) for _ in range(3)]
        while not any(one.done() for one in waiting):
            await asyncio.sleep(0)
        other = asyncio.ensure_future(gate.release(world.item_ask("AUS", "x")))
        await asyncio.sleep(0)
        gate.start()
        return await asyncio.gather(other, *waiting, return_exceptions=True)

    answers = asyncio.run(ask_too_often())
    gate.stop()
    assert isinstance(answers[0], Released)
    assert sorted(type(one).__name__ for one in answers[1:]) == ["Busy", "Released", "Released"]
    world.close()
