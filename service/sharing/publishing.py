"""Policy takes effect only by publication; suspension likewise is an act (DESIGN section 4).

Publishing reads, checks, runs the officer's cases, makes sure every stored label still means something, and then swaps: one
transaction that archives the bundle by digest, opens logs and lanes for its partners, and brings what is on offer in step.
Any failure leaves everything as it was. Rolling back is publishing an older digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from service.errors import Conflict
from service.policy import Bundle, Finding, PolicyRejected
from service.policy.cases import failed_cases
from service.sharing.acts import Act, Actor, Acts
from service.sharing.ledger import Entry, Ledger
from service.sharing.policies import RESUME, SUSPEND, Policies, PolicyState, ReadBundle
from service.store import Database, clients, policies, visibility
from service.store.policies import Publication

BASE_PURPOSE: Final = "none"


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A bundle in the archive: its digest (hex) and the warnings about it."""

    digest: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """A bundle in force: its digest, the act that put it there, and its leaf."""

    digest: str
    act: int
    entry: Entry


class Publishing:
    """Uploads, publishes, suspends."""

    def __init__(self, *, acts: Acts, database: Database, ledger: Ledger, world: Policies, read_bundle: ReadBundle) -> None:
        self._acts: Final = acts
        self._database: Final = database
        self._ledger: Final = ledger
        self._world: Final = world
        self._read_bundle: Final = read_bundle

    def upload(self, files: Mapping[str, bytes], actor: Actor) -> Uploaded:
        """Archive a bundle without putting it in force.

        Raises:
            PolicyRejected: it has findings; nothing is kept.
        """
        bundle = self._read_bundle(files)
        with self._acts.registering("policy.upload", actor) as act:
            policies.archive_bundle(act.connection, bundle.digest, bundle.files)
            act.details["bundle"] = bundle.digest
        return Uploaded(bundle.digest, bundle.findings)

    def publish(self, files: Mapping[str, bytes], actor: Actor) -> Published:
        """Read, check, and put in force.

        Raises:
            PolicyRejected: it has findings, or a case of its own fails.
            Conflict: a stored label holds a name that its scheme lacks.
        """
        return self._publish(self._read_bundle(files), actor, "policy.publish")

    def publish_archived(self, digest: str, actor: Actor) -> Published:
        """Put an archived bundle in force: the last upload, or an older one.

        Raises:
            Conflict: the archive has no such bundle.
        """
        with self._database.reading() as connection:
            files = policies.archived_bundle(connection, digest)
            earlier = any(publication.digest == digest for publication in policies.publications(connection))
        if files is None:
            raise Conflict(f"no bundle `{digest[:64]}` in the archive", code="no-bundle")
        return self._publish(self._read_bundle(files), actor, "policy.rollback" if earlier else "policy.publish")

    def history(self) -> list[Publication]:
        """Every publication, oldest first."""
        with self._database.reading() as connection:
            return policies.publications(connection)

    def suspend(self, partner: str, actor: Actor, *, reason: str) -> Entry:
        """Leave a partner out of every snapshot until `resume`.

        Raises:
            Conflict: no such partner, or suspended already.
        """
        return self._set_suspended(partner, actor, reason, suspended=True)

    def resume(self, partner: str, actor: Actor, *, reason: str) -> Entry:
        """Undo `suspend`.

        Raises:
            Conflict: no such partner, or not suspended.
        """
        return self._set_suspended(partner, actor, reason, suspended=False)

    def _set_suspended(self, partner: str, actor: Actor, reason: str, *, suspended: bool) -> Entry:
        with self._acts.act(SUSPEND if suspended else RESUME, actor) as act:
            before = act.policy()
            if partner not in {known.code for known in before.bundle.partners}:
                raise Conflict("no such partner in the policy in force", code="no-partner")
            if (partner in before.suspended) is suspended:
                raise Conflict(f"`{partner}` is {'suspended already' if suspended else 'not suspended'}", code="suspension")
            if suspended:
                policies.suspend(act.connection, partner, act=act.number)
                after = before.suspended | {partner}
            else:
                policies.resume(act.connection, partner)
                after = before.suspended - {partner}
            act.upkeep(PolicyState(act.number, act.at, before.clients, before.bundle, after)).policy_changed()
            act.details |= {"partner": partner, "reason": reason}
        return act.committed()

    def _publish(self, bundle: Bundle, actor: Actor, type_: str) -> Published:
        failed = failed_cases(bundle)
        if failed:
            raise PolicyRejected(failed)
        with self._acts.act(type_, actor) as act:
            _check_stored_labels(act, bundle)
            before = act.state
            policies.archive_bundle(act.connection, bundle.digest, bundle.files)
            policies.add_publication(act.connection, Publication(act.number, act.at, bundle.digest, actor.client))
            for partner in bundle.partners:
                self._ledger.open_log(act.connection, partner.code)
            suspended = frozenset() if before is None else before.suspended
            upkeep = act.upkeep(PolicyState(act.number, act.at, 0, bundle, suspended))
            other_ladder = before is not None and before.bundle.scheme.levels != bundle.scheme.levels
            upkeep.policy_changed(everything=other_ladder)
            upkeep.add_lanes(_lanes_wanted(act, bundle))
            act.details |= {"bundle": bundle.digest, "before": None if before is None else before.bundle.digest}
        return Published(bundle.digest, act.number, act.committed())


def _lanes_wanted(act: Act, bundle: Bundle) -> list[tuple[str, str]]:
    """Every partner without a purpose, and each purpose that one of its clients may state."""
    wanted = [(partner.code, BASE_PURPOSE) for partner in bundle.partners]
    for client in clients.clients(act.connection):
        if client.partner is not None:
            wanted.extend((client.partner, purpose) for purpose in (BASE_PURPOSE, *client.purposes))
    there = {(lane.partner, lane.purpose) for lane in visibility.lanes(act.connection)}
    return [pair for pair in dict.fromkeys(wanted) if pair not in there]


def _check_stored_labels(act: Act, bundle: Bundle) -> None:
    """A stored label with a name that the new scheme lacks would silently be withheld for ever: it is said instead."""
    scheme = bundle.scheme
    known = {
        "level": {level.name for level in scheme.levels},
        "category": set(scheme.categories),
        "caveat": set(scheme.caveats),
        "code": set(bundle.known_codes) | {"*"},
    }
    lost: dict[tuple[str, str], int] = {}
    for label in act.labels.values():
        named = {
            "level": (label.level,),
            "category": label.categories,
            "caveat": label.caveats,
            "code": (*label.releasable_to, *label.shown_to, *label.originators),
        }
        for kind, names in named.items():
            for name in {name for name in names if name not in known[kind]}:
                lost[kind, name] = lost.get((kind, name), 0) + 1
    if lost:
        told = ", ".join(f"{kind} `{name}` ({count} labels)" for (kind, name), count in sorted(lost.items()))
        raise Conflict(f"stored labels hold names that this bundle lacks: {told}; relabel first, or keep the names", code="stored-labels")
