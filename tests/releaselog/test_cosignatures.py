"""Cosignatures and the witness's protocol: a witness signs what continues what it signed before, and nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import ProofError
from service.releaselog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from service.releaselog.cosign import TIME_MAX, Cosigner, WitnessKey, find_cosignature
from service.releaselog.merkle import EMPTY_ROOT, consistency_proof, leaf_hash, root
from service.releaselog.notes import Signer
from service.releaselog.witness import Answer, Submission, add_checkpoint, read_submission, write_submission

LOG = Signer("entente.example/log/900/root", bytes(range(32)))
OTHER_KEY = Signer(LOG.name, bytes(32))
STRANGER = Signer("stranger.example/log", bytes(32))
WITNESS = Cosigner("witness.example/w1", bytes(range(1, 33)))
TIME = 1_679_315_147


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % index) for index in range(count)]


def signed(size: int, *, top: bytes | None = None, signer: Signer = LOG) -> str:
    return sign_checkpoint(Checkpoint(signer.name, size, root(leaves(size)) if top is None else top), signer)


def proof(old: int, new: int) -> tuple[bytes, ...]:
    hashes = leaves(new)

    def tiles(level: int, index: int, width: int) -> Sequence[bytes]:
        below = hashes if level == 0 else [root(hashes[start : start + 256]) for start in range(0, new - new % 256, 256)]
        return below[index * 256 : index * 256 + width]

    return consistency_proof(old, new, tiles) if old else ()


def ask(old: int, note: str, hashes: Sequence[bytes], *, latest: int | None = None, body: bytes | None = None) -> Answer:
    known = {} if latest is None else {LOG.name: Checkpoint(LOG.name, latest, root(leaves(latest)))}
    request = write_submission(Submission(old, tuple(hashes), note)).encode() if body is None else body
    return add_checkpoint(request, trusted={LOG.name: [LOG.vkey]}, latest=known, cosigner=WITNESS, time=TIME)


# --- cosignatures -------------------------------------------------------------------------------------------------------


def test_a_cosignature_is_made_as_the_specification_says_to_the_byte() -> None:
    note = signed(5)
    text = note.partition("\n\n")[0] + "\n"
    line = WITNESS.line(text, time=TIME)
    name, encoded = line.removeprefix("\u2014 ").rstrip("\n").split(" ")
    decoded = base64.b64decode(encoded)
    public = base64.b64decode(WITNESS.vkey.split("+", 2)[2])
    assert public[:1] == b"\x04" and name == "witness.example/w1"
    assert decoded[:4] == hashlib.sha256(b"witness.example/w1\n" + public).digest()[:4]
    assert decoded[4:12] == TIME.to_bytes(8, "big") and len(decoded) == 4 + 8 + 64
    message = f"cosignature/v1\ntime {TIME}\n{text}".encode()
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(decoded[12:], message)


@given(st.integers(0, TIME_MAX), st.integers(0, 300))
def test_what_a_witness_signed_is_found_and_leaves_the_checkpoint_valid(time: int, size: int) -> None:
    note = signed(size)
    text = note.partition("\n\n")[0] + "\n"
    both = note + WITNESS.line(text, time=time)
    found = find_cosignature(both, WITNESS.vkey)
    assert found is not None and found.time == time and both.endswith(found.line)
    assert open_checkpoint(both, LOG.vkey, LOG.name).size == size
    assert find_cosignature(note, WITNESS.vkey) is None
    assert find_cosignature(both, Cosigner("witness.example/w2", bytes(32)).vkey) is None


@settings(max_examples=200)
@given(st.data())
def test_a_cosignature_changed_anywhere_does_not_hold(data: st.DataObject) -> None:
    note = signed(7)
    text = note.partition("\n\n")[0] + "\n"
    line = WITNESS.line(text, time=TIME)
    raw = bytearray(base64.b64decode(line.rstrip("\n").split(" ")[2]))
    bit = data.draw(st.integers(32, len(raw) * 8 - 1))  # the key's id says whose it is: with another, it is somebody else's
    raw[bit // 8] ^= 1 << bit % 8
    changed = f"\u2014 {WITNESS.name} {base64.b64encode(raw).decode()}\n"
    with pytest.raises(ProofError, match=r"does not hold|seconds since 1970"):
        find_cosignature(note + changed, WITNESS.vkey)


def test_a_cosignature_is_of_one_checkpoint_alone() -> None:
    line = WITNESS.line(signed(7).partition("\n\n")[0] + "\n", time=TIME)
    with pytest.raises(ProofError, match="does not hold"):
        find_cosignature(signed(8) + line, WITNESS.vkey)


@pytest.mark.parametrize(
    "vkey",
    ["", "name", "a+b+c", LOG.vkey, WITNESS.vkey.replace("w1", "w2"), WITNESS.vkey[:-4], WITNESS.vkey + "=", " +00000000+AAAA"],
)  # fmt: skip
def test_a_key_of_another_form_or_type_is_no_witness_s(vkey: str) -> None:
    with pytest.raises(ProofError):
        WitnessKey.parse(vkey)


# --- the protocol -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 600), st.integers(0, 600))
def test_every_continuation_is_signed_and_remembered(one: int, other: int) -> None:
    old, new = sorted((one, other))
    answer = ask(old, signed(new), proof(old, new), latest=old)
    assert (answer.status, answer.remember) == (200, Checkpoint(LOG.name, new, root(leaves(new)))), answer.body
    found = find_cosignature(signed(new) + answer.body, WITNESS.vkey)
    assert found is not None and found.time == TIME


@given(st.binary(max_size=300))
def test_whatever_comes_is_answered_and_never_signed(body: bytes) -> None:
    answer = ask(0, "", (), body=body)
    assert answer.status == 400 and answer.remember is None


@given(st.integers(0, 2**62), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_a_request_is_read_as_it_was_written(old: int, hashes: list[bytes]) -> None:
    submission = Submission(old, tuple(hashes), signed(3))
    assert read_submission(write_submission(submission).encode()) == submission


FORK = root([leaf_hash(b"x"), *leaves(8)[1:]])


@pytest.mark.parametrize(
    ("answer", "status", "body", "media_type"),
    [
        pytest.param(ask(0, signed(8, signer=STRANGER), ()), 404, "unknown log\n", None, id="a log it does not know"),
        pytest.param(ask(0, signed(8, signer=OTHER_KEY), ()), 403, None, None, id="another key under the log's name"),
        pytest.param(ask(0, signed(8).replace("\n8\n", "\n9\n"), ()), 403, None, None, id="an edited checkpoint"),
        pytest.param(ask(9, signed(8), (), latest=9), 400, None, None, id="an old size above the new"),
        pytest.param(ask(0, signed(8), (), latest=5), 409, "5\n", "text/x.tlog.size", id="as if it had never signed"),
        pytest.param(ask(4, signed(8), proof(4, 8), latest=5), 409, "5\n", "text/x.tlog.size", id="from an earlier size"),
        pytest.param(ask(5, signed(8), proof(5, 8)), 409, "0\n", "text/x.tlog.size", id="from a size it never signed"),
        pytest.param(ask(8, signed(8, top=FORK), (), latest=8), 409, "8\n", "text/x.tlog.size", id="another root of the same size"),
        pytest.param(ask(5, signed(8, top=FORK), proof(5, 8), latest=5), 422, None, None, id="another history"),
        pytest.param(ask(5, signed(8), (), latest=5), 422, None, None, id="no proof"),
        pytest.param(ask(5, signed(8), proof(4, 8), latest=5), 422, None, None, id="the proof of another size"),
        pytest.param(ask(0, signed(8), (bytes(32),)), 422, None, None, id="a proof from nothing"),
        pytest.param(ask(8, signed(8), (bytes(32),), latest=8), 422, None, None, id="a proof where nothing was added"),
        pytest.param(ask(0, signed(8) + "x", ()), 400, None, None, id="no note"),
        pytest.param(ask(0, "", (), body=b"old 01\n\n" + signed(8).encode()), 400, None, None, id="a size with a leading zero"),
        pytest.param(ask(0, "", (), body=b"new 0\n\n" + signed(8).encode()), 400, None, None, id="another first line"),
        pytest.param(
            ask(0, "", (), body=b"old 5\n" + b"AAAA\n" * 1 + b"\n" + signed(8).encode()), 400, None, None, id="a hash of three bytes"
        ),
        pytest.param(ask(5, signed(8), (bytes(32),) * 64, latest=5), 400, None, None, id="too many hashes"),
        pytest.param(ask(0, "", (), body=b"old 0\n" * 20_000), 400, None, None, id="too long"),
    ],
)
def test_what_does_not_continue_is_refused_as_the_specification_says(
    answer: Answer, status: int, body: str | None, media_type: str | None
) -> None:
    assert (answer.status, answer.remember) == (status, None), answer.body
    assert body is None or answer.body == body
    assert media_type is None or answer.media_type == media_type


def test_a_rotated_log_is_trusted_by_either_key_and_a_wrong_one_condemns() -> None:
    checkpoint = Checkpoint(LOG.name, 0, EMPTY_ROOT)
    both = sign_checkpoint(checkpoint, OTHER_KEY, LOG)
    assert ask(0, both, ()).status == 200
    forged = sign_checkpoint(Checkpoint(LOG.name, 1, leaf_hash(b"0")), LOG).replace("\n1\n", "\n2\n")
    assert ask(0, forged, ()).status == 403
