"""Items, versions, portions and their labels through time.

Versions and portions never change; labels are given to them by dated rows, written ahead for every boundary known. Queries
say `from_at <= :at AND until > :at`; nothing waits for a job at midnight.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, text

from service.store.database import insert_rows, sought
from service.store.tables import FOREVER, as_bytes

_CHUNK: Final = 400


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """An item: `version` is the number in force, 0 while the first one is in quarantine; times in microseconds."""

    id: str
    ref: str
    version: int
    withdrawn_at: int | None


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version: content that never changes. `whole`: goes out only as a whole; `tear_lines`: some portion of it is one."""

    id: int
    item_id: str
    number: int
    marking: str
    whole: bool
    tear_lines: bool = False


@dataclass(frozen=True, slots=True)
class PortionRecord:
    """A portion. `content` is UTF-8 text, RFC 8785 JSON, or empty for a file, which is kept by `content_sha256`."""

    id: str
    item_id: str
    kind: str
    content: bytes
    content_sha256: bytes
    name: str | None
    media_type: str | None
    size: int
    changed_at: int


@dataclass(frozen=True, slots=True)
class LabelStretch:
    """A label from when until when."""

    from_at: int
    until: int
    label_id: int


@dataclass(frozen=True, slots=True)
class PortionAt:
    """A portion of a version with the label it has at the time asked, and until when it has it."""

    portion: PortionRecord
    label_id: int
    label_until: int
    position: int = 0
    """Its number in the version."""
    within: int | None = None
    """Of a part of a JSON value: the position of the portion that holds it; and `place`, where in that one."""
    place: str | None = None
    instead_of: int | None = None
    """Of a tear-line: the position of the portion it is shown instead of."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the record of a decision about an item needs, whether it is visible or not: its labels as one set, until when."""

    item_id: str
    ref: str
    version: int
    label_ids: tuple[int, ...]
    until: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A version that waits for an officer. `intake` is the JSON as it came."""

    item_id: str
    ref: str
    version: int
    version_id: int
    code: str
    reason: str
    at: int
    intake: str


# --- labels ---------------------------------------------------------------------------------------------------------


def intern_labels(connection: Connection, labels: Mapping[bytes, str]) -> dict[bytes, int]:
    """Ids of labels by digest; those not yet known are added. `labels`: digest -> canonical JSON."""
    if not labels:
        return {}
    connection.execute(
        text("INSERT INTO label (digest, body) VALUES (:digest, :body) ON CONFLICT DO NOTHING"),
        [{"digest": digest, "body": body} for digest, body in labels.items()],
    )
    ids: dict[bytes, int] = {}
    statement = text("SELECT digest, id FROM label WHERE digest IN :digests").bindparams(bindparam("digests", expanding=True))
    digests = list(labels)
    for start in range(0, len(digests), _CHUNK):
        for digest, label_id in connection.execute(statement, {"digests": digests[start : start + _CHUNK]}):
            ids[bytes(digest)] = label_id
    return ids


def labels_after(connection: Connection, label_id: int) -> list[tuple[int, str]]:
    """(id, canonical JSON) of labels with a greater id, in order."""
    return [(row[0], row[1]) for row in connection.execute(_LABELS_AFTER, {"id": label_id})]


_LABELS_AFTER: Final = text("SELECT id, body FROM label WHERE id > :id ORDER BY id")


def intern_label_sets(connection: Connection, sets: Collection[frozenset[int]]) -> dict[frozenset[int], int]:
    """The ids of sets of labels; those not yet known are added."""
    members = {json.dumps(sorted(one), separators=(",", ":")): one for one in sets}
    if not members:
        return {}
    connection.execute(
        text("INSERT INTO label_set (members) VALUES (:members) ON CONFLICT DO NOTHING"), [{"members": one} for one in members]
    )
    statement = text("SELECT members, id FROM label_set WHERE members IN :members").bindparams(bindparam("members", expanding=True))
    written, ids = list(members), {}
    for start in range(0, len(written), _CHUNK):
        for row in connection.execute(statement, {"members": written[start : start + _CHUNK]}):
            ids[members[row.members]] = int(row.id)
    return ids


# --- items ----------------------------------------------------------------------------------------------------------


def add_items(connection: Connection, items: Sequence[ItemRecord], *, at: int) -> None:
    if items:
        connection.execute(
            text("INSERT INTO item (id, ref, version, withdrawn_at, created_at) VALUES (:id, :ref, :version, NULL, :at)"),
            [{"id": item.id, "ref": item.ref, "version": item.version, "at": at} for item in items],
        )


def items_by_ref(connection: Connection, refs: Collection[str]) -> dict[str, ItemRecord]:
    """The items of these refs, by ref."""
    statement = text("SELECT id, ref, version, withdrawn_at FROM item WHERE ref IN :refs").bindparams(bindparam("refs", expanding=True))
    ordered, found = sorted(refs), {}
    for start in range(0, len(ordered), _CHUNK):
        for row in connection.execute(statement, {"refs": ordered[start : start + _CHUNK]}):
            found[row.ref] = ItemRecord(row.id, row.ref, row.version, row.withdrawn_at)
    return found


def item_by_ref(connection: Connection, ref: str) -> ItemRecord | None:
    return _item(connection.execute(text("SELECT id, ref, version, withdrawn_at FROM item WHERE ref = :ref"), {"ref": ref}).one_or_none())


def item_by_id(connection: Connection, item_id: str) -> ItemRecord | None:
    statement = text("SELECT id, ref, version, withdrawn_at FROM item WHERE id = :id")
    return _item(connection.execute(statement, {"id": sought(item_id)}).one_or_none())


def _item(row: Row[Any] | None) -> ItemRecord | None:
    return None if row is None else ItemRecord(row.id, row.ref, row.version, row.withdrawn_at)


def set_version_in_force(connection: Connection, item_id: str, number: int) -> None:
    connection.execute(text("UPDATE item SET version = :number WHERE id = :id"), {"id": item_id, "number": number})


def withdraw(connection: Connection, item_id: str, *, at: int) -> None:
    """Withdraw an item: its timelines end now."""
    connection.execute(text("UPDATE item SET withdrawn_at = :at WHERE id = :id"), {"id": item_id, "at": at})
    portions = list(connection.execute(text("SELECT id FROM portion WHERE item_id = :id"), {"id": item_id}).scalars())
    for timeline_id in (item_id, *portions):
        end_timeline(connection, timeline_id, at=at)
    end_label_sets(connection, item_id, at=at)


def next_version_id(connection: Connection) -> int:
    """The row id that the next version gets. Only inside `Database.acting`, where nobody else takes one."""
    return int(connection.execute(text("SELECT COALESCE(MAX(id), 0) + 1 FROM version")).scalar_one())


def add_versions(connection: Connection, versions: Sequence[VersionRecord], *, at: int) -> None:
    if versions:
        connection.execute(
            text(
                "INSERT INTO version (id, item_id, number, marking, whole, created_at) VALUES (:id, :item, :number, :marking, :whole, :at)"
            ),
            [
                {"id": one.id, "item": one.item_id, "number": one.number, "marking": one.marking, "whole": _whole(one), "at": at}
                for one in versions
            ],
        )


def _whole(version: VersionRecord) -> int:
    return (2 if version.tear_lines else 1) if version.whole else 0


def add_version_portions(
    connection: Connection,
    portions: Mapping[int, Sequence[tuple[str, str]]],
    parts: Mapping[tuple[int, int], tuple[int, str]] | None = None,
    *,
    instead_of: Mapping[tuple[int, int], int] | None = None,
    declassify_on: Mapping[tuple[int, int], str] | None = None,
) -> None:
    """Say which portions versions have, in order, as (portion id, marking verbatim), by version row id.

    Args:
        parts: of parts of JSON values, by (version row id, position): the position of the portion that holds it, and where in that one.
        instead_of: likewise, of tear-lines, the position of the portion each is shown instead of.
        declassify_on: likewise, of what waits for an event or is exempt, which: canonical JSON.
    """
    nowhere = (None, None)
    rows = [
        (
            version_id,
            position,
            portion,
            marking,
            within,
            place,
            (instead_of or {}).get((version_id, position)),
            (declassify_on or {}).get((version_id, position)),
        )
        for version_id, own in portions.items()
        for position, (portion, marking) in enumerate(own)
        for within, place in ((parts or {}).get((version_id, position), nowhere),)
    ]
    columns = ("version_id", "position", "portion_id", "marking", "within", "place", "instead_of", "declassify_on")
    insert_rows(connection, "version_portion", columns, rows)


def version_in_force(connection: Connection, item_id: str) -> VersionRecord | None:
    row = connection.execute(
        text(
            "SELECT v.id, v.item_id, v.number, v.marking, v.whole FROM item i JOIN version v ON v.item_id = i.id AND v.number = i.version "
            "WHERE i.id = :id"
        ),
        {"id": item_id},
    ).one_or_none()
    return None if row is None else VersionRecord(row.id, row.item_id, row.number, row.marking, bool(row.whole))


def latest_version_number(connection: Connection, item_id: str) -> int:
    """The highest number given, whether in force or in quarantine; 0 where there is none."""
    return int(connection.execute(text("SELECT COALESCE(MAX(number), 0) FROM version WHERE item_id = :id"), {"id": item_id}).scalar_one())


def add_portions(connection: Connection, portions: Iterable[PortionRecord]) -> None:
    insert_rows(
        connection,
        "portion",
        ("id", "item_id", "kind", "content", "content_sha256", "name", "media_type", "size", "changed_at"),
        sorted(  # in the order of the index, which then is gone through once
            (one.id, one.item_id, one.kind, one.content, one.content_sha256, one.name, one.media_type, one.size, one.changed_at)
            for one in portions
        ),
    )


def portions_of_version(connection: Connection, version_id: int) -> list[tuple[PortionRecord, str]]:
    """A version's portions in order, with the marking each was given."""
    rows = connection.execute(
        text(
            f"SELECT {_PORTION}, vp.marking FROM version_portion vp JOIN portion p ON p.id = vp.portion_id "
            "WHERE vp.version_id = :version ORDER BY vp.position"
        ),
        {"version": version_id},
    )
    return [(_portion(row), row.marking) for row in rows]


