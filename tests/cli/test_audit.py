"""What an auditor asks from the command line: the same filters and answers as over REST, each reading a leaf of `officers`."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.sharing.asks import Asker, ItemAsk, ListAsk
from service.sharing.installation import Installation
from tests.cli.conftest import Home
from tests.support.personal import entry_in_words


def _ask(installation: Installation, name: str, partner: str, *item_ids: str) -> None:
    client = installation.registry.named(name)
    asker = Asker(partner, "none", client.id, partner)
    for item_id in item_ids:
        ask = ItemAsk(asker, installation.copies, "/v1/items/{id}", None, item_id.encode())
        installation.gate.commit([(ask, None)])


def _first_item(installation: Installation, name: str, partner: str) -> str:
    client = installation.registry.named(name)
    ask = ListAsk(Asker(partner, "none", client.id, partner), installation.copies, "/v1/items", None, cursors=installation.cursors, limit=1)
    installation.gate.commit([(ask, None)])
    return str(json.loads(installation.gate.prepare(ask).body)["items"][0]["id"])


@pytest.fixture(scope="module")
def told(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The demo, in which two partners asked for a few things."""
    home = Home(shutil.copytree(demo_folder, tmp_path_factory.mktemp("audit") / "data"))
    with home.opened() as installation:
        one = _first_item(installation, "demo-jpn", "JPN")
        _ask(installation, "demo-jpn", "JPN", one, one, "nope-1", "nope-2", "nope-3")
        _ask(installation, "demo-ind", "IND", "nope-1")
    return home


def lines(home: Home, *arguments: str) -> list[dict[str, Any]]:
    result = home.run("log", *arguments, "--json", token=home.token("demo-auditor"))
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_releases_are_told_newest_first_by_any_filter(told: Home) -> None:
    everything = lines(told, "releases")
    assert [one["log"] for one in everything] == ["IND", *["JPN"] * 6]
    assert [one["record"]["outcome"] == "withhold" for one in everything] == [*[True] * 4, *[False] * 3]
    assert lines(told, "releases", "--denied", "--partner", "JPN") == everything[1:4]
    assert lines(told, "releases", "--outcome", "withhold", "--item", "nope-1") == [everything[0], everything[3]]
    assert lines(told, "releases", "--type", "list", "--log", "JPN") == everything[6:]
    assert lines(told, "releases", "--limit", "2") == everything[:2]
    assert lines(told, "releases", "--until", "2020-01-01") == lines(told, "releases", "--rule", "AGR-9999") == []
    assert lines(told, "releases", "--partner", "JPN", "--log", "IND") == []
    looks = lines(told, "releases", "--type", "look.releases")
    assert looks[-1]["record"]["details"] == {}
    assert {"partner": "JPN", "outcome": ["refer", "withhold"]} in [look["record"]["details"] for look in looks]


def test_a_line_says_who_what_how_and_by_which_rules(told: Home) -> None:
    text = told.run("log", "releases", "--partner", "JPN", token=told.token("demo-auditor")).stdout.splitlines()
    opened = lines(told, "releases", "--partner", "JPN")
    assert len(text) == len(opened)
    for line, entry in zip(text, opened, strict=True):
        assert line.startswith(f"{entry['face']['at']} JPN {entry['index']} {entry['face']['client']} {entry['face']['type']} ")
        assert f": {entry['record']['outcome']}" in line and line.endswith(f"({entry['face']['event_id']})")
        for item in entry["record"]["items"]:
            assert all(rule in line for rule in item["rules"])


def test_a_query_is_kept_and_asked_again_by_its_name(told: Home) -> None:
    found = lines(told, "releases", "--denied", "--partner", "JPN", "--since", "2020-01-01", "--save", "denials of JPN")
    (kept,) = lines(told, "queries")
    assert (kept["name"], kept["query"]["partner"], kept["query"]["outcome"]) == ("denials of JPN", "JPN", ["refer", "withhold"])
    assert lines(told, "releases", "--saved", "denials of JPN") == found
    assert lines(told, "releases", "--saved", "denials of JPN", "--partner", "IND") == lines(told, "releases", "--partner", "IND")
    (leaf,) = lines(told, "releases", "--type", "query.save")
    details = entry_in_words(leaf)["details"]
    assert (details["name"], json.loads(details["query"])) == (kept["name"], kept["query"])
    auditor = told.token("demo-auditor")
    assert "no query is saved as `nope`" in told.run("log", "releases", "--saved", "nope", token=auditor).stderr
    assert told.run("log", "releases", "--save", " x", token=auditor).exit_code == 2


