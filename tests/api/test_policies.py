"""An officer's routes about policy: nothing wider counts before another officer approved exactly what it does."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest

from tests.support.api import FILES, FORBIDDEN, Service
from tests.support.personal import entry_in_words

TEXTS = {name: content.decode() for name, content in FILES.items() if name != "README.md"}
TEXTS["cases.csv"] = TEXTS["cases.csv"].partition("\n")[0] + "\n"  # they hold everything in place that is moved here
ROW = "p, AGR-0099, allow, release, SGP, *, SECRET, MARITIME PEACEKEEPING, none, *, , , Invented letter"
WIDER = {**TEXTS, "agreements.csv": TEXTS["agreements.csv"] + f"{ROW}\n"}
LATER = {**TEXTS, "agreements.csv": TEXTS["agreements.csv"] + ROW.replace("none, *, , ,", "none, *, 2027-01-15, ,") + "\n"}
NARROWER = {
    **TEXTS,
    "prohibitions.csv": TEXTS["prohibitions.csv"] + "p, PRO-0099, deny, *, JPN, *, TOP SECRET, AIR, *, *, , , Invented order\n",
}


def ok(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def problem(answer: httpx.Response, status: int, code: str) -> str:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["detail"])


def uploaded(service: Service, files: dict[str, str]) -> str:
    return str(ok(service.post("officer", "/v1/officer/policies", {"files": files}), 201)["digest"])


def proposed(service: Service, files: dict[str, str] = WIDER) -> tuple[str, dict[str, Any]]:
    """The path of a bundle that waits, and what was answered."""
    path = f"/v1/officer/policies/{uploaded(service, files)}"
    return path, ok(service.post("officer", f"{path}/publish"), 202)


def acts(service: Service) -> list[str]:
    """The types of all leaves of `officers` about policy, newest first."""
    return [type_ for entry in service.entries(log="officers") if (type_ := entry["face"]["type"]).startswith("policy.")]


def in_force(service: Service) -> str:
    return str(ok(service.get("officer", "/v1/officer/policies"))["publications"][-1]["digest"])


def test_an_upload_tells_what_publication_would_refuse_and_which_rules_are_idle(empty: Service) -> None:
    """A dry run: nothing is published, and what is wrong with the rules together is said by place."""
    idle = "p, AGR-0098, allow, release, JPN, *, CONFIDENTIAL, MARITIME, none, *, , , Invented letter\n"
    case = "C-01, 2026-11-22, JPN, release, none, SECRET, MARITIME, USA JPN, , none, USA, none, none, withhold, none\n"
    never = "NEV-0009, JPN, release, SECRET, MARITIME, *, *\n"
    files = TEXTS | {name: TEXTS[name] + more for name, more in (("agreements.csv", idle), ("cases.csv", case), ("never.csv", never))}
    before = in_force(empty)
    answer = ok(empty.post("officer", "/v1/officer/policies", {"files": files}), 201)
    found = {(one["file"], one["line"], one["code"], one["severity"]) for one in answer["findings"]}
    assert found >= {
        ("agreements.csv", files["agreements.csv"].count("\n"), "redundant", "warning"),
        ("cases.csv", 2, "case", "error"),
        ("never.csv", files["never.csv"].count("\n"), "never", "error"),
    }
    refused = empty.post("officer", f"/v1/officer/policies/{answer['digest']}/publish")
    problem(refused, 422, "policy")
    assert {(one["file"], one["code"]) for one in refused.json()["findings"]} == {("cases.csv", "case"), ("never.csv", "never")}
    assert in_force(empty) == before
    warned = TEXTS | {"agreements.csv": files["agreements.csv"]}
    done = ok(empty.post("officer", f"/v1/officer/policies/{uploaded(empty, warned)}/publish"))
    assert (files["agreements.csv"].count("\n"), "redundant") in {(one["line"], one["code"]) for one in done["findings"]}
    assert in_force(empty) == done["digest"]


def test_what_must_be_approved_is_accepted_and_not_in_force(empty: Service) -> None:
    before = in_force(empty)
    path, pending = proposed(empty)
    assert list(pending) == ["digest", "state", "timeline", "proposed_by", "event_id", "findings"]
    assert (pending["state"], pending["proposed_by"]) == ("pending", empty.client("officer").id)
    assert path.endswith(pending["digest"])
    assert in_force(empty) == before
    entry = ok(empty.get("auditor", f"/v1/audit/releases/{pending['event_id']}"))
    assert (entry["log"], entry["face"]["type"], entry["face"]["client"]) == ("officers", "policy.propose", pending["proposed_by"])
    history = ok(empty.get("officer", "/v1/officer/policies"))
    assert [(one["digest"], one["state"], one["timeline"]) for one in history["proposals"]] == [
        (pending["digest"], "open", pending["timeline"])
    ]


def test_another_officer_approves_the_timeline_and_it_is_in_force(empty: Service) -> None:
    path, pending = proposed(empty)
    done = ok(empty.post("second-officer", f"{path}/approve", {"timeline": pending["timeline"]}))
    assert list(done) == ["digest", "act", "event_id", "timeline", "findings"]
    assert in_force(empty) == done["digest"] == pending["digest"]
    history = ok(empty.get("officer", "/v1/officer/policies"))
    last = history["publications"][-1]
    assert (last["client"], last["approver"]) == (empty.client("officer").id, empty.client("second-officer").id)
    assert last["timeline"] == pending["timeline"]
    assert [one["state"] for one in history["proposals"]] == ["approved"]
    assert acts(empty)[:2] == ["policy.publish", "policy.approve"], "newest first"


def test_the_proposer_is_told_that_another_must(empty: Service) -> None:
    path, pending = proposed(empty)
    before = empty.size("officers")
    detail = problem(empty.post("officer", f"{path}/approve", {"timeline": pending["timeline"]}), 403, "second-officer")
    assert "expected another officer" in detail
    assert empty.size("officers") == before


@pytest.mark.parametrize("who", ["jpn", "auditor", "operator"])
def test_no_other_role_comes_near_it(empty: Service, who: str) -> None:
    path, pending = proposed(empty)
    for method, rest in (("POST", "/publish"), ("POST", "/approve"), ("POST", "/withdraw"), ("GET", "/difference")):
        answer = empty.ask(who, method, path + rest, json={"timeline": pending["timeline"]})
        assert (answer.status_code, answer.content) == (403, FORBIDDEN)
    assert empty.get(who, "/v1/officer/policies/calendar").content == FORBIDDEN


@pytest.mark.parametrize("body", [None, {}, {"timeline": "x"}, {"timeline": 1}, {"timeline": "0" * 64, "more": 1}, [], "x"])
def test_an_approval_names_a_timeline(empty: Service, body: object) -> None:
    path, _ = proposed(empty)
    assert empty.post("second-officer", f"{path}/approve", body).status_code == 422


def test_an_approval_of_something_else_is_refused(empty: Service) -> None:
    path, pending = proposed(empty)
    problem(empty.post("second-officer", f"{path}/approve", {"timeline": "0" * 64}), 409, "other-timeline")
    problem(empty.post("second-officer", f"{path[:-64]}{'0' * 64}/approve", {"timeline": pending["timeline"]}), 409, "no-proposal")
    ok(empty.post("second-officer", f"{path}/approve", {"timeline": pending["timeline"]}))
    problem(empty.post("second-officer", f"{path}/approve", {"timeline": pending["timeline"]}), 409, "no-proposal")


def test_what_has_changed_since_is_void(empty: Service) -> None:
    path, pending = proposed(empty)
    item = {
        "ref": "x", "marking": "SECRET//REL TO USA, SGP", "categories": ["MARITIME"],
        "portions": [{"kind": "title", "marking": "(S//REL TO USA, SGP)", "text": "x"}],
    }  # fmt: skip
    ok(empty.post("officer", "/v1/officer/items", item), 201)
    detail = problem(empty.post("second-officer", f"{path}/approve", {"timeline": pending["timeline"]}), 409, "timeline-changed")
    assert "void" in detail
    (proposal,) = ok(empty.get("officer", "/v1/officer/policies"))["proposals"]
    assert (proposal["state"], proposal["reason"]) == ("void", "timeline-changed")
    assert acts(empty)[0] == "policy.void"


def test_a_proposal_is_withdrawn_with_its_reason(empty: Service) -> None:
    path, pending = proposed(empty)
    done = ok(empty.post("second-officer", f"{path}/withdraw", {"reason": "not this year"}))
    (proposal,) = ok(empty.get("officer", "/v1/officer/policies"))["proposals"]
    assert (proposal["state"], proposal["reason"]) == ("withdrawn", "not this year")
    assert proposal["closed_by"] == empty.client("second-officer").id
    entry = ok(empty.get("auditor", f"/v1/audit/releases/{done['event_id']}"))
    assert entry["face"]["type"] == "policy.withdraw"
    assert entry_in_words(entry)["details"]["reason"] == "not this year"
    problem(empty.post("officer", f"{path}/withdraw", {"reason": "again"}), 409, "no-proposal")
    problem(empty.post("second-officer", f"{path}/approve", {"timeline": pending["timeline"]}), 409, "no-proposal")


def test_what_only_narrows_is_published_at_once(empty: Service) -> None:
    path = f"/v1/officer/policies/{uploaded(empty, NARROWER)}"
    assert ok(empty.get("officer", f"{path}/difference"))["needs_approval"] is False
    done = ok(empty.post("officer", f"{path}/publish"))
    assert in_force(empty) == done["digest"]


# --- the difference ----------------------------------------------------------------------------------------------------------


def test_the_difference_is_what_will_be_approved_and_a_look_on_record(own: Service) -> None:
    path = f"/v1/officer/policies/{uploaded(own, WIDER)}"
    answer = own.get("officer", f"{path}/difference")
    told = ok(answer)
    assert told["in_force"] == in_force(own)
    assert (told["needs_approval"], told["approval_level"], told["proved"]) == (True, "SECRET", True)
    assert told["reasons"][0] == "SGP gains release and display up to SECRET"
    assert [row["text"] for row in told["rows"]["added"]] == [ROW]
    assert {row["file"] for row in told["rows"]["removed"]} == {"cases.csv"}
    now = told["moments"][0]
    assert now["from"] == "now"
    sentences = [one["sentence"] for one in now["all_labels"] if one["partner"] == "SGP" and one["action"] == "release"]
    assert any("SGP gains release of SECRET, " in sentence and "by AGR-0099" in sentence for sentence in sentences)
    entry = ok(own.get("auditor", f"/v1/audit/releases/{answer.headers['release-event']}"))
    assert (entry["face"]["type"], entry["record"]["details"]["timeline"]) == ("look.difference", told["timeline"])
    pending = ok(own.post("officer", f"{path}/publish"), 202)
    assert pending["timeline"] == told["timeline"]
    assert ok(own.get("second-officer", f"{path}/difference"))["timeline"] == told["timeline"]
    problem(own.get("officer", f"/v1/officer/policies/{'0' * 64}/difference"), 409, "no-bundle")
    assert own.get("officer", f"{path}/difference?x=1").status_code == 422


def test_the_difference_counts_what_is_stored_by_level(empty: Service) -> None:
    for number, level in enumerate(("S", "C", "S")):
        empty.post("officer", "/v1/officer/items", {
            "ref": f"sea-{number}", "marking": "SECRET//NOFORN", "releasable_in": "portions", "categories": ["MARITIME"],
            "portions": [{"kind": "title", "marking": f"({level}//REL TO USA, SGP)", "text": "x"}],
        })  # fmt: skip
    told = ok(empty.get("officer", f"/v1/officer/policies/{uploaded(empty, LATER)}/difference"))
    assert [moment["from"] for moment in told["moments"]] == ["now", "2027-01-15T00:00:00.000000Z"]
    assert told["moments"][0]["stored"] == []
    (sgp,) = told["moments"][1]["stored"]
    assert (sgp["partner"], sgp["purpose"]) == ("SGP", "none")
    assert sgp["gained"] == {"items": 2, "portions": 2, "levels": [{"level": "SECRET", "items": 2, "portions": 2}]}
    assert sgp["lost"] == {"items": 0, "portions": 0, "levels": []}
    assert told["reasons"] == [
        "from 2027-01-15 on SGP gains release and display up to SECRET",
        "from 2027-01-15 on SGP gains 2 stored items and 2 portions of SECRET",
    ]


def test_the_body_that_is_approved_can_be_made_again_from_what_is_told(empty: Service) -> None:
    """Canonical JSON of the moments, without what only shows them: whoever has the difference can check the digest."""
    import rfc8785

    told = ok(empty.get("officer", f"/v1/officer/policies/{uploaded(empty, LATER)}/difference"))
    bound = {
        "v": 1,
        "bundle": told["bundle"],
        "in_force": told["in_force"],
        "proved": told["proved"],
        "moments": [
            {
                "from": moment["from"],
                "stored": moment["stored"],
                "stored_sha256": moment["stored_sha256"],
                "all_labels": [
                    {name: one[name] for name in ("partner", "action", "purposes", "change", "highest")} for one in moment["all_labels"]
                ],
            }
            for moment in told["moments"]
        ],
    }
    assert hashlib.sha256(rfc8785.dumps(bound)).hexdigest() == told["timeline"]


# --- the calendar ------------------------------------------------------------------------------------------------------------


def test_the_calendar_says_what_begins_and_ends(own: Service) -> None:
    answer = own.get("officer", "/v1/officer/policies/calendar", params={"days": 100})
    told = ok(answer)
    assert list(told) == ["bundle", "since", "until", "dates"]
    assert told["bundle"] == in_force(own)
    dates = {date["at"][:10]: date for date in told["dates"]}
    assert list(dates) == ["2027-01-01", "2027-02-01", "2027-03-01"]
    (row,) = dates["2027-02-01"]["rows"]
    assert (row["id"], row["change"], row["file"]) == ("PRO-0007", "ends", "prohibitions.csv")
    assert {one["partner"] for one in dates["2027-02-01"]["all_labels"]} == {"IDN"}
    assert {one["change"] for one in dates["2027-02-01"]["all_labels"]} == {"gains"}
    entry = ok(own.get("auditor", f"/v1/audit/releases/{answer.headers['release-event']}"))
    assert entry["face"]["type"] == "look.calendar"


@pytest.mark.parametrize("query", ["days=0", "days=-1", "days=x", "days=100000", "weeks=1", "days=1&days=2&x=1"])
def test_the_calendar_takes_days_and_nothing_else(service: Service, query: str) -> None:
    assert service.get("officer", f"/v1/officer/policies/calendar?{query}").status_code == 422
