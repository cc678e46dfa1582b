"""Markings of the Alliance: read as people write them, written one way, and never read as more than they say."""

from __future__ import annotations

import random
import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Rejected
from service.labels.intake import label_of
from service.labels.label import UNRESTRICTED, Label
from service.labels.markings import Marking, MarkingError, Unresolved, marking_part, profile_of
from service.labels.markings.nato import Language, NatoProfile, display, language_of
from service.labels.markings.nato_spif import CATEGORIES, CLASSIFICATIONS, CONTEXT_AUDIENCES, TagSet
from service.labels.markings.stanag4774 import ConfidentialityLabel
from service.labels.scheme import Level, Scheme, SchemeError, UnknownName

LEVELS = [
    {"name": "NATO UNCLASSIFIED", "mark": "NU"},
    {"name": "NATO RESTRICTED", "mark": "NR"},
    {"name": "NATO CONFIDENTIAL", "mark": "NC"},
    {"name": "NATO SECRET", "mark": "NS"},
    {"name": "COSMIC TOP SECRET", "mark": "CTS"},
]


def scheme_of(own: str = "USA", **changed: object) -> Scheme:
    value = {
        "own": own,
        "profile": "NATO-4774",
        "levels": LEVELS,
        "categories": ["CYBER", "MARITIME"],
        "caveats": ["ATOMAL", "BOHEMIA", "EXERCISE", "MEDICAL", "SIOP", "SIOP-ESI", "STAFF"],
        "purposes": [],
        "expandable": ["NATO"],
        "public_communities": [],
        "categories_required_from": "",
        "audience_required_from": "",
        "approval_level": str(LEVELS[-1]["name"]),
        "releasable_in": "portions",
        "audience_on_copies": "own",
    }
    return Scheme.from_mapping(value | changed)


SCHEME = scheme_of()
PROFILE = NatoProfile(SCHEME)
BARE = scheme_of(levels=[{"name": "RESTRICTED", "mark": "R"}, {"name": "SECRET", "mark": "S"}], approval_level="SECRET")


def said(marking: Marking) -> tuple[str, tuple[str, ...] | None, tuple[str, ...]]:
    assert marking.display_to is None
    return marking.level, marking.releasable_to, marking.caveats


def test_the_profile_is_the_one_that_the_scheme_names() -> None:
    assert isinstance(profile_of(SCHEME), NatoProfile)


