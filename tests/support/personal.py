"""Records with the texts that they commit to, for tests of what was said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from service.sharing.personal import Opened
from service.store import Connection
from service.store.logs import StoredRow


def worded(value: Any, personal: Mapping[str, Mapping[str, str]]) -> Any:
    """A value of a record, each commitment replaced by its text."""
    match value:
        case {"commitment": str(digest), **rest} if not rest:
            return personal[digest]["value"]
        case dict():
            return {name: worded(member, personal) for name, member in value.items()}
        case list():
            return [worded(member, personal) for member in value]
        case _:
            return value


def record_in_words(connection: Connection, row: StoredRow) -> dict[str, Any]:
    """The record of an entry."""
    record: dict[str, Any] = worded(json.loads(row.record), Opened(connection, [row.record]).of(row.record))
    return record


def entry_in_words(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The record of an entry as auditors are shown it."""
    record: dict[str, Any] = worded(entry["record"], entry.get("personal", {}))
    return record
