"""What the mapping `frus` promises: rules of `service/demo/frus.py`, by the papers shipped and by traps made by hand.

The traps are those that the source's description names; phrases and texts are quoted from the documents they are named after
(public domain, Office of the Historian, US Department of State).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.demo import MAPPINGS
from service.demo.frus import ADDITIONS, CAVEATS, LADDER, NO_RESTRICTION, NOT_FOR_PARTNERS, map_document
from service.errors import Rejected
from service.labels.markings import Marking, profile_of
from service.labels.scheme import AudienceOnCopies, Level, Profile, ReleasableIn, Scheme

SCHEME = Scheme(
    own="USA",
    profile=Profile.IC_2016,
    levels=tuple(Level(name, mark) for name, mark in LADDER.items()),
    categories=(
        "ARMS-CONTROL", "AIR", "BASES", "CYBER", "DIPLOMATIC", "ECONOMIC", "EXERCISE", "INTELLIGENCE", "INTEL-SOURCES", "LOGISTICS",
        "MARITIME", "NUCLEAR", "PEACEKEEPING",
    ),
    caveats=("ORCON", "RELIDO", "EXDIS", "NODIS", "LIMDIS"),
    purposes=(),
    expandable=("FVEY", "QUAD"),
    public_communities=("FVEY",),
    categories_required_from="CONFIDENTIAL",
    audience_required_from="CONFIDENTIAL",
    approval_level="SECRET",
    releasable_in=ReleasableIn.PORTIONS,
    audience_on_copies=AudienceOnCopies.OWN,
)  # fmt: skip
PROFILE = profile_of(SCHEME)

RANK_IN_SOURCE = {"UNCLASSIFIED": 0, "LIMITED OFFICIAL USE": 1, "CONFIDENTIAL": 1, "SECRET": 2, "TOP SECRET": 3}

DOCUMENTS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "service" / "demo" / "documents.jsonl").read_text(encoding="utf-8").splitlines()
]


def document(**changes: Any) -> dict[str, Any]:
    """A document of the source's form; `SECRET`, about a base in Japan, with two paragraphs and no mark on them."""
    made: dict[str, Any] = {
        "id": "frus-made/d1",
        "volume_title": "Made by hand",
        "title": "Memorandum",
        "date": "1966-01-01",
        "place": None,
        "source_note": "Source: made by hand. Secret.",
        "original_marking": "Secret",
        "original_level": "SECRET",
        "handling": [],
        "precedence": [],
        "countries": ["JPN"],
        "topics": ["BASES"],
        "subject": None,
        "participants": [],
        "signed": [],
        "paragraphs": ["First.", "Second."],
        "portion_marks": [None, None],
        "omissions": 0,
        "withheld_in_full": False,
        "truncated": False,
    }
    made.update(changes)
    if "paragraphs" in changes and "portion_marks" not in changes:
        made["portion_marks"] = [None] * len(made["paragraphs"])
    return made


def portion_markings(item: Mapping[str, Any]) -> list[str]:
    """Of the paragraphs alone, in order."""
    return [portion["marking"] for portion in item["portions"] if portion["kind"] == "text"]


def quarantined(item: Mapping[str, Any]) -> bool:
    """No marking anywhere: the import finds nothing to go by."""
    return item["marking"] == "" and all(portion["marking"] == "" for portion in item["portions"])


def rank(marking: Marking) -> int:
    return SCHEME.rank(marking.level)


def addressed(marking: str) -> set[str]:
    """Who is named, `*` for unrestricted."""
    named = PROFILE.parse_portion(marking).releasable_to
    return {"*"} if named is None else set(named) - {"USA"}


def test_the_mapping_is_known_by_its_name() -> None:
    assert dict(MAPPINGS) == {"frus": map_document}


# The papers that ship.


