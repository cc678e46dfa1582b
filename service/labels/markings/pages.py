"""Pages of markings: the banner of portion marks, and what is wrong with a banner over them. In any profile.

Pure. A banner is judged against the *tightest lawful* one, which says what the portions require and no more: looser lets
out what a portion holds back, stricter holds back what every portion allows (over-marking). `IC-2016` has precedence rules
of its own (`ic2016_pages`); in any other profile the tightest lawful banner is the roll-up of the portions' labels.

Nothing here is ever decided on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from service.errors import Rejected
from service.labels import rollup
from service.labels.label import UNRESTRICTED, Label
from service.labels.markings import profile_of
from service.labels.markings.base import Marking, MarkingError, MarkingProfile, Unresolved, closest, shown
from service.labels.markings.ic2016 import Ic2016Profile, Reading
from service.labels.markings.ic2016_pages import PageFault, departures, tightest
from service.labels.markings.register import Register

PORTIONS_MAX: Final = 10_000
"""Portions of the longest page that is judged."""

REASONS_MAX: Final = 5
"""How many departures are told of one banner."""


class Verdict(StrEnum):
    """What is said of a banner; of those that apply, the first of invalid, too loose, too strict."""

    OK = "ok"
    TOO_LOOSE = "too loose"
    TOO_STRICT = "too strict"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, the tightest lawful banner (`None` where there is none to be had), and why, in one line."""

    verdict: Verdict
    banner: str | None
    why: str


class PageError(Rejected):
    """Portions that make no page. `marking` is the error of the mark at fault, where it is one mark's."""

    def __init__(self, message: str, *, marking: MarkingError | None = None) -> None:
        super().__init__(message, code="page" if marking is None else marking.code)
        self.marking = marking


def banner_of(portions: Sequence[str], *, register: Register, banner: str | None = None) -> str:
    """The tightest lawful banner of these portion marks.

    Args:
        banner: the page's own, only for marks that leave a part to it (`(S//REL)`).

    Raises:
        PageError: there are none, or one cannot be read, or leaves to a banner what none says.
    """
    try:
        return _page_of(portions, None, register).required
    except PageError:
        if banner is None:
            raise
    return _page_of(portions, banner, register).required


def judge(portions: Sequence[str], banner: str, *, register: Register) -> Judged:
    """Whether a banner is lawful over its portion marks. Whatever the texts, this answers."""
    try:
        page = _page_of(portions, banner, register)
        loose, strict = page.departures()
    except PageError as error:
        try:
            required = banner_of(portions, register=register)
        except PageError:
            required = None
        return Judged(Verdict.INVALID, required, str(error))
    if loose:
        return Judged(Verdict.TOO_LOOSE, page.required, "; ".join(loose[:REASONS_MAX]))
    if strict:
        return Judged(Verdict.TOO_STRICT, page.required, "; ".join(strict[:REASONS_MAX]))
    return Judged(Verdict.OK, page.given, "the banner says what its portions require, and no more")


def read_known(text: str, *, portion: bool, register: Register) -> Marking:
    """A marking whose codes all exist.

    Raises:
        MarkingError: malformed.
        Unresolved: well-formed, but unmarked or holding an unknown name.
    """
    profile = profile_of(register.scheme)
    marking = profile.parse_portion(text) if portion else profile.parse_banner(text)
    check_known(marking, register)
    return marking


def check_known(marking: Marking, register: Register) -> None:
    """Check that all codes of a marking exist.

    Raises:
        Unresolved: one does not.
    """
    _check_codes({*marking.originators, *(marking.releasable_to or ()), *(marking.display_to or ())}, marking.text, register)


def _check_codes(named: Collection[str], text: str, register: Register) -> None:
    for code in sorted(set(named) - register.codes):
        near = "".join(f", expected one like {shown(each)}" for each in closest(code, register.codes)[:1])
        found = re.search(rf"(?<![A-Z0-9-]){re.escape(code)}(?![A-Z0-9-])", text.upper())
        at = found.start() if found else 0
        raise Unresolved(f"unknown code {shown(code)}{near}, at character {at} of marking", text=text, offset=at, code="unknown-code")


