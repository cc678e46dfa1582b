"""The offline verifier finds every tampering and names its place, agrees with our own code, and says what it did not prove."""

from __future__ import annotations

import ast
import hashlib
import json
import math
import re
import shutil
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from service.releaselog import offline_verifier
from service.releaselog.checkpoint import Checkpoint, sign_checkpoint
from service.releaselog.leaf import LeafError, canonical, parse_canonical
from service.releaselog.merkle import leaf_hash, root
from service.releaselog.notes import Signer
from service.releaselog.partial import gap, gaps_between
from service.sharing.acts import Actor
from service.sharing.audit import receipt
from service.sharing.exports.export import Format, exporting
from service.sharing.exports.selection import Selection
from service.sharing.exports.writing import to_folder
from service.sharing.installation import Installation
from service.store import logs
from service.store.logs import AuditFilter
from tests.releaselog.test_partial_trees import leaves, tiles_of
from tests.support.exported import (
    COULD_NOT_READ,
    DOES_NOT_HOLD,
    HOLDS,
    NOT_PROVEN,
    VERIFIER,
    filled,
    lines,
    reseal,
    settle_manifest,
    verify,
    vkeys,
    write_lines,
)  # fmt: skip

ENTRIES: Final = 60


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with filled(tmp_path_factory.mktemp("offline") / "data", ENTRIES) as opened:
        yield opened


def export_of(installation: Installation, to: Path, asked: AuditFilter, query: dict[str, object]) -> Path:
    with exporting(installation, Actor("c_auditor", "cli"), Selection(asked, query), "bundle") as export:
        to_folder(export.pieces(), to)
    return to


@pytest.fixture(scope="module")
def kept(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of every log, whole, and of the items alone. To be copied."""
    folder = tmp_path_factory.mktemp("exports")
    export_of(installation, folder / "whole", AuditFilter(), {})
    export_of(installation, folder / "items", AuditFilter(log="JPN", type="item"), {"log": "JPN", "type": "item"})
    return folder


@pytest.fixture
def whole(kept: Path, tmp_path: Path) -> Path:
    return shutil.copytree(kept / "whole", tmp_path / "whole")


@pytest.fixture
def items(kept: Path, tmp_path: Path) -> Path:
    return shutil.copytree(kept / "items", tmp_path / "items")


def real_signer(installation: Installation, origin: str) -> Signer:
    """The log's own key, in the hands of somebody who has it."""
    return Signer(origin, (installation.settings.data / "keys" / "log.key").read_bytes())


def place_of(folder: Path, number: int, log: str = "JPN") -> int:
    """The line of the `number`th entry of a log."""
    return [place for place, entry in enumerate(lines(folder)) if entry["log"] == log][number]


# --- what holds -------------------------------------------------------------------------------------------------------


def test_it_is_one_file_of_the_standard_library_and_cryptography() -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(VERIFIER.read_text())):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add((node.module or "").partition(".")[0])
    assert imported - sys.stdlib_module_names == {"cryptography"}


@pytest.mark.parametrize("name", ["whole", "items"])
def test_an_export_holds_under_the_keys_given_and_is_not_proven_without(kept: Path, name: str) -> None:
    folder = kept / name
    verdict = verify("export", folder, *vkeys(folder))
    assert (verdict.code, verdict.said.splitlines()[-1]) == (HOLDS, "everything holds"), verdict.said
    alone = verify("export", folder)
    assert alone.code == NOT_PROVEN and "checked with a key out of the export itself" in alone.said


def test_a_zip_is_read_as_its_folder_is(installation: Installation, tmp_path: Path, kept: Path) -> None:
    path = tmp_path / "evidence.zip"
    with exporting(installation, Actor("c_auditor", "cli"), Selection(AuditFilter(log="JPN"), {"log": "JPN"}), "bundle") as export:
        path.write_bytes(b"".join(export.content(Format.BUNDLE)))
    assert verify("export", path, *vkeys(kept / "whole")).code == HOLDS
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert verify("export", path, *vkeys(kept / "whole")).code in (DOES_NOT_HOLD, COULD_NOT_READ)