def tear_lines_of_version(connection: Connection, version_id: int) -> list[tuple[str, int | None]]:
    """A version's portions in order, as (portion id, position of the one it is a tear-line of)."""
    statement = text("SELECT portion_id, instead_of FROM version_portion WHERE version_id = :version ORDER BY position")
    return [(row[0], row[1]) for row in connection.execute(statement, {"version": version_id})]


_PORTION: Final = "p.id, p.item_id, p.kind, p.content, p.content_sha256, p.name, p.media_type, p.size, p.changed_at"


def _portion(row: Row[Any]) -> PortionRecord:
    return PortionRecord(
        row.id, row.item_id, row.kind, as_bytes(row.content), as_bytes(row.content_sha256), row.name, row.media_type, row.size,
        row.changed_at,
    )  # fmt: skip


# --- timelines ------------------------------------------------------------------------------------------------------


def add_timeline(connection: Connection, timelines: Mapping[str, Sequence[LabelStretch]]) -> None:
    """Give portions (or an item's compilation, under the item's id) their labels through time."""
    insert_rows(
        connection,
        "portion_label",
        ("portion_id", "from_at", "until", "label_id"),
        sorted(
            (timeline_id, stretch.from_at, stretch.until, stretch.label_id)
            for timeline_id, stretches in timelines.items()
            for stretch in stretches
        ),
    )


