"""Kinds of tampering, each a way to change one thing at a random place. What finds them is in `tests/tampering/means.csv`.

A change gets the target and a source of random places, changes the database (or a file, a key, a receipt) and says where: the entry
it concerns, of which somebody holds a receipt. `receipt` and `checkpoint` are set where these themselves are what was changed.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from service.releaselog.checkpoint import Checkpoint, sign_checkpoint
from service.releaselog.leaf import seal
from service.releaselog.merkle import TILE_WIDTH, completed_tiles, inclusion_proof, leaf_hash, root
from service.releaselog.notes import Signer
from service.releaselog.receipt import Proof, write_proof
from tests.support.interop_cases import flipped
from tests.support.tampering import LOGS, HeldReceipt, Target, derive_facts, entries_of, real_signer, write_history

PARTNER_LOGS: Final = ("GBR", "JPN")


@dataclass(frozen=True, slots=True)
class Changed:
    """Where it was changed. `index` is None where it is no entry's; `undo` for what is not in the database."""

    log: str
    index: int | None
    receipt: HeldReceipt | None = None
    checkpoint: tuple[int, str] | None = None
    undo: Callable[[], None] | None = None


Change = Callable[[Target, random.Random], Changed]
KINDS: Final[dict[str, Change]] = {}


def _kind(name: str) -> Callable[[Change], Change]:
    def enter(change: Change) -> Change:
        KINDS[name] = change
        return change

    return enter


def _place(target: Target, randomness: random.Random, logs: tuple[str, ...] = LOGS, *, margin: int = 0) -> tuple[str, int, int]:
    """A log, its id and the index of an entry, `margin` away from the end."""
    log = randomness.choice(logs)
    return log, _id(target.raw, log), randomness.randrange(target.size(log) - margin)


def _id(raw: sqlite3.Connection, log: str) -> int:
    found: int = raw.execute("SELECT id FROM log WHERE name = ?", (log,)).fetchone()[0]
    return found


def _value(target: Target, log_id: int, index: int, column: str) -> bytes:
    found: bytes = target.raw.execute(f"SELECT {column} FROM log_entry WHERE log_id = ? AND position = ?", (log_id, index)).fetchone()[0]
    return found


def _set(target: Target, log_id: int, index: int, **columns: object) -> None:
    named = ", ".join(f"{name} = ?" for name in columns)
    target.raw.execute(f"UPDATE log_entry SET {named} WHERE log_id = ? AND position = ?", (*columns.values(), log_id, index))


# --- one entry ----------------------------------------------------------------------------------------------------------


def _bit(column: str) -> Change:
    def change(target: Target, randomness: random.Random) -> Changed:
        log, log_id, index = _place(target, randomness)
        _set(target, log_id, index, **{column: flipped(_value(target, log_id, index, column), randomness)})
        return Changed(log, index)

    return change


for _column in ("leaf", "leaf_hash", "record", "nonce"):
    KINDS[f"entry-{_column.replace('_', '-')}-bit"] = _bit(_column)


@_kind("entry-leaf-and-hash")
def _leaf_and_hash(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness)
    leaf = _value(target, log_id, index, "leaf").replace(b'"purpose":"none"', b'"purpose":"other"')
    _set(target, log_id, index, leaf=leaf, leaf_hash=leaf_hash(leaf))
    return Changed(log, index)


@_kind("entry-record-of-another")
def _record_of_another(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness)
    own = _value(target, log_id, index, "record")
    # Two askers of one batch can have the same record; the nonces keep their seals apart.
    others = [record for entry in entries_of(target.raw, log) if (record := entry.record) != own]
    _set(target, log_id, index, record=randomness.choice(others))
    return Changed(log, index)


@_kind("entry-record-and-nonce-exchanged")
def _records_exchanged(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness, margin=1)
    both = [(_value(target, log_id, place, "record"), _value(target, log_id, place, "nonce")) for place in (index, index + 1)]
    for place, (record, nonce) in zip((index + 1, index), both, strict=True):
        _set(target, log_id, place, record=record, nonce=nonce)
    return Changed(log, index)


@_kind("entry-record-resealed")
def _resealed(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness)
    record = _value(target, log_id, index, "record").replace(b'"authority":null', b'"authority":"a letter"')
    if record == _value(target, log_id, index, "record"):
        record = record.replace(b"{", b'{"aaa":1,', 1)
    nonce = _value(target, log_id, index, "nonce")
    face = json.loads(_value(target, log_id, index, "leaf"))
    leaf = _value(target, log_id, index, "leaf").replace(face["seal"].encode(), seal(nonce, record).hex().encode())
    _set(target, log_id, index, record=record, leaf=leaf, leaf_hash=leaf_hash(leaf))
    return Changed(log, index)


