"""Facts in the database: each once, written behind the logs in steps, once for every entry, whoever does it and however often."""

from __future__ import annotations

import json
import threading

import pytest
from sqlalchemy import text

from service.releaselog.facts import Fact
from service.releaselog.facts import facts as derive
from service.sharing.ledger import Draft, Ledger
from service.store import Database, facts, logs

LEDGER = Ledger("entente.test", bytes(32))
LABEL = b'{"1":{"categories":["MARITIME"],"level":"SECRET"}}'
SECRET: Fact = ("level", "SECRET")


def write(database: Database, *, at: int, entries: int) -> None:
    """Append to two logs, in one batch; each entry is of a rule of its own."""
    drafts = [
        Draft(
            log=log, type="item", client="c", route="/", items=b"[]", body_sha256=bytes(32), result="refused", purpose="none",
            record={"act": b"1", "outcome": b'"withhold"', "labels": LABEL, "items": b'[{"rules":["AGR-%04d"]}]' % number},
        )
        for number in range(entries)
        for log in ("AUS", "JPN")
    ]  # fmt: skip
    with database.releasing() as connection:
        LEDGER.append(connection, LEDGER.lock(connection, ["AUS", "JPN"]), drafts, at=at)


def caught_up(database: Database, *, limit: int) -> int:
    """Catch up in steps; how many it took."""
    steps = 0
    while True:
        steps += 1
        with database.releasing() as connection:
            if facts.catch_up(connection, limit=limit):
                return steps


def kept(database: Database) -> list[tuple[str, int, Fact, int]]:
    with database.reading() as connection:
        names = facts.names(connection)
        return sorted(
            (head.name, position, fact, at)
            for head in logs.heads(connection)
            for position, rows in facts.by_position(connection, head.id, 0, head.size, names=names).items()
            for fact, at in rows
        )


def derived(database: Database) -> list[tuple[str, int, Fact, int]]:
    with database.reading() as connection:
        return sorted(
            (row.log, row.position, fact, row.at)
            for head in logs.heads(connection)
            for row in logs.entries(connection, head.id)
            for fact in derive(json.loads(row.record))
        )


def test_an_append_writes_no_facts(database: Database) -> None:
    """How many there are depends on what was withheld: nothing of it may show in the work that is done for a partner."""
    write(database, at=1, entries=3)
    with database.reading() as connection:
        assert facts.behind(connection)
        assert facts.names(connection) == facts.marks(connection) == {}
    assert kept(database) == []


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_catching_up_gives_every_entry_its_facts_once(database: Database, limit: int) -> None:
    for at, entries in ((1, 5), (2, 9), (3, 1)):
        write(database, at=at, entries=entries)
        steps = caught_up(database, limit=limit)
        assert steps <= 2 * entries // limit + 2
        assert kept(database) == derived(database)
    with database.reading() as connection:
        assert not facts.behind(connection)
        assert set(facts.marks(connection).values()) == {15}
        names = facts.names(connection)
        assert len(set(names.values())) == len(names)
        found = facts.ids(connection, [SECRET, ("level", "absent"), ("level", "\x00")])
        assert {names[number] for number in found.values()} == {SECRET}
    assert caught_up(database, limit=limit) == 1


def test_a_step_that_fails_is_taken_again(database: Database) -> None:
    write(database, at=1, entries=4)
    with pytest.raises(RuntimeError), database.releasing() as connection:
        facts.catch_up(connection, limit=5)
        raise RuntimeError
    assert kept(database) == []
    caught_up(database, limit=5)
    assert kept(database) == derived(database)


def test_two_who_catch_up_at_once_agree(database: Database) -> None:
    write(database, at=1, entries=40)
    start, done = threading.Barrier(3), []

    def run() -> None:
        start.wait()
        done.append(caught_up(database, limit=9))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 3
    assert kept(database) == derived(database)


def test_a_record_that_cannot_be_read_holds_nobody_up(database: Database) -> None:
    write(database, at=1, entries=3)
    with database.acting() as connection:
        for position, broken in ((0, b"not a record"), (1, b"[]"), (2, b'{"outcome":"\\u0000"}')):
            connection.execute(text("UPDATE log_entry SET record = :no WHERE position = :at"), {"no": broken, "at": position})
    caught_up(database, limit=2)
    assert kept(database) == []
