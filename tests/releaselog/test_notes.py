"""Notes and checkpoints: published examples, and every way they can be malformed.

The signed example is that of Go's `golang.org/x/mod/sumdb/note` (its documentation and `example_test.go`), key, text and
signature. The checkpoint's form is that of C2SP tlog-checkpoint.
"""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ProofError
from service.releaselog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from service.releaselog.merkle import EMPTY_ROOT, leaf_hash
from service.releaselog.notes import Signer, VerifierKey, open_note, vkey

GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_PRIVATE = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
GO_KEY_ID = bytes.fromhex("c74f20a3")
GO_NOTE = f"{GO_TEXT}\n{GO_LINE}"

ORIGIN = "entente.example/log/17/JPN"
SIGNER = Signer(ORIGIN, bytes(range(32)))
WITNESS = Signer("witness.example", bytes(range(1, 33)))
ROOT = leaf_hash(b"leaf")


def signed(text: str) -> str:
    return SIGNER.sign(text)


def line_of(signer: Signer, text: str) -> str:
    return signer.sign(text).rpartition("\n\n")[2]


# --- notes --------------------------------------------------------------------------------------------------------------


def test_the_published_note_is_signed_and_opened() -> None:
    signer = Signer("PeterNeumann", GO_PRIVATE)
    assert signer.vkey == GO_VKEY
    assert signer.sign(GO_TEXT) == GO_NOTE
    assert open_note(GO_NOTE, GO_VKEY) == GO_TEXT


def test_a_vkey_is_made_of_name_and_public_key() -> None:
    assert vkey("PeterNeumann", base64.b64decode(GO_VKEY.split("+", 2)[2])[1:]) == GO_VKEY


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])), min_size=1, max_size=5))
def test_what_was_signed_is_opened(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    assert open_note(SIGNER.sign(text), SIGNER.vkey) == text


def test_a_text_may_hold_blank_lines() -> None:
    assert open_note(signed("one\n\ntwo\n\n"), SIGNER.vkey) == "one\n\ntwo\n\n"


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([line_of(WITNESS, GO_TEXT)], id="a-witness"),
        pytest.param(["— somebody.example AAAAAAE=\n"], id="of-a-kind-we-do-not-know"),
        pytest.param([f"— PeterNeumann {base64.b64encode(b'other' + bytes(64)).decode()}\n"], id="another-key-of-our-name"),
        pytest.param([f"— other.example {base64.b64encode(GO_KEY_ID + bytes(64)).decode()}\n"], id="our-key-id-under-another-name"),
        pytest.param(["— w.example AAAAAAE=\n"] * 99, id="a-hundred-lines"),
        pytest.param([GO_LINE], id="our-own-twice"),
    ],
)
def test_signatures_of_others_are_passed_over(others: list[str]) -> None:
    assert open_note(f"{GO_TEXT}\n{''.join(others)}{GO_LINE}", GO_VKEY) == GO_TEXT
    assert open_note(f"{GO_TEXT}\n{GO_LINE}{''.join(others)}", GO_VKEY) == GO_TEXT


SIGNATURE = GO_LINE.split(" ")[2].strip()
RAW = base64.b64decode(SIGNATURE)
WRONG = base64.b64encode(RAW[:-1] + bytes([RAW[-1] ^ 1])).decode()


