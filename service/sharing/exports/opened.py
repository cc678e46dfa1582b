"""An entry as tables and events show it: face and record read, each item once, with what both say of it.

Reading whole records costs more than everything else in a table: labels are most of a record, and no table shows them. So an entry
of the usual form is cut where its members begin (`cut`), and whoever makes something of what a record says of items keeps it for
all entries that say the same. An entry of another form is read whole (`opened`); a test holds the two ways together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from service.sharing.exports.selection import Selection
from service.store import Connection
from service.store.logs import ExportRow

_read: Final = json.JSONDecoder().decode
_NOTHING: Final[Mapping[str, Any]] = {}
_TEXT: Final = r'"([^"\\]*)"'
_HEX: Final = r"[0-9a-f]{64}"
_ITEM: Final = r'\{(?:"copy_sha256":"' + _HEX + r'",)?"id":"[A-Za-z0-9_?-]+"\}'
_FACE: Final = re.compile(
    r'\{"at":"([0-9][0-9TZ:.-]*)","body_sha256":"(' + _HEX + r')","client":' + _TEXT + r',"event_id":"([A-Za-z0-9_-]+)"'
    r',"items":\[((?:' + _ITEM + r"(?:," + _ITEM + r')*)?)\],(?:"portion":"([A-Za-z0-9_?-]+)",)?"purpose":' + _TEXT
    + r',"result":' + _TEXT + r',"route":' + _TEXT + r',"seal":"' + _HEX + r'","type":' + _TEXT + r',"v":1\}'
)  # fmt: skip
_ITEMS: Final = re.compile(r'(?:"copy_sha256":"([0-9a-f]+)",)?"id":"([^"]+)"')
_BEGINNING: Final = re.compile(
    r'\{"act":(0|[1-9][0-9]{0,14}),"at":"[^"\\]*","authority":null,"bundle":(?:null|"(' + _HEX + r')"),"engine":"' + _HEX + r'","items":'
)
# Within a JSON string a quote is escaped: what looks like a member is one. Whose it is, the form of what follows says.
_AFTER_ITEMS: Final = ',"labels":{'
_AFTER_LABELS: Final = ',"outcome":"'
_END: Final = re.compile(r',"outcome":"([a-z_]+)","partner":"([A-Z][A-Z0-9-]*)","query":(?:null|\{[^{}]*\})\}')


class Opened(NamedTuple):
    """An entry, read. `items` are (of the face, of the record), in the order of the face; the record may have nothing of one."""

    log: str
    place: int
    leaf_hash: bytes
    face: Mapping[str, Any]
    record: Mapping[str, Any]
    items: list[tuple[Mapping[str, Any], Mapping[str, Any]]]


class Cut(NamedTuple):
    """An entry of the usual form, cut into texts that hold neither a quote nor a backslash.

    `items` are (digest of the copy or nothing, id), as the face has them; `recorded` the JSON that the record has of its items: equal
    texts say the same.
    """

    at: str
    body_sha256: str
    client: str
    event_id: str
    items: list[tuple[str, str]]
    portion: str
    purpose: str
    result: str
    route: str
    type: str
    act: str
    bundle: str
    outcome: str
    recorded: str


def opened(row: ExportRow, log: str) -> Opened:
    """Read an entry's leaf and record, whole."""
    face, record = _read(row.leaf.decode("utf-8")), _read(row.record.decode("utf-8"))
    recorded = {item["id"]: item for item in record.get("items") or ()}
    return Opened(log, row.position, row.leaf_hash, face, record, [(item, recorded.get(item["id"], _NOTHING)) for item in face["items"]])


def cut(row: ExportRow) -> Cut | None:
    """An entry's leaf and record, cut; None where one of them has another form, which says nothing against it."""
    text = row.record.decode("utf-8")
    face, found = _FACE.fullmatch(row.leaf.decode("utf-8")), _BEGINNING.match(text)
    if face is None or found is None:
        return None
    start = found.end()
    stop = text.find(_AFTER_ITEMS, start)
    end = _END.fullmatch(text, text.find(_AFTER_LABELS, stop)) if stop > 0 else None
    if end is None:
        return None
    at, body_sha256, client, event_id, items, portion, purpose, result, route, type_ = face.groups("")
    act, bundle = found.groups("")
    said = text[start:stop]
    return Cut(at, body_sha256, client, event_id, _ITEMS.findall(items), portion, purpose, result, route, type_, act, bundle, end[1], said)


def recorded_items(recorded: str) -> dict[str, Mapping[str, Any]]:
    """What a record says of its items, by id."""
    return {item["id"]: item for item in _read(recorded)}


def entries(connection: Connection, selection: Selection) -> Iterator[Opened]:
    """The entries that match, read, log by log.

    One by one, and let go again: thousands of parsed entries held at a time cost five times as much in garbage collection as in
    parsing.
    """
    for head in selection.heads(connection):
        for rows in selection.rows(connection, head):
            for row in rows:
                yield opened(row, head.name)
