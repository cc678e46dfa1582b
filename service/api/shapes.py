"""The shapes of the API's JSON (DESIGN section 14), for the OpenAPI document and for reading requests.

Answers are written by `sharing` as exact bytes; these models describe them and are not used to make them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.settings import REPLAY_ENTRIES_MAX

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", examples=["2026-11-22T10:00:00.000000Z"])]
OpaqueId = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,64}$")]


def _absent_not_null(schema: dict[str, Any]) -> None:
    """What is optional is absent where there is nothing to say; it is never null."""
    for name, one in schema.get("properties", {}).items():
        if name not in schema.get("required", []):
            shapes = [shape for shape in one.pop("anyOf", []) if shape != {"type": "null"}]
            one.pop("default", None)
            if shapes:
                one.update(shapes[0])


class _Answer(BaseModel):
    model_config = ConfigDict(json_schema_extra=_absent_not_null)


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Answer):
    """RFC 9457."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str | None = None
    code: str | None = None


class Finding(_Answer):
    """Something in a policy file."""

    file: str
    line: int
    column: int
    code: str
    severity: Literal["error", "warning"]
    message: str


class PolicyProblem(Problem):
    """A problem with findings, where a bundle was refused."""

    findings: list[Finding] | None = None


class TokenAnswer(_Answer):
    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int


class Jwks(_Answer):
    keys: list[dict[str, str]]


class Health(_Answer):
    status: Literal["live", "ready", "unavailable"]


class OperatorHealth(_Answer):
    """Ages are null where there is no root yet."""

    status: Literal["ready", "unavailable"]
    reasons: list[str]
    root_age_seconds: Annotated[float | None, Field()]
    unwitnessed_seconds: Annotated[float | None, Field()]
    witnesses: int
    roots: int


class OwnLog(_Answer):
    origin: str
    key: str
    keys: list[str]


class Me(_Answer):
    client: str
    partner: str
    role: Literal["partner"]
    purposes: list[str]
    log: OwnLog


class ListedItem(_Answer):
    id: OpaqueId
    marking: str
    level: str
    categories: list[str]
    title: str | None = None
    copy_sha256: Sha256
    visible_since: Moment


class ItemList(_Answer):
    items: list[ListedItem]
    next: str | None = None
    bookmark: str


class TextPortion(_Answer):
    id: OpaqueId
    kind: Literal["text"]
    marking: str
    text: str


class JsonPortion(_Answer):
    """A JSON value under the marking of all that stands in it.

    With `markings` where values in it have marks of their own: by pointer (RFC 6901) into `value`, `""` for the rest of it.
    """

    id: OpaqueId
    kind: Literal["json"]
    marking: str
    value: Any
    markings: dict[str, str] | None = None


class FilePortion(_Answer):
    id: OpaqueId
    kind: Literal["file"]
    marking: str
    name: str
    media_type: str
    bytes: int
    sha256: Sha256


Portion = Annotated[TextPortion | JsonPortion | FilePortion, Field(discriminator="kind")]


class ItemCopy(_Answer):
    id: OpaqueId
    marking: str
    level: str
    categories: list[str]
    title: str | None = None
    portions: list[Portion]


class FaceItem(_Answer):
    id: str
    copy_sha256: Sha256 | None = None


class Face(_Answer):
    v: Literal[1]
    type: str
    event_id: OpaqueId
    at: Moment
    client: str
    route: str
    items: list[FaceItem]
    body_sha256: Sha256 | None
    result: Literal["sent", "refused", "done"]
    purpose: str
    seal: Sha256
    portion: str | None = None
    heads_root: Sha256 | None = None


class SummaryLine(_Answer):
    """What was asked for again and again: `copy_sha256` of an item or file that was sent, `body_sha256` of a list."""

    type: str
    result: str
    id: str | None = None
    copy_sha256: Sha256 | None = None
    portion: str | None = None
    body_sha256: Sha256 | None = None
    first: Moment
    last: Moment
    count: int
    event_id: OpaqueId


class OwnPruned(_Answer):
    """Entries `start` to `stop`, exclusive, of our log that were pruned: as old as the retention policy says. Receipts of them hold."""

    start: int
    stop: int
    first_at: Moment
    last_at: Moment