@pytest.mark.parametrize("paper", DOCUMENTS, ids=lambda paper: str(paper["id"]))
def test_a_shipped_paper_keeps_its_level_its_text_and_its_words(paper: dict[str, Any]) -> None:
    item = map_document(paper)
    assert item["ref"] == paper["id"]
    kinds = [portion["kind"] for portion in item["portions"]]
    assert kinds == ["title", *(["text"] * len(paper["paragraphs"])), "json"]
    assert item["portions"][0]["text"] == paper["title"]
    assert [portion["text"] for portion in item["portions"][1:-1]] == paper["paragraphs"]
    record = item["portions"][-1]["value"]
    assert record["original_marking"] == paper["original_marking"]
    assert record["source_note"] == paper["source_note"]
    if paper["original_level"] is None:
        assert quarantined(item)
        return
    if quarantined(item):
        assert paper["handling"] == ["[handling restriction not declassified]"]
        return
    banner = PROFILE.parse_banner(item["marking"])
    assert rank(banner) >= RANK_IN_SOURCE[paper["original_level"]]
    marks = [PROFILE.parse_portion(portion["marking"]) for portion in item["portions"]]
    assert all(rank(mark) <= rank(banner) for mark in marks)
    for printed, mark in zip(paper["portion_marks"], marks[1:-1], strict=True):
        if printed is not None:
            assert LADDER[mark.level] == printed
    assert rank(marks[-1]) == rank(banner)


@pytest.mark.parametrize("paper", DOCUMENTS, ids=lambda paper: str(paper["id"]))
def test_a_marking_is_written_as_its_profile_writes_it(paper: dict[str, Any]) -> None:
    item = map_document(paper)
    if quarantined(item):
        return
    for portion in item["portions"]:
        mark = PROFILE.parse_portion(portion["marking"])
        if mark.releasable_to and len(mark.releasable_to) > 1:
            codes = portion["marking"].split("REL TO ")[1].split(")")[0].split("//")[0].split(", ")
            assert codes == ["USA", *sorted(set(codes) - {"USA"}, key=lambda code: (len(code) != 3, code))]
        assert set(portion.get("categories", item["categories"])) <= set(SCHEME.categories)


# Level.


