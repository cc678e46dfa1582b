"""An evidence bundle that was tampered with is found out by the offline verifier, with keys that its user brought, for the reason named.

`exports.csv` is data for the auditor's guide, as `means.csv` is: what was changed, and what the verifier says of it (a pattern).
"""

from __future__ import annotations

import csv
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store import logs
from tests.support.exported import DOES_NOT_HOLD, HOLDS, NOT_PROVEN
from tests.support.tampering import Target, entries_of, target, write_history
from tests.support.tampering_exports import FILTERED, KINDS, ON_COMPACT, check_offline, export, reason_of, tamper

PLACES = 10
SEED = 20261129
TABLE = list(csv.DictReader((Path(__file__).parent / "exports.csv").open(encoding="utf-8")))


class Exported:
    """A whole export, a filtered one and a compact one, and the keys that somebody has from elsewhere."""

    def __init__(self, made: Target, folder: Path) -> None:
        self.target = made
        self.folder = folder
        for name in ("whole", "filtered", "compact"):
            export(made, folder / name, filtered=name == "filtered", compact=name == "compact")
        with made.installation.database.reading() as connection:
            self.keys = [made.installation.ledger.vkey(head.origin) for head in logs.heads(connection)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    folder = tmp_path_factory.mktemp("exports")
    made = target(folder / "data")
    yield Exported(made, folder)
    made.close()


def test_the_table_names_every_kind_once() -> None:
    assert [row["kind"] for row in TABLE] == list(KINDS)
    assert all(row["what"] and row["reason"] for row in TABLE)


@pytest.mark.parametrize("name", ["whole", "filtered", "compact"])
def test_there_is_no_alarm_before_anything_was_changed(exported: Exported, name: str) -> None:
    code, said = check_offline(exported.folder / name, exported.keys)
    assert code == HOLDS, said


@pytest.mark.parametrize("row", TABLE, ids=[row["kind"] for row in TABLE])
def test_is_found_offline_for_the_reason_named(exported: Exported, row: dict[str, str]) -> None:
    _tamper(exported, row, places=PLACES, seed=SEED)


@pytest.mark.campaign
@pytest.mark.parametrize("row", TABLE, ids=[row["kind"] for row in TABLE])
def test_is_found_offline_at_two_hundred_places(exported: Exported, row: dict[str, str]) -> None:
    _tamper(exported, row, places=200, seed=SEED + 1)


def _tamper(exported: Exported, row: dict[str, str], *, places: int, seed: int) -> None:
    kind = row["kind"]
    for number in range(places):
        changed = exported.folder / "changed"
        shutil.copytree(exported.folder / ("filtered" if kind in FILTERED else "compact" if kind in ON_COMPACT else "whole"), changed)
        try:
            tamper(kind, changed, random.Random(f"{kind} {seed} {number}"))
            code, said = check_offline(changed, exported.keys)
        finally:
            shutil.rmtree(changed)
        assert code == DOES_NOT_HOLD, f"{kind}, seed {seed}, place {number}: {said}"
        assert re.search(row["reason"], reason_of(said)), f"{kind}, seed {seed}, place {number}: {reason_of(said)}"


def test_a_history_rewritten_with_the_real_key_is_seen_only_by_who_brings_a_checkpoint(exported: Exported, tmp_path: Path) -> None:
    made = exported.target
    size, note = made.checkpoints["JPN"][-1]
    seen = tmp_path / "seen"
    seen.write_text(note)
    entries = entries_of(made.raw, "JPN")
    entries[size // 2].face(client="c_somebody_else")
    write_history(made, "JPN", entries)
    made.raw.commit()
    try:
        export(made, tmp_path / "rewritten", filtered=False)
    finally:
        made.restore()
    assert check_offline(tmp_path / "rewritten", exported.keys)[0] == HOLDS
    code, said = check_offline(tmp_path / "rewritten", exported.keys, "--seen", str(seen))
    assert code == DOES_NOT_HOLD
    assert "JPN" in reason_of(said) and "root" in reason_of(said)
    # And an honest log is not suspected for having grown.
    assert check_offline(exported.folder / "whole", exported.keys, "--seen", str(seen))[0] == HOLDS


def test_without_keys_from_elsewhere_nothing_is_said_to_be_proven(exported: Exported) -> None:
    assert check_offline(exported.folder / "whole", [])[0] == NOT_PROVEN
