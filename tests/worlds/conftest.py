"""Bases of worlds, made once: every world is a copy of one, so that keys, clients and their secrets are the same in both."""

from __future__ import annotations

import pytest

from tests.support.worlds import Base, make_base


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_base(tmp_path_factory.mktemp("worlds"))
