"""Reviews, saved queries, and looks that were repeated, in the database. What they mean is said in `releaselog.reviews` and `sharing`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from service.releaselog.reviews import Review, State
from service.store.database import sought
from service.store.logs import TILE_HASHES, Position


@dataclass(frozen=True, slots=True)
class Reviewed:
    """An entry under review; without its event where the entry was pruned."""

    log: str
    log_id: int
    position: int
    at: int
    event_id: str | None
    review: Review


def review_of(connection: Connection, log_id: int, position: int) -> Review | None:
    row = connection.execute(
        text("SELECT state, closer FROM review WHERE log_id = :log AND position = :position"), {"log": log_id, "position": position}
    ).one_or_none()
    return None if row is None else Review(State(row[0]), row[1])


def put_review(connection: Connection, log_id: int, position: int, *, at: int, review: Review, mark_position: int) -> None:
    """Write where a mark brought an entry, and that the mark is at this position of `officers`."""
    connection.execute(
        text(
            "INSERT INTO review (log_id, position, at, state, closer) VALUES (:log, :position, :at, :state, :closer) "
            "ON CONFLICT (log_id, position) DO UPDATE SET state = excluded.state, closer = excluded.closer"
        ),
        {"log": log_id, "position": position, "at": at, "state": str(review.state), "closer": review.closer},
    )
    connection.execute(
        text("INSERT INTO review_mark (log_id, position, mark_position) VALUES (:log, :position, :mark)"),
        {"log": log_id, "position": position, "mark": mark_position},
    )


def reviews(connection: Connection, *, state: str | None, before: Position | None, limit: int) -> list[Reviewed]:
    """Entries under review, in one state or in any, newest entry first."""
    place = before or Position(1 << 62, 0, 0)
    states = [state] if state is not None else [str(one) for one in State]
    found: list[Reviewed] = []
    for one in states:
        rows = connection.execute(
            text(
                "SELECT g.name, r.log_id, r.position, r.at, e.event_id, r.state, r.closer FROM review r JOIN log g ON g.id = r.log_id "
                "LEFT JOIN log_entry e ON e.log_id = r.log_id AND e.position = r.position "
                "WHERE r.state = :state AND (r.at, r.log_id, r.position) < (:at, :log, :position) "
                "ORDER BY r.at DESC, r.log_id DESC, r.position DESC LIMIT :limit"
            ),
            {"state": one, "at": place.at, "log": place.log_id, "position": place.position, "limit": limit},
        )
        for log, log_id, position, at, event_id, found_state, closer in rows:
            found.append(Reviewed(log, log_id, position, at, event_id, Review(State(found_state), closer)))
    return sorted(found, key=lambda one: (one.at, one.log_id, one.position), reverse=True)[:limit]


def marks_of(connection: Connection, log_id: int, position: int) -> list[int]:
    """The positions in `officers` of an entry's marks, oldest first."""
    rows = connection.execute(
        text("SELECT mark_position FROM review_mark WHERE log_id = :log AND position = :position ORDER BY mark_position"),
        {"log": log_id, "position": position},
    )
    return list(rows.scalars())


def all_reviews(connection: Connection) -> list[tuple[int, int, bool, str, str | None]]:
    """(log id, position, whether its time is the entry's, or one that a pruned entry can have had; state, closer) rows."""
    rows = connection.execute(
        text(
            "SELECT r.log_id, r.position, COALESCE(r.at = e.at, r.at BETWEEN p.first_at AND p.last_at), r.state, r.closer FROM review r "
            "LEFT JOIN log_entry e ON e.log_id = r.log_id AND e.position = r.position "
            f"LEFT JOIN pruned p ON p.log_id = r.log_id AND p.tile = r.position / {TILE_HASHES} ORDER BY r.log_id, r.position"
        )
    )
    return [(row[0], row[1], bool(row[2]), row[3], row[4]) for row in rows]


def all_marks(connection: Connection) -> list[tuple[int, int, int]]:
    """(log id, position, position of the mark) rows."""
    rows = connection.execute(text("SELECT log_id, position, mark_position FROM review_mark ORDER BY mark_position, log_id, position"))
    return [(row[0], row[1], row[2]) for row in rows]


# --- saved queries --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """A query kept under a name, as canonical JSON; who saved it last, and when."""

    name: str
    query: str
    client: str
    at: int


def save_query(connection: Connection, saved: SavedQuery) -> None:
    connection.execute(
        text(
            "INSERT INTO saved_query (name, query, client, at) VALUES (:name, :query, :client, :at) "
            "ON CONFLICT (name) DO UPDATE SET query = excluded.query, client = excluded.client, at = excluded.at"
        ),
        {"name": saved.name, "query": saved.query, "client": saved.client, "at": saved.at},
    )


def saved_queries(connection: Connection, *, after: str = "", limit: int) -> list[SavedQuery]:
    """By name, those after a name."""
    rows = connection.execute(
        text("SELECT name, query, client, at FROM saved_query WHERE name > :after ORDER BY name LIMIT :limit"),
        {"after": sought(after), "limit": limit},
    )
    return [SavedQuery(*row) for row in rows]


def saved_query(connection: Connection, name: str) -> SavedQuery | None:
    row = connection.execute(
        text("SELECT name, query, client, at FROM saved_query WHERE name = :name"), {"name": sought(name)}
    ).one_or_none()
    return None if row is None else SavedQuery(*row)


# --- looks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """The last leaf of a look, and how often it was repeated since without one."""

    at: int
    event_id: str
    repeats: int


def look_of(connection: Connection, client: str, query_sha256: bytes) -> Look | None:
    row = connection.execute(
        text("SELECT at, event_id, repeats FROM look WHERE client = :client AND query_sha256 = :sha256"),
        {"client": client, "sha256": query_sha256},
    ).one_or_none()
    return None if row is None else Look(*row)


def repeat_look(connection: Connection, client: str, query_sha256: bytes) -> None:
    connection.execute(
        text("UPDATE look SET repeats = repeats + 1 WHERE client = :client AND query_sha256 = :sha256"),
        {"client": client, "sha256": query_sha256},
    )


def ended_looks(connection: Connection, client: str, *, until: int, limit: int) -> Sequence[Look]:
    """Looks of a client whose time was over by then, oldest first, taken out of the table: they are named in the leaf that is next."""
    ended = text(
        "SELECT query_sha256, at, event_id, repeats FROM look WHERE client = :client AND at <= :until ORDER BY at, event_id LIMIT :limit"
    )
    rows = connection.execute(ended, {"client": client, "until": until, "limit": limit}).all()
    for row in rows:
        connection.execute(text("DELETE FROM look WHERE client = :client AND query_sha256 = :sha256"), {"client": client, "sha256": row[0]})
    return [Look(*row[1:]) for row in rows]


def keep_look(connection: Connection, client: str, query_sha256: bytes, *, at: int, event_id: str) -> None:
    connection.execute(
        text(
            "INSERT INTO look (client, query_sha256, at, event_id, repeats) VALUES (:client, :sha256, :at, :event, 0) "
            "ON CONFLICT (client, query_sha256) DO UPDATE SET at = excluded.at, event_id = excluded.event_id, repeats = 0"
        ),
        {"client": client, "sha256": query_sha256, "at": at, "event": event_id},
    )
