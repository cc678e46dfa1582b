"""The profile `NATO-4774`: markings of the Alliance, as text in English and French and as labels of STANAG 4774.

    NATO SECRET ATOMAL Releasable to Japan, Switzerland - STAFF        NATO/KFOR CONFIDENTIAL Ireland, NATO ONLY
    (NS ATOMAL REL TO JPN, CHE - STAFF)                                COSMIC TRES SECRET

    [NATO | NATO/context | COSMIC] level [sensitivities] [Releasable to LIST | LIST ONLY] [- administrative]

After ADatP-4774, table 17, and the words of a published demonstration policy (`nato_spif`). What it means here:

1. A marking that names no audience is for its context and nobody else: `NATO SECRET` is for `NATO`. `Releasable to`
   adds to the context's audience, `ONLY` takes its place. So there is always an audience, and a bundle that does not
   know `NATO` puts such an item in quarantine. Who belongs to `NATO` or `KFOR` is for the bundle's communities to say.
2. `Releasable to the Public` is the unrestricted audience. The policy has no words for it; these are ours.
3. Sensitivities and administrative terms are caveats. Those the scheme adds stand after the policy's.
4. A level of the scheme is the classification its name says, with or without `NATO` or `COSMIC` before it. Of marks, the
   scheme's own are written; its own and the usual ones (`NS`) are read.
5. The own code alone is nobody: `Germany ONLY` where we are `DEU`.
6. There are no words for an audience that may look and not keep: writing refuses it.
7. An XML label of another policy is that issuer's: its classification is a name on his ladder, and it names nobody.

Read as people write: either case, with or without accents, any blanks, the level before its policy as in French (`SECRET OTAN`),
names of countries or their codes, banners for portion marks and the reverse, and an XML label or binding in place of text. Written
one way: names in banners, codes in portions, in the policy's order; context `NATO`, but for an audience that is a context (`NATO/KFOR
SECRET`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Final

from service.errors import Rejected
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
from service.labels.markings.nato_spif import (
    CATEGORIES,
    CLASSIFICATIONS,
    CONTEXT_AUDIENCES,
    MARKS_WITH_SENSITIVITY,
    NATO,
    POLICY,
    Language,
    TagSet,
    phrase_of,
    value_of,
)
from service.labels.markings.stanag4774 import PUBLIC, Binding, ConfidentialityLabel, read_bound, read_xml, write_label
from service.labels.scheme import CODE, Scheme, SchemeError

REPAIRS_DEEP: Final = 3
"""How many slips in one marking are mended to find the nearest legal one."""

_MALFORMED: Final = "malformed-marking"
_POLICIES: Final = ("NATO", "OTAN")
_COSMIC: Final = "COSMIC"
_HIGHEST: Final = "TOP SECRET"
_LIST_OPENINGS: Final = ("RELEASABLE TO", "REL TO", "COMMUNICABLE A", "COMMUNICABLE AU")
_ONLY: Final = ("ONLY", "SEULEMENT")
_RESERVED: Final = frozenset({"RELEASABLE", "REL", "COMMUNICABLE", "TO", "THE", *_ONLY})
_WORDS: Final = {
    Language.ENGLISH: ("Releasable to ", " ONLY", "the Public"),
    Language.FRENCH: ("Communicable a ", " SEULEMENT", "public"),
}
_PORTION_WORDS: Final = ("REL TO ", " ONLY", "the Public")
_BLANK: Final = " \t\r\n"
_FOREIGN_CHARACTER: Final = re.compile(r"[^A-Z0-9 \t\r\n,/()'-]")
_ADMINISTRATIVE: Final = re.compile(r"(?<![^ \t\r\n])-+")
"""What sets off the administrative terms: a dash after a blank, which no code has."""
_RELEASE_SLIP: Final = re.compile(r"(?P<word>[A-Z]+)(?:[ \t-]*(?<![A-Z])(?:TO|AU|A))?[ \t]+(?P<names>[^ \t].*)")
_END: Final = r"(?![A-Z0-9])"
_CONTEXTS_OF_ONE: Final = frozenset(
    context for context, audience in CONTEXT_AUDIENCES.items() if audience == (context,) and context != NATO
)
"""Contexts that name themselves and nobody else, so that they and their code say the same."""


class _Fault(Exception):
    """Why a text is not a marking, and texts that may have been meant; becomes a `MarkingError` before it leaves here."""

    def __init__(self, message: str, *, offset: int, code: str = _MALFORMED, repairs: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.code = code
        self.repairs = repairs


class NatoProfile:
    """Reads and writes `NATO-4774` markings over a scheme; immutable, safe from many threads.

    Raises:
        SchemeError: a level that is no classification of the Alliance, or two that are one; a mark or caveat that would be
            read as something else.
    """

    def __init__(self, scheme: Scheme) -> None:
        self._scheme = scheme
        self._level_of: dict[str, str] = {}
        self._classification_of: dict[str, str] = {}
        self._mark_of: dict[str, str] = {}
        marks: dict[str, tuple[str, tuple[str, ...]]] = {each.mark: (each.name, ()) for each in CLASSIFICATIONS.values()}
        marks |= {mark: (name, (sensitivity,)) for mark, (name, sensitivity) in MARKS_WITH_SENSITIVITY.items()}
        for level in scheme.levels:
            name = _classification(level.name)
            if name is None:
                expected = ", ".join(f"`{each}`" for each in CLASSIFICATIONS)
                raise SchemeError("levels", f"level `{level.name}` is none of profile `{scheme.profile}`, expected {expected}")
            if name in self._level_of:
                raise SchemeError("levels", f"levels `{self._level_of[name]}` and `{level.name}` are one in profile `{scheme.profile}`")
            if marks.get(level.mark, (name, ())) != (name, ()) or level.mark in (*_POLICIES, _COSMIC):
                raise SchemeError("levels", f"portion mark `{level.mark}` of `{level.name}` means something else in `{scheme.profile}`")
            self._level_of[name] = level.name
            self._classification_of[level.name] = name
            self._mark_of[name] = level.mark
            marks[level.mark] = (name, ())
        if [self._level_of[name] for name in CLASSIFICATIONS if name in self._level_of] != [level.name for level in scheme.levels]:
            raise SchemeError("levels", f"the levels of profile `{scheme.profile}` are in the order {', '.join(CLASSIFICATIONS)}")
        self._marks: Mapping[str, tuple[str, tuple[str, ...]]] = marks
        for caveat in scheme.caveats:
            if caveat in _RESERVED or caveat in _FIRST_WORDS:
                raise SchemeError("caveats", f"caveat `{caveat}` would be read as an audience in profile `{scheme.profile}`")
        known = CATEGORIES[TagSet.ADMINISTRATIVE]
        self._administrative = {_folded(each.value): code for code, each in known.items()}
        sensitivities = {_folded(each.value): code for code, each in CATEGORIES[TagSet.SENSITIVITY].items()}
        self._sensitivities = sensitivities | {code: code for code in (*sensitivities.values(), *scheme.caveats) if code not in known}
        self._spoken = frozenset((*self._sensitivities, *self._administrative, *marks, *_LEVEL_WORDS, _COSMIC))
        self._sensitivity = _alternatives(self._sensitivities)
        self._mark = _alternatives(marks)

    def parse_banner(self, text: str) -> Marking:
        """Read a banner: `NATO SECRET Releasable to Japan`; or an XML label in its place.

        Raises:
            MarkingError: malformed.
            Unresolved: well-formed, but unmarked or holding an unknown word.
        """
        return self._marking(self.read(text), text)

    def parse_portion(self, text: str) -> Marking:
        """Read a portion mark: `(NS REL TO JPN)`; as `parse_banner`, which reads the same texts."""
        return self._marking(self.read(text), text)

    def write_banner(self, label: Label, language: Language = Language.ENGLISH) -> str:
        """The banner of a label.

        Raises:
            Rejected: a name the scheme does not hold, or an audience that no marking of the Alliance can say.
        """
        said = self.confidentiality(label)
        return self._read_back(display(said, language), said)

    def write_portion(self, label: Label) -> str:
        """The portion mark of a label, in its parentheses; errors as `write_banner`."""
        said = self.confidentiality(label)
        if said.context != NATO:
            # A portion mark has no room for a context.
            said = replace(said, context=NATO, only=CONTEXT_AUDIENCES[said.context])
        text = f"({_composed(said, self._mark_of[said.classification], _PORTION_WORDS, Language.ENGLISH, codes=True)})"
        return self._read_back(text, said)

    def write_xml(self, label: Label, *, created: datetime | None = None) -> bytes:
        """The label as XML of STANAG 4774, the same bytes for the same label and time; errors as `write_banner`."""
        return write_label(replace(self.confidentiality(label), created=created))

    def parse_xml(self, text: str) -> tuple[tuple[Marking, Binding], ...]:
        """Read an XML label, or every label of a binding, each with what it is bound to; errors as `parse_banner`."""
        return tuple((self._marking(binding.label, text), binding) for binding in read_bound(text))

    def read(self, text: str) -> ConfidentialityLabel:
        """What a text or an XML label says, before the scheme is asked whether it has its words; errors as `parse_banner`."""
        if text.lstrip(_BLANK).startswith("<"):
            return read_xml(text)
        try:
            return self._read(text)
        except _Fault as fault:
            kind = MarkingError if fault.code == _MALFORMED else Unresolved
            nearest = self._nearest(_folded(text), fault, deep=REPAIRS_DEEP)
            message = f"{fault.message} at character {fault.offset} of marking"
            raise kind(message, text=text, offset=fault.offset, code=fault.code, nearest=nearest) from None

    def confidentiality(self, label: Label) -> ConfidentialityLabel:
        """What a label says in the Alliance's terms; errors as `write_banner`."""
        part = marking_part(label, scheme=self._scheme)
        if part.display_to is not None:
            raise Rejected("an audience that may look and not keep has no marking in this profile", code="unmarkable")
        terms = CATEGORIES[TagSet.ADMINISTRATIVE]
        said = ConfidentialityLabel(
            POLICY,
            self._classification_of[part.level],
            public=part.releasable_to is None,
            sensitivities=tuple(code for code in part.caveats if code not in terms),
            administrative=tuple(code for code in part.caveats if code in terms),
        )
        if part.releasable_to is None:
            return said
        audience = part.releasable_to or (self._scheme.own,)
        for code in audience:
            if code in _RESERVED or code in _POLICIES[1:] or _code_of_word(code) != code:
                raise Rejected(f"audience names {shown(code)}, which this profile would read as another", code="unmarkable")
        if len(audience) == 1 and audience[0] in _CONTEXTS_OF_ONE and said.classification != _HIGHEST:
            return replace(said, context=audience[0])
        if NATO not in audience:
            return replace(said, only=audience)
        return said if audience == (NATO,) else replace(said, releasable_to=audience)

    def _read_back(self, text: str, said: ConfidentialityLabel) -> str:
        """The text, if a reader takes it as it was meant: names of a scheme can be such that together they read as another."""
        try:
            understood = self._read(text) == said
        except _Fault:
            understood = False
        if not understood:
            raise Rejected(f"the label would be written {shown(text)}, which says something else", code="unmarkable")
        return text

    def _marking(self, said: ConfidentialityLabel, text: str) -> Marking:
        """What was read, in the words of the scheme."""
        if said.policy.upper() != POLICY:
            issuer = said.policy.upper()
            if not CODE.fullmatch(issuer):
                message = f"policy {shown(said.policy)} is no code of an issuer, expected `{POLICY}` or one like `DEU`"
                raise Unresolved(message, text=text, offset=said.places.get("level", 0), code="unknown-code")
            # Another's label without categories: what is unsaid in it names nobody.
            return Marking(said.classification, (), None, (), text, issuers=(issuer,), originators=(issuer,))
        level = self._level_of.get(said.classification)
        if level is None:
            expected = ", ".join(f"`{name}`" for name in self._classification_of)
            at = said.places.get("level", 0)
            message = f"unknown level `{said.classification}`, expected one of {expected}, at character {at} of marking"
            raise Unresolved(message, text=text, offset=at, code="unknown-level")
        caveats = (*said.sensitivities, *said.administrative)
        for caveat in caveats:
            if caveat not in self._scheme.caveats:
                near = "".join(f", expected one like {shown(word)}" for word in closest(caveat, self._scheme.caveats)[:1])
                at = said.places.get(caveat, 0)
                raise Unresolved(
                    f"unknown caveat {shown(caveat)}{near}, at character {at} of marking", text=text, offset=at, code="unknown-token"
                )
        audience = said.audience
        if audience is not None and set(audience) <= {self._scheme.own}:
            audience = ()
        return Marking(level, audience, None, tuple(sorted(caveats)), text)

    def _nearest(self, written: str, fault: _Fault, *, deep: int) -> str | None:
        """The first repair that says what was written and can be read, or can be mended further; in strict form."""
        if not deep:
            return None
        for repair in fault.repairs:
            if not keeps_its_words(written, _folded(repair), own="", spoken=self._spoken):
                continue
            try:
                said = self._read(repair)
                self._marking(said, repair)
            except _Fault as next_fault:
                mended = self._nearest(written, next_fault, deep=deep - 1)
                if mended is not None:
                    return mended
            except Unresolved:
                continue
            else:
                if all(_is_named(code, written, _folded(repair)) for code in (*said.releasable_to, *said.only) if code != NATO):
                    return display(said, Language.ENGLISH)
        return None

    # Text.

    def _read(self, text: str) -> ConfidentialityLabel:
        if len(text) > MARKING_CHARACTERS_MAX:
            raise _Fault(f"more than {MARKING_CHARACTERS_MAX} characters", offset=MARKING_CHARACTERS_MAX)
        folded = _folded(text)
        start, end = _bounds(text, folded)
        places: dict[str, int] = {}
        classification, context, sensitivities, at = self._head(text, folded, start, end)
        places["level"] = start
        found = _ADMINISTRATIVE.search(folded, at, end)
        stop = found.start() if found else end
        terms = self._terms(text, folded, found.end(), end, places) if found else ()
        named, at = self._sensitivities_at(folded, at, stop, places)
        released, only, public = self._audience(text, folded, at, stop, context, places)
        return ConfidentialityLabel(
            POLICY,
            classification,
            context,
            releasable_to=released,
            only=only,
            public=public,
            sensitivities=(*sensitivities, *named),
            administrative=terms,
            places=places,
        )

    def _head(self, text: str, folded: str, start: int, end: int) -> tuple[str, str, tuple[str, ...], int]:
        """Classification, context, sensitivities of a composite mark, and where they end."""
        mark = self._mark.match(folded, start, end)
        if mark and _ends(folded, mark.end(), end):
            name, sensitivities = self._marks[" ".join(mark.group().split())]
            return name, NATO, sensitivities, mark.end()
        french = _LEVEL_BEFORE_POLICY.match(folded, start, end)
        if french and _ends(folded, french.end(), end):
            name = _LEVEL_WORDS[" ".join(french["level"].split())]
            if name == _HIGHEST:
                message = f"{shown(' '.join(french.group().split()))}, expected {shown(f'{_COSMIC} {name}')}"
                raise _Fault(message, offset=start, repairs=[f"{text[:start]}{_COSMIC} {french['level']}{text[french.end() :]}"])
            return name, NATO, (), french.end()
        policy = _POLICY.match(folded, start, end)
        if policy is None:
            raise self._no_policy(text, folded, start, end)
        word = policy["before"] or policy["after"]
        context = NATO if word is None else " ".join(word.split()).replace(" ", "-")
        if context not in CONTEXT_AUDIENCES:
            at = policy.start("before" if policy["before"] else "after")
            repairs = [text[:at] + each.replace("-", " ") + text[at + len(word) :] for each in closest(context, CONTEXT_AUDIENCES)]
            raise _Fault(f"unknown context {shown(word)}", offset=at, code="unknown-token", repairs=repairs)
        at = policy.end()
        level = _LEVEL.match(folded, at, end)
        cosmic = policy["cosmic"] is not None
        if level is None:
            raise self._no_level(text, folded, at, end)
        name = _LEVEL_WORDS[" ".join(level.group().split())]
        if cosmic != (name == _HIGHEST):
            words = f"{_COSMIC} {name}" if name == _HIGHEST else f"NATO {name}"
            message = f"{shown(' '.join(folded[start : level.end()].split()))}, expected {shown(words)}"
            raise _Fault(message, offset=start, repairs=[f"{text[:start]}{words}{text[level.end() :]}"])
        return name, context, (), level.end()

    def _no_policy(self, text: str, folded: str, start: int, end: int) -> _Fault:
        """The fault of a marking that begins with neither the Alliance's word nor a mark."""
        level = _LEVEL.match(folded, start, end)
        if level:
            message = f"level {shown(level.group())} without its policy, expected `NATO` before it,"
            policy = _COSMIC if _LEVEL_WORDS[" ".join(level.group().split())] == _HIGHEST else POLICY
            return _Fault(message, offset=start, code="unknown-level", repairs=[f"{text[:start]}{policy} {text[start:]}"])
        word = re.compile(r"[^ \t\r\n,/]*").match(folded, start, end)
        first = word.group() if word else ""
        repairs = [f"{text[:start]}{each}{text[start + len(first) :]}" for each in closest(first, (*_POLICIES, _COSMIC, *self._marks))]
        expected = "expected `NATO` or `COSMIC` and a level, or a portion mark,"
        return _Fault(f"unknown level {shown(first)}, {expected}", offset=start, code="unknown-level", repairs=repairs)

    def _no_level(self, text: str, folded: str, at: int, end: int) -> _Fault:
        words = folded[at:end].split()
        repairs = []
        for count in (2, 1):
            tried = " ".join(words[:count])
            stop = at
            for word in words[:count]:
                stop = folded.index(word, stop) + len(word)
            repairs += [f"{text[:at]}{each}{text[stop:]}" for each in closest(tried, _LEVEL_WORDS)] if tried else []
        expected = ", ".join(f"`{name}`" for name in CLASSIFICATIONS)
        first = words[0] if words else ""
        message = f"unknown level {shown(first)}, expected one of {expected}," if first else f"no level, expected one of {expected},"
        return _Fault(message, offset=at, code="unknown-level", repairs=repairs)

    def _sensitivities_at(self, folded: str, at: int, stop: int, places: dict[str, int]) -> tuple[tuple[str, ...], int]:
        """The sensitivities that stand one after another from here, and where they end."""
        codes: list[str] = []
        while True:
            offset = _past(folded, at, stop, _BLANK)
            if offset < stop and folded[offset] == "-" and not codes:
                # `COSMIC TOP SECRET-BOHEMIA`: joined to the level.
                offset += 1
            found = self._sensitivity.match(folded, offset, stop)
            if found is None or not _ends(folded, found.end(), stop):
                return tuple(codes), at
            after = _past(folded, found.end(), stop, _BLANK)
            if folded[after : after + 1] == "," or folded[after:stop].strip(_BLANK) in _ONLY:
                # The first of a list of codes.
                return tuple(codes), at
            code = self._sensitivities[" ".join(found.group().split())]
            codes.append(code)
            places.setdefault(code, offset)
            at = found.end()

    def _audience(
        self, text: str, folded: str, at: int, stop: int, context: str, places: dict[str, int]
    ) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
        """What stands between level and administrative terms: (releasable to, only, whether it is everybody)."""
        at = _past(folded, at, stop, _BLANK)
        stop = at + len(folded[at:stop].rstrip(_BLANK))
        if at >= stop:
            return (), (), False
        opening = _OPENING.match(folded, at, stop)
        last = _LAST_WORD.search(folded, at, stop)
        only = last is not None and last.group().strip(_BLANK) in _ONLY
        if opening is None and not only:
            raise self._unknown(text, folded, at, stop)
        if opening is not None and only:
            raise _Fault("`ONLY` beside `Releasable to`, expected one of them", offset=at)
        begin = opening.end() if opening else at
        close = last.start() if last is not None and only else stop
        if opening and " ".join(folded[begin:close].split()) in _PUBLIC_OF[" ".join(opening.group().split())]:
            places[PUBLIC] = begin
            return (), (), True
        codes = self._codes(text, folded, begin, close, places)
        if only:
            return (), codes, False
        of_context = CONTEXT_AUDIENCES[context]
        return ((*of_context, *codes), (), False) if set(codes) - set(of_context) else ((), (), False)

    def _codes(self, text: str, folded: str, at: int, stop: int, places: dict[str, int]) -> tuple[str, ...]:
        """The codes of a list of names and codes, set off by commas."""
        codes = []
        while True:
            at = _past(folded, at, stop, _BLANK)
            phrase = _PHRASE.match(folded, at, stop)
            if phrase and folded[_past(folded, phrase.end(), stop, _BLANK) : stop][:1] in ("", ","):
                word, end = " ".join(phrase.group().split()), phrase.end()
            else:
                comma = folded.find(",", at, stop)
                end = stop if comma < 0 else comma
                word = folded[at:end].strip(_BLANK)
            if not word:
                without = text[:at].rstrip(" \t,") + text[at:]
                raise _Fault("nothing between the commas of a list, expected a name or a code,", offset=at, repairs=[without])
            code = _code_of_word(word)
            if not CODE.fullmatch(code) or code in _RESERVED or code in _POLICIES[1:]:
                raise self._no_code(text, word, at, at + len(folded[at:end].rstrip(_BLANK)))
            codes.append(code)
            places.setdefault(code, at)
            at = _past(folded, end, stop, _BLANK)
            if at >= stop:
                return tuple(codes)
            at += 1

    def _no_code(self, text: str, word: str, at: int, end: int) -> _Fault:
        near = [f"{text[:at]}{each}{text[end:]}" for each in closest(word, _PHRASES)]
        listed = listed_codes(word, {*_PHRASES, *_PHRASES.values(), *ismcat.codes(), *self._scheme.expandable, self._scheme.own})
        if listed:
            near.append(f"{text[:at]}{', '.join(listed)}{text[end:]}")
        return _Fault(f"{shown(word)} is no name or code, expected one like `Japan` or `JPN`,", offset=at, repairs=near)

    def _terms(self, text: str, folded: str, at: int, end: int, places: dict[str, int]) -> tuple[str, ...]:
        """The administrative terms after ` - `."""
        codes = []
        for found in re.compile(r"[^ \t\r\n,/]+").finditer(folded, at, end):
            word = found.group()
            if word not in self._administrative:
                repairs = [f"{text[: found.start()]}{each}{text[found.end() :]}" for each in closest(word, self._administrative)]
                raise _Fault(f"unknown administrative term {shown(word)}", offset=found.start(), code="unknown-token", repairs=repairs)
            codes.append(self._administrative[word])
            places.setdefault(codes[-1], found.start())
        if not codes:
            without = text[:at].rstrip(" \t-–—") + text[end:]
            raise _Fault("nothing after ` - `, expected an administrative term,", offset=at, repairs=[without])
        return tuple(codes)

    def _unknown(self, text: str, folded: str, at: int, stop: int) -> _Fault:
        rest = folded[at:stop]
        if rest[0] in "/,":
            after = at + len(rest) - len(rest.lstrip("/, \t"))
            return _Fault(
                f"{shown(rest[: after - at])} after the level, expected a blank,", offset=at, repairs=[f"{text[:at]} {text[after:]}"]
            )
        word = rest.split()[0]
        repairs = [f"{text[:at]}{each}{text[at + len(word) :]}" for each in closest(word, self._sensitivities)]
        slip = _RELEASE_SLIP.match(folded, at, stop)
        if slip and (slip["word"] in ("REL", "RELEASE") or closest(slip["word"], ("RELEASABLE", "COMMUNICABLE"))):
            repairs.append(f"{text[:at]}Releasable to {text[slip.start('names') :]}")
            return _Fault(f"{shown(rest)}, expected `Releasable to` and names,", offset=at, repairs=repairs)
        if "," in rest:
            repairs.append(f"{text[:stop]} ONLY{text[stop:]}")
            return _Fault(f"a list {shown(rest)} without `Releasable to` or `ONLY`,", offset=at, repairs=[*repairs])
        terms = closest(word, self._administrative)
        repairs += [f"{text[:at]}- {each}{text[at + len(word) :]}" for each in terms]
        return _Fault(f"unknown word {shown(word)}", offset=at, code="unknown-token", repairs=repairs)


