"""A whole log, re-derived from what is stored, to the first thing that is wrong.

Nothing stored is believed. From the leaf bytes come the leaf hashes, from these the tree, its tiles, its frontier and root; from
leaf and record the columns that queries use; from the log's key the checkpoints. What is stored beside them is only compared.

Entries come as a stream and are let go again. What is remembered is the right edge of the tree and, to notice an event id used
twice, 20 bytes an entry.

A change can be made in three places, and is named accordingly: in an entry (its index), in the tree over entries (the first
index under the hash that differs), or at the head (no index). That a log was *rewritten as a whole*, and signed again with its own
key, cannot be seen from inside: for that, compare with a checkpoint that somebody else holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final, NoReturn

from service.errors import ProofError
from service.releaselog.checkpoint import check_key_of
from service.releaselog.facts import Fact, facts
from service.releaselog.keys import KeyPeriod, open_signed
from service.releaselog.leaf import NONCE_BYTES, SENT, Face, LeafError, canonical, parse_canonical, parse_leaf, seal, time_text
from service.releaselog.merkle import TILE_HEIGHT, TILE_WIDTH, Frontier, leaf_hash, root
from service.releaselog.pruning import EVENT_BYTES, PrunedTile, event_digest

OWN_LOGS: Final = frozenset({"officers", "root"})
"""Logs that are no partner's."""

SENT_OUTCOMES: Final = ("release", "in_part")

StoredTiles = Callable[[int, int], Sequence[bytes] | None]
"""`(level, index)` to the hashes kept of a tile, None where none are."""


class Code(StrEnum):
    """What is wrong."""

    POSITION = "position"  # a gap, a repetition, another order
    SURPLUS = "surplus"  # entries beyond the head
    MISSING = "missing"  # the head, or a checkpoint, is beyond the entries
    LEAF_HASH = "leaf-hash"
    LEAF = "leaf"  # not a canonical face
    COLUMN = "column"  # a column that differs from the leaf
    ITEMS = "items"  # item rows that differ from the leaf or the record
    FACTS = "facts"  # what queries look for, missing or invented
    EVENT_ID = "event-id"  # used twice
    TIME = "time"  # earlier than the entry before
    SEAL = "seal"
    RECORD = "record"  # sealed, but not a record, or not of this entry
    PRUNED = "pruned"  # what stays of entries that were pruned is not what it was
    TILE = "tile"
    CHECKPOINT = "checkpoint"
    HEAD = "head"


@dataclass(frozen=True, slots=True)
class StoredItem:
    """The row that says an entry names an item. `at` in microseconds since 1970; `version` is 0 where none was sent."""

    id: str
    at: int
    version: int


@dataclass(frozen=True, slots=True)
class StoredFact:
    """The row that says what a record says. `at` in microseconds since 1970."""

    fact: Fact
    at: int


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it is kept.

    `columns` are those kept beside the leaf, by the names of the face's members; `at` in microseconds since 1970, digests as bytes.
    `facts` are None where none are kept beside the log.
    """

    position: int
    leaf: bytes
    leaf_hash: bytes
    record: bytes
    nonce: bytes
    columns: Mapping[str, object]
    items: tuple[StoredItem, ...] = ()
    facts: tuple[StoredFact, ...] | None = None


@dataclass(frozen=True, slots=True)
class StoredPruned:
    """In place of a whole tile of entries, what stays of it, and the hashes kept of the tile."""

    tile: PrunedTile
    hashes: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class StoredHead:
    """A log's head as it is kept. `at` is the last entry's time in microseconds since 1970, 0 for an empty log."""

    log: str
    size: int
    frontier: bytes
    root: bytes
    at: int
    checkpoint: str


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint kept from earlier, under the size it is filed at."""

    size: int
    note: str


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing wrong. `index` is the entry it is found at; None where it is the head's."""

    log: str
    index: int | None
    code: Code
    expected: str
    found: str

    def __str__(self) -> str:
        place = "head" if self.index is None else f"entry {self.index}"
        return f"log `{self.log}`, {place}: {self.code}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a log was found to be: so many entries were read, up to the fault if there is one, and `root` is of their leaves."""

    log: str
    size: int
    root: bytes
    fault: Fault | None
    roots: Mapping[int, bytes] = field(default_factory=dict)
    """By size, the roots that were asked for, as far as the log was read."""

    @property
    def whole(self) -> bool:
        return self.fault is None


