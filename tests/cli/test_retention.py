"""What auditors hold and let go from the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from service.store.times import micros
from tests.cli.conftest import Home
from tests.support.old_logs import fill


def test_holds_from_the_command_line(demo: Home) -> None:
    token = demo.token("demo-auditor")
    added = demo.run(
        "log", "hold", "add", "--partner", "JPN", "--item", "i-1", "--since", "2026-01-02", "--reason", "an inquiry", token=token
    )
    assert added.exit_code == 0, added.output
    assert added.stdout.startswith("hold 1 is on: log JPN, item i-1, from 2026-01-02T00:00:00.000000Z (")
    assert json.loads(demo.run("log", "hold", "add", "--reason", "all", "--json", token=token).stdout)["hold"] == 2
    assert demo.run("log", "hold", "release", "2", "--reason", "it is over", token=token).exit_code == 0
    assert demo.run("log", "hold", "list", token=token).stdout.startswith("1: log JPN, item i-1, from 2026-01-02T00:00:00.000000Z, since ")
    listed = demo.run("log", "hold", "list", "--ended", token=token).stdout.splitlines()
    assert len(listed) == 2
    assert "every entry of every log" in listed[1] and listed[1].endswith(": it is over")
    again = demo.run("log", "hold", "release", "2", "--reason", "again", token=token)
    assert (again.exit_code, "was released at" in again.stderr) == (1, True)
    missing = demo.run("log", "hold", "release", "9", "--reason", "r", token=token)
    assert (missing.exit_code, "no hold `9`" in missing.stderr) == (1, True)
    officer = demo.run("log", "hold", "add", "--reason", "r", token=demo.token("demo-officer"))
    assert (officer.exit_code, "for clients of role `auditor`" in officer.stderr) == (1, True)
    assert demo.run("log", "verify").exit_code == 0


def test_two_auditors_prune_from_the_command_line(demo: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with demo.opened() as installation:
        start = micros(datetime(2024, 1, 1, tzinfo=UTC))
        fill(installation, "AUS", [start] * 256 + [start + 1])
    first = demo.token("demo-auditor")
    assert demo.run("client", "add", "another-auditor", "--role", "auditor").exit_code == 0
    second = demo.token("another-auditor")
    refused = demo.run("log", "prune", "propose", "--before", "2025-01-01", "--reason", "r", token=first)
    assert (refused.exit_code, "no retention policy is set" in refused.stderr) == (1, True)
    monkeypatch.setenv("ENTENTE_RETENTION_DAYS", "365")
    assert demo.run("log", "hold", "add", "--log", "AUS", "--reason", "an inquiry", token=first).exit_code == 0
    held = demo.run("log", "prune", "propose", "--before", "2025-01-01", "--dry-run", token=first)
    assert (held.exit_code, held.stdout) == (0, "AUS: 256 entries stay: hold 1\n0 entries in all\n")
    assert demo.run("log", "hold", "release", "1", "--reason", "it is over", token=second).exit_code == 0
    proposed = demo.run("log", "prune", "propose", "--before", "2025-01-01", "--reason", "the policy", token=first)
    assert proposed.exit_code == 1, "it waits for another"
    assert proposed.stdout.startswith("AUS: entries 0 to 255 would go\n256 entries in all\nnot done: proposed, event ")
    command = proposed.stdout.splitlines()[-1].split()[1:]
    own = demo.run(*command, token=first)
    assert (own.exit_code, "expected another auditor" in own.stderr) == (1, True)
    done = demo.run(*command, token=second)
    assert (done.exit_code, done.stdout.startswith("pruned 256 entries, event ")) == (0, True), done.output
    listed = demo.run("log", "prune", "list", token=first).stdout
    assert "; approved at " in listed and "  AUS: entries 0 to 255\n" in listed
    verified = demo.run("log", "verify")
    assert (verified.exit_code, "\nAUS: 257 entries, 256 of them pruned, root " in f"\n{verified.stdout}") == (0, True)
    told = {log["log"]: log["pruned"] for log in json.loads(demo.run("log", "verify", "--json").stdout)["logs"]}
    assert told["AUS"] == 256 and sum(told.values()) == 256
