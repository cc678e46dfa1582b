"""When an item is visible to a lane, and where it then stands in the list: the derivation, pure, and its upkeep.

An item stands in a partner's list at `(visible_since, id)`, where `visible_since` is the greatest, over the *released*
portions, of: the portion's last change, the `from` of its label row, and the time since which that label has been released
to this partner without a break (DESIGN section 5). Withheld portions do not enter, so nothing a partner can see moves when
one of them changes.

Both halves are written ahead for every boundary known: *entitlements* (label by lane) and *offers* (item by lane). Acts
rewrite what they change, in their own transaction, through `Upkeep`; nothing waits for a job at midnight.

The rows are an index, not a permission: what is sent is decided again by the snapshot when it is rendered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.identity.clients import NO_PURPOSE
from service.labels.label import Label
from service.labels.scheme import Scheme
from service.policy import Bundle, Outcome, Snapshot
from service.policy.columns import ForWhom, LabelColumns, released, released_after
from service.sharing import tear_lines
from service.sharing.policies import PolicySince
from service.sharing.search import SearchUpkeep
from service.store import Connection, clients
from service.store import visibility as store
from service.store.catalogue import ItemTimeline, LabelStretch, item_timelines
from service.store.clients import ClientRecord
from service.store.tables import FOREVER
from service.store.times import micros_or_forever, moment_of
from service.store.visibility import Lane, Offer, Stretch

_ITEMS_AT_ONCE: Final = 1000
_LABELS_AT_ONCE: Final = 16_384
_FEW_LABELS: Final = 64
"""So many labels are decided one by one: columns pay where the work of asking for a lane at all is shared by more."""


@dataclass(frozen=True, slots=True)
class SnapshotStretch:
    """A snapshot and the stretch in which it decides, in microseconds."""

    from_at: int
    until: int
    snapshot: Snapshot


def snapshots_ahead(bundle: Bundle, suspended: frozenset[str], *, at: int) -> tuple[SnapshotStretch, ...]:
    """The snapshot that holds `at` and every later one of a bundle, in order, without gaps."""
    result: list[SnapshotStretch] = []
    from_at = at
    while from_at < FOREVER:
        snapshot = bundle.ahead.snapshot(moment_of(from_at), suspended)
        until = micros_or_forever(snapshot.until)
        result.append(SnapshotStretch(from_at, until, snapshot))
        from_at = until
    return tuple(result)


def entitlement(label: Label, lane: Lane, ahead: Sequence[SnapshotStretch], *, at: int, before: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """The stretches from `at` on in which a label is released to a lane.

    Args:
        before: what was written for this label and lane until now; a release that goes on keeps its beginning.
    """
    decided = [stretch.snapshot.decide(lane.partner, "release", label, lane.purpose).outcome is Outcome.RELEASE for stretch in ahead]
    return continued(_stretches(ahead, decided), at=at, before=before)


def entitlements_ahead(
    labels: Sequence[Label], lanes: Sequence[Lane], ahead: Sequence[SnapshotStretch]
) -> Iterator[tuple[Lane, Sequence[tuple[Stretch, ...]]]]:
    """For each lane the stretches in which each label, in order, is released, as `entitlement` has them where nothing came before.

    All labels are decided at once, stretch after stretch, by the label side; from one to the next only what differs is.
    """
    if len(labels) <= _FEW_LABELS:
        for lane in lanes:
            yield (
                lane,
                [entitlement(label, lane, ahead, at=ahead[0].from_at, before=()) for label in labels] if ahead else [()] * len(labels),
            )
        return
    columns = LabelColumns(labels)
    whom = [ForWhom(lane.partner, lane.purpose) for lane in lanes]
    every: list[NDArray[np.uint64]] = []
    bits = None
    for number, stretch in enumerate(ahead):
        if bits is None:
            bits = released(stretch.snapshot, columns, whom)
        else:
            bits = released_after(bits, ahead[number - 1].snapshot, stretch.snapshot, columns)
        every.append(bits.words)
    for place, lane in enumerate(lanes):
        if not every:
            yield lane, [()] * len(labels)
            continue
        by_stretch = np.unpackbits(np.stack([words[place] for words in every]).view(np.uint8), axis=1, bitorder="little")[:, : len(labels)]
        # Labels released in the same stretches share what follows from it.
        packed = np.packbits(by_stretch, axis=0).T
        _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
        occurring = [_stretches(ahead, by_stretch[:, label].astype(bool).tolist()) for label in first.tolist()]
        yield lane, [occurring[pattern] for pattern in which.ravel().tolist()]


def continued(stretches: tuple[Stretch, ...], *, at: int, before: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """The same, a release that goes on at `at` keeping the beginning it had in `before`."""
    if not stretches or stretches[0].from_at != at:
        return stretches
    begun = next((earlier.from_at for earlier in before if earlier.from_at <= at <= earlier.until), at)
    return stretches if begun == at else (Stretch(begun, stretches[0].until), *stretches[1:])


def _stretches(ahead: Sequence[SnapshotStretch], released_in: Sequence[bool]) -> tuple[Stretch, ...]:
    """The stretches in which something is released, those that touch as one."""
    result: list[Stretch] = []
    for stretch, is_released in zip(ahead, released_in, strict=True):
        if not is_released:
            continue
        if result and result[-1].until == stretch.from_at:
            result[-1] = Stretch(result[-1].from_at, stretch.until)
        else:
            result.append(Stretch(stretch.from_at, stretch.until))
    return tuple(result)


def offers(
    item: ItemTimeline, entitled: Mapping[int, Sequence[Stretch]], labels: Mapping[int, Label], scheme: Scheme, *, at: int
) -> tuple[Offer, ...]:
    """The stretches from `at` on in which an item is visible to a lane, and where it stands in each.

    Args:
        entitled: for this lane, the stretches of each label by label id; a label without any is released at no time.
    """
    timelines = [stretches for _, stretches in item.portions]
    if item.compilation is not None:
        timelines.append(item.compilation)
    bounds = {at}
    for timeline in timelines:
        for stretch in timeline:
            bounds.update((stretch.from_at, stretch.until))
            for grant in entitled.get(stretch.label_id, ()):
                bounds.update((grant.from_at, grant.until))
    starts = sorted(bound for bound in bounds if at <= bound < FOREVER)
    places = tear_lines.places(item.instead_of or (None,) * len(item.portions))
    result: list[Offer] = []
    for start, until in zip(starts, [*starts[1:], FOREVER], strict=True):
        since: list[int] = []
        released: list[Label] = []
        for place in places:
            for number in place:
                changed_at, timeline = item.portions[number]
                found = _released_at(timeline, entitled, start)
                if found is not None:
                    since.append(max(changed_at, found[0]))
                    released.append(labels[found[1]])
                    break  # what stands at its place instead of it is not shown
        if item.compilation is not None or item.whole:
            if len(released) < len(places) or not all(_is_labelled(timeline, start) for _, timeline in item.portions):
                continue
            if item.compilation is not None:
                found = _released_at(item.compilation, entitled, start)
                if found is None:
                    continue
                since.append(found[0])
                released.append(labels[found[1]])  # it enters the copy's marking, and so what the filters go by
        if not released:
            continue
        level = max(scheme.rank(label.level) for label in released)
        categories = tuple(sorted({category for label in released for category in label.categories}))
        offer = Offer(start, until, max(since), level, categories)
        last = result[-1] if result else None
        if last is not None and last.until == start and _same_place(last, offer):
            result[-1] = Offer(last.from_at, until, offer.visible_since, level, categories)
        else:
            result.append(offer)
    return tuple(result)


def _is_labelled(timeline: Sequence[LabelStretch], at: int) -> bool:
    return any(stretch.from_at <= at < stretch.until for stretch in timeline)


def _same_place(one: Offer, other: Offer) -> bool:
    return (one.visible_since, one.level, one.categories) == (other.visible_since, other.level, other.categories)


def _released_at(timeline: Sequence[LabelStretch], entitled: Mapping[int, Sequence[Stretch]], at: int) -> tuple[int, int] | None:
    """(since when, label id), where the label in force at `at` is released then; None where it is not, or there is none."""
    for stretch in timeline:
        if stretch.from_at <= at < stretch.until:
            for grant in entitled.get(stretch.label_id, ()):
                if grant.from_at <= at < grant.until:
                    return max(stretch.from_at, grant.from_at), stretch.label_id
    return None


def rebuild(connection: Connection, *, history: Sequence[PolicySince], labels: Mapping[int, Label], at: int) -> None:
    """Write all entitlements and offers anew, from what acts left: publications, suspensions, timelines and clients.

    Args:
        history: all that was ever in force, oldest first.
        at: not before the last act.
    """
    if not history:
        return
    lanes = store.lanes(connection)
    begun = {lane: _begun(lane, clients.clients(connection)) for lane in lanes}
    ahead: dict[tuple[int, int], Sequence[SnapshotStretch]] = {}
    written: dict[tuple[int, int], Sequence[Stretch]] = {}
    for number, policy in enumerate(history):
        beginning: dict[int, list[Lane]] = {}
        for lane in lanes:
            from_at = max(policy.at, begun[lane])
            if number + 1 == len(history) or history[number + 1].at > from_at:
                beginning.setdefault(from_at, []).append(lane)
        for from_at, own in beginning.items():
            if (number, from_at) not in ahead:
                ahead[number, from_at] = snapshots_ahead(policy.bundle, policy.suspended, at=from_at)
            for label_ids in _in_blocks(labels):
                for lane, every in entitlements_ahead([labels[label_id] for label_id in label_ids], own, ahead[number, from_at]):
                    for label_id, stretches in zip(label_ids, every, strict=True):
                        before = written.get((lane.id, label_id), ())
                        written[lane.id, label_id] = continued(stretches, at=from_at, before=before)
    store.clear(connection)
    SearchUpkeep(connection, at=at).clear()
    store.replace_entitlements(connection, written)
    Upkeep(connection, bundle=history[-1].bundle, suspended=history[-1].suspended, labels=labels, at=at).place(
        store.items_with_labels(connection, labels, at=at), fresh=True
    )


def _in_blocks(label_ids: Collection[int]) -> Iterator[Sequence[int]]:
    """Ids of labels in order, as many at once as are worked on together."""
    ordered = sorted(label_ids)
    for start in range(0, len(ordered), _LABELS_AT_ONCE):
        yield ordered[start : start + _LABELS_AT_ONCE]


def _begun(lane: Lane, registered: Sequence[ClientRecord]) -> int:
    """When a lane was made: one for a purpose with the first client that may state it, a partner's own whenever need be."""
    if lane.purpose == NO_PURPOSE:
        return 0
    return min((one.created_at for one in registered if one.partner == lane.partner and lane.purpose in one.purposes), default=0)


