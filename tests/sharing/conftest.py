"""A world to act in: one set up once and copied, as setting up takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.store_bundles import bundle_files
from tests.support.store_world import World, copied


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a small policy in force and a client for each partner. Not to be opened: copy it."""
    folder = tmp_path_factory.mktemp("world") / "data"
    world = World(folder)
    world.publish(bundle_files())
    world.client("IND", purposes=["EXERCISE-KEEN"])
    for partner in ("AUS", "JPN"):
        world.client(partner)
    world.close()
    return folder


@pytest.fixture
def world(data_folder: Path, tmp_path: Path) -> Iterator[World]:
    """A world of one's own, its clock standing at the start of the tests."""
    opened = World(copied(data_folder, tmp_path / "data"))
    opened.know_clients()
    yield opened
    opened.close()
