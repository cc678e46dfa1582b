"""The kills of `tests/faults`, many more of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.faults_kill import kill_rounds

pytestmark = pytest.mark.campaign


def test_two_hundred_kills_under_load_lose_no_record(tmp_path: Path) -> None:
    summary = kill_rounds(tmp_path / "data", rounds=200, seed=42)
    assert summary.rounds_cut_under_load == 200
    assert summary.bodies > 2000
