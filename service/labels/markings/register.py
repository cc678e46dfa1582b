"""The register: what a page of markings is read against. A bundle's, or the published one of a profile.

Pure. The published codes and communities are those of `ismcat`.

A page is judged by its markings alone, whoever the partners of a bundle are: `widened` gives a bundle's register the
published words and codes beside its own. What an item may hold is narrower, and `intake` decides it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from service.labels.markings import ismcat
from service.labels.markings.ic2016_words import CONTROL_CODES, LADDER, NATO
from service.labels.markings.nato_spif import CATEGORIES, TagSet
from service.labels.rollup import Members
from service.labels.scheme import AudienceOnCopies, Level, Profile, ReleasableIn, Scheme

LevelOf = Callable[[str, str], str | None]
"""(issuer, name on its ladder) to the level of ours that it equals; `None` where no table has it."""

_MARKS: Final = {"UNCLASSIFIED": "U", "RESTRICTED": "R", "CONFIDENTIAL": "C", "SECRET": "S", "TOP SECRET": "TS"}
_NATO_MARKS: Final = {"UNCLASSIFIED": "NU", "RESTRICTED": "NR", "CONFIDENTIAL": "NC", "SECRET": "NS", "TOP SECRET": "CTS"}
_TLP_MARKS: Final = {"CLEAR": "CLEAR", "GREEN": "GREEN", "AMBER": "AMBER", "AMBER STRICT": "AMBER STRICT", "RED": "RED"}


@dataclass(frozen=True, slots=True)
class Register:
    """The scheme whose profile reads the page, the codes that exist, who belongs to a community, what levels equal."""

    scheme: Scheme
    codes: frozenset[str]
    members: Members
    level_of: LevelOf


def published(profile: Profile) -> Register:
    """The register of a profile by itself: its published words, no bundle.

    Its own code is that of the profile's owner: for `NATO-4774` an organisation that no audience names, for `TLP-2` the
    protocol's editor. `PLAIN` has no owner; it takes that of `IC-2016`.
    """
    codes, members = ismcat.codes(), ismcat.members()
    own, marks, caveats = "USA", _MARKS, CONTROL_CODES
    match profile:
        case Profile.PLAIN:
            pass
        case Profile.IC_2016:
            marks = {name: mark for name, mark in _MARKS.items() if name != "RESTRICTED"}
        case Profile.NATO_4774:
            own, marks = "NATO-HQ", _NATO_MARKS
            # Its table names bodies that ISMCAT does not (`EAPC`, `PFP`).
            codes = codes | frozenset(CATEGORIES[TagSet.RELEASABLE_TO])
            caveats = frozenset((*CATEGORIES[TagSet.SENSITIVITY], *CATEGORIES[TagSet.ADMINISTRATIVE]))
        case Profile.TLP_2:
            own, marks, caveats = "FIRST", _TLP_MARKS, frozenset()
    levels = tuple(Level(name, mark) for name, mark in marks.items())
    scheme = Scheme(
        own=own,
        profile=profile,
        levels=levels,
        categories=(),
        caveats=tuple(sorted(caveats)),
        purposes=(),
        expandable=tuple(sorted(members)),
        public_communities=(),
        categories_required_from="",
        audience_required_from="",
        approval_level=levels[-1].name,
        releasable_in=ReleasableIn.PORTIONS,
        audience_on_copies=AudienceOnCopies.OWN,
    )
    return Register(scheme, codes | {own}, members, lambda issuer, name: _equal_by_name(name, scheme))


def widened(scheme: Scheme, *, codes: frozenset[str], members: Members, level_of: LevelOf) -> Register:
    """A bundle's register, with the published words and codes of its profile beside its own.

    Communities are expanded only where the bundle's scheme says so, into the members the bundle gives them.
    """
    own = published(scheme.profile)
    # A published word that the scheme writes otherwise would make two of one.
    spoken = {level.name for level in scheme.levels} | {level.mark for level in scheme.levels}
    added = tuple(caveat for caveat in own.scheme.caveats if caveat not in scheme.caveats and caveat not in spoken)
    wide = replace(scheme, caveats=(*scheme.caveats, *added))

    def equal(issuer: str, name: str) -> str | None:
        found = level_of(issuer, name)
        return _equal_by_name(name, scheme) if found is None else found

    return Register(wide, codes | own.codes, members, equal)


def _equal_by_name(name: str, scheme: Scheme) -> str | None:
    """The level of the same English name, or the next higher where the ladder lacks it; NATO's by the level it names.

    The marks of foreign government information in `IC-2016` are equivalents already, not the source's own names
    (Information Security Oversight Office, 32 CFR 2001.24). Good for a banner; a label asks the bundle's table.
    """
    bare = name.removeprefix("COSMIC ").removeprefix(f"{NATO} ").removeprefix("ISAF ")
    if bare not in LADDER:
        return None
    names = {level.name for level in scheme.levels}
    return next((each for each in LADDER[LADDER.index(bare) :] if each in names), None)
