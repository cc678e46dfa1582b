"""The rows of a bundle as values: what each line of its tables says (DESIGN sections 4 and 14).

Pure. They come out of the strict reader whole or not at all; a row that exists is valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.labels.label import Label


class Effect(StrEnum):
    """What a rule does where it is true."""

    ALLOW = "allow"
    DENY = "deny"


class PartnerKind(StrEnum):
    """What a partner is."""

    NATION = "nation"
    ORGANISATION = "organisation"
    MISSION = "mission"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Period:
    """`[begins, ends)`; None is open. Aware UTC datetimes."""

    begins: datetime | None = None
    ends: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether `at` is in it."""
        return (self.begins is None or self.begins <= at) and (self.ends is None or at < self.ends)

    def overlaps(self, other: Period) -> bool:
        """Whether some moment is in both."""
        return (self.begins is None or other.ends is None or self.begins < other.ends) and (
            other.begins is None or self.ends is None or other.begins < self.ends
        )

    def boundaries(self) -> tuple[datetime, ...]:
        """The moments at which it begins or ends."""
        return tuple(moment for moment in (self.begins, self.ends) if moment is not None)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: file, line from 1, and the line as written."""

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class PartnerStatus:
    """A line of `partners.csv`."""

    place: Place
    code: str
    active: bool
    period: Period
    kind: PartnerKind
    name: str


@dataclass(frozen=True, slots=True)
class Partner:
    """A nation or organisation: what all its lines have in common, and the lines, in their order."""

    code: str
    kind: PartnerKind
    name: str
    status: tuple[PartnerStatus, ...]


@dataclass(frozen=True, slots=True)
class Membership:
    """A line of `communities.csv`: `member` is a partner, a community or the own code."""

    place: Place
    member: str
    community: str
    period: Period


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of `agreements.csv` or `prohibitions.csv`; cells that hold sets are as written."""

    place: Place
    id: str
    effect: Effect
    action: str
    grantee: str
    purpose: str
    level: str
    categories: str
    caveats: str
    originator: str
    period: Period
    basis: str


@dataclass(frozen=True, slots=True)
class Equivalence:
    """A line of `equivalences.csv`: what another's level name means on our ladder."""

    place: Place
    issuer: str
    name: str
    period: Period
    level: str


@dataclass(frozen=True, slots=True)
class Never:
    """A line of `never.csv`: what no label may ever be released as. Read now; proved at publication."""

    place: Place
    id: str
    grantee: str
    action: str
    level: str
    categories: str
    caveats: str
    originator: str


@dataclass(frozen=True, slots=True)
class Case:
    """A line of `cases.csv`: what an officer expects. `rules` sorted, compared as a set."""

    place: Place
    name: str
    at: datetime
    partner: str
    action: str
    purpose: str
    label: Label
    outcome: str
    rules: tuple[str, ...]
