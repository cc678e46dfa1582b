"""What an act writes for everybody at once is what deciding label by label, lane by lane and snapshot by snapshot says."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.policy import read_bundle
from service.sharing.visibility import continued, entitlement, entitlements_ahead, offers, rebuild, snapshots_ahead
from service.store import catalogue, visibility
from service.store.tables import FOREVER
from service.store.times import micros
from service.store.visibility import Lane, Stretch
from tests.support.big_bundle import NOW, big_bundle, big_labels, partners_of
from tests.support.columns_store import load, random_draft, random_label
from tests.support.store_bundles import COMMUNITIES, JPN_SECRET, OPEN, bundle_files
from tests.support.store_world import World, copied

DATED = [
    OPEN,
    "p, AGR-0002, allow, release, JPN, *, SECRET, CYBER MARITIME, RELIDO, *, 2020-01-01, 2027-02-01, Ends",
    "p, AGR-0003, allow, release, QUAD, *, CONFIDENTIAL, MARITIME OPEN, none, *, 2026-12-10, 2027-03-01, Goes on in part",
    "p, AGR-0004, allow, release, IND, EXERCISE-KEEN, SECRET, MARITIME, none, *, 2026-12-01, 2027-01-01, Exercise",
]
EDITS = {
    "plain": bundle_files(),
    "dated": bundle_files(DATED),
    "forbidding": bundle_files(
        DATED,
        prohibitions=["p, PRO-0001, deny, release, ALL, *, CONFIDENTIAL, CYBER, *, *, 2026-12-15, 2027-06-01, Order"],
        communities=[*COMMUNITIES, "g, AUS, QUAD, 2027-01-15,"],
    ),
    "narrow": bundle_files([OPEN, JPN_SECRET]),
}


@pytest.mark.parametrize(("seed", "size"), [(1, 3), (2, 64), (3, 65), (4, 65), (5, 130), (6, 130)])
def test_all_at_once_is_what_each_is_on_its_own(seed: int, size: int) -> None:
    """Over dated bundles, with partners suspended, whatever was written before."""
    chance = random.Random(seed)
    bundle = read_bundle(big_bundle(80, 8, categories=5, seed=seed))
    suspended = frozenset(chance.sample(partners_of(8), chance.choice((0, 0, 1))))
    labels = list(big_labels(size, 8, categories=5, seed=seed))
    lanes = [Lane(number, partner, chance.choice(("none", "EXERCISE-KEEN"))) for number, partner in enumerate(partners_of(8), start=1)]
    at = micros(NOW)
    ahead = snapshots_ahead(bundle, suspended, at=at)
    assert len(ahead) > 1
    seen = set()
    for lane, every in entitlements_ahead(labels, lanes, ahead):
        assert len(every) == len(labels)
        for label, stretches in zip(labels, every, strict=True):
            assert stretches == entitlement(label, lane, ahead, at=at, before=())
            before = chance.choice([(), (Stretch(5, at),), (Stretch(5, at - 1),), (Stretch(1, 3), Stretch(7, FOREVER))])
            assert continued(stretches, at=at, before=before) == entitlement(label, lane, ahead, at=at, before=before)
            seen.add(len(stretches))
    assert lanes == [lane for lane, _ in entitlements_ahead(labels, lanes, ahead)]
    if size > 64:
        assert seen >= {0, 1}


@pytest.mark.parametrize("size", [2, 100])
def test_of_no_time_ahead_there_is_nothing_to_write(size: int) -> None:
    labels = list(big_labels(size, 8, categories=5))
    assert list(entitlements_ahead(labels, [Lane(1, partners_of(8)[0], "none")], ())) == [(Lane(1, partners_of(8)[0], "none"), [()] * size)]


@pytest.fixture(scope="module")
def many_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 150 items under some 200 labels. Not to be opened: copy it."""
    folder = tmp_path_factory.mktemp("upkeep") / "data"
    world = World(folder)
    world.publish(EDITS["plain"])
    world.client("IND", purposes=["EXERCISE-KEEN"])
    chance = random.Random(11)
    labels = [random_label(chance) for _ in range(250)]
    dates = [datetime(2026, 12, 5, tzinfo=UTC), datetime(2027, 1, 20, tzinfo=UTC)]
    load(world, [random_draft(chance, f"item/{number}", labels, dates) for number in range(150)])
    world.close()
    return folder


def act_of(world: World) -> int:
    """The time of the last act."""
    with world.installation.database.reading() as connection:
        return world.installation.world.current(connection).at


