"""What a partner can ask of the gate: an item, a file, a page of the list. Each prepares its own answer.

An id is whatever stood in the path. One that is not visible is the same 404, byte for byte, and the same work, whether it is
absent, withheld, withdrawn, in quarantine or not an id at all: the same statements are run, and only the sealed record tells
the auditor which it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from service.labels.label import Label
from service.labels.scheme import Scheme
from service.policy import Outcome, Snapshot
from service.releaselog.leaf import canonical, canonical_object, path_id
from service.settings import PAGE_BYTES_MAX
from service.sharing.copies import IN_PART, ItemDecision, decide_item, decide_labels, render_copy, snapshot_end
from service.sharing.cursors import Cursors, PlaceKind, binding_of
from service.sharing.gate import Prepared, StoredFile, digest_of
from service.sharing.held import Begun, Copies, Shown
from service.sharing.personal import Q, parted, personal
from service.sharing.policies import Policies, PolicyState
from service.store import Connection, catalogue, search, visibility
from service.store.catalogue import VersionAt
from service.store.search import Effort, Sought
from service.store.tables import FOREVER
from service.store.times import moment_of, text_of
from service.store.visibility import START, Listed, Place

NOT_FOUND_BODY: Final = b'{"type":"about:blank","title":"Not Found","status":404}'
PROBLEM_JSON: Final = "application/problem+json"
JSON: Final = "application/json"
_LABELS_HELD: Final = 1 << 13
_NO_LEVEL: Final = -1


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: the partner and purpose decided for, the client named in the leaf, and the log it goes to.

    For a view, `log` is `officers`, `client` the officer's, and `look` the type of the entry.
    """

    partner: str
    purpose: str
    client: str
    log: str
    look: str | None = None


@dataclass(frozen=True, slots=True)
class _Ask:
    asker: Asker
    copies: Copies
    route: str
    retry: tuple[str, bytes] | None

    @property
    def partner(self) -> str:
        return self.asker.partner

    @property
    def purpose(self) -> str:
        return self.asker.purpose

    @property
    def client(self) -> str:
        return self.asker.client

    @property
    def log(self) -> str:
        return self.asker.log

    @property
    def look(self) -> str | None:
        return self.asker.look


def _segment_id(segment: bytes) -> str:
    return path_id(segment)


@dataclass(frozen=True, slots=True)
class ItemAsk(_Ask):
    """`GET /v1/items/{id}`. `item` is the path segment's bytes, decoded."""

    item: bytes = b""

    def known(self, state: PolicyState, *, at: int) -> Prepared | None:
        shown = self.copies.get((self.partner, self.purpose, _segment_id(self.item)), act=state.act, at=at)
        if shown is None:
            return None
        self.copies.note(self.item, self, shown.answer, at=at)
        return shown.answer

    def prepare(self, connection: Connection, state: PolicyState, world: Policies, *, at: int) -> Prepared:
        item_id = _segment_id(self.item)
        snapshot = state.snapshot(moment_of(at))
        shown = _shown_item(connection, state, world, self.copies, self.asker, item_id, snapshot, at=at)
        if isinstance(shown, _Absent):
            return _refusal("item", item_id, shown, state, snapshot, at=at)
        self.copies.note(self.item, self, shown.answer, at=at)
        return shown.answer


@dataclass(frozen=True, slots=True)
class FileAsk(_Ask):
    """`GET /v1/items/{id}/files/{portion}`."""

    item: bytes = b""
    portion: bytes = b""

    def known(self, state: PolicyState, *, at: int) -> Prepared | None:
        return None

    def prepare(self, connection: Connection, state: PolicyState, world: Policies, *, at: int) -> Prepared:
        item_id, portion_id = _segment_id(self.item), _segment_id(self.portion)
        snapshot = state.snapshot(moment_of(at))
        shown = _shown_item(connection, state, world, self.copies, self.asker, item_id, snapshot, at=at)
        if isinstance(shown, _Absent):
            return _refusal("file", item_id, shown, state, snapshot, at=at, portion=portion_id)
        if portion_id not in shown.files:
            absent = _Absent(shown.until, "withhold", (), shown.record_item, shown.record_labels)
            return _refusal("file", item_id, absent, state, snapshot, at=at, portion=portion_id)
        file, media_type = shown.files[portion_id]
        return Prepared(
            act=shown.act,
            holds_from=shown.from_at,
            holds_until=shown.until,
            type="file",
            status=200,
            result="sent",
            body=b"",
            body_sha256=file.sha256,
            media_type=media_type,
            items=_face_items([(item_id, file.sha256)]),
            record=_record("release", [(shown.record_item, shown.record_labels)], snapshot, None),
            versions=((item_id, shown.version),),
            portion=portion_id,
            file=file,
        )


