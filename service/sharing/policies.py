"""The policy in force as this worker knows it, and every label by id: one reference each, swapped whole.

A worker may be a moment behind another's act. That is safe, because what it decides carries the number of the act it knew,
and the commit, which sees the fence, decides again where that is not the latest (`gate`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Thread
from typing import Final

from service.errors import Broken
from service.labels.label import Label
from service.policy import Bundle, Snapshot
from service.store import Connection, catalogue, logs, policies

ReadBundle = Callable[[Mapping[str, bytes]], Bundle]
_BUNDLES_HELD: Final = 4
_OFFICERS: Final = "officers"
SNAPSHOT_AHEAD: Final = timedelta(hours=1)
"""How long before its boundary a snapshot is made ready."""
SNAPSHOT_THREAD: Final = "snapshot-ahead"
SUSPEND: Final = "partner.suspend"
RESUME: Final = "partner.resume"
"""Types of leaves in `officers`: the suspensions of the past are read from there."""


@dataclass(frozen=True, slots=True)
class PolicyState:
    """What was in force as of an act. `at` is that act's time in microseconds; `clients` counts changes to clients."""

    act: int
    at: int
    clients: int
    bundle: Bundle
    suspended: frozenset[str]
    _begun: list[datetime] = field(default_factory=list, init=False, repr=False, compare=False)
    """The boundaries for which a snapshot was begun."""

    def snapshot(self, at: datetime) -> Snapshot:
        """The snapshot that holds `at`. The one after it is made ready beside the work, so that no request waits for it at its boundary."""
        snapshot = self.bundle.snapshot(at, self.suspended)
        if snapshot.until is not None and snapshot.until not in self._begun and snapshot.until - at <= SNAPSHOT_AHEAD:
            self._begun.append(snapshot.until)
            Thread(target=self.bundle.snapshot, args=(snapshot.until, self.suspended), name=SNAPSHOT_THREAD, daemon=True).start()
        return snapshot

    def ahead(self, at: datetime) -> Snapshot:
        """The same, for who looks at other moments than this one: see `Bundle.ahead`."""
        return self.bundle.ahead.snapshot(at, self.suspended)


@dataclass(frozen=True, slots=True)
class PolicySince:
    """What came into force at a time, in microseconds."""

    at: int
    bundle: Bundle
    suspended: frozenset[str]


class Policies:
    """This worker's view.

    Args:
        read_bundle: makes a bundle of its files; the one place where an engine other than the shipped one can be put in.
    """

    def __init__(self, read_bundle: ReadBundle) -> None:
        self._read_bundle: Final = read_bundle
        self._state: PolicyState | None = None
        self._bundles: dict[str, Bundle] = {}
        self._labels: dict[int, Label] = {}
        self._label_ids: dict[bytes, int] = {}
        self._last_label = 0

    @property
    def labels(self) -> Mapping[int, Label]:
        """Labels by id, as of the last refresh."""
        return self._labels

    @property
    def label_ids(self) -> Mapping[bytes, int]:
        """Label ids by digest, as of the last refresh."""
        return self._label_ids

    def current(self, connection: Connection) -> PolicyState:
        """The state as of this transaction; reads no more than the fence where nothing changed.

        Raises:
            Broken: nothing was ever published.
        """
        fence = policies.fence(connection)
        state = self._state
        if state is not None and (state.act, state.clients) == (fence.act, fence.clients):
            return state
        self.read_labels(connection)
        in_force = policies.in_force(connection)
        if in_force.digest is None:
            raise Broken("no policy is in force; publish one with `entente policy publish DIR`")
        state = PolicyState(fence.act, fence.at, fence.clients, self.bundle(connection, in_force.digest), in_force.suspended)
        self._state = state
        return state

    def in_force(self, connection: Connection) -> bool:
        """Whether a policy was ever published."""
        return policies.in_force(connection).digest is not None

    def known(self) -> PolicyState | None:
        """The state this worker knows, which may be a moment old."""
        return self._state

    def read_labels(self, connection: Connection) -> None:
        """Take up labels interned since the last time."""
        for label_id, body in catalogue.labels_after(connection, self._last_label):
            label = Label.from_json(json.loads(body))
            self._labels[label_id] = label
            self._label_ids[label.digest()] = label_id
            self._last_label = max(self._last_label, label_id)

    @property
    def last_label(self) -> int:
        """The greatest label id taken up."""
        return self._last_label

    def history(self, connection: Connection) -> list[PolicySince]:
        """All that was ever in force, oldest first: from the publications, and the leaves of suspensions in `officers`."""
        changes: list[tuple[int, str | None, str | None, bool]] = [
            (publication.at, publication.digest, None, False) for publication in policies.publications(connection)
        ]
        for type_, at, record in logs.records_of(connection, _OFFICERS, (SUSPEND, RESUME)):
            changes.append((at, None, json.loads(record)["details"]["partner"], type_ == SUSPEND))
        found: list[PolicySince] = []
        suspended: frozenset[str] = frozenset()
        for at, digest, partner, suspends in sorted(changes, key=lambda change: change[0]):
            if partner is not None:
                suspended = suspended | {partner} if suspends else suspended - {partner}
            bundle = found[-1].bundle if digest is None else self.bundle(connection, digest)
            found.append(PolicySince(at, bundle, suspended))
        return found

    def bundle(self, connection: Connection, digest: str) -> Bundle:
        """An archived bundle, compiled; the last few are held.

        Raises:
            Broken: it is not in the archive.
        """
        held = self._bundles.get(digest)
        if held is not None:
            return held
        files = policies.archived_bundle(connection, digest)
        if files is None:
            raise Broken(f"bundle `{digest}` is not in the archive; restore the database from a backup")
        bundle = self._read_bundle(files)
        if bundle.digest != digest:
            raise Broken(f"the archived bundle `{digest}` has digest `{bundle.digest}`; run `entente log verify`")
        while len(self._bundles) >= _BUNDLES_HELD:
            self._bundles.pop(next(iter(self._bundles)))
        self._bundles[digest] = bundle
        return bundle
