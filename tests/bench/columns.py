"""The label side: all labels for all partners beside stock Casbin, an edit's effect on what is stored, what publication costs, and memory.

Invented bundles of 440 and 11,000 rules for 60 partners, 200,000 distinct labels. Stock is `casbin.Enforcer.enforce`, timed on a sample, as
all of it would take hours; on that sample every answer is compared. Processor time, so that what else the machine does does not count.

- *first*: a vocabulary never seen; *again*: another bundle over the same scheme and partners, as at a publication.
- *effect*: from two snapshots to who gains and loses which items, arrays and the columns of the bundle in force at hand.
"""

from __future__ import annotations

import gc
import hashlib
import random
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from service.labels.label import Label
from service.policy import Bundle, EngineKind, Outcome, Snapshot, read_bundle
from service.policy.columns import ForWhom, LabelColumns, outcomes
from service.policy.engine import build_engine
from service.policy.holdings import Holdings, Released, effect
from service.policy.snapshot import request_of
from service.settings import Settings
from service.sharing.acts import Actor
from service.sharing.catalogue import store_items
from service.sharing.installation import Installation, open_installation
from service.sharing.intake import ItemDraft, PortionDraft
from service.sharing.policies import PolicyState
from service.sharing.visibility import entitlement, entitlements_ahead, snapshots_ahead
from service.store import Database, visibility
from service.store.holdings import items_of, read_holdings
from service.store.migrate import migrate
from service.store.tables import FOREVER
from service.store.times import micros
from tests.bench.servers import REPOSITORY
from tests.support.big_bundle import EVERYONE, LEVELS, NOW, big_bundle, big_labels, partners_of
from tests.support.two_officers import publish_as_two

PARTNERS = 60
SIZES = (440, 11_000)
LABELS = 200_000
SAMPLE = 200
"""Questions to stock, a size; of a thousand times as many ours is compared with the row side."""
WHOM = tuple(map(ForWhom, partners_of(PARTNERS)))
_CHUNK = 20_000


def run(*, rounds: int, items: int) -> None:
    """Measure and print."""
    labels = list(big_labels(LABELS, PARTNERS))
    columns, built = _timed(lambda: LabelColumns(labels))
    print(f"label side: {LABELS} labels as columns in {built:.2f} s; seconds of processor time, median of {rounds}")
    with tempfile.TemporaryDirectory() as folder:
        holdings = _stored(Path(folder), columns, items)
    for rules in SIZES:
        bundle = read_bundle(big_bundle(rules, PARTNERS))
        _all_for_all(bundle, columns, rules, rounds)
        _effect(bundle, columns, holdings, rules, rounds)
    del holdings, columns
    _publication()
    _memory(labels)


def _timed(what: Callable[[], Any]) -> tuple[Any, float]:
    gc.collect()
    begun = time.process_time()
    found = what()
    return found, time.process_time() - begun


def _all_for_all(bundle: Bundle, columns: LabelColumns, rules: int, rounds: int) -> None:
    snapshot = bundle.snapshot(NOW)
    found, first = _timed(lambda: outcomes(snapshot, columns, WHOM))
    again = statistics.median(_timed(lambda: outcomes(snapshot, columns, WHOM))[1] for _ in range(rounds))
    stock = build_engine(EngineKind.STOCK, model=bundle.files["model.conf"].decode(), rows=bundle.casbin_rows(NOW), scheme=bundle.scheme)
    chance = random.Random(rules)
    asked = [(chance.randrange(PARTNERS), chance.randrange(columns.size)) for _ in range(SAMPLE)]
    requests = [request_of(WHOM[number].partner, "release", columns.labels[place], "none") for number, place in asked]
    enforcer = stock._enforcer  # type: ignore[attr-defined]
    said, taken = _timed(lambda: [_enforced(enforcer, request) for request in requests])
    wrong = sum(found.released.has(*one) is not answer for one, answer in zip(asked, said, strict=True))
    for number, place in ((chance.randrange(PARTNERS), chance.randrange(columns.size)) for _ in range(50 * SAMPLE)):
        decided = snapshot.decide(WHOM[number].partner, "release", columns.labels[place]).outcome
        wrong += found.released.has(number, place) is not (decided is Outcome.RELEASE)
        wrong += found.referred.has(number, place) is not (decided is Outcome.REFER)
    each, every = taken / SAMPLE, columns.size * PARTNERS
    print(
        f"  {rules} rules, all labels for all partners, released and referred: first {first:.2f}, again {again:.2f}; "
        f"stock {1000 * each:.2f} ms a decision: ratio first {every * each / first:,.0f}, again {every * each / again:,.0f}; "
        f"wrong answers {wrong}",
        flush=True,
    )


