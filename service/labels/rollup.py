"""Roll-up: the label of several things together, for markings and filters. Nothing is ever decided on it.

Level is the highest; categories, caveats and originators are the union; the audience is the intersection. Each is a
meet or a join, so roll-up is commutative, associative and idempotent, in value and in bytes: an item's banner does not
depend on the order or the grouping of its portions.

An audience is met by what it names and by whom that reaches. A community that all parts name stays itself; else it is
expanded into its members, and only where the scheme marks it expandable (rule 23 of table 3 of the Intelligence
Community Markings System Register and Manual, 31 December 2016). One that is not stands for itself alone: meeting it
with anything else errs towards nobody.

A consent or a grant survives only if each part concerned has it: for a consent, every part of that originator; for a
grant, every part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from service.errors import Rejected
from service.labels.label import UNRESTRICTED, Label
from service.labels.precedence import RELIDO, conveyed_of, counts, required_of
from service.labels.scheme import AudienceOnCopies, Profile, Scheme

Members = Mapping[str, frozenset[str]]
"""Community to its partners as of the time asked for, through all links."""
_NARROWED_MAX: Final = 1 << 15
"""Labels, each for one partner, of which the narrowed one is held: some hundred bytes each."""


def roll_up(labels: Iterable[Label], *, scheme: Scheme, members: Members) -> Label:
    """The label of all these together.

    Raises:
        Rejected: there are none. What holds nothing has no label, least of all the widest.
        UnknownName: a level that the scheme does not hold.
    """
    # The same label twice changes nothing, and most portions of an item share theirs.
    parts = tuple(dict.fromkeys(labels))
    if not parts:
        raise Rejected("nothing to roll up, expected at least one label", code="empty")
    releasable_to, display_to = _met_audiences(parts, scheme=scheme, members=members)
    return Label(
        level=max((part.level for part in parts), key=scheme.rank),
        categories=tuple(name for part in parts for name in part.categories),
        releasable_to=releasable_to,
        caveats=tuple(name for part in parts for name in part.caveats),
        originators=tuple(code for part in parts for code in part.originators),
        display_to=display_to,
        consents=tuple(_surviving_consents(parts)),
        grants=tuple(set(parts[0].grants).intersection(*(part.grants for part in parts))),
    )


@dataclass(frozen=True, slots=True)
class Departures:
    """How a banner departs from what its portions require; `fault` is `None` and `excess` empty where it says just that."""

    fault: str | None
    """Why it is looser, which is not lawful."""
    excess: tuple[str, ...]
    """Where it is stricter and holds back what every portion allows (over-marking), most important first. That is lawful all the same."""


def departures(banner: Label, portions: Iterable[Label], *, scheme: Scheme, members: Members) -> Departures:
    """How a banner departs from what its portions require.

    Only what a marking says is compared: level, caveats, audience. The audience is looser where it names a code that
    some portion does not reach. A caveat that the scheme's profile lets fall away in a banner is not missing.

    Raises:
        Rejected: there are no portions, so that nothing can be said of the banner.
    """
    parts = tuple(dict.fromkeys(portions))
    required = roll_up(parts, scheme=scheme, members=members)
    fault = _fault(banner, parts, required, scheme=scheme, members=members)
    return Departures(fault, tuple(_excess(banner, required, scheme=scheme, members=members)))


def banner_fault(banner: Label, portions: Iterable[Label], *, scheme: Scheme, members: Members) -> str | None:
    """Why a banner is looser than its portions require; `None` if it is lawful. As `departures`."""
    return departures(banner, portions, scheme=scheme, members=members).fault


def _fault(banner: Label, parts: Sequence[Label], required: Label, *, scheme: Scheme, members: Members) -> str | None:
    if scheme.rank(banner.level) < scheme.rank(required.level):
        return f"level `{banner.level}` is below `{required.level}` of a portion"
    needed = required_of(parts, scheme=scheme)
    missing = [caveat for caveat in required.caveats if caveat in needed and caveat not in banner.caveats]
    if missing:
        return f"caveat `{missing[0]}` of a portion is missing"
    audiences = (
        ("release", banner.releasable_to, [part.releasable_to for part in parts]),
        ("display", _shown(banner), [_shown(part) for part in parts]),
    )
    for action, named, allowed in audiences:
        over = wider(named, allowed, scheme=scheme, members=members)
        if over == "*":
            return f"no audience is named for {action}, where a portion names one"
        if over is not None:
            return f"`{over}` is in the audience for {action}, and not in that of every portion"
    return None


def _excess(banner: Label, required: Label, *, scheme: Scheme, members: Members) -> Iterable[str]:
    if scheme.rank(banner.level) > scheme.rank(required.level):
        yield f"level `{banner.level}` is above `{required.level}`, the highest of the portions"
    for caveat in banner.caveats:
        if caveat not in required.caveats:
            yield f"caveat `{caveat}` is more than the portions require"
    for action, has, needs in (("release", banner.releasable_to, required.releasable_to), ("display", _shown(banner), _shown(required))):
        under = wider(needs, [has], scheme=scheme, members=members)
        if under == "*":
            yield f"the banner names an audience for {action}, and no portion does"
        elif under is not None:
            yield f"`{under}` is in the audience for {action} of every portion, and not in the banner's"


def copy_label(released: Iterable[Label], *, partner: str, scheme: Scheme, members: Members) -> Label:
    """The label written on a partner's copy: of the released portions, and of nothing else.

    With `audience_on_copies = "own"` a restricted copy names ourselves, the partner addressed, and those public
    communities that every restricted portion names: who else may have it is not the partner's to know. With `full` it
    is the roll-up. Consents and grants are left out of both: they name who else, and no marking says them.

    Raises:
        Rejected: nothing is released, so that there is no copy.
    """
    parts = [copy_portion_label(label, partner=partner, scheme=scheme) for label in dict.fromkeys(released)]
    label = roll_up(parts, scheme=scheme, members=members)
    if scheme.audience_on_copies is AudienceOnCopies.FULL or label.releasable_to == UNRESTRICTED:
        return label
    # Not the meet: that would leave out the partner addressed where a public community holds it.
    restricted = [set(part.releasable_to) for part in parts if part.releasable_to != UNRESTRICTED]
    return replace(label, releasable_to=tuple(set.intersection(*restricted)), display_to=None)


def copy_portion_label(label: Label, *, partner: str, scheme: Scheme) -> Label:
    """The same narrowing for the mark of one portion.

    In both settings the copy names the partner it is handed to, also where a grant and not the audience let it out: a
    copy marked NOFORN in a partner's hands would be false.
    """
    return _narrowed(label, partner, scheme.own, scheme.public_communities, scheme.audience_on_copies)


# A store's portions are many and their labels few: each is narrowed once for a partner.
@lru_cache(maxsize=_NARROWED_MAX)
def _narrowed(label: Label, partner: str, own: str, public_communities: tuple[str, ...], audience: AudienceOnCopies) -> Label:
    if label.releasable_to == UNRESTRICTED:
        return replace(label, display_to=None, consents=(), grants=())
    addressed = {own, partner}
    if audience is AudienceOnCopies.OWN:
        public = set(public_communities) & set(label.releasable_to)
        return replace(label, releasable_to=tuple(addressed | public), display_to=None, consents=(), grants=())
    granted = any(grant.partition(":")[2] == partner for grant in label.grants)
    named = addressed if granted else set()
    displayed = None if label.display_to in (None, UNRESTRICTED) else tuple({*_shown(label), *named})
    return replace(label, releasable_to=tuple({*label.releasable_to, *named}), display_to=displayed, consents=(), grants=())


@dataclass(frozen=True, slots=True)
class CopyMarks:
    """The labels that are written on a partner's copy: its banner, and the mark of each portion in order."""

    banner: Label
    portions: tuple[Label, ...]


