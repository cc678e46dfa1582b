"""Other people's verifiers of transparency logs, behind one question: does this case hold?

| verifier | where from | what it verifies | independent, as |
|---|---|---|---|
| `golang.org/x/mod/sumdb` | Debian | inclusion, consistency, notes, tiles | the client of Go's checksum database |
| Certificate Transparency's `merkletree` | Debian | inclusion, consistency | Google's verifier of 2016, by another algorithm |
| `@sigstore/verify` | npm | inclusion, checkpoints | what npm checks packages with; decomposes the path by bit lengths |
| `@transmute/rfc9162` | npm | inclusion, consistency | after the text of RFC 9162, for COSE receipts |
| `proofbundle` | PyPI | inclusion, consistency, checkpoints, tlog-proofs | a bundle format's own code |
| `dnsid` | PyPI | inclusion, consistency, checkpoints, tlog-proofs, entry bundles | the log of an identity protocol |
| `tlog-scales` | PyPI | inclusion, consistency, checkpoints, tiles, entry bundles | a reader of C2SP tlog-tiles |

None of them imports another. Where a library has no word for one of our formats, the adapter takes the text apart and the library
does the mathematics; it never decides.
"""

from __future__ import annotations

import atexit
import base64
import importlib.metadata
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.support import debian
from tests.support.interop_cases import Case

_FOLDER: Final = Path(__file__).resolve().parents[1] / "interop"
DEBIAN: Final = {
    "golang-go": "2:1.19",
    "golang-golang-x-mod-dev": "0.7.0",
    "golang-github-google-certificate-transparency-dev": "0.0~git20160709",
}
PYPI: Final = {"proofbundle": "6.3.1", "dnsid": "0.30.0", "tlog-scales": "0.0.3"}
NPM: Final = {"@sigstore/verify": "3.1.0", "@transmute/rfc9162": "0.0.5"}
_GO_SOURCES: Final = Path("/usr/share/gocode/src")
_MINUTES_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Verifier:
    """`ask` answers each case with "" where it is accepted, else with why it is not. `kinds` are those it can be asked."""

    name: str
    kinds: frozenset[str]
    ask: Callable[[Sequence[Case]], list[str]]


def _folder_of_this_run() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="entente-interop-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


# --- Go -----------------------------------------------------------------------------------------------------------------


@cache
def _go_program() -> Path:
    debian.packages(DEBIAN)
    folder = _folder_of_this_run()
    # Google's package holds C++ beside its verifier; the verifier alone is pure Go.
    merkletree = folder / "src" / "certificatetransparency" / "merkletree"
    merkletree.mkdir(parents=True)
    for name in ("merkle_verifier.go", "tree_hasher.go"):
        shutil.copy(_GO_SOURCES / "github.com" / "google" / "certificate-transparency" / "go" / "merkletree" / name, merkletree)
    main = folder / "src" / "verify"
    main.mkdir()
    shutil.copy(_FOLDER / "go" / "verify.go", main)
    # Sources of Debian's packages only: nothing is fetched.
    environment = {
        **os.environ, "GO111MODULE": "off", "GOPATH": f"{folder}:{_GO_SOURCES.parent}", "GOCACHE": str(folder / "cache"),
        "GOFLAGS": "", "GOPROXY": "off", "CGO_ENABLED": "0",
    }  # fmt: skip
    built = subprocess.run(
        [debian.program("go", package="golang-go"), "build", "-o", str(folder / "program"), "verify"],
        cwd=main, env=environment, capture_output=True, text=True, timeout=_MINUTES_MAX * 60, check=False,
    )  # fmt: skip
    if built.returncode:
        raise RuntimeError(f"the Go verifiers could not be built: {built.stderr[-2000:]}")
    return folder / "program"


def _go(library: str) -> Callable[[Sequence[Case]], list[str]]:
    return lambda cases: _asked([str(_go_program()), library], cases)


# --- npm ----------------------------------------------------------------------------------------------------------------


