"""`entries.jsonl`: the entries of an export, each whole by itself.

A line is the canonical JSON (RFC 8785) of `{"face","index","leaf_hash","log","nonce","record"}`, face and record being the very bytes that
are stored: whoever checks can cut the leaf out of the line and hash it as it is. Where the record commits to personal texts that are kept,
`personal` comes before it: value and salt by commitment.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Iterator, Mapping, Sequence

from service.releaselog.leaf import canonical, canonical_string
from service.sharing.audit import span_json
from service.sharing.exports.selection import Selection
from service.sharing.personal import Opened
from service.store import Connection
from service.store.logs import ExportRow
from service.store.prunes import Span


def lines_of(connection: Connection, rows: Sequence[ExportRow], log_json: bytes) -> bytes:
    """Lines of `entries.jsonl`; face and record are spliced in as they are stored. `log_json` is the log's name as JSON writes it."""
    opened = Opened(connection, [row.record for row in rows])
    return b"".join([line_of(row, log_json, opened.of(row.record)) for row in rows])


def line_of(row: ExportRow, log_json: bytes, personal: Mapping[str, dict[str, str]]) -> bytes:
    beside = b'"personal":%b,' % canonical(dict(personal)) if personal else b""
    return b'{"face":%b,"index":%d,"leaf_hash":"%b","log":%b,"nonce":"%b",%b"record":%b}\n' % (
        row.leaf, row.position, hexlify(row.leaf_hash), log_json, hexlify(row.nonce), beside, row.record,
    )  # fmt: skip


def lines(connection: Connection, selection: Selection) -> Iterator[bytes]:
    """`entries.jsonl` by itself, in blocks. Where something was pruned, a line `{"log","pruned":{...}}` for each run of it comes first."""
    gone = [{"log": span.log, "pruned": without_log(span)} for span in selection.pruned(connection)]
    if gone:
        yield b"".join([canonical(one) + b"\n" for one in gone])
    for head in selection.heads(connection):
        log_json = canonical_string(head.name)
        for rows in selection.rows(connection, head):
            yield lines_of(connection, rows, log_json)


def without_log(span: Span) -> dict[str, object]:
    return {name: value for name, value in span_json(span).items() if name != "log"}
