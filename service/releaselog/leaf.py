"""The leaf: an entry's exact bytes, and the record that its seal vouches for.

A leaf is the *face*, which is what the partner may read, in the one form that RFC 8785 gives it. Its member `seal` is
SHA-256(nonce || record): the record holds what only auditors open, and cannot be exchanged afterwards. A leaf is hashed, kept
and handed out as the same bytes; it is never serialised again, and one that is not canonical is refused, so that no two texts
say the same thing.

Two ways lead to the bytes, and are proven equal: `canonical`, for any JSON value, and for the two thousand entries a second
written beside a web server, splicing of members that are canonical already (`canonical_object`, `leaf_bytes`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NoReturn

import rfc8785

from service.errors import Broken, Rejected

LEAF_BYTES_MAX: Final = 65_535
"""What fits an entry bundle of C2SP tlog-tiles."""
VERSION: Final = 1
NONCE_BYTES: Final = 32
RELEASES: Final = frozenset({"list", "item", "file"})
"""Types of entries of which a partner was sent, or refused, a body."""
SENT: Final = "sent"
REFUSED: Final = "refused"
DONE: Final = "done"
"""The result of an officer's act, which sends no item."""
HEADS: Final = "heads"
"""The type of an entry of the root log: of it alone, `heads_root` is a member."""

