"""The meaning of rules, told in regions: for whoever asks, which possible labels a row is true for (DESIGN section 4).

Pure. Nothing is compared here: what an atom of the matcher says of a set is asked of the registered function itself, on the empty set
and on single words, and put together by the function's declared law (`Declared`). One meaning, then, for the engine and for the prover.

What is outside that is never guessed at: `CannotProve` names the construct. So it is where the matcher runs on stock Casbin, where an atom
reads a set in a way that is not declared, and where it raises for a label that scheme and partner list allow.

- `Meaning`: a matcher over rows, for one state of memberships and partners.
- `Rulebook`: a bundle over time, as the regions its rules allow and deny to an asker.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import product
from operator import itemgetter
from typing import Any

import casbin
from casbin.persist.adapters.string_adapter import StringAdapter
from casbin.util import generate_g_function

from service.errors import Rejected
from service.policy import functions
from service.policy.bundle import Bundle
from service.policy.functions import ACTIONS, ALL, ASKED_ACTIONS, NONE, BundleScheme
from service.policy.matcher import (
    PARSING,
    And,
    Atom,
    Evaluator,
    Formula,
    From,
    Not,
    Or,
    atoms_of,
    formula,
    parse_matcher,
    parts_of,
    uncompilable,
)
from service.policy.model_check import POLICY_COLUMNS, REQUEST_COLUMNS
from service.policy.regions import EVERYTHING, NOTHING, Has, Lacks, Paired, Region, Space, either, every, looked_at, outside, places
from service.policy.rows import Effect, Membership, Never, PartnerStatus, Period

ASKER_COLUMNS = ("partner", "action", "purpose")
"""The columns of a request that say who asks for what; the others are the label."""
LEVEL = "level"
SET_COLUMNS = tuple(column for column in REQUEST_COLUMNS if column not in (*ASKER_COLUMNS, LEVEL))
NEVER_COLUMNS = ("id", "grantee", "action", "level", "categories", "caveats", "originator")
NEVER_MATCHER = (
    "g(r.partner, p.grantee) && forbids(p.action, r.action) && issued_by(p.originator, r.originators) && at_least(r.level, p.level) && "
    "touches(p.categories, r.categories) && touches(p.caveats, r.caveats)"
)
"""What lies in a `never` statement: the half of the shipped model that denies. A statement is a promise about the rules, so it does not
change its meaning with the matcher that they are read by."""
MEANINGS_KEPT_MAX = 16
"""States of memberships whose answers are remembered, the least used going first; a bundle has one for each date of its communities."""


class CannotProve(Rejected):
    """A construct outside what can be proved. The message names it; nothing is claimed about it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="cannot-prove")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for what, for which purpose. `action` may be `refer`, which the engine asks itself."""

    partner: str
    action: str
    purpose: str = NONE


@dataclass(frozen=True, slots=True)
class Look:
    """What an asker's rows come to before any label is looked at.

    `at` are the groups of rows (a bit each) that have to be looked at: for the others the matcher is false, and comes to nothing that the
    label has a part in. `truths` are, by group, the values of the atoms about the asker; None where one raises. Askers with the same
    `values`, those that the label's atoms read, and the same truths are told the same.
    """

    at: int
    values: tuple[str, ...]
    truths: tuple[tuple[bool | None, ...], ...]


class Meaning:
    """A matcher over rows, by the functions of one enforcer; it remembers what they answered.

    Args:
        whole: the matcher, taken apart.
        evaluator: Casbin's own, with the functions registered.
        scheme: whose words the functions know; nothing is asked of others.
    """

    def __init__(self, whole: Formula, evaluator: Evaluator, *, request_columns: Sequence[str], scheme: BundleScheme, space: Space) -> None:
        self._evaluator = evaluator
        self._columns = tuple(request_columns)
        self._space = space
        self._scheme = scheme
        self._issuers = (*sorted(scheme.partners), scheme.own)
        codes = (*self._issuers, *sorted(scheme.communities))
        self._words: dict[str, tuple[str, ...]] = {
            "categories": scheme.categories,
            "caveats": scheme.caveats,
            "originators": self._issuers,
            "releasable_to": codes,
            "display_to": codes,
        }
        self._level = self._columns.index(LEVEL)
        self._sets = {self._columns.index(column): column for column in SET_COLUMNS}
        asker = frozenset(self._columns.index(column) for column in ASKER_COLUMNS)
        self._of_asker = asker
        self._whole = whole
        self._about_asker = tuple(atom for atom in atoms_of(whole) if asker.issuperset(atom.of_request))
        self._place = {atom: place for place, atom in enumerate(self._about_asker)}
        self._read = tuple(sorted({i for atom in atoms_of(whole) if atom not in self._place for i in atom.of_request if i in asker}))
        self._values: dict[tuple[Any, ...], bool | CannotProve] = {}
        self._left: dict[tuple[bool | None, ...], Formula | bool] = {}
        self._regions: dict[tuple[Any, ...], Region] = {}
        self._plans: dict[int, _Plan] = {}
        self._parts: dict[tuple[Any, ...], Region] = {}
        self._blank: tuple[Any, ...] = tuple(() if i in self._sets else "" for i in range(len(self._columns)))

    def guards(self) -> tuple[int, ...]:
        """The columns of a row that the atoms about the asker read."""
        return tuple(sorted({column for atom in self._about_asker for column in atom.of_row}))

    def look(self, rows: Sequence[Sequence[str]], asker: Asker, known: dict[tuple[Any, ...], tuple[int, int]]) -> Look:
        """Which of these rows an asker has to look at, and what is true of them.

        Args:
            known: kept by the caller for these rows, and given again.
        """
        request = self._request(asker)
        values = []
        for atom in self._about_asker:
            key = (atom, *(request[i] for i in atom.of_request))
            found = known.get(key)
            if found is None:
                found = known[key] = self._truths(atom, rows, request)
            values.append(found)
        every_row = (1 << len(rows)) - 1
        true, _, at = self._reach(self._whole, every_row, values)
        at |= true
        truths = []
        for place in places(at):
            bit = 1 << place
            truths.append(tuple(True if yes & bit else False if no & bit else None for yes, no in values))
        return Look(at, tuple(request[i] for i in self._read), tuple(truths))

    def region(self, row: Sequence[str], asker: Asker, truths: tuple[bool | None, ...] | None = None) -> Region:
        """The possible labels for which the row is true.

        Args:
            truths: of the atoms about the asker, where they are known (`Look`).

        Raises:
            CannotProve: the matcher holds what is not understood, and this row comes to it.
        """
        request = self._request(asker)
        if truths is None:
            values = [self._value(atom, row, request) for atom in self._about_asker]
            truths = tuple(None if isinstance(value, CannotProve) else value for value in values)
        left = self._left.get(truths)
        if left is None:
            left = self._left[truths] = self._without_asker(self._whole, truths)
        return self._region(left, row, request)

    def _request(self, asker: Asker) -> tuple[Any, ...]:
        return (asker.partner, asker.action, asker.purpose, *self._blank[3:])

    def _truths(self, atom: Atom, rows: Sequence[Sequence[str]], request: tuple[Any, ...]) -> tuple[int, int]:
        true = false = 0
        for place, row in enumerate(rows):
            value = self._value(atom, row, request)
            if value is True:
                true |= 1 << place
            elif value is False:
                false |= 1 << place
        return true, false

    def _reach(self, part: Formula, reached: int, values: Sequence[tuple[int, int]]) -> tuple[int, int, int]:
        """Of the rows that come to a part: those for which it may be true, may be false, and those with something to look at in it."""
        match part:
            case And():
                false = look = 0
                for inner in part.of:
                    reached, may_not, at = self._reach(inner, reached, values)
                    false |= may_not
                    look |= at
                    if not reached:
                        break
                return reached, false, look
            case Or():
                true = look = 0
                for inner in part.of:
                    may, reached, at = self._reach(inner, reached, values)
                    true |= may
                    look |= at
                    if not reached:
                        break
                return true, reached, look
            case Not():
                true, false, look = self._reach(part.of, reached, values)
                return false, true, look
            case Atom():
                place = self._place.get(part)
                if place is None:
                    return reached, reached, reached
                true, false = values[place]
                raising = reached & ~(true | false)
                return reached & true | raising, reached & false | raising, raising

    def _without_asker(self, part: Formula, truths: tuple[bool | None, ...]) -> Formula | bool:
        """The formula with the values of the atoms about the asker put in. What raises is left, so that whoever comes to it is told."""
        match part:
            case And() | Or():
                settles = isinstance(part, Or)
                left: list[Formula] = []
                for inner in part.of:
                    found = self._without_asker(inner, truths)
                    if found is settles:
                        # What stands behind is not looked at; what stands before is, and may raise.
                        return part.__class__((*left, Or(()) if not settles else And(()))) if left else settles
                    if not isinstance(found, bool):
                        left.append(found)
                if not left:
                    return not settles
                return left[0] if len(left) == 1 else part.__class__(tuple(left))
            case Not():
                found = self._without_asker(part.of, truths)
                return not found if isinstance(found, bool) else Not(found)
            case Atom():
                place = self._place.get(part)
                truth = None if place is None else truths[place]
                return part if truth is None else truth

    def _region(self, part: Formula | bool, row: Sequence[str], request: tuple[Any, ...]) -> Region:
        match part:
            case bool():
                return EVERYTHING if part else NOTHING
            case And():
                return self._of_and(part, row, request)
            case Or():
                return either([self._region(inner, row, request) for inner in part.of])
            case Not():
                return outside(self._region(part.of, row, request))
            case Atom():
                if part in self._place:
                    value = self._value(part, row, request)
                    if isinstance(value, CannotProve):
                        raise value
                    return EVERYTHING if value else NOTHING
                return self._of_label(part, row, request)

    def _of_and(self, part: And, row: Sequence[str], request: tuple[Any, ...]) -> Region:
        """What row and label say to any asker, and what asker and label say of any row, are found out once."""
        plan = self._plans.get(id(part))
        if plan is None:
            plan = self._plans[id(part)] = _plan(part, self._of_asker, frozenset(self._place))
        regions = []
        if plan.of_row:
            key = (id(part), *row)
            found = self._parts.get(key)
            if found is None:
                found = self._parts[key] = every([self._of_label(atom, row, request) for atom in plan.of_row])
            regions.append(found)
        if plan.of_asker:
            key = (id(part), *request[:3])
            found = self._parts.get(key)
            if found is None:
                found = self._parts[key] = every([self._of_label(atom, row, request) for atom in plan.of_asker])
            regions.append(found)
        regions += [self._region(inner, row, request) for inner in plan.rest]
        return every(regions)

    def _value(self, atom: Atom, row: Sequence[str], request: tuple[Any, ...]) -> bool | CannotProve:
        """An atom in which the label has no part."""
        key = (atom, *(request[i] for i in atom.of_request), *(row[i] for i in atom.of_row))
        found = self._values.get(key)
        if found is None:
            try:
                found = self._ask(atom, request, row)
            except CannotProve as reason:
                found = reason
            self._values[key] = found
        return found

    def _of_label(self, atom: Atom, row: Sequence[str], request: tuple[Any, ...]) -> Region:
        key = (atom, *(request[i] for i in atom.of_request if i in self._of_asker), *(row[i] for i in atom.of_row))
        found = self._regions.get(key)
        if found is None:
            found = self._regions[key] = self._by_level(atom, row, request)
        return found

    # Asking the functions.

    def _ask(self, atom: Atom, request: Sequence[Any], row: Sequence[str]) -> bool:
        try:
            value = self._evaluator.value(atom, request, row)
        except Exception as raised:
            # Around one rule's evaluation (house style): what raises is refused, here by name.
            raise CannotProve(f"`{atom.text}` cannot be evaluated: {raised}") from raised
        if value is True or value is False:
            return value
        raise CannotProve(f"`{atom.text}` is no truth value")

    def _by_level(self, atom: Atom, row: Sequence[str], request: tuple[Any, ...]) -> Region:
        if self._level not in atom.of_request:
            return self._by_sets(atom, row, request)
        regions: list[tuple[int, Region]] = []
        for level in self._scheme.levels:
            asked = (*request[: self._level], level.name, *request[self._level + 1 :])
            regions.append((self._space.bit(LEVEL, level.name), self._by_sets(atom, row, asked)))
        if all(region == EVERYTHING for _, region in regions):
            return EVERYTHING
        return either(every((Has(bit), region)) for bit, region in regions)

    def _by_sets(self, atom: Atom, row: Sequence[str], request: tuple[Any, ...]) -> Region:
        if not any(column in self._sets for column in atom.of_request):
            return EVERYTHING if self._ask(atom, request, row) else NOTHING
        parts = parts_of(atom)
        if parts is None:
            raise CannotProve(f"`{atom.text}` reads a set of the label in a way that is not declared")
        for column in (*parts.some_of, *(() if parts.all_of is None else (parts.all_of,))):
            if column not in self._sets:
                raise CannotProve(f"`{atom.text}` takes `r.{self._columns[column]}` for a set")
        for column in parts.scalars:
            if column in self._sets:
                raise CannotProve(f"`{atom.text}` takes the set `r.{self._columns[column]}` for a word")

        def says(given: dict[int, tuple[str, ...]]) -> bool:
            asked = list(request)
            for column, words in given.items():
                asked[column] = words
            return self._ask(atom, asked, row)

        some = [(column, self._candidates(atom, column, row, request)) for column in parts.some_of]
        if parts.all_of is None:
            return self._of_some(says, {}, some)
        return self._of_all(atom, says, parts.all_of, some, request)

    def _of_some(
        self,
        says: Callable[[dict[int, tuple[str, ...]]], bool],
        given: dict[int, tuple[str, ...]],
        some: Iterable[tuple[int, tuple[str, ...]]],
    ) -> Region:
        """By the law of `some_of`, with the set of `all_of` at one word or none."""
        if says(given):
            return EVERYTHING
        words = 0
        for column, candidates in some:
            name = self._sets[column]
            # `*` stands alone in an audience, so it is asked for alone.
            groups = [tuple(word for word in candidates if word != ALL), (ALL,) if ALL in candidates else ()]
            for group in groups:
                for word in _singled_out(group, lambda asked, column=column: says({**given, column: asked})):  # type: ignore[misc]
                    words |= self._bit(name, word)
        return Has(words) if words else NOTHING

    def _of_all(
        self,
        atom: Atom,
        says: Callable[[dict[int, tuple[str, ...]]], bool],
        column: int,
        some: list[tuple[int, tuple[str, ...]]],
        request: tuple[Any, ...],
    ) -> Region:
        """By the law of `all_of`: what each word needs, and what the empty set says."""
        name = self._sets[column]
        if name not in self._words:
            raise CannotProve(f"`{atom.text}` asks something of every word of `r.{name}`")
        needs: list[Region] = []
        lacking: list[str] = []
        words = self._words[name] if name not in ("releasable_to", "display_to") else (*self._words[name], ALL)
        groups = [tuple(word for word in words if word != ALL), (ALL,) if ALL in words else ()]
        for group in groups:
            lacking.extend(_singled_out(group, lambda asked: not says({column: asked})))
        if some and lacking:
            pairable = self._paired_with(atom, column, some)
            if pairable is not None:
                paired = [word for word in lacking if says({column: (word,), pairable: (f"{word}:{request[0]}",)})]
                if paired:
                    needs.append(Paired(self._space.bits(name, paired)))
                lacking = [word for word in lacking if word not in set(paired)]
            else:
                for word in lacking:
                    enough = self._of_some(says, {column: (word,)}, some)
                    needs.append(either((Lacks(self._space.bit(name, word)), enough)))
                lacking = []
        if lacking:
            needs.append(Lacks(self._space.bits(name, lacking)))
        if name != "originators":
            # A label always has an originator; every other set may be empty.
            empty = self._of_some(says, {}, some)
            if empty != EVERYTHING:
                needs.append(either((Has(self._space.bits(name, words)), empty)))
        return every(needs)

    def _candidates(self, atom: Atom, column: int, row: Sequence[str], request: Sequence[Any]) -> tuple[str, ...]:
        """The words of a set that may matter to this asker."""
        name = self._sets[column]
        if name in ("releasable_to", "display_to"):
            return (*self._words[name], ALL)
        if name in self._words:
            return self._words[name]
        # Consents and grants: `LEFT:RIGHT`, of which by the declared law only those to one partner count.
        call = atom.call
        declared = None if call is None else call.declared
        if call is None or declared is None or declared.paired is None:
            raise CannotProve(f"`{atom.text}` reads `r.{name}` in a way that is not declared")
        of, _, right = declared.paired
        arguments = dict(zip(declared.parameters, call.arguments, strict=True))
        if arguments[of].source is not From.REQUEST or arguments[of].index != column:
            raise CannotProve(f"`{atom.text}` reads `r.{name}` in a way that is not declared")
        if arguments[right].of(request, row) != request[0]:
            raise CannotProve(f"`{atom.text}` looks at what is to another than the partner who asks")
        lefts = self._issuers if name == "consents" else ASKED_ACTIONS
        return tuple(f"{left}:{request[0]}" for left in lefts)

    def _paired_with(self, atom: Atom, column: int, some: Sequence[tuple[int, tuple[str, ...]]]) -> int | None:
        """The column of which each originator needs its own consent, where the law says so of all that `some` has."""
        call = atom.call
        if call is None or call.declared is None or call.declared.paired is None or len(some) != 1:
            return None
        of, left, _ = call.declared.paired
        if not left or self._sets[some[0][0]] != "consents" or self._sets[column] != "originators":
            return None
        arguments = dict(zip(call.declared.parameters, call.arguments, strict=True))
        if (arguments[of].source, arguments[of].index) != (From.REQUEST, some[0][0]):
            return None
        if (arguments[left].source, arguments[left].index) != (From.REQUEST, column):
            return None
        return some[0][0]

    def _bit(self, name: str, word: str) -> int:
        return self._space.bit(name, word.partition(":")[0] if name in ("consents", "grants") else word)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The parts of an `&&`: atoms of row and label, atoms of asker and label, and all else."""

    of_row: tuple[Atom, ...]
    of_asker: tuple[Atom, ...]
    rest: tuple[Formula, ...]


