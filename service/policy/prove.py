"""The prover: what holds for every label that could exist, not only for those in the store (DESIGN sections 4 and 12).

Pure. Three questions are answered, each by proof or by a *witness*, a label for which it is otherwise:

1. `never_findings`: does every statement of `never.csv` hold, at every snapshot the bundle will ever have from a moment on?
2. `difference`: who gains and who loses what between two bundles, at each later date they hold?
3. `decides_alike`: does any decision differ at all?

Rules become regions of labels by asking the registered functions (`meaning`); regions are searched by a SAT solver (`regions`). A witness
is shown only after the snapshots themselves have decided it as claimed: should they not, that is `Broken`, and loud. A matcher outside
the understood kinds is answered `cannot prove`, with the construct; nothing is claimed then, and nothing may be concluded from it.

The outcome is the snapshot's: released to an asker is what the effect allows for the action asked; what is not, but is allowed for `refer`,
may be put to an officer. Labels carry consents and grants, so what a grant could turn into a release counts as released.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

from service.errors import Broken
from service.labels.label import UNRESTRICTED, Label
from service.labels.scheme import UnknownName
from service.policy.bundle import Bundle
from service.policy.findings import Finding
from service.policy.functions import ASKED_ACTIONS, NONE, BundleScheme
from service.policy.meaning import NO_ROWS, Asker, CannotProve, Faces, Meaning, Rows, Rulebook, Standing, askers, moments, space_of
from service.policy.regions import EVERYTHING, NOTHING, Has, Region, Search, Space, either, every, implies, looked_at, outside
from service.policy.rows import Never
from service.policy.snapshot import Decision, Outcome, Snapshot
from service.policy.text import error

REFER = "refer"
PROOFS_MAX = 64
"""Proofs remembered for one region, each by other rows."""

__all__ = [
    "AllLabels",
    "CannotProve",
    "Change",
    "Side",
    "StretchChange",
    "decides_alike",
    "describe",
    "difference",
    "never_findings",
    "through_time",
]


class Side(StrEnum):
    """Which way a change goes."""

    GAINS = "gains"
    LOSES = "loses"
    MAY_ASK = "may_ask"
    """Withheld before, now an officer may be asked."""
    MAY_NOT_ASK = "may_not_ask"
    """An officer could be asked, now withheld."""


@dataclass(frozen=True, slots=True)
class Change:
    """What changes for a partner who asks for an action, with a label for which it does.

    `purposes` are all for which it is so. `rules` are those that decide: of the new bundle for what is gained, of the old for what is lost.
    `highest` is the highest level at which there is such a label, on the ladder of the bundle that released or would release it; the
    witness is of that level. `new_words`: such labels have words that the other bundle lacks, so that none can be stored there.
    """

    partner: str
    action: str
    purposes: tuple[str, ...]
    side: Side
    witness: Label
    before: Outcome
    after: Outcome
    rules: tuple[str, ...]
    highest: str
    new_words: bool = False

    def sentence(self) -> str:
        """It in words."""
        what = describe(self.witness)
        by = f"by {' '.join(self.rules)}" if self.rules else ""
        match self.side:
            case Side.GAINS:
                text = f"{self.partner} gains {self.action} of {what}; {by}"
            case Side.LOSES:
                text = f"{self.partner} loses {self.action} of {what}; until now {by}"
            case Side.MAY_ASK:
                text = f"{self.partner} may be referred to an officer for {self.action} of {what}; {by}"
            case Side.MAY_NOT_ASK:
                text = f"{self.partner} may no longer be referred to an officer for {self.action} of {what}; until now {by}"
        if self.purposes != (NONE,):
            text += f" (purpose {' '.join(self.purposes)})"
        if self.new_words:
            text += " (a word the other bundle lacks)"
        return text

    def to_json(self) -> dict[str, Any]:
        """The change for programs."""
        return {
            "partner": self.partner,
            "action": self.action,
            "purposes": list(self.purposes),
            "change": str(self.side),
            "witness": self.witness.to_json(),
            "before": str(self.before),
            "after": str(self.after),
            "rules": list(self.rules),
            "highest": self.highest,
            "new_words": self.new_words,
            "sentence": self.sentence(),
        }


@dataclass(frozen=True, slots=True)
class StretchChange:
    """What changes over `[since, until)`; `until` None is for ever."""

    since: datetime
    until: datetime | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class AllLabels:
    """The difference of two bundles for all possible labels.

    `stretches` follow one another from the moment asked for on; neighbours differ. Where `cannot` is set nothing is proved, and there
    are none.
    """

    cannot: str | None
    stretches: tuple[StretchChange, ...]
    ladder: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Proved: nobody gains or loses anything, at any date.

        (A label that names in its audience or consents, beside others, a code that one of the bundles lacks cannot be decided there; that
        alone is no gain. `decides_alike` counts it.)
        """
        return self.cannot is None and all(not stretch.changes for stretch in self.stretches)

    def changes(self) -> Iterator[Change]:
        """All, in order of time."""
        for stretch in self.stretches:
            yield from stretch.changes

    def reaches(self, level: str) -> bool:
        """Whether anything at this level of the new ladder or above it may be gained, release or display, at any date.

        True where nothing could be proved: what is not known to stay below does not.

        Raises:
            UnknownName: the ladder has no such level.
        """
        if level not in self.ladder:
            raise UnknownName("level", level)
        if self.cannot is not None:
            return True
        rank = {name: place for place, name in enumerate(self.ladder)}
        return any(change.side is Side.GAINS and rank[change.highest] >= rank[level] for change in self.changes())

    def lines(self) -> tuple[str, ...]:
        """For people."""
        if self.cannot is not None:
            return (f"cannot prove anything for all labels: {self.cannot}",)
        if self.equal:
            return ("proved: for every possible label nobody gains or loses anything, now or later",)
        lines = []
        for stretch in self.stretches:
            until = "" if stretch.until is None else f" until {_moment(stretch.until)}"
            head = f"from {_moment(stretch.since)}{until}"
            if not stretch.changes:
                lines.append(f"{head}: proved equal for every possible label")
                continue
            lines.append(f"{head}:")
            lines.extend(f"  {change.sentence()}" for change in stretch.changes)
        return tuple(lines)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "cannot": self.cannot,
            "equal": self.equal,
            "stretches": [
                {
                    "since": _moment(stretch.since),
                    "until": None if stretch.until is None else _moment(stretch.until),
                    "changes": [change.to_json() for change in stretch.changes],
                }
                for stretch in self.stretches
            ],
        }


