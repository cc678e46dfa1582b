"""Other labels for what is stored: by an officer who has the right under the old and the new one, and where anything widens by two.

An act on labels is worked out before it is done: which portions, their labels before and after through time, and *the difference in who
can see it*, partner by partner, now and at each later date that the policy or the items hold. What provably narrows (`labels.widening`)
is done at once. Everything else is *proposed*, and another officer, with the same rights, approves it by its digest (`proposals`). It is
then worked out again under the locks of the act itself: if a version, a label, a date or the policy came between, it is another thing than
was approved, and the proposal is void.

Two such acts: `relabel`, of an item or one portion of it; and `event`, which says that what declassifications waited for has come
about. The author laid down what follows from it; that it is so, and that these words mean this event, is one person's judgement, lowers
labels for good, and so wants a second one.

What waits in quarantine has no label to move: `decide` gives it one, as whoever loads an item does.

A refusal for want of rights is on record, like an act.
"""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from service.errors import BeyondRights, Conflict, Rejected
from service.identity.clients import NO_PURPOSE
from service.labels.effective import Awaits, read_moment
from service.labels.label import Label
from service.labels.markings.base import shown
from service.labels.widening import widened_through
from service.policy import Snapshot
from service.releaselog.leaf import canonical
from service.settings import EVENT_PORTIONS_MAX
from service.sharing import proposals
from service.sharing.acts import Act, Actor
from service.sharing.catalogue import give_labels, item_in_force, new_label
from service.sharing.copies import decide_item
from service.sharing.installation import Installation
from service.sharing.ledger import Entry
from service.sharing.looks import DISPLAY
from service.sharing.personal import REASON, Reason, Texts, kept, kept_commitment, personal
from service.sharing.policies import PolicyState
from service.sharing.proposals import EVENT, RELABEL
from service.sharing.registry import officer_of
from service.store import Connection, catalogue, policies, relabels, visibility
from service.store.catalogue import LabelStretch, VersionAt
from service.store.policies import Proposal, ProposalState
from service.store.tables import FOREVER
from service.store.times import micros, moment_of, text_of

NOW: Final = "now"
"""How the first moment is written: not as a time, or the same difference would be another one a second later."""
_CHANGED: Final = "timeline-changed"


@dataclass(frozen=True, slots=True)
class Relabel:
    """Another label for an item, or with `portion` for one of its portions: exactly one of `marking` and `label`."""

    item_id: str
    reason: Reason
    marking: str | None = None
    label: object = None
    portion: str | None = None

    kind = RELABEL

    @property
    def subject(self) -> str:
        """What a proposal of it is about."""
        return self.item_id

    def to_json(self) -> dict[str, Any]:
        """As it was asked, but for the reason; read again by `wanted_of`."""
        return {"item": self.item_id, "portion": self.portion, "marking": self.marking, "label": self.label}


@dataclass(frozen=True, slots=True)
class Event:
    """What declassifications waited for has come about, or will at `at` (microseconds; None: now)."""

    words: str
    reason: Reason
    at: int | None = None

    kind = EVENT

    @property
    def subject(self) -> str:
        """What a proposal of it is about: in a name of bounded length that is no item's id."""
        return f"event:{hashlib.sha256(self.words.encode()).hexdigest()}"

    def to_json(self) -> dict[str, Any]:
        """As it was asked, but for the reason; read again by `wanted_of`."""
        return {"event": self.words, "at": None if self.at is None else text_of(self.at)}


Wanted = Relabel | Event


@dataclass(frozen=True, slots=True)
class Moved:
    """A portion of an item, the labels ahead of it, and those it gets: (from, until, label), the first from now on."""

    item_id: str
    ref: str
    version: int
    portion_id: str
    kind: str
    before: tuple[tuple[int, int, Label], ...]
    after: tuple[tuple[int, int, Label], ...]

    def to_json(self, *, at: int) -> dict[str, Any]:
        return {
            "item": self.item_id,
            "ref": self.ref,
            "version": self.version,
            "portion": self.portion_id,
            "kind": self.kind,
            "before": _stretches_json(self.before, at=at),
            "after": _stretches_json(self.after, at=at),
        }