def _plan(whole: And, of_asker: frozenset[int], about_asker: frozenset[Atom]) -> _Plan:
    parts: list[Formula] = []
    waiting: list[Formula] = list(reversed(whole.of))
    while waiting:
        part = waiting.pop()
        if isinstance(part, And):
            waiting.extend(reversed(part.of))
        else:
            parts.append(part)
    atoms = [part for part in parts if isinstance(part, Atom) and part not in about_asker]
    rows = tuple(atom for atom in atoms if of_asker.isdisjoint(atom.of_request))
    askers = tuple(atom for atom in atoms if atom not in rows and not atom.of_row)
    return _Plan(rows, askers, tuple(part for part in parts if part not in rows and part not in askers))


def _singled_out(words: tuple[str, ...], says: Callable[[tuple[str, ...]], bool]) -> Iterator[str]:
    """The words for which a question is answered yes: one for a set exactly where it is for some word of it. By halves."""
    if not words or not says(words):
        return
    if len(words) == 1:
        yield words[0]
        return
    half = len(words) // 2
    yield from _singled_out(words[:half], says)
    yield from _singled_out(words[half:], says)


@lru_cache(maxsize=MEANINGS_KEPT_MAX)
def space_of(*schemes: BundleScheme) -> Space:
    """The space of these schemes' labels."""
    return Space.of(*schemes)