def _column(name: str, value: Callable[[object, random.Random], object]) -> Change:
    def change(target: Target, randomness: random.Random) -> Changed:
        log, log_id, index = _place(target, randomness)
        _set(target, log_id, index, **{name: value(_value(target, log_id, index, name), randomness)})
        return Changed(log, index)

    return change


KINDS["column-at"] = _column("at", lambda old, randomness: int(old) + randomness.choice((-1, 1, 3_600_000_000)))  # type: ignore[call-overload]
KINDS["column-client"] = _column("client", lambda _old, randomness: f"c_{randomness.randrange(1000)}")
KINDS["column-type"] = _column("type", lambda old, _: "list" if old != "list" else "item")
KINDS["column-result"] = _column("result", lambda old, _: "refused" if old != "refused" else "sent")
KINDS["column-event-id"] = _column("event_id", lambda _old, randomness: f"e{randomness.getrandbits(64):x}")


# --- order --------------------------------------------------------------------------------------------------------------


def _move(raw: sqlite3.Connection, log_id: int, start: int, by: int) -> None:
    """Move all entries from a position on; away and back, as positions are unique."""
    for table in ("log_entry", "log_item"):
        raw.execute(f"UPDATE {table} SET position = -1 - position - ? WHERE log_id = ? AND position >= ?", (by, log_id, start))
        raw.execute(f"UPDATE {table} SET position = -1 - position WHERE log_id = ? AND position < 0", (log_id,))


@_kind("entry-deleted")
def _deleted(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness, margin=1)
    for table in ("log_entry", "log_item"):
        target.raw.execute(f"DELETE FROM {table} WHERE log_id = ? AND position = ?", (log_id, index))
    return Changed(log, index)


@_kind("entry-deleted-and-closed-up")
def _closed_up(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness, margin=1)
    _deleted_at(target, log_id, index)
    _move(target.raw, log_id, index + 1, -1)
    derive_facts(target, log)
    return Changed(log, index)


def _deleted_at(target: Target, log_id: int, index: int) -> None:
    for table in ("log_entry", "log_item"):
        target.raw.execute(f"DELETE FROM {table} WHERE log_id = ? AND position = ?", (log_id, index))


def _copy_entry(target: Target, log_id: int, index: int, to: int, event_id: str) -> None:
    target.raw.execute(
        "INSERT INTO log_entry (log_id, position, event_id, at, type, client, result, leaf, leaf_hash, record, nonce) "
        "SELECT log_id, ?, ?, at, type, client, result, leaf, leaf_hash, record, nonce FROM log_entry WHERE log_id = ? AND position = ?",
        (to, event_id, log_id, index),
    )


@_kind("entry-inserted")
def _inserted(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness)
    _move(target.raw, log_id, index, 1)
    _copy_entry(target, log_id, index + 1, index, f"e{randomness.getrandbits(64):x}")
    # Whole in itself: its leaf says what its columns say.
    face = json.loads(_value(target, log_id, index, "leaf"))
    event: str = target.raw.execute("SELECT event_id FROM log_entry WHERE log_id = ? AND position = ?", (log_id, index)).fetchone()[0]
    leaf = _value(target, log_id, index, "leaf").replace(face["event_id"].encode(), event.encode())
    _set(target, log_id, index, leaf=leaf, leaf_hash=leaf_hash(leaf))
    target.raw.execute(
        "INSERT OR IGNORE INTO log_item (item_id, at, log_id, position, version) "
        "SELECT item_id, at, log_id, ?, version FROM log_item WHERE log_id = ? AND position = ?",
        (index, log_id, index + 1),
    )
    derive_facts(target, log)
    return Changed(log, index)


@_kind("entries-exchanged")
def _exchanged(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness, margin=1)
    for table in ("log_entry", "log_item"):
        for old, new in ((index, -1), (index + 1, index), (-1, index + 1)):
            target.raw.execute(f"UPDATE {table} SET position = ? WHERE log_id = ? AND position = ?", (new, log_id, old))
    derive_facts(target, log)
    return Changed(log, index)


@_kind("entry-duplicated-at-the-end")
def _duplicated(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness)
    _copy_entry(target, log_id, index, target.size(log), f"e{randomness.getrandbits(64):x}")
    return Changed(log, None)


