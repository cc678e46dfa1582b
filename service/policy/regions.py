"""Regions: sets of possible labels, described by which words a label has; and the search for a label in some and outside others.

Pure. A *possible label* is any label that scheme and partner list allow, stored or not: one level, any categories and caveats, at least one
originator, any audience, any consents and grants. `Space` numbers the words of which labels are made, so that a label is an integer with a
bit for each word it has; a region is a formula over such words. Consents and grants are those to the partner who asks: by law
(`Declared.paired`) no others count. Nothing here knows policy; `meaning` makes regions of rules by asking their functions.

`Search` answers by a SAT solver, and each answer can be trusted for a reason of its own:

- *a label*: callers have it decided by the snapshots themselves before they show it.
- *none*: the solver's word, over clauses made of the regions given. Only those regions that turned out to matter are handed to it, which
  is sound: what has no label under fewer conditions has none under more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from pysat.solvers import Solver

from service.labels.label import UNRESTRICTED, Label
from service.policy.functions import ALL, ASKED_ACTIONS, BundleScheme

SOLVER = "minisat22"
"""Questions are small (some sixty words); what counts is how fast a solver is made and asked, and this one is the fastest there."""


AT_ONCE = 4
"""Regions ruled out at first where a label lies in many; twice as many each time after."""


@dataclass(frozen=True, slots=True)
class Has:
    """Labels with some of these words."""

    words: int


@dataclass(frozen=True, slots=True)
class Lacks:
    """Labels with none of these words."""

    words: int


@dataclass(frozen=True, slots=True)
class Paired:
    """Labels that for each of these originators that they have also have its consent."""

    words: int


@dataclass(frozen=True, slots=True)
class Unpaired:
    """Labels that have one of these originators without its consent."""

    words: int


@dataclass(frozen=True, slots=True)
class Every:
    """Labels in all of these regions. Of none: every label."""

    of: tuple[Region, ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Regions are looked up far more often than made.
        object.__setattr__(self, "_hash", hash(("every", self.of)))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class Either:
    """Labels in one of these regions. Of none: no label."""

    of: tuple[Region, ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(("either", self.of)))

    def __hash__(self) -> int:
        return self._hash


Region = Has | Lacks | Paired | Unpaired | Every | Either

EVERYTHING = Every(())
NOTHING = Either(())


def every(regions: Iterable[Region]) -> Region:
    """All of these, in the form in which equal conditions are most often equal values: flat, what must be lacking in one piece."""
    lacked = 0
    parts: dict[Region, None] = {}
    waiting = list(regions)[::-1]
    while waiting:
        region = waiting.pop()
        match region:
            case Every():
                waiting.extend(reversed(region.of))
            case Lacks():
                lacked |= region.words
            case Either(of=()):
                return NOTHING
            case _:
                parts[region] = None
    if lacked:
        parts[Lacks(lacked)] = None
    return next(iter(parts)) if len(parts) == 1 else Every(tuple(parts))


def either(regions: Iterable[Region]) -> Region:
    """One of these, flat, and what is to be had in one piece."""
    had = 0
    parts: dict[Region, None] = {}
    waiting = list(regions)[::-1]
    while waiting:
        region = waiting.pop()
        match region:
            case Either():
                waiting.extend(reversed(region.of))
            case Has():
                had |= region.words
            case Every(of=()):
                return EVERYTHING
            case _:
                parts[region] = None
    if had:
        parts[Has(had)] = None
    return next(iter(parts)) if len(parts) == 1 else Either(tuple(parts))


def outside(region: Region) -> Region:
    """The labels that are not in it."""
    match region:
        case Has():
            return Lacks(region.words)
        case Lacks():
            return Has(region.words)
        case Paired():
            return Unpaired(region.words)
        case Unpaired():
            return Paired(region.words)
        case Every():
            return either(outside(part) for part in region.of)
        case Either():
            return every(outside(part) for part in region.of)


def implies(region: Region, other: Region) -> bool:
    """Whether every label of a region is in the other, where that is seen at a glance; false says nothing."""
    given = region.of if isinstance(region, Every) else (region,)
    return all(any(_implies(part, wanted) for part in given) for wanted in (other.of if isinstance(other, Every) else (other,)))


def _implies(part: Region, wanted: Region) -> bool:
    match part, wanted:
        case (Has(), Has()):
            return not part.words & ~wanted.words
        case (Lacks(), Lacks()):
            return not wanted.words & ~part.words
        case (Paired(), Paired()):
            return not wanted.words & ~part.words
        case _:
            return part == wanted


def looked_at(regions: Iterable[Region]) -> dict[int, None]:
    """Every set of words that these look at, each once, in order."""
    found: dict[int, None] = {}
    waiting = list(regions)[::-1]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Every | Either):
            waiting.extend(part.of)
        else:
            found[part.words] = None
    return found


class Space:
    """The words of which possible labels are made, each with its bit.

    Args:
        levels: in order, lowest first.
        categories, caveats: of the scheme, or of both where two bundles are compared.
        issuers: partners and ourselves.
        codes: what an audience may name, besides `*`.
    """

    def __init__(
        self,
        *,
        levels: Sequence[str],
        categories: Iterable[str],
        caveats: Iterable[str],
        issuers: Iterable[str],
        codes: Iterable[str],
    ) -> None:
        self._bit: dict[tuple[str, str], int] = {}
        audience = (*sorted(set(codes)), ALL)
        self.levels = self._add("level", levels)
        self.categories = self._add("categories", sorted(set(categories)))
        self.caveats = self._add("caveats", sorted(set(caveats)))
        names = sorted(set(issuers))
        first = len(self._bit)
        self.originators = self._add("originators", names)
        self._shift = len(self._bit) - first
        self.consents = self._add("consents", names)
        self.releasable_to = self._add("releasable_to", audience)
        self.display_to = self._add("display_to", audience)
        self.grants = self._add("grants", ASKED_ACTIONS)
        self._words = tuple(self._bit)
        self.everything = (1 << len(self._words)) - 1

    @classmethod
    def of(cls, *schemes: BundleScheme) -> Space:
        """The space of one bundle's labels, or of two bundles' together; levels stand in the order of the first that has them."""
        return cls(
            levels=tuple(dict.fromkeys(level.name for scheme in schemes for level in scheme.levels)),
            categories=(name for scheme in schemes for name in scheme.categories),
            caveats=(name for scheme in schemes for name in scheme.caveats),
            issuers=(code for scheme in schemes for code in (*scheme.partners, scheme.own)),
            codes=(code for scheme in schemes for code in (*scheme.partners, *scheme.communities, scheme.own)),
        )

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """Equal for equal spaces."""
        return self._words

    def bit(self, column: str, word: str) -> int:
        """The word as an integer with one bit.

        Args:
            column: a column of the request. Of `consents` the word is the originator, of `grants` the action; both are to who asks.
        """
        return self._bit[column, word]

    def bits(self, column: str, words: Iterable[str]) -> int:
        """These words of a column."""
        return sum(self._bit[column, word] for word in set(words))

    def words(self, column: str, of: int) -> tuple[str, ...]:
        """The words of a column among these, sorted."""
        whole: int = getattr(self, "levels" if column == "level" else column)
        return tuple(sorted(self._words[place][1] for place in places(of & whole)))

    def consents_of(self, originators: int) -> int:
        """The consents of these originators."""
        return originators << self._shift

    def originators_of(self, consents: int) -> int:
        """The originators of these consents."""
        return (consents & self.consents) >> self._shift

    def known_to(self, scheme: BundleScheme) -> int:
        """The words that a bundle's scheme and partner list hold."""
        issuers = (*scheme.partners, scheme.own)
        codes = (*issuers, *scheme.communities, ALL)
        return (
            self.bits("level", (level.name for level in scheme.levels))
            | self.bits("categories", scheme.categories)
            | self.bits("caveats", scheme.caveats)
            | self.bits("originators", issuers)
            | self.bits("consents", issuers)
            | self.bits("releasable_to", codes)
            | self.bits("display_to", codes)
            | self.grants
        )

    def holds(self, region: Region, label: int) -> bool:
        """Whether a label is in a region."""
        match region:
            case Has():
                return label & region.words != 0
            case Lacks():
                return label & region.words == 0
            case Paired():
                return (label & region.words) << self._shift & ~label == 0
            case Unpaired():
                return (label & region.words) << self._shift & ~label != 0
            case Every():
                return all(self.holds(part, label) for part in region.of)
            case Either():
                return any(self.holds(part, label) for part in region.of)

    def label(self, of: int, *, partner: str) -> Label:
        """The label with these words, its consents and grants to `partner`."""
        (level,) = self.words("level", of)
        return Label(
            level=level,
            categories=self.words("categories", of),
            releasable_to=self.words("releasable_to", of),
            caveats=self.words("caveats", of),
            originators=self.words("originators", of),
            display_to=self.words("display_to", of),
            consents=tuple(f"{originator}:{partner}" for originator in self.words("consents", of)),
            grants=tuple(f"{action}:{partner}" for action in self.words("grants", of)),
        )

    def words_in(self, label: Label, *, partner: str) -> int | None:
        """A label as an integer, as `partner` meets it; None where it has a word that is not of this space."""
        given: dict[str, list[str]] = {"consents": [], "grants": []}
        for column, pairs in (("consents", label.consents), ("grants", label.grants)):
            for pair in pairs:
                left, _, right = pair.partition(":")
                if right == partner:
                    given[column].append(left)
        try:
            return (
                self._bit["level", label.level]
                | self.bits("categories", label.categories)
                | self.bits("caveats", label.caveats)
                | self.bits("originators", label.originators)
                | self.bits("releasable_to", label.releasable_to)
                | self.bits("display_to", label.shown_to)
                | self.bits("consents", given["consents"])
                | self.bits("grants", given["grants"])
            )
        except KeyError:
            return None

    def distinct(self, looked_at: Iterable[int], *, among: int, natural: Sequence[str]) -> int:
        """Words enough to tell apart whatever regions tell apart that look at these sets of words.

        Of originators and of codes that stand in the same sets one is kept, and of codes that stand in none no one: a label with
        another word has a twin without it that is in the same regions. (Of equal originators the twin has one, consented to if each
        was; where a region looks at a consent by itself that would not do, and all are kept.) Of equals the first of `natural` is
        kept, and `*` only where it has no equal, as it cannot stand beside another.

        Args:
            looked_at: as the function of this name has it.
            among: the words that may be used at all.
        """
        looked_at = tuple(looked_at)
        kept = among & (self.levels | self.categories | self.caveats | self.grants)
        if any(words & self.consents for words in looked_at):
            kept |= among & self.originators
        else:
            for alike in _classes(among & self.originators, dict.fromkeys(words & self.originators for words in looked_at)):
                kept |= self._one_of("originators", alike, natural)
        kept |= self.consents_of(kept & self.originators) & among
        for column, whole in (("releasable_to", self.releasable_to), ("display_to", self.display_to)):
            named = dict.fromkeys(words & whole for words in looked_at)
            used = 0
            for words in named:
                used |= words
            for alike in _classes(among & used & whole, named):
                kept |= self._one_of(column, alike, natural)
        return kept

    def _add(self, column: str, words: Iterable[str]) -> int:
        whole = 0
        for word in words:
            bit = self._bit[column, word] = 1 << len(self._bit)
            whole |= bit
        return whole

    def _one_of(self, column: str, alike: int, natural: Sequence[str]) -> int:
        for word in natural:
            bit = self._bit.get((column, word), 0)
            if bit & alike:
                return bit
        everyone = self._bit.get((column, ALL), 0)
        rest = alike & ~everyone or alike
        return rest & -rest


