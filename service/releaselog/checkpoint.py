"""The checkpoint: a log's size and root, signed. C2SP tlog-checkpoint.

Three lines of a note: the log's origin, the size, the root in base64. The key that signs it carries the origin as its name.
The specification lets extension lines follow; this log writes none, and a checkpoint that has some is refused, for nobody
here could say what was signed with them.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final

from service.errors import ProofError
from service.releaselog.merkle import EMPTY_ROOT, HASH_BYTES, TREE_SIZE_MAX
from service.releaselog.notes import Signer, VerifierKey, decode_base64, open_note, sign_note

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head of the log `origin`.

    Raises:
        ProofError: an origin that is not one line, a size out of range, a root that is not 32 bytes or, for size 0, not that of
            the empty tree.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or "\n" in self.origin:
            raise ProofError("the origin of a checkpoint is one line that is not empty")
        if not 0 <= self.size <= TREE_SIZE_MAX:
            raise ProofError(f"checkpoint of size `{self.size}`, expected a number from 0 to {TREE_SIZE_MAX}")
        if len(self.root) != HASH_BYTES:
            raise ProofError(f"checkpoint with a root of {len(self.root)} bytes, expected {HASH_BYTES}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise ProofError("checkpoint of size 0 with another root than that of the empty tree")

    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"


def sign_checkpoint(checkpoint: Checkpoint, *signers: Signer) -> str:
    """The checkpoint, signed by each of these in this order. A log never signs two roots for one size; that is for the caller to keep.

    Raises:
        ProofError: a signer's name is not the origin, or there is none.
    """
    for signer in signers:
        if signer.name != checkpoint.origin:
            raise ProofError(f"key `{signer.name}` for a checkpoint of `{checkpoint.origin}`, expected the key of that name")
    return sign_note(checkpoint.text(), signers)


def open_checkpoint(text: str, vkey: str, origin: str) -> Checkpoint:
    """The tree head in a signed checkpoint of the log `origin`.

    Args:
        vkey: the log's key. Its name must be the origin, so that one log's key never vouches for another's.

    Raises:
        ProofError: malformed, not signed by this key, signed wrongly, or of another log.
    """
    # (1): the signature, by this log's key. Nothing of the text is read before it holds.
    check_key_of(vkey, origin)
    checkpoint = read_checkpoint(open_note(text, vkey))
    # (2): the right log.
    if checkpoint.origin != origin:
        raise ProofError(f"a checkpoint of `{checkpoint.origin}`, expected one of `{origin}`")
    return checkpoint


def read_checkpoint(text: str) -> Checkpoint:
    """The tree head that a note's text says; nothing is proven by that.

    Raises:
        ProofError: not the three lines, in the one form we write.
    """
    lines = text[:-1].split("\n")
    if len(lines) != 3:
        raise ProofError(f"a checkpoint of {len(lines)} lines, expected 3")
    size = read_decimal(lines[1], "the size of a checkpoint")
    return Checkpoint(lines[0], size, decode_base64(lines[2], "the root of a checkpoint"))


def check_key_of(vkey: str, origin: str) -> None:
    """Check that a verifier's key is well-formed and named after the log `origin`.

    Raises:
        ProofError: it is not.
    """
    name = VerifierKey.parse(vkey).name
    if name != origin:
        raise ProofError(f"the key of `{name}`, expected that of log `{origin}`")


def read_decimal(text: str, what: str) -> int:
    """A number as the C2SP formats write it: ASCII digits, no sign, no leading zero.

    Raises:
        ProofError: anything else, or above `TREE_SIZE_MAX`.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > TREE_SIZE_MAX:
        raise ProofError(f"{what} is not a decimal number up to {TREE_SIZE_MAX} without leading zeros")
    return int(text)
