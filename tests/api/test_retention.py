"""What auditors hold and let go over HTTP, and who else may: nobody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.sharing.verification import verify_all
from service.store.times import micros
from tests.support.api import Service, copied, service_in
from tests.support.old_logs import fill

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


# --- pruning ----------------------------------------------------------------------------------------------------------

BEFORE = {"before": "2025-01-01", "reason": "the retention policy"}


@pytest.fixture(scope="module")
def old(plain_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An installation with a log of which three tiles are old, one of them held."""
    with service_in(copied(plain_folder, tmp_path_factory.mktemp("old") / "data"), retention_days=300) as opened:
        times = [micros(datetime(2024, month, 1, tzinfo=UTC)) for month in (1, 2, 3) for _ in range(256)]
        fill(opened.installation, "JPN", [*times, micros(opened.clock())])
        held = {"partner": "JPN", "since": "2024-02-01", "until": "2024-02-02", "reason": "an inquiry"}
        assert opened.post("auditor", "/v1/audit/holds", held).status_code == 201
        yield opened


def test_a_prune_is_foreseen_proposed_and_approved_by_two(old: Service) -> None:
    foreseen = old.post("auditor", "/v1/audit/prunes?dry_run=true", BEFORE)
    told = {
        "before": "2025-01-01T00:00:00.000000Z", "entries": 512, "more": False,
        "ranges": [{"log": "JPN", "start": 0, "stop": 256}, {"log": "JPN", "start": 512, "stop": 768}],
        "kept": [{"log": "JPN", "why": "hold 1", "entries": 256}],
    }  # fmt: skip
    assert (foreseen.status_code, foreseen.json()) == (200, told), foreseen.text
    assert old.entry(foreseen)["face"]["type"] == "look.prunes"
    pending = old.post("auditor", "/v1/audit/prunes", BEFORE)
    assert pending.status_code == 202, pending.text
    body = pending.json()
    assert {name: body[name] for name in told} == told
    approve, seen = f"/v1/audit/prunes/{body['proposal']}/approve", {"timeline": body["timeline"]}
    own = old.post("auditor", approve, seen)
    assert (own.status_code, own.json()["code"]) == (403, "second-officer")
    assert "expected another auditor" in own.json()["detail"]
    for who in ("officer", "jpn", "operator"):
        assert old.post(who, approve, seen).status_code == 403
    assert old.post("second-auditor", approve, {"timeline": "00" * 32}).json()["code"] == "other-timeline"
    done = old.post("second-auditor", approve, seen)
    assert (done.status_code, done.json()["entries"], done.json()["ranges"]) == (200, 512, told["ranges"])
    assert old.post("second-auditor", approve, seen).json()["code"] == "no-proposal"
    (line,) = old.get("auditor", "/v1/audit/prunes").json()["prunes"]
    assert (line["state"], line["ranges"], line["ended"]["client"]) == ("approved", told["ranges"], old.client("second-auditor").id)
    again = old.post("auditor", "/v1/audit/prunes", BEFORE)
    assert (again.status_code, again.json()["code"]) == (409, "nothing-to-prune")
    assert verify_all(old.installation).problem is None


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/audit/prunes", {"reason": "r"}, 422, "body"),
        ("/v1/audit/prunes", {"before": "then", "reason": "r"}, 422, None),
        ("/v1/audit/prunes", {"before": "2026-10-01", "reason": "r"}, 422, "retention"),
        ("/v1/audit/prunes?dry_run=true", {"before": "2026-10-01", "reason": "r"}, 422, "retention"),
        ("/v1/audit/prunes", {**BEFORE, "log": "NOPE"}, 409, "no-log"),
        ("/v1/audit/prunes", {**BEFORE, "log": "root"}, 409, "no-log"),
        ("/v1/audit/prunes/99/approve", {"timeline": "00" * 32}, 404, None),
        ("/v1/audit/prunes/x/withdraw", {"reason": "r"}, 404, None),
    ],
)
def test_a_prune_that_makes_no_sense_changes_nothing(old: Service, path: str, body: dict[str, Any], status: int, code: str | None) -> None:
    before = old.size("officers")
    refused = old.post("auditor", path, body)
    assert refused.status_code == status, refused.text
    assert code is None or refused.json()["code"] == code
    assert old.size("officers") == before


def test_without_a_retention_policy_nothing_is_pruned(service: Service) -> None:
    refused = service.post("auditor", "/v1/audit/prunes?dry_run=true", BEFORE)
    assert (refused.status_code, refused.json()["code"]) == (422, "retention")
    assert "no retention policy is set" in refused.json()["detail"]
