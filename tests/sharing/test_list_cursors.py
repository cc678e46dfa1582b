"""Cursors and bookmarks: of one length, of no use elsewhere, and nothing can be read from one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Rejected
from service.sharing.cursors import Cursors, PlaceKind, binding_of
from service.store.visibility import START, Place

CURSORS = Cursors(bytes(32))
BINDING = binding_of("c_1", "JPN", "JPN", "none", "/v1/items", "[null, null]")
IDS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", min_size=22, max_size=22)
PLACES = st.builds(Place, st.integers(0, 2**63 - 1), IDS) | st.just(START)


@given(PLACES, st.sampled_from(PlaceKind))
def test_a_place_comes_back(place: Place, kind: PlaceKind) -> None:
    assert CURSORS.open(CURSORS.seal(place, kind, BINDING), kind, BINDING) == place


@given(PLACES, PLACES, st.sampled_from(PlaceKind), st.binary(min_size=32, max_size=32))
def test_all_are_of_one_length_and_say_nothing(one: Place, other: Place, kind: PlaceKind, binding: bytes) -> None:
    first, second = CURSORS.seal(one, PlaceKind.NEXT, BINDING), CURSORS.seal(other, kind, binding)
    assert len(first) == len(second)
    assert first.isascii()
    assert (first == second) is ((one, PlaceKind.NEXT, BINDING) == (other, kind, binding))
    if one.item_id:
        assert one.item_id not in first


def test_the_same_place_is_the_same_text_in_every_worker() -> None:
    place = Place(5, "A" * 22)
    assert Cursors(bytes(32)).seal(place, PlaceKind.NEXT, BINDING) == CURSORS.seal(place, PlaceKind.NEXT, BINDING)


SEALED = CURSORS.seal(Place(5, "A" * 22), PlaceKind.NEXT, BINDING)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("A" * len(SEALED), id="never sealed"),
        pytest.param(SEALED[:-1], id="cut short"),
        pytest.param(SEALED + "A", id="too long"),
        pytest.param(SEALED + "=", id="padded"),
        pytest.param(SEALED.swapcase(), id="another case"),
        pytest.param(SEALED[:10] + " " + SEALED[10:], id="a space"),
        pytest.param(SEALED[:10] + "é" + SEALED[11:], id="not ASCII"),
        pytest.param("\x00" + SEALED, id="a NUL"),
        pytest.param(SEALED.replace("-", "+").replace("_", "/") + "\n", id="another alphabet"),
        pytest.param(Cursors(b"\x01" * 32).seal(Place(5, "A" * 22), PlaceKind.NEXT, BINDING), id="another installation's"),
        pytest.param(CURSORS.seal(Place(5, "A" * 22), PlaceKind.BOOKMARK, BINDING), id="a bookmark as cursor"),
        pytest.param(CURSORS.seal(Place(5, "A" * 22), PlaceKind.NEXT, binding_of("c_2")), id="another client's"),
    ],
)
def test_what_was_not_made_for_this_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        CURSORS.open(text, PlaceKind.NEXT, BINDING)
    assert (refused.value.code, str(refused.value)) == ("foreign-cursor", "this cursor was not made for this client and query")


@given(st.integers(0, len(SEALED) - 1), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
def test_no_changed_character_goes_unseen(place: int, character: str) -> None:
    changed = SEALED[:place] + character + SEALED[place + 1 :]
    if changed != SEALED:
        with pytest.raises(Rejected):
            CURSORS.open(changed, PlaceKind.NEXT, BINDING)


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_a_binding_tells_any_two_lists_of_strings_apart(one: list[str], other: list[str]) -> None:
    assert (binding_of(*one) == binding_of(*other)) is (one == other)
