"""Every root derived again: all slots opened, and each head under it a head that its log really had.

For each entry of the root log: the tree over all slots, from the secret in its record and the heads kept for it, is the
`heads_root` of its face; each head is signed by its log's key, is the root of that many first leaves of its log, and never
smaller than under the root before; no log that was once under a root is missing from a later one, and none that has
entries is under none. And each signature of a witness is one, under a checkpoint that the root log had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from service.errors import Broken, ProofError
from service.releaselog.checkpoint import read_checkpoint
from service.releaselog.cosign import find_in_lines
from service.releaselog.heads import heads_root
from service.releaselog.keys import open_signed
from service.releaselog.leaf import HEADS, parse_canonical, parse_leaf
from service.releaselog.notes import read_note
from service.settings import LOG_SLOTS
from service.sharing.ledger import ROOT, Ledger
from service.sharing.rootlog import secret_of
from service.store import Connection, logs, prunes, roots
from service.store.logs import Head, StoredRow

_CODE: Final = "root"
_GRACE: Final = 60_000_000
"""Microseconds that an entry must be older than the root before the newest one, to have to be under the newest."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The first thing wrong. `index` is the entry; None where it is beside the logs, or at a head."""

    log: str
    index: int | None
    code: str
    message: str


def sizes_under_roots(connection: Connection, head: Head) -> list[int]:
    """The sizes of a log that roots say it had, in order; what cannot be read says none, and is named by `verify_roots`."""
    sizes = set()
    for note in roots.root_heads_of(connection, head.id):
        try:
            sizes.add(read_checkpoint(read_note(note)[0]).size)
        except ProofError:
            continue
    return sorted(sizes)


def verify_roots(connection: Connection, ledger: Ledger, derived: Mapping[int, Mapping[int, bytes]]) -> Problem | None:
    """Derive every root again.

    Args:
        derived: by log, the roots of its first so many leaves, as the logs themselves were found to have.
    """
    heads = {head.id: head for head in logs.heads(connection)}
    root = next((head for head in heads.values() if head.name == ROOT), None)
    changed = groupby(roots.root_heads(connection), key=lambda row: row[0])
    ahead = next(changed, None)
    state = _State(heads, ledger, derived)
    times: list[int] = []
    for row in logs.entries(connection, root.id) if root is not None else ():
        if ahead is not None and ahead[0] < row.position:
            return Problem(ROOT, ahead[0], _CODE, f"expected heads kept for roots alone, found some for {ahead[0]}, which is none")
        if row.type != HEADS:
            return Problem(ROOT, row.position, _CODE, f"expected roots alone in the root log, found `{row.type}`")
        fault = None
        if ahead is not None and ahead[0] == row.position:
            fault = state.take({log_id: note for _, log_id, note in ahead[1]}, at=row.at)
            ahead = next(changed, None)
        fault = fault or state.compare(row)
        if fault is not None:
            return Problem(ROOT, row.position, _CODE, fault)
        times.append(row.at)
        del times[:-2]
    if ahead is not None:
        return Problem(ROOT, None, _CODE, f"expected heads kept for roots alone, found some for {ahead[0]}, which is none")
    if len(times) == 2:
        for head in heads.values():
            first = _first_time(connection, head)
            if head.id not in state.sizes and head.name != ROOT and first is not None and first + _GRACE < times[0]:
                return Problem(ROOT, None, _CODE, f"expected every log under the newest root, found none of log `{head.name}`")
    return _verify_cosignatures(connection, root)


def _first_time(connection: Connection, head: Head) -> int | None:
    """When the first entry of a log was written, pruned or not; None where there is none."""
    first = next(logs.entries(connection, head.id, stop=1), None)
    if first is not None:
        return first.at
    gone = prunes.tiles(connection, head.id)
    return gone[0].first_at if gone else None


def _verify_cosignatures(connection: Connection, root: Head | None) -> Problem | None:
    """What is wrong with a witness's signature. Checkpoints kept of the root log were compared when the log was."""
    kept = {} if root is None else dict(logs.kept_checkpoints(connection, root.id))
    for size, vkey, line in roots.all_cosignatures(connection):
        note = kept.get(size)
        if note is None:
            return Problem(ROOT, None, "cosignature", f"expected signatures under roots alone, found one of size {size}")
        try:
            found = find_in_lines(read_note(note)[0], line, vkey)
        except ProofError as error:
            return Problem(ROOT, size - 1, "cosignature", f"expected a witness's signature that holds, found {error}")
        if found is None:
            return Problem(ROOT, size - 1, "cosignature", "expected a witness's signature by the key it is filed under, found another's")
    return None


class _State:
    """The heads under the root reached."""

    def __init__(self, heads: Mapping[int, Head], ledger: Ledger, derived: Mapping[int, Mapping[int, bytes]]) -> None:
        self._heads: Final = heads
        self._ledger: Final = ledger
        self._derived: Final = derived
        self._notes: Final[dict[int, str]] = {}
        self.sizes: Final[dict[int, int]] = {}
        """By log."""

    def take(self, changed: Mapping[int, str], *, at: int) -> str | None:
        """Go on to the heads that this root is the first to hold; what is wrong with one of them."""
        for log_id, note in changed.items():
            head = self._heads.get(log_id)
            if head is None or head.name == ROOT:
                return f"expected heads of logs that there are, found one of log {log_id}"
            # A head was signed by the newest key of its time, or signed anew when that key began.
            keys = [period for period in self._ledger.periods(head.origin) if period.from_at <= at]
            try:
                checkpoint = open_signed(note, keys, origin=head.origin, at=at, exactly=False)
            except (ProofError, ValueError) as error:
                return f"expected the head of log `{head.name}` signed by its key, found {error}"
            if checkpoint.size < self.sizes.get(log_id, 0):
                return f"expected log `{head.name}` with at least {self.sizes[log_id]} entries, as before, found {checkpoint.size}"
            if checkpoint.root != self._derived.get(log_id, {}).get(checkpoint.size):
                return f"expected a head that log `{head.name}` had, found another root of its first {checkpoint.size} entries"
            self.sizes[log_id] = checkpoint.size
            self._notes[head.slot] = note
        return None

    def compare(self, row: StoredRow) -> str | None:
        """What is wrong with a root over the heads reached."""
        record = parse_canonical(row.record)
        details = record.get("details") if isinstance(record, dict) else None
        wanted = {"slots": LOG_SLOTS, "heads": len(self._notes)}
        for name, value in wanted.items():
            said = details.get(name) if isinstance(details, dict) else None
            if type(said) is not int or said != value:
                return f"expected `{name}` {value} in the record, found another value"
        try:
            made = heads_root(secret_of(row.record), self._notes)
        except (Broken, ProofError) as error:
            return f"expected a secret in the record, found {error}"
        face = parse_leaf(row.leaf)
        if face.heads_root != made:
            stated = "nothing" if face.heads_root is None else f"`{face.heads_root.hex()}`"
            return f"expected heads root `{made.hex()}`, found {stated}"
        return None
