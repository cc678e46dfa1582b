"""`entente items obstacles` and `unshared`: in words and for programs, and no partner's business."""

from __future__ import annotations

import json

from tests.cli.conftest import Home

ITEM = {
    "ref": "hindered/1",
    "marking": "SECRET//NOFORN",
    "categories": ["MARITIME"],
    "releasable_in": "whole",
    "portions": [
        {"kind": "text", "marking": "(S//REL TO USA, JPN)", "text": "x"},
        {"kind": "text", "marking": "(S//NF)", "text": "y"},
    ],
}


def test_an_item_a_partner_and_what_to_hold_back(demo: Home) -> None:
    officer = demo.token("demo-officer")
    assert demo.run("items", "import", "-", stdin=json.dumps(ITEM).encode(), token=officer).exit_code == 0
    told = demo.run("items", "obstacles", "hindered/1", "--partner", "JPN", token=officer)
    lines = told.stdout.splitlines()
    assert (told.exit_code, lines[:2]) == (
        0,
        ["release of hindered/1 (version 1) to JPN: refer", "hold back 1 portions, so that the other 1 may go:"],
    )
    assert lines[3] == "it goes out whole: that takes a version without them, or one releasable in portions"
    body = json.loads(demo.run("items", "obstacles", "hindered/1", "--partner", "JPN", "--json", token=officer).stdout)
    assert body["hold_back"] == [lines[2].strip()]
    assert demo.run("items", "obstacles", "hindered/1", token=officer).exit_code == 2
    assert demo.run("items", "obstacles", "hindered/1", "--partner", "XXX", token=officer).exit_code == 1
    assert demo.run("items", "obstacles", "absent", "--partner", "JPN", token=officer).exit_code == 1


def test_what_hinders_most_of_the_demo(demo: Home) -> None:
    officer = demo.token("demo-officer")
    told = demo.run("items", "obstacles", "--top", "3", token=officer)
    assert told.exit_code == 0, told.output
    assert " items, " in told.stdout.splitlines()[0]
    body = json.loads(demo.run("items", "obstacles", "--partner", "IND", "--json", token=officer).stdout)
    assert body["left_out"] == 0
    assert {each["partner"] for one in body["obstacles"] for each in one["partners"]} == {"IND"}


def test_what_was_never_fetched(demo: Home) -> None:
    officer = demo.token("demo-officer")
    told = demo.run("items", "unshared", "--partner", "JPN", "--limit", "2", token=officer)
    assert (told.exit_code, len(told.stdout.splitlines())) == (0, 2)
    assert all("  JPN  " in line for line in told.stdout.splitlines())
    for command in ("unshared", "obstacles"):
        refused = demo.run("items", command, token=demo.token("demo-jpn"))
        assert (refused.exit_code, "role `officer`" in refused.stderr) == (1, True)
