"""The first page: its tour shows what it says, and what it shows of `make` is what `make` does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from tests.support.guides import ROOT, agrees, run

README: Final = ROOT / "README.md"
_DIGEST: Final = re.compile(r"\b[0-9a-f]{64}\b")


def test_the_tour_shows_what_it_says(demo: Any, path: str, tmp_path: Path) -> None:
    ((block, printed),) = run(README, tmp_path, PATH=path, BASE=demo.address, DATA=str(demo.data))
    assert block.prints is not None and agrees(block.prints, printed), printed
    first, second = (int(line) for line in printed.split()[:2])
    assert first > second > 10


def test_what_it_shows_of_the_demo_is_what_the_demo_prints(demo: Any) -> None:
    shown = re.search(r"^\$ make run\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert shown is not None
    # The digest is that of the policy of that day; address, data folder and the way to `entente` are the reader's own.
    reader = shown[1].replace("http://127.0.0.1:8000", demo.address).replace("--data data", f"--data {demo.data}")
    own = re.sub(r"[\w./-]*/bin/entente", ".venv/bin/entente", demo.printed)
    assert agrees(_DIGEST.sub("DIGEST", reader), _DIGEST.sub("DIGEST", own))


def test_the_commands_of_make_that_it_names_are_there() -> None:
    text = " ".join(path.read_text(encoding="utf-8") for path in (README, ROOT / "service" / "README.md"))
    named = set(re.findall(r"`?make\s+([a-z]+)`?", text))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"run", "test"} <= named <= targets
