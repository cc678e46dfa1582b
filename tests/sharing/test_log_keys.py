"""A rotation is in force at the first commit after it, in every worker; nothing of it is lost, and nothing forged passes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from service.errors import Broken, ProofError
from service.identity.keys import create_log_key
from service.releaselog.checkpoint import open_checkpoint, read_checkpoint, sign_checkpoint
from service.releaselog.notes import Signer, read_note
from service.releaselog.receipt import read_proof, verify_receipt
from service.sharing.audit import receipt
from service.sharing.rotation import Rotated, rotate
from service.sharing.verification import verify_all
from service.store import logs
from tests.support.store_bundles import bundle_files
from tests.support.store_world import OFFICER, Clock, World

OVERLAP = timedelta(days=30)


@pytest.fixture
def pair(tmp_path: Path, database_url: str) -> Iterator[tuple[World, World]]:
    """Two installations over one data folder: two workers, or a worker and the command line."""
    clock = Clock()
    one = World(tmp_path / "data", url=database_url, clock=clock)
    one.publish(bundle_files())
    one.client("JPN")
    other = World(tmp_path / "data", url=database_url, clock=clock)
    other.clients.update(one.clients)
    yield one, other
    one.close()
    other.close()


def rotated(world: World) -> Rotated:
    installation = world.installation
    return rotate(installation.acts, installation.ledger, installation.settings.data / "keys", OFFICER, overlap=OVERLAP)


def head_note(world: World, name: str = "JPN") -> tuple[str, str]:
    """(origin, signed head) of a log."""
    with world.installation.database.reading() as connection:
        head = logs.head(connection, name)
    assert head is not None
    return head.origin, head.checkpoint


def signers(note: str) -> list[str]:
    return [key_id.hex() for _, key_id, _ in read_note(note)[1]]


def ids(*vkeys: str) -> list[str]:
    return [vkey.split("+")[1] for vkey in vkeys]


def problem(world: World) -> str | None:
    found = verify_all(world.installation).problem
    return None if found is None else f"{found.log}: {found.index}: {found.message}"


def test_every_head_is_signed_by_both_the_new_key_first(pair: tuple[World, World]) -> None:
    one, other = pair
    one.item("JPN", "absent")
    origin, before = head_note(one)
    old = one.installation.ledger.vkey(origin)
    rotated(other)
    new, *rest = other.installation.ledger.vkeys(origin)
    assert rest == [old] and new != old
    for name in ("JPN", "IND", "officers"):
        _, note = head_note(one, name)
        assert signers(note)[0] == other.installation.ledger.vkey(head_note(one, name)[0]).split("+")[1]
        assert len(signers(note)) == 2
    assert read_note(head_note(one)[1])[0] == read_note(before)[0]
    assert problem(one) is None


def test_a_running_worker_signs_right_from_its_first_commit_on(pair: tuple[World, World]) -> None:
    one, other = pair
    one.item("JPN", "absent")
    origin, _ = head_note(one)
    rotated(other)
    # `one` knows nothing of it yet, and releases.
    assert len(one.installation.ledger.vkeys(origin)) == 1
    released = one.ask(one.item_ask("JPN", "absent"))
    new, old = one.installation.ledger.vkeys(origin)
    assert signers(head_note(one)[1]) == ids(new, old)
    with one.installation.database.reading() as connection:
        proof = receipt(connection, one.installation.ledger, "JPN", released.entry.event_id)
    assert proof.key == new
    for vkey in (new, old):
        verify_receipt(proof.leaf.encode(), proof.proof, vkey, origin=origin)
    assert problem(one) is None and problem(other) is None


def test_after_the_overlap_the_new_key_alone_signs_and_old_receipts_still_hold(pair: tuple[World, World]) -> None:
    one, other = pair
    released = one.ask(one.item_ask("JPN", "absent"))
    with one.installation.database.reading() as connection:
        early = receipt(connection, one.installation.ledger, "JPN", released.entry.event_id)
    rotated(one)
    one.clock.advance(days=30, seconds=1)
    one.item("JPN", "absent")
    origin, note = head_note(one)
    new, old = one.installation.ledger.vkeys(origin)
    assert signers(note) == ids(new)
    verify_receipt(early.leaf.encode(), early.proof, old, origin=origin)
    with pytest.raises(ProofError, match="has not signed"):
        open_checkpoint(note, old, origin)
    assert problem(other) is None
    # A second one, while nothing of the first is left, and a third within the overlap of the second.
    rotated(other)
    one.clock.advance(days=1)
    rotated(one)
    other.item("JPN", "absent")
    keys = other.installation.ledger.vkeys(origin)
    assert signers(head_note(one)[1]) == ids(*keys[:3]) and len(keys) == 4
    assert problem(one) is None


def test_a_crash_between_file_and_act_leaves_a_working_installation(pair: tuple[World, World]) -> None:
    one, other = pair
    before = head_note(one)
    installation = one.installation
    with pytest.raises(RuntimeError, match="power"), installation.acts.act("log.rotate", OFFICER) as act:
        installation.ledger.rotate(act.connection, bytes_of_a_new_key(one), at=act.at, overlap=1)
        raise RuntimeError("power is gone")
    assert head_note(one) == before
    # The very worker that failed, another, and one started later: all sign with the key in force, and the unused file does no harm.
    for world in (one, other):
        world.item("JPN", "absent")
        assert len(signers(head_note(world)[1])) == 1
    rotated(other)
    one.item("JPN", "absent")
    assert len(signers(head_note(one)[1])) == 2
    assert problem(one) is None


def bytes_of_a_new_key(world: World) -> bytes:
    return create_log_key(world.installation.settings.data / "keys")


def test_a_worker_without_the_new_key_s_file_refuses_rather_than_sign_with_the_old(pair: tuple[World, World]) -> None:
    one, other = pair
    rotated(other)
    (file,) = (one.installation.settings.data / "keys").glob("log-*.key")
    file.unlink()
    before = head_note(one)
    with pytest.raises(Broken, match=r"private half of log key .* is missing"):
        one.item("JPN", "absent")
    assert head_note(one) == before


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        ("DELETE FROM log_key WHERE until < 253402300799999999", "foreign key"),
        ("DELETE FROM log_key WHERE until = 253402300799999999", "foreign key"),
        ("UPDATE log_key SET until = until - 2592000000000 WHERE until < 253402300799999999", "is retired"),
        ("UPDATE log_key SET from_at = from_at - 1000000 WHERE from_at > 0", "has not signed"),
    ],
)
def test_tampering_with_the_table_of_keys_is_named(pair: tuple[World, World], tamper: str, said: str) -> None:
    one, _ = pair
    # 300 refusals, so that a checkpoint is kept; then the rotation, and one more.
    for _ in range(3):
        one.installation.gate.commit([(one.item_ask("JPN", "absent"), None)] * 100)
    rotated(one)
    one.item("JPN", "absent")
    one.clock.advance(seconds=1)
    assert problem(one) is None
    with one.installation.database.acting() as connection:
        if "from_at -" in tamper:
            # A key said to be in force before it signed: the checkpoint kept from then lacks it.
            tamper = "UPDATE log_key SET from_at = 1 WHERE from_at > 0"
        connection.execute(text(tamper))
    fresh = World(one.installation.settings.data, url=one.installation.settings.database, clock=one.clock)
    found = problem(fresh)
    fresh.close()
    assert found is not None and said in found


def test_a_head_signed_again_by_the_retired_key_or_a_foreign_one_is_named(pair: tuple[World, World]) -> None:
    one, _ = pair
    one.item("JPN", "absent")
    rotated(one)
    one.clock.advance(days=31)
    one.item("JPN", "absent")
    origin, note = head_note(one)
    head = read_checkpoint(read_note(note)[0])
    retired = (one.installation.settings.data / "keys" / "log.key").read_bytes()
    for key, said in ((retired, "which is retired"), (bytes(32), "foreign key")):
        forged = sign_checkpoint(head, Signer(origin, key))
        with one.installation.database.acting() as connection:
            connection.execute(text("UPDATE log SET checkpoint = :note WHERE name = 'JPN'"), {"note": forged})
        found = problem(one)
        assert found is not None and said in found and found.startswith("JPN: None")


def test_a_proof_carries_both_signatures_in_the_overlap(pair: tuple[World, World]) -> None:
    one, _ = pair
    released = one.ask(one.item_ask("JPN", "absent"))
    rotated(one)
    with one.installation.database.reading() as connection:
        proof = receipt(connection, one.installation.ledger, "JPN", released.entry.event_id)
    assert len(signers(read_proof(proof.proof).checkpoint)) == 2
