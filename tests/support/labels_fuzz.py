"""Random markings, cheaply and by a seed; and what must hold of whatever is read out of them.

Grammar-like lists of words and marks, legal markings with a few characters changed, and plain noise. An oracle of its own
says when a reading is wider than the text's own words: it looks at words alone and knows nothing of how they are parsed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from service.labels.markings import Marking, MarkingError, MarkingProfile, Unresolved
from service.labels.markings.ic2016 import Ic2016Profile
from service.labels.scheme import Scheme

WORDS = (
    *("SECRET", "S", "TOP SECRET", "TS", "U", "C", "UNCLASSIFIED", "SECERT", "R", "RESTRICTED"),
    *("REL TO ", "REL", "REL ", "NOFORN", "NF", "DISPLAY ONLY ", "EYES ONLY", " EYES ONLY", "RELIDO"),
    *("ORCON", "OC", "OC-USGOV", "FOUO", "FISA", "LES", "LES-NF", "SBU", "SBU-NF", "SBU NOFORN", "SSI", "XD", "DS"),
    *("USA", "JPN", "GBR", "FVEY", "NATO", "DEU"),
    *("SI", "TK", "SI-G ABCD", "TK-BLFH", "HCS", "SAR-ABC", "SAR-", "RD", "RD-CNWDI", "FRD-SG 14", "UCNI", "TFNI", "ATOMAL"),
    *("//GBR S", "//NATO SECRET", "//CTS", "//JOINT S GBR USA", "//JOINT S", "FGI", "FGI DEU", "//FGI S", "TEA LEAF"),
)
MARKS = ("//", "//", "//", "/", "/", ", ", ",", " ", "(", ")", "\t", "–", "\u200b", "\x00", "ß", "-", "TK")
NOISE = "ABCDEFNORSTU/()-, 0129_.&\n\u00e9\u4e00\ud800\U0001f512"
_CODES = frozenset(("USA", "JPN", "GBR", "FVEY", "NATO", "DEU"))


def texts(seed: int, count: int, *, legal: Sequence[str]) -> Iterator[str]:
    """This many texts, the same for a seed. `legal` are markings to change a little."""
    chance = random.Random(seed)
    for _ in range(count):
        kind = chance.random()
        if kind < 0.3:
            pieces = [chance.choice(WORDS)]
            for _ in range(chance.randrange(6)):
                pieces += (chance.choice(MARKS), chance.choice(WORDS))
            yield "".join(pieces)
        elif kind < 0.4:
            yield f"({'//'.join(chance.choice(WORDS) for _ in range(1 + chance.randrange(4)))})"
        elif kind < 0.95:
            text = chance.choice(legal)
            for _ in range(chance.choice((0, 0, 1, 1, 2))):
                at = chance.randrange(len(text) + 1)
                text = text[:at] + chance.choice((*NOISE, "")) + text[at + chance.randrange(2) :]
            yield text
        else:
            yield "".join(chance.choice(NOISE) for _ in range(chance.randrange(24)))


def hold(text: str, profile: MarkingProfile, *, scheme: Scheme, portion: bool) -> Marking | None:
    """Read a text and check what must hold of any; the marking, where there is one."""
    try:
        marking = profile.parse_portion(text) if portion else profile.parse_banner(text)
    except MarkingError as error:
        assert error.text == text
        assert 0 <= error.offset <= len(text)
        assert error.code in {"malformed-marking", "unmarked", "unknown-level", "unknown-token"}
        assert isinstance(error, Unresolved) is (error.code != "malformed-marking")
        assert "\n" not in str(error)
        if error.nearest is not None:
            _legal_on_its_page(error.nearest, profile, portion=portion)
            _says_what_was_written(error.nearest, text, scheme)
        return None
    assert marking.text == text
    _no_wider_than_its_words(marking, text, scheme)
    return marking


def _legal_on_its_page(text: str, profile: MarkingProfile, *, portion: bool) -> None:
    """A nearest marking may leave a part to its banner, and so not be readable alone."""
    if isinstance(profile, Ic2016Profile):
        profile.reading(text, portion=portion)
    else:
        assert profile.parse_portion(text) if portion else profile.parse_banner(text)


def _says_what_was_written(nearest: str, text: str, scheme: Scheme) -> None:
    """A nearest marking names nobody whom the text does not name, and leaves out nothing that narrows it: it mends slips in words alone."""
    before, after = (set(re.findall(r"[A-Z0-9]+", one.upper())) for one in (text, nearest))
    for opening in ("REL TO ", "DISPLAY ONLY ", "FGI ", "JOINT "):
        listed = re.search(rf"{opening}([A-Z0-9 ,-]+)", nearest)
        if listed and opening in ("REL TO ", "DISPLAY ONLY "):
            named = {code.strip() for code in listed[1].split(",")}
            assert named <= set(re.findall(r"[A-Z0-9-]+", text.upper())) | {scheme.own}, (text, nearest)
    assert not _CODES & before - after - {"NATO", scheme.own}, (text, nearest)
    for words in (
        *({"NOFORN", "NF"}, {"ORCON", "OC"}, {"FOUO"}, {"FISA"}, {"LES"}, {"SBU"}, {"SSI"}, {"SI"}, {"TK"}, {"HCS"}, {"SAR"}),
        *({"RD"}, {"FRD"}, {"UCNI", "DCNI"}, {"TFNI"}, {"ATOMAL"}, {"NODIS", "ND"}, {"EXDIS", "XD"}, {"DS"}, {"EYES", "REL"}),
    ):
        assert not words & before or words & after or _spelled_out(words, nearest), (text, nearest)


def _spelled_out(words: set[str], nearest: str) -> bool:
    return any(each in nearest for word in words for each in _LONG.get(word, ()))


_LONG = {
    "LES": ("LAW ENFORCEMENT SENSITIVE",),
    "SAR": ("SPECIAL ACCESS",),
    "DS": ("LIMDIS", "LIMITED DISTRIBUTION", "DEA SENSITIVE"),
    "SSI": ("SENSITIVE SECURITY",),
}


def _no_wider_than_its_words(marking: Marking, text: str, scheme: Scheme) -> None:
    upper = text.upper()
    words = set(re.findall(r"[A-Z0-9]+", upper))
    named = {*marking.issuers, *marking.originators, *(marking.releasable_to or ()), *(marking.display_to or ())} - {"FGI"}
    # The level, every code and every word kept stand in the text.
    if not marking.issuers:
        level = next(each for each in scheme.levels if each.name == marking.level)
        assert {*level.name.split()} <= words or {*level.mark.split()} <= words
    implied = {"NATO"} if words & {"CTS", "NS", "NC", "NR", "NU", "NIS", "CTSA", "NSAT", "NCA", "COSMIC", "ATOMAL"} else set()
    assert named <= set(re.findall(r"[A-Z0-9-]+", upper)) | implied | {scheme.own, "ISAF"}
    if marking.releasable_to:
        assert "REL TO" in " ".join(upper.split()) or "EYES ONLY" in " ".join(upper.split())
        assert "FOR RELEASE TO" not in upper
    if marking.unreleasable:
        return
    # Whatever is left after the level is an audience, or a caveat, or a source: nothing is read and left out.
    if words & {"NOFORN", "NF"}:
        assert marking.releasable_to == ()
        assert marking.display_to is None
    if words & {"REL", "DISPLAY", "EYES"}:
        assert marking.releasable_to is not None
    if words & _CODES - {"NATO"} and marking.releasable_to is None:
        assert set(marking.originators) & words
    # A word in a list of codes is a code there, and one that nobody has.
    spoken = words - {*(marking.releasable_to or ()), *(marking.display_to or ())}
    for word, caveat in (
        ("ORCON", "ORCON"),
        ("OC", "ORCON"),
        ("FOUO", "FOUO"),
        ("FISA", "FISA"),
        ("LES", "LES"),
        ("SBU", "SBU"),
        ("SSI", "SSI"),
    ):
        if word in spoken and "USGOV" not in words:
            assert caveat in marking.caveats
    if spoken & {"SI", "TK", "HCS", "SAR", "RD", "FRD", "CNWDI", "UCNI", "TFNI", "ATOMAL"}:
        raise AssertionError("a control system is read and left out")
    assert "FGI" not in words or marking.originators
    assert "JOINT" not in words or len(marking.originators) > 1
