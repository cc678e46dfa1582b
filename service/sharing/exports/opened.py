"""An entry as tables and events show it: face and record read, each item once, with what both say of it.

Reading whole records costs more than everything else in a table: labels are most of a record, and no table shows them. So an entry
of the usual form is cut where its members begin (`cut`), and what is made of what a record says of an item is kept for all entries
that say the same of it (`OfItems`). An entry of another form is read whole (`opened`); a test holds the two ways together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar

from service.sharing.exports.selection import Selection
from service.store import Connection
from service.store.logs import ExportRow

_read: Final = json.JSONDecoder().decode
_NOTHING: Final[Mapping[str, Any]] = {}
_HEX: Final = r"[0-9a-f]{64}"
_ITEM: Final = r'\{(?:"copy_sha256":"' + _HEX + r'",)?"id":"[A-Za-z0-9_?-]+"\}'
# A leaf without a backslash has no escapes, so that each text ends at the next quote. What is not shown is not looked at.
_FACE: Final = re.compile(
    r'\{"at":"([0-9][0-9TZ:.-]*)","body_sha256":"([^"]{64})","client":"([^"]*+)","event_id":"([A-Za-z0-9_-]+)","items":\[((?:'
    + _ITEM + r"(?:," + _ITEM + r')*)?)\],(?:"portion":"([A-Za-z0-9_?-]+)",)?"purpose":"([^"]*+)","result":"([^"]*+)","route":"([^"]*+)"'
    r',"seal":"[^"]{64}","type":"([^"]*+)","v":1\}'
)  # fmt: skip
_ITEMS: Final = re.compile(r'(?:"copy_sha256":"([^"]+)",)?"id":"([^"]+)"')
_BEGINNING: Final = re.compile(
    r'\{"act":(0|[1-9][0-9]{0,14}),"at":"[^"\\]*","authority":null,"bundle":(?:null|"([^"]{64})"),"engine":"[^"]{64}","items":'
)
# Within a JSON string a quote is escaped: what looks like a member is one. Whose it is, the form of what follows says.
_AFTER_ITEMS: Final = ',"labels":{'
_AFTER_LABELS: Final = ',"outcome":"'
_END: Final = re.compile(r',"outcome":"([a-z_]+)","partner":"([A-Z][A-Z0-9-]*)","query":(?:null|\{[^}]*+\})\}')
_HELD_MAX: Final = 20_000
_HELD_CHARACTERS_MAX: Final = 4_000
_T = TypeVar("_T")


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
    partner: str
    recorded: str


class OfItems(Generic[_T]):
    """What is made of what records say of each item. Most of it comes again: it is made once, and held while there is not too much."""

    def __init__(self, make: Callable[[Mapping[str, Any]], _T]) -> None:
        self._make = make
        self._held: dict[str, tuple[str, _T]] = {}

    def cut(self, row: ExportRow) -> tuple[Cut, dict[str, _T]] | None:
        """An entry of the usual form, cut, and what is made of each item of its record, by id; None where it has to be read whole."""
        entry = cut(row)
        if entry is None:
            return None
        if entry.recorded == "[]":
            return entry, {}
        # A line end stands in no JSON of ours, so that one can be put where it is to be cut.
        texts = entry.recorded[1:-1].replace("},{", "}\n{").split("\n")
        try:
            return entry, dict([self._held.get(text) or self._hold(text) for text in texts])
        except ValueError:
            return None  # a word in it looked like the end of an item

    def _hold(self, text: str) -> tuple[str, _T]:
        item = _read(text)
        made = (item["id"], self._make(item))
        if len(text) <= _HELD_CHARACTERS_MAX:
            if len(self._held) >= _HELD_MAX:
                self._held.clear()
            self._held[text] = made
        return made


def opened(row: ExportRow, log: str) -> Opened:
    """Read an entry's leaf and record, whole."""
    face, record = _read(row.leaf.decode("utf-8")), _read(row.record.decode("utf-8"))
    recorded = {item["id"]: item for item in record.get("items") or ()}
    return Opened(log, row.position, row.leaf_hash, face, record, [(item, recorded.get(item["id"], _NOTHING)) for item in face["items"]])


def cut(row: ExportRow) -> Cut | None:
    """An entry's leaf and record, cut; None where one of them has another form, which says nothing against it."""
    leaf, text = row.leaf.decode("utf-8"), row.record.decode("utf-8")
    face, found = _FACE.fullmatch(leaf), _BEGINNING.match(text)
    if face is None or found is None or "\\" in leaf:
        return None
    start = found.end()
    stop, after = text.find(_AFTER_ITEMS, start), text.rfind(_AFTER_LABELS)
    end = _END.fullmatch(text, after) if 0 < stop < after else None
    if end is None:
        return None
    at, body_sha256, client, event_id, items, portion, purpose, result, route, type_ = face.groups("")
    act, bundle = found.groups("")
    if not f"{body_sha256}{bundle}".isalnum():
        return None
    said = text[start:stop]
    outcome, partner = end.groups()
    shown = _ITEMS.findall(items)
    return Cut(at, body_sha256, client, event_id, shown, portion, purpose, result, route, type_, act, bundle, outcome, partner, said)


def entries(connection: Connection, selection: Selection) -> Iterator[Opened]:
    """The entries that match, read, log by log.

    One by one, and let go again: thousands of parsed entries held at a time cost five times as much in garbage collection as in
    parsing.
    """
    for head in selection.heads(connection):
        for rows in selection.rows(connection, head):
            for row in rows:
                yield opened(row, head.name)
