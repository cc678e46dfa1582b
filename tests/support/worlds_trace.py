"""The work done for a partner: which statements its request makes the database run, and how many rows they step over.

SQLite itself tells: its trace callback gives every statement that is run, on whichever connection and thread, and its progress
handler, called at every single instruction of its virtual machine, counts them. What is compared:

- The *texts*, in order, with values taken out: they must be the same.
- The *rows*. Those handed over are counted exactly. A row that is only stepped over costs at least `INSTRUCTIONS_PER_ROW` instructions
  (reach it, look at it, go on), or `INSTRUCTIONS_LOOKED_UP` where a value of it is looked up in a list (counted from EXPLAIN), and a row
  that is joined and handed over at most `INSTRUCTIONS_HANDED_OVER` (measured: 27 for what is known of an id, 36 for a portion). So for each
  statement a difference of `i` instructions and `r` rows handed over is a difference of at most
  `r + (i - INSTRUCTIONS_HANDED_OVER * r) / INSTRUCTIONS_PER_ROW` rows, and these bounds together must not exceed `ROWS_MAX`.

The count of instructions does not depend on what is in a page cache, on the depth of an index, or on the clock.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import event

from service.sharing.installation import Installation
from tests.support.worlds import Answer, Base, Differs, Pair, Request, pair_of

ROWS_MAX: Final = 8
INSTRUCTIONS_PER_ROW: Final = 3
INSTRUCTIONS_LOOKED_UP: Final = 10
INSTRUCTIONS_HANDED_OVER: Final = 48
_LOOKED_UP: Final = "WHERE CASE WHEN r.group_id IN (SELECT"
_VALUE: Final = re.compile(r"x'[0-9A-Fa-f]*'|'(?:[^']|'')*'|\bNULL\b|(?<![\w.])-?\d+(?:\.\d+)?\b")


@dataclass(slots=True)
class Statement:
    """A statement as it was run: its text without values, the instructions it took, the rows it handed over."""

    text: str
    instructions: int = 0
    rows: int = 0


@dataclass(slots=True)
class Recorder:
    """Records what one installation's database runs."""

    statements: list[Statement] = field(default_factory=list)

    def attach(self, installation: Installation) -> None:
        """Record every connection opened from now on; those there are, are closed."""
        event.listen(installation.database.engine, "connect", self._prepare)
        installation.database.engine.dispose()

    def take(self) -> list[Statement]:
        """What was run since the last time."""
        taken, self.statements = self.statements, []
        return taken

    def _prepare(self, connection: sqlite3.Connection, _: object) -> None:
        connection.set_trace_callback(self._ran)
        connection.set_progress_handler(self._stepped, 1)
        connection.row_factory = self._handed_over

    def _ran(self, sql: str) -> None:
        self.statements.append(Statement(_VALUE.sub("?", sql)))

    def _stepped(self) -> int:
        if self.statements:
            self.statements[-1].instructions += 1
        return 0

    def _handed_over(self, _: sqlite3.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.statements:
            self.statements[-1].rows += 1
        return row


@dataclass(slots=True)
class Work:
    """How many requests were compared, and the greatest bound on the rows apart."""

    requests: int = 0
    rows: int = 0


@dataclass(slots=True)
class TracedPair(Pair):
    """A pair whose work is compared at every request, as well as its answers."""

    recorders: tuple[Recorder, Recorder] = field(default_factory=lambda: (Recorder(), Recorder()))
    work: Work = field(default_factory=Work)

    def attach(self) -> None:
        """Begin to record. Every connection is opened anew, so the first request after this finds a cold database."""
        for recorder, world in zip(self.recorders, (self.without, self.having), strict=True):
            recorder.attach(world.installation)

    def restart(self) -> None:
        """Open both worlds again, as after a restart: nothing is cached; and record."""
        for world in (self.without, self.having):
            world.close()
        self.without, self.having = (world.reopened() for world in (self.without, self.having))
        self.attach()

    def ask(self, one: Request, other: Request | None = None) -> tuple[Answer, Answer]:
        for recorder in self.recorders:
            recorder.take()
        answers = super(TracedPair, self).ask(one, other)
        self._compare(self.recorders[0].take(), self.recorders[1].take(), str(one))
        return answers

    def _compare(self, one: Sequence[Statement], other: Sequence[Statement], where: str) -> None:
        texts, other_texts = [statement.text for statement in one], [statement.text for statement in other]
        if texts != other_texts:
            more = [text[:100] for text in other_texts if text not in texts] or [text[:100] for text in texts if text not in other_texts]
            raise Differs(f"{where}: {len(texts)} and {len(other_texts)} statements are run for it; those apart: {more[:5]}")
        apart = [(mine, theirs, _rows_apart(mine, theirs)) for mine, theirs in zip(one, other, strict=True)]
        rows = sum(bound for _, _, bound in apart)
        self.work.requests += 1
        self.work.rows = max(self.work.rows, rows)
        if rows > ROWS_MAX:
            told = [
                (mine.text[:90], mine.instructions, theirs.instructions, mine.rows, theirs.rows) for mine, theirs, bound in apart if bound
            ]
            raise Differs(f"{where}: {rows} rows are stepped over in one of the worlds alone, expected at most {ROWS_MAX}: {told}")


_Pair = TypeVar("_Pair", bound=TracedPair)


@contextmanager
def traced_pair_of(base: Base, folder: Path, *, other_base: Base | None = None, kind: type[_Pair] = TracedPair) -> Iterator[_Pair]:  # type: ignore[assignment]
    """As `pair_of`; `kind` may be a pair that asks more."""
    with pair_of(base, folder, other_base=other_base, kind=kind) as pair:
        if not isinstance(pair, kind):
            raise TypeError("a pair of another kind than was asked for")
        yield pair


def _rows_apart(one: Statement, other: Statement) -> int:
    """The most rows that one of these steps over and the other does not."""
    rows, instructions = abs(one.rows - other.rows), abs(one.instructions - other.instructions)
    least = INSTRUCTIONS_LOOKED_UP if _LOOKED_UP in one.text else INSTRUCTIONS_PER_ROW
    return rows + -(-max(0, instructions - INSTRUCTIONS_HANDED_OVER * rows) // least)
