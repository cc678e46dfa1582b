"""The shapes of the API's JSON (DESIGN section 14), for the OpenAPI document and for reading requests.

Answers are written by `sharing` as exact bytes; these models describe them and are not used to make them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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


class OwnLog(_Answer):
    origin: str
    key: str


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
    id: OpaqueId
    kind: Literal["json"]
    marking: str
    value: Any


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


class Releases(_Answer):
    releases: list[Face]
    next: str | None = None


class ReceiptShape(_Answer):
    event_id: OpaqueId
    leaf: str
    proof: str
    key: str


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


class AuditEntry(_Answer):
    log: str
    index: int
    face: Face
    record: Record
    nonce: str
    leaf_hash: Sha256


class AuditReleases(_Answer):
    releases: list[AuditEntry]
    next: str | None = None


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


class Audience(_Answer):
    partners: list[AudienceOf]


class View(_Answer):
    status: int
    headers: dict[str, str]
    body: Any


class QuarantinedItem(_Answer):
    id: OpaqueId
    ref: str
    version: int
    code: str
    reason: str
    at: Moment


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
    digest: Sha256
    findings: list[Finding]


class Published(_Answer):
    digest: Sha256
    act: int
    event_id: OpaqueId


class PublicationShape(_Answer):
    digest: Sha256
    act: int
    at: Moment
    client: str


class History(_Answer):
    publications: list[PublicationShape]


class Done(_Answer):
    event_id: OpaqueId


# --- requests -------------------------------------------------------------------------------------------------------


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


Reason = Annotated[str, Field(min_length=1, max_length=2000)]


class Because(_Request):
    """Why an act is done; part of its record."""

    reason: Reason


class Relabel(_Request):
    """Another label from now on: exactly one of `marking` and `label`; of one portion, or of all."""

    marking: str | None = Field(default=None, max_length=2000)
    label: dict[str, Any] | None = None
    portion: str | None = Field(default=None, max_length=64)
    reason: Reason


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
    label: dict[str, Any] | None = None
    categories: list[str] | None = None
    originators: list[str] | None = Field(default=None, min_length=1)
    not_before: dict[str, str] | None = None
    downgrade_on: Downgrade | None = None
    declassify_on: str | None = None


class TitleIn(_PortionIn):
    kind: Literal["title"]
    text: str = Field(min_length=1)


class TextIn(_PortionIn):
    kind: Literal["text"]
    text: str = Field(min_length=1)


class JsonIn(_PortionIn):
    kind: Literal["json"]
    value: Any


class FileIn(_PortionIn):
    """A file sent before, by digest."""

    kind: Literal["file"]
    sha256: Sha256
    name: str = Field(min_length=1, max_length=255)
    media_type: str | None = None


class _VersionIn(_Request):
    model_config = ConfigDict(json_schema_extra=_absent_not_null)
    marking: str | None = None
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
