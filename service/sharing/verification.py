"""`entente log verify`: everything that can be derived is derived again, and the first thing that differs is named.

Each log by itself (`service.releaselog.verify`: leaves, seals, records, columns, trees, tiles, checkpoints), and then what
stands beside the logs and is named in them: copies and files by digest, bundles by digest, labels by digest. All of it is read
on one view of the database, so that a service at work does not disturb it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from service.errors import ProofError
from service.policy import digest_of
from service.releaselog.facts import Fact
from service.releaselog.personal import SALT_BYTES, commitment, commitments, members
from service.releaselog.reviews import Review, State
from service.releaselog.verify import StoredCheckpoint, StoredEntry, StoredFact, StoredHead, StoredItem, StoredPruned, Verdict, verify_log
from service.sharing import erasure, holds, reviews
from service.sharing.installation import Installation
from service.sharing.ledger import OFFICERS
from service.sharing.pruning import verify_pruned
from service.sharing.root_verification import Problem, sizes_under_roots, verify_roots
from service.store import Connection, catalogue, facts, integrity, logs, policies, prunes
from service.store import holds as stored_holds
from service.store import personal as personal_values
from service.store import reviews as stored_reviews
from service.store.logs import Head, StoredRow

_STEP: Final = 1000


class LogFound(NamedTuple):
    """A log as it was found: its entries, the root (hex) derived from them, and of how many only the hashes were there to read."""

    name: str
    size: int
    root: str
    pruned: int


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What was found."""

    logs: tuple[LogFound, ...]
    problem: Problem | None

    @property
    def ok(self) -> bool:
        return self.problem is None


def verify_all(installation: Installation) -> VerificationReport:
    """Verify every log, and what they name. Stops at the first thing that is wrong."""
    found: list[LogFound] = []
    derived: dict[int, Mapping[int, bytes]] = {}
    with installation.database.reading() as connection:
        problem = _verify_kinds(connection) or verify_pruned(connection)
        if problem is not None:
            return VerificationReport((), problem)
        installation.ledger.refresh(connection)
        for head in logs.heads(connection):
            try:
                verdict = _verify_one(installation, connection, head)
            except ProofError as error:
                # Its origin line is stored too, and no key can be named after this one.
                return VerificationReport(tuple(found), Problem(head.name, None, "checkpoint", str(error)))
            derived[head.id] = verdict.roots
            pruned = sum(tile.stop - tile.start for tile in prunes.tiles(connection, head.id))
            found.append(LogFound(head.name, verdict.size, verdict.root.hex(), pruned))
            if verdict.fault is not None:
                fault = verdict.fault
                message = f"expected {fault.expected}, found {fault.found}"
                return VerificationReport(tuple(found), Problem(head.name, fault.index, str(fault.code), message))
        problem = (
            _verify_strays(connection)
            or verify_roots(connection, installation.ledger, derived)
            or _verify_contents(installation, connection)
        )
    return VerificationReport(tuple(found), problem)


def _verify_kinds(connection: Connection) -> Problem | None:
    """Every value is of its column's kind, so that what follows can read it."""
    foreign = integrity.foreign_value(connection)
    if foreign is None:
        return None
    message = f"{foreign.where}: a value of kind `{foreign.kind}`, expected {foreign.expected.replace(chr(39), '`')}"
    return Problem(foreign.log, foreign.position, "kind", message)


def _verify_strays(connection: Connection) -> Problem | None:
    """Nothing lies beside the logs: an entry in no tree would be found by its event id as if it were in one."""
    stray = integrity.stray(connection)
    if stray is None:
        return None
    return Problem(stray.log or "logs", stray.position, "stray", f"{stray.what} that is in no log")


def _verify_one(installation: Installation, connection: Connection, head: Head) -> Verdict:
    def tiles(level: int, index: int) -> Sequence[bytes] | None:
        return logs.tile_row(connection, head.id, level, index) or None

    stored = StoredHead(head.name, head.size, head.frontier, head.root, head.at, head.checkpoint)
    kept = (StoredCheckpoint(size, note) for size, note in logs.kept_checkpoints(connection, head.id))
    return verify_log(
        _entries(connection, head),
        stored,
        kept,
        tiles,
        tile_count=logs.tile_count(connection, head.id),
        keys=installation.ledger.periods(head.origin),
        origin=head.origin,
        sizes=sizes_under_roots(connection, head),
    )


