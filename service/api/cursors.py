"""Cursors of lists that are all the reader's own: a place, spelled in one way. Nothing in them is secret to who may read the list."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from service.errors import Rejected
from service.releaselog.leaf import canonical

_NAMED: Final = re.compile(rb"([0-9]{16})\.([0-9]{16})\.([A-Za-z0-9_-]{1,64})")
_PLAIN: Final = re.compile(rb"[0-9]{16}(?:\.[0-9]{16}){0,3}")


def place_cursor(*numbers: int) -> str:
    """A cursor that holds these numbers."""
    return base64.urlsafe_b64encode(b".".join(b"%016d" % number for number in numbers)).decode("ascii").rstrip("=")


def bound_cursor(query: object, *numbers: int) -> str:
    """A cursor that holds these numbers, and goes on with this query alone (a JSON value)."""
    return place_cursor(*numbers, _binding(query))


def read_bound_cursor(cursor: str | None, count: int, query: object) -> tuple[int, ...] | None:
    """The numbers of a cursor made for this query; None for none.

    Raises:
        Rejected: not one of ours, or of another query.
    """
    numbers = read_place_cursor(cursor, count + 1)
    if numbers is None:
        return None
    if numbers[-1] != _binding(query):
        raise Rejected("this cursor goes on with another query", code="foreign-cursor")
    return numbers[:-1]


def _binding(query: object) -> int:
    # As many digits as a place has; it keeps mistakes apart, and holds nothing back from who may ask for either.
    return int.from_bytes(hashlib.sha256(canonical(query)).digest(), "big") % 10**16


def named_cursor(at: int, number: int, name: str) -> str:
    """A cursor that holds two numbers and an id."""
    plain = b"%016d.%016d.%s" % (at, number, name.encode("ascii"))
    return base64.urlsafe_b64encode(plain).decode("ascii").rstrip("=")


def read_named_cursor(cursor: str | None) -> tuple[int, int, str] | None:
    """What `named_cursor` put into a cursor; None for none.

    Raises:
        Rejected: not one of ours.
    """
    if cursor is None:
        return None
    try:
        found = _NAMED.fullmatch(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValueError, UnicodeEncodeError):
        found = None
    if found is None or named_cursor(int(found[1]), int(found[2]), found[3].decode("ascii")) != cursor:
        raise Rejected("this cursor was not made here", code="foreign-cursor")
    return int(found[1]), int(found[2]), found[3].decode("ascii")


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