_HASH_BYTES: Final = 32
_INTEGER_MAX: Final = (1 << 53) - 1
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PATH_ID: Final = re.compile(rf"{_ID.pattern}|\?[0-9a-f]{{64}}")
_TYPE: Final = re.compile(r"[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LeafError(Rejected):
    """Bytes that are no leaf or no record, or a value that has no bytes."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="leaf")


# --- the face ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FaceItem:
    """An item an entry names: by the copy that was sent, or without one for a refusal or an act."""

    id: str
    copy_sha256: bytes | None = None

    def __post_init__(self) -> None:
        if not _PATH_ID.fullmatch(self.id):
            raise LeafError(f"item id {_quoted(self.id)} in a leaf, expected `[A-Za-z0-9_-]{{1,64}}`, or `?` and a hex SHA-256")
        if self.copy_sha256 is not None:
            _check_digest(self.copy_sha256, "copy_sha256")


@dataclass(frozen=True, slots=True)
class Face:
    """What the partner may read of an entry, and what is hashed.

    `result` is `sent` or `refused`, or `done` for an act; `body_sha256` is None where no body was sent. `portion` is set for files,
    `heads_root` for entries of the root log (`service.releaselog.heads`).

    Raises:
        LeafError: a member of another form, or members that contradict each other.
    """

    type: str
    event_id: str
    at: datetime
    client: str
    route: str
    items: tuple[FaceItem, ...]
    body_sha256: bytes | None
    result: str
    purpose: str
    seal: bytes
    portion: str | None = None
    heads_root: bytes | None = None

    def __post_init__(self) -> None:
        if not _TYPE.fullmatch(self.type):
            raise LeafError(f"type {_quoted(self.type)} of a leaf is not lower-case words")
        if not _ID.fullmatch(self.event_id):
            raise LeafError(f"event id {_quoted(self.event_id)} of a leaf, expected `[A-Za-z0-9_-]{{1,64}}`")
        if self.at.utcoffset() != timedelta(0):
            raise LeafError("the time of a leaf is not UTC")
        for name, value in (("client", self.client), ("route", self.route), ("purpose", self.purpose)):
            if not value:
                raise LeafError(f"`{name}` of a leaf is empty")
        if self.body_sha256 is not None:
            _check_digest(self.body_sha256, "body_sha256")
        _check_digest(self.seal, "seal")
        if self.portion is not None and not _PATH_ID.fullmatch(self.portion):
            raise LeafError(f"portion {_quoted(self.portion)} in a leaf, expected `[A-Za-z0-9_-]{{1,64}}`, or `?` and a hex SHA-256")
        if self.result not in (SENT, REFUSED, DONE):
            raise LeafError(f"result {_quoted(self.result)} of a leaf, expected `{SENT}`, `{REFUSED}` or `{DONE}`")
        self._check_agreement()

    def _check_agreement(self) -> None:
        with_copy = [item.copy_sha256 is not None for item in self.items]
        if self.result == REFUSED and any(with_copy):
            raise LeafError("a refusal that names a copy")
        if self.result == DONE and self.body_sha256 is not None:
            raise LeafError("an act with the hash of a body")
        if (self.type == HEADS) != (self.heads_root is not None):
            raise LeafError("`heads_root` is set for heads, and for nothing else")
        if self.heads_root is not None:
            _check_digest(self.heads_root, "heads_root")
        if self.type not in RELEASES:
            return
        if self.result == DONE or self.body_sha256 is None:
            raise LeafError(f"an entry of type `{self.type}` without a body, expected `{SENT}` or `{REFUSED}` and `body_sha256`")
        if self.result == SENT and not all(with_copy):
            raise LeafError("an item sent without the hash of its copy")
        if (self.type == "file") != (self.portion is not None):
            raise LeafError("`portion` is set for a file, and for nothing else")

    @property
    def at_micros(self) -> int:
        """Microseconds since 1970."""
        return (self.at - _EPOCH) // _MICROSECOND

    def to_json(self) -> dict[str, Any]:
        """The JSON of DESIGN section 14."""
        value: dict[str, Any] = {
            "v": VERSION,
            "type": self.type,
            "event_id": self.event_id,
            "at": time_text(self.at),
            "client": self.client,
            "route": self.route,
            "items": [
                {"id": item.id} if item.copy_sha256 is None else {"id": item.id, "copy_sha256": item.copy_sha256.hex()}
                for item in self.items
            ],
            "body_sha256": None if self.body_sha256 is None else self.body_sha256.hex(),
            "result": self.result,
            "purpose": self.purpose,
            "seal": self.seal.hex(),
        }
        if self.portion is not None:
            value["portion"] = self.portion
        if self.heads_root is not None:
            value["heads_root"] = self.heads_root.hex()
        return value

    def leaf(self) -> bytes:
        """The leaf: RFC 8785 of `to_json()`.

        Raises:
            Broken: longer than `LEAF_BYTES_MAX`.
        """
        return _limited(canonical(self.to_json()))


def parse_leaf(leaf: bytes) -> Face:
    """Read a leaf back.

    Raises:
        LeafError: too long, not canonical JSON, or not a face; a member that is unknown, missing or of another form.
    """
    if len(leaf) > LEAF_BYTES_MAX:
        raise LeafError(f"a leaf of {len(leaf)} bytes, expected at most {LEAF_BYTES_MAX}")
    value = parse_canonical(leaf)
    if not isinstance(value, dict):
        raise LeafError("a leaf is a JSON object")
    unknown = sorted(value.keys() - _MEMBERS - {"portion", "heads_root"})
    missing = sorted(_MEMBERS - value.keys())
    if unknown or missing:
        raise LeafError(f"unknown member {_quoted(unknown[0])} in a leaf" if unknown else f"a leaf without `{missing[0]}`")
    # True equals 1 in Python, and 1.0 too; neither is the version.
    if type(value["v"]) is not int or value["v"] != VERSION:
        raise LeafError(f"a leaf of another version, expected {VERSION}")
    body_sha256 = value["body_sha256"]
    return Face(
        type=_text(value, "type"),
        event_id=_text(value, "event_id"),
        at=parse_time(_text(value, "at")),
        client=_text(value, "client"),
        route=_text(value, "route"),
        items=_items(value["items"]),
        body_sha256=None if body_sha256 is None else _digest(body_sha256, "body_sha256"),
        result=_text(value, "result"),
        purpose=_text(value, "purpose"),
        seal=_digest(value["seal"], "seal"),
        portion=_text(value, "portion") if "portion" in value else None,
        heads_root=_digest(value["heads_root"], "heads_root") if "heads_root" in value else None,
    )


_MEMBERS: Final = frozenset({"v", "type", "event_id", "at", "client", "route", "items", "body_sha256", "result", "purpose", "seal"})


def leaf_bytes(
    *,
    type_: str,
    event_id: str,
    at: str,
    client: str,
    route: str,
    items: bytes,
    body_sha256: bytes | None,
    result: str,
    purpose: str,
    seal: bytes,
    portion: str | None = None,
    heads_root: bytes | None = None,
) -> bytes:
    """A leaf without the detour over a face, for the commit path. The same bytes as `Face.leaf()`, but nothing is checked but the length.

    Args:
        at: as `time_text` writes it; one for a whole batch.
        items: the member's value, canonical JSON already.

    Raises:
        Broken: longer than `LEAF_BYTES_MAX`.
        LeafError: text that is not Unicode.
    """
    body = "null" if body_sha256 is None else f'"{body_sha256.hex()}"'
    file = "" if portion is None else f',"portion":{_quote(portion)}'
    heads = "" if heads_root is None else f',"heads_root":"{heads_root.hex()}"'
    before = f'{{"at":{_quote(at)},"body_sha256":{body},"client":{_quote(client)},"event_id":{_quote(event_id)}{heads},"items":'
    after = (
        f'{file},"purpose":{_quote(purpose)},"result":{_quote(result)},"route":{_quote(route)},"seal":"{seal.hex()}",'
        f'"type":{_quote(type_)},"v":{VERSION}}}'
    )
    return _limited(_utf8(before) + items + _utf8(after))


def path_id(segment: bytes) -> str:
    """How an id from a path stands in a leaf: as it is, or, where it is no id at all, as `?` and the hex SHA-256 of the segment.

    So a leaf holds nothing that a stranger chose freely, and two askers of the same segment leave the same trace.

    Args:
        segment: the path segment, percent-decoded, as bytes.
    """
    try:
        text = segment.decode("ascii")
    except UnicodeDecodeError:
        text = ""
    return text if _ID.fullmatch(text) else f"?{hashlib.sha256(segment).hexdigest()}"


# --- seal and record --------------------------------------------------------------------------------------------------


def seal(nonce: bytes, record: bytes) -> bytes:
    """What a leaf says of its record: SHA-256(nonce || record); 32 bytes.

    The nonce hides a record that could be guessed. It has one length, so that no part of it can pass for the record's beginning.

    Raises:
        Broken: a nonce of another length than 32 bytes.
    """
    if len(nonce) != NONCE_BYTES:
        raise Broken(f"a nonce of {len(nonce)} bytes, expected {NONCE_BYTES}")
    return hashlib.sha256(nonce + record).digest()


def record_bytes(members: Mapping[str, bytes]) -> bytes:
    """The bytes of a record, of members whose values are canonical JSON already.

    Raises:
        LeafError: no `at` or no `act`: a decision that could not be taken again.
    """
    for name in ("act", "at"):
        if name not in members:
            raise LeafError(f"a record without `{name}`")
    return canonical_object(members)


# --- canonical JSON ---------------------------------------------------------------------------------------------------

# With `ensure_ascii` off, Python escapes in a string exactly what RFC 8785 section 3.2.2.2 does, and it does so in C.
_quote: Final = json.JSONEncoder(ensure_ascii=False).encode


def canonical(value: object) -> bytes:
    """RFC 8785 of a JSON value. Faster than `rfc8785.dumps` on what entries are made of, and equal to it.

    Raises:
        LeafError: something that JSON cannot say, or says in more than one way: a number out of range, text that is not Unicode.
    """
    return _utf8(_canonical_text(value))


def canonical_string(text: str) -> bytes:
    """RFC 8785 of a string."""
    return _utf8(_quote(text))


def canonical_object(members: Mapping[str, bytes]) -> bytes:
    """RFC 8785 of an object, of members whose values are canonical JSON already.

    Args:
        members: names are ASCII, of which the order of characters is that of RFC 8785.

    Raises:
        LeafError: a name that is not ASCII.
    """
    return b"{" + b",".join([_member_name(name) + members[name] for name in sorted(members)]) + b"}"


def parse_canonical(text: bytes) -> object:
    """The value of canonical JSON.

    Raises:
        LeafError: not JSON, not the one text that RFC 8785 has for it, or with a whole number that no double can vouch for
            (RFC 7493 section 2.2).
    """
    try:
        value = _STRICT.decode(text.decode("utf-8"))
        again = canonical(value)
    # Python's own limits on depth and digits; ValueError is also what is not JSON, and LeafError what RFC 8785 cannot say.
    except (ValueError, RecursionError, LeafError):
        raise LeafError("not canonical JSON") from None
    if again != text:
        raise LeafError("JSON that is not in canonical form")
    return value


@lru_cache(maxsize=4096)
def _member_name(name: str) -> bytes:
    if not name.isascii():
        raise LeafError(f"member name {_quoted(name)} is not ASCII")
    return canonical_string(name) + b":"


def _canonical_text(value: object) -> str:
    # Exact types only: what is derived from them, and fractions, are left to the library, which knows their rules.
    kind = type(value)
    if kind is str:
        return _quote(value)
    if isinstance(value, dict) and kind is dict:
        if not all(type(name) is str for name in value):
            raise LeafError("a member name that is not a string")
        # RFC 8785 sorts by UTF-16 units, which for ASCII is the order Python has.
        names = sorted(value) if "".join(value).isascii() else sorted(value, key=_utf16)
        return "{" + ",".join([f"{_quote(name)}:{_canonical_text(value[name])}" for name in names]) + "}"
    if isinstance(value, list | tuple) and (kind is list or kind is tuple):
        return "[" + ",".join([_canonical_text(element) for element in value]) + "]"
    if kind is int and -_INTEGER_MAX <= value <= _INTEGER_MAX:  # type: ignore[operator]  # its type was compared just now
        return str(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    try:
        return rfc8785.dumps(value).decode("utf-8")  # type: ignore[arg-type]  # it raises on what it does not take
    except rfc8785.CanonicalizationError:
        raise LeafError("a value that canonical JSON cannot hold") from None


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise LeafError("text that is not Unicode") from None


def _refuse_constant(name: str) -> NoReturn:
    raise LeafError(f"`{name}` in JSON")


_STRICT: Final = json.JSONDecoder(parse_constant=_refuse_constant)


# --- times ------------------------------------------------------------------------------------------------------------


def time_text(at: datetime) -> str:
    """`2026-11-22T10:00:00.000000Z`; `at` is UTC."""
    return f"{at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def parse_time(text: str) -> datetime:
    """Read what `time_text` writes, and nothing else.

    Raises:
        LeafError: another form, or no such day or hour.
    """
    if not _TIME.fullmatch(text):
        raise LeafError(f"time {_quoted(text)}, expected one like `2026-11-22T10:00:00.000000Z`")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise LeafError(f"time {_quoted(text)} is on no calendar") from None
    # Later versions of Python read 24:00 as the next day: a second text for one time.
    if time_text(at) != text:
        raise LeafError(f"time {_quoted(text)} is on no calendar")
    return at


# --- small checks -----------------------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    return f"`{text[:80].encode('unicode_escape').decode('ascii')}`"


def _check_digest(digest: bytes, name: str) -> None:
    if len(digest) != _HASH_BYTES:
        raise LeafError(f"`{name}` of a leaf is not {_HASH_BYTES} bytes")


def _text(value: Mapping[str, object], name: str) -> str:
    text = value[name]
    if not isinstance(text, str):
        raise LeafError(f"`{name}` of a leaf is not a string")
    return text


def _digest(value: object, name: str) -> bytes:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise LeafError(f"`{name}` of a leaf is not 64 lower-case hex digits")
    return bytes.fromhex(value)


def _items(value: object) -> tuple[FaceItem, ...]:
    if not isinstance(value, list):
        raise LeafError("`items` of a leaf is not a list")
    items: list[FaceItem] = []
    for item in value:
        if not isinstance(item, dict) or not {"id"} <= item.keys() <= {"id", "copy_sha256"}:
            raise LeafError("an item of a leaf has `id`, and `copy_sha256` or nothing else")
        items.append(FaceItem(_text(item, "id"), _digest(item["copy_sha256"], "copy_sha256") if "copy_sha256" in item else None))
    return tuple(items)


def _limited(leaf: bytes) -> bytes:
    if len(leaf) > LEAF_BYTES_MAX:
        raise Broken(f"a leaf of {len(leaf)} bytes, expected at most {LEAF_BYTES_MAX}")
    return leaf
