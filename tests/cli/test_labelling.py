"""`entente items relabel` and what belongs to it: one officer or two, quarantine, history, all in words and for programs."""

from __future__ import annotations

import json

import pytest

from service.identity.clients import Role
from tests.cli.conftest import Home

JAPAN = "(S//REL TO USA, JPN)"
ITEM = {
    "ref": "labelled/1",
    "marking": "SECRET//REL TO USA, JPN",
    "categories": ["MARITIME"],
    "portions": [{"kind": "text", "marking": JAPAN, "text": "x", "declassify_on": {"event": "the end of Keen"}}],
}


@pytest.fixture
def labelled(demo: Home) -> Home:
    with demo.opened() as installation:
        installation.registry.add("another-officer", Role.OFFICER)
    value = json.dumps(ITEM).encode()
    assert demo.run("items", "import", "-", stdin=value, token=demo.token("demo-officer")).exit_code == 0
    return demo


def test_what_narrows_is_done_and_the_history_says_why(labelled: Home) -> None:
    officer = labelled.token("demo-officer")
    done = labelled.run("items", "relabel", "labelled/1", "--marking", "(S//NF)", "--reason", "too much", token=officer)
    assert (done.exit_code, done.stdout[:12]) == (0, "done, event ")
    told = labelled.run("items", "history", "labelled/1", token=officer).stdout.splitlines()
    assert told[0].endswith(f": came as {JAPAN}")
    assert "SECRET, MARITIME, to JPN USA, from USA (item.import by c_" in told[1]
    assert told[2].endswith(": too much)")
    assert len(json.loads(labelled.run("items", "history", "labelled/1", "--json", token=officer).stdout)["portions"]) == 1


def test_what_widens_is_shown_proposed_and_approved_by_another(labelled: Home) -> None:
    officer, another = labelled.token("demo-officer"), labelled.token("another-officer")
    command = ["items", "relabel", "labelled/1", "--marking", "(S//REL TO USA, AUS, JPN)", "--reason", "to Australia"]
    shown = labelled.run(*command, "--dry-run", token=officer)
    assert (shown.exit_code, shown.stdout.splitlines()[-1]) == (1, "another officer would have to approve it")
    proposed = labelled.run(*command, token=officer)
    assert proposed.exit_code == 1
    lines = proposed.stdout.splitlines()
    assert lines[0] == "from now on:"
    assert lines[1].startswith("  AUS: withhold (display withhold) -> release, 1 portions by ")
    assert "wider: `AUS` is added to the audience for release" in lines
    approve = lines[-1].split()[1:]
    assert labelled.run(*approve, token=officer).exit_code == 1
    assert labelled.run("items", "proposals", token=another).stdout.startswith(f"{approve[2]}: item ")
    assert labelled.run(*approve, token=another).exit_code == 0
    assert labelled.run("items", "proposals", token=another).stdout == "nothing waits for another officer\n"
    again = json.loads(labelled.run(*command[:-4], "--marking", "(U)", "--reason", "r", "--json", token=officer).stdout)
    number = str(again["proposal"])
    assert labelled.run("items", "withdraw-proposal", number, "--reason", "no", token=another).exit_code == 0
    assert labelled.run("items", "approve", number, token=another).exit_code == 1


def test_an_event_is_proposed_and_approved(labelled: Home) -> None:
    officer, another = labelled.token("demo-officer"), labelled.token("another-officer")
    proposed = labelled.run("items", "event", "the end of Keen", "--reason", "Order 7", "--json", token=officer)
    assert proposed.exit_code == 1, proposed.output
    assert labelled.run("items", "approve", str(json.loads(proposed.stdout)["proposal"]), "--json", token=another).exit_code == 0
    gone = labelled.run("items", "event", "the end of Keen", "--reason", "again", token=officer)
    assert (gone.exit_code, "no portion in force waits for the event" in gone.stderr) == (1, True)
    assert labelled.run("items", "event", "x", "--reason", "r", "--at", "yesterday", token=officer).exit_code == 1


def test_quarantine_is_told_and_decided(demo: Home) -> None:
    officer = demo.token("demo-officer")
    held = {**ITEM, "ref": "held/1", "portions": [{"kind": "text", "marking": "(SECRT)", "text": "x"}]}
    assert demo.run("items", "import", "-", stdin=json.dumps(held).encode(), token=officer).exit_code == 0
    told = demo.run("items", "quarantine", "--limit", "100", token=officer).stdout.splitlines()
    place = next(number for number, line in enumerate(told) if line.startswith("held/1 (version 1, "))
    assert told[place + 1 : place + 3] == ["  item item: SECRET//REL TO USA, JPN", "  0 text: (SECRT)"]
    decided = demo.run("items", "relabel", "held/1", "--portion", "0", "--marking", JAPAN, "--reason", "a slip", token=officer)
    assert (decided.exit_code, decided.stdout[:24]) == (0, "in force as version 2, e")
    assert "held/1" not in demo.run("items", "quarantine", "--limit", "100", "--json", token=officer).stdout


def test_rights_given_to_an_officer_hold_him(labelled: Home) -> None:
    added = labelled.run("client", "add", "limited", "--role", "officer", "--level", "CONFIDENTIAL", "--categories", "MARITIME CYBER")
    assert added.exit_code == 0, added.output
    refused = labelled.run("items", "relabel", "labelled/1", "--marking", "(S//NF)", "--reason", "r", token=labelled.token("limited"))
    assert refused.exit_code == 1
    assert "beyond your rights: the old label of text" in refused.stderr
    assert labelled.run("client", "add", "wrong", "--role", "officer", "--originators", "XXX").exit_code == 1
    assert labelled.run("items", "relabel", "labelled/1", "--label", "{", "--reason", "r", token="x").exit_code == 2
