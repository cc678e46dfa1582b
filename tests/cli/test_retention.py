"""What auditors hold and let go from the command line."""

from __future__ import annotations

import json

from tests.cli.conftest import Home


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