@pytest.mark.parametrize("block", [100, 4099])
def test_lines_may_be_longer_than_what_is_read_at_once(kept: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(offline_verifier, "BLOCK", block)
    for name in ("whole", "items"):
        assert offline_verifier.main(["export", str(kept / name), *vkeys(kept / name)]) == HOLDS


def test_a_key_file_takes_several(kept: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("\n".join(vkeys(kept / "whole")[1::2]) + "\n")
    assert verify("export", kept / "whole", "--keys", keys).code == HOLDS


# --- what does not ----------------------------------------------------------------------------------------------------

Tamper = Callable[[list[dict[str, Any]], int], None]


def _set(path: str, value: object) -> Tamper:
    def change(entries: list[dict[str, Any]], at: int) -> None:
        target: Any = entries[at]
        *before, last = path.split(".")
        for name in before:
            target = target[int(name) if name.isdigit() else name]
        assert target[last] != value
        target[last] = value

    return change


def _sealed(change: Tamper) -> Tamper:
    """The same, by somebody who makes seal and leaf hash agree again: then it is the tree that tells."""

    def both(entries: list[dict[str, Any]], at: int) -> None:
        change(entries, at)
        reseal(entries[at])

    return both


def _delete(entries: list[dict[str, Any]], at: int) -> None:
    entries.pop(at)


def _swap(entries: list[dict[str, Any]], at: int) -> None:
    entries[at], entries[at + 1] = entries[at + 1], entries[at]


def _swap_contents(entries: list[dict[str, Any]], at: int) -> None:
    _swap(entries, at)
    entries[at]["index"], entries[at + 1]["index"] = entries[at + 1]["index"], entries[at]["index"]


def _twice(entries: list[dict[str, Any]], at: int) -> None:
    entries.insert(at, entries[at])


def _earlier(entries: list[dict[str, Any]], at: int) -> None:
    entries[at]["face"]["at"] = entries[at]["record"]["at"] = "2026-11-22T09:00:00.000000Z"


def _event_of_another(entries: list[dict[str, Any]], at: int) -> None:
    entries[at]["face"]["event_id"] = entries[at - 1]["face"]["event_id"]


def _another_member(entries: list[dict[str, Any]], at: int) -> None:
    entries[at]["face"]["more"] = 1


def _renamed_label(entries: list[dict[str, Any]], at: int) -> None:
    labels = entries[at]["record"]["labels"]
    digest = next(iter(labels))
    labels[digest]["level"] = "RESTRICTED"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(_set("face.client", "c_other"), "its face has leaf hash", id="the face"),
        pytest.param(_sealed(_set("face.client", "c_other")), "lead to root", id="the face, hashed again"),
        pytest.param(_set("face.items.0.copy_sha256", "ab" * 32), "its face has leaf hash", id="the copy"),
        pytest.param(_set("record.bundle", "ab" * 32), "are sealed as", id="the record"),
        pytest.param(_sealed(_set("record.bundle", "ab" * 32)), "lead to root", id="the record, sealed again"),
        pytest.param(_set("nonce", "ab" * 32), "are sealed as", id="the nonce"),
        pytest.param(_set("leaf_hash", "ab" * 32), "its face has leaf hash", id="the leaf hash"),
        pytest.param(_sealed(_set("record.at", "2026-11-22T10:00:00.000001Z")), "its record is of 2026", id="another time in the record"),
        pytest.param(_sealed(_set("record.partner", "IND")), "its record is of partner IND", id="another partner in the record"),
        pytest.param(_sealed(_set("record.outcome", "withhold")), "it was sent, and its record has outcome withhold", id="outcome"),
        pytest.param(_sealed(_set("record.items.0.version", 0)), "has version 0", id="version"),
        pytest.param(_sealed(_set("record.items.0.id", "other")), "is of other items than its face", id="items"),
        pytest.param(_sealed(_renamed_label), "of its record has digest", id="a label under another's digest"),
        pytest.param(_sealed(_set("record.labels", {})), "names a label that the record does not hold", id="a label missing"),
        pytest.param(_sealed(_set("record.act", 1)), "is below that of entry", id="an earlier act"),
        pytest.param(_sealed(_earlier), "is before that of entry", id="an earlier time"),
        pytest.param(_sealed(_event_of_another), "lead to root", id="an event id twice"),
        pytest.param(_set("index", 7), "out of place", id="another index"),
        pytest.param(_set("log", "IND"), "log IND: 0 entries shown", id="another log"),
        pytest.param(_delete, "neither shown nor left out", id="an entry deleted"),
        pytest.param(_swap, "out of place", id="two entries exchanged"),
        pytest.param(_swap_contents, "lead to root", id="two entries exchanged, with their numbers"),
        pytest.param(_twice, "out of place|too many", id="an entry twice"),
        pytest.param(_sealed(_set("face.v", 2)), "is of version 2", id="another version"),
        pytest.param(_sealed(_another_member), "with `more`, which is unknown", id="an unknown member"),
        pytest.param(_sealed(_set("face.at", "2026-02-30T10:00:00.000000Z")), "is none", id="no such day"),
    ],
)  # fmt: skip
def test_a_changed_entry_is_named_with_the_reason(whole: Path, change: Tamper, why: str) -> None:
    entries = lines(whole)
    at = place_of(whole, 20)
    index, event = entries[at]["index"], entries[at]["face"]["event_id"]
    change(entries, at)
    write_lines(whole, entries)
    settle_manifest(whole)
    verdict = verify("export", whole, *vkeys(whole))
    assert verdict.code == DOES_NOT_HOLD, verdict.said
    assert re.search(why, verdict.said), verdict.said
    # By its number or event, unless only the tree as a whole, or a count, could tell.
    named = f"entry {index}" in verdict.said or event in verdict.said
    assert named or re.search("lead to root|too many|entries shown", verdict.said), verdict.said


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        pytest.param(b'{"face":', b'{ "face":', "not in canonical form", id="a space"),
        pytest.param(b'"v":1}', b'"v":1.0}', "not in canonical form", id="a number written otherwise"),
        pytest.param(b'"purpose":"none"', b'"purpose":"\\u006eone"', "not in canonical form", id="an escape too many"),
        pytest.param(b'"v":1}', b'"v":1,"v":1}', "not in canonical form", id="a member twice"),
        pytest.param(b'"purpose":"none"', b'"purpose":"\xff"', "not canonical JSON", id="not UTF-8"),
        pytest.param(b'{"face":', b'["face":', "not canonical JSON", id="not JSON"),
    ],
)
def test_a_line_in_another_form_is_refused_though_it_may_mean_the_same(whole: Path, old: bytes, new: bytes, why: str) -> None:
    path = whole / "entries.jsonl"
    content = path.read_bytes().splitlines(keepends=True)
    at = place_of(whole, 20)
    assert old in content[at]
    content[at] = content[at].replace(old, new, 1)
    path.write_bytes(b"".join(content))
    manifest = json.loads((whole / "manifest.json").read_bytes())
    for file in manifest["files"]:
        if file["path"] == "entries.jsonl":
            file |= {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (whole / "manifest.json").write_bytes(canonical(manifest))
    verdict = verify("export", whole, *vkeys(whole))
    assert verdict.code == DOES_NOT_HOLD and why in verdict.said, verdict.said


def _gap(change: Callable[[list[dict[str, Any]]], None]) -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        gaps = [json.loads(line) for line in (folder / "left-out.jsonl").read_bytes().splitlines()]
        change(gaps)
        write_lines(folder, gaps, "left-out.jsonl")
        settle_manifest(folder)

    return tamper


def _last_row_hidden(folder: Path) -> None:
    """A row is removed, and called left out: the manifest agrees, and the tree does not."""
    entries = lines(folder)
    gone = entries.pop()
    write_lines(folder, entries)
    path = folder / "left-out.jsonl"
    left_out = {"hashes": ["ab" * 32], "log": "JPN", "start": gone["index"], "stop": gone["index"] + 1}
    path.write_bytes(path.read_bytes() + canonical(left_out) + b"\n")
    settle_manifest(folder)


def _file(name: str, change: Callable[[bytes], bytes], *, settle: bool = True) -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        path = folder / name
        changed = change(path.read_bytes())
        assert changed != path.read_bytes()
        path.write_bytes(changed)
        if settle:
            settle_manifest(folder)

    return tamper


def _first_bundle(folder: Path) -> None:
    name = next((folder / "bundles").iterdir()).name
    _file(f"bundles/{name}/agreements.csv", lambda text: text + b"# more\n")(folder)


def _counts(folder: Path) -> None:
    settle_manifest(folder, lambda manifest: manifest["logs"][0].update(left_out=0))


def _total(folder: Path) -> None:
    settle_manifest(folder, lambda manifest: manifest.update(entries=1))


def _wider(gaps: list[dict[str, Any]]) -> None:
    gaps[0]["stop"] += 1


def _resized(folder: Path) -> None:
    settle_manifest(folder, lambda manifest: manifest["logs"][0].update(size=manifest["logs"][0]["size"] + 1))


@pytest.mark.parametrize(
    ("tamper", "why"),
    [
        pytest.param(_gap(lambda gaps: gaps[0]["hashes"].__setitem__(0, "ab" * 32)), "lead to root", id="a hash of a gap"),
        pytest.param(_gap(_wider), "with too few hashes|expected entry|out of place", id="a wider gap"),
        pytest.param(_gap(lambda gaps: gaps.pop(0)), "neither shown nor left out", id="a gap gone"),
        pytest.param(_gap(lambda gaps: gaps.insert(1, gaps[0])), "neither shown nor left out|out of place", id="a gap twice"),
        pytest.param(_gap(lambda gaps: gaps[0]["hashes"].append("ab" * 32)), "with too many hashes", id="a hash too many"),
        pytest.param(_last_row_hidden, "lead to root|out of place|neither shown", id="a row removed and called left out"),
        pytest.param(_file("entries.jsonl", lambda text: text[:-1], settle=False), "ends within a line", id="cut off"),
        pytest.param(_file("query.json", lambda text: text.replace(b"item", b"list")), "differ in the query", id="the query"),
        pytest.param(_file("checkpoints/JPN", lambda text: text.replace(b"\n60\n", b"\n61\n")), "does not hold", id="a size"),
        pytest.param(_file("README.txt", lambda text: text + b"x", settle=False), "file `README.txt` has", id="a file beside"),
        pytest.param(lambda folder: (folder / "keys.json").unlink(), "file `keys.json` is missing", id="a file missing"),
        pytest.param(_resized, "the manifest says 61", id="the manifest's size"),
        pytest.param(_counts, "the manifest says", id="the manifest's counts"),
        pytest.param(_total, "the manifest says 1", id="the manifest's total"),
        pytest.param(_first_bundle, "has other files than its digest says", id="a policy bundle"),
    ],
)  # fmt: skip
def test_a_changed_export_is_found_though_its_manifest_agrees(items: Path, tamper: Callable[[Path], None], why: str) -> None:
    keys = vkeys(items)
    tamper(items)
    verdict = verify("export", items, *keys)
    assert verdict.code == DOES_NOT_HOLD and re.search(why, verdict.said), verdict.said


@pytest.mark.parametrize(("span", "code"), [((0, 16), 1), ((16, 32), 1), ((32, 48), 1), (None, 0)])
def test_entries_that_are_shown_were_not_pruned(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], span: tuple[int, int] | None, code: int
) -> None:
    """Wherever a run of them begins. With tiles of 16, of which this log has several."""
    monkeypatch.setattr(offline_verifier, "TILE", 16)
    manifest = json.loads((whole / "manifest.json").read_bytes())
    listed = next(log for log in manifest["logs"] if log["log"] == "JPN")
    if span is not None:
        listed["pruned"] = [{"start": span[0], "stop": span[1], "event_id": "an-event"}]
    (whole / "manifest.json").write_bytes(canonical(manifest))
    assert offline_verifier.main(["export", str(whole), *vkeys(whole)]) == code
    if span is not None:
        said = capsys.readouterr().out
        assert f"log JPN, entry {span[0]}, event " in said and "shown, and pruned as the manifest says" in said


