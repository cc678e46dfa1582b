"""One asker's share of a policy: what is left to compare once it is known who asks for what (DESIGN section 4, "The engine").

Partial evaluation. Of the matcher's atoms, those that read only the *asker's columns* (partner, action, purpose in the shipped model;
found from the matcher, never named here) and the rows are settled once. What remains is, per row, a conjunction of conditions on the
label; the rows that can still be true, or a near miss, are numbered anew: of 11,000 rows a few hundred concern one partner. Conditions
that read the same columns of the request make one *factor*: a table from the values of these columns to the mask of rows that meet all of
them. A decision is then one lookup per factor and `&` between them, in one function written for the asker's shape.

A value never seen before costs no evaluation of rows where the function is declared by its elements (`functions.Declared`): the masks of
its elements are joined. Two laws carry this, both tested for every declared function: the one of `all_of` and `some_of`, and the one on
raising: where f does not raise for the whole sets with some other arguments, and not for each element on this row, it does not raise for
the whole sets on this row.

Exact by keeping away from doubt: every row on which an atom may be *reached* is known (its exposure), and where one of these raises, or a
matcher does not fit this form, `Poisoned` or `TooWide` sends the request to `masks.Rows`, which goes the whole way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

from service.policy.effects import Effect
from service.policy.functions import Kind
from service.policy.masks import NotCompiled, Rows, bits, plain
from service.policy.matcher import And, Atom, Formula, Not, Or, Parts, atoms_of, parts_of
from service.policy.verdict import Explained, Missed, Misses, Verdict

COLUMNS_MAX = 4
"""Columns of one factor; a wider one would be a table with an entry for nearly every label."""
PIECES_MAX = 512
"""Different remainders of the matcher over the rows of one asker."""
ENTRIES_MAX = 250_000
"""Values remembered by all askers of an engine together; about 60 MB where every one is used. Beyond it remembering begins anew."""
SOUND_MAX = 65_536
"""Sets remembered per atom as such that the function takes; beyond it they are tried again."""

Left = bool | Formula
"""What remains of the matcher on some rows: settled, or a formula."""


class Poisoned(Exception):
    """A row that may be reached raises: the exact way has to say whether it counts."""


class TooWide(Exception):
    """The matcher does not fall apart into factors for this asker."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What all askers share: the rows and the matcher over them."""

    rows: Rows
    cells: Sequence[Sequence[str]]
    ids: Sequence[str]
    allow_rows: int
    deny_rows: int
    effect: Effect
    width: int
    asker_columns: tuple[int, ...]
    parts: Mapping[Atom, Parts | None]
    met: frozenset[Atom]
    """Atoms that are conditions of a rule: what a near miss can be made of."""
    sound: Mapping[Atom, set[tuple[Any, ...]]]
    kept: Kept
    places: tuple[int, ...]
    """The numbers of the rows, so that askers share them."""


class Kept:
    """How much is remembered; a race loses a count, which matters to nobody."""

    def __init__(self, most: int) -> None:
        self.count = 0
        self.most = most


def policy_of(
    rows: Rows,
    *,
    cells: Sequence[Sequence[str]],
    ids: Sequence[str],
    allow_rows: int,
    deny_rows: int,
    effect: Effect,
    width: int,
    roles: frozenset[str],
) -> Policy:
    """The shared part, from a matcher over rows.

    Args:
        width: how many columns a request has.
        roles: the names of Casbin's role functions.
    """
    return Policy(
        rows,
        cells,
        ids,
        allow_rows,
        deny_rows,
        effect,
        width,
        asker_columns=_asker_columns(rows.atoms, width),
        parts={atom: parts_of(atom) for atom in rows.atoms},
        met=frozenset(atom for atom in rows.atoms if _can_be_met(atom, roles)),
        sound={atom: set() for atom in rows.atoms},
        kept=Kept(ENTRIES_MAX),
        places=tuple(range(len(cells))),
    )