@pytest.mark.parametrize(
    ("text", "level", "releasable_to", "caveats"),
    [
        pytest.param("NATO UNCLASSIFIED", "NATO UNCLASSIFIED", ("NATO",), (), id="no-audience-is-the-alliance"),
        pytest.param("COSMIC TOP SECRET", "COSMIC TOP SECRET", ("NATO",), (), id="cosmic"),
        pytest.param("NATO SECRET Releasable to Japan, Switzerland", "NATO SECRET", ("CHE", "JPN", "NATO"), (), id="names"),
        pytest.param("NATO SECRET REL TO JPN, CHE", "NATO SECRET", ("CHE", "JPN", "NATO"), (), id="codes"),
        pytest.param("NATO SECRET Releasable to NATO, JPN", "NATO SECRET", ("JPN", "NATO"), (), id="the-alliance-named-too"),
        pytest.param("NATO SECRET Japan ONLY", "NATO SECRET", ("JPN",), (), id="only"),
        pytest.param("NATO SECRET Ireland, NATO ONLY", "NATO SECRET", ("IRL", "NATO"), (), id="only-with-the-alliance"),
        pytest.param("NATO SECRET United States of America ONLY", "NATO SECRET", (), (), id="ourselves-alone-is-nobody"),
        pytest.param("NATO SECRET Releasable to the Public", "NATO SECRET", None, (), id="the-public"),
        pytest.param("NATO SECRET Releasable to PUBLIC", "NATO SECRET", ("NATO", "PUBLIC"), (), id="a-code-that-is-not-the-public"),
        pytest.param("NATO/KFOR SECRET", "NATO SECRET", ("KFOR",), (), id="a-context"),
        pytest.param("EAPC/NATO CONFIDENTIAL", "NATO CONFIDENTIAL", ("EAPC",), (), id="a-context-written-first"),
        pytest.param("NATO/GEORGIA SECRET", "NATO SECRET", ("GEO", "NATO"), (), id="the-context-of-a-country"),
        pytest.param("NATO / RESOLUTE  SUPPORT SECRET", "NATO SECRET", ("RESOLUTE-SUPPORT",), (), id="a-context-of-two-words"),
        pytest.param("NATO/EAPC CONFIDENTIAL Releasable to ISAF", "NATO CONFIDENTIAL", ("EAPC", "ISAF"), (), id="table-17-no-5"),
        pytest.param(
            "NATO/KFOR CONFIDENTIAL Ireland, Sweden, Ukraine, NATO ONLY", "NATO CONFIDENTIAL", ("IRL", "NATO", "SWE", "UKR"), (), id="no-6"
        ),
        pytest.param("NATO SECRET ATOMAL", "NATO SECRET", ("NATO",), ("ATOMAL",), id="a-sensitivity"),
        pytest.param("COSMIC TOP SECRET-BOHEMIA", "COSMIC TOP SECRET", ("NATO",), ("BOHEMIA",), id="a-sensitivity-joined-to-the-level"),
        pytest.param("NATO SECRET SIOP ESI", "NATO SECRET", ("NATO",), ("SIOP-ESI",), id="a-sensitivity-of-two-words"),
        pytest.param("NATO SECRET SIOP", "NATO SECRET", ("NATO",), ("SIOP",), id="and-its-first-word-alone"),
        pytest.param("NATO SECRET EXERCISE ATOMAL", "NATO SECRET", ("NATO",), ("ATOMAL", "EXERCISE"), id="a-caveat-of-the-scheme"),
        pytest.param("NATO UNCLASSIFIED - STAFF", "NATO UNCLASSIFIED", ("NATO",), ("STAFF",), id="an-administrative-term"),
        pytest.param(
            "NATO UNCLASSIFIED – MEDICAL, STAFF", "NATO UNCLASSIFIED", ("NATO",), ("MEDICAL", "STAFF"), id="two-after-a-long-dash"
        ),
        pytest.param(
            "NATO SECRET ATOMAL Releasable to Korea, Republic of, Japan - STAFF",
            "NATO SECRET",
            ("JPN", "KOR", "NATO"),
            ("ATOMAL", "STAFF"),
            id="all-of-it-with-a-comma-in-a-name",
        ),
        pytest.param("NATO SECRET Releasable to Bulgaria, BLG", "NATO SECRET", ("BGR", "NATO"), (), id="a-value-that-is-not-the-iso-code"),
        pytest.param("nato  secret\trel  to\njpn ,che", "NATO SECRET", ("CHE", "JPN", "NATO"), (), id="lower-case-and-blanks"),
        pytest.param("NATO SANS CLASSIFICATION", "NATO UNCLASSIFIED", ("NATO",), (), id="french"),
        pytest.param("SECRET OTAN", "NATO SECRET", ("NATO",), (), id="french-with-the-level-first"),
        pytest.param("(Confidentiel  OTAN ATOMAL)", "NATO CONFIDENTIAL", ("NATO",), ("ATOMAL",), id="and-a-sensitivity"),
        pytest.param("DIFFUSION RESTREINTE OTAN Communicable à Japon", "NATO RESTRICTED", ("JPN", "NATO"), (), id="and-a-list"),
        pytest.param("OTAN DIFFUSION RESTREINTE", "NATO RESTRICTED", ("NATO",), (), id="french-with-its-own-name"),
        pytest.param("COSMIC TRÈS SECRET", "COSMIC TOP SECRET", ("NATO",), (), id="french-with-accents"),
        pytest.param(
            "NATO CONFIDENTIEL Communicable à Japon, Tchèque, République",
            "NATO CONFIDENTIAL",
            ("CZE", "JPN", "NATO"),
            (),
            id="french-names",
        ),
        pytest.param("NATO SECRET Suède, Etats-Unis SEULEMENT", "NATO SECRET", ("SWE", "USA"), (), id="french-only"),
        pytest.param("NATO SECRET Communicable au public", "NATO SECRET", None, (), id="french-public"),
        pytest.param("(NS)", "NATO SECRET", ("NATO",), (), id="a-portion-mark"),
        pytest.param("NS", "NATO SECRET", ("NATO",), (), id="a-portion-mark-without-parentheses"),
        pytest.param("( ns rel to jpn - staff )", "NATO SECRET", ("JPN", "NATO"), ("STAFF",), id="a-portion-mark-with-all"),
        pytest.param("(CTSA)", "COSMIC TOP SECRET", ("NATO",), ("ATOMAL",), id="a-mark-that-says-a-sensitivity"),
        pytest.param("(CTS-B)", "COSMIC TOP SECRET", ("NATO",), ("BOHEMIA",), id="another"),
        pytest.param("(NATO SECRET Releasable to Japan)", "NATO SECRET", ("JPN", "NATO"), (), id="a-banner-in-parentheses"),
    ],
)
def test_a_marking_is_read_as_it_is_written_in_practice(
    text: str, level: str, releasable_to: tuple[str, ...] | None, caveats: tuple[str, ...]
) -> None:
    assert PROFILE.parse_banner(text) == PROFILE.parse_portion(text) == Marking(level, releasable_to, None, caveats, text)


