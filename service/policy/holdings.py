"""What is stored, as arrays, and what an edit of the policy does to it: who gains and loses which items and portions (DESIGN section 4).

Pure. Items with the same labels, handed out in the same way over the same stretch of time, are one `Group`: whether a partner sees
them follows from the labels alone. An item released in portions is visible where some label of it is released; one released whole, or one
with a compilation, where all of them are (DESIGN section 6). Partners are bits of a word, so that a group is decided for all of them by a
few operations.

- `Holdings`: what is stored from a time on, read once (`store.holdings`); `Held`: what is in force at a moment of it.
- `Released`: per label the partners to whom it is released, by `columns`; `Released.after` makes anew only what an edit can touch.
- `effect`: exact and deterministic; `Effect.digest` binds an approval to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import Broken
from service.policy.columns import Bits, ForWhom, LabelColumns, released, released_after
from service.policy.snapshot import Snapshot

Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Places = NDArray[np.int32]

DIGEST_BYTES: Final = 32
_WORD: Final = 64
_AT_ONCE: Final = 1 << 15
_FEW: Final = 6


# Tuples, not dataclasses: a store has up to as many of these as items, and they are hashed and sorted.


class Group(NamedTuple):
    """Items with the same label set over the same stretch, in microseconds. `strict`: they go out only if every label is released."""

    label_set: int
    strict: bool
    from_at: int
    until: int


class GroupRow(NamedTuple):
    """A group as read: how many items it has, and the SHA-256 of their ids, sorted, a line each."""

    group: Group
    items: int
    items_sha256: bytes


class PortionsRow(NamedTuple):
    """How many portions of a group's items bear a label from `begins` to `ends`; 0 where it is the label of a compilation."""

    label_set: int
    strict: bool
    from_at: int
    until: int
    label_id: int
    begins: int
    ends: int
    portions: int


def items_digest(item_ids: Iterable[str]) -> bytes:
    """The SHA-256 that stands for these items; `item_ids` sorted."""
    return hashlib.sha256("".join(f"{item_id}\n" for item_id in item_ids).encode()).digest()


class Held:
    """What is in force at a moment. `members` of group `i` are `bounds[i] : bounds[i + 1]`, by the place of their label in the columns."""

    __slots__ = ("bounds", "digests", "groups", "items", "loose_portions", "members", "portions", "strict")

    def __init__(
        self, *, groups: Sequence[Group], items: Numbers, digests: NDArray[np.uint8], bounds: Numbers, members: Places, portions: Numbers,
        labels: int,
    ) -> None:  # fmt: skip
        self.groups = groups
        self.strict = np.array([group.strict for group in groups], dtype=bool)
        self.items = items
        self.digests = digests
        self.bounds = bounds
        self.members = members
        self.portions = portions
        loose = np.repeat(~self.strict, np.diff(bounds))
        self.loose_portions = np.bincount(members[loose], weights=portions[loose], minlength=labels).astype(np.int64)
        """Per label, portions of items that go out in portions: these come and go with their label alone."""


