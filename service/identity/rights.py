"""An officer's rights: the labels he may give and take, as registered with his client.

Relabelling needs the right under the old and the new label (DESIGN section 6). A label is within an officer's rights where its level is at
most his, and every category and originator of it is among his. What was not limited at his registration is not limited here; a name
that the scheme lacks is within nobody's limits.

Rights say whose hand may move a label, never who may be shown what bears it: that is the policy's, and `casbin`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from service.errors import Rejected
from service.labels.label import Label
from service.labels.markings.base import shown
from service.labels.scheme import CODE, Scheme

_LEVEL: Final = re.compile(r"[A-Z][A-Z0-9]*( [A-Z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Rights:
    """The highest level, the categories and the originators of labels; None where there is no limit.

    Raises:
        Rejected: `rights`, a name that is none.
    """

    level: str | None = None
    categories: tuple[str, ...] | None = None
    originators: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.level is not None and not _LEVEL.fullmatch(self.level):
            raise _rejected(f"level {shown(self.level)} is not the name of a level")
        for what, names in (("category", self.categories), ("originator", self.originators)):
            for name in names or ():
                if not CODE.fullmatch(name):
                    raise _rejected(f"{what} {shown(name)} is not a name like `MARITIME`")
        for field in ("categories", "originators"):
            names = getattr(self, field)
            if names is not None:
                object.__setattr__(self, field, tuple(sorted(set(names))))

    @property
    def unlimited(self) -> bool:
        """Whether there is no limit at all, as for officers who were registered without."""
        return self.level is None and self.categories is None and self.originators is None

    def lacking(self, label: Label, *, scheme: Scheme) -> str | None:
        """What of a label is beyond these rights, in words; None where nothing is."""
        if self.level is not None:
            ladder = [level.name for level in scheme.levels]
            if label.level not in ladder or self.level not in ladder or ladder.index(label.level) > ladder.index(self.level):
                return f"level {shown(label.level)} is beyond {shown(self.level)}"
        for what, names, own in (("category", label.categories, self.categories), ("originator", label.originators, self.originators)):
            if own is not None:
                beyond = _first(name for name in names if name not in own)
                if beyond is not None:
                    return f"{what} {shown(beyond)} is not among {', '.join(map(shown, own)) or 'any'}"
        return None

    def to_json(self) -> dict[str, Any]:
        """For the record: what is limited."""
        value: dict[str, Any] = {} if self.level is None else {"level": self.level}
        for field in ("categories", "originators"):
            names = getattr(self, field)
            if names is not None:
                value[field] = list(names)
        return value


UNLIMITED: Final = Rights()


def _first(names: Iterable[str]) -> str | None:
    return next(iter(names), None)


def _rejected(message: str) -> Rejected:
    return Rejected(message, code="rights")
