"""The label side: what a snapshot says of every label at once, for any number of partners (DESIGN section 4, "The engine").

Pure. `LabelColumns` keeps distinct labels as bits: for every word of a set the labels that hold it. A question to a snapshot is then a
few operations on columns of bits, bit `i` being label `i`:

1. `plans` folds away all that does not read the label; rows with the same residue and the same cells are one case.
2. An atom of a residue becomes a column by the functions' own word on the empty set and on single words (`matcher.Parts` and the law of
   `functions.Declared`); what has no parts is asked once per distinct value. Columns without the asker are shared by all askers.
3. The effect is read off the columns of the allow rows and of the deny rows.

Exactly `Snapshot.decide`, not nearly: a label that holds a name which scheme or partner list lack, or on which an atom that might be
evaluated raises, is set aside and decided by the row side, one by one; so is everything where the matcher is not compiled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.labels.label import Label
from service.policy.compiled import CompiledEngine
from service.policy.effects import Effect
from service.policy.engine import engine_digest
from service.policy.functions import NONE
from service.policy.masks import NotCompiled
from service.policy.masks import bits as bits_of
from service.policy.matcher import Atom, Parts, parts_of
from service.policy.plans import FALSE, LABEL_FROM, Run, Shape, Unsettled, atoms_in, runs_of, split
from service.policy.snapshot import Outcome, Snapshot, request_of

Words = NDArray[np.uint64]
Places = NDArray[np.int32]

BLOCK_WORDS: Final = 512
"""Labels are worked through in blocks of this many words of 64: columns of 4 kB stay in the processor's cache, and bounded in number."""
WORLDS_MAX: Final = 4
"""Vocabularies (scheme, partners, memberships, matcher) for which answers of the functions are remembered."""
TRUTHS_MAX: Final = 1 << 18
"""Answers remembered per vocabulary; beyond it they are asked for anew."""
COLUMN_BYTES_MAX: Final = 1 << 25
"""Bytes of columns remembered from one snapshot to the next; beyond it they are made anew."""
DENSE_BYTES_MAX: Final = 1 << 23
"""Words of a request column that take no more than this altogether are kept as bits; the others as lists of labels."""

_FEW_ROWS: Final = 32
_REFER: Final = "refer"
_COLUMNS: Final = 11


@dataclass(frozen=True, slots=True, order=True)
class ForWhom:
    """A partner and the purpose he states."""

    partner: str
    purpose: str = NONE