def end_timeline(connection: Connection, timeline_id: str, *, at: int) -> None:
    """End a timeline now: the row in force is cut, later ones go."""
    connection.execute(text("DELETE FROM portion_label WHERE portion_id = :id AND from_at >= :at"), {"id": timeline_id, "at": at})
    connection.execute(text("UPDATE portion_label SET until = :at WHERE portion_id = :id AND until > :at"), {"id": timeline_id, "at": at})


def timelines_of(connection: Connection, timeline_ids: Collection[str], *, at: int) -> dict[str, list[LabelStretch]]:
    """The stretches in force and ahead, by portion id (or item id, for compilations)."""
    found: dict[str, list[LabelStretch]] = {}
    statement = text(
        "SELECT portion_id, from_at, until, label_id FROM portion_label WHERE portion_id IN :ids AND until > :at ORDER BY from_at"
    ).bindparams(bindparam("ids", expanding=True))
    ordered = list(timeline_ids)
    for start in range(0, len(ordered), _CHUNK):
        for row in connection.execute(statement, {"ids": ordered[start : start + _CHUNK], "at": at}):
            found.setdefault(row.portion_id, []).append(LabelStretch(row.from_at, row.until, row.label_id))
    return found


def add_label_sets(connection: Connection, stretches: Sequence[tuple[str, int, int, int]]) -> None:
    """Give items their label sets through time, as (item id, from, until, label set id)."""
    insert_rows(connection, "item_label_set", ("item_id", "from_at", "until", "label_set_id"), stretches)


