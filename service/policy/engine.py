"""The engine: which rows of a policy are true for a request, by pycasbin's meaning (DESIGN section 4, "The engine").

Two engines answer the same question and must agree:

- `StockEngine` asks `casbin.Enforcer` itself. It is the oracle: slow, and right by definition.
- `CompiledEngine` is a `casbin.Enforcer` whose matcher has been taken apart into *atoms* (a call or a comparison). An atom is, for
  given request values, a bit mask over the rows: evaluated once per distinct value, by pycasbin's own evaluator and the
  registered functions. `&&`, `||`, `!` become operations on masks, and the effect is read off two of them. It knows Casbin's
  grammar, not the shipped model.

Three values, not two: an atom that raises on a row *poisons* it. Evaluation carries the mask of rows for which an atom is reached at
all, so that a row is poisoned exactly where stock Casbin would have raised: after short-circuits, and before the row at which
the effect is settled. A poisoned row that counts makes the answer an error, never a release.

What cannot be compiled is answered by stock Casbin, and `uncompiled` says why. An engine never changes once built: a new policy
is a new engine (`load_policy` on a live enforcer loses prohibitions under concurrent readers), so all that would change it raises.

`engine_digest` names this meaning in every record: pycasbin's version and the sources of functions and compiler.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

import casbin
from casbin.effect import AllowAndDenyEffector, AllowOverrideEffector, DenyOverrideEffector, PriorityEffector
from casbin.persist.adapters.string_adapter import StringAdapter
from casbin.util import SimpleEval, generate_g_function, util

from service.errors import Broken
from service.labels.scheme import Scheme
from service.policy import functions, matcher
from service.policy.matcher import PARSING as _CASBIN
from service.policy.matcher import Request, as_written, uncompilable

ATOM_VALUES_MAX = 65_536
"""Distinct values remembered per atom; beyond it the table begins anew, so that hostile values cannot fill the memory."""


class EngineKind(StrEnum):
    """Which engine decides."""

    COMPILED = "compiled"
    STOCK = "stock"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an engine says: whether the effect allows, and every row that was true.

    `matched` are the ids of allow rows, `denied` of deny rows, sorted. `error` is set where stock Casbin would have raised; then `allowed`
    is false whatever else holds.
    """

    allowed: bool
    matched: tuple[str, ...]
    denied: tuple[str, ...]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class NearMiss:
    """An allow row that one condition kept from being true.

    `condition` is that condition as the matcher has it, `reason` the same with the values at hand, for people.
    """

    rule: str
    condition: str
    reason: str


class Engine(Protocol):
    """Decides requests over the rows it was built with. Immutable; safe from many threads."""

    @property
    def uncompiled(self) -> str | None:
        """Why the matcher runs on stock Casbin, or None."""

    def evaluate(self, request: Request) -> Verdict:
        """Decide; never raises for what is in the request."""

    def near_misses(self, request: Request) -> tuple[NearMiss, ...]:
        """Allow rows that would be true if a single condition were; none where the matcher is not compiled."""


class EngineBuilder(Protocol):
    """Makes an engine of the text of `model.conf` and the Casbin rows in force; `build_engine` is one."""

    def __call__(self, kind: EngineKind, *, model: str, rows: str, scheme: Scheme) -> Engine: ...


def engine_digest() -> str:
    """SHA-256 (hex) over pycasbin's version and the sources of functions and compiler."""
    return _ENGINE_DIGEST


