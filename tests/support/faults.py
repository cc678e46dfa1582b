"""One small installation for the fault tests, a way to ask it without a network, and the faults.

`ask` drives an application by ASGI and keeps whatever it sends, message by message, so that a body cut in the middle, or one that
rode along with an error, is seen for what it is.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import hashlib
import json
import random
import resource
import shutil
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from fastapi.routing import APIRoute
from sqlalchemy import event

from service.api.access import Access, rule_of
from service.app import build_routes, create_app
from service.identity.clients import Client, Role
from service.policy import read_directory
from service.settings import TOKEN_LIFETIME_SECONDS, Settings
from service.sharing.acts import Actor
from service.sharing.gate import Clock
from service.sharing.highwater import path_of
from service.sharing.importing import store_one
from service.sharing.installation import Installation, open_installation, system_clock
from service.sharing.item_files import LocalFiles, SentFiles
from service.store import catalogue, logs
from service.store.logs import StoredRow

ROOT: Final = Path(__file__).resolve().parents[2]
MACHINE_HERE: Final = Actor("machine", "cli")
PROHIBITION: Final = "p, PRO-9001, deny, *, JPN, *, UNCLASSIFIED, MARITIME, *, *, , , Order made for this test\n"
UNAVAILABLE: Final = b'{"type":"about:blank","title":"Service Unavailable","status":503}'
CHART_BYTES: Final = 300_000
"""Of the file: a few blocks."""

OPEN: Final = {
    "ref": "open",
    "marking": "UNCLASSIFIED",
    "categories": ["DIPLOMATIC"],
    "portions": [
        {"kind": "title", "marking": "(U)", "text": "Joint statement"},
        {"kind": "text", "marking": "(U)", "text": "The two governments will open a training centre."},
    ],
}
SEA: Final = {
    "ref": "sea",
    "marking": "SECRET//REL TO USA, JPN",
    "categories": ["MARITIME"],
    "portions": [
        {"kind": "title", "marking": "(S//REL TO USA, JPN)", "text": "Approaches of the training area"},
        {"kind": "text", "marking": "(S//REL TO USA, JPN)", "text": "Three patrol craft hold the approaches."},
    ],
}
HIDDEN: Final = {
    "ref": "hidden",
    "marking": "SECRET//NOFORN",
    "categories": ["MARITIME"],
    "portions": [{"kind": "title", "marking": "(S//NF)", "text": "Not for anyone"}],
}


def bundle_files(*, prohibited: bool = False) -> dict[str, bytes]:
    """The sample bundle without its cases; `prohibited`: with a row that takes everything maritime from JPN."""
    files = {name: content for name, content in read_directory(ROOT / "policies").items() if name != "README.md"}
    files["cases.csv"] = files["cases.csv"].splitlines(keepends=True)[0]
    if prohibited:
        files["prohibitions.csv"] += PROHIBITION.encode("utf-8")
    return files


@dataclass(frozen=True, slots=True)
class Small:
    """The installation, its clients by name and its items by ref. `file` is the portion id of the chart's file."""

    installation: Installation
    clients: Mapping[str, Client]
    items: dict[str, str]
    file: str
    chart: bytes = field(repr=False)
    _apps: list[Any] = field(default_factory=list, repr=False)

    @property
    def app(self) -> Any:
        """The application over it, made at the first use."""
        if not self._apps:
            self._apps.append(create_app(self.installation))
        return self._apps[0]

    def token(self, name: str, *, lifetimes_ahead: float = 0) -> str:
        """A token for a client, made now."""
        now = self.installation.clock() + timedelta(seconds=lifetimes_ahead * TOKEN_LIFETIME_SECONDS)
        return self.installation.issuer.issue(self.clients[name], now)

    def headers(self, name: str, **more: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(name)}", **{key.replace("_", "-"): value for key, value in more.items()}}

    def add(self, item: Mapping[str, Any]) -> str:
        """Store an item; its id."""
        installation = self.installation
        outcome = store_one(installation, dict(item), MACHINE_HERE, files=SentFiles(installation.database))
        if outcome.item_id is None or outcome.result != "stored":
            raise AssertionError(f"not stored: {outcome}")
        self.items[str(item["ref"])] = outcome.item_id
        return outcome.item_id

    def path(self, template: str, *, visible: bool) -> str:
        """A recorded route's template with its parameters filled; a parameter nobody thought of is a `KeyError`."""
        seen = {"id": self.items["chart"], "portion": self.file}
        unseen = {"id": self.items["hidden"], "portion": "nope"}
        return template.format_map(seen if visible else unseen)


