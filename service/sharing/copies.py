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
from functools import lru_cache
from typing import Final

from service.labels.label import Label
from service.labels.markings import MarkingProfile, profile_of
from service.labels.rollup import copy_label, copy_marks
from service.policy import Bundle, Decision, Outcome, Snapshot
from service.releaselog.leaf import canonical
from service.sharing.parts import Joined, join
from service.sharing.tear_lines import places_at
from service.sharing.tear_lines import shown as first_shown
from service.store.catalogue import PortionAt, PortionRecord, VersionAt
from service.store.tables import FOREVER
from service.store.times import micros_or_forever

TITLE: Final = "title"
FILE: Final = "file"
JSON: Final = "json"
IN_PART: Final = "in_part"
_MARKS_HELD: Final = 1 << 15
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


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
    """Decide every portion of a version by its label, and the whole by its compilation where it has one.

    Where a portion has tear-lines, the first of them that is released is: `released` are those that are shown.
    """
    decisions: dict[int, Decision] = {}

    def of(label_id: int) -> Decision:
        if label_id not in decisions:
            decisions[label_id] = snapshot.decide(partner, action, labels[label_id], purpose)
        return decisions[label_id]

    goes = [of(portion.label_id).outcome is Outcome.RELEASE for portion in version.portions]
    places = places_at(version.portions)
    shown = [number for place in places if (number := first_shown(place, goes.__getitem__)) is not None]
    released = tuple(version.portions[number] for number in shown)
    whole = version.whole or version.compilation is not None
    filled = len(shown) == len(places) and not version.unlabelled
    complete = filled and all(portion.instead_of is None for portion in released)
    if version.compilation is not None:
        filled = complete = complete and of(version.compilation[0]).outcome is Outcome.RELEASE
    if whole and not filled:
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
    marks = copy_marks(parts, partner=partner, scheme=scheme, members=members)
    label = marks.banner
    head = {"id": version.item_id, "marking": profile.write_banner(label), "level": label.level, "categories": list(label.categories)}
    portions: list[bytes] = []
    files: dict[str, PortionRecord] = {}
    documents = _Documents(released)
    for number, (shown, mark_label) in enumerate(zip(released, marks.portions, strict=False)):
        portion = shown.portion
        if portion.kind == TITLE:
            head["title"] = portion.content.decode("utf-8")
            continue
        if documents.stands_in_another(number):
            continue
        held = documents.joined(number)
        if held is not None:
            # Its mark is that of all that stands in it; `markings` says which value has which, `""` being what has no mark of its own.
            inside = [mark_label, *(marks.portions[part] for part in held.pointers)]
            mark = _portion_mark(profile, copy_label(inside, partner=partner, scheme=scheme, members=members))
            own = {"": _portion_mark(profile, mark_label)}
            own |= {pointer: _portion_mark(profile, marks.portions[part]) for part, pointer in held.pointers.items()}
            portions.append(_json_with_parts(portion, mark, held.value, own))
            continue
        mark = _portion_mark(profile, mark_label)
        portions.append(_portion_json(portion, mark, part=shown.within is not None))
        if portion.kind == FILE:
            files[portion.id] = portion
    members_json = _json(head)[:-1]
    body = members_json + b',"portions":[' + b",".join(portions) + b"]}"
    sha256 = hashlib.sha256(body).digest()
    listed = members_json + b',"copy_sha256":"' + sha256.hex().encode("ascii") + b'"'
    return Copy(body, sha256, listed, files, tuple(shown.portion.id for shown in released))


# The labels written on copies are few, and each is written again and again.
@lru_cache(maxsize=_MARKS_HELD)
def _portion_mark(profile: MarkingProfile, label: Label) -> str:
    return profile.write_portion(label)


class _Documents:
    """Which released parts of JSON values stand in which released containers (`sharing.parts`)."""

    def __init__(self, released: Sequence[PortionAt]) -> None:
        self._released: Final = released
        self._parts: Final[dict[int, list[int]]] = {}
        containers = {shown.position: number for number, shown in enumerate(released) if shown.portion.kind == JSON}
        for number, shown in enumerate(released):
            if shown.within in containers:
                self._parts.setdefault(containers[shown.within], []).append(number)
        self._inside: Final = {number for parts in self._parts.values() for number in parts}

    def stands_in_another(self, number: int) -> bool:
        return number in self._inside

    def joined(self, number: int) -> Joined | None:
        """A released portion with all that stands in it; None where nothing does, and it is written as it was kept."""
        if number not in self._parts:
            return None
        held = self._joined(number)
        portion = self._released[number]
        if portion.within is None or portion.portion.name is None:
            return held
        return join({}, {number: (json.dumps([[], portion.portion.name]), held)}).without(number)

    def _joined(self, number: int) -> Joined:
        parts = {part: (self._released[part].place or "", self._joined(part)) for part in self._parts.get(number, ())}
        return join(json.loads(self._released[number].portion.content), parts)


def _json_with_parts(portion: PortionRecord, mark: str, value: object, markings: Mapping[str, str]) -> bytes:
    head = {"id": portion.id, "kind": portion.kind, "marking": mark}
    return _json(head)[:-1] + b',"value":' + canonical(value) + b',"markings":' + canonical(dict(markings)) + b"}"


def _portion_json(portion: PortionRecord, mark: str, *, part: bool = False) -> bytes:
    head = {"id": portion.id, "kind": portion.kind, "marking": mark}
    if portion.kind == JSON:
        # The value was made canonical when it came in; it is written as it is, never read and written again.
        value = b"{" + canonical(portion.name) + b":" + portion.content + b"}" if part and portion.name is not None else portion.content
        return _json(head)[:-1] + b',"value":' + value + b"}"
    if portion.kind == FILE:
        head |= {"name": portion.name or "", "media_type": portion.media_type or ""}
        return _json(head)[:-1] + b',"bytes":%d,"sha256":"%s"}' % (portion.size, portion.content_sha256.hex().encode("ascii"))
    return _json(head | {"text": portion.content.decode("utf-8")})


def _json(value: object) -> bytes:
    return _ENCODER.encode(value).encode("utf-8")


def snapshot_end(snapshot: Snapshot) -> int:
    """When a snapshot ends, in microseconds."""
    return micros_or_forever(snapshot.until)
