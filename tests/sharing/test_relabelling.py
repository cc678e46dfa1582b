"""Other labels: at once where that narrows, by two officers where anything widens, within rights, and void where something came between."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.errors import BeyondRights, Conflict, Rejected, SecondOfficer
from service.identity.clients import Role
from service.identity.rights import Rights
from service.sharing import relabelling
from service.sharing.acts import MACHINE, Actor
from service.sharing.item_calendar import calendar_of_items
from service.sharing.label_history import label_history_of
from service.sharing.relabelling import Done, Event, Pending, Relabel
from service.sharing.verification import verify_all
from service.store import logs, policies
from tests.support.personal import record_in_words
from tests.support.store_bundles import IND_CONFIDENTIAL, JPN_SECRET, OPEN, bundle_files
from tests.support.store_world import INDEX_OF_LOGS, START, World, item, text_portion, title
from tests.support.two_officers import FIRST, publish_as_two, relabel_as_two, second_officer

JAPAN = "(S//REL TO USA, JPN)"
INDIA = "(C//REL TO USA, IND)"


@pytest.fixture
def first(world: World) -> Actor:
    return second_officer(world.installation, FIRST)


@pytest.fixture
def second(world: World) -> Actor:
    return second_officer(world.installation)


@pytest.fixture
def item_id(world: World) -> str:
    stored = world.store(item("r/1", title("A title"), text_portion("one", JAPAN), text_portion("two", JAPAN)))
    assert stored.item_id is not None
    return stored.item_id


def proposed(world: World, asked: relabelling.Wanted, actor: Actor) -> Pending:
    done = relabelling.relabel(world.installation, asked, actor)
    assert isinstance(done, Pending)
    return done


def seen(planned: relabelling.Planned) -> dict[str, list[tuple[str, str, str, list[str]]]]:
    """By moment: (partner, outcome before, outcome after, rules after) for no purpose."""
    return {
        moment["from"][:10]: [
            (one["partner"], one["before"]["outcome"], one["after"]["outcome"], one["after"]["rules"])
            for one in moment["partners"]
            if one["purpose"] == "none"
        ]
        for moment in planned.difference
    }


# --- one officer, or two --------------------------------------------------------------------------------------------------


def test_what_narrows_is_done_at_once(world: World, item_id: str, first: Actor) -> None:
    done = relabelling.relabel(world.installation, Relabel(item_id, "too much", "(S//NF)"), first)
    assert isinstance(done, Done)
    assert done.planned.reasons == ()
    assert seen(done.planned)["now"][:1] == [("AUS", "in_part", "withhold", [])]
    assert world.item("JPN", item_id) is None


def test_what_widens_waits_for_another_officer_and_shows_who_would_see_it(world: World, item_id: str, first: Actor, second: Actor) -> None:
    portion = world.item("JPN", item_id)["portions"][0]["id"]  # type: ignore[index]
    pending = proposed(world, Relabel(item_id, "to India", INDIA, portion=portion), first)
    assert pending.planned.reasons == (
        "the level is lowered from `SECRET` to `CONFIDENTIAL`",
        "`IND` is added to the audience for release",
        "`IND` is added to the audience for display",
    )
    # Japan loses the portion that India gains; both go on seeing the title.
    assert seen(pending.planned) == {
        "now": [("IND", "in_part", "in_part", ["AGR-0001", "AGR-0003"]), ("JPN", "release", "in_part", ["AGR-0001", "AGR-0002"])]
    }
    assert len(world.item("IND", item_id)["portions"]) == 0  # type: ignore[index]
    done = relabelling.approve(world.installation, pending.proposal.id, second, timeline=pending.planned.digest)
    assert [one["text"] for one in world.item("IND", item_id)["portions"]] == ["one"]  # type: ignore[index]
    assert [one["text"] for one in world.item("JPN", item_id)["portions"]] == ["two"]  # type: ignore[index]
    with world.installation.database.reading() as connection:
        row = logs.entry(connection, done.entry.event_id)
        assert row is not None
        details = record_in_words(connection, row)["details"]
    assert (details["proposed_by"], details["approved_by"], details["reason"]) == (first.client, second.client, "to India")
    assert verify_all(world.installation).ok


@pytest.mark.parametrize(
    ("marking", "label"),
    [
        pytest.param("(C//REL TO USA, JPN)", None, id="a lower level"),
        pytest.param("(S//REL TO USA, IND, JPN)", None, id="a wider audience"),
        pytest.param("(S//REL TO USA, QUAD)", None, id="a community in place of a member"),
        pytest.param(None, {"categories": ["CYBER"]}, id="a category dropped"),
        pytest.param(None, {"originators": ["AUS"]}, id="an originator dropped"),
    ],
)
def test_whatever_is_wider_in_one_respect_takes_two(
    world: World, item_id: str, first: Actor, marking: str | None, label: dict[str, Any] | None
) -> None:
    whole = {"level": "SECRET", "categories": ["MARITIME"], "releasable_to": ["JPN", "USA"], "caveats": [], "originators": ["USA"]}
    portion = world.item("JPN", item_id)["portions"][0]["id"]  # type: ignore[index]
    asked = Relabel(item_id, "r", marking, None if label is None else {**whole, **label}, portion)
    assert isinstance(relabelling.relabel(world.installation, asked, first), Pending)


def test_the_difference_is_told_for_every_date_ahead(world: World, first: Actor) -> None:
    later = IND_CONFIDENTIAL.replace("2020-01-01, ,", "2027-02-01, ,")
    world.publish(bundle_files([OPEN, JPN_SECRET, later]))
    dated = text_portion("x", "(S//REL TO USA, JPN)", downgrade_on={"at": "2027-03-01", "level": "CONFIDENTIAL"})
    stored = world.store(item("d/1", dated))
    pending = proposed(world, Relabel(stored.item_id or "", "r", "(C//REL TO USA, IND, JPN)"), first)
    assert seen(pending.planned) == {
        "now": [],
        "2027-02-01": [("IND", "withhold", "release", ["AGR-0003"])],
    }


def test_a_dry_run_does_nothing_and_is_on_record(world: World, item_id: str, first: Actor) -> None:
    def beside_the_logs() -> dict[str, list[tuple[object, ...]]]:
        return {name: rows for name, rows in world.everything().items() if not name.startswith("log") and name not in INDEX_OF_LOGS}

    before = beside_the_logs()
    planned, entry = relabelling.foreseen(world.installation, Relabel(item_id, "r", INDIA), first)
    assert beside_the_logs() == before
    with world.installation.database.reading() as connection:
        row = logs.entry(connection, entry.event_id)
    assert row is not None
    assert json.loads(row.leaf)["type"] == "look.relabel"
    pending = proposed(world, Relabel(item_id, "r", INDIA), first)
    assert planned.digest == pending.planned.digest


# --- who may -----------------------------------------------------------------------------------------------------------------


def test_nobody_approves_his_own_nor_does_the_machine(world: World, item_id: str, first: Actor) -> None:
    pending = proposed(world, Relabel(item_id, "r", INDIA), first)
    for actor in (first, Actor(MACHINE, "cli"), Actor("c_nobody", "/v1/officer")):
        with pytest.raises(SecondOfficer):
            relabelling.approve(world.installation, pending.proposal.id, actor)
    with pytest.raises(BeyondRights, match="no client of role"):
        relabelling.relabel(world.installation, Relabel(item_id, "r", "(S//NF)"), Actor(MACHINE, "cli"))


def limited(world: World, name: str, **rights: Any) -> Actor:
    client, _ = world.installation.registry.add(name, Role.OFFICER, issuer="https://idp.test", subject=name, rights=Rights(**rights))
    return Actor(client.id, "/v1/officer")


@pytest.mark.parametrize(
    ("rights", "marking", "lacking"),
    [
        pytest.param({"level": "CONFIDENTIAL"}, "(C//NF)", "the old label of text", id="the old level"),
        pytest.param({"categories": ("CYBER",)}, "(S//NF)", "category `MARITIME` is not among `CYBER`", id="a category"),
        pytest.param({"originators": ("JPN",)}, "(S//NF)", "originator `USA` is not among `JPN`", id="an originator"),
        pytest.param({"categories": ()}, "(S//NF)", "category `MARITIME` is not among any", id="no category at all"),
    ],
)
def test_it_takes_the_right_under_the_old_and_the_new_label(
    world: World, item_id: str, rights: dict[str, Any], marking: str, lacking: str
) -> None:
    portion = world.item("JPN", item_id)["portions"][0]["id"]  # type: ignore[index]
    actor = limited(world, "limited", **rights)
    with pytest.raises(BeyondRights, match=lacking):
        relabelling.relabel(world.installation, Relabel(item_id, "r", marking, portion=portion), actor)
    with world.installation.database.reading() as connection:
        (refusal,) = logs.records_of(connection, "officers", ["item.refused"])
    assert json.loads(refusal[2])["details"]["act"] == "item.relabel"
    assert world.item("JPN", item_id) is not None


def test_the_new_label_counts_too_and_so_do_the_approvers_rights(world: World, first: Actor) -> None:
    stored = world.store(item("n/1", text_portion("x", "(C//REL TO USA, JPN)")))
    assert stored.item_id is not None
    confidential = limited(world, "confidential", level="CONFIDENTIAL")
    with pytest.raises(BeyondRights, match=r"the new label of text .*: level `SECRET` is beyond `CONFIDENTIAL`"):
        relabelling.relabel(world.installation, Relabel(stored.item_id, "r", "(S//NF)"), confidential)
    pending = proposed(world, Relabel(stored.item_id, "r", "(S//REL TO USA, IND)"), first)
    with pytest.raises(BeyondRights, match="the new label"):
        relabelling.approve(world.installation, pending.proposal.id, confidential)
    assert isinstance(relabelling.relabel(world.installation, Relabel(stored.item_id, "r", "(C//NF)"), confidential), Done)


@pytest.mark.parametrize(
    ("role", "rights", "code"),
    [
        pytest.param(Role.OFFICER, {"level": "COSMIC"}, "unknown-level", id="a level"),
        pytest.param(Role.OFFICER, {"categories": ("MARITIM",)}, "unknown-category", id="a category"),
        pytest.param(Role.OFFICER, {"originators": ("XXX",)}, "unknown-originator", id="an originator"),
        pytest.param(Role.AUDITOR, {"level": "SECRET"}, "client", id="another role"),
    ],
)
def test_rights_are_names_that_the_policy_holds_and_an_officers(world: World, role: Role, rights: dict[str, Any], code: str) -> None:
    with pytest.raises(Rejected) as refused:
        world.installation.registry.add("limited", role, issuer="https://idp.test", subject="limited", rights=Rights(**rights))
    assert refused.value.code == code


# --- what makes it void -----------------------------------------------------------------------------------------------------


def _version(world: World, item_id: str) -> None:
    world.store(item("r/1", text_portion("one", JAPAN), text_portion("other", JAPAN)), item_id=item_id)


def _narrowed(world: World, item_id: str) -> None:
    relabel_as_two(world.installation, item_id, "(S//NF)")


def _published(world: World, item_id: str) -> None:
    publish_as_two(world.installation, bundle_files([OPEN, JPN_SECRET]), second_officer(world.installation, FIRST))


@pytest.mark.parametrize(
    ("change", "state"),
    [
        pytest.param(_version, "void", id="another version"),
        pytest.param(_narrowed, "void", id="other labels"),
        pytest.param(_published, "void", id="another policy"),
        pytest.param(lambda world, item_id: world.withdraw(item_id), "void", id="withdrawn"),
    ],
)
def test_an_act_that_comes_between_makes_it_void(
    world: World, item_id: str, first: Actor, second: Actor, change: Callable[[World, str], None], state: str
) -> None:
    pending = proposed(world, Relabel(item_id, "r", INDIA), first)
    world.clock.advance(minutes=1)
    change(world, item_id)
    with world.installation.database.reading() as connection:
        found = policies.proposal_by_id(connection, pending.proposal.id)
    assert found is not None
    assert found.state == state
    with pytest.raises(Conflict) as refused:
        relabelling.approve(world.installation, pending.proposal.id, second)
    assert refused.value.code == "no-proposal"


def test_a_date_that_comes_between_makes_it_void_on_record(world: World, first: Actor, second: Actor) -> None:
    dated = text_portion("x", "(S//REL TO USA, JPN)", downgrade_on={"at": "2026-12-01", "level": "CONFIDENTIAL"})
    stored = world.store(item("d/1", dated))
    pending = proposed(world, Relabel(stored.item_id or "", "r", "(C//REL TO USA, IND, JPN)"), first)
    world.clock.now = datetime(2026, 12, 2, tzinfo=UTC)
    with pytest.raises(Conflict, match="would do something else by now") as refused:
        relabelling.approve(world.installation, pending.proposal.id, second)
    assert refused.value.code == "timeline-changed"
    with world.installation.database.reading() as connection:
        assert len(logs.records_of(connection, "officers", ["item.void"])) == 1


def test_another_item_does_not(world: World, item_id: str, first: Actor, second: Actor) -> None:
    pending = proposed(world, Relabel(item_id, "r", INDIA), first)
    world.store(item("other", text_portion("x")))
    world.suspend("IND")
    world.clock.advance(days=1)
    relabelling.approve(world.installation, pending.proposal.id, second)


def test_another_timeline_is_not_approved_and_what_was_withdrawn_waits_no_more(
    world: World, item_id: str, first: Actor, second: Actor
) -> None:
    pending = proposed(world, Relabel(item_id, "r", INDIA), first)
    with pytest.raises(Conflict, match="the timeline proposed is"):
        relabelling.approve(world.installation, pending.proposal.id, second, timeline="0" * 64)
    waiting, _ = relabelling.waiting(world.installation, second, after=0, limit=10)
    assert [(one.proposal.id, one.reason) for one in waiting] == [(pending.proposal.id, "r")]
    relabelling.withdraw_proposal(world.installation, pending.proposal.id, second, reason="no")
    assert relabelling.waiting(world.installation, second, after=0, limit=10)[0] == []
    with pytest.raises(Conflict, match="it is withdrawn"):
        relabelling.approve(world.installation, pending.proposal.id, second)


def test_proposed_again_the_earlier_one_is_void(world: World, item_id: str, first: Actor, second: Actor) -> None:
    earlier = proposed(world, Relabel(item_id, "r", INDIA), first)
    proposed(world, Relabel(item_id, "r", "(C//REL TO USA, JPN)"), first)
    with pytest.raises(Conflict, match="it is void"):
        relabelling.approve(world.installation, earlier.proposal.id, second)


# --- events ---------------------------------------------------------------------------------------------------------------------


def test_an_event_lowers_what_waits_for_it_and_nothing_else(world: World, first: Actor, second: Actor) -> None:
    waits = {"declassify_on": {"event": "the end of Keen"}}
    embargoed = text_portion("embargoed", "(S//REL TO USA, AUS)", not_before={"*": "2027-01-01"}, **waits)
    one = world.store(item("e/1", text_portion("a", "(S//REL TO USA, IND)", **waits), text_portion("b", JAPAN)))
    two = world.store(item("e/2", embargoed, text_portion("c", JAPAN, declassify_on={"exemption": "25X1"})))
    pending = proposed(world, Event("the end of Keen", "Order 7"), first)
    assert {one.item_id for one in pending.planned.moved} == {one.item_id, two.item_id}
    assert len(pending.planned.reasons) == 2
    assert all("is lowered from `SECRET` to `UNCLASSIFIED`" in line for line in pending.planned.reasons)
    gained = {day: sorted(line[0] for line in lines) for day, lines in seen(pending.planned).items()}
    assert gained == {"now": ["IND"], "2027-01-01": ["AUS", "IND"]}
    relabelling.approve(world.installation, pending.proposal.id, second, timeline=pending.planned.digest)
    assert [one["text"] for one in world.item("IND", one.item_id or "")["portions"]] == ["a"]  # type: ignore[index]
    assert world.item("AUS", two.item_id or "") is None
    assert [one["declassify_on"] for one in calendar_of_items(world.installation, first, days=1)[0]["undated"]] == [{"exemption": "25X1"}]
    with pytest.raises(Conflict, match="no portion in force waits"):
        relabelling.relabel(world.installation, Event("the end of Keen", "again"), first)
    world.clock.now = datetime(2027, 1, 2, tzinfo=UTC)
    assert [one["text"] for one in world.item("AUS", two.item_id or "")["portions"]] == ["embargoed"]  # type: ignore[index]


def test_an_event_to_come_counts_from_its_time(world: World, first: Actor, second: Actor) -> None:
    stored = world.store(item("e/1", text_portion("a", "(S//REL TO USA, IND)", declassify_on={"event": "the end"})))
    at = relabelling.read_time("2026-12-24")
    pending = proposed(world, Event("the end", "Order 7", at), first)
    relabelling.approve(world.installation, pending.proposal.id, second)
    assert world.item("IND", stored.item_id or "") is None
    world.clock.now = datetime(2026, 12, 24, tzinfo=UTC)
    assert world.item("IND", stored.item_id or "") is not None


# --- history ----------------------------------------------------------------------------------------------------------------------


def test_the_history_says_from_when_until_when_by_whom_and_why(world: World, first: Actor, second: Actor) -> None:
    dated = text_portion("x", "(S//REL TO USA, JPN)", downgrade_on={"at": "2026-11-24", "level": "CONFIDENTIAL"})
    stored = world.store(item("h/1", dated))
    world.clock.advance(days=3)
    relabel_as_two(world.installation, stored.item_id or "", "(U)")
    world.clock.advance(days=1)
    relabel_as_two(world.installation, stored.item_id or "", "(C//NF)")
    (line,), _ = label_history_of(world.installation, first, stored.item_id or "")
    assert (line["kind"], line["marking"]) == ("text", "(S//REL TO USA, JPN)")
    told = [
        (one["from"][:10], one.get("until", "")[:10], one["label"]["level"], one["act"], one.get("approver"), one.get("reason"))
        for one in line["labels"]
    ]
    assert told == [
        ("2026-11-22", "2026-11-24", "SECRET", "item.create", None, None),
        ("2026-11-24", "2026-11-25", "CONFIDENTIAL", "date", None, None),
        ("2026-11-25", "2026-11-26", "UNCLASSIFIED", "item.relabel", second.client, "a test"),
        ("2026-11-26", "", "CONFIDENTIAL", "item.relabel", None, "a test"),
    ]
    assert line["labels"][2]["client"] == first.client


# --- either database --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def either(database_url: str, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "either", url=database_url)
    made.publish(bundle_files())
    yield made
    made.close()


def test_it_is_the_same_in_either_database(either: World) -> None:
    stored = either.store(item("r/1", text_portion("one", JAPAN, declassify_on={"event": "the end"})))
    item_id = stored.item_id or ""
    relabel_as_two(either.installation, item_id, INDIA)
    assert either.item("IND", item_id) is not None
    first, second = second_officer(either.installation, FIRST), second_officer(either.installation)
    other = either.store(item("r/2", text_portion("two", JAPAN, declassify_on={"event": "the end"})))
    pending = proposed(either, Event("the end", "r"), first)
    assert {one.item_id for one in pending.planned.moved} == {other.item_id}
    relabelling.approve(either.installation, pending.proposal.id, second)
    (line,), _ = label_history_of(either.installation, first, item_id)
    assert [one["act"] for one in line["labels"]] == ["item.create", "item.relabel"]
    assert either.clock.now == START
