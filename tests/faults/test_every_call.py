"""A fault at any call that a commit makes to its files: EIO, ENOSPC, or death. What was answered is on record; the next needs no help.

Every kind of call and the first and last of each here, and some between; each single one in the campaign.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faults import Small, small
from tests.support.faults_calls import FAULTS, Plan, calls_of_a_commit, cut, cuts, inject, locks_given_back, record
from tests.support.faults_forks import Forks, check

ASKS = 4
PLACES = 36
CUTS = 40
KILLS = 60
MOST_TOLD = 8
WRITER, READERS = 120, (123, 124, 125, 126, 127)
"""Bytes of SQLite's shared memory that are locked by who writes, and by who sets a mark to read by (its WAL format, section 2.3.1)."""


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Small, Forks, Path]]:
    folder = tmp_path_factory.mktemp("calls")
    (folder / "data").mkdir()
    world = small(folder / "data", chart_bytes=5_000)
    world.installation.close()
    made = Forks(world, folder)
    yield world, made, folder
    made.close()


def test_a_call_that_fails_refuses_one_request_and_loses_no_record(forks: tuple[Small, Forks, Path]) -> None:
    world, forking, folder = forks
    calls = calls_of_a_commit(forking, world.installation.settings.data, folder, asks=ASKS)
    assert {"pwrite64", "fdatasync", "pread64", "fcntl"} <= calls.keys()
    randomness = random.Random(20261129)
    ends = [(fault, call, place) for call, count in sorted(calls.items()) for fault in FAULTS for place in sorted({1, count})]
    between = [
        (randomness.choice(FAULTS), call, randomness.randint(2, calls[call]))
        for call in randomness.choices(list(calls), list(calls.values()), k=PLACES)
    ]
    summary = inject(world, forking, folder, [*ends, *between], asks=ASKS, seed=1_000)
    assert all(summary.happened[fault] > 5 for fault in FAULTS)
    assert summary.bodies > summary.tried
    assert summary.refused > 0 and summary.killed > 0


def test_a_lock_that_could_not_be_given_back_locks_nobody_out_for_good(forks: tuple[Small, Forks, Path]) -> None:
    """SQLite says nothing of it and keeps the lock in the process while the connection lives. One request is refused at most."""
    world, forking, folder = forks
    places = locks_given_back(forking, world.installation.settings.data, folder, asks=ASKS)
    assert {WRITER, *READERS} & places.keys() > {WRITER}
    chosen = [place for byte in (WRITER, *READERS) for place in places.get(byte, [])[:3]]
    summary = inject(world, forking, folder, [("error=EIO", "fcntl", place) for place in sorted(chosen)], asks=ASKS, seed=6_000)
    assert summary.happened["error=EIO"] > len(chosen) // 2 and summary.bodies > summary.tried


def test_what_was_answered_before_the_power_went_is_on_record(forks: tuple[Small, Forks, Path]) -> None:
    world, forking, folder = forks
    recorded = record(world, forking, folder, Plan(asks=12, wait=True, seed=2_000))
    kinds = {(operation.kind, operation.file) for operation in recorded.operations}
    # It wrote to both files and synced both: its life holds commits and a checkpoint of SQLite's log.
    assert {(kind, name) for kind in ("write", "sync") for name in ("entente.db", "entente.db-wal")} <= kinds
    answered = list(cuts(world, recorded, folder, count=CUTS, seed=1))
    assert max(answered) > 5 and min(answered) < 3


def test_a_disk_that_lies_about_what_it_synced_would_be_noticed(forks: tuple[Small, Forks, Path]) -> None:
    """The harness sees: with syncs that keep nothing, answers are lost."""
    world, forking, folder = forks
    recorded = record(world, forking, folder, Plan(asks=12, wait=True, seed=3_000))
    recorded.operations[:] = [operation for operation in recorded.operations if operation.kind != "sync"]
    with pytest.raises(AssertionError, match="without a record"):
        for _ in cuts(world, recorded, folder, count=CUTS, seed=2):
            pass


def test_a_cut_keeps_what_was_synced_and_any_part_of_the_rest(forks: tuple[Small, Forks, Path]) -> None:
    world, forking, folder = forks
    recorded = record(world, forking, folder, Plan(asks=3, wait=True, seed=4_000))
    whole, answered = cut(recorded, len(recorded.operations), random.Random(1))
    assert answered == len(recorded.told.in_order)
    assert whole.keys() == {"entente.db", "entente.db-wal"}
    assert len({cut(recorded, len(recorded.operations) // 2, random.Random(seed))[0]["entente.db-wal"] for seed in range(30)}) > 3


def test_children_killed_at_any_moment_lose_no_record(forks: tuple[Small, Forks, Path]) -> None:
    world, forking, _ = forks
    randomness = random.Random(7)
    keyed: dict[str, str] = {}
    bodies = 0
    for number in range(KILLS):
        told = forking.run(
            Plan(
                asks=10_000, threads=4, seed=5_000 + number,
                kill_after=randomness.uniform(0, 0.03), kill_once_told=randomness.randint(0, MOST_TOLD),
            )
        )  # fmt: skip
        assert told.killed
        bodies += check(world.installation, told, keyed, whole=number % 20 == 19)
    assert bodies > KILLS