@pytest.mark.parametrize(
    ("note", "said"),
    [
        pytest.param("", "without a blank line", id="empty"),
        pytest.param(GO_TEXT + GO_LINE, "without a blank line", id="no-blank-line"),
        pytest.param(GO_TEXT + "\n", "signature lines", id="no-signature"),
        pytest.param(GO_NOTE[:-1], "signature lines that end in a newline", id="no-final-newline"),
        pytest.param(GO_NOTE + "\n", "signature lines", id="blank-line-at-the-end"),
        pytest.param(GO_NOTE.replace("—", "-"), "em dash", id="hyphen"),
        pytest.param(GO_NOTE.replace("—", "–"), "em dash", id="en-dash"),
        pytest.param(GO_NOTE.replace("— ", "—"), "em dash and a space", id="no-space-after-the-dash"),
        pytest.param(GO_NOTE.replace("— ", "—  "), "key name", id="two-spaces"),
        pytest.param(f"{GO_TEXT}\n— PeterNeumann\n", "without a signature", id="no-base64"),
        pytest.param(f"{GO_TEXT}\n— PeterNeumann \n", "a signature of 0 bytes", id="empty-base64"),
        pytest.param(f"{GO_TEXT}\n— Peter+Neumann {SIGNATURE}\n", "key name", id="plus-in-the-name"),
        pytest.param(f"{GO_TEXT}\n— Peter\u2003Neumann {SIGNATURE}\n", "key name", id="wide-space-in-the-name"),
        pytest.param(f"{GO_TEXT}\n— PeterNeumann {SIGNATURE[:-1]}\n", "not base64", id="no-padding"),
        pytest.param(f"{GO_TEXT}\n— PeterNeumann {SIGNATURE[:-2]}N=\n", "not canonical base64", id="stray-bits"),
        pytest.param(f"{GO_TEXT}\n— PeterNeumann {SIGNATURE} \n", "not base64", id="trailing-space"),
        pytest.param(f"{GO_TEXT}\n— PeterNeumann {SIGNATURE[:8]}é{SIGNATURE[8:]}\n", "not base64", id="not-ascii"),
        pytest.param(f"{GO_TEXT}\n— PeterNeumann AAAAAA==\n", "a signature of 4 bytes", id="key-id-alone"),
        pytest.param(f"{GO_TEXT}\n— PeterNeumann {WRONG}\n", "does not hold", id="wrong-signature"),
        pytest.param(f"{GO_TEXT}\n— PeterNeumann {WRONG}\n{GO_LINE}", "does not hold", id="wrong-beside-right"),
        pytest.param(f"{GO_TEXT}\n— PeterNeumann {base64.b64encode(RAW[:-1]).decode()}\n", "does not hold", id="cut-signature"),
        pytest.param(f"{GO_TEXT}\n{line_of(WITNESS, GO_TEXT)}", "has not signed", id="another-key"),
        pytest.param(f"{GO_TEXT}\n— w.example AAAAAAE=\n", "has not signed", id="unknown-key-alone"),
        pytest.param(f"{GO_TEXT}\n{GO_LINE * 101}", "101 signatures", id="too-many-signatures"),
        pytest.param(GO_NOTE.replace("think", "thunk"), "does not hold", id="changed-text"),
        pytest.param(GO_NOTE.replace("think", "think\t"), "control character", id="tab"),
        pytest.param(GO_NOTE.replace("\n", "\r\n"), "control character", id="windows-newlines"),
        pytest.param(GO_NOTE.replace("think", "\0"), "control character", id="nul"),
        pytest.param(GO_NOTE.replace("think", "\ud800"), "not Unicode", id="half-a-surrogate"),
        pytest.param("x" * 1_000_001, "1000001 bytes", id="too-large"),
    ],
)
def test_a_malformed_note_is_refused_for_its_reason(note: str, said: str) -> None:
    with pytest.raises(ProofError, match=said):
        open_note(note, GO_VKEY)


KEY = base64.b64decode(GO_VKEY.split("+", 2)[2])


@pytest.mark.parametrize(
    ("given_vkey", "said"),
    [
        pytest.param("", "`NAME", id="empty"),
        pytest.param("PeterNeumann+c74f20a3", "`NAME", id="no-key"),
        pytest.param(GO_VKEY.replace("PeterNeumann", ""), "key name", id="no-name"),
        pytest.param(GO_VKEY.replace("PeterNeumann", "Peter Neumann"), "key name", id="space-in-name"),
        pytest.param(GO_VKEY.replace("PeterNeumann", "peterneumann"), "is not that of its key", id="other-name"),
        pytest.param(GO_VKEY.replace("c74f20a3", "C74F20A3"), "8 hex digits", id="upper-case-id"),
        pytest.param(GO_VKEY.replace("c74f20a3", "c74f20a"), "8 hex digits", id="short-id"),
        pytest.param(GO_VKEY.replace("c74f20a3", "c74f20a4"), "is not that of its key", id="other-id"),
        pytest.param(GO_VKEY[:-1], "not base64", id="cut-base64"),
        pytest.param(GO_VKEY + "\n", "not base64", id="newline-at-the-end"),
        pytest.param(f"PeterNeumann+c74f20a3+{base64.b64encode(KEY[:-1]).decode()}", "not Ed25519", id="short-key"),
        pytest.param(f"PeterNeumann+c74f20a3+{base64.b64encode(bytes([4]) + KEY[1:]).decode()}", "not Ed25519", id="other-algorithm"),
    ],
)
def test_a_malformed_vkey_is_refused_for_its_reason(given_vkey: str, said: str) -> None:
    with pytest.raises(ProofError, match=said):
        VerifierKey.parse(given_vkey)
    with pytest.raises(ProofError, match=said):
        open_note(GO_NOTE, given_vkey)


@pytest.mark.parametrize("text", ["no newline", "", "tab\t\n", "\ud800\n"])
def test_a_text_that_no_reader_would_take_is_not_signed(text: str) -> None:
    with pytest.raises(ProofError):
        SIGNER.sign(text)


@pytest.mark.parametrize(("name", "key"), [("", bytes(32)), ("a b", bytes(32)), ("a+b", bytes(32)), ("a\n", bytes(32)), ("a", bytes(31))])
def test_a_signer_has_a_proper_name_and_key(name: str, key: bytes) -> None:
    with pytest.raises(ProofError):
        Signer(name, key)


# --- checkpoints --------------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 5, ROOT), SIGNER)
    assert note.startswith(f"{ORIGIN}\n5\n{base64.b64encode(ROOT).decode()}\n\n— {ORIGIN} ")
    assert open_checkpoint(note, SIGNER.vkey, ORIGIN) == Checkpoint(ORIGIN, 5, ROOT)