def display(said: ConfidentialityLabel, language: Language = Language.ENGLISH) -> str:
    """The display marking of a label of the Alliance, after ADatP-4774, table 17.

    Those of the context go without saying in `Releasable to`; where a list leaves one of them out, it is written with
    `ONLY`, so that no marking says more than its label.

    Raises:
        Rejected: a label of another policy.
    """
    if said.policy.upper() != POLICY:
        raise Rejected(f"a label of policy {shown(said.policy)} has no marking in this profile", code="unmarkable")
    classification = CLASSIFICATIONS[said.classification]
    policy = classification.policy
    if said.context != NATO:
        policy = f"{NATO}/{value_of(TagSet.CONTEXT, said.context)}"
    return _composed(said, f"{policy} {classification.phrase(language)}", _WORDS[language], language, codes=False)


def language_of(tag: str) -> Language:
    """The language of a tag of RFC 5646 (`fr-CA`); English for one that is not of the Alliance."""
    return Language.FRENCH if tag.casefold().split("-")[0] == "fr" else Language.ENGLISH


def _composed(said: ConfidentialityLabel, head: str, words: tuple[str, str, str], language: Language, *, codes: bool) -> str:
    def listed(tag_set: TagSet, names: Iterable[str]) -> str:
        return ", ".join(name if codes else phrase_of(tag_set, name, language) or name for name in names)

    release, only, public = words
    parts = [head, *(value_of(TagSet.SENSITIVITY, code) for code in said.sensitivities)]
    of_context = CONTEXT_AUDIENCES[said.context]
    others = [code for code in said.releasable_to if code not in of_context]
    if said.public:
        parts.append("Communicable au public" if language is Language.FRENCH else f"{release}{public}")
    elif said.only:
        parts.append(f"{listed(TagSet.ONLY, said.only)}{only}")
    elif said.releasable_to and not set(of_context) <= set(said.releasable_to):
        parts.append(f"{listed(TagSet.ONLY, said.releasable_to)}{only}")
    elif others:
        parts.append(f"{release}{listed(TagSet.RELEASABLE_TO, others)}")
    if said.administrative:
        parts.append(f"- {' '.join(value_of(TagSet.ADMINISTRATIVE, code) for code in said.administrative)}")
    return " ".join(parts)


