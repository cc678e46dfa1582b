"""Why portions got other labels: what acts wrote beside the timelines, and the history of an item's labels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, text


@dataclass(frozen=True, slots=True)
class Relabelled:
    """A portion (or, by the item's id, all of an item) given another label by an act; `at` in microseconds. See `RelabelRow`."""

    act: int
    portion_id: str
    item_id: str
    at: int
    client: str
    reason: str
    proposal: int | None = None
    approver: str | None = None


@dataclass(frozen=True, slots=True)
class Began:
    """A label that a portion had, has or will have. `marking` is the one the portion first came with, word by word."""

    portion_id: str
    kind: str
    marking: str
    from_at: int
    until: int
    label_id: int


@dataclass(frozen=True, slots=True)
class Named:
    """An entry of our own log that names an item: what was done, by whom, when."""

    at: int
    type: str
    client: str
    event_id: str


def add(connection: Connection, rows: Sequence[Relabelled]) -> None:
    """Write why. Only inside `Database.acting`."""
    if rows:
        connection.execute(
            text(
                "INSERT INTO relabel (act, portion_id, item_id, at, client, reason, proposal, approver) "
                "VALUES (:act, :portion, :item, :at, :client, :reason, :proposal, :approver)"
            ),
            [
                {
                    "act": row.act, "portion": row.portion_id, "item": row.item_id, "at": row.at, "client": row.client,
                    "reason": row.reason, "proposal": row.proposal, "approver": row.approver,
                }
                for row in rows
            ],
        )  # fmt: skip


def of_item(connection: Connection, item_id: str) -> list[Relabelled]:
    """What officers decided about an item's labels, oldest first."""
    rows = connection.execute(
        text(
            "SELECT act, portion_id, item_id, at, client, reason, proposal, approver FROM relabel WHERE item_id = :item "
            "ORDER BY at, portion_id"
        ),
        {"item": item_id},
    )
    return [Relabelled(*row) for row in rows]


def labels_of(connection: Connection, item_id: str) -> list[Began]:
    """Every label of every portion an item ever had, and of its compilation, by first version, position and time."""
    rows = connection.execute(
        text(
            "SELECT p.id, p.kind, vp.marking, l.from_at, l.until, l.label_id FROM version v "
            "JOIN version_portion vp ON vp.version_id = v.id JOIN portion p ON p.id = vp.portion_id "
            "JOIN portion_label l ON l.portion_id = p.id WHERE v.item_id = :item ORDER BY v.number, vp.position, l.from_at"
        ),
        {"item": item_id},
    )
    # A portion stands in every version in which it did not change; the first says what it came with.
    first: dict[tuple[str, int], Began] = {}
    for row in rows:
        first.setdefault((row[0], row[3]), Began(*row))
    found = list(first.values())
    whole = connection.execute(
        text("SELECT from_at, until, label_id FROM portion_label WHERE portion_id = :item ORDER BY from_at"), {"item": item_id}
    )
    return [*found, *(Began(item_id, "compilation", "", row[0], row[1], row[2]) for row in whole)]


def acts_about(connection: Connection, item_id: str, *, log: str, types: Collection[str]) -> list[Named]:
    """What was done with an item by acts of these types, oldest first: the entries of a log that name it."""
    rows = connection.execute(
        text(
            "SELECT e.at, e.type, e.client, e.event_id FROM log_item n JOIN log g ON g.id = n.log_id AND g.name = :log "
            "JOIN log_entry e ON e.log_id = n.log_id AND e.position = n.position "
            "WHERE n.item_id = :item AND e.type IN :types ORDER BY e.at, e.position"
        ).bindparams(bindparam("types", expanding=True)),
        {"item": item_id, "log": log, "types": sorted(types)},
    )
    return [Named(*row) for row in rows]
