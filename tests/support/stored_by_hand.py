"""What an edit does to what is stored, worked out item by item with the function that decides releases. Slow, and right by definition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from service.policy import Snapshot
from service.sharing.copies import decide_item
from service.sharing.installation import Installation
from service.store import catalogue
from service.store.times import micros


@dataclass(slots=True)
class ByHand:
    """Of one partner and purpose: items and portions by level, and the items concerned."""

    items_gained: Counter[str] = field(default_factory=Counter)
    items_lost: Counter[str] = field(default_factory=Counter)
    items_changed: int = 0
    portions_gained: Counter[str] = field(default_factory=Counter)
    portions_lost: Counter[str] = field(default_factory=Counter)


def stored_by_hand(
    installation: Installation, old: Snapshot, new: Snapshot, *, at: datetime, whom: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], ByHand]:
    """Every (partner, purpose) for whom something changes."""
    labels = installation.world.labels
    with installation.database.reading() as connection:
        installation.world.read_labels(connection)
        ids = catalogue.items_after(connection, "", limit=10_000)
        versions = catalogue.versions_at(connection, ids, at=micros(at))
    found: dict[tuple[str, str], ByHand] = {}
    for partner, purpose in whom:
        one = ByHand()
        changed = False
        for version in versions.values():
            seen = []
            for snapshot in (old, new):
                released = decide_item(version, labels, snapshot, partner=partner, purpose=purpose).released
                levels = {portion.portion.id: labels[portion.label_id].level for portion in released}
                if released and version.compilation is not None:
                    levels["compilation"] = labels[version.compilation[0]].level
                seen.append(levels)
            before, after = seen
            if before == after:
                continue
            changed = True
            one.portions_gained.update(level for portion, level in after.items() if portion not in {*before, "compilation"})
            one.portions_lost.update(level for portion, level in before.items() if portion not in {*after, "compilation"})
            if not before:
                one.items_gained[_highest(after.values(), new)] += 1
            elif not after:
                one.items_lost[_highest(before.values(), old)] += 1
            else:
                one.items_changed += 1
        if changed:
            found[partner, purpose] = one
    return found


def _highest(levels: Iterable[str], snapshot: Snapshot) -> str:
    return max(levels, key=snapshot.scheme.rank)