@dataclass(frozen=True, slots=True)
class Planned:
    """An act on labels worked out: nothing is done. `body` is what approval is bound to."""

    wanted: Wanted
    bundle: str
    moved: tuple[Moved, ...]
    reasons: tuple[str, ...]
    """Why a second officer must approve; none where none needs to."""
    difference: tuple[dict[str, Any], ...]
    """What holds from each moment on: per item, partner and purpose, before and after; those for whom nothing changes are left out."""
    body: bytes
    at: int

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of `body`."""
        return hashlib.sha256(self.body).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """For whoever decides on it."""
        return {
            "timeline": self.digest,
            "needs_approval": list(self.reasons),
            "portions": [one.to_json(at=self.at) for one in self.moved],
            "difference": list(self.difference),
        }


@dataclass(frozen=True, slots=True)
class Done:
    """The labels are in force: the leaf of the act, and what it did."""

    entry: Entry
    planned: Planned


@dataclass(frozen=True, slots=True)
class Pending:
    """Nothing is done: another officer must approve. The proposal, its leaf, and what it would do."""

    proposal: Proposal
    entry: Entry
    planned: Planned


@dataclass(frozen=True, slots=True)
class Waiting:
    """A proposal that waits, and why it was made: the text, as long as it is kept."""

    proposal: Proposal
    reason: str


# --- for officers -----------------------------------------------------------------------------------------------------


def relabel(installation: Installation, wanted: Wanted, actor: Actor) -> Done | Pending:
    """Do it at once where it provably narrows, or propose it.

    Raises:
        BeyondRights: a label before or after is beyond the officer's rights; on record.
        Conflict: no such item in force, or portion of it; or nothing waits for the event.
        Rejected: the marking or label is not one that this scheme knows.
    """
    wanted = _committed(wanted)
    with installation.database.reading() as connection:
        planned = _plan_now(installation, connection, wanted)
        lacking = _lacking(connection, planned, actor, installation.world.current(connection))
    if lacking is not None:
        raise _refused(installation, planned, actor, lacking)
    if planned.reasons:
        return _propose(installation, wanted, actor)
    with installation.acts.act(wanted.kind, actor) as act:
        planned = _plan(act.connection, act.labels, act.policy(), wanted, at=act.at)
        lacking = _lacking(act.connection, planned, actor, act.policy())
        if lacking is not None or planned.reasons:
            raise Conflict("labels, rights or policy have changed in this moment; look at the difference again", code=_CHANGED)
        _write(act, planned, client=actor.client)
    return Done(act.committed(), planned)


def foreseen(installation: Installation, wanted: Wanted, actor: Actor) -> tuple[Planned, Entry]:
    """What it would do, and nothing else; on record before it is shown.

    Raises:
        As `relabel`.
    """
    with installation.database.reading() as connection:
        planned = _plan_now(installation, connection, _committed(wanted))
        lacking = _lacking(connection, planned, actor, installation.world.current(connection))
    if lacking is not None:
        raise _refused(installation, planned, actor, lacking)
    return planned, installation.acts.look(f"look.{_family(wanted.kind)}", actor, _items_of(planned), {"timeline": planned.digest})


def approve(installation: Installation, proposal_id: int, actor: Actor, *, timeline: str | None = None) -> Done:
    """Approve what another officer proposed, and do it.

    Args:
        timeline: the digest (hex) of the difference that the approver has seen; None for the one that was proposed.

    Raises:
        SecondOfficer: he proposed it himself, or is no officer.
        BeyondRights: a label before or after is beyond his rights; on record.
        Conflict: it does not wait; another timeline was proposed; or it would do something else by now, and is void (`timeline-changed`).
    """
    with installation.database.reading() as connection:
        proposal = _waiting(connection, proposal_id)
        proposals.check_second(connection, proposal, actor)
        if timeline is not None and timeline != proposal.timeline:
            told = f"the timeline proposed is `{proposal.timeline}`, not `{timeline[:64]}`; look at the difference again"
            raise Conflict(told, code="other-timeline")
        planned = _as_proposed(lambda: _plan_now(installation, connection, wanted_of(proposal)), proposal)
        lacking = None if planned is None else _lacking(connection, planned, actor, installation.world.current(connection))
    if planned is None:
        raise _void(installation, proposal, actor)
    if lacking is not None:
        raise _refused(installation, planned, actor, lacking)
    try:
        with installation.acts.act(proposal.kind, actor) as act:
            found = _as_proposed(lambda: _plan(act.connection, act.labels, act.policy(), wanted_of(proposal), at=act.at), proposal)
            if found is None or _lacking(act.connection, found, actor, act.policy()) is not None:
                raise _OtherError
            proposals.approve(act, proposal, actor)
            _write(act, found, client=proposal.client, proposal=proposal)
    except _OtherError:
        raise _void(installation, proposal, actor) from None
    return Done(act.committed(), found)


def withdraw_proposal(installation: Installation, proposal_id: int, actor: Actor, *, reason: str) -> Entry:
    """Close a proposal without doing it: the proposer thinks better of it, or another officer refuses.

    Raises:
        Conflict: it does not wait.
    """
    with installation.acts.registering("item.withdraw-proposal", actor) as act:
        proposals.end(act, _waiting(act.connection, proposal_id), ProposalState.WITHDRAWN, by=actor, reason=personal(REASON, reason))
    return act.committed()


def waiting(installation: Installation, actor: Actor, *, after: int, limit: int) -> tuple[list[Waiting], Entry]:
    """The proposals that wait, oldest first, after an id; on record before they are shown."""
    with installation.database.reading() as connection:
        found = [one for one in policies.open_proposals(connection, proposals.ABOUT_ITEMS) if one.id > after][:limit]
        reasons = Texts(connection, map(proposals.because_of, found))
    items = [one.subject for one in found if one.kind == RELABEL]
    told = [Waiting(one, reasons.of(proposals.because_of(one))) for one in found]
    return told, installation.acts.look("look.proposals", actor, items, {})


def wanted_of(proposal: Proposal) -> Wanted:
    """What a proposal asked for."""
    asked, reason = proposals.value_of(proposal)["asked"], proposals.because_of(proposal)
    why = kept_commitment(reason) or reason
    if proposal.kind == EVENT:
        return Event(asked["event"], why, None if asked["at"] is None else read_time(asked["at"]))
    return Relabel(asked["item"], why, asked["marking"], asked["label"], asked["portion"])


def read_time(text: str) -> int:
    """A time given for an event, in microseconds.

    Raises:
        Rejected: not a date or a time in UTC.
    """
    return micros(read_moment(text, "at"))


# --- working it out ---------------------------------------------------------------------------------------------------


def _plan_now(installation: Installation, connection: Connection, wanted: Wanted) -> Planned:
    state = installation.world.current(connection)
    # Not before the last act: its time may be a little ahead of a clock, and what it did is done.
    at = max(micros(installation.clock()), state.at)
    return _plan(connection, installation.world.labels, state, wanted, at=at)


def _plan(connection: Connection, labels: Mapping[int, Label], state: PolicyState, wanted: Wanted, *, at: int) -> Planned:
    moved: list[Moved] = []
    seen = _Seen(labels)
    items: list[_Item] = []
    for item_id, portion_ids in _targets(connection, wanted).items():
        item = item_in_force(connection, item_id)
        held = catalogue.versions_at(connection, [item_id], at=at).get(item_id)
        if held is None:
            raise Conflict(f"item `{item_id}` has no version in force", code="not-in-force")
        own = _moved(connection, labels, state, wanted, held, item.ref, portion_ids, at=at)
        moved += own
        items.append(_item(connection, held, own, seen, at=at))
    moments = _difference(items, seen, state, _whom(connection, state), at=at)
    reasons = tuple(line for one in moved for line in _reasons(one, state, several=len(moved) > 1))
    value = {
        "v": 1,
        "act": wanted.kind,
        # What was proposed before reasons could be erased holds its own in words.
        "asked": wanted.to_json() | ({"reason": wanted.reason} if isinstance(wanted.reason, str) else {}),
        "bundle": state.bundle.digest,
        "portions": [one.to_json(at=at) for one in moved],
        "difference": moments,
    }
    return Planned(wanted, state.bundle.digest, tuple(moved), reasons, tuple(moments), canonical(value), at)


def _targets(connection: Connection, wanted: Wanted) -> dict[str, tuple[str, ...] | None]:
    """The portions it is about, by item; None for all of an item."""
    if isinstance(wanted, Relabel):
        return {wanted.item_id: None if wanted.portion is None else (wanted.portion,)}
    awaited = canonical({str(Awaits.EVENT): wanted.words}).decode("utf-8")
    found = catalogue.awaiting(connection, awaited, limit=EVENT_PORTIONS_MAX + 1)
    if not found:
        raise Conflict(f"no portion in force waits for the event {shown(wanted.words)}", code="no-event")
    if len(found) > EVENT_PORTIONS_MAX:
        raise Conflict(
            f"more than {EVENT_PORTIONS_MAX} portions wait for this event; give them labels by their items", code="event-too-large"
        )
    targets: dict[str, tuple[str, ...] | None] = {}
    for item_id, portion_id in found:
        targets[item_id] = (*(targets.get(item_id) or ()), portion_id)
    return targets


def _moved(
    connection: Connection, labels: Mapping[int, Label], state: PolicyState, wanted: Wanted, held: VersionAt, ref: str,
    portion_ids: Sequence[str] | None, *, at: int,
) -> list[Moved]:  # fmt: skip
    chosen = [one for one in held.portions if portion_ids is None or one.portion.id in portion_ids]
    if not chosen:
        named = "" if portion_ids is None else f" `{portion_ids[0][:64]}`"
        raise Conflict(f"item `{held.item_id}` has no portion{named}", code="no-portion")
    ahead = catalogue.timelines_of(connection, [one.portion.id for one in chosen], at=at)
    moved = []
    for one in chosen:
        before = tuple((max(stretch.from_at, at), stretch.until, labels[stretch.label_id]) for stretch in ahead[one.portion.id])
        if isinstance(wanted, Relabel):
            label = new_label(state.bundle, wanted.marking, wanted.label, before=labels[one.label_id], at=moment_of(at))
            after: tuple[tuple[int, int, Label], ...] = ((at, FOREVER, label),)
        else:
            after = _declassified(before, state, from_at=max(at, wanted.at or at))
        moved.append(Moved(held.item_id, ref, held.version, one.portion.id, one.portion.kind, before, after))
    return moved


def _declassified(before: Sequence[tuple[int, int, Label]], state: PolicyState, *, from_at: int) -> tuple[tuple[int, int, Label], ...]:
    """As a declassification by date: from then on the lowest level, and nothing else changes, embargoes included."""
    after: list[tuple[int, int, Label]] = []
    for begins, until, label in before:
        lowered = replace(label, level=state.bundle.scheme.lowest)
        for start, end, own in ((begins, min(until, from_at), label), (max(begins, from_at), until, lowered)):
            if start >= end:
                continue
            if after and after[-1][2] == own:
                after[-1] = (after[-1][0], end, own)
            else:
                after.append((start, end, own))
    return tuple(after)


def _reasons(moved: Moved, state: PolicyState, *, several: bool) -> list[str]:
    """Why a second officer must approve: whatever is wider than it was, at any moment ahead; each said once."""
    lines = widened_through(moved.before, moved.after, scheme=state.bundle.scheme)
    return [f"{moved.kind} {moved.portion_id}: {line}" if several else line for line in lines]


def _whom(connection: Connection, state: PolicyState) -> list[tuple[str, str]]:
    """Every partner without a purpose, and every lane there is."""
    partners = {partner.code for partner in state.bundle.partners}
    lanes = {(lane.partner, lane.purpose) for lane in visibility.lanes(connection) if lane.partner in partners}
    return sorted({*lanes, *((partner, NO_PURPOSE) for partner in partners)})


_Timelines = Mapping[str, Sequence[LabelStretch]]


@dataclass(frozen=True, slots=True)
class _Item:
    """An item with the labels ahead of it before and after."""

    held: VersionAt
    before: _Timelines
    after: _Timelines

    @property
    def starts(self) -> set[int]:
        return {one.from_at for timelines in (self.before, self.after) for stretches in timelines.values() for one in stretches}


def _item(connection: Connection, held: VersionAt, moved: Sequence[Moved], seen: _Seen, *, at: int) -> _Item:
    every = catalogue.timelines_of(connection, [*(one.portion.id for one in held.portions), held.item_id], at=at)
    before = {timeline: [LabelStretch(max(one.from_at, at), one.until, one.label_id) for one in ahead] for timeline, ahead in every.items()}
    after = {one.portion_id: [LabelStretch(start, until, seen.id_of(label)) for start, until, label in one.after] for one in moved}
    return _Item(held, before, before | after)


def _difference(
    items: Sequence[_Item], seen: _Seen, state: PolicyState, whom: Sequence[tuple[str, str]], *, at: int
) -> list[dict[str, Any]]:
    """Who sees what before and after, from each moment on at which that changes.

    Whoever is suspended is reckoned with as if he were not: a suspension ends without anybody reading this again.
    """
    starts = {at, *(micros(boundary) for boundary in state.bundle.boundaries)}.union(*(item.starts for item in items))
    moments: list[dict[str, Any]] = []
    for moment in sorted(start for start in starts if start >= at):
        snapshot = state.bundle.snapshot(moment_of(moment))
        lines: list[dict[str, Any]] = []
        for item in items:
            was, becomes = _version_at(item.held, item.before, moment), _version_at(item.held, item.after, moment)
            for partner, purpose in whom:
                then, now = seen.of(was, snapshot, partner, purpose), seen.of(becomes, snapshot, partner, purpose)
                if then != now:
                    lines.append({"item": item.held.item_id, "partner": partner, "purpose": purpose, "before": then, "after": now})
        if not moments or moments[-1]["partners"] != lines:
            moments.append({"from": NOW if moment == at else text_of(moment), "partners": lines})
    return moments


def _version_at(held: VersionAt, timelines: _Timelines, moment: int) -> VersionAt:
    def label_of(timeline_id: str) -> tuple[int, int]:
        return next((one.label_id, one.until) for one in timelines[timeline_id] if one.from_at <= moment < one.until)

    portions = []
    for one in held.portions:
        label_id, until = label_of(one.portion.id)
        portions.append(replace(one, label_id=label_id, label_until=until))
    return replace(held, portions=tuple(portions), compilation=None if held.compilation is None else label_of(held.item_id))


class _Seen:
    """What partners are shown of items, decided once for all that look alike."""

    def __init__(self, labels: Mapping[int, Label]) -> None:
        self._new: Final[dict[Label, int]] = {}
        self._labels: Final = ChainMap[int, Label]({}, dict(labels))
        self._decided: Final[dict[tuple[object, ...], tuple[str, list[str], list[int], str]]] = {}

    def id_of(self, label: Label) -> int:
        """An id for a label that may be in no table yet: one that no row has."""
        label_id = self._new.setdefault(label, -len(self._new) - 1)
        self._labels[label_id] = label
        return label_id

    def of(self, version: VersionAt, snapshot: Snapshot, partner: str, purpose: str) -> dict[str, Any]:
        alike = (version.whole, version.unlabelled, None if version.compilation is None else version.compilation[0])
        shape = tuple((one.label_id, one.position, one.instead_of) for one in version.portions)
        key = (id(snapshot), partner, purpose, *alike, shape)
        if key not in self._decided:
            decision = decide_item(version, self._labels, snapshot, partner=partner, purpose=purpose)
            display = decide_item(version, self._labels, snapshot, partner=partner, purpose=purpose, action=DISPLAY)
            positions = [one.position for one in decision.released]
            self._decided[key] = decision.outcome, list(decision.rules), positions, display.outcome
        outcome, rules, positions, displayed = self._decided[key]
        ids = {one.position: one.portion.id for one in version.portions}
        return {"outcome": outcome, "rules": rules, "portions": [ids[position] for position in positions], "display": displayed}


def _stretches_json(stretches: Sequence[tuple[int, int, Label]], *, at: int) -> list[dict[str, Any]]:
    return [{"from": NOW if start == at else text_of(start), "label": label.to_json()} for start, _, label in stretches]


# --- rights, proposals, writing ---------------------------------------------------------------------------------------


class _OtherError(Exception):
    """Worked out again under the locks, it is another thing than was approved."""


def _lacking(connection: Connection, planned: Planned, actor: Actor, state: PolicyState) -> str | None:
    """Why this act is beyond the actor's rights; None where it is not. Whoever is no officer has none."""
    officer = officer_of(connection, actor.client)
    if officer is None:
        return f"`{actor.client}` is no client of role `officer` that is enabled"
    for one in planned.moved:
        for which, stretches in (("old", one.before), ("new", one.after)):
            for _, _, label in stretches:
                lacking = officer.rights.lacking(label, scheme=state.bundle.scheme)
                if lacking is not None:
                    return f"the {which} label of {one.kind} `{one.portion_id}`: {lacking}"
    return None


