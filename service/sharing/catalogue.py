"""What officers do with items: load, correct, relabel, withdraw. Each is an act; all of it happens or none.

Portions keep their ids through versions in which they do not change, so that a partner whose copy is unaffected by a
correction sees nothing at all: same bytes, same place in the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.errors import Conflict, Rejected
from service.labels.intake import check_label
from service.labels.label import Label, LabelError
from service.labels.markings import profile_of
from service.labels.widening import widened_through
from service.policy import Bundle
from service.sharing import proposals
from service.sharing.acts import Act
from service.sharing.ids import new_id
from service.sharing.intake import ItemDraft, PortionDraft, label_of_marking
from service.sharing.personal import REASON, personal
from service.sharing.tear_lines import may_appear, places
from service.sharing.words import searched
from service.store import Connection, catalogue, search, visibility
from service.store.catalogue import ItemRecord, ItemTimeline, LabelStretch, PortionRecord, VersionRecord
from service.store.tables import FOREVER

STORED: Final = "stored"
QUARANTINED: Final = "quarantined"
REFUSED: Final = "refused"
OVER_MARKED: Final = "over-marked"
"""The code of what is stored with a warning: its marking holds back what every portion allows."""
WIDENS: Final = "widens"
"""The code of a version that is refused: it would open what is stored already, which two officers do."""
_TWO: Final = "relabel it first, which takes a second officer, and then send this version"
_ANEW: Final = "withdraw the item, and load as one of its own what is to be released together"

_OF_ITEM: Final = 8
"""So much of its item's id does a portion's id begin with: portions of an item stand together in every index. Whoever sees the one sees the
other. Items of an import stand apart: that they came together is nobody's to see."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item. `code` and `message` say why where it was refused or quarantined, or what to look at where it was stored."""

    result: str
    ref: str
    item_id: str | None
    version: int = 0
    code: str | None = None
    message: str | None = None


def store_items(act: Act, drafts: Sequence[ItemDraft], *, update: bool = False) -> list[Outcome]:
    """Store items in one act, in order; one that is refused leaves the others as they are.

    Args:
        update: an item whose `ref` is stored already gets a new version, instead of being refused.
    """
    label_ids, new_labels = act.intern({label.digest(): label for draft in drafts for label in _labels_of(draft)})
    upkeep = act.upkeep()
    upkeep.entitle(new_labels)
    writer = _Writer(act, label_ids, catalogue.items_by_ref(act.connection, {draft.ref for draft in drafts}))
    outcomes = [writer.store(draft, update=update) for draft in drafts]
    writer.flush()
    upkeep.place_new(writer.fresh, writer.words)
    upkeep.place(writer.changed)
    proposals.void_about(act, frozenset(writer.changed), reason="another version")
    act.items.extend(outcome.item_id for outcome in outcomes if outcome.item_id is not None)
    return outcomes


def _labels_of(draft: ItemDraft) -> list[Label]:
    labels = [label for portion in draft.portions for _, _, label in portion.timeline]
    return labels + [label for _, _, label in draft.compilation or ()]


