"""What the kernel saw of a running server: the log is on disk before the first byte of an answer goes to the socket.

`strace` prints a line where a call begins and ends with no other event between, and two lines (`<unfinished ...>`, `resumed`)
where something came between: the order of its lines is the order of events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from service.sharing.installation import Installation
from tests.support.debian import program
from tests.support.faults import Small, log_size, recorded_routes, small
from tests.support.faults_server import Server

_CALLS = "fsync,fdatasync,write,writev,pwrite64,pwritev,sendto,sendmsg,sendfile,splice,read,recvfrom,recvmsg"
_LINE = re.compile(r"(?P<pid>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\(\d+<(?P<file>[^>]*)>)(?P<rest>.*)")
_BYTES = re.compile(r'"(?P<bytes>(?:[^"\\]|\\.)*)')
_SENDS = frozenset({"write", "writev", "sendto", "sendmsg", "sendfile", "splice"})
_READS = frozenset({"read", "recvfrom", "recvmsg"})
_SYNCS = frozenset({"fsync", "fdatasync"})


@dataclass(frozen=True, slots=True)
class Event:
    """A call, at the line where it ended; a send at the line where it began. `text` is what it carried, as far as that was printed."""

    line: int
    call: str
    file: str
    text: str
    ok: bool


def events(trace: str) -> list[Event]:
    """The calls on files, in order."""
    begun: dict[str, tuple[str, str, str, int]] = {}
    found: list[Event] = []
    for number, line in enumerate(trace.splitlines()):
        match = _LINE.match(line)
        if match is None:
            continue
        pid, rest = match["pid"], match["rest"]
        if match["resumed"] is None:
            call, file, first, start = match["call"], match["file"], rest, number
            if rest.endswith("<unfinished ...>"):
                begun[pid] = (call, file, rest, number)
                continue
        elif pid in begun and begun[pid][0] == match["resumed"]:
            call, file, first, start = begun.pop(pid)
        else:
            continue
        carried = _BYTES.search(rest if call in _READS else first)
        at = start if call in _SENDS and file.startswith("socket:") else number
        found.append(Event(at, call, file, carried["bytes"] if carried else "", not re.search(r"= -1 ", rest)))
    return sorted(found, key=lambda event: event.line)


@dataclass(frozen=True, slots=True)
class Seen:
    """One request in a trace: line numbers. `synced` is where the last sync of the log before the answer had ended."""

    request: str
    wal_written: int | None
    synced: int | None
    answered: int
    status: str


def requests_seen(trace: str) -> list[Seen]:
    """Each request that came in and the first byte of its answer, with what was done to the database's log between."""
    found: list[Seen] = []
    request: str | None = None
    written = synced = None
    for event in events(trace):
        on_socket = event.file.startswith("socket:")
        if on_socket and event.call in _READS and re.match(r"(GET|HEAD|POST|PUT) ", event.text):
            request, written, synced = " ".join(event.text.split(" ")[:2]), None, None
        elif request is None:
            continue
        elif event.file.endswith("entente.db-wal") and event.call in ("pwrite64", "pwritev", "write"):
            written = event.line
        elif event.file.endswith("entente.db-wal") and event.call in _SYNCS and event.ok:
            synced = event.line
        elif on_socket and event.call in _SENDS:
            found.append(Seen(request, written, synced, event.line, event.text[9:12]))
            request = None
    return found


@dataclass(frozen=True, slots=True)
class Traced:
    """What was asked, in order, and what was seen of it."""

    asked: list[tuple[str, int]]
    seen: list[Seen]
    leaves: int
    installation: Installation


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("traced") / "data"
    folder.mkdir()
    world = small(folder)
    trace = folder.parent / "trace"
    strace = [program("strace"), "-f", "-y", "-q", "-s", "150", "-e", f"trace={_CALLS}", "-e", "signal=none", "-o", str(trace)]
    before = log_size(world.installation, "JPN") + log_size(world.installation, "officers")
    asked: list[tuple[str, int]] = []
    with Server(folder, under=strace) as server:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for method, path, who, body in _requests(world):
                answer = client.request(method, path, headers=world.headers(who), content=body)
                asked.append((f"{method} {path}", answer.status_code))
    leaves = log_size(world.installation, "JPN") + log_size(world.installation, "officers") - before
    yield Traced(asked, [one for one in requests_seen(trace.read_text()) if "/v1/" in one.request], leaves, world.installation)
    world.installation.close()


def _requests(world: Small) -> Iterator[tuple[str, str, str, bytes]]:
    for method, template in recorded_routes():
        for visible in (True, False, True):  # the second time from the caches
            yield method, world.path(template, visible=visible), "jpn", b""
    sea = f"/v1/officer/items/{world.items['sea']}"
    yield "GET", f"{sea}/audience", "officer", b""
    yield "POST", f"{sea}/labels", "officer", b'{"marking":"(S//NF)","reason":"a test"}'
    yield "POST", f"{sea}/withdraw", "officer", b'{"reason":"a test"}'


def test_the_trace_shows_every_request_that_was_made(traced: Traced) -> None:
    assert [(one.request, one.status) for one in traced.seen] == [(request, str(status)) for request, status in traced.asked]
    assert {status for _, status in traced.asked} == {200, 404}
    assert traced.leaves == len(traced.asked)


def test_the_log_is_on_disk_before_the_first_byte_of_an_answer_is_sent(traced: Traced) -> None:
    for one in traced.seen:
        assert one.wal_written is not None, f"{one.request} was answered without a write to the log"
        assert one.synced is not None, f"{one.request} was answered before the log was on disk"
        assert one.wal_written < one.synced < one.answered, one


HEAD = '7 read(5<socket:[9]>, "GET /v1/items HTTP/1.1\\r\\n"..., 256) = 99'
WRITE = '8 pwrite64(3</d/entente.db-wal>, "x"..., 24, 0) = 24'
SYNC = "8 fdatasync(3</d/entente.db-wal>) = 0"
SEND = '7 write(5<socket:[9]>, "HTTP/1.1 200 OK\\r\\n"..., 99) = 99'
BEGUN = "8 fdatasync(3</d/entente.db-wal> <unfinished ...>"
ENDED = "8 <... fdatasync resumed>)               = 0"
FAILED = "8 fdatasync(3</d/entente.db-wal>) = -1 EIO (Input/output error)"


@pytest.mark.parametrize(
    ("lines", "holds"),
    [
        ([HEAD, WRITE, SYNC, SEND], True),
        ([HEAD, WRITE, BEGUN, ENDED, SEND], True),
        ([SYNC, HEAD, WRITE, SEND, SYNC], False),
        ([HEAD, WRITE, BEGUN, SEND, ENDED], False),
        ([HEAD, SYNC, WRITE, SEND], False),
        ([HEAD, WRITE, FAILED, SEND], False),
        ([HEAD, SEND], False),
    ],
)
def test_a_trace_in_another_order_would_be_noticed(lines: list[str], holds: bool) -> None:
    (seen,) = requests_seen("\n".join(lines))
    assert (seen.wal_written is not None and seen.synced is not None and seen.wal_written < seen.synced < seen.answered) is holds