def test_a_checkpoint_of_the_specification_is_read() -> None:
    # The body of C2SP tlog-checkpoint's example, signed with a key of ours.
    signer = Signer("example.com/behind-the-sofa", bytes(32))
    note = signer.sign("example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n")
    assert open_checkpoint(note, signer.vkey, signer.name).size == 20_852_163
    assert sign_checkpoint(open_checkpoint(note, signer.vkey, signer.name), signer) == note


def test_the_empty_log_has_a_checkpoint() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert open_checkpoint(sign_checkpoint(empty, SIGNER), SIGNER.vkey, ORIGIN) == empty


def test_a_witness_s_signature_may_stand_beside() -> None:
    checkpoint = Checkpoint(ORIGIN, 5, ROOT)
    note = sign_checkpoint(checkpoint, SIGNER) + line_of(WITNESS, checkpoint.text())
    assert open_checkpoint(note, SIGNER.vkey, ORIGIN) == checkpoint


ROOT64 = base64.b64encode(ROOT).decode()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(f"{ORIGIN}\n5\n", "2 lines", id="no-root"),
        pytest.param(f"{ORIGIN}\n5\n{ROOT64}\nextension\n", "4 lines", id="extension-line"),
        pytest.param(f"{ORIGIN}\n5\n{ROOT64}\n\n", "4 lines", id="blank-line"),
        pytest.param(f"\n5\n{ROOT64}\n", "origin", id="no-origin"),
        pytest.param(f"entente.example/log/17/IND\n5\n{ROOT64}\n", "a checkpoint of `entente.example/log/17/IND`", id="another-log"),
        pytest.param(f"{ORIGIN} \n5\n{ROOT64}\n", "a checkpoint of", id="space-after-the-origin"),
        pytest.param(f"{ORIGIN}\n05\n{ROOT64}\n", "leading zeros", id="leading-zero"),
        pytest.param(f"{ORIGIN}\n+5\n{ROOT64}\n", "not a decimal", id="plus"),
        pytest.param(f"{ORIGIN}\n-5\n{ROOT64}\n", "not a decimal", id="minus"),
        pytest.param(f"{ORIGIN}\n\n{ROOT64}\n", "not a decimal", id="no-size"),
        pytest.param(f"{ORIGIN}\n 5\n{ROOT64}\n", "not a decimal", id="space-before-the-size"),
        pytest.param(f"{ORIGIN}\n٥\n{ROOT64}\n", "not a decimal", id="digit-of-another-script"),
        pytest.param(f"{ORIGIN}\n5_0\n{ROOT64}\n", "not a decimal", id="underscore"),
        pytest.param(f"{ORIGIN}\n{1 << 63}\n{ROOT64}\n", "not a decimal number up to", id="beyond-63-bits"),
        pytest.param(f"{ORIGIN}\n5\n{ROOT.hex()}\n", "root of", id="root-in-hex"),
        pytest.param(f"{ORIGIN}\n5\n{ROOT64[:-1]}\n", "not base64", id="no-padding"),
        pytest.param(f"{ORIGIN}\n5\n{base64.urlsafe_b64encode(b'?' * 32).decode()}\n", "not base64", id="url-alphabet"),
        pytest.param(f"{ORIGIN}\n5\n{base64.b64encode(ROOT[:31]).decode()}\n", "root of 31 bytes", id="short-root"),
        pytest.param(f"{ORIGIN}\n0\n{ROOT64}\n", "size 0 with another root", id="nothing-with-a-root"),
    ],
)
def test_a_malformed_checkpoint_is_refused_though_its_signature_holds(body: str, said: str) -> None:
    with pytest.raises(ProofError, match=said):
        open_checkpoint(SIGNER.sign(body), SIGNER.vkey, ORIGIN)


def test_a_checkpoint_of_another_key_is_refused() -> None:
    impostor = Signer(ORIGIN, bytes(32))
    note = sign_checkpoint(Checkpoint(ORIGIN, 5, ROOT), impostor)
    with pytest.raises(ProofError, match="has not signed"):
        open_checkpoint(note, SIGNER.vkey, ORIGIN)


def test_a_key_never_vouches_for_another_log() -> None:
    note = WITNESS.sign(Checkpoint(ORIGIN, 5, ROOT).text())
    with pytest.raises(ProofError, match=r"the key of `witness\.example`"):
        open_checkpoint(note, WITNESS.vkey, ORIGIN)
    with pytest.raises(ProofError, match=r"key `witness\.example` for a checkpoint of"):
        sign_checkpoint(Checkpoint(ORIGIN, 5, ROOT), WITNESS)


@pytest.mark.parametrize(
    ("origin", "size", "root"), [("", 1, ROOT), ("a\nb", 1, ROOT), ("a", -1, ROOT), ("a", 1 << 63, ROOT), ("a", 1, b""), ("a", 0, ROOT)]
)
def test_a_tree_head_that_could_not_be_read_back_is_not_built(origin: str, size: int, root: bytes) -> None:
    with pytest.raises(ProofError):
        Checkpoint(origin, size, root)
