"""Effective time: the label as it is at a moment, and until when that holds.

Pure. An embargo (`not_before`), a downgrade and a declassification are written beside a label when it comes in; from
them the whole timeline is known, and is written ahead. Nothing waits for a job at midnight.

The laws, at every time: the audience is no wider than the label's own; categories, caveats and originators are the
label's own; and as time goes on the level never rises and the audience never narrows.

How an embargo is expressed in an audience:

1. Each partner has a date: its own, or else the general one (`"*"`), or else none.
2. A partner that the audience names is in it from its date on.
3. A community, and `*`, are in it from the latest date of all. Membership is not in labels, so it cannot be told which
   members still wait; we err towards no. Until then an unrestricted audience is those partners whose own date is past.
4. The audience for display is treated alike, and a grant to a partner counts from that partner's date.

A declassification lowers the level to the lowest of the scheme and changes nothing else: an audience widens only by an
act that is on record. One that waits for an event, or an exemption from it, has no date and lowers nothing by time: that
the event came about is for an officer to say, and his act is on record.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from service.errors import Rejected
from service.labels.label import UNRESTRICTED, Label
from service.labels.markings.base import closest, shown
from service.labels.scheme import CODE, Scheme

DATES_MAX = 1000
"""Dates of one embargo: more than there are codes of nations."""

EVENT_CHARACTERS_MAX = 500
"""Of an event's description, or an exemption's designation."""

GENERAL = "*"
"""The code of the general date of an embargo."""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z)?")


class DatesError(Rejected):
    """An embargo, downgrade or declassification that cannot be read or makes no sense."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="dates")


@dataclass(frozen=True, slots=True)
class Downgrade:
    """From `at` on, the level is `level`, unless it is lower already."""

    at: datetime
    level: str


class Awaits(StrEnum):
    """What a declassification without a date waits for."""

    EVENT = "event"
    EXEMPTION = "exemption"