def _enforced(enforcer: Any, request: Sequence[Any]) -> bool:
    try:
        return bool(enforcer.enforce(*request))
    except Exception:  # noqa: BLE001  whatever stock Casbin raises is its refusal
        return False


def _effect(bundle: Bundle, columns: LabelColumns, holdings: Holdings, rules: int, rounds: int) -> None:
    before = bundle.snapshot(NOW)
    old = Released.of(before, columns, WHOM)
    held = holdings.at(micros(NOW))
    for name, after in _edits(bundle):
        parts: list[tuple[float, ...]] = []
        for _ in range(rounds):
            new, recomputed = _timed(lambda after=after: old.after(before, after, columns))
            found, counted = _timed(lambda new=new: effect(held, old, new, columns=columns, ladder=LEVELS))
            _, digested = _timed(found.digest)
            parts.append((recomputed + counted + digested, recomputed, counted, digested))
        whole, recomputed, counted, digested = (1000 * statistics.median(column) for column in zip(*parts, strict=True))
        gained, lost = (sum(sum(getattr(one, kind)) for one in found.changes) for kind in ("items_gained", "items_lost"))
        print(
            f"  {rules} rules, {int(held.items.sum())} items, effect of {name}: {whole:.0f} ms ({recomputed:.0f} columns, "
            f"{counted:.0f} items, {digested:.0f} digest); {len(found.changes)} partners, {gained} items gained, {lost} lost",
            flush=True,
        )


def _edits(bundle: Bundle) -> list[tuple[str, Snapshot]]:
    """A ceiling raised for one partner, and for all; the same row taken out; a prohibition for all; and what changes something among any
    number of rules: a wide agreement with one partner and with all, and a wide prohibition."""
    agreements = bundle.files["agreements.csv"].decode().splitlines(keepends=True)

    def with_files(**files: str) -> Snapshot:
        changed = {f"{name}.csv": content.encode() for name, content in files.items()}
        return read_bundle({**bundle.files, **changed}).snapshot(NOW)

    def first(grantees: Sequence[str]) -> int:
        return next(
            number
            for number, line in enumerate(agreements)
            if line.startswith("p,") and line.split(", ")[3] == "release" and line.split(", ")[4] in grantees and ", CONFIDENTIAL," in line
        )

    def edited(number: int, line: str) -> Snapshot:
        return with_files(agreements="".join((*agreements[:number], line, *agreements[number + 1 :])))

    one, every = first(partners_of(PARTNERS)), first((EVERYONE,))
    deny = f"p, PRX-0001, deny, *, {EVERYONE}, *, SECRET, MARITIME, *, *, , , Order\n"
    wide_deny = f"p, PRX-0002, deny, *, {EVERYONE}, *, UNCLASSIFIED, *, *, *, , , Order\n"
    prohibitions = bundle.files["prohibitions.csv"].decode()

    def added(grantee: str) -> Snapshot:
        return with_files(
            agreements="".join((*agreements, f"p, AGX-0001, allow, release, {grantee}, *, TOP SECRET, *, *, *, , , Letter\n"))
        )

    return [
        ("a row for one partner", edited(one, agreements[one].replace(", CONFIDENTIAL,", ", TOP SECRET,"))),
        ("a row for all partners", edited(every, agreements[every].replace(", CONFIDENTIAL,", ", TOP SECRET,"))),
        ("a row for all partners taken out", edited(every, "")),
        ("a prohibition for all partners", with_files(prohibitions=prohibitions + deny)),
        ("a wide agreement with one partner", added(partners_of(PARTNERS)[3])),
        ("a wide agreement with all partners", added(EVERYONE)),
        ("a wide prohibition for all partners", with_files(prohibitions=prohibitions + wide_deny)),
    ]


