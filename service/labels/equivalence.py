"""Level equivalence: what another's level name means on our ladder, from a dated table (DESIGN sections 4 and 12).

Pure. Names of levels mislead: Spain's `SECRETO` is TOP SECRET, Romania's `Secret` is CONFIDENTIAL, and France's words
meant one thing until July 2021 and another since. So nothing is compared by name alone. A level is looked up by who issued
it, what he calls it and when; what the table does not hold is unknown, and an unknown level is quarantine, never a guess.
Where no level of ours is equal, the table names the next higher: that is for whoever writes the table.

Names are compared without regard to case and blanks. Capitals are often written without accents; a name is found without
them too, if only one level can be meant.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from service.labels.markings.base import Marking, MarkingError, MarkingProfile, Unresolved, closest, shown
from service.labels.scheme import Scheme, SchemeError

WORDS_MAX: Final = 16
"""Words of the longest level name that is looked for at the head of a marking."""

_BLANK: Final = " \t\r\n"
_BLANKS: Final = re.compile(r"[ \t\r\n]+")


@dataclass(frozen=True, slots=True)
class Meaning:
    """A row of the table: from `since` on and before `until`, `issuer`'s level `name` is our `level`.

    Times are aware; `None` is open.
    """

    issuer: str
    name: str
    level: str
    since: datetime | None = None
    until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether it is in force at `at`."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


class Equivalences:
    """The table, over one scheme's ladder; immutable.

    Raises:
        UnknownName: a level that the ladder does not hold.
    """

    def __init__(self, meanings: Iterable[Meaning], *, scheme: Scheme) -> None:
        self._scheme = scheme
        rows: dict[str, list[Meaning]] = {}
        for meaning in meanings:
            scheme.rank(meaning.level)
            rows.setdefault(meaning.issuer, []).append(meaning)
        self._rows = MappingProxyType({issuer: tuple(found) for issuer, found in rows.items()})

    def level(self, issuer: str, name: str, *, at: datetime, text: str | None = None, offset: int = 0) -> str:
        """Our level for what `issuer` calls `name` at `at`.

        Args:
            text, offset: the marking it stands in, for the message; the name alone where there is none.

        Raises:
            Unresolved: `unknown-level`: the table does not hold it at that time, or two levels can be meant.
        """
        found = self.meant(issuer, name, at=at)
        if len(found) == 1:
            return found[0]
        text = name if text is None else text
        if found:
            levels = " or ".join(f"`{level}`" for level in found)
            message = f"level {shown(name)} of {shown(issuer)} can mean {levels}"
        else:
            message = f"unknown level {shown(name)} of {shown(issuer)}{self._hint(issuer, name, at)}"
        raise Unresolved(f"{message}, at character {offset} of marking", text=text, offset=offset, code="unknown-level")

    def meant(self, issuer: str, name: str, *, at: datetime) -> tuple[str, ...]:
        """The levels that `name` of `issuer` can mean at `at`, lowest first: none if it is unknown."""
        rows = [row for row in self._rows.get(issuer, ()) if row.holds(at)]
        for fold in (_folded, _unaccented):
            levels = {row.level for row in rows if fold(row.name) == fold(name)}
            if levels:
                return tuple(sorted(levels, key=self._scheme.rank))
        return ()

    def knows(self, issuer: str, name: str) -> bool:
        """Whether the table holds the name at any time."""
        return any(_unaccented(row.name) == _unaccented(name) for row in self._rows.get(issuer, ()))

    def _hint(self, issuer: str, name: str, at: datetime) -> str:
        rows = self._rows.get(issuer, ())
        if not rows:
            return ", of whose levels the bundle says nothing"
        if self.knows(issuer, name):
            return f", which the bundle has for other dates than {at:%Y-%m-%d}"
        now = {_folded(row.name): row.name for row in rows if row.holds(at)}
        near = [now[word] for word in closest(_folded(name), now)] or sorted(now.values())
        return f", expected one like {' or '.join(shown(word) for word in near[:3])}" if near else ""


def in_our_terms(marking: Marking, *, equivalences: Equivalences, scheme: Scheme, at: datetime) -> Marking:
    """A marking whose level is another's, with our level in its place; any other as it is. Its text stays as written.

    Of several issuers the highest counts: they mark one thing, and each means at least what he says.

    Raises:
        Unresolved: `unknown-level`: the table does not hold the level of one of them at that time.
    """
    if not marking.issuers:
        return marking
    offset = _place(marking.level, marking.text)
    levels = [
        # One issuer of several may be ourselves, and then the name is one of ours.
        marking.level
        if issuer == scheme.own and any(step.name == marking.level for step in scheme.levels)
        else equivalences.level(issuer, marking.level, at=at, text=marking.text, offset=offset)
        for issuer in marking.issuers
    ]
    return replace(marking, level=max(levels, key=scheme.rank), issuers=(), originators=_union(marking.originators, marking.issuers))


def read_marking(
    text: str,
    *,
    portion: bool,
    profile: MarkingProfile,
    originators: Sequence[str],
    equivalences: Equivalences,
    scheme: Scheme,
    at: datetime,
) -> Marking:
    """Read a marking in our terms, also one that begins with a level of the one partner whose information it is.

    `GEHEIM//REL TO USA` of `DEU` is read as our marking with our level in its place; `text` of the marking stays as it was
    written. A word that is a level on both ladders is taken where both mean the same, and is quarantine where they do not.

    Args:
        originators: whose information it is. Of ourselves, or of several, there is only our reading.

    Raises:
        MarkingError: malformed in both readings.
        Unresolved: well-formed, and unknown in both or meant differently.
    """
    parse = profile.parse_portion if portion else profile.parse_banner
    issuers = set(originators)
    if len(issuers) != 1 or scheme.own in issuers:
        return in_our_terms(parse(text), equivalences=equivalences, scheme=scheme, at=at)
    (issuer,) = issuers
    start, end, meant = _head(text, issuer, equivalences=equivalences, at=at)
    name = text[start:end]
    try:
        ours = parse(text)
    except MarkingError as error:
        if meant:
            level = equivalences.level(issuer, name, at=at, text=text, offset=start)
            word = _word_of(level, portion=portion, parse=parse, scheme=scheme)
            return _translated(text, start, end, word, parse=parse, issuer=issuer)
        if name and (error.code == "unknown-level" or equivalences.knows(issuer, name)):
            # Unknown on our ladder and on theirs: it is theirs that was asked.
            equivalences.level(issuer, name, at=at, text=text, offset=start)
        raise
    if ours.issuers:
        # The marking says itself whose level it is.
        return in_our_terms(ours, equivalences=equivalences, scheme=scheme, at=at)
    if meant and meant != (ours.level,):
        levels = " or ".join(f"`{level}`" for level in meant)
        message = f"level {shown(name)} is `{ours.level}` on our ladder and {levels} as {shown(issuer)} uses it"
        raise Unresolved(f"{message}, at character {start} of marking", text=text, offset=start, code="unknown-level")
    return ours


def _word_of(level: str, *, portion: bool, parse: Callable[[str], Marking], scheme: Scheme) -> str:
    """A word of ours that the profile reads as this level, where a marking begins."""
    step = scheme.levels[scheme.rank(level)]
    for word in (step.mark, step.name) if portion else (step.name, step.mark):
        try:
            if parse(word).level == level:
                return word
        except MarkingError:
            continue
    raise SchemeError("levels", f"level `{level}` cannot be read in profile `{scheme.profile}`, by its name or its mark")


def _translated(text: str, start: int, end: int, level: str, *, parse: Callable[[str], Marking], issuer: str) -> Marking:
    """The marking with our word for its level; what is wrong in the rest is said of the text as it was given."""
    try:
        said = parse(f"{text[:start]}{level}{text[end:]}")
        # Our word for a level can name an audience by itself, as `NATO SECRET` does. Theirs named nobody.
        unsaid = {code for code in parse(level).releasable_to or () if not re.search(rf"(?<![\w-]){re.escape(code)}(?![\w-])", text[end:])}
        released = None if said.releasable_to is None else tuple(code for code in said.releasable_to if code not in unsaid)
        return replace(said, releasable_to=released, text=text)
    except MarkingError as error:
        shift = len(level) - (end - start)
        offset = error.offset - shift if error.offset >= start + len(level) else min(error.offset, start)
        message = f"{shown(text[start:end])} of {shown(issuer)} read as {shown(level)}: {error}"
        raise type(error)(message, text=text, offset=offset, code=error.code) from None


def _head(text: str, issuer: str, *, equivalences: Equivalences, at: datetime) -> tuple[int, int, tuple[str, ...]]:
    """Where the level of a marking stands, and what it can mean as its issuer uses it.

    It is the longest name of his that the marking begins with, within blanks and parentheses; without one, all before
    the first `//`.
    """
    found = text.find("//")
    stop = len(text) if found < 0 else found
    start = stop - len(text[:stop].lstrip(_BLANK + "("))
    stop = start + len(text[start:stop].rstrip(_BLANK + ")"))
    ends = [stop, *reversed([blank.start() for blank in _BLANKS.finditer(text, start, stop)][:WORDS_MAX])]
    for end in ends:
        # A name that he used at another time ends the search too: `SECRET DÉFENSE` is not `SECRET` with something after it.
        if end > start and equivalences.knows(issuer, text[start:end]):
            return start, end, equivalences.meant(issuer, text[start:end], at=at)
    return start, stop, ()


def _place(level: str, text: str) -> int:
    """Where a level stands in a marking; 0 where its word there is another."""
    return max(0, text.upper().find(level))


def _union(*sets: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({code for codes in sets for code in codes}))


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def _unaccented(name: str) -> str:
    return "".join(character for character in unicodedata.normalize("NFD", _folded(name)) if not unicodedata.combining(character))