class _Writer:
    """Writes the items of one act, gathering rows so that a thousand items are a handful of statements each."""

    def __init__(self, act: Act, label_ids: Mapping[bytes, int], known: dict[str, ItemRecord]) -> None:
        self._act: Final = act
        self._label_ids: Final = label_ids
        self._known: Final = known
        self._next_version_id = catalogue.next_version_id(act.connection)
        self._items: list[ItemRecord] = []
        self._versions: list[VersionRecord] = []
        self._members: dict[int, Sequence[tuple[str, str]]] = {}
        self._parts: dict[tuple[int, int], tuple[int, str]] = {}
        self._instead_of: dict[tuple[int, int], int] = {}
        self._declassify_on: dict[tuple[int, int], str] = {}
        self._portions: list[PortionRecord] = []
        self._timelines: dict[str, Sequence[LabelStretch]] = {}
        self._sets: list[tuple[str, int, int, frozenset[int]]] = []
        self.fresh: list[ItemTimeline] = []
        """New items, as the store has them now: they need not be read back."""
        self.words: dict[str, str] = {}
        """What can be found of the portions of new items, by id."""
        self.changed: list[str] = []

    def flush(self) -> None:
        """Write what was gathered."""
        connection, at = self._act.connection, self._act.at
        catalogue.add_items(connection, self._items, at=at)
        catalogue.add_versions(connection, self._versions, at=at)
        catalogue.add_portions(connection, self._portions)
        catalogue.add_version_portions(
            connection, self._members, self._parts, instead_of=self._instead_of, declassify_on=self._declassify_on
        )
        catalogue.add_timeline(connection, self._timelines)
        write_label_sets(self._act, self._sets)
        self._items, self._versions, self._members, self._parts, self._portions = [], [], {}, {}, []
        self._timelines, self._sets, self._instead_of, self._declassify_on = {}, [], {}, {}

    def store(self, draft: ItemDraft, *, update: bool) -> Outcome:
        connection = self._act.connection
        known = self._known.get(draft.ref)
        if known is None:
            item = ItemRecord(new_id(), draft.ref, 0 if draft.hold else 1, None)
            self._items.append(item)
            self._known[draft.ref] = item
            return self._write(draft, item.id, 1, None)
        if not update:
            return Outcome(REFUSED, draft.ref, None, code="ref-exists", message=f"`{draft.ref}` is stored already")
        if known.withdrawn_at is not None:
            return Outcome(REFUSED, draft.ref, None, code="withdrawn", message=f"`{draft.ref}` is withdrawn")
        self.flush()  # an item may stand twice in one import: the second line must find what the first one wrote
        number = catalogue.latest_version_number(connection, known.id) + 1
        before = catalogue.version_in_force(connection, known.id)
        portions = [] if before is None else [portion for portion, _ in catalogue.portions_of_version(connection, before.id)]
        stood = [] if before is None else catalogue.tear_lines_of_version(connection, before.id)
        wider = None if draft.hold is not None else self._wider(draft, known.id, portions)
        if wider is not None:
            return Outcome(REFUSED, draft.ref, None, code=WIDENS, message=wider)
        outcome = self._write(draft, known.id, number, portions, was_whole=before is not None and before.whole, stood=stood)
        if outcome.result == STORED:
            catalogue.set_version_in_force(connection, known.id, number)
        return outcome

    def _write(
        self,
        draft: ItemDraft,
        item_id: str,
        number: int,
        before: Sequence[PortionRecord] | None,
        *,
        was_whole: bool = False,
        stood: Sequence[tuple[str, int | None]] = (),
    ) -> Outcome:
        """Write a version; `before` are the portions in force, None for a new item, and `was_whole` whether they went out only together.

        Args:
            stood: of the portions in force, by id, which was a tear-line of which.
        """
        connection, at = self._act.connection, self._act.at
        instead_of = [drafted.instead_of for drafted in draft.portions]
        tear_lines = any(original is not None for original in instead_of)
        version = VersionRecord(self._next_version_id, item_id, number, draft.marking, draft.whole, tear_lines)
        self._next_version_id += 1
        self._versions.append(version)
        if draft.hold is not None:
            # An earlier version in force stays in force: this one has no rows that any query over labels could find.
            self.flush()
            catalogue.add_quarantined(
                connection,
                version_id=version.id,
                item_id=item_id,
                code=draft.hold.code,
                reason=draft.hold.reason,
                at=at,
                intake=draft.source,
            )
            return Outcome(QUARANTINED, draft.ref, item_id, number, draft.hold.code, draft.hold.reason)
        # A portion is the same where content *and* labels are: by content alone, a withheld portion that says what a shown one says
        # would take its id, and the shown one would visibly become another.
        labelled = catalogue.timelines_of(connection, [portion.id for portion in before or ()], at=at)
        unchanged: dict[tuple[object, ...], list[str]] = {}
        for portion in before or ():
            ahead = [LabelStretch(max(one.from_at, at), one.until, one.label_id) for one in labelled.get(portion.id, [])]
            unchanged.setdefault((*_content_of(portion), *ahead), []).append(portion.id)
        members: list[tuple[str, str]] = []
        timelines: dict[str, list[LabelStretch]] = {}
        for drafted in draft.portions:
            stretches = self._stretches(drafted.timeline)
            same = unchanged.get((*_content_of(drafted), *stretches))
            portion_id = same.pop(0) if same else self._new_portion(drafted, item_id)
            members.append((portion_id, drafted.marking))
            timelines[portion_id] = stretches
        if draft.compilation is not None:
            timelines[item_id] = self._stretches(draft.compilation)
        self._members[version.id] = members
        for position, drafted in enumerate(draft.portions):
            if drafted.within is not None and drafted.place is not None:
                self._parts[version.id, position] = (drafted.within, drafted.place)
            if drafted.instead_of is not None:
                self._instead_of[version.id, position] = drafted.instead_of
            if drafted.declassify_on is not None:
                self._declassify_on[version.id, position] = drafted.declassify_on
        if before is None:
            self._timelines.update(timelines)
            for (portion_id, _), drafted in zip(members, draft.portions, strict=True):
                words = drafted.words
                self.words[portion_id] = searched(drafted.kind, content=drafted.content, name=drafted.name) if words is None else words
            self.fresh.append(
                ItemTimeline(
                    item_id,
                    draft.whole,
                    tuple((at, tuple(timelines[portion_id])) for portion_id, _ in members),
                    tuple(timelines[item_id]) if item_id in timelines else None,
                    tuple(portion_id for portion_id, _ in members),
                    tuple(instead_of) if tear_lines else (),
                )
            )
        else:
            self.flush()
            catalogue.settle_quarantine(connection, [item_id])
            gone = [portion_id for ids in unchanged.values() for portion_id in ids]
            was_compiled = item_id in catalogue.timelines_of(connection, [item_id], at=at)
            uncompiled = draft.compilation is None and was_compiled
            if uncompiled:
                gone.append(item_id)
            together = draft.whole or draft.compilation is not None
            opened = may_appear(
                _places([portion_id for portion_id, _ in stood], [original for _, original in stood]),
                _places([portion_id for portion_id, _ in members], instead_of),
            )
            for timeline_id in gone:
                catalogue.end_timeline(connection, timeline_id, at=at)
            # What was held back by a part that is gone, or by having to go out whole, may be visible now for the first time,
            # though none of its portions changed: it is labelled anew, so that no poller's bookmark lies beyond it. Who saw it
            # before saw something at every place, and so learns nothing from its moving. A portion that is gone from a place at
            # which its tear-line stays is no such part: whoever is shown the tear-line is not to see that it was there.
            relabel_timelines(self._act, timelines, anew=(was_whole or was_compiled) and (opened or uncompiled or not together))
            catalogue.end_label_sets(connection, item_id, at=at)
            self.changed.append(item_id)
        self._sets.extend(label_sets_ahead(item_id, list(timelines.values()), at=at))
        code = None if draft.over_marked is None else OVER_MARKED
        return Outcome(STORED, draft.ref, item_id, number, code, draft.over_marked)

    def _wider(self, draft: ItemDraft, item_id: str, before: Sequence[PortionRecord]) -> str | None:
        """What this version would open of content that is stored already, under the labels it has; None where it opens nothing.

        Whoever loads content says what it is; what it is once stored, two officers change (`relabelling`). Else a feed that is read again
        would put back what was raised since, and one officer could lower anything by sending it again.
        """
        act, scheme = self._act, self._act.policy().bundle.scheme
        ahead = {
            timeline_id: [(max(one.from_at, act.at), one.until, act.labels[one.label_id]) for one in stretches]
            for timeline_id, stretches in catalogue.timelines_of(act.connection, [*(one.id for one in before), item_id], at=act.at).items()
        }
        stored: dict[tuple[object, ...], list[str]] = {}
        for portion in before:
            stored.setdefault(_content_of(portion), []).append(portion.id)
        kept = 0
        for number, drafted in enumerate(draft.portions):
            kept += _content_of(drafted) in stored
            after = [(max(from_at, act.at), until, label) for from_at, until, label in drafted.timeline if until > act.at]
            # The same content may stand there more than once: it is as open already as wherever it is most open.
            each = [widened_through(ahead[one], after, scheme=scheme) for one in stored.get(_content_of(drafted), ())]
            if each and all(each):
                return f"portion {number} is stored already, and {'; '.join(each[0])}: {_TWO}"
        if item_id in ahead and kept > 1:
            compiled = [(max(from_at, act.at), until, label) for from_at, until, label in draft.compilation or () if until > act.at]
            lines = widened_through(ahead[item_id], compiled, scheme=scheme) if compiled else ("it has none any more",)
            if lines:
                return f"{kept} portions are stored already under a compilation, and {'; '.join(lines)}: {_ANEW}"
        return None

    def _new_portion(self, drafted: PortionDraft, item_id: str) -> str:
        portion_id = item_id[:_OF_ITEM] + new_id()[_OF_ITEM:]
        self._portions.append(
            PortionRecord(
                portion_id, item_id, drafted.kind, drafted.content, drafted.content_sha256, drafted.name, drafted.media_type, drafted.size,
                self._act.at,
            )
        )  # fmt: skip
        return portion_id

    def _stretches(self, timeline: Sequence[tuple[int, int, Label]]) -> list[LabelStretch]:
        # A draft may have been read a moment before the act began: its first stretch holds from the act on.
        at = self._act.at
        return [LabelStretch(max(from_at, at), until, self._label_ids[label.digest()]) for from_at, until, label in timeline if until > at]


