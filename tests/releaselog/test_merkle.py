"""The tree: published answers, and laws over every small tree.

The known answers are those of the certificate-transparency project (Apache-2.0), as kept in github.com/transparency-dev/merkle,
`testonly/constants.go` and `testonly/reference_test.go`: facts that every RFC 6962 implementation is held to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Broken, ProofError
from service.releaselog import merkle
from service.releaselog.merkle import (
    EMPTY_ROOT,
    TILE_WIDTH,
    Frontier,
    Tile,
    completed_tiles,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    tile_width,
    verify_consistency,
    verify_inclusion,
)

PUBLISHED_LEAVES = [
    bytes.fromhex(leaf) for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
PUBLISHED_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PUBLISHED_INCLUSION = {
    (0, 1): [],
    (0, 2): ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"],
    (1, 2): ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
PUBLISHED_CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}

Hashes = Sequence[bytes]
LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(70_000)]


# --- RFC 6962's own definitions, word by word, to compare with ---------------------------------------------------------


def split(width: int) -> int:
    half = 1
    while half * 2 < width:
        half *= 2
    return half


def plain_root(hashes: Hashes) -> bytes:
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    half = split(len(hashes))
    return hashlib.sha256(b"\x01" + plain_root(hashes[:half]) + plain_root(hashes[half:])).digest()


def plain_path(index: int, hashes: Hashes) -> list[bytes]:
    if len(hashes) == 1:
        return []
    half = split(len(hashes))
    if index < half:
        return [*plain_path(index, hashes[:half]), plain_root(hashes[half:])]
    return [*plain_path(index - half, hashes[half:]), plain_root(hashes[:half])]


def plain_subproof(size: int, hashes: Hashes, known: bool) -> list[bytes]:
    if size == len(hashes):
        return [] if known else [plain_root(hashes)]
    half = split(len(hashes))
    if size <= half:
        return [*plain_subproof(size, hashes[:half], known), plain_root(hashes[half:])]
    return [*plain_subproof(size - half, hashes[half:], False), plain_root(hashes[:half])]


class Tiles:
    """Tiles over the first hashes of a list, counting what is read."""

    def __init__(self, hashes: Hashes) -> None:
        self.levels = [list(hashes)]
        while len(self.levels[-1]) >= TILE_WIDTH:
            below = self.levels[-1]
            self.levels.append([plain_root(below[at : at + 256]) for at in range(0, len(below) - 255, 256)])
        self.asked: list[tuple[int, int, int]] = []

    def __call__(self, level: int, index: int, width: int) -> Hashes:
        self.asked.append((level, index, width))
        found = self.levels[level][index * 256 : index * 256 + width]
        assert len(found) == width, "asked for more than there is"
        return found


SMALL = Tiles(LEAVES[:1000])
LARGE = Tiles(LEAVES)


# --- hashing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert root([leaf_hash(leaf) for leaf in PUBLISHED_LEAVES[:size]]).hex() == PUBLISHED_ROOTS[size]


def test_a_node_never_passes_for_a_leaf() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)
    assert EMPTY_ROOT.hex() == PUBLISHED_ROOTS[0]


@pytest.mark.parametrize(("place", "proof"), PUBLISHED_INCLUSION.items(), ids=str)
def test_inclusion_proofs_are_the_published_ones(place: tuple[int, int], proof: list[str]) -> None:
    index, size = place
    hashes = [leaf_hash(leaf) for leaf in PUBLISHED_LEAVES]
    expected = tuple(bytes.fromhex(value) for value in proof)
    assert inclusion_proof(index, size, Tiles(hashes)) == expected
    verify_inclusion(leaf_hash=hashes[index], leaf_index=index, tree_size=size, proof=expected, root=bytes.fromhex(PUBLISHED_ROOTS[size]))


@pytest.mark.parametrize(("sizes", "proof"), PUBLISHED_CONSISTENCY.items(), ids=str)
def test_consistency_proofs_are_the_published_ones(sizes: tuple[int, int], proof: list[str]) -> None:
    old, new = sizes
    expected = tuple(bytes.fromhex(value) for value in proof)
    assert consistency_proof(old, new, Tiles([leaf_hash(leaf) for leaf in PUBLISHED_LEAVES])) == expected
    roots = [bytes.fromhex(value) for value in PUBLISHED_ROOTS]
    verify_consistency(old_size=old, new_size=new, old_root=roots[old], new_root=roots[new], proof=expected)


# --- proofs -------------------------------------------------------------------------------------------------------------


@cache
def root_between(start: int, stop: int) -> bytes:
    """The root over these leaves by the definition; remembered, as trees of all sizes share most of them."""
    if stop - start == 1:
        return LEAVES[start]
    half = start + split(stop - start)
    return hashlib.sha256(b"\x01" + root_between(start, half) + root_between(half, stop)).digest()


def path_between(index: int, start: int, stop: int) -> list[bytes]:
    if stop - start == 1:
        return []
    half = start + split(stop - start)
    if index < half:
        return [*path_between(index, start, half), root_between(half, stop)]
    return [*path_between(index, half, stop), root_between(start, half)]


def test_every_leaf_of_every_tree_up_to_300_is_proven() -> None:
    for size in range(1, 301):
        size_root = root_between(0, size)
        for index in range(size):
            proof = path_between(index, 0, size)
            verify_inclusion(leaf_hash=LEAVES[index], leaf_index=index, tree_size=size, proof=proof, root=size_root)


def test_every_proof_of_every_tree_around_a_tile_s_edge_is_that_of_the_definition() -> None:
    for size in (*range(1, 41), 255, 256, 257, 258):
        for index in range(size):
            assert list(inclusion_proof(index, size, SMALL)) == path_between(index, 0, size)


def test_every_pair_of_sizes_up_to_80_is_proven_consistent() -> None:
    roots = [plain_root(LEAVES[:size]) for size in range(81)]
    for new in range(1, 81):
        for old in range(1, new + 1):
            proof = consistency_proof(old, new, SMALL)
            assert list(proof) == plain_subproof(old, LEAVES[:new], True)
            verify_consistency(old_size=old, new_size=new, old_root=roots[old], new_root=roots[new], proof=proof)


@given(st.integers(1, 1000), st.data())
@settings(max_examples=40, deadline=None)
def test_proofs_out_of_tiles_are_those_of_the_definition(size: int, data: st.DataObject) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert list(inclusion_proof(index, size, SMALL)) == plain_path(index, LEAVES[:size])
    assert list(consistency_proof(old, size, SMALL)) == plain_subproof(old, LEAVES[:size], True)


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 65_792, 70_000])
def test_a_proof_in_a_large_tree_reads_two_tiles_of_a_level_at_most(size: int) -> None:
    size_root = root(LEAVES[:size])
    for index in (0, 255, 256, size // 2, size - 257, size - 1):
        LARGE.asked.clear()
        proof = inclusion_proof(index, size, LARGE)
        verify_inclusion(leaf_hash=LEAVES[index], leaf_index=index, tree_size=size, proof=proof, root=size_root)
        assert max(sum(level == asked for asked, _, _ in LARGE.asked) for level in range(3)) <= 2
    for old in (1, 256, 60_000, size - 1):
        LARGE.asked.clear()
        proof = consistency_proof(old, size, LARGE)
        verify_consistency(old_size=old, new_size=size, old_root=root(LEAVES[:old]), new_root=size_root, proof=proof)
        assert max(sum(level == asked for asked, _, _ in LARGE.asked) for level in range(3)) <= 2


def test_a_proof_asks_for_tiles_as_wide_as_they_were_at_its_size() -> None:
    asked: list[tuple[int, int, int]] = []

    def read(level: int, index: int, width: int) -> Hashes:
        asked.append((level, index, width))
        return SMALL(level, index, width)

    inclusion_proof(0, 300, read)
    assert sorted(asked) == [(0, 0, 256), (0, 1, 44)]


Read = Callable[[int, int, int], Hashes]


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda level, index, width: LEAVES[: width - 1], id="too-narrow"),
        pytest.param(lambda level, index, width: LEAVES[: width + 1], id="too-wide"),
        pytest.param(lambda level, index, width: [b"short"] * width, id="no-hashes"),
    ],
)
def test_a_store_that_hands_out_another_tile_is_broken(read: Read) -> None:
    with pytest.raises(Broken, match="run `entente log verify`"):
        inclusion_proof(3, 10, read)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5), (True, 5)])
def test_there_is_no_inclusion_proof_of_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ProofError, match="leaf index"):
        inclusion_proof(index, size, SMALL)


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (-1, 5), (0, 0)])
def test_there_is_no_consistency_proof_from_nothing_or_backwards(old: int, new: int) -> None:
    with pytest.raises(ProofError):
        consistency_proof(old, new, SMALL)


# --- every way a proof can be wrong -------------------------------------------------------------------------------------


def flipped(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


def mutated_proofs(proof: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    """Every proof that is one change away: a hash flipped, dropped, added, or exchanged with its neighbour."""
    mutations = [(*proof, LEAVES[-1]), (LEAVES[-1], *proof)]
    for place, value in enumerate(proof):
        mutations.append((*proof[:place], flipped(value), *proof[place + 1 :]))
        mutations.append((*proof[:place], *proof[place + 1 :]))
        mutations.append((*proof[:place], value, *proof[place:]))
        if place + 1 < len(proof):
            mutations.append((*proof[:place], proof[place + 1], value, *proof[place + 2 :]))
    return mutations


@given(st.integers(1, 300), st.data())
@settings(max_examples=60, deadline=None)
def test_no_changed_inclusion_proof_is_taken(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof, tree_root = inclusion_proof(index, size, SMALL), plain_root(LEAVES[:size])

    def verify(**changes: object) -> None:
        given = {"leaf_hash": LEAVES[index], "leaf_index": index, "tree_size": size, "proof": proof, "root": tree_root, **changes}
        verify_inclusion(**given)  # type: ignore[arg-type]

    verify()
    for mutation in mutated_proofs(proof):
        with pytest.raises(ProofError):
            verify(proof=mutation)
    for other in {*range(size)} - {index}:
        with pytest.raises(ProofError):
            verify(leaf_index=other)
    with pytest.raises(ProofError):
        verify(leaf_hash=flipped(LEAVES[index]))
    with pytest.raises(ProofError):
        verify(root=flipped(tree_root))


def path_shape(index: int, size: int) -> list[bool]:
    """On which side the sibling stands at each step; a proof cannot tell sizes of one shape apart, the signed head does."""
    start, stop, sides = 0, size, list[bool]()
    while stop - start > 1:
        middle = start + split(stop - start)
        sides.append(index < middle)
        start, stop = (start, middle) if index < middle else (middle, stop)
    return sides


@given(st.integers(2, 300), st.data())
@settings(max_examples=60, deadline=None)
def test_a_proof_under_another_size_is_taken_only_where_the_way_up_is_the_same(size: int, data: st.DataObject) -> None:
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, 300))
    proof, tree_root = inclusion_proof(index, size, SMALL), plain_root(LEAVES[:size])
    if index < other and path_shape(index, other) == path_shape(index, size):
        verify_inclusion(leaf_hash=LEAVES[index], leaf_index=index, tree_size=other, proof=proof, root=tree_root)
    else:
        with pytest.raises(ProofError):
            verify_inclusion(leaf_hash=LEAVES[index], leaf_index=index, tree_size=other, proof=proof, root=tree_root)


@given(st.integers(1, 80), st.integers(1, 80))
@settings(max_examples=100, deadline=None)
def test_no_changed_consistency_proof_is_taken(one: int, other: int) -> None:
    old, new = sorted((one, other))
    proof = consistency_proof(old, new, SMALL)
    roots = {size: plain_root(LEAVES[:size]) for size in (old, new)}

    def verify(**changes: object) -> None:
        given = {"old_size": old, "new_size": new, "old_root": roots[old], "new_root": roots[new], "proof": proof, **changes}
        verify_consistency(**given)  # type: ignore[arg-type]

    verify()
    for mutation in mutated_proofs(proof):
        with pytest.raises(ProofError):
            verify(proof=mutation)
    for changes in ({"old_root": flipped(roots[old])}, {"new_root": flipped(roots[new])}, {"old_size": 0}, {"old_size": new + 1}):
        with pytest.raises(ProofError):
            verify(**changes)
    if old != new:
        with pytest.raises(ProofError):
            verify(old_root=roots[new], new_root=roots[old])


HASH = LEAVES[0]
GOOD_INCLUSION = {"leaf_hash": LEAVES[1], "leaf_index": 1, "tree_size": 2, "proof": [LEAVES[0]], "root": root(LEAVES[:2])}
GOOD_CONSISTENCY = {"old_size": 1, "new_size": 2, "old_root": LEAVES[0], "new_root": root(LEAVES[:2]), "proof": [LEAVES[1]]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"tree_size": 0, "leaf_index": 0}, "leaf index `0` in a tree of 0", id="empty-tree"),
        pytest.param({"leaf_index": 2}, "leaf index `2`", id="index-is-size"),
        pytest.param({"leaf_index": -1}, "leaf index `-1`", id="negative-index"),
        pytest.param({"leaf_index": True}, "leaf index `True`", id="index-that-is-no-number"),
        pytest.param({"tree_size": 1 << 63}, "tree size", id="size-beyond-63-bits"),
        pytest.param({"tree_size": -2}, "tree size `-2`", id="negative-size"),
        pytest.param({"tree_size": 2.0}, "tree size `2.0`", id="size-that-is-no-whole-number"),
        pytest.param({"leaf_hash": HASH[:31]}, "the leaf hash is not 32 bytes", id="short-leaf-hash"),
        pytest.param({"leaf_hash": LEAVES[1].hex()}, "the leaf hash is not 32 bytes", id="leaf-hash-in-hex"),
        pytest.param({"root": HASH + b"\0"}, "the root is not 32 bytes", id="long-root"),
        pytest.param({"proof": [HASH[:31]]}, "hash 0 of the proof is not 32 bytes", id="short-hash"),
        pytest.param({"proof": HASH}, "hash 0 of the proof is not 32 bytes", id="proof-that-is-one-hash"),
        pytest.param({"proof": [HASH] * 65}, "proof of 65 hashes, expected at most 64", id="endless-proof"),
        pytest.param({"proof": iter([HASH])}, "a proof is a sequence", id="proof-that-can-be-read-once"),
        pytest.param({"proof": []}, "too short for leaf 1 of 2", id="too-short"),
        pytest.param({"proof": [HASH, HASH]}, "too long for leaf 1 of 2", id="too-long"),
        pytest.param({"leaf_hash": HASH}, "leads to root", id="another-leaf"),
        pytest.param({"tree_size": 1, "leaf_index": 0, "proof": [], "leaf_hash": HASH}, "leads to root", id="one-leaf-is-its-own-root"),
    ],
)
def test_an_inclusion_proof_that_is_wrong_is_refused_for_its_reason(changes: dict[str, object], said: str) -> None:
    verify_inclusion(**GOOD_INCLUSION)  # type: ignore[arg-type]
    with pytest.raises(ProofError, match=said):
        verify_inclusion(**{**GOOD_INCLUSION, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"old_size": 0}, "consistency of sizes `0` and `2`", id="from-nothing"),
        pytest.param({"old_size": 0, "new_size": 0, "proof": []}, "consistency of sizes `0` and `0`", id="nothing-from-nothing"),
        pytest.param({"old_size": 3}, "consistency of sizes `3` and `2`", id="backwards"),
        pytest.param({"old_size": True}, "tree size `True`", id="size-that-is-no-number"),
        pytest.param({"old_size": 2}, "1 hashes for equal sizes", id="a-proof-for-equal-sizes"),
        pytest.param({"old_size": 2, "proof": []}, "two roots for size 2", id="equal-sizes-two-roots"),
        pytest.param({"proof": []}, "no consistency proof", id="none"),
        pytest.param({"old_root": HASH[:31]}, "the old root is not 32 bytes", id="short-old-root"),
        pytest.param({"new_root": b""}, "the new root is not 32 bytes", id="no-new-root"),
        pytest.param({"proof": [b""]}, "hash 0 of the proof", id="short-hash"),
        pytest.param({"proof": [LEAVES[1]] * 2}, "too long", id="too-long"),
        pytest.param({"new_size": 3}, "too short", id="too-short"),
        pytest.param({"old_root": LEAVES[5]}, "leads to new root", id="another-old-root-that-is-a-subtree"),
        pytest.param(
            {"old_size": 3, "new_size": 4, "old_root": HASH, "proof": [LEAVES[2], LEAVES[3], root(LEAVES[:2])]},
            "leads to old root",
            id="another-old-root",
        ),
        pytest.param({"new_root": HASH}, "leads to new root", id="another-new-root"),
    ],
)
def test_a_consistency_proof_that_is_wrong_is_refused_for_its_reason(changes: dict[str, object], said: str) -> None:
    verify_consistency(**GOOD_CONSISTENCY)  # type: ignore[arg-type]
    with pytest.raises(ProofError, match=said):
        verify_consistency(**{**GOOD_CONSISTENCY, **changes})  # type: ignore[arg-type]


# --- the right edge and the tiles ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 40), max_size=8))
def test_a_frontier_extended_in_any_batches_is_the_tree(batches: list[int]) -> None:
    frontier, size = Frontier.empty(), 0
    for batch in batches:
        before = frontier
        frontier = frontier.extend(LEAVES[size : size + batch])
        size += batch
        assert before.size == size - batch
    assert (frontier.size, frontier.root()) == (size, plain_root(LEAVES[:size]))
    assert Frontier.from_bytes(frontier.to_bytes(), frontier.size) == frontier
    assert len(frontier.hashes) == size.bit_count()


@pytest.mark.parametrize(
    ("kept", "size"), [(b"", 1), (HASH, 0), (HASH, 3), (HASH * 2, 1), (HASH + b"\0", 3), (HASH[:31], 1), (HASH, -1), (HASH, 1 << 63)]
)
def test_a_frontier_that_does_not_fit_its_size_is_broken(kept: bytes, size: int) -> None:
    with pytest.raises(Broken, match="frontier"):
        Frontier.from_bytes(kept, size)


class Kept:
    """A writer's tables: entries, and tiles as `completed_tiles` says to write them."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.tiles: dict[tuple[int, int], tuple[bytes, ...]] = {}
        self.asked: list[tuple[int, int, int]] = []

    def read(self, level: int, index: int, width: int) -> Hashes:
        self.asked.append((level, index, width))
        if level == 0:
            return self.entries[index * 256 : index * 256 + width]
        return self.tiles[level, index][:width]

    def append(self, hashes: Hashes) -> list[Tile]:
        self.asked.clear()
        tiles = completed_tiles(len(self.entries), hashes, self.read)
        self.entries += hashes
        self.tiles.update({(tile.level, tile.index): tile.hashes for tile in tiles})
        return tiles


