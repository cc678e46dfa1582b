"""What auditors and partners read of the logs: entries, receipts, checkpoints, tiles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from service.errors import Broken, NotVisible
from service.releaselog.merkle import inclusion_proof
from service.releaselog.receipt import Proof, write_proof
from service.releaselog.tiles import TilePath, encode_bundle, encode_tile
from service.sharing.ledger import Ledger
from service.sharing.personal import Opened
from service.store import Connection, logs
from service.store.logs import AuditFilter, Head, StoredRow
from service.store.times import micros


def audit_entries(connection: Connection, rows: Sequence[StoredRow]) -> list[dict[str, Any]]:
    """Entries as auditors read them (DESIGN section 14).

    `personal` holds value and salt of what the record commits to, as long as they are kept; it is left out where there is nothing.
    """
    opened = Opened(connection, [row.record for row in rows])
    return [_audit_entry(row, opened.of(row.record)) for row in rows]


def audit_entry(connection: Connection, row: StoredRow) -> dict[str, Any]:
    """One of them."""
    return audit_entries(connection, [row])[0]


def _audit_entry(row: StoredRow, personal: Mapping[str, dict[str, str]]) -> dict[str, Any]:
    return {
        "log": row.log,
        "index": row.position,
        "face": json.loads(row.leaf),
        "record": json.loads(row.record),
        **({"personal": dict(personal)} if personal else {}),
        "nonce": row.nonce.hex(),
        "leaf_hash": row.leaf_hash.hex(),
    }


DENIALS: Final = ("refer", "withhold")
"""Outcomes of what was refused."""


def filter_of(
    *,
    partner: str | None = None,
    log: str | None = None,
    item: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    type: str | None = None,
    client: str | None = None,
    outcome: Sequence[str] | None = None,
    level: Sequence[str] | None = None,
    category: Sequence[str] | None = None,
    rule: str | None = None,
    bundle: str | None = None,
    review: str | None = None,
) -> AuditFilter | None:
    """What an auditor asks for, by the names that API and command line have for it; None where it contradicts itself, and finds nothing."""
    if partner is not None and log not in (None, partner):
        return None
    return AuditFilter(
        log=partner or log,
        # Releases are what is asked for, unless a log or type is named: acts and looks are found by theirs.
        partners_only=partner is not None or (log is None and type is None),
        item=item,
        since=None if since is None else micros(since),
        until=None if until is None else micros(until),
        type=type,
        client=client,
        outcomes=tuple(sorted(set(outcome or ()))),
        levels=tuple(sorted(set(level or ()))),
        categories=tuple(sorted(set(category or ()))),
        rule=rule,
        bundle=bundle,
        review=review,
    )


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a leaf is in a log, for a partner who trusts nobody here."""

    event_id: str
    leaf: str
    proof: str
    key: str

    def to_json(self) -> Mapping[str, str]:
        return {"event_id": self.event_id, "leaf": self.leaf, "proof": self.proof, "key": self.key}


def receipt(connection: Connection, ledger: Ledger, log_name: str, event_id: str) -> Receipt:
    """The receipt of an entry of this log, against its latest checkpoint.

    Raises:
        NotVisible: the log holds no such event; another log's events are none of its reader's business.
        Broken: what is kept of the entry is no entry.
    """
    head = head_of(connection, log_name)
    row = logs.entry_of_log(connection, log_name, event_id)
    if row is None or row.position >= head.size:
        raise NotVisible
    try:
        leaf = row.leaf.decode("utf-8")
    except UnicodeDecodeError:
        leaf = None
    if leaf is None or row.position < 0:
        raise Broken(f"what is kept of event `{event_id}` in log `{log_name}` is no entry; run `entente log verify`")

    def tiles(level: int, index: int, width: int) -> list[bytes]:
        return logs.read_tile(connection, head.id, level, index, width)

    ledger.refresh(connection)
    proof = Proof(row.position, inclusion_proof(row.position, head.size, tiles), head.checkpoint)
    return Receipt(event_id, leaf, write_proof(proof), ledger.vkey(head.origin))


def head_of(connection: Connection, log_name: str) -> Head:
    """A log's head.

    Raises:
        NotVisible: there is no such log.
    """
    head = logs.head(connection, log_name)
    if head is None:
        raise NotVisible
    return head


def tile_bytes(connection: Connection, log_name: str, path: TilePath) -> bytes:
    """A tile of hashes, or a bundle of entries.

    Raises:
        NotVisible: the log is not that large.
    """
    head = head_of(connection, log_name)
    start = path.index * logs.TILE_HASHES
    if start + path.width > head.size >> (8 * (path.level or 0)):
        raise NotVisible
    if path.level is None:
        return encode_bundle(logs.leaves(connection, head.id, start, start + path.width))
    return encode_tile(logs.read_tile(connection, head.id, path.level, path.index, path.width))


def proven_entry(connection: Connection, log_name: str, index: int, size: int | None) -> dict[str, Any]:
    """An entry by its place, and the proof that it is in the tree of that size; by default that of the latest checkpoint.

    Whoever has an export that leaves the entry out asks with the size of its checkpoint, and the proof leads to the root in it.

    Raises:
        NotVisible: no such log, or no such entry in a tree of that size.
    """
    head = head_of(connection, log_name)
    wanted = head.size if size is None else size
    row = logs.entry_at(connection, log_name, index) if index < wanted <= head.size else None
    if row is None:
        raise NotVisible

    def tiles(level: int, position: int, width: int) -> list[bytes]:
        return logs.read_tile(connection, head.id, level, position, width)

    return {
        "entry": audit_entry(connection, row),
        "size": wanted,
        "proof": [value.hex() for value in inclusion_proof(index, wanted, tiles)],
        "checkpoint": head.checkpoint if wanted == head.size else logs.checkpoint_at(connection, head.id, wanted),
    }
