"""The oracle: stock Casbin asked through the engine's interface. Slow, and right by definition.

`StockEngine` holds a plain `casbin.Enforcer`. `ask_stock` and `row_truths` work on any enforcer, so that a compiled one answers by them
what it did not compile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import casbin
from casbin.util import generate_g_function, util

from service.policy.matcher import PARSING, Request
from service.policy.verdict import Explained, NearMiss, Verdict


class StockEngine:
    """`casbin.Enforcer` behind the interface: its outcome, and by its own evaluator the complete list of rows."""

    def __init__(self, enforcer: casbin.Enforcer) -> None:
        self._enforcer = enforcer

    @property
    def uncompiled(self) -> str | None:
        return "stock Casbin was asked for"

    def evaluate(self, request: Request) -> Verdict:
        # Stock parses its matcher for every decision, and concurrent `ast.parse` raises spurious errors on Python 3.11.
        with PARSING:
            return ask_stock(self._enforcer, request)

    def explain(self, request: Request) -> Explained:
        return self.evaluate(request), ()

    def near_misses(self, request: Request) -> tuple[NearMiss, ...]:
        return ()


def functions_of(enforcer: Any) -> dict[str, Any]:
    """The functions a matcher may call, as pycasbin gathers them for a decision."""
    found = dict(enforcer.fm.get_functions())
    for key, assertion in (enforcer.get_model()["g"] or {}).items():
        found[key] = generate_g_function(assertion.rm)
    return found


def row_id(columns: Sequence[str], row: Sequence[str], index: int) -> str:
    """The id a row goes by; its place where the policy definition has no `id`."""
    return row[columns.index("p_id")] if "p_id" in columns else str(index)


def ask_stock(enforcer: Any, request: Request) -> Verdict:
    """One decision by `casbin.Enforcer`; never raises. Parses as often as the enforcer does: the caller knows if that needs `PARSING`."""
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
    for index, (row, truth) in enumerate(zip(policy.policy, row_truths(enforcer, request, policy.policy), strict=True)):
        if isinstance(truth, Exception):
            if error is not None and not poisoned:
                error = poison_message(row_id(policy.tokens, row, index), truth)
            poisoned = True
        elif truth:
            effect = "allow" if eft is None else row[eft]
            if effect in ("allow", "deny"):
                (matched if effect == "allow" else denied).append(row_id(policy.tokens, row, index))
    return Verdict(allowed and error is None, tuple(sorted(matched)), tuple(sorted(denied)), error)


def poison_message(rule: str, raised: Exception) -> str:
    """What is said of a row that raises."""
    return f"rule `{rule}` cannot be evaluated: {raised}"


def row_truths(enforcer: Any, request: Request, rows: Sequence[Sequence[str]]) -> Iterator[bool | Exception]:
    """Whether the matcher is true on each of these rows, by the loop body of `enforce_ex`, or what it raised."""
    model = enforcer.get_model()
    matcher = model["m"]["m"].value
    request_columns, row_columns = model["r"]["r"].tokens, model["p"]["p"].tokens
    callables = functions_of(enforcer)
    by_row = util.has_eval(matcher)
    expression = None
    for row in rows:
        try:
            if len(row_columns) != len(row) or len(request_columns) != len(request):
                raise ValueError("invalid policy or request size")
            parameters = dict(zip(request_columns, request, strict=True)) | dict(zip(row_columns, row, strict=True))
            if by_row:
                expression = enforcer._get_expression(text_for_row(matcher, parameters), callables)
            elif expression is None:
                expression = enforcer._get_expression(matcher, callables)
            result = expression.eval(parameters)
            if not isinstance(result, bool | float):
                raise TypeError("matcher result should be bool, int or float")
        except Exception as raised:  # noqa: BLE001  one rule's evaluation: it refuses, with its reason (house style)
            yield raised
        else:
            yield bool(result)


def text_for_row(matcher: str, parameters: dict[str, Any]) -> str:
    """A matcher with `eval(p.rule)` replaced by what the row says, as pycasbin does it."""
    return str(util.replace_eval(matcher, [util.escape_assertion(parameters[name]) for name in util.get_eval_value(matcher)]))
