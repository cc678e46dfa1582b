"""What auditors' marks make of an entry: a small state machine, pure, so that anyone can take the marks from the log and come to the same.

```
nothing ──reviewed──> reviewed ──questioned──> questioned ──closed──> closed
   │                     │                        │                    │ questioned, escalated: open again
   └──────────escalated──┴────────────────────────┴──> escalated ──closed by one──> closing ──closed by another──> closed
                                                          ^───────────escalated──────┘
```

An escalation is closed by two different persons. A question or an escalation is never taken back by a mere `reviewed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from service.errors import Conflict


class Mark(StrEnum):
    """What an auditor says of an entry."""

    REVIEWED = "reviewed"
    QUESTIONED = "questioned"
    ESCALATED = "escalated"
    CLOSED = "closed"


class State(StrEnum):
    """Where the marks of an entry brought it."""

    REVIEWED = "reviewed"
    QUESTIONED = "questioned"
    ESCALATED = "escalated"
    CLOSING = "closing"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Review:
    """An entry under review. `closer` is who closed an escalation first, while a second must; else None."""

    state: State
    closer: str | None = None


def marked(review: Review | None, mark: Mark, reviewer: str) -> Review:
    """What a mark makes of a review; None is an entry that nobody marked.

    Raises:
        Conflict: the mark says nothing here, or is one person's word where two are needed.
    """
    match mark:
        case Mark.REVIEWED:
            if review is None or review.state is State.REVIEWED:
                return Review(State.REVIEWED)
            raise Conflict(f"an entry that is `{review.state}` cannot be marked `reviewed`, expected one nobody asked about", code="review")
        case Mark.QUESTIONED:
            if review is None or review.state in (State.REVIEWED, State.QUESTIONED, State.CLOSED):
                return Review(State.QUESTIONED)
            raise Conflict(f"an entry that is `{review.state}` cannot be marked `questioned`: it is escalated", code="review")
        case Mark.ESCALATED:
            # Also while it is being closed: the first closer's word falls.
            return Review(State.ESCALATED)
        case Mark.CLOSED:
            return _closed(review, reviewer)
        case _:
            assert_never(mark)


def _closed(review: Review | None, reviewer: str) -> Review:
    if review is None or review.state in (State.REVIEWED, State.CLOSED):
        raise Conflict("there is nothing to close, expected a question or an escalation", code="review")
    if review.state is State.QUESTIONED:
        return Review(State.CLOSED)
    if review.state is State.ESCALATED:
        return Review(State.CLOSING, reviewer)
    if review.closer == reviewer:
        raise Conflict("an escalation is closed by two different persons, and this one has closed it already", code="second-person")
    return Review(State.CLOSED)
