"""What is stored, read as groups, tells an edit's effect on every item; in either database, at every moment ahead."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.policy import Bundle, read_bundle
from service.policy.columns import ForWhom, LabelColumns
from service.policy.holdings import Effect, Group, Released, effect
from service.sharing.copies import decide_item
from service.sharing.intake import Hold, ItemDraft
from service.store import Connection, catalogue
from service.store.holdings import items_of, read_holdings
from service.store.times import moment_of
from tests.support.columns_store import load, random_draft, random_label
from tests.support.store_bundles import COMMUNITIES, OPEN, bundle_files
from tests.support.store_world import World

OLD = bundle_files()
NEW = bundle_files(
    [
        OPEN,
        "p, AGR-0002, allow, release, JPN, *, SECRET, MARITIME OPEN, RELIDO, *, 2020-01-01, 2027-02-01, Ends",
        "p, AGR-0003, allow, release, QUAD, *, CONFIDENTIAL, MARITIME OPEN, none, *, 2026-12-10, , Accession",
    ],
    communities=[*COMMUNITIES, "g, AUS, QUAD, 2027-01-15,"],
)
WHOM = (ForWhom("AUS"), ForWhom("IND"), ForWhom("IND", "EXERCISE-KEEN"), ForWhom("JPN"))
LEVELS = ["UNCLASSIFIED", "CONFIDENTIAL", "SECRET"]


@pytest.fixture
def filled(database_url: str, tmp_path: Path) -> World:
    """An installation with items of every kind."""
    world = World(tmp_path / "data", url=database_url)
    world.publish(OLD)
    chance = random.Random(23)
    labels = [random_label(chance) for _ in range(60)]
    dates = [datetime(2026, 12, 5, tzinfo=UTC), datetime(2027, 1, 20, tzinfo=UTC)]
    drafts = [random_draft(chance, f"item/{number}", labels, dates) for number in range(120)]
    ids = load(world, drafts)
    # Twins, whose label sets are told apart by nothing but how they go out.
    load(world, [ItemDraft(f"twin/{n}", "", not one.whole, one.portions, one.compilation, None, "{}") for n, one in enumerate(drafts[:30])])
    world.clock.advance(hours=1)
    load(world, [random_draft(chance, f"item/{number}", labels, dates) for number in range(10)], update=True)
    held = random_draft(chance, "item/held", labels, dates)
    load(world, [ItemDraft("item/held", "", held.whole, held.portions, None, Hold("unmarked", "for the tests"), "{}")])
    for item_id in ids[20:25]:
        world.withdraw(item_id)
    world.clock.advance(hours=1)
    return world


def by_item(connection: Connection, world: World, old: Bundle, new: Bundle, at: int) -> dict[ForWhom, dict[str, set[str] | int]]:
    """What each gains and loses, item by item, portion by portion, by the very function that renders copies go by."""
    labels = world.installation.world.labels
    ids = catalogue.items_after(connection, "", limit=10_000)
    found: dict[ForWhom, dict[str, set[str] | int]] = {}
    for item_id, version in catalogue.versions_at(connection, ids, at=at).items():
        for whom in WHOM:
            before, after = (
                {
                    portion.portion.id
                    for portion in decide_item(
                        version, labels, bundle.snapshot(moment_of(at)), partner=whom.partner, purpose=whom.purpose
                    ).released
                }
                for bundle in (old, new)
            )
            counted = found.setdefault(whom, {"gained": set(), "lost": set(), "changed": set(), "portions_gained": 0, "portions_lost": 0})
            kind = "gained" if after and not before else "lost" if before and not after else "changed" if before != after else None
            if kind is not None:
                counted[kind].add(item_id)  # type: ignore[union-attr]
            counted["portions_gained"] += len(after - before)  # type: ignore[operator]
            counted["portions_lost"] += len(before - after)  # type: ignore[operator]
    return found


def by_groups(connection: Connection, found: Effect, at: int) -> dict[ForWhom, dict[str, set[str] | int]]:
    counted = {}
    for change in found.changes:
        parts = [set(items_of(connection, groups, at=at, limit=10_000)) for groups in found.groups(change)]
        assert [len(part) for part in parts] == [sum(change.items_gained), sum(change.items_lost), sum(change.items_changed)]
        counted[ForWhom(change.partner, change.purpose)] = {
            **dict(zip(("gained", "lost", "changed"), parts, strict=True)),
            "portions_gained": sum(change.portions_gained),
            "portions_lost": sum(change.portions_lost),
        }
    return counted


def test_the_effect_is_what_every_copy_says_at_every_moment_ahead(filled: World) -> None:
    now = filled.clock.micros
    old, new = read_bundle(OLD), read_bundle(NEW)
    with filled.installation.database.reading() as connection:
        filled.installation.world.current(connection)
        labels = filled.installation.world.labels
        ids = sorted(labels)
        columns = LabelColumns(labels[label_id] for label_id in ids)
        holdings = read_holdings(connection, ids, at=now)
        seen = set()
        digests = []
        for days in (0, 13, 20, 55, 60, 90):
            at = now + int(timedelta(days=days).total_seconds()) * 1_000_000
            before, after = old.snapshot(moment_of(at)), new.snapshot(moment_of(at))
            known = Released.of(before, columns, WHOM)
            found = effect(holdings.at(at), known, known.after(before, after, columns), columns=columns, ladder=LEVELS)
            expected = {whom: one for whom, one in by_item(connection, filled, old, new, at).items() if any(one.values())}
            assert by_groups(connection, found, now) == expected
            seen |= {kind for one in expected.values() for kind, items in one.items() if items}
            digests.append(found.digest())
        assert seen == {"gained", "lost", "changed", "portions_gained", "portions_lost"}
        assert len(set(digests)) > 2
    filled.close()


def test_items_of_groups_come_in_pages(filled: World) -> None:
    now = filled.clock.micros
    with filled.installation.database.reading() as connection:
        filled.installation.world.current(connection)
        holdings = read_holdings(connection, sorted(filled.installation.world.labels), at=now)
        groups = holdings.at(now).groups
        every = items_of(connection, groups, at=now, limit=10_000)
        assert every == catalogue.items_after(connection, "", limit=10_000)
        paged: list[str] = []
        while page := items_of(connection, groups, at=now, after=paged[-1] if paged else "", limit=7):
            assert len(page) <= 7
            paged += page
        assert paged == every
        assert items_of(connection, (), at=now, limit=10) == []
        assert items_of(connection, [Group(10**9, False, now, now + 1)], at=now, limit=10) == []
    filled.close()


def test_an_act_that_changes_who_has_what_changes_the_digest_and_another_does_not(filled: World) -> None:
    now = filled.clock.micros
    old, new = read_bundle(OLD).snapshot(filled.clock()), read_bundle(NEW).snapshot(filled.clock())

    def digest() -> bytes:
        with filled.installation.database.reading() as connection:
            filled.installation.world.current(connection)
            labels = filled.installation.world.labels
            ids = sorted(labels)
            columns = LabelColumns(labels[label_id] for label_id in ids)
            held = read_holdings(connection, ids, at=filled.clock.micros).at(filled.clock.micros)
            found = effect(held, Released.of(old, columns, WHOM), Released.of(new, columns, WHOM), columns=columns, ladder=LEVELS)
            gained = next(groups[1] for change in found.changes if (groups := found.groups(change))[1])
            lost.extend(items_of(connection, gained, at=filled.clock.micros, limit=1))
        return found.digest()

    lost: list[str] = []
    first = digest()
    assert first == digest()
    filled.clock.advance(hours=1)
    assert now < filled.clock.micros
    # Nobody gains or loses what is withheld from all before and after.
    load(filled, [random_draft(random.Random(1), "hidden", [random_label(random.Random(1)).__class__("SECRET", originators=("USA",))],
                               [filled.clock()])])  # fmt: skip
    assert digest() == first
    filled.withdraw(lost[0])
    assert digest() != first
    filled.close()