@given(st.lists(st.integers(0, 700), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_tiles_written_batch_by_batch_are_those_of_the_whole_tree(batches: list[int]) -> None:
    kept = Kept()
    for batch in batches:
        old = len(kept.entries)
        kept.append(LEAVES[old : old + batch])
        # One read of each level at most, and none where no tile fills.
        assert len({level for level, _, _ in kept.asked}) == len(kept.asked)
        assert kept.asked == [] or old // 256 < len(kept.entries) // 256
    size = len(kept.entries)
    whole = Tiles(LEAVES[:size])
    expected = {
        (level, index): tuple(hashes[index * 256 : index * 256 + tile_width(level, index, size)])
        for level, hashes in enumerate(whole.levels)
        for index in range(-(-len(hashes) // 256))
        if level > 0 or tile_width(level, index, size) == 256
    }
    assert kept.tiles == expected


def test_an_append_across_a_tile_of_level_1_writes_the_one_above_it() -> None:
    kept = Kept()
    kept.append(LEAVES[:65_500])
    tiles = kept.append(LEAVES[65_500:66_000])
    assert [(tile.level, tile.index, len(tile.hashes), tile.full) for tile in tiles] == [
        (0, 255, 256, True),
        (0, 256, 256, True),
        (1, 0, 256, True),
        (1, 1, 1, False),
        (2, 0, 1, False),
    ]
    assert kept.asked == [(0, 255, 220), (1, 0, 255)]
    assert kept.tiles[2, 0] == (root(LEAVES[:65_536]),)


def test_an_append_refuses_a_store_that_lost_what_it_had() -> None:
    with pytest.raises(Broken, match="tile 0/0 holds 0 hashes, expected 255"):
        completed_tiles(255, LEAVES[:1], lambda level, index, width: [])


@pytest.mark.parametrize(
    ("size", "widths"),
    [(0, [0, 0]), (255, [255, 0]), (256, [256, 1]), (70_000, [256, 256, 1])],
)
def test_widths_of_tiles_are_those_of_the_specification(size: int, widths: list[int]) -> None:
    assert [tile_width(level, 0, size) for level in range(len(widths))] == widths


def test_the_specification_s_example_of_70000_leaves_holds() -> None:
    # C2SP tlog-tiles, "Partial Tiles".
    assert [tile_width(0, 272, 70_000), tile_width(0, 273, 70_000), tile_width(0, 274, 70_000)] == [256, 112, 0]
    assert [tile_width(1, 0, 70_000), tile_width(1, 1, 70_000), tile_width(1, 2, 70_000)] == [256, 17, 0]
    assert [tile_width(2, 0, 70_000), tile_width(3, 0, 70_000)] == [1, 0]


def test_the_names_other_people_call_are_there() -> None:
    assert {"leaf_hash", "node_hash", "root", "verify_inclusion", "verify_consistency"} <= set(vars(merkle))
