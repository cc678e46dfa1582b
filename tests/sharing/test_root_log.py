"""Roots come by the clock alone, hold every log's head as it was, prove each partner its own, and are derived again to the last slot."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from service.errors import NotVisible
from service.releaselog.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from service.releaselog.heads import slot_hashes, verify_root_proof
from service.releaselog.leaf import canonical, parse_canonical, parse_leaf, seal
from service.releaselog.merkle import Frontier, leaf_hash, root
from service.releaselog.notes import Signer, read_note
from service.sharing.rootlog import RootClock, opening, root_proof
from service.sharing.rotation import rotate
from service.sharing.verification import verify_all
from service.store import logs
from tests.support.store_bundles import bundle_files
from tests.support.store_world import OFFICER, Clock, World


@pytest.fixture
def pair(tmp_path: Path, database_url: str) -> Iterator[tuple[World, World]]:
    """Two workers over one data folder."""
    clock = Clock()
    one = World(tmp_path / "data", url=database_url, clock=clock)
    one.publish(bundle_files())
    for partner in ("IND", "JPN"):
        one.client(partner)
    other = World(tmp_path / "data", url=database_url, clock=clock)
    other.clients.update(one.clients)
    yield one, other
    one.close()
    other.close()


def append(world: World, *, seconds: float = 60) -> int:
    """A root, a minute later; its index."""
    world.clock.advance(seconds=seconds)
    assert world.installation.rootlog.due()
    entry = world.installation.rootlog.append()
    assert entry is not None
    return entry.index


def problem(world: World) -> str | None:
    found = verify_all(world.installation).problem
    return None if found is None else f"{found.log} {found.index} {found.code}: {found.message}"


def verified(world: World, log: str) -> tuple[int, int]:
    """(size proven, index of the root) from a partner's proof, by keys alone."""
    with world.installation.database.reading() as connection:
        proof, head = root_proof(connection, world.installation.ledger, log)
        own = logs.head(connection, log)
    assert own is not None
    ledger = world.installation.ledger
    proven = verify_root_proof(
        proof, vkey=ledger.vkey(own.origin), origin=own.origin, root_vkey=ledger.vkey(head.origin), root_origin=head.origin
    )
    return proven.head.size, proven.index


def test_a_root_holds_every_head_as_it_was_and_opens_later(pair: tuple[World, World]) -> None:
    one, other = pair
    first = append(one)
    one.item("JPN", "absent")
    second = append(other)
    with one.installation.database.reading() as connection:
        before, after = opening(connection, first), opening(connection, second)
        heads = {head.slot: head for head in logs.heads(connection)}
    assert len(after.heads) == len(heads) - 1, "all logs but the root log itself"
    changed = {heads[slot].name for slot in after.heads if after.heads[slot] != before.heads.get(slot)}
    assert changed == {"JPN"}
    for slot, note in after.heads.items():
        assert note == heads[slot].checkpoint
    assert root(slot_hashes(after.secret, after.heads)) == after.heads_root == parse_leaf(after.leaf).heads_root
    assert root(slot_hashes(before.secret, before.heads)) == before.heads_root
    assert before.secret != after.secret
    assert problem(one) is None and problem(other) is None


def test_each_partner_proves_its_own_head_by_keys_alone(pair: tuple[World, World]) -> None:
    one, _ = pair
    one.item("JPN", "absent")
    append(one)
    one.item("JPN", "absent")
    assert (verified(one, "JPN"), verified(one, "IND")) == ((1, 0), (0, 0))
    append(one)
    assert verified(one, "JPN") == (2, 1)
    with one.installation.database.reading() as connection:
        for name in ("root", "XXX"):
            with pytest.raises(NotVisible):
                root_proof(connection, one.installation.ledger, name)


def test_before_the_first_root_there_is_no_proof(pair: tuple[World, World]) -> None:
    one, _ = pair
    with one.installation.database.reading() as connection, pytest.raises(NotVisible):
        root_proof(connection, one.installation.ledger, "JPN")
    assert problem(one) is None


def test_roots_come_by_the_clock_whatever_happens(pair: tuple[World, World]) -> None:
    one, other = pair
    append(one)
    for _ in range(3):
        one.item("JPN", "absent")
    assert not one.installation.rootlog.due() and not other.installation.rootlog.due()
    one.clock.advance(seconds=59.9)
    assert not one.installation.rootlog.due()
    one.clock.advance(seconds=0.1)
    assert other.installation.rootlog.due()
    # Nothing happens for an hour: a root a minute all the same, of the same form and length.
    before = append(one, seconds=0)
    for _ in range(3):
        append(other)
    with one.installation.database.reading() as connection:
        sizes = {len(opening(connection, index).leaf) for index in range(before, before + 4)}
    assert len(sizes) == 1


