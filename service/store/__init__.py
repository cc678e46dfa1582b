"""Where things are kept. SQL is written in this package alone; others hold a `Connection` only to pass it back here."""

from sqlalchemy import Connection

from service.store.database import Database

__all__ = ["Connection", "Database"]
