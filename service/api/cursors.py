"""Cursors of lists that are all the reader's own: a place, spelled in one way. Nothing in them is secret to who may read the list."""

from __future__ import annotations

import base64
import re
from typing import Final

from service.errors import Rejected

_PLAIN: Final = re.compile(rb"[0-9]{16}(?:\.[0-9]{16}){0,2}")


def place_cursor(*numbers: int) -> str:
    """A cursor that holds these numbers."""
    return base64.urlsafe_b64encode(b".".join(b"%016d" % number for number in numbers)).decode("ascii").rstrip("=")


def read_place_cursor(cursor: str | None, count: int) -> tuple[int, ...] | None:
    """The numbers of a cursor; None for none.

    Raises:
        Rejected: not one of ours.
    """
    if cursor is None:
        return None
    try:
        plain = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except (ValueError, UnicodeEncodeError):
        plain = b""
    numbers = tuple(int(part) for part in plain.split(b".")) if _PLAIN.fullmatch(plain) else ()
    if len(numbers) != count or place_cursor(*numbers) != cursor:
        raise Rejected("this cursor was not made here", code="foreign-cursor")
    return numbers
