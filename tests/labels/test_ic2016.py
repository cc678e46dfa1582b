"""IC-2016 read whole: every part of a marking is kept, told apart, and never taken for less than it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from service.labels.intake import label_of
from service.labels.label import UNRESTRICTED
from service.labels.markings import Marking, MarkingError, Unresolved, profile_of
from service.labels.markings.ic2016 import Ownership, Reading, System
from tests.support.labels_ic2016 import REGISTER, SCHEME, profile, readings

PROFILE = profile()
US = ("USA",)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def parts(name: str, **compartments: tuple[str, ...]) -> System:
    return System(name, tuple(compartments.items()))


@pytest.mark.parametrize(
    ("text", "portion", "reading"),
    [
        pytest.param("//NATO SECRET", False, Reading("NATO SECRET", Ownership.FOREIGN, ("NATO",)), id="nato"),
        pytest.param(
            "(//CTS//BOHEMIA)", True, Reading("COSMIC TOP SECRET", Ownership.FOREIGN, ("NATO",), nato=("BOHEMIA",)), id="nato-control"
        ),
        pytest.param("//cts-balk", True, Reading("COSMIC TOP SECRET", Ownership.FOREIGN, ("NATO",), nato=("BALK",)), id="an-older-mark"),
        pytest.param("//NSAT", True, Reading("NATO SECRET", Ownership.FOREIGN, ("NATO",), nato=("ATOMAL",)), id="an-older-mark-of-atomal"),
        pytest.param("//NIS", True, Reading("NATO ISAF SECRET", Ownership.FOREIGN, ("ISAF", "NATO")), id="a-nato-operation"),
        pytest.param("//GBR S", True, Reading("SECRET", Ownership.FOREIGN, ("GBR",)), id="a-nation"),
        pytest.param("//DEU CAN top  secret", False, Reading("TOP SECRET", Ownership.FOREIGN, ("CAN", "DEU")), id="two-nations"),
        pytest.param("//GBR R", True, Reading("RESTRICTED", Ownership.FOREIGN, ("GBR",)), id="a-level-we-lack"),
        pytest.param("//DEU STRENG GEHEIM", False, Reading("STRENG GEHEIM", Ownership.FOREIGN, ("DEU",)), id="a-national-name"),
        pytest.param("//FGI S", True, Reading("SECRET", Ownership.CONCEALED), id="a-concealed-source"),
        pytest.param("//JOINT S GBR USA", True, Reading("SECRET", Ownership.JOINT, ("GBR", "USA")), id="joint"),
        pytest.param("//JOINT TOP SECRET USA, GBR", False, Reading("TOP SECRET", Ownership.JOINT, ("GBR", "USA")), id="joint-with-commas"),
        pytest.param(
            "(//JOINT S//REL)", True, Reading("SECRET", Ownership.JOINT, (), released=(), as_banner=True), id="joint-as-its-banner"
        ),
        pytest.param("SECRET//FGI CAN DEU", False, Reading("SECRET", foreign=("CAN", "DEU")), id="sources"),
        pytest.param("S//FOREIGN GOVERNMENT INFORMATION", True, Reading("SECRET", foreign=()), id="concealed-sources"),
        pytest.param("TS//TALENT KEYHOLE", True, Reading("TOP SECRET", systems=(System("TK"),)), id="a-system-by-its-title"),
        pytest.param(
            "TS//SI-GAMMA ACDE ABCD/TK",
            True,
            Reading("TOP SECRET", systems=(parts("SI", G=("ABCD", "ACDE")), System("TK"))),
            id="compartments",
        ),
        pytest.param("TS//TK-KAND/TK-IDIT", True, Reading("TOP SECRET", systems=(parts("TK", IDIT=(), KAND=()),)), id="a-system-twice"),
        pytest.param(
            "S//SAR-JUNIOR PROM/SOPHOMORE DANCE-A1//NF",
            True,
            Reading("SECRET", programmes=(System("JUNIOR PROM"), parts("SOPHOMORE DANCE", A1=())), released=(), no_foreign=True),
            id="programmes",
        ),
        pytest.param(
            "S//SPECIAL ACCESS REQUIRED-ABC/SAR-DEF",
            True,
            Reading("SECRET", programmes=(System("ABC"), System("DEF"))),
            id="programmes-by-title",
        ),
        pytest.param("S//RD-N", True, Reading("SECRET", atomic=(parts("RD", CNWDI=()),)), id="weapon-design-as-defence-writes-it"),
        pytest.param(
            "S//RESTRICTED DATA-SIGMA 20 14", False, Reading("SECRET", atomic=(parts("RD", SIGMA=("14", "20")),)), id="sigma-by-value"
        ),
        pytest.param("U//DCNI", True, Reading("UNCLASSIFIED", atomic=(System("DOD UCNI"),)), id="nuclear-information"),
        pytest.param("S//TEA LEAF/ACCM-BLUE MOON", True, Reading("SECRET", nicknames=("TEA LEAF", "ACCM-BLUE MOON")), id="nicknames"),
        pytest.param("S//USA/JPN/GBR EYES ONLY", True, Reading("SECRET", released=("GBR", "JPN", "USA")), id="eyes-only"),
        pytest.param(
            "U//LES-NF/SBU NOFORN",
            True,
            Reading("UNCLASSIFIED", released=(), caveats=frozenset({"LES", "SBU"}), no_foreign_in=frozenset({"LES", "SBU"})),
            id="noforn-within-controls",
        ),
        pytest.param(
            "UNCLASSIFIED//LAW ENFORCEMENT SENSITIVE NOFORN",
            False,
            Reading("UNCLASSIFIED", released=(), caveats=frozenset({"LES"}), no_foreign_in=frozenset({"LES"})),
            id="noforn-within-a-long-title",
        ),
    ],
)
def test_every_part_of_a_marking_is_told_apart(text: str, portion: bool, reading: Reading) -> None:
    assert PROFILE.reading(text, portion=portion) == reading
    again = PROFILE.written(reading, portion=portion)
    assert PROFILE.reading(again, portion=portion) == reading


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "//GBR S//REL TO USA, GBR",
            Marking("SECRET", ("GBR", "USA"), None, (), "", issuers=("GBR",), originators=("GBR",)),
            id="a-nation",
        ),
        pytest.param(
            "//NIS", Marking("NATO SECRET", None, None, (), "", issuers=("NATO",), originators=("ISAF", "NATO")), id="a-nato-operation"
        ),
        pytest.param("//JOINT S GBR USA", Marking("SECRET", None, None, (), "", originators=("GBR", "USA")), id="joint"),
        pytest.param("S//FGI DEU", Marking("SECRET", None, None, (), "", originators=("DEU", "USA")), id="a-source-beside-us"),
        pytest.param("S//FGI//NF", Marking("SECRET", (), None, (), "", controls=("FGI",)), id="a-concealed-source"),
        pytest.param("//FGI S", Marking("SECRET", None, None, (), "", issuers=("FGI",), controls=("FGI",)), id="all-of-a-concealed-source"),
        pytest.param(
            "TS//SI-G ABCD/TK//SAR-ABC/DEF//RD-SG 14//ATOMAL//OC/NF//TEA LEAF",
            Marking(
                "TOP SECRET",
                (),
                None,
                ("ORCON",),
                "",
                controls=("SI-G ABCD", "TK", "SAR-ABC", "SAR-DEF", "RD-SIGMA 14", "ATOMAL", "TEA LEAF"),
            ),
            id="all-regimes",
        ),
    ],
)
def test_a_marking_says_whose_it_is_and_what_no_label_can_say(text: str, expected: Marking) -> None:
    marking = PROFILE.parse_portion(text)
    assert marking == replace(expected, text=text)
    assert marking.unreleasable is bool(expected.controls)


@pytest.mark.parametrize(
    ("text", "code", "offset", "message", "nearest"),
    [
        pytest.param("/NATO SECRET", "malformed-marking", 0, "`/` before another's classification", "(//NS)", id="one-slash-before"),
        pytest.param("//", "malformed-marking", 2, "nothing after the slashes", None, id="nothing-after-the-slashes"),
        pytest.param("//SECRET//NOFORN", "malformed-marking", 2, "is our own classification", "(S//NF)", id="our-own-behind-slashes"),
        pytest.param("//USA S", "malformed-marking", 2, "is our own classification", "(S)", id="ourselves-behind-slashes"),
        pytest.param("//NATO SECERT", "unknown-level", 2, "unknown classification `NATO SECERT`", "(//NS)", id="a-slip-in-a-nato-level"),
        pytest.param("//GBR SECERT", "unknown-level", 2, "unknown classification `GBR SECERT`", "(//GBR S)", id="a-slip-in-anothers-level"),
        pytest.param("NATO SECRET//NF", "unknown-level", 0, "unknown level `NATO SECRET`", "(//NS//NF)", id="anothers-without-slashes"),
        pytest.param("//JIONT S GBR USA", "unknown-level", 2, "unknown classification", "(//JOINT S GBR USA)", id="a-slip-in-joint"),
        pytest.param("//JOINT", "unknown-level", 2, "`JOINT` without a level", None, id="joint-of-no-level"),
        pytest.param("//JOINT R GBR USA", "unknown-level", 2, "`JOINT` without a level", None, id="joint-of-a-level-we-lack"),
        pytest.param(
            "//JOINT S GBR CAN", "malformed-marking", 2, "joint owners without `USA`", "(//JOINT S CAN GBR USA)", id="joint-without-us"
        ),
        pytest.param("//JOINT S USA", "malformed-marking", 2, "`JOINT` of one owner", None, id="joint-of-one"),
        pytest.param(
            "//JOINT S GBR RD USA", "malformed-marking", 2, "`RD` among joint owners is not a code", None, id="a-regime-among-owners"
        ),
        pytest.param("S//FGI GBR//FGI DEU", "malformed-marking", 12, "a second `FGI`", None, id="sources-twice"),
        pytest.param(
            "S//FGI GBR USA", "malformed-marking", 3, "`USA` is no foreign government", "(S//FGI GBR)", id="ourselves-as-a-source"
        ),
        pytest.param("S//FGI GBR TK", "unknown-token", 3, "unknown control `FGI GBR TK`", None, id="a-regime-as-a-source"),
        pytest.param("S//GBR/USA EYES ONLY", "malformed-marking", 3, "`EYES ONLY` after `GBR`", None, id="eyes-only-without-us-first"),
        pytest.param(
            "U//LES-NF/REL TO USA, GBR", "malformed-marking", 10, "a second audience for release", None, id="noforn-within-and-a-list"
        ),
        pytest.param("U//REL TO USA, GBR//LES-NF", "malformed-marking", 20, "`LES-NF` beside a list", None, id="a-list-and-noforn-within"),
        pytest.param("U//DISPLAY ONLY SBU-NF", "malformed-marking", 16, "`SBU-NF` is not a code", None, id="noforn-within-a-list"),
        pytest.param("S//REL/NF", "malformed-marking", 7, "`NF` beside a list", None, id="the-banners-list-and-noforn"),
        pytest.param("S//RD-XYZ", "unknown-token", 3, "unknown control `RD-XYZ`", None, id="no-such-part-of-a-regime"),
        pytest.param("S//TK-", "unknown-token", 3, "unknown control `TK-`", None, id="half-a-system"),
        pytest.param("S//SAR-", "unknown-token", 3, "unknown control `SAR-`", None, id="a-programme-without-a-name"),
        pytest.param("S//BLUE MOON", "unknown-token", 3, "unknown control `BLUE MOON`", None, id="a-nickname-nobody-told-us"),
        pytest.param("SECRET//REL", "unknown-token", 8, "`REL` stands for the list of the banner", None, id="the-banners-list-read-alone"),
        pytest.param("//JOINT S//NF", "unknown-token", 2, "`JOINT` without owners", None, id="the-banners-owners-read-alone"),
    ],
)
def test_what_is_not_legal_is_refused_with_its_place_and_the_nearest(
    text: str, code: str, offset: int, message: str, nearest: str | None
) -> None:
    with pytest.raises(MarkingError) as caught:
        PROFILE.parse_portion(text)
    error = caught.value
    assert message in str(error)
    assert (error.code, error.offset, error.nearest) == (code, offset, nearest)
    assert isinstance(error, Unresolved) is (code != "malformed-marking")


def test_a_banner_does_not_stand_for_itself() -> None:
    for text in ("SECRET//REL", "//JOINT SECRET//REL TO USA, GBR"):
        with pytest.raises(MarkingError):
            PROFILE.reading(text, portion=False)


def test_a_control_of_the_register_that_the_scheme_lacks_is_for_quarantine() -> None:
    narrow = profile_of(replace(SCHEME, caveats=("ORCON",)))
    with pytest.raises(Unresolved, match="`FOUO` is `FOUO`, which is no caveat of the scheme, at character 3") as caught:
        narrow.parse_portion("(U//FOUO)".strip("()"))
    assert caught.value.code == "unknown-token"
    with pytest.raises(Unresolved, match="unknown control `LES-NF`"):
        narrow.parse_portion("U//LES-NF")


def test_a_control_system_that_the_scheme_lists_is_a_caveat() -> None:
    marking = profile_of(replace(SCHEME, caveats=("TK",))).parse_banner("TOP SECRET//TK//NOFORN")
    assert (marking.caveats, marking.controls) == (("TK",), ())


@FEW
@given(readings())
def test_whatever_is_written_reads_back_the_same(reading: Reading) -> None:
    for portion in (False, True):
        text = PROFILE.written(reading, portion=portion)
        assert PROFILE.reading(text, portion=portion) == reading
        assert PROFILE.written(PROFILE.reading(text.lower().replace("//", " // "), portion=portion), portion=portion) == text
    # What the banner says and what the portion mark says is one marking.
    banner, mark = (PROFILE.written(reading, portion=portion) for portion in (False, True))
    assert replace(PROFILE.parse_banner(banner), text="") == replace(PROFILE.parse_portion(mark), text="")


@FEW
@given(readings())
def test_a_marking_with_any_control_makes_a_label_for_nobody(reading: Reading) -> None:
    marking = replace(PROFILE.parse_portion(PROFILE.written(reading, portion=True)), issuers=(), level="SECRET")
    label = label_of(marking, categories=(), originators=US, scheme=SCHEME, known_codes=REGISTER.codes)
    if reading.controls:
        assert (label.releasable_to, label.display_to) == ((), None)
    else:
        assert label.releasable_to == (UNRESTRICTED if reading.released is None else reading.released)
    # Whose information it says it is, that it is.
    sources = {*reading.owners, *(reading.foreign or ())}
    assert sources <= set(label.originators)
    assert ("USA" in label.originators) is (not sources or reading.ownership is Ownership.OWN or "USA" in sources)


@pytest.mark.parametrize(
    ("text", "given", "originators"),
    [
        pytest.param("S//NF", ("USA",), ("USA",), id="ours"),
        pytest.param("S//NF", ("DEU",), ("DEU",), id="as-named-beside-it"),
        pytest.param("S//FGI GBR//NF", ("USA",), ("GBR", "USA"), id="a-source"),
        pytest.param("S//FGI GBR//NF", ("DEU",), ("DEU", "GBR", "USA"), id="a-source-and-another-beside-it"),
        pytest.param("//JOINT S GBR USA//NF", ("USA",), ("GBR", "USA"), id="joint"),
    ],
)
def test_the_originators_of_a_label_are_those_its_marking_names(text: str, given: tuple[str, ...], originators: tuple[str, ...]) -> None:
    label = label_of(PROFILE.parse_portion(text), categories=(), originators=given, scheme=SCHEME, known_codes=REGISTER.codes)
    assert label.originators == originators


def test_anothers_level_is_no_level_of_ours_until_a_table_says_so() -> None:
    for text in ("//GBR S//REL TO USA, GBR", "//NATO SECRET", "//FGI S//NF"):
        with pytest.raises(Unresolved, match="is not one of ours") as caught:
            label_of(PROFILE.parse_portion(text), categories=(), originators=US, scheme=SCHEME, known_codes=REGISTER.codes)
        assert caught.value.code == "unknown-level"


def test_a_source_that_the_bundle_does_not_know_is_for_quarantine() -> None:
    with pytest.raises(Unresolved, match="unknown originator `DEU`"):
        label_of(PROFILE.parse_portion("S//FGI DEU//NF"), categories=(), originators=US, scheme=SCHEME, known_codes={"USA", "GBR"})
