"""The evidence bundle: entries that match, and all that somebody needs to check them who trusts nobody here.

```
query.json                what was asked for, by whom, and the look in `officers` that records it
entries.jsonl             the entries, a line each: log by log, in the order of the log (`entries.py`)
left-out.jsonl            the gaps between them, in the same order: the hashes of the subtrees left out
checkpoints/<log>         the signed head of each log concerned, an empty one too; that of the root log with witnesses' signatures
roots/<log>               where a root holds the log: its root proof, the keys for it, and the proof that the log continues the head in it;
                          of the root log, its newest checkpoint that a witness signed, and the proof that it continues that
keys.json                 the keys of these logs, as the service says: a checker brings his own
bundles/<digest>/<file>   the archived policy bundles that the entries name
verify_entente.py         the offline verifier
README.txt                how to check it
manifest.json             sizes, roots, counts, and the SHA-256 of every file above
```

Entries that were pruned stand among those left out, by the hashes that are kept of them, and the manifest names them. A whole export is
one in which nothing else is left out. A compact bundle has `entries.compact.jsonl` in place of `entries.jsonl`, and is of the next format
(`compact.py`); all else is the same.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from binascii import hexlify
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final

from service.errors import NotVisible
from service.releaselog import offline_verifier
from service.releaselog.leaf import canonical, canonical_string
from service.releaselog.merkle import TileReader
from service.releaselog.partial import Gap, gap
from service.sharing.exports.compact import Compact
from service.sharing.exports.entries import lines_of, without_log
from service.sharing.exports.selection import Selection
from service.sharing.exports.writing import Piece
from service.sharing.ledger import ROOT, Ledger
from service.sharing.rootlog import root_checkpoint, rooted
from service.store import Connection, logs, policies, prunes
from service.store.logs import Head
from service.store.tables import FOREVER
from service.store.times import text_of

FORMAT: Final = "entente-export/1"
COMPACT_FORMAT: Final = "entente-export/2"
VERIFIER_NAME: Final = "verify_entente.py"
_NAMES_BUNDLE: Final = re.compile(rb'"bundle":"([0-9a-f]{64})"')
_SPOOLED_BYTES: Final = 8 << 20
_BLOCK_BYTES: Final = 1 << 20
_TILES_HELD: Final = 64

README: Final = f"""\
An evidence bundle of an Entente release log.

Check it with Python 3.11 or later and the package `cryptography`, on a machine that you trust:

    python3 {VERIFIER_NAME} export . --key KEY

KEY is the verifier's key of a log, as you had it from somebody you trust, and not from this folder; give one `--key` for each
log. Better still, use a copy of `{VERIFIER_NAME}` that you had before: its digest is printed by `entente log verifier --sha256`.

Where what entries have in common is said once (`entries.compact.jsonl`), they are written in full by

    python3 {VERIFIER_NAME} entries .

