"""The matcher as a formula: `&&`, `||`, `!` over *atoms*, an atom being one call or comparison (DESIGN section 4, "The engine").

Pure. Read once, by Casbin's own grammar, and shared by all that works on rules: the compiled engine (masks over rows), the label
side (columns over labels) and the prover (clauses over all possible labels). None of them knows the shipped model.

What an atom is made of is told apart here: which columns of the request and of the row it reads, and, for a call of a declared
function, how its value follows from the elements of a set (`Parts`). What does not fit is named, so that an officer learns which
construct runs on stock Casbin, and why.
"""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from casbin.util import SimpleEval, util

from service.policy import functions
from service.policy.functions import Declared

Value = str | tuple[str, ...]
Request = tuple[Value, ...]

PURE_BUILTINS = frozenset({"keyMatch", "keyMatch2", "keyMatch3", "keyMatch4", "keyMatch5", "regexMatch", "ipMatch", "globMatch"})
"""Casbin's own functions that depend on their arguments alone. `timeMatch` reads the clock and is not among them."""

PARSING = threading.Lock()
# Concurrent `ast.parse` raises spurious errors on Python 3.11: one at a time. Nobody who asks for a decision parses.


class From(StrEnum):
    """Where an argument of a call comes from."""

    REQUEST = "request"
    ROW = "row"
    CONSTANT = "constant"


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call: a column of request or row (`index`), or a constant (`text`)."""

    source: From
    index: int = 0
    text: str = ""

    def of(self, request: Sequence[Any], row: Sequence[str]) -> Any:
        """Its value."""
        match self.source:
            case From.REQUEST:
                return request[self.index]
            case From.ROW:
                return row[self.index]
            case From.CONSTANT:
                return self.text


@dataclass(frozen=True, slots=True)
class Call:
    """A call whose arguments are columns and constants. `declared` is set for a function of DESIGN's table."""

    name: str
    arguments: tuple[Argument, ...]
    declared: Declared | None


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """A call or comparison.

    `text` is as the officer wrote it (`at_most(r.level, p.level)`); `of_request` and `of_row` are the columns it reads, by index. `call` is
    None for a comparison, and for a call with arguments that are no columns or constants; those are evaluated by Casbin's evaluator.
    One atom of the matcher that stands twice is one object.
    """

    text: str
    node: ast.expr
    of_request: tuple[int, ...]
    of_row: tuple[int, ...]
    call: Call | None


@dataclass(frozen=True, slots=True)
class And:
    """All of these, from left to right, up to the first that is false."""

    of: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of these, from left to right, up to the first that is true."""

    of: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The other way round."""

    of: Formula


Formula = And | Or | Not | Atom


def parse_matcher(text: str) -> ast.expr:
    """The matcher as pycasbin sees it: escaped, its operators translated, parsed.

    Raises:
        SyntaxError: not one expression. Only the first of several would be evaluated, so several are none.
    """
    escaped = util.escape_assertion(text)
    translated = re.sub(r"!(?!=)", "not ", escaped.replace("&&", "and").replace("||", "or")).strip()
    with PARSING:
        return ast.parse(translated, mode="eval").body


def uncompilable(tree: ast.expr, *, roles: frozenset[str]) -> str | None:
    """Which construct of a parsed matcher keeps it on stock Casbin, or None. Stock is slow, never wrong."""
    for leaf in _leaves(tree):
        if not isinstance(leaf, ast.Call | ast.Compare):
            # Truthy is not true: pycasbin refuses such a value at the top of a matcher and takes it below.
            return f"`{as_written(ast.unparse(leaf))}` is no truth value"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            return f"the attribute `.{node.attr}` may be anything"
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name):
                return "a call of something else than a named function"
            name = node.func.id
            if name not in functions.DECLARED and name not in roles and name not in PURE_BUILTINS:
                return f"`{name}` is not declared to depend on its arguments alone"
    return None


