"""The one database: catalogue and log together, so that an act and its effects commit together (DESIGN section 7).

Three kinds of transaction, and no other way in:

- `reading`: a consistent view; takes no lock that a writer waits for.
- `releasing`: appends to logs. Shares the fence with other releases, and excludes acts.
- `acting`: changes who may have what. Excludes releases and other acts.

SQLite: WAL, `synchronous=FULL` (set and read back), both writing kinds are `BEGIN IMMEDIATE`. PostgreSQL: an advisory lock,
shared or exclusive, is taken before any other lock; `synchronous_commit` is on.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from service.errors import Broken, Busy

_ADVISORY_KEY: Final = 0x456E74656E7465
"""`Entente` in ASCII: the fence's advisory lock in PostgreSQL."""


_BULK_CACHE_KIB: Final = 256 << 10
_BULK_JOURNAL_PAGES_MAX: Final = 1 << 16


class Database:
    """Opens the engine and hands out transactions. Close it with `close()`."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Final = engine
        self.postgres: Final = engine.dialect.name == "postgresql"
        self._checkpoints: _Checkpoints | None = None

    @classmethod
    def open(cls, url: str, *, busy_timeout_seconds: float = 5.0, connections: int = 24) -> Database:
        """Open the database at an SQLAlchemy URL.

        Raises:
            Broken: neither SQLite nor PostgreSQL, or SQLite would not promise durability.
        """
        if url.startswith("sqlite"):
            engine = create_engine(
                url,
                poolclass=QueuePool,
                pool_size=connections,
                max_overflow=0,
                pool_timeout=busy_timeout_seconds,
                hide_parameters=True,  # content stays out of error texts, and so out of logs
                connect_args={"timeout": busy_timeout_seconds, "check_same_thread": False, "cached_statements": 512},
            )
            event.listen(engine, "connect", _prepare_sqlite)
        elif url.startswith("postgresql+psycopg"):
            engine = create_engine(
                url,
                pool_size=connections,
                max_overflow=0,
                pool_timeout=busy_timeout_seconds,
                pool_pre_ping=True,
                hide_parameters=True,
                connect_args={
                    "options": f"-c synchronous_commit=on -c lock_timeout={int(busy_timeout_seconds * 1000)} -c timezone=UTC",
                },
            )
        else:
            raise Broken("unknown database, expected a URL that begins with `sqlite:///` or `postgresql+psycopg://`")
        return cls(engine)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent read-only view."""
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if self.postgres else "BEGIN DEFERRED"
        with self._transaction(begin) as connection:
            yield connection

    @contextmanager
    def releasing(self) -> Iterator[Connection]:
        """A transaction that appends to logs; commits durably when the block ends, rolls back on any exception."""
        with self._transaction("BEGIN" if self.postgres else "BEGIN IMMEDIATE") as connection:
            if self.postgres:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_ADVISORY_KEY})")
            yield connection

    @contextmanager
    def acting(self) -> Iterator[Connection]:
        """A transaction that changes who may have what; no release commits while it is open."""
        if self._checkpoints is not None:
            self._checkpoints.keep_up()
        with self._transaction("BEGIN" if self.postgres else "BEGIN IMMEDIATE") as connection:
            if self.postgres:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_KEY})")
            yield connection
        if self._checkpoints is not None:
            self._checkpoints.due()

    @contextmanager
    def in_bulk(self) -> Iterator[None]:
        """For a process that writes much and serves nobody: within it, a connection to SQLite holds more pages in memory, and what was
        committed to the journal is written into the file by a thread beside.

        Keys are drawn at random, so that a batch touches many pages of every index. A commit is durable as ever: the journal is.
        """
        if self.postgres:
            yield
            return
        event.listen(self.engine, "connect", _prepare_bulk)
        self.engine.dispose()
        self._checkpoints = _Checkpoints(self.engine)
        try:
            yield
        finally:
            self._checkpoints.close()
            self._checkpoints = None
            event.remove(self.engine, "connect", _prepare_bulk)
            self.engine.dispose()

    def forget_deleted(self) -> None:
        """Write out what was deleted, so that the journal beside the file does not hold it any longer; as far as nobody reads meanwhile.

        PostgreSQL forgets by its own vacuum.
        """
        if self.postgres:
            return
        with suppress(Busy), self._connected() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except (OperationalError, PoolTimeout) as error:
            raise Busy("the database is busy or cannot be written") from error

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        try:
            connection = self.engine.connect()
        except (OperationalError, PoolTimeout) as error:
            raise Busy("the database cannot be reached") from error
        except DBAPIError as error:
            raise Broken("the database cannot be opened: it is damaged, or not a database") from error
        locked_out = False
        try:
            try:
                if self.postgres:
                    _begin_postgres(connection, begin)
                else:
                    connection.exec_driver_sql(begin)
                yield connection
                connection.commit()
            except BaseException as error:
                _roll_back(connection)
                locked_out = _locked_out(error)
                if locked_out or _opened_for_reading_only(error):
                    connection.invalidate()
                raise
        except OperationalError as error:
            raise Busy("the database is busy or cannot be written") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise Busy("the database went away") from error
            if type(error) is DatabaseError:
                # SQLite's word for a damaged file; its subclasses are mistakes of ours, and stay what they are.
                raise Broken("the database is damaged; restore it from a backup") from error
            raise
        finally:
            connection.close()
            if locked_out:
                self.engine.dispose()


