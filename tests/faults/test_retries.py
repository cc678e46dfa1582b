"""Retries and back-pressure (DESIGN section 7): told of the first event while it would be answered the same, else of a new one.

A retry is decided and fenced anew: a key is never a way to what is no longer released.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.app import create_app
from service.errors import Busy
from service.settings import IDEMPOTENCY_HOURS, Settings
from service.sharing import catalogue
from service.sharing.asks import Asker, ItemAsk
from service.sharing.installation import Installation, open_installation
from service.sharing.verification import verify_all
from tests.support.faults import (
    MACHINE_HERE,
    UNAVAILABLE,
    Answer,
    Small,
    ask,
    ask_all,
    bundle_files,
    entries,
    face,
    locked,
    log_size,
    on_record,
    small,
)
from tests.support.two_officers import relabel_within

KEY = "a-key-of-its-own"


class This:
    """The key of the test that runs."""

    key = ""


this = This()
NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _a_new_key() -> None:
    this.key = f"{KEY}-{next(NUMBERS):08}"


class Clock:
    """Stands still unless told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def clock_of(world: Small) -> Clock:
    clock = world.installation.clock
    assert isinstance(clock, Clock)
    return clock


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """For tests that change nothing but the time."""
    made = small(tmp_path_factory.mktemp("retries"), clock=Clock())
    made.installation.gate.start()
    yield made
    made.installation.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Small]:
    """For tests that change what may be had."""
    made = small(tmp_path, clock=Clock())
    made.installation.gate.start()
    yield made
    made.installation.close()


def get(world: Small, path: str, *, key: str | None = "", who: str = "jpn") -> Answer:
    """Ask under this test's key, another, or none."""
    return asyncio.run(ask(world.app, "GET", path, with_key(world, this.key if key == "" else key, who)))


def with_key(world: Small, key: str | None, who: str = "jpn") -> dict[str, str]:
    return world.headers(who) if key is None else {**world.headers(who), "idempotency-key": key}


def paths(world: Small) -> dict[str, str]:
    return {
        "list": "/v1/items?limit=2",
        "item": f"/v1/items/{world.items['sea']}",
        "file": f"/v1/items/{world.items['chart']}/files/{world.file}",
        "absent": f"/v1/items/{world.items['hidden']}",
    }


WHAT = ["list", "item", "file", "absent"]


@pytest.mark.parametrize("what", WHAT)
def test_a_retry_is_told_of_the_first_event_and_gets_the_same_bytes(shared: Small, what: str) -> None:
    first = get(shared, paths(shared)[what])
    size = log_size(shared.installation, "JPN")
    for minutes in (0, 1, 60, 22 * 60):
        clock_of(shared).now += timedelta(minutes=minutes)
        again = get(shared, paths(shared)[what])
        assert (again.status, again.event, again.body) == (first.status, first.event, first.body)
    assert log_size(shared.installation, "JPN") == size
    on_record(shared.installation, first)


@pytest.mark.parametrize("what", WHAT)
def test_without_a_key_every_request_is_an_event(shared: Small, what: str) -> None:
    assert len({get(shared, paths(shared)[what], key=None).event for _ in range(3)}) == 3


@pytest.mark.parametrize("first", WHAT)
@pytest.mark.parametrize("second", [*WHAT, "/v1/items?limit=3", "/v1/items?limit=2&level=SECRET"])
def test_the_key_of_another_request_is_refused(shared: Small, first: str, second: str) -> None:
    asked = paths(shared)
    told = get(shared, asked[first])
    size = log_size(shared.installation, "JPN")
    again = get(shared, asked.get(second, second))
    if first == second:
        assert again.event == told.event
        return
    assert (again.status, again.event, json.loads(again.body)["code"]) == (422, None, "idempotency-key")
    assert log_size(shared.installation, "JPN") == size
    # And the first request's key is still its own.
    assert get(shared, asked[first]).event == told.event


def test_a_key_is_the_clients_own(shared: Small) -> None:
    path = f"/v1/items/{shared.items['open']}"
    assert get(shared, path).event != get(shared, path, who="gbr").event
    assert get(shared, "/v1/items", who="gbr").status == 422