# --- words ----------------------------------------------------------------------------------------------------------


def _classification(level: str) -> str | None:
    """The classification that a scheme's level name says."""
    for name, each in CLASSIFICATIONS.items():
        if level in (name, f"NATO {name}", f"{each.policy} {name}"):
            return name
    return None


@lru_cache(maxsize=4096)
def _folded_character(character: str) -> str:
    """Upper case without accent, always one character long, so that places stay what they are."""
    if character in "–—‐‑":
        return "-"
    if character == "’":
        return "'"
    base = unicodedata.normalize("NFD", character)[:1].upper()
    return base if len(base) == 1 else character


def _folded(text: str) -> str:
    if text.isascii():
        return text.upper()
    return "".join(map(_folded_character, text))


def _alternatives(words: Iterable[str]) -> re.Pattern[str]:
    """The longest of these words that stands at a place, with any blanks between its parts."""
    ordered = sorted(words, key=len, reverse=True)
    return re.compile("|".join(r"[ \t\r\n]+".join(map(re.escape, word.split())) for word in ordered))


def _phrases() -> dict[str, str]:
    """Names of countries and bodies, folded, to their codes."""
    found: dict[str, str] = {}
    for code, category in CATEGORIES[TagSet.ONLY].items():
        for phrase in (category.value, category.english, category.french):
            if phrase:
                found[" ".join(_folded(phrase).split())] = code
    return found


