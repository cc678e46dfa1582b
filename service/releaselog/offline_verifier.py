#!/usr/bin/env python3
"""Check what an Entente installation handed out, on a machine of your own, trusting nobody there.

    python3 verify_entente.py export FOLDER_OR_ZIP --key KEY [--key KEY ...] [--seen CHECKPOINT ...]
    python3 verify_entente.py receipt RECEIPT.json --key KEY
    python3 verify_entente.py root ROOT_PROOF.json --key KEY --key KEY_OF_THE_ROOT_LOG [--witness KEY ...] [--quorum N]
    python3 verify_entente.py entry ENTRY.json FOLDER_OR_ZIP --key KEY
    python3 verify_entente.py entries FOLDER_OR_ZIP

One file, for Python 3.11 or later with the package `cryptography` (for Ed25519); everything else is Python's own. It has no code of the
service in it, so that a mistake made there is not made here again. Read it before you run it; that is what it is written for.

KEY is the verifier's key of a log, `NAME+KEYID+BASE64`, as you had it from somebody you trust; `--keys FILE` takes several, one a
line. An export holds keys too, but those only show that it fits together: whoever forged the one could have forged the other.
`--seen` takes a checkpoint that somebody else holds, a partner for instance or a witness: it shows that the history was not written
anew since. `--witness` takes the key of a witness (C2SP tlog-cosignature), who signs the root log only as it grows: it shows that
one history was shown to all. `--quorum` says how many of those named must have signed; all, unless it is given. `export`, `receipt`
and `root` take both; without them, signatures of witnesses are passed over, and counted.

`entries` checks nothing but the form: it writes the entries of an export, a line each, and of a compact one as `entries.jsonl` of the same
export has them. A compact export says once what its entries have in common; the others are built from that and checked as any.

Exit codes:

    0   everything holds, under keys that you gave
    1   something does not hold; the first such thing is named
    2   it could not be read, or the command was not understood
    3   everything fits together, but under a key out of the export, receipt or root proof itself, or a checkpoint given by
        `--seen` could not be compared
    4   everything fits together, but fewer of the witnesses that you named have signed than you ask for

What is checked of an export, in this order:

    (1) the manifest, and the SHA-256 of every file it lists;
    (2) each entry: canonical JSON (RFC 8785), leaf hash, seal over nonce and record, what face and record say of each other,
        labels by their digests, order, times, and that no event id is used twice; and where personal texts are kept beside a record,
        that each, with its salt, makes the commitment that stands in it. One without text was erased, or not handed out;
    (3) each log: that entries and the hashes of what is left out make the root (RFC 9162), and account for every entry exactly once;
    (4) each checkpoint: its signature (C2SP signed-note), its origin, its size and its root;
    (5) what the manifest says was pruned: whole tiles among the entries left out, and, where the entry of the log `officers` that says so
        is in the export, what that says;
    (6) each policy bundle: its digest, and that every bundle an entry names is there;
    (7) the counts in the manifest;
    (8) where there is one, each log's root proof: the head in its slot, the slot under a root, that root in the root log, and that the
        log of the export continues this head (RFC 9162 section 2.1.4.2).

A receipt out of `entente log prove` has a root proof with it, which is checked as in (8).

What it cannot show: that what left the service is what the entries say (the receiver can: `copy_sha256` is the digest of his
copy), that the entries left out do not match the query (ask for them: `entry` checks one), or, without `--seen`, that the log
you see is the one that others see.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import struct
import sys
import zipfile
from array import array
from binascii import hexlify, unhexlify
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby, pairwise
from operator import lt
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

HOLDS, DOES_NOT_HOLD, COULD_NOT_READ, NOT_PROVEN, NOT_WITNESSED = 0, 1, 2, 3, 4
ENTRIES = {"entente-export/1": "entries.jsonl", "entente-export/2": "entries.compact.jsonl"}
"""By the format of an export, the file that has its entries."""
OWN_LOGS = ("officers", "root")
BLOCK = 1 << 18
TILE = 256
LEAF_BYTES_MAX = 65_535
INTEGER_MAX = (1 << 53) - 1
SLOTS = 1024
EMPTY_ROOT = hashlib.sha256(b"").digest()
sha256 = hashlib.sha256


class DoesNotHold(Exception):
    """What was found, in one line."""


class CouldNotRead(Exception):
    """Why, in one line."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its exit code."""
    parser = argparse.ArgumentParser(
        description="Check exports and receipts of an Entente release log, or write the entries of an export.",
        epilog="Exit codes: 0 holds, 1 does not, 2 not readable, 3 not proven, 4 not witnessed.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="export | receipt | root | entry | entries")
    commands.add_parser("entries").add_argument("export", type=Path)
    for name, files in (("export", ("export",)), ("receipt", ("receipt",)), ("root", ("proof",)), ("entry", ("entry", "export"))):
        command = commands.add_parser(name)
        for file in files:
            command.add_argument(file, type=Path)
        command.add_argument("--key", action="append", default=[], help="a log's verifier's key, as you had it from elsewhere")
        command.add_argument("--keys", action="append", default=[], type=Path, help="a file of such keys, one a line")
        if name != "entry":
            command.add_argument("--witness", action="append", default=[], help="a witness's key, as you had it from the witness")
            command.add_argument("--quorum", type=int, help="how many of these witnesses must have signed; by default all")
        if name == "export":
            command.add_argument("--seen", action="append", default=[], type=Path, help="a checkpoint that somebody else holds")
    asked = parser.parse_args(arguments)
    report = Report()
    try:
        if asked.command == "entries":
            write_entries(asked.export)
            return HOLDS
        listed_keys = [key for path in asked.keys for key in text_of(path.read_bytes(), str(path)).split()]
        keys = Keys([*asked.key, *listed_keys])
        if asked.command == "entry":
            check_entry_beside(asked.entry, asked.export, keys, report)
        else:
            witnesses = Witnesses(asked.witness, asked.quorum)
            if asked.command == "export":
                check_export(asked.export, keys, asked.seen, witnesses, report)
            elif asked.command == "receipt":
                check_receipt(asked.receipt, keys, witnesses, report)
            else:
                check_root(asked.proof, keys, witnesses, report)
    except DoesNotHold as found:
        print(f"DOES NOT HOLD: {found}")
        return DOES_NOT_HOLD
    except (CouldNotRead, OSError, zipfile.BadZipFile) as error:
        print(f"could not read: {error}", file=sys.stderr)
        return COULD_NOT_READ
    for reason in report.unproven:
        print(f"NOT PROVEN: {reason}")
    for reason in report.unwitnessed:
        print(f"NOT WITNESSED: {reason}")
    if report.unproven or report.unwitnessed:
        print("everything fits together, and that is all that is shown")
        return NOT_WITNESSED if report.unwitnessed else NOT_PROVEN
    print("everything holds")
    return HOLDS


class Report:
    """What is said along the way, what was not proven, and what too few witnesses signed."""

    def __init__(self) -> None:
        self.unproven: list[str] = []
        self.unwitnessed: list[str] = []

    def say(self, line: str) -> None:
        print(line)


# --- an export --------------------------------------------------------------------------------------------------------


class Export:
    """The files of an export, in a folder or a zip."""

    def __init__(self, path: Path) -> None:
        self._zip: zipfile.ZipFile | None = None
        self._folder = path
        if path.is_file():
            self._zip = zipfile.ZipFile(path)
            names = self._zip.namelist()
            if len(set(names)) != len(names):
                raise DoesNotHold("the zip has two files of one name")
            self.names = set(names)
        elif path.is_dir():
            self.names = {one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file()}
        else:
            raise CouldNotRead(f"`{path}` is not a folder or a zip")

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        if name not in self.names:
            raise DoesNotHold(f"file `{name}` is missing")
        if self._zip is not None:
            with self._zip.open(name) as file:
                yield file
        else:
            with (self._folder / name).open("rb") as file:
                yield file

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read()


class Hashed:
    """Lines of a file, and its digest and length once it was read to its end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = sha256()
        self.length = 0

    def blocks(self) -> Iterator[bytes]:
        while block := self._file.read(BLOCK):
            self._hash.update(block)
            self.length += len(block)
            yield block

    def line_blocks(self) -> Iterator[list[bytes]]:
        """Lines, some at a time."""
        rest = b""
        for block in self.blocks():
            lines = block.split(b"\n")
            lines[0] = rest + lines[0]
            rest = lines.pop()
            if lines:
                yield lines
        if rest:
            raise DoesNotHold(f"a file of lines ends within a line: `{shown(rest)}`")

    def lines(self) -> Iterator[bytes]:
        for lines in self.line_blocks():
            yield from lines

    def drain(self) -> None:
        for _ in self.blocks():
            pass

    def digest(self) -> str:
        return self._hash.hexdigest()


class Pruned(NamedTuple):
    """Entries `start` to `stop`, exclusive, that were taken out for good, as the entry of `event` in the log `officers` says."""

    start: int
    stop: int
    event: str


class LogListed(NamedTuple):
    """A log as the manifest lists it."""

    log: str
    origin: str
    size: int
    root: bytes
    included: int
    left_out: int
    pruned: list[Pruned]


def check_export(path: Path, keys: Keys, seen: list[Path], witnesses: Witnesses, report: Report) -> None:
    export = Export(path)
    # (1): the manifest. Files that are read as streams are hashed as they go by.
    manifest = read_manifest(export)
    entries_name = ENTRIES[manifest["format"]]
    listed = {file["path"]: (file["bytes"], file["sha256"]) for file in manifest["files"]}
    for needed in (entries_name, "left-out.jsonl", "keys.json", "query.json"):
        if needed not in listed:
            raise DoesNotHold(f"the manifest does not list `{needed}`")
    for other in ENTRIES.values():
        # It would be hashed and not read, and a person would take it for the entries that were checked.
        if other != entries_name and other in listed:
            raise DoesNotHold(f"the manifest lists `{other}`, which an export of format `{manifest['format']}` has not")
    for name, (length, digest) in listed.items():
        if name not in (entries_name, "left-out.jsonl"):
            with export.open(name) as file:
                hashed = Hashed(file)
                hashed.drain()
                check_file(name, hashed, length, digest)
    if json_of(export.read("query.json"), "query.json").get("query") != manifest["query"]:
        raise DoesNotHold("`query.json` and the manifest differ in the query")
    logs = [log_listed(one) for one in manifest["logs"]]
    if [log.log for log in logs] != sorted({log.log for log in logs}):
        raise DoesNotHold("the manifest lists logs twice, or not by name")
    own_keys = json_of(export.read("keys.json"), "keys.json")
    heads = {log.log: check_checkpoint_of(export, log, keys, own_keys, report) for log in logs}
    compare = Compare(logs, seen, keys)
    # (2), (3): entries and gaps, side by side.
    bundles: set[bytes] = set()
    with export.open(entries_name) as entries_file, export.open("left-out.jsonl") as gaps_file:
        entry_lines, gap_lines = Hashed(entries_file), Hashed(gaps_file)
        ids = EventIds()
        reader = EntryReader(ids, bundles, Compact() if entries_name == ENTRIES["entente-export/2"] else None)
        runs = reader.read(entry_lines.line_blocks())
        run = next(runs, None)
        gaps = (gap_of(line) for line in gap_lines.lines())
        waiting = next(gaps, None)
        for log in logs:
            tree = Tree(log.size)
            points = compare.points(log.log)
            included = 0
            gone = [*log.pruned]
            name = log.log.encode()
            while tree.size < log.size:
                place = tree.size
                while points and points[0] <= place:
                    if (point := points.pop(0)) == place:
                        compare.at(log.log, point, tree.edge_root())
                while gone and gone[0].stop <= place:
                    gone.pop(0)
                if waiting is not None and waiting.log == log.log and waiting.start == place:
                    tree.leave_out(waiting)
                    waiting = next(gaps, None)
                elif run is not None and run.start == place and run.log == name:
                    if gone and gone[0].start <= place:
                        raise DoesNotHold(f"{named(run)}: shown, and pruned as the manifest says")
                    # As far as nothing else is to be looked at.
                    hashes = run.hashes[: min([log.size, *points[:1], *[one.start for one in gone[:1]]]) - place]
                    tree.show(hashes)
                    included += len(hashes)
                    run = run.after(len(hashes)) if len(hashes) < len(run.hashes) else next(runs, None)
                else:
                    raise DoesNotHold(missing(log.log, place, run, waiting))
            # Everything is accounted for: entries by themselves, and runs of others by hashes of their subtrees.
            if tree.root() != log.root:
                raise DoesNotHold(
                    f"log {log.log}: entries and gaps lead to root {tree.root().hex()}, the signed checkpoint says {log.root.hex()}"
                )
            compare.end(log.log, log.size, tree.root(), report)
            # (7): the counts.
            if (included, tree.left_out) != (log.included, log.left_out):
                raise DoesNotHold(
                    f"log {log.log}: {included} entries shown and {tree.left_out} left out, "
                    f"the manifest says {log.included} and {log.left_out}"
                )
            left_out = f"{tree.left_out} left out{of_which_pruned(log)}"
            report.say(f"log {log.log}: {log.size} entries, {included} shown, {left_out}, root {log.root.hex()}, {heads[log.log]}")
        if run is not None:
            raise DoesNotHold(f"{named(run)}: an entry too many")
        if waiting is not None:
            raise DoesNotHold(f"log {waiting.log}: a gap at {waiting.start} too many")
        check_file(entries_name, entry_lines, *listed[entries_name])
        check_file("left-out.jsonl", gap_lines, *listed["left-out.jsonl"])
    if manifest["entries"] != reader.count:
        raise DoesNotHold(f"{reader.count} entries, the manifest says {manifest['entries']}")
    if ids.repeats():
        raise DoesNotHold(repeated_event(lines_in_full(export, entries_name), ids.repeats()))
    # (5): what was pruned, where the entries that say so are in the export.
    check_pruned(logs, reader.prunes, report)
    # (6): the bundles.
    check_bundles(export, set(listed), bundles)
    # (7): the roots over these logs.
    check_roots_of(export, logs, keys, own_keys, witnesses, report)
    for name in sorted(export.names - listed.keys() - {"manifest.json"}):
        report.say(f"remark: file `{name}` is not part of the export, and was not looked at")


def of_which_pruned(log: LogListed) -> str:
    """How many of the entries left out were pruned, and which, in words."""
    if not log.pruned:
        return ""
    places = ", ".join(f"{one.start} to {one.stop - 1}" for one in log.pruned)
    return f" ({sum(one.stop - one.start for one in log.pruned)} of them pruned: entries {places})"


def check_pruned(logs: list[LogListed], said: dict[str, set[tuple[str, int, int]]], report: Report) -> None:
    """Compare what the manifest says was pruned with the entries that say so, as far as they are shown."""
    listed = {log.log: log for log in logs}
    for log in logs:
        for one in log.pruned:
            what = f"entries {one.start} to {one.stop - 1} of log {log.log}"
            if one.event not in said:
                report.say(f"remark: event {one.event} of log officers is to say that {what} were pruned, and is not in this export")
            elif (log.log, one.start, one.stop) not in said[one.event]:
                raise DoesNotHold(f"the manifest says that {what} were pruned, event {one.event} of log officers does not")
    for event, ranges in sorted(said.items()):
        for name, start, stop in sorted(ranges):
            if name in listed and Pruned(start, stop, event) not in listed[name].pruned:
                what = f"entries {start} to {stop - 1} of log {name}"
                raise DoesNotHold(f"event {event} of log officers says that {what} were pruned, the manifest does not")


def read_manifest(export: Export) -> dict[str, Any]:
    manifest = json_of(export.read("manifest.json"), "manifest.json")
    if not isinstance(manifest.get("format"), str) or manifest["format"] not in ENTRIES:
        raise CouldNotRead(f"the export is of format `{shown(manifest.get('format'))}`, this verifier reads {', '.join(ENTRIES)}")
    forms = {"query": dict, "logs": list, "files": list, "entries": int, "created_at": str, "instance": str}
    for name, form in forms.items():
        if type(manifest.get(name)) is not form:
            raise DoesNotHold(f"the manifest has no proper `{name}`")
    paths = set()
    for file in manifest["files"]:
        if not isinstance(file, dict) or [type(file.get(name)) for name in ("path", "bytes", "sha256")] != [str, int, str]:
            raise DoesNotHold("the manifest lists a file without `path`, `bytes` and `sha256`")
        if file["path"] in paths or file["path"].startswith("/") or ".." in file["path"].split("/"):
            raise DoesNotHold(f"the manifest lists `{shown(file['path'])}` twice, or outside of the export")
        paths.add(file["path"])
    return manifest


def log_listed(one: object) -> LogListed:
    forms = {"log": str, "origin": str, "size": int, "root": str, "included": int, "left_out": int}
    if not isinstance(one, dict) or any(type(one.get(name)) is not form for name, form in forms.items()):
        raise DoesNotHold("the manifest lists a log without " + ", ".join(forms))
    if not re.fullmatch("[0-9a-f]{64}", one["root"]) or not re.fullmatch("[A-Za-z0-9-]+", one["log"]) or one["size"] < 0:
        raise DoesNotHold("the manifest lists a log with a name, size or root that is none")
    root = bytes.fromhex(one["root"])
    return LogListed(one["log"], one["origin"], one["size"], root, one["included"], one["left_out"], pruned_listed(one))


def pruned_listed(one: dict[str, Any]) -> list[Pruned]:
    """What the manifest says was pruned of a log: whole tiles, in order."""
    found: list[Pruned] = []
    upto = 0
    for span in one["pruned"] if isinstance(one.get("pruned"), list) else [] if "pruned" not in one else [None]:
        if not isinstance(span, dict) or [type(span.get(name)) for name in ("start", "stop", "event_id")] != [int, int, str]:
            raise DoesNotHold(f"the manifest lists something pruned of log {one['log']} without `start`, `stop` and `event_id`")
        start, stop = span["start"], span["stop"]
        if not upto <= start < stop <= one["size"] or start % TILE or stop % TILE:
            raise DoesNotHold(f"the manifest lists entries {start} to {stop - 1} of log {one['log']} as pruned, which are no tiles of it")
        found.append(Pruned(start, stop, span["event_id"]))
        upto = stop
    return found


def check_file(name: str, hashed: Hashed, length: object, digest: object) -> None:
    if (hashed.length, hashed.digest()) != (length, digest):
        raise DoesNotHold(f"file `{name}` has {hashed.length} bytes and digest {hashed.digest()}, the manifest says {length} and {digest}")


def missing(log: str, place: int, run: Run | None, gap: Gap | None) -> str:
    """What is wrong where the next entry of a log is neither shown nor left out."""
    if run is not None and run.log.decode() == log:
        return f"{named(run)}: out of place, entry {place} was to come, and is neither shown nor left out"
    if gap is not None and gap.log == log:
        return f"log {log}: a gap at {gap.start}, expected entry {place}, which is neither shown nor left out"
    return f"log {log}, entry {place}: neither shown nor left out"


def repeated_event(lines: Iterable[bytes], hashes: set[int]) -> str:
    """Name the entries whose event id is used twice; read again, since ids themselves are not held."""
    first: dict[bytes, str] = {}
    for line in lines:
        found = EVENT_ID.search(line)
        if found is not None and hash(found[1]) in hashes:
            entry = read_entry(line)
            place = f"log {entry.log.decode()}, entry {entry.place}"
            if found[1] in first:
                return f"{named(run_of(entry))}: this event id is that of {first[found[1]]} too"
            first[found[1]] = place
    return "an event id is used twice"


def write_entries(path: Path) -> None:
    """Write the entries of an export, a line each, as `entries.jsonl` has them."""
    export = Export(path)
    try:
        for line in lines_in_full(export, ENTRIES[read_manifest(export)["format"]]):
            sys.stdout.buffer.write(line + b"\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough; what is still held back for him goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def lines_in_full(export: Export, entries_name: str) -> Iterator[bytes]:
    """The entries as `entries.jsonl` has them, also of a compact export."""
    compact = Compact()
    with export.open(entries_name) as file:
        for line in Hashed(file).lines():
            if entries_name == ENTRIES["entente-export/1"]:
                yield line
            else:
                yield from compact.in_full(line)


def check_bundles(export: Export, listed: set[str], named: set[bytes]) -> None:
    files: dict[str, dict[str, str]] = {}
    for path in sorted(listed):
        if path.startswith("bundles/"):
            _, digest, name = path.split("/", 2)
            files.setdefault(digest, {})[name] = sha256(export.read(path)).hexdigest()
    for digest, parts in files.items():
        lines = "".join(f"{parts[name]}  {name}\n" for name in sorted(parts) if name != "README.md")
        if sha256(lines.encode()).hexdigest() != digest:
            raise DoesNotHold(f"policy bundle {digest} has other files than its digest says")
    for bundle in sorted(named):
        if bundle.decode() not in files:
            raise DoesNotHold(f"policy bundle {bundle.decode()} is named by an entry, and is not in the export")


# --- an entry ---------------------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """What is needed of an entry that was found to hold by itself. Texts are left as the bytes they are."""

    log: bytes
    place: int
    event_id: bytes
    leaf_hash: bytes
    at: bytes
    act: int
    bundle: bytes | None
    pruned: frozenset[tuple[str, int, int]] = frozenset()
    """Of an entry that says what was pruned: log, first entry, and the one after the last, of each range."""


class Run(NamedTuple):
    """Entries of one log, one after the other: what is needed of each, at the same place in each list."""

    log: bytes
    start: int
    events: Sequence[bytes]
    hashes: Sequence[bytes]
    ats: Sequence[bytes]
    acts: Sequence[int]
    bundles: Sequence[bytes | None]

    def after(self, count: int) -> Run:
        return self._replace(start=self.start + count, events=self.events[count:], hashes=self.hashes[count:])


class Bad(Exception):
    """Why an entry does not hold."""


HEX = rb"[0-9a-f]{64}"
NUMBER = rb"(?:0|[1-9][0-9]{0,14})"
# Strings that JSON writes without an escape, of ASCII alone.
WORDS = rb'[^"\\\x00-\x1f\x7f-\xff]++'
PLAIN = rb'"(?:' + WORDS + rb')?"'
ID = rb"[A-Za-z0-9_-]{1,64}"


def listed(element: bytes) -> bytes:
    """What matches the elements of a list of these."""
    return rb"(?:" + element + rb"(?:," + element + rb")*+)?"


IDS = rb"\[" + listed(rb'"' + ID + rb'"') + rb"\]"
PATH_ID = rb'"(?:' + ID + rb"|\?" + HEX + rb')"'
FRONT = re.compile(
    rb'(\{"face":\{"at":")(.{27})(","body_sha256":")(.{64})(","client":"[^"]*+","event_id":")(' + ID
    + rb')(","items":\[)([^]]*+)'
    rb'(\],(?:"portion":"[^"]*+",)?"purpose":"[^"]*+","result":"[^"]*+","route":"[^"]*+","seal":")(.{64})'
    rb'(?P<kind>","type":"[^"]*+","v":1\},"index":)([0-9]++)(,"leaf_hash":")(.{64})(","log":"[^"]*+","nonce":")(.{64})'
    rb'(","record":)(\{"act":[0-9]++,"at":")(.{27})(","authority":null,"bundle":"[^"]*+","engine":"[^"]*+","items":\[)',
    re.DOTALL,
)  # fmt: skip
"""A line of what is nearly always there, what a partner was sent or refused, up to the items of its record: where to cut it.

A line is first cut where the last one was whose seal stands at the same place, which is nearly always right, and quicker; the words
between the parts show it. A digest that can be worked out is compared with what is worked out. What is said again and again (by whom,
under which policy, of which item) is read by one of the expressions below when it comes first, and is known from then on. A line that
passes is canonical. A line that does not is not wrong: it is read the thorough way. Tests hold that whatever passes this way passes
the other.
"""
FACE = len(b'{"face":')
FIXED = ({b'{"face":{"at":"'}, {b'","body_sha256":"'}, {b'","items":['}, {b',"leaf_hash":"'}, {b'","record":'})
# Every day that each year has; the 29th of February is left to the thorough way.
DAY = rb"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
SECOND = re.compile(rb"[1-9][0-9]{3}-" + DAY + rb"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.")
CLIENT = re.compile(rb'","client":"' + WORDS + rb'","event_id":"')
ASKED = re.compile(
    rb'\],(?P<portion>"portion":' + PATH_ID + rb',)?"purpose":"' + WORDS + rb'","result":"(?P<said>sent|refused)","route":"' + WORDS
    + rb'","seal":"","type":"(?(portion)file|(?:item|list))","v":1\},"index":'
)  # fmt: skip
LOG = re.compile(rb'","log":"(?P<said>[A-Z][A-Z0-9-]*+)","nonce":"')
ACT = re.compile(rb'\{"act":(?P<said>' + NUMBER + rb'),"at":"')
POLICY = re.compile(rb'","authority":null,"bundle":"(?P<said>' + HEX + rb')","engine":"' + HEX + rb'","items":\[')
ITEM_BEGINS, BETWEEN_ITEMS, AFTER_ITEMS, BETWEEN_LABELS = b'{"id":', b'},{"id":', b'],"labels":{', b'},"'
ITEM = re.compile(
    rb"(" + PATH_ID + rb'),"labels":\[(' + listed(rb'"' + HEX + rb'"') + rb')\],"portions":' + IDS + rb',"ref":' + PLAIN
    + rb',"rules":' + IDS + rb',"version":(' + NUMBER + rb")"
)  # fmt: skip
LABEL = re.compile(rb"(" + HEX + rb')":(\{[^{}]*+)')
OUTCOME_BEGINS, QUERY_BEGINS, NO_QUERY = b',"outcome":"', b'"query":', b"null}"
OUTCOME = re.compile(rb',"outcome":"([a-z_]++)","partner":"([A-Z][A-Z0-9-]*+)","query":')
VALUE = rb"(?:" + PLAIN + rb"|" + NUMBER + rb"|\[" + listed(PLAIN) + rb"\])"
SHORT_QUERY = re.compile(rb'\{"([a-z_]++)":' + VALUE + rb'(?:,"([a-z_]++)":' + VALUE + rb")?\}\}")
QUERY = re.compile(rb"\{" + listed(rb'"[a-z_]++":' + VALUE) + rb"\}\}")
MEMBER_NAME = re.compile(rb'"([a-z_]+)":')
BARE_ITEMS = re.compile(listed(rb'\{"id":' + PATH_ID + rb"\}"))
EVENT_ID = re.compile(rb'\{"face":\{"at":"[^"]*","body_sha256":[^,]*,"client":"[^"]*","event_id":"([^"]*)"')
OUTCOMES_SENT = (b"release", b"in_part")
COPY = re.compile(rb'"copy_sha256":"(.{64})"', re.DOTALL)
COPY_PLACE = b'"copy_sha256":"%b",'
HEX_DIGITS = b"0123456789abcdef"
DIGITS = b"0123456789"
ID_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
SEAL = b',"seal":"'
SEAL_FROM = 200  # what stands before it in the shortest of such lines takes more
TEXTS_HELD, TEXT_BYTES_HELD = 20_000, 2_000  # how many, and how long each may be


class Unusual(Exception):
    """Something is not of the usual form, which does not mean that it is wrong."""


class Known(dict[bytes, Any]):
    """What texts say that come again and again: each is read when it comes first, and held while there are not too many.

    Reading one that is not of the usual form raises `Unusual`.
    """

    def __init__(self, read: Callable[[bytes], Any]) -> None:
        super().__init__()
        self._read = read

    def each(self, texts: Sequence[bytes]) -> Sequence[Any]:
        """What each of these says; soon known where they are all one, or few."""
        said = {one: self[one] for one in {*texts}}
        return [*said.values()] * len(texts) if len(said) == 1 else [said[one] for one in texts]

    def __missing__(self, text: bytes) -> Any:
        said = self._read(text)
        if len(text) <= TEXT_BYTES_HELD:
            if len(self) >= TEXTS_HELD:
                self.clear()
            self[text] = said
        return said


def reader_of(expression: re.Pattern[bytes]) -> Callable[[bytes], bytes]:
    """A reader of texts that are of one form: of what stands in the group `said`, or of the whole."""
    group = expression.groupindex.get("said", 0)

    def read(text: bytes) -> bytes:
        found = expression.fullmatch(text)
        if found is None:
            raise Unusual
        return found[group]

    return read


class Cut(NamedTuple):
    """Where a line is cut: into the groups of `FRONT`, where its face ends, and where its front does."""

    parts: Callable[[bytes], tuple[bytes, ...]]
    face_end: int
    front_end: int


def cut_of(line: bytes) -> Cut | None:
    """Where this line is cut. None where it is of another form."""
    found = FRONT.match(line)
    if found is None:
        return None
    parts = struct.Struct("".join(f"{len(part)}s" for part in found.groups()))
    face_end = found.end("kind") - len(b',"index":')
    return Cut(parts.unpack_from, face_end, found.end()) if face_end - FACE <= LEAF_BYTES_MAX else None


class Said(NamedTuple):
    """What some lines of the usual form say, each a column: the same place in each is of one line."""

    logs: Sequence[bytes]
    places: Sequence[int]
    events: Sequence[bytes]
    ats: Sequence[bytes]
    acts: Sequence[int]
    bundles: Sequence[bytes]
    seals: Sequence[bytes]
    sealed: Sequence[tuple[bytes, ...]]
    """What these are the SHA-256 of: nonce and record, in parts."""
    leaf_hashes: Sequence[bytes]


class EntryReader:
    """Entries, each found to hold by itself; and their order within their log."""

    def __init__(self, ids: EventIds, bundles: set[bytes], compact: Compact | None = None) -> None:
        self._ids = ids
        self._bundles = bundles
        self._compact = compact
        self._cuts: dict[int, Cut] = {}
        self._seconds = Known(reader_of(SECOND))
        self._clients = Known(reader_of(CLIENT))
        self._asked = Known(reader_of(ASKED))
        self._logs = Known(reader_of(LOG))
        self._acts = Known(reader_of(ACT))
        self._policies = Known(reader_of(POLICY))
        self._items = Known(item_of)
        self._labels = Known(label_of)
        self._recorded = Known(self._read_recorded)
        self._outcomes = Known(outcome_of)
        self._agreed: set[tuple[bytes, ...]] = set()
        self._last: Run | None = None
        self.prunes: dict[str, set[tuple[str, int, int]]] = {}
        """What entries say was pruned, by their event."""
        self.count = 0

    def read(self, blocks: Iterable[list[bytes]]) -> Iterator[Run]:
        """The entries of blocks of lines, in runs."""
        for lines in blocks:
            for run in self._runs(lines) if self._compact is None else self._compact.runs(lines, self._runs):
                self._in_order(run)
                self._bundles.update([bundle for bundle in set(run.bundles) if bundle is not None])
                self._ids.add(run.events)
                self.count += len(run.events)
                yield run
        if self._compact is not None:
            self._compact.end()

    def _runs(self, lines: list[bytes]) -> Iterator[Run]:
        """The entries of some lines: together where all are of the usual form, and each that is not by itself."""
        runs, odd = self.usual(lines)
        yield from runs
        start = 0
        for place in odd:
            if start < place:
                yield from self._runs(lines[start:place])
            entry = read_entry(lines[place])
            if entry.pruned:
                self.prunes[entry.event_id.decode()] = set(entry.pruned)
            yield run_of(entry)
            start = place + 1
        if odd and start < len(lines):
            yield from self._runs(lines[start:])

    def _in_order(self, run: Run) -> None:
        """Within a log, neither time nor act goes back."""
        ats, acts = [*run.ats], [*run.acts]
        places: Sequence[int] = range(run.start, run.start + len(ats))
        if self._last is not None and self._last.log == run.log:
            ats, acts, places = [*self._last.ats, *ats], [*self._last.acts, *acts], [self._last.start, *places]
        if ats != sorted(ats) or acts != sorted(acts):
            for number in range(1, len(ats)):
                what = f"log {run.log.decode()}, entry {places[number]}, event {run.events[number - len(ats)].decode()}"
                if ats[number] < ats[number - 1]:
                    raise DoesNotHold(f"{what}: time {ats[number].decode()} is before that of entry {places[number - 1]}")
                if acts[number] < acts[number - 1]:
                    raise DoesNotHold(f"{what}: act {acts[number]} in its record is below that of entry {places[number - 1]}")
        self._last = Run(run.log, places[-1], run.events[-1:], run.hashes[-1:], run.ats[-1:], run.acts[-1:], run.bundles[-1:])

    def usual(self, lines: list[bytes], anew: frozenset[int] = frozenset()) -> tuple[list[Run], list[int]]:
        """The entries of lines of the usual form, if all is well with all of them; else none, and which lines the thorough way has to be
        gone for: those that are of another form, or all, where something does not fit together.

        Lines `anew` are not cut as others were whose seal stands at the same place.
        """
        cuts = [self._cuts.get(line.find(SEAL, SEAL_FROM)) for line in lines]
        if anew or None in cuts:
            cuts = [cut if cut and place not in anew else self._cut_anew(lines[place]) for place, cut in enumerate(cuts)]
        if None in cuts or {line[-1:] for line in lines} != {b"}"}:
            return [], [place for place, cut in enumerate(cuts) if cut is None or not lines[place].endswith(b"}")]
        cut_lines = [(cut, line) for cut, line in zip(cuts, lines, strict=True) if cut is not None]
        try:
            said = self._said(cut_lines)
        except (Unusual, struct.error):
            wrong = frozenset([place for place, one in enumerate(cut_lines) if not self._is_usual(one)])
            return self.usual(lines, anew | wrong) if wrong - anew else ([], sorted(wrong))
        hashes = [sha256(b"\x00" + line[FACE : cut.face_end]).digest() for cut, line in cut_lines]
        sealed = [sha256(b"".join(parts)).digest() for parts in said.sealed]
        if hexlify(b"".join(hashes + sealed)) != b"".join([*said.leaf_hashes, *said.seals]):
            return [], [*range(len(lines))]
        return runs_of(said.logs, said.places, said.events, hashes, said.ats, said.acts, said.bundles), []

    def _cut_anew(self, line: bytes) -> Cut | None:
        """Where this line is to be cut, and others like it from now on."""
        cut = cut_of(line)
        if cut is not None:
            if len(self._cuts) >= TEXTS_HELD:
                self._cuts.clear()
            self._cuts[line.find(SEAL, SEAL_FROM)] = cut
        return cut

    def _is_usual(self, cut_line: tuple[Cut, bytes]) -> bool:
        try:
            self._said([cut_line])
        except (Unusual, struct.error):
            return False
        return True

    def _said(self, cut_lines: list[tuple[Cut, bytes]]) -> Said:
        """What lines say.

        Raises:
            Unusual: of one at least it is not known what it says.
            struct.error: one is shorter than where it is to be cut.
        """
        (
            begins, ats, before_bodies, bodies, clients, events, before_items, items, asked, seals, kinds, indexes, before_hashes,
            leaf_hashes, logs, nonces, before_records, acts, ats_again, policies,
        ) = zip(*[cut.parts(line) for cut, line in cut_lines], strict=True)  # fmt: skip
        # From the items of the record to its end.
        rests = [line[cut.front_end : -1] for cut, line in cut_lines]
        if ({*begins}, {*before_bodies}, {*before_items}, {*before_hashes}, {*before_records}) != FIXED:
            raise Unusual
        check_times(ats, self._seconds)
        self._clients.each(clients)
        named_logs = self._logs.each(logs)
        for row in zip(asked, kinds, items, rests, named_logs, strict=True):
            if row not in self._agreed:
                self._agree(*row)
        if ats != ats_again:
            raise Unusual
        check_ids(events)
        raw_nonces = nonces_of(bodies, nonces)
        return Said(
            logs=named_logs,
            places=places_of(indexes),
            events=events,
            ats=ats,
            acts=[*map(int, self._acts.each(acts))],
            bundles=self._policies.each(policies),
            seals=seals,
            sealed=[*zip(raw_nonces, acts, ats_again, policies, rests, strict=True)],
            leaf_hashes=leaf_hashes,
        )

    def _agree(self, asked: bytes, kind: bytes, items: bytes, rest: bytes, log: bytes) -> None:
        """Find that face and record say the same of what was asked for, and of what was sent.

        Raises:
            Unusual: they do not, or are of another form.
        """
        result = self._asked[asked + kind]
        items_end = rest.rfind(OUTCOME_BEGINS)
        query_start = rest.find(QUERY_BEGINS, items_end) + len(QUERY_BEGINS)
        said, copies = self._recorded[rest[:items_end]]
        outcome, partner = self._outcomes[rest[items_end:query_start]]
        if (query := rest[query_start:]) != NO_QUERY:
            check_query(query)
        if result == b"sent":
            shown = COPY.findall(items)
            right = copies == len(shown) and said % (*shown,) == items and not b"".join(shown).translate(None, HEX_DIGITS)
            right = right and outcome in OUTCOMES_SENT and (copies > 0 or not items)
        else:
            bare = said.replace(COPY_PLACE, b"")
            right = bare == items or (not bare and BARE_ITEMS.fullmatch(items) is not None)
        if not right or partner != log:
            raise Unusual
        # Where there is a query it is nearly always another, and of many items they are nearly always others.
        if query == NO_QUERY and len(asked) + len(items) + len(rest) <= TEXT_BYTES_HELD:
            if len(self._agreed) >= TEXTS_HELD:
                self._agreed.clear()
            self._agreed.add((asked, kind, items, rest, log))

    def _read_recorded(self, text: bytes) -> tuple[bytes, int]:
        """What a face has to say of items of which the record says this: items, `],"labels":{`, labels, and `}`.

        With `%b` for the digest of each copy; and how many these are. A record with an item of version 0 is of a refusal, which has none.
        """
        items_end = text.find(AFTER_ITEMS)
        if items_end < 0:
            raise Unusual
        items_text, labels_text = text[:items_end], text[items_end + len(AFTER_ITEMS) :]
        items: list[tuple[bytes, frozenset[bytes], bool]] = []
        labels: list[bytes] = []
        if items_text:
            if not items_text.startswith(ITEM_BEGINS) or not items_text.endswith(b"}"):
                raise Unusual
            items = [self._items[one] for one in items_text[len(ITEM_BEGINS) : -1].split(BETWEEN_ITEMS)]
        if labels_text != b"}":
            if not labels_text.startswith(b'"') or not labels_text.endswith(b"}}"):
                raise Unusual
            labels = [self._labels[one] for one in labels_text[1:-2].split(BETWEEN_LABELS)]
        held = {*labels}
        if not all(map(lt, labels, labels[1:])) or not all(digests <= held for _, digests, _ in items):
            raise Unusual
        copies = len(items) if all(versioned for _, _, versioned in items) else 0
        begins = ITEM_BEGINS if not copies else b"{" + COPY_PLACE + ITEM_BEGINS[1:]
        return b",".join([begins + item_id + b"}" for item_id, _, _ in items]), copies


def item_of(text: bytes) -> tuple[bytes, frozenset[bytes], bool]:
    """Of an item of a record, past `{"id":`: its id in quotes, the digests of its labels, and whether it has a version."""
    found = ITEM.fullmatch(text)
    if found is None:
        raise Unusual
    return found[1], frozenset(found[2][1:-1].split(b'","') if found[2] else []), found[3] != b"0"


def label_of(text: bytes) -> bytes:
    """The digest of a label, past its first quote and but for its last brace, where the label is canonical and what its digest says."""
    found = LABEL.fullmatch(text)
    if found is None or found[1] != hexlify(sha256(found[2] + b"}").digest()):
        raise Unusual
    try:
        canonical_value(found[2] + b"}")
    except Bad:
        raise Unusual from None
    return found[1]


def outcome_of(text: bytes) -> tuple[bytes, bytes]:
    """Outcome and partner, out of what stands between the labels of a record and its query."""
    found = OUTCOME.fullmatch(text)
    if found is None:
        raise Unusual
    return found[1], found[2]


def check_query(text: bytes) -> None:
    """Find that a query, with the last brace of its record, is canonical."""
    found = SHORT_QUERY.fullmatch(text)
    if found is not None:
        first, second = found.groups()
        if second is not None and first >= second:
            raise Unusual
        return
    names = MEMBER_NAME.findall(text)
    if QUERY.fullmatch(text) is None or names != sorted({*names}):
        raise Unusual


def check_times(ats: Sequence[bytes], seconds: Known) -> None:
    """Find that these are times, as `SECOND` writes them and a fraction of six digits."""
    times = {*ats}
    for at in times:
        seconds[at[:20]]
    if b"".join([at[20:26] for at in times]).translate(None, DIGITS) or {at[26:] for at in times} != {b"Z"}:
        raise Unusual


def check_ids(events: Sequence[bytes]) -> None:
    if b"".join(events).translate(None, ID_LETTERS):
        raise Unusual


def nonces_of(bodies: Sequence[bytes], nonces: Sequence[bytes]) -> list[bytes]:
    """The nonces that these digits say. Digests of bodies are looked at beside them: they too are compared with nothing."""
    digits = b"".join(nonces)
    if digits.translate(None, HEX_DIGITS) or b"".join(bodies).translate(None, HEX_DIGITS):
        raise Unusual
    return [*struct.unpack("32s" * len(nonces), unhexlify(digits))]


def places_of(indexes: Sequence[bytes]) -> Sequence[int]:
    """The numbers that these texts are the one way of writing."""
    try:
        places = [*map(int, indexes)]
    except ValueError:
        raise Unusual from None
    if b",".join(indexes) != ",".join(map(str, places)).encode() or not 0 <= min(places) <= max(places) <= INTEGER_MAX:
        raise Unusual
    return places


def starts_of_runs(logs: Sequence[bytes], places: Sequence[int]) -> list[int]:
    """Where, among entries, another log begins or one is not the next of its log. Nearly always all are in one run."""
    if logs.count(logs[0]) == len(logs) and [*places] == [*range(places[0], places[0] + len(places))]:
        return [0]
    return [0, *[one for one in range(1, len(logs)) if logs[one] != logs[one - 1] or places[one] != places[one - 1] + 1]]


def runs_of(
    logs: Sequence[bytes], places: Sequence[int], events: Sequence[bytes], hashes: Sequence[bytes], ats: Sequence[bytes],
    acts: Sequence[int], bundles: Sequence[bytes | None],
) -> list[Run]:  # fmt: skip
    """Entries, each of these a column of them, in runs."""
    return [
        Run(logs[a], places[a], events[a:b], hashes[a:b], ats[a:b], acts[a:b], bundles[a:b])
        for a, b in pairwise([*starts_of_runs(logs, places), len(logs)])
    ]


def run_of(entry: Entry) -> Run:
    return Run(entry.log, entry.place, (entry.event_id,), (entry.leaf_hash,), (entry.at,), (entry.act,), (entry.bundle,))


def named(run: Run) -> str:
    return f"log {run.log.decode()}, entry {run.start}, event {run.events[0].decode()}"


def read_entry(line: bytes) -> Entry:
    """Read a line of `entries.jsonl` the thorough way.

    Raises:
        DoesNotHold: naming the entry as far as the line does.
    """
    value: object = None
    try:
        value = canonical_value(line)
        return checked_entry(value)
    except Bad as bad:
        raise DoesNotHold(f"{name_of(line, value)}: {bad}") from None


def name_of(line: bytes, value: object) -> str:
    """How a line that does not hold is called: by what it says of itself, which may be wrong too."""
    if value is None:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return f"a line of entries.jsonl, `{shown(line)}`"
    entry: dict[str, Any] = value if isinstance(value, dict) else {}
    face = entry.get("face")
    event = face.get("event_id") if isinstance(face, dict) else None
    return f"log {shown(entry.get('log'))}, entry {shown(entry.get('index'))}, event {shown(event)}"


ENTRY_MEMBERS = {"face", "index", "leaf_hash", "log", "nonce", "record"}
FACE_MEMBERS = {"v", "type", "event_id", "at", "client", "route", "items", "body_sha256", "result", "purpose", "seal"}


def checked_entry(value: object) -> Entry:
    """Check an entry by itself, and what it says twice.

    Raises:
        Bad: why it does not hold.
    """
    entry = members(value, ENTRY_MEMBERS, {"personal"}, "an entry")
    log, index = entry["log"], entry["index"]
    if not isinstance(log, str) or not re.fullmatch("[A-Za-z0-9-]+", log):
        raise Bad("the name of its log is none")
    if type(index) is not int or index < 0:
        raise Bad("its index is none")
    leaf = canonical(entry["face"]).encode()
    if len(leaf) > LEAF_BYTES_MAX:
        raise Bad(f"a leaf of {len(leaf)} bytes, at most {LEAF_BYTES_MAX} are allowed")
    # The hash first: whatever was changed in a face is that.
    leaf_hash = sha256(b"\x00" + leaf).digest()
    if entry["leaf_hash"] != leaf_hash.hex():
        raise Bad(f"its face has leaf hash {leaf_hash.hex()}, the line says {shown(entry['leaf_hash'])}")
    face = checked_face(entry["face"])
    nonce = digest_of(entry["nonce"], "nonce")
    record_text = canonical(entry["record"]).encode()
    sealed = sha256(nonce + record_text).hexdigest()
    if sealed != face["seal"]:
        raise Bad(f"nonce and record are sealed as {sealed}, the face says {face['seal']}")
    record = entry["record"]
    if not isinstance(record, dict):
        raise Bad("its record is not an object")
    if record.get("at") != face["at"]:
        raise Bad(f"its record is of {shown(record.get('at'))}, its face of {face['at']}")
    act = record.get("act")
    if type(act) is not int or act < 0:
        raise Bad("its record has no act number")
    checked_record(log, face, record)
    if "personal" in entry:
        checked_personal(entry["personal"], record_text)
    bundle = record.get("bundle")
    if log not in OWN_LOGS and bundle is not None:
        digest_of(bundle, "bundle")
    named_bundle = bundle.encode() if log not in OWN_LOGS and bundle else None
    pruned = pruned_by(record) if (log, face["type"]) == ("officers", "log.prune") else frozenset[tuple[str, int, int]]()
    return Entry(log.encode(), index, face["event_id"].encode(), leaf_hash, face["at"].encode(), act, named_bundle, pruned)


def pruned_by(record: dict[str, Any]) -> frozenset[tuple[str, int, int]]:
    """The ranges that a record says were pruned."""
    details = record.get("details")
    ranges = details.get("ranges") if isinstance(details, dict) else None
    found: set[tuple[str, int, int]] = set()
    for one in ranges if isinstance(ranges, list) else [None]:
        if not isinstance(one, dict) or [type(one.get(name)) for name in ("log", "start", "stop")] != [str, int, int]:
            raise Bad("its record says that something was pruned, and not what")
        found.add((one["log"], one["start"], one["stop"]))
    return frozenset(found)


def checked_face(value: object) -> dict[str, Any]:
    kind = value.get("type") if isinstance(value, dict) else None
    face = members(value, FACE_MEMBERS | ({"heads_root"} if kind == "heads" else set()), {"portion"}, "a face")
    if type(face["v"]) is not int or face["v"] != 1:
        raise Bad(f"its face is of version {shown(face['v'])}, this verifier reads 1")
    for name in ("type", "event_id", "at", "client", "route", "result", "purpose", "seal"):
        if not isinstance(face[name], str) or not face[name]:
            raise Bad(f"`{name}` of its face is not text")
    if not re.fullmatch("[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*", face["type"]):
        raise Bad(f"type {shown(face['type'])} is none")
    if not re.fullmatch("[A-Za-z0-9_-]{1,64}", face["event_id"]):
        raise Bad(f"event id {shown(face['event_id'])} is none")
    checked_time(face["at"])
    digest_of(face["seal"], "seal")
    if face["body_sha256"] is not None:
        digest_of(face["body_sha256"], "body_sha256")
    if "heads_root" in face:
        digest_of(face["heads_root"], "heads_root")
    if "portion" in face:
        path_id(face["portion"], "portion")
    if not isinstance(face["items"], list):
        raise Bad("`items` of its face is not a list")
    copies = 0
    for item in face["items"]:
        item = members(item, {"id"}, {"copy_sha256"}, "an item of a face")
        path_id(item["id"], "id of an item")
        if "copy_sha256" in item:
            digest_of(item["copy_sha256"], "copy_sha256")
            copies += 1
    result, release = face["result"], face["type"] in ("list", "item", "file")
    if result not in ("sent", "refused", "done"):
        raise Bad(f"result {shown(result)} is none")
    if result == "refused" and copies:
        raise Bad("a refusal that names a copy")
    if result == "done" and face["body_sha256"] is not None:
        raise Bad("an act with the hash of a body")
    if release and (result == "done" or face["body_sha256"] is None):
        raise Bad("a release without the hash of a body")
    if release and result == "sent" and copies != len(face["items"]):
        raise Bad("an item sent without the hash of its copy")
    if release and (face["type"] == "file") != ("portion" in face):
        raise Bad("`portion` is set for a file, and for nothing else")
    return face


def checked_record(log: str, face: dict[str, Any], record: dict[str, Any]) -> None:
    """What a record says that its face, or the log, says too."""
    partners, sent = log not in OWN_LOGS, face["result"] == "sent"
    if partners and record.get("partner") != log:
        raise Bad(f"its record is of partner {shown(record.get('partner'))}")
    if partners and sent and record.get("outcome") not in ("release", "in_part"):
        raise Bad(f"it was sent, and its record has outcome {shown(record.get('outcome'))}")
    items = record.get("items", None if partners else [])
    if not isinstance(items, list):
        raise Bad("`items` of its record is not a list")
    labels = checked_labels(record.get("labels", {}))
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("id"), str) or type(item.get("version")) is not int:
            raise Bad("an item of its record has no id or version")
        if item["version"] < (1 if sent else 0):
            raise Bad(f"item {shown(item['id'])} of its record has version {item['version']}")
        named = item.get("labels", [])
        if not isinstance(named, list) or not all(isinstance(digest, str) and digest in labels for digest in named):
            raise Bad(f"item {shown(item['id'])} of its record names a label that the record does not hold")
    if partners:
        shown_ids, recorded_ids = [item["id"] for item in face["items"]], [item["id"] for item in items]
        if recorded_ids != shown_ids and (sent or recorded_ids):
            raise Bad("its record is of other items than its face")


def checked_personal(personal: object, record_text: bytes) -> None:
    """Texts by or about people: each stands in the record as SHA-256(salt || text), and beside it for as long as nobody erased it."""
    if not isinstance(personal, dict) or not personal:
        raise Bad("`personal` is not an object that holds something")
    for digest, kept in personal.items():
        digest_of(digest, "commitment")
        kept = members(kept, {"salt", "value"}, set(), "a personal text")
        if not isinstance(kept["value"], str):
            raise Bad("the value of a personal text is none")
        made = sha256(digest_of(kept["salt"], "salt") + kept["value"].encode()).hexdigest()
        if made != digest:
            raise Bad(f"a personal text and its salt make commitment {made}, they stand beside {shown(digest)}")
        # Quotes inside a string are escaped, so that this is found as an object of the record or not at all.
        if f'{{"commitment":"{digest}"}}'.encode() not in record_text:
            raise Bad(f"a personal text stands under commitment {shown(digest)}, which its record does not hold")


def checked_labels(labels: object) -> set[str]:
    if not isinstance(labels, dict):
        raise Bad("`labels` of its record is not an object")
    for digest, label in labels.items():
        found = sha256(canonical(label).encode()).hexdigest()
        if found != digest:
            raise Bad(f"label {shown(digest)} of its record has digest {found}")
    return set(labels)


def members(value: object, needed: set[str], allowed: set[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Bad(f"{what} is not an object")
    for name in sorted(needed - value.keys()):
        raise Bad(f"{what} without `{name}`")
    for name in sorted(value.keys() - needed - allowed):
        raise Bad(f"{what} with `{shown(name)}`, which is unknown")
    return value


def digest_of(value: object, name: str) -> bytes:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise Bad(f"`{name}` is not 64 lower-case hex digits")
    return bytes.fromhex(value)


def path_id(value: object, name: str) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}|\?[0-9a-f]{64}", value):
        raise Bad(f"the {name}, {shown(value)}, is none")


def checked_time(text: str) -> None:
    try:
        right = re.fullmatch(r"[0-9-]{10}T[0-9:]{8}\.[0-9]{6}Z", text, re.ASCII) and datetime.fromisoformat(text).isoformat(
            timespec="microseconds"
        )
    except ValueError:
        right = None
    if not right or right.replace("+00:00", "Z") != text:
        raise Bad(f"time {shown(text)} is none")


# --- a compact export -------------------------------------------------------------------------------------------------

# So many numbers, and so many bytes that may stand under each, are what is held of an export, however long it is.
CIRCUMSTANCES_NUMBER, ITEM_NUMBER, SAID_BYTES_MAX = "[0-9]{3}", "[01][0-9]{4}", 4_096
FACE_IN_COMMON = {"client", "purpose", "result", "route", "type", "v"}
RECORD_IN_COMMON = {"authority", "bundle", "engine", "outcome", "partner"}
FULL_BEGINS, ENTRIES_BEGIN, ENTRIES_END = b'{"face":', b'{"act":[', b"]}"
COLUMNS = ("act", "at", "body_sha256", "circumstances", "event_id", "items", "leaf_hash", "nonce", "position", "queries")
TEXT_COLUMNS = ("at", "body_sha256", "circumstances", "event_id", "leaf_hash", "nonce")
NEXT_COLUMN = [b'],"%b":[' % name.encode() for name in COLUMNS[1:]]
USUAL_ITEM = re.compile(
    rb'\{(?:"copy_sha256":"(' + HEX + rb')",)?"item":("' + ITEM_NUMBER.encode() + rb'"),"labels":(\{'
    + listed(rb'"' + HEX + rb'":\{[^{}]*+\}') + rb'\}),(?:"portion":(' + PATH_ID + rb'),)?"record":(\{"id":' + ITEM.pattern + rb"\})\}"
)  # fmt: skip


class Circumstances(NamedTuple):
    """What entries have in common: who asked for what kind of thing, under which policy, and what came of it.

    Texts are those of a leaf, and of a record, between which the rest of it stands.
    """

    log: bytes
    bundle: bytes | None
    kind: bytes
    in_leaf: tuple[bytes, bytes, bytes]
    """Before the event id, before the seal, and after it."""
    in_record: tuple[bytes, bytes]
    """Before the items, and before the query."""


class Items(NamedTuple):
    """What an entry says of an item, or of several: in its face, in its record, and of their labels.

    `kind` is that of the circumstances they can stand under; where they are none, under any but those of a file.
    """

    kind: bytes | None
    face: bytes
    recorded: bytes
    """What the record says of them, from inside of `items` to the end of `labels`."""
    record_end: int
    """Where in that `items` ends."""
    labels: Sequence[bytes]
    """Each with its digest."""


SENT, SENT_FILE, REFUSED, REFUSED_FILE = b"sent", b"file sent", b"refused", b"file refused"
FACE_BEGINS, FACE_ENDS = b'","items":[', b"],"
NO_ITEMS = Items(None, FACE_BEGINS + FACE_ENDS, AFTER_ITEMS + b"}", 0, ())
FIT_NO_ITEMS = (SENT, REFUSED)
NO_DIGEST = b"0" * 64
EVENT_LENGTHS = {*range(1, 65)}


def sealed_text(nonce: bytes, act: bytes, at: bytes, under: tuple[bytes, bytes], items: bytes, query: bytes) -> bytes:
    """What a seal is the SHA-256 of: nonce and record. `query` with the brace that ends the record."""
    before_items, before_query = under
    return b"".join((nonce, b'{"act":', act, b',"at":"', at, before_items, items, before_query, query))


def hashed_leaf(at: bytes, body: bytes, event: bytes, under: tuple[bytes, bytes, bytes], face: bytes, seal: bytes) -> bytes:
    """What a leaf hash is the SHA-256 of."""
    before_event, before_seal, after_seal = under
    return b"".join((b'\x00{"at":"', at, b'","body_sha256":"', body, before_event, event, face, before_seal, seal, after_seal))


def kind_of(*, sent: bool, file: bool) -> bytes:
    return (SENT_FILE if file else SENT) if sent else (REFUSED_FILE if file else REFUSED)


class Compact:
    """The lines of `entries.compact.jsonl`, in their order.

    A line is an entry in full, as in `entries.jsonl`; or circumstances, or an item, under a number that is theirs until it is given anew;
    or some entries that refer to these by their numbers, as columns: from the same place in each, the entry in full is built in the one
    way there is. What stands under a number is referred to by an entry in the next line of entries, so that the root vouches for it.
    """

    def __init__(self) -> None:
        self._circumstances: dict[bytes, Circumstances] = {}
        self._items: dict[bytes, Items] = {b"": NO_ITEMS}
        self._unused: set[bytes] = set()
        self._seconds = Known(reader_of(SECOND))
        self._acts = Known(reader_of(re.compile(NUMBER)))
        self._labels = Known(label_of)

    def runs(self, lines: list[bytes], read_full: Callable[[list[bytes]], Iterable[Run]]) -> Iterator[Run]:
        """The entries of some lines; `read_full` reads those that stand there in full."""
        for full, group in groupby(lines, key=lambda line: line.startswith(FULL_BEGINS)):
            if full:
                self.end()
                yield from read_full([*group])
                continue
            for line in group:
                if line.startswith(ENTRIES_BEGIN):
                    yield from self._entries(line)
                else:
                    self.define(line)

    def in_full(self, line: bytes) -> list[bytes]:
        """What a line says, as `entries.jsonl` has it: an entry, some, or none.

        Raises:
            DoesNotHold: it is no line of such a file.
        """
        if line.startswith(FULL_BEGINS):
            self.end()
            return [line]
        if line.startswith(ENTRIES_BEGIN):
            return self._built(line)
        self.define(line)
        return []

    def end(self) -> None:
        """No entry comes now that refers to anything."""
        self._used(set())

    def _used(self, numbers: set[bytes]) -> None:
        if unused := self._unused - numbers:
            raise DoesNotHold(f"entries.compact.jsonl: what stands under number {min(unused).decode()} is not referred to right after it")
        self._unused.clear()

    def _entries(self, line: bytes) -> Iterable[Run]:
        try:
            return self._usual(line)
        # Each is built and read the thorough way, which says what is wrong where something is.
        except (ValueError, KeyError, Unusual):
            return [run_of(read_entry(entry)) for entry in self._built(line)]

    def _usual(self, line: bytes) -> list[Run]:
        """The entries of a line, if it is of the usual form and all is well with all of them.

        Whatever passes here passes the thorough way too: what they refer to was found to hold when it was read, and here it is looked at
        whether all else is of its form, and fits together.

        Raises:
            ValueError, KeyError, Unusual: something is of another form, refers to what is not there, or is wrong.
        """
        act, at, body, number, event, item, leaf_hash, nonce, position, query = columns_of(line)
        ats, bodies, numbers, events, nonces = map(texts_in, (at, body, number, event, nonce))
        acts, named, places = act.split(b","), lists_in(item), places_of(position.split(b","))
        count = len(ats)
        if {*map(len, (bodies, numbers, events, nonces, acts, named, places))} != {count} or not {*map(len, events)} <= EVENT_LENGTHS:
            raise Unusual
        if {*map(len, bodies)} != {64} or {*map(len, nonces)} != {64}:
            raise Unusual
        if self._unused and self._unused - {*numbers, *b",".join(named).split(b",")}:
            raise Unusual
        check_times(ats, self._seconds)
        check_ids(events)
        logs, bundles, kinds, in_leaf, in_record = zip(*[self._circumstances[one] for one in numbers], strict=True)
        found_kinds, faces, recorded, _, _ = zip(*[self._items.get(one) or self._several(one) for one in named], strict=True)
        if not all(one == other or (one is None and other in FIT_NO_ITEMS) for one, other in {*zip(found_kinds, kinds, strict=True)}):
            raise Unusual
        sealed = map(sealed_text, nonces_of(bodies, nonces), acts, ats, in_record, recorded, queries_in(query, count))
        seals = hexlify(b"".join([sha256(one).digest() for one in sealed]))
        leaves = [*map(hashed_leaf, ats, bodies, events, in_leaf, faces, struct.unpack("64s" * count, seals))]
        hashes = [sha256(leaf).digest() for leaf in leaves]
        if b'"%b"' % b'","'.join(struct.unpack("64s" * count, hexlify(b"".join(hashes)))) != leaf_hash:
            raise Unusual
        if max(map(len, leaves)) > len(b"\x00") + LEAF_BYTES_MAX:
            raise Unusual
        said = {one: int(self._acts[one]) for one in {*acts}}
        self._unused.clear()
        return runs_of(logs, places, events, hashes, ats, [said[one] for one in acts], bundles)

    def _several(self, numbers: bytes) -> Items:
        """What an entry says of several items.

        Raises:
            KeyError: there is none of such a number.
            Unusual: they cannot stand in one entry.
        """
        kinds, faces, recorded, ends, labels = zip(*[self._items[number] for number in numbers.split(b",")], strict=True)
        if kinds[0] not in FIT_NO_ITEMS or kinds.count(kinds[0]) != len(kinds):
            raise Unusual
        face = FACE_BEGINS + b",".join([one[len(FACE_BEGINS) : -len(FACE_ENDS)] for one in faces]) + FACE_ENDS
        record = b",".join([one[:end] for one, end in zip(recorded, ends, strict=True)])
        each_label = sorted({*chain.from_iterable(labels)})
        return Items(kinds[0], face, b"".join((record, AFTER_ITEMS, b",".join(each_label), b"}")), len(record), each_label)

    def _built(self, line: bytes) -> list[bytes]:
        """Entries in full.

        Raises:
            DoesNotHold: they are not of the form, or refer to what is not there, or not to what stands right before them.
        """
        try:
            columns = members(canonical_value(line), {*COLUMNS}, set(), "entries")
            count = len(columns["at"]) if isinstance(columns["at"], list) else 0
            queries = checked_queries(columns["queries"], count)
            if not count or any(not isinstance(columns[name], list) or len(columns[name]) != count for name in COLUMNS[:-1]):
                raise Bad("columns that are not of one length")
            for name in COLUMNS[:-1]:
                form: type = str if name in TEXT_COLUMNS else list if name == "items" else int
                if not all(type(one) is form for one in columns[name]):
                    raise Bad(f"`{name}` has something that is of another kind")
            rows = [
                [canonical(columns[name][place]).encode() for name in COLUMNS[:-1]] + [canonical(queries.get(place)).encode() + b"}"]
                for place in range(count)
            ]
            self._used({number for row in rows for number in (row[3][1:-1], *row[5][1:-1].split(b","))})
            return [self._in_full(*row) for row in rows]
        except Bad as bad:
            raise DoesNotHold(f"a line of entries.compact.jsonl, `{shown(line)}`: {bad}") from None

    def _in_full(
        self, act: bytes, at: bytes, body: bytes, number: bytes, event: bytes, item: bytes, leaf_hash: bytes, nonce: bytes, place: bytes,
        query: bytes,
    ) -> bytes:  # fmt: skip
        """An entry in full, from its values as JSON."""
        try:
            under, items = self._circumstances[number[1:-1]], self._items.get(item[1:-1]) or self._several(item[1:-1])
        except (KeyError, Unusual):
            raise Bad("an entry refers to what is not there, or to items that cannot stand in one entry") from None
        return line_in_full(act, at[1:-1], body[1:-1], under, event[1:-1], items, leaf_hash[1:-1], nonce[1:-1], place, query)

    def define(self, line: bytes) -> None:
        """Hold what stands under a number from now on.

        Raises:
            DoesNotHold: an entry of it would not, or this is not of the form.
        """
        number, said = self.said_in(line)
        if number in self._unused:
            raise DoesNotHold(f"entries.compact.jsonl: number {number.decode()} is given twice before it is referred to")
        self._unused.add(number)
        if isinstance(said, Items):
            self._items[number] = said
        else:
            self._circumstances[number] = said

    def said_in(self, line: bytes) -> tuple[bytes, Items | Circumstances]:
        """What a line says once, and under which number.

        Raises:
            DoesNotHold: an entry of it would not, or this is not of the form.
        """
        try:
            if len(line) > SAID_BYTES_MAX:
                raise Bad(f"{len(line)} bytes, at most {SAID_BYTES_MAX} are allowed")
            return self._usual_item(line) or under_number(canonical_value(line))
        except Bad as bad:
            raise DoesNotHold(f"a line of entries.compact.jsonl, `{shown(line)}`: {bad}") from None

    def _usual_item(self, line: bytes) -> tuple[bytes, Items] | None:
        """An item and its number, if it is of the usual form and all is well with it."""
        found = USUAL_ITEM.fullmatch(line)
        if found is None:
            return None
        copy, number, labels, portion, record, name, digests, version = found.groups()
        each = labels[2:-2].split(BETWEEN_LABELS) if labels != b"{}" else []
        try:
            held = [self._labels[one] for one in each]
        except Unusual:
            return None
        if held != sorted({*held}) or not {*held}.issuperset(digests[1:-1].split(b'","') if digests else []) or (copy and version == b"0"):
            return None
        return number, items_of(copy, portion, name, record, labels, [b'"%b}' % one for one in each])


def columns_of(line: bytes) -> list[bytes]:
    """What stands between the brackets of each column."""
    columns = []
    start = len(ENTRIES_BEGIN)
    for between in NEXT_COLUMN:
        end = line.find(between, start)
        if end < 0:
            raise Unusual
        columns.append(line[start:end])
        start = end + len(between)
    if not line.endswith(ENTRIES_END):
        raise Unusual
    return [*columns, line[start : -len(ENTRIES_END)]]


def texts_in(column: bytes) -> list[bytes]:
    if column[:1] != b'"' or column[-1:] != b'"':
        raise Unusual
    return column[1:-1].split(b'","')


def lists_in(column: bytes) -> list[bytes]:
    if column[:1] != b"[" or column[-1:] != b"]":
        raise Unusual
    return column[1:-1].split(b"],[")


def queries_in(column: bytes, count: int) -> list[bytes]:
    """The query of each entry, with the brace that ends its record."""
    queries = [NO_QUERY] * count
    if column:
        texts, _, asked = zip(*[one.partition(b",") for one in lists_in(column)], strict=True)
        places = places_of(texts)
        if not all(map(lt, places, [*places[1:], count])):
            raise Unusual
        for place, query in zip(places, asked, strict=True):
            queries[place] = query + b"}"
            check_query(queries[place])
    return queries


def checked_queries(pairs: object, count: int) -> dict[int, object]:
    """Queries by the place of their entry.

    Raises:
        Bad: these are none.
    """
    queries: dict[int, object] = {}
    upto = -1
    for pair in pairs if isinstance(pairs, list) else [None]:
        if not isinstance(pair, list) or len(pair) != 2 or type(pair[0]) is not int or not upto < pair[0] < count or pair[1] is None:
            raise Bad("`queries` are not places and queries")
        upto = pair[0]
        queries[upto] = pair[1]
    return queries


def under_number(value: object) -> tuple[bytes, Items | Circumstances]:
    """What a line says once, where an entry of it would hold; and its number.

    Raises:
        Bad: it would not, or this is not of the form.
    """
    if isinstance(value, dict) and "item" in value:
        number, items = item_under(value)
        check_made_up(made_up_circumstances(items), items)
        return number, items
    number, under = circumstances_under(value)
    check_made_up(under, made_up_items(under))
    return number, under


def circumstances_under(value: object) -> tuple[bytes, Circumstances]:
    """Circumstances, and their number.

    Raises:
        Bad: they are not of the form.
    """
    said = members(value, {"circumstances", "face", "log", "record"}, set(), "circumstances")
    face = members(said["face"], FACE_IN_COMMON, set(), "their face")
    record = members(said["record"], RECORD_IN_COMMON, set(), "their record")
    number, log = said["circumstances"], said["log"]
    if not isinstance(number, str) or not re.fullmatch(CIRCUMSTANCES_NUMBER, number):
        raise Bad(f"number {shown(number)} is none")
    if not isinstance(log, str) or not re.fullmatch("[A-Z][A-Z0-9-]*", log):
        raise Bad("the name of their log is not that of a partner's")
    if face["result"] not in ("sent", "refused") or face["type"] not in ("list", "item", "file"):
        raise Bad("neither a release nor a refusal")
    written = {name: canonical(one) for name, one in [*face.items(), *record.items()]}
    in_leaf = (
        '","client":{client},"event_id":"',
        '"purpose":{purpose},"result":{result},"route":{route},"seal":"',
        '","type":{type},"v":{v}}}',
    )
    in_record = (
        '","authority":{authority},"bundle":{bundle},"engine":{engine},"items":[', ',"outcome":{outcome},"partner":{partner},"query":'
    )  # fmt: skip
    before_event, before_seal, after_seal, before_items, before_query = [one.format(**written).encode() for one in in_leaf + in_record]
    return number.encode(), Circumstances(
        log=log.encode(),
        bundle=None if record["bundle"] is None else written["bundle"][1:-1].encode(),
        kind=kind_of(sent=face["result"] == "sent", file=face["type"] == "file"),
        in_leaf=(before_event, before_seal, after_seal),
        in_record=(before_items, before_query),
    )


def item_under(value: object) -> tuple[bytes, Items]:
    """An item, and its number in quotes.

    Raises:
        Bad: it is not of the form.
    """
    said = members(value, {"item", "labels", "record"}, {"copy_sha256", "portion"}, "an item")
    number, record, labels = said["item"], said["record"], said["labels"]
    if not isinstance(number, str) or not re.fullmatch(ITEM_NUMBER, number):
        raise Bad(f"number {shown(number)} is none")
    if not isinstance(record, dict) or not isinstance(labels, dict):
        raise Bad("`record` or `labels` of it is not an object")
    copy, portion = [canonical(said[name]).encode() if name in said else None for name in ("copy_sha256", "portion")]
    each_label = [f"{quote(digest)}:{canonical(label)}".encode() for digest, label in labels.items()]
    name, record_text, labels_text = [canonical(one).encode() for one in (record.get("id"), record, labels)]
    return f'"{number}"'.encode(), items_of(copy and copy[1:-1], portion, name, record_text, labels_text, each_label)


def items_of(copy: bytes | None, portion: bytes | None, name: bytes, record: bytes, labels: bytes, each_label: list[bytes]) -> Items:
    """An item: the digest of its copy, and what else is said of it as JSON; each label with its digest."""
    copied = b'"copy_sha256":"%b",' % copy if copy is not None else b""
    of_file = b'"portion":%b,' % portion if portion is not None else b""
    face = FACE_BEGINS + b'{%b"id":%b}' % (copied, name) + FACE_ENDS + of_file
    kind = kind_of(sent=copy is not None, file=portion is not None)
    return Items(kind, face, record + AFTER_ITEMS + labels[1:], len(record), each_label)


def check_made_up(under: Circumstances, items: Items) -> None:
    """Find that an entry of these would hold.

    Raises:
        Bad: it would not.
    """
    made_up = line_in_full(b"0", b"2000-01-01T00:00:00.000000Z", NO_DIGEST, under, b"-", items, None, NO_DIGEST, b"0", NO_QUERY)
    checked_entry(canonical_value(made_up))


def made_up_circumstances(items: Items) -> Circumstances:
    """Such as an item may stand under."""
    result = "sent" if items.kind in (SENT, SENT_FILE) else "refused"
    type_ = "item" if items.kind in FIT_NO_ITEMS else "file"
    face = {"client": "-", "purpose": "-", "result": result, "route": "-", "type": type_, "v": 1}
    record = {"authority": None, "bundle": None, "engine": None, "outcome": "release", "partner": "A"}
    return circumstances_under({"circumstances": "000", "face": face, "log": "A", "record": record})[1]


def made_up_items(under: Circumstances) -> Items:
    """Such as may stand under these circumstances."""
    if under.kind in FIT_NO_ITEMS:
        return NO_ITEMS
    copy = {"copy_sha256": NO_DIGEST.decode()} if under.kind == SENT_FILE else {}
    return item_under({"item": "00000", "labels": {}, "portion": "-", "record": {"id": "-", "version": 1}, **copy})[1]


def line_in_full(
    act: bytes, at: bytes, body: bytes, under: Circumstances, event: bytes, items: Items, leaf_hash: bytes | None, nonce: bytes,
    place: bytes, query: bytes,
) -> bytes:  # fmt: skip
    """An entry as `entries.jsonl` has it; with the leaf hash that it has, where none is given.

    Raises:
        Bad: its nonce is none.
    """
    record = sealed_text(b"", act, at, under.in_record, items.recorded, query)
    seal = sha256(digest_of(nonce.decode(), "nonce") + record).hexdigest().encode()
    leaf = hashed_leaf(at, body, event, under.in_leaf, items.face, seal)
    return b'{"face":%b,"index":%b,"leaf_hash":"%b","log":"%b","nonce":"%b","record":%b}' % (
        leaf[1:], place, leaf_hash or sha256(leaf).hexdigest().encode(), under.log, nonce, record,
    )  # fmt: skip


class EventIds:
    """Event ids seen, by eight bytes each. The hash is keyed anew in each run of Python, so that nobody can make two ids meet."""

    def __init__(self) -> None:
        self._shares = [array("q") for _ in range(256)]
        self._add_to = [share.append for share in self._shares]

    def add(self, event_ids: Iterable[bytes]) -> None:
        add_to = self._add_to
        for hashed in map(hash, event_ids):
            add_to[hashed & 255](hashed)

    def repeats(self) -> set[int]:
        """Hashes that occur twice; empty where all ids differ."""
        found: set[int] = set()
        for share in self._shares:
            if len(set(share)) != len(share):
                found.update(value for value, group in groupby(sorted(share)) if len(list(group)) > 1)
        return found


# --- the tree ---------------------------------------------------------------------------------------------------------


class Gap(NamedTuple):
    """Entries left out: `start` to `stop`, exclusive, and the hashes of the subtrees they are made of."""

    log: str
    start: int
    stop: int
    hashes: list[bytes]


GAP = re.compile(
    rb'\{"hashes":\[(' + listed(rb'"' + HEX + rb'"') + rb')\],"log":"([A-Za-z0-9-]++)"'
    + rb',"start":(' + NUMBER + rb'),"stop":(' + NUMBER + rb")\}"
)  # fmt: skip
"""The one form of a gap. A line of it is canonical."""


def gap_of(line: bytes) -> Gap:
    """Read a line of `left-out.jsonl`.

    Raises:
        DoesNotHold: it is not a gap, or not canonical.
    """
    found = GAP.fullmatch(line)
    if found is not None:
        hashes, log, start, stop = found.groups()
        read = Gap(log.decode(), int(start), int(stop), [unhexlify(one) for one in hashes[1:-1].split(b'","') if hashes])
        if read.start < read.stop:
            return read
    return read_gap(line)


def read_gap(line: bytes) -> Gap:
    """Read such a line the thorough way, which says why it is none."""
    try:
        value = members(canonical_value(line), {"hashes", "log", "start", "stop"}, set(), "a gap")
        if not isinstance(value["log"], str) or not isinstance(value["hashes"], list):
            raise Bad("a gap without a log or hashes")
        if type(value["start"]) is not int or type(value["stop"]) is not int or not 0 <= value["start"] < value["stop"]:
            raise Bad("a gap without a place")
        return Gap(value["log"], value["start"], value["stop"], [digest_of(one, "hashes") for one in value["hashes"]])
    except Bad as bad:
        raise DoesNotHold(f"a line of left-out.jsonl, `{shown(line)}`: {bad}") from None


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """The tree over `tree_size` leaves (RFC 9162 section 2.1.1), from its leaves and from subtrees of it, left to right.

    Held are the roots of whole subtrees so far, each with its width, widths falling; and leaves that wait to be taken in together.
    """

    CHUNK = 1024

    def __init__(self, tree_size: int) -> None:
        self.tree_size = tree_size
        self.size = 0
        self.left_out = 0
        self._edge: list[tuple[int, bytes]] = []
        self._waiting: list[bytes] = []

    def show(self, leaf_hashes: Sequence[bytes]) -> None:
        start = 0
        while start < len(leaf_hashes):
            # Up to the next whole subtree.
            part = leaf_hashes[start : start + self.CHUNK - self.size % self.CHUNK]
            self._waiting += part
            self.size += len(part)
            start += len(part)
            if self.size % self.CHUNK == 0:
                self._settle()

    def leave_out(self, gap: Gap) -> None:
        if gap.stop > self.tree_size:
            raise DoesNotHold(f"log {gap.log}: a gap up to entry {gap.stop}, beyond its size {self.tree_size}")
        if gap.stop - gap.start == len(gap.hashes) == 1:
            # The hash of one entry is a leaf as any other.
            self.show(gap.hashes)
            self.left_out += 1
            return
        self._settle()
        hashes = iter(gap.hashes)
        while self.size < gap.stop:
            width = self._widest(gap.stop)
            value = next(hashes, None)
            if value is None:
                raise DoesNotHold(f"log {gap.log}: a gap at {gap.start} with too few hashes")
            self._add(width, value)
            self.size += width
        if next(hashes, None) is not None:
            raise DoesNotHold(f"log {gap.log}: a gap at {gap.start} with too many hashes")
        self.left_out += gap.stop - gap.start

    def _widest(self, stop: int) -> int:
        """How wide the widest subtree is that begins here and ends by `stop`. The shape of the tree says it, and leaves no choice."""
        start, end, place = 0, self.tree_size, self.size
        # Down from the whole tree, by the split of RFC 9162, to the first subtree that begins here and fits.
        while start < place or end > stop:
            middle = start + (1 << ((end - start - 1).bit_length() - 1))
            if place >= middle:
                start = middle
            else:
                end = middle
        return end - start

    def _settle(self) -> None:
        waiting, self._waiting = self._waiting, []
        if len(waiting) == self.CHUNK and self.size % self.CHUNK == 0:
            # A whole subtree at once.
            level = waiting
            while len(level) > 1:
                level = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=True)]
            self._add(self.CHUNK, level[0])
            return
        for value in waiting:
            self._add(1, value)

    def _add(self, width: int, value: bytes) -> None:
        # Two whole subtrees of one width are one; a narrower one that ends the tree waits for the end.
        while self._edge and self._edge[-1][0] == width and width & (width - 1) == 0:
            value = node(self._edge.pop()[1], value)
            width *= 2
        self._edge.append((width, value))

    def edge_root(self) -> bytes:
        """The root of the tree of all that was taken in so far."""
        self._settle()
        if not self._edge:
            return EMPTY_ROOT
        reached = self._edge[-1][1]
        for _, left in reversed(self._edge[:-1]):
            reached = node(left, reached)
        return reached

    root = edge_root


def root_by_inclusion(leaf_hash: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """The root that a proof leads to. Down the tree by its splits, and up again by the proof.

    Raises:
        DoesNotHold: the proof has another length than the way.
    """
    if not 0 <= index < size:
        raise DoesNotHold(f"entry {index} of a tree of {size}")
    way: list[bool] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        right = index >= middle
        way.append(right)
        start, end = (middle, end) if right else (start, middle)
    if len(way) != len(proof):
        raise DoesNotHold(f"a proof of {len(proof)} hashes for entry {index} of {size}, expected {len(way)}")
    reached = leaf_hash
    for right, sibling in zip(reversed(way), proof, strict=True):
        reached = node(sibling, reached) if right else node(reached, sibling)
    return reached


# --- checkpoints ------------------------------------------------------------------------------------------------------


class Key(NamedTuple):
    """A verifier's key (C2SP signed-note), of type Ed25519."""

    name: str
    key_id: bytes
    public: bytes


class Head(NamedTuple):
    """What a checkpoint says."""

    origin: str
    size: int
    root: bytes


def key_of(text: str) -> Key:
    parts = text.split("+", 2)
    decoded = base64_of(parts[2], "a key") if len(parts) == 3 else b""
    if len(parts) != 3 or not parts[0] or len(decoded) != 33 or decoded[0] != 1 or re.search(r"\s", parts[0]):
        raise CouldNotRead(f"key `{shown(text)}` is not `NAME+KEYID+BASE64` of an Ed25519 key")
    key_id = sha256(parts[0].encode() + b"\n" + decoded).digest()[:4]
    if key_id.hex() != parts[1]:
        raise CouldNotRead(f"key `{shown(text)}` has another key id than it says")
    return Key(parts[0], key_id, decoded[1:])


class Keys:
    """The keys that were given, by the origin of their log."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._keys: dict[str, list[Key]] = {}
        for text in texts:
            key = key_of(text)
            self._keys.setdefault(key.name, []).append(key)

    def of(self, origin: str) -> list[Key]:
        return self._keys.get(origin, [])


def open_note(note: str, keys: list[Key]) -> str | None:
    """The text of a note that one of these keys signed; None where none of them did.

    Raises:
        DoesNotHold: malformed, or a signature of one of these keys is wrong.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    text, lines = signature_lines(note)
    signed = False
    for name, signature in lines:
        for key in keys:
            if (name, signature[:4]) != (key.name, key.key_id):
                continue
            try:
                Ed25519PublicKey.from_public_bytes(key.public).verify(signature[4:], text.encode())
            except (InvalidSignature, ValueError):
                raise DoesNotHold(f"the signature of key `{key.name}+{key.key_id.hex()}` does not hold") from None
            signed = True
    return text if signed else None


def signature_lines(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The text of a signed note, and (name, signature with the key id before it) of each line below it; nothing of it is checked yet.

    Raises:
        DoesNotHold: malformed.
    """
    text, blank, rest = note.rpartition("\n\n")
    if not blank or not rest.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", note):
        raise DoesNotHold("a signed note that is none")
    lines = []
    for line in rest[:-1].split("\n"):
        found = re.fullmatch("\u2014 ([^\\s+]+) ([A-Za-z0-9+/=]+)", line)
        if found is None:
            raise DoesNotHold("a signed note with a signature line that is none")
        lines.append((found[1], base64_of(found[2], "a signature")))
    return text + "\n", lines


def head_of(text: str) -> Head:
    """The three lines of a checkpoint."""
    lines = text[:-1].split("\n")
    if len(lines) != 3 or not lines[0] or not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]):
        raise DoesNotHold("a checkpoint that is not origin, size and root")
    head = Head(lines[0], int(lines[1]), base64_of(lines[2], "the root of a checkpoint"))
    if len(head.root) != 32:
        raise DoesNotHold("a checkpoint whose root is not 32 bytes")
    return head


def check_checkpoint_of(export: Export, log: LogListed, keys: Keys, own_keys: dict[str, Any], report: Report) -> str:
    """(4): the signed head of a log. How it was checked, in a few words."""
    note = text_of(export.read(f"checkpoints/{log.log}"), f"checkpoints/{log.log}")
    try:
        said = open_head(note, log.origin, keys.of(log.origin), lambda: keys_inside(own_keys, log))
    except DoesNotHold as found:
        raise DoesNotHold(f"log {log.log}, its checkpoint: {found}") from None
    if (said.head.origin, said.head.size, said.head.root) != (log.origin, log.size, log.root):
        raise DoesNotHold(
            f"log {log.log}: its checkpoint is of {said.head.size} entries with root {said.head.root.hex()}, "
            f"the manifest says {log.size} and {log.root.hex()}"
        )
    if not said.given:
        report.unproven.append(
            f"log {log.log}: no `--key` for `{log.origin}`, so its checkpoint was checked with a key out of the export itself"
        )
    return "signed" if said.given else "signed by the key in the export"


class Opened(NamedTuple):
    """A head, and whether it was opened by a key that was given."""

    head: Head
    given: bool


def open_head(note: str, origin: str, given: list[Key], inside: Callable[[], list[Key]]) -> Opened:
    """Open a checkpoint by a key that was given for this origin; where none was, by one that came along with it."""
    text = open_note(note, given or inside())
    if text is None:
        raise DoesNotHold("not signed by a key of this log" if given else "not signed by the key that came along with it")
    head = head_of(text)
    if head.origin != origin:
        raise DoesNotHold(f"it is of `{shown(head.origin)}`, expected `{shown(origin)}`")
    return Opened(head, bool(given))


def keys_inside(own_keys: dict[str, Any], log: LogListed) -> list[Key]:
    listed = own_keys.get(log.log)
    if not isinstance(listed, dict) or listed.get("origin") != log.origin or not isinstance(listed.get("keys"), list):
        raise DoesNotHold("`keys.json` has no keys of it")
    found = [key_of(one["vkey"]) for one in listed["keys"] if isinstance(one, dict) and isinstance(one.get("vkey"), str)]
    return [key for key in found if key.name == log.origin]


class Compare:
    """Checkpoints that somebody else holds, compared with the tree when it is as large as they say."""

    def __init__(self, logs: list[LogListed], seen: list[Path], keys: Keys) -> None:
        self._seen: dict[str, dict[int, tuple[bytes, str]]] = {}
        self._compared: set[tuple[str, int]] = set()
        by_origin = {log.origin: log for log in logs}
        for path in seen:
            note = text_of(path.read_bytes(), str(path))
            head = head_of(note.partition("\n\n")[0] + "\n")
            log = by_origin.get(head.origin)
            if log is None:
                raise CouldNotRead(f"checkpoint `{path}` is of `{shown(head.origin)}`, which is not in this export")
            if keys.of(log.origin) and open_note(note, keys.of(log.origin)) is None:
                raise CouldNotRead(f"checkpoint `{path}` is not signed by the key given for its log")
            if head.size > log.size:
                raise DoesNotHold(
                    f"log {log.log}: checkpoint `{path}` is of {head.size} entries, the export has {log.size}: "
                    "it is older, or the end was cut off"
                )
            self._seen.setdefault(log.log, {})[head.size] = (head.root, str(path))

    def points(self, log: str) -> list[int]:
        return sorted(self._seen.get(log, {}))

    def at(self, log: str, size: int, root: bytes) -> None:
        held, path = self._seen[log][size]
        if held != root:
            raise DoesNotHold(
                f"log {log}: its first {size} entries have root {root.hex()}, checkpoint `{path}` says {held.hex()}: "
                "the log was written anew, or another is shown to somebody else"
            )
        self._compared.add((log, size))

    def end(self, log: str, size: int, root: bytes, report: Report) -> None:
        for point, (_, path) in sorted(self._seen.get(log, {}).items()):
            if point == size:
                self.at(log, size, root)
            if (log, point) not in self._compared:
                report.unproven.append(
                    f"log {log}: checkpoint `{path}` could not be compared, as entry {point} lies within what is left out"
                )


# --- receipts and single entries --------------------------------------------------------------------------------------


def check_receipt(path: Path, keys: Keys, witnesses: Witnesses, report: Report) -> None:
    """A receipt, as `GET /v1/releases/{event_id}/receipt` and `entente log prove --json` give it."""
    receipt = json_of(path.read_bytes(), str(path))
    for name in ("event_id", "leaf", "proof", "key"):
        if not isinstance(receipt.get(name), str):
            raise CouldNotRead(f"`{path}` is not a receipt: it has no `{name}`")
    leaf = receipt["leaf"].encode()
    try:
        face = checked_face(canonical_value(leaf))
    except Bad as bad:
        raise DoesNotHold(f"its leaf: {bad}") from None
    if face["event_id"] != receipt["event_id"]:
        raise DoesNotHold(f"its leaf is of event {face['event_id']}, the receipt says {shown(receipt['event_id'])}")
    index, hashes, checkpoint = proof_of(receipt["proof"])
    origin = checkpoint.partition("\n")[0]
    opened = open_head(checkpoint, origin, keys.of(origin), lambda: [key_of(receipt["key"])])
    reached = root_by_inclusion(sha256(b"\x00" + leaf).digest(), index, opened.head.size, hashes)
    if reached != opened.head.root:
        raise DoesNotHold(f"its proof leads to root {reached.hex()}, the checkpoint says {opened.head.root.hex()}")
    if not opened.given:
        report.unproven.append(f"no `--key` for `{origin}`, so the checkpoint was checked with the key out of the receipt itself")
    report.say(
        f"event {face['event_id']}, {face['type']} {face['result']} at {face['at']}, is entry {index} of {opened.head.size} of `{origin}`"
    )
    signed = witnesses.signed(f"the checkpoint of `{origin}`", checkpoint, report)
    if receipt.get("root_proof") is not None:
        signed = max(signed, check_root_of_receipt(receipt, index, opened.head, keys, witnesses, report))
    witnesses.expect(f"entry {index} of `{origin}`", signed, report)


def proof_of(text: str) -> tuple[int, list[bytes], str]:
    """(index, hashes, checkpoint) of a C2SP tlog-proof."""
    head, blank, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or lines.pop(0) != "c2sp.org/tlog-proof@v1":
        raise DoesNotHold("a proof that is none")
    if lines and lines[0].startswith("extra "):
        lines.pop(0)
    if not lines or not re.fullmatch("index (0|[1-9][0-9]{0,18})", lines[0]):
        raise DoesNotHold("a proof without an index")
    hashes = [base64_of(line, "a hash of a proof") for line in lines[1:]]
    if any(len(value) != 32 for value in hashes):
        raise DoesNotHold("a hash of a proof that is not 32 bytes")
    return int(lines[0].removeprefix("index ")), hashes, checkpoint


def check_entry_beside(path: Path, export_path: Path, keys: Keys, report: Report) -> None:
    """An entry that an export left out, as `GET /v1/audit/entries/{log}/{index}?size=` gives it, against the export's checkpoint."""
    answer = json_of(path.read_bytes(), str(path))
    export = Export(export_path)
    manifest = read_manifest(export)
    hashes = answer.get("proof")
    if not isinstance(answer.get("entry"), dict) or not isinstance(hashes, list):
        raise CouldNotRead(f"`{path}` is not an entry with its proof")
    try:
        entry = checked_entry(answer["entry"])
        proof = [digest_of(one, "proof") for one in hashes]
    except Bad as bad:
        raise DoesNotHold(f"{name_of(b'', answer['entry'])}: {bad}") from None
    log = next((one for one in map(log_listed, manifest["logs"]) if one.log == entry.log.decode()), None)
    if log is None:
        raise CouldNotRead(f"log {entry.log.decode()} is not in this export")
    check_checkpoint_of(export, log, keys, json_of(export.read("keys.json"), "keys.json"), report)
    reached = root_by_inclusion(entry.leaf_hash, entry.place, log.size, proof)
    if reached != log.root:
        raise DoesNotHold(
            f"{named(run_of(entry))}: its proof leads to root {reached.hex()}, "
            f"the checkpoint says {log.root.hex()}; ask for it with `size={log.size}`"
        )
    report.say(f"{named(run_of(entry))}, of {log.size}: it is in the log that the export is of")


# --- roots and witnesses ----------------------------------------------------------------------------------------------


class Witness(NamedTuple):
    """A witness's key (C2SP tlog-cosignature), of type Ed25519."""

    name: str
    key_id: bytes
    public: bytes


class Witnesses:
    """The witnesses that were named, and how many of them must have signed.

    Raises:
        CouldNotRead: a key that is none, or a quorum that they cannot reach.
    """

    def __init__(self, texts: list[str], quorum: int | None) -> None:
        self._named = [witness_of(text) for text in texts]
        # One key under two names is one witness.
        different = len({one.public for one in self._named})
        self._quorum = different if quorum is None else quorum
        if quorum is not None and not 1 <= quorum <= different:
            raise CouldNotRead(f"a quorum of {quorum} out of {different} witnesses")

    def signed(self, what: str, note: str, report: Report) -> int:
        """How many of them signed a checkpoint; says which, and when. Called once its log's own signature was found to hold.

        Raises:
            DoesNotHold: a line under the key of one of them is not its signature.
        """
        text, lines = signature_lines(note)
        found: dict[bytes, None] = {}
        others = 0
        for name, signature in lines:
            by = next((one for one in self._named if (one.name, one.key_id) == (name, signature[:4])), None)
            if by is not None:
                time = cosigned_at(text, by, signature)
                report.say(f"{what}: witness `{by.name}` signed at {time}")
                found[by.public] = None
            # Of the form of a witness's: key id, time and signature; a log's own has no time.
            elif len(signature) == 4 + 8 + 64:
                others += 1
        if others:
            report.say(f"{what}: {others} signatures of witnesses passed over, as no `--witness` names them")
        return len(found)

    def expect(self, what: str, signed: int, report: Report) -> None:
        """Note it where too few signed what this is about."""
        if signed < self._quorum:
            report.unwitnessed.append(f"{what}: signed by {signed} of the witnesses named, expected {self._quorum}")


def witness_of(text: str) -> Witness:
    parts = text.split("+", 2)
    decoded = base64_of(parts[2], "a witness's key") if len(parts) == 3 else b""
    if len(parts) != 3 or not parts[0] or len(decoded) != 33 or decoded[0] != 4 or re.search(r"\s", parts[0]):
        raise CouldNotRead(f"witness `{shown(text)}` is not `NAME+KEYID+BASE64` of an Ed25519 key for cosignatures")
    key_id = sha256(parts[0].encode() + b"\n" + decoded).digest()[:4]
    if key_id.hex() != parts[1]:
        raise CouldNotRead(f"witness `{shown(text)}` has another key id than it says")
    return Witness(parts[0], key_id, decoded[1:])


def cosigned_at(text: str, witness: Witness, signature: bytes) -> str:
    """When a witness signed a checkpoint of this text (C2SP tlog-cosignature, `cosignature/v1`).

    Raises:
        DoesNotHold: it did not.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(signature) != 4 + 8 + 64:
        raise DoesNotHold(f"the signature of witness `{witness.name}` has {len(signature)} bytes, expected 76")
    seconds = int.from_bytes(signature[4:12], "big")
    try:
        signed = f"cosignature/v1\ntime {seconds}\n{text}".encode()
        Ed25519PublicKey.from_public_bytes(witness.public).verify(signature[12:], signed)
    except (InvalidSignature, ValueError):
        raise DoesNotHold(f"the signature of witness `{witness.name}` does not hold") from None
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return f"{seconds} seconds after 1970"


class Rooted(NamedTuple):
    """A head of a log, and the root it was found to be under. `head_given` and `root_given`: by keys that were given."""

    head: Head
    head_given: bool
    at: str
    number: int
    root: Head
    root_given: bool
    checkpoint: str


def rooted(value: object, keys: Keys) -> Rooted:
    """Check a root proof, as `GET /v1/log/self/root-proof` gives it.

    Raises:
        DoesNotHold: naming the step that does not.
    """
    try:
        proof = needed(value, {"slot": int, "slots": int, "head": str, "salt": str, "path": list, "leaf": str, "proof": str, "root": dict})
        salt, path = digest_of(proof["salt"], "salt"), [digest_of(one, "path") for one in proof["path"]]
        inside, root_inside = texts_of(proof.get("keys", []), "keys"), texts_of(proof["root"].get("keys", []), "keys")
    except Bad as bad:
        raise DoesNotHold(f"a root proof: {bad}") from None
    # (1): the head, signed by its log.
    origin = proof["head"].partition("\n")[0]
    with about("the head"):
        opened = open_head(proof["head"], origin, keys.of(origin), lambda: keys_named(inside, origin))
    # (2): in the slot that the log's origin names, and no other, which might hold a second head.
    place = re.fullmatch(r"(.*)/log/(0|[1-9][0-9]{0,3})/[^/]+", origin)
    if place is None or int(place[2]) != proof["slot"] or proof["slots"] != SLOTS or proof["slot"] >= SLOTS:
        raise DoesNotHold(f"slot {proof['slot']} of {proof['slots']} is not that of the log `{shown(origin)}`, of {SLOTS}")
    # (3): the root's entry, under a signed head of the root log of the same installation.
    try:
        face = checked_face(canonical_value(proof["leaf"].encode("utf-8", "surrogatepass")))
    except Bad as bad:
        raise DoesNotHold(f"the entry of a root: {bad}") from None
    if face["type"] != "heads" or "heads_root" not in face:
        raise DoesNotHold(f"the entry is of type {face['type']}, expected that of a root")
    index, hashes, checkpoint = proof_of(proof["proof"])
    root_origin = checkpoint.partition("\n")[0]
    root_place = re.fullmatch(r"(.*)/log/(?:0|[1-9][0-9]{0,3})/root", root_origin)
    if root_place is None or root_place[1] != place[1]:
        raise DoesNotHold(f"`{shown(root_origin)}` is not the root log of `{shown(origin)}`")
    with about("the root log"):
        root = open_head(checkpoint, root_origin, keys.of(root_origin), lambda: keys_named(root_inside, root_origin))
    reached = root_by_inclusion(sha256(b"\x00" + proof["leaf"].encode()).digest(), index, root.head.size, hashes)
    if reached != root.head.root:
        raise DoesNotHold(f"the entry of a root leads to root {reached.hex()}, the checkpoint of the root log says {root.head.root.hex()}")
    # (4): the way from the slot to what this entry says.
    reached = root_by_inclusion(sha256(b"\x00" + salt + proof["head"].encode()).digest(), proof["slot"], SLOTS, path)
    if reached.hex() != face["heads_root"]:
        raise DoesNotHold(
            f"the head in slot {proof['slot']} leads to root {reached.hex()}, entry {index} of the root log says {face['heads_root']}"
        )
    return Rooted(opened.head, opened.given, face["at"], index, root.head, root.given, checkpoint)


def check_root(path: Path, keys: Keys, witnesses: Witnesses, report: Report) -> None:
    """A root proof, as `GET /v1/log/self/root-proof` gives it."""
    value = json_of(path.read_bytes(), str(path))
    if not {"slot", "head", "leaf", "proof"} <= value.keys():
        raise CouldNotRead(f"`{path}` is not a root proof")
    found = rooted(value, keys)
    for head, given in ((found.head, found.head_given), (found.root, found.root_given)):
        if not given:
            report.unproven.append(f"no `--key` for `{head.origin}`, so it was checked with a key out of the root proof itself")
    report.say(f"the head of `{found.head.origin}` of {found.head.size} entries is under {said_of(found)}")
    what = f"root {found.number} of `{found.root.origin}`"
    witnesses.expect(what, witnesses.signed(what, found.checkpoint, report), report)


def check_root_of_receipt(receipt: dict[str, Any], index: int, head: Head, keys: Keys, witnesses: Witnesses, report: Report) -> int:
    """The root proof that came with a receipt; how many witnesses signed a root that the entry is under."""
    found = rooted(receipt["root_proof"], keys)
    if found.head.origin != head.origin:
        raise DoesNotHold(f"the root proof is of `{shown(found.head.origin)}`, the receipt of `{shown(head.origin)}`")
    check_continues(found.head, head, receipt["root_proof"].get("consistency"), "the checkpoint of the receipt")
    if not found.root_given:
        report.unproven.append(f"no `--key` for `{found.root.origin}`, so the root was checked with a key out of the receipt itself")
    signed = witnesses.signed(f"root {found.number} of `{found.root.origin}`", found.checkpoint, report)
    if index >= found.head.size:
        report.say(f"the entry is younger than the newest root over its log, {said_of(found)}")
        return 0
    report.say(f"it is under {said_of(found)}")
    return signed


def check_roots_of(
    export: Export, logs: list[LogListed], keys: Keys, own_keys: dict[str, Any], witnesses: Witnesses, report: Report
) -> None:
    """(7): what ties the logs of an export to the root log, where it says; and of the root log, what witnesses signed of it."""
    roots: dict[tuple[str, int], bytes] = {}
    for log in logs:
        note = text_of(export.read(f"checkpoints/{log.log}"), f"checkpoints/{log.log}")
        signed = witnesses.signed(f"log {log.log}, its checkpoint", note, report)
        name = f"roots/{log.log}"
        if name in export.names:
            value = json_of(export.read(name), name)
            with about(f"log {log.log}, `{name}`"):
                if log.log == "root":
                    then, checkpoint = witnessed_head(value, log, keys, own_keys)
                else:
                    found = rooted(value, keys)
                    then, checkpoint = found.head, found.checkpoint
                    if roots.setdefault((found.root.origin, found.root.size), found.root.root) != found.root.root:
                        raise DoesNotHold(f"a root log of {found.root.size} entries that is another than that of a log before it")
                    report.say(f"log {log.log}: its head of {then.size} entries is under {said_of(found)}")
                    if not found.root_given:
                        report.say(f"remark: log {log.log}: no `--key` for `{found.root.origin}`, so its root shows nothing")
                check_continues(then, Head(log.origin, log.size, log.root), value.get("consistency"), "the checkpoint of the export")
                signed = max(signed, witnesses.signed(f"log {log.log}, its root", checkpoint, report))
        witnesses.expect(f"log {log.log}", signed, report)


def witnessed_head(value: dict[str, Any], log: LogListed, keys: Keys, own_keys: dict[str, Any]) -> tuple[Head, str]:
    """The newest head of the root log that a witness signed, and its checkpoint."""
    note = value.get("head")
    if not isinstance(note, str):
        raise DoesNotHold("it has no head")
    return open_head(note, log.origin, keys.of(log.origin), lambda: keys_inside(own_keys, log)).head, note


def said_of(found: Rooted) -> str:
    return f"root {found.number} of `{found.root.origin}`, made at {found.at}"


def check_continues(old: Head, new: Head, proof: object, what: str) -> None:
    """That the log of `new` is that of `old`, grown. RFC 9162 section 2.1.4.2, by the splits of the larger tree and not by bits.

    Raises:
        DoesNotHold: it is another, or is not shown to be this one.
    """
    try:
        if old.origin != new.origin or not isinstance(proof, list):
            raise Bad("it is of another log" if old.origin != new.origin else "there is no proof of it")
        hashes = [digest_of(one, "consistency") for one in proof]
        if old.size > new.size:
            raise Bad("it is larger")
        old_reached, new_reached = both_roots(old, new, hashes)
    except Bad as bad:
        raise DoesNotHold(f"{what} does not continue the head of {old.size} entries that is under a root: {bad}") from None
    if (old_reached, new_reached) != (old.root, new.root):
        raise DoesNotHold(
            f"{what} does not continue the head of {old.size} entries that is under a root: the proof leads to roots "
            f"{old_reached.hex()} and {new_reached.hex()}, signed are {old.root.hex()} and {new.root.hex()}"
        )


def both_roots(old: Head, new: Head, hashes: list[bytes]) -> tuple[bytes, bytes]:
    """The roots of the smaller and the larger tree that a consistency proof leads to."""
    if old.size == 0 or old.size == new.size:
        if hashes:
            raise Bad("hashes too many in the proof")
        return (EMPTY_ROOT, new.root) if old.size == 0 else (old.root, old.root)
    # Down the larger tree, to the subtree that ends where the smaller tree ends. What lies beside the way is in the proof.
    way: list[bool] = []
    start, end = 0, new.size
    while end != old.size:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        beyond = old.size > middle
        way.append(beyond)
        start, end = (middle, end) if beyond else (start, middle)
    # If that subtree is the smaller tree itself, its root is known and not sent along.
    hashes = hashes if start else [old.root, *hashes]
    if len(hashes) != len(way) + 1:
        raise Bad(f"a proof of {len(hashes) - (not start)} hashes, expected {len(way) + (start > 0)}")
    old_reached = new_reached = hashes[0]
    for beyond, sibling in zip(reversed(way), hashes[1:], strict=True):
        if beyond:
            old_reached, new_reached = node(sibling, old_reached), node(sibling, new_reached)
        else:
            new_reached = node(new_reached, sibling)
    return old_reached, new_reached


def needed(value: object, forms: dict[str, type]) -> dict[str, Any]:
    """An object that has these members of these forms, and perhaps others."""
    if not isinstance(value, dict):
        raise Bad("it is not an object")
    for name, form in forms.items():
        if type(value.get(name)) is not form:
            raise Bad(f"it has no proper `{name}`")
    return value


def texts_of(value: object, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Bad(f"`{name}` is not a list of texts")
    return value


def keys_named(texts: list[str], origin: str) -> list[Key]:
    return [key for key in map(key_of, texts) if key.name == origin]


@contextmanager
def about(what: str) -> Iterator[None]:
    """If something does not hold in here, it is said of what."""
    try:
        yield
    except DoesNotHold as found:
        raise DoesNotHold(f"{what}: {found}") from None


# --- canonical JSON (RFC 8785) ----------------------------------------------------------------------------------------


def canonical_value(text: bytes) -> object:
    """The value of canonical JSON.

    Raises:
        Bad: not JSON, or not the one way RFC 8785 has of writing it.
    """
    try:
        value = json.loads(text.decode("utf-8"), parse_constant=refuse_constant)
        again = canonical(value).encode("utf-8")
    except (ValueError, RecursionError):
        raise Bad("it is not canonical JSON") from None
    if again != text:
        raise Bad("it is JSON, but not in canonical form")
    return value


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


quote = json.JSONEncoder(ensure_ascii=False).encode


def canonical(value: object) -> str:
    """RFC 8785 of a JSON value.

    Raises:
        Bad: a number that it has no text for.
    """
    if isinstance(value, str):
        return quote(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise Bad("a number that no double can vouch for")
        return str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        return "[" + ",".join([canonical(one) for one in value]) + "]"
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join([f"{quote(name)}:{canonical(value[name])}" for name in names]) + "}"
    raise Bad("a value that is not JSON")


def number(value: float) -> str:
    """A double as ECMAScript writes it: the shortest digits, which Python has too, in another notation."""
    if value != value or value in (float("inf"), float("-inf")):
        raise Bad("a number that is none")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        text = digits.ljust(point, "0") if len(digits) <= point else f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        text = f"{digits[0]}{'.' if len(digits) > 1 else ''}{digits[1:]}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return sign + text


def json_of(content: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise CouldNotRead(f"`{name}` is not JSON") from None
    if not isinstance(value, dict):
        raise CouldNotRead(f"`{name}` is not a JSON object")
    return value


def text_of(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise CouldNotRead(f"`{name}` is not text") from None


def base64_of(text: str, what: str) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DoesNotHold(f"{what} is not base64") from None
    if base64.b64encode(decoded).decode() != text:
        raise DoesNotHold(f"{what} is not base64 as it is written")
    return decoded


def shown(value: object) -> str:
    """Something that was read, as it may be printed: short, and without control characters."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return text[:80].encode("unicode_escape").decode("ascii")


if __name__ == "__main__":
    sys.exit(main())
