"""What another's level means on our ladder: by issuer, name and date, from a table, and never by how a word looks."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.labels.equivalence import Equivalences, Meaning, in_our_terms, read_marking
from service.labels.intake import label_of
from service.labels.markings import Marking, MarkingError, Unresolved, profile_of
from service.labels.scheme import Scheme, UnknownName

PUBLISHED = Path(__file__).parent / "published" / "classification_equivalence_eu_nato_us.csv"
REFORM = datetime(2021, 7, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
BEFORE = REFORM - timedelta(microseconds=1)


def scheme_of(profile: str = "IC-2016", levels: tuple[tuple[str, str], ...] | None = None) -> Scheme:
    ladder = levels or (("UNCLASSIFIED", "U"), ("CONFIDENTIAL", "C"), ("SECRET", "S"), ("TOP SECRET", "TS"))
    return Scheme.from_mapping(
        {
            "own": "USA",
            "profile": profile,
            "levels": [{"name": name, "mark": mark} for name, mark in ladder],
            "categories": [],
            "caveats": ["ORCON"],
            "purposes": [],
            "expandable": [],
            "public_communities": [],
            "categories_required_from": "",
            "audience_required_from": "",
            "approval_level": ladder[-1][0],
            "releasable_in": "portions",
            "audience_on_copies": "own",
        }
    )


SCHEME = scheme_of()
ROWS = (
    Meaning("DEU", "GEHEIM", "SECRET"),
    Meaning("DEU", "VS-NUR FÜR DEN DIENSTGEBRAUCH", "CONFIDENTIAL"),  # no RESTRICTED of ours: the next higher
    Meaning("ESP", "SECRETO", "TOP SECRET"),
    Meaning("ESP", "RESERVADO", "SECRET"),
    Meaning("PRT", "Reservado", "CONFIDENTIAL"),
    Meaning("PRT", "Secreto", "SECRET"),
    Meaning("ROU", "Secret", "CONFIDENTIAL"),
    Meaning("FRA", "SECRET DÉFENSE", "SECRET", None, REFORM),
    Meaning("FRA", "TRÈS SECRET DÉFENSE", "TOP SECRET", None, REFORM),
    Meaning("FRA", "SECRET", "SECRET", REFORM, None),
    Meaning("FRA", "TRÈS SECRET", "TOP SECRET", REFORM, None),
    Meaning("GBR", "CONFIDENTIAL", "SECRET", datetime(2014, 4, 2, tzinfo=UTC), None),
    Meaning("GBR", "SECRET", "SECRET"),
    Meaning("AUS", "SECRET", "TOP SECRET"),
    Meaning("NATO-HQ", "NATO SECRET", "SECRET"),
)
TABLE = Equivalences(ROWS, scheme=SCHEME)


@pytest.mark.parametrize(
    ("issuer", "name", "at", "level"),
    [
        pytest.param("DEU", "GEHEIM", NOW, "SECRET", id="a-name"),
        pytest.param("DEU", "geheim", NOW, "SECRET", id="another-case"),
        pytest.param("DEU", " VS-NUR  für den Dienstgebrauch ", NOW, "CONFIDENTIAL", id="the-next-higher-where-none-is-equal"),
        pytest.param("DEU", "VS-NUR FUR DEN DIENSTGEBRAUCH", NOW, "CONFIDENTIAL", id="without-its-accents"),
        pytest.param("ESP", "SECRETO", NOW, "TOP SECRET", id="spains-secreto"),
        pytest.param("PRT", "SECRETO", NOW, "SECRET", id="portugals-secreto"),
        pytest.param("ESP", "RESERVADO", NOW, "SECRET", id="spains-reservado"),
        pytest.param("PRT", "RESERVADO", NOW, "CONFIDENTIAL", id="portugals-reservado"),
        pytest.param("ROU", "SECRET", NOW, "CONFIDENTIAL", id="romanias-secret"),
        pytest.param("FRA", "SECRET DÉFENSE", BEFORE, "SECRET", id="the-last-moment-of-a-name"),
        pytest.param("FRA", "SECRET", REFORM, "SECRET", id="the-first-moment-of-its-successor"),
    ],
)
def test_a_level_means_what_the_table_says_for_its_issuer_name_and_time(issuer: str, name: str, at: datetime, level: str) -> None:
    assert TABLE.level(issuer, name, at=at) == level


@pytest.mark.parametrize(
    ("issuer", "name", "at", "message"),
    [
        pytest.param("FRA", "SECRET DÉFENSE", REFORM, "which the bundle has for other dates than 2021-07-01", id="a-name-out-of-use"),
        pytest.param("FRA", "SECRET", BEFORE, "which the bundle has for other dates than 2021-06-30", id="a-name-not-yet-in-use"),
        pytest.param("DEU", "GEHIEM", NOW, "expected one like `GEHEIM`", id="a-slip"),
        pytest.param(
            "ITA", "Segreto", NOW, "unknown level `Segreto` of `ITA`, of whose levels the bundle says nothing", id="no-such-issuer"
        ),
        pytest.param("ESP", "GEHEIM", NOW, "expected one like `RESERVADO` or `SECRETO`", id="anothers-name"),
        pytest.param("ESP", "TOP SECRET", NOW, "unknown level `TOP SECRET` of `ESP`", id="our-own-name"),
    ],
)
def test_what_the_table_does_not_hold_is_unresolved(issuer: str, name: str, at: datetime, message: str) -> None:
    with pytest.raises(Unresolved) as unresolved:
        TABLE.level(issuer, name, at=at)
    assert message in str(unresolved.value)
    assert unresolved.value.code == "unknown-level"


def test_an_unaccented_name_that_can_mean_two_levels_is_unresolved() -> None:
    table = Equivalences([Meaning("XXX", "SÉCRET", "SECRET"), Meaning("XXX", "SECRÈT", "CONFIDENTIAL")], scheme=SCHEME)
    assert table.level("XXX", "sécret", at=NOW) == "SECRET"
    with pytest.raises(Unresolved, match="level `SECRET` of `XXX` can mean `CONFIDENTIAL` or `SECRET`"):
        table.level("XXX", "SECRET", at=NOW)


def test_a_table_for_another_ladder_is_refused() -> None:
    with pytest.raises(UnknownName):
        Equivalences([Meaning("DEU", "GEHEIM", "RESTRICTED")], scheme=SCHEME)


LEVELS = ["CONFIDENTIAL", "SECRET", "TOP SECRET"]
MOMENTS = st.sampled_from([datetime(year, 1, 1, tzinfo=UTC) for year in range(2010, 2020)])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("XYZ"), st.sampled_from(LEVELS), st.none() | MOMENTS, st.none() | MOMENTS)),
    st.sampled_from("ABC"),
    st.sampled_from("XYZ"),
    MOMENTS,
)
def test_an_answer_is_always_a_row_of_that_issuer_name_and_time(
    rows: list[tuple[str, str, str, datetime | None, datetime | None]], issuer: str, name: str, at: datetime
) -> None:
    table = Equivalences([Meaning(*row) for row in rows], scheme=SCHEME)
    held = {
        level
        for by, called, level, since, until in rows
        if (by, called) == (issuer, name) and (since is None or since <= at) and (until is None or at < until)
    }
    assert set(table.meant(issuer, name, at=at)) == held
    if len(held) == 1:
        assert table.level(issuer, name, at=at) in held
    else:
        with pytest.raises(Unresolved):
            table.level(issuer, name, at=at)


def test_the_published_names_that_mislead_are_told_apart() -> None:
    # On a ladder with a RESTRICTED every published name has its equal, so that the table can be taken as it was published.
    ladder = scheme_of("PLAIN", (("RESTRICTED", "R"), ("CONFIDENTIAL", "C"), ("SECRET", "S"), ("TOP SECRET", "TS")))
    columns = {"top_secret": "TOP SECRET", "secret": "SECRET", "confidential": "CONFIDENTIAL", "restricted": "RESTRICTED"}
    rows = [
        Meaning(row["code"], name.strip(), level)
        for row in csv.DictReader(PUBLISHED.read_text(encoding="utf-8").splitlines())
        for column, level in columns.items()
        for name in row[column].split("|")
        if name.strip() and not name.strip().startswith("(")
    ]
    table = Equivalences(rows, scheme=ladder)
    assert len({row.issuer for row in rows}) == 32
    for row in rows:
        assert table.level(row.issuer, row.name, at=NOW) == row.level
    assert [table.level(issuer, "secreto", at=NOW) for issuer in ("ESP", "PRT")] == ["TOP SECRET", "SECRET"]
    assert [table.level(issuer, "reservado", at=NOW) for issuer in ("ESP", "PRT")] == ["SECRET", "RESTRICTED"]
    assert table.level("ITA", "RISERVATISSIMO", at=NOW) == "CONFIDENTIAL"
    assert table.level("ROU", "SECRET", at=NOW) == "CONFIDENTIAL"


# --- markings -------------------------------------------------------------------------------------------------------


def read(
    text: str, originators: tuple[str, ...], *, at: datetime = NOW, scheme: Scheme = SCHEME, rows: tuple[Meaning, ...] = ROWS
) -> Marking:
    return read_marking(
        text,
        portion=text.startswith("("),
        profile=profile_of(scheme),
        originators=originators,
        equivalences=Equivalences(rows, scheme=scheme),
        scheme=scheme,
        at=at,
    )


@pytest.mark.parametrize(
    ("text", "originators", "level", "releasable_to"),
    [
        pytest.param("GEHEIM//REL TO USA, GBR", ("DEU",), "SECRET", ("GBR", "USA"), id="a-banner"),
        pytest.param("(geheim//NF)", ("DEU",), "SECRET", (), id="a-portion-mark"),
        pytest.param("VS-Nur für den Dienstgebrauch", ("DEU",), "CONFIDENTIAL", None, id="a-name-of-many-words"),
        pytest.param("SECRETO//NOFORN", ("ESP",), "TOP SECRET", (), id="a-name-that-misleads"),
        pytest.param("SECRET//NOFORN", ("GBR",), "SECRET", (), id="a-name-that-means-the-same"),
        pytest.param("SECRET//NOFORN", ("USA",), "SECRET", (), id="our-own"),
        pytest.param("SECRET//NOFORN", ("ROU", "USA"), "SECRET", (), id="ours-beside-another"),
        pytest.param("SECRET//NOFORN", ("CAN",), "SECRET", (), id="ours-where-the-table-says-nothing-else"),
        pytest.param("NATO SECRET//NOFORN", ("NATO-HQ",), "SECRET", (), id="an-organisation"),
    ],
)
def test_a_marking_of_anothers_level_is_read_on_our_ladder_and_kept_as_written(
    text: str, originators: tuple[str, ...], level: str, releasable_to: tuple[str, ...] | None
) -> None:
    marking = read(text, originators)
    assert (marking.level, marking.releasable_to, marking.text, marking.issuers) == (level, releasable_to, text, ())


@pytest.mark.parametrize(
    ("text", "originator", "at", "kind", "message", "offset"),
    [
        pytest.param(
            "SECRET//NOFORN", "ROU", NOW, Unresolved, "is `SECRET` on our ladder and `CONFIDENTIAL` as `ROU` uses it", 0, id="lower"
        ),
        pytest.param("(SECRET//NF)", "AUS", NOW, Unresolved, "is `SECRET` on our ladder and `TOP SECRET` as `AUS` uses it", 1, id="higher"),
        pytest.param(
            "GEHIEM//NOFORN", "DEU", NOW, Unresolved, "unknown level `GEHIEM` of `DEU`, expected one like `GEHEIM`", 0, id="a-slip"
        ),
        pytest.param("SEGRETO", "ITA", NOW, Unresolved, "of whose levels the bundle says nothing", 0, id="an-issuer-without-rows"),
        pytest.param("SECRET DÉFENSE", "FRA", NOW, Unresolved, "which the bundle has for other dates than 2026-11-22", 0, id="out-of-use"),
        pytest.param("TRÈS SECRET DÉFENSE", "FRA", NOW, Unresolved, "has for other dates", 0, id="a-name-that-begins-with-a-current-one"),
        pytest.param(
            "GEHEIM//ORCN", "DEU", NOW, Unresolved, "`GEHEIM` of `DEU` read as `SECRET`: unknown control `ORCN`", 8, id="the-rest"
        ),
        pytest.param("GEHEIM//REL TO", "DEU", NOW, MarkingError, "`GEHEIM` of `DEU` read as `SECRET`: `REL TO` without", 8, id="malformed"),
        pytest.param("", "DEU", NOW, Unresolved, "unmarked", 0, id="nothing"),
    ],
)
def test_what_means_something_else_or_nothing_is_not_guessed(
    text: str, originator: str, at: datetime, kind: type[MarkingError], message: str, offset: int
) -> None:
    with pytest.raises(MarkingError) as refused:
        read(text, (originator,), at=at)
    assert type(refused.value) is kind
    assert message in str(refused.value)
    assert (refused.value.text, refused.value.offset) == (text, offset)


def test_in_the_alliances_profile_a_nations_level_does_not_name_the_alliance() -> None:
    scheme = scheme_of("NATO-4774", (("NATO CONFIDENTIAL", "NC"), ("NATO SECRET", "NS"), ("COSMIC TOP SECRET", "CTS")))
    rows = (Meaning("DEU", "GEHEIM", "NATO SECRET"),)
    assert read("GEHEIM", ("DEU",), scheme=scheme, rows=rows).releasable_to == ()
    assert read("GEHEIM Releasable to Japan", ("DEU",), scheme=scheme, rows=rows).releasable_to == ("JPN",)
    assert read("GEHEIM Japan, NATO ONLY", ("DEU",), scheme=scheme, rows=rows).releasable_to == ("JPN", "NATO")
    assert read("NATO SECRET", ("DEU",), scheme=scheme, rows=rows).releasable_to == ("NATO",)


@pytest.mark.parametrize(
    ("issuers", "name", "level"),
    [
        pytest.param(("GBR",), "CONFIDENTIAL", "SECRET", id="one"),
        pytest.param(("AUS", "GBR"), "SECRET", "TOP SECRET", id="the-highest-of-several"),
        pytest.param(("GBR", "USA"), "SECRET", "SECRET", id="ourselves-among-them"),
    ],
)
def test_a_marking_that_says_whose_level_it_is_is_put_on_our_ladder(issuers: tuple[str, ...], name: str, level: str) -> None:
    marking = Marking(name, (), None, (), f"//{name}", issuers=issuers, originators=issuers)
    ours = in_our_terms(marking, equivalences=TABLE, scheme=SCHEME, at=NOW)
    assert (ours.level, ours.issuers, ours.originators, ours.text) == (level, (), issuers, f"//{name}")
    label = label_of(ours, categories=(), originators=("USA",), scheme=SCHEME, known_codes=frozenset({"USA", "GBR", "AUS"}))
    assert (label.level, label.originators) == (level, issuers)


def test_a_marking_of_an_issuer_without_rows_is_unresolved_at_the_place_of_its_level() -> None:
    marking = Marking("SECRET", (), None, (), "//NZL SECRET//NOFORN", issuers=("GBR", "NZL"), originators=("GBR", "NZL"))
    with pytest.raises(Unresolved, match="unknown level `SECRET` of `NZL`") as unresolved:
        in_our_terms(marking, equivalences=TABLE, scheme=SCHEME, at=NOW)
    assert unresolved.value.offset == 6


@pytest.mark.parametrize(
    ("text", "level", "originators"),
    [
        pytest.param("//GBR SECRET//REL TO USA, GBR", "SECRET", ("GBR",), id="foreign-government-information"),
        pytest.param("(//GBR C//REL TO USA, GBR)", "SECRET", ("GBR",), id="a-level-without-an-equal"),
        pytest.param("//JOINT SECRET GBR USA//REL TO USA, GBR", "SECRET", ("GBR", "USA"), id="joint"),
    ],
)
def test_a_foreign_mark_of_the_2016_manual_becomes_our_level_of_its_issuer(text: str, level: str, originators: tuple[str, ...]) -> None:
    marking = read(text, ("USA",))
    label = label_of(marking, categories=(), originators=("USA",), scheme=SCHEME, known_codes=frozenset({"USA", "GBR"}))
    assert (label.level, label.originators, label.releasable_to) == (level, originators, ("GBR", "USA"))
    assert marking.text == text


def test_a_foreign_mark_that_the_table_does_not_hold_is_unresolved() -> None:
    with pytest.raises(Unresolved, match="unknown level `SECRET` of `NZL`") as unresolved:
        read("//NZL SECRET//REL TO USA, NZL", ("USA",))
    assert unresolved.value.code == "unknown-level"


@settings(deadline=None)
@given(
    st.text(max_size=30) | st.text(alphabet="GEHIMSCRTÉ/ (),REL TO", max_size=30),
    st.sampled_from(["DEU", "ESP", "FRA", "ROU", "USA", "ITA"]),
)
def test_no_text_makes_the_reader_fail_otherwise(text: str, originator: str) -> None:
    try:
        marking = read(text, (originator,))
    except MarkingError as error:
        assert error.text == text
        assert 0 <= error.offset <= len(text)
    else:
        assert marking.text == text
        assert marking.level in {step.name for step in SCHEME.levels}
