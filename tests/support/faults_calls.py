"""Faults below SQLite: a call on the database's files that fails or kills its child (strace), and power cuts replayed from a trace.

A power cut keeps, of each file, what was synced; of what was written after, any part, in sectors, as a disk may have got to it. The trace
has every write with its bytes, every sync, and every answer between them; so a cut is a place in the trace and a draw.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from service.settings import Settings
from service.sharing.installation import open_installation
from tests.support.debian import program
from tests.support.faults import Small
from tests.support.faults_forks import Forks, Plan, Told, check

FAULTS: Final = ("error=EIO", "error=ENOSPC", "signal=SIGKILL")
CALLS: Final = ("pwrite64", "fdatasync", "fsync", "ftruncate", "fallocate", "fcntl", "openat", "pread64", "unlink")
"""What a commit does to its files; each that a trace shows is tried."""
SECTOR_BYTES: Final = 512
_CALL: Final = re.compile(r"(\w+)\(")
_LOCK: Final = re.compile(r"-shm>, F_SETLK, \{l_type=F_(?P<kind>WR|UN|RD)LCK, .*l_start=(?P<byte>\d+)")


def traced(forks: Forks, plan: Plan, files: Sequence[Path], trace: Path, *arguments: str) -> tuple[Told, str]:
    """Run a child under strace; what it was told, and the trace of its calls on these files."""
    pid = forks.start(plan)
    paths = [argument for path in files for argument in ("-P", str(path))]
    command = [program("strace"), "-y", "-e", "signal=none", *paths, *arguments, "-o", str(trace), "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        assert "attached" in attached, attached
        forks.go()
        told = forks.end()
        tracer.stderr.read()
    return told, trace.read_text(errors="replace")


def database_files(data: Path) -> list[Path]:
    return [data / f"entente.db{suffix}" for suffix in ("", "-wal", "-shm")]


# --- a call that fails --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Injected:
    """What came of faults at calls."""

    tried: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    bodies: int = 0
    refused: int = 0
    killed: int = 0


def calls_of_a_commit(forks: Forks, data: Path, folder: Path, *, asks: int) -> Counter[str]:
    """How often a child that is left alone calls each."""
    _, trace = traced(forks, Plan(asks=asks, wait=True, seed=1), database_files(data), folder / "calls", "-e", f"trace={','.join(CALLS)}")
    return Counter(match[1] for line in trace.splitlines() if (match := _CALL.match(line)))


def inject(
    world: Small, forks: Forks, folder: Path, places: Sequence[tuple[str, str, int]], *, asks: int, seed: int, whole_every: int = 25
) -> Injected:
    """Fail each place, (fault, call, which one of its kind), in a child of its own over the one data folder.

    Raises:
        AssertionError: as `check`; or a child that is refused more than the one request, or that a later one has to help.
    """
    summary = Injected()
    data = world.installation.settings.data
    keyed: dict[str, str] = {}
    for number, (fault, call, place) in enumerate(places):
        plan = Plan(asks=asks, wait=True, seed=seed + number)
        where = f"{fault} at {call} {place}, seed {plan.seed}"
        told, trace = traced(
            forks, plan, database_files(data), folder / "injected", "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={place}"
        )
        happened = told.killed if "SIGKILL" in fault else "(INJECTED)" in trace
        assert told.killed == (happened and "SIGKILL" in fault), where
        # A key is asked twice in one turn: if the first is refused, so the turn ends; one fault is one refusal.
        assert len(told.refused) <= happened, f"{where}: refused {told.refused}"
        summary.tried += 1
        summary.happened[fault] += happened
        summary.killed += told.killed
        summary.refused += len(told.refused)
        last = number == len(places) - 1
        summary.bodies += check(world.installation, told, keyed, whole=number % whole_every == whole_every - 1 or last)
    # By itself: nobody repaired anything between two children, and this one is refused nothing.
    told = forks.run(Plan(asks=asks, seed=seed + len(places)))
    assert told.refused == []
    check(world.installation, told, keyed, whole=True)
    return summary


def locks_given_back(forks: Forks, data: Path, folder: Path, *, asks: int) -> dict[int, list[int]]:
    """Of a child that is left alone, which of its `fcntl` calls give back a lock to write, by byte of the shared memory's file."""
    _, trace = traced(forks, Plan(asks=asks, wait=True, seed=1), database_files(data), folder / "locks", "-e", "trace=fcntl")
    found: dict[int, list[int]] = {}
    held: set[int] = set()
    for place, line in enumerate((line for line in trace.splitlines() if line.startswith("fcntl(")), start=1):
        match = _LOCK.search(line)
        if match is None:
            continue
        byte = int(match["byte"])
        if match["kind"] == "WR":
            held.add(byte)
        elif match["kind"] == "UN" and byte in held:
            held.discard(byte)
            found.setdefault(byte, []).append(place)
    return found


# --- the power goes -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operation:
    """What a child did to a file. A write has bytes; a truncation a size; a sync neither; `answered` an answer told."""

    kind: str
    file: str
    offset: int = 0
    content: bytes = b""


