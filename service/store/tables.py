"""The tables. Columns are facts; what they mean is said here and nowhere else in `store`.

Times are whole microseconds since 1970 UTC (`BigInteger`), because cursors, orders and comparisons need exact values;
`until` is exclusive and `FOREVER` where it is open. Ids are opaque random text. Digests are 32 bytes.

Four groups: who asks (`client`), what policy is in force (`bundle_file`, `publication`, `proposal`, `suspension`, `fence`), what may be
shared (`item` ... `copy`), what left (`log` ... `idempotency`). `lane`, `entitlement`, `offer`, `search` and `fact` are derived: they
can be made again from the others, and say nothing that policy and records did not.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel

FOREVER: Final = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z: the `until` of what is open."""


TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Text in the order of its bytes, as SQLite has it: by a language's order, pages of a list would skip and repeat."""


def as_bytes(value: bytes | memoryview | str) -> bytes:
    """A column of bytes, read. SQLite gives text back where somebody wrote text past us: it is taken as its bytes, and verification
    names the entry, rather than stumbling over the type."""
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)


def _text(primary: bool = False, nullable: bool = False, unique: bool = False) -> Column[str]:
    return Column(TEXT, primary_key=primary, nullable=nullable, unique=unique or None)


def _big(primary: bool = False, nullable: bool = False) -> Column[int]:
    return Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=primary, nullable=nullable)


def _bytes(primary: bool = False, nullable: bool = False) -> Column[bytes]:
    return Column(LargeBinary, primary_key=primary, nullable=nullable)


class InstanceRow(SQLModel, table=True):
    """One row: what first set-up fixed."""

    __tablename__ = "instance"
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    name: str = Field(sa_column=_text())
    audience: str = Field(sa_column=_text())
    created_at: int = Field(sa_column=_big())


class FenceRow(SQLModel, table=True):
    """One row: the number and time of the last act, and how often the clients changed."""

    __tablename__ = "fence"
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    act: int = Field(sa_column=_big())
    at: int = Field(sa_column=_big())
    clients: int = Field(sa_column=_big())


class ClientRow(SQLModel, table=True):
    """Who may ask: found by issuer and subject, never by a claim about role or partner."""

    __tablename__ = "client"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)
    id: str = Field(sa_column=_text(primary=True))
    issuer: str = Field(sa_column=_text())
    subject: str = Field(sa_column=_text())
    name: str = Field(sa_column=_text(unique=True))
    role: str = Field(sa_column=_text())
    partner: str | None = Field(default=None, sa_column=_text(nullable=True))
    purposes: str = Field(sa_column=_text())
    enabled: int = Field(sa_column=Column(SmallInteger, nullable=False))
    secret_hash: str | None = Field(default=None, sa_column=_text(nullable=True))
    created_at: int = Field(sa_column=_big())
    level: str | None = Field(default=None, sa_column=_text(nullable=True))
    """Of an officer: the highest level of labels he may give and take; `categories` and `originators` likewise, words between spaces."""
    categories: str | None = Field(default=None, sa_column=_text(nullable=True))
    originators: str | None = Field(default=None, sa_column=_text(nullable=True))


class BundleFileRow(SQLModel, table=True):
    """The archive: every file of every bundle uploaded or published, by the bundle's digest (hex)."""

    __tablename__ = "bundle_file"
    digest: str = Field(sa_column=_text(primary=True))
    name: str = Field(sa_column=_text(primary=True))
    content: bytes = Field(sa_column=_bytes())


class PublicationRow(SQLModel, table=True):
    """What was in force from which act on; the last row is in force.

    `client` is who wanted it; `approver` the second officer, where one was needed; `timeline` the digest (hex) of the difference it
    made, None for the first of all.
    """

    __tablename__ = "publication"
    act: int = Field(sa_column=_big(primary=True))
    at: int = Field(sa_column=_big())
    digest: str = Field(sa_column=_text())
    client: str = Field(sa_column=_text())
    approver: str | None = Field(default=None, sa_column=_text(nullable=True))
    timeline: str | None = Field(default=None, sa_column=_text(nullable=True))


