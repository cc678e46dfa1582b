"""Items by the line: every line is accounted for, and nothing is half loaded."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from service.errors import Busy, Conflict, Rejected
from service.policy import read_directory
from service.settings import FILE_BYTES_MAX, IMPORT_LINE_BYTES_MAX
from service.sharing.compaction import compact
from service.sharing.importing import Importer, import_items, in_force, store_one
from service.sharing.installation import Installation
from service.sharing.intake import Refusal
from service.sharing.item_files import ItemFiles, LocalFiles, SentFiles
from service.sharing.line_reading import Line, LineSplitter, ReadHere
from service.store import Connection, Database, catalogue, logs, policies, search
from tests.support.published import OFFICER, ROOT
from tests.support.two_officers import publish_as_two


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the import file is."""
    made = tmp_path / "inbox"
    made.mkdir()
    return made


def item(ref: str, **members: Any) -> dict[str, Any]:
    portions = [{"kind": "title", "marking": "(U)", "text": "Title"}, {"kind": "text", "marking": "(U)", "text": "words"}]
    return {"ref": ref, "marking": "UNCLASSIFIED", "categories": ["MARITIME"], "portions": portions} | members


def file_item(ref: str, **portion: Any) -> dict[str, Any]:
    return item(ref, portions=[{"kind": "file", "marking": "(U)", "name": "map.png", "media_type": "image/png"} | portion])


def written(*lines: bytes | dict[str, Any]) -> bytes:
    return b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)


def imported(
    installation: Installation, *lines: bytes | dict[str, Any], folder: Path = Path("nowhere"), **how: Any
) -> list[dict[str, Any]]:
    return list(import_items(installation, [written(*lines)], OFFICER, files=local(installation, folder), **how))


def importer_of(installation: Installation, files: ItemFiles, **how: Any) -> Importer:
    return Importer(installation, OFFICER, ReadHere(in_force(installation), files), **how)


def local(installation: Installation, folder: Path) -> LocalFiles:
    return LocalFiles(folder, installation.files, SentFiles(installation.database))


def stored_version(installation: Installation, ref: str) -> int | None:
    """The version in force of an item: 0 in quarantine, None where it is not there at all."""
    with installation.database.reading() as connection:
        found = catalogue.item_by_ref(connection, ref)
    return None if found is None else found.version


def acts_so_far(installation: Installation) -> tuple[int, int]:
    """(act number, entries in `officers`)."""
    with installation.database.reading() as connection:
        head = logs.head(connection, "officers")
        return policies.fence(connection).act, 0 if head is None else head.size


def latest_officers_entry(installation: Installation) -> dict[str, Any]:
    with installation.database.reading() as connection:
        head = logs.head(connection, "officers")
        assert head is not None
        (row,) = logs.entries(connection, head.id, start=head.size - 1, stop=head.size)
    return {"face": json.loads(row.leaf), "record": json.loads(row.record)}


def files_on_disk(installation: Installation) -> list[Path]:
    return [path for path in installation.files.folder.rglob("*") if path.is_file()]


# --- lines ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line), max_size=8), st.data())
def test_lines_are_the_same_however_the_blocks_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    limit = 8
    whole = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    splitter = LineSplitter(limit)
    found: list[Line] = []
    for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        found += splitter.feed(whole[start:stop])
    found += splitter.finish()
    expected = [line.removesuffix(b"\r") for line in lines]
    if lines and lines[-1] == b"":
        expected.pop()
    assert found == [Line(number, line if len(line) <= limit else None) for number, line in enumerate(expected, 1)]


