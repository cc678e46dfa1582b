"""Items by the line: an import of any length, in bounded memory, with a word about every line that was not simply stored.

What comes in is bytes, in blocks, from a file, a pipe or a request. A line is one item (DESIGN section 14). Promises:

- An item is stored whole or not at all, and one that is refused leaves the others as they are.
- At most one line and one batch are held, two where lines are read beside; a line that is too long is counted and skipped, never held.
- A batch is one act, of at most `IMPORT_BATCH_ITEMS_MAX` items and about `BATCH_BYTES_MAX` bytes. A batch in which nothing is
  stored is no act: it leaves no leaf, and raises no fence.

How lines are read is `line_reading`'s, what the JSON of an item means `intake`'s, where its files are `item_files`'; how it is stored is
`catalogue`'s. One item alone (`store_one`) goes the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from typing import Any, Final

from service.errors import Conflict, Rejected
from service.policy import Bundle
from service.settings import IMPORT_BATCH_ITEMS_MAX
from service.sharing.acts import Act, Actor
from service.sharing.catalogue import QUARANTINED, REFUSED, Outcome, store_items
from service.sharing.compaction import compact
from service.sharing.installation import Installation
from service.sharing.intake import FileSource, ItemDraft, Refusal, parse_json, read_item
from service.sharing.item_files import ItemFiles, shown
from service.sharing.line_reading import (
    DocumentMapping,
    InForce,
    LineReader,
    LineSplitter,
    Pending,
    PendingReader,
    ReadBeside,
    ReadHere,
    ReadLine,
    seldom_collected,
)
from service.store import catalogue
from service.store.times import moment_of

BATCH_BYTES_MAX: Final = 16 << 20
"""A batch ends once its lines together are longer than this."""
_REPORTS_HELD_MAX: Final = 1000


class _NothingStored(Exception):
    """Rolls an act back that has nothing to say. Never leaves this module."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        super().__init__()
        self.outcomes = outcomes


class Importer:
    """One import. Feed it blocks, then `finish` it; both answer with report lines, in the order of the lines they are about.

    A report line is `{"line", "ref", "result", "code", "message"}` for each item refused or quarantined, and as a warning for one
    stored whose marking is stricter than its portions require (`stored`, `over-marked`); `ref` is null where the line was not
    understood that far. The last one is the totals: `imported` counts what was loaded, quarantine included.

    Args:
        actor: who imports, for the leaves.
        reader: reads its lines.
        update: an item whose `ref` is stored already gets a new version.

    Raises (by `feed` and `finish`):
        Broken: nothing was ever published; or the data folder or database failed. Batches before stay stored.
        Busy: likewise, for now.
    """

    def __init__(
        self,
        installation: Installation,
        actor: Actor,
        reader: LineReader,
        *,
        update: bool = False,
        batch_items_max: int = IMPORT_BATCH_ITEMS_MAX,
        batch_bytes_max: int = BATCH_BYTES_MAX,
    ) -> None:
        self._installation: Final = installation
        self._actor: Final = actor
        self._reader: Final = reader
        self._update: Final = update
        self._batch_items_max: Final = batch_items_max
        self._batch_bytes_max: Final = batch_bytes_max
        self._splitter: Final = LineSplitter()
        self._batch: list[tuple[int, Pending]] = []
        self._batch_bytes = 0
        self._reports: list[dict[str, Any]] = []
        self._counts: Final = {"imported": 0, "quarantined": 0, "refused": 0}

    def feed(self, block: bytes) -> list[dict[str, Any]]:
        """Take a block of bytes; returns the reports that are due."""
        return self._take(self._reader.read(self._splitter.feed(block)))

    def finish(self) -> list[dict[str, Any]]:
        """Store what is left; returns the last reports and the totals."""
        reports = self._take(self._reader.read(self._splitter.finish()))
        reports += self._take(self._reader.finish())
        reports += self._flush()
        if self._counts["imported"] >= IMPORT_BATCH_ITEMS_MAX:
            compact(self._installation.database)
        return [*reports, dict(self._counts)]

    def _take(self, read: Iterable[ReadLine]) -> list[dict[str, Any]]:
        due: list[dict[str, Any]] = []
        for line in read:
            if line.item is not None:
                self._batch.append((line.number, line.item))
                self._batch_bytes += line.size
            else:
                self._counts["refused"] += 1
                self._report(line.number, line.ref, REFUSED, line.code, line.message)
            if self._is_full():
                due += self._flush()
        return due

    def _is_full(self) -> bool:
        return (
            len(self._batch) >= self._batch_items_max
            or self._batch_bytes >= self._batch_bytes_max
            or len(self._reports) >= _REPORTS_HELD_MAX
        )

    def _flush(self) -> list[dict[str, Any]]:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if batch:
            outcomes = self._store([pending for _, pending in batch])
            for (number, _), outcome in zip(batch, outcomes, strict=True):
                self._count(number, outcome)
        reports, self._reports = sorted(self._reports, key=lambda report: int(report["line"])), []
        return reports

    def _store(self, batch: Sequence[Pending]) -> Sequence[Outcome]:
        try:
            with self._installation.acts.act("item.import", self._actor) as act:
                outcomes = _store_pending(act, batch, update=self._update)
                if all(outcome.result == REFUSED for outcome in outcomes):
                    raise _NothingStored(outcomes)
                act.details["stored"] = [_detail(outcome) for outcome in outcomes if outcome.result != REFUSED]
        except _NothingStored as nothing:
            return nothing.outcomes
        return outcomes

    def _count(self, number: int, outcome: Outcome) -> None:
        self._counts["refused" if outcome.result == REFUSED else "imported"] += 1
        if outcome.result == QUARANTINED:
            self._counts["quarantined"] += 1
        if outcome.code is not None:
            self._report(number, outcome.ref, outcome.result, outcome.code, outcome.message or "")

    def _report(self, number: int, ref: str | None, result: str, code: str, message: str) -> None:
        self._reports.append({"line": number, "ref": ref, "result": result, "code": code, "message": message})


