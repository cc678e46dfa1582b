"""`entries.compact.jsonl`: the entries of a bundle, with what they have in common said once.

A line is one of these, canonical JSON (RFC 8785) each:

```
{"circumstances":"007","face":{...},"log":"JPN","record":{...}}     who asked for what kind of thing, by which policy, and what came of it
{"copy_sha256":"...","item":"00017","labels":{...},"record":{...}}  what face and record say of an item; of a file, `portion` too
{"act":[2],"at":["..."],"body_sha256":["..."],"circumstances":["007"],"event_id":["..."],"items":[["00017"]],"leaf_hash":["..."],
 "nonce":["..."],"position":[5],"queries":[]}                       entries that refer to these, as columns: a place in each is an entry's
{"face":{...},"index":5,"leaf_hash":"...","log":"JPN",...}          an entry in full, as in `entries.jsonl`
```

`queries` has `[place,query]` for each entry that has one. What some entries are the first to refer to stands right before their line.
Numbers are given anew when all are taken, in turn: whoever reads has to hold `CIRCUMSTANCES` and `ITEMS` of them, however long the log
is. What is not a release or a refusal of the usual form is in full, and so are entries beside whose record personal texts are kept. From
any other, its leaf and its record are built in the one way there is (`verify_entente.py entries`): nothing is lost, and as each thing is
said once, nothing can be said twice and differently.
"""

from __future__ import annotations

import re
from binascii import hexlify
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from service.releaselog import offline_verifier
from service.sharing.exports.entries import line_of
from service.sharing.personal import Opened
from service.store import Connection
from service.store.logs import ExportRow

CIRCUMSTANCES: Final = 1_000
ITEMS: Final = 20_000
TOGETHER: Final = 500
"""Entries in a line, at most."""
ITEMS_TOGETHER: Final = 1_000
"""Items in a line, at most, counted for each entry."""

_HEX: Final = rb"[0-9a-f]{64}"
_TEXT: Final = rb'"[^"\\]*"'
_LEAF: Final = re.compile(
    rb'\{"at":"([0-9TZ:.-]{27})","body_sha256":"(' + _HEX + rb')",("client":' + _TEXT + rb'),"event_id":"([A-Za-z0-9_-]{1,64})"'
    rb',"items":\[([^\]]*)\],(?:("portion":' + _TEXT + rb"),)?"
    rb'("purpose":' + _TEXT + rb',"result":"(?:sent|refused)","route":' + _TEXT + rb'),"seal":"(' + _HEX
    + rb')",("type":"(?:list|item|file)","v":1)\}'
)  # fmt: skip
_RECORD_BEGINS: Final = re.compile(
    rb'\{"act":(0|[1-9][0-9]*),"at":"([0-9TZ:.-]{27})",("authority":null,"bundle":(?:null|"' + _HEX + rb'"),"engine":(?:null|"' + _HEX
    + rb'")),"items":\['
)  # fmt: skip
# A quote within a JSON string is escaped, so these are members; that they are the record's shows when what is between them is read.
_AFTER_ITEMS: Final = b'],"labels":{'
_AFTER_LABELS: Final = b'},"outcome":"'
_RECORD_ENDS: Final = re.compile(rb'\},("outcome":"[a-z_]+","partner":"[A-Z][A-Z0-9-]*"),"query":(null|\{.*\})\}', re.DOTALL)
_FACE: Final = re.compile(rb'("copy_sha256":"' + _HEX + rb'",)?"id":("[A-Za-z0-9_?-]+")')
_RECORD: Final = re.compile(rb'"id":("[A-Za-z0-9_?-]+"),"labels":\[([^\]]*)\],')

_NO_COPY: Final = b"{"


class Said(NamedTuple):
    """What later lines may refer to: the line that says it, but for its number."""

    before: bytes
    after: bytes


class _Short(NamedTuple):
    """An entry, in the order of the columns. Its query is `null` where it has none."""

    act: bytes
    at: bytes
    body_sha256: bytes
    circumstances: Said
    event_id: bytes
    items: list[Said]
    leaf_hash: bytes
    nonce: bytes
    position: int
    query: bytes


