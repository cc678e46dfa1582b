"""A world to act in: one set up once and copied, as setting up takes longer than most tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.sharing.installation import Installation
from tests.support.published import opened_at, publish_into
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


@pytest.fixture(scope="session")
def published_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the sample policies in force and nothing in it. Not to be opened: copy it."""
    return publish_into(tmp_path_factory.mktemp("published") / "data")


@pytest.fixture
def installation(published_folder: Path, tmp_path: Path) -> Iterator[Installation]:
    """One of one's own, of the sample policies."""
    opened = opened_at(shutil.copytree(published_folder, tmp_path / "data"))
    yield opened
    opened.close()
