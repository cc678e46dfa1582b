"""`entente policy check`, `test`, `decide`, `explain`, and every example of the officer's handbook that needs files only."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli.policy import policy_app
from service.policy import load_bundle, read_directory

POLICIES = Path(__file__).parents[2] / "policies"
FILES = read_directory(POLICIES)
RUNNER = CliRunner()
ASKED = (
    '{"partner":"JPN","action":"release","purpose":"none","label":{"level":"SECRET","categories":["MARITIME"],'
    '"releasable_to":["USA","JPN"],"caveats":[],"originators":["USA"]}}'
)


def _run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return RUNNER.invoke(policy_app, list(arguments), input=stdin)


def _write(folder: Path, **changed: bytes) -> Path:
    for name, content in (FILES | {name.replace("_", "."): text for name, text in changed.items()}).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    return _write(tmp_path, agreements_csv=FILES["agreements.csv"].replace(b"SECRET, CYBER, none", b"SECRET, CYBR, none"))


def test_check_of_the_sample_is_clean() -> None:
    result = _run("check", str(POLICIES))
    assert result.exit_code == 0
    assert load_bundle(POLICIES).digest in result.stdout
    assert "0 errors" not in result.stdout


def test_check_names_the_place_and_is_exit_1(broken: Path) -> None:
    result = _run("check", str(broken))
    assert result.exit_code == 1
    line = [" AGR-0003," in row for row in FILES["agreements.csv"].decode().splitlines()].index(True)
    assert f"agreements.csv:{line + 1}:46: unknown-category: unknown category `CYBR`, did you mean `CYBER`?" in result.stdout.splitlines()
    as_json = json.loads(_run("check", "--policies", str(broken), "--json", "--data", "x", "--token", "y").stdout)
    assert as_json["digest"] is None
    assert [(finding["line"], finding["column"]) for finding in as_json["findings"] if finding["severity"] == "error"] == [(line + 1, 46)]


def test_check_strict_counts_warnings() -> None:
    assert _run("check", str(POLICIES), "--strict").exit_code == 1


def test_what_cannot_be_done_is_exit_2(tmp_path: Path) -> None:
    assert _run("check", str(tmp_path / "nowhere")).exit_code == 2
    assert _run("test", str(tmp_path / "nowhere")).exit_code == 2
    assert _run("decide", str(tmp_path / "none.jsonl"), "--policies", str(POLICIES)).exit_code == 2
    assert _run("decide", "-", "--policies", str(tmp_path / "nowhere"), stdin="").exit_code == 2
    assert _run("decide", "-", "--policies", str(POLICIES), "--at", "tomorrow", stdin="").exit_code == 2
    assert _run("decide", "-", "--policies", str(POLICIES), "--engine", "fast", stdin="").exit_code == 2
    assert _run("check", "--nonsense").exit_code == 2


@pytest.mark.parametrize("engine", ["compiled", "stock"])
def test_test_runs_the_cases(engine: str) -> None:
    result = _run("test", str(POLICIES), "--engine", engine)
    assert result.exit_code == 0
    cases, rules = len(load_bundle(POLICIES).cases), len(load_bundle(POLICIES).rules)
    idle, *told = result.stdout.splitlines()
    assert idle.startswith("agreements.csv:23:1: redundant: `AGR-0012` can never decide anything: all of it is decided by `AGR-0002`")
    assert told == [
        f"{cases} of {cases} cases passed",
        f"{rules} of {rules} rules decided some case",
        "stored labels were not looked at: that needs a data folder and an officer's token (`--data`, `--token`)",
    ]


def test_test_says_which_case_fails_and_which_rule_has_none(tmp_path: Path) -> None:
    cases = FILES["cases.csv"].decode()
    # Right for the wrong reason, and a rule left without a case.
    cases = cases.replace("none, none, release, AGR-0003", "none, none, release, AGR-0002", 1)
    cases = "\n".join(line for line in cases.split("\n") if "AGR-0027" not in line)
    result = _run("test", str(_write(tmp_path, cases_csv=cases.encode())))
    assert result.exit_code == 1
    assert "`JPN-3`: the rules say release by AGR-0003, expected release by AGR-0002; see agreements.csv:7 (it covers" in result.stdout
    assert "no case is decided by AGR-0027" in result.stdout
    report = json.loads(_run("test", str(tmp_path), "--json").stdout)
    assert (report["failed"], report["uncovered"]) == (1, ["AGR-0027"])
    assert [case["case"] for case in report["cases"] if not case["passed"]] == ["JPN-3"]
    assert report["untried"] == ["AGR-0027"]
    assert report["stored"] == {"looked_at": False, "why": "that needs a data folder and an officer's token (`--data`, `--token`)"}


def test_check_says_which_construct_runs_on_stock_casbin_and_where(tmp_path: Path) -> None:
    """Each at its own column, with the reason; the policy is decided all the same, slowly."""
    model = FILES["model.conf"].decode()
    for construct, quoted in (("p.basis", "p.basis"), ("r.level", "r.level")):
        changed = model.replace("at_most(r.level, p.level)", f"({construct} || at_most(r.level, p.level))")
        result = _run("check", str(_write(tmp_path, model_conf=changed.encode())))
        told = [line for line in result.stdout.splitlines() if ": runs-on-stock: " in line]
        assert len(told) == 1, result.stdout
        number, line = next((number, line) for number, line in enumerate(changed.splitlines(), 1) if f"({construct} ||" in line)
        place, _, message = told[0].partition(": runs-on-stock: ")
        assert place == f"model.conf:{number}:{line.index(quoted) + 1}", told
        assert f"`{quoted}`" in message


REFUTED = b"NEV-0009, JPN, release, SECRET, MARITIME, *, *\n"


def test_a_never_that_does_not_hold_is_found_in_files_already(tmp_path: Path) -> None:
    folder = _write(tmp_path, never_csv=FILES["never.csv"] + REFUTED)
    line = len((FILES["never.csv"] + REFUTED).splitlines())
    for command in ("check", "test"):
        result = _run(command, str(folder))
        assert result.exit_code == 1
        (told,) = [row for row in result.stdout.splitlines() if row.startswith("never.csv:")]
        assert told.startswith(f"never.csv:{line}:1: never: `NEV-0009` does not hold: SECRET, MARITIME")
        assert "by AGR-0002" in told
        report = json.loads(_run(command, str(folder), "--json").stdout)
        assert [(one["line"], one["code"]) for one in report["findings"] if one["severity"] == "error"] == [(line, "never")]


def test_test_says_which_rules_can_never_decide_anything_and_which_make_it_so(tmp_path: Path) -> None:
    within = b"p, AGR-0098, allow, release, JPN, *, CONFIDENTIAL, MARITIME, none, *, , , Letter\n"
    forbidden = b"p, AGR-0099, allow, release, JPN, *, SECRET, INTEL-SOURCES, none, *, , , Letter\n"
    folder = _write(tmp_path, agreements_csv=FILES["agreements.csv"] + within + forbidden)
    result = _run("test", str(folder))
    lines = len(FILES["agreements.csv"].splitlines())
    idle = [line for line in result.stdout.splitlines() if line.startswith("agreements.csv:")]
    never = "can never decide anything"
    assert idle[1:] == [
        f"agreements.csv:{lines + 1}:1: redundant: `AGR-0098` {never}: all of it is decided by `AGR-0002` (warning)",
        f"agreements.csv:{lines + 2}:1: redundant: `AGR-0099` {never}: all of it is decided by `AGR-0002` `PRO-0001` (warning)",
    ]
    report = json.loads(_run("test", str(folder), "--json").stdout)
    assert [(one["line"], one["code"]) for one in report["findings"] if one["severity"] == "warning"][1:] == [
        (lines + 1, "redundant"),
        (lines + 2, "redundant"),
    ]


def test_decide_answers_each_line_in_order_and_nothing_else(tmp_path: Path) -> None:
    lines = [
        ASKED,
        "",
        "not json",
        "[]",
        ASKED.replace("JPN", "XXX"),
        ASKED.replace("MARITIME", "INTEL-SOURCES"),
        ASKED.replace('"action":"release"', '"action":"refer"'),
        ASKED.replace('"purpose":"none",', ""),
        ASKED.replace('"purpose"', '"why"'),
        ASKED.replace('"level"', '"level":"UNCLASSIFIED","level"'),
        ASKED.replace('"caveats":[],', ""),
        ASKED.replace('"SECRET"', "3"),
        ASKED.replace("MARITIME", "\\ud800"),
        '{"a":' * 5000,
        ASKED.replace('["USA","JPN"]', "NaN"),
        ASKED,
    ]
    file = tmp_path / "asked.jsonl"
    file.write_text("\n".join(lines) + "\n")
    result = _run("decide", str(file), "--policies", str(POLICIES), "--at", "2026-11-22", "--json")
    assert result.exit_code == 0
    answers = result.stdout.splitlines()
    assert len(answers) == len(lines)
    released = '{"outcome":"release","rules":["AGR-0002"],"matched":["AGR-0002"],"denied":[]}'
    assert [answer == released for answer in answers] == [index in (0, 7, 15) for index in range(len(lines))]
    assert answers[5] == '{"outcome":"withhold","rules":["PRO-0001"],"matched":[],"denied":["PRO-0001"]}'
    for index in (1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 13, 14):
        answer = json.loads(answers[index])
        assert (answer["outcome"], answer["rules"], answer["matched"], answer["denied"]) == ("withhold", [], [], [])
        assert answer["error"]


def test_decide_reads_stdin_bytes_that_are_no_text() -> None:
    result = _run("decide", "-", "--policies", str(POLICIES), stdin=b"\xff\xfe\n" + ASKED.encode())
    assert [json.loads(line)["outcome"] for line in result.stdout.splitlines()] == ["withhold", "release"]


def test_decide_agrees_with_stock_casbin_on_the_cases() -> None:
    bundle = load_bundle(POLICIES)
    asked = "".join(
        json.dumps({"partner": case.partner, "action": case.action, "purpose": case.purpose, "label": case.label.to_json()}) + "\n"
        for case in bundle.cases
    )
    answers = [
        _run("decide", "-", "--policies", str(POLICIES), "--at", "2026-11-22T10:00:00Z", "--engine", engine, stdin=asked).stdout
        for engine in ("compiled", "stock")
    ]
    assert answers[0] == answers[1]
    assert len(answers[0].splitlines()) == len(bundle.cases)


def test_decide_under_a_refused_policy_answers_nothing(broken: Path) -> None:
    result = _run("decide", "-", "--policies", str(broken), stdin=ASKED)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "unknown-category" in result.stderr


def test_explain_says_why_and_why_not() -> None:
    day = ("--at", "2026-11-22", "--policies", str(POLICIES))
    why = _run("explain", "--partner", "JPN", "--marking", "(S//REL TO USA, JPN)", "--category", "MARITIME", *day)
    assert why.exit_code == 0
    assert why.stdout.splitlines()[:2] == [
        "release to JPN: release by AGR-0002",
        "  allows: AGR-0002, Agreement on the protection of information 2014 (agreements.csv:7)",
    ]
    denied = _run("explain", "--partner", "IND", "--marking", "SECRET//REL TO USA, IND", "--category", "NUCLEAR", *day)
    assert "  forbids: PRO-0005, Atomic energy act (prohibitions.csv:10)" in denied.stdout.splitlines()
    nothing = _run("explain", "--partner", "UN-DPO", "--marking", "TOP SECRET//NOFORN", "--category", "NUCLEAR", *day)
    assert nothing.stdout.splitlines() == ["release to UN-DPO: withhold", "  no rule is one condition away from it"]
    as_json = json.loads(
        _run("explain", "--partner", "SGP", "--marking", "SECRET//REL TO USA, SGP", "--category", "MARITIME", "--json", *day).stdout
    )
    assert {
        "rule": "AGR-0021",
        "condition": "at_most(r.level, p.level)",
        "reason": "its ceiling is CONFIDENTIAL, the label is SECRET; released if its ceiling were SECRET",
    } in as_json["why_not"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--partner", "XXX", "--marking", "SECRET//REL TO USA, JPN", "--category", "MARITIME"),
        ("--partner", "JPN", "--marking", "SECRT//REL TO USA, JPN", "--category", "MARITIME"),
        ("--partner", "JPN", "--marking", "SECRET//REL TO USA, JPN", "--category", "MARITIM"),
        ("--partner", "JPN", "--marking", "SECRET//REL TO USA, JPN"),
    ],
)
def test_explain_refuses_what_it_does_not_know(arguments: tuple[str, ...]) -> None:
    assert _run("explain", *arguments, "--policies", str(POLICIES)).exit_code == 1


# The handbook.

# Its commands are run, and what they print compared, by tests/guides/test_officer_guide.py; here are the parts that are only shown.

_HANDBOOK = (POLICIES / "README.md").read_text(encoding="utf-8").partition("## See what an edit would do")[0]


def test_the_handbook_has_an_example_of_each_command() -> None:
    told = " ".join(re.findall(r"^```sh\n(.*?)\n```$", _HANDBOOK, re.MULTILINE | re.DOTALL))
    assert {name for name in ("check", "format", "test", "decide", "explain") if f"entente policy {name}" in told} == {
        "check",
        "format",
        "test",
        "decide",
        "explain",
    }


def test_the_handbooks_agreement_and_cases_can_be_added_as_they_stand(tmp_path: Path) -> None:
    (agreement,) = re.findall(r"^p, AGR-0028.*$", _HANDBOOK, re.MULTILINE)
    cases = re.findall(r"^IND-\d+, .*$", _HANDBOOK, re.MULTILINE)
    assert len(cases) == 2
    folder = _write(
        tmp_path,
        agreements_csv=FILES["agreements.csv"] + f"{agreement}\n".encode(),
        cases_csv=FILES["cases.csv"] + "".join(f"{case}\n" for case in cases).encode(),
    )
    assert _run("test", str(folder)).exit_code == 0


def test_the_handbooks_sample_lines_are_those_of_a_bundle() -> None:
    lines = {line for content in FILES.values() for line in content.decode().splitlines()}
    for line in ("g2, JPN, active, , , nation, Japan", "g, JPN, QUAD, 2017-11-12,"):
        assert f"`{line}`" in _HANDBOOK
        assert line in lines


def test_the_handbooks_mistake_is_found_as_it_says(tmp_path: Path) -> None:
    (agreement,) = re.findall(r"^p, AGR-0028.*$", _HANDBOOK, re.MULTILINE)
    (finding,) = re.findall(r"^agreements\.csv:.*DIPLOMATC.*$", _HANDBOOK, re.MULTILINE)
    mistaken = agreement.replace("DIPLOMATIC", "DIPLOMATC")
    folder = _write(tmp_path, agreements_csv=FILES["agreements.csv"] + f"{mistaken}\n".encode())
    assert finding in _run("check", str(folder)).stdout.splitlines()


def test_the_handbooks_failing_case_fails_as_it_says(tmp_path: Path) -> None:
    (told,) = re.findall(r"^cases\.csv:\d+:1: case: .*$", _HANDBOOK, re.MULTILINE)
    raised = FILES["prohibitions.csv"].replace(b"IND, *, CONFIDENTIAL, NUCLEAR", b"IND, *, TOP SECRET, NUCLEAR")
    printed = _run("test", str(_write(tmp_path, prohibitions_csv=raised))).stdout.splitlines()
    # The line of the case moves with every case before it.
    (found,) = [line for line in printed if "`IND-8`" in line]
    assert re.sub(r"^cases\.csv:\d+", "", found) == re.sub(r"^cases\.csv:\d+", "", told)


def test_a_case_points_at_the_rule_and_says_why_it_does_not_hold(tmp_path: Path) -> None:
    cases = FILES["cases.csv"].decode().replace("JPN-9, 2026-11-22, JPN", "JPN-9, 2013-01-01, JPN")
    cases = "".join(
        f"{line.removesuffix('withhold, none')}release, AGR-0002\n" if line.startswith("JPN-9,") else f"{line}\n"
        for line in cases.splitlines()
    )
    report = json.loads(_run("test", str(_write(tmp_path, cases_csv=cases.encode())), "--json").stdout)
    (failed,) = [case for case in report["cases"] if not case["passed"]]
    assert failed["see"] == [{"rule": "AGR-0002", "file": "agreements.csv", "line": 7, "why": "not in force on that day"}]