class Bits:
    """Labels per partner and purpose, as bits: `words[number]` is the column of `whom[number]`."""

    __slots__ = ("aside", "size", "whom", "words")

    def __init__(self, whom: Sequence[ForWhom], size: int, words: Words, aside: frozenset[int] = frozenset()) -> None:
        self.whom = tuple(whom)
        self.size = size
        self.words = words
        self.aside = aside
        """The places in `whom` of those for whom some label was decided by the row side, as a rule might raise on it."""

    def indices(self, number: int) -> Places:
        """The places of the labels in one column, in order."""
        return _places(self.words[number])

    def has(self, number: int, place: int) -> bool:
        """Whether the label at a place is in one column."""
        return bool(int(self.words[number, place >> 6]) >> (place & 63) & 1)

    def count(self, number: int) -> int:
        """How many labels are in one column."""
        return int(np.bitwise_count(self.words[number]).sum())


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Which labels are released, and of the others which an officer may be asked about."""

    released: Bits
    referred: Bits


class LabelColumns:
    """Distinct labels as columns of bits. Knows no scheme and no policy: built once, any snapshot can be asked about them.

    Immutable but for what it remembers; safe from many threads.
    """

    def __init__(self, labels: Iterable[Label]) -> None:
        own = tuple(labels)
        values = list(zip(*(request_of("", "", label, "") for label in own), strict=True)) or [()] * _COLUMNS
        self._set(own, tuple(_Column(values[index], len(own)) for index in range(LABEL_FROM, _COLUMNS)))

    def _set(self, labels: tuple[Label, ...], columns: tuple[_Column, ...]) -> None:
        self.labels = labels
        self.size = len(labels)
        self.width = -(-self.size // 64)
        self._columns = columns
        self._together: dict[tuple[int, ...], tuple[list[tuple[Any, ...]], Places]] = {}
        self._worlds: dict[Any, _Remembered] = {}
        self._of: tuple[LabelColumns, Places] | None = None
        self.full: Words = _packed(np.arange(self.size, dtype=np.int32), self.width)

    def chosen(self, places: Places) -> LabelColumns:
        """The labels at these places, in order; what was learnt of their words is shared."""
        found = LabelColumns.__new__(LabelColumns)
        found._set(tuple([self.labels[place] for place in places.tolist()]), tuple(column.chosen(places) for column in self._columns))
        found._of = (self, places)
        return found

    def chosen_of(self, column: Words) -> Words:
        """A column over the labels that these were chosen from, as one over these."""
        bits = np.zeros(self.width * 64, np.uint8)
        if self._of is not None:
            bits[: self.size] = np.unpackbits(column.view(np.uint8), bitorder="little")[self._of[1]]
        return np.packbits(bits, bitorder="little").view(np.uint64)

    def levels(self) -> tuple[tuple[str, ...], Places]:
        """The levels that labels have, and for every label the place of its own."""
        column = self.column(LABEL_FROM)
        return column.values, column.codes

    def column(self, index: int) -> _Column:
        """All that the labels have in one request column."""
        return self._columns[index - LABEL_FROM]

    def distinct(self, indices: tuple[int, ...]) -> tuple[list[tuple[Any, ...]], Places]:
        """The distinct values that labels have in these request columns together, and for every label the place of its own."""
        found = self._together.get(indices)
        if found is None:
            if self._of is None:
                found = self._distinct(indices)
            else:
                # Numbered as in the whole, so that what was learnt of a value there holds here.
                values, codes = self._of[0].distinct(indices)
                found = values, codes[self._of[1]]
            self._together[indices] = found
        return found

    def remembered(self, world: Any) -> _Remembered:
        """What functions have said of words of these labels, in a vocabulary."""
        found = self._worlds.get(world)
        if found is None:
            kept = dict(list(self._worlds.items())[-WORLDS_MAX + 1 :])
            found = kept[world] = _Remembered()
            if self._of is not None:
                found.whole = self._of[0].remembered(world)
                found.truths = found.whole.truths
            self._worlds = kept
        return found

    def _distinct(self, indices: tuple[int, ...]) -> tuple[list[tuple[Any, ...]], Places]:
        own = [self.column(index) for index in indices]
        if len(own) == 1:
            return [(value,) for value in own[0].values], own[0].codes
        # Two at a time, so that the product of their sizes stays a number of 64 bits.
        codes = own[0].codes.astype(np.int64)
        for column in own[1:]:
            _, codes = np.unique(codes * len(column.values) + column.codes, return_inverse=True)
        _, first = np.unique(codes, return_index=True)
        values = [tuple(column.values[column.codes[place]] for column in own) for place in first]
        return values, codes.astype(np.int32)


class _Column:
    """One request column of all labels: the distinct values, and for sets the labels that hold each word."""

    def __init__(self, values: Sequence[Any], size: int) -> None:
        numbers: dict[Any, int] = {}
        codes = np.fromiter((numbers.setdefault(value, len(numbers)) for value in values), dtype=np.int32, count=size)
        self.values: tuple[Any, ...] = tuple(numbers)
        self._number: dict[str, int] = {}
        sets = self.values if self.values and isinstance(self.values[0], tuple) else ()
        self._flat: Places = np.array(
            [self._number.setdefault(word, len(self._number)) for value in sets for word in value], dtype=np.int32
        )
        self._sizes: Places = np.array([len(value) for value in sets], dtype=np.int32)
        self.words: tuple[str, ...] = tuple(self._number)
        self._by_right: dict[str, tuple[str, ...]] | None = None
        self._set(codes)

    def _set(self, codes: Places) -> None:
        self.codes: Places = codes
        self.size = len(codes)
        self.width = -(-self.size // 64)
        self._dense: Words | None = None
        self._empty: Words | None = None
        self._sparse = len(self._number) * self.width * 8 > DENSE_BYTES_MAX
        self._members: Places = np.zeros(0, np.int32)
        self._bounds: NDArray[np.int64] = np.zeros(len(self._number) + 1, np.int64)
        if self.size and len(self._flat):
            self._take_apart()

    def chosen(self, places: Places) -> _Column:
        """The same of the labels at these places; values and words keep their numbers."""
        found = _Column.__new__(_Column)
        found.values, found._number, found.words, found._by_right = self.values, self._number, self.words, self._by_right
        found._flat, found._sizes = self._flat, self._sizes
        found._set(self.codes[places])
        return found

    def _take_apart(self) -> None:
        """Find for every word the labels that hold it, in order."""
        sizes = self._sizes.astype(np.int64)
        begins = np.cumsum(sizes) - sizes
        own = sizes[self.codes]
        ends = np.cumsum(own)
        holders = np.repeat(np.arange(self.size, dtype=np.int32), own)
        held = self._flat[np.arange(int(ends[-1])) - np.repeat(ends - own - begins[self.codes], own)]
        # Sorting words of 16 bits is by radix, and leaves the labels of a word in order.
        order = np.argsort(held.astype(np.uint16) if len(self._number) < 1 << 16 else held, kind="stable")
        self._members = holders[order]
        self._bounds = np.concatenate(([0], np.cumsum(np.bincount(held, minlength=len(self._number))))).astype(np.int64)

    def union(self, words: Iterable[str], begin: int, end: int) -> Words | None:
        """The labels that hold one of these words, in a block; None for no label."""
        numbers = [number for word in words if (number := self._number.get(word)) is not None]
        if not numbers:
            return None
        if not self._sparse:
            if self._dense is None:
                self._dense = np.stack([_packed(self._holding(number), self.width) for number in range(len(self._number))])
            found: Words = np.bitwise_or.reduce(self._dense[numbers, begin:end], axis=0)
            return found
        holding: list[Places] = []
        for number in numbers:
            members = self._holding(number)
            low, high = (0, len(members)) if end - begin == self.width else members.searchsorted((begin * 64, end * 64))
            if high > low:
                holding.append(members[low:high] - begin * 64)
        return _packed(np.concatenate(holding), end - begin) if holding else None

    def _holding(self, number: int) -> Places:
        return self._members[self._bounds[number] : self._bounds[number + 1]]

    def words_to(self, right: str) -> tuple[str, ...]:
        """Of words `LEFT:RIGHT` those with this right side."""
        found = self._by_right
        if found is None:
            sorted_out: dict[str, list[str]] = {}
            for word in self.words:
                sorted_out.setdefault(word.partition(":")[2], []).append(word)
            found = self._by_right = {side: tuple(words) for side, words in sorted_out.items()}
        return found.get(right, ())

    def empty(self, begin: int, end: int) -> Words:
        """The labels whose set is empty, in a block."""
        if self._empty is None:
            blank = np.array([value == () for value in self.values], dtype=bool)
            self._empty = _packed(np.flatnonzero(blank[self.codes]).astype(np.int32), self.width)
        return self._empty[begin:end]


def _places(words: Words) -> Places:
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).astype(np.int32)


def _packed(places: Places, width: int) -> Words:
    bits = np.zeros(width * 64, dtype=np.uint8)
    bits[places] = 1
    return np.packbits(bits, bitorder="little").view(np.uint64)


def _spread(truth: NDArray[np.bool_], codes: Places, begin: int, end: int) -> Words | None:
    """The labels whose value is one of those that are so, in a block."""
    own = truth[codes[begin * 64 : end * 64]]
    if not own.any():
        return None
    bits = np.zeros((end - begin) * 64, dtype=bool)
    bits[: len(own)] = own
    return np.packbits(bits, bitorder="little").view(np.uint64)


# --- asking ---------------------------------------------------------------------------------------------------------


def released(snapshot: Snapshot, labels: LabelColumns, whom: Sequence[ForWhom], *, action: str = "release") -> Bits:
    """The labels for which `snapshot.decide` says `release`, for each of these."""
    return _Deciding(snapshot, labels).decide(whom, action, refer=False).released


def outcomes(snapshot: Snapshot, labels: LabelColumns, whom: Sequence[ForWhom], *, action: str = "release") -> Outcomes:
    """The labels for which `snapshot.decide` says `release` and `refer`, for each of these."""
    return _Deciding(snapshot, labels).decide(whom, action, refer=True)


def released_after(known: Bits, before: Snapshot, after: Snapshot, labels: LabelColumns, *, action: str = "release") -> Bits:
    """As `released(after, labels, known.whom)`, where `known` is what `before` releases.

    Only those are asked about, and only the labels, for which a row that one of the two snapshots lacks may be true: of all other
    rows the effect is known. What was decided by the row side is asked anew, since what is raised may depend on the order of the rows.
    """
    old, new = _Deciding(before, labels), _Deciding(after, labels)
    if old.engine is None or new.engine is None or old.world != new.world or new.effect is Effect.PRIORITY:
        return released(after, labels, known.whom, action=action)
    rows = set(old.engine.rows), set(new.engine.rows)
    gone, come = frozenset(rows[0] - rows[1]), frozenset(rows[1] - rows[0])
    whole: list[int] = []
    part: list[int] = []
    touched = np.zeros(labels.width, np.uint64)
    for number, one in enumerate(known.whom):
        own = [None] if number in known.aside else [old.touched(one, action, gone), new.touched(one, action, come)]
        if any(labels_touched is None for labels_touched in own):
            whole.append(number)
            continue
        column = np.bitwise_or.reduce([labels_touched for labels_touched in own if labels_touched is not None])
        if column.any():
            part.append(number)
            touched |= column
    places = _places(touched)
    if len(places) > labels.size // 2:
        whole, part = [*whole, *part], []
    words, aside = known.words.copy(), frozenset[int]()
    if whole:
        found = released(after, labels, [known.whom[number] for number in whole], action=action)
        words[whole], aside = found.words, frozenset(whole[place] for place in found.aside)
    if part:
        few = labels.chosen(places)
        found = released(after, few, [known.whom[number] for number in part], action=action)
        for number, own_words in zip(part, found.words, strict=True):
            bits = np.unpackbits(words[number].view(np.uint8), bitorder="little")
            bits[places] = np.unpackbits(own_words.view(np.uint8), bitorder="little")[: len(places)]
            words[number] = np.packbits(bits, bitorder="little").view(np.uint64)
    return Bits(known.whom, known.size, words, aside)


@dataclass(slots=True)
class _Remembered:
    """What functions have said, in one vocabulary."""

    truths: dict[Any, _Truth] = field(default_factory=dict)
    columns: dict[Any, Words] = field(default_factory=dict)
    """Of atoms that read no row: the same for every policy of this vocabulary."""
    unknown: Words | None = None
    whole: _Remembered | None = None
    """Of the labels that these were chosen from."""


@dataclass(frozen=True, slots=True)
class _Case:
    """Rows that are true for the same labels: what reads no row, what does, and their cells."""

    common: tuple[Shape, ...]
    of_rows: tuple[Shape, ...]
    columns: tuple[int, ...]
    cells: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class _Turn:
    """A run as cases. `effect` as in `plans.Run`."""

    effect: str
    cases: tuple[_Case, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that decides one question for one asker."""

    asker: tuple[str, str, str]
    turns: tuple[_Turn, ...]
    reached: tuple[tuple[int, int], ...]
    """The atoms of the label that may be evaluated, each with the mask of the rows on which it may."""


