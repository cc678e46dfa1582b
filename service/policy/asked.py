"""A request to decide, as it comes from outside: one JSON object (DESIGN section 14, `entente policy decide`).

Pure. Read strictly: a member that is unknown, missing, of another type or there twice is not understood, and what is not
understood is withheld with an error, never guessed at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.errors import Rejected
from service.labels.label import Label
from service.policy.functions import NONE
from service.policy.snapshot import Decision, Outcome, Snapshot

LINE_BYTES_MAX = 1 << 20
"""A request is a few hundred bytes; a longer line than this is not one."""

_MEMBERS = ("partner", "action", "purpose", "label")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what, for which purpose, on what bears which label."""

    partner: str
    action: str
    purpose: str
    label: Label

    @classmethod
    def from_json(cls, value: object) -> Asked:
        """Read one request.

        Raises:
            Rejected: it is not one.
        """
        if not isinstance(value, Mapping):
            raise Rejected("a request is a JSON object")
        for name in value:
            if name not in _MEMBERS:
                raise Rejected(f"unknown member `{name}` in request")
        for name in ("partner", "action", "label"):
            if name not in value:
                raise Rejected(f"request without `{name}`")
        words = {name: value.get(name, NONE) for name in ("partner", "action", "purpose")}
        for name, word in words.items():
            if not isinstance(word, str):
                raise Rejected(f"`{name}` of a request is a string")
        return cls(label=Label.from_json(value["label"]), **words)


def answer(snapshot: Snapshot, value: object) -> Decision:
    """Decide a parsed request; what is not one is withheld with an error."""
    try:
        asked = Asked.from_json(value)
    except Rejected as problem:
        return Decision(Outcome.WITHHOLD, error=str(problem))
    return snapshot.decide(asked.partner, asked.action, asked.label, asked.purpose)


def answer_line(snapshot: Snapshot, line: bytes) -> Decision:
    """Decide a line of `entente policy decide`; what is not understood is withheld with an error."""
    if len(line) > LINE_BYTES_MAX:
        return Decision(Outcome.WITHHOLD, error=f"a line of {len(line)} bytes, expected at most {LINE_BYTES_MAX}")
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except UnicodeDecodeError:
        return Decision(Outcome.WITHHOLD, error="not UTF-8")
    except (ValueError, RecursionError, Rejected) as problem:
        return Decision(Outcome.WITHHOLD, error=f"not a JSON object: {problem}")
    return answer(snapshot, value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, refused where a member is there twice: readers differ on which of the two counts."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Rejected("a member is there twice")
    return value


def _no_constant(word: str) -> Any:
    raise Rejected(f"`{word}` is not JSON")
