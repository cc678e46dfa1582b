"""Pruning: what may go, by whom, what stays of it; and that every proof, given before or made after, is as good as it was."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from service.errors import Broken, Conflict, Rejected, SecondOfficer
from service.releaselog.checkpoint import read_checkpoint
from service.releaselog.merkle import TILE_WIDTH, consistency_proof, inclusion_proof, leaf_hash, verify_consistency, verify_inclusion
from service.releaselog.notes import read_note
from service.releaselog.reviews import Mark
from service.sharing import erasure, holds, pruning, reviews
from service.sharing.acts import Actor, officers_draft
from service.sharing.holds import Conditions
from service.sharing.ledger import OFFICERS
from service.sharing.personal import ERASED
from service.sharing.pruning import Pending, Pruned
from service.sharing.rotation import rotate
from service.sharing.verification import verify_all
from service.store import logs, policies, prunes
from service.store.times import micros
from tests.support.faults import MACHINE_HERE
from tests.support.old_logs import auditors, fill
from tests.support.store_bundles import bundle_files
from tests.support.store_world import OFFICER, Clock, World

OLD = datetime(2025, 1, 1, tzinfo=UTC)
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
JPN = "(SELECT id FROM log WHERE name = 'JPN')"
TILES = 5
"""Whole tiles of the log of JPN, one a month of 2025; the rest of it is of this year."""


def _times(month: int, entries: int = TILE_WIDTH) -> list[int]:
    """Times in a month of 2025, from 1 on, 32 entries at each."""
    start = micros(datetime(2025, month, 1, tzinfo=UTC))
    return [start + number // 32 * 3_600_000_000 for number in range(entries)]


@dataclass(slots=True)
class Old:
    """An installation with logs that are old, two auditors, and the events of the entries."""

    world: World
    one: Actor
    other: Actor
    events: dict[str, list[str]] = field(default_factory=dict)

    def propose(self, *, before: datetime = BEFORE, log: str | None = None) -> Pending:
        return pruning.propose(self.world.installation, self.one, before=before, log=log, reason="the retention policy")

    def approve(self, pending: Pending) -> Pruned:
        return pruning.approve(self.world.installation, pending.proposal.id, self.other, timeline=pending.proposal.timeline)

    def prune(self, *, before: datetime = BEFORE, log: str | None = None) -> Pruned:
        return self.approve(self.propose(before=before, log=log))

    def hold(self, **conditions: object) -> int:
        wanted = Conditions(**conditions)  # type: ignore[arg-type]
        return holds.add(self.world.installation.acts, self.one, wanted, reason="an inquiry").hold.id

    def plan(self, *, before: datetime = BEFORE, log: str | None = None) -> pruning.Plan:
        return pruning.foreseen(self.world.installation, before=before, log=log)

    def ranges(self, **asked: object) -> list[tuple[str, int, int]]:
        """What could go, in tiles."""
        return [(one.log, one.start // TILE_WIDTH, one.stop // TILE_WIDTH) for one in self.plan(**asked).ranges]  # type: ignore[arg-type]

    def positions(self, log: str) -> set[int]:
        """The entries of a log that are there."""
        with self.world.installation.database.reading() as connection:
            head = logs.head(connection, log)
            assert head is not None
            return set(connection.execute(text("SELECT position FROM log_entry WHERE log_id = :log"), {"log": head.id}).scalars())

    def write(self, statement: str) -> None:
        """Behind the service's back."""
        with self.world.installation.database.acting() as connection:
            connection.execute(text(statement))

    def problem(self) -> tuple[str, int | None, str] | None:
        found = verify_all(self.world.installation).problem
        return None if found is None else (found.log, found.index, found.code)


def _old(world: World, tiles: int = TILES) -> Old:
    world.publish(bundle_files())
    made = Old(world, *auditors(world.installation))
    times = [moment for month in range(1, tiles + 1) for moment in _times(month)]
    young = [world.clock.micros] * 10
    made.events["JPN"] = fill(world.installation, "JPN", [*times, *young])
    return made


@pytest.fixture
def old(database_url: str, tmp_path: Path) -> Iterator[Old]:
    world = World(tmp_path / "data", url=database_url, retention_days=300)
    yield _old(world)
    world.close()


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Old]:
    world = World(tmp_path / "data", retention_days=300)
    yield _old(world)
    world.close()


# --- what goes and what stays ---------------------------------------------------------------------------------------