def small(
    folder: Path, *, chart_bytes: int = CHART_BYTES, clock: Clock = system_clock, database: str | None = None, **settings: Any
) -> Small:
    """Set up an installation in a folder: policy, clients, an open item, a maritime one, one with a file, one that nobody gets."""
    asked = Settings(data=folder, database=database, **settings)
    if database is None and clock is system_clock:
        published, clients = _published()
        shutil.copytree(published, folder, dirs_exist_ok=True)
        shutil.copy(path_of(Settings(data=published)), path_of(asked))
        installation = open_installation(asked)
    else:
        installation = open_installation(asked, clock=clock)
        clients = _publish_into(installation)
    chart = random.Random(7).randbytes(chart_bytes)
    files = folder / "import"
    files.mkdir(parents=True, exist_ok=True)
    (files / "chart.bin").write_bytes(chart)
    local = LocalFiles(files, installation.files, SentFiles(installation.database))
    outcome = store_one(installation, chart_item("chart"), MACHINE_HERE, files=local)
    chart_id = outcome.item_id or ""
    with installation.database.reading() as connection:
        version = catalogue.version_in_force(connection, chart_id)
        assert version is not None
        file = next(portion.id for portion, _ in catalogue.portions_of_version(connection, version.id) if portion.kind == "file")
    made = Small(installation, dict(clients), {"chart": chart_id}, file, chart)
    for item in (OPEN, SEA, HIDDEN):
        made.add(item)
    return made


def _publish_into(installation: Installation) -> dict[str, Client]:
    """Policy and clients; the clients."""
    installation.publishing.publish(bundle_files(), MACHINE_HERE)
    named = (("jpn", Role.PARTNER, "JPN"), ("gbr", Role.PARTNER, "GBR"), ("officer", Role.OFFICER, None), ("auditor", Role.AUDITOR, None))
    return {name: installation.registry.add(name, role, partner=partner)[0] for name, role, partner in named}


@functools.cache
def _published() -> tuple[Path, dict[str, Client]]:
    """A data folder with policy and clients in it, made once and copied: publishing takes longer than most tests that begin with it."""
    above = Path(tempfile.mkdtemp(prefix="entente-tests-"))
    atexit.register(shutil.rmtree, above, ignore_errors=True)
    installation = open_installation(Settings(data=above / "data"))
    clients = _publish_into(installation)
    installation.highwater.keep()
    installation.close()
    return above / "data", clients


def chart_item(ref: str) -> dict[str, Any]:
    """An item with the file `chart.bin` beside a title."""
    return {
        "ref": ref,
        "marking": "UNCLASSIFIED",
        "categories": ["MARITIME"],
        "portions": [
            {"kind": "title", "marking": "(U)", "text": "Chart"},
            {"kind": "file", "marking": "(U)", "path": "chart.bin", "name": "chart.bin", "media_type": "application/octet-stream"},
        ],
    }


# --- asking -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What left. `status` is 0 where nothing did; `complete` where the last message said that it was the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool

    @property
    def event(self) -> str | None:
        return self.headers.get("release-event")


Sent = Callable[[Mapping[str, Any]], Awaitable[None]]


