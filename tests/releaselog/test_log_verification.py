"""A whole log, re-derived: it holds as it was written, and every kind of tampering is named with its place and reason."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import ProofError
from service.releaselog.checkpoint import Checkpoint, sign_checkpoint
from service.releaselog.facts import facts
from service.releaselog.keys import KeyPeriod
from service.releaselog.leaf import Face, FaceItem, canonical, seal, time_text
from service.releaselog.merkle import EMPTY_ROOT, Frontier, completed_tiles, leaf_hash
from service.releaselog.notes import Signer
from service.releaselog.verify import (
    Code,
    StoredCheckpoint,
    StoredEntry,
    StoredFact,
    StoredHead,
    StoredItem,
    Verdict,
    verify_log,
)

SIGNER = Signer("entente.example/log/17/JPN", bytes(range(32)))
OFFICERS = Signer("entente.example/log/3/officers", bytes(range(32)))
START = datetime(2026, 11, 22, 10, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LABEL = {"level": "SECRET", "categories": ["MARITIME"], "releasable_to": ["JPN", "USA"], "caveats": [], "originators": ["USA"]}
LABEL_DIGEST = hashlib.sha256(canonical(LABEL)).hexdigest()


@dataclass
class Log:
    """What a store keeps of one log; every part of it can be tampered with."""

    signer: Signer
    entries: list[StoredEntry] = field(default_factory=list)
    tiles: dict[tuple[int, int], tuple[bytes, ...]] = field(default_factory=dict)
    checkpoints: list[StoredCheckpoint] = field(default_factory=list)
    head: StoredHead = field(init=False)

    def __post_init__(self) -> None:
        name = self.signer.name.rpartition("/")[2]
        self.head = StoredHead(name, 0, b"", EMPTY_ROOT, 0, self.signed(0, EMPTY_ROOT))

    def signed(self, size: int, root: bytes) -> str:
        return sign_checkpoint(Checkpoint(self.signer.name, size, root), self.signer)

    def append(self, entries: Sequence[StoredEntry]) -> None:
        hashes = [entry.leaf_hash for entry in entries]
        old = self.head.size
        for tile in completed_tiles(old, hashes, self._read):
            self.tiles[tile.level, tile.index] = tile.hashes
        self.entries += entries
        frontier = Frontier.from_bytes(self.head.frontier, old).extend(hashes)
        note = self.signed(frontier.size, frontier.root())
        at = max((micros(entry) for entry in entries), default=self.head.at)
        self.head = StoredHead(self.head.log, frontier.size, frontier.to_bytes(), frontier.root(), at, note)
        if frontier.size // 256 > old // 256:
            self.checkpoints.append(StoredCheckpoint(frontier.size, note))

    def _read(self, level: int, index: int, width: int) -> Sequence[bytes]:
        if level == 0:
            return [entry.leaf_hash for entry in self.entries[index * 256 : index * 256 + width]]
        return self.tiles[level, index][:width]

    def verify(self) -> Verdict:
        return verify_log(
            iter(self.entries),
            self.head,
            iter(self.checkpoints),
            lambda level, index: self.tiles.get((level, index)),
            tile_count=len(self.tiles),
            keys=[KeyPeriod(self.signer.vkey)],
            origin=self.signer.name,
        )


def micros(entry: StoredEntry) -> int:
    at = entry.columns["at"]
    assert isinstance(at, int)
    return at


def made(index: int, *, type_: str = "item", log: str = "JPN", face_changes: object = None, **record_changes: object) -> StoredEntry:
    """An entry as a writer makes it, before anybody tampers with it. `face_changes` are made before it is sealed and hashed."""
    at = START + timedelta(milliseconds=index)
    refused, act = type_ == "refusal", type_.startswith("item.")
    ids = [f"i-{index % 7}", f"i-{index % 5 + 10}"] if type_ == "list" else [f"i-{index % 7}"]
    copy = hashlib.sha256(b"copy %d" % (index % 7)).digest()
    version = index % 3 + 1
    record: dict[str, object] = {"act": 5 + index // 100, "at": time_text(at), "authority": None, "outcome": "done", "details": {}}
    if not act:
        item = {"ref": "r", "version": version, "portions": ["p"], "labels": [LABEL_DIGEST], "rules": ["AGR-0001"]}
        record |= {"partner": "JPN", "outcome": "withhold" if refused else "in_part", "items": [{"id": id_, **item} for id_ in ids]}
        record |= {"labels": {LABEL_DIGEST: LABEL}, "bundle": "ab", "engine": "cd", "query": None}
    record = {name: value for name, value in {**record, **record_changes}.items() if value is not ...}
    nonce, sealed = hashlib.sha256(b"nonce %d" % index).digest(), canonical(record)
    face = Face(
        type="item" if refused else type_,
        event_id=f"e-{index}",
        at=at,
        client="c_1",
        route="/v1/items/{id}",
        items=tuple(FaceItem(id_, None if refused or act else copy) for id_ in ids),
        body_sha256=None if act else copy,
        result="refused" if refused else "done" if act else "sent",
        purpose="none",
        seal=seal(nonce, sealed),
    )
    if callable(face_changes):
        face = face_changes(face)
    leaf, at_micros = face.leaf(), (face.at - EPOCH) // timedelta(microseconds=1)
    counted = version if face.result == "sent" and log == "JPN" else 0
    return StoredEntry(
        position=index,
        leaf=leaf,
        leaf_hash=leaf_hash(leaf),
        record=sealed,
        nonce=nonce,
        columns={"event_id": face.event_id, "at": at_micros, "type": face.type, "client": face.client, "result": face.result},
        items=tuple(StoredItem(id_, at_micros, counted) for id_ in sorted({item.id for item in face.items})),
        facts=tuple(StoredFact(fact, at_micros) for fact in sorted(facts(record))),
    )


def kind_of(index: int) -> str:
    return ("item", "list", "refusal")[index % 3]


@cache
def _entries(size: int) -> tuple[StoredEntry, ...]:
    return tuple(made(index, type_=kind_of(index)) for index in range(size))


def log_of(size: int, batch: int = 97) -> Log:
    log = Log(SIGNER)
    entries = _entries(size)
    for start in range(0, size, batch):
        log.append(entries[start : start + batch])
    return log


# --- as it was written --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "batch"), [(0, 1), (1, 1), (255, 255), (256, 1), (257, 300), (600, 97), (768, 256)])
def test_a_log_as_written_is_whole(size: int, batch: int) -> None:
    log = log_of(size, batch)
    verdict = log.verify()
    assert verdict.fault is None, str(verdict.fault)
    assert verdict == Verdict("JPN", size, log.head.root, None)
    assert verdict.whole


def test_a_log_of_officers_acts_and_looks_is_whole() -> None:
    log = Log(OFFICERS)
    act, look = made(0, type_="item.create", log="officers"), made(1, type_="look.view", log="officers", partner="IND")
    log.append([act, look, made(2, type_="item.withdraw", log="officers")])
    assert log.verify().fault is None, str(log.verify().fault)


def test_a_refusal_of_what_is_not_there_has_a_record_without_items() -> None:
    log = Log(SIGNER)
    log.append([made(0, type_="refusal", items=[], labels={})])
    assert log.verify().fault is None, str(log.verify().fault)


def test_two_entries_of_one_batch_have_one_time() -> None:
    log = Log(SIGNER)
    log.append([made(0), made(1, face_changes=lambda face: replace(face, at=START), at=time_text(START))])
    assert log.verify().fault is None, str(log.verify().fault)


def test_entries_are_read_once_and_not_kept() -> None:
    log = log_of(300)
    alive: list[StoredEntry] = []

    def stream() -> object:
        for entry in log.entries:
            alive.clear()
            alive.append(entry)
            yield entry

    verdict = verify_log(
        stream(),  # type: ignore[arg-type]
        log.head,
        log.checkpoints,
        lambda level, index: log.tiles.get((level, index)),
        tile_count=len(log.tiles),
        keys=[KeyPeriod(SIGNER.vkey)],
        origin=SIGNER.name,
    )
    assert verdict.whole


@pytest.mark.parametrize(
    ("vkey", "origin"), [(OFFICERS.vkey, SIGNER.name), ("nonsense", SIGNER.name), (SIGNER.vkey, OFFICERS.name)], ids=str
)
def test_the_wrong_key_is_the_caller_s_mistake_not_the_log_s(vkey: str, origin: str) -> None:
    with pytest.raises(ProofError):
        verify_log([], Log(SIGNER).head, [], lambda level, index: None, tile_count=0, keys=[KeyPeriod(vkey)], origin=origin)


# --- every kind of tampering --------------------------------------------------------------------------------------------


def flip(value: bytes, place: int = -1) -> bytes:
    changed = bytearray(value)
    changed[place] ^= 1
    return bytes(changed)


def edit(log: Log, index: int, **changes: object) -> None:
    log.entries[index] = replace(log.entries[index], **changes)  # type: ignore[arg-type]


def edit_column(log: Log, index: int, name: str, value: object) -> None:
    edit(log, index, columns={**log.entries[index].columns, name: value})


def facts_of(log: Log, index: int) -> tuple[StoredFact, ...]:
    kept = log.entries[index].facts
    assert kept is not None
    return kept


def without_fact(log: Log, index: int, kind: str) -> None:
    edit(log, index, facts=tuple(row for row in facts_of(log, index) if row.fact[0] != kind))


def with_fact(log: Log, index: int, kind: str, value: str) -> None:
    edit(log, index, facts=(*facts_of(log, index), StoredFact((kind, value), micros(log.entries[index]))))


def renumber(log: Log) -> None:
    log.entries = [replace(entry, position=position) for position, entry in enumerate(log.entries)]


def delete(log: Log, index: int, *, close_the_gap: bool = False) -> None:
    del log.entries[index]
    if close_the_gap:
        renumber(log)


def insert(log: Log, index: int, entry: StoredEntry) -> None:
    log.entries.insert(index, entry)
    renumber(log)


def swap(log: Log, index: int) -> None:
    one, other = log.entries[index], log.entries[index + 1]
    log.entries[index : index + 2] = [replace(other, position=index), replace(one, position=index + 1)]


def forge(log: Log, index: int) -> None:
    """Another leaf with everything beside it made to fit, save the tree."""
    log.entries[index] = made(index, type_=kind_of(index), face_changes=lambda face: replace(face, client="c_2"))


def reversed_leaf(entry: StoredEntry) -> bytes:
    return b"{" + b",".join(reversed(entry.leaf[1:-1].split(b',"purpose"'))) + b"}"


def edit_head(log: Log, **changes: object) -> None:
    log.head = replace(log.head, **changes)  # type: ignore[arg-type]


def edit_tile(log: Log, level: int, index: int, place: int) -> None:
    hashes = list(log.tiles[level, index])
    hashes[place] = flip(hashes[place])
    log.tiles[level, index] = tuple(hashes)


def rolled_back(log: Log, size: int) -> None:
    """The head of an earlier day over today's entries."""
    log.head = replace(log_of(size).head)


