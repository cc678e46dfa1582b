"""Replay: a past decision taken again from its record, and what would have been decided under another policy.

What a record names is enough: the archived bundle, the act number (by it, who was suspended then), the time, the partner, the purpose
of the face, the labels in the record. One thing is not in it: which portion bears which label. That is taken from the stored version
and its timeline as of the record's time, and only where the labels found there are those that were sealed; so a timeline that was
changed behind the log's back is a finding too, and not believed.

1. The policy: what was in force at the act number is what the record names, and its bundle is in the archive.
2. The labels: each is what its digest says, and the stored version bore these and no others.
3. The decision: outcome, rules, and the portions released, item by item; for a refusal also that nothing could be released.

Whatever differs is a finding, with what was expected (by deciding again) and found (in the record). Under another engine digest the
decision is taken all the same, and said to be another engine's. What a list left out is not in its record, and so not replayed: who
was offered too little is for `policy explain` to say. Entries that were pruned are counted, not replayed; so are
searches whose words were erased, of which it cannot be taken again that they found what is listed, which is decided again.

A *what-if* decides the same questions under another bundle, at the time of each or at another, and says what would differ. It signs
nothing and releases nothing: nothing here can reach the gate.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from service.errors import Broken, Conflict, Rejected
from service.labels.label import Label, LabelError
from service.policy import Bundle, Snapshot
from service.releaselog.leaf import SENT
from service.releaselog.personal import commitments
from service.releaselog.verify import OWN_LOGS
from service.settings import REPLAY_SAMPLE_MAX
from service.sharing.acts import Actor
from service.sharing.copies import FILE, IN_PART, ItemDecision, decide_item, decide_labels
from service.sharing.installation import Installation
from service.sharing.ledger import Entry
from service.sharing.policies import RESUME, SUSPEND, Policies
from service.store import Connection, logs, personal, policies, prunes
from service.store.logs import Position, StoredRow
from service.store.replay import VersionThen, created_at, newest_of_partners, version_then
from service.store.times import micros, moment_of, text_of

_RELEASE: Final = "release"
_WITHHOLD: Final = "withhold"
_LABELS_HELD: Final = 10_000
_PAGE: Final = 200


class What(StrEnum):
    """What differs."""

    ACT = "act"  # the record names no act at which a policy was in force
    BUNDLE = "bundle"  # not the one in force at that act, or not in the archive
    LABELS = "labels"  # the stored version bore others, or one is not what its digest says
    VERSION = "version"  # no such version is stored
    OUTCOME = "outcome"
    RULES = "rules"
    PORTIONS = "portions"
    FILE = "file"  # not a file that was released, or of other bytes
    ITEM = "item"  # a refusal that names none, though there was one


@dataclass(frozen=True, slots=True)
class Finding:
    """That a decision taken again is another. `item` is the id, None where it is about the entry as a whole."""

    log: str
    index: int
    event_id: str
    item: str | None
    what: What
    expected: str
    found: str

    def to_json(self) -> dict[str, Any]:
        return {
            "log": self.log, "index": self.index, "event_id": self.event_id, "item": self.item, "what": str(self.what),
            "expected": self.expected, "found": self.found,
        }  # fmt: skip

    def __str__(self) -> str:
        item = "" if self.item is None else f", item `{self.item}`"
        return f"{self.log} {self.index} {self.event_id}{item}: {self.what}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class Tally:
    """What came of a replay, so far. `other` are entries without a decision: acts, and looks at anything but items.

    `erased` are searches whose words were erased: what they found is decided again, that it was found by these words cannot be.
    """

    replayed: int = 0
    equal: int = 0
    pruned: int = 0
    other: int = 0
    erased: int = 0
    same_engine: int = 0
    other_engine: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "replayed": self.replayed,
            "equal": self.equal,
            "pruned": self.pruned,
            "not_decisions": self.other,
            "searches_erased": self.erased,
            "engine": {"same": self.same_engine, "other": self.other_engine},
        }


@dataclass(frozen=True, slots=True)
class Run:
    """Entries to be replayed: of a log from `start` to `stop`, exclusive."""

    log: str
    start: int
    stop: int


# --- for the doors --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """Which decisions are to be taken again: those of `events`; or those of a log, a range of it, or all partners' logs.

    Of the latter, `sample` is how many are drawn, by `seed`; None for all.
    """

    events: tuple[str, ...] = ()
    log: str | None = None
    start: int | None = None
    stop: int | None = None
    sample: int | None = None
    seed: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The entries asked for, and the leaf that says who asked. `seed` is that of the sample, None where there is none."""

    runs: tuple[Run, ...]
    seed: str | None
    entry: Entry

    @property
    def size(self) -> int:
        """How many entries."""
        return sum(run.stop - run.start for run in self.runs)


