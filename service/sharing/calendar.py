"""What time alone will do to a policy: the rows that begin and end in the days ahead, and what each date releases or withdraws.

Nobody publishes on the day a prohibition expires. So each date is held against the moment before it, under the same bundle: what is
stored, by the labels it has on that date, and all possible labels, by proof (DESIGN section 4, promise 7).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from service.policy import Bundle
from service.policy.prove import Change, through_time
from service.policy.rows import Period, Place
from service.sharing.acts import Actor
from service.sharing.difference import Effect, StoredEffect
from service.sharing.installation import Installation
from service.sharing.ledger import Entry
from service.store.times import micros, moment_of, text_of

BEGINS: Final = "begins"
ENDS: Final = "ends"


@dataclass(frozen=True, slots=True)
class DatedRow:
    """A row that begins or ends. `id` is a rule's, a partner's code, a member's or an issuer's."""

    place: Place
    id: str
    change: str

    def to_json(self) -> dict[str, Any]:
        return {"file": self.place.file, "line": self.place.line, "text": self.place.text, "id": self.id, "change": self.change}


@dataclass(frozen=True, slots=True)
class Date:
    """A date ahead: what begins and ends, and what it does. `cannot` is why nothing is proved of all possible labels."""

    at: datetime
    rows: tuple[DatedRow, ...]
    stored: StoredEffect
    labels: tuple[Change, ...]
    cannot: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            "at": text_of(micros(self.at)),
            "rows": [row.to_json() for row in self.rows],
            "stored": [one.to_json() for one in self.stored.changes],
            "stored_sha256": self.stored.digest,
            "all_labels": [one.to_json() for one in self.labels],
            "proved": self.cannot is None,
        } | ({} if self.cannot is None else {"cannot": self.cannot})


@dataclass(frozen=True, slots=True)
class Calendar:
    """The dates of a bundle in `[since, until)`, in order. `stored`: whether what is stored was looked at."""

    bundle: str
    since: datetime
    until: datetime
    stored: bool
    dates: tuple[Date, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "bundle": self.bundle,
            "since": text_of(micros(self.since)),
            "until": text_of(micros(self.until)),
            "dates": [date.to_json() for date in self.dates],
        }


def calendar(bundle: Bundle, *, at: datetime, days: int, effect: Effect | None) -> Calendar:
    """What begins and ends in a bundle.

    Args:
        days: how far to look ahead.
        effect: what is stored; None where it is not looked at.
    """
    until = at + timedelta(days=days)
    proved = through_time(bundle, at=at, until=until)
    labels = {stretch.since: stretch.changes for stretch in proved.stretches}
    dates: list[Date] = []
    before = at
    for boundary in bundle.boundaries:
        if not at < boundary < until:
            continue
        stored = StoredEffect() if effect is None else effect(bundle.ahead.snapshot(before), bundle.ahead.snapshot(boundary), boundary)
        rows = tuple(row for row in _dated(bundle, boundary))
        dates.append(Date(boundary, rows, stored, labels.get(boundary, ()), proved.cannot))
        before = boundary
    return Calendar(bundle.digest, at, until, effect is not None, tuple(dates))


def calendar_in_force(installation: Installation, actor: Actor, *, days: int, bundle: Bundle | None = None) -> tuple[Calendar, Entry]:
    """The calendar of the policy in force, or of another bundle, over what is stored; on record before it is shown.

    Raises:
        Broken: nothing was ever published.
    """
    with installation.database.reading() as connection:
        state = installation.world.current(connection)
        chosen = bundle or state.bundle
        since = max(micros(installation.clock()), state.at)
        stored = installation.readings.stored(connection, dict(installation.world.labels), [chosen], act=state.act, at=since)
    found = calendar(chosen, at=moment_of(since), days=days, effect=stored.effect)
    return found, installation.acts.look("look.calendar", actor, [], {"bundle": chosen.digest, "days": days})


def _dated(bundle: Bundle, at: datetime) -> Iterator[DatedRow]:
    rows: list[tuple[Place, Period, str]] = [
        *((row.place, row.period, row.code) for partner in bundle.partners for row in partner.status),
        *((row.place, row.period, row.member) for row in bundle.memberships),
        *((row.place, row.period, row.id) for row in bundle.rules),
        *((row.place, row.period, row.issuer) for row in bundle.equivalences),
    ]
    for place, period, id in sorted(rows, key=lambda row: (row[0].file, row[0].line)):
        if period.ends == at:
            yield DatedRow(place, id, ENDS)
        if period.begins == at:
            yield DatedRow(place, id, BEGINS)