def _asker_columns(atoms: Iterable[Atom], width: int) -> tuple[int, ...]:
    """The columns that say who asks for what: words alone, compared for identity or looked up as a member, never for order or as a set."""
    words: set[int] = set()
    others: set[int] = set()
    for atom in atoms:
        parts = parts_of(atom)
        if parts is None:
            others.update(atom.of_request)
            continue
        others.update(parts.some_of)
        if parts.all_of is not None:
            others.add(parts.all_of)
        declared = None if atom.call is None else atom.call.declared
        if declared is None or declared.kind is not Kind.ORDER:
            words.update(parts.scalars)
    return tuple(column for column in range(width) if column in words and column not in others)


def _can_be_met(atom: Atom, roles: frozenset[str]) -> bool:
    """Whether an atom is a term of a rule, or of who asks, that could be met: see `NearMiss`."""
    if not atom.of_request:
        # What a row says of itself is not a condition that a request could meet.
        return False
    if atom.call is None:
        return bool(atom.of_row)
    return not (atom.call.name in roles and atom.of_row)


class Asker:
    """The rows that concern one asker, and its tables. Safe from many threads without a lock: a table is only added to, or emptied."""

    def __init__(self, policy: Policy, request: Sequence[Any]) -> None:
        """`request` is any request of the asker's: only its asker columns are read.

        Raises:
            Poisoned: a row raises for this asker whatever the label.
            TooWide: the matcher is not such that factors help.
            NotCompiled, TypeError: as `masks.AtomMasks.masks`.
        """
        self._policy = policy
        self._request = [request[column] if column in policy.asker_columns else "" for column in range(policy.width)]
        asked = frozenset(policy.asker_columns)
        self._known = {
            atom: tuple(self._request[i] for i in atom.of_request) for atom in policy.rows.atoms if asked.issuperset(atom.of_request)
        }
        self._exposed = dict.fromkeys(policy.rows.atoms, 0)
        self._pieces(policy.rows.formula, policy.rows.every_row, settle=True)
        # Most atoms are reached on the same rows: one number for all of them.
        alike: dict[int, int] = {}
        self._exposed = {atom: alike.setdefault(exposed, exposed) for atom, exposed in self._exposed.items()}
        pieces = [(mask, _conjuncts(left)) for mask, left in self._pieces(policy.rows.formula, policy.rows.every_row, settle=False)
                  if left is not False]  # fmt: skip
        # The conditions on the asker alone are settled, but kept apart, so that one that fails can be a near miss.
        zero = one = 0
        flips: list[tuple[Atom, int]] = []
        remaining: list[tuple[int, Formula]] = []
        for mask, conjuncts in pieces:
            met, failed = mask, 0
            for conjunct in conjuncts:
                if any(atom not in self._known for atom in atoms_of(conjunct)):
                    remaining.append((mask, conjunct))
                    continue
                holds = _truth(conjunct, self._settled, mask)
                missed = 0
                for atom, flip in _flips(conjunct, self._settled, mask, holds, policy.met):
                    missed |= flip
                    flips.append((atom, flip))
                failed = failed & holds | met & missed
                met &= holds
            zero |= met
            one |= failed
        self._picks = [policy.places[index] for index in bits(zero | one)]
        self._concerned = zero | one
        self._ones = (1 << len(self._picks)) - 1
        self._digits = _digits(self._picks, policy.places)
        self._zero, self._one = self._compact(zero), self._compact(one)
        self._allow, self._deny = self._compact(policy.allow_rows), self._compact(policy.deny_rows)
        self._settled_here = {atom: self._compact(self._settled(atom)) for atom in self._known if atom in policy.met}
        self._elements: dict[Atom, dict[tuple[Any, ...], int]] = {atom: {} for atom in policy.rows.atoms}
        self._verdicts: dict[int, Verdict] = {}
        # By what each factor comes to: many values are alike to an asker, and explanations of the same are the same.
        self._explanations: dict[tuple[_Near, ...], Explained] = {}
        self._missed = {atom: _Missed(self, atom) for atom in policy.met}
        self._factors = self._factored([(self._compact(mask), conjunct) for mask, conjunct in remaining])
        self._of_asker = [(atom, self._compact(flip)) for atom, flip in flips]
        self.decide, self.allows, self.explain = _written(policy.width, policy.effect, tuple(factor.columns for factor in self._factors))(
            self._verdicts, [factor.table for factor in self._factors], [factor.near for factor in self._factors],
            self._explanations, policy.kept, Misses, self._near(0, self._one, self._of_asker),
            self._zero, self._ones, self._allow, self._deny,
        )  # fmt: skip

    decide: Callable[[Any], Verdict]
    """The verdict of a request of this asker's whose values are all remembered; `KeyError` otherwise. The fast way."""
    allows: Callable[[Any], bool]
    """The outcome alone: no list of rows is looked up, or made."""
    explain: Callable[[Any], Explained]
    """The same with the near misses, if it does not allow."""

    def mask(self, request: Sequence[Any]) -> int:
        """The rows that are true, numbered as this asker's; whatever is missing is evaluated and remembered.

        Raises:
            Poisoned: a row that may be reached raises.
            NotCompiled, TypeError: as `masks.AtomMasks.masks`.
        """
        mask = self._zero
        for factor in self._factors:
            mask &= factor.of(request)
        return mask

    def verdict(self, mask: int) -> Verdict:
        """What follows from the rows that are true."""
        found = self._verdicts.get(mask)
        if found is None:
            allowing, denying = mask & self._allow, mask & self._deny
            found = Verdict(self._policy.effect.allows(allowing, denying), self._ids(allowing), self._ids(denying))
            self._remember(self._verdicts, mask, found, 2)
        return found

    def row(self, mask: int) -> int | None:
        """The last row that stock Casbin finds true before the effect is settled, by its place in the policy."""
        settled = self._policy.effect.settled(mask & self._allow, mask & self._deny)
        looked_at = mask & ((settled << 1) - 1) if settled else mask
        return self._picks[looked_at.bit_length() - 1] if looked_at else None

    def explained(self, request: Sequence[Any]) -> Explained:
        """As `explain`; whatever is missing is evaluated and remembered.

        Raises:
            as `mask`.
        """
        self.verdict(self.mask(request))
        for factor in self._factors:
            factor.near_of(request)
        return self.explain(request)

    def near_misses(self, request: Sequence[Any]) -> list[tuple[int, Atom]]:
        """Allow rows that one condition keeps from being true, by their place in the policy, each with that condition, whatever the
        verdict; whatever is missing is evaluated and remembered.

        Raises:
            as `mask`.
        """
        zero, one = self._zero, self._one
        flips: list[Sequence[tuple[Atom, int]]] = [self._of_asker]
        for factor in self._factors:
            near = factor.near_of(request)
            one = one & ~near.fails | zero & near.flipped
            zero &= ~near.fails
            flips.append(near.flips)
        one &= self._allow
        return [(self._picks[row], atom) for atom, flip in chain.from_iterable(flips) for row in bits(one & flip)]

    def _near(self, fails: int, flipped: int, flips: Sequence[tuple[Atom, int]]) -> _Near:
        missed = self._missed[flips[0][0]] if len(flips) == 1 else _MissedBySeveral(self, flips)
        return _Near(fails, flipped, missed, flips)

    def forget(self) -> None:
        """Empty the tables."""
        for factor in self._factors:
            factor.table.clear()
            factor.near.clear()
            factor.alike.clear()
        for elements in self._elements.values():
            elements.clear()
        for missed in self._missed.values():
            missed.clear()
        self._verdicts.clear()
        self._explanations.clear()

    # The matcher for this asker.

    def _pieces(self, node: Formula, reach: int, *, settle: bool) -> list[tuple[int, Left]]:
        """The rows of `reach`, parted by what remains of the matcher on them.

        With `settle` all that is known is put in, and `_exposed` learns which atoms may be reached on which rows. Without, what could be
        met (`Policy.met`) remains, known or not.
        """
        match node:
            case Atom():
                if node not in self._known:
                    if settle:
                        self._exposed[node] |= reach
                    return [(reach, node)]
                if not settle and node in self._policy.met:
                    return [(reach, node)]
                true, raised = self._policy.rows.tables[node].masks(self._known[node], reach)
                if settle and raised & reach:
                    raise Poisoned
                return [piece for piece in ((reach & true, True), (reach & ~true, False)) if piece[0]]
            case Not():
                return [
                    (mask, not left if isinstance(left, bool) else Not(left)) for mask, left in self._pieces(node.of, reach, settle=settle)
                ]
            case And():
                return self._joined(node, reach, settle=settle, ends=False)
            case Or():
                return self._joined(node, reach, settle=settle, ends=True)

    def _joined(self, node: And | Or, reach: int, *, settle: bool, ends: bool) -> list[tuple[int, Left]]:
        """The pieces of `&&` (which a false part ends) or `||` (which a true one ends)."""
        kind = type(node)
        open_: dict[tuple[Formula, ...], int] = {(): reach}
        ended = 0
        for part in node.of:
            following: dict[tuple[Formula, ...], int] = {}
            for before, mask in open_.items():
                for piece, left in self._pieces(part, mask, settle=settle):
                    if isinstance(left, bool):
                        if left is ends:
                            ended |= piece
                            continue
                        key = before
                    else:
                        key = before + (left.of if isinstance(left, kind) else (left,))
                    following[key] = following.get(key, 0) | piece
            if len(following) > PIECES_MAX:
                raise TooWide
            open_ = following
        pieces: list[tuple[int, Left]] = [(ended, ends)] if ended else []
        pieces.extend((mask, not ends if not key else key[0] if len(key) == 1 else kind(key)) for key, mask in open_.items())
        return pieces

    def _settled(self, atom: Atom) -> int:
        """A known atom's rows, over the whole policy; one that raises is no row that it is true on."""
        rows = self._policy.rows
        true, raised = rows.tables[atom].masks(self._known[atom], rows.every_row)
        return true & ~raised

    def _factored(self, remaining: list[tuple[int, Formula]]) -> list[_Factor]:
        wanted: dict[frozenset[int], dict[Formula, int]] = {}
        for mask, conjunct in remaining:
            if mask:
                of_columns = wanted.setdefault(self._columns(atoms_of(conjunct)), {})
                of_columns[conjunct] = of_columns.get(conjunct, 0) | mask
        # An atom that may be reached is looked at, also where nothing depends on its value: it may raise.
        for atom, exposed in self._exposed.items():
            if exposed:
                wanted.setdefault(self._columns((atom,)), {})
        if any(len(columns) > COLUMNS_MAX for columns in wanted):
            raise TooWide
        widest = [columns for columns in wanted if not any(columns < other for other in wanted)]
        factors = [_Factor(self, tuple(sorted(columns))) for columns in sorted(widest, key=sorted)]
        for columns, conjuncts in wanted.items():
            factor = next(factor for factor in factors if columns <= set(factor.columns))
            factor.add(conjuncts)
        for atom, exposed in self._exposed.items():
            if exposed:
                columns = self._columns((atom,))
                next(factor for factor in factors if columns <= set(factor.columns)).expose(atom)
        return factors

    def _columns(self, atoms: Iterable[Atom]) -> frozenset[int]:
        """The columns beside the asker's that these atoms read."""
        asked = self._policy.asker_columns
        return frozenset(column for atom in atoms for column in atom.of_request if column not in asked)

    # Values.

    def truth(self, atom: Atom, values: Mapping[int, Any]) -> int:
        """The asker's rows on which an atom is true. Rows on which it is never reached, and raises, are none.

        Args:
            values: those of the columns beside the asker's.

        Raises:
            Poisoned: it raises on a row on which it may be reached.
        """
        if atom in self._known:
            return self._settled_here[atom]
        if not self._exposed[atom] | self._concerned:
            return 0
        if not atom.of_row:
            # One call, whatever the rows.
            alike = self._policy.rows.tables[atom].alike(tuple([values.get(column, self._request[column]) for column in atom.of_request]))
            if alike is None and self._exposed[atom]:
                raise Poisoned
            return self._ones if alike else 0
        whole = {column: values[column] if column in values else self._request[column] for column in atom.of_request}
        parts = self._policy.parts[atom]
        sets = () if parts is None else parts.some_of if parts.all_of is None else (*parts.some_of, parts.all_of)
        if parts is None or not sets:
            return self._element(atom, whole)
        if any(type(whole[column]) is not tuple for column in sets):
            raise Poisoned
        self._check_sound(atom, whole, sets)
        none = whole | dict.fromkeys(sets, ())
        if parts.all_of is None or not whole[parts.all_of]:
            return self._some(atom, none, whole, parts.some_of)
        joined = self._ones
        for element in whole[parts.all_of]:
            joined &= self._some(atom, none | {parts.all_of: (element,)}, whole, parts.some_of)
        return joined

    def _some(self, atom: Atom, none: dict[int, Any], whole: Mapping[int, Any], some_of: tuple[int, ...]) -> int:
        joined = self._element(atom, none)
        for column in some_of:
            for element in whole[column]:
                joined |= self._element(atom, none | {column: (element,)})
        return joined

    def _element(self, atom: Atom, values: Mapping[int, Any]) -> int:
        key = tuple([values[column] for column in atom.of_request])
        elements = self._elements[atom]
        found = elements.get(key)
        if found is None:
            exposed = self._exposed[atom]
            true, raised = self._policy.rows.tables[atom].masks(key, exposed | self._concerned)
            if raised & exposed:
                raise Poisoned
            found = self._compact(true & ~raised)
            self._remember(elements, key, found, 1)
        return found

    def _check_sound(self, atom: Atom, whole: Mapping[int, Any], sets: tuple[int, ...]) -> None:
        """Hold that the function takes these sets as a whole: one call for sets never seen before, whatever the number of rows."""
        key = tuple([whole[column] for column in sets])
        if sum(map(len, key)) <= 1:
            return
        sound = self._policy.sound[atom]
        if key not in sound:
            values = tuple([whole[column] for column in atom.of_request])
            rows = self._exposed[atom] or self._concerned
            if self._policy.rows.tables[atom].raises(values, rows.bit_length() - 1):
                raise Poisoned
            if len(sound) >= SOUND_MAX:
                sound.clear()
            sound.add(key)

    def _compact(self, mask: int) -> int:
        """A mask over the policy's rows as one over the asker's."""
        mask &= self._concerned
        if not mask:
            return 0
        if mask == self._concerned:
            return self._ones
        return self._digits(mask)

    def _ids(self, mask: int) -> tuple[str, ...]:
        return tuple(sorted([self._policy.ids[self._picks[index]] for index in bits(mask)])) if mask else ()

    def _remember(self, table: dict[Any, Any], key: Any, value: Any, weight: int) -> None:
        self._policy.kept.count += weight
        table[key] = value