@pytest.mark.parametrize("key", ["a" * 15, "a" * 65, "a key with spaces in it", "a-key-with-a-dot.in-it", "a" * 16 + "\n", "é" * 16])
def test_a_key_of_another_form_is_refused(shared: Small, key: str) -> None:
    answer = get(shared, "/v1/items", key=key)
    assert (answer.status, json.loads(answer.body)["code"]) == (422, "idempotency-key")


@pytest.mark.parametrize("key", ["a" * 16, "A-z_0123456789-_" * 4])
def test_a_key_of_the_right_form_is_taken(shared: Small, key: str) -> None:
    assert get(shared, "/v1/items", key=key).event == get(shared, "/v1/items", key=key).event


# --- what changed meanwhile --------------------------------------------------------------------------------------------------------


def _relabel(world: Small, marking: str) -> None:
    with world.installation.acts.act("item.relabel", MACHINE_HERE) as act:
        relabel_within(act, world.items["sea"], marking)


def _withdraw(world: Small) -> None:
    with world.installation.acts.act("item.withdraw", MACHINE_HERE) as act:
        catalogue.withdraw(act, world.items["sea"], reason="a test")


REVOCATIONS = {
    "withdrawn": _withdraw,
    "relabelled": lambda world: _relabel(world, "(S//REL TO USA, AUS)"),
    "prohibited": lambda world: world.installation.publishing.publish(bundle_files(prohibited=True), MACHINE_HERE),
    "suspended": lambda world: world.installation.publishing.suspend("JPN", MACHINE_HERE, reason="a test"),
}


@pytest.mark.parametrize("why", REVOCATIONS)
def test_a_retry_for_what_is_released_no_longer_is_a_new_event_and_a_refusal(world: Small, why: str) -> None:
    path = paths(world)["item"]
    first = get(world, path)
    assert first.status == 200
    REVOCATIONS[why](world)
    refused = get(world, path)
    assert refused.status == 404
    assert refused.event != first.event
    assert face(on_record(world.installation, refused))["result"] == "refused"
    # From now on the retry is told of this one.
    assert get(world, path).event == refused.event


def test_a_retry_for_other_bytes_is_a_new_event(world: Small) -> None:
    path = paths(world)["item"]
    first = get(world, path)
    _relabel(world, "(C//REL TO USA, JPN)")
    second = get(world, path)
    assert second.status == 200
    assert second.body != first.body
    assert second.event != first.event
    on_record(world.installation, second)
    assert get(world, path).event == second.event


def test_a_retry_after_an_act_that_concerns_others_is_told_of_the_first_event(world: Small) -> None:
    first = [get(world, path, key=f"{KEY}-{what}") for what, path in paths(world).items()]
    world.installation.publishing.suspend("GBR", MACHINE_HERE, reason="a test")
    again = [get(world, path, key=f"{KEY}-{what}") for what, path in paths(world).items()]
    assert [(one.event, one.body) for one in again] == [(one.event, one.body) for one in first]


def test_what_is_released_again_the_same_is_the_first_event_only_if_it_was_the_last(world: Small) -> None:
    """The key stands for one answer, the last one given."""
    path = paths(world)["item"]
    first = get(world, path)
    world.installation.publishing.suspend("JPN", MACHINE_HERE, reason="a test")
    refused = get(world, path)
    world.installation.publishing.resume("JPN", MACHINE_HERE, reason="a test")
    third = get(world, path)
    assert (third.status, third.body) == (200, first.body)
    assert len({first.event, refused.event, third.event}) == 3


# --- time --------------------------------------------------------------------------------------------------------------------


def test_a_key_is_forgotten_after_its_hours(shared: Small) -> None:
    path = paths(shared)["item"]
    first = get(shared, path)
    clock_of(shared).now += timedelta(hours=IDEMPOTENCY_HOURS) - timedelta(seconds=1)
    assert get(shared, path).event == first.event
    clock_of(shared).now += timedelta(seconds=2)
    later = get(shared, path)
    assert later.event != first.event
    assert later.body == first.body


def test_a_forgotten_key_may_be_used_for_another_request(shared: Small) -> None:
    get(shared, paths(shared)["item"])
    clock_of(shared).now += timedelta(hours=IDEMPOTENCY_HOURS, seconds=1)
    answer = get(shared, paths(shared)["list"])
    assert answer.status == 200
    assert get(shared, paths(shared)["list"]).event == answer.event


