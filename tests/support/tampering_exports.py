"""Kinds of tampering with an evidence bundle, as a forger would: the manifest agrees with the files again afterwards.

What finds them is the offline verifier alone, with keys that its user brought: it sees no database.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from service.releaselog import offline_verifier
from service.releaselog.checkpoint import Checkpoint, sign_checkpoint
from service.releaselog.leaf import canonical
from service.releaselog.merkle import root
from service.releaselog.notes import Signer
from service.sharing.exports.export import Format, exporting
from service.sharing.exports.selection import Selection
from service.sharing.exports.writing import to_folder
from service.store.logs import AuditFilter
from tests.support.exported import COMPACT, lines, reseal, settle_manifest, write_lines
from tests.support.faults import MACHINE_HERE
from tests.support.interop_cases import flipped
from tests.support.tampering import Target

Change = Callable[[Path, random.Random], None]
KINDS: Final[dict[str, Change]] = {}
FILTERED: Final = frozenset({"gap-hash-bit", "gap-left-out", "gap-wider", "gap-narrower"})
"""Those that concern what a filtered export leaves out."""
ON_COMPACT: Final[set[str]] = set()
"""Those of an export in which what entries have in common is said once."""
UNSETTLED: Final = frozenset({"file-bit", "manifest-counts", "file-missing"})
"""Those after which the manifest is left as it is."""


def export(target: Target, folder: Path, *, filtered: bool, compact: bool = False) -> None:
    """Export what the target's logs hold: all of it, or one partner's items."""
    asked = AuditFilter(log="JPN", type="item") if filtered else AuditFilter()
    query = {"log": "JPN", "type": "item"} if filtered else {}
    with exporting(target.installation, MACHINE_HERE, Selection(asked, query), Format.BUNDLE) as made:
        to_folder(made.pieces(compact=compact), folder)


def check_offline(folder: Path, keys: list[str], *arguments: str) -> tuple[int, str]:
    """The verifier's exit code and what it said. `keys` are those of the logs, known from elsewhere."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = offline_verifier.main(["export", str(folder), *(part for key in keys for part in ("--key", key)), *arguments])
    return code, said.getvalue()


def _kind(name: str) -> Callable[[Change], Change]:
    def enter(change: Change) -> Change:
        KINDS[name] = change
        return change

    return enter


def _on_rows(change: Callable[[list[dict[str, Any]], int, random.Random], None]) -> Change:
    def changed(folder: Path, randomness: random.Random) -> None:
        rows = lines(folder)
        change(rows, randomness.randrange(len(rows) - 1), randomness)
        write_lines(folder, rows)

    return changed


KINDS["row-removed"] = _on_rows(lambda rows, place, _: rows.pop(place))  # type: ignore[arg-type, return-value]
KINDS["row-twice"] = _on_rows(lambda rows, place, _: rows.insert(place, rows[place]))


@_kind("last-rows-removed")
def _last_rows(folder: Path, randomness: random.Random) -> None:
    rows = lines(folder)
    write_lines(folder, rows[: -randomness.randrange(1, 20)])


def _exchange(rows: list[dict[str, Any]], place: int, _randomness: random.Random) -> None:
    rows[place], rows[place + 1] = rows[place + 1], rows[place]


KINDS["rows-exchanged"] = _on_rows(_exchange)


def _face(rows: list[dict[str, Any]], place: int, randomness: random.Random) -> None:
    rows[place]["face"]["client"] = f"c_{randomness.getrandbits(32):x}"
    reseal(rows[place])


KINDS["face-edited"] = _on_rows(_face)


def _record(rows: list[dict[str, Any]], place: int, randomness: random.Random) -> None:
    rows[place]["record"]["authority"] = f"letter {randomness.getrandbits(32)}"


KINDS["record-edited"] = _on_rows(_record)


def _resealed(rows: list[dict[str, Any]], place: int, randomness: random.Random) -> None:
    _record(rows, place, randomness)
    reseal(rows[place])


KINDS["record-edited-and-resealed"] = _on_rows(_resealed)