def test_a_bundle_that_an_entry_names_must_be_there(items: Path) -> None:
    shutil.rmtree(items / "bundles")
    manifest = json.loads((items / "manifest.json").read_bytes())
    manifest["files"] = [file for file in manifest["files"] if not file["path"].startswith("bundles/")]
    (items / "manifest.json").write_bytes(canonical(manifest))
    verdict = verify("export", items, *vkeys(items))
    assert verdict.code == DOES_NOT_HOLD and "is named by an entry, and is not in the export" in verdict.said


def test_an_event_id_used_twice_is_found_though_the_log_was_signed_so(items: Path, installation: Installation) -> None:
    """Somebody who holds the log's key wrote it: the tree is right, and the signature."""
    entries = lines(items)
    write_lines(items, entries)
    first, second = entries[3], entries[5]
    second["face"]["event_id"] = first["face"]["event_id"]
    reseal(second)
    _sign_again(items, entries, installation)
    verdict = verify("export", items, *vkeys(items))
    assert verdict.code == DOES_NOT_HOLD
    assert f"entry {second['index']}" in verdict.said and f"is that of log JPN, entry {first['index']} too" in verdict.said, verdict.said


def _sign_again(folder: Path, entries: list[dict[str, Any]], installation: Installation) -> None:
    """Write a log anew around these entries, with its real key: what was left out stays as it was."""
    with installation.database.reading() as connection:
        head = logs.head(connection, "JPN")
        assert head is not None
        hashes = [row.leaf_hash for row in logs.entries(connection, head.id)]
    for entry in entries:
        hashes[entry["index"]] = bytes.fromhex(entry["leaf_hash"])
    shown = [entry["index"] for entry in entries]
    gaps = [gap(start, stop, len(hashes), tiles_of(hashes)) for start, stop in gaps_between(shown, len(hashes))]
    write_lines(folder, entries)
    write_lines(
        folder,
        [{"hashes": [value.hex() for value in one.hashes], "log": "JPN", "start": one.start, "stop": one.stop} for one in gaps],
        "left-out.jsonl",
    )
    note = sign_checkpoint(Checkpoint(head.origin, len(hashes), root(hashes)), real_signer(installation, head.origin))
    (folder / "checkpoints" / "JPN").write_text(note)
    settle_manifest(folder, lambda manifest: manifest["logs"][0].update(root=root(hashes).hex()))


