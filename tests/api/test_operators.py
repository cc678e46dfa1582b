"""What an operator watches: counts that add up, ages, reasons in words; nothing of partners, and for nobody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store import roots
from service.store.times import micros
from tests.support.api import FORBIDDEN, UNAUTHORIZED, Clock, Service, service_in, set_up


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Service]:
    set_up(tmp_path / "data", demo=False)
    with service_in(tmp_path / "data", clock=Clock(), rate_burst=50, rate_per_second=1) as service:
        yield service


def metrics(service: Service) -> dict[str, float]:
    """Values by name and labels."""
    answer = service.get("operator", "/v1/operator/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    lines = [line for line in answer.text.splitlines() if not line.startswith("#") and "_created" not in line]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_answers_commits_and_entries_are_counted(watched: Service) -> None:
    before = metrics(watched)
    for _ in range(3):
        watched.get("jpn", "/v1/items/absent")
    watched.get("jpn", "/v1/items", params={"limit": "0"})
    watched.get(None, "/v1/items")
    watched.get("officer", "/v1/items")
    watched.ask("jpn", "DELETE", "/v1/items")
    after = metrics(watched)

    def more(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert more("entente_entries_total") == 3 and 1 <= more("entente_commits_total") <= 3
    counted = {status: more(f'entente_answers_total{{status="{status}"}}') for status in (401, 403, 405, 413, 422, 429, 503)}
    assert counted == {401: 1, 403: 1, 405: 1, 413: 0, 422: 1, 429: 0, 503: 0}
    assert more('entente_answers_total{status="4xx"}') == 3 and after["entente_queue_entries"] == 0


def test_a_client_over_its_rate_is_counted(watched: Service) -> None:
    for _ in range(60):
        watched.get("jpn", "/v1/me")
    assert metrics(watched)['entente_answers_total{status="429"}'] == 10


def test_ages_grow_with_the_clock_and_fall_with_a_root_and_a_signature(watched: Service) -> None:
    fresh = metrics(watched)
    assert fresh["entente_roots"] == 0 and str(fresh["entente_root_age_seconds"]) == "nan"
    watched.installation.rootlog.append()
    watched.clock.advance(seconds=90)
    aged = metrics(watched)
    assert (aged["entente_root_age_seconds"], aged["entente_unwitnessed_seconds"], aged["entente_roots"]) == (90, 90, 1)
    watched.installation.rootlog.append()
    assert metrics(watched)["entente_root_age_seconds"] == 0 and metrics(watched)["entente_unwitnessed_seconds"] == 90
    with watched.installation.database.releasing() as connection:
        roots.keep_cosignature(connection, size=2, vkey="w", line="l", at=micros(watched.clock()))
    assert metrics(watched)["entente_unwitnessed_seconds"] == 0 and metrics(watched)["entente_witnesses"] == 0


def test_where_nothing_may_be_signed_the_operator_is_told_why_and_nobody_else(watched: Service) -> None:
    good = watched.get("operator", "/v1/operator/health").json()
    assert (good["status"], good["reasons"]) == ("ready", []) and metrics(watched)["entente_may_release"] == 1
    assert watched.get(None, "/health/ready").json() == {"status": "ready"}
    with watched.installation.database.acting() as connection:
        roots.halt(connection, at=1, why="a witness disagrees")
    bad = watched.get("operator", "/v1/operator/health").json()
    assert (bad["status"], bad["reasons"]) == ("unavailable", ["a witness disagrees"])
    assert metrics(watched)["entente_may_release"] == 0
    ready = watched.get(None, "/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"status": "unavailable"})
    refused = watched.get("jpn", "/v1/items/absent")
    assert refused.status_code == 503 and "witness" not in refused.text and "release-event" not in refused.headers


def test_nothing_of_partners_clients_or_items_is_in_it(watched: Service) -> None:
    watched.get("jpn", "/v1/items/absent")
    text = watched.get("operator", "/v1/operator/metrics").text + watched.get("operator", "/v1/operator/health").text
    assert not re.search(r"JPN|jpn|IND|c_[A-Za-z0-9]|absent", text)


@pytest.mark.parametrize("path", ["/v1/operator/metrics", "/v1/operator/health"])
@pytest.mark.parametrize("who", ["jpn", "officer", "auditor"])
def test_it_is_for_operators_alone(watched: Service, path: str, who: str) -> None:
    assert watched.get(who, path).content == FORBIDDEN
    assert watched.get(None, path).content == UNAUTHORIZED
