"""What remains of a matcher once it is known who asks for what: the first half of the label side (DESIGN section 4, "The engine").

Pure. The asker is the part of a request that is the same for all labels: partner, action, purpose. Atoms that read no label are settled by
him and the rows, and fold away; what remains for a row is a *residue*, a formula over atoms that read the label. Rows with the same
residue are kept together as a mask, and a residue is told apart into what reads no row (the same for all of them) and what
does, so that rows with equal cells are one case.

It knows Casbin's grammar, not the shipped model. An atom that may raise keeps its place: `Residue.reached` names every atom
that stock Casbin might evaluate before a row is settled, also where the row turns out to be false.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from service.policy.effects import Effect
from service.policy.matcher import And, Atom, Formula, Not, Or

LABEL_FROM: Final = 3
"""The first request column that is of the label; those before it are partner, action and purpose (`snapshot.request_of`)."""

Shape = int | tuple[str, tuple["Shape", ...]]
"""A formula as a value: an atom by its number, or `&`, `|`, `!` over shapes."""

TRUE: Final[Shape] = ("&", ())
"""All of none."""
FALSE: Final[Shape] = ("|", ())
"""One of none."""

Masks = Callable[[int, int], tuple[int, int]]
"""(number of an atom that reads no label, rows wanted) -> the rows on which it is true, and those on which it raises, for one asker."""


class Unsettled(Exception):
    """An atom that reads no label raises on a row that would be looked at: this asker's labels are decided one by one."""


@dataclass(frozen=True, slots=True)
class Residue:
    """What remains of the matcher on some rows. `reached`: the atoms of the label that may be evaluated there, by number."""

    shape: Shape
    reached: frozenset[int]


@dataclass(frozen=True, slots=True)
class Run:
    """Rows that are taken together: all allow rows, all deny rows, or, where the order counts, those that follow each other."""

    effect: str
    """`allow`, `deny`, or empty for rows that are neither: they decide nothing, but may raise."""
    residues: tuple[tuple[Residue, int], ...]
    """Every residue with the mask of its rows, those that are false on every label included."""


def residues(whole: Formula, numbers: dict[int, int], rows: int, masks: Masks) -> dict[Residue, int]:
    """The rows parted by what remains of the formula on them.

    Args:
        numbers: an atom's number by its `id()`.
        rows: the mask of the rows in question.

    Raises:
        Unsettled: what reads no label raises.
    """
    if not rows:
        return {}
    match whole:
        case Atom():
            number = numbers[id(whole)]
            if any(column >= LABEL_FROM for column in whole.of_request):
                return {Residue(number, frozenset((number,))): rows}
            true, raising = masks(number, rows)
            if raising & rows:
                raise Unsettled
            return _without_empty({Residue(TRUE, _NOTHING): rows & true, Residue(FALSE, _NOTHING): rows & ~true})
        case Not():
            found: dict[Residue, int] = {}
            for residue, mask in residues(whole.of, numbers, rows, masks).items():
                _add(found, Residue(_not(residue.shape), residue.reached), mask)
            return found
        case And():
            return _joined(whole.of, "&", numbers, rows, masks)
        case Or():
            return _joined(whole.of, "|", numbers, rows, masks)


def runs_of(
    whole: Formula, numbers: dict[int, int], masks: Masks, *, effect: Effect, allow_rows: int, deny_rows: int, rows: int
) -> tuple[Run, ...]:
    """The runs of a policy's rows, in order.

    Raises:
        Unsettled: as `residues`.
    """
    found = residues(whole, numbers, rows, masks)
    parts = _in_turns(allow_rows, deny_rows) if effect is Effect.PRIORITY else [("allow", allow_rows), ("deny", deny_rows)]
    parts.append(("", rows & ~allow_rows & ~deny_rows))
    return tuple(
        Run(effect_, tuple((residue, mask & own) for residue, mask in found.items() if mask & own)) for effect_, own in parts if own
    )


def split(shape: Shape, reads_rows: Callable[[int], bool]) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
    """A shape as (what reads no row, what does), all of which must hold."""
    parts = shape[1] if isinstance(shape, tuple) and shape[0] == "&" else (shape,)
    of_rows = tuple(part for part in parts if any(reads_rows(number) for number in atoms_in(part)))
    return tuple(part for part in parts if part not in of_rows), of_rows


def atoms_in(shape: Shape) -> frozenset[int]:
    """The numbers of the atoms in a shape."""
    if isinstance(shape, int):
        return frozenset((shape,))
    return frozenset().union(*(atoms_in(part) for part in shape[1]))


_NOTHING: Final[frozenset[int]] = frozenset()


def _joined(parts: tuple[Formula, ...], sign: str, numbers: dict[int, int], rows: int, masks: Masks) -> dict[Residue, int]:
    """`&&` or `||` from left to right: rows that are settled by one part never come to the next."""
    settling = TRUE if sign == "|" else FALSE
    done: dict[Residue, int] = {}
    states: dict[tuple[tuple[Shape, ...], frozenset[int]], int] = {((), _NOTHING): rows}
    for part in parts:
        following: dict[tuple[tuple[Shape, ...], frozenset[int]], int] = {}
        for (before, reached), mask in states.items():
            for residue, own in residues(part, numbers, mask, masks).items():
                together = reached | residue.reached
                if residue.shape == settling:
                    _add(done, Residue(settling, together), own)
                    continue
                own_parts = residue.shape[1] if isinstance(residue.shape, tuple) and residue.shape[0] == sign else (residue.shape,)
                key = ((*before, *(one for one in own_parts if one not in before)), together)
                following[key] = following.get(key, 0) | own
        states = following
    for (shapes, reached), mask in states.items():
        shape: Shape = shapes[0] if len(shapes) == 1 else (sign, shapes)
        _add(done, Residue(shape, reached), mask)
    return done


def _not(shape: Shape) -> Shape:
    if shape in (TRUE, FALSE):
        return FALSE if shape == TRUE else TRUE
    if isinstance(shape, tuple) and shape[0] == "!":
        return shape[1][0]
    return ("!", (shape,))


def _add(found: dict[Residue, int], residue: Residue, mask: int) -> None:
    found[residue] = found.get(residue, 0) | mask


def _without_empty(found: dict[Residue, int]) -> dict[Residue, int]:
    return {residue: mask for residue, mask in found.items() if mask}


def _in_turns(allow_rows: int, deny_rows: int) -> list[tuple[str, int]]:
    """Runs of allow rows and of deny rows as they follow each other."""
    found: list[tuple[str, int]] = []
    left = allow_rows | deny_rows
    while left:
        lowest = left & -left
        effect, own, other = ("allow", allow_rows, deny_rows) if lowest & allow_rows else ("deny", deny_rows, allow_rows)
        beyond = left & other
        run = left & own & ((beyond & -beyond) - 1 if beyond else -1)
        found.append((effect, run))
        left &= ~run
    return found
