"""The logs in the database: positions without gaps, heads moved by one writer at a time, tiles, checkpoints, every filter."""

from __future__ import annotations

import json
import multiprocessing
import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from service.errors import Broken, Busy
from service.releaselog.merkle import Frontier, leaf_hash
from service.sharing.ledger import OFFICERS, Draft, Ledger
from service.store import Connection, Database, logs
from service.store.logs import AuditFilter, EntryRow, Head

KEY = bytes(32)
LEDGER = Ledger("entente.test", KEY)
LOGS = ("AUS", "JPN", OFFICERS)


def draft(log: str, type_: str = "item", *, client: str = "c_one", item: str = "i1", version: int = 1) -> Draft:
    """What the gate would append."""
    act = type_ not in ("item", "list", "file")
    return Draft(
        log=log,
        type=type_,
        client=client,
        route="/v1/items/{id}",
        items=json.dumps([{"id": item}], separators=(",", ":")).encode(),
        body_sha256=None if act else bytes(32),
        result="done" if act else "refused",
        purpose="none",
        record={"act": b"1"},
        versions=((item, version),),
    )


def append(database: Database, drafts: list[Draft], *, at: int) -> list[str]:
    """Append in one transaction; the event ids."""
    with database.releasing() as connection:
        heads = LEDGER.lock(connection, [one.log for one in drafts])
        return [entry.event_id for entry in LEDGER.append(connection, heads, drafts, at=at)]


def head_of(connection: Connection, name: str) -> Head:
    found = logs.head(connection, name)
    assert found is not None
    return found


# --- heads ----------------------------------------------------------------------------------------------------------


def test_a_log_is_opened_once_under_a_name_an_origin_and_a_slot_of_its_own(database: Database) -> None:
    with database.acting() as connection:
        for name in (*LOGS, *LOGS):
            LEDGER.open_log(connection, name)
    with database.reading() as connection:
        found = logs.heads(connection)
        assert [one.name for one in found] == sorted(LOGS)
        assert len({one.slot for one in found}) == len({one.origin for one in found}) == 3
        assert logs.slots_used(connection) == {one.slot for one in found}
        for one in found:
            assert (one.size, one.at, one.root) == (0, 0, Frontier.empty().root())
            assert one.origin == f"entente.test/log/{one.slot}/{one.name}"
        assert logs.head(connection, "absent") is None


def test_a_taken_slot_opens_nothing(database: Database) -> None:
    values = {"empty_frontier": b"", "empty_root": bytes(32), "checkpoint": ""}
    with database.acting() as connection:
        logs.add_log(connection, name="A", origin="o/a", slot=5, **values)
        logs.add_log(connection, name="B", origin="o/b", slot=5, **values)
        assert logs.head(connection, "B") is None


@pytest.mark.parametrize("changed", [{"size": 1}, {"root": bytes(31) + b"\x01"}, {"id": 999}])
def test_a_head_that_is_not_what_was_locked_is_not_moved(database: Database, changed: dict[str, Any]) -> None:
    append(database, [draft("JPN")], at=5)
    with database.reading() as connection:
        head = head_of(connection, "JPN")
    wrong = {"size": head.size + 1} if "size" in changed else changed
    with pytest.raises(Broken, match="moved under its lock"), database.releasing() as connection:
        logs.advance_head(connection, replace(head, **wrong), replace(head, size=9))
    with database.reading() as connection:
        assert head_of(connection, "JPN") == head


def test_heads_are_locked_in_one_order_whatever_order_they_are_asked_in(database: Database) -> None:
    with database.acting() as connection:
        for name in LOGS:
            LEDGER.open_log(connection, name)
    with database.releasing() as connection:
        assert list(logs.lock_heads(connection, ["officers", "AUS", "JPN", "AUS"])) == ["AUS", "JPN", "officers"]
        assert logs.lock_heads(connection, ["absent"]) == {}


