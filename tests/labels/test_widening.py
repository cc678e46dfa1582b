"""Whether another label may open anything: what is said to narrow opens nothing under any policy, and each reason is true of some."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.labels.label import Label
from service.labels.widening import widened, widened_through
from service.policy import Bundle, Outcome
from tests.support.store_bundles import bundle

LEVELS = ("UNCLASSIFIED", "CONFIDENTIAL", "SECRET")
CATEGORIES = ("CYBER", "MARITIME", "OPEN")
CAVEATS = ("ORCON", "RELIDO")
CODES = ("AUS", "IND", "JPN", "QUAD", "ALL", "USA")
SCHEME = bundle().scheme
AT = datetime(2026, 11, 22, tzinfo=UTC)


def rows(seed: int) -> tuple[list[str], list[str]]:
    """Some agreements and prohibitions, all different from seed to seed."""
    chosen = random.Random(seed)

    def some(names: tuple[str, ...], *, least: int) -> str:
        given = chosen.choice(["*", " ".join(sorted(chosen.sample(names, chosen.randint(1, len(names)))))])
        return "none" if not least and chosen.random() < 0.3 else given

    def row(kind: str, number: int, actions: tuple[str, ...]) -> str:
        words = [
            "p", f"{kind}-{number:04}", "allow" if kind == "AGR" else "deny", chosen.choice(actions),
            chosen.choice(("AUS", "IND", "QUAD", "ALL")),
            chosen.choice(("*", "none", "EXERCISE-KEEN")), chosen.choice(LEVELS), some(CATEGORIES, least=int(kind != "AGR")),
            some(CAVEATS, least=int(kind != "AGR")), chosen.choice(("*", "USA", "JPN")), "", "", "Made up",
        ]  # fmt: skip
        return ", ".join(words)

    agreements = [row("AGR", number, ("release", "display", "refer")) for number in range(6)]
    return agreements, [row("PRO", number, ("*", "release", "display", "refer")) for number in range(chosen.randint(0, 2))]


BUNDLES: list[Bundle] = [bundle(agreements, prohibitions=prohibitions) for agreements, prohibitions in map(rows, range(20))]


def sets(names: tuple[str, ...], least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), min_size=least, max_size=3, unique=True).map(tuple)


audiences = sets(CODES) | st.just(("*",))
labels = st.builds(
    Label,
    level=st.sampled_from(LEVELS),
    categories=sets(CATEGORIES),
    releasable_to=audiences,
    caveats=sets(CAVEATS),
    originators=sets(("USA", "JPN", "AUS"), least=1),
    display_to=st.none() | sets(CODES),
    consents=sets(("JPN:IND", "AUS:JPN", "JPN:AUS")),
    grants=sets(("release:IND", "display:JPN")),
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Label, Label]:
    """Two labels of which the second differs in few respects: of any two, one is hardly ever as narrow as the other."""
    before, other = draw(labels), draw(labels)
    names = ("level", "categories", "releasable_to", "caveats", "originators", "display_to", "consents", "grants")
    changed = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    after: dict[str, Any] = {}
    for name in changed:
        mine, theirs = getattr(before, name), getattr(other, name)
        both = isinstance(mine, tuple) and isinstance(theirs, tuple) and mine != ("*",)
        after[name] = draw(st.sampled_from([theirs, tuple(set(mine) & set(theirs)) or mine] if both else [theirs]))
        if both and name in ("categories", "caveats", "originators"):
            after[name] = draw(st.sampled_from([after[name], tuple({*mine, *theirs})]))
    return before, replace(before, **after)


def released(policy: Bundle, label: Label) -> set[tuple[str, str, str]]:
    snapshot = policy.snapshot(AT)
    return {
        (partner, action, purpose)
        for partner in ("AUS", "IND", "JPN")
        for action in ("release", "display")
        for purpose in ("none", "EXERCISE-KEEN")
        if snapshot.decide(partner, action, label, purpose).outcome is Outcome.RELEASE
    }


@settings(max_examples=400, deadline=None)
@given(pairs())
def test_what_narrows_opens_nothing_under_any_policy(pair: tuple[Label, Label]) -> None:
    before, after = pair
    if widened(before, after, scheme=SCHEME):
        return
    for policy in BUNDLES:
        assert released(policy, after) <= released(policy, before)


@settings(max_examples=200, deadline=None)
@given(labels, labels, labels)
def test_narrowing_is_an_order(one: Label, two: Label, three: Label) -> None:
    assert widened(one, one, scheme=SCHEME) == ()
    if not widened(one, two, scheme=SCHEME) and not widened(two, three, scheme=SCHEME):
        assert widened(one, three, scheme=SCHEME) == ()


MARITIME = Label("SECRET", ("MARITIME",), ("JPN", "USA"), ("RELIDO",), ("USA",))


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        pytest.param({"level": "CONFIDENTIAL"}, "the level is lowered from `SECRET` to `CONFIDENTIAL`", id="level"),
        pytest.param({"level": "COSMIC"}, "the level becomes `COSMIC` from `SECRET`, which the scheme cannot compare", id="unknown level"),
        pytest.param({"categories": ()}, "category `MARITIME` is dropped", id="category"),
        pytest.param({"categories": ("CYBER",)}, "category `MARITIME` is dropped", id="another category"),
        pytest.param({"caveats": ()}, "caveat `RELIDO` is dropped", id="caveat"),
        pytest.param({"originators": ("AUS",)}, "originator `USA` is dropped", id="originator"),
        pytest.param({"releasable_to": ("AUS", "JPN")}, "`AUS` is added to the audience for release", id="audience"),
        pytest.param({"releasable_to": ("QUAD",)}, "`QUAD` is added to the audience for release", id="a community of those who were named"),
        pytest.param({"releasable_to": ("*",)}, "the audience for release becomes unrestricted", id="no audience"),
        pytest.param({"display_to": ("IND", "JPN")}, "`IND` is added to the audience for display", id="display"),
        pytest.param({"consents": ("AUS:JPN",)}, "consent `AUS:JPN` is added", id="consent"),
        pytest.param({"grants": ("release:IND",)}, "grant `release:IND` is added", id="grant"),
    ],
)
def test_it_says_in_which_respect_a_label_is_wider(after: dict[str, Any], reason: str) -> None:
    assert reason in widened(MARITIME, replace(MARITIME, **after), scheme=SCHEME)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param({"categories": ("CYBER", "MARITIME")}, id="a category more"),
        pytest.param({"caveats": ("ORCON", "RELIDO")}, id="a caveat more"),
        pytest.param({"originators": ("AUS", "USA")}, id="an originator more"),
        pytest.param({"releasable_to": ()}, id="nobody"),
        pytest.param({"releasable_to": ("JPN",)}, id="the own code means nothing"),
        pytest.param({"releasable_to": (), "display_to": ("JPN",)}, id="only to be displayed to whom it was released"),
    ],
)
def test_what_only_adds_conditions_narrows(after: dict[str, Any]) -> None:
    assert widened(MARITIME, replace(MARITIME, **after), scheme=SCHEME) == ()


@pytest.mark.parametrize(
    ("agreement", "before", "after"),
    [
        pytest.param("release, JPN, *, CONFIDENTIAL, *, *, *", MARITIME, {"level": "CONFIDENTIAL"}, id="level"),
        pytest.param("release, JPN, *, SECRET, none, *, *", MARITIME, {"categories": ()}, id="category"),
        pytest.param("release, JPN, *, SECRET, *, none, *", MARITIME, {"caveats": ()}, id="caveat"),
        pytest.param(
            "release, JPN, *, SECRET, *, *, USA", replace(MARITIME, originators=("JPN", "USA")), {"originators": ("USA",)}, id="originator"
        ),
        pytest.param("release, AUS, *, SECRET, *, *, *", MARITIME, {"releasable_to": ("AUS",)}, id="audience"),
        pytest.param("release, IND, *, SECRET, *, *, *", MARITIME, {"releasable_to": ("QUAD",)}, id="community"),
        pytest.param("release, AUS, *, SECRET, *, *, *", MARITIME, {"releasable_to": ("*",)}, id="unrestricted"),
        pytest.param("display, AUS, *, SECRET, *, *, *", MARITIME, {"display_to": ("AUS", "JPN")}, id="display"),
        pytest.param("release, JPN, *, SECRET, *, *, *", replace(MARITIME, originators=("AUS",)), {"consents": ("AUS:JPN",)}, id="consent"),
        pytest.param("refer, IND, *, SECRET, *, *, *", MARITIME, {"grants": ("release:IND",)}, id="grant"),
    ],
)
def test_each_respect_is_one_that_some_policy_looks_at(agreement: str, before: Label, after: dict[str, Any]) -> None:
    action, *rest = agreement.split(", ", 1)
    policy = bundle([f"p, AGR-0001, allow, {action}, {rest[0]}, , , Made up"])
    changed = replace(before, **after)
    assert widened(before, changed, scheme=SCHEME)
    assert released(policy, changed) - released(policy, before)


def test_labels_are_compared_at_every_moment_ahead() -> None:
    lower = replace(MARITIME, level="UNCLASSIFIED")
    before = [(0, 10, MARITIME), (10, 20, lower), (20, 99, MARITIME)]
    assert widened_through(before, before, scheme=SCHEME) == ()
    assert widened_through(before, [(0, 99, MARITIME)], scheme=SCHEME) == ()
    (line,) = widened_through(before, [(0, 10, MARITIME), (10, 21, lower), (21, 99, MARITIME)], scheme=SCHEME)
    assert line.startswith("the level is lowered")
    assert widened_through(before, [(0, 9, MARITIME), (9, 20, lower), (20, 99, MARITIME)], scheme=SCHEME) == (line,)
    # What was read a moment before the act begins with what it begins with.
    assert widened_through(before, [(3, 99, MARITIME)], scheme=SCHEME) == ()
    assert widened_through(before, [(3, 99, lower)], scheme=SCHEME) == (line,)
