"""Files by digest in the data folder: written aside, hashed as they come, made durable, then given their name.

A name is the SHA-256 of the bytes, so a file that is there is whole, two uploads of the same bytes are one file, and a file
read back is hashed again before it is believed (`release` cuts the connection where it does not match).
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from service.errors import Broken, Busy, Rejected
from service.settings import FILE_BYTES_MAX

BLOCK_BYTES: Final = 1 << 16


class FileTooLarge(Rejected):
    """More than `FILE_BYTES_MAX` bytes."""

    def __init__(self) -> None:
        super().__init__(f"file of more than {FILE_BYTES_MAX} bytes", code="file-too-large")


class FileStore:
    """A folder of files named by digest."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder

    def path(self, sha256: bytes) -> Path:
        name = sha256.hex()
        return self.folder / name[:2] / name[2:]

    def put(self, blocks: Iterable[bytes]) -> tuple[bytes, int]:
        """Store a stream of blocks; returns its digest and length.

        Raises:
            FileTooLarge: nothing is kept.
            Busy: the disk would not take it; nothing is kept.
        """
        incoming = Incoming(self)
        try:
            for block in blocks:
                incoming.write(block)
            return incoming.finish()
        except BaseException:
            incoming.discard()
            raise

    def open(self, sha256: bytes) -> IO[bytes]:
        """Open a stored file.

        Raises:
            Broken: it is not there, though the catalogue says so.
        """
        try:
            return self.path(sha256).open("rb")
        except OSError as error:
            raise Broken(f"file `{sha256.hex()}` is missing from the data folder; restore it from a backup") from error

    def blocks(self, sha256: bytes) -> Iterator[bytes]:
        with self.open(sha256) as stream:
            while block := stream.read(BLOCK_BYTES):
                yield block

    def holds(self, sha256: bytes) -> bool:
        return self.path(sha256).exists()


class Incoming:
    """A file on its way in. `finish` or `discard` it."""

    def __init__(self, store: FileStore) -> None:
        self._store = store
        self._hash = hashlib.sha256()
        self._size = 0
        try:
            store.folder.mkdir(parents=True, exist_ok=True)
            self._path = store.folder / f".incoming-{secrets.token_hex(8)}"
            self._stream = self._path.open("xb")
        except OSError as error:
            raise Busy("the data folder cannot be written") from error

    def write(self, block: bytes) -> None:
        self._size += len(block)
        if self._size > FILE_BYTES_MAX:
            raise FileTooLarge
        self._hash.update(block)
        try:
            self._stream.write(block)
        except OSError as error:
            raise Busy("the data folder cannot be written") from error

    @property
    def digest(self) -> bytes:
        return self._hash.digest()

    def finish(self) -> tuple[bytes, int]:
        """Make it durable under its digest; returns digest and length."""
        digest = self._hash.digest()
        final = self._store.path(digest)
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            final.parent.mkdir(exist_ok=True)
            self._path.replace(final)
            for folder in (final.parent, self._store.folder):
                _sync_folder(folder)
        except OSError as error:
            raise Busy("the data folder cannot be written") from error
        return digest, self._size

    def discard(self) -> None:
        """Keep nothing of it."""
        with suppress(OSError):  # closing writes what is still held, which a full disk refuses again; the file goes all the same
            self._stream.close()
        self._path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Put these bytes in place of a file's, mode 0600: whole or not at all, and durable when this returns.

    Raises:
        OSError: it could not be; what was there is there.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
