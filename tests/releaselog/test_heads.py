"""The heads tree: a root binds every slot, its proof shows one and hides the rest, and every way a proof can be wrong is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import ProofError
from service.releaselog.checkpoint import Checkpoint, sign_checkpoint
from service.releaselog.heads import RootProof, heads_root, slot_hash, slot_hashes, slot_of, slot_path, slot_salt, verify_root_proof
from service.releaselog.leaf import Face, FaceItem, LeafError, leaf_bytes, parse_leaf, time_text
from service.releaselog.merkle import leaf_hash, root, verify_inclusion
from service.releaselog.notes import Signer
from service.releaselog.receipt import Proof, write_proof
from service.settings import LOG_SLOTS

SECRET = bytes(range(32))
OWN = Signer("entente.example/log/17/JPN", bytes(range(32)))
ROOT = Signer("entente.example/log/900/root", bytes(range(32)))
AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
slots = st.integers(min_value=0, max_value=1023)
heads = st.dictionaries(slots, st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20), max_size=6)
secrets = st.binary(min_size=32, max_size=32)


@given(secrets, slots)
def test_salts_are_those_of_rfc_5869(secret: bytes, slot: int) -> None:
    info = b"entente/heads/v1/slot" + slot.to_bytes(2, "big")
    assert slot_salt(secret, slot) == HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(secret)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(secrets, heads, slots)
def test_every_slot_used_or_not_is_proven_and_nothing_else_passes_for_it(secret: bytes, under: dict[int, str], slot: int) -> None:
    hashed = slot_hashes(secret, under)
    top = heads_root(secret, under)
    assert len(hashed) == 1024 and root(hashed) == top
    head = under.get(slot)
    content = b"" if head is None else head.encode()
    own = sha256(b"\x00" + slot_salt(secret, slot) + content).digest()
    path = slot_path(hashed, slot)
    verify_inclusion(leaf_hash=own, leaf_index=slot, tree_size=1024, proof=path, root=top)
    other = sha256(b"\x00" + slot_salt(secret, slot) + content + b"x").digest()
    for hash_, place in ((other, slot), (own, (slot + 1) % 1024)):
        with pytest.raises(ProofError):
            verify_inclusion(leaf_hash=hash_, leaf_index=place, tree_size=1024, proof=path, root=top)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(secrets, heads, heads)
def test_two_roots_agree_only_where_all_slots_do(secret: bytes, one: dict[int, str], other: dict[int, str]) -> None:
    assert (heads_root(secret, one) == heads_root(secret, other)) == (one == other)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(heads, secrets, secrets)
def test_under_another_secret_no_slot_looks_the_same(under: dict[int, str], one: bytes, other: bytes) -> None:
    """So that from two proofs nobody learns whether a neighbour's slot stayed as it was."""
    same = [a == b for a, b in zip(slot_hashes(one, under), slot_hashes(other, under), strict=True)]
    assert all(same) if one == other else not any(same)


@settings(max_examples=5, deadline=None)
@given(secrets)
def test_the_salts_of_all_slots_are_those_of_each(secret: bytes) -> None:
    assert slot_hashes(secret, {}) == [slot_hash(slot_salt(secret, slot), None) for slot in range(LOG_SLOTS)]


@pytest.mark.parametrize(("secret", "slot"), [(bytes(31), 0), (bytes(33), 0), (SECRET, -1), (SECRET, 1024)])
def test_there_is_no_salt_of_another_slot_or_secret(secret: bytes, slot: int) -> None:
    with pytest.raises(ProofError):
        slot_salt(secret, slot)
    with pytest.raises(ProofError):
        slot_hashes(secret, {slot: "head"})


@pytest.mark.parametrize("origin", ["JPN", "a/log/1024/JPN", "a/log/017/JPN", "a/log/x/JPN", "a/log/-1/JPN", "log/1/JPN"])
def test_an_origin_of_another_form_names_no_slot(origin: str) -> None:
    with pytest.raises(ProofError):
        slot_of(origin)


# --- the proof of a partner's head --------------------------------------------------------------------------------------


def root_leaf(under: bytes, **changes: object) -> bytes:
    face = Face("heads", "e-1", AT, "machine", "clock", (), None, "done", "none", bytes(32), heads_root=under)
    return replace(face, **changes).leaf()  # type: ignore[arg-type]


def proof_of(*, slot: int = 17, leaf: bytes | None = None, signer: Signer = ROOT) -> RootProof:
    head = sign_checkpoint(Checkpoint(OWN.name, 1, leaf_hash(b"first")), OWN)
    others = {3: "another's head", 900: "one more"}
    hashed = slot_hashes(SECRET, {**others, slot: head})
    entry = root_leaf(root(hashed)) if leaf is None else leaf
    before = leaf_hash(b"the root before")
    tree = root([before, leaf_hash(entry)])
    checkpoint = sign_checkpoint(Checkpoint(signer.name, 2, tree), signer)
    proof = write_proof(Proof(1, (before,), checkpoint))
    return RootProof(slot, head, slot_salt(SECRET, slot), slot_path(hashed, slot), entry.decode(), proof)


