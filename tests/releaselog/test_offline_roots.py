"""The offline verifier on roots: a head under a root, a receipt under it, a bundle's logs, and who of the witnesses has signed."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.releaselog import offline_verifier
from service.releaselog.cosign import Cosigner
from service.releaselog.leaf import canonical
from service.releaselog.merkle import consistency_proof, root
from service.releaselog.notes import Signer, read_note
from service.releaselog.receipt import read_proof
from service.sharing.acts import Actor
from service.sharing.audit import receipt
from service.sharing.exports.export import Format, exporting
from service.sharing.exports.selection import Selection
from service.sharing.exports.writing import to_folder
from service.sharing.rootlog import rooted
from service.store import logs
from service.store.logs import AuditFilter
from tests.releaselog.test_partial_trees import leaves, tiles_of
from tests.sharing.test_witnessing import Watched
from tests.support.exported import COULD_NOT_READ, DOES_NOT_HOLD, HOLDS, NOT_PROVEN, NOT_WITNESSED, settle_manifest, verify, vkeys

SOMEBODY: Final = Cosigner("somebody.example/w", bytes(32)).vkey


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Two roots, the second signed by a witness; then releases that no root holds yet, and a root that it has not signed."""
    folder = tmp_path_factory.mktemp("roots")
    made = Watched(folder, f"sqlite:///{folder / 'entente.db'}")
    made.add()
    for _ in range(5):
        made.world.item("JPN", "absent")
    made.root()
    for _ in range(4):
        made.world.item("JPN", "absent")
    made.clock.advance(seconds=60)
    assert made.installation.rootlog.append() is not None
    yield made
    made.world.close()


