"""`entente marking`: one line in, one line out, in order; from files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.settings import IMPORT_LINE_BYTES_MAX

ROOT = Path(__file__).parents[2]
POLICIES = ROOT / "policies"
PAGES: list[dict[str, Any]] = json.loads((ROOT / "tests/labels/published/capco2016_rollup_vectors.json").read_text())
OK = "the banner says what its portions require, and no more"


def run(
    command: str, *lines: object, options: tuple[str, ...] = ("--profile", "IC-2016"), environment: dict[str, str] | None = None
) -> Result:
    """A command over lines on stdin: bytes as they are, anything else as JSON. No data folder exists where it runs."""
    given = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    variables = {"ENTENTE_DATA": "/nonexistent", "ENTENTE_POLICIES": None, "ENTENTE_TOKEN": None, **(environment or {})}
    return CliRunner(env=variables).invoke(app, ["marking", command, *options, "-"], input=given)


def answers(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_check_answers_every_page_of_the_manual_with_ok() -> None:
    result = run("check", *({"portions": page["portions"], "banner": page["banner"]} for page in PAGES))
    assert [answer["verdict"] for answer in answers(result)] == ["ok"] * 66
    assert result.exit_code == 0


def test_check_answers_in_order_with_the_first_verdict_that_applies() -> None:
    result = run(
        "check",
        {"portions": ["(S//NF)"], "banner": "SECRET//NOFORN"},
        {"portions": ["(S//NF)", "(U)"], "banner": "UNCLASSIFIED"},
        {"portions": ["(S//REL TO USA, GBR)"], "banner": "SECRET//NOFORN"},
        {"portions": ["(S//NF)"], "banner": "SECERT//NOFORN"},
        {"portions": ["(S//NFX)"], "banner": "SECRET//NOFORN"},
    )
    assert answers(result) == [
        {"verdict": "ok", "banner": "SECRET//NOFORN", "why": OK},
        {
            "verdict": "too loose",
            "banner": "SECRET//NOFORN",
            "why": "level `UNCLASSIFIED` is below `SECRET` of a portion; "
            "the banner says nothing of foreign disclosure, expected `NOFORN`: a portion bears it (table 3, rules 1 to 8, 14, 15)",
        },
        {
            "verdict": "too strict",
            "banner": "SECRET//REL TO USA, GBR",
            "why": "the banner has `NOFORN`, and the portions allow `REL TO USA, GBR`",
        },
        {
            "verdict": "invalid",
            "banner": "SECRET//NOFORN",
            "why": "banner: unknown level `SECERT`, expected one of `UNCLASSIFIED`, `CONFIDENTIAL`, `SECRET`, `TOP SECRET`, "
            "at character 0 of marking; nearest legal marking `SECRET//NOFORN`",
        },
        {
            "verdict": "invalid",
            "banner": None,
            "why": "portion 1: unknown control `NFX` at character 4 of marking; nearest legal marking `(S//NF)`",
        },
    ]
    assert result.exit_code == 1


def test_rollup_gives_the_tightest_lawful_banner() -> None:
    result = run(
        "rollup",
        {"portions": ["(S//REL TO USA, JPN, GBR)", "(C//REL TO USA, FVEY)", "(U)"]},
        {"portions": ["(S//REL)"], "banner": "SECRET//REL TO USA, GBR"},
        {"portions": ["(TS//SI-G ABCD//NF)", "(TS//TK//REL TO USA, GBR)"]},
    )
    assert answers(result) == [
        {"banner": "SECRET//REL TO USA, GBR"},
        {"banner": "SECRET//REL TO USA, GBR"},
        {"banner": "TOP SECRET//SI-G ABCD/TK//NOFORN"},
    ]
    assert result.exit_code == 0


def test_parse_says_what_a_marking_means() -> None:
    result = run(
        "parse",
        {"marking": "(TS//TK//FGI DEU//oc/rel to USA, DEU/DISPLAY ONLY JPN)"},
        "//NATO SECRET",
        {"banner": "U"},
        {"portion": "s//nf"},
    )
    first, second, third, fourth = answers(result)
    assert first == {
        "marking": "(TS//TK//FGI DEU//oc/rel to USA, DEU/DISPLAY ONLY JPN)",
        "level": "TOP SECRET",
        "releasable_to": ["DEU", "USA"],
        "display_to": ["JPN"],
        "caveats": ["ORCON"],
        "issuers": [],
        "originators": ["DEU", "USA"],
        "controls": ["TK"],
        "unreleasable": True,
        "banner": "TOP SECRET//TK//FGI DEU//ORCON/REL TO USA, DEU/DISPLAY ONLY JPN",
        "portion": "(TS//TK//FGI DEU//OC/REL TO USA, DEU/DISPLAY ONLY JPN)",
    }
    assert (second["level"], second["issuers"], second["originators"]) == ("NATO SECRET", ["NATO"], ["NATO"])
    assert (third["level"], third["releasable_to"], third["banner"]) == ("UNCLASSIFIED", ["*"], "UNCLASSIFIED")
    assert (fourth["releasable_to"], fourth["portion"]) == ([], "(S//NF)")
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("marking", "code", "offset", "nearest"),
    [
        pytest.param("(S//NOFRON)", "unknown-token", 4, "(S//NF)", id="token"),
        pytest.param("SECRET/NOFORN", "malformed-marking", 6, "SECRET//NOFORN", id="malformed"),
        pytest.param("SECRET//REL TO USA, QQQ", "unknown-code", 20, None, id="code"),
        pytest.param("", "unmarked", 0, None, id="unmarked"),
        pytest.param("(S//REL)", "unknown-token", 4, None, id="left-to-its-banner"),
    ],
)
def test_parse_tells_place_and_nearest_of_what_it_does_not_understand(marking: str, code: str, offset: int, nearest: str | None) -> None:
    result = run("parse", {"marking": marking})
    (answer,) = answers(result)
    assert (answer["marking"], answer["code"], answer["offset"], answer["nearest"]) == (marking, code, offset, nearest)
    assert answer["error"]
    assert set(answer) == {"marking", "error", "code", "offset", "nearest"}
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(b"nonsense", "not JSON at character 0", id="not-json"),
        pytest.param(b"", "not JSON at character 0", id="empty"),
        pytest.param(b"\xff", "byte 0 is not UTF-8", id="not-utf-8"),
        pytest.param(b'{"portions":["S"],"portions":["U"],"banner":"U"}', "stands twice", id="a-member-twice"),
        pytest.param([], "a line is a JSON object", id="no-object"),
        pytest.param({"banner": "U"}, "a line without `portions`", id="no-portions"),
        pytest.param({"portions": "U", "banner": "U"}, "`portions` is a list of strings", id="portions-no-list"),
        pytest.param({"portions": [1], "banner": "U"}, "`portions` is a list of strings", id="portions-not-of-strings"),
        pytest.param({"portions": ["U"], "banner": 1}, "`banner` is a string", id="banner-no-string"),
        pytest.param(
            {"portions": ["U"], "banner": "U", "x": 1}, "unknown member `x`, expected `portions` and `banner`", id="unknown-member"
        ),
    ],
)
def test_a_line_that_is_not_understood_is_answered_in_its_place(line: object, message: str) -> None:
    good = {"portions": ["(U)"], "banner": "UNCLASSIFIED"}
    result = run("check", good, line, good)
    before, answer, after = answers(result)
    assert before == after == {"verdict": "ok", "banner": "UNCLASSIFIED", "why": OK}
    assert (answer["verdict"], answer["banner"]) == ("invalid", None)
    assert message in answer["error"]
    assert answer["why"] == answer["error"]
    assert result.exit_code == 1
    assert message in answers(run("rollup", line))[0]["error"] or line == {"banner": "U"}


def test_a_line_without_banner_cannot_be_checked() -> None:
    assert answers(run("check", {"portions": ["U"]}))[0]["error"] == "a line without `banner`"


@pytest.mark.parametrize("line", [{}, {"marking": 1}, {"text": "U"}, {"marking": "U", "portion": "U"}, 7, None])
def test_parse_takes_one_text_a_line(line: object) -> None:
    result = run("parse", line)
    assert "string" in answers(result)[0]["error"]
    assert result.exit_code == 1


def test_a_line_too_long_is_answered_and_the_next_one_too() -> None:
    result = run("parse", b'"' + b"S" * (2 * IMPORT_LINE_BYTES_MAX) + b'"', "(S)")
    long, good = answers(result)
    assert "not JSON" in long["error"]
    assert good["level"] == "SECRET"


def test_half_a_surrogate_pair_is_answered(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_bytes(b'"\\ud800"')
    result = CliRunner().invoke(app, ["marking", "parse", "--profile", "PLAIN", str(file)])
    assert answers(result)[0]["code"] == "malformed-marking"


def test_an_empty_file_has_no_answers() -> None:
    result = run("check")
    assert (result.stdout, result.exit_code) == ("", 0)


def test_the_profile_is_that_of_the_policies_unless_one_is_asked_for() -> None:
    page = {"portions": ["(S//REL TO USA, ASEA)", "(S//REL TO USA, IDN)", "(U//FOUO/REL TO USA, IDN)"], "banner": "SECRET//REL TO USA, IDN"}
    # The sample bundle expands no such community; the published register does. Both know the manual's controls.
    bundled = run("check", page, options=("--policies", str(POLICIES)))
    assert (answers(bundled)[0]["verdict"], answers(bundled)[0]["banner"]) == ("too loose", "SECRET//NOFORN")
    by_environment = run("check", page, options=(), environment={"ENTENTE_POLICIES": str(POLICIES)})
    assert by_environment.stdout == bundled.stdout
    published = run("check", page, environment={"ENTENTE_POLICIES": str(POLICIES)})
    assert answers(published)[0]["verdict"] == "ok"
    both = run("check", page, options=("--profile", "IC-2016", "--policies", str(POLICIES)))
    assert both.stdout == bundled.stdout
    plain = run("check", page, options=("--profile", "PLAIN", "--policies", str(POLICIES)))
    assert answers(plain)[0]["banner"] == "SECRET//FOUO//NOFORN"


def test_levels_of_others_go_by_the_bundles_table_and_day() -> None:
    page = {"portions": ["(//DEU GEHEIM//NF)", "(U)"]}
    result = run("rollup", page, options=("--policies", str(POLICIES), "--at", "2026-11-22"))
    assert answers(result) == [{"banner": "//DEU GEHEIM//NOFORN"}]
    mixed = run("rollup", {"portions": ["(//DEU GEHEIM//NF)", "(C//NF)"]}, options=("--policies", str(POLICIES)))
    assert answers(mixed) == [{"banner": "SECRET//FGI DEU//NOFORN"}]
    unknown = run("rollup", {"portions": ["(//DEU GEHEIM//NF)"]})
    assert "has no equivalent on our ladder" in answers(unknown)[0]["error"]


@pytest.mark.parametrize("profile", ["PLAIN", "IC-2016", "NATO-4774", "TLP-2"])
def test_every_profile_has_a_register_of_its_own(profile: str) -> None:
    marks = {
        "PLAIN": "(S//REL TO JPN)",
        "IC-2016": "(S//REL TO USA, JPN)",
        "NATO-4774": "(NS REL TO JPN)",
        "TLP-2": "TLP:AMBER//REL TO JPN",
    }
    options = ("--profile", profile)
    (made,) = answers(run("rollup", {"portions": [marks[profile]]}, options=options))
    assert "error" not in made
    checked = run("check", {"portions": [marks[profile]], "banner": made["banner"]}, options=options)
    assert [answer["verdict"] for answer in answers(checked)] == ["ok"]
    (said,) = answers(run("parse", marks[profile], options=options))
    assert "JPN" in said["releasable_to"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["check"], "missing argument", id="no-file"),
        pytest.param(
            ["check", "--profile", "IC-2016", "/nonexistent.jsonl"], "cannot read `/nonexistent.jsonl`: no such file", id="no-such-file"
        ),
        pytest.param(["check", "--profile", "IC", "-"], "'ic' is not one of", id="no-such-profile"),
        pytest.param(["check", "--policies", "/nonexistent", "-"], "`--profile` needs no policies", id="no-such-policies"),
        pytest.param(["check", "--at", "soon", "--profile", "PLAIN", "-"], "`soon` is neither a day nor a time", id="no-time"),
        pytest.param(
            ["check", "--policies", str(POLICIES), "--profile", "TLP-2", "-"], "is no colour of profile", id="levels-of-another-profile"
        ),
        pytest.param(["improve", "-"], "no such command", id="no-such-command"),
    ],
)
def test_what_cannot_be_done_is_exit_2_and_one_line(arguments: list[str], message: str) -> None:
    result = CliRunner(env={"ENTENTE_POLICIES": None}).invoke(app, ["marking", *arguments], input=b"")
    assert result.exit_code == 2
    assert message in result.stderr.lower()
    assert result.stdout == ""


def test_policies_that_are_refused_are_exit_1(tmp_path: Path) -> None:
    for file in POLICIES.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "partners.csv").write_bytes(b"g2, JPN\n")
    result = run("check", options=("--policies", str(tmp_path)))
    assert result.exit_code == 1
    assert "partners.csv:1" in result.stderr
