"""Exports of a large log, beside a bare `sqlite3` program that dumps the same columns of the same rows, in turns in one run.

The peer selects position, leaf, leaf hash, record and nonce, and writes them to a file, five values a row and nothing else: no JSON, no
digests, no gaps, no manifest. Rows are entries; a CSV has a few more, one for each item of a list.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from service.settings import Settings
from service.sharing.acts import Actor
from service.sharing.exports.export import Format, exporting
from service.sharing.exports.selection import Selection
from service.sharing.exports.writing import to_file, to_folder
from service.sharing.installation import Installation, open_installation
from service.store.logs import AuditFilter
from tests.bench.log_store import LOG, built

_STEP = 2000


def run(*, entries: int, rounds: int, kept: Path | None) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        data = built((kept or Path(scratch)) / f"log-{entries}", entries)
        out = Path(scratch) / "out"
        installation = open_installation(Settings(data=data))
        sides: dict[str, Callable[[], None]] = {"bare sqlite3 dump": lambda: _bare(data / "entente.db", out)}
        for name, format_, asked in (
            ("jsonl", Format.JSONL, AuditFilter(log=LOG)),
            ("csv", Format.CSV, AuditFilter(log=LOG)),
            ("ocsf", Format.OCSF, AuditFilter(log=LOG)),
            ("bundle, whole", Format.BUNDLE, AuditFilter(log=LOG)),
            ("compact, whole", Format.COMPACT, AuditFilter(log=LOG)),
            ("bundle, lists only", Format.BUNDLE, AuditFilter(log=LOG, type="list")),
        ):
            sides[name] = lambda format_=format_, asked=asked: _ours(installation, format_, asked, out)  # type: ignore[misc]
        taken: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                begun = time.perf_counter()
                side()
                taken[name].append(time.perf_counter() - begun)
                shutil.rmtree(out) if out.is_dir() else out.unlink()
        installation.close()
        bare = statistics.median(taken["bare sqlite3 dump"])
        print(f"export of a log of {entries} entries, medians of {rounds} rounds")
        for name, times in taken.items():
            median = statistics.median(times)
            print(f"  {name:20} {median:6.2f} s  {entries / median:9.0f} entries a second, {median / bare:5.2f} of the dump's time")


def _ours(installation: Installation, format_: Format, asked: AuditFilter, out: Path) -> None:
    with exporting(installation, Actor("c_bench", "cli"), Selection(asked, {"log": LOG}), format_) as export:
        if format_ in (Format.BUNDLE, Format.COMPACT):
            to_folder(export.pieces(compact=format_ is Format.COMPACT), out)
        else:
            to_file(export.content(format_), out)


def _bare(database: Path, out: Path) -> None:
    connection = sqlite3.connect(database)
    connection.execute("BEGIN")
    rows = connection.execute(
        "SELECT position, leaf, leaf_hash, record, nonce FROM log_entry "
        "WHERE log_id = (SELECT id FROM log WHERE name = ?) ORDER BY position",
        (LOG,),
    )
    with out.open("wb") as file:
        while step := rows.fetchmany(_STEP):
            file.write(b"".join([b"%d %b %b %b %b\n" % row for row in step]))
    connection.close()
