"""What the parts of a log are called, and how entries travel. C2SP tlog-tiles.

`tile/<L>/<N>` is a tile of hashes, `tile/entries/<N>` a bundle of entries; `.p/<W>` follows where it is not 256 wide. `N` is written
in groups of three digits, all but the last after an `x`: 1234067 is `x001/x234/067`. Each has exactly one name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from service.errors import ProofError
from service.releaselog.merkle import HASH_BYTES, TILE_WIDTH

LEVEL_MAX: Final = 63
INDEX_MAX: Final = (1 << 55) - 1
"""A tree within `TREE_SIZE_MAX` has no tile beyond."""
ENTRY_BYTES_MAX: Final = (1 << 16) - 1
ENTRIES: Final = "entries"

_PATH: Final = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class TilePath:
    """The name of a tile, or with level None of a bundle of entries. `width` is 1 to 256, and 256 for a full one.

    Raises:
        ProofError: level, index or width out of range.
    """

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= LEVEL_MAX:
            raise ProofError(f"tile level `{self.level}`, expected a number from 0 to {LEVEL_MAX}")
        if not 0 <= self.index <= INDEX_MAX:
            raise ProofError(f"tile index `{self.index}`, expected a number from 0 to {INDEX_MAX}")
        if not 1 <= self.width <= TILE_WIDTH:
            raise ProofError(f"tile width `{self.width}`, expected a number from 1 to {TILE_WIDTH}")

    @classmethod
    def parse(cls, path: str) -> TilePath:
        """Read a name.

        Raises:
            ProofError: not a name, or not the one name of what it means.
        """
        found = _PATH.fullmatch(path)
        if found is None:
            raise ProofError("not the path of a tile, expected `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`")
        level, index, width = found.groups()
        parsed = cls(
            None if level == ENTRIES else int(level),
            int(index.replace("x", "").replace("/", "")),
            TILE_WIDTH if width is None else int(width),
        )
        # A group too many (`x000/001`), or a full tile called partial (`.p/256`), would be a second name.
        if str(parsed) != path:
            raise ProofError(f"not the canonical path of a tile, expected `{parsed}`")
        return parsed

    def __str__(self) -> str:
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
        number = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{ENTRIES if self.level is None else self.level}/{number}{partial}"


def encode_tile(hashes: Sequence[bytes]) -> bytes:
    """The bytes of a tile: its hashes, one after the other."""
    return b"".join(hashes)


def decode_tile(tile: bytes) -> tuple[bytes, ...]:
    """The hashes of a tile.

    Raises:
        ProofError: not 1 to 256 whole hashes.
    """
    if not tile or len(tile) % HASH_BYTES or len(tile) > TILE_WIDTH * HASH_BYTES:
        raise ProofError(f"a tile of {len(tile)} bytes, expected 1 to {TILE_WIDTH} times {HASH_BYTES}")
    return tuple(tile[start : start + HASH_BYTES] for start in range(0, len(tile), HASH_BYTES))


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """The bytes of a bundle: each entry after its length as two bytes, the higher first.

    Raises:
        ProofError: an entry longer than 65,535 bytes.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            raise ProofError(f"an entry of {len(entry)} bytes, expected at most {ENTRY_BYTES_MAX}")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def decode_bundle(bundle: bytes) -> tuple[bytes, ...]:
    """The entries of a bundle.

    Raises:
        ProofError: cut off, empty, or more than 256 entries.
    """
    entries: list[bytes] = []
    start = 0
    while start < len(bundle):
        stop = start + 2 + int.from_bytes(bundle[start : start + 2], "big")
        if start + 2 > len(bundle) or stop > len(bundle):
            raise ProofError(f"a bundle cut off in entry {len(entries)}")
        entries.append(bundle[start + 2 : stop])
        start = stop
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise ProofError(f"a bundle of {len(entries)} entries, expected 1 to {TILE_WIDTH}")
    return tuple(entries)