def _places(portion_ids: Sequence[str], instead_of: Sequence[int | None]) -> list[frozenset[str]]:
    return [frozenset(portion_ids[number] for number in place) for place in places(instead_of)]


def _content_of(portion: PortionDraft | PortionRecord) -> tuple[object, ...]:
    return portion.kind, portion.content_sha256, portion.name, portion.media_type


def label_sets_ahead(item_id: str, timelines: Sequence[Sequence[LabelStretch]], *, at: int) -> list[tuple[str, int, int, frozenset[int]]]:
    """(item id, from, until, label ids) from `at` on, of an item whose portions and compilation have these timelines."""
    starts = sorted({at} | {stretch.from_at for timeline in timelines for stretch in timeline if stretch.from_at > at})
    result: list[tuple[str, int, int, frozenset[int]]] = []
    for start, until in zip(starts, [*starts[1:], FOREVER], strict=True):
        members = frozenset(stretch.label_id for timeline in timelines for stretch in timeline if stretch.from_at <= start < stretch.until)
        if result and result[-1][3] == members:
            result[-1] = (item_id, result[-1][1], until, members)
        else:
            result.append((item_id, start, until, members))
    return result


def write_label_sets(act: Act, stretches: Sequence[tuple[str, int, int, frozenset[int]]]) -> None:
    """Write label sets through time, interned."""
    ids = catalogue.intern_label_sets(act.connection, {members for *_, members in stretches})
    catalogue.add_label_sets(act.connection, [(item, from_at, until, ids[members]) for item, from_at, until, members in stretches])