_PHRASES: Final = _phrases()
_PHRASE: Final = _alternatives(_PHRASES)
_FIRST_WORDS: Final = frozenset(phrase.split()[0].strip(",") for phrase in _PHRASES if " " in phrase)
"""With one of them as a caveat, `UNITED` and a code `KINGDOM` would read as a country."""
_LEVEL_WORDS: Final = {word: name for name, each in CLASSIFICATIONS.items() for word in (name, each.french)}
_LEVEL: Final = re.compile(f"(?:{_alternatives(_LEVEL_WORDS).pattern}){_END}")
_LEVEL_BEFORE_POLICY: Final = re.compile(f"(?P<level>{_alternatives(_LEVEL_WORDS).pattern})[ \\t\\r\\n]+OTAN{_END}")
"""`SECRET OTAN`: the order of words in French."""
_OPENING: Final = re.compile(f"(?:{_alternatives(_LIST_OPENINGS).pattern}){_END}")
_LAST_WORD: Final = re.compile(r"(?:(?<=[ \t\r\n])|(?<![^,]))[A-Z]+$")
_CONTEXT_WORDS: Final = r"[A-Z]+(?:[ \t]+SUPPORT)?"
_POLICY: Final = re.compile(
    rf"(?:(?P<cosmic>COSMIC)|(?P<before>(?!NATO|OTAN){_CONTEXT_WORDS})[ \t]*/[ \t]*(?:NATO|OTAN)"
    rf"|(?:NATO|OTAN)(?:[ \t]*/[ \t]*(?P<after>{_CONTEXT_WORDS}))?){_END}[ \t\r\n]*"
)
_PUBLIC_OF: Final = {
    opening: frozenset({"PUBLIC"}) if opening == "COMMUNICABLE AU" else frozenset({"THE PUBLIC"}) for opening in _LIST_OPENINGS
}