def test_a_line_of_a_hundred_megabytes_is_named_and_never_held(installation: Installation) -> None:
    block = b"x" * (1 << 20)

    def blocks() -> Iterator[bytes]:
        yield written(item("before"))
        for _ in range(100):
            yield block
        yield b"\n" + written(item("after"))

    tracemalloc.start()
    try:
        reports = list(import_items(installation, blocks(), OFFICER, files=SentFiles(installation.database)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = f"a line of more than {IMPORT_LINE_BYTES_MAX} bytes"
    assert reports == [
        {"line": 2, "ref": None, "result": "refused", "code": "line-too-long", "message": message},
        {"imported": 2, "quarantined": 0, "refused": 1},
    ]
    assert peak < 4 * IMPORT_LINE_BYTES_MAX


# --- bad lines ------------------------------------------------------------------------------------------------------

BAD_LINES: Final = [
    pytest.param(b"\xff\xfe{}", None, "refused", "not-utf-8", id="not UTF-8"),
    pytest.param(json.dumps(item("bad")).encode("utf-16"), None, "refused", "not-utf-8", id="UTF-16"),
    pytest.param(b"\xef\xbb\xbf" + json.dumps(item("bad")).encode(), None, "refused", "not-json", id="byte order mark"),
    pytest.param(b'{"ref":', None, "refused", "not-json", id="cut short"),
    pytest.param(b'{"ref":"bad","ref":"worse"}', None, "refused", "not-json", id="a member twice"),
    pytest.param(b'{"ref":"bad","x":' + b"[" * 1000 + b"]" * 1000 + b"}", None, "refused", "not-json", id="nested a thousand deep"),
    pytest.param(b'{"ref":"bad","x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, None, "refused", "not-json", id="nested far deeper"),
    pytest.param(b'{"ref":"bad","x":' + b"9" * 5000 + b"}", None, "refused", "not-json", id="a number of 5000 digits"),
    pytest.param(b"NaN", None, "refused", "not-json", id="not a number"),
    pytest.param(b"[]", None, "refused", "shape", id="not an object"),
    pytest.param(item("bad\nref"), None, "refused", "ref", id="a ref over two lines"),
    pytest.param(item("bad", portions=[]), "bad", "refused", "portions", id="no portions"),
    pytest.param({"ref": "bad", "marking": "UNCLASSIFIED"}, "bad", "refused", "portions", id="portions missing"),
    pytest.param(item("bad", extra=1), "bad", "refused", "unknown-member", id="an unknown member"),
    pytest.param(item("before"), "before", "refused", "ref-exists", id="a ref stored before"),
    pytest.param(item("bad", marking="(U"), "bad", "refused", "malformed-marking", id="a marking that is none"),
    pytest.param(item("bad", marking="UNCLASSIFIED\0"), "bad", "refused", "malformed-marking", id="a marking with a NUL"),
    pytest.param(
        item("bad", portions=[{"kind": "text", "marking": "(TS//NF)", "text": "x"}]), "bad", "refused", "marking-too-loose",
        id="a banner looser than its portions",
    ),
    pytest.param(
        item("bad", portions=[{"kind": "json", "marking": "(U)", "value": 2**60}]), "bad", "refused", "not-canonical",
        id="a number that JSON loses",
    ),
    pytest.param(file_item("bad"), "bad", "refused", "sha256", id="a file without path or digest"),
    pytest.param(file_item("bad", path="missing.png"), "bad", "refused", "no-file", id="a file that is not there"),
    pytest.param(item("bad", marking="SECRT//REL TO USA, JPN"), "bad", "quarantined", "unknown-level", id="an unknown level"),
    pytest.param(item("bad", categories=["MARITIM"]), "bad", "quarantined", "unknown-token", id="an unknown category"),
    pytest.param(item("bad", marking=""), "bad", "quarantined", "unmarked", id="no marking"),
    pytest.param(item("bad", portions=[{"kind": "text", "text": "x"}]), "bad", "quarantined", "unmarked", id="an unmarked portion"),
    pytest.param(
        item("bad", marking="CONFIDENTIAL", portions=[{"kind": "text", "marking": "(C)", "text": "x"}]), "bad", "quarantined", "unmarked",
        id="no audience where one is required",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("line", "ref", "result", "code"), BAD_LINES)
def test_a_bad_line_is_named_and_its_neighbours_are_loaded(
    installation: Installation, line: bytes | dict[str, Any], ref: str | None, result: str, code: str
) -> None:
    report, totals = imported(installation, item("before"), line, item("after"))
    assert {name: report[name] for name in ("line", "ref", "result", "code")} == {"line": 2, "ref": ref, "result": result, "code": code}
    assert report["message"] and "\n" not in report["message"]
    quarantined = result == "quarantined"
    assert totals == {"imported": 3 if quarantined else 2, "quarantined": int(quarantined), "refused": int(not quarantined)}
    assert stored_version(installation, "before") == stored_version(installation, "after") == 1
    assert stored_version(installation, "bad") == (0 if quarantined else None)


def test_reports_come_in_the_order_of_lines_and_blank_lines_are_counted_but_skipped(installation: Installation) -> None:
    *reports, totals = imported(installation, item("a", marking="?X"), b"", b"{", b"  \r", item("b", marking=""), item("b"), b"[]")
    assert [(report["line"], report["code"]) for report in reports] == [
        (1, reports[0]["code"]),
        (3, "not-json"),
        (5, "unmarked"),
        (6, "ref-exists"),
        (7, "shape"),
    ]
    assert totals["imported"] + totals["refused"] == 5


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40).filter(lambda line: b"\n" not in line),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["ref", "marking", "portions", "kind", "text"]), inner, max_size=4)
                ),
                max_leaves=8,
            ).map(lambda value: json.dumps(value).encode()),
            st.fixed_dictionaries(
                {
                    name: st.sampled_from([None, "x", "(U)", 1, [], {}, ["USA"]])
                    for name in ("marking", "label", "categories", "originators", "releasable_in", "compilation")
                }
            ).map(lambda members: json.dumps(item("any", **members)).encode()),
        ),
        max_size=6,
    )
)
def test_whatever_stands_in_the_lines_each_is_accounted_for_once(installation: Installation, lines: list[bytes]) -> None:
    *reports, totals = imported(installation, *lines)
    assert totals["imported"] + totals["refused"] == sum(1 for line in lines if line.strip())
    assert len({report["line"] for report in reports}) == len(reports) == totals["refused"] + totals["quarantined"]


