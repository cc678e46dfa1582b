"""What a bundle must pass before it can be put in force, and what that would do: all of it before any lock is taken (DESIGN section 4).

The order is that of the design, and any step ends it:

1. read: every finding an error refuses (`Examiner.read`);
2. every snapshot it will ever hold from now on is built, and its cases are run, each at its own time;
3. `never`: no label, ever, at any of these times; what cannot be proved is refused like what is refuted;
4. every name that is in use (stored labels, their consents and grants, purposes of clients) is one it holds;
5. its compiled engine beside stock Casbin, for a while;
6. the difference to what is in force, as a timeline, and whether a second officer must approve it.

Steps 4 and 6 rest on what is stored and in force, and say as of which act. Whoever publishes checks under his locks that it still is.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from service.errors import Broken, Conflict
from service.labels.label import Label
from service.policy import Bundle, Finding, PolicyRejected
from service.policy.compare import Compared, compare_with_stock
from service.policy.prove import difference as difference_of_labels
from service.policy.review import broken_promises, idle_rules
from service.sharing.difference import Effect, Timeline, needs_approval, timeline, timeline_json
from service.sharing.policies import Policies, PolicyState, ReadBundle
from service.sharing.stored import Readings, Stored
from service.sharing.visibility import snapshots_ahead
from service.store import Connection, Database, clients
from service.store.times import micros, moment_of

_SEED_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class Weighed:
    """What putting a bundle in force would do, as of `before`. Without a policy in force there is nothing to differ from."""

    before: PolicyState | None
    timeline: Timeline | None
    reasons: tuple[str, ...]
    """Why a second officer must approve; none where none needs to."""
    differing: frozenset[int] | None = None
    """Ids of the stored labels that are released otherwise, to anybody, at any moment; None where that is not known."""
    until: datetime | None = None
    """When the next row of either bundle begins or ends: from then on it would be another timeline."""

    @property
    def base(self) -> str | None:
        """Digest of what is in force."""
        return None if self.before is None else self.before.bundle.digest

    def still_holds(self, state: PolicyState | None, *, at: datetime) -> bool:
        """Whether nothing that it rests on has changed, at `at`."""
        if self.before is None or state is None:
            return self.before is state
        same = (self.before.act, self.before.clients) == (state.act, state.clients)
        return same and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class Checked:
    """How engines were compared, and all that a bundle is warned of."""

    compared: Compared
    findings: tuple[Finding, ...]


class Examiner:
    """Examines bundles against one installation.

    Args:
        compare_seconds: how long engines are compared at most.
        elapsed: seconds since whenever.
        readings: holds what was read last of what is stored.
    """

    def __init__(
        self,
        *,
        database: Database,
        world: Policies,
        read_bundle: ReadBundle,
        compare_seconds: float,
        elapsed: Callable[[], float] = time.monotonic,
        readings: Readings | None = None,
    ) -> None:
        self._database: Final = database
        self._world: Final = world
        self._read_bundle: Final = read_bundle
        self._compare_seconds: Final = compare_seconds
        self._elapsed: Final = elapsed
        self._readings: Final = readings or Readings()

    def read(self, files: Mapping[str, bytes]) -> Bundle:
        """The bundle in these files.

        Raises:
            PolicyRejected: it is not wholly understood.
        """
        return self._read_bundle(files)

    def check(self, bundle: Bundle, *, at: datetime) -> Checked:
        """Steps 2, 3 and 5: what rests on the bundle alone; what is in force says only which rules to look at.

        Rules that can never decide anything are warned of, and hold up nothing.

        Raises:
            PolicyRejected: a case fails, or a `never` statement is refuted or cannot be proved.
            Broken: the engines differ. Nothing is published by an engine that stock Casbin contradicts.
        """
        ahead = snapshots_ahead(bundle, frozenset(), at=micros(at))
        wrong = broken_promises(bundle, at)
        if wrong:
            raise PolicyRejected(wrong)
        until = self._elapsed() + self._compare_seconds
        with self._database.reading() as connection:
            before = self._world.current(connection).bundle if self._world.in_force(connection) else None
        compared = compare_with_stock(
            bundle,
            self._read_bundle(bundle.files),
            old=before,
            moments=[moment_of(stretch.from_at) for stretch in ahead],
            seed=secrets.randbits(_SEED_BITS),
            go_on=lambda: self._elapsed() < until,
        )
        if compared.differs is not None:
            raise Broken(f"{compared.told()}; nothing was published (seed {compared.seed})")
        return Checked(compared, tuple(sorted((*bundle.findings, *idle_rules(bundle, at)))))

    def weigh(self, bundle: Bundle, *, at: datetime) -> Weighed:
        """Steps 4 and 6, on a view of the database that nobody waits for.

        Raises:
            Conflict: a name in use is one that the bundle lacks.
        """
        with self._database.reading() as connection:
            state = self._world.current(connection) if self._world.in_force(connection) else None
            self._world.read_labels(connection)
            labels = dict(self._world.labels)
            stored = self._stored(connection, bundle, state, labels, at=at)
            check_names_in_use(connection, labels, bundle)
        return self._weighed(bundle, state, stored, at=at)

    def between(self, old: Bundle, new: Bundle, *, at: datetime) -> tuple[Timeline, tuple[str, ...]]:
        """The difference of any two bundles over what is stored, and why it would need approval.

        Raises:
            Broken: nothing was ever published, so that nothing is stored.
        """
        with self._database.reading() as connection:
            state = self._world.current(connection)
            stored = self._readings.stored(connection, dict(self._world.labels), [old, new], act=state.act, at=micros(at))
        return differ(old, new, effect=stored.effect, at=at)

    def weigh_within(
        self, connection: Connection, state: PolicyState | None, labels: Mapping[int, Label], bundle: Bundle, *, at: datetime
    ) -> Weighed:
        """The same inside an act, where acts came between every time it was weighed before: it costs more there, but it ends."""
        check_names_in_use(connection, labels, bundle)
        return self._weighed(bundle, state, self._stored(connection, bundle, state, labels, at=at), at=at)

    def _stored(
        self, connection: Connection, bundle: Bundle, state: PolicyState | None, labels: Mapping[int, Label], *, at: datetime
    ) -> Stored | None:
        if state is None:
            return None
        return self._readings.stored(connection, labels, [state.bundle, bundle], act=state.act, at=_since(state, at))

    def _weighed(self, bundle: Bundle, state: PolicyState | None, stored: Stored | None, *, at: datetime) -> Weighed:
        if state is None or stored is None:
            return Weighed(None, None, ())
        moment = moment_of(_since(state, at))
        found, reasons = differ(state.bundle, bundle, effect=stored.effect, at=moment)
        ahead = [boundary for boundary in (*state.bundle.boundaries, *bundle.boundaries) if boundary > moment]
        return Weighed(state, found, reasons, stored.differing, min(ahead, default=None))


def differ(old: Bundle, new: Bundle, *, effect: Effect | None, at: datetime) -> tuple[Timeline, tuple[str, ...]]:
    """The difference of two bundles, and why a second officer would have to approve it.

    Args:
        effect: what is stored; None where it is not looked at.
    """
    found = timeline(old, new, labels=difference_of_labels(old, new, at=at), effect=effect, at=at)
    return found, needs_approval(found, old=old, new=new)


def difference_json(bundle: Bundle, weighed: Weighed) -> dict[str, Any]:
    """The difference, whole: what approval is bound to, what shows it (witnesses, changed rows), and whether approval is needed."""
    found, before = weighed.timeline, weighed.before
    if found is None or before is None:
        nothing: dict[str, Any] = {"bundle": bundle.digest, "needs_approval": False, "approval_level": bundle.scheme.approval_level}
        return nothing | {"reasons": [], "proved": True, "moments": [], "rows": {"removed": [], "added": []}}
    return {
        "bundle": bundle.digest,
        "in_force": before.bundle.digest,
        "timeline": found.digest,
        "needs_approval": bool(weighed.reasons),
        "approval_level": bundle.scheme.approval_level,
        "reasons": list(weighed.reasons),
        **timeline_json(found, old=before.bundle, new=bundle),
    }


def _since(state: PolicyState, at: datetime) -> int:
    # Not before the last act: its time may be a little ahead of a clock, and what it did is done.
    return max(micros(at), state.at)


def check_names_in_use(connection: Connection, labels: Mapping[int, Label], bundle: Bundle) -> None:
    """A stored label with a name that a scheme lacks would silently be withheld for ever: it is said instead. So with the purposes that
    clients may state, which nobody could ask for any more.

    Raises:
        Conflict: naming each, with the count.
    """
    scheme = bundle.scheme
    known: dict[str, set[str] | frozenset[str]] = {
        "level": {level.name for level in scheme.levels},
        "category": set(scheme.categories),
        "caveat": set(scheme.caveats),
        "code": {*bundle.known_codes, "*"},
        "purpose": set(scheme.purposes),
    }
    lost: dict[tuple[str, str, str], int] = {}

    def note(kind: str, names: set[str], what: str) -> None:
        for name in names - known[kind]:
            lost[kind, name, what] = lost.get((kind, name, what), 0) + 1

    for label in labels.values():
        note("level", {label.level}, "labels")
        note("category", set(label.categories), "labels")
        note("caveat", set(label.caveats), "labels")
        agreed = {code for consent in label.consents for code in consent.split(":")} | {grant.rpartition(":")[2] for grant in label.grants}
        note("code", {*label.releasable_to, *label.shown_to, *label.originators, *agreed}, "labels")
    for client in clients.clients(connection):
        note("purpose", set(client.purposes), "clients")
    if lost:
        told = ", ".join(f"{kind} `{name}` ({count} {what})" for (kind, name, what), count in sorted(lost.items()))
        raise Conflict(f"names in use are lacking in this bundle: {told}; relabel first, or keep the names", code="stored-labels")