@dataclass(frozen=True, slots=True)
class ListAsk(_Ask):
    """`GET /v1/items`. `levels` and `categories` are names, any of; None for no filter. At most one of `cursor`, `since`.

    `sought` is what `q` looks for, None where there is none; `q` itself is kept for the sealed record alone. `effort` moves how it is
    looked for and not what is found; None for the usual.
    """

    limit: int = 50
    levels: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None
    q: str | None = None
    sought: Sought | None = None
    effort: Effort | None = None
    cursor: str | None = None
    since: str | None = None
    cursors: Cursors | None = None

    def known(self, state: PolicyState, *, at: int) -> Prepared | None:
        return None

    def prepare(self, connection: Connection, state: PolicyState, world: Policies, *, at: int) -> Prepared:
        cursors = self._cursors()
        binding = self._binding()
        after = START
        if self.cursor is not None:
            after = cursors.open(self.cursor, PlaceKind.NEXT, binding)
        elif self.since is not None:
            after = cursors.open(self.since, PlaceKind.BOOKMARK, binding)
        snapshot = state.snapshot(moment_of(at))
        lane = visibility.lane_id(connection, self.partner, self.purpose)
        begin = max(after, self._begin(connection, state, lane=lane, at=at))
        listed, holding = self._listed(connection, state.bundle.scheme, lane=lane, at=at, after=begin)
        page: Sequence[Listed] = listed[: self.limit]
        shown = _shown_page(connection, state, world, self.copies, self.asker, [line.item_id for line in page], snapshot, at=at)
        if holding is not None:
            # The index of words is no permission either: what was found in a portion that the copy does not hold was not found.
            shown = {item_id: one for item_id, one in shown.items() if not holding[item_id].isdisjoint(one.copy.portion_ids)}
        entries, shown, page = _within_bytes(page, shown)
        last = Place(page[-1].visible_since, page[-1].item_id) if page else after
        members = [b'"items":[' + b",".join(entries) + b"]"]
        if len(listed) > len(page):
            members.append(b'"next":"%s"' % cursors.seal(last, PlaceKind.NEXT, binding).encode("ascii"))
        members.append(b'"bookmark":"%s"' % cursors.seal(last, PlaceKind.BOOKMARK, binding).encode("ascii"))
        body = b"{" + b",".join(members) + b"}"
        query, texts = parted(self._query())
        ends = [snapshot_end(snapshot), *(line.until for line in page), *(one.until for one in shown.values())]
        prepared = Prepared(
            act=state.act,
            holds_from=at,
            holds_until=min(ends),
            type="list",
            status=200,
            result="sent",
            body=body,
            body_sha256=digest_of(body),
            media_type=JSON,
            items=_face_items([(item_id, one.copy.sha256) for item_id, one in shown.items()]),
            record=_record("release", [(one.record_item, one.record_labels) for one in shown.values()], snapshot, query),
            personal=texts,
            versions=tuple((item_id, one.version) for item_id, one in shown.items()),
            copies={one.copy.sha256: one.copy.body for one in shown.values()},
        )
        phrases = None if self.sought is None else self.sought.phrases
        what = (self.limit, self.levels, self.categories, phrases, self.cursor is None, self.since is None)
        self.copies.note(what, self, prepared, at=at)
        return prepared

    def _begin(self, connection: Connection, state: PolicyState, *, lane: int, at: int) -> Place:
        """A place before which nothing is in the list any more."""
        place = self.copies.begun(lane, act=state.act, at=at)
        if place is None:
            found = visibility.first_to_come(connection, lane=lane, at=at)
            if found is None:
                return START
            place, until = found
            self.copies.put_begun(lane, Begun(state.act, at, until, place))
        return place

    def _listed(
        self, connection: Connection, scheme: Scheme, *, lane: int, at: int, after: Place
    ) -> tuple[list[Listed], Mapping[str, frozenset[str]] | None]:
        """One line more than the page may have; and for a search, in which portions of each item it was found."""
        limit, levels = self.limit + 1, _ranks(self.levels, scheme)
        if self.sought is None:
            found = visibility.page(connection, lane=lane, at=at, after=after, limit=limit, levels=levels, categories=self.categories)
            return found, None
        searched = search.found_page(
            connection,
            self.sought,
            lane=lane,
            at=at,
            after=after,
            limit=limit,
            levels=levels,
            categories=self.categories,
            effort=self.effort,
        )
        return [line for line, _ in searched], {line.item_id: portions for line, portions in searched}

    def _cursors(self) -> Cursors:
        if self.cursors is None:
            raise ValueError("a list is asked for with the cursors of this installation")
        return self.cursors

    def _binding(self) -> bytes:
        filters = json.dumps([self.levels, self.categories, None if self.sought is None else self.sought.phrases])
        return binding_of(self.client, self.log, self.partner, self.purpose, self.route, filters)

    def _query(self) -> Mapping[str, object]:
        query: dict[str, object] = {"limit": self.limit}
        if self.levels is not None:
            query["level"] = list(self.levels)
        if self.categories is not None:
            query["category"] = list(self.categories)
        if self.q is not None:
            query["q"] = personal(Q, self.q)
        if self.cursor is not None or self.since is not None:
            query["continued"] = True
        return query


