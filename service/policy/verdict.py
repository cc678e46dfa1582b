"""What an engine says of a request: whether the effect allows, by which rows, and which rows one condition kept from being true.

Pure values, shared by the two engines (`stock`, `compiled`) and all who ask them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, overload

from service.policy.matcher import Request


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


Missed = tuple[str, tuple[str, ...]]
"""A condition as written, and the allow rows that it alone keeps from being true."""


class ByRows(Protocol):
    """What some conditions of a request come to."""

    def rules(self, rows: int) -> tuple[Missed, ...]:
        """Of rows that fail these conditions alone, which of them each misses."""


class Misses(Sequence[Missed]):
    """The near misses of one request: which rows is found with the decision, and written as rules when it is first read."""

    __slots__ = ("_asker", "_factors", "_read", "_rows")

    def __init__(self, rows: int, asker: ByRows, factors: tuple[ByRows, ...]) -> None:
        """`rows` fail once: by the conditions on the asker, or by one of the factors."""
        self._rows = rows
        self._asker = asker
        self._factors = factors
        self._read: tuple[Missed, ...] | None = None

    def read(self) -> tuple[Missed, ...]:
        """All of them."""
        found = self._read
        if found is None:
            found = self._read = tuple(miss for part in (self._asker, *self._factors) for miss in part.rules(self._rows))
        return found

    @overload
    def __getitem__(self, place: int) -> Missed: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Missed, ...]: ...
    def __getitem__(self, place: int | slice) -> Missed | tuple[Missed, ...]:
        return self.read()[place]

    def __len__(self) -> int:
        return len(self.read())

    def __eq__(self, other: object) -> bool:
        return self.read() == (other.read() if isinstance(other, Misses) else other)

    def __hash__(self) -> int:
        return hash(self.read())

    def __repr__(self) -> str:
        return repr(self.read())


Explained = tuple[Verdict, Sequence[Missed]]


@dataclass(frozen=True, slots=True)
class NearMiss:
    """An allow row that one condition kept from being true.

    `condition` is that condition as the matcher has it; `reason` says for people why it is not met, with the values at hand; `mend` what
    would meet it, to be read after "released if": `its ceiling were SECRET`; empty where nothing can be promised. `forbidding` are the deny
    rows that would be true all the same, so that it takes their absence too. Where what would meet it is another question, `asked` are the
    questions that would do, each of them.

    A row for somebody else (`g(r.partner, p.grantee)`) is no near miss, nor is one that another action asked would reach by a comparison
    with a constant (`r.action == "refer"`): neither is a term of the rule that could be met.
    """

    rule: str
    condition: str
    reason: str
    mend: str = ""
    forbidding: tuple[str, ...] = ()
    asked: tuple[Request, ...] = ()
