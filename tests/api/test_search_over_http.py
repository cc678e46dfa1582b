"""`GET /v1/items?q=`: what is found, in which order, what is refused, and who gets to read what was looked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from service.settings import SEARCH_QUERY_CHARACTERS_MAX
from tests.support.api import NOT_FOUND, Service, copied, service_in
from tests.support.personal import entry_in_words

JPN, NF, OPEN = "(S//REL TO USA, JPN)", "(S//NF)", "(U)"


def text(marking: str, words: str, **more: Any) -> dict[str, Any]:
    return {"kind": "text", "marking": marking, "text": words, **more}


def item(ref: str, *portions: dict[str, Any], **more: Any) -> dict[str, Any]:
    common = {"ref": ref, "marking": "SECRET//NOFORN", "categories": ["MARITIME"], "releasable_in": "portions"}
    return {**common, "portions": list(portions), **more}


def title(marking: str, words: str) -> dict[str, Any]:
    return {"kind": "title", "marking": marking, "text": words}


def stock(service: Service) -> None:
    digest = hashlib.sha256(b"a chart").hexdigest()
    assert service.ask("officer", "PUT", f"/v1/officer/files/{digest}", content=b"a chart").status_code in (200, 201)
    chart = {"kind": "file", "marking": OPEN, "sha256": digest, "name": "harbour_chart.pdf", "media_type": "application/pdf"}
    for one in (
        item("one", title(OPEN, "Port visit to Gdańsk"), text(JPN, "The frigate sails at dawn."), text(NF, "Its escort: a submarine.")),
        item("two", title(OPEN, "Another visit"), text(NF, "The frigate stays."), chart),
        item("three", {"kind": "json", "marking": OPEN, "value": {"vessel": "frigate", "note": "dawn patrol"}}),
        item("whole", text(OPEN, "frigate at dawn"), text(NF, "not this"), releasable_in="whole"),
        item("later", text(OPEN, "frigate of tomorrow", not_before={"*": "2026-11-23"})),
    ):
        service.import_items([one])
        service.clock.advance(seconds=1)


@pytest.fixture(scope="module")
def stocked(plain_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Shared by the tests that only look."""
    with service_in(copied(plain_folder, tmp_path_factory.mktemp("stocked") / "data")) as opened:
        stock(opened)
        yield opened


@pytest.fixture
def mine(empty: Service) -> Service:
    """For one test that acts, or moves the clock."""
    stock(empty)
    return empty


def refs(service: Service, who: str, q: str, **more: Any) -> list[str]:
    """The officer's refs of what is found, in order."""
    by_id = {one["id"]: one["ref"] for one in _items(service)}
    return [by_id[line["id"]] for line in service.list_all(who, q=q, **more)]


def _items(service: Service) -> list[dict[str, str]]:
    with service.installation.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT id, ref FROM item").all()
    return [{"id": row[0], "ref": row[1]} for row in rows]


@pytest.mark.parametrize(
    ("who", "q", "found"),
    [
        pytest.param("jpn", "frigate", ["one", "three"], id="in-what-is-released"),
        pytest.param("ind", "frigate", ["three"], id="to-whom-it-is-released"),
        pytest.param("jpn", "FRIGATE dawn", ["one", "three"], id="all-words-in-one-portion-in-any-order-and-case"),
        pytest.param("jpn", '"frigate sails"', ["one"], id="a-phrase"),
        pytest.param("jpn", '"sails frigate"', [], id="a-phrase-in-its-order"),
        pytest.param("jpn", "gdansk frigate", [], id="not-in-two-portions"),
        pytest.param("jpn", "gdansk", ["one"], id="without-accents"),
        pytest.param("jpn", "harbour", ["two"], id="the-name-of-a-file"),
        pytest.param("jpn", "chart", ["two"], id="but-not-what-is-in-it"),
        pytest.param("jpn", "vessel", ["three"], id="the-name-of-a-member"),
        pytest.param("jpn", "submarine", [], id="not-in-what-is-withheld"),
        pytest.param("jpn", "stays", [], id="not-in-what-is-withheld-of-what-is-shown"),
        pytest.param("jpn", "this", [], id="not-in-what-goes-out-whole"),
        pytest.param("jpn", "tomorrow", [], id="not-before-its-time"),
        pytest.param("jpn", "frigat", [], id="whole-words"),
        pytest.param("jpn", "frig*", [], id="no-prefixes"),
        pytest.param("jpn", "one", [], id="never-by-the-officers-ref"),
        pytest.param("jpn", "MARITIME", [], id="never-by-a-category"),
        pytest.param("jpn", "nothing OR frigate", [], id="no-operators"),
    ],
)
def test_it_finds_released_portions_only(stocked: Service, who: str, q: str, found: list[str]) -> None:
    assert refs(stocked, who, q) == found
    assert sorted(refs(stocked, who, q, limit=1)) == sorted(found)