class ProposalRow(SQLModel, table=True):
    """An act that waits for a second officer, or waited. It stays as it was proposed; only how it ended is written later.

    `kind` is the type of the act, `subject` what it is about (the digest of a bundle), `base` what was in force when it was proposed,
    `body` the canonical JSON of what it would do, `timeline` the SHA-256 (hex) of that: approval is of these bytes. `because` is why it was
    proposed, `reason` why it was closed: fixed words, or the commitment of a person's.
    """

    __tablename__ = "proposal"
    id: int = Field(sa_column=_big(primary=True))
    kind: str = Field(sa_column=_text())
    subject: str = Field(sa_column=_text())
    base: str = Field(sa_column=_text())
    timeline: str = Field(sa_column=_text())
    body: str = Field(sa_column=_text())
    client: str = Field(sa_column=_text())
    at: int = Field(sa_column=_big())
    state: str = Field(sa_column=_text())
    closed_at: int | None = Field(default=None, sa_column=_big(nullable=True))
    closed_by: str | None = Field(default=None, sa_column=_text(nullable=True))
    reason: str | None = Field(default=None, sa_column=_text(nullable=True))
    because: str | None = Field(default=None, sa_column=_text(nullable=True))
    __table_args__ = (Index("proposal_by_state", "state", "kind", "subject"),)


class SuspensionRow(SQLModel, table=True):
    """Partners suspended now."""

    __tablename__ = "suspension"
    partner: str = Field(sa_column=_text(primary=True))
    act: int = Field(sa_column=_big())


class LabelRow(SQLModel, table=True):
    """A distinct label, without grants and consents, as canonical JSON."""

    __tablename__ = "label"
    id: int = Field(sa_column=_big(primary=True))
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    body: str = Field(sa_column=_text())


class LabelSetRow(SQLModel, table=True):
    """A distinct set of labels: JSON list of label ids, sorted."""

    __tablename__ = "label_set"
    id: int = Field(sa_column=_big(primary=True))
    members: str = Field(sa_column=_text(unique=True))


class ItemRow(SQLModel, table=True):
    """A shareable thing. `version` is the number in force, 0 while the first one is in quarantine."""

    __tablename__ = "item"
    id: str = Field(sa_column=_text(primary=True))
    ref: str = Field(sa_column=_text(unique=True))
    version: int = Field(sa_column=Column(Integer, nullable=False))
    withdrawn_at: int | None = Field(default=None, sa_column=_big(nullable=True))
    created_at: int = Field(sa_column=_big())


class VersionRow(SQLModel, table=True):
    """A version: content that never changes. `intake` is the officer's JSON as given, without texts; `whole` is 1 for `whole`,
    and 2 where tear-lines may fill a place in it, so that it can go out without every label being released."""

    __tablename__ = "version"
    id: int = Field(sa_column=_big(primary=True))
    item_id: str = Field(sa_column=Column(TEXT, ForeignKey("item.id"), nullable=False))
    number: int = Field(sa_column=Column(Integer, nullable=False))
    marking: str = Field(sa_column=_text())
    whole: int = Field(sa_column=Column(SmallInteger, nullable=False))
    created_at: int = Field(sa_column=_big())
    __table_args__ = (UniqueConstraint("item_id", "number"),)


