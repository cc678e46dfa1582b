"""`entente items calendar`: an officer's look at what items' own dates will do."""

from __future__ import annotations

import json
from pathlib import Path

from service.identity.clients import Role
from service.store import logs
from tests.cli.conftest import Home, made

ITEM = {
    "ref": "dated/1",
    "marking": "SECRET//REL TO USA, JPN",
    "categories": ["MARITIME"],
    "portions": [{"kind": "text", "marking": "(S//REL TO USA, JPN)", "text": "x", "not_before": {"*": "2099-01-01"}}],
}


def test_it_says_what_begins_and_for_whom_and_is_on_record(tmp_path: Path) -> None:
    # Without the demo, whose items have dates of their own, of which one is tomorrow some day.
    home = Home(made(tmp_path / "data", lambda installation: installation.registry.add("an-officer", Role.OFFICER)))
    officer = home.token("an-officer")
    assert home.run("items", "import", "-", stdin=json.dumps(ITEM).encode(), token=officer).exit_code == 0
    nothing = home.run("items", "calendar", "--days", "1", token=officer)
    assert nothing.exit_code == 0
    assert "no label changes by itself in the next 1 days" in nothing.stdout
    listed = home.run("items", "calendar", "--days", "3660", "--json", token=officer)
    assert listed.exit_code == 0
    assert sorted(json.loads(listed.stdout)) == ["dates", "since", "undated", "undated_total", "until"]
    with home.opened() as installation, installation.database.reading() as connection:
        assert len(logs.records_of(connection, "officers", ["look.calendar"])) == 2


def test_it_needs_an_officers_token(demo: Home) -> None:
    assert demo.run("items", "calendar").exit_code == 1
    refused = demo.run("items", "calendar", token=demo.token("demo-jpn"))
    assert refused.exit_code == 1
    assert "role `officer`" in refused.stderr
    assert demo.run("items", "calendar", "--days", "0", token=demo.token("demo-officer")).exit_code == 2