@cache
def npm_modules() -> Path:
    """`node_modules` as the lock says, in a folder of this run."""
    npm = debian.program("npm")
    folder = _folder_of_this_run()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_FOLDER / "npm" / name, folder)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder, capture_output=True, text=True, timeout=_MINUTES_MAX * 60, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"npm's verifiers could not be installed: {done.stderr[-2000:]}")
    return folder / "node_modules"


def _npm(library: str) -> Callable[[Sequence[Case]], list[str]]:
    script = str(_FOLDER / "npm" / "verify.js")
    return lambda cases: _asked([debian.program("node", package="nodejs"), script, library, str(npm_modules())], cases)


def npm_versions() -> dict[str, str]:
    """What was installed."""
    return {name: json.loads((npm_modules() / name / "package.json").read_text())["version"] for name in NPM}


def _asked(command: Sequence[str], cases: Sequence[Case]) -> list[str]:
    done = subprocess.run(
        command,
        input=json.dumps([_encoded(case) for case in cases]),
        capture_output=True,
        text=True,
        timeout=_MINUTES_MAX * 60,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:2])} ended with {done.returncode}: {done.stderr[-2000:]}")
    said: list[str] = json.loads(done.stdout)
    return said


def _encoded(case: Case) -> dict[str, Any]:
    def encoded(value: Any) -> Any:
        if isinstance(value, bytes):
            return base64.b64encode(value).decode("ascii")
        if isinstance(value, Mapping):
            return {name: encoded(one) for name, one in value.items()}
        return [encoded(one) for one in value] if isinstance(value, list | tuple) else value

    return {"kind": case.kind, **{name: encoded(value) for name, value in case.members.items()}}


# --- PyPI ---------------------------------------------------------------------------------------------------------------

_Check = Callable[[Mapping[str, Any]], None]


def _in_process(checks: Mapping[str, _Check]) -> Callable[[Sequence[Case]], list[str]]:
    def ask(cases: Sequence[Case]) -> list[str]:
        said: list[str] = []
        for case in cases:
            try:
                checks[case.kind](case.members)
            except Exception as error:  # noqa: BLE001  # whatever a library raises is its way to refuse
                said.append(f"{type(error).__name__}: {error}")
            else:
                said.append("")
        return said

    return ask


def _held(verdict: object) -> None:
    if verdict is not True:
        raise ValueError("refused")


def _proofbundle() -> dict[str, _Check]:
    from proofbundle import merkle
    from proofbundle.checkpoint import verify_checkpoint
    from proofbundle.tlogproof import verify_tlog_proof

    return {
        "inclusion": lambda one: _held(merkle.verify_inclusion(one["leaf"], one["index"], one["size"], list(one["proof"]), one["root"])),
        "consistency": lambda one: _held(
            merkle.verify_consistency(one["old_size"], one["size"], list(one["proof"]), one["old_root"], one["root"])
        ),
        "checkpoint": lambda one: _held(verify_checkpoint(one["note"], one["vkey"])["ok"]),
        "receipt": lambda one: _held(verify_tlog_proof(one["text"], one["leaf"], one["vkey"], expected_origin=one["origin"])["ok"]),
    }