def _roll_back(connection: Connection) -> None:
    try:
        connection.rollback()
    except DBAPIError:
        connection.invalidate()  # the server or the disk is gone; the pool opens another


def _opened_for_reading_only(error: BaseException) -> bool:
    # Where the database file cannot be opened for writing, be it for a moment, SQLite opens it for reading and says nothing. Such a
    # connection would refuse every commit for as long as the pool keeps it.
    return isinstance(error, DBAPIError) and _sqlite_code(error) == sqlite3.SQLITE_READONLY


def _locked_out(error: BaseException) -> bool:
    # Where the disk fails as a lock is given back, SQLite says nothing, and keeps it in this process for as long as the connection lives
    # that had it: be it this one or one that is idle. All of these are closed, so that whoever comes next is not locked out for good.
    return isinstance(error, DBAPIError) and _sqlite_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL)


def _sqlite_code(error: DBAPIError) -> int:
    """What SQLite said, without the details; 0 where it was not SQLite."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF if isinstance(error.orig, sqlite3.Error) else 0


def _begin_postgres(connection: Connection, begin: str) -> None:
    # The driver begins a transaction by itself at the first statement; this makes the isolation the first thing in it.
    if "REPEATABLE READ" in begin:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Python's driver must not open transactions of its own: a deferred read-then-write fails at once with "database is locked".
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA journal_mode=WAL")
        if cursor.fetchone()[0] != "wal":
            raise Broken("SQLite would not use a write-ahead log here, expected a local disk")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA synchronous")
        if cursor.fetchone()[0] != 2:
            raise Broken("SQLite would not promise durability: `synchronous` is not FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        # Zeros over what is deleted or written over, where the page is written anyway: an erased text is gone from the file too.
        cursor.execute("PRAGMA secure_delete=FAST")
        cursor.execute("PRAGMA cache_size=-65536")
        cursor.execute("PRAGMA temp_store=MEMORY")
    finally:
        cursor.close()


def _prepare_bulk(connection: Any, _record: Any) -> None:
    connection.execute(f"PRAGMA cache_size=-{_BULK_CACHE_KIB}")
    connection.execute("PRAGMA wal_autocheckpoint=0")


class _Checkpoints:
    """Writes SQLite's journal into its file whenever it is due, in a thread beside the one that commits.

    The journal begins anew where a writer finds all of it written; one that is always a batch ahead would not find it, and waits for that
    once the journal is long.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine: Final = engine
        self._changed: Final = threading.Condition()
        self._committed = self._written = 0
        self._pages = 0
        self._ended = False
        self._thread: Final = threading.Thread(target=self._run, name="entente-checkpoints", daemon=True)
        self._thread.start()

    def due(self) -> None:
        """Something was committed."""
        with self._changed:
            self._committed += 1
            self._changed.notify_all()

    def keep_up(self) -> None:
        """Before something is written: wait until the journal is written, if it is long."""
        with self._changed:
            self._changed.wait_for(lambda: self._written == self._committed or self._pages < _BULK_JOURNAL_PAGES_MAX)

    def close(self) -> None:
        """Write what is left, and end."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._written < self._committed or self._ended)
                if self._written == self._committed:
                    return
                committed = self._committed
            pages = self._write()
            with self._changed:
                self._written, self._pages = committed, pages
                self._changed.notify_all()

    def _write(self) -> int:
        """Write the journal into the file as far as nobody is in the way; how many pages it has."""
        try:
            with self._engine.connect() as connection:
                _, pages, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").one()
        except (DBAPIError, PoolTimeout):
            return 0  # the journal keeps it, and whoever comes next writes it; a disk that fails shows in the next commit
        return int(pages)


def insert_rows(connection: Connection, table: str, columns: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows as they are, by the driver's own statement: naming each value of a hundred thousand costs more than writing it."""
    if rows:
        mark = "?" if connection.dialect.name == "sqlite" else "%s"
        marks = ", ".join([mark] * len(columns))
        connection.exec_driver_sql(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", list(rows))


def sought(value: str) -> str:
    """A text from outside to be looked for: PostgreSQL takes no NUL, so none that is kept has one, and this one is found nowhere."""
    return value.replace("\x00", "\ufffd")


def insert_many(connection: Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Run a statement of the driver's own for each row; in it, `?` is a value. For the commit path: half the work of named values."""
    if rows:
        connection.exec_driver_sql(statement.replace("?", "%s") if connection.dialect.name == "postgresql" else statement, list(rows))


def scalar(connection: Connection, sql: str, **parameters: object) -> Any:
    """The single value of a query, or None."""
    return connection.execute(text(sql), parameters).scalar()