def test_a_position_taken_is_taken(database: Database) -> None:
    append(database, [draft("JPN")], at=5)
    with database.reading() as connection:
        row = next(iter(logs.entries(connection, head_of(connection, "JPN").id)))
    again = EntryRow(row.log_id, 0, "other", 6, "item", "c", "sent", b"x", bytes(32), b"y", bytes(32), ())
    with pytest.raises(IntegrityError), database.releasing() as connection:
        logs.append_entries(connection, [again])


def _write(url: str, writer: int, entries: int) -> None:
    database = Database.open(url, busy_timeout_seconds=30)
    for number in range(entries):
        append(database, [draft("JPN", client=f"w{writer}"), draft("AUS", client=f"w{writer}")], at=number + 1)
    database.close()


def _url_of(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


def test_positions_have_no_gaps_with_eight_writers_in_threads_and_two_in_processes(database: Database) -> None:
    url, each = _url_of(database), 6
    with database.acting() as connection:
        for name in LOGS:
            LEDGER.open_log(connection, name)
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_write, args=(url, 8 + number, each)) for number in range(2)]
    threads = [threading.Thread(target=_write, args=(url, number, each)) for number in range(8)]
    for one in (*processes, *threads):
        one.start()
    for one in (*processes, *threads):
        one.join()
    assert [process.exitcode for process in processes] == [0, 0]
    with database.reading() as connection:
        for name in ("AUS", "JPN"):
            head = head_of(connection, name)
            rows = list(logs.entries(connection, head.id))
            assert head.size == 10 * each
            assert [row.position for row in rows] == list(range(10 * each))
            assert Frontier.empty().extend([leaf_hash(row.leaf) for row in rows]).root() == head.root
            for writer in range(10):
                assert sum(row.client == f"w{writer}" for row in rows) == each


def test_a_batch_that_fails_leaves_no_gap(database: Database) -> None:
    append(database, [draft("JPN")], at=1)
    with pytest.raises(RuntimeError), database.releasing() as connection:
        LEDGER.append(connection, LEDGER.lock(connection, ["JPN"]), [draft("JPN"), draft("JPN")], at=2)
        raise RuntimeError
    append(database, [draft("JPN")], at=3)
    with database.reading() as connection:
        rows = list(logs.entries(connection, head_of(connection, "JPN").id))
    assert [(row.position, row.at) for row in rows] == [(0, 1), (1, 3)]


def test_a_writer_that_cannot_have_the_head_is_busy(database: Database) -> None:
    append(database, [draft("JPN")], at=1)
    with database.releasing() as connection:
        LEDGER.lock(connection, ["JPN"])
        with pytest.raises(Busy):
            append(database, [draft("JPN")], at=2)
    append(database, [draft("JPN")], at=3)


# --- tiles and checkpoints ------------------------------------------------------------------------------------------


def test_tiles_fill_as_the_log_grows_and_a_checkpoint_is_kept_wherever_one_did(database: Database) -> None:
    for start, count in ((0, 200), (200, 100), (300, 213)):
        append(database, [draft("JPN", item=f"i{start + number}") for number in range(count)], at=start + 1)
    with database.reading() as connection:
        head = head_of(connection, "JPN")
        hashes = logs.leaf_hashes(connection, head.id, 0, 600)
        assert len(hashes) == head.size == 513
        assert logs.tile_row(connection, head.id, 0, 0) == hashes[:256]
        assert logs.tile_row(connection, head.id, 0, 1) == hashes[256:512]
        assert logs.tile_row(connection, head.id, 0, 2) == []
        assert logs.read_tile(connection, head.id, 0, 1, 256) == hashes[256:512]
        assert logs.read_tile(connection, head.id, 0, 2, 1) == hashes[512:]
        upper = [Frontier.empty().extend(hashes[start : start + 256]).root() for start in (0, 256)]
        assert logs.read_tile(connection, head.id, 1, 0, 2) == upper
        with pytest.raises(Broken, match="log verify"):
            logs.read_tile(connection, head.id, 0, 2, 2)
        assert [size for size, _ in logs.kept_checkpoints(connection, head.id)] == [300, 513]
        assert logs.kept_checkpoints(connection, head.id)[-1][1] == head.checkpoint
        assert logs.tile_count(connection, head.id) == 3
        assert logs.leaves(connection, head.id, 511, 513) == [row.leaf for row in logs.entries(connection, head.id, start=511)]


