"""Exports of logs of which some was pruned: each format says of which, and an evidence bundle proves how much and where."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.releaselog.leaf import canonical
from service.releaselog.merkle import root
from service.sharing import holds, pruning
from service.sharing.acts import Actor
from service.sharing.exports.export import Export, Format, exporting
from service.sharing.exports.selection import Selection
from service.sharing.exports.writing import to_folder
from service.sharing.holds import Conditions
from service.store.logs import AuditFilter
from service.store.times import micros
from tests.support.exported import DOES_NOT_HOLD, HOLDS, lines, reseal, settle_manifest, verify, vkeys, write_lines
from tests.support.old_logs import auditors, fill
from tests.support.store_bundles import bundle_files
from tests.support.store_world import World

GONE = [(0, 256), (512, 768)]
AUDITOR = Actor("c_auditor", "cli")


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The log of JPN without two of its three old tiles; the one between them is held."""
    world = World(tmp_path_factory.mktemp("pruned") / "data", retention_days=300)
    world.publish(bundle_files())
    one, other = auditors(world.installation)
    times = [micros(datetime(2025, month, 1, tzinfo=UTC)) for month in (1, 2, 3) for _ in range(256)]
    fill(world.installation, "JPN", [*times, world.clock.micros, world.clock.micros])
    held = Conditions(since=datetime(2025, 2, 1, tzinfo=UTC), until=datetime(2025, 2, 2, tzinfo=UTC))
    holds.add(world.installation.acts, one, held, reason="an inquiry")
    pending = pruning.propose(world.installation, one, before=datetime(2026, 1, 1, tzinfo=UTC), log=None, reason="the policy")
    done = pruning.approve(world.installation, pending.proposal.id, other)
    assert [(span.start, span.stop) for span in done.plan.ranges] == GONE
    yield world
    world.close()


def exported(world: World, asked: AuditFilter = AuditFilter()) -> Any:
    return exporting(world.installation, AUDITOR, Selection(asked, {}), "test")


def content(world: World, format_: Format, asked: AuditFilter = AuditFilter()) -> bytes:
    with exported(world, asked) as export:
        made: Export = export
        return b"".join(made.content(format_))


@pytest.fixture(scope="module")
def kept(pruned: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles of every log, and of JPN's items alone. To be copied."""
    folder = tmp_path_factory.mktemp("bundles")
    for name, asked in (("whole", AuditFilter()), ("items", AuditFilter(log="JPN", type="item"))):
        with exported(pruned, asked) as export:
            to_folder(export.pieces(), folder / name)
    return folder


# --- evidence bundles -------------------------------------------------------------------------------------------------


def test_a_bundle_holds_and_says_how_many_were_pruned_and_where(kept: Path) -> None:
    for name, shown in (("whole", 258), ("items", None)):
        verdict = verify("export", kept / name, *vkeys(kept / name))
        assert verdict.code == HOLDS, verdict.said
        (log,) = [one for one in json.loads((kept / name / "manifest.json").read_bytes())["logs"] if one["log"] == "JPN"]
        assert [(span["start"], span["stop"]) for span in log["pruned"]] == GONE
        assert shown in (None, log["included"])
        assert f"{log['left_out']} left out (512 of them pruned: entries 0 to 255, 512 to 767)" in verdict.said
        remark = "is to say that entries 0 to 255 of log JPN were pruned, and is not in this export"
        assert (remark in verdict.said) == (name == "items"), "the log officers says it, where it is shown"
    assert all("pruned" not in one for one in json.loads((kept / "whole" / "manifest.json").read_bytes())["logs"] if one["log"] != "JPN")


def _spans(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = next(one for one in manifest["logs"] if one["log"] == "JPN")["pruned"]
    return spans


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda spans: spans[0].update(stop=512), "shown, and pruned as the manifest says"),
        (lambda spans: spans[0].update(stop=255), "which are no tiles of it"),
        (lambda spans: spans.reverse(), "which are no tiles of it"),
        (lambda spans: spans[1].update(stop=1024), "which are no tiles of it"),
        (lambda spans: spans[1].pop("event_id"), "without `start`, `stop` and `event_id`"),
        (lambda spans: spans.pop(), "says that entries 512 to 767 of log JPN were pruned, the manifest does not"),
        (lambda spans: spans.clear(), "says that entries 0 to 255 of log JPN were pruned, the manifest does not"),
    ],
)
def test_a_manifest_that_says_otherwise_is_found(kept: Path, tmp_path: Path, change: Any, said: str) -> None:
    folder = shutil.copytree(kept / "whole", tmp_path / "whole")
    settle_manifest(folder, lambda manifest: change(_spans(manifest)))
    verdict = verify("export", folder, *vkeys(folder))
    assert verdict.code == DOES_NOT_HOLD, verdict.said
    assert said in verdict.said


