"""What a proof costs: an edited row over all possible labels, statements that never fail, rules that decide nothing.

The peer in the same run is what a proof does without: deciding labels one by one, of which an answer "equal" would need every one there is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import count
from statistics import median
from typing import TypeVar

from service.labels.label import Label
from service.policy import Bundle, read_bundle
from service.policy.meaning import forget
from service.policy.prove import difference, never_findings
from service.policy.redundancy import exercised, redundancy
from tests.support.big_bundle import EVERYONE, NOW, big_bundle, big_labels, partners_of

PARTNERS = 60
CATEGORIES = 24
PEERS = 200
NEVER = b"NEV-0001, ALL-PARTNERS, *, TOP SECRET, INTEL-SOURCES, NODIS, *\nNEV-0002, ALL-PARTNERS, release, SECRET, *, NODIS, *\n"
T = TypeVar("T")


def run(*, rounds: int) -> None:
    """Measure and print."""
    for rules in (440, 11_000):
        files = big_bundle(rules, PARTNERS, CATEGORIES)
        old = _read(files)
        stretches = 1 + sum(1 for moment in old.boundaries if moment > NOW)
        print(f"prove: {rules} rules, {PARTNERS} partners, {CATEGORIES} categories, 5 levels, 3 purposes, {stretches} stretches of time")
        _edit(f"{partners_of(PARTNERS)[3]}'s", old, _read(_edited(files, partners_of(PARTNERS)[3])), rounds)
        _edit("everybody's", old, _read(_edited(files, EVERYONE)), rounds if rules < 1_000 else 1)
        if rules < 1_000:
            _questions(old, _read({**files, "never.csv": files["never.csv"] + NEVER}))


def _edit(whose: str, old: Bundle, new: Bundle, rounds: int) -> None:
    first, again, peer, told = [], [], [], 0
    seeds = count(7)
    for _ in range(rounds):
        # As when nothing has been asked about either bundle, and as when something has.
        forget()
        spent, _found = _timed(lambda: difference(old, new, at=NOW))
        first.append(spent)
        spent, found = _timed(lambda: difference(old, new, at=NOW))
        again.append(spent)
        told = sum(1 for _change in found.changes())
        labels = list(big_labels(PEERS, PARTNERS, CATEGORIES, seed=next(seeds)))
        spent, _decided = _timed(lambda labels=labels: _one_by_one(old, new, labels))  # type: ignore[misc]
        peer.append(spent / PEERS)
    print(
        f"  {whose} row edited: proof {median(first) * 1e3:.1f} ms at first, {median(again) * 1e3:.1f} ms again, {told} changes told; "
        f"ratio to the peer {median(again) / median(peer):,.0f} (so many labels decided one by one, today, for one partner)"
    )


def _one_by_one(old: Bundle, new: Bundle, labels: list[Label]) -> None:
    was, becomes = old.snapshot(NOW), new.snapshot(NOW)
    partner = partners_of(PARTNERS)[3]
    for label in labels:
        was.decide(partner, "release", label)
        becomes.decide(partner, "release", label)


def _questions(bundle: Bundle, stated: Bundle) -> None:
    spent, refuted = _timed(lambda: never_findings(stated, NOW))
    print(f"  two statements for everybody: {spent * 1e3:.0f} ms, {len(refuted)} refuted")
    spent, idle = _timed(lambda: redundancy(bundle, NOW))
    print(f"  rules that decide nothing: {spent * 1e3:.0f} ms, {len(idle)} found")
    labels = list(big_labels(5_000, PARTNERS, CATEGORIES))
    spent, ids = _timed(lambda: exercised(bundle, labels, NOW))
    print(f"  rules exercised by 5,000 labels: {spent * 1e3:.0f} ms, {len(ids)} of {len(bundle.rules)}")


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    begun = time.perf_counter()
    done = work()
    return time.perf_counter() - begun, done


def _read(files: Mapping[str, bytes]) -> Bundle:
    """A bundle with its snapshots built, as they are of the bundle in force and of one that has been checked."""
    bundle = read_bundle(files)
    for moment in (NOW, *bundle.boundaries):
        if moment >= NOW:
            bundle.snapshot(moment)
    return bundle


def _edited(files: Mapping[str, bytes], grantee: str) -> dict[str, bytes]:
    """The files with the ceiling of an agreement of a grantee raised."""
    lines = files["agreements.csv"].decode().split("\n")
    for place, line in enumerate(lines):
        cells = line.split(", ")
        if len(cells) > 6 and (cells[3], cells[4]) == ("release", grantee) and cells[6] in ("CONFIDENTIAL", "SECRET"):
            lines[place] = ", ".join((*cells[:6], "TOP SECRET", *cells[7:]))
            return {**files, "agreements.csv": "\n".join(lines).encode()}
    raise LookupError(f"no agreement of {grantee} to edit")
