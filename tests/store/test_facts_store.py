"""Facts in the database: each once, never remembered before they are committed, filled in for what was recorded before."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from service.releaselog.facts import Fact
from service.releaselog.facts import facts as derive
from service.sharing.ledger import Draft, Ledger
from service.store import Database, facts, logs
from service.store.facts import FactIds
from service.store.migrate import _config

SECRET: Fact = ("level", "SECRET")
RULE: Fact = ("rule", "AGR-0001")
LABEL = b'{"1":{"categories":["MARITIME"],"level":"SECRET"}}'


def test_a_fact_has_one_id_whoever_asks(database: Database) -> None:
    one, other = FactIds(), FactIds()
    with database.releasing() as connection:
        found = dict(one.of(connection, {SECRET, RULE}))
    with database.releasing() as connection:
        assert {fact: other.of(connection, [fact])[fact] for fact in (SECRET, RULE)} == found
        assert len(set(found.values())) == 2
        assert facts.names(connection) == {number: fact for fact, number in found.items()}
        assert facts.ids(connection, [SECRET, ("level", "absent"), ("level", "\x00")]) == {SECRET: found[SECRET]}


def test_what_a_failed_transaction_added_is_not_remembered(database: Database) -> None:
    """Its id is another fact's afterwards: remembered, entries would be found under what they do not say."""
    ids = FactIds()
    with pytest.raises(RuntimeError), database.releasing() as connection:
        ids.of(connection, [SECRET])
        # A second time in the same transaction, in which it is found, but not committed.
        ids.of(connection, [SECRET])
        raise RuntimeError
    with database.releasing() as connection:
        ids.of(connection, [RULE])
    with database.releasing() as connection:
        found = ids.of(connection, [SECRET, RULE])
        assert {number: fact for fact, number in found.items()} == facts.names(connection)


def test_another_database_has_ids_of_its_own(database: Database, sqlite_with_tables: Path, tmp_path: Path) -> None:
    ids = FactIds()
    other = Database.open(f"sqlite:///{shutil.copy(sqlite_with_tables, tmp_path / 'other.db')}")
    for one, order in ((database, [SECRET, RULE]), (other, [RULE, SECRET]), (database, [SECRET, RULE]), (other, [RULE])):
        for fact in order:
            with one.releasing() as connection:
                ids.of(connection, [fact])
    for one in (database, other):
        with one.releasing() as connection:
            found = ids.of(connection, [SECRET, RULE])
            assert {number: fact for fact, number in found.items()} == facts.names(connection)
    other.close()


def test_two_writers_that_meet_a_new_fact_at_once_agree(database: Database) -> None:
    start, seen = threading.Barrier(4), []

    def write(number: int) -> None:
        start.wait()
        with database.releasing() as connection:
            seen.append(FactIds().of(connection, [SECRET, RULE, ("rule", f"OWN-{number:04}")])[SECRET])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4 and len(set(seen)) == 1


def _written(database: Database) -> list[tuple[str, int, Fact, int]]:
    with database.reading() as connection:
        names = facts.names(connection)
        return sorted(
            (head.name, position, fact, at)
            for head in logs.heads(connection)
            for position, rows in facts.by_position(connection, head.id, 0, head.size, names=names).items()
            for fact, at in rows
        )


def test_what_was_recorded_before_facts_were_kept_gets_those_it_would_have_got(database: Database) -> None:
    ledger = Ledger("entente.test", bytes(32))
    for at in range(1, 4):
        drafts = [
            Draft(
                log=log, type="item", client="c", route="/", items=b"[]", body_sha256=bytes(32), result="refused", purpose="none",
                record={"act": b"1", "outcome": b'"withhold"', "labels": LABEL, "items": b'[{"rules":["AGR-%04d"]}]' % number},
            )
            for number in range(400)
            for log in ("AUS", "JPN")
        ]  # fmt: skip
        with database.releasing() as connection:
            ledger.append(connection, ledger.lock(connection, ["AUS", "JPN"]), drafts, at=at)
    before = _written(database)
    assert len(before) == 2400 * 4
    with database.reading() as connection:
        assert {(row.log, row.position, fact, row.at) for head in logs.heads(connection) for row in logs.entries(connection, head.id)
                for fact in derive(json.loads(row.record))} == set(before)  # fmt: skip
    with database.acting() as connection:
        connection.execute(text("DELETE FROM log_fact"))
        connection.execute(text("DELETE FROM fact"))
        connection.execute(text("UPDATE log_entry SET record = :no WHERE position = 7"), {"no": b"not a record"})
        revision = ScriptDirectory.from_config(_config()).get_revision("0003")
        revision.module._fill(connection)
    assert _written(database) == [row for row in before if row[1] != 7]
