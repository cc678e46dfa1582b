"""Markings of the slash family: blocks set off by `//`, controls in a block by `/`, codes in a list by `,`.

`SECRET//ORCON/REL TO USA, JPN` in a banner, `(S//OC/REL TO USA, JPN)` on a portion. `PLAIN` and `IC-2016` are of this
family; they differ in their words and in the order they write, and share this reader.

Tolerant where practice is: upper or lower case, spaces around commas and slashes, portion marks with or without their
parentheses, a banner where a portion mark is due and the reverse, controls in any order and any number of blocks.
Where a word is the name of one level and the mark of another, a banner means the name and a portion the mark: that is
how they are written. Nothing else is guessed: no word is skipped, and what is not wholly understood is an error.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from service.labels.label import Label
from service.labels.markings import ismcat
from service.labels.markings.base import (
    MARKING_CHARACTERS_MAX,
    Marking,
    MarkingError,
    Unresolved,
    closest,
    keeps_its_words,
    listed_codes,
    marking_part,
    shown,
)
from service.labels.scheme import CODE, Level, Scheme, SchemeError

REPAIRS_DEEP = 3
"""How many slips in one marking are mended to find the nearest legal one."""

_Read = TypeVar("_Read")
_MALFORMED = "malformed-marking"
_BLANK = " \t\r\n"
_FOREIGN_CHARACTER = re.compile(r"[^A-Za-z0-9 \t,/_&.()-]")
_CODES = re.compile(r"[A-Z0-9-]+")
_SLASHES = re.compile(r"/+")
_RELEASE_SLIP = re.compile(r"REL(?:EASE|EASABLE)?[ -]?(?:TO)? (?P<codes>.+)")
_NO_FOREIGN = ("NOFORN", "NF")
_RELEASE_TO = "REL TO"
_DISPLAY_ONLY = "DISPLAY ONLY"


@dataclass(frozen=True, slots=True)
class Control:
    """A caveat as a profile writes it: its code in the scheme, its words in banner and portion, other words for it."""

    code: str
    banner: str
    portion: str
    others: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Every way to write it that is understood."""
        return (self.code, self.banner, self.portion, *self.others)


@dataclass(frozen=True, slots=True)
class Titles:
    """Long forms that a profile also reads for the words on an audience."""

    no_foreign: tuple[str, ...] = ()
    release_to: tuple[str, ...] = ()
    release_as_banner: tuple[str, ...] = ()
    """Words that stand for the list of the banner, which a mark read alone does not have."""


@dataclass(frozen=True, slots=True)
class Token:
    """The text between two separators: upper case, blanks collapsed. `[offset, end)` is its place in the marking."""

    word: str
    offset: int
    end: int
    slashes: int
    """How many slashes stand before it; 0 for the first."""


