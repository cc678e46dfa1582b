"""Two worlds: installations that are to look the same to a partner, and what it takes to say whether they do.

A *world* is an installation in a folder of its own with a clock that moves only when it is told to. A *pair* is two of them whose
clocks move together, once for every step of the story and every request, however often the product reads the time. What a partner
is answered in both is compared byte for byte by a `Twin`:

- Times are compared as they stand: the clocks agree, so a time that differs is something that moved.
- Random ids, cursors, seals, signatures, digests of what holds them: each is mapped from one world to the other at its first
  appearance, by kind, and must be mapped so ever after, in both directions. Lengths are compared before anything is mapped.
- All the rest (statuses, headers and their order, pieces a body is sent in, the bytes between ids) must be equal.

A text that differs and is of no known kind is a difference. A route that shows a new kind of random value teaches it to `_KINDS`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from sqlalchemy import event

from service.app import create_app
from service.identity.clients import Client, Role
from service.policy import read_directory
from service.settings import Settings
from service.sharing import catalogue, importing, item_files
from service.sharing.acts import Actor
from service.sharing.installation import Installation, open_installation
from service.store import catalogue as stored
from service.store import logs
from tests.support.two_officers import publish_as_two, relabel_within

OFFICER: Final = Actor("c_officer", "cli")
START: Final = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
STEP: Final = timedelta(milliseconds=1500)
JPN, IND, GBR = "JPN", "IND", "GBR"
PURPOSE: Final = "EXERCISE-KEEN"
"""Set for the partner's client, so that a request may state it."""
POLICIES: Final = Path(__file__).resolve().parents[2] / "policies"


class Differs(AssertionError):
    """The two worlds can be told apart."""


class SteppedClock:
    """Says the same time until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


# --- asking ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """A request as its exact bytes: the path is sent as it stands, encoded or not."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    authorized: bool = True

    def __str__(self) -> str:
        asked = f"{self.method} {self.path[:120]}" + (f"?{self.query[:200]}" if self.query else "")
        return asked + "".join(f" [{name}: {value}]" for name, value in self.headers)


