"""OCSF: an event of class API Activity (6003) for each entry, for a SIEM that reads that schema. A line of JSON each. Before them one for
each run of entries that were pruned, a deletion.

Open Cybersecurity Schema Framework 1.9.0. API Activity describes that a client read, created, changed or deleted something
through an API, which is what an entry says. What the schema has no place for stands in `unmapped`, as the schema asks.
`metadata.sequence` is the entry's index and `unmapped.leaf_hash` its leaf hash, so that an event leads back to the entry that
proves it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from service.sharing.audit import span_json
from service.sharing.exports.opened import Opened, entries
from service.sharing.exports.selection import Selection
from service.store import Connection
from service.store.prunes import Span
from service.store.times import text_of

SCHEMA_VERSION: Final = "1.9.0"
CATEGORY: Final = 6
CLASS: Final = 6003
CREATE, READ, UPDATE, DELETE, OTHER = 1, 2, 3, 4, 99
"""Values of `activity_id`."""

_ACTIVITY_NAMES: Final = {CREATE: "Create", READ: "Read", UPDATE: "Update", DELETE: "Delete", OTHER: "Other"}
_BLOCK_LINES: Final = 200
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
    lines = [_write(pruned_event(span)) for span in selection.pruned(connection)]
    for entry in entries(connection, selection):
        lines.append(_write(event(entry)))
        if len(lines) == _BLOCK_LINES:
            yield ("\n".join(lines) + "\n").encode("utf-8")
            lines = []
    if lines:
        yield ("\n".join(lines) + "\n").encode("utf-8")


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


def event(entry: Opened) -> dict[str, Any]:
    """An entry as an event."""
    face, record = entry.face, entry.record
    doing, refused = activity(face["type"]), face["result"] == "refused"
    unmapped = {
        "log": entry.log,
        "leaf_hash": entry.leaf_hash.hex(),
        "body_sha256": face["body_sha256"],
        "purpose": face["purpose"],
        "result": face["result"],
        "outcome": record.get("outcome"),
        "partner": record.get("partner"),
        "rules": sorted({rule for _, known in entry.items for rule in known.get("rules", ())}),
        "bundle": record.get("bundle"),
        "act": record.get("act"),
    }
    return {
        **_class_of(doing, refused=refused),
        "time": int(datetime.fromisoformat(face["at"]).timestamp() * 1000),
        "message": f"{face['type']} {face['result']}",
        "metadata": _metadata(face["event_id"], face["type"], entry.log, entry.place, face["at"]),
        "actor": {"user": {"uid": face["client"], "type_id": _SERVICE_ACCOUNT, "type": "Service"}},
        # The address is not on record; the client is what the service knows of where a request came from.
        "src_endpoint": {"uid": face["client"]},
        "api": {"operation": face["route"], "service": {"name": "Entente"}, "request": {"uid": face["event_id"]}},
        "resources": [_resource(item, known) for item, known in entry.items],
        "unmapped": unmapped,
    }


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


def _metadata(event_id: str, type_: str, log: str, place: int, at: str) -> dict[str, Any]:
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


def _resource(item: Any, known: Any) -> dict[str, Any]:
    found = {"uid": item["id"], "type": "item"}
    if "ref" in known:
        found |= {"name": known["ref"], "version": str(known["version"])}
    return found
