"""Personal fields of a record: a commitment stands in the record, the value and its salt beside it, where they can be erased.

What a record says of people in free words (a search text, a reason, a note) is not sealed itself. In its place stands
`{"commitment": "<hex>"}`, SHA-256(salt || value as UTF-8), with 32 random bytes of salt of its own. While value and salt are kept, whoever
opens the record can check them; once they are gone, nothing says what the value was, also not to whoever guesses it, and every seal
and proof holds as before.

Pure: salts come in as arguments.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from service.errors import Broken
from service.releaselog.leaf import LeafError

SALT_BYTES: Final = 32
COMMITMENT: Final = "commitment"
# A quote inside a JSON string is escaped, so what looks like this in canonical JSON is an object, and never a text.
_COMMITMENTS: Final = re.compile(rb'\{"commitment":"([0-9a-f]{64})"\}')
_HEX: Final = re.compile(r"[0-9a-f]{64}")


def commitment(salt: bytes, value: bytes) -> bytes:
    """SHA-256(salt || value); 32 bytes.

    Raises:
        Broken: a salt of another length than 32 bytes. It has one length, so that no part of it can pass for the value's beginning.
    """
    if len(salt) != SALT_BYTES:
        raise Broken(f"a salt of {len(salt)} bytes, expected {SALT_BYTES}")
    return hashlib.sha256(salt + value).digest()


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a record says of a value that stands elsewhere, or nowhere any more."""

    sha256: bytes

    def to_json(self) -> dict[str, str]:
        """As it stands in a record."""
        return {COMMITMENT: self.sha256.hex()}


@dataclass(frozen=True, slots=True)
class Personal:
    """A value, what kind of text it is, and its salt.

    Raises:
        LeafError: text that is not Unicode.
    """

    kind: str
    value: str
    salt: bytes

    def __post_init__(self) -> None:
        try:
            self.value.encode("utf-8")
        except UnicodeEncodeError:
            raise LeafError("text that is not Unicode") from None

    @property
    def commitment(self) -> Commitment:
        return Commitment(commitment(self.salt, self.value.encode("utf-8")))


def commitments(record: bytes) -> list[str]:
    """The commitments (hex) in the canonical JSON of a record, each once, as they come."""
    return [found.decode("ascii") for found in dict.fromkeys(_COMMITMENTS.findall(record))]


def members(record: object) -> dict[str, str]:
    """The commitments (hex) in a record, each with the name of the member that it is: the kind of text it stands for."""
    found: dict[str, str] = {}
    _members(record, "", found)
    return found


def _members(value: object, name: str, found: dict[str, str]) -> None:
    committed = commitment_in(value)
    if committed is not None:
        found.setdefault(committed.sha256.hex(), name)
    elif isinstance(value, Mapping):
        for member, inner in value.items():
            _members(inner, str(member), found)
    elif isinstance(value, list):
        for inner in value:
            _members(inner, name, found)


def commitment_in(value: object) -> Commitment | None:
    """The commitment that a member of a record is; None where it is anything else: a text of before there were any, for instance."""
    if isinstance(value, Mapping) and value.keys() == {COMMITMENT}:
        found = value[COMMITMENT]
        if isinstance(found, str) and _HEX.fullmatch(found):
            return Commitment(bytes.fromhex(found))
    return None
