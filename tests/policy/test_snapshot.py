"""What a snapshot decides: outcomes with their reasons, nothing raised, nothing released by a doubt; over time and under threads."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import Rejected
from service.labels.label import Label
from service.labels.scheme import Scheme
from service.policy import (
    Decision,
    EngineKind,
    Explained,
    NearMiss,
    Outcome,
    Request,
    Snapshot,
    Verdict,
    load_bundle,
    read_bundle,
    read_directory,
)

POLICIES = Path(__file__).parents[2] / "policies"
FILES = read_directory(POLICIES)
BUNDLE = load_bundle(POLICIES)
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
SNAPSHOT = BUNDLE.snapshot(NOW)


def _label(level: str = "SECRET", categories: str = "MARITIME", to: str = "USA JPN", caveats: str = "", **more: Any) -> Label:
    return Label(
        level=level,
        categories=tuple(categories.split()),
        releasable_to=tuple(to.split()),
        caveats=tuple(caveats.split()),
        **({"originators": ("USA",)} | more),
    )


@pytest.mark.parametrize(
    ("partner", "action", "purpose", "label", "expected"),
    [
        pytest.param(
            "JPN", "release", "none", _label(), Decision(Outcome.RELEASE, ("AGR-0002",), ("AGR-0002",), ()), id="an-agreement-releases"
        ),
        pytest.param(
            "JPN",
            "release",
            "none",
            _label("CONFIDENTIAL"),
            Decision(Outcome.RELEASE, ("AGR-0002", "AGR-0012", "AGR-0014"), ("AGR-0002", "AGR-0012", "AGR-0014"), ()),
            id="every-agreement-that-matched-is-named",
        ),
        pytest.param(
            "JPN",
            "release",
            "none",
            _label(categories="INTEL-SOURCES"),
            Decision(Outcome.WITHHOLD, ("PRO-0001",), (), ("PRO-0001",)),
            id="a-prohibition-withholds",
        ),
        pytest.param(
            "SGP",
            "release",
            "none",
            _label("CONFIDENTIAL", to="USA SGP", originators=("FRA",), consents=("FRA:SGP",)),
            Decision(Outcome.WITHHOLD, ("PRO-0008",), ("AGR-0021",), ("PRO-0008",)),
            id="a-prohibition-beats-every-agreement",
        ),
        pytest.param("JPN", "release", "none", _label(to=""), Decision(Outcome.REFER, ("AGR-0004",)), id="what-an-officer-may-be-asked"),
        pytest.param(
            "JPN",
            "release",
            "none",
            _label(to="", grants=("release:JPN",)),
            Decision(Outcome.RELEASE, ("AGR-0004",), ("AGR-0004",), ()),
            id="a-grant-turns-a-refer-row-into-permission",
        ),
        pytest.param(
            "JPN",
            "release",
            "none",
            _label(categories="ECONOMIC", to="USA JPN", grants=("release:JPN",)),
            Decision(Outcome.WITHHOLD),
            id="a-grant-without-a-refer-row-is-nothing",
        ),
        pytest.param(
            "JPN",
            "release",
            "none",
            _label(to="", caveats="NODIS", grants=("release:JPN",)),
            Decision(Outcome.WITHHOLD, ("PRO-0002",), (), ("PRO-0002",)),
            id="a-grant-is-never-over-a-prohibition",
        ),
        pytest.param(
            "JPN",
            "release",
            "none",
            _label(to="", originators=("GBR",), grants=("release:JPN",)),
            Decision(Outcome.REFER, ("AGR-0004",)),
            id="a-grant-is-never-instead-of-a-consent",
        ),
        pytest.param("FRA", "release", "none", _label(to="USA FRA"), Decision(Outcome.WITHHOLD), id="display-is-not-release"),
        pytest.param(
            "FRA",
            "display",
            "none",
            _label(to="USA FRA"),
            Decision(Outcome.RELEASE, ("AGR-0024",), ("AGR-0024",), ()),
            id="what-may-be-shown",
        ),
        pytest.param("GBR", "release", "none", _label("TOP SECRET", to="USA"), Decision(Outcome.WITHHOLD), id="not-addressed"),
        pytest.param(
            "IND",
            "release",
            "EXERCISE-KEEN",
            _label(categories="EXERCISE", to="USA IND"),
            Decision(Outcome.RELEASE, ("AGR-0006",), ("AGR-0006",), ()),
            id="for-its-purpose",
        ),
        pytest.param("IND", "release", "none", _label(categories="EXERCISE", to="USA IND"), Decision(Outcome.WITHHOLD), id="not-otherwise"),
    ],
)
@pytest.mark.parametrize("engine", EngineKind)
def test_decides_with_its_reasons(engine: EngineKind, partner: str, action: str, purpose: str, label: Label, expected: Decision) -> None:
    assert BUNDLE.snapshot(NOW, engine=engine).decide(partner, action, label, purpose) == expected


@pytest.mark.parametrize(
    ("partner", "action", "purpose", "label", "named"),
    [
        ("XXX", "release", "none", _label(), "unknown partner `XXX`"),
        ("QUAD", "release", "none", _label(), "unknown partner `QUAD`"),
        ("USA", "release", "none", _label(), "unknown partner `USA`"),
        ("", "release", "none", _label(), "unknown partner ``"),
        ("JPN", "refer", "none", _label(), "unknown action `refer`"),
        ("JPN", "*", "none", _label(), "unknown action `*`"),
        ("JPN", "release", "HOLIDAY", _label(), "unknown purpose `HOLIDAY`"),
        ("JPN", "release", "none", _label("RESTRICTED"), "unknown level `RESTRICTED`"),
        ("JPN", "release", "none", _label("secret"), "unknown level `secret`"),
        ("JPN", "release", "none", _label(categories="MARITIM"), "unknown category `MARITIM`"),
        ("JPN", "release", "none", _label(categories="RELIDO"), "unknown category `RELIDO`"),
        ("JPN", "release", "none", _label(caveats="FISA"), "unknown caveat `FISA`"),
        ("JPN", "release", "none", _label(to="USA JPN ATLANTIS"), "unknown code `ATLANTIS`"),
        ("JPN", "release", "none", _label(display_to=("ATLANTIS",)), "unknown code `ATLANTIS`"),
        ("JPN", "release", "none", _label(originators=("ATLANTIS",)), "unknown originator `ATLANTIS`"),
        ("JPN", "release", "none", _label(consents=("GBR",)), "unknown consent `GBR`"),
        ("JPN", "release", "none", _label(grants=("copy:JPN",)), "unknown grant `copy:JPN`"),
        ("JPN", "release", "none", "SECRET//REL TO USA, JPN", "not a label"),
        ("JPN", "release", "none", ["a"], "not a request"),
        (None, "release", "none", _label(), "unknown partner `None`"),
    ],
)
def test_withholds_what_it_does_not_know_and_says_so(partner: Any, action: str, purpose: str, label: Any, named: str) -> None:
    decision = SNAPSHOT.decide(partner, action, label, purpose)
    assert (decision.outcome, decision.rules, decision.matched, decision.denied) == (Outcome.WITHHOLD, (), (), ())
    assert decision.error is not None
    assert named in decision.error
    assert SNAPSHOT.explain(partner, action, label, purpose).decision == decision


class _Engine:
    """An engine put in the place of the shipped one."""

    uncompiled = None

    def __init__(self, verdict: Verdict | Exception) -> None:
        self._verdict = verdict

    def evaluate(self, request: Request) -> Verdict:
        if isinstance(self._verdict, Exception):
            raise self._verdict
        return self._verdict

    def explain(self, request: Request) -> Explained:
        return self.evaluate(request), ()

    def near_misses(self, request: Request) -> tuple[NearMiss, ...]:
        return ()


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict(False, (), ()), Outcome.WITHHOLD),
        (Verdict(True, ("AGR-0001",), ()), Outcome.RELEASE),
        (Verdict(True, (), ()), Outcome.WITHHOLD),
        (Verdict(False, ("AGR-0001",), (), "poisoned"), Outcome.WITHHOLD),
        (RuntimeError("broken"), Outcome.WITHHOLD),
        (RecursionError("deep"), Outcome.WITHHOLD),
    ],
)
def test_follows_the_engine_and_releases_by_nothing_else(verdict: Verdict | Exception, expected: Outcome) -> None:
    def build(kind: EngineKind, *, model: str, rows: str, scheme: Scheme) -> _Engine:
        return _Engine(verdict)

    snapshot = read_bundle(FILES, build=build).snapshot(NOW)
    for partner in sorted(BUNDLE.scheme.partners):
        decision = snapshot.decide(partner, "release", _label())
        assert decision.outcome == expected
        assert (decision.error is None) == (
            isinstance(verdict, Verdict) and verdict.error is None and (not verdict.allowed or bool(verdict.matched))
        )


def test_explains_the_decision_with_all_rules_and_the_nearest_misses() -> None:
    explanation = SNAPSHOT.explain("JPN", "release", _label("TOP SECRET"))
    assert explanation.decision == Decision(Outcome.WITHHOLD)
    reasons = {miss.rule: miss.reason for miss in explanation.near_misses if not miss.condition.startswith("g(")}
    assert reasons["AGR-0002"] == "its ceiling is SECRET, the label is TOP SECRET; released if its ceiling were TOP SECRET"
    referred = SNAPSHOT.explain("JPN", "release", _label(to=""))
    assert referred.referable == ("AGR-0004",)
    assert "the label is addressed to none, not to JPN; released if the label were addressed to JPN" in {
        miss.reason for miss in referred.near_misses if miss.rule == "AGR-0002"
    }
    prohibited = SNAPSHOT.explain("IND", "release", _label(categories="NUCLEAR", to="USA IND"))
    assert prohibited.decision.denied == ("PRO-0005",)
    assert prohibited.referable == ()


# Time, suspension, membership.


def test_a_snapshot_holds_from_one_boundary_to_the_next() -> None:
    boundaries = BUNDLE.boundaries
    assert list(boundaries) == sorted(set(boundaries))
    assert datetime(2027, 1, 1, tzinfo=UTC) in boundaries
    for before, after in pairwise(boundaries):
        snapshot = BUNDLE.snapshot(before)
        assert (snapshot.since, snapshot.until) == (before, after)
        assert BUNDLE.snapshot(after - timedelta(microseconds=1)) is snapshot
    assert BUNDLE.snapshot(boundaries[0] - timedelta(1)).since is None
    assert BUNDLE.snapshot(boundaries[-1]).until is None


def test_is_the_same_snapshot_for_the_same_stretch_and_suspensions() -> None:
    assert BUNDLE.snapshot(NOW) is BUNDLE.snapshot(NOW + timedelta(hours=1))
    assert BUNDLE.snapshot(NOW, frozenset({"JPN"})) is BUNDLE.snapshot(NOW, frozenset({"JPN"}))
    assert BUNDLE.snapshot(NOW, frozenset({"XXX"})) is BUNDLE.snapshot(NOW)


def test_refuses_a_time_without_a_zone() -> None:
    with pytest.raises(Rejected):
        BUNDLE.snapshot(datetime(2026, 11, 22))


def test_dated_rows_begin_and_end_at_midnight_utc() -> None:
    label = _label("CONFIDENTIAL", "PEACEKEEPING", "USA IDN")
    midnight = datetime(2027, 1, 1, tzinfo=UTC)
    assert BUNDLE.snapshot(midnight).decide("IDN", "release", label).rules == ("AGR-0022",)
    assert BUNDLE.snapshot(midnight - timedelta(microseconds=1)).decide("IDN", "release", label).outcome == Outcome.WITHHOLD
    bound = _label(categories="EXERCISE", to="USA IND")
    end = datetime(2027, 4, 1, tzinfo=UTC)
    assert BUNDLE.snapshot(end).decide("IND", "release", bound, "EXERCISE-KEEN").outcome == Outcome.WITHHOLD
    assert BUNDLE.snapshot(end - timedelta(microseconds=1)).decide("IND", "release", bound, "EXERCISE-KEEN").rules == ("AGR-0006",)


def test_before_any_row_is_in_force_nothing_is_released() -> None:
    snapshot = BUNDLE.snapshot(datetime(1900, 1, 1, tzinfo=UTC))
    assert snapshot.decide("JPN", "release", _label()).outcome == Outcome.WITHHOLD


def test_without_any_rule_in_force_nothing_is_released() -> None:
    """Casbin then evaluates the matcher once on blanks, and an allow there would be an allow by no rule."""
    changed = dict(FILES)
    changed["agreements.csv"] = b"p, AGR-0001, allow, release, JPN, *, SECRET, MARITIME, none, *, 2030-01-01, , basis\n"
    changed["prohibitions.csv"] = b"# none\n"
    changed["cases.csv"] = FILES["cases.csv"].split(b"\n")[0] + b"\n"
    for engine in EngineKind:
        snapshot = read_bundle(changed).snapshot(NOW, engine=engine)
        assert snapshot.decide("JPN", "release", _label()).outcome == Outcome.WITHHOLD


def test_a_suspended_partner_has_nothing_and_others_lose_nothing_by_it() -> None:
    suspended = BUNDLE.snapshot(NOW, frozenset({"IND"}))
    label = _label("CONFIDENTIAL", to="USA IND JPN")
    assert BUNDLE.snapshot(NOW).decide("IND", "release", label).outcome == Outcome.RELEASE
    assert suspended.decide("IND", "release", label) == Decision(Outcome.WITHHOLD)
    # The audience still names him: were his code unknown now, JPN would lose the item and learn of the suspension.
    for partner in sorted(BUNDLE.scheme.partners - {"IND"}):
        assert suspended.decide(partner, "release", label) == BUNDLE.snapshot(NOW).decide(partner, "release", label)


def test_members_are_resolved_through_nested_communities_at_their_time() -> None:
    members = BUNDLE.members(NOW)
    assert members["QUAD"] == {"AUS", "IND", "JPN"}
    assert members["PACIFIC"] == {"AUS", "CAN", "GBR", "IND", "JPN", "KOR", "NZL", "PHL", "SGP"}
    assert members["ALL-PARTNERS"] == BUNDLE.scheme.partners
    assert "IDN" in BUNDLE.members(datetime(2027, 3, 1, tzinfo=UTC))["PACIFIC"]
    assert BUNDLE.members(datetime(2000, 1, 1, tzinfo=UTC))["QUAD"] == frozenset()


# Laws.

_codes = st.sampled_from(sorted(BUNDLE.scheme.partners | BUNDLE.scheme.communities))


def _set_of(names: tuple[str, ...], *, most: int = 3) -> st.SearchStrategy[str]:
    return st.one_of(st.just("*"), st.lists(st.sampled_from(names), min_size=1, max_size=most, unique=True).map(" ".join))


_labels = st.builds(
    Label,
    level=st.sampled_from([level.name for level in BUNDLE.scheme.levels]),
    categories=st.lists(st.sampled_from(BUNDLE.scheme.categories), max_size=3).map(tuple),
    releasable_to=st.one_of(st.just(("*",)), st.lists(_codes, max_size=6).map(tuple)),
    caveats=st.lists(st.sampled_from(BUNDLE.scheme.caveats), max_size=2).map(tuple),
    originators=st.lists(st.sampled_from(("USA", "GBR", "FRA")), min_size=1, max_size=2).map(tuple),
    consents=st.lists(st.sampled_from(("GBR:JPN", "FRA:IND")), max_size=2).map(tuple),
    grants=st.lists(st.sampled_from(("release:JPN", "display:FRA", "release:GBR")), max_size=2).map(tuple),
)
_deny_rows = st.builds(
    "p, PRO-9999, deny, {}, {}, *, {}, {}, {}, {}, , , a prohibition more".format,
    st.sampled_from(("*", "release", "display", "refer")),
    _codes,
    st.sampled_from([level.name for level in BUNDLE.scheme.levels]),
    _set_of(BUNDLE.scheme.categories),
    _set_of(BUNDLE.scheme.caveats),
    st.sampled_from(("*", "USA", "GBR", "FRA")),
)


def _open_doors(snapshot: Snapshot, labels: list[Label]) -> set[tuple[str, str, int]]:
    return {
        (partner, action, index)
        for partner in BUNDLE.scheme.partners
        for action in ("release", "display")
        for index, label in enumerate(labels)
        if snapshot.decide(partner, action, label).outcome == Outcome.RELEASE
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(row=_deny_rows, labels=st.lists(_labels, min_size=1, max_size=5))
def test_adding_a_prohibition_never_opens_a_door(row: str, labels: list[Label]) -> None:
    changed = FILES | {"prohibitions.csv": FILES["prohibitions.csv"] + f"{row}\n".encode()}
    assert _open_doors(read_bundle(changed).snapshot(NOW), labels) <= _open_doors(SNAPSHOT, labels)


@settings(max_examples=50, deadline=None)
@given(label=_labels, partner=st.sampled_from(sorted(BUNDLE.scheme.partners)), action=st.sampled_from(("release", "display")))
def test_the_reasons_fit_the_outcome(label: Label, partner: str, action: str) -> None:
    decision = SNAPSHOT.decide(partner, action, label)
    effects = {rule.id: rule.effect for rule in BUNDLE.rules}
    assert all(effects[rule] == "allow" for rule in decision.matched)
    assert all(effects[rule] == "deny" for rule in decision.denied)
    match decision.outcome:
        case Outcome.RELEASE:
            assert decision.rules == decision.matched != ()
            assert decision.denied == ()
        case Outcome.REFER:
            assert decision.rules
            assert all(rule.action == "refer" for rule in BUNDLE.rules if rule.id in decision.rules)
        case Outcome.WITHHOLD:
            assert decision.rules == decision.denied


def test_many_threads_get_the_answers_that_one_gets() -> None:
    """While other threads build other bundles and snapshots: under reload of a live enforcer, one in seven of these was released."""
    bundle = read_bundle(FILES)
    prohibited = _label(categories="INTEL-SOURCES MARITIME", to="USA JPN")
    allowed = _label()
    stop = threading.Event()
    wrong: list[Decision] = []
    asked = [0]

    def publish() -> None:
        while not stop.is_set():
            read_bundle(FILES).snapshot(NOW)

    def ask(number: int) -> None:
        for turn in range(150):
            snapshot = bundle.snapshot(NOW, frozenset({"KOR"}) if (number + turn) % 2 else frozenset())
            # A label not seen before each time, so that the tables are filled under contention too.
            fresh = _label(
                categories="MARITIME", to=f"USA JPN {('IND', 'GBR', 'SGP', 'PHL')[turn % 4]}", caveats="RELIDO" if turn % 3 else ""
            )
            answers = [snapshot.decide("JPN", "release", label) for label in (prohibited, allowed, fresh)]
            expected = [("PRO-0001",), ("AGR-0002",), ("AGR-0002",)]
            wrong.extend(answer for answer, rules in zip(answers, expected, strict=True) if answer.rules != rules)
            asked[0] += len(answers)

    publisher = threading.Thread(target=publish)
    publisher.start()
    readers = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    stop.set()
    publisher.join()
    assert wrong == []
    assert asked[0] > 0