def _hex_bit(member: str) -> Change:
    def change(rows: list[dict[str, Any]], place: int, randomness: random.Random) -> None:
        rows[place][member] = flipped(bytes.fromhex(rows[place][member]), randomness).hex()

    return _on_rows(change)


KINDS["nonce-bit"] = _hex_bit("nonce")
KINDS["leaf-hash-bit"] = _hex_bit("leaf_hash")


def _another_log(rows: list[dict[str, Any]], place: int, _randomness: random.Random) -> None:
    rows[place]["log"] = "JPN" if rows[place]["log"] == "IND" else "IND"


KINDS["row-of-another-log"] = _on_rows(_another_log)


@_kind("row-not-canonical")
def _spaced(folder: Path, randomness: random.Random) -> None:
    path = folder / "entries.jsonl"
    rows = path.read_bytes().splitlines()
    place = randomness.randrange(len(rows))
    rows[place] = rows[place].replace(b'","', b'", "', 1)
    path.write_bytes(b"\n".join(rows) + b"\n")


def _on_gaps(change: Callable[[list[dict[str, Any]], int, random.Random], None]) -> Change:
    def changed(folder: Path, randomness: random.Random) -> None:
        path = folder / "left-out.jsonl"
        gaps = [json.loads(line) for line in path.read_bytes().splitlines()]
        change(gaps, randomness.randrange(len(gaps)), randomness)
        path.write_bytes(b"".join(canonical(gap) + b"\n" for gap in gaps))

    return changed


def _gap_bit(gaps: list[dict[str, Any]], place: int, randomness: random.Random) -> None:
    hashes = gaps[place]["hashes"]
    which = randomness.randrange(len(hashes))
    hashes[which] = flipped(bytes.fromhex(hashes[which]), randomness).hex()


def _gap_width(by: int) -> Callable[[list[dict[str, Any]], int, random.Random], None]:
    def change(gaps: list[dict[str, Any]], place: int, _randomness: random.Random) -> None:
        gaps[place]["stop"] += by

    return change


KINDS["gap-hash-bit"] = _on_gaps(_gap_bit)
KINDS["gap-left-out"] = _on_gaps(lambda gaps, place, _: gaps.pop(place))  # type: ignore[arg-type, return-value]
KINDS["gap-wider"] = _on_gaps(_gap_width(1))
KINDS["gap-narrower"] = _on_gaps(_gap_width(-1))


def _checkpoint(change: Callable[[str, random.Random], str]) -> Change:
    def changed(folder: Path, randomness: random.Random) -> None:
        path = randomness.choice([path for path in sorted((folder / "checkpoints").iterdir()) if path.name in ("GBR", "JPN", "officers")])
        path.write_text(change(path.read_text(), randomness))

    return changed


def _larger(note: str, randomness: random.Random) -> str:
    text = note.split("\n")
    text[1] = str(int(text[1]) + randomness.randrange(1, 20))
    return "\n".join(text)


KINDS["checkpoint-edited"] = _checkpoint(_larger)
KINDS["checkpoint-by-a-foreign-key"] = _checkpoint(
    lambda note, randomness: Signer(note.split("\n")[0], randomness.randbytes(32)).sign("\n".join(note.split("\n")[:3]) + "\n")
)


@_kind("everything-by-a-foreign-key")
def _foreign(folder: Path, randomness: random.Random) -> None:
    """An entry rewritten, the tree made anew, signed with another key that the export lists as the log's own."""
    rows = lines(folder)
    log = randomness.choice(["GBR", "JPN"])
    place = randomness.choice([number for number, row in enumerate(rows) if row["log"] == log])
    _resealed(rows, place, randomness)
    write_lines(folder, rows)
    note = (folder / "checkpoints" / log).read_text().split("\n")
    signer = Signer(note[0], randomness.randbytes(32))
    hashes = [bytes.fromhex(row["leaf_hash"]) for row in rows if row["log"] == log]
    made = Checkpoint(note[0], len(hashes), root(hashes))
    (folder / "checkpoints" / log).write_text(sign_checkpoint(made, signer))
    keys = json.loads((folder / "keys.json").read_text())
    keys[log]["keys"] = [{**keys[log]["keys"][0], "vkey": signer.vkey}]
    (folder / "keys.json").write_bytes(canonical(keys) + b"\n")
    settle_manifest(folder, lambda manifest: _set_root(manifest, log, made.root.hex()))