@pytest.mark.parametrize(
    ("level", "phrase", "banner"),
    [
        pytest.param("UNCLASSIFIED", "Unclassified", "UNCLASSIFIED", id="unclassified-names-no-audience"),
        pytest.param("CONFIDENTIAL", "Confidential", "CONFIDENTIAL//REL TO USA, JPN, FVEY", id="confidential"),
        pytest.param("SECRET", "Secret", "SECRET//REL TO USA, JPN, FVEY", id="secret"),
        pytest.param("TOP SECRET", "Top Secret", "TOP SECRET//NOFORN", id="top-secret-is-for-nobody"),
        pytest.param(
            "LIMITED OFFICIAL USE", "Limited Official Use", "CONFIDENTIAL//REL TO USA, JPN, FVEY", id="no-equal-is-the-next-higher"
        ),
        pytest.param("LIMITED OFFICIAL USE", "Official Use Only", "CONFIDENTIAL//REL TO USA, JPN, FVEY", id="official-use-only-too"),
    ],
)
def test_a_level_becomes_itself_or_the_next_higher(level: str, phrase: str, banner: str) -> None:
    handling = ["OFFICIAL USE ONLY"] if phrase == "Official Use Only" else []
    item = map_document(document(original_level=level, original_marking=phrase, handling=handling))
    assert item["marking"] == banner


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"original_level": None, "original_marking": "No classification marking"}, id="unmarked"),
        pytest.param(
            {"original_level": None, "original_marking": "Personal and Confidential", "handling": ["PERSONAL AND CONFIDENTIAL"]},
            id="personal-and-confidential-is-no-classification",
        ),
        pytest.param(
            {"original_level": None, "original_marking": "Administratively Confidential", "handling": ["ADMINISTRATIVELY CONFIDENTIAL"]},
            id="administratively-confidential-is-none-either",
        ),
        pytest.param({"original_level": None, "original_marking": "Eyes Only", "handling": ["EYES ONLY"]}, id="eyes-only-alone"),
        pytest.param(
            {
                "original_level": None,
                "original_marking": "The letter has no classification markings; the attachment is Secret, Eyes Only",
            },
            id="a-letter-without-marking-and-a-secret-attachment",
        ),
        pytest.param({"original_level": "COSMIC TOP SECRET", "original_marking": "Cosmic Top Secret"}, id="another-ladder"),
        pytest.param({"original_level": "secret"}, id="a-level-in-lower-case"),
        pytest.param({"original_level": "CONFIDENTIAL"}, id="a-level-below-the-phrase"),
        pytest.param(
            {"original_level": "CONFIDENTIAL", "original_marking": "Personal and Confidential"}, id="a-level-from-inside-the-phrase"
        ),
        pytest.param({"original_marking": "Secret; Exdis"}, id="a-part-of-the-phrase-that-handling-leaves-out"),
        pytest.param({"handling": ["EXDIS"]}, id="a-handling-that-the-phrase-does-not-hold"),
        pytest.param(
            {
                "original_marking": "Secret; [handling restriction not declassified]",
                "handling": ["[handling restriction not declassified]"],
            },
            id="a-restriction-that-is-itself-withheld",
        ),
        pytest.param({"original_marking": "Secret; Umbra", "handling": ["UMBRA"]}, id="a-handling-not-named-in-the-rules"),
        pytest.param({"topics": ["BASES", "WEATHER"]}, id="a-topic-that-is-no-category"),
        pytest.param({"topics": ["INTEL-SOURCES"]}, id="a-category-that-is-no-topic"),
        pytest.param({"portion_marks": ["S", "R"]}, id="an-unknown-portion-mark"),
        pytest.param({"portion_marks": ["S", "TS"]}, id="a-portion-above-its-document"),
        pytest.param(
            {"original_level": "UNCLASSIFIED", "original_marking": "Unclassified", "portion_marks": [None, "C"]},
            id="a-classified-portion-in-an-unclassified-document",
        ),
    ],
)
def test_what_is_not_wholly_understood_gets_no_marking_anywhere(changes: dict[str, Any]) -> None:
    made = document(**changes)
    item = map_document(made)
    assert quarantined(item)
    assert item["portions"][-1]["value"]["original_marking"] == made["original_marking"]
    assert "INTEL-SOURCES" not in item.get("categories", [])


@pytest.mark.parametrize(
    ("phrase", "level", "precedence"),
    [
        pytest.param("Confidential, Priority", "CONFIDENTIAL", ["PRIORITY"], id="a-comma-in-place-of-a-semicolon"),
        pytest.param("Unclassified; Niact", "UNCLASSIFIED", ["NIACT"], id="night-action"),
        pytest.param("Secret; Niact Immediate", "SECRET", ["NIACT IMMEDIATE"], id="two-words"),
    ],
)
def test_urgency_changes_nothing(phrase: str, level: str, precedence: list[str]) -> None:
    urgent = map_document(document(original_marking=phrase, original_level=level, precedence=precedence))
    plain = map_document(document(original_marking=level.capitalize(), original_level=level))
    assert urgent["marking"] == plain["marking"]
    assert portion_markings(urgent) == portion_markings(plain)


# Handling.


