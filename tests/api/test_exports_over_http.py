"""Exports over HTTP: streamed and recorded, and an auditor elsewhere finds that they hold; entries left out can be asked for."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.releaselog.merkle import verify_inclusion
from service.sharing.acts import Actor
from service.sharing.exports.export import AT_ONCE_MAX, Format, exporting
from service.sharing.exports.selection import Selection
from service.sharing.exports.tables import COLUMNS, harmless
from service.store.logs import AuditFilter
from tests.support.api import NOT_FOUND, Service, copied, routes, service_in
from tests.support.exported import DOES_NOT_HOLD, HOLDS, NOT_PROVEN, lines, verify, vkeys

FORMATS = ["bundle", "compact", "jsonl", "csv", "ocsf", "html"]


@pytest.fixture(scope="module")
def busy(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The demo, after lists, items, files and refusals of two partners, a minute apart."""
    with service_in(copied(demo_folder, tmp_path_factory.mktemp("busy") / "data")) as service:
        for who in ("jpn", "ind"):
            shown = service.list_all(who, limit=100)
            for path in ["/v1/items/nope", "/v1/items/=cmd", *(f"/v1/items/{one['id']}" for one in shown[:6])]:
                service.get(who, path)
                service.clock.advance(minutes=1)
        yield service


def unpacked(content: bytes, folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def exported(service: Service, folder: Path, **params: str) -> Path:
    answer = service.get("auditor", "/v1/audit/export", params=params)
    assert answer.status_code == 200, answer.text
    return unpacked(answer.content, folder)


def test_the_whole_of_every_log_holds_elsewhere(busy: Service, tmp_path: Path) -> None:
    folder = exported(busy, tmp_path / "whole")
    verdict = verify(folder / "verify_entente.py", "export", folder, *vkeys(folder), alone=True)
    assert verdict.code == HOLDS, verdict.said
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert {log["log"] for log in manifest["logs"]} >= {"JPN", "IND", "GBR", "officers"}
    assert all(log["left_out"] == 0 for log in manifest["logs"])
    assert manifest["entries"] == len(lines(folder)) == sum(log["size"] for log in manifest["logs"])
    for digest in {entry["record"]["bundle"] for entry in lines(folder) if entry["log"] == "JPN"}:
        assert (folder / "bundles" / digest / "agreements.csv").exists()


def test_a_compact_bundle_says_and_proves_the_same(busy: Service, tmp_path: Path) -> None:
    """Of one log whole, so that no look of ours comes between."""
    folders = [exported(busy, tmp_path / form, partner="JPN", format=form) for form in ("bundle", "compact")]
    said = [verify(folder / "verify_entente.py", "export", folder, *vkeys(folder), alone=True) for folder in folders]
    assert said[0] == said[1] and said[0].code == HOLDS, said
    written = verify(folders[1] / "verify_entente.py", "entries", folders[1], alone=True)
    assert written.said.encode() == (folders[0] / "entries.jsonl").read_bytes()
    # Of what the service makes, nothing is in full but refusals of what is not there.
    in_full = [line for line in (folders[1] / "entries.compact.jsonl").read_bytes().splitlines() if line.startswith(b'{"face":')]
    whole = [entry for entry in lines(folders[0]) if not entry["record"]["items"] and entry["face"]["items"]]
    assert [json.loads(line) for line in in_full] == whole != lines(folders[0])


def test_entries_are_those_of_the_audit_routes_in_the_order_of_their_log(busy: Service, tmp_path: Path) -> None:
    folder = exported(busy, tmp_path / "jpn", partner="JPN")
    assert lines(folder) == list(reversed(busy.entries(partner="JPN")))
    jsonl = busy.get("auditor", "/v1/audit/export", params={"partner": "JPN", "format": "jsonl"})
    assert jsonl.content == (folder / "entries.jsonl").read_bytes()


@pytest.mark.parametrize(
    "filters",
    [
        pytest.param({"partner": "JPN", "type": "item"}, id="partner and type"),
        pytest.param({"since": "2026-11-22T10:03:00Z", "until": "2026-11-22T10:06:00Z"}, id="period"),
        pytest.param({"client": "c_nobody"}, id="nothing matches"),
        pytest.param({"log": "officers", "type": "item.import"}, id="acts"),
        pytest.param({"item": "nope"}, id="item"),
    ],
)
def test_a_filtered_export_proves_how_many_it_leaves_out(busy: Service, tmp_path: Path, filters: dict[str, str]) -> None:
    expected = busy.entries(**filters)
    folder = exported(busy, tmp_path / "some", **filters)
    key = lambda entry: (entry["log"], entry["index"])  # noqa: E731
    assert sorted(lines(folder), key=key) == sorted(expected, key=key)
    verdict = verify("export", folder, *vkeys(folder))
    assert verdict.code == HOLDS, verdict.said
    for log in json.loads((folder / "manifest.json").read_bytes())["logs"]:
        inside = sum(entry["log"] == log["log"] for entry in expected)
        assert f"log {log['log']}: {log['size']} entries, {inside} shown, {log['size'] - inside} left out" in verdict.said


def test_an_entry_left_out_can_be_asked_for_and_checked_beside_the_export(busy: Service, tmp_path: Path) -> None:
    folder = exported(busy, tmp_path / "some", partner="JPN", type="list")
    head = json.loads((folder / "manifest.json").read_bytes())["logs"][0]
    gap = json.loads((folder / "left-out.jsonl").read_bytes().splitlines()[0])
    busy.get("jpn", "/v1/items/nope")  # the log grows; the export does not
    answer = busy.get("auditor", f"/v1/audit/entries/JPN/{gap['start']}", params={"size": head["size"]})
    body = answer.json()
    assert busy.entry(answer)["face"]["type"] == "look.entry"
    assert body["entry"] == next(one for one in busy.entries(partner="JPN") if one["index"] == gap["start"])
    verify_inclusion(
        leaf_hash=bytes.fromhex(body["entry"]["leaf_hash"]), leaf_index=gap["start"], tree_size=head["size"],
        proof=[bytes.fromhex(value) for value in body["proof"]], root=bytes.fromhex(head["root"]),
    )  # fmt: skip
    path = tmp_path / "entry.json"
    path.write_bytes(answer.content)
    assert verify("entry", path, folder, *vkeys(folder)).code == HOLDS
    assert verify("entry", path, folder).code == NOT_PROVEN
    body["entry"]["index"] += 1
    path.write_text(json.dumps(body))
    verdict = verify("entry", path, folder, *vkeys(folder))
    assert verdict.code == DOES_NOT_HOLD and "its proof leads to root" in verdict.said, verdict.said


def test_without_a_size_the_proof_is_of_the_latest_checkpoint(busy: Service) -> None:
    body = busy.get("auditor", "/v1/audit/entries/JPN/0").json()
    assert body["checkpoint"] == busy.get("auditor", "/v1/log/JPN/checkpoint").text
    assert busy.get("auditor", "/v1/audit/entries/JPN/0", params={"size": 1}).json()["proof"] == []


@pytest.mark.parametrize("place", ["JPN/99999", "JPN/-1", "JPN/01", "JPN/x", "XXX/0", "JPN/0?size=99999", "JPN/3?size=3"])
def test_an_entry_that_is_not_there_is_not_found(busy: Service, place: str) -> None:
    assert busy.get("auditor", f"/v1/audit/entries/{place}").content == NOT_FOUND


@pytest.mark.parametrize("format_", FORMATS)
def test_an_export_is_on_record_before_its_first_byte_with_its_query(busy: Service, format_: str) -> None:
    answer = busy.get("auditor", "/v1/audit/export", params={"partner": "IND", "format": format_})
    entry = busy.entry(answer)
    assert (entry["log"], entry["face"]["type"], entry["face"]["client"]) == ("officers", "look.export", busy.client("auditor").id)
    assert entry["record"]["details"] == {"partner": "IND", "format": format_}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("partner=XXX", "no log `XXX`"),
        ("log=%00", "no log"),
        ("partner=JPN&log=IND", "name two logs"),
        ("format=pdf", "format"),
        ("limit=5", "limit"),
        ("since=yesterday", "since"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_nothing_is_recorded(busy: Service, query: str, why: str) -> None:
    before = busy.size("officers")
    answer = busy.get("auditor", f"/v1/audit/export?{query}")
    assert answer.status_code == 422 and why in answer.text, answer.text
    assert busy.size("officers") == before


@pytest.mark.parametrize("who", ["jpn", "officer"])
def test_exports_are_for_auditors_alone(busy: Service, who: str) -> None:
    for path in ("/v1/audit/export", "/v1/audit/entries/JPN/0"):
        assert busy.get(who, path).status_code == 403
    assert {path for _, path, _ in routes()} >= {"/v1/audit/export", "/v1/audit/entries/{log}/{index}"}


def test_one_export_too_many_is_told_to_come_again(busy: Service) -> None:
    running = [exporting(busy.installation, Actor("c", "cli"), Selection(AuditFilter(log="JPN"), {}), "csv") for _ in range(AT_ONCE_MAX)]
    for one in running:
        one.__enter__()
    try:
        answer = busy.get("auditor", "/v1/audit/export")
        assert answer.status_code == 503 and "retry-after" in answer.headers
    finally:
        for one in running:
            one.__exit__(None, None, None)
    assert busy.get("auditor", "/v1/audit/export?log=JPN&format=csv").status_code == 200


def test_an_export_is_of_one_moment_though_the_log_is_written_to_meanwhile(busy: Service, tmp_path: Path) -> None:
    """Every piece is followed by another entry in the log that is exported; none of them is in it, and it holds."""
    selection = Selection(AuditFilter(log="JPN"), {"log": "JPN"})
    folder = tmp_path / "moment"
    size = busy.size("JPN")
    with exporting(busy.installation, Actor("c_auditor", "cli"), selection, "bundle") as export:
        for path, content in export.pieces():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("ab") as file:
                file.write(content)
            busy.get("jpn", "/v1/items/nope")
    assert busy.size("JPN") > size
    assert len(lines(folder)) == size
    assert verify("export", folder, *vkeys(folder)).code == HOLDS


# --- tables -----------------------------------------------------------------------------------------------------------


def table(busy: Service, **params: str) -> list[dict[str, str]]:
    answer = busy.get("auditor", "/v1/audit/export", params={"format": "csv", **params})
    assert answer.headers["content-type"].startswith("text/csv")
    text = answer.content.decode()
    assert text.count("\n") == text.count("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def read_back(cell: str) -> str:
    """As the guide says: one apostrophe at the beginning is taken away."""
    return cell[1:] if cell.startswith("'") else cell


def test_a_csv_has_a_row_for_each_entry_and_item_and_loses_nothing(busy: Service) -> None:
    rows = table(busy)
    entries: list[dict[str, Any]] = []
    for log in {row["log"] for row in rows}:
        entries += busy.entries(log=log)
    # The looks by which this test reads the log came after the export.
    there = [entry for entry in entries if any((row["log"], row["index"]) == (entry["log"], str(entry["index"])) for row in rows)]
    assert len(rows) == sum(max(1, len(entry["face"]["items"])) for entry in there)
    assert [entry for entry in entries if entry not in there and entry["log"] != "officers"] == []
    by_place = {(entry["log"], str(entry["index"])): entry for entry in entries}
    for row in rows:
        entry = by_place[row["log"], row["index"]]
        face, record = entry["face"], entry["record"]
        assert list(row) == list(COLUMNS)
        assert read_back(row["event_id"]) == face["event_id"] and row["leaf_hash"] == entry["leaf_hash"]
        assert (row["at"], row["result"], read_back(row["client"])) == (face["at"], face["result"], face["client"])
        for item in record.get("items") or []:
            if item["id"] == read_back(row["item"]):
                assert (read_back(row["ref"]), row["version"], row["rules"].split()) == (item["ref"], str(item["version"]), item["rules"])
                assert read_back(row["portions"]).split() == item["portions"]


def test_no_cell_begins_as_a_formula_does(busy: Service) -> None:
    cells = [cell for row in table(busy) for cell in row.values()]
    assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r\n")]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "'=x", "\uff1dx", "plain", "", "a=b"])
def test_a_cell_is_made_harmless_and_read_back(cell: str) -> None:
    written = harmless(cell)
    assert written[:1] not in set("=+-@\t\r\n\uff1d")
    assert read_back(written) == cell


# --- OCSF -------------------------------------------------------------------------------------------------------------

REQUIRED = {
    "activity_id": int, "category_uid": int, "class_uid": int, "type_uid": int, "time": int, "severity_id": int,
    "metadata": dict, "actor": dict, "api": dict, "src_endpoint": dict,
}  # fmt: skip
"""What the schema requires of an event of class API Activity: actor, api and src_endpoint by `events/application/api_activity.json` of
github.com/ocsf/ocsf-schema (commit 2b1f2da), the rest by its base event. By its objects, metadata requires `version` and `product`,
product `name` (and before 1.3 `vendor_name`), api `operation`; actor, src_endpoint and user each one of several, among them
`user`, `uid` and `uid`. Version 1.9.0 is of 3 August 2026 (`CHANGELOG.md`)."""


def test_every_ocsf_event_has_what_its_class_requires_and_leads_back_to_its_entry(busy: Service) -> None:
    answer = busy.get("auditor", "/v1/audit/export", params={"format": "ocsf"})
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert len(events) > 20
    for event in events:
        for name, form in REQUIRED.items():
            assert type(event[name]) is form, name
        assert (event["category_uid"], event["class_uid"]) == (6, 6003)
        assert event["activity_id"] in (1, 2, 3, 4, 99)
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert (
            event["metadata"]["version"] == "1.9.0" and event["metadata"]["product"]["name"] and event["metadata"]["product"]["vendor_name"]
        )
        assert event["actor"]["user"]["uid"] and event["src_endpoint"]["uid"] and event["api"]["operation"]
        assert event["status_id"] == (2 if event["unmapped"]["result"] == "refused" else 1)
        entry = busy.get("auditor", f"/v1/audit/releases/{event['metadata']['uid']}").json()
        assert (entry["leaf_hash"], entry["index"]) == (event["unmapped"]["leaf_hash"], event["metadata"]["sequence"])
    kinds = {event["metadata"]["event_code"]: event["activity_id"] for event in events}
    assert (kinds["item"], kinds["client.add"], kinds["policy.publish"]) == (2, 1, 3)


# --- the report -------------------------------------------------------------------------------------------------------


def test_the_report_tells_who_got_what_by_which_rules_and_loads_nothing(busy: Service) -> None:
    params = {"format": "html", "partner": "JPN", "since": "2026-11-22T09:00:00Z"}
    text = busy.get("auditor", "/v1/audit/export", params=params).text
    for entry in busy.entries(partner="JPN"):
        assert entry["face"]["event_id"] in text
        for item in entry["record"]["items"]:
            assert item["ref"] in text and all(rule in text for rule in item["rules"])
    assert busy.get("auditor", "/v1/log/JPN/checkpoint").text.split("\n")[0] in text
    assert not [word for word in ("http:", "https:", "src=", "href=", "@import", "url(", "<script") if word in text]
    assert "verify_entente.py" in text and "look.export" not in text


def test_the_same_view_gives_the_same_bytes(busy: Service) -> None:
    with exporting(busy.installation, Actor("c_auditor", "cli"), Selection(AuditFilter(log="JPN"), {}), "html") as export:
        assert b"".join(export.content(Format.HTML)) == b"".join(export.content(Format.HTML))
        assert b"".join(export.content(Format.BUNDLE)) == b"".join(export.content(Format.BUNDLE))
