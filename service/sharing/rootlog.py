"""The root log: on a clock, whether anything happened or not, the heads of all logs go under one root.

1. *Read.* On a reader's view, all heads as they are at one moment, and the root log's own. Releases go on meanwhile.
2. *Compute.* A secret of this root, the salts of all slots, the tree (`service.releaselog.heads`).
3. *Append.* In a short transaction that locks the root log alone: unless another worker was faster, the root's entry, and the heads
   that changed since the root before, so that every root can be opened later.

The root log's own slot stays unused in its tree: its head is what witnesses sign. Its size says how much time has passed, and
nothing about anybody; so a partner may see it.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from service.errors import Broken, NotVisible, ServiceError
from service.releaselog.checkpoint import read_checkpoint
from service.releaselog.heads import SECRET_BYTES, RootProof, heads_root, slot_hashes, slot_path, slot_salt
from service.releaselog.leaf import HEADS, canonical, parse_canonical, parse_leaf
from service.releaselog.merkle import consistency_proof, inclusion_proof
from service.releaselog.notes import read_note
from service.releaselog.receipt import Proof, write_proof
from service.settings import LOG_SLOTS
from service.sharing.acts import MACHINE
from service.sharing.gate import Clock
from service.sharing.ledger import ROOT, Draft, Entry, Ledger
from service.store import Connection, Database, logs, policies, roots
from service.store.logs import Head, StoredRow
from service.store.times import micros

log = logging.getLogger(__name__)

CLOCK_ROUTE: Final = "clock"
_LAST_TRIES: Final = 64
"""How often a worker that ends tries for a root of its own; others end at the same time, and each has one."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A root with all its slots: what the tree was made of. `heads` are signed heads by slot, `secret` what the salts come from."""

    index: int
    leaf: bytes
    heads_root: bytes
    secret: bytes
    heads: dict[int, str]


class RootLog:
    """Appends roots. `due` says whether it is time; `append` does it.

    Args:
        interval_seconds: between two roots, whichever worker makes them.
    """

    def __init__(self, *, database: Database, ledger: Ledger, clock: Clock, interval_seconds: float) -> None:
        self._database: Final = database
        self._ledger: Final = ledger
        self._clock: Final = clock
        self._interval: Final = int(interval_seconds * 1_000_000)

    def due(self) -> bool:
        """Whether the newest root is as old as the interval says, or there is none."""
        with self._database.reading() as connection:
            head = logs.head(connection, ROOT)
        return head is None or head.size == 0 or micros(self._clock()) - head.at >= self._interval

    def origin(self, connection: Connection) -> str | None:
        """The root log's origin line; None before its first root."""
        head = logs.head(connection, ROOT)
        return None if head is None else head.origin

    def append(self) -> Entry | None:
        """Put all heads under a root; None where another worker did so meanwhile.

        Raises:
            Broken: nothing may be signed.
            Busy: the log could not be written now.
        """
        # (1): all heads at one moment.
        with self._database.reading() as connection:
            heads = logs.heads(connection)
            newest_key = roots.signing(connection).newest_key
        seen = next((head.size for head in heads if head.name == ROOT), 0)
        under = [head for head in heads if head.name != ROOT]
        # (2): the tree, outside of any transaction.
        secret = secrets.token_bytes(SECRET_BYTES)
        root = heads_root(secret, {head.slot: head.checkpoint for head in under})
        # (3): the entry, and what opens it.
        with self._database.releasing() as connection:
            fence = policies.fence(connection)
            head = self._ledger.lock(connection, [ROOT])[ROOT]
            # A rotation in between signed every head anew: what was read is not what a root of this moment holds.
            if head.size != seen or roots.signing(connection).newest_key != newest_key:
                return None
            draft = _draft(root, secret, heads=len(under), act=fence.act)
            at = max(micros(self._clock()), fence.at, head.at)
            entry = self._ledger.append(connection, {ROOT: head}, [draft], at=at)[0]
            before = roots.latest_root_heads(connection)
            roots.keep_root_heads(
                connection, entry.index, {one.id: one.checkpoint for one in under if before.get(one.id) != one.checkpoint}
            )
            after = logs.head(connection, ROOT)
            if after is None:
                raise Broken("the root log is missing just after it was written")
            logs.keep_checkpoint(connection, after.id, after.size, after.checkpoint)
        return entry


class RootClock:
    """A thread that appends a root when it is due, and one more when it is told to stop. `start` it once in each worker.

    Args:
        after: called after each root that this worker appended, in this thread.
    """

    def __init__(self, rootlog: RootLog, *, interval_seconds: float, after: Callable[[], None]) -> None:
        self._rootlog: Final = rootlog
        self._interval: Final = interval_seconds
        self._after: Final = after
        self._stopping: Final = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="root-clock", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Append a last root, so that nothing said before the end is left without one; does nothing where it was not started."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        self._thread = None

    def _run(self) -> None:
        # Looked at more often than the interval, as another worker's root moves the time at which ours is due.
        often = min(1.0, self._interval / 4)
        wait = often
        while not self._stopping.wait(wait):
            wait = often if self._tick(last=False) else self._interval
        self._tick(last=True)

    def _tick(self, *, last: bool) -> bool:
        """Whether it went well."""
        try:
            if not last and not self._rootlog.due():
                return True
            # At the end a root of another worker's will not do: what this one said last may not be under it.
            for _ in range(_LAST_TRIES if last else 1):
                if self._rootlog.append() is not None:
                    self._after()
                    break
        except ServiceError as error:
            log.error("no root could be appended: %s", error)
            return False
        # The very edge of the thread: whatever broke, a later tick tries again, and the age of the newest root tells the operator.
        except Exception:
            log.exception("no root could be appended")
            return False
        return True