def _engine_digest() -> str:
    lines = [f"pycasbin {version('pycasbin')}\n"]
    for source in (Path(functions.__file__), Path(matcher.__file__), Path(__file__)):
        lines.append(f"{hashlib.sha256(source.read_bytes()).hexdigest()}  {source.name}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


# Read when the module is, so that the digest is of the code that runs and not of an edit made beside it.
_ENGINE_DIGEST = _engine_digest()


def build_engine(kind: EngineKind, *, model: str, rows: str, scheme: Scheme) -> Engine:
    """An engine over the text of `model.conf` and the Casbin rows in force.

    Args:
        model: the text of `model.conf`.
        rows: Casbin lines, each ended by a newline; only those in force.
        scheme: what the functions speak.
    """
    with _CASBIN:
        parsed = casbin.Enforcer.new_model(text=model)
        # The adapter refuses the empty string; a comment is the least policy.
        adapter = StringAdapter(rows or "#")
        match kind:
            case EngineKind.STOCK:
                enforcer = casbin.Enforcer(parsed, adapter)
                functions.register(enforcer, scheme)
                return StockEngine(enforcer)
            case EngineKind.COMPILED:
                compiled = CompiledEngine(parsed, adapter)
                functions.register(compiled, scheme)
                compiled.compile()
                return compiled


class StockEngine:
    """`casbin.Enforcer` behind the interface: its outcome, and by its own evaluator the complete list of rows."""

    def __init__(self, enforcer: casbin.Enforcer) -> None:
        self._enforcer = enforcer

    @property
    def uncompiled(self) -> str | None:
        return "stock Casbin was asked for"

    def evaluate(self, request: Request) -> Verdict:
        with _CASBIN:
            return _ask_stock(self._enforcer, request)

    def near_misses(self, request: Request) -> tuple[NearMiss, ...]:
        return ()


def _functions_of(enforcer: Any) -> dict[str, Any]:
    """The functions a matcher may call, as pycasbin gathers them for a decision."""
    found = dict(enforcer.fm.get_functions())
    for key, assertion in (enforcer.get_model()["g"] or {}).items():
        found[key] = generate_g_function(assertion.rm)
    return found


def _row_id(columns: Sequence[str], row: Sequence[str], index: int) -> str:
    return row[columns.index("p_id")] if "p_id" in columns else str(index)


def _ask_stock(enforcer: Any, request: Request) -> Verdict:
    """One decision by `casbin.Enforcer`. The caller holds `_CASBIN`."""
    error: str | None = None
    allowed = False
    try:
        # Named in full: a compiled engine has an `enforce_ex` of its own, and this is the way past it.
        allowed = bool(casbin.Enforcer.enforce_ex(enforcer, *request)[0])
    except Exception as raised:  # noqa: BLE001  whatever one rule's evaluation raises is a refusal with its reason (house style)
        error = f"casbin refused the request: {raised}"
    matched: list[str] = []
    denied: list[str] = []
    policy = enforcer.get_model()["p"]["p"]
    eft = policy.tokens.index("p_eft") if "p_eft" in policy.tokens else None
    poisoned = False
    for index, (row, truth) in enumerate(zip(policy.policy, _row_truths(enforcer, request, policy.policy), strict=True)):
        if isinstance(truth, Exception):
            if error is not None and not poisoned:
                error = f"rule `{_row_id(policy.tokens, row, index)}` cannot be evaluated: {truth}"
            poisoned = True
        elif truth:
            effect = "allow" if eft is None else row[eft]
            if effect in ("allow", "deny"):
                (matched if effect == "allow" else denied).append(_row_id(policy.tokens, row, index))
    return Verdict(allowed and error is None, tuple(sorted(matched)), tuple(sorted(denied)), error)


def _row_truths(enforcer: Any, request: Request, rows: Sequence[Sequence[str]]) -> Iterator[bool | Exception]:
    """Whether the matcher is true on each of these rows, by the loop body of `enforce_ex`, or what it raised."""
    model = enforcer.get_model()
    matcher = model["m"]["m"].value
    request_columns, row_columns = model["r"]["r"].tokens, model["p"]["p"].tokens
    callables = _functions_of(enforcer)
    by_row = util.has_eval(matcher)
    expression = None
    for row in rows:
        try:
            if len(row_columns) != len(row) or len(request_columns) != len(request):
                raise ValueError("invalid policy or request size")
            parameters = dict(zip(request_columns, request, strict=True)) | dict(zip(row_columns, row, strict=True))
            if by_row:
                rules = [util.escape_assertion(parameters[name]) for name in util.get_eval_value(matcher)]
                expression = enforcer._get_expression(util.replace_eval(matcher, rules), callables)
            elif expression is None:
                expression = enforcer._get_expression(matcher, callables)
            result = expression.eval(parameters)
            if not isinstance(result, bool | float):
                raise TypeError("matcher result should be bool, int or float")
        except Exception as raised:  # noqa: BLE001  one rule's evaluation: it refuses, with its reason (house style)
            yield raised
        else:
            yield bool(result)


class _NotCompiled(Exception):
    """This cannot be told in masks; stock Casbin answers."""


class _Node(Protocol):
    def run(self, request: Request, reached: int, flipped: _Atom | None) -> tuple[int, int]:
        """The rows of `reached` that are true, and those that raise. `flipped` is an atom to take the other way round."""


class _And:
    __slots__ = ("nodes",)

    def __init__(self, nodes: tuple[_Node, ...]) -> None:
        self.nodes = nodes

    def run(self, request: Request, reached: int, flipped: _Atom | None) -> tuple[int, int]:
        poisoned = 0
        for node in self.nodes:
            reached, raised = node.run(request, reached, flipped)
            poisoned |= raised
            if not reached:
                break
        return reached, poisoned


class _Or:
    __slots__ = ("nodes",)

    def __init__(self, nodes: tuple[_Node, ...]) -> None:
        self.nodes = nodes

    def run(self, request: Request, reached: int, flipped: _Atom | None) -> tuple[int, int]:
        true = poisoned = 0
        for node in self.nodes:
            found, raised = node.run(request, reached, flipped)
            true |= found
            poisoned |= raised
            reached &= ~(found | raised)
            if not reached:
                break
        return true, poisoned


class _Not:
    __slots__ = ("node",)

    def __init__(self, node: _Node) -> None:
        self.node = node

    def run(self, request: Request, reached: int, flipped: _Atom | None) -> tuple[int, int]:
        true, poisoned = self.node.run(request, reached, flipped)
        return reached & ~(true | poisoned), poisoned


class _Atom:
    """A call or comparison of the matcher, and its masks by request value."""

    __slots__ = ("_arguments", "_every_row", "_functions", "_groups", "_key", "_node", "_row_columns", "_table", "columns", "text")

    def __init__(
        self,
        node: ast.expr,
        *,
        request_columns: Sequence[str],
        row_columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        callables: dict[str, Any],
    ) -> None:
        called = {id(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
        names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and id(name) not in called}
        self.text = ast.unparse(node)
        self.columns = tuple(i for i, column in enumerate(request_columns) if column in names)
        of_rows = tuple(i for i, column in enumerate(row_columns) if column in names)
        self._node = node
        self._functions = callables
        self._arguments = _plain_call(node, request_columns, row_columns)
        self._row_columns = (tuple(request_columns), tuple(row_columns))
        self._key: Callable[[Request], Any] = itemgetter(*self.columns) if self.columns else lambda request: ()
        self._every_row = (1 << len(rows)) - 1
        self._table: dict[Any, tuple[int, int]] = {}
        # Rows with the same cells in the columns this atom looks at stand or fall together: one evaluation for all of them.
        groups: dict[tuple[str, ...], tuple[Sequence[str], int]] = {}
        for index, row in enumerate(rows):
            cells = tuple(row[i] for i in of_rows)
            example, mask = groups.get(cells, (row, 0))
            groups[cells] = (example, mask | 1 << index)
        self._groups = tuple(groups.values())
        if not self.columns:
            self._fill((), ("",) * len(request_columns))

    @property
    def of_rows(self) -> bool:
        """Whether the request has no part in it."""
        return not self.columns

    def run(self, request: Request, reached: int, flipped: _Atom | None) -> tuple[int, int]:
        key = self._key(request)
        found = self._table.get(key)
        if found is None:
            found = self._fill(key, request)
        if flipped is self:
            return reached & ~found[0], 0
        return reached & found[0], reached & found[1]

    def _fill(self, key: Any, request: Request) -> tuple[int, int]:
        if not all(_plain(request[column]) for column in self.columns):
            raise _NotCompiled
        true = poisoned = 0
        for row, mask in self._groups:
            try:
                result = self.value(request, row)
            except Exception:  # noqa: BLE001  one rule's evaluation: it poisons its rows; the reason is asked for when needed
                poisoned |= mask
                continue
            if result is True:
                true |= mask
            elif result is not False:
                # Truthy is not true: pycasbin refuses such a result at the top of a matcher and takes it below. Let it decide.
                raise _NotCompiled(f"`{as_written(self.text)}` is no truth value")
        if len(self._table) >= ATOM_VALUES_MAX:
            self._table = {}
        self._table[key] = (true, poisoned)
        return true, poisoned

    def value(self, request: Request, row: Sequence[str]) -> object:
        """The atom's value on a row, by pycasbin's functions and evaluator."""
        if self._arguments is not None:
            name, sources = self._arguments
            return self._functions[name](*(_argument(source, request, row) for source in sources))
        request_columns, row_columns = self._row_columns
        evaluator = SimpleEval("", self._functions)
        evaluator.names = dict(zip(request_columns, request, strict=True)) | dict(zip(row_columns, row, strict=True))
        return evaluator._eval(self._node)

    def why_false(self, request: Request, row: Sequence[str]) -> str:
        """Why it is not true on this row, in words."""
        if self._arguments is None:
            return f"`{as_written(self.text)}` is not so"
        name, sources = self._arguments
        shown = [_shown(_argument(source, request, row)) for source in sources]
        declared = functions.DECLARED.get(name)
        if declared is not None and len(declared.parameters) == len(shown):
            return declared.miss.format(**dict(zip(declared.parameters, shown, strict=True)))
        if name in functions.ROLE_MISSES and len(shown) == 2:
            return functions.ROLE_MISSES[name].format(*shown)
        return f"`{as_written(self.text)}` is not so for {', '.join(shown)}"


def _plain(value: object) -> bool:
    """Whether a value is what a table may be keyed by: `1` and `True` are one key, but not one value."""
    return type(value) is str or (type(value) is tuple and all(type(element) is str for element in value))


_Source = tuple[str, Any]


def _plain_call(node: ast.expr, request_columns: Sequence[str], row_columns: Sequence[str]) -> tuple[str, tuple[_Source, ...]] | None:
    """A call whose arguments are columns and constants can be made without the evaluator, to the same effect."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords):
        return None
    sources: list[_Source] = []
    for argument in node.args:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            sources.append(("constant", argument.value))
        # Where a name is in both, pycasbin lets the row win.
        elif isinstance(argument, ast.Name) and argument.id in row_columns:
            sources.append(("row", row_columns.index(argument.id)))
        elif isinstance(argument, ast.Name) and argument.id in request_columns:
            sources.append(("request", request_columns.index(argument.id)))
        else:
            return None
    return node.func.id, tuple(sources)


def _argument(source: _Source, request: Request, row: Sequence[str]) -> Any:
    where, what = source
    return what if where == "constant" else row[what] if where == "row" else request[what]


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "everyone" if value == ("*",) else " ".join(value) or "none"
    return "all" if value == "*" else str(value)


class CompiledEngine(casbin.Enforcer):  # type: ignore[misc]  # pycasbin has no types
    """A `casbin.Enforcer` that decides by masks. Made by `build_engine`; its policy cannot be changed."""

    _sealed = False

    def compile(self) -> None:
        """Take the matcher apart over the rows loaded. Call once, after the functions are registered."""
        model = self.get_model()
        policy = model["p"]["p"]
        self._rows: list[list[str]] = policy.policy
        self._row_columns: list[str] = policy.tokens
        self._request_columns: list[str] = model["r"]["r"].tokens
        self._request_size = len(self._request_columns)
        self._every_row = (1 << len(self._rows)) - 1
        eft = self._row_columns.index("p_eft") if "p_eft" in self._row_columns else None
        self._allow_rows = sum(1 << i for i, row in enumerate(self._rows) if eft is None or row[eft] == "allow")
        self._deny_rows = 0 if eft is None else sum(1 << i for i, row in enumerate(self._rows) if row[eft] == "deny")
        self._ids = [_row_id(self._row_columns, row, index) for index, row in enumerate(self._rows)]
        self._ids_of: dict[int, tuple[str, ...]] = {}
        self._atoms: dict[str, _Atom] = {}
        self._settles: Callable[[int, int], int] = _never
        self._uncompiled: str | None = None
        self._sealed = True
        try:
            self._root = self._compiled()
        except _NotCompiled as reason:
            self._uncompiled = str(reason)

    @property
    def uncompiled(self) -> str | None:
        """Why the matcher runs on stock Casbin, or None."""
        return self._uncompiled

    def evaluate(self, request: Request) -> Verdict:
        """Decide; never raises for what is in the request."""
        masks = self._masks(request)
        if masks is None:
            with _CASBIN:
                return _ask_stock(self, request)
        true, poisoned, settled = masks
        allowing, denying = true & self._allow_rows, true & self._deny_rows
        matched, denied = self._ids_in(allowing), self._ids_in(denying)
        if poisoned:
            return Verdict(False, matched, denied, self._poison(request, poisoned))
        return Verdict(self._effect(allowing, denying, settled), matched, denied)

    def near_misses(self, request: Request) -> tuple[NearMiss, ...]:
        """Allow rows that would be true if a single condition were; none where the matcher is not compiled."""
        if self._masks(request) is None:
            return ()
        found = []
        try:
            true, _ = self._root.run(request, self._every_row, None)
            for atom in self._atoms.values():
                # What a row says of itself is not a condition that a request could meet.
                if atom.of_rows:
                    continue
                would, _ = self._root.run(request, self._every_row, atom)
                for index in _bits(would & ~true & self._allow_rows):
                    reason = atom.why_false(request, self._rows[index])
                    found.append(NearMiss(self._ids[index], as_written(atom.text), reason))
        except _NotCompiled:
            return ()
        return tuple(sorted(found, key=lambda miss: (miss.rule, miss.condition)))

    # Casbin's own entry points answer from the masks too.

    def enforce_ex(self, *rvals: Any) -> tuple[bool, list[str]]:
        """The outcome, and the last row that was true before the effect was settled, as pycasbin has it."""
        masks = self._masks(rvals)
        if masks is None:
            with _CASBIN:
                allowed, row = super().enforce_ex(*rvals)
                return bool(allowed), row
        true, poisoned, settled = masks
        if poisoned:
            raise Broken(self._poison(rvals, poisoned))
        looked_at = true & ((settled << 1) - 1) if settled else true
        row = self._rows[looked_at.bit_length() - 1] if looked_at else []
        return self._effect(true & self._allow_rows, true & self._deny_rows, settled), row

    # The ways of changing an enforcer are closed: a snapshot never changes under its readers.

    def load_policy(self) -> None:
        """Load, while being built."""
        self._refuse_change()
        super().load_policy()

    def load_filtered_policy(self, filter: Any) -> None:
        """Never."""
        raise Broken("a policy in force is not changed, a new one is built")

    load_increment_filtered_policy = load_filtered_policy

    def clear_policy(self) -> None:
        """Never, once built."""
        self._refuse_change()
        super().clear_policy()

    def set_model(self, m: Any) -> None:
        """Never, once built."""
        self._refuse_change()
        super().set_model(m)

    def build_role_links(self) -> None:
        """Never, once built."""
        self._refuse_change()
        super().build_role_links()

    def enable_enforce(self, enabled: bool = True) -> None:
        """Never: an enforcer that does not enforce allows everything."""
        raise Broken("an engine always enforces")

    def _changed(self, *_: Any, **__: Any) -> Any:
        raise Broken("a policy in force is not changed, a new one is built")

    _add_policy = _add_policies = _update_policy = _update_policies = _update_filtered_policies = _changed
    _remove_policy = _remove_policies = _remove_filtered_policy = _remove_filtered_policy_returns_effects = _changed
    _remove_policies_returns_effects = _changed

    def _refuse_change(self) -> None:
        if self._sealed:
            raise Broken("a policy in force is not changed, a new one is built")

    # How it is done.

    def _compiled(self) -> _Node:
        model = self.get_model()
        text = model["m"]["m"].value
        effects: dict[type, Callable[[int, int], int]] = {
            AllowAndDenyEffector: _deny_settles,
            DenyOverrideEffector: _deny_settles,
            AllowOverrideEffector: _allow_settles,
            PriorityEffector: _either_settles,
        }
        if type(self.eft) not in effects:
            raise _NotCompiled("the policy effect is not one of Casbin's")
        self._settles = effects[type(self.eft)]
        if self.cond_rm_map:
            raise _NotCompiled("`role_definition` has conditions")
        if util.has_eval(text):
            raise _NotCompiled("`eval()` takes its rule from the row")
        if any(len(row) != len(self._row_columns) for row in self._rows):
            raise _NotCompiled("a row has more or fewer cells than the policy definition")
        callables = _functions_of(self)
        tree = self._get_expression(text, callables).ast_parsed_value
        reason = uncompilable(tree, roles=frozenset(model["g"] or ()))
        if reason is not None:
            raise _NotCompiled(reason)
        return self._node(tree, callables)

    def _node(self, node: ast.expr, callables: dict[str, Any]) -> _Node:
        if isinstance(node, ast.BoolOp):
            nodes = tuple(self._node(value, callables) for value in node.values)
            return _And(nodes) if isinstance(node.op, ast.And) else _Or(nodes)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return _Not(self._node(node.operand, callables))
        text = ast.dump(node)
        if text not in self._atoms:
            self._atoms[text] = _Atom(
                node, request_columns=self._request_columns, row_columns=self._row_columns, rows=self._rows, callables=callables
            )
        return self._atoms[text]

    def _effect(self, allowing: int, denying: int, settled: int) -> bool:
        match self.eft:
            case AllowAndDenyEffector():
                return bool(allowing) and not denying
            case AllowOverrideEffector():
                return bool(allowing)
            case DenyOverrideEffector():
                return not denying
            case _:
                return bool(settled & allowing)

    def _ids_in(self, mask: int) -> tuple[str, ...]:
        if not mask:
            return ()
        found = self._ids_of.get(mask)
        if found is None:
            found = tuple(sorted(self._ids[index] for index in _bits(mask)))
            if len(self._ids_of) >= ATOM_VALUES_MAX:
                self._ids_of = {}
            self._ids_of[mask] = found
        return found

    def _masks(self, request: Request) -> tuple[int, int, int] | None:
        """The rows that are true, those that raise where stock Casbin would come to them, and the one that settles the effect.

        None where stock Casbin has to answer.
        """
        if self._uncompiled is not None or not self._rows or len(request) != self._request_size:
            return None
        try:
            true, poisoned = self._root.run(request, self._every_row, None)
        except (_NotCompiled, TypeError):
            # TypeError: a value that is not hashable, so not one a table was filled for.
            return None
        settling = self._settles(true & self._allow_rows, true & self._deny_rows)
        settled = settling & -settling
        # Rows after the one that settles the effect are never looked at by stock Casbin.
        return true, poisoned & (settled - 1) if settled else poisoned, settled

    def _poison(self, request: Request, poisoned: int) -> str:
        index = (poisoned & -poisoned).bit_length() - 1
        with _CASBIN:
            (raised,) = _row_truths(self, request, (self._rows[index],))
        return f"rule `{self._ids[index]}` cannot be evaluated: {raised}"


def _bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _never(allowing: int, denying: int) -> int:
    return 0


def _deny_settles(allowing: int, denying: int) -> int:
    return denying


def _allow_settles(allowing: int, denying: int) -> int:
    return allowing


def _either_settles(allowing: int, denying: int) -> int:
    return allowing | denying
