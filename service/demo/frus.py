"""One declassified FRUS document, mapped to one item: the mapping `frus` of `entente items import`.

*Foreign Relations of the United States* prints the marking each document bore when it was written, and what is still
withheld in brackets. It knows levels, handling and, in some papers, real portion marks. It knows no release to partners:
that audience is **invented here, by the stated rules below**, for trying the service with real papers. It is nobody's policy.

Pure: a document in, the JSON of an item out (DESIGN section 14, "Items in"). What the mapping does not wholly understand
becomes an item without markings, which the import puts in quarantine for an officer to decide. Nothing is ever mapped to a
level below the one printed, and text is never searched for a level: list letters such as `(C)` are not marks.

**Level**

L1. `UNCLASSIFIED`, `CONFIDENTIAL`, `SECRET` and `TOP SECRET` stay what they are.
L2. `LIMITED OFFICIAL USE` (and `Official Use Only`, which the source files under it) has no equal on the ladder and becomes
    the next higher level, `CONFIDENTIAL`.
L3. Quarantine: no level (`No classification marking`, `Personal and Confidential`, `Eyes Only` alone); a level not named
    here; a marking phrase that does not begin with the level, or that holds a part the document's `handling` and
    `precedence` leave out; a topic or handling phrase not named here, such as a restriction that is itself withheld; a
    portion mark that is unknown or above the document's level.

**Handling**

H1. `EXDIS`, `NODIS`, `LIMDIS` and `ORCON` (also spelled out) are caveats of every portion, the title included.
H2. `NOFORN`, also spelled out, is nobody's audience.
H3. What restricts and has no equal in the scheme (`RESTRICTED DATA`, `EYES ONLY`, `ROGER CHANNEL`, `LIMITED DISTRIBUTION`,
    `SPECAT`, `CONTROLLED DISSEMINATION` ...) is NOFORN too: silence is no. `LIMITED DISTRIBUTION` is not taken for `LIMDIS`.
H4. `OFFICIAL–INFORMAL` (a form of letter) and `OFFICIAL USE ONLY` (a level, L2) restrict nothing further; precedence
    (`PRIORITY`, `NIACT` ...) is urgency, not access.

**Portions**

P1. The heading is the title portion. It is unclassified (FRUS wrote it) and goes to those who get any paragraph: it names
    nations and subjects, so it is not simply open to all.
P2. A paragraph with a real portion mark has that level. A mark at the paragraph's head (`3. (S) ...`) covers the
    sub-paragraphs below it (`a.`, `(1)`, a dash, a bullet) up to the next paragraph that is not one; a mark at its end
    covers that paragraph only.
P3. Every other paragraph has the document's level.
P4. A paragraph with a bracketed "not declassified" omission is held back: in INTELLIGENCE documents by the further
    category INTEL-SOURCES, in all others as NOFORN.
P5. The source record (a JSON portion: volume, date, source note, the marking phrase verbatim, handling, subject,
    participants, signatures) has the document's level, because it tells of what is withheld.

**Audience** (own code always first)

A1. All of a document withheld in full, H2, H3, and everything `TOP SECRET`: NOFORN.
A2. `UNCLASSIFIED` documents name no audience.
A3. INTELLIGENCE: FVEY. The nations a document is about are left out.
A4. NUCLEAR (and not INTELLIGENCE): GBR; up to CONFIDENTIAL also the nations named.
A5. All others: the sample partners among the document's countries, and by topic the `ADDITIONS` below.
A6. Nobody found: NOFORN.
A7. A `(U)` paragraph of a classified document has the audience of a CONFIDENTIAL one: not classified is not yet published.
A8. The item's marking has the document's level and the narrowest audience of its portions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.errors import Rejected

OWN: Final = "USA"

LADDER: Final[Mapping[str, str]] = {"UNCLASSIFIED": "U", "CONFIDENTIAL": "C", "SECRET": "S", "TOP SECRET": "TS"}
"""Levels of the sample scheme, lowest first, and their portion marks."""

LEVELS: Final[Mapping[str, str]] = {**{name: name for name in LADDER}, "LIMITED OFFICIAL USE": "CONFIDENTIAL"}
"""L1, L2: the source's level to the scheme's."""

PHRASE_OF_LEVEL: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: (name,) for name in LADDER},
    "LIMITED OFFICIAL USE": ("LIMITED OFFICIAL USE", "OFFICIAL USE ONLY"),
}
"""How the marking phrase of a document of this level begins."""

CATEGORIES: Final = frozenset(
    {
        "AIR", "ARMS-CONTROL", "BASES", "DIPLOMATIC", "ECONOMIC", "EXERCISE", "INTELLIGENCE", "LOGISTICS", "MARITIME", "NUCLEAR",
        "PEACEKEEPING",
    }
)  # fmt: skip
"""Topics of the source that are categories of the sample scheme under the same name."""

INTELLIGENCE: Final = "INTELLIGENCE"
INTEL_SOURCES: Final = "INTEL-SOURCES"
NUCLEAR: Final = "NUCLEAR"

CAVEATS: Final[Mapping[str, str]] = {
    "EXDIS": "EXDIS",
    "NODIS": "NODIS",
    "LIMDIS": "LIMDIS",
    "ORCON": "ORCON",
    "DISSEMINATION AND EXTRACTION OF INFORMATION CONTROLLED BY ORIGINATOR": "ORCON",
}
"""H1."""

NOT_OF_INTELLIGENCE_COMMUNITY: Final = frozenset({"EXDIS", "LIMDIS", "NODIS"})
"""Caveats that stand in a block of their own, the last of a marking."""

NOT_FOR_PARTNERS: Final = frozenset(
    {
        # H2: says so itself.
        "NOFORN", "NO FOREIGN DISSEMINATION", "NOT RELEASABLE TO FOREIGN NATIONALS",
        # H3: restricts, and the scheme has no word for it.
        "BACKGROUND USE ONLY", "CHEROKEE", "CONTROLLED DISSEMINATION", "EYES ONLY", "LIMIT DISTRIBUTION", "LIMITED DISTRIBUTION",
        "NEED TO KNOW", "NO DISSEMINATION ABROAD", "NOCONTRACT", "NOT RELEASABLE TO CONTRACTORS OR CONTRACTOR/CONSULTANTS",
        "RESTRICTED DATA", "ROGER CHANNEL", "SENSITIVE", "SPECAT", "SPECIAL HANDLING",
    }
)  # fmt: skip

NO_RESTRICTION: Final = frozenset({"OFFICIAL–INFORMAL", "OFFICIAL USE ONLY"})
"""H4."""

NATIONS: Final = frozenset({"AUS", "CAN", "DEU", "FRA", "GBR", "IDN", "IND", "JPN", "KOR", "NZL", "PHL", "SGP"})
"""Sample partners that a document's countries can name."""