# --- batches and acts -----------------------------------------------------------------------------------------------


def test_a_batch_is_one_act_of_so_many_items_and_its_leaf_names_them(installation: Installation) -> None:
    before = acts_so_far(installation)
    importer = importer_of(installation, SentFiles(installation.database), batch_items_max=3)
    assert importer.feed(written(*(item(f"i-{number}") for number in range(7)))) == []
    assert importer.finish() == [{"imported": 7, "quarantined": 0, "refused": 0}]
    assert acts_so_far(installation) == (before[0] + 3, before[1] + 3)
    entry = latest_officers_entry(installation)
    assert (entry["face"]["type"], entry["face"]["client"], len(entry["face"]["items"])) == ("item.import", OFFICER.client, 1)
    assert [(one["ref"], one["version"], one["result"]) for one in entry["record"]["details"]["stored"]] == [("i-6", 1, "stored")]


def test_what_comes_in_at_once_is_asked_of_the_database_at_once(installation: Installation) -> None:
    """Not line by line: an import of a hundred thousand items is bounded by that."""

    def statements(*lines: dict[str, Any]) -> int:
        ran: list[str] = []
        engine = installation.database.engine
        event.listen(engine, "before_cursor_execute", watch := lambda _1, _2, sql, _3, _4, _5: ran.append(sql))
        assert imported(installation, *lines) == [{"imported": len(lines), "quarantined": 0, "refused": 0}]
        event.remove(engine, "before_cursor_execute", watch)
        return len(ran)

    statements(item("a"), item("b"))
    assert statements(*(item(f"few-{number}") for number in range(3))) == statements(*(item(f"many-{number}") for number in range(60)))


def test_portions_stand_beside_those_of_their_item_and_items_of_a_batch_apart(installation: Installation) -> None:
    """By their ids, so that an index over them is written in few places; that items came together is nobody's to see."""
    imported(installation, *(item(f"i-{number}") for number in range(200)))
    with installation.database.reading() as connection:
        pairs = connection.exec_driver_sql("SELECT item_id, id FROM portion").all()
    assert {(portion[:8] == item_id[:8], len(portion), portion[8:] == item_id[8:]) for item_id, portion in pairs} == {(True, 22, False)}
    assert len({item_id[:4] for item_id, _ in pairs}) > 190


