"""Clients: registered once, checked against the policy in force, known to every worker at its next request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.errors import Conflict, Rejected
from service.identity.clients import Role
from tests.support.store_world import START, Clock, World, item, title


def test_a_client_comes_with_a_secret_that_is_told_once_and_kept_only_as_a_hash(world: World) -> None:
    client, secret = world.installation.registry.add("new", Role.PARTNER, partner="JPN", purposes=["EXERCISE-KEEN", "EXERCISE-KEEN"])
    assert secret is not None
    assert (client.issuer, client.subject, client.purposes) == (world.installation.instance.name, client.id, ("EXERCISE-KEEN",))
    assert world.installation.registry.named("new") == client
    assert secret not in repr(world.everything())
    world.installation.directory.refresh()
    assert world.installation.secrets.authenticate(client.id, secret, now=world.clock()) == client


def test_a_client_of_another_issuer_has_no_secret_from_us(world: World) -> None:
    client, secret = world.installation.registry.add("outside", Role.AUDITOR, issuer="https://idp.example", subject="s-1")
    assert secret is None
    assert (client.issuer, client.subject, client.secret_hash) == ("https://idp.example", "s-1", None)
    world.installation.directory.refresh()
    assert world.installation.directory.find("https://idp.example", "s-1") == client
    assert world.installation.directory.find("https://idp.example", client.id) is None


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param({"name": "a", "role": Role.PARTNER, "partner": "XXX"}, "unknown-partner", id="a partner that is none"),
        pytest.param({"name": "a", "role": Role.PARTNER, "partner": "QUAD"}, "unknown-partner", id="a community"),
        pytest.param({"name": "a", "role": Role.PARTNER, "partner": "JPN", "purposes": ["OTHER"]}, "unknown-purpose", id="a purpose"),
        pytest.param({"name": "a", "role": Role.PARTNER}, "client", id="no partner"),
        pytest.param({"name": "a", "role": Role.OFFICER, "partner": "JPN"}, "client", id="an officer of a partner"),
        pytest.param({"name": "", "role": Role.OFFICER}, "client", id="no name"),
        pytest.param({"name": "a", "role": Role.OFFICER, "issuer": "https://idp"}, "external-client", id="an issuer alone"),
        pytest.param({"name": "a", "role": Role.OFFICER, "subject": "s"}, "external-client", id="a subject alone"),
    ],
)
def test_what_is_not_a_client_is_refused_and_nothing_changes(world: World, arguments: dict[str, Any], code: str) -> None:
    before = world.everything()
    with pytest.raises(Rejected) as refused:
        world.installation.registry.add(**arguments)
    assert refused.value.code == code
    assert world.everything() == before


def test_a_name_that_is_nobodys_is_refused(world: World) -> None:
    with pytest.raises(Conflict) as refused:
        world.installation.registry.named("nobody")
    assert refused.value.code == "no-client"


def test_a_new_purpose_has_a_list_of_its_own_at_once(world: World) -> None:
    world.store(item("open", title("open")))
    asker = world.clients["JPN"]
    assert world.page("JPN", purpose="EXERCISE-KEEN")["items"] == []
    world.installation.registry.add("more", Role.PARTNER, partner="JPN", purposes=["EXERCISE-KEEN"])
    assert [line["title"] for line in world.page("JPN", purpose="EXERCISE-KEEN")["items"]] == ["open"]
    assert world.clients["JPN"] == asker


def test_another_worker_knows_a_new_client_at_its_next_look(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "data", clock=Clock(START))
    client, _ = world.installation.registry.add("new", Role.PARTNER, partner="JPN")
    assert other.installation.directory.by_id(client.id) is None
    other.installation.directory.refresh()
    assert other.installation.directory.by_id(client.id) == client
    other.close()