def relabel_timelines(act: Act, timelines: Mapping[str, Sequence[LabelStretch]], *, anew: bool = False) -> None:
    """Give these timelines from the act on; one that says what was said before stays as it is, and so keeps its `from`, unless `anew`."""
    before = catalogue.timelines_of(act.connection, list(timelines), at=act.at)
    changed: dict[str, Sequence[LabelStretch]] = {}
    for timeline_id, stretches in timelines.items():
        ahead = [LabelStretch(max(one.from_at, act.at), one.until, one.label_id) for one in before.get(timeline_id, [])]
        if anew or ahead != list(stretches):
            catalogue.end_timeline(act.connection, timeline_id, at=act.at)
            changed[timeline_id] = stretches
    catalogue.add_timeline(act.connection, changed)


# --- labels, withdrawal ----------------------------------------------------------------------------------------------


def give_labels(act: Act, given: Mapping[str, Mapping[str, Sequence[tuple[int, int, Label]]]]) -> None:
    """Give portions other labels, in place of all that was ahead of them: whether that may be is `relabelling`'s.

    Args:
        given: by item, by portion, (from, until, label) from the act on, without gaps.
    """
    ids, added = act.intern({label.digest(): label for own in given.values() for stretches in own.values() for _, _, label in stretches})
    upkeep = act.upkeep()
    upkeep.entitle(added)
    for item_id, own in given.items():
        relabel_timelines(
            act,
            {
                portion: [LabelStretch(from_at, until, ids[label.digest()]) for from_at, until, label in stretches]
                for portion, stretches in own.items()
            },
        )
        held = catalogue.versions_at(act.connection, [item_id], at=act.at)[item_id]
        timelines = catalogue.timelines_of(act.connection, [*(one.portion.id for one in held.portions), item_id], at=act.at)
        catalogue.end_label_sets(act.connection, item_id, at=act.at)
        write_label_sets(act, label_sets_ahead(item_id, list(timelines.values()), at=act.at))
    upkeep.place(list(given))
    act.items.extend(given)


def new_label(bundle: Bundle, marking: str | None, label: object, *, before: Label, at: datetime) -> Label:
    """The label that an officer gives: a portion's marking, with the categories and originators of the label before; or a label itself.

    Raises:
        Rejected: neither or both, or not one that this scheme knows.
    """
    if (marking is None) == (label is None):
        raise Rejected("expected one of `marking` and `label`", code="marking")
    try:
        if marking is None:
            given = Label.from_json(label)
            check_label(given, scheme=bundle.scheme, known_codes=bundle.known_codes)
            # What no marking of the profile can say could be released and not be written.
            profile_of(bundle.scheme).write_portion(given)
            return given
        return label_of_marking(bundle, marking, portion=True, categories=before.categories, originators=before.originators, at=at)
    except LabelError as error:
        raise Rejected(str(error), code="label") from None


def withdraw(act: Act, item_id: str, *, reason: str) -> None:
    """Take an item out of every list, for good.

    Raises:
        Conflict: no such item, or it is withdrawn already.
    """
    item = item_in_force(act.connection, item_id)
    catalogue.withdraw(act.connection, item_id, at=act.at)
    visibility.drop_offers(act.connection, item_id)
    search.drop_rows(act.connection, item_id)
    catalogue.settle_quarantine(act.connection, [item_id])
    proposals.void_about(act, [item_id], reason="withdrawn")
    act.items.append(item_id)
    act.details |= {"ref": item.ref, "reason": personal(REASON, reason)}


def item_in_force(connection: Connection, item_id: str) -> ItemRecord:
    """An item that is not withdrawn.

    Raises:
        Conflict: no such item, or it is withdrawn.
    """
    item = catalogue.item_by_id(connection, item_id)
    if item is None:
        raise Conflict(f"no item `{item_id}`", code="no-item")
    if item.withdrawn_at is not None:
        raise Conflict(f"item `{item_id}` is withdrawn", code="withdrawn")
    return item
