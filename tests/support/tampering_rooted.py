"""Tampering where logs are under roots, a witness signs these, a mark is kept beside the data folder, and a key was retired.

The same installation as in `tests.support.tampering`, smaller: what finds a change here is outside of the database, or ties its logs
together. A change returns what a partner is shown, where that itself was changed, and an `undo` of what is not in the database.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from service.cli.witness import WitnessFolder
from service.errors import Broken, NotVisible, ProofError
from service.releaselog import offline_verifier
from service.releaselog.checkpoint import Checkpoint, open_checkpoint, read_checkpoint, sign_checkpoint
from service.releaselog.cosign import Cosigner
from service.releaselog.heads import RootProof, heads_root, slot_hashes, slot_path, slot_salt, verify_root_proof
from service.releaselog.merkle import inclusion_proof, leaf_hash, root
from service.releaselog.notes import Signer, read_note
from service.releaselog.receipt import Proof, read_proof, write_proof
from service.releaselog.reviews import Mark
from service.sharing import reviews
from service.sharing.acts import Actor
from service.sharing.highwater import Mark as Highwater
from service.sharing.highwater import Reached
from service.sharing.rootlog import rooted, secret_of
from service.sharing.rotation import rotate
from service.sharing.witnessing import Witnessing, add_witness
from service.store import logs, roots
from tests.releaselog.test_partial_trees import tiles_of
from tests.support.faults import MACHINE_HERE, Small
from tests.support.interop_cases import flipped
from tests.support.tampering import (
    Rewritten,
    Target,
    by_checkpoint,
    by_receipt,
    by_verify,
    entries_of,
    real_signer,
    target,
    write_history,
)

LOGS: Final = ("GBR", "JPN")
_ROUNDS: Final = 9
_URL: Final = "http://witness.test/w1"
_NAME: Final = "witness.example/w1"


@dataclass(slots=True)
class Rooted:
    """The target, the witness and what it remembers, the mark, and the root proofs that partners keep."""

    target: Target
    witness: WitnessFolder
    witness_file: Path
    witness_state: bytes
    witness_vkey: str
    mark: bytes
    mark_of_yesterday: bytes
    proofs: dict[str, dict[str, Any]]
    root_origin: str
    root_key: str
    folder: Path

    @property
    def mark_file(self) -> Path:
        return self.target.installation.highwater.path

    def restore(self) -> None:
        """Everything as it was."""
        self.target.restore()
        self.witness_file.write_bytes(self.witness_state)
        self.mark_file.write_bytes(self.mark)


def rooted_target(folder: Path) -> Rooted:
    """Set it up: a rotation first, then partners, with a root and a witness's signature after each round."""
    folder.mkdir()
    witness = WitnessFolder(folder / "witness")
    vkey = witness.create(_NAME)
    marks: list[bytes] = []

    def before(world: Small) -> None:
        installation = world.installation
        rotate(installation.acts, installation.ledger, installation.settings.data / "keys", MACHINE_HERE, overlap=timedelta(0))
        add_witness(installation.acts, MACHINE_HERE, name="inspector", url=_URL, vkey=vkey)

    def after_round(world: Small, turn: int) -> None:
        installation = world.installation
        with installation.database.reading() as connection:
            events = [row.event_id for row in logs.entries(connection, logs.head(connection, "JPN").id)]  # type: ignore[union-attr]  # asked by now
        reviews.mark(installation.acts, Actor("c_auditor", "/v1/audit/reviews"), events[-1], Mark.QUESTIONED, note="why")
        # A root in which nothing is new, too.
        for _ in range(2):
            assert installation.rootlog.append() is not None
            if turn == 0:
                witness.trust(_root_key(world))
            _submit(world.installation, witness)
        installation.highwater.keep()
        marks.append(installation.highwater.path.read_bytes())

    made = target(folder / "data", rounds=_ROUNDS, before=before, after_round=after_round)
    with made.installation.database.reading() as connection:
        proofs = {log: rooted(connection, made.installation.ledger, log) for log in LOGS}
    file = folder / "witness" / "witness.json"
    origin = proofs["JPN"]["root"]["origin"]
    return Rooted(
        made, witness, file, file.read_bytes(), vkey, marks[-1], marks[_ROUNDS // 2], proofs, origin, proofs["JPN"]["root"]["key"], folder
    )  # fmt: skip


def _root_key(world: Small) -> str:
    with world.installation.database.reading() as connection:
        origin = world.installation.rootlog.origin(connection)
    assert origin is not None
    return world.installation.ledger.vkey(origin)


def _submit(installation: Any, witness: WitnessFolder) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        said = witness.answer(request.read(), time=int(installation.clock().timestamp()))
        return httpx.Response(said.status, content=said.body.encode(), headers={"content-type": said.media_type})

    transport = httpx.MockTransport(answer)
    Witnessing(database=installation.database, http=lambda: httpx.Client(transport=transport), clock=installation.clock).submit()


# --- means --------------------------------------------------------------------------------------------------------------


def by_witness(rooted_: Rooted) -> str | None:
    """The newest root is sent to the witness, as it is every minute; why nothing is signed from then on."""
    installation = rooted_.target.installation
    _submit(installation, rooted_.witness)
    with installation.database.reading() as connection:
        return roots.signing(connection).halted_why


def by_mark(rooted_: Rooted) -> str | None:
    """The mark is compared with the database, as at every start and each minute."""
    highwater = rooted_.target.installation.highwater
    try:
        return "the mark is missing" if highwater.missing() else next((str(one) for one in highwater.shortfalls()), None)
    except Broken as error:
        return str(error)


def by_root_proof(rooted_: Rooted, log: str) -> str | None:
    """A partner asks for its root proof again, and compares it with the one it keeps."""
    target_, held = rooted_.target, rooted_.proofs[log]
    try:
        with target_.installation.database.reading() as connection:
            fresh = RootProof.from_json(rooted(connection, target_.installation.ledger, log))
        proven = verify_root_proof(
            fresh, vkey=target_.keys[log], origin=target_.origins[log], root_vkey=rooted_.root_key, root_origin=rooted_.root_origin
        )
    except (NotVisible, Broken, ProofError) as error:
        return f"no root proof: {error or 'not found'}"
    kept = open_checkpoint(read_proof(held["proof"]).checkpoint, rooted_.root_key, rooted_.root_origin)
    if proven.root.size < kept.size or (proven.root.size == kept.size and proven.root.root != kept.root):
        return "the root log is not that of the root proof that was kept"
    return by_checkpoint(target_, log, (read_checkpoint(read_note(held["head"])[0]).size, held["head"]))


def by_offline(rooted_: Rooted, log: str, shown: Mapping[str, Any] | None) -> str | None:
    """What a partner is shown as its root proof, under the offline verifier, with keys that were known before; why it is refused."""
    if shown is None:
        try:
            with rooted_.target.installation.database.reading() as connection:
                shown = rooted(connection, rooted_.target.installation.ledger, log)
        except (NotVisible, Broken, ProofError) as error:
            return f"no root proof: {error or 'not found'}"
    path = rooted_.folder / "shown.json"
    path.write_text(json.dumps(shown))
    said = io.StringIO()
    keys = [part for key in (rooted_.target.keys[log], rooted_.root_key) for part in ("--key", key)]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = offline_verifier.main(["root", str(path), *keys, "--witness", rooted_.witness_vkey])
    return None if code == offline_verifier.HOLDS else said.getvalue()


# --- kinds --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Changed:
    """Whose log it concerns, the entry of which somebody holds a receipt, and what is shown in place of a root proof."""

    log: str
    index: int | None = None
    shown: Mapping[str, Any] | None = None


Change = Callable[[Rooted, random.Random], Changed]
KINDS: Final[dict[str, Change]] = {}


def _kind(name: str) -> Callable[[Change], Change]:
    def enter(change: Change) -> Change:
        KINDS[name] = change
        return change

    return enter


def _id(target_: Target, log: str) -> int:
    found: int = target_.raw.execute("SELECT id FROM log WHERE name = ?", (log,)).fetchone()[0]
    return found


def _place(rooted_: Rooted, randomness: random.Random) -> tuple[str, int]:
    """A partner's log, and an entry that was under the first root with entries of it."""
    log = randomness.choice(LOGS)
    return log, randomness.randrange(rooted_.target.size(log) // 2)


@_kind("log-deleted-under-roots")
def _log_deleted(rooted_: Rooted, randomness: random.Random) -> Changed:
    log, index = _place(rooted_, randomness)
    raw, log_id = rooted_.target.raw, _id(rooted_.target, log)
    for table in ("log_entry", "log_item", "log_fact", "log_tile", "log_checkpoint", "fact_mark", "review", "review_mark"):
        raw.execute(f"DELETE FROM {table} WHERE log_id = ?", (log_id,))
    raw.execute("DELETE FROM log WHERE id = ?", (log_id,))
    return Changed(log, index)


@_kind("log-deleted-with-its-heads")
def _log_and_heads_deleted(rooted_: Rooted, randomness: random.Random) -> Changed:
    changed = _log_deleted(rooted_, randomness)
    raw = rooted_.target.raw
    raw.execute("DELETE FROM root_head WHERE log_id NOT IN (SELECT id FROM log)")
    return changed


def _rewrite(rooted_: Rooted, randomness: random.Random, signer: Callable[[str], Signer] | None = None) -> Changed:
    target_ = rooted_.target
    log, index = _place(rooted_, randomness)
    entries = entries_of(target_.raw, log)
    entries[index].face(client=f"c_{randomness.getrandbits(32):x}")
    write_history(target_, log, entries, signer=None if signer is None else signer(target_.origins[log]))
    return Changed(log, index)


KINDS["history-rewritten-under-roots"] = _rewrite


def _retired(rooted_: Rooted) -> Callable[[str], Signer]:
    key = (rooted_.target.data / "keys" / "log.key").read_bytes()
    return lambda origin: Signer(origin, key)


@_kind("history-signed-by-a-retired-key")
def _by_retired(rooted_: Rooted, randomness: random.Random) -> Changed:
    return _rewrite(rooted_, randomness, _retired(rooted_))


@_kind("head-signed-by-a-retired-key")
def _head_by_retired(rooted_: Rooted, randomness: random.Random) -> Changed:
    """What the log says is true; who signs it may not sign any more."""
    return _head_by(rooted_, randomness, _retired(rooted_))


@_kind("head-signed-by-a-foreign-key-under-roots")
def _head_by_foreign(rooted_: Rooted, randomness: random.Random) -> Changed:
    private = randomness.randbytes(32)
    return _head_by(rooted_, randomness, lambda origin: Signer(origin, private))


def _head_by(rooted_: Rooted, randomness: random.Random, signer: Callable[[str], Signer]) -> Changed:
    log, _ = _place(rooted_, randomness)
    raw = rooted_.target.raw
    text, _ = read_note(raw.execute("SELECT checkpoint FROM log WHERE name = ?", (log,)).fetchone()[0])
    raw.execute("UPDATE log SET checkpoint = ? WHERE name = ?", (signer(rooted_.target.origins[log]).sign(text), log))
    return Changed(log)


@_kind("root-signed-by-a-foreign-key")
def _root_by_foreign(rooted_: Rooted, randomness: random.Random) -> Changed:
    raw = rooted_.target.raw
    text, _ = read_note(raw.execute("SELECT checkpoint FROM log WHERE name = 'root'").fetchone()[0])
    raw.execute("UPDATE log SET checkpoint = ? WHERE name = 'root'", (Signer(rooted_.root_origin, randomness.randbytes(32)).sign(text),))
    return Changed(randomness.choice(LOGS))


@_kind("history-and-roots-rewritten")
def _all_rewritten(rooted_: Rooted, randomness: random.Random) -> Changed:
    """Everything in the database, with the real key: a log, the heads that roots hold, the roots. No witness's signature fits any more."""
    changed = _rewrite(rooted_, randomness)
    target_ = rooted_.target
    raw, log = target_.raw, changed.log
    signer = real_signer(target_, target_.origins[log])
    hashes = [leaf_hash(entry.leaf) for entry in entries_of(raw, log)]
    for position, note in raw.execute("SELECT position, note FROM root_head WHERE log_id = ?", (_id(target_, log),)).fetchall():
        size = read_checkpoint(read_note(note)[0]).size
        again = sign_checkpoint(Checkpoint(target_.origins[log], size, root(hashes[:size])), signer)
        raw.execute("UPDATE root_head SET note = ? WHERE log_id = ? AND position = ?", (again, _id(target_, log), position))
    write_history(target_, "root", _roots_again(target_))
    raw.execute("DELETE FROM cosignature")
    raw.execute("UPDATE signing SET witnessed_at = 0")
    return changed


def _roots_again(target_: Target) -> list[Rewritten]:
    """The roots over the heads that are kept now, by the secrets that are in their records."""
    slots = dict(target_.raw.execute("SELECT id, slot FROM log"))
    kept = target_.raw.execute("SELECT position, log_id, note FROM root_head ORDER BY position").fetchall()
    entries, notes = entries_of(target_.raw, "root"), {}
    for entry in entries:
        notes |= {slots[log_id]: note for position, log_id, note in kept if position == entry.position}
        entry.face(heads_root=heads_root(secret_of(entry.record), notes).hex())
    return entries


@_kind("history-roots-and-mark-rewritten")
def _mark_too(rooted_: Rooted, randomness: random.Random) -> Changed:
    changed = _all_rewritten(rooted_, randomness)
    mark = Highwater.from_bytes(rooted_.mark)
    now = {name: Reached(size, bytes(value)) for name, size, value in rooted_.target.raw.execute("SELECT name, size, root FROM log")}
    rooted_.mark_file.write_bytes(Highwater(mark.instance, mark.act, now).to_bytes())
    return changed


@_kind("yesterdays-database-under-roots")
def _yesterday(rooted_: Rooted, randomness: random.Random) -> Changed:
    target_ = rooted_.target
    target_.yesterday.backup(target_.raw)
    log = randomness.choice(LOGS)
    return Changed(log, randomness.randrange(target_.yesterday_sizes[log], target_.size(log)))


@_kind("yesterdays-database-and-mark")
def _yesterday_and_mark(rooted_: Rooted, randomness: random.Random) -> Changed:
    rooted_.mark_file.write_bytes(rooted_.mark_of_yesterday)
    return _yesterday(rooted_, randomness)


@_kind("yesterdays-database-without-mark")
def _yesterday_without(rooted_: Rooted, randomness: random.Random) -> Changed:
    rooted_.mark_file.unlink()
    return _yesterday(rooted_, randomness)


@_kind("mark-deleted")
def _mark_deleted(rooted_: Rooted, randomness: random.Random) -> Changed:
    rooted_.mark_file.unlink()
    return Changed(randomness.choice(LOGS))


@_kind("mark-of-another-history")
def _mark_changed(rooted_: Rooted, randomness: random.Random) -> Changed:
    mark = Highwater.from_bytes(rooted_.mark)
    name, reached = randomness.choice([(name, one) for name, one in sorted(mark.logs.items()) if one.size])
    changed = Reached(reached.size, flipped(reached.root, randomness))
    rooted_.mark_file.write_bytes(Highwater(mark.instance, mark.act, {**mark.logs, name: changed}).to_bytes())
    return Changed(randomness.choice(LOGS))


@_kind("root-head-of-another-root")
def _head_moved(rooted_: Rooted, randomness: random.Random) -> Changed:
    """The head that a root holds, replaced by the one that an earlier root holds."""
    target_ = rooted_.target
    log = randomness.choice(LOGS)
    rows = target_.raw.execute("SELECT position, note FROM root_head WHERE log_id = ? ORDER BY position", (_id(target_, log),)).fetchall()
    number = randomness.randrange(1, len(rows))
    values = (rows[number - 1][1], _id(target_, log), rows[number][0])
    target_.raw.execute("UPDATE root_head SET note = ? WHERE log_id = ? AND position = ?", values)
    return Changed(log)


@_kind("root-head-deleted")
def _head_deleted(rooted_: Rooted, randomness: random.Random) -> Changed:
    raw = rooted_.target.raw
    log = randomness.choice(LOGS)
    rows = raw.execute("SELECT position FROM root_head WHERE log_id = ?", (_id(rooted_.target, log),)).fetchall()
    raw.execute("DELETE FROM root_head WHERE log_id = ? AND position = ?", (_id(rooted_.target, log), *randomness.choice(rows)))
    return Changed(log)


@_kind("root-secret-changed")
def _secret(rooted_: Rooted, randomness: random.Random) -> Changed:
    """Sealed, hashed and signed again with the real key: the record of a root says another secret than its tree was made with."""
    target_ = rooted_.target
    entries = entries_of(target_.raw, "root")
    entry = randomness.choice(entries)
    details = json.loads(entry.record)["details"]
    entry.seal_again(details={**details, "secret": flipped(bytes.fromhex(details["secret"]), randomness).hex()})
    write_history(target_, "root", entries)
    return Changed(randomness.choice(LOGS))


# --- witnesses' signatures ----------------------------------------------------------------------------------------------


def _newest_line(rooted_: Rooted) -> tuple[int, str]:
    found: tuple[int, str] = rooted_.target.raw.execute("SELECT size, line FROM cosignature ORDER BY size DESC").fetchone()
    return found


def _forged(line: str, randomness: random.Random) -> str:
    """The time, or the signature after it, with a bit changed; the key id in front is left."""
    before, _, encoded = line.rstrip("\n").rpartition(" ")
    signature = base64.b64decode(encoded)
    return f"{before} {base64.b64encode(signature[:4] + flipped(signature[4:], randomness)).decode()}\n"


def _foreign(note: str, randomness: random.Random) -> str:
    return Cosigner(_NAME, randomness.randbytes(32)).line(read_note(note)[0], time=randomness.randrange(1 << 31))


def _set_line(rooted_: Rooted, size: int, line: str, randomness: random.Random) -> Changed:
    rooted_.target.raw.execute("UPDATE cosignature SET line = ? WHERE size = ?", (line, size))
    return Changed(randomness.choice(LOGS))


@_kind("cosignature-forged")
def _cosignature_forged(rooted_: Rooted, randomness: random.Random) -> Changed:
    size, line = _newest_line(rooted_)
    return _set_line(rooted_, size, _forged(line, randomness), randomness)


@_kind("cosignature-by-a-foreign-key")
def _cosignature_foreign(rooted_: Rooted, randomness: random.Random) -> Changed:
    size, _ = _newest_line(rooted_)
    note = rooted_.target.raw.execute("SELECT checkpoint FROM log WHERE name = 'root'").fetchone()[0]
    return _set_line(rooted_, size, _foreign(note, randomness), randomness)


@_kind("cosignature-of-another-checkpoint")
def _cosignature_moved(rooted_: Rooted, randomness: random.Random) -> Changed:
    size, _ = _newest_line(rooted_)
    lines = rooted_.target.raw.execute("SELECT line FROM cosignature WHERE size < ?", (size,)).fetchall()
    return _set_line(rooted_, size, randomness.choice(lines)[0], randomness)


def _note(rooted_: Rooted, randomness: random.Random, change: Callable[[str], str]) -> Changed:
    """A root proof with another checkpoint of the root log."""
    log = randomness.choice(LOGS)
    proof = rooted_.proofs[log]
    read = read_proof(proof["proof"])
    return Changed(log, shown={**proof, "proof": write_proof(Proof(read.index, read.hashes, change(read.checkpoint)))})


@_kind("shown-cosignature-forged")
def _shown_forged(rooted_: Rooted, randomness: random.Random) -> Changed:
    _, line = _newest_line(rooted_)
    return _note(rooted_, randomness, lambda note: note.replace(line, _forged(line, randomness)))


@_kind("shown-cosignature-by-a-foreign-key")
def _shown_foreign(rooted_: Rooted, randomness: random.Random) -> Changed:
    _, line = _newest_line(rooted_)
    return _note(rooted_, randomness, lambda note: note.replace(line, _foreign(note, randomness)))


@_kind("shown-cosigned-checkpoint-exchanged")
def _shown_exchanged(rooted_: Rooted, randomness: random.Random) -> Changed:
    """The witness signed it, and it is of an earlier root: this entry is in none of its trees."""
    raw = rooted_.target.raw
    size, _ = _newest_line(rooted_)
    kept = raw.execute(
        "SELECT c.note, s.line FROM log_checkpoint c JOIN cosignature s ON s.size = c.size "
        "WHERE c.log_id = (SELECT id FROM log WHERE name = 'root') AND c.size < ?",
        (size,),
    ).fetchall()
    note, line = randomness.choice(kept)
    return _note(rooted_, randomness, lambda _: note + line)


def _fork(rooted_: Rooted, randomness: random.Random, lines: Callable[[], str]) -> Changed:
    """A partner is shown a history of its own under a root of its own, whole, signed with the real keys; the database is as it was."""
    target_ = rooted_.target
    log, index = _place(rooted_, randomness)
    entries = entries_of(target_.raw, log)
    entries[index].face(client=f"c_{randomness.getrandbits(32):x}")
    head = rooted_.proofs[log]["head"]
    size = read_checkpoint(read_note(head)[0]).size
    forked = Checkpoint(target_.origins[log], size, root([leaf_hash(entry.leaf) for entry in entries[:size]]))
    note = sign_checkpoint(forked, real_signer(target_, forked.origin))
    slot, secret = rooted_.proofs[log]["slot"], randomness.randbytes(32)
    hashed = slot_hashes(secret, {slot: note})
    under = entries_of(target_.raw, "root")
    under[-1].face(heads_root=root(hashed).hex())
    hashes = [leaf_hash(entry.leaf) for entry in under]
    signed = sign_checkpoint(Checkpoint(rooted_.root_origin, len(hashes), root(hashes)), real_signer(target_, rooted_.root_origin))
    last = len(hashes) - 1
    proof = Proof(last, inclusion_proof(last, len(hashes), tiles_of(hashes)), signed + lines())
    shown = RootProof(slot, note, slot_salt(secret, slot), slot_path(hashed, slot), under[-1].leaf.decode(), write_proof(proof))
    return Changed(log, shown={**rooted_.proofs[log], **shown.to_json()})


@_kind("fork-shown-to-one-under-a-root")
def _fork_unsigned(rooted_: Rooted, randomness: random.Random) -> Changed:
    return _fork(rooted_, randomness, lambda: "")


@_kind("fork-shown-to-one-with-the-witnesss-signature")
def _fork_signed(rooted_: Rooted, randomness: random.Random) -> Changed:
    return _fork(rooted_, randomness, lambda: _newest_line(rooted_)[1])


# --- reviews ------------------------------------------------------------------------------------------------------------


@_kind("review-mark-forged")
def _mark_forged(rooted_: Rooted, randomness: random.Random) -> Changed:
    """An entry is said to be reviewed, and no leaf says so."""
    target_ = rooted_.target
    log, index = _place(rooted_, randomness)
    (at,) = target_.raw.execute("SELECT at FROM log_entry WHERE log_id = ? AND position = ?", (_id(target_, log), index)).fetchone()
    target_.raw.execute(
        "INSERT OR REPLACE INTO review (log_id, position, at, state, closer) VALUES (?, ?, ?, 'reviewed', NULL)",
        (_id(target_, log), index, at),
    )
    officers = randomness.randrange(target_.size("officers"))
    target_.raw.execute("INSERT INTO review_mark (log_id, position, mark_position) VALUES (?, ?, ?)", (_id(target_, log), index, officers))
    return Changed(log)


@_kind("review-state-edited")
def _state_edited(rooted_: Rooted, randomness: random.Random) -> Changed:
    raw = rooted_.target.raw
    (row,) = randomness.choice(raw.execute("SELECT rowid FROM review").fetchall())
    raw.execute("UPDATE review SET state = 'reviewed' WHERE rowid = ?", (row,))
    return Changed("JPN")


@_kind("review-mark-deleted")
def _mark_gone(rooted_: Rooted, randomness: random.Random) -> Changed:
    raw = rooted_.target.raw
    (row,) = randomness.choice(raw.execute("SELECT rowid FROM review_mark").fetchall())
    raw.execute("DELETE FROM review_mark WHERE rowid = ?", (row,))
    return Changed("JPN")


def look(rooted_: Rooted, changed: Changed) -> dict[str, str | None]:
    """What each means says; the witness last, as its word stops everything."""
    target_ = rooted_.target
    problem = by_verify(target_)
    receipt = None if changed.index is None else by_receipt(target_, target_.receipts[changed.log][changed.index])
    return {
        "verify": None if problem is None else problem.code,
        "receipt": receipt,
        "root": by_root_proof(rooted_, changed.log),
        "offline": by_offline(rooted_, changed.log, changed.shown),
        "mark": by_mark(rooted_),
        "witness": by_witness(rooted_),
    }