def test_a_batch_ends_with_its_bytes_too(installation: Installation) -> None:
    before = acts_so_far(installation)
    importer = importer_of(installation, SentFiles(installation.database), batch_bytes_max=1000)
    big = [{"kind": "text", "marking": "(U)", "text": "x" * 1000}]
    importer.feed(written(item("a", portions=big), item("b", portions=big)))
    importer.finish()
    assert acts_so_far(installation) == (before[0] + 2, before[1] + 2)


def test_the_longest_batch_fits_in_a_leaf(installation: Installation) -> None:
    *_, totals = imported(installation, *(item(f"i-{number}") for number in range(1000)))
    assert totals["imported"] == 1000
    assert len(latest_officers_entry(installation)["face"]["items"]) == 1000


def test_an_import_that_stores_nothing_is_no_act(installation: Installation) -> None:
    imported(installation, item("a"))
    before = acts_so_far(installation)
    *_, totals = imported(installation, item("a"), b"{")
    assert totals == {"imported": 0, "quarantined": 0, "refused": 2}
    assert acts_so_far(installation) == before


def test_a_batch_that_cannot_be_committed_leaves_nothing(installation: Installation, folder: Path) -> None:
    (folder / "map.png").write_bytes(b"map")
    before = acts_so_far(installation)
    importer = importer_of(installation, local(installation, folder))
    importer.feed(written(item("a"), file_item("b", path="map.png"), item("c", marking="")))
    with installation.database.acting(), pytest.raises(Busy):
        importer.finish()
    assert [stored_version(installation, ref) for ref in "abc"] == [None, None, None]
    assert acts_so_far(installation) == before
    with installation.database.reading() as connection:
        assert catalogue.quarantined(connection, after=(0, 0), limit=10) == []


def test_what_was_read_under_a_policy_that_is_no_longer_in_force_is_read_again(installation: Installation, folder: Path) -> None:
    files = read_directory(ROOT / "policies")
    (folder / "map.png").write_bytes(b"map")
    importer = importer_of(installation, local(installation, folder))
    importer.feed(written(item("without", categories=[]), file_item("with", path="map.png")))
    stricter = files["scheme.toml"].replace(b'categories_required_from = "CONFIDENTIAL"', b'categories_required_from = "UNCLASSIFIED"')
    assert stricter != files["scheme.toml"]
    publish_as_two(installation, {**files, "scheme.toml": stricter}, OFFICER)
    report, totals = importer.finish()
    assert (report["ref"], report["result"], report["code"]) == ("without", "quarantined", "unmarked")
    assert totals == {"imported": 2, "quarantined": 1, "refused": 0}
    assert (stored_version(installation, "without"), stored_version(installation, "with")) == (0, 1)


# --- update and mapping ---------------------------------------------------------------------------------------------


def test_an_update_makes_a_new_version_in_which_unchanged_portions_stay_themselves(installation: Installation) -> None:
    imported(installation, item("a"))
    changed = item("a")
    changed["portions"][1]["text"] = "other words"
    assert imported(installation, changed, update=True) == [{"imported": 1, "quarantined": 0, "refused": 0}]
    assert stored_version(installation, "a") == 2
    with installation.database.reading() as connection:
        versions = catalogue.item_by_ref(connection, "a")
        assert versions is not None
        held = catalogue.versions_at(connection, [versions.id], at=policies.fence(connection).at, released=lambda _: True)[versions.id]
        title, text = held.portions
    assert text.portion.content == b"other words"
    assert title.portion.changed_at < text.portion.changed_at


def in_batches(installation: Installation, name: str, count: int) -> list[dict[str, Any]]:
    importer = importer_of(installation, SentFiles(installation.database), batch_items_max=100)
    return [*importer.feed(written(*(item(f"{name}/{number}") for number in range(count)))), *importer.finish()]


def test_a_large_import_leaves_the_search_index_in_one_piece(installation: Installation) -> None:
    assert in_batches(installation, "a", 900) == [{"imported": 900, "quarantined": 0, "refused": 0}]
    with installation.database.reading() as connection:
        assert search.runs(connection) > 4, "a small one does not write it anew"
    in_batches(installation, "b", 1000)
    with installation.database.reading() as connection:
        assert search.runs(connection) == 1


