"""Strict JSON and base64url: one text, one meaning.

Two readers that see different things in one token are how tokens are forged. So nothing here is forgiving: duplicate members,
`NaN`, foreign encodings and base64 with stray characters or stray bits are all `ValueError`.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Final, NoReturn

_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*")


def json_object(content: bytes) -> dict[str, object]:
    """Read a JSON object.

    Raises:
        ValueError: not UTF-8, not JSON, not an object, a member twice (at any depth), `NaN` or `Infinity`, or nested too deep.
    """
    try:
        # Decoded here: `json.loads` would guess UTF-16 and UTF-32 from bytes.
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except RecursionError:
        # Not a ValueError, and 4 KiB of `[` are enough for it.
        raise ValueError("nested too deep") from None
    if not isinstance(value, dict):
        raise ValueError("expected an object")
    return value


def base64url_decode(text: str) -> bytes:
    """The bytes of unpadded base64url in its one canonical spelling. RFC 7515 section 2.

    Raises:
        ValueError: a character outside the alphabet (padding and white space too), or unused bits that are not zero.
    """
    if not _ALPHABET.fullmatch(text):
        raise ValueError("expected base64url without padding")
    content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url_encode(content) != text:
        raise ValueError("expected canonical base64url")
    return content


def base64url_encode(content: bytes) -> str:
    """Unpadded base64url. RFC 7515 section 2."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def _without_duplicates(members: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(members)
    if len(value) != len(members):
        raise ValueError("a member stands twice")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"`{name}` is not JSON")
