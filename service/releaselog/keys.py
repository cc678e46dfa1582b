"""The keys of a log through time: which signed when, and what a checkpoint of some moment must therefore carry.

A log's key is rotated, never replaced: the new one signs from a moment on, the old one beside it until the overlap ends, so that
whoever knows only one of them can go on checking. What was signed at a moment carries the signature of every key in force
then, and of no other key of the log's name: a retired key, or a foreign one, is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.errors import ProofError
from service.releaselog.checkpoint import Checkpoint, open_checkpoint
from service.releaselog.notes import VerifierKey, read_note

OPEN_ENDED: Final = 253_402_300_799_999_999
"""`until` of a key that is not retired: the end of the year 9999."""


@dataclass(frozen=True, slots=True)
class KeyPeriod:
    """A verifier's key, and the stretch through which it signs, in microseconds since 1970; `until` is exclusive."""

    vkey: str
    from_at: int = 0
    until: int = OPEN_ENDED

    def in_force(self, at: int) -> bool:
        return self.from_at <= at < self.until


def open_signed(note: str, keys: Sequence[KeyPeriod], *, origin: str, at: int, exactly: bool = True) -> Checkpoint:
    """The tree head in a checkpoint that was signed at this moment.

    Args:
        keys: all that ever signed this log.
        at: microseconds since 1970.
        exactly: False where the moment is not known: then the newest key must have signed, and any other of `keys` may have.

    Raises:
        ProofError: a key in force has not signed, or another of the log's name has; or as `open_checkpoint`.
    """
    # (1): who signed, of this log's name. Signatures of others, witnesses say, are passed over.
    signed = [key_id for name, key_id, _ in read_note(note)[1] if name == origin]
    known = {VerifierKey.parse(key.vkey).key_id: key for key in keys}
    for key_id in signed:
        if key_id not in known:
            raise ProofError(f"signed by the foreign key `{key_id.hex()}`, which was never this log's")
        if exactly and not known[key_id].in_force(at):
            when = "is retired" if known[key_id].until <= at else "was not in force yet"
            raise ProofError(f"signed by key `{key_id.hex()}`, which {when}")
    # (2): everyone whose turn it was.
    newest = max(keys, key=lambda key: key.from_at)
    wanted = [key for key in keys if key.in_force(at)] if exactly else [newest]
    if not wanted:
        raise ProofError("no key of this log was in force then")
    # (3): their signatures, and those of the others who signed.
    opened = [open_checkpoint(note, key.vkey, origin) for key in wanted]
    for key_id in signed:
        # Those whose turn it was were opened above, all their lines with them.
        if known[key_id] not in wanted:
            open_checkpoint(note, known[key_id].vkey, origin)
    return opened[0]
