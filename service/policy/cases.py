"""An officer's cases: what is expected of the rules, compared with what they say; and which rules no case exercises.

Pure. A case names outcome *and* rules: right for the wrong reason is wrong. What fails is said at the line of the case, with the rules that
made the difference, their places, and why one that was expected did not hold: the mistake is as often in the rule as in the case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from service.policy.bundle import Bundle
from service.policy.engine import EngineKind
from service.policy.findings import Finding
from service.policy.rows import Case, Rule
from service.policy.snapshot import Decision
from service.policy.text import error

PLACES_MAX = 4
"""Rules that a finding points to; more would hide the case."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A rule that was to decide a case and did not, or the other way round; `why` it does not hold, where one condition says so."""

    rule: Rule
    why: str = ""

    def __str__(self) -> str:
        """`file:line`, and why."""
        place = f"{self.rule.place.file}:{self.rule.place.line}"
        return f"{place} ({self.why})" if self.why else place


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case and what the rules say; for one that failed, the rules that made the difference, in order of id."""

    case: Case
    decision: Decision
    causes: tuple[Cause, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether outcome and rules are those expected."""
        return (self.decision.outcome, self.decision.rules) == (self.case.outcome, self.case.rules)

    def finding(self) -> Finding:
        """What is wrong, at the line of the case, and where the rules stand that made it so."""
        said = f"{self.decision.outcome} by {_listed(self.decision.rules)}"
        if self.decision.error is not None:
            said += f" ({self.decision.error})"
        expected = f"{self.case.outcome} by {_listed(self.case.rules)}"
        if self.causes:
            expected += f"; see {', '.join(str(cause) for cause in self.causes[:PLACES_MAX])}"
        return error(self.case.place.file, self.case.place.line, 1, "case", f"`{self.case.name}`: the rules say {said}", expected)


@dataclass(frozen=True, slots=True)
class CaseReport:
    """All cases, and for each rule of the bundle that decided some, the names of those, sorted."""

    results: tuple[CaseResult, ...]
    exercised: Mapping[str, tuple[str, ...]]
    rules: tuple[str, ...]
    """The ids of all rules of the bundle, sorted."""

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        """Those that did not pass."""
        return tuple(result for result in self.results if not result.passed)

    @property
    def covered(self) -> tuple[str, ...]:
        """The rules that decided some case."""
        return tuple(id for id in self.rules if id in self.exercised)

    @property
    def uncovered(self) -> tuple[str, ...]:
        """The rules that decided none."""
        return tuple(id for id in self.rules if id not in self.exercised)


def run_case(bundle: Bundle, case: Case, *, engine: EngineKind = EngineKind.COMPILED) -> CaseResult:
    """Decide a case at its own moment."""
    snapshot = bundle.ahead.snapshot(case.at, engine=engine)
    decision = snapshot.decide(case.partner, case.action, case.label, case.purpose)
    result = CaseResult(case, decision)
    if result.passed:
        return result
    ids = sorted(set(case.rules) ^ set(decision.rules))
    explanation = snapshot.explain(case.partner, case.action, case.label, case.purpose)
    misses = {miss.rule: miss.reason for miss in (*explanation.refer_misses, *explanation.near_misses)}
    rules = {rule.id: rule for rule in bundle.rules if rule.id in ids}
    causes = tuple(Cause(rules[id], "" if id in decision.rules else _why(rules[id], case, misses)) for id in ids if id in rules)
    return CaseResult(case, decision, causes)


def _why(rule: Rule, case: Case, misses: Mapping[str, str]) -> str:
    return misses.get(rule.id, "") if rule.period.holds(case.at) else "not in force on that day"


def run_cases(bundle: Bundle, *, engine: EngineKind = EngineKind.COMPILED) -> CaseReport:
    """Decide every case of a bundle, each at its own moment."""
    results = tuple(run_case(bundle, case, engine=engine) for case in bundle.cases)
    exercised: dict[str, list[str]] = {}
    for result in results:
        for id in result.decision.rules:
            exercised.setdefault(id, []).append(result.case.name)
    named = {id: tuple(sorted(names)) for id, names in exercised.items()}
    return CaseReport(results, MappingProxyType(named), tuple(sorted(rule.id for rule in bundle.rules)))


def failed_cases(bundle: Bundle) -> tuple[Finding, ...]:
    """A finding for every case that does not pass; publication wants none."""
    return tuple(result.finding() for result in run_cases(bundle).failed)


def _listed(rules: tuple[str, ...]) -> str:
    return " ".join(rules) or "no rule"