_OPERATION: Final = re.compile(
    r'(?:(?P<write>pwrite64|write)\(\d+<(?P<written>[^>]*)>, "(?P<bytes>(?:\\x[0-9a-f]{2})*)"(?P<cut>\.\.\.)?, \d+'
    r"(?:, (?P<offset>\d+))?\) = \d+"
    r"|(?P<sync>fdatasync|fsync)\(\d+<(?P<synced>[^>]*)>\) += 0"
    r"|ftruncate\(\d+<(?P<truncated>[^>]*)>, (?P<size>\d+)\) += 0)"
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A child's life as its disk saw it: files before it, by name, what was done to them, and what it was told, in order."""

    before: dict[str, bytes]
    operations: list[Operation]
    told: Told


def record(world: Small, forks: Forks, folder: Path, plan: Plan) -> Recorded:
    """Let a child live and write down what it did to the disk."""
    data = world.installation.settings.data
    names = ("entente.db", "entente.db-wal")
    before = {name: (data / name).read_bytes() for name in names if (data / name).exists()}
    files = [data, folder / "told", *(data / name for name in names)]
    told, trace = traced(
        forks,
        plan,
        files,
        folder / "disk",
        "-s",
        "100000",
        "-xx",
        "-e",
        "trace=pwrite64,write,fdatasync,fsync,ftruncate,fallocate,rename,unlink",
    )
    assert not told.killed
    operations: list[Operation] = []
    for line in trace.splitlines():
        if not _CALL.match(line):
            continue
        match = _OPERATION.match(_plain_path(line))
        assert match is not None, f"a call of another form: {line[:200]}"
        assert match["cut"] is None, "a write that strace did not print whole"
        if match["write"]:
            content = bytes.fromhex(match["bytes"].replace("\\x", ""))
            if match["written"].endswith("/told"):
                operations.append(Operation("answered", "told"))
            else:
                operations.append(Operation("write", Path(match["written"]).name, int(match["offset"] or 0), content))
        elif match["sync"]:
            operations.append(Operation("sync", "" if match["synced"] == str(data) else Path(match["synced"]).name))
        else:
            operations.append(Operation("truncate", Path(match["truncated"]).name, int(match["size"])))
    return Recorded(before, operations, told)


def _plain_path(line: str) -> str:
    """With `-xx`, strace writes paths in hex as well."""
    return re.sub(r"<((?:\\x[0-9a-f]{2})+)>", lambda found: f"<{bytes.fromhex(found[1].replace(chr(92) + 'x', '')).decode()}>", line)


def cut(recorded: Recorded, place: int, randomness: random.Random) -> tuple[dict[str, bytes], int]:
    """The files after a power cut behind operation `place`, and how many answers had been told by then."""
    done = recorded.operations[:place]
    files = {name: bytearray(content) for name, content in recorded.before.items()}
    synced = {operation.file: number for number, operation in enumerate(done) if operation.kind == "sync"}
    kept = randomness.choice((0.0, 0.5, 0.9, 1.0))
    for number, operation in enumerate(done):
        if operation.kind not in ("write", "truncate"):
            continue
        durable = number < synced.get(operation.file, -1)
        if not durable and randomness.random() >= kept:
            continue
        content = files.setdefault(operation.file, bytearray())
        if operation.kind == "truncate":
            del content[operation.offset :]
            content.extend(bytes(max(0, operation.offset - len(content))))
            continue
        written = operation.content
        if not durable and randomness.random() < 0.3:
            written = written[: randomness.randrange(len(written) // SECTOR_BYTES + 1) * SECTOR_BYTES]
        content.extend(bytes(max(0, operation.offset - len(content))))
        content[operation.offset : operation.offset + len(written)] = written
    return {name: bytes(content) for name, content in files.items()}, sum(operation.kind == "answered" for operation in done)


def cuts(world: Small, recorded: Recorded, folder: Path, *, count: int, seed: int) -> Iterator[int]:
    """So many power cuts; after each, whatever had been answered is on record and the logs verify, in a start that nobody helps.

    Yields the number of answers that were told before each.

    Raises:
        AssertionError: as `check`.
    """
    data = world.installation.settings.data
    for number in range(count):
        randomness = random.Random(f"{seed} {number}")
        files, answered = cut(recorded, randomness.randrange(len(recorded.operations) + 1), randomness)
        place = folder / "after" / "data"
        place.mkdir(parents=True)
        for name, content in files.items():
            (place / name).write_bytes(content)
        shutil.copytree(data / "keys", place / "keys")
        (place / "files").symlink_to(data / "files")
        installation = open_installation(Settings(data=place))
        try:
            check(installation, _first(recorded.told, answered), {}, whole=True)
        finally:
            installation.close()
            shutil.rmtree(folder / "after")
        yield answered


def _first(told: Told, answered: int) -> Told:
    """The first so many of what was told. Released and acts were told in an order that the trace has and `Told` keeps by kind."""
    first = Told(finished=True)
    for kind, said in told.in_order[:answered]:
        if kind == "event":
            first.released.append(said)
        elif kind == "act":
            first.acts.append(said["act"])
    return first