@lru_cache(maxsize=MEANINGS_KEPT_MAX)
def _meanings(model: str, scheme: BundleScheme, roles: str, space: Space) -> tuple[Meaning | CannotProve, Meaning]:
    """The bundle's matcher and that of `never` statements, in one state of partners and memberships."""
    with PARSING:
        enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=model), StringAdapter(roles or "#"))
    functions.register(enforcer, scheme)
    parsed = enforcer.get_model()
    callables: dict[str, Any] = dict(enforcer.fm.get_functions())
    for name, assertion in (parsed["g"] or {}).items():
        callables[name] = generate_g_function(assertion.rm)
    request_columns, row_columns = parsed["r"]["r"].tokens, parsed["p"]["p"].tokens
    roles_known = frozenset(parsed["g"] or ())

    def meaning(text: str, columns: Sequence[str]) -> Meaning:
        tree = parse_matcher(text)
        problem = uncompilable(tree, roles=roles_known)
        if problem is not None:
            raise CannotProve(f"the matcher is not compiled: {problem}")
        whole = formula(tree, request_columns=request_columns, row_columns=columns)
        evaluator = Evaluator(callables, request_columns=request_columns, row_columns=columns)
        words = tuple(column.partition("_")[2] for column in request_columns)
        return Meaning(whole, evaluator, request_columns=words, scheme=scheme, space=space)

    never = meaning(NEVER_MATCHER, [f"p_{column}" for column in NEVER_COLUMNS])
    try:
        return meaning(parsed["m"]["m"].value, row_columns), never
    except CannotProve as reason:
        return reason, never