# --- reading ----------------------------------------------------------------------------------------------------------


def opening(connection: Connection, index: int) -> Opening:
    """A root with all its slots, for an auditor, or to prove one of them.

    Raises:
        NotVisible: there is no such root.
    """
    row = _entry(connection, index)
    face = parse_leaf(row.leaf)
    if face.type != HEADS or face.heads_root is None:
        raise NotVisible
    slots = {head.id: head.slot for head in logs.heads(connection)}
    notes = {slots[log_id]: note for log_id, note in roots.heads_at_root(connection, index).items() if log_id in slots}
    return Opening(index, row.leaf, face.heads_root, secret_of(row.record), notes)


def secret_of(record: bytes) -> bytes:
    """The secret in the record of a root.

    Raises:
        Broken: the record is not that of a root.
    """
    value = parse_canonical(record)
    details = value.get("details") if isinstance(value, dict) else None
    secret = details.get("secret") if isinstance(details, dict) else None
    try:
        return bytes.fromhex(secret)  # type: ignore[arg-type]  # whatever else it is, is told below
    except (TypeError, ValueError):
        raise Broken("the record of a root holds no secret; run `entente log verify`") from None


def root_proof(connection: Connection, ledger: Ledger, log_name: str) -> tuple[RootProof, Head]:
    """The proof that a log's head stands in a root: the newest one that a witness has signed, or, where none has, the newest.

    Returns:
        the proof, and the head of the root log.

    Raises:
        NotVisible: there is no such log, or no root holds it yet.
    """
    head, root = logs.head(connection, log_name), logs.head(connection, ROOT)
    if head is None or root is None or root.size == 0 or log_name == ROOT:
        raise NotVisible
    size = roots.cosigned_size(connection) or root.size
    try:
        found = _proof_at(connection, head, root, size)
    except NotVisible:
        # A log opened since the last signature: the newest root may hold it.
        found = _proof_at(connection, head, root, root.size)
    ledger.refresh(connection)
    return found, root


def rooted(connection: Connection, ledger: Ledger, log_name: str) -> dict[str, Any]:
    """For somebody who has the log as it is in this view: its root proof with the keys to check it, and the proof that it continues
    the head that is under the root.

    Of the root log itself, the newest checkpoint that a witness has signed takes the place of the root proof.

    Raises:
        NotVisible: there is no such log, no root holds it yet, or no witness has signed.
    """
    head = logs.head(connection, log_name)
    if head is None:
        raise NotVisible
    if log_name == ROOT:
        size = roots.cosigned_size(connection)
        if size == 0:
            raise NotVisible
        return {"head": root_checkpoint(connection, head, size), "consistency": _continued(connection, head, size)}
    proof, root = root_proof(connection, ledger, log_name)
    keys = ledger.vkeys(root.origin)
    return {
        "origin": head.origin,
        "keys": list(ledger.vkeys(head.origin)),
        **proof.to_json(),
        "root": {"origin": root.origin, "key": keys[0], "keys": list(keys)},
        "consistency": _continued(connection, head, read_checkpoint(read_note(proof.head)[0]).size),
    }


def _continued(connection: Connection, head: Head, old_size: int) -> list[str] | None:
    """The proof that a log continues its head of `old_size`; nothing is needed for an empty one. None where the log is smaller now: who
    checks is to see that, rather than get no answer."""
    if old_size > head.size:
        return None

    def tiles(level: int, index: int, width: int) -> list[bytes]:
        return logs.read_tile(connection, head.id, level, index, width)

    return [value.hex() for value in consistency_proof(old_size, head.size, tiles)] if old_size else []


def root_checkpoint(connection: Connection, root: Head, size: int) -> str:
    """The root log's checkpoint of a size that it had at some root, with the signatures of witnesses below its own.

    Raises:
        NotVisible: none is kept of this size.
    """
    note = root.checkpoint if size == root.size else dict(logs.kept_checkpoints(connection, root.id, size=size)).get(size)
    if note is None:
        raise NotVisible
    return note + "".join(line for _, line in roots.cosignatures(connection, size))


def _proof_at(connection: Connection, head: Head, root: Head, size: int) -> RootProof:
    opened = opening(connection, size - 1)
    note = opened.heads.get(head.slot)
    if note is None:
        raise NotVisible

    def tiles(level: int, index: int, width: int) -> list[bytes]:
        return logs.read_tile(connection, root.id, level, index, width)

    proof = Proof(size - 1, inclusion_proof(size - 1, size, tiles), root_checkpoint(connection, root, size))
    return RootProof(
        slot=head.slot,
        head=note,
        salt=slot_salt(opened.secret, head.slot),
        path=slot_path(slot_hashes(opened.secret, opened.heads), head.slot),
        leaf=opened.leaf.decode("utf-8"),
        proof=write_proof(proof),
    )


def _entry(connection: Connection, index: int) -> StoredRow:
    root = logs.head(connection, ROOT)
    row = None if root is None else next(logs.entries(connection, root.id, start=index, stop=index + 1), None)
    if row is None:
        raise NotVisible
    return row


def _draft(root: bytes, secret: bytes, *, heads: int, act: int) -> Draft:
    record = {
        "act": b"%d" % act,
        "authority": b"null",
        "details": canonical({"slots": LOG_SLOTS, "secret": secret.hex(), "heads": heads}),
        "outcome": canonical("done"),
    }
    return Draft(
        log=ROOT,
        type=HEADS,
        client=MACHINE,
        route=CLOCK_ROUTE,
        items=b"[]",
        body_sha256=None,
        result="done",
        purpose="none",
        record=record,
        heads_root=root,
    )
