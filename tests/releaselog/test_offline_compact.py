"""A compact bundle says the same as one whose entries are each whole, byte for byte, and is checked as strictly.

What is said once is referred to by number; from that the offline verifier builds each entry, and looks at what was not built by it. These
tests hold that nothing else passes: a change anywhere is found, and what its quick way lets pass is what its thorough way does.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.releaselog import offline_verifier
from service.releaselog.leaf import canonical
from service.releaselog.merkle import leaf_hash
from service.sharing.acts import Actor
from service.sharing.exports import compact
from service.sharing.exports.entries import line_of
from service.sharing.exports.export import Format, exporting
from service.sharing.exports.selection import Selection
from service.sharing.exports.writing import to_folder
from service.sharing.installation import Installation
from service.store import Connection
from service.store.logs import AuditFilter, ExportRow
from tests.support.exported import COULD_NOT_READ, DOES_NOT_HOLD, HOLDS, VERIFIER, filled, settle_manifest, verify, vkeys

ENTRIES: Final = 60
NAME: Final = "entries.compact.jsonl"
SEVERAL, ONE = rb'"copy_sha256".*"type":"list"', rb'"copy_sha256".*"type":"item"'
TWO_LABELS: Final = rb'"labels":\{("[0-9a-f]{64}":\{[^{}]*\}),("[0-9a-f]{64}":\{[^{}]*\})\}'
FILTERS: Final = {
    "whole": AuditFilter(),
    "items": AuditFilter(log="JPN", type="item"),
    "refused": AuditFilter(log="JPN", outcomes=("refer",)),
    "none": AuditFilter(log="JPN", client="c_nobody"),
}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with filled(tmp_path_factory.mktemp("compact") / "data", ENTRIES) as opened:
        yield opened


@pytest.fixture(scope="module")
def kept(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each export twice: of whole entries, and compact. To be copied."""
    folder = tmp_path_factory.mktemp("exports")
    for name, asked in FILTERS.items():
        with exporting(installation, Actor("c_auditor", "cli"), Selection(asked, {}), Format.COMPACT) as export:
            for form in ("bundle", "compact"):
                to_folder(export.pieces(compact=form == "compact"), folder / f"{name}-{form}")
    return folder


@pytest.fixture(scope="module")
def rows(installation: Installation) -> list[ExportRow]:
    with installation.database.reading() as connection:
        selection = Selection(AuditFilter(log="JPN"), {})
        return [row for head in selection.heads(connection) for step in selection.rows(connection, head) for row in step]


@pytest.fixture(scope="module")
def connection(installation: Installation) -> Iterator[Connection]:
    with installation.database.reading() as opened:
        yield opened


# --- it says the same -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILTERS)
def test_its_entries_in_full_are_those_of_the_bundle_byte_for_byte(kept: Path, name: str) -> None:
    written = verify("entries", kept / f"{name}-compact")
    assert written.code == HOLDS
    assert written.said.encode() == (kept / f"{name}-bundle" / "entries.jsonl").read_bytes()
    assert verify("entries", kept / f"{name}-bundle").said == written.said


@pytest.mark.parametrize("name", FILTERS)
def test_it_holds_and_is_said_to_hold_in_the_same_words(kept: Path, name: str) -> None:
    verdicts = [verify("export", kept / f"{name}-{form}", *vkeys(kept / f"{name}-{form}")) for form in ("bundle", "compact")]
    assert [verdict.code for verdict in verdicts] == [HOLDS, HOLDS], verdicts
    assert verdicts[0].said == verdicts[1].said