class Rows:
    """What rules say to an asker: the faces that can be true for some label, and the labels for which each is."""

    __slots__ = ("_allowed_set", "_denied_set", "_looked_at", "allow_faces", "allowed", "denied", "deny_faces")

    def __init__(
        self,
        allow_faces: tuple[int, ...] = (),
        allowed: tuple[Region, ...] = (),
        deny_faces: tuple[int, ...] = (),
        denied: tuple[Region, ...] = (),
    ) -> None:
        self.allow_faces = allow_faces
        self.allowed = allowed
        self.deny_faces = deny_faces
        self.denied = denied
        self._allowed_set: frozenset[Region] | None = None
        self._denied_set: frozenset[Region] | None = None
        self._looked_at: dict[int, None] | None = None

    @property
    def allow(self) -> tuple[tuple[int, Region], ...]:
        """The allow rows, each with its region."""
        return tuple(zip(self.allow_faces, self.allowed, strict=True))

    @property
    def deny(self) -> tuple[tuple[int, Region], ...]:
        """The deny rows, each with its region."""
        return tuple(zip(self.deny_faces, self.denied, strict=True))

    @property
    def allowed_set(self) -> frozenset[Region]:
        """The regions of the allow rows, as a set."""
        if self._allowed_set is None:
            self._allowed_set = frozenset(self.allowed)
        return self._allowed_set

    @property
    def denied_set(self) -> frozenset[Region]:
        """The regions of the deny rows, as a set."""
        if self._denied_set is None:
            self._denied_set = frozenset(self.denied)
        return self._denied_set

    @property
    def looked_at(self) -> dict[int, None]:
        """The sets of words that these regions look at, in order."""
        if self._looked_at is None:
            self._looked_at = looked_at((*self.allowed, *self.denied))
        return self._looked_at