def entitlements_by_definition(world: World, before: dict[tuple[int, int], list[Stretch]]) -> dict[tuple[int, int], list[Stretch]]:
    """What must be written at an act, each row on its own, ended ones left out."""
    at = act_of(world)
    with world.installation.database.reading() as connection:
        state = world.installation.world.current(connection)
        labels = world.installation.world.labels
        lanes = visibility.lanes(connection)
    ahead = snapshots_ahead(state.bundle, state.suspended, at=at)
    found = {
        (lane.id, label_id): list(entitlement(label, lane, ahead, at=at, before=before.get((lane.id, label_id), ())))
        for lane in lanes
        for label_id, label in labels.items()
    }
    return {key: stretches for key, stretches in found.items() if stretches}


def entitlements_in(world: World) -> dict[tuple[int, int], list[Stretch]]:
    with world.installation.database.reading() as connection:
        world.installation.world.current(connection)
        found = visibility.entitlements(connection, world.installation.world.labels.keys())
    at = act_of(world)
    ahead = {key: [one for one in stretches if one.until > at] for key, stretches in found.items()}
    return {key: stretches for key, stretches in ahead.items() if stretches}


def offers_by_definition(world: World, entitled: dict[tuple[int, int], list[Stretch]]) -> list[tuple[int, str, int, int, int, int]]:
    at = act_of(world)
    with world.installation.database.reading() as connection:
        state = world.installation.world.current(connection)
        labels = world.installation.world.labels
        items = catalogue.item_timelines(connection, visibility.items_with_labels(connection, labels.keys(), at=at), at=at)
        lanes = visibility.lanes(connection)
    return sorted(
        (lane.id, item.item_id, max(one.from_at, at), one.until, one.visible_since, one.level)
        for lane in lanes
        for item in items
        for one in offers(item, {label: own for (to, label), own in entitled.items() if to == lane.id}, labels, state.bundle.scheme, at=at)
    )


def offers_in(world: World) -> list[tuple[int, str, int, int, int, int]]:
    at = act_of(world)
    with world.installation.database.reading() as connection:
        return sorted((lane, item, max(from_at, at), *rest) for lane, item, from_at, *rest in visibility.all_offers(connection, at=at))


def test_after_each_act_the_rows_are_those_that_the_definition_has(many_labels: Path, tmp_path: Path) -> None:
    world = World(copied(many_labels, tmp_path / "data"))
    entitlements_in(world)
    assert len(world.installation.world.labels) > 100
    acts = [
        lambda: world.publish(EDITS["dated"]),
        lambda: world.suspend("JPN"),
        lambda: world.publish(EDITS["forbidding"]),
        lambda: world.resume("JPN"),
        lambda: world.publish(EDITS["narrow"]),
        lambda: world.publish(EDITS["plain"]),
    ]
    for act in acts:
        before = entitlements_in(world)
        world.clock.advance(days=9)
        act()
        entitled = entitlements_in(world)
        assert entitled == entitlements_by_definition(world, before)
        assert offers_in(world) == offers_by_definition(world, entitled)
    with world.installation.database.acting() as connection:
        at = act_of(world)
        rebuild(connection, history=world.installation.world.history(connection), labels=world.installation.world.labels, at=at)
    # A label that was interned later is released since then, or since ever: what follows for items is the same.
    assert offers_in(world) == offers_by_definition(world, entitled)
    world.close()


def test_a_publication_leaves_the_rows_alone_of_those_to_whom_it_changes_nothing(many_labels: Path, tmp_path: Path) -> None:
    """Neither of another partner, nor of the same one's items under other labels."""
    world = World(copied(many_labels, tmp_path / "data"))

    def rows() -> dict[tuple[int, str], list[tuple[int, ...]]]:
        with world.installation.database.reading() as connection:
            found: dict[tuple[int, str], list[tuple[int, ...]]] = {}
            for lane, item, *rest in visibility.all_offers(connection, at=0):
                found.setdefault((lane, item), []).append(tuple(rest))
            return found

    with world.installation.database.reading() as connection:
        jpn = visibility.lane_id(connection, "JPN", "none")
    before = rows()
    world.clock.advance(hours=1)
    world.publish(bundle_files(prohibitions=["p, PRO-0001, deny, release, JPN, *, SECRET, CYBER, *, *, , , Order"]))
    after = rows()
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed
    assert {lane for lane, _ in changed} == {jpn}
    assert len(changed) < len([key for key in before if key[0] == jpn])
    world.close()
