"""The engine: which rows of a policy are true for a request, by pycasbin's meaning (DESIGN section 4, "The engine").

Two engines answer the same question and must agree:

- `stock.StockEngine` asks `casbin.Enforcer` itself. It is the oracle: slow, and right by definition.
- `compiled.CompiledEngine` is a `casbin.Enforcer` whose matcher has been taken apart. It knows Casbin's grammar and the kinds of functions,
  not the shipped model.

`engine_digest` names this meaning in every record: pycasbin's version and the sources of functions and compiler.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import casbin
from casbin.persist.adapters.string_adapter import StringAdapter

from service.labels.scheme import Scheme
from service.policy import asker, compiled, effects, functions, masks, matcher, stock, verdict, words
from service.policy.compiled import CompiledEngine
from service.policy.matcher import Request
from service.policy.stock import StockEngine
from service.policy.verdict import Explained, NearMiss, Verdict

__all__ = [
    "CompiledEngine",
    "Engine",
    "EngineBuilder",
    "EngineKind",
    "Explained",
    "NearMiss",
    "StockEngine",
    "Verdict",
    "build_engine",
    "engine_digest",
]

_MEANING = (functions, matcher, effects, masks, asker, compiled, stock, verdict, words)
"""The modules whose sources are the engine; this one puts them together."""


class EngineKind(StrEnum):
    """Which engine decides."""

    COMPILED = "compiled"
    STOCK = "stock"


class Engine(Protocol):
    """Decides requests over the rows it was built with. Immutable; safe from many threads."""

    @property
    def uncompiled(self) -> str | None:
        """Why the matcher runs on stock Casbin, or None."""

    def evaluate(self, request: Request) -> Verdict:
        """Decide; never raises for what is in the request."""

    def explain(self, request: Request) -> Explained:
        """The verdict and, where it does not allow, the conditions that alone kept rules from being true; never raises."""

    def near_misses(self, request: Request) -> tuple[NearMiss, ...]:
        """The same in words, whatever the verdict; none where the matcher is not compiled."""


class EngineBuilder(Protocol):
    """Makes an engine of the text of `model.conf` and the Casbin rows in force; `build_engine` is one."""

    def __call__(self, kind: EngineKind, *, model: str, rows: str, scheme: Scheme) -> Engine: ...


def engine_digest() -> str:
    """SHA-256 (hex) over pycasbin's version and the sources of functions and compiler."""
    return _ENGINE_DIGEST


def _engine_digest() -> str:
    lines = [f"pycasbin {version('pycasbin')}\n"]
    for source in (*(Path(module.__file__ or "") for module in _MEANING), Path(__file__)):
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
    parsed = casbin.Enforcer.new_model(text=model)
    # The adapter refuses the empty string; a comment is the least policy.
    adapter = StringAdapter(rows or "#")
    match kind:
        case EngineKind.STOCK:
            enforcer = casbin.Enforcer(parsed, adapter)
            functions.register(enforcer, scheme)
            return StockEngine(enforcer)
        case EngineKind.COMPILED:
            built = CompiledEngine(parsed, adapter)
            functions.register(built, scheme)
            built.compile()
            return built
