"""Two worlds, searched: what a withheld portion holds can be found by nobody, nor told from what is found (promise 4).

Every search is made three ways: over HTTP as a partner would, and twice as a value, by the walk alone and by the index alone, as a
store of this size would never need the index. What the index's own tables are asked for is left out of the comparison: how many pieces
it is in moves with every act, as the depth of any index does, and not with what an act was about.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from service.sharing.asks import Asker, ListAsk
from service.sharing.gate import Prepared
from service.sharing.words import read_query
from service.store.search import Effort
from tests.support.worlds import JPN, Base, Differs, Request, World
from tests.support.worlds_story import DIFFERENCES, MANY, NOTHING, TORN_ONCE, Difference, tell
from tests.support.worlds_trace import ROWS_MAX, Recorder, Statement, TracedPair, traced_pair_of

SEARCHED = {
    "item",
    "item-whole-for-one-part",
    "item-by-compilation",
    "item-under-embargo",
    "portion-of-text-as-one-shown",
    "portion-of-file",
    "value-in-a-json-portion",
    "versions-of-withheld-portions",
    "versions-in-quarantine",
}
QUERIES = (
    "part", "two", '"part is for two"', "this", "words", '"other words"', "hidden", "truth",
    "not", '"not for them"', "map", '"map png"', "secret",
    "png second", "half", "marked", "title", "a", "b", "comes", "Later tomorrow",
    "corrected", "anyone water", "1", "6",
)  # fmt: skip
FOUND = {"part", "two", '"part is for two"', "this", "words", "map", '"map png"', "png second", "half", "title", "a", "corrected"}
"""Queries that find something in either world, so that it is not silence that is compared."""
WAYS = {
    "by-walking": Effort(walked_first=1000),
    "by-the-index": Effort(walked_first=0, indexed_first=1000, walked_then=0),
    "by-both": Effort(walked_first=1, indexed_first=0, walked_then=1),
}


class SearchedPair(TracedPair):
    """Asks as a value too, where the effort can be named."""

    def search(self, query: str, effort: Effort, **more: int) -> Prepared:
        self.tick()
        for recorder in self.recorders:
            recorder.take()
        one, other = (_prepared(world, query, effort, **more) for world in (self.without, self.having))
        self.twin.same(one.body, other.body, f"q={query}")
        self._compare(*(_ours(recorder) for recorder in self.recorders), f"q={query} {effort}")
        return one


def _prepared(world: World, query: str, effort: Effort, *, limit: int = 50) -> Prepared:
    client, installation = world.clients[JPN], world.installation
    asker = Asker(JPN, "none", client.id, JPN)
    sought = read_query(query)
    ask = ListAsk(
        asker, installation.copies, "/v1/items", None, limit=limit, q=query, sought=sought, cursors=installation.cursors, effort=effort
    )
    return installation.gate.prepare(ask)


def _ours(recorder: Recorder) -> list[Statement]:
    """Statements that are ours; SQLite shows those that an index asks of its own tables as comments."""
    return [statement for statement in recorder.take() if not statement.text.startswith("-- ")]


@pytest.mark.parametrize("difference", [*(one for one in DIFFERENCES if one.name in SEARCHED), MANY, TORN_ONCE], ids=str)
def test_no_search_tells_whether_it_is_there(difference: Difference, base: Base, tmp_path: Path) -> None:
    with traced_pair_of(base, tmp_path, kind=SearchedPair) as pair:
        tell(pair, difference)
        pair.restart()
        for query in QUERIES:
            _find(pair, query)
        _page(pair, "this")
        # What is under an embargo until tomorrow is found then, in both.
        pair.tick(timedelta(hours=14))
        for query in QUERIES[::3]:
            _find(pair, query)
        _page(pair, "this")
        for query in ("part", "hidden", "this"):
            for effort in WAYS.values():
                for limit in (1, 3):
                    pair.search(query, effort, limit=limit)
        assert pair.work.requests > len(QUERIES)
        assert pair.work.rows <= ROWS_MAX


def _find(pair: SearchedPair, query: str) -> None:
    answer, _ = pair.ask(Request("GET", "/v1/items", f"q={quote(query, safe='')}&limit=3"))
    assert answer.status == 200
    if query in FOUND:
        assert b'"id"' in answer.body, query


def _page(pair: SearchedPair, query: str) -> None:
    """Page by page to the end, and again from each bookmark."""
    places: list[tuple[str, str]] = []
    one, other = pair.ask(Request("GET", "/v1/items", f"q={query}&limit=1"))
    for _ in range(6):
        places.append((_member(one.body, "bookmark") or "", _member(other.body, "bookmark") or ""))
        found = [_member(answer.body, "next") for answer in (one, other)]
        assert (found[0] is None) is (found[1] is None)
        if found[0] is None or found[1] is None:
            break
        one, other = pair.ask(*(Request("GET", "/v1/items", f"q={query}&limit=1&cursor={place}") for place in found))
    assert len(places) > 1
    for mine, theirs in places:
        pair.ask(*(Request("GET", "/v1/items", f"q={query}&since={place}") for place in (mine, theirs)))


def _member(body: bytes, name: str) -> str | None:
    _, found, after = body.decode("utf-8").partition(f'"{name}":"')
    return after.partition('"')[0] if found else None


def _grant_too_much(world: World) -> None:
    """Every group to the partner, as if the index were wrong."""
    with world.installation.database.acting() as connection:
        connection.exec_driver_sql(
            "INSERT INTO search_grant (lane_id, group_id, from_at, until) "
            "SELECT l.id, g.id, 0, 9000000000000000 FROM lane l, search_group g WHERE l.partner = 'JPN' "
            "AND NOT EXISTS (SELECT 1 FROM search_grant s WHERE s.lane_id = l.id AND s.group_id = g.id)"
        )


def test_the_comparison_sees_a_search_that_looks_into_what_is_withheld(base: Base, tmp_path: Path) -> None:
    with traced_pair_of(base, tmp_path, kind=SearchedPair) as pair:
        tell(pair, next(one for one in DIFFERENCES if one.name == "item"))
        _grant_too_much(pair.having)
        pair.restart()
        with pytest.raises(Differs, match=r"statements are run|rows are stepped over"):
            pair.search("hidden", WAYS["by-the-index"])


def test_what_a_grant_too_many_finds_is_still_not_shown(base: Base, tmp_path: Path) -> None:
    """The index is not a permission: the policy decides on what it finds, portion by portion."""
    with traced_pair_of(base, tmp_path, kind=SearchedPair) as pair:
        tell(pair, NOTHING)
        _grant_too_much(pair.without)
        for effort in WAYS.values():
            assert b'"items":[]' in _prepared(pair.without, '"part is for one"', effort).body
            assert b'"items":[]' in _prepared(pair.without, "nor", effort).body
            assert b'"id"' in _prepared(pair.without, '"part is for two"', effort).body
