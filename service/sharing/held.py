"""What a worker holds: copies, where lists begin, and what was asked of it lately.

Nothing here is a permission: what is held is checked by whoever takes it. A copy holds for a stretch of time under one act. Two are held
of each: the one in force, and one prepared ahead for the time from which that one ends (`ahead`), so that at a boundary at which many end
at once nobody waits for all to be rendered anew.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from service.sharing.copies import Copy
from service.sharing.gate import Ask, Prepared, StoredFile
from service.store.visibility import Place

Key = tuple[str, str, str]
"""Partner, purpose, item."""
_CACHED_BODY_MAX: Final = 1 << 16
ASKS_NOTED_MAX: Final = 200
"""Of one partner; a partner that asks for more at random puts out what it asked itself."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An item as a partner may have it now: its copy, and what a record says of it. Holds in `[from_at, until)` under `act`."""

    act: int
    from_at: int
    until: int
    copy: Copy
    ref: str
    version: int
    outcome: str
    record_item: bytes
    record_labels: Mapping[str, bytes]
    files: Mapping[str, tuple[StoredFile, str]]
    answer: Prepared
    """What a request for the item is answered with: its bytes and its record are the same each time."""

    def holds(self, *, act: int, at: int) -> bool:
        return self.act == act and self.from_at <= at < self.until


@dataclass(frozen=True, slots=True)
class Begun:
    """A place before which a lane's list has ended: from `from_at` on, under `act`. At `until` it is worth looking further."""

    act: int
    from_at: int
    until: int
    place: Place


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that was asked and answered: when, under which act, and until when the answer holds."""

    ask: Ask
    asked_at: int
    act: int
    until: int


class Copies(Protocol):
    """Where an ask takes copies from, and leaves those it rendered."""

    def get(self, key: Key, *, act: int, at: int) -> Shown | None: ...

    def put(self, key: Key, shown: Shown) -> None: ...

    def begun(self, lane: int, *, act: int, at: int) -> Place | None: ...

    def put_begun(self, lane: int, begun: Begun) -> None: ...

    def note(self, what: Hashable, ask: Ask, answer: Prepared, *, at: int) -> None: ...


class CopyCache:
    """The copies of one worker. What it holds is checked against act and time at every use."""

    def __init__(self, entries_max: int) -> None:
        self._max: Final = entries_max
        self._held: OrderedDict[Key, Shown] = OrderedDict()
        self._ahead: OrderedDict[Key, Shown] = OrderedDict()
        self._begun: dict[int, tuple[Begun, ...]] = {}
        self._noted: dict[tuple[str, str], OrderedDict[Hashable, Noted]] = {}
        self._noting: Final = threading.Lock()

    def get(self, key: Key, *, act: int, at: int) -> Shown | None:
        """The copy that holds at a time under an act, if there is one."""
        for held in (self._held, self._ahead):
            shown = held.get(key)
            if shown is not None and shown.holds(act=act, at=at):
                return shown
        return None

    def put(self, key: Key, shown: Shown) -> None:
        """Hold a copy that was rendered for now."""
        self._hold(self._held, key, shown)

    def put_ahead(self, key: Key, shown: Shown) -> None:
        """Hold a copy that was rendered for a time to come, beside the one in force."""
        before = self._ahead.get(key)
        if before is not None and before.until <= shown.from_at:
            # Made ready for the boundary before this one, and since then what is in force.
            self._hold(self._held, key, before)
        self._hold(self._ahead, key, shown)

    def _hold(self, held: OrderedDict[Key, Shown], key: Key, shown: Shown) -> None:
        if len(shown.copy.body) <= _CACHED_BODY_MAX and self._max:
            held[key] = shown
            while len(held) > self._max:
                held.popitem(last=False)

    def begun(self, lane: int, *, act: int, at: int) -> Place | None:
        """Where a lane's list begins at a time under an act, if that is known."""
        for one in self._begun.get(lane, ()):
            if one.act == act and one.from_at <= at < one.until:
                return one.place
        return None

    def put_begun(self, lane: int, begun: Begun) -> None:
        """Know where a lane's list begins; the last two are known: for now, and for what is prepared ahead."""
        self._begun[lane] = (*self._begun.get(lane, ())[-1:], begun)

    # --- what is asked again and again --------------------------------------------------------------------------------

    def note(self, what: Hashable, ask: Ask, answer: Prepared, *, at: int) -> None:
        """Note that this was asked. `what` names it among the asks of its partner and purpose: the next of that name takes its place."""
        if ask.look is not None or not self._max:
            return  # an officer's view is no partner's habit
        with self._noting:
            asks = self._noted.setdefault((ask.partner, ask.purpose), OrderedDict())
            asks[what] = Noted(ask, at, answer.act, answer.holds_until)
            asks.move_to_end(what)
            while len(asks) > ASKS_NOTED_MAX:
                asks.popitem(last=False)

    def noted(self, *, since: int) -> dict[tuple[str, str], dict[Hashable, Noted]]:
        """What was asked since a time, by (partner, purpose), the latest last. What was asked before it is not kept: words may be in it."""
        with self._noting:
            for asks in self._noted.values():
                while asks and next(iter(asks.values())).asked_at < since:
                    asks.popitem(last=False)
            return {lane: dict(asks) for lane, asks in self._noted.items() if asks}

    def forget(self, lane: tuple[str, str], what: Hashable) -> None:
        """Note no more that this was asked."""
        with self._noting:
            self._noted[lane].pop(what, None)


class CopiesAhead:
    """The same copies for an ask that is prepared for a time to come: what it renders is held beside what is in force."""

    def __init__(self, copies: CopyCache) -> None:
        self._copies: Final = copies

    def get(self, key: Key, *, act: int, at: int) -> Shown | None:
        return self._copies.get(key, act=act, at=at)

    def put(self, key: Key, shown: Shown) -> None:
        self._copies.put_ahead(key, shown)

    def begun(self, lane: int, *, act: int, at: int) -> Place | None:
        return self._copies.begun(lane, act=act, at=at)

    def put_begun(self, lane: int, begun: Begun) -> None:
        self._copies.put_begun(lane, begun)

    def note(self, what: Hashable, ask: Ask, answer: Prepared, *, at: int) -> None:
        pass