class Holdings:
    """All that is stored from a time on.

    Args:
        groups: each once.
        portions: of these groups, rows with the fields of `PortionsRow`.
        label_ids: the id of each label of the columns, in their order.

    Raises:
        Broken: a portion has a label that is not among them.
    """

    def __init__(self, groups: Iterable[GroupRow], portions: Iterable[Sequence[int]], label_ids: Sequence[int]) -> None:
        rows = sorted(groups)
        self._groups: Final = tuple([row.group for row in rows])
        self._items: Final = np.array([row.items for row in rows], dtype=np.int64)
        self._digests: Final = np.frombuffer(b"".join([row.items_sha256 for row in rows]), np.uint8).reshape(len(rows), DIGEST_BYTES)
        self._labels: Final = len(label_ids)
        self._stretches: Final = np.array([(group.from_at, group.until) for group in self._groups], dtype=np.int64).reshape(-1, 2)
        table = np.fromiter(chain.from_iterable(portions), dtype=np.int64).reshape(-1, len(PortionsRow._fields))
        table = table[np.lexsort((table[:, 5], table[:, 4], table[:, 3], table[:, 2], table[:, 1], table[:, 0]))]
        keys = table[:, :4]
        begins = np.flatnonzero(np.concatenate(([True], np.any(keys[1:] != keys[:-1], axis=1)))) if len(table) else np.zeros(0, np.int64)
        number: dict[tuple[int, ...], int] = {group: place for place, group in enumerate(self._groups)}
        try:
            own = np.array(
                [number[label_set, strict, from_at, until] for label_set, strict, from_at, until in keys[begins].tolist()], np.int64
            )
        except KeyError as lost:
            raise Broken(f"stored portions are of items that are not known: `{lost.args[0]}`; run `entente log verify`") from lost
        group_of = np.repeat(own, np.diff(np.concatenate((begins, [len(table)]))))
        self._table: Final = np.column_stack((group_of, _places_of(table[:, 4], label_ids), table[:, 5:]))

    @property
    def moments(self) -> tuple[int, ...]:
        """Every time at which a stretch begins or ends, in microseconds, sorted."""
        return tuple(np.unique(np.concatenate((self._stretches.ravel(), self._table[:, 2], self._table[:, 3]))).tolist())

    def at(self, moment: int) -> Held:
        """What is in force at a moment, in microseconds."""
        own: NDArray[np.bool_] = (self._stretches[:, 0] <= moment) & (moment < self._stretches[:, 1])
        rows = self._table
        rows = rows[own[rows[:, 0]] & (rows[:, 2] <= moment) & (moment < rows[:, 3])] if len(rows) else rows
        counts = np.bincount(rows[:, 0], minlength=len(own))
        # A group of which nothing bears a label now has nothing that could go out.
        own &= counts > 0
        chosen = np.flatnonzero(own)
        return Held(
            groups=self._groups if len(chosen) == len(own) else tuple(self._groups[place] for place in chosen.tolist()),
            items=self._items[chosen],
            digests=self._digests[chosen],
            bounds=np.concatenate(([0], np.cumsum(counts[chosen]))).astype(np.int64),
            members=rows[:, 1].astype(np.int32),
            portions=rows[:, 4].copy(),
            labels=self._labels,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Released:
    """Per label those to whom it is released: bit `i % 64` of word `i // 64` is `whom[i]`."""

    whom: tuple[ForWhom, ...]
    words: Words
    bits: Bits

    @classmethod
    def of(cls, snapshot: Snapshot, columns: LabelColumns, whom: Sequence[ForWhom], *, action: str = "release") -> Released:
        """What a snapshot releases."""
        found = released(snapshot, columns, whom, action=action)
        return cls(tuple(whom), _by_label(found), found)

    def after(self, before: Snapshot, snapshot: Snapshot, columns: LabelColumns, *, action: str = "release") -> Released:
        """What another snapshot releases to the same, where `before` is the snapshot this is of.

        Only what the rows that differ could make a difference to is asked about.
        """
        bits = released_after(self.bits, before, snapshot, columns, action=action)
        places = np.flatnonzero(np.unpackbits(np.bitwise_or.reduce(bits.words ^ self.bits.words, axis=0).view(np.uint8), bitorder="little"))
        if len(places) > columns.size // 8:
            return Released(self.whom, _by_label(bits), bits)
        words = self.words.copy()
        own = np.zeros((words.shape[1] * _WORD, len(places)), np.uint8)
        own[: len(self.whom)] = bits.words[:, places // _WORD] >> (places % _WORD).astype(np.uint64) & np.uint64(1)
        words[places] = np.ascontiguousarray(np.packbits(own, axis=0, bitorder="little").T).view(np.uint64)
        return Released(self.whom, words, bits)

    def differing(self, other: Released) -> list[int]:
        """Places of the labels that are not released to the same."""
        found: list[int] = np.flatnonzero((self.words ^ other.words).any(axis=1)).tolist()
        return found


def _places_of(label_ids: Numbers, known: Sequence[int]) -> Numbers:
    """For each label id its place among those known.

    Raises:
        Broken: it is not among them.
    """
    order = np.argsort(np.array(known, dtype=np.int64), kind="stable")
    ids = np.array(known, dtype=np.int64)[order]
    places = np.minimum(np.searchsorted(ids, label_ids), max(len(ids) - 1, 0))
    lost = label_ids[ids[places] != label_ids] if len(ids) else label_ids
    if len(lost):
        raise Broken(f"a stored portion has a label that is not known: `{int(lost[0])}`; run `entente log verify`")
    return order[places]


def _by_label(bits: Bits) -> Words:
    """Columns of labels turned into a row of words per label."""
    width = max(1, -(-len(bits.whom) // _WORD))
    found = np.zeros((bits.size, width), np.uint64)
    for begin in range(0, bits.size, _AT_ONCE):
        part = bits.words[:, begin // _WORD : (begin + _AT_ONCE) // _WORD]
        size = min(_AT_ONCE, bits.size - begin)
        own = np.zeros((width * _WORD, size), np.uint8)
        if len(part):
            own[: len(part)] = np.unpackbits(np.ascontiguousarray(part).view(np.uint8), axis=1, bitorder="little")[:, :size]
        packed = np.packbits(own, axis=0, bitorder="little")
        found[begin : begin + size] = np.ascontiguousarray(packed.T).view(np.uint64)
    return found


# --- the effect -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """What one partner, with a purpose, gains and loses: numbers by level, as `Effect.levels` has them.

    Items gained by the level of the copy he then gets, items lost by that of the copy he had, items changed in part by that of the copy he
    then gets; portions by the level of their label.
    """

    partner: str
    purpose: str
    items_gained: tuple[int, ...]
    items_lost: tuple[int, ...]
    items_changed: tuple[int, ...]
    portions_gained: tuple[int, ...]
    portions_lost: tuple[int, ...]

    def to_json(self, levels: Sequence[str]) -> dict[str, Any]:
        """Only levels at which there is something."""
        counted = {
            name: {level: count for level, count in zip(levels, counts, strict=True) if count}
            for name, counts in (
                ("items_gained", self.items_gained), ("items_lost", self.items_lost), ("items_changed", self.items_changed),
                ("portions_gained", self.portions_gained), ("portions_lost", self.portions_lost),
            )
        }  # fmt: skip
        return {"partner": self.partner, "purpose": self.purpose, **counted}


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """What an edit does to what is stored, at one moment. Made by `effect`."""

    levels: tuple[str, ...]
    """Lowest first."""
    changes: tuple[Change, ...]
    """Of those for whom anything changes, sorted."""
    _whom: tuple[ForWhom, ...]
    _held: Held
    _touched: Numbers
    _gained: Words
    _lost: Words
    _changed: Words

    @property
    def empty(self) -> bool:
        """Whether nothing changes for anybody."""
        return not self.changes

    def groups(self, change: Change) -> tuple[tuple[Group, ...], tuple[Group, ...], tuple[Group, ...]]:
        """The groups whose items this partner gains, loses, and sees another part of."""
        number = self._whom.index(ForWhom(change.partner, change.purpose))
        gained, lost, changed = (self._groups_of(words, number) for words in (self._gained, self._lost, self._changed))
        return gained, lost, changed

    def to_json(self) -> dict[str, Any]:
        """Numbers, and the digest that also covers which items they are of."""
        return {"changes": [change.to_json(self.levels) for change in self.changes], "digest": self.digest().hex()}

    def digest(self) -> bytes:
        """SHA-256 over who gains and loses how much, and of which items: equal for equal effects on the same items, whatever else is
        stored."""
        found = hashlib.sha256()
        head = [change.to_json(self.levels) for change in self.changes]
        found.update(json.dumps(head, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
        numbers = [self._whom.index(ForWhom(change.partner, change.purpose)) for change in self.changes]
        parts = [_picked(words, numbers) for words in (self._gained, self._lost, self._changed)]
        some = np.flatnonzero((parts[0] | parts[1] | parts[2]).any(axis=1))
        items = self._held.digests[self._touched[some]]
        # In the order of the items' digests, so that neither group nor label ids enter.
        order = np.lexsort(np.ascontiguousarray(items).view(">u8").T) if len(items) else some
        rows = [items[order], *(np.ascontiguousarray(part[some[order]]).astype("<u8").view(np.uint8) for part in parts)]
        found.update(np.concatenate(rows, axis=1).tobytes())
        return found.digest()

    def _groups_of(self, words: Words, number: int) -> tuple[Group, ...]:
        own = words[:, number // _WORD] >> np.uint64(number % _WORD) & np.uint64(1)
        return tuple(self._held.groups[place] for place in self._touched[np.flatnonzero(own)].tolist())


def effect(held: Held, old: Released, new: Released, *, columns: LabelColumns, ladder: Sequence[str]) -> Effect:
    """Who gains and loses what of what is held, where `new` comes in the place of `old`.

    Args:
        old, new: of the same whom, over `columns`.
        ladder: names of levels, lowest first. A level of a stored label that is not among them comes last, as nothing is known of it.
    """
    if old.whom != new.whom:
        raise Broken("an effect is of one list of partners, before and after")
    values, codes = columns.levels()
    levels = (*ladder, *sorted(set(values) - set(ladder)))
    rank = np.array([levels.index(value) for value in values] or [0], dtype=np.int64)[codes]
    came, went = new.words & ~old.words, old.words & ~new.words
    differs = came | went
    touched = _touched(held, differs)
    gained, lost, changed = _visible(held, touched, old.words, new.words)
    counts = _Counts(len(levels), old.words.shape[1])
    items = held.items[touched]
    for words, names, seen in ((gained, "items_gained", new), (lost, "items_lost", old), (changed, "items_changed", new)):
        some = np.flatnonzero(words.any(axis=1))
        for level, at_level in _copy_levels(held, touched[some], words[some], seen.words, rank):
            counts.add(names, level, at_level, items[some])
    for words, names, by_group in ((came, "portions_gained", gained), (went, "portions_lost", lost)):
        for level in range(len(levels)):
            own = np.flatnonzero(words.any(axis=1) & (rank == level) & (held.loose_portions > 0))
            counts.add(names, level, words[own], held.loose_portions[own])
        some = np.flatnonzero(by_group.any(axis=1) & held.strict[touched])
        for level, portions in _strict_portions(held, touched[some], rank, len(levels)):
            counts.add(names, level, by_group[some], portions)
    changes = tuple(sorted(counts.changes(old.whom), key=lambda one: (one.partner, one.purpose)))
    return Effect(levels, changes, old.whom, held, touched, gained, lost, changed)


def _touched(held: Held, differs: Words) -> Numbers:
    """The groups with a label that is released to others than before."""
    if not len(held.members):
        return np.zeros(0, np.int64)
    labels = np.any(differs != 0, axis=1)
    some: NDArray[np.bool_] = np.logical_or.reduceat(labels[held.members], held.bounds[:-1])
    return np.flatnonzero(some).astype(np.int64)


def _members_of(held: Held, groups: Numbers) -> tuple[Places, Numbers, Numbers]:
    """The members of some groups one after the other: their labels, where each group begins, and their place among the members."""
    sizes = held.bounds[groups + 1] - held.bounds[groups]
    begins = np.cumsum(sizes) - sizes
    places = np.arange(int(sizes.sum())) + np.repeat(held.bounds[groups] - begins, sizes)
    return held.members[places], begins, places


def _visible(held: Held, groups: Numbers, old: Words, new: Words) -> tuple[Words, Words, Words]:
    """Of these groups: who gains them, loses them, and sees another part of them."""
    width = old.shape[1]
    before, after, differs = (np.zeros((len(groups), width), np.uint64) for _ in range(3))
    for strict, how in ((False, np.bitwise_or), (True, np.bitwise_and)):
        own = np.flatnonzero(held.strict[groups] == strict)
        if not len(own):
            continue
        members, begins, _ = _members_of(held, groups[own])
        was, is_ = old[members], new[members]
        before[own], after[own] = how.reduceat(was, begins, axis=0), how.reduceat(is_, begins, axis=0)
        if not strict:
            differs[own] = np.bitwise_or.reduceat(was ^ is_, begins, axis=0)
    return after & ~before, before & ~after, before & after & differs


def _copy_levels(held: Held, groups: Numbers, words: Words, seen: Words, rank: Numbers) -> Iterator[tuple[int, Words]]:
    """These bits parted by the level of the copy: the highest among the labels of the group that are `seen` released."""
    if not len(groups):
        return
    members, begins, _ = _members_of(held, groups)
    open_ = words.copy()
    ranks = rank[members]
    for level in np.unique(ranks)[::-1].tolist():
        own = ranks == level
        here = open_ & np.bitwise_or.reduceat(np.where(own[:, None], seen[members], np.uint64(0)), begins, axis=0)
        open_ &= ~here
        yield level, here


def _strict_portions(held: Held, groups: Numbers, rank: Numbers, levels: int) -> Iterator[tuple[int, Numbers]]:
    """Per level, how many portions of that level the items of each of these groups have."""
    if not len(groups):
        return
    members, begins, places = _members_of(held, groups)
    portions, ranks = held.portions[places], rank[members]
    for level in range(levels):
        own = np.add.reduceat(np.where(ranks == level, portions, 0), begins)
        if own.any():
            yield level, own


class _Counts:
    """Numbers by whom, kind and level."""

    KINDS: Final = ("items_gained", "items_lost", "items_changed", "portions_gained", "portions_lost")

    def __init__(self, levels: int, width: int) -> None:
        self._found = {kind: np.zeros((levels, width * _WORD), np.int64) for kind in self.KINDS}

    def add(self, kind: str, level: int, words: Words, weights: Numbers) -> None:
        """Count each bit as often as its row weighs."""
        if not len(words):
            return
        own = self._found[kind][level]
        for column in range(words.shape[1]):
            union = int(np.bitwise_or.reduce(words[:, column]))
            if union.bit_count() <= _FEW:
                for bit in (bit for bit in range(_WORD) if union >> bit & 1):
                    # Numbers in a float are exact up to 2^53; of items and portions there are fewer.
                    own[column * _WORD + bit] += int(weights[words[:, column] >> np.uint64(bit) & np.uint64(1) == 1].sum())
                continue
            for begin in range(0, len(words), _AT_ONCE):
                part = np.ascontiguousarray(words[begin : begin + _AT_ONCE, column])
                bits = np.unpackbits(part.view(np.uint8), bitorder="little").reshape(len(part), _WORD)
                total = weights[begin : begin + _AT_ONCE].astype(np.float64) @ bits.astype(np.float64)
                own[column * _WORD : (column + 1) * _WORD] += total.astype(np.int64)

    def changes(self, whom: Sequence[ForWhom]) -> Iterator[Change]:
        """One for each for whom there is anything."""
        for number, one in enumerate(whom):
            counted = [tuple(self._found[kind][:, number].tolist()) for kind in self.KINDS]
            if any(map(any, counted)):
                yield Change(one.partner, one.purpose, *counted)


def _picked(words: Words, numbers: Sequence[int]) -> Words:
    """The bits of these numbers alone, in this order."""
    found = np.zeros((len(words), max(1, -(-len(numbers) // _WORD))), np.uint64)
    for place, number in enumerate(numbers):
        bit = words[:, number // _WORD] >> np.uint64(number % _WORD) & np.uint64(1)
        found[:, place // _WORD] |= bit << np.uint64(place % _WORD)
    return found