# --- what is stored -------------------------------------------------------------------------------------------------


def _stored(folder: Path, columns: LabelColumns, count: int) -> Holdings:
    """Write items with one to four portions under random labels, nearly every one with a label set of its own, and read them as groups."""
    database = Database.open(f"sqlite:///{folder / 'bench.db'}")
    migrate(database)
    chance = random.Random(20261122)
    at = micros(NOW)
    begun = time.perf_counter()
    for start in range(0, count, _CHUNK):
        with database.acting() as connection:
            _write(connection, chance, range(start, min(start + _CHUNK, count)), columns.size, at - 1)
    print(f"  {count} items written in {time.perf_counter() - begun:.0f} s", flush=True)
    begun = time.perf_counter()
    with database.reading() as connection:
        holdings = read_holdings(connection, range(1, columns.size + 1), at=at)
        loaded = time.perf_counter() - begun
        held, chosen = _timed(lambda: holdings.at(at))
        page, paged = _timed(lambda: items_of(connection, held.groups[:1000], at=at, limit=100))
    print(
        f"  read as {len(held.groups)} groups in {loaded:.1f} s (wall), what is in force at a moment in {chosen:.2f} s; "
        f"a page of {len(page)} ids of a thousand groups in {1000 * paged:.0f} ms",
        flush=True,
    )
    database.close()
    return holdings


def _write(connection: Connection, chance: random.Random, numbers: range, labels: int, at: int) -> None:
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _INSERTS}
    sets: dict[int, list[int]] = {}
    for number in numbers:
        item = hashlib.sha256(b"%d" % number).hexdigest()[:22]
        own = [chance.randint(1, labels) for _ in range(chance.randint(1, 4))]
        sets[number + 1] = own
        rows["item"].append({"id": item, "at": at})
        rows["version"].append({"id": number + 1, "item": item, "whole": int(chance.random() < 0.3), "at": at})
        for place, label in enumerate(own):
            portion = f"{item[:20]}{place}p"
            rows["portion"].append({"id": portion, "item": item, "at": at})
            rows["version_portion"].append({"version": number + 1, "position": place, "portion": portion})
            rows["portion_label"].append({"portion": portion, "at": at, "until": FOREVER, "label": label})
        rows["item_label_set"].append({"item": item, "at": at, "until": FOREVER, "set": number + 1})
    for name, statement in _INSERTS.items():
        connection.execute(text(statement), rows[name])


_INSERTS = {
    "item": "INSERT INTO item (id, ref, version, withdrawn_at, created_at) VALUES (:id, :id, 1, NULL, :at)",
    "version": "INSERT INTO version (id, item_id, number, marking, whole, created_at) VALUES (:id, :item, 1, '', :whole, :at)",
    "portion": "INSERT INTO portion (id, item_id, kind, content, content_sha256, name, media_type, size, changed_at) "
    "VALUES (:id, :item, 'text', x'', x'', NULL, NULL, 0, :at)",
    "version_portion": "INSERT INTO version_portion (version_id, position, portion_id, marking) VALUES (:version, :position, :portion, '')",
    "portion_label": "INSERT INTO portion_label (portion_id, from_at, until, label_id) VALUES (:portion, :at, :until, :label)",
    "item_label_set": "INSERT INTO item_label_set (item_id, from_at, until, label_set_id) VALUES (:item, :at, :until, :set)",
}


# --- publication ----------------------------------------------------------------------------------------------------


