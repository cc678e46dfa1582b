"""Guides as programs: their `sh` blocks in one shell, what it prints beside what they say it prints.

A fenced block ```` ```sh ```` is run, one after the other in one session of bash with `set -euo pipefail`. A block ```` ```text ````
right behind one is its output, where `...` stands for anything. Blocks of other kinds are only shown.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.debian import program

ROOT: Final = Path(__file__).parents[2]
SECONDS_MAX: Final = 300
_FENCE: Final = re.compile(r"^```(?P<kind>[a-z]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK: Final = "=== block "


@dataclass(frozen=True)
class Block:
    """A block of commands, the line it stands on, and what it is to print; None where nothing is said of it."""

    line: int
    commands: str
    prints: str | None


def readmes() -> list[Path]:
    """Every README of the checkout, and the auditor's guide; not those of what is installed or generated."""
    found = [*ROOT.rglob("README.md"), *ROOT.rglob("AUDITOR.md")]
    return sorted(path for path in found if not _is_made(path.relative_to(ROOT)))


def _is_made(path: Path) -> bool:
    return any(part.startswith(".") or part == "build" for part in path.parts)


def blocks(guide: Path) -> list[Block]:
    """The commands of a guide, in order."""
    text = guide.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    found = []
    for place, fence in enumerate(fences):
        if fence["kind"] != "sh":
            continue
        following = fences[place + 1] if place + 1 < len(fences) else None
        between = "" if following is None else text[fence.end() : following.start()]
        prints = following["body"] if following is not None and following["kind"] == "text" and not between.strip() else None
        found.append(Block(text.count("\n", 0, fence.start()) + 1, fence["body"], prints))
    return found


def environment(**more: str) -> dict[str, str]:
    """What a reader's shell has: our commands first in the path, and nothing set that a guide does not set itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENTENTE_") and not name.lower().endswith("_proxy")}
    scripts = str(Path(sys.executable).parent)
    return {**kept, "PATH": f"{scripts}{os.pathsep}{kept['PATH']}", "LC_ALL": "C.UTF-8", **more}


def run(guide: Path, folder: Path, **more: str) -> list[tuple[Block, str]]:
    """Run a guide's commands in a folder; each block with what it printed.

    Raises:
        AssertionError: a block failed; with its line, and what it printed.
    """
    program("curl")
    steps = blocks(guide)
    script = ["set -euo pipefail", "exec 2>&1"]
    for number, block in enumerate(steps):
        script += [f"printf '\\n%s\\n' '{_MARK}{number}'", block.commands]
    shell = subprocess.Popen(
        ["bash", "-c", "\n".join(script)], cwd=folder, env=environment(**more), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = shell.communicate(timeout=SECONDS_MAX)
    finally:
        # What a guide began and did not end, where it fails half-way.
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    printed = re.split(rf"^{_MARK}\d+\n", output, flags=re.MULTILINE)[1:]
    if shell.returncode:
        block = steps[len(printed) - 1]
        raise AssertionError(f"{guide.relative_to(ROOT)}:{block.line} ended with {shell.returncode}:\n{block.commands}\n{printed[-1]}")
    return list(zip(steps, printed, strict=True))


def agrees(expected: str, printed: str) -> bool:
    """Whether this is what was to be printed: `...` is anything, and how much white space there is does not matter."""
    pieces = ["\\s+".join(re.escape(word) for word in piece.split()) for piece in expected.split("...")]
    # White space beside a `...` belongs to it, whatever there is of it.
    return re.fullmatch(r"\s*" + r"\s*.*?\s*".join(pieces) + r"\s*", printed, re.DOTALL) is not None
