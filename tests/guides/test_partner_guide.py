"""The partner's guide does what it says: every command, in order, against a service that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tests.support.guides import ROOT, agrees, blocks, run

GUIDE: Final = ROOT / "openapi" / "README.md"


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
    assert len(said) > 20 and sum(said) > 3 * len(said) / 4
