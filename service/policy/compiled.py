"""The compiled engine: a `casbin.Enforcer` that decides by masks (DESIGN section 4, "The engine").

Its matcher is parsed once, when it is built, by Casbin's own grammar; nobody who asks for a decision parses, or takes a lock. Three ways
lead to an answer, each exact, and the next is taken where one declines:

1. `asker.Asker`: what is left of the matcher once it is known who asks. A lookup per factor; this is the way of nearly every decision.
2. `masks.Rows`: the whole matcher over all rows in three values, an atom that raises *poisoning* its rows: exactly where stock Casbin would
   have raised, after short-circuits and before the row at which the effect is settled. A poisoned row that counts makes the answer an
   error, never a release.
3. Stock Casbin, on this very enforcer, for what is not compiled; `uncompiled` says why.

An engine never changes once built: a new policy is a new engine (`load_policy` on a live enforcer loses prohibitions under concurrent
readers), so all that would change it raises.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from typing import Any

import casbin
from casbin.util import SimpleEval, util

from service.errors import Broken
from service.policy.asker import Asker, Poisoned, Policy, TooWide, policy_of
from service.policy.effects import Effect, effect_of
from service.policy.masks import NotCompiled, Rows, bits
from service.policy.matcher import PARSING, Atom, Evaluator, Formula, Request, atoms_of, formula, uncompilable
from service.policy.stock import ask_stock, functions_of, poison_message, row_id, row_truths, text_for_row
from service.policy.verdict import Explained, NearMiss, Verdict
from service.policy.words import mended, words_of

ASKERS_MAX = 4_096
"""Askers (partner, action, purpose) remembered; beyond it they are made anew."""
IDS_MAX = 16_384
"""Sets of ids remembered on the exact way."""
PARSED_MAX = 65_536
"""Expressions parsed ahead: the matcher, and where it has `eval()` one for each row."""


class CompiledEngine(casbin.Enforcer):  # type: ignore[misc]  # pycasbin has no types
    """Made by `build_engine`; its policy cannot be changed. Safe from many threads, without a lock."""

    _sealed = False

    def compile(self) -> None:
        """Take the matcher apart over the rows loaded. Call once, after the functions are registered."""
        model = self.get_model()
        policy = model["p"]["p"]
        self._rows: list[list[str]] = policy.policy
        self._cells = tuple(tuple(row) for row in self._rows)
        self._row_columns: list[str] = policy.tokens
        self._request_columns: list[str] = model["r"]["r"].tokens
        eft = self._row_columns.index("p_eft") if "p_eft" in self._row_columns else None
        size = len(self._row_columns)
        # Made of digits: shifting a long integer once per row is quadratic.
        effects = ["allow" if eft is None else row[eft] if len(row) == size else "" for row in self._rows]
        self.allow_rows = _mask("allow", effects)
        self.deny_rows = 0 if eft is None else _mask("deny", effects)
        self.ids = tuple(row_id(self._row_columns, row, index) if len(row) == size else str(index) for index, row in enumerate(self._rows))
        self._ids_of: dict[int, tuple[str, ...]] = {}
        self._parsed: dict[str, ast.expr] = {}
        # By asker, the fast ways to a verdict, an outcome and an explanation; and the asker, None where it does not help to know him.
        self._deciding: dict[Any, Callable[[Any], Verdict]] = {}
        self._allowing: dict[Any, Callable[[Any], bool]] = {}
        self._explaining: dict[Any, Callable[[Any], Explained]] = {}
        self._askers: dict[Any, Asker | None] = {}
        self._key: Callable[[Any], Any] = _no_key
        self._uncompiled: str | None = None
        self._sealed = True
        try:
            self._policy = self._compiled()
            self._key = _key_of(self._policy.asker_columns)
        except NotCompiled as reason:
            self._uncompiled = str(reason)

    @property
    def uncompiled(self) -> str | None:
        """Why the matcher runs on stock Casbin, or None."""
        return self._uncompiled

    def evaluate(self, request: Request) -> Verdict:
        """Decide; never raises for what is in the request."""
        try:
            return self._deciding[self._key(request)](request)
        except (KeyError, TypeError, ValueError, IndexError):
            # Something was not remembered, or is not a request: nothing was decided.
            return self._evaluated(request)

    def explain(self, request: Request) -> Explained:
        """The verdict with all its rows; where it does not allow, the nearest misses: conditions, each with the rules that fail it alone.

        Which rows these are is found with the verdict; their rules are written when they are first read. Never raises.
        `near_misses` says the same in words.
        """
        try:
            return self._explaining[self._key(request)](request)
        except (KeyError, TypeError, ValueError, IndexError):
            verdict = self._evaluated(request)
            if verdict.error is not None or not self._fits(request):
                return verdict, ()
            try:
                asker = self._asker(request)
                if asker is not None:
                    return asker.explained(request)
            except (Poisoned, NotCompiled, TypeError, KeyError):
                # Nothing is wrong with the verdict; it was found on another way, or another thread has just emptied the tables.
                pass
            if verdict.allowed:
                return verdict, ()
            near: dict[str, tuple[str, ...]] = {}
            for miss in self.near_misses(request):
                near[miss.condition] = (*near.get(miss.condition, ()), miss.rule)
            return verdict, tuple(near.items())

    def near_misses(self, request: Request) -> tuple[NearMiss, ...]:
        """Allow rows that would be true if a single condition were, whatever the verdict; none where the matcher is not compiled."""
        if not self._fits(request):
            return ()
        try:
            asker = self._asker(request)
            try:
                missed = self._nearest(request) if asker is None else asker.near_misses(request)
            except Poisoned:
                missed = self._nearest(request)
            masks = self._policy.rows.masks(request) if missed else (0, 0)
            told = [self._told(request, index, atom, masks) for index, atom in missed]
            return tuple(sorted(told, key=_in_order))
        except (NotCompiled, TypeError):
            return ()

    # What the label side and the prover work on.

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The policy's rows in order; bit `i` of a mask is `rows[i]`."""
        return self._cells

    @property
    def request_columns(self) -> tuple[str, ...]:
        """As Casbin's tokens, `r_level`."""
        return tuple(self._request_columns)

    @property
    def row_columns(self) -> tuple[str, ...]:
        """As Casbin's tokens, `p_level`."""
        return tuple(self._row_columns)

    @property
    def formula(self) -> Formula:
        """The matcher. Compiled engines only."""
        return self._policy.rows.formula

    @property
    def atoms(self) -> tuple[Atom, ...]:
        """`atoms_of(formula)`. Compiled engines only."""
        return self._policy.rows.atoms

    @property
    def every_row(self) -> int:
        """The mask of all rows."""
        return (1 << len(self._rows)) - 1

    @property
    def effect(self) -> Effect:
        """What follows from the rows that are true. Compiled engines only."""
        return self._policy.effect

    @property
    def evaluator(self) -> Evaluator:
        """The functions registered, and Casbin's evaluator. Compiled engines only."""
        return self._evaluator

    def atom_masks(self, atom: Atom, request: Sequence[Any], need: int = -1) -> tuple[int, int]:
        """The rows of `need` on which an atom is true, and those on which it raises; bits outside `need` mean nothing.

        Only the columns of `request` that the atom reads are looked at.

        Raises:
            NotCompiled: a value that is neither a word nor a tuple of words, or a result that is no truth value.
            TypeError: a value that is not hashable.
        """
        return self._policy.rows.atom_masks(atom, request, need & self._policy.rows.every_row)

    # Casbin's own entry points answer from the masks too.

    def enforce(self, *rvals: Any) -> bool:
        """The outcome. Raises where stock Casbin does."""
        try:
            return self._allowing[self._key(rvals)](rvals)
        except (KeyError, TypeError, ValueError, IndexError):
            return self.enforce_ex(*rvals)[0]

    def enforce_ex(self, *rvals: Any) -> tuple[bool, list[str]]:
        """The outcome, and the last row that was true before the effect was settled, as pycasbin has it."""
        try:
            if self._fits(rvals):
                mask = self._of_asker(rvals)
                if mask is not None:
                    asker, true = mask
                    index = asker.row(true)
                    return asker.verdict(true).allowed, [] if index is None else self._rows[index]
                true, poisoned, settled = self._masks(rvals)
                if poisoned:
                    raise Broken(self._poison(rvals, poisoned))
                looked_at = true & ((settled << 1) - 1) if settled else true
                row = self._rows[looked_at.bit_length() - 1] if looked_at else []
                return self.effect.allows(true & self.allow_rows, true & self.deny_rows), row
        except (NotCompiled, TypeError):
            # TypeError: a value that is not hashable, so not one a table was filled for.
            pass
        allowed, row = super().enforce_ex(*rvals)
        return bool(allowed), row

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

    def add_function(self, name: str, func: Any) -> None:
        """Never, once built: a function never changes its meaning."""
        self._refuse_change()
        super().add_function(name, func)

    def _changed(self, *_: Any, **__: Any) -> Any:
        raise Broken("a policy in force is not changed, a new one is built")

    _add_policy = _add_policies = _update_policy = _update_policies = _update_filtered_policies = _changed
    _remove_policy = _remove_policies = _remove_filtered_policy = _remove_filtered_policy_returns_effects = _changed
    _remove_policies_returns_effects = _changed

    def _refuse_change(self) -> None:
        if self._sealed:
            raise Broken("a policy in force is not changed, a new one is built")

    # How it is done.

    def _compiled(self) -> Policy:
        model = self.get_model()
        text = model["m"]["m"].value
        callables = functions_of(self)
        self._parse_ahead(text)
        effect = effect_of(self.eft)
        if effect is None:
            raise NotCompiled("the policy effect is not one of Casbin's")
        if self.cond_rm_map:
            raise NotCompiled("`role_definition` has conditions")
        if util.has_eval(text):
            raise NotCompiled("`eval()` takes its rule from the row")
        if any(len(row) != len(self._row_columns) for row in self._rows):
            raise NotCompiled("a row has more or fewer cells than the policy definition")
        tree = self._get_expression(text, callables).ast_parsed_value
        roles = frozenset(model["g"] or ())
        reason = uncompilable(tree, roles=roles)
        if reason is not None:
            raise NotCompiled(reason)
        whole = formula(tree, request_columns=self._request_columns, row_columns=self._row_columns)
        self._evaluator = Evaluator(callables, request_columns=self._request_columns, row_columns=self._row_columns)
        width = len(self._request_columns)
        rows = Rows(whole, atoms_of(whole), rows=self._rows, evaluator=self._evaluator, width=width)
        return policy_of(
            rows,
            cells=self._rows,
            ids=self.ids,
            allow_rows=self.allow_rows,
            deny_rows=self.deny_rows,
            effect=effect,
            width=width,
            roles=roles,
        )

    def _parse_ahead(self, matcher: str) -> None:
        """Parse what stock Casbin would parse at a decision: the matcher, and with `eval()` the one that each row makes of it."""
        if not util.has_eval(matcher):
            self._get_expression(matcher, {})
            return
        for row in self._rows[:PARSED_MAX]:
            try:
                self._get_expression(text_for_row(matcher, dict(zip(self._row_columns, row, strict=False))), {})
            except Exception:  # noqa: BLE001, S112  one rule's evaluation: it will raise again where it is asked for, as in stock
                continue

    def _get_expression(self, expr: str, functions: Any = None) -> SimpleEval:
        """As pycasbin's, but parsed once: concurrent `ast.parse` raises spurious errors on Python 3.11, a lock would hold up readers."""
        tree = self._parsed.get(expr)
        if tree is None:
            with PARSING:
                expression = casbin.Enforcer._get_expression(expr, functions)
            if len(self._parsed) < PARSED_MAX:
                self._parsed[expr] = expression.ast_parsed_value
            return expression
        expression = SimpleEval("", functions)
        expression.ast_parsed_value = tree
        return expression

    def _fits(self, request: Any) -> bool:
        """Whether masks can tell: it is compiled, there are rows (stock evaluates blanks otherwise), and as many values as columns."""
        return self._uncompiled is None and bool(self._rows) and len(request) == len(self._request_columns)

    def _evaluated(self, request: Request) -> Verdict:
        try:
            if self._fits(request):
                found = self._of_asker(request)
                if found is not None:
                    asker, mask = found
                    return asker.verdict(mask)
                true, poisoned, _ = self._masks(request)
                allowing, denying = true & self.allow_rows, true & self.deny_rows
                matched, denied = self._ids_in(allowing), self._ids_in(denying)
                if poisoned:
                    return Verdict(False, matched, denied, self._poison(request, poisoned))
                return Verdict(self.effect.allows(allowing, denying), matched, denied)
        except (NotCompiled, TypeError):
            # TypeError: a value that is not hashable, so not one a table was filled for.
            pass
        return ask_stock(self, request)

    def _of_asker(self, request: Any) -> tuple[Asker, int] | None:
        """The asker, and his rows that are true; None where the exact way has to be gone."""
        asker = self._asker(request)
        if asker is None:
            return None
        try:
            return asker, asker.mask(request)
        except Poisoned:
            return None

    def _asker(self, request: Any) -> Asker | None:
        """Who asks, met for the first time or again; None where there is nothing to be won by knowing him."""
        kept = self._policy.kept
        if kept.count > kept.most:
            kept.count = 0
            for known in list(self._askers.values()):
                if known is not None:
                    known.forget()
        key = self._key(request)
        if key in self._askers:
            return self._askers[key]
        try:
            asker = Asker(self._policy, request)
        except (Poisoned, TooWide):
            asker = None
        if len(self._askers) >= ASKERS_MAX:
            self._deciding, self._allowing, self._explaining, self._askers = {}, {}, {}, {}
        if asker is not None:
            self._deciding[key] = asker.decide
            self._allowing[key] = asker.allows
            self._explaining[key] = asker.explain
        self._askers[key] = asker
        return asker

    def _masks(self, request: Any) -> tuple[int, int, int]:
        """The rows that are true, those that raise where stock Casbin would come to them, and the one that settles the effect."""
        true, poisoned = self._policy.rows.masks(request)
        settled = self.effect.settled(true & self.allow_rows, true & self.deny_rows)
        # Rows after the one that settles the effect are never looked at by stock Casbin.
        return true, poisoned & (settled - 1) if settled else poisoned, settled

    def _nearest(self, request: Any) -> list[tuple[int, Atom]]:
        found: list[tuple[int, Atom]] = []
        rows = self._policy.rows
        true, _ = rows.masks(request)
        for atom in rows.atoms:
            if atom in self._policy.met:
                would, _ = rows.masks(request, flipped=atom)
                found.extend((index, atom) for index in bits(would & ~true & self.allow_rows))
        return found

    def _told(self, request: Request, index: int, atom: Atom, masks: tuple[int, int]) -> NearMiss:
        """A near miss in words. Nothing is promised that would not come true: what would mend it is tried.

        Args:
            masks: the rows that are true now, and those that raise.
        """
        rule, table = self.ids[index], self._policy.rows.tables[atom]
        about = (atom, table, request, self._rows[index], 1 << index)
        reason, mend = words_of(*about)
        asked = mended(*about)
        if asked is None:
            denied = self._denied_if(request, index, atom, masks)
            return NearMiss(rule, atom.text, reason, *(("", ()) if denied is None else (mend, denied)))
        verdicts = [self.evaluate(other) for other in asked]
        if not verdicts or any(verdict.error is not None or rule not in verdict.matched for verdict in verdicts):
            return NearMiss(rule, atom.text, reason)
        denied = tuple(sorted({id for verdict in verdicts if not verdict.allowed for id in verdict.denied}))
        return NearMiss(rule, atom.text, reason, mend, denied, asked)

    def _denied_if(self, request: Request, index: int, atom: Atom, masks: tuple[int, int]) -> tuple[str, ...] | None:
        """The deny rows that would stand against an allow row if a condition were met: on this row, or where it reads no row on every
        one. None where it would not be allowed for another reason."""
        here = 1 << index
        would, raising = self._policy.rows.masks(request, flipped=atom, among=here if atom.of_row else -1)
        if atom.of_row:
            would, raising = masks[0] | would, masks[1] & ~here | raising
        allowing, denying = would & self.allow_rows, would & self.deny_rows
        if raising or not allowing & here:
            return None
        return () if self.effect.allows(allowing, denying) else self._ids_in(denying) or None

    def _ids_in(self, mask: int) -> tuple[str, ...]:
        if not mask:
            return ()
        found = self._ids_of.get(mask)
        if found is None:
            found = tuple(sorted([self.ids[index] for index in bits(mask)]))
            if len(self._ids_of) >= IDS_MAX:
                self._ids_of = {}
            self._ids_of[mask] = found
        return found

    def _poison(self, request: Any, poisoned: int) -> str:
        index = (poisoned & -poisoned).bit_length() - 1
        (raised,) = row_truths(self, request, (self._rows[index],))
        if not isinstance(raised, Exception):
            raise Broken(f"rule `{self.ids[index]}` raised, and does not any more")
        return poison_message(self.ids[index], raised)


def _mask(effect: str, effects: Sequence[str]) -> int:
    digits = "".join("1" if each == effect else "0" for each in reversed(effects))
    return int(digits, 2) if digits else 0


def _key_of(columns: Sequence[int]) -> Callable[[Any], Any]:
    """Who asks, of a request."""
    if not columns:
        return lambda request: ()
    if tuple(columns) == tuple(range(len(columns))) and len(columns) > 1:
        return itemgetter(slice(0, len(columns)))
    return itemgetter(*columns)


_in_order = attrgetter("rule", "condition")


def _no_key(request: Any) -> Any:
    raise KeyError("not compiled: there are no askers")