TAMPERINGS: list[tuple[str, Callable[[Log], object], int | None, Code, str]] = [
    # --- entries
    ("leaf-bit-flipped", lambda log: edit(log, 5, leaf=flip(log.entries[5].leaf, 8)), 5, Code.LEAF_HASH, ""),
    ("leaf-hash-bit-flipped", lambda log: edit(log, 5, leaf_hash=flip(log.entries[5].leaf_hash)), 5, Code.LEAF_HASH, ""),
    (
        "leaf-not-canonical-hash-made-to-fit",
        lambda log: edit(log, 5, leaf=log.entries[5].leaf + b" ", leaf_hash=leaf_hash(log.entries[5].leaf + b" ")),
        5,
        Code.LEAF,
        "not in canonical form",
    ),
    ("leaf-not-json", lambda log: edit(log, 5, leaf=b"x", leaf_hash=leaf_hash(b"x")), 5, Code.LEAF, "not canonical JSON"),
    ("leaf-no-face", lambda log: edit(log, 5, leaf=b"{}", leaf_hash=leaf_hash(b"{}")), 5, Code.LEAF, "a leaf without `at`"),
    ("entry-deleted", lambda log: delete(log, 7), 7, Code.POSITION, "position 8"),
    ("first-entry-deleted", lambda log: delete(log, 0), 0, Code.POSITION, "position 1"),
    ("entry-deleted-gap-closed-in-a-full-tile", lambda log: delete(log, 7, close_the_gap=True), 7, Code.TILE, ""),
    ("entry-deleted-gap-closed-at-the-end", lambda log: delete(log, 295, close_the_gap=True), 299, Code.MISSING, "299"),
    ("tail-cut-off", lambda log: log.entries.__delitem__(slice(280, None)), 280, Code.MISSING, "280"),
    ("tail-cut-off-before-a-checkpoint", lambda log: log.entries.__delitem__(slice(200, None)), 200, Code.MISSING, "200"),
    ("entry-repeated", lambda log: log.entries.insert(8, log.entries[7]), 7, Code.POSITION, "position 7"),
    ("entry-repeated-under-a-place-of-its-own", lambda log: insert(log, 8, log.entries[7]), 8, Code.EVENT_ID, "that of entry 7"),
    ("entry-put-in-between", lambda log: insert(log, 8, made(8)), 8, Code.TILE, "tile 0/0"),
    ("entry-from-later-put-in-between", lambda log: insert(log, 8, log.entries[200]), 9, Code.TIME, "before"),
    ("entry-added-at-the-end", lambda log: log.entries.append(made(300)), 300, Code.SURPLUS, "more"),
    ("positions-exchanged", lambda log: log.entries.__setitem__(slice(3, 5), [log.entries[4], log.entries[3]]), 3, Code.POSITION, ""),
    ("entries-exchanged", lambda log: swap(log, 3), 4, Code.TIME, ""),
    ("entry-forged-in-a-full-tile", lambda log: forge(log, 9), 9, Code.TILE, "of tile 0/0"),
    ("entry-forged-after-the-last-full-tile", lambda log: forge(log, 295), None, Code.HEAD, ""),
    # --- columns
    ("column-event-id", lambda log: edit_column(log, 4, "event_id", "e-999"), 4, Code.COLUMN, "`e-999`"),
    ("column-at", lambda log: edit_column(log, 4, "at", micros(log.entries[4]) + 1), 4, Code.COLUMN, ""),
    ("column-type", lambda log: edit_column(log, 4, "type", "file"), 4, Code.COLUMN, "`file`"),
    ("column-client", lambda log: edit_column(log, 4, "client", "c_2"), 4, Code.COLUMN, "`c_2`"),
    ("column-result", lambda log: edit_column(log, 4, "result", "refused"), 4, Code.COLUMN, "`refused`"),
    ("column-route", lambda log: edit_column(log, 4, "route", "/v1/items"), 4, Code.COLUMN, "`/v1/items`"),
    ("column-purpose", lambda log: edit_column(log, 4, "purpose", "EXERCISE"), 4, Code.COLUMN, "`EXERCISE`"),
    ("column-body", lambda log: edit_column(log, 4, "body_sha256", bytes(32)), 4, Code.COLUMN, "`0000"),
    ("column-of-another-type", lambda log: edit_column(log, 4, "at", float(micros(log.entries[4]))), 4, Code.COLUMN, "another value"),
    ("column-null", lambda log: edit_column(log, 4, "client", None), 4, Code.COLUMN, "`None`"),
    ("column-that-no-face-has", lambda log: edit_column(log, 4, "colour", "red"), 4, Code.COLUMN, "`colour`"),
    ("fact-deleted", lambda log: without_fact(log, 4, "rule"), 4, Code.FACTS, "expected the fact rule `AGR-0001`"),
    ("facts-deleted", lambda log: edit(log, 4, facts=()), 4, Code.FACTS, "expected the fact bundle `ab`, as recorded, found none"),
    ("fact-invented", lambda log: with_fact(log, 4, "level", "TOP SECRET"), 4, Code.FACTS, "found `level` `TOP SECRET`"),
    (
        "fact-at-another-time",
        lambda log: edit(log, 4, facts=(replace(facts_of(log, 4)[0], at=1), *facts_of(log, 4)[1:])),
        4,
        Code.FACTS,
        "1",
    ),
    ("item-row-deleted", lambda log: edit(log, 4, items=()), 4, Code.ITEMS, "found none"),
    ("item-row-added", lambda log: edit(log, 4, items=(*log.entries[4].items, StoredItem("i-99", 0, 1))), 4, Code.ITEMS, "i-99"),
    ("item-row-repeated", lambda log: edit(log, 4, items=log.entries[4].items * 2), 4, Code.ITEMS, ""),
    (
        "item-row-of-another-item",
        lambda log: edit(log, 3, items=(replace(log.entries[3].items[0], id="i-4"),)),
        3,
        Code.ITEMS,
        "found `i-4`",
    ),
    ("item-row-at-another-time", lambda log: edit(log, 3, items=(replace(log.entries[3].items[0], at=1),)), 3, Code.ITEMS, "found 1"),
    (
        "item-row-of-another-version",
        lambda log: edit(log, 3, items=(replace(log.entries[3].items[0], version=9),)),
        3,
        Code.ITEMS,
        "found 9",
    ),
    (
        "refused-item-counted-as-received",
        lambda log: edit(log, 2, items=(replace(log.entries[2].items[0], version=1),)),
        2,
        Code.ITEMS,
        "version 0",
    ),
    # --- what is sealed
    ("record-changed", lambda log: edit(log, 6, record=log.entries[6].record.replace(b"AGR-0001", b"AGR-0002")), 6, Code.SEAL, ""),
    ("nonce-changed", lambda log: edit(log, 6, nonce=flip(log.entries[6].nonce)), 6, Code.SEAL, ""),
    ("nonce-lengthened", lambda log: edit(log, 6, nonce=log.entries[6].nonce + b"{"), 6, Code.SEAL, "found 33"),
    ("record-of-another-entry", lambda log: edit(log, 6, record=log.entries[9].record, nonce=log.entries[9].nonce), 6, Code.SEAL, ""),
    ("record-erased", lambda log: edit(log, 6, record=b""), 6, Code.SEAL, ""),
    # --- the tree
    ("tile-bit-flipped", lambda log: edit_tile(log, 0, 0, 17), 17, Code.TILE, "expected"),
    ("tile-of-level-1-bit-flipped", lambda log: edit_tile(log, 1, 0, 0), 0, Code.TILE, "tile 1/0"),
    ("tile-deleted", lambda log: log.tiles.pop((0, 0)), 0, Code.TILE, "nothing"),
    ("growing-tile-deleted", lambda log: log.tiles.pop((1, 0)), 0, Code.TILE, "nothing"),
    ("tile-shortened", lambda log: log.tiles.update({(0, 0): log.tiles[0, 0][:200]}), 200, Code.TILE, "nothing"),
    ("tile-lengthened", lambda log: log.tiles.update({(1, 0): log.tiles[1, 0] * 2}), None, Code.TILE, "found 2"),
    ("tile-added", lambda log: log.tiles.update({(0, 9): log.tiles[0, 0]}), None, Code.TILE, "found 3"),
    # --- checkpoints and the head
    (
        "checkpoint-text-changed",
        lambda log: log.checkpoints.__setitem__(0, replace(log.checkpoints[0], note=log.checkpoints[0].note.replace("JPN\n", "IND\n"))),
        290,
        Code.CHECKPOINT,
        "does not hold",
    ),
    (
        "checkpoint-of-another-root-signed-with-our-key",
        lambda log: log.checkpoints.__setitem__(0, StoredCheckpoint(291, log.signed(291, bytes(32)))),
        290,
        Code.CHECKPOINT,
        "root",
    ),
    (
        "checkpoint-filed-under-another-size",
        lambda log: log.checkpoints.__setitem__(0, replace(log.checkpoints[0], size=280)),
        279,
        Code.CHECKPOINT,
        "found 291",
    ),
    ("checkpoint-repeated", lambda log: log.checkpoints.append(log.checkpoints[0]), 290, Code.CHECKPOINT, "found size 291"),
    (
        "checkpoint-beyond-the-log",
        lambda log: log.checkpoints.append(StoredCheckpoint(400, log.signed(400, bytes(32)))),
        300,
        Code.MISSING,
        "found 300",
    ),
    ("head-root", lambda log: edit_head(log, root=flip(log.head.root)), None, Code.HEAD, "root"),
    ("head-frontier", lambda log: edit_head(log, frontier=flip(log.head.frontier)), None, Code.HEAD, "frontier"),
    ("head-frontier-cut", lambda log: edit_head(log, frontier=log.head.frontier[:-1]), None, Code.HEAD, "frontier"),
    ("head-size-smaller", lambda log: edit_head(log, size=299), 299, Code.SURPLUS, "299 entries"),
    ("head-size-larger", lambda log: edit_head(log, size=301), 300, Code.MISSING, "301 entries"),
    ("head-time", lambda log: edit_head(log, at=log.head.at + 1), None, Code.HEAD, "time"),
    ("head-rolled-back", lambda log: rolled_back(log, 250), 250, Code.SURPLUS, "250 entries"),
    ("head-checkpoint-older", lambda log: edit_head(log, checkpoint=log.checkpoints[0].note), None, Code.CHECKPOINT, "found 291"),
    ("head-checkpoint-erased", lambda log: edit_head(log, checkpoint=""), None, Code.CHECKPOINT, "blank line"),
    (
        "head-checkpoint-of-another-key",
        lambda log: edit_head(log, checkpoint=sign_checkpoint(Checkpoint(SIGNER.name, 300, log.head.root), Signer(SIGNER.name, bytes(32)))),
        None,
        Code.CHECKPOINT,
        "foreign key",
    ),
    (
        "head-checkpoint-of-another-root",
        lambda log: edit_head(log, checkpoint=log.signed(300, bytes(32))),
        None,
        Code.CHECKPOINT,
        "root",
    ),
]