def end_label_sets(connection: Connection, item_id: str, *, at: int) -> None:
    connection.execute(text("DELETE FROM item_label_set WHERE item_id = :id AND from_at >= :at"), {"id": item_id, "at": at})
    connection.execute(text("UPDATE item_label_set SET until = :at WHERE item_id = :id AND until > :at"), {"id": item_id, "at": at})


# --- for decisions --------------------------------------------------------------------------------------------------

_EVIDENCE: Final = text(
    "SELECT i.id, i.ref, i.version, s.members, t.until FROM item i "
    "LEFT JOIN item_label_set t ON t.item_id = i.id AND t.from_at <= :at AND t.until > :at "
    "LEFT JOIN label_set s ON s.id = t.label_set_id WHERE i.id = :id"
)


def evidence(connection: Connection, item_id: str, *, at: int) -> Evidence | None:
    """What there is to record about an id: one row or none, whatever the item's size."""
    row = connection.execute(_EVIDENCE, {"id": item_id, "at": at}).one_or_none()
    if row is None:
        return None
    if row.members is None:
        return Evidence(row.id, row.ref, row.version, (), FOREVER)
    return Evidence(row.id, row.ref, row.version, tuple(json.loads(row.members)), row.until)


@dataclass(frozen=True, slots=True)
class VersionAt:
    """The version in force of an item with its portions, labelled as of the time asked; `compilation` likewise."""

    item_id: str
    ref: str
    version: int
    whole: bool
    portions: tuple[PortionAt, ...]
    compilation: tuple[int, int] | None
    """(label id, until), where the item has a compilation marking."""
    unlabelled: bool
    """A portion (or the compilation) has no label in force: nothing of a whole item may go."""


_VERSIONS_AT: Final = text(
    "SELECT i.id AS item_id, i.ref, i.version, v.whole, p.id, p.kind, p.content_sha256, p.name, p.media_type, p.size, p.changed_at, "
    "l.label_id, l.until, vp.position, vp.within, vp.place, vp.instead_of "
    "FROM item i JOIN version v ON v.item_id = i.id AND v.number = i.version "
    "JOIN version_portion vp ON vp.version_id = v.id JOIN portion p ON p.id = vp.portion_id "
    "LEFT JOIN portion_label l ON l.portion_id = p.id AND l.from_at <= :at AND l.until > :at "
    "WHERE i.id IN :ids ORDER BY i.id, vp.position"
).bindparams(bindparam("ids", expanding=True))

_COMPILATIONS_AT: Final = text(
    "SELECT portion_id, label_id, until FROM portion_label WHERE portion_id IN :ids AND from_at <= :at AND until > :at"
).bindparams(bindparam("ids", expanding=True))


_CONTENTS: Final = text("SELECT id, content FROM portion WHERE id IN :ids").bindparams(bindparam("ids", expanding=True))


