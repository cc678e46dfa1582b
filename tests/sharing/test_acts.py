"""Acts: all of it happens, with its leaf, or none; each later than all that was said before it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from service.errors import Broken, Conflict, Rejected, ServiceError
from service.identity.clients import Role
from service.labels.label import Label
from service.sharing.acts import Act
from service.sharing.catalogue import store_items, withdraw
from service.sharing.intake import read_item
from service.sharing.ledger import OFFICERS
from service.sharing.verification import verify_all
from service.store import logs, policies
from service.store.tables import FOREVER
from tests.support.store_bundles import IND_CONFIDENTIAL, JPN_SECRET, OPEN, bundle_files
from tests.support.store_world import OFFICER, World, item, text_portion, title
from tests.support.two_officers import relabel_as_two, relabel_within


class Stopped(Exception):
    """Raised within an act, to see what is left of it."""


def officers(world: World) -> list[logs.StoredRow]:
    with world.installation.database.reading() as connection:
        head = logs.head(connection, OFFICERS)
        assert head is not None
        return list(logs.entries(connection, head.id))


@pytest.fixture
def item_id(world: World) -> str:
    outcome = world.store(item("plan", title("Plan"), text_portion("text", "(S//REL TO USA, JPN)")))
    return outcome.item_id or ""


# --- all or nothing -----------------------------------------------------------------------------------------------------


def _stores(world: World, act: Act, item_id: str) -> None:
    draft = read_item(
        item("another", text_portion("new", "(C//REL TO USA, AUS)")), bundle=act.policy().bundle, at=world.clock(), find_file=lambda _: None
    )  # type: ignore[arg-type,return-value]
    store_items(act, [draft])


def _relabels(world: World, act: Act, item_id: str) -> None:
    relabel_within(act, item_id, "(C//REL TO USA, IND)")


def _withdraws(world: World, act: Act, item_id: str) -> None:
    withdraw(act, item_id, reason="r")


def _suspends(world: World, act: Act, item_id: str) -> None:
    policies.suspend(act.connection, "JPN", act=act.number)
    state = act.policy()
    act.upkeep(replace(state, suspended=frozenset({"JPN"}))).policy_changed()


@pytest.mark.parametrize("what", [_stores, _relabels, _withdraws, _suspends])
def test_an_exception_leaves_everything_as_it_was(world: World, item_id: str, what: Callable[[World, Act, str], None]) -> None:
    """Every row of every table, and what this worker knows of labels and policy."""
    page = world.page("JPN", recorded=False)
    before, known = world.everything(), dict(world.installation.world.labels)
    ids, state = dict(world.installation.world.label_ids), world.installation.world.known()
    with pytest.raises(Stopped), world.installation.acts.act("test", OFFICER) as act:
        what(world, act, item_id)
        raise Stopped
    assert world.everything() == before
    assert dict(world.installation.world.labels) == known
    assert dict(world.installation.world.label_ids) == ids
    assert world.installation.world.known() == state
    assert world.page("JPN", recorded=False) == page


def test_a_label_of_a_failed_act_gives_its_number_to_another_and_nobody_mixes_them_up(world: World) -> None:
    """SQLite gives the number again; a worker that remembered the first label would decide on it."""
    first, second = Label("SECRET", ("CYBER",), ("JPN", "USA"), originators=("USA",)), Label("SECRET", ("CYBER",), (), originators=("USA",))
    with pytest.raises(Stopped), world.installation.acts.act("test", OFFICER) as act:
        act.intern({first.digest(): first})
        raise Stopped
    stored = world.store({"ref": "r", "label": second.to_json(), "portions": [{"kind": "text", "text": "t", "label": second.to_json()}]})
    assert stored.result == "stored"
    assert world.item("JPN", stored.item_id or "") is None
    assert first not in world.installation.world.labels.values()
    assert second in world.installation.world.labels.values()


@pytest.mark.parametrize(
    ("call", "code"),
    [
        pytest.param(lambda world, one: world.withdraw("absent"), "no-item", id="withdraw what is not there"),
        pytest.param(lambda world, one: world.relabel("absent", "(U)"), "no-item", id="relabel what is not there"),
        pytest.param(lambda world, one: world.relabel(one, "(U)", portion="absent"), "no-portion", id="relabel no portion"),
        pytest.param(lambda world, one: world.relabel(one, "(S//REL TO USA, XXX)"), "unknown-code", id="relabel for nobody known"),
        pytest.param(lambda world, one: world.relabel(one, "(S//"), "malformed-marking", id="relabel with no marking"),
        pytest.param(lambda world, one: world.relabel(one, None), "marking", id="relabel with nothing"),
        pytest.param(lambda world, one: world.relabel(one, "(U)", label={}), "marking", id="relabel with two"),
        pytest.param(lambda world, one: world.relabel(one, None, label={"level": "SECRET"}), "label", id="relabel with half a label"),
        pytest.param(lambda world, one: world.suspend("XXX"), "no-partner", id="suspend nobody"),
        pytest.param(lambda world, one: world.resume("JPN"), "suspension", id="resume who is not suspended"),
        pytest.param(lambda world, one: world.store(item("plan", text_portion("x"))), "ref-exists", id="a ref again"),
        pytest.param(
            lambda world, one: world.store(item("plan", text_portion("x")), item_id="absent"), "no-item", id="a version of nothing"
        ),
        pytest.param(
            lambda world, one: world.installation.registry.add("jpn-of-the-tests", Role.AUDITOR), "client-exists", id="a name again"
        ),
    ],
)
def test_an_act_that_is_refused_changes_nothing_and_says_why(
    world: World, item_id: str, call: Callable[[World, str], Any], code: str
) -> None:
    before = world.everything()
    with pytest.raises(ServiceError) as refused:
        call(world, item_id)
    assert isinstance(refused.value, Rejected)
    assert refused.value.code == code
    assert world.everything() == before


def test_nothing_can_be_done_with_what_is_withdrawn(world: World, item_id: str) -> None:
    world.withdraw(item_id)
    before = world.everything()
    for call in (
        lambda: world.withdraw(item_id),
        lambda: world.relabel(item_id, "(U)"),
        lambda: world.store(item("plan", text_portion("x")), item_id=item_id),
    ):
        with pytest.raises(Conflict) as refused:
            call()
        assert refused.value.code == "withdrawn"
    assert world.everything() == before


# --- number and time ------------------------------------------------------------------------------------------------------


def test_each_act_has_the_next_number_and_a_later_time_whatever_the_clock_does(world: World, item_id: str) -> None:
    seen = []
    for step in (0, 0, -3600, 5, -86400, 0):
        world.clock.now += timedelta(seconds=step)
        world.relabel(item_id, "(U)")
        with world.installation.database.reading() as connection:
            fence = policies.fence(connection)
        row = officers(world)[-1]
        assert (row.at, json.loads(row.record)["act"]) == (fence.at, fence.act)
        seen.append((fence.act, fence.at))
    assert [number for number, _ in seen] == list(range(seen[0][0], seen[0][0] + 6))
    assert all(one[1] < other[1] for one, other in pairwise(seen))


def test_an_act_is_later_than_anything_any_log_has_said(world: World, item_id: str) -> None:
    """So that no bookmark lies beyond what it shows."""
    world.clock.advance(hours=2)
    asked = world.ask(world.item_ask("AUS", item_id)).entry.at
    world.clock.advance(hours=-1)
    world.relabel(item_id, "(C//REL TO USA, JPN)")
    with world.installation.database.reading() as connection:
        assert policies.fence(connection).at > asked


def test_looks_and_clients_raise_no_fence(world: World, item_id: str) -> None:
    with world.installation.database.reading() as connection:
        before = policies.fence(connection)
    entry = world.installation.acts.look("look.audience", OFFICER, [item_id], {"why": "a test"})
    world.installation.registry.add("another", Role.AUDITOR)
    with world.installation.database.reading() as connection:
        after = policies.fence(connection)
    assert (after.act, after.at, after.clients) == (before.act, before.at, before.clients + 1)
    look, added = officers(world)[-2:]
    assert (look.event_id, look.type, added.type) == (entry.event_id, "look.audience", "client.add")
    assert json.loads(look.record)["details"] == {"why": "a test"}
    assert json.loads(look.leaf)["items"] == [{"id": item_id}]
    assert b"why" not in look.leaf


def test_an_act_is_asked_for_its_leaf_only_once_it_is_over(world: World) -> None:
    with world.installation.acts.act("test", OFFICER) as act, pytest.raises(Broken):
        act.event_id()
    assert act.event_id() == officers(world)[-1].event_id


def test_without_a_policy_nothing_can_be_stored(tmp_path: Any) -> None:
    world = World(tmp_path / "data")
    with pytest.raises(Broken, match="publish one"):
        world.store(item("r", text_portion("x")))
    with pytest.raises(Broken, match="publish one"):
        world.client("JPN")
    world.close()


# --- what acts do -----------------------------------------------------------------------------------------------------------


def test_a_relabelled_portion_goes_to_whom_its_new_label_lets_it_go(world: World, item_id: str) -> None:
    portion = world.item("JPN", item_id)["portions"][0]["id"]  # type: ignore[index]
    relabel_as_two(world.installation, item_id, "(C//REL TO USA, IND)", portion=portion)
    assert world.item("JPN", item_id)["portions"] == []  # type: ignore[index]
    assert [one["text"] for one in world.item("IND", item_id)["portions"]] == ["text"]  # type: ignore[index]
    row = officers(world)[-1]
    change = json.loads(row.record)["details"]["labels"][portion]
    assert (change["before"]["level"], change["after"]["level"]) == ("SECRET", "CONFIDENTIAL")
    assert change["after"]["categories"] == ["MARITIME"]


def test_relabelling_takes_the_dates_of_the_old_label_with_it(world: World) -> None:
    stored = world.store(item("dated", text_portion("x", "(S//REL TO USA, JPN)", declassify_on="2026-12-01")))
    world.relabel(stored.item_id or "", "(S//NF)")
    with world.installation.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT from_at, until FROM portion_label ORDER BY from_at").all()
    assert [until for _, until in rows][-1] == FOREVER
    world.clock.advance(days=30)
    assert world.item("JPN", stored.item_id or "") is None


def test_an_installation_in_which_all_this_happened_verifies(world: World, item_id: str) -> None:
    world.item("JPN", item_id)
    world.suspend("JPN")
    world.item("JPN", item_id)
    world.resume("JPN")
    world.store(item("plan", title("Plan"), text_portion("corrected", "(S//REL TO USA, JPN)")), item_id=item_id)
    world.page("JPN")
    world.publish(bundle_files([OPEN, JPN_SECRET, IND_CONFIDENTIAL]))
    world.withdraw(item_id)
    world.page("JPN")
    report = verify_all(world.installation)
    assert report.problem is None
