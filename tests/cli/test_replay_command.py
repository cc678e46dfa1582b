"""`entente log replay`: what is printed, what is recorded, and how it ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from service.sharing.asks import Asker, ItemAsk, ListAsk
from service.store import catalogue, logs
from tests.cli.conftest import POLICIES, Home


@pytest.fixture
def asked(demo: Home) -> Home:
    """The demo, after every partner asked for the first page, an item and what is none."""
    with demo.opened() as installation:
        gate = installation.gate
        gate.start()
        with installation.database.reading() as connection:
            ids = catalogue.items_after(connection, "", limit=20)
        for code in ("JPN", "IND", "GBR"):
            asker = Asker(code, "none", installation.registry.named(f"demo-{code.lower()}").id, code)
            gate.release_and_wait(ListAsk(asker, installation.copies, "/v1/items", None, limit=10, cursors=installation.cursors))
            for item in (*ids, "nope"):
                gate.release_and_wait(ItemAsk(asker, installation.copies, "/v1/items/{id}", None, item=item.encode()))
        gate.stop()
    return demo


def _last_look(home: Home) -> dict[str, Any]:
    with home.opened() as installation, installation.database.reading() as connection:
        head = logs.head(connection, "officers")
        assert head is not None
        (row,) = logs.entries(connection, head.id, start=head.size - 1)
    return {"type": row.type, "details": json.loads(row.record)["details"]}


def test_a_sample_is_replayed_and_its_seed_told_and_recorded(asked: Home) -> None:
    auditor = asked.token("demo-auditor")
    result = asked.run("log", "replay", "--sample", "12", "--seed", "inspection-7", token=auditor)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == ["a sample of 12, seed inspection-7", "12 decisions taken again: 12 equal, 0 differ"]
    look = _last_look(asked)
    assert look["type"] == "look.replay"
    assert (look["details"]["sample"], look["details"]["seed"]) == (12, "inspection-7")
    assert {run["log"] for run in look["details"]["runs"]} == {"JPN", "IND", "GBR"}


def test_a_range_and_events_are_replayed(asked: Home) -> None:
    auditor = asked.token("demo-auditor")
    told = asked.run("log", "replay", "--log", "JPN", "--from", "1", "--to", "4", "--json", token=auditor)
    assert told.exit_code == 0
    summary = json.loads(told.stdout)
    assert (summary["replayed"], summary["equal"], summary["engine"]) == (3, 3, {"same": 3, "other": 0})
    with asked.opened() as installation, installation.database.reading() as connection:
        head = logs.head(connection, "IND")
        assert head is not None
        events = [row.event_id for row in logs.entries(connection, head.id, stop=2)]
    assert asked.run("log", "replay", *events, token=auditor).stdout == "2 decisions taken again: 2 equal, 0 differ\n"
    assert _last_look(asked)["details"] == {"events": events}


def test_a_difference_is_printed_and_exit_is_one(asked: Home) -> None:
    with asked.opened() as installation:
        with installation.database.reading() as connection:
            row = next(
                row
                for head in logs.heads(connection)
                if head.name == "JPN"
                for row in logs.entries(connection, head.id)
                if row.result == "sent" and row.type == "item"
            )
        record = json.loads(row.record)
        record["items"][0]["rules"] = ["AGR-9999"]
        with installation.database.acting() as connection:
            connection.execute(
                text("UPDATE log_entry SET record = :record WHERE event_id = :event"),
                {"record": json.dumps(record).encode(), "event": row.event_id},
            )
    auditor = asked.token("demo-auditor")
    result = asked.run("log", "replay", row.event_id, token=auditor)
    assert result.exit_code == 1
    finding, summary = result.stdout.splitlines()
    assert finding.startswith(f"JPN {row.position} {row.event_id}, item `{record['items'][0]['id']}`: rules: expected `")
    assert finding.endswith("found `AGR-9999`")
    assert summary == "1 decision taken again: 0 equal, 1 differs"
    *findings, told = [json.loads(line) for line in asked.run("log", "replay", "--log", "JPN", "--json", token=auditor).stdout.splitlines()]
    assert [(one["event_id"], one["what"], one["found"]) for one in findings] == [(row.event_id, "rules", "`AGR-9999`")]
    assert told["replayed"] == told["equal"] + 1


def test_what_if_tells_by_partner_and_rule_and_leaves_policy_alone(asked: Home, tmp_path: Path) -> None:
    auditor = asked.token("demo-auditor")
    nothing = asked.run("log", "replay", "--what-if", str(POLICIES), "--last", "30", token=auditor)
    assert nothing.exit_code == 0
    assert all(line.endswith("nothing would differ") for line in nothing.stdout.splitlines())
    proposed = shutil.copytree(POLICIES, tmp_path / "proposed")
    with (proposed / "prohibitions.csv").open("a") as file:
        file.write("p, PRO-0099, deny, *, GBR, *, UNCLASSIFIED, *, *, *, , , A test\n")
    result = asked.run("log", "replay", "--what-if", str(proposed), token=auditor)
    assert result.exit_code == 0
    assert "GBR: no longer released: " in result.stdout
    assert "(PRO-0099" in result.stdout
    assert "JPN: 22 entries" in result.stdout
    *differences, told = [
        json.loads(line) for line in asked.run("log", "replay", "--what-if", str(proposed), "--json", token=auditor).stdout.splitlines()
    ]
    by_partner = {one["partner"]: one for one in told["partners"]}
    assert by_partner["GBR"]["no_longer"] == len(differences) > 0
    assert {one["log"] for one in differences} == {"GBR"}
    assert _last_look(asked)["type"] == "look.what-if"
    with asked.opened() as installation:
        assert len(installation.publishing.history().publications) == 1
    broken = shutil.copytree(proposed, tmp_path / "broken")
    (broken / "agreements.csv").write_text("p, broken\n")
    refused = asked.run("log", "replay", "--what-if", str(broken), token=auditor)
    assert refused.exit_code == 1
    assert "agreements.csv:1:" in refused.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected events, or a log, or the size of a sample"),
        (["x", "--log", "JPN"], "expected events, or a log, or the size of a sample"),
        (["nope"], "no event `nope`"),
        (["--log", "nope"], "no log `nope`"),
        (["--log", "JPN", "--from", "9"], "no entries from 9 to 0"),
        (["--log", "JPN", "--seed", "x"], "a seed is a sample's"),
        (["--sample", "0"], "a sample of 0 entries"),
        (["--sample", "1", "--what-if", "x"], "without events"),
        (["--log", "JPN", "--at", "2026-11-22"], "expected `--at` with `--what-if` alone"),
        (["--what-if", "ffffffffffff"], "no bundle `ffffffffffff`"),
    ],
)
def test_a_question_that_is_none_is_refused(demo: Home, arguments: list[str], said: str) -> None:
    result = demo.run("log", "replay", *arguments, token=demo.token("demo-auditor"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