@_kind("entry-in-anothers-place")
def _overwritten(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness, margin=1)
    columns = ("at", "type", "client", "result", "leaf", "leaf_hash", "record", "nonce")
    _set(target, log_id, index, **{name: _value(target, log_id, index + 1, name) for name in columns})
    return Changed(log, index)


@_kind("entry-in-another-log")
def _in_another_log(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness, ("JPN",))
    other = _id(target.raw, "GBR")
    at = randomness.randrange(target.size("GBR"))
    columns = ("at", "type", "client", "result", "leaf", "leaf_hash", "record", "nonce")
    _set(target, log_id, index, **{name: _value(target, other, at, name) for name in columns})
    return Changed(log, index)


@_kind("tail-cut-off")
def _cut_off(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness)
    for table in ("log_entry", "log_item"):
        target.raw.execute(f"DELETE FROM {table} WHERE log_id = ? AND position >= ?", (log_id, index))
    return Changed(log, target.size(log) - 1)


# --- tiles, checkpoints, heads ------------------------------------------------------------------------------------------


def _tile(target: Target, randomness: random.Random, level: int) -> tuple[str, int, int, bytes]:
    """A tile of a log that has some: log, its id, the tile's index, its hashes."""
    log = "JPN" if level else randomness.choice(PARTNER_LOGS)
    log_id = _id(target.raw, log)
    rows = target.raw.execute("SELECT position, hashes FROM log_tile WHERE log_id = ? AND level = ?", (log_id, level)).fetchall()
    index, hashes = randomness.choice(rows)
    return log, log_id, index, hashes


def _tile_changed(level: int, change: Callable[[bytes, random.Random], bytes | None]) -> Change:
    def changed(target: Target, randomness: random.Random) -> Changed:
        log, log_id, index, hashes = _tile(target, randomness, level)
        new = change(hashes, randomness)
        where = "WHERE log_id = ? AND level = ? AND position = ?"
        if new is None:
            target.raw.execute(f"DELETE FROM log_tile {where}", (log_id, level, index))
        else:
            target.raw.execute(f"UPDATE log_tile SET hashes = ? {where}", (new, log_id, level, index))
        return Changed(log, None)

    return changed


KINDS["tile-bit"] = _tile_changed(0, flipped)
KINDS["tile-above-bit"] = _tile_changed(1, flipped)
KINDS["tile-deleted"] = _tile_changed(0, lambda _hashes, _: None)
KINDS["tile-above-deleted"] = _tile_changed(1, lambda _hashes, _: None)
KINDS["tile-too-short"] = _tile_changed(0, lambda hashes, randomness: hashes[: 32 * randomness.randrange(1, 256)])
KINDS["tile-above-too-long"] = _tile_changed(1, lambda hashes, randomness: hashes + randomness.randbytes(32))


@_kind("tile-invented")
def _tile_invented(target: Target, randomness: random.Random) -> Changed:
    log, log_id, _ = _place(target, randomness)
    row = (log_id, randomness.randrange(3), 100 + randomness.randrange(100), randomness.randbytes(8192))
    target.raw.execute("INSERT INTO log_tile (log_id, level, position, hashes) VALUES (?, ?, ?, ?)", row)
    return Changed(log, None)


def _head(name: str, change: Callable[[Target, str, object, random.Random], object]) -> Change:
    def changed(target: Target, randomness: random.Random) -> Changed:
        log = randomness.choice(LOGS)
        (old,) = target.raw.execute(f"SELECT {name} FROM log WHERE name = ?", (log,)).fetchone()
        target.raw.execute(f"UPDATE log SET {name} = ? WHERE name = ?", (change(target, log, old, randomness), log))
        return Changed(log, None)

    return changed


def _other_root(note: str, randomness: random.Random, signer: Signer) -> str:
    """A checkpoint of the same size with a root of somebody's choice."""
    lines = note.split("\n")
    return sign_checkpoint(Checkpoint(lines[0], int(lines[1]), randomness.randbytes(32)), signer)


def _edited(note: str, randomness: random.Random) -> str:
    """The size changed, the signature left."""
    lines = note.split("\n")
    lines[1] = str(int(lines[1]) + randomness.randrange(1, 50))
    return "\n".join(lines)