def choose(installation: Installation, actor: Actor, asked: Asked, *, entries_max: int | None = None) -> Chosen:
    """Find the entries asked for, and record that they are, before anything of them is shown.

    Args:
        entries_max: refuse more than so many; None for no limit.

    Raises:
        Conflict: no such event, or log.
        Rejected: the question contradicts itself, or is too large.
    """
    if bool(asked.events) + (asked.log is not None) + (asked.sample is not None and asked.log is None) != 1:
        raise Rejected("expected events, or a log, or the size of a sample", code="replay")
    if asked.seed is not None and asked.sample is None:
        raise Rejected("a seed is a sample's, expected how many entries to draw", code="seed")
    seed: str | None = None
    details: dict[str, object] = {}
    with installation.database.reading() as connection:
        if asked.events:
            chosen = runs = chosen_events(connection, asked.events)
            details["events"] = list(asked.events)
        else:
            chosen = runs = chosen_range(connection, asked.log, asked.start, asked.stop)
            details["runs"] = [{"log": run.log, "from": run.start, "to": run.stop} for run in runs]
        if asked.sample is not None:
            seed = asked.seed or new_seed()
            chosen = sampled(runs, asked.sample, seed)
            details |= {"sample": asked.sample, "seed": seed}
    count = sum(run.stop - run.start for run in chosen)
    if entries_max is not None and count > entries_max:
        raise Rejected(
            f"{count} entries are too many for one answer, expected at most {entries_max}; `entente log replay` has no limit",
            code="too-many",
        )
    return Chosen(tuple(chosen), seed, installation.acts.look("look.replay", actor, [], details))


def look_what_if(installation: Installation, actor: Actor, bundle: Bundle, *, last: int, at: datetime | None) -> Entry:
    """Record that somebody is about to see what another bundle would have decided."""
    details = {"bundle": bundle.digest, "last": last, "at": None if at is None else text_of(micros(at))}
    return installation.acts.look("look.what-if", actor, [], details)


# --- which entries --------------------------------------------------------------------------------------------------


def chosen_events(connection: Connection, event_ids: Sequence[str]) -> list[Run]:
    """The entries of these events, in the order given.

    Raises:
        Conflict: an event is in no log, or is not a decision.
    """
    runs = []
    for event_id in event_ids:
        row = logs.entry(connection, event_id)
        if row is None:
            gone = prunes.place_of(connection, event_id)
            if gone is not None:
                told = (
                    f"event `{event_id[:80]}`, entry {gone[1]} of log `{gone[0]}`, was pruned, so that nothing of it can be decided again"
                )
                raise Conflict(told, code="pruned")
            raise Conflict(f"no event `{event_id[:80]}` in any log", code="no-event")
        if not _is_decision(row):
            raise Conflict(f"event `{event_id[:80]}` is of type `{row.type}`, which decides nothing about an item", code="no-decision")
        runs.append(Run(row.log, row.position, row.position + 1))
    return runs