def _within_bytes(page: Sequence[Listed], shown: Mapping[str, Shown]) -> tuple[list[bytes], dict[str, Shown], Sequence[Listed]]:
    """The entries of a page, what they show, and the lines they stand for: the page ends before it grows too long to be sent."""
    entries: list[bytes] = []
    kept: dict[str, Shown] = {}
    size = 0
    for place, line in enumerate(page):
        one = shown.get(line.item_id)
        if one is None:
            continue
        entry = one.copy.listed + b',"visible_since":"%s"}' % text_of(line.visible_since).encode("ascii")
        size += len(entry)
        if entries and size > PAGE_BYTES_MAX:
            return entries, kept, page[:place]
        entries.append(entry)
        kept[line.item_id] = one
    return entries, kept, page


def _ranks(levels: Sequence[str] | None, scheme: Scheme) -> list[int] | None:
    if levels is None:
        return None
    ladder = {level.name: rank for rank, level in enumerate(scheme.levels)}
    # A level that does not exist is asked for like any other and found nowhere, so that the scheme cannot be probed.
    return [ladder.get(level, _NO_LEVEL) for level in levels]


# --- what is shown, and what is not ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Absent:
    """Nothing to show for an id, and what the record says of why. Holds until `until`."""

    until: int
    outcome: str
    rules: tuple[str, ...]
    record_item: bytes | None
    record_labels: Mapping[str, bytes]


def _shown_item(
    connection: Connection,
    state: PolicyState,
    world: Policies,
    copies: Copies,
    asker: Asker,
    item_id: str,
    snapshot: Snapshot,
    *,
    at: int,
) -> Shown | _Absent:
    # These three are run for every id alike; a withheld one costs one row more than an absent one.
    lane = visibility.lane_id(connection, asker.partner, asker.purpose)
    offer = visibility.offer_of(connection, lane=lane, item_id=item_id, at=at)
    evidence = catalogue.evidence(connection, item_id, at=at)
    if offer is not None:
        shown = _shown_page(connection, state, world, copies, asker, [item_id], snapshot, at=at).get(item_id)
        if shown is not None:
            return shown
    if evidence is None:
        return _Absent(FOREVER, "withhold", (), None, {})
    labels = [world.labels[label_id] for label_id in evidence.label_ids]
    outcome, rules = decide_labels(labels, snapshot, partner=asker.partner, purpose=asker.purpose)
    record_item, record_labels = _record_item(item_id, evidence.ref, evidence.version, (), labels, rules)
    return _Absent(min(snapshot_end(snapshot), evidence.until), outcome, rules, record_item, record_labels)


def _shown_page(
    connection: Connection,
    state: PolicyState,
    world: Policies,
    copies: Copies,
    asker: Asker,
    item_ids: Sequence[str],
    snapshot: Snapshot,
    *,
    at: int,
) -> dict[str, Shown]:
    """Render items that are on offer, in the order given. The policy decides each again: what it refuses is left out."""
    found: dict[str, Shown | None] = {
        item_id: copies.get((asker.partner, asker.purpose, item_id), act=state.act, at=at) for item_id in item_ids
    }
    missing = [item_id for item_id, shown in found.items() if shown is None]
    if missing:

        def released(label_id: int) -> bool:
            return snapshot.decide(asker.partner, "release", world.labels[label_id], asker.purpose).outcome is Outcome.RELEASE

        for item_id, version in catalogue.versions_at(connection, missing, at=at, released=released).items():
            decision = decide_item(version, world.labels, snapshot, partner=asker.partner, purpose=asker.purpose)
            if not decision.released:
                continue  # the index is behind the policy: the policy is right
            shown = _shown(version, decision, world.labels, state, snapshot, asker.partner, at=at)
            found[item_id] = shown
            copies.put((asker.partner, asker.purpose, item_id), shown)
    return {item_id: shown for item_id, shown in found.items() if shown is not None}