KINDS["head-frontier-bit"] = _head("frontier", lambda _t, _l, old, randomness: flipped(old, randomness))  # type: ignore[arg-type]
KINDS["head-root-bit"] = _head("root", lambda _t, _l, old, randomness: flipped(old, randomness))  # type: ignore[arg-type]
KINDS["head-size-raised"] = _head("size", lambda _t, _l, old, randomness: int(old) + randomness.randrange(1, 50))  # type: ignore[call-overload]
KINDS["head-size-lowered"] = _head("size", lambda _t, _l, old, randomness: int(old) - randomness.randrange(1, 20))  # type: ignore[call-overload]
KINDS["head-time"] = _head("at", lambda _t, _l, old, randomness: int(old) + randomness.choice((-1, 1)))  # type: ignore[call-overload]
KINDS["head-checkpoint-edited"] = _head("checkpoint", lambda _t, _l, old, randomness: _edited(str(old), randomness))
KINDS["head-checkpoint-of-another-root"] = _head(
    "checkpoint",
    lambda target, log, old, randomness: _other_root(str(old), randomness, real_signer(target, target.origins[log])),
)
KINDS["head-checkpoint-by-a-foreign-key"] = _head(
    "checkpoint",
    lambda _t, _l, old, randomness: Signer(str(old).split("\n")[0], randomness.randbytes(32)).sign(
        "\n".join(str(old).split("\n")[:3]) + "\n"
    ),
)
KINDS["head-checkpoint-older"] = _head(
    "checkpoint", lambda target, log, _old, randomness: randomness.choice(target.checkpoints[log][:-2])[1]
)
KINDS["log-origin"] = _head("origin", lambda _t, _l, old, randomness: f"{str(old).rpartition('/')[0]}/{randomness.getrandbits(32):x}")


def _kept(change: Callable[[Target, str, int, str, random.Random], tuple[int, str]]) -> Change:
    def changed(target: Target, randomness: random.Random) -> Changed:
        log = randomness.choice(PARTNER_LOGS)
        log_id = _id(target.raw, log)
        rows = target.raw.execute("SELECT size, note FROM log_checkpoint WHERE log_id = ?", (log_id,)).fetchall()
        size, note = randomness.choice(rows)
        new_size, new_note = change(target, log, size, note, randomness)
        target.raw.execute("UPDATE log_checkpoint SET size = ?, note = ? WHERE log_id = ? AND size = ?", (new_size, new_note, log_id, size))
        return Changed(log, None)

    return changed


KINDS["kept-checkpoint-edited"] = _kept(lambda _t, _l, size, note, randomness: (size, _edited(note, randomness)))
KINDS["kept-checkpoint-of-another-root"] = _kept(
    lambda target, log, size, note, randomness: (
        size,
        _other_root(note, randomness, real_signer(target, target.origins[log])),
    )
)
KINDS["kept-checkpoint-by-a-foreign-key"] = _kept(
    lambda _t, _l, size, note, randomness: (
        size,
        Signer(note.split("\n")[0], randomness.randbytes(32)).sign("\n".join(note.split("\n")[:3]) + "\n"),
    )
)
KINDS["kept-checkpoint-elsewhere"] = _kept(lambda _t, _l, size, note, randomness: (size + randomness.randrange(1, 5), note))
KINDS["kept-checkpoint-beyond-the-end"] = _kept(
    lambda target, log, _s, note, randomness: (target.size(log) + randomness.randrange(1, 50), note)
)


# --- beside the entries -------------------------------------------------------------------------------------------------


def _item_row(change: Callable[[Target, int, tuple[object, ...], random.Random], None]) -> Change:
    def changed(target: Target, randomness: random.Random) -> Changed:
        log = randomness.choice(PARTNER_LOGS)
        rows = target.raw.execute(
            "SELECT i.rowid, i.position, i.version FROM log_item i JOIN log_entry e ON e.log_id = i.log_id AND e.position = i.position "
            "WHERE i.log_id = ? AND e.type <> 'list'",
            (_id(target.raw, log),),
        ).fetchall()
        row = randomness.choice(rows)
        change(target, row[0], row, randomness)
        return Changed(log, row[1])

    return changed


KINDS["item-row-deleted"] = _item_row(lambda target, row, _v, _r: _run(target, "DELETE FROM log_item WHERE rowid = ?", row))
KINDS["item-row-version"] = _item_row(
    lambda target, row, _v, _r: _run(target, "UPDATE log_item SET version = version + 1 WHERE rowid = ?", row)
)
KINDS["item-row-time"] = _item_row(lambda target, row, _v, _r: _run(target, "UPDATE log_item SET at = at - 1 WHERE rowid = ?", row))
KINDS["item-row-of-another-item"] = _item_row(
    lambda target, row, _v, randomness: _run(
        target, "UPDATE log_item SET item_id = ? WHERE rowid = ?", f"i{randomness.getrandbits(64):x}", row
    )
)


