"""What stands in the way of most: rules, and the conditions of rules, that keep what is stored from partners. Pure.

Asked on distinct labels: the label side says in one pass who is released what (`columns`); only of what is not released is it asked
why, once for each label and partner, whatever the number of items (`Snapshot.explain`). An obstacle is

- a *prohibition*: a deny row that is true;
- a *condition* of an agreement: the only one of it that is not met. It is named where no prohibition stands in the way as well, so
  that what is said of it is true: met, and nothing else changed, it would be released;
- *nothing near*: no agreement is but one condition away.

Several may stand in the way of one portion, each of them alone enough to be met (conditions), or each to be lifted (prohibitions).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.labels.label import Label
from service.policy.columns import ForWhom, LabelColumns, released
from service.policy.compiled import CompiledEngine
from service.policy.functions import NONE
from service.policy.holdings import Held
from service.policy.snapshot import Explanation, Snapshot, request_of

EXPLAINED_MAX: Final = 100_000
"""Questions why, a label and a partner each. The labels that most portions bear come first; how many were left out is told."""


class Kind(StrEnum):
    """What an obstacle is."""

    PROHIBITION = "prohibition"
    CONDITION = "condition"
    NOTHING_NEAR = "nothing_near"


@dataclass(frozen=True, slots=True, order=True)
class Obstacle:
    """A rule that forbids; a rule and its condition that is not met; or neither."""

    kind: Kind
    rule: str = ""
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Hindered:
    """Items with a portion, and portions, that an obstacle stands in the way of, for a partner."""

    partner: str
    items: int
    portions: int


@dataclass(frozen=True, slots=True)
class Standing:
    """An obstacle with all that it hinders, for all partners together and for each. `reason`: for the label that most portions bear."""

    obstacle: Obstacle
    reason: str
    items: int
    portions: int
    partners: tuple[Hindered, ...]


@dataclass(frozen=True, slots=True)
class Obstacles:
    """All that stands in the way, what hinders most items first. `left_out` are questions why that were not asked."""

    standing: tuple[Standing, ...]
    labels: int
    left_out: int


def obstacles_in(explanation: Explanation) -> Iterator[tuple[Obstacle, str]]:
    """What stands in the way of a label that is not released, with the reason in words."""
    decision = explanation.decision
    if decision.denied:
        for rule in decision.denied:
            yield Obstacle(Kind.PROHIBITION, rule), f"forbidden by {rule}"
    elif explanation.near_misses:
        for miss in explanation.near_misses:
            yield Obstacle(Kind.CONDITION, miss.rule, miss.condition), miss.reason
    else:
        yield Obstacle(Kind.NOTHING_NEAR), decision.error or "no agreement is but one condition away"


def _standing_in_the_way(snapshot: Snapshot, partner: str, label: Label) -> tuple[Obstacle, ...]:
    """As `obstacles_in`, without the words, which cost more than all the rest."""
    engine = snapshot.engine
    if isinstance(engine, CompiledEngine) and snapshot.unknown(partner, "release", label, NONE) is None:
        verdict, near = engine.explain(request_of(partner, "release", label, NONE))
        if verdict.error is None and not verdict.allowed:
            if verdict.denied:
                return tuple(Obstacle(Kind.PROHIBITION, rule) for rule in verdict.denied)
            if near:
                return tuple(Obstacle(Kind.CONDITION, rule, condition) for condition, rules in near for rule in rules)
    return tuple(dict.fromkeys(obstacle for obstacle, _ in obstacles_in(snapshot.explain(partner, "release", label))))


def obstacles(held: Held, columns: LabelColumns, snapshot: Snapshot, partners: Sequence[str], *, most: int = EXPLAINED_MAX) -> Obstacles:
    """What stands in the way of what is held, for release to these partners without a purpose.

    Args:
        columns: the labels that `held` is in terms of.
        most: questions why at most.
    """
    borne = _Borne(held, columns.size)
    bits = released(snapshot, columns, [ForWhom(partner) for partner in partners])
    asked = 0
    left_out = 0
    found: dict[Obstacle, dict[int, list[int]]] = {}
    reasons: dict[Obstacle, str] = {}
    for place in borne.places():
        for number, partner in enumerate(partners):
            if bits.has(number, place):
                continue
            if asked == most:
                left_out += 1
                continue
            asked += 1
            for obstacle in _standing_in_the_way(snapshot, partner, columns.labels[place]):
                if obstacle not in reasons:
                    told = dict(obstacles_in(snapshot.explain(partner, "release", columns.labels[place])))
                    reasons = {**told, **reasons}
                found.setdefault(obstacle, {}).setdefault(number, []).append(place)
    standing = [_standing(borne, obstacle, reasons[obstacle], by_partner, partners) for obstacle, by_partner in found.items()]
    ordered = sorted(standing, key=lambda one: (-one.items, -one.portions, one.obstacle))
    return Obstacles(tuple(ordered), len(borne.places()), left_out)


def _standing(borne: _Borne, obstacle: Obstacle, reason: str, by_partner: dict[int, list[int]], partners: Sequence[str]) -> Standing:
    hindered = tuple(
        sorted((Hindered(partners[number], *borne.count(places)) for number, places in by_partner.items()), key=lambda one: one.partner)
    )
    everywhere = borne.count(sorted({place for places in by_partner.values() for place in places}))
    return Standing(obstacle, reason, *everywhere, hindered)


class _Borne:
    """Which groups of items bear which labels, so that a question about few labels looks at few groups."""

    def __init__(self, held: Held, labels: int) -> None:
        self._items: Final = held.items
        self._portions: Final = held.portions
        self._group_of: Final[NDArray[np.int64]] = np.repeat(np.arange(len(held.items)), np.diff(held.bounds))
        self._order: Final = np.argsort(held.members, kind="stable")
        counts = np.bincount(held.members, minlength=labels)
        self._begins: Final = np.concatenate(([0], np.cumsum(counts)))
        weights = np.bincount(held.members, weights=held.portions, minlength=labels)
        # What most portions bear first; the order of the labels settles ties.
        ranked = np.lexsort((np.arange(labels), -weights))
        self._places: Final[list[int]] = [place for place in ranked.tolist() if counts[place]]

    def places(self) -> list[int]:
        """The places of the labels that something bears, those that most portions bear first."""
        return self._places

    def count(self, places: Sequence[int]) -> tuple[int, int]:
        """(items with a portion, portions) that bear one of these labels; a compilation counts for its item."""
        if not places:
            return 0, 0
        members = np.concatenate([self._order[self._begins[place] : self._begins[place + 1]] for place in places])
        groups = np.unique(self._group_of[members])
        return int(self._items[groups].sum()), int(self._portions[members].sum())