class PortionRow(SQLModel, table=True):
    """A part of an item. It keeps its id through versions in which it does not change; `changed_at` is when it came to be.

    `name` is a file's, or that of the member which is a part of a JSON value.
    """

    __tablename__ = "portion"
    id: str = Field(sa_column=_text(primary=True))
    item_id: str = Field(sa_column=Column(TEXT, ForeignKey("item.id"), nullable=False, index=True))
    kind: str = Field(sa_column=_text())
    content_sha256: bytes = Field(sa_column=_bytes())
    name: str | None = Field(default=None, sa_column=_text(nullable=True))
    media_type: str | None = Field(default=None, sa_column=_text(nullable=True))
    size: int = Field(sa_column=_big())
    changed_at: int = Field(sa_column=_big())
    content: bytes = Field(sa_column=_bytes())
    """Text as UTF-8, JSON as RFC 8785; empty for a file. The last column, so that the others are read without stepping over it."""


class VersionPortionRow(SQLModel, table=True):
    """Which portions a version has, in order, and the marking each was given, verbatim.

    Of a part of a JSON value, `within` is the position of the portion that holds it, and `place` where in that one (`sharing.parts`).
    """

    __tablename__ = "version_portion"
    version_id: int = Field(sa_column=_big(primary=True))
    position: int = Field(sa_column=Column(Integer, primary_key=True))
    portion_id: str = Field(sa_column=_text())
    marking: str = Field(sa_column=_text())
    within: int | None = Field(default=None, sa_column=Column(Integer, nullable=True))
    place: str | None = Field(default=None, sa_column=_text(nullable=True))
    instead_of: int | None = Field(default=None, sa_column=Column(Integer, nullable=True))
    """Of a tear-line: the position of the portion it is shown instead of (`sharing.tear_lines`)."""
    declassify_on: str | None = Field(default=None, sa_column=_text(nullable=True))
    """What it waits for, where that is no date: `{"event":"..."}` or `{"exemption":"..."}`, canonical JSON."""


class PortionLabelRow(SQLModel, table=True):
    """The timeline of a portion's label; `portion_id` is the item's id for its compilation."""

    __tablename__ = "portion_label"
    portion_id: str = Field(sa_column=_text(primary=True))
    from_at: int = Field(sa_column=_big(primary=True))
    until: int = Field(sa_column=_big())
    label_id: int = Field(sa_column=_big())
    __table_args__ = (Index("portion_label_by_label", "label_id"),)


class ItemLabelSetRow(SQLModel, table=True):
    """The timeline of an item's label set: the labels of its portions and its compilation. None while in quarantine."""

    __tablename__ = "item_label_set"
    item_id: str = Field(sa_column=_text(primary=True))
    from_at: int = Field(sa_column=_big(primary=True))
    until: int = Field(sa_column=_big())
    label_set_id: int = Field(sa_column=_big())
    __table_args__ = (Index("item_label_set_by_set", "label_set_id", "item_id"),)


class RelabelRow(SQLModel, table=True):
    """Why a portion got another label by an officer's act: the reason, and where two were needed the proposal and who approved it.

    `portion_id` is the item's id for what held of all of it. That the label began is in `portion_label`, at the same time; `client` is who
    wanted it.
    """

    __tablename__ = "relabel"
    portion_id: str = Field(sa_column=_text(primary=True))
    act: int = Field(sa_column=_big(primary=True))
    item_id: str = Field(sa_column=_text())
    at: int = Field(sa_column=_big())
    client: str = Field(sa_column=_text())
    reason: str = Field(sa_column=_text())
    proposal: int | None = Field(default=None, sa_column=_big(nullable=True))
    approver: str | None = Field(default=None, sa_column=_text(nullable=True))
    __table_args__ = (Index("relabel_of_item", "item_id", "at"),)


class QuarantineRow(SQLModel, table=True):
    """A version that waits for an officer, and why."""

    __tablename__ = "quarantine"
    version_id: int = Field(sa_column=_big(primary=True))
    item_id: str = Field(sa_column=_text())
    code: str = Field(sa_column=_text())
    reason: str = Field(sa_column=_text())
    at: int = Field(sa_column=_big())
    intake: str = Field(sa_column=_text())
    """The officer's JSON, verbatim, from which it is read again when the marking is decided."""


