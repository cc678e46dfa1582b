"""Policy takes effect only by publication; suspension likewise is an act (DESIGN section 4).

Publishing examines (`examination`), and then swaps: one transaction that archives the bundle by digest, opens logs and lanes for its
partners, and brings what is on offer in step. Any failure leaves everything as it was. Rolling back is publishing an older digest, and
goes through the same gate.

Where the difference gains at or above the approval level, nothing is published yet: the bundle is archived and *proposed*, and another
officer approves the exact timeline, by its digest (`proposals`). He is asked to approve what would happen now: it is weighed again, and
if it is no longer what was proposed, the proposal is void. The first bundle of all is part of set-up, and needs nobody.

All that takes long happens before the act takes its locks. What it rests on is known by the number of the last act; if one came between,
it is done again, at the last attempt under the locks themselves, so that it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from service.errors import Conflict, Rejected
from service.policy import Bundle, Finding
from service.policy.redundancy import exercised
from service.policy.review import review
from service.sharing import proposals
from service.sharing.acts import Act, Actor, Acts
from service.sharing.difference import Timeline
from service.sharing.examination import Checked, Examiner, Weighed
from service.sharing.gate import Clock
from service.sharing.ledger import Entry, Ledger
from service.sharing.personal import REASON, Texts, personal
from service.sharing.policies import RESUME, SUSPEND, Policies, PolicyState
from service.store import Connection, Database, clients, policies, visibility
from service.store.policies import Proposal, ProposalState, Publication
from service.store.times import moment_of

BASE_PURPOSE: Final = "none"
PUBLISH: Final = "policy.publish"
ROLLBACK: Final = "policy.rollback"
KINDS: Final = (PUBLISH, ROLLBACK)
"""Acts that put a bundle in force, and so of what is proposed here."""
DIGEST_PREFIX_MIN: Final = 8
_DIGEST_CHARACTERS: Final = 64
_ATTEMPTS: Final = 3
_TIMELINE_CHANGED: Final = "timeline-changed"


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A bundle in the archive: its digest (hex) and what is found in it.

    An error here is one that publication will refuse, as of the moment of the upload: a case that fails, a `never` that does not hold.
    """

    digest: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """A bundle in force: the act that put it there, its leaf, and what it did."""

    bundle: Bundle
    act: int
    entry: Entry
    weighed: Weighed
    findings: tuple[Finding, ...] = ()
    """What it is warned of."""

    @property
    def digest(self) -> str:
        """Of the bundle, in hex."""
        return self.bundle.digest


@dataclass(frozen=True, slots=True)
class Pending:
    """A bundle that waits for a second officer: the proposal, its leaf, and what it would do."""

    bundle: Bundle
    proposal: Proposal
    entry: Entry
    weighed: Weighed
    findings: tuple[Finding, ...] = ()
    """What it is warned of."""

    @property
    def digest(self) -> str:
        """Of the bundle, in hex."""
        return self.bundle.digest


@dataclass(frozen=True, slots=True)
class Examined:
    """A bundle that passed every check, and what putting it in force would do. Nothing was done."""

    bundle: Bundle
    weighed: Weighed
    checked: Checked


@dataclass(frozen=True, slots=True)
class PolicyHistory:
    """Every publication and every proposal, each oldest first."""

    publications: tuple[Publication, ...]
    proposals: tuple[Proposal, ...]


class _MovedError(Exception):
    """Acts came between weighing and acting; weigh again."""


class _OtherError(Exception):
    """Weighed again under the locks, it is another thing than was asked for. Carries what it is."""

    def __init__(self, weighed: Weighed) -> None:
        super().__init__()
        self.weighed = weighed


