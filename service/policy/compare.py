"""The compiled engine beside stock Casbin, once more before a bundle counts: the last look of the publication gate (DESIGN section 4).

The engines agree by tests over random models; what is asked here is whether they agree on *these* rows, on this machine, now. Asked are
labels at the edges of every rule that changed (one step above and below its level, with and without each of its categories, caveats and
originators, addressed to its grantees and not), and a seeded random sample of everything; one in turn with the other, for as long as
`go_on` says. The seed is kept with the publication, so that the same questions can be asked again.

Pure. It knows the words of a row and nothing of what the model makes of them: whatever the matcher, both engines are asked the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from service.labels.label import NOBODY, UNRESTRICTED, Label
from service.policy.bundle import Bundle
from service.policy.engine import EngineKind
from service.policy.functions import ALL, ASKED_ACTIONS, NONE
from service.policy.rows import Rule
from service.policy.snapshot import Decision, Snapshot

QUESTIONS_MIN = 24
"""Asked whatever `go_on` says: a slow machine compares less, never nothing."""
RANDOM_MAX = 400
EDGES_MAX = 4_000
PARTNERS_OF_A_RULE_MAX = 3
_ELEMENTS_MAX = 6


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of both engines at a moment."""

    at: datetime
    partner: str
    action: str
    purpose: str
    label: Label


@dataclass(frozen=True, slots=True)
class Compared:
    """How many questions were asked, from which seed, and the first on which the engines differ."""

    asked: int
    seed: int
    differs: Question | None = None
    compiled: Decision | None = None
    stock: Decision | None = None

    def told(self) -> str:
        """The difference, in one line."""
        one, compiled, stock = self.differs, self.compiled, self.stock
        if one is None or compiled is None or stock is None:
            return f"the engines agree on {self.asked} questions"
        return (
            f"the compiled engine and stock casbin differ: {one.action} to `{one.partner}` for `{one.purpose}` at {one.at:%Y-%m-%d} of "
            f"`{one.label.canonical().decode()}` is {compiled.outcome} by `{' '.join(compiled.rules) or NONE}` and in stock "
            f"{stock.outcome} by `{' '.join(stock.rules) or NONE}`"
        )


def changed_rules(old: Bundle | None, new: Bundle) -> tuple[Rule, ...]:
    """The rules that an edit touches, in their order: new or other lines, those of a community whose membership changed; all of them
    where model or scheme are others. A rule that was taken out is asked about too, as it stood."""
    if old is None or any(old.files[name] != new.files[name] for name in ("model.conf", "scheme.toml")):
        return new.rules
    before, after = {rule.place.text for rule in old.rules}, {rule.place.text for rule in new.rules}
    moved = {row.place.text: row for bundle in (old, new) for row in bundle.memberships}
    same = {row.place.text for row in old.memberships} & {row.place.text for row in new.memberships}
    communities = {row.community for text, row in moved.items() if text not in same}
    touched = [rule for rule in new.rules if rule.place.text not in before or rule.grantee in communities]
    return (*touched, *(rule for rule in old.rules if rule.place.text not in after and _speaks(new, rule)))


def compare_with_stock(
    compiled: Bundle, stock: Bundle, *, old: Bundle | None, moments: Sequence[datetime], seed: int, go_on: Callable[[], bool]
) -> Compared:
    """Ask both engines; ends at the first difference.

    Args:
        compiled: whose compiled engine is asked.
        stock: the same bundle, read again: its stock engines are not kept by the one that is published.
        old: what was in force, to know what changed.
        moments: one of each stretch that is asked about, the first most often.
        seed: of the sample, and of the order in which edges are asked.
        go_on: whether there is time for another; `QUESTIONS_MIN` are asked in any case.
    """
    chance = random.Random(seed)
    engines: dict[datetime, tuple[Snapshot, Snapshot]] = {}
    asked = 0
    for one in _in_turn(_edges(compiled, changed_rules(old, compiled), moments, chance), _sample(compiled, moments, chance)):
        if asked >= QUESTIONS_MIN and not go_on():
            break
        if one.at not in engines:
            engines[one.at] = compiled.ahead.snapshot(one.at), stock.ahead.snapshot(one.at, engine=EngineKind.STOCK)
        asked += 1
        first, second = (engine.decide(one.partner, one.action, one.label, one.purpose) for engine in engines[one.at])
        if _said(first) != _said(second):
            return Compared(asked, seed, one, first, second)
    return Compared(asked, seed)


def _said(decision: Decision) -> tuple[object, ...]:
    # The words of an error are each engine's own.
    return decision.outcome, decision.rules, decision.matched, decision.denied, decision.error is None


def _speaks(bundle: Bundle, rule: Rule) -> bool:
    """Whether a rule's words are words of the bundle."""
    scheme = bundle.scheme
    words = {level.name for level in scheme.levels} | set(scheme.categories) | set(scheme.caveats) | set(scheme.purposes)
    words |= bundle.known_codes | {ALL, NONE}
    cells = (rule.purpose, rule.categories, rule.caveats, rule.originator)
    return rule.level in words and rule.grantee in words and all(word in words for cell in cells for word in cell.split(" "))


def _in_turn(first: Iterator[Question], second: Iterator[Question]) -> Iterator[Question]:
    """One of each in turn, then what is left."""
    first, second = islice(first, EDGES_MAX), islice(second, RANDOM_MAX)
    for one in first:
        yield one
        other = next(second, None)
        if other is not None:
            yield other
    yield from second


