"""Tables and events are the same whether an entry was cut or read whole, and no cell of a table is a formula."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.releaselog.leaf import canonical
from service.sharing.exports.ocsf import Events, event
from service.sharing.exports.opened import cut, opened
from service.sharing.exports.tables import COLUMNS, Table, harmless, rows
from service.store.logs import ExportRow

DIGEST = "ab" * 32
# What would be a formula, what a table quotes, what JSON escapes, what ends a line, and what is neither.
words = st.text(st.sampled_from(list("=+-@'\",;\t\r\n\\\\ aZ0_?{}[]:\u00e9\uff1d\u2028")), max_size=6) | st.sampled_from(
    ["none", "/v1/items/{id}", "c_one", ',"labels":{', ',"outcome":"']
)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True) | words


@st.composite
def entries(draw: st.DrawFn) -> ExportRow:
    """An entry, mostly of the form that entries have, and now and then of none."""
    named = draw(st.lists(ids, max_size=3))
    items = [{"id": one, **draw(st.sampled_from([{"copy_sha256": DIGEST}, {}]))} for one in named]
    face: dict[str, Any] = {
        "v": 1, "type": draw(st.sampled_from(["item", "list", "file"]) | words), "event_id": draw(ids), "at": "2026-11-22T10:00:00.000000Z",
        "client": draw(words), "route": draw(words), "items": items, "body_sha256": DIGEST, "result": "sent", "purpose": draw(words),
        "seal": DIGEST,
    }  # fmt: skip
    if draw(st.booleans()):
        face["portion"] = draw(ids)
    recorded = [
        {
            "id": one,
            "ref": draw(words),
            "version": 2,
            "portions": draw(st.lists(ids, max_size=2)),
            "labels": [DIGEST],
            "rules": ["AGR-0001"],
        }
        for one in draw(st.permutations(named))[: draw(st.integers(0, 3))]
    ]
    if recorded and draw(st.integers(0, 4)) == 0:
        # What a record may lack of an item, and an export has to bear.
        recorded[0].pop(draw(st.sampled_from(["rules", "labels", "portions"])))
    record: dict[str, Any] = {
        "act": draw(st.integers(0, 99)), "at": face["at"], "authority": draw(st.none() | words),
        "bundle": draw(st.sampled_from([DIGEST, None])),
        "engine": DIGEST, "items": recorded, "labels": {DIGEST: {"level": draw(words)}},
        "outcome": draw(st.sampled_from(["release", "withhold"])),
        "partner": "JPN", "query": draw(st.none() | st.dictionaries(words, words, max_size=2)),
    }  # fmt: skip
    if draw(st.integers(0, 4)) == 0:
        record.pop(draw(st.sampled_from(sorted(record))))
    return ExportRow(draw(st.integers(0, 99)), canonical(face), hashlib.sha256(b"").digest(), canonical(record), bytes(32))


def written(entry: ExportRow) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows(opened(entry, "JPN")))
    return text.getvalue()


@given(st.lists(entries(), min_size=1, max_size=3))
def test_a_table_is_what_the_writer_of_csv_makes_of_whole_entries(made: list[ExportRow]) -> None:
    table = Table()
    # Twice: what was written once is not written otherwise when it comes again.
    for entry in [*made, *made]:
        assert table.lines(entry, "JPN") == written(entry)


@given(st.lists(entries(), min_size=1, max_size=3))
def test_an_event_is_what_json_makes_of_a_whole_entry(made: list[ExportRow]) -> None:
    events = Events()
    for entry in [*made, *made]:
        line = events.line(entry, "JPN")
        assert line == json.dumps(event(opened(entry, "JPN")), ensure_ascii=False, separators=(",", ":")) + "\n"


def test_an_event_is_filled_where_texts_look_like_its_places() -> None:
    """Percent signs, and the names of what goes into it."""
    face = {
        "v": 1, "type": "item", "event_id": "e", "at": "2026-11-22T10:00:00.001000Z", "client": "%(at)s %d 100%", "route": "/%s",
        "items": [{"id": "a", "copy_sha256": DIGEST}], "body_sha256": DIGEST, "result": "sent", "purpose": "at", "seal": DIGEST,
    }  # fmt: skip
    record = {
        "act": 3, "at": face["at"], "authority": None, "bundle": None, "engine": DIGEST, "labels": {}, "outcome": "release",
        "items": [{"id": "a", "ref": "50% %(act)s", "version": 1, "portions": [], "labels": [], "rules": ["AGR-0001"]}],
        "partner": "JPN", "query": None,
    }  # fmt: skip
    row = ExportRow(7, canonical(face), bytes(32), canonical(record), bytes(32))
    assert cut(row) is not None
    said = json.loads(Events().line(row, "JPN"))
    assert said == event(opened(row, "JPN"))
    assert (said["time"], said["actor"]["user"]["uid"], said["resources"][0]["name"]) == (1795341600001, "%(at)s %d 100%", "50% %(act)s")


def test_a_word_that_looks_like_the_end_of_an_item_is_read_whole() -> None:
    face = {
        "v": 1, "type": "item", "event_id": "e", "at": "2026-11-22T10:00:00.000000Z", "client": "c", "route": "/", "seal": DIGEST,
        "items": [{"id": "a", "copy_sha256": DIGEST}], "body_sha256": DIGEST, "result": "sent", "purpose": "none",
    }  # fmt: skip
    record = {
        "act": 3, "at": face["at"], "authority": None, "bundle": None, "engine": DIGEST, "labels": {}, "outcome": "release",
        "items": [{"id": "a", "ref": "x},{y", "version": 1, "portions": [], "labels": [], "rules": []}], "partner": "JPN", "query": None,
    }  # fmt: skip
    row = ExportRow(7, canonical(face), bytes(32), canonical(record), bytes(32))
    assert cut(row) is not None
    assert json.loads(Events().line(row, "JPN")) == event(opened(row, "JPN"))
    assert Table().lines(row, "JPN") == written(row)


@given(entries())
def test_no_cell_is_a_formula_and_each_is_read_back(entry: ExportRow) -> None:
    for cells in csv.reader(io.StringIO(Table().lines(entry, "JPN"), newline="")):
        assert len(cells) == len(COLUMNS)
        for cell in cells:
            assert not cell or harmless(cell) == cell or cell.startswith("'")
            assert cell[:1] not in set("=+-@\t\r\n")


@pytest.mark.parametrize("query", ["null", '{"limit":"10"}'])
def test_the_usual_form_is_cut(query: str) -> None:
    """Else it is of no use."""
    face = (
        f'{{"at":"2026-11-22T10:00:00.000000Z","body_sha256":"{DIGEST}","client":"c_1","event_id":"e","items":[{{"copy_sha256":"{DIGEST}",'
        f'"id":"a"}},{{"id":"b"}}],"purpose":"none","result":"sent","route":"/v1/items","seal":"{DIGEST}","type":"list","v":1}}'
    )
    record = (
        f'{{"act":3,"at":"2026-11-22T10:00:00.000000Z","authority":null,"bundle":"{DIGEST}","engine":"{DIGEST}","items":[],"labels":{{}},'
        f'"outcome":"release","partner":"JPN","query":{query}}}'
    )
    found = cut(ExportRow(0, face.encode(), bytes(32), record.encode(), bytes(32)))
    assert found is not None
    assert (found.items, found.act, found.outcome, found.recorded) == ([(DIGEST, "a"), ("", "b")], "3", "release", "[]")