def versions_at(
    connection: Connection, item_ids: Sequence[str], *, at: int, released: Callable[[int], bool] | None = None
) -> dict[str, VersionAt]:
    """The versions in force of items, with every portion and its label at a time.

    Args:
        released: whether a label, by id, is; the content of portions under other labels is not read, and stands as empty, so that
            what is withheld costs nothing by its size. None: no content is wanted at all.
    """
    compilations = {row.portion_id: (row.label_id, row.until) for row in connection.execute(_COMPILATIONS_AT, {"ids": item_ids, "at": at})}
    rows = connection.execute(_VERSIONS_AT, {"ids": item_ids, "at": at}).all()
    contents: dict[str, bytes] = {}
    if released is not None:
        goes = {label_id: label_id is not None and released(label_id) for label_id in {row.label_id for row in rows}}
        wanted = [row.id for row in rows if goes[row.label_id]]
        for start in range(0, len(wanted), _CHUNK):
            for portion_id, content in connection.execute(_CONTENTS, {"ids": wanted[start : start + _CHUNK]}):
                contents[portion_id] = as_bytes(content)
    versions: dict[str, VersionAt] = {}
    for item_id, own in groupby(rows, itemgetter(0)):
        portions, unlabelled = [], False
        for row in own:
            (_, ref, version, whole, portion_id, kind, sha256, name, media_type, size, changed_at) = row[:11]
            label_id, until, position, within, place, instead_of = row[11:]
            if label_id is None:
                unlabelled = True
                continue
            content = contents.get(portion_id, b"")
            portion = PortionRecord(portion_id, item_id, kind, content, as_bytes(sha256), name, media_type, size, changed_at)
            portions.append(PortionAt(portion, label_id, until, position, within, place, instead_of))
        versions[item_id] = VersionAt(item_id, ref, version, bool(whole), tuple(portions), compilations.get(item_id), unlabelled)
    return versions


def items_after(connection: Connection, item_id: str, *, limit: int) -> list[str]:
    """Ids of items not withdrawn and with a version in force, after an id, in order."""
    return list(
        connection.execute(
            text("SELECT id FROM item WHERE id > :id AND withdrawn_at IS NULL AND version > 0 ORDER BY id LIMIT :limit"),
            {"id": item_id, "limit": limit},
        ).scalars()
    )


@dataclass(frozen=True, slots=True)
class ItemTimeline:
    """All that decides when an item is visible: its portions with the time each came to be, and their labels ahead."""

    item_id: str
    whole: bool
    portions: tuple[tuple[int, tuple[LabelStretch, ...]], ...]
    """(changed_at, stretches) of each portion."""
    compilation: tuple[LabelStretch, ...] | None
    portion_ids: tuple[str, ...] = ()
    """Ids of the portions, in the same order."""
    instead_of: tuple[int | None, ...] = ()
    """For each portion the number of the one it is a tear-line of, None where it is none; empty where the item has no tear-lines."""


def item_timelines(connection: Connection, item_ids: Collection[str], *, at: int) -> list[ItemTimeline]:
    """The timelines, from `at` on, of the versions in force."""
    result: list[ItemTimeline] = []
    statement = text(
        "SELECT i.id, v.whole, p.id AS portion_id, p.changed_at, vp.instead_of FROM item i "
        "JOIN version v ON v.item_id = i.id AND v.number = i.version "
        "JOIN version_portion vp ON vp.version_id = v.id JOIN portion p ON p.id = vp.portion_id "
        "WHERE i.id IN :ids AND i.withdrawn_at IS NULL ORDER BY i.id, vp.position"
    ).bindparams(bindparam("ids", expanding=True))
    ordered = sorted(item_ids)
    for start in range(0, len(ordered), _CHUNK):
        chunk = ordered[start : start + _CHUNK]
        members: dict[str, list[Row[Any]]] = {}
        for row in connection.execute(statement, {"ids": chunk}):
            members.setdefault(row.id, []).append(row)
        portion_ids = [row.portion_id for rows in members.values() for row in rows]
        labels = timelines_of(connection, [*portion_ids, *members], at=at)
        for item_id, rows in members.items():
            portions = tuple((row.changed_at, tuple(labels.get(row.portion_id, ()))) for row in rows)
            compilation = tuple(labels[item_id]) if item_id in labels else None
            ids = tuple(row.portion_id for row in rows)
            instead_of = tuple(row.instead_of for row in rows) if any(row.instead_of is not None for row in rows) else ()
            result.append(ItemTimeline(item_id, bool(rows[0].whole), portions, compilation, ids, instead_of))
    return result


@dataclass(frozen=True, slots=True)
class Undated:
    """A portion in force whose declassification has no date: `declassify_on` is JSON, an event or an exemption."""

    item_id: str
    ref: str
    portion_id: str
    kind: str
    declassify_on: str


