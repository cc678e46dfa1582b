"""Children that ask of one data folder and die, as many as are wanted: each is forked from a process that has read code and policy already.

A child writes a line to a file for each answer, only once it has it, as a body leaves only once the gate has answered. What is in the
file when the child is gone was received. `Forks` is the test's side; run as a program, this module is the other.

A child's work is a plan: so many asks one after the other, straight into the gate's commit, or in so many threads through its writer.
Every third ask carries an `Idempotency-Key`, and is asked twice; every fifth turn is an act.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event

from service.errors import ServiceError
from service.settings import Settings
from service.sharing.gate import Ask, Released
from service.sharing.installation import Installation, open_installation
from service.sharing.verification import verify_all
from service.store import logs
from tests.support.faults import MACHINE_HERE, ROOT, Small, face
from tests.support.log_asks import PARTNERS, mixed_ask
from tests.support.two_officers import relabel_within

CHECKPOINT_PAGES: Final = 24
"""After so many pages SQLite copies its log into the database file; the usual thousand would never come in so short a life."""
_PATIENCE_SECONDS: Final = 60.0
_MARKINGS: Final = ("(S//REL TO USA, AUS)", "(S//REL TO USA, JPN)")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a child does. `threads` 0: asks in its main thread, committed one by one, so that its system calls come in one order."""

    asks: int
    threads: int = 0
    seed: int = 0
    wait: bool = False
    """Wait to be told before the first ask."""
    kill_after: float | None = None
    """It is killed so many seconds after it was started"""
    kill_once_told: int = 0
    """and answered so often: seconds alone are a different moment on every machine."""


@dataclass(slots=True)
class Told:
    """What a child was answered."""

    released: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    finished: bool = False
    killed: bool = False
    in_order: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """All of it, as it came: (first member's name, the line)."""