@_kind("item-row-invented")
def _item_invented(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness)
    at = _value(target, log_id, index, "at")
    row = (f"i{randomness.getrandbits(64):x}", at, log_id, index, randomness.randrange(3))
    target.raw.execute("INSERT INTO log_item (item_id, at, log_id, position, version) VALUES (?, ?, ?, ?, ?)", row)
    return Changed(log, index)


def _run(target: Target, statement: str, *values: object) -> None:
    assert target.raw.execute(statement, values).rowcount == 1


def _beside(name: str, select: str, change: Callable[[Target, tuple[object, ...], random.Random], None]) -> None:
    def changed(target: Target, randomness: random.Random) -> Changed:
        row = randomness.choice(target.raw.execute(select).fetchall())
        change(target, row, randomness)
        return Changed(name.partition("-")[0], None)

    KINDS[name] = changed


# Copies that an entry names; one that nobody was sent may come and go.
_beside(
    "copy-bit",
    "SELECT rowid, body FROM copy",
    lambda target, row, randomness: _run(target, "UPDATE copy SET body = ? WHERE rowid = ?", flipped(row[1], randomness), row[0]),  # type: ignore[arg-type]
)
_beside("copy-deleted", "SELECT rowid FROM copy", lambda target, row, _: _run(target, "DELETE FROM copy WHERE rowid = ?", row[0]))
_beside(
    "label-edited",
    "SELECT id, body FROM label",
    lambda target, row, _: _run(target, "UPDATE label SET body = ? WHERE id = ?", str(row[1]).replace('"level":"', '"level":"UN'), row[0]),
)
_beside(
    "bundle-bit",
    "SELECT rowid, content FROM bundle_file WHERE length(content) > 0",
    lambda target, row, randomness: _run(
        target,
        "UPDATE bundle_file SET content = ? WHERE rowid = ?",
        flipped(row[1], randomness),
        row[0],  # type: ignore[arg-type]
    ),
)
_beside(
    "bundle-file-deleted",
    "SELECT rowid FROM bundle_file",
    lambda target, row, _: _run(target, "DELETE FROM bundle_file WHERE rowid = ?", row[0]),
)


@_kind("bundle-deleted")
def _bundle_deleted(target: Target, _randomness: random.Random) -> Changed:
    target.raw.execute("DELETE FROM bundle_file")
    return Changed("bundle", None)


@_kind("file-bit")
def _file_bit(target: Target, randomness: random.Random) -> Changed:
    (sha256,) = target.raw.execute("SELECT sha256 FROM file").fetchone()
    path = target.installation.files.path(sha256)
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(flipped(content, randomness))
    return Changed("files", None, undo=lambda: path.write_bytes(content) and None)  # type: ignore[func-returns-value]


@_kind("file-missing")
def _file_missing(target: Target, _randomness: random.Random) -> Changed:
    (sha256,) = target.raw.execute("SELECT sha256 FROM file").fetchone()
    path = target.installation.files.path(sha256)
    aside = path.with_suffix(".aside")
    path.rename(aside)
    return Changed("files", None, undo=lambda: aside.rename(path) and None)  # type: ignore[func-returns-value]


# --- whole logs, by one who has the key -----------------------------------------------------------------------------------


@_kind("logs-exchanged")
def _logs_exchanged(target: Target, _randomness: random.Random) -> Changed:
    for old, new in (("JPN", "-"), ("GBR", "JPN"), ("-", "GBR")):
        _run(target, "UPDATE log SET name = ? WHERE name = ?", new, old)
    return Changed("JPN", 0)


@_kind("log-deleted")
def _log_deleted(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness, PARTNER_LOGS)
    for table in ("log_entry", "log_item", "log_fact", "log_tile", "log_checkpoint"):
        target.raw.execute(f"DELETE FROM {table} WHERE log_id = ?", (log_id,))
    target.raw.execute("DELETE FROM log WHERE id = ?", (log_id,))
    return Changed(log, index)


@_kind("log-set-back")
def _set_back(target: Target, randomness: random.Random) -> Changed:
    """The tail cut off, and all that was derived from it: the log as it was at some moment, by nothing but what it had signed then."""
    log = randomness.choice(PARTNER_LOGS)
    size = randomness.choice([size for size, _ in target.checkpoints[log][:-1]])
    entries = entries_of(target.raw, log)[:size]
    _without_rows(target, log, size)
    write_history(target, log, entries)
    return Changed(log, randomness.randrange(size, target.size(log)))


