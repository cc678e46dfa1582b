"""Reviews: auditors mark entries, and each mark is a leaf of `officers`. Saved queries are kept in the same way.

Where an entry stands follows from its marks alone (`releaselog.reviews`); the table of states is derived, and `entente log verify` derives
it again. A mark goes on record in the transaction that counts it, which no other mark shares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.errors import Broken, Conflict
from service.releaselog.leaf import canonical
from service.releaselog.reviews import Mark, Review, State, marked
from service.sharing.acts import Actor, Acts
from service.sharing.audit import opened_entry
from service.sharing.ledger import OFFICERS
from service.sharing.personal import NAME, NOTE, QUERY, Texts, personal
from service.store import Connection, logs, reviews
from service.store.reviews import Reviewed, SavedQuery
from service.store.times import text_of

MARK_TYPE: Final = "review.mark"
SAVE_TYPE: Final = "query.save"


@dataclass(frozen=True, slots=True)
class Marked:
    """A mark on record: its leaf's event, and where it brought the entry."""

    event_id: str
    state: State


def mark(acts: Acts, actor: Actor, event_id: str, what: Mark, *, note: str) -> Marked:
    """Mark an entry.

    Raises:
        NotVisible: there is no such entry.
        Pruned: there was; the marks that it has stay.
        Conflict: the mark says nothing here, or is one person's word where two are needed; or the entry is itself a mark.
    """
    with acts.registering(MARK_TYPE, actor) as act:
        row = opened_entry(act.connection, event_id)
        if row.log == OFFICERS and row.type == MARK_TYPE:
            raise Conflict("an entry that is a mark is not marked, expected the entry it is about", code="review")
        review = marked(reviews.review_of(act.connection, row.log_id, row.position), what, actor.client)
        officers = logs.head(act.connection, OFFICERS)
        if officers is None:
            raise Broken("the log `officers` is missing; run `entente log verify`")
        # Marks exclude all other writers: the leaf of this one comes at the end of the log as it stands.
        reviews.put_review(act.connection, row.log_id, row.position, at=row.at, review=review, mark_position=officers.size)
        act.details.update(
            {
                "log": row.log,
                "index": row.position,
                "event_id": event_id,
                "mark": str(what),
                "note": personal(NOTE, note),
                "state": str(review.state),
            }
        )
    return Marked(act.event_id(), review.state)


def review_json(connection: Connection, one: Reviewed) -> dict[str, Any]:
    """An entry under review, with its marks as they are on record."""
    officers = logs.head(connection, OFFICERS)
    if officers is None:
        raise Broken("the log `officers` is missing; run `entente log verify`")
    told: list[dict[str, Any]] = []
    event_id = one.event_id
    rows = logs.stored_at(connection, officers.id, reviews.marks_of(connection, one.log_id, one.position))
    said = [json.loads(row.record)["details"] for row in rows]
    notes = Texts(connection, [details["note"] for details in said])
    for row, details in zip(rows, said, strict=True):
        event_id = event_id or details["event_id"]
        told.append(
            {
                "event_id": row.event_id,
                "at": text_of(row.at),
                "client": row.client,
                "mark": details["mark"],
                "note": notes.of(details["note"]),
            }
        )
    told.sort(key=lambda line: str(line["at"]))
    waiting = {} if one.review.closer is None else {"closer": one.review.closer}
    pruned = {"pruned": True} if one.event_id is None else {}
    return {
        "log": one.log, "index": one.position, "event_id": event_id, "at": text_of(one.at), "state": str(one.review.state),
        "marks": told, **waiting, **pruned,
    }  # fmt: skip


def derived(connection: Connection) -> tuple[dict[tuple[str, int], Review], list[tuple[str, int, int]], int | None]:
    """Reviews by (log, index), the marks as (log, index, position in `officers`), and the position of the first mark that may not be."""
    found: dict[tuple[str, int], Review] = {}
    marks: list[tuple[str, int, int]] = []
    for position, client, details in _marks(connection):
        place = (str(details.get("log")), int(details.get("index", -1)))
        try:
            found[place] = marked(found.get(place), Mark(str(details.get("mark"))), client)
        except (Conflict, ValueError):
            return found, marks, position
        if details.get("state") != str(found[place].state):
            return found, marks, position
        marks.append((*place, position))
    return found, marks, None


def _marks(connection: Connection) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    for row in logs.of_type(connection, OFFICERS, MARK_TYPE):
        yield row.position, row.client, json.loads(row.record).get("details", {})


# --- saved queries --------------------------------------------------------------------------------------------------


def save(acts: Acts, actor: Actor, name: str, query: Mapping[str, object]) -> str:
    """Keep a query under a name, in place of what it named before; the event of its leaf."""
    with acts.registering(SAVE_TYPE, actor) as act:
        text = canonical(dict(query)).decode("utf-8")
        reviews.save_query(act.connection, SavedQuery(name, text, actor.client, act.at))
        act.details.update({"name": personal(NAME, name), "query": personal(QUERY, text)})
    return act.event_id()


def saved_json(saved: SavedQuery) -> dict[str, Any]:
    return {"name": saved.name, "query": json.loads(saved.query), "client": saved.client, "at": text_of(saved.at)}
