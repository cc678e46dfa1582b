"""The heads tree: all logs under one root, without telling anyone who is in it.

A fixed number of slots, one for each log and most for none. The leaf of a used slot is SHA-256(0x00 || salt || signed head), of an
unused one SHA-256(0x00 || salt || nothing); the tree over the slots' hashes is that of RFC 6962. The salts of one root come
from a secret of 32 bytes that is this root's alone, by HKDF (RFC 5869) with SHA-256 and no salt of its own:

    salt of slot n = HKDF-Expand(HKDF-Extract("", secret), "entente/heads/v1/slot" || n as two bytes, big end first, 32)

So whoever has the secret, an auditor, opens every slot and sees that none hides a second head; a partner is given the salt of its
own slot alone, and learns of the others neither who they are, nor how many, nor whether anything happened in them. The signed
head is the log's checkpoint as it was at that moment, byte for byte, all its signatures included.

The root of the tree is the member `heads_root` of an entry of the root log, whose checkpoints witnesses sign. What ties a
partner's own head to that checkpoint is a `RootProof`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from service.errors import ProofError
from service.releaselog.checkpoint import Checkpoint, open_checkpoint
from service.releaselog.leaf import HEADS, LeafError, parse_leaf
from service.releaselog.merkle import HASH_BYTES, inclusion_proof, root, verify_inclusion
from service.releaselog.receipt import verify_receipt
from service.settings import LOG_SLOTS

SECRET_BYTES: Final = 32
_INFO: Final = b"entente/heads/v1/slot"
_SLOT_INFOS: Final = tuple(_INFO + slot.to_bytes(2, "big") + b"\x01" for slot in range(LOG_SLOTS))
_SALT_BYTES: Final = 32
_TILE: Final = 256
_HEX: Final = re.compile(r"[0-9a-f]{64}")


def slot_salt(secret: bytes, slot: int) -> bytes:
    """The salt of a slot of the root whose secret this is.

    Raises:
        ProofError: a secret of another length, or no such slot.
    """
    return _salt(_extracted(secret), slot)


def _extracted(secret: bytes) -> bytes:
    """RFC 5869 section 2.2; no salt is a salt of zeros."""
    if len(secret) != SECRET_BYTES:
        raise ProofError(f"the secret of a root has {len(secret)} bytes, expected {SECRET_BYTES}")
    return hmac.digest(bytes(HASH_BYTES), secret, "sha256")


def _salt(extracted: bytes, slot: int) -> bytes:
    """RFC 5869 section 2.3, of one block. A library's does the same in twenty times the time, a thousand times a root."""
    _check_slot(slot)
    return hmac.digest(extracted, _SLOT_INFOS[slot], "sha256")


def _check_slot(slot: int) -> None:
    if not 0 <= slot < LOG_SLOTS:
        raise ProofError(f"slot `{slot}`, expected a number from 0 to {LOG_SLOTS - 1}")


def slot_hash(salt: bytes, head: str | None) -> bytes:
    """The hash of a slot; `head` is the signed head of the log that has it, None for a slot that no log has."""
    return sha256(b"\x00" + salt + (b"" if head is None else head.encode("utf-8"))).digest()


def slot_hashes(secret: bytes, heads: Mapping[int, str]) -> list[bytes]:
    """The hashes of all slots, in order.

    Args:
        heads: signed heads by slot.

    Raises:
        ProofError: a slot that there is not, or a secret of another length.
    """
    # A year of roots is verified slot by slot. So here HMAC is written out (RFC 2104), its two pads made once for all slots.
    key = _extracted(secret).ljust(sha256().block_size, b"\x00")
    inner, outer = bytes(byte ^ 0x36 for byte in key), bytes(byte ^ 0x5C for byte in key)
    salts = [sha256(outer + sha256(inner + info).digest()).digest() for info in _SLOT_INFOS]
    hashed = [sha256(b"\x00" + salt).digest() for salt in salts]
    for slot, head in heads.items():
        _check_slot(slot)
        hashed[slot] = slot_hash(salts[slot], head)
    return hashed


def heads_root(secret: bytes, heads: Mapping[int, str]) -> bytes:
    """The root over all slots. It is the same only for the same heads in the same slots."""
    return root(slot_hashes(secret, heads))


def slot_path(hashed: Sequence[bytes], slot: int) -> tuple[bytes, ...]:
    """The way from a slot to the root, leaf end first.

    Args:
        hashed: of all slots, from `slot_hashes`.
    """

    def tiles(level: int, index: int, width: int) -> Sequence[bytes]:
        if level == 0:
            return hashed[index * _TILE : index * _TILE + width]
        return [root(hashed[start : start + _TILE]) for start in range(0, len(hashed), _TILE)][:width]

    return inclusion_proof(slot, len(hashed), tiles)


