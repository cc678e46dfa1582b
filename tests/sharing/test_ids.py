"""Ids are random, and no command takes one for an option."""

from __future__ import annotations

import re

import pytest

from service.sharing import ids


def test_an_id_begins_with_no_hyphen(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["-AAAAAAAAAAAAAAAAAAAAA", "--AAAAAAAAAAAAAAAAAAAA", "_-AAAAAAAAAAAAAAAAAAAA"])
    monkeypatch.setattr(ids.secrets, "token_urlsafe", lambda size: next(drawn) if size == 16 else None)
    assert ids.new_id() == "_-AAAAAAAAAAAAAAAAAAAA"


def test_ids_are_of_128_bits_and_differ() -> None:
    made = [ids.new_id() for _ in range(5_000)]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", one) for one in made)