def test_old_keys_are_forgotten_while_it_runs_and_no_others(world: Small) -> None:
    def kept() -> set[str]:
        with world.installation.database.reading() as connection:
            return set(connection.exec_driver_sql("SELECT key FROM idempotency").scalars())

    get(world, "/v1/items", key=f"{KEY}-old")
    clock_of(world).now += timedelta(hours=IDEMPOTENCY_HOURS, seconds=-1)
    young = get(world, "/v1/items", key=f"{KEY}-young")
    clock_of(world).now += timedelta(hours=1, seconds=1)
    assert kept() == {f"{KEY}-old", f"{KEY}-young"}
    get(world, "/v1/items", key=f"{KEY}-new")
    assert kept() == {f"{KEY}-young", f"{KEY}-new"}
    assert get(world, "/v1/items", key=f"{KEY}-young").event == young.event


# --- at once -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", WHAT)
def test_many_at_once_under_one_key_are_one_event(shared: Small, what: str) -> None:
    app = shared.app
    size = log_size(shared.installation, "JPN")
    answers = asyncio.run(ask_all(app, [("GET", paths(shared)[what], with_key(shared, this.key))] * 40))
    assert len({(answer.status, answer.event, answer.body) for answer in answers}) == 1
    assert log_size(shared.installation, "JPN") == size + 1
    on_record(shared.installation, answers[0])


def test_of_two_requests_at_once_under_one_key_one_is_answered_and_the_other_refused(shared: Small) -> None:
    app = shared.app
    one, other = paths(shared)["item"], paths(shared)["list"]
    size = log_size(shared.installation, "JPN")
    answers = asyncio.run(ask_all(app, [("GET", path, with_key(shared, this.key)) for path in [one, other] * 10]))
    assert sorted({answer.status for answer in answers}) == [200, 422]
    assert sum(answer.status == 200 for answer in answers) == 10
    assert len({answer.event for answer in answers if answer.status == 200}) == 1
    assert log_size(shared.installation, "JPN") == size + 1


def _item(world: Small, installation: Installation, *, key: str | None = None) -> ItemAsk:
    asker = Asker("JPN", "none", world.clients["jpn"].id, "JPN")
    retry = None if key is None else (key, b"r" * 32)
    return ItemAsk(asker=asker, copies=installation.copies, route="/v1/items/{id}", retry=retry, item=world.items["sea"].encode())


def test_duplicates_in_one_batch_are_one_event(shared: Small) -> None:
    """Handed to the commit together, so that none finds the other in the database."""
    installation = shared.installation
    asks = [_item(shared, installation, key=this.key), _item(shared, installation), _item(shared, installation, key=this.key)]
    size = log_size(installation, "JPN")
    events = [getattr(outcome, "entry").event_id for outcome in installation.gate.commit([(one, None) for one in asks])]  # noqa: B009
    assert events[0] == events[2] != events[1]
    assert log_size(installation, "JPN") == size + 2
    (again,) = installation.gate.commit([(asks[0], None)])
    assert getattr(again, "entry").event_id == events[0]  # noqa: B009


def test_a_key_holds_for_every_worker_and_after_a_restart(shared: Small) -> None:
    folder = shared.installation.settings.data
    other = open_installation(Settings(data=folder), clock=shared.installation.clock)
    other.gate.start()
    try:
        headers = with_key(shared, this.key)
        path = paths(shared)["item"]

        async def both() -> list[Answer]:
            apps = [shared.app, create_app(other)]
            return list(await asyncio.gather(*(ask(apps[number % 2], "GET", path, headers) for number in range(20))))

        answers = asyncio.run(both())
        assert len({answer.event for answer in answers}) == 1
    finally:
        other.close()
    third = open_installation(Settings(data=folder), clock=shared.installation.clock)
    third.gate.start()
    try:
        assert asyncio.run(ask(create_app(third), "GET", path, headers)).event == answers[0].event
        assert verify_all(third).ok
    finally:
        third.close()


# --- back-pressure -----------------------------------------------------------------------------------------------------------

