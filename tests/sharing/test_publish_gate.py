"""The gate: whatever is wrong with a bundle, at whatever time it holds, is found before it counts, and leaves everything as it was."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from service.errors import Broken, Conflict
from service.identity.clients import Role
from service.policy import Bundle, EngineKind, PolicyRejected, Request, Verdict, build_engine, read_bundle
from service.policy.engine import Engine
from service.sharing.examination import Examiner
from service.sharing.publishing import Pending, Published
from service.store import logs, policies
from tests.support.store_bundles import COMMUNITIES, IND_CONFIDENTIAL, IND_EXERCISE, JPN_SECRET, OPEN, PARTNERS, SCHEME, bundle_files
from tests.support.store_world import INDEX_OF_LOGS, OFFICER, World, item, title

ROWS = (OPEN, JPN_SECRET, IND_CONFIDENTIAL, IND_EXERCISE)
FORBIDDING = bundle_files(prohibitions=["p, PRO-0001, deny, *, JPN, *, SECRET, *, *, *, , , Order"])
_CASE = "release, none, SECRET, MARITIME, USA JPN, , none, USA, none, none"


def never(*rows: str, **more: Any) -> dict[str, bytes]:
    files = bundle_files(**more)
    return {**files, "never.csv": files["never.csv"] + "".join(f"{row}\n" for row in rows).encode()}


NOT_TO_AUS = "NEV-0001, AUS, *, SECRET, *, *, *"
AUS_LATER = "p, AGR-0010, allow, release, AUS, *, SECRET, MARITIME, none, *, 2031-01-01, , Letter"
LIFTED = "p, PRO-0001, deny, *, AUS, *, SECRET, *, *, *, , 2031-01-01, Order"
ALWAYS = "p, AGR-0010, allow, release, AUS, *, SECRET, MARITIME, none, *, , , Letter"


@pytest.mark.parametrize(
    ("files", "code", "place", "told"),
    [
        pytest.param(
            bundle_files(cases=[f"C-01, 2031-06-01, JPN, {_CASE}, release, AGR-0002"],
                         prohibitions=["p, PRO-0001, deny, *, JPN, *, SECRET, *, *, *, 2031-01-01, , Order"]),
            "case", "cases.csv:2", "withhold by PRO-0001", id="a case of a day years ahead",
        ),
        pytest.param(never(NOT_TO_AUS, agreements=[*ROWS, ALWAYS]), "never", "never.csv:2", "released to AUS", id="never, today"),
        pytest.param(never(NOT_TO_AUS, agreements=[*ROWS, AUS_LATER]), "never", "never.csv:2", "2031-01-01", id="never, later"),
        pytest.param(
            never(NOT_TO_AUS, agreements=[*ROWS, ALWAYS], prohibitions=[LIFTED]), "never", "never.csv:2", "2031-01-01",
            id="never, once a prohibition ends",
        ),
        pytest.param(
            never("NEV-0001, JPN, release, SECRET, CYBER, *, *"), "never", "never.csv:2", "by AGR-0002", id="never, by which rule",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_on_any_day_refuses_with_its_place(
    world: World, files: Mapping[str, bytes], code: str, place: str, told: str
) -> None:
    before = world.everything()
    with pytest.raises(PolicyRejected) as refused:
        world.installation.publishing.publish(files, OFFICER)
    (finding,) = refused.value.findings
    assert finding.code == code
    assert str(finding).startswith(f"{place}:")
    assert told in str(finding)
    assert world.everything() == before


def test_never_holds_where_a_prohibition_does(world: World) -> None:
    standing = LIFTED.replace(", 2031-01-01,", ", ,")
    done = world.installation.publishing.publish(never(NOT_TO_AUS, agreements=[*ROWS, ALWAYS], prohibitions=[standing]), OFFICER)
    assert isinstance(done, Published)


def test_a_never_that_cannot_be_proved_refuses_like_one_that_fails(world: World) -> None:
    files = never(NOT_TO_AUS)
    named = b"r.partner in r.releasable_to"
    files["model.conf"] = files["model.conf"].replace(b'"active") &&', b'"active") && (' + named + b" || !(" + named + b")) &&")
    before = world.everything()
    with pytest.raises(PolicyRejected) as refused:
        world.installation.publishing.publish(files, OFFICER)
    assert {finding.code for finding in refused.value.findings} == {"cannot-prove"}
    assert world.everything() == before


@pytest.mark.parametrize(
    ("agreements", "lost", "kept", "told"),
    [
        pytest.param([OPEN, JPN_SECRET], '["EXERCISE-KEEN"]', "[]", "purpose `EXERCISE-KEEN` (1 clients)", id="a purpose"),
        pytest.param([OPEN], '["ORCON", "RELIDO"]', '["ORCON"]', "caveat `RELIDO` (1 labels)", id="a caveat"),
    ],
)
def test_names_that_are_in_use_are_kept(world: World, agreements: list[str], lost: str, kept: str, told: str) -> None:
    files = bundle_files(agreements, scheme=SCHEME.replace(lost, kept))
    world.store(item("marked", title("marked", "(S//REL TO USA, JPN/RELIDO)")))
    before = world.everything()
    with pytest.raises(Conflict, match="relabel first") as refused:
        world.installation.publishing.publish(files, OFFICER)
    assert refused.value.code == "stored-labels"
    assert told in str(refused.value)
    assert world.everything() == before


# --- the two engines --------------------------------------------------------------------------------------------------------


class Mistaken:
    """A compiled engine with a fault: it overlooks a rule."""

    uncompiled = None

    def __init__(self, engine: Engine, overlooks: str) -> None:
        self._engine = engine
        self._overlooks = overlooks

    def evaluate(self, request: Request) -> Verdict:
        said = self._engine.evaluate(request)
        if self._overlooks not in said.denied:
            return said
        denied = tuple(rule for rule in said.denied if rule != self._overlooks)
        return Verdict(bool(said.matched) and not denied, said.matched, denied)

    def explain(self, request: Request) -> Any:
        return self._engine.explain(request)

    def near_misses(self, request: Request) -> tuple[Any, ...]:
        return ()


def mistaken(overlooks: str) -> Callable[[Mapping[str, bytes]], Bundle]:
    """Reads bundles whose compiled engine overlooks a rule, and whose stock engine does not."""

    def build(kind: EngineKind, **of: Any) -> Any:
        engine = build_engine(kind, **of)
        return Mistaken(engine, overlooks) if kind is EngineKind.COMPILED else engine

    return lambda files: read_bundle(files, build=build)


def examiner(world: World, read: Callable[[Mapping[str, bytes]], Bundle], *, seconds: float, elapsed: Callable[[], float]) -> Examiner:
    one = world.installation
    return Examiner(database=one.database, world=one.world, read_bundle=read, compare_seconds=seconds, elapsed=elapsed)


@pytest.mark.parametrize("began", [", ,", "2031-01-01, ,"], ids=["in force", "years ahead"])
def test_an_engine_that_stock_casbin_contradicts_publishes_nothing(world: World, began: str) -> None:
    files = bundle_files(prohibitions=[f"p, PRO-0001, deny, *, JPN, *, SECRET, MARITIME, *, *, {began} Order"])
    still = itertools.repeat(0.0)
    examined = examiner(world, mistaken("PRO-0001"), seconds=1, elapsed=still.__next__)
    with pytest.raises(Broken, match="nothing was published") as broken:
        examined.check(examined.read(files), at=world.clock())
    assert "compiled engine and stock casbin differ: " in str(broken.value)
    assert "to `JPN`" in str(broken.value)
    right = examiner(world, read_bundle, seconds=1, elapsed=still.__next__)
    assert right.check(right.read(files), at=world.clock()).compared.asked > 100


def test_a_slow_machine_compares_less_and_never_nothing(world: World) -> None:
    late = itertools.count(0.0, 100.0)
    slow = examiner(world, read_bundle, seconds=1, elapsed=late.__next__)
    bundle = slow.read(FORBIDDING)
    few = slow.check(bundle, at=world.clock()).compared
    assert 20 <= few.asked <= 30
    assert slow.check(bundle, at=world.clock()).compared.seed != few.seed


def test_how_it_was_compared_is_on_record(world: World) -> None:
    done = world.installation.publishing.publish(FORBIDDING, OFFICER)
    assert isinstance(done, Published)
    with world.installation.database.reading() as connection:
        row = logs.entry(connection, done.entry.event_id)
    assert row is not None and b'"compared":{"questions":' in row.record and b'"seed":' in row.record


# --- looking without doing ----------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_publishing_would_and_does_nothing_but_record_the_look(world: World) -> None:
    world.store(item("sea", title("sea", "(S//REL TO USA, JPN)")))
    before = world.everything()
    examined = world.installation.publishing.examine(FORBIDDING, OFFICER)
    after = world.everything()
    assert {name for name in after if after[name] != before[name]} - INDEX_OF_LOGS == {"log", "log_entry"}
    assert len(after["log_entry"]) == len(before["log_entry"]) + 1
    done = world.installation.publishing.publish(FORBIDDING, OFFICER)
    assert isinstance(done, Published)
    assert done.weighed.timeline is not None and examined.weighed.timeline is not None
    assert done.weighed.timeline.digest == examined.weighed.timeline.digest


def test_a_dry_run_refuses_what_publishing_would(world: World) -> None:
    with pytest.raises(PolicyRejected):
        world.installation.publishing.examine(never(NOT_TO_AUS, agreements=[*ROWS, ALWAYS]), OFFICER)


def test_the_first_bundle_needs_nobody_and_has_no_timeline(tmp_path: Any) -> None:
    world = World(tmp_path / "data")
    try:
        done = world.installation.publishing.publish(bundle_files(), OFFICER)
        assert isinstance(done, Published) and done.weighed.timeline is None
        (only,) = world.installation.publishing.history().publications
        assert (only.client, only.approver, only.timeline) == (OFFICER.client, None, None)
        assert isinstance(world.installation.publishing.publish(bundle_files([*ROWS, ALWAYS]), OFFICER), Pending)
    finally:
        world.close()


def test_an_emergency_is_never_delayed_by_a_second_officer(world: World) -> None:
    """Narrowing is done by whoever sees that it must be, also while something wider waits."""
    waiting = world.installation.publishing.publish(bundle_files([*ROWS, ALWAYS]), OFFICER)
    assert isinstance(waiting, Pending)
    world.clock.now += timedelta(minutes=1)
    done = world.installation.publishing.publish(FORBIDDING, OFFICER)
    assert isinstance(done, Published)
    with world.installation.database.reading() as connection:
        assert policies.in_force(connection).digest == done.digest


def test_a_prefix_names_a_bundle_where_it_names_one_alone(world: World) -> None:
    publishing = world.installation.publishing
    uploaded = publishing.upload(FORBIDDING, OFFICER)
    assert set(publishing.archived(uploaded.digest[:8])) == set(FORBIDDING)
    for absent in (uploaded.digest[:7], uploaded.digest[:8] + "!", uploaded.digest.upper()[:20] + "x"):
        with pytest.raises(Conflict, match="no bundle"):
            publishing.archived(absent)


def test_a_partner_s_client_is_no_reason_to_keep_the_partner(world: World) -> None:
    """A partner may be left out; what his client asks is answered as to one to whom nothing is released."""
    world.installation.registry.add("another", Role.PARTNER, partner="AUS")
    rows = bundle_files(partners=PARTNERS[1:], communities=COMMUNITIES[1:])
    assert isinstance(world.installation.publishing.publish(rows, OFFICER), Published)
