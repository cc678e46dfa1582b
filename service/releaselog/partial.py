"""Partial trees: a log of which only some entries are shown, and which proves how many are not, and where.

A filtered export shows the entries that match. In place of each run of entries it leaves out, a *gap*, it carries the hashes of
the fewest subtrees that the gap is made of, left to right. Whoever has the entries and the gaps rebuilds the root, and compares
it with the one that the log signed. The shape of a tree of n leaves is fixed (RFC 9162 section 2.1.1), and a leaf can never pass for a
node, so each gap begins and ends where it says, and nothing between two entries shown is left out unsaid.

What a partial tree does not show is what the entries left out say. For that there are their inclusion proofs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from service.errors import ProofError
from service.releaselog.merkle import EMPTY_ROOT, HASH_BYTES, TREE_SIZE_MAX, TileReader, node_hash, subtree_roots


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries `start` to `stop`, exclusive, are left out; `hashes` are of the subtrees they are made of, left to right.

    Raises:
        ProofError: a gap of no entries, or hashes that are none.
    """

    start: int
    stop: int
    hashes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop <= TREE_SIZE_MAX:
            raise ProofError(f"a gap from `{self.start}` to `{self.stop}`, expected at least one entry")
        if any(len(value) != HASH_BYTES for value in self.hashes):
            raise ProofError(f"a hash of the gap at `{self.start}` is not {HASH_BYTES} bytes")


def subtrees(start: int, stop: int, tree_size: int) -> list[tuple[int, int]]:
    """The fewest subtrees of the tree of `tree_size` leaves that leaves `start` to `stop`, exclusive, are made of.

    At the right edge of the tree a subtree may have any width, everywhere else its width is a power of two.

    Raises:
        ProofError: not `0 <= start <= stop <= tree_size`.
    """
    if not 0 <= start <= stop <= tree_size <= TREE_SIZE_MAX:
        raise ProofError(f"leaves `{start}` to `{stop}` of a tree of {tree_size}, expected a run of its leaves")
    found: list[tuple[int, int]] = []
    while start < stop:
        # The widest subtree that can begin here is as wide as the lowest one-bit of the place; at 0 it is the whole tree.
        widest = start & -start or tree_size
        edge = stop == tree_size and stop - start <= widest
        width = stop - start if edge else min(widest, 1 << ((stop - start).bit_length() - 1))
        found.append((start, start + width))
        start += width
    return found


def gap(start: int, stop: int, tree_size: int, tiles: TileReader) -> Gap:
    """The gap that leaves out entries `start` to `stop`, exclusive, of the tree of `tree_size`.

    Raises:
        ProofError: there are no such entries in a tree of that size.
        Broken: a tile is not as wide as asked for.
    """
    return Gap(start, stop, subtree_roots(subtrees(start, stop, tree_size), tree_size, tiles))


class PartialTree:
    """Rebuilds a root from leaf hashes and gaps, given in the order of the log. What it takes in is the right edge and no more.

    Args:
        tree_size: of the log, as its checkpoint says.
    """

    def __init__(self, tree_size: int) -> None:
        if not 0 <= tree_size <= TREE_SIZE_MAX:
            raise ProofError(f"tree size `{tree_size}`, expected a number from 0 to {TREE_SIZE_MAX}")
        self._tree_size: Final = tree_size
        self._edge: Final[list[bytes]] = []
        self.size = 0
        """How many entries are accounted for so far: the index of the next."""
        self.left_out = 0

    def show(self, leaf_hash: bytes) -> None:
        """Take in the next entry, which is shown.

        Raises:
            ProofError: the tree is not that large, or this is no hash.
        """
        if len(leaf_hash) != HASH_BYTES:
            raise ProofError(f"the leaf hash of entry {self.size} is not {HASH_BYTES} bytes")
        self._take(leaf_hash, 1)

    def leave_out(self, gap: Gap) -> None:
        """Take in the next run of entries, which is left out.

        Raises:
            ProofError: it begins elsewhere, does not fit the tree, or has another number of hashes than its subtrees.
        """
        if gap.start != self.size:
            raise ProofError(f"a gap that begins at `{gap.start}`, expected {self.size}, where the entries before it end")
        widths = subtrees(gap.start, gap.stop, self._tree_size)
        if len(widths) != len(gap.hashes):
            raise ProofError(f"a gap from `{gap.start}` to `{gap.stop}` with {len(gap.hashes)} hashes, expected {len(widths)}")
        for (start, stop), value in zip(widths, gap.hashes, strict=True):
            self._take(value, stop - start)
        self.left_out += gap.stop - gap.start

    def root(self) -> bytes:
        """The root, once every entry is accounted for.

        Raises:
            ProofError: some are not.
        """
        if self.size != self._tree_size:
            raise ProofError(f"entries from {self.size} on are neither shown nor left out, expected all of {self._tree_size}")
        if not self._edge:
            return EMPTY_ROOT
        reached = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            reached = node_hash(left, reached)
        return reached

    def _take(self, value: bytes, width: int) -> None:
        if self.size + width > self._tree_size:
            raise ProofError(f"more entries than the tree of {self._tree_size} has")
        carried = width
        # A subtree at the right edge ends the tree, whatever its width; before it each is as wide as a power of two, and each
        # one-bit of the size from its width on is a whole subtree that it completes to the next.
        if width & (width - 1) == 0:
            while self.size & carried:
                value = node_hash(self._edge.pop(), value)
                carried <<= 1
        self._edge.append(value)
        self.size += width


def gaps_between(shown: Iterable[int], tree_size: int) -> Iterator[tuple[int, int]]:
    """The runs left out where the entries `shown`, in order, are shown: (start, stop), exclusive.

    Raises:
        ProofError: not in order, or beyond the tree.
    """
    upto = 0
    for index in shown:
        if not upto <= index < tree_size:
            raise ProofError(f"entry `{index}` after entry {upto - 1} of {tree_size}, expected them in order")
        if index > upto:
            yield upto, index
        upto = index + 1
    if upto < tree_size:
        yield upto, tree_size


def rebuilt_root(tree_size: int, shown: Sequence[tuple[int, bytes]], gaps: Sequence[Gap]) -> bytes:
    """The root of the tree of `tree_size` leaves, from (index, leaf hash) of the entries shown and from the gaps between, each in order.

    Raises:
        ProofError: entries and gaps do not account for every entry exactly once.
    """
    tree = PartialTree(tree_size)
    waiting = iter(gaps)
    next_gap = next(waiting, None)
    for index, leaf_hash in shown:
        while next_gap is not None and next_gap.start <= tree.size < index:
            tree.leave_out(next_gap)
            next_gap = next(waiting, None)
        if index != tree.size:
            raise ProofError(f"entry `{index}` where entry {tree.size} was to come")
        tree.show(leaf_hash)
    while next_gap is not None:
        tree.leave_out(next_gap)
        next_gap = next(waiting, None)
    return tree.root()