QUEUE = 5


@pytest.mark.parametrize("limits", [{"queue_entries_max": QUEUE}, {"queue_entries_per_partner_max": QUEUE}], ids=["all", "one partner"])
def test_a_full_queue_says_so_and_what_it_took_is_answered_and_on_record(tmp_path: Path, limits: dict[str, int]) -> None:
    """While the log is locked one batch is being written and the queue fills; when it is free, all it took are answered."""
    made = small(tmp_path, busy_timeout_seconds=30, batch_entries_max=1, **limits)
    installation = made.installation
    installation.gate.start()
    app = made.app
    headers, others = made.headers("jpn"), made.headers("gbr")
    path = f"/v1/items/{made.items['open']}"

    async def run() -> tuple[list[Answer], list[Answer], Answer | None]:
        await ask(app, "GET", path, headers)  # known from here on, so that it asks nothing of the database before it waits
        size = log_size(installation, "JPN")
        one_partner = "queue_entries_per_partner_max" in limits
        with locked(installation):
            begun = [asyncio.create_task(ask(app, "GET", path, headers)) for _ in range(QUEUE * 4)]
            while sum(task.done() for task in begun) < QUEUE * 3 - 1:
                await asyncio.sleep(0.005)
            refused = [task.result() for task in begun if task.done()]
            assert log_size(installation, "JPN") == size
            # One partner's crowd is not another's: its own queue has room.
            other = asyncio.create_task(ask(app, "GET", path, others)) if one_partner else None
            await asyncio.sleep(0.05)
            assert other is None or not other.done()
        taken = [task for task in begun if not task.done()]
        answered = list(await asyncio.gather(*taken))
        assert log_size(installation, "JPN") == size + len(answered)
        return refused, answered, None if other is None else await other

    try:
        refused, answered, other = asyncio.run(run())
        # One is being written, the queue holds as many as it may.
        assert len(answered) in (QUEUE, QUEUE + 1)
        assert len(refused) + len(answered) == QUEUE * 4
        for answer in refused:
            assert (answer.status, answer.body, answer.event, answer.headers["retry-after"]) == (503, UNAVAILABLE, None, "1")
        assert len({answer.event for answer in answered}) == len(answered)
        for answer in answered:
            on_record(installation, answer)
        assert other is None or other.status == 200
        assert verify_all(installation).ok
    finally:
        installation.close()


def test_what_waits_when_the_service_ends_is_answered_and_what_comes_after_is_told(tmp_path: Path) -> None:
    made = small(tmp_path, batch_entries_max=2)
    installation = made.installation
    app = made.app
    path, headers = f"/v1/items/{made.items['open']}", made.headers("jpn")

    async def run() -> list[Answer]:
        begun = [asyncio.create_task(ask(app, "GET", path, headers)) for _ in range(9)]
        while len(installation.gate._waiting) < 9:
            await asyncio.sleep(0.005)
        installation.gate.start()
        await asyncio.to_thread(installation.gate.stop)
        return list(await asyncio.gather(*begun))

    try:
        answers = asyncio.run(run())
        assert [answer.status for answer in answers] == [200] * 9
        assert sorted(face(row)["event_id"] for row in entries(installation, "JPN")) == sorted(str(answer.event) for answer in answers)
        with pytest.raises(Busy):
            installation.gate.release_and_wait(_item(made, installation))
    finally:
        installation.close()


def test_a_client_who_went_away_leaves_its_entry_and_holds_up_nobody(shared: Small) -> None:
    installation = shared.installation
    app = shared.app
    path, headers = f"/v1/items/{shared.items['open']}", shared.headers("jpn")

    async def run() -> Answer:
        await ask(app, "GET", path, headers)
        size = log_size(installation, "JPN")
        with locked(installation):
            gone = [asyncio.create_task(ask(app, "GET", path, headers)) for _ in range(5)]
            await asyncio.sleep(0.05)
            for task in gone:
                task.cancel()
            await asyncio.gather(*gone, return_exceptions=True)
        answer = await ask(app, "GET", path, headers)
        assert log_size(installation, "JPN") == size + 6
        return answer

    on_record(installation, asyncio.run(run()))
    assert verify_all(installation).ok
