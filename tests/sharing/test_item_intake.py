"""Items on their way in: malformed is refused with its code, unmarked or unknown is quarantined whole, the rest is as written."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Rejected
from service.settings import JSON_DEPTH_MAX, PORTIONS_MAX, TEXT_PORTION_BYTES_MAX
from service.sharing.intake import FileSource, ItemDraft, Refusal, parse_json, read_item
from service.store.tables import FOREVER
from service.store.times import micros
from tests.support.store_bundles import bundle
from tests.support.store_world import START, World, item, text_portion, title

BUNDLE = bundle()
FILE = FileSource(hashlib.sha256(b"f").digest(), 1)
TO_JPN = "(S//REL TO USA, JPN)"
HALF = "\ud800"


def read(value: object) -> ItemDraft:
    return read_item(value, bundle=BUNDLE, at=START, find_file=lambda _: FILE)


def one(**portion: Any) -> dict[str, Any]:
    """An item of one portion with these members."""
    return item("r", {"kind": "text", "text": "t", "marking": "(U)", **portion})


def without(name: str, value: dict[str, Any]) -> dict[str, Any]:
    return {key: one for key, one in value.items() if key != name}


NESTED: Any = "x"
for _ in range(JSON_DEPTH_MAX + 1):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        pytest.param(None, "shape", id="null"),
        pytest.param([], "shape", id="a list"),
        pytest.param("text", "shape", id="a string"),
        pytest.param({}, "ref", id="nothing in it"),
        pytest.param(one() | {"ref": ""}, "ref", id="an empty ref"),
        pytest.param(one() | {"ref": 5}, "ref", id="a number as ref"),
        pytest.param(one() | {"ref": "x" * 513}, "ref", id="a long ref"),
        pytest.param(one() | {"ref": "a\nb"}, "ref", id="a ref of two lines"),
        pytest.param(one() | {"ref": "a\x00"}, "ref", id="a NUL in the ref"),
        pytest.param(one() | {"ref": HALF}, "ref", id="half a character in the ref"),
        pytest.param(one() | {"secret": 1}, "unknown-member", id="a member unknown"),
        pytest.param(without("portions", one()), "portions", id="no portions"),
        pytest.param(one() | {"portions": []}, "portions", id="an empty list of portions"),
        pytest.param(one() | {"portions": {"0": {}}}, "portions", id="portions in an object"),
        pytest.param(item("r", *[text_portion("t")] * (PORTIONS_MAX + 1)), "portions", id="too many portions"),
        pytest.param(one() | {"portions": ["text"]}, "shape", id="a portion that is text"),
        pytest.param(one() | {"portions": [[]]}, "shape", id="a portion that is a list"),
        pytest.param(without("kind", one(kind=None)), "kind", id="kind null"),
        pytest.param(one(kind="image"), "kind", id="kind unknown"),
        pytest.param(one(kind=[]), "kind", id="kind a list"),
        pytest.param(one(kind={}), "kind", id="kind an object"),
        pytest.param(one(value=1), "unknown-member", id="a value in a text"),
        pytest.param(one(kind="json"), "unknown-member", id="a text in a json"),
        pytest.param(item("r", {"kind": "json", "marking": "(U)"}), "value", id="json without a value"),
        pytest.param(one(text=""), "text", id="an empty text"),
        pytest.param(one(text=5), "text", id="a number as text"),
        pytest.param(one(text=HALF), "text", id="half a character in a text"),
        pytest.param(one(text="x" * (TEXT_PORTION_BYTES_MAX + 1)), "portion-too-large", id="a text too long"),
        pytest.param(one(text="é" * (TEXT_PORTION_BYTES_MAX // 2 + 1)), "portion-too-large", id="a text too long in bytes"),
        pytest.param(item("r", *[text_portion("x" * TEXT_PORTION_BYTES_MAX)] * 5), "item-too-large", id="an item too large"),
        pytest.param(item("r", title("a"), title("b")), "title", id="two titles"),
        pytest.param(item("r", {"kind": "json", "marking": "(U)", "value": 2**60}), "not-canonical", id="a number JSON loses"),
        pytest.param(item("r", {"kind": "json", "marking": "(U)", "value": float("inf")}), "not-canonical", id="infinity"),
        pytest.param(item("r", {"kind": "json", "marking": "(U)", "value": HALF}), "not-canonical", id="half a character in a value"),
        pytest.param(item("r", {"kind": "file", "marking": "(U)", "path": "f"}), "name", id="a file without a name"),
        pytest.param(item("r", {"kind": "file", "marking": "(U)", "name": "a/b"}), "name", id="a file name with a path"),
        pytest.param(item("r", {"kind": "file", "marking": "(U)", "name": "a\x00"}), "name", id="a file name with a NUL"),
        pytest.param(item("r", {"kind": "file", "marking": "(U)", "name": "a", "media_type": "png"}), "media-type", id="a media type"),
        pytest.param(
            item("r", {"kind": "file", "marking": "(U)", "name": "a", "media_type": "text/html\r\nX: y"}), "media-type", id="header"
        ),
        pytest.param(one(marking=5), "marking", id="a number as marking"),
        pytest.param(one(marking=["(U)"]), "marking", id="a list as marking"),
        pytest.param(one(label={}), "marking", id="marking and label"),
        pytest.param(one(marking="(S//"), "malformed-marking", id="a marking cut short"),
        pytest.param(item("r", {"kind": "text", "text": "t", "label": {"level": "SECRET"}}), "label", id="half a label"),
        pytest.param(one(categories="MARITIME"), "categories", id="a string of categories"),
        pytest.param(one(categories=[5]), "categories", id="a number of categories"),
        pytest.param(one(originators=[]), "originators", id="no originator"),
        pytest.param(one() | {"originators": []}, "originators", id="no originator of the item"),
        pytest.param(one(not_before="2027-01-01"), "dates", id="an embargo for nobody"),
        pytest.param(one(not_before={"XXX": "2027-01-01"}), "dates", id="an embargo for nobody known"),
        pytest.param(one(declassify_on="2027-13-01"), "dates", id="no such month"),
        pytest.param(one(marking=TO_JPN, downgrade_on={"at": "2027-01-01", "level": "SECRET"}), "dates", id="down to the same"),
        pytest.param(one() | {"releasable_in": "halves"}, "releasable_in", id="releasable in halves"),
        pytest.param(one() | {"releasable_in": []}, "releasable_in", id="releasable in a list"),
        pytest.param(one(marking=TO_JPN) | {"marking": "CONFIDENTIAL//NOFORN"}, "marking-too-loose", id="a banner too low"),
        pytest.param(one(marking=TO_JPN) | {"marking": "SECRET//REL TO USA, IND, JPN"}, "marking-too-loose", id="a banner too wide"),
        pytest.param(one(marking=TO_JPN) | {"compilation": "UNCLASSIFIED"}, "compilation-too-loose", id="a compilation too low"),
        pytest.param(one() | {"compilation": 5}, "marking", id="a number as compilation"),
    ],
)
def test_it_refuses_what_is_malformed(value: object, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        read(value)
    assert isinstance(refused.value, Refusal)
    assert refused.value.code == code
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        pytest.param(item("r", {"kind": "text", "text": "t"}), "unmarked", id="a portion without marking"),
        pytest.param(one(marking=""), "unmarked", id="an empty marking"),
        pytest.param(without("marking", one()), "unmarked", id="an item without marking"),
        pytest.param(one(marking="(S)"), "unmarked", id="a secret for nobody said"),
        pytest.param(one(marking=TO_JPN, categories=[]), "unmarked", id="a secret of no category"),
        pytest.param(one(marking=TO_JPN, categories=["SPACE"]), "unknown-token", id="an unknown category"),
        pytest.param(one(marking="(S//REL TO USA, XXX)"), "unknown-code", id="an unknown partner"),
        pytest.param(one(originators=["XXX"]), "unknown-code", id="an unknown originator"),
        pytest.param(one(marking="(TS//NF)"), "unknown-level", id="an unknown level"),
        pytest.param(one() | {"compilation": ""}, "unmarked", id="an empty compilation"),
    ],
)
def test_it_quarantines_the_whole_of_what_it_cannot_place_and_keeps_it_verbatim(value: dict[str, Any], code: str) -> None:
    draft = read(value | {"portions": [*value["portions"], text_portion("another")]})
    assert draft.hold is not None
    assert draft.hold.code == code
    assert [portion.timeline for portion in draft.portions] == [(), ()]
    assert draft.compilation is None
    kept = json.loads(draft.source)
    assert kept == value | {"portions": [*value["portions"], text_portion("another")]}


def test_it_reads_what_is_well_formed() -> None:
    value = item(
        "r",
        title("T"),
        text_portion("a", TO_JPN, downgrade_on={"at": "2030-01-01", "level": "CONFIDENTIAL"}),
        {"kind": "json", "marking": "(U)", "categories": ["CYBER"], "value": {"b": 1, "a": [True, None]}},
        {"kind": "file", "marking": "(U)", "path": "x/f.png", "name": "f.png"},
        releasable_in="whole",
        compilation="SECRET//NOFORN",
    )
    draft = read(value)
    assert (draft.ref, draft.marking, draft.whole, draft.hold) == ("r", "SECRET//NOFORN", True, None)
    first, second, third, fourth = draft.portions
    assert (first.content, second.content, third.content, fourth.content) == (b"T", b"a", b'{"a":[true,null],"b":1}', b"")
    assert (fourth.content_sha256, fourth.size, fourth.name, fourth.media_type) == (FILE.sha256, 1, "f.png", "application/octet-stream")
    assert [(begin, end, label.level) for begin, end, label in second.timeline] == [
        (micros(START), 1_893_456_000_000_000, "SECRET"),
        (1_893_456_000_000_000, FOREVER, "CONFIDENTIAL"),
    ]
    assert third.timeline[0][2].categories == ("CYBER",)
    assert draft.compilation is not None
    assert draft.compilation[0][2].categories == ("CYBER", "MARITIME")
    assert json.loads(draft.source)["portions"][3] == {"kind": "file", "marking": "(U)", "name": "f.png", "sha256": FILE.sha256.hex()}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff", "not-utf-8"),
        (b"{", "not-json"),
        (b'{"a":1,"a":2}', "not-json"),
        (b'[{"b":{"a":1,"a":1}}]', "not-json"),
        (b"NaN", "not-json"),
        (b"-Infinity", "not-json"),
        (b"[" * 100_000 + b"]" * 100_000, "not-json"),
        (json.dumps(NESTED).encode(), "not-json"),
        (b"1" * 5000, "not-json"),
        (b"", "not-json"),
        (b'\xef\xbb\xbf{"a":1}', "not-json"),
        (b'{"a":1} x', "not-json"),
    ],
)
def test_json_is_read_strictly(data: bytes, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_json(data)
    assert refused.value.code == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["ref", "marking", "label", "portions", "kind", "text", "value", "compilation", "categories", "originators", "not_before",
         "downgrade_on", "declassify_on", "releasable_in", "sha256", "path", "name", "media_type", "level"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.dictionaries(st.sampled_from(["kind", "text", "marking", "label", "not_before", "downgrade_on", "categories"]), JSON), JSON)
def test_whatever_comes_it_is_read_held_or_refused(value: object, portion: dict[str, Any], banner: object) -> None:
    for candidate in (value, item("r", text_portion("t") | portion) | {"compilation": banner}, item("r", text_portion("t") | portion)):
        try:
            draft = read(candidate)
        except Refusal as refusal:
            assert refusal.code
        else:
            assert (draft.hold is None) is all(portion.timeline for portion in draft.portions)


# --- versions -----------------------------------------------------------------------------------------------------------


def stands(world: World, partner: str, item_id: str) -> dict[str, Any]:
    (line,) = (line for line in world.listed(partner, recorded=False)[0] if line["id"] == item_id)
    return line


def test_portions_keep_their_ids_through_versions_in_which_they_do_not_change(world: World) -> None:
    first = item("r", title("T"), text_portion("a", TO_JPN), text_portion("b"), {"kind": "json", "marking": "(U)", "value": {"x": 1}})
    item_id = world.store(first).item_id or ""
    before = {one.get("text", "json"): one["id"] for one in world.item("JPN", item_id)["portions"]}  # type: ignore[index]
    world.clock.advance(hours=1)
    same_value = {"kind": "json", "marking": "(U)", "value": {"x": 1.0}}
    second = item("r", title("T"), same_value, text_portion("b"), text_portion("a", TO_JPN), text_portion("c"))
    assert world.store(second, item_id=item_id).version == 2
    after = {one.get("text", "json"): one["id"] for one in world.item("JPN", item_id)["portions"]}  # type: ignore[index]
    assert {name: after[name] for name in before} == before
    assert list(after) == ["json", "b", "a", "c"]
    world.store(without("ref", item("r", title("T"), text_portion("A changed", TO_JPN))), item_id=item_id)
    (changed,) = world.item("JPN", item_id)["portions"]  # type: ignore[index]
    assert changed["id"] not in after.values()


@pytest.mark.parametrize(
    "correction",
    [
        pytest.param([text_portion("open"), text_portion("hidden, corrected", "(S//NF)")], id="a withheld portion changes"),
        pytest.param([text_portion("hidden", "(S//NF)"), text_portion("more", "(S//NF)"), text_portion("open")], id="one more"),
        pytest.param([text_portion("open")], id="it goes"),
        pytest.param([text_portion("open"), text_portion("hidden, corrected", TO_JPN)], id="it goes to another partner"),
        pytest.param([text_portion("open"), {"kind": "text", "text": "unmarked"}], id="a correction in quarantine"),
    ],
)
def test_a_copy_that_a_correction_does_not_affect_stays_where_it_stands(world: World, correction: list[dict[str, Any]]) -> None:
    item_id = world.store(item("r", title("T"), text_portion("open"), text_portion("hidden", "(S//NF)"))).item_id or ""
    copy, line = world.item("AUS", item_id), stands(world, "AUS", item_id)
    world.clock.advance(hours=1)
    world.store(item("r", title("T"), *correction), item_id=item_id)
    assert world.item("AUS", item_id) == copy
    assert stands(world, "AUS", item_id) == line


def test_a_copy_that_a_correction_does_affect_is_told_of_again(world: World) -> None:
    item_id = world.store(item("r", text_portion("open"))).item_id or ""
    _, bookmark = world.listed("AUS")
    world.clock.advance(hours=1)
    world.store(item("r", text_portion("open, corrected")), item_id=item_id)
    lines, _ = world.listed("AUS", since=bookmark)
    assert [line["id"] for line in lines] == [item_id]


def test_what_stood_back_only_because_it_had_to_go_out_whole_is_told_of_when_it_need_not(world: World) -> None:
    """None of its portions changes, and each was released long ago; but nobody was ever shown one."""
    whole = item("r", text_portion("open"), text_portion("hidden", "(S//NF)"), releasable_in="whole")
    compiled = item("s", text_portion("open"), compilation="SECRET//NOFORN")
    ids = [world.store(one).item_id or "" for one in (whole, compiled)]
    fewer = world.store(item("t", text_portion("open"), text_portion("hidden", "(S//NF)"), releasable_in="whole")).item_id or ""
    world.clock.advance(hours=1)
    other = world.store(item("other", text_portion("x"))).item_id
    lines, bookmark = world.listed("AUS")
    assert [line["id"] for line in lines] == [other]
    world.clock.advance(hours=1)
    world.store(whole | {"releasable_in": "portions"}, item_id=ids[0])
    world.store(without("compilation", compiled), item_id=ids[1])
    world.store(item("t", text_portion("open"), releasable_in="whole"), item_id=fewer)
    lines, _ = world.listed("AUS", since=bookmark)
    assert [line["id"] for line in lines] == [*ids, fewer]


def test_an_item_twice_in_one_import_has_two_versions(world: World) -> None:
    report = world.load(*(item("r", text_portion(text), marking="UNCLASSIFIED") for text in ("first", "second")), update=True)
    assert report == [{"imported": 2, "quarantined": 0, "refused": 0}]
    (line,) = world.listed("AUS")[0]
    assert [one["text"] for one in world.item("AUS", line["id"])["portions"]] == ["second"]  # type: ignore[index]


def test_a_first_version_in_quarantine_is_nobodys_until_a_good_one_comes(world: World) -> None:
    item_id = world.store(item("r", {"kind": "text", "text": "t"})).item_id or ""
    assert world.item("JPN", item_id) is None
    world.clock.now += timedelta(hours=1)
    assert world.store(item("r", text_portion("t")), item_id=item_id).version == 2
    assert world.item("JPN", item_id) is not None
    assert stands(world, "JPN", item_id)["visible_since"] >= "2026-11-22T11:00:00.000000Z"
