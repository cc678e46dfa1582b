"""`make bench`: figures with their ratio to a named peer in the same run. Nothing is asserted; what is printed is what was measured.

`python -m tests.bench [PART ...] [--items N] [--portions N] [--rounds N] [--stores DIR]`, a part being one of those below; all
of them without arguments.
"""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

from tests.bench import columns, engine, imports, lists, log, log_export, log_queries, log_verify, midnight, prove, release, search

NAMES = [
    *("engine", "columns", "prove", "release", "lists", "search", "imports", "midnight"),
    *("log", "log-queries", "log-export", "log-verify"),
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument(
        "which",
        nargs="*",
        choices=[*NAMES, []],
        help="which benchmarks; all by default",
    )
    parser.add_argument("--items", type=int, default=1_000_000, help="items in the large stores of `lists` and `columns`")
    parser.add_argument("--portions", type=int, default=1_000_000, help="portions in the store of `search`")
    parser.add_argument("--entries", type=int, default=10_000_000, help="entries in the logs of `log-queries`")
    parser.add_argument("--imported", type=int, default=100_000, help="items of `imports`")
    parser.add_argument("--boundaries", type=int, default=100_000, help="labels that change at once in `midnight`")
    parser.add_argument("--exported", type=int, default=1_000_000, help="entries in the log of `log-export` and `log-verify`")
    parser.add_argument("--rounds", type=int, default=7, help="rounds in which sides alternate")
    parser.add_argument("--stores", type=Path, help="folder in which the large stores are kept, and used again if they are there")
    asked = parser.parse_args()
    which = asked.which or NAMES
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.2f}")
    if "engine" in which:
        engine.run(rounds=asked.rounds)
    if "columns" in which:
        columns.run(rounds=asked.rounds, items=asked.items)
    if "prove" in which:
        prove.run(rounds=asked.rounds)
    if "release" in which:
        release.run(rounds=asked.rounds)
    if "lists" in which:
        lists.run(large=asked.items, rounds=asked.rounds, kept=asked.stores)
    if "search" in which:
        search.run(portions=asked.portions, rounds=asked.rounds, kept=asked.stores)
    if "imports" in which:
        imports.run(items=asked.imported, rounds=min(asked.rounds, 3))
    if "midnight" in which:
        midnight.run(boundaries=asked.boundaries, rounds=min(asked.rounds, 3))
    if "log" in which:
        log.run(rounds=asked.rounds)
    if "log-queries" in which:
        log_queries.run(entries=asked.entries, kept=asked.stores)
    if "log-export" in which:
        log_export.run(entries=asked.exported, rounds=asked.rounds, kept=asked.stores)
    if "log-verify" in which:
        log_verify.run(entries=asked.exported, rounds=asked.rounds, kept=asked.stores)


if __name__ == "__main__":
    main()