class _Deciding:
    """One snapshot asked about labels."""

    def __init__(self, snapshot: Snapshot, labels: LabelColumns) -> None:
        self._snapshot = snapshot
        self._labels = labels
        engine = snapshot.engine
        # An engine of another make is asked one by one: nothing is known of what it goes by.
        self.engine = engine if isinstance(engine, CompiledEngine) and engine.uncompiled is None and engine.rows else None
        # Without a rule there is none to name, so nothing is released and nobody may be asked, whatever the matcher says to blanks.
        self._without_rules = isinstance(engine, CompiledEngine) and not engine.rows
        if self.engine is not None and len(self.engine.request_columns) != _COLUMNS:
            self.engine = None
        if self.engine is not None:
            self.world: Any = _world(snapshot, self.engine)
            self._remembered = labels.remembered(self.world)
            self._asked = _Asked(self.engine, labels)
            self._numbers = {id(atom): number for number, atom in enumerate(self.engine.atoms)}
            self._of_row = [atom.of_row for atom in self.engine.atoms]
            self._of_asker = [tuple(index for index in atom.of_request if index < LABEL_FROM) for atom in self.engine.atoms]
            self.effect = self.engine.effect
            self._masks: dict[frozenset[tuple[str, ...]], int] = {}
            self._whole: _Block | None = None
            self._distinct_cells: dict[tuple[int, ...], tuple[NDArray[np.int64], list[tuple[str, ...]]]] = {}

    def decide(self, whom: Sequence[ForWhom], action: str, *, refer: bool) -> Outcomes:
        labels = self._labels
        shape = (len(whom), labels.width)
        released, referred = np.zeros(shape, np.uint64), np.zeros(shape if refer else (0, 0), np.uint64)
        odd = np.zeros(shape, np.uint64)
        planned: list[tuple[int, _Plan, _Plan | None]] = []
        for number, one in enumerate(whom):
            if not labels.size or self._without_rules or self._refused(one, action):
                continue
            try:
                planned.append((number, self.plan(one, action), self.plan(one, _REFER) if refer else None))
            except (Unsettled, NotCompiled):
                odd[number] = labels.full
        aside = frozenset(np.flatnonzero(odd.any(axis=1)).tolist())
        if planned:
            plans = [(number, own) for number, *both in planned for own in both if own is not None]
            raising = self._raising([own for _, own in plans])
            for number, own in plans if raising else ():
                self._set_aside(own, raising, odd[number])
            aside = frozenset(np.flatnonzero(odd.any(axis=1)).tolist())
            unknown = self._unknown()
            for number, _, _ in planned:
                odd[number] |= unknown
            for begin in range(0, labels.width, BLOCK_WORDS):
                block = _Block(self, labels, begin, min(begin + BLOCK_WORDS, labels.width))
                part = slice(block.begin, block.end)
                for number, plan, referring in planned:
                    allowed, matched = block.run(plan)
                    released[number, part] = allowed & matched & ~odd[number, part]
                    if referring is not None:
                        may, by = block.run(referring)
                        referred[number, part] = may & by & ~allowed & ~odd[number, part]
        self._one_by_one(whom, action, odd, released, referred if refer else None)
        return Outcomes(Bits(whom, labels.size, released, aside), Bits(whom if refer else (), labels.size, referred, aside))

    def touched(self, one: ForWhom, action: str, rows: frozenset[tuple[str, ...]]) -> Words | None:
        """The labels for which some of these rows may be true; None where that has to be asked label by label."""
        labels = self._labels
        if not rows or self._refused(one, action):
            return np.zeros(labels.width, np.uint64)
        if self.engine is None:
            return None
        if rows not in self._masks:
            self._masks = {**self._masks, rows: sum(1 << place for place, row in enumerate(self.engine.rows) if row in rows)}
        try:
            plan = self.plan(one, action, self._masks[rows])
        except (Unsettled, NotCompiled):
            return None
        if self._raising([plan]):
            return None
        if self._whole is None:
            self._whole = _Block(self, labels, 0, labels.width)
        return self._whole.any_row(plan)

    def plan(self, one: ForWhom, action: str, rows: int | None = None) -> _Plan:
        """What decides a question; what these rows have a part in, where there are any given.

        Raises:
            Unsettled, NotCompiled: it has to be asked label by label.
        """
        engine = self.engine
        if engine is None:
            raise NotCompiled
        asker = (one.partner, action, one.purpose)
        request = (*asker, "", *[()] * (_COLUMNS - LABEL_FROM - 1))

        def masks(number: int, need: int) -> tuple[int, int]:
            return engine.atom_masks(engine.atoms[number], request, need)

        runs = runs_of(
            engine.formula, self._numbers, masks, effect=engine.effect, allow_rows=engine.allow_rows, deny_rows=engine.deny_rows,
            rows=engine.every_row if rows is None else rows,
        )  # fmt: skip
        reached: dict[int, int] = {}
        for run in runs:
            for residue, mask in run.residues:
                for number in residue.reached:
                    reached[number] = reached.get(number, 0) | mask
        turns = tuple(_Turn(run.effect, self._cases(run)) for run in runs if run.effect)
        return _Plan(asker, turns, tuple(sorted(reached.items())))

    def truth(self, number: int, asker: tuple[str, str, str], cells: tuple[str, ...]) -> _Truth:
        """What an atom says of all labels, for the cells of the row columns it reads."""
        if self.engine is None:
            raise NotCompiled
        atom = self.engine.atoms[number]
        key = (number, self.of_asker(number, asker), cells)
        found = self._remembered.truths.get(key)
        if found is None:
            row = [""] * len(self.engine.row_columns)
            for column, cell in zip(atom.of_row, cells, strict=True):
                row[column] = cell
            if len(self._remembered.truths) >= TRUTHS_MAX:
                self._remembered.truths.clear()
            found = self._remembered.truths[key] = self._asked.truth(atom, asker, row)
        return found

    def column(self, number: int, asker: tuple[str, str, str]) -> Words:
        """The labels for which an atom that reads no row is true."""
        key = (number, self.of_asker(number, asker))
        found = self._remembered.columns.get(key)
        if found is None:
            if len(self._remembered.columns) * self._labels.width * 8 > COLUMN_BYTES_MAX:
                self._remembered.columns = {}
            found = self._remembered.columns[key] = self._column(number, asker, key)
        return found

    def _column(self, number: int, asker: tuple[str, str, str], key: Any) -> Words:
        known = None if self._remembered.whole is None else self._remembered.whole.columns.get(key)
        if known is not None:
            return self._labels.chosen_of(known)
        return self.truth(number, asker, ()).true(self._labels, 0, self._labels.width)

    def of_row(self, number: int) -> tuple[int, ...]:
        """The row columns an atom reads."""
        return self._of_row[number]

    def of_asker(self, number: int, asker: tuple[str, str, str]) -> tuple[str, ...]:
        """What an atom reads of the asker."""
        return tuple([asker[index] for index in self._of_asker[number]])

    def _cases(self, run: Run) -> tuple[_Case, ...]:
        found = []
        for residue, mask in run.residues:
            if residue.shape == FALSE:
                continue
            common, of_rows = split(residue.shape, lambda number: bool(self.of_row(number)))
            columns = tuple(sorted({column for shape in of_rows for number in atoms_in(shape) for column in self.of_row(number)}))
            found.append(_Case(common, of_rows, columns, self._cells(columns, mask)))
        return tuple(found)

    def _cells(self, columns: tuple[int, ...], mask: int) -> tuple[tuple[str, ...], ...]:
        """The distinct cells that the rows of a mask have in these columns."""
        if not columns or self.engine is None:
            return ((),)
        rows = self.engine.rows
        if mask.bit_count() <= _FEW_ROWS:
            return tuple(dict.fromkeys(tuple([rows[place][column] for column in columns]) for place in bits_of(mask)))
        if columns not in self._distinct_cells:
            numbers: dict[tuple[str, ...], int] = {}
            groups = np.array([numbers.setdefault(tuple([row[column] for column in columns]), len(numbers)) for row in rows], np.int64)
            self._distinct_cells[columns] = groups, list(numbers)
        groups, cells = self._distinct_cells[columns]
        bits = np.unpackbits(np.frombuffer(mask.to_bytes(-(-len(rows) // 8), "little"), np.uint8), bitorder="little")
        wanted = np.zeros(len(cells), bool)
        wanted[groups[np.flatnonzero(bits)]] = True
        return tuple([cells[group] for group in np.flatnonzero(wanted).tolist()])

    def _refused(self, one: ForWhom, action: str) -> bool:
        """Whether everything is withheld, whatever the label."""
        scheme = self._snapshot.scheme
        plain = Label(scheme.levels[0].name, originators=(scheme.own,))
        return self._snapshot.unknown(one.partner, action, plain, one.purpose) is not None

    def _unknown(self) -> Words:
        """The labels with a name that scheme or partner list lack, asked of the snapshot word by word."""
        whole = self._remembered.whole
        if self._remembered.unknown is None and whole is not None and whole.unknown is not None:
            self._remembered.unknown = self._labels.chosen_of(whole.unknown)
        if self._remembered.unknown is None:
            labels, scheme = self._labels, self._snapshot.scheme
            partner = min(scheme.partners)
            found = np.zeros(labels.width, np.uint64)

            def lacks(label: Label) -> bool:
                return self._snapshot.unknown(partner, "release", label, NONE) is not None

            level = scheme.levels[0].name
            levels = labels.column(LABEL_FROM)
            lost = np.array([lacks(Label(value, originators=(scheme.own,))) for value in levels.values], dtype=bool)
            spread = _spread(lost, levels.codes, 0, labels.width)
            if spread is not None:
                found |= spread
            for index, member in enumerate(_MEMBERS, start=LABEL_FROM + 1):
                column = labels.column(index)
                own = {} if member == "originators" else {"originators": (scheme.own,)}
                words = [word for word in column.words if lacks(Label(level, **{**own, member: (word,)}))]
                holding = column.union(words, 0, labels.width)
                if holding is not None:
                    found |= holding
            self._remembered.unknown = found
        return self._remembered.unknown

    def _raising(self, plans: Iterable[_Plan]) -> set[tuple[int, tuple[str, ...]]]:
        """The atoms, each with what it reads of the asker, that may raise on some label: nearly always none."""
        reached: dict[tuple[int, tuple[str, ...]], tuple[_Plan, int]] = {}
        for plan in plans:
            for number, mask in plan.reached:
                key = (number, self.of_asker(number, plan.asker))
                reached[key] = (plan, reached[key][1] | mask if key in reached else mask)
        return {
            (number, own)
            for (number, own), (plan, mask) in reached.items()
            if any(self.truth(number, plan.asker, cells).may_raise for cells in self._cells(self.of_row(number), mask))
        }

    def _set_aside(self, plan: _Plan, raising: Collection[tuple[int, tuple[str, ...]]], odd: Words) -> None:
        """Mark the labels on which an atom of the plan may raise."""
        for number, mask in plan.reached:
            if (number, self.of_asker(number, plan.asker)) not in raising:
                continue
            for cells in self._cells(self.of_row(number), mask):
                truth = self.truth(number, plan.asker, cells)
                if truth.may_raise:
                    odd |= truth.odd_labels(self._labels, 0, self._labels.width)

    def _one_by_one(self, whom: Sequence[ForWhom], action: str, odd: Words, released: Words, referred: Words | None) -> None:
        """Decide what was set aside, by the row side."""
        aside = Bits(whom, self._labels.size, odd)
        for number in np.flatnonzero(odd.any(axis=1)).tolist():
            one = whom[number]
            for place in aside.indices(number).tolist():
                outcome = self._snapshot.decide(one.partner, action, self._labels.labels[place], one.purpose).outcome
                bit = np.uint64(1 << (place & 63))
                if outcome is Outcome.RELEASE:
                    released[number, place >> 6] |= bit
                elif outcome is Outcome.REFER and referred is not None:
                    referred[number, place >> 6] |= bit


_MEMBERS: Final = ("categories", "releasable_to", "display_to", "caveats", "originators", "consents", "grants")
"""The sets of a label, in the order of the request columns from the second one of a label on."""


def _world(snapshot: Snapshot, engine: CompiledEngine) -> Any:
    """What the functions' answers about words depend on, besides their arguments: equal worlds, equal answers."""
    model = engine.get_model()
    roles = tuple((name, tuple(map(tuple, role.policy))) for name, role in sorted((model["g"] or {}).items()))
    columns = (engine.request_columns, engine.row_columns)
    return type(engine), engine_digest(), model["m"]["m"].value, engine.effect, columns, snapshot.scheme, roles


class _Block:
    """A block of labels: columns of atoms and of rows, each made once for all askers."""

    def __init__(self, deciding: _Deciding, labels: LabelColumns, begin: int, end: int) -> None:
        self.begin = begin
        self.end = end
        self._deciding = deciding
        self._labels = labels
        self._full = labels.full[begin:end]
        self._none = np.zeros(end - begin, np.uint64)
        self._atoms: dict[tuple[int, tuple[str, ...], tuple[str, ...]], Words] = {}
        self._rows: dict[Any, dict[tuple[str, ...], Words]] = {}

    def run(self, plan: _Plan) -> tuple[Words, Words]:
        """The labels for which the effect allows, and those for which some allow row is true."""
        effect = self._deciding.effect
        matched = self._none
        if effect is Effect.PRIORITY:
            allowed, open_ = self._none, self._full
            for turn in plan.turns:
                true = self._turn(turn, plan.asker)
                if turn.effect == "allow":
                    allowed, matched = allowed | (open_ & true), matched | true
                open_ = open_ & ~true
            return allowed, matched
        denied = self._none
        for turn in plan.turns:
            true = self._turn(turn, plan.asker)
            if turn.effect == "allow":
                matched = matched | true
            else:
                denied = denied | true
        match effect:
            case Effect.ALLOW_AND_DENY:
                return matched & ~denied, matched
            case Effect.ALLOW_OVERRIDE:
                return matched, matched
            case Effect.DENY_OVERRIDE:
                return self._full & ~denied, matched

    def any_row(self, plan: _Plan) -> Words:
        """The labels for which some row of the plan is true."""
        result = self._none
        for turn in plan.turns:
            result = result | self._turn(turn, plan.asker)
        return result

    def _turn(self, turn: _Turn, asker: tuple[str, str, str]) -> Words:
        result = self._none.copy()
        for case in turn.cases:
            common = self._full
            for shape in case.common:
                common = common & self._of_shape(shape, asker, (), ())
            if not case.of_rows:
                result |= common
                continue
            if not common.any():
                continue
            # Askers alike in what these shapes read of them share the columns.
            columns = self._rows.setdefault((case.of_rows, self._asker_of(case.of_rows, asker)), {})
            true = self._none.copy()
            for cells in case.cells:
                column = columns.get(cells)
                if column is None:
                    column = columns[cells] = self._of_cells(case, asker, cells)
                np.bitwise_or(true, column, out=true)
            np.bitwise_and(true, common, out=true)
            np.bitwise_or(result, true, out=result)
        return result

    def _of_cells(self, case: _Case, asker: tuple[str, str, str], cells: tuple[str, ...]) -> Words:
        result = self._full
        for shape in case.of_rows:
            result = result & self._of_shape(shape, asker, case.columns, cells)
        return result

    def _of_shape(self, shape: Shape, asker: tuple[str, str, str], columns: tuple[int, ...], cells: tuple[str, ...]) -> Words:
        if isinstance(shape, int):
            return self._of_atom(shape, asker, columns, cells)
        sign, parts = shape
        if sign == "!":
            return self._full & ~self._of_shape(parts[0], asker, columns, cells)
        result = self._full if sign == "&" else self._none
        for part in parts:
            own = self._of_shape(part, asker, columns, cells)
            result = result & own if sign == "&" else result | own
        return result

    def _of_atom(self, number: int, asker: tuple[str, str, str], columns: tuple[int, ...], cells: tuple[str, ...]) -> Words:
        of_row = self._deciding.of_row(number)
        if not of_row:
            return self._deciding.column(number, asker)[self.begin : self.end]
        own = tuple([cells[columns.index(column)] for column in of_row])
        key = (number, self._deciding.of_asker(number, asker), own)
        found = self._atoms.get(key)
        if found is None:
            found = self._atoms[key] = self._deciding.truth(number, asker, own).true(self._labels, self.begin, self.end)
        return found

    def _asker_of(self, shapes: tuple[Shape, ...], asker: tuple[str, str, str]) -> tuple[tuple[str, ...], ...]:
        """What of the asker these shapes read."""
        return tuple(self._deciding.of_asker(number, asker) for shape in shapes for number in sorted(atoms_in(shape)))


# --- what an atom says ----------------------------------------------------------------------------------------------

_Word = tuple[int, tuple[str, ...]]
"""Words of a request column: one of them is enough."""


@dataclass(slots=True)
class _Truth:
    """What an atom says of all labels, for one asker and the cells of one row. `odd` are the labels on which it may raise.

    Either by values: `values` of the columns `together`, true and odd. Or by words: for every label true where `always`, or where it
    holds a word of `some`; and if there is a set of which every word counts (`all_of`), then for the empty set `empty` (or a word of
    `some`), and otherwise false where it holds a word of `never`, or a word of `unless` without one of those beside it.
    """

    together: tuple[int, ...] = ()
    values: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None
    always: bool = False
    some: tuple[_Word, ...] = ()
    all_of: int | None = None
    never: tuple[str, ...] = ()
    unless: tuple[tuple[str, tuple[_Word, ...]], ...] = ()
    odd: bool = False
    odd_words: tuple[_Word, ...] = ()
    odd_empty: bool = False

    @property
    def may_raise(self) -> bool:
        """Whether there is any label on which it may."""
        if self.values is not None:
            return bool(self.values[1].any())
        return self.odd or self.odd_empty or bool(self.odd_words)

    def true(self, labels: LabelColumns, begin: int, end: int) -> Words:
        """The labels it is true of, in a block. Of odd ones it says nothing."""
        full = labels.full[begin:end]
        if self.values is not None:
            found = _spread(self.values[0], labels.distinct(self.together)[1], begin, end)
            return np.zeros(end - begin, np.uint64) if found is None else found
        if self.all_of is None:
            return full if self.always else _any(labels, self.some, begin, end)
        column = labels.column(self.all_of)
        result = full.copy()
        never = column.union(self.never, begin, end)
        if never is not None:
            result &= ~never
        for word, beside in self.unless:
            holding = column.union((word,), begin, end)
            if holding is not None:
                result &= ~holding | _any(labels, beside, begin, end)
        if not self.always:
            empty = column.empty(begin, end)
            result &= ~empty | _any(labels, self.some, begin, end)
        return result

    def odd_labels(self, labels: LabelColumns, begin: int, end: int) -> Words:
        """The labels on which it may raise, in a block."""
        if self.odd:
            return labels.full[begin:end]
        if self.values is not None:
            found = _spread(self.values[1], labels.distinct(self.together)[1], begin, end)
            return np.zeros(end - begin, np.uint64) if found is None else found
        result = _any(labels, self.odd_words, begin, end)
        if self.odd_empty and self.all_of is not None:
            result |= labels.column(self.all_of).empty(begin, end)
        return result


def _any(labels: LabelColumns, words: Iterable[_Word], begin: int, end: int) -> Words:
    result = np.zeros(end - begin, np.uint64)
    for index, own in words:
        found = labels.column(index).union(own, begin, end)
        if found is not None:
            result |= found
    return result


class _Asked:
    """The functions of one engine, asked about words and values of labels."""

    def __init__(self, engine: CompiledEngine, labels: LabelColumns) -> None:
        self._engine = engine
        self._labels = labels

    def truth(self, atom: Atom, asker: Sequence[str], row: Sequence[str]) -> _Truth:
        """What an atom says of all labels."""
        parts = parts_of(atom)
        of_label = tuple(index for index in atom.of_request if index >= LABEL_FROM)
        if parts is None or any(index >= LABEL_FROM for index in parts.scalars) or not self._are_sets(parts):
            return self._by_values(atom, asker, row, of_label)
        if parts.all_of is None:
            return self._by_some(atom, asker, row, parts)
        return self._by_all(atom, asker, row, parts, parts.all_of)

    def _are_sets(self, parts: Parts) -> bool:
        sets = [*parts.some_of, *([] if parts.all_of is None else [parts.all_of])]
        return all(index > LABEL_FROM for index in sets)

    def _value(self, atom: Atom, asker: Sequence[str], row: Sequence[str], of_label: Mapping[int, Any]) -> bool | None:
        """What it says; None where it raises, or answers what is no truth value."""
        request: list[Any] = [*asker, "", *[()] * (_COLUMNS - LABEL_FROM - 1)]
        for index, value in of_label.items():
            request[index] = value
        try:
            result = self._engine.evaluator.value(atom, request, row)
        except Exception:  # noqa: BLE001  one rule's evaluation: its labels are decided one by one, where it refuses with its reason
            return None
        return result if isinstance(result, bool) else None

    def _by_values(self, atom: Atom, asker: Sequence[str], row: Sequence[str], of_label: tuple[int, ...]) -> _Truth:
        values, _ = self._labels.distinct(of_label)
        said = [self._value(atom, asker, row, dict(zip(of_label, value, strict=True))) for value in values]
        true = np.array([one is True for one in said], dtype=bool)
        return _Truth(together=of_label, values=(true, np.array([one is None for one in said], dtype=bool)))

    def _by_some(self, atom: Atom, asker: Sequence[str], row: Sequence[str], parts: Parts) -> _Truth:
        always = self._value(atom, asker, row, {})
        if always is None:
            return _Truth(odd=True)
        some, odd = self._some(atom, asker, row, parts, {}, None)
        return _Truth(always=always, some=some, odd_words=odd)

    def _by_all(self, atom: Atom, asker: Sequence[str], row: Sequence[str], parts: Parts, all_of: int) -> _Truth:
        empty = self._value(atom, asker, row, {})
        some, odd = self._some(atom, asker, row, parts, {}, None)
        never: list[str] = []
        unless: list[tuple[str, tuple[_Word, ...]]] = []
        odd_words: list[str] = []
        odd_beside = list(odd)
        for word in self._labels.column(all_of).words:
            said = self._value(atom, asker, row, {all_of: (word,)})
            if said is None:
                odd_words.append(word)
            elif not said:
                beside, raising = self._some(atom, asker, row, parts, {all_of: (word,)}, word)
                odd_beside += raising
                if beside:
                    unless.append((word, beside))
                else:
                    never.append(word)
        return _Truth(
            always=bool(empty), some=some, all_of=all_of, never=tuple(never), unless=tuple(unless), odd_empty=empty is None,
            odd_words=(*odd_beside, *([(all_of, tuple(odd_words))] if odd_words else ())),
        )  # fmt: skip

    def _some(
        self, atom: Atom, asker: Sequence[str], row: Sequence[str], parts: Parts, beside: Mapping[int, Any], word: str | None
    ) -> tuple[tuple[_Word, ...], tuple[_Word, ...]]:
        """The words of which one is enough, beside at most one word of the set of which all count; and those on which it raises."""
        enough: list[_Word] = []
        odd: list[_Word] = []
        for index in parts.some_of:
            true: list[str] = []
            raising: list[str] = []
            for candidate in self._candidates(atom, asker, index, word):
                said = self._value(atom, asker, row, {**beside, index: (candidate,)})
                if said is None:
                    raising.append(candidate)
                elif said:
                    true.append(candidate)
            if true:
                enough.append((index, tuple(true)))
            if raising:
                odd.append((index, tuple(raising)))
        return tuple(enough), tuple(odd)

    def _candidates(self, atom: Atom, asker: Sequence[str], index: int, word: str | None) -> Iterator[str]:
        """The words of a column that can have a part in the answer (`Declared.paired`)."""
        words = self._labels.column(index).words
        declared = None if atom.call is None else atom.call.declared
        if atom.call is None or declared is None or declared.paired is None:
            yield from words
            return
        own, beside, of = declared.paired
        sources = dict(zip(declared.parameters, atom.call.arguments, strict=True))
        if sources[own].index != index or sources[of].index >= LABEL_FROM or sources[of].source != "request":
            yield from words
            return
        right = asker[sources[of].index]
        for candidate in self._labels.column(index).words_to(right):
            if word is None or not beside or candidate == f"{word}:{right}":
                yield candidate
