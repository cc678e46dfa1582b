"""Lines read in a process beside: the same as read here, whatever becomes of that process."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from service.demo import MAPPINGS
from service.policy import read_directory
from service.sharing.importing import Importer, import_items, in_force
from service.sharing.installation import Installation
from service.sharing.item_files import LocalFiles, SentFiles
from service.sharing.line_reading import Line, LineReader, LineSplitter, ReadBeside, ReadHere, ReadLine
from tests.support.published import OFFICER, ROOT, opened_at
from tests.support.two_officers import publish_as_two

DOCUMENTS: Final = ROOT / "service" / "demo" / "documents.jsonl"


@pytest.fixture
def files(installation: Installation, tmp_path: Path) -> LocalFiles:
    (tmp_path / "map.png").write_bytes(b"a map")
    return LocalFiles(tmp_path, installation.files, SentFiles(installation.database))


@pytest.fixture
def beside(installation: Installation, files: LocalFiles) -> Iterator[ReadBeside]:
    reader = ReadBeside(in_force(installation), files, batch_lines_max=4)
    yield reader
    reader.close()


def item(ref: str, **members: Any) -> dict[str, Any]:
    portions = [
        {"kind": "title", "marking": "(U)", "text": f"Title of {ref}"},
        {"kind": "text", "marking": "(S//REL TO USA, GBR)", "text": "words", "declassify_on": "2040-01-01"},
    ]
    return {"ref": ref, "marking": "SECRET//REL TO USA, GBR", "categories": ["MARITIME"], "portions": portions} | members


def with_map(ref: str, **portion: str) -> dict[str, Any]:
    return item(
        ref, portions=[{"kind": "file", "marking": "(U)", "name": "m.png", "media_type": "image/png"} | portion], marking="UNCLASSIFIED"
    )


def every_kind_of_line() -> bytes:
    lines: list[bytes | dict[str, Any]] = []
    for number in range(6):
        more: list[bytes | dict[str, Any]] = [
            item(f"good/{number}"),
            b"",
            b"{",
            b"\xff\xfe",
            b"x" * 3000,
            item(f"unmarked/{number}", marking=""),
            with_map(f"file/{number}", path="map.png"),
            with_map(f"no-file/{number}", path="elsewhere.png"),
            with_map(f"not-sent/{number}", sha256="0" * 64),
            item(f"loose/{number}", marking="UNCLASSIFIED"),
            item(f"strange/{number}", strange=True),
            b"[]",
        ]
        lines += more
    return b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)


def cut(content: bytes) -> list[Line]:
    splitter = LineSplitter(limit=2500)
    return [*splitter.feed(content), *splitter.finish()]


def all_read(reader: LineReader, lines: list[Line], *, at_once: int = 7) -> list[ReadLine]:
    found: list[ReadLine] = []
    for start in range(0, len(lines), at_once):
        found += reader.read(lines[start : start + at_once])
    return [*found, *reader.finish()]


def test_what_is_read_beside_is_what_is_read_here_in_the_same_order(
    installation: Installation, files: LocalFiles, beside: ReadBeside
) -> None:
    lines = cut(every_kind_of_line())
    here = all_read(ReadHere(in_force(installation), files), lines)
    assert {one.code for one in here} == {
        "",
        "not-json",
        "not-utf-8",
        "line-too-long",
        "no-file",
        "marking-too-loose",
        "unknown-member",
        "shape",
    }
    assert all_read(beside, lines) == here
    assert beside.pid is not None, "lines of more than one batch are read beside"


def test_an_import_beside_reports_and_stores_what_one_here_does(published_folder: Path, tmp_path: Path) -> None:
    content = every_kind_of_line()
    told = []
    for beside in (False, True):
        installation = opened_at(shutil.copytree(published_folder, tmp_path / f"data-{beside}"))
        (tmp_path / "map.png").write_bytes(b"a map")
        files = LocalFiles(tmp_path, installation.files, SentFiles(installation.database))
        reader = ReadBeside(in_force(installation), files, batch_lines_max=4) if beside else ReadHere(in_force(installation), files)
        importer = Importer(installation, OFFICER, reader, batch_items_max=4)
        reports = [*importer.feed(content[:5000]), *importer.feed(content[5000:]), *importer.finish()]
        reader.close()
        with installation.database.reading() as connection:
            rows = connection.exec_driver_sql(
                "SELECT i.ref, i.version, v.marking, vp.position, vp.marking, hex(p.content_sha256) FROM item i JOIN version v "
                "ON v.item_id = i.id LEFT JOIN version_portion vp ON vp.version_id = v.id LEFT JOIN portion p ON p.id = vp.portion_id "
                "ORDER BY i.ref, vp.position"
            ).all()
        told.append((reports, rows))
        installation.close()
    assert told[0] == told[1]
    assert told[0][0][-1]["imported"] == 18


def test_an_import_of_a_process_of_its_own_reads_beside_and_leaves_nothing_behind(installation: Installation, files: LocalFiles) -> None:
    before = gc.get_threshold()
    during = []

    def blocks() -> Iterator[bytes]:
        for _ in range(3):
            yield b"{\n" * 1000
            during.append((len(multiprocessing.active_children()), gc.get_threshold() == before))

    *reports, totals = import_items(installation, blocks(), OFFICER, files=files, own_process=True)
    assert totals == {"imported": 0, "quarantined": 0, "refused": 3000}
    assert [report["line"] for report in reports] == list(range(1, 3001))
    assert during[-1] == (1, False)
    assert (multiprocessing.active_children(), gc.get_threshold(), gc.get_freeze_count()) == ([], before, 0)


def test_few_lines_start_no_process(beside: ReadBeside) -> None:
    assert [one.number for one in all_read(beside, cut(b"{\n{\n{"))] == [1, 2, 3]
    assert beside.pid is None


@pytest.mark.parametrize("taken", [5, 9, 12, 13])
def test_when_the_process_dies_no_line_is_lost_and_none_is_read_twice(
    installation: Installation, files: LocalFiles, beside: ReadBeside, taken: int
) -> None:
    """Killed after its start, with a batch in its hands, with an answer on its way: nothing shows but a warning."""
    lines = cut(b"\n".join(json.dumps(item(f"i/{number}")).encode() for number in range(40)))
    found = list(beside.read(lines[:taken]))
    assert beside.pid is not None
    os.kill(beside.pid, signal.SIGKILL)
    found += all_read(beside, lines[taken:])
    assert found == all_read(ReadHere(in_force(installation), files), lines)
    assert beside.pid is None


def test_when_the_process_dies_in_an_import_every_item_is_stored(installation: Installation, files: LocalFiles, beside: ReadBeside) -> None:
    importer = Importer(installation, OFFICER, beside, batch_items_max=4)
    for number in range(40):
        importer.feed(json.dumps(item(f"i/{number}")).encode() + b"\n")
        if number == 21:
            assert beside.pid is not None
            os.kill(beside.pid, signal.SIGKILL)
    assert importer.finish() == [{"imported": 40, "quarantined": 0, "refused": 0}]


def test_a_policy_that_comes_into_force_meanwhile_is_the_one_that_lines_are_read_under(
    installation: Installation, beside: ReadBeside
) -> None:
    lines = cut(b"\n".join(json.dumps(item(f"i/{number}", categories=[])).encode() for number in range(40)))
    found = list(beside.read(lines[:20]))
    read_under = {one.item.bundle for one in found if one.item is not None}
    policy = read_directory(ROOT / "policies")
    publish_as_two(installation, {**policy, "scheme.toml": policy["scheme.toml"] + b"\n# another\n"}, OFFICER)
    later = all_read(beside, lines[20:])
    read_under_later = [one.item.bundle for one in later if one.item is not None]
    assert beside.pid is not None
    assert len(read_under) == 1
    assert read_under_later[-1] not in read_under
    assert sorted(set(read_under_later), key=read_under_later.index)[1:] == [in_force(installation)()[0].digest]


def test_foreign_documents_are_mapped_beside_as_here(installation: Installation, files: LocalFiles) -> None:
    mapping = MAPPINGS["frus"]
    lines = cut(DOCUMENTS.read_bytes())[:20]
    beside = ReadBeside(in_force(installation), files, mapping, batch_lines_max=4)
    try:
        assert all_read(beside, lines) == all_read(ReadHere(in_force(installation), files, mapping), lines)
        assert beside.pid is not None
    finally:
        beside.close()


def fails(document: Mapping[str, object]) -> Mapping[str, Any]:
    """A mapping with a mistake in it."""
    raise LookupError(f"of {document['ref']}")


def test_a_mistake_of_ours_shows_in_the_process_that_asked_and_prints_no_content(
    installation: Installation, files: LocalFiles, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = cut(b"\n".join(b"{" for _ in range(8)) + b"\n" + b"\n".join(json.dumps(item("KESTREL")).encode() for _ in range(8)))
    beside = ReadBeside(in_force(installation), files, fails, batch_lines_max=4)
    try:
        with pytest.raises(LookupError):
            all_read(beside, lines)
    finally:
        beside.close()
    assert "KESTREL" not in "".join(capfd.readouterr())


_IMPORTS: Final = """
import sys
from pathlib import Path
from service.settings import Settings
from service.sharing.importing import in_force
from service.sharing.installation import open_installation
from service.sharing.item_files import SentFiles
from service.sharing.line_reading import Line, ReadBeside

if __name__ == "__main__":
    installation = open_installation(Settings(data=Path(sys.argv[1])))
    reader = ReadBeside(in_force(installation), SentFiles(installation.database), batch_lines_max=2)
    list(reader.read([Line(number, b"{") for number in range(8)]))
    print(reader.pid, flush=True)
    sys.stdin.read()
"""


def test_the_process_ends_when_the_one_that_asks_is_killed(published_folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "imports.py"
    script.write_text(_IMPORTS)
    data = shutil.copytree(published_folder, tmp_path / "data")
    with subprocess.Popen([sys.executable, str(script), str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        beside = os.pidfd_open(int(asking.stdout.readline()))
        try:
            assert not ended(beside, within=0)
            asking.kill()
            assert ended(beside, within=60)
        finally:
            os.close(beside)


def ended(process: int, *, within: float) -> bool:
    return bool(select.select([process], [], [], within)[0])
