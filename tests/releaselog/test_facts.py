"""Facts: what an auditor can look for in a record, of the record alone, and of any value at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.releaselog.facts import KINDS, facts

SECRET = {"level": "SECRET", "categories": ["CYBER", "MARITIME"]}
OPEN = {"level": "UNCLASSIFIED", "categories": []}
RECORD: dict[str, Any] = {
    "act": 3,
    "outcome": "in_part",
    "partner": "JPN",
    "bundle": "ab" * 32,
    "engine": "cd" * 32,
    "items": [{"id": "i1", "ref": "r1", "rules": ["AGR-0001", "AGR-0002"]}, {"id": "i2", "ref": "r2", "rules": ["AGR-0001"]}],
    "labels": {"1": SECRET, "2": OPEN},
    "query": {"level": ["CONFIDENTIAL"]},
}


def test_a_record_says_its_outcome_its_bundle_and_every_level_category_and_rule_in_it() -> None:
    assert facts(RECORD) == {
        ("outcome", "in_part"), ("bundle", "ab" * 32), ("level", "SECRET"), ("level", "UNCLASSIFIED"), ("category", "CYBER"),
        ("category", "MARITIME"), ("rule", "AGR-0001"), ("rule", "AGR-0002"),
    }  # fmt: skip


def test_an_act_says_its_outcome_alone() -> None:
    """What was asked for, or written by hand, is no fact: `query` and `details` hold words of people."""
    assert facts({"act": 1, "outcome": "done", "details": {"level": "SECRET", "rules": ["X"]}, "authority": None}) == {("outcome", "done")}


@pytest.mark.parametrize("member", ["outcome", "bundle", "items", "labels"])
def test_a_member_that_is_missing_takes_its_own_facts_away_and_no_others(member: str) -> None:
    kinds = {"outcome": {"outcome"}, "bundle": {"bundle"}, "items": {"rule"}, "labels": {"level", "category"}}[member]
    assert facts({name: value for name, value in RECORD.items() if name != member}) == {
        fact for fact in facts(RECORD) if fact[0] not in kinds
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*RECORD, "other"]), JSON))
def test_anything_has_facts_and_they_are_text_of_known_kinds(record: dict[str, Any]) -> None:
    """A record that was tampered with must be named by verification, not stumbled over."""
    for kind, value in facts(record):
        assert kind in KINDS
        assert isinstance(value, str)


@settings(deadline=None)
@given(st.lists(st.sampled_from(RECORD["items"])), st.lists(st.sampled_from(RECORD["items"])))
def test_a_page_says_what_its_items_say_in_any_order(some: list[Any], more: list[Any]) -> None:
    together = facts({"items": [*some, *more]})
    assert together == facts({"items": some}) | facts({"items": more}) == facts({"items": [*more, *some]})