def chosen_range(connection: Connection, log: str | None, start: int | None, stop: int | None) -> list[Run]:
    """Entries of a log, `stop` exclusive; of all partners' logs where none is named.

    Raises:
        Conflict: there is no such log.
        Rejected: the range is none.
    """
    if log is None:
        if start is not None or stop is not None:
            raise Rejected("a range of entries is one log's, expected its name", code="range")
        return [Run(head.name, 0, head.size) for head in logs.heads(connection) if head.name not in OWN_LOGS and head.size]
    head = logs.head(connection, log)
    if head is None:
        raise Conflict(f"no log `{log[:64]}`", code="no-log")
    first, last = start or 0, head.size if stop is None else min(stop, head.size)
    if first < 0 or first > last:
        raise Rejected(f"no entries from {first} to {last} in log `{log}`, which has {head.size}", code="range")
    return [Run(log, first, last)]


def new_seed() -> str:
    """A seed for a sample that nobody chose."""
    return secrets.token_hex(16)


def sampled(runs: Sequence[Run], count: int, seed: str) -> list[Run]:
    """So many entries out of these, drawn without repetition. The same runs and seed draw the same entries, for anybody.

    Draw `i` (from 0) is SHA-256 of `SEED:i` in ASCII, as a number, modulo how many entries there are; what was drawn already is drawn
    again with the next `i`. Entries are numbered through the runs, in their order.

    Raises:
        Rejected: fewer than one entry wanted, or more than `REPLAY_SAMPLE_MAX`; or a seed that is not of visible ASCII.
    """
    if not 1 <= count <= REPLAY_SAMPLE_MAX:
        raise Rejected(f"a sample of {count} entries, expected 1 to {REPLAY_SAMPLE_MAX}", code="sample")
    if not (seed.isascii() and seed.isprintable() and 1 <= len(seed) <= 64):
        raise Rejected("a seed is 1 to 64 visible ASCII characters", code="seed")
    total = sum(run.stop - run.start for run in runs)
    drawn: set[int] = set()
    if count >= total:
        return list(runs)
    draw = 0
    while len(drawn) < count:
        drawn.add(int.from_bytes(hashlib.sha256(f"{seed}:{draw}".encode("ascii")).digest(), "big") % total)
        draw += 1
    found, before, ordered = [], 0, sorted(drawn)
    place = 0
    for run in runs:
        size = run.stop - run.start
        while place < len(ordered) and ordered[place] < before + size:
            position = run.start + ordered[place] - before
            found.append(Run(run.log, position, position + 1))
            place += 1
        before += size
    return found


# --- replay ---------------------------------------------------------------------------------------------------------