@pytest.mark.parametrize(("tamper", "index", "code", "said"), [pytest.param(*tampering[1:], id=tampering[0]) for tampering in TAMPERINGS])
def test_tampering_is_named_with_its_place_and_reason(tamper: Callable[[Log], object], index: int | None, code: Code, said: str) -> None:
    log = log_of(300)
    tamper(log)
    verdict = log.verify()
    assert verdict.fault is not None, "it went unnoticed"
    assert (verdict.fault.index, verdict.fault.code) == (index, code), str(verdict.fault)
    assert said in str(verdict.fault)
    assert verdict.fault.log == "JPN"
    assert not verdict.whole


# --- records that were sealed wrong, by a writer or by whom has his key -------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"at": time_text(START)}, "`at`", id="of-another-time"),
        pytest.param({"at": ...}, "`at`", id="without-time"),
        pytest.param({"act": 4}, "`act` not below 5", id="of-an-older-act"),
        pytest.param({"act": ...}, "`act`", id="without-act"),
        pytest.param({"act": True}, "`act`", id="act-that-is-no-number"),
        pytest.param({"act": "5"}, "`act`", id="act-that-is-text"),
        pytest.param({"partner": "IND"}, "`partner` `JPN`", id="of-another-partner"),
        pytest.param({"partner": ...}, "`partner`", id="of-no-partner"),
        pytest.param({"outcome": "withhold"}, "`outcome`", id="sent-though-withheld"),
        pytest.param({"outcome": "refer"}, "`outcome`", id="sent-though-referred"),
        pytest.param({"items": []}, "`items` `i-1`, as in the leaf", id="sent-without-items"),
        pytest.param({"items": ...}, "`items`, a list", id="without-list-of-items"),
        pytest.param({"items": [{"id": "i-9", "version": 2}]}, "found `i-9`", id="of-another-item"),
        pytest.param({"items": [{"id": "i-1"}]}, "a version from 1", id="item-without-version"),
        pytest.param({"items": [{"id": "i-1", "version": 0}]}, "a version from 1", id="version-0"),
        pytest.param({"items": ["i-1"]}, "a version from 1", id="item-that-is-text"),
        pytest.param({"labels": {}}, "item `i-1` without", id="label-named-but-not-there"),
        pytest.param({"labels": {"00" * 32: LABEL}}, "a label under its digest", id="label-under-another-digest"),
        pytest.param({"labels": []}, "`labels`, an object", id="labels-that-are-a-list"),
    ],
)
def test_a_record_that_is_not_its_entry_s_is_named_though_its_seal_holds(changes: dict[str, object], said: str) -> None:
    log = Log(SIGNER)
    log.append([made(0), made(1, **changes), made(2)])  # type: ignore[arg-type]
    fault = log.verify().fault
    assert fault is not None
    assert (fault.index, fault.code) == (1, Code.RECORD), str(fault)
    assert said in str(fault)