LABEL = Label("NATO SECRET", releasable_to=("JPN", "NATO"), originators=("USA",))


@pytest.mark.parametrize(
    ("label", "english", "french", "portion"),
    [
        pytest.param(
            LABEL, "NATO SECRET Releasable to Japan", "NATO SECRET Communicable a Japon", "(NS REL TO JPN)", id="beyond-the-alliance"
        ),
        pytest.param(replace(LABEL, releasable_to=("NATO",)), "NATO SECRET", "NATO SECRET", "(NS)", id="the-alliance"),
        pytest.param(
            replace(LABEL, releasable_to=("JPN", "CHE")),
            "NATO SECRET Japan, Switzerland ONLY",
            "NATO SECRET Japon, Suisse SEULEMENT",
            "(NS JPN, CHE ONLY)",
            id="without-the-alliance",
        ),
        pytest.param(
            replace(LABEL, releasable_to=("KFOR",), caveats=("STAFF",)),
            "NATO/KFOR SECRET - STAFF",
            "NATO/KFOR SECRET - STAFF",
            "(NS KFOR ONLY - STAFF)",
            id="a-context",
        ),
        pytest.param(
            replace(LABEL, level="COSMIC TOP SECRET", releasable_to=("KFOR",)),
            "COSMIC TOP SECRET KFOR ONLY",
            "COSMIC TRES SECRET KFOR SEULEMENT",
            "(CTS KFOR ONLY)",
            id="a-context-that-top-secret-has-not",
        ),
        pytest.param(
            replace(LABEL, level="COSMIC TOP SECRET", releasable_to=()),
            "COSMIC TOP SECRET United States of America ONLY",
            "COSMIC TRES SECRET États-Unis SEULEMENT",
            "(CTS USA ONLY)",
            id="nobody",
        ),
        pytest.param(
            replace(LABEL, level="NATO UNCLASSIFIED", releasable_to=UNRESTRICTED),
            "NATO UNCLASSIFIED Releasable to the Public",
            "NATO SANS CLASSIFICATION Communicable au public",
            "(NU REL TO the Public)",
            id="everybody",
        ),
        pytest.param(
            replace(LABEL, caveats=("STAFF", "EXERCISE", "ATOMAL", "MEDICAL"), releasable_to=("NATO", "QUAD", "GBR")),
            "NATO SECRET ATOMAL EXERCISE Releasable to United Kingdom, QUAD - STAFF MEDICAL",
            "NATO SECRET ATOMAL EXERCISE Communicable a Royaume-Uni, QUAD - STAFF MEDICAL",
            "(NS ATOMAL EXERCISE REL TO GBR, QUAD - STAFF MEDICAL)",
            id="all-in-the-policys-order",
        ),
    ],
)
def test_a_label_is_written_in_one_way(label: Label, english: str, french: str, portion: str) -> None:
    assert PROFILE.write_banner(label) == english
    assert PROFILE.write_banner(label, Language.FRENCH) == french
    assert PROFILE.write_portion(label) == portion


def test_a_ladder_without_the_alliances_word_is_written_with_it() -> None:
    profile = NatoProfile(BARE)
    label = Label("SECRET", releasable_to=("NATO",), originators=("USA",))
    assert (profile.write_banner(label), profile.write_portion(label)) == ("NATO SECRET", "(S)")
    assert said(profile.parse_banner("NATO SECRET")) == said(profile.parse_portion("(NS)")) == ("SECRET", ("NATO",), ())


def test_where_the_alliance_is_ourselves_a_marking_without_a_list_is_for_nobody() -> None:
    profile = NatoProfile(scheme_of("NATO"))
    assert said(profile.parse_banner("NATO SECRET")) == ("NATO SECRET", (), ())
    assert profile.write_banner(Label("NATO SECRET", releasable_to=(), originators=("NATO",))) == "NATO SECRET"
    assert said(profile.parse_banner("NATO SECRET Releasable to Japan")) == ("NATO SECRET", ("JPN", "NATO"), ())


