"""A log as static files (C2SP tlog-tiles): `checkpoint`, `tile/<L>/<N>` and `tile/entries/<N>`, for tools of other people.

The tree is that of the checkpoint; of tiles that are not full there is the one width it has. Where entries were pruned there are no
entries, as tlog-tiles allows, and `pruned.json` says of which; it is there where something was.
"""

from __future__ import annotations

from collections.abc import Iterator

from service.releaselog.leaf import canonical
from service.releaselog.merkle import TILE_HEIGHT, TILE_WIDTH
from service.releaselog.tiles import TilePath, encode_bundle, encode_tile
from service.sharing.audit import leaves_of, span_json
from service.sharing.exports.writing import Piece
from service.store import Connection, logs, prunes
from service.store.logs import Head


def static_tiles(connection: Connection, head: Head) -> Iterator[Piece]:
    """The files of a log, the checkpoint last: whoever copies them on in this order never has one that is ahead of its tiles."""
    gone = prunes.gone(connection, head.id, 0, head.size // TILE_WIDTH)
    for path in _paths(None, head.size):
        if path.index in gone:
            continue
        start = path.index * TILE_WIDTH
        yield Piece(str(path), encode_bundle(leaves_of(connection, head, start, start + path.width)))
    level = 0
    while width := head.size >> (TILE_HEIGHT * level):
        for path in _paths(level, width):
            yield Piece(str(path), encode_tile(logs.read_tile(connection, head.id, level, path.index, path.width)))
        level += 1
    if gone:
        spans = prunes.spans(connection, log=head.name)
        ranges = [{name: value for name, value in span_json(span).items() if name != "log"} for span in spans]
        yield Piece("pruned.json", canonical({"origin": head.origin, "pruned": ranges}) + b"\n")
    yield Piece("checkpoint", head.checkpoint.encode("utf-8"))


def _paths(level: int | None, width: int) -> Iterator[TilePath]:
    """The tiles that `width` hashes of a level make: full ones, and the one that is not."""
    full, rest = divmod(width, TILE_WIDTH)
    for index in range(full):
        yield TilePath(level, index)
    if rest:
        yield TilePath(level, full, rest)
