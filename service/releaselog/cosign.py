"""The cosignature: a witness's word that, as of a time, this was the largest consistent tree it had seen of a log. C2SP tlog-cosignature.

A signature line below a checkpoint, by a key of type `0x04` (Ed25519, `cosignature/v1`). The key's id is
SHA-256(name || "\\n" || 0x04 || public key)[:4]; what is signed is

```
cosignature/v1
time 1679315147
<the checkpoint's text, its last newline included>
```

and the signature is the time in eight bytes, big end first, before the 64 bytes of Ed25519. A verifier's key (`vkey`) is
`NAME+KEYID+base64(0x04 || public key)`: another text than a log's own key of the same bytes, so that neither passes for the other.
The message does not name the witness: a key is used under one name.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from service.errors import ProofError
from service.releaselog.notes import check_name, decode_base64, read_note, read_signature_lines, signature_line

TIME_MAX: Final = (1 << 63) - 1
_TYPE: Final = b"\x04"
_KEY_BYTES: Final = 32
_KEY_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A key that cosignatures are checked with. Comes out of `parse` alone."""

    name: str
    key_id: bytes
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> WitnessKey:
        """Read `NAME+KEYID+BASE64`.

        Raises:
            ProofError: malformed, a key of another type, or a key id that is not this key's.
        """
        parts = vkey.split("+", 2)
        if len(parts) != 3 or not _KEY_ID.fullmatch(parts[1]):
            raise ProofError("a witness's key is `NAME+KEYID+BASE64`, the key id 8 hex digits")
        check_name(parts[0])
        decoded = decode_base64(parts[2], "a witness's key")
        if decoded[:1] != _TYPE or len(decoded) != 1 + _KEY_BYTES:
            raise ProofError("a witness's key that is not of type `0x04`, Ed25519 for cosignatures")
        key = cls(parts[0], _key_id(parts[0], decoded[1:]), decoded[1:])
        if key.key_id.hex() != parts[1]:
            raise ProofError(f"key id `{parts[1]}` of a witness's key is not that of its key, expected `{key.key_id.hex()}`")
        return key


@dataclass(frozen=True, slots=True)
class Cosigned:
    """What a witness said: `line` is its signature line, `time` in seconds since 1970. Comes out of `find_cosignature` alone."""

    line: str
    time: int


class Cosigner:
    """Cosigns with one key under one name.

    Args:
        private_key: 32 bytes, Ed25519.

    Raises:
        ProofError: another name or length.
    """

    def __init__(self, name: str, private_key: bytes) -> None:
        check_name(name)
        if len(private_key) != _KEY_BYTES:
            raise ProofError(f"a private key of {len(private_key)} bytes, expected {_KEY_BYTES}")
        self._key: Final = Ed25519PrivateKey.from_private_bytes(private_key)
        public = self._key.public_key().public_bytes_raw()
        self._key_id: Final = _key_id(name, public)
        self.name: Final = name
        self.vkey: Final = f"{name}+{self._key_id.hex()}+{base64.b64encode(_TYPE + public).decode('ascii')}"

    def line(self, text: str, *, time: int) -> str:
        """The signature line, with its newline, under the checkpoint of this text.

        Args:
            time: seconds since 1970.
        """
        signature = self._key.sign(_message(text, time))
        return signature_line(self.name, self._key_id, time.to_bytes(_TIME_BYTES, "big") + signature)


def find_cosignature(note: str, vkey: str) -> Cosigned | None:
    """A witness's signature under a signed checkpoint; None where it has not signed.

    Raises:
        ProofError: malformed, or a line under this key that does not hold: it condemns the note.
    """
    text, _ = read_note(note)
    return find_in_lines(text, note[len(text) + 1 :], vkey)


def find_in_lines(text: str, lines: str, vkey: str) -> Cosigned | None:
    """As `find_cosignature`, where text and signature lines came apart; signatures of other keys are passed over.

    Raises:
        ProofError: as there.
    """
    key = WitnessKey.parse(vkey)
    found: Cosigned | None = None
    for name, key_id, signature in read_signature_lines(lines):
        if (name, key_id) != (key.name, key.key_id):
            continue
        if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES:
            raise ProofError(f"a cosignature of {len(signature)} bytes, expected {_TIME_BYTES + _SIGNATURE_BYTES}")
        time = int.from_bytes(signature[:_TIME_BYTES], "big")
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature[_TIME_BYTES:], _message(text, time))
        except (InvalidSignature, ValueError):
            raise ProofError(f"the cosignature of witness `{name}` does not hold") from None
        found = found or Cosigned(signature_line(name, key_id, signature), time)
    return found


def _message(text: str, time: int) -> bytes:
    if not 0 <= time <= TIME_MAX:
        raise ProofError(f"time `{time}` of a cosignature, expected seconds since 1970")
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode("utf-8") + b"\n" + _TYPE + public).digest()[:_KEY_ID_BYTES]