def _without_rows(target: Target, log: str, size: int) -> None:
    target.raw.execute("DELETE FROM log_item WHERE log_id = ? AND position >= ?", (_id(target.raw, log), size))


@_kind("yesterdays-database")
def _yesterday(target: Target, randomness: random.Random) -> Changed:
    target.yesterday.backup(target.raw)
    log = randomness.choice(LOGS)
    return Changed(log, randomness.randrange(target.yesterday_sizes[log], target.size(log)))


@_kind("history-rewritten")
def _rewritten(target: Target, randomness: random.Random) -> Changed:
    """One entry says something else, and everything after it is hashed and signed again with the real key: whole, from inside."""
    log, _, index = _place(target, randomness)
    entries = entries_of(target.raw, log)
    entries[index].face(client="c_somebody_else")
    write_history(target, log, entries)
    return Changed(log, index)


@_kind("history-without-an-entry")
def _history_without(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness, PARTNER_LOGS, margin=1)
    _deleted_at(target, log_id, index)
    _move(target.raw, log_id, index + 1, -1)
    entries = entries_of(target.raw, log)
    write_history(target, log, entries)
    return Changed(log, index)


@_kind("history-with-an-entry-more")
def _history_with(target: Target, randomness: random.Random) -> Changed:
    # Not behind the last one: that is no change to a history, but what comes next in it.
    log, log_id, index = _place(target, randomness, ("officers",), margin=1)
    entries = entries_of(target.raw, log)
    more = replace(entries[index])
    more.face(event_id=f"e{randomness.getrandbits(64):x}")
    _move(target.raw, log_id, index + 1, 1)
    target.raw.execute(
        "INSERT OR IGNORE INTO log_item (item_id, at, log_id, position, version) "
        "SELECT item_id, at, log_id, ?, version FROM log_item WHERE log_id = ? AND position = ?",
        (index + 1, log_id, index),
    )
    # What stood at the place is one further on now.
    write_history(target, log, [*entries[: index + 1], more, *entries[index + 1 :]])
    return Changed(log, index + 1)


@_kind("history-reordered")
def _history_reordered(target: Target, randomness: random.Random) -> Changed:
    """Two batches exchanged: the times in the leaves say so."""
    log = randomness.choice(PARTNER_LOGS)
    entries = entries_of(target.raw, log)
    index = randomness.choice([place for place in range(1, len(entries)) if entries[place].at > entries[place - 1].at])
    entries[index - 1], entries[index] = entries[index], entries[index - 1]
    for old, new in ((index - 1, -1), (index, index - 1), (-1, index)):
        target.raw.execute("UPDATE log_item SET position = ? WHERE log_id = ? AND position = ?", (new, _id(target.raw, log), old))
    write_history(target, log, entries)
    return Changed(log, index)


@_kind("history-with-an-event-twice")
def _history_twice(target: Target, randomness: random.Random) -> Changed:
    log, log_id, index = _place(target, randomness, margin=1)
    entries = entries_of(target.raw, log)
    entries[index + 1].face(event_id=entries[index].event_id)
    # The database would not take it in a column of its own; the leaf alone says it.
    write_history(target, log, entries, in_columns=False)
    _set(target, log_id, index + 1, leaf_hash=leaf_hash(entries[index + 1].leaf))
    return Changed(log, index + 1)


@_kind("history-not-canonical")
def _history_spaced(target: Target, randomness: random.Random) -> Changed:
    log, _, index = _place(target, randomness)
    entries = entries_of(target.raw, log)
    entries[index].leaf = entries[index].leaf.replace(b'","', b'", "', 1)
    write_history(target, log, entries, in_columns=False)
    return Changed(log, index)


@_kind("history-of-another-partner")
def _history_partner(target: Target, randomness: random.Random) -> Changed:
    """The sealed record names another partner; sealed, hashed and signed again."""
    log, _, index = _place(target, randomness, PARTNER_LOGS)
    entries = entries_of(target.raw, log)
    entries[index].seal_again(partner="AUS")
    write_history(target, log, entries)
    return Changed(log, index)


@_kind("history-of-another-act")
def _history_act(target: Target, randomness: random.Random) -> Changed:
    log, _, index = _place(target, randomness, margin=1)
    entries = entries_of(target.raw, log)
    entries[index].seal_again(act=1_000_000)
    write_history(target, log, entries)
    return Changed(log, index)


