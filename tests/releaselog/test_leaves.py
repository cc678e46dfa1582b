"""Leaf and record: one text for each, spliced or not, and nothing taken back that is not that text."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Broken
from service.releaselog.leaf import (
    LEAF_BYTES_MAX,
    Face,
    FaceItem,
    LeafError,
    canonical,
    canonical_object,
    canonical_string,
    leaf_bytes,
    parse_canonical,
    parse_leaf,
    parse_time,
    path_id,
    record_bytes,
    seal,
    time_text,
)

DIGEST = hashlib.sha256(b"copy").digest()
AT = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)
ITEM = Face(
    type="item",
    event_id="e_1-A",
    at=AT,
    client="c_1",
    route="/v1/items/{id}",
    items=(FaceItem("i-1", DIGEST),),
    body_sha256=DIGEST,
    result="sent",
    purpose="none",
    seal=hashlib.sha256(b"seal").digest(),
)
REFUSAL = replace(ITEM, result="refused", items=(FaceItem("i-1"),))
FILE = replace(ITEM, type="file", portion="p-1")
EMPTY_LIST = replace(ITEM, type="list", items=())
ACT = replace(ITEM, type="item.withdraw", route="cli", result="done", body_sha256=None, items=(FaceItem("i-1"), FaceItem("i-1")))
VIEW = replace(ITEM, type="look.view", portion="p-1")

ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
digests = st.binary(min_size=32, max_size=32)
moments = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC))


@st.composite
def faces(draw: st.DrawFn) -> Face:
    type_ = draw(st.sampled_from(["list", "item", "file", "look.view", "policy.publish"]))
    act = type_ == "policy.publish"
    result = "done" if act else draw(st.sampled_from(["sent", "refused"]))
    copies = digests if result == "sent" else st.none()
    return Face(
        type=type_,
        event_id=draw(ids),
        at=draw(moments),
        client=draw(words),
        route=draw(words),
        items=tuple(draw(st.lists(st.builds(FaceItem, ids, copies), max_size=3))),
        body_sha256=None if act else draw(digests),
        result=result,
        purpose=draw(words),
        seal=draw(digests),
        portion=draw(ids) if type_ == "file" else None,
    )


# --- canonical JSON -----------------------------------------------------------------------------------------------------

INTEGERS = 2**53 - 1
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-INTEGERS, INTEGERS)
    # A whole number beyond 2^53 has digits that no double can vouch for, and is not read back (RFC 7493 section 2.2).
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: abs(value) <= INTEGERS or abs(value) >= 1e21)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(json_values)
def test_canonical_is_rfc_8785(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(json_values)
def test_canonical_text_is_read_back_as_itself(value: object) -> None:
    text = canonical(value)
    assert canonical(parse_canonical(text)) == text


def test_names_are_sorted_as_utf_16() -> None:
    # RFC 8785 section 3.2.3: U+1F600 is two units from U+D83D and comes before U+FB33.
    assert canonical({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


@given(st.text(st.characters(codec="utf-8")))
def test_a_spliced_string_is_rfc_8785(text: str) -> None:
    assert canonical_string(text) == rfc8785.dumps(text)


@given(st.dictionaries(st.text(st.characters(codec="ascii"), max_size=6), json_values, max_size=6))
def test_a_spliced_object_is_rfc_8785(members: dict[str, Any]) -> None:
    assert canonical_object({name: rfc8785.dumps(value) for name, value in members.items()}) == rfc8785.dumps(members)


def test_an_object_with_names_of_other_scripts_is_not_spliced() -> None:
    with pytest.raises(LeafError, match="is not ASCII"):
        canonical_object({"é": b"1"})


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(float("nan"), id="not-a-number"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param(2**53, id="integer-no-double-holds"),
        pytest.param({1: "a"}, id="name-that-is-a-number"),
        pytest.param("\ud800", id="half-a-surrogate"),
        pytest.param({"\udfff": 1}, id="half-a-surrogate-in-a-name"),
        pytest.param(b"bytes", id="bytes"),
        pytest.param({"a": {1, 2}}, id="a-set"),
        pytest.param(AT, id="a-time"),
    ],
)
def test_what_json_cannot_say_has_no_bytes(value: object) -> None:
    with pytest.raises(LeafError):
        canonical(value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut-off"),
        pytest.param(b'{"a": 1}', id="space"),
        pytest.param(b'{"a":1}\n', id="newline-at-the-end"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="byte-order-mark"),
        pytest.param(b'{"b":1,"a":2}', id="not-sorted"),
        pytest.param(b'{"a":1,"a":1}', id="a-member-twice"),
        pytest.param(b'{"a":1}{"a":1}', id="two-values"),
        pytest.param(b'"\\u0041"', id="escaped-for-nothing"),
        pytest.param(b'"\\/"', id="escaped-slash"),
        pytest.param(b'"\\u000A"', id="escape-in-upper-case"),
        pytest.param(b'"\x0a"', id="not-escaped"),
        pytest.param(b'"\\ud800"', id="half-a-surrogate"),
        pytest.param(b'"\xff"', id="not-utf-8"),
        pytest.param(b"1.0", id="fraction-of-nothing"),
        pytest.param(b"1e3", id="exponent"),
        pytest.param(b"-0", id="minus-zero"),
        pytest.param(b"01", id="leading-zero"),
        pytest.param(b"9007199254740993", id="integer-no-double-holds"),
        pytest.param(b"9" * 5000, id="endless-number"),
        pytest.param(b"1e999", id="beyond-any-double"),
        pytest.param(b"NaN", id="not-a-number"),
        pytest.param(b"Infinity", id="infinity"),
        pytest.param(b"[" * 60_000 + b"]" * 60_000, id="endless-nesting"),
    ],
)
def test_what_is_not_canonical_is_not_read(text: bytes) -> None:
    with pytest.raises(LeafError, match="canonical"):
        parse_canonical(text)


# --- the face -----------------------------------------------------------------------------------------------------------


def test_a_leaf_is_the_text_of_the_design() -> None:
    digest, sealed = DIGEST.hex(), ITEM.seal.hex()
    assert ITEM.leaf().decode() == (
        f'{{"at":"2026-11-22T10:00:00.123456Z","body_sha256":"{digest}","client":"c_1","event_id":"e_1-A",'
        f'"items":[{{"copy_sha256":"{digest}","id":"i-1"}}],"purpose":"none","result":"sent","route":"/v1/items/{{id}}",'
        f'"seal":"{sealed}","type":"item","v":1}}'
    )
    assert b'"portion":"p-1",' in FILE.leaf()
    assert b'"body_sha256":null,' in ACT.leaf() and b'"items":[{"id":"i-1"},{"id":"i-1"}]' in ACT.leaf()


@pytest.mark.parametrize("face", [ITEM, REFUSAL, FILE, EMPTY_LIST, ACT, VIEW, replace(FILE, result="refused", items=(FaceItem("i-1"),))])
def test_each_kind_of_entry_is_read_back(face: Face) -> None:
    assert parse_leaf(face.leaf()) == face


@given(faces())
def test_a_leaf_built_fast_is_the_leaf_of_its_face_and_rfc_8785(face: Face) -> None:
    value = face.to_json()
    fast = leaf_bytes(
        type_=face.type,
        event_id=face.event_id,
        at=time_text(face.at),
        client=face.client,
        route=face.route,
        items=canonical(value["items"]),
        body_sha256=face.body_sha256,
        result=face.result,
        purpose=face.purpose,
        seal=face.seal,
        portion=face.portion,
    )
    assert fast == face.leaf() == rfc8785.dumps(value)
    assert parse_leaf(fast) == face


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(leaf: bytes) -> None:
    with pytest.raises(LeafError):
        parse_leaf(leaf)


def changed(**changes: object) -> bytes:
    value = {**ITEM.to_json(), **changes}
    return rfc8785.dumps({name: member for name, member in value.items() if member is not ...})


@pytest.mark.parametrize(
    ("leaf", "said"),
    [
        pytest.param(b"[]", "a leaf is a JSON object", id="a-list"),
        pytest.param(b"null", "a leaf is a JSON object", id="null"),
        pytest.param(json.dumps(ITEM.to_json()).encode(), "not in canonical form", id="not-canonical"),
        pytest.param(ITEM.leaf() + b" ", "not in canonical form", id="space-at-the-end"),
        pytest.param(changed(extra=1), "unknown member `extra`", id="unknown-member"),
        pytest.param(changed(**{"é": 1}), r"unknown member `\\xe9`", id="unknown-member-of-another-script"),
        *(pytest.param(changed(**{name: ...}), f"without `{name}`", id=f"without-{name}") for name in ITEM.to_json()),
        pytest.param(changed(v=2), "another version", id="another-version"),
        pytest.param(changed(v=True), "another version", id="version-true"),
        pytest.param(changed(v="1"), "another version", id="version-text"),
        pytest.param(changed(type="Item"), "type `Item`", id="type-in-upper-case"),
        pytest.param(changed(type=""), "type ``", id="no-type"),
        pytest.param(changed(type=["item"]), "`type` of a leaf is not a string", id="type-list"),
        pytest.param(changed(event_id=""), "event id ``", id="no-event-id"),
        pytest.param(changed(event_id="a b"), "event id `a b`", id="event-id-with-a-space"),
        pytest.param(changed(event_id="a\n"), r"event id `a\\n`", id="event-id-with-a-newline"),
        pytest.param(changed(event_id="x" * 65), "event id", id="event-id-too-long"),
        pytest.param(changed(at="2026-11-22T10:00:00Z"), "expected one like", id="time-without-fraction"),
        pytest.param(changed(at="2026-11-22T10:00:00.123456+00:00"), "expected one like", id="time-with-offset"),
        pytest.param(changed(at="2026-02-30T10:00:00.123456Z"), "on no calendar", id="no-such-day"),
        pytest.param(changed(at="2026-11-22T24:00:00.000000Z"), "on no calendar", id="hour-24"),
        pytest.param(changed(at="2026-11-22T23:59:60.000000Z"), "on no calendar", id="leap-second"),
        pytest.param(changed(at=1), "`at` of a leaf is not a string", id="time-number"),
        pytest.param(changed(client=""), "`client` of a leaf is empty", id="no-client"),
        pytest.param(changed(client=None), "`client` of a leaf is not a string", id="client-null"),
        pytest.param(changed(route=""), "`route` of a leaf is empty", id="no-route"),
        pytest.param(changed(purpose=""), "`purpose` of a leaf is empty", id="no-purpose"),
        pytest.param(changed(items={}), "`items` of a leaf is not a list", id="items-object"),
        pytest.param(changed(items=["i-1"]), "an item of a leaf", id="item-text"),
        pytest.param(changed(items=[{}]), "an item of a leaf", id="item-without-id"),
        pytest.param(changed(items=[{"id": "i", "ref": "r"}]), "an item of a leaf", id="item-with-more"),
        pytest.param(changed(items=[{"id": 1}]), "`id` of a leaf is not a string", id="item-id-number"),
        pytest.param(changed(items=[{"id": "a/b"}]), "item id `a/b`", id="item-id-with-a-slash"),
        pytest.param(changed(items=[{"id": "?" + "F" * 64}]), "item id", id="path-digest-in-upper-case"),
        pytest.param(changed(items=[{"id": "i", "copy_sha256": None}]), "64 lower-case hex", id="copy-null"),
        pytest.param(changed(items=[{"id": "i", "copy_sha256": "ab"}]), "64 lower-case hex", id="copy-short"),
        pytest.param(changed(items=[{"id": "i"}]), "without the hash of its copy", id="sent-without-copy"),
        pytest.param(changed(body_sha256="A" * 64), "64 lower-case hex", id="body-in-upper-case"),
        pytest.param(changed(body_sha256=None), "without a body", id="release-without-body"),
        pytest.param(changed(seal="0" * 63), "`seal` of a leaf is not 64", id="seal-short"),
        pytest.param(changed(seal=None), "`seal` of a leaf is not 64", id="seal-null"),
        pytest.param(changed(result="done"), "an act with the hash of a body", id="done-with-body"),
        pytest.param(changed(result="done", body_sha256=None), "without a body", id="release-that-is-done"),
        pytest.param(changed(result="maybe"), "result `maybe`", id="another-result"),
        pytest.param(changed(result="refused"), "a refusal that names a copy", id="refused-with-copy"),
        pytest.param(changed(portion="p-1"), "set for a file", id="portion-of-an-item"),
        pytest.param(changed(type="file"), "set for a file", id="file-without-portion"),
        pytest.param(changed(type="file", portion=None), "`portion` of a leaf is not a string", id="portion-null"),
        pytest.param(changed(type="file", portion="a b"), "portion `a b`", id="portion-with-a-space"),
    ],
)
def test_a_leaf_that_is_no_face_is_refused_for_its_reason(leaf: bytes, said: str) -> None:
    with pytest.raises(LeafError, match=said):
        parse_leaf(leaf)


def test_a_leaf_is_at_most_65535_bytes() -> None:
    full = replace(ITEM, client="c" * (LEAF_BYTES_MAX - len(ITEM.leaf()) + 3))
    assert len(full.leaf()) == LEAF_BYTES_MAX
    assert parse_leaf(full.leaf()) == full
    longer = replace(full, client=full.client + "c")
    with pytest.raises(Broken, match="a leaf of 65536 bytes"):
        longer.leaf()
    with pytest.raises(LeafError, match="a leaf of 65536 bytes"):
        parse_leaf(canonical(longer.to_json()))


def test_a_face_is_in_utc() -> None:
    with pytest.raises(LeafError, match="not UTC"):
        replace(ITEM, at=AT.astimezone(timezone(timedelta(hours=9))))
    with pytest.raises(LeafError, match="not UTC"):
        replace(ITEM, at=AT.replace(tzinfo=None))


@given(moments)
def test_a_time_has_one_text(at: datetime) -> None:
    assert parse_time(time_text(at)) == at
    assert replace(ITEM, at=at).at_micros == (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


# --- seal, record, path ids ---------------------------------------------------------------------------------------------


def test_a_seal_is_the_hash_of_nonce_and_record() -> None:
    nonce, record = bytes(32), b'{"a":1}'
    assert seal(nonce, record) == hashlib.sha256(nonce + record).digest()
    assert seal(nonce, record) != seal(nonce, record + b" ")
    assert seal(nonce, record) != seal(b"\x01" + nonce[1:], record)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_nonce_has_one_length(length: int) -> None:
    with pytest.raises(Broken, match=f"a nonce of {length} bytes"):
        seal(bytes(length), b"{}")


def test_a_record_is_spliced_of_its_members() -> None:
    assert record_bytes({"partner": b'"JPN"', "at": b'"t"', "act": b"17"}) == b'{"act":17,"at":"t","partner":"JPN"}'


@pytest.mark.parametrize("missing", ["act", "at"])
def test_a_record_that_could_not_be_replayed_is_not_made(missing: str) -> None:
    with pytest.raises(LeafError, match=f"a record without `{missing}`"):
        record_bytes({name: b"1" for name in ("act", "at", "partner") if name != missing})


@pytest.mark.parametrize(
    ("segment", "plain"),
    [
        pytest.param(b"i-1_A", True, id="an-id"),
        pytest.param(b"x" * 64, True, id="the-longest"),
        pytest.param(b"x" * 65, False, id="too-long"),
        pytest.param(b"", False, id="empty"),
        pytest.param(b"a b", False, id="space"),
        pytest.param(b"a\n", False, id="newline-at-the-end"),
        pytest.param(b"..", False, id="dots"),
        pytest.param(b"?" + b"0" * 64, False, id="posing-as-a-digest"),
        pytest.param("é".encode(), False, id="another-script"),
        pytest.param(b"\xff\x00", False, id="not-utf-8"),
    ],
)
def test_a_path_segment_stands_as_itself_or_as_its_digest(segment: bytes, plain: bool) -> None:
    written = path_id(segment)
    assert written == (segment.decode() if plain else "?" + hashlib.sha256(segment).hexdigest())
    face = replace(REFUSAL, items=(FaceItem(written),))
    assert parse_leaf(face.leaf()) == face