@dataclass(frozen=True, slots=True)
class Answer:
    """All that comes back. `pieces` are the lengths the body was sent in."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    pieces: tuple[int, ...]

    def header(self, name: bytes) -> bytes | None:
        return next((value for known, value in self.headers if known == name), None)


@dataclass(slots=True)
class World:
    """One installation, and the partner's client in it."""

    name: str
    installation: Installation
    clock: SteppedClock
    app: Any
    loop: asyncio.AbstractEventLoop
    clients: dict[str, Client]
    secrets: dict[str, str] = field(default_factory=dict)
    items: dict[str, str] = field(default_factory=dict)
    """Item ids by `ref`."""
    _tokens: dict[str, tuple[datetime, str]] = field(default_factory=dict)

    def token(self, who: str) -> str:
        """A token that is good now; the same for five minutes."""
        issued, token = self._tokens.get(who, (None, ""))
        if issued is None or self.clock.now - issued > timedelta(minutes=5):
            token = self.installation.issuer.issue(self.clients[who], self.clock.now)
            self._tokens[who] = (self.clock.now, token)
        return token

    def ask(self, request: Request, *, who: str = JPN) -> Answer:
        """Send a request through the whole application, guard included."""
        return self.loop.run_until_complete(self._ask(request, who))

    async def _ask(self, request: Request, who: str) -> Answer:
        headers = [(b"host", b"worlds.example")]
        headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]
        if request.authorized:
            headers.append((b"authorization", b"Bearer " + self.token(who).encode("ascii")))
        if request.body:
            headers.append((b"content-length", str(len(request.body)).encode("ascii")))
        raw = request.path.encode("ascii")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote_to_bytes(raw).decode("utf-8", "replace"),
            "raw_path": raw,
            "query_string": request.query.encode("ascii"),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 4711),
            "server": ("worlds.example", 80),
            "state": {},
        }
        sent: list[Any] = []
        given = False

        async def receive() -> dict[str, Any]:
            nonlocal given
            if given:
                return {"type": "http.disconnect"}
            given = True
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start, *rest = sent
        blocks = [message.get("body", b"") for message in rest]
        pairs = tuple((bytes(name), bytes(value)) for name, value in start["headers"])
        return Answer(start["status"], pairs, b"".join(blocks), tuple(len(block) for block in blocks))

    # --- what officers do

    def store(self, item: Mapping[str, Any], *, update: bool = False) -> str:
        """Store an item, or a new version of one; returns its id."""
        ref = str(item["ref"])
        files = item_files.SentFiles(self.installation.database)
        outcome = importing.store_one(self.installation, dict(item), OFFICER, files=files, item_id=self.items[ref] if update else None)
        if outcome.item_id is None:
            raise ValueError(f"the story's item `{ref}` was refused")
        self.items[ref] = outcome.item_id
        return outcome.item_id

    def store_at_once(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Store items in one act, as an import does."""
        files = item_files.SentFiles(self.installation.database)
        lines = [json.dumps(item).encode("utf-8") + b"\n" for item in items]
        *_, counted = importing.import_items(self.installation, lines, OFFICER, files=files)
        if counted["imported"] != len(items):
            raise ValueError("an item of the story was refused")
        for ref, item_id in self.rows("SELECT ref, id FROM item"):
            self.items[ref] = item_id

    def keep_file(self, content: bytes) -> str:
        """Send a file ahead of the item that names it, unless it was sent; returns its digest."""
        sent = hashlib.sha256(content)
        if self.installation.files.holds(sent.digest()):
            return sent.hexdigest()
        sha256, size = self.installation.files.put([content])
        with self.installation.acts.registering("file.store", OFFICER) as act:
            stored.add_file(act.connection, sha256, size)
        return sha256.hex()

    def withdraw(self, ref: str) -> None:
        with self.installation.acts.act("item.withdraw", OFFICER) as act:
            catalogue.withdraw(act, self.items[ref], reason="the story says so")

    def relabel(self, ref: str, marking: str, *, portion_id: str | None = None) -> None:
        with self.installation.acts.act("item.relabel", OFFICER) as act:
            relabel_within(act, self.items[ref], marking, portion=portion_id)

    def publish(self, files: Mapping[str, bytes]) -> None:
        publish_as_two(self.installation, files, OFFICER)

    def add_client(self, name: str, partner: str, purposes: Sequence[str] = ()) -> None:
        client, secret = self.installation.registry.add(name, Role.PARTNER, partner=partner, purposes=purposes)
        self.clients[partner] = client
        self.secrets[partner] = secret or ""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the officer could look up, read beside the service."""
        connection = sqlite3.connect(self.installation.settings.data / "entente.db")
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def reopened(self) -> World:
        """The same folder, opened again; only after `close`."""
        folder = self.installation.settings.data
        world = reopen_world(folder, self.name, self.clients, self.secrets, self.clock.now)
        world.items.update(self.items)
        return world

    def close(self) -> None:
        self.installation.close()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


@dataclass(frozen=True, slots=True)
class Base:
    """A data folder to make worlds of: policy published, clients registered, one request of IND on record."""

    folder: Path
    clients: Mapping[str, Client]
    secrets: Mapping[str, str]
    now: datetime
    foreign_event: str
    """Id of an event in IND's log."""


def make_base(folder: Path, files: Mapping[str, bytes] | None = None, *, keys_of: Base | None = None) -> Base:
    """Set up an installation and close it again.

    Args:
        files: the bundle; default the shipped sample.
        keys_of: an installation whose keys it is to have, so that signatures are by the same names.
    """
    # The slot of a log is random and stands in its origin as a number: three digits, so that lengths agree.
    for attempt in range(40):
        data = folder / f"base-{attempt}"
        if keys_of is not None:
            shutil.copytree(keys_of.folder / "keys", data / "keys")
        clock = SteppedClock()
        installation = open_installation(Settings(data=data), clock=clock)
        installation.publishing.publish(files or read_directory(POLICIES), OFFICER)
        with installation.database.reading() as connection:
            head = logs.head(connection, JPN)
        if head is not None and 100 <= head.slot <= 999:
            break
        installation.close()
    world = _world("base", installation, clock, {}, {})
    clock.now += STEP
    world.add_client("two-worlds-jpn", JPN, (PURPOSE,))
    clock.now += STEP
    world.add_client("two-worlds-ind", IND)
    clock.now += STEP
    answer = world.ask(Request("GET", "/v1/items"), who=IND)
    foreign = (answer.header(b"release-event") or b"").decode("ascii")
    clock.now += STEP
    base = Base(data, dict(world.clients), dict(world.secrets), clock.now, foreign)
    world.close()
    return base


def open_world(base: Base, folder: Path, name: str) -> World:
    """A world of its own, made of a base."""
    shutil.copytree(base.folder, folder)
    return reopen_world(folder, name, base.clients, base.secrets, base.now)


def reopen_world(folder: Path, name: str, clients: Mapping[str, Client], secrets: Mapping[str, str], now: datetime) -> World:
    """Open a folder again, as after a restart: nothing is cached."""
    clock = SteppedClock(now)
    installation = open_installation(Settings(data=folder), clock=clock)
    return _world(name, installation, clock, clients, secrets)


def _world(name: str, installation: Installation, clock: SteppedClock, clients: Mapping[str, Client], secrets: Mapping[str, str]) -> World:
    loop = asyncio.new_event_loop()
    _hurry(installation)
    app = create_app(installation)
    installation.gate.start()
    return World(name, installation, clock, app, loop, dict(clients), dict(secrets))


def _hurry(installation: Installation) -> None:
    """Let the disk write when it likes: that nothing leaves before its entry is durable is asked elsewhere, and takes time here."""

    def prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(installation.database.engine, "connect", prepare)
    installation.database.engine.dispose()


# --- comparing ------------------------------------------------------------------------------------------------------

_RUN: Final = re.compile(rb"[A-Za-z0-9_\-+/=.]{20,}")
_SHORT: Final = re.compile(rb"\\n")
_KINDS: Final = (
    ("digest", re.compile(rb"[0-9a-f]{64}")),
    ("hash", re.compile(rb"[A-Za-z0-9+/]{43}=")),
    ("id", re.compile(rb"[A-Za-z0-9_-]{22}")),
    ("client", re.compile(rb"c_[A-Za-z0-9_-]{24}")),
    ("cursor", re.compile(rb"[A-Za-z0-9_-]{62}")),
    ("signature", re.compile(rb"[A-Za-z0-9+/]{91}=")),
    ("token", re.compile(rb"eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}")),
    ("origin", re.compile(rb"entente\.local/log/[0-9]{3}/JPN")),
    ("key", re.compile(rb"entente\.local/log/[0-9]{3}/JPN\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}")),
)
_HASH_BYTES: Final = 32


def kind_of(text: bytes) -> str | None:
    """The kind of random value a text can be, or None."""
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(text)), None)