def test_whole_old_tiles_go_and_the_log_says_so(old: Old) -> None:
    old.world.installation.acts.index()
    old.hold(log="IND")
    pending = old.propose()
    assert [(one.log, one.start, one.stop) for one in pending.plan.ranges] == [("JPN", 0, TILES * TILE_WIDTH)]
    assert old.positions("JPN") == set(range(TILES * TILE_WIDTH + 10)), "a proposal does nothing"
    done = old.approve(pending)
    assert old.positions("JPN") == set(range(TILES * TILE_WIDTH, TILES * TILE_WIDTH + 10))
    with old.world.installation.database.reading() as connection:
        leaf = next(logs.of_types(connection, "officers", (pruning.PRUNE_TYPE,)))
        before, after = (logs.entry_at(connection, "officers", leaf.position + step) for step in (-1, 1))
        assert connection.execute(text("SELECT COUNT(*) FROM personal WHERE kind = 'q'")).scalar_one() == 2, "of the young ones"
        for name in ("log_item", "log_fact", "personal"):
            assert connection.execute(text(f"SELECT COUNT(*) FROM {name} WHERE position < 1280 AND log_id = "
                                           "(SELECT id FROM log WHERE name = 'JPN')")).scalar_one() == 0, name  # fmt: skip
        (span,) = prunes.spans(connection)
        assert prunes.place_of(connection, old.events["JPN"][300]) == ("JPN", 300)
        assert prunes.place_of(connection, old.events["JPN"][-1]) is prunes.place_of(connection, "no-such-event") is None
    assert (span.log, span.start, span.stop, span.event_id) == ("JPN", 0, 1280, done.entry.event_id)
    assert (leaf.event_id, leaf.client) == (done.entry.event_id, old.other.client)
    assert before is not None and (before.type, before.client) == ("log.approve", old.other.client)
    assert after is None
    assert old.problem() is None
    assert old.ranges() == []


def test_the_newest_tile_the_young_ones_and_the_root_log_stay(old: Old) -> None:
    times = _times(3)
    fill(old.world.installation, "IND", times)  # a whole tile, and the newest
    fill(old.world.installation, "AUS", [*_times(1), *_times(2, 255), micros(BEFORE), *_times_of(2026, 1)])
    assert old.ranges() == [("AUS", 0, 1), ("JPN", 0, 5)], "one young entry keeps a tile"
    assert old.ranges(before=datetime(2025, 3, 1, tzinfo=UTC)) == [("AUS", 0, 1), ("JPN", 0, 2)]
    assert old.ranges(log="IND") == []
    with pytest.raises(Conflict, match="no log `root` that can be pruned"):
        old.ranges(log="root")
    with pytest.raises(Conflict, match="nothing could be pruned"):
        old.propose(log="IND")


def _times_of(year: int, month: int) -> list[int]:
    return [micros(datetime(year, month, 2, tzinfo=UTC))] * 2


@pytest.mark.parametrize(
    ("conditions", "kept"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"log": "JPN"}, [0, 1, 2, 3, 4]),
        ({"log": "officers"}, []),
        ({"item": "i-3"}, [0, 1, 2, 3, 4]),
        ({"item": "i-9999"}, []),
        ({"since": datetime(2025, 3, 1, tzinfo=UTC), "until": datetime(2025, 3, 1, 0, 1, tzinfo=UTC)}, [2]),
        ({"since": datetime(2025, 3, 1, 7, tzinfo=UTC)}, [2, 3, 4]),
        ({"since": datetime(2025, 3, 1, 7, 0, 1, tzinfo=UTC)}, [3, 4]),
        ({"until": datetime(2025, 2, 1, tzinfo=UTC)}, [0]),
        ({"log": "JPN", "item": "i-96", "until": datetime(2025, 1, 1, 4, tzinfo=UTC)}, [0]),
        ({"log": "JPN", "item": "i-96", "until": datetime(2025, 1, 1, 3, tzinfo=UTC)}, []),
    ],
)
def test_a_hold_that_touches_one_entry_keeps_its_tile(lite: Old, conditions: dict[str, object], kept: list[int]) -> None:
    number = lite.hold(**conditions)
    free = [tile for _, start, stop in lite.ranges() for tile in range(start, stop)]
    assert free == [tile for tile in range(TILES) if tile not in kept]
    assert [(one.why, one.tiles) for one in lite.plan().keeps] == ([(f"hold {number}", len(kept))] if kept else [])
    holds.release(lite.world.installation.acts, lite.other, number, reason="it is over")
    assert lite.ranges() == [("JPN", 0, TILES)]


