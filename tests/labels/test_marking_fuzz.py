"""Random strings: none crashes a reader, none is read as wider than its own words, and none makes a page that is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.labels.intake import label_of
from service.labels.label import UNRESTRICTED
from service.labels.markings import Unresolved, profile_of
from service.labels.markings.pages import judge
from service.labels.markings.register import published
from service.labels.scheme import Profile
from tests.support.labels_fuzz import hold, texts

PUBLISHED = Path(__file__).parent / "published"
PAGES = json.loads((PUBLISHED / "capco2016_rollup_vectors.json").read_text())
MARKS = json.loads((PUBLISHED / "ism_marks.json").read_text())
LEGAL = [
    *(text for page in PAGES for text in (page["banner"], *page["portions"])),
    *(text for pair in MARKS for text in (pair["banner"], pair["portion"]) if text is not None),
]
REGISTERS = {profile: published(profile) for profile in (Profile.IC_2016, Profile.PLAIN)}


def read_many(seed: int, count: int) -> int:
    """How many of so many random strings are markings; each is checked, in both profiles in turn, and as a label."""
    understood = 0
    profiles = {profile: profile_of(register.scheme) for profile, register in REGISTERS.items()}
    for number, text in enumerate(texts(seed, count, legal=LEGAL)):
        name = Profile.PLAIN if number % 4 == 0 else Profile.IC_2016
        register = REGISTERS[name]
        marking = hold(text, profiles[name], scheme=register.scheme, portion=number % 3 != 0)
        if marking is None:
            continue
        understood += 1
        try:
            label = label_of(marking, categories=(), originators=("USA",), scheme=register.scheme, known_codes=register.codes)
        except Unresolved:
            continue
        if marking.unreleasable:
            assert (label.releasable_to, label.display_to) == ((), None)
        elif marking.releasable_to is None:
            assert label.releasable_to == UNRESTRICTED
        else:
            assert set(label.releasable_to) == set(marking.releasable_to)
    return understood


def test_a_hundred_thousand_random_strings_are_read_as_no_more_than_they_say() -> None:
    assert read_many(seed=1, count=100_000) > 10_000


@pytest.mark.campaign
def test_a_million_random_strings_are_read_as_no_more_than_they_say() -> None:
    assert read_many(seed=2016, count=1_000_000) > 100_000


def test_any_page_of_random_strings_is_judged() -> None:
    found = list(texts(7, 3_000, legal=LEGAL))
    for number in range(0, len(found), 3):
        first, second, banner = found[number : number + 3]
        judged = judge([first, second], banner, register=REGISTERS[Profile.IC_2016 if number % 2 else Profile.PLAIN])
        assert judged.why
        assert "\n" not in judged.why
        assert judged.banner is not None or judged.verdict == "invalid"