class FileRow(SQLModel, table=True):
    """A file kept by digest in the data folder."""

    __tablename__ = "file"
    sha256: bytes = Field(sa_column=_bytes(primary=True))
    size: int = Field(sa_column=_big())


class LaneRow(SQLModel, table=True):
    """A partner and a purpose: for each of them what is on offer is kept ready."""

    __tablename__ = "lane"
    id: int = Field(sa_column=_big(primary=True))
    partner: str = Field(sa_column=_text())
    purpose: str = Field(sa_column=_text())
    __table_args__ = (UniqueConstraint("partner", "purpose"),)


class EntitlementRow(SQLModel, table=True):
    """A stretch through which a label is released to a lane without a break."""

    __tablename__ = "entitlement"
    lane_id: int = Field(sa_column=_big())
    label_id: int = Field(sa_column=_big())
    from_at: int = Field(sa_column=_big())
    until: int = Field(sa_column=_big())
    __table_args__ = (PrimaryKeyConstraint("label_id", "lane_id", "from_at"),)


class OfferRow(SQLModel, table=True):
    """An item as it stands in a lane over a stretch. Only visible ones: a withheld item has no row, so it costs nothing."""

    __tablename__ = "offer"
    lane_id: int = Field(sa_column=_big())
    item_id: str = Field(sa_column=_text())
    from_at: int = Field(sa_column=_big())
    until: int = Field(sa_column=_big())
    visible_since: int = Field(sa_column=_big())
    level: int = Field(sa_column=Column(SmallInteger, nullable=False))
    """Of the copy: its place on the ladder."""
    __table_args__ = (
        PrimaryKeyConstraint("item_id", "lane_id", "from_at"),
        Index("offer_in_order", "lane_id", "visible_since", "item_id", "from_at", "until"),
        Index("offer_by_level", "lane_id", "level", "visible_since", "item_id", "from_at", "until"),
    )


class OfferCategoryRow(SQLModel, table=True):
    """The categories of an offer's copy, for the filter."""

    __tablename__ = "offer_category"
    lane_id: int = Field(sa_column=_big())
    item_id: str = Field(sa_column=_text())
    category: str = Field(sa_column=_text())
    from_at: int = Field(sa_column=_big())
    until: int = Field(sa_column=_big())
    visible_since: int = Field(sa_column=_big())
    level: int = Field(sa_column=Column(SmallInteger, nullable=False))
    __table_args__ = (
        PrimaryKeyConstraint("item_id", "lane_id", "category", "from_at"),
        Index("offer_category_in_order", "lane_id", "category", "visible_since", "item_id"),
        Index("offer_category_by_level", "lane_id", "category", "level", "visible_since", "item_id"),
    )


class SearchGroupRow(SQLModel, table=True):
    """What must be released for a portion to be found: labels (JSON list of ids, sorted), through a stretch.

    `from_at` is 0 where it had begun.

    `long` is 1 where some portion under it has too many words for the index, and is looked into itself.
    """

    __tablename__ = "search_group"
    id: int = Field(sa_column=_big(primary=True))
    members: str = Field(sa_column=_text())
    from_at: int = Field(sa_column=_big())
    until: int = Field(sa_column=_big())
    long: int = Field(sa_column=Column(SmallInteger, nullable=False))
    __table_args__ = (UniqueConstraint("members", "from_at", "until"),)


class SearchGroupLabelRow(SQLModel, table=True):
    """The groups a label is in."""

    __tablename__ = "search_group_label"
    label_id: int = Field(sa_column=_big(primary=True))
    group_id: int = Field(sa_column=_big(primary=True))


class SearchGrantRow(SQLModel, table=True):
    """A stretch through which a group is released to a lane."""

    __tablename__ = "search_grant"
    lane_id: int = Field(sa_column=_big())
    group_id: int = Field(sa_column=_big())
    from_at: int = Field(sa_column=_big())
    until: int = Field(sa_column=_big())
    __table_args__ = (
        PrimaryKeyConstraint("group_id", "lane_id", "from_at"),
        Index("search_grant_of_lane", "lane_id", "from_at", "until", "group_id"),
    )


