"""A whole installation to tamper with, what people outside hold of it, and the means by which they find out.

The installation is written by the real path, once. A change is made by another connection to its database, as one who owns the
machine would make it, and undone by putting the pristine database back (SQLite's backup, under its own locks).
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from service.errors import Broken, NotVisible, ProofError
from service.identity.clients import Role
from service.releaselog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from service.releaselog.facts import facts
from service.releaselog.leaf import canonical, seal
from service.releaselog.merkle import TILE_WIDTH, Frontier, completed_tiles, consistency_proof, leaf_hash, root, verify_consistency
from service.releaselog.notes import Signer
from service.releaselog.receipt import verify_receipt
from service.releaselog.tiles import TilePath, decode_bundle
from service.sharing import audit
from service.sharing.asks import Asker, ListAsk
from service.sharing.audit import Receipt
from service.sharing.gate import Released
from service.sharing.installation import Installation
from service.sharing.verification import Problem, verify_all
from service.sharing.words import read_query
from service.store import logs
from tests.support.faults import MACHINE_HERE, Small, small
from tests.support.log_asks import mixed_ask
from tests.support.two_officers import relabel_within

LOGS: Final = ("GBR", "JPN", "officers")
_ROUNDS: Final = 66
_BATCH: Final = {"gbr": 4, "jpn": 8}
_SEARCHES: Final = 12
_FILE_BYTES: Final = 5_000


@dataclass(frozen=True, slots=True)
class HeldReceipt:
    """A receipt as its owner keeps it: the leaf's bytes, the proof and the key, with the place it proved then."""

    log: str
    index: int
    receipt: Receipt


@dataclass(slots=True)
class Target:
    """The installation, its pristine database, one of half way, and what is held outside."""

    world: Small
    raw: sqlite3.Connection
    pristine: sqlite3.Connection
    yesterday: sqlite3.Connection
    yesterday_sizes: dict[str, int]
    receipts: dict[str, list[HeldReceipt]]
    """By log, by index."""
    checkpoints: dict[str, list[tuple[int, str]]]
    """By log, those that somebody took a copy of: (size, note), the last one the newest."""
    origins: dict[str, str]
    keys: dict[str, str]

    @property
    def installation(self) -> Installation:
        return self.world.installation

    @property
    def data(self) -> Path:
        return self.installation.settings.data

    def size(self, log: str) -> int:
        return len(self.receipts[log])

    def restore(self) -> None:
        """Everything as it was."""
        self.raw.rollback()
        self.pristine.backup(self.raw)

    def close(self) -> None:
        for connection in (self.raw, self.pristine, self.yesterday):
            connection.close()
        self.installation.close()