def test_what_is_released_from_tomorrow_on_is_found_from_tomorrow_on_without_a_job(mine: Service) -> None:
    # It was stocked in five seconds.
    mine.clock.advance(hours=13, minutes=59, seconds=54)
    assert refs(mine, "jpn", "tomorrow") == []
    mine.clock.advance(seconds=1)
    assert refs(mine, "jpn", "tomorrow") == ["later"]


def test_lines_are_those_of_every_list_in_its_order(stocked: Service) -> None:
    plain = stocked.list_all("jpn")
    found = stocked.list_all("jpn", q="dawn")
    assert found == [line for line in plain if line in found]
    assert len(found) == 2


def test_it_combines_with_filters_cursors_and_bookmarks(mine: Service) -> None:
    assert refs(mine, "jpn", "frigate", level="SECRET") == ["one"]
    assert refs(mine, "jpn", "frigate", level="UNCLASSIFIED", category="MARITIME") == ["three"]
    assert refs(mine, "jpn", "frigate", category="AIR") == []
    first = mine.get("jpn", "/v1/items", params={"q": "frigate", "limit": 1}).json()
    second = mine.get("jpn", "/v1/items", params={"q": "frigate", "limit": 1, "cursor": first["next"]}).json()
    assert [len(page["items"]) for page in (first, second)] == [1, 1]
    assert "next" not in second
    assert mine.get("jpn", "/v1/items", params={"q": "frigate", "since": second["bookmark"]}).json()["items"] == []
    mine.clock.advance(minutes=1)
    mine.import_items([item("four", text(OPEN, "A frigate more.")), item("five", text(OPEN, "A cutter."))])
    assert refs(mine, "jpn", "frigate", since=second["bookmark"]) == ["four"]


def test_a_place_is_bound_to_what_is_looked_for(stocked: Service) -> None:
    page = stocked.get("jpn", "/v1/items", params={"q": "frigate dawn", "limit": 1}).json()
    for others in ({"q": "frigate"}, {}, {"q": '"frigate dawn"'}, {"q": "frigate dawn", "level": "SECRET"}):
        for name, place in (("cursor", page["next"]), ("since", page["bookmark"])):
            answer = stocked.get("jpn", "/v1/items", params={**others, name: place})
            assert (answer.status_code, answer.json()["title"]) == (422, "Unprocessable Entity")
    plain = stocked.get("jpn", "/v1/items", params={"limit": 1}).json()
    assert stocked.get("jpn", "/v1/items", params={"q": "frigate", "cursor": plain["next"]}).status_code == 422
    # The same words in other case or order are the same search.
    assert stocked.get("jpn", "/v1/items", params={"q": "DAWN frigate", "limit": 1, "cursor": page["next"]}).status_code == 200


REFUSED = ["", " ", "!?*", '"', '"open', "x" * (SEARCH_QUERY_CHARACTERS_MAX + 1), "a " * 40, '""', "\x00", "\u0301"]


@pytest.mark.parametrize("q", REFUSED)
def test_a_query_that_asks_for_nothing_or_too_much_is_422_and_no_leaf(stocked: Service, q: str) -> None:
    before = stocked.size("JPN")
    for method in ("GET", "HEAD"):
        answer = stocked.ask("jpn", method, f"/v1/items?q={quote(q, safe='')}")
        assert answer.status_code == 422
        assert "release-event" not in answer.headers
        assert "open" not in answer.text.replace("openapi", "")
        for word in ("sqlite", "fts5", "tsquery", "syntax", "MATCH"):
            assert word.lower() not in answer.text.lower()
    assert stocked.size("JPN") == before


@pytest.mark.parametrize("query", ["q=a&q=b", "q=a&Q=b", "q=a&words=b", "q[]=a"])
def test_q_stands_once_and_by_its_name(stocked: Service, query: str) -> None:
    assert stocked.get("jpn", f"/v1/items?{query}").status_code == 422


@pytest.mark.parametrize(
    "q",
    [
        "AND", "NOT a", "a NEAR/2 b", "words : a", "{words} : a", "a* ^b", "(a", "a) OR (b",
        "a & b | !c <-> d", "'a':*", "a\\", "a''b", "%_a", "$$a$$",
        "search_index MATCH a", '"a" + "b"', "-a", "column:a", "1x1", "\U0002fa1d", "a\x00b", "𝐟𝐫𝐢𝐠𝐚𝐭𝐞", ":param", "{0}",
    ],
)  # fmt: skip
def test_nothing_in_a_query_means_anything_to_a_database(stocked: Service, q: str) -> None:
    answer = stocked.get("jpn", f"/v1/items?q={quote(q, safe='')}")
    assert answer.status_code == 200
    assert answer.headers["release-event"]


