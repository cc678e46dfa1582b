"""`entente serve` as a process: it sets up, prints commands that work, answers, and ends when told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

ROOT: Final = Path(__file__).parents[2]
ENTENTE: Final = Path(sys.executable).parent / "entente"
SECONDS_MAX: Final = 60


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ENTENTE_")}


@contextmanager
def serving(data: Path, *options: str, ends_with: signal.Signals = signal.SIGINT) -> Iterator[dict[str, Any]]:
    """A server on a port of its own; what it says at the start. It must end with exit code 0, in time and without a word of complaint."""
    process = subprocess.Popen(
        [ENTENTE, "serve", "--port", "0", "--data", data, "--json", *options],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.communicate()[1].decode())
        told = json.loads(line)
        # The socket listens already: this waits until a worker answers.
        assert httpx.get(told["address"] + "/health/ready", timeout=SECONDS_MAX).json() == {"status": "ready"}
        yield told
        process.send_signal(ends_with)
        _, complaints = process.communicate(timeout=SECONDS_MAX)
        assert (process.returncode, complaints.decode()) == (0, "")
    finally:
        process.kill()
        process.wait()


def pasted(command: str) -> str:
    return subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment(), check=True, capture_output=True, text=True, timeout=SECONDS_MAX
    ).stdout


def test_the_demo_prints_commands_that_show_what_they_say(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, "--demo") as told:
        assert len(told["published"]) == 64
        assert 60 <= told["loaded"]["imported"] <= 100 and told["loaded"]["refused"] == 0
        answers = [pasted(one["command"]) for one in told["demo"]]
        everything = [pasted(one["command"].replace("limit=5", "limit=100")) for one in told["demo"][:2]]
    jpn, ind, one_only, absent, part, audience, why, audit, receipt, verified = answers
    assert json.loads(jpn)["items"] and json.loads(ind)["items"]
    # Which five come first is drawn anew each time, and may be seen by both.
    jpn_ids, ind_ids = ({item["id"] for item in json.loads(answer)["items"]} for answer in everything)
    assert jpn_ids != ind_ids
    shared = json.loads(one_only)
    assert shared["title"] and json.loads(absent) == {"type": "about:blank", "title": "Not Found", "status": 404}
    copy = json.loads(part)
    by_partner = {line["partner"]: line for line in json.loads(audience)["partners"]}
    assert by_partner["JPN"]["outcome"] == "in_part" and by_partner["JPN"]["rules"]
    assert len(by_partner["JPN"]["received"]) == 1
    # The title is one portion more than those listed; two are held back.
    parts = [line for line in why.splitlines()[1:] if not line.startswith(" ")]
    assert len(parts) == len(copy["portions"]) + 1 + 2
    assert sum(": release by " in line for line in parts) == len(copy["portions"]) + 1
    (entry,) = json.loads(audit)["releases"]
    assert entry["face"]["items"][0]["id"] == copy["id"] and entry["record"]["outcome"] == "in_part"
    assert json.loads(json.loads(receipt)["leaf"])["items"][0]["id"] == copy["id"]
    assert verified.splitlines()[-1] == "every log holds"

    with serving(data, "--demo", ends_with=signal.SIGTERM) as again:
        assert (again["published"], again["loaded"]["imported"]) == (None, 0)
        here, before = again["address"], told["address"]
        assert [one["command"].replace(here, before) for one in again["demo"]] == [one["command"] for one in told["demo"]]


def test_several_workers_answer_over_one_set_up(demo_folder: Path, tmp_path: Path, demo: Any) -> None:
    token = demo.token("demo-jpn")
    with serving(demo.data, "--workers", "2") as told:
        assert told["loaded"] is None and told["demo"] == []
        headers = {"Authorization": f"Bearer {token}"}
        events = [httpx.get(told["address"] + "/v1/items", headers=headers).headers["release-event"] for _ in range(8)]
    assert len(set(events)) == 8


def test_a_port_that_is_taken_is_said_before_anything_is_set_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = subprocess.run(
            [ENTENTE, "serve", "--port", port, "--data", tmp_path / "data"], cwd=ROOT, env=environment(), capture_output=True, text=True,
            timeout=SECONDS_MAX, check=False,
        )  # fmt: skip
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"entente: cannot listen on `127.0.0.1`, port `{port}`: address already in use\n"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("what", ["no such folder", "findings"])
def test_a_first_policy_that_cannot_be_published_stops_the_start(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "policies"
    if what == "findings":
        folder.mkdir()
        (folder / "scheme.toml").write_text("own = 5\n")
    result = subprocess.run(
        [ENTENTE, "serve", "--port", "0", "--data", tmp_path / "data", "--policies", folder], cwd=ROOT, env=environment(),
        capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2 if what == "no such folder" else 1, "", 1)
