"""An auditor's routes that decide again: replay of past decisions, and the same questions under another policy.

Both are looks, on record before anything is shown. Neither signs or releases anything.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from starlette.responses import Response

from service.api import describe, shapes
from service.api.access import Access, InstallationDependency, admit, body_as, no_query, route
from service.api.officers import ActorDependency
from service.errors import Rejected
from service.policy.reader import moment_of
from service.settings import REPLAY_ENTRIES_MAX
from service.sharing.replay import Asked, Replay, WhatIf, choose, look_what_if

router = APIRouter(prefix="/v1/audit", dependencies=[Depends(admit)], default_response_class=Response)

_NO_STORE: Final = {"cache-control": "no-store"}
_PROBLEMS: Final = describe.with_token(413) | describe.problems(409)


@router.post(
    "/replay",
    summary="Past decisions, taken again from their records; a difference is a finding",
    openapi_extra=describe.takes(shapes.ReplayAsked),
    responses=describe.answer(shapes.Replayed, "What came of it", recorded=True) | _PROBLEMS,
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def replay(
    wanted: Annotated[shapes.ReplayAsked, Depends(body_as(shapes.ReplayAsked))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    asked = Asked(tuple(wanted.events or ()), wanted.log, wanted.start, wanted.stop, wanted.sample, wanted.seed)

    def run() -> tuple[dict[str, Any], str]:
        chosen = choose(installation, actor, asked, entries_max=REPLAY_ENTRIES_MAX)
        with installation.database.reading() as connection:
            again = Replay(connection, installation.world)
            findings = [finding.to_json() for finding in again.run(chosen.runs)]
        seed = {} if chosen.seed is None else {"seed": chosen.seed}
        return {**again.tally.to_json(), **seed, "findings": findings}, chosen.entry.event_id

    body, event_id = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": event_id})


@router.post(
    "/what-if",
    summary="The newest entries of partners' logs under an archived bundle: what would be decided otherwise",
    openapi_extra=describe.takes(shapes.WhatIfAsked),
    responses=describe.answer(shapes.WhatIfAnswer, "By partner, and each item that would differ", recorded=True) | _PROBLEMS,
    dependencies=[Depends(no_query)],
)
@route(Access.AUDITOR)
async def what_if(
    wanted: Annotated[shapes.WhatIfAsked, Depends(body_as(shapes.WhatIfAsked))],
    actor: ActorDependency,
    installation: InstallationDependency,
) -> Response:
    def run() -> tuple[dict[str, Any], str]:
        at = _moment(wanted.at)
        bundle = installation.publishing.archived_bundle(wanted.bundle)
        entry = look_what_if(installation, actor, bundle, last=wanted.last, at=at)
        with installation.database.reading() as connection:
            decided = WhatIf(connection, installation.world, bundle, at=at)
            differences = [one.to_json() for one in decided.run(wanted.last)]
        partners = [tally.to_json(partner) for partner, tally in sorted(decided.partners.items())]
        return {"bundle": bundle.digest, "partners": partners, "differences": differences}, entry.event_id

    body, event_id = await asyncio.to_thread(run)
    return JSONResponse(body, headers={**_NO_STORE, "release-event": event_id})


def _moment(text: str | None) -> datetime | None:
    moment = None if text is None else moment_of(text)
    if text is not None and moment is None:
        raise Rejected("`at`: neither a day nor a time, expected `2026-11-22` or `2026-11-22T10:00:00Z`", code="body")
    return moment