def test_putting_the_index_together_ends_though_others_go_on_adding_to_it(installation: Installation) -> None:
    in_batches(installation, "a", 900)

    class Adds(Database):
        """A database to which somebody adds an item whenever a step is begun."""

        @contextmanager
        def releasing(self) -> Iterator[Connection]:
            added.append(imported(installation, item(f"more/{len(added)}")))
            assert len(added) < 100, "it would never end"
            with super().releasing() as connection:
                yield connection

    added: list[object] = []
    compact(Adds(installation.database.engine))
    assert added


def test_where_another_holds_the_database_the_index_is_put_together_another_time(installation: Installation) -> None:
    in_batches(installation, "a", 900)
    with installation.database.releasing():
        compact(installation.database)
    with installation.database.reading() as connection:
        assert search.runs(connection) > 4


def test_an_item_twice_in_an_update_is_two_versions(installation: Installation) -> None:
    assert imported(installation, item("a"), item("a"), update=True) == [{"imported": 2, "quarantined": 0, "refused": 0}]
    assert stored_version(installation, "a") == 2


JPN = "(S//REL TO USA, JPN)"
HIGHEST = "SECRET//NOFORN"


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ({"marking": "(S//NF)"}, {"marking": "(U)"}, "the level is lowered from `SECRET` to `UNCLASSIFIED`"),
        ({"marking": "(S//NF)"}, {"marking": JPN}, "`JPN` is added to the audience for release"),
        ({"marking": JPN, "categories": ["CYBER"]}, {"marking": JPN}, "category `CYBER` is dropped"),
        ({"marking": JPN, "originators": ["USA", "JPN"]}, {"marking": JPN}, "originator `JPN` is dropped"),
        ({"marking": "(S//NF)"}, {"marking": "(S//NF)", "declassify_on": "2027-01-01"}, "the level is lowered from `SECRET`"),
        ({"marking": JPN, "not_before": {"*": "2027-01-01"}}, {"marking": JPN}, "`JPN` is added to the audience for release"),
    ],
)
@pytest.mark.parametrize("way", ["a version", "an import"])
def test_a_version_opens_nothing_that_is_stored_already(
    installation: Installation, way: str, was: dict[str, Any], becomes: dict[str, Any], told: str
) -> None:
    """Two officers do that, by relabelling it. Other words may come with any label: whoever loads them says what they are."""
    title, text = {"kind": "title", "text": "T", "marking": "(U)"}, {"kind": "text", "text": "the same words"}
    imported(installation, {"ref": "a", "marking": HIGHEST, "categories": ["MARITIME"], "portions": [title, text | was]})
    version = {
        "ref": "a",
        "marking": HIGHEST,
        "categories": ["MARITIME"],
        "portions": [title, {"kind": "text", "text": "one more", "marking": "(U)"}, text | becomes],
    }
    before = (acts_so_far(installation), stored_version(installation, "a"))
    if way == "an import":
        report, totals = imported(installation, version, update=True)
        assert totals == {"imported": 0, "quarantined": 0, "refused": 1}
        assert (report["result"], report["code"]) == ("refused", "widens")
        message = report["message"]
    else:
        with installation.database.reading() as connection:
            known = catalogue.item_by_ref(connection, "a")
        assert known is not None
        with pytest.raises(Conflict) as raised:
            store_one(installation, version, OFFICER, files=SentFiles(installation.database), item_id=known.id)
        assert raised.value.code == "widens"
        message = str(raised.value)
    assert message.startswith("portion 2 is stored already, and ")
    assert told in message
    assert "which takes a second officer" in message
    assert (acts_so_far(installation), stored_version(installation, "a")) == before
    version["portions"][2]["text"] = "other words"
    assert imported(installation, version, update=True)[-1]["refused"] == 0
    version["portions"][2] = text | was
    assert imported(installation, version, update=True)[-1]["refused"] == 0, "what a version no longer has is loaded, not stored"


