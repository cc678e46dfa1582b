"""The label as a value: one label, one text, one digest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.labels.label import Label, LabelError

WHOLE: dict[str, Any] = {
    "level": "SECRET",
    "categories": ["MARITIME"],
    "releasable_to": ["JPN", "USA"],
    "caveats": [],
    "originators": ["USA"],
}
NAMES = st.sampled_from(["AUS", "CYBER", "GBR", "JPN", "USA"])
SETS = st.lists(NAMES, max_size=4)


def test_order_and_repeats_of_a_set_do_not_matter() -> None:
    one = Label("SECRET", ("CYBER", "AIR"), ("USA", "JPN"), (), ("USA",))
    other = Label("SECRET", ("AIR", "CYBER", "AIR"), ("JPN", "USA"), (), ("USA", "USA"))
    assert one == other
    assert one.digest() == other.digest()
    assert hash(one) == hash(other)


def test_the_canonical_text_is_sorted_json_without_blanks() -> None:
    expected = b'{"categories":["MARITIME"],"caveats":[],"level":"SECRET","originators":["USA"],"releasable_to":["JPN","USA"]}'
    assert Label.from_json(WHOLE).canonical() == expected


def test_an_audience_for_display_that_is_the_default_is_not_written() -> None:
    label = Label.from_json({**WHOLE, "display_to": ["USA", "JPN"]})
    assert label.display_to is None
    assert label.shown_to == ("JPN", "USA")
    assert "display_to" not in label.to_json()


@given(SETS, SETS, SETS, SETS, SETS, st.lists(NAMES, min_size=1))
def test_a_label_reads_back_from_its_own_json(
    categories: list[str], releasable_to: list[str], display_to: list[str], consents: list[str], grants: list[str], originators: list[str]
) -> None:
    label = Label(
        "SECRET", tuple(categories), tuple(releasable_to), (), tuple(originators), tuple(display_to), tuple(consents), tuple(grants)
    )
    assert Label.from_json(json.loads(label.canonical())) == label
    assert Label.from_json(label.to_json()).digest() == label.digest()


@pytest.mark.parametrize(
    ("given_value", "said"),
    [
        pytest.param([], "a label is a JSON object", id="not-an-object"),
        pytest.param({**WHOLE, "colour": []}, "unknown member `colour`", id="unknown-member"),
        *[
            pytest.param({key: value for key, value in WHOLE.items() if key != name}, f"without `{name}`", id=f"without-{name}")
            for name in WHOLE
        ],
        pytest.param({**WHOLE, "level": 3}, "`level` of a label is a string", id="level-of-another-type"),
        pytest.param({**WHOLE, "level": "\ud800"}, "`level` of a label is a string", id="level-not-unicode"),
        pytest.param({**WHOLE, "categories": "MARITIME"}, "`categories` of a label is a list", id="a-string-for-a-list"),
        pytest.param({**WHOLE, "caveats": [1]}, "`caveats` of a label is a list of strings", id="a-number-in-a-list"),
        pytest.param({**WHOLE, "grants": None}, "`grants` of a label is a list", id="null-for-a-list"),
        pytest.param({**WHOLE, "caveats": ["\udfff"]}, "`caveats` of a label is a list of strings", id="half-a-surrogate-pair"),
        pytest.param({**WHOLE, "releasable_to": ["*", "JPN"]}, "`*` alone or a list of codes", id="star-beside-codes"),
        pytest.param({**WHOLE, "display_to": ["*", "JPN"]}, "`*` alone or a list of codes", id="star-beside-codes-for-display"),
        pytest.param({**WHOLE, "originators": []}, "at least one originator", id="no-originator"),
    ],
)
def test_what_is_not_a_label_is_refused_with_its_reason(given_value: object, said: str) -> None:
    with pytest.raises(LabelError, match=said.replace("*", r"\*")) as caught:
        Label.from_json(given_value)
    assert caught.value.code == "label"
