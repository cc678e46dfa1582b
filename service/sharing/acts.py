"""Acts and looks: what officers do, each a leaf of the `officers` log in the transaction that does it.

An act changes who may have what. It runs alone (`Database.acting`), takes the next act number and a time later than anything
any log has said, and commits with its leaf; any failure leaves everything as it was. A look changes nothing, raises no fence,
and is recorded before its result is shown.
"""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from service.errors import Broken, Busy
from service.labels.label import Label
from service.releaselog.leaf import canonical
from service.sharing.gate import Clock
from service.sharing.ledger import OFFICERS, Draft, Entry, Ledger
from service.sharing.personal import parted
from service.sharing.policies import Policies, PolicyState
from service.sharing.visibility import Upkeep
from service.store import Connection, Database, catalogue, facts, policies, reviews
from service.store.times import micros

MACHINE: Final = "machine"
"""The client of acts done on the machine's own authority: set-up, `client add`, `serve`."""
LOOK_MICROSECONDS: Final = 600_000_000
"""For how long the same reading by the same auditor is on record with one leaf."""
_ENDED_LOOKS_MAX: Final = 100
_INDEXED_AT_ONCE: Final = 2000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, through which door: a client's id and the route, or `cli`."""

    client: str
    route: str


@dataclass(frozen=True, slots=True)
class Beside:
    """A leaf of its own that is written together with an act's: both are on record, or neither."""

    type: str
    details: Mapping[str, object]


@dataclass(slots=True)
class Act:
    """An act under way. `state` is what was in force before it; None before the first publication."""

    connection: Connection
    number: int
    at: int
    state: PolicyState | None
    labels: ChainMap[int, Label]
    label_ids: Mapping[bytes, int]
    """Ids of the labels known before this act, by digest."""
    actor: Actor
    """Who acts."""
    items: list[str] = field(default_factory=list)
    """Items it concerns, named in its leaf."""
    details: dict[str, object] = field(default_factory=dict)
    """What it did, for the record."""
    before: list[Beside] = field(default_factory=list)
    """What belongs to it and comes before it in the log: the approval by which it is done."""
    after: list[Beside] = field(default_factory=list)
    """What follows from it: the proposals it made void."""
    entry: Entry | None = None
    """Its leaf, once committed."""

    def event_id(self) -> str:
        """The id of its leaf; only after the block that ran it."""
        return self.committed().event_id

    def committed(self) -> Entry:
        """Its leaf; only after the block that ran it.

        Raises:
            Broken: it is still under way.
        """
        if self.entry is None:
            raise Broken("an act was asked for its leaf before it was committed")
        return self.entry

    def policy(self) -> PolicyState:
        """What was in force before this act.

        Raises:
            Broken: nothing was ever published.
        """
        if self.state is None:
            raise Broken("no policy is in force; publish one with `entente policy publish DIR`")
        return self.state

    def intern(self, labels: Mapping[bytes, Label]) -> tuple[dict[bytes, int], list[int]]:
        """Ids by digest of labels, and the ids among them that are new."""
        known = {digest: self.label_ids[digest] for digest in labels if digest in self.label_ids}
        unknown = {digest: label for digest, label in labels.items() if digest not in known}
        ids = catalogue.intern_labels(self.connection, {digest: label.canonical().decode("utf-8") for digest, label in unknown.items()})
        added = {label_id: unknown[digest] for digest, label_id in ids.items() if label_id not in self.labels}
        self.labels.maps[0].update(added)
        return known | ids, sorted(added)

    def upkeep(self, state: PolicyState | None = None) -> Upkeep:
        """Upkeep of what is on offer, under the policy in force or another."""
        chosen = state or self.policy()
        return Upkeep(self.connection, bundle=chosen.bundle, suspended=chosen.suspended, labels=self.labels, at=self.at)