@dataclass(frozen=True, slots=True)
class RootProof:
    """Ties a log's head to the root log. Nothing of it is proven before `verify_root_proof`.

    Args:
        head: the log's signed checkpoint, as the root holds it.
        path: from the slot to `heads_root` of the root's entry, leaf end first.
        leaf: the exact text of the root's entry.
        proof: of that entry in the root log (C2SP tlog-proof); its checkpoint carries the witnesses' signatures that there are.
    """

    slot: int
    head: str
    salt: bytes
    path: tuple[bytes, ...]
    leaf: str
    proof: str

    def to_json(self) -> dict[str, Any]:
        return {
            "slot": self.slot,
            "slots": LOG_SLOTS,
            "head": self.head,
            "salt": self.salt.hex(),
            "path": [value.hex() for value in self.path],
            "leaf": self.leaf,
            "proof": self.proof,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RootProof:
        """Read what `to_json` writes; members it does not know are passed over.

        Raises:
            ProofError: a member is missing, or of another form.
        """
        slot, slots, path = value.get("slot"), value.get("slots"), value.get("path")
        if type(slot) is not int or type(slots) is not int or slots != LOG_SLOTS:
            raise ProofError(f"a root proof has `slot`, a number, and `slots`, which is {LOG_SLOTS}")
        if not isinstance(path, list):
            raise ProofError("`path` of a root proof is not a list")
        texts = {name: value.get(name) for name in ("head", "leaf", "proof")}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise ProofError(f"`{name}` of a root proof is not a text")
        return cls(
            slot=slot,
            head=str(texts["head"]),
            salt=_digest(value.get("salt"), "salt"),
            path=tuple(_digest(one, "path") for one in path),
            leaf=str(texts["leaf"]),
            proof=str(texts["proof"]),
        )


@dataclass(frozen=True, slots=True)
class RootProven:
    """That `head` was the log's at `at`, under entry `index` of the root log whose head was `root`. Out of `verify_root_proof` alone."""

    head: Checkpoint
    at: datetime
    index: int
    root: Checkpoint


def verify_root_proof(proof: RootProof, *, vkey: str, origin: str, root_vkey: str, root_origin: str) -> RootProven:
    """Check that a log's head stands in its slot of a root, and that root in the root log, by nothing but two keys.

    Who signed the root's checkpoint beside its own key is for `service.releaselog.cosign` to say.

    Raises:
        ProofError: naming the step that does not hold.
    """
    # (1): the head, signed by its log's key.
    head = open_checkpoint(proof.head, vkey, origin)
    # (2): the slot is the one the origin names: another one could hold another head.
    if slot_of(origin) != proof.slot:
        raise ProofError(f"slot `{proof.slot}` for the log `{origin}`, whose slot is `{slot_of(origin)}`")
    # (3): the root's entry, by its exact bytes in the root log.
    leaf = proof.leaf.encode("utf-8", "surrogatepass")
    proven = verify_receipt(leaf, proof.proof, root_vkey, origin=root_origin)
    try:
        face = parse_leaf(leaf)
    except LeafError as error:
        raise ProofError(f"the entry of a root: {error}") from None
    if face.type != HEADS or face.heads_root is None:
        raise ProofError(f"an entry of type `{face.type}`, expected `{HEADS}`")
    # (4): the way from the slot to it. The number of slots is fixed, so a tree of another size proves nothing.
    if len(proof.salt) != _SALT_BYTES:
        raise ProofError(f"a salt of {len(proof.salt)} bytes, expected {_SALT_BYTES}")
    hashed = slot_hash(proof.salt, proof.head)
    verify_inclusion(leaf_hash=hashed, leaf_index=proof.slot, tree_size=LOG_SLOTS, proof=proof.path, root=face.heads_root)
    return RootProven(head, face.at, proven.index, proven.checkpoint)


def slot_of(origin: str) -> int:
    """The slot that a log's origin line names: `INSTANCE/log/SLOT/NAME`.

    Raises:
        ProofError: an origin of another form.
    """
    parts = origin.split("/")
    if len(parts) < 4 or parts[-3] != "log" or not re.fullmatch(r"0|[1-9][0-9]{0,3}", parts[-2]) or int(parts[-2]) >= LOG_SLOTS:
        raise ProofError(f"origin {origin[:200]!r}, expected `INSTANCE/log/SLOT/NAME`")
    return int(parts[-2])


def _digest(value: object, name: str) -> bytes:
    if not isinstance(value, str) or len(value) != 2 * HASH_BYTES or not _HEX.fullmatch(value):
        raise ProofError(f"`{name}` of a root proof is not 64 lower-case hex digits")
    return bytes.fromhex(value)
