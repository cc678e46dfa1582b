"""The Traffic Light Protocol: each colour means what it says, silence names nobody, and STIX ids go in and out."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Rejected
from service.labels.intake import label_of
from service.labels.label import UNRESTRICTED, Label
from service.labels.markings import Marking, MarkingError, Unresolved, marking_part, profile_of
from service.labels.markings.tlp import STIX_IDS, STIX_IDS_OF_TLP_1, Tlp, TlpProfile, of_stix_id, of_stix_refs, stix_definition
from service.labels.scheme import Level, Scheme, SchemeError, UnknownName

PUBLISHED = json.loads((Path(__file__).parent / "published" / "tlp_stix_ids.json").read_text())


def scheme_of(levels: list[tuple[str, str]], audience_required_from: str = "") -> Scheme:
    return Scheme.from_mapping(
        {
            "own": "USA",
            "profile": "TLP-2",
            "levels": [{"name": name, "mark": mark} for name, mark in levels],
            "categories": ["CYBER"],
            "caveats": ["ORCON", "RELIDO"],
            "purposes": [],
            "expandable": ["QUAD"],
            "public_communities": [],
            "categories_required_from": "",
            "audience_required_from": audience_required_from,
            "approval_level": levels[-1][0],
            "releasable_in": "portions",
            "audience_on_copies": "own",
        }
    )


SCHEME = scheme_of([("CLEAR", "C"), ("GREEN", "G"), ("AMBER", "A"), ("AMBER STRICT", "AS"), ("RED", "R")])
PREFIXED = scheme_of([("TLP CLEAR", "CLEAR"), ("TLP GREEN", "GREEN"), ("TLP AMBER STRICT", "AMBER STRICT"), ("TLP RED", "RED")])
NATIONAL = scheme_of([("UNCLASSIFIED", "CLEAR"), ("CONFIDENTIAL", "AMBER"), ("SECRET", "RED")])
PROFILE = TlpProfile(SCHEME)


def said(marking: Marking) -> tuple[str, tuple[str, ...] | None, tuple[str, ...] | None, tuple[str, ...]]:
    return marking.level, marking.releasable_to, marking.display_to, marking.caveats


def test_the_profile_is_the_one_that_the_scheme_names() -> None:
    assert isinstance(profile_of(SCHEME), TlpProfile)


@pytest.mark.parametrize(
    ("text", "level", "releasable_to", "display_to", "caveats"),
    [
        pytest.param("TLP:CLEAR", "CLEAR", None, None, (), id="clear-is-unrestricted"),
        pytest.param("TLP:GREEN", "GREEN", None, None, (), id="green-is-for-the-scheme-to-say"),
        pytest.param("TLP:AMBER", "AMBER", (), None, (), id="amber-names-nobody"),
        pytest.param("TLP:AMBER+STRICT", "AMBER STRICT", (), None, (), id="strict-names-nobody"),
        pytest.param("TLP:RED", "RED", (), None, (), id="red-names-nobody"),
        pytest.param("TLP:RED//REL TO USA, JPN", "RED", ("JPN", "USA"), None, (), id="those-listed"),
        pytest.param("TLP:RED//ORCON//REL TO JPN", "RED", ("JPN",), None, ("ORCON",), id="a-caveat"),
        pytest.param("TLP:GREEN//NOFORN", "GREEN", (), None, (), id="nobody"),
        pytest.param("TLP:AMBER//DISPLAY ONLY DEU", "AMBER", (), ("DEU",), (), id="to-look-at-only"),
        pytest.param("tlp:amber+strict", "AMBER STRICT", (), None, (), id="lower-case"),
        pytest.param(" TLP : AMBER + STRICT // rel to JPN ", "AMBER STRICT", ("JPN",), None, (), id="blanks"),
        pytest.param("TLP:AMBER STRICT", "AMBER STRICT", (), None, (), id="a-blank-for-the-plus"),
        pytest.param("TLP AMBER", "AMBER", (), None, (), id="a-blank-for-the-colon"),
        pytest.param("AMBER", "AMBER", (), None, (), id="the-colour-alone"),
        pytest.param("TLP:WHITE", "CLEAR", None, None, (), id="white-of-tlp-1"),
        pytest.param("(TLP:AMBER//REL TO JPN)", "AMBER", ("JPN",), None, (), id="a-portion-mark"),
        pytest.param("(AS)", "AMBER STRICT", (), None, (), id="the-schemes-own-mark"),
        pytest.param("marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", "RED", (), None, (), id="a-stix-id"),
        pytest.param("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed//REL TO JPN", "RED", ("JPN",), None, (), id="of-tlp-1"),
    ],
)
def test_a_marking_is_read_as_it_is_written_in_practice(
    text: str, level: str, releasable_to: tuple[str, ...] | None, display_to: tuple[str, ...] | None, caveats: tuple[str, ...]
) -> None:
    assert PROFILE.parse_banner(text) == PROFILE.parse_portion(text) == Marking(level, releasable_to, display_to, caveats, text)


LABEL = Label("RED", releasable_to=("JPN", "USA"), originators=("USA",))


@pytest.mark.parametrize(
    ("label", "banner"),
    [
        pytest.param(LABEL, "TLP:RED//REL TO USA, JPN", id="those-listed"),
        pytest.param(replace(LABEL, level="AMBER STRICT", releasable_to=()), "TLP:AMBER+STRICT", id="nobody"),
        pytest.param(replace(LABEL, level="GREEN", releasable_to=()), "TLP:GREEN//NOFORN", id="nobody-where-silence-is-not-nobody"),
        pytest.param(replace(LABEL, level="CLEAR", releasable_to=UNRESTRICTED), "TLP:CLEAR", id="everybody"),
        pytest.param(replace(LABEL, level="CLEAR"), "TLP:CLEAR//REL TO USA, JPN", id="a-restriction-that-outlives-its-colour"),
        pytest.param(replace(LABEL, caveats=("RELIDO", "ORCON")), "TLP:RED//ORCON/RELIDO//REL TO USA, JPN", id="caveats"),
        pytest.param(replace(LABEL, releasable_to=(), display_to=("DEU",)), "TLP:RED//DISPLAY ONLY DEU", id="to-look-at-only"),
    ],
)
def test_a_label_is_written_in_one_way(label: Label, banner: str) -> None:
    assert PROFILE.write_banner(label) == banner
    assert PROFILE.write_portion(label) == f"({banner})"


@pytest.mark.parametrize(
    ("scheme", "text", "level", "written"),
    [
        (PREFIXED, "TLP:AMBER+STRICT//REL TO JPN", "TLP AMBER STRICT", "TLP:AMBER+STRICT//REL TO JPN"),
        (PREFIXED, "tlp red", "TLP RED", "TLP:RED"),
        (NATIONAL, "TLP:AMBER//REL TO JPN", "CONFIDENTIAL", "TLP:AMBER//REL TO JPN"),
        (NATIONAL, "SECRET", "SECRET", "TLP:RED"),
    ],
)
def test_a_level_is_the_colour_of_its_name_or_of_its_mark(scheme: Scheme, text: str, level: str, written: str) -> None:
    profile = TlpProfile(scheme)
    marking = profile.parse_banner(text)
    assert marking.level == level
    assert profile.write_banner(Label(level, releasable_to=marking.releasable_to or (), originators=("USA",))) == written


@pytest.mark.parametrize(("required_from", "code"), [("", None), ("AMBER", None), ("GREEN", "unmarked"), ("CLEAR", "unmarked")])
def test_green_without_a_list_is_unrestricted_or_quarantine_as_the_scheme_says(required_from: str, code: str | None) -> None:
    scheme = replace(SCHEME, audience_required_from=required_from)

    def taken() -> Label:
        return label_of(
            TlpProfile(scheme).parse_banner("TLP:GREEN"), categories=(), originators=("USA",), scheme=scheme, known_codes=frozenset({"USA"})
        )

    if code is None:
        assert taken().releasable_to == UNRESTRICTED
    else:
        with pytest.raises(Unresolved) as unresolved:
            taken()
        assert unresolved.value.code == code


@pytest.mark.parametrize("required_from", ["", "CLEAR", "RED"])
@pytest.mark.parametrize("text", ["TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"])
def test_from_amber_on_silence_is_nobody_whatever_the_scheme_says(text: str, required_from: str) -> None:
    scheme = replace(SCHEME, audience_required_from=required_from)
    marking = TlpProfile(scheme).parse_banner(text)
    label = label_of(marking, categories=(), originators=("USA",), scheme=scheme, known_codes=frozenset({"USA"}))
    assert label.releasable_to == ()


@pytest.mark.parametrize(
    ("text", "kind", "code", "message", "offset", "nearest"),
    [
        pytest.param("", Unresolved, "unmarked", "unmarked, expected one of `TLP:CLEAR`", 0, None, id="nothing"),
        pytest.param("()", Unresolved, "unmarked", "unmarked, expected one of", 0, None, id="nothing-in-parentheses"),
        pytest.param("TLP:", Unresolved, "unknown-level", "unknown level `TLP:`", 0, None, id="no-colour"),
        pytest.param("TLP:PURPLE", Unresolved, "unknown-level", "unknown level `TLP:PURPLE`", 0, None, id="a-colour-that-is-none"),
        pytest.param(
            "TLP:AMBR//REL TO JPN", Unresolved, "unknown-level", "unknown level `TLP:AMBR`", 0, "TLP:AMBER//REL TO JPN", id="a-slip"
        ),
        pytest.param("TLP:AMBER+STRICTER", Unresolved, "unknown-level", "`TLP:AMBER+STRICTER`", 0, "TLP:AMBER+STRICT", id="stricter-still"),
        pytest.param(
            "TLP:RED//ORCN", Unresolved, "unknown-token", "unknown control `ORCN` at character 9", 9, "TLP:RED//ORCON", id="control"
        ),
        pytest.param(
            "marking-definition--00000000-0000-0000-0000-000000000000",
            Unresolved,
            "unknown-token",
            "unknown marking definition",
            0,
            None,
            id="another-definition",
        ),
        pytest.param("TLP:RED//REL TO", MarkingError, "malformed-marking", "`REL TO` without a code", 9, None, id="no-code"),
        pytest.param(
            "TLP:AMBER+STRICT/ORCON", MarkingError, "malformed-marking", "`/` after", 16, "TLP:AMBER+STRICT//ORCON", id="one-slash"
        ),
        pytest.param("TLP:WHITE//REL TO JPN!", MarkingError, "malformed-marking", "`!` is no character", 21, None, id="a-character"),
        pytest.param("(TLP:RED", MarkingError, "malformed-marking", "`(` is not closed", 0, "TLP:RED", id="not-closed"),
    ],
)
def test_what_is_not_a_marking_is_refused_with_place_and_nearest_marking(
    text: str, kind: type[MarkingError], code: str, message: str, offset: int, nearest: str | None
) -> None:
    with pytest.raises(MarkingError) as refused:
        PROFILE.parse_banner(text)
    assert type(refused.value) is kind
    assert message in str(refused.value)
    assert (refused.value.code, refused.value.text, refused.value.offset) == (code, text, offset)
    if nearest is not None:
        assert refused.value.nearest == nearest
        assert str(refused.value).endswith(f"; nearest legal marking `{nearest}`")


def test_a_colour_that_the_ladder_lacks_is_unresolved() -> None:
    with pytest.raises(Unresolved, match=r"unknown level `TLP:AMBER`, expected one of `TLP:CLEAR`") as unresolved:
        TlpProfile(PREFIXED).parse_banner("(TLP:AMBER)")
    assert (unresolved.value.code, unresolved.value.offset) == ("unknown-level", 1)


@pytest.mark.parametrize("level", ["AMBER", "AMBER STRICT", "RED"])
def test_an_unrestricted_audience_from_amber_on_is_not_written(level: str) -> None:
    for write in (PROFILE.write_banner, PROFILE.write_portion):
        with pytest.raises(Rejected, match="an unrestricted audience at `TLP:") as refused:
            write(replace(LABEL, level=level, releasable_to=UNRESTRICTED))
        assert refused.value.code == "unmarkable"


def test_a_level_that_is_not_on_the_ladder_is_not_written() -> None:
    with pytest.raises(UnknownName):
        PROFILE.write_banner(replace(LABEL, level="SECRET"))


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        pytest.param(
            [("CLEAR", "C"), ("SECRET", "S")], "level `SECRET` is no colour of profile `TLP-2`, nor is its mark `S`", id="no-colour"
        ),
        pytest.param([("RED", "R"), ("CLEAR", "C")], "each another colour, in the order", id="order"),
        pytest.param([("AMBER", "A"), ("TLP AMBER", "TA")], "each another colour", id="twice"),
    ],
)
def test_a_ladder_that_is_not_the_protocols_is_refused(levels: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(SchemeError) as refused:
        profile_of(replace(SCHEME, levels=tuple(Level(name, mark) for name, mark in levels)))
    assert message in str(refused.value)


# --- STIX -------------------------------------------------------------------------------------------------------------


def test_the_ids_are_those_that_oasis_has_fixed() -> None:
    assert {tlp: STIX_IDS[tlp] for tlp in Tlp} == {Tlp(name): PUBLISHED["TLP2_STIX2_1"][name] for name in Tlp}
    first = {name: value for name, value in PUBLISHED["TLP1_STIX2_1"].items() if name.startswith("TLP:")}
    assert {value: Tlp(name.replace("WHITE", "CLEAR")) for name, value in first.items()} == STIX_IDS_OF_TLP_1


@pytest.mark.parametrize("tlp", list(Tlp))
def test_a_definition_is_the_published_one_and_is_read_back(tlp: Tlp) -> None:
    definition = stix_definition(tlp)
    assert definition == {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": PUBLISHED["TLP2_STIX2_1"][tlp],
        "created": PUBLISHED["TLP2_STIX2_1"]["created"],
        "name": tlp.value,
        "extensions": {
            PUBLISHED["TLP2_STIX2_1"]["extension"]: {
                "extension_type": PUBLISHED["TLP2_STIX2_1"]["extension_type"],
                "tlp_2_0": tlp.value.removeprefix("TLP:").lower(),
            }
        },
    }
    assert of_stix_id(definition["id"]) is tlp
    assert of_stix_refs([definition["id"]]) is tlp


def test_of_several_definitions_the_strictest_counts() -> None:
    assert of_stix_refs([STIX_IDS[Tlp.AMBER], STIX_IDS[Tlp.RED], STIX_IDS[Tlp.CLEAR]]) is Tlp.RED
    # A definition that is not TLP asks for something: it must not be passed over for the colour beside it.
    with pytest.raises(Unresolved, match="unknown marking definition"):
        of_stix_refs([STIX_IDS[Tlp.CLEAR], "marking-definition--00000000-0000-0000-0000-000000000000"])
    with pytest.raises(Unresolved, match="no marking definition") as unresolved:
        of_stix_refs([])
    assert unresolved.value.code == "unmarked"


# --- laws -----------------------------------------------------------------------------------------------------------

CODES = st.sampled_from(["USA", "JPN", "DEU", "QUAD", "NATO-HQ", "RED", "STRICT", "TLP", "AMBER"])
SETS = st.lists(CODES, max_size=4).map(tuple)


@st.composite
def labels(draw: st.DrawFn, scheme: Scheme) -> Label:
    level = draw(st.sampled_from([level.name for level in scheme.levels]))
    names_recipients = TlpProfile(scheme).colour(Label(level, originators=("USA",))).names_recipients
    released = draw(SETS if names_recipients else SETS | st.just(UNRESTRICTED))
    displayed = None if released == UNRESTRICTED else draw(st.none() | SETS)
    caveats = draw(st.lists(st.sampled_from(scheme.caveats), max_size=2))
    return Label(level, (), released, tuple(caveats), ("USA",), displayed)


@settings(deadline=None)
@given(st.data())
def test_reading_what_was_written_gives_the_label_again(data: st.DataObject) -> None:
    scheme = data.draw(st.sampled_from([SCHEME, PREFIXED, NATIONAL]))
    profile, label = TlpProfile(scheme), data.draw(labels(scheme))
    part = said(marking_part(label, scheme=scheme))
    for text in (profile.write_banner(label), profile.write_portion(label)):
        assert said(profile.parse_banner(text)) == said(profile.parse_portion(text)) == part
        assert said(profile.parse_banner(text.lower())) == part


def check_not_wider(text: str) -> bool:
    """Whether a text is a marking; if so it names nobody and nothing that the text does not."""
    try:
        marking = PROFILE.parse_banner(text)
    except MarkingError:
        return False
    upper = text.upper()
    tlp = PROFILE.colour(Label(marking.level, originators=("USA",)))
    words = {"CLEAR": ("CLEAR", "WHITE", "C"), "AMBER STRICT": ("STRICT", "AS")}.get(marking.level, (marking.level, marking.level[0]))
    assert any(word in upper for word in words) or STIX_IDS[tlp].upper() in upper, text
    if "STRICT" in upper.partition("//")[0]:
        assert tlp is Tlp.AMBER_STRICT, text
    assert not (marking.releasable_to is None and tlp.names_recipients), text
    for code in (*(marking.releasable_to or ()), *(marking.display_to or ()), *marking.caveats):
        assert code in upper, (text, code)
    return True


@settings(deadline=None)
@given(st.text(max_size=30) | st.text(alphabet="TLP:+RED AMBERSTICLNGO/(),\t", max_size=30))
def test_no_text_makes_the_reader_fail_or_is_read_as_more_than_it_says(text: str) -> None:
    check_not_wider(text)


WORDS = (
    *(
        "TLP:",
        "TLP",
        ":",
        "RED",
        "AMBER",
        "+",
        "STRICT",
        "AMBER+STRICT",
        "GREEN",
        "CLEAR",
        "WHITE",
        "A",
        "AS",
        "(",
        ")",
        "//",
        "//",
        "/",
        " ",
    ),
    *("REL TO ", "JPN", "USA", ",", "DISPLAY ONLY ", "NOFORN", "ORCON", "RELIDO", "QUAD", STIX_IDS[Tlp.RED], "//REL TO JPN", "TLP:AMBER"),
)


def some_texts(seed: int, count: int) -> int:
    """Check texts put together from words of markings; how many were markings."""
    draw = random.Random(seed)
    markings = 0
    for _ in range(count):
        head = draw.choice(("TLP:RED", "TLP:AMBER+STRICT", "(TLP:GREEN", "TLP:CLEAR", ""))
        markings += check_not_wider(head + "".join(draw.choices(WORDS, k=draw.randint(0, 5))))
    return markings


def test_ten_thousand_texts_of_the_words_of_markings_are_never_read_as_more_than_they_say() -> None:
    assert some_texts(2, 10_000) > 500


@pytest.mark.campaign
def test_a_million_texts_of_the_words_of_markings_are_never_read_as_more_than_they_say() -> None:
    assert some_texts(20, 1_000_000) > 50_000
