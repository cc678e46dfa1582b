"""The label side says of every label what `Snapshot.decide` says, whatever the model, the rows, the labels and who asks."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.labels.label import Label
from service.policy import EngineKind, Outcome, Snapshot, load_bundle, read_bundle
from service.policy import columns as columns_module
from service.policy.columns import ForWhom, LabelColumns, outcomes, released, released_after
from tests.support.big_bundle import NOW, big_bundle, big_labels, partners_of
from tests.support.casbin_models import EFFECTS
from tests.support.columns_models import ROLES, WHOM, model_of, random_labels, random_model, random_rows, snapshot_of

SAMPLE = load_bundle(Path(__file__).parents[2] / "policies")
MATCHERS = {
    "negation": "g(r.partner, p.grantee) && !touches(p.categories, r.categories) && !(at_least(r.level, p.level) && "
    "r.purpose != p.purpose)",
    "constants": '"a" == "a" && (at_most(r.level, "SECRET") || covers("MARITIME AIR", r.categories) && r.partner == p.grantee)',
    "equality of sets and words": 'r.level == p.level || r.categories == r.caveats || p.action == r.action && r.level != "SECRET"',
    "lists": '"MARITIME" in r.categories && p.grantee not in ("IND", "QUAD") && r.level in (p.level, "SECRET")',
    "order of words": "r.level <= p.level && (r.action != p.action || r.partner < p.grantee)",
    "casbin's own functions": "regexMatch(r.level, p.level) && keyMatch(r.partner, p.grantee) || globMatch(p.action, r.action)",
    "an audience of the row's partner": "addressed(p.action, r.releasable_to, r.display_to, p.grantee) && at_most(r.level, p.level)",
    "consents and grants": "consented(r.originators, r.consents, r.partner) || "
    "granted(r.grants, r.action, r.partner) && g(r.partner, p.grantee)",
    "consents for the row's partner": "consented(r.originators, r.consents, p.grantee) && only_from(p.originator, r.originators)",
    "what raises comes before who asks": "covers(p.caveats, r.categories) && g(r.partner, p.grantee)",
    "what raises is beside the point": 'p.eft == "other" && touches(p.categories, r.caveats) || g(r.partner, p.grantee)',
    "what raises comes after who asks": "g(r.partner, p.grantee) && touches(p.categories, r.caveats)",
    "the request alone": 'g2(r.partner, "active") && at_most(r.level, "SECRET")',
    "the row alone": 'p.action == "release" && p.level != "TOP SECRET"',
    "an audience read as issuers": "only_from(p.originator, r.releasable_to) || issued_by(p.originator, r.display_to)",
    "one column in two places": "addressed(r.action, r.releasable_to, r.releasable_to, r.partner) || touches(r.level, r.caveats)",
}


def differences(snapshot: Snapshot, labels: LabelColumns, whom: tuple[ForWhom, ...], action: str) -> list[object]:
    """Where the two sides are not of one mind."""
    found = outcomes(snapshot, labels, whom, action=action)
    alone = released(snapshot, labels, whom, action=action)
    wrong: list[object] = []
    for number, one in enumerate(whom):
        assert alone.words[number].tolist() == found.released.words[number].tolist()
        for place, label in enumerate(labels.labels):
            expected = snapshot.decide(one.partner, action, label, one.purpose).outcome
            is_released, is_referred = found.released.has(number, place), found.referred.has(number, place)
            said = Outcome.RELEASE if is_released else Outcome.REFER if is_referred else Outcome.WITHHOLD
            if said is not expected or (is_released and is_referred):
                wrong.append((one, action, label, said, expected))
    return wrong


def some_labels(seed: int, count: int, *, odd: float = 0.1) -> LabelColumns:
    return LabelColumns(random_labels(random.Random(seed), count, odd=odd))


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("matcher", MATCHERS.values(), ids=MATCHERS.keys())
def test_each_kind_of_atom_is_decided_as_by_the_row_side(matcher: str, effect: str) -> None:
    for seed, calm in ((1, True), (2, False)):
        snapshot = snapshot_of(model_of(matcher, effect), random_rows(random.Random(seed), 12, calm=calm))
        assert snapshot.uncompiled is None
        for action in ("release", "display"):
            assert differences(snapshot, some_labels(seed, 25), WHOM, action) == []


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_any_model_is_decided_as_by_the_row_side(seed: int, calm: bool) -> None:
    chance = random.Random(seed)
    snapshot = snapshot_of(random_model(chance, calm=calm), random_rows(chance, chance.choice((0, 1, 3, 6, 12)), calm=calm))
    for action in ("release", "display", "refer", "BOGUS"):
        assert differences(snapshot, some_labels(seed, 20, odd=0.0 if calm else 0.3), WHOM, action) == []


def test_a_matcher_that_is_not_compiled_is_asked_label_by_label() -> None:
    snapshot = snapshot_of(model_of("p.basis && g(r.partner, p.grantee)"), random_rows(random.Random(5), 3, calm=True))
    assert snapshot.uncompiled is not None
    assert differences(snapshot, some_labels(5, 12), WHOM, "release") == []


def test_stock_casbin_is_asked_label_by_label() -> None:
    snapshot = snapshot_of(model_of("g(r.partner, p.grantee)"), random_rows(random.Random(6), 3, calm=True), kind=EngineKind.STOCK)
    assert differences(snapshot, some_labels(6, 12), WHOM, "release") == []


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([datetime(2019, 1, 1, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)]))
def test_the_sample_bundle_is_decided_as_by_the_row_side(seed: int, at: datetime) -> None:
    chance = random.Random(seed)
    scheme = SAMPLE.scheme
    codes = sorted(SAMPLE.known_codes)

    def some(words: list[str] | tuple[str, ...], most: int = 2) -> tuple[str, ...]:
        return tuple(chance.sample(list(words), min(len(words), chance.randint(0, most))))

    def label() -> Label:
        own = (*some(codes, 3), "USA")
        audience = chance.choice([("*",), (), own, own, own])
        originators = tuple({"USA", *some(sorted(scheme.partners))} if chance.random() < 0.3 else {"USA"})
        consents = tuple(f"{one}:{chance.choice(sorted(scheme.partners))}" for one in originators if one != "USA")
        found = Label(
            chance.choice([level.name for level in scheme.levels]), some(scheme.categories), audience, some(scheme.caveats), originators,
            consents=consents, grants=(f"release:{chance.choice(sorted(scheme.partners))}",) if chance.random() < 0.2 else (),
        )  # fmt: skip
        return replace(found, categories=(*found.categories, "BOGUS")) if chance.random() < 0.05 else found

    labels = LabelColumns(label() for _ in range(40))
    whom = tuple(ForWhom(*one) for one in product(sorted(scheme.partners), ("none", *scheme.purposes)))
    for action in ("release", "display"):
        assert differences(SAMPLE.snapshot(at), labels, whom, action) == []


def test_many_labels_and_words_are_decided_as_by_the_row_side() -> None:
    """More labels than a block holds, and more words of a column than are kept as bits."""
    partners = partners_of(60)
    snapshot = read_bundle(big_bundle(60, 60)).snapshot(NOW)
    labels = LabelColumns(big_labels(columns_module.BLOCK_WORDS * 64 + 1000, 60))
    whom = tuple(map(ForWhom, partners))
    found = outcomes(snapshot, labels, whom)
    assert found.released.aside == frozenset()
    chance = random.Random(7)
    seen = set()
    for _ in range(2000):
        number, place = chance.randrange(len(whom)), chance.randrange(labels.size)
        expected = snapshot.decide(partners[number], "release", labels.labels[place]).outcome
        assert found.released.has(number, place) is (expected is Outcome.RELEASE)
        assert found.referred.has(number, place) is (expected is Outcome.REFER)
        seen.add(expected)
    assert seen == set(Outcome)


@pytest.mark.parametrize(
    "label",
    [
        pytest.param(Label("BOGUS", originators=("USA",)), id="level"),
        pytest.param(Label("SECRET", ("BOGUS",), ("*",), originators=("USA",)), id="category"),
        pytest.param(Label("SECRET", (), ("BOGUS", "JPN"), originators=("USA",)), id="audience"),
        pytest.param(Label("SECRET", (), ("JPN",), display_to=("BOGUS", "JPN"), originators=("USA",)), id="audience-for-display"),
        pytest.param(Label("SECRET", (), ("*",), ("BOGUS",), originators=("USA",)), id="caveat"),
        pytest.param(Label("SECRET", (), ("*",), originators=("BOGUS",)), id="originator"),
        pytest.param(Label("SECRET", (), ("*",), originators=("USA",), consents=("BOGUS:JPN",)), id="consent"),
        pytest.param(Label("SECRET", (), ("*",), originators=("USA",), grants=("release:BOGUS",)), id="grant"),
    ],
)
def test_a_label_with_a_name_that_nobody_knows_is_withheld_also_where_no_rule_looks_at_it(label: Label) -> None:
    snapshot = snapshot_of(model_of("g(r.partner, p.grantee)"), ["p, RUL-0001, allow, release, JPN, *, SECRET, *, *, *, treaty"])
    known = replace(label, level="SECRET", categories=(), releasable_to=("*",), display_to=None, caveats=(), consents=(), grants=(),
                    originators=("USA",))  # fmt: skip
    found = released(snapshot, LabelColumns([label, known]), [ForWhom("JPN")])
    assert found.indices(0).tolist() == [1]


def test_nobody_is_told_anything_of_no_labels() -> None:
    snapshot = snapshot_of(model_of("g(r.partner, p.grantee)"), random_rows(random.Random(1), 3, calm=True))
    found = outcomes(snapshot, LabelColumns([]), WHOM)
    assert found.released.count(0) == 0
    assert found.released.indices(0).tolist() == []


def test_without_rows_in_force_nothing_is_released_and_nothing_referred() -> None:
    snapshot = snapshot_of(model_of('!(p.eft == "deny")'), [])
    found = outcomes(snapshot, some_labels(3, 8), WHOM)
    assert not found.released.words.any()
    assert not found.referred.words.any()


def test_columns_can_be_counted_and_walked() -> None:
    snapshot = snapshot_of(model_of("at_most(r.level, p.level)"), ["p, RUL-0001, allow, release, JPN, *, SECRET, *, *, *, treaty"])
    labels = LabelColumns(Label(level, originators=("USA",)) for level in ("TOP SECRET", "SECRET", "UNCLASSIFIED"))
    found = released(snapshot, labels, [ForWhom("JPN")])
    assert found.indices(0).tolist() == [1, 2]
    assert found.count(0) == 2
    assert [found.has(0, place) for place in range(3)] == [False, True, True]
    assert released(snapshot, labels.chosen(np.array([0, 2], np.int32)), [ForWhom("JPN")]).indices(0).tolist() == [1]


# --- from one snapshot to the next ----------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_what_differs_is_found_whatever_the_edit(seed: int, calm: bool) -> None:
    """Rows come, go, change and move; partners join and leave communities; a matcher is exchanged."""
    chance = random.Random(seed)
    model = random_model(chance, calm=calm)
    rows = random_rows(chance, chance.choice((1, 3, 8, 12)), calm=calm)
    labels = some_labels(seed, 100, odd=0.0 if calm else 0.05)
    whom = WHOM[:8:2]
    before = snapshot_of(model, rows)
    known = released(before, labels, whom)
    for _ in range(4):
        roles = list(ROLES)
        edit = chance.choice(("come", "go", "change", "change", "move", "roles", "model"))
        after_rows = list(rows)
        if edit in ("go", "change") and after_rows:
            del after_rows[chance.randrange(len(after_rows))]
        if edit in ("come", "change"):
            after_rows.insert(chance.randint(0, len(after_rows)), random_rows(chance, 1, calm=calm)[0])
        if edit == "move":
            chance.shuffle(after_rows)
        if edit == "roles":
            del roles[chance.randrange(len(roles))]
        if edit == "model":
            model = random_model(chance, calm=calm)
        after = snapshot_of(model, after_rows, roles=roles)
        found = released_after(known, before, after, labels)
        assert found.words.tolist() == released(after, labels, whom).words.tolist(), edit
        before, rows, known = after, after_rows, found


def test_the_empty_set_is_asked_on_its_own() -> None:
    """Of a function for which every word counts it says nothing that all of no words hold: that is for the function to say."""
    snapshot = snapshot_of(
        model_of("only_from(p.originator, r.releasable_to)"), ["p, RUL-0001, allow, release, JPN, *, SECRET, *, *, USA, treaty"]
    )
    labels = LabelColumns(Label("SECRET", (), audience, originators=("USA",)) for audience in ((), ("USA",), ("JPN",), ("JPN", "USA")))
    found = released(snapshot, labels, [ForWhom("JPN")])
    assert found.aside == frozenset()
    assert found.indices(0).tolist() == [1]
    assert differences(snapshot, labels, (ForWhom("JPN"),), "release") == []


NOBODY_ELSE = "g(r.partner, p.grantee) && covers(p.categories, r.categories)"
GOOD = "p, RUL-0001, allow, release, QUAD, *, SECRET, *, *, *, treaty"
RAISING = "p, RUL-0002, allow, release, QUAD, *, SECRET, BOGUS, *, *, treaty"


def test_where_something_raises_the_order_of_the_rows_counts() -> None:
    """Stock Casbin looks at no row behind the one that settles it: the same rows, another answer."""
    model = model_of(NOBODY_ELSE, "some(where (p.eft == allow))")
    labels = LabelColumns([Label("SECRET", ("AIR",), originators=("USA",)), Label("SECRET", originators=("USA",))])
    good_first, raising_first = snapshot_of(model, [GOOD, RAISING]), snapshot_of(model, [RAISING, GOOD])
    known = released(good_first, labels, WHOM)
    assert known.indices(WHOM.index(ForWhom("JPN"))).tolist() == [0, 1]
    found = released_after(known, good_first, raising_first, labels)
    assert not found.words.any()
    assert released_after(found, raising_first, good_first, labels).words.tolist() == known.words.tolist()


def test_who_leaves_a_community_loses_what_came_to_him_by_it_though_no_rule_changed() -> None:
    labels = some_labels(12, 80, odd=0.0)
    model = model_of(NOBODY_ELSE)
    before, after = snapshot_of(model, [GOOD]), snapshot_of(model, [GOOD], roles=[role for role in ROLES if role != "g, JPN, QUAD"])
    jpn, ind = WHOM.index(ForWhom("JPN")), WHOM.index(ForWhom("IND"))
    known = released(before, labels, WHOM)
    found = released_after(known, before, after, labels)
    assert known.count(jpn) == known.count(ind) == labels.size
    assert found.count(jpn) == 0
    assert found.count(ind) == labels.size