def _dnsid() -> dict[str, _Check]:
    from dnsid.c2sp_tlog import merkle
    from dnsid.c2sp_tlog.checkpoint import parse_checkpoint
    from dnsid.c2sp_tlog.policy import C2spTlogOriginPolicy, C2spTlogPolicy, enforce_checkpoint_policy
    from dnsid.c2sp_tlog.proof import verify_c2sp_tlog_proof
    from dnsid.c2sp_tlog.tiles import entry_bundle_path, parse_entry_bundle

    def policy(one: Mapping[str, Any]) -> C2spTlogPolicy:
        return C2spTlogPolicy({one["origin"]: C2spTlogOriginPolicy([one["vkey"]])})

    def entries(one: Mapping[str, Any]) -> None:
        read: list[bytes] = []
        while len(read) < one["size"]:
            width = min(one["size"] - len(read), 256)
            path = entry_bundle_path("", len(read) // 256, None if width == 256 else width).removeprefix("/")
            read += parse_entry_bundle(one["tiles"][path])
        _held(merkle.merkle_root_from_entries(read) == one["root"])

    return {
        "inclusion": lambda one: _held(merkle.verify_inclusion(one["leaf"], one["index"], one["size"], one["root"], list(one["proof"]))),
        "consistency": lambda one: _held(
            merkle.verify_consistency(one["old_size"], one["size"], one["old_root"], one["root"], list(one["proof"]))
        ),
        "checkpoint": lambda one: _held(
            enforce_checkpoint_policy(parse_checkpoint(one["note"]), one["origin"], policy(one), "testnet", 0) is not None
        ),
        "receipt": lambda one: _held(verify_c2sp_tlog_proof(one["leaf"], one["text"], policy(one), one["origin"]) is not None),
        "entries": entries,
    }


def _tlog_scales() -> dict[str, _Check]:
    from tlog_scales.reader import TilesReader
    from tlog_scales.signing import Vkey
    from tlog_scales.tiles import leaf_hash
    from tlog_scales.tlog import Checkpoint, ConsistencyProof, InclusionProof

    class Held:
        """Tiles as a place to read them from."""

        def __init__(self, tiles: Mapping[str, bytes]) -> None:
            self._tiles: Final = tiles

        def get(self, *path: str) -> bytes | None:
            return self._tiles.get("/".join(path))

    def read(one: Mapping[str, Any]) -> TilesReader:
        reader = TilesReader(Held(one["tiles"]))
        reader.set_size(one["size"])
        return reader

    def tiles(one: Mapping[str, Any]) -> None:
        reader = read(one)
        _held(reader.calculate_root_hash() == one["root"])
        made = reader.get_inclusion_proof(one["index"], one["size"])
        _held(tuple(made.node_hashes) == tuple(one["proof"]))
        made.check(leaf_hash(one["leaf"]), one["root"])

    def entries(one: Mapping[str, Any]) -> None:
        reader = read(one)
        made = reader.get_inclusion_proof(one["index"], one["size"])
        made.check(leaf_hash(reader.get_entry(one["index"])), one["root"])

    return {
        "inclusion": lambda one: InclusionProof(one["index"], one["size"], list(one["proof"])).check(leaf_hash(one["leaf"]), one["root"]),
        "consistency": lambda one: ConsistencyProof(one["old_size"], one["size"], list(one["proof"])).check(one["old_root"], one["root"]),
        "checkpoint": lambda one: Checkpoint.from_text(one["note"]).verify(Vkey.from_string(one["vkey"])),
        "tiles": tiles,
        "entries": entries,
    }


def pypi_versions() -> dict[str, str]:
    """What is installed."""
    return {name: importlib.metadata.version(name) for name in PYPI}


_PROOFS: Final = frozenset({"inclusion", "consistency"})

VERIFIERS: Final = (
    Verifier("golang.org/x/mod/sumdb", _PROOFS | {"checkpoint", "receipt", "tiles"}, _go("sumdb")),
    Verifier("certificate-transparency", _PROOFS, _go("ct")),
    Verifier("@sigstore/verify", frozenset({"inclusion", "checkpoint", "receipt"}), _npm("sigstore")),
    Verifier("@transmute/rfc9162", _PROOFS, _npm("transmute")),
    Verifier("proofbundle", _PROOFS | {"checkpoint", "receipt"}, lambda cases: _in_process(_proofbundle())(cases)),
    Verifier("dnsid", _PROOFS | {"checkpoint", "receipt", "entries"}, lambda cases: _in_process(_dnsid())(cases)),
    Verifier("tlog-scales", _PROOFS | {"checkpoint", "tiles", "entries"}, lambda cases: _in_process(_tlog_scales())(cases)),
)
