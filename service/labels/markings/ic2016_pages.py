"""A page of `IC-2016`: the tightest lawful banner of its portion marks, and where a banner departs from it.

After the Intelligence Community Markings System Register and Manual, 31 December 2016: the rules for the banner line in
each marking's section, and table 3 for foreign disclosure and release. What is decided on is the roll-up of labels
(`service.labels.rollup`), which has laws to keep; this is the manual's layer over it, for banners.

The banner, part by part:

1. *Level*: the highest. Another's counts by its equivalent.
2. *Classification*: JOINT, another's or concealed only if every portion is so and of the same owners; else our own, with
   FGI for the owners of the portions (pages 57, 59). Where any source is concealed, no source is named (page 124).
3. *Control systems, programmes, NATO's controls, nicknames*: all, with all their compartments. `RD` takes precedence
   over `FRD` and `TFNI` and takes their SIGMA numbers (pages 104, 109), unless one portion bears both, as ODNI's tests do.
4. *Caveats*: all but those that fall away (`service.labels.precedence`).
5. *Foreign disclosure*, by table 3; the number is the rule's. NOFORN if any portion is (1 to 8, 14, 15); if some portions
   are marked and others not (12, 16, 17, 19); if some bear RELIDO alone and others an audience without it (10, 18); if
   the audiences have nobody in common (9, 11, 13, 20). RELIDO if every portion bears it, and one alone (24, page 155).
   Else the common audience: to keep, what every portion releases (21, 22, 23); to look at, what every portion releases or
   displays (25, 26, 27).

An unclassified portion without any control says nothing of foreign disclosure and is passed over (pages 49, 54).

`REL` stands for the banner's list, and `//JOINT S` without owners for the banner's owners (pages 56, 151). So they can be
read only beside a banner; owners also beside other joint portions that agree.

Rule 17 leaves RELIDO open for some; what it depends on (dates of origin) no marking says, so NOFORN. Portions the manual
does not allow (`S//REL TO USA, GBR//XD`, page 172) are rolled up as they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from service.labels.markings.base import shown
from service.labels.markings.ic2016 import Ownership, Reading, System, merged
from service.labels.markings.ic2016_words import GIVING_WAY_TO_RESTRICTED_DATA, SIGMA, WITH_NOFORN
from service.labels.markings.register import Register
from service.labels.precedence import RELIDO, conveyed
from service.labels.rollup import meet, wider

_RD = "RD"


class PageFault(Exception):
    """Why portions and banner make no page: a reason, in one line."""


@dataclass(frozen=True, slots=True)
class Departures:
    """Where a banner says less than its portions require, and where more; reasons, most important first."""

    loose: tuple[str, ...]
    strict: tuple[str, ...]


class _Disclosure(Enum):
    """What a marking says of foreign disclosure and release."""

    UNMARKED = "unmarked"
    NOFORN = "NOFORN"
    RELIDO = "RELIDO"
    LISTED = "listed"


def _disclosure(reading: Reading) -> _Disclosure:
    if reading.no_foreign or reading.no_foreign_in:
        return _Disclosure.NOFORN
    if reading.released or reading.displayed:
        return _Disclosure.LISTED
    return _Disclosure.RELIDO if RELIDO in reading.caveats else _Disclosure.UNMARKED


def tightest(portions: Sequence[Reading], *, banner: Reading | None, register: Register) -> Reading:
    """The banner that says what these portions require, and no more.

    Args:
        banner: the page's, only for what portions leave to it.

    Raises:
        PageFault: there are none, one leaves to a banner what no banner says, or a level has no equivalent.
    """
    if not portions:
        raise PageFault("no portions, expected at least one")
    parts = _completed(portions, banner)
    counting = [part for part in parts if _counts(part, register)] or parts
    ranked = [(_rank(part, register), part) for part in counting]
    highest, named = max(ranked, key=lambda each: each[0])
    ownership, owners = _ownership(counting)
    rank = register.scheme.rank
    level = register.scheme.levels[highest].name
    caveats = conveyed((_rank(part, register) > 0, part.caveats) for part in counting)
    page = Reading(
        named.level if ownership in (Ownership.FOREIGN, Ownership.CONCEALED) else level,
        ownership,
        owners,
        systems=merged(system for part in counting for system in part.systems),
        programmes=merged(programme for part in counting for programme in part.programmes),
        atomic=_atomic(counting),
        nato=tuple(sorted({control for part in counting for control in part.nato})),
        nicknames=tuple(dict.fromkeys(name for part in counting for name in part.nicknames)),
        foreign=_foreign(counting, ownership, owners, own=register.scheme.own),
        caveats=caveats,
    )
    return _disclosed(page, counting, classified=rank(level) > 0, register=register)


def departures(banner: Reading, required: Reading, portions: Sequence[Reading], *, register: Register) -> Departures:
    """Where a banner departs from the tightest lawful one of its portions."""
    loose: list[str] = []
    strict: list[str] = []
    completed = _completed(portions, banner)
    _compare_levels(banner, required, register, loose, strict)
    _compare_owners(banner, required, completed, loose, strict)
    for what, given, needed in (
        ("control system", banner.systems, required.systems),
        ("access programme", banner.programmes, required.programmes),
        ("atomic energy marking", banner.atomic, required.atomic),
    ):
        loose += [f"{what} {shown(each)} of a portion is missing" for each in _beyond(needed, given)]
        over = [each for each in _beyond(given, needed) if not (each in GIVING_WAY_TO_RESTRICTED_DATA and _holds(needed, _RD))]
        strict += [f"no portion bears the {what} {shown(each)}" for each in over]
    for what, has, needs in (
        ("control of NATO", banner.nato, required.nato),
        ("nickname", banner.nicknames, required.nicknames),
        ("caveat", sorted(banner.caveats - {RELIDO}), sorted(required.caveats - {RELIDO})),
    ):
        loose += [f"{what} {shown(each)} of a portion is missing" for each in needs if each not in has]
        strict += [f"{what} {shown(each)} is more than the portions require" for each in has if each not in needs]
    counting = [part for part in completed if _counts(part, register)] or completed
    _compare_disclosure(banner, required, counting, register, loose, strict)
    return Departures(tuple(loose), tuple(strict))


# --- the parts of a banner --------------------------------------------------------------------------------------------


def _completed(portions: Sequence[Reading], banner: Reading | None) -> list[Reading]:
    """The portions, with what they leave to the banner."""
    joint_owners = {part.owners for part in portions if part.ownership is Ownership.JOINT and part.owners}
    found = []
    for place, part in enumerate(portions, start=1):
        if part.as_banner:
            if banner is None or not banner.released:
                raise PageFault(f"portion {place} is marked `REL`, which stands for the list of the banner, and the banner has none")
            part = replace(part, released=banner.released, as_banner=False)
        if part.ownership is Ownership.JOINT and not part.owners:
            if banner is not None and banner.ownership is Ownership.JOINT:
                owners = banner.owners
            elif len(joint_owners) == 1:
                (owners,) = joint_owners
            else:
                raise PageFault(f"portion {place} is `JOINT` without owners, which stands for those of the banner, and the banner has none")
            part = replace(part, owners=owners)
        found.append(part)
    return found


def _counts(part: Reading, register: Register) -> bool:
    return replace(part, level="") != Reading("") or part.level != register.scheme.lowest


def _rank(part: Reading, register: Register) -> int:
    scheme = register.scheme
    match part.ownership:
        case Ownership.OWN | Ownership.JOINT:
            return scheme.rank(part.level)
        case Ownership.FOREIGN | Ownership.CONCEALED:
            issuers = part.owners or ("",)
            levels = [register.level_of(issuer, part.level) for issuer in issuers]
            known = [scheme.rank(level) for level in levels if level is not None]
            if len(known) < len(levels):
                raise PageFault(f"level {shown(part.level)} of {shown(' '.join(part.owners))} has no equivalent on our ladder")
            return max(known)


def _ownership(parts: Sequence[Reading]) -> tuple[Ownership, tuple[str, ...]]:
    kinds = {(part.ownership, part.owners) for part in parts}
    return kinds.pop() if len(kinds) == 1 else (Ownership.OWN, ())


def _foreign(parts: Sequence[Reading], ownership: Ownership, owners: tuple[str, ...], *, own: str) -> tuple[str, ...] | None:
    sources = {code for part in parts for code in part.foreign or ()}
    concealed = any(part.foreign == () for part in parts)
    if ownership is Ownership.OWN:
        sources |= {code for part in parts for code in part.owners}
        concealed = concealed or any(part.ownership is Ownership.CONCEALED for part in parts)
    if concealed:
        return ()
    return tuple(sorted(sources - {own, *owners})) or None


def _atomic(parts: Sequence[Reading]) -> tuple[System, ...]:
    together = merged(regime for part in parts for regime in part.atomic)
    borne_at_once = any(_holds(part.atomic, _RD) and len(part.atomic) > 1 for part in parts)
    if not _holds(together, _RD) or borne_at_once:
        return together
    kept = [regime for regime in together if regime.name not in GIVING_WAY_TO_RESTRICTED_DATA]
    numbers = [System(_RD, ((part, subs),)) for regime in together for part, subs in regime.parts if part == SIGMA]
    return merged([*kept, *numbers])


def _holds(regimes: Iterable[System], name: str) -> bool:
    return any(regime.name == name for regime in regimes)


def _disclosed(page: Reading, parts: Sequence[Reading], *, classified: bool, register: Register) -> Reading:
    """The page with what table 3 makes of its portions."""
    kinds = {_disclosure(part) for part in parts}
    bare = replace(page, caveats=page.caveats - {RELIDO})
    if kinds == {_Disclosure.NOFORN}:
        return _nobody(page, parts, classified=classified)
    if _Disclosure.NOFORN in kinds:
        return _nobody(bare, parts, classified=classified)
    if kinds == {_Disclosure.UNMARKED}:
        return page
    everywhere = all(RELIDO in part.caveats for part in parts)
    if _Disclosure.UNMARKED in kinds or (_Disclosure.RELIDO in kinds and not everywhere):
        return replace(bare, released=(), no_foreign=True)
    if _Disclosure.RELIDO in kinds:
        return page
    if all((part.released, part.displayed) == (parts[0].released, parts[0].displayed) for part in parts):
        return replace(page, released=parts[0].released, displayed=parts[0].displayed)
    scheme, members = register.scheme, register.members
    own = {scheme.own}
    released = set(meet([part.released or () for part in parts], scheme=scheme, members=members)) - own
    seen = [(*(part.released or ()), *(part.displayed or ())) for part in parts]
    displayed = set(meet(seen, scheme=scheme, members=members)) - own - released
    # A community of which part may keep it is not named twice for its members.
    reached = {code for name in released for code in members.get(name, ())}
    displayed = {code for code in displayed if code not in reached}
    if not released and not displayed:
        return replace(bare, released=(), no_foreign=True)
    named = tuple(sorted({*released, *own})) if released else ()
    return replace(page, released=named, displayed=tuple(sorted(displayed)) or None)


def _nobody(page: Reading, parts: Sequence[Reading], *, classified: bool) -> Reading:
    """NOFORN: within its control, if nothing but that control brought it to an unclassified page; else by itself."""
    brought = frozenset(code for part in parts for code in part.no_foreign_in)
    alone = not any(part.no_foreign for part in parts) and all(
        _disclosure(part) in (_Disclosure.NOFORN, _Disclosure.UNMARKED) for part in parts
    )
    if alone and not classified and brought <= page.caveats and brought <= set(WITH_NOFORN):
        return replace(page, released=(), no_foreign_in=brought)
    return replace(page, released=(), no_foreign=True)


# --- comparison -------------------------------------------------------------------------------------------------------


def _compare_levels(banner: Reading, required: Reading, register: Register, loose: list[str], strict: list[str]) -> None:
    given, needed = _rank(banner, register), _rank(required, register)
    if given < needed:
        loose.append(f"level {shown(banner.level)} is below {shown(required.level)} of a portion")
    elif given > needed:
        strict.append(f"level {shown(banner.level)} is above {shown(required.level)}, the highest of the portions")


def _compare_owners(banner: Reading, required: Reading, parts: Sequence[Reading], loose: list[str], strict: list[str]) -> None:
    if (banner.ownership, banner.owners) != (required.ownership, required.owners):
        loose.append(f"the banner is {_said_owned(banner)}, where the portions require it to be {_said_owned(required)}")
        return
    if required.foreign == ():
        if banner.foreign:
            loose.append("the banner names sources of foreign government information, and those of a portion are concealed")
        elif banner.foreign is None:
            loose.append("`FGI` of a portion is missing")
        return
    given, needed = set(banner.foreign or ()), set(required.foreign or ())
    # Page 59 leaves co-owners out that page 57 wants named: either is lawful.
    co_owners = {code for part in parts if part.ownership is Ownership.JOINT for code in part.owners}
    sourced = {code for part in parts for code in (*(part.foreign or ()), *(() if part.ownership is Ownership.JOINT else part.owners))}
    if banner.foreign == ():
        if needed:
            strict.append("the banner conceals sources of foreign government information that the portions name")
        else:
            strict.append("`FGI` is more than the portions require")
        return
    missing = needed - given - (co_owners - sourced)
    loose += [f"source {shown(code)} of foreign government information is missing" for code in sorted(missing)]
    strict += [f"no portion names the source {shown(code)} of foreign government information" for code in sorted(given - needed)]


def _said_owned(reading: Reading) -> str:
    match reading.ownership:
        case Ownership.OWN:
            return "our own classification"
        case Ownership.JOINT:
            return f"`JOINT` of {shown(' '.join(reading.owners))}"
        case Ownership.FOREIGN:
            return f"the classification of {shown(' '.join(reading.owners))}"
        case Ownership.CONCEALED:
            return "foreign government information of a concealed source"


def _beyond(these: Sequence[System], those: Sequence[System]) -> list[str]:
    """What is in these systems and not in those, to the compartment and below."""
    held = {system.name: {part: set(subs) for part, subs in system.parts} for system in those}
    found = []
    for system in these:
        if system.name not in held:
            found.append(str(system))
            continue
        for part, subs in system.parts:
            missing = [sub for sub in subs if sub not in held[system.name].get(part, set())]
            if part not in held[system.name] or missing:
                found.append(str(System(system.name, ((part, tuple(missing)),))))
    return found


def _compare_disclosure(
    banner: Reading, required: Reading, parts: Sequence[Reading], register: Register, loose: list[str], strict: list[str]
) -> None:
    given, needed = _disclosure(banner), _disclosure(required)
    own = register.scheme.own
    if needed is _Disclosure.UNMARKED:
        if given is not _Disclosure.UNMARKED:
            strict.append("no portion limits foreign disclosure, and the banner does")
        return
    if given is _Disclosure.UNMARKED:
        reason = f": {_why_nobody(parts)}" if needed is _Disclosure.NOFORN else ""
        loose.append(f"the banner says nothing of foreign disclosure, expected {_said(required, own)}{reason}")
        return
    if needed is _Disclosure.NOFORN:
        if given is not _Disclosure.NOFORN:
            loose.append(f"the banner has {_said(banner, own)}, expected `NOFORN`: {_why_nobody(parts)}")
    elif given is _Disclosure.NOFORN:
        strict.append(f"the banner has `NOFORN`, and the portions allow {_said(required, own)}")
        return
    if RELIDO in banner.caveats - required.caveats:
        loose.append("the banner has `RELIDO`, and not every portion bears it, or an audience stands in its place")
    elif RELIDO in required.caveats - banner.caveats:
        strict.append("every portion bears `RELIDO`, and the banner does not")
    if needed is not _Disclosure.NOFORN:
        _compare_audiences(banner, required, register, loose, strict)


def _compare_audiences(banner: Reading, required: Reading, register: Register, loose: list[str], strict: list[str]) -> None:
    scheme, members, own = register.scheme, register.members, register.scheme.own
    told: set[str | None] = {None, own}
    for action, has, needs in (
        ("release", banner.released or (), required.released or ()),
        ("display", _seen_by(banner), _seen_by(required)),
    ):
        over = wider(has, [needs], scheme=scheme, members=members)
        if over not in told:
            told.add(over)
            loose.append(f"{shown(str(over))} is in the audience for {action}, and not in that of every portion")
        under = wider(needs, [has], scheme=scheme, members=members)
        if under not in told:
            told.add(under)
            strict.append(f"{shown(str(under))} is in the audience for {action} of every portion, and not in the banner's")


def _seen_by(reading: Reading) -> tuple[str, ...]:
    return (*(reading.released or ()), *(reading.displayed or ()))


def _said(reading: Reading, own: str) -> str:
    match _disclosure(reading):
        case _Disclosure.UNMARKED:
            return "nothing"
        case _Disclosure.NOFORN | _Disclosure.RELIDO as kind:
            return f"`{kind.value}`"
        case _Disclosure.LISTED:
            lists = (("REL TO", reading.released), ("DISPLAY ONLY", reading.displayed))
            said = [(words, sorted(codes, key=lambda code: (code != own, code))) for words, codes in lists if codes]
            return " and ".join(f"`{words} {', '.join(codes)}`" for words, codes in said)


def _why_nobody(parts: Sequence[Reading]) -> str:
    """Which rules of table 3 make these portions NOFORN together."""
    kinds = {_disclosure(part) for part in parts}
    if _Disclosure.NOFORN in kinds:
        return "a portion bears it (table 3, rules 1 to 8, 14, 15)"
    if _Disclosure.UNMARKED in kinds:
        return "some portions say nothing of foreign disclosure and others do (table 3, rules 12, 16, 17, 19)"
    if _Disclosure.RELIDO in kinds:
        return "some portions bear `RELIDO` alone and others an audience without it (table 3, rules 10, 18)"
    return "the audiences of the portions have nobody in common (table 3, rules 9, 11, 13, 20)"
