"""The profile `IC-2016`: banners and portion marks of the United States Intelligence Community, read whole and written.

After the Intelligence Community Markings System Register and Manual, 31 December 2016 (public release DF-2019-00061).
Banners name the level and the controls, portions carry their marks:

    SECRET//ORCON/REL TO USA, JPN                    (S//OC/NF)
    //NATO SECRET                                    (//GBR S//REL TO USA, GBR)
    //JOINT SECRET CAN GBR USA//REL TO USA, CAN, GBR  (TS//SI-G ABCD/TK//FGI DEU//NF)

    classification // control systems // access programmes // atomic energy // NATO // FGI // dissemination // non-IC

What each part means for a label:

1. A caveat is read only if the scheme lists it, and so is a control system that the scheme lists as a caveat: there the
   scheme is not silent. The manual's controls are written in its order, those the scheme adds after them.
2. Control systems, access programmes, atomic energy, NATO's controls, nicknames and concealed foreign government
   information are read, kept word by word (`Marking.controls`), and make the marking unreleasable.
3. Another's classification (`//GBR S`) keeps its level as a name on the issuer's ladder; nothing here compares the two.
   Issuers, joint owners and sources of foreign government information are the marking's originators.
4. `USA/AUS EYES ONLY` names an audience as `REL TO USA, AUS` does, and is written so (table 3, rules 13 and 22).
5. A label is written without the sources of foreign government information: its originators may be such as the officer
   named beside the marking and did not put into it.

`REL`, and `//JOINT S` without owners, stand for what the page's banner says: a mark read alone does not have it, and is
for quarantine. `service.labels.markings.ic2016_pages` reads them on their page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from service.labels.label import Label
from service.labels.markings.base import Marking, closest, marking_part, shown
from service.labels.markings.ic2016_words import (
    AFTER_RELEASE,
    ATOMIC,
    ATOMIC_PORTIONS,
    BEFORE_RELEASE,
    BETWEEN,
    COMPARTMENTS,
    CONTROLS,
    EYES_ONLY,
    FOREIGN_GOVERNMENT,
    FOREIGN_LEVELS,
    JOINT,
    NATO,
    NATO_CONTROLS,
    NATO_ISAF,
    NATO_ISAF_LEVELS,
    NATO_LEVELS,
    NATO_WITH_CONTROL,
    NICKNAME,
    NICKNAMES,
    OTHER,
    PROGRAMMES,
    REL,
    SIGMA,
    SIGMA_PORTION,
    SYSTEMS,
    WEAPON_DESIGN,
    WEAPON_DESIGN_WORDS,
    WITH_NOFORN,
)
from service.labels.markings.slashed import Fault, SlashedProfile, Titles, Token, bounds, replaced, tokens_of, without
from service.labels.scheme import CODE, Scheme

_TITLES = Titles(
    no_foreign=("NOT RELEASABLE TO FOREIGN NATIONALS",),
    release_to=("AUTHORIZED FOR RELEASE TO",),
    release_as_banner=(REL,),
)
_NAME = re.compile(r"[A-Z0-9]+(?: [A-Z0-9]+)*")
_TRIGRAPH = re.compile(r"[A-Z][A-Z0-9]{2}")
_NATIONAL_LEVEL = re.compile(r"[A-Z]{2,}(?: [A-Z]{2,})*")
_FOREIGN_MARKS: Final = {name: mark for mark, name in FOREIGN_LEVELS.items()}
_NATO_MARKS: Final = {name: mark for mark, name in (*NATO_LEVELS.items(), *NATO_ISAF_LEVELS.items())}
_NATO_NAMES: Final = frozenset(_NATO_MARKS)
_RESERVED: Final = frozenset(
    (
        *(
            "COSMIC",
            "TOP",
            "NF",
            "NOFORN",
            "TO",
            "EYES",
            "ONLY",
            "DISPLAY",
            "SAR",
            "ACCM",
            WEAPON_DESIGN,
            SIGMA,
            SIGMA_PORTION,
            JOINT,
            REL,
            *FOREIGN_GOVERNMENT,
        ),
        *(*FOREIGN_LEVELS, *_FOREIGN_MARKS, *NATO_LEVELS, *NATO_ISAF_LEVELS, *NATO_CONTROLS, *SYSTEMS, *ATOMIC),
    )
)
"""Words of the profile that have the form of a code and are none."""
_ATOMIC_ORDER: Final = {name: place for place, name in enumerate(dict.fromkeys(ATOMIC.values()))}


class Ownership(Enum):
    """Whose classification a marking bears. The kinds exclude one another (page 55)."""

    OWN = "own"
    JOINT = "joint"
    FOREIGN = "foreign"
    CONCEALED = "concealed"


@dataclass(frozen=True, slots=True)
class System:
    """A control system, programme or regime, and within it compartments with what they hold in turn; sorted."""

    name: str
    parts: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __str__(self) -> str:
        return "-".join((self.name, *(" ".join((part, *subs)) for part, subs in self.parts)))


@dataclass(frozen=True, slots=True)
class Reading:
    """All that an `IC-2016` marking says.

    `released` and `displayed` are as in `Marking`. `foreign` are the sources of foreign government information, `()` where
    they are concealed. `no_foreign_in` are the controls that brought NOFORN with them (`SBU-NF`), `no_foreign` that it
    stands alone. `as_banner` is the mark `REL`; owners are missing only from a `JOINT` mark without its list.
    """

    level: str
    ownership: Ownership = Ownership.OWN
    owners: tuple[str, ...] = ()
    systems: tuple[System, ...] = ()
    programmes: tuple[System, ...] = ()
    atomic: tuple[System, ...] = ()
    nato: tuple[str, ...] = ()
    nicknames: tuple[str, ...] = ()
    foreign: tuple[str, ...] | None = None
    released: tuple[str, ...] | None = None
    displayed: tuple[str, ...] | None = None
    caveats: frozenset[str] = frozenset()
    no_foreign: bool = False
    no_foreign_in: frozenset[str] = frozenset()
    as_banner: bool = False

    @property
    def controls(self) -> tuple[str, ...]:
        """What no label can say, as a banner has it."""
        concealed = self.foreign == () or self.ownership is Ownership.CONCEALED
        return (
            *(str(system) for system in self.systems),
            *(f"{PROGRAMMES[0]}{programme}" for programme in self.programmes),
            *(str(regime) for regime in self.atomic),
            *self.nato,
            *self.nicknames,
            *((FOREIGN_GOVERNMENT[0],) if concealed else ()),
        )

    @property
    def codes(self) -> frozenset[str]:
        """Every code that it names."""
        return frozenset((*self.owners, *(self.foreign or ()), *(self.released or ()), *(self.displayed or ())))


def merged(systems: Iterable[System]) -> tuple[System, ...]:
    """These systems together, each once with all its compartments, in the order of writing."""
    systems = tuple(systems)
    if not systems:
        return ()
    found: dict[str, dict[str, set[str]]] = {}
    for system in systems:
        parts = found.setdefault(system.name, {})
        for part, subs in system.parts:
            parts.setdefault(part, set()).update(subs)
    return tuple(
        System(name, tuple((part, tuple(sorted(parts[part], key=_place))) for part in sorted(parts, key=_place)))
        for name, parts in sorted(found.items(), key=lambda item: (_ATOMIC_ORDER.get(item[0], 0), item[0]))
    )


def _place(word: str) -> tuple[bool, int, str]:
    """Numbers first and by value, then by the alphabet (page 125)."""
    return (not word[0].isdigit(), int(word) if word.isdigit() else 0, word)


class Ic2016Profile(SlashedProfile):
    """Reads and writes `IC-2016` markings over a scheme."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__(scheme, CONTROLS, _TITLES)
        self._spoken |= _RESERVED
        added = sorted(set(scheme.caveats) - {control.code for control in CONTROLS})
        self._other = (*(control.code for control in OTHER), *added)
        self._listed_by_register = {word: control.code for control in CONTROLS for word in control.words}
        self._with_no_foreign = {
            f"{word}{form}": code
            for code in WITH_NOFORN
            if code in self._controls
            for word in self._controls[code].words
            for form in ("-NF", "-NOFORN", " NF", " NOFORN")
        }
        self._never_codes = self._no_foreign | frozenset(self._with_no_foreign)

    # --- reading ------------------------------------------------------------------------------------------------------

    def reading(self, text: str, *, portion: bool) -> Reading:
        """All that a marking says, also what stands for its banner.

        Raises:
            MarkingError: malformed.
            Unresolved: well-formed, but unmarked or holding an unknown word.
        """
        return self._guarded(text, lambda: self._reading(text, portion=portion), portion=portion)

    def _read(self, text: str, *, portion: bool) -> Marking:
        reading = self._reading(text, portion=portion)
        if reading.as_banner:
            at = next(token.offset for token in tokens_of(text, *bounds(text)) if token.word == REL)
            message = f"{shown(REL)} stands for the list of the banner, expected `REL TO` with its codes,"
            raise Fault(message, offset=at, code="unknown-token")
        if reading.ownership is Ownership.JOINT and not reading.owners:
            at = text.upper().index(JOINT)
            raise Fault(f"{shown(JOINT)} without owners stands for those of the banner, expected them,", offset=at, code="unknown-token")
        return self._marking(reading, text)

    def _marking(self, reading: Reading, text: str) -> Marking:
        level = reading.level
        issuers: tuple[str, ...] = ()
        match reading.ownership:
            case Ownership.OWN | Ownership.JOINT:
                pass
            case Ownership.FOREIGN:
                issuers = reading.owners
                if level in NATO_ISAF_LEVELS.values():
                    level, issuers = f"{NATO} {level.rpartition(' ')[2]}", (NATO,)
            case Ownership.CONCEALED:
                # No ladder is of this issuer, so no table answers for it.
                issuers = FOREIGN_GOVERNMENT[:1]
        originators = {*reading.owners, *(reading.foreign or ())}
        if originators and reading.ownership is Ownership.OWN:
            originators.add(self._scheme.own)
        return Marking(
            level,
            reading.released,
            reading.displayed,
            tuple(sorted(reading.caveats)),
            text,
            issuers=issuers,
            originators=tuple(sorted(originators)),
            controls=reading.controls,
        )

    def _strict(self, text: str, *, portion: bool) -> tuple[str, frozenset[str]]:
        reading = self._reading(text, portion=portion)
        return self.written(reading, portion=portion), frozenset(reading.codes)

    def _reading(self, text: str, *, portion: bool) -> Reading:
        tokens = list(tokens_of(text, *bounds(text)))
        if tokens[0].word or len(tokens) == 1:
            head = Reading(self._own_level(text, tokens[0], portion=portion))
            first = 1
        else:
            head = self._classification(text, tokens[1], portion=portion)
            first = 2
        return self._controlled(text, tokens, first, head, portion=portion)

    def _own_level(self, text: str, token: Token, *, portion: bool) -> str:
        try:
            return self._level(text, token, portion=portion).name
        except Fault as fault:
            if fault.code == "unknown-level" and self._foreign_level(token.word) is not None:
                mended = f"{text[: token.offset]}//{text[token.offset :]}"
                raise Fault(fault.message, offset=fault.offset, code=fault.code, repairs=[mended, *fault.repairs]) from None
            raise

    def _classification(self, text: str, token: Token, *, portion: bool) -> Reading:
        """The head of a marking that begins with `//`."""
        if token.slashes == 1:
            at = text.rindex("/", 0, token.offset or len(text))
            raise Fault("`/` before another's classification, expected `//`", offset=at, repairs=[f"{text[:at]}/{text[at:]}"])
        words = token.word.split()
        if not words:
            raise Fault("nothing after the slashes, expected a classification,", offset=token.offset)
        if words[0] == JOINT:
            return self._joint(text, token, words[1:], portion=portion)
        found = None if self._is_own_level(token.word) else self._foreign_level(token.word)
        if found is not None:
            return found
        if words[0] in FOREIGN_GOVERNMENT and len(words) > 1:
            return Reading(self._level_of_source(text, token, words[1:]), Ownership.CONCEALED)
        own = self._scheme.own
        if words[0] == own or self._is_own_level(token.word):
            rest = " ".join(words[1:]) if words[0] == own else token.word
            repairs = [_from(text, token, rest)]
            raise Fault(
                f"{shown(token.word)} is our own classification, expected no slashes before it,", offset=token.offset, repairs=repairs
            )
        if self._is_national(words[0], words[1:]):
            return Reading(" ".join(words[1:]), Ownership.FOREIGN, (words[0],))
        repairs = [replaced(text, token, each) for each in closest(token.word, _NATO_NAMES)]
        repairs += [replaced(text, token, " ".join((*words[:-1], each))) for each in closest(words[-1], (*_FOREIGN_MARKS, *FOREIGN_LEVELS))]
        repairs += [replaced(text, token, " ".join((JOINT, *words[1:])))] if closest(words[0], [JOINT]) else []
        message = f"unknown classification {shown(token.word)}, expected codes and a level, `NATO SECRET` or `JOINT`,"
        raise Fault(message, offset=token.offset, code="unknown-level", repairs=repairs)

    def _foreign_level(self, word: str) -> Reading | None:
        """Another's level: NATO's by its own name, a nation's behind its code; `None` if it is neither."""
        nato: tuple[str, ...] = ()
        if word in NATO_WITH_CONTROL:
            word, control = NATO_WITH_CONTROL[word]
            nato = (control,)
        name = NATO_LEVELS.get(word, word)
        if name in _NATO_MARKS and name not in NATO_ISAF_LEVELS.values():
            return Reading(name, Ownership.FOREIGN, (NATO,), nato=nato)
        name = NATO_ISAF_LEVELS.get(word, word)
        if name in NATO_ISAF_LEVELS.values():
            return Reading(name, Ownership.FOREIGN, (NATO_ISAF, NATO))
        words = word.split()
        for size in (2, 1):
            level = FOREIGN_LEVELS.get(" ".join(words[-size:]), " ".join(words[-size:]))
            owners = words[:-size]
            if level in _FOREIGN_MARKS and owners and all(self._may_issue(code) for code in owners):
                return Reading(level, Ownership.FOREIGN, tuple(sorted(set(owners))))
        return None

    def _may_issue(self, code: str) -> bool:
        return code not in (self._scheme.own, NATO) and self._may_be_source(code)

    def _may_be_source(self, code: str) -> bool:
        """Whether it is a code, and no word of the profile: lists of owners and sources have blanks for commas."""
        if len(code) < 2 or not CODE.fullmatch(code):
            return False
        return not any(part in _RESERVED or part in self._caveat_of for part in (code, *code.split("-")))

    def _is_national(self, code: str, words: Sequence[str]) -> bool:
        """Whether the words may be a level on a nation's own ladder: behind one code, and no slip for a word of ours."""
        name = " ".join(words)
        if not (_TRIGRAPH.fullmatch(code) and self._may_issue(code) and _NATIONAL_LEVEL.fullmatch(name)):
            return False
        return not any(word in _RESERVED or word in self._caveat_of for word in words) and not closest(name, _FOREIGN_MARKS)

    def _level_of_source(self, text: str, token: Token, words: Sequence[str]) -> str:
        word = " ".join(words)
        level = FOREIGN_LEVELS.get(word, word)
        if level not in _FOREIGN_MARKS:
            expected = ", ".join(shown(name) for name in _FOREIGN_MARKS)
            repairs = [replaced(text, token, f"{FOREIGN_GOVERNMENT[0]} {each}") for each in closest(word, _FOREIGN_MARKS)]
            raise Fault(
                f"unknown level {shown(word)}, expected one of {expected},", offset=token.offset, code="unknown-level", repairs=repairs
            )
        return level

    def _is_own_level(self, word: str) -> bool:
        return word in self._by_name or word in self._by_mark

    def _joint(self, text: str, token: Token, words: Sequence[str], *, portion: bool) -> Reading:
        for size in range(len(words), 0, -1):
            word = " ".join(words[:size])
            if self._is_own_level(word):
                level = self._level(text, Token(word, token.offset, token.end, token.slashes), portion=portion).name
                break
        else:
            known = [*self._by_name, *self._by_mark]
            repairs = [replaced(text, token, " ".join((JOINT, each, *words[1:]))) for each in (closest(words[0], known) if words else ())]
            message = f"{shown(JOINT)} without a level, expected one of ours and the owners,"
            raise Fault(message, offset=token.offset, code="unknown-level", repairs=repairs)
        owners = [word.rstrip(",") for word in words[size:]]
        for owner in owners:
            if not self._may_be_source(owner):
                raise Fault(f"{shown(owner)} among joint owners is not a code, expected one like `GBR`,", offset=token.offset)
        if not owners:
            if not portion:
                raise Fault(f"{shown(JOINT)} without owners, expected at least two,", offset=token.offset)
            return Reading(level, Ownership.JOINT)
        own = self._scheme.own
        if own not in owners:
            repairs = [replaced(text, token, " ".join((JOINT, *words[:size], *sorted({*owners, own}))))]
            raise Fault(f"joint owners without {shown(own)}, which is always one,", offset=token.offset, repairs=repairs)
        if len(set(owners)) < 2:
            raise Fault(f"{shown(JOINT)} of one owner, expected at least two,", offset=token.offset)
        return Reading(level, Ownership.JOINT, tuple(sorted(set(owners))))

    def _controlled(self, text: str, tokens: Sequence[Token], first: int, head: Reading, *, portion: bool) -> Reading:
        """The head with what the blocks after it say."""
        found = _Blocks(head)
        place, in_programmes = first, False
        while place < len(tokens):
            token = tokens[place]
            if not token.word:
                raise Fault("nothing between slashes", offset=token.offset, repairs=[without(text, token)])
            if place == first and token.slashes == 1:
                at = text.rindex("/", 0, token.offset)
                raise Fault("`/` after the level, expected `//`", offset=at, repairs=[f"{text[:at]}/{text[at:]}"])
            in_programmes = in_programmes and token.slashes == 1
            taken = self._caveat(token, found) or self._disclosure(text, tokens, place, found, portion=portion)
            if not taken:
                programme = _programme(token.word, opened=in_programmes)
                if programme is not None:
                    found.programmes.append(programme)
                    taken, in_programmes = 1, True
                else:
                    taken = self._regime(text, token, found)
            if not taken:
                raise self._unknown(text, token)
            place += taken
        return found.reading(text)

    def _disclosure(self, text: str, tokens: Sequence[Token], place: int, found: _Blocks, *, portion: bool) -> int:
        """Foreign disclosure and release; how many tokens it took."""
        token = tokens[place]
        if token.word in self._no_foreign:
            found.nobody(token)
            found.no_foreign = True
            return 1
        if token.word in self._with_no_foreign:
            found.nobody(token)
            found.no_foreign_in.add(self._with_no_foreign[token.word])
            found.caveats.add(self._with_no_foreign[token.word])
            return 1
        if (codes := self._codes_after(text, token, *self._release_to)) is not None:
            found.release(token, codes)
            return 1
        if (codes := self._codes_after(text, token, *self._display_only)) is not None:
            found.display(token, codes)
            return 1
        if token.word == REL and portion:
            found.release(token, ())
            found.as_banner = True
            return 1
        return self._eyes_only(text, tokens, place, found)

    def _eyes_only(self, text: str, tokens: Sequence[Token], place: int, found: _Blocks) -> int:
        if EYES_ONLY not in tokens[-1].word and not any(EYES_ONLY in token.word for token in tokens[place:]):
            return 0
        codes: list[str] = []
        for count, token in enumerate(tokens[place:], start=1):
            if count > 1 and token.slashes != 1:
                return 0
            last = token.word.endswith(f" {EYES_ONLY}")
            code = token.word.removesuffix(f" {EYES_ONLY}") if last else token.word
            if not CODE.fullmatch(code) or code in self._no_foreign or code in self._caveat_of:
                return 0
            codes.append(code)
            if last:
                own = self._scheme.own
                if codes[0] != own or len(codes) < 2:
                    message = f"{shown(EYES_ONLY)} after {shown(codes[0])}, expected {shown(own)} and then another code,"
                    raise Fault(message, offset=tokens[place].offset)
                found.release(tokens[place], tuple(sorted(set(codes))))
                return count
        return 0

    def _caveat(self, token: Token, found: _Blocks) -> int:
        code = self._caveat_of.get(token.word)
        if code is None:
            return 0
        found.caveats.add(code)
        return 1

    def _regime(self, text: str, token: Token, found: _Blocks) -> int:
        """A control system, atomic energy, a control of NATO, foreign government information, a nickname."""
        word = token.word
        if (system := _system(word)) is not None:
            found.systems.append(system)
        elif (regime := _atomic(word)) is not None:
            found.atomic.append(regime)
        elif word in NATO_CONTROLS:
            found.nato.add(word)
        elif word in NICKNAMES or (word.startswith(NICKNAME) and _NAME.fullmatch(word.removeprefix(NICKNAME))):
            found.nicknames.append(word if word in NICKNAMES else f"{NICKNAME}{word.removeprefix(NICKNAME)}")
        elif (sources := _sources(word)) is not None and all(map(self._may_be_source, sources)):
            found.sources(text, token, sources, own=self._scheme.own)
        else:
            return 0
        return 1

    def _unknown(self, text: str, token: Token) -> Fault:
        code = self._listed_by_register.get(token.word)
        if code is not None:
            return Fault(
                f"{shown(token.word)} is {shown(code)}, which is no caveat of the scheme,", offset=token.offset, code="unknown-token"
            )
        return super()._unknown(text, token)

    # --- writing ------------------------------------------------------------------------------------------------------

    def _part(self, label: Label) -> Marking:
        # The manual's list is `REL TO [USA, LIST]`: it names its owner always.
        return marking_part(label, scheme=self._scheme, names_own=True)

    def _compose(self, marking: Marking, *, portion: bool) -> str:
        reading = Reading(
            marking.level,
            released=marking.releasable_to,
            displayed=marking.display_to,
            caveats=frozenset(marking.caveats),
            no_foreign=marking.releasable_to == () and not marking.display_to,
        )
        return self.written(reading, portion=portion)

    def written(self, reading: Reading, *, portion: bool) -> str:
        """The text of a reading, in the manual's order and words."""
        blocks = [
            [str(system) for system in reading.systems],
            [f"{PROGRAMMES[0]}{'/'.join(map(str, reading.programmes))}"] if reading.programmes else [],
            [_atomic_word(regime, portion=portion) for regime in reading.atomic],
            list(reading.nato),
            [] if reading.foreign is None else [" ".join((FOREIGN_GOVERNMENT[0], *_by_size(reading.foreign)))],
            self._dissemination(reading, portion=portion),
            [*self._others(reading, portion=portion), *reading.nicknames],
        ]
        text = "//".join((self._head(reading, portion=portion), *("/".join(block) for block in blocks if block)))
        return f"({text})" if portion else text

    def _head(self, reading: Reading, *, portion: bool) -> str:
        level = reading.level
        match reading.ownership:
            case Ownership.OWN:
                return self._own_word(level, portion=portion)
            case Ownership.JOINT:
                return " ".join((f"//{JOINT}", self._own_word(level, portion=portion), *_by_size(reading.owners)))
            case Ownership.FOREIGN:
                if level in _NATO_MARKS:
                    return f"//{_NATO_MARKS[level] if portion else level}"
                word = _FOREIGN_MARKS.get(level, level) if portion else level
                return f"//{' '.join((*_by_size(reading.owners), word))}"
            case Ownership.CONCEALED:
                return f"//{FOREIGN_GOVERNMENT[0]} {_FOREIGN_MARKS[level] if portion else level}"

    def _own_word(self, name: str, *, portion: bool) -> str:
        return self._by_name[name].mark if portion else name

    def _dissemination(self, reading: Reading, *, portion: bool) -> list[str]:
        def words(codes: Iterable[str]) -> list[str]:
            return [self._word(code, portion=portion) for code in codes if code in reading.caveats]

        controls = words(control.code for control in BEFORE_RELEASE)
        if reading.no_foreign:
            controls.append("NF" if portion else "NOFORN")
        controls += words(control.code for control in BETWEEN)
        if reading.as_banner:
            controls.append(REL)
        elif reading.released:
            # A mark that leaves its owner out is read; none is written.
            controls.append(f"REL TO {self._listed(tuple({self._scheme.own, *reading.released}))}")
        controls += words(control.code for control in AFTER_RELEASE)
        if reading.displayed:
            controls.append(f"DISPLAY ONLY {self._listed(reading.displayed)}")
        return controls

    def _others(self, reading: Reading, *, portion: bool) -> list[str]:
        form = "-NF" if portion else " NOFORN"
        return [
            f"{self._word(code, portion=portion)}{form if code in reading.no_foreign_in else ''}"
            for code in self._other
            if code in reading.caveats
        ]

    def _listed(self, codes: Sequence[str]) -> str:
        own = self._scheme.own
        # The manual's order: the owner, then trigraphs, then the codes of groups.
        return ", ".join(sorted(codes, key=lambda code: (code != own, len(code) != 3, code)))

    def _word(self, code: str, *, portion: bool) -> str:
        control = self._controls[code]
        return control.portion if portion else control.banner