class Twin:
    """Which random value of the one world is which of the other."""

    def __init__(self) -> None:
        self._there: dict[tuple[str, bytes], bytes] = {}
        self._back: dict[tuple[str, bytes], bytes] = {}

    def pair(self, kind: str, one: bytes, other: bytes, where: str) -> None:
        """Note that these two are the same thing.

        Raises:
            Differs: one of them was something else before.
        """
        if self._there.setdefault((kind, one), other) != other or self._back.setdefault((kind, other), one) != one:
            raise Differs(f"{where}: {kind} {one[:80]!r} is now {other[:80]!r}, and was {self._there[kind, one][:80]!r} before")

    def compare(self, one: Answer, other: Answer, where: str) -> None:
        """Compare two answers.

        Raises:
            Differs: with the first thing that differs.
        """
        if one.status != other.status:
            raise Differs(f"{where}: status {one.status} and {other.status}")
        names, other_names = [name for name, _ in one.headers], [name for name, _ in other.headers]
        if names != other_names:
            raise Differs(f"{where}: headers {names} and {other_names}")
        for (name, value), (_, other_value) in zip(one.headers, other.headers, strict=True):
            self.same(value, other_value, f"{where}: header {name.decode()}")
        if one.pieces != other.pieces:
            raise Differs(f"{where}: bodies of {one.pieces} and {other.pieces} bytes: {_shown(one.body, other.body)}")
        if one.body != other.body:
            # What a leaf says of a body is the digest of that very body, in both worlds.
            self.pair("digest", _hex(one.body), _hex(other.body), where)
        self.same(one.body, other.body, f"{where}: body")

    def same(self, one: bytes, other: bytes, where: str) -> None:
        """Compare two texts, or two tiles of a log."""
        if len(one) != len(other):
            raise Differs(f"{where}: {len(one)} and {len(other)} bytes: {_shown(one, other)}")
        if _is_text(one) and _is_text(other):
            self._texts(one, other, where)
        elif one != other:
            self._tiles(one, other, where)

    def _texts(self, one: bytes, other: bytes, where: str) -> None:
        # A line end inside a JSON string would lend its `n` to what follows.
        one, other = _SHORT.sub(b"\n", one), _SHORT.sub(b"\n", other)
        rest, other_rest = _RUN.split(one), _RUN.split(other)
        if rest != other_rest:
            # Shown without what is random, so that what is shown is the difference.
            raise Differs(f"{where}: {_shown(b'~'.join(rest), b'~'.join(other_rest))}")
        for found, other_found in zip(_RUN.findall(one), _RUN.findall(other), strict=True):
            kind = kind_of(found)
            if found != other_found and (kind is None or kind != kind_of(other_found) or len(found) != len(other_found)):
                raise Differs(f"{where}: {found[:120]!r} and {other_found[:120]!r}")
            if kind is not None:
                self.pair(kind, found, other_found, where)

    def _tiles(self, one: bytes, other: bytes, where: str) -> None:
        entries, other_entries = _bundle(one), _bundle(other)
        if entries is not None and other_entries is not None:
            for entry, other_entry in zip(entries, other_entries, strict=True):
                self.same(entry, other_entry, where)
        elif len(one) % _HASH_BYTES == 0:
            for start in range(0, len(one), _HASH_BYTES):
                self.pair("tile", one[start : start + _HASH_BYTES], other[start : start + _HASH_BYTES], where)
        else:
            raise Differs(f"{where}: bytes that are no tile of a log differ")


