"""The high-water mark: how far the logs had come, kept where a restored database does not bring it back.

A database put back from yesterday is whole in itself: every seal, tree and signature in it holds. To go on from there would give places
that partners hold receipts for to other entries, and sign two histories with one key. So the size and root of every log are also kept
in a small file beside the data folder (`ENTENTE_HIGHWATER`), and compared at the start: where the database is behind, or has another
history, nothing is signed until the operator has accepted on record what is lost (`entente log restored`).

The mark may lag behind the database, by `KEEP_SECONDS` of a running service, and never runs ahead of it: it is read from what is
committed. What came after the last mark is therefore noticed by partners and witnesses alone. DESIGN section 7.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.errors import Broken, ServiceError
from service.releaselog.leaf import canonical
from service.releaselog.merkle import subtree_roots
from service.settings import Settings
from service.sharing.beside import Beside
from service.store import Connection, Database, logs, policies
from service.store.logs import Head

log = logging.getLogger(__name__)

KEEP_SECONDS: Final = 60.0
"""How often a running service brings its mark up to date."""

_VERSION: Final = 1
_MARK_BYTES_MAX: Final = 4 << 20
_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a log had come."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """How far an installation had come: its last act, and every log by name."""

    instance: str
    act: int
    logs: Mapping[str, Reached]

    def to_bytes(self) -> bytes:
        reached = {name: {"size": one.size, "root": one.root.hex()} for name, one in self.logs.items()}
        return canonical({"v": _VERSION, "instance": self.instance, "act": self.act, "logs": reached}) + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes) -> Mark:
        """Read a mark back.

        Raises:
            ValueError: not one.
        """
        value = json.loads(content)
        if not isinstance(value, dict) or value.keys() != {"v", "instance", "act", "logs"} or value["v"] != _VERSION:
            raise ValueError("not a mark")
        if not isinstance(value["instance"], str) or not _is_count(value["act"]) or not isinstance(value["logs"], dict):
            raise ValueError("not a mark")
        reached: dict[str, Reached] = {}
        for name, one in value["logs"].items():
            if not isinstance(one, dict) or one.keys() != {"size", "root"} or not _is_count(one["size"]):
                raise ValueError("not a mark")
            if not isinstance(one["root"], str) or not _HEX.fullmatch(one["root"]):
                raise ValueError("not a mark")
            reached[name] = Reached(one["size"], bytes.fromhex(one["root"]))
        return cls(value["instance"], value["act"], reached)


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A log that is not what the mark says it was. `found` is how many entries there are; `forked` where enough, but others."""

    log: str
    expected: int
    found: int
    forked: bool

    def __str__(self) -> str:
        if self.forked:
            return f"log `{self.log}` has another history in its first {self.expected} entries"
        return f"log `{self.log}` holds {self.found} entries, and had {self.expected}"


def path_of(settings: Settings) -> Path:
    """Where the mark of this installation is."""
    if settings.highwater is not None:
        return settings.highwater
    data = settings.data.absolute()
    return data.with_name(f"{data.name}.highwater")