def test_an_entry_that_somebody_asked_about_stays_until_that_is_closed(lite: Old) -> None:
    acts, event = lite.world.installation.acts, lite.events["JPN"][300]
    reviews.mark(acts, lite.one, event, Mark.REVIEWED, note="seen")
    assert lite.ranges() == [("JPN", 0, TILES)]
    reviews.mark(acts, lite.one, event, Mark.QUESTIONED, note="why?")
    assert lite.ranges() == [("JPN", 0, 1), ("JPN", 2, TILES)]
    assert [(one.why, one.tiles) for one in lite.plan().keeps] == [("review", 1)]
    reviews.mark(acts, lite.other, event, Mark.CLOSED, note="it was in order")
    lite.prune()
    assert lite.problem() is None, "a review may be of an entry that was pruned"


def test_of_officers_only_tiles_wholly_of_looks_go(lite: Old) -> None:
    world = lite.world
    start = max(lite.positions("officers"))
    with world.installation.database.acting() as connection:
        act = policies.fence(connection).act
        drafts = [officers_draft("look.labels", OFFICER, [], {}, act=act) for _ in range(3 * TILE_WIDTH - start)]
        heads = world.installation.ledger.lock(connection, ["officers"])
        world.installation.ledger.append(connection, heads, drafts, at=heads["officers"].at)
    assert start < TILE_WIDTH, "acts are in the first tile"
    before = world.clock.now = datetime(2027, 12, 1, tzinfo=UTC)
    plan = lite.plan(before=before - timedelta(days=301), log="officers")
    assert [(one.start, one.stop) for one in plan.ranges] == [(256, 768)]
    assert [(one.why, one.tiles) for one in plan.keeps] == [("acts", 1)]
    pending = lite.propose(before=before - timedelta(days=301), log="officers")
    lite.approve(pending)
    assert lite.problem() is None


# --- who may --------------------------------------------------------------------------------------------------------


def test_one_person_prunes_nothing(lite: Old) -> None:
    pending = lite.propose()
    before = lite.world.everything()
    with pytest.raises(SecondOfficer, match="proposed this and cannot approve it, expected another auditor"):
        pruning.approve(lite.world.installation, pending.proposal.id, lite.one)
    with pytest.raises(SecondOfficer, match="no client of role `auditor`"):
        pruning.approve(lite.world.installation, pending.proposal.id, OFFICER)
    with pytest.raises(SecondOfficer, match="no client of role `auditor`"):
        pruning.approve(lite.world.installation, pending.proposal.id, Actor(lite.world.client("JPN").id, "/v1"))
    with pytest.raises(Conflict, match="the timeline proposed is"):
        pruning.approve(lite.world.installation, pending.proposal.id, lite.other, timeline="00" * 32)
    after = lite.world.everything()
    assert {name for name in before if before[name] != after[name]} <= {"client", "fence", "log", "log_entry", "lane"}
    assert lite.positions("JPN") == set(range(TILES * TILE_WIDTH + 10))
    pruning.withdraw(lite.world.installation, pending.proposal.id, lite.other, reason="not now")
    with pytest.raises(Conflict, match="it is withdrawn"):
        lite.approve(pending)


def test_why_it_was_proposed_is_shown_until_it_is_erased_and_it_is_still_approved(lite: Old) -> None:
    installation = lite.world.installation
    first = lite.propose()
    pruning.withdraw(installation, first.proposal.id, lite.other, reason="not now")
    second = lite.propose()

    def shown() -> list[tuple[str, str | None]]:
        with installation.database.reading() as connection:
            told = pruning.proposals_json(connection, pruning.proposed(connection, after=0, limit=5))
        return [(line["reason"], line.get("ended", {}).get("reason")) for line in told]

    assert shown() == [("the retention policy", "not now"), ("the retention policy", None)]
    with installation.database.reading() as connection:
        assert all(b"the retention policy" not in row.record for row in logs.of_type(connection, OFFICERS, "log.propose"))
        (withdrawn,) = logs.of_type(connection, OFFICERS, "log.withdraw")
    for event_id in (second.entry.event_id, withdrawn.event_id):
        asked = erasure.propose(installation, lite.one, event_id, reason="a person asked")
        erasure.approve(installation, asked.proposal.id, lite.other)
    assert shown() == [("the retention policy", ERASED), (ERASED, None)]
    assert lite.approve(second).plan.entries > 0
    assert verify_all(installation).ok