class Replay:
    """Takes decisions again, on one view of the database. `tally` says what came of it so far."""

    def __init__(self, connection: Connection, world: Policies) -> None:
        self._connection: Final = connection
        self._then: Final = _Then(connection, world)
        self._labels: Final = _Labels()
        self.tally: Final = Tally()

    def run(self, runs: Iterable[Run]) -> Iterator[Finding]:
        """Take the decisions of these entries again; what differs, as it is found."""
        ids: dict[str, int] = {}
        for run in runs:
            if run.log not in ids:
                head = logs.head(self._connection, run.log)
                ids[run.log] = -1 if head is None else head.id
            there = 0
            for row in logs.entries(self._connection, ids[run.log], start=run.start, stop=run.stop):
                there += 1
                if not _is_decision(row):
                    self.tally.other += 1
                    continue
                yield from self._one(row)
            self.tally.pruned += self._pruned(run, ids[run.log], there)

    def _pruned(self, run: Run, log_id: int, there: int) -> int:
        """How many entries of a run were pruned.

        Raises:
            Broken: more are missing.
        """
        width = logs.TILE_HASHES
        gone = prunes.gone(self._connection, log_id, run.start // width, -(-run.stop // width))
        pruned = sum(min(run.stop, (tile + 1) * width) - max(run.start, tile * width) for tile in gone)
        if pruned + there != run.stop - run.start:
            raise Broken(f"entries of log `{run.log}` are missing between {run.start} and {run.stop}; run `entente log verify`")
        return pruned

    def _one(self, row: StoredRow) -> list[Finding]:
        question = _Question.of(row)
        findings = _Findings(row)
        snapshot = self._then.snapshot(question, findings)
        self.tally.replayed += 1
        self.tally.erased += _is_erased(self._connection, row)
        if snapshot is not None:
            if snapshot.engine_digest == question.engine:
                self.tally.same_engine += 1
            else:
                self.tally.other_engine += 1
            if question.sent:
                self._sent(question, snapshot, findings)
            else:
                self._refused(question, snapshot, findings)
        self.tally.equal += not findings.found
        return findings.found

    def _sent(self, question: _Question, snapshot: Snapshot, findings: _Findings) -> None:
        outcomes = []
        for recorded in question.items:
            decision = self._decided(question, recorded, snapshot, findings)
            if decision is None:
                return
            _compare(recorded, decision, findings)
            outcomes.append(decision.outcome)
            if question.portion is not None:
                files = {one.portion.id: one.portion for one in decision.released if one.portion.kind == FILE}
                file = files.get(question.portion)
                found = question.digests.get(recorded.id)
                if file is None or file.content_sha256.hex() != found:
                    expected = "no such file to be released" if file is None else f"file `{file.content_sha256.hex()}`"
                    findings.add(What.FILE, expected, f"`{found}`", recorded.id)
            elif question.is_list and decision.outcome not in (_RELEASE, IN_PART):
                findings.add(What.OUTCOME, f"`{decision.outcome}`", "listed", recorded.id)
        one_item = not question.is_list and question.portion is None
        expected = outcomes[0] if one_item and outcomes else _RELEASE
        if question.outcome != expected:
            findings.add(What.OUTCOME, f"`{expected}`", f"`{question.outcome}`")

    def _refused(self, question: _Question, snapshot: Snapshot, findings: _Findings) -> None:
        if not question.items:
            for item in question.digests:
                came = created_at(self._connection, item)
                if came is not None and came <= question.at:
                    findings.add(What.ITEM, f"what is known of item `{item}`, which there was", "nothing", item)
            if question.outcome != _WITHHOLD:
                findings.add(What.OUTCOME, f"`{_WITHHOLD}`", f"`{question.outcome}`")
            return
        recorded = question.items[0]
        decision = self._decided(question, recorded, snapshot, findings)
        if decision is None:
            return
        if recorded.portions:
            # The item was shown, and what was asked for is no file in what was shown of it.
            _compare(recorded, decision, findings)
            if any(one.portion.id == question.portion and one.portion.kind == FILE for one in decision.released):
                findings.add(What.OUTCOME, f"`{_RELEASE}`", f"`{question.outcome}`", recorded.id)
            outcome, rules = _WITHHOLD, tuple(recorded.rules)
        else:
            if decision.released:
                findings.add(What.OUTCOME, f"`{decision.outcome}`", f"`{question.outcome}`, refused", recorded.id)
                return
            labels = [self._labels.of(digest, question.labels) for digest in recorded.labels]
            outcome, rules = decide_labels(labels, snapshot, partner=question.partner, purpose=question.purpose)
        if question.outcome != outcome:
            findings.add(What.OUTCOME, f"`{outcome}`", f"`{question.outcome}`", recorded.id)
        if list(rules) != list(recorded.rules):
            findings.add(What.RULES, _listed(rules), _listed(recorded.rules), recorded.id)

    def _decided(self, question: _Question, recorded: _Item, snapshot: Snapshot, findings: _Findings) -> ItemDecision | None:
        """The item decided again; None, with a finding, where what it rested on is not there or not what was sealed."""
        try:
            for digest in recorded.labels:
                self._labels.of(digest, question.labels)
        except _OtherLabel as other:
            findings.add(What.LABELS, "labels that are what their digests say", f"`{other}`", recorded.id)
            return None
        then = version_then(self._connection, recorded.id, recorded.version, at=question.at) if recorded.version else None
        if then is None:
            if recorded.version:
                findings.add(What.VERSION, f"version {recorded.version}, stored", "none", recorded.id)
                return None
            # Version 0: what came first is still in quarantine, and nothing of it has a label.
            return ItemDecision(_WITHHOLD, (), (), (), question.at)
        stored = {label_id: digest.hex() for label_id, (digest, _) in then.labels.items()}
        if not question.sent and not recorded.portions and sorted(set(stored.values())) != recorded.labels:
            findings.add(What.LABELS, _listed(sorted(set(stored.values()))), _listed(recorded.labels), recorded.id)
            return None
        sealed = _Sealed({one: self._labels.of(digest, question.labels) for one, digest in stored.items() if digest in recorded.labels})
        try:
            return decide_item(then.version, sealed, snapshot, partner=question.partner, purpose=question.purpose)
        except _NotSealed as other:
            findings.add(What.LABELS, f"`{stored[other.label_id]}` among them", _listed(recorded.labels), recorded.id)
            return None


def _compare(recorded: _Item, decision: ItemDecision, findings: _Findings) -> None:
    labels = sorted(label.digest().hex() for label in decision.labels)
    if labels != recorded.labels:
        findings.add(What.LABELS, _listed(labels), _listed(recorded.labels), recorded.id)
    if list(decision.rules) != recorded.rules:
        findings.add(What.RULES, _listed(decision.rules), _listed(recorded.rules), recorded.id)
    portions = [one.portion.id for one in decision.released]
    if portions != recorded.portions:
        findings.add(What.PORTIONS, _listed(portions), _listed(recorded.portions), recorded.id)


# --- what if --------------------------------------------------------------------------------------------------------


class Change(StrEnum):
    """What another policy would do to something that was asked for."""

    NO_LONGER = "no_longer"  # was released, would not be
    LESS = "less"  # fewer portions, or others
    MORE = "more"  # more portions
    NEWLY = "newly"  # was refused, would be released


@dataclass(frozen=True, slots=True)
class Difference:
    """One item of one entry, decided otherwise."""

    log: str
    index: int
    event_id: str
    item: str
    ref: str
    version: int
    change: Change
    before: str
    after: str
    rules_before: tuple[str, ...]
    rules_after: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "log": self.log, "index": self.index, "event_id": self.event_id, "item": self.item, "ref": self.ref, "version": self.version,
            "change": str(self.change), "before": self.before, "after": self.after, "rules_before": list(self.rules_before),
            "rules_after": list(self.rules_after),
        }  # fmt: skip