def test_a_history_written_anew_holds_by_itself_and_not_beside_a_checkpoint_somebody_kept(
    whole: Path, items: Path, installation: Installation, tmp_path: Path
) -> None:
    with installation.database.reading() as connection:
        head = logs.head(connection, "JPN")
        assert head is not None
        first = [row.leaf_hash for row in logs.entries(connection, head.id)][:33]
    seen = tmp_path / "seen"
    seen.write_text(sign_checkpoint(Checkpoint(head.origin, 33, root(first)), real_signer(installation, head.origin)))
    keys = vkeys(whole)
    assert verify("export", whole, *keys, "--seen", seen).code == HOLDS
    assert verify("export", whole, *keys, "--seen", whole / "checkpoints" / "JPN").code == HOLDS
    entries = [entry for entry in lines(whole) if entry["log"] == "JPN"]
    entries[10]["face"]["client"] = "c_somebody_else"
    reseal(entries[10])
    folder = items
    _sign_again(folder, entries, installation)
    assert verify("export", folder, *keys).code == HOLDS
    verdict = verify("export", folder, *keys, "--seen", seen)
    assert verdict.code == DOES_NOT_HOLD and "the log was written anew" in verdict.said


def test_a_checkpoint_that_lies_within_a_gap_is_said_not_to_be_compared(installation: Installation, kept: Path, tmp_path: Path) -> None:
    with installation.database.reading() as connection:
        head = logs.head(connection, "JPN")
        assert head is not None
        hashes = [row.leaf_hash for row in logs.entries(connection, head.id)]
    folder = export_of(installation, tmp_path / "some", AuditFilter(log="JPN", client="c_nobody"), {"client": "c_nobody"})
    seen = tmp_path / "seen"
    seen.write_text(sign_checkpoint(Checkpoint(head.origin, 7, root(hashes[:7])), real_signer(installation, head.origin)))
    verdict = verify("export", folder, *vkeys(kept / "whole"), "--seen", seen)
    assert verdict.code == NOT_PROVEN and "could not be compared" in verdict.said, verdict.said


def test_a_key_of_somebody_else_does_not_open_the_checkpoint(whole: Path) -> None:
    origin = json.loads((whole / "keys.json").read_text())["JPN"]["origin"]
    verdict = verify("export", whole, *vkeys(whole), "--key", Signer(origin, bytes(32)).vkey)
    assert verdict.code == HOLDS  # one of the keys given signed it
    other = [part if origin not in part else Signer(origin, bytes(32)).vkey for part in vkeys(whole)]
    verdict = verify("export", whole, *other)
    assert verdict.code == DOES_NOT_HOLD and "not signed by a key of this log" in verdict.said