def test_a_proposal_is_void_when_something_else_would_go(lite: Old) -> None:
    pending = lite.propose()
    lite.hold(since=datetime(2025, 3, 1, tzinfo=UTC), until=datetime(2025, 3, 2, tzinfo=UTC))
    with pytest.raises(Conflict, match="something else would go") as refused:
        lite.approve(pending)
    assert refused.value.code == "timeline-changed"
    assert lite.positions("JPN") == set(range(TILES * TILE_WIDTH + 10))
    with pytest.raises(Conflict, match="it is void"):
        lite.approve(pending)
    lite.prune()
    assert lite.positions("JPN") == {*range(512, 768), *range(1280, 1290)}
    assert lite.problem() is None


def test_nothing_goes_that_the_retention_policy_keeps(tmp_path: Path) -> None:
    world = World(tmp_path / "data")
    one, _ = auditors(world.installation)
    with pytest.raises(Rejected, match="no retention policy is set"):
        pruning.propose(world.installation, one, before=OLD, log=None, reason="r")
    world.close()
    world = World(tmp_path / "data", retention_days=30)
    for before, allowed in ((world.clock.now - timedelta(days=30), True), (world.clock.now - timedelta(days=29), False)):
        if allowed:
            assert pruning.foreseen(world.installation, before=before, log=None).ranges == ()
            continue
        with pytest.raises(Rejected, match="younger than 30 days"):
            pruning.foreseen(world.installation, before=before, log=None)
    world.close()


def test_an_act_takes_so_many_tiles_and_the_rest_is_proposed_again(lite: Old) -> None:
    with lite.world.installation.database.reading() as connection:
        plan = pruning._plan(connection, before=micros(BEFORE), log=None, tiles_max=2)
    assert ([(one.start, one.stop) for one in plan.ranges], plan.more) == ([(0, 512)], True)
    lite.prune(before=datetime(2025, 3, 1, tzinfo=UTC))
    with lite.world.installation.database.reading() as connection:
        rest = pruning._plan(connection, before=micros(BEFORE), log=None, tiles_max=3)
    assert ([(one.start, one.stop) for one in rest.ranges], rest.more) == ([(512, 1280)], False)


def test_what_was_tampered_with_is_not_pruned(lite: Old) -> None:
    pending = lite.propose()
    lite.write("UPDATE log_entry SET record = CAST(replace(CAST(record AS TEXT), 'AGR-0001', 'AGR-0002') AS BLOB) WHERE position = 700")
    with pytest.raises(Broken, match="entry 700 of log `JPN` does not hold, so that nothing is pruned"):
        lite.approve(pending)
    assert lite.positions("JPN") == set(range(TILES * TILE_WIDTH + 10))


def test_a_tile_that_is_not_whole_is_not_pruned(lite: Old) -> None:
    pending = lite.propose()
    lite.write("DELETE FROM log_item WHERE position = 700")
    lite.write("DELETE FROM log_entry WHERE position = 700")
    with pytest.raises(Broken, match="tile 2 of log `JPN` is not whole, so that nothing is pruned"):
        lite.approve(pending)
    assert lite.positions("JPN") == set(range(TILES * TILE_WIDTH + 10)) - {700}


def test_an_entry_rewritten_with_its_hash_is_not_pruned(lite: Old) -> None:
    """Each by itself fits; the root over them does not, and with the tile gone nobody could see it any more."""
    pending = lite.propose()
    with lite.world.installation.database.acting() as connection:
        head = logs.head(connection, "JPN")
        row = logs.entry_at(connection, "JPN", 700)
        assert head is not None and row is not None
        leaf = row.leaf.replace(b'"client":"c_', b'"client":"d_')
        assert leaf != row.leaf
        hashes = b"".join(logs.read_tile(connection, head.id, 0, 2, TILE_WIDTH))
        place = (700 % TILE_WIDTH) * 32
        values = {"leaf": leaf, "hash": leaf_hash(leaf), "log": head.id, "tile": hashes[:place] + leaf_hash(leaf) + hashes[place + 32 :]}
        connection.execute(text("UPDATE log_entry SET leaf = :leaf, leaf_hash = :hash WHERE log_id = :log AND position = 700"), values)
        connection.execute(text("UPDATE log_tile SET hashes = :tile WHERE log_id = :log AND level = 0 AND position = 2"), values)
    with pytest.raises(Broken, match="tile 2 of log `JPN` is not whole, so that nothing is pruned"):
        lite.approve(pending)
    assert lite.positions("JPN") == set(range(TILES * TILE_WIDTH + 10))