@dataclass(slots=True)
class PartnerTally:
    """For a partner: entries and items looked at, and how many would change how; `rules` by change, then by rule."""

    entries: int = 0
    items: int = 0
    changes: dict[Change, int] = field(default_factory=dict)
    rules: dict[Change, dict[str, int]] = field(default_factory=dict)

    def count(self, difference: Difference) -> None:
        change = difference.change
        self.changes[change] = self.changes.get(change, 0) + 1
        # What forbids or allows now; where nothing allows any more, what did.
        for rule in difference.rules_after or difference.rules_before:
            by_rule = self.rules.setdefault(change, {})
            by_rule[rule] = by_rule.get(rule, 0) + 1

    def to_json(self, partner: str) -> dict[str, Any]:
        return {
            "partner": partner,
            "entries": self.entries,
            "items": self.items,
            **{str(change): self.changes.get(change, 0) for change in Change},
            "rules": {str(change): dict(sorted(self.rules[change].items())) for change in Change if change in self.rules},
        }


class WhatIf:
    """The newest entries of partners' logs, decided under another bundle. `partners` says what came of it so far.

    Args:
        bundle: proposed. Its dated rows hold as at the time of each entry.
        at: take them all as at this time instead, so that rows ahead count.
    """

    def __init__(self, connection: Connection, world: Policies, bundle: Bundle, *, at: datetime | None = None) -> None:
        self._connection: Final = connection
        self._then: Final = _Then(connection, world)
        self._bundle: Final = bundle
        self._at: Final = at
        self._labels: Final = _Labels()
        self.partners: Final[dict[str, PartnerTally]] = {}

    def run(self, last: int) -> Iterator[Difference]:
        """Decide the last so many entries again; what would be otherwise, newest first."""
        before: Position | None = None
        left = last
        while left > 0:
            rows = newest_of_partners(self._connection, before=before, limit=min(left, _PAGE))
            if not rows:
                return
            left -= len(rows)
            before = Position(rows[-1].at, rows[-1].log_id, rows[-1].position)
            for row in rows:
                tally = self.partners.setdefault(row.log, PartnerTally())
                tally.entries += 1
                question = _Question.of(row)
                tally.items += len(question.items)
                for difference in self._one(row, question):
                    tally.count(difference)
                    yield difference

    def _one(self, row: StoredRow, question: _Question) -> Iterator[Difference]:
        suspended = self._then.suspended(question.act)
        snapshot = self._bundle.snapshot(self._at or moment_of(question.at), suspended)
        for recorded in question.items:
            then = version_then(self._connection, recorded.id, recorded.version, at=question.at) if recorded.version else None
            if then is None:
                continue  # in quarantine then: no policy says anything of it
            decision = decide_item(then.version, self._labels.stored(then), snapshot, partner=question.partner, purpose=question.purpose)
            had = recorded.portions if question.sent else []
            has = [one.portion.id for one in decision.released]
            outcome = decision.outcome
            if question.portion is not None:
                had = [portion for portion in had if portion == question.portion]
                has = [one.portion.id for one in decision.released if one.portion.kind == FILE and one.portion.id == question.portion]
                outcome = _RELEASE if has else _WITHHOLD if decision.released else decision.outcome
            change = _change(had, has)
            if change is not None:
                before = question.outcome if not question.is_list else f"{len(had)} portions"
                after = outcome if not question.is_list or not has else f"{len(has)} portions"
                yield Difference(
                    row.log, row.position, row.event_id, recorded.id, recorded.ref, recorded.version, change, before, after,
                    tuple(recorded.rules), decision.rules,
                )  # fmt: skip


