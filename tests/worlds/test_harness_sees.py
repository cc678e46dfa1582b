"""The harness sees: the product is broken on purpose, in memory, and two worlds are told apart every time.

The only place where the product is patched: a harness that has never found anything proves nothing.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from service.api import responses
from service.releaselog.leaf import canonical
from service.sharing import gate, visibility
from service.sharing.asks import ItemAsk, ListAsk
from service.store import catalogue
from service.store.visibility import Offer
from tests.support.worlds import Answer, Base, Differs, Pair, Twin, pair_of
from tests.support.worlds_drive import Drive, document, operations
from tests.support.worlds_story import DIFFERENCES, MANY, Difference, tell
from tests.support.worlds_trace import TracedPair

Patch = pytest.MonkeyPatch


def _difference(name: str) -> Difference:
    return next(one for one in DIFFERENCES if one.name == name)


@contextmanager
def _told(base: Base, folder: Path, difference: Difference, kind: type[Pair] = Pair) -> Iterator[Drive]:
    with pair_of(base, folder, kind=kind) as pair:
        tell(pair, difference)
        if isinstance(pair, TracedPair):
            pair.restart()
        yield Drive(pair, base, lambda asked: difference.between(pair.having, asked))


def _with_body(prepared: gate.Prepared, body: bytes) -> gate.Prepared:
    return dataclasses.replace(prepared, body=body, body_sha256=gate.digest_of(body))


def _withheld(prepared: gate.Prepared) -> bool:
    return prepared.status == 404 and prepared.record["items"] != b"[]"


def _changed(patch: Patch, ask: type[Any], change: Callable[[Any, gate.Prepared], gate.Prepared]) -> None:
    """Change what an ask prepares."""
    prepare = ask.prepare

    def changed(self: Any, connection: Any, state: Any, world: Any, *, at: int) -> gate.Prepared:
        return change(connection, prepare(self, connection, state, world, at=at))

    patch.setattr(ask, "prepare", changed)


def _count(connection: Any) -> int:
    return int(connection.execute(text("SELECT COUNT(*) FROM item")).scalar_one())


def _total_of_a_list(patch: Patch) -> None:
    _changed(patch, ListAsk, lambda connection, it: _with_body(it, it.body[:-1] + b',"total":%d}' % _count(connection)))


def _longer_bookmark(patch: Patch) -> None:
    _changed(patch, ListAsk, lambda connection, it: _with_body(it, it.body[:-2] + b"A" * (_count(connection) // 4) + b'"}'))


def _filled_page_that_ends_early(patch: Patch) -> None:
    _changed(patch, ListAsk, lambda connection, it: _with_body(it, it.body.replace(b'"next"', b'"more"')) if _count(connection) > 9 else it)


def _forbidden_in_place_of_not_found(patch: Patch) -> None:
    _changed(patch, ItemAsk, lambda _, it: dataclasses.replace(it, status=403) if _withheld(it) else it)


def _other_words_for_withheld(patch: Patch) -> None:
    body = b'{"type":"about:blank","title":"Not found","status":404}'
    _changed(patch, ItemAsk, lambda _, it: _with_body(it, body) if _withheld(it) else it)


def _header_for_withheld(patch: Patch) -> None:
    init = responses.RecordedResponse.__init__

    def changed(self: Any, released: gate.Released, ask: Any, *, head: bool = False) -> None:
        init(self, released, ask, head=head)
        if _withheld(released.prepared):
            self.headers["x-try-again"] = "tomorrow"

    patch.setattr(responses.RecordedResponse, "__init__", changed)


def _face_that_says_withheld(patch: Patch) -> None:
    draft = gate._draft

    def changed(ask: Any, prepared: gate.Prepared, state: Any) -> Any:
        made = draft(ask, prepared, state)
        return dataclasses.replace(made, result="withheld") if _withheld(prepared) else made

    patch.setattr(gate, "_draft", changed)


def _face_that_names_other_bytes(patch: Patch) -> None:
    # Of the right length and kind, but not the digest of what was sent.
    draft = gate._draft

    def changed(ask: Any, prepared: gate.Prepared, state: Any) -> Any:
        made = draft(ask, prepared, state)
        return dataclasses.replace(made, items=canonical([{"id": "A" * 22}])) if _withheld(prepared) else made

    patch.setattr(gate, "_draft", changed)


def _place_that_moves_with_what_is_withheld(patch: Patch) -> None:
    offers = visibility.offers

    def changed(item: catalogue.ItemTimeline, *rest: Any, at: int) -> tuple[Offer, ...]:
        latest = max(changed_at for changed_at, _ in item.portions)
        return tuple(dataclasses.replace(one, visible_since=max(one.visible_since, latest)) for one in offers(item, *rest, at=at))

    def whole(shapes: Any, _: object) -> Any:
        """What is withheld is left out before offers are made; here it is not."""
        return enumerate(shapes._items)

    patch.setattr(visibility._Shapes, "seen_by", whole)
    patch.setattr(visibility, "offers", changed)


SEEN = [
    pytest.param(_total_of_a_list, "item", "bytes|content-length", id="a-total"),
    pytest.param(_longer_bookmark, "item", "bytes|content-length", id="a-longer-bookmark"),
    pytest.param(_filled_page_that_ends_early, "item-of-files", "body", id="a-page-boundary"),
    pytest.param(_forbidden_in_place_of_not_found, "item", "status 404 and 403", id="403-in-place-of-404"),
    pytest.param(_other_words_for_withheld, "item-by-compilation", "body", id="other-words"),
    pytest.param(_header_for_withheld, "item", "headers", id="a-header"),
    pytest.param(_face_that_says_withheld, "item", "releases|entries", id="a-face-of-the-own-log"),
    pytest.param(_face_that_names_other_bytes, "item", "releases|entries", id="an-id-in-the-own-log"),
    pytest.param(_place_that_moves_with_what_is_withheld, "versions-of-withheld-portions", "visible_since|T10:", id="visible-since"),
]


@pytest.mark.parametrize(("breaks", "name", "seen"), SEEN)
def test_two_worlds_are_told_apart(
    breaks: Callable[[Patch], None], name: str, seen: str, base: Base, tmp_path: Path, monkeypatch: Patch
) -> None:
    breaks(monkeypatch)
    with _told(base, tmp_path, _difference(name)) as drive, pytest.raises(Differs, match=seen):
        drive.everything(few=True)


def _one_statement_more(patch: Patch) -> None:
    evidence = catalogue.evidence

    def changed(connection: Any, item_id: str, *, at: int) -> Any:
        found = evidence(connection, item_id, at=at)
        if found is not None:
            connection.execute(text("SELECT ref FROM item WHERE id = :id"), {"id": item_id}).all()
        return found

    patch.setattr(catalogue, "evidence", changed)


def _a_walk_over_all(patch: Patch) -> None:
    evidence = catalogue.evidence

    def changed(connection: Any, item_id: str, *, at: int) -> Any:
        connection.execute(text("SELECT ref FROM item WHERE withdrawn_at = -1")).all()
        return evidence(connection, item_id, at=at)

    patch.setattr(catalogue, "evidence", changed)


@pytest.mark.parametrize(
    ("breaks", "seen"),
    [
        pytest.param(_one_statement_more, "statements are run", id="a-statement-more"),
        pytest.param(_a_walk_over_all, "rows are stepped over", id="a-walk-over-all-items"),
    ],
)
def test_more_work_is_seen(breaks: Callable[[Patch], None], seen: str, base: Base, tmp_path: Path, monkeypatch: Patch) -> None:
    breaks(monkeypatch)
    with _told(base, tmp_path, MANY, TracedPair) as drive, pytest.raises(Differs, match=seen):
        drive.plain()
        drive.by_path(few=True)


def test_a_route_added_tomorrow_is_driven_tomorrow(base: Base, tmp_path: Path) -> None:
    described = copy.deepcopy(document())
    described["paths"]["/v1/notices/{notice}/parts/{part}"] = {"get": {}, "post": {}}
    described["paths"]["/v1/notices"] = {"get": {"parameters": [{"in": "query", "name": "topic", "schema": {"type": "string"}}]}}
    with pair_of(base, tmp_path) as pair:
        tell(pair, _difference("item"))
        drive = Drive(pair, base, lambda _: None, described)
        drive.plain()
        drive.by_path(few=True, again=True)
        drive.by_query(few=True)
    assert drive.driven == operations(described)
    assert len(operations(described)) == len(operations(document())) + 3


def _ids(letters: str) -> bytes:
    return json.dumps([letter * 22 for letter in letters]).encode("ascii")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(b'{"id":"aaaaaaaaaaaaaaaaaaaaaa"}', b'{"id":"bbbbbbbbbbbbbbbbbbbbbbb"}', id="a-longer-id"),
        pytest.param(_ids("aa"), _ids("bc"), id="two-for-one"),
        pytest.param(_ids("bc"), _ids("aa"), id="one-for-two"),
        pytest.param(b"words-that-differ-and-are-long-aaa", b"words-that-differ-and-are-long-bbb", id="no-known-kind"),
        pytest.param(b"2026-11-22T10:00:00.000000Z", b"2026-11-22T10:00:00.000001Z", id="a-time"),
        pytest.param(b'{"a":1,"b":2}', b'{"b":2,"a":1}', id="an-order"),
        pytest.param(bytes(range(200, 232)) * 2, bytes(range(201, 233)) + bytes(range(202, 234)), id="a-tile"),
    ],
)  # fmt: skip
def test_a_difference_is_one(one: bytes, other: bytes) -> None:
    with pytest.raises(Differs):
        Twin().compare(Answer(200, (), one, (len(one),)), Answer(200, (), other, (len(other),)), "here")


def test_what_is_random_is_mapped_and_stays_so() -> None:
    twin = Twin()
    twin.same(_ids("ac"), _ids("bd"), "first")
    twin.same(_ids("ca"), _ids("db"), "later")
    with pytest.raises(Differs, match="was"):
        twin.same(_ids("a"), _ids("d"), "swapped")
