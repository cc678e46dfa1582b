"""What waits in quarantine: told word by word, settled by a decision or a corrected version, and never half decided."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import BeyondRights, Conflict, Rejected
from service.identity.clients import Role
from service.identity.rights import Rights
from service.sharing import quarantine
from service.sharing.acts import Actor
from service.sharing.label_history import label_history_of
from service.store import catalogue
from tests.support.store_world import World, item, text_portion, title
from tests.support.two_officers import FIRST, relabel_as_two, second_officer


@pytest.fixture
def officer(world: World) -> Actor:
    return second_officer(world.installation, FIRST)


def waiting(world: World) -> list[tuple[str, int, str]]:
    with world.installation.database.reading() as connection:
        return [(one.ref, one.version, one.reason) for one in catalogue.quarantined(connection, after=(0, 0), limit=100)]


def held(world: World, *portions: dict[str, Any], **more: Any) -> str:
    outcome = world.store({**item("q/1", *portions), **more})
    assert (outcome.result, outcome.item_id is None) == ("quarantined", False)
    return outcome.item_id or ""


def test_every_marking_is_told_word_by_word_with_its_place(world: World, officer: Actor) -> None:
    value = {"kind": "json", "marking": "(U)", "value": {"a": 1, "b": 2}, "markings": {"/a": "(S//XYZZY)", "/b": {"marking": "(U)"}}}
    held(world, title("T"), text_portion("x", "(SECRT)", tear_line=[{"marking": "(U)", "text": "y"}]), value)
    rows, _ = quarantine.waiting(world.installation, officer, after=(0, 0), limit=10)
    assert [(one["portion"], one["kind"], one["marking"]) for one in quarantine.markings_of(rows[0])][1:] == [
        ("0", "title", "(U)"),
        ("1", "text", "(SECRT)"),
        ("1.tear_line.0", "text", "(U)"),
        ("2", "json", "(U)"),
        ("2/a", "json", "(S//XYZZY)"),
        ("2/b", "json", "(U)"),
    ]


def test_a_decision_puts_it_in_force_as_if_it_had_come_so(world: World, officer: Actor) -> None:
    item_id = held(world, title("T"), text_portion("x", "(SECRT)"))
    decided = quarantine.decide(world.installation, item_id, officer, portion="1", marking="(S//REL TO USA, JPN)", reason="a slip")
    assert decided.version == 2
    assert [one["text"] for one in world.item("JPN", item_id)["portions"]] == ["x"]  # type: ignore[index]
    assert waiting(world) == []
    lines, _ = label_history_of(world.installation, officer, item_id)
    assert {(one["labels"][0]["act"], one["labels"][0]["reason"]) for one in lines} == {("item.relabel", "a slip")}


def test_a_decision_opens_nothing_that_is_in_force(world: World, officer: Actor) -> None:
    """Else a version that came unmarked would be the way round the second officer."""
    item_id = world.store(item("q/1", title("T"), text_portion("x", "(S//NF)"))).item_id or ""
    assert world.store(item("q/1", title("T"), text_portion("x", "")), item_id=item_id).result == "quarantined"
    with pytest.raises(Conflict) as refused:
        quarantine.decide(world.installation, item_id, officer, version=2, portion="1", marking="(U)", reason="r")
    assert refused.value.code == "widens"
    assert [(ref, version) for ref, version, _ in waiting(world)] == [("q/1", 2)]
    assert len(world.item("AUS", item_id)["portions"]) == 0  # type: ignore[index]
    assert quarantine.decide(world.installation, item_id, officer, version=2, portion="1", marking="(S//NF)", reason="r").version == 3


@pytest.mark.parametrize("place", ["1.tear_line.0", "2/a"])
def test_every_place_that_is_told_can_be_decided(world: World, officer: Actor, place: str) -> None:
    markings = {"1.tear_line.0": "(U)", "2/a": "(U)", place: "(UU)"}
    value = {"kind": "json", "marking": "(U)", "value": {"a": 1}, "markings": {"/a": markings["2/a"]}}
    variant = {"marking": markings["1.tear_line.0"], "text": "y"}
    item_id = held(world, title("T"), text_portion("x", "(S//NF)", tear_line=[variant]), value)
    assert quarantine.decide(world.installation, item_id, officer, portion=place, marking="(U)", reason="r").version == 2
    assert len(world.item("AUS", item_id)["portions"]) == 2  # type: ignore[index]


def test_one_of_two_decided_the_other_still_holds_it(world: World, officer: Actor) -> None:
    item_id = held(world, text_portion("x", "(SECRT)"), text_portion("y", ""))
    decided = quarantine.decide(world.installation, item_id, officer, portion="0", marking="(U)", reason="r")
    assert (decided.version, decided.holds) == (None, ("portion 1: it bears no marking",))
    assert waiting(world) == [("q/1", 1, "portion 1: it bears no marking")]
    assert quarantine.decide(world.installation, item_id, officer, portion="1", marking="(U)", reason="r").version == 2
    assert len(world.item("AUS", item_id)["portions"]) == 2  # type: ignore[index]


def test_all_of_them_at_once(world: World, officer: Actor) -> None:
    item_id = held(world, text_portion("x", "(SECRT)"), text_portion("y", ""))
    assert quarantine.decide(world.installation, item_id, officer, marking="(U)", reason="r").version == 2
    assert waiting(world) == []


@pytest.mark.parametrize(
    ("given", "error", "code"),
    [
        pytest.param({"portion": "0", "marking": "(SECRT)"}, Conflict, "still-in-quarantine", id="no better"),
        pytest.param({"portion": "7", "marking": "(U)"}, Conflict, "no-portion", id="no such place"),
        pytest.param({"portion": "0"}, Rejected, "marking", id="nothing"),
        pytest.param({"portion": "0", "marking": "(U)", "version": 9}, Conflict, "not-in-quarantine", id="no such version"),
        pytest.param({"portion": "item", "marking": "UNCLASSIFIED"}, Conflict, "still-in-quarantine", id="another place"),
    ],
)
def test_what_settles_nothing_changes_nothing(
    world: World, officer: Actor, given: dict[str, Any], error: type[Rejected], code: str
) -> None:
    item_id = held(world, text_portion("x", "(SECRT)"))
    before = world.everything()
    with pytest.raises(error) as refused:
        quarantine.decide(world.installation, item_id, officer, reason="r", **given)
    assert refused.value.code == code
    assert world.everything() == before


def test_it_takes_the_right_under_what_it_becomes(world: World) -> None:
    item_id = held(world, text_portion("x", ""))
    client, _ = world.installation.registry.add(
        "limited", Role.OFFICER, issuer="https://idp.test", subject="l", rights=Rights(level="CONFIDENTIAL")
    )
    with pytest.raises(BeyondRights, match="a label of the new version: level `SECRET`"):
        quarantine.decide(world.installation, item_id, Actor(client.id, "cli"), portion="0", marking="(S//NF)", reason="r")
    assert len(waiting(world)) == 1


def test_a_corrected_version_settles_what_waits(world: World) -> None:
    item_id = held(world, text_portion("x", ""))
    world.store(item("q/1", text_portion("x")), item_id=item_id)
    assert waiting(world) == []
    assert world.store(item("q/1", text_portion("x", "")), item_id=item_id).result == "quarantined"
    assert [(ref, number) for ref, number, _ in waiting(world)] == [("q/1", 3)]
    world.withdraw(item_id)
    assert waiting(world) == []


def test_of_two_versions_in_one_import_a_later_one_in_quarantine_waits(world: World) -> None:
    item_id = held(world, text_portion("x", ""))
    world.store(item("q/1", text_portion("x")), item_id=item_id)
    world.store(item("q/1", text_portion("y", "")), item_id=item_id)
    relabel_as_two(world.installation, item_id, "(S//NF)")
    assert [(ref, number) for ref, number, _ in waiting(world)] == [("q/1", 3)], "another label for what is in force decides nothing"
