"""A data folder for each test, and commands run in the test's own process as they would be in a shell."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.demo.setup import set_up_demo
from service.policy import read_directory
from service.settings import Settings
from service.sharing.acts import Actor
from service.sharing.installation import Installation, open_installation

POLICIES: Final = Path(__file__).parents[2] / "policies"
_NO_ENVIRONMENT: Final = {f"ENTENTE_{name}": None for name in ("DATA", "POLICIES", "TOKEN", "DATABASE", "INSTANCE")}


@dataclass(frozen=True)
class Home:
    """A data folder, and commands given over it."""

    data: Path

    def run(self, *arguments: str, stdin: bytes | None = None, token: str = "") -> Result:
        environment = {**_NO_ENVIRONMENT, "ENTENTE_DATA": str(self.data), "ENTENTE_POLICIES": str(POLICIES), "ENTENTE_TOKEN": token}
        return CliRunner(env=environment).invoke(app, list(arguments), input=stdin)

    def token(self, name: str) -> str:
        result = self.run("token", name)
        assert result.exit_code == 0, result.output
        return result.stdout.splitlines()[-1]

    @contextmanager
    def opened(self) -> Iterator[Installation]:
        installation = open_installation(Settings(data=self.data))
        try:
            yield installation
        finally:
            installation.close()


def made(folder: Path, fill: Callable[[Installation], Any]) -> Path:
    installation = open_installation(Settings(data=folder))
    installation.publishing.publish(read_directory(POLICIES), Actor("machine", "cli"))
    fill(installation)
    installation.close()
    return folder


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, set up and closed. To be copied."""
    return made(tmp_path_factory.mktemp("cli") / "data", set_up_demo)


@pytest.fixture
def demo(demo_folder: Path, tmp_path: Path) -> Home:
    """The demo, for one test."""
    shutil.copy(demo_folder.with_name("data.highwater"), tmp_path)
    return Home(shutil.copytree(demo_folder, tmp_path / "data"))


@pytest.fixture
def nothing(tmp_path: Path) -> Home:
    """A data folder that does not exist yet."""
    return Home(tmp_path / "data")