class Forks:
    """The process that forks children over a world's data folder. Close the world's own connections first."""

    def __init__(self, world: Small, folder: Path) -> None:
        self._told: Final = folder / "told"
        known = {"items": world.items, "file": world.file, "clients": {name: world.clients[name].id for name in ("gbr", "jpn")}}
        self._process: Final = subprocess.Popen(
            [sys.executable, "-m", "tests.support.faults_forks", str(world.installation.settings.data), str(self._told), json.dumps(known)],
            cwd=ROOT, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the forking process is gone"
        heard: dict[str, Any] = json.loads(line)
        return heard

    def _say(self, value: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def start(self, plan: Plan) -> int:
        """Start a child; its process id."""
        self._told.write_bytes(b"")
        self._say({name: getattr(plan, name) for name in Plan.__slots__})
        return int(self._hear()["pid"])

    def go(self) -> None:
        """Tell a child that waits."""
        self._say("go")

    def end(self) -> Told:
        """Wait until the child is gone."""
        status = self._hear()["status"]
        told = Told(killed=os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)
        for line in self._told.read_text().splitlines():
            said = json.loads(line)
            told.in_order.append((next(iter(said)), said))
            if "event" in said:
                told.released.append(said)
            elif "refused" in said:
                told.refused.append(said["refused"])
            elif "act" in said:
                told.acts.append(said["act"])
            elif "broken" in said:
                told.broken.append(said["broken"])
            else:
                told.finished = True
        assert told.killed or told.finished, f"the child ended with {status}"
        return told

    def run(self, plan: Plan) -> Told:
        """Start a child and wait until it is gone."""
        self.start(plan)
        return self.end()

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def check(installation: Installation, told: Told, keyed: dict[str, str], *, whole: bool) -> int:
    """Compare what was received with what is on record; how many bodies there were.

    Args:
        keyed: events by `Idempotency-Key`, of all children so far.
        whole: verify all logs too.

    Raises:
        AssertionError: a body without a record, or of another one; two events for one key; a log that does not verify.
    """
    assert told.broken == [], told.broken[:3]
    try:
        with installation.database.reading() as connection:
            for said in told.released:
                row = logs.entry(connection, said["event"])
                assert row is not None, "a body was received without a record"
                assert face(row)["body_sha256"] == said["sha256"], "the record is of another body"
                if said["key"] is not None:
                    assert keyed.setdefault(said["key"], said["event"]) == said["event"], "two events for one `Idempotency-Key`"
            for act in told.acts:
                assert logs.entry(connection, act) is not None, "an act was answered and is not on record"
        if whole:
            report = verify_all(installation)
            assert report.ok, report.problem
    finally:
        # No connection of ours stays open: the next child has to recover the database by itself.
        installation.database.close()
    return len(told.released)


# --- the child's side -----------------------------------------------------------------------------------------------------


class _Child:
    def __init__(self, installation: Installation, known: Mapping[str, Any], plan: Mapping[str, Any], told: Path) -> None:
        self._installation = installation
        self._known = known
        self._plan = plan
        self._told = os.open(told, os.O_WRONLY | os.O_APPEND)

    def tell(self, **said: object) -> None:
        os.write(self._told, json.dumps(said).encode() + b"\n")

    def run(self) -> None:
        event.listen(self._installation.database.engine, "connect", _checkpoint_soon)
        if not self._plan["threads"]:
            self._ask_all(0)
        else:
            self._installation.gate.start()
            threads = [threading.Thread(target=self._ask_all, args=(number,)) for number in range(self._plan["threads"])]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self._installation.gate.stop()
        self.tell(finished=True)

    def _ask_all(self, number: int) -> None:
        randomness = random.Random(f"{self._plan['seed']} {number}")
        for turn in range(self._plan["asks"]):
            try:
                if number == 0 and turn % 5 == 2:
                    self._act(turn)
                    continue
                partner = randomness.choice(PARTNERS)
                key = f"key-{self._plan['seed']:010}-{number}-{turn:04}" if turn % 3 == 1 else None
                for _ in range(1 if key is None else 2):
                    ask = mixed_ask(
                        self._installation, randomness, partner=partner, client=self._known["clients"][partner.lower()],
                        items=self._known["items"], file=self._known["file"], key=key,
                    )  # fmt: skip
                    self._answered(self._released(ask), key)
            except ServiceError as error:
                self.tell(refused=type(error).__name__)
            except Exception as error:  # noqa: BLE001  # told to the test, which fails on it
                self.tell(broken=f"{type(error).__name__}: {error}"[:500])

    def _released(self, ask: Ask) -> Released:
        gate = self._installation.gate
        if self._plan["threads"]:
            return gate.release_and_wait(ask)
        outcome = gate.commit([(ask, gate.prepare(ask))])[0]
        if isinstance(outcome, ServiceError):
            raise outcome
        return outcome

    def _answered(self, released: Released, key: str | None) -> None:
        sha256 = released.prepared.body_sha256
        if released.prepared.file is None:
            assert hashlib.sha256(released.prepared.body).digest() == sha256
        self.tell(event=released.entry.event_id, sha256=sha256.hex(), key=key)

    def _act(self, turn: int) -> None:
        with self._installation.acts.act("item.relabel", MACHINE_HERE) as act:
            relabel_within(act, self._known["items"]["sea"], _MARKINGS[turn % 2])
        self.tell(act=act.event_id())


def _checkpoint_soon(connection: Any, _record: Any) -> None:
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")


def _wait_until_told(told: Path, answers: int) -> None:
    ends = time.monotonic() + _PATIENCE_SECONDS
    while told.read_bytes().count(b"\n") < answers and time.monotonic() < ends:
        time.sleep(0.001)


def _main() -> None:
    data, told, known = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    installation = open_installation(Settings(data=data, database=os.environ.get("ENTENTE_DATABASE")))
    with installation.database.reading() as connection:
        installation.world.current(connection)
    # A connection must not be shared by two processes: from here on each child opens its own.
    installation.close()
    print(json.dumps({"ready": True}), flush=True)
    while line := sys.stdin.readline():
        plan = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(writing)
                if plan["wait"]:
                    os.read(reading, 1)
                _Child(installation, known, plan, told).run()
                code = 0
            finally:
                os._exit(code)
        os.close(reading)
        print(json.dumps({"pid": child}), flush=True)
        if plan["wait"]:
            sys.stdin.readline()
            os.write(writing, b"g")
        if plan["kill_after"] is not None:
            _wait_until_told(told, plan["kill_once_told"])
            time.sleep(plan["kill_after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(writing)
        print(json.dumps({"status": status}), flush=True)


if __name__ == "__main__":
    _main()