class Highwater:
    """The mark of one installation: read, compared, kept."""

    def __init__(self, path: Path, *, instance: str, database: Database) -> None:
        self.path: Final = path
        self._instance: Final = instance
        self._database: Final = database

    def read(self) -> Mark | None:
        """The mark, None where there is none.

        Raises:
            Broken: it cannot be read, or is another installation's.
        """
        try:
            with self.path.open("rb") as file:
                mark = Mark.from_bytes(file.read(_MARK_BYTES_MAX))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise Broken(
                f"the high-water mark `{self.path}` cannot be read; restore it from a backup, or, where it is beyond repair, move it away: "
                "the next start says on record that it was missing"
            ) from error
        if mark.instance != self._instance:
            raise Broken(
                f"the high-water mark `{self.path}` is of installation `{mark.instance[:80]}`, expected `{self._instance}`; "
                "set `ENTENTE_HIGHWATER` to a file of this installation's own"
            )
        return mark

    def shortfalls(self) -> tuple[Shortfall, ...]:
        """The logs that are behind their mark, or have another history; none where all is as it should be, or there is no mark.

        Raises:
            Broken: the mark cannot be read.
        """
        mark = self.read()
        if mark is None:
            return ()
        with self._database.reading() as connection:
            heads = {head.name: head for head in logs.heads(connection)}
            found = [_shortfall(connection, heads.get(name), name, reached) for name, reached in sorted(mark.logs.items())]
        return tuple(one for one in found if one is not None)

    def missing(self) -> bool:
        """Whether there is no mark though there are entries."""
        if self.read() is not None:
            return False
        with self._database.reading() as connection:
            return any(head.size for head in logs.heads(connection))

    def keep(self) -> None:
        """Bring the mark up to what is committed; it never goes back.

        Raises:
            Broken: it cannot be written, or what is there cannot be read.
        """
        before = self.read()
        mark = self._now()
        if before is not None:
            # Another process may have seen more by now. A log's name that is gone stays: that is for the next start to notice.
            kept = {name: max(one, mark.logs.get(name, one), key=lambda reached: reached.size) for name, one in before.logs.items()}
            mark = Mark(mark.instance, max(before.act, mark.act), {**mark.logs, **kept})
        if mark != before:
            self._write(mark)

    def replace(self) -> None:
        """Make what is committed the mark, whatever it was: only after the loss was accepted on record.

        Raises:
            Broken: it cannot be written.
        """
        self._write(self._now())

    def _now(self) -> Mark:
        with self._database.reading() as connection:
            reached = {head.name: Reached(head.size, head.root) for head in logs.heads(connection)}
            return Mark(self._instance, policies.fence(connection).act, reached)

    def _write(self, mark: Mark) -> None:
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            try:
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(mark.to_bytes())
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(self.path)
            finally:
                draft.unlink(missing_ok=True)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise Broken(
                f"cannot write the high-water mark `{self.path}`: {error.strerror}; set `ENTENTE_HIGHWATER` to a file that can be written, "
                "outside the data folder"
            ) from error


def refusal(shortfalls: Sequence[Shortfall], path: Path) -> str | None:
    """Why nothing may be signed, and what to do; None where nothing speaks against it."""
    if not shortfalls:
        return None
    more = f", and {len(shortfalls) - 1} more" if len(shortfalls) > 1 else ""
    return (
        f"the database is older than its high-water mark `{path}`: {shortfalls[0]}{more}; nothing is signed. Put the newest database back; "
        "if there is none, tell partners and auditor, then accept the loss with `entente log restored --reason TEXT`"
    )


class Keeper(Beside):
    """Keeps the mark of a running service up to date, in a thread of its own, and notices a database exchanged under it.

    Args:
        refuse: called with the reason where nothing may be signed from now on.
    """

    def __init__(self, highwater: Highwater, *, refuse: Callable[[str], None]) -> None:
        super().__init__("high-water-mark", self._keep_again, first=KEEP_SECONDS)
        self._highwater: Final = highwater
        self._refuse: Final = refuse

    def keep(self) -> None:
        """Once, now. A mark that cannot be written is told to the operator and does not stop the service: the log itself is durable."""
        try:
            reason = refusal(self._highwater.shortfalls(), self._highwater.path)
            if reason is not None:
                log.error("%s", reason)
                self._refuse(reason)
                return
            self._highwater.keep()
        except ServiceError as error:
            log.warning("the high-water mark was not kept: %s", error)

    def _keep_again(self) -> float:
        self.keep()
        return KEEP_SECONDS


def _shortfall(connection: Connection, head: Head | None, name: str, reached: Reached) -> Shortfall | None:
    size = 0 if head is None else head.size
    if size < reached.size:
        return Shortfall(name, reached.size, size, forked=False)
    if head is None or reached.size == 0:
        return None

    def tiles(level: int, index: int, width: int) -> list[bytes]:
        return logs.read_tile(connection, head.id, level, index, width)

    root = head.root if size == reached.size else subtree_roots([(0, reached.size)], size, tiles)[0]
    return None if root == reached.root else Shortfall(name, reached.size, size, forked=True)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
