"""What an officer does over HTTP, what comes back, and what a partner sees of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.policy import digest_of
from service.settings import FILE_BYTES_MAX, REQUEST_BODY_BYTES_MAX
from tests.support.api import FILES, NOT_FOUND, Service, item
from tests.support.personal import entry_in_words

TEXTS = {name: content.decode() for name, content in FILES.items() if name != "README.md"}
DIGEST = digest_of(FILES)


def ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def problem(answer: httpx.Response, status: int, code: str) -> str:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    detail: str = answer.json()["detail"]
    return detail


def titles(service: Service, who: str) -> set[str]:
    return {entry["title"] for entry in service.list_all(who)}


# --- items ----------------------------------------------------------------------------------------------------------


def test_an_item_is_stored_and_shown(empty: Service) -> None:
    stored = ok(empty.post("officer", "/v1/officer/items", item("a/1")), 201)
    assert stored == {"id": stored["id"], "ref": "a/1", "result": "stored", "version": 1}
    assert [entry["id"] for entry in empty.list_all("jpn")] == [stored["id"]]
    (act,) = empty.entries(log="officers", type="item.create")
    assert act["face"]["client"] == empty.client("officer").id
    assert act["face"]["route"] == "/v1/officer/items"
    assert act["face"]["items"] == [{"id": stored["id"]}]
    assert (act["face"]["result"], act["face"]["body_sha256"], act["record"]["outcome"]) == ("done", None, "done")
    assert problem(empty.post("officer", "/v1/officer/items", item("a/1")), 409, "ref-exists") == "`a/1` is stored already"


def test_what_is_not_marked_waits_in_quarantine(empty: Service) -> None:
    unmarked = item("q/1")
    unmarked["portions"][1]["marking"] = ""
    stored = ok(empty.post("officer", "/v1/officer/items", unmarked), 201)
    assert stored["result"] == "quarantined"
    assert (stored["code"], stored["message"]) == ("unmarked", "portion 1: it bears no marking")
    assert empty.list_all("jpn") == []
    assert empty.get("jpn", f"/v1/items/{stored['id']}").content == NOT_FOUND
    answer = empty.get("officer", "/v1/officer/quarantine")
    held = ok(answer)
    assert list(held) == ["quarantine"]
    assert held["quarantine"] == [
        {
            "id": stored["id"],
            "ref": "q/1",
            "version": 1,
            "code": "unmarked",
            "reason": "portion 1: it bears no marking",
            "at": held["quarantine"][0]["at"],
            "markings": [
                {"portion": "item", "kind": "item", "marking": "UNCLASSIFIED"},
                {"portion": "0", "kind": "title", "marking": "(U)"},
                {"portion": "1", "kind": "text", "marking": ""},
            ],
        }
    ]
    look = empty.entry(answer)
    assert (look["log"], look["face"]["type"], look["face"]["items"]) == ("officers", "look.quarantine", [{"id": stored["id"]}])


def test_the_quarantine_is_paged(service: Service) -> None:
    everything = ok(service.get("officer", "/v1/officer/quarantine", params={"limit": 100}))["quarantine"]
    assert len(everything) > 5
    paged: list[Any] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = ok(service.get("officer", "/v1/officer/quarantine", params=query))
        paged += page["quarantine"]
        if "next" not in page:
            break
        query["cursor"] = page["next"]
    assert paged == everything
    problem(service.get("officer", "/v1/officer/quarantine", params={"cursor": "x"}), 422, "foreign-cursor")
    problem(service.get("officer", "/v1/officer/quarantine", params={"limit": 101}), 422, "parameter")
    problem(service.get("officer", "/v1/officer/quarantine", params={"who": "me"}), 422, "parameter")


def test_a_new_version_takes_the_place_of_the_old_and_keeps_what_did_not_change(empty: Service) -> None:
    stored = ok(empty.post("officer", "/v1/officer/items", item("v/1", portions=2)), 201)
    path = f"/v1/items/{stored['id']}"
    before = empty.get("jpn", path).json()
    changed = item("v/1", portions=2)
    changed["portions"][2]["text"] = "corrected"
    again = ok(empty.post("officer", f"/v1/officer/items/{stored['id']}/versions", changed), 201)
    assert again == {"id": stored["id"], "ref": "v/1", "result": "stored", "version": 2}
    after = empty.get("jpn", path).json()
    assert [part["text"] for part in after["portions"]] == [before["portions"][0]["text"], "corrected"]
    assert after["portions"][0]["id"] == before["portions"][0]["id"]
    assert after["portions"][1]["id"] != before["portions"][1]["id"]
    without = {name: value for name, value in changed.items() if name != "ref"}
    assert ok(empty.post("officer", f"/v1/officer/items/{stored['id']}/versions", without), 201)["version"] == 3
    problem(empty.post("officer", f"/v1/officer/items/{stored['id']}/versions", item("v/2")), 422, "ref")
    assert empty.post("officer", "/v1/officer/items/nope/versions", changed).content == NOT_FOUND
    received = next(
        one["received"]
        for one in ok(empty.get("officer", f"/v1/officer/items/{stored['id']}/audience"))["partners"]
        if one["partner"] == "JPN"
    )
    assert [one["version"] for one in received] == [1, 2]


def test_a_version_that_cannot_be_read_leaves_the_one_in_force(empty: Service) -> None:
    stored = ok(empty.post("officer", "/v1/officer/items", item("v/1")), 201)
    copy = empty.get("jpn", f"/v1/items/{stored['id']}").content
    unmarked = item("v/1")
    unmarked["portions"][0]["marking"] = ""
    assert ok(empty.post("officer", f"/v1/officer/items/{stored['id']}/versions", unmarked), 201)["result"] == "quarantined"
    assert empty.get("jpn", f"/v1/items/{stored['id']}").content == copy


def test_relabelling_takes_effect_with_its_answer(empty: Service) -> None:
    stored = ok(empty.post("officer", "/v1/officer/items", item("r/1", portions=2)), 201)
    path, act = f"/v1/items/{stored['id']}", f"/v1/officer/items/{stored['id']}/labels"
    portion = empty.get("jpn", path).json()["portions"][0]["id"]
    done = ok(empty.post("officer", act, {"marking": "(S//NOFORN)", "portion": portion, "reason": "too much"}))
    assert list(done) == ["event_id"]
    copy = empty.get("jpn", path).json()
    assert len(copy["portions"]) == 1
    entry = empty.get("auditor", f"/v1/audit/releases/{done['event_id']}").json()
    assert entry["face"]["type"] == "item.relabel"
    details = entry_in_words(entry)["details"]
    assert details["reason"] == "too much"
    assert details["labels"][portion]["after"]["releasable_to"] == []
    label = {"level": "SECRET", "categories": ["DIPLOMATIC"], "releasable_to": ["JPN"], "caveats": [], "originators": ["USA"]}
    ok(empty.relabel_as_two(stored["id"], {"label": label, "reason": "for Japan"}))
    assert empty.get("jpn", path).json()["marking"] == "SECRET//REL TO USA, JPN"
    assert empty.get("gbr", path).content == NOT_FOUND
    for body, code in (
        ({"reason": "neither"}, "marking"),
        ({"marking": "(U)", "label": label, "reason": "both"}, "marking"),
        ({"marking": "(X)", "reason": "unknown"}, None),
        ({"marking": "(U)"}, "body"),
        ({"marking": "(U)", "reason": ""}, "body"),
        ({"marking": "(U)", "reason": "x", "other": 1}, "body"),
        ({"label": {**label, "level": "NONE"}, "reason": "x"}, None),
    ):
        answer = empty.post("officer", act, body)
        assert answer.status_code == 422, answer.text
        assert code is None or answer.json()["code"] == code
    problem(empty.post("officer", act, {"marking": "(U)", "portion": "nope", "reason": "x"}), 409, "no-portion")
    assert empty.post("officer", "/v1/officer/items/nope/labels", {"marking": "(U)", "reason": "x"}).content == NOT_FOUND


def test_what_is_withdrawn_is_gone(empty: Service) -> None:
    stored = ok(empty.post("officer", "/v1/officer/items", item("w/1")), 201)
    path, act = f"/v1/items/{stored['id']}", f"/v1/officer/items/{stored['id']}/withdraw"
    assert empty.get("jpn", path).status_code == 200
    problem(empty.post("officer", act, {}), 422, "body")
    done = ok(empty.post("officer", act, {"reason": "an error"}))
    entry = empty.get("auditor", f"/v1/audit/releases/{done['event_id']}").json()
    assert entry_in_words(entry)["details"] == {"ref": "w/1", "reason": "an error"}
    assert empty.get("jpn", path).content == NOT_FOUND
    assert empty.list_all("jpn") == []
    problem(empty.post("officer", act, {"reason": "again"}), 409, "withdrawn")
    problem(empty.post("officer", f"/v1/officer/items/{stored['id']}/versions", item("w/1")), 409, "withdrawn")
    problem(empty.post("officer", f"/v1/officer/items/{stored['id']}/labels", {"marking": "(U)", "reason": "x"}), 409, "withdrawn")
    assert empty.post("officer", "/v1/officer/items/nope/withdraw", {"reason": "x"}).content == NOT_FOUND
    audience = ok(empty.get("officer", f"/v1/officer/items/{stored['id']}/audience"))["partners"]
    assert {one["outcome"] for one in audience} == {"withhold"}
    assert [one["version"] for one in next(one for one in audience if one["partner"] == "JPN")["received"]] == [1]


def test_an_audience_says_who_may_have_it_why_and_who_has_had_it(empty: Service) -> None:
    mixed = item("m/1", "SECRET//NOFORN", categories=("MARITIME",))
    mixed["portions"][1]["marking"] = "(S//NOFORN)"
    stored = ok(empty.post("officer", "/v1/officer/items", mixed), 201)
    empty.get("jpn", "/v1/items")
    empty.clock.advance(seconds=5)
    empty.get("jpn", f"/v1/items/{stored['id']}")
    empty.get("ind", f"/v1/items/{stored['id']}")
    answer = empty.get("officer", f"/v1/officer/items/{stored['id']}/audience")
    audience = ok(answer)
    assert list(audience) == ["partners"]
    codes = [one["partner"] for one in audience["partners"]]
    assert codes == sorted(codes)
    assert len(codes) == 15
    for one in audience["partners"]:
        assert list(one) == ["partner", "outcome", "rules", "received", "display"]
    lines = {one["partner"]: one for one in audience["partners"]}
    assert lines["JPN"]["outcome"] == "in_part"
    assert lines["JPN"]["rules"] == ["AGR-0001", "AGR-0002", "AGR-0012", "AGR-0014"]
    assert lines["JPN"]["received"][-1] == {"at": "2026-11-22T10:00:05.000000Z", "version": 1}
    assert lines["IND"]["outcome"] == "refer"
    assert lines["IND"]["rules"] == ["AGR-0007"]
    assert lines["IND"]["received"] == []
    assert lines["SGP"]["outcome"] == "withhold"
    look = empty.entry(answer)
    assert (look["log"], look["face"]["type"], look["face"]["items"]) == ("officers", "look.audience", [{"id": stored["id"]}])
    assert empty.get("officer", "/v1/officer/items/nope/audience").content == NOT_FOUND


# --- import ---------------------------------------------------------------------------------------------------------


def test_an_import_reports_what_was_not_simply_stored_and_counts(empty: Service) -> None:
    unmarked = item("i/2")
    unmarked["portions"][0]["marking"] = ""
    report = empty.import_items([item("i/1"), unmarked, {"ref": "i/3"}, item("i/1"), item("i/5")])
    assert report[:-1] == [
        {"line": 2, "ref": "i/2", "result": "quarantined", "code": "unmarked", "message": "portion 0: it bears no marking"},
        {"line": 3, "ref": "i/3", "result": "refused", "code": "portions", "message": "`portions` is a list with at least one portion"},
        {"line": 4, "ref": "i/1", "result": "refused", "code": "ref-exists", "message": "`i/1` is stored already"},
    ]
    assert report[-1] == {"imported": 3, "quarantined": 1, "refused": 2}
    assert titles(empty, "jpn") == {"Title of i/1", "Title of i/5"}
    (act,) = empty.entries(log="officers", type="item.import")
    assert len(act["face"]["items"]) == 3
    answer = empty.ask("officer", "POST", "/v1/officer/items/import", content=b"")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text == '{"imported": 0, "quarantined": 0, "refused": 0}\n'
    assert len(empty.entries(log="officers", type="item.import")) == 1, "an import of nothing is no act"


# --- files ----------------------------------------------------------------------------------------------------------

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 700


def put(service: Service, content: Any, digest: str | None = None) -> httpx.Response:
    digest = digest or hashlib.sha256(content).hexdigest()
    return service.ask("officer", "PUT", f"/v1/officer/files/{digest}", content=content)


def with_file(ref: str, digest: str, **more: Any) -> dict[str, Any]:
    portion = {"kind": "file", "marking": "(U)", "sha256": digest, "name": "a picture.png", "media_type": "image/png", **more}
    made = item(ref)
    return {**made, "portions": [made["portions"][0], portion]}


def test_a_file_is_sent_first_and_named_by_digest_then(empty: Service) -> None:
    digest = hashlib.sha256(PICTURE).hexdigest()
    early = empty.post("officer", "/v1/officer/items", with_file("f/0", digest))
    problem(early, 422, "no-file")
    assert ok(put(empty, PICTURE), 201) == {"sha256": digest, "bytes": len(PICTURE)}
    assert ok(put(empty, PICTURE), 201) == {"sha256": digest, "bytes": len(PICTURE)}, "again is as good"
    ids = [ok(empty.post("officer", "/v1/officer/items", with_file(f"f/{number}", digest)), 201)["id"] for number in (1, 2)]
    for one in ids:
        (portion,) = empty.get("jpn", f"/v1/items/{one}").json()["portions"]
        assert (portion["name"], portion["media_type"], portion["bytes"], portion["sha256"]) == (
            "a picture.png",
            "image/png",
            len(PICTURE),
            digest,
        )
        assert empty.get("jpn", f"/v1/items/{one}/files/{portion['id']}").content == PICTURE
    assert {entry["record"]["details"]["sha256"] for entry in empty.entries(log="officers", type="file.store")} == {digest}


@pytest.mark.parametrize(
    ("digest", "code"), [("0" * 64, "digest"), ("x", "digest"), (hashlib.sha256(PICTURE).hexdigest().upper(), "digest")]
)
def test_a_file_that_is_not_what_its_name_says_is_refused(empty: Service, digest: str, code: str) -> None:
    problem(put(empty, PICTURE, digest), 422, code)
    problem(empty.post("officer", "/v1/officer/items", with_file("f/1", hashlib.sha256(PICTURE).hexdigest())), 422, "no-file")
    kept = [path for path in empty.installation.files.folder.rglob("*") if path.is_file()]
    assert kept == []
    assert empty.entries(log="officers", type="file.store") == []


def test_a_file_of_more_than_64_mib_is_refused_and_nothing_of_it_is_kept(empty: Service) -> None:
    block = bytes(1 << 20)

    async def stream() -> Any:
        for _ in range(FILE_BYTES_MAX // len(block)):
            yield block
        yield b"x"

    answer = put(empty, stream(), "0" * 64)
    assert answer.status_code == 413, answer.text
    assert [path for path in empty.installation.files.folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"path": "a.png"}, "path"),
        ({"sha256": None}, "sha256"),
        ({"sha256": "ABC"}, "sha256"),
        ({"name": "../etc/passwd"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"media_type": "text/html; charset=x"}, "media-type"),
        ({"media_type": "image"}, "media-type"),
        ({"extra": 1}, "unknown-member"),
    ],
)
def test_a_file_portion_is_read_strictly(empty: Service, change: dict[str, Any], code: str) -> None:
    put(empty, PICTURE)
    problem(empty.post("officer", "/v1/officer/items", with_file("f/1", hashlib.sha256(PICTURE).hexdigest(), **change)), 422, code)
    assert empty.list_all("jpn") == []


# --- too much -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/v1/officer/decide", REQUEST_BODY_BYTES_MAX),
        ("/v1/officer/policies", REQUEST_BODY_BYTES_MAX),
        ("/v1/officer/partners/JPN/suspend", REQUEST_BODY_BYTES_MAX),
        ("/v1/officer/items", 9 << 20),
    ],
)
def test_a_body_of_more_than_its_route_takes_is_413(service: Service, path: str, limit: int) -> None:
    async def stream() -> Any:
        for _ in range((limit >> 20) + 1):
            yield b" " * (1 << 20)

    answer = service.ask("officer", "POST", path, content=stream())
    assert answer.status_code == 413
    assert answer.content == b'{"type":"about:blank","title":"%s","status":413}' % answer.json()["title"].encode()
    assert service.ask("jpn", "POST", path, content=b" " * 100).status_code == 403, "who may not is told so before anything is read"


def test_nobody_s_body_is_not_read(service: Service) -> None:
    async def stream() -> Any:
        raise AssertionError("was read")
        yield b""

    for who, status in ((None, 401), ("jpn", 403)):
        for path in ("/v1/officer/items", "/v1/officer/items/import", "/v1/officer/policies"):
            assert service.ask(who, "POST", path, content=stream()).status_code == status
        assert service.ask(who, "PUT", "/v1/officer/files/x", content=stream()).status_code == status


# --- view as --------------------------------------------------------------------------------------------------------


def view(service: Service, path: str, partner: str = "JPN", **more: str) -> httpx.Response:
    return service.get("officer", f"/v1/officer/partners/{partner}/view", params={"path": path, **more})


def test_a_view_is_what_the_partner_gets_and_is_in_our_log_alone(service: Service) -> None:
    listed = service.list_all("jpn")[0]["id"]
    with_files = next(
        (one["id"], portion["id"])
        for one in service.list_all("jpn")
        for portion in service.get("jpn", f"/v1/items/{one['id']}").json()["portions"]
        if portion["kind"] == "file"
    )
    for path in (f"/v1/items/{listed}", "/v1/items/nope", "/v1/items?level=SECRET", "/v1/items/{}/files/{}".format(*with_files)):
        theirs = service.get("jpn", path)
        before = service.size("JPN")
        answer = view(service, path)
        assert service.size("JPN") == before, "nothing in the partner's log"
        shown = ok(answer)
        assert list(shown) == ["status", "headers", "body"]
        assert shown["status"] == theirs.status_code
        own = {"release-event", "content-disposition", "content-length", "content-type", "cache-control"}
        assert set(shown["headers"]) <= own
        for name in ("content-type", "cache-control", "content-length"):
            assert shown["headers"][name] == theirs.headers[name]
        if theirs.headers["content-type"] == "application/json" and "bookmark" in theirs.json():
            assert shown["body"]["items"] == theirs.json()["items"]
        elif "json" in theirs.headers["content-type"]:
            assert shown["body"] == theirs.json()
        else:
            assert shown["body"]["bytes"] == len(theirs.content)
        entry = service.get("auditor", f"/v1/audit/releases/{shown['headers']['release-event']}").json()
        assert (entry["log"], entry["face"]["type"]) == ("officers", "look.view")
        assert entry["face"]["client"] == service.client("officer").id
        assert entry["record"]["partner"] == "JPN"
        event = shown["headers"]["release-event"]
        assert service.get("jpn", f"/v1/releases/{event}/receipt").content == NOT_FOUND
    audience = ok(service.get("officer", f"/v1/officer/items/{listed}/audience"))["partners"]
    received = next(one for one in audience if one["partner"] == "JPN")["received"]
    # The first of the list may be the one with files: a file is received like a copy.
    entries = service.entries(partner="JPN", item=listed)
    sent = [one["face"] for one in entries if one["face"]["result"] == "sent" and one["face"]["type"] in ("item", "file")]
    assert [one["at"] for one in received] == [face["at"] for face in reversed(sent)], "a view is no receipt"


def test_cursors_of_a_view_are_of_no_use_to_the_partner(service: Service) -> None:
    page = ok(view(service, "/v1/items?limit=2"))["body"]
    assert service.get("jpn", "/v1/items", params={"limit": 2, "cursor": page["next"]}).status_code == 422
    assert service.get("jpn", "/v1/items", params={"since": page["bookmark"]}).status_code == 422
    theirs = service.get("jpn", "/v1/items", params={"limit": 2}).json()
    assert ok(view(service, f"/v1/items?limit=2&cursor={theirs['next']}"))["status"] == 422
    second = ok(view(service, f"/v1/items?limit=2&cursor={page['next']}"))
    assert second["body"]["items"] == service.list_all("jpn")[2:4]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/me", "/v1/releases", "/v1/log/self/checkpoint", "/v1/officer/policies", "/v1/audit/releases", "/oauth2/token", "", "items",
        "/", "/v1/itemsx", "//v1/items", "http://x/v1/items", "/v1/items#x", "/v1/items/é", "/v1/items/" + "x" * 2000,
    ],
)  # fmt: skip
def test_a_view_is_of_items_alone(service: Service, path: str) -> None:
    before = service.size("officers")
    answer = view(service, path)
    assert answer.status_code == 422, answer.text
    assert service.size("officers") == before


@pytest.mark.parametrize("path", ["/v1/items/../me", "/v1/items/%2e%2e/me", "/v1/items//", "/v1/items/a/b", "/v1/items/x/files"])
def test_no_way_leads_out_of_a_view(service: Service, path: str) -> None:
    shown = ok(view(service, path))
    assert (shown["status"], json.dumps(shown["body"], separators=(",", ":")).encode()) == (404, NOT_FOUND)


def test_a_view_is_of_a_partner_there_is_and_a_purpose_it_could_have(service: Service) -> None:
    assert view(service, "/v1/items", partner="XXX").content == NOT_FOUND
    assert view(service, "/v1/items", partner="USA").content == NOT_FOUND
    assert view(service, "/v1/items", partner="QUAD").content == NOT_FOUND
    for purpose in ("", "x", "a\x00b", "EXERCISE KEEN", "x" * 65):
        assert view(service, "/v1/items", purpose=purpose).status_code == 422
    keen = service.get("jpn", "/v1/items", headers={"Purpose": "EXERCISE-KEEN"}).json()["items"]
    assert ok(view(service, "/v1/items", purpose="EXERCISE-KEEN"))["body"]["items"] == keen
    assert service.get("officer", "/v1/officer/partners/JPN/view").status_code == 422


# --- suspend --------------------------------------------------------------------------------------------------------


def test_to_who_is_suspended_nothing_is_released_and_it_is_on_record(own: Service) -> None:
    before = own.list_all("jpn")
    one = before[0]["id"]
    act = "/v1/officer/partners/JPN"
    done = ok(own.post("officer", f"{act}/suspend", {"reason": "an incident"}))
    entry = own.get("auditor", f"/v1/audit/releases/{done['event_id']}").json()
    assert (entry["face"]["type"], entry_in_words(entry)["details"]) == ("partner.suspend", {"partner": "JPN", "reason": "an incident"})
    size = own.size("JPN")
    answer = own.get("jpn", "/v1/items")
    assert answer.json()["items"] == []
    assert own.get("jpn", f"/v1/items/{one}").content == NOT_FOUND
    assert own.size("JPN") == size + 2
    assert own.list_all("gbr") != []
    audience = ok(own.get("officer", f"/v1/officer/items/{one}/audience"))["partners"]
    assert next(line for line in audience if line["partner"] == "JPN")["outcome"] == "withhold"
    assert own.get("jpn", "/v1/me").status_code == 200
    problem(own.post("officer", f"{act}/suspend", {"reason": "again"}), 409, "suspension")
    ok(own.post("officer", f"{act}/resume", {"reason": "it is over"}))
    problem(own.post("officer", f"{act}/resume", {"reason": "again"}), 409, "suspension")
    assert sorted(line["id"] for line in own.list_all("jpn")) == sorted(line["id"] for line in before)
    for code in ("XXX", "USA", "jpn"):
        assert own.post("officer", f"/v1/officer/partners/{code}/suspend", {"reason": "x"}).content == NOT_FOUND


# --- policy ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def stricter() -> Iterator[dict[str, str]]:
    """The sample bundle without the agreement on open information."""
    rows = [line for line in TEXTS["agreements.csv"].splitlines(keepends=True) if "AGR-0001" not in line]
    header, *_ = TEXTS["cases.csv"].splitlines(keepends=True)
    yield {**TEXTS, "agreements.csv": "".join(rows), "cases.csv": header}


def test_a_bundle_is_uploaded_published_and_rolled_back(own: Service, stricter: dict[str, str]) -> None:
    before = own.list_all("jpn")
    uploaded = ok(own.post("officer", "/v1/officer/policies", {"files": stricter}), 201)
    assert list(uploaded) == ["digest", "findings"]
    assert uploaded["digest"] == digest_of({name: text.encode() for name, text in stricter.items()})
    for finding in uploaded["findings"]:
        assert list(finding) == ["file", "line", "column", "code", "severity", "message"]
        assert finding["severity"] == "warning"
    assert own.list_all("jpn") == before, "in the archive is not in force"
    history = ok(own.get("officer", "/v1/officer/policies"))
    assert list(history) == ["publications", "proposals"]
    assert [one["digest"] for one in history["publications"]] == [DIGEST]
    assert list(history["publications"][0]) == ["digest", "act", "at", "client"]
    published = ok(own.post("officer", f"/v1/officer/policies/{uploaded['digest']}/publish"))
    assert list(published) == ["digest", "act", "event_id", "timeline", "findings"]
    entry = own.get("auditor", f"/v1/audit/releases/{published['event_id']}").json()
    assert entry["face"]["type"] == "policy.publish"
    details = entry["record"]["details"]
    assert (details["bundle"], details["before"], details["timeline"]) == (uploaded["digest"], DIGEST, published["timeline"])
    fewer = own.list_all("jpn")
    assert {one["id"] for one in fewer} < {one["id"] for one in before}
    released = own.get("jpn", f"/v1/items/{fewer[0]['id']}")
    assert own.entry(released)["record"]["bundle"] == uploaded["digest"]
    back = ok(own.post("officer", f"/v1/officer/policies/{DIGEST}/publish"))
    assert own.get("auditor", f"/v1/audit/releases/{back['event_id']}").json()["face"]["type"] == "policy.rollback"
    assert {one["id"] for one in own.list_all("jpn")} == {one["id"] for one in before}
    history = ok(own.get("officer", "/v1/officer/policies"))
    assert [one["digest"] for one in history["publications"]] == [DIGEST, uploaded["digest"], DIGEST]
    assert [one["act"] for one in history["publications"]] == sorted(one["act"] for one in history["publications"])
    problem(own.post("officer", f"/v1/officer/policies/{'0' * 64}/publish"), 409, "no-bundle")
    problem(own.post("officer", "/v1/officer/policies/x/publish"), 409, "no-bundle")


def test_a_bundle_that_lacks_a_name_in_use_is_not_published(own: Service) -> None:
    scheme = TEXTS["scheme.toml"].replace('    "ECONOMIC",\n', "")
    fewer = {name: text.replace(" ECONOMIC", "").replace("ECONOMIC ", "") for name, text in TEXTS.items()} | {"scheme.toml": scheme}
    header, *_ = fewer["cases.csv"].splitlines(keepends=True)
    uploaded = ok(own.post("officer", "/v1/officer/policies", {"files": {**fewer, "cases.csv": header}}), 201)
    detail = problem(own.post("officer", f"/v1/officer/policies/{uploaded['digest']}/publish"), 409, "stored-labels")
    assert "category `ECONOMIC`" in detail
    assert [one["digest"] for one in ok(own.get("officer", "/v1/officer/policies"))["publications"]] == [DIGEST]


def test_a_bundle_whose_own_cases_fail_is_not_published(own: Service) -> None:
    failing = {**TEXTS, "agreements.csv": TEXTS["agreements.csv"].replace("JPN, *, SECRET, CYBER", "JPN, *, CONFIDENTIAL, CYBER")}
    uploaded = ok(own.post("officer", "/v1/officer/policies", {"files": failing}), 201)
    answer = own.post("officer", f"/v1/officer/policies/{uploaded['digest']}/publish")
    problem(answer, 422, "policy")
    findings = answer.json()["findings"]
    assert {finding["file"] for finding in findings} == {"cases.csv"}
    assert all(finding["line"] > 1 for finding in findings)
    assert [one["digest"] for one in ok(own.get("officer", "/v1/officer/policies"))["publications"]] == [DIGEST]


LABEL = {"level": "SECRET", "categories": ["MARITIME"], "releasable_to": ["USA", "JPN"], "caveats": [], "originators": ["USA"]}


def test_decide_answers_each_line_in_order_with_why(service: Service) -> None:
    def line(**change: Any) -> dict[str, Any]:
        return {"partner": "JPN", "action": "release", "purpose": "none", "label": LABEL, **change}

    lines = [
        line(), line(partner="IND"), line(label={**LABEL, "releasable_to": []}), line(partner="XXX"), line(action="refer"), line(extra=1),
        line(label={"level": "SECRET"}), line(label={**LABEL, "level": "NONE"}), "x", None,
        line(label={**LABEL, "categories": ["INTEL-SOURCES"]}),
    ]  # fmt: skip
    answers = ok(service.post("officer", "/v1/officer/decide", {"requests": lines}))["answers"]
    assert len(answers) == len(lines)
    assert answers[0] == {"outcome": "release", "rules": ["AGR-0002"], "matched": ["AGR-0002"], "denied": [], "why": answers[0]["why"]}
    assert [one["outcome"] for one in answers] == ["release", "refer", "refer", *["withhold"] * 8]
    assert answers[2]["rules"] == ["AGR-0004"]
    assert any(miss["rule"] == "AGR-0002" for miss in answers[2]["why"]["near_misses"])
    for one in answers[3:10]:
        assert one["error"]
        assert (one["rules"], one["matched"], one["denied"]) == ([], [], [])
    assert answers[10]["denied"] == answers[10]["rules"] == ["PRO-0001"]
    for one in answers:
        assert {"referable", "near_misses"} <= set(one["why"]) <= {"referable", "near_misses", "display"}
    assert ok(service.post("officer", "/v1/officer/decide", {"requests": []})) == {"answers": []}
    bodies: tuple[object, ...] = ({}, {"requests": 1}, {"requests": [], "more": 1}, [], {"requests": [{}] * 1001})
    for body in bodies:
        problem(service.post("officer", "/v1/officer/decide", body), 422, "body")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b'{"requests":[],"requests":[]}',
        b'{"requests":[NaN]}',
        b"[" * 5000,
        b'{"requests":' + b"[" * 1000 + b"]" * 1000 + b"}",
    ],
)
def test_json_is_read_strictly(service: Service, content: bytes) -> None:
    answer = service.ask("officer", "POST", "/v1/officer/decide", content=content)
    assert answer.status_code == 422
    assert answer.json()["code"] in ("not-json", "not-utf-8")


def test_the_calendar_of_items_says_what_their_own_dates_will_do(empty: Service) -> None:
    dated = item("t/1")
    dated["portions"][1] |= {"not_before": {"*": "2026-12-24"}, "declassify_on": {"event": "the end"}}
    stored = ok(empty.post("officer", "/v1/officer/items", dated), 201)
    answer = empty.get("officer", "/v1/officer/items/calendar", params={"days": 60})
    found = ok(answer)
    assert [(one["at"], one["items"], one["portions"]) for one in found["dates"]] == [("2026-12-24T00:00:00.000000Z", 1, 1)]
    (change,) = found["dates"][0]["changes"]
    assert (change["id"], change["ref"], change["lose"]) == (stored["id"], "t/1", [])
    assert "JPN" in change["gain"]
    assert [one["declassify_on"] for one in found["undated"]] == [{"event": "the end"}]
    look = empty.entry(answer)
    assert (look["log"], look["face"]["type"], look["face"]["items"]) == ("officers", "look.calendar", [{"id": stored["id"]}])
    assert ok(empty.get("officer", "/v1/officer/items/calendar", params={"days": 3}))["dates"] == []
    assert empty.get("officer", "/v1/officer/items/calendar", params={"days": 0}).status_code == 422
    assert empty.get("jpn", "/v1/officer/items/calendar").status_code == 403


def test_a_tear_line_is_taken_in_and_shown(empty: Service) -> None:
    torn = item("t/2")
    torn["portions"][1] |= {"marking": "(S//NF)", "tear_line": [{"marking": "(U)", "text": "What may be said."}]}
    torn["marking"] = "SECRET//NOFORN"
    stored = ok(empty.post("officer", "/v1/officer/items", torn), 201)
    assert stored["result"] == "stored"
    copy = empty.get("jpn", f"/v1/items/{stored['id']}").json()
    assert "What may be said." in [portion.get("text") for portion in copy["portions"]]
    assert "tear" not in json.dumps(copy)
