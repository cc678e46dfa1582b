"""A condition in words: why it is not met on a row, with the values at hand, and what would meet it.

Pure. The words are those that each function is declared with (`functions.Declared`); nothing here knows what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.policy import functions
from service.policy.masks import AtomMasks
from service.policy.matcher import Atom, parts_of


def words_of(atom: Atom, table: AtomMasks, request: Sequence[Any], row: Sequence[str], place: int) -> tuple[str, str]:
    """Why a condition is not met, and what would meet it, the latter to be read after "released if".

    Args:
        table: of the atom.
        request: of which the columns that the atom reads are looked at.
        row: the cells of the row in question.
        place: that row, as a mask.
    """
    true, _ = table.masks(tuple(request[column] for column in atom.of_request), place)
    if true & place:
        # It stands below a `!`.
        return f"`{atom.text}` is so", f"`{atom.text}` were not so"
    if atom.call is None:
        return f"`{atom.text}` is not so", f"`{atom.text}` were so"
    shown = [_shown(argument.of(request, row)) for argument in atom.call.arguments]
    declared = atom.call.declared
    if declared is not None and len(declared.parameters) == len(shown):
        by_name = dict(zip(declared.parameters, shown, strict=True))
        return declared.miss.format(**by_name), declared.mend.format(lacking=_lacking(atom, table, request, place), **by_name)
    if atom.call.name in functions.ROLE_MISSES and len(shown) == 2:
        return functions.ROLE_MISSES[atom.call.name].format(*shown), functions.ROLE_MENDS[atom.call.name].format(*shown)
    return f"`{atom.text}` is not so for {', '.join(shown)}", f"`{atom.text}` were so"


def _lacking(atom: Atom, table: AtomMasks, request: Sequence[Any], place: int) -> str:
    """Of a set of which every element must hold, those that do not."""
    parts = parts_of(atom)
    if parts is None or parts.all_of is None:
        return ""
    lacking = []
    for element in request[parts.all_of]:
        values = tuple((element,) if column == parts.all_of else request[column] for column in atom.of_request)
        if not table.masks(values, place)[0] & place:
            lacking.append(element)
    return " and ".join(lacking)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "everyone" if value == ("*",) else " ".join(value) or "none"
    return "all" if value == "*" else str(value)