def difference(
    old: Bundle | None, new: Bundle, *, at: datetime, suspended: frozenset[str] = frozenset(), against_today: bool = False
) -> AllLabels:
    """Who gains and who loses what, for every possible label, from `at` on.

    Args:
        old: the bundle in force; None where there is none, and nobody has anything.
        new: the one that is to follow it.
        at: aware; the moment from which on it counts.
        suspended: partners who are suspended now, and are taken to remain so.
        against_today: compare each later date with what `old` decides at `at`, not at that date: what becomes released that is not today.
    """
    ladder = tuple(level.name for level in new.scheme.levels)
    comparison = _Comparison(old, new, at=at, suspended=suspended, against_today=against_today)
    stretches: list[StretchChange] = []
    try:
        dates = comparison.moments()
        for place, moment in enumerate(dates):
            until = dates[place + 1] if place + 1 < len(dates) else None
            changes = comparison.changes(moment)
            if stretches and stretches[-1].changes == changes:
                stretches[-1] = replace(stretches[-1], until=until)
            else:
                stretches.append(StretchChange(moment, until, changes))
    except CannotProve as reason:
        return AllLabels(str(reason), (), ladder)
    return AllLabels(None, tuple(stretches), ladder)


def through_time(bundle: Bundle, *, at: datetime, until: datetime) -> AllLabels:
    """What time alone does under one bundle: each date in `(at, until)` at which something begins or ends, against what holds before it.

    A stretch for each date, also where nothing changes.
    """
    ladder = tuple(level.name for level in bundle.scheme.levels)
    comparison = _Comparison(bundle, bundle, at=at, suspended=frozenset())
    dates = [moment for moment in bundle.boundaries if at < moment < until]
    try:
        before = [at, *dates]
        changes = [comparison.changes(moment, since=earlier) for earlier, moment in zip(before, dates, strict=False)]
    except CannotProve as reason:
        return AllLabels(str(reason), (), ladder)
    ends = [*dates[1:], until]
    return AllLabels(None, tuple(StretchChange(*one) for one in zip(dates, ends, changes, strict=False)), ladder)


