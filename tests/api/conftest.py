"""Services for the tests of the API: one with the demo that is only read, and one of its own for whoever changes things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api import Service, copied, service_in, set_up


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, set up and closed. To be copied, never opened."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    set_up(folder)
    return folder


@pytest.fixture(scope="session")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample bundle and clients, without items. To be copied, never opened."""
    folder = tmp_path_factory.mktemp("plain") / "data"
    set_up(folder, demo=False)
    return folder


@pytest.fixture(scope="module")
def service(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The demo, shared by the tests of a file: they look, and change nothing about who may have what."""
    with service_in(copied(demo_folder, tmp_path_factory.mktemp("shared") / "data")) as opened:
        yield opened


@pytest.fixture
def own(demo_folder: Path, tmp_path: Path) -> Iterator[Service]:
    """The demo, for one test that changes things."""
    with service_in(copied(demo_folder, tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def empty(plain_folder: Path, tmp_path: Path) -> Iterator[Service]:
    """Policy and clients, and nothing to share yet, for one test."""
    with service_in(copied(plain_folder, tmp_path / "data")) as opened:
        yield opened