def test_of_two_workers_at_once_one_makes_the_root(pair: tuple[World, World]) -> None:
    one, other = pair
    append(one)
    one.clock.advance(seconds=60)
    made: list[object] = []
    together = threading.Barrier(2)

    def tick(world: World) -> None:
        together.wait()
        made.append(world.installation.rootlog.append())

    threads = [threading.Thread(target=tick, args=(world,)) for world in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with one.installation.database.reading() as connection:
        head = logs.head(connection, "root")
    assert head is not None
    # Where one was done before the other had begun to read, both may stand; the order of heads holds in any case.
    assert head.size == 1 + sum(entry is not None for entry in made) and head.size >= 2
    assert problem(other) is None


def test_an_orderly_stop_leaves_nothing_without_a_root(pair: tuple[World, World]) -> None:
    one, _ = pair
    append(one)
    one.item("JPN", "absent")
    said: list[str] = []
    clock = RootClock(one.installation.rootlog, interval_seconds=60, after=lambda: said.append("after"))
    clock.start()
    clock.stop()
    clock.stop()
    assert verified(one, "JPN") == (1, 1) and said == ["after"]


def test_a_rotation_between_two_roots_holds(pair: tuple[World, World]) -> None:
    one, other = pair
    one.item("JPN", "absent")
    append(one)
    installation = other.installation
    folder = installation.settings.data / "keys"
    rotate(installation.acts, installation.ledger, folder, OFFICER, overlap=timedelta(days=30))
    append(one)
    one.clock.advance(days=31)
    one.item("IND", "absent")
    append(other)
    assert verified(one, "JPN") == (1, 2) and problem(one) is None


# --- tampering ----------------------------------------------------------------------------------------------------------


def execute(world: World, sql: str, **values: object) -> None:
    with world.installation.database.acting() as connection:
        done = connection.execute(text(sql), values)
        assert done.rowcount > 0, "nothing was tampered with"


def log_id(world: World, name: str) -> int:
    with world.installation.database.reading() as connection:
        head = logs.head(connection, name)
    assert head is not None
    return head.id


def another_head(world: World) -> None:
    """A head that JPN never had, under the real key: a fork, shown to the root log alone."""
    with world.installation.database.reading() as connection:
        head = logs.head(connection, "JPN")
    assert head is not None
    key = (world.installation.settings.data / "keys" / "log.key").read_bytes()
    forged = sign_checkpoint(Checkpoint(head.origin, head.size, leaf_hash(b"another history")), Signer(head.origin, key))
    execute(world, "UPDATE root_head SET note = :note WHERE log_id = :log AND position = 1", note=forged, log=head.id)


def unsigned_head(world: World) -> None:
    execute(
        world, "UPDATE root_head SET note = REPLACE(note, :old, :new) WHERE log_id = :log AND position = 1",
        log=log_id(world, "JPN"), old="\n2\n", new="\n1\n",
    )  # fmt: skip


def earlier_head(world: World) -> None:
    """The head of the root before, in place of the one of the second."""
    log = log_id(world, "JPN")
    note = "(SELECT note FROM root_head WHERE log_id = :log AND position = 0)"
    execute(world, f"UPDATE root_head SET note = {note} WHERE log_id = :log AND position = 1", log=log)


def smaller_head(world: World) -> None:
    log = log_id(world, "JPN")
    note = "(SELECT note FROM root_head WHERE log_id = :log AND position = 0)"
    execute(world, f"UPDATE root_head SET note = {note} WHERE log_id = :log AND position = 2", log=log)


def resealed(change: Callable[[dict[str, object]], None]) -> Callable[[World], None]:
    """Another record of the second root, with leaf, seal, tree and head made anew by whoever holds the key."""

    def tamper(world: World) -> None:
        with world.installation.database.reading() as connection:
            head = logs.head(connection, "root")
            assert head is not None
            rows = list(logs.entries(connection, head.id))
        row = rows[1]
        record = parse_canonical(row.record)
        assert isinstance(record, dict)
        change(record["details"])
        sealed = canonical(record)
        face = json.loads(row.leaf) | {"seal": seal(row.nonce, sealed).hex()}
        leaf = canonical(face)
        rewrite(world, 1, leaf, sealed)

    return tamper


def rewrite(world: World, position: int, leaf: bytes, record: bytes) -> None:
    """Exchange an entry of the root log and sign the whole history again with the real key."""
    with world.installation.database.reading() as connection:
        head = logs.head(connection, "root")
        assert head is not None
        hashes = [row.leaf_hash for row in logs.entries(connection, head.id)]
    hashes[position] = leaf_hash(leaf)
    execute(
        world, "UPDATE log_entry SET leaf = :leaf, leaf_hash = :hash, record = :record WHERE log_id = :log AND position = :position",
        leaf=leaf, hash=hashes[position], record=record, log=head.id, position=position,
    )  # fmt: skip
    signer = Signer(head.origin, (world.installation.settings.data / "keys" / "log.key").read_bytes())
    for size in range(1, len(hashes) + 1):
        frontier = Frontier.empty().extend(hashes[:size])
        note = sign_checkpoint(Checkpoint(head.origin, size, frontier.root()), signer)
        execute(world, "UPDATE log_checkpoint SET note = :note WHERE log_id = :log AND size = :size", note=note, log=head.id, size=size)
    execute(
        world, "UPDATE log SET frontier = :frontier, root = :root, checkpoint = :note WHERE id = :log",
        frontier=frontier.to_bytes(), root=frontier.root(), note=note, log=head.id,
    )  # fmt: skip


def other_heads_root(world: World) -> None:
    with world.installation.database.reading() as connection:
        row = list(logs.entries(connection, log_id_in(world)))[1]
    leaf = canonical(json.loads(row.leaf) | {"heads_root": bytes(32).hex()})
    rewrite(world, 1, leaf, row.record)


def log_id_in(world: World) -> int:
    return log_id(world, "root")


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        pytest.param(another_head, "root 1 root: expected a head that log `JPN` had", id="a head that the log never had"),
        pytest.param(unsigned_head, "root 1 root: expected the head of log `JPN` signed", id="a head that nobody signed"),
        pytest.param(earlier_head, "root 1 root: expected heads root", id="an earlier head"),
        pytest.param(smaller_head, "root 2 root: expected log `JPN` with at least 2 entries", id="a log that shrank"),
        pytest.param(
            lambda world: execute(world, "DELETE FROM root_head WHERE log_id = :log AND position = 0", log=log_id(world, "IND")),
            "root 0 root: expected `heads`", id="a log taken out",
        ),
        pytest.param(
            lambda world: execute(
                world, "INSERT INTO root_head SELECT :log, 1, note FROM root_head WHERE log_id = :of AND position = 0",
                log=log_id(world, "root"), of=log_id(world, "IND"),
            ),
            "root 1 root: expected heads of logs that there are", id="the root log under itself",
        ),
        pytest.param(
            lambda world: execute(
                world, "UPDATE root_head SET position = 9 WHERE log_id = :log AND position = 2", log=log_id(world, "JPN")
            ),
            "root 2 root: expected heads root", id="a head kept for a root that is none",
        ),
        pytest.param(
            lambda world: execute(world, "UPDATE log SET slot = 1023 - slot WHERE name = 'JPN'"), "root 0 root", id="another slot"
        ),
        pytest.param(resealed(lambda details: details.update(secret="00" * 32)), "root 1 root: expected heads root", id="another secret"),
        pytest.param(resealed(lambda details: details.pop("secret")), "root 1 root: expected a secret", id="no secret"),
        pytest.param(resealed(lambda details: details.update(heads=1)), "root 1 root: expected `heads`", id="another number of heads"),
        pytest.param(resealed(lambda details: details.update(slots=512)), "root 1 root: expected `slots`", id="fewer slots"),
        pytest.param(other_heads_root, "root 1 root: expected heads root", id="another root in the leaf"),
        pytest.param(
            lambda world: execute(
                world, "UPDATE log_entry SET leaf = :leaf WHERE log_id = :log AND position = 1", leaf=b"{}", log=log_id_in(world)
            ),
            "root 1 leaf-hash", id="the leaf itself",
        ),
    ],
)  # fmt: skip
def test_tampering_with_a_root_or_what_opens_it_is_named(tampered: World, tamper: Callable[[World], None], said: str) -> None:
    tamper(tampered)
    found = problem(tampered)
    assert found is not None and found.startswith(said), found


