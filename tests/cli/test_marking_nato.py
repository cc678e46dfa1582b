"""`entente marking` in the profiles of the Alliance and of the Traffic Light Protocol, from files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli import app

PUBLISHED = Path(__file__).parents[1] / "labels" / "published"
VECTORS: list[dict[str, Any]] = json.loads((PUBLISHED / "adatp4774_table17_vectors.json").read_text())


def answers(command: str, profile: str, lines: list[object], tmp_path: Path, *, code: int) -> list[dict[str, Any]]:
    file = tmp_path / "lines.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = CliRunner().invoke(app, ["marking", command, "--profile", profile, str(file)])
    assert result.exit_code == code, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_label_of_table_17_is_parsed_and_its_marking_is_the_same(tmp_path: Path) -> None:
    named = [vector for vector in VECTORS if vector["lang"] == "en"]
    by_xml = answers("parse", "NATO-4774", [{"banner": vector["content"]} for vector in named], tmp_path, code=0)
    by_text = answers("parse", "NATO-4774", [{"banner": vector["expected_marking"]} for vector in named], tmp_path, code=0)
    assert [{**answer, "marking": ""} for answer in by_xml] == [{**answer, "marking": ""} for answer in by_text]
    assert {answer["banner"] for answer in by_text} >= {
        "NATO UNCLASSIFIED Releasable to ISAF, KFOR, RESOLUTE SUPPORT",
        "NATO UNCLASSIFIED - STAFF",
        "COSMIC TOP SECRET",
    }


def test_a_marking_of_the_alliance_is_said_part_by_part(tmp_path: Path) -> None:
    (answer,) = answers("parse", "NATO-4774", [{"marking": "(NS ATOMAL REL TO JPN - STAFF)"}], tmp_path, code=0)
    assert (answer["level"], answer["releasable_to"], answer["caveats"]) == ("SECRET", ["JPN", "NATO"], ["ATOMAL", "STAFF"])
    assert answer["banner"] == "NATO SECRET ATOMAL Releasable to Japan - STAFF"
    assert answer["portion"] == "(NS ATOMAL REL TO JPN - STAFF)"


@pytest.mark.parametrize(
    ("profile", "marking", "code", "offset", "nearest"),
    [
        ("NATO-4774", "NATO TOP SECRET", "malformed-marking", 0, "COSMIC TOP SECRET"),
        ("NATO-4774", "NATO SECRT", "unknown-level", 5, "NATO SECRET"),
        ("NATO-4774", "<a/>", "malformed-marking", 0, None),
        ("NATO-4774", "NATO SECRET Releasable to Japam", "unknown-code", 26, None),
        ("TLP-2", "TLP:AMBR", "unknown-level", 0, "TLP:AMBER"),
        ("TLP-2", "TLP:RED//REL TO", "malformed-marking", 9, None),
    ],
)
def test_what_is_not_a_marking_is_an_error_with_its_place(
    profile: str, marking: str, code: str, offset: int, nearest: str | None, tmp_path: Path
) -> None:
    (answer,) = answers("parse", profile, [{"marking": marking}], tmp_path, code=1)
    assert (answer["code"], answer["offset"], answer["nearest"]) == (code, offset, nearest)


def test_the_tightest_banner_of_a_page_is_rolled_up(tmp_path: Path) -> None:
    pages = [
        {"portions": ["(NU)", "(NS REL TO JPN, CHE)", "(NC REL TO JPN)"]},
        {"portions": ["(NS REL TO JPN)", "(NS CHE ONLY)"]},
        {"portions": ["(NS)", "(NS DEU, JPN ONLY)"]},
        {"portions": ["(NATO/KFOR SECRET)", "(NC KFOR ONLY)"]},
        {"portions": ["(NU REL TO the Public)", "(NU REL TO the Public)"]},
    ]
    # The published register expands NATO into its members: Germany is one, Japan is not.
    assert [answer["banner"] for answer in answers("rollup", "NATO-4774", pages, tmp_path, code=0)] == [
        "NATO SECRET",
        "NATO SECRET NATO-HQ ONLY",
        "NATO SECRET Germany ONLY",
        "NATO/KFOR SECRET",
        "NATO UNCLASSIFIED Releasable to the Public",
    ]
    pages = [
        {"portions": ["(TLP:CLEAR)", "(TLP:GREEN)"]},
        {"portions": ["(TLP:CLEAR)", "(TLP:AMBER//REL TO JPN, GBR)", "(TLP:GREEN//REL TO JPN)"]},
        {"portions": ["(TLP:AMBER//REL TO JPN)", "(TLP:AMBER+STRICT)"]},
    ]
    assert [answer["banner"] for answer in answers("rollup", "TLP-2", pages, tmp_path, code=0)] == [
        "TLP:GREEN",
        "TLP:AMBER//REL TO JPN",
        "TLP:AMBER+STRICT",
    ]


@pytest.mark.parametrize(
    ("profile", "portions", "banner", "verdict", "required"),
    [
        ("TLP-2", ["(TLP:RED//REL TO JPN)", "(TLP:CLEAR)"], "TLP:RED//REL TO JPN", "ok", "TLP:RED//REL TO JPN"),
        ("TLP-2", ["(TLP:RED//REL TO JPN)"], "TLP:AMBER//REL TO JPN", "too loose", "TLP:RED//REL TO JPN"),
        ("TLP-2", ["(TLP:AMBER//REL TO JPN)"], "TLP:AMBER//REL TO JPN, GBR", "too loose", "TLP:AMBER//REL TO JPN"),
        ("TLP-2", ["(TLP:AMBER//REL TO JPN)"], "TLP:RED", "too strict", "TLP:AMBER//REL TO JPN"),
        ("TLP-2", ["(TLP:AMBER//REL TO JPN)"], "TLP:PURPLE", "invalid", "TLP:AMBER//REL TO JPN"),
        ("NATO-4774", ["(NS REL TO JPN)", "(NS)"], "NATO SECRET", "ok", "NATO SECRET"),
        ("NATO-4774", ["(NS REL TO JPN)", "(NS)"], "NATO SECRET Releasable to Japan", "too loose", "NATO SECRET"),
        ("NATO-4774", ["(NS REL TO JPN)"], "NATO SECRET", "too strict", "NATO SECRET Releasable to Japan"),
        ("NATO-4774", ["(NC)", "(NR)"], "NATO RESTRICTED", "too loose", "NATO CONFIDENTIAL"),
        ("NATO-4774", ["(NC)", "(NR)"], "NATO SECRET", "too strict", "NATO CONFIDENTIAL"),
        ("NATO-4774", ["(NC ATOMAL)"], "NATO CONFIDENTIAL", "too loose", "NATO CONFIDENTIAL ATOMAL"),
        ("NATO-4774", ["(NC)"], "NATO CONFIDENTIAL - STAFF", "too strict", "NATO CONFIDENTIAL"),
        ("NATO-4774", ["(NC)"], "CONFIDENTIAL", "invalid", "NATO CONFIDENTIAL"),
    ],
)
def test_a_banner_is_judged_over_its_portions(
    profile: str, portions: list[str], banner: str, verdict: str, required: str, tmp_path: Path
) -> None:
    (answer,) = answers("check", profile, [{"portions": portions, "banner": banner}], tmp_path, code=0 if verdict == "ok" else 1)
    assert (answer["verdict"], answer["banner"]) == (verdict, required)
    assert answer["why"]


LABEL = {"level": "SECRET", "categories": [], "releasable_to": ["NATO", "JPN"], "caveats": ["ATOMAL"], "originators": ["NATO"]}


def rewritten(lines: list[object], tmp_path: Path, *options: str, profile: str = "NATO-4774", code: int = 0) -> list[dict[str, Any]]:
    file = tmp_path / "lines.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = CliRunner().invoke(app, ["marking", "write", str(file), "--profile", profile, *options])
    assert result.exit_code == code, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_label_is_written_in_both_languages(tmp_path: Path) -> None:
    assert rewritten([{"label": LABEL}], tmp_path) == [
        {"banner": "NATO SECRET ATOMAL Releasable to Japan", "portion": "(NS ATOMAL REL TO JPN)"}
    ]
    (french,) = rewritten([{"label": LABEL}], tmp_path, "--language", "fr")
    assert french == {"banner": "NATO SECRET ATOMAL Communicable a Japon", "portion": "(NS ATOMAL REL TO JPN)"}
    again = answers("parse", "NATO-4774", [{"banner": french["banner"]}], tmp_path, code=0)
    assert (again[0]["level"], again[0]["releasable_to"], again[0]["caveats"]) == ("SECRET", ["JPN", "NATO"], ["ATOMAL"])


def test_a_marking_is_written_as_xml_with_its_time_and_read_again(tmp_path: Path) -> None:
    made = "2026-11-22T10:00:00.000000Z"
    lines = [{"label": LABEL, "created": made}, {"marking": "SECRET OTAN ATOMAL Communicable à Japon", "created": made}]
    first, second = rewritten(lines, tmp_path, "--format", "stanag4774")
    assert first == second
    (read,) = answers("parse", "NATO-4774", [{"xml": first["xml"]}], tmp_path, code=0)
    (label,) = read["labels"]
    assert (label["level"], label["releasable_to"], label["caveats"]) == ("SECRET", ["JPN", "NATO"], ["ATOMAL"])
    assert (label["created"], label["references"]) == (made, [])
    assert label["banner"] == "NATO SECRET ATOMAL Releasable to Japan"


def test_every_sidecar_is_parsed_with_what_it_is_bound_to(tmp_path: Path) -> None:
    files = sorted((PUBLISHED / "stanag4778").glob("*.bdo"))
    read = answers("parse", "NATO-4774", [{"xml": file.read_text(encoding="utf-8")} for file in files], tmp_path, code=0)
    assert len(read) == 21
    for file, answer in zip(files, read, strict=True):
        (label,) = answer["labels"]
        mark = file.name.split("_")[1]
        assert label["portion"] == f"({mark})"
        assert [one["uri"] for one in label["references"]] == [f"./{file.name.removesuffix('.bdo')}"]


@pytest.mark.parametrize(
    ("line", "options", "error"),
    [
        pytest.param({"label": {**LABEL, "caveats": ["NOSUCH"]}}, (), "caveat", id="a-caveat-unknown"),
        pytest.param({"label": {**LABEL, "releasable_to": ["NATO", "QQQ"]}}, (), "unknown code `QQQ`", id="a-code-that-nobody-has"),
        pytest.param({"label": {**LABEL, "display_to": ["NATO", "JPN", "DEU"]}}, (), "may look and not keep", id="no-words-for-it"),
        pytest.param({"label": LABEL, "marking": "NATO SECRET"}, (), "expected one of `label` and `marking`", id="both"),
        pytest.param({}, (), "expected one of `label` and `marking`", id="neither"),
        pytest.param({"label": LABEL, "created": "2026-11-22"}, (), "no text says when", id="a-time-for-a-text"),
        pytest.param({"label": LABEL, "created": 5}, ("--format", "stanag4774"), "`created` is a time", id="no-time"),
        pytest.param({"label": "NATO SECRET"}, (), "a label is a JSON object", id="a-text-for-a-label"),
    ],
)
def test_what_cannot_be_written_is_an_error(line: dict[str, Any], options: tuple[str, ...], error: str, tmp_path: Path) -> None:
    (answer,) = rewritten([line], tmp_path, *options, code=1)
    assert error in answer["error"]
    assert not {"banner", "portion", "xml"} & answer.keys()


@pytest.mark.parametrize("options", [("--format", "stanag4774"), ("--language", "fr")])
def test_another_profile_has_neither_xml_nor_french(options: tuple[str, ...], tmp_path: Path) -> None:
    assert rewritten([{"marking": "SECRET//NOFORN"}], tmp_path, *options, profile="IC-2016", code=2) == []
    assert rewritten([{"marking": "(S//NF)"}], tmp_path, profile="IC-2016") == [{"banner": "SECRET//NOFORN", "portion": "(S//NF)"}]


def test_xml_is_read_in_no_other_profile_and_another_policys_label_has_no_words_of_ours(tmp_path: Path) -> None:
    sidecar = next((PUBLISHED / "stanag4778").glob("*.bdo")).read_text(encoding="utf-8")
    (refused,) = answers("parse", "IC-2016", [{"xml": sidecar}], tmp_path, code=1)
    assert "profile `NATO-4774`" in refused["error"]
    (xml,) = rewritten([{"marking": "NATO SECRET"}], tmp_path, "--format", "stanag4774")
    other = xml["xml"].replace(">NATO</PolicyIdentifier>", ">DEU</PolicyIdentifier>").replace(' URI="urn:oid:1.3.26.1.3.1"', "")
    other = other.replace(">SECRET<", ">GEHEIM<").split("<Category")[0] + "</ConfidentialityInformation></originatorConfidentialityLabel>"
    (read,) = answers("parse", "NATO-4774", [{"xml": other}], tmp_path, code=0)
    (label,) = read["labels"]
    assert (label["level"], label["issuers"], label["releasable_to"], label["banner"]) == ("GEHEIM", ["DEU"], [], None)
