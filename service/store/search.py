"""Search: an index over words in which a withheld portion is in nobody's way (DESIGN section 5, "Search").

What may be found is decided by *groups*, not here: a group is the set of labels that must all be released for a portion to be
(its own label; for an item that goes out whole, all of them), with the stretch in which that is what counts. `search_grant`
says which groups are released to which lane, and until when; it follows from the entitlements, so that a publication rewrites
grants and no text. `sharing.search` says what the rows must be, this module writes and reads them.

Every word stands in the full-text index *under its group* (`1fxdestroyer` is `destroyer` in group 31): a lane's search asks for
the word under the groups granted to it, and never meets a posting of another. The index only proposes: what it finds is looked
up in `search_row`, whose `body` (words with a space before and after each) decides, phrase and all. So SQLite (FTS5) and
PostgreSQL (`tsvector`, its lexemes given and not parsed) give the same answers.

A page is found in the order of every list in two ways, taken in turns so that neither can be made to cost much: by *walking* the
list and looking into what is walked over, which finds common words at once; and by the *index*, which finds rare ones. Both read
what is on offer and what is granted alone, so that their work says nothing of what is not.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, text

from service.store.database import insert_rows, scalar, sought
from service.store.visibility import Listed, Place, Stretch, page

INDEX_TABLES: Final = frozenset({"search_index", "search_index_data", "search_index_idx", "search_index_config"})
"""What the full-text index is kept in, and no model describes: in SQLite a virtual table and its shadows."""
_CHUNK: Final = 400
_IDS_AT_ONCE: Final = 2000
_GROUPS_AT_ONCE: Final = {"sqlite": 4000, "postgresql": 500}
_INDEXED_BYTES_MAX: Final = 1 << 19
"""A portion with more words than that is under its group alone, and looked into whenever the group is: PostgreSQL keeps at most 1 MiB of
lexemes in a row, and there are few such portions."""


@dataclass(frozen=True, slots=True)
class Group:
    """Labels, by id and sorted, that must all be released, from when until when; `from_at` is 0 where that has begun."""

    labels: tuple[int, ...]
    from_at: int
    until: int
    either: tuple[tuple[int, ...], ...] = ()
    """Of each of these, some label must be released; sorted. Where tear-lines may fill a place."""
    unless: tuple[int, ...] = ()
    """None of these may be released; sorted. Where a tear-line is shown only instead of what bears them."""

    @property
    def named(self) -> frozenset[int]:
        """Every label that the group depends on."""
        return frozenset((*self.labels, *self.unless, *(label for clause in self.either for label in clause)))


@dataclass(frozen=True, slots=True)
class Row:
    """A portion as it can be found: under which group, and its words. A space is before and after each, and a bar between strangers."""

    item_id: str
    portion_id: str
    group_id: int
    body: str


@dataclass(frozen=True, slots=True)
class RowId:
    """A row that is there."""

    id: int
    portion_id: str
    group_id: int


@dataclass(frozen=True, slots=True)
class Sought:
    """What a search looks for: `phrases` of folded words, all of which must stand in one portion, and the `words` of them."""

    words: tuple[str, ...]
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Effort:
    """How far each way is gone before the other is tried. What is found is the same whatever stands here."""

    walked_first: int = 250
    """Lines of the list."""
    indexed_first: int = 2000
    """Rows that the index proposes."""
    walked_then: int = 10_000


# --- groups and grants ----------------------------------------------------------------------------------------------


def intern_groups(connection: Connection, groups: Collection[Group]) -> tuple[dict[Group, int], dict[int, Group]]:
    """The ids of groups; and those among them that are new, by id, which want grants."""
    written = {(_members(group), group.from_at, group.until): group for group in groups}
    if not written:
        return {}, {}
    rows = [{"members": members, "from_at": from_at, "until": until} for members, from_at, until in written]
    before = int(connection.execute(text("SELECT COALESCE(MAX(id), 0) FROM search_group")).scalar_one())
    connection.execute(
        text("INSERT INTO search_group (members, from_at, until, long) VALUES (:members, :from_at, :until, 0) ON CONFLICT DO NOTHING"), rows
    )
    statement = text("SELECT id, members, from_at, until FROM search_group WHERE members IN :members").bindparams(
        bindparam("members", expanding=True)
    )
    ids: dict[Group, int] = {}
    members = sorted({one for one, _, _ in written})
    for start in range(0, len(members), _CHUNK):
        for row in connection.execute(statement, {"members": members[start : start + _CHUNK]}):
            group = written.get((row.members, row.from_at, row.until))
            if group is not None:
                ids[group] = int(row.id)
    fresh = {group_id: group for group, group_id in ids.items() if group_id > before}
    labels = [{"label": label, "group": group_id} for group_id, group in fresh.items() for label in sorted(group.named)]
    if labels:
        connection.execute(text("INSERT INTO search_group_label (label_id, group_id) VALUES (:label, :group)"), labels)
    return ids, fresh


def _members(group: Group) -> str:
    if group.either or group.unless:
        return json.dumps([group.labels, group.either, group.unless], separators=(",", ":"))
    return json.dumps(group.labels, separators=(",", ":"))


def _group(members: str, from_at: int, until: int) -> Group:
    value = json.loads(members)
    if value and isinstance(value[0], list):
        labels, either, unless = value
        return Group(tuple(labels), from_at, until, tuple(tuple(clause) for clause in either), tuple(unless))
    return Group(tuple(value), from_at, until)


def groups_with(connection: Connection, label_ids: Collection[int]) -> dict[int, Group]:
    """Groups that hold a label of these, by id."""
    statement = text(
        "SELECT DISTINCT g.id, g.members, g.from_at, g.until FROM search_group_label m JOIN search_group g ON g.id = m.group_id "
        "WHERE m.label_id IN :labels"
    ).bindparams(bindparam("labels", expanding=True))
    ordered, found = sorted(label_ids), {}
    for start in range(0, len(ordered), _CHUNK):
        for row in connection.execute(statement, {"labels": ordered[start : start + _CHUNK]}):
            found[int(row.id)] = _group(row.members, row.from_at, row.until)
    return found


def replace_grants(connection: Connection, changed: Mapping[tuple[int, int], Sequence[Stretch]], *, fresh: bool = False) -> None:
    """Put these stretches in the place of what each (lane id, group id) had; `fresh` where there was nothing."""
    if changed and not fresh:
        connection.execute(
            text("DELETE FROM search_grant WHERE group_id = :group AND lane_id = :lane"),
            [{"lane": lane, "group": group} for lane, group in changed],
        )
    rows = [
        {"lane": lane, "group": group, "from_at": stretch.from_at, "until": stretch.until}
        for (lane, group), stretches in changed.items()
        for stretch in stretches
    ]
    if rows:
        connection.execute(
            text("INSERT INTO search_grant (lane_id, group_id, from_at, until) VALUES (:lane, :group, :from_at, :until)"), rows
        )


def drop_ended_grants(connection: Connection, *, at: int) -> None:
    """Forget grants that have ended. They grant nothing; this only keeps the list of them short."""
    connection.execute(text("DELETE FROM search_grant WHERE until <= :at"), {"at": at})


# --- rows -----------------------------------------------------------------------------------------------------------


def contents(connection: Connection, portion_ids: Collection[str]) -> Iterator[tuple[str, str, str | None, bytes]]:
    """(id, kind, name, content) of portions."""
    statement = text("SELECT id, kind, name, content FROM portion WHERE id IN :ids").bindparams(bindparam("ids", expanding=True))
    ordered = list(portion_ids)
    for start in range(0, len(ordered), _CHUNK):
        for row in connection.execute(statement, {"ids": ordered[start : start + _CHUNK]}):
            yield row[0], row[1], row[2], bytes(row[3])


def rows_of(connection: Connection, item_ids: Collection[str]) -> dict[str, list[RowId]]:
    """The rows there are, by item."""
    dialect = connection.dialect.name
    sql = f"SELECT r.id, r.item_id, r.portion_id, r.group_id FROM {_listed(dialect, 'items', 'text')} l "
    statement = text(sql + _look_up(dialect, "search_row r", "r.item_id = l.value"))
    found: dict[str, list[RowId]] = {}
    for row_id, item_id, portion_id, group_id in connection.execute(statement, {"items": _values(dialect, item_ids)}):
        found.setdefault(item_id, []).append(RowId(row_id, portion_id, group_id))
    return found


def add_rows(connection: Connection, rows: Iterable[Row]) -> None:
    """Let these be found. Only inside `Database.acting`, where nobody else takes an id."""
    next_id = int(connection.execute(text("SELECT COALESCE(MAX(id), 0) + 1 FROM search_row")).scalar_one())
    written: list[tuple[object, ...]] = []
    terms: list[tuple[int, str]] = []
    long: set[int] = set()
    for row_id, row in enumerate(rows, start=next_id):
        written.append((row_id, row.item_id, row.group_id, row.portion_id, row.body))
        terms.append((row_id, _terms(row.group_id, row.body, long)))
    if not written:
        return
    insert_rows(connection, "search_row", ("id", "item_id", "group_id", "portion_id", "body"), written)
    if long:
        connection.execute(text("UPDATE search_group SET long = 1 WHERE id = :id"), [{"id": group_id} for group_id in long])
    if _is_sqlite(connection):
        insert_rows(connection, "search_index", ("rowid", "words"), terms)
    else:
        insert = "INSERT INTO search_index (id, words) VALUES (:id, array_to_tsvector(CAST(:words AS text[])))"
        connection.execute(text(insert), [{"id": row_id, "words": own.split(" ")} for row_id, own in terms])


def remove_rows(connection: Connection, row_ids: Collection[int]) -> None:
    """Let these be found no more."""
    ordered = sorted(row_ids)
    for start in range(0, len(ordered), _CHUNK):
        ids = [{"id": row_id} for row_id in ordered[start : start + _CHUNK]]
        if _is_sqlite(connection):
            # The index keeps no text of its own, and must be told what to forget.
            held = connection.execute(_BODIES, {"ids": ordered[start : start + _CHUNK]}).all()
            connection.execute(
                text("INSERT INTO search_index (search_index, rowid, words) VALUES ('delete', :id, :words)"),
                [{"id": row.id, "words": _terms(row.group_id, row.body, set())} for row in held],
            )
        else:
            connection.execute(text("DELETE FROM search_index WHERE id = :id"), ids)
        connection.execute(text("DELETE FROM search_row WHERE id = :id"), ids)


_BODIES: Final = text("SELECT id, group_id, body FROM search_row WHERE id IN :ids").bindparams(bindparam("ids", expanding=True))


def drop_rows(connection: Connection, item_id: str) -> None:
    """Let nothing of an item be found."""
    remove_rows(connection, [row.id for row in rows_of(connection, [item_id]).get(item_id, [])])


def clear(connection: Connection) -> None:
    """Forget all rows, groups and grants, to write them anew."""
    if _is_sqlite(connection):
        connection.execute(text("INSERT INTO search_index (search_index) VALUES ('delete-all')"))
    else:
        connection.execute(text("DELETE FROM search_index"))
    for table in ("search_row", "search_grant", "search_group_label", "search_group"):
        connection.execute(text(f"DELETE FROM {table}"))


def runs(connection: Connection) -> int:
    """Of how many sorted pieces the full-text index is; each is asked for every word."""
    return int(connection.execute(_RUNS).scalar_one()) if _is_sqlite(connection) else 1


def pages(connection: Connection) -> int:
    """How many pages of some 4 KiB the index takes; none that is ours to write on PostgreSQL."""
    return int(scalar(connection, "SELECT COUNT(*) FROM search_index_data")) if _is_sqlite(connection) else 0


def merge_runs(connection: Connection, *, pages: int) -> bool:
    """Write about so many pages on the way to a single run; whether there was anything to do."""
    if runs(connection) <= 1:
        return False
    connection.execute(text("INSERT INTO search_index (search_index, rank) VALUES ('merge', :pages)"), {"pages": -pages})
    return True


# Each piece is looked for behind the one before: there are a handful, in tens of thousands of rows.
_RUNS: Final = text(
    "WITH RECURSIVE run(id) AS (SELECT MIN(segid) FROM search_index_idx UNION ALL "
    "SELECT (SELECT MIN(segid) FROM search_index_idx WHERE segid > run.id) FROM run WHERE run.id IS NOT NULL) SELECT COUNT(id) FROM run"
)


def _terms(group_id: int, body: str, long: set[int]) -> str:
    """The words of a row as they stand in the index, a space between each; notes its group in `long` where that is the group alone.

    A word that stands there twice is indexed once, by either database.
    """
    prefix = f"{group_id:x}x"
    # A space stands before each word, and one behind the last.
    found = body[:-1].replace(" |", "").replace(" ", " " + prefix)[1:]
    # At most four bytes a character: what is below that bound needs no exact count.
    if 4 * len(found) > _INDEXED_BYTES_MAX and sum(len(word.encode("utf-8")) for word in set(found.split(" "))) > _INDEXED_BYTES_MAX:
        long.add(group_id)
        return prefix
    return found


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


# --- a page ---------------------------------------------------------------------------------------------------------


def found_page(
    connection: Connection,
    wanted: Sought,
    *,
    lane: int,
    at: int,
    after: Place,
    limit: int,
    levels: Sequence[int] | None = None,
    categories: Sequence[str] | None = None,
    effort: Effort | None = None,
) -> list[tuple[Listed, frozenset[str]]]:
    """As `visibility.page`, of items of which a released portion holds what is wanted: each with the ids of portions that do.

    Of the portions that do, one at least is named.
    """
    effort = effort or Effort()
    search = _Search(connection, wanted, lane, at, levels, categories)
    # (1): a short walk finds what is in many items, and all there is in a short list.
    found, reached = search.walk(after, limit=limit, lines_max=effort.walked_first)
    if reached is None or len(found) >= limit:
        return found[:limit]
    # (2): what the index proposes, if that is not much.
    proposed = search.proposed(most=effort.indexed_first)
    if proposed is None and search.asks_all():
        # Common words, each of which stands almost everywhere: together they may not.
        proposed = search.proposed(most=effort.indexed_first)
    if proposed is None:
        # (3): it is: then it does not stand far apart in most lists.
        walked, reached = search.walk(reached, limit=limit - len(found), lines_max=effort.walked_then)
        found += walked
        if reached is None or len(found) >= limit:
            return found[:limit]
        # (4): in this one it does.
        proposed = search.proposed(most=None) or []
    return found + search.placed(proposed, after=reached, limit=limit - len(found))


class _Search:
    """One search of one lane at one time."""

    def __init__(
        self,
        connection: Connection,
        wanted: Sought,
        lane: int,
        at: int,
        levels: Sequence[int] | None,
        categories: Sequence[str] | None,
    ) -> None:
        self._connection: Final = connection
        self._dialect: Final = connection.dialect.name
        # What the index proposes is looked into anyway: two words propose little, and each costs a look under every group.
        self._words: Final = sorted(wanted.words, key=lambda word: (-len(word), word))
        self._asked = self._words[:_WORDS_ASKED]
        self._lane: Final = lane
        self._at: Final = at
        self._levels: Final = levels
        self._categories: Final = categories
        self._groups: Final = {row.id: bool(row.long) for row in connection.execute(_GRANTED, {"lane": lane, "at": at})}
        self._granted: Final = self._values(self._groups)
        find = "instr" if self._dialect == "sqlite" else "strpos"
        self._holds: Final = " AND ".join(f"{find}(r.body, :phrase{number}) > 0" for number in range(len(wanted.phrases)))
        self._phrases: Final = {f"phrase{number}": f" {phrase} " for number, phrase in enumerate(wanted.phrases)}

    def walk(self, after: Place, *, limit: int, lines_max: int) -> tuple[list[tuple[Listed, frozenset[str]]], Place | None]:
        """What is found in so many lines after a place, and how far the walk came: None where that is the end of the list."""
        found: list[tuple[Listed, frozenset[str]]] = []
        stride, walked, place = 2 * limit, 0, after
        while len(found) < limit:
            stride = min(stride, lines_max - walked)
            if stride <= 0:
                return found, place
            lines = page(
                self._connection, lane=self._lane, at=self._at, after=place, limit=stride, levels=self._levels, categories=self._categories
            )
            holding = self._holding([line.item_id for line in lines])
            found += [(line, holding[line.item_id]) for line in lines if line.item_id in holding]
            if len(lines) < stride:
                return found, None
            walked += stride
            place = Place(lines[-1].visible_since, lines[-1].item_id)
            stride = min(2 * stride, _STRIDE_MAX)
        return found, place

    def _holding(self, item_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Of these items, those of which a granted portion holds what is wanted, with these portions.

        A withheld portion of an item shown in part costs a step along an index here, as it does where the item is rendered; its text is
        not read, which is what CASE is for: either database takes its parts in that order.
        """
        if self._dialect == "sqlite":
            granted = "r.group_id IN (SELECT g.value FROM json_each(:groups) g)"
        else:
            granted = "r.group_id = ANY(CAST(:groups AS bigint[]))"
        statement = text(
            f"SELECT r.item_id, r.portion_id FROM {self._listed('items', 'text')} l {self._look_up('search_row r', 'r.item_id = l.value')}"
            f"WHERE CASE WHEN {granted} THEN {self._holds} ELSE false END"
        )
        values = {"items": self._values(item_ids), "groups": self._granted, **self._phrases}
        holding: dict[str, set[str]] = {}
        for item_id, portion_id in self._connection.execute(statement, values):
            holding.setdefault(item_id, set()).add(portion_id)
        return {item_id: frozenset(portions) for item_id, portions in holding.items()}

    def asks_all(self) -> bool:
        """Ask the index for every word from now on; whether that is more than was asked."""
        fewer, self._asked = self._asked, self._words
        return len(fewer) < len(self._words)

    def proposed(self, *, most: int | None) -> list[int] | None:
        """Rows that the index proposes, by id, in no order; None where there are more than `most`."""
        proposed: list[int] = []
        groups = sorted(self._groups)
        at_once = _GROUPS_AT_ONCE[self._dialect]
        for start in range(0, len(groups), at_once):
            limit = 1 << 62 if most is None else most + 1 - len(proposed)
            proposed += self._matching(groups[start : start + at_once], limit)
            if most is not None and len(proposed) > most:
                return None
        return proposed

    def _matching(self, groups: Sequence[int], limit: int) -> list[int]:
        if self._dialect == "sqlite":
            each = json.dumps([self._expression(group, '"', " AND ", " OR ") for group in groups])
            return list(self._connection.execute(_MATCHING, {"each": each, "limit": limit}).scalars())
        query = " | ".join("(" + self._expression(group, "'", " & ", " | ") + ")" for group in groups)
        # For a common word the planner would rather walk over all rows there are, which is work for what is withheld.
        self._connection.execute(text("SET LOCAL enable_seqscan = off"))
        found = list(self._connection.execute(_MATCHING_POSTGRES, {"query": query, "limit": limit}).scalars())
        self._connection.execute(text("SET LOCAL enable_seqscan = on"))
        return found

    def _expression(self, group: int, quote: str, also: str, either: str) -> str:
        # Words hold letters, digits and marks alone, so that quotes need no escape.
        together = also.join(f"{quote}{group:x}x{word}{quote}" for word in self._asked)
        return f"({together}){either}{quote}{group:x}x{quote}" if self._groups[group] else together

    def placed(self, row_ids: Sequence[int], *, after: Place, limit: int) -> list[tuple[Listed, frozenset[str]]]:
        """The items of those of these rows that hold what is wanted: the first that stand after a place, in order."""
        # The sign keeps the order of the list out of the question: an index by it would be walked once for every row proposed.
        conditions = [self._holds, "+o.visible_since <= :at", "(+o.visible_since, o.item_id) > (:since, :after)"]
        values: dict[str, object] = {
            "lane": self._lane, "at": self._at, "since": after.visible_since, "after": after.item_id, "limit": limit, **self._phrases
        }  # fmt: skip
        if self._levels is not None:
            conditions.append(f"o.level IN (SELECT l.value FROM {self._listed('levels', 'smallint')} l)")
            values["levels"] = self._values(self._levels)
        if self._categories is not None:
            conditions.append(
                "EXISTS (SELECT 1 FROM offer_category c WHERE c.item_id = o.item_id AND c.lane_id = o.lane_id AND c.from_at <= :at "
                f"AND c.until > :at AND c.category IN (SELECT l.value FROM {self._listed('categories', 'text')} l)"
                + ("" if self._dialect == "sqlite" else " OFFSET 0")  # as in `_look_up`
                + ")"
            )
            values["categories"] = self._values(sought(category) for category in self._categories)
        # Ids hold no comma.
        portions = "group_concat(r.portion_id)" if self._dialect == "sqlite" else "string_agg(r.portion_id, ',')"
        statement = text(
            f"SELECT r.item_id, o.visible_since, o.until, {portions} FROM {self._listed('rows', 'bigint')} l "
            + self._look_up("search_row r", "r.id = l.value")
            + self._look_up("offer o", "o.item_id = r.item_id AND o.lane_id = :lane AND o.from_at <= :at AND o.until > :at")
            + f" WHERE {' AND '.join(conditions)} GROUP BY r.item_id, o.visible_since, o.until "
            "ORDER BY o.visible_since, r.item_id LIMIT :limit"
        )
        lines: dict[str, tuple[Listed, set[str]]] = {}
        for start in range(0, len(row_ids), _IDS_AT_ONCE):
            part = self._values(row_ids[start : start + _IDS_AT_ONCE])
            for item_id, visible_since, until, holding in self._connection.execute(statement, {**values, "rows": part}):
                lines.setdefault(item_id, (Listed(item_id, visible_since, until), set()))[1].update(holding.split(","))
        ordered = sorted(lines.values(), key=lambda one: (one[0].visible_since, one[0].item_id))
        return [(line, frozenset(portions)) for line, portions in ordered[:limit]]

    def _listed(self, name: str, kind: str) -> str:
        return _listed(self._dialect, name, kind)

    def _look_up(self, what: str, condition: str) -> str:
        return _look_up(self._dialect, what, condition)

    def _values(self, values: Iterable[object]) -> object:
        return _values(self._dialect, values)


