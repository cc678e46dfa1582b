"""What an engine says of a request: whether the effect allows, by which rows, and which rows one condition kept from being true.

Pure values, shared by the two engines (`stock`, `compiled`) and all who ask them.
"""

from __future__ import annotations

from dataclasses import dataclass


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

    `condition` is that condition as the matcher has it; `reason` says for people why it is not met, with the values at hand; `mend` what
    would meet it, to be read after "released if": `its ceiling were SECRET`.

    A row for somebody else (`g(r.partner, p.grantee)`) is no near miss, nor is one that another action asked would reach by a comparison
    with a constant (`r.action == "refer"`): neither is a term of the rule that could be met.
    """

    rule: str
    condition: str
    reason: str
    mend: str = ""
