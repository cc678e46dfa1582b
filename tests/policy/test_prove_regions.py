"""Regions say what the engine says, and the search finds a label exactly where there is one."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.labels.label import Label
from service.policy import Bundle, EngineKind, build_engine
from service.policy.meaning import Faces, Rulebook, askers, space_of
from service.policy.regions import (
    EVERYTHING,
    NOTHING,
    Either,
    Every,
    Has,
    Lacks,
    Paired,
    Region,
    Search,
    Space,
    Unpaired,
    implies,
    looked_at,
    outside,
)
from tests.support.prove_bundles import MATCHERS, NOW, random_bundle, some_labels


@pytest.mark.parametrize("matcher", MATCHERS)
def test_a_rule_is_true_for_the_labels_of_its_region_and_no_others(matcher: str) -> None:
    asked = 0
    for seed in range(5):
        bundle = random_bundle((matcher, seed), matcher=MATCHERS[matcher])
        asked += _agrees(bundle, some_labels(60, (matcher, seed)))
    assert asked > 3_000


def _agrees(bundle: Bundle, labels: list[Label]) -> int:
    space = space_of(bundle.scheme)
    standing = Rulebook(bundle, space, Faces()).at(NOW)
    engine = build_engine(
        EngineKind.COMPILED, model=bundle.files["model.conf"].decode(), rows=bundle.casbin_rows(NOW), scheme=bundle.scheme
    )
    asked = 0
    for asker in askers(bundle):
        rows = standing.rows(asker)
        for label in labels:
            words = space.words_in(label, partner=asker.partner)
            assert words is not None
            verdict = engine.evaluate(
                (
                    *(asker.partner, asker.action, asker.purpose, label.level, label.categories, label.releasable_to, label.shown_to),
                    *(label.caveats, label.originators, label.consents, label.grants),
                )
            )
            assert verdict.error is None
            for said, true in ((rows.allow, verdict.matched), (rows.deny, verdict.denied)):
                assert tuple(sorted(standing.book.rule(face) for face, region in said if space.holds(region, words))) == true, (
                    asker,
                    label,
                )
            asked += 1
    return asked


TINY = Space(levels=("LOW", "HIGH"), categories=("AIR", "SEA"), caveats=("ORCON",), issuers=("JPN", "USA"), codes=("JPN",))


@lru_cache(maxsize=1)
def _tiny_labels() -> tuple[int, ...]:
    """Every label of the tiny space."""

    def subsets(words: int) -> list[int]:
        bits = [1 << place for place in range(words.bit_length()) if words >> place & 1]
        return [sum(bit for bit, taken in zip(bits, mask, strict=True) if taken) for mask in product((0, 1), repeat=len(bits))]

    def audiences(column: str, whole: int) -> list[int]:
        everyone = TINY.bit(column, "*")
        return [everyone, *(words for words in subsets(whole & ~everyone))]

    columns = (
        [TINY.bit("level", "LOW"), TINY.bit("level", "HIGH")],
        subsets(TINY.categories),
        subsets(TINY.caveats),
        subsets(TINY.originators)[1:],
        subsets(TINY.consents),
        audiences("releasable_to", TINY.releasable_to),
        audiences("display_to", TINY.display_to),
        subsets(TINY.grants),
    )
    return tuple(sum(words) for words in product(*columns))


def _words() -> st.SearchStrategy[int]:
    places = st.integers(0, TINY.everything.bit_length() - 1)
    return st.sets(places, min_size=1, max_size=4).map(lambda bits: sum(1 << bit for bit in bits))


def _regions() -> st.SearchStrategy[Region]:
    issuers = st.sampled_from([TINY.originators, TINY.bit("originators", "JPN"), TINY.bit("originators", "USA")])
    leaves = st.one_of(
        _words().map(Has), _words().map(Lacks), issuers.map(Paired), issuers.map(Unpaired), st.just(EVERYTHING), st.just(NOTHING)
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda of: Every(tuple(of))),
            st.lists(inner, min_size=1, max_size=3).map(lambda of: Either(tuple(of))),
        ),
        max_leaves=6,
    )


@settings(max_examples=60, deadline=None)
@given(within=st.lists(_regions(), min_size=1, max_size=2), without=st.lists(_regions(), max_size=3))
def test_a_search_finds_a_label_exactly_where_there_is_one(within: list[Region], without: list[Region]) -> None:
    def fits(label: int, skipped: int | None = None) -> bool:
        return all(TINY.holds(region, label) for region in within) and not any(
            TINY.holds(region, label) for index, region in enumerate(without) if index != skipped
        )

    exists = any(fits(label) for label in _tiny_labels())
    enough = TINY.distinct(looked_at((*within, *without)), among=TINY.everything, natural=("USA",))
    for words in (TINY.everything, enough):
        with Search(TINY, words) as search:
            found = search.find(within, without)
            assert (found is not None) == exists
            assert found is None or (fits(found) and found in _tiny_labels())
            blocking = search.blocking(within, without)
            assert (blocking is None) == exists
            if blocking is not None:
                kept = [without[index] for index in blocking]
                assert search.find(within, kept) is None
                # None of them could be spared.
                for index in range(len(kept)):
                    assert search.find(within, kept[:index] + kept[index + 1 :]) is not None


@settings(max_examples=100, deadline=None)
@given(one=_regions(), other=_regions(), label=st.sampled_from(range(1000)))
def test_outside_is_the_rest_and_implied_is_inside(one: Region, other: Region, label: int) -> None:
    labels = _tiny_labels()[label :: max(1, len(_tiny_labels()) // 200)]
    assert all(TINY.holds(one, each) != TINY.holds(outside(one), each) for each in labels)
    assert not implies(one, other) or all(TINY.holds(other, each) for each in labels if TINY.holds(one, each))


def test_a_label_and_its_words_are_the_same() -> None:
    space = space_of(random_bundle("words").scheme)
    for label in some_labels(200, "words"):
        plain = Label(label.level, label.categories, label.releasable_to, label.caveats, label.originators, label.display_to)
        words = space.words_in(plain, partner="JPN")
        assert words is not None
        assert space.label(words, partner="JPN") == plain
    assert space.words_in(Label("COSMIC", (), (), (), ("USA",)), partner="JPN") is None
