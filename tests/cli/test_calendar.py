"""`policy calendar`: what begins and ends, in words, for programs, and with or without a store."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Home
from tests.support.store_bundles import JPN_SECRET, OPEN, bundle_files


def day(days: int) -> str:
    """A day from now: the command reads the machine's clock."""
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    rows = [OPEN, JPN_SECRET.replace("2020-01-01, ,", f"2020-01-01, {day(20)},"), later(40)]
    (tmp_path / "bundle").mkdir()
    for name, content in bundle_files(rows).items():
        (tmp_path / "bundle" / name).write_bytes(content)
    return str(tmp_path / "bundle")


def later(days: int) -> str:
    return f"p, AGR-0010, allow, release, AUS, *, CONFIDENTIAL, MARITIME, none, *, {day(days)}, , Letter"


def test_a_folder_is_read_without_a_store(tmp_path: Path, folder: str) -> None:
    result = Home(tmp_path / "no-data").run("policy", "calendar", folder)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        f"{day(20)}:",
        f"{day(40)}:",
        "stored items were not looked at: that needs a data folder and an officer's token (`--data`, `--token`)",
    ]
    assert f"  begins AGR-0010 (agreements.csv:4): {later(40)}" in lines
    assert any(line.startswith("    JPN loses release of SECRET, ") for line in lines)
    assert any(line.startswith("    AUS gains release of CONFIDENTIAL, MARITIME, from USA, to AUS USA; by AGR-0010") for line in lines)


def test_it_looks_no_further_than_asked(tmp_path: Path, folder: str) -> None:
    home = Home(tmp_path / "no-data")
    told = json.loads(home.run("policy", "calendar", folder, "--days", "30", "--json").stdout)
    assert [(date["at"][:10], [row["id"] for row in date["rows"]]) for date in told["dates"]] == [(day(20), ["AGR-0002"])]
    assert told["stored"] is False
    assert home.run("policy", "calendar", folder, "--days", "3").stdout.splitlines()[0] == "nothing begins or ends in the next 3 days"


def test_the_policy_in_force_is_the_default_and_what_is_stored_is_for_officers(demo: Any) -> None:
    seen = demo.run("policy", "calendar", "--days", "3000", "--json", token=demo.token("demo-officer"))
    unseen = demo.run("policy", "calendar", "--days", "3000", "--json")
    for result, stored in ((seen, True), (unseen, False)):
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        assert told["stored"] is stored
        with demo.opened() as installation:
            assert told["bundle"] == installation.publishing.history().publications[-1].digest
    assert [date["at"] for date in json.loads(seen.stdout)["dates"]] == [date["at"] for date in json.loads(unseen.stdout)["dates"]]
    assert demo.run("policy", "calendar", "--days", "3000", token=demo.token("demo-officer")).exit_code == 0


def test_without_an_installation_there_is_no_policy_in_force(tmp_path: Path) -> None:
    result = Home(tmp_path / "no-data").run("policy", "calendar")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no installation in" in result.stderr