@pytest.mark.parametrize(
    ("phrase", "handling", "banner"),
    [
        pytest.param("Secret; Exdis", ["EXDIS"], "SECRET//REL TO USA, JPN, FVEY//EXDIS", id="exdis"),
        pytest.param("Secret; Nodis", ["NODIS"], "SECRET//REL TO USA, JPN, FVEY//NODIS", id="nodis"),
        pytest.param("Secret; Limdis", ["LIMDIS"], "SECRET//REL TO USA, JPN, FVEY//LIMDIS", id="limdis"),
        pytest.param("Secret; Limited Distribution", ["LIMITED DISTRIBUTION"], "SECRET//NOFORN", id="limited-distribution-is-not-limdis"),
        pytest.param("Secret; Noforn", ["NOFORN"], "SECRET//NOFORN", id="noforn"),
        pytest.param(
            "Secret; Not Releasable to Foreign Nationals; Dissemination and Extraction of Information Controlled by Originator",
            ["NOT RELEASABLE TO FOREIGN NATIONALS", "DISSEMINATION AND EXTRACTION OF INFORMATION CONTROLLED BY ORIGINATOR"],
            "SECRET//ORCON/NOFORN",
            id="spelled-out",
        ),
        pytest.param("Secret; Noforn; Nocontract; Orcon", ["NOFORN", "NOCONTRACT", "ORCON"], "SECRET//ORCON/NOFORN", id="three"),
        pytest.param("Secret; Restricted Data", ["RESTRICTED DATA"], "SECRET//NOFORN", id="restricted-data"),
        pytest.param("Secret, Restricted Data", ["RESTRICTED DATA"], "SECRET//NOFORN", id="restricted-data-after-a-comma"),
        pytest.param("Secret; Eyes Only", ["EYES ONLY"], "SECRET//NOFORN", id="eyes-only"),
        pytest.param(
            "Secret; Official–Informal; Roger Channel", ["OFFICIAL–INFORMAL", "ROGER CHANNEL"], "SECRET//NOFORN", id="roger-channel"
        ),
        pytest.param("Secret; Official–Informal", ["OFFICIAL–INFORMAL"], "SECRET//REL TO USA, JPN, FVEY", id="a-form-of-letter"),
        pytest.param("Secret; Cherokee; Nodis", ["CHEROKEE", "NODIS"], "SECRET//NOFORN//NODIS", id="noforn-and-a-caveat"),
    ],
)
def test_handling_is_a_caveat_or_nobody(phrase: str, handling: list[str], banner: str) -> None:
    item = map_document(document(original_marking=phrase, handling=handling))
    assert item["marking"] == banner
    understood = PROFILE.parse_banner(banner)
    for portion in item["portions"]:
        mark = PROFILE.parse_portion(portion["marking"])
        assert mark.caveats == understood.caveats
        assert mark.releasable_to == understood.releasable_to


def test_an_unclassified_document_that_is_restricted_is_for_nobody() -> None:
    item = map_document(document(original_level="UNCLASSIFIED", original_marking="Unclassified; Noforn", handling=["NOFORN"]))
    assert item["marking"] == "UNCLASSIFIED//NOFORN"
    assert {portion["marking"] for portion in item["portions"]} == {"(U//NF)"}


def test_a_document_withheld_in_full_is_for_nobody_in_every_part() -> None:
    item = map_document(document(withheld_in_full=True, paragraphs=["[3 pages not declassified]"]))
    assert item["marking"] == "SECRET//NOFORN"
    assert [portion["marking"] for portion in item["portions"]] == ["(U//NF)", "(S//NF)", "(S//NF)"]


# Portions.


def test_a_mark_at_the_head_covers_the_sub_paragraphs_below_it() -> None:
    # After frus1964-68v29p2/d89: Top Secret as a whole, paragraphs of lower marks, number and signature without any.
    item = map_document(
        document(
            original_level="TOP SECRET",
            original_marking="Top Secret",
            paragraphs=[
                "JCSM–406–67",
                "2. (S) The Joint Chiefs of Staff believe that:",
                "a. Reversion of the Ryukyus would weaken the US position in the Far East.",
                "(1) The least disruptive alternative ...",
                "4. (U) The Joint Chiefs of Staff recommend that ...",
                "For the Joint Chiefs of Staff:",
                "a. A list after the signature is under no mark.",
            ],
            portion_marks=[None, "S", None, None, "U", None, None],
        )
    )
    shared = "REL TO USA, JPN, FVEY"
    assert portion_markings(item) == [
        "(TS//NF)", f"(S//{shared})", f"(S//{shared})", f"(S//{shared})", f"(U//{shared})", "(TS//NF)", "(TS//NF)",
    ]  # fmt: skip
    assert item["marking"] == "TOP SECRET//NOFORN"
    assert item["portions"][0]["marking"] == f"(U//{shared})"
    # The source record names the original level, so it stays with it.
    assert item["portions"][-1]["marking"] == "(TS//NF)"


