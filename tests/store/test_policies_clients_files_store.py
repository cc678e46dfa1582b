"""Bundles, publications, suspensions, the fence; clients; files: kept as given, found as asked, or not at all."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from service.errors import Broken, Busy, Conflict
from service.settings import FILE_BYTES_MAX
from service.store import Database, clients, policies
from service.store.clients import ClientRecord
from service.store.files import FileStore, FileTooLarge
from service.store.instance import Instance, instance_of, set_up
from service.store.policies import Fence, Publication
from service.store.times import micros, micros_or_forever, moment_of, text_of


@pytest.fixture
def ready(database: Database) -> Database:
    with database.acting() as connection:
        assert instance_of(connection) is None
        set_up(connection, Instance("entente.test", "https://entente.test"), at=5)
    return database


def test_first_set_up_is_one_row_of_each(ready: Database) -> None:
    with ready.reading() as connection:
        assert instance_of(connection) == Instance("entente.test", "https://entente.test")
        assert policies.fence(connection) == Fence(0, 5, 0)
        assert policies.in_force(connection) == policies.InForce(None, frozenset())
        assert policies.latest_log_time(connection) == 0


def test_the_last_publication_is_in_force_and_all_are_history(ready: Database) -> None:
    with ready.acting() as connection:
        for act, digest in ((1, "aa"), (2, "bb"), (4, "aa")):
            policies.add_publication(connection, Publication(act, act * 10, digest, "c"))
        assert policies.in_force(connection).digest == "aa"
        assert [one.act for one in policies.publications(connection)] == [1, 2, 4]


def test_an_archived_bundle_stays_what_it_was(ready: Database) -> None:
    with ready.acting() as connection:
        policies.archive_bundle(connection, "aa", {"a": b"1", "b": b"\x00\xff"})
        policies.archive_bundle(connection, "aa", {"a": b"2", "b": b"3"})
        assert policies.archived_bundle(connection, "aa") == {"a": b"1", "b": b"\x00\xff"}
        for absent in ("bb", "", "a", "\x00", "AA"):
            assert policies.archived_bundle(connection, absent) is None
        policies.archive_bundle(connection, "Zz", {"a": b"1"})
        assert policies.archived_digests(connection) == ["Zz", "aa"]


def test_suspension_is_a_set(ready: Database) -> None:
    with ready.acting() as connection:
        for partner in ("JPN", "IND", "JPN"):
            policies.suspend(connection, partner, act=1)
        assert policies.in_force(connection).suspended == {"IND", "JPN"}
        policies.resume(connection, "JPN")
        policies.resume(connection, "AUS")
        assert policies.in_force(connection).suspended == {"IND"}


def test_the_fence_counts_acts_and_changes_to_clients_apart(ready: Database) -> None:
    with ready.acting() as connection:
        policies.raise_fence(connection, act=3, at=33)
        policies.note_client_change(connection)
        policies.note_client_change(connection)
        assert policies.fence(connection) == Fence(3, 33, 2)


# --- clients ----------------------------------------------------------------------------------------------------------

CLIENT = ClientRecord("c_1", "entente.test", "c_1", "demo", "partner", "JPN", ("EXERCISE-KEEN", "OTHER"), True, "$argon2id$", 7)


def test_a_client_comes_back_as_it_was_registered(ready: Database) -> None:
    external = replace(CLIENT, id="c_2", issuer="https://idp", subject="S", name="Übung", partner=None, purposes=(), secret_hash=None)
    with ready.acting() as connection:
        clients.add_client(connection, CLIENT)
        clients.add_client(connection, replace(external, created_at=6))
        assert clients.client_by_id(connection, "c_1") == CLIENT
        assert clients.client_by_subject(connection, "https://idp", "S") == replace(external, created_at=6)
        assert clients.client_by_name(connection, "demo") == CLIENT
        assert [one.id for one in clients.clients(connection)] == ["c_2", "c_1"]
        assert policies.fence(connection).clients == 2


@pytest.mark.parametrize(
    ("issuer", "subject"), [("https://idp", "c_1"), ("entente.test", "C_1"), ("entente.test", ""), ("ENTENTE.TEST", "c_1")]
)
def test_a_client_is_found_by_exactly_its_issuer_and_subject(ready: Database, issuer: str, subject: str) -> None:
    with ready.acting() as connection:
        clients.add_client(connection, CLIENT)
        assert clients.client_by_subject(connection, issuer, subject) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"id": "c_2", "subject": "c_2"}, id="name"),
        pytest.param({"id": "c_2", "name": "other"}, id="issuer and subject"),
        pytest.param({"subject": "c_2", "name": "other"}, id="id"),
    ],
)
def test_a_second_client_of_the_same_is_refused_and_nothing_changes(ready: Database, change: dict[str, str]) -> None:
    with ready.acting() as connection:
        clients.add_client(connection, CLIENT)
    with pytest.raises(Conflict) as refused, ready.acting() as connection:
        clients.add_client(connection, replace(CLIENT, **change))
    assert refused.value.code == "client-exists"
    with ready.reading() as connection:
        assert clients.clients(connection) == [CLIENT]
        assert policies.fence(connection).clients == 1


# --- files ------------------------------------------------------------------------------------------------------------


def left_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("blocks", [[], [b""], [b"a", b"bc"], [bytes(70_000), b"\xff" * 70_000]])
def test_a_file_is_kept_under_its_digest(tmp_path: Path, blocks: list[bytes]) -> None:
    store, content = FileStore(tmp_path / "deep" / "files"), b"".join(blocks)
    digest, size = store.put(iter(blocks))
    assert (digest, size) == (hashlib.sha256(content).digest(), len(content))
    assert b"".join(store.blocks(digest)) == content
    assert store.holds(digest)
    assert store.put([content]) == (digest, size)
    assert left_in(store.folder) == [f"{digest.hex()[:2]}/{digest.hex()[2:]}"]


def test_a_file_that_is_too_large_leaves_nothing(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    block = bytes(1 << 20)
    with pytest.raises(FileTooLarge):
        store.put(block for _ in range(FILE_BYTES_MAX // len(block) + 1))
    assert left_in(tmp_path) == []


def test_a_stream_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def blocks() -> object:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        FileStore(tmp_path).put(blocks())  # type: ignore[arg-type]
    assert left_in(tmp_path) == []


def test_a_file_that_the_catalogue_names_and_the_disk_lacks_is_the_operators_affair(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    assert not store.holds(bytes(32))
    with pytest.raises(Broken, match="restore it from a backup"):
        list(store.blocks(bytes(32)))


def test_a_folder_that_cannot_be_written_is_busy(tmp_path: Path) -> None:
    (tmp_path / "files").write_bytes(b"not a folder")
    with pytest.raises(Busy):
        FileStore(tmp_path / "files").put([b"a"])


# --- times ------------------------------------------------------------------------------------------------------------


def test_times_are_exact_microseconds_and_back() -> None:
    for at in (0, 1, 1_795_341_600_000_001, 253_402_300_799_999_999):
        assert micros(moment_of(at)) == at
    assert text_of(1_795_341_600_000_001) == "2026-11-22T10:00:00.000001Z"
    assert micros_or_forever(None) == 253_402_300_799_999_999