def test_a_zip_is_read_as_its_folder_is(installation: Installation, kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "evidence.zip"
    with exporting(installation, Actor("c_auditor", "cli"), Selection(FILTERS["items"], {}), Format.COMPACT) as export:
        path.write_bytes(b"".join(export.content(Format.COMPACT)))
    assert verify("export", path, *vkeys(kept / "whole-compact")).code == HOLDS
    assert verify("entries", path).said.encode() == (kept / "items-bundle" / "entries.jsonl").read_bytes()


def test_whoever_reads_entries_may_stop(kept: Path) -> None:
    command = f"{sys.executable} -I {VERIFIER} entries {kept / 'whole-compact'} | head -c 100"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == ((kept / "whole-bundle" / "entries.jsonl").read_bytes()[:100], b"")


def test_what_entries_have_in_common_is_said_once(kept: Path) -> None:
    """Else it is of no use: a definition a thing, an entry in full only where it is of another form, and a fraction of the bytes."""
    lines = [json.loads(line) for line in (kept / "whole-compact" / NAME).read_bytes().splitlines()]
    assert {line["log"] for line in lines if "face" in line and "index" in line} <= {"officers", "root"}
    for number in ("circumstances", "item"):
        said = [canonical({**line, number: ""}) for line in lines if isinstance(line.get(number), str)]
        assert len(said) == len(set(said)) > 1
    assert sum(len(line["at"]) for line in lines if "at" in line) == ENTRIES


def test_the_verifier_goes_its_quick_way_for_what_the_service_writes(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("built the thorough way")

    monkeypatch.setattr(offline_verifier.Compact, "_built", never)
    under_number = offline_verifier.under_number
    monkeypatch.setattr(offline_verifier, "under_number", lambda value: never() if "item" in value else under_number(value))
    for name in FILTERS:
        folder = kept / f"{name}-compact"
        assert offline_verifier.main(["export", str(folder), *vkeys(folder)]) == HOLDS


def _in_full(lines: bytes) -> list[bytes]:
    reading = offline_verifier.Compact()
    return [full + b"\n" for line in lines.splitlines() for full in reading.in_full(line)]


def _changed(row: ExportRow, data: st.DataObject) -> ExportRow:
    """A row whose texts were tampered with, or one that is merely unusual; its leaf hash is that of its leaf."""
    texts = {"leaf": bytearray(row.leaf), "record": bytearray(row.record)}
    for _ in range(data.draw(st.integers(0, 2))):
        text = texts[data.draw(st.sampled_from(["leaf", "record"]))]
        at = data.draw(st.integers(0, len(text) - 1))
        if data.draw(st.booleans()):
            text[at] = data.draw(st.sampled_from(list(b'"{}[],:0123abfnul\\ z')))
        else:
            text[at:at] = text[at : at + data.draw(st.integers(1, 90))]
    record = bytes(texts["record"])
    leaf = bytes(texts["leaf"])
    if data.draw(st.booleans()):
        seal = hashlib.sha256(row.nonce + record).hexdigest().encode()
        leaf = re.sub(rb'"seal":"[^"]*"', b'"seal":"' + seal + b'"', leaf)
    return row._replace(leaf=leaf, record=record, leaf_hash=leaf_hash(leaf))


@given(st.data())
def test_any_row_comes_back_as_it_is_stored(rows: list[ExportRow], connection: Connection, data: st.DataObject) -> None:
    """Also what was tampered with: a compact export hides nothing of it, and mends nothing."""
    picked = [_changed(data.draw(st.sampled_from(rows)), data) for _ in range(data.draw(st.integers(1, 4)))]
    texts = compact.Compact().lines_of(connection, picked, b'"JPN"')
    assert _in_full(texts) == [line_of(row, b'"JPN"', {}) for row in picked]


@pytest.mark.parametrize("kind", ["item", "list", "file", "refused"])
def test_a_row_comes_back_as_it_is_stored_wherever_it_was_changed(rows: list[ExportRow], connection: Connection, kind: str) -> None:
    """At every byte that JSON or a name is made of, by somebody who makes the seal agree or who does not."""
    which = b'"result":"refused"' if kind == "refused" else b'"type":"' + kind.encode() + b'"'
    row = min((row for row in rows if which in row.leaf and b'"id"' in row.leaf), key=lambda row: len(row.record))
    writing, reading = compact.Compact(), offline_verifier.Compact()
    for name in ("leaf", "record"):
        text = getattr(row, name)
        for at in (found.start() for found in re.finditer(rb"[^0-9a-f]", text)):
            byte = random.Random(at).choice([one for one in b'"\\{}[],:0a_' if one != text[at]])
            changed = row._replace(**{name: text[:at] + bytes([byte]) + text[at + 1 :]})
            if name == "record":
                changed = _sealed(changed, changed.record)
            texts = writing.lines_of(connection, [changed], b'"JPN"').splitlines()
            assert [full + b"\n" for line in texts for full in reading.in_full(line)] == [line_of(changed, b'"JPN"', {})], changed


@pytest.mark.parametrize(
    ("circumstances", "items", "together", "items_together"), [(3, 7, 2, 6), (8, 6, 7, 5), (1000, 20_000, 500, 1), (20, 40, 9, 30)]
)
def test_numbers_are_given_anew_and_nothing_is_taken_for_another(
    rows: list[ExportRow], connection: Connection, monkeypatch: pytest.MonkeyPatch,
    circumstances: int, items: int, together: int, items_together: int,
) -> None:  # fmt: skip
    for name, value in (("CIRCUMSTANCES", circumstances), ("ITEMS", items), ("TOGETHER", together), ("ITEMS_TOGETHER", items_together)):
        monkeypatch.setattr(compact, name, value)
    writing = compact.Compact()
    many = [*rows, *rows[::-1], *random.Random(1).sample(rows, len(rows))]
    texts = b"".join([writing.lines_of(connection, many[start : start + 50], b'"JPN"') for start in range(0, len(many), 50)])
    assert _in_full(texts) == [line_of(row, b'"JPN"', {}) for row in many]
    numbers = {number for line in texts.splitlines() for number in [json.loads(line).get("item")] if number is not None}
    # Nor is more than that held by who writes.
    assert len(numbers) <= items and len(writing._items._places) <= items and len(writing._circumstances._places) <= circumstances
    assert all(len(json.loads(line).get("at", [])) <= together for line in texts.splitlines() if line.startswith(b'{"act"'))


def test_what_is_long_is_in_full(installation: Installation, connection: Connection, rows: list[ExportRow]) -> None:
    """What has to be held of an export is bounded: nothing that is long is said once."""
    row = next(row for row in rows if b'"type":"item"' in row.leaf and b'"result":"sent"' in row.leaf)
    for length, short in ((50, True), (6_000, False)):
        longer = _sealed(row, re.sub(rb'"ref":"[^"]*"', b'"ref":"' + b"r" * length + b'"', row.record))
        texts = compact.Compact().lines_of(connection, [longer], b'"JPN"')
        assert _in_full(texts) == [line_of(longer, b'"JPN"', {})]
        assert texts.startswith(b'{"face"') is not short
        assert max(map(len, texts.splitlines())) <= offline_verifier.SAID_BYTES_MAX or not short


def _more_labels(record: dict[str, Any]) -> None:
    label = {"level": "SECRET"}
    record["labels"][hashlib.sha256(canonical(label)).hexdigest()] = label


def _less_labels(record: dict[str, Any]) -> None:
    record["labels"].popitem()


def _mixed(record: dict[str, Any]) -> None:
    record["items"].reverse()


def _without(record: dict[str, Any]) -> None:
    record["items"].pop()


@pytest.mark.parametrize("change", [_more_labels, _less_labels, _mixed, _without])
def test_what_does_not_follow_from_what_is_said_of_each_item_is_in_full(
    rows: list[ExportRow], connection: Connection, change: Callable[[dict[str, Any]], None]
) -> None:
    row = next(row for row in rows if b'"type":"list"' in row.leaf and b'"id"' in row.leaf)
    record = json.loads(row.record)
    assert canonical(record) == row.record
    change(record)
    changed = _sealed(row, canonical(record))
    assert compact.Compact().lines_of(connection, [changed], b'"JPN"') == line_of(changed, b'"JPN"', {})


@pytest.mark.parametrize(
    ("of", "name", "old", "new"),
    [
        pytest.param(SEVERAL, "leaf", rb'"copy_sha256":"[0-9a-f]{64}",', b"", id="one of several without a copy"),
        pytest.param(ONE, "record", TWO_LABELS, rb'"labels":{\2,\1}', id="labels in another order"),
        pytest.param(ONE, "record", rb'"labels":\{("[0-9a-f]{64}":\{[^{}]*\})', rb'"labels":{\1,\1', id="a label twice"),
        pytest.param(SEVERAL, "leaf", rb'\],"purpose"', b'],"portion":"p-1","purpose"', id="several of a file"),
        pytest.param(rb'"items":\[\].*"list"', "leaf", rb'\],"purpose"', b'],"portion":"p-1","purpose"', id="none of a file"),
    ],
)  # fmt: skip
def test_what_no_service_writes_is_in_full(
    rows: list[ExportRow], connection: Connection, of: bytes, name: str, old: bytes, new: bytes
) -> None:
    row = next(row for row in rows if re.search(of, row.leaf))
    changed = row._replace(**{name: re.sub(old, new, getattr(row, name), count=1)})
    assert changed != row
    changed = _sealed(changed, changed.record)
    assert compact.Compact().lines_of(connection, [changed], b'"JPN"') == line_of(changed, b'"JPN"', {})


def test_what_has_personal_texts_beside_it_is_in_full_with_them(
    rows: list[ExportRow], connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"ab" * 32: {"salt": "cd" * 32, "value": "words"}}

    class Opened:
        def __init__(self, *_: object) -> None: ...

        def of(self, record: bytes) -> dict[str, dict[str, str]]:
            return kept if record == rows[1].record else {}

    monkeypatch.setattr(compact, "Opened", Opened)
    texts = compact.Compact().lines_of(connection, rows[:3], b'"JPN"')
    assert _in_full(texts) == [line_of(row, b'"JPN"', kept if row is rows[1] else {}) for row in rows[:3]]


@pytest.mark.parametrize(
    ("query", "short"),
    [
        ({}, True),
        ({"limit": 5}, True),
        ({"category": ["A", "B"], "limit": 5, "since": "x"}, True),
        ({"since": "a],[b"}, False),
        ({"since": "\u00e9"}, False),
        ({"q": {"commitment": "ab" * 32}}, False),
    ],
)
def test_an_entry_is_not_read_the_slow_way_for_the_query_of_another(
    rows: list[ExportRow], connection: Connection, query: dict[str, object], *, short: bool
) -> None:
    """A line of entries is looked at as one: a query that would have all of it read the thorough way is in full."""
    row = next(row for row in rows if b'"type":"list"' in row.leaf)
    record = re.sub(rb'"query":.*', b'"query":' + canonical(query).replace(b"\\", b"\\\\") + b"}", row.record)
    asked = _sealed(row, record)
    texts = compact.Compact().lines_of(connection, [asked], b'"JPN"')
    assert _in_full(texts) == [line_of(asked, b'"JPN"', {})]
    assert texts.startswith(b'{"face"') is not short
    if short:
        reading = offline_verifier.Compact()
        for line in texts.splitlines()[:-1]:
            reading.define(line)
        assert len(reading._usual(texts.splitlines()[-1])) == 1


def _sealed(row: ExportRow, record: bytes) -> ExportRow:
    """The row with another record, all else made to agree."""
    seal = hashlib.sha256(row.nonce + record).hexdigest().encode()
    leaf = re.sub(rb'"seal":"[^"]*"', b'"seal":"' + seal + b'"', row.leaf)
    return row._replace(record=record, leaf=leaf, leaf_hash=leaf_hash(leaf))


# --- nothing else passes ----------------------------------------------------------------------------------------------

Lines = list[bytes]


@pytest.fixture(scope="module")
def some(rows: list[ExportRow], installation: Installation) -> Lines:
    """Lines of a few entries, one of each kind: an item, a list of several, one of none, a file, a refusal. They are of two lines."""
    with installation.database.reading() as connection:
        writing = compact.Compact()
        texts = writing.lines_of(connection, [rows[place] for place in (0, 3, 7, 5)], b'"JPN"')
        return [*texts.splitlines(), *writing.lines_of(connection, [rows[place] for place in (19, 23, 25)], b'"JPN"').splitlines()]


def read(lines: Lines) -> list[Any]:
    """What the verifier makes of lines; each entry by itself, order and tree not looked at."""
    reading = offline_verifier.Compact()
    usual = offline_verifier.EntryReader(offline_verifier.EventIds(), set())
    found = []
    for line in lines:
        for run in reading.runs([line], usual._runs):
            found += [(run.log, run.start + place, *[run[column][place] for column in range(2, 7)]) for place in range(len(run.events))]
    reading.end()
    return found


def agreeing(lines: Lines) -> Lines:
    """The same, with leaf hashes of the entries that would be built of these very bytes: a change is then not found by them alone."""
    reading = offline_verifier.Compact()
    made: Lines = []
    for line in lines:
        made.append(line)
        if not line.startswith(offline_verifier.ENTRIES_BEGIN):
            try:
                number, said = reading._usual_item(line) or offline_verifier.under_number(json.loads(line))
            except (offline_verifier.Bad, ValueError, AttributeError, TypeError, KeyError):
                continue
            (reading._items if isinstance(said, offline_verifier.Items) else reading._circumstances)[number] = said
            continue
        try:
            act, at, body, number, event, item, hashes, nonce, _, query = offline_verifier.columns_of(line)
            queries = [b"null}"] * len(at.split(b","))
            for one in offline_verifier.lists_in(query) if query else []:
                place, _, text = one.partition(b",")
                queries[int(place)] = text + b"}"
            leaves = []
            texts = [column[1:-1].split(b'","') for column in (at, body, number, event, nonce)]
            for ats, bodies, numbers, events, nonces, acts, named, asked in zip(
                *texts, act.split(b","), offline_verifier.lists_in(item), queries, strict=False
            ):
                under, items = reading._circumstances[numbers], reading._items.get(named) or reading._several(named)
                sealed = offline_verifier.sealed_text(bytes.fromhex(nonces.decode()), acts, ats, under.in_record, items.recorded, asked)
                seal = hashlib.sha256(sealed).hexdigest().encode()
                leaves.append(
                    hashlib.sha256(offline_verifier.hashed_leaf(ats, bodies, events, under.in_leaf, items.face, seal)).hexdigest()
                )
            made[-1] = line.replace(hashes, b'"' + '","'.join(leaves).encode() + b'"')
        except (offline_verifier.Unusual, ValueError, KeyError, IndexError):
            continue
    return made


def thorough(lines: Lines) -> list[Any]:
    """What the thorough way makes of them."""
    reading = offline_verifier.Compact()
    entries = [offline_verifier.read_entry(full) for line in lines for full in reading.in_full(line)]
    reading.end()
    return [(one.log, one.place, one.event_id, one.leaf_hash, one.at, one.act, one.bundle) for one in entries]


def test_the_quick_way_says_what_the_thorough_one_does(some: Lines) -> None:
    assert read(some) == thorough(some)
    assert [entry[1] for entry in read(some)] == [0, 3, 7, 5, 19, 23, 25]


@pytest.mark.parametrize("kind", ["circumstances", "item sent", "item refused", "item of a file", "entries"])
def test_at_no_place_does_a_changed_byte_say_the_same(some: Lines, kind: str) -> None:
    """Every byte of a line: it is refused, or a leaf is another, or stands elsewhere. Nothing is without effect."""
    begins = {
        "circumstances": rb'\{"circumstances":.*"sent"',
        "item sent": rb'\{"copy_sha256":((?!"portion":).)*$',
        "item refused": rb'\{"item":',
        "item of a file": rb'\{"copy_sha256":.*"portion":"',
        "entries": rb'\{"act":',
    }[kind]
    number = min((number for number, line in enumerate(some) if re.match(begins, line)), key=lambda number: len(some[number]))
    right = [(entry[1], entry[3]) for entry in thorough(some)]
    line = some[number]
    for at in range(len(line)):
        byte = random.Random(at).choice([one for one in b'"\\AZaf09,{}[]. \x1f\xe9' if one != line[at]])
        changed = [*some[:number], line[:at] + bytes([byte]) + line[at + 1 :], *some[number + 1 :]]
        try:
            found = [(entry[1], entry[3]) for entry in read(changed)]
        except offline_verifier.DoesNotHold:
            continue
        assert found != right, changed[number]


@given(st.data())
def test_what_passes_the_quick_way_passes_the_thorough_one(some: Lines, data: st.DataObject) -> None:
    """Bytes changed, removed or repeated, and leaf hashes made to agree with that where they can be."""
    lines = [*some]
    for _ in range(data.draw(st.integers(1, 2))):
        number = data.draw(st.integers(0, len(lines) - 1))
        line = bytearray(lines[number])
        at = data.draw(st.integers(0, max(0, len(line) - 1)))
        match data.draw(st.sampled_from(["change", "drop", "double", "copy"])):
            case "change":
                line[at : at + 1] = bytes([data.draw(st.sampled_from(list(b'"{}[],:0123456789abcdefnul\\ \x00\xff\xc3-.')))])
            case "drop":
                del line[at : at + data.draw(st.integers(1, 30))]
            case "double":
                line[at:at] = line[at : at + data.draw(st.integers(1, 60))]
            case "copy":
                start = data.draw(st.integers(0, max(0, len(line) - 1)))
                line[at : at + 8] = line[start : start + 8]
        lines[number] = bytes(line)
    for changed in (lines, agreeing(lines)):
        try:
            found = read(changed)
        except offline_verifier.DoesNotHold:
            continue
        assert found == thorough(changed)


def _text(old: bytes, new: bytes, *, begins: bytes = b"") -> Callable[[Lines], Lines]:
    """A text of one line changed, in the first line that has it."""

    def change(lines: Lines) -> Lines:
        number = next(number for number, line in enumerate(lines) if line.startswith(begins) and re.search(old, line))
        return [*lines[:number], re.sub(old, new, lines[number], count=1), *lines[number + 1 :]]

    return change


def _column(name: str, place: int, value: object, *, columns: int = 0) -> Callable[[Lines], Lines]:
    """One value of one column changed; written as it was, canonical."""

    def change(lines: Lines) -> Lines:
        numbers = [number for number, line in enumerate(lines) if line.startswith(b'{"act"')]
        line = json.loads(lines[numbers[columns]])
        line[name][place] = value(line[name]) if callable(value) else value
        return [*lines[: numbers[columns]], canonical(line), *lines[numbers[columns] + 1 :]]

    return change


def _said(member: str, change: Callable[[dict[str, Any]], object], where: bytes = b"") -> Callable[[Lines], Lines]:
    """What stands under a number changed; written as it was, canonical."""

    def changed(lines: Lines) -> Lines:
        number = next(number for number, line in enumerate(lines) if isinstance(json.loads(line).get(member), str) and where in line)
        value = json.loads(lines[number])
        change(value)
        return [*lines[:number], canonical(value), *lines[number + 1 :]]

    return changed


def _many(lines: Lines) -> Lines:
    """An entry with so many items that no leaf may be so long."""
    return _column("items", 1, lambda each: each[1] * 140)(lines)


def _queries(change: Callable[[list[Any]], list[Any]]) -> Callable[[Lines], Lines]:
    def changed(lines: Lines) -> Lines:
        number = next(number for number, line in enumerate(lines) if line.startswith(b'{"act"'))
        line = json.loads(lines[number])
        line["queries"] = change(line["queries"])
        return [*lines[:number], canonical(line), *lines[number + 1 :]]

    return changed


def _relabelled(value: dict[str, Any]) -> None:
    next(iter(value["labels"].values()))["level"] = "RESTRICTED"


def _another_number(value: dict[str, Any]) -> None:
    value["item"] = "00019"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(_column("nonce", 0, lambda each: each[0].upper()), "lower-case hex", id="a nonce in capitals"),
        pytest.param(_column("body_sha256", 0, lambda each: each[0].upper()), "lower-case hex", id="a digest in capitals"),
        pytest.param(_text(rb'("body_sha256":\["[0-9a-f]{63})([0-9a-f])","', rb'\1","\2'), "lower-case hex", id="digests cut elsewhere"),
        pytest.param(_text(rb'("nonce":\["[0-9a-f]{62})([0-9a-f]{2})","', rb'\1","\2'), "lower-case hex", id="nonces cut elsewhere"),
        pytest.param(_column("at", 2, "2026-02-30T10:00:00.000000Z"), "is none", id="no such day"),
        pytest.param(_column("at", 2, "2026-11-22T10:00:00.00000aZ"), "is none", id="no such fraction"),
        pytest.param(_column("at", 2, "2026-11-22T10:00:00.0000000"), "is none", id="a time of no zone"),
        pytest.param(_column("at", 2, "2026-11-22T10:00:00.00000Z"), "is none", id="a shorter time"),
        pytest.param(_column("event_id", 2, "a.b"), "is none", id="an event id with a point"),
        pytest.param(_column("event_id", 2, ""), "is not text|is none", id="no event id"),
        pytest.param(_column("event_id", 2, "e" * 65), "is none", id="a long event id"),
        pytest.param(_text(rb'"act":\[2,', b'"act":[02,'), "canonical", id="an act written otherwise"),
        pytest.param(_text(rb'"position":\[0,3,', b'"position":[0,03,'), "canonical", id="a position written otherwise"),
        pytest.param(_column("act", 1, -1), "no act number", id="an act below none"),
        pytest.param(_column("position", 1, -1), "its index is none", id="a position below none"),
        pytest.param(_column("position", 1, "3"), "of another kind", id="a position that is text"),
        pytest.param(_column("items", 2, 5), "of another kind", id="a number for no items"),
        pytest.param(lambda lines: [*lines, _column("circumstances", 1, "999", columns=1)(lines)[-1]], "not there", id="nobody's"),
        pytest.param(_column("items", 0, ["19999"]), "refer", id="an item that is not there"),
        pytest.param(_column("items", 2, ["19999"]), "not there", id="an item that is not there, where there was none"),
        pytest.param(_column("items", 0, lambda each: each[3]), "refer", id="a refused item for one sent"),
        pytest.param(_column("items", 2, lambda each: each[3]), "an item sent without the hash", id="a refused item in a list"),
        pytest.param(_column("circumstances", 3, lambda each: each[0]), "refer|without the hash", id="a refusal said to be sent"),
        pytest.param(_column("circumstances", 0, lambda each: each[3]), "refer|a refusal that names a copy", id="said to be refused"),
        pytest.param(_column("items", 1, lambda each: [*each[1], *each[3]]), "cannot stand in one", id="sent and refused in one entry"),
        pytest.param(_column("items", 0, lambda each: [*each[0], *each[0]], columns=1), "cannot stand in one", id="a file twice"),
        pytest.param(_column("items", 0, [], columns=1), "not referred to", id="a file's entry without it"),
        pytest.param(lambda lines: [*lines, _column("items", 0, [], columns=1)(lines)[-1]], "`portion` is set", id="no file of a file"),
        pytest.param(_column("items", 1, lambda each: each[0], columns=1), "refer|`portion` is set", id="a file in a list"),
        pytest.param(_many, "a leaf of", id="a leaf that is too long"),
        pytest.param(_column("act", 1, lambda each: each.pop()), "not of one length", id="a column shorter than the others"),
        pytest.param(_queries(lambda each: each[::-1]), "not places and queries", id="queries out of order"),
        pytest.param(_queries(lambda each: [*each, each[-1]]), "not places and queries", id="two queries of one entry"),
        pytest.param(_queries(lambda each: [*each[:-1], [9, {}]]), "not places and queries", id="a query of no entry"),
        pytest.param(_queries(lambda each: [*each[:-1], [2, None]]), "not places and queries", id="a query that is none"),
        pytest.param(_queries(lambda each: [{}]), "not places and queries", id="queries that are none"),
        pytest.param(_text(rb'\{"limit":50,("since":"[0-9a-f]*")\}', rb'{\1,"limit":50}'), "canonical", id="a query in another order"),
        pytest.param(_text(rb'"limit":50', b'"limit":5e1'), "canonical", id="a number in a query written otherwise"),
        pytest.param(_text(rb'\{"act":', b'{ "act":'), "canonical|circumstances", id="a space"),
        pytest.param(_text(rb'\]\}$', b"]} ", begins=b'{"act"'), "canonical", id="a space behind"),
        pytest.param(_text(rb'("at":\[.*?\]),("body_sha256":\[.*?\])', rb'\2,\1'), "canonical", id="columns in another order"),
        pytest.param(_said("circumstances", lambda value: value["face"].update(v=2)), "of version 2", id="another version"),
        pytest.param(_said("circumstances", lambda value: value["face"].update(type="push")), "neither a release", id="another type"),
        pytest.param(_said("circumstances", lambda value: value["face"].update(result="done")), "neither a release", id="another result"),
        pytest.param(_said("circumstances", lambda value: value["face"].update(more=1)), "with `more`", id="an unknown member"),
        pytest.param(_said("circumstances", lambda value: value["face"].pop("route")), "without `route`", id="a member missing"),
        pytest.param(_said("circumstances", lambda value: value["face"].update(client="")), "`client` of its face", id="nobody's"),
        pytest.param(_said("circumstances", lambda value: value["record"].update(partner="IND")), "of partner IND", id="another partner"),
        pytest.param(_said("circumstances", lambda value: value["record"].update(outcome="withhold")), "outcome withhold", id="outcome"),
        pytest.param(_said("circumstances", lambda value: value["record"].update(bundle="AB" * 32)), "lower-case hex", id="bundle"),
        pytest.param(_said("circumstances", lambda value: value.update(log="officers")), "not that of a partner's", id="a log of our own"),
        pytest.param(_said("circumstances", lambda value: value.update(circumstances="1000")), "is none", id="a number too large"),
        pytest.param(_said("item", lambda value: value.update(item="20000")), "is none", id="an item's number too large"),
        pytest.param(_said("item", lambda value: value["record"].update(version=0), b'"copy_sha256"'), "has version 0", id="version"),
        pytest.param(_said("item", lambda value: value["record"].update(version="1")), "no id or version", id="a version that is text"),
        pytest.param(_said("item", lambda value: value["record"].pop("id")), "no id or version|is none", id="an item without an id"),
        pytest.param(_said("item", lambda value: value["record"].update(id="a b")), "is none", id="an id with a space"),
        pytest.param(_said("item", lambda value: value.update(copy_sha256="AB" * 32)), "lower-case hex", id="a copy's digest in capitals"),
        pytest.param(_text(TWO_LABELS, rb'"labels":{\2,\1}'), "canonical", id="labels in another order"),
        pytest.param(_text(TWO_LABELS, rb'"labels":{\1,\1,\2}'), "canonical", id="a label twice"),
        pytest.param(_said("item", _relabelled), "has digest", id="a label under another's digest"),
        pytest.param(_said("item", lambda value: value.update(labels={})), "names a label that the record does not hold", id="no labels"),
        pytest.param(_said("item", lambda value: value.update(record=[])), "is not an object", id="a record that is none"),
        pytest.param(_said("item", lambda value: value["record"].update(ref="r" * 4096)), "at most 4096", id="what is too long to be held"),
        pytest.param(_said("item", lambda value: value.update(portion="a b"), b'"portion"'), "is none", id="a portion with a space"),
        pytest.param(_said("item", lambda value: value.update(portion="p-1")), "cannot stand|`portion` is set", id="no file's portion"),
        pytest.param(_said("item", lambda value: value.pop("portion"), b'"portion":"'), "`portion` is set", id="no portion"),
        pytest.param(_said("item", _another_number), "not referred to|not there", id="under another number"),
        pytest.param(lambda lines: [lines[0], *lines], "given twice", id="said twice"),
        pytest.param(lambda lines: [lines[0].replace(b'"000"', b'"900"'), *lines], "not referred to", id="said and not referred to"),
        pytest.param(lambda lines: [*lines, lines[0]], "not referred to", id="said after the last entry"),
        pytest.param(lambda lines: [lines[0], b'{"face":{}}', *lines[1:]], "not referred to", id="said before an entry in full"),
        pytest.param(lambda lines: [line for line in lines if line != lines[1]], "not there", id="not said"),
        pytest.param(lambda lines: [*lines, b"{}"], "circumstances without", id="a line that says nothing"),
        pytest.param(lambda lines: [*lines, canonical({name: [] for name in offline_verifier.COLUMNS})], "one length", id="no entries"),
        pytest.param(lambda lines: [*lines, b"[]"], "is not an object", id="a line that is no object"),
        pytest.param(lambda lines: [*lines, b""], "not canonical JSON", id="an empty line"),
    ],
)  # fmt: skip
def test_what_was_made_to_agree_is_refused_all_the_same(some: Lines, change: Callable[[Lines], Lines], why: str) -> None:
    """By somebody who makes every leaf hash agree with what he changed: he has the log's key, perhaps, but the form is the form."""
    assert read(agreeing(some)) == read(some)
    changed = change(some)
    assert changed != some
    with pytest.raises(offline_verifier.DoesNotHold, match=why):
        read(agreeing(changed))
    # Nor is it let pass as it is, where what was changed may be looked at all together.
    with pytest.raises(offline_verifier.DoesNotHold):
        read(changed)


