"""Personal texts on their way into records, and back to those who may read them.

Whoever drafts an entry puts `personal(kind, text)` where the text would stand; `parted` leaves the commitment in its place, and the ledger
writes the value beside the entry, in the same transaction. A text that is kept outside the logs as well (why a proposal was withdrawn,
why a label is another) is kept as its commitment, and read through the one row, so that it does not outlive its erasure.
What is as old as the texts that stood in records themselves is read as it is.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

from service.releaselog.leaf import canonical
from service.releaselog.personal import SALT_BYTES, Commitment, Personal, commitment_in, commitments
from service.store import Connection
from service.store import personal as stored

ERASED: Final = "[erased]"
"""What is shown in place of a text that was erased, where nothing but a text is shown."""

Q: Final = "q"
REASON: Final = "reason"
NOTE: Final = "note"
NAME: Final = "name"
QUERY: Final = "query"
KINDS: Final = (Q, REASON, NOTE, NAME, QUERY)
"""What kinds of text there are: each is the name of the member of a record that commits to it."""

Reason = str | Personal | Commitment
"""Why something is done: a text that is fixed or as old as those that stood in records; a person's; or one that stands elsewhere."""


def personal(kind: str, value: str) -> Personal:
    """A text by or about a person, with a salt of its own."""
    return Personal(kind, value, secrets.token_bytes(SALT_BYTES))


def parted(value: object) -> tuple[Any, tuple[Personal, ...]]:
    """A value for a record, with commitments in place of personal texts, and these texts."""
    texts: list[Personal] = []
    return _parted(value, texts), tuple(texts)


def _parted(value: object, texts: list[Personal]) -> object:
    match value:
        case Personal():
            texts.append(value)
            return value.commitment.to_json()
        case Commitment():
            return value.to_json()
        case dict():
            return {name: _parted(member, texts) for name, member in value.items()}
        case list() | tuple():
            return [_parted(member, texts) for member in value]
        case _:
            return value


def kept(reason: Reason) -> str:
    """What is stored of a text outside the logs: a fixed one as it is, a person's as its commitment."""
    if isinstance(reason, str):
        return reason
    committed = reason.commitment if isinstance(reason, Personal) else reason
    return canonical(committed.to_json()).decode("utf-8")


def kept_of(recorded: object) -> str:
    """The same of what stands in a record."""
    found = commitment_in(recorded)
    return str(recorded) if found is None else kept(found)


def kept_commitment(text: str) -> Commitment | None:
    """The commitment that `kept` wrote; None for a text that stands for itself."""
    if not text.startswith('{"commitment":'):
        return None
    try:
        return commitment_in(json.loads(text))
    except ValueError:
        return None


class Texts:
    """Texts read through their commitments, on one view of the database.

    Args:
        values: as they are kept or stand in records: all that will be asked for.
    """

    def __init__(self, connection: Connection, values: Iterable[object]) -> None:
        wanted = {found.sha256 for found in map(_commitment_of, values) if found is not None}
        self._rows: Final = stored.find(connection, wanted) if wanted else {}

    def of(self, value: object) -> str:
        """The text, or `ERASED`."""
        found = _commitment_of(value)
        if found is None:
            return str(value)
        row = self._rows.get(found.sha256)
        return ERASED if row is None else row.value.decode("utf-8")


def _commitment_of(value: object) -> Commitment | None:
    return kept_commitment(value) if isinstance(value, str) else commitment_in(value)


class Opened:
    """What records commit to, for auditors: value and salt by commitment, as long as they are kept.

    One statement for all of them, and none where no record commits to anything.
    """

    def __init__(self, connection: Connection, records: Iterable[bytes]) -> None:
        wanted = {bytes.fromhex(one) for record in records for one in commitments(record)}
        self._rows: Final = stored.find(connection, wanted) if wanted else {}

    def of(self, record: bytes) -> Mapping[str, dict[str, str]]:
        """Those of one record; empty where there are none (any more)."""
        if not self._rows:
            return {}
        rows = {one: self._rows.get(bytes.fromhex(one)) for one in commitments(record)}
        return {one: {"value": row.value.decode("utf-8"), "salt": row.salt.hex()} for one, row in rows.items() if row is not None}
