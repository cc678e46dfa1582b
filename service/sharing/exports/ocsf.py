"""OCSF: an event of class API Activity (6003) for each entry, for a SIEM that reads that schema. A line of JSON each. Before them one for
each run of entries that were pruned, a deletion.

Open Cybersecurity Schema Framework 1.9.0. API Activity describes that a client read, created, changed or deleted something
through an API, which is what an entry says. What the schema has no place for stands in `unmapped`, as the schema asks.
`metadata.sequence` is the entry's index and `unmapped.leaf_hash` its leaf hash, so that an event leads back to the entry that
proves it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from service.sharing.audit import span_json
from service.sharing.exports.opened import OfItems, Opened, opened
from service.sharing.exports.selection import Selection
from service.store import Connection
from service.store.logs import ExportRow
from service.store.prunes import Span
from service.store.times import micros, text_of

SCHEMA_VERSION: Final = "1.9.0"
CATEGORY: Final = 6
CLASS: Final = 6003
CREATE, READ, UPDATE, DELETE, OTHER = 1, 2, 3, 4, 99
"""Values of `activity_id`."""

_ACTIVITY_NAMES: Final = {CREATE: "Create", READ: "Read", UPDATE: "Update", DELETE: "Delete", OTHER: "Other"}
_INFORMATIONAL: Final = 1
_SUCCESS, _FAILURE = 1, 2
_SERVICE_ACCOUNT: Final = 4
_READS: Final = frozenset({"list", "item", "file", "look"})
_VERBS: Final = {
    "create": CREATE, "add": CREATE, "version": UPDATE, "relabel": UPDATE, "publish": UPDATE, "rollback": UPDATE, "suspend": UPDATE,
    "resume": UPDATE, "disable": UPDATE, "withdraw": DELETE,
}  # fmt: skip
_write: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def events(connection: Connection, selection: Selection) -> Iterator[bytes]:
    """The events, in blocks of whole lines."""
    made = Events()
    yield "".join([_write(pruned_event(span)) + "\n" for span in selection.pruned(connection)]).encode("utf-8")
    for head in selection.heads(connection):
        for rows in selection.rows(connection, head):
            yield "".join([made.line(row, head.name) for row in rows]).encode("utf-8")


class Events:
    """Makes the lines of entries. What many events have in common is written once, and filled with what each has of its own."""

    def __init__(self) -> None:
        self._items: Final = OfItems(lambda item: (_write(_resource(item["id"], item)), _rules_of(item)))

    def line(self, row: ExportRow, log: str) -> str:
        """The event of an entry, with its line end."""
        found = self._items.cut(row)
        if found is None:
            return _write(event(opened(row, log))) + "\n"
        entry, known = found
        said = [known.get(item_id) or (_write(_resource(item_id, {})), ()) for _, item_id in entry.items]
        resources, rules = f"[{','.join([resource for resource, _ in said])}]", _rules(*[named for _, named in said])
        common = _Common(
            log, entry.type, entry.client, entry.route, entry.purpose, entry.result, entry.outcome, entry.partner, entry.bundle or None
        )
        # Ids, times and digests hold nothing that JSON escapes; `cut` has seen to it.
        return _form(common) % (
            _millis(entry.at), entry.event_id, entry.event_id, row.position, entry.at, entry.event_id, resources, row.leaf_hash.hex(),
            entry.body_sha256, rules, entry.act,
        )  # fmt: skip


def activity(type_: str) -> int:
    """The `activity_id` of an entry's type: by its last word for acts, `Other` where the schema has no word for it."""
    first, _, last = type_.rpartition(".")
    if type_ in _READS or first.partition(".")[0] in _READS:
        return READ
    return _VERBS.get(last, OTHER)


def pruned_event(span: Span) -> dict[str, Any]:
    """Entries that were pruned, as an event: that they were deleted, by whom, and when. What they said is gone."""
    what = f"{span.log} {span.start}-{span.stop - 1}"
    return {
        **_class_of(DELETE, refused=False),
        "time": span.at // 1000,
        "message": f"entries {span.start} to {span.stop - 1} of log {span.log} pruned",
        "metadata": _metadata(span.event_id, "log.prune", span.log, span.start, text_of(span.at)),
        "actor": {"user": {"uid": span.client, "type_id": _SERVICE_ACCOUNT, "type": "Service"}},
        "src_endpoint": {"uid": span.client},
        "api": {"operation": "log.prune", "service": {"name": "Entente"}, "request": {"uid": span.event_id}},
        "resources": [{"uid": what, "type": "log entries"}],
        "unmapped": {"log": span.log, "pruned": span_json(span)},
    }


