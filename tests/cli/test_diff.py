"""`policy diff`: the same difference in words, for programs, and as a report to hand on."""

from __future__ import annotations

import hashlib
import json
import re
import xml.etree.ElementTree as ET
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.cli.report import difference_html, difference_text
from service.labels.label import Label
from service.policy import read_bundle
from service.sharing.difference import changed_rows
from tests.cli.conftest import Home
from tests.support.store_bundles import JPN_SECRET, OPEN, bundle_files

AUS = "p, AGR-0010, allow, release, AUS, *, SECRET, MARITIME, none, *, 2040-12-01, 2041-03-01, Letter of <script>1"
OLD, NEW = bundle_files([OPEN, JPN_SECRET]), bundle_files([OPEN, AUS.replace("<script>", "")])


_PURPOSES = "(purpose none EXERCISE-KEEN) (likewise display)"
LOSES = f"    JPN loses release of SECRET, CYBER, from USA, to JPN USA; until now by AGR-0002 {_PURPOSES}"
GAINS = f"    AUS gains release of SECRET, MARITIME, from USA, to AUS USA; by AGR-0010 {_PURPOSES}"


def written(folder: Path, files: dict[str, bytes]) -> str:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return str(folder)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    return written(tmp_path / "old", OLD), written(tmp_path / "new", NEW)


@pytest.fixture
def nowhere(tmp_path: Path) -> Home:
    return Home(tmp_path / "no-data")


def test_two_folders_are_compared_without_a_store_and_it_says_so(nowhere: Home, folders: tuple[str, str]) -> None:
    result = nowhere.run("policy", "diff", *folders)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"from {read_bundle(OLD).digest[:16]} to {read_bundle(NEW).digest[:16]}"
    assert re.fullmatch("timeline [0-9a-f]{64}", lines[1])
    assert lines[2:] == [
        f"  - agreements.csv:3: {JPN_SECRET}",
        f"  + agreements.csv:3: {AUS.replace('<script>', '')}",
        "from now on:",
        "  of all possible labels:",
        LOSES,
        "from 2040-12-01 on:",
        "  of all possible labels:",
        GAINS,
        LOSES,
        "from 2041-03-01 on:",
        "  of all possible labels:",
        LOSES,
        "a second officer must approve (from SECRET on):",
        "  from 2040-12-01 on AUS gains release and display up to SECRET",
        "stored items were not looked at: that needs a data folder and an officer's token (`--data`, `--token`)",
    ]
    assert not nowhere.data.exists()


def test_a_folder_and_itself_differ_in_nothing(nowhere: Home, folders: tuple[str, str]) -> None:
    result = nowhere.run("policy", "diff", folders[0], folders[0])
    assert result.exit_code == 0
    assert "nobody gains or loses anything, now or later; proved for every possible label" in result.stdout
    told = json.loads(nowhere.run("policy", "diff", folders[0], folders[0], "--json").stdout)
    assert (told["needs_approval"], told["stored"], [moment["from"] for moment in told["moments"]]) == (False, False, ["now"])


def test_it_can_be_asked_as_of_another_day(nowhere: Home, folders: tuple[str, str]) -> None:
    result = nowhere.run("policy", "diff", *folders, "--at", "2041-01-01")
    assert "from 2041-01-01 on:" in result.stdout.splitlines()
    assert "from 2040-12-01 on:" not in result.stdout
    assert "AUS gains release" in result.stdout


def test_what_is_stored_is_shown_to_an_officer_and_his_look_is_on_record(demo: Any, folders: tuple[str, str], tmp_path: Path) -> None:
    with demo.opened() as installation:
        in_force = installation.publishing.history().publications[-1].digest
    stricter = tmp_path / "stricter"
    stricter.mkdir()
    for file in (Path(__file__).parents[2] / "policies").iterdir():
        text = file.read_text()
        # Cases name the rule that is taken out; they are left out with it.
        text = text.partition("\n")[0] + "\n" if file.name == "cases.csv" else text
        (stricter / file.name).write_text(re.sub(r"^p, AGR-0002, .*\n", "", text, flags=re.MULTILINE))
    officer = demo.token("demo-officer")
    result = demo.run("policy", "diff", in_force[:8], str(stricter), token=officer)
    assert result.exit_code == 0, result.output
    assert re.search(r"^ +JPN +none +\d+ \(\d+\): ", result.stdout, re.MULTILINE), result.stdout
    assert "(`--all-labels` shows each)" in result.stdout
    whole = demo.run("policy", "diff", in_force[:8], str(stricter), "--all-labels", token=officer)
    assert "JPN loses release of SECRET" in whole.stdout
    told = json.loads(demo.run("policy", "diff", in_force, str(stricter), "--json", token=officer).stdout)
    assert told["stored"] is True and told["moments"][0]["stored"][0]["partner"] == "JPN"
    with demo.opened() as installation, installation.database.reading() as connection:
        from service.store import logs

        head = logs.head(connection, "officers")
        assert head is not None
        looks = [row for row in logs.entries(connection, head.id) if row.type == "look.difference"]
    assert len(looks) == 3
    assert json.loads(looks[-1].record)["details"]["timeline"] == told["timeline"]
    unseen = json.loads(demo.run("policy", "diff", in_force, str(stricter), "--json").stdout)
    assert unseen["stored"] is False and all(moment["stored"] == [] for moment in unseen["moments"])