@_kind("history-of-a-lower-outcome")
def _history_outcome(target: Target, randomness: random.Random) -> Changed:
    """What was sent is recorded as withheld; sealed, hashed and signed again."""
    log = randomness.choice(PARTNER_LOGS)
    entries = entries_of(target.raw, log)
    index = randomness.choice([entry.position for entry in entries if entry.result == "sent"])
    entries[index].seal_again(outcome="withhold")
    write_history(target, log, entries)
    return Changed(log, index)


# --- keys and receipts ----------------------------------------------------------------------------------------------------


@_kind("fork-shown-to-one")
def _fork(target: Target, randomness: random.Random) -> Changed:
    """A partner is shown a receipt out of a history of its own, whole and signed with the real key; the database is as it was."""
    log, _, index = _place(target, randomness, PARTNER_LOGS)
    held = target.receipts[log][index]
    leaf = held.receipt.leaf.replace('"client":"', '"client":"x')
    leaves = [one.receipt.leaf.encode("utf-8") for one in target.receipts[log]]
    hashes = [leaf_hash(one) for one in [*leaves[:index], leaf.encode("utf-8"), *leaves[index + 1 :]]]
    origin = target.origins[log]
    note = sign_checkpoint(Checkpoint(origin, len(hashes), root(hashes)), real_signer(target, origin))
    tiles = {(tile.level, tile.index): tile.hashes for tile in completed_tiles(0, hashes, lambda _level, _index, _width: ())}

    def read(level: int, place: int, width: int) -> list[bytes]:
        kept = tiles.get((level, place)) or hashes[place * TILE_WIDTH : place * TILE_WIDTH + width]
        return list(kept[:width])

    proof = write_proof(Proof(index, inclusion_proof(index, len(hashes), read), note))
    shown = replace(held, receipt=replace(held.receipt, leaf=leaf, proof=proof))
    return Changed(log, index, receipt=shown, checkpoint=(len(hashes), note))


@_kind("receipt-leaf-bit")
def _receipt_leaf(target: Target, randomness: random.Random) -> Changed:
    log, _, index = _place(target, randomness, PARTNER_LOGS)
    held = target.receipts[log][index]
    leaf = held.receipt.leaf
    place = randomness.randrange(len(leaf))
    changed = leaf[:place] + chr(ord(leaf[place]) ^ 1) + leaf[place + 1 :]
    return Changed(log, index, receipt=replace(held, receipt=replace(held.receipt, leaf=changed)))


def _receipt_text(change: Callable[[str, Target, HeldReceipt, random.Random], str]) -> Change:
    def changed(target: Target, randomness: random.Random) -> Changed:
        log, _, index = _place(target, randomness, PARTNER_LOGS)
        held = target.receipts[log][index]
        proof = change(held.receipt.proof, target, held, randomness)
        return Changed(log, index, receipt=replace(held, receipt=replace(held.receipt, proof=proof)))

    return changed


def _line(text: str, place: int, new: str) -> str:
    lines = text.split("\n")
    lines[place] = new
    return "\n".join(lines)


KINDS["receipt-index"] = _receipt_text(lambda text, _t, held, _r: _line(text, 1, f"index {held.index ^ 1}"))
KINDS["receipt-hash-missing"] = _receipt_text(lambda text, _t, _h, _r: "\n".join([*text.split("\n")[:2], *text.split("\n")[3:]]))
KINDS["receipt-hash-of-anothers-proof"] = _receipt_text(
    lambda text, target, held, _r: _line(
        text, 2, target.receipts[held.log][(held.index + 7) % target.size(held.log)].receipt.proof.split("\n")[2]
    )
)
KINDS["receipt-checkpoint-older"] = _receipt_text(
    lambda text, target, held, randomness: (
        text.partition("\n\n")[0] + "\n\n" + randomness.choice([note for size, note in target.checkpoints[held.log][:-2]])
    )
)
KINDS["receipt-checkpoint-edited"] = _receipt_text(
    lambda text, _t, _h, randomness: text.partition("\n\n")[0] + "\n\n" + _edited(text.partition("\n\n")[2], randomness)
)
KINDS["receipt-of-another-log"] = _receipt_text(
    lambda _text, target, held, randomness: randomness.choice(target.receipts["GBR" if held.log == "JPN" else "JPN"]).receipt.proof
)
KINDS["receipt-by-a-foreign-key"] = _receipt_text(
    lambda text, target, held, randomness: (
        text.partition("\n\n")[0]
        + "\n\n"
        + Signer(target.origins[held.log], randomness.randbytes(32)).sign("\n".join(text.partition("\n\n")[2].split("\n")[:3]) + "\n")
    )
)


