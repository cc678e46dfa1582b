"""What is wrong with a bundle that reading it does not show: a case that fails, a `never` that does not hold, a rule that never decides.

Pure. The reader looks at a row or two; what is looked at here are the rules together, over every possible label and every date ahead. The
same is said by `entente policy check` and `test`, by an upload, and by the gate of a publication.
"""

from __future__ import annotations

from datetime import datetime

from service.policy.bundle import Bundle
from service.policy.cases import failed_cases
from service.policy.findings import Finding
from service.policy.prove import never_findings
from service.policy.redundancy import RULES_MAX, redundancy


def broken_promises(bundle: Bundle, at: datetime) -> tuple[Finding, ...]:
    """Errors that publication refuses: a case whose answer is another, a `never` statement that is refuted from `at` on or not proved."""
    return (*failed_cases(bundle), *never_findings(bundle, at))


def idle_rules(bundle: Bundle, at: datetime, *, rules_max: int = RULES_MAX) -> tuple[Finding, ...]:
    """Warnings about rules that can never decide anything from `at` on, but for those that the reader has warned of already.

    Args:
        rules_max: bundles of more rules are `not-proved`.
    """
    said = {(finding.file, finding.line, finding.code) for finding in bundle.findings}
    found = redundancy(bundle, at, rules_max=rules_max)
    return tuple(finding for finding in found if (finding.file, finding.line, finding.code) not in said)


def review(bundle: Bundle, at: datetime, *, rules_max: int = RULES_MAX) -> tuple[Finding, ...]:
    """Everything found in a bundle, the reader's warnings included, in order of place."""
    return tuple(sorted((*bundle.findings, *broken_promises(bundle, at), *idle_rules(bundle, at, rules_max=rules_max))))
