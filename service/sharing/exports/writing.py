"""Pieces of files into a folder, a single file, or a zip.

A `Piece` is some bytes of the file of that path; pieces of one file follow one another. Folders and files appear whole or not at
all: they are written beside their place and moved there at the end.
"""

from __future__ import annotations

import os
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from service.errors import Broken, Conflict


class Piece(NamedTuple):
    """Some bytes of the file `path`, a relative path with `/`."""

    path: str
    content: bytes


def to_folder(pieces: Iterable[Piece], folder: Path) -> None:
    """Write pieces as the files of a new folder.

    Raises:
        Conflict: there is something of that name that is not an empty folder.
        Broken: it cannot be written; nothing is left behind.
    """

    def write(beside: Path) -> None:
        beside.mkdir()
        for path, parts in groupby(pieces, key=lambda piece: piece.path):
            place = beside / path
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as file:
                for part in parts:
                    file.write(part.content)

    _check_free(folder, empty_folder=True)
    _whole_or_not(folder, write)


def to_file(content: Iterable[bytes], path: Path) -> None:
    """Write content as one new file.

    Raises:
        Conflict: there is something of that name.
        Broken: it cannot be written; nothing is left behind.
    """

    def write(beside: Path) -> None:
        with beside.open("xb") as file:
            for part in content:
                file.write(part)

    _check_free(path, empty_folder=False)
    _whole_or_not(path, write)


def _check_free(path: Path, *, empty_folder: bool) -> None:
    try:
        if path.is_symlink() or (path.exists() and not (empty_folder and path.is_dir() and not any(path.iterdir()))):
            raise Conflict(f"`{path}` is there already, expected a new name", code="exists")
    except OSError as error:
        raise Broken(f"cannot write `{path}`: {error.strerror}") from error


def _whole_or_not(path: Path, write: Callable[[Path], None]) -> None:
    beside = path.parent / f".{path.name}.{secrets.token_hex(4)}.partial"
    with _cleaned(beside):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # For their owner alone: an export holds what only auditors may read.
            mask = os.umask(0o077)
            try:
                write(beside)
            finally:
                os.umask(mask)
            beside.replace(path)
        except OSError as error:
            raise Broken(f"cannot write `{path}`: {error.strerror}") from error


@contextmanager
def _cleaned(beside: Path) -> Iterator[None]:
    try:
        yield
    finally:
        # Nothing is there where all went well; what cannot be removed is no reason to hide why it could not be written.
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
        else:
            with suppress(OSError):
                beside.unlink()


class _Sink:
    """Where a zip is written to that nobody can seek in: what comes is handed on."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def write(self, block: bytes) -> int:
        self._blocks.append(bytes(block))
        return len(block)

    def flush(self) -> None:
        """Nothing waits here for a disk."""

    def taken(self) -> bytes:
        content, self._blocks = b"".join(self._blocks), []
        return content


def to_zip(pieces: Iterable[Piece], at: datetime) -> Iterator[bytes]:
    """The bytes of a zip of these files; the same files at the same time give the same bytes.

    Stored, not compressed: digests and nonces do not get smaller, and a reader can go to any place of a file.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:  # type: ignore[call-overload]  # what it writes to needs no more than `write` and `flush`
        for path, parts in groupby(pieces, key=lambda piece: piece.path):
            # ZIP knows no time before 1980, and counts in steps of two seconds.
            info = zipfile.ZipInfo(path, max(at.timetuple()[:6], (1980, 1, 1, 0, 0, 0)))
            info.external_attr = 0o600 << 16
            info.create_system = 3
            with archive.open(info, "w", force_zip64=True) as file:
                for part in parts:
                    file.write(part.content)
                    yield sink.taken()
    yield sink.taken()
