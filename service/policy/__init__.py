"""What the rules say: the strict reader, the engine, snapshots and their decisions (DESIGN section 4).

The only folder that imports Casbin. Pure but for reading a directory. Embedders use what is named here.
"""

from service.policy.asked import Asked, answer, answer_line
from service.policy.bundle import Bundle, check_files, digest_of, load_bundle, read_bundle, read_directory
from service.policy.cases import CaseReport, CaseResult, failed_cases, run_cases
from service.policy.engine import Engine, EngineBuilder, EngineKind, Explained, NearMiss, Verdict, build_engine, engine_digest
from service.policy.findings import Finding, PolicyRejected, Severity
from service.policy.matcher import Request
from service.policy.rows import Partner, PartnerKind
from service.policy.snapshot import Decision, Explanation, Outcome, Snapshot

__all__ = [
    "Asked",
    "Bundle",
    "CaseReport",
    "CaseResult",
    "Decision",
    "Engine",
    "EngineBuilder",
    "EngineKind",
    "Explained",
    "Explanation",
    "Finding",
    "NearMiss",
    "Outcome",
    "Partner",
    "PartnerKind",
    "PolicyRejected",
    "Request",
    "Severity",
    "Snapshot",
    "Verdict",
    "answer",
    "answer_line",
    "build_engine",
    "check_files",
    "digest_of",
    "engine_digest",
    "failed_cases",
    "load_bundle",
    "read_bundle",
    "read_directory",
    "run_cases",
]