class _Common(NamedTuple):
    """What many entries say alike."""

    log: str
    type: str
    client: str
    route: str
    purpose: str
    result: str
    outcome: str | None
    partner: str | None
    bundle: str | None


class _Own(NamedTuple):
    """What an entry says for itself; or, in a form, where it goes."""

    time: Any
    event_id: str
    at: str
    sequence: Any
    resources: Any
    leaf_hash: str
    body_sha256: str | None
    rules: Any
    act: Any


# Control characters, which no text has that was cut out of an entry: JSON would have escaped them.
_TEXT, _BARE = "\0", "\1"
_PLACES: Final = _Own(_BARE, _TEXT, _TEXT, _BARE, _BARE, _TEXT, _TEXT, _BARE, _BARE)


def event(entry: Opened) -> dict[str, Any]:
    """An entry as an event."""
    face, record = entry.face, entry.record
    common = _Common(
        entry.log, face["type"], face["client"], face["route"], face["purpose"], face["result"], record.get("outcome"),
        record.get("partner"), record.get("bundle"),
    )  # fmt: skip
    resources = [_resource(item["id"], known) for item, known in entry.items]
    rules = sorted({rule for _, known in entry.items for rule in _rules_of(known)})
    own = _Own(
        _millis(face["at"]), face["event_id"], face["at"], entry.place, resources, entry.leaf_hash.hex(), face["body_sha256"], rules,
        record.get("act"),
    )  # fmt: skip
    return _event(common, own)


@lru_cache(maxsize=4096)
def _form(common: _Common) -> str:
    """The line of an event, to be filled by `%` with the rest that it says, in the order in which `_event` says it."""
    text = _write(_event(common, _PLACES)).replace("%", "%%") + "\n"
    return text.replace(_write(_TEXT), '"%s"').replace(_write(_BARE), "%s")


def _event(common: _Common, own: _Own) -> dict[str, Any]:
    return {
        **_class_of(activity(common.type), refused=common.result == "refused"),
        "time": own.time,
        "message": f"{common.type} {common.result}",
        "metadata": _metadata(own.event_id, common.type, common.log, own.sequence, own.at),
        "actor": {"user": {"uid": common.client, "type_id": _SERVICE_ACCOUNT, "type": "Service"}},
        # The address is not on record; the client is what the service knows of where a request came from.
        "src_endpoint": {"uid": common.client},
        "api": {"operation": common.route, "service": {"name": "Entente"}, "request": {"uid": own.event_id}},
        "resources": own.resources,
        "unmapped": {
            "log": common.log,
            "leaf_hash": own.leaf_hash,
            "body_sha256": own.body_sha256,
            "purpose": common.purpose,
            "result": common.result,
            "outcome": common.outcome,
            "partner": common.partner,
            "rules": own.rules,
            "bundle": common.bundle,
            "act": own.act,
        },
    }


def _rules_of(known: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(known.get("rules", ()))


@lru_cache(maxsize=4096)
def _rules(*of_items: tuple[str, ...]) -> str:
    """The rules by which some items were decided, as they are written."""
    return _write(sorted({rule for rules in of_items for rule in rules}))


def _millis(at: str) -> int:
    return micros(datetime.fromisoformat(at)) // 1000


def _class_of(doing: int, *, refused: bool) -> dict[str, Any]:
    return {
        "activity_id": doing,
        "activity_name": _ACTIVITY_NAMES[doing],
        "category_uid": CATEGORY,
        "category_name": "Application Activity",
        "class_uid": CLASS,
        "class_name": "API Activity",
        "type_uid": CLASS * 100 + doing,
        "severity_id": _INFORMATIONAL,
        "severity": "Informational",
        "status_id": _FAILURE if refused else _SUCCESS,
        "status": "Failure" if refused else "Success",
    }


def _metadata(event_id: str, type_: str, log: str, place: Any, at: str) -> dict[str, Any]:
    return {
        "version": SCHEMA_VERSION,
        "product": {"name": "Entente", "vendor_name": "Entente"},
        "uid": event_id,
        "original_event_uid": event_id,
        "event_code": type_,
        "log_name": log,
        "sequence": place,
        "original_time": at,
    }


def _resource(item_id: str, known: Mapping[str, Any]) -> dict[str, str]:
    found = {"uid": item_id, "type": "item"}
    if "ref" in known:
        found |= {"name": known["ref"], "version": str(known["version"])}
    return found
