"""Markings: read as people write them, written one way, and never read as more than they say."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.errors import Rejected
from service.labels.label import UNRESTRICTED, Label
from service.labels.markings import Marking, MarkingError, MarkingProfile, Unresolved, marking_part, profile_of
from service.labels.scheme import Scheme, UnknownName


def scheme_of(profile: str) -> Scheme:
    return Scheme.from_mapping(
        {
            "own": "USA",
            "profile": profile,
            "levels": [
                {"name": "UNCLASSIFIED", "mark": "U"},
                {"name": "CONFIDENTIAL", "mark": "C"},
                {"name": "SECRET", "mark": "S"},
                {"name": "TOP SECRET", "mark": "TS"},
            ],
            "categories": ["CYBER", "MARITIME"],
            "caveats": ["DEA-SENSITIVE", "EXDIS", "EXERCISE", "FISA", "LIMDIS", "ORCON", "PROPIN", "RELIDO"],
            "purposes": [],
            "expandable": ["FVEY"],
            "public_communities": [],
            "categories_required_from": "CONFIDENTIAL",
            "audience_required_from": "CONFIDENTIAL",
            "approval_level": "SECRET",
            "releasable_in": "whole",
            "audience_on_copies": "own",
        }
    )


SCHEMES = {name: scheme_of(name) for name in ("PLAIN", "IC-2016")}
PROFILES: dict[str, MarkingProfile] = {name: profile_of(scheme) for name, scheme in SCHEMES.items()}
NAMES = st.sampled_from(sorted(PROFILES))


def said(marking: Marking) -> tuple[str, tuple[str, ...] | None, tuple[str, ...] | None, tuple[str, ...]]:
    return marking.level, marking.releasable_to, marking.display_to, marking.caveats


def read(profile: str, text: str, *, portion: bool) -> Marking:
    return PROFILES[profile].parse_portion(text) if portion else PROFILES[profile].parse_banner(text)


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize(
    ("text", "level", "releasable_to", "display_to", "caveats"),
    [
        pytest.param("SECRET//REL TO USA, JPN", "SECRET", ("JPN", "USA"), None, (), id="a-list"),
        pytest.param("SECRET//NOFORN", "SECRET", (), None, (), id="nobody"),
        pytest.param("UNCLASSIFIED", "UNCLASSIFIED", None, None, (), id="no-audience"),
        pytest.param("TOP SECRET//ORCON/NOFORN", "TOP SECRET", (), None, ("ORCON",), id="a-level-of-two-words"),
        pytest.param("SECRET//ORCON/RELIDO", "SECRET", None, None, ("ORCON", "RELIDO"), id="caveats"),
        pytest.param("SECRET//DISPLAY ONLY AFG, IRQ", "SECRET", (), ("AFG", "IRQ"), (), id="to-look-at-only"),
        pytest.param("SECRET//REL TO USA, IRQ/DISPLAY ONLY AFG", "SECRET", ("IRQ", "USA"), ("AFG",), (), id="both-by-one-slash"),
        pytest.param("SECRET//REL TO USA, IRQ//DISPLAY ONLY AFG", "SECRET", ("IRQ", "USA"), ("AFG",), (), id="both-by-two"),
        pytest.param("secret//rel to usa, jpn", "SECRET", ("JPN", "USA"), None, (), id="lower-case"),
        pytest.param(
            "  TOP   SECRET // rel  to USA ,JPN,GBR / orcon \n", "TOP SECRET", ("GBR", "JPN", "USA"), None, ("ORCON",), id="blanks"
        ),
        pytest.param("SECRET//REL TO JPN, USA", "SECRET", ("JPN", "USA"), None, (), id="own-code-not-first"),
        pytest.param("SECRET//REL TO JPN", "SECRET", ("JPN",), None, (), id="own-code-left-out"),
        pytest.param(
            "SECRET//REL TO USA, NATO-HQ, FVEY", "SECRET", ("FVEY", "NATO-HQ", "USA"), None, (), id="communities-and-organisations"
        ),
        pytest.param("SECRET//NOFORN//ORCON", "SECRET", (), None, ("ORCON",), id="controls-in-any-order"),
        pytest.param("SECRET//REL TO USA, JPN//EXDIS", "SECRET", ("JPN", "USA"), None, ("EXDIS",), id="a-block-after-the-list"),
        pytest.param("SECRET//ORCON/ORCON", "SECRET", None, None, ("ORCON",), id="a-caveat-twice-is-once"),
        pytest.param("SECRET//DISPLAY ONLY AFG/REL TO USA, IRQ", "SECRET", ("IRQ", "USA"), ("AFG",), (), id="display-before-release"),
        pytest.param("(S//REL TO USA, JPN)", "SECRET", ("JPN", "USA"), None, (), id="a-portion-mark"),
        pytest.param("S//NF", "SECRET", (), None, (), id="a-portion-mark-without-parentheses"),
        pytest.param("( ts )", "TOP SECRET", None, None, (), id="blanks-in-parentheses"),
    ],
)
@pytest.mark.parametrize("portion", [False, True], ids=["banner", "portion"])
def test_a_marking_is_read_as_it_is_written_in_practice(
    profile: str,
    text: str,
    portion: bool,
    level: str,
    releasable_to: tuple[str, ...] | None,
    display_to: tuple[str, ...] | None,
    caveats: tuple[str, ...],
) -> None:
    assert read(profile, text, portion=portion) == Marking(level, releasable_to, display_to, caveats, text)


@pytest.mark.parametrize(
    ("text", "caveats", "releasable_to"),
    [
        pytest.param("(TS//OC/NF)", ("ORCON",), (), id="portion-marks"),
        pytest.param("(TS//DS)", ("LIMDIS",), None, id="a-non-ic-control"),
        pytest.param("(TS//DSEN/PR)", ("DEA-SENSITIVE", "PROPIN"), None, id="marks-unlike-their-code"),
        pytest.param("TOP SECRET//DEA SENSITIVE//LIMITED DISTRIBUTION", ("DEA-SENSITIVE", "LIMDIS"), None, id="words-with-blanks"),
        pytest.param("TOP SECRET//ORIGINATOR CONTROLLED/NOT RELEASABLE TO FOREIGN NATIONALS", ("ORCON",), (), id="long-titles"),
        pytest.param("TOP SECRET//AUTHORIZED FOR RELEASE TO USA, JPN", (), ("JPN", "USA"), id="long-title-of-a-list"),
    ],
)
def test_the_words_of_the_2016_manual_are_read(text: str, caveats: tuple[str, ...], releasable_to: tuple[str, ...] | None) -> None:
    assert said(read("IC-2016", text, portion=False)) == ("TOP SECRET", releasable_to, None, caveats)


LABEL = Label("SECRET", releasable_to=("JPN", "USA"), originators=("USA",))


@pytest.mark.parametrize(
    ("label", "plain", "ic"),
    [
        pytest.param(
            LABEL,
            ("SECRET//REL TO USA, JPN", "(S//REL TO USA, JPN)"),
            ("SECRET//REL TO USA, JPN", "(S//REL TO USA, JPN)"),
            id="a-list-begins-with-its-owner",
        ),
        pytest.param(
            replace(LABEL, releasable_to=("FVEY", "JPN", "AUS")),
            ("SECRET//REL TO AUS, FVEY, JPN", "(S//REL TO AUS, FVEY, JPN)"),
            ("SECRET//REL TO USA, AUS, JPN, FVEY", "(S//REL TO USA, AUS, JPN, FVEY)"),
            id="the-manual-names-the-owner-and-puts-groups-last",
        ),
        pytest.param(
            replace(LABEL, releasable_to=(), caveats=("ORCON", "EXERCISE", "FISA", "LIMDIS", "PROPIN")),
            ("SECRET//EXERCISE/FISA/LIMDIS/ORCON/PROPIN//NOFORN", "(S//EXERCISE/FISA/LIMDIS/ORCON/PROPIN//NOFORN)"),
            ("SECRET//ORCON/NOFORN/PROPIN/FISA//LIMITED DISTRIBUTION/EXERCISE", "(S//OC/NF/PR/FISA//DS/EXERCISE)"),
            id="the-manual-has-an-order-of-controls",
        ),
        pytest.param(
            replace(LABEL, caveats=("RELIDO", "PROPIN"), display_to=("AFG", "JPN", "USA")),
            ("SECRET//PROPIN/RELIDO//REL TO USA, JPN//DISPLAY ONLY AFG", "(S//PROPIN/RELIDO//REL TO USA, JPN//DISPLAY ONLY AFG)"),
            ("SECRET//PROPIN/REL TO USA, JPN/RELIDO/DISPLAY ONLY AFG", "(S//PR/REL TO USA, JPN/RELIDO/DISPLAY ONLY AFG)"),
            id="display-only-names-those-who-may-not-keep-it",
        ),
        pytest.param(
            replace(LABEL, releasable_to=(), display_to=("AFG",)),
            ("SECRET//DISPLAY ONLY AFG", "(S//DISPLAY ONLY AFG)"),
            ("SECRET//DISPLAY ONLY AFG", "(S//DISPLAY ONLY AFG)"),
            id="display-only-alone",
        ),
        pytest.param(
            replace(LABEL, releasable_to=("USA",)),
            ("SECRET//NOFORN", "(S//NOFORN)"),
            ("SECRET//NOFORN", "(S//NF)"),
            id="an-audience-of-ourselves-is-nobody",
        ),
        pytest.param(
            replace(LABEL, level="UNCLASSIFIED", releasable_to=UNRESTRICTED),
            ("UNCLASSIFIED", "(U)"),
            ("UNCLASSIFIED", "(U)"),
            id="unrestricted-names-no-audience",
        ),
    ],
)
def test_a_label_is_written_in_one_way(label: Label, plain: tuple[str, str], ic: tuple[str, str]) -> None:
    for profile, (banner, portion) in (("PLAIN", plain), ("IC-2016", ic)):
        assert PROFILES[profile].write_banner(label) == banner
        assert PROFILES[profile].write_portion(label) == portion


@pytest.mark.parametrize(
    ("label", "kind", "message"),
    [
        pytest.param(replace(LABEL, level="COSMIC"), UnknownName, "unknown level `COSMIC`", id="unknown-level"),
        pytest.param(replace(LABEL, caveats=("HCS",)), UnknownName, "unknown caveat `HCS`", id="unknown-caveat"),
        pytest.param(replace(LABEL, releasable_to=("JPN//REL TO IND",)), Rejected, "is not a code", id="a-code-that-would-say-more"),
        pytest.param(replace(LABEL, display_to=("JPN, IND",)), Rejected, "is not a code", id="a-code-for-display-that-would-say-more"),
        pytest.param(replace(LABEL, display_to=UNRESTRICTED), Rejected, "has no marking", id="everyone-for-display-alone"),
    ],
)
def test_a_label_that_no_marking_can_say_is_not_written(label: Label, kind: type[Rejected], message: str) -> None:
    for profile in PROFILES.values():
        with pytest.raises(kind, match=message):
            profile.write_banner(label)


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize(
    ("text", "offset", "message", "nearest"),
    [
        pytest.param("SECRET/NOFORN", 6, "`/` after the level", "SECRET//NOFORN", id="one-slash-after-the-level"),
        pytest.param("SECRET///NOFORN", 6, "3 slashes together", "SECRET//NOFORN", id="three-slashes"),
        pytest.param("SECRET//", 8, "nothing between slashes", "SECRET", id="trailing-slashes"),
        pytest.param("SECRET// /NOFORN", 9, "nothing between slashes", "SECRET//NOFORN", id="nothing-in-a-block"),
        pytest.param("(S//NOFORN", 0, "`(` is not closed", "SECRET//NOFORN", id="parenthesis-not-closed"),
        pytest.param("S//NOFORN)", 9, "`)` was not opened", "SECRET//NOFORN", id="parenthesis-not-opened"),
        pytest.param("SECRET//(NOFORN)//ORCON", 8, "`(` within a marking", "SECRET//", id="parenthesis-within"),
        pytest.param("SECRET – NOFORN", 7, "`\\u2013` is no character of a marking", "SECRET//NOFORN", id="a-dash"),
        pytest.param("SECRET//NOFORN\u200b", 14, "`\\u200b` is no character", "SECRET//NOFORN", id="an-invisible-character"),
        pytest.param("ＳECRET", 0, "is no character of a marking", "SECRET", id="a-letter-that-looks-alike"),
        pytest.param("SECRET, NOFORN", 6, "`,` in the level", "SECRET//NOFORN", id="a-comma-after-the-level"),
        pytest.param("SECRET//ORCON, NOFORN", 13, "`,` outside a list", "SECRET//", id="a-comma-between-controls"),
        pytest.param("SECRET//REL TO", 8, "`REL TO` without a code", None, id="a-list-of-nothing"),
        pytest.param("SECRET//DISPLAY ONLY", 8, "`DISPLAY ONLY` without a code", None, id="a-display-list-of-nothing"),
        pytest.param("SECRET//REL TO USA JPN", 15, "expected commas between codes", "SECRET//REL TO USA, JPN", id="no-comma"),
        # There is an Andorra (AND); it is not what was meant, and any other word looks like a code.
        pytest.param("SECRET//REL TO USA AND JPN", 15, "expected commas between codes", "SECRET//REL TO USA, JPN", id="and"),
        pytest.param("SECRET//REL TO USA, JPN ONLY", 20, "expected commas between codes", None, id="only"),
        pytest.param("SECRET//REL TO USA JPN EXCEPT FOR DATA", 15, "expected commas between codes", None, id="except"),
        pytest.param("SECRET//REL TO USA, GBR NOFORN", 20, "expected commas between codes", None, id="nobody-among-the-codes"),
        pytest.param("SECRET//REL TO USA;JPN", 18, "is no character of a marking", None, id="what-would-join-two-codes"),
        pytest.param("SECRET//REL TO USA,, JPN", 19, "nothing between the commas", "SECRET//REL TO USA, JPN", id="two-commas"),
        pytest.param("SECRET//REL TO USA, J_N", 20, "`J_N` is not a code", None, id="not-a-code"),
        pytest.param("SECRET//REL TO USA, NOFORN", 20, "`NOFORN` is not a code", None, id="nobody-in-a-list"),
        pytest.param("SECRET//REL USA, JPN", 8, "expected `REL TO` and codes", "SECRET//REL TO USA, JPN", id="rel-without-to"),
        pytest.param("SECRET//RELTO USA, JPN", 8, "expected `REL TO` and codes", "SECRET//REL TO USA, JPN", id="relto"),
        pytest.param("SECRET//RELEASABLE TO USA, JPN", 8, "expected `REL TO`", "SECRET//REL TO USA, JPN", id="releasable-to"),
        pytest.param("SECRET//NOFORN/REL TO USA, JPN", 15, "a second audience for release", None, id="nobody-and-a-list"),
        pytest.param("SECRET//REL TO USA, JPN/NOFORN", 24, "`NOFORN` beside a list", None, id="a-list-and-nobody"),
        pytest.param("SECRET//REL TO USA, JPN//REL TO USA, IND", 25, "a second audience for release", None, id="two-lists"),
        pytest.param("SECRET//DISPLAY ONLY AFG/DISPLAY ONLY IRQ", 25, "a second audience for display", None, id="two-display-lists"),
        pytest.param("SECRET//NOFORN/DISPLAY ONLY AFG", 15, "a second audience for display", None, id="nobody-and-display"),
        pytest.param("SECRET//DISPLAY ONLY AFG/NOFORN", 25, "`NOFORN` beside a list", None, id="display-and-nobody"),
        pytest.param("S" * 5000, 4096, "more than 4096 characters", None, id="too-long"),
    ],
)
def test_a_malformed_marking_is_refused_with_token_place_and_nearest(
    profile: str, text: str, offset: int, message: str, nearest: str | None
) -> None:
    with pytest.raises(MarkingError, match=re.escape(message)) as caught:
        read(profile, text, portion=False)
    error = caught.value
    assert type(error) is MarkingError
    assert (error.code, error.text, error.offset) == ("malformed-marking", text, offset)
    if nearest is None:
        assert error.nearest is None
    else:
        assert error.nearest is not None
        assert error.nearest.startswith(nearest)
        assert f"nearest legal marking `{error.nearest}`" in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize(
    ("text", "code", "offset", "nearest"),
    [
        pytest.param("", "unmarked", 0, None, id="empty"),
        pytest.param(" \t\r\n\u00a0", "unmarked", 0, None, id="blank"),
        pytest.param("()", "unmarked", 1, None, id="empty-parentheses"),
        pytest.param("SECERT//NOFORN", "unknown-level", 0, "(S//N", id="a-slip-in-the-level"),
        pytest.param("SECRET NOFORN", "unknown-level", 0, "(S//N", id="a-blank-for-slashes"),
        pytest.param("COSMIC TOP SECRET//NOFORN", "unknown-level", 0, None, id="anothers-level"),
        pytest.param("SECRET//NOFRON", "unknown-token", 8, "(S//N", id="a-slip-in-a-control"),
        pytest.param("SECRET//SIX/TKX//NOFORN", "unknown-token", 8, None, id="no-control-system"),
        pytest.param("SECRET//USA/JPN EYES", "unknown-token", 8, None, id="half-an-opening"),
        pytest.param("SECRET//DISPLAY OLNY AFG", "unknown-token", 8, "(S//DISPLAY ONLY AFG)", id="a-slip-in-an-opening"),
    ],
)
def test_a_well_formed_marking_that_is_not_understood_is_for_quarantine(
    profile: str, text: str, code: str, offset: int, nearest: str | None
) -> None:
    with pytest.raises(Unresolved) as caught:
        read(profile, text, portion=True)
    error = caught.value
    assert (error.code, error.text, error.offset) == (code, text, offset)
    if nearest is not None:
        assert error.nearest is not None
        assert error.nearest.startswith(nearest)


def test_a_mark_that_stands_for_the_list_of_its_banner_is_not_read_alone() -> None:
    with pytest.raises(Unresolved, match="stands for the list of the banner") as caught:
        PROFILES["IC-2016"].parse_portion("(S//REL)")
    assert (caught.value.code, caught.value.offset) == ("unknown-token", 4)


@pytest.mark.parametrize(
    "text", ["SECRET//SI/TK//NOFORN", "SECRET//FGI GBR//REL TO USA, GBR", "SECRET//USA/JPN EYES ONLY", "SECRET//RD", "SECRET//SAR-ABC"]
)
def test_what_only_the_manual_knows_is_unknown_to_the_plain_profile(text: str) -> None:
    PROFILES["IC-2016"].parse_banner(text)
    with pytest.raises(Unresolved) as caught:
        PROFILES["PLAIN"].parse_banner(text)
    assert (caught.value.code, caught.value.offset) == ("unknown-token", 8)


def test_a_marking_of_another_owner_is_no_plain_one() -> None:
    with pytest.raises(MarkingError, match="no level before the first slash") as refused:
        PROFILES["PLAIN"].parse_banner("//NATO SECRET")
    assert refused.value.code == "malformed-marking"


def test_a_word_that_is_one_levels_name_and_anothers_mark_is_read_as_it_is_written_there() -> None:
    scheme = Scheme.from_mapping(
        {
            **{
                key: getattr(SCHEMES["PLAIN"], key)
                for key in ("own", "approval_level", "categories_required_from", "audience_required_from")
            },
            **{key: [] for key in ("categories", "caveats", "purposes", "expandable", "public_communities")},
            "profile": "PLAIN",
            "releasable_in": "whole",
            "audience_on_copies": "own",
            "levels": [{"name": "S", "mark": "CONFIDENTIAL"}, {"name": "SECRET", "mark": "S"}, {"name": "CONFIDENTIAL", "mark": "X"}],
        }
    )
    profile = profile_of(scheme)
    assert profile.parse_banner("S").level == "S"
    assert profile.parse_portion("(S)").level == "SECRET"
    for level in ("S", "SECRET", "CONFIDENTIAL"):
        label = Label(level, releasable_to=(), originators=("USA",))
        assert profile.parse_banner(profile.write_banner(label)).level == level
        assert profile.parse_portion(profile.write_portion(label)).level == level


CODES = st.sampled_from(["AFG", "FVEY", "IND", "JPN", "NATO-HQ", "USA"])
AUDIENCES = st.one_of(st.just(UNRESTRICTED), st.lists(CODES, max_size=4).map(tuple))
LABELS = st.builds(
    Label,
    level=st.sampled_from([level.name for level in SCHEMES["PLAIN"].levels]),
    categories=st.just(("CYBER",)),
    releasable_to=AUDIENCES,
    caveats=st.lists(st.sampled_from(SCHEMES["PLAIN"].caveats)).map(tuple),
    originators=st.just(("USA",)),
    display_to=st.one_of(st.none(), AUDIENCES),
)


@given(NAMES, LABELS, st.booleans())
def test_what_was_written_reads_back_as_the_label_says(profile: str, label: Label, portion: bool) -> None:
    assume(label.releasable_to == UNRESTRICTED or label.display_to != UNRESTRICTED)
    text = PROFILES[profile].write_portion(label) if portion else PROFILES[profile].write_banner(label)
    part = marking_part(label, scheme=SCHEMES[profile], names_own=profile == "IC-2016")
    assert read(profile, text, portion=portion) == replace(part, text=text)
    # The marking part is the label itself, but for the own code and for who may look because he may keep.
    assert (part.level, part.caveats) == (label.level, label.caveats)
    if label.releasable_to == UNRESTRICTED:
        assert part.releasable_to is None
    else:
        assert set(part.releasable_to or ()) - {"USA"} == set(label.releasable_to) - {"USA"}
        assert set(part.display_to or ()) == set(label.shown_to) - set(label.releasable_to) - {"USA"}


@given(NAMES, LABELS, st.booleans())
def test_the_writer_has_one_text_for_what_reads_alike(profile: str, label: Label, portion: bool) -> None:
    assume(label.releasable_to == UNRESTRICTED or label.display_to != UNRESTRICTED)
    text = PROFILES[profile].write_banner(label)
    marking = read(profile, text.lower().replace("//", " // ").replace(",", " , "), portion=portion)
    again = Label(
        marking.level,
        releasable_to=UNRESTRICTED if marking.releasable_to is None else marking.releasable_to,
        caveats=marking.caveats,
        originators=("USA",),
        display_to=None if marking.display_to is None else (*(marking.releasable_to or ()), *marking.display_to),
    )
    assert PROFILES[profile].write_banner(again) == text


WORDS = (
    "SECRET",
    "S",
    "TOP SECRET",
    "U",
    "REL TO ",
    "REL ",
    "NOFORN",
    "NF",
    "DISPLAY ONLY ",
    "ORCON",
    "OC",
    "RELIDO",
    "USA",
    "JPN",
    "FVEY",
)
MARKS = ("//", "/", ", ", ",", " ", "(", ")", "\t", "–", "\u200b", "\x00", "ß", "TK", "-")
PIECES = st.sampled_from((*WORDS, *MARKS))
TEXTS = st.one_of(
    st.text(max_size=40), st.lists(PIECES, max_size=14).map("".join), LABELS.map(lambda label: f"{label.level}//REL TO {label}")
)


@given(NAMES, TEXTS, st.booleans())
def test_no_text_crashes_the_reader_or_is_read_as_wider_than_its_words(profile: str, text: str, portion: bool) -> None:
    try:
        marking = read(profile, text, portion=portion)
    except MarkingError as error:
        assert error.text == text
        assert 0 <= error.offset <= len(text)
        assert error.code in {"malformed-marking", "unmarked", "unknown-level", "unknown-token"}
        assert isinstance(error, Unresolved) is (error.code != "malformed-marking")
        if error.nearest is not None:
            read(profile, error.nearest, portion=portion)
        return
    assert marking.text == text
    words = re.findall(r"[A-Z0-9-]+", text.upper())
    left = " ".join(words)
    level = next(each for each in SCHEMES[profile].levels if each.name == marking.level)
    assert left.startswith((level.name, level.mark))
    # Every code it lists stands in the text, and whoever names an audience in words gets one.
    assert {*(marking.releasable_to or ()), *(marking.display_to or ())} <= set(words)
    if marking.releasable_to is None:
        assert not {"NOFORN", "NF", "REL", "DISPLAY", "USA", "JPN", "FVEY"} & set(words)
    if marking.releasable_to:
        assert "REL TO " in left
        assert not {"NOFORN", "NF"} & set(words)
    if {"ORCON", "OC"} & set(words):
        assert "ORCON" in marking.caveats


def test_a_message_shows_no_more_of_the_input_than_a_word() -> None:
    with pytest.raises(Unresolved) as caught:
        PROFILES["PLAIN"].parse_banner("X" * 4000)
    assert len(str(caught.value)) < 300
