"""No request compiles a snapshot at its boundary: the next one is made ready before, beside the work."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from service.policy import read_bundle
from service.sharing.policies import SNAPSHOT_AHEAD, SNAPSHOT_THREAD, PolicyState
from tests.support.store_bundles import OPEN, bundle_files

BOUNDARY = datetime(2027, 1, 1, tzinfo=UTC)
DATED = "p, AGR-0002, allow, release, JPN, *, SECRET, MARITIME, none, *, 2027-01-01, 2028-01-01, Exchange of notes"


def state() -> PolicyState:
    return PolicyState(1, 1, 0, read_bundle(bundle_files([OPEN, DATED])), frozenset())


def made_ready() -> None:
    for thread in threading.enumerate():
        if thread.name == SNAPSHOT_THREAD:
            thread.join()


def test_the_snapshot_after_the_boundary_is_there_before_it() -> None:
    known = state()
    assert known.snapshot(BOUNDARY - timedelta(seconds=1)).until == BOUNDARY
    made_ready()
    assert len(known.bundle._kept.snapshots) == 2
    ready = set(map(id, known.bundle._kept.snapshots.values()))
    # What decides from the boundary on is the one made ready, with what begins there in force.
    after = known.snapshot(BOUNDARY)
    assert id(after) in ready
    assert (after.since, after.until) == (BOUNDARY, datetime(2028, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("before", [SNAPSHOT_AHEAD + timedelta(microseconds=1), timedelta(days=40)])
def test_what_is_far_ahead_is_left_for_later(before: timedelta) -> None:
    known = state()
    known.snapshot(BOUNDARY - before)
    made_ready()
    assert len(known.bundle._kept.snapshots) == 1


def test_it_is_begun_once_however_often_is_asked() -> None:
    known = state()
    for seconds in range(100, 0, -1):
        known.snapshot(BOUNDARY - timedelta(seconds=seconds))
    assert known._begun == [BOUNDARY]
    made_ready()


def test_after_the_last_boundary_there_is_none_to_make() -> None:
    known = state()
    known.snapshot(datetime(2028, 6, 1, tzinfo=UTC))
    made_ready()
    assert (known._begun, len(known.bundle._kept.snapshots)) == ([], 1)
