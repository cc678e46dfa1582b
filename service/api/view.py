"""View as: what a partner would be shown, by the partner's own code path.

The request is made to this very application, inside the process, with an asker that the gate records in `officers` and not in
the partner's log. What comes out travels inside the officer's JSON; its cursors are bound to the officer, and so of no use to
the partner.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from starlette.types import ASGIApp, Message, Scope

from service.errors import Broken, Rejected
from service.settings import BODY_BYTES_BUFFERED_MAX
from service.sharing.asks import Asker

_HEADERS_SHOWN: Final = frozenset({"content-type", "content-length", "release-event", "cache-control", "content-disposition"})
_PATH_CHARACTERS_MAX: Final = 2000


async def view_as(guarded: ASGIApp, scope: Scope, path: str, asker: Asker) -> dict[str, Any]:
    """Ask for a path as a partner would.

    Args:
        guarded: the whole application, guard included.
        scope: of the officer's request.

    Raises:
        Rejected: not a path of a partner's recorded route.
    """
    target, _, query = path.partition("?")
    of_items = target == "/v1/items" or target.startswith("/v1/items/")
    if not of_items or len(path) > _PATH_CHARACTERS_MAX or not path.isascii() or "#" in path:
        raise Rejected("`path` is one of a partner's about items, like `/v1/items?limit=10`", code="view")
    inner: Scope = {
        "type": "http",
        "asgi": scope["asgi"],
        "http_version": "1.1",
        "method": "GET",
        "scheme": scope["scheme"],
        "path": target,
        "raw_path": target.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        "headers": [],
        "client": None,
        "server": scope.get("server"),
        "state": dict(scope.get("state") or {}),
        "entente.view": asker,
    }
    start: Message = {}
    blocks: list[bytes] = []
    size = 0

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal start, size
        if message["type"] == "http.response.start":
            start = message
            return
        block = message.get("body", b"")
        size += len(block)
        if size <= BODY_BYTES_BUFFERED_MAX:
            blocks.append(block)

    await guarded(inner, receive, send)
    if not start:
        raise Broken("a view was not answered")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    shown = {name: value for name, value in headers.items() if name in _HEADERS_SHOWN}
    return {"status": start["status"], "headers": shown, "body": _body(headers.get("content-type", ""), b"".join(blocks), size)}


def _body(content_type: str, body: bytes, size: int) -> Any:
    if "json" in content_type and size == len(body):
        return json.loads(body)
    if size > len(body):
        return {"bytes": size}
    return {"bytes": size, "base64": base64.b64encode(body).decode("ascii")}