def test_a_bundle_that_does_not_know_the_alliance_puts_its_markings_in_quarantine() -> None:
    with pytest.raises(Unresolved, match="unknown code in audience `NATO`") as unresolved:
        label_of(
            PROFILE.parse_banner("NATO SECRET"), categories=(), originators=("USA",), scheme=SCHEME, known_codes=frozenset({"USA", "JPN"})
        )
    assert unresolved.value.code == "unknown-code"


@pytest.mark.parametrize(
    ("text", "message", "offset", "nearest"),
    [
        pytest.param(
            "NATO TOP SECRET",
            "`NATO TOP SECRET`, expected `COSMIC TOP SECRET` at character 0",
            0,
            "COSMIC TOP SECRET",
            id="nato-top-secret",
        ),
        pytest.param("COSMIC SECRET", "`COSMIC SECRET`, expected `NATO SECRET` at character 0", 0, None, id="cosmic-secret"),
        # Of the context alone nobody else is named: another's audience is not offered in its place.
        pytest.param("NATO/KFOR TOP SECRET", "expected `COSMIC TOP SECRET`", 0, None, id="top-secret-in-a-context"),
        pytest.param("NATO SECRET!", "`!` is no character of a marking at character 11", 11, "NATO SECRET", id="a-character"),
        pytest.param("(NS", "`(` is not closed at character 0", 0, "NATO SECRET", id="not-closed"),
        pytest.param("NS)", "`)` was not opened at character 2", 2, "NATO SECRET", id="not-opened"),
        pytest.param("TRÈS SECRET OTAN", "`TRES SECRET OTAN`, expected `COSMIC TOP SECRET`", 0, "COSMIC TOP SECRET", id="otan-top-secret"),
        pytest.param("SECRET OTAN SEULEMENT", "nothing between the commas of a list", 12, None, id="otan-is-the-policy-there"),
        pytest.param("SECRET OTAN, JPN SEULEMENT", "nothing between the commas of a list", 11, None, id="and-no-first-code"),
        pytest.param("NATO (SECRET) - STAFF", "`(` within a marking at character 5", 5, "NATO SECRET - STAFF", id="inner-parentheses"),
        pytest.param(
            "NATO SECRET -", "nothing after ` - `, expected an administrative term, at character 13", 13, "NATO SECRET", id="a-dash"
        ),
        pytest.param(
            "NATO SECRET//REL TO JPN",
            "`//` after the level, expected a blank, at character 11",
            11,
            "NATO SECRET Releasable to Japan",
            id="slashes",
        ),
        pytest.param(
            "NATO SECRET Releasable to JPN,,DEU",
            "nothing between the commas of a list, expected a name or a code, at character 30",
            30,
            "NATO SECRET Releasable to Germany, Japan",
            id="two-commas",
        ),
        pytest.param("NATO SECRET REL TO", "nothing between the commas of a list", 18, None, id="no-code"),
        pytest.param(
            "NATO SECRET REL TO JPN DEU",
            "`JPN DEU` is no name or code, expected one like `Japan` or `JPN`, at character 19",
            19,
            "NATO SECRET Releasable to Germany, Japan",
            id="no-comma",
        ),
        pytest.param(
            "NATO SECRET Releasable to Untied Kingdom",
            "`UNTIED KINGDOM` is no name or code",
            26,
            "NATO SECRET Releasable to United Kingdom",
            id="a-slip-in-a-name",
        ),
        pytest.param(
            "NATO SECRET Relesable to Japan",
            "`RELESABLE TO JAPAN`, expected `Releasable to` and names, at character 12",
            12,
            "NATO SECRET Releasable to Japan",
            id="a-slip-in-the-opening",
        ),
        pytest.param("NATO SECRET REL JPN", "expected `Releasable to` and names", 12, "NATO SECRET Releasable to Japan", id="no-to"),
        pytest.param(
            "NATO SECRET JPN, DEU",
            "a list `JPN, DEU` without `Releasable to` or `ONLY`, at character 12",
            12,
            "NATO SECRET Germany, Japan ONLY",
            id="a-list-alone",
        ),
        pytest.param("NATO SECRET REL TO JPN ONLY", "`ONLY` beside `Releasable to`, expected one of them", 12, None, id="both"),
        pytest.param("NATO SECRET ONLY", "nothing between the commas of a list", 12, None, id="only-nobody"),
        pytest.param("NATO SECRET REL TO the Public, JPN", "`THE PUBLIC` is no name or code", 19, None, id="the-public-and-one-more"),
        pytest.param(
            "NATO SECRET GBR/USA ONLY",
            "`GBR/USA` is no name or code",
            12,
            "NATO SECRET United Kingdom, United States of America ONLY",
            id="a-slash",
        ),
        pytest.param("NATO SECRET REL TO JPN AND CHE", "no name or code", 19, "NATO SECRET Releasable to Japan, Switzerland", id="and"),
        pytest.param("NATO SECRET REL TO JPN EXCEPT CHE", "no name or code", 19, None, id="except"),
        pytest.param("NATO SECRET GBR/USA STAFF ONLY", "no name or code", 12, None, id="a-word-among-the-codes"),
        pytest.param("NATO SECRET" + " " * 4096, "more than 4096 characters", 4096, None, id="too-long"),
    ],
)
def test_what_is_malformed_is_refused_with_place_rule_and_nearest_marking(
    text: str, message: str, offset: int, nearest: str | None
) -> None:
    with pytest.raises(MarkingError) as refused:
        PROFILE.parse_banner(text)
    assert not isinstance(refused.value, Unresolved)
    assert message in str(refused.value)
    assert (refused.value.text, refused.value.offset, refused.value.code) == (text, offset, "malformed-marking")
    assert refused.value.nearest == nearest
    if nearest is not None:
        assert str(refused.value).endswith(f"; nearest legal marking `{nearest}`")


