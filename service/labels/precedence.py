"""Precedence: which caveats of the portions a banner of `IC-2016` conveys. A layer over roll-up, for banners alone.

Pure. Roll-up keeps every caveat, for it serves markings and filters alike and has laws to keep; the manual lets some
fall away where a banner says more already. After the Intelligence Community Markings System Register and Manual,
31 December 2016 (public release DF-2019-00061); pages below are of it.

| caveat | falls away in a banner | page |
|---|---|---|
| `FOUO` | of a classified page, and beside another dissemination control that is not of foreign disclosure | 134 |
| `SBU`, `LIMDIS` | of a classified page, unless a classified portion bears it | 171, 177, 179 |
| `ORCON-USGOV` | beside `ORCON` | 136, 140 |
| `EXDIS` | beside `NODIS`: the two are not used together | 172, 174 |
| `SBU` | beside `EXDIS` or `NODIS` | 172, 174 |
| `RELIDO` | unless every portion bears it | 156 |

Whoever compares a banner with its portions asks here too (`required_of`): a caveat that falls away is not missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from service.labels.label import UNRESTRICTED, Label
from service.labels.scheme import Profile, Scheme

UNCLASSIFIED_ONLY: Final = frozenset({"FOUO", "LIMDIS", "SBU"})
"""Controls of unclassified information, which a classified banner does not name."""

GIVING_WAY: Final = (("ORCON-USGOV", "ORCON"), ("EXDIS", "NODIS"), ("SBU", "EXDIS"), ("SBU", "NODIS"))
"""A control, and one beside which it falls away."""

DISSEMINATION: Final = frozenset(
    (
        "DEA-SENSITIVE",
        "EXDIS",
        "FISA",
        "FOUO",
        "IMCON",
        "LES",
        "LIMDIS",
        "NODIS",
        "ORCON",
        "ORCON-USGOV",
        "PROPIN",
        "RELIDO",
        "RSEN",
        "SBU",
        "SSI",
    )
)
"""The dissemination controls of the register. Others, that a scheme adds, never fall away nor displace."""

FOUO: Final = "FOUO"
RELIDO: Final = "RELIDO"


def conveyed(parts: Iterable[tuple[bool, Collection[str]]]) -> frozenset[str]:
    """The caveats that the banner of these portions names.

    Args:
        parts: of each portion that counts, whether it is classified, and its caveats.
    """
    known = [(classified, frozenset(caveats)) for classified, caveats in parts]
    named = frozenset[str]().union(*(caveats for _, caveats in known))
    if any(classified for classified, _ in known):
        borne_by_classified = frozenset[str]().union(*(caveats for classified, caveats in known if classified))
        named -= UNCLASSIFIED_ONLY - borne_by_classified
    if FOUO in named and (named & DISSEMINATION) - {FOUO, RELIDO}:
        named -= {FOUO}
    named -= {weaker for weaker, stronger in GIVING_WAY if stronger in named}
    if not all(RELIDO in caveats for _, caveats in known):
        named -= {RELIDO}
    return named


def counts(label: Label, *, scheme: Scheme) -> bool:
    """Whether a portion counts when the manual asks what all portions say of foreign disclosure.

    An unclassified one without any control does not (pages 49, 54): it bears no such mark, and needs none.
    """
    return label.level != scheme.lowest or bool(label.caveats) or label.releasable_to != UNRESTRICTED


def conveyed_of(labels: Collection[Label], *, scheme: Scheme) -> frozenset[str]:
    """The caveats that the banner of these labels names, in the profile of the scheme: all, but in `IC-2016`."""
    if scheme.profile is not Profile.IC_2016:
        return frozenset[str]().union(*(label.caveats for label in labels))
    counting = [label for label in labels if counts(label, scheme=scheme)]
    return conveyed((label.level != scheme.lowest, label.caveats) for label in counting)


def required_of(labels: Collection[Label], *, scheme: Scheme) -> frozenset[str]:
    """The caveats without which a banner of these labels is looser than they are.

    RELIDO is not among them: it permits (page 154), so a banner that leaves it out only says less of who may have it.
    """
    permissive = {RELIDO} if scheme.profile is Profile.IC_2016 else set()
    return conveyed_of(labels, scheme=scheme) - permissive
