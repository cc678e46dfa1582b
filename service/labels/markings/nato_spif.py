"""The words of NATO labels: classifications, contexts, audiences, sensitivities, administrative terms (ADatP-4774).

Pure: a table read once with the package. The table, `nato_spif_2015.csv`, is a published demonstration policy in two
languages and not an authority: its words are used for reading and writing, its ceilings (`excluded`) are told to an
officer and decide nothing.

A value stands in the table as labels carry it (`RESOLUTE SUPPORT`, `BLG`); its code is ours (`RESOLUTE-SUPPORT`, `BGR`).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

POLICY: Final = "NATO"
POLICY_OID: Final = "1.3.26.1.3.1"
NATO: Final = "NATO"
"""The code of the community of Allies, and the context of what names no other."""

RELEASABLE: Final = "Releasable"
"""The value of the context that says: there is a `Releasable To`."""


class TagSet(StrEnum):
    """The tag sets of the policy, in the order in which their words are written."""

    SENSITIVITY = "Additional Sensitivity"
    RELEASABLE_TO = "Releasable To"
    ONLY = "Only"
    ADMINISTRATIVE = "Administrative"
    CONTEXT = "Context"


TAG_SET_OIDS: Final[Mapping[str, TagSet]] = MappingProxyType(
    {
        "1.3.26.1.4.1": TagSet.SENSITIVITY,
        "1.3.26.1.4.2": TagSet.RELEASABLE_TO,
        "1.3.26.1.4.3": TagSet.ADMINISTRATIVE,
        "1.3.26.1.4.4": TagSet.CONTEXT,
        "1.3.26.1.4.5": TagSet.ONLY,
    }
)

TYPES: Final[Mapping[TagSet, str]] = MappingProxyType(
    {
        TagSet.SENSITIVITY: "RESTRICTIVE",
        TagSet.RELEASABLE_TO: "PERMISSIVE",
        TagSet.ONLY: "PERMISSIVE",
        TagSet.ADMINISTRATIVE: "INFORMATIVE",
        TagSet.CONTEXT: "PERMISSIVE",
    }
)
"""The type of a category of each tag set, as a label must state it."""


class Language(StrEnum):
    """The official languages of the Alliance."""

    ENGLISH = "en"
    FRENCH = "fr"


@dataclass(frozen=True, slots=True)
class Classification:
    """A step of the policy's ladder: its words in both languages, the policy word before them, its portion mark."""

    name: str
    lacv: int
    french: str
    policy: str
    mark: str

    def phrase(self, language: Language) -> str:
        """Its words after the policy word."""
        return self.french if language is Language.FRENCH else self.name


CLASSIFICATIONS: Final[Mapping[str, Classification]] = MappingProxyType(
    {
        each.name: each
        for each in (
            Classification("UNCLASSIFIED", 1, "SANS CLASSIFICATION", "NATO", "NU"),
            Classification("RESTRICTED", 2, "DIFFUSION RESTREINTE", "NATO", "NR"),
            Classification("CONFIDENTIAL", 3, "CONFIDENTIEL", "NATO", "NC"),
            Classification("SECRET", 4, "SECRET", "NATO", "NS"),
            Classification("TOP SECRET", 5, "TRES SECRET", "COSMIC", "CTS"),
        )
    }
)
"""By name, lowest first."""

MARKS_WITH_SENSITIVITY: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "CTSA": ("TOP SECRET", "ATOMAL"),
        "NSAT": ("SECRET", "ATOMAL"),
        "NCA": ("CONFIDENTIAL", "ATOMAL"),
        "CTS-B": ("TOP SECRET", "BOHEMIA"),
    }
)
"""Portion marks that say a sensitivity too (register of the Intelligence Community Markings System, 2016, on NATO marks)."""

CONTEXT_AUDIENCES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "NATO": (NATO,),
        "EAPC": ("EAPC",),
        "ISAF": ("ISAF",),
        "KFOR": ("KFOR",),
        "RESOLUTE-SUPPORT": ("RESOLUTE-SUPPORT",),
        "GEORGIA": (NATO, "GEO"),
        "IP": (NATO, "IP"),
        "PFP": (NATO, "PFP"),
        "RUSSIA": (NATO, "RUS"),
        "UKRAINE": (NATO, "UKR"),
    }
)
"""Whom a context names by itself. A council or mission that Allies belong to is named alone, being the narrower reading:
who takes part in it is for the bundle's communities to say. Beside the rest, Allies are named (`NATO + Georgia` in the policy)."""

_CODES: Final = {"BLG": "BGR", "FYR": "MKD"}
"""Values of 2015 that are not the code of ISO 3166-1 for the country they name."""


@dataclass(frozen=True, slots=True)
class Category:
    """A value of a tag set: as labels carry it, its code here, its number and phrases, the classifications it is not used with."""

    value: str
    code: str
    lacv: int
    english: str
    french: str
    excluded: frozenset[str]

    def phrase(self, language: Language) -> str:
        """How a marking names it."""
        return (self.french if language is Language.FRENCH else self.english) or self.value


def code_of(value: str) -> str:
    """Our code of a value as labels carry it."""
    return _CODES.get(value, value.replace(" ", "-"))


def _read() -> Mapping[TagSet, Mapping[str, Category]]:
    path = Path(__file__).with_name("nato_spif_2015.csv")
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    sets: dict[TagSet, dict[str, Category]] = {tag_set: {} for tag_set in TagSet}
    for row in csv.DictReader(lines):
        excluded = frozenset(filter(None, row["excluded_classes"].split("|")))
        category = Category(row["value"], code_of(row["value"]), int(row["lacv"]), row["english"], row["french"], excluded)
        sets[TagSet(row["tag_set"])][category.code] = category
    sets[TagSet.ONLY] = sets[TagSet.RELEASABLE_TO]
    return MappingProxyType({tag_set: MappingProxyType(found) for tag_set, found in sets.items()})


CATEGORIES: Final = _read()
"""Every category by tag set and code."""

_LAST: Final = 1_000_000


def in_order(tag_set: TagSet, codes: tuple[str, ...]) -> tuple[str, ...]:
    """Codes as the policy orders them, by number; those it does not know last, by name."""
    known = CATEGORIES[tag_set]
    return tuple(sorted(set(codes), key=lambda code: (known[code].lacv if code in known else _LAST, code)))


def phrase_of(tag_set: TagSet, code: str, language: Language) -> str:
    """How a marking names a code; one that the policy does not know by itself."""
    category = CATEGORIES[tag_set].get(code)
    return code if category is None else category.phrase(language)


def value_of(tag_set: TagSet, code: str) -> str:
    """How a label carries a code."""
    category = CATEGORIES[tag_set].get(code)
    return code if category is None else category.value