@pytest.mark.parametrize(
    ("text", "code", "message", "offset", "nearest"),
    [
        pytest.param("", "unmarked", "unmarked, expected a level", 0, None, id="nothing"),
        pytest.param(" ( ) ", "unmarked", "unmarked, expected a level", 3, None, id="nothing-in-parentheses"),
        pytest.param(
            "SECRET", "unknown-level", "level `SECRET` without its policy, expected `NATO` before it", 0, "NATO SECRET", id="whose-secret"
        ),
        pytest.param("TOP SECRET", "unknown-level", "without its policy", 0, "COSMIC TOP SECRET", id="whose-top-secret"),
        pytest.param("DEU GEHEIM", "unknown-level", "unknown level `DEU`, expected `NATO` or `COSMIC`", 0, None, id="another-policy"),
        pytest.param("NATO SECRT - STAFF", "unknown-level", "unknown level `SECRT`", 5, "NATO SECRET - STAFF", id="a-slip-in-the-level"),
        pytest.param("NATO", "unknown-level", "no level, expected one of", 4, None, id="no-level"),
        pytest.param("NATO/KFR SECRET", "unknown-token", "unknown context `KFR`", 5, "NATO/KFOR SECRET", id="a-context"),
        pytest.param("NATO SECRET ATOML", "unknown-token", "unknown word `ATOML`", 12, "NATO SECRET ATOMAL", id="a-slip-in-a-sensitivity"),
        pytest.param("NATO SECRET CRYPTO", "unknown-token", "unknown caveat `CRYPTO`", 12, None, id="a-sensitivity-the-scheme-lacks"),
        pytest.param("NATO SECRET - STAF", "unknown-token", "unknown administrative term `STAF`", 14, "NATO SECRET - STAFF", id="a-term"),
        pytest.param("NATO SECRET - PERSONAL", "unknown-token", "unknown caveat `PERSONAL`", 14, None, id="a-term-the-scheme-lacks"),
        pytest.param("NATO SECRET STAFF", "unknown-token", "unknown word `STAFF`", 12, "NATO SECRET - STAFF", id="a-term-without-its-dash"),
    ],
)
def test_what_is_unknown_is_unresolved_with_place_and_nearest_marking(
    text: str, code: str, message: str, offset: int, nearest: str | None
) -> None:
    with pytest.raises(Unresolved) as unresolved:
        PROFILE.parse_banner(text)
    assert message in str(unresolved.value)
    assert (unresolved.value.text, unresolved.value.offset, unresolved.value.code) == (text, offset, code)
    assert unresolved.value.nearest == nearest


def test_a_level_that_the_ladder_lacks_is_unresolved() -> None:
    with pytest.raises(Unresolved, match="unknown level `CONFIDENTIAL`, expected one of `RESTRICTED`, `SECRET`") as unresolved:
        NatoProfile(BARE).parse_banner("NATO CONFIDENTIAL")
    assert unresolved.value.code == "unknown-level"


