"""The demo set up twice: everything once, and what it shows is found by deciding."""

from __future__ import annotations

from typing import Any

from service.demo import DEMO_CLIENTS, demo_items
from service.demo.setup import HELD_BACK, Loaded, examples, set_up_demo
from service.store import catalogue, logs, policies


def test_a_second_set_up_loads_nothing_twice(demo: Any) -> None:
    with demo.opened() as installation:
        with installation.database.reading() as connection:
            before = policies.fence(connection), logs.head(connection, "officers")
            held = catalogue.quarantined(connection, after=(0, 0), limit=1000)
            stored = [catalogue.item_by_ref(connection, item["ref"]) for item in demo_items()]
        assert 60 <= len(stored) <= 100
        assert None not in stored
        assert 0 < len(held) < len(stored) / 4
        assert set_up_demo(installation) == Loaded(0, 0, 0, 0)
        with installation.database.reading() as connection:
            assert (policies.fence(connection), logs.head(connection, "officers")) == before


def test_a_set_up_that_was_cut_short_is_completed(demo: Any) -> None:
    items = list(demo_items())
    with demo.opened() as installation:
        # What a set-up would find that stopped after all clients but no items were there.
        with installation.database.acting() as connection:
            for item in items[:3]:
                connection.exec_driver_sql("UPDATE item SET ref = 'moved/' || ref WHERE ref = ?", (item["ref"],))
        loaded = set_up_demo(installation)
    assert (loaded.clients, loaded.imported, loaded.refused) == (0, 3, 0)


def test_what_the_demo_shows_is_what_policy_decides(demo: Any) -> None:
    with demo.opened() as installation:
        found = examples(installation)
        assert found == examples(installation)
    assert found.in_part is not None and found.one_only is not None and found.other is not None
    assert found.in_part.held_back == HELD_BACK == 2
    assert [found.in_part.client, found.one_only.client, found.other] == [DEMO_CLIENTS[0], DEMO_CLIENTS[0], DEMO_CLIENTS[1]]
