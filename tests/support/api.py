"""A whole service in the test's own process: an installation in a folder, the application over it, and a way to ask it things.

Nothing is faked but the clock, which stands still until a test moves it. The demo is set up once, in a folder that is copied
for whoever wants one of their own.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from service.api.access import Access, rule_of
from service.api.guard import Guard
from service.app import build_routes, create_app
from service.demo.setup import set_up_demo
from service.identity.clients import Client, Role
from service.policy import read_bundle, read_directory
from service.settings import Settings
from service.sharing.acts import Actor
from service.sharing.installation import Installation, open_installation
from service.sharing.policies import ReadBundle

ROOT: Final = Path(__file__).parents[2]
POLICIES: Final = ROOT / "policies"
FILES: Final = read_directory(POLICIES)
MACHINE: Final = Actor("machine", "cli")
START: Final = datetime(2026, 11, 22, 10, tzinfo=UTC)
NOT_FOUND: Final = b'{"type":"about:blank","title":"Not Found","status":404}'
UNAUTHORIZED: Final = b'{"type":"about:blank","title":"Unauthorized","status":401}'
FORBIDDEN: Final = b'{"type":"about:blank","title":"Forbidden","status":403}'

CLIENTS: Final = {
    "jpn": ("demo-jpn", Role.PARTNER, "JPN", ("EXERCISE-KEEN",)),
    "ind": ("demo-ind", Role.PARTNER, "IND", ("PEACEKEEPING-UN",)),
    "gbr": ("demo-gbr", Role.PARTNER, "GBR", ()),
    "officer": ("demo-officer", Role.OFFICER, None, ()),
    "second-officer": ("second-officer", Role.OFFICER, None, ()),
    "auditor": ("demo-auditor", Role.AUDITOR, None, ()),
    "second-auditor": ("another-auditor", Role.AUDITOR, None, ()),
    "jpn-second": ("second-jpn", Role.PARTNER, "JPN", ("EXERCISE-KEEN",)),
    "operator": ("an-operator", Role.OPERATOR, None, ()),
}
"""Clients of every service made here, by the name tests know them by."""


class Clock:
    """Stands still until it is moved, so that nothing depends on how fast a test runs."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


