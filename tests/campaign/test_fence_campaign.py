"""The fence of `tests/faults`, for longer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from service.settings import Settings
from service.sharing.installation import open_installation
from service.sharing.verification import verify_all
from tests.support.faults import small
from tests.support.faults_fence import check, poster, read_from_servers, read_in_threads, tell
from tests.support.faults_server import Server

pytestmark = pytest.mark.campaign


def test_three_hundred_and_sixty_acts_against_two_workers(tmp_path: Path, database_url: str) -> None:
    world = small(tmp_path, database=database_url)
    workers = (world.installation, open_installation(Settings(data=tmp_path, database=database_url)))
    try:
        for worker in workers:
            worker.gate.start()
        check(world, read_in_threads(world, workers, lambda: tell(world, cycles=45)))
        assert verify_all(world.installation).ok
    finally:
        for worker in workers:
            worker.close()


def test_three_hundred_and_sixty_acts_against_servers(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    world = small(tmp_path / "data")
    try:
        with Server(tmp_path / "data") as one, Server(tmp_path / "data") as two:
            tale = read_from_servers(world, [one.url, two.url], lambda: tell(world, cycles=45, post=poster(world, two.url)))
            check(world, asyncio.run(tale))
        assert verify_all(world.installation).ok
    finally:
        world.installation.close()