def _change(had: Sequence[str], has: Sequence[str]) -> Change | None:
    if list(had) == list(has):
        return None
    if not had:
        return Change.NEWLY
    if not has:
        return Change.NO_LONGER
    return Change.MORE if set(had) < set(has) else Change.LESS


# --- what a record asks ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Item:
    """An item in a record."""

    id: str
    ref: str
    version: int
    portions: list[str]
    labels: list[str]
    rules: list[str]


@dataclass(frozen=True, slots=True)
class _Question:
    """A decision as its face and record name it. `digests` are by item of the face, None in a refusal."""

    partner: str
    purpose: str
    at: int
    act: int
    bundle: str
    engine: str
    outcome: str
    sent: bool
    is_list: bool
    portion: str | None
    items: tuple[_Item, ...]
    digests: Mapping[str, str | None]
    labels: Mapping[str, object]

    @classmethod
    def of(cls, row: StoredRow) -> _Question:
        face, record = json.loads(row.leaf), json.loads(row.record)
        return cls(
            partner=record["partner"],
            purpose=face["purpose"],
            at=row.at,
            act=record["act"],
            bundle=record["bundle"],
            engine=record["engine"],
            outcome=record["outcome"],
            sent=face["result"] == SENT,
            is_list=record["query"] is not None,
            portion=face.get("portion"),
            items=tuple(
                _Item(one["id"], one["ref"], one["version"], one["portions"], one["labels"], one["rules"]) for one in record["items"]
            ),
            digests={one["id"]: one.get("copy_sha256") for one in face["items"]},
            labels=record["labels"],
        )


def _is_erased(connection: Connection, row: StoredRow) -> bool:
    """Whether it is a search whose words are gone."""
    names = commitments(row.record)
    return bool(names) and not personal.find(connection, [bytes.fromhex(name) for name in names])


def _is_decision(row: StoredRow) -> bool:
    """Partners' entries are; of ours, a look at what a partner would be shown is."""
    return row.log not in OWN_LOGS or row.type == "look.view"