def test_a_mark_at_the_end_covers_its_own_paragraph_only() -> None:
    item = map_document(
        document(
            paragraphs=["We should say so. (C)", "• Build up basic strength.", "• Learn more. (S)"],
            portion_marks=["C", None, "S"],
        )
    )
    assert [marking[1] for marking in portion_markings(item)] == ["C", "S", "S"]


def test_a_numbered_paragraph_without_mark_is_nobodys_sub_paragraph() -> None:
    # frus1977-80v21/d195 has marked paragraphs 1 and 3 and an unmarked 2.
    item = map_document(document(paragraphs=["1. (C) One.", "2. Two.", "a. Below two."], portion_marks=["C", None, None]))
    assert [marking[1] for marking in portion_markings(item)] == ["C", "S", "S"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("(C) In keeping with our basic conception stated above", id="frus1958-60v07p1-d108"),
        pytest.param("(C) INTERNATIONAL INVESTMENT TRUST;", id="frus1969-76ve14p1-d29"),
        pytest.param("SECRET//REL TO USA, IND is what this line says", id="a-marking-in-the-text"),
    ],
)
def test_text_is_never_read_as_a_mark(text: str) -> None:
    unclassified = document(original_level="UNCLASSIFIED", original_marking="Unclassified", paragraphs=[text])
    assert portion_markings(map_document(unclassified)) == ["(U)"]
    top_secret = document(original_level="TOP SECRET", original_marking="Top Secret", paragraphs=[text])
    assert portion_markings(map_document(top_secret)) == ["(TS//NF)"]


def test_an_unclassified_paragraph_of_a_classified_paper_is_not_open_to_all() -> None:
    item = map_document(document(paragraphs=["1. (U) Open.", "2. (S) Not."], portion_marks=["U", "S"]))
    assert portion_markings(item)[0] == "(U//REL TO USA, JPN, FVEY)"


@pytest.mark.parametrize(
    ("topics", "expected", "categories"),
    [
        pytest.param(["BASES"], "(S//NF)", None, id="nobody"),
        pytest.param(["BASES", "INTELLIGENCE"], "(S//REL TO USA, FVEY)", ["BASES", "INTEL-SOURCES", "INTELLIGENCE"], id="by-category"),
    ],
)
def test_a_paragraph_with_an_omission_is_held_back(topics: list[str], expected: str, categories: list[str] | None) -> None:
    texts = ["Whole.", "He said [less than 1 line of source text not declassified] to us.", "[Omitted here is unrelated text.]"]
    item = map_document(document(topics=topics, paragraphs=texts))
    _, whole, part, editors, _ = item["portions"]
    assert part["marking"] == expected
    assert part.get("categories") == categories
    assert "categories" not in whole and "categories" not in editors
    assert whole["marking"] == editors["marking"] != "(S//NF)"


# Audience.


