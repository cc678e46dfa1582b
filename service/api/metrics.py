"""What an operator watches, in Prometheus's text form.

Two kinds. What this process counts (answers, commits, entries, what waits) is kept by `prometheus-client`; with several workers it
keeps the counts in files that all of them share, so that whichever worker is asked answers for all: sums over all workers since the
start. What the database says (ages of roots, whether anything may be signed) is read when asked, and is the same for all workers.

No metric names a partner, a client or an item: who watches the service reads no log.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from service.sharing.standing import Standing

SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which `prometheus-client` is told where workers share their counts; `entente serve` sets it."""
_COUNTED: Final = frozenset({401, 403, 405, 413, 422, 429, 503})
"""Statuses that are told apart: the refusals that are no entries of a log. All others count by their class."""


class Metrics:
    """The counts of one application."""

    def __init__(self) -> None:
        self._registry: Final = CollectorRegistry()
        own = self._registry
        self._answers: Final = Counter("entente_answers", "Answers given, by status.", ["status"], registry=own)
        self._commits: Final = Counter("entente_commits", "Transactions of releases made durable.", registry=own)
        self._entries: Final = Counter("entente_entries", "Entries of releases and refusals made durable.", registry=own)
        self._waiting: Final = Gauge(
            "entente_queue_entries", "Requests that waited for the log after the last commit.", registry=own, multiprocess_mode="livesum"
        )
        for status in sorted(_COUNTED):
            self._answers.labels(str(status))

    def answered(self, status: int) -> None:
        """Count an answer."""
        self._answers.labels(str(status) if status in _COUNTED else f"{status // 100}xx").inc()

    def committed(self, entries: int, waiting: int) -> None:
        """Count a commit of so many entries, after which so many requests waited."""
        self._commits.inc()
        self._entries.inc(entries)
        self._waiting.set(waiting)

    def text(self, standing: Standing) -> bytes:
        """Everything, as it is now."""
        counted = self._registry
        if SHARED_FOLDER in os.environ:
            counted = CollectorRegistry()
            MultiProcessCollector(counted)  # type: ignore[no-untyped-call]  # the library has no types here
        now = CollectorRegistry()
        for name, said, value in (
            ("entente_may_release", "1 where a release could be recorded now, else 0.", float(not standing.reasons)),
            ("entente_root_age_seconds", "Age of the newest root; NaN where there is none.", _seconds(standing.root_age_seconds)),
            (
                "entente_unwitnessed_seconds",
                "Age of the newest root that a witness has signed, or of the first where none has; NaN where there is none.",
                _seconds(standing.unwitnessed_seconds),
            ),
            ("entente_witnesses", "Witnesses that roots are sent to.", float(standing.witnesses)),
            ("entente_roots", "Entries of the root log.", float(standing.roots)),
        ):
            now.register(_Stated(name, said, value))
        return generate_latest(counted) + generate_latest(now)


class _Stated:
    """A value that was just read: written into no file that workers share."""

    def __init__(self, name: str, said: str, value: float) -> None:
        self._family: Final = GaugeMetricFamily(name, said, value=value)

    def collect(self) -> Iterator[Metric]:
        yield self._family


def _seconds(value: float | None) -> float:
    return float("nan") if value is None else value