class _Then:
    """What was in force by act number: bundles by digest, and who was suspended."""

    def __init__(self, connection: Connection, world: Policies) -> None:
        self._connection: Final = connection
        self._world: Final = world
        changes: list[tuple[int, str | None, str | None, bool]] = [
            (one.act, one.digest, None, False) for one in policies.publications(connection)
        ]
        for type_, _, record in logs.records_of(connection, "officers", (SUSPEND, RESUME)):
            said = json.loads(record)
            changes.append((said["act"], None, said["details"]["partner"], type_ == SUSPEND))
        self._acts: Final[list[int]] = []
        self._states: Final[list[tuple[str | None, frozenset[str]]]] = []
        digest: str | None = None
        suspended: frozenset[str] = frozenset()
        for act, published, partner, suspends in sorted(changes, key=lambda change: change[0]):
            digest = published or digest
            if partner is not None:
                suspended = suspended | {partner} if suspends else suspended - {partner}
            self._acts.append(act)
            self._states.append((digest, suspended))

    def suspended(self, act: int) -> frozenset[str]:
        """Who was suspended as of an act."""
        place = bisect_right(self._acts, act)
        return self._states[place - 1][1] if place else frozenset()

    def snapshot(self, question: _Question, findings: _Findings) -> Snapshot | None:
        """What decided then; None, with a finding, where the archive does not have it."""
        place = bisect_right(self._acts, question.act)
        in_force = self._states[place - 1][0] if place else None
        if in_force is None:
            findings.add(What.ACT, "an act after the first publication", f"{question.act}")
        elif in_force != question.bundle:
            findings.add(What.BUNDLE, f"`{in_force}`, in force at act {question.act}", f"`{question.bundle}`")
        try:
            bundle = self._world.bundle(self._connection, question.bundle)
        except Broken:
            findings.add(What.BUNDLE, f"`{question.bundle}` in the archive", "none of that digest")
            return None
        return bundle.snapshot(moment_of(question.at), self.suspended(question.act))


class _OtherLabel(Exception):
    """A label that is not what its digest says, or that a record lacks."""


class _NotSealed(Exception):
    """A stored label that the record does not hold."""

    def __init__(self, label_id: int) -> None:
        super().__init__()
        self.label_id = label_id


class _Sealed(dict[int, Label]):
    """Labels by id, of those that a record holds."""

    def __missing__(self, label_id: int) -> Label:
        raise _NotSealed(label_id)


class _Labels:
    """Labels read so far, by digest (hex): a log names few, very often."""

    def __init__(self) -> None:
        self._held: Final[dict[str, tuple[object, Label]]] = {}

    def of(self, digest: str, labels: Mapping[str, object]) -> Label:
        """A label of a record, if it is what its digest says."""
        value = labels.get(digest)
        held = self._held.get(digest)
        if held is not None and held[0] == value:
            return held[1]
        try:
            label = Label.from_json(value)
        except LabelError:
            raise _OtherLabel(digest) from None
        if label.digest().hex() != digest:
            raise _OtherLabel(digest)
        if len(self._held) >= _LABELS_HELD:
            del self._held[next(iter(self._held))]
        self._held[digest] = (value, label)
        return label

    def stored(self, then: VersionThen) -> Mapping[int, Label]:
        """The labels of a stored version, by id."""
        return {label_id: self.of(digest.hex(), {digest.hex(): json.loads(body)}) for label_id, (digest, body) in then.labels.items()}


class _Findings:
    """What differs in one entry."""

    def __init__(self, row: StoredRow) -> None:
        self._row: Final = row
        self.found: Final[list[Finding]] = []

    def add(self, what: What, expected: str, found: str, item: str | None = None) -> None:
        self.found.append(Finding(self._row.log, self._row.position, self._row.event_id, item, what, expected, found))


def _listed(names: Sequence[str]) -> str:
    return f"`{' '.join(names)}`" if names else "none"