class PrunedSpan(OwnPruned):
    """Entries `start` to `stop`, exclusive, of a log that were pruned, and the event of the leaf in `officers` that says so."""

    log: str
    event_id: OpaqueId


class Releases(_Answer):
    """`releases`, or, where it was asked for, `summary` of so many `entries`; `pruned` where some of this stretch were."""

    releases: list[Face] | None = None
    summary: list[SummaryLine] | None = None
    entries: int | None = None
    pruned: list[OwnPruned] | None = None
    next: str | None = None


class ReceiptShape(_Answer):
    event_id: OpaqueId
    leaf: str
    proof: str
    key: str


class RootKeys(_Answer):
    origin: str
    key: str
    keys: list[str]


class RootProofShape(_Answer):
    """`head` stands in `slot` of `slots` with this `salt`; `path` leads to `heads_root` of `leaf`, which `proof` ties to the root log."""

    origin: str
    keys: list[str]
    slot: int
    slots: int
    head: str
    salt: Sha256
    path: list[Sha256]
    leaf: str
    proof: str
    root: RootKeys


class SlotHead(_Answer):
    slot: int
    head: str


class RootOpened(_Answer):
    """Every slot that is not listed is unused; the salts of all come from `secret`."""

    index: int
    slots: int
    leaf: str
    heads_root: Sha256
    secret: Sha256
    heads: list[SlotHead]


class RecordedItem(_Answer):
    """What was decided about one item: the version, the portions released, the digests of the labels asked about, the rules."""

    id: str
    ref: str
    version: int
    portions: list[OpaqueId]
    labels: list[Sha256]
    rules: list[str]


class Record(_Answer):
    """What only auditors open. Of a release or a look at one: all but `details`; of an act or another look: without a decision."""

    act: int
    at: Moment
    authority: None
    outcome: Literal["release", "in_part", "refer", "withhold", "done"]
    partner: str | None = None
    items: list[RecordedItem] | None = None
    labels: dict[str, dict[str, Any]] | None = None
    bundle: Sha256 | None = None
    engine: Sha256 | None = None
    query: Any = None
    details: dict[str, Any] | None = None


PersonalKind = Literal["q", "reason", "note", "name", "query"]
"""What kind of text: the name of the member of a record that commits to it."""


class PersonalText(_Answer):
    """A text by or about a person that a record commits to: the commitment is SHA-256(salt || value as UTF-8)."""

    value: str
    salt: str


class AuditEntry(_Answer):
    """An entry, opened. `personal` holds the texts that its record commits to, by commitment, as long as they are kept."""

    log: str
    index: int
    face: Face
    record: Record
    personal: dict[str, PersonalText] | None = None
    nonce: str
    leaf_hash: Sha256


class ProvenEntry(_Answer):
    """An entry by its place. `proof` leads from its leaf hash to the root of the tree of `size` entries, leaf end first.

    `checkpoint` is the signed head of that size, null where none was kept.
    """

    entry: AuditEntry
    size: int = Field(ge=1)
    proof: list[Sha256]
    checkpoint: str | None


class AuditReleases(_Answer):
    """`pruned` is what was pruned of the logs and the time asked for: of it nobody can say whether it matched."""

    releases: list[AuditEntry]
    next: str | None = None
    pruned: list[PrunedSpan] | None = None


class Recipient(_Answer):
    partner: str
    version: int
    type: str
    count: int
    first: Moment
    last: Moment
    event_id: OpaqueId


class Recipients(_Answer):
    item: str
    recipients: list[Recipient]
    pruned: list[PrunedSpan] | None = None


class ActivityLine(_Answer):
    day: str
    log: str
    type: str
    result: str
    count: int
    first: Moment
    last: Moment


class ClientActivity(_Answer):
    client: str
    activity: list[ActivityLine]
    pruned: list[PrunedSpan] | None = None


class FirstLine(_Answer):
    at: Moment
    event_id: OpaqueId
    index: int
    item: str
    kind: Literal["item", "version", "level", "category"]
    value: str


class FirstReleases(_Answer):
    partner: str
    firsts: list[FirstLine]
    next: str | None = None
    pruned: list[PrunedSpan] | None = None


