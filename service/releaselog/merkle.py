"""The tree: RFC 6962 hashes, proofs and their verifiers, and how a log grows without reading what it holds.

Hashes are SHA-256 (RFC 9162 section 2.1.1), so that a leaf can never pass for a node: `0x00` goes before a leaf, `0x01` before two
nodes. The verifiers are for people who trust nobody here; they check every length and every number that comes in.

A tree is kept in *tiles* (C2SP tlog-tiles): tile `index` of `level` holds up to 256 hashes, the roots of consecutive full tiles of
the level below, or at level 0 the leaf hashes. Whoever can read tiles can prove: a proof in a tree of n leaves reads at most
two tiles of each level.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from service.errors import Broken, ProofError

HASH_BYTES: Final = 32
TREE_SIZE_MAX: Final = (1 << 63) - 1
"""Tree sizes travel as signed 64-bit numbers in other people's tools."""
PROOF_HASHES_MAX: Final = 64
"""No tree within `TREE_SIZE_MAX` has a longer proof."""
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

TileReader = Callable[[int, int, int], Sequence[bytes]]
"""`(level, index, width)` to the first `width` hashes of that tile."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of an entry's bytes; 32 bytes."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees; 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """The Merkle tree hash over leaf hashes. RFC 9162 section 2.1.1."""
    return Frontier.empty().extend(leaf_hashes).root()


# --- verification -----------------------------------------------------------------------------------------------------


def verify_inclusion(leaf_hash: bytes, leaf_index: int, tree_size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that an entry is in the log. RFC 9162 section 2.1.3.2.

    Args:
        leaf_hash: 32 bytes, from `leaf_hash()`.
        leaf_index: counts from 0; below `tree_size`.
        proof: sibling hashes, leaf end first.

    Raises:
        ProofError: the proof does not lead to `root`, or something has the wrong length or lies out of range.
    """
    _check_size(tree_size)
    if not _is_number(leaf_index) or not 0 <= leaf_index < tree_size:
        raise ProofError(f"leaf index `{leaf_index}` in a tree of {tree_size} leaves, expected one below its size")
    _check_hash(leaf_hash, "the leaf hash")
    _check_hash(root, "the root")
    _check_proof(proof)
    # RFC 9162's fn and sn: the path of the leaf, and of the last leaf, from here up.
    path, last = leaf_index, tree_size - 1
    reached = leaf_hash
    for sibling in proof:
        if last == 0:
            raise ProofError(f"inclusion proof of {len(proof)} hashes is too long for leaf {leaf_index} of {tree_size}")
        if path & 1 or path == last:
            reached = node_hash(sibling, reached)
            # A node at the right edge without a sibling is its own parent: climb until there is one.
            while not path & 1 and path:
                path, last = path >> 1, last >> 1
        else:
            reached = node_hash(reached, sibling)
        path, last = path >> 1, last >> 1
    if last != 0:
        raise ProofError(f"inclusion proof of {len(proof)} hashes is too short for leaf {leaf_index} of {tree_size}")
    if reached != root:
        raise ProofError(f"inclusion proof leads to root `{reached.hex()}`, expected `{root.hex()}`")


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that a tree is a later state of another: nothing changed, only appended. RFC 9162 section 2.1.4.2.

    Args:
        old_size: at least 1; an empty tree is in every tree, and proves nothing.
        new_size: above `old_size`; or equal to it, with equal roots and no proof.
        proof: hashes, leaf end first.

    Raises:
        ProofError: the proof does not lead to both roots, or something has the wrong length or lies out of range.
    """
    _check_size(old_size)
    _check_size(new_size)
    if not 0 < old_size <= new_size:
        raise ProofError(f"consistency of sizes `{old_size}` and `{new_size}`, expected the old one above 0 and not above the new one")
    _check_hash(old_root, "the old root")
    _check_hash(new_root, "the new root")
    _check_proof(proof)
    if old_size == new_size:
        if proof:
            raise ProofError(f"consistency proof of {len(proof)} hashes for equal sizes, expected none")
        if old_root != new_root:
            raise ProofError(f"two roots for size {old_size}: `{old_root.hex()}` and `{new_root.hex()}`")
        return
    if not proof:
        raise ProofError(f"no consistency proof for sizes {old_size} and {new_size}, expected one")
    # Where the old tree is one whole subtree of the new one, the proof begins at its root, which is not sent along.
    hashes = iter(proof if old_size & (old_size - 1) else (old_root, *proof))
    path, last = old_size - 1, new_size - 1
    while path & 1:
        path, last = path >> 1, last >> 1
    old_reached = new_reached = next(hashes)
    for sibling in hashes:
        if last == 0:
            raise ProofError(f"consistency proof of {len(proof)} hashes is too long for sizes {old_size} and {new_size}")
        if path & 1 or path == last:
            old_reached, new_reached = node_hash(sibling, old_reached), node_hash(sibling, new_reached)
            while not path & 1 and path:
                path, last = path >> 1, last >> 1
        else:
            new_reached = node_hash(new_reached, sibling)
        path, last = path >> 1, last >> 1
    if last != 0:
        raise ProofError(f"consistency proof of {len(proof)} hashes is too short for sizes {old_size} and {new_size}")
    if old_reached != old_root:
        raise ProofError(f"consistency proof leads to old root `{old_reached.hex()}`, expected `{old_root.hex()}`")
    if new_reached != new_root:
        raise ProofError(f"consistency proof leads to new root `{new_reached.hex()}`, expected `{new_root.hex()}`")


def _is_number(value: object) -> bool:
    # True is an int in Python; in a proof it is a mistake.
    return isinstance(value, int) and not isinstance(value, bool)


def _check_size(size: int) -> None:
    if not _is_number(size) or not 0 <= size <= TREE_SIZE_MAX:
        raise ProofError(f"tree size `{size}`, expected a number from 0 to {TREE_SIZE_MAX}")


def _check_hash(value: bytes, what: str) -> None:
    if not isinstance(value, bytes) or len(value) != HASH_BYTES:
        raise ProofError(f"{what} is not {HASH_BYTES} bytes")


def _check_proof(proof: Sequence[bytes]) -> None:
    if not isinstance(proof, Sequence):
        raise ProofError("a proof is a sequence of hashes")
    if len(proof) > PROOF_HASHES_MAX:
        raise ProofError(f"proof of {len(proof)} hashes, expected at most {PROOF_HASHES_MAX}")
    for place, value in enumerate(proof):
        _check_hash(value, f"hash {place} of the proof")


# --- the right edge -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: the roots of its largest whole subtrees, left to right. All that is needed to append.

    Raises:
        Broken: there are not as many hashes as the size has one-bits. A frontier comes from our own store, never from outside.
    """

    size: int
    hashes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not _is_number(self.size) or not 0 <= self.size <= TREE_SIZE_MAX:
            raise Broken(f"frontier of size `{self.size}`, expected a number from 0 to {TREE_SIZE_MAX}; run `entente log verify`")
        if len(self.hashes) != self.size.bit_count() or any(len(value) != HASH_BYTES for value in self.hashes):
            raise Broken(
                f"frontier of {sum(map(len, self.hashes))} bytes for size {self.size}, "
                f"expected {self.size.bit_count() * HASH_BYTES}; run `entente log verify`"
            )

    @classmethod
    def empty(cls) -> Frontier:
        """The frontier of the empty tree."""
        return cls(0, ())

    @classmethod
    def from_bytes(cls, hashes: bytes, size: int) -> Frontier:
        """Read what `to_bytes` wrote; the size is kept beside it."""
        return cls(size, tuple(hashes[start : start + HASH_BYTES] for start in range(0, len(hashes), HASH_BYTES)))

    def to_bytes(self) -> bytes:
        """The hashes, one after the other."""
        return b"".join(self.hashes)

    def extend(self, leaf_hashes: Iterable[bytes]) -> Frontier:
        """The frontier after appending these leaves; about two hashes a leaf."""
        size, hashes = self.size, list(self.hashes)
        for added in leaf_hashes:
            trailing, reached = size, added
            # Each trailing one-bit is a whole subtree as large as what is carried: the two are one.
            while trailing & 1:
                reached = node_hash(hashes.pop(), reached)
                trailing >>= 1
            hashes.append(reached)
            size += 1
        return Frontier(size, tuple(hashes))

    def root(self) -> bytes:
        """The root of the whole tree."""
        return _joined(self.hashes) if self.hashes else EMPTY_ROOT


