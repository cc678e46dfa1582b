"""Entries for logs, as whole as those that the service writes, without a service around them."""

from __future__ import annotations

import hashlib
from typing import Final

from service.releaselog.leaf import canonical, canonical_string
from service.sharing.ledger import Draft

_LABEL: Final = {"level": "SECRET", "categories": ["MARITIME"], "releasable_to": ["JPN", "USA"], "caveats": [], "originators": ["USA"]}
_LABEL_JSON: Final = canonical(_LABEL)
_LABEL_SHA256: Final = hashlib.sha256(_LABEL_JSON).hexdigest()
_BUNDLE: Final = hashlib.sha256(b"a bundle").hexdigest()


def draft(log: str, number: int, *, act: int = 7) -> Draft:
    """Entry `number` of a log: mostly items sent, now and then a list or a refusal."""
    item_id = f"i-{number % 97}"
    copy = hashlib.sha256(b"copy %d" % (number % 97)).hexdigest()
    kind = number % 10
    refused, listed = kind == 7, kind in (2, 5)
    face: dict[str, str] = {"id": item_id} if refused else {"copy_sha256": copy, "id": item_id}
    labels = [] if refused else [_LABEL_SHA256]
    item = {
        "id": item_id,
        "ref": f"ref {number % 97}",
        "version": 1 + number % 3,
        "portions": ["p1"],
        "labels": labels,
        "rules": ["AGR-0001"],
    }
    record = {
        "act": b"%d" % act,
        "authority": b"null",
        "bundle": canonical_string(_BUNDLE),
        "engine": canonical_string(_BUNDLE),
        "items": b"[]" if refused else canonical([item]),
        "labels": b"{}" if refused else canonical({_LABEL_SHA256: _LABEL}),
        "outcome": b'"withhold"' if refused else b'"release"',
        "partner": canonical_string(log),
        "query": b"null",
    }
    return Draft(
        log=log,
        type="list" if listed else "item",
        client=f"c_{number % 3}",
        route="/v1/items" if listed else "/v1/items/{id}",
        items=canonical([face]),
        body_sha256=hashlib.sha256(b"body %d" % number).digest(),
        result="refused" if refused else "sent",
        purpose="none",
        record=record,
        versions=((item_id, 0 if refused else 1 + number % 3),),
    )
