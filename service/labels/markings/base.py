"""What all marking profiles share: the marking as a value, its two errors, and the protocol of a profile.

A marking is text; a label is a value. Between them stands `Marking`: what the text says, no more, with the text kept
verbatim. What a marking leaves unsaid (categories, originators, what it means to name no audience) is for `intake`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from service.errors import Rejected
from service.labels.label import UNRESTRICTED, Label
from service.labels.scheme import CODE, Scheme, UnknownName

MARKING_CHARACTERS_MAX = 4096
"""Characters of the longest marking that is read: room for a `REL TO` of every country there is."""

TOKEN_CHARACTERS_SHOWN = 64
"""Characters of an offending token that a message shows."""

SIMILARITY = 0.6
"""How alike two words are, of 1, for one to be offered in place of the other: a slip of one letter in three."""


class MarkingError(Rejected):
    """A malformed marking: refused, with its place. `nearest` is the nearest legal marking, where one can be found.

    `text` is the marking as given, `offset` the zero-based character in it where the trouble begins.
    """

    def __init__(self, message: str, *, text: str, offset: int = 0, code: str = "malformed-marking", nearest: str | None = None) -> None:
        super().__init__(message if nearest is None else f"{message}; nearest legal marking `{nearest}`", code=code)
        self.text = text
        self.offset = offset
        self.nearest = nearest


class Unresolved(MarkingError):
    """Well-formed, but unmarked or holding an unknown name: kept verbatim in quarantine until an officer decides.

    `code` is one of `unmarked`, `unknown-level`, `unknown-token`, `unknown-code`.
    """


@dataclass(frozen=True, slots=True)
class Marking:
    """What a marking says.

    `releasable_to` is `None` where no audience is named and `()` where it is nobody; `display_to` is what `DISPLAY ONLY`
    names beyond that, else `None`. Sets are sorted tuples, as in a label. `text` is the marking verbatim.

    `issuers` are those whose classification it is, where that is not our own: `level` is then a name on *their* ladder
    and compares with ours through a table alone. `originators` are all whose information the marking says it holds, with
    ourselves where it is ours too: issuers, joint owners, sources of foreign government information. Empty where it says
    nothing of the kind.

    `controls` are the words of control systems, access programmes and other regimes that are read, kept as they are,
    and beyond what a label can say. A marking with any is `unreleasable`: the label made of it is released to nobody.
    """

    level: str
    releasable_to: tuple[str, ...] | None
    display_to: tuple[str, ...] | None
    caveats: tuple[str, ...]
    text: str
    issuers: tuple[str, ...] = ()
    originators: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()

    @property
    def unreleasable(self) -> bool:
        """Whether it holds what no label can say, so that nobody may have it whatever else it says."""
        return bool(self.controls)


class MarkingProfile(Hashable, Protocol):
    """How labels are written and read. Reading is tolerant where practice is; writing is strict and deterministic.

    Readers raise `MarkingError` and `Unresolved`, and nothing else, whatever the text. Writers raise `Rejected` for a
    label that the profile has no words for. Reading what was written gives `marking_part` of the label again.
    """

    def parse_banner(self, text: str) -> Marking: ...

    def parse_portion(self, text: str) -> Marking: ...

    def write_banner(self, label: Label) -> str: ...

    def write_portion(self, label: Label) -> str: ...


def marking_part(label: Label, *, scheme: Scheme, names_own: bool = False) -> Marking:
    """The part of a label that a marking can say, with empty text.

    The own code means nothing to a decision, so an audience of ourselves alone is nobody, and it is no reason for
    `DISPLAY ONLY`; with `names_own`, a list begins with it whether the label names it or not.

    Raises:
        UnknownName: a level or caveat that the scheme does not hold.
        Rejected: an audience that no marking can say.
    """
    scheme.rank(label.level)
    for caveat in label.caveats:
        if caveat not in scheme.caveats:
            raise UnknownName("caveat", caveat)
    if label.releasable_to == UNRESTRICTED:
        return Marking(label.level, None, None, label.caveats, "")
    if label.display_to == UNRESTRICTED:
        raise Rejected("an audience of `*` for display alone has no marking, expected codes", code="unmarkable")
    for code in (*label.releasable_to, *label.shown_to):
        # A name that holds `//` or a comma would write a marking that says something else.
        if not CODE.fullmatch(code):
            raise Rejected(f"audience names {shown(code)}, which is not a code like `JPN`", code="unmarkable")
    own = {scheme.own}
    released = set(label.releasable_to) - own
    displayed = set(label.shown_to) - released - own
    named = released | (own if released and (names_own or scheme.own in label.releasable_to) else set())
    return Marking(label.level, tuple(sorted(named)), tuple(sorted(displayed)) or None, label.caveats, "")


def shown(word: str) -> str:
    """A word of the input as a message shows it: in backticks, on one line, of bounded length."""
    text = word.encode("unicode_escape").decode("ascii").replace("`", "'")
    return f"`{text[:TOKEN_CHARACTERS_SHOWN]}...`" if len(text) > TOKEN_CHARACTERS_SHOWN else f"`{text}`"


def closest(word: str, vocabulary: Iterable[str]) -> list[str]:
    """The words of a vocabulary that `word` may be a slip for, nearest first, at most two."""
    if len(word) > TOKEN_CHARACTERS_SHOWN:
        return []
    return list(_closest(word, frozenset(vocabulary)))


@lru_cache(maxsize=4096)
def _closest(word: str, vocabulary: frozenset[str]) -> tuple[str, ...]:
    # The same slips come in many items of one import, and a comparison costs more than reading a marking.
    return tuple(difflib.get_close_matches(word, sorted(vocabulary), n=2, cutoff=SIMILARITY))


_SLIP = 0.7
"""How alike a word and the one in its place are, of 1: `OLNY` for `ONLY`, not `THE` for `TCHEQUE`."""
_WORD = re.compile(r"[A-Z0-9]+")
_BETWEEN_CODES = frozenset({"AND", "ET"})
"""Words that people write where a list has its comma."""
_SAID_OTHERWISE = frozenset({"REL", "RELEASE", "RELEASABLE", "COMMUNICABLE"})
_POLICIES = frozenset({"NATO", "OTAN"})
"""Words before a level, in whose place the highest has one of its own."""
_ADDED = frozenset({"NATO", "COSMIC", "ONLY", "REL", "RELEASABLE", "TO"})
"""What a mended marking may have more: words that say nothing more, or that let fewer have it."""


def listed_codes(words: str, known: Collection[str]) -> list[str] | None:
    """The codes that stand together without commas; None where a word among them is not surely one.

    `USA AND JPN` are two: that there is an Andorra is no reason to offer it a document. Any word looks like a code
    (`EXCEPT`), so that none counts as one but those that exist.
    """
    found = [word for word in re.split(r"[ \t\r\n/&]+", words) if word and word not in _BETWEEN_CODES]
    return found if len(found) > 1 and all(word in known for word in found) else None


def keeps_its_words(written: str, mended: str, *, own: str, spoken: Collection[str]) -> bool:
    """Whether a mended marking says what was written, but for slips: no word is left out, and none has come in.

    A word left out could be what kept it narrow (`GBR/USA ONLY`), one that came in could be a code. Both texts are upper case, without
    accents.

    Args:
        own: our own code, of which there may be more or less where it means nothing beside others; "" where it does.
        spoken: words that the profile knows, which are no slips for others (`&SI` is not `SSI`).
    """
    before, after = (frozenset(_WORD.findall(text)) for text in (written, mended))
    left_out, come_in = before - after - {*_BETWEEN_CODES, own}, after - before - {*_ADDED, own}
    if after & _SAID_OTHERWISE:
        left_out -= _SAID_OTHERWISE
    if "COSMIC" in after:
        left_out -= _POLICIES
    # Of two letters everything is like everything.
    return all(len(word) > 2 and word not in spoken and _is_slip(word, after - before) for word in left_out) and all(
        _is_slip(word, before - after) for word in come_in
    )


def _is_slip(word: str, others: Collection[str]) -> bool:
    return any(difflib.SequenceMatcher(None, word, other).ratio() >= _SLIP for other in others)
