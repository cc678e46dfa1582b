"""What a partner gets, to the letter: shapes, headers, order, paging, cursors, and the record of each answer."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx
import pytest

from service.api.access import Access
from service.errors import ProofError
from service.identity.clients import Role
from service.releaselog.checkpoint import open_checkpoint
from service.releaselog.leaf import path_id
from service.releaselog.merkle import leaf_hash, root
from service.releaselog.receipt import verify_receipt
from service.releaselog.tiles import decode_bundle, decode_tile
from tests.support.api import CLIENTS, FORBIDDEN, NOT_FOUND, Service, copied, item, routes, service_in

LISTED = ["id", "marking", "level", "categories", "title", "copy_sha256", "visible_since"]
COPY = ["id", "marking", "level", "categories", "title", "portions"]
PORTIONS = {
    "text": ["id", "kind", "marking", "text"],
    "json": ["id", "kind", "marking", "value"],
    "file": ["id", "kind", "marking", "name", "media_type", "bytes", "sha256"],
}
FACE = {"v", "type", "event_id", "at", "client", "route", "items", "body_sha256", "result", "purpose", "seal"}
RECORD = {"partner", "outcome", "items", "labels", "bundle", "engine", "act", "at", "query", "authority"}
MOMENT = "2026-11-22T10:00:00.000000Z"
HOME = ("jpn", "ind", "gbr")


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def problem(answer: httpx.Response, status: int, code: str | None = None) -> None:
    """The answer is a problem of this status, and of this code where one is given."""
    assert (answer.status_code, answer.json()["status"]) == (status, status), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert "release-event" not in answer.headers
    if code is not None:
        assert answer.json()["code"] == code, answer.text


# --- lists ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", HOME)
def test_a_list_has_its_members_in_order_and_in_the_order_of_time(service: Service, who: str) -> None:
    answer = service.get(who, "/v1/items", params={"limit": 100})
    assert answer.status_code == 200
    page = answer.json()
    assert list(page) == ["items", "bookmark"], "`next` only where there is more"
    for entry in page["items"]:
        assert list(entry) == [name for name in LISTED if name != "title" or "title" in entry]
        assert all(isinstance(entry[name], str) for name in entry if name != "categories")
        assert entry["categories"] == sorted(set(entry["categories"]))
    places = [(entry["visible_since"], entry["id"]) for entry in page["items"]]
    assert places == sorted(places)
    assert len({entry["id"] for entry in page["items"]}) == len(page["items"]) > 10
    assert b" " not in answer.content.split(b'"marking"')[0], "compact"


def test_next_stands_only_where_there_is_more_and_bookmark_always(service: Service) -> None:
    count = len(service.list_all("jpn"))
    exact = service.get("jpn", "/v1/items", params={"limit": count}).json()
    short = service.get("jpn", "/v1/items", params={"limit": count - 1}).json()
    none = service.get("jpn", "/v1/items", params={"level": "NO SUCH LEVEL"}).json()
    assert list(exact) == ["items", "bookmark"]
    assert list(short) == ["items", "next", "bookmark"]
    assert list(none) == ["items", "bookmark"]
    assert none["items"] == []
    assert len({len(one[name]) for one in (exact, short, none) for name in ("next", "bookmark") if name in one}) == 1, "of one length"


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_pages_are_the_whole_list_without_gap_or_repeat(service: Service, limit: int) -> None:
    everything = service.get("jpn", "/v1/items", params={"limit": 100}).json()["items"]
    assert service.list_all("jpn", limit=limit) == everything


def test_paging_misses_nothing_and_repeats_nothing_while_items_are_added(empty: Service) -> None:
    empty.import_items([item(f"first/{number}") for number in range(120)])
    before = {entry["id"] for entry in empty.list_all("jpn", limit=100)}
    assert len(before) == 120
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 17}
    added = 0
    while True:
        page = empty.get("jpn", "/v1/items", params=query).json()
        seen += [entry["id"] for entry in page["items"]]
        if "next" not in page:
            break
        if added < 40:
            empty.clock.advance(seconds=1)
            empty.import_items([item(f"later/{added + number}") for number in range(10)])
            added += 10
        query["cursor"] = page["next"]
    after = [entry["id"] for entry in empty.list_all("jpn", limit=100)]
    assert seen == after
    assert before < set(seen)
    assert len(seen) == 160


def test_since_gives_what_became_visible_after_the_bookmark(empty: Service) -> None:
    empty.import_items([item(f"first/{number}") for number in range(5)])
    bookmark = empty.get("jpn", "/v1/items").json()["bookmark"]
    quiet = empty.get("jpn", "/v1/items", params={"since": bookmark}).json()
    assert quiet["items"] == []
    empty.import_items([item("later/1"), item("later/2")])
    news = empty.get("jpn", "/v1/items", params={"since": quiet["bookmark"]}).json()
    assert [entry["title"] for entry in sorted(news["items"], key=lambda entry: entry["title"])] == ["Title of later/1", "Title of later/2"]
    # What becomes releasable later is news too, though it is old.
    empty.import_items([item("secret", "SECRET//NOFORN")])
    hidden = empty.post("officer", "/v1/officer/items", {**item("kept"), "marking": "UNCLASSIFIED//NOFORN"} | _noforn("kept"))
    after = empty.get("jpn", "/v1/items", params={"since": news["bookmark"]}).json()
    shown = {entry["title"] for entry in after["items"]}
    assert shown == {"Title of secret"}, "only its title and text are marked for JPN"
    empty.relabel_as_two(hidden.json()["id"], {"marking": "(U)", "portion": None, "reason": "cleared"})
    assert [entry["id"] for entry in empty.get("jpn", "/v1/items", params={"since": after["bookmark"]}).json()["items"]] == [
        hidden.json()["id"]
    ]


def _noforn(ref: str) -> dict[str, Any]:
    return {"portions": [{"kind": "title", "marking": "(U//NOFORN)", "text": f"Title of {ref}"}]}


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ([("level", "SECRET")], lambda one: one["level"] == "SECRET"),
        ([("level", "SECRET"), ("level", "UNCLASSIFIED")], lambda one: one["level"] in ("SECRET", "UNCLASSIFIED")),
        ([("category", "MARITIME")], lambda one: "MARITIME" in one["categories"]),
        ([("category", "MARITIME"), ("category", "CYBER")], lambda one: {"MARITIME", "CYBER"} & set(one["categories"])),
        ([("level", "SECRET"), ("category", "MARITIME")], lambda one: one["level"] == "SECRET" and "MARITIME" in one["categories"]),
        ([("category", "INTEL-SOURCES")], lambda one: False),
        ([("level", "NO SUCH LEVEL")], lambda one: False),
        ([("category", "%00'; --")], lambda one: False),
        ([("level", "")], lambda one: False),
    ],
)
def test_filters_are_of_the_copy_and_a_value_that_does_not_exist_is_an_empty_page(
    service: Service, query: list[tuple[str, str]], kept: Any
) -> None:
    everything = service.list_all("jpn")
    answer = service.get("jpn", "/v1/items", params=httpx.QueryParams([*query, ("limit", "100")]))
    assert answer.json()["items"] == [one for one in everything if kept(one)]
    asked = service.entry(answer)["record"]["query"]
    assert asked == {"limit": 100} | {name: sorted({value for key, value in query if key == name}) for name, _ in query}


# --- items ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", HOME)
def test_an_item_s_body_is_the_copy_that_list_and_log_name(service: Service, who: str) -> None:
    kinds = set()
    for listed in service.list_all(who):
        answer = service.get(who, f"/v1/items/{listed['id']}")
        assert answer.status_code == 200
        copy = answer.json()
        assert sha256(answer.content) == listed["copy_sha256"]
        assert list(copy) == [name for name in COPY if name != "title" or "title" in copy]
        assert {name: copy.get(name) for name in ("id", "marking", "level", "categories", "title")} == {
            name: listed.get(name) for name in ("id", "marking", "level", "categories", "title")
        }
        for portion in copy["portions"]:
            assert list(portion) == PORTIONS[portion["kind"]]
            kinds.add(portion["kind"])
        # Of its own code and ours alone, and public communities.
        audience = copy["marking"].partition("REL TO ")[2].partition("//")[0]
        assert set(audience.split(", ")) <= {"USA", CLIENTS[who][2], "FVEY", ""}
    assert {"text", "file"} <= kinds


def test_what_is_held_back_leaves_no_trace_in_the_copy(empty: Service) -> None:
    plain = item("plain", "SECRET//NOFORN", portions=3)
    mixed = item("mixed", "SECRET//NOFORN", portions=3)
    mixed["portions"] = [
        {"kind": "text", "marking": "(S//NOFORN)", "text": "the first held back", "categories": ["INTEL-SOURCES"]},
        *mixed["portions"][:2],
        {"kind": "json", "marking": "(S//NOFORN)", "value": {"held": "back"}},
        *mixed["portions"][2:],
        {"kind": "text", "marking": "(S//NOFORN)", "text": "the last held back", "originators": ["GBR"]},
    ]
    for one in (plain, mixed):
        for number, portion in enumerate(part for part in one["portions"] if "NOFORN" not in part["marking"]):
            portion["text"] = f"released {number}"
    copies = []
    for one in (plain, mixed):
        stored = empty.post("officer", "/v1/officer/items", one).json()
        answer = empty.get("jpn", f"/v1/items/{stored['id']}")
        entry = empty.entry(answer)
        ids = [stored["id"], *(portion["id"] for portion in answer.json()["portions"])]
        text = answer.text
        for number, known in enumerate(ids):
            text = text.replace(known, f"id {number}")
        copies.append((text, entry["record"]["outcome"], len(entry["record"]["items"][0]["portions"])))
    (alone, whole, released), (beside, in_part, also) = copies
    assert alone == beside
    assert (whole, in_part) == ("release", "in_part")
    assert released == also == 4
    assert "held" not in beside


def test_the_demo_shows_items_in_part_by_the_partner_s_own_path(service: Service) -> None:
    outcomes = []
    for listed in service.list_all("jpn"):
        path = f"/v1/items/{listed['id']}"
        answer = service.get("jpn", path)
        record = service.entry(answer)["record"]
        outcomes.append(record["outcome"])
        copy = answer.json()
        shown = [portion["id"] for portion in copy["portions"]]
        (recorded,) = record["items"]
        assert [one for one in recorded["portions"] if one in shown] == shown, "in their order"
        assert len(recorded["portions"]) == len(shown) + ("title" in copy)
        assert recorded["ref"] not in answer.text
        assert service.get("officer", "/v1/officer/partners/JPN/view", params={"path": path}).json()["body"] == copy
    assert set(outcomes) == {"release", "in_part"}


def test_a_title_that_is_not_released_is_missing(empty: Service) -> None:
    hidden = item("untitled", "SECRET//NOFORN", portions=2)
    hidden["portions"][0]["marking"] = "(S//NOFORN)"
    empty.import_items([hidden])
    (listed,) = empty.list_all("jpn")
    copy = empty.get("jpn", f"/v1/items/{listed['id']}")
    assert list(listed) == [name for name in LISTED if name != "title"]
    assert list(copy.json()) == [name for name in COPY if name != "title"]
    assert "Title" not in copy.text
    assert listed["level"] == copy.json()["level"] == "UNCLASSIFIED"
    assert listed["marking"] == "UNCLASSIFIED//REL TO USA, JPN"


def test_an_item_released_whole_is_whole_or_not_at_all(empty: Service) -> None:
    mixed = item("mixed", "SECRET//NOFORN", portions=2)
    mixed["portions"][1]["marking"] = "(S//NOFORN)"
    empty.import_items([{**mixed, "ref": "a", "releasable_in": "whole"}, {**mixed, "ref": "b"}])
    (listed,) = empty.list_all("jpn")
    assert empty.entry(empty.get("jpn", f"/v1/items/{listed['id']}"))["record"]["items"][0]["ref"] == "b"


def test_json_portions_travel_unchanged(empty: Service) -> None:
    value = {"b": [1, 2.5, None, True, "é\u2028"], "a": {"": {}}}
    made = item("data") | {"portions": [{"kind": "json", "marking": "(U)", "value": value}]}
    stored = empty.post("officer", "/v1/officer/items", made).json()
    copy = empty.get("jpn", f"/v1/items/{stored['id']}").json()
    assert copy["portions"][0]["value"] == value
    assert list(copy["portions"][0]) == PORTIONS["json"]


# --- files ----------------------------------------------------------------------------------------------------------


def files_of(service: Service, who: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (listed["id"], portion)
        for listed in service.list_all(who)
        for portion in service.get(who, f"/v1/items/{listed['id']}").json()["portions"]
        if portion["kind"] == "file"
    ]


def test_a_file_is_its_bytes_sent_as_an_attachment(service: Service) -> None:
    found = files_of(service, "jpn")
    assert found
    for item_id, portion in found:
        answer = service.get("jpn", f"/v1/items/{item_id}/files/{portion['id']}")
        assert sha256(answer.content) == portion["sha256"]
        assert len(answer.content) == portion["bytes"] == int(answer.headers["content-length"])
        assert answer.headers["content-type"] == portion["media_type"]
        assert answer.headers["content-disposition"] == "attachment"
        assert answer.headers["x-content-type-options"] == "nosniff"
        entry = service.entry(answer)
        assert (entry["face"]["type"], entry["face"]["portion"]) == ("file", portion["id"])
        assert entry["face"]["items"] == [{"id": item_id, "copy_sha256": portion["sha256"]}]
        assert entry["face"]["body_sha256"] == portion["sha256"]


def test_a_portion_that_is_no_file_or_another_item_s_is_not_there(service: Service) -> None:
    (item_id, portion), *_ = files_of(service, "jpn")
    other = next(one["id"] for one in service.list_all("jpn") if one["id"] != item_id)
    text = next(one["id"] for one in service.get("jpn", f"/v1/items/{item_id}").json()["portions"] if one["kind"] != "file")
    for path in (f"{item_id}/files/{text}", f"{other}/files/{portion['id']}", f"{item_id}/files/nope", f"nope/files/{portion['id']}"):
        answer = service.get("jpn", f"/v1/items/{path}")
        assert (answer.status_code, answer.content) == (404, NOT_FOUND)
        assert service.entry(answer)["face"]["result"] == "refused"


# --- every recorded answer ------------------------------------------------------------------------------------------

STRANGE_IDS = [
    "nope", "a%2Fb", "%00", "%C3%A9", "%ff", "%2E", "%2E%2E%2F", "%3F", "%25", "-", "a" * 65, "A" * 500, "JPN", "officers", "%0A", "a+b",
]  # fmt: skip


@pytest.mark.parametrize("strange", STRANGE_IDS)
def test_whatever_is_not_visible_is_the_same_404_on_record(service: Service, strange: str) -> None:
    for path in (f"/v1/items/{strange}", f"/v1/items/{strange}/files/{strange}"):
        answer = service.get("jpn", path)
        assert (answer.status_code, answer.content) == (404, NOT_FOUND)
        assert dict(answer.headers) == {
            "content-type": "application/problem+json",
            "content-length": str(len(NOT_FOUND)),
            "cache-control": "no-store",
            "release-event": answer.headers["release-event"],
        }
        face = service.entry(answer)["face"]
        assert face["items"] == [{"id": path_id(unquote_to_bytes(strange))}]
        assert face["result"] == "refused"
        assert face["body_sha256"] == sha256(NOT_FOUND)


def test_a_withheld_item_is_the_same_404_and_only_the_record_knows(service: Service) -> None:
    hidden = next(one["id"] for one in service.list_all("gbr") if one["id"] not in {two["id"] for two in service.list_all("ind")})
    withheld, absent = service.get("ind", f"/v1/items/{hidden}"), service.get("ind", "/v1/items/" + "A" * len(hidden))
    assert withheld.content == absent.content
    assert {name: value for name, value in withheld.headers.items() if name != "release-event"} == {
        name: value for name, value in absent.headers.items() if name != "release-event"
    }
    known, unknown = service.entry(withheld), service.entry(absent)
    assert known["face"]["items"] == [{"id": hidden}]
    assert set(known["face"]) == set(unknown["face"]) == FACE
    assert known["record"]["items"][0]["id"] == hidden
    assert unknown["record"]["items"] == []
    assert unknown["record"]["outcome"] == "withhold"


RECORDED = sorted({(method, path) for method, path, access in routes() if access is Access.RECORDED})


@pytest.mark.parametrize(("method", "path"), RECORDED)
@pytest.mark.parametrize("visible", [True, False])
def test_every_response_of_a_recorded_route_is_an_entry_of_the_own_log(service: Service, method: str, path: str, visible: bool) -> None:
    (item_id, portion), *_ = files_of(service, "jpn")
    filled = path.replace("{id}", item_id if visible else "nope").replace("{portion}", portion["id"])
    before = service.size("JPN")
    answer = service.ask("jpn", method, filled)
    assert service.size("JPN") == before + 1
    assert answer.status_code == (200 if visible or "{id}" not in path else 404)
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers
    entry = service.entry(answer)
    face, record = entry["face"], entry["record"]
    assert (entry["log"], entry["index"]) == ("JPN", before)
    assert set(face) == FACE | ({"portion"} if "{portion}" in path else set())
    assert set(record) == RECORD
    got = service.get("jpn", filled)
    assert face["body_sha256"] == sha256(got.content), "of HEAD, the hash of the body GET would have"
    assert (face["v"], face["at"], face["client"], face["purpose"]) == (1, face["at"], service.client("jpn").id, "none")
    assert face["route"] == path
    assert face["type"] == {"/v1/items": "list", "/v1/items/{id}": "item"}.get(path, "file")
    assert face["result"] == ("sent" if answer.status_code == 200 else "refused")
    assert record["partner"] == "JPN"
    assert record["authority"] is None
    for one in record["items"]:
        assert set(one) == {"id", "ref", "version", "portions", "labels", "rules"}
        assert set(one["labels"]) <= set(record["labels"])
    if method == "HEAD":
        assert answer.content == b""
        same = ("content-type", "content-length", "cache-control", "content-disposition", "x-content-type-options")
        assert {name: answer.headers.get(name) for name in same} == {name: got.headers.get(name) for name in same}


@pytest.mark.parametrize("path", sorted({path for _, path in RECORDED}))
def test_range_and_conditions_are_ignored(service: Service, path: str) -> None:
    (item_id, portion), *_ = files_of(service, "jpn")
    filled = path.replace("{id}", item_id).replace("{portion}", portion["id"])
    plain = service.get("jpn", filled)
    for headers in ({"Range": "bytes=0-3"}, {"If-None-Match": "*"}, {"If-Modified-Since": "Sun, 22 Nov 2026 10:00:00 GMT"}):
        answer = service.get("jpn", filled, headers=headers)
        assert (answer.status_code, answer.content) == (200, plain.content)
        assert "content-range" not in answer.headers
        assert "accept-ranges" not in answer.headers


# --- what is refused from the request alone ---------------------------------------------------------------------------


def test_no_refusal_of_the_request_is_an_entry(service: Service) -> None:
    before = service.size("JPN")
    problem(service.get("jpn", "/v1/items?limit=0"), 422)
    problem(service.get("jpn", "/v1/items?unknown=1"), 422)
    problem(service.get("jpn", "/v1/items/x?unknown=1"), 422)
    problem(service.get(None, "/v1/items"), 401)
    problem(service.get("officer", "/v1/items"), 403)
    problem(service.post("jpn", "/v1/items", {}), 405)
    problem(service.get("jpn", "/v1/items", headers={"Purpose": "EXERCISE-OTHER"}), 403)
    assert service.size("JPN") == before


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=101", "limit=-1", "limit=", "limit=x", "limit=1.5", "limit=1&limit=2", "unknown=1", "LIMIT=1", "cursor=",
        "cursor=x&cursor=y", "q=", "q=one&q=two", "level=" + "x" * 101, "&".join("level=x" for _ in range(21)), "cursor=" + "A" * 201,
    ],
)  # fmt: skip
def test_parameters_are_read_strictly(service: Service, query: str) -> None:
    problem(service.get("jpn", f"/v1/items?{query}"), 422)


@pytest.mark.parametrize("limit", [1, 50, 100])
def test_limits_within_bounds_are_kept(service: Service, limit: int) -> None:
    page = service.get("jpn", "/v1/items", params={"limit": limit}).json()
    assert len(page["items"]) == min(limit, len(service.list_all("jpn")))


PLAIN = [
    "/v1/items/x", "/v1/items/x/files/y", "/v1/me", "/v1/log/self/checkpoint", "/v1/log/self/tile/0/000", "/v1/log/self/root-proof",
    "/v1/releases/x/receipt",
]  # fmt: skip


@pytest.mark.parametrize("path", PLAIN)
def test_a_route_without_parameters_takes_none(service: Service, path: str) -> None:
    problem(service.get("jpn", path, params={"a": "b"}), 422, "query")


def test_every_route_names_its_methods_where_another_is_used(service: Service) -> None:
    methods: dict[str, set[str]] = {}
    for method, path, _ in routes():
        methods.setdefault(path, set()).add(method)
    for path, allowed in methods.items():
        filled = path.replace("{path:path}", "0/000").replace("{", "").replace("}", "")
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - allowed:
            other = {m for p, ms in methods.items() if p != path and _fits(p, filled) for m in ms}
            if method in other:
                continue
            answer = service.ask("jpn", method, filled)
            problem(answer, 405)
            assert set(answer.headers["allow"].split(", ")) == allowed | other


def _fits(pattern: str, path: str) -> bool:
    ours, theirs = pattern.split("/"), path.split("/")
    return len(ours) == len(theirs) and all(a == b or a.startswith("{") for a, b in zip(ours, theirs, strict=True))


def test_purpose_is_one_of_the_client_s(service: Service) -> None:
    for purpose, status in (("none", 200), ("EXERCISE-KEEN", 200), ("PEACEKEEPING-UN", 403), ("", 403), ("exercise-keen", 403), ("X", 403)):
        answer = service.get("jpn", "/v1/items", headers={"Purpose": purpose})
        assert answer.status_code == status, purpose
        if status == 403:
            assert answer.content == FORBIDDEN
        else:
            assert service.entry(answer)["face"]["purpose"] == purpose


def test_a_purpose_opens_what_is_shared_for_it_and_nothing_else(empty: Service) -> None:
    made = item("keen", "SECRET//REL TO USA, IND", categories=("EXERCISE",))
    for portion in made["portions"]:
        portion["marking"] = "(S//REL TO USA, IND)"
    empty.installation.registry.add("ind-keen", Role.PARTNER, partner="IND", purposes=("EXERCISE-KEEN",))
    stored = empty.post("officer", "/v1/officer/items", made).json()
    token = empty.installation.issuer.issue(empty.installation.registry.named("ind-keen"), empty.clock())
    path = f"/v1/items/{stored['id']}"
    assert empty.get(None, path, token=token).content == NOT_FOUND
    released = empty.get(None, path, token=token, headers={"Purpose": "EXERCISE-KEEN"})
    assert released.status_code == 200
    assert empty.entry(released)["record"]["items"][0]["rules"] == ["AGR-0006"]
    assert [one["id"] for one in empty.get(None, "/v1/items", token=token, headers={"Purpose": "EXERCISE-KEEN"}).json()["items"]] == [
        stored["id"]
    ]
    assert empty.get(None, "/v1/items", token=token).json()["items"] == []


def test_a_client_that_asks_too_often_is_told_when_to_ask_again(demo_folder: Path, tmp_path: Path) -> None:
    with service_in(copied(demo_folder, tmp_path / "data"), rate_per_second=0.5, rate_burst=3) as service:
        for _ in range(3):
            assert service.get("jpn", "/v1/me").status_code == 200
        answer = service.get("jpn", "/v1/items")
        problem(answer, 429)
        assert answer.headers["retry-after"] == "2"
        assert service.get("ind", "/v1/me").status_code == 200, "each client has a bucket of its own"
        assert service.get("officer", "/v1/officer/policies").status_code == 200
        service.clock.advance(seconds=2)
        assert service.get("jpn", "/v1/items").status_code == 200
        problem(service.get("jpn", "/v1/items"), 429)


# --- cursors --------------------------------------------------------------------------------------------------------


def _tampered(cursor: str) -> list[str]:
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[3] ^= 1
    flipped = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return [flipped, cursor[:-1], cursor + "A", cursor + "=", cursor.swapcase(), "A" * len(cursor), "x", " " + cursor]


def test_a_cursor_is_of_use_to_nobody_and_nothing_else(service: Service) -> None:
    first = service.get("jpn", "/v1/items", params={"limit": 2}).json()
    good, bookmark = first["next"], first["bookmark"]
    second = service.get("jpn", "/v1/items", params={"limit": 2, "cursor": good}).json()
    assert second["items"] == service.list_all("jpn")[2:4]
    assert service.get("jpn", "/v1/items", params={"limit": 9, "cursor": good}).status_code == 200, "the limit may change on the way"
    before = service.size("JPN")
    refused = [
        service.get("jpn-second", "/v1/items", params={"cursor": good}),
        service.get("gbr", "/v1/items", params={"cursor": good}),
        service.get("jpn", "/v1/items", params={"cursor": good, "level": "SECRET"}),
        service.get("jpn", "/v1/items", params={"cursor": good, "category": "MARITIME"}),
        service.get("jpn", "/v1/items", params={"cursor": good}, headers={"Purpose": "EXERCISE-KEEN"}),
        service.get("jpn", "/v1/items", params={"cursor": bookmark}),
        service.get("jpn", "/v1/items", params={"since": good}),
        service.get("jpn-second", "/v1/items", params={"since": bookmark}),
        *(service.get("jpn", "/v1/items", params={"cursor": one}) for one in _tampered(good)),
        *(service.get("jpn", "/v1/items", params={"since": one}) for one in _tampered(bookmark)),
    ]
    for answer in refused:
        problem(answer, 422, "foreign-cursor")
    assert len({answer.content for answer in refused}) == 1, "which it was, is not said"
    problem(service.get("jpn", "/v1/items", params={"cursor": good, "since": bookmark}), 422)
    assert service.size("JPN") == before


def test_cursors_tell_nothing_and_are_stable(service: Service) -> None:
    pages = [service.get("jpn", "/v1/items", params={"limit": limit}).json() for limit in (1, 2, 3, 20)]
    assert len({len(page[name]) for page in pages for name in ("next", "bookmark")}) == 1
    again = service.get("jpn", "/v1/items", params={"limit": 3}).json()
    assert again == pages[2]


# --- retries --------------------------------------------------------------------------------------------------------


def test_a_retry_under_a_key_is_told_of_the_first_event(service: Service) -> None:
    headers = {"Idempotency-Key": "a-key-of-sixteen-or-more"}
    first = service.get("jpn", "/v1/items", headers=headers)
    again = service.get("jpn", "/v1/items", headers=headers)
    assert again.headers["release-event"] == first.headers["release-event"]
    assert again.content == first.content
    plain = service.get("jpn", "/v1/items")
    assert plain.headers["release-event"] != first.headers["release-event"]
    other = service.get("jpn-second", "/v1/items", headers=headers)
    assert other.headers["release-event"] != first.headers["release-event"]
    problem(service.get("jpn", "/v1/items?limit=3", headers=headers), 422, "idempotency-key")
    problem(service.get("jpn", "/v1/items/nope", headers=headers), 422, "idempotency-key")
    for bad in ("", "short", "x" * 15, "x" * 65, "with a space in it..", "a/slash/a/slash/a"):
        answer = service.get("jpn", "/v1/items", headers={"Idempotency-Key": bad})
        problem(answer, 422, "idempotency-key")
    service.clock.advance(hours=24, seconds=1)
    late = service.get("jpn", "/v1/items", headers=headers)
    assert late.headers["release-event"] != first.headers["release-event"]


def test_a_retry_is_decided_anew(own: Service) -> None:
    target = own.list_all("jpn")[0]["id"]
    headers = {"Idempotency-Key": "a-key-of-sixteen-or-more"}
    first = own.get("jpn", f"/v1/items/{target}", headers=headers)
    assert first.status_code == 200
    own.post("officer", f"/v1/officer/items/{target}/withdraw", {"reason": "an error"})
    again = own.get("jpn", f"/v1/items/{target}", headers=headers)
    assert (again.status_code, again.content) == (404, NOT_FOUND)
    assert again.headers["release-event"] != first.headers["release-event"]


# --- the own log ----------------------------------------------------------------------------------------------------


def test_me_says_who_we_are(service: Service) -> None:
    answer = service.get("jpn", "/v1/me")
    me = answer.json()
    assert list(me) == ["client", "partner", "role", "purposes", "log"]
    assert list(me["log"]) == ["origin", "key", "keys"] and me["log"]["keys"] == [me["log"]["key"]]
    assert (me["client"], me["partner"], me["role"]) == (service.client("jpn").id, "JPN", "partner")
    assert me["purposes"] == ["none", "EXERCISE-KEEN"]
    assert me["log"]["key"].startswith(me["log"]["origin"] + "+")
    assert answer.headers["cache-control"] == "no-store"


def test_the_own_accounting_is_summed_up_where_that_is_asked_for(service: Service) -> None:
    for path in ("/v1/items/never-1", "/v1/items/never-1", "/v1/items?limit=1", "/v1/items?limit=1"):
        service.get("gbr", path)
    faces: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for found, query in ((faces, {}), (lines, {"summary": "true", "limit": 3})):
        cursor: dict[str, Any] = {}
        while True:
            body = service.get("gbr", "/v1/releases", params={**query, **cursor}).json()
            assert list(body) in (["releases", "next"], ["releases"], ["summary", "entries", "next"], ["summary", "entries"])
            found += body.get("releases", body.get("summary"))
            if "next" not in body:
                break
            cursor = {"cursor": body["next"]}
    assert all(len(line) == len(set(line)) and line["count"] >= 1 for line in lines)
    never = [line for line in lines if line.get("id") == "never-1"]
    assert sum(line["count"] for line in never) == 2
    assert {(line["type"], line["result"]) for line in never} == {("item", "refused")}
    lists = {digest for face in faces if face["type"] == "list" and (digest := face["body_sha256"])}
    assert {line["body_sha256"] for line in lines if line["type"] == "list"} == lists
    assert sum(line["count"] for line in lines if line["type"] == "list") == sum(face["type"] == "list" for face in faces)
    size = service.size("GBR")
    service.get("gbr", "/v1/releases", params={"summary": "true"})
    assert service.size("GBR") == size, "looking at one's own log is not an entry"
    problem(service.get("gbr", "/v1/releases", params={"summary": "perhaps"}), 422)


def test_the_own_accounting_is_the_log_s_very_leaves_page_by_page(service: Service) -> None:
    events = [service.get("gbr", path).headers["release-event"] for path in ("/v1/items", "/v1/items/nope", "/v1/items?limit=1")]
    leaves = decode_bundle(service.get("gbr", f"/v1/log/self/tile/entries/000.p/{service.size('GBR')}").content)
    pages: list[httpx.Response] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        pages.append(service.get("gbr", "/v1/releases", params=query))
        body = pages[-1].json()
        assert list(body) in (["releases", "next"], ["releases"])
        if "next" not in body:
            break
        query["cursor"] = body["next"]
    faces = [face for page in pages for face in page.json()["releases"]]
    assert [json.loads(leaf) for leaf in leaves] == faces
    assert all(leaf in b"".join(page.content for page in pages) for leaf in leaves), "the very bytes"
    assert [face["event_id"] for face in faces][-3:] == events
    assert [set(face) for face in faces] == [FACE] * len(faces)
    assert {face["client"] for face in faces} == {service.client("gbr").id}
    assert service.size("GBR") == len(faces), "looking at one's own log is not an entry"
    for bad in ("x", pages[0].json()["next"][:-1], base64.urlsafe_b64encode(b"9" * 16 + b".1").decode(), "MDAwMDAwMDAwMDAwMDAwMQ=="):
        problem(service.get("gbr", "/v1/releases", params={"cursor": bad}), 422, "foreign-cursor")
    problem(service.get("gbr", "/v1/releases", params={"limit": 101}), 422)
    problem(service.get("gbr", "/v1/releases", params={"other": 1}), 422)


def test_a_receipt_proves_the_entry_to_one_who_trusts_nobody(service: Service) -> None:
    me = service.get("jpn", "/v1/me").json()["log"]
    for path in ("/v1/items", "/v1/items/nope", "/v1/items?limit=1"):
        event = service.get("jpn", path).headers["release-event"]
        answer = service.get("jpn", f"/v1/releases/{event}/receipt")
        receipt = answer.json()
        assert list(receipt) == ["event_id", "leaf", "proof", "key"]
        assert receipt["event_id"] == event == json.loads(receipt["leaf"])["event_id"]
        assert receipt["key"] == me["key"]
        proven = verify_receipt(receipt["leaf"].encode(), receipt["proof"], me["key"], origin=me["origin"])
        assert proven.index < proven.checkpoint.size == service.size("JPN")
        for leaf in (receipt["leaf"].replace('"sent"', '"none"'), receipt["leaf"] + " "):
            if leaf != receipt["leaf"]:
                with pytest.raises(ProofError):
                    verify_receipt(leaf.encode(), receipt["proof"], me["key"], origin=me["origin"])


def test_another_log_s_event_has_no_receipt_here(service: Service) -> None:
    theirs = service.get("gbr", "/v1/items").headers["release-event"]
    look = service.get("auditor", "/v1/audit/releases").headers["release-event"]
    # Its own log reaches as far as theirs: no place alone tells an event that is not its own.
    while service.size("JPN") <= max(service.size("GBR"), service.size("officers")):
        service.get("jpn", "/v1/items/nope")
    for event in (theirs, look, "nope", "%00", "%C3%A9", "a%2Fb", "x" * 400):
        answer = service.get("jpn", f"/v1/releases/{event}/receipt")
        assert (answer.status_code, answer.content) == (404, NOT_FOUND)
        assert "release-event" not in answer.headers
    assert service.get("gbr", f"/v1/releases/{theirs}/receipt").status_code == 200


def test_checkpoint_and_tiles_are_the_whole_log(own: Service) -> None:
    for number in range(260):
        own.get("jpn", f"/v1/items/nope-{number}")
    me = own.get("jpn", "/v1/me").json()["log"]
    answer = own.get("jpn", "/v1/log/self/checkpoint")
    assert answer.headers["content-type"].startswith("text/plain")
    head = open_checkpoint(answer.text, me["key"], me["origin"])
    assert head.size == 260
    first, last = (own.get("jpn", f"/v1/log/self/tile/{path}") for path in ("0/000", "0/001.p/4"))
    assert first.headers["content-type"] == "application/octet-stream"
    hashes = [*decode_tile(first.content), *decode_tile(last.content)]
    entries = [*decode_bundle(own.get("jpn", "/v1/log/self/tile/entries/000").content)]
    entries += decode_bundle(own.get("jpn", "/v1/log/self/tile/entries/001.p/4").content)
    assert [leaf_hash(entry) for entry in entries] == hashes
    assert root(hashes) == head.root
    (above,) = decode_tile(own.get("jpn", "/v1/log/self/tile/1/000.p/1").content)
    assert above == root(hashes[:256])
    for path in (
        "0/002",
        "0/001",
        "0/001.p/5",
        "1/000",
        "2/000.p/1",
        "0/000.p/256",
        "0/0",
        "x",
        "entries/001",
        "0%2F000",
        "%2E%2E/checkpoint",
    ):
        answer = own.get("jpn", f"/v1/log/self/tile/{path}")
        assert (answer.status_code, answer.content) == (404, NOT_FOUND), path


def test_every_own_answer_is_not_to_be_stored(service: Service) -> None:
    event = service.get("jpn", "/v1/items").headers["release-event"]
    assert service.installation.rootlog.append() is not None
    for method, path, access in routes():
        if access is Access.PARTNER:
            filled = path.replace("{event_id}", event).replace("{path:path}", "0/000.p/1")
            answer = service.ask("jpn", method, filled)
            assert answer.status_code == 200, path
            assert answer.headers["cache-control"] == "no-store"
            assert "release-event" not in answer.headers
