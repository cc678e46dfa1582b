"""Rules that can never decide anything, with the rules that make it so; and rules that some label exercises (DESIGN section 4).

Pure. Two kinds of warnings are proved over all possible labels, every partner, action and purpose, and every stretch of time in which the
rule is in force from a moment on:

- `shadowed`: an agreement of which prohibitions leave nothing: all it would allow is forbidden.
- `redundant`: all that is left of a rule is allowed, or forbidden, by others. Of two rules that say the same the later one is meant; all
  rules warned of may be taken out together.

(`never-true` is an agreement that is true for nobody at all, such as one with a community without members.)

A prohibition of what nobody is allowed anyway is no mistake: it is there for the day on which somebody is. Work is bounded; what was not
looked at is said to be so (`not-proved`), never thought to be in order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from service.labels.label import Label
from service.policy.bundle import Bundle
from service.policy.findings import Finding
from service.policy.functions import ASKED_ACTIONS, BundleScheme
from service.policy.meaning import Asker, CannotProve, Faces, Meaning, Rows, Rulebook, Standing, askers, moments, space_of
from service.policy.regions import Either, Every, Has, Lacks, Paired, Region, Search, Space, Unpaired, implies, places
from service.policy.rows import Effect, Rule
from service.policy.text import warning

RULES_MAX = 2_000
"""Beside an upload or a publication, bundles with more rules are `not-proved`: somebody waits for the answer."""
QUESTIONS_MAX = 10_000
"""Questions of whether a rule still decides something for one asker at one time; most rules need one, of a millisecond or two."""
SEARCHES_KEPT_MAX = 256
"""Solvers kept for further questions about the same rows, the oldest going first; one takes some ten thousand bytes."""


def redundancy(bundle: Bundle, at: datetime, *, rules_max: int = RULES_MAX, questions_max: int = QUESTIONS_MAX) -> tuple[Finding, ...]:
    """Warnings for the rules that can never decide anything from `at` on, nobody being suspended.

    Rules that are over are not looked at: they have warnings of their own.
    """
    if len(bundle.rules) > rules_max:
        return (
            _not_proved(
                f"which of {len(bundle.rules)} rules can never decide anything is not looked for here, expected at most {rules_max}; "
                "`entente policy check` looks"
            ),
        )
    space = space_of(bundle.scheme)
    book = Rulebook(bundle, space, Faces())
    try:
        return _Pruning(bundle, book, at, questions_max).findings()
    except CannotProve as reason:
        # It is the matcher that is not understood, whichever rule comes to it.
        told = f"which rules can never decide anything is not known: {reason}"
        return (warning("model.conf", _matcher_line(bundle), 1, "not-proved", told),)


def exercised(bundle: Bundle, labels: Iterable[Label], at: datetime) -> frozenset[str]:
    """The rules in force at `at` that are true for one of these labels, for some partner, action and purpose.

    Raises:
        CannotProve: the matcher holds what is not understood.
    """
    space = space_of(bundle.scheme)
    standing = Rulebook(bundle, space, Faces()).at(at)
    columns = _Columns(space, bundle.scheme, labels)
    found: set[int] = set()
    for asker in askers(bundle):
        rows = standing.rows(asker)
        for face, region in (*rows.allow, *rows.deny):
            if face not in found and columns.holding(region, asker.partner):
                found.add(face)
    return frozenset(standing.book.rule(face) for face in found)


class _Pruning:
    """One pass over the rules, the last first; what was found to be idle is left out for those that follow."""

    def __init__(self, bundle: Bundle, book: Rulebook, at: datetime, questions_max: int) -> None:
        self._bundle = bundle
        self._book = book
        self._space = book.space
        self._left: float = questions_max
        self._effects = {rule.id: rule.effect for rule in bundle.rules}
        self._idle = 0
        self._searches: dict[tuple[Rows, str], Search] = {}
        everyone = askers(bundle)
        self._standings: list[tuple[Standing, tuple[tuple[Asker, int], ...]]] = []
        concerned: dict[Meaning, tuple[tuple[Asker, int], ...]] = {}
        for standing in (book.at(moment) for moment in moments((bundle,), at)):
            meaning = standing.meaning
            if meaning not in concerned:
                groups = book.faces.groups(meaning)
                concerned[meaning] = tuple((asker, groups.concern(asker)) for asker in everyone)
            self._standings.append((standing, concerned[meaning]))

    def findings(self) -> tuple[Finding, ...]:
        """What is found, in order of place."""
        found: list[Finding] = []
        idle: list[Rule] = []
        done = 0
        try:
            for rule in reversed(self._bundle.rules):
                reasons = self._reasons(rule)
                done += 1
                if reasons is None:
                    continue
                if reasons:
                    idle.append(rule)
                    self._idle |= 1 << self._book.face_of(rule.id)
                elif rule.effect is Effect.ALLOW:
                    found.append(_idle(rule, "never-true", f"`{rule.id}` is true for nobody, as long as it is in force"))
        except _TooMuch:
            of = len(self._bundle.rules)
            told = f"there may be more rules that can never decide anything than are named: {of - done} of {of} were not looked at"
            found.append(_not_proved(f"{told}, as that is too much work"))
        try:
            # Asked again, now that all of the idle are known: no idle rule is another's reason.
            self._left = math.inf
            found.extend(self._finding(rule, self._reasons(rule) or frozenset()) for rule in idle)
        finally:
            for search in self._searches.values():
                search.close()
        return tuple(sorted(found))

    def _reasons(self, rule: Rule) -> frozenset[str] | None:
        """The rules that leave nothing for a rule to decide; none where it is true for nobody; None where it decides, or is over."""
        face = self._book.face_of(rule.id)
        reasons: set[str] = set()
        over = True
        seen: set[Rows] = set()
        for standing, concerned in self._standings:
            if not standing.in_force >> face & 1:
                continue
            over = False
            for asker, faces in concerned:
                if not faces >> face & 1:
                    continue
                rows = standing.rows(asker)
                if rows in seen:
                    continue
                seen.add(rows)
                why = self._why_idle(rule, face, rows, asker)
                if why is None:
                    return None
                reasons |= why
        return None if over else frozenset(reasons)

    def _finding(self, rule: Rule, reasons: frozenset[str]) -> Finding:
        names = " ".join(f"`{id}`" for id in sorted(reasons))
        if rule.effect is Effect.ALLOW and all(self._effects[id] is Effect.DENY for id in reasons):
            return _idle(rule, "shadowed", f"`{rule.id}` can never decide anything: all that it allows is forbidden by {names}")
        return _idle(rule, "redundant", f"`{rule.id}` can never decide anything: all of it is decided by {names}")

    def _why_idle(self, rule: Rule, face: int, rows: Rows, asker: Asker) -> set[str] | None:
        """The rules that leave nothing of a rule for an asker; none where it is false for him; None where it decides something."""
        allows = rule.effect is Effect.ALLOW
        mine = next((region for number, region in (rows.allow if allows else rows.deny) if number == face), None)
        if mine is None:
            return set()
        self._left -= 1
        if self._left < 0:
            raise _TooMuch
        # Prohibitions first: what is forbidden anyway is the shorter reason.
        others = (*rows.deny, *rows.allow) if allows else rows.deny
        others = tuple((number, region) for number, region in others if number != face and not self._idle >> number & 1)
        needed = self._search(rows, asker).blocking((mine,), [region for _, region in others])
        if needed is None:
            return None
        alone = next((number for number, region in others if implies(mine, region)), None)
        return {self._book.rule(number) for number in ((others[index][0] for index in needed) if alone is None else (alone,))}

    def _search(self, rows: Rows, asker: Asker) -> Search:
        key = (rows, asker.partner)
        found = self._searches.get(key)
        if found is None:
            if len(self._searches) >= SEARCHES_KEPT_MAX:
                self._searches.pop(next(iter(self._searches))).close()
            words = self._space.distinct(rows.looked_at, among=self._book.known, natural=(asker.partner,))
            found = self._searches[key] = Search(self._space, words)
        return found


class _TooMuch(Exception):
    """The work set aside is done."""


def _idle(rule: Rule, code: str, problem: str) -> Finding:
    return warning(rule.place.file, rule.place.line, 1, code, problem)


def _matcher_line(bundle: Bundle) -> int:
    lines = bundle.files["model.conf"].decode().split("\n")
    return next((number for number, line in enumerate(lines, 1) if line.partition("=")[0].strip() == "m"), 1)


def _not_proved(problem: str) -> Finding:
    return warning("agreements.csv", 1, 1, "not-proved", problem)


class _Columns:
    """Labels by word: for each word the labels that have it, a bit each. Labels that no snapshot decides are left out."""

    def __init__(self, space: Space, scheme: BundleScheme, labels: Iterable[Label]) -> None:
        self._space = space
        issuers = scheme.partners | {scheme.own}
        holders: dict[int, list[int]] = {}
        paired: dict[tuple[str, str, str], list[int]] = {}
        size = 0
        for label in labels:
            words = space.words_in(replace(label, consents=(), grants=()), partner="")
            pairs = [("consents", *pair.split(":", 1)) for pair in label.consents] + [
                ("grants", *pair.split(":", 1)) for pair in label.grants
            ]
            if words is None or not all(_known_pair(pair, issuers, scheme.partners) for pair in pairs):
                continue
            for place in places(words):
                holders.setdefault(1 << place, []).append(size)
            for column, left, right in pairs:
                paired.setdefault((column, left, right), []).append(size)
            size += 1
        self._all = (1 << size) - 1
        self._columns = {word: _mask(having, size) for word, having in holders.items()}
        self._pairs = {pair: _mask(having, size) for pair, having in paired.items()}
        self._sums: dict[tuple[int, str], int] = {}

    def holding(self, region: Region, partner: str) -> int:
        """The labels in a region, as `partner` meets them."""
        match region:
            case Has():
                return self._some(region.words, partner)
            case Lacks():
                return self._all & ~self._some(region.words, partner)
            case Paired() | Unpaired():
                lacking = 0
                for place in places(region.words):
                    word = 1 << place
                    lacking |= self._column(word, partner) & ~self._column(self._space.consents_of(word), partner)
                return lacking if isinstance(region, Unpaired) else self._all & ~lacking
            case Every():
                labels = self._all
                for part in region.of:
                    labels &= self.holding(part, partner)
                    if not labels:
                        break
                return labels
            case Either():
                labels = 0
                for part in region.of:
                    labels |= self.holding(part, partner)
                return labels

    def _some(self, words: int, partner: str) -> int:
        key = (words, partner if words & (self._space.consents | self._space.grants) else "")
        found = self._sums.get(key)
        if found is None:
            found = 0
            for place in places(words):
                found |= self._column(1 << place, partner)
            self._sums[key] = found
        return found

    def _column(self, word: int, partner: str) -> int:
        for name, whole in (("consents", self._space.consents), ("grants", self._space.grants)):
            if word & whole:
                (named,) = self._space.words(name, word)
                return self._pairs.get((name, named, partner), 0)
        return self._columns.get(word, 0)


def _known_pair(pair: tuple[str, ...], issuers: frozenset[str], partners: frozenset[str]) -> bool:
    return len(pair) == 3 and pair[1] in (issuers if pair[0] == "consents" else ASKED_ACTIONS) and pair[2] in partners


def _mask(having: list[int], size: int) -> int:
    bits = bytearray(size // 8 + 1)
    for index in having:
        bits[index >> 3] |= 1 << (index & 7)
    return int.from_bytes(bits, "little")
