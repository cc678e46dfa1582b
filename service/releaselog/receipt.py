"""The receipt: proof that a release is on record, for a partner who trusts nobody here.

A receipt holds three things, and each is useless without the others:

1. The leaf: exactly the bytes that were hashed (RFC 8785), never re-serialised.
2. The proof: from the leaf to a tree head (RFC 9162 section 2.1.3).
3. The checkpoint: that tree head, signed (C2SP tlog-checkpoint).

The second and third travel as one text, C2SP tlog-proof:

```
c2sp.org/tlog-proof@v1
index 5
vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=
...

entente.example/log/17/JPN
8
XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=

— entente.example/log/17/JPN ...
```
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from service.errors import ProofError
from service.releaselog.checkpoint import Checkpoint, open_checkpoint, read_decimal
from service.releaselog.merkle import HASH_BYTES, PROOF_HASHES_MAX, TREE_SIZE_MAX, leaf_hash, verify_inclusion
from service.releaselog.notes import NOTE_BYTES_MAX, decode_base64

_HEADER: Final = "c2sp.org/tlog-proof@v1"
_PROOF_CHARACTERS_MAX: Final = 2 * NOTE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Proof:
    """What a tlog-proof says, unproven.

    `checkpoint` is the signed checkpoint, verbatim. `extra` is authenticated by nothing; we write none.

    Raises:
        ProofError: an index out of range, hashes that are none, or a checkpoint that does not end in a newline.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index < TREE_SIZE_MAX:
            raise ProofError(f"index `{self.index}` of a proof, expected a number from 0 to {TREE_SIZE_MAX - 1}")
        if len(self.hashes) > PROOF_HASHES_MAX:
            raise ProofError(f"proof of {len(self.hashes)} hashes, expected at most {PROOF_HASHES_MAX}")
        if any(len(value) != HASH_BYTES for value in self.hashes):
            raise ProofError(f"a hash of a proof is not {HASH_BYTES} bytes")
        if not self.checkpoint.endswith("\n"):
            raise ProofError("the checkpoint of a proof ends in a newline")
        if self.extra == b"":
            raise ProofError("extra data of a proof is left out where there is none")


@dataclass(frozen=True, slots=True)
class Proven:
    """That a leaf stands at `index` of the log whose head was `checkpoint`. Comes out of `verify_receipt` alone."""

    index: int
    checkpoint: Checkpoint


def write_proof(proof: Proof) -> str:
    """The text of a proof."""
    lines = [_HEADER]
    if proof.extra is not None:
        lines.append(f"extra {_base64(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines.extend(_base64(value) for value in proof.hashes)
    return "\n".join(lines) + "\n\n" + proof.checkpoint


def read_proof(text: str) -> Proof:
    """Read the text of a proof; nothing of it is proven by that.

    Raises:
        ProofError: malformed.
    """
    if len(text) > _PROOF_CHARACTERS_MAX:
        raise ProofError(f"a proof of {len(text)} characters, expected at most {_PROOF_CHARACTERS_MAX}")
    # The lines of the proof are never empty, so the first blank line ends them; the checkpoint has one of its own.
    head, blank, checkpoint = text.partition("\n\n")
    if not blank:
        raise ProofError("a proof without a blank line before its checkpoint")
    lines = head.split("\n")
    if lines[0] != _HEADER:
        raise ProofError(f"a proof that does not begin with `{_HEADER}`")
    place, extra = 1, None
    if len(lines) > place and lines[place].startswith("extra "):
        extra = decode_base64(lines[place].removeprefix("extra "), "extra data of a proof")
        place += 1
    if len(lines) <= place or not lines[place].startswith("index "):
        raise ProofError("a proof without an `index` line")
    index = read_decimal(lines[place].removeprefix("index "), "the index of a proof")
    hashes = tuple(decode_base64(line, "a hash of a proof") for line in lines[place + 1 :])
    return Proof(index, hashes, checkpoint, extra)


def verify_receipt(leaf: bytes, proof: str, vkey: str, *, origin: str) -> Proven:
    """Check that a leaf is in the log `origin`, by nothing but the receipt and the log's key.

    Raises:
        ProofError: malformed, of another log or key, or not leading from this leaf to the signed head.
    """
    # (1): the form.
    read = read_proof(proof)
    # (2): the head. Without a signature the rest proves nothing.
    checkpoint = open_checkpoint(read.checkpoint, vkey, origin)
    # (3): the way from these very bytes to that head.
    verify_inclusion(leaf_hash=leaf_hash(leaf), leaf_index=read.index, tree_size=checkpoint.size, proof=read.hashes, root=checkpoint.root)
    return Proven(read.index, checkpoint)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
