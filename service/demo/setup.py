"""The demo, set up: policy, five clients, the sample items; and what there is to be shown in it, found by deciding.

Everything goes the way it would go for anyone: the bundle through publication, the items through the importer. Doing it again
adds only what is missing, so a set-up that was cut short is completed by the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from service.demo import DEMO_CLIENTS, DemoClient, demo_files_directory, demo_items
from service.errors import Conflict
from service.identity.clients import Role
from service.sharing.acts import MACHINE, Actor
from service.sharing.copies import IN_PART, decide_item
from service.sharing.importing import import_items
from service.sharing.installation import Installation
from service.sharing.item_files import LocalFiles, SentFiles
from service.store import Connection, catalogue
from service.store.catalogue import ItemRecord
from service.store.times import micros, moment_of

_MACHINE: Final = Actor(MACHINE, "cli")
HELD_BACK: Final = 2
"""How many portions are held back of the document that shows what holding back looks like."""
RELEASED_MIN: Final = 3
"""And how many are released of it at least, the title among them."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a set-up added."""

    clients: int
    imported: int
    quarantined: int
    refused: int


@dataclass(frozen=True, slots=True)
class Shown:
    """An item to be shown, by the partner's client that shows it best."""

    client: DemoClient
    item_id: str
    ref: str
    title: str
    portions: int
    held_back: int


@dataclass(frozen=True, slots=True)
class Examples:
    """What the demo shows. Each may be missing under a policy other than the sample.

    `in_part` is released to its client with exactly `HELD_BACK` portions held back; `one_only` is released whole to its client
    and not at all to `other`.
    """

    in_part: Shown | None
    one_only: Shown | None
    other: DemoClient | None


def set_up_demo(installation: Installation) -> Loaded:
    """Register the demo's clients and load its items, as far as they are not there. A policy is in force already."""
    clients = 0
    for client in DEMO_CLIENTS:
        try:
            installation.registry.named(client.name)
        except Conflict:
            installation.registry.add(client.name, Role(client.role), partner=client.partner, purposes=client.purposes)
            clients += 1
    with installation.database.reading() as connection:
        missing = [item for item in demo_items() if catalogue.item_by_ref(connection, item["ref"]) is None]
    totals: dict[str, Any] = {"imported": 0, "quarantined": 0, "refused": 0}
    if missing:
        files = LocalFiles(demo_files_directory(), installation.files, SentFiles(installation.database))
        lines = (json.dumps(item, ensure_ascii=False).encode("utf-8") + b"\n" for item in missing)
        *_, totals = import_items(installation, lines, _MACHINE, files=files)
    return Loaded(clients, totals["imported"], totals["quarantined"], totals["refused"])


def examples(installation: Installation) -> Examples:
    """Find what is to be shown, in the order of the sample, so that it is the same at every start."""
    partners = [client for client in DEMO_CLIENTS if client.partner is not None]
    in_part: dict[str, Shown] = {}
    one_only: dict[tuple[str, str], Shown] = {}
    with installation.database.reading() as connection:
        state = installation.world.current(connection)
        at = max(micros(installation.clock()), state.at)
        snapshot = state.snapshot(moment_of(at))
        for item in _stored(connection):
            version = catalogue.versions_at(connection, [item.id], at=at).get(item.id)
            if version is None or not version.portions:
                continue
            title = next((one.portion.content.decode("utf-8") for one in version.portions if one.portion.kind == "title"), item.ref)
            decisions = {
                client.name: decide_item(version, installation.world.labels, snapshot, partner=client.partner or "", purpose="none")
                for client in partners
            }
            for client in partners:
                decision = decisions[client.name]
                held_back = len(version.portions) - len(decision.released)
                shown = Shown(client, item.id, item.ref, title, len(version.portions), held_back)
                titled = any(one.portion.kind == "title" for one in decision.released)
                if decision.outcome == IN_PART and titled and held_back == HELD_BACK and len(decision.released) >= RELEASED_MIN:
                    in_part.setdefault(client.name, shown)
                if decision.outcome == "release":
                    for other in partners:
                        if not decisions[other.name].released:
                            one_only.setdefault((client.name, other.name), shown)
    # Of what was found, what the first partners of the demo show.
    best = next((in_part[client.name] for client in partners if client.name in in_part), None)
    pair = next(((one, other) for one in partners for other in partners if (one.name, other.name) in one_only), None)
    if pair is None:
        return Examples(best, None, None)
    return Examples(best, one_only[pair[0].name, pair[1].name], pair[1])


def _stored(connection: Connection) -> Iterator[ItemRecord]:
    for item in demo_items():
        record = catalogue.item_by_ref(connection, str(item["ref"]))
        if record is not None and record.withdrawn_at is None and record.version:
            yield record
