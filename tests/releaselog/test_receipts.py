"""Receipts: a leaf's way to a signed head, and every way it can be wrong. The form is that of C2SP tlog-proof."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ProofError
from service.releaselog.checkpoint import Checkpoint, sign_checkpoint
from service.releaselog.merkle import inclusion_proof, leaf_hash, root
from service.releaselog.notes import Signer
from service.releaselog.receipt import Proof, Proven, read_proof, verify_receipt, write_proof

ORIGIN = "entente.example/log/17/JPN"
SIGNER = Signer(ORIGIN, bytes(range(32)))
LEAVES = [f'{{"entry":{number}}}'.encode() for number in range(8)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
HEAD = Checkpoint(ORIGIN, 8, root(HASHES))
NOTE = sign_checkpoint(HEAD, SIGNER)


def proof_of(index: int, extra: bytes | None = None) -> str:
    hashes = inclusion_proof(index, 8, lambda level, tile, width: HASHES[:width])
    return write_proof(Proof(index, hashes, NOTE, extra))


GOOD = proof_of(5)
LINES = GOOD.split("\n")


def replaced(line: int, *lines: str) -> str:
    return "\n".join([*LINES[:line], *lines, *LINES[line + 1 :]])


def test_a_proof_is_written_as_the_specification_shows_it() -> None:
    assert LINES[:2] == ["c2sp.org/tlog-proof@v1", "index 5"]
    assert [base64.b64decode(line) for line in LINES[2:5]] == list(inclusion_proof(5, 8, lambda level, tile, width: HASHES[:width]))
    assert LINES[5] == ""
    assert GOOD.endswith(f"\n\n{NOTE}")


@pytest.mark.parametrize("index", range(8))
def test_every_leaf_has_a_receipt_that_holds(index: int) -> None:
    assert verify_receipt(LEAVES[index], proof_of(index), SIGNER.vkey, origin=ORIGIN) == Proven(index, HEAD)


def test_the_only_entry_of_a_log_has_a_proof_without_hashes() -> None:
    head = sign_checkpoint(Checkpoint(ORIGIN, 1, HASHES[0]), SIGNER)
    text = write_proof(Proof(0, (), head))
    assert text == f"c2sp.org/tlog-proof@v1\nindex 0\n\n{head}"
    assert verify_receipt(LEAVES[0], text, SIGNER.vkey, origin=ORIGIN).index == 0


def test_extra_data_is_carried_and_proves_nothing() -> None:
    text = proof_of(5, b"anything")
    assert text.split("\n")[1] == "extra YW55dGhpbmc="
    assert read_proof(text).extra == b"anything"
    assert verify_receipt(LEAVES[5], text, SIGNER.vkey, origin=ORIGIN) == Proven(5, HEAD)


@given(
    st.integers(0, (1 << 63) - 2),
    st.lists(st.binary(min_size=32, max_size=32), max_size=64),
    st.none() | st.binary(min_size=1, max_size=40),
)
def test_what_was_written_is_read(index: int, hashes: list[bytes], extra: bytes | None) -> None:
    proof = Proof(index, tuple(hashes), NOTE, extra)
    assert read_proof(write_proof(proof)) == proof
    assert write_proof(read_proof(write_proof(proof))) == write_proof(proof)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "blank line", id="empty"),
        pytest.param("\n".join(LINES[:5]) + "\n", "blank line", id="no-checkpoint"),
        pytest.param(replaced(0, "c2sp.org/tlog-proof@v2"), "does not begin", id="another-version"),
        pytest.param("\ufeff" + GOOD, "does not begin", id="byte-order-mark"),
        pytest.param(GOOD.replace("\n", "\r\n"), "blank line", id="windows-newlines"),
        pytest.param(replaced(1), "without an `index` line", id="no-index"),
        pytest.param(replaced(1, "index"), "without an `index` line", id="index-without-number"),
        pytest.param(replaced(1, "Index 5"), "without an `index` line", id="upper-case"),
        pytest.param(replaced(1, "index 05"), "leading zeros", id="leading-zero"),
        pytest.param(replaced(1, "index  5"), "not a decimal", id="two-spaces"),
        pytest.param(replaced(1, "index -1"), "not a decimal", id="negative"),
        pytest.param(replaced(1, f"index {(1 << 63) - 1}"), "index `9223372036854775807`", id="index-no-tree-has"),
        pytest.param(replaced(1, f"index {1 << 70}"), "not a decimal number up to", id="index-beyond-63-bits"),
        pytest.param(replaced(1, "index 5", "index 5"), "a hash of a proof is not base64", id="two-indexes"),
        pytest.param(replaced(1, "index 5", "extra AA=="), "a hash of a proof", id="extra-after-index"),
        pytest.param(replaced(1, "extra AA==", "extra AA==", "index 5"), "without an `index` line", id="two-extras"),
        pytest.param(replaced(1, "extra ", "index 5"), "left out where there is none", id="empty-extra"),
        pytest.param(replaced(1, "extra AB==", "index 5"), "not canonical base64", id="extra-with-stray-bits"),
        pytest.param(replaced(2, LINES[2][:-1]), "not base64", id="hash-without-padding"),
        pytest.param(replaced(2, " " + LINES[2]), "not base64", id="indented-hash"),
        pytest.param(replaced(2, base64.b64encode(HASHES[0][:31]).decode()), "not 32 bytes", id="short-hash"),
        pytest.param(replaced(2, *[LINES[2]] * 70), "72 hashes", id="endless"),
        pytest.param(GOOD[:-1], "ends in a newline", id="no-final-newline"),
        pytest.param(GOOD + "x" * 2_000_000, "characters", id="too-large"),
    ],
)
def test_a_malformed_proof_is_refused_for_its_reason(text: str, said: str) -> None:
    with pytest.raises(ProofError, match=said):
        read_proof(text)
    with pytest.raises(ProofError, match=said):
        verify_receipt(LEAVES[5], text, SIGNER.vkey, origin=ORIGIN)


OTHER_LOG = Signer("entente.example/log/3/IND", bytes(range(32)))
OTHER_KEY = Signer(ORIGIN, bytes(32))
OTHER_TREE = sign_checkpoint(Checkpoint(ORIGIN, 8, HASHES[0]), SIGNER)
SMALLER = sign_checkpoint(Checkpoint(ORIGIN, 5, root(HASHES[:5])), SIGNER)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(proof_of(4), "leads to root", id="of-another-entry"),
        pytest.param(replaced(1, "index 4"), "leads to root", id="another-index"),
        pytest.param(replaced(1, "index 8"), "leaf index `8`", id="index-beyond-the-tree"),
        pytest.param(replaced(2), "too short", id="hash-dropped"),
        pytest.param(replaced(2, LINES[2], LINES[2]), "too long", id="hash-repeated"),
        pytest.param(replaced(2, LINES[3]), "leads to root", id="hash-exchanged"),
        pytest.param(GOOD.replace(NOTE, OTHER_TREE), "leads to root", id="another-tree"),
        pytest.param(GOOD.replace(NOTE, SMALLER), "leaf index `5` in a tree of 5", id="an-older-head"),
        pytest.param(GOOD.replace("\n8\n", "\n9\n"), "does not hold", id="size-changed"),
        pytest.param(GOOD.replace(NOTE, sign_checkpoint(HEAD, OTHER_KEY)), "has not signed", id="another-key"),
        pytest.param(
            GOOD.replace(NOTE, sign_checkpoint(Checkpoint(OTHER_LOG.name, 8, HEAD.root), OTHER_LOG)), "has not signed", id="another-log"
        ),
    ],
)
def test_a_proof_that_does_not_lead_to_the_log_s_head_is_refused(text: str, said: str) -> None:
    with pytest.raises(ProofError, match=said):
        verify_receipt(LEAVES[5], text, SIGNER.vkey, origin=ORIGIN)


def test_a_receipt_holds_for_its_leaf_s_exact_bytes_and_log_alone() -> None:
    with pytest.raises(ProofError, match="leads to root"):
        verify_receipt(LEAVES[5] + b" ", GOOD, SIGNER.vkey, origin=ORIGIN)
    with pytest.raises(ProofError, match="the key of"):
        verify_receipt(LEAVES[5], GOOD, SIGNER.vkey, origin=OTHER_LOG.name)
    with pytest.raises(ProofError, match="has not signed"):
        verify_receipt(LEAVES[5], GOOD, OTHER_LOG.vkey, origin=OTHER_LOG.name)
