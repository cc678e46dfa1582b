"""Writing in bulk: as durable as ever, bounded, and nothing is left of it afterwards."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from service.store import Database
from service.store import database as store
from service.store.database import scalar

PAGE = 4096


def filled(database: Database) -> int:
    with database.reading() as connection:
        return int(scalar(connection, "SELECT COUNT(*) FROM filling"))


def write(database: Database, *, batches: int, pages: int = 50) -> None:
    for _ in range(batches):
        with database.acting() as connection:
            connection.execute(
                text("INSERT INTO filling (content) VALUES (:content)"), [{"content": "x" * (PAGE - 300)} for _ in range(pages)]
            )


@pytest.fixture
def ready(database: Database) -> Database:
    with database.acting() as connection:
        connection.exec_driver_sql("CREATE TABLE filling (content TEXT)")
    return database


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Database:
    database = Database.open(f"sqlite:///{tmp_path / 'bulk.db'}", busy_timeout_seconds=0.5)
    with database.acting() as connection:
        connection.exec_driver_sql("CREATE TABLE filling (content TEXT)")
    return database


def journal(database: Database) -> Path:
    return Path(f"{database.engine.url.database}-wal")


def pragmas(database: Database) -> dict[str, object]:
    names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "cache_size", "wal_autocheckpoint")
    with database.reading() as connection:
        return {name: scalar(connection, f"PRAGMA {name}") for name in names}


def test_what_is_committed_in_bulk_is_there_on_either_database(ready: Database) -> None:
    with ready.in_bulk():
        write(ready, batches=3)
        assert filled(ready) == 150
    write(ready, batches=1)
    assert filled(ready) == 200


def test_a_commit_in_bulk_promises_what_any_other_does(on_sqlite: Database) -> None:
    before = pragmas(on_sqlite)
    with on_sqlite.in_bulk():
        within = pragmas(on_sqlite)
    assert pragmas(on_sqlite) == before
    assert {name for name in before if within[name] != before[name]} == {"cache_size", "wal_autocheckpoint"}
    assert (within["journal_mode"], within["synchronous"]) == ("wal", 2)


def test_the_journal_is_written_into_the_file_beside_and_begins_anew_when_it_is_long(
    on_sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_BULK_JOURNAL_PAGES_MAX", 200)
    longest = 0
    with on_sqlite.in_bulk():
        for _ in range(40):
            write(on_sqlite, batches=1)
            longest = max(longest, journal(on_sqlite).stat().st_size // PAGE)
    assert longest < 40 * 50 / 2
    on_sqlite.close()
    with sqlite3.connect(f"file:{on_sqlite.engine.url.database}?immutable=1", uri=True) as file_alone:
        assert file_alone.execute("SELECT COUNT(*) FROM filling").fetchone() == (2000,)


def test_a_reader_who_stays_holds_nobody_up(on_sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_BULK_JOURNAL_PAGES_MAX", 10)
    reader = sqlite3.connect(str(on_sqlite.engine.url.database), isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT COUNT(*) FROM filling").fetchone() == (0,)
    with on_sqlite.in_bulk():
        write(on_sqlite, batches=10)
        assert filled(on_sqlite) == 500
    assert reader.execute("SELECT COUNT(*) FROM filling").fetchone() == (0,)
    reader.close()


def test_a_journal_that_cannot_be_written_into_the_file_holds_nobody_up(on_sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything stays in the journal, where it is as durable."""
    monkeypatch.setattr(store, "_BULK_JOURNAL_PAGES_MAX", 10)
    with on_sqlite.in_bulk():
        assert on_sqlite._checkpoints is not None
        monkeypatch.setattr(on_sqlite._checkpoints, "_engine", Database.open("sqlite:////nowhere/at-all.db").engine)
        write(on_sqlite, batches=10)
    assert filled(on_sqlite) == 500


def test_nothing_is_left_of_it_whatever_happens_within(on_sqlite: Database) -> None:
    with pytest.raises(LookupError), on_sqlite.in_bulk():
        write(on_sqlite, batches=1)
        raise LookupError
    assert not [thread for thread in threading.enumerate() if thread.name == "entente-checkpoints"]
    assert filled(on_sqlite) == 50
