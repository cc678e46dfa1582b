"""Values inside a JSON portion that are marked by themselves: taken apart when they come in, put together in a copy. Pure.

A mark on a pointer (RFC 6901) is a mark on that *member*, its name and its value, or on that element of an array. Each becomes
a portion of its own, and what is left without them is the portion they were marked in, under its own marking. A pointer below
another is a part of that part.

In a copy, a part whose container is released too stands in it where it stood. What is withheld is absent: no member, no null, no
gap in an array. A part whose container is withheld stands by itself, as `{"name": value}`, or as the bare value where it was an
element: the names and numbers on the way to it are the container's, and nobody has those who may not have the container.

Where a part stands is kept as its *place*, in terms of what is left of its container alone, so that it is the same whatever other
parts there are: the way to the object or array that held it, and its name, or the index before which it stood and its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from service.errors import Rejected
from service.settings import JSON_DEPTH_MAX

_SHOWN_CHARACTERS: Final = 80
_BAD_ESCAPE: Final = re.compile("~(?![01])")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a JSON value, without the parts marked inside it.

    `within` is the number of the part that holds it, the first being the whole value, which is within none; `place` says where in
    that one. `name` is that of a member, None for an element and the whole.
    """

    pointer: str
    value: object
    within: int | None
    place: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Joined:
    """A value with the parts put back that may stand in it, and the pointer to each, by its number."""

    value: object
    pointers: Mapping[int, str]

    def without(self, number: int) -> Joined:
        """The same value, of which one part needs no pointer."""
        return Joined(self.value, {part: pointer for part, pointer in self.pointers.items() if part != number})


_Steps = tuple[str | int, ...]
"""A pointer resolved: names of members and indexes of elements."""


def split(value: object, pointers: Iterable[str]) -> list[Part]:
    """A value and its marked parts, each without those inside it; the whole first, then in the order of the value.

    Raises:
        Rejected: `pointer`, where one is not a pointer, or leads nowhere in this value.
    """
    written = {resolve(value, pointer): pointer for pointer in pointers}
    marked = sorted(written, key=_in_order)
    numbers: dict[_Steps, int] = {(): 0, **{steps: number for number, steps in enumerate(marked, start=1)}}
    parts = [Part("", _without(value, (), numbers), None, None, None)]
    for steps in marked:
        holder = next(steps[:length] for length in range(len(steps) - 1, -1, -1) if steps[:length] in numbers)
        last = steps[-1]
        way = [_left_index(steps[depth], steps[:depth], numbers) for depth in range(len(holder), len(steps) - 1)]
        last_place: object = last if isinstance(last, str) else [_left_index(last, steps[:-1], numbers), last]
        parts.append(
            Part(
                pointer=written[steps],
                value=_without(_at(value, steps), steps, numbers),
                within=numbers[holder],
                place=json.dumps([way, last_place], separators=(",", ":")),
                name=last if isinstance(last, str) else None,
            )
        )
    return parts


def join(value: object, parts: Mapping[int, tuple[str, Joined]]) -> Joined:
    """A value with parts put back, as (place, the part with its own parts) by number.

    Args:
        value: of the container, as it was kept; it is changed.
    """
    insertions: dict[int, list[tuple[int, int, int]]] = {}
    arrays: dict[int, list[Any]] = {}
    holders: dict[int, object] = {}
    # (1): where each goes, while nothing has moved yet.
    for number, (place, _) in parts.items():
        way, last = json.loads(place)
        holder = _at(value, tuple(way))
        holders[number] = holder
        if isinstance(last, list):
            array = cast("list[Any]", holder)
            arrays[id(array)] = array
            insertions.setdefault(id(array), []).append((last[0], last[1], number))
    # (2): members by name, elements from the last to the first, so that an index still means what it meant.
    keys: dict[int, str | int] = {}
    for number, (place, joined) in parts.items():
        last = json.loads(place)[1]
        if isinstance(last, str):
            cast("dict[str, Any]", holders[number])[last] = joined.value
            keys[number] = last
    for key, array in arrays.items():
        ordered = sorted(insertions[key])
        for shift, (before, _, number) in enumerate(ordered):
            keys[number] = before + shift
        for before, _, number in reversed(ordered):
            array.insert(before, parts[number][1].value)
    # (3): where each is now.
    ways = _ways(value)
    pointers: dict[int, str] = {}
    for number, (_, joined) in parts.items():
        own = ways[id(holders[number])] + _token(keys[number])
        pointers[number] = own
        pointers.update({inner: own + pointer for inner, pointer in joined.pointers.items()})
    return Joined(value, pointers)


def resolve(value: object, pointer: str) -> _Steps:
    """The way that a pointer leads to a member or element (RFC 6901 section 4).

    Raises:
        Rejected: `pointer`.
    """
    shown = "".join(char if char.isprintable() else "?" for char in pointer[:_SHOWN_CHARACTERS])
    if not pointer.startswith("/"):
        raise Rejected(
            f"`{shown}` marks no part, expected a pointer like `/name/0`; what is whole takes the portion's marking", code="pointer"
        )
    tokens = pointer[1:].split("/")
    if len(tokens) > JSON_DEPTH_MAX:
        raise Rejected(f"pointer `{shown}` is {len(tokens)} deep, expected at most {JSON_DEPTH_MAX}", code="pointer")
    steps: list[str | int] = []
    for token in tokens:
        step: str | int | None = None
        if isinstance(value, dict):
            name = token.replace("~1", "/").replace("~0", "~")
            if not _BAD_ESCAPE.search(token) and name in value:
                step = name
        elif isinstance(value, list) and token.isascii() and token.isdigit() and str(int(token[:9])) == token and int(token) < len(value):
            step = int(token)
        if step is None:
            raise Rejected(f"pointer `{shown}` leads nowhere in the value of its portion", code="pointer")
        value = cast("Any", value)[step]
        steps.append(step)
    return tuple(steps)


def _in_order(steps: _Steps) -> list[tuple[int, str]]:
    # Siblings are all names or all indexes, so that the two are never compared.
    return [(step, "") if isinstance(step, int) else (0, step) for step in steps]


def _at(value: object, steps: Sequence[str | int]) -> object:
    for step in steps:
        value = cast("Any", value)[step]
    return value


def _without(value: object, steps: _Steps, marked: Mapping[_Steps, int]) -> object:
    """A copy of what stands at these steps, without what is marked below."""
    if isinstance(value, dict):
        return {name: _without(inner, (*steps, name), marked) for name, inner in value.items() if (*steps, name) not in marked}
    if isinstance(value, list):
        return [_without(inner, (*steps, index), marked) for index, inner in enumerate(value) if (*steps, index) not in marked]
    return value


def _left_index(step: str | int, array: _Steps, marked: Mapping[_Steps, int]) -> str | int:
    """Of an index, what it is once the marked elements before it are gone."""
    return step if isinstance(step, str) else step - sum((*array, before) in marked for before in range(step))


def _ways(value: object) -> dict[int, str]:
    """The pointer to every object and array of a value, by identity."""
    ways = {id(value): ""}
    layer: list[object] = [value]
    while layer:
        inner_layer: list[object] = []
        for outer in layer:
            if isinstance(outer, dict | list):
                for key, inner in outer.items() if isinstance(outer, dict) else enumerate(outer):
                    if isinstance(inner, dict | list):
                        ways[id(inner)] = ways[id(outer)] + _token(key)
                        inner_layer.append(inner)
        layer = inner_layer
    return ways


def _token(key: str | int) -> str:
    return "/" + str(key).replace("~", "~0").replace("/", "~1")