def import_items(
    installation: Installation,
    blocks: Iterable[bytes],
    actor: Actor,
    *,
    files: ItemFiles,
    mapping: DocumentMapping | None = None,
    update: bool = False,
    own_process: bool = False,
) -> Iterator[dict[str, Any]]:
    """Import a stream of blocks; yields report lines as they fall due, the totals last. See `Importer`.

    Args:
        files: where file portions come from.
        mapping: makes items of foreign documents.
        own_process: this process has nothing else to do: lines are read in another one beside it, and garbage is seldom looked for.
    """
    with ExitStack() as stack:
        if own_process:
            stack.enter_context(seldom_collected())
            stack.enter_context(installation.database.in_bulk())
        reader = stack.enter_context(closing((ReadBeside if own_process else ReadHere)(in_force(installation), files, mapping)))
        importer = Importer(installation, actor, reader, update=update)
        for block in blocks:
            yield from importer.feed(block)
        yield from importer.finish()


def in_force(installation: Installation) -> InForce:
    """The policy in force and the time, whenever it is called. It raises `Broken` where nothing was ever published, `Busy` for now."""

    def found() -> tuple[Bundle, datetime]:
        with installation.database.reading() as connection:
            bundle = installation.world.current(connection).bundle
        return bundle, installation.clock()

    return found


def store_one(installation: Installation, value: object, actor: Actor, *, files: ItemFiles, item_id: str | None = None) -> Outcome:
    """Store one item (`item.create`), or a new version of one (`item.version`); stored or in quarantine when this returns.

    Args:
        value: the item's JSON, parsed.
        item_id: the item that gets the version; its `ref` may then be left out of `value`.

    Raises:
        Refusal: malformed; `code` says how.
        Conflict: `ref` is stored already; or there is no such item (`no-item`), or it is withdrawn.
    """
    if item_id is not None:
        value = _with_ref(installation, value, item_id)
    pending = PendingReader(*in_force(installation)()).read(value, files)
    with installation.acts.act("item.create" if item_id is None else "item.version", actor) as act:
        outcome = _store_pending(act, [pending], update=item_id is not None)[0]
        if outcome.result == REFUSED:
            raise Conflict(outcome.message or "refused", code=outcome.code or "conflict")
        act.details |= _detail(outcome)
    return outcome


def _with_ref(installation: Installation, value: object, item_id: str) -> object:
    with installation.database.reading() as connection:
        item = catalogue.item_by_id(connection, item_id)
    if item is None:
        raise Conflict(f"no item {shown(item_id)}", code="no-item")
    if not isinstance(value, Mapping):
        return value
    if value.get("ref", item.ref) != item.ref:
        raise Refusal("ref", f"`ref` is {shown(value['ref'])}, expected {shown(item.ref)} or none: an item keeps its own")
    return {**value, "ref": item.ref}


def _store_pending(act: Act, batch: Sequence[Pending], *, update: bool) -> list[Outcome]:
    """Store what was read; what was read under another bundle than the one in force is read again, under the act's locks."""
    bundle = act.policy().bundle
    outcomes: list[Outcome | None] = []
    drafts: list[ItemDraft] = []
    for pending in batch:
        try:
            drafts.append(pending.draft if pending.bundle == bundle.digest else _read_again(act, pending.draft, bundle))
            outcomes.append(None)
        except Rejected as refused:
            outcomes.append(Outcome(REFUSED, pending.draft.ref, None, code=refused.code, message=str(refused)))
    stored = iter(store_items(act, drafts, update=update))
    result: list[Outcome] = []
    for pending, before in zip(batch, outcomes, strict=True):
        outcome = next(stored) if before is None else before
        result.append(outcome)
        if outcome.result != REFUSED:
            for portion in pending.draft.portions:
                if portion.kind == "file":
                    catalogue.add_file(act.connection, portion.content_sha256, portion.size)
    return result


def _read_again(act: Act, draft: ItemDraft, bundle: Bundle) -> ItemDraft:
    files = {portion.content_sha256.hex(): FileSource(portion.content_sha256, portion.size) for portion in draft.portions}
    return read_item(
        parse_json(draft.source.encode("utf-8")),
        bundle=bundle,
        at=moment_of(act.at),
        find_file=lambda portion: files[portion["sha256"]],
    )


def _detail(outcome: Outcome) -> dict[str, object]:
    return {"id": outcome.item_id, "ref": outcome.ref, "version": outcome.version, "result": outcome.result}
