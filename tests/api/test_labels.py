"""The officer's routes about labels over HTTP: 202 and a second officer, rights, proposals, events, quarantine, history, obstacles."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.identity.clients import Role
from service.identity.rights import Rights
from tests.support.api import FORBIDDEN, NOT_FOUND, Service, item


def ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int, code: str) -> str:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    return str(answer.json()["detail"])


@pytest.fixture
def sea(empty: Service) -> str:
    return str(ok(empty.post("officer", "/v1/officer/items", item("sea", "SECRET//REL TO USA, JPN")), 201)["id"])


WIDER = {"marking": "(U//REL TO USA, GBR, JPN)", "reason": "to Britain"}


def test_what_widens_is_202_until_another_officer_approves_it(empty: Service, sea: str) -> None:
    path = f"/v1/officer/items/{sea}/labels"
    shown = ok(empty.post("officer", f"{path}?dry_run=true", WIDER))
    assert shown["state"] == "foreseen"
    pending = ok(empty.post("officer", path, WIDER), 202)
    assert (pending["state"], pending["timeline"]) == ("pending", shown["timeline"])
    (britain,) = [one for one in pending["difference"][0]["partners"] if (one["partner"], one["purpose"]) == ("GBR", "none")]
    assert (britain["before"]["outcome"], britain["after"]["outcome"]) == ("refer", "release")
    assert empty.get("gbr", f"/v1/items/{sea}").content == NOT_FOUND
    (waiting,) = ok(empty.get("second-officer", "/v1/officer/items/proposals"))["proposals"]
    assert (waiting["proposal"], waiting["item"], waiting["difference"]) == (pending["proposal"], sea, pending["difference"])
    approve = f"{path}/{pending['proposal']}/approve"
    refused(empty.post("officer", approve, {"timeline": pending["timeline"]}), 403, "second-officer")
    refused(empty.post("second-officer", approve, {"timeline": "0" * 64}), 409, "other-timeline")
    done = ok(empty.post("second-officer", approve, {"timeline": pending["timeline"]}))
    assert empty.get("gbr", f"/v1/items/{sea}").status_code == 200
    refused(empty.post("second-officer", approve, {"timeline": pending["timeline"]}), 409, "no-proposal")
    history = ok(empty.get("officer", f"{path}/history"))["portions"]
    assert {one["labels"][-1]["event_id"] for one in history} == {done["event_id"]}
    assert {one["labels"][-1]["approver"] for one in history} == {empty.client("second-officer").id}


def test_a_proposal_is_found_by_its_item_and_number_alone(empty: Service, sea: str) -> None:
    other = ok(empty.post("officer", "/v1/officer/items", item("other")), 201)["id"]
    pending = ok(empty.post("officer", f"/v1/officer/items/{sea}/labels", WIDER), 202)
    number = pending["proposal"]
    for path in (f"items/{other}/labels/{number}", f"items/{sea}/labels/{number + 1}", f"items/{sea}/labels/x", f"events/{number}"):
        assert empty.post("second-officer", f"/v1/officer/{path}/approve", {"timeline": pending["timeline"]}).content == NOT_FOUND
        assert empty.post("second-officer", f"/v1/officer/{path}/withdraw", {"reason": "no"}).content == NOT_FOUND
    ok(empty.post("second-officer", f"/v1/officer/items/{sea}/labels/{number}/withdraw", {"reason": "no"}))
    assert ok(empty.get("officer", "/v1/officer/items/proposals"))["proposals"] == []


def test_proposals_are_paged(empty: Service) -> None:
    for number in range(3):
        held = ok(empty.post("officer", "/v1/officer/items", item(f"p/{number}", "SECRET//REL TO USA, JPN")), 201)["id"]
        ok(empty.post("officer", f"/v1/officer/items/{held}/labels", WIDER), 202)
    page = ok(empty.get("officer", "/v1/officer/items/proposals", params={"limit": 2}))
    rest = ok(empty.get("officer", "/v1/officer/items/proposals", params={"limit": 2, "cursor": page["next"]}))
    assert (len(page["proposals"]), len(rest["proposals"]), "next" in rest) == (2, 1, False)
    refused(empty.get("officer", "/v1/officer/items/proposals", params={"cursor": "x"}), 422, "foreign-cursor")


def test_rights_are_said_to_whom_they_are_lacking_and_the_refusal_is_on_record(empty: Service, sea: str) -> None:
    client, _ = empty.installation.registry.add("low", Role.OFFICER, rights=Rights(categories=("MARITIME",)))
    token = empty.installation.issuer.issue(client, empty.clock())
    body = {"marking": "(S//NF)", "reason": "r"}
    detail = refused(empty.post(None, f"/v1/officer/items/{sea}/labels", body, token=token), 403, "beyond-rights")
    assert "category `DIPLOMATIC` is not among `MARITIME`" in detail
    (entry,) = empty.entries(type="item.refused")
    assert (entry["face"]["client"], entry["face"]["items"]) == (client.id, [{"id": sea}])


def test_an_event_goes_the_same_way(empty: Service) -> None:
    value = item("e/1", "SECRET//NOFORN")
    value["portions"][1] |= {"marking": "(S//REL TO USA, GBR)", "declassify_on": {"event": "the end"}}
    held = ok(empty.post("officer", "/v1/officer/items", value), 201)["id"]
    refused(empty.post("officer", "/v1/officer/events", {"event": "another", "reason": "r"}), 409, "no-event")
    refused(empty.post("officer", "/v1/officer/events", {"event": "the end", "at": "soon", "reason": "r"}), 422, "dates")
    pending = ok(empty.post("officer", "/v1/officer/events", {"event": "the end", "reason": "Order 7"}), 202)
    ok(empty.post("second-officer", f"/v1/officer/events/{pending['proposal']}/approve", {"timeline": pending["timeline"]}))
    assert len(empty.get("gbr", f"/v1/items/{held}").json()["portions"]) == 1


def test_quarantine_is_decided_by_the_same_route(empty: Service) -> None:
    value = item("q/1")
    value["portions"][1]["marking"] = "(SECRT)"
    held = ok(empty.post("officer", "/v1/officer/items", value), 201)["id"]
    path = f"/v1/officer/items/{held}/labels"
    refused(empty.post("officer", f"{path}?dry_run=true", {"marking": "(U)", "reason": "r"}), 409, "in-quarantine")
    assert ok(empty.post("officer", path, {"marking": "(U)", "portion": "1", "reason": "a slip"}))["version"] == 2
    assert ok(empty.get("officer", "/v1/officer/quarantine"))["quarantine"] == []
    assert empty.get("jpn", f"/v1/items/{held}").status_code == 200
    value["portions"][0]["marking"] = ""
    ok(empty.post("officer", f"/v1/officer/items/{held}/versions", value), 201)
    (waiting,) = ok(empty.get("officer", "/v1/officer/quarantine"))["quarantine"]
    half = ok(empty.post("officer", path, {"marking": "(U)", "portion": "0", "version": waiting["version"], "reason": "r"}))
    assert half["state"] == "held"
    assert len(half["holds"]) == 1


def test_what_stands_in_the_way_and_what_was_never_fetched(empty: Service, sea: str) -> None:
    answer = empty.get("officer", f"/v1/officer/items/{sea}/obstacles", params={"partner": "GBR"})
    assert ok(answer)["possible"] is False
    assert empty.entry(answer)["face"]["type"] == "look.obstacles"
    assert empty.get("officer", f"/v1/officer/items/{sea}/obstacles", params={"partner": "XXX"}).content == NOT_FOUND
    assert ok(empty.get("officer", "/v1/officer/obstacles", params={"top": 1, "partner": "GBR"}))["obstacles"][0]["items"] == 1
    for number in range(3):
        ok(empty.post("officer", "/v1/officer/items", item(f"u/{number}")), 201)
    page = ok(empty.get("officer", "/v1/officer/unshared", params={"partner": "JPN", "limit": 3}))
    rest = ok(empty.get("officer", "/v1/officer/unshared", params={"partner": "JPN", "limit": 3, "cursor": page["next"]}))
    assert [one["ref"] for one in [*page["unshared"], *rest["unshared"]]] == ["sea", "u/0", "u/1", "u/2"]
    refused(empty.get("officer", "/v1/officer/unshared", params={"cursor": "x"}), 422, "foreign-cursor")


@pytest.mark.parametrize("path", ["items/x/obstacles?partner=JPN", "obstacles", "unshared", "items/proposals", "items/x/labels/history"])
def test_nothing_of_it_is_for_partners(empty: Service, path: str) -> None:
    assert empty.get("jpn", f"/v1/officer/{path}").content == FORBIDDEN