def test_a_tile_is_put_again_in_its_own_place(database: Database) -> None:
    with database.releasing() as connection:
        logs.put_tile(connection, 1, 1, 0, [bytes(32)])
        logs.put_tile(connection, 1, 1, 0, [bytes(32), b"\x01" * 32])
        assert logs.tile_row(connection, 1, 1, 0) == [bytes(32), b"\x01" * 32]
        assert logs.tile_row(connection, 2, 1, 0) == []
        logs.keep_checkpoint(connection, 1, 5, "a")
        logs.keep_checkpoint(connection, 1, 5, "b")
        assert logs.kept_checkpoints(connection, 1) == [(5, "a")]


# --- finding entries --------- --------------------------------------------------------------------------------------------

HISTORY = [
    (10, "JPN", "item", "c_one", "i1"),
    (10, "AUS", "list", "c_two", "i1"),
    (20, "JPN", "list", "c_one", "i2"),
    (20, OFFICERS, "item.create", "machine", "i3"),
    (30, "JPN", "item", "c_three", "i2"),
    (30, "AUS", "item", "c_two", "i2"),
    (40, "JPN", "item", "c_one", "i1"),
]


@pytest.fixture
def told(database: Database) -> Database:
    for at, log, type_, client, item in HISTORY:
        append(database, [draft(log, type_, client=client, item=item)], at=at)
    return database


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize(
    ("asked", "keeps"),
    [
        pytest.param(AuditFilter(), lambda at, type_, client, item: True, id="none"),
        pytest.param(AuditFilter(log="absent"), lambda at, type_, client, item: True, id="the log is given apart"),
        pytest.param(AuditFilter(item="i2"), lambda at, type_, client, item: item == "i2", id="item"),
        pytest.param(AuditFilter(since=20, until=40), lambda at, type_, client, item: 20 <= at < 40, id="period"),
        pytest.param(
            AuditFilter(type="item", client="c_one"), lambda at, type_, client, item: (type_, client) == ("item", "c_one"), id="two"
        ),
        pytest.param(AuditFilter(client="c_\x00"), lambda at, type_, client, item: False, id="no such client"),
    ],
)
def test_what_matches_of_a_log_comes_in_its_order_step_by_step(told: Database, asked: AuditFilter, keeps: Any, limit: int) -> None:
    found: list[int] = []
    with told.reading() as connection:
        head = head_of(connection, "JPN")
        start = 0
        while rows := logs.matching(connection, asked, head.id, start=start, stop=head.size, limit=limit):
            assert len(rows) <= limit
            found += [row.position for row in rows]
            for row in rows:
                stored = logs.entry_at(connection, "JPN", row.position)
                assert stored is not None
                assert row == (stored.position, stored.leaf, stored.leaf_hash, stored.record, stored.nonce)
            start = rows[-1].position + 1
        assert logs.matching(connection, AuditFilter(), head.id, start=0, stop=1, limit=9)[-1].position == 0
        assert logs.entry_at(connection, "JPN", head.size) is None and logs.entry_at(connection, "absent", 0) is None
    ours = [(at, type_, client, item) for at, log, type_, client, item in HISTORY if log == "JPN"]
    assert found == [position for position, one in enumerate(ours) if keeps(*one)]


def test_an_entry_is_found_by_its_event_and_in_its_own_log_alone(told: Database) -> None:
    (event,) = append(told, [draft("JPN", item="i9")], at=50)
    with told.reading() as connection:
        row = logs.entry(connection, event)
        assert row is not None
        assert (row.log, row.position, row.at, row.type) == ("JPN", 4, 50, "item")
        assert json.loads(row.leaf)["event_id"] == event
        assert logs.entry_of_log(connection, "JPN", event) == row
        for log, wanted in (("AUS", event), ("JPN", "absent"), ("absent", event), ("JPN", "\x00"), ("JPN", "ü'\"")):
            assert logs.entry_of_log(connection, log, wanted) is None
        assert logs.entry(connection, "\x00") is None
        assert logs.entry_items(connection, row.log_id, 4) == [("i9", 50, 1)]


