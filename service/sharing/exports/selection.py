"""What is exported: the logs concerned, as they stand now, and their entries that match, in the order of each log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from service.errors import Rejected
from service.sharing.ledger import OFFICERS
from service.store import Connection, logs, prunes
from service.store.logs import AuditFilter, ExportRow, Head
from service.store.prunes import Span

ROOT: Final = "root"
_STEP: Final = 2000


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for. `query` is the filter as it was put, in JSON."""

    asked: AuditFilter
    query: Mapping[str, object]

    def check(self, connection: Connection) -> None:
        """Refuse what could only be an empty export, which would look like a proof of something.

        Raises:
            Rejected: a log that does not exist.
        """
        if not self.heads(connection):
            name = (self.asked.log or "")[:80].encode("unicode_escape").decode("ascii")
            raise Rejected(f"no log `{name}`, expected a partner's code or `officers`", code="no-log")

    def heads(self, connection: Connection) -> list[Head]:
        """The logs concerned, by name: the one named, all partners', or all."""
        found = logs.heads(connection)
        if self.asked.log is not None:
            return [head for head in found if head.name == self.asked.log]
        if self.asked.partners_only:
            return [head for head in found if head.name not in (OFFICERS, ROOT)]
        return found

    def pruned(self, connection: Connection) -> list[Span]:
        """What was pruned of the logs and the time concerned: of it nobody can say whether it matched."""
        asked = self.asked
        return prunes.spans(connection, log=asked.log, partners_only=asked.partners_only, since=asked.since, until=asked.until)

    def rows(self, connection: Connection, head: Head) -> Iterator[list[ExportRow]]:
        """The entries of a log that match, in its order and in steps, up to its head: what comes later is not in this export."""
        start = 0
        while start < head.size:
            rows = logs.matching(connection, replace(self.asked, log=None), head.id, start=start, stop=head.size, limit=_STEP)
            if rows:
                yield rows
            if len(rows) < _STEP:
                return
            start = rows[-1].position + 1