class SearchWordsRow(SQLModel, table=True):
    """A portion's words under one group, folded, a space before and after each; the full-text index has them by this id."""

    __tablename__ = "search_row"
    id: int = Field(sa_column=_big(primary=True))
    item_id: str = Field(sa_column=_text())
    group_id: int = Field(sa_column=_big())
    portion_id: str = Field(sa_column=_text())
    body: str = Field(sa_column=_text())
    __table_args__ = (Index("search_row_of_item", "item_id", "group_id", "portion_id"),)


class CopyRow(SQLModel, table=True):
    """The exact bytes of a copy named in a leaf."""

    __tablename__ = "copy"
    sha256: bytes = Field(sa_column=_bytes(primary=True))
    body: bytes = Field(sa_column=_bytes())


class LogRow(SQLModel, table=True):
    """A log's head: its size, frontier, last time and signed checkpoint. `slot` is its place in the heads tree."""

    __tablename__ = "log"
    id: int = Field(sa_column=_big(primary=True))
    name: str = Field(sa_column=_text(unique=True))
    origin: str = Field(sa_column=_text(unique=True))
    slot: int = Field(sa_column=Column(Integer, nullable=False, unique=True))
    size: int = Field(sa_column=_big())
    frontier: bytes = Field(sa_column=_bytes())
    root: bytes = Field(sa_column=_bytes())
    at: int = Field(sa_column=_big())
    checkpoint: str = Field(sa_column=_text())


class LogEntryRow(SQLModel, table=True):
    """One entry: the leaf's exact bytes, its hash, the sealed record and nonce; the other columns repeat the face, for queries."""

    __tablename__ = "log_entry"
    log_id: int = Field(sa_column=_big())
    position: int = Field(sa_column=_big())
    event_id: str = Field(sa_column=_text(unique=True))
    at: int = Field(sa_column=_big())
    type: str = Field(sa_column=_text())
    client: str = Field(sa_column=_text())
    result: str = Field(sa_column=_text())
    leaf: bytes = Field(sa_column=_bytes())
    leaf_hash: bytes = Field(sa_column=_bytes())
    record: bytes = Field(sa_column=_bytes())
    nonce: bytes = Field(sa_column=_bytes())
    __table_args__ = (
        PrimaryKeyConstraint("log_id", "position"),
        Index("log_entry_by_time", "at", "log_id", "position"),
        Index("log_entry_by_log_time", "log_id", "at", "position"),
        Index("log_entry_by_type", "type", "at", "log_id", "position"),
        Index("log_entry_by_client", "client", "at", "log_id", "position"),
    )


class PersonalRow(SQLModel, table=True):
    """What a commitment in a record stands for, while it is kept; `value` is UTF-8. Its entry is the first with the commitment."""

    __tablename__ = "personal"
    commitment: bytes = Field(sa_column=_bytes(primary=True))
    salt: bytes = Field(sa_column=_bytes())
    value: bytes = Field(sa_column=_bytes())
    kind: str = Field(sa_column=_text())
    log_id: int = Field(sa_column=_big())
    position: int = Field(sa_column=_big())
    __table_args__ = (Index("personal_of_entry", "log_id", "position"),)


class LogItemRow(SQLModel, table=True):
    """The items an entry names, for "who received it"; `version` is 0 where none was sent."""

    __tablename__ = "log_item"
    item_id: str = Field(sa_column=_text())
    at: int = Field(sa_column=_big())
    log_id: int = Field(sa_column=_big())
    position: int = Field(sa_column=_big())
    version: int = Field(sa_column=Column(Integer, nullable=False))
    __table_args__ = (
        PrimaryKeyConstraint("item_id", "at", "log_id", "position"),
        Index("log_item_by_entry", "log_id", "position"),
    )