def test_what_was_looked_for_is_for_auditors_and_in_no_face(stocked: Service) -> None:
    q = 'Frigate "AT dawn"'
    answer = stocked.get("jpn", "/v1/items", params={"q": q, "limit": 7})
    entry = stocked.entry(answer)
    assert entry_in_words(entry)["query"] == {"limit": 7, "q": q}
    assert "rigate" not in json.dumps(entry["record"])
    assert entry["record"]["outcome"] == "release"
    face = json.dumps(entry["face"])
    assert "rigate" not in face and "dawn" not in face
    assert "rigate" not in stocked.get("jpn", "/v1/releases").text
    position = int(entry["index"])
    assert "rigate" not in stocked.get("jpn", f"/v1/log/self/tile/entries/000.p/{position + 1}").text
    assert "rigate" not in str(answer.headers)


def test_an_empty_page_is_on_record_like_any_other(stocked: Service) -> None:
    before = stocked.size("JPN")
    answer = stocked.get("jpn", "/v1/items", params={"q": "submarine"})
    assert answer.json()["items"] == []
    assert set(answer.json()) == {"items", "bookmark"}
    assert stocked.size("JPN") == before + 1
    entry = stocked.entry(answer)
    assert entry["face"]["items"] == []
    assert entry["record"]["items"] == []


def test_a_retry_is_told_of_the_first_event_and_another_search_under_its_key_is_refused(mine: Service) -> None:
    headers = {"Idempotency-Key": "search-key-of-the-tests"}
    first, again = (mine.get("jpn", "/v1/items", params={"q": "frigate"}, headers=headers) for _ in range(2))
    assert (first.content, first.headers["release-event"]) == (again.content, again.headers["release-event"])
    assert mine.get("jpn", "/v1/items", params={"q": "dawn"}, headers=headers).status_code == 422


def test_a_view_finds_what_the_partner_finds_and_leaves_nothing_in_its_log(stocked: Service) -> None:
    before = stocked.size("JPN")
    seen = stocked.get("officer", "/v1/officer/partners/JPN/view", params={"path": "/v1/items?q=frigate"}).json()
    assert stocked.size("JPN") == before
    own = stocked.get("jpn", "/v1/items", params={"q": "frigate"}).json()
    assert seen["status"] == 200
    assert seen["body"]["items"] == own["items"]


def test_acts_change_what_is_found(mine: Service) -> None:
    by_ref = {one["ref"]: one["id"] for one in _items(mine)}
    version = item("one", title(OPEN, "Port visit"), text(JPN, "The cutter sails."), text(NF, "The frigate too."))
    assert mine.post("officer", f"/v1/officer/items/{by_ref['one']}/versions", version).status_code in (200, 201)
    assert refs(mine, "jpn", "frigate") == ["three"]
    assert refs(mine, "jpn", "cutter") == ["one"]
    assert refs(mine, "jpn", "dawn") == ["three"]  # an older version is not found
    answer = mine.post("officer", f"/v1/officer/items/{by_ref['three']}/withdraw", {"reason": "a test"})
    assert answer.status_code in (200, 201), answer.text
    assert refs(mine, "jpn", "frigate") == []
    unmarked = item("six", {"kind": "text", "text": "A corvette that nobody marked."})
    mine.import_items([unmarked])
    assert refs(mine, "jpn", "corvette") == []
    mine.post("officer", "/v1/officer/partners/JPN/suspend", {"reason": "a test"})
    assert refs(mine, "jpn", "cutter") == []
    mine.post("officer", "/v1/officer/partners/JPN/resume", {"reason": "a test"})
    assert refs(mine, "jpn", "cutter") == ["one"]


def test_a_purpose_searches_its_own_lane(stocked: Service) -> None:
    assert stocked.get("jpn", "/v1/items", params={"q": "frigate"}, headers={"Purpose": "EXERCISE-KEEN"}).status_code == 200
    assert stocked.get("jpn", "/v1/items", params={"q": "frigate"}, headers={"Purpose": "NO-SUCH"}).status_code == 403


def test_other_routes_take_no_q(stocked: Service) -> None:
    item_id = _items(stocked)[0]["id"]
    assert stocked.get("jpn", f"/v1/items/{item_id}?q=a").status_code == 422
    assert stocked.get("jpn", "/v1/items/absent").content == NOT_FOUND