def _set_root(manifest: dict[str, Any], log: str, root_hex: str) -> None:
    for one in manifest["logs"]:
        if one["log"] == log:
            one["root"] = root_hex


@_kind("policy-file-bit")
def _policy(folder: Path, randomness: random.Random) -> None:
    path = randomness.choice(sorted(path for path in (folder / "bundles").rglob("*") if path.is_file() and path.stat().st_size))
    path.write_bytes(flipped(path.read_bytes(), randomness))


@_kind("file-bit")
def _file(folder: Path, randomness: random.Random) -> None:
    listed = json.loads((folder / "manifest.json").read_text())["files"]
    path = folder / randomness.choice([file["path"] for file in listed if file["bytes"]])
    path.write_bytes(flipped(path.read_bytes(), randomness))


@_kind("file-missing")
def _missing(folder: Path, randomness: random.Random) -> None:
    listed = json.loads((folder / "manifest.json").read_text())["files"]
    (folder / randomness.choice(listed)["path"]).unlink()


@_kind("manifest-counts")
def _counts(folder: Path, randomness: random.Random) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    log = randomness.choice([one for one in manifest["logs"] if one["size"]])
    log["included"], log["left_out"] = log["included"] - 1, log["left_out"] + 1
    path.write_bytes(canonical(manifest) + b"\n")


@_kind("manifest-size")
def _size(folder: Path, randomness: random.Random) -> None:
    """Fewer entries, by the manifest too: only the signed checkpoint says otherwise."""
    rows = lines(folder)
    log = randomness.choice(["GBR", "JPN"])
    last = max(number for number, row in enumerate(rows) if row["log"] == log)
    del rows[last]
    write_lines(folder, rows)

    def smaller(manifest: dict[str, Any]) -> None:
        for one in manifest["logs"]:
            if one["log"] == log:
                one["size"] -= 1
                one["left_out"] = 0

    settle_manifest(folder, smaller)


def _on_compact(name: str, pick: str, differing: str = "") -> Callable[[Callable[[list[Any], int, random.Random], None]], Change]:
    """A change of the lines of a compact export, at one of a sort; where a column is named, at one with values in it that differ."""

    def enter(change: Callable[[list[Any], int, random.Random], None]) -> Change:
        def changed(folder: Path, randomness: random.Random) -> None:
            path = folder / COMPACT
            rows = [json.loads(line) for line in path.read_bytes().splitlines()]
            places = [
                place for place, row in enumerate(rows) if _sort(row) == pick and (not differing or len(_differing(row[differing])) > 1)
            ]
            change(rows, randomness.choice(places), randomness)
            path.write_bytes(b"".join(canonical(row) + b"\n" for row in rows))

        ON_COMPACT.add(name)
        return _kind(name)(changed)

    return enter


def _sort(row: dict[str, Any]) -> str:
    return "entries" if "act" in row else "in full" if "index" in row else "item" if "item" in row else "circumstances"


def _differing(column: list[Any]) -> list[Any]:
    """What of a column is something, each once."""
    return [one for at, one in enumerate(column) if one and one not in column[:at]]


@_on_compact("compact-circumstances-edited", "circumstances")
def _circumstances(rows: list[Any], place: int, randomness: random.Random) -> None:
    rows[place]["face"]["client"] = f"c_{randomness.getrandbits(32):x}"


@_on_compact("compact-item-edited", "item")
def _item(rows: list[Any], place: int, randomness: random.Random) -> None:
    rows[place]["record"]["ref"] = f"ref {randomness.getrandbits(32)}"


