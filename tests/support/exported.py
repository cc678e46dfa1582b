"""Exports for tests: made of a real installation, read back, tampered with, and checked by the offline verifier as a program."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from service.policy import read_directory
from service.releaselog.leaf import canonical
from service.settings import Settings
from service.sharing.acts import Actor
from service.sharing.installation import Installation, open_installation
from tests.bench.log_store import fill

POLICIES: Final = Path(__file__).parents[2] / "policies"
VERIFIER: Final = Path(__file__).parents[2] / "service" / "releaselog" / "offline_verifier.py"
HOLDS, DOES_NOT_HOLD, COULD_NOT_READ, NOT_PROVEN, NOT_WITNESSED = range(5)


@contextmanager
def filled(data: Path, entries: int) -> Iterator[Installation]:
    """An installation with the sample policy, whose log `JPN` has so many entries, one of each kind among the first twenty."""
    opened = open_installation(Settings(data=data))
    try:
        opened.publishing.publish(read_directory(POLICIES), Actor("machine", "cli"))
        fill(opened, entries)
        yield opened
    finally:
        opened.close()


@dataclass(frozen=True)
class Verdict:
    """How a run of the verifier ended, and what it said."""

    code: int
    said: str


def verify(*arguments: str | Path, alone: bool = False) -> Verdict:
    """Run the verifier as an auditor does: by itself, in an isolated Python that does not know the project's folder."""
    program = arguments[0] if alone else VERIFIER
    rest = arguments[1:] if alone else arguments
    done = subprocess.run([sys.executable, "-I", program, *rest], capture_output=True, text=True, cwd="/")
    return Verdict(done.returncode, done.stdout + done.stderr)


def vkeys(folder: Path) -> list[str]:
    """`--key` for every log of an export. A test may take them from there; an auditor has them from elsewhere."""
    logs = json.loads((folder / "keys.json").read_text())
    return [part for log in logs.values() for key in log["keys"] for part in ("--key", key["vkey"])]


COMPACT: Final = "entries.compact.jsonl"


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "entries.jsonl").read_bytes().splitlines()]


def write_lines(folder: Path, entries: list[dict[str, Any]], name: str = "entries.jsonl") -> None:
    (folder / name).write_bytes(b"".join(canonical(entry) + b"\n" for entry in entries))


def settle_manifest(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """Make the manifest agree with the files again, as a forger would; counts and digests are no secret."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    for file in manifest["files"]:
        content = (folder / file["path"]).read_bytes()
        file |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    shown = logs_shown(folder)
    manifest["entries"] = len(shown)
    for log in manifest["logs"]:
        log["included"] = shown.count(log["log"])
        log["left_out"] = log["size"] - log["included"]
    change(manifest)
    path.write_bytes(canonical(manifest) + b"\n")


def logs_shown(folder: Path) -> list[str]:
    """The log of each entry that an export shows; of a compact one, as far as its lines are JSON and say so."""
    if not (folder / COMPACT).exists():
        return [entry["log"] for entry in lines(folder)]
    found: list[str] = []
    logs: dict[str, str] = {}
    for text in (folder / COMPACT).read_bytes().splitlines():
        with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError):
            line = json.loads(text)
            if "act" in line:
                found += [logs[number] for number in line["circumstances"]]
            elif "index" in line:
                found.append(line["log"])
            elif "circumstances" in line:
                logs[line["circumstances"]] = line["log"]
    return found


def reseal(entry: dict[str, Any]) -> None:
    """Make an entry agree with itself again: its seal, and its leaf hash."""
    entry["face"]["seal"] = hashlib.sha256(bytes.fromhex(entry["nonce"]) + canonical(entry["record"])).hexdigest()
    entry["leaf_hash"] = hashlib.sha256(b"\x00" + canonical(entry["face"])).hexdigest()
