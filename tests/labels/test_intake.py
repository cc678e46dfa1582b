"""Intake: what a marking leaves unsaid is settled once, and what is not known waits for an officer."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import Rejected
from service.labels.intake import check_label, label_of
from service.labels.label import UNRESTRICTED, Label, LabelError
from service.labels.markings import Unresolved, profile_of
from service.labels.scheme import Scheme

SCHEME = Scheme.from_mapping(
    {
        "own": "USA",
        "profile": "IC-2016",
        "levels": [{"name": "UNCLASSIFIED", "mark": "U"}, {"name": "CONFIDENTIAL", "mark": "C"}, {"name": "SECRET", "mark": "S"}],
        "categories": ["CYBER", "MARITIME"],
        "caveats": ["ORCON"],
        "purposes": [],
        "expandable": ["FVEY"],
        "public_communities": [],
        "categories_required_from": "SECRET",
        "audience_required_from": "CONFIDENTIAL",
        "approval_level": "SECRET",
        "releasable_in": "whole",
        "audience_on_copies": "own",
    }
)
KNOWN = frozenset({"USA", "JPN", "IND", "FVEY"})
PROFILE = profile_of(SCHEME)


def taken(text: str, categories: tuple[str, ...] = ("CYBER",), originators: tuple[str, ...] = ("USA",)) -> Label:
    return label_of(PROFILE.parse_banner(text), categories=categories, originators=originators, scheme=SCHEME, known_codes=KNOWN)


@pytest.mark.parametrize(
    ("text", "releasable_to", "display_to"),
    [
        pytest.param("UNCLASSIFIED", UNRESTRICTED, None, id="no-audience-below-the-level-is-everyone"),
        pytest.param("UNCLASSIFIED//NOFORN", (), None, id="noforn-is-nobody"),
        pytest.param("SECRET//REL TO USA, JPN", ("JPN", "USA"), None, id="a-list"),
        pytest.param("SECRET//DISPLAY ONLY JPN", (), ("JPN",), id="display-only-is-nobody-for-release"),
        pytest.param("UNCLASSIFIED//DISPLAY ONLY JPN", (), ("JPN",), id="display-only-is-an-audience-below-the-level-too"),
        pytest.param("SECRET//REL TO USA, JPN/DISPLAY ONLY IND", ("JPN", "USA"), ("IND", "JPN", "USA"), id="who-may-keep-may-look"),
    ],
)
def test_a_marking_becomes_a_label(text: str, releasable_to: tuple[str, ...], display_to: tuple[str, ...] | None) -> None:
    label = taken(text)
    assert (label.releasable_to, label.display_to) == (releasable_to, display_to)
    assert (label.categories, label.originators, label.consents, label.grants) == (("CYBER",), ("USA",), (), ())


@pytest.mark.parametrize(
    "text", ["UNCLASSIFIED", "SECRET//ORCON/NOFORN", "CONFIDENTIAL//REL TO USA, JPN", "SECRET//REL TO USA, JPN/DISPLAY ONLY IND"]
)
def test_a_label_taken_in_is_written_as_its_marking(text: str) -> None:
    label = taken(text)
    assert PROFILE.write_banner(label) == text
    check_label(label, scheme=SCHEME, known_codes=KNOWN)


@pytest.mark.parametrize(
    ("text", "beside", "code", "offset", "message"),
    [
        pytest.param("CONFIDENTIAL", {}, "unmarked", 0, "no audience named at level `CONFIDENTIAL`", id="audience-at-its-level"),
        pytest.param("SECRET//ORCON", {}, "unmarked", 0, "expected one from `CONFIDENTIAL` on", id="audience-above-its-level"),
        pytest.param("SECRET//NOFORN", {"categories": ()}, "unmarked", 0, "no category at level `SECRET`", id="category-at-its-level"),
        pytest.param("SECRET//REL TO USA, JPM", {}, "unknown-code", 20, "`JPM`, expected one like `JPN`", id="code-in-a-list"),
        pytest.param("secret//display only xyz", {}, "unknown-code", 21, "unknown code in audience `XYZ`", id="code-for-display"),
        pytest.param(
            "UNCLASSIFIED", {"categories": ("CYBR",)}, "unknown-token", 0, "category `CYBR`, expected one like `CYBER`", id="category"
        ),
        pytest.param("UNCLASSIFIED", {"originators": ("DEU",)}, "unknown-code", 0, "unknown originator `DEU`", id="originator"),
        pytest.param("UNCLASSIFIED", {"originators": ("*",)}, "unknown-code", 0, "unknown originator `*`", id="everyone-as-originator"),
    ],
)
def test_what_is_not_known_or_not_marked_is_for_quarantine(text: str, beside: dict[str, Any], code: str, offset: int, message: str) -> None:
    with pytest.raises(Unresolved) as caught:
        taken(text, **beside)
    assert message in str(caught.value)
    assert (caught.value.code, caught.value.text, caught.value.offset) == (code, text, offset)


def test_a_label_below_its_levels_needs_no_category_and_no_audience() -> None:
    assert taken("CONFIDENTIAL//NOFORN", categories=()).categories == ()
    assert taken("UNCLASSIFIED", categories=()).releasable_to == UNRESTRICTED


def test_a_marking_without_originator_is_no_label() -> None:
    with pytest.raises(LabelError, match="at least one originator"):
        taken("UNCLASSIFIED", originators=())


GOOD: dict[str, Any] = {
    "level": "SECRET",
    "categories": ("CYBER",),
    "releasable_to": ("JPN", "USA"),
    "caveats": (),
    "originators": ("USA",),
}


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        pytest.param({"level": "COSMIC"}, "unknown-level", "unknown level `COSMIC`", id="level"),
        pytest.param({"level": ""}, "unknown-level", "unknown level ``", id="no-level"),
        pytest.param({"categories": ("*",)}, "unknown-token", "unknown category `*`", id="every-category"),
        pytest.param({"caveats": ("HCS",)}, "unknown-token", "unknown caveat `HCS`", id="caveat"),
        pytest.param({"releasable_to": ("DEU",)}, "unknown-code", "unknown code in audience `DEU`", id="code"),
        pytest.param({"releasable_to": ("jpn",)}, "unknown-code", "unknown code in audience `jpn`", id="code-in-lower-case"),
        pytest.param({"display_to": ("DEU",)}, "unknown-code", "unknown code in audience `DEU`", id="code-for-display"),
        pytest.param({"originators": ("DEU",)}, "unknown-code", "unknown originator `DEU`", id="originator"),
        pytest.param({"releasable_to": UNRESTRICTED}, "unmarked", "no audience named", id="unrestricted-where-an-audience-is-required"),
        pytest.param({"categories": ()}, "unmarked", "no category", id="no-category-where-one-is-required"),
    ],
)
def test_a_label_given_as_json_is_checked_like_a_marking(change: dict[str, Any], code: str, message: str) -> None:
    check_label(Label(**GOOD), scheme=SCHEME, known_codes=KNOWN)
    with pytest.raises(Unresolved) as caught:
        check_label(Label(**{**GOOD, **change}), scheme=SCHEME, known_codes=KNOWN)
    assert caught.value.code == code
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"consents": ("GBR:JPN",)}, "has no `consents`, got `GBR:JPN`", id="consents"),
        pytest.param({"grants": ("release:JPN",)}, "has no `grants`, got `release:JPN`", id="grants"),
        pytest.param({"display_to": UNRESTRICTED}, "no marking can say it", id="everyone-for-display-alone"),
    ],
)
def test_what_only_an_act_can_give_is_refused_in_a_label_that_comes_in(change: dict[str, Any], message: str) -> None:
    with pytest.raises(Rejected, match=message) as caught:
        check_label(Label(**{**GOOD, **change}), scheme=SCHEME, known_codes=KNOWN)
    assert not isinstance(caught.value, Unresolved)
