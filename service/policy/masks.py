"""The matcher over masks of rows, exactly: three values, short-circuits, every row that raises where stock Casbin would (DESIGN section 4).

Bit `i` of a mask is row `i`. An atom has, for given values of the request, the rows on which it is true and those on which it raises; each
row is evaluated when it is first needed, rows with equal cells together, by pycasbin's evaluator and the functions registered.

Safe from many threads without a lock: what is remembered is replaced whole, and a value lost to a race is evaluated again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.policy.matcher import And, Atom, Evaluator, Formula, From, Not

MASK_BYTES_MAX = 2**22
"""Bytes of masks remembered per atom; beyond it the table begins anew, so that hostile values cannot fill the memory."""


class NotCompiled(Exception):
    """This cannot be told in masks; stock Casbin answers."""


class AtomMasks:
    """One atom over the rows: its masks by the values of the request columns it reads."""

    __slots__ = ("_arguments", "_evaluator", "_function", "_group_of", "_groups", "_of_row", "_table", "_values_max", "_width", "atom")

    def __init__(self, atom: Atom, *, rows: Sequence[Sequence[str]], evaluator: Evaluator, width: int) -> None:
        """`width` is how many columns a request has."""
        self.atom = atom
        self._evaluator = evaluator
        self._width = width
        # Rows with the same cells in the columns this atom looks at stand or fall together: one evaluation for all of them.
        numbers: dict[tuple[str, ...], int] = {}
        self._group_of = [numbers.setdefault(tuple(row[i] for i in atom.of_row), len(numbers)) for row in rows]
        masks = _masks_of(self._group_of, len(numbers))
        examples = dict(zip(reversed(self._group_of), reversed(rows), strict=True))
        self._groups = [(examples[number], mask) for number, mask in enumerate(masks)]
        self._function = None if atom.call is None else evaluator.function(atom.call.name)
        self._arguments: list[Any] = []
        self._of_row: list[tuple[int, int]] = []
        if atom.call is not None:
            self._arguments = [argument.text if argument.source is From.CONSTANT else None for argument in atom.call.arguments]
            self._of_row = [(at, argument.index) for at, argument in enumerate(atom.call.arguments) if argument.source is From.ROW]
        self._table: dict[tuple[Any, ...], tuple[int, int, int]] = {}
        self._values_max = max(256, MASK_BYTES_MAX // (3 * (len(rows) // 8 + 64)))

    def __len__(self) -> int:
        return len(self._table)

    def masks(self, values: tuple[Any, ...], need: int) -> tuple[int, int]:
        """The rows of `need` on which it is true, and those on which it raises. Bits outside `need` mean nothing.

        Args:
            values: those of the request columns it reads, in the order of `atom.of_request`.

        Raises:
            NotCompiled: a value that is neither a word nor a tuple of words, or a result that is no truth value.
            TypeError: a value that is not hashable.
        """
        found = self._table.get(values)
        if found is not None and not need & ~found[0]:
            return found[1], found[2]
        return self._evaluated(values, need, found)

    def alike(self, values: tuple[Any, ...]) -> bool | None:
        """Whether an atom that reads no row is true; None where it raises. Nothing is remembered.

        Raises:
            NotCompiled: a result that is no truth value.
        """
        try:
            result = self._value(self._request(values), self._groups[0][0])
        except Exception:  # noqa: BLE001  one rule's evaluation: that it raises is the answer
            return None
        if result is True or result is False:
            return result
        raise NotCompiled(f"`{self.atom.text}` is no truth value")

    def raises(self, values: tuple[Any, ...], row: int) -> bool:
        """Whether it raises on this row; one evaluation, and nothing is remembered."""
        try:
            self._value(self._request(values), self._groups[self._group_of[row]][0])
        except Exception:  # noqa: BLE001  one rule's evaluation: that it raises is the answer
            return True
        return False

    def _evaluated(self, values: tuple[Any, ...], need: int, found: tuple[int, int, int] | None) -> tuple[int, int]:
        if not all(map(plain, values)):
            raise NotCompiled
        known, true, poisoned = found or (0, 0, 0)
        request = self._request(values)
        missing = need & ~known
        while missing:
            example, mask = self._groups[self._group_of[missing.bit_length() - 1]]
            try:
                result = self._value(request, example)
            except Exception:  # noqa: BLE001  one rule's evaluation: it poisons its rows; the reason is asked for when needed
                poisoned |= mask
            else:
                if result is True:
                    true |= mask
                elif result is not False:
                    # Truthy is not true: pycasbin refuses such a result at the top of a matcher and takes it below. Let it decide.
                    raise NotCompiled(f"`{self.atom.text}` is no truth value")
            known |= mask
            missing &= ~mask
        if len(self._table) >= self._values_max:
            self._table = {}
        self._table[values] = (known, true, poisoned)
        return true, poisoned

    def _request(self, values: tuple[Any, ...]) -> list[Any]:
        request: list[Any] = [""] * self._width
        for column, value in zip(self.atom.of_request, values, strict=True):
            request[column] = value
        return request

    def _value(self, request: list[Any], row: Sequence[str]) -> object:
        if self._function is None or self.atom.call is None:
            return self._evaluator.value(self.atom, request, row)
        arguments = list(self._arguments)
        for at, argument in enumerate(self.atom.call.arguments):
            if argument.source is From.REQUEST:
                arguments[at] = request[argument.index]
        for at, column in self._of_row:
            arguments[at] = row[column]
        return self._function(*arguments)


class Rows:
    """A matcher over the rows of a policy."""

    def __init__(self, formula: Formula, atoms: Sequence[Atom], *, rows: Sequence[Sequence[str]], evaluator: Evaluator, width: int) -> None:
        self.formula = formula
        self.atoms = tuple(atoms)
        self.every_row = (1 << len(rows)) - 1
        self.tables = {atom: AtomMasks(atom, rows=rows, evaluator=evaluator, width=width) for atom in atoms}

    def atom_masks(self, atom: Atom, request: Sequence[Any], need: int) -> tuple[int, int]:
        """As `AtomMasks.masks`, the values taken out of a request. Only the columns the atom reads are looked at."""
        return self.tables[atom].masks(tuple([request[column] for column in atom.of_request]), need)

    def masks(self, request: Sequence[Any], *, flipped: Atom | None = None, among: int = -1) -> tuple[int, int]:
        """The rows on which the matcher is true, and those on which it raises.

        Args:
            flipped: an atom to take the other way round, and where it raises as false.
            among: the rows that are looked at.

        Raises:
            NotCompiled, TypeError: as `AtomMasks.masks`.
        """
        return self._masks(self.formula, request, self.every_row & among, flipped)

    def _masks(self, node: Formula, request: Sequence[Any], reached: int, flipped: Atom | None) -> tuple[int, int]:
        """The rows of `reached` that are true, and those that raise; short-circuited row by row."""
        if isinstance(node, Atom):
            true, raised = self.atom_masks(node, request, reached)
            if node is flipped:
                return reached & ~(true | raised), 0
            return reached & true, reached & raised
        if isinstance(node, Not):
            true, raised = self._masks(node.of, request, reached, flipped)
            return reached & ~(true | raised), raised
        poisoned = 0
        if isinstance(node, And):
            for part in node.of:
                reached, raised = self._masks(part, request, reached, flipped)
                poisoned |= raised
                if not reached:
                    break
            return reached, poisoned
        held = 0
        for part in node.of:
            true, raised = self._masks(part, request, reached, flipped)
            held |= true
            poisoned |= raised
            reached &= ~(true | raised)
            if not reached:
                break
        return held, poisoned


def plain(value: object) -> bool:
    """Whether a value is what a table may be keyed by: `1` and `True` are one key, but not one value."""
    return type(value) is str or (type(value) is tuple and all(type(element) is str for element in value))


def bits(mask: int) -> list[int]:
    """The rows in a mask, the first first."""
    if mask.bit_count() > 64:
        return [index for index, digit in enumerate(reversed(f"{mask:b}")) if digit == "1"]
    found = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return found


def _masks_of(numbers: Sequence[int], count: int) -> list[int]:
    """For each number below `count` the mask of the places at which it stands."""
    places: list[bytearray] = [bytearray() for _ in range(count)]
    found = [0] * count
    if count * len(numbers) <= 2**20:
        for index, number in enumerate(numbers):
            found[number] |= 1 << index
        return found
    # Shifting a long integer once per row is quadratic; bytes are set in place, as long as the last of its rows needs.
    for index, number in enumerate(numbers):
        place = places[number]
        if len(place) <= index >> 3:
            place.extend(bytes((index >> 3) + 1 - len(place)))
        place[index >> 3] |= 1 << (index & 7)
    return [int.from_bytes(place, "little") for place in places]
