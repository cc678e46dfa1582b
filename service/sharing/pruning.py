"""Pruning: whole tiles of old entries taken out by two auditors, with every proof that was ever given, or can be, as good as before.

What goes of an entry is its leaf, its record and nonce, and whatever repeats them. What stays is its hash, in the tile of its log, and of
the tile what `releaselog.pruning` says; and the leaf `log.prune` in `officers`, which names logs, ranges and the roots of the tiles.

What may go: whole tiles of 256 entries of which the last is older than the day given, which is older than the retention policy says
(`ENTENTE_RETENTION_DAYS`); never the newest tile of a log, never one of `root`; none that a legal hold touches, and none with an entry
that an auditor asked about and nobody closed. Of `officers` only tiles wholly of looks, which nothing reads back: what else is in it
says what is held, what is published, which keys sign, who was suspended.

An act takes at most `PRUNE_TILES_MAX` tiles, so that no partner waits long for it; the rest is proposed again. It is bound to exactly
what would go: worked out again under the locks, and void where it would be anything else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from service.errors import Broken, Conflict, Rejected
from service.identity.clients import Role
from service.releaselog.leaf import LeafError, canonical, parse_canonical, parse_leaf, seal
from service.releaselog.merkle import TILE_WIDTH, leaf_hash, root
from service.releaselog.pruning import PrunedTile, digest_of, event_digest, runs
from service.releaselog.reviews import State
from service.settings import PRUNE_TILES_MAX
from service.sharing import proposals
from service.sharing.acts import Act, Actor
from service.sharing.holds import given
from service.sharing.installation import Installation
from service.sharing.ledger import OFFICERS, ROOT, Entry
from service.sharing.personal import REASON, Texts, personal
from service.sharing.root_verification import Problem
from service.store import Connection, holds, logs, policies, prunes
from service.store.holds import Hold
from service.store.logs import Head
from service.store.policies import Proposal, ProposalState
from service.store.prunes import Kept
from service.store.times import micros, moment_of, text_of

PRUNE_TYPE: Final = "log.prune"
LOOKS: Final = frozenset(
    {
        *("look.activity", "look.audience", "look.calendar", "look.coverage", "look.difference", "look.entry", "look.erasures"),
        *("look.explain", "look.export", "look.firsts", "look.heads", "look.holds", "look.labels", "look.obstacles"),
        *("look.proposals", "look.prunes"),
        *("look.quarantine", "look.queries", "look.receipt", "look.recipients", "look.releases", "look.replay", "look.reviews"),
        *("look.signals", "look.unshared", "look.what-if", "log.verify"),
    }
)
"""Types of entries of `officers` that nothing reads back. A type that is not here stays: a new one has to be thought about first."""
_SETTLED: Final = (State.REVIEWED, State.CLOSED)
_WINDOW: Final = 256
"""Tiles looked at together."""
_ALL: Final = "*"
_CHANGED: Final = "timeline-changed"


@dataclass(frozen=True, slots=True)
class Range:
    """A run of tiles of one log that would go, or went: entries `start` to `stop`, exclusive, and the roots of their tiles."""

    log: str
    log_id: int
    start: int
    stop: int
    roots: tuple[bytes, ...]

    def to_json(self) -> dict[str, object]:
        return {"log": self.log, "start": self.start, "stop": self.stop, "tiles": [value.hex() for value in self.roots]}


@dataclass(frozen=True, slots=True)
class Keeps:
    """Why old tiles of a log stay, and how many: a hold, a review that is open, or what the log `officers` is read for."""

    log: str
    why: str
    tiles: int

    def to_json(self) -> dict[str, object]:
        return {"log": self.log, "why": self.why, "entries": self.tiles * TILE_WIDTH}


@dataclass(frozen=True, slots=True)
class Plan:
    """What would go, and what keeps the rest."""

    before: int
    log: str | None
    ranges: tuple[Range, ...]
    keeps: tuple[Keeps, ...]
    more: bool
    """There is more that could go than one act takes."""

    @property
    def entries(self) -> int:
        return sum(one.stop - one.start for one in self.ranges)

    @property
    def body(self) -> bytes:
        """What an approver binds himself to."""
        asked = {"before": text_of(self.before), **({} if self.log is None else {"log": self.log})}
        return canonical({**asked, "ranges": [one.to_json() for one in self.ranges]})


@dataclass(frozen=True, slots=True)
class Pending:
    """A prune that waits for another auditor."""

    proposal: Proposal
    entry: Entry
    plan: Plan


@dataclass(frozen=True, slots=True)
class Pruned:
    """A prune that was done."""

    entry: Entry
    plan: Plan


class _OtherError(Exception):
    """Worked out again, it is another thing than was proposed."""


# --- acts -----------------------------------------------------------------------------------------------------------


def foreseen(installation: Installation, *, before: datetime, log: str | None) -> Plan:
    """All that could go by now, in however many acts; nothing is done. To be put on record by whoever shows it.

    Raises:
        Rejected: the day is younger than the retention policy allows, or there is none.
        Conflict: no log of that name.
    """
    at = installation.clock()
    _check_retention(installation, before, at)
    with installation.database.reading() as connection:
        return _plan(connection, before=micros(before), log=log, tiles_max=None)


def propose(installation: Installation, actor: Actor, *, before: datetime, log: str | None, reason: str) -> Pending:
    """Propose to prune what one act takes; another auditor approves it.

    Raises:
        Rejected, Conflict: as `foreseen`; or nothing could go.
    """
    _check_retention(installation, before, installation.clock())
    why = personal(REASON, given(reason))
    with installation.acts.registering("log.propose", actor) as act:
        plan = _plan(act.connection, before=micros(before), log=log, tiles_max=PRUNE_TILES_MAX)
        if not plan.ranges:
            raise Conflict("nothing could be pruned; a dry run says what keeps it", code="nothing-to-prune")
        wanted = proposals.Wanted(PRUNE_TYPE, plan.log or _ALL, text_of(plan.before), plan.body, why)
        proposal = proposals.propose(act, wanted, actor, kinds=[PRUNE_TYPE])
        act.details |= {
            "kind": PRUNE_TYPE, "proposal": proposal.id, "timeline": proposal.timeline, "before": text_of(plan.before),
            "entries": plan.entries, "reason": why,
        }  # fmt: skip
    return Pending(proposal, act.committed(), plan)


def approve(installation: Installation, proposal_id: int, actor: Actor, *, timeline: str | None = None) -> Pruned:
    """Approve what another auditor proposed, and do it.

    Args:
        timeline: the digest (hex) of what the approver has seen would go; None for what was proposed.

    Raises:
        SecondOfficer: he proposed it himself, or is no auditor.
        Conflict: it does not wait; another timeline was proposed; or something else would go by now, and it is void (`timeline-changed`).
        Broken: an entry that would go is not what its log says; nothing is done.
    """
    with installation.database.reading() as connection:
        proposal = _waiting(connection, proposal_id)
        proposals.check_second(connection, proposal, actor, role=Role.AUDITOR)
    if timeline is not None and timeline != proposal.timeline:
        told = f"the timeline proposed is `{proposal.timeline}`, not `{timeline[:64]}`; look at what would go again"
        raise Conflict(told, code="other-timeline")
    asked = proposals.value_of(proposal)
    before, log = datetime.fromisoformat(asked["before"]), asked.get("log")
    try:
        _check_retention(installation, before, installation.clock())
        with installation.acts.registering(PRUNE_TYPE, actor) as act:
            plan = _plan(act.connection, before=micros(before), log=log, tiles_max=PRUNE_TILES_MAX)
            if plan.body.decode("utf-8") != proposal.body:
                raise _OtherError
            proposals.approve(act, proposal, actor, role=Role.AUDITOR)
            _prune(act, plan, proposal)
    except (_OtherError, Rejected) as error:
        if isinstance(error, Rejected) and error.code != "retention":
            raise
        raise _void(installation, proposal, actor) from None
    installation.database.forget_deleted()
    return Pruned(act.committed(), plan)


def withdraw(installation: Installation, proposal_id: int, actor: Actor, *, reason: str) -> Entry:
    """Close a proposal without doing it: the proposer thinks better of it, or another auditor refuses.

    Raises:
        Conflict: it does not wait.
    """
    why = personal(REASON, given(reason))
    with installation.acts.registering("log.withdraw", actor) as act:
        proposals.end(act, _waiting(act.connection, proposal_id), ProposalState.WITHDRAWN, by=actor, reason=why)
    return act.committed()


def proposed(connection: Connection, *, after: int, limit: int) -> list[Proposal]:
    """Every proposal to prune, oldest first, however it ended."""
    return [one for one in policies.proposals(connection, [PRUNE_TYPE]) if one.id > after][:limit]


def proposals_json(connection: Connection, found: Sequence[Proposal]) -> list[dict[str, Any]]:
    """Proposals as auditors read them; of each range how many tiles, not the root of each. With the reasons, as long as they are kept."""
    texts = Texts(connection, [why for one in found for why in (one.because, one.reason) if why is not None])
    return [_proposal_json(one, texts) for one in found]


def _proposal_json(proposal: Proposal, texts: Texts) -> dict[str, Any]:
    asked = proposals.value_of(proposal)
    ended = (
        {}
        if proposal.closed_at is None
        else {"ended": {"at": text_of(proposal.closed_at), "client": proposal.closed_by, "reason": texts.of(proposal.reason)}}
    )
    return {
        "proposal": proposal.id,
        "state": str(proposal.state),
        "timeline": proposal.timeline,
        "before": asked["before"],
        **({"log": asked["log"]} if "log" in asked else {}),
        "ranges": [{name: one[name] for name in ("log", "start", "stop")} for one in asked["ranges"]],
        "client": proposal.client,
        "at": text_of(proposal.at),
        # Older proposals did not keep why outside of their leaf.
        **({} if proposal.because is None else {"reason": texts.of(proposal.because)}),
        **ended,
    }


def plan_json(plan: Plan) -> dict[str, Any]:
    """What would go, and what keeps the rest, as auditors read it."""
    return {
        "before": text_of(plan.before),
        **({} if plan.log is None else {"log": plan.log}),
        "entries": plan.entries,
        "ranges": [{"log": one.log, "start": one.start, "stop": one.stop} for one in plan.ranges],
        "kept": [one.to_json() for one in plan.keeps],
        "more": plan.more,
    }


def _check_retention(installation: Installation, before: datetime, at: datetime) -> None:
    days = installation.settings.retention_days
    if not days:
        raise Rejected("nothing may be pruned: no retention policy is set (`ENTENTE_RETENTION_DAYS`)", code="retention")
    if before > at - timedelta(days=days):
        latest = text_of(micros(at - timedelta(days=days)))
        raise Rejected(f"`before` is younger than {days} days, for which entries are kept; expected at most `{latest}`", code="retention")


def _waiting(connection: Connection, proposal_id: int) -> Proposal:
    proposal = policies.proposal_by_id(connection, proposal_id)
    if proposal is None or proposal.kind != PRUNE_TYPE or proposal.state is not ProposalState.OPEN:
        told = f"no proposal `{proposal_id}` to prune waits for approval" + ("" if proposal is None else f": it is {proposal.state}")
        raise Conflict(told, code="no-proposal")
    return proposal


def _void(installation: Installation, proposal: Proposal, actor: Actor) -> Conflict:
    """Close a proposal that is no longer what was proposed, on record; what to tell whoever approved it."""
    with installation.acts.registering("log.void", actor) as act:
        proposals.end(act, _waiting(act.connection, proposal.id), ProposalState.VOID, by=actor, reason=_CHANGED)
    told = f"something else would go than proposal `{proposal.id}` says, so that it is void; have it proposed anew"
    return Conflict(told, code=_CHANGED)


# --- working it out -------------------------------------------------------------------------------------------------


def _plan(connection: Connection, *, before: int, log: str | None, tiles_max: int | None) -> Plan:
    heads = [head for head in logs.heads(connection) if head.name != ROOT and log in (None, head.name)]
    if not heads:
        raise Conflict(f"no log `{(log or '')[:64]}` that can be pruned", code="no-log")
    in_force = holds.in_force(connection)
    ranges: list[Range] = []
    keeps: dict[tuple[str, str], int] = {}
    left = tiles_max
    more = False
    for head in heads:
        taken: list[int] = []
        for start, stop in _windows(prunes.old_tiles(connection, head, before=before)):
            free = sorted(_free(connection, head, in_force, start, stop, keeps))
            if left is not None and len(free) > left:
                free, more = free[:left], True
            taken += free
            if left is not None:
                left -= len(free)
            if more:
                break
        ranges += [_range(connection, head, first, last) for first, last in runs(taken)]
        if more:
            break
    told = tuple(Keeps(name, why, tiles) for (name, why), tiles in sorted(keeps.items()))
    return Plan(before, log, tuple(ranges), told, more)


def _windows(tiles: int) -> Iterator[tuple[int, int]]:
    for start in range(0, tiles, _WINDOW):
        yield start, min(start + _WINDOW, tiles)


def _free(
    connection: Connection, head: Head, in_force: Sequence[Hold], start: int, stop: int, keeps: dict[tuple[str, str], int]
) -> set[int]:
    """Of these tiles those that nothing keeps; what keeps the others is counted, each once for everything that does."""
    there = set(range(start, stop)) - prunes.gone(connection, head.id, start, stop)
    found: list[tuple[str, set[int]]] = [(f"hold {hold.id}", prunes.held(connection, head, hold, start, stop)) for hold in in_force]
    found.append(("review", prunes.under_review(connection, head.id, start, stop, settled=[str(state) for state in _SETTLED])))
    if head.name == OFFICERS:
        found.append(("acts", prunes.of_other_types(connection, head.id, start, stop, types=LOOKS)))
    free = set(there)
    for why, tiles in found:
        if kept := tiles & there:
            keeps[head.name, why] = keeps.get((head.name, why), 0) + len(kept)
            free -= kept
    return free


def _range(connection: Connection, head: Head, start: int, stop: int) -> Range:
    """A run of tiles with their roots, which are the hashes of the level above."""
    roots: list[bytes] = []
    while start + len(roots) < stop:
        above, place = divmod(start + len(roots), TILE_WIDTH)
        width = min(TILE_WIDTH, stop - above * TILE_WIDTH)
        roots += logs.read_tile(connection, head.id, 1, above, width)[place:]
    return Range(head.name, head.id, start * TILE_WIDTH, stop * TILE_WIDTH, tuple(roots))


# --- doing it -------------------------------------------------------------------------------------------------------


def _prune(act: Act, plan: Plan, proposal: Proposal) -> None:
    officers = logs.head(act.connection, OFFICERS)
    if officers is None:
        raise Broken("the log `officers` is missing; run `entente log verify`")
    # The approval comes before it, in the same transaction; nobody else writes meanwhile.
    leaf = officers.size + len(act.before)
    told = []
    for one in plan.ranges:
        tiles = [_checked(act.connection, one, number) for number in range(len(one.roots))]
        prunes.remove(act.connection, one.log_id, tiles, leaf=leaf)
        stretch = {"first_at": text_of(tiles[0].first_at), "last_at": text_of(tiles[-1].last_at)}
        told.append({**one.to_json(), **stretch, "kept_sha256": digest_of(tiles).hex()})
    act.details |= {
        "proposal": proposal.id, "timeline": proposal.timeline, "proposed_by": proposal.client, "approved_by": act.actor.client,
        "before": text_of(plan.before), "entries": plan.entries, "ranges": told,
    }  # fmt: skip


def _checked(connection: Connection, one: Range, number: int) -> PrunedTile:
    """What stays of a tile. Its entries are what the log says, each and every one: what was tampered with is not to be forgotten by us.

    Raises:
        Broken: one is not.
    """
    index = one.start // TILE_WIDTH + number
    hashes = logs.read_tile(connection, one.log_id, 0, index, TILE_WIDTH)
    rows = list(logs.entries(connection, one.log_id, start=index * TILE_WIDTH, stop=(index + 1) * TILE_WIDTH))
    place = f"tile {index} of log `{one.log}`"
    if len(rows) != TILE_WIDTH or root(hashes) != one.roots[number]:
        raise Broken(f"{place} is not whole, so that nothing is pruned; run `entente log verify`")
    act = 0
    for row, hashed in zip(rows, hashes, strict=True):
        try:
            face, record = parse_leaf(row.leaf), parse_canonical(row.record)
        except LeafError:
            raise Broken(
                f"entry {row.position} of log `{one.log}` cannot be read, so that nothing is pruned; run `entente log verify`"
            ) from None
        act = record["act"] if isinstance(record, dict) and isinstance(record.get("act"), int) else -1
        holds_good = leaf_hash(row.leaf) == hashed and seal(row.nonce, row.record) == face.seal
        if not holds_good or act < 0 or (face.event_id, face.at_micros) != (row.event_id, row.at):
            raise Broken(f"entry {row.position} of log `{one.log}` does not hold, so that nothing is pruned; run `entente log verify`")
    events = b"".join(event_digest(row.event_id) for row in rows)
    return PrunedTile(index, one.roots[number], events, rows[0].at, rows[-1].at, act)


# --- verifying ------------------------------------------------------------------------------------------------------


def verify_pruned(connection: Connection) -> Problem | None:
    """What is wrong with what is said to be pruned: every tile of it is named by a leaf of `officers`, and is what that leaf says."""
    names = {head.id: head.name for head in logs.heads(connection)}
    kept: dict[tuple[str, int], Kept] = {(names.get(one.log_id, str(one.log_id)), one.tile.index): one for one in prunes.every(connection)}
    for row in logs.of_types(connection, OFFICERS, (PRUNE_TYPE,)):
        for said in _said(row.record):
            problem = _verify_range(said, row.position, kept)
            if problem is not None:
                return problem
    for (name, index), _ in sorted(kept.items()):
        return Problem(name, index * TILE_WIDTH, "pruned", "entries said to be pruned, and no leaf in `officers` says so")
    return None


def _said(record: bytes) -> list[Mapping[str, Any]]:
    """The ranges a leaf says were pruned; none where it cannot be read, which is named when its log is verified."""
    try:
        ranges = json.loads(record)["details"]["ranges"]
        return [one for one in ranges if isinstance(one["log"], str) and one["start"] < one["stop"]]
    except (ValueError, KeyError, TypeError):
        return []


def _verify_range(said: Mapping[str, Any], leaf: int, kept: dict[tuple[str, int], Kept]) -> Problem | None:
    """Compare a range with what is kept, and take it out of that."""
    name = said["log"]
    tiles: list[PrunedTile] = []
    for index in range(said["start"] // TILE_WIDTH, said["stop"] // TILE_WIDTH):
        one = kept.pop((name, index), None)
        if one is None:
            told = f"entry {leaf} of `officers` says that it was pruned, and nothing is kept of it"
            return Problem(name, index * TILE_WIDTH, "pruned", told)
        if one.leaf != leaf:
            return Problem(name, index * TILE_WIDTH, "pruned", f"pruned by entry {leaf} of `officers`, found kept as by entry {one.leaf}")
        tiles.append(one.tile)
    if [tile.root.hex() for tile in tiles] != said.get("tiles") or digest_of(tiles).hex() != said.get("kept_sha256"):
        return Problem(name, said["start"], "pruned", f"what is kept of pruned entries is not what entry {leaf} of `officers` says")
    return None


def latest_before(installation: Installation) -> datetime | None:
    """Up to when entries may be pruned by now; None for not at all."""
    days = installation.settings.retention_days
    return moment_of(micros(installation.clock() - timedelta(days=days))) if days else None