@pytest.mark.parametrize(
    ("level", "topics", "countries", "codes"),
    [
        pytest.param("SECRET", ["MARITIME"], ["JPN"], {"JPN", "FVEY"}, id="sea-with-a-pacific-nation"),
        pytest.param("SECRET", ["MARITIME"], ["TUR"], set(), id="sea-with-another"),
        pytest.param("SECRET", ["AIR"], ["IND", "SUN"], {"IND", "AUS", "GBR"}, id="air-with-india"),
        pytest.param("SECRET", ["ARMS-CONTROL"], ["SUN"], {"GBR"}, id="arms-control-secret"),
        pytest.param("CONFIDENTIAL", ["ARMS-CONTROL"], ["SUN"], {"GBR", "CAN", "IND", "JPN"}, id="arms-control-confidential"),
        pytest.param("SECRET", ["DIPLOMATIC"], ["KOR"], {"KOR"}, id="the-nation-named"),
        pytest.param("CONFIDENTIAL", ["DIPLOMATIC"], ["GBR"], {"FVEY", "JPN"}, id="a-member-is-not-named-beside-its-community"),
        pytest.param("CONFIDENTIAL", ["ECONOMIC"], [], {"CAN", "DEU", "FRA", "GBR", "IND", "JPN"}, id="economic"),
        pytest.param("CONFIDENTIAL", ["BASES"], ["TUR"], {"DEU", "NATO-HQ"}, id="bases-of-the-southern-flank"),
        pytest.param("CONFIDENTIAL", ["PEACEKEEPING"], ["CYP"], {"IND", "JPN", "UN-DPO"}, id="peacekeeping"),
        pytest.param("SECRET", ["NUCLEAR", "MARITIME"], ["JPN"], {"GBR"}, id="nuclear-secret-leaves-the-named-out"),
        pytest.param("CONFIDENTIAL", ["NUCLEAR"], ["FRA"], {"GBR", "FRA"}, id="nuclear-confidential"),
        pytest.param("CONFIDENTIAL", ["INTELLIGENCE", "BASES"], ["JPN"], {"FVEY"}, id="intelligence-leaves-the-named-out"),
        pytest.param("SECRET", ["NUCLEAR", "INTELLIGENCE"], ["GBR"], {"FVEY"}, id="intelligence-before-nuclear"),
        pytest.param("TOP SECRET", ["MARITIME"], ["JPN"], set(), id="top-secret"),
        pytest.param("UNCLASSIFIED", ["NUCLEAR"], ["JPN"], {"*"}, id="unclassified"),
    ],
)
def test_an_audience_follows_the_stated_rule(level: str, topics: list[str], countries: list[str], codes: set[str]) -> None:
    item = map_document(document(original_level=level, original_marking=level.title(), topics=topics, countries=countries))
    assert [addressed(portion["marking"]) for portion in item["portions"]] == [codes] * 4


def test_every_rule_of_the_table_stands_in_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "service" / "demo" / "README.md").read_text(encoding="utf-8")
    for addition in ADDITIONS:
        topics = ", ".join(sorted(addition.topics))
        about = ", ".join(sorted(addition.about)) or "any"
        row = f"| {topics} | {about} | {addition.up_to} | {', '.join(sorted(addition.codes))} |"
        assert row in readme
    handling = readme.partition("| handling | becomes |")[2].partition("Precedence")[0]
    assert set(re.findall("`(.+?)`", handling)) == {*CAVEATS, *NOT_FOR_PARTNERS, *NO_RESTRICTION}


RESTRICTING = sorted({*CAVEATS, *NOT_FOR_PARTNERS})
TOPICS = ["AIR", "ARMS-CONTROL", "BASES", "DIPLOMATIC", "ECONOMIC", "INTELLIGENCE", "LOGISTICS", "MARITIME", "NUCLEAR", "PEACEKEEPING"]
ORDERED = tuple(LADDER)