@pytest.fixture(scope="module")
def shown(watched: Watched, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is handed out: two exports, a root proof, receipts of the first and last entry, the log's keys. To be copied."""
    folder = tmp_path_factory.mktemp("shown")
    for name, asked in (("whole", AuditFilter()), ("jpn", AuditFilter(log="JPN", type="list"))):
        with exporting(watched.installation, Actor("c_auditor", "cli"), Selection(asked, {}), Format.BUNDLE) as export:
            to_folder(export.pieces(), folder / name)
    with watched.installation.database.reading() as connection:
        proof = rooted(connection, watched.installation.ledger, "JPN")
        (folder / "root.json").write_text(json.dumps(proof))
        size = logs.head(connection, "JPN").size  # type: ignore[union-attr]  # it has entries
        for name, index in (("first.json", 0), ("last.json", size - 1)):
            row = logs.entry_at(connection, "JPN", index)
            assert row is not None
            made = receipt(connection, watched.installation.ledger, "JPN", row.event_id).to_json()
            (folder / name).write_text(json.dumps({**made, "root_proof": proof}))
    (folder / "keys").write_text("\n".join(vkeys(folder / "whole")[1::2]))
    return folder


@pytest.fixture
def copied(shown: Path, tmp_path: Path) -> Path:
    return shutil.copytree(shown, tmp_path / "copied")


def test_a_root_proof_holds_under_both_keys_and_says_who_signed(shown: Path, watched: Watched) -> None:
    alone = verify("root", shown / "root.json", "--keys", shown / "keys")
    assert alone.code == HOLDS and "1 signatures of witnesses passed over" in alone.said, alone.said
    assert re.search(r"the head of `\S+/JPN` of 5 entries is under root 1 of `\S+/root`, made at ", alone.said), alone.said
    named = verify("root", shown / "root.json", "--keys", shown / "keys", "--witness", watched.vkey)
    assert named.code == HOLDS and "witness `witness.example/w1` signed at 2026-11-22T10:01:00Z" in named.said, named.said
    assert "passed over" not in named.said
    assert verify("root", shown / "root.json").code == NOT_PROVEN


@pytest.mark.parametrize("what", ["root", "receipt", "export"])
def test_fewer_witnesses_than_asked_for_are_refused_with_a_code_of_their_own(shown: Path, watched: Watched, what: str) -> None:
    path = shown / {"root": "root.json", "receipt": "first.json", "export": "whole"}[what]
    asked = (what, path, "--keys", shown / "keys", "--witness", watched.vkey)
    assert verify(*asked).code == HOLDS
    refused = verify(*asked, "--witness", SOMEBODY)
    assert refused.code == NOT_WITNESSED and "signed by 1 of the witnesses named, expected 2" in refused.said, refused.said
    assert verify(*asked, "--witness", SOMEBODY, "--quorum", "1").code == HOLDS
    only = verify(what, path, "--keys", shown / "keys", "--witness", SOMEBODY)
    assert only.code == NOT_WITNESSED and "passed over, as no `--witness` names them" in only.said


@pytest.mark.parametrize(
    "asked",
    [
        ["--quorum", "1"], ["--witness", SOMEBODY, "--quorum", "2"], ["--witness", SOMEBODY, "--witness", SOMEBODY, "--quorum", "2"],
        ["--witness", SOMEBODY, "--quorum", "0"], ["--witness", "x"], ["--witness", Signer("a", bytes(32)).vkey],
        ["--witness", SOMEBODY.replace("+", "+0", 1)],
    ],
)  # fmt: skip
def test_a_quorum_out_of_reach_and_a_key_that_is_no_witness_s_are_not_understood(shown: Path, asked: list[str]) -> None:
    assert verify("root", shown / "root.json", "--keys", shown / "keys", *asked).code == COULD_NOT_READ


def _note(change: Callable[[str], str]) -> Callable[[dict[str, Any]], None]:
    """Change the root log's checkpoint."""

    def changed(proof: dict[str, Any]) -> None:
        head, blank, note = proof["proof"].partition("\n\n")
        proof["proof"] = head + blank + change(note)

    return changed


def _forged(note: str) -> str:
    """Another time before the witness's signature."""
    line = next(line for line in note.split("\n") if "witness.example" in line)
    signature = bytearray(base64.b64decode(line.split(" ")[2]))
    signature[11] ^= 1
    return note.replace(line, f"{line.rsplit(' ', 1)[0]} {base64.b64encode(signature).decode()}")


def _by_another(note: str) -> str:
    return Signer(note.split("\n")[0], bytes(32)).sign(read_note(note)[0])


def _other(name: str) -> Callable[[dict[str, Any]], None]:
    def changed(proof: dict[str, Any]) -> None:
        proof[name] = bytes(a ^ 1 for a in bytes.fromhex(proof[name])).hex()

    return changed


def _moved(proof: dict[str, Any]) -> None:
    proof["slot"] = (proof["slot"] + 1) % 1024


def _of_another_type(proof: dict[str, Any]) -> None:
    face = json.loads(proof["leaf"])
    del face["heads_root"]
    proof["leaf"] = canonical({**face, "type": "look"}).decode()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(_other("salt"), r"the head in slot \d+ leads to root", id="the salt"),
        pytest.param(lambda proof: proof["path"].pop(), "a proof of 9 hashes", id="a hash missing"),
        pytest.param(lambda proof: proof["path"].reverse(), r"the head in slot \d+ leads to root", id="the way"),
        pytest.param(_moved, "is not that of the log", id="the slot"),
        pytest.param(lambda proof: proof.update(slots=2048), "is not that of the log", id="the number of slots"),
        pytest.param(lambda proof: proof.update(slot="1"), "no proper `slot`", id="a slot that is none"),
        pytest.param(lambda proof: proof.update(head=_by_another(proof["head"])), "the head: not signed by a key", id="the head"),
        pytest.param(lambda proof: proof.update(head=proof["head"].replace("\n5\n", "\n6\n")), "the head: the signature", id="its size"),
        pytest.param(lambda proof: proof.update(leaf=proof["leaf"].replace('"none"', '"some"')), "leads to root", id="the entry"),
        pytest.param(_of_another_type, "is of type look, expected that of a root", id="an entry of another type"),
        pytest.param(lambda proof: proof.update(leaf=proof["leaf"] + " "), "not in canonical form", id="an entry written otherwise"),
        pytest.param(_note(_by_another), "the root log: not signed by a key of this log", id="the root log's checkpoint"),
        pytest.param(_note(lambda note: note.replace("/root\n", "/JPN\n", 1)), "is not the root log of", id="another log for the root log"),
        pytest.param(_note(_forged), "the signature of witness `witness.example/w1` does not hold", id="the witness's signature"),
        pytest.param(lambda proof: proof.update(proof=proof["proof"].replace("index 1", "index 0")), "leads to root", id="the place"),
    ],
)  # fmt: skip
def test_a_changed_root_proof_is_refused_with_the_reason(
    copied: Path, watched: Watched, change: Callable[[dict[str, Any]], None], why: str
) -> None:
    path = copied / "root.json"
    proof = json.loads(path.read_text())
    change(proof)
    path.write_text(json.dumps(proof))
    verdict = verify("root", path, "--keys", copied / "keys", "--witness", watched.vkey)
    assert verdict.code == DOES_NOT_HOLD and re.search(why, verdict.said), verdict.said


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"slot": 1}'])
def test_what_is_no_root_proof_cannot_be_read(tmp_path: Path, content: str) -> None:
    (tmp_path / "root.json").write_text(content)
    assert verify("root", tmp_path / "root.json").code == COULD_NOT_READ


def test_a_receipt_is_under_the_root_if_it_is_old_enough(shown: Path, watched: Watched) -> None:
    asked = ("--keys", shown / "keys", "--witness", watched.vkey)
    first = verify("receipt", shown / "first.json", *asked)
    assert first.code == HOLDS and "it is under root 1 of" in first.said, first.said
    last = verify("receipt", shown / "last.json", *asked)
    assert last.code == NOT_WITNESSED and "younger than the newest root over its log" in last.said, last.said
    assert verify("receipt", shown / "last.json", "--keys", shown / "keys").code == HOLDS