def decides_alike(old: Bundle, new: Bundle, at: datetime, suspended: frozenset[str] = frozenset()) -> bool:
    """Whether every decision of the two has the same outcome from `at` on, for every partner, action, purpose and possible label.

    Rule ids may differ. Labels with words that neither has are withheld by both; with a word that one has they are possible labels.

    Raises:
        CannotProve: the matcher holds what is not understood.
    """
    comparison = _Comparison(old, new, at=at, suspended=suspended, exact=True)
    return not any(comparison.changes(moment) for moment in comparison.moments())


def never_findings(bundle: Bundle, at: datetime) -> tuple[Finding, ...]:
    """An error for every `never` statement that does not hold at some snapshot from `at` on, or cannot be proved; nobody is suspended.

    No label inside a statement is released or displayed to a partner in its grantee, nor, where the statement forbids `refer`, may an
    officer be asked for it. The finding names a label for which this fails, from when on, and the rules that make it so.
    """
    space = space_of(bundle.scheme)
    book = Rulebook(bundle, space, Faces())
    failed: dict[Never, _Refuted] = {}
    proved: set[tuple[Region, Rows]] = set()
    inside: dict[tuple[Meaning, Never, Asker], Region] = {}
    dates = moments((bundle,), at)
    try:
        for moment in dates if bundle.never else ():
            standing = book.at(moment)
            for asker in askers(bundle):
                for statement in bundle.never:
                    region = inside.get((standing.never, statement, asker))
                    if region is None:
                        region = inside[standing.never, statement, asker] = standing.forbidden(statement, asker)
                    if region == NOTHING:
                        continue
                    rows = standing.rows(asker)
                    problem = (region, rows)
                    if not rows.allowed or problem in proved:
                        continue
                    known = failed.get(statement)
                    if known is not None and (known.asker.partner == asker.partner or known.moment != moment):
                        # One witness a statement; of others who are concerned at that moment the number is told.
                        continue
                    # Who else is concerned is a number, so one label of any level will do.
                    ladder = _ladder(space, bundle.scheme) if known is None else (space.levels,)
                    label = _released_within(space, book.known, region, rows, asker, ladder)
                    if label is None:
                        proved.add(problem)
                    elif known is None:
                        failed[statement] = _refuted(bundle, standing, statement, asker, label)
                    else:
                        known.others.add(asker.partner)
    except CannotProve as reason:
        return tuple(
            error(
                statement.place.file,
                statement.place.line,
                1,
                "cannot-prove",
                f"cannot prove `{statement.id}`: {reason}",
                "a matcher of calls of the declared functions, joined by `&&`, `||`, `!`",
            )
            for statement in bundle.never
        )
    return tuple(sorted(failed[statement].finding(statement, at) for statement in bundle.never if statement in failed))


def describe(label: Label) -> str:
    """A label in one line: `SECRET, MARITIME, from GBR, to SGP USA`."""
    parts = [label.level, " ".join(label.categories) or "no category"]
    if label.caveats:
        parts.append(f"with {' '.join(label.caveats)}")
    parts.append(f"from {' '.join(label.originators)}")
    parts.append(_audience("to", label.releasable_to))
    if label.display_to is not None:
        parts.append(_audience("shown to", label.display_to))
    if label.consents:
        parts.append(f"consented {' '.join(label.consents)}")
    if label.grants:
        parts.append(f"granted {' '.join(label.grants)}")
    return ", ".join(parts)


def _audience(word: str, codes: tuple[str, ...]) -> str:
    return f"{word} {'everyone' if codes == UNRESTRICTED else ' '.join(codes) or 'nobody'}"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# Statements that never fail.


