"""Readers take no lock that a publication holds, and what is in force is there for them whatever else is looked at."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from service.labels.label import Label
from service.policy import Bundle, EngineKind, Outcome, Snapshot, build_engine, read_bundle, read_directory
from service.policy.bundle import SNAPSHOTS_KEPT_MAX
from service.policy.compiled import CompiledEngine
from service.policy.matcher import PARSING

FILES = read_directory(Path(__file__).parents[2] / "policies")
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def _read(files: dict[str, bytes]) -> Bundle:
    head = FILES["cases.csv"].split(b"\n")[0] + b"\n"
    return read_bundle(files | {"cases.csv": head})


def test_no_lock_that_a_publication_holds_is_taken_by_a_reader() -> None:
    """All that a publication may hold is held, by somebody who does not let go; whoever decides or explains does not notice."""
    bundle = _read(FILES)
    snapshot = bundle.snapshot(NOW)
    label = Label(level="SECRET", categories=("MARITIME",), releasable_to=("JPN", "USA"), originators=("USA",))
    answers: list[object] = []

    def ask() -> None:
        decide = snapshot.engine
        assert isinstance(decide, CompiledEngine)
        answers.append(bundle.snapshot(NOW))
        answers.append(snapshot.decide("JPN", "release", label).outcome)
        answers.append(snapshot.explain("GBR", "release", label).decision.outcome)
        request = ("JPN", "release", "none", "SECRET", ("MARITIME",), ("JPN",), ("JPN",), (), ("USA",), (), ())
        # Ways that are rarer: a value that raises on every row, one that is no set, too few values; each is answered, without a lock.
        answers.append(decide.evaluate((*request[:3], "BOGUS", *request[4:])).error)
        answers.append(decide.evaluate((*request[:4], ["MARITIME"], *request[5:])).allowed)  # type: ignore[arg-type]
        answers.append(decide.evaluate(request[:3]).error)

    with PARSING, _held(bundle, snapshot):
        asker = threading.Thread(target=ask, daemon=True)
        asker.start()
        asker.join(timeout=30)
        assert not asker.is_alive(), "a reader waits for a publication"
    assert answers[0] is snapshot
    assert answers[1:3] == [Outcome.RELEASE, Outcome.WITHHOLD]
    assert "unknown level `BOGUS`" in str(answers[3])
    assert answers[4] is True
    assert "invalid policy or request size" in str(answers[5])


@contextmanager
def _held(bundle: Bundle, snapshot: Snapshot) -> Iterator[None]:
    """Every lock there is about the snapshots of a bundle, on both sides."""
    at = snapshot.since or NOW
    key = (bundle._stretch(at), frozenset[str](), EngineKind.COMPILED)
    assert bundle.ahead._kept is not bundle._kept, "readers and those who look ahead share snapshots and locks"
    with ExitStack() as held:
        for side in (bundle, bundle.ahead):
            held.enter_context(side._kept.building(key))
            held.enter_context(side._kept._guard)
        yield


def test_what_is_in_force_stays_and_is_not_waited_for_however_many_dates_are_looked_at() -> None:
    """Whoever examines asks for more snapshots than are kept, again and again; readers are answered beside it, by the same snapshot."""
    dated = b"".join(
        b"p, XAA-%04d, allow, release, JPN, *, UNCLASSIFIED, AIR, none, *, 20%02d-%02d-01, , Letter\n" % (one, 27 + one // 12, 1 + one % 12)
        for one in range(SNAPSHOTS_KEPT_MAX + 16)
    )
    bundle = _read(FILES | {"agreements.csv": FILES["agreements.csv"] + dated})
    snapshot = bundle.snapshot(NOW)
    later = [moment for moment in bundle.boundaries if moment > NOW]
    assert len(later) > SNAPSHOTS_KEPT_MAX
    taken_over = bundle.ahead.snapshot(later[-1])
    # A date that came is not built again where somebody looked ahead to it.
    assert bundle.snapshot(later[-1]) is taken_over
    for moment in later:
        assert bundle.ahead.snapshot(moment).since == moment
        assert bundle.snapshot(NOW) is snapshot
    answers: list[object] = []
    with PARSING, _held(bundle, snapshot):
        asker = threading.Thread(target=lambda: answers.append(bundle.snapshot(NOW)), daemon=True)
        asker.start()
        asker.join(timeout=30)
        assert not asker.is_alive(), "a reader waits for a publication"
    assert answers == [snapshot]
    # Who is asked for goes last, also where readers ask about many days themselves.
    for moment in later:
        bundle.snapshot(moment)
        assert bundle.snapshot(NOW) is snapshot


def test_one_who_builds_another_date_is_not_waited_for() -> None:
    bundle = _read(FILES)
    later = next(moment for moment in bundle.boundaries if moment > NOW)
    answers: list[object] = []
    with bundle._kept.building((bundle._stretch(later), frozenset[str](), EngineKind.COMPILED)):
        asker = threading.Thread(target=lambda: answers.append(bundle.snapshot(NOW)), daemon=True)
        asker.start()
        asker.join(timeout=30)
        assert not asker.is_alive(), "a reader waits for another date"
    assert answers == [bundle.snapshot(NOW)]


def test_an_uncompiled_matcher_is_decided_without_a_lock_too() -> None:
    """Stock Casbin parses for every decision; on a compiled engine the parsing is done ahead, rules in rows included."""
    model = (
        FILES["model.conf"].decode().partition("m = ")[0]
        + 'm = g2(r.partner, "active") && p.eft == "allow" && r.level.upper() == p.level\n'
    )
    by_row = FILES["model.conf"].decode().partition("m = ")[0] + 'm = p.eft == "allow" && eval(p.basis)\n'
    rows = 'g2, JPN, active\np, RUL-0001, allow, release, JPN, *, SECRET, *, *, *, , , r.level == "SECRET"\n'
    engines = [build_engine(EngineKind.COMPILED, model=text, rows=rows, scheme=_read(FILES).scheme) for text in (model, by_row)]
    assert all(engine.uncompiled is not None for engine in engines)
    request = ("JPN", "release", "none", "SECRET", (), ("*",), ("*",), (), ("USA",), (), ())
    answers: list[bool] = []

    def ask() -> None:
        for engine in engines:
            answers.append(engine.evaluate(request).allowed)
            answers.append(engine.evaluate((*request[:3], "CONFIDENTIAL", *request[4:])).allowed)

    with PARSING:
        asker = threading.Thread(target=ask, daemon=True)
        asker.start()
        asker.join(timeout=30)
        assert not asker.is_alive(), "a reader parses"
    assert answers == [True, False, True, False]
