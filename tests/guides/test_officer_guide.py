"""The security officer's handbook does what it says, from the first check to the last undone publication."""

from __future__ import annotations

import shutil
from pathlib import Path

from service.identity.clients import Role
from service.policy import read_directory
from service.settings import Settings
from service.sharing.acts import MACHINE, Actor
from service.sharing.installation import open_installation
from tests.support.guides import ROOT, agrees, run

GUIDE = ROOT / "policies" / "README.md"


def test_every_command_prints_what_the_handbook_says(path: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    installation = open_installation(Settings(data=data))
    installation.publishing.publish(read_directory(ROOT / "policies"), Actor(MACHINE, "cli"))
    for name in ("first-officer", "second-officer"):
        installation.registry.add(name, Role.OFFICER)
    installation.close()
    shutil.copytree(ROOT / "policies", tmp_path / "here" / "policies")
    ran = run(GUIDE, tmp_path / "here", PATH=path, ENTENTE_DATA=str(data), ENTENTE_PUBLISH_COMPARE_SECONDS="0.05")
    differing = [
        f"{GUIDE.relative_to(ROOT)}:{block.line}\n{block.commands}--- expected\n{block.prints}--- printed\n{printed}"
        for block, printed in ran
        if block.prints is not None and not agrees(block.prints, printed)
    ]
    assert not differing, "\n\n".join(differing)
    assert "IND gains release" in (tmp_path / "here" / "report.html").read_text()
    assert len([block for block, _ in ran if block.prints is not None]) >= 6
