"""Bring a database to the schema of this version (Alembic). Runs at every start, under a lock; does nothing where nothing is new."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from service.store.database import Database

_FOLDER: Final = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("path_separator", "os")
    return config


def migrate(database: Database) -> None:
    """Create or upgrade the tables. Two processes that start at once do it once.

    Raises:
        Busy: the database cannot be reached now.
    """
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    with database.reading() as connection:
        if MigrationContext.configure(connection).get_current_revision() == newest:
            return
    with database.acting() as connection:
        config = _config()
        config.attributes["connection"] = connection
        logging.getLogger("alembic").setLevel(logging.WARNING)
        command.upgrade(config, "head")