@dataclass(slots=True)
class _Refuted:
    """A statement that fails: when, for whom, on what; and who else is concerned at that moment."""

    moment: datetime
    asker: Asker
    label: Label
    decision: Decision
    others: set[str] = field(default_factory=set)

    def finding(self, statement: Never, at: datetime) -> Finding:
        verb = {"release": "released to", "display": "shown to"}.get(self.asker.action, "open to be referred for")
        when = "" if self.moment <= at else f" from {_moment(self.moment)} on"
        purpose = "" if self.asker.purpose == NONE else f" for {self.asker.purpose}"
        more = f" (and to {len(self.others)} more)" if self.others else ""
        problem = (
            f"`{statement.id}` does not hold{when}: {describe(self.label)}, would be {verb} {self.asker.partner}{purpose} "
            f"by {' '.join(self.decision.rules)}{more}"
        )
        return error(
            statement.place.file, statement.place.line, 1, "never", problem, "a prohibition of it, in force as long as those rules are"
        )


def _released_within(space: Space, known: int, region: Region, rows: Rows, asker: Asker, ladder: Sequence[int]) -> Label | None:
    """A label in a region that the rules allow to an asker, of the highest of these levels; None where there is none, proved."""
    words = space.distinct(looked_at((region,)) | rows.looked_at, among=known, natural=(asker.partner,))
    with Search(space, words) as search:
        # Most statements are mirrored by prohibitions: then no agreement is looked at.
        found = _highest(lambda *within: search.find(within, rows.denied), region, ladder, rows.allowed)
    return None if found is None else space.label(found, partner=asker.partner)


def _refuted(bundle: Bundle, standing: Standing, statement: Never, asker: Asker, label: Label) -> _Refuted:
    snapshot = bundle.ahead.snapshot(standing.moment)
    space = standing.book.space
    region = standing.forbidden(statement, asker)

    def refutes(candidate: Label) -> bool:
        words = space.words_in(candidate, partner=asker.partner)
        return words is not None and space.holds(region, words) and _goes_out(snapshot, asker, candidate)

    if not refutes(label):
        raise Broken(f"the prover and the engine disagree on `{statement.id}` for {asker.partner}: {describe(label)}")
    label = _natural(label, refutes, scheme=bundle.scheme, partner=asker.partner)
    return _Refuted(standing.moment, asker, label, _decided(snapshot, asker, label))


def _goes_out(snapshot: Snapshot, asker: Asker, label: Label) -> bool:
    return _decided(snapshot, asker, label).outcome is (Outcome.REFER if asker.action == REFER else Outcome.RELEASE)


def _decided(snapshot: Snapshot, asker: Asker, label: Label) -> Decision:
    return snapshot.decide(asker.partner, ASKED_ACTIONS[0] if asker.action == REFER else asker.action, label, asker.purpose)


# Two bundles.


@dataclass(frozen=True, slots=True)
class _Found:
    """A change before its purposes are gathered."""

    action: str
    side: Side
    witness: Label
    before: Decision
    after: Decision
    new_words: bool


@dataclass(frozen=True, slots=True)
class _Hole:
    """Where something may be allowed that was not: labels that a region may newly let through.

    They lie inside `within`, and where `some` is given inside one of these; outside all that `was` allowed, all that `becomes` denies and
    all of `released`; and have words of `among` alone.
    """

    within: Region
    was: Rows
    becomes: Rows
    released: tuple[Region, ...]
    among: int
    some: tuple[Region, ...] | None = None

    @property
    def without(self) -> tuple[Region, ...]:
        """The regions it lies outside of."""
        return (*self.was.allowed, *self.becomes.denied, *self.released)

    def leaves_out(self, regions: frozenset[Region]) -> bool:
        """Whether it lies outside all of these."""
        return all(region in self.was.allowed_set or region in self.becomes.denied_set or region in self.released for region in regions)