class Service:
    """An installation, its application, and a way to ask it things as one of its clients."""

    def __init__(self, installation: Installation, clock: Clock) -> None:
        self.installation: Final = installation
        self.clock: Final = clock
        self.app: Final[Guard] = create_app(installation)
        self._runner: Final = asyncio.Runner()
        self._http: Final = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://entente.test")
        installation.gate.start()

    def client(self, who: str) -> Client:
        return self.installation.registry.named(CLIENTS[who][0])

    def token(self, who: str) -> str:
        """A token of the embedded issuer, made now."""
        return self.installation.issuer.issue(self.client(who), self.clock())

    def ask(
        self, who: str | None, method: str, path: str, *, token: str | None = None, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """Send a request as one of the clients; as nobody where `who` is None and no token is given."""
        given = dict(headers or {})
        if who is not None:
            token = self.token(who)
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        return self.run(lambda http: http.request(method, path, headers=given, **more))

    def get(self, who: str | None, path: str, **more: Any) -> httpx.Response:
        return self.ask(who, "GET", path, **more)

    def post(self, who: str | None, path: str, value: object = None, **more: Any) -> httpx.Response:
        if value is not None:
            more["json"] = value
        return self.ask(who, "POST", path, **more)

    def run(self, send: Callable[[httpx.AsyncClient], Any]) -> httpx.Response:
        """Run a coroutine made from the HTTP client to its end."""

        async def whole() -> httpx.Response:
            answer: httpx.Response = await send(self._http)
            return answer

        return self._runner.run(whole())

    def import_items(self, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Import items over HTTP, as an officer; the report."""
        lines = "".join(json.dumps(item) + "\n" for item in items).encode()
        answer = self.ask("officer", "POST", "/v1/officer/items/import", content=lines)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def publish_as_two(self, digest: str) -> httpx.Response:
        """Publish an archived bundle; where another officer must approve, he does. The answer that says it is in force."""
        answer = self.post("officer", f"/v1/officer/policies/{digest}/publish")
        if answer.status_code == 202:
            path = f"/v1/officer/policies/{digest}/approve"
            answer = self.post("second-officer", path, {"timeline": answer.json()["timeline"]})
        assert answer.status_code == 200, answer.text
        return answer

    def relabel_as_two(self, item: str, value: Mapping[str, Any]) -> httpx.Response:
        """Give other labels; where another officer must approve, he does. The answer that says they are in force."""
        answer = self.post("officer", f"/v1/officer/items/{item}/labels", value)
        if answer.status_code == 202:
            pending = answer.json()
            path = f"/v1/officer/items/{item}/labels/{pending['proposal']}/approve"
            answer = self.post("second-officer", path, {"timeline": pending["timeline"]})
        assert answer.status_code == 200, answer.text
        return answer

    def list_all(self, who: str, **params: Any) -> list[dict[str, Any]]:
        """Every item a partner is shown, page by page."""
        found: list[dict[str, Any]] = []
        query = dict(params)
        while True:
            page = self.get(who, "/v1/items", params=query).json()
            found += page["items"]
            if "next" not in page:
                return found
            query["cursor"] = page["next"]

    def entry(self, answer: httpx.Response) -> dict[str, Any]:
        """The log entry, opened, that an answer's `Release-Event` names."""
        opened = self.get("auditor", f"/v1/audit/releases/{answer.headers['release-event']}")
        assert opened.status_code == 200, opened.text
        found: dict[str, Any] = opened.json()
        return found

    def entries(self, **filters: Any) -> list[dict[str, Any]]:
        """All entries the auditor's filters find, newest first."""
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": "100", **filters}
        while True:
            answer = self.get("auditor", "/v1/audit/releases", params=query)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page["releases"]
            if "next" not in page:
                return found
            query["cursor"] = page["next"]

    def size(self, log: str) -> int:
        """How many entries a log holds."""
        return int(self.get("auditor", f"/v1/log/{log}/checkpoint").text.split("\n")[1])

    def close(self) -> None:
        self._runner.run(self._http.aclose())
        self._runner.close()
        self.installation.close()


@contextmanager
def service_in(
    folder: Path,
    *,
    clock: Clock | None = None,
    read: ReadBundle = read_bundle,
    http: Callable[[], httpx.Client] | None = None,
    **settings: Any,
) -> Iterator[Service]:
    """Open the installation in a folder and serve it."""
    clock = clock or Clock()
    more: dict[str, Any] = {} if http is None else {"http": http}
    installation = open_installation(Settings(data=folder, **settings), clock=clock, read_bundle=read, **more)
    service = Service(installation, clock)
    try:
        yield service
    finally:
        service.close()


def set_up(folder: Path, *, demo: bool = True, **settings: Any) -> None:
    """Make an installation with the sample bundle in force, every client of `CLIENTS`, and the demo's items."""
    installation = open_installation(Settings(data=folder, **settings), clock=Clock(START - timedelta(hours=1)))
    try:
        installation.publishing.publish(FILES, MACHINE)
        if demo:
            set_up_demo(installation)
        for name, role, partner, purposes in CLIENTS.values():
            if not demo or not name.startswith("demo-"):
                installation.registry.add(name, role, partner=partner, purposes=purposes)
    finally:
        installation.close()


def copied(folder: Path, to: Path) -> Path:
    """A copy of an installation's folder, which is not open."""
    shutil.copytree(folder, to)
    return to


def routes() -> list[tuple[str, str, Access]]:
    """(method, path, access) of every route there is, from the route table."""
    found = []
    for one in build_routes().routes:
        rule = rule_of(getattr(one, "endpoint", None))
        assert rule is not None, one
        found += [(method, str(getattr(one, "path", "")), rule.access) for method in sorted(getattr(one, "methods", ()) or ())]
    return found


def item(ref: str, marking: str = "UNCLASSIFIED", *, categories: Sequence[str] = ("DIPLOMATIC",), portions: int = 1) -> dict[str, Any]:
    """An item that the sample bundle releases to everyone, unless marked otherwise."""
    mark = "(U)" if marking == "UNCLASSIFIED" else "(U//REL TO USA, JPN)"
    return {
        "ref": ref,
        "marking": marking,
        "releasable_in": "portions",
        "categories": list(categories),
        "portions": [
            {"kind": "title", "marking": mark, "text": f"Title of {ref}"},
            *({"kind": "text", "marking": mark, "text": f"Paragraph {number} of {ref}"} for number in range(portions)),
        ],
    }
