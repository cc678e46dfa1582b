"""What putting a bundle in force would do: the exact difference to the one in force, as a timeline (DESIGN section 4, "Publishing").

For every moment from now on at which a row of either bundle begins or ends, the new bundle is held against the old one *as of that
moment*: so what is said is what the edit does, on every date it holds, and what an officer approved before as a future row is not asked
again. Two things are said of each moment, and neither is a guess:

- *stored*: per partner and purpose, the items and portions that it gains and loses, by level, under the labels they have at that moment;
- *all labels*: per partner, action and purpose, whether any possible label gains or loses, with a witness, proved (`service.policy.prove`).

Moments with the same effect as the one before are one. Partners that are suspended are reckoned with as if they were not: a suspension
is not a policy, and ends without anybody reading it again. Dated changes of stored labels are no part of an edit, and make no moment.

`Timeline.body` is what approval is bound to: canonical JSON of all this, the ids gained and lost by their digest, so that it is another
one when the store changes in a way that changes the effect. The witnesses are no part of it: there are as many as one likes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from service.policy import Bundle, Snapshot
from service.policy.prove import AllLabels, Change, Side
from service.releaselog.leaf import canonical
from service.store.times import micros, text_of

NOW: Final = "now"
"""How the first moment is written: not as a time, or a timeline would be another one a second later."""


@dataclass(frozen=True, slots=True)
class LevelSum:
    """Items whose copy is of this level, and portions whose label is."""

    level: str
    items: int
    portions: int


@dataclass(frozen=True, slots=True)
class StoredChange:
    """What a partner, for a purpose, gains and loses of what is stored, at a moment; the highest level first.

    An item is gained or lost where its copy comes to be or ceases; `changed` are those whose copy has other portions. A portion counts
    wherever it comes or goes.
    """

    partner: str
    purpose: str
    gained: tuple[LevelSum, ...]
    lost: tuple[LevelSum, ...]
    changed: int

    def to_json(self) -> dict[str, Any]:
        return {
            "partner": self.partner,
            "purpose": self.purpose,
            "gained": _sums_json(self.gained),
            "lost": _sums_json(self.lost),
            "items_changed": self.changed,
        }


@dataclass(frozen=True, slots=True)
class StoredEffect:
    """The changes in order of partner and purpose, none that is empty; and all of them, down to the ids of items, as one digest (hex).

    The digest is empty where nothing changes.
    """

    changes: tuple[StoredChange, ...] = ()
    digest: str = ""


Effect = Callable[[Snapshot, Snapshot, datetime], StoredEffect]
"""What is stored, asked about an old and a new snapshot at a moment."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What holds from a moment on, until the next. `at` is None for the first, which is now."""

    at: datetime | None
    stored: StoredEffect
    labels: tuple[Change, ...]

    @property
    def since(self) -> str:
        """`now`, or the time."""
        return NOW if self.at is None else text_of(micros(self.at))

    def bound(self) -> dict[str, Any]:
        """The part of it that approval is bound to, beside when it begins."""
        return {
            "stored": [one.to_json() for one in self.stored.changes],
            "stored_sha256": self.stored.digest,
            "all_labels": [
                {
                    "partner": one.partner,
                    "action": one.action,
                    "purposes": list(one.purposes),
                    "change": str(one.side),
                    "highest": one.highest,
                }
                for one in self.labels
            ],
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "from": self.since,
            "stored": [one.to_json() for one in self.stored.changes],
            "stored_sha256": self.stored.digest,
            "all_labels": [one.to_json() for one in self.labels],
        }


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a bundle's file that the other bundle has not."""

    file: str
    line: int
    text: str

    def to_json(self) -> dict[str, Any]:
        return {"file": self.file, "line": self.line, "text": self.text}