def test_the_bytes_are_gone_from_the_database_s_files(lite: Old) -> None:
    data = lite.world.installation.settings.data
    event = lite.events["JPN"][300]
    with lite.world.installation.database.reading() as connection:
        row = logs.entry(connection, event)
    assert row is not None

    def found(needle: bytes) -> bool:
        return any(needle in path.read_bytes() for path in data.glob("entente.db*"))

    assert found(row.nonce) and found(event.encode())
    lite.prune()
    assert not found(row.nonce) and not found(row.leaf) and not found(event.encode())


# --- proofs ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Outside:
    """What people outside hold: leaf hashes with their place, and checkpoints."""

    leaves: dict[tuple[str, int], bytes] = field(default_factory=dict)
    checkpoints: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)

    def take(self, old: Old, chosen: random.Random) -> None:
        """Take a copy of the heads, and of some leaf hashes."""
        with old.world.installation.database.reading() as connection:
            for head in logs.heads(connection):
                if not head.size:
                    continue
                checkpoint = read_checkpoint(read_note(head.checkpoint)[0])
                self.checkpoints.setdefault(head.name, []).append((checkpoint.size, checkpoint.root))
                rows = list(logs.entries(connection, head.id))
                for row in chosen.sample(rows, min(20, len(rows))):
                    self.leaves[head.name, row.position] = row.leaf_hash

    def check(self, old: Old) -> None:
        """All of it against the heads as they are now."""
        with old.world.installation.database.reading() as connection:
            heads = {head.name: head for head in logs.heads(connection)}
            for (name, index), hashed in self.leaves.items():
                head = heads[name]
                proof = inclusion_proof(index, head.size, _tiles(connection, head.id))
                verify_inclusion(leaf_hash=hashed, leaf_index=index, tree_size=head.size, proof=proof, root=head.root)
            for name, held in self.checkpoints.items():
                head = heads[name]
                for size, root in held:
                    proof = consistency_proof(size, head.size, _tiles(connection, head.id)) if size < head.size else ()
                    verify_consistency(old_size=size, new_size=head.size, old_root=root, new_root=head.root, proof=proof)


def _tiles(connection, log_id):  # type: ignore[no-untyped-def]
    return lambda level, index, width: logs.read_tile(connection, log_id, level, index, width)


@pytest.mark.parametrize("seed", [1, 2])
def test_after_any_holds_and_prunes_every_proof_holds_and_the_logs_verify(old: Old, seed: int) -> None:
    chosen, outside = random.Random(seed), Outside()
    installation = old.world.installation
    on: list[int] = []
    kept = everything = old.positions("JPN")
    for step in range(10):
        outside.take(old, chosen)
        what = chosen.choice(["hold", "release", "prune", "prune", "append"])
        if what == "hold":
            month = chosen.randrange(1, TILES + 1)
            since = datetime(2025, month, 1, chosen.randrange(8), tzinfo=UTC)
            wanted = {"since": since, "until": since + timedelta(hours=1)} | chosen.choice([{"item": f"i-{chosen.randrange(97)}"}, {}])
            on.append(old.hold(**wanted, log=chosen.choice(["JPN", None])))
        elif what == "release" and on:
            holds.release(installation.acts, old.other, on.pop(chosen.randrange(len(on))), reason="it is over")
        elif what == "prune":
            before = datetime(2025, chosen.randrange(2, 13), 1, tzinfo=UTC)
            if old.ranges(before=before):
                told = {place for one in old.prune(before=before).plan.ranges for place in range(one.start, one.stop)}
                assert told <= kept, "nothing goes twice"
                kept = kept - told
        elif what == "append":
            fill(installation, "JPN", [old.world.clock.micros] * chosen.randrange(1, 300), first=2000 * (step + 1))
            kept = kept | set(range(max(kept) + 1, max(old.positions("JPN")) + 1))
        assert old.positions("JPN") == kept
        outside.check(old)
        assert old.problem() is None
    assert everything - kept, "something was pruned"