class _Comparison:
    """Two bundles over one space, and what has been found out about them."""

    def __init__(
        self,
        old: Bundle | None,
        new: Bundle,
        *,
        at: datetime,
        suspended: frozenset[str],
        against_today: bool = False,
        exact: bool = False,
    ) -> None:
        schemes = dict.fromkeys(bundle.scheme for bundle in (new, old) if bundle is not None)
        self._space = space_of(*schemes)
        faces = Faces()
        self._old = None if old is None else Rulebook(old, self._space, faces, suspended=suspended)
        self._new = Rulebook(new, self._space, faces, suspended=suspended)
        self._bundles = tuple(bundle for bundle in (old, new) if bundle is not None)
        self._at = at
        self._suspended = suspended
        self._against_today = against_today
        self._exact = exact
        self._found: dict[tuple[Rows, Rows, Rows, Rows, str, str], tuple[datetime, tuple[_Found, ...]]] = {}
        self._proofs = _Proofs()
        self._templates: dict[tuple[str, str, Side], tuple[str, Label]] = {}
        self._snapshots: dict[tuple[datetime, datetime], tuple[Snapshot | None, Snapshot]] = {}
        self._lists: dict[tuple[Meaning, int], tuple[tuple[str, str], ...]] = {}
        self._everyone = tuple(dict.fromkeys((asker.partner, asker.purpose) for asker in askers(*self._bundles, actions=(REFER,))))

    def moments(self) -> tuple[datetime, ...]:
        """From `at` on, every moment at which one of the two may begin to decide otherwise."""
        return moments(self._bundles[-1:] if self._against_today else self._bundles, self._at)

    def changes(self, moment: datetime, *, since: datetime | None = None) -> tuple[Change, ...]:
        """What changes at a moment, sorted by partner; against what the old one decides then, or at `since`."""
        before = since or (self._at if self._against_today else moment)
        old = None if self._old is None else self._old.at(before)
        new = self._new.at(moment)
        found: dict[tuple[str, _Found], list[str]] = {}
        for partner, purpose in self._concerned(old, new):
            for change in self._found_for(partner, purpose, old, new, before, moment):
                found.setdefault((partner, change), []).append(purpose)
        return tuple(_change(partner, change, tuple(purposes)) for (partner, change), purposes in found.items())

    def _concerned(self, old: Standing | None, new: Standing) -> tuple[tuple[str, str], ...]:
        """Partners and purposes for which something may differ; for all others nothing does, for certain."""
        if old is None or old.meaning is not new.meaning or old.book.known != new.book.known:
            return self._everyone
        differing = old.in_force ^ new.in_force
        key = (new.meaning, differing)
        found = self._lists.get(key)
        if found is None:
            groups = new.book.faces.groups(new.meaning, differing)
            found = self._lists[key] = tuple(
                (partner, purpose)
                for partner, purpose in (self._everyone if differing else ())
                if any(groups.concern(Asker(partner, action, purpose)) for action in (*ASKED_ACTIONS, REFER))
            )
        return found

    def _found_for(
        self, partner: str, purpose: str, old: Standing | None, new: Standing, before: datetime, moment: datetime
    ) -> Iterator[_Found]:
        refer = Asker(partner, REFER, purpose)
        refer_old, refer_new = NO_ROWS if old is None else old.rows(refer), new.rows(refer)
        for action in ASKED_ACTIONS:
            asker = Asker(partner, action, purpose)
            was, becomes = NO_ROWS if old is None else old.rows(asker), new.rows(asker)
            # With another purpose, or at another date, often the very same is said: compared once, and proved once.
            key = (was, becomes, refer_old, refer_new, partner, action)
            known = self._found.get(key)
            if known is None:
                known = self._found[key] = (moment, tuple(self._compared(asker, (was, refer_old), (becomes, refer_new), before, moment)))
            elif known[0] == moment:
                for found in known[1]:
                    if not self._fits(asker, found.side, before, moment)(found.witness):
                        raise _disagreement(asker, found.witness)
            yield from known[1]

    def _compared(
        self, asker: Asker, old: tuple[Rows, Rows], new: tuple[Rows, Rows], before: datetime, moment: datetime
    ) -> Iterator[_Found]:
        knows_old = self._old is not None and self._old.knows(asker)
        knows_new = self._new.knows(asker)
        # To whom is not known nothing is released, whatever the words.
        words_old = self._old.known if self._old is not None and knows_old else self._new.known
        words_new = self._new.known if knows_new else words_old
        with _Searches(self._space, self._proofs, natural=(self._new.bundle.scheme.own, asker.partner), rows=(*old, *new)) as searches:
            for side in Side:
                forwards = side in (Side.GAINS, Side.MAY_ASK)
                was, becomes = (old, new) if forwards else (new, old)
                words_was, words_becomes = (words_old, words_new) if forwards else (words_new, words_old)
                if side in (Side.GAINS, Side.LOSES):
                    holes = self._holes(was[0], becomes[0], None, words_was, words_becomes)
                else:
                    holes = self._holes(was[1], becomes[1], (was[0], becomes[0]), words_was, words_becomes)
                for new_words, some in holes:
                    found = self._witness(asker, side, some, searches, before, moment, new_words=new_words)
                    if found is not None:
                        yield found

    def _holes(
        self, was: Rows, becomes: Rows, neither: tuple[Rows, Rows] | None, words_was: int, words_becomes: int
    ) -> Iterator[tuple[bool, tuple[_Hole, ...]]]:
        """Where something may be allowed that was not: among the words both know, and with words that were unknown.

        Allowed now and not before is what a new allow row allows and no old one did, and what an old deny row denied; and all of it is not
        denied now. With `neither`, only what is released by none of these.
        """
        unknown = words_becomes & ~words_was
        if not becomes.allowed or (was is becomes and not unknown):
            return
        among = words_was & words_becomes
        released: tuple[Region, ...] = ()
        allowed, permitted = _further(becomes.allowed, was.allowed_set), _further(was.denied, becomes.denied_set)
        if allowed or permitted:
            if neither is not None:
                released = (_released(neither[0]), _released(neither[1]))
            yield (
                False,
                (
                    *(_Hole(region, was, becomes, released, among) for region in allowed),
                    *(_Hole(region, NO_ROWS, becomes, released, among, becomes.allowed) for region in permitted),
                ),
            )
        if unknown and not self._exact:
            # A further name in an audience is nothing to anybody whom no rule finds by it, nor is a consent without its originator.
            beside = self._space.releasable_to | self._space.display_to | self._space.consents
            for words in becomes.looked_at:
                beside &= ~words
            unknown &= ~beside
        if unknown:
            released = () if neither is None else (_released(neither[1]),)
            yield True, (_Hole(Has(unknown), NO_ROWS, becomes, released, words_becomes, becomes.allowed),)

    def _witness(
        self,
        asker: Asker,
        side: Side,
        holes: tuple[_Hole, ...],
        searches: _Searches,
        before: datetime,
        moment: datetime,
        *,
        new_words: bool,
    ) -> _Found | None:
        """The change there is in one of these holes, at its highest level; None where there is none, proved."""
        book = self._new if side in (Side.GAINS, Side.MAY_ASK) or self._old is None else self._old
        scheme = book.bundle.scheme
        fits = self._fits(asker, side, before, moment)
        ladder = _ladder(self._space, scheme)
        best: Label | None = None
        above = ladder
        for hole in holes:
            if searches.closed(hole):
                continue
            if best is None:
                # What was a witness for another is often one for this partner; only a higher one would have to be looked for.
                best = self._template(asker, side, fits)
                if best is not None:
                    above = ladder[ladder.index(self._space.bit("level", best.level)) + 1 :]
            possible = [level for level in above if not implies(hole.within, Has(self._space.levels ^ level))]
            if possible:
                found = _highest(lambda *within, hole=hole: searches.find(hole, within), hole.within, possible, hole.some)
                if found is not None:
                    label = self._space.label(found, partner=asker.partner)
                    if not fits(label):
                        raise _disagreement(asker, label)
                    best = _natural(label, fits, scheme=scheme, partner=asker.partner)
                    above = above[above.index(found & self._space.levels) + 1 :]
        if best is None:
            return None
        self._templates[asker.partner, asker.action, side] = self._templates["", asker.action, side] = (asker.partner, best)
        was, becomes = self._decisions(asker, best, before, moment)
        return _Found(asker.action, side, best, was, becomes, new_words)

    def _template(self, asker: Asker, side: Side, fits: Callable[[Label], bool]) -> Label | None:
        own, other = (self._templates.get(key) for key in ((asker.partner, asker.action, side), ("", asker.action, side)))
        # One's own first: what is the same at two dates is to be told with the same words.
        for known in (own, other):
            if known is not None:
                label = _readdressed(known[1], known[0], asker.partner)
                if fits(label):
                    return label
        return None

    def _decisions(self, asker: Asker, label: Label, before: datetime, moment: datetime) -> tuple[Decision, Decision]:
        """What the snapshots of both decide."""
        snapshots = self._snapshots.get((before, moment))
        if snapshots is None:
            snapshots = self._snapshots[before, moment] = (
                None if self._old is None else self._old.bundle.ahead.snapshot(before, self._suspended),
                self._new.bundle.ahead.snapshot(moment, self._suspended),
            )
        old, new = snapshots
        asked = (asker.partner, asker.action, label, asker.purpose)
        return Decision(Outcome.WITHHOLD) if old is None else old.decide(*asked), new.decide(*asked)

    def _fits(self, asker: Asker, side: Side, before: datetime, moment: datetime) -> Callable[[Label], bool]:
        """Whether a label is a witness, by the word of the snapshots."""

        def fits(label: Label) -> bool:
            was, becomes = (decision.outcome for decision in self._decisions(asker, label, before, moment))
            match side:
                case Side.GAINS:
                    return becomes is Outcome.RELEASE and was is not Outcome.RELEASE
                case Side.LOSES:
                    return was is Outcome.RELEASE and becomes is not Outcome.RELEASE
                case Side.MAY_ASK:
                    return (was, becomes) == (Outcome.WITHHOLD, Outcome.REFER)
                case Side.MAY_NOT_ASK:
                    return (was, becomes) == (Outcome.REFER, Outcome.WITHHOLD)

        return fits