class _Blocks:
    """What has been read of a marking so far, and the rule that it has one audience at most."""

    def __init__(self, head: Reading) -> None:
        self._head = head
        self._released: tuple[str, ...] | None = None
        self._displayed: tuple[str, ...] | None = None
        self._foreign: tuple[str, ...] | None = None
        self.systems: list[System] = []
        self.programmes: list[System] = []
        self.atomic: list[System] = []
        self.nato = set(head.nato)
        self.nicknames: list[str] = []
        self.caveats: set[str] = set()
        self.no_foreign_in: set[str] = set()
        self.no_foreign = False
        self.as_banner = False

    @property
    def _is_nobodys(self) -> bool:
        return self.no_foreign or bool(self.no_foreign_in)

    def nobody(self, token: Token) -> None:
        if self._released or self._displayed or self.as_banner:
            raise Fault(f"{shown(token.word)} beside a list of codes, expected one of them", offset=token.offset)
        self._released = ()

    def release(self, token: Token, codes: tuple[str, ...]) -> None:
        if self._released is not None:
            raise Fault("a second audience for release, expected one", offset=token.offset)
        self._released = codes

    def display(self, token: Token, codes: tuple[str, ...]) -> None:
        if self._displayed is not None or self._is_nobodys:
            raise Fault("a second audience for display, expected one", offset=token.offset)
        self._displayed = codes

    def sources(self, text: str, token: Token, sources: tuple[str, ...], *, own: str) -> None:
        if self._foreign is not None:
            raise Fault(f"a second {shown(FOREIGN_GOVERNMENT[0])}, expected one with all sources", offset=token.offset)
        if own in sources:
            repairs = [replaced(text, token, " ".join((FOREIGN_GOVERNMENT[0], *(code for code in sources if code != own))))]
            raise Fault(f"{shown(own)} is no foreign government", offset=token.offset, repairs=repairs)
        self._foreign = sources

    def reading(self, text: str) -> Reading:
        released = self._released
        if self._displayed is not None and released is None:
            # DISPLAY ONLY names an audience: to look, and none to keep.
            released = ()
        head = self._head
        return Reading(
            head.level,
            head.ownership,
            head.owners,
            systems=merged(self.systems),
            programmes=merged(self.programmes),
            atomic=merged(self.atomic),
            nato=tuple(sorted(self.nato)),
            nicknames=tuple(dict.fromkeys(self.nicknames)),
            foreign=self._foreign,
            released=released,
            displayed=self._displayed,
            caveats=frozenset(self.caveats),
            no_foreign=self.no_foreign,
            no_foreign_in=frozenset(self.no_foreign_in),
            as_banner=self.as_banner,
        )


