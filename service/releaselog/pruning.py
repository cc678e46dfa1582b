"""What is left of entries that were pruned: per whole tile of 256, enough to rebuild the tree and to be found out if it is touched.

Pure. Leaf hashes stay in the tile of level 0, so that every root, inclusion proof and consistency proof is made as before, and every
receipt that was ever given goes on to verify. Beside them stays, for each tile:

1. `root`: the hash of the tile as a whole, which the leaf that says it was pruned names too.
2. `events`: a digest of each entry's event id, in order, so that an id asked for again is known to be pruned, and none is used twice.
3. The times of its first and last entry, and the act number of the last, so that times and acts are still seen never to fall.

The leaf in `officers` (`log.prune`) holds the roots, and one digest over the rest, for each run of tiles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from service.releaselog.leaf import canonical
from service.releaselog.merkle import TILE_WIDTH

EVENT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class PrunedTile:
    """A tile whose entries are gone. Times in microseconds since 1970."""

    index: int
    root: bytes
    events: bytes
    first_at: int
    last_at: int
    act: int

    @property
    def start(self) -> int:
        """The position of its first entry."""
        return self.index * TILE_WIDTH

    @property
    def stop(self) -> int:
        """The position after its last entry."""
        return self.start + TILE_WIDTH


def event_digest(event_id: str) -> bytes:
    """What stays of an event id."""
    return hashlib.blake2b(event_id.encode("utf-8", "surrogateescape"), digest_size=EVENT_BYTES).digest()


def place_in(events: bytes, digest: bytes) -> int | None:
    """Which entry of a tile had this event, from 0; None for none."""
    found = events.find(digest)
    while found >= 0 and found % EVENT_BYTES:
        found = events.find(digest, found + 1)
    return None if found < 0 else found // EVENT_BYTES


def digest_of(tiles: Iterable[PrunedTile]) -> bytes:
    """One digest over all that stays of tiles besides their hashes: a leaf binds it."""
    rows = [[tile.index, tile.root.hex(), hashlib.sha256(tile.events).hexdigest(), tile.first_at, tile.last_at, tile.act] for tile in tiles]
    return hashlib.sha256(canonical(rows)).digest()


def runs(indexes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Runs of tile indexes that follow one another: (first, after the last). The indexes in order."""
    start: int | None = None
    stop = 0
    for index in indexes:
        if start is not None and index != stop:
            yield start, stop
            start = None
        if start is None:
            start = index
        stop = index + 1
    if start is not None:
        yield start, stop


def run_of(tiles: Sequence[PrunedTile]) -> list[list[PrunedTile]]:
    """Tiles, in order, by the runs they make."""
    by_index = {tile.index: tile for tile in tiles}
    return [[by_index[index] for index in range(start, stop)] for start, stop in runs(sorted(by_index))]
