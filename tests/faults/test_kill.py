"""Kill -9 under load: whatever a client received whole is on record, the log verifies, and the next start needs no help."""

from __future__ import annotations

from pathlib import Path

from tests.support.faults_kill import kill_rounds

ROUNDS = 12


def test_what_was_received_before_a_kill_is_on_record_and_the_next_start_needs_no_help(tmp_path: Path) -> None:
    summary = kill_rounds(tmp_path / "data", rounds=ROUNDS, seed=20261122)
    assert summary.rounds == ROUNDS
    assert summary.rounds_cut_under_load == ROUNDS
    # That there was something to lose; how much is the machine's speed.
    assert summary.bodies > ROUNDS
    assert summary.acts > 0
    assert summary.entries >= summary.bodies / 2