def copy_marks(released: Sequence[Label], *, partner: str, scheme: Scheme, members: Members) -> CopyMarks:
    """What is written on a copy, so that its banner is lawful over its own marks by the scheme's profile.

    As `copy_label` and `copy_portion_label`. In `IC-2016` an unmarked portion beside one that is marked for foreign
    disclosure makes a page NOFORN (table 3, rules 12, 16, 17, 19; RELIDO is such a mark). So there the unmarked portions of
    such a copy are marked as its banner is, for the partner it is handed to: that is what its release said. The banner has
    the caveats that the manual conveys.

    Raises:
        Rejected: nothing is released, so that there is no copy.
    """
    banner = copy_label(released, partner=partner, scheme=scheme, members=members)
    portions = tuple(copy_portion_label(label, partner=partner, scheme=scheme) for label in released)
    if scheme.profile is not Profile.IC_2016:
        return CopyMarks(banner, portions)
    counting = [label for label in portions if counts(label, scheme=scheme)]
    relido = [RELIDO in label.caveats for label in counting]
    if banner.releasable_to != UNRESTRICTED or (any(relido) and not all(relido)):
        if banner.releasable_to == UNRESTRICTED:
            banner = replace(banner, releasable_to=(scheme.own, partner))
        portions = tuple(
            replace(label, releasable_to=banner.releasable_to, display_to=banner.display_to)
            if label.releasable_to == UNRESTRICTED and counts(label, scheme=scheme)
            else label
            for label in portions
        )
    return CopyMarks(replace(banner, caveats=tuple(conveyed_of(portions, scheme=scheme))), portions)