class SignalLine(_Answer):
    rule: Literal["absent-ids", "withheld-ids", "burst"]
    client: str
    log: str
    first: Moment
    last: Moment
    first_event_id: OpaqueId
    last_event_id: OpaqueId
    count: int
    threshold: int
    minutes: int
    says: str


class Signals(_Answer):
    signals: list[SignalLine]
    pruned: list[PrunedSpan] | None = None


class ReviewIn(_Request):
    """A mark. An escalation is closed by two different persons."""

    event_id: str = Field(min_length=1, max_length=64)
    mark: Literal["reviewed", "questioned", "escalated", "closed"]
    note: str = Field(default="", max_length=4000)


class ReviewDone(_Answer):
    event_id: OpaqueId
    state: Literal["reviewed", "questioned", "escalated", "closing", "closed"]


class ReviewMark(_Answer):
    event_id: OpaqueId
    at: Moment
    client: str
    mark: Literal["reviewed", "questioned", "escalated", "closed"]
    note: Any


class ReviewLine(_Answer):
    log: str
    index: int
    event_id: OpaqueId
    at: Moment
    state: Literal["reviewed", "questioned", "escalated", "closing", "closed"]
    marks: list[ReviewMark]
    closer: str | None = None
    pruned: bool | None = Field(default=None, description="`true` where the entry was pruned since; the marks are kept")


class Reviews(_Answer):
    reviews: list[ReviewLine]
    next: str | None = None


