"""The full-text index put together: a search asks each of its runs for every word, and so takes as many times as long as there are runs.

Every act adds a run, and some are merged as it does (`automerge`). The rest is done here, beside the work and in short transactions,
between which releases commit: after a large import, and in a running service every hour, where it is worth it. What is found is the same
at any moment of it. PostgreSQL keeps its index in one piece by itself.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from service.errors import Busy, ServiceError
from service.sharing.beside import Beside
from service.store import Database, search

log = logging.getLogger(__name__)

RUNS_MAX: Final = 2
"""With no more than these, nothing is gained that rewriting the index is worth."""
COMPACT_SECONDS: Final = 3600
_STEP_PAGES: Final = 250
"""Pages of 4 KiB that one transaction writes: some ten milliseconds."""
_PAUSE_SECONDS: Final = 0.002
"""So that whoever waits for the database's lock gets it between two steps."""


def compact(database: Database, *, stopped: threading.Event | None = None) -> None:
    """Merge the runs of the index into one, where there are more than `RUNS_MAX`. Leaves off where the database is busy, or once
    `stopped` is set: what was merged stays merged.

    Raises:
        Broken: the database failed.
    """
    with database.reading() as connection:
        if search.runs(connection) <= RUNS_MAX:
            return
        # Others may go on adding runs: what was there is written once, and no more is promised.
        steps = search.pages(connection) // _STEP_PAGES + 1
    try:
        for _ in range(steps):
            if stopped is not None and stopped.is_set():
                return
            with database.releasing() as connection:
                if not search.merge_runs(connection, pages=_STEP_PAGES):
                    return
            time.sleep(_PAUSE_SECONDS)
    except Busy:
        log.info("the search index is put together later: the database is busy")


class Compactor(Beside):
    """Does it every hour while a service runs, in a thread of its own."""

    def __init__(self, database: Database) -> None:
        super().__init__("search-compaction", self._compact, first=COMPACT_SECONDS)
        self._database: Final = database

    def _compact(self) -> float:
        try:
            compact(self._database, stopped=self.stopped)
        except ServiceError as error:
            log.warning("the search index was not put together: %s", error)
        return COMPACT_SECONDS