@_on_compact("compact-item-under-another-number", "item")
def _renumbered(rows: list[Any], place: int, randomness: random.Random) -> None:
    rows[place]["item"] = f"{(int(rows[place]['item']) + randomness.randrange(1, 1000)) % 20_000:05d}"


@_on_compact("compact-item-removed", "item")
def _item_removed(rows: list[Any], place: int, _randomness: random.Random) -> None:
    rows.pop(place)


@_on_compact("compact-digest-bit", "entries")
def _column_bit(rows: list[Any], place: int, randomness: random.Random) -> None:
    column = rows[place][randomness.choice(["body_sha256", "leaf_hash", "nonce"])]
    which = randomness.randrange(len(column))
    column[which] = flipped(bytes.fromhex(column[which]), randomness).hex()


def _each_column(row: dict[str, Any], change: Callable[[list[Any]], object]) -> None:
    """Change all columns alike, and `queries` to follow."""
    queries = [None] * len(row["at"])
    for at, query in row["queries"]:
        queries[at] = query
    for column in [*(row[name] for name in row if name != "queries"), queries]:
        change(column)
    row["queries"] = [[at, query] for at, query in enumerate(queries) if query is not None]


@_on_compact("compact-entry-removed", "entries", "event_id")
def _entry_removed(rows: list[Any], place: int, randomness: random.Random) -> None:
    at = randomness.randrange(len(rows[place]["at"]))
    _each_column(rows[place], lambda column: column.pop(at))


@_on_compact("compact-entry-twice", "entries")
def _entry_twice(rows: list[Any], place: int, randomness: random.Random) -> None:
    at = randomness.randrange(len(rows[place]["at"]))
    _each_column(rows[place], lambda column: column.insert(at, column[at]))


@_on_compact("compact-entries-exchanged", "entries", "event_id")
def _entries_exchanged(rows: list[Any], place: int, randomness: random.Random) -> None:
    """Two neighbours, all but their positions."""
    row = rows[place]
    at, positions = randomness.randrange(len(row["at"]) - 1), [*row["position"]]
    _each_column(row, lambda column: column.insert(at, column.pop(at + 1)))
    row["position"] = positions


@_on_compact("compact-refers-to-another-item", "entries", "items")
def _another_item(rows: list[Any], place: int, randomness: random.Random) -> None:
    items = rows[place]["items"]
    at = randomness.choice([at for at, each in enumerate(items) if each])
    items[at] = randomness.choice([each for each in _differing(items) if each != items[at]])


@_on_compact("compact-refers-to-other-circumstances", "entries", "circumstances")
def _other_circumstances(rows: list[Any], place: int, randomness: random.Random) -> None:
    column = rows[place]["circumstances"]
    at = randomness.randrange(len(column))
    column[at] = randomness.choice(sorted({*column} - {column[at]}))


@_on_compact("compact-line-removed", "entries")
def _line_removed(rows: list[Any], place: int, _randomness: random.Random) -> None:
    rows.pop(place)


@_on_compact("compact-line-twice", "entries")
def _line_twice(rows: list[Any], place: int, _randomness: random.Random) -> None:
    rows.insert(place, rows[place])


@_kind("compact-byte")
def _byte(folder: Path, randomness: random.Random) -> None:
    path = folder / COMPACT
    content = bytearray(path.read_bytes())
    at = randomness.randrange(len(content))
    content[at] = randomness.choice([byte for byte in range(32, 127) if byte != content[at]])
    path.write_bytes(bytes(content))


ON_COMPACT.add("compact-byte")
SETTLED_BY_THEMSELVES: Final = frozenset({"everything-by-a-foreign-key", "manifest-size"})


def tamper(kind: str, folder: Path, randomness: random.Random) -> None:
    """Change an export, and make its manifest agree where a forger would."""
    KINDS[kind](folder, randomness)
    if kind not in UNSETTLED | SETTLED_BY_THEMSELVES:
        settle_manifest(folder)


def reason_of(said: str) -> str:
    """The line that names what does not hold, without its hashes and numbers."""
    (line,) = re.findall(r"(?:DOES NOT HOLD: |could not read: )(.*)", said)
    return str(line)