@dataclass(frozen=True, slots=True)
class Timeline:
    """The difference. `cannot` is why nothing is proved of all possible labels; `stored` whether what is stored was looked at."""

    old: str
    new: str
    moments: tuple[Moment, ...]
    cannot: str | None
    stored: bool
    body: bytes
    """Canonical JSON: what approval is bound to."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of `body`."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def nothing(self) -> bool:
        """Nothing is gained or lost at any moment; proved where `cannot` is None."""
        return not any(moment.stored.changes or moment.labels for moment in self.moments)

    @property
    def gains(self) -> bool:
        """Something is gained, or may be, for nothing is proved."""
        return self.cannot is not None or any(
            any(one.gained for one in moment.stored.changes) or any(one.side is Side.GAINS for one in moment.labels)
            for moment in self.moments
        )


def timeline(old: Bundle, new: Bundle, *, labels: AllLabels, effect: Effect | None, at: datetime) -> Timeline:
    """The difference between two bundles from `at` on.

    Args:
        labels: that of all possible labels, from `at` on, nobody suspended.
        effect: what is stored; None where it is not looked at.
    """
    starts = [at]
    if effect is not None:
        starts += [moment for moment in sorted({*old.boundaries, *new.boundaries}) if moment > at]
    starts = sorted({*starts, *(stretch.since for stretch in labels.stretches if stretch.since > at)})
    moments: list[Moment] = []
    for start in starts:
        stored = StoredEffect() if effect is None else effect(old.ahead.snapshot(start), new.ahead.snapshot(start), start)
        changes = next((one.changes for one in reversed(labels.stretches) if one.since <= start), ())
        moment = Moment(None if start == at else start, stored, changes)
        if not moments or moments[-1].bound() != moment.bound():
            moments.append(moment)
    value = {
        "v": 1,
        "bundle": new.digest,
        "in_force": old.digest,
        "proved": labels.cannot is None,
        "moments": [{"from": moment.since, **moment.bound()} for moment in moments],
    }
    return Timeline(old.digest, new.digest, tuple(moments), labels.cannot, effect is not None, canonical(value))


def needs_approval(found: Timeline, *, old: Bundle, new: Bundle) -> tuple[str, ...]:
    """Why a second officer must approve, a line each; nothing where none needs to.

    That is where anything is gained at or above the approval level of either scheme, whichever is reached first: by stored items or by
    any possible label, at any moment; and where that cannot be proved. What only narrows needs nobody, so that it is never delayed.
    """
    reasons: dict[str, None] = {}
    if found.cannot is not None:
        reasons[f"what all possible labels gain cannot be proved: {found.cannot}"] = None
    for moment in found.moments:
        gains: dict[tuple[str, str], list[str]] = {}
        for change in moment.labels:
            if change.side is Side.GAINS and reaches(change.highest, old=old, new=new):
                gains.setdefault((change.partner, change.highest), []).append(change.action)
        for (partner, highest), actions in gains.items():
            reasons[f"{_when(moment)}{partner} gains {' and '.join(dict.fromkeys(actions))} up to {highest}"] = None
        for stored in moment.stored.changes:
            for one in stored.gained:
                if reaches(one.level, old=old, new=new):
                    told = f"{stored.partner} gains {one.items} stored items and {one.portions} portions of {one.level}"
                    reasons[_when(moment) + told] = None
    return tuple(reasons)


def reaches(level: str, *, old: Bundle, new: Bundle) -> bool:
    """Whether a level is at or above the approval level of either scheme; one that a scheme lacks is above all it has."""
    for scheme in (old.scheme, new.scheme):
        ladder = [one.name for one in scheme.levels]
        if level not in ladder or ladder.index(level) >= ladder.index(scheme.approval_level):
            return True
    return False


def changed_rows(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """(rows taken out, rows added), in order of file and line. Comments and the order of rows mean nothing."""
    gone: list[Row] = []
    added: list[Row] = []
    for name in sorted({*old, *new}):
        before, after = _rows(name, old.get(name, b"")), _rows(name, new.get(name, b""))
        gone += _missing_from(before, after)
        added += _missing_from(after, before)
    return tuple(gone), tuple(added)


def timeline_json(found: Timeline, *, old: Bundle, new: Bundle) -> dict[str, Any]:
    """The difference for programs, with the rows that make it; `body` is the part that approval is bound to."""
    gone, added = changed_rows(old.files, new.files)
    cannot = {} if found.cannot is None else {"cannot": found.cannot}
    return {
        "proved": found.cannot is None,
        **cannot,
        "moments": [moment.to_json() for moment in found.moments],
        "rows": {"removed": [row.to_json() for row in gone], "added": [row.to_json() for row in added]},
    }


def total(sums: Iterable[LevelSum]) -> tuple[int, int]:
    """(items, portions) of all levels."""
    found = list(sums)
    return sum(one.items for one in found), sum(one.portions for one in found)


def _sums_json(sums: Sequence[LevelSum]) -> dict[str, Any]:
    items, portions = total(sums)
    levels = [{"level": one.level, "items": one.items, "portions": one.portions} for one in sums]
    return {"items": items, "portions": portions, "levels": levels}


def _when(moment: Moment) -> str:
    return "" if moment.at is None else f"from {moment.at:%Y-%m-%d} on "


def _rows(name: str, content: bytes) -> list[Row]:
    lines = content.decode("utf-8", "replace").split("\n")
    return [Row(name, number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]


def _missing_from(rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    """Those of `rows` that are not among `others`, each as often as it is missing."""
    there = Counter(row.text for row in others)
    missing = []
    for row in rows:
        if there[row.text]:
            there[row.text] -= 1
        else:
            missing.append(row)
    return missing
