"""Rules that can never decide anything are named, with those that make it so; no others are. It is known which rules labels exercise."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.policy import policy_app
from service.labels.label import Label
from service.policy import Bundle, Outcome, load_bundle, read_bundle
from service.policy.prove import CannotProve, decides_alike
from service.policy.redundancy import exercised, redundancy
from tests.support.prove_bundles import BEYOND, MATCHERS, NOW, PARTNERS, random_bundle, random_rules, small, some_labels

POLICIES = Path(__file__).parents[2] / "policies"
AIR = "release, JPN, *, SECRET, AIR, none, *, , ,"


def _shadowed(line: int, by: str) -> tuple[str, int, str, str]:
    problem = f"`AGR-{line - 1:04}` can never decide anything: all that it allows is forbidden by {by}"
    return "agreements.csv", line, "shadowed", problem


def _redundant(line: int, by: str, file: str = "agreements.csv") -> tuple[str, int, str, str]:
    problem = f"`{'AGR' if file == 'agreements.csv' else 'PRO'}-{line - 1:04}` can never decide anything"
    return file, line, "redundant", f"{problem}: all of it is decided by {by}"


@pytest.mark.parametrize(
    ("agreements", "prohibitions", "said"),
    [
        pytest.param([AIR], [], [], id="a-rule-that-decides"),
        pytest.param([AIR], ["*, QUAD, *, UNCLASSIFIED, AIR, *, *, , ,"], [], id="what-has-no-category-is-left"),
        pytest.param(
            [AIR, "release, JPN, *, SECRET, SEA, none, *, , ,"],
            ["*, QUAD, *, UNCLASSIFIED, *, *, *, , ,"],
            [
                _shadowed(2, "`PRO-0001`"),
                _shadowed(3, "`PRO-0001`"),
            ],
            id="all-of-it-forbidden",
        ),
        pytest.param(
            [AIR],
            [
                "*, QUAD, *, CONFIDENTIAL, *, *, *, , ,",
                "*, JPN, *, UNCLASSIFIED, *, *, USA, , ,",
                "*, JPN, *, UNCLASSIFIED, *, *, IND JPN, , ,",
            ],
            [_shadowed(2, "`PRO-0002` `PRO-0003`")],
            id="forbidden-by-some-together-and-no-more-are-named",
        ),
        pytest.param(
            [AIR, "release, JPN, KEEN, CONFIDENTIAL, AIR, none, USA, , ,"],
            [],
            [_redundant(3, "`AGR-0001`")],
            id="a-part-of-another",
        ),
        pytest.param(
            ["release, JPN, KEEN, CONFIDENTIAL, AIR, none, USA, , ,", AIR],
            [],
            [_redundant(2, "`AGR-0002`")],
            id="a-part-of-a-later-one",
        ),
        pytest.param(
            [AIR, "release, ALL-PARTNERS, *, SECRET, AIR, none, *, , ,"],
            [],
            [_redundant(2, "`AGR-0002`")],
            id="a-partner-of-a-community",
        ),
        pytest.param(
            ["release, ALL-PARTNERS, *, SECRET, AIR, none, *, , ,", "release, QUAD, *, SECRET, AIR, none, *, , 2030-01-01,", AIR],
            [],
            [
                _redundant(3, "`AGR-0001`"),
                _redundant(4, "`AGR-0001`"),
            ],
            id="no-idle-rule-is-a-reason",
        ),
        pytest.param(
            [AIR, "release, JPN, *, SECRET, AIR, none, *, , 2027-01-01,"],
            [],
            [_redundant(3, "`AGR-0001`")],
            id="as-long-as-it-is-in-force",
        ),
        pytest.param(
            [AIR, "release, JPN, *, SECRET, AIR, none, *, , ,"],
            ["*, JPN, *, UNCLASSIFIED, *, *, *, , 2027-01-01,"],
            [_redundant(3, "`AGR-0001` `PRO-0001`")],
            id="a-prohibition-that-ends-shadows-nothing-for-good",
        ),
        pytest.param(
            ["release, JPN, *, SECRET, AIR, none, *, , 2027-01-01,", AIR.replace(", , ,", ", 2026-12-01, ,")],
            [],
            [],
            id="one-follows-another",
        ),
        pytest.param(["release, JPN, *, SECRET, AIR, none, *, , 2020-01-01,", AIR], [], [], id="what-is-over-is-not-looked-at"),
        pytest.param(
            ["release, JPN, *, SECRET, AIR SEA, none, *, , ,", "display, JPN, *, CONFIDENTIAL, SEA, none, *, , ,"],
            [],
            [_redundant(3, "`AGR-0001`")],
            id="release-permits-display",
        ),
        pytest.param([AIR, "refer, JPN, *, SECRET, AIR, none, *, , ,"], [], [], id="being-asked-is-another-thing"),
        pytest.param([AIR], ["*, IND, *, SECRET, SEA, *, *, , ,"], [], id="a-prohibition-of-what-nobody-is-allowed-is-protection"),
        pytest.param(
            [AIR],
            ["*, QUAD, *, CONFIDENTIAL, AIR, *, *, , ,", "release, JPN, *, SECRET, AIR, ORCON, *, , ,"],
            [_redundant(3, "`PRO-0001`", "prohibitions.csv")],
            id="a-prohibition-within-another",
        ),
    ],
)
def test_what_can_never_decide_is_named_with_the_reason(
    agreements: list[str], prohibitions: list[str], said: list[tuple[str, int, str, str]]
) -> None:
    findings = redundancy(small(agreements, prohibitions), NOW)
    assert [(finding.file, finding.line, finding.code, finding.message) for finding in findings] == said
    assert all(str(finding.severity) == "warning" and finding.column == 1 for finding in findings)


def test_an_agreement_with_nobody_is_true_for_nobody_and_a_prohibition_may_be() -> None:
    communities = "#\ng, JPN, QUAD, , 2020-01-01\ng, IND, ALL-PARTNERS, ,\n"
    nobody = small(
        ["release, QUAD, *, SECRET, AIR, none, *, , ,", "release, IND, *, SECRET, AIR, none, *, , ,"],
        ["*, QUAD, *, SECRET, AIR, *, *, , ,"],
        files={"communities.csv": communities},
    )
    (finding,) = redundancy(nobody, NOW)
    assert str(finding) == "agreements.csv:2:1: never-true: `AGR-0001` is true for nobody, as long as it is in force"
    assert redundancy(nobody, datetime(2019, 1, 1, tzinfo=UTC)) == ()


@pytest.mark.parametrize("matcher", MATCHERS)
def test_all_that_is_named_can_be_taken_out_together_and_nothing_else(matcher: str) -> None:
    named = 0
    for seed in range(8):
        chance = random.Random(f"{matcher} {seed}")
        allow = random_rules(chance, deny=False, count=5)
        allow += [rule.replace("SECRET", "CONFIDENTIAL") for rule in allow[:2]]
        bundle = small(allow, random_rules(chance, deny=True, count=3), matcher=MATCHERS[matcher])
        idle = {finding.message.split("`")[1] for finding in redundancy(bundle, NOW)}
        without = _without(bundle, idle)
        if without is None:
            continue
        named += len(idle)
        assert decides_alike(bundle, without, NOW)
        for rule in without.rules:
            # Whatever is left is the only reason for something: by itself true, on a label for which nothing else is.
            further = _without(without, {rule.id})
            if rule.action == "release" and rule.effect == "allow" and further is not None and rule.period.holds(NOW):
                assert not decides_alike(without, further, NOW), (matcher, seed, rule.id)
    assert named


def _without(bundle: Bundle, ids: set[str]) -> Bundle | None:
    files = dict(bundle.files)
    for name in ("agreements.csv", "prohibitions.csv"):
        lines = files[name].decode().splitlines(keepends=True)
        files[name] = "".join(line for line in lines if not any(f"p, {id}," in line for id in ids)).encode()
    return read_bundle(files) if b"\np, " in files["agreements.csv"] else None


def test_what_was_not_looked_for_is_said() -> None:
    bundle = small([AIR, AIR.replace("SECRET", "CONFIDENTIAL")])
    (finding,) = redundancy(bundle, NOW, rules_max=1)
    assert str(finding) == (
        "agreements.csv:1:1: not-proved: which of 2 rules can never decide anything is not looked for here, expected at most 1; "
        "`entente policy check` looks"
    )
    # As many questions as one rule needs: what was found until then is named all the same.
    stopped = [redundancy(bundle, NOW, questions_max=most) for most in range(8)]
    assert [finding.code for finding in stopped[0]] == ["not-proved"]
    assert ["not-proved", "redundant"] in [[finding.code for finding in findings] for findings in stopped]
    (finding,) = redundancy(small(["release, QUAD, *, SECRET, AIR, none, *, , ,"], matcher=BEYOND["consents-to-another"][0]), NOW)
    assert (finding.file, finding.code) == ("model.conf", "not-proved")
    assert bundle.files["model.conf"].decode().split("\n")[finding.line - 1].startswith("m = ")
    assert BEYOND["consents-to-another"][1] in finding.message


@pytest.mark.parametrize("seed", range(6))
def test_a_rule_is_exercised_by_a_label_for_which_it_is_true(seed: int) -> None:
    bundle = random_bundle((seed, "exercised"), matcher=list(MATCHERS.values())[seed])
    labels = some_labels(12, seed)
    snapshot = bundle.snapshot(NOW)
    expected: set[str] = set()
    for label in labels:
        for partner in PARTNERS:
            for action in ("release", "display"):
                for purpose in ("none", "KEEN"):
                    explanation = snapshot.explain(partner, action, label, purpose)
                    expected |= {*explanation.decision.matched, *explanation.decision.denied, *explanation.referable}
    found = exercised(bundle, labels, NOW)
    # Prohibitions of being asked are true when that is asked, which an explanation does not tell.
    referring = {rule.id for rule in bundle.rules if rule.action == "refer" or (rule.effect == "deny" and rule.action in ("*", "release"))}
    assert expected <= found
    assert found - expected <= referring


def test_labels_that_nothing_is_decided_about_exercise_nothing() -> None:
    bundle = small([AIR])
    known = [
        label for label in some_labels(200, "known") if bundle.snapshot(NOW).decide("JPN", "release", label).outcome is Outcome.RELEASE
    ]
    assert exercised(bundle, known, NOW) == {"AGR-0001"}
    strange = [_replaced(label, word) for label in known for word in ("COSMIC", "FRA:JPN", "JPN:FRA", "copy:JPN")]
    assert exercised(bundle, strange, NOW) == frozenset()
    assert exercised(bundle, (), NOW) == frozenset()
    with pytest.raises(CannotProve):
        exercised(small(["release, QUAD, *, SECRET, AIR, none, *, , ,"], matcher=BEYOND["consents-to-another"][0]), known, NOW)


def _replaced(label: Label, word: str) -> Label:
    if word == "COSMIC":
        return replace(label, categories=(*label.categories, word))
    return replace(label, **{"grants" if word.startswith("copy") else "consents": (word,)})


def test_the_rules_of_the_sample_are_looked_at() -> None:
    bundle = load_bundle(POLICIES)
    assert {finding.code for finding in redundancy(bundle, NOW)} <= {"redundant"}


def test_check_warns_of_what_can_never_decide(tmp_path: Path) -> None:
    again = "release, JPN, *, SECRET, AIR, none, *, , ,"
    bundle = small([AIR, AIR.replace("SECRET", "CONFIDENTIAL"), again])
    for name, content in bundle.files.items():
        (tmp_path / name).write_bytes(content)
    result = CliRunner().invoke(policy_app, ["check", str(tmp_path)])
    lines = result.stdout.splitlines()
    assert "agreements.csv:3:1: redundant: `AGR-0002` can never decide anything: all of it is decided by `AGR-0001` (warning)" in lines
    # What reading has warned of already is not said twice.
    (said,) = (line for line in lines if line.startswith("agreements.csv:4:"))
    assert said.endswith("`AGR-0003` says the same as `AGR-0001`, but for id and basis (warning)")
    assert result.exit_code == 0
    assert CliRunner().invoke(policy_app, ["check", str(tmp_path), "--strict"]).exit_code == 1
    # A bundle that is refused is not asked about.
    (tmp_path / "agreements.csv").write_bytes(b"#\np, AGR-0001, allow, release, JPN, *, SECRT, AIR, none, *, , , Basis\n")
    assert "can never decide" not in CliRunner().invoke(policy_app, ["check", str(tmp_path)]).stdout