class _Factor:
    """The conditions that read the same columns: a table from values to the rows that meet all of them."""

    __slots__ = ("_asker", "_exposed", "_key", "_parts", "alike", "columns", "near", "table")

    def __init__(self, asker: Asker, columns: tuple[int, ...]) -> None:
        self.columns = columns
        self.table: dict[Any, int] = {}
        self.near: dict[Any, _Near] = {}
        self.alike: dict[tuple[Any, ...], _Near] = {}
        """Values that come to the same share one object, so that explanations are found by which objects they are made of."""
        self._asker = asker
        self._key: Callable[[Sequence[Any]], Any] = itemgetter(*columns)
        self._parts: list[tuple[int, Formula]] = []
        self._exposed: list[Atom] = []

    def add(self, conjuncts: Mapping[Formula, int]) -> None:
        """Conditions, with the rows that have them."""
        self._parts.extend((mask, conjunct) for conjunct, mask in conjuncts.items())

    def expose(self, atom: Atom) -> None:
        """An atom that has to be looked at, as it may raise."""
        self._exposed.append(atom)

    def of(self, request: Sequence[Any]) -> int:
        """The rows that meet the conditions."""
        key = self._key(request)
        found = self.table.get(key)
        if found is None:
            truth = self._truths(key)
            found = self._asker._ones
            for mask, conjunct in self._parts:
                found &= ~mask | _truth(conjunct, truth, mask)
            self._asker._remember(self.table, key, found, 1)
        return found

    def near_of(self, request: Sequence[Any]) -> _Near:
        """The rows that fail the conditions, those of them that one condition fails, and which."""
        key = self._key(request)
        found = self.near.get(key)
        if found is None:
            truth = self._truths(key)
            holds, failed = self._asker._ones, 0
            flips: list[tuple[Atom, int]] = []
            # As for a decision over factors: a row is near as long as one of its conditions fails, and that by one atom.
            for mask, conjunct in self._parts:
                met = _truth(conjunct, truth, mask)
                missed = 0
                for atom, flip in _flips(conjunct, truth, mask, met, self._asker._policy.met):
                    missed |= flip
                    flips.append((atom, flip))
                met |= self._asker._ones & ~mask
                failed = failed & met | holds & missed
                holds &= met
            found = self.alike.setdefault((holds, failed, *flips), self._asker._near(self._asker._ones ^ holds, failed, flips))
            self._asker._remember(self.near, key, found, 4)
        return found

    def _values(self, key: Any) -> dict[int, Any]:
        return {self.columns[0]: key} if len(self.columns) == 1 else dict(zip(self.columns, key, strict=True))

    def _truths(self, key: Any) -> Callable[[Atom], int]:
        values = self._values(key)
        if not all(map(plain, values.values())):
            raise NotCompiled
        truths = {atom: self._asker.truth(atom, values) for atom in self._exposed}

        def of(atom: Atom) -> int:
            found = truths.get(atom)
            if found is None:
                found = truths[atom] = self._asker.truth(atom, values)
            return found

        return of


