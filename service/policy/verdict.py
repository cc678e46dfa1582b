"""What an engine says of a request: whether the effect allows, by which rows, and which rows one condition kept from being true.

Pure values, shared by the two engines (`stock`, `compiled`) and all who ask them.
"""

from __future__ import annotations

from dataclasses import dataclass

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
Explained = tuple[Verdict, tuple[Missed, ...]]


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