FVEY_NATIONS: Final = frozenset({"AUS", "CAN", "GBR", "NZL"})
"""Not named beside FVEY, which already addresses them."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A5: with one of `topics`, and where `about` is not empty one of those countries, `codes` join the audience.

    `up_to` is the highest level of a paragraph to which they do.
    """

    topics: frozenset[str]
    up_to: str
    codes: frozenset[str]
    about: frozenset[str] = frozenset()


_PACIFIC: Final = frozenset({"IDN", "JPN", "KOR", "PHL", "SGP"})
_SOUTHERN_FLANK: Final = frozenset({"GRC", "TUR"})

ADDITIONS: Final = (
    Addition(frozenset({"AIR", "BASES", "MARITIME"}), "SECRET", frozenset({"FVEY"}), about=_PACIFIC),
    Addition(frozenset({"AIR", "EXERCISE", "MARITIME"}), "SECRET", frozenset({"AUS", "GBR"}), about=frozenset({"IND"})),
    Addition(frozenset({"ARMS-CONTROL"}), "SECRET", frozenset({"GBR"})),
    Addition(frozenset({"ARMS-CONTROL"}), "CONFIDENTIAL", frozenset({"CAN", "IND", "JPN"})),
    Addition(frozenset({"LOGISTICS"}), "SECRET", frozenset({"GBR"})),
    Addition(frozenset({"BASES", "LOGISTICS"}), "CONFIDENTIAL", frozenset({"DEU", "NATO-HQ"}), about=_SOUTHERN_FLANK),
    Addition(frozenset({"ECONOMIC"}), "CONFIDENTIAL", frozenset({"CAN", "DEU", "FRA", "GBR", "IND", "JPN"})),
    Addition(frozenset({"DIPLOMATIC"}), "CONFIDENTIAL", frozenset({"FVEY", "JPN"})),
    Addition(frozenset({"PEACEKEEPING"}), "CONFIDENTIAL", frozenset({"IND", "JPN", "UN-DPO"})),
)
"""A5. The list stands in `README.md` beside this file too."""

