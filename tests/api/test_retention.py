"""What auditors hold and let go over HTTP, and who else may: nobody."""

from __future__ import annotations

from typing import Any

import pytest

from service.sharing.verification import verify_all
from tests.support.api import Service

HOLD = {"partner": "JPN", "item": "i-1", "since": "2026-01-02", "until": "2027-01-01T12:00:00Z", "reason": "an inquiry"}


def test_a_hold_is_put_on_listed_and_released_each_on_record(empty: Service) -> None:
    first = empty.post("auditor", "/v1/audit/holds", HOLD)
    assert (first.status_code, first.json()["hold"]) == (201, 1), first.text
    assert empty.post("second-auditor", "/v1/audit/holds", {"reason": "everything"}).json()["hold"] == 2
    released = empty.post("second-auditor", "/v1/audit/holds/1/release", {"reason": "it is over"})
    assert (released.status_code, released.json()["hold"]) == (200, 1)
    listed = empty.get("auditor", "/v1/audit/holds")
    assert empty.entry(listed)["face"]["type"] == "look.holds"
    assert [one["hold"] for one in listed.json()["holds"]] == [2]
    page = empty.get("auditor", "/v1/audit/holds?ended=true&limit=1").json()
    assert page["holds"] == [
        {
            "hold": 1, "log": "JPN", "item": "i-1", "since": "2026-01-02T00:00:00.000000Z", "until": "2027-01-01T12:00:00.000000Z",
            "reason": "an inquiry", "client": empty.client("auditor").id, "at": "2026-11-22T10:00:00.000000Z",
            "released": {"at": "2026-11-22T10:00:00.000000Z", "client": empty.client("second-auditor").id, "reason": "it is over"},
        }
    ]  # fmt: skip
    rest = empty.get("auditor", f"/v1/audit/holds?ended=true&limit=1&cursor={page['next']}").json()
    assert ([one["hold"] for one in rest["holds"]], "next" in rest) == ([2], False)
    acts = [(one["face"]["type"], one["record"]["details"].get("hold")) for one in empty.entries(log="officers")]
    assert [one for one in acts if one[1]] == [("log.hold-release", 1), ("log.hold", 2), ("log.hold", 1)]
    assert verify_all(empty.installation).problem is None


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/audit/holds", {}, 422, "body"),
        ("/v1/audit/holds", {"reason": "r", "log": "NOPE"}, 409, "no-log"),
        ("/v1/audit/holds", {"reason": "r", "log": "officers", "partner": "JPN"}, 422, "hold"),
        ("/v1/audit/holds", {"reason": "r", "since": "yesterday"}, 422, None),
        ("/v1/audit/holds", {"reason": "r", "since": "2026-02-01", "until": "2026-01-01"}, 422, "hold"),
        ("/v1/audit/holds/7/release", {"reason": "r"}, 404, None),
        ("/v1/audit/holds/-1/release", {"reason": "r"}, 404, None),
        ("/v1/audit/holds/x/release", {"reason": "r"}, 404, None),
    ],
)
def test_what_makes_no_sense_changes_nothing(service: Service, path: str, body: dict[str, Any], status: int, code: str | None) -> None:
    before = service.size("officers")
    refused = service.post("auditor", path, body)
    assert refused.status_code == status, refused.text
    assert code is None or refused.json()["code"] == code
    assert service.size("officers") == before


@pytest.mark.parametrize("who", ["jpn", "officer", "operator"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/audit/holds"), ("GET", "/v1/audit/holds"), ("POST", "/v1/audit/holds/1/release")]
)
def test_holds_are_for_auditors_alone(service: Service, who: str, method: str, path: str) -> None:
    assert service.ask(who, method, path, **({"json": HOLD} if method == "POST" else {})).status_code == 403
