"""What is on offer to whom, kept ready: lanes, entitlements, offers (DESIGN section 5).

All of it is derived: `sharing.visibility` says what the rows must be, this module writes and reads them. A withheld item has
no row here, so no query over offers can be slowed, moved or counted by it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, text

from service.store.database import insert_rows, sought


@dataclass(frozen=True, slots=True)
class Lane:
    """A partner and a purpose."""

    id: int
    partner: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when until when, in microseconds, `until` exclusive."""

    from_at: int
    until: int


@dataclass(frozen=True, slots=True)
class Offer:
    """An item as a lane sees it over a stretch: where it stands in the order, and its copy's level and categories."""

    from_at: int
    until: int
    visible_since: int
    level: int
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in the order of a list: after this item."""

    visible_since: int
    item_id: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of a page. `until` is when the offer ends."""

    item_id: str
    visible_since: int
    until: int


@dataclass(frozen=True, slots=True)
class Unshared:
    """An item that a lane is offered and was never sent."""

    lane: Lane
    item_id: str
    ref: str
    visible_since: int


START: Final = Place(0, "")
_CHUNK: Final = 400


def lanes(connection: Connection) -> list[Lane]:
    return [Lane(*row) for row in connection.execute(text("SELECT id, partner, purpose FROM lane ORDER BY id"))]


def add_lane(connection: Connection, partner: str, purpose: str) -> Lane | None:
    """Make a lane; None where it is there already."""
    lane_id = connection.execute(
        text("INSERT INTO lane (partner, purpose) VALUES (:partner, :purpose) ON CONFLICT DO NOTHING RETURNING id"),
        {"partner": partner, "purpose": purpose},
    ).scalar()
    return None if lane_id is None else Lane(int(lane_id), partner, purpose)


def lane_id(connection: Connection, partner: str, purpose: str) -> int:
    """The id of a lane, or 0, which no lane has."""
    found = connection.execute(_LANE, {"partner": partner, "purpose": purpose}).scalar()
    return 0 if found is None else int(found)


_LANE: Final = text("SELECT id FROM lane WHERE partner = :partner AND purpose = :purpose")


def entitlements(connection: Connection, label_ids: Collection[int]) -> dict[tuple[int, int], list[Stretch]]:
    """Stretches by (lane id, label id) of these labels, in order."""
    found: dict[tuple[int, int], list[Stretch]] = {}
    statement = text(
        "SELECT lane_id, label_id, from_at, until FROM entitlement WHERE label_id IN :labels ORDER BY from_at"
    ).bindparams(bindparam("labels", expanding=True))  # fmt: skip
    ordered = sorted(label_ids)
    for start in range(0, len(ordered), _CHUNK):
        for lane, label, from_at, until in connection.execute(statement, {"labels": ordered[start : start + _CHUNK]}):
            found.setdefault((lane, label), []).append(Stretch(from_at, until))
    return found


def replace_entitlements(connection: Connection, changed: Mapping[tuple[int, int], Sequence[Stretch]]) -> None:
    """Put these stretches in the place of what each (lane id, label id) had."""
    if not changed:
        return
    connection.execute(
        text("DELETE FROM entitlement WHERE label_id = :label AND lane_id = :lane"),
        [{"lane": lane, "label": label} for lane, label in changed],
    )
    rows = [
        {"lane": lane, "label": label, "from_at": stretch.from_at, "until": stretch.until}
        for (lane, label), stretches in changed.items()
        for stretch in stretches
    ]
    if rows:
        connection.execute(
            text("INSERT INTO entitlement (lane_id, label_id, from_at, until) VALUES (:lane, :label, :from_at, :until)"), rows
        )


