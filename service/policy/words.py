"""A condition in words: why it is not met on a row, with the values at hand, and what would meet it.

Pure. The words are those that each function is declared with (`functions.Declared`); nothing here knows what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.policy import functions
from service.policy.masks import AtomMasks
from service.policy.matcher import Atom, From, Request, parts_of


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
        lacking = " and ".join(_lacking(atom, table, request, place))
        return declared.miss.format(**by_name), declared.mend.format(lacking=lacking, **by_name)
    if atom.call.name in functions.ROLE_MISSES and len(shown) == 2:
        return functions.ROLE_MISSES[atom.call.name].format(*shown), functions.ROLE_MENDS[atom.call.name].format(*shown)
    return f"`{atom.text}` is not so for {', '.join(shown)}", f"`{atom.text}` were so"


def mended(atom: Atom, table: AtomMasks, request: Sequence[Any], row: Sequence[str], place: int) -> tuple[Request, ...] | None:
    """The questions that would do where a condition is not met on a row, each of them; None where the mend is not of what is asked.

    Args:
        as `words_of`.
    """
    call = atom.call
    if call is None or call.declared is None or call.declared.mended is None:
        return None
    name, template = call.declared.mended
    arguments = dict(zip(call.declared.parameters, call.arguments, strict=True))
    if arguments[name].source is not From.REQUEST:
        return None
    values = {parameter: argument.of(request, row) for parameter, argument in arguments.items()}
    if "{each}" in template:
        lacking = _lacking(atom, table, request, place)
        wanted = [tuple(template.format(each=each, **values) for each in lacking)] if lacking else []
    else:
        wanted = [(word,) for word in template.format(**values).split(" ")]
    column = arguments[name].index
    found: list[Request] = []
    for words in wanted:
        value = tuple(sorted({*request[column], *words})) if type(request[column]) is tuple else words[0]
        found.append((*request[:column], value, *request[column + 1 :]))
    return tuple(found)


def _lacking(atom: Atom, table: AtomMasks, request: Sequence[Any], place: int) -> list[str]:
    """Of a set of which every element must hold, those that do not."""
    parts = parts_of(atom)
    if parts is None or parts.all_of is None:
        return []
    lacking = []
    for element in request[parts.all_of]:
        values = tuple((element,) if column == parts.all_of else request[column] for column in atom.of_request)
        if not table.masks(values, place)[0] & place:
            lacking.append(element)
    return lacking


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "everyone" if value == ("*",) else " ".join(value) or "none"
    return "all" if value == "*" else str(value)