def test_a_bundle_that_cannot_be_read_is_said_by_place(nowhere: Home, folders: tuple[str, str], tmp_path: Path) -> None:
    broken = written(tmp_path / "broken", {**NEW, "agreements.csv": NEW["agreements.csv"].replace(b"allow", b"alow")})
    result = nowhere.run("policy", "diff", folders[0], broken)
    assert result.exit_code == 1
    assert result.stdout.startswith("agreements.csv:2:")


# --- the report --------------------------------------------------------------------------------------------------------------


def body(**more: Any) -> dict[str, Any]:
    """A difference with everything in it, and words that a page must not take for its own."""
    one = {
        "partner": "AUS", "action": "release", "purposes": ["none"], "change": "gains", "highest": "SECRET",
        "witness": Label("SECRET", originators=("USA",)).to_json(), "before": "withhold", "after": "release", "rules": ["AGR-0010"],
        "new_words": False, "sentence": "AUS gains <b>release</b>",
    }  # fmt: skip
    gained = {"items": 3, "portions": 40, "levels": [{"level": "SECRET", "items": 3, "portions": 40}]}
    lost = {"items": 0, "portions": 1, "levels": [{"level": "CONFIDENTIAL", "items": 0, "portions": 1}]}
    stored = {"partner": "JPN", "purpose": "none", "gained": gained, "lost": lost, "items_changed": 1}
    gone, added = changed_rows(OLD, {**NEW, "agreements.csv": NEW["agreements.csv"].replace(b"Letter of", b"Letter of <script>")})
    return {
        "bundle": "b" * 64, "in_force": "a" * 64, "timeline": "c" * 64, "needs_approval": True, "approval_level": "SECRET",
        "reasons": ["AUS gains <release>"], "stored": True, "proved": True,
        "moments": [
            {"from": "now", "stored": [stored], "stored_sha256": "", "all_labels": []},
            {"from": "2027-01-01T00:00:00.000000Z", "stored": [], "stored_sha256": "", "all_labels": [one]},
        ],
        "rows": {"removed": [row.to_json() for row in gone], "added": [row.to_json() for row in added]},
    } | more  # fmt: skip


LEVELS = ["UNCLASSIFIED", "CONFIDENTIAL", "SECRET"]
MADE = datetime(2026, 11, 22, 10, tzinfo=UTC)


def report(**more: Any) -> str:
    return difference_html(body(**more), levels=LEVELS, since=None, made=MADE)


def test_the_report_runs_nothing_loads_nothing_and_takes_no_text_for_markup() -> None:
    text = report()
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "AUS gains &lt;b&gt;release&lt;/b&gt;" in text and "AUS gains &lt;release&gt;" in text
    assert not re.search(r"\s(src|href|style|on[a-z]+)=", text)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    style = re.search("<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in text


def test_the_picture_has_a_ladder_for_every_partner_and_date() -> None:
    svg = re.search("<svg.*</svg>", report(), re.DOTALL)
    assert svg is not None
    drawing = ET.fromstring(svg[0])
    names = [element.text for element in drawing.iter("{http://www.w3.org/2000/svg}text") if element.get("class") == "name"]
    assert names == ["AUS", "JPN"]
    bars = [element.get("class") for element in drawing.iter("{http://www.w3.org/2000/svg}rect")]
    assert sorted(bars) == ["bar-gain", "bar-loss"]
    widths = {element.get("class"): float(element.get("width", "0")) for element in drawing.iter("{http://www.w3.org/2000/svg}rect")}
    assert widths["bar-gain"] > widths["bar-loss"] >= 4, "one is to be seen beside forty"
    assert [element.get("class") for element in drawing.iter("{http://www.w3.org/2000/svg}path")] == ["mark-gain"]


def test_the_report_says_where_nothing_is_known() -> None:
    text = report(proved=False, cannot="the atom `f(x)` & more", stored=False, moments=[], rows={"removed": [], "added": []})
    assert "Nothing is proved of all possible labels: the atom `f(x)` &amp; more." in text
    assert "Stored items were not looked at." in text
    assert "No row differs." in text and "<svg" not in text


def test_the_report_is_written_where_it_is_wanted(nowhere: Home, folders: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    result = nowhere.run("policy", "diff", *folders, "--html", str(file))
    assert result.exit_code == 0, result.output
    assert "AUS gains release of SECRET, MARITIME" in file.read_text()
    absent = nowhere.run("policy", "diff", *folders, "--html", str(tmp_path / "no" / "folder.html"))
    assert absent.exit_code == 2
    assert "cannot write" in absent.stderr


def test_lines_say_everything_that_programs_are_told() -> None:
    lines = difference_text(body(), witnesses=True)
    assert lines[0] == f"from {'a' * 16} to {'b' * 16}"
    (row,) = [line.split() for line in lines if line.strip().startswith("JPN")]
    assert row == ["JPN", "none", "3", "(40):", "SECRET", "3", "(40)", "0", "(1):", "CONFIDENTIAL", "0", "(1)", "1"]
    assert lines[-3:] == ["    AUS gains <b>release</b>", "a second officer must approve (from SECRET on):", "  AUS gains <release>"]
    short = difference_text(body(), witnesses=False)
    assert "  of all possible labels: AUS gain (`--all-labels` shows each)" in short