def items_with_labels(connection: Connection, label_ids: Collection[int], *, at: int) -> set[str]:
    """Items that have, now or later, a label of these."""
    found: set[str] = set()
    statement = text(
        "SELECT DISTINCT p.item_id FROM portion_label l JOIN portion p ON p.id = l.portion_id "
        "WHERE l.label_id IN :labels AND l.until > :at "
        "UNION SELECT i.id FROM portion_label l JOIN item i ON i.id = l.portion_id WHERE l.label_id IN :labels AND l.until > :at"
    ).bindparams(bindparam("labels", expanding=True))
    ordered = sorted(label_ids)
    for start in range(0, len(ordered), _CHUNK):
        found.update(connection.execute(statement, {"labels": ordered[start : start + _CHUNK], "at": at}).scalars())
    return found


def replace_offers(connection: Connection, offers: Iterable[tuple[int, str, Sequence[Offer]]], *, fresh: bool = False) -> None:
    """Put these offers in the place of what each (lane id, item id) had; `fresh` where there was nothing."""
    pairs: list[dict[str, object]] = []
    rows: list[tuple[object, ...]] = []
    category_rows: list[tuple[object, ...]] = []
    for lane, item, stretches in offers:
        if not fresh:
            pairs.append({"lane": lane, "item": item})
        for offer in stretches:
            row = (lane, item, offer.from_at, offer.until, offer.visible_since, offer.level)
            rows.append(row)
            for category in offer.categories:
                category_rows.append((*row, category))
    if pairs:
        connection.execute(text("DELETE FROM offer WHERE item_id = :item AND lane_id = :lane"), pairs)
        connection.execute(text("DELETE FROM offer_category WHERE item_id = :item AND lane_id = :lane"), pairs)
    columns = ("lane_id", "item_id", "from_at", "until", "visible_since", "level")
    insert_rows(connection, "offer", columns, rows)
    insert_rows(connection, "offer_category", (*columns, "category"), category_rows)


def drop_offers(connection: Connection, item_id: str) -> None:
    """Take an item out of every list."""
    connection.execute(text("DELETE FROM offer WHERE item_id = :item"), {"item": item_id})
    connection.execute(text("DELETE FROM offer_category WHERE item_id = :item"), {"item": item_id})


def drop_ended_offers(connection: Connection, *, at: int) -> None:
    """Forget offers that have ended. They are in no list; this only keeps the lists short to walk."""
    connection.execute(text("DELETE FROM offer WHERE until <= :at"), {"at": at})
    connection.execute(text("DELETE FROM offer_category WHERE until <= :at"), {"at": at})


_OFFER: Final = text(
    "SELECT from_at, until, visible_since FROM offer WHERE item_id = :item AND lane_id = :lane AND from_at <= :at AND until > :at"
)


def offer_of(connection: Connection, *, lane: int, item_id: str, at: int) -> tuple[int, int, int] | None:
    """(from, until, visible_since) of an item for a lane at a time, or None where it is not visible."""
    row = connection.execute(_OFFER, {"lane": lane, "item": item_id, "at": at}).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


_IN_ORDER: Final = (
    "(visible_since, item_id) > (:since, :after) AND visible_since <= :at AND from_at <= :at AND until > :at "
    "ORDER BY visible_since, item_id LIMIT :limit"
)


def page(
    connection: Connection,
    *,
    lane: int,
    at: int,
    after: Place,
    limit: int,
    levels: Sequence[int] | None = None,
    categories: Sequence[str] | None = None,
) -> list[Listed]:
    """A stretch of a lane's list in order, after a place: at most `limit` lines.

    Args:
        levels: places on the ladder, any of; None for no filter.
        categories: any of; None for no filter.

    The statement depends on the filters asked alone. Each combination walks an index of its own in order, so that lines
    that do not match cost nothing; the walks are merged here.
    """
    parameters: dict[str, object] = {"lane": lane, "at": at, "since": after.visible_since, "after": after.item_id, "limit": limit}
    walks: list[tuple[str, dict[str, object]]] = []
    for level in [None] if levels is None else levels:
        for category in [None] if categories is None else categories:
            table = "offer" if category is None else "offer_category"
            conditions = "lane_id = :lane AND "
            conditions += "" if category is None else "category = :category AND "
            conditions += "" if level is None else "level = :level AND "
            sql = f"SELECT item_id, visible_since, until FROM {table} WHERE {conditions}{_IN_ORDER}"
            walks.append((sql, {**parameters, "category": None if category is None else sought(category), "level": level}))
    lines: dict[tuple[int, str], Listed] = {}
    for sql, values in walks:
        for item_id, visible_since, until in connection.execute(text(sql), values):
            line = lines.get((visible_since, item_id))
            lines[visible_since, item_id] = Listed(item_id, visible_since, until if line is None else min(until, line.until))
    return [lines[key] for key in sorted(lines)[:limit]]