def formula(tree: ast.expr, *, request_columns: Sequence[str], row_columns: Sequence[str]) -> Formula:
    """A parsed matcher for which `uncompilable` found nothing, taken apart.

    Args:
        request_columns: as Casbin's tokens, `r_level`.
        row_columns: likewise, `p_level`.
    """
    atoms: dict[str, Atom] = {}

    def taken_apart(node: ast.expr) -> Formula:
        if isinstance(node, ast.BoolOp):
            parts = tuple(taken_apart(value) for value in node.values)
            return And(parts) if isinstance(node.op, ast.And) else Or(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return Not(taken_apart(node.operand))
        key = ast.dump(node)
        if key not in atoms:
            atoms[key] = _atom(node, request_columns, row_columns)
        return atoms[key]

    return taken_apart(tree)


def atoms_of(whole: Formula) -> tuple[Atom, ...]:
    """Every atom once, in the order in which it stands."""
    found: dict[int, Atom] = {}
    waiting: list[Formula] = [whole]
    while waiting:
        part = waiting.pop()
        match part:
            case And() | Or():
                waiting.extend(reversed(part.of))
            case Not():
                waiting.append(part.of)
            case Atom():
                found.setdefault(id(part), part)
    return tuple(found.values())


class Evaluator:
    """An atom's value on a request and a row, by pycasbin's own evaluator and the functions registered on one enforcer."""

    def __init__(self, callables: Mapping[str, Callable[..., Any]], *, request_columns: Sequence[str], row_columns: Sequence[str]) -> None:
        self._callables = dict(callables)
        self._request_columns = tuple(request_columns)
        self._row_columns = tuple(row_columns)

    def value(self, atom: Atom, request: Sequence[Any], row: Sequence[str]) -> object:
        """Whatever Casbin would have as its value, or raise."""
        if atom.call is not None:
            return self._callables[atom.call.name](*(argument.of(request, row) for argument in atom.call.arguments))
        evaluator = SimpleEval("", self._callables)
        # Where a name is in both, pycasbin lets the row win.
        evaluator.names = dict(zip(self._request_columns, request, strict=True)) | dict(zip(self._row_columns, row, strict=True))
        return evaluator._eval(atom.node)

    def function(self, name: str) -> Callable[..., Any]:
        """The function itself, for whoever calls it often."""
        return self._callables[name]

    def call(self, name: str, arguments: Sequence[Any]) -> object:
        """A function's own word."""
        return self._callables[name](*arguments)


@dataclass(frozen=True, slots=True)
class Parts:
    """How an atom follows from the sets of the request it reads (`Declared`, the law).

    `all_of` is the request column of which every element must hold, or None; `some_of` the columns of which one element is enough.
    `scalars` are its other request columns, which are single words.
    """

    all_of: int | None
    some_of: tuple[int, ...]
    scalars: tuple[int, ...]


def parts_of(atom: Atom) -> Parts | None:
    """The parts of an atom that is a call of a declared function, each set parameter a column of its own; None for any other.

    A role function of Casbin (`g`) reads words alone; so does a comparison with `==` or `!=` of columns and constants, and these are
    parts without sets. What reads a request column in a place that is not said to be a set or a word is None: nothing is guessed.
    """
    if atom.call is None:
        compared = isinstance(atom.node, ast.Compare) and all(isinstance(op, ast.Eq | ast.NotEq) for op in atom.node.ops)
        return Parts(None, (), atom.of_request) if compared else None
    declared = atom.call.declared
    if declared is None:
        return Parts(None, (), atom.of_request)
    if len(declared.parameters) != len(atom.call.arguments):
        return None
    all_of: int | None = None
    some_of: list[int] = []
    scalars: list[int] = []
    for parameter, argument in zip(declared.parameters, atom.call.arguments, strict=True):
        is_set = parameter == declared.all_of or parameter in declared.some_of
        if argument.source is not From.REQUEST:
            if is_set:
                return None
            continue
        if parameter == declared.all_of:
            all_of = argument.index
        elif parameter in declared.some_of:
            some_of.append(argument.index)
        else:
            scalars.append(argument.index)
    sets = [*some_of, *([] if all_of is None else [all_of])]
    if len(set(sets)) != len(sets) or set(sets) & set(scalars):
        # One column in two places: its elements would not be independent.
        return None
    return Parts(all_of, tuple(some_of), tuple(dict.fromkeys(scalars)))


def as_written(text: str) -> str:
    """An expression with its columns as in `model.conf`: `r.level` for `r_level`."""
    return re.sub(r"\b([rp])_", r"\1.", text)


def _atom(node: ast.expr, request_columns: Sequence[str], row_columns: Sequence[str]) -> Atom:
    called = {id(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
    names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and id(name) not in called}
    of_row = tuple(i for i, column in enumerate(row_columns) if column in names)
    of_request = tuple(i for i, column in enumerate(request_columns) if column in names and column not in row_columns)
    return Atom(as_written(ast.unparse(node)), node, of_request, of_row, _call(node, request_columns, row_columns))


def _call(node: ast.expr, request_columns: Sequence[str], row_columns: Sequence[str]) -> Call | None:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords):
        return None
    arguments: list[Argument] = []
    for argument in node.args:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            arguments.append(Argument(From.CONSTANT, text=argument.value))
        elif isinstance(argument, ast.Name) and argument.id in row_columns:
            arguments.append(Argument(From.ROW, row_columns.index(argument.id)))
        elif isinstance(argument, ast.Name) and argument.id in request_columns:
            arguments.append(Argument(From.REQUEST, request_columns.index(argument.id)))
        else:
            return None
    return Call(node.func.id, tuple(arguments), functions.DECLARED.get(node.func.id))


def _leaves(node: ast.expr) -> Iterator[ast.expr]:
    """What `&&`, `||`, `!` join."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        if isinstance(found, ast.BoolOp):
            waiting.extend(found.values)
        elif isinstance(found, ast.UnaryOp) and isinstance(found.op, ast.Not):
            waiting.append(found.operand)
        else:
            yield found
