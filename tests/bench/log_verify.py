"""The offline verifier over an export of a large log, as an auditor runs it: a process of its own, its time and its peak memory.

With the Python that runs this, and with the system's own where there is one that has `cryptography`: an auditor has that one, and a
distribution's is built to be faster than one built without more ado. The peer is `sha256sum` over the largest file of the export: what it
costs to look at the bytes once. The compact export is of the same log, whole.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from service.settings import Settings
from service.sharing.acts import Actor
from service.sharing.exports.export import exporting
from service.sharing.exports.selection import Selection
from service.sharing.exports.writing import to_folder
from service.sharing.installation import open_installation
from service.store.logs import AuditFilter
from tests.bench.log_store import LOG, built


def run(*, entries: int, rounds: int, kept: Path | None) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        data = built((kept or Path(scratch)) / f"log-{entries}", entries)
        folder, half, compact = (Path(scratch) / name for name in ("whole", "filtered", "compact"))
        installation = open_installation(Settings(data=data))
        for out, asked in ((folder, AuditFilter(log=LOG)), (half, AuditFilter(log=LOG, type="item")), (compact, AuditFilter(log=LOG))):
            with exporting(installation, Actor("c_bench", "cli"), Selection(asked, {"log": LOG}), "bundle") as export:
                to_folder(export.pieces(compact=out is compact), out)
        with installation.database.reading() as connection:
            key = installation.ledger.vkey(_origin(connection))
        installation.close()
        sizes = [(folder / "entries.jsonl").stat().st_size / 1e6, (compact / "entries.compact.jsonl").stat().st_size / 1e6]
        print(
            f"offline verification of {entries} entries, {sizes[0]:.0f} MB of lines, compact {sizes[1]:.0f} MB, medians of {rounds} rounds"
        )
        commands = {
            f"{name}, {python}": [path, "-I", str(out / "verify_entente.py"), "export", str(out), "--key", key]
            for python, path in _pythons().items()
            for name, out in (("whole", folder), ("items only", half), ("compact", compact))
        }
        commands["sha256sum"] = ["sha256sum", str(folder / "entries.jsonl")]
        taken: dict[str, list[tuple[float, float, int]]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                taken[name].append(_measured(command))
        for name, measured in taken.items():
            wall, processor = (statistics.median(one[place] for one in measured) for place in (0, 1))
            peak = max(one[2] for one in measured)
            print(f"  {name:32} {wall:6.2f} s, {processor:6.2f} s of one core, {peak / 1024:5.0f} MB at most")
        for out in (folder, half, compact):
            shutil.rmtree(out)


def _pythons() -> dict[str, str]:
    """The Pythons to measure with."""
    found = {"our Python": sys.executable}
    system = shutil.which("python3", path=os.defpath)
    if system is not None:
        asked = [system, "-I", "-c", "import sys, cryptography; sys.exit(sys.version_info < (3, 11))"]
        if subprocess.run(asked, check=False, capture_output=True).returncode == 0:
            found["the system's"] = system
    return found


def _origin(connection: object) -> str:
    from service.store import logs

    head = logs.head(connection, LOG)  # type: ignore[arg-type]
    assert head is not None
    return head.origin


def _measured(command: list[str]) -> tuple[float, float, int]:
    """(seconds, seconds of processor, peak memory in KiB) of a process that must succeed.

    Its memory is asked of a child of our own that runs nothing else: the system's count is of the largest of all children.
    """
    program = (
        "import resource, subprocess, sys, time\n"
        "begun = time.perf_counter()\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *command], check=True, capture_output=True, text=True)
    wall, processor, peak = done.stdout.split()
    return float(wall), float(processor), int(peak)
