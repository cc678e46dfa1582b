"""An installation with the sample policies in force and nothing in it, at a fixed time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from service.policy import read_directory
from service.settings import Settings
from service.sharing.acts import Actor
from service.sharing.installation import Installation, open_installation

ROOT: Final = Path(__file__).parents[2]
NOW: Final = datetime(2026, 11, 22, 10, tzinfo=UTC)
OFFICER: Final = Actor("c_an-officer-of-tests", "cli")


def opened_at(folder: Path) -> Installation:
    """The installation of a data folder. It waits a fifth of a second for a lock."""
    return open_installation(Settings(data=folder, busy_timeout_seconds=0.2), clock=lambda: NOW)


def publish_into(folder: Path) -> Path:
    """Make a data folder with the sample policies in force; closed, to be copied."""
    installation = opened_at(folder)
    installation.publishing.publish(read_directory(ROOT / "policies"), OFFICER)
    installation.close()
    return folder