_MEMBERS: Final[Mapping[str, tuple[type, ...]]] = {
    "id": (str,),
    "volume_title": (str,),
    "title": (str,),
    "date": (str,),
    "place": (str, type(None)),
    "source_note": (str,),
    "original_marking": (str,),
    "original_level": (str, type(None)),
    "handling": (list,),
    "precedence": (list,),
    "countries": (list,),
    "topics": (list,),
    "subject": (str, type(None)),
    "participants": (list,),
    "signed": (list,),
    "paragraphs": (list,),
    "portion_marks": (list,),
    "omissions": (int,),
    "withheld_in_full": (bool,),
    "truncated": (bool,),
}
"""The members of a document in the source, all of them always there."""

_NAME_OF_TYPE: Final[Mapping[type, str]] = {str: "text", list: "a list", int: "a whole number", bool: "true or false", type(None): "null"}

_MEMBER_CHARACTERS_SHOWN: Final = 64

_OMISSION: Final = re.compile(r"\[[^\[\]]*not declassified[^\[\]]*\]", re.IGNORECASE)
_SUB_PARAGRAPH: Final = re.compile(r"(?:[a-z]\.|\([0-9]{1,2}\)|\([a-z]\)|[—–•-])\s*\S")
_MARK_AT_HEAD: Final = re.compile(r"(?:[0-9]{1,2}\.\s*)?\((U|C|S|TS)\)")


class _NotUnderstood(Exception):
    """L3: the document becomes an item without markings. Never leaves this module."""


