"""A demo that runs, for guides to be followed on it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.forked import forked_entente
from tests.support.guides import ROOT, environment

SECONDS_MAX: Final = 60
_LAST_LINE: Final = re.compile(r"Entente answers on (\S+); Ctrl-C ends it\.\n")


@dataclass(frozen=True)
class Demo:
    """Where it answers, its data folder, and what it printed at its start."""

    address: str
    data: Path
    printed: str


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`PATH` for the commands of guides: its `entente` has been read already."""
    with forked_entente(tmp_path_factory.mktemp("commands") / "bin") as first:
        yield f"{first}{os.pathsep}{environment()['PATH']}"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`entente serve --demo` on a port of its own. It must end cleanly when told to."""
    data = tmp_path_factory.mktemp("guides") / "data"
    process = subprocess.Popen(
        [Path(sys.executable).parent / "entente", "serve", "--demo", "--port", "0", "--data", data],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        printed, address = "", None
        while address is None:
            line = process.stdout.readline()
            assert line, printed
            printed += line
            address = _LAST_LINE.fullmatch(line)
        assert httpx.get(address[1] + "/health/ready", timeout=SECONDS_MAX, trust_env=False).json() == {"status": "ready"}
        yield Demo(address[1], data, printed)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=SECONDS_MAX) == 0
    finally:
        process.kill()
        process.wait()