def test_the_forms_are_not_taken_for_each_other(kept: Path, tmp_path: Path) -> None:
    """A bundle of one format with the file of the other, its manifest agreeing."""
    for form, other in (("bundle", "compact"), ("compact", "bundle")):
        folder = shutil.copytree(kept / f"items-{form}", tmp_path / form)
        manifest = json.loads((folder / "manifest.json").read_bytes())
        manifest["format"] = json.loads((kept / f"items-{other}" / "manifest.json").read_bytes())["format"]
        (folder / "manifest.json").write_bytes(canonical(manifest))
        verdict = verify("export", folder, *vkeys(folder))
        assert verdict.code == DOES_NOT_HOLD and "does not list `entries." in verdict.said, verdict.said
        for format_ in ("entente-export/3", ["entente-export/2"], None):
            manifest["format"] = format_
            (folder / "manifest.json").write_bytes(canonical(manifest))
            for command in (("export", *vkeys(folder)), ("entries",)):
                verdict = verify(command[0], folder, *command[1:])
                assert verdict.code == COULD_NOT_READ and "this verifier reads entente-export/1, entente-export/2" in verdict.said


def test_entries_of_the_other_form_are_not_handed_out_beside_those_that_are_checked(kept: Path, tmp_path: Path) -> None:
    """They would be listed, and have the digest that the manifest says, and nobody would have looked at them."""
    for form, other, name in (("bundle", "compact", NAME), ("compact", "bundle", "entries.jsonl")):
        folder = shutil.copytree(kept / f"items-{form}", tmp_path / form)
        content = shutil.copy(kept / f"refused-{other}" / name, folder / name)
        manifest = json.loads((folder / "manifest.json").read_bytes())
        digest = hashlib.sha256(Path(content).read_bytes()).hexdigest()
        manifest["files"].append({"path": name, "bytes": Path(content).stat().st_size, "sha256": digest})
        (folder / "manifest.json").write_bytes(canonical(manifest))
        verdict = verify("export", folder, *vkeys(folder))
        assert verdict.code == DOES_NOT_HOLD and f"the manifest lists `{name}`" in verdict.said, verdict.said


def test_nothing_stands_behind_the_last_entry_though_the_manifest_agrees(kept: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(kept / "items-compact", tmp_path / "compact")
    path = folder / NAME
    first = path.read_bytes().splitlines(keepends=True)[0]
    for more, why in ((first, "not referred to"), (b"\n", "not canonical JSON"), (b"x", "ends within a line")):
        path.write_bytes((kept / "items-compact" / NAME).read_bytes() + more)
        settle_manifest(folder)
        verdict = verify("export", folder, *vkeys(folder))
        assert verdict.code == DOES_NOT_HOLD and why in verdict.said, verdict.said


def test_an_event_id_used_twice_is_named(some: Lines) -> None:
    reading = offline_verifier.Compact()
    full = [entry for line in some for entry in reading.in_full(line)]
    event = thorough(some)[2][2]
    said = offline_verifier.repeated_event([*full, full[2]], {hash(event)})
    assert said == f"log JPN, entry 7, event {event.decode()}: this event id is that of log JPN, entry 7 too"
