"""What can be found by whom, kept in step with acts: the rows and grants of search (`store.search`), derived.

A portion can be found by a lane exactly where it is released to it in an item that is visible to it: when its own label is, or,
where the item goes out whole, when all labels of the item are, its compilation's among them. That set of labels, with the stretch
in which it counts, is the portion's *group*. An act about an item writes its rows; a publication or suspension writes only the
grants of groups whose labels it names, and no text. What an embargo, a downgrade or a declassification will release stands there
under a group of its own from the beginning: it is found from its time on, without a job, and until then nothing asks for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from service.sharing import tear_lines
from service.sharing.words import searched
from service.store import Connection
from service.store import search as store
from service.store import visibility as offered
from service.store.catalogue import ItemTimeline, LabelStretch
from service.store.search import Group, Row
from service.store.tables import FOREVER
from service.store.visibility import Lane, Stretch

_WHOLE_LIST: Final = (Stretch(0, FOREVER),)


def groups_of(item: ItemTimeline, *, at: int) -> tuple[tuple[int, Group], ...]:
    """The groups under which the portions of an item can be found, from `at` on, as (place of the portion, group)."""
    timelines = [timeline for _, timeline in item.portions]
    if item.instead_of:
        return tuple(_groups_at_places(item, timelines, at=at))
    if not item.whole and item.compilation is None:
        return tuple(
            (place, _group((stretch.label_id,), stretch.from_at, stretch.until, at))
            for place, timeline in enumerate(timelines)
            for stretch in timeline
        )
    together = timelines if item.compilation is None else [*timelines, item.compilation]
    starts = sorted(
        {at} | {bound for one in together for stretch in one for bound in (stretch.from_at, stretch.until) if at < bound < FOREVER}
    )
    groups: list[Group] = []
    for start, until in zip(starts, [*starts[1:], FOREVER], strict=True):
        in_force = [_label_at(timeline, start) for timeline in together]
        labels = {label for label in in_force if label is not None}
        if None in in_force:
            continue  # a part without a label is released to nobody, and so is the whole
        if groups and (groups[-1].labels, groups[-1].until) == (tuple(sorted(labels)), start):
            groups[-1] = Group(groups[-1].labels, groups[-1].from_at, until)
        else:
            groups.append(_group(labels, start, until, at))
    return tuple((place, group) for place in range(len(timelines)) for group in groups)


def _group(labels: Collection[int], from_at: int, until: int, at: int) -> Group:
    # What has begun is one group whenever it began, so that groups are as many as label sets and dates ahead, not as acts.
    return Group(tuple(sorted(labels)), 0 if from_at <= at else from_at, until)


def _groups_at_places(item: ItemTimeline, timelines: Sequence[Sequence[LabelStretch]], *, at: int) -> Iterator[tuple[int, Group]]:
    """The same of an item with tear-lines: each portion is found where it is released, and none that goes before it at its place is."""
    together = item.whole or item.compilation is not None
    places = tear_lines.places(item.instead_of)
    everything = timelines if item.compilation is None else [*timelines, item.compilation]
    for place in places:
        for rank, number in enumerate(place):
            concerned = everything if together else [timelines[one] for one in place[: rank + 1]]
            bounds = {bound for timeline in concerned for stretch in timeline for bound in (stretch.from_at, stretch.until)}
            starts = sorted({at} | {bound for bound in bounds if at < bound < FOREVER})
            groups: list[Group] = []
            for start, until in zip(starts, [*starts[1:], FOREVER], strict=True):
                own = _label_at(timelines[number], start)
                unless = {label for one in place[:rank] if (label := _label_at(timelines[one], start)) is not None}
                if own is None or own in unless or (together and None in [_label_at(timeline, start) for timeline in everything]):
                    continue
                labels, either = {own}, set()
                if together:
                    for other in places:
                        if other is not place:
                            either.add(tuple(sorted({label for one in other if (label := _label_at(timelines[one], start)) is not None})))
                    if item.compilation is not None and (compiled := _label_at(item.compilation, start)) is not None:
                        labels.add(compiled)
                    labels |= {clause[0] for clause in either if len(clause) == 1}
                    either = {clause for clause in either if len(clause) > 1}
                group = Group(tuple(sorted(labels)), start if start > at else 0, until, tuple(sorted(either)), tuple(sorted(unless)))
                last = groups[-1] if groups else None
                if last is not None and (last.until, last.labels, last.either, last.unless) == (
                    start, group.labels, group.either, group.unless
                ):  # fmt: skip
                    groups[-1] = replace(last, until=until)
                else:
                    groups.append(group)
            for group in groups:
                yield number, group


def _label_at(timeline: Sequence[LabelStretch], at: int) -> int | None:
    return next((stretch.label_id for stretch in timeline if stretch.from_at <= at < stretch.until), None)


def grant(group: Group, entitled: Mapping[int, Sequence[Stretch]]) -> tuple[Stretch, ...]:
    """The stretches in which all labels of a group are released, one of each of its `either`, and none of its `unless`, within its own.

    Args:
        entitled: for one lane, the stretches of each label by label id, in order; a label without any is released at no time.
    """
    common: Sequence[Stretch] = _WHOLE_LIST
    for label in group.labels:
        common = _both(common, entitled.get(label, ()))
    for clause in group.either:
        common = _both(common, _union(stretch for label in clause for stretch in entitled.get(label, ())))
    for label in group.unless:
        common = _both(common, _gaps(entitled.get(label, ())))
    own = (Stretch(max(one.from_at, group.from_at), min(one.until, group.until)) for one in common)
    return tuple(one for one in own if one.from_at < one.until)


def _both(one: Sequence[Stretch], other: Sequence[Stretch]) -> Sequence[Stretch]:
    return [
        Stretch(max(a.from_at, b.from_at), min(a.until, b.until))
        for a in one
        for b in other
        if max(a.from_at, b.from_at) < min(a.until, b.until)
    ]


def _union(stretches: Iterable[Stretch]) -> Sequence[Stretch]:
    """As few stretches as cover the same, in order."""
    found: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda one: one.from_at):
        if found and stretch.from_at <= found[-1].until:
            found[-1] = Stretch(found[-1].from_at, max(found[-1].until, stretch.until))
        else:
            found.append(stretch)
    return found


def _gaps(stretches: Iterable[Stretch]) -> Sequence[Stretch]:
    """What these leave of all time, in order."""
    covered = _union(stretches)
    bounds = [0, *(bound for stretch in covered for bound in (stretch.from_at, stretch.until)), FOREVER]
    return [Stretch(begin, end) for begin, end in zip(bounds[::2], bounds[1::2], strict=True) if begin < end]


class SearchUpkeep:
    """Keeps rows and grants in step with one act, inside its transaction, after the entitlements."""

    def __init__(self, connection: Connection, *, at: int) -> None:
        self._connection: Final = connection
        self._at: Final = at

    def index(
        self,
        items: Sequence[ItemTimeline],
        lanes: Sequence[Lane],
        *,
        fresh: bool,
        words: Mapping[str, str] | None = None,
    ) -> None:
        """Write the rows of items whose portions or labels changed; `fresh` where there are none. Rows that stay are not touched.

        Args:
            words: what can be found of portions (`words.searched`), by id, by a caller who has it at hand.
        """
        alone: dict[tuple[LabelStretch, ...], list[Group]] = {}
        shapes: dict[tuple[object, ...], tuple[tuple[int, Group], ...]] = {}
        wanted: list[tuple[str, str, Group]] = []
        for item in items:
            # Items of one import mostly share their shape, and where each portion stands for itself, portions share theirs.
            if not item.whole and item.compilation is None and not item.instead_of:
                for portion_id, (_, timeline) in zip(item.portion_ids, item.portions, strict=True):
                    if timeline not in alone:
                        alone[timeline] = [_group((one.label_id,), one.from_at, one.until, self._at) for one in timeline]
                    wanted += [(item.item_id, portion_id, group) for group in alone[timeline]]
                continue
            shape = (item.whole, tuple(timeline for _, timeline in item.portions), item.compilation, item.instead_of)
            if shape not in shapes:
                shapes[shape] = groups_of(item, at=self._at)
            wanted += [(item.item_id, item.portion_ids[place], group) for place, group in shapes[shape]]
        ids, new = store.intern_groups(self._connection, {group for _, _, group in wanted})
        self._grant(new, lanes, fresh=True)
        there: dict[tuple[str, int], int] = {}
        if not fresh:
            rows = store.rows_of(self._connection, [item.item_id for item in items])
            there = {(row.portion_id, row.group_id): row.id for own in rows.values() for row in own}
            keys = {(portion_id, ids[group]) for _, portion_id, group in wanted}
            store.remove_rows(self._connection, [row_id for key, row_id in there.items() if key not in keys])
        missing = [(item_id, portion_id, ids[group]) for item_id, portion_id, group in wanted if (portion_id, ids[group]) not in there]
        if words is None:
            read = store.contents(self._connection, dict.fromkeys(portion_id for _, portion_id, _ in missing))
            words = {portion_id: searched(kind, content=content, name=name) for portion_id, kind, name, content in read}
        store.add_rows(
            self._connection,
            [Row(item_id, portion_id, group_id, words[portion_id]) for item_id, portion_id, group_id in missing if words[portion_id]],
        )

    def regrant(self, changed: Iterable[tuple[int, int]], lanes: Sequence[Lane]) -> None:
        """Write the grants of groups that follow from entitlements that changed, named as (lane id, label id)."""
        labels_by_lane: dict[int, set[int]] = {}
        for lane_id, label_id in changed:
            labels_by_lane.setdefault(lane_id, set()).add(label_id)
        groups = store.groups_with(self._connection, {label for labels in labels_by_lane.values() for label in labels})
        touched = [lane for lane in lanes if lane.id in labels_by_lane]
        self._grant(groups, touched, labels_by_lane=labels_by_lane)
        store.drop_ended_grants(self._connection, at=self._at)

    def _grant(
        self,
        groups: Mapping[int, Group],
        lanes: Sequence[Lane],
        *,
        labels_by_lane: Mapping[int, set[int]] | None = None,
        fresh: bool = False,
    ) -> None:
        if not groups or not lanes:
            return
        by_lane: dict[int, dict[int, list[Stretch]]] = {}
        labels = {label for group in groups.values() for label in group.named}
        for (lane_id, label_id), stretches in offered.entitlements(self._connection, labels).items():
            by_lane.setdefault(lane_id, {})[label_id] = stretches
        written: dict[tuple[int, int], tuple[Stretch, ...]] = {}
        for lane in lanes:
            entitled = by_lane.get(lane.id, {})
            named = None if labels_by_lane is None else labels_by_lane[lane.id]
            for group_id, group in groups.items():
                if named is None or not named.isdisjoint(group.named):
                    written[lane.id, group_id] = tuple(one for one in grant(group, entitled) if one.until > self._at)
        store.replace_grants(self._connection, written, fresh=fresh)

    def clear(self) -> None:
        """Forget all rows and grants, to write them anew."""
        store.clear(self._connection)
