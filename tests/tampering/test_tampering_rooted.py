"""Every kind of tampering in `rooted.csv`, at random places, is found by the means that the table names, and by no other it calls silent.

As `means.csv`, where logs are under roots: a partner's root proof, the offline verifier on what is shown, the high-water mark and
a witness find more, and `verify` has more to derive.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tampering import by_verify
from tests.support.tampering_rooted import KINDS, LOGS, Changed, Rooted, look, rooted_target

PLACES = 10
SEED = 20261129
TABLE = list(csv.DictReader((Path(__file__).parent / "rooted.csv").open(encoding="utf-8")))
MEANS = ("receipt", "root", "offline", "mark", "witness")


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooted]:
    made = rooted_target(tmp_path_factory.mktemp("tampering") / "rooted")
    yield made
    made.target.close()


def test_the_table_names_every_kind_once_and_each_is_found_by_something() -> None:
    assert [row["kind"] for row in TABLE] == list(KINDS)
    for row in TABLE:
        assert row["what"]
        assert {row[means] for means in MEANS} <= {"found", "silent", "depends"}
        assert row["verify"] != "silent" or "found" in [row[means] for means in MEANS], f"{row['kind']} is found by nothing"


@pytest.mark.parametrize("log", LOGS)
def test_there_is_no_alarm_before_anything_was_changed(attacked: Rooted, log: str) -> None:
    try:
        assert look(attacked, Changed(log, 0)) == dict.fromkeys(("verify", *MEANS))
    finally:
        attacked.restore()


@pytest.mark.parametrize("row", TABLE, ids=[row["kind"] for row in TABLE])
def test_is_found_by_the_means_named_and_for_the_reason_named(row: dict[str, str], attacked: Rooted) -> None:
    tamper(attacked, row, places=PLACES, seed=SEED)


@pytest.mark.campaign
@pytest.mark.parametrize("row", TABLE, ids=[row["kind"] for row in TABLE])
def test_is_found_at_two_hundred_places(row: dict[str, str], attacked: Rooted) -> None:
    tamper(attacked, row, places=200, seed=SEED + 1)


def tamper(attacked: Rooted, row: dict[str, str], *, places: int, seed: int) -> None:
    """Change, look by every means, undo; again at other places."""
    for number in range(places):
        place = f"{row['kind']}, seed {seed}, place {number}"
        try:
            changed = KINDS[row["kind"]](attacked, random.Random(f"{row['kind']} {seed} {number}"))
            attacked.target.raw.commit()
            found = look(attacked, changed)
        finally:
            attacked.restore()
        assert (found.pop("verify") or "silent") in row["verify"].split(), f"{place}: `log verify` says otherwise"
        for means, reason in found.items():
            assert row[means] != "found" or reason is not None, f"{place}: not found by {means}"
            assert row[means] != "silent" or reason is None, f"{place}: found by {means}, which the table says is silent: {reason}"
    assert by_verify(attacked.target) is None, "what was changed was not undone"
