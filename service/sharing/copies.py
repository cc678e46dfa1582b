"""What one partner gets of an item version: decided portion by portion, then written as one exact byte string.

Pure. Everything is evaluated on the copy: it holds only what is released, and nothing in it depends on more than the released
portions and the partner. No gap, number, placeholder or length tells of the rest; without a releasable title there is no
`title` member. `copy_sha256` is the SHA-256 of these bytes, by which the release log names them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.labels.label import Label
from service.labels.markings import profile_of
from service.labels.rollup import copy_label, copy_portion_label
from service.policy import Bundle, Decision, Outcome, Snapshot
from service.store.catalogue import PortionAt, PortionRecord, VersionAt
from service.store.tables import FOREVER
from service.store.times import micros_or_forever

TITLE: Final = "title"
FILE: Final = "file"
IN_PART: Final = "in_part"


@dataclass(frozen=True, slots=True)
class ItemDecision:
    """What the snapshot says about an item: the portions released, and all that the record of it needs.

    `outcome` is `release`, `in_part`, `refer` or `withhold`. `labels` are all the labels decided on, `rules` those that made
    the outcome. `until` (microseconds) is when a label decided on ends.
    """

    outcome: str
    released: tuple[PortionAt, ...]
    labels: tuple[Label, ...]
    rules: tuple[str, ...]
    until: int


def decide_item(
    version: VersionAt, labels: Mapping[int, Label], snapshot: Snapshot, *, partner: str, purpose: str, action: str = "release"
) -> ItemDecision:
    """Decide every portion of a version by its label, and the whole by its compilation where it has one."""
    decisions: dict[int, Decision] = {}

    def of(label_id: int) -> Decision:
        if label_id not in decisions:
            decisions[label_id] = snapshot.decide(partner, action, labels[label_id], purpose)
        return decisions[label_id]

    released = tuple(portion for portion in version.portions if of(portion.label_id).outcome is Outcome.RELEASE)
    whole = version.whole or version.compilation is not None
    complete = len(released) == len(version.portions) and not version.unlabelled
    if version.compilation is not None:
        complete = complete and of(version.compilation[0]).outcome is Outcome.RELEASE
    if whole and not complete:
        released = ()
    ends = [portion.label_until for portion in version.portions]
    if version.compilation is not None:
        ends.append(version.compilation[1])
    until = min(ends, default=FOREVER)
    decided = tuple(labels[label_id] for label_id in sorted(decisions))
    if released:
        rules = {rule for portion in released for rule in of(portion.label_id).rules}
        if version.compilation is not None:
            rules.update(of(version.compilation[0]).rules)
        return ItemDecision("release" if complete else IN_PART, released, decided, tuple(sorted(rules)), until)
    outcome, rules_against = _refusal(decisions.values())
    return ItemDecision(outcome, (), decided, rules_against, until)


def decide_labels(labels: Iterable[Label], snapshot: Snapshot, *, partner: str, purpose: str) -> tuple[str, tuple[str, ...]]:
    """(outcome, rules) for the record of an item that is not visible, from its label set alone."""
    return _refusal([snapshot.decide(partner, "release", label, purpose) for label in labels])


def _refusal(decisions: Iterable[Decision]) -> tuple[str, tuple[str, ...]]:
    refused = [decision for decision in decisions if decision.outcome is not Outcome.RELEASE]
    outcome = "refer" if any(decision.outcome is Outcome.REFER for decision in refused) else "withhold"
    return outcome, tuple(sorted({rule for decision in refused for rule in decision.rules}))


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy's bytes and digest, and what a list says of it."""

    body: bytes
    sha256: bytes
    listed: bytes
    """The members of its entry in a list, as JSON without the closing brace: `visible_since` depends on the lane, not on the copy."""
    files: Mapping[str, PortionRecord]
    """Its file portions by id."""
    portion_ids: tuple[str, ...]


def render_copy(
    version: VersionAt, released: Sequence[PortionAt], labels: Mapping[int, Label], bundle: Bundle, *, partner: str, at: datetime
) -> Copy:
    """Write the copy of these released portions for a partner, under its own rolled-up marking."""
    scheme = bundle.scheme
    profile = profile_of(scheme)
    members = bundle.members(at)
    parts = [labels[portion.label_id] for portion in released]
    if version.compilation is not None:
        parts.append(labels[version.compilation[0]])
    label = copy_label(parts, partner=partner, scheme=scheme, members=members)
    head = {"id": version.item_id, "marking": profile.write_banner(label), "level": label.level, "categories": list(label.categories)}
    portions: list[bytes] = []
    files: dict[str, PortionRecord] = {}
    for shown in released:
        portion = shown.portion
        if portion.kind == TITLE:
            head["title"] = portion.content.decode("utf-8")
            continue
        mark = profile.write_portion(copy_portion_label(labels[shown.label_id], partner=partner, scheme=scheme))
        portions.append(_portion_json(portion, mark))
        if portion.kind == FILE:
            files[portion.id] = portion
    members_json = _json(head)[:-1]
    body = members_json + b',"portions":[' + b",".join(portions) + b"]}"
    sha256 = hashlib.sha256(body).digest()
    listed = members_json + b',"copy_sha256":"' + sha256.hex().encode("ascii") + b'"'
    return Copy(body, sha256, listed, files, tuple(shown.portion.id for shown in released))


def _portion_json(portion: PortionRecord, mark: str) -> bytes:
    head = {"id": portion.id, "kind": portion.kind, "marking": mark}
    if portion.kind == "json":
        # The value was made canonical when it came in; it is written as it is, never read and written again.
        return _json(head)[:-1] + b',"value":' + portion.content + b"}"
    if portion.kind == FILE:
        head |= {"name": portion.name or "", "media_type": portion.media_type or ""}
        return _json(head)[:-1] + b',"bytes":%d,"sha256":"%s"}' % (portion.size, portion.content_sha256.hex().encode("ascii"))
    return _json(head | {"text": portion.content.decode("utf-8")})


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def snapshot_end(snapshot: Snapshot) -> int:
    """When a snapshot ends, in microseconds."""
    return micros_or_forever(snapshot.until)
