"""Three kinds of transaction: what each sees, whom it waits for, and what is left of it when it fails. SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from service.errors import Broken, Busy
from service.store import Connection, Database, policies
from service.store.database import scalar
from service.store.instance import Instance, instance_of, set_up
from service.store.migrate import migrate

Kind = Callable[[Database], AbstractContextManager[Connection]]


@pytest.fixture
def ready(database: Database) -> Database:
    """A database with its one row of the fence."""
    with database.acting() as connection:
        set_up(connection, Instance("entente.test", "https://entente.test"), at=1)
    return database


def _act(database: Database, number: int) -> None:
    with database.acting() as connection:
        policies.raise_fence(connection, act=number, at=number)


@pytest.mark.parametrize(
    ("holder", "other"),
    [
        pytest.param(Database.acting, Database.acting, id="an act keeps another act out"),
        pytest.param(Database.acting, Database.releasing, id="an act keeps a release out"),
        pytest.param(Database.releasing, Database.acting, id="a release keeps an act out"),
    ],
)
def test_it_excludes_and_says_busy_when_waiting_is_over(ready: Database, holder: Kind, other: Kind) -> None:
    with holder(ready), pytest.raises(Busy), other(ready):
        pytest.fail("both were in at once")
    with other(ready) as connection:
        assert policies.fence(connection).act == 0


def test_a_release_waits_for_the_act_before_it_and_sees_what_it_did(ready: Database) -> None:
    """It is not refused, and it never decides on what was before."""
    seen: list[int] = []
    asked = threading.Event()

    def release() -> None:
        asked.set()
        with ready.releasing() as connection:
            seen.append(policies.fence(connection).act)

    waiting = threading.Thread(target=release)
    with ready.acting() as connection:
        waiting.start()
        asked.wait()
        policies.raise_fence(connection, act=7, at=7)
        assert seen == []
    waiting.join()
    assert seen == [7]


def test_a_reader_has_one_view_from_beginning_to_end(ready: Database) -> None:
    with ready.reading() as connection:
        assert policies.fence(connection).act == 0
        _act(ready, 1)
        assert policies.fence(connection).act == 0
        assert scalar(connection, "SELECT at FROM fence") == 1
        assert instance_of(connection) is not None
    with ready.reading() as connection:
        assert policies.fence(connection).act == 1


@pytest.mark.parametrize("writing", [Database.acting, Database.releasing])
def test_a_reader_waits_for_nobody_and_sees_nothing_uncommitted(ready: Database, writing: Kind) -> None:
    with writing(ready) as connection:
        policies.raise_fence(connection, act=5, at=5)
        with ready.reading() as reader:
            assert policies.fence(reader).act == 0


@pytest.mark.parametrize("writing", [Database.acting, Database.releasing])
@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, Broken])
def test_whatever_is_raised_inside_leaves_nothing_behind(ready: Database, writing: Kind, failure: type[BaseException]) -> None:
    with pytest.raises(failure), writing(ready) as connection:
        policies.raise_fence(connection, act=9, at=9)
        raise failure
    with ready.acting() as connection:
        assert policies.fence(connection).act == 0


def test_what_the_database_refuses_stays_what_it_is_and_leaves_nothing_behind(ready: Database) -> None:
    with pytest.raises(IntegrityError), ready.acting() as connection:
        policies.raise_fence(connection, act=9, at=9)
        set_up(connection, Instance("another", "another"), at=2)
    with ready.reading() as connection:
        assert policies.fence(connection).act == 0


def test_durability_is_what_was_asked_for(ready: Database) -> None:
    for transaction in (ready.acting, ready.releasing, ready.reading):
        with transaction() as connection:
            if ready.postgres:
                # `fsync` is the server's own, and off in this one.
                assert scalar(connection, "SHOW synchronous_commit") == "on"
            else:
                assert scalar(connection, "PRAGMA journal_mode") == "wal"
                assert scalar(connection, "PRAGMA synchronous") == 2
                assert scalar(connection, "PRAGMA foreign_keys") == 1


def test_no_connection_left_is_busy_and_passes(database_url: str) -> None:
    database = Database.open(database_url, busy_timeout_seconds=0.2, connections=1)
    migrate(database)
    with database.reading(), pytest.raises(Busy), database.reading():
        pytest.fail("there was one connection")
    with database.reading() as connection:
        assert instance_of(connection) is None
    database.close()


def test_a_transaction_that_rolled_back_gives_its_connection_back_clean(database_url: str) -> None:
    database = Database.open(database_url, connections=1)
    migrate(database)
    for _ in range(3):
        with pytest.raises(RuntimeError), database.acting() as connection:
            connection.execute(text("INSERT INTO suspension (partner, act) VALUES ('JPN', 1)"))
            raise RuntimeError
    with database.acting() as connection:
        assert policies.in_force(connection).suspended == frozenset()
    database.close()


@pytest.mark.parametrize("url", ["mysql://localhost/entente", "entente.db", "", "postgresql://localhost/entente"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(Broken, match="unknown database"):
        Database.open(url)


def test_an_sqlite_that_keeps_no_write_ahead_log_is_refused() -> None:
    database = Database.open("sqlite://")
    with pytest.raises(Broken, match="write-ahead log"), database.reading():
        pytest.fail("it is in memory alone")
    database.close()


def test_an_sqlite_that_cannot_be_opened_is_busy(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'absent' / 'entente.db'}")
    with pytest.raises(Busy), database.reading():
        pytest.fail("its folder does not exist")
    with pytest.raises(Busy):
        migrate(database)
    database.close()


def test_a_server_that_is_not_there_is_busy() -> None:
    database = Database.open("postgresql+psycopg://nobody@127.0.0.1:1/absent", busy_timeout_seconds=0.2)
    for transaction in (database.reading, database.releasing, database.acting):
        with pytest.raises(Busy), transaction():
            pytest.fail("there is no server")
    with pytest.raises(Busy):
        migrate(database)
    database.close()


@pytest.fixture
def on_postgresql(postgresql_url: str, request: pytest.FixtureRequest) -> Database:
    """A database of the server alone, for what SQLite has no like of."""
    database = Database.open(postgresql_url, busy_timeout_seconds=0.5)
    request.addfinalizer(database.close)
    return database


@pytest.mark.parametrize("kind", [Database.reading, Database.releasing, Database.acting])
def test_a_server_that_goes_away_within_a_transaction_is_busy_and_the_next_one_finds_it_again(on_postgresql: Database, kind: Kind) -> None:
    with pytest.raises(Busy), kind(on_postgresql) as connection:
        victim = scalar(connection, "SELECT pg_backend_pid()")
        with on_postgresql.reading() as other:
            scalar(other, "SELECT pg_terminate_backend(:pid)", pid=victim)
        scalar(connection, "SELECT 1")
    with kind(on_postgresql) as connection:
        assert scalar(connection, "SELECT 1") == 1


def test_releases_of_several_workers_do_not_exclude_each_other_on_a_server(on_postgresql: Database) -> None:
    with on_postgresql.releasing(), on_postgresql.releasing() as connection:
        assert scalar(connection, "SELECT 1") == 1


def test_a_reader_on_a_server_cannot_write(on_postgresql: Database) -> None:
    with on_postgresql.reading() as connection:
        assert scalar(connection, "SHOW transaction_read_only") == "on"
        assert scalar(connection, "SHOW transaction_isolation") == "repeatable read"
