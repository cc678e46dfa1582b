"""A receipt of an entry that was changed in the store says what to do, and does not stop at what it cannot read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from service.errors import Broken
from service.sharing.audit import receipt
from tests.support.store_bundles import bundle_files
from tests.support.store_world import World


@pytest.mark.parametrize("change", ["leaf = CAST(x'ff' || substr(leaf, 2) AS BLOB)", "position = -1"])
def test_what_is_no_entry_any_more_is_named(tmp_path: Path, change: str) -> None:
    world = World(tmp_path / "data")
    world.publish(bundle_files())
    world.client("JPN")
    assert world.item("JPN", "absent") is None
    with sqlite3.connect(tmp_path / "data" / "entente.db") as raw:
        (event,) = raw.execute("SELECT event_id FROM log_entry WHERE log_id = (SELECT id FROM log WHERE name = 'JPN')").fetchone()
        raw.execute(f"UPDATE log_entry SET {change} WHERE event_id = ?", (event,))
    raw.close()
    with (
        world.installation.database.reading() as connection,
        pytest.raises(Broken, match=f"what is kept of event `{event}` in log `JPN` is no entry; run `entente log verify`"),
    ):
        receipt(connection, world.installation.ledger, "JPN", event)
    world.close()
