"""What other people's verifiers are asked: proofs, checkpoints, receipts and tiles as the service hands them out, and each changed.

The log is written by the service's own ledger and read back by what serves partners; the larger tree, for tiles of three levels, is made
of leaf hashes alone. Every mutated case is refused by our own verifiers too, or it would be no case.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from service.errors import ProofError
from service.releaselog.checkpoint import open_checkpoint
from service.releaselog.merkle import (
    Frontier,
    completed_tiles,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    tile_width,
    verify_consistency,
    verify_inclusion,
)
from service.releaselog.notes import Signer
from service.releaselog.receipt import verify_receipt
from service.releaselog.tiles import TilePath
from service.sharing import audit
from service.sharing.ledger import Ledger
from service.store import Database, logs
from tests.support.log_drafts import draft

LEDGER: Final = Ledger("entente.test", bytes(range(32)))
BATCHES: Final = (1, 1, 1, 1, 3, 1, 8, 17, 222, 1, 1, 120, 133, 1, 1, 188)
"""Sizes reached: 1, 2, 3, 4, 7, 8, 16, 33, 255, 256, 257, 377, 510, 511, 512, 700."""
LARGE: Final = 66_309
"""Leaves of the larger tree: 259 full tiles, so one of 256 and a partial one above them, and a third level."""
AT: Final = 1_795_341_600_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """A question. `mutated` says what was changed; None where nothing was."""

    kind: str
    members: Mapping[str, Any]
    mutated: str | None = None


@dataclass(slots=True)
class Written:
    """A log as the service keeps it, and its head at each size it had between two transactions."""

    database: Database
    origin: str
    vkey: str
    leaves: list[bytes]
    event_ids: list[str]
    heads: dict[int, tuple[bytes, str]] = field(default_factory=dict)
    """By size: root and signed checkpoint."""


def write(database: Database) -> Written:
    """Write the log, batch by batch."""
    events: list[str] = []
    heads: dict[int, tuple[bytes, str]] = {}
    for number, count in enumerate(BATCHES):
        with database.releasing() as connection:
            drafts = [draft("JPN", len(events) + place) for place in range(count)]
            events += [entry.event_id for entry in LEDGER.append(connection, LEDGER.lock(connection, ["JPN"]), drafts, at=AT + number)]
        with database.reading() as connection:
            head = audit.head_of(connection, "JPN")
        heads[head.size] = (head.root, head.checkpoint)
    with database.reading() as connection:
        leaves = logs.leaves(connection, head.id, 0, head.size)
    return Written(database, head.origin, LEDGER.vkey(head.origin), leaves, events, heads)


def cases(log: Written, *, seed: int, mutations: int) -> list[Case]:
    """Whole ones and, of each, so many mutations of every sort.

    Raises:
        AssertionError: one of our own verifiers is of another opinion.
    """
    randomness = random.Random(seed)
    made: list[Case] = []
    for case in [*_proofs(log, randomness), *_documents(log, randomness), *_large(randomness)]:
        assert _ours(case) is None, f"our own verifier refuses {case.kind}: {_ours(case)}"
        made.append(case)
        for name, mutate in _MUTATIONS[case.kind].items():
            for _ in range(mutations):
                changed = mutate(dict(case.members), randomness)
                if changed is None or changed == case.members:
                    continue
                mutant = Case(case.kind, changed, name)
                if case.kind not in ("tiles", "entries"):
                    assert _ours(mutant) is not None, f"our own verifier accepts {case.kind} with {name}"
                made.append(mutant)
    return made


# --- whole ones ---------------------------------------------------------------------------------------------------------


def _proofs(log: Written, randomness: random.Random) -> Iterator[Case]:
    with log.database.reading() as connection:
        head = audit.head_of(connection, "JPN")

        def tiles(level: int, index: int, width: int) -> list[bytes]:
            return logs.read_tile(connection, head.id, level, index, width)

        for size, (head_root, _) in log.heads.items():
            for index in sorted({0, size - 1, size // 2, *(randomness.randrange(size) for _ in range(3))}):
                proof = inclusion_proof(index, size, tiles)
                yield Case("inclusion", {"leaf": log.leaves[index], "index": index, "size": size, "proof": proof, "root": head_root})
        sizes = sorted(log.heads)
        for new in sizes[1:]:
            for old in sorted({sizes[0], *randomness.sample(sizes, 4)} & {size for size in sizes if size < new}):
                proof = consistency_proof(old, new, tiles)
                members = {"old_size": old, "size": new, "old_root": log.heads[old][0], "root": log.heads[new][0], "proof": proof}
                yield Case("consistency", members)


def _documents(log: Written, randomness: random.Random) -> Iterator[Case]:
    for _, note in log.heads.values():
        yield Case("checkpoint", {"note": note, "vkey": log.vkey, "origin": log.origin})
    with log.database.reading() as connection:
        for index in sorted({0, 255, 256, len(log.leaves) - 1, *(randomness.randrange(len(log.leaves)) for _ in range(12))}):
            receipt = audit.receipt(connection, LEDGER, "JPN", log.event_ids[index])
            members = {"leaf": receipt.leaf.encode("utf-8"), "text": receipt.proof, "vkey": receipt.key, "origin": log.origin}
            yield Case("receipt", members)
        size = len(log.leaves)
        held = {str(path): audit.tile_bytes(connection, "JPN", path) for path in _paths(size)}
        index = randomness.randrange(size)
        head = audit.head_of(connection, "JPN")
        proof = inclusion_proof(index, size, lambda level, at, width: logs.read_tile(connection, head.id, level, at, width))
        members = {"tiles": held, "leaf": log.leaves[index], "index": index, "size": size, "proof": proof, "root": head.root}
        yield Case("tiles", members)
        yield Case("entries", members)


def _paths(size: int) -> Iterator[TilePath]:
    for level in (None, 0, 1, 2):
        index = 0
        while width := tile_width(level or 0, index, size):
            yield TilePath(level, index, width)
            index += 1


def _large(randomness: random.Random) -> Iterator[Case]:
    """Proofs in a tree of three levels of tiles; the tiles with hashes alone for leaves, as no entry is needed to check them."""
    leaves = [b"leaf %d" % number for number in range(LARGE)]
    hashes = [leaf_hash(leaf) for leaf in leaves]
    kept: dict[tuple[int, int], Sequence[bytes]] = {}
    for start in range(0, LARGE, 4096):
        for tile in completed_tiles(
            start, hashes[start : start + 4096], lambda level, index, width: _read(kept, hashes, level, index, width)
        ):
            kept[tile.level, tile.index] = tile.hashes

    def tiles(level: int, index: int, width: int) -> Sequence[bytes]:
        return _read(kept, hashes, level, index, width)

    head_root = Frontier.empty().extend(hashes).root()
    for index in (0, 65_535, 65_536, LARGE - 1, randomness.randrange(LARGE)):
        proof = inclusion_proof(index, LARGE, tiles)
        yield Case("inclusion", {"leaf": leaves[index], "index": index, "size": LARGE, "proof": proof, "root": head_root})
    for old in (1, 256, 65_536, 65_537, randomness.randrange(2, LARGE)):
        members = {"old_size": old, "size": LARGE, "old_root": root(hashes[:old]), "root": head_root}
        yield Case("consistency", {**members, "proof": consistency_proof(old, LARGE, tiles)})


def _read(kept: Mapping[tuple[int, int], Sequence[bytes]], hashes: Sequence[bytes], level: int, index: int, width: int) -> Sequence[bytes]:
    found = kept.get((level, index))
    if found is None and level == 0:
        found = hashes[index * 256 : index * 256 + width]
    return (found or ())[:width]


# --- ours ---------------------------------------------------------------------------------------------------------------


def _ours(case: Case) -> str | None:
    """Why our own verifiers refuse a case."""
    one = case.members
    try:
        if case.kind == "inclusion":
            verify_inclusion(leaf_hash(one["leaf"]), one["index"], one["size"], one["proof"], one["root"])
        elif case.kind == "consistency":
            verify_consistency(one["old_size"], one["size"], one["old_root"], one["root"], one["proof"])
        elif case.kind == "checkpoint":
            open_checkpoint(one["note"], one["vkey"], one["origin"])
        elif case.kind == "receipt":
            verify_receipt(one["leaf"], one["text"], one["vkey"], origin=one["origin"])
    except ProofError as error:
        return str(error)
    return None


# --- mutations ----------------------------------------------------------------------------------------------------------

_Members = dict[str, Any]
_Mutate = Callable[[_Members, random.Random], _Members | None]


def flipped(value: bytes, randomness: random.Random) -> bytes:
    """One bit of it changed."""
    place = randomness.randrange(len(value) * 8)
    changed = bytearray(value)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def _flip(name: str) -> _Mutate:
    return lambda one, randomness: {**one, name: flipped(one[name], randomness)}


def _in_proof(change: Callable[[list[bytes], random.Random], list[bytes] | None]) -> _Mutate:
    def mutate(one: _Members, randomness: random.Random) -> _Members | None:
        proof = change(list(one["proof"]), randomness)
        return None if proof is None else {**one, "proof": tuple(proof)}

    return mutate


def _flip_one(proof: list[bytes], randomness: random.Random) -> list[bytes] | None:
    if not proof:
        return None
    place = randomness.randrange(len(proof))
    proof[place] = flipped(proof[place], randomness)
    return proof


def _swap(proof: list[bytes], randomness: random.Random) -> list[bytes] | None:
    if len(proof) < 2:
        return None
    place = randomness.randrange(len(proof) - 1)
    proof[place], proof[place + 1] = proof[place + 1], proof[place]
    return proof


def _move(one: _Members, _randomness: random.Random) -> _Members | None:
    # The neighbour's place: its path has the same hashes but the lowest, so a verifier has to look at the index.
    moved = one["index"] ^ 1
    return {**one, "index": moved} if moved < one["size"] else None


_IN_PROOF: Final[Mapping[str, _Mutate]] = {
    "a bit of the proof": _in_proof(_flip_one),
    "a hash missing at the leaf's end": _in_proof(lambda proof, _: proof[1:] if proof else None),
    "a hash missing at the root's end": _in_proof(lambda proof, _: proof[:-1] if proof else None),
    "a hash too many": _in_proof(lambda proof, randomness: [*proof, randomness.randbytes(32)]),
    "two hashes exchanged": _in_proof(_swap),
    "a bit of the root": _flip("root"),
}


def _lines(change: Callable[[list[str], random.Random], None]) -> _Mutate:
    """A change to the lines of the text that is signed, the signature left as it was."""

    def mutate(one: _Members, randomness: random.Random) -> _Members:
        name = "note" if "note" in one else "text"
        before, blank, note = ("", "", one[name]) if name == "note" else one[name].partition("\n\n")
        lines = note.split("\n")
        change(lines, randomness)
        return {**one, name: before + blank + "\n".join(lines)}

    return mutate


def _other_size(lines: list[str], randomness: random.Random) -> None:
    lines[1] = str(int(lines[1]) + randomness.randrange(1, 1000))


def _other_root(lines: list[str], randomness: random.Random) -> None:
    lines[2] = base64.b64encode(flipped(base64.b64decode(lines[2]), randomness)).decode("ascii")


def _other_signature(lines: list[str], randomness: random.Random) -> None:
    dash, name, encoded = lines[4].split(" ")
    signature = base64.b64decode(encoded)
    lines[4] = f"{dash} {name} {base64.b64encode(signature[:4] + flipped(signature[4:], randomness)).decode('ascii')}"


def _other_key_id(lines: list[str], randomness: random.Random) -> None:
    dash, name, encoded = lines[4].split(" ")
    signature = base64.b64decode(encoded)
    lines[4] = f"{dash} {name} {base64.b64encode(flipped(signature[:4], randomness) + signature[4:]).decode('ascii')}"


def _foreign_signature(lines: list[str], randomness: random.Random) -> None:
    signed = Signer(lines[0], randomness.randbytes(32)).sign("\n".join(lines[:3]) + "\n")
    lines[4] = signed.split("\n")[4]


def _other_origin(lines: list[str], _randomness: random.Random) -> None:
    lines[0] = lines[0].replace("JPN", "IND")


def _foreign_key(one: _Members, randomness: random.Random) -> _Members:
    return {**one, "vkey": Signer(one["origin"], randomness.randbytes(32)).vkey}


_IN_NOTE: Final[Mapping[str, _Mutate]] = {
    "another size": _lines(_other_size),
    "another root": _lines(_other_root),
    "another origin": _lines(_other_origin),
    "a bit of the signature": _lines(_other_signature),
    "a bit of the key's id": _lines(_other_key_id),
    "signed with a foreign key": _lines(_foreign_signature),
    "a foreign key": _foreign_key,
    "no signature": _lines(lambda lines, _: lines.__delitem__(4)),
}


def _in_receipt(change: Callable[[list[str], random.Random], list[str] | None]) -> _Mutate:
    def mutate(one: _Members, randomness: random.Random) -> _Members | None:
        head, blank, note = one["text"].partition("\n\n")
        lines = change(head.split("\n"), randomness)
        return None if lines is None else {**one, "text": "\n".join(lines) + blank + note}

    return mutate


def _receipt_bit(lines: list[str], randomness: random.Random) -> list[str] | None:
    place = randomness.randrange(2, len(lines))
    lines[place] = base64.b64encode(flipped(base64.b64decode(lines[place]), randomness)).decode("ascii")
    return lines


def _receipt_index(lines: list[str], _randomness: random.Random) -> list[str] | None:
    lines[1] = f"index {int(lines[1].removeprefix('index ')) ^ 1}"
    return lines


def _tile_bit(one: _Members, randomness: random.Random) -> _Members:
    # In the hash of the leaf's neighbour, which is on every reader's way to the root.
    index = one["index"]
    path = next(path for path in one["tiles"] if path.startswith(f"tile/0/{index // 256:03d}"))
    value, at = one["tiles"][path], (index ^ 1) % 256 * 32
    return {**one, "tiles": {**one["tiles"], path: value[:at] + flipped(value[at : at + 32], randomness) + value[at + 32 :]}}


def _entry_bit(one: _Members, randomness: random.Random) -> _Members:
    index = one["index"]
    path = next(path for path in one["tiles"] if path.startswith(f"tile/entries/{index // 256:03d}"))
    return {**one, "tiles": {**one["tiles"], path: _entry_flipped(one["tiles"][path], index % 256, randomness)}}


def _entry_flipped(bundle: bytes, number: int, randomness: random.Random) -> bytes:
    start = 0
    for _ in range(number):
        start += 2 + int.from_bytes(bundle[start : start + 2], "big")
    stop = start + 2 + int.from_bytes(bundle[start : start + 2], "big")
    return bundle[: start + 2] + flipped(bundle[start + 2 : stop], randomness) + bundle[stop:]


_MUTATIONS: Final[Mapping[str, Mapping[str, _Mutate]]] = {
    "inclusion": {**_IN_PROOF, "a bit of the leaf": _flip("leaf"), "its neighbour's place": _move},
    "consistency": {**_IN_PROOF, "a bit of the old root": _flip("old_root")},
    "checkpoint": _IN_NOTE,
    "receipt": {
        **_IN_NOTE,
        "a bit of the leaf": _flip("leaf"),
        "a bit of the proof": _in_receipt(_receipt_bit),
        "its neighbour's place": _in_receipt(_receipt_index),
        "a hash missing": _in_receipt(lambda lines, _: lines[:-1]),
        "a hash too many": _in_receipt(lambda lines, _: [*lines, base64.b64encode(hashlib.sha256(b"more").digest()).decode("ascii")]),
    },
    "tiles": {"a bit of a tile": _tile_bit, "a bit of the root": _flip("root")},
    "entries": {"a bit of an entry": _entry_bit, "a bit of the root": _flip("root")},
}
