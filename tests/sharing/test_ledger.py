"""Leaves, heads and checkpoints: made in one way only, readable by anyone's verifier, gone if the transaction is."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import Broken
from service.releaselog.checkpoint import Checkpoint, open_checkpoint
from service.releaselog.leaf import canonical, parse_leaf, seal
from service.releaselog.merkle import Frontier, leaf_hash
from service.settings import LOG_SLOTS
from service.sharing.ledger import Draft, Ledger
from service.store import Database, logs
from service.store.times import text_of

LEDGER = Ledger("entente.test", bytes(32))
DIGEST = "ab" * 32


def draft(log: str = "JPN", *, items: object = ({"copy_sha256": DIGEST, "id": "i1"},), result: str = "sent", **changes: object) -> Draft:
    members = {
        "log": log, "type": "item", "client": "c_one", "route": "/v1/items/{id}", "items": canonical(list(items)),  # type: ignore[call-overload]
        "body_sha256": bytes.fromhex(DIGEST), "result": result, "purpose": "none",
        "record": {"act": b"7", "outcome": b'"release"'}, "versions": (("i1", 3),),
    }  # fmt: skip
    return Draft(**{**members, **changes})  # type: ignore[arg-type]


def rows(database: Database, name: str) -> list[logs.StoredRow]:
    with database.reading() as connection:
        head = logs.head(connection, name)
        assert head is not None
        return list(logs.entries(connection, head.id))


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(draft(), id="an item sent"),
        pytest.param(draft(result="refused", items=[{"id": "?" + "0" * 64}]), id="a refusal"),
        pytest.param(draft(type="list", items=[], route="/v1/items", purpose="EXERCISE-KEEN"), id="an empty list"),
        pytest.param(draft(type="file", portion="p1"), id="a file"),
        pytest.param(draft("officers", type="item.create", items=[{"id": "i1"}], body_sha256=None, result="done"), id="an act"),
    ],
)
def test_a_leaf_is_the_face_that_the_verifier_reads(database: Database, one: Draft) -> None:
    """The writer splices bytes; the reader parses, checks and writes them again: the same ones."""
    with database.releasing() as connection:
        (entry,) = LEDGER.append(connection, LEDGER.lock(connection, [one.log]), [one], at=1_795_341_600_123_456)
    (row,) = rows(database, one.log)
    face = parse_leaf(row.leaf)
    assert face.leaf() == row.leaf
    assert (face.event_id, face.at_micros, face.type, face.client, face.result) == (
        entry.event_id,
        entry.at,
        one.type,
        one.client,
        one.result,
    )
    assert (row.event_id, row.at, row.type, row.client, row.result) == (entry.event_id, entry.at, one.type, one.client, one.result)
    assert (face.body_sha256, face.portion, face.purpose, face.route) == (one.body_sha256, one.portion, one.purpose, one.route)
    assert row.leaf_hash == leaf_hash(row.leaf)
    assert face.seal == seal(row.nonce, row.record)
    assert json.loads(row.record) == {"act": 7, "outcome": "release", "at": text_of(entry.at)}


def test_a_nonce_and_an_event_id_are_never_used_twice(database: Database) -> None:
    with database.releasing() as connection:
        LEDGER.append(connection, LEDGER.lock(connection, ["JPN"]), [draft()] * 50, at=1)
    found = rows(database, "JPN")
    assert len({row.nonce for row in found}) == len({row.event_id for row in found}) == len({row.leaf for row in found}) == 50


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.lists(st.sampled_from(["AUS", "JPN"]), min_size=1, max_size=40), min_size=1, max_size=6))
def test_heads_are_the_trees_of_their_leaves_and_signed(database: Database, batches: list[list[str]]) -> None:
    for names in batches:
        with database.releasing() as connection:
            heads = LEDGER.lock(connection, names)
            at = max(head.at for head in heads.values()) + 1
            entries = LEDGER.append(connection, heads, [draft(name) for name in names], at=at)
            for entry in entries:
                assert entry.index >= heads[entry.log].size
    with database.reading() as connection:
        for head in logs.heads(connection):
            leaves = [row.leaf for row in logs.entries(connection, head.id)]
            tree = Frontier.empty().extend([leaf_hash(leaf) for leaf in leaves])
            assert (head.size, head.root, head.frontier) == (len(leaves), tree.root(), tree.to_bytes())
            signed = open_checkpoint(head.checkpoint, LEDGER.vkey(head.origin), head.origin)
            assert signed == Checkpoint(head.origin, head.size, head.root)


def test_entries_of_a_transaction_that_fails_never_were(database: Database) -> None:
    with pytest.raises(RuntimeError), database.releasing() as connection:
        LEDGER.append(connection, LEDGER.lock(connection, ["JPN"]), [draft()], at=1)
        raise RuntimeError
    with database.reading() as connection:
        assert logs.heads(connection) == []


def test_a_leaf_that_is_too_long_is_not_written(database: Database) -> None:
    many = [{"copy_sha256": DIGEST, "id": f"{number:022}"} for number in range(700)]
    with pytest.raises(Broken, match="a leaf of"), database.releasing() as connection:
        LEDGER.append(connection, LEDGER.lock(connection, ["JPN"]), [draft(items=many)], at=1)
    with database.reading() as connection:
        assert logs.heads(connection) == []


def test_when_all_slots_are_taken_no_log_is_opened(database: Database) -> None:
    with database.acting() as connection:
        values = {"empty_frontier": b"", "empty_root": bytes(32), "checkpoint": ""}
        for slot in range(LOG_SLOTS):
            logs.add_log(connection, name=f"L{slot}", origin=f"o/{slot}", slot=slot, **values)
        with pytest.raises(Broken, match="all 1024 slots"):
            LEDGER.open_log(connection, "JPN")
        LEDGER.open_log(connection, "L5")
