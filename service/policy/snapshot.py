"""The snapshot: a bundle over a stretch of time in which no dated row begins or ends, and what it decides.

Pure and immutable; any number of threads may ask one at once. It compares nothing itself: what is true is the engine's word, and an
outcome is read off two questions put to the model, for the action asked and, where that is not released, for `refer`.

Withhold is what every branch falls back to: an unknown name, an exception, a release for which no rule can be named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from service.labels.label import Label
from service.policy.engine import Engine, NearMiss, engine_digest
from service.policy.functions import ALL, ASKED_ACTIONS, NONE, BundleScheme
from service.policy.matcher import Request
from service.policy.verdict import Missed

REFER = "refer"
"""The action that the engine is asked about where another is not released."""
DECISIONS_MAX = 262_144
"""Decisions remembered per snapshot; beyond it remembering begins anew."""
LABELS_MAX = 65_536
"""The same for what is known of labels, whoever asks."""


class Outcome(StrEnum):
    """What is to happen with what bears a label."""

    RELEASE = "release"
    REFER = "refer"
    WITHHOLD = "withhold"


@dataclass(frozen=True, slots=True)
class Decision:
    """An outcome and what made it.

    `rules` are the rules that decided: the allow rows for `release`, the deny rows for a prohibited `withhold`, the refer rows for `refer`.
    `matched` are the allow rows and `denied` the deny rows that are true for the action asked. All sorted. `error` says why a request
    could not be decided; the outcome is then `withhold`.
    """

    outcome: Outcome
    rules: tuple[str, ...] = ()
    matched: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """An answer line of DESIGN section 14."""
        value: dict[str, Any] = {
            "outcome": str(self.outcome),
            "rules": list(self.rules),
            "matched": list(self.matched),
            "denied": list(self.denied),
        }
        if self.error is not None:
            value["error"] = self.error
        return value


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, and why it is not another one.

    `referable` are the refer rows that are true, also where the outcome is `release`. Where it is not, `missed` are the conditions that
    alone kept allow rows from being true for the action asked, each with these rows; `refer_missed` the same for being referred.

    `near_misses` and `refer_misses` say it in words, made when they are read: whole sentences, `its ceiling is SECRET, the label is TOP
    SECRET; released if its ceiling were TOP SECRET`. What they promise comes true; prohibitions that stand against it too are named: `and
    PRO-0005 did not forbid it`.
    """

    decision: Decision
    referable: tuple[str, ...] = ()
    missed: Sequence[Missed] = ()
    refer_missed: Sequence[Missed] = ()
    _told: Callable[[str], tuple[NearMiss, ...]] | None = None
    _action: str = ""

    @property
    def near_misses(self) -> tuple[NearMiss, ...]:
        """Allow rows that a single condition kept from being true, whatever the outcome, in order of rule."""
        return () if self._told is None else self._told(self._action)

    @property
    def refer_misses(self) -> tuple[NearMiss, ...]:
        """The same for being referred; without the rules that are near misses of the action asked."""
        return () if self._told is None else self._told(REFER)