def _structured(word: str) -> tuple[str, list[tuple[str, tuple[str, ...]]]] | None:
    """A word of segments set off by hyphens, each but the first with what it holds after blanks."""
    name, *segments = word.split("-")
    if not _NAME.fullmatch(name) or not all(_NAME.fullmatch(segment) for segment in segments):
        return None
    parts = []
    for segment in segments:
        part, *subs = segment.split()
        parts.append((COMPARTMENTS.get(part, part), tuple(subs)))
    return name, parts


def _system(word: str) -> System | None:
    structured = _structured(word)
    if structured is None or structured[0] not in SYSTEMS:
        return None
    return merged([System(SYSTEMS[structured[0]], tuple(structured[1]))])[0]


def _programme(word: str, *, opened: bool) -> System | None:
    """An access programme: behind `SAR-`, or following one in its block."""
    opening = next((each for each in PROGRAMMES if word.startswith(each)), None)
    if opening is None and not opened:
        return None
    structured = _structured(word.removeprefix(opening or ""))
    return None if structured is None else merged([System(structured[0], tuple(structured[1]))])[0]


def _atomic(word: str) -> System | None:
    name, *segments = word.split("-")
    if name not in ATOMIC:
        return None
    parts: list[tuple[str, tuple[str, ...]]] = []
    for segment in segments:
        first, *numbers = segment.split() or [""]
        if segment in WEAPON_DESIGN_WORDS and ATOMIC[name] == "RD":
            parts.append((WEAPON_DESIGN, ()))
        elif first in (SIGMA, SIGMA_PORTION) and ATOMIC[name] in ("RD", "FRD") and numbers and all(map(str.isdigit, numbers)):
            parts.append((SIGMA, tuple(numbers)))
        else:
            return None
    return merged([System(ATOMIC[name], tuple(parts))])[0]


def _atomic_word(regime: System, *, portion: bool) -> str:
    if not portion:
        return str(regime)
    parts = tuple((SIGMA_PORTION if part == SIGMA else part, subs) for part, subs in regime.parts)
    return str(System(ATOMIC_PORTIONS.get(regime.name, regime.name), parts))


def _sources(word: str) -> tuple[str, ...] | None:
    """The sources behind `FGI`, `()` for none; `None` if it is no such block."""
    opening = next((each for each in FOREIGN_GOVERNMENT if word == each or word.startswith(f"{each} ")), None)
    if opening is None:
        return None
    codes = word.removeprefix(opening).split()
    return tuple(sorted(set(codes)))


def _by_size(codes: Iterable[str]) -> list[str]:
    """The manual's order of codes: trigraphs, then the codes of groups."""
    return sorted(codes, key=lambda code: (len(code) != 3, code))


def _from(text: str, token: Token, word: str) -> str:
    """The text with `word` in place of the slashes and the token behind them."""
    before = text[: token.offset].rstrip(" \t").rstrip("/")
    return f"{before}{word}{text[token.end :]}"