class FactRow(SQLModel, table=True):
    """Something that records say, for the auditor's filters: `kind` is `outcome`, `level`, `category`, `rule` or `bundle`."""

    __tablename__ = "fact"
    id: int = Field(sa_column=_big(primary=True))
    kind: str = Field(sa_column=_text())
    value: str = Field(sa_column=_text())
    __table_args__ = (UniqueConstraint("kind", "value"),)


class LogFactRow(SQLModel, table=True):
    """The entries whose record says it, in the order in which auditors read. Derived from the records."""

    __tablename__ = "log_fact"
    fact_id: int = Field(sa_column=_big())
    at: int = Field(sa_column=_big())
    log_id: int = Field(sa_column=_big())
    position: int = Field(sa_column=_big())
    __table_args__ = (
        PrimaryKeyConstraint("fact_id", "at", "log_id", "position"),
        Index("log_fact_by_entry", "log_id", "position", "fact_id"),
        {"sqlite_with_rowid": False},
    )


class FactMarkRow(SQLModel, table=True):
    """Up to where a log has its facts."""

    __tablename__ = "fact_mark"
    log_id: int = Field(sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False))
    size: int = Field(sa_column=_big())


class ReviewRow(SQLModel, table=True):
    """The state an auditor's marks brought an entry to (`releaselog.reviews`). Derived from the marks, which are leaves of `officers`.

    `at` is the entry's time; `closer` who closed an escalation first, while a second must.
    """

    __tablename__ = "review"
    log_id: int = Field(sa_column=_big())
    position: int = Field(sa_column=_big())
    at: int = Field(sa_column=_big())
    state: str = Field(sa_column=_text())
    closer: str | None = Field(default=None, sa_column=_text(nullable=True))
    __table_args__ = (
        PrimaryKeyConstraint("log_id", "position"),
        Index("review_by_state", "state", "at", "log_id", "position"),
    )


class ReviewMarkRow(SQLModel, table=True):
    """The marks of an entry: the positions of their leaves in `officers`."""

    __tablename__ = "review_mark"
    log_id: int = Field(sa_column=_big(primary=True))
    position: int = Field(sa_column=_big(primary=True))
    mark_position: int = Field(sa_column=_big(primary=True))


class SavedQueryRow(SQLModel, table=True):
    """A query that auditors keep under a name: canonical JSON. The last that was saved; each is a leaf of `officers`."""

    __tablename__ = "saved_query"
    name: str = Field(sa_column=_text(primary=True))
    query: str = Field(sa_column=_text())
    client: str = Field(sa_column=_text())
    at: int = Field(sa_column=_big())


class LookRow(SQLModel, table=True):
    """The last leaf of what an auditor looks at, and how often he looked again since without one (`sharing.reading`)."""

    __tablename__ = "look"
    client: str = Field(sa_column=_text(primary=True))
    query_sha256: bytes = Field(sa_column=_bytes(primary=True))
    at: int = Field(sa_column=_big())
    event_id: str = Field(sa_column=_text())
    repeats: int = Field(sa_column=_big())


class HoldRow(SQLModel, table=True):
    """A legal hold: entries that match every condition given are kept, whatever may otherwise be pruned, until the hold is released.

    Holds are leaves of `officers`, and rows are never taken out: verification derives them again. `log` is a log's name, None for all;
    `since` and `until` are of an entry's time.
    """

    __tablename__ = "hold"
    id: int = Field(sa_column=_big(primary=True))
    log: str | None = Field(default=None, sa_column=_text(nullable=True))
    item: str | None = Field(default=None, sa_column=_text(nullable=True))
    since: int | None = Field(default=None, sa_column=_big(nullable=True))
    until: int | None = Field(default=None, sa_column=_big(nullable=True))
    reason: str = Field(sa_column=_text())
    client: str = Field(sa_column=_text())
    at: int = Field(sa_column=_big())
    released_at: int | None = Field(default=None, sa_column=_big(nullable=True))
    released_by: str | None = Field(default=None, sa_column=_text(nullable=True))
    released_why: str | None = Field(default=None, sa_column=_text(nullable=True))


