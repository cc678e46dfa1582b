"""An operator's routes: how the service stands, and counts to watch. Nothing of a partner, a client or an item is in them."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from service.api import describe, shapes
from service.api.access import Access, InstallationDependency, admit, no_query, route
from service.api.metrics import Metrics
from service.sharing.standing import standing

router = APIRouter(prefix="/v1/operator", dependencies=[Depends(admit)], default_response_class=Response)

_NO_STORE: Final = {"cache-control": "no-store"}
_PROBLEMS: Final = describe.with_token()


@router.get(
    "/metrics",
    summary="Counts and ages, for Prometheus",
    responses=describe.octets("Prometheus's text form", media_type="text/plain") | _PROBLEMS,
    dependencies=[Depends(no_query)],
)
@route(Access.OPERATOR)
async def metrics(request: Request, installation: InstallationDependency) -> Response:
    counted: Metrics = request.app.state.metrics
    body = await asyncio.to_thread(lambda: counted.text(standing(installation)))
    return Response(body, media_type=CONTENT_TYPE_LATEST, headers=_NO_STORE)


@router.get(
    "/health",
    summary="Whether it can release, and if not, why",
    responses=describe.answer(shapes.OperatorHealth, "How it stands") | _PROBLEMS,
    dependencies=[Depends(no_query)],
)
@route(Access.OPERATOR)
async def health(installation: InstallationDependency) -> Response:
    found = await asyncio.to_thread(standing, installation)
    body = {
        "status": "unavailable" if found.reasons else "ready",
        "reasons": list(found.reasons),
        "root_age_seconds": found.root_age_seconds,
        "unwitnessed_seconds": found.unwitnessed_seconds,
        "witnesses": found.witnesses,
        "roots": found.roots,
    }
    return JSONResponse(body, headers=_NO_STORE)
