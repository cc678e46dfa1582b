"""`model.conf`: officers may change it, and what Casbin would decide otherwise than written is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.labels.label import Label
from service.policy import Outcome, Severity, check_files, read_bundle, read_directory

POLICIES = Path(__file__).parents[2] / "policies"
FILES = read_directory(POLICIES)
MODEL = FILES["model.conf"].decode()
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def _with_model(text: str) -> dict[str, bytes]:
    return FILES | {"model.conf": text.encode()}


def _with_matcher(matcher: str) -> dict[str, bytes]:
    return _with_model(f"{MODEL.partition('m = ')[0]}m = {matcher}\n")


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("[matchers]", "[matcher]", "section", "[matcher]"),
        ("[matchers]", "#matchers]", "comment", "#"),
        ("g2 = _, _", "# = _, _", "comment", "#"),
        ("[matchers]", "[Matchers]", "section", "[Matchers]"),
        ("[policy_effect]", "[policy_effect]\n[policy_effect]", "twice", ""),
        ("g2 = _, _", "g2 = _, _\ng2 = _, _", "twice", ""),
        ("g2 = _, _\n", "", "missing-key", ""),
        ("g2 = _, _", "g2 = _, _, _", "role-definition", "_, _, _"),
        ("g2 = _, _", "g3 = _, _", "unknown-key", "g3"),
        ("m = g2", "m2 = g2", "unknown-key", "m2"),
        ("r = partner, action", "r = partner, act", "columns", "act"),
        ("r = partner, action", "r = action, partner", "columns", "action"),
        ("until, basis", "until", "columns", ""),
        ("until, basis", "until, basis, more", "columns", "more"),
        ("&& !some(where (p.eft == deny))", "", "effect", ""),
        ("e = some(where (p.eft == allow)) && !some(where (p.eft == deny))", "e = priority(p.eft) || deny", "effect", "priority"),
        ("e = some(where (p.eft == allow))", "e =  some(where (p.eft  == allow))", "effect", "some"),
        ('p.eft == "allow"', 'p.eft == "Allow"', "constant", '"Allow"'),
        ('p.eft == "deny"', 'p.eft == "dney"', "constant", '"dney"'),
        ('p.eft == "deny"', 'p.eft == "deny || allow"', "constant", '"deny'),
        ('p.eft == "deny"', 'p.eft == "p.eft"', "constant", '"p.eft"'),
        ('p.action == "refer" && r.action == "refer"', 'p.action == "refer" && r.action == "ask"', "constant", '"ask"'),
        ("at_least(r.level, p.level)", "at_lest(r.level, p.level)", "unknown-function", "at_lest"),
        ("at_least(r.level, p.level)", "at_least(r.level)", "arguments", "at_least"),
        ("at_least(r.level, p.level)", "at_least(r.levels, p.level)", "unknown-name", "r.levels"),
        ("at_least(r.level, p.level)", "at_least(level, p.level)", "unknown-name", "level"),
        ("at_least(r.level, p.level)", "at_least(r.level, 3)", "constant", "3"),
        ("at_least(r.level, p.level)", "timeMatch(p.from, p.until)", "clock", "timeMatch"),
        ("at_least(r.level, p.level)", "eval(p.basis)", "eval", "eval"),
        # What raises on every row, or is always true: no error of Casbin's, and nothing that an officer would find by reading.
        ("at_least(r.level, p.level)", "at_least(r.action, p.level)", "argument", "r.action"),
        ("at_least(r.level, p.level)", "at_least(r.level, p.basis)", "argument", "p.basis"),
        ("touches(p.caveats, r.caveats)", "touches(p.categories, r.caveats)", "argument", "touches"),
        ("touches(p.caveats, r.caveats)", "touches(r.caveats, p.caveats)", "argument", "r.caveats"),
        ("touches(p.caveats, r.caveats)", "(p.caveats, r.caveats)", "matcher", "(p.caveats"),
        ("touches(p.caveats, r.caveats)", '"caveats"', "matcher", ""),
        ("g(r.partner, p.grantee)", "g(r.purpose, p.grantee)", "argument", "r.purpose"),
        ('g2(r.partner, "active")', 'g2(r.partner, "activ")', "constant", '"activ"'),
        ('g2(r.partner, "active")', "g2(r.partner, p.grantee)", "argument", ""),
        ('g2(r.partner, "active") && g', 'g2(r.partner, "active") & g', "matcher", "& g"),
        ("at_least(r.level, p.level)", "r.level >= p.level", "matcher", ""),
        ("at_least(r.level, p.level)", "at_least(r.level, p.level) # the floor", "comment", "#"),
        ("at_least(r.level, p.level)", "at_least(r.level, p.level); True", "character", ";"),
        ("at_least(r.level, p.level)", "at_least(r.level, p.level) &&", "matcher", ""),
        ("at_least(r.level, p.level)", "r.level.upper()", "matcher", ""),
        ("at_least(r.level, p.level)", "(lambda x: x)(r.level)", "matcher", ""),
        ("at_least(r.level, p.level)", "(" * 100 + "at_least(r.level, p.level)" + ")" * 100, "nesting", ""),
        ("at_least(r.level, p.level)", "!" * 5000 + "at_least(r.level, p.level)", "nesting", ""),
        ("at_least(r.level, p.level)", "r.level is p.level", "matcher", "is"),
        ("at_least(r.level, p.level)", "r.level" + " + r.level" * 200 + " == p.level", "nesting", ""),
        ("m = ", "m\n", "line", ""),
        ("[matchers]\n", "[matchers]\nsome words\n", "line", "some words"),
    ],
)
def test_refuses_a_model_that_means_something_else(old: str, new: str, code: str, words: str) -> None:
    assert old in MODEL
    changed = MODEL.replace(old, new, 1)
    findings = [finding for finding in check_files(_with_model(changed)) if finding.severity is Severity.ERROR]
    assert (code, "model.conf") in {(finding.code, finding.file) for finding in findings}, findings
    if words:
        offset = MODEL.index(old) + new.index(words)
        before = changed[:offset]
        place = (before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)
        assert place in {(finding.line, finding.column) for finding in findings if finding.code == code}, findings


def test_refuses_a_matcher_that_is_too_deep_for_the_parser() -> None:
    changed = MODEL.replace("at_least(r.level, p.level)", "r.level" + " + r.level" * 6000 + " == p.level", 1)
    (finding,) = check_files(_with_model(changed))
    # Which limit it meets first depends on how deep the stack is already.
    assert finding.code in ("matcher", "nesting", "too-large")


@pytest.mark.parametrize(
    "matcher",
    [
        'g2(r.partner, "active")',
        'g2(r.partner, "active") && r.action == "release"',
        'p.grantee == "" || g(r.partner, p.grantee)',
        'p.eft != "deny" && g2(r.partner, "active")',
        'p.eft == "allow" || at_most(r.level, "SECRET")',
        "g(p.grantee, p.grantee)",
        "r.partner != p.grantee",
    ],
)
def test_refuses_a_matcher_that_may_be_true_where_there_is_no_row(matcher: str) -> None:
    assert "blank-rows" in {finding.code for finding in check_files(_with_matcher(matcher))}


@pytest.mark.parametrize(
    ("matcher", "released"),
    [
        ("g(r.partner, p.grantee) && at_most(r.level, p.level)", True),
        ('g2(r.partner, "active") && p.grantee == r.partner && covers(p.categories, r.categories)', True),
        ('p.eft == "allow" && permits(p.action, r.action) && r.partner in (p.grantee, "SGP")', True),
        ('p.eft == "deny" && g(r.partner, p.grantee)', False),
        ('p.eft == "allow" && g(r.partner, p.grantee) && !addressed(r.action, r.releasable_to, r.display_to, r.partner)', False),
        ('p.eft == "allow" && keyMatch(r.partner, p.grantee)', True),
    ],
)
def test_follows_another_model_over_the_same_columns(matcher: str, released: bool) -> None:
    bundle = read_bundle(_with_matcher(matcher))
    label = Label("SECRET", ("MARITIME",), ("JPN", "USA"), (), ("USA",))
    assert (bundle.snapshot(NOW).decide("JPN", "release", label).outcome == Outcome.RELEASE) is released
    assert bundle.snapshot(NOW).uncompiled is None


def test_a_matcher_may_be_written_over_several_lines() -> None:
    head, _, matcher = MODEL.partition("m = ")
    written = matcher.strip().replace(" && g(r.partner", " && \\\n    g(r.partner").replace(" || (p.eft", " || \\\n    (p.eft")
    assert written.count("\\\n") == 2
    files = _with_model(f"{head}m = {written}\n")
    assert check_files(files) == ()
    label = Label("SECRET", ("MARITIME",), ("JPN", "USA"), (), ("USA",))
    assert read_bundle(files).snapshot(NOW).decide("JPN", "release", label).rules == ("AGR-0002",)
    broken = _with_model(f"{head}m = {written.replace('p.grantee', 'p.grante')}\n")
    (finding,) = [finding for finding in check_files(broken) if finding.severity is Severity.ERROR]
    assert (finding.line, finding.code, finding.suggestion) == (head.count("\n") + 2, "unknown-name", "grantee")


def test_warns_of_a_column_that_the_matcher_does_not_look_at() -> None:
    findings = check_files(_with_matcher("g(r.partner, p.grantee) && at_most(r.level, p.level)"))
    unused = {finding.message.split("`")[1] for finding in findings if finding.code == "column-unused"}
    assert unused == {"p.action", "p.purpose", "p.categories", "p.caveats", "p.originator"}
    assert {finding.severity for finding in findings} == {Severity.WARNING}
