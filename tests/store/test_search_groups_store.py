"""Groups with tear-lines: kept with all that they depend on, and found by any of it."""

from __future__ import annotations

from service.store import Database, search
from service.store.search import Group
from service.store.tables import FOREVER


def test_a_group_is_found_by_every_label_it_depends_on(database: Database) -> None:
    plain, torn = Group((7,), 0, FOREVER), Group((7,), 0, FOREVER, ((8, 9),), (10,))
    with database.acting() as connection:
        ids, fresh = search.intern_groups(connection, {plain, torn})
        assert set(fresh.values()) == {plain, torn}
        assert ids[plain] != ids[torn]
        for label in (8, 9, 10):
            assert search.groups_with(connection, {label}) == {ids[torn]: torn}
        assert search.groups_with(connection, {7}) == {ids[plain]: plain, ids[torn]: torn}
        assert search.intern_groups(connection, {torn}) == ({torn: ids[torn]}, {})
