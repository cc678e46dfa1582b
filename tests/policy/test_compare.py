"""The two engines side by side before a bundle counts: at the edges of what changed, at random beside it, again from the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.policy import Bundle, load_bundle, read_bundle
from service.policy.compare import QUESTIONS_MIN, RANDOM_MAX, Compared, changed_rules, compare_with_stock
from tests.support.store_bundles import (
    COMMUNITIES,
    IND_CONFIDENTIAL,
    IND_EXERCISE,
    JPN_SECRET,
    OPEN,
    PARTNERS,
    SCHEME,
    bundle,
    bundle_files,
)

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ROWS = (OPEN, JPN_SECRET, IND_CONFIDENTIAL, IND_EXERCISE)
AUS = "p, AGR-0010, allow, release, AUS, *, CONFIDENTIAL, MARITIME, none, *, , , Letter"
QUAD = "p, AGR-0011, allow, release, QUAD, *, SECRET, CYBER, none, *, , , Letter"


def at_once(limit: int) -> Iterator[bool]:
    """Time for so many questions and no more."""
    return iter([True] * limit + [False] * 10)


def compare(new: Bundle, old: Bundle | None, *, seed: int = 7, questions: int | None = None) -> Compared:
    budget = None if questions is None else at_once(questions)
    return compare_with_stock(
        new, read_bundle(new.files), old=old, moments=[NOW], seed=seed, go_on=(lambda: True) if budget is None else budget.__next__
    )


FIRST = bundle_files(ROWS)
WITH_AUS = bundle_files([*ROWS, AUS])
WITH_QUAD = bundle_files([*ROWS, QUAD])
RAISED = bundle_files([*ROWS, AUS.replace("CONFIDENTIAL", "SECRET")])
JOINED = bundle_files([*ROWS, QUAD], communities=[*COMMUNITIES, "g, AUS, QUAD, ,"])
NOT_EXPANDED = bundle_files([OPEN, QUAD], scheme=SCHEME.replace('expandable = ["QUAD"]', "expandable = []"))
WITHOUT_AUS = bundle_files([OPEN], partners=PARTNERS[1:], communities=COMMUNITIES[1:])


@pytest.mark.parametrize(
    ("old", "new", "ids"),
    [
        pytest.param(None, FIRST, ["AGR-0001", "AGR-0002", "AGR-0003", "AGR-0004"], id="the first: all"),
        pytest.param(FIRST, FIRST, [], id="the same: none"),
        pytest.param(FIRST, WITH_AUS, ["AGR-0010"], id="a row added"),
        pytest.param(WITH_AUS, FIRST, ["AGR-0010"], id="a row taken out, as it stood"),
        pytest.param(WITH_AUS, RAISED, ["AGR-0010", "AGR-0010"], id="a row changed, before and after"),
        pytest.param(WITH_QUAD, JOINED, ["AGR-0011"], id="another member: the community's rows"),
        pytest.param(bundle_files([OPEN, QUAD]), NOT_EXPANDED, ["AGR-0001", "AGR-0011"], id="another scheme: all"),
        pytest.param(bundle_files([OPEN, AUS]), WITHOUT_AUS, ["AGR-0001"], id="a row whose words are gone is left out, its community not"),
    ],
)
def test_what_an_edit_touches(old: dict[str, bytes] | None, new: dict[str, bytes], ids: list[str]) -> None:
    found = changed_rules(None if old is None else read_bundle(old), read_bundle(new))
    assert [rule.id for rule in found] == ids


def test_an_unchanged_bundle_is_still_asked_about_at_random() -> None:
    one = bundle(ROWS)
    found = compare(one, one)
    assert (found.asked, found.differs) == (RANDOM_MAX, None)
    assert found.told() == f"the engines agree on {RANDOM_MAX} questions"


def test_what_changed_is_asked_about_beside_it() -> None:
    found = compare(read_bundle(bundle_files([*ROWS, AUS])), bundle(ROWS))
    assert found.asked > RANDOM_MAX + 20
    assert found.differs is None


@pytest.mark.parametrize(("budget", "asked"), [(0, QUESTIONS_MIN), (1, QUESTIONS_MIN + 1), (100, QUESTIONS_MIN + 100)])
def test_it_ends_when_there_is_no_more_time_and_never_before_a_few(budget: int, asked: int) -> None:
    assert compare(bundle(ROWS), None, questions=budget).asked == asked


def test_the_engines_agree_on_the_sample() -> None:
    sample = load_bundle(Path(__file__).parents[2] / "policies")
    moments = [NOW, *(moment for moment in sample.boundaries if moment > NOW)]
    found = compare_with_stock(sample, read_bundle(sample.files), old=None, moments=moments, seed=20261122, go_on=at_once(250).__next__)
    assert (found.asked, found.told()) == (QUESTIONS_MIN + 250, f"the engines agree on {QUESTIONS_MIN + 250} questions")


@pytest.mark.parametrize(
    "row",
    [
        pytest.param("p, PRO-0001, deny, *, JPN, *, SECRET, *, *, *, , , Order", id="a prohibition overlooked"),
        pytest.param("p, PRO-0001, deny, *, QUAD, *, CONFIDENTIAL, CYBER, *, *, , , Order", id="a community's"),
        pytest.param("p, PRO-0001, deny, release, IND, *, UNCLASSIFIED, *, RELIDO, *, , , Order", id="of a caveat"),
        pytest.param("p, PRO-0001, deny, *, ALL, *, UNCLASSIFIED, *, *, JPN, , , Order", id="of an originator"),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_engine_that_overlooks_a_changed_row_is_found_whatever_the_seed(row: str, seed: int) -> None:
    """As if the compiler had lost it: the compiled side is of the bundle without it."""
    new = read_bundle(bundle_files(ROWS, prohibitions=[row]))
    lost = read_bundle(bundle_files(ROWS))
    found = compare_with_stock(lost, new, old=None, moments=[NOW], seed=seed, go_on=lambda: True)
    beside = compare_with_stock(new, lost, old=lost, moments=[NOW], seed=seed, go_on=lambda: True)
    assert beside.differs is not None and beside.compiled is not None and beside.stock is not None
    assert beside.compiled.denied == ("PRO-0001",) and beside.stock.denied == ()
    assert beside.asked < 150, "the edges of what changed come first"
    again = compare_with_stock(new, lost, old=lost, moments=[NOW], seed=seed, go_on=lambda: True)
    assert again == beside, "the same seed asks the same"
    assert "PRO-0001" in beside.told() and f"`{beside.differs.partner}`" in beside.told()
    assert found.differs is not None