def test_own_accounting_is_in_order_from_a_position_on(told: Database) -> None:
    with told.reading() as connection:
        assert [position for position, _ in logs.own_entries(connection, "JPN", from_position=1, limit=2)] == [1, 2]
        assert [position for position, _ in logs.own_entries(connection, "JPN", from_position=0, limit=9)] == [0, 1, 2, 3]
        assert logs.own_entries(connection, "JPN", from_position=4, limit=9) == []
        assert logs.own_entries(connection, "absent", from_position=0, limit=9) == []


def test_who_received_an_item_counts_what_was_sent_and_no_lists(database: Database) -> None:
    def sent(log: str, type_: str, version: int, at: int) -> None:
        body = {"items": b'[{"copy_sha256":"%s","id":"i1"}]' % (b"0" * 64), "result": "sent"}
        append(database, [replace(draft(log, type_, version=version), portion="p" if type_ == "file" else None, **body)], at=at)

    sent("JPN", "item", 1, 10)
    sent("AUS", "list", 1, 20)
    sent("AUS", "file", 2, 30)
    append(database, [draft("IND", version=0)], at=40)
    with database.reading() as connection:
        received = logs.received(connection, "i1")
        assert [(one.partner, one.at, one.version) for one in received] == [("JPN", 10, 1), ("AUS", 30, 2)]
        assert logs.received(connection, "i2") == []


def test_records_of_some_types_come_in_the_order_of_their_log(told: Database) -> None:
    with told.reading() as connection:
        found = logs.records_of(connection, "JPN", ("item", "list"))
        assert [(type_, at) for type_, at, _ in found] == [("item", 10), ("list", 20), ("item", 30), ("item", 40)]
        assert logs.records_of(connection, OFFICERS, ("item",)) == []


def test_a_long_log_is_read_in_steps_to_its_end(database: Database) -> None:
    append(database, [draft("JPN", item=f"i{number}") for number in range(2100)], at=1)
    with database.reading() as connection:
        log_id = head_of(connection, "JPN").id
        assert [row.position for row in logs.entries(connection, log_id)] == list(range(2100))
        assert [row.position for row in logs.entries(connection, log_id, start=990, stop=1010)] == list(range(990, 1010))
        assert logs.items_by_position(connection, log_id, 2098, 9999) == {2098: [("i2098", 1, 1)], 2099: [("i2099", 1, 1)]}


# --- retries ----------------------------------------------------------------------------------------------------------


def test_a_retry_is_found_by_client_and_key_while_it_is_young(told: Database) -> None:
    with told.releasing() as connection:
        log_id = head_of(connection, "JPN").id
        for position, at in ((0, 100), (3, 200)):
            logs.keep_retry(connection, client="c", key="k", request_sha256=bytes(32), log_id=log_id, position=position, at=at)
        logs.keep_retry(connection, client="d", key="k", request_sha256=b"\x01" * 32, log_id=log_id, position=1, at=150)
    with told.reading() as connection:
        found = logs.retries(connection, [("c", "k"), ("d", "k"), ("c", "other")], since=150)
        assert {pair: (one.position, one.at) for pair, one in found.items()} == {("c", "k"): (3, 200), ("d", "k"): (1, 150)}
        assert logs.retries(connection, [("c", "k")], since=201) == {}
        assert json.loads(found["c", "k"].leaf)["event_id"] == found["c", "k"].event_id
    with told.releasing() as connection:
        logs.forget_retries(connection, before=200)
        assert set(logs.retries(connection, [("c", "k"), ("d", "k")], since=0)) == {("c", "k")}
