"""The scheme: whole, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from service.labels.markings import profile_of
from service.labels.scheme import Scheme, SchemeError, UnknownName

WHOLE: dict[str, Any] = {
    "own": "USA",
    "profile": "IC-2016",
    "levels": [{"name": "UNCLASSIFIED", "mark": "U"}, {"name": "SECRET", "mark": "S"}, {"name": "TOP SECRET", "mark": "TS"}],
    "categories": ["CYBER"],
    "caveats": ["ORCON"],
    "purposes": [],
    "expandable": [],
    "public_communities": [],
    "categories_required_from": "",
    "audience_required_from": "SECRET",
    "approval_level": "SECRET",
    "releasable_in": "whole",
    "audience_on_copies": "own",
}


def test_the_ladder_has_an_order_and_a_lowest_step() -> None:
    scheme = Scheme.from_mapping(WHOLE)
    assert [scheme.rank(level) for level in ("UNCLASSIFIED", "SECRET", "TOP SECRET")] == [0, 1, 2]
    assert scheme.lowest == "UNCLASSIFIED"
    with pytest.raises(UnknownName, match="unknown level `COSMIC`"):
        scheme.rank("COSMIC")


@pytest.mark.parametrize(("level", "required"), [("UNCLASSIFIED", False), ("SECRET", True), ("TOP SECRET", True)])
def test_an_audience_is_required_from_the_level_set(level: str, required: bool) -> None:
    scheme = Scheme.from_mapping(WHOLE)
    assert scheme.requires_audience(level) is required
    assert scheme.requires_categories(level) is False


@pytest.mark.parametrize(
    ("change", "key"),
    [
        pytest.param({"colour": "red"}, "colour", id="unknown-key"),
        pytest.param({"own": "usa"}, "own", id="own-in-lower-case"),
        pytest.param({"profile": "IC-1999"}, "profile", id="unknown-profile"),
        pytest.param({"profile": []}, "profile", id="profile-of-another-type"),
        pytest.param({"levels": []}, "levels", id="no-levels"),
        pytest.param({"levels": [{"name": "SECRET"}]}, "levels", id="level-without-mark"),
        pytest.param({"levels": [{"name": "Secret", "mark": "S"}]}, "levels", id="level-in-mixed-case"),
        pytest.param({"levels": [{"name": "A", "mark": "S"}, {"name": "B", "mark": "S"}]}, "levels", id="one-mark-for-two-levels"),
        pytest.param({"categories": ["CYBER", "CYBER"]}, "categories", id="category-twice"),
        pytest.param({"caveats": ["OR CON"]}, "caveats", id="blank-in-a-code"),
        pytest.param({"purposes": "none"}, "purposes", id="string-for-a-list"),
        pytest.param({"categories_required_from": "COSMIC"}, "categories_required_from", id="required-from-unknown-level"),
        pytest.param({"audience_required_from": None}, "audience_required_from", id="required-from-nothing"),
        pytest.param({"approval_level": ""}, "approval_level", id="no-approval-level"),
        pytest.param({"approval_level": []}, "approval_level", id="approval-level-of-another-type"),
        pytest.param({"releasable_in": "parts"}, "releasable_in", id="unknown-way-of-release"),
        pytest.param({"audience_on_copies": True}, "audience_on_copies", id="setting-of-another-type"),
    ],
)
def test_a_scheme_that_is_not_whole_is_refused_with_its_key(change: dict[str, Any], key: str) -> None:
    with pytest.raises(SchemeError) as caught:
        Scheme.from_mapping({**WHOLE, **change})
    assert caught.value.key == key


@pytest.mark.parametrize("key", sorted(WHOLE))
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(SchemeError, match=f"scheme without `{key}`"):
        Scheme.from_mapping({name: value for name, value in WHOLE.items() if name != key})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"profile": "TLP-2"}, "is no colour of profile `TLP-2`", id="levels-that-are-no-colours"),
        pytest.param({"profile": "NATO-4774", "caveats": ["ONLY"]}, "caveat `ONLY` would be read as an audience", id="only"),
        pytest.param({"caveats": ["NOFORN"]}, "caveat `NOFORN` would be read as an audience", id="caveat-that-is-an-audience"),
        pytest.param({"caveats": ["REL"]}, "caveat `REL` would be read as an audience", id="caveat-that-begins-a-list"),
        pytest.param({"caveats": ["ORCON", "OC"]}, "both written `OC`", id="caveat-that-is-another-ones-mark"),
    ],
)
def test_a_scheme_whose_markings_could_not_be_told_apart_has_no_profile(change: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemeError, match=said):
        profile_of(Scheme.from_mapping({**WHOLE, **change}))
