"""Small policy bundles, written row by row, over the shipped `model.conf`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.policy import Bundle, read_bundle

MODEL = (Path(__file__).parents[2] / "policies" / "model.conf").read_bytes()

SCHEME = """own = "USA"
profile = "IC-2016"
levels = [{name = "UNCLASSIFIED", mark = "U"}, {name = "CONFIDENTIAL", mark = "C"}, {name = "SECRET", mark = "S"}]
categories = ["CYBER", "MARITIME", "OPEN"]
caveats = ["ORCON", "RELIDO"]
purposes = ["EXERCISE-KEEN"]
expandable = ["QUAD"]
public_communities = []
categories_required_from = "CONFIDENTIAL"
audience_required_from = "CONFIDENTIAL"
approval_level = "SECRET"
releasable_in = "portions"
audience_on_copies = "own"
"""

PARTNERS = (
    "g2, AUS, active, , , nation, Australia",
    "g2, IND, active, , , nation, India",
    "g2, JPN, active, , , nation, Japan",
)
COMMUNITIES = (
    "g, AUS, ALL, ,",
    "g, IND, ALL, ,",
    "g, JPN, ALL, ,",
    "g, IND, QUAD, 2020-01-01,",
    "g, JPN, QUAD, 2020-01-01,",
)
OPEN = "p, AGR-0001, allow, release, ALL, *, UNCLASSIFIED, *, none, *, , , Directive on open information"
JPN_SECRET = "p, AGR-0002, allow, release, JPN, *, SECRET, CYBER MARITIME, RELIDO, *, 2020-01-01, , Exchange of notes 2019"
IND_CONFIDENTIAL = "p, AGR-0003, allow, release, IND, *, CONFIDENTIAL, MARITIME, none, *, 2020-01-01, , Exchange of notes 2020"
IND_EXERCISE = "p, AGR-0004, allow, release, IND, EXERCISE-KEEN, SECRET, MARITIME, none, *, 2020-01-01, , Order for Exercise Keen"

_CASES = (
    "case, at, partner, action, purpose, level, categories, releasable_to, display_to, caveats, originators, consents, grants, "
    "outcome, rules"
)
_NEVER = "id, grantee, action, level, categories, caveats, originator"
_EQUIVALENCES = "issuer, name, from, until, level"


def _text(lines: Sequence[str], head: str = "# invented, for the tests") -> bytes:
    return "".join(f"{line}\n" for line in (head, *lines)).encode()


def bundle_files(
    agreements: Sequence[str] = (OPEN, JPN_SECRET, IND_CONFIDENTIAL, IND_EXERCISE),
    *,
    prohibitions: Sequence[str] = (),
    partners: Sequence[str] = PARTNERS,
    communities: Sequence[str] = COMMUNITIES,
    cases: Sequence[str] = (),
    scheme: str = SCHEME,
) -> dict[str, bytes]:
    """The files of a bundle with these rows."""
    return {
        "model.conf": MODEL,
        "scheme.toml": scheme.encode(),
        "partners.csv": _text(partners),
        "communities.csv": _text(communities),
        "agreements.csv": _text(agreements),
        "prohibitions.csv": _text(prohibitions),
        "cases.csv": _text(cases, _CASES),
        "never.csv": _text((), _NEVER),
        "equivalences.csv": _text((), _EQUIVALENCES),
    }


def bundle(agreements: Sequence[str] = (OPEN, JPN_SECRET, IND_CONFIDENTIAL, IND_EXERCISE), *, prohibitions: Sequence[str] = ()) -> Bundle:
    """The bundle with these rows, read."""
    return read_bundle(bundle_files(agreements, prohibitions=prohibitions))