def _classes(words: int, sets: Iterable[int]) -> list[int]:
    """The words put together that stand in the same of these sets."""
    found = [words] if words else []
    for named in sets:
        if not named & words:
            continue
        parted: list[int] = []
        for alike in found:
            inside = alike & named
            if inside and inside != alike:
                parted.extend((inside, alike ^ inside))
            else:
                parted.append(alike)
        found = parted
    return found


class Search:
    """Looks for labels among some words of a space. Close it, or use it in a `with`: the solver is memory outside Python's care."""

    def __init__(self, space: Space, words: int) -> None:
        self._space = space
        self._bits = [1 << place for place in places(words)]
        self._variable = {bit: number for number, bit in enumerate(self._bits, start=1)}
        self._last = len(self._bits)
        self._among = words
        self._literals: dict[Region, int] = {}
        self._outside: dict[Region, int] = {}
        self._solver = Solver(name=SOLVER)
        levels = self._variables(space.levels)
        self._solver.add_clause(levels)
        for place, level in enumerate(levels):
            for other in levels[place + 1 :]:
                self._solver.add_clause([-level, -other])
        self._solver.add_clause(self._variables(space.originators))
        for column, audience in (("releasable_to", space.releasable_to), ("display_to", space.display_to)):
            everyone = self._variable.get(space.bit(column, UNRESTRICTED[0]))
            if everyone is not None:
                for other in self._variables(audience):
                    if other != everyone:
                        self._solver.add_clause([-everyone, -other])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the solver back."""
        self._solver.delete()

    def find(self, within: Sequence[Region], without: Sequence[Region] = ()) -> int | None:
        """A label in all of `within` and in none of `without`; None where there is none, proved."""
        return self._find(within, without)[0]

    def find_or_proof(self, within: Sequence[Region], without: Sequence[Region]) -> tuple[int | None, frozenset[Region]]:
        """Such a label; or None and those of `without`, perhaps some too many, that leave none."""
        found, core = self._find(within, without)
        return found, frozenset(without[index] for index in core)

    def blocking(self, within: Sequence[Region], without: Sequence[Region]) -> tuple[int, ...] | None:
        """Which of `without`, by index, leave no label of `within`: none of them could be spared. None where a label is left."""
        found, core = self._find(within, without)
        if found is not None:
            return None
        needed = list(core)
        for index in core:
            fewer = [other for other in needed if other != index]
            if self._find(within, [without[other] for other in fewer])[0] is None:
                needed = fewer
        return tuple(sorted(needed))

    def _find(self, within: Sequence[Region], without: Sequence[Region]) -> tuple[int | None, tuple[int, ...]]:
        wanted: list[int] = []
        for region in within:
            self._assume(region, wanted)
        unwanted: dict[int, int] = {}
        at_once = AT_ONCE
        while True:
            if not self._solver.solve(assumptions=[*wanted, *unwanted]):
                core = self._solver.get_core() or []
                return None, tuple(sorted(unwanted[literal] for literal in core if literal in unwanted))
            label = self._model()
            broken = [i for i, region in enumerate(without) if self._space.holds(region, label)]
            if not broken:
                return label, ()
            # A few at a time: a broad region often rules out what a hundred narrow ones would.
            for index in broken[:at_once]:
                # Of equal regions one is enough.
                unwanted.setdefault(self._literal_outside(without[index]), index)
            at_once *= 2

    def _model(self) -> int:
        label = 0
        for literal in self._solver.get_model()[: len(self._bits)]:
            if literal > 0:
                label |= self._bits[literal - 1]
        return label

    def _variables(self, words: int) -> list[int]:
        return [self._variable[1 << place] for place in places(words & self._among)]

    def _assume(self, region: Region, literals: list[int]) -> None:
        """Literals that together say the region."""
        match region:
            case Lacks():
                literals.extend(-variable for variable in self._variables(region.words))
            case Every():
                for part in region.of:
                    self._assume(part, literals)
            case _:
                literals.append(self._literal(region))

    def _literal_outside(self, region: Region) -> int:
        found = self._outside.get(region)
        if found is None:
            found = self._outside[region] = self._fresh(outside(region))
        return found

    def _literal(self, region: Region) -> int:
        """A literal that implies the region; nothing is said of labels where it is false."""
        found = self._literals.get(region)
        if found is None:
            found = self._literals[region] = self._fresh(region)
        return found

    def _fresh(self, region: Region) -> int:
        self._last += 1
        literal = self._last
        add = self._solver.add_clause
        match region:
            case Has():
                add([-literal, *self._variables(region.words)])
            case Lacks():
                for variable in self._variables(region.words):
                    add([-literal, -variable])
            case Paired():
                for originator, consent in self._pairs(region.words):
                    add([-literal, -originator, consent] if consent else [-literal, -originator])
            case Unpaired():
                some = [-literal]
                for originator, consent in self._pairs(region.words):
                    self._last += 1
                    add([-self._last, originator])
                    if consent:
                        add([-self._last, -consent])
                    some.append(self._last)
                add(some)
            case Every():
                needed: list[int] = []
                self._assume(region, needed)
                for other in needed:
                    add([-literal, other])
            case Either():
                clause = [-literal]
                for part in region.of:
                    if isinstance(part, Has):
                        clause.extend(self._variables(part.words))
                    else:
                        clause.append(self._literal(part))
                add(clause)
        return literal

    def _pairs(self, originators: int) -> Iterator[tuple[int, int]]:
        """The variables of these originators, each with that of its consent, 0 where there can be none."""
        for place in places(originators & self._among):
            bit = 1 << place
            yield self._variable[bit], self._variable.get(self._space.consents_of(bit), 0)


def places(words: int) -> Iterator[int]:
    """The places of the bits that are set, lowest first."""
    while words:
        lowest = words & -words
        yield lowest.bit_length() - 1
        words ^= lowest