class Publishing:
    """Uploads, examines, publishes, proposes, approves, suspends."""

    def __init__(self, *, acts: Acts, database: Database, ledger: Ledger, world: Policies, examiner: Examiner, clock: Clock) -> None:
        self._acts: Final = acts
        self._database: Final = database
        self._ledger: Final = ledger
        self._world: Final = world
        self._examiner: Final = examiner
        self._clock: Final = clock

    # --- what does nothing ------------------------------------------------------------------------------------------

    def upload(self, files: Mapping[str, bytes], actor: Actor) -> Uploaded:
        """Archive a bundle without putting it in force.

        Raises:
            PolicyRejected: it has findings; nothing is kept.
        """
        bundle, at = self._examiner.read(files), self._clock()
        with self._acts.registering("policy.upload", actor) as act:
            policies.archive_bundle(act.connection, bundle.digest, bundle.files)
            act.details["bundle"] = bundle.digest
        return Uploaded(bundle.digest, review(bundle, at))

    def examine(self, files: Mapping[str, bytes], actor: Actor) -> Examined:
        """Everything that publishing does before it acts, and nothing else; on record as a look at what is stored.

        Raises:
            As `publish`.
        """
        bundle = self._examiner.read(files)
        at = self._clock()
        checked = self._examiner.check(bundle, at=at)
        weighed = self._examiner.weigh(bundle, at=at)
        self._looked(actor, weighed.base, bundle.digest, weighed.timeline)
        return Examined(bundle, weighed, checked)

    def difference(self, named: str, actor: Actor) -> tuple[Bundle, Weighed, Entry]:
        """What putting an archived bundle in force would do; on record before it is shown.

        Args:
            named: a digest, or at least `DIGEST_PREFIX_MIN` characters that begin one alone.

        Raises:
            Conflict: the archive has no such bundle, or a name in use is one that it lacks.
        """
        bundle = self._examiner.read(self.archived(named))
        weighed = self._examiner.weigh(bundle, at=self._clock())
        return bundle, weighed, self._looked(actor, weighed.base, bundle.digest, weighed.timeline)

    def between(self, old: Bundle, new: Bundle, actor: Actor, *, at: datetime) -> tuple[Timeline, tuple[str, ...]]:
        """The difference of any two bundles over what is stored, and why it would need approval; on record before it is shown.

        Raises:
            Broken: nothing was ever published, so that nothing is stored.
        """
        found, reasons = self._examiner.between(old, new, at=at)
        self._looked(actor, old.digest, new.digest, found)
        return found, reasons

    def exercised(self, bundle: Bundle, actor: Actor) -> tuple[frozenset[str], int]:
        """The rules of a bundle that are true for some stored label, for some partner, and how many labels those are; on record before it
        is shown.

        Raises:
            Broken: nothing was ever published, so that nothing is stored.
            CannotProve: the matcher holds what is not understood.
        """
        with self._database.reading() as connection:
            state = self._world.current(connection)
            self._world.read_labels(connection)
            labels = tuple(self._world.labels.values())
        found = exercised(bundle, labels, max(self._clock(), moment_of(state.at)))
        self._acts.look("look.coverage", actor, [], {"bundle": bundle.digest})
        return found, len(labels)

    def archived(self, named: str) -> dict[str, bytes]:
        """The files of an archived bundle, by digest or the beginning of one.

        Raises:
            Conflict: the archive has no such bundle.
            Rejected: it has several.
        """
        with self._database.reading() as connection:
            files = policies.archived_bundle(connection, self._digest_of(connection, named))
        if files is None:
            raise _no_bundle(named)
        return files

    def archived_bundle(self, named: str) -> Bundle:
        """An archived bundle, read.

        Raises:
            As `archived`; PolicyRejected: this version does not understand it any more.
        """
        return self._examiner.read(self.archived(named))

    def history(self) -> PolicyHistory:
        """What was in force, and what was proposed."""
        with self._database.reading() as connection:
            found = policies.proposals(connection, KINDS)
            reasons = Texts(connection, [one.reason for one in found if one.reason is not None])
            told = tuple(one if one.reason is None else replace(one, reason=reasons.of(one.reason)) for one in found)
            return PolicyHistory(tuple(policies.publications(connection)), told)

    # --- publishing ---------------------------------------------------------------------------------------------------

    def publish(self, files: Mapping[str, bytes], actor: Actor) -> Published | Pending:
        """Examine, and put in force; or propose, where a second officer must approve.

        Raises:
            PolicyRejected: it has findings, a case of its own fails, or a `never` statement is refuted or cannot be proved.
            Conflict: a name in use is one that it lacks.
            Broken: its compiled engine and stock Casbin differ.
        """
        return self._publish(self._examiner.read(files), actor, PUBLISH)

    def publish_archived(self, named: str, actor: Actor) -> Published | Pending:
        """Put an archived bundle in force: the last upload, or an older one.

        Raises:
            As `publish`; Conflict: the archive has no such bundle.
        """
        bundle = self._examiner.read(self.archived(named))
        with self._database.reading() as connection:
            earlier = policies.was_published(connection, bundle.digest)
        return self._publish(bundle, actor, ROLLBACK if earlier else PUBLISH)

    def approve(self, named: str, actor: Actor, *, timeline: str | None = None) -> Published:
        """Approve what another officer proposed, and put it in force.

        Args:
            named: the digest of the bundle, or the beginning of one.
            timeline: the digest (hex) of the difference that the approver has seen; None for the one that was proposed.

        Raises:
            SecondOfficer: he proposed it himself, or is no officer.
            Conflict: nothing waits; another timeline was proposed; or what would happen is no longer what was proposed, and the proposal
                is void now (`timeline-changed`).
            As `publish`.
        """
        with self._database.reading() as connection:
            proposal = proposals.waiting(connection, self._digest_of(connection, named), kinds=KINDS)
            proposals.check_second(connection, proposal, actor)
            files = policies.archived_bundle(connection, proposal.subject)
        if files is None:
            raise _no_bundle(proposal.subject)
        if timeline is not None and timeline != proposal.timeline:
            told = f"the timeline proposed is `{proposal.timeline}`, not `{timeline[:64]}`; look at the difference again"
            raise Conflict(told, code="other-timeline")
        done = self._publish(self._examiner.read(files), actor, proposal.kind, proposal)
        if isinstance(done, Pending):
            raise Conflict(f"the proposal of `{proposal.subject}` is another by now; look at the difference again", code="no-proposal")
        return done

    def withdraw(self, named: str, actor: Actor, *, reason: str) -> Entry:
        """Close a proposal without publishing: the proposer thinks better of it, or another officer refuses.

        Raises:
            Conflict: nothing waits.
        """
        with self._acts.registering("policy.withdraw", actor) as act:
            proposal = proposals.waiting(act.connection, self._digest_of(act.connection, named), kinds=KINDS)
            proposals.end(act, proposal, ProposalState.WITHDRAWN, by=actor, reason=personal(REASON, reason))
        return act.committed()

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
            act.details |= {"partner": partner, "reason": personal(REASON, reason)}
        return act.committed()

    # --- how ----------------------------------------------------------------------------------------------------------

    def _publish(self, bundle: Bundle, actor: Actor, kind: str, proposal: Proposal | None = None) -> Published | Pending:
        checked = self._examiner.check(bundle, at=self._clock())
        weighed = self._examiner.weigh(bundle, at=self._clock())
        for attempt in range(1, _ATTEMPTS + 1):
            if proposal is not None and not _as_proposed(weighed, proposal):
                raise self._void(proposal, actor)
            if proposal is None and weighed.reasons:
                return self._propose(bundle, weighed, checked, actor, kind)
            try:
                return self._put_in_force(bundle, weighed, checked, actor, kind, proposal, last=attempt == _ATTEMPTS)
            except _MovedError:
                weighed = self._examiner.weigh(bundle, at=self._clock())
            except _OtherError as other:
                weighed = other.weighed
        if proposal is not None:
            raise self._void(proposal, actor)
        return self._propose(bundle, weighed, checked, actor, kind)

    def _put_in_force(
        self, bundle: Bundle, weighed: Weighed, checked: Checked, actor: Actor, kind: str, proposal: Proposal | None, *, last: bool
    ) -> Published:
        with self._acts.act(kind, actor) as act:
            if not weighed.still_holds(act.state, at=moment_of(act.at)):
                if not last:
                    raise _MovedError
                weighed = self._examiner.weigh_within(act.connection, act.state, act.labels, bundle, at=moment_of(act.at))
                if (weighed.reasons and proposal is None) or (proposal is not None and not _as_proposed(weighed, proposal)):
                    raise _OtherError(weighed)
            before = act.state
            if proposal is not None:
                proposals.approve(act, proposal, actor)
            proposals.end_all(act, actor, kinds=(*KINDS, *proposals.ABOUT_ITEMS), reason="another publication")
            policies.archive_bundle(act.connection, bundle.digest, bundle.files)
            timeline = None if weighed.timeline is None else weighed.timeline.digest
            proposer, approver = (actor.client, None) if proposal is None else (proposal.client, actor.client)
            policies.add_publication(act.connection, Publication(act.number, act.at, bundle.digest, proposer, approver, timeline))
            for partner in bundle.partners:
                self._ledger.open_log(act.connection, partner.code)
            suspended = frozenset() if before is None else before.suspended
            upkeep = act.upkeep(PolicyState(act.number, act.at, 0, bundle, suspended))
            other_ladder = before is not None and before.bundle.scheme.levels != bundle.scheme.levels
            upkeep.policy_changed(everything=other_ladder, differing=weighed.differing)
            upkeep.add_lanes(_lanes_wanted(act, bundle))
            act.details |= {
                "bundle": bundle.digest,
                "before": None if before is None else before.bundle.digest,
                "timeline": timeline,
                "proposed_by": proposer,
                "approved_by": approver,
                "compared": {"questions": checked.compared.asked, "seed": checked.compared.seed},
            }
        return Published(bundle, act.number, act.committed(), weighed, checked.findings)

    def _propose(self, bundle: Bundle, weighed: Weighed, checked: Checked, actor: Actor, kind: str) -> Pending:
        found, before = weighed.timeline, weighed.before
        if found is None or before is None:
            raise Conflict("a first bundle is published, not proposed; try again", code="no-proposal")
        wanted = proposals.Wanted(kind, bundle.digest, before.bundle.digest, found.body)
        with self._acts.registering("policy.propose", actor) as act:
            policies.archive_bundle(act.connection, bundle.digest, bundle.files)
            proposal = proposals.propose(act, wanted, actor, kinds=KINDS)
            act.details |= {
                "kind": kind,
                "bundle": bundle.digest,
                "before": before.bundle.digest,
                "timeline": proposal.timeline,
                "approval_level": bundle.scheme.approval_level,
                "reasons": len(weighed.reasons),
            }
        return Pending(bundle, proposal, act.committed(), weighed, checked.findings)

    def _void(self, proposal: Proposal, actor: Actor) -> Conflict:
        """Close a proposal that is no longer what was proposed, on record; what to tell whoever approved it."""
        with self._acts.registering("policy.void", actor) as act:
            now = proposals.waiting(act.connection, proposal.subject, kinds=KINDS)
            proposals.end(act, now, ProposalState.VOID, by=actor, reason=_TIMELINE_CHANGED)
        return Conflict(
            f"what publishing `{proposal.subject}` would do is no longer what was proposed, so that the proposal is void; "
            f"have it published anew, and look at its difference",
            code=_TIMELINE_CHANGED,
        )

    def _looked(self, actor: Actor, old: str | None, new: str, found: Timeline | None) -> Entry:
        details = {"before": old, "bundle": new, "timeline": None if found is None else found.digest}
        return self._acts.look("look.difference", actor, [], details)

    def _digest_of(self, connection: Connection, named: str) -> str:
        """The digest that is meant; what is none, or begins none, comes back as it is, and is found nowhere."""
        if not DIGEST_PREFIX_MIN <= len(named) < _DIGEST_CHARACTERS:
            return named
        found = [digest for digest in policies.archived_digests(connection) if digest.startswith(named)]
        if len(found) > 1:
            raise Rejected(f"`{named}` begins {len(found)} digests in the archive, expected more of it", code="ambiguous")
        return found[0] if found else named


def _as_proposed(weighed: Weighed, proposal: Proposal) -> bool:
    return weighed.base == proposal.base and weighed.timeline is not None and weighed.timeline.digest == proposal.timeline


def _no_bundle(named: str) -> Conflict:
    return Conflict(f"no bundle `{named[:64]}` in the archive", code="no-bundle")


def _lanes_wanted(act: Act, bundle: Bundle) -> list[tuple[str, str]]:
    """Every partner without a purpose, and each purpose that one of its clients may state."""
    wanted = [(partner.code, BASE_PURPOSE) for partner in bundle.partners]
    for client in clients.clients(act.connection):
        if client.partner is not None:
            wanted.extend((client.partner, purpose) for purpose in (BASE_PURPOSE, *client.purposes))
    there = {(lane.partner, lane.purpose) for lane in visibility.lanes(act.connection)}
    return [pair for pair in dict.fromkeys(wanted) if pair not in there]