Exit codes: 0 everything holds, 1 something does not, 2 it could not be read, 3 it fits together and is not proven by keys of yours,
4 fewer witnesses have signed than you ask for (--witness KEY, --quorum N).
"""


def verifier_source() -> bytes:
    """The offline verifier, as an auditor takes it away."""
    return Path(offline_verifier.__file__).read_bytes()


def tile_reader(connection: Connection, head: Head) -> TileReader:
    """Tiles of a log, the last few of which are held: gaps that lie close together are made of the same ones."""

    @lru_cache(maxsize=_TILES_HELD)
    def read(level: int, index: int, width: int) -> list[bytes]:
        return logs.read_tile(connection, head.id, level, index, width)

    return read


class EvidenceBundle:
    """Makes the pieces of one bundle. It is used once.

    Args:
        look: the event, time and actor of the look that records the export; part of `query.json`.
        compact: what entries have in common is said once.
    """

    def __init__(
        self, connection: Connection, ledger: Ledger, selection: Selection, look: Mapping[str, object], *, compact: bool = False
    ) -> None:
        self._connection: Final = connection
        self._ledger: Final = ledger
        self._selection: Final = selection
        self._look: Final = look
        self._heads: Final = selection.heads(connection)
        self._format: Final = COMPACT_FORMAT if compact else FORMAT
        self._entries_name: Final = "entries.compact.jsonl" if compact else "entries.jsonl"
        self._lines_of: Final = Compact().lines_of if compact else lines_of
        self._included: Final[dict[str, int]] = {}
        self._bundles: Final[set[bytes]] = set()
        self._files: Final[list[dict[str, object]]] = []

    def pieces(self) -> Iterator[Piece]:
        """Every file, the manifest last."""
        # Gaps are found while entries go by, but a zip takes one file after the other: they wait in a file of their own.
        with tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES) as gaps:
            yield from self._noted(self._contents(gaps))
        yield Piece("manifest.json", canonical(self._manifest()) + b"\n")

    def _contents(self, gaps: IO[bytes]) -> Iterator[Piece]:
        yield Piece(
            "query.json", canonical({"format": self._format, "look": dict(self._look), "query": dict(self._selection.query)}) + b"\n"
        )
        yield Piece(self._entries_name, b"")
        for head in self._heads:
            for block in self._entries(head, gaps):
                yield Piece(self._entries_name, block)
        yield Piece("left-out.jsonl", b"")
        gaps.seek(0)
        while block := gaps.read(_BLOCK_BYTES):
            yield Piece("left-out.jsonl", block)
        for head in self._heads:
            note = root_checkpoint(self._connection, head, head.size) if head.name == ROOT else head.checkpoint
            yield Piece(f"checkpoints/{head.name}", note.encode("utf-8"))
        for head in self._heads:
            with suppress(NotVisible):
                yield Piece(f"roots/{head.name}", canonical(rooted(self._connection, self._ledger, head.name)) + b"\n")
        yield Piece("keys.json", canonical({head.name: self._keys(head) for head in self._heads}) + b"\n")
        for digest in sorted(self._bundles):
            archived = policies.archived_bundle(self._connection, digest.decode("ascii")) or {}
            for name, content in sorted(archived.items()):
                yield Piece(f"bundles/{digest.decode('ascii')}/{name}", content)
        yield Piece(VERIFIER_NAME, verifier_source())
        yield Piece("README.txt", README.encode("utf-8"))

    def _entries(self, head: Head, gaps: IO[bytes]) -> Iterator[bytes]:
        log_json = canonical_string(head.name)
        tiles = tile_reader(self._connection, head)
        included = upto = 0
        for rows in self._selection.rows(self._connection, head):
            included += len(rows)
            for row in rows:
                if row.position > upto:
                    gaps.write(_gap_line(gap(upto, row.position, head.size, tiles), log_json))
                upto = row.position + 1
            block = self._lines_of(self._connection, rows, log_json)
            # A quote inside a JSON string is escaped, so what looks like this member is one, if perhaps of a query within.
            self._bundles.update(_NAMES_BUNDLE.findall(block))
            yield block
        if upto < head.size:
            gaps.write(_gap_line(gap(upto, head.size, head.size, tiles), log_json))
        self._included[head.name] = included

    def _keys(self, head: Head) -> dict[str, object]:
        keys = [
            {"vkey": key.vkey, "from": text_of(key.from_at), "until": None if key.until == FOREVER else text_of(key.until)}
            for key in self._ledger.periods(head.origin)
        ]
        return {"origin": head.origin, "keys": keys}

    def _pruned(self, head: Head) -> dict[str, object]:
        """`pruned` of a log: all that was, whatever was asked for, as all of it is among what is left out."""
        gone = [without_log(span) for span in prunes.spans(self._connection, log=head.name)]
        return {"pruned": gone} if gone else {}

    def _noted(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Pass pieces on, and note of each file its length and digest."""
        path, length, hashed = "", 0, hashlib.sha256()
        for piece in pieces:
            if piece.path != path:
                if path:
                    self._files.append({"path": path, "bytes": length, "sha256": hashed.hexdigest()})
                path, length, hashed = piece.path, 0, hashlib.sha256()
            length += len(piece.content)
            hashed.update(piece.content)
            yield piece
        self._files.append({"path": path, "bytes": length, "sha256": hashed.hexdigest()})

    def _manifest(self) -> dict[str, Any]:
        return {
            "format": self._format,
            "created_at": self._look["at"],
            "instance": self._ledger.instance,
            "query": dict(self._selection.query),
            "logs": [
                {
                    "log": head.name,
                    "origin": head.origin,
                    "size": head.size,
                    "root": head.root.hex(),
                    "included": self._included[head.name],
                    "left_out": head.size - self._included[head.name],
                    **self._pruned(head),
                }
                for head in self._heads
            ],
            "entries": sum(self._included.values()),
            "files": self._files,
        }


def _gap_line(left: Gap, log_json: bytes) -> bytes:
    hashes = b",".join([b'"%b"' % hexlify(value) for value in left.hashes])
    return b'{"hashes":[%b],"log":%b,"start":%d,"stop":%d}\n' % (hashes, log_json, left.start, left.stop)