class Compact:
    """Writes the entries of one export. It is used once, as later lines refer to earlier ones."""

    def __init__(self) -> None:
        self._circumstances: Final = _Numbers(b'"circumstances":', b'"%03d"', CIRCUMSTANCES, at_once=TOGETHER)
        self._items: Final = _Numbers(b'"item":', b'"%05d"', ITEMS, at_once=ITEMS_TOGETHER)
        self._reader: Final = offline_verifier.Compact()
        self._read: Final[dict[tuple[bytes, ...], list[Said] | None]] = {}

    def lines_of(self, connection: Connection, rows: Sequence[ExportRow], log_json: bytes) -> bytes:
        """Lines of entries of one log, in their order, each after what it is the first to refer to."""
        opened = Opened(connection, [row.record for row in rows])
        lines: list[bytes] = []
        together: list[_Short] = []
        items = 0
        for row in rows:
            personal = opened.of(row.record)
            short = None if personal else self._short(row, log_json)
            items += 0 if short is None else len(short.items)
            if short is None or len(together) >= TOGETHER or items > ITEMS_TOGETHER:
                self._add(lines, together)
                together, items = [], 0 if short is None else len(short.items)
            if short is None:
                lines.append(line_of(row, log_json, personal))
            else:
                together.append(short)
        self._add(lines, together)
        return b"".join(lines)

    def _short(self, row: ExportRow, log_json: bytes) -> _Short | None:
        """An entry, by what it has in common with others; nothing, where it is of another form."""
        leaf, begins = _LEAF.fullmatch(row.leaf), _RECORD_BEGINS.match(row.record)
        if leaf is None or begins is None:
            return None
        labels_at = row.record.find(_AFTER_ITEMS, begins.end())
        ends_at = row.record.find(_AFTER_LABELS, labels_at)
        ends = _RECORD_ENDS.fullmatch(row.record, ends_at) if 0 <= labels_at < ends_at else None
        if ends is None:
            return None
        at, body, client, event, shown, portion, asked, seal, type_ = leaf.groups(b"")
        act, at_again, policy = begins.groups()
        outcome, query = ends.groups()
        recorded, labels = row.record[begins.end() : labels_at], row.record[labels_at + len(_AFTER_ITEMS) : ends_at]
        circumstances = self._said(self._of_circumstances, client, asked, type_, log_json, policy, outcome)
        items = self._said(self._of_items, shown, portion, recorded, labels)
        if circumstances is None or items is None or at != at_again or not (query == b"null" or _is_usual(query)):
            return None
        # Whoever reads works the seal out: it is not said, so that it has to be right.
        if sha256(row.nonce + row.record).hexdigest().encode() != seal:
            return None
        return _Short(act, at, body, circumstances[0], event, items, row.leaf_hash, row.nonce, row.position, query)

    def _add(self, lines: list[bytes], together: list[_Short]) -> None:
        """Add a line of these entries, after what they are the first to refer to."""
        if not together:
            return
        acts, ats, bodies, circumstances, events, items, leaf_hashes, nonces, positions, queries = zip(*together, strict=True)
        columns = {
            "act": b",".join(acts),
            "at": _texts(ats),
            "body_sha256": _texts(bodies),
            "circumstances": b",".join(self._circumstances.of(circumstances, lines)),
            "event_id": _texts(events),
            "items": b",".join([b"[%b]" % b",".join(self._items.of(each, lines)) for each in items]),
            "leaf_hash": _texts(map(hexlify, leaf_hashes)),
            "nonce": _texts(map(hexlify, nonces)),
            "position": ",".join(map(str, positions)).encode(),
            "queries": b",".join([b"[%d,%b]" % (place, query) for place, query in enumerate(queries) if query != b"null"]),
        }
        lines.append(b"{%b}\n" % b",".join([b'"%b":[%b]' % (name.encode(), column) for name, column in columns.items()]))

    def _said(self, read: Callable[..., list[Said] | None], *texts: bytes) -> list[Said] | None:
        """What these texts say; most often they came before."""
        if texts in self._read:
            return self._read[texts]
        said = read(*texts)
        # Where they are of many items they are others each time.
        if said is not None and len(said) <= 1:
            if len(self._read) >= ITEMS:
                self._read.clear()
            self._read[texts] = said
        return said

    def _holds(self, line: bytes) -> bool:
        """Whether the offline verifier takes this line. What it does not is shown in full, where it names the entry."""
        try:
            self._reader.said_in(line)
        except offline_verifier.DoesNotHold:
            return False
        return True

    def _of_circumstances(
        self, client: bytes, asked: bytes, type_: bytes, log_json: bytes, policy: bytes, outcome: bytes
    ) -> list[Said] | None:
        one = Said(b"{", b',"face":{%b,%b,%b},"log":%b,"record":{%b,%b}}' % (client, asked, type_, log_json, policy, outcome))
        return [one] if self._holds(b'%b"circumstances":"000"%b' % one) else None

    def _of_items(self, shown: bytes, portion: bytes, recorded: bytes, labels: bytes) -> list[Said] | None:
        """What is said of each item; nothing, where what is said of all of them would not follow from that."""
        faces, records = _between(b"{", shown, b"},{", b"}"), _between(b"{", recorded, b"},{", b"}")
        # By their digests, from there to the last brace, which is not among them.
        each_label = _between(b'"', labels, b'},"', b"}")
        if faces is None or records is None or each_label is None:
            return None
        if len(faces) != len(records) or len(records) > ITEMS_TOGETHER or (portion and len(records) != 1):
            return None
        held = {one[:64]: one for one in each_label}
        if len(held) != len(each_label) or [*held] != sorted(held):
            return None
        said: list[Said] = []
        named: set[bytes] = set()
        for face, record in zip(faces, records, strict=True):
            of_face, of_record = _FACE.fullmatch(face), _RECORD.match(record)
            if of_face is None or of_record is None or of_face[2] != of_record[1]:
                return None
            digests = {*of_record[2][1:-1].split(b'","')} if of_record[2] else set()
            if not digests <= held.keys():
                return None
            own = b'"%b}' % b'},"'.join([held[digest] for digest in sorted(digests)]) if digests else b""
            one = Said(_NO_COPY + (of_face[1] or b""), b',"labels":{%b},%b"record":{%b}}' % (own, portion and portion + b",", record))
            if one not in self._items and not self._holds(b'%b"item":"00000"%b' % one):
                return None
            named |= digests
            said.append(one)
        alike = len({one.before == _NO_COPY for one in said}) <= 1
        return said if alike and named == held.keys() else None