NO_ROWS = Rows()


class Faces:
    """Rules as the matcher sees them, numbered: what two bundles say under one id in one way is one face, whatever its dates and basis."""

    def __init__(self) -> None:
        self.cells: list[tuple[str, ...]] = []
        self._number: dict[tuple[str, ...], int] = {}
        self._groups: dict[tuple[Meaning, int], Groups] = {}

    def of(self, cells: tuple[str, ...]) -> int:
        """The number of a face."""
        found = self._number.get(cells)
        if found is None:
            found = self._number[cells] = len(self.cells)
            self.cells.append(cells)
        return found

    def groups(self, meaning: Meaning, among: int | None = None) -> Groups:
        """The faces, or some of them, under a meaning, by what the asker has to do with them."""
        mask = (1 << len(self.cells)) - 1 if among is None else among
        found = self._groups.get((meaning, mask))
        if found is None:
            found = self._groups[meaning, mask] = Groups(meaning, self, tuple(places(mask)))
        return found


class Rulebook:
    """A bundle's rules over time, as regions.

    Args:
        faces: shared by bundles that are compared, so that equal rules have equal numbers.
        suspended: partners whose `active` row is left out.
    """

    def __init__(self, bundle: Bundle, space: Space, faces: Faces, *, suspended: frozenset[str] = frozenset()) -> None:
        self.bundle = bundle
        self.space = space
        self.faces = faces
        self.known = space.known_to(bundle.scheme)
        self.suspended = suspended
        self._model = bundle.files["model.conf"].decode()
        # A matcher that reads dates or basis sees other cells of the same rule as another face.
        unread = not set(re.findall(r"\bp\.([a-z]+)", self._model)) & {"from", "until", "basis"}
        cells = bundle.rule_cells if unread else [tuple(rule.place.text.split(", ")[1:]) for rule in bundle.rules]
        self._numbers = [faces.of(one) for one in cells]
        self._in_force: dict[Period, int] = {}
        for rule, number in zip(bundle.rules, self._numbers, strict=True):
            self._in_force[rule.period] = self._in_force.get(rule.period, 0) | 1 << number
        self._faces_by_id = {rule.id: number for rule, number in zip(bundle.rules, self._numbers, strict=True)}
        statuses = tuple(row for partner in bundle.partners for row in partner.status)
        self._roles: tuple[PartnerStatus | Membership, ...] = (*statuses, *bundle.memberships)
        self._role_dates = sorted({moment for row in self._roles for moment in row.period.boundaries()})
        self._role_texts: dict[int, str] = {}

    def knows(self, asker: Asker) -> bool:
        """Whether scheme and partner list hold who asks and for what purpose."""
        scheme = self.bundle.scheme
        return asker.partner in scheme.partners and (asker.purpose == NONE or asker.purpose in scheme.purposes)

    def at(self, moment: datetime) -> Standing:
        """The rules in force at a moment.

        Raises:
            CannotProve: the matcher is not one that is compiled.
        """
        stretch = bisect_right(self._role_dates, moment)
        roles = self._role_texts.get(stretch)
        if roles is None:
            roles = self._role_texts[stretch] = "".join(
                f"{row.place.text}\n"
                for row in self._roles
                if row.period.holds(moment) and not (isinstance(row, PartnerStatus) and row.active and row.code in self.suspended)
            )
        meaning, never = _meanings(self._model, self.bundle.scheme, roles, self.space)
        in_force = 0
        for period, numbers in self._in_force.items():
            if period.holds(moment):
                in_force |= numbers
        return Standing(self, moment, meaning, never, in_force)

    def face_of(self, rule: str) -> int:
        """The face of a rule."""
        return self._faces_by_id[rule]

    def rule(self, face: int) -> str:
        """The id of the rule with a face."""
        return self.faces.cells[face][POLICY_COLUMNS.index("id")]


