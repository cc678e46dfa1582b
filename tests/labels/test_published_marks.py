"""The published pages, as far as the plain part of IC-2016 goes; sources in `published/README.md`.

The manual's own precedence (RELIDO and an unmarked portion against a list, controls that fall away in a classified
banner, ORCON over ORCON-USGOV) is no part of the plain roll-up, nor are FGI, JOINT and SCI: those pages are named
below with the reason, so that none is left out unseen.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from service.labels.label import UNRESTRICTED, Label
from service.labels.markings import Marking, Unresolved, profile_of
from service.labels.rollup import roll_up
from service.labels.scheme import Scheme

PUBLISHED = Path(__file__).parent / "published"
PAGES: list[dict[str, Any]] = json.loads((PUBLISHED / "capco2016_rollup_vectors.json").read_text())
MARKS: list[dict[str, Any]] = json.loads((PUBLISHED / "ism_marks.json").read_text())

SCHEME = Scheme.from_mapping(
    {
        "own": "USA",
        "profile": "IC-2016",
        "levels": [
            {"name": "UNCLASSIFIED", "mark": "U"},
            {"name": "CONFIDENTIAL", "mark": "C"},
            {"name": "SECRET", "mark": "S"},
            {"name": "TOP SECRET", "mark": "TS"},
        ],
        "categories": [],
        "caveats": ["DEA-SENSITIVE", "FISA", "FOUO", "IMCON", "LES", "LIMDIS", "ORCON", "ORCON-USGOV", "RELIDO", "RSEN", "SBU", "SSI"],
        "purposes": [],
        "expandable": ["ACGU", "FVEY"],
        "public_communities": [],
        "categories_required_from": "",
        "audience_required_from": "",
        "approval_level": "SECRET",
        "releasable_in": "portions",
        "audience_on_copies": "own",
    }
)
PROFILE = profile_of(SCHEME)
MEMBERS = {"FVEY": frozenset({"AUS", "CAN", "GBR", "NZL", "USA"}), "ACGU": frozenset({"AUS", "CAN", "GBR", "USA"})}

NOT_PLAIN = {
    **dict.fromkeys(("002", "032", "036"), "a portion `REL` stands for the list of its banner"),
    **dict.fromkeys(("008", "009", "010", "011"), "JOINT"),
    **dict.fromkeys(("012", "013", "014", "015", "016", "017", "037"), "SCI"),
    **dict.fromkeys(("018", "019"), "atomic energy"),
    **dict.fromkeys(("020", "021", "022", "023", "024"), "FGI"),
    **dict.fromkeys(("004", "050", "051", "052"), "a control that falls away in the banner"),
    "026": "ORCON over ORCON-USGOV",
    **dict.fromkeys(("030", "035", "038", "039", "048"), "RELIDO against another mark of foreign disclosure"),
    **dict.fromkeys(("005", "033"), "a portion that names no audience beside one that does"),
    **dict.fromkeys(("006", "031", "053", "054", "055", "056", "060", "061", "062", "063", "064"), "SBU-NF, LES-NF"),
}


def label_of(marking: Marking) -> Label:
    released = marking.releasable_to
    return Label(
        marking.level,
        releasable_to=UNRESTRICTED if released is None else released,
        caveats=marking.caveats,
        originators=("USA",),
        display_to=None if marking.display_to is None else (*(released or ()), *marking.display_to),
    )


def number(page: dict[str, Any]) -> str:
    return str(page["id"]).removeprefix("capco2016-")


@pytest.mark.parametrize("page", [pytest.param(page, id=page["id"]) for page in PAGES if number(page) not in NOT_PLAIN])
def test_the_portions_of_a_page_make_its_banner(page: dict[str, Any]) -> None:
    label = roll_up([label_of(PROFILE.parse_portion(portion)) for portion in page["portions"]], scheme=SCHEME, members=MEMBERS)
    assert PROFILE.write_banner(label) == page["banner"]


def test_every_page_is_accounted_for() -> None:
    assert {number(page) for page in PAGES} >= set(NOT_PLAIN)
    assert len(PAGES) - len(NOT_PLAIN) == 22


@pytest.mark.parametrize("page", [pytest.param(page, id=page["id"]) for page in PAGES])
def test_every_mark_of_a_page_is_understood_or_kept_for_an_officer(page: dict[str, Any]) -> None:
    for text in page["portions"]:
        _same_or_unresolved(text, portion=True)
    _same_or_unresolved(page["banner"], portion=False)


@pytest.mark.parametrize("pair", [pytest.param(pair, id=pair["id"]) for pair in MARKS])
def test_banner_and_portion_mark_say_the_same(pair: dict[str, Any]) -> None:
    _same_or_unresolved(pair["banner"], portion=False)
    if pair["portion"] is not None and (understood := _same_or_unresolved(pair["portion"], portion=True)):
        assert PROFILE.write_banner(label_of(understood)) == pair["banner"]


def test_most_of_the_plain_marks_among_the_pairs_are_understood() -> None:
    understood = [pair["id"] for pair in MARKS if _same_or_unresolved(pair["banner"], portion=False)]
    plain = {"ism-015", "ism-016", "ism-017", "ism-025", "ism-026", "ism-039", "ism-040", "ism-041"}
    assert plain <= set(understood)


def _same_or_unresolved(text: str, *, portion: bool) -> Marking | None:
    """The marking, if it is understood; then it is written as it was published. Never malformed."""
    try:
        marking = PROFILE.parse_portion(text) if portion else PROFILE.parse_banner(text)
    except Unresolved:
        return None
    label = label_of(marking)
    written = PROFILE.write_portion(label) if portion else PROFILE.write_banner(label)
    # The pages print portion marks without parentheses, and one with a control in a block of its own.
    assert written.strip("()") == text.strip("()") or text == "U//LES//REL TO USA, FVEY"
    return marking
