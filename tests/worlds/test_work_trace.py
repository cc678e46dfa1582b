"""The work done for a partner is the same too (promise 4): the same statements, and at most eight rows apart.

See `tests.support.worlds_trace` for what is measured. Caches are cold at the first request of each drive (both installations have
just been opened) and warm later on, where the same is asked again.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.worlds import Base, World, make_base
from tests.support.worlds_drive import Drive
from tests.support.worlds_story import DIFFERENCES, MANY, NOTHING, Difference, tell
from tests.support.worlds_trace import ROWS_MAX, traced_pair_of

TRACED = {
    "item",
    "item-whole-for-one-part",
    "item-withdrawn-before-it-was-visible",
    "portion-of-file",
    "versions-in-quarantine",
    "partner-from-the-beginning",
    "prohibition-on-another",
}


@pytest.mark.parametrize("difference", [*(one for one in DIFFERENCES if one.name in TRACED), MANY], ids=str)
def test_no_more_work_is_done_where_it_is_there(difference: Difference, base: Base, tmp_path: Path) -> None:
    other = None if difference.bundle is None else make_base(tmp_path, difference.bundle(), keys_of=base)
    with traced_pair_of(base, tmp_path, other_base=other) as pair:
        tell(pair, difference)
        pair.restart()
        drive = Drive(pair, base, lambda asked: difference.between(pair.having, asked))
        drive.plain()
        drive.paging(few=True)
        drive.by_path(few=True, again=True)
        drive.plain()
    assert pair.work.requests > 200
    assert 0 < pair.work.rows <= ROWS_MAX


def test_an_act_about_what_is_withheld_costs_a_partner_what_any_act_costs(base: Base, tmp_path: Path) -> None:
    with traced_pair_of(base, tmp_path) as pair:
        tell(pair, NOTHING)
        for world in (pair.without, pair.having):
            _store_hidden(world, "hidden/both")
        pair.attach()
        drive = Drive(pair, base, lambda _: None)
        drive.plain()
        for number in range(8):
            pair.tick()
            pair.without.relabel("hidden/both", "(TS//NF)" if number % 2 else "(S//NF)")
            _store_hidden(pair.having, f"hidden/{number}")
            drive.by_path(few=True, again=True) if number == 0 else drive.paging(few=True) if number == 1 else drive.plain()
    assert pair.work.requests > 150


def _store_hidden(world: World, ref: str) -> None:
    text = {"kind": "text", "marking": "(S//NF)", "text": "Not for them."}
    world.store({"ref": ref, "marking": "SECRET//NOFORN", "categories": ["MARITIME"], "portions": [text]})