@dataclass(frozen=True, slots=True)
class Undated:
    """A declassification at an event, in words, or an exemption, by its designation (`25X1`): never by time."""

    awaits: Awaits
    words: str

    def to_json(self) -> dict[str, str]:
        return {str(self.awaits): self.words}


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time `[from_, until)` in which a label does not change; `until` is `None` for good."""

    from_: datetime
    until: datetime | None
    label: Label


@dataclass(frozen=True, slots=True)
class DatedLabel:
    """A label and the dates written beside it. Times are aware and UTC.

    `not_before` is sorted by code, each code once; `communities` are those codes of the audience that stand for several
    partners.
    """

    label: Label
    not_before: tuple[tuple[str, datetime], ...] = ()
    downgrade_on: Downgrade | None = None
    declassify_on: datetime | None = None
    communities: frozenset[str] = frozenset()
    undated: Undated | None = None

    @classmethod
    def read(
        cls,
        label: Label,
        *,
        not_before: object = None,
        downgrade_on: object = None,
        declassify_on: object = None,
        scheme: Scheme,
        partners: Collection[str] | None = None,
    ) -> DatedLabel:
        """Read the members of DESIGN section 14; `None` for one that is not there.

        Args:
            partners: the codes that are one partner each. Without them a code is taken for a community only if the
                scheme calls it one, and a slip in the code of an embargo goes unseen: give them wherever they are known.

        Raises:
            DatesError: not of the shape described, a code that is no partner, or a downgrade that does not lower.
        """
        named = {*label.releasable_to, *label.shown_to} - {GENERAL, scheme.own}
        listed = {*scheme.expandable, *scheme.public_communities}
        communities = named & listed if partners is None else named.difference(partners)
        on = None if declassify_on is None else _declassification(declassify_on)
        return cls(
            label=label,
            not_before=_embargo(not_before, scheme=scheme, partners=partners),
            downgrade_on=_downgrade(downgrade_on, label, scheme=scheme),
            declassify_on=None if isinstance(on, Undated) else on,
            communities=frozenset(communities),
            undated=on if isinstance(on, Undated) else None,
        )


def effective(dated: DatedLabel, at: datetime, *, scheme: Scheme) -> tuple[Label, datetime | None]:
    """The label as it is at `at`, and until when that holds; `None` for good."""
    label = _label_at(dated, at, scheme=scheme)
    for boundary in _boundaries(dated):
        if boundary > at and _label_at(dated, boundary, scheme=scheme) != label:
            return label, boundary
    return label, None


def timeline(dated: DatedLabel, since: datetime, *, scheme: Scheme) -> tuple[Stretch, ...]:
    """The stretches from `since` on: contiguous, each label another than the one before, the last open."""
    stretches = [Stretch(since, None, _label_at(dated, since, scheme=scheme))]
    for boundary in _boundaries(dated):
        if boundary <= since:
            continue
        last, label = stretches[-1], _label_at(dated, boundary, scheme=scheme)
        if label != last.label:
            stretches[-1] = replace(last, until=boundary)
            stretches.append(Stretch(boundary, None, label))
    return tuple(stretches)


def _boundaries(dated: DatedLabel) -> list[datetime]:
    times = {time for _, time in dated.not_before}
    if dated.downgrade_on is not None:
        times.add(dated.downgrade_on.at)
    if dated.declassify_on is not None:
        times.add(dated.declassify_on)
    return sorted(times)


def _label_at(dated: DatedLabel, at: datetime, *, scheme: Scheme) -> Label:
    label = dated.label
    levels = [label.level]
    if dated.downgrade_on is not None and dated.downgrade_on.at <= at:
        levels.append(dated.downgrade_on.level)
    if dated.declassify_on is not None and dated.declassify_on <= at:
        levels.append(scheme.lowest)
    label = replace(label, level=min(levels, key=scheme.rank))
    if all(time <= at for _, time in dated.not_before):
        return label
    dates = dict(dated.not_before)
    several = dated.communities.union(scheme.expandable, scheme.public_communities)

    def waits(code: str) -> bool:
        time = dates.get(code, dates.get(GENERAL))
        return time is not None and time > at

    def opened(audience: tuple[str, ...]) -> tuple[str, ...]:
        if audience == UNRESTRICTED:
            return tuple(code for code in dates if code != GENERAL and not waits(code))
        open_now = [code for code in audience if code != scheme.own and code not in several and not waits(code)]
        # The own code alone would read as an audience and be nobody's.
        return (*open_now, scheme.own) if open_now and scheme.own in audience else tuple(open_now)

    return replace(
        label,
        releasable_to=opened(label.releasable_to),
        display_to=None if label.display_to is None else opened(label.display_to),
        grants=tuple(grant for grant in label.grants if not waits(grant.partition(":")[2])),
    )


def _embargo(value: object, *, scheme: Scheme, partners: Collection[str] | None) -> tuple[tuple[str, datetime], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise DatesError('`not_before` is an object of codes and dates, like `{"*":"2027-01-01","JPN":"2026-12-01"}`')
    if len(value) > DATES_MAX:
        raise DatesError(f"`not_before` holds {len(value)} dates, expected at most {DATES_MAX}")
    dates = []
    for code, time in value.items():
        if not isinstance(code, str) or not (code == GENERAL or CODE.fullmatch(code)):
            raise DatesError(f"{_seen(code)} in `not_before` is not a code like `JPN`, nor `*`")
        if code != GENERAL:
            # A slip in a code, passed over, would lift the embargo from the partner that was meant.
            if partners is not None and code not in partners:
                near = "".join(f", nearest {shown(each)}" for each in closest(code, partners)[:1])
                raise DatesError(f"{shown(code)} in `not_before` is not a partner{near}")
            if code in scheme.expandable or code in scheme.public_communities or code == scheme.own:
                raise DatesError(f"{shown(code)} in `not_before` is not a partner: an embargo is general or of one partner")
        dates.append((code, read_moment(time, "not_before")))
    return tuple(sorted(dates))


def _downgrade(value: object, label: Label, *, scheme: Scheme) -> Downgrade | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) != {"at", "level"}:
        raise DatesError('`downgrade_on` is an object of `at` and `level`, like `{"at":"2030-01-01","level":"CONFIDENTIAL"}`')
    level = value["level"]
    names = [each.name for each in scheme.levels]
    if not isinstance(level, str) or level not in names:
        raise DatesError(f"unknown level {_seen(level)} in `downgrade_on`, expected one of {', '.join(f'`{name}`' for name in names)}")
    if scheme.rank(level) >= scheme.rank(label.level):
        raise DatesError(f"`downgrade_on` to `{level}` does not lower `{label.level}`")
    return Downgrade(read_moment(value["at"], "downgrade_on.at"), level)


def _declassification(value: object) -> datetime | Undated:
    if not isinstance(value, Mapping):
        return read_moment(value, "declassify_on")
    expected = '`declassify_on` is a date, or one of `{"event":"..."}` and `{"exemption":"25X1"}`'
    if len(value) != 1 or next(iter(value)) not in list(Awaits):
        raise DatesError(f"{expected}, got an object of {', '.join(_seen(name) for name in value) or 'nothing'}")
    ((name, words),) = value.items()
    if not isinstance(words, str) or not words.strip() or len(words) > EVENT_CHARACTERS_MAX or not words.isprintable():
        raise DatesError(f"`{name}` of `declassify_on` is a string of 1 to {EVENT_CHARACTERS_MAX} printable characters, got {_seen(words)}")
    return Undated(Awaits(name), words)


def read_moment(value: object, name: str) -> datetime:
    """A date, 00:00 UTC, or a full time ending in `Z`.

    Raises:
        DatesError: neither; it names the member `name`.
    """
    expected = f"`{name}` is a date like `2027-01-01` or a time like `2027-01-01T12:00:00Z`"
    if not isinstance(value, str):
        raise DatesError(f"{expected}, got {_seen(value)}")
    if not _TIME.fullmatch(value):
        raise DatesError(f"{expected}, got {shown(value)}")
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise DatesError(f"{expected}, got {shown(value)}, which is not in the calendar") from None
    return time.replace(tzinfo=UTC)


def _seen(value: object) -> str:
    """A value of the input as a message shows it; of another kind than text, only its kind."""
    return shown(value) if isinstance(value, str) else f"a value of kind {type(value).__name__}"
