"""What every partner's list must be, worked out from nothing but the acts: no stretches, no derived rows, no boundaries kept.

The model remembers acts: which bundle, who was suspended, which portions with which dated labels. Asked for a moment, it
decides every portion's label as of that moment and looks back for how long that has been so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from service.labels.label import Label
from service.policy import Bundle, Outcome
from service.store.times import micros, moment_of

Row = tuple[int, int, Label]
"""From, until, label."""


@dataclass
class ModelPortion:
    """A portion by its content, which is another in every portion of an item."""

    content: str
    changed_at: int
    rows: list[Row]


@dataclass
class ModelItem:
    """An item as the last act left it."""

    whole: bool
    portions: list[ModelPortion]
    compilation: list[Row] | None
    withdrawn: bool = False


@dataclass(frozen=True)
class Standing:
    """An item as a partner sees it: where it stands, and what of it is released."""

    visible_since: int
    item_id: str
    level: str
    categories: tuple[str, ...]
    contents: tuple[str, ...]


@dataclass
class Model:
    """All acts so far."""

    policies: list[tuple[int, Bundle, frozenset[str]]] = field(default_factory=list)
    items: dict[str, ModelItem] = field(default_factory=dict)

    def standings(self, partner: str, purpose: str, at: int) -> list[Standing]:
        """The partner's list at a moment, in order."""
        found = [self._standing(item_id, item, partner, purpose, at) for item_id, item in self.items.items()]
        return sorted((one for one in found if one is not None), key=lambda one: (one.visible_since, one.item_id))

    def _standing(self, item_id: str, item: ModelItem, partner: str, purpose: str, at: int) -> Standing | None:
        if item.withdrawn:
            return None
        parts: list[tuple[int, Label]] = []
        contents: list[str] = []
        for portion in item.portions:
            found = self._released_since(portion.rows, partner, purpose, at)
            if found is not None:
                parts.append((max(portion.changed_at, found[0]), found[1]))
                contents.append(portion.content)
        if item.whole or item.compilation is not None:
            if len(parts) < len(item.portions):
                return None
            if item.compilation is not None:
                found = self._released_since(item.compilation, partner, purpose, at)
                if found is None:
                    return None
                parts.append(found)
        if not parts:
            return None
        scheme = self._policy(at)[0].scheme
        level = max((label.level for _, label in parts), key=scheme.rank)
        categories = tuple(sorted({name for _, label in parts for name in label.categories}))
        return Standing(max(since for since, _ in parts), item_id, level, categories, tuple(contents))

    def _released_since(self, rows: list[Row], partner: str, purpose: str, at: int) -> tuple[int, Label] | None:
        for begin, end, label in rows:
            if begin <= at < end:
                since = self._decided_since(partner, purpose, label, at)
                return None if since is None else (max(begin, since), label)
        return None

    def _decided_since(self, partner: str, purpose: str, label: Label, at: int) -> int | None:
        if not self._decides(partner, purpose, label, at):
            return None
        changes = {act for act, _, _ in self.policies}
        changes |= {micros(boundary) for _, bundle, _ in self.policies for boundary in bundle.boundaries}
        since = at
        for change in sorted((one for one in changes if one <= at), reverse=True):
            if change < self.policies[0][0] or not self._decides(partner, purpose, label, change):
                break
            since = change
        return since

    def _decides(self, partner: str, purpose: str, label: Label, at: int) -> bool:
        bundle, suspended = self._policy(at)
        return bundle.snapshot(moment_of(at), suspended).decide(partner, "release", label, purpose).outcome is Outcome.RELEASE

    def _policy(self, at: int) -> tuple[Bundle, frozenset[str]]:
        return next((bundle, suspended) for act, bundle, suspended in reversed(self.policies) if act <= at)

    # --- acts -----------------------------------------------------------------------------------------------------

    def new_version(
        self, item_id: str, *, whole: bool, portions: list[tuple[str, list[Row]]], compilation: list[Row] | None, at: int
    ) -> None:
        """A portion whose content stays is the same portion, and keeps a label that is said again.

        Unless the item, which went out only whole, now lacks a part or may go in part: then all of it is labelled anew.
        """
        old = self.items[item_id]
        fewer = not {one.content for one in old.portions} <= {content for content, _ in portions}
        fewer |= old.compilation is not None and compilation is None
        together = whole or compilation is not None
        anew = (old.whole or old.compilation is not None) and (fewer or not together)
        known = {one.content: one for one in old.portions}
        parts = []
        for content, rows in portions:
            portion = known.get(content) or ModelPortion(content, at, [])
            portion.rows = from_now(portion.rows, rows, at, anew=anew)
            parts.append(portion)
        compiled = None if compilation is None else from_now(old.compilation or [], compilation, at, anew=anew)
        self.items[item_id] = ModelItem(whole, parts, compiled)


def from_now(before: list[Row], rows: list[Row], at: int, *, anew: bool = False) -> list[Row]:
    """These labels from now on; the same ones said again change nothing, unless `anew`."""
    if not anew and [(max(begin, at), end, label) for begin, end, label in before if end > at] == rows:
        return before
    return [*((begin, min(end, at), label) for begin, end, label in before if begin < at), *rows]