def _refused(installation: Installation, planned: Planned, actor: Actor, lacking: str) -> BeyondRights:
    details = {"act": planned.wanted.kind, "lacking": lacking, "timeline": planned.digest}
    installation.acts.look("item.refused", actor, _items_of(planned), details)
    return BeyondRights(f"beyond your rights: {lacking}")


def _propose(installation: Installation, wanted: Wanted, actor: Actor) -> Pending:
    with installation.acts.registering("item.propose", actor) as act:
        planned = _plan(act.connection, act.labels, act.policy(), wanted, at=act.at)
        if _lacking(act.connection, planned, actor, act.policy()) is not None:
            raise Conflict("labels, rights or policy have changed in this moment; look at the difference again", code=_CHANGED)
        proposal = proposals.propose(
            act, proposals.Wanted(wanted.kind, wanted.subject, planned.bundle, planned.body, wanted.reason), actor, kinds=[wanted.kind]
        )
        act.items.extend(_items_of(planned))
        act.details |= {"kind": wanted.kind, "proposal": proposal.id, "timeline": proposal.timeline, "reason": wanted.reason}
    return Pending(proposal, act.committed(), planned)


def _waiting(connection: Connection, proposal_id: int) -> Proposal:
    proposal = policies.proposal_by_id(connection, proposal_id)
    if proposal is None or proposal.kind not in proposals.ABOUT_ITEMS or proposal.state is not ProposalState.OPEN:
        told = f"no proposal `{proposal_id}` waits for approval" + ("" if proposal is None else f": it is {proposal.state}")
        raise Conflict(told, code="no-proposal")
    return proposal