def _page_of(portions: Sequence[str], banner: str | None, register: Register) -> _ManualPage | _LabelledPage:
    if not portions:
        raise PageError("no portions, expected at least one")
    if len(portions) > PORTIONS_MAX:
        raise PageError(f"{len(portions)} portions, expected at most {PORTIONS_MAX}")
    profile = profile_of(register.scheme)
    if isinstance(profile, Ic2016Profile):
        return _ManualPage(portions, banner, profile=profile, register=register)
    return _LabelledPage(portions, banner, profile=profile, register=register)


_Read = TypeVar("_Read")


def _each(portions: Sequence[str], read: Callable[[str, bool, str], _Read]) -> list[_Read]:
    """All portion marks read, each distinct text once."""
    found: dict[str, _Read] = {}
    for place, text in enumerate(portions, start=1):
        if text not in found:
            found[text] = read(text, True, f"portion {place}")
    return [found[text] for text in portions]


class _ManualPage:
    """A page of `IC-2016`.

    Raises:
        PageError: a mark that cannot be read, or that leaves to a banner what it does not say.
    """

    def __init__(self, portions: Sequence[str], banner: str | None, *, profile: Ic2016Profile, register: Register) -> None:
        self._profile = profile
        self._register = register
        self._marks = _each(portions, self._reading)
        self._banner = None if banner is None else self._reading(banner, False, "banner")
        try:
            self._required = tightest(self._marks, banner=self._banner, register=register)
        except PageFault as fault:
            raise PageError(str(fault)) from None

    @property
    def required(self) -> str:
        return self._profile.written(self._required, portion=False)

    @property
    def given(self) -> str:
        return self._profile.written(self._banner or self._required, portion=False)

    def departures(self) -> tuple[Sequence[str], Sequence[str]]:
        try:
            found = departures(self._banner or self._required, self._required, self._marks, register=self._register)
        except PageFault as fault:
            raise PageError(str(fault)) from None
        return found.loose, found.strict

    def _reading(self, text: str, portion: bool, what: str) -> Reading:
        try:
            reading = self._profile.reading(text, portion=portion)
            _check_codes(reading.codes, text, self._register)
        except MarkingError as error:
            raise PageError(f"{what}: {error}", marking=error) from None
        return reading


class _LabelledPage:
    """A page of any other profile: its marks as labels of ours. Errors as for `_ManualPage`."""

    def __init__(self, portions: Sequence[str], banner: str | None, *, profile: MarkingProfile, register: Register) -> None:
        self._register = register
        self._labels = _each(portions, self._label)
        self._rolled = rollup.roll_up(self._labels, scheme=register.scheme, members=register.members)
        self._banner = self._rolled if banner is None else self._label(banner, False, "banner")
        try:
            self.required = profile.write_banner(self._rolled)
            self.given = profile.write_banner(self._banner)
        except Rejected as error:
            raise PageError(f"the portions together have no banner: {error}") from None

    def departures(self) -> tuple[Sequence[str], Sequence[str]]:
        found = rollup.departures(self._banner, self._labels, scheme=self._register.scheme, members=self._register.members)
        return ([] if found.fault is None else [found.fault]), found.excess

    def _label(self, text: str, portion: bool, what: str) -> Label:
        try:
            return as_label(read_known(text, portion=portion, register=self._register), own=self._register.scheme.own)
        except MarkingError as error:
            raise PageError(f"{what}: {error}", marking=error) from None


def as_label(marking: Marking, *, own: str) -> Label:
    """A marking of our own levels as a label of no category: what roll-up compares, and nothing is decided on."""
    released = marking.releasable_to
    return Label(
        marking.level,
        releasable_to=UNRESTRICTED if released is None else released,
        caveats=marking.caveats,
        originators=marking.originators or (own,),
        display_to=None if marking.display_to is None else (*(released or ()), *marking.display_to),
    )