def test_entries_left_out_cannot_be_passed_off_as_pruned(kept: Path, tmp_path: Path) -> None:
    """Whoever takes a tile out of an export, and says that it was pruned, has the entry against him that says what was."""
    folder = shutil.copytree(kept / "whole", tmp_path / "whole")
    entries = [entry for entry in lines(folder) if entry["log"] != "JPN" or not 256 <= entry["index"] < 512]
    hidden = [entry for entry in lines(folder) if entry["log"] == "JPN" and 256 <= entry["index"] < 512]
    gaps = [json.loads(line) for line in (folder / "left-out.jsonl").read_bytes().splitlines()]
    middle = root([bytes.fromhex(entry["leaf_hash"]) for entry in hidden]).hex()
    forged = {"hashes": [middle], "log": "JPN", "start": 256, "stop": 512}
    write_lines(folder, entries)
    (folder / "left-out.jsonl").write_bytes(b"".join(canonical(gap) + b"\n" for gap in [gaps[0], forged, *gaps[1:]]))

    def claim(manifest: dict[str, Any]) -> None:
        _spans(manifest).insert(1, {**_spans(manifest)[0], "start": 256, "stop": 512})

    settle_manifest(folder, claim)
    verdict = verify("export", folder, *vkeys(folder))
    assert verdict.code == DOES_NOT_HOLD, verdict.said
    assert "the manifest says that entries 256 to 511 of log JPN were pruned, event" in verdict.said


def test_an_entry_that_says_what_was_pruned_is_sealed(kept: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(kept / "whole", tmp_path / "whole")
    entries = lines(folder)
    (leaf,) = [entry for entry in entries if entry["face"]["type"] == "log.prune"]
    leaf["record"]["details"]["ranges"][0]["stop"] = 512
    reseal(leaf)
    write_lines(folder, entries)
    settle_manifest(folder)
    verdict = verify("export", folder, *vkeys(folder))
    assert verdict.code == DOES_NOT_HOLD
    assert "log officers: entries and gaps lead to root" in verdict.said


# --- tables, events, pages --------------------------------------------------------------------------------------------


def test_lines_of_json_begin_with_what_is_gone(pruned: World) -> None:
    found = [json.loads(line) for line in content(pruned, Format.JSONL, AuditFilter(log="JPN")).splitlines()]
    assert [(one["log"], one["pruned"]["start"], one["pruned"]["stop"]) for one in found[:2]] == [("JPN", *span) for span in GONE]
    assert [one["index"] for one in found[2:]] == [*range(256, 512), 768, 769]
    later = content(pruned, Format.JSONL, AuditFilter(log="JPN", since=micros(datetime(2026, 1, 1, tzinfo=UTC))))
    assert b'"pruned":' not in later, "none of it was of that time"


def test_a_table_has_a_row_for_each_run(pruned: World) -> None:
    rows = list(csv.DictReader(io.StringIO(content(pruned, Format.CSV, AuditFilter(log="JPN")).decode())))
    assert [(row["log"], row["index"], row["type"], row["at"]) for row in rows[:2]] == [
        ("JPN", "0-255", "pruned", "2025-01-01T00:00:00.000000Z"),
        ("JPN", "512-767", "pruned", "2025-03-01T00:00:00.000000Z"),
    ]
    assert all(row["type"] != "pruned" for row in rows[2:])


def test_events_tell_of_deletions(pruned: World) -> None:
    events = [json.loads(line) for line in content(pruned, Format.OCSF, AuditFilter(log="JPN")).splitlines()]
    _, other = auditors(pruned.installation)
    assert [(one["activity_name"], one["unmapped"]["pruned"]["start"], one["actor"]["user"]["uid"]) for one in events[:2]] == [
        ("Delete", 0, other.client),
        ("Delete", 512, other.client),
    ]
    assert events[0].keys() == events[2].keys(), "of the same class"


def test_a_report_says_what_nobody_can_tell(pruned: World) -> None:
    page = content(pruned, Format.HTML, AuditFilter(log="JPN")).decode()
    assert "<h2>Pruned</h2>" in page
    assert "<td>0 to 255</td>" in page and "<td>512 to 767</td>" in page
    assert "Pruned" not in content(pruned, Format.HTML, AuditFilter(log="AUS")).decode()
