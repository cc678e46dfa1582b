"""What waits for a second person, as paths and lists name it: the same for labels, erasures and pruning."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from service.errors import NotVisible
from service.settings import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX
from service.sharing.installation import Installation
from service.store import policies

_NUMBER_DIGITS_MAX: Final = 17
"""So that every number is one that a database takes, and JSON readers too."""


class PageQuery(BaseModel):
    """Parameters of a list of our own."""

    model_config = ConfigDict(extra="forbid")
    limit: int = Field(default=PAGE_LIMIT_DEFAULT, ge=1, le=PAGE_LIMIT_MAX)
    cursor: str | None = Field(default=None, max_length=100, description="`next` of the page before")


def number_of(segment: str) -> int:
    """The number in a path.

    Raises:
        NotVisible: it is none, and so names nothing.
    """
    if not (segment.isascii() and segment.isdigit() and len(segment) <= _NUMBER_DIGITS_MAX):
        raise NotVisible
    return int(segment)


def proposal_must_be(installation: Installation, segment: str, kind: str, *, about: str | None = None) -> int:
    """The number of a proposal of this kind, in a path; with `about`, of what it is about.

    Raises:
        NotVisible: there is none.
    """
    number = number_of(segment)
    with installation.database.reading() as connection:
        found = policies.proposal_by_id(connection, number)
    if found is None or found.kind != kind or (about is not None and found.subject != about):
        raise NotVisible
    return number