def _shown(
    version: VersionAt,
    decision: ItemDecision,
    labels: Mapping[int, Label],
    state: PolicyState,
    snapshot: Snapshot,
    partner: str,
    *,
    at: int,
) -> Shown:
    copy = render_copy(version, decision.released, labels, state.bundle, partner=partner, at=moment_of(at))
    record_item, record_labels = _record_item(
        version.item_id, version.ref, version.version, copy.portion_ids, decision.labels, decision.rules
    )
    files = {
        portion_id: (StoredFile(portion.content_sha256, portion.size), portion.media_type or "application/octet-stream")
        for portion_id, portion in copy.files.items()
    }
    until = min(decision.until, snapshot_end(snapshot))
    answer = Prepared(
        act=state.act,
        holds_from=at,
        holds_until=until,
        type="item",
        status=200,
        result="sent",
        body=copy.body,
        body_sha256=copy.sha256,
        media_type=JSON,
        items=_face_items([(version.item_id, copy.sha256)]),
        record=_record(decision.outcome, [(record_item, record_labels)], snapshot, None),
        versions=((version.item_id, version.version),),
        copies={copy.sha256: copy.body},
    )
    return Shown(state.act, at, until, copy, version.ref, version.version, decision.outcome, record_item, record_labels, files, answer)


# --- face and record ------------------------------------------------------------------------------------------------


def _face_items(items: Sequence[tuple[str, bytes]]) -> bytes:
    # Ids are of `[A-Za-z0-9_-]`, digests hex: nothing here needs escaping, and members stand in order.
    return b"[" + b",".join(b'{"copy_sha256":"%s","id":"%s"}' % (sha.hex().encode(), item.encode()) for item, sha in items) + b"]"


def _record_item(
    item_id: str, ref: str, version: int, portions: Sequence[str], labels: Sequence[Label], rules: Sequence[str]
) -> tuple[bytes, dict[str, bytes]]:
    bodies = dict(map(_named_label, labels))
    item = {
        "id": item_id, "ref": ref, "version": version, "portions": list(portions), "labels": sorted(bodies), "rules": list(rules),
    }  # fmt: skip
    return canonical(item), bodies


@lru_cache(maxsize=_LABELS_HELD)
def _named_label(label: Label) -> tuple[str, bytes]:
    """A label as records have it: under its digest."""
    return label.digest().hex(), label.canonical()


def _record(
    outcome: str, shown: Sequence[tuple[bytes, Mapping[str, bytes]]], snapshot: Snapshot, query: Mapping[str, object] | None
) -> dict[str, bytes]:
    """The record's members but for those that the commit adds; `shown` are items and their labels, as `_record_item` makes them."""
    labels: dict[str, bytes] = {}
    for _, its_labels in shown:
        labels.update(its_labels)
    return {
        "outcome": canonical(outcome),
        "items": b"[" + b",".join(item for item, _ in shown) + b"]",
        "labels": canonical_object(labels),
        "engine": canonical(snapshot.engine_digest),
        "query": canonical(query),
    }


def _refusal(
    type_: str, item_id: str, absent: _Absent, state: PolicyState, snapshot: Snapshot, *, at: int, portion: str | None = None
) -> Prepared:
    items = [] if absent.record_item is None else [(absent.record_item, absent.record_labels)]
    return Prepared(
        act=state.act,
        holds_from=at,
        holds_until=min(absent.until, snapshot_end(snapshot)),
        type=type_,
        status=404,
        result="refused",
        body=NOT_FOUND_BODY,
        body_sha256=_NOT_FOUND_SHA256,
        media_type=PROBLEM_JSON,
        items=b'[{"id":%s}]' % canonical(item_id),
        record=_record(absent.outcome, items, snapshot, None),
        versions=((item_id, 0),),
        portion=portion,
    )


_NOT_FOUND_SHA256: Final = hashlib.sha256(NOT_FOUND_BODY).digest()

__all__ = ["IN_PART", "Asker", "FileAsk", "ItemAsk", "ListAsk"]
