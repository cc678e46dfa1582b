"""What a worker keeps of what is stored is what is stored: after every act, in every worker, on every date, or it is read anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from service.policy import Bundle, read_bundle
from service.sharing.examination import Examiner
from service.sharing.publishing import Pending
from service.sharing.stored import Readings
from service.store import catalogue
from tests.support.store_bundles import IND_CONFIDENTIAL, IND_EXERCISE, JPN_SECRET, OPEN, bundle_files
from tests.support.store_world import OFFICER, World, item, title
from tests.support.two_officers import second_officer

TO_AUS = "p, AGR-0010, allow, release, AUS, *, SECRET, *, none, *, , , Letter"
WIDER = bundle_files([OPEN, JPN_SECRET, IND_CONFIDENTIAL, IND_EXERCISE, TO_AUS])
LATER = "2026-12-01"


def _examiner(world: World, readings: Readings) -> Examiner:
    installation = world.installation
    return Examiner(
        database=installation.database, world=installation.world, read_bundle=read_bundle, compare_seconds=0.01, readings=readings
    )


def _body(world: World, readings: Readings, bundle: Bundle) -> bytes:
    """What approval is bound to."""
    weighed = _examiner(world, readings).weigh(bundle, at=world.clock())
    assert weighed.timeline is not None
    return weighed.timeline.body


def _store(world: World) -> None:
    world.load(item("more", title("more", "(S//REL TO USA, AUS)")))


def _sea(world: World) -> str:
    with world.installation.database.reading() as connection:
        record = catalogue.item_by_ref(connection, "sea")
    assert record is not None
    return record.id


def _relabel(world: World) -> None:
    world.relabel(_sea(world), "(S//REL TO USA, JPN)")


def _withdraw(world: World) -> None:
    world.withdraw(_sea(world))


def _wait_a_day(world: World) -> None:
    world.clock.advance(days=1)


def _wait_for_a_date(world: World) -> None:
    world.clock.advance(days=30)


@pytest.mark.parametrize(
    ("happens", "reads", "differs"),
    [
        pytest.param(_store, True, True, id="an-item-is-stored"),
        pytest.param(_relabel, True, True, id="one-is-relabelled"),
        pytest.param(_withdraw, True, True, id="one-is-withdrawn"),
        pytest.param(_wait_a_day, False, False, id="a-day-passes-on-which-nothing-begins"),
        pytest.param(_wait_for_a_date, True, True, id="a-date-comes-on-which-something-does"),
    ],
)
def test_it_is_kept_as_long_as_it_is_what_a_new_reading_says(
    world: World, happens: Callable[[World], None], reads: bool, differs: bool
) -> None:
    world.load(
        item("sea", title("sea", "(S//REL TO USA, AUS, JPN)")),
        item("later", title("later", "(S//REL TO USA, AUS)", not_before={"*": LATER})),
    )
    readings, bundle = Readings(), read_bundle(WIDER)
    before = _body(world, readings, bundle)
    kept = readings._read
    assert _body(world, readings, bundle) == before
    assert readings._read is kept
    happens(world)
    now = _body(world, readings, bundle)
    assert (readings._read is not kept) is reads
    assert now == _body(world, Readings(), bundle)
    assert (now != before) is differs


def test_what_another_worker_did_is_read(world: World, tmp_path: Path) -> None:
    world.load(item("sea", title("sea", "(S//REL TO USA, AUS, JPN)")))
    other = World(world.installation.settings.data, clock=world.clock)
    other.know_clients()
    readings, bundle = Readings(), read_bundle(WIDER)
    before = _body(world, readings, bundle)
    _store(other)
    now = _body(world, readings, bundle)
    assert now != before
    assert now == _body(other, Readings(), bundle)
    other.close()


def test_an_approval_reads_nothing_again_where_nothing_happened(world: World) -> None:
    world.load(item("sea", title("sea", "(S//REL TO USA, AUS, JPN)")))
    done = world.installation.publishing.publish(WIDER, OFFICER)
    assert isinstance(done, Pending)
    kept = world.installation.readings._read
    second = second_officer(world.installation)
    world.installation.publishing.approve(done.digest, second, timeline=done.proposal.timeline)
    assert world.installation.readings._read is kept