@dataclass(frozen=True, slots=True)
class _Reach:
    """A restricted audience as a set: the communities it names that can be expanded, and everyone it reaches."""

    communities: frozenset[str]
    codes: frozenset[str]

    @classmethod
    def of(cls, audience: Sequence[str], *, scheme: Scheme, members: Members) -> _Reach:
        communities = frozenset(code for code in audience if code in scheme.expandable and code in members)
        reached = frozenset(audience) - communities
        return cls(communities, reached.union(*(members[community] for community in communities)))


def _shown(label: Label) -> tuple[str, ...]:
    """Whoever may keep it may look at it: the audience for display is at least that for release."""
    if UNRESTRICTED in (label.releasable_to, label.shown_to):
        return UNRESTRICTED
    return (*label.releasable_to, *label.shown_to)


def _met_audiences(parts: Sequence[Label], *, scheme: Scheme, members: Members) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Both audiences of the roll-up.

    Where all parts say the same they are kept as they stand, else they take a normal form that depends only on whom the
    parts reach. Both are needed for roll-up to be idempotent and associative in bytes.
    """
    first = parts[0]
    if all((part.releasable_to, part.display_to) == (first.releasable_to, first.display_to) for part in parts):
        return first.releasable_to, first.display_to
    released = meet([part.releasable_to for part in parts], scheme=scheme, members=members)
    displayed = meet([_shown(part) for part in parts], scheme=scheme, members=members)
    return released, None if released == displayed else displayed


def meet(audiences: Sequence[Sequence[str]], *, scheme: Scheme, members: Members) -> tuple[str, ...]:
    """The intersection of audiences in normal form: communities that all name, and those reached by all that no such community holds."""
    restricted = [_Reach.of(each, scheme=scheme, members=members) for each in audiences if tuple(each) != UNRESTRICTED]
    if not restricted:
        return UNRESTRICTED
    communities = frozenset.intersection(*(reach.communities for reach in restricted))
    codes = frozenset.intersection(*(reach.codes for reach in restricted))
    held = frozenset[str]().union(*(members[community] for community in communities)) - {scheme.own}
    return tuple(sorted(communities | (codes - held)))


def wider(named: Sequence[str], allowed: Sequence[Sequence[str]], *, scheme: Scheme, members: Members) -> str | None:
    """A code of `named` that some of the audiences `allowed` does not reach; `*` if it is unrestricted and one is not."""
    for audience in dict.fromkeys(tuple(audience) for audience in allowed if named):
        if audience == UNRESTRICTED:
            continue
        if tuple(named) == UNRESTRICTED:
            return "*"
        reach = _Reach.of(audience, scheme=scheme, members=members)
        for code in sorted(named):
            if code == scheme.own or code in reach.codes or code in reach.communities:
                continue
            inside = _Reach.of((code,), scheme=scheme, members=members).codes - {scheme.own}
            # A community of nobody is no reason to name it: it may have members tomorrow.
            if not inside or not inside <= reach.codes:
                return code
    return None


def _surviving_consents(parts: Sequence[Label]) -> Iterable[str]:
    for consent in sorted({consent for part in parts for consent in part.consents}):
        originator = consent.partition(":")[0]
        if all(consent in part.consents for part in parts if originator in part.originators):
            yield consent