def verify_log(
    entries: Iterable[StoredEntry | StoredPruned],
    head: StoredHead,
    checkpoints: Iterable[StoredCheckpoint],
    tiles: StoredTiles,
    *,
    tile_count: int,
    keys: Sequence[KeyPeriod],
    origin: str,
    sizes: Iterable[int] = (),
) -> Verdict:
    """Re-derive a log and compare.

    Args:
        entries: in order of position, to the end of the log; in place of a tile whose entries were pruned, what stays of it. That it
            *was* pruned, and not just taken out, is for the caller to know: from the leaf that says so.
        checkpoints: kept from earlier, in order of size.
        tiles: as `merkle.completed_tiles` says to keep them: full ones of level 0, all of those above.
        tile_count: how many tiles are kept of this log, so that none is beyond what the entries make.
        keys: those that ever signed the log, and when.
        origin: the log's origin line.
        sizes: of which the verdict is to tell the root, in order.

    Raises:
        ProofError: no keys, or one is not a key of `origin`. Whatever is wrong with the log is a fault in the verdict.
    """
    # Told by the caller, not by the log: a wrong key must not look like a broken log.
    if not keys:
        raise ProofError(f"no key of log `{origin}` to verify it with")
    for key in keys:
        check_key_of(key.vkey, origin)
    walk = _Walk(head, iter(checkpoints), tiles, tile_count, tuple(keys), origin, iter(sizes))
    fault: Fault | None = None
    try:
        walk.open()
        for entry in entries:
            if isinstance(entry, StoredPruned):
                walk.take_pruned(entry)
            else:
                walk.take(entry)
        walk.close()
    except _Found as found:
        fault = found.fault
    repeat = walk.event_ids.first_repeat()
    if repeat is not None and (fault is None or fault.index is None or repeat[1] <= fault.index):
        fault = Fault(head.log, repeat[1], Code.EVENT_ID, "an event id of its own", f"that of entry {repeat[0]}")
    walk.settle()
    return Verdict(head.log, walk.frontier.size, walk.frontier.root(), fault, walk.roots)