class SavedQueryIn(_Request):
    """Filters of `GET /v1/audit/releases`, by their names there, to be kept under a name."""

    name: str = Field(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")
    query: dict[str, Any]


class SavedQuery(_Answer):
    name: str
    query: dict[str, Any]
    client: str
    at: Moment


class SavedQueries(_Answer):
    queries: list[SavedQuery]
    next: str | None = None


class HoldIn(_Request):
    """What to hold: entries that match every condition given; none given holds every log. `partner` is the log of that partner."""

    log: str | None = Field(default=None, min_length=1, max_length=64, pattern=r"^[^\x00]*$")
    partner: str | None = Field(default=None, min_length=1, max_length=64, pattern=r"^[^\x00]*$")
    item: str | None = Field(default=None, min_length=1, max_length=64, pattern=r"^[^\x00]*$")
    since: str | None = Field(default=None, max_length=40, description="From this day or time (UTC) on")
    until: str | None = Field(default=None, max_length=40, description="Before this day or time (UTC)")
    reason: str = Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")


class HoldDone(_Answer):
    hold: int
    event_id: OpaqueId


class HoldReleased(_Answer):
    at: Moment
    client: str
    reason: str


class HoldLine(_Answer):
    hold: int
    log: str | None = None
    item: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    reason: str
    client: str
    at: Moment
    released: HoldReleased | None = None


class Holds(_Answer):
    holds: list[HoldLine]
    next: str | None = None


class PruneIn(_Request):
    """What to prune: whole tiles of entries before a day or time (UTC), of one log or of all."""

    before: str = Field(max_length=40)
    log: str | None = Field(default=None, min_length=1, max_length=64, pattern=r"^[^\x00]*$")
    reason: str = Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")


class PruneRange(_Answer):
    """Entries `start` to `stop`, exclusive, of a log."""

    log: str
    start: int
    stop: int


class PruneKept(_Answer):
    """Old entries of a log that stay, and why: `hold` and its number, `review` where one is open, `acts` in the log `officers`."""

    log: str
    why: str
    entries: int


class PruneForeseen(_Answer):
    """All that would go by now, and what keeps the rest; `more` is of one act, which takes so much and no more."""

    before: Moment
    log: str | None = None
    entries: int
    ranges: list[PruneRange]
    kept: list[PruneKept]
    more: bool


class PrunePending(PruneForeseen):
    """What would go by this proposal; `timeline` is the digest by which it is approved."""

    proposal: int
    timeline: Sha256
    event_id: OpaqueId


class PruneDone(_Answer):
    event_id: OpaqueId
    entries: int
    ranges: list[PruneRange]


class PruneEnded(_Answer):
    at: Moment
    client: str
    reason: str


class PruneLine(_Answer):
    proposal: int
    state: Literal["open", "approved", "void", "withdrawn"]
    timeline: Sha256
    before: Moment
    log: str | None = None
    ranges: list[PruneRange]
    client: str
    at: Moment
    reason: str | None = None
    ended: PruneEnded | None = None


class Prunes(_Answer):
    prunes: list[PruneLine]
    next: str | None = None


class ReplayFinding(_Answer):
    """That a decision taken again is another: what was `expected`, by deciding, and `found`, in the record."""

    log: str
    index: int
    event_id: OpaqueId
    item: str | None
    what: Literal["act", "bundle", "labels", "version", "outcome", "rules", "portions", "file", "item"]
    expected: str
    found: str


class ReplayEngine(_Answer):
    """How many decisions name this engine's digest, and how many another's."""

    same: int
    other: int


class Replayed(_Answer):
    """Decisions taken again, and those of them that came out equal. `seed` is that of the sample."""

    replayed: int
    equal: int
    pruned: int
    not_decisions: int
    searches_erased: int
    engine: ReplayEngine
    seed: str | None = None
    findings: list[ReplayFinding]


class WhatIfPartner(_Answer):
    """Entries and items looked at, items that would change how, and by which rules."""

    partner: str
    entries: int
    items: int
    no_longer: int
    less: int
    more: int
    newly: int
    rules: dict[str, dict[str, int]]


class WhatIfDifference(_Answer):
    """An item of an entry that would be decided otherwise."""

    log: str
    index: int
    event_id: OpaqueId
    item: str
    ref: str
    version: int
    change: Literal["no_longer", "less", "more", "newly"]
    before: str
    after: str
    rules_before: list[str]
    rules_after: list[str]


class WhatIfAnswer(_Answer):
    bundle: Sha256
    partners: list[WhatIfPartner]
    differences: list[WhatIfDifference]


# --- officers -------------------------------------------------------------------------------------------------------


class Stored(_Answer):
    id: OpaqueId
    ref: str
    result: Literal["stored", "quarantined"]
    version: int
    code: str | None = None
    message: str | None = None


class StoredFileShape(_Answer):
    sha256: Sha256
    bytes: int


class Received(_Answer):
    at: Moment
    version: int


class AudienceOf(_Answer):
    partner: str
    outcome: Literal["release", "in_part", "refer", "withhold"]
    rules: list[str]
    received: list[Received]
    display: Literal["release", "in_part", "refer", "withhold"]


class PrunedOfPartner(_Answer):
    """Of this stretch of a partner's log nobody can say any more what it received."""

    partner: str
    first_at: Moment
    last_at: Moment


class Audience(_Answer):
    partners: list[AudienceOf]
    pruned: list[PrunedOfPartner] | None = None


class PortionMarked(_Answer):
    """A portion's marking as it came, and the label it has now, if any."""

    portion: OpaqueId
    kind: Literal["title", "text", "json", "file"]
    marking: str
    label: dict[str, Any] | None


class ItemLabels(_Answer):
    """The portions of the version in force; none where there is none."""

    portions: list[PortionMarked]


class LabelSince(_Answer):
    """A label ahead: from `now`, or a time, until the next."""

    from_: str = Field(alias="from")
    label: dict[str, Any]


class PortionMoved(_Answer):
    """A portion whose label is to be another, with the labels ahead of it before and after."""

    item: OpaqueId
    ref: str
    version: int
    portion: OpaqueId
    kind: str
    before: list[LabelSince]
    after: list[LabelSince]


class ItemSeen(_Answer):
    """What a partner is shown of an item: the outcome, by which rules, and which portions; and what may be displayed elsewhere."""

    outcome: Literal["release", "in_part", "refer", "withhold"]
    rules: list[str]
    portions: list[OpaqueId]
    display: Literal["release", "in_part", "refer", "withhold"]


class SeenOtherwise(_Answer):
    item: OpaqueId
    partner: str
    purpose: str
    before: ItemSeen
    after: ItemSeen


class LabelMoment(_Answer):
    """Who sees something else from then on, until the next moment; `now`, or a time."""

    from_: str = Field(alias="from")
    partners: list[SeenOtherwise]


class LabelDone(_Answer):
    """In force; or with `state` `foreseen`, what it would do. A decision about quarantine names the version that is in force by it, or
    with `state` `held` what still holds it."""

    event_id: OpaqueId
    timeline: Sha256 | None = None
    state: Literal["foreseen", "held"] | None = None
    version: int | None = None
    holds: list[str] | None = None
    needs_approval: list[str] | None = None
    portions: list[PortionMoved] | None = None
    difference: list[LabelMoment] | None = None


class LabelPending(_Answer):
    """Not in force: another officer must approve exactly this timeline, which is the digest of all that is shown here."""

    state: Literal["pending"]
    proposal: int
    timeline: Sha256
    proposed_by: str
    event_id: OpaqueId
    needs_approval: list[str]
    portions: list[PortionMoved]
    difference: list[LabelMoment]


class LabelProposal(_Answer):
    """An act on labels that waits for another officer: of an item, or of an event."""

    proposal: int
    kind: Literal["item.relabel", "item.event"]
    item: OpaqueId | None = None
    event: str | None = None
    reason: str
    timeline: Sha256
    client: str
    at: Moment
    portions: list[PortionMoved]
    difference: list[LabelMoment]


class LabelProposals(_Answer):
    proposals: list[LabelProposal]
    next: str | None = None


class ErasurePending(_Answer):
    """Nothing is erased: another auditor must approve exactly this, by the digest `timeline`. `about` is the event it is about."""

    state: Literal["pending"]
    proposal: int
    timeline: Sha256
    proposed_by: str
    about: OpaqueId
    kinds: list[PersonalKind]
    commitments: list[Sha256]
    event_id: OpaqueId


class Erasure(_Answer):
    """An erasure that waits for another auditor: of which entry, which kinds of text, under which commitments."""

    proposal: int
    timeline: Sha256
    client: str
    at: Moment
    reason: str
    about: OpaqueId
    log: str
    index: int
    kinds: list[PersonalKind]
    commitments: list[Sha256]


class Erasures(_Answer):
    erasures: list[Erasure]
    next: str | None = None


class ErasureDone(_Answer):
    """So many texts are gone."""

    event_id: OpaqueId
    texts: int


class LabelHad(_Answer):
    """A label a portion had: by which act of whom and why, or by a `date`. `approver` where two officers were needed."""

    from_: Moment = Field(alias="from")
    until: Moment | None = None
    label: dict[str, Any]
    act: str
    client: str | None = None
    event_id: OpaqueId | None = None
    reason: str | None = None
    proposal: int | None = None
    approver: str | None = None


class PortionHistory(_Answer):
    portion: OpaqueId
    kind: str
    marking: str
    labels: list[LabelHad]


class LabelHistory(_Answer):
    portions: list[PortionHistory]


class _Obstacle(_Answer):
    """A prohibition; a condition of an agreement, alone not met; or no agreement that is but one condition away."""

    kind: Literal["prohibition", "condition", "nothing_near"]
    rule: str | None = None
    condition: str | None = None
    reason: str


class ObstacleOfItem(_Obstacle):
    portions: list[OpaqueId]


class PortionWithheld(_Answer):
    """A portion, or the item's compilation, that is not released to the partner, and why."""

    portion: OpaqueId
    kind: str
    marking: str
    label: dict[str, Any]
    outcome: Literal["refer", "withhold"]
    rules: list[str]
    matched: list[str]
    denied: list[str]
    error: str | None = None
    why: Why


class ItemObstacles(_Answer):
    """`hold_back`: the smallest set of portions without which the rest (`goes`) may go, where it is `possible`.

    `for_all` is what stands in the way of all that is withheld, whether it must be held back or a tear-line stands in its place.
    """

    item: OpaqueId
    ref: str
    version: int
    partner: str
    purpose: str
    outcome: Literal["release", "in_part", "refer", "withhold"]
    whole: bool
    compilation: bool
    possible: bool
    hold_back: list[OpaqueId]
    goes: list[OpaqueId]
    withheld: list[PortionWithheld]
    for_all: list[ObstacleOfItem]


class HinderedShape(_Answer):
    partner: str
    items: int
    portions: int


class StoreObstacle(_Obstacle):
    """`reason` is in words for the label that most portions bear; `items` have a portion that it stands in the way of, for somebody."""

    items: int
    portions: int
    partners: list[HinderedShape]


class StoreObstacles(_Answer):
    """Of so many labels. `left_out`: questions why, a label and a partner each, that were too many to ask; mostly 0."""

    labels: int
    left_out: int
    obstacles_total: int
    obstacles: list[StoreObstacle]


class UnsharedItem(_Answer):
    partner: str
    item: OpaqueId
    ref: str
    visible_since: Moment


class UnsharedItems(_Answer):
    unshared: list[UnsharedItem]
    next: str | None = None
    pruned: list[PrunedOfPartner] | None = None


class View(_Answer):
    status: int
    headers: dict[str, str]
    body: Any


class PlaceMarked(_Answer):
    """A marking of a version in quarantine, word by word: `item`, `0` for the first portion, `0/a` a part, `0.tear_line.0` a variant."""

    portion: str
    kind: str
    marking: str


class QuarantinedItem(_Answer):
    id: OpaqueId
    ref: str
    version: int
    code: str
    reason: str
    at: Moment
    markings: list[PlaceMarked]


class Quarantine(_Answer):
    quarantine: list[QuarantinedItem]
    next: str | None = None


class Miss(_Answer):
    """A rule that a single condition kept from being true."""

    rule: str
    condition: str
    reason: str


class Why(_Answer):
    referable: list[str]
    near_misses: list[Miss]
    display: Literal["release", "refer", "withhold"] | None = None


class DecideAnswer(_Answer):
    outcome: Literal["release", "refer", "withhold"]
    rules: list[str]
    matched: list[str]
    denied: list[str]
    error: str | None = None
    why: Why


class Answers(_Answer):
    answers: list[DecideAnswer]


class Uploaded(_Answer):
    """In the archive. A finding that is an error is one that publication will refuse: a case that fails, a `never` that does not hold."""

    digest: Sha256
    findings: list[Finding]


class Published(_Answer):
    """In force. `timeline` is the digest of the difference it made; the first publication of all has none."""

    digest: Sha256
    act: int
    event_id: OpaqueId
    timeline: Sha256 | None = None
    findings: list[Finding]
    """What it is warned of."""


class Pending(_Answer):
    """Not in force: another officer must approve exactly this timeline."""

    digest: Sha256
    state: Literal["pending"]
    timeline: Sha256
    proposed_by: str
    event_id: OpaqueId
    findings: list[Finding]
    """What it is warned of."""


class PublicationShape(_Answer):
    """`client` wanted it; `approver` agreed, where a second officer had to."""

    digest: Sha256
    act: int
    at: Moment
    client: str
    approver: str | None = None
    timeline: Sha256 | None = None


class ProposalShape(_Answer):
    """A publication that waits for a second officer, or waited, and how that ended."""

    digest: Sha256
    kind: Literal["policy.publish", "policy.rollback"]
    before: Sha256
    timeline: Sha256
    client: str
    at: Moment
    state: Literal["open", "approved", "void", "withdrawn"]
    closed_at: Moment | None = None
    closed_by: str | None = None
    reason: str | None = None


class History(_Answer):
    publications: list[PublicationShape]
    proposals: list[ProposalShape]


class OfLevel(_Answer):
    level: str
    items: int
    portions: int


class StoredSum(_Answer):
    items: int
    portions: int
    levels: list[OfLevel]


class StoredChange(_Answer):
    """What a partner, for a purpose, gains and loses of what is stored."""

    partner: str
    purpose: str
    gained: StoredSum
    lost: StoredSum
    items_changed: int


class LabelChange(_Answer):
    """What possible labels a partner gains or loses, with one that shows it, decided by both policies."""

    partner: str
    action: str
    purposes: list[str]
    change: Literal["gains", "loses", "may_ask", "may_not_ask"]
    highest: str
    new_words: bool
    witness: dict[str, Any]
    before: Literal["release", "refer", "withhold"]
    after: Literal["release", "refer", "withhold"]
    rules: list[str]
    sentence: str


class PolicyRow(_Answer):
    file: str
    line: int
    text: str


class ChangedRows(_Answer):
    removed: list[PolicyRow]
    added: list[PolicyRow]


class _Effect(_Answer):
    stored: list[StoredChange]
    stored_sha256: str
    all_labels: list[LabelChange]


class MomentShape(_Effect):
    """What holds from a moment on, until the next; `now`, or a time."""

    from_: str = Field(alias="from")


class Difference(_Answer):
    """What putting a bundle in force would do. `timeline` is the digest that approval is bound to."""

    bundle: Sha256
    in_force: Sha256 | None = None
    timeline: Sha256 | None = None
    needs_approval: bool
    approval_level: str
    reasons: list[str]
    proved: bool
    cannot: str | None = None
    moments: list[MomentShape]
    rows: ChangedRows


class DatedRow(PolicyRow):
    """A row that begins or ends. `id` is a rule's, or the partner's or member's code."""

    id: str
    change: Literal["begins", "ends"]


class CalendarDate(_Effect):
    at: Moment
    rows: list[DatedRow]
    proved: bool
    cannot: str | None = None


class AtEvent(_Request):
    """A declassification that waits for an event, in words: never by time."""

    event: str = Field(min_length=1, max_length=500)


class Exempt(_Request):
    """An exemption from declassification, by its designation: never by time."""

    exemption: str = Field(min_length=1, max_length=500, examples=["25X1"])


class PortionDated(_Answer):
    """A portion, or an item's compilation under the item's id, whose label changes."""

    portion: OpaqueId
    kind: Literal["title", "text", "json", "file", "compilation"]
    before: dict[str, Any]
    after: dict[str, Any]


class ItemDated(_Answer):
    id: OpaqueId
    ref: str
    portions: list[PortionDated]
    gain: list[str]
    lose: list[str]


class PartnerDated(_Answer):
    partner: str
    gains: int
    loses: int


class ItemsDate(_Answer):
    """A date on which labels change by themselves: how many, for whom, and the first of them one by one."""

    at: Moment
    items: int
    portions: int
    partners: list[PartnerDated]
    changes: list[ItemDated]


class ItemUndated(_Answer):
    """A portion whose declassification has no date."""

    id: OpaqueId
    ref: str
    portion: OpaqueId
    kind: Literal["title", "text", "json", "file"]
    declassify_on: AtEvent | Exempt


class ItemsCalendar(_Answer):
    since: Moment
    until: Moment
    dates: list[ItemsDate]
    undated: list[ItemUndated]
    undated_total: int


class Calendar(_Answer):
    bundle: Sha256
    since: Moment
    until: Moment
    dates: list[CalendarDate]


class Done(_Answer):
    event_id: OpaqueId


# --- requests -------------------------------------------------------------------------------------------------------


Reason = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
"""In words; without NUL, which no text in PostgreSQL can hold."""


class ErasureIn(_Request):
    """The personal texts of an entry that are to be erased: all of them, or those of a kind."""

    event_id: OpaqueId
    kind: PersonalKind | None = None
    reason: Reason


class Because(_Request):
    """Why an act is done; part of its record."""

    reason: Reason


class Approval(_Request):
    """What is approved: the digest of the timeline, as the difference and the proposal say it."""

    timeline: Sha256


class Relabel(_Request):
    """Another label from now on: exactly one of `marking` and `label`; of one portion, or of all.

    `version` names one that waits in quarantine; where none is in force, the one that waits is meant. There `portion` is a place, as
    `GET /v1/officer/quarantine` names it.
    """

    marking: str | None = Field(default=None, max_length=2000)
    label: dict[str, Any] | None = None
    portion: str | None = Field(default=None, max_length=200)
    version: int | None = Field(default=None, ge=1, le=1_000_000_000)
    reason: Reason


class EventCame(_Request):
    """What declassifications wait for has come about, or will at `at`: in the words of `declassify_on`."""

    event: str = Field(min_length=1, max_length=500)
    at: str | None = Field(default=None, max_length=40)
    reason: Reason


class ReplayAsked(_Request):
    """Which decisions: exactly one of `events`, `log`, `sample`; a sample may be of a `log`. `from` and `to` (exclusive) are of a log."""

    model_config = ConfigDict(json_schema_extra=_absent_not_null)
    events: list[Annotated[str, Field(min_length=1, max_length=64)]] | None = Field(
        default=None, min_length=1, max_length=REPLAY_ENTRIES_MAX
    )
    log: str | None = Field(default=None, max_length=64)
    start: int | None = Field(default=None, ge=0, le=2**53, alias="from")
    stop: int | None = Field(default=None, ge=0, le=2**53, alias="to")
    sample: int | None = Field(default=None, ge=1, le=REPLAY_ENTRIES_MAX)
    seed: str | None = Field(default=None, min_length=1, max_length=64, pattern="^[!-~]+$")


class WhatIfAsked(_Request):
    """A bundle of the archive, by digest, for the last so many entries; `at`: as of this time, not of each entry's own."""

    model_config = ConfigDict(json_schema_extra=_absent_not_null)
    bundle: str = Field(min_length=8, max_length=64)
    last: int = Field(ge=1, le=REPLAY_ENTRIES_MAX)
    at: str | None = Field(default=None, max_length=40)


class DecideRequest(_Request):
    """Decide lines, as `entente policy decide` takes them."""

    requests: list[Any] = Field(max_length=1000)


class Upload(_Request):
    """A bundle's files by name, as text."""

    files: dict[str, str] = Field(max_length=32)


class Downgrade(_Request):
    """When, and to which level."""

    at: str
    level: str


class _PortionIn(_Request):
    """Members of every portion: exactly one of `marking` and `label`; dates from which it is another."""

    model_config = ConfigDict(json_schema_extra=_absent_not_null)
    marking: str | None = None
    marked_on: str | None = Field(default=None, description="The day of the marking, for another's level; default now")
    label: dict[str, Any] | None = None
    categories: list[str] | None = None
    originators: list[str] | None = Field(default=None, min_length=1)
    not_before: dict[str, str] | None = None
    downgrade_on: Downgrade | None = None
    declassify_on: str | AtEvent | Exempt | None = Field(default=None, description="A date, an event, or an exemption")


class TextVariantIn(_PortionIn):
    """A variant of a title or text for a wider audience, shown in its place to whom it is not released itself."""

    text: str = Field(min_length=1)


class TitleIn(_PortionIn):
    """A title. `tear_line`: its variants, the one that says most first."""

    kind: Literal["title"]
    text: str = Field(min_length=1)
    tear_line: list[TextVariantIn] | None = Field(default=None, min_length=1)


class TextIn(_PortionIn):
    """A text. `tear_line`: its variants, the one that says most first."""

    kind: Literal["text"]
    text: str = Field(min_length=1)
    tear_line: list[TextVariantIn] | None = Field(default=None, min_length=1)


class PartIn(_PortionIn):
    """The marking of a value inside a JSON portion, by which it is a portion of its own."""


class JsonVariantIn(_PortionIn):
    """A variant of a JSON value for a wider audience."""

    value: Any


class JsonIn(_PortionIn):
    """A JSON value. `markings` marks members and elements in it by themselves, by pointer (RFC 6901); `tear_line` has its variants."""

    kind: Literal["json"]
    value: Any
    markings: dict[str, str | PartIn] | None = None
    tear_line: list[JsonVariantIn] | None = Field(default=None, min_length=1)


class FileVariantIn(_PortionIn):
    """A file sent before that is a variant of another for a wider audience."""

    sha256: Sha256
    name: str = Field(min_length=1, max_length=255)
    media_type: str | None = None


class FileIn(FileVariantIn):
    """A file sent before, by digest. `tear_line`: its variants, the one that says most first."""

    kind: Literal["file"]
    tear_line: list[FileVariantIn] | None = Field(default=None, min_length=1)


class _VersionIn(_Request):
    model_config = ConfigDict(json_schema_extra=_absent_not_null)
    marking: str | None = None
    marked_on: str | None = Field(default=None, description="The day of its markings, for another's levels; default now")
    label: dict[str, Any] | None = None
    releasable_in: Literal["whole", "portions"] | None = None
    categories: list[str] | None = None
    originators: list[str] | None = Field(default=None, min_length=1)
    compilation: str | None = None
    portions: list[Annotated[TitleIn | TextIn | JsonIn | FileIn, Field(discriminator="kind")]] = Field(min_length=1, max_length=200)


class ItemIn(_VersionIn):
    """An item: DESIGN section 14. Read strictly by `sharing.intake`; here for the document."""

    ref: str = Field(min_length=1, max_length=512)


class VersionIn(_VersionIn):
    """A new version of an item, which keeps its `ref`."""

    ref: str | None = Field(default=None, min_length=1, max_length=512)
