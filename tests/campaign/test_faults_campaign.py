"""Thousands of faults below the log: a fault at every single call of a commit, two thousand kills, five hundred power cuts."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.support.faults import Small, small
from tests.support.faults_calls import CALLS, FAULTS, calls_of_a_commit, cuts, inject, record
from tests.support.faults_forks import Forks, Plan, check

pytestmark = pytest.mark.campaign

KILLS = int(os.environ.get("ENTENTE_CAMPAIGN_KILLS", "2000"))
CUTS = int(os.environ.get("ENTENTE_CAMPAIGN_CUTS", "500"))
CUTS_OF_A_LIFE = 25
MOST_TOLD = 12


def _world(folder: Path) -> tuple[Small, Forks]:
    (folder / "data").mkdir()
    world = small(folder / "data", chart_bytes=5_000)
    world.installation.close()
    return world, Forks(world, folder)


def test_kills_at_any_moment_lose_no_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world, forks = _world(tmp_path)
    randomness = random.Random(42)
    keyed: dict[str, str] = {}
    bodies = under_load = 0
    for number in range(KILLS):
        told = forks.run(
            Plan(
                asks=10_000, threads=4, seed=100_000 + number,
                kill_after=randomness.uniform(0, 0.04), kill_once_told=randomness.randint(0, MOST_TOLD),
            )
        )  # fmt: skip
        assert told.killed
        received = check(world.installation, told, keyed, whole=number % 50 == 49 or number == KILLS - 1)
        bodies += received
        under_load += received > 0
    forks.close()
    with capsys.disabled():
        print(f"kills: {KILLS}, {under_load} of them with bodies received before, {bodies} bodies, {len(keyed)} keys")


def test_power_cuts_at_any_moment_lose_no_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world, forks = _world(tmp_path)
    answered = 0
    for life in range(-(-CUTS // CUTS_OF_A_LIFE)):
        recorded = record(world, forks, tmp_path, Plan(asks=random.Random(life).randrange(4, 24), wait=True, seed=200_000 + life))
        answered += sum(cuts(world, recorded, tmp_path, count=CUTS_OF_A_LIFE, seed=life))
    forks.close()
    with capsys.disabled():
        print(f"power cuts: {CUTS}, {answered} answers told before them")


def test_a_fault_at_every_single_call_refuses_one_request_and_loses_no_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world, forks = _world(tmp_path)
    calls = calls_of_a_commit(forks, world.installation.settings.data, tmp_path, asks=3)
    assert calls.keys() <= set(CALLS)
    places = [(fault, call, place) for call, count in sorted(calls.items()) for place in range(1, count + 1) for fault in FAULTS]
    summary = inject(world, forks, tmp_path, places, asks=3, seed=300_000)
    forks.close()
    with capsys.disabled():
        print(f"calls: {dict(calls)}; {summary.tried} tried, happened {dict(summary.happened)}")
        print(f"{summary.refused} requests refused, {summary.killed} children killed, {summary.bodies} bodies")
