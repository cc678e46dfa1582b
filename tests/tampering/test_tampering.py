"""Every kind of tampering in `means.csv`, at random places, is found by the means that the table names, for the reason it names.

The table is data, for the auditor's guide to show. A means is `found` where it finds the change at every place, `silent` where it
cannot (which the guide has to say as plainly), `depends` where it may: nothing is promised then. `verify` has the reasons, and `place`
says whether the entry it names is the one that was changed.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import ProofError
from service.releaselog.receipt import verify_receipt
from tests.support.tampering import LOGS, Target, by_checkpoint, by_reading, by_receipt, by_verify, target
from tests.support.tampering_kinds import KINDS, Changed

PLACES = 10
SEED = 20261129
TABLE = list(csv.DictReader((Path(__file__).parent / "means.csv").open(encoding="utf-8")))
MEANS = ("verify", "receipt", "checkpoint", "reading")


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    made = target(tmp_path_factory.mktemp("tampering") / "data")
    yield made
    made.close()


def test_the_table_names_every_kind_once_and_each_is_found_by_something() -> None:
    assert [row["kind"] for row in TABLE] == list(KINDS)
    assert len(TABLE) >= 35
    for row in TABLE:
        assert row["what"]
        assert row["verify"] != "silent" or "found" in (row["receipt"], row["checkpoint"], row["reading"]), (
            f"{row['kind']} is found by nothing"
        )


def test_there_is_no_alarm_before_anything_was_changed(attacked: Target) -> None:
    assert by_verify(attacked) is None
    for log in LOGS:
        assert by_reading(attacked, log) is None
        assert all(by_checkpoint(attacked, log, held) is None for held in attacked.checkpoints[log] if held[0])
        assert all(by_receipt(attacked, held) is None for held in attacked.receipts[log][::17])


@pytest.mark.parametrize("row", TABLE, ids=[row["kind"] for row in TABLE])
def test_is_found_by_the_means_named_and_for_the_reason_named(row: dict[str, str], attacked: Target) -> None:
    tamper(attacked, row, places=PLACES, seed=SEED)


@pytest.mark.campaign
@pytest.mark.parametrize("row", TABLE, ids=[row["kind"] for row in TABLE])
def test_is_found_at_two_hundred_places(row: dict[str, str], attacked: Target) -> None:
    tamper(attacked, row, places=200, seed=SEED + 1)


def tamper(attacked: Target, row: dict[str, str], *, places: int, seed: int) -> None:
    """Change, look by every means, undo; again at other places."""
    for number in range(places):
        place = f"{row['kind']}, seed {seed}, place {number}"
        changed = None
        try:
            changed = KINDS[row["kind"]](attacked, random.Random(f"{row['kind']} {seed} {number}"))
            attacked.raw.commit()
            if changed.receipt is None or number == 0:  # a receipt is changed elsewhere than in the database
                _look_inside(attacked, row, changed, place)
            found = {"receipt": _receipt(attacked, changed), "checkpoint": None, "reading": None}
            if changed.log in LOGS:
                found["checkpoint"] = by_checkpoint(attacked, changed.log, changed.checkpoint or attacked.checkpoints[changed.log][-1])
                found["reading"] = by_reading(attacked, changed.log)
            for means, reason in found.items():
                assert row[means] != "found" or reason is not None, f"{place}: not found by {means}"
                assert row[means] != "silent" or reason is None, f"{place}: found by {means}, which the table says is silent: {reason}"
        finally:
            if changed is not None and changed.undo is not None:
                changed.undo()
            attacked.restore()
    assert by_verify(attacked) is None, "what was changed was not undone"


def _look_inside(attacked: Target, row: dict[str, str], changed: Changed, place: str) -> None:
    problem = by_verify(attacked)
    if row["verify"] == "silent":
        assert problem is None, f"{place}: the table says that nothing is seen from inside, found {problem}"
        return
    assert problem is not None, f"{place}: not found by `log verify`"
    assert problem.code in row["verify"].split(), f"{place}: found for another reason: {problem}"
    if row["place"] == "exact":
        assert (problem.log, problem.index) == (changed.log, changed.index), f"{place}: {problem}"


def _receipt(attacked: Target, changed: Changed) -> str | None:
    if changed.receipt is None:
        return (
            by_receipt(attacked, attacked.receipts[changed.log][changed.index])
            if changed.log in LOGS and changed.index is not None
            else None
        )
    shown = changed.receipt.receipt
    try:
        verify_receipt(shown.leaf.encode("utf-8"), shown.proof, attacked.keys[changed.log], origin=attacked.origins[changed.log])
    except ProofError as error:
        return str(error)
    return None