@st.composite
def marked_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents that the mapping understands, of every level, topic and portion mark."""
    level = draw(st.sampled_from(ORDERED))
    marks = draw(st.lists(st.sampled_from([None, *(LADDER[name] for name in ORDERED[: ORDERED.index(level) + 1])]), max_size=5))
    shapes = st.sampled_from(["{} words", "3. ({}) words", "a. words", "(1) words", "words. ({})", "[1 line not declassified]"])
    return document(
        original_level=level,
        original_marking=level.title(),
        countries=draw(st.lists(st.sampled_from(["JPN", "IND", "GBR", "TUR", "SUN", "FRA"]), unique=True, max_size=3)),
        topics=draw(st.lists(st.sampled_from(TOPICS), unique=True, min_size=1, max_size=3)),
        paragraphs=[draw(shapes).format(mark or "C") for mark in marks],
        portion_marks=marks,
    )


@settings(max_examples=150, deadline=None)
@given(marked_documents(), st.sampled_from(RESTRICTING))
def test_a_restriction_more_never_adds_an_addressee(made: dict[str, Any], restriction: str) -> None:
    before = map_document(made)
    after = map_document({**made, "original_marking": f"{made['original_marking']}; {restriction}", "handling": [restriction]})
    for portion, restricted in zip(before["portions"], after["portions"], strict=True):
        assert addressed(restricted["marking"]) <= addressed(portion["marking"])
        assert not addressed(restricted["marking"]) or PROFILE.parse_portion(restricted["marking"]).caveats


@settings(max_examples=150, deadline=None)
@given(marked_documents())
def test_no_paragraph_is_below_its_mark_or_open_above_the_lowest_level(made: dict[str, Any]) -> None:
    item = map_document(made)
    texts = [portion for portion in item["portions"] if portion["kind"] == "text"]
    for text, printed in zip(texts, made["portion_marks"], strict=True):
        mark = PROFILE.parse_portion(text["marking"])
        assert printed is None or LADDER[mark.level] == printed
        if "not declassified" in text["text"]:
            assert mark.releasable_to == () or "INTEL-SOURCES" in text["categories"]
        if rank(mark) > 0:
            assert mark.releasable_to is not None
        if mark.level == "TOP SECRET":
            assert mark.releasable_to == ()


# Bad input.


@pytest.mark.parametrize("member", sorted(document()))
def test_a_document_without_a_member_is_refused(member: str) -> None:
    made = document()
    del made[member]
    with pytest.raises(Rejected, match=f"document without `{member}`") as refusal:
        map_document(made)
    assert refusal.value.code == "missing-member"


@pytest.mark.parametrize("member", sorted(document()))
@pytest.mark.parametrize("value", [3.5, {"a": 1}], ids=["a-number", "an-object"])
def test_a_member_of_another_type_is_refused(member: str, value: object) -> None:
    with pytest.raises(Rejected, match=f"`{member}` of a document is ") as refusal:
        map_document(document(**{member: value, "portion_marks": value if member == "portion_marks" else [None, None]}))
    assert refusal.value.code == "wrong-type"


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        pytest.param({"restriction": "NODIS"}, "unknown-member", "unknown member `restriction` in document", id="a-member-not-known"),
        pytest.param({"a\nb" * 99: 1}, "unknown-member", r"^unknown member `a\\nb[^\n]{1,80}$", id="a-member-over-many-lines"),
        pytest.param({"portion_marks": ["S"]}, "portion-marks", "1 `portion_marks` for 2 `paragraphs`", id="marks-that-do-not-fit"),
        pytest.param({"portion_marks": ["S", 1]}, "wrong-type", "`portion_marks` of a document is a list of marks", id="a-number"),
        pytest.param({"handling": ["EXDIS", None]}, "wrong-type", "`handling` of a document is a list of texts", id="null-in-a-list"),
        pytest.param({"handling": "EXDIS"}, "wrong-type", "`handling` of a document is a list, got text", id="text-for-a-list"),
        pytest.param({"withheld_in_full": 0}, "wrong-type", "true or false, got a whole number", id="zero-for-false"),
        pytest.param({"omissions": True}, "wrong-type", "a whole number, got true or false", id="true-for-a-number"),
        pytest.param({"id": ""}, "wrong-type", "`id` of a document is empty", id="an-empty-id"),
    ],
)
def test_a_malformed_document_is_refused_with_its_reason(changes: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(Rejected, match=message) as refusal:
        map_document(document(**changes))
    assert refusal.value.code == code


@pytest.mark.parametrize("value", [[], "text", None, 3], ids=["a-list", "text", "null", "a-number"])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(Rejected, match="a document is a JSON object") as refusal:
        map_document(value)
    assert refusal.value.code == "wrong-type"