@pytest.mark.parametrize("record", [b"[]", b"1", b"{", b'{"a": 1}'])
def test_a_sealed_text_that_is_no_record_is_named(record: bytes) -> None:
    log, entry = Log(SIGNER), made(0)
    forged = made(0, face_changes=lambda face: replace(face, seal=seal(entry.nonce, record)))
    log.append([replace(forged, record=record)])
    fault = log.verify().fault
    assert fault is not None and (fault.index, fault.code) == (0, Code.RECORD)


def test_an_act_named_below_the_one_before_is_found_in_every_log() -> None:
    log = Log(OFFICERS)
    log.append([made(0, type_="item.create", log="officers", act=9), made(1, type_="item.withdraw", log="officers", act=8)])
    fault = log.verify().fault
    assert fault is not None and (fault.index, fault.code) == (1, Code.RECORD)


def test_a_finding_shows_no_content() -> None:
    log = Log(SIGNER)
    log.append([made(0, at={"title": "the secret title"}, partner=["the secret title"])])
    assert "secret" not in str(log.verify().fault)


def test_a_finding_reads_as_one_line() -> None:
    log = log_of(20)
    edit_column(log, 4, "client", "c_2\nfake line")
    assert str(log.verify().fault) == r"log `JPN`, entry 4: column: expected `client` `c_1`, found `c_2\nfake line`"
    edit_head(log, at=0)
    log.entries[4] = _entries(20)[4]
    assert str(log.verify().fault).startswith("log `JPN`, head: head: expected time")