_STRIDE_MAX: Final = 1000
_WORDS_ASKED: Final = 2
_GRANTED: Final = text(
    "SELECT g.id, g.long FROM search_grant s JOIN search_group g ON g.id = s.group_id "
    "WHERE s.lane_id = :lane AND s.from_at <= :at AND s.until > :at"
)
_MATCHING: Final = text("SELECT x.rowid FROM json_each(:each) e CROSS JOIN search_index x ON x.search_index MATCH e.value LIMIT :limit")
_MATCHING_POSTGRES: Final = text("SELECT id FROM search_index WHERE words @@ CAST(:query AS tsquery) LIMIT :limit")


# A list of any length is one value, so that a statement's text does not tell how long it was, and is prepared once.


def _listed(dialect: str, name: str, kind: str) -> str:
    return f"json_each(:{name})" if dialect == "sqlite" else f"(SELECT unnest(CAST(:{name} AS {kind}[])) AS value)"


def _look_up(dialect: str, what: str, condition: str) -> str:
    """Join what is looked up for every row so far, in the order written. A planner's other ways read tables from end to end."""
    if dialect == "sqlite":
        return f"CROSS JOIN {what} ON {condition} "
    # What has an offset is not merged into the statement around it, and so is done once for each row of that.
    alias = what.rpartition(" ")[2]
    return f"JOIN LATERAL (SELECT {alias}.* FROM {what} WHERE {condition} OFFSET 0) {alias} ON true "


def _values(dialect: str, values: Iterable[object]) -> object:
    return json.dumps(list(values)) if dialect == "sqlite" else list(values)