class Acts:
    """Runs acts and looks."""

    def __init__(self, *, database: Database, ledger: Ledger, world: Policies, clock: Clock) -> None:
        self._database: Final = database
        self._ledger: Final = ledger
        self._world: Final = world
        self._clock: Final = clock

    @contextmanager
    def act(self, type_: str, actor: Actor) -> Iterator[Act]:
        """Do something that changes who may have what; committed, with its leaf, when the block ends."""
        with self._database.acting() as connection:
            fence = policies.fence(connection)
            state = self._state(connection)
            # Later than anything any log has said, so that a poller's bookmark can never lie beyond what this act shows.
            at = max(micros(self._clock()), fence.at + 1, policies.latest_log_time(connection) + 1)
            # The labels this act adds live in a map of their own: if it fails, this worker never knew them.
            labels: ChainMap[int, Label] = ChainMap({}, dict(self._world.labels))
            act = Act(connection, fence.act + 1, at, state, labels, self._world.label_ids, actor)
            policies.raise_fence(connection, act=act.number, at=at)
            yield act
            entry = self._record_act(act, type_, actor)
        act.entry = entry
        self._take_up()

    def _take_up(self) -> None:
        """Let this worker know what an act changed now, and not at the cost of the next partner who asks."""
        with suppress(Busy), self._database.reading() as connection:
            self._state(connection)

    def look(self, type_: str, actor: Actor, items: Sequence[str], details: Mapping[str, object]) -> Entry:
        """Record that somebody looked, before it is shown."""
        with self._database.releasing() as connection:
            fence = policies.fence(connection)
            head = self._ledger.lock(connection, [OFFICERS])[OFFICERS]
            at = max(micros(self._clock()), fence.at, head.at)
            entry = self._record(connection, type_, actor, items, details, act=fence.act, at=at)
        self.index()
        return entry

    def index(self) -> None:
        """Bring the facts of entries up to date (`store.facts`), in steps between which others write.

        Done for whoever looks, once it is on record that he does, and never for who asks for a release: what a record holds of what was
        withheld must not show in the work that is done for a partner.
        """
        with self._database.reading() as connection:
            behind = facts.behind(connection)
        while behind:
            with self._database.releasing() as connection:
                behind = not facts.catch_up(connection, limit=_INDEXED_AT_ONCE)

    def reading(self, type_: str, actor: Actor, details: Mapping[str, object]) -> str:
        """Record that an auditor reads, before it is shown; the event of the leaf that says so.

        The same reading is one leaf in `LOOK_MICROSECONDS`: further pages and repeats are counted, and the next leaf of this auditor
        says of which leaf there were how many. There is never a reading without a leaf before it.
        """
        sha256 = hashlib.sha256(canonical([type_, actor.route, dict(details)])).digest()
        with self._database.releasing() as connection:
            fence = policies.fence(connection)
            head = self._ledger.lock(connection, [OFFICERS])[OFFICERS]
            at = max(micros(self._clock()), fence.at, head.at)
            look = reviews.look_of(connection, actor.client, sha256)
            again = look is not None and at < look.at + LOOK_MICROSECONDS
            event_id = (
                look.event_id if look is not None and again else self._first_look(connection, type_, actor, details, sha256, fence.act, at)
            )
            if again:
                reviews.repeat_look(connection, actor.client, sha256)
        self.index()
        return event_id

    def _first_look(
        self, connection: Connection, type_: str, actor: Actor, details: Mapping[str, object], sha256: bytes, act: int, at: int
    ) -> str:
        ended = reviews.ended_looks(connection, actor.client, until=at - LOOK_MICROSECONDS, limit=_ENDED_LOOKS_MAX)
        repeated = [{"event_id": one.event_id, "repeats": one.repeats} for one in ended if one.repeats]
        told = {**details, "repeated": repeated} if repeated else details
        entry = self._record(connection, type_, actor, [], told, act=act, at=at)
        reviews.keep_look(connection, actor.client, sha256, at=at, event_id=entry.event_id)
        return entry.event_id

    @contextmanager
    def registering(self, type_: str, actor: Actor) -> Iterator[Act]:
        """Change clients, reviews or saved queries: recorded and exclusive, but no act number, as who may have what stays as it was."""
        with self._database.acting() as connection:
            fence = policies.fence(connection)
            at = max(micros(self._clock()), fence.at, policies.latest_log_time(connection))
            state = self._state(connection)
            labels: ChainMap[int, Label] = ChainMap({}, dict(self._world.labels))
            act = Act(connection, fence.act, at, state, labels, self._world.label_ids, actor)
            yield act
            entry = self._record_act(act, type_, actor)
        act.entry = entry

    def _state(self, connection: Connection) -> PolicyState | None:
        if policies.in_force(connection).digest is None:
            self._world.read_labels(connection)
            return None
        return self._world.current(connection)

    def _record(
        self, connection: Connection, type_: str, actor: Actor, items: Sequence[str], details: Mapping[str, object], *, act: int, at: int
    ) -> Entry:
        heads = self._ledger.lock(connection, [OFFICERS])
        return self._ledger.append(connection, heads, [officers_draft(type_, actor, items, details, act=act)], at=at)[0]

    def _record_act(self, act: Act, type_: str, actor: Actor) -> Entry:
        """The leaf of an act, with those beside it."""
        drafts = [
            *(officers_draft(beside.type, actor, [], beside.details, act=act.number) for beside in act.before),
            officers_draft(type_, actor, act.items, act.details, act=act.number),
            *(officers_draft(beside.type, actor, [], beside.details, act=act.number) for beside in act.after),
        ]
        heads = self._ledger.lock(act.connection, [OFFICERS])
        return self._ledger.append(act.connection, heads, drafts, at=act.at)[len(act.before)]


def officers_draft(type_: str, actor: Actor, items: Sequence[str], details: Mapping[str, object], *, act: int) -> Draft:
    """The leaf of something done or looked at on our own side."""
    told, texts = parted(dict(details))
    record = {
        "act": b"%d" % act,
        "authority": b"null",
        "details": canonical(told),
        "outcome": canonical("done"),
    }
    return Draft(
        log=OFFICERS,
        type=type_,
        client=actor.client,
        route=actor.route,
        items=canonical([{"id": item} for item in items]),
        body_sha256=None,
        result="done",
        purpose="none",
        record=record,
        versions=tuple((item, 0) for item in dict.fromkeys(items)),
        personal=texts,
    )
