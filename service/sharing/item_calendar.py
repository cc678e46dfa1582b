"""What time alone will do to what is stored: labels that change by items' own dates in the days ahead, and for whom.

An embargo ends, for one partner or for all; a level is lowered; an item is declassified: all of it is written ahead, and nobody acts on
the day. So each date is held against the moment before it. Both labels are decided by the snapshot that holds on that date, so that
what is told apart is the item's own time: what the policy's dates do is `sharing.calendar`'s.

A partner *gains* by a date where a portion is shown to him and nothing, or a tear-line that says less, was before; he *loses* where it is
the other way round. Decided per distinct shape of an item, never per item.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from service.labels.label import Label
from service.policy import Outcome, Snapshot
from service.sharing import tear_lines
from service.sharing.acts import Actor
from service.sharing.installation import Installation
from service.sharing.ledger import Entry
from service.sharing.policies import PolicyState
from service.store import Connection, catalogue
from service.store.catalogue import ItemTimeline, LabelStretch
from service.store.times import micros, moment_of, text_of

NAMED_MAX: Final = 100
"""Items of one date told one by one, and portions without a date; of the rest the number is told."""
_ITEMS_AT_ONCE: Final = 1000
COMPILATION: Final = "compilation"


@dataclass(slots=True)
class _Date:
    """One date: how many items and portions change, the first of them, and how many items each partner gains and loses something in."""

    items: int = 0
    portions: int = 0
    gains: dict[str, int] = field(default_factory=dict)
    loses: dict[str, int] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)


_Change = tuple[int, int | None, int | None]
"""(number of the portion, -1 for the compilation; label before; label after)."""
_Shape = tuple[bool, tuple[int | None, ...], tuple[int | None, ...], tuple[int | None, ...], int | None, int | None, bool]


def calendar_of_items(installation: Installation, actor: Actor, *, days: int) -> tuple[dict[str, Any], Entry]:
    """What changes in the next `days` days by items' own dates; on record before it is shown.

    Raises:
        Broken: nothing was ever published.
    """
    with installation.database.reading() as connection:
        state = installation.world.current(connection)
        since = max(micros(installation.clock()), state.at)
        until = micros(moment_of(since) + timedelta(days=days))
        found = _dates(connection, dict(installation.world.labels), state, since=since, until=until)
        undated, total = catalogue.undated(connection, limit=NAMED_MAX)
    body = {
        "since": text_of(since),
        "until": text_of(until),
        "dates": [_date_json(at, one) for at, one in sorted(found.items())],
        "undated": [
            {"id": one.item_id, "ref": one.ref, "portion": one.portion_id, "kind": one.kind, "declassify_on": json.loads(one.declassify_on)}
            for one in undated
        ],
        "undated_total": total,
    }
    named = dict.fromkeys(item["id"] for one in found.values() for item in one.changes)
    named |= dict.fromkeys(one.item_id for one in undated)
    return body, installation.acts.look("look.calendar", actor, list(named)[:NAMED_MAX], {"items": True, "days": days})


def _date_json(at: int, date: _Date) -> dict[str, Any]:
    return {
        "at": text_of(at),
        "items": date.items,
        "portions": date.portions,
        "partners": [
            {"partner": partner, "gains": date.gains.get(partner, 0), "loses": date.loses.get(partner, 0)}
            for partner in sorted({*date.gains, *date.loses})
        ],
        "changes": date.changes,
    }


def _dates(connection: Connection, labels: Mapping[int, Label], state: PolicyState, *, since: int, until: int) -> dict[int, _Date]:
    found: dict[int, _Date] = {}
    decided: dict[tuple[int, _Shape], tuple[tuple[str, ...], tuple[str, ...]]] = {}
    snapshots: dict[int, Snapshot] = {}
    item_ids = catalogue.items_with_dates(connection, after=since, before=until)
    for start in range(0, len(item_ids), _ITEMS_AT_ONCE):
        chunk = item_ids[start : start + _ITEMS_AT_ONCE]
        items = catalogue.item_timelines(connection, chunk, at=since)
        refs, kinds = catalogue.refs_and_kinds(connection, chunk)
        for item in items:
            for at in _moments(item, since=since, until=until):
                changes = list(_changes(item, at))
                if not changes:
                    continue
                shape = _shape(item, at)
                snapshot = snapshots.setdefault(at, state.ahead(moment_of(at)))
                if (id(snapshot), shape) not in decided:
                    decided[id(snapshot), shape] = _who(shape, labels, snapshot, [one.code for one in state.bundle.partners])
                gain, lose = decided[id(snapshot), shape]
                date = found.setdefault(at, _Date())
                date.items += 1
                date.portions += sum(number >= 0 for number, _, _ in changes)
                for counts, partners in ((date.gains, gain), (date.loses, lose)):
                    for partner in partners:
                        counts[partner] = counts.get(partner, 0) + 1
                if len(date.changes) < NAMED_MAX:
                    portions = [_portion_json(item, one, labels, kinds) for one in changes]
                    date.changes.append(
                        {"id": item.item_id, "ref": refs[item.item_id], "portions": portions, "gain": list(gain), "lose": list(lose)}
                    )
    return found


def _portion_json(item: ItemTimeline, change: _Change, labels: Mapping[int, Label], kinds: Mapping[str, str]) -> dict[str, Any]:
    number, before, after = change
    portion = item.item_id if number < 0 else item.portion_ids[number]
    return {
        "portion": portion,
        "kind": COMPILATION if number < 0 else kinds[portion],
        "before": {} if before is None else labels[before].to_json(),
        "after": {} if after is None else labels[after].to_json(),
    }


def _timelines(item: ItemTimeline) -> Iterator[tuple[int, Sequence[LabelStretch]]]:
    yield from ((number, timeline) for number, (_, timeline) in enumerate(item.portions))
    if item.compilation is not None:
        yield -1, item.compilation


def _moments(item: ItemTimeline, *, since: int, until: int) -> list[int]:
    return sorted({one.from_at for _, timeline in _timelines(item) for one in timeline if since < one.from_at < until})


def _changes(item: ItemTimeline, at: int) -> Iterator[_Change]:
    for number, timeline in _timelines(item):
        before, after = _label_at(timeline, at - 1), _label_at(timeline, at)
        if before != after:
            yield number, before, after


def _label_at(timeline: Sequence[LabelStretch], at: int) -> int | None:
    return next((one.label_id for one in timeline if one.from_at <= at < one.until), None)


def _shape(item: ItemTimeline, at: int) -> _Shape:
    before, after = (tuple(_label_at(timeline, moment) for _, timeline in item.portions) for moment in (at - 1, at))
    compiled = item.compilation is not None
    of_all = (_label_at(item.compilation or (), at - 1), _label_at(item.compilation or (), at))
    return item.whole, item.instead_of or (None,) * len(before), before, after, *of_all, compiled


def _who(
    shape: _Shape, labels: Mapping[int, Label], snapshot: Snapshot, partners: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(who gains, who loses), in order."""
    whole, instead_of, before, after, compiled_before, compiled_after, compiled = shape
    places = tear_lines.places(instead_of)
    gain: list[str] = []
    lose: list[str] = []
    for partner in sorted(partners):

        def goes(label: int | None, partner: str = partner) -> bool:
            return label is not None and snapshot.decide(partner, "release", labels[label]).outcome is Outcome.RELEASE

        def shown(own: Sequence[int | None], of_all: int | None) -> list[int | None]:
            found = [tear_lines.shown(place, lambda number: goes(own[number])) for place in places]
            if (whole or compiled) and (None in found or None in own or (compiled and not goes(of_all))):
                return [None] * len(places)
            return found

        was, becomes = shown(before, compiled_before), shown(after, compiled_after)
        if any(now is not None and (then is None or now < then) for then, now in zip(was, becomes, strict=True)):
            gain.append(partner)
        if any(then is not None and (now is None or now > then) for then, now in zip(was, becomes, strict=True)):
            lose.append(partner)
    return tuple(gain), tuple(lose)


__all__ = ["NAMED_MAX", "calendar_of_items"]
