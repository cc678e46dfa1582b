"""Ids are random, and no command takes one for an option."""

from __future__ import annotations

import itertools
import re
import secrets

import pytest

from service.sharing import ids
from service.store import logs
from tests.support.store_world import World, item, text_portion


def test_an_id_begins_with_no_hyphen(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["-AAAAAAAAAAAAAAAAAAAAA", "--AAAAAAAAAAAAAAAAAAAA", "_-AAAAAAAAAAAAAAAAAAAA"])
    monkeypatch.setattr(ids.secrets, "token_urlsafe", lambda size: next(drawn) if size == 16 else None)
    assert ids.new_id() == "_-AAAAAAAAAAAAAAAAAAAA"


def test_ids_are_of_128_bits_and_differ() -> None:
    made = [ids.new_id() for _ in range(5_000)]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", one) for one in made)


def test_items_portions_and_entries_have_such_ids(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is drawn: here every other draw begins with a hyphen, and an id taken as drawn would be one of those."""
    with world.installation.database.reading() as connection:
        before = {row.event_id for head in logs.heads(connection) for row in logs.entries(connection, head.id)}
    real, draws = secrets.token_urlsafe, itertools.count()
    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: ("-" if next(draws) % 2 == 0 else "a") + real(size)[1:])
    stored = [world.store(item(f"i/{number}", text_portion("x", "(U)"), marking="UNCLASSIFIED")).item_id or "" for number in range(3)]
    world.item("JPN", stored[0])
    with world.installation.database.reading() as connection:
        entries = [row.event_id for head in logs.heads(connection) for row in logs.entries(connection, head.id)]
    assert len(entries) > len(before)
    assert not [one for one in (*stored, *(entry for entry in entries if entry not in before)) if one.startswith("-")]