def test_the_answers_beyond_entries(told: Home) -> None:
    sent = [entry for entry in lines(told, "releases", "--partner", "JPN", "--type", "item") if entry["face"]["result"] == "sent"]
    item = sent[0]["face"]["items"][0]["id"]
    copies = [line for line in lines(told, "recipients", item) if line["type"] == "item"]
    assert [(line["partner"], line["count"], line["event_id"]) for line in copies] == [("JPN", 2, sent[-1]["face"]["event_id"])]
    client = sent[0]["face"]["client"]
    at = datetime.fromisoformat(sent[0]["face"]["at"])
    day = ["--since", f"{at - timedelta(days=180):%Y-%m-%d}", "--until", f"{at + timedelta(days=180):%Y-%m-%d}"]
    assert sum(line["count"] for line in lines(told, "activity", client, *day)) == len(lines(told, "releases", "--client", client))
    firsts = lines(told, "firsts", "JPN")
    assert firsts[0]["kind"] == "item" and {line["event_id"] for line in firsts} == {sent[-1]["face"]["event_id"]}
    (signal,) = lines(told, "signals", *day, "--absent-ids", "3")
    assert (signal["rule"], signal["client"], signal["count"], signal["threshold"]) == ("absent-ids", client, 3, 3)
    text = told.run("log", "signals", *day, "--absent-ids", "3", token=told.token("demo-auditor")).stdout
    assert text.rstrip().endswith(signal["says"])
    assert told.run("log", "signals", "--since", "2020-01-01", token=told.token("demo-auditor")).exit_code == 2
    far = ["--since", "2020-01-01", "--until", "2021-01-02"]
    for command in (["signals"], ["activity", client]):
        refused = told.run("log", *command, *far, token=told.token("demo-auditor"))
        assert refused.exit_code == 2 and "at most 366" in refused.stderr
    for command in (["recipients", item], ["activity", client, *day], ["firsts", "JPN"], ["reviews"], ["queries"]):
        assert told.run("log", *command, token=told.token("demo-auditor")).exit_code == 0


def test_a_review_is_marked_and_listed(told: Home) -> None:
    event = lines(told, "releases", "--denied")[0]["face"]["event_id"]
    auditor = told.token("demo-auditor")
    assert lines(told, "review", event, "escalated", "--note", "why this one?")[0]["state"] == "escalated"
    assert lines(told, "review", event, "closed")[0]["state"] == "closing"
    refused = told.run("log", "review", event, "closed", token=auditor)
    assert (refused.exit_code, "two different persons" in refused.stderr) == (1, True)
    (one,) = lines(told, "reviews", "--state", "closing")
    assert [(mark["mark"], mark["note"]) for mark in one["marks"]] == [("escalated", "why this one?"), ("closed", "")]
    assert [entry["face"]["event_id"] for entry in lines(told, "releases", "--review", "closing")] == [event]
    assert told.run("log", "review", "nope", "reviewed", token=auditor).exit_code == 1
    assert told.run("log", "verify").exit_code == 0


@pytest.mark.parametrize("command", [["prove"], ["recipients"], ["review"], ["activity", "--since", "2020-01-01", "--until", "2020-12-01"]])
def test_an_id_that_begins_with_a_dash_is_an_id(told: Home, command: list[str]) -> None:
    more = ["reviewed"] if command == ["review"] else []
    result = told.run("log", *command, "-mwPpDRGLH4U1I932d4U1Q", *more, token=told.token("demo-auditor"))
    assert "option" not in result.output
    assert result.exit_code == (1 if command[0] in ("prove", "review") else 0)


def test_a_time_that_is_none_is_named(told: Home) -> None:
    result = told.run("log", "releases", "--since", "yesterday", token=told.token("demo-auditor"))
    assert result.exit_code == 2
    assert "--since" in result.stderr
