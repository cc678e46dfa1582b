"""What many wrote at once holds: no alarm where nothing was tampered with, and every answer counted once in the log it is in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.sharing.verification import verify_all
from tests.support.faults import log_size, small
from tests.support.log_writers import write_together

PROCESSES, WRITERS = 4, 16


def _write_and_verify(folder: Path, database_url: str, *, entries: int) -> None:
    folder.mkdir()
    world = small(folder, chart_bytes=5_000, database=database_url)
    try:
        before = {log: log_size(world.installation, log) for log in ("GBR", "JPN")}
        written = write_together(world, database_url, processes=PROCESSES, writers=WRITERS, entries=entries)
        report = verify_all(world.installation)
        assert report.problem is None
        # Every answer is an entry, and every entry an answer: retries under a key added none.
        assert {log: log_size(world.installation, log) - size for log, size in before.items()} == written
        assert sum(written.values()) == entries
    finally:
        world.installation.close()


def test_twenty_thousand_entries_of_four_processes_with_sixteen_writers_verify(tmp_path: Path, database_url: str) -> None:
    _write_and_verify(tmp_path / "data", database_url, entries=20_000)


@pytest.mark.campaign
def test_a_million_entries_of_four_processes_with_sixteen_writers_verify(tmp_path: Path, database_url: str) -> None:
    _write_and_verify(tmp_path / "data", database_url, entries=int(os.environ.get("ENTENTE_CAMPAIGN_ENTRIES", "1000000")))
