"""A log of so many entries as real as a partner's: mostly items, some polls that find nothing, short lists, files, refusals.

Written by `Ledger.append`, as the service does, in large transactions. Faces are of 370 to 1,000 bytes and records of 290 to 4,000,
as the demo's are.
"""

from __future__ import annotations

import hashlib
import random
import time
from pathlib import Path
from typing import Final

from service.identity.clients import Role
from service.policy import read_directory
from service.releaselog.leaf import canonical, canonical_string
from service.settings import Settings
from service.sharing.acts import Actor
from service.sharing.installation import Installation, open_installation
from service.sharing.ledger import Draft
from tests.bench.servers import REPOSITORY

LOG: Final = "JPN"
_BATCH: Final = 10_000
_REFS: Final = 5_000
_LABELS: Final = [
    {"level": level, "categories": [category], "releasable_to": audience, "caveats": [], "originators": ["USA"]}
    for level in ("UNCLASSIFIED", "CONFIDENTIAL", "SECRET")
    for category in ("DIPLOMATIC", "MARITIME", "CYBER", "PEACEKEEPING")
    for audience in (["FVEY", "JPN", "USA"], ["JPN", "USA"], ["*"], ["JPN", "KOR", "USA"])
]

_DIGESTED: Final = [(hashlib.sha256(canonical(label)).hexdigest(), canonical(label)) for label in _LABELS]


def built(data: Path, entries: int) -> Path:
    """The data folder of an installation whose log `JPN` has so many entries; made unless it is there."""
    if (data / "built").exists():
        return data
    begun = time.perf_counter()
    installation = open_installation(Settings(data=data))
    try:
        installation.publishing.publish(read_directory(REPOSITORY / "policies"), Actor("machine", "cli"))
        installation.registry.add("bench-auditor", Role.AUDITOR)
        fill(installation, entries)
    finally:
        installation.close()
    (data / "built").touch()
    taken = time.perf_counter() - begun
    print(f"  built a log of {entries} entries in {taken:.0f} s, {(data / 'entente.db').stat().st_size / 1e6:.0f} MB", flush=True)
    return data


def fill(installation: Installation, entries: int) -> None:
    chance = random.Random(4)
    with installation.database.reading() as connection:
        bundle = installation.world.current(connection).bundle.digest
    at = 1_795_341_600_000_000
    for start in range(0, entries, _BATCH):
        drafts = [draft(number, chance, bundle) for number in range(start, min(start + _BATCH, entries))]
        with installation.database.releasing() as connection:
            installation.ledger.append(connection, installation.ledger.lock(connection, [LOG]), drafts, at=at)
        at += 1_000_000


def draft(number: int, chance: random.Random | None = None, bundle: str = "ab" * 32) -> Draft:
    """Entry `number` of the log."""
    chance = chance or random.Random(number)
    kind = number % 20
    type_, refused = ("list" if kind in (3, 7, 11, 15) else "file" if kind == 19 else "item"), kind in (5, 13)
    count = 5 if kind == 3 else 0 if type_ == "list" else 1
    faces, items, named, versions = [], [], {}, []
    for _ in range(count):
        ref = chance.randrange(_REFS)
        item_id = hashlib.sha256(b"item %d" % ref).hexdigest()[:22]
        used = [_DIGESTED[(ref + step) % len(_DIGESTED)] for step in range(2)]
        named.update(used)
        portions = [hashlib.sha256(b"portion %d %d" % (ref, step)).hexdigest()[:22] for step in range(1 + ref % 9)]
        copy = hashlib.sha256(b"copy %d" % ref).hexdigest()
        faces.append({"id": item_id} if refused else {"id": item_id, "copy_sha256": copy})
        items.append(
            {
                "id": item_id,
                "ref": f"frus1964-68v{ref % 30}/d{ref}",
                "version": 1,
                "portions": [] if refused else portions,
                "labels": sorted(digest for digest, _ in used),
                "rules": ["AGR-0001", "AGR-0002"],
            }
        )
        versions.append((item_id, 0 if refused else 1))
    record = {
        "act": b"2",
        "authority": b"null",
        "bundle": canonical_string(bundle),
        "engine": canonical_string(bundle),
        "items": canonical(items),
        "labels": b"{" + b",".join(b'"%b":%b' % (digest.encode(), named[digest]) for digest in sorted(named)) + b"}",
        "outcome": b'"refer"' if refused else b'"release"',
        "partner": canonical_string(LOG),
        "query": canonical({"limit": 50, "since": hashlib.sha256(b"%d" % number).hexdigest()}) if type_ == "list" else b"null",
    }
    return Draft(
        log=LOG,
        type=type_,
        client=f"c_edqngz3wQjE_Q-iyzY7sD1j{number % 7}",
        route={"list": "/v1/items", "item": "/v1/items/{id}", "file": "/v1/items/{id}/files/{portion}"}[type_],
        items=canonical(faces),
        body_sha256=hashlib.sha256(b"body %d" % number).digest(),
        result="refused" if refused else "sent",
        purpose="none",
        record=record,
        versions=tuple(dict.fromkeys(versions)),
        portion="p-1" if type_ == "file" else None,
    )
