"""What waits in quarantine: what it came with, word by word, and an officer's decision what it is to be.

A version is held as a whole, as it came, because something in it bears no marking or one that could not be placed. A decision puts
another marking in the place of one that it came with, or of all of them, and reads it again, by the policy in force now. Where nothing
holds it any more it becomes a version of the item, as if it had come with those markings; where something else still does, it goes on
waiting with what was decided. Nobody saw any of it before, and so nothing is widened: it is classified, which whoever loads an item does
alone, and within his rights.

Places are named as an officer reads an item: `item` is its own marking, `0` the first portion, `0/a` the part of it at that JSON
pointer, `0.tear_line.0` its first variant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.errors import BeyondRights, Conflict, Rejected
from service.labels.label import Label
from service.policy import Bundle
from service.releaselog.leaf import canonical
from service.sharing.acts import Actor
from service.sharing.catalogue import STORED, item_in_force, store_items
from service.sharing.installation import Installation
from service.sharing.intake import ItemDraft, parse_json, read_item
from service.sharing.item_files import SentFiles
from service.sharing.ledger import Entry
from service.sharing.personal import REASON, kept, personal
from service.sharing.registry import officer_of
from service.store import Connection, catalogue, relabels
from service.store.catalogue import Quarantined
from service.store.relabels import Relabelled
from service.store.times import micros

ITEM: Final = "item"
_PLACE_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of a decision: the leaf, and the version that is in force by it; None where something else still holds it."""

    entry: Entry
    version: int | None
    holds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a marking stands: in `holder`, or where it is a bare string under `key` of it."""

    name: str
    kind: str
    holder: dict[str, Any]
    key: str | None = None

    @property
    def marking(self) -> str:
        """As it was written; a label as its JSON."""
        members = self.holder if self.key is None else self.holder[self.key]
        if isinstance(members, str):
            return members
        if members.get("marking") is not None:
            return str(members["marking"])
        return "" if members.get("label") is None else canonical(members["label"]).decode("utf-8")

    def put(self, marking: str | None, label: object) -> None:
        """Another marking, or a label, in its place; categories and originators beside it stay."""
        given = {"marking": marking} if label is None else {"label": label}
        members = self.holder if self.key is None else self.holder[self.key]
        if isinstance(members, str):
            self.holder[str(self.key)] = given
            return
        for name in ("marking", "label"):
            members.pop(name, None)
        members.update(given)


def markings_of(held: Quarantined) -> list[dict[str, str]]:
    """Every marking a version in quarantine came with, word by word."""
    return [{"portion": place.name, "kind": place.kind, "marking": place.marking} for place in _places(json.loads(held.intake))]


def waiting(installation: Installation, actor: Actor, *, after: tuple[int, int], limit: int) -> tuple[list[Quarantined], Entry]:
    """Versions in quarantine, oldest first, after a place (time, version row); on record before they are shown."""
    with installation.database.reading() as connection:
        rows = catalogue.quarantined(connection, after=after, limit=limit)
    return rows, installation.acts.look("look.quarantine", actor, list(dict.fromkeys(row.item_id for row in rows)), {})


def decide(
    installation: Installation,
    item_id: str,
    actor: Actor,
    *,
    version: int | None = None,
    portion: str | None = None,
    marking: str | None = None,
    label: object = None,
    reason: str,
) -> Decided:
    """Give a version in quarantine the marking it is to have, at one place or at all of them.

    Args:
        version: its number; default the latest that waits.

    Raises:
        BeyondRights: a label that it gets, or that is in force of the item, is beyond the officer's rights; on record.
        Conflict: no such version waits, it has no such place, or the decision settles nothing of what holds it.
        Rejected: the item is malformed by it, or its own marking is looser than its portions require.
    """
    if (marking is None) == (label is None):
        raise Rejected("expected one of `marking` and `label`", code="marking")
    with installation.database.reading() as connection:
        bundle = installation.world.current(connection).bundle
        held = _held(connection, item_id, version)
    before = parse_json(held.intake.encode("utf-8"))
    value = json.loads(held.intake)
    put = [place for place in _places(value) if portion is None or place.name == portion]
    if not put:
        raise Conflict(f"version {held.version} has no place `{(portion or '')[:_PLACE_CHARACTERS_MAX]}`", code="no-portion")
    because = personal(REASON, reason)
    details: dict[str, object] = {
        "ref": held.ref,
        "version": held.version,
        "reason": because,
        "was": {one.name: one.marking for one in put},
    }
    for place in put:
        place.put(marking, label)
    at = installation.clock()
    with SentFiles(installation.database).item() as find_file:
        draft = read_item(value, bundle=bundle, at=at, find_file=find_file)
        held_by = len(read_item(before, bundle=bundle, at=at, find_file=find_file).holds)
    if draft.hold is not None and len(draft.holds) >= held_by:
        raise Conflict(f"it would still be held: {draft.hold.reason}", code="still-in-quarantine")
    with installation.database.reading() as connection:
        lacking = _lacking(connection, installation.world.labels, bundle, draft, item_id, actor, at=micros(at))
    if lacking is not None:
        installation.acts.look("item.refused", actor, [item_id], {"act": "item.relabel", "lacking": lacking, "version": held.version})
        raise BeyondRights(f"beyond your rights: {lacking}")
    with installation.acts.act("item.relabel", actor) as act:
        item_in_force(act.connection, item_id)
        if act.policy().bundle.digest != bundle.digest or _held(act.connection, item_id, held.version) != held:
            raise Conflict("it has changed in this moment; look at it again", code="timeline-changed")
        details["becomes"] = marking if label is None else label
        act.details |= details
        if draft.hold is not None:
            catalogue.hold_anew(act.connection, held.version_id, code=draft.hold.code, reason=draft.hold.reason, intake=draft.source)
            act.items.append(item_id)
            number = None
        else:
            outcome = store_items(act, [draft], update=True)[0]
            if outcome.result != STORED:
                raise Conflict(outcome.message or "refused", code=outcome.code or "refused")
            number = outcome.version
            act.details["by_version"] = number
        relabels.add(act.connection, [Relabelled(act.number, item_id, item_id, act.at, actor.client, kept(because))])
    return Decided(act.committed(), number, tuple(hold.reason for hold in draft.holds))


def _held(connection: Connection, item_id: str, version: int | None) -> Quarantined:
    held = catalogue.quarantined_of(connection, item_id)
    if held is None or (version is not None and held.version != version):
        told = f"no version of item `{item_id}` waits in quarantine" if version is None else f"version {version} is not the one that waits"
        raise Conflict(told, code="not-in-quarantine")
    return held


def _places(value: dict[str, Any]) -> Iterator[_Place]:
    """Every place that bears a marking, in the order in which an officer reads them."""
    yield _Place(ITEM, ITEM, value)
    for number, portion in enumerate(value["portions"]):
        kind = str(portion["kind"])
        yield _Place(str(number), kind, portion)
        markings = portion.get("markings")
        for pointer in markings if isinstance(markings, Mapping) else ():
            yield _Place(f"{number}{pointer}", kind, markings, pointer)
        for variant, members in enumerate(portion.get("tear_line") or ()):
            yield _Place(f"{number}.tear_line.{variant}", kind, members)


def _lacking(
    connection: Connection, labels: Mapping[int, Label], bundle: Bundle, draft: ItemDraft, item_id: str, actor: Actor, *, at: int
) -> str | None:
    officer = officer_of(connection, actor.client)
    if officer is None:
        return f"`{actor.client}` is no client of role `officer` that is enabled"
    in_force = catalogue.version_in_force(connection, item_id)
    ids = [] if in_force is None else [one.id for one, _ in catalogue.portions_of_version(connection, in_force.id)]
    old = [labels[one.label_id] for stretches in catalogue.timelines_of(connection, ids, at=at).values() for one in stretches]
    new = [label for portion in draft.portions for _, _, label in portion.timeline]
    new += [label for _, _, label in draft.compilation or ()]
    for which, own in (("old", old), ("new", new)):
        for one in own:
            lacking = officer.rights.lacking(one, scheme=bundle.scheme)
            if lacking is not None:
                return f"a label of the {which} version: {lacking}"
    return None
