"""An installation to act in and to ask of, with a clock that stands still until it is moved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import SQLModel

from service.errors import ServiceError
from service.identity.clients import Client, Role
from service.settings import Settings
from service.sharing.acts import Actor
from service.sharing.asks import Asker, FileAsk, ItemAsk, ListAsk
from service.sharing.catalogue import Outcome, withdraw
from service.sharing.gate import Ask, Prepared, Released
from service.sharing.importing import import_items, store_one
from service.sharing.installation import Installation, open_installation
from service.sharing.item_files import SentFiles
from service.store import catalogue
from service.store.times import micros
from tests.support.two_officers import publish_as_two, relabel_within

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
INDEX_OF_LOGS = {"fact", "log_fact", "fact_mark"}
"""Tables that a look brings up to date with the logs before it is answered: derived from them, and checked against them."""
OFFICER = Actor("c_officer_of_the_tests", "/v1/officer")


class Clock:
    """The time as last set."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)

    @property
    def micros(self) -> int:
        return micros(self.now)


class World:
    """An installation with a client for each partner named, and what tests do with it. Nothing runs in the background."""

    def __init__(self, folder: Path, *, url: str | None = None, clock: Clock | None = None, **settings: Any) -> None:
        self.clock = clock or Clock()
        settings = {"busy_timeout_seconds": 2.0, **settings}
        self.installation: Installation = open_installation(Settings(data=folder, database=url, **settings), clock=self.clock)
        self.clients: dict[str, Client] = {}

    def close(self) -> None:
        self.installation.close()

    # --- acts -----------------------------------------------------------------------------------------------------

    def publish(self, files: Mapping[str, bytes]) -> None:
        publish_as_two(self.installation, files, OFFICER)

    def client(self, partner: str, *, purposes: Sequence[str] = ()) -> Client:
        """The partner's client, registered at the first call."""
        if partner not in self.clients:
            name = f"{partner.lower()}-of-the-tests"
            self.clients[partner], _ = self.installation.registry.add(name, Role.PARTNER, partner=partner, purposes=purposes)
        return self.clients[partner]

    def know_clients(self) -> None:
        """Take up the clients that a copied data folder has."""
        for partner in ("AUS", "IND", "JPN"):
            self.clients[partner] = self.installation.registry.named(f"{partner.lower()}-of-the-tests")

    def store(self, item: Mapping[str, Any], *, item_id: str | None = None) -> Outcome:
        """Store an item, or a version of one."""
        return store_one(self.installation, item, OFFICER, files=SentFiles(self.installation.database), item_id=item_id)

    def file(self, content: bytes) -> str:
        """Send a file ahead; its digest in hex."""
        sha256, size = self.installation.files.put([content])
        with self.installation.acts.registering("file.put", OFFICER) as act:
            catalogue.add_file(act.connection, sha256, size)
        return sha256.hex()

    def load(self, *items: Mapping[str, Any], update: bool = False) -> list[dict[str, Any]]:
        """Import items; the report."""
        lines = [json.dumps(item).encode() + b"\n" for item in items]
        files = SentFiles(self.installation.database)
        return list(import_items(self.installation, lines, OFFICER, files=files, update=update))

    def relabel(self, item_id: str, marking: str | None, *, portion: str | None = None, label: object = None) -> None:
        with self.installation.acts.act("item.relabel", OFFICER) as act:
            relabel_within(act, item_id, marking, portion=portion, label=label)

    def withdraw(self, item_id: str) -> None:
        with self.installation.acts.act("item.withdraw", OFFICER) as act:
            withdraw(act, item_id, reason="a test")

    def suspend(self, partner: str) -> None:
        self.installation.publishing.suspend(partner, OFFICER, reason="a test")

    def resume(self, partner: str) -> None:
        self.installation.publishing.resume(partner, OFFICER, reason="a test")

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, to see that nothing changed."""
        with self.installation.database.reading() as connection:
            tables = SQLModel.metadata.tables.items()
            return {name: sorted((tuple(row) for row in connection.execute(table.select())), key=repr) for name, table in tables}

    # --- asking ---------------------------------------------------------------------------------------------------

    def asker(self, partner: str, purpose: str = "none") -> Asker:
        return Asker(partner, purpose, self.client(partner).id, partner)

    def ask(self, ask: Ask) -> Released:
        """The answer to an ask, on record; raises what was refused."""
        gate = self.installation.gate
        outcome = gate.commit([(ask, gate.prepare(ask))])[0]
        if isinstance(outcome, ServiceError):
            raise outcome
        return outcome

    def shown(self, ask: Ask) -> Prepared:
        """What an ask would be answered with now; nothing is recorded, and so nothing waits for the disk."""
        return self.installation.gate.prepare(ask)

    def item_ask(self, partner: str, item_id: str, *, purpose: str = "none", retry: tuple[str, bytes] | None = None) -> ItemAsk:
        asker = self.asker(partner, purpose)
        return ItemAsk(asker, self.installation.copies, "/v1/items/{id}", retry, item=item_id.encode())

    def file_ask(self, partner: str, item_id: str, portion: str) -> FileAsk:
        route = "/v1/items/{id}/files/{portion}"
        return FileAsk(self.asker(partner), self.installation.copies, route, None, item=item_id.encode(), portion=portion.encode())

    def list_ask(self, partner: str, *, purpose: str = "none", **query: Any) -> ListAsk:
        cursors = self.installation.cursors
        return ListAsk(self.asker(partner, purpose), self.installation.copies, "/v1/items", None, cursors=cursors, **query)

    def item(self, partner: str, item_id: str, *, purpose: str = "none") -> dict[str, Any] | None:
        """The copy a partner gets of an item, or None."""
        released = self.ask(self.item_ask(partner, item_id, purpose=purpose))
        return json.loads(released.prepared.body) if released.prepared.status == 200 else None

    def page(self, partner: str, *, purpose: str = "none", recorded: bool = True, **query: Any) -> dict[str, Any]:
        """One page of a partner's list."""
        ask = self.list_ask(partner, purpose=purpose, **query)
        prepared = self.ask(ask).prepared if recorded else self.shown(ask)
        body: dict[str, Any] = json.loads(prepared.body)
        return body

    def listed(self, partner: str, *, purpose: str = "none", limit: int = 100, **query: Any) -> tuple[list[dict[str, Any]], str]:
        """All pages of a partner's list, and the last bookmark."""
        page = self.page(partner, purpose=purpose, limit=limit, **query)
        lines = list(page["items"])
        rest = {name: value for name, value in query.items() if name != "since"}
        while "next" in page:
            page = self.page(partner, purpose=purpose, limit=limit, cursor=page["next"], **rest)
            lines += page["items"]
        return lines, page["bookmark"]


def copied(template: Path, folder: Path) -> Path:
    """A copy of a data folder that nobody has open."""
    shutil.copytree(template, folder)
    return folder


def text_portion(text: str, marking: str = "(U)", **members: Any) -> dict[str, Any]:
    """A text portion as it comes in."""
    return {"kind": "text", "marking": marking, "text": text, **members}


def title(text: str, marking: str = "(U)", **members: Any) -> dict[str, Any]:
    """A title as it comes in."""
    return {"kind": "title", "marking": marking, "text": text, **members}


def item(ref: str, *portions: Mapping[str, Any], marking: str = "SECRET//NOFORN", **members: Any) -> dict[str, Any]:
    """An item as it comes in, of the category `MARITIME` unless said otherwise."""
    return {"ref": ref, "marking": marking, "categories": ["MARITIME"], "portions": list(portions), **members}