def _as_proposed(plan: Callable[[], Planned], proposal: Proposal) -> Planned | None:
    """It, worked out again, where it is what was proposed to the last byte."""
    try:
        planned = plan()
    except Rejected:  # the item was withdrawn, the portion is gone, the scheme has not that name any more
        return None
    return planned if planned.digest == proposal.timeline and planned.bundle == proposal.base else None


def _void(installation: Installation, proposal: Proposal, actor: Actor) -> Conflict:
    """Close a proposal that is no longer what was proposed, on record; what to tell whoever approved it."""
    with installation.acts.registering("item.void", actor) as act:
        proposals.end(act, _waiting(act.connection, proposal.id), ProposalState.VOID, by=actor, reason=_CHANGED)
    told = f"proposal `{proposal.id}` would do something else by now, so that it is void; have it proposed anew, and look at its difference"
    return Conflict(told, code=_CHANGED)


def _write(act: Act, planned: Planned, *, client: str, proposal: Proposal | None = None) -> None:
    given: dict[str, dict[str, tuple[tuple[int, int, Label], ...]]] = {}
    for one in planned.moved:
        given.setdefault(one.item_id, {})[one.portion_id] = one.after
    give_labels(act, given)
    proposals.void_about(act, frozenset(given), reason="other labels")
    approved = (None, None) if proposal is None else (proposal.id, act.actor.client)
    # What was proposed before there were commitments has its reason in words.
    reason = _committed(planned.wanted).reason
    relabels.add(
        act.connection,
        [relabels.Relabelled(act.number, one.portion_id, one.item_id, act.at, client, kept(reason), *approved) for one in planned.moved],
    )
    asked = planned.wanted.to_json()
    act.details |= {
        **({"event": asked["event"]} if isinstance(planned.wanted, Event) else {"ref": planned.moved[0].ref}),
        "reason": reason,
        "labels": {
            one.portion_id: {"before": one.before[0][2].to_json(), "after": [label.to_json() for _, _, label in one.after][-1]}
            for one in planned.moved
        },
        "timeline": planned.digest,
    }
    if proposal is not None:
        act.details |= {"proposal": proposal.id, "proposed_by": proposal.client, "approved_by": act.actor.client}


def _committed(wanted: Wanted) -> Wanted:
    """With a reason that records can commit to."""
    return replace(wanted, reason=personal(REASON, wanted.reason)) if isinstance(wanted.reason, str) else wanted


def _items_of(planned: Planned) -> list[str]:
    return list(dict.fromkeys(one.item_id for one in planned.moved))


def _family(kind: str) -> str:
    return kind.rpartition(".")[2]
