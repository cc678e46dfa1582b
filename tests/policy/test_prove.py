"""What is proved holds for every label, what is shown is a label for which it does, and what is not understood is not claimed."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.errors import Broken
from service.labels.label import Label
from service.labels.scheme import UnknownName
from service.policy import Bundle, Outcome, Verdict, load_bundle, read_bundle
from service.policy.functions import NONE
from service.policy.prove import AllLabels, CannotProve, Change, Side, decides_alike, describe, difference, never_findings
from tests.support.prove_bundles import BEYOND, MATCHERS, NOW, SAMPLE, every_label, random_bundle, random_rules, small, some_labels

POLICIES = Path(__file__).parents[2] / "policies"
PARTNERS = ("IND", "JPN")
TODAY = datetime(2026, 11, 22, tzinfo=UTC)


def _sides(was: Outcome, becomes: Outcome) -> Side | None:
    if becomes is Outcome.RELEASE:
        return None if was is Outcome.RELEASE else Side.GAINS
    if was is Outcome.RELEASE:
        return Side.LOSES
    if was is becomes:
        return None
    return Side.MAY_ASK if becomes is Outcome.REFER else Side.MAY_NOT_ASK


def _changes(found: AllLabels, moment: datetime) -> tuple[Change, ...]:
    (stretch,) = (s for s in found.stretches if s.since <= moment and (s.until is None or moment < s.until))
    return stretch.changes


def _dates(*bundles: Bundle) -> list[datetime]:
    return [NOW, *sorted({moment for bundle in bundles for moment in bundle.boundaries if moment > NOW})]


# Two bundles.


@pytest.mark.parametrize("matcher", MATCHERS)
def test_the_difference_is_that_of_the_decisions(matcher: str) -> None:
    told = 0
    for seed in range(6):
        old = random_bundle((matcher, seed, "old"), matcher=MATCHERS[matcher])
        new = random_bundle((matcher, seed, "new"), matcher=MATCHERS[matcher])
        if seed % 2:
            # An edit of one row, as officers make them.
            new = _edited(old, seed)
        found = difference(old, new, at=NOW)
        assert found.cannot is None
        assert found.equal is decides_alike(old, new, NOW)
        for moment in _dates(old, new):
            was, becomes = old.snapshot(moment), new.snapshot(moment)
            changes = _changes(found, moment)
            said = {(change.partner, change.action, purpose, change.side): change for change in changes for purpose in change.purposes}
            for key, change in said.items():
                asked = (key[0], key[1], change.witness, key[2])
                decided = was.decide(*asked), becomes.decide(*asked)
                assert (decided[0].outcome, decided[1].outcome) == (change.before, change.after)
                assert _sides(change.before, change.after) is change.side
                assert change.rules == decided[change.side in (Side.GAINS, Side.MAY_ASK)].rules
                assert change.rules
                assert change.witness.level == change.highest
                told += 1
            for label in some_labels(40, (matcher, seed, moment)):
                for partner in PARTNERS:
                    for action, purpose in (("release", "none"), ("display", "none"), ("release", "KEEN")):
                        asked = (partner, action, label, purpose)
                        side = _sides(was.decide(*asked).outcome, becomes.decide(*asked).outcome)
                        if side is not None:
                            change = said[partner, action, purpose, side]
                            assert old.scheme.rank(label.level) <= old.scheme.rank(change.highest)
    assert told > 10


def _edited(bundle: Bundle, seed: int) -> Bundle:
    lines = bundle.files["agreements.csv"].decode().splitlines()
    (cells,) = random_rules(random.Random(seed), deny=False, count=1)
    lines[1] = f"p, AGR-0001, allow, {cells} Basis"
    return read_bundle({**bundle.files, "agreements.csv": ("\n".join(lines) + "\n").encode()})


@pytest.mark.parametrize("seed", range(3))
def test_the_difference_is_exact_over_every_label_there_is(seed: int) -> None:
    old, new = random_bundle((seed, "all old")), random_bundle((seed, "all new"))
    if seed:
        new = _edited(old, seed)
    changes = _changes(difference(old, new, at=NOW), NOW)
    was, becomes = old.snapshot(NOW), new.snapshot(NOW)
    highest: dict[tuple[str, Side], int] = {}
    for label in every_label("JPN"):
        for action in ("release", "display"):
            side = _sides(was.decide("JPN", action, label).outcome, becomes.decide("JPN", action, label).outcome)
            if side is not None:
                highest[action, side] = max(highest.get((action, side), 0), old.scheme.rank(label.level))
    said = {
        (change.action, change.side): old.scheme.rank(change.highest)
        for change in changes
        if change.partner == "JPN" and NONE in change.purposes
    }
    assert said == highest


def test_one_further_agreement_is_told_exactly() -> None:
    old = small(["release, JPN, *, SECRET, AIR, none, *, , ,"], ["release, JPN, *, SECRET, SEA, ORCON, *, , ,"])
    new = small(
        ["release, JPN, *, SECRET, AIR, none, *, , ,", "release, JPN, *, CONFIDENTIAL, AIR SEA, ORCON, *, 2027-01-01, ,"],
        ["release, JPN, *, SECRET, SEA, ORCON, *, , ,"],
    )
    found = difference(old, new, at=NOW)
    assert not found.equal
    begins = datetime(2027, 1, 1, tzinfo=UTC)
    assert [(stretch.since, stretch.until, len(stretch.changes)) for stretch in found.stretches] == [(NOW, begins, 0), (begins, None, 2)]
    witness = Label("CONFIDENTIAL", ("SEA",), ("JPN", "USA"), (), ("USA",))
    assert _changes(found, begins) == tuple(
        Change("JPN", action, ("none", "KEEN"), Side.GAINS, witness, Outcome.WITHHOLD, Outcome.RELEASE, ("AGR-0002",), "CONFIDENTIAL")
        for action in ("release", "display")
    )
    assert found.lines() == (
        "from 2026-11-22T10:00:00.000000Z until 2027-01-01T00:00:00.000000Z: proved equal for every possible label",
        "from 2027-01-01T00:00:00.000000Z:",
        "  JPN gains release of CONFIDENTIAL, SEA, from USA, to JPN USA; by AGR-0002 (purpose none KEEN)",
        "  JPN gains display of CONFIDENTIAL, SEA, from USA, to JPN USA; by AGR-0002 (purpose none KEEN)",
    )
    (back,) = {change.side for change in difference(new, old, at=NOW).changes()}
    assert back is Side.LOSES


def test_what_is_gained_only_with_a_consent_or_a_grant_is_gained() -> None:
    old = small(["release, JPN, *, SECRET, AIR, none, USA, , ,"])
    foreign = small(["release, JPN, *, SECRET, AIR, none, USA, , ,", "release, JPN, *, SECRET, AIR, none, IND, , ,"])
    granted = small(["release, JPN, *, SECRET, AIR, none, USA, , ,", "refer, JPN, *, SECRET, SEA, none, USA, , ,"])
    (change, _) = difference(old, foreign, at=NOW).changes()
    assert change.sentence() == (
        "JPN gains release of SECRET, AIR, from IND, to JPN USA, consented IND:JPN; by AGR-0002 (purpose none KEEN)"
    )
    by = {(change.action, change.side): change for change in difference(old, granted, at=NOW).changes()}
    assert set(by) == {(action, side) for action in ("release", "display") for side in (Side.GAINS, Side.MAY_ASK)}
    assert by["release", Side.GAINS].witness.grants == ("release:JPN",)
    assert by["release", Side.MAY_ASK].witness == Label("SECRET", ("SEA",), ("JPN", "USA"), (), ("USA",))
    assert by["release", Side.MAY_ASK].rules == ("AGR-0002",)


@pytest.mark.parametrize(
    ("change", "equal"),
    [
        pytest.param(
            {"agreements.csv": "#\n# said otherwise\np, AGR-0001, allow, release, JPN, *, SECRET, AIR, none, *, , , Letter\n"},
            True,
            id="basis",
        ),
        pytest.param(
            {"agreements.csv": "#\np, AGR-0009, allow, release, JPN, *, SECRET, AIR, none, *, 2001-01-01, , Basis\n"},
            True,
            id="id-and-past",
        ),
        pytest.param(
            {"agreements.csv": "#\np, AGR-0001, allow, release, JPN, none KEEN, SECRET, AIR, none, USA JPN IND, , , Basis\n"},
            True,
            id="all-named",
        ),
        pytest.param(
            {"agreements.csv": "#\np, AGR-0001, allow, release, JPN, *, SECRET, AIR, none, USA JPN, , , Basis\n"}, False, id="one-not-named"
        ),
        pytest.param(
            {"agreements.csv": "#\np, AGR-0001, allow, release, JPN, *, SECRET, AIR, none, *, , 2030-01-01, Basis\n"}, False, id="ends"
        ),
        pytest.param(
            {"agreements.csv": "#\np, AGR-0001, allow, display, JPN, *, SECRET, AIR, none, *, , , Basis\n"}, False, id="display-only"
        ),
        pytest.param(
            {"prohibitions.csv": "#\np, PRO-0001, deny, *, JPN, *, SECRET, SEA, ORCON, *, , , Basis\n"}, True, id="forbids-nothing-allowed"
        ),
        pytest.param({"prohibitions.csv": "#\np, PRO-0001, deny, *, JPN, *, SECRET, AIR, *, *, , , Basis\n"}, False, id="forbids"),
        pytest.param(
            {"communities.csv": "#\ng, JPN, QUAD, 2030-01-01,\ng, QUAD, ALL-PARTNERS, ,\n"}, False, id="no-longer-expanded-to-him"
        ),
        pytest.param(
            {"partners.csv": "#\ng2, JPN, active, , 2030-01-01, nation, P\ng2, IND, active, , , nation, P\n"}, False, id="partner-ends"
        ),
    ],
)
def test_it_is_known_whether_any_decision_differs(change: dict[str, str], equal: bool) -> None:
    old = small(["release, JPN, *, SECRET, AIR, none, *, , ,"])
    new = small(["release, JPN, *, SECRET, AIR, none, *, , ,"], files=change)
    assert decides_alike(old, new, NOW) is equal
    assert difference(old, new, at=NOW).equal is equal


def test_what_is_new_to_a_vocabulary_is_told_apart() -> None:
    old = small(["release, JPN, *, SECRET, *, none, *, , ,"])
    scheme = old.files["scheme.toml"].decode().replace('"AIR", "SEA"', '"AIR", "SEA", "SPACE"')
    wider = small(["release, JPN, *, SECRET, *, none, *, , ,"], files={"scheme.toml": scheme})
    (change, _) = difference(old, wider, at=NOW).changes()
    assert (change.side, change.new_words, change.witness.categories) == (Side.GAINS, True, ("SPACE",))
    assert change.sentence().endswith("(a word the other bundle lacks)")
    (change, _) = difference(wider, old, at=NOW).changes()
    assert (change.side, change.new_words) == (Side.LOSES, True)


def test_a_further_partner_gains_and_his_name_in_an_audience_is_no_gain_of_others() -> None:
    old = small(["release, JPN, *, SECRET, AIR, none, USA, , ,"])
    partners = old.files["partners.csv"].decode() + "g2, SGP, active, , , nation, Partner\n"
    further = small(["release, JPN, *, SECRET, AIR, none, USA, , ,"], files={"partners.csv": partners})
    assert difference(old, further, at=NOW).equal
    # To the letter a label that names him is decided now, and was not.
    assert not decides_alike(old, further, NOW)
    agreed = small(
        ["release, JPN, *, SECRET, AIR, none, USA, , ,", "release, SGP, *, SECRET, SEA, none, USA, , ,"], files={"partners.csv": partners}
    )
    changes = tuple(difference(old, agreed, at=NOW).changes())
    assert {(change.partner, change.side, change.new_words) for change in changes} == {("SGP", Side.GAINS, False)}
    assert changes[0].witness.releasable_to == ("SGP", "USA")


def test_nobody_has_anything_before_the_first_bundle() -> None:
    changes = tuple(difference(None, small(["display, JPN, *, SECRET, AIR, none, *, , ,"]), at=NOW).changes())
    assert [(change.partner, change.action, change.side) for change in changes] == [("JPN", "display", Side.GAINS)]


def test_later_dates_are_compared_with_the_same_date_or_with_today() -> None:
    old = small(["release, JPN, *, SECRET, AIR, none, *, 2027-01-01, ,"])
    assert difference(old, old, at=NOW).equal
    timeline = difference(old, old, at=NOW, against_today=True)
    assert [(stretch.since.date().isoformat(), {change.side for change in stretch.changes}) for stretch in timeline.stretches] == [
        ("2026-11-22", set()),
        ("2027-01-01", {Side.GAINS}),
    ]


def test_what_two_rules_prove_together_is_proved_no_longer_when_one_has_ended() -> None:
    forbidden = ["*, JPN, *, UNCLASSIFIED, *, *, USA, , ,", "*, JPN, *, UNCLASSIFIED, *, *, IND JPN, , 2027-01-01,"]
    old = small(["release, IND, *, SECRET, AIR, none, *, , ,"], forbidden)
    new = small(["release, IND, *, SECRET, AIR, none, *, , ,", "release, JPN, *, SECRET, SEA, none, *, , ,"], forbidden)
    found = difference(old, new, at=NOW)
    assert [(stretch.since.date().isoformat(), len(stretch.changes)) for stretch in found.stretches] == [
        ("2026-11-22", 0),
        ("2027-01-01", 2),
    ]
    assert {change.witness.originators for change in found.changes()} == {("JPN",)}


def test_a_suspended_partner_gains_nothing() -> None:
    old, new = small(["release, IND, *, SECRET, AIR, none, *, , ,"]), small(["release, JPN, *, SECRET, AIR, none, *, , ,"])
    assert {(change.partner, change.side) for change in difference(old, new, at=NOW).changes()} == {
        ("IND", Side.LOSES),
        ("JPN", Side.GAINS),
    }
    found = difference(old, new, at=NOW, suspended=frozenset({"JPN"}))
    assert {(change.partner, change.side) for change in found.changes()} == {("IND", Side.LOSES)}


@pytest.mark.parametrize(("ceiling", "reached"), [("UNCLASSIFIED", {"UNCLASSIFIED"}), ("CONFIDENTIAL", {"UNCLASSIFIED", "CONFIDENTIAL"})])
def test_the_level_that_a_gain_reaches_is_known(ceiling: str, reached: set[str]) -> None:
    old = small(["release, IND, *, SECRET, AIR, none, *, , ,"])
    new = small(["release, IND, *, SECRET, AIR, none, *, , ,", f"display, JPN, *, {ceiling}, SEA, none, *, 2027-01-01, ,"])
    found = difference(old, new, at=NOW)
    assert {level for level in ("UNCLASSIFIED", "CONFIDENTIAL", "SECRET") if found.reaches(level)} == reached
    # A loss reaches nothing, and being asked is no release.
    assert not difference(new, old, at=NOW).reaches("UNCLASSIFIED")
    with pytest.raises(UnknownName):
        found.reaches("COSMIC")


def test_the_answer_is_the_same_each_time() -> None:
    old, new = random_bundle("same old"), random_bundle("same new")
    assert difference(old, new, at=NOW).to_json() == difference(old, new, at=NOW).to_json()


# What is not understood.


@pytest.mark.parametrize("beyond", BEYOND)
def test_nothing_is_claimed_about_a_matcher_outside_the_kinds(beyond: str) -> None:
    matcher, why = BEYOND[beyond]
    old = small(["release, QUAD, *, SECRET, AIR, none, *, , ,"], matcher=matcher, never=["JPN, *, SECRET, SEA, *, *"])
    assert old.snapshot(NOW).uncompiled is None
    new = small(["release, ALL-PARTNERS, *, SECRET, AIR, none, *, , ,"], matcher=matcher)
    found = difference(old, new, at=NOW)
    assert found.cannot is not None
    assert why in found.cannot
    assert not found.equal
    assert found.reaches("SECRET")
    assert found.stretches == ()
    assert found.lines() == (f"cannot prove anything for all labels: {found.cannot}",)
    with pytest.raises(CannotProve, match="AGR-0001"):
        decides_alike(old, new, NOW)
    (finding,) = never_findings(old, NOW)
    assert (finding.file, finding.line, finding.code, str(finding.severity)) == ("never.csv", 2, "cannot-prove", "error")
    assert why in finding.message


def test_a_witness_is_decided_by_the_snapshots_before_it_is_shown() -> None:
    class Withholds:
        uncompiled = None

        def evaluate(self, request: object) -> Verdict:
            return Verdict(False, (), ())

        def near_misses(self, request: object) -> tuple[()]:
            return ()

    old = small(["release, IND, *, SECRET, AIR, none, *, , ,"])
    new = small(["release, JPN, *, SECRET, AIR, none, *, , ,"], never=["JPN, *, SECRET, AIR, *, *"])
    lying = read_bundle(new.files, build=lambda kind, **parts: Withholds())
    with pytest.raises(Broken, match="the prover and the engine disagree on release to "):
        difference(old, lying, at=NOW)
    # Also where it is for one purpose alone.
    for_one = small(["release, JPN, KEEN, SECRET, AIR, none, *, , ,"])
    with pytest.raises(Broken, match="the prover and the engine disagree on release to JPN of SECRET"):
        difference(None, read_bundle(for_one.files, build=lambda kind, **parts: Withholds()), at=NOW)
    with pytest.raises(Broken, match="disagree on `NEV-0001`"):
        never_findings(lying, NOW)


# Statements.


def test_the_statements_of_the_sample_are_proved() -> None:
    bundle = load_bundle(POLICIES)
    assert bundle.never
    assert never_findings(bundle, TODAY) == ()
    assert never_findings(bundle, TODAY - timedelta(days=9_000)) == ()


def _sample(**changes: tuple[str, str]) -> Bundle:
    """The sample with lines taken out (first) and put in their place (second), by file; its cases left out."""
    files = dict(SAMPLE)
    files["cases.csv"] = files["cases.csv"].splitlines(keepends=True)[0]
    for name, (old, new) in changes.items():
        lines = files[f"{name}.csv"].decode().splitlines(keepends=True)
        (line,) = (line for line in lines if old in line)
        files[f"{name}.csv"] = "".join(lines).replace(line, new).encode()
    return read_bundle(files)


@pytest.mark.parametrize(
    ("out", "agreement", "statement", "witness", "rules"),
    [
        (
            "PRO-0001",
            "release, JPN, *, SECRET, INTEL-SOURCES, none, USA",
            "NEV-0001",
            "SECRET, INTEL-SOURCES, from USA, to JPN USA",
            "AGR-0999",
        ),
        (
            "PRO-0002",
            "display, ALL-PARTNERS, *, SECRET, AIR, NODIS, USA",
            "NEV-0002",
            "SECRET, AIR, with NODIS, from USA, to AUS USA",
            "AGR-0999",
        ),
        (
            "PRO-0003",
            "release, PUBLIC, *, CONFIDENTIAL, ECONOMIC, none, *",
            "NEV-0003",
            "CONFIDENTIAL, ECONOMIC, from USA, to PUBLIC USA",
            "AGR-0999",
        ),
        (
            "PRO-0005",
            "refer, IND, *, SECRET, NUCLEAR, none, USA",
            "NEV-0004",
            "SECRET, NUCLEAR, from USA, to IND USA, granted release:IND",
            "",
        ),
    ],
)
def test_without_its_prohibition_a_statement_is_refuted_with_a_right_witness(
    out: str, agreement: str, statement: str, witness: str, rules: str
) -> None:
    kept = _sample(agreements=("p, AGR-0001,", f"p, AGR-0999, allow, {agreement}, , , Basis\n"))
    assert never_findings(kept, TODAY) == ()
    without = _sample(
        agreements=("p, AGR-0001,", f"p, AGR-0999, allow, {agreement}, , , Basis\n"), prohibitions=(f"p, {out},", "# taken out\n")
    )
    (finding,) = never_findings(without, TODAY)
    line = next(never.place.line for never in without.never if never.id == statement)
    assert (finding.file, finding.line, finding.column, finding.code, str(finding.severity)) == ("never.csv", line, 1, "never", "error")
    assert finding.problem.startswith(f"`{statement}` does not hold: {witness}, would be ")
    assert rules in finding.problem


def test_a_statement_holds_only_if_it_does_at_every_later_date() -> None:
    agreement = "release, JPN, *, SECRET, AIR, none, *, , ,"
    forbidden = "*, QUAD, *, UNCLASSIFIED, AIR, *, *, , {},"
    never = ["JPN, release, CONFIDENTIAL, AIR, *, *"]
    assert never_findings(small([agreement], [forbidden.format("")], never=never), NOW) == ()
    (ends,) = never_findings(small([agreement], [forbidden.format("2027-02-01")], never=never), NOW)
    assert ends.problem == (
        "`NEV-0001` does not hold from 2027-02-01T00:00:00.000000Z on: "
        "SECRET, AIR, from USA, to JPN USA, would be released to JPN by AGR-0001"
    )
    # Not what has been: only what is to come.
    past = small(["release, JPN, *, SECRET, AIR, none, *, , 2020-01-01,", "release, IND, *, SECRET, AIR, none, *, , ,"], never=never)
    assert never_findings(past, NOW) == ()
    assert never_findings(past, datetime(2019, 1, 1, tzinfo=UTC)) != ()


def test_a_statement_is_of_its_levels_actions_and_originators() -> None:
    agreements = ["display, JPN, *, CONFIDENTIAL, AIR, none, USA, , ,"]
    for never, holds in (
        ("JPN, release, UNCLASSIFIED, *, *, *", True),
        ("JPN, display, UNCLASSIFIED, *, *, *", False),
        ("JPN, *, SECRET, *, *, *", True),
        ("JPN, *, CONFIDENTIAL, *, *, *", False),
        ("JPN, *, CONFIDENTIAL, SEA, *, *", True),
        ("JPN, *, CONFIDENTIAL, *, EXDIS, *", True),
        ("JPN, *, CONFIDENTIAL, *, *, IND", True),
        ("JPN, *, CONFIDENTIAL, *, *, USA IND", False),
        ("IND, *, UNCLASSIFIED, *, *, *", True),
        ("QUAD, *, UNCLASSIFIED, *, *, *", False),
    ):
        assert (never_findings(small(agreements, never=[never]), NOW) == ()) is holds, never


def test_others_who_are_concerned_are_counted() -> None:
    (finding,) = never_findings(
        small(["release, ALL-PARTNERS, *, SECRET, AIR, none, *, , ,"], never=["ALL-PARTNERS, *, SECRET, *, *, *"]), NOW
    )
    assert "would be released to IND by AGR-0001 (and to 1 more)" in finding.problem


@pytest.mark.parametrize("seed", range(3))
def test_statements_agree_with_asking_about_every_label(seed: int) -> None:
    chance = random.Random(seed)
    cells = ("JPN", chance.choice(("*", "release", "display")), *random_rules(chance, deny=True, count=1)[0].split(", ")[3:7])
    bundle = random_bundle((seed, "never"), never=[", ".join(cells)])
    _, action, level, categories, caveats, originator = cells
    rank = bundle.scheme.rank
    found = False
    for moment in _dates(bundle):
        snapshot = bundle.snapshot(moment)
        for label in every_label("JPN"):
            if (
                rank(label.level) >= rank(level)
                and (categories == "*" or set(categories.split()) & set(label.categories))
                and (caveats == "*" or set(caveats.split()) & set(label.caveats))
                and (originator == "*" or set(originator.split()) & set(label.originators))
            ):
                for asked in ("release", "display"):
                    if action in ("*", asked):
                        found |= any(
                            snapshot.decide("JPN", asked, label, purpose).outcome is Outcome.RELEASE for purpose in ("none", "KEEN")
                        )
        if found:
            break
    assert (never_findings(bundle, NOW) != ()) is found


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (Label("SECRET", ("SEA", "AIR"), ("*",), (), ("USA",)), "SECRET, AIR SEA, from USA, to everyone"),
        (
            Label("SECRET", (), (), ("ORCON",), ("USA", "IND"), ("JPN",)),
            "SECRET, no category, with ORCON, from IND USA, to nobody, shown to JPN",
        ),
        (
            Label("SECRET", ("AIR",), ("JPN",), (), ("IND",), None, ("IND:JPN",), ("release:JPN",)),
            "SECRET, AIR, from IND, to JPN, consented IND:JPN, granted release:JPN",
        ),
    ],
)
def test_a_label_is_told_in_a_line(label: Label, text: str) -> None:
    assert describe(label) == text
