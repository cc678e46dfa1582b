"""Lines of an import: cut out of blocks, and each read under the policy in force, here or in a process beside this one.

Reading a line (JSON, markings, labels through time, digests) needs nothing of the database but the policy, and is a third of the work of
an import. `ReadBeside` has it done while the lines before are stored. Both ways go through `_read_line` and give the same.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

from service.errors import Rejected
from service.policy import Bundle, read_bundle
from service.settings import IMPORT_BATCH_ITEMS_MAX, IMPORT_LINE_BYTES_MAX
from service.sharing.intake import REF_LENGTH_MAX, UNPRINTABLE, FileSource, FindFile, ItemDraft, ItemReader, Refusal, parse_json
from service.sharing.item_files import ItemFiles

log = logging.getLogger(__name__)

DocumentMapping = Callable[[Mapping[str, object]], Mapping[str, Any]]
"""Makes an item's JSON of a foreign document; raises `Rejected` where it cannot."""
InForce = Callable[[], tuple[Bundle, datetime]]
"""The policy in force and the time, as they are when it is called."""

_BATCH_BYTES_MAX: Final = 16 << 20
_STOP_SECONDS: Final = 5.0


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


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pending:
    """An item read under a bundle; should another be in force when its act begins, it is read again."""

    draft: ItemDraft
    bundle: str


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line with what it holds: an item, or else why it is refused. `ref` is None where it was not understood that far."""

    number: int
    size: int
    ref: str | None
    item: Pending | None
    code: str = ""
    message: str = ""


class LineReader(Protocol):
    """Reads lines. What is asked for first is answered first, and a line without anything in it not at all."""

    def read(self, lines: Iterable[Line]) -> Iterator[ReadLine]:
        """Take lines; what has been read by now. Lines may be kept until later.

        Raises:
            Broken, Busy: as `InForce`.
        """
        ...

    def finish(self) -> Iterator[ReadLine]:
        """What is left. Raises as `read`."""
        ...

    def close(self) -> None:
        """Let go of everything; what was not read is forgotten."""
        ...


class ReadHere:
    """Reads each line when it comes. Lines of one call are read under one policy, as of one time."""

    def __init__(self, in_force: InForce, files: ItemFiles, mapping: DocumentMapping | None = None) -> None:
        self._in_force: Final = in_force
        self._files: Final = files
        self._mapping: Final = mapping

    def read(self, lines: Iterable[Line]) -> Iterator[ReadLine]:
        reader = self.reader()
        return (read for line in lines if (read := reader.read(line)) is not None)

    def reader(self) -> _Reader:
        """Reads lines under one policy, as of one time."""
        return _Reader(self._in_force, self._files, self._mapping)

    def finish(self) -> Iterator[ReadLine]:
        return iter(())

    def close(self) -> None:
        pass


class ReadBeside:
    """Reads lines in a process of its own, a batch ahead of whoever stores them: at most two batches are held.

    The process starts once there is more than one batch. It is given the policy's files and lines, and nothing else: a line that names a
    file is read here, where files are. Should it end before its time, what it had is read here, and so is the rest.

    Args:
        mapping: a function of a module, which the other process can import.
    """

    def __init__(
        self, in_force: InForce, files: ItemFiles, mapping: DocumentMapping | None = None, *, batch_lines_max: int = IMPORT_BATCH_ITEMS_MAX
    ) -> None:
        self._in_force: Final = in_force
        self._mapping: Final = mapping
        self._here: Final = ReadHere(in_force, files, mapping)
        self._batch_lines_max: Final = batch_lines_max
        self._batch: list[Line] = []
        self._batch_bytes = 0
        self._sent: list[Line] = []
        self._beside: _Beside | None = None
        self._alone = False

    @property
    def pid(self) -> int | None:
        """The process that reads, where there is one."""
        return None if self._beside is None else self._beside.pid

    def read(self, lines: Iterable[Line]) -> Iterator[ReadLine]:
        for line in lines:
            self._batch.append(line)
            self._batch_bytes += len(line.content or b"")
            if len(self._batch) >= self._batch_lines_max or self._batch_bytes >= _BATCH_BYTES_MAX:
                batch, self._batch, self._batch_bytes = self._batch, [], 0
                yield from self._hand_over(batch)

    def finish(self) -> Iterator[ReadLine]:
        yield from self._answered()
        batch, self._batch = self._batch, []
        yield from self._here.read(batch)

    def close(self) -> None:
        self._batch, self._sent = [], []
        self._let_go()

    def _hand_over(self, batch: list[Line]) -> Iterator[ReadLine]:
        """Have a batch read, and give what was read of the one before: the other process is at work again by then."""
        before = self._answered()
        if self._beside is not None:
            self._sent = batch
            try:
                self._beside.ask(*self._in_force(), batch)
            except OSError:
                self._lost()
            yield from before
            return
        if not self._alone:
            self._beside = _Beside(self._mapping)
        # Nobody else is there to read it; or not yet.
        yield from before
        yield from self._here.read(batch)

    def _answered(self) -> Sequence[ReadLine]:
        sent, self._sent = self._sent, []
        if sent and self._beside is not None:
            try:
                answer = self._beside.answer()
            except (EOFError, OSError):
                self._lost()
            else:
                here = self._here.reader()
                read = [here.read(line) if one is _READ_HERE else one for line, one in zip(sent, answer, strict=True)]
                return [one for one in read if one is not None]
        return list(self._here.read(sent))

    def _lost(self) -> None:
        log.warning("the process that reads lines ended; they are read in this one from now on")
        self._alone = True
        self._let_go()

    def _let_go(self) -> None:
        if self._beside is not None:
            self._beside.close()
            self._beside = None


class _Reader:
    """Reads lines under the policy that is in force when the first one with an item comes."""

    def __init__(self, in_force: InForce, files: ItemFiles, mapping: DocumentMapping | None) -> None:
        self._in_force: Final = in_force
        self._files: Final = files
        self._mapping: Final = mapping
        self._items: PendingReader | None = None

    def read(self, line: Line) -> ReadLine | None:
        size = len(line.content or b"")
        ref: str | None = None
        try:
            if line.content is None:
                raise Refusal("line-too-long", f"a line of more than {IMPORT_LINE_BYTES_MAX} bytes")
            if not line.content.strip():
                return None
            value = parse_json(line.content)
            ref = _ref_of(value)
            if self._mapping is not None:
                value = self._mapping(_document(value))
                ref = _ref_of(value)
            self._items = self._items or PendingReader(*self._in_force())
            return ReadLine(line.number, size, ref, self._items.read(value, self._files))
        except Rejected as refused:
            return ReadLine(line.number, size, ref, None, refused.code, str(refused))


class PendingReader:
    """Reads items, outside of any act: policy may move on before they are stored, and whoever stores them looks."""

    def __init__(self, bundle: Bundle, at: datetime) -> None:
        self._bundle: Final = bundle.digest
        self._items: Final = ItemReader(bundle, at)

    def read(self, value: object, files: ItemFiles) -> Pending:
        """Read one item. Raises `Refusal` where it is malformed."""
        with files.item() as find_file:
            return Pending(self._items.read(value, find_file=find_file), self._bundle)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Within it, garbage is looked for seldom, and not in what is there already: a batch is many objects that live a while, and no cycles.

    Looking for them at Python's own pace is a fifth of the time of an import.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _document(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise Refusal("shape", "document is not a JSON object")
    return value


def _ref_of(value: object) -> str | None:
    """The `ref` of what may yet turn out not to be an item, for the report; None where it is not fit to be shown."""
    ref = value.get("ref") if isinstance(value, Mapping) else None
    fit = isinstance(ref, str) and 0 < len(ref) <= REF_LENGTH_MAX and not UNPRINTABLE.search(ref)
    return ref if fit else None


# --- the other process ----------------------------------------------------------------------------------------------


class _Elsewhere(Enum):
    """What the other process says of a line that it has no files for."""

    READ_HERE = 0


_READ_HERE: Final = _Elsewhere.READ_HERE
_Answer = Sequence[ReadLine | _Elsewhere | None]


class _Beside:
    """The other process, as seen from here. It is asked and answers in turns: neither ever waits for the other to take something."""

    def __init__(self, mapping: DocumentMapping | None) -> None:
        # Started anew and not forked: threads of this process may hold locks, and a fork would hold the database's files open.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process: Final = context.Process(target=_serve, args=(theirs, mapping), name="entente-lines", daemon=True)
        self._process.start()
        theirs.close()  # so that its end is noticed here, as ours is there
        self._bundle = ""

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def ask(self, bundle: Bundle, at: datetime, lines: Sequence[Line]) -> None:
        """Have lines read. Raises `OSError` where it has ended."""
        self._connection.send((None if bundle.digest == self._bundle else dict(bundle.files), at, lines))
        self._bundle = bundle.digest

    def answer(self) -> _Answer:
        """What they say, each in its place. Raises `EOFError` or `OSError` where it has ended."""
        answer: _Answer = self._connection.recv()
        return answer

    def close(self) -> None:
        self._connection.close()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


class _NamesFile(Exception):
    """A line that names a file. Never leaves this module."""


class _NoFiles:
    """Files, where there are none."""

    @contextmanager
    def item(self) -> Iterator[FindFile]:
        yield self._find

    def _find(self, portion: Mapping[str, Any]) -> FileSource:
        raise _NamesFile


def _serve(connection: Connection, mapping: DocumentMapping | None) -> None:
    """Read lines for as long as somebody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the one who asks, whose end is noticed
    bundle: Bundle | None = None
    with seldom_collected(), suppress(EOFError, OSError):
        while True:
            files, at, lines = connection.recv()
            try:
                bundle = bundle if files is None else read_bundle(files)
                answer = _read_for(bundle, at, lines, mapping)
            except Exception:  # noqa: BLE001 - whatever it is shows where the lines are read again, in the process that can say it
                return
            connection.send(answer)


def _read_for(bundle: Bundle | None, at: datetime, lines: Sequence[Line], mapping: DocumentMapping | None) -> _Answer:
    if bundle is None:
        raise ValueError("no policy was sent")
    reader = _Reader(lambda: (bundle, at), _NoFiles(), mapping)

    def read(line: Line) -> ReadLine | _Elsewhere | None:
        try:
            return reader.read(line)
        except _NamesFile:
            return _READ_HERE

    return [read(line) for line in lines]