def verify(proof: RootProof) -> object:
    return verify_root_proof(proof, vkey=OWN.vkey, origin=OWN.name, root_vkey=ROOT.vkey, root_origin=ROOT.name)


def test_a_head_is_proven_to_stand_under_the_root_log_s_checkpoint() -> None:
    proven = verify_root_proof(proof_of(), vkey=OWN.vkey, origin=OWN.name, root_vkey=ROOT.vkey, root_origin=ROOT.name)
    assert (proven.head.size, proven.at, proven.index, proven.root.size) == (1, AT, 1, 2)
    assert RootProof.from_json({**proof_of().to_json(), "more": 1}) == proof_of()


FORGED_HEAD = sign_checkpoint(Checkpoint(OWN.name, 1, leaf_hash(b"second")), OWN)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param(replace(proof_of(), head=FORGED_HEAD), "leads to root", id="another head of the same log, rightly signed"),
        pytest.param(replace(proof_of(), head=proof_of().head.replace("\n1\n", "\n2\n")), "signature", id="an edited head"),
        pytest.param(proof_of(slot=18), "slot `18`", id="a second slot for the same log"),
        pytest.param(replace(proof_of(), slot=16), "slot `16`", id="another slot said"),
        pytest.param(replace(proof_of(), salt=bytes(32)), "leads to root", id="another salt"),
        pytest.param(replace(proof_of(), salt=bytes(31)), "salt of 31 bytes", id="a short salt"),
        pytest.param(replace(proof_of(), path=proof_of().path[:-1]), "hashes", id="a shorter way"),
        pytest.param(replace(proof_of(), path=(*proof_of().path, bytes(32))), "hashes", id="a longer way"),
        pytest.param(replace(proof_of(), path=(bytes(32), *proof_of().path[1:])), "leads to root", id="another way"),
        pytest.param(replace(proof_of(), leaf=root_leaf(bytes(32)).decode()), "leads to root", id="an entry the root log does not hold"),
        pytest.param(proof_of(leaf=root_leaf(bytes(32))), "leads to root", id="a root over other heads"),
        pytest.param(proof_of(leaf=b"{}"), "the entry of a root", id="an entry that is no face"),
        pytest.param(
            proof_of(leaf=Face("look.x", "e", AT, "machine", "clock", (), None, "done", "none", bytes(32)).leaf()),
            "type `look.x`", id="an entry of another type",
        ),
        pytest.param(proof_of(signer=Signer(ROOT.name, bytes(32))), "has not signed", id="a root log of another key"),
    ],
)  # fmt: skip
def test_a_proof_that_is_wrong_anywhere_is_refused(wrong: RootProof, said: str) -> None:
    with pytest.raises(ProofError, match=said):
        verify(wrong)


@pytest.mark.parametrize(
    "change",
    [{"slot": "17"}, {"slot": True}, {"slots": 512}, {"slots": None}, {"salt": "00"}, {"salt": "Z" * 64}, {"path": None}, {"path": [1]},
     {"head": None}, {"leaf": 1}, {"proof": []}],
)  # fmt: skip
def test_a_proof_of_another_form_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ProofError):
        RootProof.from_json({**proof_of().to_json(), **change})


# --- its entry ----------------------------------------------------------------------------------------------------------


def test_the_entry_of_a_root_has_one_member_more_and_two_ways_to_its_bytes_agree() -> None:
    face = parse_leaf(root_leaf(bytes(range(32))))
    assert face.heads_root == bytes(range(32))
    spliced = leaf_bytes(
        type_="heads", event_id="e-1", at=time_text(AT), client="machine", route="clock", items=b"[]", body_sha256=None, result="done",
        purpose="none", seal=bytes(32), heads_root=bytes(range(32)),
    )  # fmt: skip
    assert spliced == face.leaf()


@pytest.mark.parametrize("type_", ["look.entry", "policy.publish"])
def test_no_other_entry_may_carry_a_heads_root(type_: str) -> None:
    with pytest.raises(LeafError, match="heads_root"):
        root_leaf(bytes(32), type=type_)
    with pytest.raises(LeafError, match="heads_root"):
        Face("heads", "e", AT, "machine", "clock", (), None, "done", "none", bytes(32))
    with pytest.raises(LeafError, match="without a body"):
        Face("item", "e", AT, "c", "r", (FaceItem("i"),), None, "done", "none", bytes(32))
