"""The published pages and marks of IC-2016, all of them; sources in `published/README.md`.

Where a published text and this profile write alike things differently, the case is named below with the reason, so that
none is left out unseen; what it says is the same, and is tested for these too.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from service.labels.label import Label
from service.labels.markings import Unresolved, profile_of
from service.labels.markings.ic2016 import Ic2016Profile, System
from service.labels.markings.ic2016_words import CONTROL_CODES
from service.labels.markings.pages import PageError, Verdict, as_label, banner_of, judge, read_known
from service.labels.markings.register import published
from service.labels.precedence import DISSEMINATION
from service.labels.rollup import roll_up
from service.labels.scheme import Profile

PUBLISHED = Path(__file__).parent / "published"
PAGES: list[dict[str, Any]] = json.loads((PUBLISHED / "capco2016_rollup_vectors.json").read_text())
MARKS: list[dict[str, Any]] = json.loads((PUBLISHED / "ism_marks.json").read_text())
RULES: list[dict[str, str]] = list(csv.DictReader((PUBLISHED / "capco2016_table3_fdr_precedence.csv").open(encoding="utf-8")))

PORTIONS_ON_PAGES = 131

REGISTER = published(Profile.IC_2016)
_PROFILE = profile_of(REGISTER.scheme)
assert isinstance(_PROFILE, Ic2016Profile)
PROFILE: Ic2016Profile = _PROFILE

WRITTEN_OTHERWISE = {
    "capco2016-058": "prints a non-IC control before the audience in one portion; the order of writing is that of its banner",
    "capco2016-061": "prints the long title of what page 187 prints as `LES NOFORN` in its first example",
    "ism-042": "`EYES ONLY`, which is to be marked as `REL TO` where it is used again (table 3, rules 13 and 22)",
}

BY_ITS_BANNER = {
    **dict.fromkeys(("002", "008", "009", "010", "032", "036"), "a portion `REL` stands for the list of its banner"),
    "011": "the same; and the banner leaves out the co-owner that page 57 wants named beside the other sources",
}
"""Pages whose banner cannot be made of their portions alone."""

AS_LABELS = {
    **dict.fromkeys(
        ("005", "030", "033", "035", "039", "048"), "an unmarked portion, or RELIDO alone, beside an audience: NOFORN by table 3"
    ),
    "038": "RELIDO alone beside an audience with RELIDO: RELIDO by page 155, the audience by the labels",
}
"""Pages whose banner says less of the audience than the roll-up of their labels, which is what is decided on."""


def number(page: dict[str, Any]) -> str:
    return str(page["id"]).removeprefix("capco2016-")


def every(pages: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(page, id=page["id"]) for page in pages]


def test_every_published_specimen_is_here() -> None:
    """The tests run over what is in the folder: were one lost, none of them would miss it."""
    assert (len({page["id"] for page in PAGES}), len({pair["id"] for pair in MARKS}), len({rule["rule_no"] for rule in RULES})) == (
        66,
        57,
        27,
    )
    assert all(page["portions"] and page["banner"] for page in PAGES)
    assert sum(len(page["portions"]) for page in PAGES) == PORTIONS_ON_PAGES
    assert len(json.loads((PUBLISHED / "adatp4774_table17_vectors.json").read_text())) == 14
    sidecars = {path.name for path in (PUBLISHED / "stanag4778").glob("*.bdo")}
    manifest = list(csv.DictReader((PUBLISHED / "stanag4778" / "manifest.csv").open(encoding="utf-8")))
    assert (len(sidecars), {row["bdo_sidecar"] for row in manifest}) == (21, sidecars)
    assert len(list((PUBLISHED / "stanag4774").glob("*.nato"))) == 6


@pytest.mark.parametrize("page", every(PAGES))
def test_the_banner_of_a_page_is_neither_looser_nor_stricter_than_its_portions(page: dict[str, Any]) -> None:
    judged = judge(page["portions"], page["banner"], register=REGISTER)
    assert (judged.verdict, judged.why) == (Verdict.OK, "the banner says what its portions require, and no more")
    assert judged.banner == page["banner"] or page["id"] in WRITTEN_OTHERWISE


@pytest.mark.parametrize("page", [param for param in every(PAGES) if number(param.values[0]) not in BY_ITS_BANNER])
def test_the_portions_of_a_page_make_its_banner(page: dict[str, Any]) -> None:
    made = banner_of(page["portions"], register=REGISTER)
    assert made == page["banner"] or (page["id"] in WRITTEN_OTHERWISE and made == "UNCLASSIFIED//LES NOFORN")


@pytest.mark.parametrize("page", [param for param in every(PAGES) if number(param.values[0]) in BY_ITS_BANNER])
def test_what_portions_leave_to_their_banner_is_not_guessed(page: dict[str, Any]) -> None:
    with pytest.raises(PageError, match="stands for the list of the banner"):
        banner_of(page["portions"], register=REGISTER)
    made = banner_of(page["portions"], register=REGISTER, banner=page["banner"])
    assert made == page["banner"].replace("FGI ISAF", "FGI GBR ISAF")


def test_a_page_is_looser_without_any_of_its_parts() -> None:
    """Every block of every banner is needed: without it, the banner is refused."""
    for page in PAGES:
        head, *blocks = page["banner"].removeprefix("//").split("//")
        opening = "//" if page["banner"].startswith("//") else ""
        for place in range(len(blocks)):
            shorter = f"{opening}{'//'.join((head, *blocks[:place], *blocks[place + 1 :]))}"
            judged = judge(page["portions"], shorter, register=REGISTER)
            needs_it = any("REL" in portion.split("/") for portion in page["portions"])
            assert judged.verdict is Verdict.TOO_LOOSE or (needs_it and judged.verdict is Verdict.INVALID), (page["id"], shorter)


@pytest.mark.parametrize("page", every(PAGES))
def test_every_mark_of_a_page_is_written_as_it_is_printed(page: dict[str, Any]) -> None:
    for text, portion in ((page["banner"], False), *((text, True) for text in page["portions"])):
        reading = PROFILE.reading(text, portion=portion)
        written = PROFILE.written(reading, portion=portion)
        # The pages print portion marks without parentheses.
        assert written == (f"({text})" if portion else text) or page["id"] in WRITTEN_OTHERWISE
        assert PROFILE.reading(written, portion=portion) == reading


@pytest.mark.parametrize("pair", every(MARKS))
def test_banner_and_portion_mark_say_the_same(pair: dict[str, Any]) -> None:
    banner = PROFILE.reading(pair["banner"], portion=False)
    if pair["id"] not in WRITTEN_OTHERWISE:
        assert PROFILE.written(banner, portion=False) == pair["banner"]
    if pair["portion"] is None:
        return
    portion = PROFILE.reading(pair["portion"], portion=True)
    assert portion == banner
    if pair["id"] not in WRITTEN_OTHERWISE:
        assert PROFILE.written(portion, portion=True) == pair["portion"]
    judged = judge([pair["portion"]], pair["banner"], register=REGISTER)
    assert judged.verdict is Verdict.OK


NO_AXES_OF_A_MARK = {
    *("classifiedBy", "classificationReason", "derivativelyClassifiedBy", "derivedFrom", "declassDate", "declassException"),
}
"""Attributes of the same elements that say who classified it, why and until when: no part of a banner or portion mark."""

DISSEMINATION_OF = {"OC": "ORCON", "RS": "RSEN", "FOUO": "FOUO"}
AUDIENCE_OF = {"NF", "REL", "DISPLAYONLY", "EYES"}


def structured(systems: Iterable[System], word: Mapping[str, str]) -> set[str]:
    """Control systems as the attribute lists them: `SI`, `SI-G`, `SI-G-ABCD`; SIGMA numbers by `SG`."""
    found = set()
    for system in systems:
        name = word.get(system.name, system.name).replace(" ", "_")
        found.add(name)
        for part, subs in system.parts:
            segment = f"{name}-{'SG' if part == 'SIGMA' else part.replace(' ', '_')}"
            found |= {f"{segment}-{sub}" for sub in subs} | ({segment} if part != "SIGMA" else set())
    return found


@pytest.mark.parametrize("text", ["banner", "portion"])
@pytest.mark.parametrize("pair", every(MARKS))
def test_a_mark_says_what_its_attributes_say_and_nothing_else(pair: dict[str, Any], text: str) -> None:
    """Every attribute that is part of a mark, whether it is there or not: level, owners, audience, caveats, systems, programmes."""
    if pair[text] is None:
        assert (text, pair["id"]) in {("portion", each["id"]) for each in MARKS if each["portion"] is None}
        return
    attributes = {name: value.split() for name, value in pair["attributes"].items() if name not in NO_AXES_OF_A_MARK}
    reading = PROFILE.reading(pair[text], portion=text == "portion")
    (level,) = attributes.pop("classification")
    owners = attributes.pop("ownerProducer")
    assert {"U": "UNCLASSIFIED", "R": "RESTRICTED", "C": "CONFIDENTIAL", "S": "SECRET", "TS": "TOP SECRET"}[level] == reading.level.split(
        "NATO "
    )[-1].removeprefix("COSMIC ")
    assert set(reading.owners or ("USA",)) == set(owners)
    assert set(reading.foreign or ()) == set(attributes.pop("FGIsourceOpen", []))
    assert set(reading.nato) == set(attributes.pop("nonUSControls", []))
    assert structured(reading.systems, {}) == set(attributes.pop("SCIcontrols", []))
    assert structured(reading.programmes, {}) == set(attributes.pop("SARIdentifier", []))
    words = {"DOE UCNI": "UCNI", "DOD UCNI": "DCNI"}
    assert structured(reading.atomic, words) == set(attributes.pop("atomicEnergyMarkings", []))
    nicknames = {f"ACCM-{name.replace(' ', '_')}" for name in reading.nicknames}
    assert nicknames == set(attributes.pop("nonICmarkings", []))
    controls = attributes.pop("disseminationControls", [])
    assert reading.no_foreign is ("NF" in controls)
    assert reading.caveats == {DISSEMINATION_OF[control] for control in controls if control not in AUDIENCE_OF}
    assert set(reading.released or ()) == set(attributes.pop("releasableTo", []))
    assert set(reading.displayed or ()) == set(attributes.pop("displayOnlyTo", []))
    assert not attributes, "an attribute that no axis above has looked at"


@pytest.mark.parametrize("pair", every(MARKS))
def test_what_no_label_can_say_is_released_to_nobody(pair: dict[str, Any]) -> None:
    marking = PROFILE.parse_banner(pair["banner"])
    blocks = pair["banner"].removeprefix("//").split("//")[1:]
    regimes = ("ATOMAL", "BALK", "BOHEMIA", "HCS", "SI", "TK", "RSV", "SAR-", "RD", "FRD", "DOE", "DOD", "TEA")
    assert marking.unreleasable is any(block.startswith(regimes) for block in blocks)


RULE_PAGES = {
    "1": (["S//NF", "S//NF"], "SECRET//NOFORN"),
    "2": (["S//NF", "S//REL TO USA, GBR", "S//RELIDO", "S//DISPLAY ONLY AFG"], "SECRET//NOFORN"),
    "3": (["S//NF", "U//SBU-NF"], "SECRET//NOFORN"),
    "4": (["S", "U//SBU-NF"], "SECRET//NOFORN"),
    "5": (["S//REL TO USA, GBR", "S//RELIDO", "U//SBU-NF"], "SECRET//NOFORN"),
    "6": (["S//NF", "U//LES-NF"], "SECRET//NOFORN//LES"),
    "7": (["S", "U//LES-NF"], "SECRET//NOFORN//LES"),
    "8": (["S//REL TO USA, GBR", "S//RELIDO", "U//LES-NF"], "SECRET//NOFORN//LES"),
    "9": (["S//REL TO USA, GBR", "S//REL TO USA, JPN"], "SECRET//NOFORN"),
    "10": (["S//REL TO USA, GBR", "S//RELIDO"], "SECRET//NOFORN"),
    "11": (["S//REL TO USA, GBR", "S//DISPLAY ONLY JPN"], "SECRET//NOFORN"),
    "12": (["S//REL TO USA, GBR/RELIDO", "S"], "SECRET//NOFORN"),
    "13": (["S//REL TO USA, GBR", "S//USA/JPN EYES ONLY"], "SECRET//NOFORN"),
    "14": (["S//REL TO USA, GBR", "U//SBU-NF"], "SECRET//NOFORN"),
    "15": (["S//REL TO USA, GBR", "U//LES-NF"], "SECRET//NOFORN//LES"),
    "16": (["S//REL TO USA, GBR", "S"], "SECRET//NOFORN"),
    "17": (["S//RELIDO", "S"], "SECRET//NOFORN"),
    "18": (["S//RELIDO", "S//DISPLAY ONLY JPN"], "SECRET//NOFORN"),
    "19": (["S//DISPLAY ONLY JPN", "S"], "SECRET//NOFORN"),
    "20": (["S//DISPLAY ONLY JPN", "S//DISPLAY ONLY AFG"], "SECRET//NOFORN"),
    "21": (["S//REL TO USA, GBR, JPN", "S//REL TO USA, AUS, JPN"], "SECRET//REL TO USA, JPN"),
    "22": (["S//REL TO USA, GBR, JPN", "S//USA/JPN EYES ONLY"], "SECRET//REL TO USA, JPN"),
    "23": (["S//REL TO USA, TEYE", "S//REL TO USA, FVEY", "S//REL TO USA, GBR, JPN"], "SECRET//REL TO USA, GBR"),
    "24": (["S//RELIDO", "S//RELIDO"], "SECRET//RELIDO"),
    "25": (["S//DISPLAY ONLY AFG, JPN", "S//DISPLAY ONLY AFG"], "SECRET//DISPLAY ONLY AFG"),
    "26": (["S//DISPLAY ONLY AFG, JPN", "S//REL TO USA, JPN"], "SECRET//DISPLAY ONLY JPN"),
    "27": (
        ["S//REL TO USA, GBR, JPN/DISPLAY ONLY AFG", "S//REL TO USA, GBR/DISPLAY ONLY AFG, JPN"],
        "SECRET//REL TO USA, GBR/DISPLAY ONLY AFG, JPN",
    ),
}


@pytest.mark.parametrize("rule", RULE_PAGES)
def test_a_rule_of_table_3_makes_its_banner(rule: str) -> None:
    portions, banner = RULE_PAGES[rule]
    stated = next(each for each in RULES if each["rule_no"] == rule)["banner_fdr"]
    assert stated.split()[0].strip(",") in banner.replace("/", " ").split()
    for order in (portions, portions[::-1]):
        made = banner_of(order, register=REGISTER)
        assert made == banner
        assert judge(order, banner, register=REGISTER).verdict is Verdict.OK


def test_every_rule_of_table_3_has_a_page() -> None:
    assert list(RULE_PAGES) == [each["rule_no"] for each in RULES]


def labels_of(page: dict[str, Any]) -> list[Label] | None:
    """The labels of a page all of whose marks are of our own levels and can be read alone."""
    try:
        marks = [read_known(text, portion=True, register=REGISTER) for text in page["portions"]]
    except Unresolved:
        return None
    return None if any(mark.issuers for mark in marks) else [as_label(mark, own="USA") for mark in marks]


@pytest.mark.parametrize("page", every(PAGES))
def test_the_banner_of_a_page_names_nobody_whom_the_roll_up_of_its_labels_does_not(page: dict[str, Any]) -> None:
    labels = labels_of(page)
    if labels is None:
        assert number(page) in {*BY_ITS_BANNER, "020", "021", "022", "023", "024"}
        return
    rolled = roll_up(labels, scheme=REGISTER.scheme, members=REGISTER.members)
    banner = as_label(PROFILE.parse_banner(page["banner"]), own="USA")
    named, met = (without_own(label) for label in (banner, rolled))
    assert (named == met) is (number(page) not in AS_LABELS)
    if banner.caveats != ("RELIDO",):
        # RELIDO alone names nobody, but as a label it is as one that says nothing.
        assert met[0] == {"*"} or named[0] <= met[0]
        assert met[1] == {"*"} or named[1] <= met[1]
    assert banner.level == rolled.level


def without_own(label: Label) -> tuple[set[str], set[str]]:
    """Both audiences. The own code means nothing, so an audience of ourselves alone is nobody."""
    return set(label.releasable_to) - {"USA"}, {*label.releasable_to, *label.shown_to} - {"USA"}


def test_the_controls_of_the_register_are_those_that_precedence_knows() -> None:
    assert CONTROL_CODES == DISSEMINATION