def test_a_version_may_raise_and_leave_out_and_say_again(installation: Installation) -> None:
    imported(installation, item("a"))
    raised = item("a", marking=HIGHEST)
    raised["portions"][1]["marking"] = "(S//NF)"
    for version in (item("a"), raised, raised, raised | {"portions": raised["portions"][1:]}):
        assert imported(installation, version, update=True)[-1] == {"imported": 1, "quarantined": 0, "refused": 0}
    report, _ = imported(installation, item("a"), update=True)
    assert report["code"] == "widens", "a feed that is read again does not put back what was raised since"


@pytest.mark.parametrize("compilation", [None, "SECRET//REL TO USA, JPN"])
def test_a_version_leaves_no_compilation_behind_that_its_portions_were_stored_under(
    installation: Installation, compilation: str | None
) -> None:
    portions = [{"kind": "text", "text": words, "marking": "(U)"} for words in ("one", "two", "three")]
    imported(
        installation, {"ref": "a", "marking": HIGHEST, "categories": ["MARITIME"], "portions": portions, "compilation": "SECRET//NOFORN"}
    )
    version = {"ref": "a", "marking": HIGHEST, "categories": ["MARITIME"], "portions": portions[1:]} | (
        {} if compilation is None else {"compilation": compilation}
    )
    report, _ = imported(installation, version, update=True)
    assert (report["code"], report["message"].split(" under ")[0]) == ("widens", "2 portions are stored already")
    assert imported(installation, version | {"portions": portions[1:2]}, update=True)[-1]["refused"] == 0, "one alone compiles nothing"


def test_a_version_in_quarantine_leaves_the_earlier_one_in_force(installation: Installation) -> None:
    report, _ = imported(installation, item("a"), item("a", marking=""), update=True)
    assert (report["line"], report["result"]) == (2, "quarantined")
    assert stored_version(installation, "a") == 1


def test_a_mapping_makes_items_and_what_it_refuses_is_a_report_line(installation: Installation) -> None:
    def mapping(document: Any) -> dict[str, Any]:
        if "name" not in document:
            raise Rejected("member `name` is missing", code="missing-member")
        return item(document["name"])

    *reports, totals = imported(installation, {"name": "a"}, {"title": "?"}, b"[]", mapping=mapping)
    assert [(report["line"], report["code"]) for report in reports] == [(2, "missing-member"), (3, "shape")]
    assert totals == {"imported": 1, "quarantined": 0, "refused": 2}
    assert stored_version(installation, "a") == 1


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_file_beside_the_import_is_stored_under_its_digest_with_its_item(installation: Installation, folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "map.png").write_bytes(b"the map")
    (folder / "link.png").symlink_to("deep/map.png")
    totals = imported(installation, file_item("a", path="deep/map.png"), file_item("b", path="link.png"), folder=folder)
    assert totals == [{"imported": 2, "quarantined": 0, "refused": 0}]
    (kept,) = files_on_disk(installation)
    assert kept.read_bytes() == b"the map"
    with installation.database.reading() as connection:
        assert catalogue.file_size(connection, bytes.fromhex(kept.parent.name + kept.name)) == 7


def _a_folder(folder: Path) -> None:
    (folder / "named").mkdir()


def _a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "named")


def _a_link_out(folder: Path) -> None:
    (folder.parent / "secret").write_bytes(b"not to be shared")
    (folder / "named").symlink_to("../secret")


def _a_loop(folder: Path) -> None:
    (folder / "named").symlink_to("named")


def _too_large(folder: Path) -> None:
    with (folder / "named").open("wb") as stream:
        stream.truncate(FILE_BYTES_MAX + 1)


def _other_bytes(folder: Path) -> None:
    (folder / "named").write_bytes(b"other")