def test_checkpoints_of_what_was_pruned_are_still_held_to_the_keys_of_their_time(tmp_path: Path) -> None:
    """A key is rotated in the middle of a tile, and the one before it retires in the middle of the next."""
    world = World(tmp_path / "data", retention_days=300, clock=Clock(OLD))
    world.publish(bundle_files())
    old, installation = Old(world, *auditors(world.installation)), world.installation
    hour = 3_600_000_000

    def fill_for(entries: int) -> None:
        """Entries in batches of 20, one an hour."""
        for start in range(0, entries, 20):
            world.clock.advance(hours=1)
            fill(installation, "JPN", [micros(world.clock.now)] * min(20, entries - start))

    fill_for(300)
    rotate(installation.acts, installation.ledger, installation.settings.data / "keys", MACHINE_HERE, overlap=timedelta(hours=18))
    fill_for(900)
    world.clock.now = datetime(2026, 11, 22, tzinfo=UTC)
    fill(installation, "JPN", [micros(world.clock.now)])
    assert old.problem() is None
    with installation.database.reading() as connection:
        (head,) = [one for one in logs.heads(connection) if one.name == "JPN"]
        signatures = {size: note.count("\u2014") for size, note in logs.kept_checkpoints(connection, head.id)}
        periods = installation.ledger.periods(head.origin)
    assert signatures == {260: 1, 520: 2, 780: 1, 1040: 1}
    assert [size for size in signatures if size % TILE_WIDTH] == list(signatures), "in the middle of tiles"
    assert periods[1].until < micros(OLD) + 60 * hour
    assert old.prune().plan.entries == 4 * TILE_WIDTH
    assert old.problem() is None
    old.write(f"UPDATE log_checkpoint SET note = (SELECT note FROM log_checkpoint c WHERE c.size = 260 AND c.log_id = {JPN}) "
              f"WHERE size = 520 AND log_id = {JPN}")  # fmt: skip
    assert old.problem() == ("JPN", 519, "checkpoint")
    world.close()


# --- tampering ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statements", "place"),
    [
        ([f"DELETE FROM {name} WHERE log_id = {JPN} AND position BETWEEN 512 AND 767" for name in ("log_item", "log_entry")],
         ("JPN", 512, "position")),
        ([*(f"DELETE FROM {name} WHERE log_id = {JPN} AND position BETWEEN 512 AND 767" for name in ("log_item", "log_entry")),
          "INSERT INTO pruned (log_id, tile, leaf, first_at, last_at, act, root, events) SELECT log_id, 2, leaf, first_at, last_at, act, "
          "root, events FROM pruned WHERE tile = 1"], ("JPN", 512, "pruned")),
        (["DELETE FROM pruned WHERE tile = 1"], ("JPN", 256, "pruned")),
        (["UPDATE pruned SET tile = 2 WHERE tile = 1"], ("JPN", 256, "pruned")),
        (["UPDATE pruned SET last_at = last_at + 1 WHERE tile = 1"], ("JPN", 0, "pruned")),
        (["UPDATE pruned SET events = root WHERE tile = 0"], ("JPN", 0, "pruned")),
        (["UPDATE pruned SET leaf = leaf - 1 WHERE tile = 0"], ("JPN", 0, "pruned")),
        (["UPDATE log_tile SET hashes = (SELECT hashes FROM log_tile t WHERE level = 0 AND t.position = 0 AND t.log_id = log_tile.log_id) "
          f"WHERE level = 0 AND position = 1 AND log_id = {JPN}"], ("JPN", 256, "pruned")),
        ([f"DELETE FROM log_tile WHERE level = 0 AND position = 1 AND log_id = {JPN}"], ("JPN", 256, "pruned")),
        ([f"INSERT INTO log_item (item_id, at, log_id, position, version) VALUES ('i', 1, {JPN}, 300, 0)"], ("JPN", 300, "stray")),
        ([f"UPDATE log_entry SET position = 300 WHERE log_id = {JPN} AND position = 1285"], ("JPN", 1285, "position")),
    ],
)  # fmt: skip
def test_what_is_changed_about_pruned_entries_is_found_by_name(
    old: Old, statements: Sequence[str], place: tuple[str, int | None, str]
) -> None:
    old.prune(before=datetime(2025, 3, 1, tzinfo=UTC))
    assert old.problem() is None
    for statement in statements:
        old.write(statement)
    assert old.problem() == place
