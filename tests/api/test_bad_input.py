"""What comes in broken gets a report that says where, and leaves nothing half-loaded.

Items are reported by the line, policies by file, line and column.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import httpx
import pytest

from service.policy import digest_of
from service.settings import IMPORT_LINE_BYTES_MAX, ITEM_BYTES_MAX, JSON_DEPTH_MAX, PORTIONS_MAX, TEXT_PORTION_BYTES_MAX
from service.sharing.verification import verify_all
from tests.support.api import FILES, NOT_FOUND, Service, item

TEXTS = {name: content.decode() for name, content in FILES.items() if name != "README.md"}
DIGEST = digest_of(FILES)
GOOD_BEFORE, GOOD_AFTER = item("good/before"), item("good/after")


def line(value: object) -> bytes:
    return json.dumps(value).encode()


def changed(**members: Any) -> dict[str, Any]:
    return {**item("bad"), **members}


def portion(**members: Any) -> dict[str, Any]:
    made = item("bad")
    made["portions"][1] |= members
    return made


def without(value: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: one for key, one in value.items() if key != name}


LARGEST = {"kind": "text", "marking": "(U)", "text": "x" * TEXT_PORTION_BYTES_MAX}
DEEP = b"[" * 1000 + b"]" * 1000
REFUSED: dict[str, tuple[bytes, str | None]] = {
    "not json": (b'{"ref": "bad", ', "not-json"),
    "a word": (b"hello", "not-json"),
    "a list": (b"[]", "shape"),
    "null": (b"null", "shape"),
    "a number": (b"1", "shape"),
    "two values": (b"{} {}", "not-json"),
    "not a number": (b'{"ref": "bad", "portions": NaN}', "not-json"),
    "a number of many digits": (b'{"ref": "bad", "portions": ' + b"9" * 5000 + b"}", "not-json"),
    "a member twice": (b'{"ref": "bad", "ref": "bad"}', "not-json"),
    "latin-1": ('{"ref": "bad", "marking": "é"}'.encode("latin-1"), "not-utf-8"),
    "utf-16": ('{"ref": "bad"}'.encode("utf-16-le"), "not-json"),
    "utf-16 with a mark": ('{"ref": "bad"}'.encode("utf-16").replace(b"\n", b""), "not-utf-8"),
    "a byte order mark": (b"\xef\xbb\xbf" + line(item("bad")), "not-json"),
    "a surrogate": (line(portion(text="\ud800")), "text"),
    "a NUL in the ref": (line(changed(ref="a\x00b")), "ref"),
    "nested a thousand deep": (b'{"ref": "bad", "portions": ' + DEEP + b"}", "not-json"),
    "nested a hundred thousand deep": (b"[" * 100_000, "not-json"),
    "a value nested a thousand deep": (line(portion()).replace(b'"kind": "text"', b'"kind": "json", "value": ' + DEEP), "not-json"),
    "one level too deep": (b"[" * (JSON_DEPTH_MAX + 1) + b"]" * (JSON_DEPTH_MAX + 1), "not-json"),
    "no ref": (line(without(item("bad"), "ref")), "ref"),
    "an empty ref": (line(changed(ref="")), "ref"),
    "a long ref": (line(changed(ref="x" * 513)), "ref"),
    "a ref that is a number": (line(changed(ref=7)), "ref"),
    "an unknown member": (line(changed(extra=1)), "unknown-member"),
    "no portions": (line(changed(portions=[])), "portions"),
    "portions that are none": (line(changed(portions="x")), "portions"),
    "too many portions": (line(changed(portions=item("x")["portions"][1:] * (PORTIONS_MAX + 1))), "portions"),
    "a portion of no kind": (line(changed(portions=[{"marking": "(U)", "text": "x"}])), "kind"),
    "a portion of another kind": (line(portion(kind="video")), "kind"),
    "a portion with another's member": (line(portion(value=1)), "unknown-member"),
    "a portion without text": (line(portion(text="")), "text"),
    "text that is a number": (line(portion(text=1)), "text"),
    "a json portion without value": (line(changed(portions=[{"kind": "json", "marking": "(U)"}])), "value"),
    "two titles": (line(changed(portions=[item("x")["portions"][0]] * 2)), "title"),
    "a marking that is a number": (line(portion(marking=1)), "marking"),
    "marking and label": (line(portion(label={})), "marking"),
    "a broken label": (line(changed(portions=[{"kind": "text", "label": {"level": "SECRET"}, "text": "x"}])), "label"),
    "a marking that cannot be read": (line(portion(marking="(U//REL TO )")), "malformed-marking"),
    "a banner looser than its portions": (line(portion(marking="(S//REL TO USA, JPN)")), "marking-too-loose"),
    "a compilation looser than its portions": (
        line(changed(marking="SECRET//NOFORN", compilation="UNCLASSIFIED", portions=item("x", "SECRET//NOFORN")["portions"])),
        "compilation-too-loose",
    ),
    "releasable in no way": (line(changed(releasable_in="parts")), "releasable_in"),
    "categories that are none": (line(changed(categories="DIPLOMATIC")), "categories"),
    "no originator": (line(changed(originators=[])), "originators"),
    "an embargo that is no date": (line(portion(not_before={"*": "tomorrow"})), None),
    "a downgrade to what there is not": (line(portion(downgrade_on={"at": "2030-01-01", "level": "NONE"})), None),
    "a file by path": (line(changed(portions=[{"kind": "file", "marking": "(U)", "path": "/etc/passwd", "name": "x"}])), "path"),
    "a file not sent": (line(changed(portions=[{"kind": "file", "marking": "(U)", "sha256": "0" * 64, "name": "x"}])), "no-file"),
    "a portion too large": (line(portion(text="x" * (TEXT_PORTION_BYTES_MAX + 1))), "portion-too-large"),
    "an item too large": (
        line(changed(portions=[LARGEST] * (ITEM_BYTES_MAX // TEXT_PORTION_BYTES_MAX) + item("x")["portions"][1:])),
        "item-too-large",
    ),
    "a line too long": (b'{"ref": "bad", "x": "' + b"x" * IMPORT_LINE_BYTES_MAX + b'"}', "line-too-long"),
    "binary": (bytes(byte for byte in range(256) if byte != 10), "not-utf-8"),
}  # fmt: skip
QUARANTINED: dict[str, tuple[dict[str, Any], str | None]] = {
    "a portion without marking": (portion(marking=""), "unmarked"),
    "a portion without member": (changed(portions=[without(item("bad")["portions"][0], "marking")]), "unmarked"),
    "an item without marking": (without(item("bad"), "marking"), "unmarked"),
    "an unknown code": (portion(marking="(U//REL TO USA, XXX)"), None),
    "an unknown caveat": (portion(marking="(U//GAMMA)"), None),
    "an unknown category": (changed(categories=["WEATHER"]), None),
    "an unknown originator": (changed(originators=["XXX"]), None),
    "no audience from CONFIDENTIAL": (changed(marking="CONFIDENTIAL", portions=[{"kind": "text", "marking": "(C)", "text": "x"}]), None),
    "no category from CONFIDENTIAL": (
        changed(categories=[], marking="SECRET//NOFORN", portions=[{"kind": "text", "marking": "(S//NOFORN)", "text": "x"}]),
        None,
    ),
}


def send(service: Service, content: Any) -> list[dict[str, Any]]:
    answer = service.ask("officer", "POST", "/v1/officer/items/import", content=content)
    assert answer.status_code == 200, answer.text
    return [json.loads(one) for one in answer.text.splitlines()]


def shown(service: Service) -> list[str]:
    return sorted(entry["title"] for entry in service.list_all("jpn"))


@pytest.mark.parametrize("name", REFUSED)
def test_a_line_that_cannot_be_taken_is_reported_and_the_others_are_stored(empty: Service, name: str) -> None:
    content, code = REFUSED[name]
    assert b"\n" not in content
    report = send(empty, b"\n".join([line(GOOD_BEFORE), b"", content, line(GOOD_AFTER)]))
    assert report[-1] == {"imported": 2, "quarantined": 0, "refused": 1}, report
    (refused,) = report[:-1]
    assert list(refused) == ["line", "ref", "result", "code", "message"]
    assert (refused["line"], refused["result"]) == (3, "refused")
    assert code is None or refused["code"] == code, refused
    assert len(refused["message"]) < 300
    assert refused["message"].isprintable()
    assert refused["ref"] in ("bad", None)
    assert shown(empty) == ["Title of good/after", "Title of good/before"]
    (act,) = empty.entries(log="officers", type="item.import")
    assert len(act["face"]["items"]) == 2
    assert [path for path in empty.installation.files.folder.rglob("*") if path.is_file()] == []
    # The same ref is free: nothing of the refused line was kept.
    assert empty.import_items([item("bad")])[-1] == {"imported": 1, "quarantined": 0, "refused": 0}


@pytest.mark.parametrize("name", REFUSED)
def test_the_same_item_alone_is_a_422_and_no_act(service: Service, name: str) -> None:
    content, code = REFUSED[name]
    before = service.size("officers")
    answer = service.ask("officer", "POST", "/v1/officer/items", content=content)
    assert answer.status_code == 422, answer.text
    expected = {"line-too-long": "unknown-member"}.get(str(code), code)
    assert expected is None or answer.json()["code"] == expected, answer.text
    assert len(answer.content) < 2000
    assert service.size("officers") == before


@pytest.mark.parametrize("name", QUARANTINED)
def test_what_is_well_formed_and_not_understood_waits_whole(empty: Service, name: str) -> None:
    value, code = QUARANTINED[name]
    report = send(empty, b"\r\n".join([line(GOOD_BEFORE), line(value), line(GOOD_AFTER)]))
    assert report[-1] == {"imported": 3, "quarantined": 1, "refused": 0}, report
    assert (report[0]["line"], report[0]["ref"], report[0]["result"]) == (2, "bad", "quarantined")
    assert code is None or report[0]["code"] == code
    assert shown(empty) == ["Title of good/after", "Title of good/before"]
    (held,) = empty.get("officer", "/v1/officer/quarantine").json()["quarantine"]
    assert (held["ref"], held["code"]) == ("bad", report[0]["code"])
    for who in ("jpn", "gbr"):
        assert empty.get(who, f"/v1/items/{held['id']}").content == NOT_FOUND


def test_duplicate_refs_are_refused_within_a_file_and_after_it(empty: Service) -> None:
    report = empty.import_items([item("one"), item("two"), item("one")])
    assert report[:-1] == [{"line": 3, "ref": "one", "result": "refused", "code": "ref-exists", "message": "`one` is stored already"}]
    again = empty.import_items([item("two"), item("one")])
    assert [entry["line"] for entry in again[:-1]] == [1, 2]
    assert again[-1] == {"imported": 0, "quarantined": 0, "refused": 2}
    assert len(empty.list_all("jpn")) == 2
    assert len(empty.entries(log="officers", type="item.import")) == 1, "where nothing is stored, there is no act"


def test_a_line_of_a_hundred_megabytes_is_counted_and_skipped(empty: Service) -> None:
    block = b"x" * (1 << 20)

    async def stream() -> Any:
        yield line(GOOD_BEFORE) + b"\n"
        for _ in range(100):
            yield block
        yield b"\n" + line(GOOD_AFTER)

    report = send(empty, stream())
    assert report[-1] == {"imported": 2, "quarantined": 0, "refused": 1}
    assert (report[0]["line"], report[0]["code"]) == (2, "line-too-long")
    assert shown(empty) == ["Title of good/after", "Title of good/before"]


def test_an_import_in_many_small_blocks_is_the_same(empty: Service) -> None:
    content = b"\n".join([line(GOOD_BEFORE), line({"ref": "é", "portions": []}), line(GOOD_AFTER), b""])

    async def stream() -> Any:
        for start in range(0, len(content), 7):
            yield content[start : start + 7]

    report = send(empty, stream())
    assert report[-1] == {"imported": 2, "quarantined": 0, "refused": 1}
    assert (report[0]["line"], report[0]["ref"]) == (2, "é")


def test_after_all_of_it_the_log_verifies(empty: Service) -> None:
    send(empty, b"\n".join([content for content, _ in REFUSED.values()] + [line(value) for value, _ in QUARANTINED.values()]))
    assert verify_all(empty.installation).problem is None


# --- policies -------------------------------------------------------------------------------------------------------


def edited(name: str, old: str, new: str) -> dict[str, str]:
    assert old in TEXTS[name]
    return {**TEXTS, name: TEXTS[name].replace(old, new, 1)}


ROW = "p, AGR-0002, allow, release, JPN, *, SECRET,"
BAD_BUNDLES: dict[str, tuple[dict[str, str], str, str | None]] = {
    "an unknown level": (edited("agreements.csv", ROW, ROW.replace("SECRET", "SECERT")), "agreements.csv", "AGR-0002"),
    "an unknown grantee": (edited("agreements.csv", ROW, ROW.replace("JPN", "JAP")), "agreements.csv", "AGR-0002"),
    "an effect in capitals": (edited("agreements.csv", ROW, ROW.replace("allow", "Allow")), "agreements.csv", "AGR-0002"),
    "a deny among agreements": (edited("agreements.csv", ROW, ROW.replace("allow", "deny")), "agreements.csv", "AGR-0002"),
    "an id twice": (edited("agreements.csv", "AGR-0003", "AGR-0002"), "agreements.csv", None),
    "a tab": (edited("agreements.csv", ROW, ROW.replace(", ", ",\t")), "agreements.csv", "AGR-0002"),
    "a cell with a comment": (edited("agreements.csv", ROW, ROW.replace("JPN", "JPN # Japan")), "agreements.csv", None),
    "a cell too few": (edited("agreements.csv", ROW, "p, AGR-0002, allow, release, JPN, SECRET,"), "agreements.csv", "AGR-0002"),
    "an invisible character": (edited("agreements.csv", ROW, ROW.replace("JPN", "J\u200bPN")), "agreements.csv", "AGR-0002"),
    "another normal form": (edited("partners.csv", "Japan", "Japa\u0301n"), "partners.csv", "g2, JPN"),
    "a byte order mark": ({**TEXTS, "agreements.csv": "\ufeff" + TEXTS["agreements.csv"]}, "agreements.csv", None),
    "no newline at the end": ({**TEXTS, "agreements.csv": TEXTS["agreements.csv"].rstrip("\n")}, "agreements.csv", None),
    "an empty file": ({**TEXTS, "prohibitions.csv": ""}, "prohibitions.csv", None),
    "a file missing": ({name: text for name, text in TEXTS.items() if name != "never.csv"}, "never.csv", None),
    "a file too many": ({**TEXTS, "extra.csv": "x\n"}, "extra.csv", None),
    "a header changed": (edited("cases.csv", "case, at", "at, case"), "cases.csv", None),
    "a case of an unknown rule": (edited("cases.csv", "AGR-0001", "AGR-9999"), "cases.csv", None),
    "an unknown key in the scheme": (edited("scheme.toml", "own =", "mine ="), "scheme.toml", None),
    "a scheme that is no toml": ({**TEXTS, "scheme.toml": "levels = ["}, "scheme.toml", None),
    "an unknown function": (edited("model.conf", "at_least(", "at_lest("), "model.conf", None),
    "a model that allows by nothing": (edited("model.conf", "e = some(where (p.eft == allow)) && ", "e = "), "model.conf", None),
    "a matcher nested deep": ({**TEXTS, "model.conf": TEXTS["model.conf"].replace("m = ", "m = " + "!" * 5000)}, "model.conf", None),
    "a path for a name": ({**TEXTS, "../../agreements.csv": "x\n"}, "../../agreements.csv", None),
}


@pytest.mark.parametrize("name", BAD_BUNDLES)
def test_a_bundle_that_is_not_wholly_understood_is_refused_with_its_places(service: Service, name: str) -> None:
    files, file, row = BAD_BUNDLES[name]
    before = service.size("officers")
    answer = service.post("officer", "/v1/officer/policies", {"files": files})
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert (problem["code"], problem["title"], problem["status"]) == ("policy", "Unprocessable Entity", 422)
    errors = [finding for finding in problem["findings"] if finding["severity"] == "error"]
    assert file in {finding["file"] for finding in errors}, errors
    for finding in problem["findings"]:
        assert list(finding) == ["file", "line", "column", "code", "severity", "message"]
        assert finding["line"] >= 1
        assert finding["column"] >= 1
    if row is not None:
        number = next(place for place, text in enumerate(files[file].split("\n"), 1) if row in text)
        assert number in {finding["line"] for finding in errors if finding["file"] == file}, errors
    assert problem["detail"].startswith(f"policy refused with {len(errors)} error")
    not_there(service, files)
    assert service.size("officers") == before


def not_there(service: Service, files: dict[str, str]) -> None:
    """The bundle is not in the archive, and the one in force stays."""
    digest = digest_of({name: text.encode() for name, text in files.items()})
    refused = service.post("officer", f"/v1/officer/policies/{digest}/publish")
    assert (refused.status_code, refused.json()["code"]) == (409, "no-bundle")
    history: list[dict[str, Any]] = service.get("officer", "/v1/officer/policies").json()["publications"]
    assert [one["digest"] for one in history] == [DIGEST]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"x", b"[]", b"{}", b'{"files": []}', b'{"files": {"a.csv": 1}}', b'{"files": {"a.csv": "x", "a.csv": "y"}}',
        b'{"files": {}, "more": 1}', b'{"files": {"agreements.csv": "\\ud800"}}', b'{"files": ' + DEEP + b"}", b'{"files": {"a": "\xff"}}',
        json.dumps({"files": {f"{number}.csv": "x" for number in range(33)}}).encode(),
    ],
)  # fmt: skip
def test_an_upload_that_is_none_is_a_422(service: Service, content: bytes) -> None:
    before = service.size("officers")
    answer = service.ask("officer", "POST", "/v1/officer/policies", content=content)
    assert answer.status_code == 422, answer.text
    assert answer.json().get("findings") is None
    assert service.size("officers") == before


def test_an_upload_of_nothing_names_every_file_that_is_missing(service: Service) -> None:
    answer = service.post("officer", "/v1/officer/policies", {"files": {}})
    assert answer.status_code == 422
    assert {finding["file"] for finding in answer.json()["findings"]} >= set(TEXTS) - {"README.md"}


def test_what_is_refused_never_echoes_content_or_secrets(service: Service) -> None:
    secret = "the-fleet-sails-at-dawn-" * 3
    answers: list[httpx.Response] = [
        service.post("officer", "/v1/officer/items", portion(text=[secret])),
        service.get("jpn", "/v1/items", params={"limit": secret}),
        service.post("officer", "/v1/officer/decide", {"requests": secret}),
        service.ask(None, "POST", "/oauth2/token", data={"grant_type": "client_credentials", "client_id": "x", "client_secret": secret}),
    ]
    for answer in answers:
        assert answer.status_code in (401, 422)
        assert secret not in answer.text


def test_a_bad_file_leaves_the_store_as_it_was(empty: Service) -> None:
    content = b"the right bytes"
    answer = empty.ask("officer", "PUT", f"/v1/officer/files/{hashlib.sha256(b'others').hexdigest()}", content=content)
    assert answer.status_code == 422
    assert [path for path in empty.installation.files.folder.rglob("*") if path.is_file()] == []
