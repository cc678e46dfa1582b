"""The auditor's guide does what it says: every command, in order, against a service that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from service.releaselog import offline_verifier
from service.sharing.exports.tables import COLUMNS
from tests.support.guides import ROOT, agrees, blocks, run

GUIDE: Final = ROOT / "service" / "api" / "AUDITOR.md"


def test_every_command_prints_what_the_guide_says(demo: Any, tmp_path: Path) -> None:
    ran = run(GUIDE, tmp_path, BASE=demo.address, DATA=str(demo.data))
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
    named = (offline_verifier.HOLDS, offline_verifier.DOES_NOT_HOLD, offline_verifier.COULD_NOT_READ, offline_verifier.NOT_PROVEN)
    assert codes == [str(code) for code in named]