class _Proofs:
    """What was proved to be empty: regions, and those outside of which they have no label. It holds for whoever asks, at any date."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, tuple[Region, ...]], list[frozenset[Region]]] = {}

    def empty(self, hole: _Hole, within: tuple[Region, ...]) -> bool:
        """Whether it is known that these regions have no label in a hole."""
        return any(hole.leaves_out(core) for core in self._known.get((hole.among, within), ()))

    def add(self, hole: _Hole, within: tuple[Region, ...], core: frozenset[Region]) -> None:
        """Remember a proof."""
        known = self._known.setdefault((hole.among, within), [])
        if len(known) < PROOFS_MAX:
            known.append(core)


class _Searches:
    """The searches for one comparison, a solver for each set of words; what regions of the rows tell apart is found out once."""

    def __init__(self, space: Space, proofs: _Proofs, *, natural: tuple[str, ...], rows: Sequence[Rows]) -> None:
        self._space = space
        self._proofs = proofs
        self._natural = natural
        self._rows = rows
        self._open: dict[tuple[int, Region | None], Search] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None) -> None:
        for search in self._open.values():
            search.close()

    def closed(self, hole: _Hole) -> bool:
        """Whether there is no label in a hole, where that is known or seen at a glance: all of it within a single region left out."""
        within = (hole.within,)
        if self._proofs.empty(hole, within):
            return True
        alone = next((region for region in hole.without if implies(hole.within, region)), None)
        if alone is not None:
            self._proofs.add(hole, within, frozenset((alone,)))
        return alone is not None

    def find(self, hole: _Hole, within: tuple[Region, ...]) -> int | None:
        """A label of a hole in all of these regions; None where there is none, proved."""
        if self._proofs.empty(hole, within):
            return None
        found, core = self._among(hole).find_or_proof(within, hole.without)
        if found is None:
            self._proofs.add(hole, within, core)
        return found

    def _among(self, hole: _Hole) -> Search:
        # What is no region of the rows has to be looked at by itself.
        key = (hole.among, hole.within if hole.some is not None else None)
        found = self._open.get(key)
        if found is None:
            words = looked_at((hole.within,))
            for rows in self._rows:
                words |= rows.looked_at
            found = self._open[key] = Search(self._space, self._space.distinct(words, among=hole.among, natural=self._natural))
        return found


def _further(these: tuple[Region, ...], known: frozenset[Region]) -> tuple[Region, ...]:
    """Regions of the first that are not among the second, each once."""
    return tuple(dict.fromkeys(region for region in these if region not in known))


def _change(partner: str, found: _Found, purposes: tuple[str, ...]) -> Change:
    decided = found.after if found.side in (Side.GAINS, Side.MAY_ASK) else found.before
    return Change(
        partner,
        found.action,
        purposes,
        found.side,
        found.witness,
        found.before.outcome,
        found.after.outcome,
        decided.rules,
        found.witness.level,
        found.new_words,
    )


def _disagreement(asker: Asker, label: Label) -> Broken:
    return Broken(f"the prover and the engine disagree on {asker.action} to {asker.partner} of {describe(label)}")


def _released(rows: Rows) -> Region:
    """The labels that the effect allows."""
    return every((either(rows.allowed), *(outside(region) for region in rows.denied)))


def _ladder(space: Space, scheme: BundleScheme) -> tuple[int, ...]:
    return tuple(space.bit("level", level.name) for level in scheme.levels)


def _highest(find: Callable[..., int | None], within: Region, ladder: Sequence[int], some: Sequence[Region] | None = None) -> int | None:
    """A label of the highest of these levels at which there is one, the levels given lowest first.

    Args:
        find: finds a label in all of the regions it is given.
        some: where given, the label is in one of these too. They are tried one by one, since most often the first will do.
    """
    best: int | None = None
    if some is not None and find(within) is None:
        return None
    for region in (EVERYTHING,) if some is None else some:
        while ladder:
            found = find(Has(sum(ladder)), within, region)
            if found is None:
                break
            best = found
            ladder = ladder[next(place for place, level in enumerate(ladder) if found & level) + 1 :]
    return best


def _readdressed(label: Label, one: str, other: str) -> Label:
    """The label with a partner's name in the place of another's."""

    def named(codes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(other if code == one else code for code in codes)

    return replace(
        label,
        releasable_to=named(label.releasable_to),
        display_to=None if label.display_to is None else named(label.display_to),
        originators=named(label.originators),
        consents=tuple(":".join(named(tuple(pair.split(":")))) for pair in label.consents),
        grants=tuple(":".join(named(tuple(pair.split(":")))) for pair in label.grants),
    )


def _natural(label: Label, fits: Callable[[Label], bool], *, scheme: BundleScheme, partner: str) -> Label:
    """A label that fits too, of the same level, as an officer would meet one: with as little as possible, and of our own.

    Each step is taken only where the label still fits, so that this can make a witness plainer and never another thing.
    """

    def taken(step: Label) -> bool:
        nonlocal label
        if step == label or not fits(step):
            return False
        label = step
        return True

    ours = tuple(sorted((scheme.own, partner)))

    def addressed() -> None:
        if not taken(replace(label, releasable_to=ours, display_to=None)) and not taken(replace(label, display_to=None)):
            taken(replace(label, releasable_to=ours))

    needs_category = scheme.requires_categories(label.level)
    if needs_category and not label.categories:
        # What has no category at a level that requires one is in quarantine, so it is nothing to show.
        any(taken(replace(label, categories=(category,))) for category in scheme.categories)
    addressed()
    taken(replace(label, originators=(scheme.own,)))
    for column in ("grants", "consents", "caveats", "originators", "releasable_to", "categories"):
        for word in getattr(label, column):
            rest = tuple(other for other in getattr(label, column) if other != word)
            needed = column == "originators" or (column == "categories" and needs_category)
            if (rest or not needed) and not (column == "releasable_to" and word in ours):
                fewer: dict[str, Any] = {column: rest}
                taken(replace(label, **fewer))
    addressed()
    if label.releasable_to and label.releasable_to != UNRESTRICTED:
        taken(replace(label, releasable_to=(*label.releasable_to, scheme.own)))
    return label
