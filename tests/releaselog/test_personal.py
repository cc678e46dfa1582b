"""A commitment stands for one value under one salt, and is found in a record wherever it stands and nowhere else."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Broken
from service.releaselog.leaf import LeafError, canonical
from service.releaselog.personal import Commitment, Personal, commitment, commitment_in, commitments, members
from service.sharing.personal import kept, kept_commitment, parted

TEXTS = st.text(st.characters(codec="utf-8"), max_size=50)
SALTS = st.binary(min_size=32, max_size=32)
PERSONAL = st.builds(Personal, st.sampled_from(["q", "reason", "note"]), TEXTS, SALTS)
VALUES = st.recursive(
    st.none() | st.booleans() | TEXTS | PERSONAL,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "reason", "commitment"]), inner, max_size=3),
    max_leaves=12,
)


@given(SALTS, TEXTS)
def test_a_commitment_is_the_hash_of_salt_and_value(salt: bytes, value: str) -> None:
    assert Personal("q", value, salt).commitment == Commitment(hashlib.sha256(salt + value.encode("utf-8")).digest())


@given(PERSONAL, TEXTS, SALTS)
def test_another_value_or_another_salt_is_another_commitment(one: Personal, value: str, salt: bytes) -> None:
    assert (Personal("q", value, one.salt).commitment == one.commitment) is (value == one.value)
    assert (Personal("q", one.value, salt).commitment == one.commitment) is (salt == one.salt)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_salt_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(Broken, match=f"a salt of {length} bytes, expected 32"):
        commitment(bytes(length), b"value")


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(LeafError, match="text that is not Unicode"):
        Personal("q", "\ud800", bytes(32))


@given(VALUES)
def test_what_is_parted_holds_no_text_and_every_commitment_is_found_in_it(value: Any) -> None:
    told, texts = parted(value)
    record = canonical({"details": told})
    names = [one.commitment.sha256.hex() for one in texts]
    assert set(commitments(record)) == set(names) == set(members({"details": told}))


@given(TEXTS)
def test_a_text_that_looks_like_a_commitment_is_none(beside: str) -> None:
    text = f'{beside}{{"commitment":"{"a" * 64}"}}'
    assert commitments(canonical({"details": {"reason": text}})) == []
    assert members({"details": {"reason": text}}) == {}


@pytest.mark.parametrize(
    "value",
    ["a" * 64, {"commitment": "A" * 64}, {"commitment": "a" * 63}, {"commitment": None}, {"commitment": "a" * 64, "x": 1}, {}, [], None],
)
def test_what_is_not_exactly_a_commitment_is_none(value: object) -> None:
    assert commitment_in(value) is None


@given(PERSONAL)
def test_what_is_kept_of_a_text_elsewhere_is_its_commitment(one: Personal) -> None:
    assert kept_commitment(kept(one)) == one.commitment == kept_commitment(kept(one.commitment))


@given(TEXTS)
def test_a_fixed_reason_stands_for_itself(text: str) -> None:
    assert kept(text) == text
    assert kept_commitment(text) is None