@pytest.mark.parametrize(
    "arguments",
    [["export", "/nowhere"], ["export"], [], ["receipt", "/nowhere"], ["export", str(VERIFIER)], ["export", "/", "--key", "x"], ["other"]],
)
def test_what_cannot_be_read_is_neither_right_nor_wrong(arguments: list[str]) -> None:
    assert verify(*arguments).code == COULD_NOT_READ


# --- receipts ---------------------------------------------------------------------------------------------------------


def receipt_of(installation: Installation, log: str, index: int, to: Path) -> dict[str, str]:
    with installation.database.reading() as connection:
        row = logs.entry_at(connection, log, index)
        assert row is not None
        made = dict(receipt(connection, installation.ledger, log, row.event_id).to_json())
    to.write_text(json.dumps(made))
    return made


def test_a_receipt_holds_under_its_log_s_key(installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    made = receipt_of(installation, "JPN", 17, path)
    assert verify("receipt", path, "--key", made["key"]).code == HOLDS
    assert verify("receipt", path).code == NOT_PROVEN


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(lambda made, other: made.update(leaf=other["leaf"], event_id=other["event_id"]), "leads to root", id="another's leaf"),
        pytest.param(lambda made, other: made.update(event_id=other["event_id"]), "its leaf is of event", id="another's event"),
        pytest.param(
            lambda made, other: made.update(proof=made["proof"].replace("index 17", "index 18")), "leads to root|expected", id="index"
        ),
        pytest.param(
            lambda made, other: made.update(leaf=made["leaf"].replace('"sent"', '"done"')), "without the hash|an act with", id="leaf"
        ),
        pytest.param(lambda made, other: made.update(proof=made["proof"].replace("\n60\n", "\n61\n")), "does not hold", id="size"),
        pytest.param(
            lambda made, other: made.update(proof=made["proof"].replace("tlog-proof@v1", "tlog-proof@v2")), "that is none", id="form"
        ),
    ],
)
def test_a_changed_receipt_is_refused_with_the_reason(
    installation: Installation, tmp_path: Path, change: Callable[[dict[str, str], dict[str, str]], None], why: str
) -> None:
    path = tmp_path / "receipt.json"
    made, other = receipt_of(installation, "JPN", 17, path), receipt_of(installation, "JPN", 18, tmp_path / "other.json")
    change(made, other)
    path.write_text(json.dumps(made))
    verdict = verify("receipt", path, "--key", other["key"])
    assert verdict.code == DOES_NOT_HOLD and re.search(why, verdict.said), verdict.said