@pytest.mark.parametrize(
    ("label", "message"),
    [
        pytest.param(replace(LABEL, display_to=("DEU",)), "an audience that may look and not keep", id="display"),
        pytest.param(replace(LABEL, display_to=UNRESTRICTED), "`*` for display alone has no marking", id="display-to-all"),
        pytest.param(replace(LABEL, releasable_to=("JAPAN",)), "`JAPAN`, which this profile would read as another", id="a-name-as-a-code"),
        pytest.param(replace(LABEL, releasable_to=("BLG",)), "`BLG`, which this profile would read as another", id="a-value-as-a-code"),
        pytest.param(replace(LABEL, releasable_to=("ONLY",)), "`ONLY`, which this profile would read as another", id="a-word-as-a-code"),
        pytest.param(replace(LABEL, releasable_to=("J P",)), "`J P`, which is not a code", id="no-code"),
        pytest.param(replace(LABEL, caveats=("SIOP",), releasable_to=("ESI",)), "which says something else", id="words-that-join"),
        pytest.param(replace(LABEL, caveats=("CRYPTO",)), "unknown caveat `CRYPTO`", id="caveat"),
        pytest.param(replace(LABEL, level="SECRET"), "unknown level `SECRET`", id="level"),
    ],
)
def test_a_label_without_words_for_it_is_not_written(label: Label, message: str) -> None:
    for write in (PROFILE.write_banner, PROFILE.write_portion):
        with pytest.raises(Rejected) as refused:
            write(label)
        assert message in str(refused.value)
        assert isinstance(refused.value, UnknownName) or refused.value.code == "unmarkable"


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        pytest.param([("NATO SECRET", "NS"), ("OFFICIAL", "O")], "level `OFFICIAL` is none of profile", id="another-ladder"),
        pytest.param([("SECRET", "S"), ("NATO SECRET", "NS")], "levels `SECRET` and `NATO SECRET` are one", id="twice"),
        pytest.param([("NATO SECRET", "NC")], "portion mark `NC` of `NATO SECRET` means something else", id="anothers-mark"),
        pytest.param([("NATO SECRET", "NSAT")], "portion mark `NSAT` of `NATO SECRET` means something else", id="a-mark-that-says-more"),
        pytest.param([("NATO SECRET", "NATO")], "portion mark `NATO` of", id="the-policys-word"),
        pytest.param([("SECRET", "S"), ("RESTRICTED", "R")], "are in the order UNCLASSIFIED, RESTRICTED", id="order"),
    ],
)
def test_a_ladder_that_is_not_the_alliances_is_refused(levels: list[tuple[str, str]], message: str) -> None:
    ladder = tuple(Level(name, mark) for name, mark in levels)
    with pytest.raises(SchemeError) as refused:
        profile_of(replace(SCHEME, levels=ladder))
    assert message in str(refused.value)
    assert refused.value.key == "levels"


@pytest.mark.parametrize("caveat", ["ONLY", "REL", "UNITED", "KOREA", "RESOLUTE"])
def test_a_caveat_that_would_be_read_as_an_audience_is_refused(caveat: str) -> None:
    with pytest.raises(SchemeError, match=f"caveat `{caveat}` would be read as an audience"):
        profile_of(replace(SCHEME, caveats=(caveat,)))


@pytest.mark.parametrize(
    ("tag", "language"),
    [("fr", Language.FRENCH), ("fr-CA", Language.FRENCH), ("en-GB", Language.ENGLISH), ("frr", Language.ENGLISH), ("de", Language.ENGLISH)],
)
def test_a_marking_is_displayed_in_french_to_who_asks_for_it_and_else_in_english(tag: str, language: Language) -> None:
    assert language_of(tag) is language


def test_a_list_that_leaves_out_its_own_context_is_displayed_with_only() -> None:
    # `Releasable to Japan` would say that the Alliance may have it too.
    assert display(ConfidentialityLabel("NATO", "SECRET", releasable_to=("JPN",))) == "NATO SECRET Japan ONLY"


def test_a_label_of_another_policy_is_not_displayed() -> None:
    with pytest.raises(Rejected, match="a label of policy `DEU` has no marking"):
        display(ConfidentialityLabel("DEU", "GEHEIM"))


# --- XML in place of text ---------------------------------------------------------------------------------------------


def test_an_xml_label_is_read_in_place_of_a_marking_and_kept_verbatim() -> None:
    xml = PROFILE.write_xml(replace(LABEL, caveats=("STAFF",))).decode()
    assert PROFILE.parse_banner(xml) == Marking("NATO SECRET", ("JPN", "NATO"), None, ("STAFF",), xml)


def test_an_xml_label_with_a_caveat_the_scheme_lacks_is_unresolved_at_its_place() -> None:
    xml = PROFILE.write_xml(replace(LABEL, caveats=("ATOMAL",))).decode()
    with pytest.raises(Unresolved, match="unknown caveat `ATOMAL`") as unresolved:
        NatoProfile(scheme_of(caveats=[])).parse_banner(xml)
    assert xml[unresolved.value.offset :].startswith("<GenericValue>ATOMAL")