def _edges(bundle: Bundle, rules: Sequence[Rule], moments: Sequence[datetime], chance: random.Random) -> Iterator[Question]:
    order = list(rules)
    chance.shuffle(order)  # where time ends before the rules do, it is not always the same ones that are left out
    for at in moments:
        members = bundle.members(at)
        for rule in order:
            if not rule.period.holds(at):
                continue
            grantees = sorted(members[rule.grantee]) if rule.grantee in members else [rule.grantee]
            inside = chance.sample(grantees, min(len(grantees), PARTNERS_OF_A_RULE_MAX))
            outside = sorted(bundle.scheme.partners.difference(grantees))
            partners = [*inside, *chance.sample(outside, min(len(outside), 1))]
            for partner in partners:
                yield from _around(bundle, rule, at, partner, chance)


def _around(bundle: Bundle, rule: Rule, at: datetime, partner: str, chance: random.Random) -> Iterator[Question]:
    """A label that the rule is about, and those one step beside it."""
    scheme = bundle.scheme
    rank = next((rank for rank, level in enumerate(scheme.levels) if level.name == rule.level), 0)
    categories, other_categories = _named(rule.categories, scheme.categories, chance)
    caveats, other_caveats = _named(rule.caveats, scheme.caveats, chance)
    originators = (scheme.own,) if rule.originator in (ALL, scheme.own) else (rule.originator.split(" ")[0],)
    purposes = [NONE] if rule.purpose in (ALL, NONE) else [rule.purpose.split(" ")[0], NONE]
    consents = tuple(f"{one}:{partner}" for one in originators if one not in (scheme.own, partner))
    base = Label(scheme.levels[rank].name, categories, (partner,), caveats, originators, consents=consents)

    def changed(**members: object) -> Label:
        values = {name: getattr(base, name) for name in ("level", "categories", "releasable_to", "caveats", "originators", "consents")}
        return Label(**{**values, **members})

    others = sorted((scheme.partners | {scheme.own}).difference(originators))
    labels = [
        base,
        *(changed(level=scheme.levels[step].name) for step in (rank - 1, rank + 1) if 0 <= step < len(scheme.levels)),
        *(changed(categories=one) for one in _beside(categories, other_categories)),
        *(changed(caveats=one) for one in _beside(caveats, other_caveats)),
        *(changed(releasable_to=one) for one in (UNRESTRICTED, NOBODY, *((community,) for community in scheme.expandable[:2]))),
        changed(releasable_to=NOBODY, display_to=(partner,)),
        changed(releasable_to=NOBODY, grants=(f"release:{partner}",)),
        changed(releasable_to=NOBODY, grants=(f"display:{partner}",)),
        *(changed(originators=(*originators, other)) for other in others[:1]),
        *(changed(originators=(*originators, other), consents=(*consents, f"{other}:{partner}")) for other in others[:1]),
    ]
    for number, label in enumerate(labels):
        for purpose in purposes:
            yield Question(at, partner, "release", purpose, label)
        if number == 0 or label.display_to is not None or label.grants:
            yield Question(at, partner, "display", purposes[0], label)


def _named(cell: str, vocabulary: Sequence[str], chance: random.Random) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(a set the cell speaks of, what it leaves out)."""
    if cell == ALL:
        return tuple(chance.sample(vocabulary, min(len(vocabulary), 2))), ()
    named = () if cell == NONE else tuple(cell.split(" "))
    return named, tuple(name for name in vocabulary if name not in named)


def _beside(named: tuple[str, ...], others: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The empty set, each element alone, and all of them with one more."""
    yield ()
    yield from ((one,) for one in named[:_ELEMENTS_MAX])
    yield from ((*named, one) for one in others[:2])
    yield from ((one,) for one in others[:1])


def _sample(bundle: Bundle, moments: Sequence[datetime], chance: random.Random) -> Iterator[Question]:
    scheme = bundle.scheme
    partners = sorted(scheme.partners)
    issuers = [scheme.own, *partners]
    codes = sorted(bundle.known_codes)
    levels = [level.name for level in scheme.levels]

    def some(of: Sequence[str], most: int) -> tuple[str, ...]:
        return tuple(chance.sample(of, chance.randint(0, min(most, len(of)))))

    def audience(partner: str) -> tuple[str, ...]:
        # Mostly one that names the partner: what is addressed to nobody is withheld whatever the rules say.
        drawn = chance.random()
        if drawn < 0.25:
            return UNRESTRICTED
        return tuple(dict.fromkeys((*some(codes, 3), *((partner,) if drawn < 0.85 else ()))))

    while partners:
        partner = chance.choice(partners)
        originators = (chance.choice(issuers) if chance.random() < 0.3 else scheme.own, *some(issuers, 1))
        label = Label(
            chance.choice(levels),
            some(scheme.categories, 3),
            audience(partner),
            some(scheme.caveats, 1) if chance.random() < 0.4 else (),
            originators,
            display_to=audience(partner) if chance.random() < 0.2 else None,
            consents=tuple(f"{one}:{partner}" for one in originators if chance.random() < 0.6),
            grants=tuple(f"{action}:{partner}" for action in ASKED_ACTIONS if chance.random() < 0.2),
        )
        at = moments[0] if chance.random() < 0.5 else chance.choice(list(moments))
        yield Question(at, partner, chance.choice(ASKED_ACTIONS), chance.choice((NONE, *scheme.purposes)), label)
