"""An officer's cases: what is expected of the rules, compared with what they say; and which rules no case exercises.

Pure. A case names outcome *and* rules: right for the wrong reason is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.policy.bundle import Bundle
from service.policy.engine import EngineKind
from service.policy.findings import Finding
from service.policy.rows import Case
from service.policy.snapshot import Decision
from service.policy.text import error


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case and what the rules say."""

    case: Case
    decision: Decision

    @property
    def passed(self) -> bool:
        """Whether outcome and rules are those expected."""
        return (self.decision.outcome, self.decision.rules) == (self.case.outcome, self.case.rules)

    def finding(self) -> Finding:
        """What is wrong, at the line of the case."""
        said = f"{self.decision.outcome} by {_listed(self.decision.rules)}"
        if self.decision.error is not None:
            said += f" ({self.decision.error})"
        expected = f"{self.case.outcome} by {_listed(self.case.rules)}"
        return error(self.case.place.file, self.case.place.line, 1, "case", f"`{self.case.name}`: the rules say {said}", expected)


@dataclass(frozen=True, slots=True)
class CaseReport:
    """All cases, and the rules by whether some case was decided by them. Ids sorted."""

    results: tuple[CaseResult, ...]
    covered: tuple[str, ...]
    uncovered: tuple[str, ...]

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        """Those that did not pass."""
        return tuple(result for result in self.results if not result.passed)


def run_cases(bundle: Bundle, *, engine: EngineKind = EngineKind.COMPILED) -> CaseReport:
    """Decide every case of a bundle at its own moment."""
    results = []
    for case in bundle.cases:
        decision = bundle.snapshot(case.at, engine=engine).decide(case.partner, case.action, case.label, case.purpose)
        results.append(CaseResult(case, decision))
    covered = {rule for result in results for rule in result.decision.rules}
    ids = sorted(rule.id for rule in bundle.rules)
    return CaseReport(tuple(results), tuple(sorted(covered)), tuple(id for id in ids if id not in covered))


def failed_cases(bundle: Bundle) -> tuple[Finding, ...]:
    """A finding for every case that does not pass; publication wants none."""
    return tuple(result.finding() for result in run_cases(bundle).failed)


def _listed(rules: tuple[str, ...]) -> str:
    return " ".join(rules) or "no rule"
