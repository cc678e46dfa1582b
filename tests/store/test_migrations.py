"""The schema: what the models say, reached from nothing, once, whoever starts at the same time."""

from __future__ import annotations

import multiprocessing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlmodel import SQLModel

import service.store.tables  # noqa: F401  (fills the metadata)
from service.errors import Busy
from service.store import Database
from service.store.database import scalar
from service.store.migrate import migrate
from service.store.search import INDEX_TABLES


def test_the_models_are_the_migrated_schema(database: Database) -> None:
    with database.engine.connect() as connection:
        # The full-text index is described by no model: SQLite keeps it in a virtual table.
        own = {"include_name": lambda name, kind, _: kind != "table" or name not in INDEX_TABLES}
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True, **own})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_every_table_and_index_is_there_and_no_other(database: Database) -> None:
    found = inspect(database.engine)
    assert set(found.get_table_names()) - INDEX_TABLES == set(SQLModel.metadata.tables) | {"alembic_version"}
    assert "search_index" in found.get_table_names()
    for name, table in SQLModel.metadata.tables.items():
        assert {index["name"] for index in found.get_indexes(name) if not index.get("duplicates_constraint")} == {
            index.name for index in table.indexes
        }
        assert found.get_pk_constraint(name)["constrained_columns"] == [column.name for column in table.primary_key]


def test_upgrading_again_changes_nothing_and_keeps_what_is_there(database: Database) -> None:
    with database.acting() as connection:
        connection.execute(text("INSERT INTO suspension (partner, act) VALUES ('JPN', 3)"))
    migrate(database)
    migrate(database)
    with database.reading() as connection:
        assert scalar(connection, "SELECT act FROM suspension") == 3
        assert scalar(connection, "SELECT COUNT(*) FROM alembic_version") == 1


def _start(url: str, ready: object, go: object, failures: object) -> None:
    database = Database.open(url, busy_timeout_seconds=20)
    ready.release()  # type: ignore[attr-defined]
    go.wait()  # type: ignore[attr-defined]
    try:
        migrate(database)
        with database.reading() as connection:
            assert scalar(connection, "SELECT COUNT(*) FROM alembic_version") == 1
    except BaseException as error:
        failures.put(repr(error))  # type: ignore[attr-defined]
        raise
    finally:
        database.close()


def test_processes_that_start_at_once_migrate_once(empty_database_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, go, failures = spawn.Semaphore(0), spawn.Event(), spawn.Queue()
    processes = [spawn.Process(target=_start, args=(empty_database_url, ready, go, failures)) for _ in range(3)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    go.set()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0], failures.get(timeout=1)


def test_text_is_in_the_order_of_its_bytes(database: Database) -> None:
    """Pages of a list are walked by the database and merged here: in another order, ids would be skipped and repeated."""
    if database.postgres:
        columns = (
            "SELECT a.attrelid::regclass, a.attname, c.collname FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid "
            "LEFT JOIN pg_collation c ON c.oid = a.attcollation "
            "WHERE a.atttypid = 'text'::regtype AND a.attnum > 0 AND r.relkind = 'r' AND r.relnamespace = 'public'::regnamespace"
        )
        with database.reading() as connection:
            rows = connection.execute(text(columns)).all()
        assert len(rows) > 40
        assert [row for row in rows if row[2] != "C"] == []
    ids = ["a", "B", "_", "-", "Z", "z", "0", "É"]
    with database.acting() as connection:
        for number, name in enumerate(ids):
            connection.execute(text("INSERT INTO suspension (partner, act) VALUES (:name, :act)"), {"name": name, "act": number})
        found = list(connection.execute(text("SELECT partner FROM suspension ORDER BY partner")).scalars())
    assert found == sorted(ids)


def test_a_start_while_another_migrates_waits_for_it(empty_database_url: str) -> None:
    """And is told that it is busy where that takes too long, rather than made to see half a schema."""
    slow, other = Database.open(empty_database_url, busy_timeout_seconds=0.3), Database.open(empty_database_url, busy_timeout_seconds=0.3)
    with slow.acting(), pytest.raises(Busy):
        migrate(other)
    migrate(other)
    slow.close()
    other.close()