def test_an_xml_label_of_another_policy_is_that_issuers_and_names_nobody() -> None:
    xml = (
        '<originatorConfidentialityLabel xmlns="urn:nato:stanag:4774:confidentialitymetadatalabel:1:0"><ConfidentialityInformation>'
        "<PolicyIdentifier>DEU</PolicyIdentifier><Classification>GEHEIM</Classification>"
        "</ConfidentialityInformation></originatorConfidentialityLabel>"
    )
    assert PROFILE.parse_banner(xml) == Marking("GEHEIM", (), None, (), xml, issuers=("DEU",), originators=("DEU",))
    with pytest.raises(Unresolved, match="policy `Ruritania!` is no code of an issuer"):
        PROFILE.parse_banner(xml.replace("DEU", "Ruritania!"))


# --- laws -----------------------------------------------------------------------------------------------------------

CODES = st.one_of(
    st.sampled_from(sorted(CATEGORIES[TagSet.ONLY])),
    st.sampled_from(
        ["USA", "NATO", "NATO-HQ", "IND", "QUAD", "UN-DPO", "A", "STAFF", "EXERCISE", "ATOMAL", "SECRET", "PUBLIC", "NS", "ESI"]
    ),
)
AUDIENCES = st.just(UNRESTRICTED) | st.lists(CODES, max_size=6).map(tuple)


def labels(scheme: Scheme) -> st.SearchStrategy[Label]:
    return st.builds(
        Label,
        level=st.sampled_from([level.name for level in scheme.levels]),
        releasable_to=AUDIENCES,
        caveats=st.lists(st.sampled_from(scheme.caveats), max_size=4).map(tuple),
        originators=st.just(("USA",)),
    )


SCHEMES = {own: scheme_of(own) for own in ("USA", "NATO", "NATO-HQ")}
PROFILES = {own: NatoProfile(scheme) for own, scheme in SCHEMES.items()}


@settings(deadline=None)
@given(st.data())
def test_reading_what_was_written_gives_the_label_again(data: st.DataObject) -> None:
    own = data.draw(st.sampled_from(sorted(SCHEMES)))
    scheme, profile = SCHEMES[own], PROFILES[own]
    label = data.draw(labels(scheme))
    part = said(marking_part(label, scheme=scheme))
    try:
        texts = [
            profile.write_banner(label),
            profile.write_banner(label, Language.FRENCH),
            profile.write_portion(label),
            profile.write_xml(label).decode(),
        ]
    except Rejected as refused:
        # `SIOP` and a list that begins with the code `ESI`: no other label has words that join.
        assert refused.code == "unmarkable"
        assert "SIOP" in label.caveats and "ESI" in label.releasable_to
        return
    for text in texts:
        assert said(profile.parse_banner(text)) == said(profile.parse_portion(text)) == part
        assert said(profile.parse_banner(text.lower() if not text.startswith("<") else text)) == part
    assert profile.write_banner(label) == profile.write_banner(
        replace(label, releasable_to=part[1] if part[1] is not None else UNRESTRICTED)
    )


