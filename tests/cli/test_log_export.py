"""`entente log export` and `log verifier`: whole or not at all, for auditors, on record."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from service.releaselog.checkpoint import open_checkpoint
from service.releaselog.merkle import leaf_hash, root
from service.releaselog.tiles import TilePath, decode_bundle, decode_tile
from service.store import logs
from tests.bench.log_store import draft
from tests.cli.conftest import Home
from tests.support.exported import HOLDS, VERIFIER, lines, verify, vkeys

FORMATS = ["bundle", "compact", "jsonl", "csv", "ocsf", "html"]


@pytest.mark.parametrize("format_", FORMATS)
def test_an_export_is_written_and_on_record(demo: Home, tmp_path: Path, format_: str) -> None:
    out = tmp_path / "out"
    result = demo.run(
        "log", "export", "--out", str(out), "--format", format_, "--log", "officers", "--json", token=demo.token("demo-auditor")
    )
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["format"], said["out"], [log["log"] for log in said["logs"]]) == (format_, str(out), ["officers"])
    assert out.is_dir() if format_ in ("bundle", "compact") else out.is_file()
    assert out.stat().st_mode & 0o077 == 0
    with demo.opened() as installation, installation.database.reading() as connection:
        row = logs.entry(connection, said["event_id"])
        assert row is not None and row.type == "look.export"
        assert json.loads(row.record)["details"] == {"log": "officers", "format": format_}


def test_a_bundle_holds_and_its_verifier_is_ours(demo: Home, tmp_path: Path) -> None:
    folder, path = tmp_path / "bundle", tmp_path / "bundle.zip"
    token = demo.token("demo-auditor")
    for out, form in ((folder, "bundle"), (path, "bundle"), (tmp_path / "compact", "compact"), (tmp_path / "compact.zip", "compact")):
        assert demo.run("log", "export", "--out", str(out), "--format", form, token=token).exit_code == 0
        assert verify("export", out, *vkeys(folder)).code == HOLDS
    assert (folder / "verify_entente.py").read_bytes() == VERIFIER.read_bytes()
    assert {entry["log"] for entry in lines(folder)} == {"officers"}


def test_the_verifier_is_printed_byte_for_byte(nothing: Home) -> None:
    assert nothing.run("log", "verifier").stdout_bytes == VERIFIER.read_bytes()
    digest = hashlib.sha256(VERIFIER.read_bytes()).hexdigest()
    assert nothing.run("log", "verifier", "--sha256").stdout == f"{digest}\n"
    assert json.loads(nothing.run("log", "verifier", "--json").stdout) == {"sha256": digest, "source": VERIFIER.read_text()}


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        pytest.param([], 2, "expected `--out` or `--tiles`", id="nowhere to"),
        pytest.param(["--tiles", "T"], 2, "writes one log", id="tiles of all"),
        pytest.param(["--out", "T", "--format", "pdf"], 2, "pdf", id="format"),
        pytest.param(["--out", "T", "--partner", "XXX"], 1, "no log `XXX`", id="no such log"),
        pytest.param(["--out", "T", "--partner", "JPN", "--log", "IND"], 1, "name two logs", id="two logs"),
        pytest.param(["--out", "T", "--since", "lately"], 2, "`lately` is neither a day nor a time", id="time"),
        pytest.param(["--out", "FULL"], 1, "is there already", id="a folder that is not empty"),
        pytest.param(["--out", "FULL/file", "--format", "csv"], 1, "is there already", id="a file that is there"),
        pytest.param(["--out", "FULL/file/below"], 2, "cannot write", id="below a file"),
    ],
)
def test_what_cannot_be_exported_leaves_everything_as_it_was(demo: Home, tmp_path: Path, arguments: list[str], code: int, why: str) -> None:
    (tmp_path / "FULL").mkdir()
    (tmp_path / "FULL" / "file").write_text("mine")
    given = [str(tmp_path / one) if one.startswith(("T", "FULL")) else one for one in arguments]
    before = {path for path in tmp_path.rglob("*") if "data" not in path.parts}
    result = demo.run("log", "export", *given, token=demo.token("demo-auditor"))
    assert (result.exit_code, why in result.stderr) == (code, True), result.output
    assert len(result.stderr.splitlines()) == 1
    assert {path for path in tmp_path.rglob("*") if "data" not in path.parts} == before
    assert (tmp_path / "FULL" / "file").read_text() == "mine"


def test_exports_are_for_auditors(demo: Home, tmp_path: Path) -> None:
    for token, why in ((demo.token("demo-officer"), "for clients of role `auditor`"), ("", "not authenticated")):
        result = demo.run("log", "export", "--out", str(tmp_path / "out"), token=token)
        assert result.exit_code == 1 and why in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600])
def test_static_tiles_are_the_log_for_whoever_reads_tiles(demo: Home, tmp_path: Path, size: int) -> None:
    with demo.opened() as installation:
        if size:
            with installation.database.releasing() as connection:
                drafts = [draft(number) for number in range(size)]
                installation.ledger.append(connection, installation.ledger.lock(connection, ["JPN"]), drafts, at=1)
    folder = tmp_path / "tiles"
    result = demo.run("log", "export", "--tiles", str(folder), "--log", "JPN", token=demo.token("demo-auditor"))
    assert result.exit_code == 0, result.output
    with demo.opened() as installation, installation.database.reading() as connection:
        head = logs.head(connection, "JPN")
        assert head is not None
        key = installation.ledger.vkey(head.origin)
    checkpoint = open_checkpoint((folder / "checkpoint").read_text(), key, head.origin)
    paths = [TilePath.parse(str(path.relative_to(folder))) for path in folder.rglob("*") if path.is_file() and path.name != "checkpoint"]
    leaves = [
        leaf
        for path in sorted((path for path in paths if path.level is None), key=lambda path: path.index)
        for leaf in decode_bundle((folder / str(path)).read_bytes())
    ]
    assert (checkpoint.size, len(leaves)) == (size, size)
    assert root([leaf_hash(leaf) for leaf in leaves]) == checkpoint.root
    for path in paths:
        if path.level is not None:
            hashes = decode_tile((folder / str(path)).read_bytes())
            under = 256**path.level
            starts = range(path.index * 256 * under, (path.index * 256 + path.width) * under, under)
            assert list(hashes) == [root(leaf_hash(leaf) for leaf in leaves[start : start + under]) for start in starts]
