"""No slip of the pen goes unnoticed: over a thousand single edits of the sample bundle, each followed to its end.

Each is refused by the reader with an error at the place of the edit (`tests.support.mutations` states the line rule), or by one of the
officer's cases, or by a `never` statement; or it changes no decision from the sample's day on: because its rows say the same, or because
the prover says so for every label that could exist. What is refused at another place, or decides otherwise in silence, is none of these.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.policy import Severity, check_files, read_bundle, read_directory, run_cases
from tests.support.mutations import KINDS, Fate, Judge, Mutation, Verdict, corpus

FILES = {name: content for name, content in read_directory(Path(__file__).parents[2] / "policies").items() if name != "README.md"}
AT = datetime(2026, 11, 22, tzinfo=UTC)
"""The day of the sample; what is past then decides nothing any more."""


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    judge = Judge(FILES, AT)
    return [judge.judge(mutation) for mutation in corpus(FILES, seed=2026)]


def test_the_corpus_is_of_every_kind_and_file_and_the_same_each_time(verdicts: list[Verdict]) -> None:
    mutations = [verdict.mutation for verdict in verdicts]
    assert len(mutations) >= 1_000
    assert len({(mutation.file, mutation.content) for mutation in mutations}) == len(mutations)
    assert {mutation.file for mutation in mutations} == set(FILES)
    assert {mutation.kind for mutation in mutations} == set(KINDS)
    assert corpus(FILES, seed=2026) == mutations
    assert all(mutation.content != FILES[mutation.file] for mutation in mutations)


def test_each_is_refused_at_its_place_or_changes_no_decision(verdicts: list[Verdict]) -> None:
    missed = [verdict for verdict in verdicts if verdict.fate in (Fate.ELSEWHERE, Fate.SURVIVES)]
    assert not missed, "\n".join(f"{verdict.fate}: {verdict.mutation} {[str(f) for f in verdict.findings[:3]]}" for verdict in missed)
    # Each way of ending is there, or it would not have been put to the test.
    fates = Counter(verdict.fate for verdict in verdicts)
    assert {Fate.REFUSED, Fate.SAME_ROWS, Fate.CASE, Fate.SAME_DECISIONS} <= set(fates)


def test_no_edit_of_a_prohibition_loses_it_in_silence(verdicts: list[Verdict]) -> None:
    prohibitions = [verdict for verdict in verdicts if verdict.mutation.file == "prohibitions.csv"]
    assert len(prohibitions) > 200
    refused = {Fate.REFUSED, Fate.CASE, Fate.NEVER}
    for verdict in prohibitions:
        if verdict.fate in refused:
            assert all(finding.severity is Severity.ERROR for finding in verdict.findings)
            assert verdict.findings


def test_a_case_that_refuses_an_edit_points_at_the_rule(verdicts: list[Verdict]) -> None:
    """A case's finding stands at the line of the case. It counts as being at the right line where it names the rule of the edited line,
    by its id or its place: always, but where the edit moved the row, took it out, or gave it another name."""
    asked = placed = 0
    for verdict in verdicts:
        if verdict.fate is not Fate.CASE:
            continue
        (finding,) = verdict.findings
        assert (finding.file, finding.code) == ("cases.csv", "case")
        mutation = verdict.mutation
        if mutation.file in ("agreements.csv", "prohibitions.csv") and mutation.kind in ("code", "date", "character"):
            asked += 1
            row = FILES[mutation.file].decode().split("\n")[mutation.line - 1]
            place, id = f"{mutation.file}:{mutation.line}", row.split(", ")[1]
            assert place in finding.message or f" {id}" in finding.message, f"{mutation}: {finding}"
            placed += place in finding.message
    assert asked > 60
    assert placed > 20


def _mutated(file: str, old: str, new: str) -> Mutation:
    text = FILES[file].decode()
    assert old in text
    line = text[: text.index(old)].count("\n") + 1
    return Mutation("by hand", "by hand", file, line, 0, text.replace(old, new, 1).encode(), old, new)


@pytest.mark.parametrize(
    ("mutation", "fate"),
    [
        pytest.param(_mutated("prohibitions.csv", "PRO-0005, deny", "PRO-0005, Deny"), Fate.REFUSED, id="a-word-in-another-case"),
        pytest.param(_mutated("prohibitions.csv", "# Of partners.\n", "# Of partners."), Fate.REFUSED, id="a-row-swallowed-by-a-comment"),
        pytest.param(_mutated("prohibitions.csv", "p, PRO-0005", "#, PRO-0005"), Fate.REFUSED, id="a-row-made-a-comment"),
        pytest.param(_mutated("communities.csv", "NATO, ALL-PARTNERS", "NATO, ALL-PARNTERS"), Fate.REFUSED, id="a-community-misspelt"),
        pytest.param(_mutated("prohibitions.csv", "CONFIDENTIAL, NUCLEAR", "SECRET, NUCLEAR"), Fate.CASE, id="a-floor-raised"),
        pytest.param(_mutated("prohibitions.csv", "Atomic energy act", "Atomic energy law"), Fate.SAME_ROWS, id="another-basis"),
        pytest.param(_mutated("agreements.csv", "2014-12-10", "2013-12-10"), Fate.SAME_ROWS, id="what-is-past"),
        pytest.param(
            _mutated("prohibitions.csv", "IND, *, CONFIDENTIAL", "IND, none, CONFIDENTIAL"),
            Fate.SAME_DECISIONS,
            id="a-cell-the-matcher-does-not-look-at",
        ),
    ],
)
def test_the_judge_tells_apart_what_becomes_of_an_edit(mutation: Mutation, fate: Fate) -> None:
    assert Judge(FILES, AT).judge(mutation).fate is fate


def test_the_judge_sees_what_gets_past_everybody() -> None:
    """The same judge over a bundle without cases and `never` statements: a lost prohibition is a survivor there."""
    bare = FILES | {name: FILES[name].split(b"\n")[0] + b"\n" for name in ("cases.csv", "never.csv")}
    lost = _mutated("prohibitions.csv", "CONFIDENTIAL, NUCLEAR", "SECRET, NUCLEAR")
    assert Judge(bare, AT).judge(lost).fate is Fate.SURVIVES


def test_the_cases_of_the_sample_pass_and_exercise_every_rule() -> None:
    assert not [finding for finding in check_files(FILES) if finding.severity is Severity.ERROR]
    report = run_cases(read_bundle(FILES))
    assert not report.failed
    assert report.uncovered == ()
