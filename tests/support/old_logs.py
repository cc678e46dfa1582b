"""Logs that are old enough to be pruned: entries as whole as the service's, at times that are long past, without asking for each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from service.errors import Conflict
from service.identity.clients import Role
from service.releaselog.leaf import canonical, canonical_string
from service.sharing.acts import Actor
from service.sharing.installation import Installation
from service.sharing.ledger import Draft
from service.sharing.personal import Q, personal
from service.store import catalogue, policies
from tests.support.log_drafts import draft

AUDITORS: Final = ("first-auditor-of-the-tests", "second-auditor-of-the-tests")
SEARCHED: Final = "searched-for-words"
"""How the search texts of these entries begin."""
ITEMS: Final = 97
"""Items that the entries name, in turn: `i-0` to `i-96`."""


def auditors(installation: Installation) -> tuple[Actor, Actor]:
    """Two auditors, registered at the first call."""
    found = []
    for name in AUDITORS:
        try:
            client = installation.registry.named(name)
        except Conflict:
            client, _ = installation.registry.add(name, Role.AUDITOR, issuer="https://idp.test", subject=name)
        found.append(Actor(client.id, "/v1/audit"))
    return found[0], found[1]


def fill(installation: Installation, log: str, times: Sequence[int], *, first: int = 0) -> list[str]:
    """Write entries to a log, one for each of these times (microseconds, not falling), number `first` and on; their events."""
    with installation.database.acting() as connection:
        act = policies.fence(connection).act
        digest = policies.in_force(connection).digest
        drafts = [_searched(_named(draft(log, first + number, act=act), digest), first + number) for number in range(len(times))]
        catalogue.keep_copies(connection, _COPIES)
        events = []
        heads = installation.ledger.lock(connection, [log])
        # Entries of one time are one batch, as they would be written.
        start = 0
        while start < len(drafts):
            stop = start + 1
            while stop < len(drafts) and times[stop] == times[start]:
                stop += 1
            entries = installation.ledger.append(connection, heads, drafts[start:stop], at=times[start])
            events += [entry.event_id for entry in entries]
            heads = installation.ledger.lock(connection, [log])
            start = stop
    return events


_BODIES: Final = [canonical({"id": f"i-{number}", "level": "SECRET", "categories": ["MARITIME"]}) for number in range(ITEMS)]
_COPIES: Final = {hashlib.sha256(body).digest(): body for body in _BODIES}


def _searched(one: Draft, number: int) -> Draft:
    """A list is a search: its words stand beside it."""
    if one.type != "list":
        return one
    words = personal(Q, f"{SEARCHED} {number}")
    return replace(one, record={**one.record, "query": canonical({"q": words.commitment.to_json()})}, personal=(words,))


def _named(one: Draft, digest: str | None) -> Draft:
    """By the policy in force, and of copies that can be read: what an entry names is kept."""
    items = json.loads(one.items)
    for item in items:
        if "copy_sha256" in item:
            item["copy_sha256"] = hashlib.sha256(_BODIES[int(item["id"].removeprefix("i-"))]).hexdigest()
    record = one.record if digest is None else {**one.record, "bundle": canonical_string(digest)}
    return replace(one, items=canonical(items), record=record)
