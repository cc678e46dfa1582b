"""The label: what a marking means, as one immutable value.

Pure. A label is compared by the policy and by nothing else: no method here says whether anyone may have anything.

Every set is a sorted tuple of distinct strings, because that is how sets reach Casbin (DESIGN section 4), and because
equal labels must have equal bytes: `canonical` is RFC 8785, and `digest` its SHA-256, by which labels are interned and
named in the release log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.errors import Rejected

UNRESTRICTED: tuple[str, ...] = ("*",)
"""The audience of information that names no audience: everyone, as far as the label goes."""

NOBODY: tuple[str, ...] = ()
"""The audience of NOFORN."""

_REQUIRED = ("level", "categories", "releasable_to", "caveats", "originators")
_OPTIONAL = ("display_to", "consents", "grants")


class LabelError(Rejected):
    """Text or JSON that is not a label."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="label")


def _sorted_set(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def _audience(values: Iterable[str]) -> tuple[str, ...]:
    codes = _sorted_set(values)
    if "*" in codes and codes != UNRESTRICTED:
        raise LabelError("an audience is `*` alone or a list of codes, not both")
    return codes


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Label:
    """Level, categories, audience, caveats, originators; consents and grants where there are any.

    `releasable_to` is `("*",)` for unrestricted and `()` for nobody; `display_to` is `None` where it is as `releasable_to`.
    A consent is `ORIGINATOR:PARTNER`, a grant `ACTION:PARTNER`. Sets are normalised on construction, whatever the order given.

    Raises:
        LabelError: no originator, or an audience that mixes `*` with codes.
    """

    level: str
    categories: tuple[str, ...] = ()
    releasable_to: tuple[str, ...] = NOBODY
    caveats: tuple[str, ...] = ()
    originators: tuple[str, ...] = ()
    display_to: tuple[str, ...] | None = None
    consents: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    _digest: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "categories", _sorted_set(self.categories))
        put(self, "releasable_to", _audience(self.releasable_to))
        put(self, "caveats", _sorted_set(self.caveats))
        put(self, "originators", _sorted_set(self.originators))
        put(self, "consents", _sorted_set(self.consents))
        put(self, "grants", _sorted_set(self.grants))
        if self.display_to is not None:
            display_to = _audience(self.display_to)
            put(self, "display_to", None if display_to == self.releasable_to else display_to)
        if not self.originators:
            raise LabelError("a label has at least one originator")

    @property
    def shown_to(self) -> tuple[str, ...]:
        """The audience for `display`: `display_to`, or where that is not set `releasable_to`."""
        return self.releasable_to if self.display_to is None else self.display_to

    @classmethod
    def from_json(cls, value: object) -> Label:
        """Read the JSON of DESIGN section 9.

        Raises:
            LabelError: not an object, a member missing or unknown, a value of another type than described, or a string
                that is not Unicode (JSON can hold half a surrogate pair, and such a label would have no bytes).
        """
        if not isinstance(value, Mapping):
            raise LabelError("a label is a JSON object")
        for name in value:
            if name not in _REQUIRED and name not in _OPTIONAL:
                raise LabelError(f"unknown member `{name}` in label")
        for name in _REQUIRED:
            if name not in value:
                raise LabelError(f"label without `{name}`")
        level = value["level"]
        if not _is_text(level):
            raise LabelError("`level` of a label is a string")
        sets: dict[str, tuple[str, ...]] = {}
        for name in (*_REQUIRED[1:], *_OPTIONAL):
            if name not in value:
                continue
            given = value[name]
            if not isinstance(given, list | tuple) or not all(_is_text(code) for code in given):
                raise LabelError(f"`{name}` of a label is a list of strings")
            sets[name] = tuple(given)
        return cls(level=level, **sets)

    def to_json(self) -> dict[str, Any]:
        """The JSON of DESIGN section 9: optional members only where they differ from the default."""
        value: dict[str, Any] = {
            "level": self.level,
            "categories": list(self.categories),
            "releasable_to": list(self.releasable_to),
            "caveats": list(self.caveats),
            "originators": list(self.originators),
        }
        if self.display_to is not None:
            value["display_to"] = list(self.display_to)
        if self.consents:
            value["consents"] = list(self.consents)
        if self.grants:
            value["grants"] = list(self.grants)
        return value

    def canonical(self) -> bytes:
        """The label's bytes: RFC 8785 of `to_json()`."""
        # Names are ASCII and values are strings and lists of them: of these, sorted compact JSON is RFC 8785, and made in C.
        return json.dumps(self.to_json(), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")

    def digest(self) -> bytes:
        """SHA-256 of `canonical()`; 32 bytes."""
        if not self._digest:
            self._digest.append(hashlib.sha256(self.canonical()).digest())
        return self._digest[0]