def _joined(subtrees: Sequence[bytes]) -> bytes:
    """One root over whole subtrees of falling size."""
    reached = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        reached = node_hash(left, reached)
    return reached


# --- tiles --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tile:
    """1 to 256 hashes of the tree. At level 0 leaf hashes, above it roots of full tiles of the level below."""

    level: int
    index: int
    hashes: tuple[bytes, ...]

    @property
    def full(self) -> bool:
        return len(self.hashes) == TILE_WIDTH


def tile_width(level: int, index: int, tree_size: int) -> int:
    """How many hashes this tile has in a tree of that size: 0 (there is no such tile) to 256."""
    return min(max((tree_size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH, 0), TILE_WIDTH)


def completed_tiles(old_size: int, leaf_hashes: Sequence[bytes], read: TileReader) -> list[Tile]:
    """The tiles to write when these leaves are appended to a tree of `old_size`.

    For a writer that keeps leaf hashes in a table of entries. It writes a tile of level 0 once it is full, and a tile above it each
    time it grows, in place of the narrower one: so it never has to hash 256 tiles again to know the one above them.

    Args:
        read: asked, only where a tile of level 0 fills, for the hashes that this one and the growing ones above it had: one tile
            of each level at most.

    Returns:
        level 0 first, then level by level; at level 0 full tiles only.

    Raises:
        Broken: `read` did not answer with the hashes asked for.
    """
    tiles: list[Tile] = []
    level, added = 0, list(leaf_hashes)
    while added:
        had = old_size >> (TILE_HEIGHT * level)
        index, width = had // TILE_WIDTH, had % TILE_WIDTH
        if level == 0 and width + len(added) < TILE_WIDTH:
            break  # nothing fills, so nothing is read
        hashes = [*(_read(read, level, index, width) if width else ()), *added]
        grown = [
            Tile(level, index + start // TILE_WIDTH, tuple(hashes[start : start + TILE_WIDTH]))
            for start in range(0, len(hashes), TILE_WIDTH)
        ]
        tiles += [tile for tile in grown if level > 0 or tile.full]
        level, added = level + 1, [root(tile.hashes) for tile in grown if tile.full]
    return tiles


def inclusion_proof(leaf_index: int, tree_size: int, tiles: TileReader) -> tuple[bytes, ...]:
    """The proof that leaf `leaf_index` is in the tree of `tree_size`, leaf end first. RFC 9162 section 2.1.3.1.

    Args:
        tree_size: of this or any earlier state of the log; tiles are asked for as wide as they were then.

    Raises:
        ProofError: there is no such leaf in a tree of that size.
        Broken: a tile is not as wide as asked for.
    """
    _check_size(tree_size)
    if not _is_number(leaf_index) or not 0 <= leaf_index < tree_size:
        raise ProofError(f"leaf index `{leaf_index}` in a tree of {tree_size} leaves, expected one below its size")
    start, stop = 0, tree_size
    siblings: list[tuple[int, int]] = []
    while stop - start > 1:
        middle = start + _split(stop - start)
        if leaf_index < middle:
            siblings.append((middle, stop))
            stop = middle
        else:
            siblings.append((start, middle))
            start = middle
    subtrees = _Subtrees(tree_size, tiles)
    return tuple(subtrees.root(*sibling) for sibling in reversed(siblings))


def consistency_proof(old_size: int, new_size: int, tiles: TileReader) -> tuple[bytes, ...]:
    """The proof that the tree of `new_size` continues that of `old_size`, leaf end first. RFC 9162 section 2.1.4.1.

    Raises:
        ProofError: not `0 < old_size <= new_size`.
        Broken: a tile is not as wide as asked for.
    """
    _check_size(old_size)
    _check_size(new_size)
    if not 0 < old_size <= new_size:
        raise ProofError(f"consistency of sizes `{old_size}` and `{new_size}`, expected the old one above 0 and not above the new one")
    start, stop = 0, new_size
    parts: list[tuple[int, int]] = []
    while stop != old_size:
        middle = start + _split(stop - start)
        if old_size <= middle:
            parts.append((middle, stop))
            stop = middle
        else:
            parts.append((start, middle))
            start = middle
    if start > 0:
        parts.append((start, stop))  # else it is the old tree itself, whose root the verifier has
    subtrees = _Subtrees(new_size, tiles)
    return tuple(subtrees.root(*part) for part in reversed(parts))


def subtree_roots(subtrees: Iterable[tuple[int, int]], tree_size: int, tiles: TileReader) -> tuple[bytes, ...]:
    """The roots over leaves `start` to `stop` of each of these subtrees of the tree of `tree_size`.

    Raises:
        Broken: a tile is not as wide as asked for.
    """
    found = _Subtrees(tree_size, tiles)
    return tuple(found.root(start, stop) for start, stop in subtrees)


def _split(width: int) -> int:
    """The largest power of two below `width`, which is at least 2."""
    return 1 << ((width - 1).bit_length() - 1)


def _read(read: TileReader, level: int, index: int, width: int) -> Sequence[bytes]:
    hashes = read(level, index, width)
    if len(hashes) != width or any(len(value) != HASH_BYTES for value in hashes):
        raise Broken(f"tile {level}/{index} holds {len(hashes)} hashes, expected {width}; run `entente log verify`")
    return hashes


class _Subtrees:
    """Roots of subtrees, out of tiles that are each read once."""

    def __init__(self, tree_size: int, read: TileReader) -> None:
        self._tree_size: Final = tree_size
        self._read: Final = read
        self._held: Final[dict[tuple[int, int], Sequence[bytes]]] = {}

    def root(self, start: int, stop: int) -> bytes:
        """The root over leaves `start` to `stop`; `start` is where a subtree of that width can begin."""
        return _joined(list(self._whole_subtrees(start, stop)))

    def _whole_subtrees(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            height = (stop - start).bit_length() - 1
            level, within = divmod(height, TILE_HEIGHT)
            index, place = divmod(start >> (TILE_HEIGHT * level), TILE_WIDTH)
            yield root(self._tile(level, index)[place : place + (1 << within)])
            start += 1 << height

    def _tile(self, level: int, index: int) -> Sequence[bytes]:
        held = self._held.get((level, index))
        if held is None:
            held = self._held[level, index] = _read(self._read, level, index, tile_width(level, index, self._tree_size))
        return held