def items_with_dates(connection: Connection, *, after: int, before: int) -> list[str]:
    """Ids of items in force of which a label begins or ends at a time between these two, both exclusive; in order."""
    # An end is the next label's beginning: timelines are without gaps, but for those that end for good, which only an act does.
    rows = connection.execute(
        text(
            "SELECT p.item_id FROM portion_label l JOIN portion p ON p.id = l.portion_id WHERE l.from_at > :after AND l.from_at < :before "
            "UNION SELECT i.id FROM portion_label l JOIN item i ON i.id = l.portion_id WHERE l.from_at > :after AND l.from_at < :before "
            "ORDER BY 1"
        ),
        {"after": after, "before": before},
    )
    return list(rows.scalars())


def refs_and_kinds(connection: Connection, item_ids: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """(`ref` by item id, kind by portion id) of items."""
    refs: dict[str, str] = {}
    kinds: dict[str, str] = {}
    items = text("SELECT id, ref FROM item WHERE id IN :ids").bindparams(bindparam("ids", expanding=True))
    portions = text("SELECT id, kind FROM portion WHERE item_id IN :ids").bindparams(bindparam("ids", expanding=True))
    for start in range(0, len(item_ids), _CHUNK):
        chunk = {"ids": item_ids[start : start + _CHUNK]}
        refs.update((row[0], row[1]) for row in connection.execute(items, chunk))
        kinds.update((row[0], row[1]) for row in connection.execute(portions, chunk))
    return refs, kinds


_STILL_AWAITED: Final = "NOT EXISTS (SELECT 1 FROM relabel r WHERE r.portion_id = vp.portion_id AND r.at >= v.created_at)"
"""What was written beside a label goes with it: a portion that an act gave another label waits for nothing any more."""


def awaiting(connection: Connection, declassify_on: str, *, limit: int) -> list[tuple[str, str]]:
    """(item id, portion id) of the portions in force whose declassification waits for exactly this (JSON), by item and position."""
    rows = connection.execute(
        text(
            "SELECT i.id, vp.portion_id FROM version_portion vp JOIN version v ON v.id = vp.version_id "
            "JOIN item i ON i.id = v.item_id AND i.version = v.number AND i.withdrawn_at IS NULL "
            f"WHERE vp.declassify_on = :on AND {_STILL_AWAITED} ORDER BY i.id, vp.position LIMIT :limit"
        ),
        {"on": sought(declassify_on), "limit": limit},
    )
    return [(row[0], row[1]) for row in rows]


def undated(connection: Connection, *, limit: int) -> tuple[list[Undated], int]:
    """(the first portions in force whose declassification has no date, by item `ref` and position; how many there are)."""
    held = (
        "FROM version_portion vp JOIN version v ON v.id = vp.version_id "
        "JOIN item i ON i.id = v.item_id AND i.version = v.number AND i.withdrawn_at IS NULL JOIN portion p ON p.id = vp.portion_id "
        f"WHERE vp.declassify_on IS NOT NULL AND {_STILL_AWAITED}"
    )
    rows = connection.execute(
        text(f"SELECT i.id, i.ref, p.id, p.kind, vp.declassify_on {held} ORDER BY i.ref, vp.position LIMIT :limit"), {"limit": limit}
    )
    return [Undated(*row) for row in rows], int(connection.execute(text(f"SELECT COUNT(*) {held}")).scalar_one())


# --- quarantine, files, copies --------------------------------------------------------------------------------------


def add_quarantined(connection: Connection, *, version_id: int, item_id: str, code: str, reason: str, at: int, intake: str) -> None:
    connection.execute(
        text(
            "INSERT INTO quarantine (version_id, item_id, code, reason, at, intake) VALUES (:version, :item, :code, :reason, :at, :intake)"
        ),
        {"version": version_id, "item": item_id, "code": code, "reason": reason, "at": at, "intake": intake},
    )


def quarantined(connection: Connection, *, after: tuple[int, int], limit: int) -> list[Quarantined]:
    """Versions in quarantine in order of (time, version row), after such a place."""
    rows = connection.execute(
        text(
            "SELECT q.item_id, i.ref, v.number, q.version_id, q.code, q.reason, q.at, q.intake FROM quarantine q "
            "JOIN item i ON i.id = q.item_id JOIN version v ON v.id = q.version_id "
            "WHERE (q.at, q.version_id) > (:at, :version) ORDER BY q.at, q.version_id LIMIT :limit"
        ),
        {"at": after[0], "version": after[1], "limit": limit},
    )
    return [Quarantined(*row) for row in rows]


def quarantined_of(connection: Connection, item_id: str) -> Quarantined | None:
    """The latest version of an item in quarantine, if one waits."""
    row = connection.execute(
        text(
            "SELECT q.item_id, i.ref, v.number, q.version_id, q.code, q.reason, q.at, q.intake FROM quarantine q "
            "JOIN item i ON i.id = q.item_id JOIN version v ON v.id = q.version_id WHERE q.item_id = :item ORDER BY v.number DESC LIMIT 1"
        ),
        {"item": item_id},
    ).one_or_none()
    return None if row is None else Quarantined(*row)


def hold_anew(connection: Connection, version_id: int, *, code: str, reason: str, intake: str) -> None:
    """A version in quarantine waits for something else now; since when it waits stays."""
    connection.execute(
        text("UPDATE quarantine SET code = :code, reason = :reason, intake = :intake WHERE version_id = :version"),
        {"version": version_id, "code": code, "reason": reason, "intake": intake},
    )


def settle_quarantine(connection: Connection, item_ids: Collection[str]) -> None:
    """Nothing of these items waits any more: a good version came, or an officer decided."""
    if item_ids:
        connection.execute(text("DELETE FROM quarantine WHERE item_id = :item"), [{"item": item_id} for item_id in item_ids])


def add_file(connection: Connection, sha256: bytes, size: int) -> None:
    connection.execute(
        text("INSERT INTO file (sha256, size) VALUES (:sha256, :size) ON CONFLICT DO NOTHING"), {"sha256": sha256, "size": size}
    )


def file_size(connection: Connection, sha256: bytes) -> int | None:
    """Bytes of a stored file, or None where it is not stored."""
    return connection.execute(text("SELECT size FROM file WHERE sha256 = :sha256"), {"sha256": sha256}).scalar()


def keep_copies(connection: Connection, copies: Mapping[bytes, bytes]) -> None:
    """Keep the bytes of copies that a leaf names. Their digest names them, so one that is there stays."""
    if copies:
        connection.execute(
            text("INSERT INTO copy (sha256, body) VALUES (:sha256, :body) ON CONFLICT DO NOTHING"),
            [{"sha256": sha256, "body": body} for sha256, body in copies.items()],
        )


def copy_body(connection: Connection, sha256: bytes) -> bytes | None:
    body = connection.execute(text("SELECT body FROM copy WHERE sha256 = :sha256"), {"sha256": sha256}).scalar()
    return None if body is None else bytes(body)


def labels_in_use(connection: Connection, *, at: int) -> set[int]:
    """Labels that some item has, now or later."""
    return set(connection.execute(text("SELECT DISTINCT label_id FROM portion_label WHERE until > :at"), {"at": at}).scalars())


# --- for verification -----------------------------------------------------------------------------------------------


def copies(connection: Connection) -> Iterator[tuple[bytes, bytes]]:
    """(digest, bytes) of every copy kept, a few at a time."""
    after = b""
    while rows := connection.execute(
        text("SELECT sha256, body FROM copy WHERE sha256 > :after ORDER BY sha256 LIMIT 200"), {"after": after}
    ).all():
        for row in rows:
            yield as_bytes(row[0]), as_bytes(row[1])
        after = as_bytes(rows[-1][0])


def copy_digests(connection: Connection) -> set[bytes]:
    return {as_bytes(digest) for digest in connection.execute(text("SELECT sha256 FROM copy")).scalars()}


def files(connection: Connection) -> list[tuple[bytes, int]]:
    """(digest, length) of every file."""
    return [(as_bytes(row[0]), row[1]) for row in connection.execute(text("SELECT sha256, size FROM file ORDER BY sha256"))]


def file_digests(connection: Connection) -> set[bytes]:
    return {digest for digest, _ in files(connection)}


def labels_with_digests(connection: Connection) -> list[tuple[int, bytes, str]]:
    """(id, digest, canonical JSON) of every label."""
    return [(row[0], as_bytes(row[1]), row[2]) for row in connection.execute(text("SELECT id, digest, body FROM label ORDER BY id"))]
