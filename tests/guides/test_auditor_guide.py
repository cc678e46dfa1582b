"""The auditor's guide does what it says: every command, in order, against a service that runs."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from service.releaselog import offline_verifier
from service.sharing.exports.tables import COLUMNS
from service.sharing.signals import RULES, Thresholds
from tests.support import interop
from tests.support.guides import ROOT, agrees, blocks, run

GUIDE: Final = ROOT / "service" / "api" / "AUDITOR.md"
TAMPERING: Final = ROOT / "tests" / "tampering"
_SAID: Final = {"found": "found", "-": "silent", "may be": "depends"}


def table(first_column: str) -> list[list[str]]:
    """The cells of the one table whose first column is headed so, without its head."""
    text = GUIDE.read_text(encoding="utf-8")
    (found,) = re.findall(rf"^\| {re.escape(first_column)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found.splitlines()]


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_command_prints_what_the_guide_says(demo: Any, path: str, tmp_path: Path) -> None:
    ran = run(GUIDE, tmp_path, PATH=path, BASE=demo.address, DATA=str(demo.data))
    differing = [
        f"{GUIDE.relative_to(ROOT)}:{block.line}\n{block.commands}--- expected\n{block.prints}--- printed\n{printed}"
        for block, printed in ran
        if block.prints is not None and not agrees(block.prints, printed)
    ]
    assert not differing, "\n\n".join(differing)


def test_most_commands_say_what_they_print() -> None:
    said = [block.prints is not None for block in blocks(GUIDE)]
    assert len(said) > 12 and sum(said) > 3 * len(said) / 4


def test_the_columns_and_exit_codes_it_names_are_those_of_the_code() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert ",".join(COLUMNS) in text
    codes = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ") and line.split("|")[1].strip().isdigit()]
    named = (
        offline_verifier.HOLDS,
        offline_verifier.DOES_NOT_HOLD,
        offline_verifier.COULD_NOT_READ,
        offline_verifier.NOT_PROVEN,
        offline_verifier.NOT_WITNESSED,
    )
    assert codes == [str(code) for code in named]


def test_the_signals_it_states_are_those_of_the_code() -> None:
    said = {names_in(rule)[0]: (int(threshold), names_in(option)) for rule, _, threshold, option in table("rule")}
    options = dict(zip(RULES, (["--absent-ids"], ["--withheld-ids"], ["--requests"]), strict=True))
    assert said == {rule: (Thresholds().of(rule), options[rule]) for rule in RULES}
    assert f"sliding window of {Thresholds().minutes} minutes" in GUIDE.read_text(encoding="utf-8")


def test_every_kind_of_tampering_is_named_once_beside_what_finds_it() -> None:
    with (TAMPERING / "means.csv").open(encoding="utf-8") as file:
        measured = defaultdict(list)
        for row in csv.DictReader(file):
            inside = "silent" if row["verify"] == "silent" else "found"
            measured[inside, row["receipt"], row["checkpoint"], row["reading"]].append(row["kind"])
    rows = table("`log verify`")
    said = {tuple(_SAID[cell] for cell in cells): names_in(kinds) for *cells, kinds in rows}
    assert len(said) == len(rows)
    assert said == measured
    with (TAMPERING / "rooted.csv").open(encoding="utf-8") as file:
        measured = defaultdict(list)
        for row in csv.DictReader(file):
            inside = "silent" if row["verify"] == "silent" else "found"
            measured[inside, row["receipt"], row["root"], row["offline"], row["mark"], row["witness"]].append(row["kind"])
    rows = table("inside")
    said = {tuple(_SAID[cell] for cell in cells): names_in(kinds) for *cells, kinds in rows}
    assert len(said) == len(rows)
    assert said == measured
    with (TAMPERING / "exports.csv").open(encoding="utf-8") as file:
        assert f"bundle {len(list(csv.DictReader(file)))} kinds are tried" in GUIDE.read_text(encoding="utf-8")


def test_other_peoples_verifiers_are_named_with_their_versions_and_what_they_verify() -> None:
    versions = {**interop.DEBIAN, **interop.PYPI, **interop.NPM}
    said = {}
    for name, source, version, kinds in table("verifier"):
        (verifier,), packages = names_in(name), names_in(source)
        said[verifier] = set(kinds.split(", "))
        assert version == versions[packages[0] if packages else verifier], verifier
    assert said == {verifier.name: set(verifier.kinds) for verifier in interop.VERIFIERS}