def _publication(items: int = 20_000, labels: int = 5_000, partners: int = 12) -> None:
    """What an act costs that brings another bundle: the entitlements of all lanes, and the whole of it."""
    with tempfile.TemporaryDirectory() as folder:
        installation = open_installation(Settings(data=Path(folder) / "data", policies=REPOSITORY / "policies"))
        files = big_bundle(440, partners)
        publish_as_two(installation, files, _ACTOR)
        _fill(installation, list(big_labels(labels, partners)), items)
        edited = dict(files)
        agreements = files["agreements.csv"].decode().splitlines(keepends=True)
        one = next(n for n, line in enumerate(agreements) if f", {EVERYONE}, " in line and "release" in line)
        edited["agreements.csv"] = "".join((*agreements[:one], *agreements[one + 1 :])).encode()
        bundle = read_bundle(edited)
        with installation.database.acting() as connection:
            state = installation.world.current(connection)
            known = [installation.world.labels[number] for number in sorted(installation.world.labels)]
            lanes, at = visibility.lanes(connection), state.at + 1
        ahead = snapshots_ahead(bundle, frozenset(), at=at)
        every, together = _timed(lambda: dict(entitlements_ahead(known, lanes, ahead)))
        few = lanes[:2]
        single, apart = _timed(lambda: {lane: [entitlement(label, lane, ahead, at=at, before=()) for label in known] for lane in few})
        equal = all(list(every[lane]) == single[lane] for lane in few)
        with installation.acts.act("policy.publish", _ACTOR) as act:
            upkeep = act.upkeep(PolicyState(act.number, act.at, 0, bundle, frozenset()))
            _, whole = _timed(upkeep.policy_changed)
            with act.connection.begin_nested():
                offers = act.connection.execute(text("SELECT COUNT(*) FROM offer WHERE from_at >= :at"), {"at": act.at}).scalar()
        installation.close()
    apart *= len(lanes) / len(few)
    print(
        f"  publication over {items} items and {len(known)} labels, {len(lanes)} lanes, {len(ahead)} snapshots ahead: "
        f"entitlements {together:.2f} s, one by one {apart:.2f} s ({apart / together:.0f} times), equal {equal}; "
        f"rows brought in step {whole:.2f} s, {offers} offers written",
        flush=True,
    )


_ACTOR = Actor("bench", "cli")


def _fill(installation: Installation, labels: Sequence[Label], count: int) -> None:
    chance = random.Random(5)
    for start in range(0, count, 1000):
        drafts = []
        for number in range(start, min(start + 1000, count)):
            portions = []
            for place in range(chance.randint(1, 3)):
                content = f"item {number}, portion {place}".encode()
                stretch = ((0, FOREVER, chance.choice(labels)),)
                portions.append(PortionDraft("text", content, hashlib.sha256(content).digest(), len(content), None, None, "", stretch))
            drafts.append(ItemDraft(f"bench/{number}", "", chance.random() < 0.2, tuple(portions), None, None, "{}"))
        with installation.acts.act("item.import", _ACTOR) as act:
            store_items(act, drafts)


# --- memory ---------------------------------------------------------------------------------------------------------


def _memory(labels: Sequence[Label]) -> None:
    """What a snapshot of 11,000 rows and columns over 200,000 labels take, besides the labels themselves."""
    gc.collect()
    tracemalloc.start()
    begun = tracemalloc.get_traced_memory()[0]
    bundle = read_bundle(big_bundle(SIZES[1], PARTNERS))
    snapshot = bundle.snapshot(NOW)
    gc.collect()
    engine = tracemalloc.get_traced_memory()[0] - begun
    columns = LabelColumns(labels)
    found = Released.of(snapshot, columns, WHOM)
    gc.collect()
    size, peak = tracemalloc.get_traced_memory()
    own = [replace(label) for label in labels]
    gc.collect()
    bare = tracemalloc.get_traced_memory()[0] - size
    tracemalloc.stop()
    print(
        f"  memory at {SIZES[1]} rows and {len(found.words)} labels: bundle and snapshot {engine / 1e6:.0f} MB, with columns and what is "
        f"released to {PARTNERS} partners {(size - begun) / 1e6:.0f} MB (peak {(peak - begun) / 1e6:.0f} MB); "
        f"the {len(own)} labels as such {bare / 1e6:.0f} MB",
        flush=True,
    )
