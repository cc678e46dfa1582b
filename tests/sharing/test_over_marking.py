"""Over-marking is told where it comes in: a marking stricter than its portions require is lawful, is stored, and is said to be so."""

from __future__ import annotations

from typing import Any

import pytest

from service.sharing.importing import store_one
from service.sharing.intake import read_item
from service.sharing.item_files import SentFiles
from tests.support.store_bundles import bundle
from tests.support.store_world import OFFICER, START, World, item, text_portion

BUNDLE = bundle()


def over_marked(banner: str, *marks: str, **members: Any) -> str | None:
    value = item("r", *(text_portion("t", mark) for mark in marks), marking=banner, **members)
    draft = read_item(value, bundle=BUNDLE, at=START, find_file=lambda _: pytest.fail("no file is named"))
    assert draft.hold is None
    assert all(portion.timeline for portion in draft.portions)
    return draft.over_marked


@pytest.mark.parametrize(
    ("banner", "marks", "why"),
    [
        pytest.param("SECRET//NOFORN", ["(C//NF)"], "level `SECRET` is above `CONFIDENTIAL`", id="a level too high"),
        pytest.param("SECRET//NOFORN", ["(S//REL TO USA, JPN)"], "`SECRET//REL TO USA, JPN` would do", id="nobody, where one may"),
        pytest.param("SECRET//REL TO USA, JPN", ["(S//REL TO USA, AUS, JPN)"], "`AUS`", id="one fewer than may"),
        pytest.param("SECRET//ORCON/REL TO USA, JPN", ["(S//REL TO USA, JPN)"], "`ORCON`", id="a caveat more"),
        pytest.param("CONFIDENTIAL//NOFORN", ["(U)"], "`UNCLASSIFIED` would do", id="an open text"),
    ],
)
def test_it_says_what_is_held_back_and_what_would_do(banner: str, marks: list[str], why: str) -> None:
    told = over_marked(banner, *marks)
    assert told is not None
    assert told.startswith("the item's marking is stricter than its portions require: ")
    assert why in told


@pytest.mark.parametrize(
    ("banner", "marks", "members"),
    [
        pytest.param("SECRET//NOFORN", ["(S//NF)", "(U)"], {}, id="one portion is for nobody"),
        pytest.param("SECRET//REL TO USA, JPN", ["(S//REL TO USA, JPN)", "(S//REL TO USA, AUS, JPN)"], {}, id="what all portions allow"),
        pytest.param("SECRET//NOFORN", ["(S//REL TO USA, JPN)", "(S//REL TO USA, AUS)"], {}, id="nobody in common"),
        pytest.param("SECRET//NOFORN", ["(C//REL TO USA, JPN)"], {"compilation": "SECRET//NOFORN"}, id="what they reveal together"),
        # Table 3 of the manual: beside a portion marked for foreign disclosure, one with a control and without such a mark makes NOFORN.
        pytest.param("SECRET//ORCON/NOFORN", ["(S//REL TO USA, JPN)", "(U//OC)"], {}, id="by the manual's own rules for a page"),
    ],
)
def test_a_marking_that_says_no_more_than_it_must_is_not_told_of(banner: str, marks: list[str], members: dict[str, Any]) -> None:
    assert over_marked(banner, *marks, **members) is None


def test_it_is_stored_and_a_warning_stands_in_the_report_and_in_the_answer(world: World) -> None:
    told, totals = world.load(item("r", text_portion("t", "(C//REL TO USA, JPN)"), marking="SECRET//NOFORN"))
    assert totals == {"imported": 1, "quarantined": 0, "refused": 0}
    assert (told["line"], told["ref"], told["result"], told["code"]) == (1, "r", "stored", "over-marked")
    assert "would do" in told["message"]
    (line,) = world.listed("JPN")[0]
    assert line["marking"] == "CONFIDENTIAL//REL TO USA, JPN"
    value = item("s", text_portion("t", "(C//REL TO USA, JPN)"), marking="SECRET//NOFORN")
    outcome = store_one(world.installation, value, OFFICER, files=SentFiles(world.installation.database))
    assert (outcome.result, outcome.code, outcome.version) == ("stored", "over-marked", 1)