_FIRST: Final = text(
    "SELECT visible_since, item_id, until FROM offer WHERE lane_id = :lane AND until > :at ORDER BY visible_since, item_id LIMIT 1"
)


def first_to_come(connection: Connection, *, lane: int, at: int) -> tuple[Place, int] | None:
    """A place in a lane's list before which all has ended, and how long that is worth knowing: until when what stands first there is
    offered. None where nothing is offered from `at` on.

    It goes on being such a place until another act. A day on which many labels change leaves as many offers that have ended, and a page
    that begins before them walks over every one.
    """
    row = connection.execute(_FIRST, {"lane": lane, "at": at}).one_or_none()
    # Behind the place stand what is first, and at most some of what has ended.
    return None if row is None else (Place(row.visible_since, row.item_id[:-1]), row.until)


_UNSHARED: Final = """
SELECT o.item_id, i.ref, o.visible_since FROM offer o JOIN item i ON i.id = o.item_id
WHERE o.lane_id = :lane AND (o.visible_since, o.item_id) {after} (:since, :after)
    AND o.visible_since <= :at AND o.from_at <= :at AND o.until > :at AND NOT EXISTS (
        SELECT 1 FROM log_item n JOIN log g ON g.id = n.log_id AND g.name = :partner
        JOIN log_entry e ON e.log_id = n.log_id AND e.position = n.position
        WHERE n.item_id = o.item_id AND n.version > 0 AND e.type IN ('item', 'file') AND e.result = 'sent'
    )
ORDER BY o.visible_since, o.item_id LIMIT :limit
"""
_UNSHARED_AFTER: Final = {strictly: text(_UNSHARED.format(after=">" if strictly else ">=")) for strictly in (True, False)}


def unshared(connection: Connection, lanes: Sequence[Lane], *, after: tuple[int, int, str], at: int, limit: int) -> list[Unshared]:
    """What lanes are offered at a time and their partner was never sent, by (visible since, item, lane), after such a place.

    Lists do not count as sent, as they hold no content but titles. Each lane's walk is of its own index, in order, and they are merged.

    Args:
        after: (visible since, lane id, item id) of the last line before.
    """
    since, last_lane, item_id = after
    found: list[Unshared] = []
    for lane in lanes:
        parameters = {"lane": lane.id, "partner": lane.partner, "since": since, "after": sought(item_id), "at": at, "limit": limit}
        rows = connection.execute(_UNSHARED_AFTER[lane.id <= last_lane], parameters)
        found += [Unshared(lane, row[0], row[1], row[2]) for row in rows]
    return sorted(found, key=lambda one: (one.visible_since, one.item_id, one.lane.id))[:limit]


# --- for rebuilding and verification --------------------------------------------------------------------------------


def clear(connection: Connection) -> None:
    """Forget all entitlements and offers, to write them anew. Lanes stay."""
    for table in ("entitlement", "offer", "offer_category"):
        connection.execute(text(f"DELETE FROM {table}"))


def all_offers(connection: Connection, *, at: int) -> list[tuple[int, str, int, int, int, int]]:
    """(lane id, item id, from, until, visible_since, level) of every offer that has not ended, by lane, item and time."""
    rows = connection.execute(
        text(
            "SELECT lane_id, item_id, from_at, until, visible_since, level FROM offer WHERE until > :at ORDER BY lane_id, item_id, from_at"
        ),
        {"at": at},
    )
    return [(row[0], row[1], row[2], row[3], row[4], row[5]) for row in rows]