def target(
    folder: Path,
    *,
    rounds: int = _ROUNDS,
    before: Callable[[Small], None] = lambda _: None,
    after_round: Callable[[Small, int], None] = lambda _, __: None,
) -> Target:
    """Set it up and let partners ask.

    Args:
        before: called before the first round.
        after_round: called after each, with its number.
    """
    folder.mkdir()
    world = small(folder, chart_bytes=_FILE_BYTES)
    installation = world.installation
    before(world)
    raw = sqlite3.connect(folder / "entente.db")
    raw.execute("PRAGMA synchronous=OFF")
    randomness = random.Random(7)
    checkpoints: dict[str, list[tuple[int, str]]] = {log: [] for log in LOGS}
    yesterday = sqlite3.connect(":memory:")
    _search(installation)
    for turn in range(rounds):
        asks = [
            mixed_ask(installation, randomness, partner=name.upper(), client=world.clients[name].id, items=world.items, file=world.file)
            for name, count in _BATCH.items()
            for _ in range(count)
        ]
        outcomes = installation.gate.commit([(ask, installation.gate.prepare(ask)) for ask in asks])
        assert all(isinstance(outcome, Released) for outcome in outcomes)
        if turn % 2 == 0:
            with installation.acts.act("item.relabel", MACHINE_HERE) as act:
                relabel_within(act, world.items["sea"], _MARKINGS[turn // 2 % 2])
        after_round(world, turn)
        for log, size, note in _heads(raw):
            checkpoints[log].append((size, note))
        if turn == rounds // 2:
            raw.backup(yesterday)
    pristine = sqlite3.connect(":memory:")
    raw.backup(pristine)
    with installation.database.reading() as connection:
        heads = {log: audit.head_of(connection, log) for log in LOGS}
        receipts = {
            log: [
                HeldReceipt(log, row.position, audit.receipt(connection, installation.ledger, log, row.event_id))
                for row in logs.entries(connection, head.id)
            ]
            for log, head in heads.items()
        }
    origins = {log: head.origin for log, head in heads.items()}
    keys = {log: installation.ledger.vkey(origin) for log, origin in origins.items()}
    sizes = {log: size for log, size, _ in _heads(yesterday)}
    return Target(world, raw, pristine, yesterday, sizes, receipts, checkpoints, origins, keys)


_MARKINGS: Final = ("(S//REL TO USA, AUS)", "(S//REL TO USA, JPN)")


def _search(installation: Installation) -> None:
    """Searches, whose words are personal texts; in a log of their own, so that who rewrites the others has none of them to move."""
    client, _ = installation.registry.add("searcher", Role.PARTNER, partner="IND", issuer="https://idp.test", subject="searcher")
    for number in range(_SEARCHES):
        q = f"words {number}"
        ask = ListAsk(
            Asker("IND", "none", client.id, "IND"), installation.copies, "/v1/items", None, q=q, sought=read_query(q),
            cursors=installation.cursors,
        )  # fmt: skip
        assert isinstance(installation.gate.commit([(ask, installation.gate.prepare(ask))])[0], Released)


def _heads(raw: sqlite3.Connection) -> Iterable[tuple[str, int, str]]:
    return raw.execute("SELECT name, size, checkpoint FROM log WHERE name IN (?, ?, ?)", LOGS).fetchall()


# --- means --------------------------------------------------------------------------------------------------------------


def by_verify(target: Target) -> Problem | None:
    """`entente log verify`: what can be derived again, inside."""
    return verify_all(target.installation).problem


def by_receipt(target: Target, held: HeldReceipt) -> str | None:
    """A partner asks for the receipt of an event it has one of, and compares."""
    try:
        with target.installation.database.reading() as connection:
            fresh = audit.receipt(connection, target.installation.ledger, held.log, held.receipt.event_id)
        # The leaf and the key are those held: what the service says of them now is not believed.
        proven = verify_receipt(held.receipt.leaf.encode("utf-8"), fresh.proof, held.receipt.key, origin=target.origins[held.log])
    except NotVisible:
        return "the log knows nothing of the event"
    except Broken as error:
        return f"the log cannot prove the event: {error}"
    except ProofError as error:
        return f"{error}"
    return None if proven.index == held.index else f"the event is at {proven.index}, it was at {held.index}"


def by_checkpoint(target: Target, log: str, held: tuple[int, str]) -> str | None:
    """Anyone who took a copy of a checkpoint asks whether the log of now continues it."""
    origin, key = target.origins[log], target.keys[log]
    older = open_checkpoint(held[1], key, origin)
    try:
        with target.installation.database.reading() as connection:
            head = audit.head_of(connection, log)
            newer = open_checkpoint(head.checkpoint, key, origin)
            if newer.size < older.size:
                return f"the log has {newer.size} entries, and had {older.size}"

            def tiles(level: int, index: int, width: int) -> list[bytes]:
                return logs.read_tile(connection, head.id, level, index, width)

            proof = consistency_proof(older.size, newer.size, tiles)
        verify_consistency(older.size, newer.size, older.root, newer.root, proof)
    except NotVisible:
        return "there is no such log"
    except Broken as error:
        return f"the log cannot be proved to continue: {error}"
    except ProofError as error:
        return f"{error}"
    return None


def by_reading(target: Target, log: str) -> str | None:
    """A partner reads its own log whole (entry bundles over HTTP) and compares it with everything it holds: checkpoints and leaves."""
    origin, key = target.origins[log], target.keys[log]
    try:
        with target.installation.database.reading() as connection:
            head = audit.head_of(connection, log)
            newest = open_checkpoint(head.checkpoint, key, origin)
            leaves: list[bytes] = []
            while len(leaves) < newest.size:
                path = TilePath(None, len(leaves) // TILE_WIDTH, min(newest.size - len(leaves), TILE_WIDTH))
                read = decode_bundle(audit.tile_bytes(connection, log, path))
                if len(read) != path.width:
                    return f"a bundle of {len(read)} entries, expected {path.width}"
                leaves += read
    except NotVisible:
        return "there is no such log, or less of it than its checkpoint says"
    except Broken as error:
        return f"the log cannot show its entries: {error}"
    except ProofError as error:
        return f"{error}"
    hashes = [leaf_hash(leaf) for leaf in leaves]
    for size, note in (*target.checkpoints[log], (newest.size, head.checkpoint)):
        if root(hashes[:size]) != open_checkpoint(note, key, origin).root or size > newest.size:
            return f"the first {size} entries are not those of a checkpoint that was held"
    held = [one.receipt.leaf.encode("utf-8") for one in target.receipts[log]]
    return None if leaves[: len(held)] == held else "a leaf is not the one that was held"


# --- who owns the machine and the key -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Rewritten:
    """An entry as it is to be in a history written anew."""

    position: int
    event_id: str
    at: int
    type: str
    client: str
    result: str
    leaf: bytes
    record: bytes
    nonce: bytes

    def face(self, **changes: Any) -> None:
        """Change members of the face, in canonical form."""
        self.leaf = canonical({**json.loads(self.leaf), **changes})

    def seal_again(self, **changes: Any) -> None:
        """Change members of the record, and seal it."""
        self.record = canonical({**json.loads(self.record), **changes})
        self.face(seal=seal(self.nonce, self.record).hex())


_COLUMNS: Final = "position, event_id, at, type, client, result, leaf, record, nonce"


def entries_of(raw: sqlite3.Connection, log: str) -> list[Rewritten]:
    rows = raw.execute(f"SELECT {_COLUMNS} FROM log_entry WHERE log_id = (SELECT id FROM log WHERE name = ?) ORDER BY position", (log,))
    return [Rewritten(*row) for row in rows]


def real_signer(target: Target, origin: str) -> Signer:
    """The log's own key, taken out of its file: of all that are there, the one that signs now."""
    now = target.installation.ledger.vkey(origin)
    signers = [Signer(origin, path.read_bytes()) for path in sorted((target.data / "keys").glob("log*.key"))]
    return next(signer for signer in signers if signer.vkey == now)


def derive_facts(target: Target, log: str) -> None:
    """Make the rows that say what records say agree with them, as one who knows of them would."""
    raw = target.raw
    (log_id,) = raw.execute("SELECT id FROM log WHERE name = ?", (log,)).fetchone()
    raw.execute("DELETE FROM log_fact WHERE log_id = ?", (log_id,))
    for entry in entries_of(raw, log):
        for fact in facts(json.loads(entry.record)):
            raw.execute("INSERT OR IGNORE INTO fact (kind, value) VALUES (?, ?)", fact)
            (fact_id,) = raw.execute("SELECT id FROM fact WHERE kind = ? AND value = ?", fact).fetchone()
            row = (fact_id, entry.at, log_id, entry.position)
            raw.execute("INSERT INTO log_fact (fact_id, at, log_id, position) VALUES (?, ?, ?, ?)", row)


def write_history(target: Target, log: str, entries: list[Rewritten], *, in_columns: bool = True, signer: Signer | None = None) -> None:
    """Write a log anew out of these entries, as one who has the key: hashes, tiles, kept checkpoints and head, all signed and in order."""
    raw = target.raw
    (log_id, origin) = raw.execute("SELECT id, origin FROM log WHERE name = ?", (log,)).fetchone()
    signer = signer or real_signer(target, origin)
    kept = {size for (size,) in raw.execute("SELECT size FROM log_checkpoint WHERE log_id = ?", (log_id,))}
    for table in ("log_entry", "log_tile", "log_checkpoint"):
        raw.execute(f"DELETE FROM {table} WHERE log_id = ?", (log_id,))
    hashes = [leaf_hash(entry.leaf) for entry in entries]
    for position, entry in enumerate(entries):
        if in_columns:
            face = json.loads(entry.leaf)
            entry.event_id, entry.type, entry.client, entry.result = face["event_id"], face["type"], face["client"], face["result"]
        entry.position = position
        row = (log_id, hashes[position], *(getattr(entry, name) for name in _COLUMNS.split(", ")))
        raw.execute(f"INSERT INTO log_entry (log_id, leaf_hash, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    for tile in completed_tiles(0, hashes, lambda _level, _index, _width: ()):
        raw.execute(
            "INSERT INTO log_tile (log_id, level, position, hashes) VALUES (?, ?, ?, ?)",
            (log_id, tile.level, tile.index, b"".join(tile.hashes)),
        )
    frontier = Frontier.empty()
    note = sign_checkpoint(Checkpoint(origin, 0, frontier.root()), signer)
    for size in sorted({*(size for size in kept if size < len(entries)), len(entries)}):
        frontier = frontier.extend(hashes[frontier.size : size])
        note = sign_checkpoint(Checkpoint(origin, size, frontier.root()), signer)
        if size in kept:
            raw.execute("INSERT INTO log_checkpoint (log_id, size, note) VALUES (?, ?, ?)", (log_id, size, note))
    at = entries[-1].at if entries else 0
    raw.execute(
        "UPDATE log SET size = ?, frontier = ?, root = ?, at = ?, checkpoint = ? WHERE id = ?",
        (frontier.size, frontier.to_bytes(), frontier.root(), at, note, log_id),
    )
    derive_facts(target, log)