def test_a_receipt_of_another_log_is_not_opened_by_this_log_s_key(installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    foreign = receipt_of(installation, "officers", 0, path)
    ours = receipt_of(installation, "JPN", 17, tmp_path / "other.json")
    assert verify("receipt", path, "--key", ours["key"]).code == NOT_PROVEN
    # Its proof under the other's key, as if it were of that log.
    foreign["key"] = ours["key"]
    path.write_text(json.dumps(foreign))
    assert verify("receipt", path).code == DOES_NOT_HOLD


# --- its own mathematics, against ours --------------------------------------------------------------------------------


@given(st.data())
def test_its_tree_is_ours_for_any_entries_shown(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    shown = sorted(data.draw(st.sets(st.integers(0, size - 1))))
    hashes = leaves(size)
    tree = offline_verifier.Tree(size)
    missing = [gap(start, stop, size, tiles_of(hashes)) for start, stop in gaps_between(shown, size)]
    for index in range(size):
        if index in shown:
            tree.show([hashes[index]])
        elif missing and missing[0].start == index:
            one = missing.pop(0)
            tree.leave_out(offline_verifier.Gap("JPN", one.start, one.stop, list(one.hashes)))
    assert (tree.size, tree.left_out, tree.root()) == (size, size - len(shown), root(hashes))


@pytest.mark.parametrize("size", [1023, 1024, 1025, 2048, 3000, 5121])
def test_its_tree_is_ours_where_it_takes_in_whole_subtrees(size: int) -> None:
    one_by_one, together = offline_verifier.Tree(size), offline_verifier.Tree(size)
    for value in leaves(size):
        one_by_one.show([value])
    together.show(leaves(size)[:700])
    together.show(leaves(size)[700:])
    assert one_by_one.root() == together.root() == root(leaves(size))


def doubles() -> st.SearchStrategy[float]:
    return st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]).filter(math.isfinite) | st.floats(
        allow_nan=False, allow_infinity=False
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | doubles() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_its_canonical_json_is_that_of_rfc_8785(value: Any) -> None:
    text = rfc8785.dumps(value)
    assert offline_verifier.canonical(value).encode() == text
    # What is one number as a double and another as an integer is refused, here as there.
    try:
        read = parse_canonical(text)
    except LeafError:
        with pytest.raises(offline_verifier.Bad):
            offline_verifier.canonical_value(text)
    else:
        assert offline_verifier.canonical_value(text) == read


# --- the quick way and the thorough one -------------------------------------------------------------------------------


def reader() -> Any:
    return offline_verifier.EntryReader(offline_verifier.EventIds(), set())


def quick(reading: Any, line: bytes) -> list[Any]:
    """What the quick way makes of a line: a run of one, or nothing."""
    runs, odd = reading.usual([line])
    assert (len(runs), odd) in ((1, []), (0, [0]))
    return list(runs)


def thorough(line: bytes) -> Any:
    return offline_verifier.run_of(offline_verifier.read_entry(line))


def same(run: Any, other: Any) -> bool:
    return all(list(one) == list(two) if isinstance(one, list | tuple) else one == two for one, two in zip(run, other, strict=True))


def test_the_quick_way_is_gone_for_what_partners_were_sent_and_refused(kept: Path) -> None:
    """Else it is of no use; and it says the same as the thorough one, of one line as of many."""
    content = (kept / "whole" / "entries.jsonl").read_bytes().splitlines()
    by_one = [run for line in content for run in quick(reader(), line)]
    assert len(by_one) == ENTRIES
    assert all(same(run, thorough(line)) for run in by_one for line in content if b'"event_id":"' + run.events[0] + b'"' in line)
    partners = [line for line in content if b'"log":"officers"' not in line and b'"log":"root"' not in line]
    runs, odd = reader().usual(partners)
    assert odd == [] and [run.start for run in runs] == [0] * len({run.log for run in by_one})
    for name, column in enumerate(offline_verifier.Run._fields):
        if column not in ("log", "start"):
            assert [one for run in runs for one in run[name]] == [run[name][0] for run in by_one]
    assert [place for run in runs for place in range(run.start, run.start + len(run.hashes))] == [run.start for run in by_one]


def test_lines_of_another_form_among_the_usual_ones_are_read_in_their_place(kept: Path) -> None:
    content = (kept / "whole" / "entries.jsonl").read_bytes().splitlines()
    assert {b'"log":"officers"' in line for line in content} == {True, False}
    mixed = sorted(content, key=lambda line: hashlib.sha256(line).digest())
    # Order within a log is not what is looked at here.
    reading = reader()
    reading._in_order = lambda run: None
    read = [
        (run.log, run.start + number, event, leaf)
        for run in reading.read([mixed[:40], mixed[40:]])
        for number, (event, leaf) in enumerate(zip(run.events, run.hashes, strict=True))
    ]
    entries = [offline_verifier.read_entry(line) for line in mixed]
    assert read == [(entry.log, entry.place, entry.event_id, entry.leaf_hash) for entry in entries]
    assert reading.count == len(mixed)


@given(st.data())
def test_what_passes_the_quick_way_passes_the_thorough_one(kept: Path, data: st.DataObject) -> None:
    """Any bytes of a line changed, removed or repeated, seals and leaf hash made to agree with it again where they can be."""
    content = (kept / "items" / "entries.jsonl").read_bytes().splitlines()
    line = bytearray(data.draw(st.sampled_from(content)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(line) - 1))
        match data.draw(st.sampled_from(["change", "drop", "double", "copy"])):
            case "change":
                line[at] = data.draw(st.sampled_from(list(b'"{}[],:0123456789abcdefnul\\ \x00\xff\xc3-.')))
            case "drop":
                del line[at : at + data.draw(st.integers(1, 30))]
            case "double":
                line[at:at] = line[at : at + data.draw(st.integers(1, 60))]
            case "copy":
                start = data.draw(st.integers(0, len(line) - 1))
                line[at : at + 8] = line[start : start + 8]
        if not line:
            return
    changed = _agreeing(bytes(line))
    for run in quick(reader(), changed):
        assert same(run, thorough(changed))


@pytest.mark.parametrize("kind", ["item", "list", "file", "refused"])
def test_at_no_place_of_a_line_does_the_quick_way_let_pass_what_the_thorough_one_does_not(kept: Path, kind: str) -> None:
    """Every byte of a line, changed to one of each sort; by a reader that has seen the line before, and one that has not."""
    content = (kept / "whole" / "entries.jsonl").read_bytes().splitlines()
    which = b'"result":"refused"' if kind == "refused" else b'"type":"' + kind.encode() + b'"'
    seen = reader()
    # Of a list, one of more than one item.
    usual = [line for line in content if which in line and quick(seen, line) and (kind != "list" or line.count(b'"copy_sha256"') > 1)]
    line = min(usual, key=len)
    passed = 0
    for at in range(len(line)):
        for byte in b'"\\AZaf09,{}%. \x1f\x7f\xe9':
            changed = line[:at] + bytes([byte]) + line[at + 1 :]
            for one in {changed, _agreeing(changed)} - {line}:
                for run in quick(seen, one):
                    passed += 1
                    assert same(run, thorough(one)), one
    assert passed > 100  # what may be changed in good form


def _at(line: bytes, at: bytes) -> bytes:
    return line.replace(line[line.find(b'"at":"') + 6 :][:27], at)


def _client_of(length: int) -> Callable[[bytes], bytes]:
    return lambda line: re.sub(rb'"client":"[^"]*"', b'"client":"' + b"c" * length + b'"', line)


def _labels(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    def changed(line: bytes) -> bytes:
        before, start, rest = line.partition(b'],"labels":{')
        labels, end, after = rest.partition(b'},"outcome"')
        return before + start + b",".join(change(re.findall(rb'"[0-9a-f]{64}":\{[^}]*\}', labels))) + end + after

    return changed


def _refused_for(item: bytes) -> Callable[[bytes], bytes]:
    """Refused, of an item that the record says nothing of."""

    def changed(line: bytes) -> bytes:
        line = re.sub(rb'"items":\[[^]]*\]', b'"items":[' + item + b"]", line, count=1)
        line = line.replace(b'"result":"sent"', b'"result":"refused"').replace(b'"outcome":"release"', b'"outcome":"withhold"')
        return re.sub(rb'"items":\[\{"id":"[^"]*","labels":\[[^]]*\],.*\],"labels":\{', b'"items":[],"labels":{', line)

    return changed


def _unversioned(line: bytes) -> bytes:
    """Sent as it is said of items, but of none is there a version or the digest of a copy."""
    return re.sub(rb'"copy_sha256":"[^"]*",', b"", re.sub(rb'"version":[0-9]+', b'"version":0', line))


@pytest.mark.parametrize(
    ("change", "right"),
    [
        pytest.param(lambda line: _at(line, b"2027-01-31T23:59:59.999999Z"), True, id="another time"),
        pytest.param(lambda line: _at(line, b"2027-02-30T23:59:59.999999Z"), False, id="no day"),
        pytest.param(lambda line: _at(line, b"2027-01-31T24:59:59.999999Z"), False, id="no hour"),
        pytest.param(lambda line: _at(line, b"2027-01-31T23:59:59.9999+9Z"), False, id="no fraction"),
        pytest.param(lambda line: _at(line, b"2027-01-31T23:59:59.999999z"), False, id="no zone"),
        pytest.param(_client_of(60_000), True, id="a long face"),
        pytest.param(_client_of(66_000), False, id="a face that is too long"),
        pytest.param(_labels(lambda labels: labels), True, id="labels as they are"),
        pytest.param(_labels(lambda labels: labels[::-1]), False, id="labels in another order"),
        pytest.param(_labels(lambda labels: [labels[0], *labels]), False, id="a label twice"),
        pytest.param(_labels(lambda labels: labels[1:]), False, id="a label that is named and not there"),
        pytest.param(_refused_for(b'{"id":"a"},{"id":"?' + b"ab" * 32 + b'"}'), True, id="refused, unknown"),
        pytest.param(_unversioned, False, id="sent, of an item without a version or a copy"),
        pytest.param(lambda line: line.replace(b'"index":', b'"index":0'), False, id="an index with a zero before it"),
        pytest.param(lambda line: line.replace(b'"act":', b'"act":0'), False, id="an act with a zero before it"),
        pytest.param(_refused_for(b'{"id":"a b"}'), False, id="refused, no id"),
        pytest.param(_refused_for(b'{"id":"a"},{"name":"b"}'), False, id="refused, no item"),
    ],
)
def test_the_quick_way_lets_pass_what_is_right_and_nothing_else(kept: Path, change: Callable[[bytes], bytes], *, right: bool) -> None:
    """Of what takes more than one change to a line. It never errs, and what it does not let pass the thorough way refuses."""
    content = (kept / "items" / "entries.jsonl").read_bytes().splitlines()
    reading = reader()
    line = next(line for line in content if line.partition(b'],"labels":{')[2].count(b'":{') > 1 and quick(reading, line))
    changed = _agreeing(change(line))
    assert bool(quick(reading, changed)) == right
    if right:
        assert same(quick(reading, changed)[0], thorough(changed))
    else:
        with pytest.raises(offline_verifier.DoesNotHold):
            offline_verifier.read_entry(changed)


def test_lines_are_cut_as_others_like_them_were(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it is of no use."""
    content = [line for line in (kept / "items" / "entries.jsonl").read_bytes().splitlines() if quick(reader(), line)]
    reading, cut = reader(), []
    monkeypatch.setattr(offline_verifier, "cut_of", lambda line, cut_of=offline_verifier.cut_of: cut.append(line) or cut_of(line))
    for line in content:
        quick(reading, line)
    assert 0 < len(cut) < len(content) / 4


def test_a_line_that_is_cut_elsewhere_than_others_whose_seal_stands_at_the_same_place_is_read_as_quickly(kept: Path) -> None:
    content = [line for line in (kept / "items" / "entries.jsonl").read_bytes().splitlines() if quick(reader(), line)]
    line = next(line for line in content if line.count(b'"copy_sha256"') == 1)
    found = re.search(rb'"client":"([^"]+)".*?"id":"([^"]{8,})"', line)
    assert found is not None
    client, item = found.groups()
    # What the client has more, the item has less: in the face, and in the record, which is shorter then.
    moved = line.replace(b'"client":"' + client, b'"client":"' + client + b"abcd").replace(b'"id":"' + item, b'"id":"' + item[:-4])
    moved = _agreeing(moved)
    assert len(moved) == len(line) - 4 and moved.find(b',"seal":"') == line.find(b',"seal":"')
    reading = reader()
    for some in ([line, moved, line], [moved], [line], [moved, line, moved]):
        runs, odd = reading.usual(some)
        assert odd == []
        assert [one for run in runs for one in run.hashes] == [thorough(one).hashes[0] for one in some]


@pytest.mark.parametrize(
    ("places", "wrong"),
    [((9, 10, 11), b"010"), ((10, 11, 12), b"05"), ((10, 11, 12), b"+11"), ((10, 11, 12), b"1x"), ((9, 11, 12), b"1_1")],
)
def test_an_index_in_the_midst_of_others_is_written_in_its_one_way(kept: Path, places: tuple[int, ...], wrong: bytes) -> None:
    content = [line for line in (kept / "whole" / "entries.jsonl").read_bytes().splitlines() if b'"log":"JPN"' in line]
    first, middle, last = (content[place] for place in places)
    reading = reader()
    runs, odd = reading.usual([first, middle, last])
    assert [place for run in runs for place in range(run.start, run.start + len(run.hashes))] == [*places] and odd == []
    changed = re.sub(rb'"index":[0-9]+', b'"index":' + wrong, middle)
    assert reading.usual([first, changed, last])[0] == []


@pytest.mark.parametrize("where", ["client", "purpose", "items"])
def test_what_is_long_is_read_and_not_held(kept: Path, where: str) -> None:
    """Else an export made for it could fill the memory of whoever checks it."""
    content = (kept / "items" / "entries.jsonl").read_bytes().splitlines()
    line = next(line for line in content if b'"result":"sent"' in line and b'"query":null' in line and quick(reader(), line))
    long = {
        "client": _client_of(3_000),
        "purpose": lambda line: re.sub(rb'"purpose":"[^"]*"', b'"purpose":"' + b"p" * 3_000 + b'"', line),
        "items": _refused_for(b",".join(b'{"id":"%d"}' % number for number in range(300))),
    }
    changed = _agreeing(long[where](line))
    reading = reader()
    assert quick(reading, line) and same(quick(reading, changed)[0], thorough(changed))
    held = [text for known in vars(reading).values() if isinstance(known, dict | set) for text in known if not isinstance(text, int)]
    assert held
    assert all((sum(map(len, text)) if isinstance(text, tuple) else len(text)) <= 2_000 for text in held)


@pytest.mark.parametrize("member", ["time", "act"])
def test_order_is_looked_at_from_one_block_of_lines_to_the_next(kept: Path, member: str) -> None:
    lines_ = [line for line in (kept / "whole" / "entries.jsonl").read_bytes().splitlines() if b'"log":"JPN"' in line]
    assert sum(len(run.hashes) for run in reader().read([lines_[:20], lines_[20:]])) == len(lines_)
    first = lines_[19]
    later = _at(first, b"2999-01-31T23:59:59.999999Z") if member == "time" else re.sub(rb'"act":[0-9]+', b'"act":99999', first)
    with pytest.raises(offline_verifier.DoesNotHold, match=f"{member} .* that of entry 19"):
        list(reader().read([[*lines_[:19], _agreeing(later)], lines_[20:]]))


def test_a_query_that_is_not_canonical_never_passes_the_quick_way(kept: Path) -> None:
    """Nor does it because one like it was seen before."""
    lines = (kept / "whole" / "entries.jsonl").read_bytes().splitlines()
    line = next(line for line in lines if b'"query":{"' in line)
    reading = reader()
    assert quick(reading, line)
    members = (b" ", b'"zz":1,', b'"a":1,"b":["c"],"a":2,', b'"a":01,', b'"a":"\\u0041",')
    for changed in [line.replace(b'"query":{', b'"query":{' + more) for more in members]:
        for _ in range(2):
            assert not quick(reading, _agreeing(changed))
        with pytest.raises(offline_verifier.DoesNotHold):
            offline_verifier.read_entry(_agreeing(changed))
    assert quick(reading, line)
    for more in (b'"a":1,', b'"a":"b","aa":["c","d"],', b'"a":[],"b":"","c":0,'):
        changed = _agreeing(line.replace(b'"query":{', b'"query":{' + more))
        (run,) = quick(reading, changed)
        assert same(run, thorough(changed))


def _agreeing(line: bytes) -> bytes:
    """The line with seal and leaf hash of its very bytes, so that a change is not found by them alone."""
    cut = line.partition(b',"index":')
    record = line[line.find(b'"record":') + 9 : -1]
    nonce = line[line.find(b'"nonce":"') + 9 :][:64]
    face = cut[0].removeprefix(b'{"face":')
    try:
        sealed = hashlib.sha256(bytes.fromhex(nonce.decode()) + record).hexdigest().encode()
    except ValueError:
        return line
    place = face.find(b'"seal":"')
    if place < 0:
        return line
    face = face[: place + 8] + sealed + face[place + 72 :]
    rest = cut[2]
    place = rest.find(b'"leaf_hash":"')
    rest = rest[: place + 13] + leaf_hash(face).hex().encode() + rest[place + 77 :]
    return b'{"face":' + face + cut[1] + rest


def test_it_reads_no_zip_with_two_files_of_one_name(kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for _ in range(2):
            archive.writestr("manifest.json", "{}")
    assert verify("export", path).code == DOES_NOT_HOLD


@pytest.mark.parametrize("hashes", [1, 2, 3])
def test_at_no_place_of_a_gap_does_the_quick_way_read_what_the_thorough_one_does_not(hashes: int) -> None:
    digests = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(hashes)]
    line = offline_verifier.canonical({"hashes": digests, "log": "JPN", "start": 9, "stop": 10 + hashes}).encode()
    assert offline_verifier.GAP.fullmatch(line) is not None
    forms = [line.replace(b'"start":9', b'"start":%d' % start) for start in (0, 11, 12, 2**53)]
    forms += [re.sub(rb"\[.*\]", b"[]", line)]
    forms += [
        line[:at] + new + line[at + 1 :] for at in range(len(line)) for new in (b"", *(bytes([byte]) for byte in b'"\\AZaf09,{}[]-. \xe9'))
    ]
    for form in [line, *forms]:
        assert _outcome(offline_verifier.gap_of, form) == _outcome(offline_verifier.read_gap, form), form


def _outcome(read: Callable[[bytes], Any], line: bytes) -> Any:
    try:
        return read(line)
    except offline_verifier.DoesNotHold as found:
        return str(found)
