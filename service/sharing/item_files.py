"""Where the file portions of an item that is read come from: sent before, or beside an import file.

A file portion's bytes get their name in the data folder only once their whole item has been read, and their row in the catalogue in the
act that stores the item.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol

from service.sharing.intake import UNPRINTABLE, FileSource, FindFile, Refusal
from service.store import Database, catalogue
from service.store.files import BLOCK_BYTES, FileStore, Incoming

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


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
        except BaseException:  # whatever ends it: a file that no item came to hold is not kept
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
    if not isinstance(path, str) or not path or UNPRINTABLE.search(path):
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
    return f"`{UNPRINTABLE.sub('?', str(text)[:80])}`"