class Upkeep:
    """Keeps entitlements and offers in step with one act, inside its transaction.

    Args:
        labels: every label by id, those interned by this act included.
    """

    def __init__(self, connection: Connection, *, bundle: Bundle, suspended: frozenset[str], labels: Mapping[int, Label], at: int) -> None:
        self._connection: Final = connection
        self._scheme: Final = bundle.scheme
        self._labels: Final = labels
        self._at: Final = at
        self._ahead: Final = snapshots_ahead(bundle, suspended, at=at)
        self._lanes: Final = store.lanes(connection)
        self._search: Final = SearchUpkeep(connection, at=at)

    def entitle(self, label_ids: Collection[int]) -> None:
        """Write the entitlements of labels that no one had before."""
        self._derive(self._lanes, label_ids, before={})

    def place(self, item_ids: Collection[str], *, fresh: bool = False) -> None:
        """Write the offers of items whose portions or labels changed; `fresh` where they have none."""
        self._place(self._lanes, item_ids, fresh=fresh, index=True)

    def place_new(self, items: Sequence[ItemTimeline], words: Mapping[str, str]) -> None:
        """Write the offers of items that this act stored.

        Args:
            words: what can be found of their portions, by id.
        """
        ordered = sorted(items, key=lambda item: item.item_id)  # in the order of the index, which then is written page by page
        for start in range(0, len(ordered), _ITEMS_AT_ONCE):
            block = ordered[start : start + _ITEMS_AT_ONCE]
            self._offer(self._lanes, block, fresh=True)
            self._search.index(block, self._lanes, fresh=True, words=words)

    def policy_changed(self, *, everything: bool = False, differing: Collection[int] | None = None) -> None:
        """Bring all in step with another bundle or suspension; writes only what its difference names.

        Args:
            everything: the ladder itself changed, so that every offer is written anew.
            differing: ids of the labels that are not released to the same lanes, at every moment ahead, as before; None where that is
                not known. What is known before the act need not be found out while everybody waits for it.
        """
        changed: dict[tuple[int, int], Sequence[Stretch]] = {}
        for label_ids in _in_blocks(self._labels if differing is None else sorted(differing)):
            changed.update(self._derive(self._lanes, label_ids, before=store.entitlements(self._connection, label_ids)))
        touched: dict[int, set[int]] = {}
        for lane, label in changed:
            touched.setdefault(lane, set()).add(label)
        if everything:
            self._place(self._lanes, store.items_with_labels(self._connection, self._labels.keys(), at=self._at))
        else:
            lanes = [lane for lane in self._lanes if lane.id in touched]
            items = store.items_with_labels(self._connection, {label for _, label in changed}, at=self._at)
            self._place(lanes, items, touched=touched)
        store.drop_ended_offers(self._connection, at=self._at)
        self._search.regrant(changed, self._lanes)

    def add_lanes(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Make lanes for (partner, purpose) that have none, with all that is on offer to them."""
        added = [lane for pair in pairs if (lane := store.add_lane(self._connection, *pair)) is not None]
        if added:
            self._search.regrant(self._derive(added, self._labels.keys(), before={}), added)
            self._place(added, store.items_with_labels(self._connection, self._labels.keys(), at=self._at), fresh=True)
            self._lanes.extend(added)

    def _derive(
        self, lanes: Sequence[Lane], label_ids: Collection[int], *, before: Mapping[tuple[int, int], Sequence[Stretch]]
    ) -> Mapping[tuple[int, int], Sequence[Stretch]]:
        changed: dict[tuple[int, int], Sequence[Stretch]] = {}
        for block in _in_blocks(label_ids):
            for lane, every in entitlements_ahead([self._labels[label_id] for label_id in block], lanes, self._ahead):
                for label_id, ahead in zip(block, every, strict=True):
                    earlier = before.get((lane.id, label_id), ())
                    if not ahead and not earlier:
                        continue
                    stretches = continued(ahead, at=self._at, before=earlier)
                    if stretches != tuple([stretch for stretch in earlier if stretch.until > self._at]):
                        changed[lane.id, label_id] = stretches
        store.replace_entitlements(self._connection, changed)
        return changed

    def _place(
        self,
        lanes: Sequence[Lane],
        item_ids: Collection[str],
        *,
        fresh: bool = False,
        index: bool = False,
        touched: Mapping[int, Collection[int]] | None = None,
    ) -> None:
        """Write the offers of items; with `touched`, for each lane only those of items with one of these labels."""
        ordered = sorted(item_ids)
        for start in range(0, len(ordered), _ITEMS_AT_ONCE):
            items = item_timelines(self._connection, ordered[start : start + _ITEMS_AT_ONCE], at=self._at)
            self._offer(lanes, items, fresh=fresh, touched=touched)
            if index:
                self._search.index(items, lanes, fresh=fresh)

    def _offer(
        self,
        lanes: Sequence[Lane],
        items: Sequence[ItemTimeline],
        *,
        fresh: bool,
        touched: Mapping[int, Collection[int]] | None = None,
    ) -> None:
        by_lane = self._entitled_by_lane(items)
        shapes = _Shapes(items)
        labels_of = [] if touched is None else [_label_ids((item,)) for item in items]
        rows: list[tuple[int, str, Sequence[Offer]]] = []
        for lane in lanes:
            entitled = by_lane.get(lane.id, {})
            written: dict[object, tuple[Offer, ...]] = {None: ()}
            for place, (item, (shape, same)) in enumerate(zip(items, shapes.seen_by(entitled), strict=True)):
                if touched is not None and labels_of[place].isdisjoint(touched[lane.id]):
                    continue
                if shape not in written:
                    written[shape] = offers(same, entitled, self._labels, self._scheme, at=self._at)
                if written[shape] or not fresh:
                    rows.append((lane.id, item.item_id, written[shape]))
        store.replace_offers(self._connection, rows, fresh=fresh)

    def _entitled_by_lane(self, items: Sequence[ItemTimeline]) -> dict[int, dict[int, list[Stretch]]]:
        by_lane: dict[int, dict[int, list[Stretch]]] = {}
        for (lane, label), stretches in store.entitlements(self._connection, _label_ids(items)).items():
            by_lane.setdefault(lane, {})[label] = stretches
        return by_lane


class _Shapes:
    """Items by what their offers follow from, so that it is derived once for all that share it: items of one import mostly do.

    To a lane an item that goes out in portions is those of its portions that may ever be released to it, each kind once; one that goes
    out whole is nothing where some part never is.
    """

    def __init__(self, items: Sequence[ItemTimeline]) -> None:
        self._items: Final = items
        numbers: dict[tuple[int, tuple[LabelStretch, ...]], int] = {}
        self._kinds: Final = [frozenset([numbers.setdefault(portion, len(numbers)) for portion in item.portions]) for item in items]
        self._portions: Final = list(numbers)

    def seen_by(self, entitled: Mapping[int, Sequence[Stretch]]) -> Iterator[tuple[object, ItemTimeline]]:
        """For each item its shape, None where nothing of it is ever released, and an item with the same offers.

        Args:
            entitled: as for `offers`.
        """
        ever = frozenset([kind for kind, (_, timeline) in enumerate(self._portions) if any(entitled.get(one.label_id) for one in timeline)])
        same: dict[object, ItemTimeline] = {}
        for item, kinds in zip(self._items, self._kinds, strict=True):
            shape: object = None
            if item.instead_of:
                # What stands instead of what is a matter of places.
                shape = (item.whole, item.portions, item.compilation, item.instead_of) if kinds & ever else None
            elif not item.whole and item.compilation is None:
                kinds = kinds & ever
                shape = kinds or None
            elif kinds <= ever:
                shape = (item.whole, kinds, item.compilation)
            if shape is not None and not item.instead_of:
                if shape not in same:
                    same[shape] = replace(item, portions=tuple([self._portions[kind] for kind in sorted(kinds)]))
                yield shape, same[shape]
            else:
                yield shape, item


def _label_ids(items: Iterable[ItemTimeline]) -> set[int]:
    """The labels that portions and compilations of these items have, now or later."""
    timelines = [timeline for item in items for timeline in (*(own for _, own in item.portions), item.compilation or ())]
    return {stretch.label_id for timeline in timelines for stretch in timeline}
