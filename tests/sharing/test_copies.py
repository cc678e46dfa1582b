"""A copy holds what is released to one partner, and nothing in it depends on anything else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.labels.label import Label
from service.sharing.copies import Copy, ItemDecision, decide_item, decide_labels, render_copy
from service.store.catalogue import PortionAt, PortionRecord, VersionAt
from service.store.tables import FOREVER
from tests.support.store_bundles import JPN_SECRET, OPEN, bundle

AT = datetime(2026, 11, 22, tzinfo=UTC)
REFER = "p, AGR-0005, allow, refer, JPN, *, SECRET, MARITIME, ORCON RELIDO, *, 2020-01-01, , Exchange of notes 2019"
PROHIBITED = "p, PRO-0001, deny, *, JPN, *, UNCLASSIFIED, OPEN, *, *, , , Order"
BUNDLE = bundle([OPEN, JPN_SECRET, REFER], prohibitions=[PROHIBITED])
SNAPSHOT = BUNDLE.snapshot(AT)

OPENLY = Label("UNCLASSIFIED", ("MARITIME",), ("*",), originators=("USA",))
TO_JPN = Label("SECRET", ("MARITIME",), ("AUS", "JPN", "USA"), originators=("USA",))
CONFIDENTIAL = Label("CONFIDENTIAL", ("CYBER",), ("IND", "JPN", "USA"), ("RELIDO",), ("USA",))
NOBODY = Label("SECRET", ("CYBER",), (), originators=("USA",))
REFERRED = Label("SECRET", ("MARITIME",), (), ("ORCON",), ("USA",))
FORBIDDEN = Label("UNCLASSIFIED", ("OPEN",), ("*",), originators=("USA",))
LABELS = {1: OPENLY, 2: TO_JPN, 3: CONFIDENTIAL, 4: NOBODY, 5: REFERRED, 6: FORBIDDEN}

BOTH = ["AGR-0001", "AGR-0002"]


def portion(name: str, label: int, *, kind: str = "text", content: bytes | None = None, until: int = FOREVER) -> PortionAt:
    content = name.encode() if content is None else content
    file = ('map "1".png', "image/png") if kind == "file" else (None, None)
    sha256 = hashlib.sha256(content).digest()
    return PortionAt(PortionRecord(name, "i1", kind, b"" if kind == "file" else content, sha256, *file, len(content), 1), label, until)


def version(
    *portions: PortionAt, whole: bool = False, compilation: int | None = None, number: int = 1, unlabelled: bool = False
) -> VersionAt:
    compiled = None if compilation is None else (compilation, FOREVER)
    return VersionAt("i1", "the officer's own name", number, whole, portions, compiled, unlabelled)


def decided(held: VersionAt, partner: str = "JPN", purpose: str = "none") -> ItemDecision:
    return decide_item(held, LABELS, SNAPSHOT, partner=partner, purpose=purpose)


def copy_of(held: VersionAt, partner: str = "JPN") -> Copy:
    return render_copy(held, decided(held, partner).released, LABELS, BUNDLE, partner=partner, at=AT)


# --- what is decided ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "outcome", "released", "rules"),
    [
        pytest.param(version(portion("a", 1), portion("b", 2)), "release", "ab", ["AGR-0001", "AGR-0002"], id="all"),
        pytest.param(version(portion("a", 1), portion("b", 4), portion("c", 3)), "in_part", "ac", ["AGR-0001", "AGR-0002"], id="a part"),
        pytest.param(version(portion("a", 4)), "withhold", "", [], id="nothing"),
        pytest.param(version(portion("a", 1), portion("b", 4), whole=True), "withhold", "", [], id="whole, and a portion is not"),
        pytest.param(version(portion("a", 1), portion("b", 2), whole=True), "release", "ab", ["AGR-0001", "AGR-0002"], id="whole"),
        pytest.param(version(portion("a", 1), compilation=4), "withhold", "", [], id="what the parts reveal together is not"),
        pytest.param(version(portion("a", 1), compilation=2), "release", "a", ["AGR-0001", "AGR-0002"], id="together too"),
        pytest.param(version(portion("a", 1), portion("b", 4), compilation=2), "withhold", "", [], id="a compilation is whole"),
        pytest.param(version(portion("a", 1), whole=True, unlabelled=True), "withhold", "", [], id="whole, a portion without label"),
        pytest.param(version(portion("a", 1), unlabelled=True), "in_part", "a", BOTH, id="in parts, a portion without label"),
        pytest.param(version(portion("a", 5), portion("b", 4)), "refer", "", ["AGR-0005"], id="an officer may be asked"),
        pytest.param(version(portion("a", 6)), "withhold", "", ["PRO-0001"], id="forbidden"),
        pytest.param(version(), "withhold", "", [], id="no portions at all"),
    ],
)  # fmt: skip
def test_it_decides_each_portion_and_the_whole(held: VersionAt, outcome: str, released: str, rules: list[str]) -> None:
    decision = decided(held)
    assert (decision.outcome, "".join(one.portion.id for one in decision.released), list(decision.rules)) == (outcome, released, rules)


def test_a_decision_holds_until_the_first_label_ends() -> None:
    held = version(portion("a", 1, until=50), portion("b", 4, until=30))
    assert decided(held).until == 30
    assert decided(version(portion("a", 1))).until == FOREVER


def test_labels_alone_say_why_an_item_is_withheld() -> None:
    assert decide_labels([OPENLY, REFERRED, FORBIDDEN], SNAPSHOT, partner="JPN", purpose="none") == ("refer", ("AGR-0005", "PRO-0001"))
    assert decide_labels([NOBODY], SNAPSHOT, partner="AUS", purpose="none") == ("withhold", ())
    assert decide_labels([], SNAPSHOT, partner="AUS", purpose="none") == ("withhold", ())


# --- what is written ----------------------------------------------------------------------------------------------------


def test_it_writes_the_released_portions_in_order_under_their_own_marking() -> None:
    held = version(
        portion("t", 1, kind="title", content="Überschrift".encode()),
        portion("x", 4),
        portion("b", 2, content=b'two\nlines "quoted"'),
        portion("j", 3, kind="json", content=b'{"a":1.5,"z":[null,"\xc3\xbc"]}'),
        portion("f", 1, kind="file", content=b"png"),
    )
    copy = copy_of(held)
    # RELIDO is in a banner only if every portion bears it (CAPCO 2016, page 156).
    assert json.loads(copy.body) == {
        "id": "i1",
        "marking": "SECRET//REL TO USA, JPN",
        "level": "SECRET",
        "categories": ["CYBER", "MARITIME"],
        "title": "Überschrift",
        "portions": [
            {"id": "b", "kind": "text", "marking": "(S//REL TO USA, JPN)", "text": 'two\nlines "quoted"'},
            {"id": "j", "kind": "json", "marking": "(C//REL TO USA, JPN/RELIDO)", "value": {"a": 1.5, "z": [None, "ü"]}},
            {
                "id": "f", "kind": "file", "marking": "(U)", "name": 'map "1".png', "media_type": "image/png", "bytes": 3,
                "sha256": hashlib.sha256(b"png").hexdigest(),
            },
        ],
    }  # fmt: skip
    assert copy.sha256 == hashlib.sha256(copy.body).digest()
    assert copy.portion_ids == ("t", "b", "j", "f")
    assert list(copy.files) == ["f"]
    listed = json.loads(copy.listed + b"}")
    assert listed == {name: value for name, value in json.loads(copy.body).items() if name != "portions"} | {
        "copy_sha256": copy.sha256.hex()
    }


@pytest.mark.parametrize("value", [b'{"a":1E+30}', b"[]", b'"\\u0000"', b"0.1", b'{"\xc3\xbc":"<>&"}'])
def test_a_json_value_is_written_byte_for_byte_as_it_came(value: bytes) -> None:
    assert b'"value":' + value + b"}" in copy_of(version(portion("j", 1, kind="json", content=value))).body


def test_without_a_releasable_title_there_is_no_title() -> None:
    body = json.loads(copy_of(version(portion("t", 4, kind="title"), portion("a", 1))).body)
    assert set(body) == {"id", "marking", "level", "categories", "portions"}
    assert [one["id"] for one in body["portions"]] == ["a"]


def test_a_title_alone_has_no_portions() -> None:
    assert json.loads(copy_of(version(portion("t", 1, kind="title"), portion("a", 4))).body)["portions"] == []


def test_a_compilation_raises_the_marking_of_the_copy_and_of_no_portion() -> None:
    body = json.loads(copy_of(version(portion("a", 1), compilation=2)).body)
    assert (body["marking"], body["level"], body["portions"][0]["marking"]) == ("SECRET//REL TO USA, JPN", "SECRET", "(U)")


def test_the_marking_names_nobody_but_ourselves_and_the_partner_addressed() -> None:
    for partner in ("AUS", "IND"):
        assert partner.encode() not in copy_of(version(portion("a", 2), portion("b", 3)), "JPN").body


WITHHELD = st.builds(
    portion,
    st.sampled_from(["wa", "wb", "wc"]),
    st.sampled_from([4, 5, 6]),
    kind=st.sampled_from(["text", "title", "json", "file"]),
    content=st.binary(max_size=200),
    until=st.integers(1, 99),
)


@given(
    st.lists(st.builds(portion, st.sampled_from("abcdef"), st.sampled_from([1, 2, 3])), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 4), WITHHELD), max_size=5),
    st.integers(1, 9),
    st.booleans(),
)
def test_nothing_in_a_copy_depends_on_what_is_withheld(
    released: Sequence[PortionAt], withheld: Sequence[tuple[int, PortionAt]], number: int, unlabelled: bool
) -> None:
    """Nor on the officer's name for it, nor on which version it is: not a byte, and so not the digest."""
    mixed = list(released)
    for place, one in withheld:
        mixed.insert(min(place, len(mixed)), one)
    held = VersionAt("i1", f"another name {number}", number, False, tuple(mixed), None, unlabelled)
    copy, alone = copy_of(held), copy_of(version(*released))
    assert (copy.body, copy.listed, copy.sha256, copy.portion_ids) == (alone.body, alone.listed, alone.sha256, alone.portion_ids)
    assert copy.files.keys() == alone.files.keys()