# --- where nobody walks ---------------------------------------------------------------------------------------------------


@_kind("entry-before-the-first")
def _before_the_first(target: Target, randomness: random.Random) -> Changed:
    """An entry in no tree, found by its event id all the same."""
    log, log_id, index = _place(target, randomness)
    _copy_entry(target, log_id, index, -1 - randomness.randrange(1000), f"e{randomness.getrandbits(64):x}")
    return Changed(log, None)


@_kind("head-deleted-entries-left")
def _head_deleted(target: Target, randomness: random.Random) -> Changed:
    log, _, index = _place(target, randomness, PARTNER_LOGS)
    _run(target, "DELETE FROM log WHERE name = ?", log)
    return Changed(log, index)


@_kind("item-row-of-no-entry")
def _item_of_no_entry(target: Target, randomness: random.Random) -> Changed:
    log, log_id, _ = _place(target, randomness)
    row = (f"i{randomness.getrandbits(64):x}", 0, log_id, target.size(log) + randomness.randrange(1000), 1)
    target.raw.execute("INSERT INTO log_item (item_id, at, log_id, position, version) VALUES (?, ?, ?, ?, ?)", row)
    return Changed(log, None)


@_kind("tile-of-no-log")
def _tile_of_no_log(target: Target, randomness: random.Random) -> Changed:
    row = (10_000 + randomness.randrange(1000), 0, randomness.randrange(10), randomness.randbytes(8192))
    target.raw.execute("INSERT INTO log_tile (log_id, level, position, hashes) VALUES (?, ?, ?, ?)", row)
    return Changed("tiles", None)


_OF_ANOTHER_KIND: Final = (
    ("log_entry", "leaf", "3.5"), ("log_entry", "record", "CAST(record AS TEXT)"), ("log_entry", "nonce", "7"),
    ("log_entry", "at", "at + 0.5"), ("log_entry", "client", "x'ff'"), ("log_item", "version", "'x'"), ("log_tile", "hashes", "'x'"),
    ("log_checkpoint", "note", "x'ff'"), ("log_checkpoint", "size", "'x'"), ("log", "size", "'x'"), ("log", "checkpoint", "x'ff'"),
    ("log", "origin", "x'ff'"),
    ("copy", "body", "'x'"), ("label", "body", "x'ff'"), ("bundle_file", "name", "x'ff'"), ("file", "size", "'x'"),
)  # fmt: skip
"""Values that SQLite takes in spite of the column's type, and that would stop a reader that expects its kind."""


@_kind("value-of-another-kind")
def _another_kind(target: Target, randomness: random.Random) -> Changed:
    table, column, value = randomness.choice(_OF_ANOTHER_KIND)
    (row,) = randomness.choice(target.raw.execute(f"SELECT rowid FROM {table}").fetchall())
    _run(target, f"UPDATE {table} SET {column} = {value} WHERE rowid = ?", row)
    return Changed("kinds", None)


def _personal(change: Callable[[Target, tuple[object, ...], random.Random], None]) -> Change:
    def changed(target: Target, randomness: random.Random) -> Changed:
        rows = target.raw.execute(
            "SELECT rowid, position, salt, value FROM personal WHERE log_id = ?", (_id(target.raw, "IND"),)
        ).fetchall()
        row = randomness.choice(rows)
        change(target, row, randomness)
        return Changed("IND", row[1])

    return changed


KINDS["personal-value"] = _personal(
    lambda target, row, randomness: _run(
        target,
        "UPDATE personal SET value = ? WHERE rowid = ?",
        flipped(row[3], randomness),
        row[0],  # type: ignore[arg-type]
    )
)
KINDS["personal-salt"] = _personal(
    lambda target, row, randomness: _run(
        target,
        "UPDATE personal SET salt = ? WHERE rowid = ?",
        flipped(row[2], randomness),
        row[0],  # type: ignore[arg-type]
    )
)
KINDS["personal-deleted"] = _personal(lambda target, row, _: _run(target, "DELETE FROM personal WHERE rowid = ?", row[0]))
KINDS["personal-moved"] = _personal(
    lambda target, row, randomness: _run(
        target,
        "UPDATE personal SET position = ? WHERE rowid = ?",
        randomness.choice([place for place in range(12) if place != row[1]]),
        row[0],
    )
)