@pytest.mark.parametrize(
    ("make", "portion", "code"),
    [
        pytest.param(None, {"path": "../data/entente.db"}, "path", id="a path upwards"),
        pytest.param(None, {"path": "deep/../../data/entente.db"}, "path", id="a path upwards in the middle"),
        pytest.param(None, {"path": "/etc/hostname"}, "path", id="an absolute path"),
        pytest.param(None, {"path": ""}, "path", id="an empty path"),
        pytest.param(None, {"path": "a\x00b"}, "path", id="a NUL"),
        pytest.param(None, {"path": 5}, "path", id="not a string"),
        pytest.param(None, {"path": "named"}, "no-file", id="missing"),
        pytest.param(None, {"path": "x" * 5000}, "no-file", id="a name too long for a disk"),
        pytest.param(_a_link_out, {"path": "named"}, "path", id="a link that leads out"),
        pytest.param(_a_loop, {"path": "named"}, "no-file", id="a link to itself"),
        pytest.param(_a_folder, {"path": "named"}, "no-file", id="a folder"),
        pytest.param(_a_pipe, {"path": "named"}, "no-file", id="a pipe nobody writes to"),
        pytest.param(_too_large, {"path": "named"}, "file-too-large", id="too large"),
        pytest.param(_other_bytes, {"path": "named", "sha256": "0" * 64}, "sha256", id="not the digest that was said"),
        pytest.param(_other_bytes, {"path": "named", "sha256": "0"}, "sha256", id="a digest that is none"),
        pytest.param(None, {"sha256": "0" * 64}, "no-file", id="a digest never sent"),
    ],
)
def test_a_file_that_may_not_be_had_is_named_and_nothing_of_its_item_is_kept(
    installation: Installation, folder: Path, make: Callable[[Path], None] | None, portion: dict[str, Any], code: str
) -> None:
    (folder / "good.png").write_bytes(b"good")
    if make is not None:
        make(folder)
    bad = file_item("bad", path="good.png")
    bad["portions"] += file_item("bad", **portion)["portions"]
    report, totals = imported(installation, bad, item("after"), folder=folder)
    assert (report["line"], report["ref"], report["code"]) == (1, "bad", code)
    assert totals == {"imported": 1, "quarantined": 0, "refused": 1}
    assert files_on_disk(installation) == []
    assert stored_version(installation, "bad") is None


def test_over_http_a_file_is_named_by_digest_and_never_by_path(installation: Installation) -> None:
    sha256, size = installation.files.put([b"sent"])
    with installation.acts.registering("file.add", OFFICER) as act:
        catalogue.add_file(act.connection, sha256, size)
    files = SentFiles(installation.database)
    assert store_one(installation, file_item("a", sha256=sha256.hex()), OFFICER, files=files).result == "stored"
    with pytest.raises(Refusal, match="expected the `sha256`"):
        store_one(installation, file_item("b", path="map.png"), OFFICER, files=files)


# --- one item -------------------------------------------------------------------------------------------------------


def test_one_item_is_one_act_of_its_own(installation: Installation) -> None:
    files = SentFiles(installation.database)
    created = store_one(installation, item("a"), OFFICER, files=files)
    assert (created.result, created.version) == ("stored", 1)
    assert latest_officers_entry(installation)["face"]["type"] == "item.create"
    without_ref = {name: value for name, value in item("a").items() if name != "ref"}
    again = store_one(installation, without_ref, OFFICER, files=files, item_id=created.item_id)
    assert (again.result, again.item_id, again.version, again.ref) == ("stored", created.item_id, 2, "a")
    entry = latest_officers_entry(installation)
    assert (entry["face"]["type"], entry["face"]["items"]) == ("item.version", [{"id": created.item_id}])
    assert entry["record"]["details"] == {"id": created.item_id, "ref": "a", "version": 2, "result": "stored"}
    held = store_one(installation, item("b", marking=""), OFFICER, files=files)
    assert (held.result, held.code) == ("quarantined", "unmarked")


def test_one_item_that_is_refused_is_no_act(installation: Installation) -> None:
    files = SentFiles(installation.database)
    created = store_one(installation, item("a"), OFFICER, files=files)
    before = acts_so_far(installation)
    with pytest.raises(Conflict) as conflict:
        store_one(installation, item("a"), OFFICER, files=files)
    assert conflict.value.code == "ref-exists"
    with pytest.raises(Refusal) as refusal:
        store_one(installation, item("other"), OFFICER, files=files, item_id=created.item_id)
    assert refusal.value.code == "ref"
    with pytest.raises(Conflict) as absent:
        store_one(installation, item("a"), OFFICER, files=files, item_id="no-such-item")
    assert absent.value.code == "no-item"
    with pytest.raises(Refusal):
        store_one(installation, "not an item", OFFICER, files=files)
    assert acts_so_far(installation) == before