# --- laws ---------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 269), st.data())
@settings(max_examples=60, deadline=None)
def test_any_bit_flipped_in_any_entry_is_found_at_that_entry(index: int, data: st.DataObject) -> None:
    log = log_of(270)
    part = data.draw(st.sampled_from(["leaf", "leaf_hash", "record", "nonce"]))
    value = bytearray(getattr(log.entries[index], part))
    value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    edit(log, index, **{part: bytes(value)})
    fault = log.verify().fault
    assert fault is not None and fault.index == index
    assert fault.code == (Code.LEAF_HASH if part.startswith("leaf") else Code.SEAL)


@given(st.integers(1, 40), st.lists(st.integers(0, 39), min_size=1, max_size=3, unique=True))
@settings(max_examples=40, deadline=None)
def test_of_several_faults_the_first_in_the_log_is_named(size: int, places: list[int]) -> None:
    log = log_of(40, size)
    for place in places:
        edit_column(log, place, "client", "c_2")
    fault = log.verify().fault
    assert fault is not None and fault.index == min(places)


def test_an_event_id_used_twice_is_found_before_a_fault_behind_it() -> None:
    log = Log(SIGNER)
    entries = [made(index) for index in range(10)]
    entries[6] = made(6, face_changes=lambda face: replace(face, event_id="e-2"))
    entries[8] = made(8, face_changes=lambda face: replace(face, event_id="e-1"))
    log.append(entries)
    edit_column(log, 9, "client", "c_2")
    assert str(log.verify().fault) == "log `JPN`, entry 6: event-id: expected an event id of its own, found that of entry 2"
    edit_column(log, 5, "client", "c_2")
    fault = log.verify().fault
    assert fault is not None and (fault.index, fault.code) == (5, Code.COLUMN)
