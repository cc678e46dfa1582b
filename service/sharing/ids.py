"""Ids of items, portions and log entries: random, so that none tells of another, and such that every one can be typed."""

from __future__ import annotations

import secrets
from typing import Final

_BYTES: Final = 16


def new_id() -> str:
    """128 random bits in base64url (RFC 4648 section 5). None begins with a hyphen: a command would take it for an option."""
    while (made := secrets.token_urlsafe(_BYTES)).startswith("-"):
        pass
    return made
