"""The logs as one thing to append to: drafts in, entries out, inside a transaction that somebody else commits.

Both who releases (the gate) and who acts (officers) write through here, so that a leaf is made in one way only. Nothing here
commits: an `Entry` may be shown to anyone only after the transaction it was made in has been made durable.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from service.errors import Broken
from service.releaselog.checkpoint import Checkpoint, sign_checkpoint
from service.releaselog.facts import Fact
from service.releaselog.facts import facts as derive_facts
from service.releaselog.leaf import canonical_string, leaf_bytes, record_bytes, seal
from service.releaselog.merkle import Frontier, completed_tiles, leaf_hash
from service.releaselog.notes import Signer
from service.settings import LOG_SLOTS
from service.store import Connection, logs
from service.store.facts import FactIds
from service.store.logs import Head
from service.store.times import text_of

OFFICERS: Final = "officers"


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry before it has a place and a time.

    `items`, and the values of `record`, are canonical JSON already. `body_sha256` is None for an act, which sends no item.
    `versions` are (item id, version sent or 0), for "who received it". `facts` are those of the record, where whoever made it has
    them ready; else they are derived when it is written.
    """

    log: str
    type: str
    client: str
    route: str
    items: bytes
    body_sha256: bytes | None
    result: str
    purpose: str
    record: Mapping[str, bytes]
    versions: tuple[tuple[str, int], ...] = ()
    portion: str | None = None
    facts: frozenset[Fact] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A committed entry: what a response about it is built from. Only the gate and acts make one, after the commit."""

    event_id: str
    log: str
    index: int
    at: int
    body_sha256: bytes | None


class Ledger:
    """Appends to the logs of one installation, and signs their heads.

    Args:
        instance: first part of every log's origin line.
        signing_key: 32 bytes, Ed25519.
    """

    def __init__(self, instance: str, signing_key: bytes) -> None:
        self.instance: Final = instance
        self._signing_key: Final = signing_key
        self._signers: dict[str, Signer] = {}
        self._fact_ids: Final = FactIds()
        self._refusal: str | None = None

    @property
    def refusal(self) -> str | None:
        """Why nothing may be appended or signed; None where nothing speaks against it."""
        return self._refusal

    def refuse(self, reason: str) -> None:
        """Append nothing from now on: the log that is here may not be the one that partners hold receipts of."""
        self._refusal = reason

    def permit(self) -> None:
        """Append again, after the operator has accepted on record what is lost."""
        self._refusal = None

    def signer(self, origin: str) -> Signer:
        """The signer of a log: the installation's key under the log's origin as its name."""
        signer = self._signers.get(origin)
        if signer is None:
            signer = self._signers[origin] = Signer(origin, self._signing_key)
        return signer

    def vkey(self, origin: str) -> str:
        """The verifier's key of a log (C2SP signed-note)."""
        return self.signer(origin).vkey

    def open_log(self, connection: Connection, name: str) -> None:
        """Open a log under a random free slot of the heads tree, unless it is open already."""
        if logs.head(connection, name) is not None:
            return
        free = sorted(set(range(LOG_SLOTS)) - logs.slots_used(connection))
        if not free:
            raise Broken(f"all {LOG_SLOTS} slots of the heads tree are taken, so that no log can be opened for `{name}`")
        slot = secrets.choice(free)
        origin = f"{self.instance}/log/{slot}/{name}"
        frontier = Frontier.empty()
        logs.add_log(
            connection,
            name=name,
            origin=origin,
            slot=slot,
            empty_frontier=frontier.to_bytes(),
            empty_root=frontier.root(),
            checkpoint=self._checkpoint(origin, frontier),
        )

    def lock(self, connection: Connection, names: Sequence[str]) -> dict[str, Head]:
        """Lock the heads of these logs, opening those that are not open yet. Every append begins here.

        Raises:
            Broken: nothing may be signed.
        """
        if self._refusal is not None:
            raise Broken(self._refusal)
        heads = logs.lock_heads(connection, names)
        missing = sorted(set(names) - heads.keys())
        if missing:
            for name in missing:
                self.open_log(connection, name)
            heads = logs.lock_heads(connection, names)
        return heads

    def append(self, connection: Connection, heads: Mapping[str, Head], drafts: Sequence[Draft], *, at: int) -> list[Entry]:
        """Write entries at the ends of their logs and move the heads on.

        Args:
            heads: as locked in this transaction.
            at: the commit's time; not before any of these heads'.
        """
        at_text = text_of(at)
        at_json = canonical_string(at_text)
        sizes = {name: head.size for name, head in heads.items()}
        hashes: dict[str, list[bytes]] = {}
        rows: list[logs.EntryRow] = []
        entries: list[Entry] = []
        said = [_facts_of(draft) for draft in drafts]
        fact_ids = self._fact_ids.of(connection, frozenset().union(*said))
        for draft, facts in zip(drafts, said, strict=True):
            event_id, nonce = secrets.token_urlsafe(16), secrets.token_bytes(32)
            record = record_bytes({**draft.record, "at": at_json})
            leaf = leaf_bytes(
                type_=draft.type,
                event_id=event_id,
                at=at_text,
                client=draft.client,
                route=draft.route,
                items=draft.items,
                body_sha256=draft.body_sha256,
                result=draft.result,
                purpose=draft.purpose,
                seal=seal(nonce, record),
                portion=draft.portion,
            )
            head, index = heads[draft.log], sizes[draft.log]
            sizes[draft.log] += 1
            hashed = leaf_hash(leaf)
            hashes.setdefault(draft.log, []).append(hashed)
            rows.append(
                logs.EntryRow(
                    head.id,
                    index,
                    event_id,
                    at,
                    draft.type,
                    draft.client,
                    draft.result,
                    leaf,
                    hashed,
                    record,
                    nonce,
                    draft.versions,
                    tuple([fact_ids[fact] for fact in facts]),
                )
            )
            entries.append(Entry(event_id, draft.log, index, at, draft.body_sha256))
        logs.append_entries(connection, rows)
        for name, added in hashes.items():
            self._advance(connection, heads[name], added, at=at)
        return entries

    def _advance(self, connection: Connection, head: Head, added: Sequence[bytes], *, at: int) -> None:
        frontier = Frontier.from_bytes(head.frontier, head.size).extend(added)
        note = self._checkpoint(head.origin, frontier)
        new = replace(head, size=frontier.size, frontier=frontier.to_bytes(), root=frontier.root(), at=at, checkpoint=note)
        logs.advance_head(connection, head, new)
        tiles = completed_tiles(head.size, added, lambda level, index, width: logs.read_tile(connection, head.id, level, index, width))
        for tile in tiles:
            logs.put_tile(connection, head.id, tile.level, tile.index, tile.hashes)
        if tiles:
            logs.keep_checkpoint(connection, head.id, new.size, note)

    def _checkpoint(self, origin: str, frontier: Frontier) -> str:
        return sign_checkpoint(Checkpoint(origin, frontier.size, frontier.root()), self.signer(origin))


def _facts_of(draft: Draft) -> frozenset[Fact]:
    if draft.facts is not None:
        return draft.facts
    return derive_facts({name: json.loads(value) for name, value in draft.record.items()})