class PrunedRow(SQLModel, table=True):
    """What stays of a whole tile of entries that were pruned (`releaselog.pruning`); its hashes are in `log_tile`.

    `leaf` is the position in `officers` of the entry that says so, and binds all of this.
    """

    __tablename__ = "pruned"
    log_id: int = Field(sa_column=_big(primary=True))
    tile: int = Field(sa_column=_big(primary=True))
    leaf: int = Field(sa_column=_big())
    first_at: int = Field(sa_column=_big())
    last_at: int = Field(sa_column=_big())
    act: int = Field(sa_column=_big())
    root: bytes = Field(sa_column=_bytes())
    events: bytes = Field(sa_column=_bytes())


class LogTileRow(SQLModel, table=True):
    """A full tile: 256 hashes (C2SP tlog-tiles, height 8). Level 0 too, so that proofs read whole tiles."""

    __tablename__ = "log_tile"
    log_id: int = Field(sa_column=_big(primary=True))
    level: int = Field(sa_column=Column(Integer, primary_key=True))
    position: int = Field(sa_column=_big(primary=True))
    hashes: bytes = Field(sa_column=_bytes())


class LogCheckpointRow(SQLModel, table=True):
    """Checkpoints kept: one wherever a tile filled."""

    __tablename__ = "log_checkpoint"
    log_id: int = Field(sa_column=_big(primary=True))
    size: int = Field(sa_column=_big(primary=True))
    note: str = Field(sa_column=_text())


class LogKeyRow(SQLModel, table=True):
    """A key that signs, or signed, all logs: its public half, and through which stretch. No row: the installation's first key alone."""

    __tablename__ = "log_key"
    public: bytes = Field(sa_column=_bytes(primary=True))
    from_at: int = Field(sa_column=_big())
    until: int = Field(sa_column=_big())


class SigningRow(SQLModel, table=True):
    """One row that every commit reads: the newest key, up to when a witness has seen the logs, and whether and why we stopped."""

    __tablename__ = "signing"
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    newest_key: int = Field(sa_column=_big())
    witnessed_at: int = Field(sa_column=_big())
    halted_at: int | None = Field(sa_column=_big(nullable=True))
    halted_why: str | None = Field(sa_column=_text(nullable=True))


class RootHeadRow(SQLModel, table=True):
    """The signed head of a log as the root at this position of the root log holds it; kept where it changed since the root before."""

    __tablename__ = "root_head"
    log_id: int = Field(sa_column=_big(primary=True))
    position: int = Field(sa_column=_big(primary=True))
    note: str = Field(sa_column=_text())


class WitnessRow(SQLModel, table=True):
    """A witness that roots are sent to."""

    __tablename__ = "witness"
    name: str = Field(sa_column=_text(primary=True))
    url: str = Field(sa_column=_text())
    vkey: str = Field(sa_column=_text())
    added_at: int = Field(sa_column=_big())


class CosignatureRow(SQLModel, table=True):
    """A witness's signature line under the root log's checkpoint of this size; `at` is the time of that root."""

    __tablename__ = "cosignature"
    size: int = Field(sa_column=_big(primary=True))
    vkey: str = Field(sa_column=_text(primary=True))
    line: str = Field(sa_column=_text())
    at: int = Field(sa_column=_big())


class IdempotencyRow(SQLModel, table=True):
    """The event a retry with the same key is answered with."""

    __tablename__ = "idempotency"
    client: str = Field(sa_column=_text(primary=True))
    key: str = Field(sa_column=_text(primary=True))
    request_sha256: bytes = Field(sa_column=_bytes())
    log_id: int = Field(sa_column=_big())
    position: int = Field(sa_column=_big())
    at: int = Field(sa_column=_big())
