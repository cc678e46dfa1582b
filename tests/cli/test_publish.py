"""`policy publish`, `approve`, `withdraw`, `rollback`, `history`: by two officers where two are needed, and said in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from service.store import policies
from tests.cli.conftest import POLICIES, Home

ROW = "p, AGR-0099, allow, release, SGP, *, SECRET, MARITIME PEACEKEEPING, none, *, , , Invented letter\n"


def officers(home: Home) -> tuple[str, str]:
    """Tokens of the demo's officer and of a second one."""
    added = home.run("client", "add", "second-officer", "--role", "officer")
    assert added.exit_code == 0, added.output
    return home.token("demo-officer"), home.token("second-officer")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the sample that releases more."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for file in POLICIES.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    with (folder / "agreements.csv").open("a") as agreements:
        agreements.write(ROW)
    # The sample's cases hold everything in place that this moves.
    (folder / "cases.csv").write_text((folder / "cases.csv").read_text().partition("\n")[0] + "\n")
    return folder


def in_force(home: Home) -> str | None:
    with home.opened() as installation, installation.database.reading() as connection:
        return policies.in_force(connection).digest


def test_the_first_officer_is_shown_what_it_does_and_the_second_is_told_what_to_type(demo: Any, bundle: Path) -> None:
    first, second = officers(demo)
    before = in_force(demo)
    proposed = demo.run("policy", "publish", str(bundle), token=first)
    assert proposed.exit_code == 1, proposed.output
    assert in_force(demo) == before
    lines = proposed.stdout.splitlines()
    assert f"  + agreements.csv:{len((bundle / 'agreements.csv').read_text().splitlines())}: {ROW.strip()}" in lines
    assert "    SGP gains release of SECRET, PEACEKEEPING, from USA, to SGP USA; by AGR-0099" in proposed.stdout.replace(
        " MARITIME,", " PEACEKEEPING,"
    )
    assert "a second officer must approve (from SECRET on):" in lines
    *_, told, command = lines
    assert told.startswith("not in force: proposed, event ")
    entente, *arguments = command.split()
    assert (entente, arguments[:2]) == ("entente", ["policy", "approve"])
    history = demo.run("policy", "history").stdout.splitlines()
    assert history[-1].endswith("open, waits for another officer")
    own = demo.run(*arguments, token=first)
    assert (own.exit_code, own.stdout) == (1, "")
    assert "expected another officer" in own.stderr
    approved = demo.run(*arguments, token=second)
    assert approved.exit_code == 0, approved.output
    # What is idle in it is said first, as at every look at it.
    assert any(line.startswith(f"in force: {arguments[2]}, act ") for line in approved.stdout.splitlines())
    assert in_force(demo) == arguments[2]
    (line,) = [line for line in demo.run("policy", "history").stdout.splitlines() if arguments[2] in line]
    assert ", approved by c_" in line


def test_programs_are_told_the_same(demo: Any, bundle: Path) -> None:
    first, second = officers(demo)
    proposed = demo.run("policy", "publish", str(bundle), "--json", token=first)
    told = json.loads(proposed.stdout)
    assert (proposed.exit_code, told["state"]) == (1, "pending")
    assert told["difference"]["timeline"] == told["timeline"]
    assert {finding["severity"] for finding in told["findings"]} <= {"warning"}
    approved = demo.run("policy", "approve", told["digest"], "--timeline", told["timeline"], "--json", token=second)
    assert approved.exit_code == 0, approved.output
    assert json.loads(approved.stdout)["timeline"] == told["timeline"]
    history = json.loads(demo.run("policy", "history", "--json").stdout)
    assert [one["state"] for one in history["proposals"]] == ["approved"]
    assert history["publications"][-1]["approver"] != history["publications"][-1]["client"]


def test_a_dry_run_says_it_all_and_does_nothing(demo: Any, bundle: Path) -> None:
    first, _ = officers(demo)
    before = json.loads(demo.run("policy", "history", "--json").stdout)
    dry = demo.run("policy", "publish", str(bundle), "--dry-run", token=first)
    assert dry.exit_code == 1, "a second officer would have to approve it"
    assert "a second officer must approve (from SECRET on):" in dry.stdout
    assert dry.stdout.splitlines()[-1].endswith("nothing was done")
    same = demo.run("policy", "publish", "--dry-run", "--json", token=first)
    assert same.exit_code == 0
    told = json.loads(same.stdout)
    assert (told["needs_approval"], told["rows"]) == (False, {"removed": [], "added": []})
    assert json.loads(demo.run("policy", "history", "--json").stdout) == before


def test_a_proposal_is_withdrawn(demo: Any, bundle: Path) -> None:
    first, second = officers(demo)
    told = json.loads(demo.run("policy", "publish", str(bundle), "--json", token=first).stdout)
    withdrawn = demo.run("policy", "withdraw", told["digest"][:12], "--reason", "not this year", token=first)
    assert withdrawn.exit_code == 0, withdrawn.output
    assert demo.run("policy", "history").stdout.splitlines()[-1].endswith(": not this year")
    late = demo.run("policy", "approve", told["digest"], token=second)
    assert (late.exit_code, late.stdout) == (1, "")
    assert "no proposal of" in late.stderr


def test_taking_back_is_at_once_and_giving_back_wants_two(demo: Any, bundle: Path) -> None:
    first, second = officers(demo)
    old = in_force(demo) or ""
    wider = json.loads(demo.run("policy", "publish", str(bundle), "--json", token=first).stdout)["digest"]
    assert demo.run("policy", "approve", wider, token=second).exit_code == 0
    undone = demo.run("policy", "rollback", old[:8], token=first)
    assert undone.exit_code == 0, undone.output
    assert in_force(demo) == old
    again = demo.run("policy", "rollback", wider, token=second)
    assert again.exit_code == 1
    assert demo.run("policy", "approve", wider, token=first).exit_code == 0
    assert in_force(demo) == wider


def test_what_never_may_be_released_is_refused_by_its_line(demo: Any, bundle: Path) -> None:
    first, _ = officers(demo)
    never = bundle / "never.csv"
    line = len(never.read_text().splitlines()) + 1
    never.write_text(never.read_text() + "NEV-0099, SGP, *, SECRET, *, *, *\n")
    before = json.loads(demo.run("policy", "history", "--json").stdout)
    for options in ([], ["--dry-run"]):
        refused = demo.run("policy", "publish", str(bundle), *options, token=first)
        assert refused.exit_code == 1
        assert refused.stdout.startswith(f"never.csv:{line}:1: never: `NEV-0099` does not hold: ")
        assert "by AGR-0099" in refused.stdout
    assert json.loads(demo.run("policy", "history", "--json").stdout) == before
