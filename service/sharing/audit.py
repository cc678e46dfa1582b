"""What auditors and partners read of the logs: entries, receipts, checkpoints, tiles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from service.errors import Broken, NotVisible, Pruned
from service.releaselog.merkle import inclusion_proof
from service.releaselog.receipt import Proof, write_proof
from service.releaselog.tiles import TilePath, encode_bundle, encode_tile
from service.sharing.ledger import Ledger
from service.sharing.personal import Opened
from service.store import Connection, logs, prunes
from service.store.logs import AuditFilter, Head, StoredRow
from service.store.prunes import Span
from service.store.times import micros, text_of


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
        Pruned: entries that were pruned; C2SP tlog-tiles lets a log do that which says so in advance.
    """
    head = head_of(connection, log_name)
    start = path.index * logs.TILE_HASHES
    if start + path.width > head.size >> (8 * (path.level or 0)):
        raise NotVisible
    if path.level is None:
        return encode_bundle(leaves_of(connection, head, start, start + path.width))
    return encode_tile(logs.read_tile(connection, head.id, path.level, path.index, path.width))


def leaves_of(connection: Connection, head: Head, start: int, stop: int) -> list[bytes]:
    """The leaves of a run of entries.

    Raises:
        Pruned: they were pruned.
        Broken: some are missing that were not.
    """
    found = logs.leaves(connection, head.id, start, stop)
    if len(found) == stop - start:
        return found
    if prunes.gone(connection, head.id, start // logs.TILE_HASHES, -(-stop // logs.TILE_HASHES)):
        raise Pruned(
            f"entries {start} to {stop - 1} of log `{head.name}` were pruned; their hashes are in tile {start // logs.TILE_HASHES}"
        )
    raise Broken(f"entries of log `{head.name}` are missing between {start} and {stop}; run `entente log verify`")


def opened_entry(connection: Connection, event_id: str) -> StoredRow:
    """An entry by its event.

    Raises:
        NotVisible: there is none, and never was.
        Pruned: there was.
    """
    row = logs.entry(connection, event_id)
    if row is not None:
        return row
    place = prunes.place_of(connection, event_id)
    if place is None:
        raise NotVisible
    raise _pruned(connection, *place)


def _pruned(connection: Connection, log_name: str, index: int) -> NotVisible:
    span = prunes.span_at(connection, log_name, index)
    if span is None:
        return NotVisible()
    return Pruned(f"entry {index} of log `{log_name}` was pruned, as event `{span.event_id}` of `officers` says; its hash is kept")


def span_json(span: Span) -> dict[str, Any]:
    """Entries that were pruned, as auditors read it: `start` to `stop`, exclusive, and the event of the leaf that says so."""
    return {
        "log": span.log, "start": span.start, "stop": span.stop, "first_at": text_of(span.first_at), "last_at": text_of(span.last_at),
        "event_id": span.event_id,
    }  # fmt: skip


def pruned_of(connection: Connection, asked: AuditFilter) -> dict[str, list[dict[str, Any]]]:
    """`pruned`, for an answer about entries that match: what was pruned of the logs and the time concerned, and may have matched.

    Nothing, where nothing was: so an answer without it is one of logs that are whole.
    """
    found = prunes.spans(connection, log=asked.log, partners_only=asked.partners_only, since=asked.since, until=asked.until)
    return {"pruned": [span_json(span) for span in found]} if found else {}


def pruned_of_partners(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """`pruned`, for an officer who asks who received what: of which stretch of which partner's log nobody can say any more."""
    found = prunes.spans(connection, partners_only=True)
    told = [{"partner": span.log, "first_at": text_of(span.first_at), "last_at": text_of(span.last_at)} for span in found]
    return {"pruned": told} if told else {}


def own_pruned(connection: Connection, log_name: str, *, start: int, stop: int | None) -> dict[str, list[dict[str, Any]]]:
    """`pruned`, for a partner: what was pruned of this stretch of its log (`stop` exclusive, None for to the end)."""
    found = prunes.spans(connection, log=log_name, start=start, stop=stop)
    told = [{name: value for name, value in span_json(span).items() if name not in ("log", "event_id")} for span in found]
    return {"pruned": told} if told else {}


def proven_entry(connection: Connection, log_name: str, index: int, size: int | None) -> dict[str, Any]:
    """An entry by its place, and the proof that it is in the tree of that size; by default that of the latest checkpoint.

    Whoever has an export that leaves the entry out asks with the size of its checkpoint, and the proof leads to the root in it.

    Raises:
        NotVisible: no such log, or no such entry in a tree of that size.
        Pruned: it was pruned.
    """
    head = head_of(connection, log_name)
    wanted = head.size if size is None else size
    if not index < wanted <= head.size:
        raise NotVisible
    row = logs.entry_at(connection, log_name, index)
    if row is None:
        raise _pruned(connection, log_name, index)

    def tiles(level: int, position: int, width: int) -> list[bytes]:
        return logs.read_tile(connection, head.id, level, position, width)

    return {
        "entry": audit_entry(connection, row),
        "size": wanted,
        "proof": [value.hex() for value in inclusion_proof(index, wanted, tiles)],
        "checkpoint": head.checkpoint if wanted == head.size else logs.checkpoint_at(connection, head.id, wanted),
    }
