"""What partners ask again and again, prepared ahead of the moment at which all its copies end.

At a midnight the labels of a hundred thousand portions may change at once, and every copy held ends. What the next request would be
answered with is known before: labels, offers and snapshots are written ahead. So a thread asks what was asked lately once more, as of that
moment (`held`), and leaves the copies beside those in force. It decides nothing: what it prepared is taken under the same checks of act and
time as any copy, and where an act comes between, it is worth nothing and is made again. What is released is what would have been.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from service.errors import Rejected, ServiceError
from service.sharing.asks import ItemAsk, ListAsk
from service.sharing.beside import Beside
from service.sharing.gate import Clock
from service.sharing.held import CopiesAhead, CopyCache, Noted
from service.sharing.policies import Policies
from service.store import Database
from service.store.times import micros

log = logging.getLogger(__name__)

AHEAD: Final = timedelta(minutes=10)
"""How long before a boundary what ends at it is prepared anew."""
ASKED_WITHIN: Final = timedelta(hours=1)
"""Who asked longer ago is not expected back at the boundary, and what was asked is forgotten."""
_OFTEN_SECONDS: Final = 2.0
_OF_THE_TIME: Final = 0.1
"""The part of the time that this may take while there is something to do: requests use the same interpreter."""
_MICROSECOND: Final = timedelta(microseconds=1)

_Lane = tuple[str, str]


class Ahead(Beside):
    """`start` it once in each worker, and `stop` it."""

    def __init__(self, *, database: Database, world: Policies, clock: Clock, copies: CopyCache) -> None:
        super().__init__("copies-ahead", self._prepare, first=_OFTEN_SECONDS)
        self._database: Final = database
        self._world: Final = world
        self._clock: Final = clock
        self._copies: Final = copies
        self._view: Final = CopiesAhead(copies)
        self._done: dict[tuple[_Lane, Hashable], tuple[int, int]] = {}
        """The act and the boundary for which each was prepared."""

    def _prepare(self) -> float:
        began = time.monotonic()
        try:
            found = self.prepare_next()
        except ServiceError as error:
            log.info("nothing was prepared ahead: %s", error)
            found = False
        return (time.monotonic() - began) / _OF_THE_TIME if found else _OFTEN_SECONDS

    def prepare_next(self) -> bool:
        """Prepare one of those that were asked lately for the boundary before it; whether there was one.

        Raises:
            Busy: the database cannot be reached now.
            Broken: it failed.
        """
        state = self._world.known()
        if state is None:
            return False
        now = max(micros(self._clock()), state.at)
        noted = self._copies.noted(since=now - ASKED_WITHIN // _MICROSECOND)
        due = self._next(noted, state.act, now)
        if due is None:
            return False
        lane, what, boundary = due
        ask = noted[lane][what].ask
        if not isinstance(ask, ItemAsk | ListAsk):
            raise TypeError(f"expected an item or a list to have been noted, got `{type(ask).__name__}`")
        self._done[lane, what] = (state.act, boundary)
        with self._database.reading() as connection:
            state = self._world.current(connection)
            try:
                replace(ask, copies=self._view).prepare(connection, state, self._world, at=boundary)
            except Rejected:
                self._copies.forget(lane, what)  # a cursor that is good no more
        return True

    def _next(self, noted: dict[_Lane, dict[Hashable, Noted]], act: int, now: int) -> tuple[_Lane, Hashable, int] | None:
        """The latest asked of those not prepared yet, and for when."""
        self._done = {key: done for key, done in self._done.items() if key[1] in noted.get(key[0], {})}
        due: tuple[int, _Lane, Hashable, int] | None = None
        for lane, asks in noted.items():
            boundary = min((one.until for one in asks.values() if one.until > now and one.act == act), default=None)
            if boundary is None or boundary - now > AHEAD // _MICROSECOND:
                continue
            for what, one in asks.items():
                if self._done.get((lane, what)) != (act, boundary) and (due is None or one.asked_at > due[0]):
                    due = (one.asked_at, lane, what, boundary)
        return None if due is None else due[1:]