def _hex(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode("ascii")


def _is_text(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _bundle(value: bytes) -> list[bytes] | None:
    """The entries of a C2SP tlog-tiles bundle: each after its length in two bytes."""
    entries: list[bytes] = []
    while value:
        length = int.from_bytes(value[:2], "big")
        entry, value = value[2 : 2 + length], value[2 + length :]
        if len(entry) != length or not entry.startswith(b"{"):
            return None
        entries.append(entry)
    return entries


def _shown(one: bytes, other: bytes) -> str:
    place = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, place - 60)
    return f"{one[start : place + 100]!r} and {other[start : place + 100]!r}"


@dataclass(slots=True)
class Pair:
    """Two worlds and their clocks; `without` lacks what `having` has."""

    without: World
    having: World
    twin: Twin = field(default_factory=Twin)
    asked: int = 0

    def tick(self, by: timedelta = STEP) -> None:
        """Move both clocks on alike."""
        self.without.clock.now += by
        self.having.clock.now = self.without.clock.now

    def both(self, step: Callable[[World], Any]) -> tuple[Any, Any]:
        """Do one thing in both worlds, at one time."""
        self.tick()
        return step(self.without), step(self.having)

    def having_only(self, step: Callable[[World], Any]) -> None:
        """Do it where it is done; in the other world only time passes."""
        self.tick()
        step(self.having)

    def ask(self, one: Request, other: Request | None = None) -> tuple[Answer, Answer]:
        """Ask both the same, and compare. `other` where ids stand in the request."""
        self.tick()
        self.asked += 1
        answer, other_answer = self.without.ask(one), self.having.ask(other or one)
        self.twin.compare(answer, other_answer, str(one))
        return answer, other_answer

    def close(self) -> None:
        self.without.close()
        self.having.close()


@contextmanager
def pair_of(base: Base, folder: Path, *, other_base: Base | None = None, kind: type[Pair] = Pair) -> Iterator[Pair]:
    """Two worlds of one base (or of two), closed at the end. `kind` may be a pair that compares more."""
    without = open_world(base, folder / "without", "without")
    having = open_world(other_base or base, folder / "having", "having")
    pair = kind(without, having)
    try:
        yield pair
    finally:
        pair.close()