class Fault(Exception):
    """Why a text is not a marking, and texts that may have been meant; becomes a `MarkingError` before it leaves here."""

    def __init__(self, message: str, *, offset: int, code: str = _MALFORMED, repairs: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.code = code
        self.repairs = repairs


class SlashedProfile(ABC):
    """A profile of the slash family over one scheme; immutable, safe from many threads.

    Raises:
        SchemeError: a caveat of the scheme that cannot be told from another word of the profile.
    """

    def __init__(self, scheme: Scheme, controls: Sequence[Control], titles: Titles) -> None:
        self._scheme = scheme
        self._by_name = {level.name: level for level in scheme.levels}
        self._by_mark = {level.mark: level for level in scheme.levels}
        self._controls = {control.code: control for control in controls if control.code in scheme.caveats}
        self._controls |= {code: Control(code, code, code) for code in scheme.caveats if code not in self._controls}
        self._no_foreign = frozenset((*_NO_FOREIGN, *titles.no_foreign))
        self._never_codes = self._no_foreign
        self._release_to = tuple(_opening(words) for words in (_RELEASE_TO, *titles.release_to))
        self._display_only = (_opening(_DISPLAY_ONLY),)
        self._release_as_banner = frozenset(titles.release_as_banner)
        self._caveat_of: dict[str, str] = {}
        self._spoken = frozenset((*self._by_name, *self._by_mark, *self._no_foreign, *(word for each in controls for word in each.words)))
        reserved = {*self._no_foreign, *self._release_as_banner}
        for code, control in self._controls.items():
            for word in control.words:
                if word in reserved:
                    raise SchemeError("caveats", f"caveat `{code}` would be read as an audience in profile `{scheme.profile}`")
                if self._caveat_of.setdefault(word, code) != code:
                    raise SchemeError("caveats", f"caveats `{self._caveat_of[word]}` and `{code}` are both written `{word}`")

    def parse_banner(self, text: str) -> Marking:
        """Read a banner. `SECRET//REL TO USA, JPN`.

        Raises:
            MarkingError: malformed.
            Unresolved: well-formed, but unmarked or holding an unknown word.
        """
        return self._parse(text, portion=False)

    def parse_portion(self, text: str) -> Marking:
        """Read a portion mark. `(S//REL TO USA, JPN)`; errors as `parse_banner`."""
        return self._parse(text, portion=True)

    def write_banner(self, label: Label) -> str:
        """The banner of a label.

        Raises:
            Rejected: a name the scheme does not hold, or an audience that no marking can say.
        """
        return self._compose(self._part(label), portion=False)

    def write_portion(self, label: Label) -> str:
        """The portion mark of a label, in its parentheses; errors as `write_banner`."""
        return self._compose(self._part(label), portion=True)

    @abstractmethod
    def _compose(self, marking: Marking, *, portion: bool) -> str:
        """The text of what a marking says, in the profile's order and words."""

    def _part(self, label: Label) -> Marking:
        return marking_part(label, scheme=self._scheme)

    def _level_word(self, marking: Marking, *, portion: bool) -> str:
        level = self._by_name[marking.level]
        return level.mark if portion else level.name

    def _listed(self, codes: Sequence[str]) -> str:
        """Codes as a list: our own first, so that a reader finds the owner where he looks for it."""
        own = self._scheme.own
        return ", ".join(sorted(codes, key=lambda code: (code != own, code)))

    def _parse(self, text: str, *, portion: bool) -> Marking:
        return self._guarded(text, lambda: self._read(text, portion=portion), portion=portion)

    def _guarded(self, text: str, read: Callable[[], _Read], *, portion: bool) -> _Read:
        """What `read` gives, its fault told as an error with its place and the nearest legal marking."""
        try:
            return read()
        except Fault as fault:
            kind = MarkingError if fault.code == _MALFORMED else Unresolved
            nearest = self._nearest(text, fault, portion=portion, deep=REPAIRS_DEEP)
            place = f"{fault.message} at character {fault.offset} of marking"
            raise kind(place, text=text, offset=fault.offset, code=fault.code, nearest=nearest) from None

    def _nearest(self, written: str, fault: Fault, *, portion: bool, deep: int) -> str | None:
        """The first repair that says what was written and can be read, or can be mended further; in strict form."""
        if not deep:
            return None
        for repair in fault.repairs:
            if not keeps_its_words(written.upper(), repair.upper(), own=self._scheme.own, spoken=self._spoken):
                continue
            try:
                strict, codes = self._strict(repair, portion=portion)
            except Fault as next_fault:
                mended = self._nearest(written, next_fault, portion=portion, deep=deep - 1)
                if mended is not None:
                    return mended
            else:
                # A slip is mended in any word but a code: what was not named is offered to nobody.
                if codes <= {*_CODES.findall(written.upper()), self._scheme.own}:
                    return strict
        return None

    def _strict(self, text: str, *, portion: bool) -> tuple[str, frozenset[str]]:
        """The text as the writer would write it, and the codes it names."""
        marking = self._read(text, portion=portion)
        named = {*marking.originators, *(marking.releasable_to or ()), *(marking.display_to or ())}
        return self._compose(marking, portion=portion), frozenset(named)

    def _read(self, text: str, *, portion: bool) -> Marking:
        start, end = bounds(text)
        tokens = list(tokens_of(text, start, end))
        level = self._level(text, tokens[0], portion=portion)
        released: tuple[str, ...] | None = None
        displayed: tuple[str, ...] | None = None
        caveats: set[str] = set()
        for position, token in enumerate(tokens[1:], start=1):
            if not token.word:
                raise Fault("nothing between slashes", offset=token.offset, repairs=[without(text, token)])
            if position == 1 and token.slashes == 1:
                at = text.rindex("/", 0, token.offset)
                raise Fault("`/` after the level, expected `//`", offset=at, repairs=[f"{text[:at]}/{text[at:]}"])
            if token.word in self._no_foreign:
                if released or displayed:
                    raise Fault(f"{shown(token.word)} beside a list of codes, expected one of them", offset=token.offset)
                released = ()
            elif (codes := self._codes_after(text, token, *self._release_to)) is not None:
                if released is not None:
                    raise Fault("a second audience for release, expected one", offset=token.offset)
                released = codes
            elif (codes := self._codes_after(text, token, *self._display_only)) is not None:
                if displayed is not None or released == ():
                    raise Fault("a second audience for display, expected one", offset=token.offset)
                displayed = codes
            elif token.word in self._caveat_of:
                caveats.add(self._caveat_of[token.word])
            else:
                raise self._unknown(text, token)
        if displayed is not None and released is None:
            # DISPLAY ONLY names an audience: to look, and none to keep.
            released = ()
        return Marking(level.name, released, displayed, tuple(sorted(caveats)), text)

    def _level(self, text: str, token: Token, *, portion: bool) -> Level:
        names, marks = (self._by_mark, self._by_name) if portion else (self._by_name, self._by_mark)
        level = names.get(token.word) or marks.get(token.word)
        if level is not None:
            return level
        if not token.word:
            raise self._no_level(token)
        if "," in token.word:
            at = text.index(",", token.offset)
            raise Fault("`,` in the level, expected `//` after it", offset=at, repairs=[f"{text[:at]}//{text[at + 1 :]}"])
        known = [*self._by_name, *self._by_mark]
        begun = sorted((word for word in known if token.word.startswith(f"{word} ")), key=len, reverse=True)
        repairs = [replaced(text, token, f"{word}//{token.word[len(word) + 1 :]}") for word in begun[:1]]
        repairs += [replaced(text, token, word) for word in closest(token.word, known)]
        expected = ", ".join(f"`{name}`" for name in self._by_name)
        raise Fault(
            f"unknown level {shown(token.word)}, expected one of {expected},", offset=token.offset, code="unknown-level", repairs=repairs
        )

    def _no_level(self, token: Token) -> Fault:
        """The fault of a marking that begins with a slash."""
        return Fault("no level before the first slash", offset=token.offset)

    def _codes_after(self, text: str, token: Token, *openings: re.Pattern[str]) -> tuple[str, ...] | None:
        """The codes of a list that begins with one of these openings, sorted; `None` if it does not."""
        opened = next((match for each in openings if (match := each.match(text, token.offset, token.end))), None)
        if opened is None:
            return None
        opening, at = shown(opened.group().upper()), opened.end()
        if at == token.end:
            raise Fault(f"{opening} without a code, expected at least one,", offset=token.offset)
        codes = set()
        for part in text[at : token.end].split(","):
            offset = at + len(part) - len(part.lstrip())
            code = part.strip().upper()
            place = Token(code, offset, offset + len(part.strip()), 0)
            if not code:
                raise Fault(f"nothing between the commas of {opening}, expected a code,", offset=at, repairs=[without(text, place)])
            if len(code.split()) > 1:
                listed = listed_codes(code, {*ismcat.codes(), *self._scheme.expandable, self._scheme.own})
                repairs = [replaced(text, place, ", ".join(listed))] if listed else []
                raise Fault(f"{shown(code)} is not a code, expected commas between codes,", offset=offset, repairs=repairs)
            if code in self._never_codes or not CODE.fullmatch(code):
                raise Fault(f"{shown(code)} is not a code, expected one like `JPN`,", offset=offset)
            codes.add(code)
            at += len(part) + 1
        return tuple(sorted(codes))

    def _unknown(self, text: str, token: Token) -> Fault:
        word = token.word
        if word in self._release_as_banner:
            message = f"{shown(word)} stands for the list of the banner, expected `REL TO` with its codes,"
            return Fault(message, offset=token.offset, code="unknown-token")
        slip = _RELEASE_SLIP.fullmatch(word)
        if slip:
            repairs = [replaced(text, token, f"{_RELEASE_TO} {slip['codes']}")]
            return Fault(f"{shown(word)}, expected `REL TO` and codes,", offset=token.offset, repairs=repairs)
        if "," in word:
            at = text.index(",", token.offset)
            repairs = [f"{text[:at]}/{text[at + 1 :]}"]
            return Fault("`,` outside a list of codes, expected `/` between controls,", offset=at, repairs=repairs)
        opened = [f"{name} {rest}" for name, rest in _mended_openings(word, (_RELEASE_TO, _DISPLAY_ONLY))]
        words = [*self._caveat_of, *_NO_FOREIGN]
        repairs = [replaced(text, token, each) for each in (*opened, *closest(word, words))]
        return Fault(f"unknown control {shown(word)}", offset=token.offset, code="unknown-token", repairs=repairs)


def _opening(words: str) -> re.Pattern[str]:
    """The words that open a list, as people write them."""
    return re.compile(r"[ \t]+".join(words.split()) + r"(?=[ \t]|$)", re.IGNORECASE)


def bounds(text: str) -> tuple[int, int]:
    """Where the marking begins and ends within its blanks and parentheses; what is between is of legal characters."""
    if len(text) > MARKING_CHARACTERS_MAX:
        raise Fault(f"more than {MARKING_CHARACTERS_MAX} characters", offset=MARKING_CHARACTERS_MAX)
    if not text.strip():
        raise Fault("unmarked, expected a level,", offset=0, code="unmarked")
    start, end = len(text) - len(text.lstrip(_BLANK)), len(text.rstrip(_BLANK))
    foreign = _FOREIGN_CHARACTER.search(text, start, end)
    if foreign:
        at, after = foreign.span()
        # A dash may be meant for slashes, but not where there is nothing before it.
        parted = [f"{text[:at]}//{text[after:]}"] if at > start else []
        repairs = [*parted, text[:at] + text[after:]]
        raise Fault(f"{shown(foreign.group())} is no character of a marking", offset=at, repairs=repairs)
    opens, closes = text[start] == "(", text[end - 1] == ")"
    if opens and not closes:
        raise Fault("`(` is not closed", offset=start, repairs=[f"{text[:end]})"])
    if closes and not opens:
        raise Fault("`)` was not opened", offset=end - 1, repairs=[f"({text[start:]}"])
    if opens:
        start, end = start + 1, end - 1
    inner = re.compile(r"[()]").search(text, start, end)
    if inner:
        at = inner.start()
        raise Fault(f"`{inner.group()}` within a marking", offset=at, repairs=[text[:at] + text[at + 1 :]])
    if not text[start:end].strip():
        raise Fault("unmarked, expected a level,", offset=start, code="unmarked")
    return start, end


def tokens_of(text: str, start: int, end: int) -> Iterator[Token]:
    at, slashes = start, 0
    for separator in (*_SLASHES.finditer(text, start, end), None):
        stop = end if separator is None else separator.start()
        part = text[at:stop]
        offset = at + len(part) - len(part.lstrip())
        yield Token(" ".join(part.split()).upper(), offset, offset + len(part.strip()), slashes)
        if separator is not None:
            at, slashes = separator.end(), len(separator.group())
            if slashes > 2:
                repairs = [f"{text[: separator.start()]}//{text[at:]}"]
                raise Fault(f"{slashes} slashes together, expected `//`", offset=separator.start(), repairs=repairs)


def replaced(text: str, token: Token, word: str) -> str:
    return text[: token.offset] + word + text[token.end :]


def without(text: str, token: Token) -> str:
    """The text without an empty token: with one separator less, the one before it or, at its head, the one after."""
    before = text[: token.offset].rstrip(" \t")
    return before.rstrip("/,").rstrip() + text[token.end :]


def _mended_openings(word: str, openings: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Lists whose opening words hold a slip: `DISPLAY OLNY AFG` is offered as `DISPLAY ONLY AFG`."""
    for opening in openings:
        count = len(opening.split())
        words = word.split()
        if len(words) > count and closest(" ".join(words[:count]), [opening]):
            yield opening, " ".join(words[count:])