def _entries(connection: Connection, head: Head) -> Iterator[StoredEntry | StoredPruned]:
    """The entries of a log, and where a tile of them was pruned, what stays of it."""
    start = 0
    for tile in prunes.tiles(connection, head.id):
        yield from _stored(connection, head, start, tile.start)
        yield StoredPruned(tile, logs.tile_row(connection, head.id, 0, tile.index))
        start = tile.stop
    yield from _stored(connection, head, start, None)


def _stored(connection: Connection, head: Head, start: int, stop: int | None) -> Iterator[StoredEntry]:
    items: dict[int, list[tuple[str, int, int]]] = {}
    said: dict[int, list[tuple[Fact, int]]] = {}
    names, mark = facts.names(connection), facts.marks(connection).get(head.id, 0)
    read_to = 0
    for row in logs.entries(connection, head.id, start=start, stop=stop):
        if row.position >= read_to:
            read_to = row.position + _STEP
            items = logs.items_by_position(connection, head.id, row.position, read_to)
            said = facts.by_position(connection, head.id, row.position, read_to, names=names)
        yield StoredEntry(
            row.position,
            row.leaf,
            row.leaf_hash,
            row.record,
            row.nonce,
            {"event_id": row.event_id, "at": row.at, "type": row.type, "client": row.client, "result": row.result},
            tuple(StoredItem(*item) for item in items.get(row.position, ())),
            # Beyond the mark there are none yet, and any that are there are compared all the same.
            tuple(StoredFact(*fact) for fact in said.get(row.position, ())) if row.position < mark or row.position in said else None,
        )


def _verify_contents(installation: Installation, connection: Connection) -> Problem | None:
    """What the logs name by digest is there, and is what its digest says."""
    for sha256, body in catalogue.copies(connection):
        if hashlib.sha256(body).digest() != sha256:
            return Problem("copies", None, "copy", f"the copy kept as `{sha256.hex()}` has other bytes")
    for label_id, label_sha256, label in catalogue.labels_with_digests(connection):
        if hashlib.sha256(label.encode("utf-8")).digest() != label_sha256:
            return Problem("labels", None, "label", f"label {label_id} is not what its digest `{label_sha256.hex()}` says")
    for sha256, size in catalogue.files(connection):
        hashed, length = hashlib.sha256(), 0
        if not installation.files.holds(sha256):
            return Problem("files", None, "file", f"file `{sha256.hex()}` is missing from the data folder")
        for block in installation.files.blocks(sha256):
            hashed.update(block)
            length += len(block)
        if hashed.digest() != sha256 or length != size:
            return Problem("files", None, "file", f"file `{sha256.hex()}` has other bytes")
    for bundle in policies.archived_digests(connection):
        if digest_of(policies.archived_bundle(connection, bundle) or {}) != bundle:
            return Problem("bundles", None, "bundle", f"the bundle archived as `{bundle}` has other bytes")
    return _verify_named(connection) or _verify_marks(connection) or _verify_reviews(connection) or _verify_holds(connection)


