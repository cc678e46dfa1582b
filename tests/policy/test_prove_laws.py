"""The laws by which the prover takes functions at their word: what `Declared` says of sets, pairs and exceptions holds of each of them."""

from __future__ import annotations

from typing import Any

import casbin
import pytest
from casbin.persist.adapters.string_adapter import StringAdapter
from hypothesis import given, settings
from hypothesis import strategies as st

from service.policy import functions
from service.policy.functions import ACTIONS, DECLARED, Declared
from tests.support.prove_bundles import CATEGORIES, CAVEATS, LEVELS, NOW, PARTNERS, small

BUNDLE = small(["release, JPN, *, SECRET, AIR, none, *, , ,"])
ISSUERS = ("USA", *PARTNERS)
CODES = (*ISSUERS, "QUAD", "ALL-PARTNERS")


def _enforcer() -> Any:
    model = casbin.Enforcer.new_model(text=BUNDLE.files["model.conf"].decode())
    enforcer = casbin.Enforcer(model, StringAdapter(BUNDLE.casbin_rows(NOW)))
    functions.register(enforcer, BUNDLE.scheme)
    return enforcer


CALLABLES = _enforcer().fm.get_functions()


def _subsets(words: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sets(st.sampled_from(words)).map(lambda some: tuple(sorted(some)))


def _cells(words: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.one_of(st.just("*"), st.sets(st.sampled_from(words), min_size=1).map(lambda some: " ".join(sorted(some))))


_AUDIENCE = st.one_of(st.just(("*",)), _subsets(CODES))
SUBJECTS = st.sampled_from([CATEGORIES, CAVEATS])
PAIRS = tuple(f"{left}:{right}" for left in ISSUERS for right in PARTNERS)
GRANTS = tuple(f"{action}:{partner}" for action in ("release", "display") for partner in PARTNERS)
ARGUMENTS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "at_most": st.tuples(st.sampled_from(LEVELS), st.sampled_from(LEVELS)),
    "at_least": st.tuples(st.sampled_from(LEVELS), st.sampled_from(LEVELS)),
    "covers": SUBJECTS.flatmap(lambda words: st.tuples(st.one_of(st.just("none"), _cells(words)), _subsets(words))),
    "touches": SUBJECTS.flatmap(lambda words: st.tuples(_cells(words), _subsets(words))),
    "addressed": st.tuples(st.sampled_from(ACTIONS), _AUDIENCE, _AUDIENCE, st.sampled_from(PARTNERS)),
    "consented": st.tuples(_subsets(ISSUERS), _subsets(PAIRS), st.sampled_from(PARTNERS)),
    "granted": st.tuples(_subsets(GRANTS), st.sampled_from(ACTIONS), st.sampled_from(PARTNERS)),
    "only_from": st.tuples(_cells(ISSUERS), _subsets(ISSUERS)),
    "issued_by": st.tuples(_cells(ISSUERS), _subsets(ISSUERS)),
    "permits": st.tuples(st.sampled_from(ACTIONS), st.sampled_from(ACTIONS)),
    "forbids": st.tuples(st.sampled_from(("*", *ACTIONS)), st.sampled_from(ACTIONS)),
    "for_purpose": st.tuples(_cells(("none", "KEEN")), st.sampled_from(("none", "KEEN"))),
}


def test_every_declared_function_is_held_to_its_laws() -> None:
    assert set(ARGUMENTS) == set(DECLARED)


@pytest.mark.parametrize("declared", DECLARED.values(), ids=lambda declared: declared.name)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_function_follows_from_the_words_of_its_sets(declared: Declared, data: st.DataObject) -> None:
    given_ = dict(zip(declared.parameters, data.draw(ARGUMENTS[declared.name]), strict=True))

    def says(**changed: tuple[str, ...]) -> bool:
        value = CALLABLES[declared.name](*(given_ | changed).values())
        assert value is True or value is False
        return value

    nothing = dict.fromkeys(declared.some_of, ())

    def by_words(**at: tuple[str, ...]) -> bool:
        return says(**nothing, **at) or any(says(**(nothing | {name: (word,)}), **at) for name in declared.some_of for word in given_[name])

    if declared.all_of is None:
        assert says() is by_words()
    elif given_[declared.all_of]:
        assert says() is all(by_words(**{declared.all_of: (word,)}) for word in given_[declared.all_of])
    else:
        assert says() is by_words(**{declared.all_of: ()})


@pytest.mark.parametrize("declared", [each for each in DECLARED.values() if each.paired is not None], ids=lambda declared: declared.name)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_of_pairs_only_those_named_have_a_part(declared: Declared, data: st.DataObject) -> None:
    assert declared.paired is not None
    of, left, right = declared.paired
    given_ = dict(zip(declared.parameters, data.draw(ARGUMENTS[declared.name]), strict=True))
    kept = tuple(pair for pair in given_[of] if pair.split(":")[1] == given_[right] and (not left or pair.split(":")[0] in given_[left]))
    function = CALLABLES[declared.name]
    assert function(*given_.values()) is function(*(given_ | {of: kept}).values())
    if left:
        for word in given_[left]:
            alone = tuple(pair for pair in kept if pair.split(":")[0] == word)
            assert function(*(given_ | {left: (word,)}).values()) is function(*(given_ | {left: (word,), of: alone}).values())