class _Numbers:
    """Numbers for what is said, given in turn and then anew.

    Args:
        at_once: how many a line may refer to. What could lose its number by such a line is said again, under a new one.
    """

    def __init__(self, member: bytes, form: bytes, count: int, *, at_once: int) -> None:
        self._member: Final = member
        self._texts: Final = [form % number for number in range(count)]
        self._lasting: Final = count - at_once
        self._given = 0
        self._places: Final[dict[Said, int]] = {}
        self._holders: Final[list[Said | None]] = [None] * count

    def __contains__(self, one: Said) -> bool:
        return one in self._places

    def of(self, said: Sequence[Said], lines: list[bytes]) -> list[bytes]:
        """The number of each, as JSON. A line is added for each that had none."""
        return [self._of(one, lines) for one in said]

    def _of(self, one: Said, lines: list[bytes]) -> bytes:
        place = self._places.get(one)
        if place is None or self._given - place > self._lasting:
            place = self._given
            self._given += 1
            number = place % len(self._texts)
            before = self._holders[number]
            if before is not None and self._places[before] % len(self._texts) == number:
                del self._places[before]
            self._holders[number] = one
            self._places[one] = place
            lines.append(b"%b%b%b%b\n" % (one.before, self._member, self._texts[number], one.after))
        return self._texts[place % len(self._texts)]


def _is_usual(query: bytes) -> bool:
    """Whether the offline verifier reads this query at a glance. For one it does not, it would read all of its line the thorough way."""
    try:
        offline_verifier.check_query(query + b"}")
    except offline_verifier.Unusual:
        return False
    return b"],[" not in query


def _between(begins: bytes, text: bytes, between: bytes, ends: bytes) -> list[bytes] | None:
    """The parts of a text that begins and ends so, none of an empty one; nothing where it does not."""
    if not text:
        return []
    return text[len(begins) : -len(ends)].split(between) if text.startswith(begins) and text.endswith(ends) else None


def _texts(texts: Iterable[bytes]) -> bytes:
    return b'"%b"' % b'","'.join(texts)
