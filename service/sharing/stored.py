"""What is stored, held ready to be asked what an edit would do to it (`service.policy.holdings`).

Read on one view of the database, asked afterwards as often as one likes: the database is not waited for while labels are decided. A worker
keeps what it read last (`Readings`): what is stored changes by acts alone, and by dates that are known when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.identity.clients import NO_PURPOSE
from service.labels.label import Label
from service.policy import Bundle, Snapshot
from service.policy.columns import ForWhom, LabelColumns
from service.policy.holdings import Effect, Held, Holdings, Released, effect
from service.sharing.difference import LevelSum, StoredChange, StoredEffect
from service.store import Connection, holdings, visibility
from service.store.tables import FOREVER
from service.store.times import micros


class Stored:
    """What is stored from a moment on, and for whom it is reckoned: every partner without a purpose, and every lane there is."""

    def __init__(self, found: Holdings, columns: LabelColumns, label_ids: Sequence[int], whom: Sequence[ForWhom]) -> None:
        self._holdings: Final = found
        self._columns: Final = columns
        self._label_ids: Final = label_ids
        self._whom: Final = tuple(whom)
        self._released: dict[int, tuple[Snapshot, Released]] = {}
        self._held: dict[datetime, Held] = {}
        self._differing: set[int] = set()

    @property
    def differing(self) -> frozenset[int]:
        """Ids of the labels that some question asked so far decided otherwise than before, for anybody it is reckoned for."""
        return frozenset(self._differing)

    def effect(self, old: Snapshot, new: Snapshot, at: datetime) -> StoredEffect:
        """What is gained and lost where `new` decides in place of `old`, under the labels as of `at`."""
        held = self._held.get(at)
        if held is None:
            held = self._held[at] = self._holdings.at(micros(at))
        before = self._of(old)
        key = id(new)
        if key not in self._released:
            self._released[key] = new, before.after(old, new, self._columns)
        after = self._released[key][1]
        self._differing.update(self._label_ids[place] for place in before.differing(after))
        found = effect(held, before, after, columns=self._columns, ladder=_ladder(old, new))
        return StoredEffect() if found.empty else StoredEffect(_changes(found), found.digest().hex())

    def _of(self, snapshot: Snapshot) -> Released:
        # By identity: a bundle keeps its snapshots, and this keeps them alive.
        key = id(snapshot)
        if key not in self._released:
            self._released[key] = snapshot, Released.of(snapshot, self._columns, self._whom)
        return self._released[key][1]


@dataclass(frozen=True, slots=True)
class _Read:
    """Holdings as of an act, from a time on; `until` is the next time at which a stretch of them begins or ends."""

    act: int
    label_ids: tuple[int, ...]
    at: int
    until: int
    holdings: Holdings
    columns: LabelColumns

    def serves(self, act: int, label_ids: tuple[int, ...], *, at: int) -> bool:
        # Within a stretch nothing begins or ends, so that what is read from one of its moments on is what is read from another on.
        return self.act == act and self.label_ids == label_ids and self.at <= at < self.until


class Readings:
    """What a worker read last of what is stored. One reference, exchanged whole; safe from many threads."""

    def __init__(self) -> None:
        self._read: _Read | None = None

    def stored(self, connection: Connection, labels: Mapping[int, Label], bundles: Iterable[Bundle], *, act: int, at: int) -> Stored:
        """What is stored, read where an act or a date came since the last time.

        Args:
            labels: every label by id, as of this view.
            bundles: whose partners are reckoned with.
            act: the number of the last act on this view of the database; every act that changes what is stored raises it.
            at: from when on, in microseconds.
        """
        ids = tuple(sorted(labels))
        read = self._read
        if read is None or not read.serves(act, ids, at=at):
            found = holdings.read_holdings(connection, ids, at=at)
            columns = read.columns if read is not None and read.label_ids == ids else LabelColumns(labels[one] for one in ids)
            until = next((moment for moment in found.moments if moment > at), FOREVER)
            read = self._read = _Read(act, ids, at, until, found, columns)
        partners = {partner.code for bundle in bundles for partner in bundle.partners}
        whom = {ForWhom(partner, NO_PURPOSE) for partner in partners}
        whom |= {ForWhom(lane.partner, lane.purpose) for lane in visibility.lanes(connection) if lane.partner in partners}
        return Stored(read.holdings, read.columns, ids, sorted(whom))


def _ladder(old: Snapshot, new: Snapshot) -> list[str]:
    """The new ladder; what it lacks comes last, as `reaches` has it."""
    levels = [level.name for level in new.scheme.levels]
    return [*levels, *(level.name for level in old.scheme.levels if level.name not in levels)]


def _changes(found: Effect) -> tuple[StoredChange, ...]:
    def sums(items: Sequence[int], portions: Sequence[int]) -> tuple[LevelSum, ...]:
        by_level = [LevelSum(*one) for one in zip(found.levels, items, portions, strict=True)]
        return tuple(one for one in reversed(by_level) if one.items or one.portions)

    return tuple(
        StoredChange(
            one.partner,
            one.purpose,
            sums(one.items_gained, one.portions_gained),
            sums(one.items_lost, one.portions_lost),
            sum(one.items_changed),
        )
        for one in sorted(found.changes, key=lambda one: (one.partner, one.purpose))
    )
