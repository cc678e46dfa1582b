"""An evidence bundle says the same on either database, whatever it leaves out, and an offline verifier finds that it holds."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from service.policy import digest_of
from service.sharing.exports.bundle import EvidenceBundle
from service.sharing.exports.selection import Selection
from service.sharing.exports.writing import to_folder
from service.sharing.ledger import Ledger
from service.store import Database, policies
from service.store.logs import AuditFilter
from tests.bench.log_store import draft
from tests.support.exported import HOLDS, lines, verify, vkeys

LEDGER: Final = Ledger("entente.test", bytes(32))
FILES: Final[Mapping[str, bytes]] = {"agreements.csv": b"# none\n", "model.conf": b"# none\n"}
LOOK: Final = {"event_id": "e", "at": "2026-11-22T10:00:00.000000Z", "client": "c_auditor", "route": "cli"}
SIZES: Final = {"AUS": 1, "IND": 0, "JPN": 530}


@pytest.fixture
def told(database: Database) -> Database:
    """Three logs: one empty, one of one entry, one of two full tiles and some; and the policy they were decided by."""
    digest = digest_of(FILES)
    with database.acting() as connection:
        policies.archive_bundle(connection, digest, FILES)
    for log, size in SIZES.items():
        with database.releasing() as connection:
            heads = LEDGER.lock(connection, [log])
            drafts = [
                replace(one, log=log, record={**one.record, "partner": b'"%b"' % log.encode()})
                for one in (draft(number, random.Random(number), digest) for number in range(size))
            ]
            if drafts:
                LEDGER.append(connection, heads, drafts, at=1_795_341_600_000_000)
    return database


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        pytest.param(AuditFilter(), 531, id="whole"),
        pytest.param(AuditFilter(log="JPN"), 530, id="one log"),
        pytest.param(AuditFilter(partners_only=True, type="file"), 26, id="one in twenty"),
        pytest.param(AuditFilter(log="JPN", type="item"), 398, id="most"),
        pytest.param(AuditFilter(client="c_nobody"), 0, id="none"),
    ],
)
def test_a_bundle_holds_and_proves_its_counts(told: Database, tmp_path: Path, asked: AuditFilter, shown: int) -> None:
    folder, compact = tmp_path / "bundle", tmp_path / "compact"
    with told.reading() as connection:
        for out in (folder, compact):
            to_folder(EvidenceBundle(connection, LEDGER, Selection(asked, {}), LOOK, compact=out is compact).pieces(), out)
    verdict = verify("export", folder, *vkeys(folder))
    assert verdict.code == HOLDS, verdict.said
    assert verify("export", compact, *vkeys(folder)) == verdict
    assert verify("entries", compact).said.encode() == (folder / "entries.jsonl").read_bytes()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert (manifest["entries"], len(lines(folder))) == (shown, shown)
    for log in manifest["logs"]:
        assert log["size"] == SIZES[log["log"]] == log["included"] + log["left_out"]
    assert (folder / "bundles").exists() == (shown > 0)
