"""Tear-lines: an authored variant of a portion for a wider audience, shown in its place to whom the portion itself is not released. Pure.

A *place* is a portion with its variants, in the author's order, the one that says most first. What a partner is shown there is the
first of them that is released to him, and nothing else: who may have the portion gets it and no variant; who may have only a variant
gets what looks like any other portion, with an id of its own, and nothing that leads back.

- A variant is decided by its own label alone. It is `visible_since` its own change, its own label and its own release: nothing about
  what it stands for enters, so that a correction or relabelling of the portion moves nothing for whoever sees the variant.
- An item that goes out whole goes where every place is filled, for the author wrote the variant to stand there. A compilation is of
  the portions as they are: beside one there are no variants (`intake` refuses them).
- Who is shown a variant in an item is shown the item `in_part`, for the record and the officer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from service.store.catalogue import PortionAt


def places(instead_of: Sequence[int | None], positions: Sequence[int] | None = None) -> list[list[int]]:
    """The places of a version, each as the numbers of its portions in the order in which they are tried.

    Args:
        instead_of: for each portion the position of the one it is a variant of, None where it is none.
        positions: of the portions, where some are lacking; default that of each is its number. A variant whose portion is lacking
            stands at a place of its own, with its fellows.
    """
    found: list[list[int]] = []
    by_position: dict[int, list[int]] = {}
    for number, original in enumerate(instead_of):
        place = None if original is None else by_position.get(original)
        if place is None:
            place = []
            found.append(place)
            position = number if positions is None else positions[number]
            by_position[position if original is None else original] = place
        place.append(number)
    return found


def places_at(portions: Sequence[PortionAt]) -> list[list[int]]:
    """The places of portions as they stand in a version at a time."""
    return places([one.instead_of for one in portions], [one.position for one in portions])


def shown(place: Sequence[int], released: Callable[[int], bool]) -> int | None:
    """The portion shown at a place, None where nothing is."""
    return next((number for number in place if released(number)), None)


def may_appear(before: Sequence[AbstractSet[str]], after: Sequence[AbstractSet[str]]) -> bool:
    """Whether a `whole` item could become visible to somebody by a version in which no portion is new to him.

    That is where some place of the version before, which nothing filled for him, holds none of what fills the places now: each of
    these has a portion that stood at another place before.

    Args:
        before: the portions of each place, by id; `after` likewise.
    """
    others = [frozenset[str]().union(*(other for other in before if other is not place)) for place in before]
    return any(all(now & elsewhere for now in after) for elsewhere in others)