def folded(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFD", text.upper()) if not unicodedata.combining(letter))


def ways_to_name(code: str) -> set[str]:
    """Everything in a text that can stand for a code, by a way of its own: names from the published table, contexts, marks."""
    category = CATEGORIES[TagSet.ONLY].get(code)
    ways = {code} | ({category.value, category.english, category.french} - {""} if category else set())
    for context, audience in CONTEXT_AUDIENCES.items():
        if code in audience:
            ways.add(context.replace("-", " "))
    if code == "NATO":
        ways |= {"OTAN", "COSMIC", "NU", "NR", "NC", "NS", "CTS"}
    return {folded(way) for way in ways}


def check_not_wider(text: str) -> bool:
    """Whether a text is a marking; if so it names nobody and nothing that the text does not, and says it again when written."""
    try:
        read = PROFILE.read(text)
        marking = PROFILE.parse_banner(text)
    except MarkingError as error:
        if error.nearest is not None:
            check_mended(text, error.nearest)
        return False
    flat = " ".join(folded(text).split())
    assert PROFILE.read(display(read)) == read
    if marking.releasable_to is None:
        assert "PUBLIC" in flat
    for code in marking.releasable_to or ():
        assert any(way in flat for way in ways_to_name(code)), (text, code)
    for caveat in marking.caveats:
        assert caveat.replace("-", " ") in flat.replace("-", " ") or re.search("CTSA|NSAT|NCA|CTS-B", flat), (text, caveat)
    level = CLASSIFICATIONS[read.classification]
    assert any(word in flat for word in (level.name, level.french, level.mark, "NCA")), text
    return True


def check_mended(text: str, nearest: str) -> None:
    """A nearest marking is one, names nobody whom the text does not name but for a slip, and leaves out nothing that narrows it."""
    said = PROFILE.read(nearest)
    before, after = (set(re.findall("[A-Z0-9]+", folded(one))) for one in (text, nearest))
    for code in {*said.releasable_to, *said.only} - {"NATO", "KFOR", "EAPC"}:
        ways = [set(re.findall("[A-Z0-9]+", way)) for way in ways_to_name(code)]
        assert any(len(way - before) <= 1 and (way & before or len(way) == 1) for way in ways), (text, nearest, code)
    assert not before & {"ONLY", "SEULEMENT"} or said.only or said.releasable_to or said.context != "NATO", (text, nearest)
    for word in ("ATOMAL", "SIOP", "EXERCISE", "STAFF", "MEDICAL", "COSMIC"):
        assert word not in before or word in after, (text, nearest)
    assert not {"JPN", "USA", "QUAD", "JAPAN"} & before or said.only or said.releasable_to or said.context != "NATO", (text, nearest)


@settings(deadline=None)
@given(st.text(max_size=40) | st.text(alphabet="NATOSECRUJPDLY /,-()*'é\t", max_size=40))
def test_no_text_makes_the_reader_fail_or_is_read_as_more_than_it_says(text: str) -> None:
    check_not_wider(text)


WORDS = (
    *("NATO", "OTAN", "COSMIC", "NATO/KFOR", "EAPC/NATO", "NATO/", "/", "NS", "(NS", "CTSA", "(NU", "SECRET", "TOP SECRET", "UNCLASSIFIED"),
    *("SANS CLASSIFICATION", "CONFIDENTIEL", "très secret", "ATOMAL", "SIOP", "ESI", "EXERCISE", "-", " - ", "–", "STAFF", "MEDICAL"),
    *("Releasable to", "REL TO", "REL", "Communicable à", "Communicable au", "the Public", "PUBLIC", "ONLY", "SEULEMENT", ",", ",", ", "),
    *(
        "JPN",
        "Japan",
        "Korea, Republic of",
        "Korea",
        "République",
        "Tchèque, République",
        "USA",
        "QUAD",
        "United",
        "Kingdom",
        ")",
        "(",
        "NATO",
    ),
)


HEADS = (
    "NATO SECRET",
    "SECRET OTAN",
    "(NS",
    "NATO/KFOR CONFIDENTIAL",
    "COSMIC TOP SECRET",
    "NU",
    "OTAN DIFFUSION RESTREINTE",
    "EAPC/NATO SECRET",
    "CTSA",
)
LISTS = (
    "Releasable to Japan, JPN",
    "REL TO QUAD, Korea, Republic of",
    "USA, NATO ONLY",
    "Communicable à Tchèque, République",
    "rel to the Public",
)


def some_text(draw: random.Random) -> str:
    """A marking, or words of markings, with a few slips in it."""
    if draw.random() < 0.2:
        words = draw.choices(WORDS, k=draw.randint(1, 8))
    else:
        words = draw.choice(HEADS).split(" ")
        words += draw.choices(("ATOMAL", "SIOP", "EXERCISE"), k=draw.choice((0, 0, 1, 2)))
        words += draw.choice((*LISTS, "", "")).split(" ")
        words += draw.choice(("- STAFF", "– STAFF, MEDICAL", "", "")).split(" ")
    for _ in range(draw.choice((0, 0, 1, 2))):
        at = draw.randrange(len(words) + 1)
        words[at : at + draw.choice((0, 1))] = draw.choices(WORDS, k=draw.choice((0, 1)))
    return draw.choice((" ", " ", " ", "")).join(words)


def some_texts(seed: int, count: int) -> int:
    """Check so many texts; how many were markings."""
    draw = random.Random(seed)
    return sum(check_not_wider(some_text(draw)) for _ in range(count))


def test_ten_thousand_texts_of_the_words_of_markings_are_never_read_as_more_than_they_say() -> None:
    assert some_texts(4774, 10_000) > 1_000


@pytest.mark.campaign
def test_a_million_texts_of_the_words_of_markings_are_never_read_as_more_than_they_say() -> None:
    assert some_texts(17, 1_000_000) > 100_000
