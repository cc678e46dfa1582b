"""The whole of it with real processes: two workers, a witness over loopback, a rotation beside them, a restored database."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.releaselog.cosign import find_cosignature
from service.releaselog.heads import RootProof, verify_root_proof
from service.releaselog.receipt import read_proof
from tests.cli.conftest import POLICIES, Home

ENTENTE = Path(sys.executable).parent / "entente"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, ended as a supervisor ends it."""
    process = subprocess.Popen(
        [ENTENTE, *arguments], env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def eventually(found: Callable[[], Any], *, seconds: float = 60) -> Any:
    """What this finds, once it finds something; processes have no other way to say that they are done."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def answers(url: str, path: str = "/health/ready") -> Callable[[], bool]:
    def ask() -> bool:
        try:
            return httpx.get(url + path, timeout=5).status_code < 500
        except httpx.HTTPError:
            return False

    return ask


def done(home: Home, *arguments: str) -> dict[str, Any]:
    result = home.run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    value: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return value


def test_two_workers_a_witness_and_a_rotation(demo: Home, tmp_path: Path) -> None:
    port, witness_port, folder = free_port(), free_port(), tmp_path / "witness"
    base, witness_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{witness_port}"
    vkey = done(demo, "witness", "init", str(folder), "--name", "witness.example/w1")["vkey"]
    environment = {"ENTENTE_DATA": str(demo.data), "ENTENTE_POLICIES": str(POLICIES), "ENTENTE_ROOT_INTERVAL_SECONDS": "1"}
    with ExitStack() as stack:
        stack.enter_context(running("witness", "serve", str(folder), "--port", str(witness_port)))
        stack.enter_context(running("serve", "--port", str(port), "--workers", "2", **environment))
        eventually(answers(base))
        eventually(answers(witness_url))
        partner = {"Authorization": f"Bearer {demo.token('demo-jpn')}"}
        proof = eventually(
            lambda: (found := httpx.get(f"{base}/v1/log/self/root-proof", headers=partner)).status_code == 200 and found.json()
        )
        trust = done(demo, "log", "witness", "add", "inspector", witness_url, vkey)["trust"]
        assert trust == proof["root"]["keys"]
        done(demo, "witness", "trust", str(folder), trust[0])
        # A release, a rotation beside the running workers, and releases by both of them afterwards.
        assert httpx.get(f"{base}/v1/items/absent", headers=partner).status_code == 404
        done(demo, "log", "keys", "rotate")
        for _ in range(8):
            assert httpx.get(f"{base}/v1/items/absent", headers=partner).status_code == 404
        me = httpx.get(f"{base}/v1/me", headers=partner).json()["log"]
        assert len(me["keys"]) == 2

        def covered() -> dict[str, Any] | None:
            found = httpx.get(f"{base}/v1/log/self/root-proof", headers=partner).json()
            signed = find_cosignature(read_proof(found["proof"]).checkpoint, vkey)
            return found if signed is not None and found["head"].split("\n")[1] == "9" else None

        found = eventually(covered)
        for own, root in zip(me["keys"], found["root"]["keys"], strict=True):
            proven = verify_root_proof(
                RootProof.from_json(found), vkey=own, origin=me["origin"], root_vkey=root, root_origin=found["root"]["origin"]
            )
            assert proven.head.size == 9
        operator = done(demo, "client", "add", "watcher", "--role", "operator")
        assert operator["client_id"]
        watcher = {"Authorization": f"Bearer {demo.token('watcher')}"}
        # Whichever worker answers, the count is of both.
        counts = [httpx.get(f"{base}/v1/operator/metrics", headers=watcher).text for _ in range(6)]
        assert all("\nentente_entries_total 9.0\n" in text for text in counts), counts[0]
    assert done(demo, "log", "witness", "list")["witnesses"][0]["signed"] > 0
    assert done(demo, "log", "verify")["ok"]


def test_a_restored_database_does_not_start_and_says_what_to_do(demo: Home, tmp_path: Path) -> None:
    backup = shutil.copytree(demo.data, tmp_path / "backup")
    environment = {"ENTENTE_DATA": str(demo.data), "ENTENTE_POLICIES": str(POLICIES)}
    port = free_port()
    with running("serve", "--port", str(port), **environment):
        eventually(answers(f"http://127.0.0.1:{port}"))
    shutil.rmtree(demo.data)
    shutil.copytree(backup, demo.data)
    for command in (("serve", "--port", str(free_port())), ("client", "add", "another", "--role", "auditor"), ("log", "keys", "rotate")):
        result = demo.run(*command)
        assert result.exit_code == 2 and "the database is older than" in result.stderr and "entente log restored" in result.stderr
    verified = demo.run("log", "verify")
    assert verified.exit_code == 1 and "every log holds in itself, and is NOT the newest" in verified.stdout
    assert demo.run("log", "restored", "--reason", " ").exit_code == 1
    lost = done(demo, "log", "restored", "--reason", "the disk failed")["lost"]
    assert {one["log"] for one in lost} == {"officers", "root"}
    assert done(demo, "log", "verify")["ok"]
    assert done(demo, "client", "add", "another", "--role", "auditor")["client_id"]


def test_keys_are_listed_the_current_one_first(demo: Home) -> None:
    (first,) = done(demo, "log", "keys", "list")["keys"]
    rotated = done(demo, "log", "keys", "rotate")
    new, old = done(demo, "log", "keys", "list")["keys"]
    assert old["key"] == first["key"] and (old["until"], old["signs"]) == (rotated["overlap_until"], True)
    assert new["signs"] and new["until"] is None
    shown = demo.run("log", "keys", "list").stdout
    assert [line.split("  ")[0] for line in shown.splitlines()] == [new["key"], old["key"]]


@pytest.mark.parametrize("command", [("trust", "x+00000000+AAAA"), ("forget", "nothing"), ("serve",)])
def test_a_witness_that_is_none_says_so(nothing: Home, tmp_path: Path, command: tuple[str, ...]) -> None:
    result = nothing.run("witness", command[0], str(tmp_path / "none"), *command[1:])
    assert result.exit_code in (1, 2) and result.stderr.startswith("entente: ")


def test_a_witness_is_made_once_for_its_owner_and_needs_no_data_folder(nothing: Home, tmp_path: Path) -> None:
    folder = tmp_path / "witness"
    vkey = done(nothing, "witness", "init", str(folder), "--name", "w.example/1")["vkey"]
    assert vkey.startswith("w.example/1+") and not nothing.data.exists()
    assert (folder / "witness.json").stat().st_mode & 0o777 == 0o600 and folder.stat().st_mode & 0o777 == 0o700
    again = nothing.run("witness", "init", str(folder), "--name", "w.example/2")
    assert again.exit_code == 1 and "already" in again.stderr
    (folder / "witness.json").write_text("{}")
    damaged = nothing.run("witness", "serve", str(folder))
    assert damaged.exit_code == 2 and "is damaged" in damaged.stderr