class Snapshot:
    """What a bundle decides over `[since, until)`; None is open. Made by `Bundle.snapshot`."""

    def __init__(
        self,
        *,
        since: datetime | None,
        until: datetime | None,
        bundle_digest: str,
        suspended: frozenset[str],
        scheme: BundleScheme,
        engine: Engine,
    ) -> None:
        self.since = since
        self.until = until
        self.bundle_digest = bundle_digest
        self.engine_digest = engine_digest()
        self.suspended = suspended
        self._scheme = scheme
        self._engine = engine
        self._issuers = scheme.partners | {scheme.own}
        self._codes = self._issuers | scheme.communities
        self._levels = frozenset(level.name for level in scheme.levels)
        self._purposes = frozenset(scheme.purposes) | {NONE}
        self._categories = frozenset(scheme.categories)
        self._caveats = frozenset(scheme.caveats)
        # By asker (partner, action, purpose), so that a decision remembered costs no key of its own; and the label's part of a request.
        self._decisions: dict[tuple[str, str, str], dict[Label, Decision]] = {}
        self._decided = 0
        self._alike: dict[Decision, Decision] = {}
        self._tails: dict[Label, tuple[str | None, Request]] = {}

    @property
    def engine(self) -> Engine:
        """What it asks."""
        return self._engine

    @property
    def scheme(self) -> BundleScheme:
        """The vocabulary it decides in."""
        return self._scheme

    @property
    def uncompiled(self) -> str | None:
        """Why decisions are taken on stock Casbin, slowly; None where they are compiled."""
        return self._engine.uncompiled

    def decide(self, partner: str, action: str, label: Label, purpose: str = NONE) -> Decision:
        """What is to happen when `partner` asks for `action` on what bears `label`.

        Args:
            partner: a partner's code.
            action: `release` or `display`.
            label: as it is at a moment of this snapshot.
            purpose: `none`, or one of the scheme's.

        Never raises: what cannot be decided is `withhold` with an `error`.
        """
        try:
            return self._decisions[partner, action, purpose][label]
        except KeyError:
            return self._remember(partner, action, purpose, label, self._decide(partner, action, label, purpose))
        except TypeError:
            # Not hashable, so not a partner, an action and a label.
            return _refused("not a request: a partner, an action, a label and a purpose were expected")

    def explain(self, partner: str, action: str, label: Label, purpose: str = NONE) -> Explanation:
        """The decision, every rule that was true, and the rules that a single condition kept from being so. Never raises."""
        decision = self.decide(partner, action, label, purpose)
        if decision.error is not None:
            return Explanation(decision)
        tail = (purpose, *(self._tails.get(label) or self._tail(label))[1])
        try:
            _, missed = self._engine.explain((partner, action, *tail))
            referred, refer_missed = self._engine.explain((partner, REFER, *tail))
        except Exception as raised:  # noqa: BLE001  a rule's evaluation: an explanation that fails must not take the decision with it
            return Explanation(_refused(f"the engine failed: {raised}"))
        referable = referred.matched if referred.allowed else ()
        return Explanation(decision, referable, missed, refer_missed, lambda asked: self._told(partner, action, tail, asked), action)

    def _told(self, partner: str, action: str, tail: tuple[Any, ...], asked: str) -> tuple[NearMiss, ...]:
        near = self._engine.near_misses((partner, action, *tail))
        if asked == action:
            return tuple(_in_words(miss, action) for miss in near)
        known = {miss.rule for miss in near}
        referred = [miss for miss in self._engine.near_misses((partner, REFER, *tail)) if miss.rule not in known]
        return tuple(_in_words(self._referred(miss, action), REFER) for miss in referred)

    def _referred(self, miss: NearMiss, action: str) -> NearMiss:
        """A near miss of being referred. Where another question would do, and be released, it would not be referred."""
        asked = [(partner, action, *rest) for partner, _, *rest in miss.asked]
        return replace(miss, mend="") if any(self._engine.evaluate(request).allowed for request in asked) else miss

    def _remember(self, partner: str, action: str, purpose: str, label: Label, decision: Decision) -> Decision:
        if self._unknown_asker(partner, action, purpose) is not None:
            # There is no end of names that nobody has.
            return decision
        if self._decided >= DECISIONS_MAX:
            self._decisions, self._alike, self._decided = {}, {}, 0
        self._decided += 1
        # Of a hundred thousand decisions a few hundred differ.
        shared = self._alike.setdefault(decision, decision)
        self._decisions.setdefault((partner, action, purpose), {})[label] = shared
        return shared

    def _decide(self, partner: str, action: str, label: Label, purpose: str) -> Decision:
        try:
            problem = self._unknown_asker(partner, action, purpose) if isinstance(label, Label) else "not a label"
            if problem is not None:
                return _refused(problem)
            problem, tail = self._tails.get(label) or self._tail(label)
            if problem is not None:
                return _refused(problem)
            asked = self._engine.evaluate((partner, action, purpose, *tail))
            if asked.error is not None:
                return Decision(Outcome.WITHHOLD, asked.denied, asked.matched, asked.denied, asked.error)
            if asked.allowed:
                if not asked.matched:
                    return _refused("casbin allows by no rule, so there is none to record")
                return Decision(Outcome.RELEASE, asked.matched, asked.matched, asked.denied)
            referred = self._engine.evaluate((partner, REFER, purpose, *tail))
            if referred.error is not None:
                return Decision(Outcome.WITHHOLD, asked.denied, asked.matched, asked.denied, referred.error)
            if referred.allowed and referred.matched:
                return Decision(Outcome.REFER, referred.matched, asked.matched, asked.denied)
            return Decision(Outcome.WITHHOLD, asked.denied, asked.matched, asked.denied)
        except Exception as raised:  # noqa: BLE001  around a rule's evaluation, whatever happens withholds (house style)
            return _refused(f"the engine failed: {raised}")

    def unknown(self, partner: str, action: str, label: Label, purpose: str) -> str | None:
        """What scheme and partner list lack, anywhere in the request; also what Casbin would not have come to look at.

        Word by word: a label is refused where one that has but one of its words is.
        """
        if not isinstance(label, Label):
            return "not a label"
        return self._unknown_asker(partner, action, purpose) or self._unknown_word(label)

    def _tail(self, label: Label) -> tuple[str | None, Request]:
        found = (self._unknown_word(label), request_of("", "", label, "")[3:])
        if len(self._tails) >= LABELS_MAX:
            self._tails = {}
        self._tails[label] = found
        return found

    def _unknown_asker(self, partner: str, action: str, purpose: str) -> str | None:
        if partner not in self._scheme.partners:
            return f"unknown partner `{partner}`"
        if action not in ASKED_ACTIONS:
            return f"unknown action `{action}`, expected `release` or `display`"
        if purpose not in self._purposes:
            return f"unknown purpose `{purpose}`"
        return None

    def _unknown_word(self, label: Label) -> str | None:
        if label.level not in self._levels:
            return f"unknown level `{label.level}`"
        for what, names, known in (
            ("category", label.categories, self._categories),
            ("caveat", label.caveats, self._caveats),
            ("originator", label.originators, self._issuers),
            ("code", _named(label.releasable_to), self._codes),
            ("code", _named(label.shown_to), self._codes),
        ):
            for name in names:
                if name not in known:
                    return f"unknown {what} `{name}`"
        for what, pairs, first in (("consent", label.consents, self._issuers), ("grant", label.grants, frozenset(ASKED_ACTIONS))):
            for pair in pairs:
                left, _, right = pair.partition(":")
                if left not in first or right not in self._scheme.partners:
                    return f"unknown {what} `{pair}`"
        return None


def _named(audience: tuple[str, ...]) -> Iterable[str]:
    return () if audience == (ALL,) else audience


_DONE = {"release": "released", "display": "shown", REFER: "referred to an officer"}


def _in_words(miss: NearMiss, action: str) -> NearMiss:
    """A near miss that says in one sentence why not, and what would do."""
    if not miss.mend:
        return miss
    forbidding = f" and {' and '.join(miss.forbidding)} did not forbid it" if miss.forbidding else ""
    return replace(miss, reason=f"{miss.reason}; {_DONE[action]} if {miss.mend}{forbidding}")


def _refused(problem: str) -> Decision:
    return Decision(Outcome.WITHHOLD, error=problem)


def request_of(partner: str, action: str, label: Label, purpose: str) -> Request:
    """A question as Casbin is asked it: who asks for what, and then the label."""
    return (
        partner,
        action,
        purpose,
        label.level,
        label.categories,
        label.releasable_to,
        label.shown_to,
        label.caveats,
        label.originators,
        label.consents,
        label.grants,
    )