@pytest.fixture(scope="module")
def three_roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three roots, a release before each. To be copied."""
    folder = tmp_path_factory.mktemp("roots") / "data"
    world = World(folder)
    world.publish(bundle_files())
    for _ in range(3):
        world.item("JPN", "absent")
        append(world)
    assert problem(world) is None
    world.close()
    return folder


@pytest.fixture
def tampered(three_roots: Path, tmp_path: Path) -> Iterator[World]:
    world = World(Path(shutil.copytree(three_roots, tmp_path / "data")))
    yield world
    world.close()


def test_a_log_with_entries_that_is_under_no_root_is_named(tampered: World) -> None:
    """Left out of every root from the first: for whoever holds the key, the only way to hide a log from the root log."""
    with tampered.installation.database.reading() as connection:
        head = logs.head(connection, "root")
        assert head is not None
        rows = list(logs.entries(connection, head.id))
        opened = [opening(connection, index) for index in range(3)]
        slot = next(one.slot for one in logs.heads(connection) if one.name == "JPN")
    execute(tampered, "DELETE FROM root_head WHERE log_id = :log", log=log_id(tampered, "JPN"))
    for row, one in zip(rows, opened, strict=True):
        heads = {place: note for place, note in one.heads.items() if place != slot}
        record = parse_canonical(row.record)
        assert isinstance(record, dict)
        record["details"]["heads"] = len(heads)
        sealed = canonical(record)
        face = json.loads(row.leaf) | {"seal": seal(row.nonce, sealed).hex(), "heads_root": root(slot_hashes(one.secret, heads)).hex()}
        rewrite(tampered, row.position, canonical(face), sealed)
    found = problem(tampered)
    assert found is not None and "found none of log `JPN`" in found


def test_the_root_log_s_checkpoint_of_every_root_is_kept(tampered: World) -> None:
    with tampered.installation.database.reading() as connection:
        kept = logs.kept_checkpoints(connection, log_id_in(tampered))
    assert [read_checkpoint(read_note(note)[0]).size for _, note in kept] == [1, 2, 3]
