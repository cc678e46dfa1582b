"""The day of a marking: another's level means what it meant then, by the dated table, and nothing else of an item depends on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.policy import load_bundle
from service.sharing.intake import ItemDraft, ItemReader, Refusal
from tests.support.store_world import START, item, title

BUNDLE = load_bundle(Path(__file__).parents[2] / "policies")
OF_2019 = "SECRET DÉFENSE//REL TO USA, FRA, GBR"


def read(*portions: dict[str, Any], **members: Any) -> ItemDraft:
    value = item("r", *portions, **{"marking": "SECRET//REL TO USA, FRA, GBR", "originators": ["FRA"], **members})
    return ItemReader(BUNDLE, START).read(value, find_file=lambda _: pytest.fail("no file is named"))


def text(marking: str, **members: Any) -> dict[str, Any]:
    return {"kind": "text", "text": "words", "marking": marking, **members}


def levels(draft: ItemDraft) -> list[str]:
    assert draft.hold is None
    return [portion.timeline[0][2].level for portion in draft.portions]


def test_a_level_of_2019_is_read_as_of_2019_and_kept_as_it_was_written() -> None:
    draft = read(text(f"({OF_2019})", marked_on="2019-05-31"))
    assert levels(draft) == ["SECRET"]
    assert draft.portions[0].marking == f"({OF_2019})"
    assert draft.portions[0].timeline[0][2].originators == ("FRA",)


def test_without_the_day_it_is_read_as_of_now_and_waits_for_an_officer() -> None:
    hold = read(text(f"({OF_2019})")).hold
    assert hold is not None
    assert hold.code == "unknown-level"
    assert "which the bundle has for other dates than 2026-11-22" in hold.reason


def test_a_level_that_was_not_yet_in_use_on_the_day_waits_too() -> None:
    assert levels(
        read(text("(TRÈS SECRET//REL TO USA, FRA, GBR)", marked_on="2021-07-01"), marking="TOP SECRET//REL TO USA, FRA, GBR")
    ) == ["TOP SECRET"]
    hold = read(text("(TRÈS SECRET//REL TO USA, FRA, GBR)", marked_on="2021-06-30"), marking="TOP SECRET//REL TO USA, FRA, GBR").hold
    assert hold is not None
    assert hold.code == "unknown-level"


def test_the_items_day_holds_for_its_own_marking_and_for_portions_without_their_own() -> None:
    draft = read(
        text(f"({OF_2019})"), text("(SECRET//REL TO USA, FRA, GBR)", marked_on="2022-01-01"), marking=OF_2019, marked_on="2019-05-31"
    )
    assert levels(draft) == ["SECRET", "SECRET"]


def test_a_value_within_a_portion_has_its_day_and_a_tear_line_has_not() -> None:
    mark = f"({OF_2019})"
    parted = {"kind": "json", "value": {"a": 1, "b": 2}, "marking": mark, "marked_on": "2019-05-31", "markings": {"/b": mark}}
    assert levels(read(parted)) == ["SECRET", "SECRET"]
    torn = text(mark, marked_on="2019-05-31", tear_line=[{"text": "less", "marking": mark}])
    hold = read(torn).hold
    assert hold is not None
    assert hold.reason.startswith("tear-line 0 of portion 0: ")


@pytest.mark.parametrize("day", ["2019", "2019-02-30", "2019-05-31T00:00:00Z", 2019, ["2019-05-31"], "", "2026-11-23"])
def test_what_is_no_day_or_is_still_to_come_is_refused(day: object) -> None:
    for members in ({"marked_on": day}, {"portions": [title("t") | {"marked_on": day}]}):
        with pytest.raises(Refusal) as refused:
            read(title("t"), **members)
        assert refused.value.code == "marked-on"


def test_markings_that_are_alike_are_read_once() -> None:
    """Most items of an import share theirs."""
    reader = ItemReader(BUNDLE, START)

    def label(**members: Any) -> object:
        value = item("r", text("(S//REL TO USA, FRA)", **members), marking="SECRET//REL TO USA, FRA")
        return reader.read(value, find_file=lambda _: pytest.fail("no file is named")).portions[0].timeline[0][2]

    first = label()
    assert label() is first
    assert label(marked_on="2020-01-01") == first
    assert label(categories=["CYBER"]) != first
    assert label(declassify_on="2040-01-01") == first
