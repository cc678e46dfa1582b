"""Legal holds: on record when they are put on and when they end, and what their leaves say is what pruning asks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from service.errors import Conflict, NotVisible, Rejected
from service.sharing import holds
from service.sharing.holds import Conditions
from service.sharing.verification import verify_all
from service.store import holds as stored
from service.store import logs
from service.store.times import text_of
from tests.support.old_logs import auditors, fill
from tests.support.store_bundles import bundle_files
from tests.support.store_world import World

DAY = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def held(database_url: str, tmp_path: Path) -> Iterator[World]:
    """An installation with a log, on each kind of database, and three holds, of which one is released."""
    world = World(tmp_path / "data", url=database_url)
    world.publish(bundle_files())
    acts, (one, other) = world.installation.acts, auditors(world.installation)
    fill(world.installation, "JPN", [world.clock.micros] * 3)
    holds.add(acts, one, Conditions(log="JPN", item="i-1", since=DAY), reason="an inquiry")
    holds.add(acts, one, Conditions(), reason=" a court's order ")
    holds.add(acts, other, Conditions(until=DAY), reason="another")
    holds.release(acts, other, 2, reason="the court has ruled")
    yield world
    world.close()


def test_a_hold_and_its_end_are_leaves_that_say_what_and_why(held: World) -> None:
    with held.installation.database.reading() as connection:
        rows = list(logs.of_types(connection, "officers", (holds.HOLD_TYPE, holds.RELEASE_TYPE)))
        told, wrong = holds.derived(connection)
        kept = stored.every(connection)
        on = [hold.id for hold in stored.in_force(connection)]
        pages = [stored.page(connection, after=1, limit=1, ended=ended)[0].id for ended in (False, True)]
        shown = holds.holds_json(connection, kept)
    one, other = auditors(held.installation)
    assert [(row.type, row.client) for row in rows] == [
        ("log.hold", one.client),
        ("log.hold", one.client),
        ("log.hold", other.client),
        ("log.hold-release", other.client),
    ]
    assert (list(told.values()), wrong) == (kept, None), "the table is what the leaves say"
    assert (on, pages) == ([1, 3], [3, 2])
    assert shown[0] == {
        "hold": 1, "log": "JPN", "item": "i-1", "since": "2026-01-02T00:00:00.000000Z", "reason": "an inquiry", "client": one.client,
        "at": text_of(kept[0].at),
    }  # fmt: skip
    ended = shown[1]
    assert ended["reason"] == "a court's order"
    assert ended["released"] == {"at": text_of(rows[3].at), "client": other.client, "reason": "the court has ruled"}
    assert verify_all(held.installation).problem is None


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM hold WHERE id = 1", "hold 1 is on record, but not kept"),
        ("UPDATE hold SET item = 'i-2' WHERE id = 1", "hold 1 is not what its leaves"),
        ("UPDATE hold SET since = since + 1 WHERE id = 1", "hold 1 is not what its leaves"),
        ("UPDATE hold SET log = 'GBR' WHERE id = 1", "hold 1 is not what its leaves"),
        ("UPDATE hold SET released_at = 1, released_by = 'c', released_why = 'r' WHERE id = 3", "hold 3 is not what its leaves"),
        ("UPDATE hold SET released_at = NULL, released_by = NULL, released_why = NULL WHERE id = 2", "hold 2 is not what its leaves"),
        ("INSERT INTO hold (id, reason, client, at) VALUES (9, 'r', 'c', 1)", "hold 9 is kept, but not on record"),
    ],
)
def test_a_hold_changed_without_a_leaf_is_found_by_its_number(held: World, statement: str, message: str) -> None:
    with held.installation.database.acting() as connection:
        connection.execute(text(statement))
    problem = verify_all(held.installation).problem
    assert problem is not None
    assert (problem.log, problem.code) == ("holds", "hold")
    assert message in problem.message


def test_what_makes_no_sense_is_refused_and_changes_nothing(held: World) -> None:
    acts, (one, _) = held.installation.acts, auditors(held.installation)
    before = held.everything()
    with pytest.raises(Rejected, match="`reason` is empty"):
        holds.add(acts, one, Conditions(), reason=" ")
    with pytest.raises(Conflict, match="no log `JAPAN`"):
        holds.add(acts, one, Conditions(log="JAPAN"), reason="r")
    with pytest.raises(NotVisible):
        holds.release(acts, one, 99, reason="r")
    with pytest.raises(Conflict, match="hold `2` was released at 2026-11-22"):
        holds.release(acts, one, 2, reason="again")
    with pytest.raises(Rejected, match="`until` is not after `since`"):
        holds.conditions(log=None, partner=None, item=None, since=DAY, until=DAY)
    with pytest.raises(Rejected, match="name two logs"):
        holds.conditions(log="officers", partner="JPN", item=None, since=None, until=None)
    assert held.everything() == before
