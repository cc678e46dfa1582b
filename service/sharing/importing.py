"""Items by the line: an import of any length, in bounded memory, with a word about every line that was not simply stored.

What comes in is bytes, in blocks, from a file, a pipe or a request. A line is one item (DESIGN section 14). Promises:

- An item is stored whole or not at all, and one that is refused leaves the others as they are.
- At most one line and one batch are held; a line that is too long is counted and skipped, never held.
- A batch is one act, of at most `IMPORT_BATCH_ITEMS_MAX` items and about `BATCH_BYTES_MAX` bytes. A batch in which nothing is
  stored is no act: it leaves no leaf, and raises no fence.
- A file portion's bytes get their name in the data folder only once their whole item has been read, and their row in the
  catalogue in the act that stores the item.

What the JSON of an item means is `intake`'s; how it is stored is `catalogue`'s. One item alone (`store_one`) goes the same way.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol

from service.errors import Conflict, Rejected
from service.policy import Bundle
from service.settings import IMPORT_BATCH_ITEMS_MAX, IMPORT_LINE_BYTES_MAX
from service.sharing.acts import Act, Actor
from service.sharing.catalogue import QUARANTINED, REFUSED, Outcome, store_items
from service.sharing.compaction import compact
from service.sharing.installation import Installation
from service.sharing.intake import FileSource, FindFile, ItemDraft, ItemReader, Refusal, parse_json, read_item
from service.store import Database, catalogue
from service.store.files import BLOCK_BYTES, FileStore, Incoming
from service.store.times import moment_of

BATCH_BYTES_MAX: Final = 16 << 20
"""A batch ends once its lines together are longer than this."""
_REPORTS_HELD_MAX: Final = 1000

DocumentMapping = Callable[[Mapping[str, object]], Mapping[str, Any]]
"""Makes an item's JSON of a foreign document; raises `Rejected` where it cannot."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHOWN_CHARACTERS_MAX: Final = 512


# --- lines ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """A line by its number, from 1, without its end. `content` is None where it is longer than the limit."""

    number: int
    content: bytes | None


class LineSplitter:
    """Cuts blocks into lines, holding at most one line of at most `limit` bytes."""

    def __init__(self, limit: int = IMPORT_LINE_BYTES_MAX) -> None:
        self._limit: Final = limit
        self._held = bytearray()
        self._too_long = False
        self._number = 0

    def feed(self, block: bytes) -> Iterator[Line]:
        """The lines that end in this block."""
        start = 0
        while (end := block.find(b"\n", start)) >= 0:
            self._hold(block, start, end)
            yield self._end()
            start = end + 1
        self._hold(block, start, len(block))

    def finish(self) -> Iterator[Line]:
        """The last line, where it has no end of its own."""
        if self._held or self._too_long:
            yield self._end()

    def _hold(self, block: bytes, start: int, end: int) -> None:
        # One byte over the limit may be the `\r` of a line end.
        if self._too_long or len(self._held) + end - start > self._limit + 1:
            self._too_long = True
            self._held.clear()
        else:
            self._held += memoryview(block)[start:end]

    def _end(self) -> Line:
        self._number += 1
        content = bytes(self._held.removesuffix(b"\r"))
        line = Line(self._number, None if self._too_long or len(content) > self._limit else content)
        self._held.clear()
        self._too_long = False
        return line


# --- files ----------------------------------------------------------------------------------------------------------


class ItemFiles(Protocol):
    """Where the file portions of items come from."""

    def item(self) -> AbstractContextManager[FindFile]:
        """Files of one item: they are stored when the block ends well, and nothing of them is kept when it raises."""
        ...