class Groups:
    """Faces under one meaning, by what decides whether they can be true for an asker at all; and what they say to him."""

    def __init__(self, meaning: Meaning, faces: Faces, numbers: Iterable[int]) -> None:
        guards = meaning.guards()
        groups: dict[tuple[str, ...], list[int]] = {}
        for number in numbers:
            cells = faces.cells[number]
            groups.setdefault(tuple(cells[column] for column in guards), []).append(number)
        self._meaning = meaning
        self._faces = faces
        self._groups = tuple((tuple(group), _mask(group)) for group in groups.values())
        self._examples = [faces.cells[group[0]] for group, _ in self._groups]
        eft = POLICY_COLUMNS.index("eft")
        self._allows = [cells[eft] == Effect.ALLOW for cells in faces.cells]
        self._known: dict[tuple[Any, ...], tuple[int, int]] = {}
        self._said: dict[Look, _Said] = {}
        self._to: dict[Asker, _Said] = {}
        self._regions: dict[tuple[Any, ...], Region] = {}

    def concern(self, asker: Asker) -> int:
        """The faces that an asker has to look at: for others they are false, for certain."""
        return self._said_to(asker).at

    def rows(self, asker: Asker, in_force: int) -> Rows:
        """What the faces in force say to an asker. One object for what is the same.

        Raises:
            CannotProve: the matcher holds what is not understood, and a rule comes to it.
        """
        said = self._said_to(asker)
        mask = said.at & in_force
        found = said.rows.get(mask)
        if found is None:
            found = said.rows[mask] = self._rows(said, asker, mask)
        return found

    def _said_to(self, asker: Asker) -> _Said:
        found = self._to.get(asker)
        if found is None:
            look = self._meaning.look(self._examples, asker, self._known)
            found = self._said.get(look)
            if found is None:
                at = 0
                numbered: list[tuple[int, tuple[bool | None, ...]]] = []
                for place, truths in zip(places(look.at), look.truths, strict=True):
                    group, mask = self._groups[place]
                    at |= mask
                    numbered.extend((face, truths) for face in group)
                numbered.sort(key=itemgetter(0))
                found = self._said[look] = _Said(at, tuple(numbered), look.values)
            self._to[asker] = found
        return found

    def _rows(self, said: _Said, asker: Asker, mask: int) -> Rows:
        # As bytes, since to take a large integer apart bit by bit costs its length each time.
        bits = mask.to_bytes(len(self._faces.cells) // 8 + 1, "little")
        allow_faces: list[int] = []
        allowed: list[Region] = []
        deny_faces: list[int] = []
        denied: list[Region] = []
        for face, truths in said.faces:
            if not bits[face >> 3] >> (face & 7) & 1:
                continue
            region = said.told.get(face)
            if region is None:
                region = said.told[face] = self._region(face, said.values, truths, asker)
            if region is not NOTHING and region != NOTHING:
                if self._allows[face]:
                    allow_faces.append(face)
                    allowed.append(region)
                else:
                    deny_faces.append(face)
                    denied.append(region)
        return Rows(tuple(allow_faces), tuple(allowed), tuple(deny_faces), tuple(denied))

    def _region(self, face: int, values: tuple[str, ...], truths: tuple[bool | None, ...], asker: Asker) -> Region:
        """What a face says to askers with these values and truths; with another purpose it is often the same."""
        key = (face, values, truths)
        found = self._regions.get(key)
        if found is None:
            cells = self._faces.cells[face]
            try:
                found = self._regions[key] = self._meaning.region(cells, asker, truths)
            except CannotProve as reason:
                raise CannotProve(f"{reason}, on `{cells[0]}` for {asker.partner}") from reason
        return found


def _mask(numbers: Iterable[int]) -> int:
    mask = 0
    for number in numbers:
        mask |= 1 << number
    return mask


@dataclass(slots=True)
class _Said:
    """What askers who are told the same are told: the faces to look at, each with the truths about the asker, and what they say."""

    at: int
    faces: tuple[tuple[int, tuple[bool | None, ...]], ...]
    values: tuple[str, ...]
    told: dict[int, Region] = field(default_factory=dict)
    rows: dict[int, Rows] = field(default_factory=dict)


def forget() -> None:
    """Drop all answers that functions have given. They are remembered for speed alone."""
    _meanings.cache_clear()
    space_of.cache_clear()


@dataclass(frozen=True, slots=True)
class Standing:
    """A rulebook at a moment: the meaning of its matcher then, and the faces in force."""

    book: Rulebook
    moment: datetime
    matcher: Meaning | CannotProve
    never: Meaning
    in_force: int

    @property
    def meaning(self) -> Meaning:
        """The matcher.

        Raises:
            CannotProve: it is not one that is compiled.
        """
        if isinstance(self.matcher, CannotProve):
            raise self.matcher
        return self.matcher

    def rows(self, asker: Asker) -> Rows:
        """What is said to an asker; nothing to one whom scheme and partner list do not hold."""
        if not self.book.knows(asker):
            return NO_ROWS
        return self.book.faces.groups(self.meaning).rows(asker, self.in_force)

    def forbidden(self, statement: Never, asker: Asker) -> Region:
        """The labels of a `never` statement, for an asker."""
        return self.never.region(tuple(getattr(statement, column) for column in NEVER_COLUMNS), asker)


def moments(bundles: Iterable[Bundle], at: datetime) -> tuple[datetime, ...]:
    """`at`, and every later moment at which a dated row of one of these begins or ends."""
    later = {moment for bundle in bundles for moment in bundle.boundaries if moment > at}
    return (at, *sorted(later))


def askers(*bundles: Bundle, actions: Iterable[str] = ACTIONS) -> tuple[Asker, ...]:
    """Everyone who may ask for anything, sorted by partner."""
    partners = sorted({code for bundle in bundles for code in bundle.scheme.partners})
    purposes = tuple(dict.fromkeys((NONE, *(purpose for bundle in bundles for purpose in bundle.scheme.purposes))))
    return tuple(Asker(*names) for names in product(partners, actions, purposes))
