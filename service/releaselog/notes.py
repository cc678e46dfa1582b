"""The note: text signed by a key, in a form that a person can read and other people's tools verify. C2SP signed-note.

```
entente.example/log/17/JPN
5
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— entente.example/log/17/JPN Az3grlgtzPICa5OS8npV...
```

The text ends in a newline; a blank line; then one line for each signature: an em dash, the key's name, and base64 of four bytes of
key id and the signature. Only Ed25519 (signature type `0x01`) is understood; signatures of other keys, a witness's say, are
passed over, as the specification asks. A verifier's key (`vkey`) is `NAME+KEYID+base64(0x01 || public key)`.

Reading is strict: whatever two readers could take in two ways is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from service.errors import ProofError

NOTE_BYTES_MAX: Final = 1_000_000
SIGNATURES_MAX: Final = 100
"""The specification wants at least 16."""

_ED25519: Final = b"\x01"
_KEY_BYTES: Final = 32
_KEY_ID_BYTES: Final = 4
_DASH: Final = "\u2014 "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")


def vkey(name: str, public: bytes) -> str:
    """The verifier's key under which notes of this key are opened.

    Args:
        name: the key's name; here always the origin of a log.
        public: 32 bytes, Ed25519.
    """
    check_name(name)
    _check_key(public, "a public key")
    return f"{name}+{_key_id(name, public).hex()}+{base64.b64encode(_ED25519 + public).decode('ascii')}"


class Signer:
    """Signs texts with one key under one name.

    Args:
        name: not empty, without spaces and `+`.
        private_key: 32 bytes, Ed25519 (the seed of RFC 8032).

    Raises:
        ProofError: another name or length.
    """

    def __init__(self, name: str, private_key: bytes) -> None:
        check_name(name)
        _check_key(private_key, "a private key")
        self._key: Final = Ed25519PrivateKey.from_private_bytes(private_key)
        public = self._key.public_key().public_bytes_raw()
        self._key_id: Final = _key_id(name, public)
        self.name: Final = name
        self.vkey: Final = vkey(name, public)

    def sign(self, text: str) -> str:
        """The note: `text`, which ends in a newline, a blank line and the signature. The same text gives the same note.

        Raises:
            ProofError: a text that no reader would take back.
        """
        return sign_note(text, [self])

    def line(self, text: str) -> str:
        """The signature line alone, with its newline."""
        return signature_line(self.name, self._key_id, self._key.sign(_encoded(text)))


def public_half(private_key: bytes) -> bytes:
    """The public half of an Ed25519 key, 32 bytes.

    Raises:
        ProofError: not 32 bytes.
    """
    _check_key(private_key, "a private key")
    return Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def sign_note(text: str, signers: Sequence[Signer]) -> str:
    """The note that all of these sign, their lines in this order.

    Raises:
        ProofError: a text that no reader would take back, or nobody to sign it.
    """
    _encoded(text)
    if not text.endswith("\n"):
        raise ProofError("the text of a note ends in a newline")
    if not signers:
        raise ProofError("a note that nobody signs")
    return f"{text}\n{''.join(signer.line(text) for signer in signers)}"


def signature_line(name: str, key_id: bytes, signature: bytes) -> str:
    """A line as it stands under a note, with its newline."""
    return f"{_DASH}{name} {base64.b64encode(key_id + signature).decode('ascii')}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key that notes are opened with. Comes out of `parse` alone."""

    name: str
    key_id: bytes
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Read `NAME+KEYID+BASE64`.

        Raises:
            ProofError: malformed, not Ed25519, or a key id that is not this key's.
        """
        parts = vkey.split("+", 2)
        if len(parts) != 3:
            raise ProofError("a verifier's key is `NAME+KEYID+BASE64`")
        name, key_id, encoded = parts
        check_name(name)
        if not _KEY_ID.fullmatch(key_id):
            raise ProofError(f"key id {key_id!r} of a verifier's key is not 8 hex digits")
        decoded = decode_base64(encoded, "a verifier's key")
        if decoded[:1] != _ED25519 or len(decoded) != 1 + _KEY_BYTES:
            raise ProofError("a verifier's key that is not Ed25519")
        public = decoded[1:]
        if _key_id(name, public).hex() != key_id:
            raise ProofError(f"key id `{key_id}` of a verifier's key is not that of its key, expected `{_key_id(name, public).hex()}`")
        return cls(name, bytes.fromhex(key_id), public)

    def verify(self, text: str, signature: bytes) -> None:
        """Check a signature over a text.

        Raises:
            ProofError: it does not hold.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode("utf-8"))
        except (InvalidSignature, ValueError):
            raise ProofError(f"the signature of key `{self.name}+{self.key_id.hex()}` does not hold") from None