@dataclass(frozen=True, slots=True)
class _Document:
    """A document whose members have the types of the source."""

    ref: str
    title: str
    phrase: str
    level: str | None
    handling: tuple[str, ...]
    precedence: tuple[str, ...]
    countries: frozenset[str]
    topics: tuple[str, ...]
    paragraphs: tuple[str, ...]
    portion_marks: tuple[str | None, ...]
    withheld_in_full: bool
    source_record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a paragraph or the document is marked as. `audience` is `None` for unrestricted and empty for nobody."""

    level: str
    audience: frozenset[str] | None
    categories: tuple[str, ...]
    caveats: tuple[str, ...]


def map_document(document: Mapping[str, object]) -> dict[str, Any]:
    """Map one FRUS document to the JSON of one item, by the rules above.

    The item has a marking on itself and on each portion; or empty markings throughout, which the import puts in
    quarantine. `ref` is the document's id.

    Raises:
        Rejected: a member missing (`missing-member`), unknown (`unknown-member`) or of another type (`wrong-type`), or not
            one portion mark for each paragraph (`portion-marks`).
    """
    source = _read(document)
    try:
        whole = _reading_of(source)
        paragraphs = _readings_of_paragraphs(source, whole)
    except _NotUnderstood:
        return _unmarked_item(source)
    readings = (whole, *paragraphs)
    title = _Reading("UNCLASSIFIED", _widest(paragraphs or (whole,)), whole.categories, whole.caveats)
    banner = _Reading(whole.level, _narrowest(readings), whole.categories, whole.caveats)
    item: dict[str, Any] = {"ref": source.ref, "marking": _written(banner, banner=True), "releasable_in": "portions"}
    if whole.categories:
        item["categories"] = list(whole.categories)
    item["portions"] = [
        _portion("title", title, whole, text=source.title),
        *(_portion("text", reading, whole, text=text) for reading, text in zip(paragraphs, source.paragraphs, strict=True)),
        _portion("json", whole, whole, value=source.source_record),
    ]
    return item


# What the document is marked as.


def _reading_of(source: _Document) -> _Reading:
    if source.level is None or source.level not in LEVELS:
        raise _NotUnderstood
    _check_phrase(source, source.level)
    if not CATEGORIES.issuperset(source.topics):
        raise _NotUnderstood
    caveats = []
    for handling in source.handling:
        if handling in CAVEATS:
            caveats.append(CAVEATS[handling])
        elif handling not in NOT_FOR_PARTNERS and handling not in NO_RESTRICTION:
            raise _NotUnderstood
    level = LEVELS[source.level]
    audience = None if level == "UNCLASSIFIED" else _audience(source, level)
    if _closed(source):
        audience = frozenset()
    return _Reading(level, audience, tuple(sorted(set(source.topics))), tuple(sorted(set(caveats))))


def _check_phrase(source: _Document, level: str) -> None:
    """L3: level, handling and precedence together must be all that the marking phrase says, and begin as it does."""
    first, *others = (part.strip().upper() for part in re.split("[;,]", source.phrase))
    if first not in PHRASE_OF_LEVEL[level]:
        raise _NotUnderstood
    accounted_for = {*source.handling, *source.precedence}
    if not accounted_for.issuperset(others) or not {first, *others}.issuperset(accounted_for):
        raise _NotUnderstood


def _audience(source: _Document, level: str) -> frozenset[str]:
    """A1 and A3 to A6 for a paragraph of this level in a classified document."""
    rank = _rank(level)
    if rank > _rank("SECRET"):
        return frozenset()
    named = source.countries & NATIONS
    if INTELLIGENCE in source.topics:
        return frozenset({"FVEY"})
    if NUCLEAR in source.topics:
        return frozenset({"GBR"}) | (named if rank <= _rank("CONFIDENTIAL") else frozenset())
    codes = set(named)
    for addition in ADDITIONS:
        about = not addition.about or not addition.about.isdisjoint(source.countries)
        if about and rank <= _rank(addition.up_to) and not addition.topics.isdisjoint(source.topics):
            codes |= addition.codes
    return frozenset(codes - FVEY_NATIONS) if "FVEY" in codes else frozenset(codes)


# What each paragraph is marked as.


def _readings_of_paragraphs(source: _Document, whole: _Reading) -> tuple[_Reading, ...]:
    readings = []
    for level, text in zip(_levels_of_paragraphs(source, whole.level), source.paragraphs, strict=True):
        audience = whole.audience
        # A whole that is for nobody by its handling is for nobody in each part; one that is so by its level alone is not.
        if whole.audience is not None and level != whole.level and not _closed(source):
            audience = _audience(source, level)
        categories = whole.categories
        if _OMISSION.search(text):
            if INTELLIGENCE in source.topics:
                categories = tuple(sorted({*categories, INTEL_SOURCES}))
            else:
                audience = frozenset()
        readings.append(_Reading(level, audience, categories, whole.caveats))
    return tuple(readings)


def _closed(source: _Document) -> bool:
    """A1: for nobody in every part, whatever the level of the part."""
    return source.withheld_in_full or not NOT_FOR_PARTNERS.isdisjoint(source.handling)


def _levels_of_paragraphs(source: _Document, level: str) -> tuple[str, ...]:
    """P2, P3."""
    level_of_mark = {mark: name for name, mark in LADDER.items()}
    levels = []
    covering: str | None = None
    for mark, text in zip(source.portion_marks, source.paragraphs, strict=True):
        if mark is not None:
            if mark not in level_of_mark or _rank(level_of_mark[mark]) > _rank(level):
                raise _NotUnderstood
            levels.append(level_of_mark[mark])
            at_head = _MARK_AT_HEAD.match(text)
            covering = level_of_mark[mark] if at_head is not None and at_head[1] == mark else None
        else:
            if not _SUB_PARAGRAPH.match(text):
                covering = None
            levels.append(level if covering is None else covering)
    return tuple(levels)


def _rank(level: str) -> int:
    return tuple(LADDER).index(level)


def _widest(readings: Iterable[_Reading]) -> frozenset[str] | None:
    """Everyone who is in some audience; audiences of one document widen only as its levels fall."""
    codes: set[str] = set()
    for reading in readings:
        if reading.audience is None:
            return None
        codes |= reading.audience
    return frozenset(codes - FVEY_NATIONS) if "FVEY" in codes else frozenset(codes)


def _narrowest(readings: Iterable[_Reading]) -> frozenset[str] | None:
    """A8: the audience of the highest level among the portions, or nobody where one is for nobody."""
    restricted = [reading for reading in readings if reading.audience is not None]
    if not restricted:
        return None
    if any(not reading.audience for reading in restricted):
        return frozenset()
    return max(restricted, key=lambda reading: _rank(reading.level)).audience


# How it is written.


def _portion(kind: str, reading: _Reading, whole: _Reading, **content: Any) -> dict[str, Any]:
    portion: dict[str, Any] = {"kind": kind, "marking": _written(reading), **content}
    if reading.categories != whole.categories:
        portion["categories"] = list(reading.categories)
    return portion


def _written(reading: _Reading, *, banner: bool = False) -> str:
    """The marking: `SECRET//ORCON/NOFORN`, `(S//REL TO USA, GBR//EXDIS)`. Caveats by their code, which every profile reads."""
    level = reading.level if banner else LADDER[reading.level]
    controls = [caveat for caveat in reading.caveats if caveat not in NOT_OF_INTELLIGENCE_COMMUNITY]
    others = [caveat for caveat in reading.caveats if caveat in NOT_OF_INTELLIGENCE_COMMUNITY]
    if reading.audience:
        controls.append(f"REL TO {', '.join(_codes_in_order(reading.audience))}")
    elif reading.audience is not None:
        controls.append("NOFORN" if banner else "NF")
    marking = "//".join("/".join(block) for block in ([level], controls, others) if block)
    return marking if banner else f"({marking})"


def _codes_in_order(audience: frozenset[str]) -> tuple[str, ...]:
    """Own code, then nations, then all others, each in the order of the alphabet (CAPCO 2016, REL TO)."""
    return (OWN, *sorted(audience, key=lambda code: (code not in NATIONS, code)))


def _unmarked_item(source: _Document) -> dict[str, Any]:
    item: dict[str, Any] = {"ref": source.ref, "marking": "", "releasable_in": "portions"}
    known = sorted(CATEGORIES.intersection(source.topics))
    if known:
        item["categories"] = known
    item["portions"] = [
        {"kind": "title", "marking": "", "text": source.title},
        *({"kind": "text", "marking": "", "text": text} for text in source.paragraphs),
        {"kind": "json", "marking": "", "value": source.source_record},
    ]
    return item


# Reading the source.


def _read(document: object) -> _Document:
    if not isinstance(document, Mapping):
        raise Rejected("a document is a JSON object", code="wrong-type")
    for name in document:
        # A member that this mapping does not know might restrict, so it is not passed over.
        if name not in _MEMBERS:
            shown = str(name).encode("unicode_escape").decode("ascii")[:_MEMBER_CHARACTERS_SHOWN]
            raise Rejected(f"unknown member `{shown}` in document", code="unknown-member")
    for name, types in _MEMBERS.items():
        if name not in document:
            raise Rejected(f"document without `{name}`", code="missing-member")
        if type(document[name]) not in types:
            expected = " or ".join(_NAME_OF_TYPE[one] for one in types)
            raise Rejected(f"`{name}` of a document is {expected}, got {_described(document[name])}", code="wrong-type")
    if not document["id"]:
        raise Rejected("`id` of a document is empty", code="wrong-type")
    texts = {
        name: _texts(name, document[name])
        for name in ("handling", "precedence", "countries", "topics", "participants", "signed", "paragraphs")
    }
    portion_marks = _portion_marks(document["portion_marks"])
    if len(portion_marks) != len(texts["paragraphs"]):
        raise Rejected(
            f"{len(portion_marks)} `portion_marks` for {len(texts['paragraphs'])} `paragraphs`, expected one for each",
            code="portion-marks",
        )
    members: dict[str, Any] = dict(document)
    return _Document(
        ref=members["id"],
        title=members["title"],
        phrase=members["original_marking"],
        level=members["original_level"],
        handling=texts["handling"],
        precedence=texts["precedence"],
        countries=frozenset(texts["countries"]),
        topics=texts["topics"],
        paragraphs=texts["paragraphs"],
        portion_marks=portion_marks,
        withheld_in_full=members["withheld_in_full"],
        source_record={
            "volume": members["volume_title"],
            "date": members["date"],
            "place": members["place"],
            "source_note": members["source_note"],
            "original_marking": members["original_marking"],
            "original_level": members["original_level"],
            "handling": list(texts["handling"]),
            "precedence": list(texts["precedence"]),
            "subject": members["subject"],
            "participants": list(texts["participants"]),
            "signed": list(texts["signed"]),
        },
    )


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise Rejected(f"`{name}` of a document is a list of texts", code="wrong-type")
    return tuple(value)


def _portion_marks(value: object) -> tuple[str | None, ...]:
    if not isinstance(value, list) or not all(mark is None or isinstance(mark, str) for mark in value):
        raise Rejected("`portion_marks` of a document is a list of marks or nulls", code="wrong-type")
    return tuple(value)


def _described(value: object) -> str:
    """The type of what came, in the reader's words; content stays out of messages."""
    return _NAME_OF_TYPE.get(type(value), "an object" if isinstance(value, Mapping) else "something else")
