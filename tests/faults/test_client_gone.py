"""A client that goes away, before its request is decided or after it is on record: the entry stays, and its key is answered with it."""

from __future__ import annotations

import hashlib
import random
import socket
import time
from pathlib import Path

import httpx

from service.sharing.installation import Installation
from service.sharing.verification import verify_all
from service.store import logs
from tests.support.faults import face, log_size, small
from tests.support.faults_server import Server

CLIENTS = 120
_WAIT_SECONDS = 30


def test_whoever_went_away_and_asks_again_under_its_key_is_told_of_one_event(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    world = small(folder, chart_bytes=5_000)
    randomness = random.Random(20261129)
    path = f"/v1/items/{world.items['open']}"
    headers = world.headers("jpn")
    gone_before_the_answer = 0
    # Nothing limits how often this one client may ask.
    with Server(folder, settings={"ENTENTE_RATE_PER_SECOND": "100000", "ENTENTE_RATE_BURST": "100000"}) as server:
        before = log_size(world.installation, "JPN")
        for number in range(CLIENTS):
            lines = [f"GET {path} HTTP/1.1", "Host: here", f"Authorization: {headers['authorization']}", f"Idempotency-Key: {_key(number)}"]
            request = "\r\n".join([*lines, "", ""])
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as gone:
                encoded = request.encode("ascii")
                if number % 4 == 0:
                    # Half a request is none.
                    gone.sendall(encoded[: randomness.randrange(1, len(encoded) - 4)])
                    gone_before_the_answer += 1
                    continue
                gone.sendall(encoded)
                if number % 4 == 1:
                    gone_before_the_answer += 1  # at once; it may or may not have been decided by then
                elif number % 4 == 2:
                    assert gone.recv(1)  # on record, and most of the answer never read
                else:
                    _read_all(gone)
        # Those that left at once may be at work yet: what they asked is recorded or will never be.
        _settled(world.installation, "JPN")
        recorded = log_size(world.installation, "JPN") - before
        assert CLIENTS // 2 <= recorded <= CLIENTS - CLIENTS // 4
        with httpx.Client(base_url=server.url, timeout=20) as client:
            for number in range(CLIENTS):
                answer = client.get(path, headers={**headers, "Idempotency-Key": _key(number)})
                assert answer.status_code == 200
                if number == 0:
                    first = answer.content
                assert answer.content == first
        with world.installation.database.reading() as connection:
            row = logs.entry(connection, answer.headers["release-event"])
        assert row is not None and face(row)["body_sha256"] == hashlib.sha256(first).hexdigest()
        # One event for each key: no more for those who asked twice, and one now for those whose first request was none.
        assert log_size(world.installation, "JPN") - before == CLIENTS
    assert gone_before_the_answer == CLIENTS // 2
    assert verify_all(world.installation).ok
    world.installation.close()


def _key(number: int) -> str:
    return f"the-key-of-client-{number:06}"


def _read_all(connection: socket.socket) -> None:
    read = b""
    while b"\r\n\r\n" not in read:
        read += connection.recv(65_536)
    head, _, body = read.partition(b"\r\n\r\n")
    length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")).split(b":")[1])
    while len(body) < length:
        body += connection.recv(65_536)


def _settled(installation: Installation, log: str) -> None:
    """Wait until the log has stopped growing."""
    end = time.monotonic() + _WAIT_SECONDS
    size, since = -1, time.monotonic()
    while time.monotonic() - since < 0.5:
        now = log_size(installation, log)
        if now != size:
            size, since = now, time.monotonic()
        assert time.monotonic() < end, "the log goes on growing"
        time.sleep(0.02)