class SentFiles:
    """Files sent before, each named by `sha256`: those of an item that comes over HTTP."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database

    @contextmanager
    def item(self) -> Iterator[FindFile]:
        yield self.find

    def find(self, portion: Mapping[str, Any]) -> FileSource:
        """The file a portion names."""
        if "path" in portion:
            raise Refusal("path", "`path` means nothing here, expected the `sha256` of a file sent before")
        sha256 = _digest_in(portion)
        if sha256 is None:
            raise Refusal("sha256", "a file portion without `sha256`")
        with self._database.reading() as connection:
            size = catalogue.file_size(connection, sha256)
        if size is None:
            raise Refusal("no-file", f"no file `{sha256.hex()}` was sent before")
        return FileSource(sha256, size)


class LocalFiles:
    """Files named by `path` beside an import file; one named by `sha256` alone must have been sent before.

    A path stays within the folder, after symbolic links too: an import file that somebody else wrote must not be able to
    turn a file of ours that it only names into an item that goes out.
    """

    def __init__(self, folder: Path, store: FileStore, sent: SentFiles) -> None:
        self._folder: Final = folder
        self._store: Final = store
        self._sent: Final = sent

    @contextmanager
    def item(self) -> Iterator[FindFile]:
        staged: list[Incoming] = []
        try:
            yield lambda portion: self._find(portion, staged)
            for incoming in staged:
                incoming.finish()
        except BaseException:
            for incoming in staged:
                incoming.discard()
            raise

    def _find(self, portion: Mapping[str, Any], staged: list[Incoming]) -> FileSource:
        if "path" not in portion:
            return self._sent.find(portion)
        path = portion["path"]
        size = 0
        with _opened_within(self._folder, path) as descriptor:
            incoming = Incoming(self._store)
            staged.append(incoming)
            while block := os.read(descriptor, BLOCK_BYTES):
                size += len(block)
                incoming.write(block)
        named = _digest_in(portion)
        if named is not None and named != incoming.digest:
            raise Refusal("sha256", f"file {shown(path)} has digest `{incoming.digest.hex()}`, expected `{named.hex()}`")
        return FileSource(incoming.digest, size)


def _digest_in(portion: Mapping[str, Any]) -> bytes | None:
    given = portion.get("sha256")
    if given is None:
        return None
    if not isinstance(given, str) or not _DIGEST.fullmatch(given):
        raise Refusal("sha256", "`sha256` of a file portion is 64 hexadecimal digits, in lower case")
    return bytes.fromhex(given)


@contextmanager
def _opened_within(folder: Path, path: object) -> Iterator[int]:
    if not isinstance(path, str) or not path or _UNPRINTABLE.search(path):
        raise Refusal("path", "`path` of a file portion is a string of printable characters")
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        raise Refusal("path", f"path {shown(path)} leads out of the folder of the import file")
    try:
        # Resolved first, then opened without following a link any more.
        found = (folder / parts).resolve(strict=True)
        inside = found.is_relative_to(folder.resolve(strict=True))
        # Non-blocking, so that a named pipe cannot hold the import up before it is seen not to be a file.
        descriptor = os.open(found, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC) if inside else None
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "a loop of links"
        raise Refusal("no-file", f"cannot read file {shown(path)}: {reason.lower()}") from None
    if descriptor is None:
        raise Refusal("path", f"path {shown(path)} leads out of the folder of the import file")
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refusal("no-file", f"{shown(path)} is not a regular file")
        yield descriptor
    except OSError as error:
        raise Refusal("no-file", f"cannot read file {shown(path)}: {(error.strerror or 'no reason given').lower()}") from None
    finally:
        os.close(descriptor)


def shown(text: object) -> str:
    """A piece of input in backticks, cut short and without characters that would disturb a terminal."""
    return f"`{_UNPRINTABLE.sub('?', str(text)[:80])}`"


# --- the import -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pending:
    """An item read under a bundle; should another be in force when its act begins, it is read again."""

    draft: ItemDraft
    bundle: str


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
        files: where file portions come from.
        mapping: makes items of foreign documents.
        update: an item whose `ref` is stored already gets a new version.

    Raises (by `feed` and `finish`):
        Broken: nothing was ever published; or the data folder or database failed. Batches before stay stored.
        Busy: likewise, for now.
    """

    def __init__(
        self,
        installation: Installation,
        actor: Actor,
        *,
        files: ItemFiles,
        mapping: DocumentMapping | None = None,
        update: bool = False,
        batch_items_max: int = IMPORT_BATCH_ITEMS_MAX,
        batch_bytes_max: int = BATCH_BYTES_MAX,
    ) -> None:
        self._installation: Final = installation
        self._actor: Final = actor
        self._files: Final = files
        self._mapping: Final = mapping
        self._update: Final = update
        self._batch_items_max: Final = batch_items_max
        self._batch_bytes_max: Final = batch_bytes_max
        self._splitter: Final = LineSplitter()
        self._batch: list[tuple[int, _Pending]] = []
        self._batch_bytes = 0
        # One for what comes in at once: policy and time may have moved on by the next block.
        self._reader: _PendingReader | None = None
        self._reports: list[dict[str, Any]] = []
        self._counts: Final = {"imported": 0, "quarantined": 0, "refused": 0}

    def feed(self, block: bytes) -> list[dict[str, Any]]:
        """Take a block of bytes; returns the reports that are due."""
        due: list[dict[str, Any]] = []
        self._reader = None
        for line in self._splitter.feed(block):
            self._take(line)
            if self._is_full():
                due += self._flush()
        return due

    def finish(self) -> list[dict[str, Any]]:
        """Store what is left; returns the last reports and the totals."""
        self._reader = None
        for line in self._splitter.finish():
            self._take(line)
        reports = self._flush()
        if self._counts["imported"] >= IMPORT_BATCH_ITEMS_MAX:
            compact(self._installation.database)
        return [*reports, dict(self._counts)]

    def _is_full(self) -> bool:
        return (
            len(self._batch) >= self._batch_items_max
            or self._batch_bytes >= self._batch_bytes_max
            or len(self._reports) >= _REPORTS_HELD_MAX
        )

    def _take(self, line: Line) -> None:
        ref: str | None = None
        try:
            if line.content is None:
                raise Refusal("line-too-long", f"a line of more than {IMPORT_LINE_BYTES_MAX} bytes")
            if not line.content.strip():
                return
            value = parse_json(line.content)
            ref = _ref_of(value)
            if self._mapping is not None:
                value = self._mapping(_document(value))
                ref = _ref_of(value)
            self._reader = self._reader or _PendingReader(self._installation)
            self._batch.append((line.number, self._reader.read(value, self._files)))
            self._batch_bytes += len(line.content)
        except Rejected as refused:
            self._counts["refused"] += 1
            self._report(line.number, ref, REFUSED, refused.code, str(refused))

    def _flush(self) -> list[dict[str, Any]]:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if batch:
            outcomes = self._store([pending for _, pending in batch])
            for (number, _), outcome in zip(batch, outcomes, strict=True):
                self._count(number, outcome)
        reports, self._reports = sorted(self._reports, key=lambda report: int(report["line"])), []
        return reports

    def _store(self, batch: Sequence[_Pending]) -> Sequence[Outcome]:
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
) -> Iterator[dict[str, Any]]:
    """Import a stream of blocks; yields report lines as they fall due, the totals last. See `Importer`."""
    importer = Importer(installation, actor, files=files, mapping=mapping, update=update)
    for block in blocks:
        yield from importer.feed(block)
    yield from importer.finish()


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
    pending = _PendingReader(installation).read(value, files)
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


class _PendingReader:
    """Reads items, outside of any act: policy may move on before they are stored, and `_store_pending` looks."""

    def __init__(self, installation: Installation) -> None:
        with installation.database.reading() as connection:
            bundle = installation.world.current(connection).bundle
        self._bundle: Final = bundle.digest
        self._items: Final = ItemReader(bundle, installation.clock())

    def read(self, value: object, files: ItemFiles) -> _Pending:
        with files.item() as find_file:
            return _Pending(self._items.read(value, find_file=find_file), self._bundle)


def _store_pending(act: Act, batch: Sequence[_Pending], *, update: bool) -> list[Outcome]:
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


def _document(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise Refusal("shape", "document is not a JSON object")
    return value


def _ref_of(value: object) -> str | None:
    """The `ref` of what may yet turn out not to be an item, for the report; None where it is not fit to be shown."""
    ref = value.get("ref") if isinstance(value, Mapping) else None
    fit = isinstance(ref, str) and 0 < len(ref) <= _SHOWN_CHARACTERS_MAX and not _UNPRINTABLE.search(ref)
    return ref if fit else None