class _Personal:
    """Whether what records commit to is there, is what they commit to, and is gone only where an erasure says so.

    A later entry of a log may commit to what an earlier one does: the value stands once, beside the first.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection
        self._erased: Final = erasure.erased(connection)
        self._read_to: dict[int, int] = {}
        self._rows: dict[int, list[personal_values.PersonalRow]] = {}

    def wrong(self, row: StoredRow, record: object) -> str | None:
        """What is wrong at an entry; entries come in the order of their log."""
        if row.position >= self._read_to.get(row.log_id, 0):
            self._read_to[row.log_id] = row.position + _STEP
            self._rows = personal_values.of_entries(self._connection, row.log_id, row.position, row.position + _STEP)
        kinds = members(record) if commitments(row.record) else {}
        here = {one.commitment.hex(): one for one in self._rows.get(row.position, ())}
        for name, one in here.items():
            if name not in kinds:
                return f"a value is kept beside it under commitment `{name}`, which its record does not hold"
            if len(one.salt) != SALT_BYTES or commitment(one.salt, one.value) != one.commitment:
                return f"the value and salt kept for commitment `{name}` make another one"
            if one.kind != kinds[name]:
                return f"the value kept for commitment `{name}` is said to be of kind `{one.kind[:64]}`, expected `{kinds[name]}`"
        absent = kinds.keys() - here.keys()
        elsewhere = personal_values.find(self._connection, [bytes.fromhex(name) for name in absent]) if absent else {}
        for name in sorted(kinds):
            there = here.get(name) or elsewhere.get(bytes.fromhex(name))
            if name in self._erased:
                if there is not None:
                    return f"the value of commitment `{name}` was erased on record, and is there again"
            elif there is None:
                return f"the value of commitment `{name}` is not there, and no entry says that it was erased"
            elif there.log_id != row.log_id or there.position > row.position:
                return f"the value of commitment `{name}` is kept beside another entry"
        return None


def _verify_marks(connection: Connection) -> Problem | None:
    """No log is said to have facts of entries that are yet to come: they would never get theirs."""
    marks = facts.marks(connection)
    for head in logs.heads(connection):
        if marks.get(head.id, 0) > head.size:
            return Problem(head.name, None, "facts", f"expected facts of at most {head.size} entries, found a mark at {marks[head.id]}")
    return None


def _verify_reviews(connection: Connection) -> Problem | None:
    """Every review is where its marks bring it, and none has a mark that is not on record, or lacks one that is."""
    states, marks, wrong = reviews.derived(connection)
    if wrong is not None:
        return Problem(OFFICERS, wrong, "review", "a mark that may not follow those before it, or says otherwise where it leads")
    ids = {head.id: head.name for head in logs.heads(connection)}
    kept_marks = [(ids.get(log_id, str(log_id)), index, mark) for log_id, index, mark in stored_reviews.all_marks(connection)]
    if sorted(kept_marks) != sorted(marks):
        log, index, mark = min(set(kept_marks) ^ set(marks))
        return Problem(log, index, "review", f"the mark at position {mark} of `officers` is {_either((log, index, mark) in marks)}")
    kept = {
        (ids.get(log_id, str(log_id)), index): Review(State(state), closer)
        for log_id, index, timely, state, closer in stored_reviews.all_reviews(connection)
        if timely and state in set(State)
    }
    for place in sorted(kept.keys() | states.keys()):
        if kept.get(place) != states.get(place):
            told = states.get(place)
            expected = "none" if told is None else f"`{told.state}`"
            return Problem(*place, "review", f"expected {expected} from its marks, found another state or time")
    return None


def _verify_holds(connection: Connection) -> Problem | None:
    """Every hold is what its leaves say: one that was taken out or narrowed without a leaf would let evidence go."""
    told, wrong = holds.derived(connection)
    if wrong is not None:
        return Problem(OFFICERS, wrong, "hold", "a hold that may not follow those before it")
    kept = {hold.id: hold for hold in stored_holds.every(connection)}
    for number in sorted(told.keys() | kept.keys()):
        if number not in kept:
            return Problem("holds", None, "hold", f"hold {number} is on record, but not kept")
        if number not in told:
            return Problem("holds", None, "hold", f"hold {number} is kept, but not on record")
        if told[number] != kept[number]:
            return Problem("holds", None, "hold", f"hold {number} is not what its leaves in `officers` say")
    return None


def _either(on_record: bool) -> str:
    return "on record, but not counted" if on_record else "counted, but not on record"


def _verify_named(connection: Connection) -> Problem | None:
    """Every copy, file and bundle that an entry names is kept."""
    copies, files = catalogue.copy_digests(connection), catalogue.file_digests(connection)
    bundles = set(policies.archived_digests(connection))
    personal = _Personal(connection)
    for head in logs.heads(connection):
        for row in logs.entries(connection, head.id):
            face, record = json.loads(row.leaf), json.loads(row.record)
            wrong = personal.wrong(row, record)
            if wrong is not None:
                return Problem(head.name, row.position, "personal", wrong)
            kept = files if face.get("portion") is not None else copies
            for item in face["items"]:
                digest = item.get("copy_sha256")
                if digest is not None and bytes.fromhex(digest) not in kept:
                    return Problem(head.name, row.position, "copy", f"copy `{digest}` of item `{item['id']}` is not kept")
            bundle = record.get("bundle")
            if bundle is not None and bundle not in bundles:
                return Problem(head.name, row.position, "bundle", f"bundle `{bundle}` is not in the archive")
    return None