def open_note(note: str, vkey: str) -> str:
    """The text of a note that this key signed.

    Signatures of other keys are passed over, whatever they are, as long as their lines are well-formed.

    Raises:
        ProofError: malformed, not signed by this key, or signed wrongly.
    """
    key = VerifierKey.parse(vkey)
    text, signatures = read_note(note)
    signed = False
    for name, key_id, signature in signatures:
        if (name, key_id) != (key.name, key.key_id):
            continue
        # A wrong signature under a known key condemns the note, even beside a right one.
        key.verify(text, signature)
        signed = True
    if not signed:
        raise ProofError(f"a note that key `{key.name}+{key.key_id.hex()}` has not signed")
    return text


def read_note(note: str) -> tuple[str, tuple[tuple[str, bytes, bytes], ...]]:
    """The text of a note, and (name, key id, signature) of each of its lines; nothing is proven by that.

    Raises:
        ProofError: malformed.
    """
    _encoded(note)
    # The text may hold blank lines of its own: it ends at the last one.
    text, blank, rest = note.rpartition("\n\n")
    if not blank:
        raise ProofError("a note without a blank line between text and signatures")
    return f"{text}\n", read_signature_lines(rest)


def read_signature_lines(lines: str) -> tuple[tuple[str, bytes, bytes], ...]:
    """(name, key id, signature) of each line, each of which ends in a newline.

    Raises:
        ProofError: malformed, none, or too many.
    """
    if not lines.endswith("\n"):
        raise ProofError("a note without signature lines that end in a newline")
    found = lines[:-1].split("\n")
    if len(found) > SIGNATURES_MAX:
        raise ProofError(f"note with {len(found)} signatures, expected at most {SIGNATURES_MAX}")
    return tuple(_signature_line(line) for line in found)


def decode_base64(text: str, what: str) -> bytes:
    """Standard base64 (RFC 4648 section 4) with padding, in the one form an encoder writes.

    Raises:
        ProofError: anything else, also what decodes but is not how it would be encoded.
    """
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProofError(f"{what} is not base64") from None
    # `validate` lets stray bits behind the last byte pass: two texts for the same bytes.
    if base64.b64encode(decoded).decode("ascii") != text:
        raise ProofError(f"{what} is not canonical base64")
    return decoded


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode("utf-8") + b"\n" + _ED25519 + public).digest()[:_KEY_ID_BYTES]


def _signature_line(line: str) -> tuple[str, bytes, bytes]:
    """(name, key id, signature) of a signature line."""
    if not line.startswith(_DASH):
        raise ProofError("a signature line that does not begin with an em dash and a space")
    name, space, encoded = line[len(_DASH) :].partition(" ")
    check_name(name)
    if not space:
        raise ProofError("a signature line without a signature")
    decoded = decode_base64(encoded, "a signature")
    if len(decoded) <= _KEY_ID_BYTES:
        raise ProofError(f"a signature of {len(decoded)} bytes, expected more than {_KEY_ID_BYTES}")
    return name, decoded[:_KEY_ID_BYTES], decoded[_KEY_ID_BYTES:]


def _encoded(text: str) -> bytes:
    try:
        encoded = text.encode("utf-8")
    except UnicodeEncodeError:
        raise ProofError("a note that is not Unicode") from None
    if len(encoded) > NOTE_BYTES_MAX:
        raise ProofError(f"a note of {len(encoded)} bytes, expected at most {NOTE_BYTES_MAX}")
    if _CONTROL.search(text):
        raise ProofError("a note with a control character other than newline")
    return encoded


def check_name(name: str) -> None:
    """Check that a text can be the name of a key.

    Raises:
        ProofError: it cannot.
    """
    if not name or "+" in name or any(character.isspace() or character < " " for character in name):
        raise ProofError(f"key name {name!r} is empty or holds a space or `+`")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise ProofError("a key name that is not Unicode") from None


def _check_key(key: bytes, what: str) -> None:
    if len(key) != _KEY_BYTES:
        raise ProofError(f"{what} of {len(key)} bytes, expected {_KEY_BYTES}")
