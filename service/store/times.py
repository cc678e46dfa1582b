"""Times in the database are whole microseconds since 1970 UTC; outside they are text that ends in `Z`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from service.store.tables import FOREVER

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // _MICROSECOND


def micros_or_forever(moment: datetime | None) -> int:
    """As `micros`; `FOREVER` for None, which is how an open end is written."""
    return FOREVER if moment is None else micros(moment)


def moment_of(at: int) -> datetime:
    """The aware UTC time of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=at)


def text_of(at: int) -> str:
    """`2026-11-22T10:00:00.000000Z`."""
    return moment_of(at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
