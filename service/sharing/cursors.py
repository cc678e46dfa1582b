"""Cursors and bookmarks: a place in a list, sealed.

Encrypted (AES-SIV, RFC 5297), so that nothing about the store can be read from one; of one fixed length, so that nothing can
be measured; bound to client, purpose and filters, so that one that came from elsewhere is refused; deterministic, so that a
retry gets the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from enum import Enum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from service.errors import Rejected
from service.store.visibility import Place

_ID_BYTES: Final = 22
_PLAIN: Final = struct.Struct(f">Q{_ID_BYTES}s")


class PlaceKind(Enum):
    """`next` is given back as `cursor`, `bookmark` as `since`; one is no use as the other."""

    NEXT = b"next"
    BOOKMARK = b"bookmark"


class Cursors:
    """Seals and opens places. `secret` is 32 bytes, the same in all workers."""

    def __init__(self, secret: bytes) -> None:
        self._cipher: Final = AESSIV(hashlib.sha512(b"entente cursor v1\x00" + secret).digest())

    def seal(self, place: Place, kind: PlaceKind, binding: bytes) -> str:
        plain = _PLAIN.pack(place.visible_since, place.item_id.encode("ascii"))
        return base64.urlsafe_b64encode(self._cipher.encrypt(plain, [kind.value, binding])).rstrip(b"=").decode("ascii")

    def open(self, text: str, kind: PlaceKind, binding: bytes) -> Place:
        """The place that was sealed.

        Raises:
            Rejected: not one of ours, or made for another client, purpose, query or use. Which, is not said.
        """
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            visible_since, item_id = _PLAIN.unpack(self._cipher.decrypt(sealed, [kind.value, binding]))
            if base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii") != text:
                raise ValueError
            return Place(visible_since, item_id.rstrip(b"\x00").decode("ascii"))
        except (ValueError, binascii.Error, InvalidTag, struct.error):
            raise Rejected("this cursor was not made for this client and query", code="foreign-cursor") from None


def binding_of(*parts: str) -> bytes:
    """What a cursor is bound to: an unambiguous digest of these strings, in order."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()
