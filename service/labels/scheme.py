"""The scheme: the vocabulary a bundle's labels are made of, from `scheme.toml` (DESIGN sections 4 and 14).

Pure. The strict reader in `service.policy` finds the place of a mistake in the file; this module says what a scheme is,
and refuses to be one that is not whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from service.errors import Rejected

_Vocabulary = TypeVar("_Vocabulary", bound=StrEnum)

LEVEL_NAME = re.compile(r"[A-Z][A-Z0-9]*( [A-Z0-9]+)*")
CODE = re.compile(r"[A-Z][A-Z0-9-]*")
"""Categories, caveats, purposes, partners, communities."""


class Profile(StrEnum):
    """How labels are written and read."""

    PLAIN = "PLAIN"
    IC_2016 = "IC-2016"
    NATO_4774 = "NATO-4774"
    TLP_2 = "TLP-2"


class ReleasableIn(StrEnum):
    """Whether an item goes out only as a whole, or those portions that are released."""

    WHOLE = "whole"
    PORTIONS = "portions"


class AudienceOnCopies(StrEnum):
    """What a copy's marking names: ourselves, the addressee and public communities (`own`), or all of it (`full`)."""

    OWN = "own"
    FULL = "full"


class SchemeError(Rejected):
    """A scheme that is not whole. `key` is the offending key of `scheme.toml`, or `""` for the file."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message, code="scheme")
        self.key = key


class UnknownName(Rejected):
    """A level, category, caveat, purpose or code that the scheme does not hold."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"unknown {kind} `{name}`", code=f"unknown-{kind}")
        self.kind = kind
        self.name = name


@dataclass(frozen=True, slots=True)
class Level:
    """A step on the ladder: its name (`SECRET`) and its portion mark (`S`)."""

    name: str
    mark: str


KEYS = (
    "own",
    "profile",
    "levels",
    "categories",
    "caveats",
    "purposes",
    "expandable",
    "public_communities",
    "categories_required_from",
    "audience_required_from",
    "approval_level",
    "releasable_in",
    "audience_on_copies",
)
"""The keys of `scheme.toml`: these, all present, no tables."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """The ladder, the vocabularies and the settings of a bundle.

    `levels` are in order, lowest first. `categories_required_from`, `audience_required_from` are level names, or `""` for
    never. `none` is always a purpose and is not listed.
    """

    own: str
    profile: Profile
    levels: tuple[Level, ...]
    categories: tuple[str, ...]
    caveats: tuple[str, ...]
    purposes: tuple[str, ...]
    expandable: tuple[str, ...]
    public_communities: tuple[str, ...]
    categories_required_from: str
    audience_required_from: str
    approval_level: str
    releasable_in: ReleasableIn
    audience_on_copies: AudienceOnCopies
    _rank: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rank", {level.name: rank for rank, level in enumerate(self.levels)})

    def rank(self, level: str) -> int:
        """Position on the ladder, 0 the lowest.

        Raises:
            UnknownName: the ladder has no such level.
        """
        try:
            return self._rank[level]
        except KeyError:
            raise UnknownName("level", level) from None

    @property
    def lowest(self) -> str:
        """The name of the first step of the ladder."""
        return self.levels[0].name

    def requires_categories(self, level: str) -> bool:
        """Whether a label of this level without a category is quarantined."""
        return self._at_or_above(level, self.categories_required_from)

    def requires_audience(self, level: str) -> bool:
        """Whether a marking of this level that names no audience is quarantined."""
        return self._at_or_above(level, self.audience_required_from)

    def _at_or_above(self, level: str, threshold: str) -> bool:
        return bool(threshold) and self.rank(level) >= self.rank(threshold)

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any]) -> Scheme:
        """Build a scheme from the parsed `scheme.toml`.

        Raises:
            SchemeError: a key missing, unknown, of the wrong type or with a value outside its vocabulary.
        """
        for key in value:
            if key not in KEYS:
                raise SchemeError(key, f"unknown key `{key}` in scheme, expected one of {', '.join(f'`{k}`' for k in KEYS)}")
        for key in KEYS:
            if key not in value:
                raise SchemeError("", f"scheme without `{key}`")
        levels = _levels(value["levels"])
        names = {level.name for level in levels}
        categories = _codes(value, "categories")
        caveats = _codes(value, "caveats")
        purposes = _codes(value, "purposes")
        for threshold in ("categories_required_from", "audience_required_from"):
            given = value[threshold]
            if not isinstance(given, str) or (given and given not in names):
                raise SchemeError(threshold, f"`{threshold}` is a level of the ladder or empty, got `{given}`")
        approval_level = value["approval_level"]
        if not isinstance(approval_level, str) or approval_level not in names:
            raise SchemeError("approval_level", f"`approval_level` is a level of the ladder, got `{approval_level}`")
        own = value["own"]
        if not isinstance(own, str) or not CODE.fullmatch(own):
            raise SchemeError("own", f"`own` is a code like `USA`, got `{own}`")
        return cls(
            own=own,
            profile=_member(value, "profile", Profile),
            levels=levels,
            categories=categories,
            caveats=caveats,
            purposes=purposes,
            expandable=_codes(value, "expandable"),
            public_communities=_codes(value, "public_communities"),
            categories_required_from=value["categories_required_from"],
            audience_required_from=value["audience_required_from"],
            approval_level=approval_level,
            releasable_in=_member(value, "releasable_in", ReleasableIn),
            audience_on_copies=_member(value, "audience_on_copies", AudienceOnCopies),
        )


def _levels(value: object) -> tuple[Level, ...]:
    if not isinstance(value, list) or not value:
        raise SchemeError("levels", "`levels` is a list of `{name, mark}`, lowest first, with at least one")
    levels = []
    for entry in value:
        if not isinstance(entry, dict) or set(entry) != {"name", "mark"}:
            raise SchemeError("levels", 'a level is `{name = "SECRET", mark = "S"}`')
        name, mark = entry["name"], entry["mark"]
        if not isinstance(name, str) or not LEVEL_NAME.fullmatch(name):
            raise SchemeError("levels", f"level name `{name}` is not upper-case words")
        if not isinstance(mark, str) or not LEVEL_NAME.fullmatch(mark):
            raise SchemeError("levels", f"portion mark `{mark}` is not upper-case letters")
        levels.append(Level(name, mark))
    for attribute in ("name", "mark"):
        seen: set[str] = set()
        for level in levels:
            word = getattr(level, attribute)
            if word in seen:
                raise SchemeError("levels", f"level {attribute} `{word}` twice")
            seen.add(word)
    return tuple(levels)


def _codes(value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    given = value[key]
    if not isinstance(given, list) or not all(isinstance(code, str) for code in given):
        raise SchemeError(key, f"`{key}` is a list of codes")
    for code in given:
        if not CODE.fullmatch(code):
            raise SchemeError(key, f"`{code}` in `{key}` is not a code like `MARITIME`")
        if given.count(code) > 1:
            raise SchemeError(key, f"`{code}` in `{key}` twice")
    return tuple(given)


def _member(value: Mapping[str, Any], key: str, vocabulary: type[_Vocabulary]) -> _Vocabulary:
    try:
        return vocabulary(value[key])
    except ValueError:
        expected = ", ".join(f"`{member}`" for member in vocabulary)
        raise SchemeError(key, f"`{key}` is one of {expected}, got `{value[key]}`") from None