class _Near:
    """What the conditions of a factor, or those on the asker alone, come to; one and the same only to itself."""

    __slots__ = ("fails", "flipped", "flips", "missed")

    def __init__(self, fails: int, flipped: int, missed: _Missed | _MissedBySeveral, flips: Sequence[tuple[Atom, int]]) -> None:
        self.fails = fails
        """The rows that fail."""
        self.flipped = flipped
        """Those of them that one condition fails."""
        self.missed = missed
        self.flips = flips

    def rules(self, rows: int) -> tuple[Missed, ...]:
        """Of rows that fail here alone, which condition each misses."""
        rows &= self.flipped
        return self.missed[rows] if rows else ()


class _Missed(dict[int, tuple[Missed, ...]]):
    """By rows, which rules miss by one atom: written when first read."""

    __slots__ = ("_asker", "_atom")

    def __init__(self, asker: Asker, atom: Atom) -> None:
        super().__init__()
        self._asker = asker
        self._atom = atom

    def __missing__(self, rows: int) -> tuple[Missed, ...]:
        asker, text = self._asker, self._atom.text
        found = ((text, asker._ids(rows)),)
        asker._remember(self, rows, found, 2 + rows.bit_count() // 16)
        return found


class _MissedBySeveral(dict[int, tuple[Missed, ...]]):
    """The same for a factor that several atoms can fail, at some values."""

    __slots__ = ("_asker", "_flips")

    def __init__(self, asker: Asker, flips: Sequence[tuple[Atom, int]]) -> None:
        super().__init__()
        self._asker = asker
        self._flips = flips

    def __missing__(self, rows: int) -> tuple[Missed, ...]:
        found: tuple[Missed, ...] = ()
        for atom, flip in self._flips:
            if rows & flip:
                found += self._asker._missed[atom][rows & flip]
        self._asker._remember(self, rows, found, 2)
        return found


def _conjuncts(left: Left) -> tuple[Formula, ...]:
    return () if isinstance(left, bool) else left.of if isinstance(left, And) else (left,)


def _truth(formula: Formula, of: Callable[[Atom], int], rows: int) -> int:
    """The rows of `rows` on which a formula is true, its atoms given; no short-circuits, as nothing raises here."""
    match formula:
        case Atom():
            return of(formula) & rows
        case Not():
            return rows & ~_truth(formula.of, of, rows)
        case And():
            for part in formula.of:
                rows = _truth(part, of, rows)
            return rows
        case Or():
            found = 0
            for part in formula.of:
                found |= _truth(part, of, rows & ~found)
            return found


def _flips(formula: Formula, of: Callable[[Atom], int], rows: int, holds: int, met: frozenset[Atom]) -> list[tuple[Atom, int]]:
    """For each atom the rows of `rows` on which it alone keeps a formula from being true."""
    found: list[tuple[Atom, int]] = []
    failing = rows & ~holds
    if not failing:
        return found
    for atom in atoms_of(formula):
        if atom in met:

            def flipped(other: Atom, *, turned: Atom = atom) -> int:
                return ~of(other) if other is turned else of(other)

            flip = _truth(formula, flipped, failing)
            if flip:
                found.append((atom, flip))
    return found


def _digits(picks: Sequence[int], places: Sequence[int]) -> Callable[[int], int]:
    """A function that takes the picked bits of a mask over all places, and makes a mask of them."""
    if not picks:
        return lambda mask: 0
    size = len(places)
    # The digits of a number stand with the highest first; picking characters is faster than shifting bits.
    pick = itemgetter(*[places[size - 1 - index] for index in reversed(picks)])
    return lambda mask: int("".join(pick(f"{mask:0{size}b}")), 2)


_ALLOWED = {
    Effect.ALLOW_AND_DENY: "z & allow != 0 and not z & deny",
    Effect.ALLOW_OVERRIDE: "z & allow != 0",
    Effect.DENY_OVERRIDE: "not z & deny",
    Effect.PRIORITY: "(z & (allow | deny)) & -(z & (allow | deny)) & allow != 0",
}
"""`Effect.allows`, of the rows `z` that are true, as text for `_written`."""
_Written = Callable[..., tuple[Callable[[Any], Verdict], Callable[[Any], bool], Callable[[Any], Explained]]]


@lru_cache(maxsize=4096)
def _written(width: int, effect: Effect, factors: tuple[tuple[int, ...], ...]) -> _Written:
    """The functions that decide for an asker whose factors read these columns, written out: a request taken apart, lookups, and `&`.

    Nothing of an officer's is in the text: it is made of the numbers of columns. Text to code does not go through `ast` objects, so it
    needs no lock.
    """
    numbers = range(len(factors))
    values = ", ".join(f"r{column}" for column in range(width))
    keys = [", ".join(f"r{column}" for column in columns) for columns in factors]
    met = " & ".join(f"T{number}[{key}]" for number, key in zip(numbers, keys, strict=True))
    lines = [
        "def make(V, tables, nears, E, kept, Misses, s, Z, ones, allow, deny):",
        *(f"    T{number}, N{number} = tables[{number}], nears[{number}]" for number in numbers),
        "    get, outside = E.get, ones ^ Z",
        "    def decide(request):",
        f"        {values}, = request",
        f"        return V[{' & '.join(('Z', met)) if met else 'Z'}]",
        "    def allows(request):",
        f"        {values}, = request",
        f"        z = {' & '.join(('Z', met)) if met else 'Z'}",
        f"        return {_ALLOWED[effect]}",
        "    def explain(request):",
        f"        {values}, = request",
        # One lookup a factor, as for a decision; what follows works on its result.
        *(f"        n{number} = N{number}[{key}]" for number, key in zip(numbers, keys, strict=True)),
        f"        kind = ({''.join(f'n{number}, ' for number in numbers)})",
        "        found = get(kind)",
        "        if found is not None:",
        "            return found",
        # Rows that fail once or more, and twice or more.
        "        once, twice = outside, 0",
    ]
    for number in numbers:
        lines += [
            f"        fails = n{number}.fails",
            "        twice |= once & fails" if number else "        twice = once & fails",
            "        once |= fails",
        ]
    lines += [
        "        verdict = V[ones ^ once]",
        "        o = 0 if verdict.allowed else (once ^ twice) & allow",
        "        E[kind] = found = verdict, Misses(o, s, kind) if o else ()",
        "        kept.count += 2",
        "        return found",
        "    return decide, allows, explain",
    ]
    written: dict[str, Any] = {}
    exec(compile("\n".join(lines), "<asker>", "exec"), written)  # noqa: S102  text of our own making, of column numbers alone
    made: _Written = written["make"]
    return made
