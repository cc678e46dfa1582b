"""What is stored, as `policy.holdings` wants it: items grouped by label set, and how many portions bear which label.

Grouped by the database, so that what is sent up is what differs, and not a row per portion. Withdrawn items and versions in quarantine are
not in force and not among it. Every portion has a label at every moment: timelines are written without gaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

from sqlalchemy import Connection, bindparam, text

from service.policy.holdings import Group, GroupRow, Holdings, items_digest

_HELD: Final = """
WITH compiled AS (
    SELECT DISTINCT c.portion_id AS item_id FROM portion_label c JOIN item i ON i.id = c.portion_id WHERE c.until > :at
), held AS (
    SELECT t.label_set_id, CASE WHEN v.whole = 1 OR k.item_id IS NOT NULL THEN 1 ELSE 0 END AS strict,
        CASE WHEN t.from_at < :at THEN :at ELSE t.from_at END AS from_at, t.until, t.item_id, v.id AS version_id
    FROM item_label_set t JOIN item i ON i.id = t.item_id JOIN version v ON v.item_id = i.id AND v.number = i.version
    LEFT JOIN compiled k ON k.item_id = t.item_id
    WHERE t.until > :at AND i.withdrawn_at IS NULL
)
"""
_ITEMS: Final = text(_HELD + "SELECT label_set_id, strict, from_at, until, item_id FROM held ORDER BY 1, 2, 3, 4, 5")
_PORTIONS: Final = text(
    _HELD
    + """
SELECT h.label_set_id, h.strict, h.from_at, h.until, l.label_id,
    CASE WHEN l.from_at < h.from_at THEN h.from_at ELSE l.from_at END AS begins,
    CASE WHEN l.until > h.until THEN h.until ELSE l.until END AS ends, COUNT(*)
FROM held h JOIN version_portion vp ON vp.version_id = h.version_id
JOIN portion_label l ON l.portion_id = vp.portion_id AND l.from_at < h.until AND l.until > h.from_at
GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
)
_COMPILATIONS: Final = text(
    _HELD
    + """
SELECT h.label_set_id, h.strict, h.from_at, h.until, l.label_id,
    CASE WHEN l.from_at < h.from_at THEN h.from_at ELSE l.from_at END AS begins,
    CASE WHEN l.until > h.until THEN h.until ELSE l.until END AS ends, 0
FROM compiled k CROSS JOIN held h JOIN portion_label l ON l.portion_id = k.item_id AND l.from_at < h.until AND l.until > h.from_at
WHERE h.item_id = k.item_id
GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
)
# `CROSS JOIN`, so that SQLite begins with the few items that have a compilation.
_ITEMS_OF: Final = text(
    """
SELECT t.item_id FROM item_label_set t JOIN item i ON i.id = t.item_id JOIN version v ON v.item_id = i.id AND v.number = i.version
WHERE t.label_set_id IN :sets AND t.until = :until AND CASE WHEN t.from_at < :at THEN :at ELSE t.from_at END = :from_at
    AND i.withdrawn_at IS NULL AND t.item_id > :after AND :strict = CASE WHEN v.whole = 1
        OR EXISTS (SELECT 1 FROM portion_label c WHERE c.portion_id = t.item_id AND c.until > :at) THEN 1 ELSE 0 END
ORDER BY t.item_id LIMIT :limit
"""
).bindparams(bindparam("sets", expanding=True))
_CHUNK: Final = 400


def read_holdings(connection: Connection, label_ids: Sequence[int], *, at: int) -> Holdings:
    """All that is in force from `at` on.

    Args:
        label_ids: the id of each label of the columns it will be looked at with, in their order.

    Raises:
        Broken: a portion has a label that is not among them.
    """
    return Holdings(_groups(connection, at=at), _portions(connection, at=at), label_ids)


def items_of(connection: Connection, groups: Sequence[Group], *, at: int, after: str = "", limit: int) -> list[str]:
    """Ids of the items in these groups, in order, after an id: at most `limit`.

    Args:
        groups: of holdings read with the same `at`.
    """
    alike: dict[tuple[bool, int, int], list[int]] = {}
    for group in groups:
        alike.setdefault((group.strict, group.from_at, group.until), []).append(group.label_set)
    found: set[str] = set()
    for (strict, from_at, until), sets in alike.items():
        for start in range(0, len(sets), _CHUNK):
            values = {
                "sets": sets[start : start + _CHUNK], "strict": int(strict), "from_at": from_at, "until": until, "at": at, "after": after,
                "limit": limit,
            }  # fmt: skip
            found.update(connection.execute(_ITEMS_OF, values).scalars())
    return sorted(found)[:limit]


def _groups(connection: Connection, *, at: int) -> Iterator[GroupRow]:
    rows = connection.execute(_ITEMS, {"at": at})
    for key, own in groupby(rows, key=itemgetter(0, 1, 2, 3)):
        item_ids = [row[4] for row in own]
        label_set, strict, from_at, until = key
        yield GroupRow(Group(label_set, strict == 1, from_at, until), len(item_ids), items_digest(item_ids))


def _portions(connection: Connection, *, at: int) -> Iterator[Sequence[int]]:
    for statement in (_PORTIONS, _COMPILATIONS):
        yield from connection.execute(statement, {"at": at})