async def ask(
    app: Any, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", *, sent: Sent | None = None, decoded: bool = False
) -> Answer:
    """One request. `sent` sees every message before it counts as having left."""
    target, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": target, "raw_path": target.encode("ascii"), "query_string": query.encode("ascii"), "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    waiting = [{"type": "http.request", "body": body, "more_body": False}]
    status, answered, blocks, complete = 0, {}, [], False

    async def receive() -> Mapping[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        nonlocal status, answered, complete
        if sent is not None:
            await sent(message)
        if message["type"] == "http.response.start":
            assert status == 0, "a second start of a response"
            status = message["status"]
            answered = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]}
            return
        assert status, "a body before its start"
        assert not complete, "a body after the end"
        blocks.append(bytes(message.get("body", b"")))
        complete = not message.get("more_body", False)

    await app(scope, receive, send)
    return Answer(status, answered, b"".join(blocks), complete)


async def ask_all(app: Any, asked: list[tuple[str, str, Mapping[str, str]]]) -> list[Answer]:
    """Several at once."""
    return list(await asyncio.gather(*(ask(app, method, path, headers) for method, path, headers in asked)))


def recorded_routes() -> list[tuple[str, str]]:
    """(method, path template) of every recorded route, from the route table."""
    found = []
    for route in build_routes().routes:
        rule = rule_of(getattr(route, "endpoint", None))
        if isinstance(route, APIRoute) and rule is not None and rule.access is Access.RECORDED:
            found.extend((method, route.path) for method in sorted(route.methods))
    return found


# --- what is on record --------------------------------------------------------------------------------------------------


def entries(installation: Installation, log: str) -> list[StoredRow]:
    """A log, in order."""
    with installation.database.reading() as connection:
        head = logs.head(connection, log)
        assert head is not None
        rows = list(logs.entries(connection, head.id))
    assert [row.position for row in rows] == list(range(head.size))
    return rows


def log_size(installation: Installation, log: str) -> int:
    with installation.database.reading() as connection:
        head = logs.head(connection, log)
    return 0 if head is None else head.size


def face(row: StoredRow) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(row.leaf)
    return value


def act_of(row: StoredRow) -> int:
    """The act number an entry's record rests on."""
    return int(json.loads(row.record)["act"])


def on_record(installation: Installation, answer: Answer, *, head: bool = False) -> StoredRow:
    """The entry an answer names; it is there, and its digest is of the body that was received."""
    assert answer.event is not None
    with installation.database.reading() as connection:
        row = logs.entry(connection, answer.event)
    assert row is not None, "a body left without a record"
    if not head:
        assert face(row)["body_sha256"] == hashlib.sha256(answer.body).hexdigest()
    return row


def state_digest(database: Path) -> str:
    """A digest over every row of every table; a full-text index cannot be read, but the tables that it is kept in can."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        digest = hashlib.sha256()
        kept = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 ORDER BY name"
        tables = [row[0] for row in connection.execute(kept)]
        for table in tables:
            for row in sorted(repr(row) for row in connection.execute(f'SELECT * FROM "{table}"')):
                digest.update(f"{table} {row}\n".encode())
        return digest.hexdigest()
    finally:
        connection.close()


# --- faults -------------------------------------------------------------------------------------------------------------


@contextmanager
def locked(installation: Installation) -> Iterator[None]:
    """Another process holds the database's lock for longer than we wait."""
    other = sqlite3.connect(installation.settings.data / "entente.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


@contextmanager
def disk_error(_: Installation) -> Iterator[None]:
    """Every write to any file of this process fails (EFBIG, which SQLite tells as a disk I/O error)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


_PAGES_MAX: Final = 1_073_741_823


@contextmanager
def disk_full(installation: Installation) -> Iterator[None]:
    """The database file can grow no more (SQLITE_FULL). What fits into pages that are there already still does."""
    limit = [1]  # less than the file has: SQLite takes the size that it has

    def narrow(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={limit[0]}")

    event.listen(installation.database.engine, "checkout", narrow)
    try:
        yield
    finally:
        limit[0] = _PAGES_MAX


FAULTS: Final[Mapping[str, Callable[[Installation], Any]]] = {"disk error": disk_error, "disk full": disk_full, "locked": locked}
