"""Signals: what in the logs looks like somebody trying doors, each with the rule and the numbers by which it is one.

Pure, and of entries alone, in their order: a second auditor who asks the same of the same logs is told the same. A signal accuses nobody;
it says where to look. Three rules, each over a sliding window of minutes and for each client by itself:

- `absent-ids`: distinct ids asked for that name nothing there ever was, as one does who enumerates;
- `withheld-ids`: distinct ids asked for that were withheld, as one does who knows them from elsewhere;
- `burst`: requests of any kind, as one does who takes all he can.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from service.store.log_answers import Request
from service.store.times import text_of

MINUTE: Final = 60_000_000
ABSENT_IDS: Final = "absent-ids"
WITHHELD_IDS: Final = "withheld-ids"
BURST: Final = "burst"
RULES: Final = (ABSENT_IDS, WITHHELD_IDS, BURST)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From how many on, in how many minutes."""

    minutes: int = 10
    absent_ids: int = 50
    withheld_ids: int = 20
    requests: int = 2000

    def of(self, rule: str) -> int:
        return {ABSENT_IDS: self.absent_ids, WITHHELD_IDS: self.withheld_ids, BURST: self.requests}[rule]


@dataclass(frozen=True, slots=True)
class Signal:
    """A rule was met, by one client, without a break from `first` to `last` (microseconds); `count` is the most in any window."""

    rule: str
    client: str
    log: str
    first: int
    last: int
    first_event_id: str
    last_event_id: str
    count: int
    threshold: int
    minutes: int

    def says(self) -> str:
        """The signal in words."""
        what = {
            ABSENT_IDS: "asked for {} ids that never were",
            WITHHELD_IDS: "asked for {} ids that were withheld",
            BURST: "sent {} requests",
        }[self.rule].format(self.count)
        return f"client {self.client} {what} within {self.minutes} minutes; threshold {self.threshold}"

    def to_json(self) -> dict[str, object]:
        return {
            "rule": self.rule, "client": self.client, "log": self.log, "first": text_of(self.first), "last": text_of(self.last),
            "first_event_id": self.first_event_id, "last_event_id": self.last_event_id, "count": self.count, "threshold": self.threshold,
            "minutes": self.minutes, "says": self.says(),
        }  # fmt: skip


def signals(requests: Iterable[Request], thresholds: Thresholds) -> list[Signal]:
    """The signals in these requests, which come in the order of time; sorted by where they begin."""
    windows: dict[tuple[str, str], _Window] = {}
    found: list[Signal] = []
    for request in requests:
        for rule, what in _counts(request):
            window = windows.get((rule, request.client))
            if window is None:
                window = windows[rule, request.client] = _Window(rule, thresholds)
            found += window.take(request, what)
    for window in windows.values():
        found += window.close()
    return sorted(found, key=lambda signal: (signal.first, signal.rule, signal.client, signal.first_event_id))


def _counts(request: Request) -> Iterator[tuple[str, str]]:
    """(rule, what is counted) of a request."""
    yield BURST, request.event_id
    if request.leaf is None or request.record is None:
        return
    # A refusal's record holds what was withheld, and no items where there was nothing.
    rule = WITHHELD_IDS if json.loads(request.record).get("items") else ABSENT_IDS
    for item in json.loads(request.leaf)["items"]:
        yield rule, item["id"]


@dataclass(slots=True)
class _Window:
    """The last minutes of one client under one rule."""

    rule: str
    thresholds: Thresholds
    held: deque[tuple[int, str, str]] = field(default_factory=deque)
    """(at, event id, what) of what is in the window."""
    distinct: Counter[str] = field(default_factory=Counter)
    met: Signal | None = None

    def take(self, request: Request, what: str) -> list[Signal]:
        """Move the window on to a request; the signal that ends before it, if one does."""
        while self.held and self.held[0][0] <= request.at - self.thresholds.minutes * MINUTE:
            _, _, old = self.held.popleft()
            self.distinct[old] -= 1
            if not self.distinct[old]:
                del self.distinct[old]
        self.held.append((request.at, request.event_id, what))
        self.distinct[what] += 1
        count, threshold = len(self.distinct), self.thresholds.of(self.rule)
        if count < threshold:
            return self.close()
        begun = self.met
        first_at, first_event = self.held[0][:2] if begun is None else (begun.first, begun.first_event_id)
        self.met = Signal(
            self.rule, request.client, request.log, first_at, request.at, first_event, request.event_id,
            count if begun is None else max(begun.count, count), threshold, self.thresholds.minutes,
        )  # fmt: skip
        return []

    def close(self) -> list[Signal]:
        """End the signal that is under way."""
        ended = [] if self.met is None else [self.met]
        self.met = None
        return ended