def _code_of_word(word: str) -> str:
    """The code of a folded name or code."""
    return _PHRASES.get(word, word)


def _is_named(code: str, written: str, mended: str) -> bool:
    """Whether a code stands in what was written, or a mended marking has one of its names, in full."""
    words = set(_WORD.findall(mended))
    return code in re.findall(r"[A-Z0-9-]+", written) or any(
        named == code and words.issuperset(_WORD.findall(phrase)) for phrase, named in _PHRASES.items() if phrase != code
    )


_WORD: Final = re.compile(r"[A-Z0-9]+")


def _past(folded: str, at: int, stop: int, characters: str) -> int:
    while at < stop and folded[at] in characters:
        at += 1
    return at


def _ends(folded: str, at: int, stop: int) -> bool:
    """Whether a word ends here."""
    return at >= stop or not (folded[at].isalnum() or (folded[at] == "-" and folded[at + 1 : at + 2].isalnum() and at + 1 < stop))


def _bounds(text: str, folded: str) -> tuple[int, int]:
    """Where the marking begins and ends within its blanks and parentheses; what is between is of legal characters."""
    start, end = len(folded) - len(folded.lstrip(_BLANK)), len(folded.rstrip(_BLANK))
    if start >= end:
        raise _Fault("unmarked, expected a level,", offset=0, code="unmarked")
    foreign = _FOREIGN_CHARACTER.search(folded, start, end)
    if foreign:
        at = foreign.start()
        raise _Fault(f"{shown(text[at])} is no character of a marking", offset=at, repairs=[f"{text[:at]} {text[at + 1 :]}"])
    opens, closes = folded[start] == "(", folded[end - 1] == ")"
    if opens and not closes:
        raise _Fault("`(` is not closed", offset=start, repairs=[f"{text[:end]})"])
    if closes and not opens:
        raise _Fault("`)` was not opened", offset=end - 1, repairs=[f"({text[start:]}"])
    if opens:
        start, end = start + 1, end - 1
        start = _past(folded, start, end, _BLANK)
        end = start + len(folded[start:end].rstrip(_BLANK))
    inner = re.compile(r"[()]").search(folded, start, end)
    if inner:
        at = inner.start()
        raise _Fault(f"`{inner.group()}` within a marking", offset=at, repairs=[f"{text[:at]} {text[at + 1 :]}"])
    if start >= end:
        raise _Fault("unmarked, expected a level,", offset=start, code="unmarked")
    return start, end