def test_a_receipt_beside_the_root_of_another_history_is_refused(copied: Path) -> None:
    made = json.loads((copied / "first.json").read_text())
    for change, why in (
        (lambda proof: proof["consistency"].reverse(), "does not continue the head of 5 entries"),
        (lambda proof: proof["consistency"].pop(), r"a proof of \d hashes, expected \d"),
        (lambda proof: proof.pop("consistency"), "there is no proof of it"),
    ):
        changed = json.loads(json.dumps(made))
        change(changed["root_proof"])
        (copied / "first.json").write_text(json.dumps(changed))
        verdict = verify("receipt", copied / "first.json", "--keys", copied / "keys")
        assert verdict.code == DOES_NOT_HOLD and re.search(why, verdict.said), verdict.said


@pytest.mark.parametrize("name", ["whole", "jpn"])
def test_an_export_shows_the_root_over_each_log(shown: Path, watched: Watched, name: str) -> None:
    verdict = verify("export", shown / name, "--keys", shown / "keys", "--witness", watched.vkey)
    assert verdict.code == HOLDS, verdict.said
    assert "log JPN: its head of 5 entries is under root 1 of" in verdict.said
    assert "log JPN, its root: witness `witness.example/w1` signed at 2026-11-22T10:01:00Z" in verdict.said
    # Without the root log's key nothing less is shown than before there were roots; it is said that nothing more is.
    own = verify("export", shown / "jpn", *vkeys(shown / "jpn"))
    assert own.code == HOLDS and re.search("no `--key` for `\\S+/root`, so its root shows nothing", own.said), own.said


@pytest.mark.parametrize(
    ("log", "change", "why"),
    [
        pytest.param("JPN", _other("salt"), "log JPN, `roots/JPN`: the head in slot", id="the salt"),
        pytest.param("JPN", _note(_forged), "log JPN, `roots/JPN`: the signature of witness", id="the witness's signature"),
        pytest.param("JPN", lambda proof: proof["consistency"].pop(), "log JPN, `roots/JPN`: the checkpoint of the", id="way"),
        pytest.param("root", lambda proof: proof.update(head=_forged(proof["head"])), "`roots/root`: the signature of witness", id="root"),
        pytest.param("root", lambda proof: proof.update(head=_by_another(proof["head"])), "not signed by a key", id="root, by another"),
        pytest.param("root", lambda proof: proof["consistency"].reverse(), "`roots/root`: the checkpoint of the export", id="root, way"),
        pytest.param("root", lambda proof: proof.pop("head"), "it has no head", id="root, nothing"),
    ],
)  # fmt: skip
def test_a_changed_root_in_an_export_is_named(
    copied: Path, watched: Watched, log: str, change: Callable[[dict[str, Any]], None], why: str
) -> None:
    path = copied / "whole" / "roots" / log
    proof = json.loads(path.read_text())
    before = json.dumps(proof)
    change(proof)
    # A way of one hash is the same either way round.
    if json.dumps(proof) == before:
        proof["consistency"] = ["ab" * 32]
    path.write_text(json.dumps(proof))
    settle_manifest(copied / "whole")
    verdict = verify("export", copied / "whole", "--keys", copied / "keys", "--witness", watched.vkey)
    assert verdict.code == DOES_NOT_HOLD and why in verdict.said, verdict.said


def test_an_export_whose_roots_were_taken_out_is_one_that_no_witness_signed(copied: Path, watched: Watched) -> None:
    folder = copied / "whole"
    shutil.rmtree(folder / "roots")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = [file for file in manifest["files"] if not file["path"].startswith("roots/")]
    (folder / "manifest.json").write_bytes(canonical(manifest))
    assert verify("export", folder, "--keys", copied / "keys").code == HOLDS
    verdict = verify("export", folder, "--keys", copied / "keys", "--witness", watched.vkey)
    assert verdict.code == NOT_WITNESSED and "log JPN: signed by 0 of the witnesses named, expected 1" in verdict.said


def test_the_root_log_of_an_export_carries_what_witnesses_signed_of_it(shown: Path, watched: Watched) -> None:
    value = json.loads((shown / "whole" / "roots" / "root").read_text())
    assert "witness.example/w1" in value["head"]
    assert read_proof(json.loads((shown / "root.json").read_text())["proof"]).checkpoint == value["head"]


@given(st.integers(1, 80), st.integers(0, 80))
def test_its_consistency_is_ours(new: int, old: int) -> None:
    hashes = leaves(max(new, old))
    if old > new:
        with pytest.raises(offline_verifier.DoesNotHold, match="larger"):
            _continues(old, new, [], hashes)
        return
    proof = [value.hex() for value in consistency_proof(old, new, tiles_of(hashes[:new]))] if old else []
    _continues(old, new, proof, hashes)
    for wrong in ([*proof, "ab" * 32], proof[:-1], ["ab" * 32, *proof[1:]]):
        if wrong != proof:
            with pytest.raises(offline_verifier.DoesNotHold):
                _continues(old, new, wrong, hashes)


def _continues(old: int, new: int, proof: list[str], hashes: list[bytes]) -> None:
    heads = [offline_verifier.Head("example/log/1/JPN", size, root(hashes[:size])) for size in (old, new)]
    offline_verifier.check_continues(*heads, proof, "the log")