class _Found(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(slots=True)
class _Walk:
    head: StoredHead
    checkpoints: Iterator[StoredCheckpoint]
    tiles: StoredTiles
    tile_count: int
    keys: tuple[KeyPeriod, ...]
    origin: str
    sizes: Iterator[int]
    frontier: Frontier = field(default_factory=Frontier.empty)
    pending: list[bytes] = field(default_factory=list)
    """Leaf hashes seen, but not in the frontier yet."""
    growing: list[list[bytes]] = field(default_factory=lambda: [[]])
    """By level, the hashes of the tile that is not full yet."""
    next_checkpoint: StoredCheckpoint | None = None
    event_ids: _EventIds = field(default_factory=lambda: _EventIds())
    at: int = 0
    act: int = 0
    tiles_seen: int = 0
    next_size: int | None = None
    roots: dict[int, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return self.frontier.size + len(self.pending)

    def open(self) -> None:
        self._read_checkpoint(above=-1)
        self._check_checkpoints()
        self.next_size = next(self.sizes, None)
        self._note_root()

    def take(self, entry: StoredEntry) -> None:
        index = self.size
        # (1): its place.
        if entry.position != index:
            self._fault(min(index, entry.position), Code.POSITION, f"position {index}", f"position {entry.position}")
        if index >= self.head.size:
            self._fault(index, Code.SURPLUS, f"{self.head.size} entries, as the head says", "more")
        # (2): its bytes.
        hashed = leaf_hash(entry.leaf)
        if entry.leaf_hash != hashed:
            self._fault(index, Code.LEAF_HASH, _hex(hashed), _hex(entry.leaf_hash))
        # (3): what they say, and what is said beside them.
        face = self._face(index, entry.leaf)
        self.event_ids.add(index, face.event_id)
        self._check_columns(index, face, entry)
        if face.at_micros < self.at:
            self._fault(index, Code.TIME, "a time not before that of the entry before", f"`{time_text(face.at)}`")
        # (4): what is sealed.
        self._check_seal(index, face, entry)
        self._check_record(index, face, entry)
        # (5): the tree so far.
        self.at = face.at_micros
        self.pending.append(hashed)
        self._grow(hashed)
        self._check_checkpoints()
        self._note_root()

    def take_pruned(self, pruned: StoredPruned) -> None:
        tile, index = pruned.tile, self.size
        # (1): its place.
        if tile.start != index:
            self._fault(min(index, tile.start), Code.POSITION, f"position {index}", f"position {tile.start}, where entries were pruned")
        if tile.stop > self.head.size:
            self._fault(index, Code.SURPLUS, f"{self.head.size} entries, as the head says", "more")
        # (2): its hashes, which stand in for the leaves.
        if len(pruned.hashes) != TILE_WIDTH or root(pruned.hashes) != tile.root:
            self._fault(index, Code.PRUNED, f"a tile of root {_hex(tile.root)}, as when it was pruned", "other hashes")
        # (3): what else stays of it.
        if len(tile.events) != TILE_WIDTH * EVENT_BYTES:
            self._fault(index, Code.PRUNED, f"{TILE_WIDTH} event ids", f"{len(tile.events)} bytes")
        if not self.at <= tile.first_at <= tile.last_at:
            self._fault(index, Code.TIME, "times not before that of the entry before", f"{tile.first_at} to {tile.last_at}")
        if tile.act < self.act:
            self._fault(index, Code.RECORD, f"`act` not below {self.act}, that of the entry before", f"{tile.act}")
        self.act = tile.act
        # (4): the tree so far. Where in the tile which time began is not known any more: a checkpoint was signed at some time of it.
        self.at = tile.first_at
        for place, hashed in enumerate(pruned.hashes):
            self.event_ids.add_digest(index + place, tile.events[place * EVENT_BYTES : (place + 1) * EVENT_BYTES])
            self.pending.append(hashed)
            self._grow(hashed)
            if place == TILE_WIDTH - 1:
                self.at = tile.last_at
            self._check_checkpoints(until=tile.last_at)
            self._note_root()

    def close(self) -> None:
        self.settle()
        size = self.frontier.size
        if self.next_checkpoint is not None:
            self._fault(size, Code.MISSING, f"entries up to the checkpoint of size {self.next_checkpoint.size}", f"{size}")
        if size != self.head.size:
            self._fault(size, Code.MISSING, f"{self.head.size} entries, as the head says", f"{size}")
        self._check_growing_tiles()
        self._check_head()

    # --- an entry -------------------------------------------------------------------------------------------------------

    def _face(self, index: int, leaf: bytes) -> Face:
        try:
            return parse_leaf(leaf)
        except LeafError as error:
            self._fault(index, Code.LEAF, "a canonical face", f"{error}")

    def _check_columns(self, index: int, face: Face, entry: StoredEntry) -> None:
        members: dict[str, object] = {
            "event_id": face.event_id, "at": face.at_micros, "type": face.type, "client": face.client, "route": face.route,
            "result": face.result, "purpose": face.purpose, "body_sha256": face.body_sha256, "portion": face.portion,
        }  # fmt: skip
        for name, stored in entry.columns.items():
            if name not in members:
                self._fault(index, Code.COLUMN, "columns named as members of the face", f"`{name}`")
            # The type too: True is not 1 where the truth of a log is at stake.
            if type(stored) is not type(members[name]) or stored != members[name]:
                self._fault(index, Code.COLUMN, f"`{name}` {_shown(members[name])}", _shown(stored))
        named = sorted({item.id for item in face.items})
        stored_ids = sorted(item.id for item in entry.items)
        if stored_ids != named:
            self._fault(index, Code.ITEMS, f"rows for items {_listed(named)}", _listed(stored_ids))
        for item in entry.items:
            if item.at != face.at_micros:
                self._fault(index, Code.ITEMS, f"time {face.at_micros} for item `{item.id}`", f"{item.at}")

    def _check_seal(self, index: int, face: Face, entry: StoredEntry) -> None:
        if len(entry.nonce) != NONCE_BYTES:
            self._fault(index, Code.SEAL, f"a nonce of {NONCE_BYTES} bytes", f"{len(entry.nonce)}")
        sealed = seal(entry.nonce, entry.record)
        if sealed != face.seal:
            self._fault(index, Code.SEAL, _hex(face.seal), f"{_hex(sealed)} from nonce and record")

    def _check_record(self, index: int, face: Face, entry: StoredEntry) -> None:
        try:
            record = parse_canonical(entry.record)
        except LeafError as error:
            self._fault(index, Code.RECORD, "a canonical record", f"{error}")
        if not isinstance(record, dict):
            self._fault(index, Code.RECORD, "a record that is an object", "another value")
        if record.get("at") != time_text(face.at):
            self._fault(index, Code.RECORD, f"`at` `{time_text(face.at)}`, as in the leaf", _shown(record.get("at")))
        act = record.get("act")
        if type(act) is not int or act < self.act:
            self._fault(index, Code.RECORD, f"`act` not below {self.act}, that of the entry before", _shown(act))
        self.act = act
        partners = self.head.log not in OWN_LOGS
        if partners and record.get("partner") != self.head.log:
            self._fault(index, Code.RECORD, f"`partner` `{self.head.log}`, as the log", _shown(record.get("partner")))
        if partners and face.result == SENT and record.get("outcome") not in SENT_OUTCOMES:
            self._fault(index, Code.RECORD, "`outcome` `release` or `in_part`, as it was sent", _shown(record.get("outcome")))
        versions = self._check_record_items(index, face, record, partners=partners)
        self._check_labels(index, record)
        for item in entry.items:
            # What a partner was sent counts as received; a look of ours at his view, or an act, does not.
            sent = versions.get(item.id, 0) if partners and face.result == SENT else 0
            if item.version != sent:
                self._fault(index, Code.ITEMS, f"version {sent} of item `{item.id}`", f"{item.version}")
        if entry.facts is not None:
            self._check_facts(index, face, record, entry.facts)

    def _check_facts(self, index: int, face: Face, record: Mapping[str, object], stored: Sequence[StoredFact]) -> None:
        derived = facts(record)
        kept = {row.fact for row in stored}
        for kind, value in sorted(derived - kept):
            self._fault(index, Code.FACTS, f"the fact {kind} {_shown(value)}, as recorded", "none")
        for kind, value in sorted(kept - derived):
            self._fault(index, Code.FACTS, "facts that the record gives", f"{_shown(kind)} {_shown(value)}")
        for row in stored:
            if row.at != face.at_micros:
                self._fault(index, Code.FACTS, f"time {face.at_micros} for the fact {row.fact[0]} {_shown(row.fact[1])}", f"{row.at}")

    def _check_record_items(self, index: int, face: Face, record: Mapping[str, object], *, partners: bool) -> dict[str, int]:
        """Versions by item, as the record has them."""
        items = record.get("items", None if partners else [])
        if not isinstance(items, list):
            self._fault(index, Code.RECORD, "`items`, a list", _shown(items))
        versions: dict[str, int] = {}
        for item in items:
            given = (item.get("id"), item.get("version")) if isinstance(item, dict) else (None, None)
            # Version 0 is that of an item whose first one is still in quarantine: it can be refused, and never sent.
            lowest = 1 if face.result == SENT else 0
            if not isinstance(given[0], str) or type(given[1]) is not int or given[1] < lowest:
                self._fault(index, Code.RECORD, f"`items`, each with an id and a version from {lowest}", "another value")
            versions[given[0]] = given[1]
        if not partners:
            return versions
        named = [item.id for item in face.items]
        recorded = [item["id"] for item in items]
        # A refusal records what was withheld, and nothing where there was nothing.
        if recorded != named and not (face.result != SENT and not recorded):
            self._fault(index, Code.RECORD, f"`items` {_listed(named)}, as in the leaf", _listed(recorded))
        return versions

    def _check_labels(self, index: int, record: Mapping[str, object]) -> None:
        labels = record.get("labels", {})
        if not isinstance(labels, dict):
            self._fault(index, Code.RECORD, "`labels`, an object", _shown(labels))
        for digest, label in labels.items():
            derived = hashlib.sha256(canonical(label)).hexdigest()
            if digest != derived:
                self._fault(index, Code.RECORD, f"a label under its digest `{derived}`", f"`{digest}`")
        items = record.get("items", [])
        for item in items if isinstance(items, list) else []:
            named = item.get("labels", [])
            if not isinstance(named, list) or not all(isinstance(digest, str) and digest in labels for digest in named):
                self._fault(index, Code.RECORD, "every label an item names among `labels`", f"item `{item['id']}` without")

    # --- the tree -------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        self.frontier = self.frontier.extend(self.pending)
        self.pending.clear()

    def _grow(self, added: bytes) -> None:
        """Put a hash into the growing tiles, and compare each that fills with the one kept."""
        for level in range(len(self.growing) + 1):
            if level == len(self.growing):
                self.growing.append([])
            hashes = self.growing[level]
            hashes.append(added)
            if len(hashes) < TILE_WIDTH:
                return
            # The tile's index is that of its last leaf, without what is below the tile.
            self._compare_tile(level, (self.size - 1) >> (TILE_HEIGHT * (level + 1)), hashes)
            self.settle()
            added = root(hashes)
            hashes.clear()

    def _check_growing_tiles(self) -> None:
        for level, hashes in enumerate(self.growing):
            # The growing tile of level 0 is in the entries, and not kept twice.
            if level > 0 and hashes:
                self._compare_tile(level, self.frontier.size >> (TILE_HEIGHT * (level + 1)), hashes)
        if self.tile_count != self.tiles_seen:
            self._fault(None, Code.TILE, f"{self.tiles_seen} tiles", f"{self.tile_count}")

    def _compare_tile(self, level: int, index: int, derived: Sequence[bytes]) -> None:
        self.tiles_seen += 1
        kept = self.tiles(level, index)
        for place, value in enumerate(derived):
            stored = None if kept is None or place >= len(kept) else kept[place]
            if stored != value:
                first = (index * TILE_WIDTH + place) << (TILE_HEIGHT * level)
                found = "nothing" if stored is None else _hex(stored)
                self._fault(first, Code.TILE, f"{_hex(value)} at {place} of tile {level}/{index}", found)
        if kept is not None and len(kept) > len(derived):
            self._fault(None, Code.TILE, f"{len(derived)} hashes in tile {level}/{index}", f"{len(kept)}")

    def _check_checkpoints(self, *, until: int | None = None) -> None:
        """Compare the checkpoint kept of the size reached, if there is one; it was signed now, or at some time until then."""
        if self.next_checkpoint is not None and self.next_checkpoint.size == self.size:
            self.settle()
            what = f"the checkpoint kept at size {self.size}"
            signed_at = self._signed_at(self.next_checkpoint.note, until=until)
            self._compare_checkpoint(max(self.size - 1, 0), self.next_checkpoint.note, what, at=signed_at)
            self._read_checkpoint(above=self.size)

    def _note_root(self) -> None:
        while self.next_size is not None and self.next_size <= self.size:
            if self.next_size == self.size:
                self.settle()
                self.roots[self.size] = self.frontier.root()
            self.next_size = next(self.sizes, None)

    def _read_checkpoint(self, *, above: int) -> None:
        self.next_checkpoint = next(self.checkpoints, None)
        if self.next_checkpoint is not None and self.next_checkpoint.size <= above:
            found = f"size {self.next_checkpoint.size}"
            self._fault(max(above - 1, 0), Code.CHECKPOINT, f"checkpoints in order of size, above {above}", found)

    def _signed_at(self, note: str, *, until: int | None) -> int:
        """When a checkpoint was signed: now; or, of a stretch that is all that is known, a time at which these keys would have signed."""
        if until is None or until == self.at:
            return self.at
        turns = {turn for key in self.keys for turn in (key.from_at, key.until) if self.at < turn <= until}
        for moment in (self.at, *sorted(turns)):
            try:
                open_signed(note, self.keys, origin=self.origin, at=moment)
            except ProofError:
                continue
            return moment
        return self.at

    def _compare_checkpoint(self, index: int | None, note: str, what: str, *, at: int) -> None:
        try:
            # Nobody knows when an empty log was opened: of it, that the current key signed is asked.
            checkpoint = open_signed(note, self.keys, origin=self.origin, at=at, exactly=self.frontier.size > 0)
        except ProofError as error:
            self._fault(index, Code.CHECKPOINT, f"{what} signed by the log's key", f"{error}")
        if checkpoint.size != self.frontier.size:
            self._fault(index, Code.CHECKPOINT, f"size {self.frontier.size} in {what}", f"{checkpoint.size}")
        if checkpoint.root != self.frontier.root():
            self._fault(index, Code.CHECKPOINT, f"root {_hex(self.frontier.root())} in {what}", _hex(checkpoint.root))

    def _check_head(self) -> None:
        derived = self.frontier
        if self.head.frontier != derived.to_bytes():
            self._fault(None, Code.HEAD, f"frontier {_hex(derived.to_bytes())}", _hex(self.head.frontier))
        if self.head.root != derived.root():
            self._fault(None, Code.HEAD, f"root {_hex(derived.root())}", _hex(self.head.root))
        if self.head.at != self.at:
            self._fault(None, Code.HEAD, f"time {self.at}, that of the last entry", f"{self.head.at}")
        # A rotation signs every head anew: with the keys in force then, if nothing was written since.
        signed_at = max(self.at, *(key.from_at for key in self.keys))
        self._compare_checkpoint(None, self.head.checkpoint, "the head's checkpoint", at=signed_at)

    def _fault(self, index: int | None, code: Code, expected: str, found: str) -> NoReturn:
        raise _Found(Fault(self.head.log, index, code, expected, found))


class _EventIds:
    """Event ids seen, as 128-bit digests: 20 bytes an entry, in shares that are sorted one by one at the end."""

    _SHARES: Final = 256
    _DIGEST_BYTES: Final = EVENT_BYTES
    _ROW_BYTES: Final = 20

    def __init__(self) -> None:
        self._shares: Final = [bytearray() for _ in range(self._SHARES)]

    def add(self, index: int, event_id: str) -> None:
        self.add_digest(index, event_digest(event_id))

    def add_digest(self, index: int, digest: bytes) -> None:
        self._shares[digest[0]] += digest + index.to_bytes(self._ROW_BYTES - self._DIGEST_BYTES, "big")

    def first_repeat(self) -> tuple[int, int] | None:
        """(index of the first use, index of the second) of the repetition that comes first in the log."""
        repeats = [repeat for share in self._shares if (repeat := self._first_in(share)) is not None]
        return min(repeats, key=lambda repeat: repeat[1], default=None)

    def _first_in(self, share: bytearray) -> tuple[int, int] | None:
        rows = sorted(bytes(share[start : start + self._ROW_BYTES]) for start in range(0, len(share), self._ROW_BYTES))
        width = self._DIGEST_BYTES
        repeats = [
            (int.from_bytes(one[width:], "big"), int.from_bytes(other[width:], "big"))
            for one, other in pairwise(rows)
            if one[:width] == other[:width]
        ]
        return min(repeats, key=lambda repeat: repeat[1], default=None)


def _hex(value: bytes) -> str:
    return f"`{value.hex()}`"


def _shown(value: object) -> str:
    """A member as a finding may show it: text and numbers, never a structure, which could hold content."""
    if isinstance(value, bytes):
        return _hex(value)
    if isinstance(value, str):
        return f"`{value[:80].encode('unicode_escape').decode('ascii')}`"
    return f"`{value}`" if value is None or isinstance(value, int) else "another value"


def _listed(ids: Sequence[object]) -> str:
    return f"`{' '.join(map(str, ids[:5]))}{' …' if len(ids) > 5 else ''}`" if ids else "none"
