"""Writers to the logs of one installation, as a process of its own: so many threads that each ask, wait for the answer, and ask again.

`python -m tests.support.log_writers DATA WRITERS ENTRIES SEED ITEMS`, the last a JSON object: ids by ref, the file's portion, clients by
name. It prints, as JSON, how many answers it got by log. Some carry an `Idempotency-Key`, twice each, and get one event for both.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.errors import Busy
from service.settings import Settings
from service.sharing.installation import open_installation
from tests.support.faults import ROOT, Small
from tests.support.log_asks import PARTNERS, mixed_ask

_BUSY_MAX = 500


def write_together(world: Small, database_url: str, *, processes: int, writers: int, entries: int) -> Counter[str]:
    """Let several processes write at once; how many different events they were answered with, by log."""
    known = {"items": world.items, "file": world.file, "clients": {name: world.clients[name].id for name in ("gbr", "jpn")}}
    each = entries // processes
    data = str(world.installation.settings.data)
    environment = {**os.environ, "ENTENTE_DATABASE": database_url, "OPENBLAS_NUM_THREADS": "1"}
    running = []
    for seed in range(processes):
        arguments = [data, str(writers), str(each), str(seed), json.dumps(known)]
        command = [sys.executable, "-m", "tests.support.log_writers", *arguments]
        running.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    total: Counter[str] = Counter()
    for process in running:
        said, errors = process.communicate()
        assert process.returncode == 0, errors[-2000:]
        total.update(json.loads(said))
    return total


def _write(data: Path, writers: int, entries: int, seed: int, known: Mapping[str, Any]) -> Counter[str]:
    installation = open_installation(Settings(data=data, busy_timeout_seconds=60, queue_entries_per_partner_max=10_000))
    installation.gate.start()
    left = [entries // writers + (number < entries % writers) for number in range(writers)]
    counts: list[Counter[str]] = [Counter() for _ in range(writers)]
    failed: list[BaseException] = []

    def ask_again_and_again(number: int) -> None:
        randomness = random.Random(seed * 1000 + number)
        again: tuple[str, str] | None = None
        done = busy = 0
        try:
            while done < left[number]:
                key: str | None = None
                partner = randomness.choice(PARTNERS)
                if again is None and done % 50 == 49:
                    key = f"key-{seed}-{number}-{done:012}"
                elif again is not None:
                    partner, key = again
                client = known["clients"][partner.lower()]
                ask = mixed_ask(installation, randomness, partner=partner, client=client, items=known["items"], file=known["file"], key=key)
                try:
                    released = installation.gate.release_and_wait(ask)
                except Busy:
                    busy += 1
                    if busy > _BUSY_MAX:
                        raise
                    continue
                if again is not None:
                    again = None  # the second time: one event for both
                    continue
                again = None if key is None else (partner, key)
                done += 1
                counts[number][released.entry.log] += 1
        except BaseException as error:  # noqa: BLE001  # told to whoever waits for the threads
            failed.append(error)

    threads = [threading.Thread(target=ask_again_and_again, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    installation.close()
    if failed:
        raise failed[0]
    return sum(counts, Counter())


if __name__ == "__main__":
    print(json.dumps(_write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), json.loads(sys.argv[5]))))
